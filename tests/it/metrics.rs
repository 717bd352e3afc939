//! `mdctl metrics` and the metrics file: every figure against the other reports and the database, counters
//! that never fall, a file that is whole whatever happens, and Prometheus' own programs as judges.

use std::fs;

use serde_json::Value;

use crate::support::market::{Market, day, sessions};
use crate::support::server::{Answer, Request, Server};
use crate::support::{AS_OF, DAILY, Sandbox, daily_sessions, group, polygon};

mod counters;
mod endings;
mod examples;
mod exposition;
mod tools;
mod window;

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
