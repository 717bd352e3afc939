//! Many at once, connections that come and go, and what a run's end says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::support::market::{Market, day, rows};
use crate::support::server::{Answer, Reply, Server};
use crate::support::{
    AS_OF, DAILY, Sandbox, daily_sessions, daily_stocks, faulty_stocks, group, polygon,
};

/// Waits until `together` callers stand here at once, or gives up after a while.
struct Meeting {
    standing: Mutex<usize>,
    met: Condvar,
    together: usize,
}

impl Meeting {
    fn of(together: usize) -> Arc<Self> {
        Arc::new(Self { standing: Mutex::new(0), met: Condvar::new(), together })
    }

    /// Whether the others came.
    fn wait(&self) -> bool {
        let mut standing = self.standing.lock().expect("a lock");
        *standing += 1;
        self.met.notify_all();
        let waiting =
            self.met.wait_timeout_while(standing, Duration::from_secs(20), |n| *n < self.together);
        !waiting.expect("a lock").1.timed_out()
    }
}

#[test]
fn symbols_are_fetched_side_by_side() {
    let symbols = ["AAA", "BBB", "CCC", "DDD"];
    let market = Market::daily(&symbols, &daily_sessions());
    let meeting = Meeting::of(4);
    let (_server, sandbox) = faulty_stocks(&symbols, move |request| {
        if meeting.wait() { market.polygon(request) } else { Answer::status(404, "{}") }
    });
    sandbox.backfill(&["--parallel", "4"]).expect_code(0);
}

#[test]
fn no_more_symbols_than_asked_for_are_in_flight() {
    let symbols: Vec<String> = (0..24).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let market = Market::daily(&symbols, &daily_sessions());
    let (flying, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let (_server, sandbox) = faulty_stocks(&symbols, move |request| {
        highest.fetch_max(flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        (0..200).for_each(|_| std::thread::yield_now());
        let answer = market.polygon(request);
        flying.fetch_sub(1, Ordering::SeqCst);
        answer
    });
    sandbox.backfill(&["--parallel", "2"]).expect_code(0);
    assert!(most.load(Ordering::SeqCst) <= 2, "{} at once", most.load(Ordering::SeqCst));
}

#[test]
fn a_bulkhead_holds_back_what_lanes_would_allow() {
    let symbols: Vec<String> = (0..12).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let market = Market::daily(&symbols, &daily_sessions());
    let (flying, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let server = Server::start(move |request| {
        highest.fetch_max(flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        (0..200).for_each(|_| std::thread::yield_now());
        let answer = market.polygon(request);
        flying.fetch_sub(1, Ordering::SeqCst);
        answer
    });
    let narrow = "bulkhead = { max_concurrent = 1 }";
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), narrow) + &group("p", "stock", &symbols, DAILY)));
    sandbox.backfill(&["--parallel", "8"]).expect_code(0);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn a_hanging_symbol_holds_up_no_other_lane() {
    let market = Market::daily(&["AAA", "CCC", "DDD"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA", "BAD", "CCC", "DDD"], move |request| {
        if request.path.contains("/BAD/") { Answer::Hang } else { market.polygon(request) }
    });
    let _running = sandbox.start(&["backfill", "--as-of", AS_OF, "--parallel", "2"]);
    server.wait_for(4);
    crate::support::wait_until(|| sandbox.database().number("SELECT count(*) FROM bars") == 63);
}

#[test]
fn a_server_that_closes_every_connection_is_no_trouble() {
    let symbols: Vec<String> = (0..12).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let market = Market::daily(&symbols, &daily_sessions()).paged(10);
    let (_server, sandbox) =
        faulty_stocks(&symbols, move |request| match market.polygon(request) {
            Answer::Whole(reply) => {
                let all = reply.body.len();
                Answer::Cut(reply.with("Connection", "close"), all)
            }
            other => other,
        });
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.number("SELECT count(*) FROM bars"), 12 * 21);
    assert_eq!(database.number("SELECT requests FROM runs"), 36);
}

#[test]
fn trouble_in_the_middle_of_a_chain_costs_that_page_alone() {
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(4);
    let server =
        Server::start(move |request| match (request.parameter("cursor").is_some(), request.seen) {
            (true, 0) => Answer::status(503, "busy"),
            _ => market.polygon(request),
        });
    // Half of its calls fail: a breaker would have its say.
    let patient = "breaker = { failure_rate = 0.9 }";
    let config = polygon(&server.url(), patient) + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    // Five chained pages, each of which fails once.
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 1 + 5 * 2);
    assert_eq!(sandbox.database().bars("AAA", "1d"), rows(&daily_sessions()));
}

