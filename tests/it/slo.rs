//! Service levels: what real outages, crashes, pauses and late bars come to.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::market::{DAY, Market, rfc3339};
use crate::support::server::{Answer, Request, Server};
use crate::support::{
    AS_OF, Sandbox, daily_sessions, daily_stocks, faulty_stocks, group, polygon, wait_until,
};

/// What `slo --json` says at the usual instant.
#[track_caller]
fn slo(sandbox: &Sandbox) -> Value {
    sandbox.mdctl(&["slo", "--json", "--as-of", AS_OF]).expect_code(0).json()
}

/// One objective of it.
#[track_caller]
fn objective<'a>(slo: &'a Value, name: &str) -> &'a Value {
    let all = slo["objectives"].as_array().expect("objectives");
    all.iter().find(|objective| objective["name"] == name).expect("it is judged")
}

/// `cause subject` of each incident, with ` …` behind one that lasts.
fn incidents(slo: &Value) -> Vec<String> {
    let tell = |incident: &Value| {
        let word = |name: &str| incident[name].as_str().unwrap_or_default().to_owned();
        let lasts = if incident["ended_at"].is_null() { " …" } else { "" };
        format!("{} {}{lasts}", word("cause"), word("subject"))
    };
    slo["incidents"].as_array().expect("incidents").iter().map(tell).collect()
}

#[test]
fn an_outage_lasts_from_the_first_failed_run_to_the_next_good_one() {
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB"], |_| Answer::Reset);
    sandbox.backfill(&[]).expect_code(2);
    sandbox.backfill(&[]).expect_code(2);
    let json = slo(&sandbox);
    assert_eq!(incidents(&json), ["provider_outage p …"], "{json}");
    assert_eq!(json["recovery"][0]["open"], 1, "{json}");
    assert_eq!(objective(&json, "run_success_rate")["met"], false, "{json}");
    let market = Market::daily(&["AAA", "BBB"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&["--force", "--reason", "it is well again"]).expect_code(0);
    let json = slo(&sandbox);
    assert_eq!(incidents(&json), ["provider_outage p"], "{json}");
    let database = sandbox.database();
    let began = database.number("SELECT min(started_at) FROM runs");
    let ended = database.number("SELECT max(completed_at) FROM runs");
    assert_eq!(json["incidents"][0]["recovery_seconds"], ended - began, "{json}");
    assert_eq!(json["incidents"][0]["started_at"], rfc3339(began), "{json}");
    assert_eq!(objective(&json, "rto")["achieved"], (ended - began) as f64, "{json}");
    assert_eq!(objective(&json, "rto")["met"], true, "{json}");
    let rate = objective(&json, "run_success_rate")["achieved"].as_f64().expect("a rate");
    assert!((rate - 100.0 / 3.0).abs() < 1e-9, "{json}");
}

#[test]
fn a_run_ahead_of_the_clock_counts_for_nothing() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(404, "{}"));
    sandbox.backfill(&[]).expect_code(2);
    assert_eq!(objective(&slo(&sandbox), "run_success_rate")["met"], false);
    // Ids of runs ascend with the time.
    sandbox.tamper(
        "PRAGMA foreign_keys = OFF;
         UPDATE runs SET run_id = '02' || substr(run_id, 3), started_at = started_at + 864000,
                completed_at = completed_at + 864000",
    );
    let json = slo(&sandbox);
    assert_eq!(incidents(&json), Vec::<String>::new(), "{json}");
    assert!(objective(&json, "run_success_rate")["met"].is_null(), "{json}");
}

#[test]
fn a_symbol_that_is_not_there_is_no_outage() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&["AAA", "BBB"], move |request| {
        if request.path.contains("/BBB/") {
            return Answer::status(404, r#"{"message":"Ticker not found."}"#);
        }
        market.polygon(request)
    });
    sandbox.backfill(&[]).expect_code(1);
    assert_eq!(incidents(&slo(&sandbox)), Vec::<String>::new());
}

