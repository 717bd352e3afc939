//! A day of a whole market as one request, where many symbols need it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::crash::{another, assert_alike, contents};
use crate::support::market::{DAY, Market, Row, date, day, grouped_day, hours, rows, sessions};
use crate::support::server::{Answer, Reply, Request, Server};
use crate::support::shim::{Shim, Spoil};
use crate::support::{DAILY, Sandbox, asked, group, polygon};

/// A Monday with a session, and the Friday before it.
const MONDAY: &str = "2024-03-18";
const FRIDAY: &str = "2024-03-15";
const TUESDAY: &str = "2024-03-19";

const SYMBOLS: [&str; 6] = ["AAA", "BBB", "BRK.B", "CCC", "PEBpE", "PEBPE"];

fn market() -> Market {
    Market::daily(&SYMBOLS, &sessions("2024-01-02", "2024-06-28"))
}

fn grouped(date: &str) -> String {
    format!("/v2/aggs/grouped/locale/us/market/stocks/{date}?adjusted=false&include_otc=true")
}

/// A sandbox that holds all bars up to Friday; its server answers from then on as `responder` says.
fn filled(
    more: &str,
    responder: impl Fn(&Market, &Request) -> Answer + Send + Sync + 'static,
) -> (Server, Sandbox) {
    let market = market();
    let server = Server::start({
        let market = market.clone();
        move |request| market.polygon(request)
    });
    let config = polygon(&server.url(), more) + &group("p", "stock", &SYMBOLS, DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at(FRIDAY, &[]).expect_code(0);
    assert_eq!(server.take_requests().len(), SYMBOLS.len(), "a new series is asked for alone");
    server.answer_with(move |request| responder(&market, request));
    (server, sandbox)
}

/// Makes what is not settled read on that day.
fn settled_on(sandbox: &Sandbox, date: &str) {
    let at = day(date) + DAY;
    let settled = at - 2 * DAY;
    sandbox.tamper(&format!("UPDATE series SET settle_read_at = {at}, settled_ts = {settled}"));
}

#[test]
fn many_symbols_that_need_a_day_are_one_request_and_hold_what_each_alone_would_bring() {
    let (server, sandbox) = filled("", Market::polygon);
    settled_on(&sandbox, MONDAY);
    sandbox.backfill_at(MONDAY, &[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), [grouped(MONDAY)]);
    let database = sandbox.database();
    for symbol in SYMBOLS {
        assert_eq!(database.times(symbol, "1d").last(), Some(&day(MONDAY)), "{symbol}");
    }
    let run = "SELECT concat_ws(' ', requests, records_inserted, symbols_total, status) FROM runs";
    assert_eq!(database.texts(run)[1], "1 6 6 succeeded");
    let log =
        "SELECT concat_ws(' ', symbol, timeframe, http_status, records_fetched, records_inserted,
                      records_dropped, success) FROM fetch_log WHERE symbol = '*'";
    assert_eq!(database.texts(log), ["* 1d 200 6 6 0 1"]);
    let jobs = "SELECT DISTINCT concat_ws(' ', jobs.status, jobs.records_inserted, jobs.started_at IS NULL)
                  FROM jobs JOIN runs USING (run_id) WHERE requests = 1";
    assert_eq!(database.texts(jobs), ["completed 1 0"]);
    sandbox.backfill_at(MONDAY, &[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), [""; 0], "nothing is asked twice");

    let (_server, alone) = filled("grouped = false", Market::polygon);
    settled_on(&alone, MONDAY);
    alone.backfill_at(MONDAY, &[]).expect_code(0);
    assert_alike(&contents(&sandbox), &contents(&alone), "grouped and alone");
}

