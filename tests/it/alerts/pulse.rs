//! The dead man's switch: every run says that it starts, and how it ended.

use super::*;
use crate::support::server::Reply;
use crate::support::{daily_stocks, faulty_stocks};

use rustix::process::Signal;

/// The secret of a check's address; nowhere to be found afterwards.
const SECRET: &str = "9f4f2d2e-sekrit-check";

/// A dead man's switch whose address is a secret file.
fn switch(sandbox: &Sandbox, receiver: &Server) {
    sandbox.write("check.url", format!("{}/{SECRET}\n", receiver.url()));
    configure(
        sandbox,
        "\n[notify.cron]\nkind = \"healthchecks\"\nurl = { file = \"check.url\" }\n",
    );
}

/// The two pings of a run: what follows the address in each, and the last one's text.
#[track_caller]
fn pings(receiver: &Server) -> (String, String, String) {
    let requests = receiver.take_requests();
    let [start, end] = &requests[..] else { panic!("{} pings: {requests:#?}", requests.len()) };
    let rid = start.parameter("rid").expect("a run's id").to_owned();
    assert_eq!(end.parameter("rid"), Some(rid.as_str()), "one run, one id");
    let groups: Vec<usize> = rid.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{rid} is no UUID");
    for request in &requests {
        assert_eq!(request.method, "POST");
        assert_eq!(request.query, format!("rid={rid}"));
    }
    let path = |request: &Request| {
        let path = request.path.strip_prefix(&format!("/{SECRET}"));
        path.unwrap_or_else(|| panic!("{} is elsewhere", request.path)).to_owned()
    };
    let text = String::from_utf8(end.body.clone()).expect("text");
    (path(start), path(end), text)
}

#[track_caller]
fn ended(receiver: &Server, path: &str) -> String {
    let (start, end, text) = pings(receiver);
    assert_eq!((start.as_str(), end.as_str()), ("/start", path), "{text}");
    text
}

#[test]
fn a_run_that_succeeds_says_so_with_its_id_and_its_lines() {
    let receiver = receiver();
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    switch(&sandbox, &receiver);
    let output = sandbox.backfill(&["-q"]);
    output.expect_code(0);
    let text = ended(&receiver, "");
    let run = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    assert!(text.starts_with(&format!("run {run}\nbackfill succeeded")), "{text}");
    for words in ["1 symbol: 1 ok", "exit code 0", "job finished", "run finished"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(text.contains(&format!("run_id={run}")) && !text.contains('\u{1b}'), "{text}");
    assert!(!output.stderr.contains("job finished"), "quiet is quiet");
    // With nothing due, too.
    sandbox.backfill(&[]).expect_code(0);
    ended(&receiver, "");
    sandbox.mdctl(&["enrich", "--as-of", AS_OF]).expect_code(0);
    let text = ended(&receiver, "");
    assert!(text.contains("\nenrich succeeded"), "{text}");
    // What is no run pings nobody.
    sandbox.mdctl(&["health", "--as-of", AS_OF]);
    sandbox.mdctl(&["alerts", "--notify"]).expect_stderr("nobody is told");
    sandbox.backfill(&["--dry-run"]).expect_code(0);
    assert!(receiver.requests().is_empty());
    assert!(!sandbox.read("mdctl.toml").contains(SECRET));
    std::fs::remove_file(sandbox.path("check.url")).expect("it goes");
    assert!(!sandbox.holds(SECRET));
}

#[test]
fn the_exit_code_is_told_as_it_is() {
    let receiver = receiver();
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (server, sandbox) =
        faulty_stocks(&["AAA", "BBB"], move |request| match request.path.contains("/AAA/") {
            true => market.polygon(request),
            false => Answer::status(404, r#"{"message":"Ticker not found."}"#),
        });
    switch(&sandbox, &receiver);
    sandbox.backfill(&["--max-requests", "1"]).expect_code(4);
    let text = ended(&receiver, "/4");
    assert!(text.contains("1 deferred"), "{text}");
    sandbox.backfill(&[]).expect_code(1);
    let text = ended(&receiver, "/1");
    assert!(text.contains("1 failed") && text.contains("Ticker not found"), "{text}");
    sandbox.backfill(&["BBB"]).expect_code(2);
    ended(&receiver, "/2");
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "moving"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    let text = ended(&receiver, "");
    assert!(text.contains("skipped"), "{text}");
    sandbox.mdctl(&["resume"]).expect_code(0);
    drop(server);
    // What a user takes for a success is told as one.
    let config = sandbox.read("mdctl.toml");
    let treated = config.replacen("[run]", "[run]\ntreat_as = { failed = 0 }", 1);
    sandbox.write("mdctl.toml", treated);
    sandbox.backfill(&["BBB"]).expect_code(0);
    let text = ended(&receiver, "");
    assert!(text.contains("backfill failed") && text.contains("exit code 0"), "{text}");
}

#[test]
fn a_run_that_is_stopped_or_aborted_says_so() {
    let receiver = receiver();
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::Hang);
    switch(&sandbox, &receiver);
    let run = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    receiver.wait_for(1);
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(143));
    let text = ended(&receiver, "/143");
    assert!(text.contains("backfill interrupted"), "{text}");
    // The database is no database: there is no run's row, but there was a run.
    sandbox.write("mdctl.db", "no database at all, but long enough to be taken for one");
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(sandbox.path(&format!("mdctl.db{ending}")));
    }
    sandbox.backfill(&[]).expect_code(74);
    let text = ended(&receiver, "/74");
    assert!(text.contains("exit code 74"), "{text}");
}

