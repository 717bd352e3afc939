//! What is asked for: what is due and not covered, no more, no less.

use crate::support::market::{DAY, Market, Row, date, day, instant, row, rows, sessions};
use crate::support::server::Server;
use crate::support::{
    AS_OF, DAILY, Sandbox, asked, daily_sessions, daily_stocks, faulty_stocks, group, polygon,
};

/// Takes the bars of those dates, both included, out of the database, as anyone with a shell may.
fn forget(sandbox: &Sandbox, from: &str, to: &str) {
    let (from, end) = (day(from), day(to) + DAY);
    sandbox.tamper(&format!("DELETE FROM bars WHERE ts >= {from} AND ts < {end}"));
}

/// Makes a hole in a complete series and asserts which requests mend it.
#[track_caller]
fn check_hole(from: &str, to: &str, expected: &[&str]) {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let before = sandbox.database().bars("AAA", "1d");
    forget(&sandbox, from, to);
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.requests()), expected);
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), before);
    assert_eq!(database.number("SELECT count(*) FROM coverage"), 1);
    assert_eq!(database.number("SELECT bar_count FROM series"), 21);
    assert_eq!(database.number("SELECT count(*) FROM revisions"), 0);
}

#[test]
fn a_hole_at_the_head_is_asked_for_alone() {
    check_hole("2024-02-15", "2024-02-22", &["AAA 1d 2024-02-15 2024-02-22"]);
}

#[test]
fn a_hole_in_the_middle_is_asked_for_alone() {
    check_hole("2024-02-28", "2024-03-05", &["AAA 1d 2024-02-28 2024-03-05"]);
}

#[test]
fn a_hole_at_the_tail_reaches_back_over_the_unsettled() {
    check_hole("2024-03-13", "2024-03-15", &["AAA 1d 2024-03-08 2024-03-15"]);
}

#[test]
fn a_hole_without_a_session_costs_nothing() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    forget(&sandbox, "2024-02-17", "2024-02-19");
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.requests()), Vec::<String>::new());
}

#[test]
fn nothing_resumes_from_the_last_bar_alone() {
    // A killed run may leave a later stretch and not the earlier one.
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&["--from", "2024-03-11"]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), ["AAA 1d 2024-03-11 2024-03-15"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-15 2024-03-08"]);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
}

#[test]
fn a_closed_day_costs_no_request() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    for as_of in ["2024-03-16", "2024-03-17", "2024-03-18T19:59:00Z"] {
        sandbox.backfill_at(as_of, &[]).expect_code(0);
        assert_eq!(asked(&server.requests()), Vec::<String>::new(), "{as_of}");
    }
    let statuses = sandbox.database().texts("SELECT status FROM runs");
    assert_eq!(statuses, ["succeeded"; 4]);
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-03-13 2024-03-18"]);
}

#[test]
fn a_bar_is_due_when_its_session_closed_and_the_lag_passed() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    // 16:00 New York is 20:00Z in March; polygon's bars come 20 minutes later.
    sandbox.backfill_at("2024-03-15T20:19:59Z", &[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), ["AAA 1d 2024-02-15 2024-03-14"]);
    sandbox.backfill_at("2024-03-15T20:20:00Z", &[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-03-12 2024-03-15"]);
}

#[test]
fn a_holiday_that_the_config_adds_is_not_asked_for() {
    let market = Market::daily(&["AAA"], &sessions("2024-01-02", "2024-06-28"));
    let server = Server::start(move |request| market.polygon(request));
    let closed = "[calendars.XNYS]\nclosed = [\"2024-03-15\"]\n";
    let config = polygon(&server.url(), "") + closed + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-15 2024-03-14"]);
}

#[test]
fn a_wider_lookback_asks_for_the_head_alone() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    let wider = sandbox.read("mdctl.toml").replace("30d", "60d");
    sandbox.write("mdctl.toml", wider);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-01-16 2024-02-14"]);
    let times = sandbox.database().times("AAA", "1d");
    assert_eq!(times, sessions("2024-01-16", AS_OF));
}

