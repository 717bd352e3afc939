//! `init` and `symbols`: what they write, and what they leave as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::market::{Market, rows, sessions};
use crate::support::server::Server;
use crate::support::{AS_OF, DAILY, Sandbox, asked, group, polygon};

// `init`.

#[test]
fn init_writes_a_config_that_works_and_a_database() {
    let sandbox = Sandbox::new();
    sandbox.mdctl(&["init"]).expect_code(0).expect_stdout("mdctl backfill");
    let config = sandbox.read("mdctl.toml");
    for key in
        ["stagger", "max_retries", "api_key", "lookback", "settle", "max_run_age", "critical_share"]
    {
        assert!(config.contains(key), "`{key}` is not shown in the config");
    }
    sandbox.mdctl(&["backfill", "--dry-run"]).expect_code(0);
    sandbox.mdctl(&["staleness"]).expect_code(0);
    let mode = fs::metadata(sandbox.path("mdctl.db")).expect("a database").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn init_writes_nothing_over() {
    let sandbox = Sandbox::with("# mine\n");
    let output = sandbox.mdctl(&["init"]);
    output.expect_code(73).expect_stderr("mdctl.toml");
    assert_eq!(sandbox.read("mdctl.toml"), "# mine\n");
    assert!(!sandbox.path("mdctl.db").exists());
    let json = sandbox.mdctl(&["init", "--json"]).expect_code(73).json();
    assert_eq!(json["error"]["exit_code"], 73);
}

#[test]
fn init_makes_the_folder_that_is_named() {
    let sandbox = Sandbox::new();
    sandbox.mdctl(&["init", "deep/er"]).expect_code(0);
    assert!(sandbox.path("deep/er/mdctl.toml").exists());
    assert!(sandbox.path("deep/er/mdctl.db").exists());
    sandbox.mdctl(&["init", "other.toml", "--db", "elsewhere.db"]).expect_code(0);
    assert!(sandbox.path("other.toml").exists() && sandbox.path("elsewhere.db").exists());
}

#[test]
fn init_goes_where_every_command_looks() {
    let sandbox = Sandbox::new();
    let output = sandbox.mdctl(&["init", "--config", "a b.toml", "--db", "mine.db"]);
    let next = "mdctl backfill --config 'a b.toml' --db mine.db";
    output.expect_code(0).expect_stdout("wrote a b.toml and ").expect_stdout(next);
    assert!(sandbox.path("a b.toml").exists() && !sandbox.path("mdctl.toml").exists());
    let two = sandbox.mdctl(&["init", "--config", "a.toml", "b.toml"]);
    two.expect_code(64).expect_stderr("b.toml").expect_stderr("give one of them");
}

#[test]
fn init_that_fails_leaves_nothing_and_one_beside_a_database_says_so() {
    let sandbox = Sandbox::new();
    sandbox
        .write("mdctl.db", b"no database, and long enough to be seen as such by whoever reads it");
    sandbox.mdctl(&["init"]).expect_code(74).expect_stderr("mdctl.db");
    assert!(!sandbox.path("mdctl.toml").exists(), "half a beginning");
    fs::remove_file(sandbox.path("mdctl.db")).expect("it goes");
    sandbox.mdctl(&["init"]).expect_code(0).expect_stdout("wrote mdctl.toml and ");
    fs::remove_file(sandbox.path("mdctl.toml")).expect("it goes");
    sandbox.mdctl(&["init"]).expect_code(0).expect_stdout("was there, and stays as it is");
}

#[test]
fn before_the_first_run_there_is_no_last_one() {
    let sandbox = Sandbox::new();
    sandbox.mdctl(&["init"]).expect_code(0);
    sandbox.mdctl(&["history", "last"]).expect_code(64).expect_stderr("nothing has run yet");
}

#[test]
fn init_where_nothing_can_be_written_says_so() {
    let sandbox = Sandbox::new();
    sandbox.mdctl(&["init", "/sys/mdctl.toml"]).expect_code(73).expect_stderr("/sys/mdctl.toml");
}

#[test]
fn the_sample_runs_without_key_or_network() {
    let sandbox = Sandbox::new().without_key();
    sandbox.mdctl(&["init", "--sample", "demo"]).expect_code(0);
    let config = "demo/mdctl.toml";
    sandbox.mdctl(&["backfill", "--config", config]).expect_code(0);
    for report in ["staleness", "history", "status", "gaps"] {
        sandbox.mdctl(&[report, "--config", config]).expect_code(0);
    }
    // Bars that end years ago are stale, and the verdict says so.
    let health = sandbox.mdctl(&["health", "--config", config]);
    assert!(matches!(health.code, Some(1 | 2)), "{health}");
    health.expect_stdout("stale");
}

// `symbols`.

/// A config with comments in every place that an edit may touch.
fn commented() -> String {
    let text = polygon("https://api.polygon.io", "")
        + &group("p", "stock", &["AAA", "BBB"], DAILY)
        + &group("p", "etf", &["SPY"], DAILY);
    let list = "symbols = [\n    \"AAA\",   # the first\n    # the second:\n    \"BBB\",\n]";
    format!("# The head.\n{}", text.replacen("symbols = [\"AAA\", \"BBB\"]", list, 1))
        + "\n# The foot.\n"
}

fn comments(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.split_once('#').map(|(_, comment)| comment.trim()))
        .collect()
}

