//! The database: whose it is, who may read it, who writes it, and what a kill leaves of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::support::market::{Market, row, rows};
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, Sandbox, asked, daily_sessions, daily_stocks, group, hanging, polygon, wait_until,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the file is there").permissions().mode() & 0o777
}

/// Every definition of a schema.
fn schema(connection: &Connection) -> Vec<String> {
    let mut statement = connection
        .prepare("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name")
        .expect("a query");
    let rows = statement.query_map([], |row| row.get(0)).expect("the query runs");
    rows.collect::<Result<_, _>>().expect("the rows read")
}

// Its files.

#[test]
fn the_schema_is_what_the_migrations_make() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the migrations")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let fresh = Connection::open_in_memory().expect("a database");
    for file in &files {
        fresh.execute_batch(&fs::read_to_string(file).expect("a migration")).expect("it runs");
    }
    let database = sandbox.database();
    assert_eq!(schema(&database.0), schema(&fresh));
    assert_eq!(database.number("PRAGMA user_version"), files.len() as i64);
    assert_ne!(database.number("PRAGMA application_id"), 0);
    assert_eq!(database.texts("PRAGMA journal_mode"), ["wal"]);
    assert_eq!(database.texts("PRAGMA integrity_check"), ["ok"]);
}

#[test]
fn the_public_view_names_days_by_their_dates() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let candles = sandbox.database().texts(
        "SELECT symbol || ' ' || timeframe || ' ' || date(ts, 'unixepoch') || ' ' || time || ' ' || settled
         FROM candles ORDER BY ts DESC LIMIT 5",
    );
    assert_eq!(candles[0], "AAA 1d 2024-03-15 2024-03-15T00:00:00Z 0");
    assert_eq!(candles[4], "AAA 1d 2024-03-11 2024-03-11T00:00:00Z 1");
}

#[test]
fn its_files_are_their_owners_alone() {
    let (server, sandbox) = hanging(2);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(3);
    for name in ["mdctl.db", "mdctl.db-wal", "mdctl.db-shm", "mdctl.db.lock"] {
        assert_eq!(mode(&sandbox.path(name)), 0o600, "{name}");
    }
    running.kill();
}

#[test]
fn a_folder_that_is_not_there_cannot_hold_a_database() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let output = sandbox.backfill(&["--db", "nowhere/mdctl.db"]);
    output.expect_code(73).expect_stderr("nowhere/mdctl.db");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_folder_that_may_not_be_written_cannot_hold_a_database() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    // Not even the superuser makes files there.
    let output = sandbox.backfill(&["--db", "/sys/mdctl.db"]);
    output.expect_code(73).expect_stderr("/sys/mdctl.db").expect_stderr("hint");
    let json = sandbox.backfill(&["--db", "/sys/mdctl.db", "--json"]).expect_code(73).json();
    assert_eq!(json["error"]["exit_code"], 73);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_read_only_folder_cannot_hold_a_database() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    fs::create_dir(sandbox.path("locked")).expect("a folder");
    fs::set_permissions(sandbox.path("locked"), fs::Permissions::from_mode(0o500)).expect("a mode");
    if fs::write(sandbox.path("locked/probe"), "").is_ok() {
        // The superuser writes everywhere.
        return;
    }
    sandbox.backfill(&["--db", "locked/mdctl.db"]).expect_code(73).expect_stderr("locked/mdctl.db");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_text_file_is_no_database_and_stays_as_it_is() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let text = "these are my notes, and they are longer than a hundred bytes, so that nobody takes \
                them for an empty database that was never written to\n";
    sandbox.write("mdctl.db", text);
    sandbox.backfill(&[]).expect_code(74).expect_stderr("is not an SQLite database");
    assert_eq!(server.requests().len(), 0);
    sandbox.mdctl(&["health"]).expect_code(3);
    for command in [&["staleness"][..], &["history"], &["status"], &["gaps"], &["bars", "AAA"]] {
        sandbox.mdctl(command).expect_code(3).expect_stderr("is not an SQLite database");
    }
    let health = sandbox.mdctl(&["health", "--json"]).expect_code(3).json();
    assert_eq!(health["status"], "unknown");
    let staleness = sandbox.mdctl(&["staleness", "--json"]).expect_code(3).json();
    assert_eq!(staleness["error"]["exit_code"], 3);
    assert_eq!(sandbox.read("mdctl.db"), text);
}

