//! The one request to each provider.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use rustix::process::Signal;

use super::*;
use crate::support::server::{Reply, Request};

/// Asks a provider that answers so; tells what was found of it.
#[track_caller]
fn asked(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (Finding, Sandbox) {
    let (server, sandbox) = at(answer);
    let config = sandbox.read("mdctl.toml");
    // Whoever hangs does so for no longer than this.
    let patience = "history = \"20y\"\nrequest_timeout = \"300ms\"";
    sandbox.write("mdctl.toml", config.replace("history = \"20y\"", patience));
    let found = examine(&sandbox);
    assert_eq!(server.requests().len(), 1, "asked once{}", found.output);
    (found.check("provider"), sandbox)
}

#[test]
fn what_is_wrong_with_a_provider_is_told_apart() {
    let refusal = |status, body: &'static str| move || Answer::status(status, body);
    let (key, _) = asked(refusal(401, r#"{"status":"ERROR","error":"Unknown API Key"}"#));
    key.says("critical", "does not take the key: HTTP 401").mended_by("[providers.p]");
    let (plan, _) =
        asked(refusal(403, r#"{"status":"NOT_AUTHORIZED","message":"upgrade your plan"}"#));
    plan.says("critical", "its plan does not include AAA 1d: HTTP 403: upgrade your plan");
    let (busy, _) =
        asked(refusal(429, r#"{"status":"ERROR","error":"You've exceeded the maximum requests"}"#));
    busy.says("warning", "has had enough for now: HTTP 429").mended_by("lower `rate`");
    let (trouble, _) = asked(refusal(500, ""));
    trouble.says("warning", "is in trouble itself: HTTP 500");
    let (unknown, _) =
        asked(refusal(404, r#"{"status":"NOT_FOUND","message":"Ticker not found."}"#));
    unknown.says("warning", "does not know AAA 1d").mended_by("mdctl symbols");
    let (page, _) = asked(|| Answer::ok("<html>please log in</html>"));
    page.says("critical", "not as this provider does: the body is HTML").mended_by("base_url");
    let (reset, _) = asked(|| Answer::Reset);
    reset.says("critical", "it is not reached").mended_by("curl -svo /dev/null http://127.0.0.1");
    let (hung, _) = asked(|| Answer::Hang);
    hung.says("critical", "it does not answer: no whole answer within 300ms");
    let (noise, _) = asked(|| Answer::raw("SSH-2.0-OpenSSH_9.2\r\n"));
    noise.says("critical", "it is not reached");
    let (away, _) = asked(|| Answer::Whole(Reply::new(302, "").with("location", "/elsewhere")));
    away.says("warning", "elsewhere").mended_by("curl -sI");
}

#[test]
fn who_is_stopped_while_he_asks_gives_no_verdict() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (server, sandbox) = at(|| Answer::Hang);
        let running = sandbox.start(&["doctor", "--json"]);
        server.wait_for(1);
        running.signal(signal);
        assert_eq!(running.wait(), Some(code));
    }
}

#[test]
fn a_name_a_way_and_a_secrecy_that_fail_are_told_apart() {
    // It speaks at once, and something else.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    let mail = format!("https://{}", listener.local_addr().expect("its address"));
    let speaking = thread::spawn(move || {
        let (mut caller, _) = listener.accept().expect("a caller");
        let _ = caller.write_all(b"220 mail.example.invalid ESMTP\r\n");
        // Until the other side has had enough.
        let _ = caller.read_to_end(&mut Vec::new());
    });
    let closed = Server::start(|_| Answer::ok("")).url();
    for (url, words) in [
        ("https://nobody.invalid", "cannot connect (DNS)"),
        (&closed, "cannot connect (TCP): Connection refused"),
        (&mail, "cannot connect (TLS)"),
    ] {
        let sandbox = Sandbox::with(&(polygon(url, "") + &group("p", "stock", &["AAA"], DAILY)));
        sandbox.mdctl(&["db", "migrate"]).expect_code(0);
        let found = examine(&sandbox);
        found.output.expect_code(2);
        found.check("provider").says("critical", words);
    }
    speaking.join().expect("it has spoken");
}

#[test]
fn providers_are_asked_side_by_side() {
    let slow = Server::start(|_| Answer::Hang);
    let (quick, sandbox) = daily_stocks(&["AAA"]);
    let second = polygon(&slow.url(), "request_timeout = \"300ms\"")
        .replace("[run]\nstagger = \"0s\"\n", "");
    let third = second.replace("[providers.p]", "[providers.r]");
    let mut config =
        sandbox.read("mdctl.toml") + &second.replace("[providers.p]", "[providers.q]") + &third;
    config += &group("q", "etf", &["QQQ"], DAILY);
    config += &group("r", "index", &["III"], DAILY);
    sandbox.write("mdctl.toml", config);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let found = examine(&sandbox);
    found.output.expect_code(2);
    found.about("provider", "p").says("ok", "it answers");
    found.about("provider", "q").says("critical", "does not answer");
    found.about("provider", "r").says("critical", "does not answer");
    assert_eq!((quick.requests().len(), slow.requests().len()), (1, 2));
}

#[test]
fn a_request_takes_from_the_quota_and_one_too_many_is_not_sent() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let config = sandbox.read("mdctl.toml");
    let rate = |rate: &str| config.replace("{ requests = 1000, per = \"1s\" }", rate);
    sandbox.write("mdctl.toml", rate("{ requests = 2, per = \"1h\" }"));
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let left = || {
        let metrics = sandbox.mdctl(&["metrics", "--json"]).json();
        metrics["fetch_pipeline"]["api_quota_remaining"].clone()
    };
    for remaining in [1, 0] {
        examine(&sandbox).check("provider").says("ok", "it answers");
        assert_eq!(left(), remaining, "the ledger knows of it");
    }
    assert_eq!(sandbox.database().numbers("SELECT unsettled FROM rate_state"), [0]);
    let found = examine(&sandbox);
    found.output.expect_code(0);
    found.check("provider").says("skipped", "its quota lets nothing more through before 20");
    assert_eq!(server.requests().len(), 2);
    // A run is told the same.
    sandbox.backfill(&["--max-duration", "1s"]).expect_code(4);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(
        sandbox.database().number("SELECT count(*) FROM fetch_log"),
        0,
        "it is no run's request"
    );
}

#[test]
fn what_a_provider_wishes_holds_for_the_next_who_ask() {
    let waits =
        |wait: &'static str| move || Answer::Whole(Reply::new(429, "").with("retry-after", wait));
    // Longer than a run waits: it is held, and health says so, too.
    let (server, sandbox) = at(waits("3600"));
    examine(&sandbox).check("provider").says("warning", "had enough");
    let found = examine(&sandbox);
    agree(&found.check("provider"), &issue(&sandbox, "rate_limited"));
    assert_eq!(server.requests().len(), 1, "it is not asked again before then");
    // Shorter: the quota waits as long.
    let (server, sandbox) = at(waits("2"));
    examine(&sandbox).check("provider").says("warning", "had enough");
    assert!(sandbox.database().number("SELECT paused_until_us FROM rate_state") > 0);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_open_breaker_is_told_and_not_passed() {
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB", "CCC", "DDD"], |_| Answer::Reset);
    sandbox.backfill(&[]).expect_code(2);
    let health = issue(&sandbox, "provider_down");
    server.answer_with(|_| Answer::ok("{}"));
    server.take_requests();
    let found = examine(&sandbox);
    found.output.expect_code(2);
    agree(&found.check("provider"), &health);
    assert!(server.requests().is_empty());
}

#[test]
fn a_key_that_is_lacking_is_told_with_the_command_that_puts_it_there() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let sandbox = sandbox.without_key();
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let found = examine(&sandbox);
    found.output.expect_code(2);
    found
        .check("key")
        .says("critical", "the environment variable KEY is not set")
        .mended_by("export KEY=");
    found.check("provider").says("skipped", "not without its key");
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", config.replace("{ env = \"KEY\" }", "{ credential = \"p_key\" }"));
    let found = examine(&sandbox);
    found.check("key").says("critical", "cannot read the key file").mended_by("credentials/p_key");
    assert!(server.requests().is_empty());
    // The remedy works as it stands.
    let remedy = found.check("key").remedy;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("echo {KEY} | {{ {remedy}\n}}")]).current_dir(sandbox.path(""));
    assert!(shell.status().expect("a shell").success(), "{remedy}");
    let found = examine(&sandbox);
    found.output.expect_code(0);
    found.check("key").says("ok", "where it is looked for");
    found.check("secrets").says("ok", "1 file with secrets");
    assert_eq!(server.requests().len(), 1);
}

/// An answer whose server's clock is so many seconds ahead of this machine's.
fn dated(ahead: i64) -> impl Fn() -> Answer + Send + Sync + 'static {
    move || {
        #[expect(clippy::disallowed_methods, reason = "the server's own clock")]
        let at = chrono::Utc::now() + chrono::TimeDelta::seconds(ahead);
        let date = at.format("%a, %d %b %Y %H:%M:%S GMT");
        Answer::Whole(Reply::new(401, r#"{"error":"Unknown API Key"}"#).with("date", date))
    }
}

#[test]
fn the_clock_is_held_against_the_date_of_whatever_answer() {
    let clock = |ahead| {
        let (_server, sandbox) = at(dated(ahead));
        examine(&sandbox).check("clock")
    };
    clock(0).says("ok", "it agrees with p's");
    clock(-100).says("warning", "ahead of p's").mended_by("timedatectl");
    clock(100).says("warning", "behind p's");
    clock(4_000).says("critical", "bars are judged due at the wrong time");
    let (_server, sandbox) = at(|| Answer::Whole(Reply::new(200, "{}").with("date", "yesterday")));
    examine(&sandbox).check("clock").says("skipped", "no provider's answer tells the time");
}

#[test]
fn one_providers_wrong_clock_is_not_ours() {
    let wrong = Server::start(|_| dated(9_000)());
    let (_right, sandbox) = at(dated(0));
    let second = polygon(&wrong.url(), "").replace("[run]\nstagger = \"0s\"\n", "");
    let config = sandbox.read("mdctl.toml") + &second.replace("[providers.p]", "[providers.q]");
    sandbox.write("mdctl.toml", config + &group("q", "etf", &["QQQ"], DAILY));
    examine(&sandbox).check("clock").says("ok", "it agrees with p's");
}

#[test]
fn a_provider_that_no_group_asks_is_not_asked() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let second = polygon(&server.url(), "").replace("[run]\nstagger = \"0s\"\n", "");
    let config = sandbox.read("mdctl.toml") + &second.replace("[providers.p]", "[providers.q]");
    sandbox.write("mdctl.toml", config);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let found = examine(&sandbox);
    found.output.expect_code(0);
    found.about("provider", "q").says("skipped", "no group asks it");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_key_that_a_server_repeats_is_nowhere_to_be_found() {
    let echo = |request: &Request| {
        let key = request.header("authorization").unwrap_or_default().to_owned();
        Answer::status(403, format!(r#"{{"status":"NOT_AUTHORIZED","message":"not for {key}"}}"#))
    };
    let (_server, sandbox) = faulty_stocks(&["AAA"], echo);
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", config + "\n[log]\nfile = \"logs/mdctl.log\"\n");
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    for arguments in [&["doctor"][..], &["doctor", "--json"], &["doctor", "-vv"]] {
        let output = sandbox.mdctl(arguments);
        output.expect_code(2).expect_stdout("not for Bearer [key]");
        assert!(!output.stdout.contains(KEY) && !output.stderr.contains(KEY), "{output}");
    }
    assert!(!sandbox.holds(KEY), "neither in the database nor in the log");
}
