//! `mdctl metrics` and the metrics file: every figure against the other reports and the database, counters
//! that never fall, a file that is whole whatever happens, and Prometheus' own programs as judges.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::market::{Market, day, sessions};
use crate::support::server::{Answer, Request, Server};
use crate::support::shim::{Shim, Spoil};
use crate::support::{
    AS_OF, DAILY, KEY, Output, Sandbox, daily_sessions, fields, group, polygon, wait_until,
};

mod examples;
mod exposition;
mod tools;

use exposition::Exposition;
use tools::{Exporter, promtool};

/// Where the metrics file is.
const FILE: &str = "metrics/mdctl.prom";

/// A sandbox that tracks daily bars of `symbols` and leaves a metrics file, at a server that has them all;
/// `provider` are further lines of it.
fn watched(symbols: &[&str], provider: &str) -> (Server, Sandbox) {
    let market = Market::daily(symbols, &sessions("2020-01-02", "2024-06-28"));
    watched_at(symbols, provider, move |request| market.polygon(request))
}

/// Likewise, at a server that answers as `responder` says.
fn watched_at(
    symbols: &[&str],
    provider: &str,
    responder: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Server, Sandbox) {
    let server = Server::start(responder);
    let config = polygon(&server.url(), provider) + &group("p", "stock", symbols, DAILY);
    let sandbox = Sandbox::with(&format!("{config}\n[metrics]\ntextfile = \"{FILE}\"\n"));
    fs::create_dir(sandbox.path("metrics")).expect("a folder for the metrics");
    (server, sandbox)
}

