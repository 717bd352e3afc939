//! Timeframes that a provider does not offer, made of finer ones that it does.

use crate::support::market::{DAY, HOUR, Market, Row, day, hours, instant, rows, sessions};
use crate::support::server::Server;
use crate::support::{AS_OF, Sandbox, asked, daily_sessions, group, polygon};

/// A sandbox that tracks `timeframes` of a crypto pair whose hours are `held`.
fn bitcoin(held: &[i64], timeframes: &str) -> (Server, Sandbox) {
    let market = Market::new().with("X:BTCUSD", "1h", rows(held));
    let server = Server::start(move |request| market.polygon(request));
    let group = group(
        "p",
        "crypto",
        &["X:BTCUSD"],
        &format!("{timeframes}\nlookback = {{ \"1h\" = \"36h\", \"4h\" = \"36h\" }}"),
    );
    let sandbox = Sandbox::with(&(polygon(&server.url(), "") + &group));
    (server, sandbox)
}

/// The bar that these hours make.
fn sum(ts: i64, parts: &[Row]) -> Row {
    let volume: f64 = parts.iter().map(|row| row.volume).sum();
    Row {
        ts,
        open: parts[0].open,
        high: parts.iter().map(|row| row.high).fold(f64::MIN, f64::max),
        low: parts.iter().map(|row| row.low).fold(f64::MAX, f64::min),
        close: parts[parts.len() - 1].close,
        volume,
        vwap: parts.iter().map(|row| row.vwap * row.volume).sum::<f64>() / volume,
        trades: parts.iter().map(|row| row.trades).sum(),
    }
}

/// Every whole stretch of `length` seconds within `[from, to)`, by its start.
fn windows(from: &str, to: &str, length: i64) -> Vec<i64> {
    let first = (instant(from) + length - 1).div_euclid(length) * length;
    (first..=instant(to) - length).step_by(usize::try_from(length).expect("a length")).collect()
}

#[test]
fn four_hours_are_made_of_whole_windows() {
    let held = hours("2024-03-13T00:00:00Z", "2024-03-16T00:00:00Z");
    let (server, sandbox) = bitcoin(&held, r#"timeframes = ["1h", "4h"]"#);
    // The last due hour is 10:00; the lookback begins at 23:30 two days before.
    sandbox.backfill_at("2024-03-15T11:30:00Z", &[]).expect_code(0);
    assert_eq!(server.requests().len(), 1, "only hours are asked for");
    let database = sandbox.database();
    let expected: Vec<Row> = windows("2024-03-14T00:00:00Z", "2024-03-15T11:00:00Z", 4 * HOUR)
        .into_iter()
        .map(|ts| sum(ts, &rows(&[ts, ts + HOUR, ts + 2 * HOUR, ts + 3 * HOUR])))
        .collect();
    let stored = database.bars("X:BTCUSD", "4h");
    assert_eq!(stored.len(), 8);
    for (stored, expected) in stored.iter().zip(&expected) {
        assert!((stored.vwap - expected.vwap).abs() < 1e-9, "{stored:?} {expected:?}");
        assert_eq!(Row { vwap: 0.0, ..*stored }, Row { vwap: 0.0, ..*expected });
    }
}

#[test]
fn the_window_that_was_running_is_made_once_it_is_whole() {
    let held = hours("2024-03-13T00:00:00Z", "2024-03-16T00:00:00Z");
    let (_server, sandbox) = bitcoin(&held, r#"timeframes = ["1h", "4h"]"#);
    sandbox.backfill_at("2024-03-15T11:30:00Z", &[]).expect_code(0);
    sandbox.backfill_at("2024-03-15T12:20:00Z", &[]).expect_code(0);
    let expected = windows("2024-03-14T00:00:00Z", "2024-03-15T12:00:00Z", 4 * HOUR);
    assert_eq!(sandbox.database().times("X:BTCUSD", "4h"), expected);
}

#[test]
fn a_window_that_lacks_an_hour_is_no_bar_until_the_hour_comes() {
    let lacking = instant("2024-03-14T17:00:00Z");
    let all = hours("2024-03-13T00:00:00Z", "2024-03-16T00:00:00Z");
    let held: Vec<i64> = all.iter().copied().filter(|ts| *ts != lacking).collect();
    let (server, sandbox) = bitcoin(&held, r#"timeframes = ["1h", "4h"]"#);
    sandbox.backfill_at("2024-03-15T11:30:00Z", &[]).expect_code(0);
    let mut expected = windows("2024-03-14T00:00:00Z", "2024-03-15T11:00:00Z", 4 * HOUR);
    let whole = expected.clone();
    expected.retain(|ts| *ts != instant("2024-03-14T16:00:00Z"));
    assert_eq!(sandbox.database().times("X:BTCUSD", "4h"), expected);

    let market = Market::new().with("X:BTCUSD", "1h", rows(&all));
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill_at("2024-03-15T11:30:00Z", &["--repair"]).expect_code(0);
    assert_eq!(sandbox.database().times("X:BTCUSD", "4h"), whole);
}

#[test]
fn a_restated_hour_restates_its_window() {
    let all = hours("2024-03-13T00:00:00Z", "2024-03-16T00:00:00Z");
    let (server, sandbox) = bitcoin(&all, r#"timeframes = ["1h", "4h"]"#);
    sandbox.backfill_at("2024-03-15T08:30:00Z", &[]).expect_code(0);
    let restated = instant("2024-03-15T07:00:00Z");
    let changed: Vec<Row> = rows(&all)
        .into_iter()
        .map(|row| if row.ts == restated { Row { high: 999.0, ..row } } else { row })
        .collect();
    let market = Market::new().with("X:BTCUSD", "1h", changed);
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill_at("2024-03-15T09:30:00Z", &[]).expect_code(0);
    let window = instant("2024-03-15T04:00:00Z");
    let bars = sandbox.database().bars("X:BTCUSD", "4h");
    let bar = bars.iter().find(|bar| bar.ts == window).expect("the window");
    assert_eq!(bar.high, 999.0);
    let revised = sandbox
        .database()
        .numbers("SELECT ts FROM revisions JOIN series USING (series_id) WHERE timeframe = '4h'");
    assert_eq!(revised, [window]);
}

/// A sandbox that tracks nothing but weeks of a share.
fn weeks(held: &[i64]) -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], held);
    let server = Server::start(move |request| market.polygon(request));
    let weekly = r#"timeframes = ["1w"]
lookback = { "1d" = "10d", "1w" = "30d" }"#;
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], weekly);
    let sandbox = Sandbox::with(&config);
    (server, sandbox)
}

