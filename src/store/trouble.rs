//! What can go wrong with the database, in words that name the file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// What can go wrong with the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no file yet.
    #[error("there is no database at {0}")]
    Missing(PathBuf),
    /// Whether there is one cannot be seen: a folder on the way there lets nobody like us in.
    #[error("{0} cannot be looked at: permission denied")]
    Closed(PathBuf),
    /// There is something else.
    #[error("{path} {what}, and no database can be in it")]
    NoFile {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file cannot be made.
    #[error("cannot create the database {path}: {error}")]
    Create {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file is no SQLite database.
    #[error("{0} is not an SQLite database")]
    NotADatabase(PathBuf),
    /// The file is a database of another program.
    #[error("{0} belongs to another program")]
    Foreign(PathBuf),
    /// A newer mdctl has been at work.
    #[error("the database has schema version {found}; this mdctl knows versions up to {known}")]
    Newer {
        /// The version of the file.
        found: i64,
        /// The newest one that this program knows.
        known: i64,
    },
    /// A value in the database is none of ours.
    #[error("the database holds {0}, which no mdctl writes")]
    Value(String),
    /// The write-ahead log has grown beyond all measure, for somebody reads what it would overwrite.
    #[error(
        "{path} has grown to {bytes} bytes and cannot be emptied: a program reads the database in a \
         transaction that it does not end"
    )]
    LogFull {
        /// The log's file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// While the database was copied, a run wrote so much that its log would soon be too long.
    #[error("a run writes faster than the database is copied: {path} has grown to {bytes} bytes")]
    Outrun {
        /// The log's file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// What was copied does not hold what it was copied from.
    #[error("the copy at {0} does not hold the rows that were copied")]
    NoCopy(PathBuf),
    /// SQLite's check finds the file damaged.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The first thing that was found, in SQLite's words.
        what: String,
    },
    /// SQLite's own complaint.
    #[error("{}", explain(*.trouble, .path.as_deref(), .error))]
    Sqlite {
        /// What it comes to.
        trouble: Trouble,
        /// The database, where it is known.
        path: Option<PathBuf>,
        /// In SQLite's words.
        error: rusqlite::Error,
    },
}

/// The result of asking the store.
pub type StoreResult<T> = Result<T, StoreError>;

/// What SQLite's complaint comes to, by what mends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No space is left.
    DiskFull,
    /// The disk fails.
    DiskBroken,
    /// The file, its folder or its disk may not be written.
    ReadOnly,
    /// Another program holds a lock.
    Locked,
    /// What stands in the file cannot be.
    Damaged,
    /// The process, or the machine, has as many files open as it may.
    TooManyFiles,
    /// The file cannot be opened.
    CannotOpen,
    /// Anything else.
    Other,
}

impl StoreError {
    /// Whether no space is left.
    #[must_use]
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::Sqlite { trouble: Trouble::DiskFull, .. })
    }

    /// Whether the database's file is not what it was, whoever wrote it.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::NotADatabase(_)
                | Self::Sqlite { trouble: Trouble::Damaged, .. }
        )
    }

    /// The same, about the database at `path`.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            Self::Foreign(_) => Self::Foreign(path.to_owned()),
            Self::Sqlite { error, .. }
                if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) =>
            {
                Self::NotADatabase(path.to_owned())
            }
            Self::Sqlite { trouble, path: None, error } => {
                Self::Sqlite { trouble, path: Some(path.to_owned()), error }
            }
            other => other,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Its;
        if let Its::IntegralValueOutOfRange(..)
        | Its::InvalidColumnType(..)
        | Its::FromSqlConversionFailure(..) = error
        {
            return Self::Value(format!("a value that cannot be ({error})"));
        }
        Self::Sqlite { trouble: trouble(&error), path: None, error }
    }
}

fn trouble(error: &rusqlite::Error) -> Trouble {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Trouble::DiskFull,
        Some(ErrorCode::ReadOnly) => Trouble::ReadOnly,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Locked,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Trouble::Damaged,
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) if files_run_out() => {
            Trouble::TooManyFiles
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Trouble::CannotOpen,
        Some(ErrorCode::SystemIoFailure) => Trouble::DiskBroken,
        _ => Trouble::Other,
    }
}

/// Whether no further file can be opened: SQLite does not say so. The database itself is not opened
/// for it, as closing it again would let go of its locks.
fn files_run_out() -> bool {
    File::open("/dev/null").is_err_and(|error| too_many_files(&error))
}

/// Whether the process (`EMFILE`) or the machine (`ENFILE`) has as many files open as it may.
#[must_use]
pub fn too_many_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// SQLite's complaint in words, with the file that it is about.
fn explain(trouble: Trouble, path: Option<&Path>, error: &rusqlite::Error) -> String {
    let file = path.map_or_else(|| "the database".to_owned(), |path| path.display().to_string());
    let what = match trouble {
        Trouble::DiskFull => format!("the disk is full, {file} cannot grow"),
        Trouble::DiskBroken => format!("the disk failed to read or write {file}"),
        Trouble::ReadOnly => format!("{file} cannot be written"),
        Trouble::Locked => format!("another program holds {file} locked"),
        Trouble::Damaged => format!("{file} is damaged"),
        Trouble::TooManyFiles => format!("too many files are open to work with {file}"),
        Trouble::CannotOpen => format!("{file} cannot be opened"),
        Trouble::Other => return error.to_string(),
    };
    match error.sqlite_error() {
        // Whether for want of space or not, SQLite does not say.
        Some(code) if code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
            format!(
                "the disk failed or is full: the index of the log of {file} cannot grow ({error})"
            )
        }
        // `disk I/O error` is all that the words say; the code says at what.
        Some(code) if trouble == Trouble::DiskBroken => {
            format!("{what} ({error}, code {})", code.extended_code)
        }
        _ => format!("{what} ({error})"),
    }
}
