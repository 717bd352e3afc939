//! Answers that nobody should believe.

use serde_json::{Value, json};

use super::{DECLARED, actions, enrich, inquiries, logged, unless};
use crate::support::market::{PolygonAsk, reference_body};
use crate::support::server::{Answer, Server};
use crate::support::{AS_OF, KEY, Sandbox};

fn split(date: &str, from: f64, to: f64) -> Value {
    json!({ "execution_date": date, "split_from": from, "split_to": to, "ticker": "AAA" })
}

/// The usual market, whose splits are this body.
fn splits(body: impl Into<String>) -> (Server, Sandbox) {
    let body = body.into();
    unless(move |request| request.path.ends_with("/splits").then(|| Answer::ok(body.clone())))
}

/// Asserts that the splits of that body are malformed, and that nothing else suffers.
#[track_caller]
fn check_malformed(body: impl Into<String>, words: &str) {
    let (server, sandbox) = splits(body);
    enrich(&sandbox, AS_OF).expect_code(2).expect_stderr(words);
    let database = sandbox.database();
    let failures = database.texts("SELECT timeframe || ' ' || error_kind FROM failures");
    assert_eq!(failures, ["splits malformed"]);
    assert_eq!(actions(&database), DECLARED[..2], "the dividends came");
    assert_eq!(database.times("AAA", "1d").len(), 21);
    assert_eq!(database.number("SELECT consecutive_failures FROM series"), 0);
    assert!(server.requests().iter().all(|request| {
        PolygonAsk::of(request).is_some() || request.path.starts_with("/v3/reference/")
    }));
}

#[test]
fn an_answer_for_another_symbol_is_malformed() {
    let other =
        json!({ "execution_date": "2020-01-02", "split_from": 1, "split_to": 2, "ticker": "BBB" });
    let rows = json!([split("2024-03-04", 1.0, 4.0), other]);
    let body = reference_body(rows, None).to_string();
    check_malformed(body, "the answer is for `BBB`, asked was `AAA`");
}

#[test]
fn a_next_page_elsewhere_is_malformed() {
    for next in [
        "https://evil.example/v3/reference/dividends?cursor=x",
        "https://evil.example/v3/reference/splits?ticker=BBB&cursor=x",
        "https://evil.example/v3/reference/splits?ticker.gte=A&cursor=x",
        "/v3/reference/splits/../tickers?cursor=x",
    ] {
        let body = reference_body(json!([split("2024-03-04", 1.0, 4.0)]), Some(next));
        check_malformed(body.to_string(), "next_url leads to another endpoint or symbol");
    }
}

#[test]
fn a_next_page_that_holds_the_key_is_not_asked_for() {
    let next = format!("/v3/reference/splits?cursor={KEY}");
    let body = reference_body(json!([split("2024-03-04", 1.0, 4.0)]), Some(&next));
    check_malformed(body.to_string(), "the address of the next page holds the key");
}

#[test]
fn more_rows_than_were_asked_for_are_malformed() {
    let rows: Vec<Value> =
        (0..10_000).map(|n| split("2024-03-04", 1.0, f64::from(n + 2))).collect();
    check_malformed(reference_body(rows.into(), None).to_string(), "more than 1000 entries");
}

