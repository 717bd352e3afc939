//! Features in the database: computed of what changed, and of nothing else, as if all were computed at
//! once.

use mdctl::domain::bar::Bar;
use mdctl::domain::feature::{COUNT, NAMES};
use mdctl::domain::zone::Zone;
use mdctl::feature::engine::Engine;
use serde_json::Value;

use crate::support::market::{Market, Row, day, hours, row, rows, sessions};
use crate::support::server::Server;
use crate::support::{AS_OF, Database, Sandbox, daily_sessions, daily_stocks, group, polygon};

/// What a full computation of the bars of `series` gives.
fn computed_at_once(
    database: &Database,
    series: &str,
    zone: Option<Zone>,
) -> Vec<Vec<Option<f64>>> {
    let bars = database.rows(
        &format!(
            "SELECT ts, open, high, low, close, volume FROM candles WHERE {series} ORDER BY ts"
        ),
        |row| {
            Ok(Bar {
                ts: row.get(0)?,
                open: row.get(1)?,
                high: row.get(2)?,
                low: row.get(3)?,
                close: row.get(4)?,
                volume: row.get(5)?,
                vwap: None,
                trades: None,
            })
        },
    );
    let mut rows = Vec::new();
    Engine::new(zone).push_all(&bars, &mut rows);
    rows.iter().map(|row| (0..COUNT).map(|feature| row.value(feature)).collect()).collect()
}

/// The features of `series` as they are stored; without rows of bars that have none.
fn stored(database: &Database, series: &str) -> Vec<Vec<Option<f64>>> {
    let names = NAMES.map(|name| format!("f.{name}")).join(", ");
    let sql = format!(
        "SELECT {names} FROM candles AS c JOIN features AS f USING (series_id, ts) WHERE {series}
         ORDER BY ts"
    );
    database.rows(&sql, |row| (0..COUNT).map(|feature| row.get(feature)).collect())
}

fn assert_whole(database: &Database, series: &str, zone: Option<Zone>) {
    let (stored, computed) = (stored(database, series), computed_at_once(database, series, zone));
    assert_eq!(stored.len(), computed.len(), "a row for every bar");
    for (at, (stored, computed)) in stored.iter().zip(&computed).enumerate() {
        assert_eq!(stored, computed, "bar {at} of {series}");
    }
}

const AAA: &str = "symbol = 'AAA' AND timeframe = '1d'";

/// Rows that the last run wrote.
fn written(database: &Database) -> Vec<i64> {
    database.numbers(
        "SELECT rows_written FROM compute_log WHERE run_id = (SELECT max(run_id) FROM runs)",
    )
}

/// A server with two years of daily bars of `AAA`, and a sandbox that looks back so far.
fn two_years() -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], &sessions("2022-01-03", "2024-06-28"));
    let server = Server::start(move |request| market.polygon(request));
    let daily = "timeframes = [\"1d\"]\nlookback = { \"1d\" = \"2y\" }";
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], daily);
    (server, Sandbox::with(&config))
}

/// Changes the close of some bars at the provider.
fn revise(server: &Server, dates: &[&str]) {
    let mut bars = rows(&sessions("2022-01-03", "2024-06-28"));
    let days: Vec<i64> = dates.iter().map(|date| day(date)).collect();
    for bar in bars.iter_mut().filter(|bar| days.contains(&bar.ts)) {
        *bar = Row { close: bar.close + 0.75, volume: bar.volume + 11.0, ..*bar };
    }
    let market = Market::new().with("AAA", "1d", bars);
    server.answer_with(move |request| market.polygon(request));
}

#[test]
fn the_features_of_a_day_are_those_of_all_days_at_once() {
    let (_server, sandbox) = two_years();
    for date in sessions("2024-03-11", "2024-03-22") {
        sandbox.backfill_at(&crate::support::market::date(date), &[]).expect_code(0);
        assert_whole(&sandbox.database(), AAA, None);
        if date > day("2024-03-11") {
            assert_eq!(written(&sandbox.database()), [1], "a new bar is a new row");
        }
    }
}

