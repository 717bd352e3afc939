//! The library of `shim.c`, compiled once and preloaded into the real binary: it counts what is written
//! to the database's files, logs it, and spoils it. The program itself has no hook for any of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::Sandbox;

/// The compiled library. A C compiler is at hand where SQLite was built.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/shim.c");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join("shim.so");
    // Another process of this test may have it loaded: it is replaced, never written into.
    let fresh = tempfile::Builder::new().prefix("shim-").tempfile_in(folder).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
    let status = compiler.arg(fresh.path()).arg(source).arg("-ldl").status();
    assert!(status.expect("cc starts").success(), "the shim does not compile");
    fresh.persist(&library).expect("the shim is in place");
    library
});

/// What is done to a step: a write, a truncation, a sync or a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoil {
    /// The process is killed before it.
    KillBefore,
    /// The process is killed after it.
    KillAfter,
    /// Half of it is written, then the process is killed.
    Torn,
    /// It fails: the disk is full.
    Full,
    /// It fails: the disk is broken.
    Broken,
    /// The process is stopped before it, until it is told to go on.
    Halt,
}

impl Spoil {
    const fn word(self) -> &'static str {
        match self {
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
            Self::Torn => "torn",
            Self::Full => "enospc",
            Self::Broken => "eio",
            Self::Halt => "halt",
        }
    }
}

/// The shim before a sandbox's database.
pub(crate) struct Shim {
    database: PathBuf,
    count: PathBuf,
}

impl Shim {
    /// The shim of `sandbox`; its count begins at 0.
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let folder = fs::canonicalize(sandbox.path("")).expect("the sandbox's path");
        let shim = Self { database: folder.join("mdctl.db"), count: folder.join("shim-count") };
        fs::write(&shim.count, [0; 8]).expect("the count begins");
        shim
    }

    /// Preloads it into `command`.
    pub(crate) fn before<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("LD_PRELOAD", LIBRARY.as_path())
            .env("SHIM_DATABASE", &self.database)
            .env("SHIM_COUNT", &self.count)
    }

    /// Preloads it, to spoil the step number `at` of this process.
    pub(crate) fn spoil<'a>(
        &self,
        command: &'a mut Command,
        at: u64,
        spoil: Spoil,
    ) -> &'a mut Command {
        self.before(command).env("SHIM_AT", at.to_string()).env("SHIM_DO", spoil.word())
    }

    /// Makes it count, and spoil, only what other threads do than the one that writes.
    pub(crate) fn aside(command: &mut Command) -> &mut Command {
        command.env("SHIM_ASIDE", "1")
    }

    /// Lets the system have no more than so many threads for it.
    pub(crate) fn threads(&self, command: &mut Command, most: usize) {
        self.before(command).env("SHIM_THREADS", most.to_string());
    }

    /// Steps so far; also while the process runs.
    pub(crate) fn steps(&self) -> u64 {
        let bytes = fs::read(&self.count).expect("the count is read");
        u64::from_ne_bytes(bytes.try_into().expect("eight bytes"))
    }
}

/// A file that outlives the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Durable {
    Main,
    Wal,
    Journal,
    Folder,
}

/// A step as it was logged.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write { file: Durable, offset: usize, bytes: Vec<u8> },
    Truncate { file: Durable, length: usize },
    Sync(Durable),
    Remove(Durable),
}

/// The steps of a log.
pub(crate) fn read_log(path: &Path) -> Vec<Step> {
    let log = fs::read(path).expect("the log is read");
    let mut rest = log.as_slice();
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let mut number = || {
            let (head, tail) = rest.split_first_chunk::<8>().expect("a whole step");
            rest = tail;
            usize::try_from(u64::from_ne_bytes(*head)).expect("a size")
        };
        let (kind, file, offset, length) = (number(), number(), number(), number());
        let file = [Durable::Main, Durable::Wal, Durable::Journal]
            .get(file)
            .copied()
            .unwrap_or(Durable::Folder);
        let (bytes, tail) = rest.split_at(length);
        rest = tail;
        steps.push(match kind {
            0 => Step::Write { file, offset, bytes: bytes.to_vec() },
            1 => Step::Truncate { file, length: offset },
            2 => Step::Sync(file),
            _ => Step::Remove(file),
        });
    }
    steps
}
