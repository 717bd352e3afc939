use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::alert::{Snooze, Told};

const NOW: i64 = 1_710_000_000;

fn rule(name: &str, field: &str, test: Test) -> Rule {
    Rule {
        name: name.to_owned(),
        field: field.to_owned(),
        test,
        hold: Duration::ZERO,
        severity: Some(Severity::Warning),
    }
}

fn documents() -> Documents {
    let health = json!({
        "status": "critical",
        "last_execution": {
            "run_id": "R1", "failed": 12, "symbols_total": 40, "failure_rate": 0.3, "error": null,
        },
        "recent_failures": [
            {"run_id": "R1", "symbol": "AAA", "timeframe": "1d"},
            {"run_id": "R1", "symbol": "AAA", "timeframe": "1h"},
            {"run_id": "R1", "symbol": "BBB", "timeframe": "1d"},
            {"run_id": "R0", "symbol": "CCC", "timeframe": "1d"},
        ],
        "breakers": [
            {"name": "one", "state": "open"},
            {"name": "two", "state": "closed"},
            {"name": "three", "state": "open"},
        ],
        "paused": null,
        "issues": [
            {"code": "series_stale", "severity": "warning", "subject": "AAA 1h", "count": 2,
             "message": "2 series are stale", "hint": "mdctl gaps AAA"},
            {"code": "series_stale", "severity": "critical", "subject": "AAA 1d", "count": 30,
             "message": "30 series are stale", "hint": "mdctl gaps"},
        ],
    });
    let metrics =
        json!({"fetch_pipeline": {"rate_limited_share": 7.25, "avg_response_time_ms": null}});
    let quality = json!({"series": [
        {"symbol": "AAA", "timeframe": "1d", "quality_score": 0.8},
        {"symbol": "BBB", "timeframe": "1d", "quality_score": 0.99},
        {"symbol": "CCC", "timeframe": "1h", "quality_score": null},
        {"symbol": "DDD", "timeframe": "1d", "quality_score": 0.123_456},
    ]});
    let slo = json!({"objectives": [
        {"name": "rpo", "met": true, "target": 60.0, "achieved": 10.0},
        {"name": "rto", "met": false, "target": 60.0, "achieved": 90.5},
    ]});
    Documents::new(health, metrics, quality, slo)
}

fn judged(rule: &Rule) -> Alert {
    one(rule, &documents(), &Memory::default(), NOW)
}

fn text(text: &str) -> Test {
    Test::EqualsText(text.to_owned())
}

#[test]
fn a_step_through_a_list_looks_at_each_element_the_worst_first() {
    let alert = judged(&rule("Low", "series.quality_score", Test::Below(0.85)));
    assert_eq!((alert.verdict, alert.count), (Verdict::Firing, 2));
    assert_eq!(alert.subjects, ["DDD 1d", "AAA 1d"]);
    assert_eq!(alert.value, json!(0.123_456));
    assert_eq!(alert.message, "series.quality_score below 0.85: DDD 1d with 0.1235, and 1 more");
    assert_eq!(alert.hint, "mdctl quality DDD");
}

#[test]
fn elements_count_as_many_as_they_say_and_lend_their_words_and_severity() {
    let alert =
        judged(&Rule { severity: None, ..rule("Stale", "issues.code", text("series_stale")) });
    assert_eq!((alert.verdict, alert.count), (Verdict::Firing, 32));
    assert_eq!(alert.severity, Some(Severity::Critical));
    assert_eq!(alert.subjects, ["AAA 1d", "AAA 1h"]);
    assert_eq!(alert.message, "30 series are stale; 1 more");
    assert_eq!(alert.hint, "mdctl gaps");
    let other = judged(&rule("Overdue", "issues.code", text("run_overdue")));
    assert_eq!((other.verdict, other.count, other.since), (Verdict::Quiet, 0, None));
}

#[test]
fn elements_without_a_subject_are_known_by_name() {
    let alert = judged(&rule("Open", "breakers.state", text("open")));
    assert_eq!(alert.subjects, ["one", "three"]);
    assert_eq!(alert.message, "breakers.state equals open: one, and 1 more");
    assert_eq!(alert.hint, "mdctl breaker list");
}