/// A server that has `AAA` and `CCC`, and does not know `BBB`.
fn partly_failing() -> (Server, Sandbox) {
    let market = Market::daily(&["AAA", "CCC"], &daily_sessions());
    watched_at(&["AAA", "BBB", "CCC"], "", move |request| {
        if request.path.contains("/BBB/") {
            return Answer::status(404, r#"{"message":"Ticker not found."}"#);
        }
        market.polygon(request)
    })
}

/// What `metrics --format prometheus` tells as of the usual instant.
#[track_caller]
fn told(sandbox: &Sandbox) -> Exposition {
    let arguments = ["metrics", "--format", "prometheus", "--as-of", AS_OF];
    Exposition::read(&sandbox.mdctl(&arguments).expect_code(0).stdout)
}

/// What stands in the metrics file.
#[track_caller]
fn left(sandbox: &Sandbox) -> Exposition {
    Exposition::read(&sandbox.read(FILE))
}

/// A report's JSON as of the usual instant.
#[track_caller]
fn document(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    sandbox.mdctl(&[arguments, &["--json", "--as-of", AS_OF]].concat()).json()
}

#[track_caller]
fn number(json: &Value) -> f64 {
    json.as_f64().unwrap_or_else(|| panic!("no number: {json}"))
}

/// Epoch seconds of an instant in JSON.
#[track_caller]
fn epoch(json: &Value) -> f64 {
    let text = json.as_str().unwrap_or_else(|| panic!("no instant: {json}"));
    chrono::DateTime::parse_from_rfc3339(text).expect("RFC 3339").timestamp() as f64
}

/// The status of the last run, of which exactly one holds.
#[track_caller]
fn status(told: &Exposition) -> String {
    let all = told.all("mdctl_last_run_status", &[]);
    let holds: Vec<_> = all.iter().filter(|sample| sample.value == 1.0).collect();
    assert_eq!(holds.len(), 1, "{all:?}");
    holds[0].label("status").expect("a status").to_owned()
}

/// Everything but when it was written, and what the clock says of it.
fn steady(told: &Exposition) -> Vec<String> {
    let samples = told.samples.iter().filter(|sample| {
        !["mdctl_metrics_timestamp_seconds", "mdctl_quota_tokens"].contains(&sample.name.as_str())
    });
    samples.map(|sample| format!("{sample:?}")).collect()
}

// Every figure against the others.

#[test]
fn the_file_says_what_the_command_says() {
    let (_server, sandbox) = partly_failing();
    sandbox.backfill(&[]).expect_code(1);
    assert_eq!(steady(&left(&sandbox)), steady(&told(&sandbox)));
    promtool(&["check", "metrics"], &sandbox.read(FILE));
}

#[test]
fn every_sample_agrees_with_the_reports() {
    let (_server, sandbox) = partly_failing();
    sandbox.backfill(&["--trigger", "a test"]).expect_code(1);
    let told = left(&sandbox);
    let health = document(&sandbox, &["health"]);
    let run = &health["last_execution"];
    let one = |name: &str| told.value(name, &[]);
    assert_eq!(one("mdctl_last_run_timestamp_seconds"), epoch(&run["completed_at"]));
    assert_eq!(one("mdctl_last_run_exit_code"), number(&run["exit_code"]));
    assert_eq!(one("mdctl_run_duration_seconds"), number(&run["duration_seconds"]));
    assert_eq!(Some(status(&told).as_str()), run["status"].as_str());
    let labels = [("command", "backfill"), ("trigger", "a test")];
    assert_eq!(told.value("mdctl_last_run_info", &labels), 1.0);
    for (status, field) in [
        ("completed", "successful"),
        ("failed", "failed"),
        ("deferred", "deferred"),
        ("skipped", "skipped"),
    ] {
        let jobs = told.value("mdctl_run_jobs", &[("status", status)]);
        assert_eq!(jobs, number(&run[field]), "{status}");
    }
    assert_eq!(told.sum("mdctl_run_jobs", &[]), number(&run["symbols_total"]));
    assert!(!told.has("mdctl_last_success_timestamp_seconds"), "none has succeeded");
    let severity = ["healthy", "degraded", "critical"];
    let verdict = severity.iter().position(|word| health["status"] == *word).expect("a verdict");
    assert_eq!(one("mdctl_health_status"), verdict as f64);
    let issues = health["issues"].as_array().expect("issues");
    assert!(issues.len() > 1, "{health}");
    for issue in issues {
        let text = |name: &str| issue[name].as_str().expect("text");
        let labels = [("code", text("code")), ("severity", text("severity"))];
        assert_eq!(told.value("mdctl_health_issues", &labels), number(&issue["count"]));
    }
    assert_eq!(told.all("mdctl_health_issues", &[]).len(), issues.len());
    for (status, count) in health["freshness"].as_object().expect("counts") {
        assert_eq!(told.value("mdctl_series", &[("status", status)]), number(count));
    }
    assert_eq!(one("mdctl_symbols"), number(&health["monitored_symbols"]));
    assert_eq!(told.sum("mdctl_series", &[]), number(&health["monitored_series"]));
    assert_eq!(one("mdctl_stale_features"), number(&health["stale_features_count"]));
    assert_eq!(one("mdctl_run_max_age_seconds"), number(&health["config"]["max_run_age_seconds"]));
    assert_eq!(one("mdctl_paused"), 0.0);
    assert_eq!(one("mdctl_run_in_progress"), 0.0);
    assert_eq!(one("mdctl_database_readable"), 1.0);
    lags_agree(&sandbox, &told);
    quality_agrees(&sandbox, &told);
    counters_agree(&sandbox, &told);
}

fn lags_agree(sandbox: &Sandbox, told: &Exposition) {
    let staleness = document(sandbox, &["staleness"]);
    let series = staleness["series"].as_array().expect("series");
    assert_eq!(told.all("mdctl_series_lag_seconds", &[]).len(), series.len());
    for row in series {
        let text = |name: &str| row[name].as_str().expect("text");
        let labels = [("symbol", text("symbol")), ("timeframe", text("timeframe"))];
        let lag = told.value("mdctl_series_lag_seconds", &labels);
        assert_eq!(lag, number(&row["lag_seconds"]), "{row}");
    }
}

fn quality_agrees(sandbox: &Sandbox, told: &Exposition) {
    let quality = document(sandbox, &["quality"]);
    let metrics = document(sandbox, &["metrics"]);
    let scored = quality["series"].as_array().expect("series").iter();
    let scored: Vec<&Value> = scored.filter(|row| !row["quality_score"].is_null()).collect();
    assert_eq!(told.all("mdctl_quality_score", &[]).len(), scored.len(), "one timeframe each");
    for row in scored {
        let symbol = row["symbol"].as_str().expect("a symbol");
        let score = told.value("mdctl_quality_score", &[("symbol", symbol)]);
        assert_eq!(score, number(&row["quality_score"]));
    }
    let means = &metrics["data_quality"];
    let ratio = told.value("mdctl_completeness_ratio", &[]);
    assert_eq!(ratio, number(&means["avg_completeness"]));
    let ratio = told.value("mdctl_validation_ratio", &[]) * 100.0;
    assert!((ratio - number(&means["avg_validation_rate"])).abs() < 1e-9);
    let gaps = document(sandbox, &["gaps"]);
    for reason in told.all("mdctl_missing_bars", &[]) {
        let rows = gaps["gaps"].as_array().expect("gaps").iter();
        let rows = rows.filter(|gap| gap["reason"].as_str() == reason.label("reason"));
        let missing: f64 = rows.map(|gap| number(&gap["missing"])).sum();
        assert_eq!(reason.value, missing, "{reason:?}");
    }
    assert!(told.sum("mdctl_missing_bars", &[]) > 0.0);
    let database = sandbox.database();
    let bars = database.number("SELECT count(*) FROM bars") as f64;
    assert_eq!(told.sum("mdctl_bars", &[]), bars);
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    assert_eq!(told.value("mdctl_database_size_bytes", &[]), database.number(sql) as f64);
}

/// The counters against the log that they are counted from.
#[track_caller]
fn counters_agree(sandbox: &Sandbox, told: &Exposition) {
    let database = sandbox.database();
    let number = |sql: &str| database.number(sql) as f64;
    let outcomes = database.rows(
        "SELECT provider, coalesce(error_kind, 'ok'), count(*) FROM fetch_log GROUP BY 1, 2",
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)),
    );
    assert!(!outcomes.is_empty());
    for (provider, outcome, count) in outcomes {
        let labels = [("provider", provider.as_str()), ("outcome", outcome.as_str())];
        assert_eq!(told.value("mdctl_fetch_requests_total", &labels), count as f64, "{labels:?}");
    }
    let all = number("SELECT count(*) FROM fetch_log");
    assert_eq!(told.sum("mdctl_fetch_requests_total", &[]), all);
    assert_eq!(
        told.sum("mdctl_fetch_requests_total", &[]),
        number("SELECT sum(requests) FROM runs")
    );
    let retries = told.sum("mdctl_fetch_retries_total", &[]);
    assert_eq!(retries, number("SELECT coalesce(sum(attempt > 1), 0) FROM fetch_log"));
    assert_eq!(
        told.sum("mdctl_fetch_bytes_total", &[]),
        number("SELECT sum(bytes) FROM fetch_log")
    );
    assert_eq!(told.sum("mdctl_fetch_duration_seconds_count", &[]), all);
    let ms = number("SELECT sum(response_time_ms) FROM fetch_log");
    assert!((told.sum("mdctl_fetch_duration_seconds_sum", &[]) - ms / 1e3).abs() < 1e-6);
    let mut before = 0.0;
    for bucket in told.all("mdctl_fetch_duration_seconds_bucket", &[("provider", "p")]) {
        let bound = bucket.label("le").expect("a bound");
        let bound: f64 = if bound == "+Inf" { 1e15 } else { bound.parse().expect("a number") };
        let sql =
            format!("SELECT count(*) FROM fetch_log WHERE response_time_ms <= {}", bound * 1e3);
        assert_eq!(bucket.value, number(&sql), "{bucket:?}");
        assert!(bucket.value >= before, "a histogram is cumulative");
        before = bucket.value;
    }
    assert_eq!(before, all, "the last bucket holds all");
    let inserted = told.value("mdctl_bars_written_total", &[("change", "inserted")]);
    assert_eq!(inserted, number("SELECT sum(records_inserted) FROM runs"));
    let computed = told.sum("mdctl_computations_total", &[]);
    assert_eq!(computed, number("SELECT count(*) FROM compute_log"));
    let runs = told.sum("mdctl_runs_total", &[]);
    assert_eq!(runs, number("SELECT count(*) FROM runs WHERE status <> 'running'"));
}

