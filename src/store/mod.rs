//! The one local SQLite file: everything that outlives a call, and all SQL.
//!
//! One writer: a run holds the lock beside the database ([`lock`]) and writes through [`Store::write`],
//! one transaction a batch of pages. Reports open the file read-only ([`Store::open_read`]) and work
//! while a run writes (WAL). Methods are named noun first, one file a noun.
//!
//! The store judges nothing: what is due, late or wrong is for `calendar`, `plan` and `report`.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use thiserror::Error;

mod bar;
mod fact;
mod gap;
pub mod lock;
mod migrate;
mod run;
mod series;
mod state;

pub use bar::{BarQuery, Put};
pub use gap::GapRow;
pub use run::NewRun;
pub use series::Tracked;
pub use state::Remembered;

/// How long a writer waits for a foreign one, and a reader for a checkpoint.
const BUSY: Duration = Duration::from_secs(5);

/// What can go wrong with the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no file yet.
    #[error("there is no database at {0}")]
    Missing(PathBuf),
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
    #[error("the database belongs to another program")]
    Foreign,
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
    /// SQLite's own complaint.
    #[error("{}", explain(.0))]
    Sqlite(#[from] rusqlite::Error),
}

/// The result of asking the store.
pub type StoreResult<T> = Result<T, StoreError>;

/// An open database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

/// A write transaction; dropped without [`Store::write`] finishing, nothing of it remains.
#[derive(Debug)]
pub struct Writer<'store> {
    connection: &'store Connection,
}

impl Store {
    /// Opens `path` to write, makes it if it is not there, and brings its schema up to date.
    ///
    /// A new file is readable by its owner only.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or opened, is no database of ours, or comes from a newer mdctl.
    pub fn open_write(path: &Path) -> StoreResult<Self> {
        let create = |error| StoreError::Create { path: path.to_owned(), error };
        if !path.exists() {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(create)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(path, flags).map_err(|error| located(path, error))?;
        settle(&connection)?;
        migrate::version(&connection).map_err(|error| relocated(path, error))?;
        // A page's commit need not wait for the disk: the WAL keeps the file whole, and what a power
        // loss takes back is planned again. A longer WAL saves writing hot pages again and again.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY;",
        )?;
        connection.set_prepared_statement_cache_capacity(64);
        migrate::migrate(&mut connection)?;
        Ok(Self { connection })
    }

    /// Opens `path` to read; it may be written to meanwhile.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it is no database of ours, or comes from a newer mdctl.
    pub fn open_read(path: &Path) -> StoreResult<Self> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let opened = open_shared(path).or_else(|error| match error {
            // Nobody writes, and nobody may: there is no log to read, and none can be made.
            StoreError::Sqlite(_) if !beside(path, "-wal").exists() => open_alone(path),
            other => Err(other),
        });
        let (connection, version) = opened?;
        if version == 0 {
            return Err(StoreError::Missing(path.to_owned()));
        }
        connection.execute_batch("PRAGMA cache_size = -16000; PRAGMA query_only = ON;")?;
        Ok(Self { connection })
    }

    /// Runs `work` in one transaction: all of it is written, or nothing.
    ///
    /// # Errors
    ///
    /// What `work` fails with, or the commit.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let done = work(&Writer { connection: &tx })?;
        tx.commit().map_err(StoreError::from)?;
        Ok(done)
    }

    /// Moves what the WAL holds into the database and empties it, unless a reader is in the way.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn checkpoint(&self) -> StoreResult<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

/// Opens a database that others may write to meanwhile.
fn open_shared(path: &Path) -> StoreResult<(Connection, i64)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    read_version(path, Connection::open_with_flags(path, flags))
}

/// Opens a database in a folder where no file can be made beside it.
fn open_alone(path: &Path) -> StoreResult<(Connection, i64)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let name = path.display().to_string();
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    read_version(path, Connection::open_with_flags(format!("file:{name}?immutable=1"), flags))
}

fn read_version(
    path: &Path,
    opened: rusqlite::Result<Connection>,
) -> StoreResult<(Connection, i64)> {
    let connection = opened.map_err(|error| located(path, error))?;
    settle(&connection)?;
    let version = migrate::version(&connection).map_err(|error| relocated(path, error))?;
    Ok((connection, version))
}

/// The file of that name and ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// What every connection wants.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    // Else the planner peeks at bound values and parses a cached statement anew for each of them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY)
}

/// SQLite's error with the path that it is about.
fn located(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotADatabase(path.to_owned()),
        _ => StoreError::Sqlite(error),
    }
}

/// Likewise, for an error that is already the store's.
fn relocated(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Sqlite(error) => located(path, error),
        other => other,
    }
}

/// SQLite's complaint in words that name the remedy where there is one.
fn explain(error: &rusqlite::Error) -> String {
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::ReadOnly) => "the database or its folder cannot be written",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds the database locked"
        }
        Some(ErrorCode::DatabaseCorrupt) => "the database is damaged",
        Some(ErrorCode::CannotOpen) => "the database cannot be opened",
        Some(ErrorCode::PermissionDenied) => "the database may not be opened",
        Some(ErrorCode::SystemIoFailure) => "the disk failed to read or write",
        _ => return error.to_string(),
    };
    format!("{remedy} ({error})")
}

/// Reads a word that this program wrote into the database.
fn word<T: std::str::FromStr>(text: &str) -> StoreResult<T> {
    text.parse().map_err(|_| StoreError::Value(format!("`{text}`")))
}

/// A count for the database.
fn sql_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from the database.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
