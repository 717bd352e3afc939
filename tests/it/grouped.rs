//! A day of a whole market as one request, where many symbols need it.

use serde_json::json;

use crate::crash::{assert_alike, contents};
use crate::support::market::{Market, Row, day, grouped_day, rows, sessions};
use crate::support::server::{Answer, Request, Server};
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
    sandbox.tamper(&format!("UPDATE series SET settle_read_at = {}", day(date) + 80_000));
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
    sandbox.backfill_at("2024-03-19T21:00:00Z", &[]).expect_code(0);
    assert_eq!(days(&server), ["2024-03-14", FRIDAY, MONDAY, TUESDAY]);
    assert_eq!(read(), [day(TUESDAY) + 21 * 3_600]);
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
fn where_days_are_refused_each_symbol_is_asked_for_alone_and_that_is_remembered() {
    let refused = r#"{"status":"NOT_AUTHORIZED","message":"You are not entitled to this data."}"#;
    let (server, sandbox) = filled("", move |market, request| match grouped_day(request) {
        Some(_) => Answer::status(403, refused),
        None => market.polygon(request),
    });
    // A day of these weeks, by the wall clock: a refusal of it speaks of all days.
    settled_on(&sandbox, MONDAY);
    let output = sandbox.backfill_at(MONDAY, &[]);
    output.expect_code(0).expect_stderr("each symbol is asked for alone");
    let told = output.stderr.matches("asked for alone").count();
    assert_eq!(told, 1, "{}", output.stderr);
    assert_eq!(server.take_requests().len(), 1 + SYMBOLS.len());
    for symbol in SYMBOLS {
        assert_eq!(sandbox.database().times(symbol, "1d").last(), Some(&day(MONDAY)));
    }
    let log =
        "SELECT concat_ws(' ', http_status, error_kind, success) FROM fetch_log WHERE symbol = '*'";
    assert_eq!(sandbox.database().texts(log), ["403 not_entitled 0"]);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM failures"), 0);
    let remembered = "SELECT coalesce(refused, '') FROM rate_state";
    assert_eq!(sandbox.database().texts(remembered), [""], "of so old a day nothing is concluded");
}