#[test]
fn what_failed_in_the_last_run_is_named() {
    let alert = judged(&rule("Failed", "last_run.failed", Test::Above(5.0)));
    assert_eq!((alert.count, &alert.value), (12, &json!(12)));
    assert_eq!(alert.subjects, ["AAA", "BBB"]);
    assert_eq!(alert.message, "last_run.failed is 12, above 5: AAA, BBB, and 10 more");
    assert_eq!(alert.hint, "mdctl history R1");
    let rate = judged(&rule("Rate", "last_run.failure_rate", Test::Above(0.1)));
    assert_eq!((rate.verdict, rate.count, rate.value), (Verdict::Firing, 12, json!(0.3)));
}

#[test]
fn a_bound_itself_is_neither_above_nor_below() {
    for test in [Test::Above(12.0), Test::Below(12.0)] {
        assert_eq!(judged(&rule("X", "last_run.failed", test)).verdict, Verdict::Quiet);
    }
    let equal = Test::EqualsNumber(12.0);
    assert_eq!(judged(&rule("X", "last_run.failed", equal)).verdict, Verdict::Firing);
}

#[test]
fn a_word_before_a_field_names_its_document() {
    for field in ["health.last_run.failed", "last_execution.failed", "health.last_execution.failed"]
    {
        assert_eq!(judged(&rule("X", field, Test::Above(5.0))).count, 12, "{field}");
    }
    let rate = |field| judged(&rule("X", field, Test::Above(5.0))).value;
    assert_eq!(rate("metrics.fetch_pipeline.rate_limited_share"), json!(7.25));
    assert_eq!(rate("fetch_pipeline.rate_limited_share"), json!(7.25));
    let status = judged(&rule("X", "status", text("critical")));
    assert_eq!(
        (status.verdict, status.message.as_str()),
        (Verdict::Firing, "status equals critical")
    );
}

#[test]
fn what_is_not_known_yet_is_quiet() {
    for field in ["paused.until", "fetch_pipeline.avg_response_time_ms", "last_run.error"] {
        assert_eq!(judged(&rule("X", field, Test::Above(0.0))).verdict, Verdict::Quiet, "{field}");
    }
    let empty = Documents::new(json!({"issues": []}), json!({}), json!({}), json!({}));
    let alert = one(&rule("X", "issues.cod", text("y")), &empty, &Memory::default(), NOW);
    assert_eq!(alert.verdict, Verdict::Quiet);
}

#[test]
fn a_missed_objective_is_told_with_its_figures() {
    let alert = judged(&rule("Missed", "objectives.met", Test::EqualsTruth(false)));
    assert_eq!(alert.subjects, ["rto"]);
    assert_eq!(alert.message, "objectives.met equals false: rto with 90.5, promised 60");
}

#[test]
fn a_figure_that_counts_is_how_many_it_is_about() {
    let missing = |count: u64| {
        let health = json!({"freshness": {"missing": count, "lag_seconds": count}});
        let documents = Documents::new(health, json!({}), json!({}), json!({}));
        let judge = |field| {
            let rule = rule("X", field, Test::Above(0.0));
            one(&rule, &documents, &Memory::default(), NOW).count
        };
        (judge("freshness.missing"), judge("freshness.lag_seconds"))
    };
    assert_eq!((missing(1), missing(100)), ((1, 1), (100, 1)));
}

#[test]
fn a_field_that_is_none_is_said_and_never_quiet() {
    let cases = [
        ("last_run.faild", "no `faild` at `last_run.faild`; did you mean `failed`?"),
        ("last_runs.failed", "no document has a field `last_runs`; did you mean `last_run`?"),
        ("series.score", "the quality document has no `score`"),
        ("metrics.nothing", "the metrics document has no `nothing`"),
        ("issues", "`issues` is a group of fields"),
        ("status.word", "`status` is a value, and has no field `word`"),
        ("status", "`status` is \"critical\", which is never above 5"),
    ];
    for (field, words) in cases {
        let alert = judged(&rule("X", field, Test::Above(5.0)));
        assert_eq!(alert.verdict, Verdict::Unknown, "{field}");
        assert!(alert.message.contains(words), "{field}: {}", alert.message);
        assert!(alert.hint.contains("--json"), "{field}: {}", alert.hint);
    }
}

