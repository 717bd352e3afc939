//! Bars that are kept for a while only: they go, are never due again, and what was made of them stays.

use std::cell::RefCell;
use std::fmt::Write as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::market::{DAY, Market, date, day, rfc3339, row, sessions};
use crate::support::server::Server;
use crate::support::{AS_OF, Sandbox, asked, faulty_stocks, group, polygon, wait_until};

/// A year and more of days and weeks of AAA, with all features.
fn years() -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], &sessions("2022-01-03", "2024-06-28"));
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    let config = sandbox
        .read("mdctl.toml")
        .replace(r#"timeframes = ["1d"]"#, r#"timeframes = ["1d", "1w"]"#)
        .replace(r#"{ "1d" = "30d" }"#, r#"{ "1d" = "800d", "1w" = "800d" }"#);
    sandbox.write("mdctl.toml", config);
    (server, sandbox)
}

/// Has bars kept for a while only from now on.
fn keep(sandbox: &Sandbox, bars: &str) {
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", format!("{config}\n[database]\nretention = {{ bars = {bars} }}\n"));
}

fn prune(sandbox: &Sandbox, as_of: &str) -> Value {
    sandbox.mdctl(&["db", "prune", "--json", "--as-of", as_of]).expect_code(0).json()
}

/// Every feature of a timeframe of AAA from a date on, a row a bar; `None` where there is no number.
fn features(sandbox: &Sandbox, timeframe: &str, from: &str) -> Vec<(i64, Vec<Option<f64>>)> {
    let columns = "sma_20, sma_50, sma_200, ema_12, ema_26, rsi_14, macd, macd_signal, macd_hist, bb_upper, \
                   bb_middle, bb_lower, atr_14, adx_14, stoch_k, stoch_d, obv, roc_10, log_return, \
                   volatility_20, volume_ratio_20, vwap_session";
    let sql = format!(
        "SELECT ts, {columns} FROM features JOIN series USING (series_id)
          WHERE symbol = 'AAA' AND timeframe = '{timeframe}' AND ts >= {} ORDER BY ts",
        day(from)
    );
    sandbox.database().rows(&sql, |row| {
        let values = (1..=22).map(|column| row.get(column)).collect::<Result<_, _>>()?;
        Ok((row.get(0)?, values))
    })
}

/// Asserts that features are the same, to 1e-9 of their size.
#[track_caller]
fn assert_same(pruned: &[(i64, Vec<Option<f64>>)], whole: &[(i64, Vec<Option<f64>>)]) {
    assert!(!whole.is_empty() && pruned.len() == whole.len(), "{} {}", pruned.len(), whole.len());
    for ((ts, ours), (other, theirs)) in pruned.iter().zip(whole) {
        assert_eq!(ts, other);
        for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
            let same = match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
                (a, b) => a == b,
            };
            assert!(same, "{} column {index}: {a:?} {b:?}", date(*ts));
        }
    }
}

/// That nothing is lacking, wrong, or asked for.
#[track_caller]
fn assert_content(server: &Server, sandbox: &Sandbox, as_of: &str) {
    server.take_requests();
    sandbox.backfill_at(as_of, &[]).expect_code(0);
    sandbox.backfill_at(as_of, &["--repair"]).expect_code(0);
    assert_eq!(asked(&server.requests()), Vec::<String>::new());
    let gaps = sandbox.mdctl(&["gaps", "--json", "--as-of", as_of]).expect_code(0).json();
    assert_eq!(gaps["gaps"].as_array().map(Vec::len), Some(0), "{gaps}");
    sandbox.mdctl(&["staleness", "--check", "--as-of", as_of]).expect_code(0);
    let quality = sandbox.mdctl(&["quality", "--json", "--as-of", as_of]).expect_code(0).json();
    assert!(quality.to_string().contains("\"completeness\":1.0"), "{quality}");
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}

