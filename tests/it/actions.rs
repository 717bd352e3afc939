//! Splits and dividends: how they are judged by the bars, what they do to them, and who settles disputes.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::market::{DAY, HOUR, day, rfc3339, sessions};
use crate::support::{AS_OF, Sandbox, fields, group};

/// The Wednesday from which on prices are the new ones.
const EX_DATE: &str = "2024-03-06";

/// Bars of `times` whose price is 400, and `after` from the ex date on; volumes 1000, and as many more.
fn csv(times: &[i64], ex_ts: i64, after: f64) -> String {
    let header = "ts,open,high,low,close,volume\n".to_owned();
    times.iter().fold(header, |mut text, ts| {
        let is_new = *ts >= ex_ts;
        let (price, volume) = if is_new { (after, 400_000.0 / after) } else { (400.0, 1_000.0) };
        let (high, low) = (price * 1.25, price * 0.75);
        let _ = writeln!(text, "{},{price},{high},{low},{price},{volume}", rfc3339(*ts));
        text
    })
}

/// A sandbox with days, and weeks made of them, of the share AAA, whose price goes from 400 to `after`
/// on the ex date.
fn share(after: f64) -> Sandbox {
    let provider = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";
    let config = provider.to_owned()
        + &group("local", "stock", &["AAA", "ABA"], r#"timeframes = ["1d", "1w"]"#);
    let sandbox = Sandbox::with(&config);
    let days = sessions("2024-01-02", AS_OF);
    sandbox.write("data/AAA_1d.csv", csv(&days, day(EX_DATE), after));
    sandbox.write("data/ABA_1d.csv", csv(&days, i64::MAX, 1.0));
    sandbox
}

/// Adds to the actions of a symbol that its provider declares: `ex_date,kind,value` each.
fn declare(sandbox: &Sandbox, symbol: &str, rows: &[&str]) {
    let name = format!("data/{symbol}_actions.csv");
    let held = if sandbox.path(&name).exists() { sandbox.read(&name) } else { String::new() };
    let header = if held.is_empty() { "ex_date,kind,value\n" } else { "" };
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    sandbox.write(&name, format!("{held}{header}{rows}"));
}

/// A share whose bars are stored, and then those actions declared and judged.
fn declared(after: f64, rows: &[&str]) -> Sandbox {
    let sandbox = share(after);
    sandbox.backfill(&[]).expect_code(0);
    declare(&sandbox, "AAA", rows);
    sandbox.backfill(&[]).expect_code(0);
    sandbox
}

/// `EX_DATE RATIO STATUS` of every action of AAA.
fn stand(sandbox: &Sandbox) -> Vec<String> {
    sandbox.database().texts(
        "SELECT concat_ws(' ', ex_date, coalesce(ratio_to / ratio_from, cash_amount), status)
           FROM corporate_actions WHERE symbol = 'AAA' ORDER BY rowid",
    )
}

/// The split factors of AAA's days on the eve of the ex date and on it.
fn factors(sandbox: &Sandbox) -> (f64, f64) {
    let of = |date: &str| {
        let rows = sandbox.database().rows(
            &format!(
                "SELECT split_factor FROM candles_adjusted
                  WHERE symbol = 'AAA' AND timeframe = '1d' AND ts = {}",
                day(date)
            ),
            |row| row.get(0),
        );
        rows[0]
    };
    (of("2024-03-05"), of(EX_DATE))
}

/// `time,open,close,volume` of AAA's bars, as `bars` prints them.
fn printed(sandbox: &Sandbox, timeframe: &str, more: &[&str]) -> Vec<(String, f64, f64, f64)> {
    let arguments = ["bars", "AAA", "--timeframe", timeframe, "--format", "csv"];
    let output = sandbox.mdctl(&[&arguments, more].concat());
    output.expect_code(0);
    let rows = output.stdout.lines().skip(1).map(|line| {
        let parts: Vec<&str> = line.split(',').collect();
        let number = |at: usize| parts[at].parse().expect("a number");
        (parts[0].to_owned(), number(2), number(5), number(6))
    });
    rows.collect()
}

#[test]
fn a_split_that_the_bars_show_is_applied_on_read_and_to_no_row() {
    let sandbox = declared(100.0, &["2024-03-06,split,4"]);
    assert_eq!(stand(&sandbox), ["2024-03-06 4.0 applied"]);
    assert_eq!(factors(&sandbox), (0.25, 1.0));
    let raw = printed(&sandbox, "1d", &[]);
    assert_eq!((raw[0].2, raw[0].3), (400.0, 1_000.0), "bars stay as they were traded");
    for (time, _, close, volume) in printed(&sandbox, "1d", &["--adjusted", "splits"]) {
        assert_eq!((close, volume), (100.0, 4_000.0), "{time}");
    }
    let seen = sandbox.database().texts(
        "SELECT DISTINCT concat_ws(' ', open, high, low, close, volume, vwap, adj_close)
           FROM candles_adjusted WHERE symbol = 'AAA' AND timeframe = '1d'",
    );
    assert_eq!(seen, ["100.0 125.0 75.0 100.0 4000.0 100.0"]);
}

#[test]
fn a_reverse_split_is_one_too() {
    let sandbox = declared(4_000.0, &["2024-03-06,split,0.1"]);
    assert_eq!(stand(&sandbox), ["2024-03-06 0.1 applied"]);
    assert_eq!(factors(&sandbox), (10.0, 1.0));
}

#[test]
fn a_week_is_told_in_the_shares_of_its_end() {
    let sandbox = declared(100.0, &["2024-03-06,split,4"]);
    let weeks = printed(&sandbox, "1w", &[]);
    let of = |week: &str| {
        let found = weeks.iter().find(|row| row.0.starts_with(week)).expect("the week");
        (found.1, found.2, found.3)
    };
    assert_eq!(of("2024-02-26"), (400.0, 400.0, 5_000.0), "a week before, as it was traded");
    assert_eq!(of("2024-03-04"), (100.0, 100.0, 20_000.0), "the split is in it");
    for (time, open, close, _) in printed(&sandbox, "1w", &["--adjusted", "all"]) {
        assert_eq!((open, close), (100.0, 100.0), "{time}");
    }
    sandbox.mdctl(&["actions", "reject", "AAA", EX_DATE, "--reason", "no"]).expect_code(0);
    let weeks = printed(&sandbox, "1w", &["--adjusted", "all"]);
    let mixed = weeks.iter().find(|row| row.0.starts_with("2024-03-04")).expect("the week");
    assert_eq!((mixed.1, mixed.2), (400.0, 100.0), "made anew as if nothing had happened");
}

#[test]
fn a_second_run_writes_nothing() {
    let sandbox = declared(100.0, &["2024-03-06,split,4", "2024-02-07,dividend,1"]);
    let marks = "SELECT concat_ws(' ', series_id, features_from, quality_from) FROM series";
    let rows = "SELECT concat_ws(' ', series_id, until_ts, split_factor, total_factor)
                  FROM adjustment_factors";
    // As computing leaves them.
    sandbox.tamper("UPDATE series SET features_from = NULL, quality_from = NULL");
    let before = sandbox.database().texts(rows);
    assert_eq!(before.len(), 4);
    let weeks = printed(&sandbox, "1w", &[]);
    let revised = sandbox.database().number("SELECT count(*) FROM revisions");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().texts(marks), ["1", "2", "3", "4"]);
    assert_eq!(sandbox.database().texts(rows), before);
    assert_eq!(printed(&sandbox, "1w", &[]), weeks);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM revisions"), revised);
}

