//! Figures over a window, and what is left of a quota.

use serde_json::Value;

use super::{document, left, number, partly_failing, told, watched, watched_at};
use crate::support::server::{Answer, Reply};
use crate::support::{AS_OF, Sandbox, fields, wait_until};

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
         INSERT INTO fetch_log (run_id, symbol, timeframe, provider, started_at, range_from, range_to, attempt, http_status, error_kind,
             response_time_ms, bytes, records_fetched, records_inserted, records_rejected, records_dropped, success)
             SELECT 'run', 'AAA', '1d', 'p', unixepoch(), 0, 1, 1 + (column1 % 10 = 0),
             200, iif(column1 % 50 = 0, 'rate_limited', NULL), column1, 7, 0, 0, 0, 0, column1 % 50 <> 0
             FROM (VALUES {});
         -- A file that was read is no request.
         INSERT INTO fetch_log (run_id, symbol, timeframe, provider, started_at, range_from, range_to, attempt, http_status, error_kind,
             response_time_ms, bytes, records_fetched, records_inserted, records_rejected, records_dropped, success)
             VALUES ('run', 'AAA', '1d', 'f', unixepoch(), 0, 1, 1, NULL, NULL, 9999999, 7, 0, 0, 0, 0, 1)",
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

/// What the reports say that rest on the requests of many runs.
fn both(sandbox: &Sandbox) -> (Value, Value) {
    let mut metrics = document(sandbox, &["metrics"])["fetch_pipeline"].clone();
    // It grows back meanwhile.
    metrics["api_quota_remaining"] = Value::Null;
    (metrics, document(sandbox, &["slo"])["objectives"].clone())
}

/// What a database is summed up by that comes from an earlier version.
fn sums_of_migration() -> String {
    let migration = include_str!("../../../migrations/0006_what_speed_needs.sql");
    let begins = ["INSERT INTO run_", "UPDATE runs SET summed = 1"];
    let statements = migration.split(";\n").map(str::trim_start);
    let sums = statements.filter(|sql| begins.iter().any(|begin| sql.starts_with(begin)));
    sums.map(|sql| format!("{sql};\n")).collect()
}

#[test]
fn sums_of_ended_runs_say_what_their_rows_say() {
    let (_server, sandbox) = partly_failing();
    sandbox.backfill(&[]).expect_code(1);
    sandbox.backfill(&["--full"]).expect_code(1);
    let number = |sql: &str| sandbox.database().number(sql);
    assert_eq!(number("SELECT min(summed) FROM runs"), 1);
    let requests =
        "SELECT count(*) FROM fetch_log WHERE http_status IS NOT NULL OR error_kind IS NOT NULL";
    assert_eq!(number("SELECT sum(requests) FROM run_requests"), number(requests));
    let sums = || {
        let rows = "SELECT run_id || ' ' || response_time_ms || ' ' || requests || ' ' || successful || ' ' ||
             rate_limited || ' ' || retries || ' ' || bytes FROM run_requests ORDER BY run_id, response_time_ms";
        sandbox.database().texts(rows)
    };
    let (by_runs, summed) = (sums(), both(&sandbox));
    // They are what is read.
    sandbox.tamper("UPDATE run_requests SET bytes = bytes + 1000");
    assert_ne!(both(&sandbox).0, summed.0);
    // And go as soon as one of the rows that they are made of changes, or goes.
    sandbox.tamper(
        "UPDATE fetch_log SET bytes = bytes WHERE rowid = (SELECT min(rowid) FROM fetch_log)",
    );
    assert_eq!(number("SELECT count(DISTINCT run_id) FROM run_requests"), 1);
    sandbox.tamper("UPDATE fetch_log SET bytes = bytes");
    assert_eq!(
        number("SELECT (SELECT count(*) FROM run_requests) + (SELECT count(*) FROM run_tails)"),
        0
    );
    assert_eq!(both(&sandbox), summed);
    sandbox.tamper(&sums_of_migration());
    assert_eq!((sums(), both(&sandbox)), (by_runs, summed));
    // Also where bars came at the tail, some of them late.
    sandbox.tamper(
        "UPDATE fetch_log SET range_from = (SELECT max(started_at) FROM runs) - 86400,
             response_time_ms = 60000 +
                 (symbol = (SELECT min(symbol) FROM fetch_log WHERE records_inserted > 0)),
             started_at = (SELECT started_at FROM runs WHERE runs.run_id = fetch_log.run_id)",
    );
    let told = both(&sandbox);
    let detection =
        told.1.as_array().expect("objectives").iter().find(|it| it["name"] == "detection");
    assert!(
        detection.expect("it is judged")["achieved"].as_f64().is_some_and(|share| share < 100.0)
    );
    sandbox.tamper(&sums_of_migration());
    assert!(number("SELECT count(DISTINCT after_seconds) FROM run_tails") == 2);
    assert_eq!(both(&sandbox), told);
}

#[test]
fn of_a_run_that_began_before_the_window_only_later_requests_count() {
    let (_server, sandbox) = watched(&["AAA", "BBB"], "");
    sandbox.backfill(&[]).expect_code(0);
    sandbox.backfill(&["--full"]).expect_code(0);
    let rows = sandbox.database().number("SELECT count(*) FROM fetch_log");
    // The first run began long ago, and some of its requests were made then; its sums are put back.
    sandbox.tamper(
        "UPDATE fetch_log SET started_at = started_at - 7200
          WHERE run_id = (SELECT min(run_id) FROM runs) AND symbol = 'AAA';
         UPDATE runs SET started_at = started_at - 7200, summed = 1 WHERE summed = 0;
         INSERT INTO run_requests SELECT run_id, 1, count(*), count(*), 0, 0, 0 FROM fetch_log
          WHERE run_id = (SELECT min(run_id) FROM runs)",
    );
    let total = |window: &str| {
        number(
            &document(&sandbox, &["metrics", "--window", window])["fetch_pipeline"]["total_fetches"],
        )
    };
    assert_eq!(total("24h"), rows as f64);
    assert_eq!(total("1h"), (rows - rows / 4) as f64);
    // One that had ended by then is not looked at.
    sandbox.tamper("UPDATE runs SET completed_at = started_at + 1 WHERE run_id = (SELECT min(run_id) FROM runs)");
    assert_eq!(total("1h"), (rows / 2) as f64);
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
        let reply = Reply::new(429, "{}");
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
