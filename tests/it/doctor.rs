//! `doctor`: every check in a good and a bad case, what it asks and what it leaves alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, KEY, Output, Sandbox, daily_stocks, faulty_stocks, group, polygon,
};

mod files;
mod newcomer;
mod notifiers;
mod providers;
mod room;
mod system;
mod timers;

/// What an examination found; its code is the one that the document names.
#[track_caller]
fn examine(sandbox: &Sandbox) -> Found {
    examine_with(sandbox, &[])
}

#[track_caller]
fn examine_with(sandbox: &Sandbox, more: &[&str]) -> Found {
    let output = sandbox.mdctl(&[&["doctor", "--json"], more].concat());
    let document = output.json();
    assert_eq!(document["exit_code"], output.code.unwrap_or(-1), "{output}");
    Found { document, output }
}

/// What was found.
struct Found {
    document: Value,
    output: Output,
}

impl Found {
    /// The one finding of a check.
    #[track_caller]
    fn check(&self, code: &str) -> Finding {
        let mut found = self.all(code);
        assert_eq!(found.len(), 1, "{code}: {}", self.output);
        found.remove(0)
    }

    /// The finding of a check about one thing.
    #[track_caller]
    fn about(&self, code: &str, subject: &str) -> Finding {
        let found = self.all(code).into_iter().find(|finding| finding.subject == subject);
        found.unwrap_or_else(|| panic!("nothing of {code} {subject}: {}", self.output))
    }

    fn all(&self, code: &str) -> Vec<Finding> {
        let findings = self.document["findings"].as_array().expect("findings");
        let own = findings.iter().filter(|finding| finding["code"] == code);
        own.map(Finding::of).collect()
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    subject: String,
    state: String,
    message: String,
    remedy: String,
}

impl Finding {
    fn of(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self {
            subject: text("subject"),
            state: text("state"),
            message: text("message"),
            remedy: text("remedy"),
        }
    }

    /// Asserts how it stands, and words of its message.
    #[track_caller]
    fn says(&self, state: &str, words: &str) -> &Self {
        assert!(
            self.state == state && self.message.contains(words),
            "not {state} {words:?}: {self:#?}"
        );
        if matches!(state, "warning" | "critical") {
            assert!(!self.remedy.is_empty(), "no remedy: {self:#?}");
        }
        self
    }

