//! `db check`: each thing that can be wrong is found, named, and mended by what the finding says.

use std::process::Command;

use serde_json::Value;

use crate::support::market::{Market, sessions};
use crate::support::server::Server;
use crate::support::{AS_OF, Sandbox, daily_stocks, faulty_stocks};

/// What mends the first finding of that code, and with what it was told.
#[track_caller]
fn found(sandbox: &Sandbox, code: &str) -> Value {
    let output = sandbox.mdctl(&["db", "check", "--json"]);
    let json = output.expect_code(74).json();
    assert_eq!(json["sound"], false);
    let details = json["details"].as_array().expect("details");
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(details.len()));
    let detail = details.iter().find(|detail| detail["code"] == code);
    detail.unwrap_or_else(|| panic!("no finding {code}{output:#}")).clone()
}

/// A filled database: a year of days, weeks made of them, features, and a symbol that failed.
fn filled() -> (Server, Sandbox) {
    let market = Market::daily(&["AAA", "BBB"], &sessions("2023-01-03", AS_OF));
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB"], move |request| market.polygon(request));
    let config = sandbox.read("mdctl.toml");
    let more = config.replace(r#"timeframes = ["1d"]"#, r#"timeframes = ["1d", "1w"]"#).replace(
        r#"lookback = { "1d" = "30d" }"#,
        r#"lookback = { "1d" = "400d", "1w" = "400d" }"#,
    );
    assert_ne!(config, more);
    sandbox.write("mdctl.toml", more);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["db", "check"]).expect_code(0).expect_stdout("sound");
    (server, sandbox)
}

/// What is done to a database, the finding that tells of it, and how many rows it is about.
const PLANTED: &[(&str, &str, u64)] = &[
    (
        "bars_without_series",
        "INSERT INTO bars SELECT 999, ts, open, high, low, close, volume, vwap, trades FROM bars LIMIT 3",
        1,
    ),
    ("series_extent", "UPDATE series SET bar_count = 7 WHERE timeframe = '1d'", 2),
    ("series_extent", "UPDATE series SET first_ts = first_ts - 86400 WHERE series_id = 1", 1),
    ("series_extent", "UPDATE series SET watermark_ts = NULL WHERE series_id = 1", 1),
    (
        "impossible_bars",
        "UPDATE bars SET close = high * 2 WHERE ts = (SELECT max(ts) FROM bars WHERE series_id = 1) AND series_id = 1",
        1,
    ),
    (
        "impossible_bars",
        "UPDATE bars SET high = 9e999 WHERE ts = (SELECT max(ts) FROM bars WHERE series_id = 1) AND series_id = 1",
        1,
    ),
    (
        "impossible_bars",
        "UPDATE bars SET vwap = -9e999 WHERE ts = (SELECT max(ts) FROM bars WHERE series_id = 1) AND series_id = 1",
        1,
    ),
    (
        "off_grid_bars",
        "PRAGMA foreign_keys = OFF; INSERT INTO bars SELECT series_id, ts + 7, open, high, low, close, volume, vwap, trades FROM bars WHERE series_id = 1 ORDER BY ts LIMIT 2",
        2,
    ),
    (
        "off_grid_bars",
        "INSERT INTO bars SELECT s.series_id, b.ts + 86400, open, high, low, close, volume, vwap, trades FROM bars AS b JOIN series AS s USING (series_id) WHERE timeframe = '1w' ORDER BY b.ts LIMIT 1",
        1,
    ),
    (
        "unknown_timeframe",
        "INSERT INTO series (symbol, timeframe, provider) VALUES ('AAA', '2h', 'p')",
        1,
    ),
    ("coverage_lost", "DELETE FROM coverage", 4),
    ("coverage_lost", "DELETE FROM coverage WHERE series_id = 1", 1),
    (
        "coverage_overlap",
        "INSERT INTO coverage SELECT series_id, from_ts + 1, to_ts FROM coverage WHERE series_id = 1 LIMIT 1",
        1,
    ),
    (
        "gaps_overlap",
        "INSERT INTO gaps VALUES (1, 100, 300, 1, 'no_trade', 1, 1, NULL), (1, 200, 400, 1, 'no_trade', 1, 1, NULL)",
        1,
    ),
    (
        "gaps_over_bars",
        "INSERT INTO gaps SELECT series_id, ts, ts + 86400, 1, 'provider_empty', 1, 1, NULL FROM bars WHERE series_id = 1 ORDER BY ts LIMIT 1",
        1,
    ),
    (
        "rows_without_series",
        "INSERT INTO coverage VALUES (999, 1, 2); INSERT INTO anomalies VALUES (998, 1, 1, 'price_spike', 1, NULL, NULL)",
        2,
    ),
    (
        "features_without_bars",
        "INSERT INTO features (series_id, ts) SELECT series_id, ts + 1 FROM bars WHERE series_id = 1 ORDER BY ts LIMIT 4",
        4,
    ),
    ("states_without_bars", "UPDATE feature_state SET ts = ts + 1 WHERE series_id = 1", 1),
    (
        "features_missing",
        "DELETE FROM features WHERE series_id = 1 AND ts = (SELECT max(ts) FROM features WHERE series_id = 1)",
        1,
    ),
    (
        "features_missing",
        "DELETE FROM features WHERE series_id = 1 AND ts = (SELECT ts FROM features WHERE series_id = 1 ORDER BY ts LIMIT 1 OFFSET 50)",
        1,
    ),
    (
        "reference",
        "PRAGMA foreign_keys = OFF; INSERT INTO jobs (run_id, symbol, status) VALUES ('nobody', 'AAA', 'completed'), ('nobody', 'BBB', 'failed')",
        2,
    ),
    (
        "reference",
        "PRAGMA foreign_keys = OFF; INSERT INTO series (symbol, timeframe, provider) VALUES ('ZZZ', '1d', 'p')",
        1,
    ),
    ("runs_contradict", "UPDATE runs SET deferred = 1", 1),
    ("runs_contradict", "UPDATE runs SET status = 'running'", 1),
    ("runs_contradict", "UPDATE runs SET completed_at = NULL", 1),
    ("jobs_left_open", "UPDATE jobs SET status = 'in_progress' WHERE symbol = 'AAA'", 1),
    ("totals_too_small", "UPDATE run_totals SET runs = 0; DELETE FROM request_totals", 2),
];

