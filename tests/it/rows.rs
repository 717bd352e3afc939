//! Rows that cannot be true, that nobody asked for, or that come twice: each ends where the contract
//! says, and the rest of its page is stored.

use serde_json::{Value, json};

use crate::support::market::{Market, PolygonAsk, Row, day, hours, kline, polygon_body, row, rows};
use crate::support::server::{Answer, Request, Server};
use crate::support::{
    Database, Sandbox, asked, binance, daily_sessions, faulty_stocks, group, polygon,
};

/// The session whose row is tampered with.
const ODD: &str = "2024-03-05";

/// A run over daily bars whose rows went through `change` on their way.
fn changed(change: impl Fn(&PolygonAsk, &mut Vec<Value>) + Send + Sync + 'static) -> Sandbox {
    let other = Market::daily(&["OTHER"], &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&["AAA", "OTHER"], move |request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        if ask.symbol == "OTHER" {
            return other.polygon(request);
        }
        let mut results = daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
        change(&ask, &mut results);
        Answer::ok(polygon_body(&ask.symbol, results, None).to_string())
    });
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("OTHER", "1d"), daily_sessions());
    sandbox
}

/// The index of the odd row.
fn odd() -> usize {
    daily_sessions().iter().position(|ts| *ts == day(ODD)).expect("a session")
}

/// `reason ts` of everything that was rejected.
fn rejected(database: &Database) -> Vec<String> {
    database.texts("SELECT concat_ws(' ', reason, ts) FROM rejected_bars ORDER BY ts, text")
}

/// Every session but the odd one.
fn the_rest() -> Vec<Row> {
    rows(&daily_sessions()).into_iter().filter(|row| row.ts != day(ODD)).collect()
}

/// Asserts that one field of one row is enough to be rejected for `reason`, and that the rest counts.
#[track_caller]
fn check_rejected(field: &'static str, value: Value, reason: &str) {
    let said = value.to_string();
    let sandbox = changed(move |_, results| results[odd()][field] = value.clone());
    let database = sandbox.database();
    assert_eq!(rejected(&database), [format!("{reason} {}", day(ODD))], "{field} = {said}");
    assert_eq!(database.bars("AAA", "1d"), the_rest(), "{field} = {said}");
    assert_eq!(database.gaps("AAA"), ["rejected 1"]);
    let log = database.texts(
        "SELECT concat_ws(' ', records_fetched, records_inserted, records_rejected, records_dropped)
         FROM fetch_log WHERE symbol = 'AAA'",
    );
    assert_eq!(log, ["21 20 1 0"]);
    let text = database.texts("SELECT text FROM rejected_bars").remove(0);
    assert!(!text.is_empty() && text.chars().count() <= 501, "{text}");
}

#[test]
fn a_price_that_is_no_number_is_rejected() {
    for value in
        [json!(null), json!("NaN"), json!("Infinity"), json!("12.5"), json!([1]), json!(true)]
    {
        check_rejected("o", value, "invalid_number");
    }
}

#[test]
fn a_price_that_is_not_there_is_rejected() {
    let sandbox = changed(|_, results| {
        results[odd()].as_object_mut().expect("a row").remove("c");
    });
    assert_eq!(rejected(&sandbox.database()), [format!("invalid_number {}", day(ODD))]);
}

#[test]
fn a_number_beyond_every_float_is_rejected() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let results = daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
        let body = polygon_body("AAA", results, None).to_string();
        let high = format!("\"h\":{:?}", row(day(ODD)).high);
        assert!(body.contains(&high), "{body}");
        let stamp = format!("\"t\":{}", ask.stamp(day(ODD)));
        let lines: Vec<String> = body
            .split_inclusive('}')
            .map(|part| {
                if part.contains(&stamp) {
                    part.replace(&high, "\"h\":1e999")
                } else {
                    part.to_owned()
                }
            })
            .collect();
        Answer::ok(lines.concat())
    });
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(rejected(&database), [format!("invalid_number {}", day(ODD))]);
    assert_eq!(database.bars("AAA", "1d"), the_rest());
}

#[test]
fn a_price_at_or_below_zero_is_rejected() {
    for (field, value) in [("o", -3.0), ("h", -0.5), ("l", 0.0), ("c", -1e-9)] {
        check_rejected(field, json!(value), "nonpositive_price");
    }
}

#[test]
fn a_high_below_the_low_is_rejected() {
    check_rejected("h", json!(1.0), "high_lt_low");
}

#[test]
fn an_open_or_close_outside_is_rejected() {
    check_rejected("o", json!(9_999.0), "ohlc_out_of_range");
    check_rejected("c", json!(0.01), "ohlc_out_of_range");
}

#[test]
fn a_negative_volume_is_rejected() {
    check_rejected("v", json!(-1.0), "negative_volume");
}

#[test]
fn a_hair_beyond_the_high_is_floating_point_and_stored() {
    let sandbox = changed(|_, results| {
        let high = results[odd()]["h"].as_f64().expect("a high");
        results[odd()]["c"] = json!(high * (1.0 + 5e-10));
    });
    let database = sandbox.database();
    assert_eq!(rejected(&database), Vec::<String>::new());
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
}

