//! Quotas that outlive the process: whoever asks, however often, whatever the clock does, a provider is
//! never sent more than it allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::market::Market;
use crate::support::server::{Answer, Reply, Request, Server};
use crate::support::{AS_OF, DAILY, Sandbox, daily_sessions, faulty_stocks, group, polygon};

const DAY_US: i64 = 86_400_000_000;

/// A config of daily `symbols` whose provider allows what `rate` says.
fn limited(url: &str, rate: &str, symbols: &[&str]) -> String {
    let usual = r#"rate = { requests = 1000, per = "1s" }"#;
    let config = polygon(url, "");
    assert!(config.contains(usual));
    config.replace(usual, &format!("rate = {rate}")) + &group("p", "stock", symbols, DAILY)
}

/// A server that has everything of `symbols`.
fn serving(symbols: &[&str]) -> Server {
    let market = Market::daily(symbols, &daily_sessions());
    Server::start(move |request| market.polygon(request))
}

/// Asserts that no window of `per` holds more than `most` requests.
#[track_caller]
fn expect_never_more(requests: &[Request], most: usize, per: Duration) {
    for pair in requests.windows(most + 1) {
        let apart = pair[most].at - pair[0].at;
        assert!(apart > per, "{} requests within {apart:?}", most + 1);
    }
}

/// Sets the clock, as far as what is remembered goes: as if it had been set by so much since.
fn set_clock(sandbox: &Sandbox, forward_us: i64) {
    let rules = sandbox.database().texts("SELECT rules FROM rate_state").remove(0);
    let mut rules: Value = serde_json::from_str(&rules).expect("rules");
    for (_, rule) in rules.as_object_mut().expect("an object") {
        for ended in rule.as_array_mut().expect("a window") {
            ended[0] = Value::from(ended[0].as_i64().expect("a time") - forward_us);
        }
    }
    sandbox.tamper(&format!(
        "UPDATE rate_state SET rules = '{rules}', saved_at_us = saved_at_us - {forward_us}"
    ));
}

