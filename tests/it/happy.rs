//! Backfills in which nothing goes wrong.

use crate::support::market::{self, DAY, HOUR, Market, day, instant, kline, row, rows, sessions};
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, KEY, Sandbox, asked, binance, daily_sessions, daily_stocks, faulty_stocks, group,
    polygon,
};

#[test]
fn polygon_days_are_stored_under_their_sessions_dates() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);

    // The window holds both a winter's 05:00Z and, from 11 March on, a summer's 04:00Z.
    let expected = rows(&daily_sessions());
    assert_eq!(expected.len(), 21);
    assert_eq!(sandbox.database().bars("AAA", "1d"), expected);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-15 2024-03-15"]);
    assert_eq!(server.requests()[0].parameter("adjusted"), Some("false"));
    assert_eq!(server.requests()[0].parameter("sort"), Some("asc"));
}

#[test]
fn a_backfill_leaves_its_series_coverage_and_no_gap() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();

    let series = database.rows(
        "SELECT symbol, timeframe, provider, adjustment, first_ts, watermark_ts, bar_count,
                consecutive_failures, last_error FROM series",
        |row| {
            let words = [row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            let numbers = [row.get::<_, i64>(4)?, row.get(5)?, row.get(6)?, row.get(7)?];
            Ok((words.join(" "), numbers, row.get::<_, Option<String>>(8)?))
        },
    );
    let (first, last) = (day("2024-02-15"), day(AS_OF));
    assert_eq!(series, [("AAA 1d p raw".to_owned(), [first, last, 21, 0], None)]);
    let coverage = database.rows("SELECT from_ts, to_ts FROM coverage", |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    });
    assert_eq!(coverage, [(first, last + DAY)]);
    assert_eq!(database.number("SELECT count(*) FROM gaps"), 0);
    assert_eq!(database.number("SELECT count(*) FROM rejected_bars"), 0);
    assert_eq!(database.texts("SELECT status FROM freshness"), ["fresh"]);
}

#[test]
fn a_run_accounts_for_itself() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.backfill(&["--trigger", "cron"]).expect_code(0);
    let database = sandbox.database();

    let run = database.texts(
        "SELECT concat_ws(' ', command, trigger, status, symbols_total, successful, failed, deferred,
             retried, skipped, records_inserted, records_updated, requests, rate_limited, exit_code)
         FROM runs WHERE completed_at >= started_at AND error IS NULL AND pid > 0",
    );
    assert_eq!(run, ["backfill cron succeeded 2 2 0 0 0 0 42 0 2 0 0"]);
    let jobs = database.texts(
        "SELECT concat_ws(' ', symbol, status, retry_count, records_inserted, records_updated)
         FROM jobs WHERE last_error IS NULL AND completed_at >= started_at ORDER BY symbol",
    );
    assert_eq!(jobs, ["AAA completed 0 21 0", "BBB completed 0 21 0"]);
    let fetches = database.texts(
        "SELECT concat_ws(' ', symbol, timeframe, provider, attempt, http_status, records_fetched,
             records_inserted, records_rejected, records_dropped, success)
         FROM fetch_log WHERE error_kind IS NULL AND bytes > 0 ORDER BY symbol",
    );
    assert_eq!(fetches, ["AAA 1d p 1 200 21 21 0 0 1", "BBB 1d p 1 200 21 21 0 0 1"]);
}

#[test]
fn a_second_run_asks_for_nothing_and_still_counts() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);

    assert_eq!(asked(&server.requests()), Vec::<String>::new());
    let database = sandbox.database();
    let runs = database.texts(
        "SELECT concat_ws(' ', status, symbols_total, successful, requests, records_inserted)
         FROM runs ORDER BY run_id",
    );
    assert_eq!(runs, ["succeeded 1 1 1 21", "succeeded 1 1 0 0"]);
    assert_eq!(database.texts("SELECT DISTINCT status FROM jobs"), ["completed"]);
}

#[test]
fn polygons_pages_are_followed_on_the_configured_host() {
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(5);
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);

    assert_eq!(sandbox.database().bars("AAA", "1d"), rows(&daily_sessions()));
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert_eq!(requests[1].parameter("cursor"), Some("bGltaXQ"));
    for request in &requests {
        assert_eq!(request.parameter("adjusted"), Some("false"), "{}", request.target());
        assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
}

#[test]
fn a_short_page_with_a_next_url_is_not_the_last() {
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(1);
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 21);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
}

/// A sandbox that tracks three days of hours of `BTCUSDT` in pages of ten.
fn bitcoin(base_url: &str) -> Sandbox {
    let hourly = r#"timeframes = ["1h"]
lookback = { "1h" = "3d" }"#;
    let config = binance(base_url, "page_limit = 10") + &group("b", "crypto", &["BTCUSDT"], hourly);
    Sandbox::with(&config)
}