#[test]
fn what_is_not_settled_is_read_again_every_other_day_and_daily_by_enrich() {
    let (server, sandbox) = filled("", Market::polygon);
    let days = |server: &Server| -> Vec<String> {
        server.take_requests().iter().filter_map(grouped_day).collect()
    };
    // The Friday's bars were read when they came; no session but the Monday's lies between.
    sandbox.backfill_at("2024-03-18T21:00:00Z", &[]).expect_code(0);
    assert_eq!(days(&server), [MONDAY]);
    let read = || sandbox.database().numbers("SELECT DISTINCT settle_read_at FROM series");
    assert_eq!(read(), [day("2024-03-16")], "nothing was read again");
    let settled = || {
        let sql =
            "SELECT DISTINCT substr(max(time), 1, 10) FROM candles WHERE settled GROUP BY symbol";
        sandbox.database().texts(sql)
    };
    assert_eq!(settled(), ["2024-03-14"], "and what is read again tomorrow is not settled");
    sandbox.backfill_at("2024-03-19T21:00:00Z", &[]).expect_code(0);
    assert_eq!(days(&server), ["2024-03-14", FRIDAY, MONDAY, TUESDAY]);
    assert_eq!(read(), [day(TUESDAY) + 21 * 3_600]);
    assert_eq!(settled(), [FRIDAY]);
    sandbox.backfill_at("2024-03-20T21:00:00Z", &[]).expect_code(0);
    assert_eq!(days(&server), ["2024-03-20"]);
    sandbox.mdctl(&["enrich", "--as-of", "2024-03-20T21:30:00Z"]).expect_code(0);
    assert_eq!(days(&server), [MONDAY, TUESDAY, "2024-03-20"]);
    sandbox.mdctl(&["enrich", "--as-of", "2024-03-20T22:00:00Z"]).expect_code(0);
    assert_eq!(days(&server), [""; 0], "once a day");
}

#[test]
fn adjusted_prices_are_always_read_again_and_a_restatement_is_seen() {
    let market = market().adjusted();
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "adjusted = true") + &group("p", "stock", &SYMBOLS, DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at(FRIDAY, &[]).expect_code(0);
    server.take_requests();
    let halved = |symbol: &str| {
        let half = |row: Row| Row {
            open: row.open / 2.0,
            high: row.high / 2.0,
            low: row.low / 2.0,
            close: row.close / 2.0,
            vwap: row.vwap / 2.0,
            volume: row.volume * 2.0,
            ..row
        };
        let days = sessions("2024-01-02", "2024-06-28");
        let rows = rows(&days).into_iter().map(half).collect();
        self::market().adjusted().with(symbol, "1d", rows)
    };
    let restated = halved("CCC");
    server.answer_with(move |request| restated.polygon(request));
    settled_on(&sandbox, MONDAY);
    sandbox.backfill_at(MONDAY, &[]).expect_code(0);
    let asked = asked(&server.take_requests());
    assert_eq!(asked.iter().filter(|asked| asked.contains("grouped")).count(), 4, "{asked:?}");
    assert_eq!(asked.len(), 5, "and the whole series of one: {asked:?}");
    let closes = sandbox.database().bars("CCC", "1d");
    assert!(closes.iter().all(|bar| bar.close < 80.0), "{closes:?}");
}

#[test]
fn the_cheapest_of_days_and_series_is_asked_for() {
    // Six symbols lack a day; one of them, and one that is new, lack a month.
    let market = market().with("NEW", "1d", rows(&sessions("2024-01-02", "2024-06-28")));
    let (server, sandbox) = filled("", move |_, request| market.polygon(request));
    settled_on(&sandbox, MONDAY);
    let symbols = [&SYMBOLS[..], &["NEW"]].concat();
    let config = polygon(&server.url(), "") + &group("p", "stock", &symbols, DAILY);
    sandbox.write("mdctl.toml", config);
    let plan = sandbox.mdctl(&["backfill", "--as-of", MONDAY, "--dry-run", "--json"]);
    let plan = plan.expect_code(0).json();
    assert_eq!(plan["requests"], 2);
    let shared = &plan["shared"][0];
    assert_eq!((&shared["market"], &shared["tasks"]), (&json!("stocks"), &json!(6)));
    assert_eq!(shared["from"], "2024-03-18T00:00:00Z");
    let own = plan["tasks"].as_array().expect("tasks").iter();
    let own: Vec<_> = own.filter(|task| task["shared_requests"] == 0).collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0]["symbol"], "NEW");
    let table = sandbox.mdctl(&["backfill", "--as-of", MONDAY, "--dry-run"]);
    table.expect_code(0).expect_stdout("7 symbols to ask for, 0 up to date; 2 requests");
    assert_eq!(asked(&server.take_requests()), [""; 0]);
    sandbox.backfill_at(MONDAY, &[]).expect_code(0);
    let mut asked = asked(&server.take_requests());
    asked.sort_unstable();
    assert_eq!(asked, [grouped(MONDAY), "NEW 1d 2024-02-20 2024-03-18".to_owned()]);

    // Seven symbols that lack eight days: eight requests for these, or seven.
    sandbox.backfill_at("2024-03-28", &[]).expect_code(0);
    let requests = server.take_requests();
    assert!(requests.iter().all(|request| grouped_day(request).is_none()), "{requests:?}");
    assert_eq!(requests.len(), 7);
}

