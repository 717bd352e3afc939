//! The database's file: what is in it, what is wrong with it, copies of it.

use std::path::PathBuf;

/// What `db info` shows.
#[derive(Clone, Debug)]
pub struct Info {
    /// The schema's version.
    pub schema_version: i64,
    /// SQLite's own version.
    pub sqlite_version: String,
    /// The file's room.
    pub room: Room,
    /// Bytes of the log beside it.
    pub log_bytes: u64,
    /// Its tables, in the order of their names.
    pub tables: Vec<TableInfo>,
    /// Bars of all series, by their own count.
    pub bars: u64,
    /// The `ts` of the earliest bar; `None` without bars.
    pub first_bar_ts: Option<i64>,
    /// That of the latest.
    pub last_bar_ts: Option<i64>,
    /// When the earliest run on record began, epoch seconds UTC; `None` without runs.
    pub first_run_at: Option<i64>,
    /// When the latest did.
    pub last_run_at: Option<i64>,
}

impl Info {
    /// What a bar takes, its features with it, in bytes; `None` without bars.
    #[must_use]
    pub fn bytes_per_bar(&self) -> Option<u64> {
        let is_of_bars = |table: &&TableInfo| matches!(table.name.as_str(), "bars" | "features");
        let all: u64 = self.tables.iter().filter(is_of_bars).map(|table| table.bytes).sum();
        all.checked_div(self.bars)
    }
}

/// A table of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its pages and of its indexes'.
    pub bytes: u64,
}

/// How much of the database's file is used, and whether the rest can be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the file.
    pub bytes: u64,
    /// Those of them that are free to be used again.
    pub free_bytes: u64,
    /// Whether they can be given back.
    pub vacuum: Vacuum,
}

impl Room {
    /// Bytes of the file, less what is free in it.
    #[must_use]
    pub const fn used_bytes(&self) -> u64 {
        self.bytes - self.free_bytes
    }
}

/// Whether the database's file can give back what is free in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacuum {
    /// It only grows, until it is written anew.
    None,
    /// It does so at every commit.
    Full,
    /// It does so some pages at a time, when it is asked to.
    Incremental,
}

impl Vacuum {
    /// SQLite's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}

/// The newest backup of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastBackup {
    /// When it was begun, epoch seconds UTC.
    pub at: i64,
    /// Its size.
    pub bytes: u64,
    /// Its file.
    pub path: PathBuf,
}

/// What was copied, and found in the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The schema's version.
    pub schema_version: i64,
    /// Rows by table, in the order of their names.
    pub tables: Vec<(String, u64)>,
}

impl Copied {
    /// Rows of a table; 0 where there is no such table.
    #[must_use]
    pub fn rows(&self, table: &str) -> u64 {
        self.tables.iter().find(|(name, _)| name == table).map_or(0, |(_, rows)| *rows)
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Its word in JSON.
    pub code: &'static str,
    /// How many rows it is about; what SQLite says of a damaged file counts as one each.
    pub count: u64,
    /// What is wrong, in words.
    pub message: String,
    /// One of the rows; `None` where the message names it.
    pub subject: Option<String>,
    /// What mends it.
    pub mend: Mend,
}

/// What mends a flaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// These statements, while no run is at work.
    Sql(&'static str),
    /// A deed, in words.
    Words(&'static str),
}

/// What went of the bars of a timeframe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BarsGone {
    /// Series of which some went.
    pub series: u64,
    /// Bars.
    pub bars: u64,
    /// Series whose bars stay until the next run has computed their features.
    pub waiting: u64,
    /// Older bars that stay, as features of later ones are computed of them.
    pub kept_for_features: u64,
}
