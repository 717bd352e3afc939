//! `Failure`: why a command could not do what it was asked, told as: what happened, to what, and what
//! to do next.

use std::io::{self, Write as _};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::access::closed_remedy;
use crate::config::{ConfigError, env};
use crate::domain::place::folder_of;
use crate::domain::words::quoted;
use crate::exit::Exit;
use crate::fetch::Exhausted;
use crate::store::{StoreError, Trouble, too_many_files};

/// A command's end without its result.
#[derive(Debug)]
pub(super) struct Failure {
    /// The code to end with.
    pub(super) exit: Exit,
    kind: &'static str,
    message: String,
    hint: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    error: Body<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Body<'a> {
    kind: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
    exit_code: u8,
}

impl Failure {
    pub(super) fn new(exit: Exit, kind: &'static str, message: impl Into<String>) -> Self {
        Self { exit, kind, message: message.into(), hint: None }
    }

    /// The command line cannot be followed.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// A file cannot be read or written.
    pub(super) fn io(what: impl Into<String>, error: &io::Error) -> Self {
        let failure = Self::new(Exit::InputOutput, "io", format!("{}: {error}", what.into()));
        if too_many_files(error) { failure.hinted(FILES) } else { failure }
    }

    /// A file cannot be made, or not be opened to write if it is there, or if the database is there
    /// whose lock it is.
    pub(super) fn create(path: &Path, error: &io::Error) -> Self {
        let is_there = path.exists()
            || path.extension() == Some("lock".as_ref()) && path.with_extension("").exists();
        let what = if is_there { "write" } else { "create" };
        let message = format!("cannot {what} {}: {error}", path.display());
        let failure = if is_there || is_exhausted(error) {
            Self::new(Exit::InputOutput, "io", message)
        } else {
            Self::new(Exit::CannotCreate, "create", message)
        };
        failure.hinted(creation_hint(path, error))
    }

    pub(super) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, for a command that only reads: then nothing can be told.
    pub(super) fn of_reader(error: &StoreError) -> Self {
        Self { exit: Exit::Unknown, ..Self::of_store(error) }
    }

    /// The store's trouble with a remedy.
    fn of_store(error: &StoreError) -> Self {
        let hint = match error {
            StoreError::Create { path, error: why } => {
                return Self {
                    kind: "storage",
                    message: error.to_string(),
                    ..Self::create(path, why)
                };
            }
            StoreError::Missing(_) => "`mdctl backfill` makes it; `--db PATH` names another",
            StoreError::Closed(path) => {
                return Self::new(Exit::InputOutput, "storage", error.to_string())
                    .hinted(closed_remedy(path));
            }
            StoreError::NoFile { .. } => "name a file with --db or [database] path",
            StoreError::NotADatabase(_) | StoreError::Foreign(_) => {
                "name another file with --db or [database] path, or move this one away"
            }
            StoreError::Newer { .. } => "use the newer mdctl that wrote it, or another database",
            StoreError::Value(_) => "restore a backup; `mdctl db check` tells more",
            StoreError::LogFull { .. } => {
                "end the program that reads, such as a notebook or a forgotten sqlite3 shell (`fuser` \
                 with the file names it), then run again: what was committed is kept"
            }
            StoreError::Outrun { .. } => {
                "try again when the run has ended; nothing was left behind"
            }
            StoreError::NoCopy(_) => {
                "see the kernel's log (`dmesg`) for a failing disk, and copy to another one"
            }
            StoreError::Damaged { .. } => trouble_hint(Trouble::Damaged),
            StoreError::Sqlite { trouble, .. } => trouble_hint(*trouble),
        };
        Self::new(Exit::InputOutput, "storage", error.to_string()).hinted(hint)
    }

    /// What happened, to what.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub(super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The failure in one line, for a verdict.
    pub(super) fn line(&self) -> String {
        let hint = self.hint.as_deref().map_or_else(String::new, |hint| format!("; {hint}"));
        format!("{}{hint}", self.message)
    }

    /// Tells it: on stderr, or as a document on stdout.
    pub(super) fn tell(&self, json: bool) -> io::Result<()> {
        if !json {
            let mut err = io::stderr().lock();
            let hint = self.hint.as_ref().map(|hint| format!("\nhint: {hint}"));
            let text = format!("error: {}{}", self.message, hint.unwrap_or_default());
            // As log lines do, each line tells systemd's journal how grave it is.
            let mark = if env::stderr_is_journal() { "<3>" } else { "" };
            return text.lines().try_for_each(|line| writeln!(err, "{mark}{line}"));
        }
        let body = Body {
            kind: self.kind,
            message: &self.message,
            hint: self.hint.as_deref(),
            exit_code: self.exit.code(),
        };
        crate::render::json(&mut io::stdout().lock(), &Document { error: body })
    }
}

/// What mends SQLite's trouble.
const fn trouble_hint(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::DiskFull => SPACE,
        Trouble::TooManyFiles => FILES,
        Trouble::DiskBroken => {
            "see the free space (`df`) and the kernel's log (`dmesg`); then `mdctl db check`, and restore \
             a backup if it finds damage"
        }
        Trouble::ReadOnly => {
            "see the permissions of the file and of its folder (`ls -l`), and whether the disk is mounted \
             read-only (`findmnt -T`)"
        }
        Trouble::Locked => {
            "end the program that writes to it or holds a transaction open, such as an sqlite3 shell or a \
             notebook (`fuser` with the file names it), then run again"
        }
        Trouble::Damaged => {
            "`mdctl db check` tells what is damaged; restore a backup, or move the file away and `mdctl \
             backfill` anew"
        }
        Trouble::CannotOpen => {
            "see whether the file and its folder may be read and written: `ls -l`"
        }
        Trouble::Other => "see free disk space and permissions; then `mdctl db check`",
    }
}

const SPACE: &str = "free space on the disk, or move the database to a larger one and name it with --db or \
                     [database] path; then run again: what was committed is kept";

const FILES: &str =
    "raise the limit: `ulimit -n 256`, or LimitNOFILE= in the unit; or lower --parallel";

/// Whether something has run out that others may give back: space, or files to open.
fn is_exhausted(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded) || too_many_files(error)
}

/// What mends a file that cannot be made or opened to write.
fn creation_hint(path: &Path, error: &io::Error) -> String {
    if too_many_files(error) {
        return FILES.to_owned();
    }
    if is_exhausted(error) {
        return SPACE.to_owned();
    }
    if error.kind() == io::ErrorKind::PermissionDenied && path.exists() {
        let path = quoted(path);
        return format!("see whose it is: ls -l {path}; call mdctl as that user, or as root");
    }
    let folder = quoted(folder_of(path));
    format!(
        "see whether the folder is there and may be written: ls -ld {folder}, findmnt -T {folder}"
    )
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::new(Exit::Config, "config", error.to_string());
        match error.hint {
            Some(hint) => failure.hinted(hint),
            None => failure,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of_store(&error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::io("input or output failed", &error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<StoreError>() {
            Ok(error) => Self::of_store(&error),
            Err(error) => {
                let failure = Self::new(Exit::of_error(&error), "run", format!("{error:#}"));
                let lacks_files = |cause: &(dyn std::error::Error + 'static)| {
                    cause.is::<Exhausted>()
                        || cause.downcast_ref::<io::Error>().is_some_and(too_many_files)
                };
                if error.chain().any(lacks_files) { failure.hinted(FILES) } else { failure }
            }
        }
    }
}
