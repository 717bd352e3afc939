//! The page: it says what the documents say, whatever stands in the database; it asks nothing of any
//! network; every run leaves one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::market::{Market, day, rows as bars, sessions};
use crate::support::server::{Answer, Server};
use crate::support::{AS_OF, DAILY, Sandbox, daily_stocks, group, polygon};

mod browser;
mod html;

use html::{facts, figure, rows};

/// A symbol that would be an element if it were not text.
const HOSTILE: &str = "</script><img/src=x/onerror=document.title='owned'>";

/// What a provider or a crash may leave in an error.
const HOSTILE_ERROR: &str = r#"</script><script>document.title='owned'</script>"'&<!-- ]]>"#;

/// Series with everything: whole ones, one with a hole and one with a bar that cannot be true, one that is
/// not found, one of a hostile name; and two runs, the second of which failed in part.
fn rich() -> (Server, Sandbox) {
    let days = sessions("2020-01-02", "2024-06-28");
    let holed: Vec<i64> = days.iter().copied().filter(|ts| *ts != day("2024-03-05")).collect();
    let mut odd = bars(&days);
    for row in odd.iter_mut().filter(|row| row.ts == day("2024-03-07")) {
        row.high = row.low / 2.0;
    }
    let market = Market::daily(&["AAA", "CCC"], &days)
        .with("HOLE", "1d", bars(&holed))
        .with("ODD", "1d", odd);
    let server = Server::start(move |request| {
        if request.path.contains("/BBB/") || request.path.contains("script") {
            return Answer::status(404, r#"{"message":"Ticker not found."}"#);
        }
        if request.path.contains("/DOWN/") {
            return Answer::status(503, "later");
        }
        market.polygon(request)
    });
    let symbols = ["AAA", "BBB", "CCC", "DOWN", "HOLE", "ODD", HOSTILE];
    let config = polygon(&server.url(), "") + &group("p", "stock", &symbols, DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(1);
    sandbox.backfill(&[]).expect_code(1);
    (server, sandbox)
}

/// Writes the page as of the usual instant; gives its text.
#[track_caller]
fn page(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let arguments = [&["report", "--as-of", AS_OF, "--out", "page.html"], arguments].concat();
    let output = sandbox.mdctl(&arguments);
    let page = sandbox.read("page.html");
    // A page that can tell nothing is written, and is no success.
    output.expect_code(if figure(&page, "status") == "unknown" { 3 } else { 0 });
    page
}

/// A report's document as of the usual instant.
#[track_caller]
fn document(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    sandbox.mdctl(&[arguments, &["--json", "--as-of", AS_OF]].concat()).json()
}

fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document[name].as_array().unwrap_or_else(|| panic!("no list `{name}` in {document}"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Asserts that what `page` shows, as the program wrote it or as a browser has it, is what the documents
/// say.
#[track_caller]
fn assert_agrees(page: &str, sandbox: &Sandbox) {
    let health = document(sandbox, &["health"]);
    for name in
        ["status", "summary", "monitored_symbols", "monitored_series", "stale_features_count"]
    {
        assert_eq!(figure(page, name), text(&health[name]), "{name}");
    }
    for (state, series) in health["freshness"].as_object().expect("counts") {
        assert_eq!(figure(page, &format!("freshness.{state}")), text(series), "{state}");
    }
    let last = &health["last_execution"]["status"];
    assert_eq!(figure(page, "last_execution.status"), text(last));
    let issues: Vec<String> = rows(page, "data-issue").into_iter().map(|row| row.key).collect();
    let told: Vec<String> = list(&health, "issues").iter().map(|i| text(&i["code"])).collect();
    assert_eq!(issues, told);

    let staleness = document(sandbox, &["staleness"]);
    let shown: Vec<(String, String, String)> = rows(page, "data-series")
        .into_iter()
        .map(|row| (row.key.clone(), row.get("data-status"), row.get("data-lag")))
        .collect();
    let told: Vec<(String, String, String)> = list(&staleness, "series")
        .iter()
        .map(|row| (series(row), text(&row["status"]), text(&row["lag_seconds"])))
        .collect();
    assert_eq!(shown, told);

    let quality = document(sandbox, &["quality"]);
    let shown: Vec<(String, String)> = rows(page, "data-quality")
        .into_iter()
        .map(|row| (row.key.clone(), row.get("data-score")))
        .collect();
    let score = |row: &Value| row["quality_score"].as_f64().map(|s| s.to_string());
    let told: Vec<(String, String)> = list(&quality, "series")
        .iter()
        .map(|row| (series(row), score(row).unwrap_or_default()))
        .collect();
    assert_eq!(shown, told);

    let mut told: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for gap in list(&document(sandbox, &["gaps"]), "gaps") {
        let key = format!("{} {}", text(&gap["timeframe"]), text(&gap["reason"]));
        let (gaps, bars) = told.entry(key).or_default();
        *gaps += 1;
        *bars += gap["missing"].as_u64().expect("a count");
    }
    let number = |text: String| text.parse::<u64>().expect("a count");
    let shown: BTreeMap<String, (u64, u64)> = rows(page, "data-gap")
        .into_iter()
        .map(|row| {
            let counts = (number(row.get("data-gaps")), number(row.get("data-missing")));
            (row.key, counts)
        })
        .collect();
    assert_eq!(shown, told);

    let shown: Vec<(String, String, String)> = rows(page, "data-run")
        .into_iter()
        .map(|row| (row.key.clone(), row.get("data-status"), row.get("data-took")))
        .collect();
    let told: Vec<(String, String, String)> = list(&document(sandbox, &["history"]), "runs")
        .iter()
        .map(|run| (text(&run["run_id"]), text(&run["status"]), text(&run["duration_seconds"])))
        .collect();
    assert_eq!(shown, told);

    let breakers = document(sandbox, &["breaker", "list"]);
    let shown: Vec<(String, String)> = rows(page, "data-provider")
        .into_iter()
        .map(|row| (row.key.clone(), row.get("data-breaker")))
        .collect();
    let told: Vec<(String, String)> = list(&breakers, "breakers")
        .iter()
        .map(|row| (text(&row["name"]), text(&row["state"])))
        .collect();
    assert_eq!(shown, told);

    let requests = sandbox.database().number("SELECT count(*) FROM fetch_log");
    assert_eq!(figure(page, "requests.total"), requests.to_string());
}

fn series(row: &Value) -> String {
    format!("{} {}", text(&row["symbol"]), text(&row["timeframe"]))
}

/// Asserts that nothing in `page` names a place elsewhere, but for the library's own comment.
#[track_caller]
fn assert_alone(page: &str) {
    let own = "/*! https://github.com/leeoniya/uPlot (v1.6.32) */";
    let rest = page.replacen(own, "", 1);
    for word in
        ["http:", "https:", "//fonts", "@import", "url(", "src=\"", "<iframe", "<link rel=\"s"]
    {
        let at = rest.find(word);
        assert!(at.is_none(), "{word}: {:?}", at.map(|at| &rest[at..(at + 80).min(rest.len())]));
    }
    let policy = "content=\"default-src 'none'; script-src 'nonce-";
    assert_eq!(page.matches(policy).count(), 1, "no policy");
}

#[test]
fn the_page_says_what_the_documents_say() {
    let (_server, sandbox) = rich();
    let page = page(&sandbox, &[]);
    assert_agrees(&page, &sandbox);
    assert_alone(&page);
}

#[test]
fn the_bars_are_those_of_the_series_asked_for() {
    let (_server, sandbox) = rich();
    let of = |symbol: &str| {
        let page = page(&sandbox, &["--symbol", symbol]);
        assert_eq!(figure(&page, "chart"), format!("{symbol} 1d"));
        (facts(&page)["chart"].clone(), page)
    };
    let (chart, page) = of("HOLE");
    let bars = document(&sandbox, &["bars", "HOLE", "--adjusted", "splits"]);
    let closes = |values: &Value| -> Vec<f64> {
        values.as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
    };
    let told: Vec<f64> =
        list(&bars, "bars").iter().map(|bar| bar["close"].as_f64().expect("a close")).collect();
    let shown = closes(&chart["close"]);
    assert_eq!(shown.len(), told.len());
    let near = |(a, b): (&f64, &f64)| ((a - b) / b).abs() < 1e-6;
    assert!(shown.iter().zip(&told).all(near), "{shown:?} {told:?}");
    // A gap is a gap: a place of its own, with its reason, and no value in it.
    let place = chart["lacking"][0][0].as_u64().expect("a gap") as usize;
    assert_eq!(chart["lacking"][0][2], "provider_empty");
    assert_eq!(chart["lacking"][0][1], 1);
    assert_eq!(chart["ts"][place], day("2024-03-05"));
    for values in ["open", "high", "low", "close", "volume"] {
        assert_eq!(chart[values][place], Value::Null, "{values}");
    }
    for (name, values) in
        chart["features"].as_array().expect("features").iter().map(|f| (&f[0], &f[1]))
    {
        assert_eq!(values[place], Value::Null, "{name}");
    }
    assert!(html::plain(&page).contains("1 due bar lacking: provider_empty"));
    let (chart, page) = of("BBB");
    assert_eq!(chart, Value::Null);
    assert!(html::plain(&page).contains("None is stored: mdctl backfill BBB --timeframe 1d"));
}

#[test]
fn what_is_covered_adds_up() {
    let (_server, sandbox) = rich();
    let part = &facts(&page(&sandbox, &[]))["coverage"][0];
    let map = &part["maps"][0];
    assert_eq!((&part["timeframe"], &part["series"]), (&"1d".into(), &7.into()));
    let due: u64 = list(map, "due").iter().filter_map(Value::as_u64).sum();
    let missing = |reason: usize| -> u64 {
        list(map, "missing").iter().filter_map(|stretch| stretch[reason].as_u64()).sum()
    };
    let wanted = crate::support::daily_sessions().len() as u64;
    assert_eq!(due, 7 * wanted);
    // Unfetched, failed, rejected, empty: two symbols not found and one down, and one bar of each other.
    assert_eq!((missing(0), missing(1)), (0, 3 * wanted));
    assert_eq!((missing(2), missing(3)), (1, 1));
    let cells: Vec<&str> = list(map, "cells").iter().filter_map(Value::as_str).collect();
    assert_eq!(cells.iter().filter(|row| row.matches('F').count() as u64 == wanted).count(), 3);
    assert_eq!(cells.iter().filter(|row| row.contains('E')).count(), 1);
    assert_eq!(cells.iter().filter(|row| row.contains('R')).count(), 1);
}

#[test]
fn what_comes_from_outside_stays_text() {
    let (_server, sandbox) = rich();
    sandbox.tamper(&format!(
        "UPDATE runs SET error = '{0}'; UPDATE series SET last_error = '{0}', consecutive_failures = 9;
         UPDATE failures SET message = '{0}', error_kind = 'timeout';
         UPDATE breaker_state SET last_failure = '{0}', last_failure_at = 1;
         UPDATE fetch_log SET error_kind = '{0}' WHERE error_kind IS NOT NULL;
         INSERT INTO controls VALUES ('pause', 1, 99999999999, '{0}', 'who')",
        HOSTILE_ERROR.replace('\'', "''")
    ));
    let page = page(&sandbox, &[]);
    for raw in ["<img", "<script>document", "<!-- ]]"] {
        assert!(!page.contains(raw), "{raw} stands in the page as it is");
    }
    // The scripts are its own: the facts, the library, and what draws.
    assert_eq!(page.matches("<script").count(), 3);
    assert_eq!(page.matches("</script").count(), 3);
    // And it is all there to be read.
    assert!(html::plain(&page).contains(HOSTILE_ERROR));
    assert_eq!(facts(&page)["freshness"]["symbols"][6], HOSTILE);
    assert!(rows(&page, "data-series").iter().any(|row| row.key == format!("{HOSTILE} 1d")));
}

#[test]
fn no_secret_reaches_the_page() {
    let (_server, sandbox) = rich();
    assert!(!page(&sandbox, &[]).contains(crate::support::KEY));
}

#[test]
fn what_cannot_be_read_is_said_to_be_unknown() {
    let sandbox =
        Sandbox::with(&(polygon("http://127.0.0.1:9", "") + &group("p", "stock", &["AAA"], DAILY)));
    let unknown = |page: &str, why: &str| {
        assert_eq!(figure(page, "status"), "unknown");
        let words = html::plain(page);
        assert!(words.contains(why), "{words}");
        assert!(words.contains("Nothing more is known"), "{words}");
        assert_alone(page);
    };
    unknown(&page(&sandbox, &[]), "mdctl backfill");
    assert!(!sandbox.path("mdctl.db").exists(), "a page makes no database");
    sandbox
        .write("mdctl.db", "this is no database, and never was one; it only bears the name of one");
    unknown(&page(&sandbox, &[]), "name another file");
    assert_eq!(sandbox.read("mdctl.db").len(), 69);
}

#[test]
fn an_empty_database_has_a_page() {
    let sandbox =
        Sandbox::with(&(polygon("http://127.0.0.1:9", "") + &group("p", "stock", &["AAA"], DAILY)));
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let page = page(&sandbox, &[]);
    assert_eq!(
        (figure(&page, "status"), figure(&page, "freshness.missing")),
        ("critical".into(), "1".into())
    );
    let words = html::plain(&page);
    for said in ["No run in these days.", "No request since", "mdctl backfill AAA --timeframe 1d"] {
        assert!(words.contains(said), "{said} is not in {words}");
    }
}

#[test]
fn an_older_schema_has_a_page() {
    let (_server, sandbox) = rich();
    sandbox.go_back_to_schema_1();
    let page = page(&sandbox, &["--symbol", "AAA"]);
    assert_eq!(figure(&page, "monitored_series"), "7");
    assert_eq!(facts(&page)["chart"]["features"], Value::Array(Vec::new()));
    assert_eq!(sandbox.database().number("PRAGMA user_version"), 1, "it was only read");
}

#[test]
fn as_of_an_earlier_instant_nothing_later_is_shown() {
    let (_server, sandbox) = rich();
    let output =
        sandbox.mdctl(&["report", "--as-of", "2024-03-01", "--out", "-", "--symbol", "AAA"]);
    let page = &output.expect_code(0).stdout;
    assert_eq!(figure(page, "timestamp"), "2024-03-02T00:00:00Z");
    let ts: Vec<i64> = list(&facts(page)["chart"], "ts").iter().filter_map(Value::as_i64).collect();
    assert_eq!(ts.last(), Some(&day("2024-03-01")));
    assert!(html::plain(page).contains("Data is judged as of 2024-03-02T00:00:00Z"));
}

// Where it goes.

#[test]
fn where_the_page_is_is_told() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let output = sandbox.mdctl(&["report", "--as-of", AS_OF]);
    output.expect_code(0).expect_stdout("report.html (").expect_stdout("OK - 1 fresh");
    let json = sandbox.mdctl(&["report", "--json", "--as-of", AS_OF, "--out", "a.html"]).json();
    let names = ["bytes", "path", "schema", "status", "summary", "timestamp"];
    assert_eq!(crate::support::fields(&json), names);
    assert_eq!((&json["path"], &json["status"]), (&"a.html".into(), &"healthy".into()));
    let bytes = fs::metadata(sandbox.path("a.html")).expect("the page").len();
    assert_eq!(json["bytes"], bytes);
    assert_eq!(mode(&sandbox, "a.html") & 0o077, mode_of_new_files(&sandbox) & 0o077);
}

fn mode(sandbox: &Sandbox, name: &str) -> u32 {
    fs::metadata(sandbox.path(name)).expect("a file").permissions().mode() & 0o777
}

fn mode_of_new_files(sandbox: &Sandbox) -> u32 {
    sandbox.write("new", "");
    mode(sandbox, "new")
}

#[test]
fn a_page_takes_the_place_of_the_one_before() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.write("kept/old.html", "old");
    let old = sandbox.path("kept/old.html");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).expect("a mode");
    std::os::unix::fs::symlink(&old, sandbox.path("link.html")).expect("a link");
    sandbox.mdctl(&["report", "--out", "link.html"]).expect_code(3);
    assert!(sandbox.path("link.html").is_symlink(), "the link is gone");
    assert!(sandbox.read("kept/old.html").starts_with("<!doctype html>"));
    assert_eq!(mode(&sandbox, "kept/old.html"), 0o640);
    let left = fs::read_dir(sandbox.path("kept")).expect("the folder").count();
    assert_eq!(left, 1, "something was left beside it");
}

#[test]
fn a_pipe_is_written_to_and_not_replaced() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let pipe = sandbox.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts");
    assert!(made.success());
    let reader = thread::spawn(move || {
        let mut read = String::new();
        fs::File::open(pipe).expect("the pipe").read_to_string(&mut read).expect("the page");
        read
    });
    sandbox.mdctl(&["report", "--out", "pipe"]).expect_code(3);
    assert!(reader.join().expect("a page").ends_with("</html>\n"));
}