#[test]
fn numbers_that_only_decorate_may_be_odd_or_absent() {
    let sandbox = changed(|_, results| {
        let row = results[odd()].as_object_mut().expect("a row");
        row.remove("vw");
        row.remove("n");
        row.insert("otc".to_owned(), json!(true));
        row.insert("v".to_owned(), json!(2.384421e+06));
    });
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    let odd = format!(
        "SELECT count(*) FROM bars JOIN series USING (series_id) WHERE symbol = 'AAA'
         AND ts = {} AND vwap IS NULL AND trades IS NULL AND volume = 2384421",
        day(ODD)
    );
    assert_eq!(database.number(&odd), 1);
}

#[test]
fn identical_rows_fold() {
    let sandbox = changed(|_, results| {
        let twin = results[odd()].clone();
        results.insert(odd(), twin.clone());
        results.push(twin);
    });
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    assert_eq!(rejected(&database), Vec::<String>::new());
    assert_eq!(database.number("SELECT records_rejected FROM fetch_log WHERE symbol = 'AAA'"), 0);
}

#[test]
fn of_differing_rows_none_is_stored() {
    let sandbox = changed(|_, results| {
        let mut twin = results[odd()].clone();
        twin["v"] = json!(1.0);
        results.insert(odd() + 1, twin);
    });
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), the_rest());
    let reason = format!("duplicate_ts {}", day(ODD));
    assert_eq!(rejected(&database), [reason.clone(), reason]);
    assert_eq!(database.gaps("AAA"), ["rejected 1"]);
}

#[test]
fn rows_in_any_order_are_stored_in_theirs() {
    let sandbox = changed(|_, results| {
        results.reverse();
        results.swap(2, 9);
    });
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
}

#[test]
fn rows_of_other_dates_and_of_the_future_are_dropped_and_counted() {
    let sandbox = changed(|ask, results| {
        let foreign = ["2014-03-05", "2024-02-14", "2024-03-18", "2031-01-02"];
        results.extend(foreign.map(|date| ask.result(&row(day(date)))));
    });
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    assert_eq!(rejected(&database), Vec::<String>::new());
    let log = database.texts(
        "SELECT concat_ws(' ', records_fetched, records_inserted, records_rejected, records_dropped)
         FROM fetch_log WHERE symbol = 'AAA'",
    );
    assert_eq!(log, ["25 21 0 4"]);
}

#[test]
fn a_page_of_foreign_rows_alone_stores_nothing() {
    let other = Market::daily(&["OTHER"], &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&["AAA", "OTHER"], move |request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        if ask.symbol == "OTHER" {
            return other.polygon(request);
        }
        let results = ["2014-03-05", "2014-03-06"].map(|date| ask.result(&row(day(date))));
        Answer::ok(polygon_body(&ask.symbol, results.to_vec(), None).to_string())
    });
    sandbox.backfill(&[]);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), Vec::<i64>::new());
    assert_eq!(database.times("OTHER", "1d"), daily_sessions());
    assert_eq!(database.gaps("AAA").len(), 1, "what was asked for is not there");
}

#[test]
fn a_row_off_the_grid_is_rejected_and_its_page_kept() {
    let times = hours("2024-03-14T00:00:00Z", "2024-03-15T10:00:00Z");
    let market = Market::new().with("BTCUSDT", "1h", rows(&times));
    let server = Server::start(move |request| {
        let Answer::Whole(reply) = market.binance(request) else { return Answer::Reset };
        let mut klines: Vec<Value> = serde_json::from_slice(&reply.body).expect("rows");
        let odd = day("2024-03-14") + 5 * 3_600 + 17;
        klines.insert(6, kline(&row(odd), 3_600));
        Answer::ok(Value::from(klines).to_string())
    });
    let hourly = r#"timeframes = ["1h"]
lookback = { "1h" = "34h" }"#;
    let config = binance(&server.url(), "") + &group("b", "crypto", &["BTCUSDT"], hourly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-15T10:00:00Z", &[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("BTCUSDT", "1h"), times);
    let odd = day("2024-03-14") + 5 * 3_600 + 17;
    assert_eq!(rejected(&database), [format!("off_grid_ts {odd}")]);
}

#[test]
fn a_binance_price_that_is_no_number_costs_its_row() {
    let times = hours("2024-03-14T00:00:00Z", "2024-03-15T10:00:00Z");
    let market = Market::new().with("BTCUSDT", "1h", rows(&times));
    let server = Server::start(move |request| {
        let Answer::Whole(reply) = market.binance(request) else { return Answer::Reset };
        let mut klines: Vec<Value> = serde_json::from_slice(&reply.body).expect("rows");
        klines[3][2] = json!("abc");
        klines[4][2] = json!("NaN");
        Answer::ok(Value::from(klines).to_string())
    });
    let hourly = r#"timeframes = ["1h"]
lookback = { "1h" = "34h" }"#;
    let config = binance(&server.url(), "") + &group("b", "crypto", &["BTCUSDT"], hourly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-15T10:00:00Z", &[]).expect_code(0);
    let database = sandbox.database();
    let expected = [3, 4].map(|index| format!("invalid_number {}", times[index]));
    assert_eq!(rejected(&database), expected);
    assert_eq!(database.times("BTCUSDT", "1h").len(), times.len() - 2);
    assert_eq!(database.gaps("BTCUSDT"), ["rejected 2"]);
}

#[test]
fn a_page_of_which_nothing_can_be_true_fails_its_series_and_is_kept_to_look_at() {
    let other = Market::daily(&["OTHER"], &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&["AAA", "OTHER"], move |request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        if ask.symbol == "OTHER" {
            return other.polygon(request);
        }
        let negative = |ts: &i64| ask.result(&Row { open: -1.0, ..row(*ts) });
        let results = daily_sessions().iter().map(negative).collect();
        Answer::ok(polygon_body(&ask.symbol, results, None).to_string())
    });
    sandbox.backfill(&[]).expect_code(1);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), Vec::<i64>::new());
    let failures =
        database.texts("SELECT concat_ws(' ', symbol, timeframe, stage, error_kind) FROM failures");
    assert_eq!(failures, ["AAA 1d validate validation"]);
    assert_eq!(rejected(&database).len(), 21, "the rows and their reasons are kept");
}

