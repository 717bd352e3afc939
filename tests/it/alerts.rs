//! Alerts: what fires, who is told of it, and how often.

use serde_json::{Value, json};

use crate::support::market::Market;
use crate::support::server::{Answer, Request, Server};
use crate::support::{AS_OF, DAILY, Output, Sandbox, daily_sessions, fields, group, polygon};

mod builtin;
mod delivery;
mod payloads;
mod pulse;
mod snooze;
mod told;

/// All built-in rules but `EnrichmentJobFailed` switched off.
const ONLY_FAILED: &str = r#"
[[alerts]]
name = "MissingSeries"
enabled = false
[[alerts]]
name = "SeriesHoles"
enabled = false
[[alerts]]
name = "NoSymbols"
enabled = false
[[alerts]]
name = "LastRunFailed"
enabled = false
[[alerts]]
name = "DiskLow"
enabled = false
[[alerts]]
name = "RunOverdue"
enabled = false
[[alerts]]
name = "HighFailureRate"
enabled = false
[[alerts]]
name = "LongDuration"
enabled = false
[[alerts]]
name = "LowDataQuality"
enabled = false
[[alerts]]
name = "LowValidation"
enabled = false
[[alerts]]
name = "StaleSeries"
enabled = false
[[alerts]]
name = "BreakerOpen"
enabled = false
[[alerts]]
name = "RateLimited"
enabled = false
[[alerts]]
name = "ObjectiveMissed"
enabled = false
"#;

/// A receiver that takes everything.
fn receiver() -> Server {
    Server::start(|_| Answer::ok("ok"))
}

/// A webhook of that name at `url`; `more` are further lines.
fn webhook(name: &str, url: &str, more: &str) -> String {
    format!("\n[notify.{name}]\nkind = \"webhook\"\nurl = \"{url}/hook\"\n{more}\n")
}

/// A sandbox with one symbol after a good run, and `more` in its config.
fn watched(more: &str) -> Sandbox {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&(config + more));
    sandbox.backfill(&[]).expect_code(0);
    sandbox
}

/// Makes the last run one in which so many jobs of 200 failed.
fn fail(sandbox: &Sandbox, jobs: u64) {
    sandbox.tamper(&format!("UPDATE runs SET failed = {jobs}, symbols_total = 200"));
}

/// Adds to a sandbox's config.
fn configure(sandbox: &Sandbox, more: &str) {
    sandbox.write("mdctl.toml", sandbox.read("mdctl.toml") + more);
}

/// `alerts --notify`, judged at the usual instant.
fn notify(sandbox: &Sandbox) -> Output {
    sandbox.mdctl(&["alerts", "--notify"])
}

/// The alert of that name, judged at `as_of`.
#[track_caller]
fn alert(sandbox: &Sandbox, as_of: &str, name: &str) -> Value {
    let json = sandbox.mdctl(&["alerts", "--json", "--as-of", as_of]).json();
    let alerts = json["alerts"].as_array().expect("a list");
    let found = alerts.iter().find(|alert| alert["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {json:#}")).clone()
}

/// The document that a request brought.
#[track_caller]
fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body)
        .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&request.body)))
}

/// What a receiver has been told since the last look: `RULE kind count` of each message.
fn told(receiver: &Server) -> Vec<Vec<String>> {
    receiver.take_requests().iter().map(|request| changes(&body(request))).collect()
}

fn changes(message: &Value) -> Vec<String> {
    let changes = message["changes"].as_array().expect("a list");
    let line = |change: &Value| {
        let word = |name: &str| change[name].as_str().unwrap_or("?").to_owned();
        format!("{} {} {}", word("name"), word("kind"), change["count"])
    };
    changes.iter().map(line).collect()
}