#[test]
fn symbols_are_listed() {
    let sandbox = Sandbox::with(&commented());
    sandbox.mdctl(&["symbols", "list"]).expect_code(0).expect_stdout("BBB").expect_stdout("SPY");
    let json =
        sandbox.mdctl(&["symbols", "list", "--group", "etfs", "--json"]).expect_code(0).json();
    assert_eq!(json["symbols"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(json["symbols"][0]["symbol"], "SPY");
    sandbox.mdctl(&["symbols", "list", "--group", "efts"]).expect_code(64).expect_stderr("etfs");
}

#[test]
fn added_symbols_stand_in_the_config_and_its_comments_stay() {
    let sandbox = Sandbox::with(&commented());
    let before = sandbox.read("mdctl.toml");
    sandbox.mdctl(&["symbols", "add", "CCC", "DDD", "--group", "stocks"]).expect_code(0);
    let after = sandbox.read("mdctl.toml");
    assert_eq!(comments(&after), comments(&before));
    let listed = sandbox.mdctl(&["symbols", "list", "--json"]).json();
    let symbols: Vec<_> = listed["symbols"]
        .as_array()
        .expect("symbols")
        .iter()
        .map(|row| row["symbol"].clone())
        .collect();
    assert_eq!(symbols, ["AAA", "BBB", "CCC", "DDD", "SPY"]);
    let kept = before.lines().filter(|line| !after.contains(*line)).collect::<Vec<_>>();
    assert_eq!(kept, Vec::<&str>::new(), "lines that were changed");
}

#[test]
fn a_removed_symbol_leaves_its_comments_neighbours_and_order() {
    let sandbox = Sandbox::with(&commented());
    sandbox.mdctl(&["symbols", "remove", "BBB"]).expect_code(0);
    let after = sandbox.read("mdctl.toml");
    assert!(!after.contains("BBB"), "{after}");
    for kept in ["# The head.", "# the first", "# The foot.", "\"AAA\"", "\"SPY\""] {
        assert!(after.contains(kept), "{kept} is gone:\n{after}");
    }
    sandbox.mdctl(&["backfill", "--dry-run"]).expect_code(0);
}

#[test]
fn edits_that_cannot_be_change_nothing() {
    let sandbox = Sandbox::with(&commented());
    let before = sandbox.read("mdctl.toml");
    let calls: [(&[&str], &str); 6] = [
        (&["symbols", "add", "AAA", "--group", "etfs"], "stocks"),
        (&["symbols", "add", "NEW"], "--group"),
        (&["symbols", "add", "NEW", "AAA", "--group", "stocks"], "AAA"),
        (&["symbols", "add", "NEW", "--group", "stokcs"], "stocks"),
        (&["symbols", "remove", "AAB"], "AAA"),
        (&["symbols", "add", "two words", "--group", "etfs"], "symbol"),
    ];
    for (arguments, words) in calls {
        sandbox.mdctl(arguments).expect_code(64).expect_stderr(words);
        assert_eq!(sandbox.read("mdctl.toml"), before, "{arguments:?}");
    }
}

#[test]
fn imported_symbols_are_added_once() {
    let sandbox = Sandbox::with(&commented());
    sandbox.write("more.csv", "name,Symbol\nA,AAA\nE,EEE\nF,FFF\nE again,EEE\n");
    sandbox.mdctl(&["symbols", "import", "more.csv", "--group", "stocks"]).expect_code(0);
    let listed = sandbox.mdctl(&["symbols", "list", "--group", "stocks", "--json"]).json();
    assert_eq!(listed["symbols"].as_array().map(Vec::len), Some(4), "{listed}");
    sandbox.mdctl(&["symbols", "import", "more.csv", "--group", "stocks"]).expect_code(0);
    let again = sandbox.mdctl(&["symbols", "list", "--group", "stocks", "--json"]).json();
    assert_eq!(again["symbols"], listed["symbols"]);
    sandbox.write("bad.csv", "ticker\nX\n");
    sandbox
        .mdctl(&["symbols", "import", "bad.csv", "--group", "stocks"])
        .expect_code(64)
        .expect_stderr("bad.csv");
    let gone = sandbox.mdctl(&["symbols", "import", "gone.csv", "--group", "stocks"]);
    assert!(matches!(gone.code, Some(64 | 74)), "{gone}");
    gone.expect_stderr("gone.csv");
}

#[test]
fn an_edit_keeps_the_permissions_of_the_config() {
    let sandbox = Sandbox::with(&commented());
    let path = sandbox.path("mdctl.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
    sandbox.mdctl(&["symbols", "remove", "BBB"]).expect_code(0);
    let mode = fs::metadata(&path).expect("the config").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn an_edit_follows_a_link_to_the_config() {
    let sandbox = Sandbox::new();
    sandbox.write("real/mdctl.toml", commented());
    std::os::unix::fs::symlink("real/mdctl.toml", sandbox.path("mdctl.toml")).expect("a link");
    sandbox.mdctl(&["symbols", "remove", "BBB"]).expect_code(0);
    assert!(sandbox.path("mdctl.toml").is_symlink(), "the link was replaced");
    assert!(!sandbox.read("real/mdctl.toml").contains("BBB"));
}

#[test]
fn a_renamed_symbol_keeps_its_bars_and_each_span_is_asked_under_its_name() {
    let market = Market::daily(&["FB"], &sessions("2024-01-02", "2024-03-08")).with(
        "META",
        "1d",
        rows(&sessions("2024-03-11", "2024-06-28")),
    );
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "") + &group("p", "stock", &["FB"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-08", &[]).expect_code(0);
    let before = sandbox.database().times("FB", "1d");
    let rename = ["symbols", "rename", "FB", "META", "--until", "2024-03-08"];
    sandbox.mdctl(&rename).expect_code(0).expect_stdout("renamed 1 symbol");
    let entry = r#"{ symbol = "META", aliases = [{ symbol = "FB", until = "2024-03-08" }] }"#;
    assert!(sandbox.read("mdctl.toml").contains(entry), "{}", sandbox.read("mdctl.toml"));
    assert_eq!(sandbox.database().times("META", "1d"), before);
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    let requests = asked(&server.take_requests());
    assert_eq!(requests, ["FB 1d 2024-03-06 2024-03-08", "META 1d 2024-03-11 2024-03-15"]);
    let database = sandbox.database();
    assert_eq!(database.gaps("META"), Vec::<String>::new());
    assert_eq!(database.texts("SELECT symbol FROM series"), ["META"]);
    sandbox.mdctl(&["health", "--as-of", AS_OF]).expect_code(0);
    // A name that is tracked, or has bars, is nobody else's.
    sandbox.mdctl(&["symbols", "add", "FB"]).expect_code(0);
    sandbox.backfill(&["FB"]);
    sandbox.mdctl(&["symbols", "remove", "FB"]).expect_code(0);
    let back = ["symbols", "rename", "META", "FB", "--until", "2024-03-15"];
    sandbox.mdctl(&back).expect_code(64).expect_stderr("there are bars of `FB` already");
    sandbox.mdctl(&["symbols", "rename", "META", "META", "--until", "2024-03-15"]).expect_code(64);
    sandbox.mdctl(&["symbols", "rename", "MTA", "X", "--until", "2024-03-15"]).expect_code(64);
}
