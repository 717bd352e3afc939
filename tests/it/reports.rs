//! Reports: what machines read of them, what they exit with, and what people are told.

use std::process::Stdio;

use serde_json::Value;

use crate::support::market::{Market, day, hours, rows, sessions};
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, Sandbox, binance, daily_sessions, daily_stocks, faulty_stocks, fields, group,
    polygon,
};

const RUN: [&str; 22] = [
    "command",
    "completed_at",
    "deferred",
    "duration_seconds",
    "error",
    "exit_code",
    "failed",
    "failure_rate",
    "quota_wait_seconds",
    "rate_limited",
    "requests",
    "retried",
    "run_id",
    "skipped",
    "started_at",
    "status",
    "successful",
    "symbols_total",
    "total_records_inserted",
    "total_records_updated",
    "trigger",
    "working_seconds",
];

const FAILURE: [&str; 8] =
    ["at", "attempts", "error_kind", "message", "run_id", "stage", "symbol", "timeframe"];

/// Three symbols after a run in which the middle one was not found.
fn partly_failed() -> (Server, Sandbox) {
    let market = Market::daily(&["AAA", "CCC"], &daily_sessions());
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
fn a_run_ends_with_the_jobs_that_did_or_lacked_something_the_failed_ones_first() {
    let names: Vec<String> = (10..56).map(|number| format!("S{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let market = Market::daily(&names, &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&names, move |request| {
        if request.path.contains("/S55/") {
            return Answer::status(404, r#"{"message":"Ticker not found."}"#);
        }
        market.polygon(request)
    });
    let config =
        sandbox.read("mdctl.toml").replace("[providers.p]", "[providers.p]\ngrouped = false");
    sandbox.write("mdctl.toml", config);
    let one = sandbox.backfill(&["S10"]);
    one.expect_code(0).expect_stdout("S10");
    assert!(!one.stdout.contains("more"), "{one}");
    let run = sandbox.backfill(&[]);
    run.expect_code(1).expect_stdout("and 5 more").expect_stdout("what failed, and why");
    let told: Vec<&str> = names.iter().copied().filter(|name| run.stdout.contains(name)).collect();
    let is_behind = run.stdout.find("  S5").map(|at| run.stdout[..at].contains("S11"));
    // S10 was there already: nothing came of it, and nothing is lacking.
    assert_eq!((told.len(), is_behind), (40, Some(false)), "{run}");
    assert_eq!((told[0], told[38]), ("S11", "S49"));
}

/// A report's JSON as of the usual instant.
#[track_caller]
fn document(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let output = sandbox.mdctl(&[arguments, &["--json", "--as-of", AS_OF]].concat());
    let json = output.json();
    assert_eq!(json["schema"], 1, "{json}");
    assert!(json["timestamp"].as_str().is_some_and(is_rfc3339), "{json}");
    json
}

/// `2024-03-15T20:20:00Z`.
fn is_rfc3339(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

/// The objects of a list.
#[track_caller]
fn list<'a>(json: &'a Value, name: &str) -> &'a [Value] {
    json[name].as_array().unwrap_or_else(|| panic!("no list `{name}` in {json}"))
}

fn codes(health: &Value) -> Vec<&str> {
    let mut codes: Vec<&str> =
        list(health, "issues").iter().filter_map(|issue| issue["code"].as_str()).collect();
    codes.sort_unstable();
    codes
}

// Fields.

#[test]
fn staleness_has_its_fields() {
    let (_server, sandbox) = partly_failed();
    let json = document(&sandbox, &["staleness"]);
    assert_eq!(fields(&json), ["counts", "schema", "series", "timestamp"]);
    assert_eq!(
        json["counts"],
        serde_json::json!({"fresh": 2, "aging": 0, "stale": 0, "missing": 1})
    );
    let expected = [
        "bars_status",
        "data_age_seconds",
        "due_at",
        "features_status",
        "lag_seconds",
        "last_bar_at",
        "last_computed_at",
        "status",
        "symbol",
        "timeframe",
    ];
    for series in list(&json, "series") {
        assert_eq!(fields(series), expected);
    }
    let worst = &list(&json, "series")[0];
    assert_eq!((&worst["symbol"], &worst["status"]), (&"BBB".into(), &"missing".into()));
    let best = &list(&json, "series")[1];
    assert_eq!(best["last_bar_at"], "2024-03-15T00:00:00Z");
    assert_eq!(best["lag_seconds"], 0);
    assert_eq!(best["due_at"], "2024-03-18T20:20:00Z");
}

#[test]
fn health_has_its_fields() {
    let (_server, sandbox) = partly_failed();
    let json = document(&sandbox, &["health"]);
    let expected = [
        "breakers",
        "config",
        "freshness",
        "issues",
        "last_execution",
        "last_success_at",
        "monitored_series",
        "monitored_symbols",
        "next_run_at",
        "paused",
        "recent_failures",
        "running",
        "schema",
        "stale_features_count",
        "status",
        "summary",
        "timestamp",
    ];
    assert_eq!(fields(&json), expected);
    assert_eq!(fields(&json["freshness"]), ["aging", "fresh", "missing", "stale"]);
    assert_eq!(fields(&json["last_execution"]), RUN);
    assert_eq!(fields(&list(&json, "recent_failures")[0]), FAILURE);
    for issue in list(&json, "issues") {
        assert_eq!(
            fields(issue),
            ["code", "count", "hint", "message", "severity", "since", "subject"]
        );
        assert!(issue["hint"].as_str().is_some_and(|hint| hint.contains("mdctl")), "{issue}");
    }
    let config = [
        "aging_seconds",
        "fresh_seconds",
        "job_retries",
        "max_failure_rate",
        "max_run_age_seconds",
        "parallel",
        "stale_seconds",
    ];
    assert_eq!(fields(&json["config"]), config);
    assert_eq!((&json["monitored_symbols"], &json["monitored_series"]), (&3.into(), &3.into()));
    assert_eq!(json["running"], Value::Null);
    assert_eq!(json["last_success_at"], Value::Null);
}

#[test]
fn history_has_its_fields() {
    let (_server, sandbox) = partly_failed();
    let json = document(&sandbox, &["history"]);
    assert_eq!(fields(&json), ["count", "runs", "schema", "timestamp"]);
    assert_eq!(json["count"], 1);
    assert_eq!(fields(&list(&json, "runs")[0]), RUN);
}

#[test]
fn a_run_of_history_has_its_fields() {
    let (_server, sandbox) = partly_failed();
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    for name in ["last", &run_id, &run_id[..12]] {
        let json = document(&sandbox, &["history", name]);
        let expected =
            ["deferred", "failures", "imports", "jobs", "requests", "run", "schema", "timestamp"];
        assert_eq!(fields(&json), expected);
        assert_eq!(fields(&json["run"]), RUN);
        assert_eq!(json["run"]["run_id"], run_id.as_str());
        assert_eq!(list(&json, "failures").len(), 1);
        assert_eq!(fields(&list(&json, "failures")[0]), FAILURE);
        assert_eq!(list(&json, "jobs").len(), 3);
        assert_eq!(list(&json, "jobs")[0]["symbol"], "BBB", "failed ones first");
        assert_eq!(json["requests"], serde_json::json!({"ok": 2, "not_found": 1}));
    }
}

#[test]
fn status_has_its_fields() {
    let (_server, sandbox) = partly_failed();
    let json = document(&sandbox, &["status"]);
    let expected = ["job_queue", "last_job", "metrics", "scheduler", "schema", "timestamp"];
    assert_eq!(fields(&json), expected);
    assert_eq!(fields(&json["scheduler"]), ["last_run_at", "next_run_at", "paused", "running"]);
    let last =
        ["completed_at", "duration_seconds", "failed", "retried", "started_at", "successful"];
    assert_eq!(fields(&json["last_job"]), last);
    let metrics = &json["metrics"];
    assert_eq!(
        fields(metrics),
        [
            "compute_pipeline",
            "data_quality",
            "fetch_pipeline",
            "quotas",
            "timestamp",
            "window_seconds"
        ]
    );
    let fetch = [
        "api_quota_remaining",
        "avg_response_time_ms",
        "bytes",
        "p50_response_time_ms",
        "p95_response_time_ms",
        "p99_response_time_ms",
        "rate_limited",
        "rate_limited_share",
        "retries",
        "success_rate",
        "successful",
        "total_fetches",
    ];
    assert_eq!(fields(&metrics["fetch_pipeline"]), fetch);
    let compute = ["avg_computation_time_ms", "success_rate", "successful", "total_computations"];
    assert_eq!(fields(&metrics["compute_pipeline"]), compute);
    let quality =
        ["avg_completeness", "avg_quality_score", "avg_validation_rate", "symbols_tracked"];
    assert_eq!(fields(&metrics["data_quality"]), quality);
    let share = metrics["fetch_pipeline"]["success_rate"].as_f64().expect("a rate");
    assert!((share - 200.0 / 3.0).abs() < 0.1, "a percentage: {share}");
    assert_eq!(list(&json, "job_queue").len(), 3);
    for job in list(&json, "job_queue") {
        assert_eq!(fields(job), ["retry_count", "status", "symbol"]);
    }
}

#[test]
fn a_symbols_status_has_its_fields() {
    let (_server, sandbox) = partly_failed();
    let json = document(&sandbox, &["status", "BBB"]);
    let expected = [
        "asset_class",
        "completed_at",
        "last_enrichment_time",
        "last_error",
        "reference",
        "retry_count",
        "schema",
        "series",
        "started_at",
        "status",
        "symbol",
        "timestamp",
    ];
    assert_eq!(fields(&json), expected);
    assert_eq!(json["status"], "failed");
    assert!(
        json["last_error"].as_str().is_some_and(|words| words.contains("Ticker not found")),
        "{json}"
    );
    let series = [
        "bars",
        "data_age_seconds",
        "first_bar_at",
        "freshness",
        "last_bar_at",
        "quality_score",
        "timeframe",
        "validation_rate",
    ];
    let good = document(&sandbox, &["status", "AAA"]);
    let row = &list(&good, "series")[0];
    assert_eq!(fields(row), series);
    assert_eq!((&row["bars"], &row["validation_rate"]), (&21.into(), &1.0.into()));
    assert_eq!(row["first_bar_at"], "2024-02-15T00:00:00Z");
}

#[test]
fn gaps_lists_every_gap_with_its_reason() {
    let (_server, sandbox) = partly_failed();
    let json = document(&sandbox, &["gaps"]);
    let gaps = list(&json, "gaps");
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0]["symbol"], "BBB");
    assert_eq!(gaps[0]["reason"], "failed");
    assert_eq!(gaps[0]["missing"], 21);
    assert_eq!(gaps[0]["from"], "2024-02-15T00:00:00Z");
    assert_eq!(list(&document(&sandbox, &["gaps", "AAA"]), "gaps").len(), 0);
    sandbox.mdctl(&["gaps", "--as-of", AS_OF]).expect_code(0).expect_stdout("BBB");
}