/// The hours that [`bitcoin`] asks for at 10:30 on 15 March.
fn bitcoin_hours() -> Vec<i64> {
    market::hours("2024-03-12T11:00:00Z", "2024-03-15T10:00:00Z")
}

#[test]
fn binances_pages_go_on_behind_the_last_row() {
    let market = Market::new().with(
        "BTCUSDT",
        "1h",
        rows(&market::hours("2024-03-01T00:00:00Z", "2024-03-16T00:00:00Z")),
    );
    let server = Server::start(move |request| market.binance(request));
    let sandbox = bitcoin(&server.url());
    sandbox.backfill_at("2024-03-15T10:30:00Z", &[]).expect_code(0);

    let hours = bitcoin_hours();
    assert_eq!(sandbox.database().times("BTCUSDT", "1h"), hours);
    let starts: Vec<i64> = server
        .requests()
        .iter()
        .filter_map(|request| request.parameter("startTime")?.parse().ok())
        .collect();
    let expected: Vec<i64> = hours.iter().step_by(10).map(|ts| ts * 1_000).collect();
    assert_eq!(starts, expected);
}

#[test]
fn a_running_bar_is_never_stored() {
    let running = instant("2024-03-15T10:00:00Z");
    let server = Server::start(move |request| {
        // An exchange that looks at nothing but the start, as the newest bars are asked for.
        let start: i64 = request.parameter("startTime").unwrap_or("0").parse().expect("a start");
        let page = (start / 1_000..=running).step_by(3_600).take(10);
        let klines: Vec<_> = page.map(|ts| kline(&row(ts), HOUR)).collect();
        Answer::ok(serde_json::Value::from(klines).to_string())
    });
    let sandbox = bitcoin(&server.url());
    sandbox.backfill_at("2024-03-15T10:30:00Z", &[]).expect_code(0);

    let database = sandbox.database();
    assert_eq!(database.times("BTCUSDT", "1h"), bitcoin_hours());
    assert_eq!(database.number("SELECT sum(records_dropped) FROM fetch_log"), 1);
    assert_eq!(database.number("SELECT count(*) FROM rejected_bars"), 0);
}

#[test]
fn binance_numbers_are_read_to_the_last_digit() {
    let server = Server::start(|_| {
        Answer::ok(
            r#"[[1710489600000,"0.00001234","0.00001300","0.00001200","0.00001250","1500.5",
                1710493199999,"0.0187",42,"1","1","0"]]"#,
        )
    });
    let hourly = r#"timeframes = ["1h"]
lookback = { "1h" = "1h" }"#;
    let config = binance(&server.url(), "") + &group("b", "crypto", &["DOGEBTC"], hourly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-15T09:00:00Z", &[]).expect_code(0);

    let bars = sandbox.database().bars("DOGEBTC", "1h");
    assert_eq!(bars.len(), 1);
    let bar = bars[0];
    assert_eq!(
        (bar.open, bar.high, bar.low, bar.close),
        (0.000_012_34, 0.000_013, 0.000_012, 0.000_012_5)
    );
    assert_eq!((bar.volume, bar.trades), (1500.5, 42));
    assert!((bar.vwap - 0.0187 / 1500.5).abs() < 1e-15, "{bar:?}");
}

#[test]
fn the_key_travels_in_a_header_and_stays_nowhere() {
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(9);
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB", "CCC"], move |request| {
        // Servers repeat keys in their errors.
        match request.path.split('/').nth(4) {
            Some("AAA") => market.polygon(request),
            Some("BBB") => Answer::status(404, format!(r#"{{"error":"no {KEY}"}}"#)),
            _ => Answer::ok(format!("<html>{KEY}</html>")),
        }
    });
    let output = sandbox.backfill(&["-v", "-v", "--json"]);
    output.expect_code(1);
    let history = sandbox.mdctl(&["history", "last", "--json"]);

    for request in server.requests() {
        assert_eq!(request.method, "GET");
        assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        assert!(!request.target().contains(KEY), "{}", request.target());
    }
    for text in [&output.stdout, &output.stderr, &history.stdout, &history.stderr] {
        assert!(!text.contains(KEY), "{text}");
    }
    assert!(!sandbox.holds(KEY), "a file holds the key");
}