#[test]
fn old_bars_go_are_never_due_again_and_what_was_made_of_them_stays() {
    let (server, sandbox) = years();
    let (_other_server, whole) = years();
    for sandbox in [&sandbox, &whole] {
        sandbox.backfill(&[]).expect_code(0);
    }
    let before = sandbox.database().times("AAA", "1d");
    let weeks = sandbox.database().bars("AAA", "1w");
    keep(&sandbox, r#"{ "1d" = "100d" }"#);
    let json = prune(&sandbox, AS_OF);
    let gone = json["bars"][0]["bars"].as_u64().expect("bars");
    assert!(gone > 150 && json["bars"][0]["series"] == 1, "{json}");
    let kept = sandbox.database().times("AAA", "1d");
    assert_eq!(kept.len() as u64 + gone, before.len() as u64);
    assert!(before.ends_with(&kept), "the oldest went");
    // What features look back at stays besides: 200 bars, from a Monday on.
    let retained = kept.iter().filter(|ts| **ts >= day(AS_OF) + DAY - 100 * DAY).count();
    assert!((200..=206).contains(&(kept.len() - retained)), "{} {retained}", kept.len());
    assert_eq!(sandbox.database().bars("AAA", "1w"), weeks, "weeks stay as they are");
    assert_same(&features(&sandbox, "1d", "2023-12-06"), &features(&whole, "1d", "2023-12-06"));
    assert_content(&server, &sandbox, AS_OF);
    // Life goes on as if nothing had gone.
    for as_of in ["2024-03-18", "2024-03-22", "2024-04-19"] {
        for sandbox in [&sandbox, &whole] {
            sandbox.backfill_at(as_of, &[]).expect_code(0);
        }
    }
    assert_same(&features(&sandbox, "1d", "2023-12-06"), &features(&whole, "1d", "2023-12-06"));
    assert_same(&features(&sandbox, "1w", "2022-01-03"), &features(&whole, "1w", "2022-01-03"));
    assert_eq!(sandbox.database().bars("AAA", "1w"), whole.database().bars("AAA", "1w"));
    let json = prune(&sandbox, "2024-04-19");
    assert!((15..=30).contains(&json["bars"][0]["bars"].as_u64().expect("bars")), "{json}");
    assert_same(&features(&sandbox, "1d", "2024-01-15"), &features(&whole, "1d", "2024-01-15"));
    assert_content(&server, &sandbox, "2024-04-19");
    // Other columns than before are computed of all that is kept, and no warm-up begins anew.
    for sandbox in [&sandbox, &whole] {
        let config = sandbox.read("mdctl.toml");
        let set = r#"features = { "1d" = ["sma_200", "ema_26", "obv", "adx_14"] }"#;
        sandbox.write("mdctl.toml", config.replace("lookback =", &format!("{set}\nlookback =")));
        sandbox.backfill_at("2024-04-19", &[]).expect_code(0);
    }
    assert_same(&features(&sandbox, "1d", "2024-01-15"), &features(&whole, "1d", "2024-01-15"));
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}

#[test]
fn weeks_that_go_are_not_made_again_of_days_that_stay() {
    let (server, sandbox) = years();
    sandbox.backfill(&[]).expect_code(0);
    let config = sandbox.read("mdctl.toml");
    sandbox.write(
        "mdctl.toml",
        config.replace("lookback =", "features = { \"1w\" = [], \"1d\" = [] }\nlookback ="),
    );
    sandbox.backfill(&[]).expect_code(0);
    keep(&sandbox, r#"{ "1w" = "60d" }"#);
    let days = sandbox.database().times("AAA", "1d").len();
    assert!(prune(&sandbox, AS_OF)["bars"][0]["bars"].as_u64() > Some(90));
    let weeks = sandbox.database().times("AAA", "1w");
    assert!((8..=10).contains(&weeks.len()), "{weeks:?}");
    assert_content(&server, &sandbox, AS_OF);
    assert_eq!(sandbox.database().times("AAA", "1w"), weeks);
    assert_eq!(sandbox.database().times("AAA", "1d").len(), days);
    assert_eq!(prune(&sandbox, AS_OF)["bars"][0]["bars"], 0);
}

#[test]
fn a_plan_asks_for_nothing_that_would_not_be_kept() {
    let (server, sandbox) = years();
    keep(&sandbox, r#"{ "1d" = "60d" }"#);
    let plan = sandbox.mdctl(&["backfill", "--dry-run", "--as-of", AS_OF]);
    plan.expect_code(0);
    let said = plan.stdout.clone() + &plan.stderr;
    assert!(said.contains("is cut to the 60d of `bars` in [database] retention"), "{plan}");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), ["AAA 1d 2024-01-16 2024-03-15"]);
    let early = sandbox.backfill(&["--from", "2023-01-01", "--full"]);
    early.expect_code(0).expect_stderr("[database] retention keeps no older bars");
    assert_eq!(asked(&server.take_requests()), ["AAA 1d 2024-01-16 2024-03-15"]);
    for wrong in [r#"{ "1d" = "0s" }"#, r#"{ "1d" = "12h" }"#, r#"{ "2d" = "1y" }"#, r#""1y""#] {
        let config = sandbox.read("mdctl.toml");
        sandbox.write("mdctl.toml", config.replace(r#"{ "1d" = "60d" }"#, wrong));
        sandbox.mdctl(&["db", "prune"]).expect_code(78);
        sandbox.write("mdctl.toml", config);
    }
}

#[test]
fn a_hole_in_bars_that_are_to_go_is_not_filled_before_they_are_pruned() {
    let (server, sandbox) = years();
    sandbox.backfill(&[]).expect_code(0);
    let (from, to) = (day("2023-02-01"), day("2023-03-01"));
    sandbox.tamper(&format!("DELETE FROM bars WHERE series_id = 1 AND ts >= {from} AND ts < {to}"));
    keep(&sandbox, r#"{ "1d" = "100d" }"#);
    server.take_requests();
    let gaps = sandbox.mdctl(&["gaps", "--json", "--as-of", AS_OF]).expect_code(0).json();
    assert_eq!(gaps["gaps"].as_array().map(Vec::len), Some(0), "{gaps}");
    for arguments in [&[][..], &["--repair"], &["--full"]] {
        sandbox.backfill(arguments).expect_code(0);
        let asked = asked(&server.take_requests());
        assert!(asked.iter().all(|range| !range.contains(" 2023-0")), "{asked:?}");
    }
}

#[test]
fn its_help_can_be_copied_into_a_config() {
    let sandbox = Sandbox::with("");
    for page in [&["db", "prune", "--help"][..], &["man", "db", "prune"]] {
        let page = sandbox.mdctl(page);
        let words = page.expect_code(0).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!words.contains("\\\""), "{page}");
        assert!(words.contains("bars = { 1m = ") && words.contains("200 bars before"), "{page}");
    }
}

#[test]
fn bars_whose_features_wait_stay_until_they_are_computed() {
    let (_server, sandbox) = years();
    sandbox.backfill(&["--no-features"]).expect_code(0);
    keep(&sandbox, r#"{ "1d" = "60d" }"#);
    let bars = sandbox.database().times("AAA", "1d").len();
    let text = sandbox.mdctl(&["db", "prune", "--as-of", AS_OF]);
    text.expect_code(0)
        .expect_stdout("1d: 1 series keep theirs")
        .expect_stdout("0 bars of 0 series");
    assert_eq!(sandbox.database().times("AAA", "1d").len(), bars);
    sandbox.backfill(&[]).expect_code(0);
    assert!(prune(&sandbox, AS_OF)["bars"][0]["bars"].as_u64() > Some(100));
}

#[test]
fn without_being_asked_no_bar_goes_and_the_newest_stays_however_old() {
    let (server, sandbox) = years();
    sandbox.backfill(&[]).expect_code(0);
    let bars = sandbox.database().times("AAA", "1d");
    let json = prune(&sandbox, "2026-01-01");
    assert_eq!(json["bars"].as_array().map(Vec::len), Some(0));
    assert_eq!(sandbox.database().times("AAA", "1d"), bars);
    let config = sandbox.read("mdctl.toml");
    sandbox.write(
        "mdctl.toml",
        config.replace("lookback =", "features = { \"1w\" = [], \"1d\" = [] }\nlookback ="),
    );
    sandbox.backfill(&[]).expect_code(0);
    keep(&sandbox, r#"{ "1d" = "60d" }"#);
    prune(&sandbox, "2026-01-01");
    let left = sandbox.database().times("AAA", "1d");
    assert!(left.len() <= 5 && left.last() == bars.last(), "a week's days: {left:?}");
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    server.take_requests();
}

/// A file of days up to a date, whose prices are a fourth from a date on.
fn csv(until: &str, ex_date: &str) -> String {
    let header = "ts,open,high,low,close,volume\n".to_owned();
    sessions("2021-01-04", until).iter().fold(header, |mut text, ts| {
        let by = if *ts >= day(ex_date) { 4.0 } else { 1.0 };
        let bar = row(*ts);
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|p| p / by);
        let _ = writeln!(text, "{},{open},{high},{low},{close},{}", rfc3339(*ts), bar.volume * by);
        text
    })
}

fn share() -> Sandbox {
    let provider = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";
    let config =
        provider.to_owned() + &group("local", "stock", &["AAA"], r#"timeframes = ["1d", "1w"]"#);
    let sandbox = Sandbox::with(&config);
    sandbox.write("data/AAA_1d.csv", csv(AS_OF, "2030-01-01"));
    sandbox.backfill(&[]).expect_code(0);
    sandbox
}

#[test]
fn a_split_that_comes_after_old_bars_went_changes_features_as_if_they_were_there() {
    let (sandbox, whole) = (share(), share());
    keep(&sandbox, r#"{ "1d" = "100d" }"#);
    assert!(prune(&sandbox, AS_OF)["bars"][0]["bars"].as_u64() > Some(400));
    let first = sandbox.database().times("AAA", "1d")[0];
    for sandbox in [&sandbox, &whole] {
        // The file is another one now, and is read as a whole.
        sandbox.write("data/AAA_1d.csv", csv("2024-04-05", "2024-03-20"));
        sandbox.write("data/AAA_actions.csv", "ex_date,kind,value\n2024-03-20,split,4\n");
        sandbox.backfill_at("2024-04-05", &[]).expect_code(0);
    }
    assert_eq!(sandbox.database().times("AAA", "1d")[0], first, "what went does not come back");
    assert_eq!(
        sandbox.database().number("SELECT count(*) FROM rejected_bars WHERE ts < 1672531200"),
        0
    );
    let factor = "SELECT count(*) FROM adjustment_factors WHERE split_factor = 0.25";
    assert!(sandbox.database().number(factor) > 0, "the split is applied");
    assert_same(&features(&sandbox, "1d", "2023-12-06"), &features(&whole, "1d", "2023-12-06"));
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}

/// A sandbox with so many minutes that deleting them takes a while.
fn minutes() -> Sandbox {
    let provider = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";
    let config = provider.to_owned()
        + &group("local", "crypto", &["AAA"], r#"timeframes = ["1d"]"#).replace("1d", "1m");
    let sandbox = Sandbox::with(&config);
    let now = day("2024-03-16");
    let bars = (1..=20).fold("ts,open,high,low,close,volume\n".to_owned(), |mut text, minute| {
        let _ = writeln!(text, "{},2,3,1,2,5", rfc3339(now - minute * 60));
        text
    });
    sandbox.write("data/AAA_1m.csv", bars);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper(&format!(
        "INSERT INTO bars WITH RECURSIVE n (i) AS (SELECT 21 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
         SELECT series_id, {now} - i * 60, 2, 3, 1, 2, 5, NULL, NULL FROM n, series;
         UPDATE series SET (bar_count, first_ts) = (SELECT count(*), min(ts) FROM bars);"
    ));
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    keep(&sandbox, r#"{ "1m" = "1d" }"#);
    sandbox
}

#[test]
fn a_prune_that_is_killed_leaves_a_sound_database_and_the_next_one_ends_the_work() {
    let sandbox = minutes();
    let count = || sandbox.database().number("SELECT count(*) FROM bars");
    let all = count();
    let size = std::fs::metadata(sandbox.path("mdctl.db")).expect("the file").len();
    let running = sandbox.start(&["db", "prune", "--as-of", AS_OF]);
    wait_until(|| count() < all);
    // Stopped in the middle, it keeps runs out and nobody from reading.
    running.signal(Signal::STOP);
    let there = count();
    if there > 5_000 {
        sandbox.backfill(&[]).expect_code(75);
    }
    sandbox.mdctl(&["staleness"]).expect_code(0);
    sandbox.mdctl(&["bars", "AAA", "--limit", "3"]).expect_code(0);
    running.kill();
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    sandbox.mdctl(&["db", "prune", "--as-of", AS_OF]).expect_code(0);
    assert_eq!(count(), 24 * 60, "the minutes of a day");
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    let after = std::fs::metadata(sandbox.path("mdctl.db")).expect("the file").len();
    assert!(after < size / 10, "the room is given back: {size} {after}");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().number("PRAGMA freelist_count"), 0);
}

/// So many minutes of a provider, and all of them answered for.
fn minutes_of_a_provider() -> (Server, Sandbox) {
    let market = Market::daily(&[], &[]);
    let server = Server::start(move |request| market.polygon(request));
    let more = "timeframes = [\"1m\"]\nfeatures = { \"1m\" = [] }\nlookback = { \"1m\" = \"1d\" }";
    let config = polygon(&server.url(), "") + &group("p", "crypto", &["BTC-USD"], more);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    let now = day("2024-03-16");
    sandbox.tamper(&format!(
        "INSERT INTO bars WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
         SELECT series_id, {now} - i * 60, 2, 3, 1, 2, 5, NULL, NULL FROM n, series;
         UPDATE series SET (bar_count, first_ts, watermark_ts, settled_ts, settle_read_at) =
             (SELECT count(*), min(ts), max(ts), max(ts), {now} - 1 FROM bars);
         DELETE FROM gaps; DELETE FROM coverage; DELETE FROM bars_gone;
         INSERT INTO coverage SELECT series_id, first_ts, {now} FROM series;"
    ));
    server.take_requests();
    (server, sandbox)
}

/// That every bar is covered, and nothing is missed or asked for.
#[track_caller]
fn assert_nothing_is_missed(server: &Server, sandbox: &Sandbox) {
    let gaps = sandbox.mdctl(&["gaps", "--json", "--as-of", AS_OF]).expect_code(0).json();
    assert_eq!(gaps["gaps"].as_array().map(Vec::len), Some(0), "{gaps}");
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), Vec::<String>::new());
}

#[test]
fn a_prune_that_is_stopped_is_a_shorter_one() {
    let (server, sandbox) = minutes_of_a_provider();
    assert_nothing_is_missed(&server, &sandbox);
    let whole = sandbox.read("mdctl.toml");
    keep(&sandbox, r#"{ "1m" = "1d" }"#);
    let count = || sandbox.database().number("SELECT count(*) FROM bars");
    let all = count();
    let running = sandbox.start(&["db", "prune", "--as-of", AS_OF]);
    wait_until(|| count() < all);
    running.kill();
    let extent = "SELECT (SELECT min(ts) FROM bars) - first_ts FROM series
         UNION ALL SELECT from_ts - first_ts FROM coverage JOIN series USING (series_id)
         UNION ALL SELECT bar_count - (SELECT count(*) FROM bars) FROM series";
    assert_eq!(sandbox.database().numbers(extent), [0, 0, 0]);
    assert_nothing_is_missed(&server, &sandbox);
    // Nor if they are to be kept after all.
    sandbox.write("mdctl.toml", whole);
    assert_nothing_is_missed(&server, &sandbox);
}

#[test]
fn features_go_on_after_a_prune_that_was_stopped() {
    let [pruned, whole] = [(); 2].map(|()| {
        let provider = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";
        let more = "timeframes = [\"1m\"]\nfeatures = { \"1m\" = [\"ema_26\", \"obv\"] }";
        let config = provider.to_owned() + &group("local", "crypto", &["AAA"], more);
        let sandbox = Sandbox::with(&config);
        let now = day("2024-03-16");
        let header = "ts,open,high,low,close,volume\n".to_owned();
        let bars = (1..=50_000).rev().fold(header, |mut text, minute| {
            let close = 2 + minute % 7;
            let _ = writeln!(text, "{},2,9,1,{close},{}", rfc3339(now - minute * 60), minute % 11);
            text
        });
        sandbox.write("data/AAA_1m.csv", bars);
        sandbox.backfill(&[]).expect_code(0);
        sandbox
    });
    keep(&pruned, r#"{ "1m" = "1d" }"#);
    let count = || pruned.database().number("SELECT count(*) FROM bars");
    let running = pruned.start(&["db", "prune", "--as-of", AS_OF]);
    wait_until(|| count() < 50_000);
    running.kill();
    // Other columns are computed anew, of all that is left.
    for sandbox in [&pruned, &whole] {
        let config = sandbox.read("mdctl.toml").replace("\"ema_26\", ", "\"ema_12\", ");
        sandbox.write("mdctl.toml", config);
        sandbox.backfill(&[]).expect_code(0);
    }
    assert_same(&features(&pruned, "1m", "2024-03-15"), &features(&whole, "1m", "2024-03-15"));
    pruned.mdctl(&["db", "check"]).expect_code(0);
    let json = prune(&pruned, AS_OF);
    assert_eq!(json["bars"][0]["kept_for_features"], 200, "{json}");
    assert_eq!(count(), 24 * 60 + 200);
    pruned.mdctl(&["db", "prune", "--as-of", AS_OF]).expect_stdout("1m: 200 older bars kept");
    assert_same(&features(&pruned, "1m", "2024-03-15"), &features(&whole, "1m", "2024-03-15"));
}

#[test]
fn a_run_that_starts_meanwhile_waits_as_long_as_it_is_told() {
    let sandbox = minutes();
    let all = sandbox.database().number("SELECT count(*) FROM bars");
    let pruning = sandbox.start(&["db", "prune", "--as-of", AS_OF]);
    wait_until(|| sandbox.database().number("SELECT count(*) FROM bars") < all);
    pruning.signal(Signal::STOP);
    let waiting = RefCell::new(sandbox.start(&["backfill", "--as-of", AS_OF, "--wait", "10m"]));
    let over = || waiting.borrow_mut().ended().is_some();
    wait_until(|| waiting.borrow().waits_for_a_lock() || over());
    pruning.signal(Signal::CONT);
    assert_eq!(pruning.wait(), Some(0));
    assert_eq!(waiting.into_inner().wait(), Some(0));
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}

#[test]
fn a_database_that_cannot_shrink_is_written_anew_once_where_that_is_worth_it() {
    let (_server, sandbox) = years();
    sandbox.backfill(&[]).expect_code(0);
    sandbox.go_back_to_schema_1();
    let mode = || sandbox.database().number("PRAGMA auto_vacuum");
    assert_eq!(mode(), 0);
    let text = sandbox.mdctl(&["db", "prune"]);
    text.expect_code(0);
    assert!(!text.stdout.contains("written anew") && mode() == 0, "nothing is won by it: {text}");
    sandbox.tamper(
        "INSERT INTO failures WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
         SELECT 'r', 'AAA', '1d', 'fetch', 'timeout', 'no answer within the time', 1, 5 FROM n",
    );
    let bars = sandbox.database().bars("AAA", "1d");
    let full = std::fs::metadata(sandbox.path("mdctl.db")).expect("the file").len();
    sandbox.mdctl(&["db", "info"]).expect_code(0).expect_stdout("does not shrink");
    let json = sandbox.mdctl(&["db", "prune", "--json"]).expect_code(0).json();
    assert!(json["note"].as_str().is_some_and(|note| note.contains("this once")), "{json}");
    let after = std::fs::metadata(sandbox.path("mdctl.db")).expect("the file").len();
    assert!(after < full / 2 && json["bytes_after"] == after, "{full} {after} {json}");
    assert_eq!(mode(), 2);
    assert_eq!(sandbox.database().bars("AAA", "1d"), bars);
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
}
