//! Runs that end before their work is done: budgets, deadlines, signals, and the lock.

use std::sync::{Arc, Mutex, mpsc};

use rustix::process::Signal;

use crate::support::market::{Market, rows};
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, Sandbox, daily_sessions, daily_stocks, faulty_stocks, group, polygon, wait_until,
};

const SYMBOLS: [&str; 5] = ["AAA", "BBB", "CCC", "DDD", "EEE"];

/// A sandbox whose runs have so much grace, and a server that has `AAA` and hangs for all others.
fn hanging(grace: &str) -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| match request.path.contains("/AAA/") {
        true => market.polygon(request),
        false => Answer::Hang,
    });
    let config = polygon(&server.url(), "")
        .replace("[run]", &format!("[run]\ngrace = \"{grace}\""))
        + &group("p", "stock", &SYMBOLS, DAILY);
    (server, Sandbox::with(&config))
}

fn run(sandbox: &Sandbox) -> String {
    sandbox
        .database()
        .texts(
            "SELECT concat_ws(' ', status, successful, failed, deferred, skipped, exit_code)
             FROM runs ORDER BY run_id DESC LIMIT 1",
        )
        .remove(0)
}

// Budgets.

#[test]
fn no_more_requests_are_sent_than_allowed_and_the_next_run_takes_up_the_rest() {
    let (server, sandbox) = daily_stocks(&SYMBOLS);
    sandbox.backfill(&["--max-requests", "3"]).expect_code(4);
    assert_eq!(server.take_requests().len(), 3);
    assert_eq!(run(&sandbox), "deferred 3 0 2 0 4");
    sandbox.backfill(&["--max-requests", "3"]).expect_code(0);
    assert_eq!(server.take_requests().len(), 2);
    sandbox.backfill(&["--max-requests", "0"]).expect_code(0);
    sandbox.backfill(&["--full", "--max-requests", "0"]).expect_code(4);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn retries_and_further_pages_count_as_requests() {
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(7);
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| match request.seen {
        0 => Answer::status(503, "busy"),
        _ => market.polygon(request),
    });
    sandbox.backfill(&["--max-requests", "3"]).expect_code(4);
    assert_eq!(server.take_requests().len(), 3);
    // One page is stored, and of the rest alone is asked.
    assert_eq!(sandbox.database().times("AAA", "1d").len(), 7);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().bars("AAA", "1d"), rows(&daily_sessions()));
}

#[test]
fn when_the_time_is_up_what_hangs_is_left_for_the_next_run() {
    let (_server, sandbox) = hanging("50ms");
    sandbox.backfill(&["--max-duration", "1s"]).expect_code(4);
    assert_eq!(run(&sandbox), "deferred 1 0 4 0 4");
    let database = sandbox.database();
    assert_eq!(database.number("SELECT count(*) FROM failures"), 0);
    let kinds = database.texts("SELECT DISTINCT error_kind FROM fetch_log WHERE success = 0");
    assert_eq!(kinds, ["deadline"]);
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    let breaker = database.texts("SELECT state || ' ' || failure_count FROM breaker_state");
    assert_eq!(breaker, ["closed 0"], "what was cut off says nothing of the provider");
}

#[test]
fn the_configs_deadline_holds_where_no_flag_is_given() {
    let (_server, sandbox) = hanging("50ms");
    let config = sandbox.read("mdctl.toml").replace("[run]", "[run]\ndeadline = \"1s\"");
    sandbox.write("mdctl.toml", config);
    sandbox.backfill(&[]).expect_code(4);
    sandbox.backfill(&["--max-duration", "10h"]).expect_code(4);
}

// Signals.