#[test]
fn a_crypto_day_is_labelled_by_its_utc_date() {
    let days: Vec<i64> = (day("2024-03-01")..=day("2024-03-16")).step_by(86_400).collect();
    let market = Market::daily(&["X:BTCUSD"], &days);
    let server = Server::start(move |request| market.polygon(request));
    let lately = r#"timeframes = ["1d"]
lookback = { "1d" = "10d" }"#;
    let config = polygon(&server.url(), "") + &group("p", "crypto", &["X:BTCUSD"], lately);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-15T12:00:00Z", &[]).expect_code(0);
    let expected: Vec<i64> = (day("2024-03-06")..day("2024-03-15")).step_by(86_400).collect();
    assert_eq!(sandbox.database().times("X:BTCUSD", "1d"), expected);
}

#[test]
fn every_timeframe_of_every_symbol_is_fetched() {
    let hours = market::hours("2024-03-14T00:00:00Z", "2024-03-16T00:00:00Z");
    let mut market = Market::new();
    for symbol in ["AAA", "BBB", "CCC", "DDD", "EEE"] {
        market = market.with(symbol, "1d", rows(&sessions("2024-03-11", AS_OF))).with(
            symbol,
            "1h",
            rows(&hours),
        );
    }
    let server = Server::start(move |request| market.polygon(request));
    let both = r#"timeframes = ["1d", "1h"]
lookback = { "1d" = "4d", "1h" = "1d" }"#;
    let symbols = ["AAA", "BBB", "CCC", "DDD", "EEE"];
    let config = polygon(&server.url(), "") + &group("p", "stock", &symbols, both);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&["--parallel", "4"]).expect_code(0);

    let database = sandbox.database();
    // Four days of the market, and of each symbol its hours.
    assert_eq!(server.requests().len(), 4 + 5);
    for symbol in symbols {
        assert_eq!(database.times(symbol, "1d"), sessions("2024-03-12", AS_OF), "{symbol}");
        // The session's hours: 13:30 to 20:00 UTC; pre-market hours of the asked range come along.
        let stored = database.times(symbol, "1h");
        assert!(stored.contains(&instant("2024-03-15T13:00:00Z")), "{symbol}: {stored:?}");
        assert!(stored.contains(&instant("2024-03-15T19:00:00Z")), "{symbol}: {stored:?}");
    }
    assert_eq!(database.number("SELECT count(*) FROM gaps"), 0);
}

#[test]
fn a_symbol_on_the_command_line_is_all_that_is_fetched() {
    let (server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.backfill(&["BBB"]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["BBB 1d 2024-02-15 2024-03-15"]);
    assert_eq!(sandbox.database().number("SELECT symbols_total FROM runs"), 1);
}

#[test]
fn json_is_one_document_with_the_runs_outcome() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    let output = sandbox.backfill(&["--json"]);
    let json = output.expect_code(0).json();
    assert_eq!(json["run"]["status"], "succeeded");
    assert_eq!(json["run"]["total_records_inserted"], 42);
    assert_eq!(json["jobs"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["failures"].as_array().map(Vec::len), Some(0));
    assert!(json["deferred"].is_array(), "{json}");
    let run_id = sandbox.database().texts("SELECT run_id FROM runs");
    assert_eq!(json["run"]["run_id"], run_id[0].as_str());
}

#[test]
fn the_runs_id_is_on_its_log_lines() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let output = sandbox.backfill(&["-v"]);
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    output.expect_code(0).expect_stderr(&run_id);
}

#[test]
fn an_alias_is_asked_for_under_the_name_of_then() {
    let market = Market::daily(&["FB", "META"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let group = format!(
        r#"
[[group]]
name = "one"
provider = "p"
asset_class = "stock"
symbols = [{{ symbol = "META", aliases = [{{ symbol = "FB", until = "2024-03-01" }}] }}]
{DAILY}
"#
    );
    let sandbox = Sandbox::with(&(polygon(&server.url(), "") + &group));
    sandbox.backfill(&[]).expect_code(0);
    let asked = asked(&server.requests());
    assert_eq!(asked, ["FB 1d 2024-02-15 2024-03-01", "META 1d 2024-03-04 2024-03-15"]);
    assert_eq!(sandbox.database().times("META", "1d"), daily_sessions());
}

#[test]
fn nothing_is_due_after_a_delisting() {
    let market = Market::daily(&["TWTR"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let group = format!(
        r#"
[[group]]
name = "one"
provider = "p"
asset_class = "stock"
symbols = [{{ symbol = "TWTR", delisted = "2024-03-05" }}]
{DAILY}
"#
    );
    let sandbox = Sandbox::with(&(polygon(&server.url(), "") + &group));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["TWTR 1d 2024-02-15 2024-03-05"]);
    assert_eq!(sandbox.database().texts("SELECT status FROM freshness"), ["fresh"]);
}
