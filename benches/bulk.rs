//! Bulk: 20 symbols of 200,000 one-minute bars each, 50,000 a page, into a new database.
//!
//! The floor is a bare loop of prepared single-row `INSERT`s that puts the same rows from memory into
//! the same table, one transaction per 50,000 rows (WAL, `synchronous = NORMAL`, nothing else tuned).
//! The program is measured as a whole process: start, plan, requests to a loopback server in this
//! process, decoding, validation, storing, account. Memory is also looked at with ten times the range.
//!
//! ```text
//! cargo bench --bench bulk            five rounds
//! cargo bench --bench bulk -- 3       three
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

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

fn main() {
    let rounds = rounds(5);
    println!("bulk: {SYMBOLS} symbols x {BARS} bars of 1m, {PAGE} a page, {rounds} rounds");
    let memory = speed(rounds);
    let wide = stage(3, BARS * TIMES_THE_RANGE).fill();
    println!("{}", against("peak memory", memory, "MB", Promise::AtMost(100.0)));
    let name = format!("peak memory, {TIMES_THE_RANGE} times the range, 3 symbols");
    println!("{}", against(&name, wide.peak_mb, "MB", Promise::AtMost(100.0)));
    let growth = wide.peak_mb / memory;
    println!("{}", against("the latter to the former", growth, "", Promise::AtMost(1.1)));
}

/// Measures both, in turn; tells the peak of memory.
fn speed(rounds: usize) -> f64 {
    let stage = stage(SYMBOLS, BARS);
    let (mut program, mut floor) = (Times::new(), Times::new());
    let mut peak_mb = 0.0_f64;
    for _ in 0..rounds {
        floor.add(bare_loop(&stage.market.rows));
        let finished = stage.fill();
        peak_mb = peak_mb.max(finished.peak_mb);
        program.add(finished.wall);
    }
    let bars = (BARS * SYMBOLS as i64) as f64;
    println!("{}", program.rate("mdctl backfill", bars, "bars"));
    println!("{}", floor.rate("floor: bare INSERTs", bars, "bars"));
    let share = floor.median() / program.median();
    println!("{}", against("share of the floor (medians)", share, "", Promise::AtLeast(0.6)));
    let share = floor.best() / program.best();
    println!("{}", against("share of the floor (best)", share, "", Promise::AtLeast(0.6)));
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

/// The floor.
fn bare_loop(rows: &[Row]) -> Duration {
    let folder = scratch();
    let started = Instant::now();
    let mut connection = empty_database(&folder.path().join("floor.db"));
    for series in 1..=SYMBOLS {
        for page in rows.chunks(PAGE) {
            let transaction = connection.transaction().expect("a transaction");
            insert(&transaction, series as i64, page).expect("the rows are stored");
            transaction.commit().expect("the commit");
        }
    }
    drop(connection);
    started.elapsed()
}

fn insert(connection: &Connection, series: i64, rows: &[Row]) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for row in rows {
        insert.execute(params![
            series, row.ts, row.open, row.high, row.low, row.close, row.volume, row.vwap,
            row.trades
        ])?;
    }
    Ok(())
}