#[test]
fn a_file_that_cannot_be_read_is_no_outage() {
    let config = "[providers.local]\nkind = \"files\"\npath = \"data\"\n".to_owned()
        + &group("local", "stock", &["AAA"], crate::support::DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.write("data/AAA_1d.csv", "no header\n");
    sandbox.backfill(&[]).expect_code(2);
    let incidents = incidents(&slo(&sandbox));
    assert!(!incidents.iter().any(|incident| incident.contains("outage")), "{incidents:?}");
}

#[test]
fn one_provider_is_down_while_another_works() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let well = Server::start(move |request: &Request| market.polygon(request));
    let down = Server::start(|_: &Request| Answer::Reset);
    let second = polygon(&down.url(), "").replace("[run]\nstagger = \"0s\"\n", "");
    let config = polygon(&well.url(), "")
        + &second.replace("[providers.p]", "[providers.q]")
        + &group("p", "stock", &["AAA"], crate::support::DAILY)
        + &group("q", "etf", &["BBB"], crate::support::DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(1);
    assert_eq!(incidents(&slo(&sandbox)), ["provider_outage q …"]);
    // A good run in which it is not asked says nothing of it.
    sandbox.backfill(&["AAA", "--full"]).expect_code(0);
    assert_eq!(incidents(&slo(&sandbox)), ["provider_outage q …"]);
    let market = Market::daily(&["BBB"], &daily_sessions());
    down.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&["BBB"]).expect_code(0);
    assert_eq!(incidents(&slo(&sandbox)), ["provider_outage q"]);
}

#[test]
fn a_crash_is_an_incident_that_the_next_run_ends() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::Hang);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    assert_eq!(incidents(&slo(&sandbox)), Vec::<String>::new(), "it is at work");
    running.kill();
    assert_eq!(incidents(&slo(&sandbox)), ["crash runs …"]);
    let market = Market::daily(&["AAA"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    let json = slo(&sandbox);
    assert_eq!(incidents(&json), ["crash runs"], "{json}");
    assert_eq!(json["incidents"][0]["exposure_seconds"], Value::Null, "no good run before it");
}

#[test]
fn a_stopped_run_is_no_incident() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::Hang);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(143));
    wait_until(|| !sandbox.database().texts("SELECT status FROM runs").is_empty());
    let json = slo(&sandbox);
    assert_eq!(incidents(&json), Vec::<String>::new());
    assert_eq!(objective(&json, "run_success_rate")["achieved"], Value::Null, "{json}");
}

#[test]
fn a_pause_is_told_and_misses_nothing() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "the disk is changed"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    let json = slo(&sandbox);
    assert_eq!(incidents(&json), ["pause runs …"], "{json}");
    let detail = json["incidents"][0]["detail"].as_str().expect("a text");
    assert!(detail.contains("the disk is changed"), "{json}");
    assert_eq!(objective(&json, "rto")["met"], Value::Null, "{json}");
    sandbox.mdctl(&["resume"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(incidents(&slo(&sandbox)), ["pause runs"]);
}

/// Days of a coin in a file, up to so many days before today's.
fn write_days(sandbox: &Sandbox, until_days_ago: i64) {
    let today = mdctl::clock::now().div_euclid(DAY);
    let days = (today - 40..today - until_days_ago)
        .map(|day| format!("{},100,101,99,100.5,1000\n", rfc3339(day * DAY)));
    let text: String = days.collect();
    sandbox.write("bars/BTC_1d.csv", format!("ts,open,high,low,close,volume\n{text}"));
}

#[test]
fn late_bars_are_an_incident_until_they_come() {
    let config = "[providers.f]\nkind = \"files\"\npath = \"bars\"\n".to_owned()
        + &group("f", "crypto", &["BTC"], "timeframes = [\"1d\"]");
    let sandbox = Sandbox::with(&config);
    write_days(&sandbox, 5);
    sandbox.mdctl(&["backfill"]).expect_code(0);
    let late = sandbox.mdctl(&["slo", "--check", "--json"]);
    let json = late.expect_code(2).json();
    assert_eq!(incidents(&json), ["stale_data series …"], "{json}");
    assert_eq!(objective(&json, "rpo")["met"], false, "{json}");
    write_days(&sandbox, 0);
    sandbox.mdctl(&["backfill"]).expect_code(0);
    let json = sandbox.mdctl(&["slo", "--json"]).expect_code(0).json();
    assert_eq!(incidents(&json), ["stale_data series"], "{json}");
    let recovery = json["incidents"][0]["recovery_seconds"].as_i64().expect("seconds");
    let lag = sandbox.database().number("SELECT max(worst_lag_seconds) FROM runs");
    assert!(lag > 3 * DAY, "five days are missing, the first of them due since four: {lag}");
    assert!((lag - DAY..lag).contains(&recovery), "{recovery} of {lag}: one day is allowed");
}

#[test]
fn slow_answers_use_up_the_budget() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let json = slo(&sandbox);
    assert_eq!(objective(&json, "fetch_p99")["met"], true, "{json}");
    assert_eq!(objective(&json, "fetch_p99")["measured"], 1, "{json}");
    let detection = objective(&json, "detection");
    assert_eq!(detection["measured"], 0, "days of a run as of another year are no tail: {json}");
    sandbox.tamper("UPDATE fetch_log SET response_time_ms = 45000");
    let json = slo(&sandbox);
    let p99 = objective(&json, "fetch_p99");
    assert_eq!((&p99["met"], &p99["achieved"]), (&false.into(), &45.0.into()), "{json}");
    assert!(p99["error_budget_left"].as_f64().is_some_and(|left| left < 0.0), "{json}");
}