#[test]
fn a_page_that_cannot_be_written_is_an_error_with_a_way_out() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let output = sandbox.mdctl(&["report", "--out", "nowhere/page.html"]);
    output.expect_code(73).expect_stderr("nowhere/page.html").expect_stderr("hint: ");
    sandbox.write("folder/x", "");
    sandbox.mdctl(&["report", "--out", "folder"]).expect_code(74).expect_stderr("folder");
}

#[test]
fn what_is_not_known_is_a_usage_error() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let report = |arguments: &[&str]| sandbox.mdctl(&[&["report"], arguments].concat());
    report(&["--symbol", "AAB"]).expect_code(64).expect_stderr("did you mean `AAA`");
    report(&["--timeframe", "1h"]).expect_code(64).expect_stderr("no symbol has timeframe `1h`");
    let both = report(&["--symbol", "AAA", "--timeframe", "1h"]);
    both.expect_code(64).expect_stderr("AAA has no timeframe `1h`");
    let output = report(&["--json", "--out", "-"]);
    assert_eq!(output.expect_code(64).json()["error"]["kind"], "usage");
    assert!(!sandbox.path("report.html").exists());
}

// After every run.

/// A sandbox whose runs leave a page, at a server that answers as `responder` says.
fn leaving(
    html: &str,
    answer: impl Fn() -> Option<Answer> + Send + Sync + 'static,
) -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], &sessions("2020-01-02", "2024-06-28"));
    let server = Server::start(move |request| answer().unwrap_or_else(|| market.polygon(request)));
    let config = polygon(&server.url(), "")
        + &format!("[report]\nhtml = {html:?}\n")
        + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    (server, sandbox)
}

