//! Counters never fall, and count each run once.

use super::exposition::Exposition;
use super::tools::promtool;
use super::{
    FILE, counters_agree, document, left, partly_failing, status, steady, told, watched_at,
};
use crate::support::market::Market;
use crate::support::server::Answer;
use crate::support::{AS_OF, daily_sessions, wait_until};

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
    counters_agree(&sandbox, &told(&sandbox));
    sandbox.backfill(&["--force", "--reason", "a test"]).expect_code(0);
    counters_agree(&sandbox, &told(&sandbox));
}
