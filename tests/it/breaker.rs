//! The breaker: it opens, stays open from run to run, probes, closes; and the glass that can be broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::market::Market;
use crate::support::server::{Answer, Reply, Server};
use crate::support::{DAILY, Sandbox, daily_sessions, group, polygon};

/// Fifteen symbols.
fn symbols() -> Vec<String> {
    (0..15).map(|index| format!("S{index:02}")).collect()
}

/// A server in trouble, and a sandbox that tracks fifteen symbols there, each asked for once.
fn in_trouble() -> (Server, Sandbox) {
    let server = Server::start(|_| Answer::status(500, "oops"));
    let symbols = symbols();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let config = polygon(&server.url(), r#"breaker = { recovery = "1h" }"#)
        .replace("max_retries = 2", "max_retries = 0")
        + &group("p", "stock", &symbols, DAILY);
    (server, Sandbox::with(&config))
}

/// From now on the server has everything.
fn mend(server: &Server) {
    let symbols = symbols();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let market = Market::daily(&symbols, &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
}

fn recovered(sandbox: &Sandbox) {
    sandbox.tamper("UPDATE breaker_state SET retry_at_us = retry_at_us - 3601000000");
}

fn kinds(sandbox: &Sandbox) -> Vec<String> {
    sandbox.database().texts(
        "SELECT error_kind || ' ' || count(*) FROM failures
         WHERE run_id = (SELECT max(run_id) FROM runs) GROUP BY error_kind ORDER BY error_kind",
    )
}

fn state(sandbox: &Sandbox) -> Vec<String> {
    sandbox
        .database()
        .texts("SELECT concat_ws(' ', state, success_count, failure_count) FROM breaker_state")
}

#[test]
fn it_opens_when_half_of_enough_calls_failed_and_the_rest_fails_at_once() {
    let (server, sandbox) = in_trouble();
    sandbox.backfill(&["--parallel", "1"]).expect_code(2);
    assert_eq!(server.take_requests().len(), 10);
    assert_eq!(kinds(&sandbox), ["circuit_open 5", "server 10"]);
    assert_eq!(state(&sandbox), ["open 0 10"]);
    let requests = sandbox.database().number("SELECT requests FROM runs");
    assert_eq!(requests, 10, "what was not sent is no request");

    sandbox.backfill(&[]).expect_code(2);
    assert_eq!(server.requests().len(), 0, "it is open for the next run too");
    assert_eq!(kinds(&sandbox), ["circuit_open 15"]);
    let message =
        sandbox.database().texts("SELECT message FROM failures ORDER BY at DESC LIMIT 1").remove(0);
    assert!(
        message.contains("the breaker of p is open for another") && message.contains("HTTP 500"),
        "{message}"
    );
}

#[test]
fn after_its_recovery_one_probe_goes_and_when_it_fails_nobody_follows() {
    let (server, sandbox) = in_trouble();
    sandbox.backfill(&["--parallel", "1"]).expect_code(2);
    server.take_requests();
    recovered(&sandbox);
    sandbox.backfill(&["--parallel", "8"]).expect_code(2);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(kinds(&sandbox), ["circuit_open 14", "server 1"]);
    assert_eq!(state(&sandbox)[0].split(' ').next(), Some("open"));
    sandbox.backfill(&["--parallel", "8"]).expect_code(2);
    assert_eq!(server.requests().len(), 1, "the recovery begins anew");
}

#[test]
fn when_the_probe_goes_well_those_who_waited_for_it_follow() {
    let (server, sandbox) = in_trouble();
    sandbox.backfill(&["--parallel", "1"]).expect_code(2);
    recovered(&sandbox);
    let symbols = symbols();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let market = Market::daily(&symbols, &daily_sessions());
    let (flying, beside_probe) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (first, most) = (AtomicUsize::new(0), Arc::clone(&beside_probe));
    server.answer_with(move |request| {
        let at_once = flying.fetch_add(1, Ordering::SeqCst);
        let is_probe = first.fetch_add(1, Ordering::SeqCst) == 0;
        if is_probe {
            (0..20_000).for_each(|_| std::thread::yield_now());
            most.store(flying.load(Ordering::SeqCst) + at_once, Ordering::SeqCst);
        }
        let answer = market.polygon(request);
        flying.fetch_sub(1, Ordering::SeqCst);
        answer
    });
    sandbox.backfill(&["--parallel", "8"]).expect_code(0);
    assert_eq!(beside_probe.load(Ordering::SeqCst), 1, "nobody flies beside the probe");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 15 * 21);
    assert_eq!(state(&sandbox)[0].split(' ').next(), Some("closed"));
}

#[test]
fn a_retry_that_an_open_breaker_kept_from_being_sent_is_none() {
    let server = Server::start(|_| Answer::status(500, "oops"));
    let config = polygon(&server.url(), "breaker = { min_calls = 1 }")
        + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(2);
    assert_eq!(server.requests().len(), 1);
    let counts = "SELECT concat_ws(' ', requests, retried, retry_count) FROM runs JOIN jobs";
    assert_eq!(sandbox.database().texts(counts), ["1 0 0"]);
}

#[test]
fn trouble_that_is_the_questions_fault_opens_nothing() {
    for status in [400, 404, 429] {
        let (server, sandbox) = in_trouble();
        server.answer_with(move |_| Answer::status(status, "{}"));
        sandbox.backfill(&["--parallel", "1"]).expect_code(2);
        assert_eq!(server.requests().len(), 15, "HTTP {status}");
        assert_eq!(state(&sandbox), ["closed 15 0"]);
    }
}

#[test]
fn the_glass_can_be_broken_and_that_is_on_record() {
    let (server, sandbox) = in_trouble();
    sandbox.backfill(&["--parallel", "1"]).expect_code(2);
    mend(&server);
    sandbox.backfill(&["--force"]).expect_code(64).expect_stderr("--reason");
    sandbox.backfill(&["--force", "--reason", " "]).expect_code(64);
    let mut command = sandbox.command(&[
        "backfill",
        "--as-of",
        crate::support::AS_OF,
        "--force",
        "--reason",
        "they called",
    ]);
    sandbox.finish(command.env("USER", "ada")).expect_code(0);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 15 * 21);
    assert_eq!(state(&sandbox)[0].split(' ').next(), Some("closed"));
    let audit = sandbox.database().texts(
        "SELECT concat_ws(' ', who, action, subject, reason, run_id = (SELECT max(run_id) FROM runs), at > 0)
           FROM audit_log",
    );
    assert_eq!(audit, ["ada force backfill they called 1 1"]);
}

