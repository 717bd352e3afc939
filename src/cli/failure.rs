//! `Failure`: why a command could not do what it was asked, told as: what happened, to what, and what
//! to do next.

use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::config::ConfigError;
use crate::exit::Exit;
use crate::store::StoreError;

/// A command's end without its result.
#[derive(Debug)]
pub(super) struct Failure {
    /// The code to end with.
    pub(super) exit: Exit,
    kind: &'static str,
    message: String,
    hint: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
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
        Self::new(Exit::InputOutput, "io", format!("{}: {error}", what.into()))
    }

    /// A file cannot be made.
    pub(super) fn create(path: &Path, error: &io::Error) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).display();
        Self::new(
            Exit::CannotCreate,
            "create",
            format!("cannot create {}: {error}", path.display()),
        )
        .hinted(format!("see whether the folder is there and may be written: ls -ld {folder}"))
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
        let exit = match error {
            StoreError::Create { .. } => Exit::CannotCreate,
            _ => Exit::InputOutput,
        };
        let hint = match error {
            StoreError::Missing(_) => "`mdctl backfill` makes it; `--db PATH` names another",
            StoreError::Create { .. } => "see whether its folder is there and may be written",
            StoreError::NotADatabase(_) | StoreError::Foreign => {
                "name another file with --db or [database] path, or move this one away"
            }
            StoreError::Newer { .. } => "use the newer mdctl that wrote it, or another database",
            StoreError::Value(_) => "restore a backup; `mdctl db check` tells more",
            StoreError::Sqlite(_) => "see free disk space and permissions; then `mdctl db check`",
        };
        Self::new(exit, "storage", error.to_string()).hinted(hint)
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
            writeln!(err, "error: {}", self.message)?;
            return match &self.hint {
                Some(hint) => writeln!(err, "hint: {hint}"),
                None => Ok(()),
            };
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
            Err(error) => Self::new(Exit::of_error(&error), "run", format!("{error:#}")),
        }
    }
}
