//! The one local SQLite file: everything that outlives a call, and all SQL.
//!
//! One writer: a run holds the lock beside the database ([`lock`]) and writes through [`Store::write`],
//! one transaction a batch of pages. Reports open the file read-only ([`Store::open_read`]) and work
//! while a run writes (WAL), holding no transaction while they are shown. Methods are named noun first,
//! one file a noun.
//!
//! The log that a reader keeps from being emptied has a limit (`log.rs`), and what goes wrong is told with
//! its file and its cause (`trouble.rs`).
//!
//! The store judges nothing: what is due, late or wrong is for `calendar`, `plan` and `report`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row, TransactionBehavior};

mod access;
mod action;
mod ahead;
mod aide;
mod alert;
mod bar;
mod check;
mod copy;
pub mod disk;
mod fact;
mod factor;
mod feature;
mod gap;
mod identity;
mod info;
mod interrupt;
mod left;
pub mod lock;
mod log;
mod many;
mod migrate;
mod prune;
mod quality;
mod reference;
mod rejection;
mod run;
mod scratch;
mod series;
mod series_fact;
mod service;
mod sound;
mod state;
mod sum;
mod total;
mod traffic;
mod trouble;
mod vacuum;
mod whole;

pub use access::mode as mode_of;
pub use ahead::{Ahead, Wanted};
pub use alert::Holding;
pub use bar::{Again, BarQuery, Claim, Put};
pub use copy::Progress;
pub use identity::identity_of;
pub use prune::Pruned;
pub use run::NewRun;
pub use scratch::Scratch;
pub use series::{SeriesRow, Tracked};
pub use state::Remembered;
pub use trouble::{StoreError, StoreResult, Trouble, too_many_files};

use crate::domain::beside::Beside;

use aide::Aide;
use log::{Limits, Log};

/// How long a writer waits for a foreign one, and a reader for a checkpoint.
const BUSY: Duration = Duration::from_secs(5);

/// An open database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    log: Log,
    /// Who moves what the log holds into the database; `None` while that was never much.
    mover: Option<Aide<(), ()>>,
    /// Whether the log stays when nobody has the database open any more.
    keeps_log: bool,
}

/// A write transaction; dropped without [`Store::write`] finishing, nothing of it remains.
#[derive(Debug)]
pub struct Writer<'store> {
    connection: &'store Connection,
}

impl Store {
    /// Opens `path` to write, makes it if it is not there, and brings its schema up to date.
    ///
    /// A new file is readable by its owner only, that of a system install by its group, too.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or opened, is no database of ours, or comes from a newer mdctl.
    pub fn open_write(path: &Path) -> StoreResult<Self> {
        Self::open_limited(path, Limits::USUAL)
    }

