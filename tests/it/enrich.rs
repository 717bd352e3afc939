//! The daily pass: tails, what is not settled, another look at empty answers, and a second try.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::market::{Market, PolygonAsk, day, row, rows, sessions};
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, Output, Sandbox, asked, daily_sessions, daily_stocks, group, polygon,
};

/// Requests for bars so far; what else is asked for is in `reference`.
fn requests_for_bars(server: &Server) -> usize {
    server.requests().iter().filter(|request| PolygonAsk::of(request).is_some()).count()
}

/// What was asked for of bars since this was last looked at.
fn bars_asked(server: &Server) -> Vec<String> {
    let requests = server.take_requests().into_iter();
    asked(&requests.filter(|request| PolygonAsk::of(request).is_some()).collect::<Vec<_>>())
}

fn enrich(sandbox: &Sandbox, as_of: &str) -> Output {
    sandbox.mdctl(&["enrich", "--as-of", as_of])
}

/// A sandbox whose failed jobs are tried again after 1, 2 and 4 ms, each asked for once, and its server,
/// which refuses `BAD` so often.
fn retrying(refusals: usize) -> (Server, Sandbox) {
    let market = Market::daily(&["AAA", "BAD"], &daily_sessions());
    let server = Server::start(move |request| match request.path.contains("/BAD/") {
        true if request.seen < refusals => Answer::status(500, "oops"),
        _ => market.polygon(request),
    });
    let config = polygon(&server.url(), "")
        .replace("[run]", "[run]\njob_retries = { initial = \"1ms\" }")
        .replace("max_retries = 2", "max_retries = 0")
        + &group("p", "stock", &["AAA", "BAD"], DAILY);
    (server, Sandbox::with(&config))
}

#[test]
fn a_failed_job_is_tried_again_at_the_end() {
    let (server, sandbox) = retrying(2);
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!(requests_for_bars(&server), 4);
    let database = sandbox.database();
    assert_eq!(database.bars("BAD", "1d"), rows(&daily_sessions()));
    let jobs = database
        .texts("SELECT concat_ws(' ', symbol, status, retry_count) FROM jobs ORDER BY symbol");
    assert_eq!(jobs, ["AAA completed 0", "BAD completed 2"]);
    let run = database
        .texts("SELECT concat_ws(' ', command, status, failed, retried, requests) FROM runs");
    assert_eq!(run, ["enrich succeeded 0 2 10"], "three of each symbol were for no bars");
    assert_eq!(database.number("SELECT count(*) FROM failures"), 0);
}

#[test]
fn a_job_that_is_tried_again_asks_for_no_page_that_is_stored() {
    let (server, sandbox) = retrying(0);
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(8);
    let asked_before = AtomicUsize::new(0);
    server.answer_with(move |request| match asked_before.fetch_add(1, Ordering::SeqCst) {
        1 => Answer::status(500, "oops"),
        _ => market.polygon(request),
    });
    sandbox.mdctl(&["enrich", "AAA", "--as-of", AS_OF]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    assert_eq!(requests_for_bars(&server), 4, "three pages, and one of them twice");
    let fetched = database.number("SELECT sum(records_fetched) FROM fetch_log");
    assert_eq!(fetched, 21, "no bar came twice");
}

#[test]
fn after_so_many_tries_a_failed_job_has_failed_once() {
    let (server, sandbox) = retrying(usize::MAX);
    enrich(&sandbox, AS_OF).expect_code(1);
    assert_eq!(requests_for_bars(&server), 1 + 4);
    let database = sandbox.database();
    let failures = database.texts("SELECT symbol || ' ' || error_kind FROM failures");
    assert_eq!(failures, ["BAD server"]);
    let jobs = database
        .texts("SELECT concat_ws(' ', symbol, status, retry_count) FROM jobs ORDER BY symbol");
    assert_eq!(jobs, ["AAA completed 0", "BAD failed 3"]);
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    let (server, sandbox) = retrying(0);
    server.answer_with(|_| Answer::status(404, "{}"));
    enrich(&sandbox, AS_OF).expect_code(2);
    assert_eq!(requests_for_bars(&server), 2);
}

#[test]
fn backfill_tries_no_job_again() {
    let (server, sandbox) = retrying(usize::MAX);
    sandbox.backfill(&[]).expect_code(1);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn the_second_pass_of_a_day_asks_for_nothing_and_the_next_day_reads_what_is_not_settled() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    enrich(&sandbox, "2024-03-15T22:00:00Z").expect_code(0);
    assert_eq!(bars_asked(&server), ["AAA 1d 2024-02-15 2024-03-15"]);
    enrich(&sandbox, "2024-03-15T23:00:00Z").expect_code(0);
    assert_eq!(server.take_requests().len(), 0);
    // A Saturday: nothing is due, and the last three are read again, once.
    enrich(&sandbox, "2024-03-16T12:00:00Z").expect_code(0);
    assert_eq!(bars_asked(&server), ["AAA 1d 2024-03-13 2024-03-15"]);
    enrich(&sandbox, "2024-03-16T18:00:00Z").expect_code(0);
    sandbox.backfill_at("2024-03-16T18:00:00Z", &[]).expect_code(0);
    assert_eq!(server.take_requests().len(), 0);
    enrich(&sandbox, "2024-03-18").expect_code(0);
    assert_eq!(bars_asked(&server), ["AAA 1d 2024-03-13 2024-03-18"]);
}

#[test]
fn a_clock_that_was_ahead_keeps_nothing_from_being_read_again() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    enrich(&sandbox, "2024-03-15T22:00:00Z").expect_code(0);
    server.take_requests();
    sandbox.tamper("UPDATE series SET settle_read_at = settle_read_at + 400 * 86400");
    enrich(&sandbox, "2024-03-16T12:00:00Z").expect_code(0);
    assert_eq!(bars_asked(&server), ["AAA 1d 2024-03-13 2024-03-15"]);
    enrich(&sandbox, "2024-03-16T18:00:00Z").expect_code(0);
    assert_eq!(server.take_requests().len(), 0);
}

