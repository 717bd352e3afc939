//! Where the system has few threads for the program: a run works, or says what it lacks.

use std::process::Command;

use crate::crash::{assert_alike, contents};
use crate::support::server::{Answer, Request, Server};
use crate::support::shim::Shim;
use crate::support::{AS_OF, DAILY, Sandbox, daily_stocks, group, hanging, wait_until};

/// More than that no call needs.
const PLENTY: usize = 10;

const FILES: &str = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";

/// A call of `mdctl` in `sandbox`, for which the system has no more than so many threads.
fn with_threads(sandbox: &Sandbox, most: usize, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    Shim::of(sandbox).threads(&mut command, most);
    command
}

/// Asserts that a call that could have so many threads ended with a code of `codes`, or said that there were too
/// few; tells whether it worked.
#[track_caller]
fn has_worked(most: usize, code: Option<i32>, said: &str, codes: &[i32]) -> bool {
    assert!(!said.contains("panicked"), "{most} threads: {said}");
    let lacks = code == Some(74) && said.contains("cannot start the threads");
    let works = code.is_some_and(|code| codes.contains(&code));
    assert!(works || lacks && most < PLENTY, "{most} threads, {code:?}: {said}");
    works
}

/// A server that is asked by its name, and a folder of files.
fn world() -> (Server, Sandbox) {
    let (server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    let named = sandbox.read("mdctl.toml").replace("127.0.0.1", "localhost");
    let files = group("local", "crypto", &["X:BTCUSD", "X:ETHUSD"], DAILY);
    sandbox.write("mdctl.toml", named + FILES + &files);
    for symbol in ["X:BTCUSD", "X:ETHUSD"] {
        sandbox.write(&format!("data/{symbol}_1d.csv"), CSV);
    }
    (server, sandbox)
}

const CSV: &str = "ts,open,high,low,close\n2024-03-13,1,2,1,2\n2024-03-14,2,3,2,3\n";

#[test]
fn with_few_threads_a_run_works_or_says_what_it_lacks() {
    let (_server, whole) = world();
    whole.backfill(&[]).expect_code(0);
    let expected = contents(&whole);
    for most in 0..=PLENTY {
        let (_server, sandbox) = world();
        let mut command = with_threads(&sandbox, most, &["backfill", "--as-of", AS_OF]);
        let mut running = sandbox.start_command(&mut command);
        let mut code = None;
        wait_until(|| {
            code = running.ended();
            code.is_some()
        });
        if has_worked(most, code.flatten(), &sandbox.read("said.log"), &[0]) {
            assert_alike(&contents(&sandbox), &expected, "with few threads");
        }
    }
}

#[test]
fn with_few_threads_a_file_is_imported_or_it_is_said_what_lacks() {
    for most in 0..=PLENTY {
        let (_server, sandbox) = daily_stocks(&["AAA"]);
        sandbox.write("AAA_1d.csv", CSV);
        for more in [&["--dry-run"][..], &[]] {
            let call = [&["import", "--as-of", AS_OF, "AAA_1d.csv"], more].concat();
            let output = sandbox.finish(&mut with_threads(&sandbox, most, &call));
            has_worked(most, output.code, &output.stderr, &[0]);
        }
    }
}

#[test]
fn with_few_threads_a_run_waits_for_another_or_says_what_it_lacks() {
    let (server, sandbox) = hanging(0);
    let _first = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    for most in 0..=PLENTY {
        let call = ["backfill", "--wait", "50ms"];
        let output = sandbox.finish(&mut with_threads(&sandbox, most, &call));
        has_worked(most, output.code, &output.stderr, &[75]);
    }
}

#[test]
fn with_few_threads_nobody_breaks_down_who_looks_at_a_database_or_copies_it() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let config = sandbox.read("mdctl.toml")
        + "[notify.hc]\nkind = \"healthchecks\"\nurl = \"http://127.0.0.1:9/ping\"\n";
    sandbox.write("mdctl.toml", config);
    sandbox.backfill(&[]).expect_code(0);
    for most in 0..=PLENTY {
        for call in [&["db", "backup"][..], &["doctor", "--send-test"], &["health"]] {
            let output = sandbox.finish(&mut with_threads(&sandbox, most, call));
            has_worked(most, output.code, &output.stderr, &[0, 1, 2]);
        }
    }
}

#[test]
fn with_few_threads_no_call_fails_for_those_who_are_to_be_told() {
    let receiver = Server::start(|_| Answer::ok(""));
    let named = receiver.url().replace("127.0.0.1", "localhost");
    let (_server, whole) = daily_stocks(&["AAA"]);
    let config = whole.read("mdctl.toml")
        + &format!("[otlp]\nendpoint = \"{named}\"\n")
        + &format!("[notify.cron]\nkind = \"healthchecks\"\nurl = \"{named}/ping\"\n")
        + &format!("[notify.hook]\nkind = \"webhook\"\nurl = \"{named}/hook\"\n");
    for most in 0..=PLENTY {
        let sandbox = Sandbox::with(&config);
        let ends = |call: &[&str], codes: &[i32]| {
            let output = sandbox.finish(&mut with_threads(&sandbox, most, call));
            // Who sends may have been at a loss for the name; what he was to tell is told again.
            let said = output.stderr.replace("panicked", "");
            has_worked(most, output.code, &said, codes)
        };
        if ends(&["backfill", "--as-of", AS_OF], &[0]) {
            ends(&["alerts", "--notify"], &[2]);
            ends(&["doctor", "--send-test"], &[0, 2]);
            let told = sandbox.mdctl(&["alerts", "--notify"]);
            told.expect_code(2);
            let hooks = receiver.take_requests();
            let fired = |request: &&Request| {
                request.path == "/hook"
                    && String::from_utf8_lossy(&request.body).contains("StaleSeries")
            };
            assert_eq!(hooks.iter().filter(fired).count(), 1, "{most} threads{told}");
        }
    }
}