#[test]
fn gaps_knows_what_no_run_has_asked_for() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&["--to", "2024-03-08"]).expect_code(0);
    let json = document(&sandbox, &["gaps"]);
    let gap = &list(&json, "gaps")[0];
    assert_eq!((&gap["reason"], &gap["missing"]), (&"unfetched".into(), &5.into()));
    assert_eq!(gap["from"], "2024-03-11T00:00:00Z");
}

// Verdicts.

#[test]
fn a_good_run_is_healthy() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.backfill(&[]).expect_code(0);
    let output = sandbox.mdctl(&["health", "--as-of", AS_OF]);
    output.expect_code(0);
    assert!(output.stdout.lines().next().is_some_and(|line| line.contains("2 fresh")), "{output}");
    let json = document(&sandbox, &["health"]);
    assert_eq!((json["status"].as_str(), codes(&json)), (Some("healthy"), vec![]));
    assert_eq!(json["last_success_at"], json["last_execution"]["completed_at"]);
}

/// A sandbox whose one symbol lacks these of its 21 sessions.
fn lacking(sessions: std::ops::Range<usize>) -> Sandbox {
    let mut held = daily_sessions();
    held.drain(sessions);
    let market = Market::daily(&["AAA"], &held);
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    sandbox
}

#[test]
fn a_hole_as_large_as_would_be_critical_at_the_end_is_an_issue() {
    let sandbox = lacking(8..11);
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(1);
    let json = document(&sandbox, &["health"]);
    assert_eq!(codes(&json), ["series_holes"]);
    let hole = &json["issues"][0];
    assert_eq!(
        (&hole["subject"], &hole["since"]),
        (&"AAA 1d".into(), &"2024-02-28T00:00:00Z".into())
    );
    let message = hole["message"].as_str().expect("text");
    assert!(message.contains("3 bars") && message.contains("(provider_empty)"), "{message}");
    assert!(
        hole["hint"].as_str().expect("text").ends_with("mdctl backfill --repair AAA"),
        "{hole}"
    );
    // What lacks at the end is late, and no hole.
    assert_eq!(codes(&document(&lacking(18..21), &["health"])), ["series_stale"]);
    // A day or two in which nothing traded wakes nobody, nor does what is long past.
    assert_eq!(codes(&document(&lacking(8..10), &["health"])), Vec::<&str>::new());
    sandbox.tamper("UPDATE gaps SET from_ts = from_ts - 2592000, to_ts = to_ts - 2592000");
    assert_eq!(codes(&document(&sandbox, &["health"])), Vec::<&str>::new());
}