    /// Likewise, with a log of such a length.
    fn open_limited(path: &Path, limits: Limits) -> StoreResult<Self> {
        let create = |error| StoreError::Create { path: path.to_owned(), error };
        match whole::look(path) {
            Err(StoreError::Missing(_)) => {
                access::open(path, access::mode(path)).map_err(create)?;
            }
            looked => looked?,
        }
        let connection = connect_to_write(path).map_err(|error| error.at(path))?;
        let keeps_log = access::is_of_group(path);
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps_log)
            .map_err(|error| StoreError::from(error).at(path))?;
        let log = Log::of(path, limits);
        Ok(Self { connection, path: path.to_owned(), log, mover: None, keeps_log })
    }

    /// Opens `path` to read; it may be written to meanwhile.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it is no database of ours, is damaged, or comes from a newer mdctl.
    pub fn open_read(path: &Path) -> StoreResult<Self> {
        whole::look(path)?;
        let opened = open_shared(path).or_else(|error| match error {
            // Nobody writes, and nobody may: there is no log to read, and none can be made.
            StoreError::Sqlite { .. } if !Beside::Log.of(path).exists() => {
                open_alone(path, OpenFlags::empty())
            }
            other => Err(other),
        });
        let (connection, version) = opened.map_err(|error| error.at(path))?;
        if version == 0 {
            return Err(StoreError::Missing(path.to_owned()));
        }
        connection
            .execute_batch("PRAGMA cache_size = -16000; PRAGMA query_only = ON;")
            .map_err(|error| StoreError::from(error).at(path))?;
        let log = Log::of(path, Limits::USUAL);
        Ok(Self { connection, path: path.to_owned(), log, mover: None, keeps_log: false })
    }

    /// Runs `work` in one transaction: all of it is written, or nothing.
    ///
    /// # Errors
    ///
    /// What `work` fails with, or the commit; and, once it is committed, when the log has become too
    /// long to go on.
    pub fn write<T>(&mut self, work: impl FnOnce(&Writer<'_>) -> StoreResult<T>) -> StoreResult<T> {
        let done = self.transact(work).and_then(|done| self.log_tame().map(|()| done));
        done.map_err(|error| error.at(&self.path))
    }

    fn transact<T>(&mut self, work: impl FnOnce(&Writer<'_>) -> StoreResult<T>) -> StoreResult<T> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&Writer { connection: &tx })?;
        tx.commit()?;
        Ok(done)
    }

    /// Asks the database; what goes wrong names its file.
    fn read<T>(&self, ask: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        ask(&self.connection).map_err(|error| error.at(&self.path))
    }

    /// Moves what the WAL holds into the database and empties it, unless a reader is in the way.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn checkpoint(&mut self) -> StoreResult<()> {
        self.log_empty().map_err(|error| error.at(&self.path))?;
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Its connection is not to be the last one, with which SQLite removes the log.
        self.mover = None;
        if self.keeps_log {
            // SQLite empties a log as it removes it. Who is in the way is not waited for: the next one does.
            let _ = self.connection.busy_timeout(Duration::ZERO);
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
    }
}

impl Writer<'_> {
    /// Does `work`; where it fails for a reason of its own, nothing of it remains, and the transaction
    /// goes on.
    ///
    /// # Errors
    ///
    /// When the trouble is the database's as a whole: a full disk, a damaged file.
    pub fn attempt<T>(
        &self,
        work: impl FnOnce(&Self) -> StoreResult<T>,
    ) -> StoreResult<Result<T, StoreError>> {
        let execute = |sql| self.connection.prepare_cached(sql)?.execute([]);
        execute("SAVEPOINT attempt")?;
        let done = match work(self) {
            Err(
                error @ (StoreError::Value(_) | StoreError::Sqlite { trouble: Trouble::Other, .. }),
            ) => {
                execute("ROLLBACK TO attempt")?;
                Err(error)
            }
            done => Ok(done?),
        };
        execute("RELEASE attempt")?;
        Ok(done)
    }
}

/// Opens a database that is there, and brings its schema up to date.
fn connect_to_write(path: &Path) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    settle(&connection)?;
    migrate::version(&connection)?;
    whole::whole(&connection, path)?;
    vacuum::prepare(&connection)?;
    // A page's commit need not wait for the disk: the WAL keeps the file whole, and what a power
    // loss takes back is planned again. A longer WAL saves writing hot pages again and again; long before it
    // is so long that a commit empties it, a thread of its own has (`log.rs`).
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 12000; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    migrate::migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a database that others may write to meanwhile.
fn open_shared(path: &Path) -> StoreResult<(Connection, i64)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    with_version(Connection::open_with_flags(path, flags)?, path)
}

/// Opens a database that nobody writes to meanwhile: nothing is made beside it.
fn open_alone(path: &Path, more: OpenFlags) -> StoreResult<(Connection, i64)> {
    let flags = more
        | OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let name = path.display().to_string();
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    with_version(Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?, path)
}

fn with_version(connection: Connection, path: &Path) -> StoreResult<(Connection, i64)> {
    settle(&connection)?;
    let version = migrate::version(&connection)?;
    whole::whole(&connection, path)?;
    Ok((connection, version))
}

/// What every connection wants.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    // Else the planner peeks at bound values and parses a cached statement anew for each of them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY)
}

/// Reads a word that this program wrote into the database.
fn word<T: std::str::FromStr>(text: &str) -> StoreResult<T> {
    text.parse().map_err(|_| StoreError::Value(format!("`{text}`")))
}

/// A text of a row.
fn text<'row>(row: &'row Row<'_>, column: usize) -> StoreResult<&'row str> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}

/// A text of a row; `None` where there is none.
fn text_or_null<'row>(row: &'row Row<'_>, column: usize) -> StoreResult<Option<&'row str>> {
    Ok(row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?)
}

/// A count for the database.
fn sql_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from the database.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
