//! Those who are told: complete, and do they hear?

use super::*;

/// A secret in an address; nowhere to be found afterwards.
const SECRET: &str = "sekrit-path-4711";

/// A sandbox with a database and these notifiers.
fn with(notifiers: &str) -> (Server, Sandbox) {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", config + notifiers);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    (server, sandbox)
}

/// A webhook and a Slack, an incident desk, a switch and a program, at a receiver.
fn all(receiver: &Server) -> (Server, Sandbox) {
    let url = receiver.url();
    let (server, sandbox) = with(&format!(
        r#"
[notify.hook]
kind = "webhook"
url = {{ file = "hook.url" }}
[notify.team]
kind = "slack"
url = "{url}/slack"
[notify.oncall]
kind = "pagerduty"
url = "{url}/pagerduty"
token = {{ file = "hook.token" }}
send_resolved = false
[notify.cron]
kind = "healthchecks"
url = "{url}/switch"
[notify.page]
kind = "command"
command = ["/bin/sh", "-c", "cat > page.json"]
"#
    ));
    sandbox.write("hook.url", format!("{url}/{SECRET}\n"));
    sandbox.write("hook.token", format!("{SECRET}-token\n"));
    for name in ["hook.url", "hook.token", "mdctl.toml"] {
        fs::set_permissions(sandbox.path(name), Permissions::from_mode(0o600)).expect("its mode");
    }
    (server, sandbox)
}

#[test]
fn nobody_is_told_anything_unless_asked_for() {
    let receiver = Server::start(|_| Answer::ok(""));
    let (_server, sandbox) = all(&receiver);
    let found = examine(&sandbox);
    found.output.expect_code(0);
    for name in ["hook", "team", "oncall", "cron", "page"] {
        found.about("notifier", name).says("ok", "complete; --send-test tries it");
    }
    found.check("secrets").says("ok", "2 files with secrets");
    assert!(receiver.requests().is_empty() && !sandbox.path("page.json").exists());
}

#[test]
fn a_test_says_that_it_is_one_and_is_no_alert() {
    let receiver = Server::start(|_| Answer::ok(""));
    let (_server, sandbox) = all(&receiver);
    let found = examine_with(&sandbox, &["--send-test"]);
    found.output.expect_code(0);
    for name in ["hook", "team", "oncall", "page"] {
        found.about("notifier", name).says("ok", "it took the test message");
    }
    found.about("notifier", "cron").says("ok", "a line for its log, which is no ping");
    let requests = receiver.take_requests();
    let body = |path: &str| {
        let bodies: Vec<String> = requests
            .iter()
            .filter(|request| request.path == path)
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .collect();
        bodies
    };
    let hook = body(&format!("/{SECRET}"));
    assert_eq!(hook.len(), 1, "one message, not one a change");
    let message: Value = serde_json::from_str(&hook[0]).expect("our own message");
    assert_eq!(message["changes"][0]["name"], "TestMessage");
    assert_eq!(message["changes"][1]["kind"], "resolved", "nothing stays open");
    assert!(
        message["changes"][0]["message"]
            .as_str()
            .is_some_and(|text| text.contains("this is a TEST of notifier hook"))
    );
    assert!(body("/slack")[0].contains("this is a TEST of notifier team"));
    let events = body("/pagerduty");
    assert!(
        events[0].contains("\"trigger\"")
            && events[0].contains("TEST")
            && events[1].contains("\"resolve\""),
        "{events:?}"
    );
    assert!(body("/switch/log")[0].contains("TEST"), "{requests:#?}");
    assert!(
        !requests.iter().any(|request| request.path == "/switch"),
        "a ping would hide a missing run"
    );
    assert!(sandbox.read("page.json").contains("this is a TEST of notifier page"));
    // No trace of an alert.
    for table in ["alert_state", "audit_log"] {
        assert_eq!(
            sandbox.database().number(&format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
    let health = sandbox.mdctl(&["health", "--json"]).json();
    assert!(
        health["issues"]
            .as_array()
            .is_some_and(|issues| issues.iter().all(|issue| issue["code"] != "alerts_unsent"))
    );
    assert!(!found.output.stdout.contains(SECRET) && !found.output.stderr.contains(SECRET));
    fs::remove_file(sandbox.path("hook.url")).expect("it goes");
    fs::remove_file(sandbox.path("hook.token")).expect("it goes");
    assert!(!sandbox.holds(SECRET));
}

#[test]
fn who_does_not_hear_is_told() {
    let receiver = Server::start(|_| Answer::status(404, ""));
    let (_server, sandbox) = all(&receiver);
    let found = examine_with(&sandbox, &["--send-test"]);
    found.output.expect_code(2);
    for name in ["hook", "team", "oncall", "cron"] {
        found
            .about("notifier", name)
            .says("critical", "it answered 404")
            .mended_by(&format!("[notify.{name}]"));
    }
    found.about("notifier", "page").says("ok", "it took the test message");
    drop(receiver);
    let found = examine_with(&sandbox, &["--send-test"]);
    found.about("notifier", "hook").says("critical", "cannot connect");
    assert!(!found.output.stdout.contains(SECRET));
}

#[test]
fn what_a_notifier_lacks_is_told_without_asking_it() {
    let (_server, sandbox) = with(
        r#"
[notify.hook]
kind = "webhook"
url = { env = "NO_SUCH_HOOK" }
[notify.oncall]
kind = "pagerduty"
token = { file = "pager.key" }
[notify.page]
kind = "command"
command = ["bin/page-me"]
[notify.plain]
kind = "webhook"
url = { file = "plain.url" }
"#,
    );
    sandbox.write("plain.url", "ftp://example.invalid/sekrit\n");
    let found = examine_with(&sandbox, &["--send-test"]);
    found.output.expect_code(2);
    found
        .about("notifier", "hook")
        .says("critical", "NO_SUCH_HOOK is not set")
        .mended_by("export NO_SUCH_HOOK");
    found.about("notifier", "oncall").says("critical", "pager.key").mended_by("install -m 600");
    found
        .about("notifier", "page")
        .says("critical", "no program bin/page-me")
        .mended_by("[notify.page]");
    found.about("notifier", "plain").says("critical", "is to be https");
    assert!(!found.output.stdout.contains("sekrit"), "{}", found.output);
}

#[test]
fn what_could_not_be_told_is_said_as_health_says_it() {
    let receiver = Server::start(|_| Answer::status(500, ""));
    let (_server, sandbox) =
        with(&format!("\n[notify.hook]\nkind = \"webhook\"\nurl = \"{}\"\n", receiver.url()));
    sandbox.mdctl(&["alerts", "--notify"]);
    let found = examine(&sandbox);
    agree(&found.about("notifier", "hook"), &issue(&sandbox, "alerts_unsent"));
}