#[test]
fn a_short_text_file_is_no_database_either() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.write("mdctl.db", "notes\n");
    sandbox.backfill(&[]).expect_code(74);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(sandbox.read("mdctl.db"), "notes\n");
}

#[test]
fn a_folder_in_place_of_a_database_is_said() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    fs::create_dir(sandbox.path("mdctl.db")).expect("a folder");
    let output = sandbox.backfill(&[]);
    assert!(matches!(output.code, Some(73 | 74)), "{output}");
    assert_eq!(server.requests().len(), 0);
    sandbox.mdctl(&["health"]).expect_code(3);
}

#[test]
fn another_programs_database_is_left_alone() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.tamper("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('bread');");
    sandbox.backfill(&[]).expect_code(74).expect_stderr("another program");
    assert_eq!(server.requests().len(), 0);
    assert_eq!(schema(&sandbox.database().0).len(), 1);
    sandbox.mdctl(&["health"]).expect_code(3);
}

#[test]
fn a_newer_database_is_refused() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    sandbox.tamper("PRAGMA user_version = 99");
    sandbox.backfill(&[]).expect_code(74).expect_stderr("99");
    sandbox.mdctl(&["staleness"]).expect_code(3).expect_stderr("99");
    sandbox.mdctl(&["health"]).expect_code(3);
    sandbox.mdctl(&["db", "migrate"]).expect_code(74).expect_stderr("99");
    assert_eq!(server.requests().len(), 0);
    assert_eq!(sandbox.database().number("PRAGMA user_version"), 99);
}

#[test]
fn a_damaged_database_is_said_to_be() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    let path = sandbox.path("mdctl.db");
    let mut bytes = fs::read(&path).expect("the database");
    bytes[4096..].fill(0xA5);
    fs::write(&path, bytes).expect("the damage is done");
    sandbox.mdctl(&["health"]).expect_code(3);
    let check = sandbox.mdctl(&["db", "check"]);
    assert!(matches!(check.code, Some(3 | 74)), "{check}");
    sandbox.backfill_at("2024-03-18", &[]).expect_code(74);
}

#[test]
fn without_a_database_nothing_can_be_told() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    for command in [&["staleness"][..], &["history"], &["status"], &["gaps"], &["bars", "AAA"]] {
        sandbox.mdctl(command).expect_code(3).expect_stderr("mdctl backfill");
    }
    sandbox.mdctl(&["health"]).expect_code(3).expect_stdout("UNKNOWN");
    assert!(!sandbox.path("mdctl.db").exists(), "a report made a database");
}

// `db`.

#[test]
fn migrate_makes_a_database_and_is_idle_on_a_new_one() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    assert_eq!(mode(&sandbox.path("mdctl.db")), 0o600);
    let before = schema(&sandbox.database().0);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    assert_eq!(schema(&sandbox.database().0), before);
    sandbox.mdctl(&["staleness"]).expect_code(0);
}

// One run at a time.

#[test]
fn a_second_run_exits_and_leaves_the_first_alone() {
    let (server, sandbox) = hanging(1);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(2);
    let second = sandbox.backfill(&[]);
    second.expect_code(75).expect_stderr("lock");
    let json = sandbox.backfill(&["--json"]).expect_code(75).json();
    assert_eq!(json["error"]["exit_code"], 75);
    sandbox.mdctl(&["db", "migrate"]).expect_code(75);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(sandbox.database().texts("SELECT status FROM runs"), ["running"]);
    // A plan is only looked at.
    sandbox.backfill(&["--dry-run"]).expect_code(0);
    running.kill();
}

#[test]
fn reports_work_while_a_run_writes() {
    let (server, sandbox) = hanging(3);
    let _running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(4);
    wait_until(|| sandbox.database().number("SELECT count(*) FROM bars") == 9);
    let history = sandbox.mdctl(&["history", "--json"]).expect_code(0).json();
    assert_eq!(history["runs"][0]["status"], "running");
    let status = sandbox.mdctl(&["status", "--json"]).expect_code(0).json();
    assert_eq!(status["scheduler"]["running"], true);
    assert_eq!(status["job_queue"][0]["status"], "in_progress");
    let health = sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json();
    assert_eq!(health["running"]["status"], "running");
    let overdue = health["issues"]
        .as_array()
        .expect("issues")
        .iter()
        .any(|issue| issue["code"] == "run_overdue");
    assert!(!overdue, "a run at work is not overdue: {health}");
    sandbox.mdctl(&["bars", "AAA", "--json"]).expect_code(0);
}