#[test]
fn weeks_alone_store_their_days_too_for_the_longer_lookback() {
    let (server, sandbox) = weeks(&sessions("2024-01-02", "2024-06-28"));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-15 2024-03-15"]);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    // The week of Thursday, 15 February is not whole; that of Presidents' Day is, with four days.
    let mondays = ["2024-02-19", "2024-02-26", "2024-03-04", "2024-03-11"].map(day);
    assert_eq!(database.times("AAA", "1w"), mondays);
    let stored = database.bars("AAA", "1w")[0];
    let expected = sum(mondays[0], &rows(&sessions("2024-02-20", "2024-02-23")));
    assert_eq!(Row { vwap: 0.0, ..stored }, Row { vwap: 0.0, ..expected });
}

#[test]
fn a_week_is_stored_when_its_last_session_is_due() {
    let (_server, sandbox) = weeks(&sessions("2024-01-02", "2024-06-28"));
    sandbox.backfill_at("2024-03-15T20:19:00Z", &[]).expect_code(0);
    let last = |sandbox: &Sandbox| sandbox.database().times("AAA", "1w").last().copied();
    assert_eq!(last(&sandbox), Some(day("2024-03-04")));
    sandbox.backfill_at("2024-03-15T20:20:00Z", &[]).expect_code(0);
    assert_eq!(last(&sandbox), Some(day("2024-03-11")));
}

#[test]
fn a_week_that_lacks_a_day_is_no_bar() {
    let held: Vec<i64> =
        sessions("2024-01-02", AS_OF).into_iter().filter(|ts| *ts != day("2024-03-06")).collect();
    let (_server, sandbox) = weeks(&held);
    sandbox.backfill(&[]).expect_code(0);
    let mondays = ["2024-02-19", "2024-02-26", "2024-03-11"].map(day);
    assert_eq!(sandbox.database().times("AAA", "1w"), mondays);
}

#[test]
fn a_second_run_has_nothing_to_derive() {
    let (server, sandbox) = weeks(&sessions("2024-01-02", "2024-06-28"));
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 0);
    let inserted = sandbox.database().numbers("SELECT records_inserted FROM runs ORDER BY run_id");
    assert_eq!(inserted, [25, 0]);
    let series = sandbox.mdctl(&["staleness", "--json", "--as-of", AS_OF]).json();
    for series in series["series"].as_array().expect("series") {
        assert_eq!(series["status"], "fresh", "{series}");
    }
}