#[test]
fn a_signal_ends_the_run_after_its_grace_and_keeps_what_is_finished() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (server, sandbox) = hanging("50ms");
        let mut config = sandbox.read("mdctl.toml");
        config.push_str("[log]\nfile = \"run.log\"\n");
        sandbox.write("mdctl.toml", config);
        let running = sandbox.start(&["backfill", "--as-of", AS_OF, "--parallel", "2"]);
        server.wait_for(3);
        wait_until(|| sandbox.database().times("AAA", "1d").len() == 21);
        running.signal(signal);
        assert_eq!(running.wait(), Some(code));
        assert_eq!(run(&sandbox), format!("interrupted 1 0 0 4 {code}"));
        let database = sandbox.database();
        assert_eq!(database.number("SELECT count(*) FROM failures"), 0);
        let jobs = database.texts("SELECT status FROM jobs ORDER BY symbol");
        assert_eq!(jobs, ["completed", "skipped", "skipped", "skipped", "skipped"]);
        let cut = database.texts("SELECT error_kind FROM fetch_log WHERE success = 0");
        assert_eq!(cut, ["cancelled", "cancelled"]);
        let log = sandbox.path("mdctl.db-wal");
        assert!(sandbox.holds("the run is being stopped; what is in flight may finish"));
        assert_eq!(std::fs::metadata(log).map_or(0, |file| file.len()), 0, "the log is emptied");
    }
}

#[test]
fn a_page_in_flight_has_the_grace_to_come() {
    let market = Market::daily(&SYMBOLS, &daily_sessions());
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = Server::start(move |request| {
        let _ = held.lock().expect("a lock").recv();
        market.polygon(request)
    });
    let config = polygon(&server.url(), "").replace("[run]", "[run]\ngrace = \"1h\"")
        + &group("p", "stock", &SYMBOLS, DAILY);
    let sandbox = Sandbox::with(&config);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF, "--parallel", "1"]);
    server.wait_for(1);
    running.signal(Signal::TERM);
    release.send(()).expect("the server waits");
    drop(release);
    assert_eq!(running.wait(), Some(143));
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
    assert!(run(&sandbox).starts_with("interrupted"), "{}", run(&sandbox));
}

#[test]
fn a_second_signal_ends_at_once() {
    let (server, sandbox) = hanging("1h");
    let mut running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(4);
    wait_until(|| sandbox.database().times("AAA", "1d").len() == 21);
    let mut code = None;
    while code.is_none() {
        running.signal(Signal::TERM);
        std::thread::yield_now();
        code = running.ended();
    }
    assert_eq!(code, Some(Some(143)));
    assert_eq!(sandbox.database().texts("SELECT status FROM runs"), ["running"]);
    server.answer_with(|_| Answer::status(404, "{}"));
    sandbox.backfill(&[]).expect_code(1);
    let runs = sandbox.database().texts(
        "SELECT concat_ws(' ', status, symbols_total, successful, skipped, requests, records_inserted)
         FROM runs ORDER BY run_id",
    );
    assert_eq!(runs[0], "crashed 5 1 4 1 21", "what was in flight never told");
    assert!(runs[1].starts_with("partial"), "{runs:?}");
}

#[test]
fn a_signal_while_it_waits_between_tries_ends_it_too() {
    let server = Server::start(|_| Answer::status(503, "busy"));
    let config = polygon(&server.url(), "").replace(
        r#"initial = "1ms", max = "2s""#,
        r#"initial = "1h", max = "2h", jitter = "none""#,
    ) + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    wait_until(|| sandbox.database().number("SELECT count(*) FROM fetch_log") == 1);
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(130));
    assert_eq!(run(&sandbox), "interrupted 0 0 0 1 130");
}

// The lock.

#[test]
fn a_second_run_ends_at_once_or_waits_as_it_is_told() {
    let (server, sandbox) = hanging("50ms");
    let first = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(4);
    sandbox.backfill(&[]).expect_code(75).expect_stderr("--wait");
    sandbox.backfill(&["--wait", "50ms"]).expect_code(75);
    let waiting = sandbox.start(&["backfill", "--as-of", AS_OF, "--wait", "5m"]);
    wait_until(|| lock_holders(&sandbox) >= 2);
    server.answer_with({
        let market = Market::daily(&SYMBOLS, &daily_sessions());
        move |request| market.polygon(request)
    });
    // The lock dies with its process.
    first.kill();
    assert_eq!(waiting.wait(), Some(0));
    let runs = sandbox.database().texts("SELECT status FROM runs ORDER BY run_id");
    assert_eq!(runs, ["crashed", "succeeded"]);
}

