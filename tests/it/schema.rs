//! Every JSON document is what its own `--schema` says, and says nothing besides.

use serde_json::Value;

use crate::support::server::{Answer, Server};
use crate::support::{AS_OF, Sandbox, daily_sessions, faulty_stocks, market::Market};

/// The schema that a command prints.
#[track_caller]
fn schema_of(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    sandbox.mdctl(&[arguments, &["--schema"]].concat()).expect_code(0).json()
}

/// The same, but nothing is allowed that it does not name: users may find more one day, this version not.
fn strict(mut schema: Value) -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(object) => {
                if object.contains_key("properties") {
                    object.insert("additionalProperties".to_owned(), false.into());
                }
                object.values_mut().for_each(close);
            }
            Value::Array(list) => list.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}

/// Asserts that what a command prints is what its schema says.
#[track_caller]
fn check(sandbox: &Sandbox, arguments: &[&str], more: &[&str]) -> Value {
    let schema = strict(schema_of(sandbox, &[arguments, more].concat()));
    let title = schema["title"].as_str().expect("a title").to_owned();
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap_or_else(|error| panic!("the schema of {arguments:?} is none: {error}"));
    let output = sandbox.mdctl(&[arguments, &["--json"], more].concat());
    let document = output.json();
    let wrong: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{title}: {}{output:#}", wrong.join("\n"));
    assert_eq!(document["schema"], 1, "{output}");
    document
}

/// Every command that only looks.
const LOOKS: [&[&str]; 22] = [
    &["health"],
    &["staleness"],
    &["history"],
    &["history", "last"],
    &["status"],
    &["status", "AAA"],
    &["quality"],
    &["quality", "AAA"],
    &["slo"],
    &["metrics"],
    &["alerts"],
    &["gaps"],
    &["actions"],
    &["bars", "AAA"],
    &["features", "AAA"],
    &["breaker", "list"],
    &["symbols", "list"],
    &["db", "info"],
    &["db", "check"],
    &["doctor"],
    &["units", "print"],
    &["units", "print", "--cron"],
];

/// Three symbols, of which one is not there, one has a hole and rows that cannot be true, and all have a
/// split.
fn troubled() -> (Server, Sandbox) {
    let mut sessions = daily_sessions();
    sessions.remove(4);
    let market = Market::daily(&["AAA", "CCC"], &sessions);
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB", "CCC"], move |request| {
        if request.path.contains("/BBB/") {
            return Answer::status(404, r#"{"message":"Ticker not found."}"#);
        }
        market.polygon(request)
    });
    sandbox.backfill(&[]).expect_code(1);
    (server, sandbox)
}

#[test]
fn every_look_is_what_its_schema_says() {
    let (_server, sandbox) = troubled();
    for arguments in LOOKS {
        check(&sandbox, arguments, &["--as-of", AS_OF]);
        check(&sandbox, arguments, &[]);
    }
}

#[test]
fn what_an_import_prints_is_what_its_schema_says() {
    let (_server, sandbox) = troubled();
    sandbox.write("AAA_1d.csv", "ts,open,high,low,close\n2024-01-02,9,9,9,9\n2024-03-14,1,1,1,1\n");
    for more in [&["--dry-run"][..], &[]] {
        let document = check(&sandbox, &["import", "AAA_1d.csv", "BBB_1d.csv"], more);
        assert_eq!(document["imports"][0]["inserted"], 1, "{document}");
        assert_eq!(document["failures"][0]["error_kind"], "not_found", "{document}");
    }
}

#[test]
fn and_with_nothing_to_see() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(500, ""));
    check(&sandbox, &["health"], &[]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    for arguments in LOOKS.into_iter().filter(|arguments| *arguments != ["history", "last"]) {
        check(&sandbox, arguments, &[]);
    }
}

#[test]
fn and_in_a_pause_with_a_breaker_open() {
    let (_server, sandbox) = faulty_stocks(&["AAA", "BBB", "CCC", "DDD"], |_| Answer::Reset);
    sandbox.backfill(&[]).expect_code(2);
    check(&sandbox, &["pause"], &["--for", "1h", "--reason", "the disk"]);
    let health = check(&sandbox, &["health"], &[]);
    assert_eq!(health["breakers"][0]["state"], "open", "{health}");
    assert_eq!(health["paused"]["reason"], "the disk");
    for arguments in LOOKS {
        check(&sandbox, arguments, &[]);
    }
    check(&sandbox, &["breaker", "reset"], &[]);
    check(&sandbox, &["resume"], &[]);
}

#[test]
fn every_deed_is_what_its_schema_says() {
    let (_server, sandbox) = troubled();
    check(&sandbox, &["backfill"], &["--as-of", AS_OF]);
    check(&sandbox, &["enrich"], &["--as-of", AS_OF]);
    check(&sandbox, &["backfill", "--dry-run"], &["--full", "--as-of", AS_OF]);
    check(&sandbox, &["baseline"], &["--as-of", AS_OF]);
    check(&sandbox, &["db", "migrate"], &[]);
    let backup = check(&sandbox, &["db", "backup"], &["--keep", "3"]);
    let backup = backup["path"].as_str().expect("a path");
    check(&sandbox, &["db", "restore"], &[backup, "restored.db"]);
    check(&sandbox, &["db", "info"], &[]);
    sandbox.tamper("UPDATE series SET bar_count = bar_count + 1");
    check(&sandbox, &["db", "check"], &[]);
    let config = sandbox.read("mdctl.toml");
    let retention = "[database]\nretention = { bars = { \"1d\" = \"20d\" } }\n";
    sandbox.write("mdctl.toml", format!("{config}\n{retention}"));
    check(&sandbox, &["db", "prune"], &[]);
    check(&sandbox, &["report"], &["--as-of", AS_OF]);
    check(&sandbox, &["alerts", "snooze", "StaleSeries"], &["--for", "1h", "--reason", "x"]);
    check(&sandbox, &["alerts", "unsnooze", "StaleSeries"], &[]);
    check(&sandbox, &["symbols", "add", "DDD"], &[]);
    check(&sandbox, &["symbols", "remove", "DDD"], &[]);
    check(&sandbox, &["units", "install", "--user"], &[]);
    check(&Sandbox::new(), &["init"], &[]);
}

#[test]
fn a_schema_needs_neither_config_nor_database() {
    let sandbox = Sandbox::new();
    let schema = schema_of(&sandbox, &["health"]);
    assert_eq!(schema["properties"]["timestamp"]["format"], "date-time", "{schema}");
    let severities = &schema["$defs"]["Issue"]["properties"]["severity"]["enum"];
    assert_eq!(*severities, serde_json::json!(["warning", "critical"]), "{schema}");
}
