//! Symbols that answer empty, or fail, again and again: asked less and less often, and reported.

use crate::support::market::{Market, date, rows, sessions};
use crate::support::server::{Answer, Server};
use crate::support::{DAILY, Output, Sandbox, asked, group, polygon};

/// A sandbox that tracks these symbols of `server`, whose breaker stays shut.
fn tracking(server: &Server, symbols: &[&str]) -> Sandbox {
    let breaker = "breaker = { min_calls = 1000, window = 1000 }";
    Sandbox::with(&(polygon(&server.url(), breaker) + &group("p", "stock", symbols, DAILY)))
}

/// A server on which the bars of `OLD` end on 2024-03-08 and those of `AAA` go on until `last`.
fn ended(last: &str) -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], &sessions("2024-01-02", last)).with(
        "OLD",
        "1d",
        rows(&sessions("2024-01-02", "2024-03-08")),
    );
    let server = Server::start(move |request| market.polygon(request));
    let sandbox = tracking(&server, &["AAA", "OLD"]);
    (server, sandbox)
}

/// The dates of `days` on which `symbol` was asked for, by a run a day.
fn days_asked(server: &Server, sandbox: &Sandbox, symbol: &str, days: &[i64]) -> Vec<String> {
    let mut found = Vec::new();
    for day in days {
        let as_of = date(*day);
        server.take_requests();
        sandbox.backfill_at(&as_of, &[]);
        let name = format!("{symbol} ");
        if asked(&server.take_requests()).iter().any(|request| request.starts_with(&name)) {
            found.push(as_of);
        }
    }
    found
}

fn issue(output: &Output, code: &str) -> Option<serde_json::Value> {
    let json = output.json();
    let issues = json["issues"].as_array().expect("issues").clone();
    issues.into_iter().find(|issue| issue["code"] == code)
}