// Figures over a window.

#[test]
fn the_document_has_its_fields_and_status_embeds_it() {
    let (_server, sandbox) = partly_failing();
    sandbox.backfill(&[]).expect_code(1);
    let metrics = document(&sandbox, &["metrics"]);
    let expected = [
        "compute_pipeline",
        "data_quality",
        "fetch_pipeline",
        "quotas",
        "schema",
        "timestamp",
        "window_seconds",
    ];
    assert_eq!(fields(&metrics), expected);
    assert_eq!((&metrics["schema"], &metrics["window_seconds"]), (&1.into(), &86_400.into()));
    let mut embedded = document(&sandbox, &["status"])["metrics"].clone();
    embedded["schema"] = 1.into();
    // The quota grows back meanwhile.
    let mut own = metrics.clone();
    for document in [&mut embedded, &mut own] {
        document["quotas"] = Value::Null;
        document["fetch_pipeline"]["api_quota_remaining"] = Value::Null;
    }
    assert_eq!(embedded, own);
}

#[test]
fn the_window_cuts_what_is_older() {
    let (_server, sandbox) = watched(&["AAA", "BBB"], "");
    sandbox.backfill(&[]).expect_code(0);
    let rows = sandbox.database().number("SELECT count(*) FROM fetch_log");
    assert!(rows >= 2);
    sandbox.tamper(
        "UPDATE fetch_log SET started_at = started_at - 7200 WHERE symbol = 'AAA';
         UPDATE compute_log SET at = at - 7200 WHERE symbol = 'AAA'",
    );
    let figures = |window: &str| {
        let json = document(&sandbox, &["metrics", "--window", window]);
        let of = |pipeline: &str, name: &str| number(&json[pipeline][name]);
        (of("fetch_pipeline", "total_fetches"), of("compute_pipeline", "total_computations"))
    };
    assert_eq!(figures("24h"), (rows as f64, 2.0));
    assert_eq!(figures("1h"), (rows as f64 / 2.0, 1.0));
    sandbox.mdctl(&["metrics", "--window", "3h"]).expect_code(0).expect_stdout("in the last 3h");
}