#[test]
fn what_is_planted_is_found_and_mended_by_what_the_finding_says() {
    let (_server, sandbox) = filled();
    let whole = std::fs::read(sandbox.path("mdctl.db")).expect("the database");
    for (code, sql, count) in PLANTED {
        for ending in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(sandbox.path(&format!("mdctl.db{ending}")));
        }
        std::fs::write(sandbox.path("mdctl.db"), &whole).expect("the database as it was");
        sandbox.tamper(sql);
        let detail = found(&sandbox, code);
        assert_eq!(detail["count"], *count, "{sql}: {detail}");
        // What one remedy brings to light, the next one mends.
        for _ in 0..3 {
            mend(&sandbox);
        }
        let after = sandbox.mdctl(&["db", "check"]);
        assert!(after.code == Some(0), "{code}: {sql}{after:#}");
        sandbox.backfill(&[]).expect_code(0);
        sandbox.mdctl(&["db", "check"]).expect_code(0);
    }
}

/// Does what the findings say; where there is an `sqlite3`, by the very line.
fn mend(sandbox: &Sandbox) {
    let json = sandbox.mdctl(&["db", "check", "--json"]).json();
    for detail in json["details"].as_array().expect("details") {
        let hint = detail["hint"].as_str().expect("a hint");
        let line = hint.split_once("sqlite3 ").expect("statements").1;
        let sql = line.split('"').nth(1).expect("statements in quotes");
        let strict = "SELECT sqlite_version() >= '3.37'";
        let shell = Command::new("sqlite3").args([":memory:", strict]).output();
        if shell.is_ok_and(|output| output.stdout.starts_with(b"1")) {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("sqlite3 {line}")]).current_dir(sandbox.path(""));
            let output = command.output().expect("a shell");
            assert!(output.status.success(), "{hint}: {output:?}");
        } else {
            sandbox.tamper(sql);
        }
    }
}

#[test]
fn a_schema_that_was_tampered_with_is_found_and_what_a_user_added_is_none_of_it() {
    let (_server, sandbox) = filled();
    sandbox.tamper("CREATE TABLE my_notes (note TEXT); CREATE VIEW my_view AS SELECT 1 AS one;");
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    sandbox
        .tamper("DROP TRIGGER bars_deleted; DROP INDEX runs_by_status; DROP VIEW candle_features;");
    let output = sandbox.mdctl(&["db", "check"]);
    output.expect_code(74).expect_stdout("trigger bars_deleted is not there");
    output.expect_stdout("index runs_by_status").expect_stdout("view candle_features");
    output.expect_stdout("mdctl db restore");
    found(&sandbox, "schema");
}

#[test]
fn a_damaged_page_is_found() {
    let (_server, sandbox) = filled();
    let path = sandbox.path("mdctl.db");
    let mut bytes = std::fs::read(&path).expect("the database");
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 2048].fill(0x5A);
    std::fs::write(&path, bytes).expect("the damage is done");
    let output = sandbox.mdctl(&["db", "check"]);
    output.expect_code(74);
    // Whether SQLite tells of it or gives up over it.
    assert!((output.stdout.clone() + &output.stderr).contains("restore a backup"), "{output}");
}

#[test]
fn an_older_schema_is_sound_and_checked_for_what_it_holds() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.go_back_to_schema_1();
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    sandbox.tamper("UPDATE series SET bar_count = 7");
    let output = sandbox.mdctl(&["db", "check"]);
    output.expect_code(74).expect_stdout("1 series whose count").expect_stdout("AAA 1d");
}
