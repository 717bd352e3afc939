//! Snoozes: nobody is told for a while, and it stands in the audit log.

use super::*;

fn snooze(sandbox: &Sandbox, end: &[&str]) -> Output {
    let order = ["alerts", "snooze", "EnrichmentJobFailed", "--reason", "moving house"];
    sandbox.mdctl(&[&order, end].concat())
}

#[test]
fn nobody_is_told_until_it_ends_and_then_it_is_told_again() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed started 6"]]);
    snooze(&sandbox, &["--for", "2h"]).expect_code(0).expect_stdout("is snoozed until");
    fail(&sandbox, 100);
    let output = notify(&sandbox);
    output.expect_code(0).expect_stdout("(1 snoozed)").expect_stdout("snoozed until");
    assert!(told(&receiver).is_empty());
    let json = alert(&sandbox, AS_OF, "EnrichmentJobFailed");
    assert_eq!(json["firing"], true);
    assert!(json["snoozed_until"].is_string(), "{json}");
    // Two hours later.
    sandbox.tamper(
        "UPDATE alert_snoozes SET until = until - 7201, since = since - 7201;
         UPDATE alert_told SET told_at = told_at - 7202;",
    );
    notify(&sandbox).expect_code(1);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed worsened 100"]]);
    notify(&sandbox).expect_code(1);
    assert!(told(&receiver).is_empty());
}

#[test]
fn what_began_meanwhile_is_told_at_its_end_and_what_ended_is_told_at_once() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    snooze(&sandbox, &["--until", "2999-01-01"]).expect_code(0);
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(0);
    assert!(told(&receiver).is_empty());
    let ended = sandbox.mdctl(&["alerts", "unsnooze", "EnrichmentJobFailed", "--reason", "home"]);
    ended.expect_code(0).expect_stdout("moving house");
    notify(&sandbox).expect_code(1);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed started 6"]]);
    snooze(&sandbox, &["--for", "2h"]).expect_code(0);
    fail(&sandbox, 0);
    notify(&sandbox).expect_code(0);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed resolved 6"]]);
}

#[test]
fn after_unsnooze_what_still_fires_is_told_though_it_was_before() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1);
    sandbox.tamper("UPDATE alert_told SET told_at = told_at - 60");
    snooze(&sandbox, &["--for", "2h"]).expect_code(0);
    sandbox.mdctl(&["alerts", "unsnooze", "EnrichmentJobFailed"]).expect_code(0);
    notify(&sandbox).expect_code(1);
    notify(&sandbox).expect_code(1);
    let expected = [["EnrichmentJobFailed started 6"], ["EnrichmentJobFailed repeated 6"]];
    assert_eq!(told(&receiver), expected);
}

#[test]
fn it_is_in_the_audit_log_and_in_the_document() {
    let sandbox = watched("");
    let order = ["alerts", "snooze", "StaleSeries", "--for", "90s", "--reason", "x", "--json"];
    let first = sandbox.mdctl(&order).expect_code(0).json();
    assert_eq!(fields(&first), ["name", "previous", "schema", "snoozed", "timestamp"]);
    assert_eq!(fields(&first["snoozed"]), ["reason", "since", "until", "who"]);
    assert_eq!(first["previous"], Value::Null);
    let second = sandbox.mdctl(&order).expect_code(0).json();
    assert_eq!(second["previous"]["reason"], "x");
    let ended = sandbox.mdctl(&["alerts", "unsnooze", "StaleSeries", "--json"]).json();
    assert_eq!((&ended["snoozed"], &ended["previous"]["reason"]), (&Value::Null, &"x".into()));
    sandbox.mdctl(&["alerts", "unsnooze", "StaleSeries"]).expect_stdout("is not snoozed");
    let log =
        sandbox.database().texts("SELECT action || ' ' || substr(subject, 1, 11) FROM audit_log");
    let snoozed = "alert_snooze StaleSeries";
    assert_eq!(log, [snoozed, snoozed, "alert_unsnooze StaleSeries"]);
}

#[test]
fn a_snooze_needs_a_rule_an_end_and_a_reason() {
    let sandbox = watched("");
    let refused = |arguments: &[&str], words: &str| {
        let output = sandbox.mdctl(&[&["alerts"], arguments].concat());
        output.expect_code(64).expect_stderr(words);
    };
    refused(
        &["snooze", "StaleSerie", "--for", "1h", "--reason", "x"],
        "did you mean `StaleSeries`?",
    );
    refused(&["snooze", "zzz", "--for", "1h", "--reason", "x"], "known are RunOverdue");
    refused(&["unsnooze", "StaleSerie"], "did you mean `StaleSeries`?");
    refused(&["snooze", "StaleSeries", "--for", "1h"], "--reason");
    refused(&["snooze", "StaleSeries", "--reason", "x"], "--for");
    refused(&["snooze", "StaleSeries", "--for", "1h", "--reason", " "], "a reason is wanted");
    refused(
        &["snooze", "StaleSeries", "--until", "2020-01-01", "--reason", "x"],
        "the snooze would have ended already",
    );
    refused(
        &["--notify", "snooze", "StaleSeries", "--for", "1h", "--reason", "x"],
        "cannot be used",
    );
}
