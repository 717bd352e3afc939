//! The built-in rules, each fired by what it is for.

use super::*;
use crate::support::faulty_stocks;
use crate::support::market::{Row, rows};
use crate::support::server::Reply;

/// Whether the rule fires, with its severity and subjects.
fn firing(sandbox: &Sandbox, name: &str) -> (bool, Value, Value) {
    let alert = alert(sandbox, AS_OF, name);
    (alert["firing"] == true, alert["severity"].clone(), alert["subjects"].clone())
}

fn quiet(sandbox: &Sandbox, names: &[&str]) {
    for name in names {
        assert!(!firing(sandbox, name).0, "{name} fires");
    }
}

const ALL: [&str; 15] = [
    "RunOverdue",
    "EnrichmentJobFailed",
    "HighFailureRate",
    "LongDuration",
    "LowDataQuality",
    "LowValidation",
    "StaleSeries",
    "MissingSeries",
    "SeriesHoles",
    "NoSymbols",
    "LastRunFailed",
    "DiskLow",
    "BreakerOpen",
    "RateLimited",
    "ObjectiveMissed",
];

#[test]
fn none_fires_when_all_is_well() {
    quiet(&watched(""), &ALL);
}

#[test]
fn a_run_that_is_overdue() {
    let sandbox = watched("");
    sandbox.tamper(
        "UPDATE runs SET started_at = started_at - 864000, completed_at = completed_at - 864000",
    );
    let expected = (true, json!("critical"), json!(["runs"]));
    assert_eq!(firing(&sandbox, "RunOverdue"), expected);
    sandbox.mdctl(&["alerts", "--as-of", AS_OF]).expect_code(2).expect_stdout("mdctl backfill");
}

#[test]
fn a_run_of_which_a_third_failed() {
    let market = Market::daily(&["AAA", "CCC"], &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&["AAA", "BBB", "CCC"], move |request| {
        if request.path.contains("/BBB/") {
            return Answer::status(404, r#"{"message":"Ticker not found."}"#);
        }
        market.polygon(request)
    });
    sandbox.backfill(&[]).expect_code(1);
    assert_eq!(firing(&sandbox, "HighFailureRate"), (true, json!("warning"), json!(["BBB"])));
    quiet(&sandbox, &["EnrichmentJobFailed"]);
}

#[test]
fn a_run_that_took_long() {
    let sandbox = watched("");
    sandbox.tamper("UPDATE runs SET started_at = completed_at - 1800");
    quiet(&sandbox, &["LongDuration"]);
    sandbox.tamper("UPDATE runs SET started_at = completed_at - 1801");
    assert_eq!(firing(&sandbox, "LongDuration"), (true, json!("warning"), json!([])));
}

#[test]
fn series_of_which_much_was_refused_and_much_is_missing() {
    let mut broken = rows(&daily_sessions());
    for row in broken.iter_mut().step_by(2) {
        *row = Row { high: row.low - 1.0, ..*row };
    }
    let market = Market::new().with("AAA", "1d", broken);
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]);
    for name in ["LowValidation", "LowDataQuality"] {
        assert_eq!(firing(&sandbox, name), (true, json!("warning"), json!(["AAA 1d"])), "{name}");
    }
}

#[test]
fn a_series_that_is_stale() {
    let sandbox = watched("");
    let stale = alert(&sandbox, "2024-06-01", "StaleSeries");
    assert_eq!((&stale["firing"], &stale["severity"]), (&true.into(), &"critical".into()));
    assert_eq!(stale["subjects"], json!(["AAA 1d"]));
    assert!(stale["hint"].as_str().expect("text").contains("mdctl gaps AAA"), "{stale}");
}

#[test]
fn a_series_without_a_bar() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |request| Market::new().polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    let expected = (true, json!("critical"), json!(["AAA 1d"]));
    assert_eq!(firing(&sandbox, "MissingSeries"), expected);
}

#[test]
fn a_series_with_a_hole() {
    let mut lacking = daily_sessions();
    lacking.drain(8..12);
    let market = Market::daily(&["AAA"], &lacking);
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(firing(&sandbox, "SeriesHoles"), (true, json!("warning"), json!(["AAA 1d"])));
}

#[test]
fn a_config_without_a_symbol() {
    let sandbox = watched("");
    let config = sandbox.read("mdctl.toml").replace("symbols = [\"AAA\"]", "symbols = []");
    sandbox.write("mdctl.toml", config);
    assert_eq!(firing(&sandbox, "NoSymbols"), (true, json!("critical"), json!(["symbols"])));
}

#[test]
fn a_run_that_failed_as_a_whole() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(404, "{}"));
    sandbox.backfill(&[]).expect_code(2);
    assert!(firing(&sandbox, "LastRunFailed").0);
}

#[test]
fn a_provider_whose_breaker_is_open() {
    let names: Vec<String> = (0..15).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = Server::start(|_| Answer::status(500, "oops"));
    let config = polygon(&server.url(), "breaker = { recovery = \"1h\" }")
        .replace("max_retries = 2", "max_retries = 0")
        + &group("p", "stock", &symbols, DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(2);
    assert_eq!(firing(&sandbox, "BreakerOpen"), (true, json!("critical"), json!(["p"])));
    assert!(firing(&sandbox, "EnrichmentJobFailed").0);
}

#[test]
fn a_provider_that_had_enough() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| match request.seen {
        0 => Answer::Whole(Reply::new(429, "{}").with("Retry-After", 1)),
        _ => market.polygon(request),
    });
    sandbox.backfill(&[]).expect_code(0);
    let alert = alert(&sandbox, AS_OF, "RateLimited");
    assert_eq!((&alert["firing"], &alert["value"]), (&true.into(), &json!(50.0)));
}

#[test]
fn a_promise_that_is_not_kept() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(404, "{}"));
    sandbox.backfill(&[]).expect_code(2);
    let alert = alert(&sandbox, AS_OF, "ObjectiveMissed");
    assert_eq!((&alert["firing"], &alert["severity"]), (&true.into(), &"warning".into()));
    let missed = alert["subjects"].as_array().expect("a list");
    assert!(missed.contains(&json!("run_success_rate")), "{alert:#}");
    assert_eq!(alert["hint"], "mdctl slo");
}
