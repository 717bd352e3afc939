//! A fresh folder per test, the real binary in it, and looks into what it left behind.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Row};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) mod market;
pub(crate) mod server;
pub(crate) mod shim;
pub(crate) mod terminal;
pub(crate) mod tools;

use server::{Answer, Request, Server};

/// The key of every provider that wants one; nowhere to be found afterwards.
pub(crate) const KEY: &str = "sekrit-4711-Zyxw";

/// The usual judged instant: the end of a Friday.
pub(crate) const AS_OF: &str = "2024-03-15";

/// How long a state is waited for before a test gives up.
const PATIENCE: Duration = Duration::from_secs(180);

/// A folder of its own, with a home and a key.
pub(crate) struct Sandbox {
    folder: TempDir,
    key: Option<&'static str>,
}

impl Sandbox {
    /// An empty sandbox.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("mdctl-").tempdir().expect("a folder");
        fs::create_dir(folder.path().join("home")).expect("a home");
        Self { folder, key: Some(KEY) }
    }

    /// A sandbox with that config.
    pub(crate) fn with(config: &str) -> Self {
        let sandbox = Self::new();
        sandbox.write("mdctl.toml", config);
        sandbox
    }

    /// The same without the variable that holds the key.
    pub(crate) fn without_key(mut self) -> Self {
        self.key = None;
        self
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder above")).expect("folders");
        fs::write(path, text).expect("the file is written");
    }

    /// The text of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file is text")
    }

    /// A command that starts the binary here, in a clean environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mdctl"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.path("home"))
            .env("NO_COLOR", "1")
            .envs(self.key.map(|key| ("KEY", key)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn mdctl(&self, arguments: &[&str]) -> Output {
        self.finish(&mut self.command(arguments))
    }

    /// Runs `command` to its end.
    pub(crate) fn finish(&self, command: &mut Command) -> Output {
        let output = command.output().expect("mdctl starts");
        Output {
            command: format!("{command:?}"),
            files: listing(self.folder.path()),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts the binary and lets it run.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_command(&mut self.command(arguments))
    }

    /// Starts `command` and lets it run; what it says is in `said.log`.
    pub(crate) fn start_command(&self, command: &mut Command) -> Running {
        let said = self.path("said.log");
        let stderr = fs::File::create(&said).expect("a file for what it says");
        command.stdout(Stdio::null()).stderr(stderr);
        Running { child: command.spawn().expect("mdctl starts"), said }
    }

    /// A `backfill` that is judged at [`AS_OF`].
    pub(crate) fn backfill(&self, arguments: &[&str]) -> Output {
        self.backfill_at(AS_OF, arguments)
    }

    /// A `backfill` that is judged at `as_of`.
    pub(crate) fn backfill_at(&self, as_of: &str, arguments: &[&str]) -> Output {
        self.mdctl(&[&["backfill", "--as-of", as_of], arguments].concat())
    }

    /// The database, to look into.
    pub(crate) fn database(&self) -> Database {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(self.path("mdctl.db"), flags);
        Database(connection.expect("the database opens"))
    }

    /// Changes the database behind the program's back.
    pub(crate) fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.path("mdctl.db")).expect("the database opens");
        connection.execute_batch(sql).expect("the database is changed");
    }

    /// Makes the database one that the first release wrote: what stands in tables and columns that came
    /// later is gone.
    pub(crate) fn go_back_to_schema_1(&self) {
        let old = Connection::open(self.path("old.db")).expect("a database");
        let newer = self.path("mdctl.db");
        old.execute_batch(include_str!("../../../migrations/0001_bars_and_runs.sql"))
            .expect("the first schema");
        old.execute("ATTACH ? AS newer", [newer.to_str()]).expect("the newer database");
        let mut tables = old
            .prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'")
            .expect("its tables");
        let names: Vec<String> = tables
            .query_map([], |row| row.get(0))
            .and_then(Iterator::collect)
            .expect("their names");
        drop(tables);
        for table in names {
            let columns: String = old
                .query_row(
                    "SELECT group_concat('\"' || name || '\"') FROM pragma_table_info(?)",
                    [&table],
                    |row| row.get(0),
                )
                .expect("its columns");
            let copy = format!("INSERT INTO main.{table} SELECT {columns} FROM newer.{table}");
            old.execute(&copy, []).expect("its rows");
        }
        old.execute_batch(
            "DETACH newer; PRAGMA application_id = 0x6d646374; PRAGMA user_version = 1;
             PRAGMA journal_mode = WAL;",
        )
        .expect("its marks");
        drop(old);
        for ending in ["-wal", "-shm"] {
            let _ = fs::remove_file(self.path(&format!("mdctl.db{ending}")));
        }
        fs::rename(self.path("old.db"), newer).expect("it takes the newer one's place");
    }

    /// Whether `needle` stands in any file here.
    pub(crate) fn holds(&self, needle: &str) -> bool {
        files(self.folder.path()).iter().any(|path| {
            let bytes = fs::read(path).expect("the file is read");
            bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        })
    }
}