#[test]
fn a_hole_counts_whatever_reasons_its_parts_have() {
    let mut days = daily_sessions();
    days.remove(10);
    days.remove(8);
    let mut rows = rows(&days);
    // The one between them comes, and cannot be true.
    rows[8].low = rows[8].high + 1.0;
    let market = Market::new().with("AAA", "1d", rows);
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    let json = document(&sandbox, &["health"]);
    assert_eq!(codes(&json), ["series_holes"]);
    let message = json["issues"][0]["message"].as_str().expect("text");
    assert!(message.contains("3 bars between 2024-02-28T00:00:00Z and 2024-03-02"), "{message}");
}

#[test]
fn what_lies_before_the_first_bar_is_no_hole() {
    let mut rows = rows(&daily_sessions());
    rows[..4].iter_mut().for_each(|row| row.low = row.high + 1.0);
    let market = Market::new().with("AAA", "1d", rows);
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().number("SELECT sum(missing) FROM gaps"), 4);
    let json = document(&sandbox, &["health"]);
    assert!(!codes(&json).contains(&"series_holes"), "{json:#}");
}

#[test]
fn a_hole_of_a_timeframe_that_is_tracked_no_more_is_nobodys() {
    let sandbox = lacking(8..11);
    assert_eq!(codes(&document(&sandbox, &["health"])), ["series_holes"]);
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", config.replace("\"1d\"", "\"1h\""));
    let json = document(&sandbox, &["health"]);
    assert!(!codes(&json).contains(&"series_holes"), "{json:#}");
}