#[test]
fn a_receiver_in_trouble_changes_nothing_but_a_line() {
    let troubles: [fn() -> Answer; 5] = [
        || Answer::Hang,
        || Answer::status(500, SECRET),
        || Answer::Reset,
        || Answer::raw(SECRET),
        || Answer::Whole(Reply::new(302, "").with("location", format!("/{SECRET}/x"))),
    ];
    for trouble in troubles {
        let receiver = Server::start(move |_| trouble());
        let (_server, sandbox) = daily_stocks(&["AAA"]);
        switch(&sandbox, &receiver);
        let output = sandbox.backfill(&["-v", "-v"]);
        output.expect_code(0).expect_stderr("a dead man's switch was not told of the run");
        output.expect_stdout("backfill succeeded");
        drop(receiver);
        let output = sandbox.backfill(&["-v", "-v"]);
        output.expect_code(0).expect_stderr("cannot connect");
        assert!(!output.stderr.contains(SECRET), "{output}");
        let status = sandbox.database().texts("SELECT DISTINCT status || exit_code FROM runs");
        assert_eq!(status, ["succeeded0"]);
        std::fs::remove_file(sandbox.path("check.url")).expect("it goes");
        assert!(!sandbox.holds(SECRET));
        sandbox.backfill(&[]).expect_code(0).expect_stderr("cannot read the key file");
    }
}

#[test]
fn a_switch_in_trouble_is_no_others_trouble() {
    let (well, ill) = (receiver(), Server::start(|_| Answer::Hang));
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    switch(&sandbox, &well);
    let other = format!("\n[notify.a]\nkind = \"healthchecks\"\nurl = \"{}/a\"\n", ill.url());
    configure(&sandbox, &other);
    sandbox.backfill(&[]).expect_code(0).expect_stderr("notifier=a");
    ended(&well, "");
}

#[test]
fn the_start_is_told_while_the_run_works() {
    let receiver = receiver();
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::Hang);
    switch(&sandbox, &receiver);
    let run = sandbox.start(&["backfill", "--as-of", AS_OF]);
    receiver.wait_for(1);
    assert_eq!(receiver.requests()[0].path, format!("/{SECRET}/start"));
    server.wait_for(1);
    run.kill();
    // A run that is killed says nothing more, which is what the switch is for.
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn the_last_lines_are_told_when_there_are_too_many() {
    let receiver = receiver();
    let names: Vec<String> = (0..1_500).map(|number| format!("S{number:04}")).collect();
    let symbols: Vec<&str> = names.iter().map(String::as_str).collect();
    let said = format!(r#"{{"message":"{}"}}"#, "no such ticker ".repeat(10));
    let (_server, sandbox) = faulty_stocks(&symbols, move |request| {
        Answer::status(404, format!("{said}{}", request.header("authorization").unwrap_or("")))
    });
    switch(&sandbox, &receiver);
    sandbox.backfill(&["-q"]).expect_code(2);
    let text = ended(&receiver, "/2");
    assert!(text.len() > 80_000 && text.len() <= 100_000, "{}", text.len());
    assert!(text.starts_with("run ") && text.ends_with('\n') && text.contains("run finished"));
    assert!(!text.contains(crate::support::KEY), "a key is in it");
}