#[test]
fn a_split_that_is_told_late_computes_all_features_anew_and_a_dividend_none() {
    let sandbox = declared(100.0, &[]);
    // Rows computed in the last run, and those there are, of each series.
    let computed = || {
        sandbox.database().texts(
            "SELECT concat_ws(' ', timeframe, rows_written - bar_count)
               FROM compute_log JOIN series USING (symbol, timeframe)
              WHERE run_id = (SELECT max(run_id) FROM runs) ORDER BY timeframe",
        )
    };
    declare(&sandbox, "AAA", &["2024-02-07,dividend,1"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(computed(), Vec::<String>::new());
    declare(&sandbox, "AAA", &["2024-03-06,split,4"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(computed(), ["1d 0", "1w 0"]);
    assert_eq!(factors(&sandbox), (0.25, 1.0));
    let returns = sandbox.database().numbers("SELECT coalesce(log_return, 0) <> 0 FROM features");
    assert_eq!(returns.iter().max(), Some(&0), "in shares of today the price stood still");
}

#[test]
fn what_a_provider_takes_back_is_taken_back() {
    let sandbox = declared(100.0, &["2024-03-06,split,4"]);
    sandbox.write("data/AAA_actions.csv", "ex_date,kind,value\n");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(factors(&sandbox), (1.0, 1.0));
    assert_eq!(sandbox.database().number("SELECT count(*) FROM adjustment_factors"), 0);
}

#[test]
fn a_wrong_ratio_is_disputed_and_not_applied() {
    for (after, ratio) in [(399.0, "4"), (200.0, "4"), (100.0, "0.25"), (100.0, "10")] {
        let sandbox = declared(after, &[&format!("2024-03-06,split,{ratio}")]);
        assert!(stand(&sandbox)[0].ends_with("disputed"), "{ratio} for 400 to {after}");
        assert_eq!(factors(&sandbox), (1.0, 1.0));
        let output = sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]);
        let health = output.json();
        let issues = health["issues"].as_array().expect("issues");
        let issue = issues.iter().find(|issue| issue["code"] == "split_disputed");
        let issue = issue.unwrap_or_else(|| panic!("no issue{output:#}"));
        assert_eq!(issue["severity"], "warning");
        assert_eq!(issue["subject"], "AAA");
        assert_eq!(issue["count"], 1);
        let hint = issue["hint"].as_str().expect("a hint");
        assert!(
            hint.contains("mdctl actions accept|reject AAA 2024-03-06 --reason TEXT"),
            "{hint}"
        );
    }
}

#[test]
fn one_jump_told_twice_is_applied_once() {
    let same_date = declared(100.0, &["2024-03-06,split,5", "2024-03-06,split,4"]);
    assert_eq!(stand(&same_date), ["2024-03-06 5.0 disputed", "2024-03-06 4.0 applied"]);
    assert_eq!(factors(&same_date), (0.25, 1.0));
    let neighbours = declared(100.0, &["2024-03-05,split,4", "2024-03-06,split,4"]);
    assert_eq!(stand(&neighbours), ["2024-03-05 4.0 disputed", "2024-03-06 4.0 applied"]);
    assert_eq!(factors(&neighbours), (0.25, 1.0));
}

#[test]
fn what_bars_cannot_show_is_applied_as_it_was_told() {
    let before = declared(100.0, &["2024-03-06,split,4", "2023-06-01,split,2"]);
    assert_eq!(stand(&before)[1], "2023-06-01 2.0 applied");
    assert_eq!(factors(&before), (0.25, 1.0), "no bar is that old");
    let later = declared(100.0, &["2024-03-06,split,4", "2024-03-18,split,2"]);
    assert_eq!(stand(&later)[1], "2024-03-18 2.0 pending");
    assert_eq!(factors(&later), (0.125, 0.5));
    // As of a day before it nobody had seen it.
    let closes = printed(&later, "1d", &["--adjusted", "splits", "--as-of", AS_OF]);
    assert_eq!(closes[0].2, 100.0);
    let then = printed(&later, "1d", &["--adjusted", "splits", "--as-of", "2024-03-05"]);
    assert_eq!(then[0].2, 400.0);
    let week = printed(&later, "1w", &["--adjusted", "splits", "--as-of", "2024-03-05"]);
    assert_eq!(week.last().expect("a week").2, 400.0, "the split was to come that week");
    let week = printed(&later, "1w", &["--adjusted", "splits", "--as-of", EX_DATE]);
    assert_eq!(week.last().expect("a week").2, 100.0);
    let small = declared(399.0, &["2024-03-06,split,1.05"]);
    assert_eq!(stand(&small), ["2024-03-06 1.05 applied"]);
}

#[test]
fn a_pending_split_is_proved_or_disputed_by_the_bars_that_come() {
    let sandbox = share(399.0);
    let eve = "2024-03-05";
    sandbox.backfill_at(eve, &[]).expect_code(0);
    declare(&sandbox, "AAA", &["2024-03-06,split,4"]);
    sandbox.backfill_at(eve, &[]).expect_code(0);
    assert_eq!(stand(&sandbox), ["2024-03-06 4.0 pending"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(stand(&sandbox), ["2024-03-06 4.0 disputed"]);
    assert_eq!(factors(&sandbox), (1.0, 1.0));
}

#[test]
fn a_split_that_is_known_beforehand_falls_into_its_week() {
    let sandbox = share(100.0);
    sandbox.backfill_at("2024-03-05", &[]).expect_code(0);
    declare(&sandbox, "AAA", &["2024-03-06,split,4"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(stand(&sandbox), ["2024-03-06 4.0 applied"]);
    let weeks = printed(&sandbox, "1w", &["--adjusted", "splits"]);
    assert_eq!(weeks.len(), 11);
    assert!(weeks.iter().all(|(_, open, close, _)| (*open, *close) == (100.0, 100.0)), "{weeks:?}");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM revisions"), 0);
}

#[test]
fn a_run_at_work_is_not_decided_over() {
    let sandbox = declared(399.0, &["2024-03-06,split,4"]);
    let file = fs::File::open(sandbox.path("mdctl.db.lock")).expect("the lock's file");
    file.lock().expect("the lock");
    let accept = ["actions", "accept", "AAA", EX_DATE, "--reason", "because"];
    sandbox.mdctl(&accept).expect_code(75).expect_stderr("decide when it has ended");
    drop(file);
    sandbox.mdctl(&accept).expect_code(0);
}

#[test]
fn a_person_accepts_what_the_bars_contradict() {
    let sandbox = declared(399.0, &["2024-03-06,split,4"]);
    let accept = ["actions", "accept", "AAA", EX_DATE, "--reason", "the  company says so"];
    let output = sandbox.mdctl(&accept);
    output.expect_code(0).expect_stdout("AAA: split 4:1 of 2024-03-06 is applied");
    output.expect_stdout("the next run computes features anew");
    assert_eq!(factors(&sandbox), (0.25, 1.0));
    assert_eq!(printed(&sandbox, "1d", &["--adjusted", "splits"])[0].2, 100.0);
    let kept = sandbox
        .database()
        .texts("SELECT concat_ws('|', action, subject, reason, run_id IS NOT NULL) FROM audit_log");
    assert_eq!(kept, ["actions_accept|AAA split 4:1 of 2024-03-06|the company says so|1"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(stand(&sandbox), ["2024-03-06 4.0 applied"], "the next run does not forget");
    let health = sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).stdout;
    assert!(!health.contains("split_disputed"), "{health}");
}

#[test]
fn a_person_rejects_what_the_bars_show() {
    let sandbox = declared(100.0, &["2024-03-06,split,4"]);
    let reject = ["actions", "reject", "AAA", EX_DATE, "--reason", "a crash", "--json"];
    let document = sandbox.mdctl(&reject).json();
    assert_eq!(document["actions"][0]["status"], "rejected");
    assert_eq!(document["actions"][0]["decided"], true);
    assert_eq!(factors(&sandbox), (1.0, 1.0));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(stand(&sandbox), ["2024-03-06 4.0 rejected"]);
}

#[test]
fn of_several_on_a_date_the_disputed_one_is_meant_or_one_is_named() {
    let sandbox =
        declared(100.0, &["2024-03-06,split,5", "2024-03-06,split,4", "2024-03-06,split,6"]);
    let decide = |what: &str, more: &[&str]| {
        let arguments = ["actions", what, "AAA", EX_DATE, "--reason", "because"];
        sandbox.mdctl(&[&arguments, more].concat())
    };
    decide("accept", &[])
        .expect_code(64)
        .expect_stderr("--ratio 5:1 or --ratio 4:1 or --ratio 6:1");
    decide("accept", &["--ratio", "7:1"]).expect_code(64).expect_stderr("no such action");
    decide("reject", &["--ratio", "6:1"]).expect_code(0);
    decide("accept", &[]).expect_code(0).expect_stdout("split 5:1 of 2024-03-06 is applied");
    let all = ["2024-03-06 5.0 applied", "2024-03-06 4.0 disputed", "2024-03-06 6.0 rejected"];
    assert_eq!(stand(&sandbox), all);
    assert_eq!(factors(&sandbox), (0.2, 1.0));
}

#[test]
fn who_decides_must_know_what_about() {
    let sandbox = declared(100.0, &["2024-03-06,split,4"]);
    let accept = |symbol: &str, date: &str| {
        sandbox.mdctl(&["actions", "accept", symbol, date, "--reason", "because"])
    };
    accept("AAB", EX_DATE).expect_code(64).expect_stderr("did you mean");
    accept("AAA", "2024-03-07").expect_code(64).expect_stderr("2024-03-06");
    accept("ABA", EX_DATE).expect_code(64).expect_stderr("has none at all");
    accept("AAA", "someday").expect_code(64);
    sandbox.mdctl(&["actions", "accept", "AAA", EX_DATE]).expect_code(64).expect_stderr("--reason");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM audit_log"), 0);
}

#[test]
fn actions_are_listed_as_a_table_and_as_json() {
    let sandbox = declared(100.0, &["2024-03-06,split,4", "2024-02-07,dividend,0.82"]);
    declare(&sandbox, "ABA", &["2024-03-06,split,4"]);
    sandbox.backfill(&[]).expect_code(0);
    let document = sandbox.mdctl(&["actions", "--json"]).json();
    assert_eq!(fields(&document), ["actions", "count", "schema", "timestamp"]);
    assert_eq!(document["count"], 3);
    assert_eq!(
        fields(&document["actions"][0]),
        [
            "cash_amount",
            "currency",
            "decided",
            "ex_date",
            "first_seen_at",
            "kind",
            "provider",
            "ratio_from",
            "ratio_to",
            "reason",
            "status",
            "symbol"
        ]
    );
    let listed = |more: &[&str]| -> Vec<String> {
        let document = sandbox.mdctl(&[&["actions", "--json"], more].concat()).json();
        let rows = document["actions"].as_array().expect("actions").iter();
        let word = |row: &Value, name: &str| row[name].as_str().expect("a word").to_owned();
        rows.map(|row| word(row, "symbol") + " " + &word(row, "kind")).collect()
    };
    assert_eq!(listed(&["AAA"]), ["AAA dividend", "AAA split"]);
    assert_eq!(listed(&["--status", "disputed"]), ["ABA split"]);
    assert_eq!(listed(&["AAA", "--kind", "dividend"]), ["AAA dividend"]);
    let table = sandbox.mdctl(&["actions"]);
    table.expect_code(0).expect_stdout("split 4:1").expect_stdout("3 actions, 1 disputed");
    sandbox.mdctl(&["actions", "AAB"]).expect_code(64).expect_stderr("did you mean");
    sandbox.mdctl(&["actions", "--status", "doubtful"]).expect_code(64);
    sandbox
        .mdctl(&["bars", "ABA", "--timeframe", "1d", "--adjusted", "all"])
        .expect_stderr("split 4:1 of 2024-03-06 is disputed, and not applied");
}

#[test]
fn an_older_schema_has_no_actions() {
    let sandbox = share(100.0);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.go_back_to_schema_1();
    sandbox.mdctl(&["actions"]).expect_code(0).expect_stdout("no actions");
    assert_eq!(printed(&sandbox, "1d", &["--adjusted", "all"])[0].2, 400.0);
    sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json();
}

#[test]
fn prices_that_contain_the_splits_are_not_split_again() {
    let sandbox = share(400.0);
    sandbox.backfill(&[]).expect_code(0);
    // What weeks are made of tells what they contain.
    sandbox.tamper("UPDATE series SET adjustment = 'splits' WHERE timeframe = '1d'");
    declare(&sandbox, "AAA", &["2024-02-07,dividend,8", "2024-03-06,split,4"]);
    sandbox.backfill(&[]).expect_code(0);
    assert!(stand(&sandbox).iter().all(|row| row.ends_with("applied")), "{:?}", stand(&sandbox));
    let splits = "SELECT DISTINCT concat(split_factor) FROM adjustment_factors";
    assert_eq!(sandbox.database().texts(splits), ["1.0"]);
    // 8 a share were 2 of a share of today, which cost 400.
    let closes = printed(&sandbox, "1d", &["--adjusted", "all"]);
    assert!((closes[0].2 / (400.0 * (1.0 - 2.0 / 400.0)) - 1.0).abs() < 1e-12, "{closes:?}");
}

#[test]
fn hours_and_days_agree() {
    let provider = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";
    let timeframes = r#"timeframes = ["1h", "4h", "1d"]"#;
    let sandbox =
        Sandbox::with(&(provider.to_owned() + &group("local", "stock", &["AAA"], timeframes)));
    let days = sessions("2024-03-01", AS_OF);
    // Every full hour from 09:00 New York, and one of the evening, which is the next day in London.
    let hour = |day: &i64| {
        let offset = if *day >= crate::support::market::day("2024-03-11") { 4 } else { 5 };
        let hours = [9, 10, 11, 12, 13, 14, 15, 19];
        hours.map(|hour| day + (hour + offset) * HOUR)
    };
    let hours: Vec<i64> = days.iter().flat_map(hour).collect();
    sandbox.write("data/AAA_1h.csv", csv(&hours, day(EX_DATE) + 5 * HOUR, 100.0));
    sandbox.write("data/AAA_4h.csv", csv(&[day("2024-03-05") + 16 * HOUR], i64::MAX, 1.0));
    sandbox.write("data/AAA_1d.csv", csv(&days, day(EX_DATE), 100.0));
    sandbox.backfill(&[]);
    declare(&sandbox, "AAA", &["2024-03-06,split,4", "2024-03-05,dividend,1"]);
    sandbox.backfill(&[]);
    for timeframe in ["1h", "4h", "1d"] {
        let closes = printed(&sandbox, timeframe, &["--adjusted", "splits"]);
        assert!(!closes.is_empty(), "{timeframe}");
        for (time, _, close, _) in closes {
            assert_eq!(close, 100.0, "{timeframe} {time}");
        }
    }
    let first = |timeframe| printed(&sandbox, timeframe, &["--adjusted", "all"])[0].2;
    assert_eq!(first("1h"), first("1d"));
    assert_eq!(first("1d"), 100.0 * (1.0 - 1.0 / 400.0));
    let ends = sandbox.database().numbers(
        "SELECT until_ts FROM adjustment_factors JOIN series USING (series_id)
          WHERE timeframe = '1h' ORDER BY until_ts",
    );
    assert_eq!(ends, [day("2024-03-05") + 5 * HOUR, day(EX_DATE) + 5 * HOUR], "local midnights");
}

/// The project's neighbour with real bars, and what their adjusted closes must be; it does not travel
/// with the project.
fn oracle() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if shared.join("oracle/adjust").is_dir() {
        return Some(shared);
    }
    let _ = writeln!(
        std::io::stderr(),
        "--- NOT TESTED: {} is not there, so no adjusted close is held against real ones",
        shared.display()
    );
    None
}

/// The rows of a CSV file, each split at its commas, without the header.
fn table(path: &Path) -> Vec<Vec<String>> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[track_caller]
fn close_to(what: &str, is: f64, expected: f64, bound: f64) {
    assert!((is / expected - 1.0).abs() <= bound, "{what}: {is}, expected {expected}");
}

#[test]
fn real_bars_adjust_as_their_vendor_says() {
    const SYMBOLS: [&str; 4] = ["AAPL", "SPY", "IBM", "AIG"];
    let Some(shared) = oracle() else { return };
    let as_of = "2021-03-31";
    let provider = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";
    let config =
        provider.to_owned() + &group("local", "stock", &SYMBOLS, r#"timeframes = ["1d", "1w"]"#);
    let sandbox = Sandbox::with(&config);
    for symbol in SYMBOLS {
        let bars = fs::read(shared.join(format!("data/stock/{symbol}_1d.csv"))).expect("bars");
        sandbox.write(&format!("data/{symbol}_1d.csv"), bars);
    }
    sandbox.backfill_at(as_of, &[]);
    for symbol in SYMBOLS {
        let actions = table(&shared.join(format!("data/actions/{symbol}.csv")));
        let actions: Vec<String> = actions.iter().map(|row| row[..3].join(",")).collect();
        declare(&sandbox, symbol, &actions.iter().map(String::as_str).collect::<Vec<_>>());
    }
    sandbox.backfill_at(as_of, &[]);
    let database = sandbox.database();
    let doubted = database.texts(
        "SELECT concat_ws(' ', symbol, ex_date, kind, status, reason) FROM corporate_actions
          WHERE status <> 'applied'",
    );
    assert_eq!(doubted, Vec::<String>::new());
    for symbol in SYMBOLS {
        let splits: Vec<(i64, f64)> = table(&shared.join(format!("data/actions/{symbol}.csv")))
            .iter()
            .filter(|row| row[1] == "split")
            .map(|row| (day(&row[0]), row[2].parse().expect("a ratio")))
            .collect();
        let expected = table(&shared.join(format!("oracle/adjust/{symbol}_1d.csv")));
        let view = database.rows(
            &format!(
                "SELECT ts, close, split_factor, adj_close FROM candles_adjusted
                  WHERE symbol = '{symbol}' AND timeframe = '1d' ORDER BY ts"
            ),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        );
        let closes = |adjusted: &str| -> Vec<f64> {
            let arguments = ["bars", symbol, "--timeframe", "1d", "--adjusted", adjusted];
            let more = ["--format", "csv", "--as-of", as_of];
            let output = sandbox.mdctl(&[&arguments[..], &more[..]].concat());
            let rows = output.expect_code(0).stdout.lines().skip(1);
            rows.map(|line| line.split(',').nth(5).expect("a close").parse().expect("a number"))
                .collect()
        };
        let (split_closes, total_closes) = (closes("splits"), closes("all"));
        assert_eq!([view.len(), split_closes.len(), total_closes.len()], [expected.len(); 3]);
        for (index, row) in expected.iter().enumerate() {
            let number = |at: usize| row[at].parse::<f64>().expect("a number");
            let (ts, close, factor, adj_close): (i64, f64, f64, f64) = view[index];
            let what = format!("{symbol} {}", row[0]);
            assert_eq!(rfc3339(ts), row[0]);
            let later = splits.iter().filter(|(ex, _)| *ex > ts).map(|(_, ratio)| 1.0 / ratio);
            close_to(&what, factor, later.product(), 1e-12);
            close_to(&what, factor, number(2), 1e-5);
            close_to(&what, close, number(4), 1e-5);
            close_to(&what, split_closes[index], number(4), 1e-5);
            close_to(&what, adj_close, number(5), 1e-5);
            close_to(&what, total_closes[index], number(5), 1e-5);
        }
    }
    // Monday, 2014-06-09 (7:1) and Monday, 2020-08-31 (4:1): no week mixes shares.
    let weeks = database.rows(
        &format!(
            "SELECT ts, open, close, split_factor FROM candles_adjusted JOIN
                 (SELECT series_id AS s, ts AS t, open AS raw FROM bars) ON s = series_id AND t = ts
              WHERE symbol = 'AAPL' AND timeframe = '1w' AND ts IN ({}, {}, {}) ORDER BY ts",
            day("2014-06-02"),
            day("2014-06-09"),
            day("2014-06-09") + 7 * DAY
        ),
        |row| Ok((row.get::<_, f64>(1)?, row.get::<_, f64>(2)?, row.get::<_, f64>(3)?)),
    );
    let factors: Vec<f64> = weeks.iter().map(|week| week.2).collect();
    assert_eq!(factors, [1.0 / 4.0 / 7.0, 0.25, 0.25]);
    for (open, close, _) in weeks {
        assert!((20.0..26.0).contains(&open) && (20.0..26.0).contains(&close), "{open} {close}");
    }
}