#[test]
fn a_day_that_a_week_is_not_made_for_want_of_is_no_hole_of_a_week() {
    let mut days = daily_sessions();
    days.remove(10);
    let market = Market::daily(&["AAA"], &days);
    let server = Server::start(move |request| market.polygon(request));
    let weekly = "timeframes = [\"1d\", \"1w\"]\nlookback = { \"1d\" = \"30d\", \"1w\" = \"30d\" }";
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], weekly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    let of_weeks = "SELECT sum(missing) FROM gaps JOIN series USING (series_id)
                     WHERE timeframe = '1w'";
    assert_eq!(sandbox.database().number(of_weeks), 1);
    assert_eq!(codes(&document(&sandbox, &["health"])), Vec::<&str>::new());
}

#[test]
fn a_hole_ends_when_the_calendar_learns_of_its_holidays() {
    let sandbox = lacking(8..11);
    let closed = "\n[calendars.XNYS]\nclosed = [\"2024-02-28\", \"2024-02-29\", \"2024-03-01\"]\n";
    sandbox.write("mdctl.toml", sandbox.read("mdctl.toml") + closed);
    assert_eq!(codes(&document(&sandbox, &["health"])), Vec::<&str>::new());
}

/// A sandbox whose one symbol has hourly bars but those that begin at these full hours.
fn hourly_lacking(from: &str, to: &str) -> Sandbox {
    let lacking = hours(from, to);
    let mut held = hours("2024-03-01T00:00:00Z", "2024-03-15T21:00:00Z");
    held.retain(|at| !lacking.contains(at));
    let market = Market::new().with("AAA", "1h", rows(&held));
    let server = Server::start(move |request| market.polygon(request));
    let hourly = "timeframes = [\"1h\"]\nlookback = { \"1h\" = \"14d\" }";
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], hourly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    sandbox
}

#[test]
fn a_whole_session_without_its_hours_is_a_hole_and_some_hours_are_none() {
    let day = hourly_lacking("2024-03-12T00:00:00Z", "2024-03-13T00:00:00Z");
    let json = document(&day, &["health"]);
    assert!(codes(&json).contains(&"series_holes"), "{json:#}");
    let part = hourly_lacking("2024-03-12T00:00:00Z", "2024-03-12T18:00:00Z");
    let json = document(&part, &["health"]);
    assert!(!codes(&json).contains(&"series_holes"), "{json:#}");
}

#[test]
fn of_several_that_keep_failing_it_is_said_how_many_they_are() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB", "CCC"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper("UPDATE series SET consecutive_failures = 9 WHERE symbol <> 'CCC'");
    let json = document(&sandbox, &["health"]);
    assert_eq!(codes(&json), ["keeps_failing"]);
    let message = json["issues"][0]["message"].as_str().expect("text");
    assert!(message.ends_with("; 1 more keep failing"), "{message}");
    sandbox.tamper("UPDATE series SET consecutive_failures = 0 WHERE symbol = 'AAA'");
    let json = document(&sandbox, &["health"]);
    let message = json["issues"][0]["message"].as_str().expect("text");
    assert!(!message.contains("more keep failing"), "{message}");
}

#[test]
fn a_universe_that_has_vanished_is_critical() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let config = sandbox.read("mdctl.toml");
    sandbox.write("list.csv", "symbol\n");
    sandbox
        .write("mdctl.toml", config.replace("symbols = [\"AAA\"]", "symbols_file = \"list.csv\""));
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(2);
    assert_eq!(codes(&document(&sandbox, &["health"])), ["no_symbols"]);
    sandbox.backfill(&[]).expect_code(0).expect_stderr("the config tracks no symbol");
}

