//! Reports: a database with 5,000 x 5 series, 10,000 runs an hour apart, 1,000,000 jobs and as many
//! requests; whole processes, once with every series fresh and once with every one stale.
//!
//! The floor is the `sqlite3` shell, asked in the same run, of the same database, for what the report
//! rests on. It judges nothing: what a run wrote down of each series is all that it knows.
//!
//! ```text
//! cargo bench --bench reports            ten rounds
//! cargo bench --bench reports -- 30      thirty
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::path::Path;

use mdctl::config::{self, Settings};
use rusqlite::{Connection, params};
use ulid::Ulid;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::figures::{Promise, Times, against};
use support::process::{run, run_watched};
use support::shell::Shell;
use support::{Config, empty_database, rounds, scratch};

/// The schemas after the first, up to the one that the rows are written in.
const LATER: [&str; 4] = [
    include_str!("../migrations/0002_what_outlives_a_run.sql"),
    include_str!("../migrations/0003_what_makes_bars_trustworthy.sql"),
    include_str!("../migrations/0004_what_monitoring_remembers.sql"),
    include_str!("../migrations/0005_what_operation_remembers.sql"),
];

const SYMBOLS: usize = 5_000;
const TIMEFRAMES: [&str; 5] = ["5m", "15m", "30m", "1h", "1d"];
const RUNS: i64 = 10_000;
/// The newest runs have a job for every symbol: 1,000,000 in all.
const RUNS_WITH_JOBS: i64 = 200;
const FAILURES: i64 = 200;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// How old the bars of a stale series are.
const STALE: i64 = 100 * DAY;

/// A report may take so many times as long as the shell.
const PROMISE: Promise = Promise::AtMost(1.5);

/// What is measured: its arguments, the exit codes that are all right, and what the shell is asked.
type Report = (&'static [&'static str], &'static [i32], Option<&'static str>);

const REPORTS: [Report; 13] = [
    (&["staleness", "--json"], &[0], Some(EVERY_SERIES)),
    (&["staleness"], &[0], None),
    (&["health"], &[0, 1, 2], Some(VERDICT)),
    (&["health", "--json"], &[0, 1, 2], Some(VERDICT)),
    (&["history"], &[0], Some(NEWEST_RUNS)),
    (&["history", "--json"], &[0], Some(NEWEST_RUNS)),
    (&["history", "last"], &[0], None),
    (&["status"], &[0], None),
    (&["quality", "--json"], &[0], None),
    (&["slo"], &[0], None),
    (&["metrics", "--json"], &[0], None),
    (&["metrics", "--format", "prometheus"], &[0], None),
    (&["alerts"], &[0, 1, 2], None),
];

/// The state of every series, the worst first. The shell leaves times as numbers, which is cheaper than the
/// text that the program writes.
const EVERY_SERIES: &str = "
    SELECT symbol, timeframe, status, last_bar_ts, lag_seconds, last_computed_at, checked_at
      FROM freshness ORDER BY lag_seconds DESC, symbol, timeframe";

/// What the verdict rests on: how many series are in which state, those that fail or fell silent, the last
/// runs, what failed lately, and whatever somebody is to look at.
const VERDICT: &str = "
    SELECT status, count(*) FROM freshness GROUP BY status;
    SELECT count(*) FROM tracked_symbols WHERE active;
    SELECT symbol, timeframe, consecutive_failures, last_error, restated_to FROM series
     WHERE consecutive_failures >= 3 OR restated_to IS NOT NULL ORDER BY consecutive_failures DESC;
    SELECT s.symbol, s.timeframe, g.from_ts FROM gaps AS g JOIN series AS s USING (series_id)
     WHERE g.reason = 'provider_empty' AND g.checked_count >= 3;
    SELECT * FROM runs ORDER BY run_id DESC LIMIT 2;
    SELECT * FROM runs WHERE status = 'succeeded' AND command <> 'import' ORDER BY run_id DESC LIMIT 1;
    SELECT sum(failed), sum(symbols_total), sum(rate_limited), sum(requests) FROM runs
     WHERE started_at >= unixepoch() - 86400;
    SELECT * FROM failures WHERE at >= unixepoch() - 86400 ORDER BY at DESC LIMIT 50;
    SELECT symbol, timeframe, quality_score FROM quality_metrics
     WHERE metric_date = date() AND quality_score < 0.85;
    SELECT * FROM corporate_actions WHERE status = 'disputed';
    SELECT * FROM breaker_state;
    SELECT * FROM rate_state;
    SELECT * FROM controls;
    SELECT * FROM alert_unsent";