// Killed.

#[test]
fn a_killed_run_is_called_crashed_and_its_pages_stay() {
    let (server, sandbox) = hanging(4);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(5);
    wait_until(|| sandbox.database().number("SELECT count(*) FROM bars") == 12);
    running.kill();
    assert_eq!(sandbox.database().texts("SELECT status FROM runs"), ["running"]);
    let status = sandbox.mdctl(&["status", "--json"]).expect_code(0).json();
    assert_eq!(status["scheduler"]["running"], false, "nobody holds the lock");

    let market = Market::daily(&["AAA"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    // The twelfth session is 4 March; the unsettled before it come along.
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-29 2024-03-15"]);
    let database = sandbox.database();
    assert_eq!(database.texts("SELECT status FROM runs ORDER BY run_id"), ["crashed", "succeeded"]);
    let unfinished =
        database.number("SELECT count(*) FROM jobs WHERE status IN ('pending', 'in_progress')");
    assert_eq!(unfinished, 0);
}

#[test]
fn after_a_kill_the_end_is_that_of_an_undisturbed_run() {
    let (server, killed) = hanging(4);
    let running = killed.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(5);
    running.kill();
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(3);
    server.answer_with(move |request| market.polygon(request));
    killed.backfill(&[]).expect_code(0);
    let (_server, whole) = daily_stocks(&["AAA"]);
    whole.backfill(&[]).expect_code(0);
    for sql in [
        "SELECT concat_ws(' ', ts, open, high, low, close, volume, vwap, trades) FROM bars ORDER BY ts",
        "SELECT concat_ws(' ', from_ts, to_ts) FROM coverage ORDER BY from_ts",
        "SELECT concat_ws(' ', from_ts, to_ts, missing, reason) FROM gaps ORDER BY from_ts",
        "SELECT concat_ws(' ', first_ts, watermark_ts, settled_ts, bar_count) FROM series",
    ] {
        assert_eq!(killed.database().texts(sql), whole.database().texts(sql), "{sql}");
    }
    killed.mdctl(&["db", "check"]).expect_code(0);
}

// The universe.

#[test]
fn a_symbol_that_leaves_keeps_its_rows_and_is_no_longer_judged() {
    let (server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    sandbox.write("mdctl.toml", sandbox.read("mdctl.toml").replace(r#""AAA", "#, ""));
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["BBB 1d 2024-03-13 2024-03-18"]);
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    let tracked = database.texts(
        "SELECT concat_ws(' ', symbol, active, removed_at IS NOT NULL, asset_class, provider, calendar, group_name)
         FROM tracked_symbols ORDER BY symbol",
    );
    assert_eq!(tracked, ["AAA 0 1 stock p XNYS stocks", "BBB 1 0 stock p XNYS stocks"]);
    let staleness = sandbox.mdctl(&["staleness", "--json", "--as-of", AS_OF]).json();
    let symbols: Vec<_> = staleness["series"]
        .as_array()
        .expect("series")
        .iter()
        .map(|row| row["symbol"].clone())
        .collect();
    assert_eq!(symbols, ["BBB"]);
}

#[test]
fn a_series_of_raw_prices_does_not_take_adjusted_ones() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.answer_with(|request| {
        let ask = crate::support::market::PolygonAsk::of(request).expect("aggregates");
        let results = crate::support::market::sessions("2024-03-13", "2024-03-18");
        let results = results.iter().map(|ts| ask.result(&row(*ts))).collect();
        let mut body = crate::support::market::polygon_body("AAA", results, None);
        body["adjusted"] = true.into();
        Answer::ok(body.to_string())
    });
    sandbox.backfill_at("2024-03-18", &[]).expect_code(2);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    assert_eq!(database.texts("SELECT error_kind FROM failures"), ["malformed"]);
}

#[test]
fn a_symbol_with_odd_letters_is_bound_and_encoded() {
    let symbol = "A'B;DROP_TABLE_bars--%2F";
    let server = Server::start(|_| Answer::ok(r#"{"status":"OK","resultsCount":0}"#));
    let config = polygon(&server.url(), "") + &group("p", "stock", &[symbol], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    let path = server.requests().remove(0).path;
    assert!(path.contains("--%252F/range/1/day/"), "{path}");
    assert_eq!(sandbox.database().texts("SELECT symbol FROM series"), [symbol]);
}