#[test]
fn when_no_series_has_a_bar_that_is_critical() {
    let (_server, sandbox) =
        faulty_stocks(&["AAA", "BBB"], |request| Market::new().polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(2);
    let json = document(&sandbox, &["health"]);
    assert_eq!(codes(&json), ["series_missing"]);
    assert_eq!(json["issues"][0]["severity"], "critical");
}

#[test]
fn a_new_symbol_beside_a_provider_that_is_down_is_a_warning() {
    let server = Server::start(|request| Market::new().polygon(request));
    let away = binance("http://127.0.0.1:9", "");
    let config = polygon(&server.url(), "")
        + &away.replace("[run]\nstagger = \"0s\"\n", "")
        + &group("p", "stock", &["AAA"], DAILY)
        + &group("b", "crypto", &["BTCUSDT"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(1);
    let json = document(&sandbox, &["health"]);
    let issues = json["issues"].as_array().expect("a list");
    let missing = issues.iter().find(|issue| issue["code"] == "series_missing");
    assert_eq!(missing.expect("it has no bar")["severity"], "warning", "{json:#}");
}

#[test]
fn a_shard_without_a_symbol_is_in_order() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    for shard in ["0/2", "1/2"] {
        sandbox.backfill(&["--shard", shard]).expect_code(0);
        sandbox.mdctl(&["health", "--as-of", AS_OF, "--shard", shard]).expect_code(0);
    }
}

#[test]
fn a_run_at_work_does_not_hide_how_many_jobs_failed_before() {
    let (_server, sandbox) = partly_failed();
    sandbox.tamper(
        "INSERT INTO runs (run_id, command, trigger, started_at, status, host, pid, version)
         SELECT run_id || '0', command, trigger, started_at + 1, 'running', host, pid, version
           FROM runs;
         WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         INSERT INTO jobs (run_id, symbol, status) SELECT run_id || '0', 'S' || i, 'pending'
           FROM n, runs WHERE status <> 'running'",
    );
    let json = document(&sandbox, &["health"]);
    assert!(codes(&json).contains(&"high_failure_rate"), "{json:#}");
}

#[test]
fn whose_last_session_lies_before_all_that_is_wanted_lacks_nothing() {
    let (_server, sandbox) = faulty_stocks(&["AAA", "OLD"], |request| {
        Market::daily(&["AAA"], &daily_sessions()).polygon(request)
    });
    let config = sandbox.read("mdctl.toml");
    let delisted = |day: &str| {
        let old = format!("{{ symbol = \"OLD\", delisted = \"{day}\" }}");
        sandbox.write("mdctl.toml", config.replace("\"OLD\"", &old));
    };
    delisted("2020-01-31");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(codes(&document(&sandbox, &["health"])), Vec::<&str>::new());
    assert_eq!(document(&sandbox, &["staleness"])["counts"]["missing"], 0);
    let stored = sandbox.database().texts("SELECT status FROM freshness ORDER BY symbol");
    assert_eq!(stored, ["fresh", "fresh"]);
    // Of one that was listed within it something is.
    delisted("2024-03-01");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(codes(&document(&sandbox, &["health"])), ["series_missing"]);
}

#[test]
fn a_run_ahead_of_the_clock_counts_for_nothing_and_is_told() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    // Ids of runs ascend with the time.
    sandbox.tamper(
        "PRAGMA foreign_keys = OFF;
         UPDATE fetch_log SET run_id = '02' || substr(run_id, 3);
         UPDATE runs SET run_id = '02' || substr(run_id, 3), started_at = started_at + 864000,
                completed_at = completed_at + 864000",
    );
    let json = document(&sandbox, &["health"]);
    assert_eq!(codes(&json), ["clock_wrong", "run_overdue"]);
    let message = json["issues"][1]["message"].as_str().expect("text");
    assert!(message.contains("ahead of this machine's clock"), "{message}");
    assert!(json["last_success_at"].is_null(), "nobody waits ten days to hear that none succeeds");
    // The next one is judged, although it is not the newest, and the clock is right again.
    sandbox.backfill_at("2024-03-18T21:00:00Z", &[]).expect_code(0);
    let json = document(&sandbox, &["health"]);
    assert_eq!(codes(&json), Vec::<&str>::new());
    assert_eq!(json["last_success_at"], json["last_execution"]["completed_at"]);
}

#[test]
fn a_partly_failed_run_is_degraded() {
    let (_server, sandbox) = partly_failed();
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(1);
    let json = document(&sandbox, &["health"]);
    assert_eq!(json["status"], "degraded");
    assert_eq!(codes(&json), ["high_failure_rate", "last_run_partial", "series_missing"]);
}

#[test]
fn a_run_in_which_all_failed_is_critical() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(500, "oops"));
    sandbox.backfill(&[]).expect_code(2);
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(2);
    let json = document(&sandbox, &["health"]);
    assert_eq!(json["status"], "critical");
    assert!(codes(&json).contains(&"last_run_failed"), "{json:#}");
    assert!(codes(&json).contains(&"provider_down"), "{json:#}");
    // Its series raise no issues of their own.
    assert!(!codes(&json).contains(&"series_missing"), "{json:#}");
}

#[test]
fn no_run_for_too_long_is_critical() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper(
        "UPDATE runs SET started_at = started_at - 27 * 3600, completed_at = completed_at - 27 * 3600",
    );
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(2);
    assert_eq!(codes(&document(&sandbox, &["health"])), ["run_overdue"]);
}