#[test]
fn a_narrower_lookback_takes_nothing_away() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    let narrower = sandbox.read("mdctl.toml").replace("30d", "7d");
    sandbox.write("mdctl.toml", narrower);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
}

#[test]
fn a_lookback_beyond_the_plans_history_is_cut_and_said() {
    let market = Market::daily(&["AAA"], &sessions("2024-01-02", "2024-06-28"));
    let server = Server::start(move |request| market.polygon(request));
    let config =
        polygon(&server.url(), "").replace("20y", "10d") + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    let output = sandbox.backfill(&[]);
    output.expect_code(0).expect_stderr("history");
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-03-06 2024-03-15"]);
}

#[test]
fn from_and_to_are_session_dates_both_included() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&["--from", "2024-03-02", "--to", "2024-03-08"]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-03-04 2024-03-08"]);
    let times = sandbox.database().times("AAA", "1d");
    assert_eq!(times, sessions("2024-03-04", "2024-03-08"));
}

#[test]
fn from_may_reach_behind_the_lookback() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&["--from", "2023-12-29", "--to", "2024-01-03"]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2023-12-29 2024-01-03"]);
    let expected = [day("2023-12-29"), day("2024-01-02"), day("2024-01-03")];
    assert_eq!(sandbox.database().times("AAA", "1d"), expected);
}

#[test]
fn a_range_that_ends_before_it_begins_is_a_usage_error() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let output = sandbox.backfill(&["--from", "2024-03-08", "--to", "2024-03-02"]);
    output.expect_code(64).expect_stderr("--from");
    sandbox.backfill(&["--from", "yesterday"]).expect_code(64);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn full_asks_again_and_changes_nothing() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let before = sandbox.database().bars("AAA", "1d");
    server.take_requests();
    sandbox.backfill(&["--full"]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-15 2024-03-15"]);
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), before);
    assert_eq!(database.number("SELECT count(*) FROM revisions"), 0);
    assert_eq!(database.number("SELECT bar_count FROM series"), 21);
    let runs = database.texts(
        "SELECT concat_ws(' ', records_inserted, records_updated, requests) FROM runs ORDER BY run_id",
    );
    assert_eq!(runs, ["21 0 1", "0 0 1"]);
}

#[test]
fn repair_asks_only_for_what_is_missing() {
    let lacking: Vec<i64> =
        daily_sessions().into_iter().filter(|ts| *ts != day("2024-02-27")).collect();
    let market = Market::daily(&["AAA"], &lacking);
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("AAA"), ["provider_empty 1"]);
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 0, "an ordinary run leaves it alone");

    let market = Market::daily(&["AAA"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&["--repair"]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-27 2024-02-27"]);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
}

// What is not settled.

#[test]
fn a_restated_bar_is_revised_and_its_old_values_kept() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    let restated = Row { close: 133.25, volume: 7.0, ..row(day("2024-03-14")) };
    let mut later = rows(&sessions("2024-02-15", "2024-03-18"));
    *later.iter_mut().find(|row| row.ts == restated.ts).expect("a bar") =
        Row { high: 140.0, low: 90.0, ..restated };
    let market = Market::new().with("AAA", "1d", later.clone());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);

    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-03-13 2024-03-18"]);
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), later);
    let old = row(day("2024-03-14"));
    let revisions = database.rows(
        "SELECT ts, old_close, new_close, old_volume, new_volume, run_id FROM revisions",
        |row| {
            let values: [f64; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
            Ok((row.get::<_, i64>(0)?, values, row.get::<_, String>(5)?))
        },
    );
    let run = database.texts("SELECT max(run_id) FROM runs").remove(0);
    assert_eq!(revisions, [(old.ts, [old.close, 133.25, old.volume, 7.0], run)]);
    let counts = database.texts(
        "SELECT concat_ws(' ', records_inserted, records_updated) FROM runs ORDER BY run_id",
    );
    assert_eq!(counts, ["21 0", "1 1"]);
    let jobs = database.numbers("SELECT records_updated FROM jobs WHERE records_updated > 0");
    assert_eq!(jobs, [1]);
}