#[test]
fn a_test_that_has_not_held_for_long_enough_is_pending() {
    let slow = Rule {
        hold: Duration::from_secs(600),
        ..rule("Failed", "last_run.failed", Test::Above(5.0))
    };
    let after = |seconds: i64| {
        let held = [("Failed".to_owned(), NOW - seconds)].into();
        one(&slow, &documents(), &Memory { held, ..Memory::default() }, NOW)
    };
    assert_eq!(judged(&slow).verdict, Verdict::Pending);
    assert_eq!(after(599).verdict, Verdict::Pending);
    assert_eq!((after(600).verdict, after(600).since), (Verdict::Firing, Some(NOW - 600)));
}

fn snoozed_until(until: i64) -> Memory {
    let snooze = Snooze {
        rule: "Failed".to_owned(),
        since: NOW - 1_000,
        until,
        reason: "x".to_owned(),
        who: "y".to_owned(),
    };
    Memory { snoozes: [("Failed".to_owned(), snooze)].into(), ..Memory::default() }
}

#[test]
fn the_worst_that_fires_and_is_not_snoozed_is_the_verdict() {
    let failed = rule("Failed", "last_run.failed", Test::Above(5.0));
    let critical =
        Rule { severity: Some(Severity::Critical), ..rule("Open", "breakers.state", text("open")) };
    let typo = rule("Typo", "last_run.faild", Test::Above(5.0));
    let quiet = rule("Quiet", "last_run.failed", Test::Above(50.0));
    let status = |rules: &[&Rule], memory: &Memory| {
        let rules: Vec<Rule> = rules.iter().map(|rule| (*rule).clone()).collect();
        let report = judge(&rules, &documents(), memory, NOW);
        (report.status(), report.summary())
    };
    let nothing = Memory::default();
    assert_eq!(status(&[&quiet], &nothing), (Status::Healthy, "OK - none of 1 rules fires".into()));
    let (worst, line) = status(&[&typo, &failed, &critical], &nothing);
    assert_eq!((worst, &line[..16]), (Status::Critical, "CRITICAL - Open:"));
    assert!(line.ends_with("; 1 more"), "{line}");
    assert_eq!(status(&[&typo, &failed], &nothing).0, Status::Degraded);
    let (worst, line) = status(&[&typo, &quiet], &nothing);
    assert!(worst == Status::Unknown && line.starts_with("UNKNOWN - Typo: "), "{line}");
    let (worst, line) = status(&[&failed, &quiet], &snoozed_until(NOW + 1));
    assert!(worst == Status::Healthy && line.ends_with("(1 snoozed)"), "{line}");
    assert_eq!(status(&[&failed], &snoozed_until(NOW)).0, Status::Degraded);
}

// What is news.

use crate::config::{Notifier, NotifierKind};

fn notifier() -> Notifier {
    Notifier {
        kind: NotifierKind::Command { command: vec!["true".to_owned()] },
        min_severity: Severity::Warning,
        send_resolved: true,
        repeat: None,
    }
}

fn firing(count: u64, severity: Severity) -> Report {
    let alert = judged(&rule("Failed", "last_run.failed", Test::Above(5.0)));
    Report { alerts: vec![Alert { count, severity: Some(severity), ..alert }] }
}

fn told(severity: Severity, count: u64, at: i64) -> Memory {
    let told = Told { severity, count, since: NOW - 7_200, at };
    Memory {
        told: [("n".to_owned(), [("Failed".to_owned(), told)].into())].into(),
        ..Memory::default()
    }
}

fn kinds(notifier: &Notifier, report: &Report, memory: &Memory) -> Vec<Kind> {
    changes("n", notifier, report, memory, NOW).tell.iter().map(|change| change.kind).collect()
}

use Severity::{Critical, Warning};