#[test]
fn a_run_with_nothing_to_do_is_alive_all_the_same() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper(
        "UPDATE runs SET started_at = started_at - 27 * 3600, completed_at = completed_at - 27 * 3600",
    );
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(0);
}

#[test]
fn a_crashed_run_is_critical() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper("UPDATE runs SET status = 'running', completed_at = NULL, exit_code = NULL");
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(2);
    assert!(codes(&document(&sandbox, &["health"])).contains(&"last_run_failed"));
}

#[test]
fn stale_series_are_a_warning_until_they_are_many() {
    let symbols: Vec<String> = (0..20).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let (_server, sandbox) = daily_stocks(&symbols);
    sandbox.backfill(&[]).expect_code(0);
    let stale = |count: usize| {
        let names: Vec<String> = symbols[..count].iter().map(|name| format!("'{name}'")).collect();
        sandbox.tamper(&format!(
            "DELETE FROM bars WHERE ts >= {day} AND series_id IN (SELECT series_id FROM series WHERE symbol IN ({names}));
             UPDATE series SET watermark_ts = (SELECT max(ts) FROM bars WHERE bars.series_id = series.series_id);",
            day = day("2024-03-07"),
            names = names.join(",")
        ));
        document(&sandbox, &["health"])
    };
    let one = stale(1);
    assert_eq!((one["status"].as_str(), codes(&one)), (Some("degraded"), vec!["series_stale"]));
    let two = stale(2);
    assert_eq!((two["status"].as_str(), codes(&two)), (Some("critical"), vec!["series_stale"]));
    let staleness = document(&sandbox, &["staleness"]);
    assert_eq!(staleness["counts"]["stale"], 2);
    assert_eq!(list(&staleness, "series")[0]["status"], "stale", "worst first");
}

#[test]
fn staleness_is_a_gate_only_when_asked_to_be() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let code = |as_of: &str, arguments: &[&str]| {
        sandbox.mdctl(&[&["staleness", "--as-of", as_of], arguments].concat()).code
    };
    assert_eq!(code("2024-03-15", &["--check"]), Some(0));
    // Monday's bar is due at 20:20Z; 12 hours later it is aging, 30 hours later stale.
    assert_eq!(code("2024-03-19T08:19:00Z", &["--check"]), Some(0));
    assert_eq!(code("2024-03-19T08:21:00Z", &["--check"]), Some(1));
    assert_eq!(code("2024-03-20T02:21:00Z", &["--check"]), Some(2));
    assert_eq!(code("2024-03-20T02:21:00Z", &[]), Some(0));
    let other = ["--check", "--group", "stocks", "--timeframe", "1d", "--symbol", "AAA"];
    assert_eq!(code("2024-03-15", &other), Some(0));
}

#[test]
fn staleness_filters_its_series() {
    let (_server, sandbox) = partly_failed();
    let symbols = |arguments: &[&str]| -> Vec<String> {
        let json = document(&sandbox, &[&["staleness"], arguments].concat());
        let series = list(&json, "series").iter();
        series.filter_map(|row| row["symbol"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(symbols(&["--status", "missing"]), ["BBB"]);
    assert_eq!(symbols(&["--status", "fresh"]), ["AAA", "CCC"]);
    assert_eq!(symbols(&["--symbol", "CCC"]), ["CCC"]);
    assert_eq!(symbols(&["--timeframe", "1d"]).len(), 3);
}

#[test]
fn as_of_hides_later_bars_from_every_report() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let at = |arguments: &[&str]| {
        sandbox
            .mdctl(&[arguments, &["--json", "--as-of", "2024-03-01"]].concat())
            .expect_code(0)
            .json()
    };
    assert_eq!(at(&["staleness"])["series"][0]["last_bar_at"], "2024-03-01T00:00:00Z");
    assert_eq!(at(&["staleness"])["series"][0]["status"], "fresh");
    assert_eq!(at(&["status", "AAA"])["series"][0]["bars"], 11);
    let bars = at(&["bars", "AAA"]);
    assert_eq!(list(&bars, "bars").len(), 11);
    // In the middle of a session its bar is not there yet.
    let noon = sandbox.mdctl(&["bars", "AAA", "--json", "--as-of", "2024-03-01T17:00:00Z"]).json();
    assert_eq!(list(&noon, "bars").len(), 10);
}

#[test]
fn before_its_first_bar_a_series_is_as_late_as_it_was_tracked() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper("UPDATE tracked_symbols SET added_at = unixepoch('2024-01-01T00:00:00Z')");
    let json = sandbox.mdctl(&["staleness", "--json", "--as-of", "2024-01-11"]).json();
    let series = &list(&json, "series")[0];
    assert_eq!(series["status"], "missing");
    // A date is its end.
    assert_eq!(series["lag_seconds"], 11 * 86_400);
}

#[test]
fn as_of_lies_not_in_the_future() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["staleness", "--as-of", "2150-01-01"]).expect_code(64).expect_stderr("--as-of");
    sandbox.mdctl(&["staleness", "--as-of", "noon"]).expect_code(64).expect_stderr("noon");
}