    /// Asserts words of its remedy.
    #[track_caller]
    fn mended_by(&self, words: &str) -> &Self {
        assert!(self.remedy.contains(words), "not {words:?}: {self:#?}");
        self
    }
}

/// What `health` says of something.
#[track_caller]
fn issue(sandbox: &Sandbox, code: &str) -> Value {
    let health = sandbox.mdctl(&["health", "--json"]).json();
    let issues = health["issues"].as_array().expect("issues").clone();
    let found = issues.into_iter().find(|issue| issue["code"] == code);
    found.unwrap_or_else(|| panic!("health has no {code}: {health:#}"))
}

/// Asserts that a finding is what `health` says.
#[track_caller]
fn agree(finding: &Finding, issue: &Value) {
    assert_eq!(finding.state, issue["severity"].as_str().unwrap_or_default(), "{finding:#?}");
    assert_eq!(finding.message, issue["message"].as_str().unwrap_or_default());
    assert_eq!(finding.remedy, issue["hint"].as_str().unwrap_or_default());
}

/// A sandbox with a database, at a server that answers so.
fn at(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (Server, Sandbox) {
    let (server, sandbox) = faulty_stocks(&["AAA"], move |_| answer());
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    (server, sandbox)
}

#[test]
fn a_sound_setup_is_sound_and_each_check_says_so() {
    let (server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    let found = examine(&sandbox);
    found.output.expect_code(0);
    for (code, words) in [
        ("config", "2 symbols in 1 group, 1 provider"),
        ("config_access", "nobody else can write it"),
        ("secrets", "no file holds one"),
        ("folder", "can be written"),
        ("database_access", "rw-------"),
        ("database", "integrity_check finds nothing wrong"),
        ("schema", "is this mdctl's"),
        ("disk", "are free"),
        ("lock", "nobody holds it"),
        ("pause", "none is on"),
        ("key", "where it is looked for"),
        ("provider", "bar"),
        ("last_run", "succeeded"),
    ] {
        found.check(code).says("ok", words);
    }
    found.check("clock").says("skipped", "no provider's answer tells the time");
    found.check("notifier").says("skipped", "nobody is told");
    assert_eq!(found.document["status"], "ok");
    let requests = server.take_requests();
    assert_eq!(requests.len(), 1, "one request a provider: {requests:#?}");
    assert_eq!(requests[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
    let text = sandbox.mdctl(&["doctor"]);
    let last = text.expect_code(0).stdout.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("OK - "), "the last line is the verdict{text}");
    assert!(text.stdout.lines().any(|line| line.starts_with("ok        provider p: ")), "{text}");
    assert_eq!(text.stderr, "");
}

#[test]
fn a_config_that_cannot_be_followed_is_a_finding_with_its_place() {
    let sandbox = Sandbox::with("[run]\nstager = \"1s\"\n");
    let found = examine(&sandbox);
    found.output.expect_code(78);
    found
        .check("config")
        .says("critical", "mdctl.toml: line 2, column 1: unknown key `stager`")
        .mended_by("`stagger`");
    found.check("config_access").says("ok", "nobody else can write it");
    found.check("provider").says("skipped", "the config comes first");
    let text = sandbox.mdctl(&["doctor"]);
    text.expect_code(78)
        .expect_stdout("line 2, column 1")
        .expect_stdout("do: did you mean `stagger`?");
    text.expect_stdout("CRITICAL - 1 critical");
    assert_eq!(text.stderr, "", "it is a finding, and no error besides");
    // The same words as those of every other command.
    let other = sandbox.mdctl(&["health", "--json"]).expect_code(78).json();
    assert_eq!(other["error"]["message"], found.check("config").message);
    let none = Sandbox::new();
    let found = examine(&none);
    found.output.expect_code(78);
    found.check("config").says("critical", "there is no config file").mended_by("mdctl init");
}

#[test]
fn a_config_without_symbols_wants_some() {
    let sandbox = Sandbox::with("[run]\nstagger = \"1s\"\n");
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let found = examine(&sandbox);
    found.output.expect_code(1);
    found.check("config").says("warning", "tracks no symbol");
}

#[test]
fn a_database_that_is_not_there_is_not_made_and_nothing_is_asked_without_its_ledger() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let found = examine(&sandbox);
    found.output.expect_code(1);
    found.check("database").says("warning", "there is none yet").mended_by("mdctl db migrate");
    found.check("provider").says("skipped", "mdctl db migrate");
    assert!(found.all("schema").is_empty() && found.all("database_access").is_empty());
    assert!(!sandbox.path("mdctl.db").exists() && !sandbox.path("mdctl.db.lock").exists());
    assert!(server.requests().is_empty());
}

#[test]
fn a_database_of_another_version_is_told() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper("PRAGMA user_version = 99");
    server.take_requests();
    let found = examine(&sandbox);
    found.output.expect_code(2);
    found.check("database").says("critical", "schema version 99").mended_by("newer mdctl");
    found.check("provider").says("skipped", "cannot be read");
    found.check("last_run").says("skipped", "cannot be read");
    sandbox.tamper("PRAGMA user_version = 4");
    sandbox.go_back_to_schema_1();
    let found = examine(&sandbox);
    found.output.expect_code(1);
    found.check("schema").says("warning", "schema version 1").mended_by("mdctl db migrate");
    found.check("provider").says("skipped", "older schema");
    found.check("last_run").says("ok", "succeeded");
    assert!(server.requests().is_empty(), "nothing is sent that cannot be written down");
    assert_eq!(sandbox.database().number("PRAGMA user_version"), 1, "who looks does not migrate");
}

#[test]
fn a_damaged_database_is_told() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    let path = sandbox.path("mdctl.db");
    let sound = fs::read(&path).expect("the database");
    let mut torn = sound.clone();
    // A page of a table in the middle.
    let root = sandbox.database().number("SELECT rootpage FROM sqlite_schema WHERE name = 'bars'");
    let page = usize::try_from(root).expect("a page");
    torn[(page - 1) * 4096..page * 4096].fill(0xa5);
    fs::write(&path, &torn).expect("it is torn");
    let found = examine(&sandbox);
    found.output.expect_code(2);
    found.check("database").says("critical", "damaged").mended_by("mdctl db check");
    fs::write(&path, "no database at all, and long enough to be looked at").expect("it is written");
    let found = examine(&sandbox);
    found.output.expect_code(2);
    found.check("database").says("critical", "not an SQLite database");
    assert!(server.requests().is_empty());
}

#[test]
fn who_holds_the_lock_is_told_and_nothing_is_asked_meanwhile() {
    let (server, sandbox) = at(|| Answer::Hang);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    let found = examine(&sandbox);
    let health = sandbox.mdctl(&["health", "--json"]).json();
    let run = health["running"]["run_id"].as_str().expect("a run").to_owned();
    found.check("lock").says("ok", &format!("run {run} backfill since "));
    found.check("provider").says("skipped", "another process is at work");
    found.check("last_run").says("skipped", &format!("run {run} is the first, and at work"));
    assert_eq!(server.requests().len(), 1, "the run's own");
    running.kill();
    let found = examine(&sandbox);
    found.check("lock").says("ok", "nobody holds it");
    agree(&found.check("last_run"), &issue(&sandbox, "last_run_failed"));
}

#[test]
fn what_health_says_too_is_said_in_its_words() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "the disk"]).expect_code(0);
    server.take_requests();
    let found = examine(&sandbox);
    found.output.expect_code(1);
    agree(&found.check("pause"), &issue(&sandbox, "paused"));
    found.check("provider").says("skipped", "runs are paused until");
    assert!(server.requests().is_empty(), "a pause is not gone round");
    sandbox.mdctl(&["resume"]).expect_code(0);
    // Long ago.
    sandbox.tamper(
        "UPDATE runs SET started_at = started_at - 864000, completed_at = completed_at - 864000",
    );
    let found = examine(&sandbox);
    found.output.expect_code(2);
    agree(&found.check("last_run"), &issue(&sandbox, "run_overdue"));
    server.answer_with(|_| Answer::status(404, r#"{"message":"Ticker not found."}"#));
    sandbox.mdctl(&["backfill", "--full", "--as-of", AS_OF]).expect_code(2);
    agree(&examine(&sandbox).check("last_run"), &issue(&sandbox, "last_run_failed"));
}

#[test]
fn the_plan_is_held_against_the_disk() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let bars = |found: &Found| {
        let message = found.check("disk").message;
        message.split("plans ").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned)
    };
    let found = examine_with(&sandbox, &["--as-of", AS_OF]);
    assert_eq!(bars(&found).as_deref(), Some("21"), "{}", found.output);
    found.check("disk").says("ok", "an estimate, for want of bars");
    sandbox.backfill(&[]).expect_code(0);
    let found = examine_with(&sandbox, &["--as-of", AS_OF]);
    assert_eq!(bars(&found).as_deref(), Some("0"), "{}", found.output);
    found.check("disk").says("ok", "as the stored ones take");
}