#[test]
fn a_run_that_brings_nothing_computes_nothing() {
    let (_server, sandbox) = two_years();
    sandbox.backfill(&[]).expect_code(0);
    for command in ["backfill", "enrich", "enrich"] {
        sandbox.mdctl(&[command, "--as-of", AS_OF]).expect_code(0);
        assert_eq!(written(&sandbox.database()), Vec::<i64>::new());
    }
}

#[test]
fn a_revised_bar_changes_the_features_from_it_on_and_no_others() {
    let (server, sandbox) = two_years();
    sandbox.backfill_at("2024-03-14", &[]).expect_code(0);
    revise(&server, &["2024-03-13"]);
    sandbox.backfill_at("2024-03-15", &[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.number("SELECT count(*) FROM revisions"), 1);
    assert_eq!(written(&database), [3], "the 13th, the 14th and the new one");
    assert_whole(&database, AAA, None);
}

#[test]
fn an_old_bar_that_changes_is_computed_from_there() {
    let (server, sandbox) = two_years();
    sandbox.backfill(&[]).expect_code(0);
    revise(&server, &["2023-06-05", "2024-01-10"]);
    sandbox.backfill(&["--full", "--from", "2023-06-01", "--to", "2024-02-01"]).expect_code(0);
    let database = sandbox.database();
    let from = sessions("2022-01-03", "2024-03-15").len() as i64;
    let after = database.number("SELECT count(*) FROM bars WHERE ts >= unixepoch('2023-06-05')");
    assert!(after < from);
    assert_eq!(written(&database), [after]);
    assert_whole(&database, AAA, None);
}

#[test]
fn bars_that_come_in_any_order_end_with_the_same_features() {
    for seed in [3u64, 11, 2024] {
        let (server, sandbox) = two_years();
        let mut state = seed;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let days = sessions("2023-01-03", "2024-03-15");
        let date = |at: u64| crate::support::market::date(days[at as usize % days.len()]);
        for _ in 0..8 {
            let from = random(days.len() as u64);
            let to = from + random(60);
            if to >= days.len() as u64 {
                continue;
            }
            if random(3) == 0 {
                revise(&server, &[&date(from), &date(to)]);
            }
            let (from, to) = (date(from), date(to));
            sandbox.backfill(&["--full", "--from", &from, "--to", &to]).expect_code(0);
            assert_whole(&sandbox.database(), AAA, None);
        }
        sandbox.backfill(&[]).expect_code(0);
        assert_whole(&sandbox.database(), AAA, None);
    }
}

#[test]
fn bars_that_somebody_deletes_take_their_features_along() {
    let (_server, sandbox) = two_years();
    sandbox.backfill(&[]).expect_code(0);
    for hole in ["ts = unixepoch('2023-05-01')", "ts >= unixepoch('2024-03-14')", "ts > 0"] {
        sandbox.tamper(&format!("DELETE FROM bars WHERE {hole}"));
        let database = sandbox.database();
        let left = database.number("SELECT count(*) FROM features");
        assert_eq!(left, database.number("SELECT count(*) FROM bars"), "{hole}");
        sandbox.backfill(&[]).expect_code(0);
        assert_whole(&sandbox.database(), AAA, None);
    }
}

#[test]
fn what_a_series_says_of_its_features_is_not_believed_against_its_bars() {
    let (server, sandbox) = two_years();
    sandbox.backfill_at("2024-03-14", &[]).expect_code(0);
    let says = |what: &str| sandbox.tamper(&format!("UPDATE series SET features_ts = {what}"));
    let computed = |date: &str| {
        sandbox.backfill_at(date, &[]).expect_code(0);
        let database = sandbox.database();
        assert_eq!(database.texts("SELECT message FROM failures"), [""; 0]);
        assert_whole(&database, AAA, None);
        database.number("SELECT features_ts - watermark_ts FROM series")
    };
    // Too little, whether there are rows or not; nothing; and too much.
    for (what, rows) in [
        ("unixepoch('2024-02-01')", "ts < 0"),
        ("unixepoch('2024-02-01')", "ts > unixepoch('2024-02-01')"),
        ("NULL", "ts < 0"),
        ("unixepoch('2024-05-01')", "ts > unixepoch('2024-02-01')"),
    ] {
        says(what);
        sandbox.tamper(&format!("DELETE FROM features WHERE {rows}"));
        assert_eq!(computed("2024-03-14"), 0, "{what}, {rows}");
    }
    // A bar changes that has features, as it is said that it has not.
    says("unixepoch('2024-03-11')");
    revise(&server, &["2024-03-13"]);
    assert_eq!(computed("2024-03-15"), 0);
    assert_eq!(written(&sandbox.database()).len(), 1);
}

#[test]
fn features_of_a_long_history_are_those_of_all_bars_at_once() {
    let minutes = "timeframes = [\"1m\"]\nfeatures = { \"1m\" = [\"default\"] }";
    let files = "[providers.local]\nkind = \"files\"\npath = \"data\"\n".to_owned();
    let sandbox = Sandbox::with(&(files + &group("local", "crypto", &["AAA", "BBB"], minutes)));
    let first = day("2024-02-01");
    for (symbol, bars) in [("AAA", 45_000), ("BBB", 20_000)] {
        let mut text = "ts,open,high,low,close,volume\n".to_owned();
        for row in rows(&(0..bars).map(|index| first + index * 60).collect::<Vec<_>>()) {
            let Row { ts, open, high, low, close, volume, .. } = row;
            text += &format!("{ts},{open},{high},{low},{close},{volume}\n");
        }
        sandbox.write(&format!("data/{symbol}_1m.csv"), text);
    }
    // So that all of it is there when computing begins, a part of it at a time.
    sandbox.backfill(&["--no-features"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    for symbol in ["AAA", "BBB"] {
        let series = format!("symbol = '{symbol}' AND timeframe = '1m'");
        assert_whole(&database, &series, Some(Zone::UTC));
    }
    assert_eq!(written(&database), [45_000, 20_000]);
}

#[test]
fn intraday_and_derived_bars_have_features_too() {
    let held = hours("2024-03-01T00:00:00Z", "2024-03-16T00:00:00Z");
    let market = Market::new().with("X:BTCUSD", "1h", rows(&held));
    let server = Server::start(move |request| market.polygon(request));
    let timeframes =
        "timeframes = [\"1h\", \"4h\"]\nlookback = { \"1h\" = \"12d\", \"4h\" = \"12d\" }";
    let config = polygon(&server.url(), "") + &group("p", "crypto", &["X:BTCUSD"], timeframes);
    let sandbox = Sandbox::with(&config);
    for as_of in ["2024-03-13T05:30:00Z", "2024-03-14T17:30:00Z", "2024-03-15T11:30:00Z"] {
        sandbox.backfill_at(as_of, &[]).expect_code(0);
        for timeframe in ["1h", "4h"] {
            let series = format!("symbol = 'X:BTCUSD' AND timeframe = '{timeframe}'");
            assert_whole(&sandbox.database(), &series, Some(Zone::UTC));
        }
    }
    let vwap = sandbox.database().number("SELECT count(vwap_session) FROM features");
    assert!(vwap > 300, "{vwap}");
}

/// The freshness of the features of the one series.
fn features_status(sandbox: &Sandbox) -> Value {
    let staleness = sandbox.mdctl(&["staleness", "--json", "--as-of", AS_OF]).expect_code(0).json();
    staleness["series"][0]["features_status"].clone()
}

#[test]
fn features_that_wait_for_another_run_are_missing_until_it_comes() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&["--no-features"]).expect_code(0);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM features"), 0);
    assert_eq!(features_status(&sandbox), "missing");
    let health = sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).expect_code(1).json();
    assert_eq!(health["stale_features_count"], 1);
    assert_eq!(health["issues"][0]["code"], "series_stale");
    assert_eq!(sandbox.database().texts("SELECT status FROM freshness"), ["missing"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(features_status(&sandbox), "fresh");
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(0);
    assert_whole(&sandbox.database(), AAA, None);
    let row = sandbox.database().texts(
        "SELECT concat_ws(' ', symbol, timeframe, features_computed, rows_written, success) FROM compute_log",
    );
    assert_eq!(row, ["AAA 1d 22 21 1"]);
}

#[test]
fn features_lag_from_the_newest_bar_that_has_them() {
    let (_server, sandbox) = two_years();
    sandbox.backfill_at("2024-03-08", &[]).expect_code(0);
    sandbox.backfill(&["--no-features"]).expect_code(0);
    let staleness = sandbox.mdctl(&["staleness", "--json", "--as-of", AS_OF]).expect_code(0).json();
    let row = &staleness["series"][0];
    assert_eq!((&row["bars_status"], &row["features_status"]), (&"fresh".into(), &"stale".into()));
    assert_eq!(row["status"], "stale");
}

#[test]
fn which_features_are_computed_is_the_configs_choice() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let with = |features: &str| {
        let config = sandbox.read("mdctl.toml");
        let kept: String = config
            .lines()
            .filter(|line| !line.starts_with("features"))
            .map(|l| format!("{l}\n"))
            .collect();
        sandbox.write("mdctl.toml", kept + features + "\n");
        sandbox.backfill(&[]).expect_code(0);
    };
    let counts = || {
        sandbox.database().texts(
            "SELECT concat_ws(' ', count(*), count(sma_20), count(log_return), count(obv)) FROM features",
        )
    };
    with("features = { \"1d\" = [\"obv\", \"log_return\"] }");
    assert_eq!(counts(), ["21 0 20 21"]);
    with("features = { \"1d\" = [] }");
    assert_eq!(counts(), ["0 0 0 0"]);
    assert_eq!(features_status(&sandbox), Value::Null);
    with("");
    assert_eq!(counts(), ["21 2 20 21"]);
    assert_whole(&sandbox.database(), AAA, None);
}

#[test]
fn what_cannot_be_computed_is_logged_and_the_bars_are_stored() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.tamper(
        "CREATE TRIGGER broken BEFORE INSERT ON features WHEN NEW.series_id =
             (SELECT series_id FROM series WHERE symbol = 'AAA')
         BEGIN SELECT RAISE(FAIL, 'no more of these'); END",
    );
    // The series have their rows once a run has seen them.
    sandbox.backfill(&[]).expect_code(0).expect_stderr("no more of these");
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    let failures = database.texts("SELECT concat_ws(' ', symbol, stage, error_kind) FROM failures");
    assert_eq!(failures, ["AAA compute compute"]);
    let log = database.texts(
        "SELECT concat_ws(' ', symbol, success, rows_written) FROM compute_log ORDER BY symbol",
    );
    assert_eq!(log, ["AAA 0 0", "BBB 1 21"]);
    assert_eq!(database.texts("SELECT DISTINCT status FROM jobs"), ["completed"]);
    let health = sandbox.mdctl(&["health", "--as-of", AS_OF, "--json"]).expect_code(1).json();
    assert_eq!(
        health["issues"][0]["code"], "series_stale",
        "the provider is not to blame: {health}"
    );
    let status = sandbox.mdctl(&["status", "--json"]).expect_code(0).json();
    let compute = &status["metrics"]["compute_pipeline"];
    assert_eq!(
        (&compute["total_computations"], &compute["success_rate"]),
        (&2.into(), &50.0.into())
    );
    sandbox.tamper("DROP TRIGGER broken");
    sandbox.backfill(&[]).expect_code(0);
    assert_whole(&sandbox.database(), AAA, None);
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(0);
}

