//! An import among runs: it takes the lock and keeps to a pause, and nobody takes it for the schedule's.

use crate::support::market::rows;
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, Sandbox, daily_sessions, daily_stocks, faulty_stocks, group, polygon,
};

use super::{csv, import, unasked};

#[test]
fn health_and_whoever_asks_for_the_last_run_pass_it_over() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions()[..9])));
    let health = |sandbox: &Sandbox| sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json();
    let codes = |health: &serde_json::Value| -> Vec<String> {
        let issues = health["issues"].as_array().expect("a list");
        issues.iter().map(|issue| issue["code"].as_str().unwrap_or_default().to_owned()).collect()
    };
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    let first = health(&sandbox);
    assert!(codes(&first).contains(&"run_overdue".to_owned()), "{first}");
    assert_eq!(
        [&first["last_execution"], &first["last_success_at"]],
        [&serde_json::Value::Null; 2]
    );

    sandbox.backfill(&[]).expect_code(0);
    let good = health(&sandbox);
    // Three failed ones are no failed run, no high failure rate, and no job of the symbol's.
    for _ in 0..3 {
        import(&sandbox, &["gone/AAA_1d.csv"]).expect_code(2);
    }
    let then = health(&sandbox);
    assert_eq!(codes(&then), codes(&good));
    assert_eq!(then["last_execution"]["command"], "backfill");
    assert_eq!(then["last_success_at"], good["last_success_at"]);
    let status = sandbox.mdctl(&["status", "AAA", "--json"]).json();
    assert_eq!(
        [&status["status"], &status["last_error"]],
        [&serde_json::json!("completed"), &serde_json::Value::Null]
    );
    let slo = sandbox.mdctl(&["slo", "--json"]).json();
    let rate = slo["objectives"].as_array().expect("a list");
    let rate = rate.iter().find(|one| one["name"] == "run_success_rate").expect("one of runs");
    assert_eq!(
        (&rate["achieved"], &rate["measured"]),
        (&serde_json::json!(100.0), &serde_json::json!(1))
    );
    let runs = sandbox.mdctl(&["history", "--command", "import", "--json"]).json();
    assert_eq!(runs["count"], 4, "but they are on record");
    let metrics = sandbox.mdctl(&["metrics", "--format", "prometheus"]);
    metrics.expect_stdout("mdctl_runs_total{command=\"import\",status=\"failed\"} 3");
    metrics.expect_stdout("mdctl_last_run_info{command=\"backfill\"");
}

#[test]
fn a_dead_mans_switch_does_not_hear_of_it() {
    let server = Server::start(|_| Answer::ok(""));
    let more =
        format!("[notify.switch]\nkind = \"healthchecks\"\nurl = \"{}/ping\"\n", server.url());
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY) + &more;
    let sandbox = Sandbox::with(&config);
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions())));
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    assert_eq!(server.take_requests().len(), 0);
    sandbox.backfill(&[]).expect_code(0);
    assert!(server.take_requests().iter().any(|request| request.path.starts_with("/ping")));
}

#[test]
fn it_waits_for_the_lock_or_says_who_has_it() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::Hang);
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions())));
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    import(&sandbox, &["AAA_1d.csv"]).expect_code(75).expect_stderr("another run holds the lock");
    running.kill();
    import(&sandbox, &["AAA_1d.csv", "--wait", "1m"]).expect_code(0);
}

#[test]
fn a_pause_keeps_it_from_working_unless_the_glass_is_broken() {
    let (_server, sandbox) = unasked(&["AAA"]);
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions())));
    sandbox.mdctl(&["pause", "--for", "2h", "--reason", "moving house"]).expect_code(0);
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0).expect_stdout("import skipped");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 0);
    import(&sandbox, &["AAA_1d.csv", "--force", "--reason", "now or never"]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    let deeds = database.texts("SELECT concat_ws(' ', action, subject, reason) FROM audit_log");
    assert_eq!(deeds.last().map(String::as_str), Some("force import now or never"));
}