#[test]
fn a_symbol_that_nothing_comes_for_is_asked_less_and_less_often_and_suspected() {
    let (server, sandbox) = ended("2024-06-28");
    let days = sessions("2024-03-08", "2024-05-31");
    let found = days_asked(&server, &sandbox, "OLD", &days);
    // Empty since the 11th: looks count after 1, 3, 9, 9 and 27 days; from the fourth on, the 25th, nothing
    // is asked between them.
    let daily = sessions("2024-03-08", "2024-03-25").into_iter().map(date);
    let seldom = ["2024-04-03", "2024-04-30", "2024-05-28"].map(str::to_owned);
    let expected: Vec<String> = daily.chain(seldom).collect();
    assert_eq!(found, expected);
    assert_eq!(
        days_asked(&server, &sandbox, "AAA", &sessions("2024-06-03", "2024-06-07")).len(),
        5
    );
    let health = sandbox.mdctl(&["health", "--json", "--as-of", "2024-06-07"]);
    let suspected = issue(&health, "suspected_delisted").expect("it is suspected");
    assert_eq!(suspected["subject"], "OLD", "{suspected}");
    assert_eq!(suspected["since"], "2024-03-12T00:00:00Z");
    // Whoever names it is served, and a repair asks all the same.
    for arguments in [&["OLD"][..], &["--repair"]] {
        server.take_requests();
        sandbox.backfill_at("2024-06-10", arguments);
        assert!(!asked(&server.take_requests()).is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_symbol_that_is_left_alone_is_a_job_that_was_skipped_and_says_why() {
    let (_server, sandbox) = ended("2024-06-28");
    for date in ["2024-03-11", "2024-03-12", "2024-03-15", "2024-03-25", "2024-03-26"] {
        sandbox.backfill_at(date, &[]).expect_code(0);
    }
    let database = sandbox.database();
    let run = database.texts("SELECT max(run_id) FROM runs").remove(0);
    let jobs = database.texts(&format!(
        "SELECT concat_ws(' ', symbol, status, last_error) FROM jobs WHERE run_id = '{run}' ORDER BY 1"
    ));
    assert_eq!(jobs[0], "AAA completed");
    let reason = "OLD skipped 1d: nothing has come since 2024-03-12T00:00:00Z; asked again from";
    assert!(jobs[1].starts_with(reason), "{jobs:?}");
    assert_eq!(database.number("SELECT skipped FROM runs ORDER BY run_id DESC LIMIT 1"), 1);
    let plan = sandbox.backfill_at("2024-03-27", &["--dry-run", "--json"]).json();
    assert_eq!(plan["resting"][0]["symbol"], "OLD", "{plan}");
}

#[test]
fn a_feed_that_stands_still_as_a_whole_is_asked_every_day_and_nobody_is_suspected() {
    let server = {
        let market = Market::daily(&["AAA", "BBB"], &sessions("2024-01-02", "2024-03-08"));
        Server::start(move |request| market.polygon(request))
    };
    let sandbox = tracking(&server, &["AAA", "BBB"]);
    let days = sessions("2024-03-08", "2024-04-12");
    assert_eq!(days_asked(&server, &sandbox, "BBB", &days).len(), days.len());
    let health = sandbox.mdctl(&["health", "--json", "--as-of", "2024-04-12"]);
    assert_eq!(issue(&health, "suspected_delisted"), None);
    // It goes on, and everything comes.
    let market = Market::daily(&["AAA", "BBB"], &sessions("2024-01-02", "2024-04-15"));
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill_at("2024-04-15", &[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("BBB"), Vec::<String>::new());
}

#[test]
fn a_symbol_that_comes_back_is_whole_again() {
    let (server, sandbox) = ended("2024-06-28");
    for date in ["2024-03-11", "2024-03-12", "2024-03-15", "2024-03-25"] {
        sandbox.backfill_at(date, &[]).expect_code(0);
    }
    let market = Market::daily(&["AAA", "OLD"], &sessions("2024-01-02", "2024-06-28"));
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill_at("2024-03-26", &[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("OLD"), ["provider_empty 11", "unfetched 1"]);
    sandbox.backfill_at("2024-04-03", &[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("OLD"), Vec::<String>::new());
    let health = sandbox.mdctl(&["health", "--json", "--as-of", "2024-04-03"]);
    assert_eq!(issue(&health, "suspected_delisted"), None);
}

#[test]
fn a_symbol_that_the_config_calls_delisted_has_no_hole_after_its_last_session() {
    let (server, sandbox) = ended("2024-06-28");
    for date in ["2024-03-11", "2024-03-12", "2024-03-15"] {
        sandbox.backfill_at(date, &[]).expect_code(0);
    }
    assert_eq!(sandbox.database().gaps("OLD"), ["provider_empty 5"]);
    let before = sandbox.read("mdctl.toml");
    let with = before.replace("\"OLD\"", "{ symbol = \"OLD\", delisted = \"2024-03-08\" }");
    sandbox.write("mdctl.toml", with);
    server.take_requests();
    sandbox.backfill_at("2024-04-30", &[]).expect_code(0);
    assert!(asked(&server.take_requests()).iter().all(|request| request.starts_with("AAA ")));
    assert_eq!(sandbox.database().gaps("OLD"), ["delisted 5"]);
    let health = sandbox.mdctl(&["health", "--json", "--as-of", "2024-04-30"]);
    assert_eq!(health.json()["status"], "healthy", "{}", health.json());
    // It was a mistake: they are lacking again.
    sandbox.write("mdctl.toml", before);
    sandbox.backfill_at("2024-04-30", &["OLD"]).expect_code(0);
    let gaps = sandbox.database().gaps("OLD");
    assert!(gaps.iter().all(|gap| gap.starts_with("provider_empty")), "{gaps:?}");
}

#[test]
fn a_symbol_that_fails_again_and_again_is_asked_less_and_less_often() {
    let market = Market::daily(&["AAA"], &sessions("2024-01-02", "2024-03-15"));
    let server = Server::start(move |request| match request.path.contains("/BAD/") {
        true => Answer::status(404, r#"{"status":"NOT_FOUND","message":"Ticker not found."}"#),
        false => market.polygon(request),
    });
    let sandbox = tracking(&server, &["AAA", "BAD"]);
    let mut hours = Vec::new();
    for hour in 0..24 {
        server.take_requests();
        let day = 16 + hour / 24;
        sandbox.backfill_at(&format!("2024-03-{day}T{:02}:30:00Z", hour % 24), &[]);
        if asked(&server.take_requests()).iter().any(|request| request.starts_with("BAD ")) {
            hours.push(hour);
        }
    }
    // After the third failure an hour's rest, then two, four, eight.
    assert_eq!(hours, [0, 1, 2, 3, 5, 9, 17]);
    let health = sandbox.mdctl(&["health", "--json", "--as-of", "2024-03-17"]);
    assert_eq!(issue(&health, "keeps_failing").expect("it keeps failing")["subject"], "BAD 1d");
    server.take_requests();
    sandbox.backfill_at("2024-03-16T23:45:00Z", &["BAD"]).expect_code(2);
    assert_eq!(asked(&server.take_requests()).len(), 1, "whoever names it is served");
}

#[test]
fn an_outage_is_no_reason_to_leave_a_symbol_alone() {
    let server = Server::start(|_| Answer::status(500, "oops"));
    let sandbox = tracking(&server, &["AAA"]);
    for _ in 0..6 {
        server.take_requests();
        sandbox.backfill(&[]).expect_code(2);
        assert!(!server.take_requests().is_empty());
    }
}
