//! Providers that ask to be left alone, or stop everything: each in a run with others, which go on.

use std::sync::Arc;

use super::{Cases, Run, case_of, provider, symbol};
use crate::support::market::Market;
use crate::support::server::{Answer, Reply, Server};
use crate::support::{DAILY, KEY, Sandbox, daily_sessions, group, polygon};

/// A run in which each case has a provider of its own, with one symbol.
#[track_caller]
fn run(cases: Cases) -> Run {
    let cases = Arc::new(cases);
    let market = Market::daily(&["AAA"], &daily_sessions());
    let answering = Arc::clone(&cases);
    let server = Server::start(move |request| match case_of(request) {
        Some(index) => (answering.0[index].answer)(request),
        None => market.polygon(request),
    });
    let mut config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY);
    for index in 0..cases.0.len() {
        let name = symbol(index);
        config += &provider(&name, "polygon", &server.url(), "30s");
        config += &group(&name, "stock", &[&name], DAILY).replace("stocks", &name);
    }
    let sandbox = Sandbox::with(&config);
    let output = sandbox.backfill(&["--parallel", "10"]);
    let run = Run { server, sandbox, output };
    run.output.expect_code(1);
    cases.expect(&run);
    run.expect_clean(&["AAA"]);
    assert_eq!(run.sandbox.database().times("AAA", "1d"), daily_sessions());
    assert_eq!(run.server.requests().len(), cases.0.len() + 1, "each was asked once");
    run
}

#[test]
fn waits_that_nobody_would_wait_are_no_trouble() {
    let mut cases = Cases::default();
    let waits = [
        "18446744073709551615",
        "9223372036854775807",
        "1000000000",
        "99999999999999999999",
        "-1",
        "1e9",
        "0",
        "0.5",
        "",
        "soon",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Wed, 99 Foo 2024 99:99:99 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 +9999",
        KEY,
    ];
    for wait in waits {
        // Whatever its status, a wait that is longer than a run waits is the quota's matter.
        let is_long =
            wait.parse::<u64>().is_ok_and(|seconds| seconds > 300) || wait.contains("Dec 9999");
        let busy = if is_long { "rate_limited" } else { "server" };
        for (status, kind) in [(429, "rate_limited"), (418, "rate_limited"), (503, busy)] {
            let reply = Reply::new(status, "{}").with("retry-after", wait).with("date", wait);
            cases.always(format!("{status} and {wait}"), kind, Answer::Whole(reply));
        }
    }
    for (remaining, reset) in [
        ("0", "9223372036854775807"),
        ("0", "-9223372036854775808"),
        ("0", "99999999999999999999"),
        ("-1", "0"),
        ("none", "never"),
        ("0", KEY),
    ] {
        let reply = Reply::new(429, "{}")
            .with("x-ratelimit-remaining", remaining)
            .with("x-ratelimit-reset", reset)
            .with("x-mbx-used-weight-1m", reset);
        cases.always(format!("{remaining} until {reset}"), "rate_limited", Answer::Whole(reply));
    }
    let words = "You've exceeded the maximum requests per minute, please wait or upgrade.";
    let body = format!("{{\"status\":\"ERROR\",\"error\":\"{words}\"}}");
    cases.always("the minute's quota", "rate_limited", Answer::status(429, body.clone()));
    cases.always("the minute's quota, as 400", "rate_limited", Answer::status(400, body.clone()));
    cases.always("the minute's quota, as 200", "rate_limited", Answer::ok(body));
    run(cases);
}

#[test]
fn a_wrong_key_is_said_without_the_key() {
    let mut cases = Cases::default();
    for text in [
        format!("Unknown API Key {KEY}"),
        format!("Unknown API Key %73ekrit-4711-Zyxw, {}", KEY.to_uppercase()),
        format!("Unknown API Key {}{KEY}", "x".repeat(465)),
    ] {
        for (status, kind) in [(401, "auth"), (400, "auth"), (200, "auth")] {
            let body = format!("{{\"status\":\"ERROR\",\"error\":\"{text}\"}}");
            cases.always(format!("{status} {text}"), kind, Answer::status(status, body));
        }
        cases.always(text.clone(), "auth", Answer::status(401, text));
    }
    run(cases);
}

#[test]
fn one_symbols_refusal_gives_no_reason_to_leave_the_others_alone() {
    // A refusal of one symbol, with a wait that is longer than any run.
    let market = Market::daily(&["AAA", "CCC"], &daily_sessions());
    let server = Server::start(move |request| match case_of(request) {
        Some(_) => Answer::Whole(Reply::new(404, "{}").with("retry-after", 1_000_000)),
        None => market.polygon(request),
    });
    let symbols = ["AAA", "H000", "CCC"];
    let config = polygon(&server.url(), "") + &group("p", "stock", &symbols, DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&["--parallel", "1"]).expect_code(1);
    for symbol in ["AAA", "CCC"] {
        assert_eq!(sandbox.database().times(symbol, "1d"), daily_sessions(), "{symbol}");
    }
}