#[test]
fn a_forced_run_passes_a_breaker_however_often_it_fails() {
    let (server, sandbox) = in_trouble();
    sandbox.backfill(&["--parallel", "1"]).expect_code(2);
    server.take_requests();
    sandbox.backfill(&["--force", "--reason", "a test"]).expect_code(2);
    assert_eq!(server.requests().len(), 15);
    assert_eq!(state(&sandbox)[0].split(' ').next(), Some("open"));
}

#[test]
fn a_quota_that_is_said_to_be_used_up_for_long_is_shown_and_can_be_forgotten() {
    let (server, sandbox) = in_trouble();
    let far = "99999999999";
    let reply = Reply::new(200, r#"{"status":"OK","ticker":"S00","results":[]}"#)
        .with("x-ratelimit-remaining", "0")
        .with("x-ratelimit-reset", far);
    server.answer_with(move |_| Answer::Whole(reply.clone()));
    sandbox.backfill(&["S00", "S01", "--parallel", "1"]).expect_code(4);
    assert_eq!(server.take_requests().len(), 1);
    let list = sandbox.mdctl(&["breaker", "list"]);
    list.expect_code(0).expect_stdout("its quota is used up");
    sandbox.mdctl(&["breaker", "reset"]).expect_code(0).expect_stdout("reset p");
    mend(&server);
    sandbox.backfill(&["S01"]).expect_code(0);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_pause_skips_every_run_until_it_is_over_or_the_glass_is_broken() {
    let (server, sandbox) = in_trouble();
    mend(&server);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.tamper("INSERT INTO controls VALUES ('pause', 0, 99999999999, 'moving house', 'ada')");
    for command in ["backfill", "enrich"] {
        let output = sandbox.mdctl(&[command, "--as-of", crate::support::AS_OF, "--json"]);
        let run = &output.expect_code(0).json()["run"];
        assert_eq!((run["status"].as_str(), run["exit_code"].as_i64()), (Some("skipped"), Some(0)));
        assert!(run["error"].as_str().is_some_and(|words| words.contains("moving house")), "{run}");
    }
    assert_eq!(server.requests().len(), 0);
    sandbox.backfill(&["--force", "--reason", "just once"]).expect_code(0);
    assert_eq!(server.take_requests().len(), 15);
    sandbox.tamper("UPDATE controls SET until = 1");
    sandbox.backfill(&["--full"]).expect_code(0);
    assert_eq!(server.requests().len(), 15, "it ends by itself");
    let runs = sandbox.database().texts("SELECT status FROM runs ORDER BY run_id");
    assert_eq!(runs, ["skipped", "skipped", "succeeded", "succeeded"]);
}