#[test]
fn what_is_no_answer_is_malformed() {
    check_malformed("[]", "the body is not the expected JSON");
    check_malformed("", "the body is empty");
    check_malformed(r#"{"status":"OK","results":{"ticker":"AAA"}}"#, "not the expected JSON");
    check_malformed(r#"{"status":"FINE","results":[]}"#, "unknown status `FINE`");
}

#[test]
fn endless_pages_end() {
    let again = "/v3/reference/splits?cursor=again";
    let same = reference_body(json!([split("2024-03-04", 1.0, 4.0)]), Some(again)).to_string();
    check_malformed(same, "a page without a new action");
    let empty = reference_body(json!([]), Some(again)).to_string();
    check_malformed(empty, "10 empty pages running");
    let (server, sandbox) = unless(|request| {
        request.path.ends_with("/splits").then(|| {
            let first = if request.parameter("cursor").is_some() { 3.0 } else { 2.0 };
            let row = split("2024-03-04", 1.0, request.seen as f64 + first);
            Answer::ok(
                reference_body(json!([row]), Some("/v3/reference/splits?cursor=x")).to_string(),
            )
        })
    });
    enrich(&sandbox, AS_OF).expect_code(2).expect_stderr("than there can be actions");
    assert!(inquiries(&server).len() <= 2 + 2 * 100);
}

#[test]
fn nothing_is_an_answer() {
    for body in [
        r#"{"status":"OK"}"#,
        r#"{"status":"OK","results":null}"#,
        r#"{"status":"DELAYED","results":[],"count":7,"what":{"else":[1]}}"#,
    ] {
        let (_server, sandbox) = unless(move |request| {
            request.path.starts_with("/v3").then(|| match request.path.contains("tickers") {
                true => Answer::ok(body.replace("[]", "null")),
                false => Answer::ok(body),
            })
        });
        enrich(&sandbox, AS_OF).expect_code(0);
        let database = sandbox.database();
        assert_eq!(actions(&database), [""; 0]);
        assert_eq!(
            database.number("SELECT count(*) FROM tracked_symbols WHERE actions_checked_at > 0"),
            1
        );
        assert!(sandbox.mdctl(&["status", "AAA", "--json"]).json()["reference"].is_null());
    }
}

/// Rows that are no splits, as they stand in a body.
const NO_SPLITS: [&str; 10] = [
    r#"{"execution_date":"2020-01-02","split_from":1,"split_to":NaN,"ticker":"AAA"}"#,
    r#"{"execution_date":"2020-01-02","split_from":1,"split_to":-4,"ticker":"AAA"}"#,
    r#"{"execution_date":"2020-01-02","split_from":0,"split_to":4,"ticker":"AAA"}"#,
    r#"{"execution_date":"2020-01-02","split_from":1,"split_to":Infinity,"ticker":"AAA"}"#,
    r#"{"execution_date":"2020-01-02","split_from":1,"split_to":"4","ticker":"AAA"}"#,
    r#"{"execution_date":"2020-02-30","split_from":1,"split_to":4,"ticker":"AAA"}"#,
    r#"{"execution_date":"soon","split_from":1,"split_to":4,"ticker":"AAA"}"#,
    r#"{"execution_date":"2020-01-02","split_from":1,"split_to":4}"#,
    "null",
    "7",
];

#[test]
fn a_row_that_is_no_action_fails_the_job_and_not_the_others() {
    let rows = NO_SPLITS.join(",");
    let good = split("2024-03-04", 1.0, 4.0);
    let (server, sandbox) = splits(format!(r#"{{"status":"OK","results":[{rows},{good}]}}"#));
    enrich(&sandbox, AS_OF).expect_code(2).expect_stderr("10 rows are no action that can be");
    let database = sandbox.database();
    assert_eq!(actions(&database), DECLARED);
    assert_eq!(logged(&database)[0], "splits 200 ok 11 10");
    let failures =
        database.texts("SELECT concat_ws(' ', timeframe, stage, error_kind) FROM failures");
    assert_eq!(failures, ["splits validate validation"]);
    // It was asked for: the next day tells whether it was mended.
    server.take_requests();
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn an_unreadable_row_takes_back_nothing_that_is_held() {
    let (server, sandbox) = unless(|_| None);
    enrich(&sandbox, "2024-03-15").expect_code(0);
    server.answer_with(|request| match request.path.ends_with("/splits") {
        true => Answer::ok(format!(r#"{{"status":"OK","results":[{}]}}"#, NO_SPLITS[0])),
        false => Answer::status(404, "{}"),
    });
    enrich(&sandbox, "2024-03-17");
    assert_eq!(actions(&sandbox.database()), DECLARED);
}

#[test]
fn what_is_said_of_a_symbol_is_made_fit_to_be_shown() {
    let (_server, sandbox) = unless(|request| {
        let body = json!({
            "status": "OK",
            "results": {
                "ticker": "AAA", "name": format!("A\u{1b}[2J\nB \u{202e}{KEY}{}", "x".repeat(9_000)),
                "primary_exchange": "X".repeat(9_000), "list_date": "soon", "active": true,
                "delisted_utc": "", "unknown": { "field": [1, 2] },
            },
        });
        request.path.contains("/tickers/").then(|| Answer::ok(body.to_string()))
    });
    enrich(&sandbox, AS_OF).expect_code(0);
    let database = sandbox.database();
    let name = database.texts("SELECT name FROM reference_data").remove(0);
    assert!(name.starts_with("A\\u{1b}[2J\\nB \\u{202e}[key]xxx"), "{name}");
    assert!(name.chars().count() < 250, "{name}");
    let exchange = database.number("SELECT length(exchange) FROM reference_data");
    assert!(exchange < 40, "{exchange}");
    assert_eq!(database.number("SELECT count(*) FROM reference_data WHERE listed_on IS NULL"), 1);
    assert_eq!(logged(&database)[2], "listing 200 ok 1 1");
    let shown = sandbox.mdctl(&["status", "AAA"]).expect_code(0).stdout.clone();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    assert!(!sandbox.holds(KEY));
}

#[test]
fn an_answer_about_another_symbol_is_malformed() {
    for results in [r#"{"ticker":"BBB","name":"B"}"#, r#"{"name":"B"}"#] {
        let (_server, sandbox) = unless(move |request| {
            let body = format!(r#"{{"status":"OK","results":{results}}}"#);
            request.path.contains("/tickers/").then(|| Answer::ok(body))
        });
        // What a symbol is called makes its bars no worse.
        enrich(&sandbox, AS_OF).expect_code(0);
        let database = sandbox.database();
        let failures = database.texts("SELECT timeframe || ' ' || error_kind FROM failures");
        assert_eq!(failures, ["listing malformed"]);
        assert_eq!(database.number("SELECT count(*) FROM reference_data"), 0);
        assert_eq!(actions(&database), DECLARED);
    }
}