#[test]
fn a_derived_timeframe_asked_for_alone_brings_its_source() {
    let held = hours("2024-03-13T00:00:00Z", "2024-03-16T00:00:00Z");
    let (server, sandbox) = bitcoin(&held, r#"timeframes = ["4h"]"#);
    sandbox.backfill_at("2024-03-15T11:30:00Z", &["--timeframe", "4h"]).expect_code(0);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(sandbox.database().times("X:BTCUSD", "4h").len(), 8);
}

#[test]
fn a_timeframe_that_is_added_later_is_made_of_what_is_stored() {
    let days: Vec<i64> = (day("2024-03-01")..day("2024-03-15")).step_by(86_400).collect();
    let market = Market::daily(&["X:BTCUSD"], &days);
    let server = Server::start(move |request| market.polygon(request));
    let daily = r#"timeframes = ["1d"]
lookback = { "1d" = "20d", "1w" = "20d" }"#;
    let config = polygon(&server.url(), "") + &group("p", "crypto", &["X:BTCUSD"], daily);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-15T12:00:00Z", &[]).expect_code(0);
    server.take_requests();
    sandbox.write("mdctl.toml", config.replace(r#"["1d"]"#, r#"["1d", "1w"]"#));
    sandbox.backfill_at("2024-03-15T12:00:00Z", &[]).expect_code(0);
    assert_eq!(server.requests().len(), 0, "what is stored is not asked for again");
    let monday = day("2024-03-04");
    let stored = sandbox.database().times("X:BTCUSD", "1w");
    assert_eq!(stored, [monday]);
    assert_eq!(day("2024-03-11"), monday + 7 * DAY, "the running week is not made");
}

#[test]
fn a_deleted_derived_bar_is_made_again_without_a_request() {
    let held = hours("2024-03-13T00:00:00Z", "2024-03-16T00:00:00Z");
    let (server, sandbox) = bitcoin(&held, r#"timeframes = ["1h", "4h"]"#);
    let as_of = "2024-03-15T12:30:00Z";
    sandbox.backfill_at(as_of, &[]).expect_code(0);
    let made = sandbox.database().bars("X:BTCUSD", "4h");
    sandbox.tamper(
        "DELETE FROM bars WHERE series_id = (SELECT series_id FROM series WHERE timeframe = '4h')
         AND ts % 28800 = 0",
    );
    server.take_requests();
    sandbox.backfill_at(as_of, &[]).expect_code(0);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(sandbox.database().bars("X:BTCUSD", "4h"), made);
}

#[test]
fn a_window_is_made_anew_when_a_kill_came_between_it_and_its_source() {
    let held = hours("2024-03-13T00:00:00Z", "2024-03-16T00:00:00Z");
    let (server, sandbox) = bitcoin(&held, r#"timeframes = ["1h", "4h"]"#);
    let as_of = "2024-03-15T12:30:00Z";
    sandbox.backfill_at(as_of, &[]).expect_code(0);
    let made = sandbox.database().bars("X:BTCUSD", "4h");
    // As a page leaves it: the source is stored, and its windows are no longer called made.
    sandbox.tamper(
        "DELETE FROM coverage WHERE series_id = (SELECT series_id FROM series WHERE timeframe = '4h');
         UPDATE bars SET close = close / 2
          WHERE series_id = (SELECT series_id FROM series WHERE timeframe = '4h')",
    );
    server.take_requests();
    sandbox.backfill_at(as_of, &[]).expect_code(0);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(sandbox.database().bars("X:BTCUSD", "4h"), made);
}

#[test]
fn a_timeframe_that_comes_back_is_made_of_what_its_source_holds_now() {
    let market = Market::daily(&["AAA"], &sessions("2024-01-02", "2024-03-15"));
    let server = Server::start(move |request| market.polygon(request));
    let daily = |timeframes: &str| {
        let more = format!(
            "timeframes = [{timeframes}]\nlookback = {{ \"1d\" = \"30d\", \"1w\" = \"30d\" }}"
        );
        polygon(&server.url(), "") + &group("p", "stock", &["AAA"], &more)
    };
    let sandbox = Sandbox::with(&daily("\"1d\", \"1w\""));
    sandbox.backfill(&[]).expect_code(0);
    let mut bars = rows(&sessions("2024-01-02", "2024-03-15"));
    for bar in bars.iter_mut().filter(|bar| bar.ts == day("2024-03-06")) {
        bar.high += 50.0;
    }
    let high = bars.iter().map(|bar| bar.high).fold(0.0, f64::max);
    let market = Market::new().with("AAA", "1d", bars);
    server.answer_with(move |request| market.polygon(request));
    sandbox.write("mdctl.toml", daily("\"1d\""));
    sandbox.backfill(&["--full"]).expect_code(0);
    sandbox.write("mdctl.toml", daily("\"1d\", \"1w\""));
    sandbox.backfill(&[]).expect_code(0);
    let weeks = sandbox.database().bars("AAA", "1w");
    assert!(weeks.iter().any(|week| week.high == high), "{weeks:?}");
}