#[test]
fn where_days_are_refused_each_symbol_is_asked_for_alone_and_told_once() {
    let (server, sandbox) = filled("", refusing(403));
    settled_on(&sandbox, MONDAY);
    let output = sandbox.backfill_at(MONDAY, &[]);
    output.expect_code(0);
    assert_eq!(output.stderr.matches("each symbol is asked for alone").count(), 1, "{output}");
    assert_eq!(server.take_requests().len(), 1 + SYMBOLS.len());
    for symbol in SYMBOLS {
        assert_eq!(sandbox.database().times(symbol, "1d").last(), Some(&day(MONDAY)));
    }
    assert_eq!(sandbox.database().texts(MARKETS), ["403 not_entitled 0 0 0"]);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM failures"), 0);
    let remembered =
        sandbox.database().texts("SELECT coalesce(refused, 'nothing') FROM rate_state");
    assert_eq!(remembered, ["nothing"], "of so old a day nothing is concluded");
}

/// What the log says of the requests for whole markets.
const MARKETS: &str =
    "SELECT concat_ws(' ', http_status, error_kind, success, records_fetched, records_inserted)
                         FROM fetch_log WHERE symbol = '*' ORDER BY rowid";

/// A server that answers every request for a whole market with that status.
fn refusing(status: u16) -> impl Fn(&Market, &Request) -> Answer + Send + Sync + 'static {
    move |market, request| match grouped_day(request) {
        Some(_) => Answer::status(status, r#"{"status":"NOT_AUTHORIZED","message":"Upgrade."}"#),
        None => market.polygon(request),
    }
}

const PAIRS: [&str; 3] = ["X:AAAUSD", "X:BBBUSD", "X:CCCUSD"];

/// The wall clock, epoch seconds.
#[expect(clippy::disallowed_methods, reason = "what is remembered of a provider keeps wall time")]
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// Today, as a bar's time.
fn today() -> i64 {
    now().div_euclid(DAY) * DAY
}