#[test]
fn it_is_worse_when_its_severity_rises_or_its_count_doubles() {
    let after = |report: &Report, memory: &Memory| kinds(&notifier(), report, memory);
    assert_eq!(after(&firing(6, Warning), &Memory::default()), [Kind::Started]);
    assert_eq!(after(&firing(6, Warning), &told(Warning, 6, NOW)), []);
    assert_eq!(after(&firing(11, Warning), &told(Warning, 6, NOW)), []);
    assert_eq!(after(&firing(12, Warning), &told(Warning, 6, NOW)), [Kind::Worsened]);
    assert_eq!(after(&firing(6, Critical), &told(Warning, 6, NOW)), [Kind::Worsened]);
    assert_eq!(after(&firing(1, Warning), &told(Warning, 0, NOW)), []);
    // What has become milder is no news, but its rise will be.
    let milder = changes("n", &notifier(), &firing(6, Warning), &told(Critical, 6, NOW), NOW);
    assert!(milder.tell.is_empty());
    assert_eq!(milder.milder[0].1.severity, Warning);
}

#[test]
fn who_hears_of_what_is_critical_hears_when_it_becomes_so_and_when_it_is_no_more() {
    let picky = Notifier { min_severity: Critical, ..notifier() };
    assert_eq!(kinds(&picky, &firing(6, Warning), &Memory::default()), []);
    assert_eq!(kinds(&picky, &firing(6, Critical), &Memory::default()), [Kind::Started]);
    assert_eq!(kinds(&picky, &firing(6, Warning), &told(Critical, 6, NOW)), [Kind::Resolved]);
}

#[test]
fn it_is_repeated_once_its_time_has_come() {
    let insistent = Notifier { repeat: Some(Duration::from_secs(60)), ..notifier() };
    let report = firing(6, Warning);
    assert_eq!(kinds(&insistent, &report, &told(Warning, 6, NOW - 59)), []);
    assert_eq!(kinds(&insistent, &report, &told(Warning, 6, NOW - 60)), [Kind::Repeated]);
}

#[test]
fn the_end_is_told_to_whom_the_beginning_was() {
    let quiet =
        Report { alerts: vec![judged(&rule("Failed", "last_run.failed", Test::Above(99.0)))] };
    assert_eq!(kinds(&notifier(), &quiet, &Memory::default()), []);
    let over = changes("n", &notifier(), &quiet, &told(Warning, 6, NOW), NOW);
    assert_eq!(over.tell[0].kind, Kind::Resolved);
    assert_eq!(over.tell[0].message, "it is over, after 2h");
    let silent = Notifier { send_resolved: false, ..notifier() };
    let over = changes("n", &silent, &quiet, &told(Warning, 6, NOW), NOW);
    assert_eq!((over.tell.len(), &over.forget[..]), (0, &["Failed".to_owned()][..]));
    let gone = Report { alerts: Vec::new() };
    let over = changes("n", &notifier(), &gone, &told(Warning, 6, NOW), NOW);
    assert_eq!(over.tell[0].message, "it is watched no more, after 2h");
}

#[test]
fn what_cannot_be_judged_is_neither_over_nor_news() {
    let unknown =
        Report { alerts: vec![judged(&rule("Failed", "last_run.faild", Test::Above(5.0)))] };
    assert_eq!(kinds(&notifier(), &unknown, &told(Warning, 6, NOW)), []);
}

#[test]
fn a_snooze_keeps_all_but_the_end_and_then_it_is_told_again() {
    let snoozed = |until: i64, known: &Memory| Memory {
        snoozes: snoozed_until(until).snoozes,
        ..known.clone()
    };
    let fires = |memory: &Memory| {
        let rules = [rule("Failed", "last_run.failed", Test::Above(5.0))];
        kinds(&notifier(), &judge(&rules, &documents(), memory, NOW), memory)
    };
    let over = |memory: &Memory| {
        let rules = [rule("Failed", "last_run.failed", Test::Above(99.0))];
        kinds(&notifier(), &judge(&rules, &documents(), memory, NOW), memory)
    };
    let before = told(Warning, 12, NOW - 500);
    assert_eq!(fires(&snoozed(NOW + 1, &Memory::default())), []);
    assert_eq!(fires(&snoozed(NOW + 1, &before)), []);
    assert_eq!(fires(&snoozed(NOW, &Memory::default())), [Kind::Started]);
    assert_eq!(fires(&snoozed(NOW, &before)), [Kind::Repeated]);
    assert_eq!(fires(&snoozed(NOW - 10, &told(Warning, 12, NOW - 10))), []);
    assert_eq!(over(&snoozed(NOW + 1, &before)), [Kind::Resolved]);
}
