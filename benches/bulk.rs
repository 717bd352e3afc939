//! Bulk: 20 symbols of 200,000 one-minute bars each, 50,000 a page, into a new database.
//!
//! The floor is a bare loop of prepared single-row `INSERT`s that puts the same rows from memory into
//! the same table, one transaction per 50,000 rows (WAL, `synchronous = NORMAL`, nothing else tuned);
//! the better floor puts fifty rows into a statement and lets the WAL grow to 4,000 pages.
//! The program is measured as a whole process: start, plan, requests to a loopback server in this
//! process, decoding, validation, storing, account. Beside it stands what people write by hand,
//! `client.py`, with the same server; it needs Python's httpx. Memory is also looked at with ten times
//! the range.
//!
//! ```text
//! cargo bench --bench bulk            five rounds
//! cargo bench --bench bulk -- 3       three
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::ToSql;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::figures::{Promise, Times, against};
use support::market::{Market, PAGE, Row};
use support::process::{Finished, run_watched};
use support::{Config, empty_database, rounds, scratch};

/// 2025-06-01T00:00:00Z: every bar has closed by then.
const END: i64 = 1_748_736_000;
const AS_OF: &str = "2025-06-01T00:00:00Z";

const SYMBOLS: usize = 20;
const BARS: i64 = 200_000;
const TIMES_THE_RANGE: i64 = 10;

/// Rows a statement, and pages that the WAL grows to, of the better floor.
const ROWS: usize = 50;
const LOG_PAGES: i64 = 4_000;

fn main() {
    let rounds = rounds(5);
    println!("bulk: {SYMBOLS} symbols x {BARS} bars of 1m, {PAGE} a page, {rounds} rounds");
    let memory = speed(rounds);
    let wide = stage(3, BARS * TIMES_THE_RANGE).fill();
    println!("{}", against("peak memory", memory, "MB", Promise::AtMost(80.0)));
    let name = format!("peak memory, {TIMES_THE_RANGE} times the range, 3 symbols");
    println!("{}", against(&name, wide.peak_mb, "MB", Promise::AtMost(80.0)));
    let growth = wide.peak_mb / memory;
    println!("{}", against("the latter to the former", growth, "", Promise::AtMost(1.1)));
}

/// Measures the program and the floors, in turn; tells the peak of memory.
fn speed(rounds: usize) -> f64 {
    let stage = stage(SYMBOLS, BARS);
    let (mut program, mut floor, mut better) = (Times::new(), Times::new(), Times::new());
    let mut peak_mb = 0.0_f64;
    let mut cpu = f64::INFINITY;
    for _ in 0..rounds {
        floor.add(bare_loop(&stage.market.rows, 1));
        better.add(bare_loop(&stage.market.rows, ROWS));
        let finished = stage.fill();
        peak_mb = peak_mb.max(finished.peak_mb);
        cpu = cpu.min(finished.cpu.as_secs_f64());
        program.add(finished.wall);
    }
    let bars = (BARS * SYMBOLS as i64) as f64;
    println!("{}", program.rate("mdctl backfill", bars, "bars"));
    println!("{}", floor.rate("floor: bare INSERTs", bars, "bars"));
    println!("{}", better.rate("better: fifty a statement", bars, "bars"));
    println!("  processor time a bar, at best {:.2} us", cpu / bars * 1e6);
    let all = [&floor, &better, &program];
    for (what, [floor, better, program]) in
        [("medians", all.map(Times::median)), ("best", all.map(Times::best))]
    {
        let share = floor / program;
        let name = format!("share of the floor ({what})");
        println!("{}", against(&name, share, "", Promise::AtLeast(1.0)));
        let share = better / program;
        let name = format!("share of the better floor ({what})");
        println!("{}", against(&name, share, "", Promise::AtLeast(0.75)));
    }
    if let Some(client) = stage.client() {
        let times = client.as_secs_f64() / program.median();
        println!("  the Python client takes {:.1} s", client.as_secs_f64());
        println!("{}", against("times the Python client", times, "", Promise::AtLeast(4.0)));
    }
    peak_mb
}

/// A server with its pages, and the config that asks it.
struct Stage {
    market: Arc<Market>,
    server: support::server::Server,
    symbols: Vec<String>,
    bars: i64,
}

