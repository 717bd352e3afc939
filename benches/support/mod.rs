//! What the benchmarks share: a market to ask for, the program as a process, figures in words.

#[path = "../../tests/it/support/server.rs"]
pub(crate) mod server;

pub(crate) mod day;
pub(crate) mod distant;
pub(crate) mod figures;
pub(crate) mod market;
pub(crate) mod process;
pub(crate) mod shell;

use std::path::Path;

use rusqlite::Connection;

/// The schema that the program writes.
const SCHEMA: &str = include_str!("../../migrations/0001_bars_and_runs.sql");

/// What the program marks its databases with.
const APPLICATION_ID: i64 = 0x6d64_6374;

/// How many times to measure: the first number on the command line, else `usual`.
pub(crate) fn rounds(usual: usize) -> usize {
    std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(usual).max(1)
}

/// A folder that vanishes at the end, on the disk of the build.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder")
}

/// A new database with the program's schema and nothing in it.
pub(crate) fn empty_database(path: &Path) -> Connection {
    let connection = open(path);
    connection.execute_batch(SCHEMA).expect("the schema");
    let mark = |name, value| connection.pragma_update(None, name, value).expect("a pragma");
    mark("application_id", APPLICATION_ID);
    mark("user_version", 1);
    connection
}

/// A database as a bare loop would open it: nothing tuned but what keeps commits off the disk.
pub(crate) fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a database");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        .expect("the pragmas");
    connection
}

/// A config with one polygon provider, without quota or stagger, and one group.
pub(crate) struct Config<'a> {
    pub(crate) url: &'a str,
    pub(crate) asset_class: &'a str,
    pub(crate) timeframes: &'a [&'a str],
    /// Seconds, for every timeframe.
    pub(crate) lookback: i64,
    pub(crate) symbols: &'a [String],
}

impl Config<'_> {
    /// Writes it to `folder`; the database is to be `bench.db` beside it.
    pub(crate) fn write(&self, folder: &Path) {
        let lookback: Vec<String> =
            self.timeframes.iter().map(|tf| format!("\"{tf}\" = \"{}s\"", self.lookback)).collect();
        let text = format!(
            r#"[database]
path = "bench.db"

[run]
stagger = "0s"

[providers.loopback]
kind = "polygon"
base_url = "{}"
api_key = {{ file = "key" }}
history = "10y"
publication = {{ lag = "0s" }}
grouped = false
rate = {{ requests = 1000000, per = "1s" }}

[[group]]
name = "bench"
provider = "loopback"
asset_class = "{}"
symbols = {:?}
timeframes = {:?}
lookback = {{ {} }}
"#,
            self.url,
            self.asset_class,
            self.symbols,
            self.timeframes,
            lookback.join(", "),
        );
        let write = |name, text: &str| std::fs::write(folder.join(name), text).expect("a file");
        write("key", "not-a-key-only-as-long-as-one-is");
        write("mdctl.toml", &text);
    }
}
