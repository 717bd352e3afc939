//! Receivers that are down, slow or out of order: nothing is lost, nothing told twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::support::wait_until;

/// Receivers `good` and `bad` of a sandbox with six failed jobs.
fn two_receivers(bad: &Server) -> (Server, Sandbox) {
    let good = receiver();
    let sandbox = watched(
        &(ONLY_FAILED.to_owned()
            + &webhook("good", &good.url(), "")
            + &webhook("bad", &bad.url(), "")),
    );
    fail(&sandbox, 6);
    (good, sandbox)
}

/// What is told once the receiver is well again.
#[track_caller]
fn is_told_once_it_is_well(bad: &Server, words: &str) {
    let (good, sandbox) = two_receivers(bad);
    let output = notify(&sandbox);
    output.expect_code(1).expect_stderr("a notifier was not told").expect_stderr(words);
    output.expect_stderr("notifier=bad").expect_stdout("could not tell bad of 1 change");
    output.expect_stdout("told good: EnrichmentJobFailed started");
    let started = [["EnrichmentJobFailed started 6"]];
    assert_eq!(told(&good), started);
    bad.take_requests();
    bad.answer_with(|_| Answer::ok("ok"));
    for _ in 0..2 {
        let output = notify(&sandbox);
        output.expect_code(1);
        assert!(!output.stderr.contains("not told"), "{output}");
    }
    assert_eq!(told(bad), started);
    assert!(told(&good).is_empty());
}

#[test]
fn a_receiver_that_answers_500_is_told_once_it_is_well() {
    is_told_once_it_is_well(&Server::start(|_| Answer::status(500, "oh")), "it answered 500");
}

#[test]
fn a_receiver_that_has_had_enough_is_told_once_it_is_well() {
    is_told_once_it_is_well(&Server::start(|_| Answer::status(429, "")), "it answered 429");
}

#[test]
fn a_receiver_that_hangs_is_told_once_it_is_well() {
    is_told_once_it_is_well(&Server::start(|_| Answer::Hang), "it did not answer in time");
}

#[test]
fn a_receiver_that_resets_is_told_once_it_is_well() {
    is_told_once_it_is_well(&Server::start(|_| Answer::Reset), "cannot send");
}

#[test]
fn a_receiver_that_was_down_is_told_once_it_is_up() {
    let gone = receiver();
    let url = gone.url();
    drop(gone);
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("bad", &url, "")));
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1).expect_stderr("cannot connect");
    let up = receiver();
    let config = sandbox.read("mdctl.toml").replace(&url, &up.url());
    sandbox.write("mdctl.toml", config);
    notify(&sandbox).expect_code(1);
    notify(&sandbox).expect_code(1);
    assert_eq!(told(&up), [["EnrichmentJobFailed started 6"]]);
}

#[test]
fn what_may_have_come_is_told_to_be_over_though_its_answer_was_lost() {
    let bad = Server::start(|_| Answer::status(500, ""));
    let (good, sandbox) = two_receivers(&bad);
    notify(&sandbox).expect_code(1);
    fail(&sandbox, 0);
    bad.take_requests();
    bad.answer_with(|_| Answer::ok("ok"));
    notify(&sandbox).expect_code(0);
    assert_eq!(told(&bad), [["EnrichmentJobFailed resolved 6"]]);
    notify(&sandbox).expect_code(0);
    assert!(told(&bad).is_empty());
    let expected = [["EnrichmentJobFailed started 6"], ["EnrichmentJobFailed resolved 6"]];
    assert_eq!(told(&good), expected);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM alert_unsent"), 0);
}

#[test]
fn an_end_that_was_not_taken_is_told_again() {
    let bad = receiver();
    let (_good, sandbox) = two_receivers(&bad);
    notify(&sandbox).expect_code(1);
    bad.take_requests();
    fail(&sandbox, 0);
    bad.answer_with(|_| Answer::status(503, ""));
    notify(&sandbox).expect_code(0).expect_stderr("it answered 503");
    bad.take_requests();
    bad.answer_with(|_| Answer::ok("ok"));
    notify(&sandbox).expect_code(0);
    notify(&sandbox).expect_code(0);
    assert_eq!(told(&bad), [["EnrichmentJobFailed resolved 6"]]);
}