#[test]
fn response_times_are_those_that_occurred() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    let values: Vec<String> = (1..=1_000).map(|ms| format!("({ms})")).collect();
    sandbox.tamper(&format!(
        "DELETE FROM fetch_log;
         INSERT INTO fetch_log SELECT 'run', 'AAA', '1d', 'p', unixepoch(), 0, 1, 1 + (column1 % 10 = 0),
             200, iif(column1 % 50 = 0, 'rate_limited', NULL), column1, 7, 0, 0, 0, 0, column1 % 50 <> 0
             FROM (VALUES {});
         -- A file that was read is no request.
         INSERT INTO fetch_log VALUES ('run', 'AAA', '1d', 'f', unixepoch(), 0, 1, 1, NULL, NULL, 9999999, 7, 0,
             0, 0, 0, 1)",
        values.join(",")
    ));
    let fetch = &document(&sandbox, &["metrics"])["fetch_pipeline"];
    let expected = [
        ("total_fetches", 1_000.0),
        ("successful", 980.0),
        ("success_rate", 98.0),
        ("avg_response_time_ms", 500.5),
        ("p50_response_time_ms", 500.0),
        ("p95_response_time_ms", 950.0),
        ("p99_response_time_ms", 990.0),
        ("rate_limited", 20.0),
        ("rate_limited_share", 2.0),
        ("retries", 100.0),
        ("bytes", 7_000.0),
    ];
    for (name, value) in expected {
        assert_eq!(number(&fetch[name]), value, "{name}");
    }
}

#[test]
fn people_get_a_table() {
    let (_server, sandbox) = partly_failing();
    let output = sandbox.mdctl(&["metrics"]);
    output.expect_code(3).expect_stderr("there is no database").expect_stderr("mdctl backfill");
    sandbox.backfill(&[]).expect_code(1);
    let output = sandbox.mdctl(&["metrics", "--as-of", AS_OF]);
    let words = [
        "requests in the last 1d",
        "rate-limited",
        "99 % within",
        "quota of p",
        "3 symbols",
        "of 1",
    ];
    for words in words {
        output.expect_code(0).expect_stdout(words);
    }
    assert_eq!(output.stderr, "");
}

#[test]
fn two_formats_at_once_are_a_usage_error() {
    let (_server, sandbox) = watched(&["AAA"], "");
    let both = sandbox.mdctl(&["metrics", "--json", "--format", "prometheus"]);
    assert_eq!(both.expect_code(64).json()["error"]["kind"], "usage");
    sandbox.mdctl(&["metrics", "--window", "soon"]).expect_code(64).expect_stderr("soon");
    sandbox.mdctl(&["metrics", "--format", "xml"]).expect_code(64).expect_stderr("prometheus");
    sandbox.mdctl(&["metrics", "--format", "prometheus"]).expect_code(3);
}

// The quota.

fn remaining(sandbox: &Sandbox) -> Value {
    document(sandbox, &["metrics"])["fetch_pipeline"]["api_quota_remaining"].clone()
}

#[test]
fn what_is_left_of_the_quota_is_what_the_next_run_may_send() {
    let (server, sandbox) = watched(&["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"], "");
    let config = sandbox.read("mdctl.toml");
    let limited = config.replace(
        r#"rate = { requests = 1000, per = "1s" }"#,
        r#"rate = [{ requests = 40, per = "10h" }, { requests = 30, per = "5h", burst = 4 }]"#,
    );
    assert_ne!(config, limited);
    sandbox.write("mdctl.toml", limited);
    sandbox.backfill(&["AAA"]).expect_code(0);
    let sent = server.take_requests().len() as u64;
    assert!((1..4).contains(&sent), "{sent} requests");
    assert_eq!(remaining(&sandbox), 4 - sent, "of the tightest of two rules");
    let told = told(&sandbox);
    assert_eq!(told.value("mdctl_quota_tokens", &[("provider", "p")]), (4 - sent) as f64);
    assert_eq!(told.value("mdctl_quota_limit", &[("provider", "p")]), 4.0);
    // Whoever has the whole quota on two machines has half of it on each.
    let half = sandbox.mdctl(&["metrics", "--shard", "0/2", "--json", "--as-of", AS_OF]).json();
    assert_eq!(half["quotas"][0]["limit"], 2);
    // What a run may send is what it sends.
    let left = 4 - sent;
    let mut all = sandbox.start(&["backfill", "--full", "--as-of", AS_OF, "--max-duration", "1h"]);
    server.wait_for(left as usize);
    wait_until(|| remaining(&sandbox) == 0);
    assert_eq!(all.ended(), None, "it waits for the quota");
    assert_eq!(server.requests().len() as u64, left);
}