#[test]
fn history_filters_its_runs() {
    let (server, sandbox) = partly_failed();
    let market = Market::daily(&["AAA", "BBB", "CCC"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    let statuses = |arguments: &[&str]| -> Vec<String> {
        let json = document(&sandbox, &[&["history"], arguments].concat());
        let runs = list(&json, "runs").iter();
        runs.filter_map(|run| run["status"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(statuses(&[]), ["succeeded", "succeeded", "partial"], "newest first");
    assert_eq!(statuses(&["--limit", "1"]), ["succeeded"]);
    assert_eq!(statuses(&["--status", "partial"]), ["partial"]);
    assert_eq!(statuses(&["--command", "enrich"]), Vec::<String>::new());
    assert_eq!(statuses(&["--since", "1h"]).len(), 3);
    sandbox.mdctl(&["history", "01ZZZZ"]).expect_code(64).expect_stderr("01ZZZZ");
    sandbox.mdctl(&["history", "--status", "fine"]).expect_code(64);
}

#[test]
fn history_names_what_failed_where_and_why() {
    let (_server, sandbox) = partly_failed();
    let output = sandbox.mdctl(&["history", "last"]);
    for words in ["BBB", "fetch", "not_found", "Ticker not found"] {
        output.expect_code(0).expect_stdout(words);
    }
}

// Bars.

#[test]
fn bars_come_as_csv_with_what_is_stored() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let output = sandbox.mdctl(&["bars", "AAA", "--format", "csv", "--as-of", AS_OF]);
    let mut lines = output.expect_code(0).stdout.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let column = |name: &str| header.iter().position(|held| *held == name).expect("a column");
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 21);
    let first = crate::support::market::row(day("2024-02-15"));
    assert_eq!(rows[0][column("time")], "2024-02-15T00:00:00Z");
    assert_eq!(rows[0][column("open")].parse(), Ok(first.open));
    assert_eq!(rows[0][column("close")].parse(), Ok(first.close));
    assert_eq!(rows[0][column("volume")].parse(), Ok(first.volume));
}

#[test]
fn bars_are_cut_by_dates_and_by_count() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let days = |arguments: &[&str]| -> Vec<String> {
        let json = document(&sandbox, &[&["bars", "AAA", "--timeframe", "1d"], arguments].concat());
        let bars = list(&json, "bars").iter();
        bars.filter_map(|bar| bar["time"].as_str().map(|time| time[..10].to_owned())).collect()
    };
    let week = ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"];
    assert_eq!(days(&["--from", "2024-03-02", "--to", "2024-03-08"]), week);
    assert_eq!(days(&["--limit", "2"]), ["2024-03-14", "2024-03-15"]);
    assert_eq!(days(&["--to", "2024-03-08", "--limit", "2"]), week[3..]);
    assert_eq!(days(&["--from", "2030-01-01"]), Vec::<String>::new());
    assert_eq!(days(&[]).len(), 21);
}

#[test]
fn bars_come_as_a_table() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let output = sandbox.mdctl(&["bars", "AAA", "--format", "table", "--as-of", AS_OF]);
    output.expect_code(0).expect_stdout("2024-03-15");
    assert_eq!(output.stderr, "", "a fresh series is no matter for a warning");
}

#[test]
fn bars_of_a_stale_series_warn() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let output = sandbox.mdctl(&["bars", "AAA", "--as-of", "2024-04-15"]);
    output.expect_code(0).expect_stderr("stale").expect_stdout("2024-03-15");
}

#[test]
fn bars_of_a_missing_series_name_the_command_that_fills_it() {
    let (_server, sandbox) = partly_failed();
    let output = sandbox.mdctl(&["bars", "BBB", "--as-of", AS_OF]);
    output.expect_stderr("mdctl backfill BBB --timeframe 1d");
}

// Usage.