#[test]
fn health_says_who_could_not_be_told() {
    let bad = Server::start(|_| Answer::status(500, ""));
    let (_good, sandbox) = two_receivers(&bad);
    let issue = || {
        let json = sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json();
        let issues = json["issues"].as_array().expect("a list").clone();
        issues.into_iter().find(|issue| issue["code"] == "alerts_unsent")
    };
    assert_eq!(issue(), None);
    notify(&sandbox).expect_code(1);
    let first = issue().expect("it is said");
    assert_eq!((&first["severity"], &first["subject"]), (&"warning".into(), &"bad".into()));
    assert_eq!(first["count"], 1);
    let message = first["message"].as_str().expect("text");
    assert!(message.contains("notifier bad") && message.contains("it answered 500"), "{message}");
    assert!(first["hint"].as_str().expect("text").contains("[notify.bad]"), "{first}");
    // Since when stays.
    sandbox.tamper("UPDATE alert_unsent SET since = 1710000000");
    notify(&sandbox).expect_code(1);
    assert_eq!(issue().expect("still")["since"], "2024-03-09T16:00:00Z");
    bad.answer_with(|_| Answer::ok("ok"));
    notify(&sandbox).expect_code(1);
    assert_eq!(issue(), None);
    // A notifier that is no more is nobody's trouble.
    bad.answer_with(|_| Answer::status(500, ""));
    fail(&sandbox, 60);
    notify(&sandbox).expect_code(1);
    assert!(issue().is_some());
    let config = sandbox.read("mdctl.toml").replace("[notify.bad]", "[notify.other]");
    sandbox.write("mdctl.toml", config);
    assert_eq!(issue(), None);
}

#[test]
fn two_calls_at_once_tell_once() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let receiver = Server::start(move |_| {
        wait_until(|| gate.load(Ordering::SeqCst));
        Answer::ok("ok")
    });
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 6);
    let call = || sandbox.start(&["alerts", "--notify"]);
    let first = call();
    receiver.wait_for(1);
    let (second, third) = (call(), call());
    let tells = || receiver.requests().len() > 1;
    wait_until(|| tells() || second.waits_for_a_lock() && third.waits_for_a_lock());
    open.store(true, Ordering::SeqCst);
    for call in [first, second, third] {
        assert_eq!(call.wait(), Some(1));
    }
    assert_eq!(told(&receiver), [["EnrichmentJobFailed started 6"]]);
}

#[test]
fn a_run_at_work_holds_up_nobody() {
    let market = Server::start(|_| Answer::Hang);
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 6);
    let config = sandbox.read("mdctl.toml");
    let from = config.find("base_url = \"").expect("an address") + "base_url = \"".len();
    let until = from + config[from..].find('"').expect("its end");
    sandbox.write("mdctl.toml", format!("{}{}{}", &config[..from], market.url(), &config[until..]));
    let run = sandbox.start(&["backfill", "--full", "--as-of", AS_OF]);
    market.wait_for(1);
    notify(&sandbox).expect_code(1);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed started 6"]]);
    run.kill();
}

#[test]
fn all_changes_are_one_message_a_notifier() {
    let receiver = receiver();
    let more = ONLY_FAILED.replace(
        "name = \"HighFailureRate\"\nenabled = false",
        "name = \"X\"\nfield = \"last_run.failed\"\nabove = 1",
    );
    let sandbox = watched(&(more + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 40);
    notify(&sandbox).expect_code(1);
    let messages = told(&receiver);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].len(), 3, "{messages:?}");
}

#[test]
fn who_is_new_hears_of_what_fires() {
    let first = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &first.url(), "")));
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1);
    let second = receiver();
    configure(&sandbox, &webhook("b", &second.url(), ""));
    notify(&sandbox).expect_code(1);
    let started = [["EnrichmentJobFailed started 6"]];
    assert_eq!((told(&first), told(&second).len()), (vec![vec![started[0][0].to_owned()]], 1));
    // A call without anybody to tell says so, and forgets those who are gone.
    let config = sandbox.read("mdctl.toml");
    let without = config.split("\n[notify.").next().expect("the rest").to_owned();
    sandbox.write("mdctl.toml", without);
    notify(&sandbox).expect_code(1).expect_stderr("nobody is told");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM alert_told"), 0);
}