#[test]
fn a_restated_bar_is_found_though_nothing_new_is_due() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    enrich(&sandbox, "2024-03-15").expect_code(0);
    let restated = day("2024-03-14");
    server.answer_with(move |request| {
        let Some(ask) = PolygonAsk::of(request) else { return Answer::status(404, "{}") };
        let bars = sessions(&ask.from, &ask.to).into_iter().map(row).map(|mut bar| {
            bar.volume += if bar.ts == restated { 1.0 } else { 0.0 };
            ask.result(&bar)
        });
        Answer::ok(
            crate::support::market::polygon_body(&ask.symbol, bars.collect(), None).to_string(),
        )
    });
    enrich(&sandbox, "2024-03-17").expect_code(0);
    let revised =
        sandbox.database().numbers("SELECT ts FROM revisions WHERE new_volume = old_volume + 1");
    assert_eq!(revised, [restated]);
}

#[test]
fn old_holes_are_left_to_backfill() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    enrich(&sandbox, "2024-03-15").expect_code(0);
    sandbox.tamper(&format!("DELETE FROM bars WHERE ts = {}", day("2024-02-22")));
    server.take_requests();
    enrich(&sandbox, "2024-03-15").expect_code(0);
    assert_eq!(server.requests().len(), 0);
    sandbox.backfill_at("2024-03-15", &[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-22 2024-02-22"]);
}

#[test]
fn an_empty_answer_is_looked_at_again_when_that_is_due_and_not_before() {
    let hole = day("2024-02-22");
    let with_hole: Vec<i64> =
        sessions("2024-01-02", "2024-06-28").into_iter().filter(|ts| *ts != hole).collect();
    let market = Market::daily(&["AAA"], &with_hole);
    let server = Server::start(move |request| market.polygon(request));
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY)));
    let looked = |as_of: &str| {
        server.take_requests();
        enrich(&sandbox, as_of).expect_code(0);
        asked(&server.take_requests()).iter().any(|asked| asked.contains("2024-02-22"))
    };
    sandbox.backfill_at("2024-03-15T22:00:00Z", &[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("AAA"), ["provider_empty 1"]);
    assert!(!looked("2024-03-16T21:00:00Z"), "a day has not passed");
    assert!(looked("2024-03-16T23:00:00Z"));
    assert!(!looked("2024-03-17T23:00:00Z"), "the next look is three days later");
    assert!(looked("2024-03-19T23:00:00Z"));
    assert!(!looked("2024-03-27T23:00:00Z"));
    assert!(looked("2024-03-28T23:30:00Z"));
    assert_eq!(sandbox.database().gaps("AAA"), ["no_trade 1"]);
    assert!(!looked("2024-05-01"));
}

#[test]
fn a_file_that_did_not_change_is_not_read_again() {
    let sandbox = Sandbox::with(
        "[providers.f]\nkind = \"files\"\npath = \"data\"\n[[group]]\nname = \"g\"\nprovider = \"f\"\nasset_class = \"crypto\"\nsymbols = [\"X\"]\ntimeframes = [\"1d\"]\n",
    );
    sandbox.write("data/X_1d.csv", "ts,open,high,low,close,volume\n2024-03-14T00:00:00Z,1,2,1,2,5\n2024-03-15T00:00:00Z,1,2,1,2,5\n");
    enrich(&sandbox, "2024-03-15").expect_code(0);
    enrich(&sandbox, "2024-03-15").expect_code(0);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM fetch_log"), 1);
}

#[test]
fn five_symbols_are_in_flight_unless_told_otherwise() {
    // Five that wait for each other come through; backfill's three would not.
    let symbols = ["AAA", "BBB", "CCC", "DDD", "EEE"];
    let market = Market::daily(&symbols, &daily_sessions());
    let meeting = std::sync::Arc::new((std::sync::Mutex::new(0), std::sync::Condvar::new()));
    let server = Server::start(move |request| {
        let (standing, met) = &*meeting;
        let mut standing = standing.lock().expect("a lock");
        *standing += 1;
        met.notify_all();
        let waited = met.wait_timeout_while(standing, Duration::from_secs(20), |n| *n < 5);
        match waited.expect("a lock").1.timed_out() {
            true => Answer::status(404, "{}"),
            false => market.polygon(request),
        }
    });
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), "") + &group("p", "stock", &symbols, DAILY)));
    enrich(&sandbox, AS_OF).expect_code(0);
}

#[test]
fn of_a_delisted_symbol_nothing_is_read_again_once_it_is_settled() {
    let market = Market::daily(&["OLD"], &sessions("2024-01-02", "2024-03-08"));
    let server = Server::start(move |request| market.polygon(request));
    let symbol = "{ symbol = \"OLD\", delisted = \"2024-03-08\" }";
    let config = polygon(&server.url(), "") + &group("p", "stock", &["OLD"], DAILY);
    let sandbox = Sandbox::with(&config.replace("\"OLD\"", symbol));
    let mut days = Vec::new();
    for day in 8..16 {
        enrich(&sandbox, &format!("2024-03-{day:02}")).expect_code(0);
        days.push(asked(&server.take_requests()).iter().any(|request| request.starts_with("OLD ")));
    }
    // The day itself, and while it is not settled, which takes two days.
    assert_eq!(days, [true, true, false, false, false, false, false, false]);
}