#[test]
fn what_fires_is_shown_with_its_fields() {
    let sandbox = watched("");
    fail(&sandbox, 40);
    let output = sandbox.mdctl(&["alerts", "--json", "--as-of", AS_OF]);
    let json = output.expect_code(1).json();
    assert_eq!(fields(&json), ["alerts", "notified", "schema", "status", "summary", "timestamp"]);
    assert_eq!((&json["status"], &json["notified"]), (&"degraded".into(), &Value::Null));
    let expected = [
        "count",
        "field",
        "firing",
        "for_seconds",
        "hint",
        "message",
        "name",
        "severity",
        "since",
        "snoozed_until",
        "state",
        "subjects",
        "test",
        "value",
    ];
    let alerts = json["alerts"].as_array().expect("a list");
    assert_eq!(alerts.len(), 15);
    for alert in alerts {
        assert_eq!(fields(alert), expected);
    }
    let failed = &alerts[0];
    assert_eq!(failed["name"], "EnrichmentJobFailed");
    assert_eq!((&failed["firing"], &failed["state"]), (&true.into(), &"firing".into()));
    assert_eq!((&failed["count"], &failed["value"]), (&40.into(), &40.into()));
    assert_eq!((&failed["field"], &failed["test"]), (&"last_run.failed".into(), &"above 5".into()));
    let stale = alerts.iter().find(|alert| alert["name"] == "StaleSeries").expect("it");
    assert_eq!((&stale["firing"], &stale["severity"]), (&false.into(), &Value::Null));
    assert_eq!((&stale["since"], &stale["count"]), (&Value::Null, &0.into()));

    let text = sandbox.mdctl(&["alerts", "--as-of", AS_OF]);
    text.expect_code(1).expect_stdout("WARNING - EnrichmentJobFailed: last_run.failed is 40");
    text.expect_stdout("quiet: RunOverdue, LongDuration");
}

#[test]
fn without_notify_nothing_is_written_and_nobody_told() {
    let receiver = receiver();
    let sandbox = watched(&webhook("a", &receiver.url(), ""));
    fail(&sandbox, 40);
    sandbox.mdctl(&["alerts", "--as-of", AS_OF]).expect_code(1);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM alert_state"), 0);
    assert!(receiver.requests().is_empty());
    assert!(!sandbox.path("mdctl.db.alerts.lock").exists());
}

#[test]
fn a_database_of_the_first_schema_is_judged_too() {
    let sandbox = watched(ONLY_FAILED);
    fail(&sandbox, 6);
    sandbox.go_back_to_schema_1();
    sandbox.mdctl(&["alerts", "--as-of", AS_OF]).expect_code(1);
    sandbox.mdctl(&["health", "--as-of", AS_OF]);
    assert_eq!(sandbox.database().number("PRAGMA user_version"), 1);
}

#[test]
fn without_a_database_it_cannot_be_told_and_none_is_made() {
    let sandbox =
        Sandbox::with(&(polygon("http://127.0.0.1:9", "") + &group("p", "stock", &["AAA"], DAILY)));
    sandbox.mdctl(&["alerts"]).expect_code(3).expect_stderr("mdctl backfill");
    sandbox.mdctl(&["alerts", "--notify"]).expect_code(3);
    sandbox.mdctl(&["alerts", "unsnooze", "StaleSeries"]).expect_code(0);
    assert!(!sandbox.path("mdctl.db").exists());
    sandbox.write("mdctl.db", "no database at all, but long enough to be taken for one");
    let json = sandbox.mdctl(&["alerts", "--json"]);
    assert_eq!(json.expect_code(3).json()["error"]["exit_code"], 3);
}

#[test]
fn a_field_that_is_none_is_said() {
    let rule = "[[alerts]]\nname = \"Typo\"\nfield = \"last_run.faild\"\nabove = 5\n";
    let sandbox = watched(&(ONLY_FAILED.to_owned() + rule));
    let output = sandbox.mdctl(&["alerts", "--as-of", AS_OF]);
    output.expect_code(3).expect_stdout("UNKNOWN - Typo").expect_stdout("did you mean `failed`?");
    output.expect_stderr("alert Typo cannot be judged").expect_stderr("mdctl health --json");
    assert_eq!(alert(&sandbox, AS_OF, "Typo")["firing"], Value::Null);
    // What fires counts for more.
    fail(&sandbox, 6);
    sandbox.mdctl(&["alerts", "--as-of", AS_OF]).expect_code(1);
}

#[test]
fn a_rule_that_is_switched_off_is_not_watched() {
    let sandbox = watched(
        "[[alerts]]\nname = \"EnrichmentJobFailed\"\nenabled = false\n\
         [[alerts]]\nname = \"HighFailureRate\"\nseverity = \"critical\"\nabove = 0.5\n",
    );
    fail(&sandbox, 90);
    sandbox.mdctl(&["alerts", "--as-of", AS_OF]).expect_code(0);
    fail(&sandbox, 110);
    let json = sandbox.mdctl(&["alerts", "--as-of", AS_OF, "--json"]).expect_code(2).json();
    let names: Vec<&Value> =
        json["alerts"].as_array().expect("a list").iter().map(|alert| &alert["name"]).collect();
    assert!(!names.contains(&&json!("EnrichmentJobFailed")), "{names:?}");
}