fn stage(symbols: usize, bars: i64) -> Stage {
    let symbols: Vec<String> = (0..symbols).map(|index| format!("X:C{index:02}USD")).collect();
    let times = (0..bars).map(|index| END - (bars - index) * 60);
    let market = Arc::new(Market::new("1/minute", times, 0));
    let pages = market.pages(&symbols, END * 1000 - 1);
    let server = Arc::clone(&market).serve(pages);
    Stage { market, server, symbols, bars }
}

impl Stage {
    /// Has the program fill a new database.
    fn fill(&self) -> Finished {
        let folder = scratch();
        let config = Config {
            url: &self.server.url(),
            asset_class: "crypto",
            timeframes: &["1m"],
            lookback: self.bars * 60,
            symbols: &self.symbols,
        };
        config.write(folder.path());
        let finished = run_watched(folder.path(), &["backfill", "--as-of", AS_OF]);
        self.count(folder.path());
        finished.expect(0, folder.path())
    }

    /// Has the Python client fill a new database, once; `None` where it cannot run.
    fn client(&self) -> Option<Duration> {
        let folder = scratch();
        let database = folder.path().join("bench.db");
        drop(empty_database(&database));
        let (first, last) = (self.market.rows.first()?.ts * 1000, END * 1000 - 1);
        let started = Instant::now();
        let ended = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/client.py"))
            .arg(self.server.url())
            .arg(&database)
            .args([first.to_string(), last.to_string()])
            .args(&self.symbols)
            .status();
        let took = started.elapsed();
        if !ended.is_ok_and(|status| status.success()) {
            println!("  NO FIGURE: the client did not run; `pip install httpx`");
            return None;
        }
        let connection = Connection::open(database).expect("the database");
        let stored: i64 = connection
            .query_row("SELECT count(*) FROM bars", [], |row| row.get(0))
            .expect("the bars");
        if stored != self.bars * self.symbols.len() as i64 {
            println!("  NO FIGURE: the client stored {stored} bars");
        }
        Some(took)
    }

    /// Complains when not all bars are there, or more was asked for than needed.
    fn count(&self, folder: &Path) {
        let connection = Connection::open(folder.join("bench.db")).expect("the database");
        let stored: i64 = connection
            .query_row("SELECT sum(bar_count) FROM series", [], |row| row.get(0))
            .expect("the series");
        let wanted = self.bars * self.symbols.len() as i64;
        let (asked, pages) =
            (self.server.take_requests().len(), wanted.cast_unsigned().div_ceil(PAGE as u64));
        if stored != wanted || asked as u64 != pages {
            println!("  NO FIGURE: {stored} bars of {wanted}, {asked} requests for {pages} pages");
        }
    }
}

/// The floor: so many rows a statement.
fn bare_loop(rows: &[Row], at_once: usize) -> Duration {
    let folder = scratch();
    let started = Instant::now();
    let mut connection = empty_database(&folder.path().join("floor.db"));
    if at_once > 1 {
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES).expect("a longer WAL");
    }
    for series in 1..=SYMBOLS {
        for page in rows.chunks(PAGE) {
            let transaction = connection.transaction().expect("a transaction");
            insert(&transaction, series as i64, page, at_once).expect("the rows are stored");
            transaction.commit().expect("the commit");
        }
    }
    drop(connection);
    started.elapsed()
}

fn insert(
    connection: &Connection,
    series: i64,
    rows: &[Row],
    at_once: usize,
) -> rusqlite::Result<()> {
    let places = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?)"; at_once].join(",");
    let mut insert = connection.prepare_cached(&format!("INSERT INTO bars VALUES {places}"))?;
    for rows in rows.chunks_exact(at_once) {
        for (place, row) in rows.iter().enumerate() {
            let values: [&dyn ToSql; 9] = [
                &series,
                &row.ts,
                &row.open,
                &row.high,
                &row.low,
                &row.close,
                &row.volume,
                &row.vwap,
                &row.trades,
            ];
            for (column, value) in values.into_iter().enumerate() {
                insert.raw_bind_parameter(place * 9 + column + 1, value)?;
            }
        }
        insert.raw_execute()?;
    }
    Ok(())
}
