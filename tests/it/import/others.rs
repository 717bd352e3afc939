//! An import among runs: it takes the lock and keeps to a pause, and nobody takes it for the schedule's.

use rustix::process::Signal;

use crate::support::market::{Market, day, rows, sessions};
use crate::support::server::{Answer, Request, Server};
use crate::support::{
    AS_OF, DAILY, Sandbox, asked, daily_sessions, daily_stocks, faulty_stocks, group, polygon,
    wait_until,
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

/// The codes of what is wrong.
fn codes(health: &serde_json::Value) -> Vec<&str> {
    let issues = health["issues"].as_array().expect("a list");
    issues.iter().filter_map(|issue| issue["code"].as_str()).collect()
}

#[test]
fn many_bad_files_hide_no_provider_that_is_down() {
    let (_server, sandbox) = unasked(&["AAA", "BBB"]);
    sandbox.backfill(&[]).expect_code(2);
    let health = || sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json();
    let before = health();
    assert!(codes(&before).contains(&"provider_down"), "{before}");
    let gone: Vec<String> = (0..60).map(|n| format!("{n}/AAA_1d.csv")).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    import(&sandbox, &gone).expect_code(2);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM failures"), 62);
    let after = health();
    assert_eq!(codes(&after), codes(&before));
    assert_eq!(after["recent_failures"], before["recent_failures"]);
    let json = sandbox.mdctl(&["history", "last", "--json"]).json();
    assert_eq!(json["failures"].as_array().map(Vec::len), Some(60), "there they are");
}

#[test]
fn while_it_is_at_work_the_others_are_overdue_all_the_same() {
    let sandbox = super::files::minutes(320_000);
    let running = sandbox.start(&["import", "BTCUSDT_1m.csv", "--no-features"]);
    wait_until(|| super::files::stored(&sandbox) > 0);
    running.signal(Signal::STOP);
    let health = sandbox.mdctl(&["health", "--json"]).json();
    assert_eq!(health["running"]["command"], "import", "{health}");
    let issues = health["issues"].as_array().expect("a list");
    let overdue = issues.iter().find(|issue| issue["code"] == "run_overdue").expect("it is");
    let words = |name: &str| overdue[name].as_str().unwrap_or_default().to_owned();
    assert!(words("message").contains("keeps others waiting"), "{overdue}");
    assert!(words("hint").starts_with("mdctl status; let the import end"), "{overdue}");
    let told = sandbox.mdctl(&["doctor", "--json"]).json();
    let checks = told["findings"].as_array().expect("a list");
    let last = checks.iter().find(|one| one["code"] == "last_run").expect("it is looked at");
    assert_eq!(last["message"], "nothing has run yet");
    running.kill();
}

#[test]
fn its_files_are_no_requests_whatever_providers_are_called() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let config = sandbox.read("mdctl.toml");
    let renamed = config.replace("[providers.p]", "[providers.import]");
    sandbox.write("mdctl.toml", renamed.replace("provider = \"p\"", "provider = \"import\""));
    sandbox.backfill(&[]).expect_code(0);
    let told = || {
        let fetch = sandbox.mdctl(&["metrics", "--json"]).json()["fetch_pipeline"].clone();
        let slo = sandbox.mdctl(&["slo", "--json"]).json();
        let mut slo = slo["objectives"].as_array().expect("a list").iter();
        let p99 = slo.find(|one| one["name"] == "fetch_p99").cloned().expect("it is promised");
        let totals = sandbox.mdctl(&["metrics", "--format", "prometheus"]).stdout;
        let totals = totals.lines().filter(|line| line.starts_with("mdctl_fetch_"));
        let totals: Vec<String> = totals.map(str::to_owned).collect();
        (
            ["total_fetches", "successful", "p99_response_time_ms", "bytes"]
                .map(|name| fetch[name].clone()),
            p99,
            totals,
        )
    };
    let before = told();
    assert!(
        before
            .2
            .contains(&"mdctl_fetch_requests_total{provider=\"import\",outcome=\"ok\"} 1".into()),
        "{before:?}"
    );
    import(&sandbox, &["gone/AAA_1d.csv"]).expect_code(2);
    assert_eq!(told(), before);
    let run = "SELECT requests FROM runs WHERE command = 'import'";
    assert_eq!(sandbox.database().numbers(run), [0]);
    let json = sandbox.mdctl(&["history", "last", "--json"]).json();
    assert_eq!(json["requests"], serde_json::json!({}));
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}

/// What `quality` says of every series: its timeframe, score and completeness.
fn quality(sandbox: &Sandbox) -> Vec<String> {
    let json = sandbox.mdctl(&["quality", "--json", "--as-of", AS_OF]).json();
    let rows = json["series"].as_array().expect("a list").iter();
    rows.map(|row| format!("{} {} {}", row["timeframe"], row["quality_score"], row["completeness"]))
        .collect()
}

#[test]
fn bars_older_than_the_lookback_are_kept_and_make_nothing_due() {
    let market = Market::daily(&["AAA"], &sessions("2013-01-02", AS_OF));
    let server = Server::start(move |request| market.polygon(request));
    let config = |lookback: &str| {
        let stocks = format!(
            "timeframes = [\"1d\", \"1w\"]\nlookback = {{ \"1d\" = \"{lookback}\", \"1w\" = \"{lookback}\" }}"
        );
        polygon(&server.url(), "") + &group("p", "stock", &["AAA"], &stocks)
    };
    let old = sessions("2015-03-02", "2015-03-27");
    let recently = |requests: &[Request]| {
        let asked = asked(requests);
        asked
            .iter()
            .filter(|ask| ask.starts_with("AAA 1d"))
            .all(|ask| ask.starts_with("AAA 1d 2024-0"))
    };
    for is_first in [true, false] {
        let sandbox = Sandbox::with(&config("60d"));
        sandbox.write("AAA_1d.csv", csv(&rows(&old)));
        if !is_first {
            sandbox.backfill(&[]).expect_code(0);
        }
        import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
        sandbox.backfill(&[]).expect_code(0);
        sandbox.mdctl(&["enrich", "--as-of", AS_OF]).expect_code(0);
        let database = sandbox.database();
        let days = database.times("AAA", "1d");
        assert_eq!(days[..20], old, "they are kept");
        assert!(days[20] > day("2024-01-01"));
        assert!(database.times("AAA", "1w")[3] < day("2015-04-01"), "weeks are made of them");
        assert_eq!(database.gaps("AAA"), Vec::<String>::new());
        assert_eq!(quality(&sandbox), ["\"1d\" 1.0 1.0", "\"1w\" 1.0 1.0"], "{is_first}");
        let figures =
            "SELECT CAST(completeness AS TEXT) FROM quality_metrics WHERE timeframe = '1d'
                        ORDER BY metric_date DESC LIMIT 1";
        assert_eq!(database.texts(figures), ["1.0"]);
        let health = sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json();
        assert!(!health["issues"].to_string().contains("low_quality"), "{health}");
        let requests = server.take_requests();
        assert!(recently(&requests), "{:?}", asked(&requests));
        // Who wants more of the provider says so.
        sandbox.write("mdctl.toml", config("3700d"));
        sandbox.backfill(&[]).expect_code(0);
        assert!(!recently(&server.take_requests()));
        let database = sandbox.database();
        assert!(database.times("AAA", "1d").len() > 2_500, "all of it is whole");
        assert_eq!(quality(&sandbox)[0], "\"1d\" 1.0 1.0");
    }
}