#[test]
fn a_longer_settle_reads_further_back() {
    let market = Market::daily(&["AAA"], &sessions("2024-01-02", "2024-06-28"));
    let server = Server::start(move |request| market.polygon(request));
    let slow = format!("{DAILY}\nsettle = \"12d\"");
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], &slow);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-03-07 2024-03-18"]);
}

#[test]
fn the_tails_of_known_series_come_before_new_ones() {
    let (server, sandbox) = daily_stocks(&["AAA", "ZZZ"]);
    sandbox.backfill(&["ZZZ"]).expect_code(0);
    server.take_requests();
    sandbox.backfill_at("2024-03-18", &["--parallel", "1"]).expect_code(0);
    let symbols: Vec<String> =
        asked(&server.requests()).iter().map(|line| line[..3].to_owned()).collect();
    assert_eq!(symbols, ["ZZZ", "AAA"]);
}

#[test]
fn a_higher_priority_goes_first() {
    let market = Market::daily(&["AAA", "BBB"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "")
        + &group("p", "stock", &["AAA"], DAILY)
        + &group("p", "etf", &["BBB"], &format!("{DAILY}\npriority = 5"));
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&["--parallel", "1"]).expect_code(0);
    let symbols: Vec<String> =
        asked(&server.requests()).iter().map(|line| line[..3].to_owned()).collect();
    assert_eq!(symbols, ["BBB", "AAA"]);
}

// The plan, shown.

#[test]
fn a_dry_run_asks_nothing_and_writes_nothing() {
    let (server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    let output = sandbox.backfill(&["--dry-run"]);
    output.expect_code(0).expect_stdout("AAA").expect_stdout("2024-02-15");
    assert_eq!(server.requests().len(), 0);
    assert!(!sandbox.path("mdctl.db").exists(), "a dry run made a database");
    assert!(!sandbox.path("mdctl.db.lock").exists(), "a dry run took the lock");
}

/// Asserts that the run after a dry run makes exactly the requests that the plan said.
#[track_caller]
fn check_plan(server: &Server, sandbox: &Sandbox, as_of: &str, arguments: &[&str]) -> u64 {
    server.take_requests();
    let plan = sandbox.backfill_at(as_of, &[arguments, &["--dry-run", "--json"]].concat());
    let plan = plan.expect_code(0).json();
    assert_eq!(server.requests().len(), 0, "a dry run asked");
    sandbox.backfill_at(as_of, arguments).expect_code(0);
    let mut made = asked(&server.requests());
    let planned = plan["requests"].as_u64().expect("a number of requests");
    assert_eq!(planned, made.len() as u64, "{plan:#}");
    let tasks = plan["tasks"].as_array().expect("tasks");
    let mut ranges: Vec<String> = tasks
        .iter()
        .map(|task| {
            let text = |name: &str| task[name].as_str().expect("text").to_owned();
            let last = date(crate::support::market::instant(&text("to")) - 1);
            format!("{} {} {} {last}", text("symbol"), text("timeframe"), &text("from")[..10])
        })
        .collect();
    made.sort();
    ranges.sort();
    assert_eq!(ranges, made);
    planned
}

#[test]
fn a_run_makes_the_requests_that_its_plan_says() {
    let (server, sandbox) = daily_stocks(&["AAA", "BBB", "CCC"]);
    assert_eq!(check_plan(&server, &sandbox, AS_OF, &[]), 3);
    assert_eq!(check_plan(&server, &sandbox, AS_OF, &[]), 0);
    assert_eq!(check_plan(&server, &sandbox, "2024-03-18", &["AAA"]), 1);
    assert_eq!(check_plan(&server, &sandbox, "2024-03-18", &[]), 2);
    assert_eq!(check_plan(&server, &sandbox, "2024-03-18", &["--full"]), 3);
    forget(&sandbox, "2024-02-27", "2024-02-29");
    assert_eq!(check_plan(&server, &sandbox, "2024-03-18", &[]), 3);
    let head = ["--from", "2023-06-01", "--to", "2023-06-30"];
    assert_eq!(check_plan(&server, &sandbox, "2024-03-18", &head), 3);
}

#[test]
fn a_plan_says_how_long_the_quota_makes_it_take() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let symbols = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH", "III", "JJJ", "KKK"];
    let config = polygon(&server.url(), "")
        .replace("requests = 1000, per = \"1s\"", "requests = 5, per = \"60s\"")
        + &group("p", "stock", &symbols, DAILY);
    let sandbox = Sandbox::with(&config);
    let plan = sandbox.backfill(&["--dry-run", "--json"]).expect_code(0).json();
    assert_eq!(plan["requests"], 11);
    let seconds = plan["quota_seconds"].as_u64().expect("seconds");
    assert!((120..=122).contains(&seconds), "{plan:#}");
    let plan = sandbox.backfill(&["--dry-run", "--json", "--shard", "0/5"]).expect_code(0).json();
    let requests = plan["requests"].as_u64().expect("a count");
    assert!(requests > 1, "{plan:#}");
    assert_eq!(
        plan["quota_seconds"],
        (requests - 1) * 60,
        "one of the five a minute is this shard's"
    );
}

