//! The files that stand beside a database: its name, and an ending.

use std::path::{Path, PathBuf};

/// A file beside a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The write-ahead log, in which committed rows may stand that are nowhere else.
    Log,
    /// The index of that log.
    LogIndex,
    /// The journal of a database that has no such log.
    Journal,
    /// The runs' lock.
    Lock,
    /// The lock under which alerts are told.
    AlertsLock,
}

impl Beside {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Log, Self::LogIndex, Self::Journal, Self::Lock, Self::AlertsLock];

    /// Those that SQLite would take for parts of whatever database stands there.
    pub const PARTS: [Self; 3] = [Self::Log, Self::LogIndex, Self::Journal];

    /// What its name ends in, after the database's.
    const fn ending(self) -> &'static str {
        match self {
            Self::Log => "-wal",
            Self::LogIndex => "-shm",
            Self::Journal => "-journal",
            Self::Lock => ".lock",
            Self::AlertsLock => ".alerts.lock",
        }
    }

    /// That of `database`.
    #[must_use]
    pub fn of(self, database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push(self.ending());
        PathBuf::from(name)
    }
}
