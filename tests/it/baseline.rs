//! `baseline`: what it finds where the answer is plain, and what it leaves alone: the configured database's
//! bars, and the provider's quota.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::market::Market;
use crate::support::server::{Answer, Request, Server};
use crate::support::{
    AS_OF, DAILY, Output, Sandbox, daily_sessions, daily_stocks, faulty_stocks, group, polygon,
    wait_until,
};

/// How long a far server takes.
const FAR: Duration = Duration::from_millis(50);

/// Twelve symbols.
const DOZEN: [&str; 12] =
    ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH", "III", "JJJ", "KKK", "LLL"];

fn baseline(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.mdctl(&[&["baseline", "--as-of", AS_OF], arguments].concat())
}

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

/// Paths and queries of requests, in the order of the alphabet.
fn targets(requests: &[Request]) -> Vec<String> {
    let mut targets: Vec<String> = requests.iter().map(Request::target).collect();
    targets.sort();
    targets
}

/// The words of a list of sentences.
fn words(list: &Value) -> String {
    let sentences = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    sentences.collect::<Vec<_>>().join(" ")
}

/// Asserts that nothing is left of what bars were written to.
#[track_caller]
fn expect_no_scratch(sandbox: &Sandbox) {
    assert_eq!(scratches(sandbox), 0);
}

fn scratches(sandbox: &Sandbox) -> usize {
    let entries = fs::read_dir(sandbox.path("")).expect("the folder is read");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().contains("scratch")).count()
}