#[test]
fn files_have_no_quota() {
    let sandbox = Sandbox::with(
        r#"
[providers.f]
kind = "files"
path = "data"

[[group]]
name = "files"
provider = "f"
asset_class = "stock"
symbols = ["AAA"]
timeframes = ["1d"]
"#,
    );
    sandbox.write(
        "data/AAA_1d.csv",
        "ts,open,high,low,close,volume\n2024-03-15T00:00:00Z,1,2,1,2,10\n",
    );
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(remaining(&sandbox), Value::Null);
    let told = told(&sandbox);
    assert!(!told.has("mdctl_quota_tokens"));
    assert!(!told.has("mdctl_fetch_requests_total"), "files read are no requests");
    assert_eq!(told.value("mdctl_bars_written_total", &[("change", "inserted")]), 1.0);
}

#[test]
fn nothing_is_left_of_a_provider_that_asks_not_to_be_asked() {
    let (_server, sandbox) = watched_at(&["AAA", "BBB", "CCC"], "", |_| {
        let reply = crate::support::server::Reply::new(429, "{}");
        Answer::Whole(reply.with("retry-after", 7_200))
    });
    sandbox.backfill(&[]);
    assert_eq!(remaining(&sandbox), 0);
    let told = left(&sandbox);
    assert_eq!(told.value("mdctl_quota_tokens", &[]), 0.0);
    let until = told.value("mdctl_provider_held_until_timestamp_seconds", &[("provider", "p")]);
    let now = told.value("mdctl_metrics_timestamp_seconds", &[]);
    assert!((7_000.0..=7_200.0).contains(&(until - now)), "{until} {now}");
    let limited = told.value("mdctl_fetch_requests_total", &[("outcome", "rate_limited")]);
    assert!(limited > 0.0);
}

// Counters.