/// A process that was started and is killed, if need be, when the test is over.
pub(crate) struct Running {
    child: Child,
    /// The file of what it says on stderr.
    said: PathBuf,
}

impl Running {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the signal is sent");
    }

    /// Whether it is stopped, until it is told to go on.
    pub(crate) fn is_stopped(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        status.is_ok_and(|status| status.contains("State:\tT"))
    }

    /// Waits for its end; tells the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it ended").code()
    }

    /// The exit code, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().expect("it can be asked").map(|status| status.code())
    }

    /// Whether it waits for a lock that another process holds; `false` where the system does not say.
    pub(crate) fn waits_for_a_lock(&self) -> bool {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let id = self.child.id().to_string();
        let waits = |line: &str| line.contains("->") && line.split(' ').any(|word| word == id);
        locks.lines().any(waits)
    }

    /// The most memory that it has had so far, in bytes, less the pages of its own program, of which a build
    /// for tests has many; `None` where the system does not say.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        };
        Some((kibibytes("VmHWM:")?.saturating_sub(kibibytes("RssFile:")?)) * 1_024)
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it ended");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            let ended = self.child.try_wait();
            let said = fs::read_to_string(&self.said).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "--- a started mdctl ({ended:?}) said\n{said}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a call left behind.
#[derive(Debug)]
pub(crate) struct Output {
    command: String,
    files: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert!(self.code == Some(code), "expected exit code {code}, got {:?}{self:#}", self.code);
        self
    }

    /// The one JSON document of stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("stdout is not one JSON document: {error}{self:#}"),
        }
    }

    /// Asserts that `words` stand on stderr.
    #[track_caller]
    pub(crate) fn expect_stderr(&self, words: &str) -> &Self {
        assert!(self.stderr.contains(words), "expected {words:?} on stderr{self:#}");
        self
    }

    /// Asserts that `words` stand on stdout.
    #[track_caller]
    pub(crate) fn expect_stdout(&self, words: &str) -> &Self {
        assert!(self.stdout.contains(words), "expected {words:?} on stdout{self:#}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, files, code, stdout, stderr } = self;
        write!(
            f,
            "\n--- command\n{command}\n--- exit code\n{code:?}\n--- files\n{files}--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// The database as another program sees it.
pub(crate) struct Database(pub(crate) Connection);

impl Database {
    /// The rows of a query.
    #[track_caller]
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Vec<T> {
        let mut statement = self.0.prepare(sql).expect("a query");
        let rows = statement.query_map([], read).expect("the query runs");
        rows.collect::<Result<_, _>>().expect("the rows read")
    }

    /// The one number that a query gives.
    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).expect("one number")
    }

    /// The first column of a query, as text.
    #[track_caller]
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        self.rows(sql, |row| row.get(0))
    }

    /// The first column of a query, as numbers.
    #[track_caller]
    pub(crate) fn numbers(&self, sql: &str) -> Vec<i64> {
        self.rows(sql, |row| row.get(0))
    }

    /// The times of a series' stored bars.
    #[track_caller]
    pub(crate) fn times(&self, symbol: &str, timeframe: &str) -> Vec<i64> {
        self.numbers(&format!(
            "SELECT ts FROM bars JOIN series USING (series_id)
             WHERE symbol = '{symbol}' AND timeframe = '{timeframe}' ORDER BY ts"
        ))
    }

    /// A series' stored bars.
    #[track_caller]
    pub(crate) fn bars(&self, symbol: &str, timeframe: &str) -> Vec<market::Row> {
        let sql = format!(
            "SELECT ts, open, high, low, close, volume, vwap, trades FROM bars
             JOIN series USING (series_id)
             WHERE symbol = '{symbol}' AND timeframe = '{timeframe}' ORDER BY ts"
        );
        self.rows(&sql, |row| {
            Ok(market::Row {
                ts: row.get(0)?,
                open: row.get(1)?,
                high: row.get(2)?,
                low: row.get(3)?,
                close: row.get(4)?,
                volume: row.get(5)?,
                vwap: row.get(6)?,
                trades: row.get(7)?,
            })
        })
    }

    /// `reason missing` of every gap of a symbol.
    #[track_caller]
    pub(crate) fn gaps(&self, symbol: &str) -> Vec<String> {
        self.texts(&format!(
            "SELECT reason || ' ' || missing FROM gaps JOIN series USING (series_id)
             WHERE symbol = '{symbol}' ORDER BY from_ts"
        ))
    }
}