#[test]
fn every_step_asks_for_the_same_and_no_bar_reaches_the_database() {
    let (server, sandbox) = daily_stocks(&["AAA", "BBB", "CCC"]);
    let output = baseline(&sandbox, &["--parallel", "3,1", "--json"]);
    let document = output.expect_code(0).json();
    let steps = document["steps"].as_array().expect("steps");
    let parallel: Vec<_> = steps.iter().map(|step| step["parallel"].as_u64()).collect();
    assert_eq!(parallel, [Some(3), Some(1)], "in the given order");
    let requests = server.take_requests();
    assert_eq!(requests.len(), 6, "{document}");
    assert_eq!(targets(&requests[..3]), targets(&requests[3..]));
    for step in steps {
        assert_eq!(step["bars"], 3 * daily_sessions().len(), "{step}");
        adds_up(step);
    }
    let database = sandbox.database();
    for table in ["bars", "series", "runs", "fetch_log", "failures", "tracked_symbols"] {
        assert_eq!(database.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    let deeds = database.texts("SELECT action || ' ' || subject || ': ' || reason FROM audit_log");
    assert_eq!(deeds, ["baseline p: at most 12 requests"]);
    expect_no_scratch(&sandbox);
    output.expect_stderr("3 requests for 3 symbols at --parallel 3, 1: 6 in all, and never more");
}

/// Asserts that the accounts of a step add up.
#[track_caller]
fn adds_up(step: &Value) {
    let number = |value: &Value| value.as_f64().expect("a number");
    let sum = |account: &Value| account.as_object().expect("it").values().map(number).sum::<f64>();
    let wall = number(&step["wall_seconds"]);
    let all = wall * number(&step["parallel"]);
    assert!((sum(&step["lanes"]) - all).abs() < 1e-3, "{step}");
    assert!((sum(&step["writer"]) - wall).abs() < 1e-3, "{step}");
}

#[test]
fn what_a_backfill_did_before_changes_nothing_of_what_is_asked() {
    let (server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.backfill(&[]).expect_code(0);
    let bars = sandbox.database().times("AAA", "1d");
    server.take_requests();
    baseline(&sandbox, &["--parallel", "1"]).expect_code(0);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(sandbox.database().times("AAA", "1d"), bars);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM runs"), 1);
}

#[test]
fn a_far_server_is_the_network_and_more_lanes_pay() {
    let market = Market::daily(&DOZEN, &daily_sessions());
    let far = (Mutex::new(()), Condvar::new());
    let (_server, sandbox) = faulty_stocks(&DOZEN, move |request| {
        let guard = far.0.lock().expect("nobody broke down");
        let waited = far.1.wait_timeout_while(guard, FAR, |()| true);
        drop(waited.expect("nobody broke down"));
        market.polygon(request)
    });
    let document = baseline(&sandbox, &["--parallel", "1,12", "--json"]).expect_code(0).json();
    assert_eq!(document["symbols"], 12, "{document}");
    assert_eq!(document["steps"][0]["bottleneck"], "network", "{document}");
    assert_eq!(document["parallel_that_pays"], 12, "{document}");
    assert_eq!(document["gain"], Value::Null, "nobody knows how fast three are: {document}");
    assert_eq!(document["rate_limited_share"], 0.0, "{document}");
}

#[test]
fn a_tight_quota_is_named_after_one_step_that_it_lets_through_at_once() {
    let server = serving(&DOZEN);
    let config = limited(&server.url(), r#"{ requests = 5, per = "59m" }"#, &DOZEN);
    let sandbox = Sandbox::with(&config);
    let output = baseline(&sandbox, &["--json"]);
    let document = output.expect_code(0).json();
    assert_eq!(server.requests().len(), 5, "as many as may go at once");
    assert_eq!(document["bottleneck"], "quota", "{document}");
    assert_eq!(document["steps"].as_array().map(Vec::len), Some(1), "{document}");
    assert_eq!((&document["parallel_that_pays"], &document["gain"]), (&1.into(), &1.0.into()));
    assert!(words(&document["verdict"]).contains("would only wait for the quota"), "{document}");
    // Twelve requests: five at once, five when 59 minutes have passed, and two after as long again.
    assert_eq!(document["steps"][0]["whole_seconds"], 2.0 * 59.0 * 60.0, "{document}");
}

#[test]
fn of_a_days_quota_only_a_part_is_taken_unless_it_is_said() {
    let server = serving(&DOZEN);
    let config = limited(&server.url(), r#"{ requests = 120, per = "1d" }"#, &DOZEN);
    let sandbox = Sandbox::with(&config);
    let document = baseline(&sandbox, &["--parallel", "1,2,3,4", "--json"]).expect_code(0).json();
    assert_eq!(document["symbols"], 3, "{document}");
    assert_eq!(server.take_requests().len(), 12, "a tenth in all steps");
    baseline(&sandbox, &["--symbols", "12", "--parallel", "1"]).expect_code(0);
    assert_eq!(server.requests().len(), 12);
}

#[test]
fn it_spends_the_quota_that_runs_spend() {
    let server = serving(&["AAA", "BBB", "CCC"]);
    let symbols = ["AAA", "BBB", "CCC"];
    let config = limited(&server.url(), r#"{ requests = 4, per = "1h" }"#, &symbols);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&["AAA"]).expect_code(0);
    baseline(&sandbox, &["--symbols", "2", "--parallel", "2"]).expect_code(0);
    assert_eq!(server.take_requests().len(), 3);
    // Of four one is left.
    sandbox.backfill(&["--full", "--max-duration", "5s"]).expect_code(4);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_killed_one_leaves_no_request_uncounted_and_the_next_takes_its_folder_away() {
    let server = Server::start(|_| Answer::Hang);
    let rate = r#"{ requests = 3, per = "1h" }"#;
    let sandbox = Sandbox::with(&limited(&server.url(), rate, &["AAA", "BBB", "CCC"]));
    let arguments = ["baseline", "--as-of", AS_OF, "--symbols", "3", "--parallel", "2"];
    let running = sandbox.start(&arguments);
    server.wait_for(2);
    running.kill();
    assert_eq!(scratches(&sandbox), 1);
    let market = Market::daily(&["AAA", "BBB", "CCC"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&["--max-duration", "5s"]).expect_code(4);
    let sent = server.requests().len();
    assert!((2..=3).contains(&sent), "{sent} requests in an hour of three");
    sandbox.tamper("DELETE FROM rate_state");
    baseline(&sandbox, &["--symbols", "1", "--parallel", "1"]).expect_code(0);
    expect_no_scratch(&sandbox);
}

#[test]
fn the_bars_are_beside_the_database_where_nobody_else_looks_and_a_signal_takes_them_away() {
    use std::os::unix::fs::PermissionsExt as _;
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (server, sandbox) = faulty_stocks(&["AAA", "BBB"], |_| Answer::Hang);
        let config = sandbox.read("mdctl.toml").replace("[run]", "[run]\ngrace = \"10ms\"");
        sandbox.write("mdctl.toml", config);
        let running = sandbox.start(&["baseline", "--as-of", AS_OF, "--parallel", "1,2"]);
        server.wait_for(1);
        let entries = fs::read_dir(sandbox.path("")).expect("the folder is read");
        let mut paths = entries.map(|entry| entry.expect("an entry").path());
        let scratch = paths.find(|path| path.display().to_string().contains("scratch"));
        let scratch = scratch.expect("a folder");
        let mode = fs::metadata(&scratch).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(scratch.join("scratch.db").exists());
        running.signal(signal);
        assert_eq!(running.wait(), Some(code));
        assert_eq!(server.requests().len(), 1, "no further step is made");
        expect_no_scratch(&sandbox);
    }
}

#[test]
fn one_at_a_time_with_runs() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::Hang);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    let output = baseline(&sandbox, &["--json"]);
    assert_eq!(output.expect_code(75).json()["error"]["kind"], "locked");
    running.kill();
    server.take_requests();
    let running = sandbox.start(&["baseline", "--as-of", AS_OF]);
    server.wait_for(1);
    sandbox.backfill(&[]).expect_code(75);
    running.kill();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn many_refusals_give_advice() {
    let symbols = &DOZEN[..8];
    let market = Market::daily(symbols, &daily_sessions());
    let (server, sandbox) = faulty_stocks(symbols, move |request| {
        if request.seen.is_multiple_of(2) {
            return Answer::status(429, "{}");
        }
        market.polygon(request)
    });
    let document = baseline(&sandbox, &["--parallel", "1", "--json"]).expect_code(0).json();
    assert_eq!(server.requests().len(), 16);
    assert_eq!(document["rate_limited_share"], 0.5, "{document}");
    assert_eq!(document["steps"][0]["rate_limited"], 8, "{document}");
    let advice = words(&document["advice"]);
    assert!(advice.contains("50.0 %") && advice.contains("1000/1s"), "{advice}");
}

#[test]
fn what_fails_is_told_by_the_code_and_in_words() {
    let market = Market::daily(&["AAA", "BBB"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB"], move |request| {
        if request.path.contains("/BBB/") {
            return Answer::status(404, r#"{"message":"Ticker not found."}"#);
        }
        market.polygon(request)
    });
    let output = baseline(&sandbox, &["--parallel", "1,2", "--json"]);
    let document = output.expect_code(1).json();
    output.expect_stderr("Ticker not found");
    assert_eq!(document["steps"].as_array().map(Vec::len), Some(2), "{document}");
    assert_eq!(document["parallel_that_pays"], Value::Null, "{document}");
    assert!(words(&document["advice"]).contains("mean little"), "{document}");
    server.take_requests();
    server.answer_with(|_| Answer::status(403, "{}"));
    let document = baseline(&sandbox, &["--parallel", "1,2", "--json"]).expect_code(2).json();
    assert_eq!(document["steps"].as_array().map(Vec::len), Some(1), "no use in another");
    expect_no_scratch(&sandbox);
}

#[test]
fn a_server_that_fails_is_never_asked_more_than_was_said() {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let (_server, sandbox) = faulty_stocks(&DOZEN[..5], move |_| {
        counting.fetch_add(1, Ordering::SeqCst);
        Answer::status(500, "")
    });
    let output = baseline(&sandbox, &["--parallel", "1", "--json"]);
    let document = output.expect_code(1).json();
    let most = document["most_requests"].as_u64().expect("a number");
    let sent = count.load(Ordering::SeqCst) as u64;
    assert_eq!(most, 10, "{document}");
    assert_eq!(sent, most, "what is beyond is left: {output}");
}

#[test]
fn a_long_history_is_asked_for_by_one_page_a_series() {
    let sessions = crate::support::market::sessions("2019-01-01", AS_OF);
    let market = Market::daily(&["AAA", "BBB"], &sessions);
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "page_limit = 200")
        + &group(
            "p",
            "stock",
            &["AAA", "BBB"],
            "timeframes = [\"1d\"]\nlookback = { \"1d\" = \"4y\" }",
        );
    let sandbox = Sandbox::with(&config);
    let document = baseline(&sandbox, &["--parallel", "1", "--json"]).expect_code(0).json();
    let requests = server.requests().len();
    assert_eq!(requests, 2, "{document}");
    let whole = document["whole_requests"].as_u64().expect("a number");
    assert!(whole >= 10, "a thousand days are five pages of 200: {document}");
    let bars = document["steps"][0]["bars"].as_u64().expect("a number");
    assert!((250..=400).contains(&bars), "nearly full pages: {document}");
}

#[test]
fn files_are_read_and_nobody_is_asked() {
    let sandbox = Sandbox::with(
        "[run]\nparallel = { backfill = 1 }\n\n[providers.f]\nkind = \"files\"\npath = \"bars\"\n\n\
         [[group]]\nname = \"stocks\"\nprovider = \"f\"\nasset_class = \"stock\"\n\
         symbols = [\"AAA\", \"BBB\"]\ntimeframes = [\"1d\"]\n",
    );
    for symbol in ["AAA", "BBB"] {
        let rows = "2024-03-14,1,1,1,1,1\n2024-03-15,1,1,1,1,1\n";
        sandbox.write(
            &format!("bars/{symbol}_1d.csv"),
            format!("ts,open,high,low,close,volume\n{rows}"),
        );
    }
    let output = baseline(&sandbox, &["--json"]);
    let document = output.expect_code(0).json();
    output.expect_stderr("f: 2 files of 2 symbols are read at --parallel 1; no request is made");
    assert_eq!(document["rate_limited_share"], Value::Null, "{document}");
    assert_eq!(document["most_requests"], 0, "{document}");
    let step = &document["steps"][0];
    assert_eq!((&step["bars"], &step["requests"]), (&4.into(), &2.into()), "{document}");
    assert_eq!(step["lanes"]["network_seconds"], 0.0, "{document}");
    assert!(step["lanes"]["decode_seconds"].as_f64() > Some(0.0), "{document}");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM audit_log"), 0);
}

#[test]
fn in_a_pause_and_with_nothing_due_nobody_is_asked() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "the disk"]).expect_code(0);
    let output = baseline(&sandbox, &[]);
    output.expect_code(0).expect_stdout("the disk");
    sandbox.mdctl(&["resume"]).expect_code(0);
    // On a Sunday none of the last day's bars is due.
    let config = sandbox.read("mdctl.toml").replace("30d", "1d");
    sandbox.write("mdctl.toml", config);
    let output = sandbox.mdctl(&["baseline", "--as-of", "2024-03-17"]);
    output.expect_code(0).expect_stdout("no bar of p is due");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_provider_is_chosen_by_name_and_what_cannot_be_is_refused() {
    let server = serving(&["AAA", "BBB"]);
    let other = polygon(&server.url(), "").replace("[run]\nstagger = \"0s\"\n", "");
    let config = polygon(&server.url(), "")
        + &other.replace("[providers.p]", "[providers.q]")
        + &group("p", "stock", &["AAA"], DAILY)
        + &group("q", "etf", &["BBB"], DAILY);
    let sandbox = Sandbox::with(&config);
    baseline(&sandbox, &["--provider", "q", "--parallel", "1"]).expect_code(0);
    let requests = server.take_requests();
    assert!(requests.len() == 1 && requests[0].path.contains("/BBB/"), "{requests:?}");
    let output = baseline(&sandbox, &["--provider", "qq"]);
    output.expect_code(64).expect_stderr("did you mean `q`?");
    for wrong in [["--parallel", "0"], ["--parallel", "1,x"], ["--symbols", "0"], ["--group", "x"]]
    {
        baseline(&sandbox, &wrong).expect_code(64);
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn no_key_stands_in_what_it_says() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let output = baseline(&sandbox, &["-v", "--parallel", "1"]);
    assert_eq!(server.requests().len(), 1);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!said.contains(crate::support::KEY), "{said}");
    assert!(!sandbox.holds(crate::support::KEY));
}

#[test]
fn a_full_or_closed_folder_is_no_measure() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.write("folder", "a file");
    let output = baseline(&sandbox, &["--db", "folder/mdctl.db"]);
    assert!(matches!(output.code, Some(73 | 74)), "{output}");
    assert_eq!(server.requests().len(), 0);
    wait_until(|| scratches(&sandbox) == 0);
}