#[test]
fn bars_count_as_detected_by_when_their_answer_came() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let bars = sandbox.database().number("SELECT count(*) FROM bars");
    sandbox.tamper(
        "UPDATE fetch_log SET range_from = (SELECT started_at FROM runs) - 86400,
                              started_at = (SELECT started_at FROM runs), response_time_ms = 60000",
    );
    let json = slo(&sandbox);
    let detection = objective(&json, "detection");
    assert_eq!((&detection["measured"], &detection["met"]), (&bars.into(), &true.into()), "{json}");
    sandbox.tamper("UPDATE fetch_log SET response_time_ms = 60001");
    let json = slo(&sandbox);
    let detection = objective(&json, "detection");
    assert_eq!((&detection["achieved"], &detection["met"]), (&0.0.into(), &false.into()), "{json}");
    sandbox.mdctl(&["slo", "--check", "--as-of", AS_OF]).expect_code(1).expect_stdout("missed");
}

#[test]
fn what_is_promised_stands_in_the_config() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let config = polygon(&server.url(), "")
        + &group("p", "stock", &["AAA"], crate::support::DAILY)
        + "[objectives]\nfetch_p99 = \"0s\"\nwindow = \"2d\"\nrpo = \"10y\"\n";
    sandbox.write("mdctl.toml", config);
    let json = slo(&sandbox);
    assert_eq!(json["window_seconds"], 2 * DAY, "{json}");
    assert_eq!(objective(&json, "fetch_p99")["target"], 0.0, "{json}");
    assert_eq!(objective(&json, "rpo")["target"], (3652.5 * DAY as f64).floor(), "{json}");
}

#[test]
fn an_older_database_is_judged_as_far_as_it_tells() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::Reset);
    sandbox.backfill(&[]).expect_code(2);
    sandbox.go_back_to_schema_1();
    let json = slo(&sandbox);
    assert_eq!(incidents(&json), ["provider_outage p …"], "{json}");
}

#[test]
fn without_a_database_nothing_can_be_told() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["slo"]).expect_code(3).expect_stderr("mdctl backfill");
}

#[test]
fn a_shard_is_judged_by_its_own_symbols() {
    let symbols = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"];
    let (_server, sandbox) = daily_stocks(&symbols);
    sandbox.backfill(&["--shard", "0/2"]).expect_code(0);
    let own = sandbox.database().number("SELECT count(DISTINCT series_id) FROM bars");
    assert!((1..6).contains(&own), "{own} of six symbols");
    let look = |command: &str, more: &[&str]| {
        let all = [&[command, "--json", "--as-of", AS_OF], more].concat();
        let output = sandbox.mdctl(&all);
        (output.code, output.json())
    };
    let shard = ["--shard", "0/2"];
    let (code, health) = look("health", &shard);
    assert_eq!((code, &health["freshness"]["fresh"]), (Some(0), &own.into()), "{health}");
    assert_eq!(health["monitored_symbols"], own, "{health}");
    assert_eq!(look("health", &[]).1["freshness"]["missing"], 6 - own);
    let series = look("staleness", &shard).1["series"].as_array().map(Vec::len);
    assert_eq!(series, usize::try_from(own).ok());
    assert_eq!(look("alerts", &shard).0, Some(0));
    assert_eq!(look("slo", &shard).0, Some(0));
    let page = sandbox.mdctl(&["report", "--out", "-", "--as-of", AS_OF, "--shard", "0/2"]);
    assert!(page.expect_code(0).stdout.contains(&format!("OK - {own} fresh, 0 aging")), "{page}");
}