#[test]
fn a_state_that_nobody_can_read_is_no_trouble() {
    let (_server, sandbox) = two_years();
    sandbox.backfill_at("2024-03-14", &[]).expect_code(0);
    sandbox.tamper("UPDATE feature_state SET state = x'00ff'");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(written(&sandbox.database()), [1]);
    assert_whole(&sandbox.database(), AAA, None);
}

#[test]
fn the_view_joins_bars_and_features() {
    let (_server, sandbox) = two_years();
    sandbox.backfill(&[]).expect_code(0);
    let rows = sandbox
        .database()
        .rows("SELECT time, close, sma_20 FROM candle_features ORDER BY ts DESC LIMIT 1", |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?, row.get::<_, f64>(2)?))
        });
    let days = sessions("2022-01-03", "2024-03-15");
    let last: Vec<f64> = days[days.len() - 20..].iter().map(|ts| row(*ts).close).collect();
    let mean = last.iter().sum::<f64>() / 20.0;
    assert_eq!((rows[0].0.as_str(), rows[0].1), ("2024-03-15T00:00:00Z", last[19]));
    assert!((rows[0].2 - mean).abs() < 1e-9, "{} {mean}", rows[0].2);
}

#[test]
fn stored_features_are_shown_in_three_forms() {
    let (_server, sandbox) = two_years();
    sandbox.backfill(&[]).expect_code(0);
    let shown = |more: &[&str]| {
        let output = sandbox.mdctl(&[&["features", "AAA", "--as-of", AS_OF], more].concat());
        output.expect_code(0);
        assert_eq!(output.stderr, "");
        output
    };
    let json = shown(&["--limit", "2", "--json"]).json();
    assert_eq!((&json["symbol"], &json["timeframe"]), (&"AAA".into(), &"1d".into()));
    assert_eq!((&json["count"], &json["adjusted"]), (&2.into(), &"splits".into()));
    let last = &json["features"][1];
    assert_eq!(
        (&last["time"], &last["close"]),
        (&"2024-03-15T00:00:00Z".into(), &row(day("2024-03-15")).close.into())
    );
    assert!(NAMES.iter().all(|name| last.get(name).is_some()), "{last}");
    assert_eq!(last["vwap_session"], Value::Null, "days have no sessions within");
    let csv = shown(&["--from", "2024-03-14", "--to", "2024-03-14", "--format", "csv"]).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], format!("time,ts,close,{}", NAMES.join(",")));
    assert_eq!((lines.len(), lines[1].split(',').count()), (2, 3 + COUNT));
    assert!(lines[1].starts_with("2024-03-14T00:00:00Z,"), "{csv}");
    let table = shown(&["--limit", "1"]).stdout;
    assert!(table.starts_with("TIME") && table.contains("SMA_200"), "{table}");
    assert_eq!(shown(&["--limit", "0", "--json"]).json()["count"], 0);
}

#[test]
fn features_that_are_not_what_they_should_be_are_warned_of() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let shown = || sandbox.mdctl(&["features", "AAA", "--as-of", AS_OF]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    shown().expect_code(0).expect_stderr("AAA 1d has no bars; mdctl backfill AAA");
    sandbox.backfill(&["--no-features"]).expect_code(0);
    shown().expect_code(0).expect_stderr("the features of AAA 1d are behind its bars");
    sandbox.go_back_to_schema_1();
    let older = shown();
    older.expect_code(0).expect_stderr("was written by an older mdctl");
    assert_eq!(older.stdout.lines().count(), 1);
}

#[test]
fn a_database_of_the_first_schema_gets_all_its_features_with_the_next_run() {
    let (server, sandbox) = two_years();
    sandbox.backfill(&[]).expect_code(0);
    sandbox.go_back_to_schema_1();
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.take_requests().len(), 0, "nothing is due");
    assert_whole(&sandbox.database(), AAA, None);
    let quality = sandbox.mdctl(&["quality", "--json", "--as-of", AS_OF]).expect_code(0).json();
    assert_eq!(quality["series"][0]["quality_score"], 1.0, "{quality}");
}