#[test]
fn counters_never_fall_whatever_is_pruned() {
    let (server, sandbox) = partly_failing();
    sandbox.backfill(&[]).expect_code(1);
    let first = left(&sandbox);
    sandbox.tamper("DELETE FROM fetch_log; DELETE FROM compute_log; DELETE FROM failures");
    assert_eq!(steady(&told(&sandbox)).len(), steady(&first).len());
    let market = Market::daily(&["AAA", "BBB", "CCC"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&["--full"]).expect_code(0);
    let second = left(&sandbox);
    let new = sandbox.database().number("SELECT count(*) FROM fetch_log") as f64;
    assert!(new > 0.0);
    let requests = |told: &Exposition| told.sum("mdctl_fetch_requests_total", &[]);
    assert_eq!(requests(&second), requests(&first) + new);
    let counters: Vec<&String> =
        second.kinds.iter().filter(|(_, kind)| *kind != "gauge").map(|(name, _)| name).collect();
    assert_eq!(counters.len(), 8, "{counters:?}");
    let before = first
        .samples
        .iter()
        .filter(|sample| counters.iter().any(|name| sample.name.starts_with(name.as_str())));
    for sample in before {
        let labels: Vec<(&str, &str)> =
            sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert!(second.value(&sample.name, &labels) >= sample.value, "{sample:?} fell");
    }
    // A run that has nothing to do adds itself and nothing else.
    sandbox.backfill(&[]).expect_code(0);
    let third = left(&sandbox);
    assert_eq!(requests(&third), requests(&second));
    assert_eq!(third.sum("mdctl_runs_total", &[]), 3.0);
    promtool(&["check", "metrics"], &sandbox.read(FILE));
}

#[test]
fn a_killed_runs_share_is_added_once_by_whoever_finds_it() {
    let market = Market::daily(&["AAA", "BBB"], &daily_sessions());
    let all = market.clone();
    let (server, sandbox) = watched_at(&["AAA", "BBB"], "", move |request| {
        if request.path.contains("/BBB/") { Answer::Hang } else { market.polygon(request) }
    });
    let run = sandbox.start(&["backfill", "--as-of", AS_OF]);
    wait_until(|| {
        sandbox.path("mdctl.db").exists()
            && sandbox
                .database()
                .number("SELECT count(*) FROM sqlite_schema WHERE name = 'fetch_log'")
                == 1
            && sandbox.database().number("SELECT count(*) FROM fetch_log") > 0
    });
    run.kill();
    assert!(!sandbox.path(FILE).exists(), "a killed run leaves nothing");
    let told_after = told(&sandbox);
    assert_eq!(told_after.sum("mdctl_fetch_requests_total", &[]), 0.0, "nobody has counted it yet");
    assert_eq!(status(&told_after), "crashed");
    assert!(!told_after.has("mdctl_last_run_exit_code"), "it has none");
    server.answer_with(move |request| all.polygon(request));
    for runs in 2..5 {
        sandbox.backfill(&[]).expect_code(0);
        let told = left(&sandbox);
        counters_agree(&sandbox, &told);
        assert_eq!(told.sum("mdctl_runs_total", &[("status", "crashed")]), 1.0);
        assert_eq!(told.sum("mdctl_runs_total", &[]), f64::from(runs));
        assert_eq!(status(&told), "succeeded");
    }
}

#[test]
fn an_old_database_is_counted_from_its_log_when_it_is_brought_up_to_date() {
    let (server, sandbox) = partly_failing();
    sandbox.backfill(&[]).expect_code(1);
    sandbox.go_back_to_schema_1();
    let old = told(&sandbox);
    assert!(old.has("mdctl_series") && old.has("mdctl_last_run_status"));
    assert!(!old.has("mdctl_runs_total"), "an old schema counts nothing, and nobody makes it up");
    document(&sandbox, &["metrics"]);
    sandbox.mdctl(&["metrics"]).expect_code(0);
    let market = Market::daily(&["AAA", "BBB", "CCC"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    // Whatever brings it up to date, a run or something else.
    sandbox.mdctl(&["pause", "--for", "1s", "--reason", "a test"]).expect_code(0);
    counters_agree_but_for_computing(&sandbox);
    sandbox.backfill(&["--force", "--reason", "a test"]).expect_code(0);
    counters_agree_but_for_computing(&sandbox);
}

/// The log of computing is not in the old schema.
#[track_caller]
fn counters_agree_but_for_computing(sandbox: &Sandbox) {
    counters_agree(sandbox, &told(sandbox));
}

// However a run ends.

#[test]
fn each_way_to_end_is_told() {
    let (server, sandbox) = watched(&["AAA", "BBB"], "");
    let expect = |output: &Output, code: i32, word: &str| {
        output.expect_code(code);
        let told = left(&sandbox);
        assert_eq!(status(&told), word);
        assert_eq!(told.value("mdctl_last_run_exit_code", &[]), f64::from(code));
        assert_eq!(steady(&told), steady(&self::told(&sandbox)), "{word}");
        promtool(&["check", "metrics"], &sandbox.read(FILE));
    };
    expect(&sandbox.backfill(&["--max-requests", "1"]), 4, "deferred");
    expect(&sandbox.backfill(&[]), 0, "succeeded");
    server.answer_with(|_| Answer::status(404, "{}"));
    expect(&sandbox.backfill(&["--full"]), 2, "failed");
    let told = left(&sandbox);
    assert_eq!(told.value("mdctl_health_issues", &[("code", "last_run_failed")]), 2.0);
    let success = told.value("mdctl_last_success_timestamp_seconds", &[]);
    assert_eq!(success, epoch(&document(&sandbox, &["health"])["last_success_at"]));
}

#[test]
fn a_pause_is_told_and_the_run_before_it_stays_the_last() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    let before = left(&sandbox);
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "a test"]).expect_code(0);
    fs::remove_file(sandbox.path(FILE)).expect("the file goes");
    sandbox.backfill(&[]).expect_code(0);
    let told = left(&sandbox);
    assert_eq!(told.value("mdctl_paused", &[]), 1.0);
    let until = told.value("mdctl_paused_until_timestamp_seconds", &[]);
    assert_eq!(until, epoch(&document(&sandbox, &["health"])["paused"]["until"]));
    assert_eq!(
        told.value("mdctl_runs_total", &[("status", "skipped"), ("command", "backfill")]),
        1.0
    );
    let last = |told: &Exposition| told.value("mdctl_last_run_timestamp_seconds", &[]);
    assert_eq!(last(&told), last(&before));
    assert_eq!(status(&told), "succeeded");
}

#[test]
fn a_signal_is_told() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (server, sandbox) = watched_at(&["AAA", "BBB"], "", move |request| {
        if request.path.contains("/BBB/") { Answer::Hang } else { market.polygon(request) }
    });
    let config = sandbox.read("mdctl.toml").replace("[run]", "[run]\ngrace = \"50ms\"");
    sandbox.write("mdctl.toml", config);
    let run = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(2);
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(143));
    let told = left(&sandbox);
    assert_eq!(status(&told), "interrupted");
    assert_eq!(told.value("mdctl_last_run_exit_code", &[]), 143.0);
    assert_eq!(told.value("mdctl_run_in_progress", &[]), 0.0);
}

#[test]
fn who_finds_another_at_work_is_no_run() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    let before = sandbox.read(FILE);
    let lock = File::create(sandbox.path("mdctl.db.lock")).expect("a file");
    lock.lock().expect("the lock");
    sandbox.backfill(&[]).expect_code(75);
    assert_eq!(sandbox.read(FILE), before);
    sandbox.backfill(&["--dry-run"]).expect_code(0);
    assert_eq!(sandbox.read(FILE), before, "nor is a plan");
}