#[test]
fn the_same_bad_row_is_kept_once() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let mut results: Vec<Value> =
            daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
        results[odd()]["l"] = json!(-1.0);
        Answer::ok(polygon_body(&ask.symbol, results, None).to_string())
    });
    sandbox.backfill(&[]).expect_code(0);
    sandbox.backfill(&["--full"]).expect_code(0);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(rejected(&sandbox.database()).len(), 1);
}

#[test]
fn a_rejected_bar_is_repaired_once_the_provider_mends_it() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let mut results: Vec<Value> =
            daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
        results[odd()]["l"] = json!(-1.0);
        Answer::ok(polygon_body(&ask.symbol, results, None).to_string())
    });
    sandbox.backfill(&[]).expect_code(0);
    let market = Market::daily(&["AAA"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    server.take_requests();
    sandbox.backfill(&["--repair"]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-03-05 2024-03-05"]);
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
}

#[test]
fn an_index_without_volume_is_stored_without() {
    let server = Server::start(|request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        // Midnight in Chicago; no volume, no counts.
        let results: Vec<Value> = daily_sessions()
            .iter()
            .map(|ts| json!({"t": ask.stamp(*ts) + 3_600_000, "o": 10.0, "h": 11.0, "l": 9.0, "c": 10.5}))
            .collect();
        Answer::ok(json!({"ticker": "I:NDX", "status": "DELAYED", "results": results}).to_string())
    });
    let config =
        polygon(&server.url(), "") + &group("p", "index", &["I:NDX"], crate::support::DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("I:NDX", "1d"), daily_sessions());
    assert_eq!(database.number("SELECT count(*) FROM bars WHERE volume IS NULL"), 21);
}

#[test]
fn a_bare_nan_costs_its_row_and_not_the_page() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let results = daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
        let body = polygon_body(&ask.symbol, results, None).to_string();
        // As Python writes what is no number.
        Answer::ok(body.replacen(r#""o":"#, r#""o":NaN,"x":"#, 1))
    });
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions()[1..]);
    assert_eq!(database.texts("SELECT reason FROM rejected_bars"), ["invalid_number"]);
    assert_eq!(database.number("SELECT text LIKE '%NaN%' FROM rejected_bars"), 1);
}

#[test]
fn a_page_without_one_true_row_fails_once_and_is_not_asked_for_again() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let mut results: Vec<Value> =
            daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
        results.iter_mut().for_each(|row| row["l"] = json!(-1.0));
        Answer::ok(polygon_body(&ask.symbol, results, None).to_string())
    });
    sandbox.backfill(&[]).expect_code(2);
    let database = sandbox.database();
    let failures = database.texts("SELECT concat_ws(' ', stage, error_kind) FROM failures");
    assert_eq!(failures, ["validate validation"]);
    assert_eq!(database.number("SELECT count(*) FROM rejected_bars"), 21);
    assert_eq!(database.texts("SELECT DISTINCT reason FROM gaps"), ["rejected"]);
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_later_page_that_says_otherwise_is_a_revision() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |request: &Request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let days = daily_sessions();
        let result = |ts: &i64| ask.result(&row(*ts));
        if request.parameter("cursor").is_some() {
            let mut results: Vec<Value> = days[9..].iter().map(result).collect();
            results[0]["c"] = json!(results[0]["o"]);
            return Answer::ok(polygon_body(&ask.symbol, results, None).to_string());
        }
        let results = days[..10].iter().map(result).collect();
        let next = format!("https://api.polygon.io{}?cursor=abc", request.path);
        Answer::ok(polygon_body(&ask.symbol, results, Some(next)).to_string())
    });
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    assert_eq!(database.numbers("SELECT ts FROM revisions"), [daily_sessions()[9]]);
}