/// A sandbox with pairs that lack the last two days by the wall clock.
fn lately(
    responder: impl Fn(&Market, &Request) -> Answer + Send + Sync + 'static,
) -> (Server, Sandbox) {
    let days: Vec<i64> = (1..40).rev().map(|ago| today() - ago * DAY).collect();
    let market = Market::daily(&PAIRS, &days);
    let server = Server::start({
        let market = market.clone();
        move |request| market.polygon(request)
    });
    let config = polygon(&server.url(), "publication = { lag = \"0s\" }")
        + &group("p", "crypto", &PAIRS, DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at(&date(today() - 3 * DAY), &[]).expect_code(0);
    sandbox.tamper(&format!("UPDATE series SET settle_read_at = {}", today() - DAY));
    server.take_requests();
    server.answer_with(move |request| responder(&market, request));
    (server, sandbox)
}

#[test]
fn a_refusal_of_a_recent_day_is_remembered_and_tried_again_a_day_later() {
    let (server, sandbox) = lately(refusing(403));
    sandbox.mdctl(&["backfill"]).expect_code(0).expect_stderr("not asked so again before");
    let requests = server.take_requests();
    assert_eq!(requests.len(), 1 + PAIRS.len(), "{requests:?}");
    assert_eq!(requests[0].path, crypto(today() - 2 * DAY));
    let planned = || {
        // What is gone is asked for again.
        let plan = sandbox.mdctl(&["backfill", "--dry-run", "--json"]);
        plan.expect_code(0).json()["requests"].as_u64()
    };
    sandbox.tamper(&format!("DELETE FROM bars WHERE ts = {}", today() - DAY));
    sandbox.backfill_at(&date(today() - 2 * DAY), &[]).expect_code(0);
    assert_eq!(planned(), Some(PAIRS.len() as u64));
    let refused = "SELECT refused FROM rate_state";
    let text = sandbox.database().texts(refused).remove(0);
    let until: i64 = serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["bars crypto"]
        .as_i64()
        .expect("an instant");
    assert!((DAY - 600..=DAY).contains(&(until - now())), "{text}");
    for (ago, requests) in [(DAY, 1), (-3 * DAY, 1), (0, 3)] {
        // A clock that was wrong holds nothing up.
        let text = format!(r#"{{"bars crypto":{}}}"#, until - ago);
        sandbox.tamper(&format!("UPDATE rate_state SET refused = '{text}'"));
        assert_eq!(planned(), Some(requests), "{ago}");
    }
}

fn crypto(day: i64) -> String {
    format!("/v2/aggs/grouped/locale/global/market/crypto/{}", date(day))
}

#[test]
fn a_day_without_any_row_is_believed_about_nobody() {
    // Of yesterday nobody has a row yet; an older day is asked for symbol by symbol.
    for (missing, code, single) in [(1, 4, 0), (2, 0, PAIRS.len())] {
        let path = crypto(today() - missing * DAY);
        let (server, sandbox) = lately(move |market, request| match request.path == path {
            true => {
                Answer::ok(r#"{"status":"OK","queryCount":0,"resultsCount":0,"adjusted":false}"#)
            }
            false => market.polygon(request),
        });
        sandbox.mdctl(&["backfill"]).expect_code(code);
        let requests = server.take_requests();
        let alone = requests.iter().filter(|request| grouped_day(request).is_none()).count();
        assert_eq!((requests.len() - alone, alone), (2, single));
        let empty = "SELECT count(*) FROM gaps WHERE reason = 'provider_empty'";
        assert_eq!(sandbox.database().number(empty), 0);
        let bars = "SELECT count(*) FROM bars WHERE ts >= ";
        let expected = 3 * (2 - i64::from(code == 4));
        let stored = sandbox.database().number(&format!("{bars}{}", today() - 2 * DAY));
        assert_eq!(stored, expected);
        if code == 4 {
            let market = Market::daily(&PAIRS, &[today() - 2 * DAY, today() - DAY]);
            server.answer_with(move |request| market.polygon(request));
            sandbox.mdctl(&["backfill"]).expect_code(0);
            let asked: Vec<String> =
                server.take_requests().iter().map(|request| request.path.clone()).collect();
            assert_eq!(asked, [crypto(today() - DAY)], "once it is there, one request");
        }
    }
}

#[test]
fn an_outage_is_no_reason_to_ask_for_each_symbol() {
    let (server, sandbox) = filled("", refusing(500));
    settled_on(&sandbox, MONDAY);
    sandbox.backfill_at(MONDAY, &[]).expect_code(2);
    assert_eq!(asked(&server.take_requests()), vec![grouped(MONDAY); 3], "and its retries");
    let failed = "SELECT DISTINCT concat_ws(' ', error_kind, attempts) FROM failures";
    assert_eq!(sandbox.database().texts(failed), ["server 3"]);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM failures"), SYMBOLS.len() as i64);
    assert_eq!(sandbox.database().number("SELECT max(requests) FROM runs"), 6);
    let market = market();
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill_at(MONDAY, &[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), [grouped(MONDAY)]);
}

#[test]
fn a_long_wish_to_be_left_alone_fails_one_and_defers_the_others() {
    let (server, sandbox) = filled("", |market, request| match grouped_day(request) {
        Some(_) => Answer::Whole(Reply::new(429, "{}").with("Retry-After", 3600)),
        None => market.polygon(request),
    });
    settled_on(&sandbox, MONDAY);
    sandbox.backfill_at(MONDAY, &[]).expect_code(1);
    assert_eq!(asked(&server.take_requests()), [grouped(MONDAY)]);
    let jobs = "SELECT status || ' ' || count(*) FROM jobs
                 WHERE run_id = (SELECT max(run_id) FROM runs) GROUP BY status ORDER BY 1";
    let others = SYMBOLS.len() - 1;
    assert_eq!(sandbox.database().texts(jobs), [format!("deferred {others}"), "failed 1".into()]);
}

/// What Monday's pass asks for that tries its failed jobs again at once, and ends well.
fn enriched(server: &Server, sandbox: &Sandbox) -> Vec<Request> {
    let text =
        sandbox.read("mdctl.toml").replace("[run]", "[run]\njob_retries = { initial = \"1ms\" }");
    sandbox.write("mdctl.toml", text);
    sandbox.mdctl(&["enrich", "--as-of", MONDAY]).expect_code(0);
    server.take_requests()
}

#[test]
fn enrich_tries_a_shared_request_again_once_for_all() {
    let (server, sandbox) = filled("", |market, request| match grouped_day(request) {
        Some(date) if date == MONDAY && request.seen < 3 => Answer::status(500, "oops"),
        _ => market.polygon(request),
    });
    let requests = enriched(&server, &sandbox);
    let days: Vec<String> = requests.iter().filter_map(grouped_day).collect();
    assert_eq!(days[..3], ["2024-03-13", "2024-03-14", FRIDAY]);
    assert_eq!(days[3..], [MONDAY; 4], "nothing that came is asked for again");
    for symbol in SYMBOLS {
        assert_eq!(sandbox.database().times(symbol, "1d").last(), Some(&day(MONDAY)));
    }
}

#[test]
fn what_is_tried_again_of_a_symbol_asks_for_no_day_that_came() {
    let (server, sandbox) = filled("", |market, request| match grouped_day(request) {
        Some(date) if date == "2024-03-14" => Answer::status(404, "{}"),
        // Three tries of one symbol, and then its job is tried again.
        None if request.path.contains("/CCC/") && request.seen < 3 => Answer::status(500, "oops"),
        _ => market.polygon(request),
    });
    let requests = enriched(&server, &sandbox);
    let days: Vec<String> = requests.iter().filter_map(grouped_day).collect();
    assert_eq!(days, ["2024-03-13", "2024-03-14", FRIDAY, MONDAY]);
    let alone = requests.iter().filter(|request| request.path.contains("/range/1/day/"));
    assert_eq!(alone.count(), SYMBOLS.len() + 3, "one of them four times: {requests:?}");
    for symbol in SYMBOLS {
        assert_eq!(sandbox.database().times(symbol, "1d").last(), Some(&day(MONDAY)));
    }
}

/// What becomes of a day of which the server gives that body.
fn with_body(body: &str) -> (Vec<Request>, Sandbox) {
    let body = body.to_owned();
    let (server, sandbox) = filled("", move |market, request| match grouped_day(request) {
        Some(_) => Answer::ok(body.clone()),
        None => market.polygon(request),
    });
    settled_on(&sandbox, MONDAY);
    sandbox.backfill_at(MONDAY, &[]);
    (server.take_requests(), sandbox)
}

/// A row of a symbol that ended so many hours after the Monday's beginning.
fn day_row(symbol: &str, hours: i64) -> String {
    let t = (day(MONDAY) + hours * 3_600) * 1_000;
    format!(r#"{{"T":"{symbol}","t":{t},"o":1,"h":2,"l":1,"c":2,"v":5}}"#)
}

fn envelope(rows: &[String]) -> String {
    let count = rows.len();
    let rows = rows.join(",");
    format!(r#"{{"status":"OK","resultsCount":{count},"adjusted":false,"results":[{rows}]}}"#)
}

#[test]
fn rows_of_a_day_are_judged_like_those_of_a_single_answer() {
    let broken = format!(
        r#"{{"T":"CCC","t":{},"o":"x","h":2,"l":1,"c":2}}"#,
        day(MONDAY) * 1_000 + 72_000_000
    );
    let (requests, sandbox) = with_body(&envelope(&[
        day_row("AAA", 20),
        // Another day's, one that nobody asked for, and one that is of nobody.
        day_row("BBB", 20 + 24),
        day_row("ZZZ", 20),
        r#"{"t":1,"o":1}"#.to_owned(),
        // Twice, and not the same; and of the ticker that is spelled alike.
        day_row("PEBpE", 20),
        day_row("PEBpE", 20).replace("\"c\":2", "\"c\":1.5"),
        day_row("PEBPE", 20),
        broken,
    ]));
    assert_eq!(requests.len(), 1);
    let database = sandbox.database();
    let has = |symbol| database.times(symbol, "1d").last() == Some(&day(MONDAY));
    let held = SYMBOLS.map(has);
    assert_eq!(held, [true, false, false, false, false, true], "{SYMBOLS:?}");
    let gaps = SYMBOLS.map(|symbol| database.gaps(symbol).join(" "));
    let empty = "provider_empty 1";
    assert_eq!(gaps, ["", empty, empty, "rejected 1", "rejected 1", ""]);
    let log = "SELECT concat_ws(' ', records_fetched, records_inserted, records_rejected, records_dropped)
                 FROM fetch_log WHERE symbol = '*'";
    assert_eq!(database.texts(log), ["8 2 3 3"]);
}

#[test]
fn a_day_of_which_nobody_can_use_anything_was_no_success() {
    let untrue = |symbol| day_row(symbol, 20).replace("\"h\":2", "\"h\":0.5");
    let log =
        "SELECT concat_ws(' ', http_status, success, error_kind, records_fetched, records_inserted,
                      records_rejected) FROM fetch_log WHERE symbol = '*'";
    let logged = |rows: &[String]| with_body(&envelope(rows)).1.database().texts(log);
    assert_eq!(logged(&SYMBOLS.map(untrue)), ["200 0 validation 6 0 6"]);
    for good in [0, 3, 5] {
        let mut rows = SYMBOLS.map(untrue);
        rows[good] = day_row(SYMBOLS[good], 20);
        assert_eq!(logged(&rows), ["200 1 6 1 5"], "one can be used");
    }
}

#[test]
fn an_answer_that_cannot_be_the_day_is_none() {
    let good = SYMBOLS.map(|symbol| day_row(symbol, 20));
    let other_day = SYMBOLS.map(|symbol| day_row(symbol, 20 - 24));
    let miscounted = envelope(&good).replace("\"resultsCount\":6", "\"resultsCount\":7");
    for body in [miscounted, envelope(&other_day), "{}".to_owned(), "<html>".to_owned()] {
        let (requests, sandbox) = with_body(&body);
        // Once more, and then symbol by symbol.
        assert_eq!(requests.len(), 2 + SYMBOLS.len(), "{body}");
        for symbol in SYMBOLS {
            let bars = sandbox.database().bars(symbol, "1d");
            assert_eq!(bars.last(), rows(&[day(MONDAY)]).last(), "{symbol}: {body}");
        }
    }
}

#[test]
fn groups_of_one_market_share_a_day_and_a_renamed_symbol_is_asked_under_its_name_then() {
    let market =
        Market::daily(&["AAA", "SPY", "OLD", "NEW"], &sessions("2024-01-02", "2024-06-28"));
    let server = Server::start(move |request| market.polygon(request));
    let renamed = r#"
[[group]]
name = "renamed"
provider = "p"
asset_class = "stock"
symbols = [{ symbol = "NEW", aliases = [{ symbol = "OLD", until = "2024-03-18" }] }]
"#;
    let config = polygon(&server.url(), "")
        + &group("p", "stock", &["AAA"], DAILY)
        + &group("p", "etf", &["SPY"], DAILY)
        + renamed
        + DAILY;
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at(FRIDAY, &[]).expect_code(0);
    settled_on(&sandbox, MONDAY);
    server.take_requests();
    sandbox.backfill_at(MONDAY, &["--max-requests", "1"]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), [grouped(MONDAY)]);
    for symbol in ["AAA", "SPY", "NEW"] {
        assert_eq!(sandbox.database().times(symbol, "1d").last(), Some(&day(MONDAY)), "{symbol}");
    }
}

#[test]
fn what_a_budget_cuts_off_is_deferred_and_a_shard_asks_for_its_own() {
    let (server, sandbox) = filled("", Market::polygon);
    sandbox.tamper("UPDATE series SET settle_read_at = NULL");
    sandbox.backfill_at(MONDAY, &["--max-requests", "2"]).expect_code(4);
    assert_eq!(server.take_requests().len(), 2);
    let jobs = "SELECT DISTINCT jobs.status FROM jobs JOIN runs USING (run_id) WHERE deferred > 0";
    assert_eq!(sandbox.database().texts(jobs), ["deferred"]);
    settled_on(&sandbox, MONDAY);
    let sharded = |shard| {
        sandbox.backfill_at(MONDAY, &["--shard", shard]).expect_code(0);
        server.take_requests().iter().filter(|request| grouped_day(request).is_some()).count()
    };
    assert_eq!([sharded("1/2"), sharded("2/2")], [1, 1]);
    let complete = format!("SELECT count(*) FROM series WHERE watermark_ts = {}", day(MONDAY));
    assert_eq!(sandbox.database().number(&complete), SYMBOLS.len() as i64);
}

#[test]
fn killed_at_every_step_to_the_disk_it_ends_like_one_that_was_not() {
    let (server, whole) = filled("", Market::polygon);
    settled_on(&whole, MONDAY);
    let before = std::fs::read(whole.path("mdctl.db")).expect("the database");
    let run = |sandbox: &Sandbox| sandbox.command(&["backfill", "--as-of", MONDAY, "-q"]);
    whole.finish(&mut run(&whole)).expect_code(0);
    let expected = contents(&whole);
    let mut at = 0;
    loop {
        at += 1;
        let sandbox = another(&whole);
        sandbox.write("mdctl.db", &before);
        server.take_requests();
        let mut spoiled = run(&sandbox);
        let killed = sandbox.finish(Shim::of(&sandbox).spoil(&mut spoiled, at, Spoil::KillBefore));
        if killed.code.is_some() {
            killed.expect_code(0);
            break;
        }
        sandbox.finish(&mut run(&sandbox)).expect_code(0);
        assert_alike(&contents(&sandbox), &expected, &format!("killed before step {at}"));
        let asked = asked(&server.take_requests());
        // Once for all who lack it, and once more for those who still do: alone, if that is one.
        assert!(asked.len() <= 2, "step {at}: {asked:?}");
    }
    assert!(at > 10, "only {at} steps");
}

#[test]
fn a_day_is_asked_for_as_soon_as_it_is_the_turn_of_one_who_needs_it() {
    let days: Vec<i64> = (0..20).map(|n| day("2024-03-01") + n * DAY).collect();
    let all_hours = hours("2024-03-01T00:00:00Z", "2024-03-17T00:00:00Z");
    let market = PAIRS.iter().fold(Market::daily(&PAIRS, &days), |market, pair| {
        market.with(pair, "1h", rows(&all_hours))
    });
    let asked = Arc::new((Mutex::new(false), Condvar::new()));
    let server = Server::start({
        let market = market.clone();
        move |request| market.polygon(request)
    });
    let both = "timeframes = [\"1h\", \"1d\"]\nlookback = { \"1h\" = \"5d\", \"1d\" = \"10d\" }";
    let config = polygon(&server.url(), "") + &group("p", "crypto", &PAIRS, both);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at(FRIDAY, &[]).expect_code(0);
    settled_on(&sandbox, "2024-03-16");
    server.answer_with(move |request| {
        let (is_asked, rung) = &*asked;
        let mut is_asked = is_asked.lock().expect("a lock");
        if grouped_day(request).is_some() {
            *is_asked = true;
            rung.notify_all();
        } else if request.path.contains(PAIRS[0]) {
            // The hours of the first one take until the day was asked for by another one.
            let patience = Duration::from_secs(20);
            let waited = rung.wait_timeout_while(is_asked, patience, |is_asked| !*is_asked);
            if waited.expect("a lock").1.timed_out() {
                return Answer::status(404, "{}");
            }
        }
        market.polygon(request)
    });
    sandbox.backfill_at("2024-03-16", &["--parallel", "3"]).expect_code(0);
}