const NEWEST_RUNS: &str = "SELECT * FROM runs ORDER BY run_id DESC LIMIT 10";

fn main() {
    let rounds = rounds(10);
    let shell = Shell::find();
    let names: Vec<String> = (0..SYMBOLS).map(|index| format!("S{index:04}")).collect();
    for (case, age) in [("fresh", 0), ("stale", STALE)] {
        let folder = scratch();
        let config = Config {
            url: "http://127.0.0.1:9",
            asset_class: "stock",
            timeframes: &TIMEFRAMES,
            lookback: 2 * 365 * DAY,
            symbols: &names,
        };
        config.write(folder.path());
        let settings = config::load(&folder.path().join("mdctl.toml"), None).expect("the config");
        fill(folder.path(), &settings, age).expect("the rows are stored");
        println!("reports: {SYMBOLS} x {} series, all {case}, {rounds} rounds", TIMEFRAMES.len());
        for report in REPORTS {
            measure(folder.path(), report, shell.as_ref(), rounds);
        }
    }
}

/// Measures a report and the shell in turn, so that what disturbs one disturbs the other.
fn measure(folder: &Path, (arguments, codes, sql): Report, shell: Option<&Shell>, rounds: usize) {
    let floor = shell.zip(sql);
    let json = arguments.contains(&"--json");
    let (mut times, mut floors) = (Times::new(), Times::new());
    for _ in 0..rounds {
        let finished = run(folder, arguments);
        let code = finished.code.filter(|code| codes.contains(code)).unwrap_or(codes[0]);
        times.add(finished.expect(code, folder).wall);
        if let Some((shell, sql)) = floor {
            floors.add(shell.ask(&folder.join("bench.db"), sql, json));
        }
    }
    let peak_mb = run_watched(folder, arguments).peak_mb;
    let millis = |times: &Times| (times.median() * 1000.0, times.best() * 1000.0);
    let ((name, (median, best)), (floor_median, floor_best)) =
        ((arguments.join(" "), millis(&times)), millis(&floors));
    println!("  {name:<44} {median:8.2} ms   best {best:.2} ms, peak memory {peak_mb:.0} MB");
    if floor.is_some() {
        println!("    the shell {floor_median:42.2} ms   best {floor_best:.2} ms");
        println!("{}", against("  of the shell's time", median / floor_median, "x", PROMISE));
    }
}

/// Fills the config's database: series whose last bar is the last due one of `age` seconds ago. It is filled as
/// an earlier version had it, and the program brings it up to date: what it sums up stands there, then.
fn fill(folder: &Path, settings: &Settings, age: i64) -> rusqlite::Result<()> {
    let now = mdctl::clock::now();
    let mut connection = empty_database(&settings.database);
    LATER.iter().try_for_each(|sql| connection.execute_batch(sql))?;
    connection.pragma_update(None, "user_version", LATER.len() as i64 + 1)?;
    let transaction = connection.transaction()?;
    symbols(&transaction, settings, now)?;
    series(&transaction, settings, now - age)?;
    judged(&transaction, age, now)?;
    runs(&transaction, settings, now)?;
    transaction.commit()?;
    drop(connection);
    run(folder, &["db", "migrate"]).expect(0, folder);
    Ok(())
}

fn symbols(connection: &Connection, settings: &Settings, now: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO tracked_symbols (symbol, asset_class, provider, calendar, group_name, active,
             added_at) VALUES (?, 'stock', 'loopback', 'XNYS', 'bench', 1, ?)",
    )?;
    for (_, member) in settings.members() {
        insert.execute(params![member.symbol.as_str(), now - 2 * 365 * DAY])?;
    }
    Ok(())
}

