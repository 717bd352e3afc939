//! The alert rules and the dashboard that ship with the program rest on what it really writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::exposition::Exposition;
use super::tools::promtool;
use super::{told, watched};
use crate::support::Sandbox;

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything that may stand in a metrics file, as its own words name it.
fn written() -> BTreeSet<String> {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "a test"]).expect_code(0);
    let told: Exposition = told(&sandbox);
    let mut names: BTreeSet<String> = told.samples.into_iter().map(|sample| sample.name).collect();
    names.extend(told.kinds.into_keys());
    names
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter| !is_name(letter))
        .filter(|word| word.starts_with("mdctl_"))
        .map(str::to_owned)
        .collect()
}

/// The first words of the commands in backticks, `mdctl NAME`.
fn commands(text: &str) -> BTreeSet<String> {
    let parts = text.split("`mdctl ").skip(1);
    parts.filter_map(|rest| rest.split([' ', '`', '\n']).next().map(str::to_owned)).collect()
}

#[test]
fn the_rules_are_sound_and_fire_when_they_should() {
    promtool(&["check", "rules", "mdctl.rules.yml"], "");
    promtool(&["test", "rules", "mdctl.rules.test.yml"], "");
}

#[test]
fn every_rule_is_tested() {
    let (rules, tests) =
        (example("prometheus/mdctl.rules.yml"), example("prometheus/mdctl.rules.test.yml"));
    let alerts: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 15, "{alerts:?}");
    let fires = |alert: &&&str| tests.contains(&format!("alertname=\"{alert}\""));
    let untested: Vec<_> = alerts.iter().filter(|alert| !fires(alert)).collect();
    assert!(untested.is_empty(), "{untested:?}");
}

#[test]
fn rules_and_dashboard_name_what_is_written() {
    let written = written();
    for name in
        ["prometheus/mdctl.rules.yml", "prometheus/mdctl.rules.test.yml", "grafana/mdctl.json"]
    {
        let named = named(&example(name));
        assert!(named.len() > 15, "{name} names {named:?}");
        let unknown: Vec<_> = named.difference(&written).collect();
        assert!(unknown.is_empty(), "{name} names what nobody writes: {unknown:?}");
    }
    // And what is written is shown.
    let shown = named(&example("grafana/mdctl.json"));
    let bare = |name: &str| ["_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
    let told: Vec<&String> = written
        .iter()
        .filter(|name| !bare(name) && !shown.iter().any(|held| held.starts_with(*name)))
        .collect();
    let elsewhere = [
        "mdctl_judged_timestamp_seconds",
        "mdctl_last_run_info",
        "mdctl_paused_until_timestamp_seconds",
        "mdctl_run_in_progress",
        "mdctl_run_max_age_seconds",
        "mdctl_run_quota_wait_seconds",
    ];
    assert_eq!(told, elsewhere, "what is for alerts and for people who look");
}

#[test]
fn rules_and_dashboard_name_commands_that_are_there() {
    let help = Sandbox::new().mdctl(&["--help"]).stdout;
    for name in ["prometheus/mdctl.rules.yml", "prometheus/README.md", "grafana/mdctl.json"] {
        let named = commands(&example(name));
        assert!(!named.is_empty(), "{name} names none");
        for command in named {
            let line = format!("\n  {command} ");
            assert!(help.contains(&line), "{name} names `mdctl {command}`");
        }
    }
    // Every alert tells what to do.
    let rules = example("prometheus/mdctl.rules.yml");
    for alert in rules.split("- alert: ").skip(1) {
        assert!(!commands(alert).is_empty(), "no command in {alert}");
    }
}

#[test]
fn the_dashboard_is_whole_and_asks_the_datasource_of_the_users_choice() {
    let dashboard: Value = serde_json::from_str(&example("grafana/mdctl.json")).expect("JSON");
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let is_source = |variable: &&Value| {
        variable["type"] == "datasource"
            && variable["query"] == "prometheus"
            && variable["name"] == "datasource"
    };
    assert_eq!(variables.iter().filter(is_source).count(), 1);
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "an id stands there twice: {panel}");
        let place = &panel["gridPos"];
        let number = |name: &str| place[name].as_u64().expect("a place");
        assert!(number("x") + number("w") <= 24, "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
            let expression = target["expr"].as_str().expect("an expression");
            assert!(expression.contains("instance=~\"$instance\""), "{expression}");
        }
    }
    assert!(ids.len() > 20, "{} panels", ids.len());
}

/// Every expression of the dashboard is one that Prometheus understands.
#[test]
fn the_dashboards_expressions_are_sound() {
    let dashboard: Value = serde_json::from_str(&example("grafana/mdctl.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let rules: Vec<Value> = targets
        .enumerate()
        .map(|(index, target)| {
            let expression = target["expr"].as_str().expect("an expression");
            let expression = expression.replace("$instance", ".*").replace("$shard", ".*");
            serde_json::json!({"record": format!("panel:{index}"), "expr": expression})
        })
        .collect();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string();
    let folder = tempfile::tempdir().expect("a folder");
    // JSON is YAML.
    let path = folder.path().join("dashboard.yml");
    fs::write(&path, rules).expect("the file is written");
    promtool(&["check", "rules", path.to_str().expect("a path of text")], "");
}