#[test]
fn fifty_processes_in_a_row_send_not_one_too_many() {
    let server = serving(&["AAA"]);
    let sandbox =
        Sandbox::with(&limited(&server.url(), r#"{ requests = 5, per = "400ms" }"#, &["AAA"]));
    for _ in 0..50 {
        sandbox.backfill(&["--full", "-q"]).expect_code(0);
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 50);
    expect_never_more(&requests, 5, Duration::from_millis(400));
}

#[test]
fn killed_processes_leave_no_request_uncounted() {
    let server = Server::start(|_| Answer::Hang);
    let rate = r#"{ requests = 3, per = "700ms" }"#;
    let sandbox = Sandbox::with(&limited(&server.url(), rate, &["AAA", "BBB", "CCC"]));
    for round in 1..=6 {
        let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
        server.wait_for(2 * round);
        running.kill();
    }
    expect_never_more(&server.requests(), 3, Duration::from_millis(700));
}

#[test]
fn a_bucket_is_not_filled_by_starting_anew() {
    let server = serving(&["AAA"]);
    let rate = r#"{ requests = 10, per = "1s", burst = 4 }"#;
    let sandbox = Sandbox::with(&limited(&server.url(), rate, &["AAA"]));
    for _ in 0..16 {
        sandbox.backfill(&["--full", "-q"]).expect_code(0);
    }
    let requests = server.requests();
    let mut tokens = 4.0;
    for pair in requests.windows(2) {
        let grown = (pair[1].at - pair[0].at).as_secs_f64() * 10.0;
        tokens = f64::min(tokens - 1.0 + grown, 4.0);
        assert!(tokens >= 1.0 - 1e-3, "{tokens} tokens");
    }
}

#[test]
fn a_clock_that_is_set_gives_no_second_helping() {
    for forward_us in [-400 * DAY_US, -DAY_US, DAY_US, 400 * DAY_US] {
        let server = serving(&["AAA"]);
        let rate = r#"{ requests = 1, per = "1h" }"#;
        let sandbox = Sandbox::with(&limited(&server.url(), rate, &["AAA"]));
        sandbox.backfill(&[]).expect_code(0);
        set_clock(&sandbox, forward_us);
        sandbox.backfill(&["--full", "--max-duration", "5s"]).expect_code(4);
        assert_eq!(server.requests().len(), 1, "the clock was set by {forward_us} microseconds");
    }
}

#[test]
fn a_clock_that_is_set_stops_nothing_for_ever() {
    for forward_us in [-4_000 * DAY_US, 4_000 * DAY_US] {
        let server = serving(&["AAA"]);
        let rate = r#"{ requests = 1, per = "500ms" }"#;
        let sandbox = Sandbox::with(&limited(&server.url(), rate, &["AAA"]));
        sandbox.backfill(&[]).expect_code(0);
        set_clock(&sandbox, forward_us);
        sandbox.backfill(&["--full", "--max-duration", "30s"]).expect_code(0);
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn after_a_restart_of_the_machine_the_clock_tells_how_much_time_has_passed() {
    let server = serving(&["AAA"]);
    let rate = r#"{ requests = 1, per = "1000d" }"#;
    let sandbox = Sandbox::with(&limited(&server.url(), rate, &["AAA"]));
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper("UPDATE rate_state SET boot_id = 'another'");
    sandbox.backfill(&["--full", "--max-duration", "5s"]).expect_code(4);
    set_clock(&sandbox, 1_001 * DAY_US);
    sandbox.backfill(&["--full", "--max-duration", "30s"]).expect_code(0);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn another_limit_gives_no_second_helping() {
    let server = serving(&["AAA", "BBB", "CCC"]);
    let symbols = ["AAA", "BBB", "CCC"];
    let sandbox =
        Sandbox::with(&limited(&server.url(), r#"{ requests = 3, per = "1h" }"#, &symbols));
    sandbox.backfill(&[]).expect_code(0);
    let wider = limited(&server.url(), r#"{ requests = 4, per = "1h" }"#, &symbols);
    sandbox.write("mdctl.toml", wider);
    sandbox.backfill(&["--full", "--max-duration", "5s"]).expect_code(4);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_memory_that_cannot_be_read_counts_as_used_up_and_stops_nothing() {
    for damage in [
        "UPDATE rate_state SET rules = '[]'",
        "UPDATE rate_state SET rules = '{\"1/1h\":\"x\"}'; DELETE FROM breaker_state",
    ] {
        let server = serving(&["AAA"]);
        let rate = r#"{ requests = 1, per = "1h" }"#;
        let sandbox = Sandbox::with(&limited(&server.url(), rate, &["AAA"]));
        sandbox.backfill(&[]).expect_code(0);
        sandbox.tamper(damage);
        sandbox.backfill(&["--full", "--max-duration", "5s"]).expect_code(4);
        assert_eq!(server.requests().len(), 1, "{damage}");
    }
}

#[test]
fn shards_divide_the_quota() {
    let symbols: Vec<String> = (0..16).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let server = serving(&symbols);
    let config = limited(&server.url(), r#"{ requests = 4, per = "500ms" }"#, &symbols);
    let sandboxes = [Sandbox::with(&config), Sandbox::with(&config)];
    let running: Vec<_> = sandboxes
        .iter()
        .zip(["0/2", "1/2"])
        .map(|(sandbox, shard)| sandbox.start(&["backfill", "--as-of", AS_OF, "--shard", shard]))
        .collect();
    for running in running {
        assert_eq!(running.wait(), Some(0));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 16, "each symbol is one shard's");
    expect_never_more(&requests, 4, Duration::from_millis(500));
    let jobs = |at: usize| sandboxes[at].database().number("SELECT count(*) FROM jobs");
    assert_eq!(jobs(0) + jobs(1), 16);
    assert!(jobs(0) > 0 && jobs(1) > 0);
}

#[test]
fn a_tight_quota_defers_and_never_fails_and_the_next_run_takes_up_what_is_left() {
    let symbols = ["AAA", "BBB", "CCC", "DDD", "EEE"];
    let server = serving(&symbols);
    let config = limited(&server.url(), r#"{ requests = 2, per = "1h" }"#, &symbols);
    let sandbox = Sandbox::with(&config);
    let output = sandbox.backfill(&["--max-duration", "20s", "--json"]);
    output.expect_code(4);
    assert_eq!(output.json()["deferred"].as_array().map(Vec::len), Some(3));
    let database = sandbox.database();
    let run = database
        .texts("SELECT concat_ws(' ', status, successful, failed, deferred, exit_code) FROM runs");
    assert_eq!(run, ["deferred 2 0 3 4"]);
    assert_eq!(database.number("SELECT count(*) FROM failures"), 0);
    assert_eq!(server.take_requests().len(), 2);
    sandbox.tamper("DELETE FROM rate_state");
    sandbox.backfill(&["--max-duration", "20s"]).expect_code(4);
    let mut asked: Vec<String> =
        server.take_requests().iter().map(|request| request.path.clone()).collect();
    asked.sort();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].contains("/CCC/") && asked[1].contains("/DDD/"), "{asked:?}");
}

#[test]
fn whoever_stands_first_in_the_plan_goes_first_through_a_tight_quota() {
    let symbols = ["AAA", "BBB", "CCC", "ZZZ"];
    let server = serving(&symbols);
    let config = limited(&server.url(), r#"{ requests = 1, per = "100ms" }"#, &symbols[..3])
        + &group("p", "etf", &["ZZZ"], &format!("priority = 5\n{DAILY}"));
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&["--parallel", "4"]).expect_code(0);
    let order: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.path.split('/').nth(4).unwrap_or_default().to_owned())
        .collect();
    // Whoever comes to the gate before anybody else does not wait for them.
    let plan = ["ZZZ", "AAA", "BBB", "CCC"];
    let later: Vec<&str> = plan.into_iter().filter(|symbol| *symbol != order[0]).collect();
    assert_eq!(order[1..], later);
}

#[test]
fn a_long_ban_is_remembered_and_later_runs_ask_nothing() {
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB"], |_| {
        Answer::Whole(Reply::new(429, "{}").with("Retry-After", 3_600))
    });
    sandbox.backfill(&["--parallel", "1"]).expect_code(1);
    assert_eq!(server.take_requests().len(), 2);
    let output = sandbox.backfill(&[]);
    output.expect_code(4);
    assert_eq!(server.requests().len(), 0);
    let jobs = sandbox
        .database()
        .texts("SELECT status || ' ' || last_error FROM jobs ORDER BY run_id DESC LIMIT 2");
    assert!(
        jobs.iter().all(|job| job.starts_with("deferred") && job.contains("as it wished")),
        "{jobs:?}"
    );
    // Its time is up.
    sandbox.tamper("UPDATE rate_state SET held_until_us = saved_at_us - 1");
    sandbox.backfill(&["--parallel", "1"]).expect_code(1);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_long_wait_that_one_symbol_is_told_is_no_others() {
    let market = Market::daily(&["AAA", "CCC"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA", "BAD", "CCC"], move |request| {
        match request.path.contains("/BAD/") {
            true => Answer::Whole(Reply::new(429, "{}").with("Retry-After", 3_600)),
            false => market.polygon(request),
        }
    });
    sandbox.backfill(&["--parallel", "1"]).expect_code(1);
    assert_eq!(server.take_requests().len(), 3);
    let later = sandbox.backfill(&["--full", "--json"]);
    later.expect_code(4);
    assert_eq!(later.json()["deferred"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.requests().len(), 2, "it is not asked for, and the others are");
}

#[test]
fn a_ban_is_of_the_caller_and_nobody_else_is_asked_for() {
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB", "CCC"], |_| {
        Answer::Whole(Reply::new(418, "{}").with("Retry-After", 3_600))
    });
    sandbox.backfill(&["--parallel", "1"]).expect_code(1);
    sandbox.backfill(&["--parallel", "1"]).expect_code(4);
    assert_eq!(server.requests().len(), 1);
    let jobs = sandbox.database().texts("SELECT status FROM jobs ORDER BY run_id, symbol");
    assert_eq!(jobs, ["failed", "deferred", "deferred", "deferred", "deferred", "deferred"]);
}

#[test]
fn a_ban_of_centuries_is_not_believed() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| {
        Answer::Whole(Reply::new(429, "{}").with("Retry-After", u64::MAX))
    });
    sandbox.backfill(&[]).expect_code(2);
    let days = sandbox
        .database()
        .number("SELECT (held_until_us - saved_at_us) / 86400000000 FROM rate_state");
    assert!(days <= 3, "{days} days");
}

#[test]
fn a_providers_own_word_that_its_quota_is_used_up_is_obeyed() {
    let market = Market::daily(&["AAA", "BBB"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB"], move |request| {
        let Answer::Whole(reply) = market.polygon(request) else { panic!("a page") };
        let reset = mdctl::clock::now() + 3_600;
        Answer::Whole(reply.with("X-RateLimit-Remaining", 0).with("X-RateLimit-Reset", reset))
    });
    sandbox.backfill(&["--parallel", "1", "--max-duration", "20s"]).expect_code(4);
    assert_eq!(server.requests().len(), 1);
    sandbox.backfill(&["--max-duration", "20s"]).expect_code(4);
    assert_eq!(server.requests().len(), 1, "nor does the next run ask");
}

#[test]
fn each_redirect_is_a_request_of_its_own() {
    let market = Market::daily(&["AAA", "BBB"], &daily_sessions());
    let server = Server::start(move |request| {
        let hop: u32 = request.parameter("hop").map_or(0, |hop| hop.parse().expect("a number"));
        if hop == 2 {
            return market.polygon(request);
        }
        let to = format!("{}?limit=5000&hop={}", request.path, hop + 1);
        Answer::Whole(Reply::new(302, "").with("Location", to))
    });
    let config = limited(&server.url(), r#"{ requests = 2, per = "300ms" }"#, &["AAA", "BBB"]);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&["--max-requests", "2"]).expect_code(4);
    assert_eq!(server.requests().len(), 2);
    sandbox.backfill(&[]).expect_code(0);
    let requests = server.requests();
    assert_eq!(requests.len(), 2 + 6);
    expect_never_more(&requests, 2, Duration::from_millis(300));
    let database = sandbox.database();
    assert_eq!(database.numbers("SELECT requests FROM runs ORDER BY run_id"), [2, 6]);
    assert_eq!(database.number("SELECT count(*) FROM fetch_log WHERE http_status = 302"), 6);
    assert_eq!(database.number("SELECT sum(retry_count) FROM jobs"), 0);
}

#[test]
fn a_short_wait_that_was_asked_for_holds_for_the_next_process_too() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| match request.seen {
        0..3 => Answer::Whole(Reply::new(429, "{}").with("Retry-After", 1)),
        _ => market.polygon(request),
    });
    // Three tries, then it is given up.
    sandbox.backfill(&[]).expect_code(2);
    sandbox.backfill(&[]).expect_code(0);
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for pair in requests.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_secs(1), "it came too early");
    }
}

#[test]
fn a_429_halves_what_is_in_flight_and_the_next_run_begins_there() {
    let symbols: Vec<String> = (0..12).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let market = Market::daily(&symbols, &daily_sessions());
    let (asked, flying, most) =
        (AtomicUsize::new(0), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let (_server, sandbox) = faulty_stocks(&symbols, move |request| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            return Answer::Whole(Reply::new(429, "{}").with("Retry-After", 0));
        }
        highest.fetch_max(flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        (0..200).for_each(|_| std::thread::yield_now());
        let answer = market.polygon(request);
        flying.fetch_sub(1, Ordering::SeqCst);
        answer
    });
    let cut = || sandbox.database().numbers("SELECT concurrency FROM rate_state");
    sandbox.backfill(&["S00", "--parallel", "8"]).expect_code(0);
    assert_eq!(cut(), [4]);
    // Four good calls are a step, five more the next, and three are left of twelve.
    sandbox.backfill(&["--full", "--parallel", "8"]).expect_code(0);
    assert_eq!(cut(), [6]);
    assert!(most.load(Ordering::SeqCst) <= 6, "{} at once", most.load(Ordering::SeqCst));
}

#[test]
fn waiting_for_the_quota_takes_nothing_of_the_patience_for_a_place() {
    let symbols = ["AAA", "BBB", "CCC", "DDD"];
    let market = Market::daily(&symbols, &daily_sessions());
    let asked = AtomicUsize::new(0);
    // The third one keeps its place for a while.
    let server = Server::start(move |request| match asked.fetch_add(1, Ordering::SeqCst) {
        2 => Answer::Hang,
        _ => market.polygon(request),
    });
    let narrow = "request_timeout = \"300ms\"
        bulkhead = { max_concurrent = 1, timeout = \"900ms\" }
        rate =";
    let config = limited(&server.url(), r#"{ requests = 2, per = "1s" }"#, &symbols);
    let sandbox = Sandbox::with(&config.replace("rate =", narrow));
    sandbox.backfill(&["--parallel", "4"]).expect_code(0);
    assert_eq!(sandbox.database().number("SELECT failed FROM runs"), 0);
}

#[test]
fn a_damaged_row_is_called_so() {
    let server = serving(&["AAA"]);
    let sandbox =
        Sandbox::with(&limited(&server.url(), r#"{ requests = 9, per = "1s" }"#, &["AAA"]));
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper("UPDATE rate_state SET unsettled = 99999999999");
    sandbox.backfill(&["--full"]).expect_code(74).expect_stderr("restore a backup");
}

#[test]
fn who_waits_in_a_long_queue_says_so_now_and_then() {
    let symbols: Vec<String> = (0..30).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let server = serving(&symbols);
    let rate = r#"{ requests = 100, per = "1s", burst = 1 }"#;
    let sandbox = Sandbox::with(&limited(&server.url(), rate, &symbols));
    let output = sandbox.backfill(&["-vv", "--parallel", "30"]);
    let said = output.expect_code(0).stderr.matches("waiting for the quota").count();
    assert!((1..=150).contains(&said), "{said} times, where 30 waited for at most 29 others each");
}

#[test]
fn a_run_tells_how_long_it_waited_and_symbols_that_wait_together_wait_once() {
    let symbols = ["AAA", "BBB", "CCC", "DDD"];
    let server = serving(&symbols);
    let config = limited(&server.url(), r#"{ requests = 1, per = "1s" }"#, &symbols);
    let sandbox = Sandbox::with(&config);
    let output = sandbox.backfill(&["--parallel", "4", "--json"]);
    let run = &output.expect_code(0).json()["run"];
    let number = |name: &str| run[name].as_i64().expect("a number");
    // The second goes after one second, the fourth after three; two or three wait at a time.
    assert!(number("quota_wait_seconds") >= 2, "{run}");
    assert!(number("quota_wait_seconds") <= number("duration_seconds"), "{run}");
    let working = number("duration_seconds") - number("quota_wait_seconds");
    assert_eq!(number("working_seconds"), working, "{run}");
}