#[test]
fn filters_choose_series() {
    let market = Market::daily(&["AAA", "SPY"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "")
        + &group("p", "stock", &["AAA"], DAILY)
        + &group("p", "etf", &["SPY"], DAILY);
    let sandbox = Sandbox::with(&config);
    let planned = |arguments: &[&str]| {
        let plan = sandbox.backfill(&[arguments, &["--dry-run", "--json"]].concat());
        let plan = plan.expect_code(0).json();
        let tasks = plan["tasks"].as_array().expect("tasks").clone();
        tasks.iter().map(|task| task["symbol"].as_str().expect("a symbol").to_owned()).collect()
    };
    let planned: &dyn Fn(&[&str]) -> Vec<String> = &planned;
    assert_eq!(planned(&["--group", "etfs"]), ["SPY"]);
    assert_eq!(planned(&["--asset-class", "stock"]), ["AAA"]);
    assert_eq!(planned(&["--provider", "p"]), ["AAA", "SPY"]);
    assert_eq!(planned(&["--timeframe", "1d", "SPY"]), ["SPY"]);
}

#[test]
fn reports_miss_deleted_bars_before_any_run_does() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    forget(&sandbox, "2024-03-14", "2024-03-15");
    let report = |name: &str| sandbox.mdctl(&[name, "--json", "--as-of", AS_OF]).json();
    let gaps = report("gaps");
    assert_eq!(gaps["gaps"][0]["reason"], "unfetched", "{gaps}");
    assert_eq!(gaps["gaps"][0]["missing"], 2, "{gaps}");
    assert_eq!(report("staleness")["series"][0]["last_bar_at"], "2024-03-13T00:00:00Z");
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}

#[test]
fn what_trades_outside_the_session_comes_with_what_is_asked_for() {
    let minutes = |from: &str, count: i64| -> Vec<i64> {
        (0..count).map(|index| instant(from) + 60 * index).collect()
    };
    let mut times = minutes("2024-03-14T08:00:00Z", 30);
    times.extend(minutes("2024-03-14T13:30:00Z", 390));
    let market = Market::new().with("AAA", "1m", rows(&times));
    let server = Server::start(move |request| market.polygon(request));
    let config =
        polygon(&server.url(), "") + &group("p", "stock", &["AAA"], r#"timeframes = ["1m"]"#);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-14", &["--from", "2024-03-14"]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1m"), times);
}

#[test]
fn from_is_cut_to_the_history_and_that_is_said() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "").replace(r#"history = "20y""#, r#"history = "90d""#)
        + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox
        .backfill(&["--from", "2020-01-01", "--dry-run"])
        .expect_code(0)
        .expect_stdout("--from is cut to 2023-12-1");
}