/// Series, what is covered of them, and for every tenth two gaps, one of them a hole.
fn series(connection: &Connection, settings: &Settings, until: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO series (series_id, symbol, timeframe, provider, first_ts, watermark_ts,
             settled_ts, bar_count, last_fetched_at) VALUES (?, ?, ?, 'loopback', ?, ?, ?, ?, ?)",
    )?;
    let mut cover = connection.prepare("INSERT INTO coverage VALUES (?, ?, ?)")?;
    let mut gap = connection.prepare("INSERT INTO gaps VALUES (?, ?, ?, 1, ?, ?, 1, NULL)")?;
    for (index, (key, group, member)) in settings.series().enumerate() {
        let (id, length) = (index as i64 + 1, key.timeframe.seconds());
        let last = settings.due(group, member).last(key.timeframe, until).expect("a bar").ts;
        let first = last - 365 * DAY;
        insert.execute(params![
            id,
            key.symbol.as_str(),
            key.timeframe.as_str(),
            first,
            last,
            last - 2 * DAY,
            365 * DAY / length,
            until
        ])?;
        cover.execute(params![id, first, last + length])?;
        if index % 10 == 0 {
            let (early, late) = (first + 20 * length, last - 20 * length);
            gap.execute(params![id, early, early + length, "no_trade", until])?;
            gap.execute(params![id, late, late + length, "provider_empty", until])?;
        }
    }
    Ok(())
}

/// What the last run wrote down of every series; hours and days have features.
fn judged(connection: &Connection, age: i64, now: i64) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE series SET features_ts = watermark_ts, features_computed_at = ?
          WHERE timeframe IN ('1h', '1d')",
        [now],
    )?;
    connection.execute(
        "INSERT INTO freshness
         SELECT symbol, timeframe, watermark_ts, features_computed_at, ?1, iif(?1 = 0, 'fresh', 'stale'), ?2
           FROM series",
        [age, now],
    )?;
    connection.execute(
        "INSERT INTO quality_metrics
         SELECT symbol, timeframe, date(?1, 'unixepoch'), bar_count, bar_count, 1.0, 0, 0, 1.0, 1.0
           FROM series",
        [now],
    )?;
    Ok(())
}

/// One run an hour, the newest an hour ago, with jobs, requests and failures.
fn runs(connection: &Connection, settings: &Settings, now: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO runs (run_id, command, trigger, started_at, completed_at, status, symbols_total,
             successful, records_inserted, requests, exit_code, host, pid, version)
         VALUES (?1, 'backfill', 'manual', ?2, ?2 + 600, 'succeeded', ?3, ?3, ?3, ?3, 0, 'bench', 1, '')",
    )?;
    for age in (0..RUNS).rev() {
        let started_at = now - HOUR - age * HOUR;
        let millis = started_at.cast_unsigned() * 1000;
        let run = Ulid::from_parts(millis, 1).to_string();
        insert.execute(params![run, started_at, SYMBOLS as i64])?;
        if age < RUNS_WITH_JOBS {
            jobs(connection, settings, &run, started_at)?;
        }
        if age == 0 {
            failures(connection, &run, started_at)?;
        }
    }
    Ok(())
}

fn jobs(connection: &Connection, settings: &Settings, run: &str, at: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO jobs (run_id, symbol, status, started_at, completed_at, records_inserted)
         VALUES (?1, ?2, 'completed', ?3, ?3, 1)",
    )?;
    let mut request = connection.prepare_cached(
        "INSERT INTO fetch_log (run_id, symbol, timeframe, provider, started_at, range_from, range_to, attempt, http_status, error_kind,
             response_time_ms, bytes, records_fetched, records_inserted, records_rejected, records_dropped, success)
             VALUES (?1, ?2, '1d', 'loopback', ?3, ?3, ?3, 1, 200, NULL, 80, 700, 4,
             1, 0, 0, 1)",
    )?;
    for (_, member) in settings.members() {
        insert.execute(params![run, member.symbol.as_str(), at])?;
        request.execute(params![run, member.symbol.as_str(), at])?;
    }
    Ok(())
}

fn failures(connection: &Connection, run: &str, at: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO failures VALUES (?, ?, '1d', 'fetch', 'timeout', 'no answer in time', 6, ?)",
    )?;
    for index in 0..FAILURES {
        insert.execute(params![run, format!("S{index:04}"), at])?;
    }
    Ok(())
}