/// Spins until `state` holds.
pub(crate) fn wait_until(mut state: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !state() {
        assert!(begun.elapsed() < PATIENCE, "what was waited for never came");
        thread::yield_now();
    }
}

/// A provider `p` of kind polygon at `base_url`, with quick retries; `more` are further lines.
pub(crate) fn polygon(base_url: &str, more: &str) -> String {
    format!(
        r#"
[run]
stagger = "0s"

[providers.p]
kind = "polygon"
base_url = "{base_url}"
api_key = {{ env = "KEY" }}
history = "20y"
rate = {{ requests = 1000, per = "1s" }}
retry = {{ max_retries = 2, initial = "1ms", max = "2s" }}
{more}
"#
    )
}

/// A provider `b` of kind binance at `base_url`.
pub(crate) fn binance(base_url: &str, more: &str) -> String {
    format!(
        r#"
[run]
stagger = "0s"

[providers.b]
kind = "binance"
base_url = "{base_url}"
rate = {{ requests = 1000, per = "1s" }}
retry = {{ max_retries = 2, initial = "1ms", max = "2s" }}
{more}
"#
    )
}

/// A group of that asset class; `more` are further lines, `timeframes` among them.
pub(crate) fn group(provider: &str, class: &str, symbols: &[&str], more: &str) -> String {
    format!(
        r#"
[[group]]
name = "{class}s"
provider = "{provider}"
asset_class = "{class}"
symbols = {symbols:?}
{more}
"#
    )
}

/// Daily bars of the last thirty days.
pub(crate) const DAILY: &str = r#"timeframes = ["1d"]
lookback = { "1d" = "30d" }"#;

/// The sessions that [`DAILY`] asks for at [`AS_OF`].
pub(crate) fn daily_sessions() -> Vec<i64> {
    market::sessions("2024-02-15", AS_OF)
}

/// A server with daily bars of `symbols`, and a sandbox that tracks them.
pub(crate) fn daily_stocks(symbols: &[&str]) -> (Server, Sandbox) {
    let market = market::Market::daily(symbols, &market::sessions("2020-01-02", "2024-06-28"));
    faulty_stocks(symbols, move |request| market.polygon(request))
}

/// A sandbox that tracks daily bars of `symbols` at a server that answers as `responder` says.
pub(crate) fn faulty_stocks(
    symbols: &[&str],
    responder: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Server, Sandbox) {
    let server = Server::start(responder);
    let config = polygon(&server.url(), "") + &group("p", "stock", symbols, DAILY);
    let sandbox = Sandbox::with(&config);
    (server, sandbox)
}

/// A sandbox that tracks `AAA` at a server that gives three bars a page, and hangs on the request number
/// `after` and all later ones.
pub(crate) fn hanging(after: usize) -> (Server, Sandbox) {
    let market = market::Market::daily(&["AAA"], &daily_sessions()).paged(3);
    let answered = AtomicUsize::new(0);
    faulty_stocks(&["AAA"], move |request| {
        let index = answered.fetch_add(1, Ordering::SeqCst);
        if index < after { market.polygon(request) } else { Answer::Hang }
    })
}

/// What each request to polygon asked for: `SYMBOL TIMEFRAME FROM TO`.
pub(crate) fn asked(requests: &[Request]) -> Vec<String> {
    requests
        .iter()
        .map(|request| match market::PolygonAsk::of(request) {
            Some(ask) => format!("{} {} {} {}", ask.symbol, ask.timeframe, ask.from, ask.to),
            None => request.target(),
        })
        .collect()
}

/// The names of a JSON object's fields, sorted.
#[track_caller]
pub(crate) fn fields(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn listing(folder: &Path) -> String {
    files(folder).iter().fold(String::new(), |mut text, path| {
        let bytes = fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
        let name = path.strip_prefix(folder).unwrap_or(path).display();
        let _ = writeln!(text, "{name} ({bytes} bytes)");
        text
    })
}

/// Copies the program, by a process of its own: one that is started meanwhile would hold a copy of this one's open to
/// be written, and what is open to be written cannot be run.
pub(crate) fn copy_program(to: &Path) {
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_mdctl")).arg(to).status();
    assert!(copied.expect("cp starts").success(), "no copy of the program");
}