#[test]
fn a_date_in_retry_after_is_understood() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| match request.seen {
        0 => {
            Answer::Whole(Reply::new(429, "").with("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"))
        }
        1 => Answer::Whole(Reply::new(503, "").with("Retry-After", "soon")),
        _ => market.polygon(request),
    });
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn codes_are_remapped_everywhere_alike() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| match request.path.contains("/BAD/") {
        true => Answer::status(404, "{}"),
        false => market.polygon(request),
    });
    let config = polygon(&server.url(), "").replace("[run]", "[run]\ntreat_as = { partial = 0 }")
        + &group("p", "stock", &["AAA", "BAD"], DAILY);
    let sandbox = Sandbox::with(&config);
    let output = sandbox.backfill(&["--json"]);
    assert_eq!(output.expect_code(0).json()["run"]["exit_code"], 0);
    assert_eq!(output.json()["run"]["status"], "partial");
    assert_eq!(sandbox.database().number("SELECT exit_code FROM runs"), 0);
    let history = sandbox.mdctl(&["history", "last", "--json"]).json();
    assert_eq!(history["run"]["exit_code"], 0);
}

#[test]
fn the_trigger_is_systemd_under_a_unit() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let mut command = sandbox.command(&["backfill", "--as-of", AS_OF]);
    command.env("INVOCATION_ID", "b0a3f9");
    sandbox.finish(&mut command).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    let triggers = sandbox.database().texts("SELECT trigger FROM runs ORDER BY run_id");
    assert_eq!(triggers, ["systemd", "manual"]);
}

#[test]
fn a_key_comes_from_a_file_or_a_credential() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let with = |source: &str| {
        let config = polygon(&server.url(), "").replace("{ env = \"KEY\" }", source);
        let sandbox =
            Sandbox::with(&(config + &group("p", "stock", &["AAA"], DAILY))).without_key();
        sandbox.write("key.txt", "from-a-file\n");
        sandbox.write("credentials/polygon", "from-beside\n");
        sandbox.write("given/polygon", "from-systemd\n");
        sandbox
    };
    let sent = || {
        server
            .take_requests()
            .pop()
            .and_then(|request| request.header("authorization").map(str::to_owned))
    };
    with("{ file = \"key.txt\" }").backfill(&[]).expect_code(0);
    assert_eq!(sent().as_deref(), Some("Bearer from-a-file"));
    with("{ credential = \"polygon\" }").backfill(&[]).expect_code(0);
    assert_eq!(sent().as_deref(), Some("Bearer from-beside"));
    let sandbox = with("{ credential = \"polygon\" }");
    let mut command = sandbox.command(&["backfill", "--as-of", AS_OF]);
    command.env("CREDENTIALS_DIRECTORY", sandbox.path("given"));
    sandbox.finish(&mut command).expect_code(0);
    assert_eq!(sent().as_deref(), Some("Bearer from-systemd"));
    // A folder of credentials as a whole: systemd puts its name before theirs.
    sandbox.write("folder/mdctl_polygon", "from-a-folder\n");
    let mut command = sandbox.command(&["backfill", "--as-of", AS_OF, "--full"]);
    command.env("CREDENTIALS_DIRECTORY", sandbox.path("folder"));
    sandbox.finish(&mut command).expect_code(0);
    assert_eq!(sent().as_deref(), Some("Bearer from-a-folder"));
    let gone = with("{ file = \"gone.txt\" }");
    gone.backfill(&[]).expect_code(2).expect_stderr("gone.txt");
    assert_eq!(sent(), None);
}

#[test]
fn log_lines_also_go_to_a_file_that_is_its_owners_alone() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let log = "\n[log]\nfile = \"logs/mdctl.log\"\n";
    let config = polygon(&server.url(), "") + log + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.write("logs/.keep", "");
    sandbox.backfill(&[]).expect_code(0);
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    let written = std::fs::read_dir(sandbox.path("logs"))
        .expect("the folder")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("text"))
        .collect::<String>();
    assert!(written.contains(&run_id), "{written}");
    for line in written.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a line is an object");
    }
}

#[test]
fn a_log_file_that_cannot_be_written_stops_no_run() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let log = "\n[log]\nfile = \"/sys/mdctl/mdctl.log\"\n";
    let config = polygon(&server.url(), "") + log + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0).expect_stderr("/sys/mdctl");
}

#[test]
fn five_hundred_symbols_are_fetched_in_one_go() {
    let symbols: Vec<String> = (0..500).map(|index| format!("S{index:03}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let market = Market::daily(&symbols, &daily_sessions());
    let (server, sandbox) = faulty_stocks(&symbols, move |request| {
        if request.path.contains("/S250/") {
            Answer::status(404, "{}")
        } else {
            market.polygon(request)
        }
    });
    let alone = polygon(&server.url(), "grouped = false") + &group("p", "stock", &symbols, DAILY);
    sandbox.write("mdctl.toml", alone);
    sandbox.backfill(&["--parallel", "8", "-q"]).expect_code(1);
    assert_eq!(server.requests().len(), 500);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 499 * 21);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars WHERE ts < 0"), 0);
    let last = day(AS_OF);
    let complete =
        format!("SELECT count(*) FROM series WHERE watermark_ts = {last} AND bar_count = 21");
    assert_eq!(sandbox.database().number(&complete), 499);
}