#[test]
fn an_unknown_name_is_a_usage_error_with_the_nearest() {
    let (server, sandbox) = daily_stocks(&["AAPL", "MSFT"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    let calls: [(&[&str], &str); 9] = [
        (&["backfill", "APPL"], "AAPL"),
        (&["status", "MSTF"], "MSFT"),
        (&["bars", "AAPLL"], "AAPL"),
        (&["gaps", "aapl"], "AAPL"),
        (&["backfill", "--group", "stokcs"], "stocks"),
        (&["staleness", "--group", "stock"], "stocks"),
        (&["backfill", "--timeframe", "1D"], "1d"),
        (&["bars", "AAPL", "--timeframe", "1h"], "1d"),
        (&["backfill", "--provider", "pp"], "p"),
    ];
    for (arguments, nearest) in calls {
        sandbox.mdctl(arguments).expect_code(64).expect_stderr(nearest);
        let json = sandbox.mdctl(&[arguments, &["--json"]].concat()).expect_code(64).json();
        assert_eq!(json["error"]["exit_code"], 64, "{json}");
        assert_eq!(json["error"]["kind"], "usage", "{json}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn an_unknown_flag_or_command_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.mdctl(&["backfil"]).expect_code(64).expect_stderr("backfill");
    sandbox.mdctl(&["backfill", "--dry"]).expect_code(64).expect_stderr("--dry-run");
    sandbox.mdctl(&[]).expect_code(64);
    sandbox.mdctl(&["backfill", "--parallel", "0"]).expect_code(64);
    let json = sandbox.mdctl(&["backfill", "--dry", "--json"]).expect_code(64).json();
    assert_eq!(json["error"]["exit_code"], 64);
}

#[test]
fn help_needs_no_config() {
    let sandbox = Sandbox::new();
    let help = sandbox.mdctl(&["--help"]);
    let commands = [
        "doctor",
        "init",
        "symbols",
        "backfill",
        "staleness",
        "health",
        "history",
        "status",
        "metrics",
        "gaps",
        "bars",
        "pause",
        "resume",
        "breaker",
        "db",
    ];
    for command in commands {
        help.expect_code(0).expect_stdout(command);
        let own = sandbox.mdctl(&[command, "--help"]);
        own.expect_code(0).expect_stdout("--config").expect_stdout("--as-of");
        assert_eq!(own.stderr, "");
    }
    sandbox.mdctl(&["--version"]).expect_code(0).expect_stdout(env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let commands: [&[&str]; 7] = [
        &["metrics", "--format", "prometheus"],
        &["bars", "AAA"],
        &["bars", "AAA", "--json"],
        &["staleness"],
        &["history"],
        &["gaps"],
        &["status"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = sandbox.command(&[arguments, &["--as-of", AS_OF]].concat());
        command.stdout(writer).stderr(Stdio::piped());
        let child = command.spawn().expect("mdctl starts");
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert_eq!(stderr, "", "{arguments:?}");
    }
}

#[test]
fn a_run_whose_reader_went_away_runs_to_its_end() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = sandbox.command(&["backfill", "--as-of", AS_OF]);
    command.stdout(writer).stderr(Stdio::null());
    let status = command.status().expect("mdctl starts");
    assert_eq!(status.code(), Some(0));
    assert_eq!(sandbox.database().texts("SELECT status FROM runs"), ["succeeded"]);
}

#[test]
fn tables_have_no_colours_in_a_pipe_unless_asked() {
    let (_server, sandbox) = partly_failed();
    let plain = sandbox.mdctl(&["staleness", "--as-of", AS_OF]);
    assert!(!plain.expect_code(0).stdout.contains('\u{1b}'), "{plain}");
    let coloured = sandbox.mdctl(&["staleness", "--as-of", AS_OF, "--color", "always"]);
    assert!(coloured.expect_code(0).stdout.contains('\u{1b}'), "{coloured}");
}

#[test]
fn quiet_keeps_stderr_quiet() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let output = sandbox.backfill(&["-q"]);
    assert_eq!(output.expect_code(0).stderr, "");
}

#[test]
fn the_quietest_line_bears_the_runs_id() {
    let (_server, sandbox) = partly_failed();
    let output = sandbox.backfill(&["-q"]);
    let run_id = sandbox.database().texts("SELECT max(run_id) FROM runs").remove(0);
    assert!(!output.stderr.is_empty(), "{output}");
    assert!(output.stderr.lines().all(|line| line.contains(&run_id)), "{output}");
}

#[test]
fn log_lines_come_as_json_when_asked() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let output = sandbox.backfill(&["--log-format", "json"]);
    output.expect_code(0);
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    assert!(!output.stderr.is_empty(), "{output}");
    for line in output.stderr.lines() {
        let line: Value = serde_json::from_str(line).expect("a line is an object");
        assert!(line.to_string().contains(&run_id), "{line}");
    }
}

#[test]
fn several_timeframes_are_told_apart() {
    let hours = crate::support::market::hours("2024-03-14T00:00:00Z", "2024-03-16T00:00:00Z");
    let market = Market::daily(&["AAA"], &sessions("2024-03-11", AS_OF)).with(
        "AAA",
        "1h",
        crate::support::market::rows(&hours),
    );
    let server = Server::start(move |request| market.polygon(request));
    let both = r#"timeframes = ["1d", "1h"]
lookback = { "1d" = "4d", "1h" = "1d" }"#;
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), "") + &group("p", "stock", &["AAA"], both)));
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["bars", "AAA"]).expect_code(64).expect_stderr("--timeframe");
    let json = document(&sandbox, &["bars", "AAA", "--timeframe", "1h", "--limit", "1"]);
    assert_eq!(json["timeframe"], "1h");
}