#[test]
fn a_database_that_cannot_be_opened_is_told() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(sandbox.path(&format!("mdctl.db{ending}")));
    }
    sandbox.write("mdctl.db", "this is no database, but a letter to whoever finds it");
    sandbox.backfill(&[]).expect_code(74);
    let told = left(&sandbox);
    assert_eq!(told.value("mdctl_database_readable", &[]), 0.0);
    assert_eq!(told.value("mdctl_last_run_exit_code", &[]), 74.0);
    assert_eq!(status(&told), "failed");
    let written = told.value("mdctl_metrics_timestamp_seconds", &[]);
    assert!(written - told.value("mdctl_last_run_timestamp_seconds", &[]) < 60.0);
    assert!(!told.has("mdctl_series") && !told.has("mdctl_run_jobs"), "nothing is made up");
    promtool(&["check", "metrics"], &sandbox.read(FILE));
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_run_is_told() {
    let (_server, sandbox) = watched(&["AAA", "BBB"], "");
    sandbox.backfill(&[]).expect_code(0);
    let whole = Shim::of(&sandbox);
    let mut run = sandbox.command(&["backfill", "--full", "--as-of", AS_OF]);
    sandbox.finish(whole.before(&mut run)).expect_code(0);
    let steps = whole.steps();
    assert!(steps > 4, "{steps} steps");
    let mut told_of_failure = 0;
    for at in 1..=steps {
        let shim = Shim::of(&sandbox);
        let mut run = sandbox.command(&["backfill", "--full", "--as-of", AS_OF]);
        let run = shim.spoil(&mut run, at, Spoil::Full).env("SHIM_ON", "1");
        let output = sandbox.finish(run);
        let told = left(&sandbox);
        let code = output.code.expect("it ended by itself");
        assert_eq!(
            told.value("mdctl_last_run_exit_code", &[]),
            f64::from(code),
            "step {at}{output}"
        );
        if code != 0 {
            assert_eq!(status(&told), "failed", "step {at}{output}");
            told_of_failure += 1;
        }
        assert_eq!(told.sum("mdctl_run_in_progress", &[]), 0.0, "step {at}");
    }
    assert!(told_of_failure > 2, "{told_of_failure} of {steps} failed");
    sandbox.backfill(&[]).expect_code(0);
    counters_agree(&sandbox, &left(&sandbox));
}

// The file itself.

#[test]
fn the_file_is_for_everybody_and_alone() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.write(FILE, "an older one");
    fs::set_permissions(sandbox.path(FILE), fs::Permissions::from_mode(0o600)).expect("a mode");
    sandbox.backfill(&[]).expect_code(0);
    let mode = fs::metadata(sandbox.path(FILE)).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let names: Vec<_> = fs::read_dir(sandbox.path("metrics")).expect("the folder").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    left(&sandbox);
    assert!(!sandbox.read(FILE).contains(KEY));
}

#[test]
fn a_link_stays_one() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.write("elsewhere/mdctl.prom", "an older one");
    std::os::unix::fs::symlink("../elsewhere/mdctl.prom", sandbox.path(FILE)).expect("a link");
    sandbox.backfill(&[]).expect_code(0);
    assert!(fs::symlink_metadata(sandbox.path(FILE)).expect("it").is_symlink());
    Exposition::read(&sandbox.read("elsewhere/mdctl.prom"));
}

#[test]
fn a_folder_that_cannot_be_written_is_a_warning() {
    let (_server, sandbox) = watched(&["AAA"], "");
    fs::remove_dir(sandbox.path("metrics")).expect("the folder goes");
    let run = || sandbox.backfill(&["--json"]);
    let warned = |output: &Output| {
        let words =
            ["cannot write the metrics file", FILE, "the run is not affected", "mkdir -p", "WARN"];
        for words in words {
            output.expect_code(0).expect_stderr(words);
        }
        assert_eq!(output.json()["run"]["exit_code"], 0);
        let run_id = output.json()["run"]["run_id"].as_str().expect("an id").to_owned();
        assert!(output.stderr.lines().all(|line| line.contains(&run_id)), "{output}");
    };
    warned(&run());
    // A file where the folder should be.
    sandbox.write("metrics", "no folder");
    warned(&run());
    // A folder where the file should be.
    fs::remove_file(sandbox.path("metrics")).expect("the file goes");
    fs::create_dir_all(sandbox.path(FILE)).expect("folders");
    warned(&run());
    let left: Vec<_> = fs::read_dir(sandbox.path("metrics")).expect("the folder").collect();
    assert_eq!(left.len(), 1, "nothing half done is left: {left:?}");
}