/// Asserts that the last run left a page that says how it ended.
#[track_caller]
fn assert_left(sandbox: &Sandbox, status: &str) {
    let page = sandbox.read("left.html");
    let run = &rows(&page, "data-run")[0];
    assert_eq!(run.get("data-status"), status);
    assert!(rows(&page, "data-run").iter().all(|run| run.get("data-status") != "running"));
    assert_eq!(figure(&page, "timestamp"), "2024-03-16T00:00:00Z");
}

#[test]
fn every_run_leaves_a_page() {
    let (server, sandbox) = leaving("left.html", || None);
    sandbox.backfill(&[]).expect_code(0);
    assert_left(&sandbox, "succeeded");
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "disk"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    assert_left(&sandbox, "skipped");
    assert!(html::plain(&sandbox.read("left.html")).contains("Runs are paused since"));
    sandbox.mdctl(&["resume"]).expect_code(0);
    server.answer_with(|_| Answer::status(404, r#"{"message":"Ticker not found."}"#));
    sandbox.backfill(&["--full"]).expect_code(2);
    assert_left(&sandbox, "failed");
    let usual = sandbox.mdctl(&["report", "--as-of", AS_OF]);
    usual.expect_code(0).expect_stdout("left.html (");
}

#[test]
fn a_run_that_is_stopped_leaves_a_page() {
    let (server, sandbox) = leaving("left.html", || Some(Answer::Hang));
    let config = sandbox.read("mdctl.toml").replace("[run]", "[run]\ngrace = \"50ms\"");
    sandbox.write("mdctl.toml", config);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(143));
    assert_left(&sandbox, "interrupted");
}

#[test]
fn a_run_whose_page_cannot_be_written_ends_as_it_would_have() {
    let (_server, sandbox) = leaving("nowhere/left.html", || None);
    let output = sandbox.backfill(&[]);
    output.expect_code(0).expect_stderr("the run left no page").expect_stderr("[report] html");
    assert_eq!(sandbox.database().texts("SELECT status FROM runs"), ["succeeded"]);
}

// How long it is.

#[test]
fn a_universe_of_thousands_fits_on_it() {
    const SYMBOLS: usize = 5_000;
    let names: Vec<String> = (0..SYMBOLS).map(|index| format!("S{index:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let more = r#"timeframes = ["5m", "15m", "30m", "1h", "1d"]"#;
    let config = polygon("http://127.0.0.1:9", "") + &group("p", "stock", &names, more);
    let sandbox = Sandbox::with(&config);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let last = day(AS_OF);
    // Every seventh is late, every fifth lacks some bars in the middle.
    sandbox.tamper(&format!(
        "BEGIN;
         CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last_index})
             SELECT i, printf('S%04d', i) AS symbol FROM n;
         INSERT INTO tracked_symbols (symbol, asset_class, provider, calendar, group_name, active, added_at)
             SELECT symbol, 'stock', 'p', 'XNYS', 'stocks', 1, 0 FROM n;
         INSERT INTO series (symbol, timeframe, provider, first_ts, watermark_ts, settled_ts, bar_count)
             SELECT symbol, timeframe, 'p', {last} - 86400 * 300, {last} + k - (i % 7 = 0) * 864000, {last}, 9999
               FROM n, (SELECT '5m' AS timeframe, 71700 AS k UNION SELECT '15m', 71100 UNION SELECT '30m', 70200
                        UNION SELECT '1h', 68400 UNION SELECT '1d', 0);
         INSERT INTO coverage SELECT series_id, first_ts, watermark_ts + 60 FROM series;
         INSERT INTO gaps SELECT series_id, {last} - 86400 * 20, {last} - 86400 * 18, 4, 'provider_empty', 1, 1, NULL
             FROM series WHERE series_id % 5 = 0;
         COMMIT;",
        last_index = SYMBOLS - 1,
    ));
    let page = page(&sandbox, &[]);
    assert!(page.len() < 450_000, "{} bytes", page.len());
    let facts = facts(&page);
    assert_eq!(list(&facts["freshness"], "symbols").len(), SYMBOLS);
    let cells: String =
        list(&facts["freshness"], "cells").iter().filter_map(Value::as_str).collect();
    let health = document(&sandbox, &["health"]);
    for (letter, state) in [('F', "fresh"), ('A', "aging"), ('S', "stale"), ('M', "missing")] {
        let shown = cells.matches(letter).count();
        assert_eq!(Value::from(shown), health["freshness"][state], "{state}");
    }
    // What is left out is said, with the command that has it.
    let words = html::plain(&page);
    for said in ["of 25,000; mdctl staleness lists all", "of 25,000; mdctl quality lists all"] {
        assert!(words.contains(said), "{said}");
    }
}

#[test]
fn a_page_takes_the_place_of_nothing_that_is_the_programs_own() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    std::os::unix::fs::symlink("mdctl.db", sandbox.path("link.html")).expect("a link");
    for own in
        ["mdctl.db", "./mdctl.db", "link.html", "mdctl.toml", "mdctl.db-wal", "mdctl.db.lock"]
    {
        let output = sandbox.mdctl(&["report", "--out", own]);
        output.expect_code(64).expect_stderr(own).expect_stderr("hint: ");
    }
    let config = sandbox.read("mdctl.toml");
    for key in ["[report]\nhtml", "[metrics]\ntextfile"] {
        for own in ["home/../mdctl.db", "link.html", "mdctl.db-shm", "mdctl.toml", ""] {
            sandbox.write("mdctl.toml", format!("{config}\n{key} = \"{own}\"\n"));
            sandbox.mdctl(&["health"]).expect_code(78).expect_stderr("line ");
        }
    }
    let both = "[report]\nhtml = \"x\"\n[metrics]\ntextfile = \"x\"\n";
    sandbox.write("mdctl.toml", format!("{config}\n{both}"));
    sandbox.mdctl(&["health"]).expect_code(78).expect_stderr("the metrics file, too");
    sandbox.write("mdctl.toml", config);
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}