/// How many open files the system knows of this sandbox's lock.
fn lock_holders(sandbox: &Sandbox) -> usize {
    let path = sandbox.path("mdctl.db.lock");
    let processes = std::fs::read_dir("/proc").expect("the processes").flatten();
    processes
        .filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok())
        .flat_map(|files| files.flatten())
        .filter(|file| std::fs::read_link(file.path()).is_ok_and(|target| target == path))
        .count()
}

#[test]
fn two_names_of_one_database_are_one_lock() {
    let (server, sandbox) = hanging("50ms");
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    std::os::unix::fs::symlink("mdctl.db", sandbox.path("link.db")).expect("a link");
    let _first = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(4);
    sandbox.backfill(&["--db", "link.db"]).expect_code(75);
}

#[test]
fn a_signal_ends_the_wait_for_the_lock() {
    let (server, sandbox) = hanging("50ms");
    let _first = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(4);
    let waiting = sandbox.start(&["backfill", "--as-of", AS_OF, "--wait", "5m"]);
    wait_until(|| lock_holders(&sandbox) >= 2);
    waiting.signal(Signal::TERM);
    assert_eq!(waiting.wait(), Some(143));
}

#[test]
fn two_databases_do_not_block_each_other() {
    let (server, sandbox) = hanging("50ms");
    let _first = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(4);
    sandbox.backfill(&["AAA", "--db", "other.db"]).expect_code(0);
}

// Other providers.

#[test]
fn a_provider_that_hangs_keeps_no_other_from_working() {
    let hanging = Server::start(|_| Answer::Hang);
    let others = ["V", "W", "X", "Y", "Z"];
    let market = Market::daily(&others, &daily_sessions());
    let serving = Server::start(move |request| market.polygon(request));
    let second = format!(
        "\n[providers.q]\nkind = \"polygon\"\nbase_url = \"{}\"\napi_key = {{ env = \"KEY\" }}\nhistory = \"20y\"\nrate = {{ requests = 1000, per = \"1s\" }}\n",
        serving.url()
    );
    let config = polygon(&hanging.url(), "")
        + &second
        + &group("p", "stock", &SYMBOLS, DAILY)
        + &group("q", "etf", &others, DAILY);
    let sandbox = Sandbox::with(&config);
    let _running = sandbox.start(&["backfill", "--as-of", AS_OF, "--parallel", "3"]);
    hanging.wait_for(1);
    serving.wait_for(5);
    wait_until(|| sandbox.database().number("SELECT count(*) FROM bars") == 5 * 21);
}

#[test]
fn a_provider_that_waits_for_its_quota_keeps_no_other_from_working() {
    let slow = Arc::new(Market::daily(&SYMBOLS, &daily_sessions()));
    let waiting = Server::start(move |request| slow.polygon(request));
    let market = Market::daily(&["Z"], &daily_sessions());
    let serving = Server::start(move |request| market.polygon(request));
    let second = format!(
        "\n[providers.q]\nkind = \"polygon\"\nbase_url = \"{}\"\napi_key = {{ env = \"KEY\" }}\nhistory = \"20y\"\nrate = {{ requests = 1000, per = \"1s\" }}\n",
        serving.url()
    );
    let tight = polygon(&waiting.url(), "")
        .replace(r#"requests = 1000, per = "1s""#, r#"requests = 1, per = "1h""#);
    let config =
        tight + &second + &group("p", "stock", &SYMBOLS, DAILY) + &group("q", "etf", &["Z"], DAILY);
    let sandbox = Sandbox::with(&config);
    let _running = sandbox.start(&["backfill", "--as-of", AS_OF, "--parallel", "1"]);
    wait_until(|| {
        sandbox.path("mdctl.db").exists()
            && sandbox.database().0.query_row("SELECT count(*) FROM bars", [], |row| row.get(0))
                == Ok(2 * 21)
    });
}