#[test]
fn without_the_setting_there_is_no_file() {
    let (_server, sandbox) = watched(&["AAA"], "");
    let config = sandbox.read("mdctl.toml").replace("textfile", "# textfile");
    sandbox.write("mdctl.toml", config);
    sandbox.backfill(&[]).expect_code(0);
    assert!(!sandbox.path(FILE).exists());
}

// Names.

/// Symbols that want care, and such as sort oddly.
const ODD: [&str; 6] = ["BRK.B", "EUR/USD", "X:BTC\"USD", "{a=\"b\"}", "ÄÖ,#", "^GSPC"];

#[test]
fn odd_names_come_through() {
    let (_server, sandbox) = watched_at(&ODD, "", |_| Answer::status(404, "{}"));
    let trigger = "a \"quoted\" \\ back\nslash";
    sandbox.backfill(&["--trigger", trigger]).expect_code(2);
    let told = left(&sandbox);
    let mut symbols: Vec<&str> = told
        .all("mdctl_series_lag_seconds", &[])
        .iter()
        .filter_map(|s| s.label("symbol"))
        .collect();
    symbols.sort_unstable();
    let mut expected = ODD;
    expected.sort_unstable();
    assert_eq!(symbols, expected);
    assert_eq!(told.value("mdctl_last_run_info", &[("trigger", trigger)]), 1.0);
    promtool(&["check", "metrics"], &sandbox.read(FILE));
    assert_scraped(&sandbox);
}

// Shards.

#[test]
fn each_shard_tells_of_its_own_symbols_under_its_label() {
    let symbols: Vec<String> = (0..12).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut told_of = Vec::new();
    for shard in ["0/2", "1/2"] {
        let (_server, sandbox) = watched(&symbols, "");
        sandbox.backfill(&["--shard", shard]).expect_code(0);
        let told = left(&sandbox);
        assert!(told.samples.iter().all(|sample| sample.label("shard") == Some(shard)));
        assert_eq!(told.value("mdctl_series", &[("status", "missing")]), 0.0, "those are others'");
        assert_eq!(told.value("mdctl_health_status", &[]), 0.0);
        let lags = told.all("mdctl_series_lag_seconds", &[]);
        let names = lags.iter().filter_map(|sample| sample.label("symbol").map(str::to_owned));
        told_of.extend(names);
        let arguments = ["metrics", "--format", "prometheus", "--as-of", AS_OF, "--shard", shard];
        let again = sandbox.mdctl(&arguments);
        assert_eq!(steady(&Exposition::read(&again.expect_code(0).stdout)), steady(&told));
        promtool(&["check", "metrics"], &sandbox.read(FILE));
    }
    told_of.sort_unstable();
    assert_eq!(told_of, symbols, "each is exactly one's");
}

// The exporter.

/// Asserts that a node exporter tells the whole file, and has nothing to complain about.
fn assert_scraped(sandbox: &Sandbox) {
    let Some(exporter) = Exporter::start(&sandbox.path("metrics")) else { return };
    let scraped = exporter.scrape();
    let own: String = scraped
        .split_inclusive('\n')
        .filter(|line| {
            line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with("mdctl_")
        })
        .collect();
    let sorted = |read: Exposition| {
        let mut samples: Vec<String> =
            read.samples.into_iter().map(|sample| format!("{sample:?}")).collect();
        samples.sort();
        samples
    };
    assert_eq!(sorted(Exposition::read(&own)), sorted(left(sandbox)));
    assert!(scraped.contains("\nnode_textfile_scrape_error 0\n"), "{scraped}");
    assert!(scraped.contains("node_textfile_mtime_seconds{file="), "{scraped}");
}

#[test]
fn a_node_exporter_tells_all_of_it() {
    let (_server, sandbox) = partly_failing();
    sandbox.backfill(&[]).expect_code(1);
    assert_scraped(&sandbox);
    // And of a second run what is new, without being told.
    sandbox.backfill(&["--full"]).expect_code(1);
    assert_scraped(&sandbox);
}

#[test]
fn a_lag_that_grows_is_told() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    let at = |instant: &str| {
        let arguments = ["metrics", "--format", "prometheus", "--as-of", instant];
        let told = Exposition::read(&sandbox.mdctl(&arguments).expect_code(0).stdout);
        let lag = told.value("mdctl_series_lag_seconds", &[("symbol", "AAA"), ("timeframe", "1d")]);
        (lag, told.value("mdctl_series", &[("status", "stale")]))
    };
    assert_eq!(at(AS_OF), (0.0, 0.0));
    // Monday's bar is due at 20:20Z.
    let monday = (day("2024-03-18") + 20 * 3_600 + 20 * 60) as f64;
    assert_eq!(
        at("2024-03-20T20:20:00Z"),
        ((day("2024-03-20") + 20 * 3_600 + 1_200) as f64 - monday, 1.0)
    );
}
