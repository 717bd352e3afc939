//! Which series a file is of, and files that are none.

use std::io::Write as _;
use std::os::unix::fs::symlink;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::Signal;

use crate::support::market::{rfc3339, rows};
use crate::support::{Sandbox, binance, daily_sessions, group, polygon, wait_until};

use super::{csv, import, unasked};

/// A text as a packed file.
fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("it packs");
    encoder.finish().expect("it packs")
}

/// A sandbox whose config tracks several kinds of things, and which has a good file of each.
fn various() -> Sandbox {
    let config = polygon("http://127.0.0.1:9", "")
        + &group("p", "stock", &["AAA", "BRK/B"], r#"timeframes = ["1d", "1w"]"#)
        + &group("p", "crypto", &["X:BTC/USD", "X:BTC-USD"], r#"timeframes = ["1h", "1d"]"#);
    let sandbox = Sandbox::with(&config);
    let text = csv(&rows(&daily_sessions()));
    for name in [
        "AAA_1d.csv",
        "BRK-B_1d.csv",
        "X:BTC-USD_1d.csv",
        "AAA_1w.csv",
        "AAA_5m.csv",
        "AAB_1d.csv",
        "AAA_actions.csv",
        "AAA_1x.csv",
        "notes.txt",
        "zzz_1d.csv",
        "folder/AAA_1d.csv",
    ] {
        sandbox.write(name, &text);
    }
    sandbox
}

#[test]
fn a_name_that_tells_no_series_is_a_usage_error_that_says_what_to_do() {
    let sandbox = various();
    for (name, what, hint) in [
        ("AAB_1d.csv", "is of the unknown symbol `AAB`", "did you mean `AAA`?"),
        ("zzz_1d.csv", "is of the unknown symbol `zzz`", "mdctl symbols add zzz"),
        ("AAA_1w.csv", "the 1w bars of AAA are made of its 1d bars", "import its 1d bars"),
        ("AAA_5m.csv", "AAA has no 5m bars; those of group stocks are 1d, 1w", "`timeframes`"),
        ("AAA_1x.csv", "`1x` in the name of AAA_1x.csv is no timeframe", "--timeframe TF"),
        ("AAA_actions.csv", "holds splits and dividends", "leave it out"),
        ("notes.txt", "is not SYMBOL_TIMEFRAME.csv", "--symbol SYMBOL"),
        ("folder", "folder is a folder", "mdctl import folder/*.csv"),
        (
            "X:BTC-USD_1d.csv",
            "may be of X:BTC/USD or X:BTC-USD",
            "--symbol X:BTC/USD --timeframe 1d",
        ),
    ] {
        let output = import(&sandbox, &["AAA_1d.csv", name]);
        output.expect_code(64).expect_stderr(what).expect_stderr(hint);
    }
    assert!(!sandbox.path("mdctl.db").exists(), "of none of them anything was done");
    for arguments in [
        &[][..],
        &["AAA_1d.csv", "--symbol", "AAA"],
        &["AAA_1d.csv", "--timeframe", "1d"],
        &["AAA_1d.csv", "--symbol", "AAB", "--timeframe", "1d"],
        &["AAA_1d.csv", "--symbol", "AAA", "--timeframe", "1w"],
        &["AAA_1d.csv", "--force"],
    ] {
        import(&sandbox, arguments).expect_code(64);
    }
    for more in [&[][..], &["--symbol", "AAA", "--timeframe", "1d"]] {
        let output = import(&sandbox, &[&["-"], more].concat());
        output.expect_code(64).expect_stderr("not what is piped into it").expect_stderr("./-");
    }
    sandbox.write("-", csv(&rows(&daily_sessions())));
    import(&sandbox, &["./-", "--symbol", "AAA", "--timeframe", "1d"]).expect_code(0);
}

#[test]
fn a_series_may_be_said_and_a_slash_is_a_dash() {
    let sandbox = various();
    sandbox.write("odd name [1] ünïcode.csv", csv(&rows(&daily_sessions())));
    import(&sandbox, &["BRK-B_1d.csv"]).expect_code(0);
    let said = ["--symbol", "X:BTC-USD", "--timeframe", "1d"];
    import(&sandbox, &[&["odd name [1] ünïcode.csv"], &said[..]].concat()).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("BRK/B", "1d"), daily_sessions());
    assert_eq!(database.times("X:BTC-USD", "1d"), daily_sessions());
    let files = database.texts("SELECT file FROM fetch_log ORDER BY rowid");
    assert!(files[1].ends_with("/odd name [1] ünïcode.csv"), "{files:?}");
}

#[test]
fn packed_linked_and_dressed_by_other_systems_it_is_the_same_file() {
    let (_server, sandbox) = unasked(&["AAA", "BBB", "CCC"]);
    let text = csv(&rows(&daily_sessions()));
    sandbox.write("AAA_1d.csv.gz", packed(&text));
    let (header, rest) = text.split_once('\n').expect("a header");
    let newest_first: Vec<&str> = rest.lines().rev().collect();
    let dressed = format!("\u{feff}# by hand\r\n{header}\r\n{}\r\n", newest_first.join("\r\n"));
    sandbox.write("BBB_1d.csv", dressed);
    sandbox.write("elsewhere.csv", &text);
    symlink(sandbox.path("elsewhere.csv"), sandbox.path("CCC_1d.csv")).expect("a link");
    import(&sandbox, &["AAA_1d.csv.gz", "BBB_1d.csv", "CCC_1d.csv"]).expect_code(0);
    for symbol in ["AAA", "BBB", "CCC"] {
        assert_eq!(sandbox.database().times(symbol, "1d"), daily_sessions(), "{symbol}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_its_own_symbols_failure() {
    let names =
        ["GONE", "PIPE", "FOLDER", "BINARY", "EMPTY", "HEADER", "ENDLESS", "TORN", "LOOP", "GOOD"];
    let (_server, sandbox) = unasked(&names);
    let text = csv(&rows(&daily_sessions()));
    let made = std::process::Command::new("mkfifo").arg(sandbox.path("PIPE_1d.csv")).status();
    assert!(made.expect("mkfifo is there").success());
    sandbox.write("FOLDER_1d.csv/inside", "");
    sandbox.write("BINARY_1d.csv", [0_u8, 159, 146, 150].repeat(99));
    sandbox.write("EMPTY_1d.csv", "");
    sandbox.write("HEADER_1d.csv", text.replace("close", "clothes"));
    sandbox.write("ENDLESS_1d.csv", text.clone() + &"x".repeat(200_000));
    let whole = packed(&text);
    sandbox.write("TORN_1d.csv.gz", &whole[..whole.len() - 9]);
    symlink("LOOP_1d.csv", sandbox.path("LOOP_1d.csv")).expect("a link");
    sandbox.write("GOOD_1d.csv", &text);
    let files: Vec<String> = names
        .iter()
        .map(|name| format!("{name}_1d.csv{}", if *name == "TORN" { ".gz" } else { "" }))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    import(&sandbox, &files).expect_code(1).expect_stderr("PIPE_1d.csv is no regular file");
    let database = sandbox.database();
    let failed = database.texts("SELECT symbol || ' ' || error_kind FROM failures ORDER BY symbol");
    assert_eq!(
        failed,
        [
            "BINARY malformed",
            "EMPTY malformed",
            "ENDLESS malformed",
            "FOLDER bad_request",
            "GONE not_found",
            "HEADER malformed",
            "LOOP network",
            "PIPE bad_request",
            "TORN malformed",
        ]
    );
    assert_eq!(database.times("GOOD", "1d"), daily_sessions());
    assert_eq!(database.number("SELECT count(DISTINCT series_id) FROM bars"), 1);
    // It speaks against the file, and not against the provider of the series.
    assert_eq!(database.number("SELECT sum(consecutive_failures) FROM series"), 0);
    assert_eq!(database.number("SELECT count(last_error) + count(rests_until) FROM series"), 0);
}

#[test]
fn of_a_file_on_another_grid_nothing_stays_but_the_failure() {
    let sandbox = Sandbox::with(
        &(binance("http://127.0.0.1:9", "")
            + &group("b", "crypto", &["BTCUSDT"], r#"timeframes = ["1h"]"#)),
    );
    let rows: String =
        (0..5_000).map(|n| format!("{},1,1,1,1\n", rfc3339(1_700_000_040 + n * 3_600))).collect();
    sandbox.write("BTCUSDT_1h.csv", "ts,open,high,low,close\n".to_owned() + &rows);
    import(&sandbox, &["BTCUSDT_1h.csv"])
        .expect_code(2)
        .expect_stderr("rows were refused; first off_grid_ts");
    let database = sandbox.database();
    assert_eq!(database.number("SELECT count(*) FROM rejected_bars"), 0);
    let told = database.texts("SELECT error_kind || ' ' || message FROM failures");
    assert!(told[0].starts_with("validation all 2930 rows were refused; first "), "{told:?}");
    let log = "SELECT records_fetched || ' ' || records_rejected FROM fetch_log";
    assert_eq!(database.texts(log), ["5000 2930"], "the rest is of after that day");
    assert_eq!(database.number("SELECT count(*) FROM coverage"), 0, "the provider is still asked");
}

/// A sandbox with a file of so many minutes.
pub(super) fn minutes(count: i64) -> Sandbox {
    let sandbox = Sandbox::with(
        &(binance("http://127.0.0.1:9", "")
            + &group("b", "crypto", &["BTCUSDT"], r#"timeframes = ["1m"]"#)),
    );
    let mut text = "ts,open,high,low,close,volume\n".to_owned();
    for n in 0..count {
        text += &format!("{},10,11,9,10,{n}\n", 1_600_000_020 + n * 60);
    }
    sandbox.write("BTCUSDT_1m.csv", text);
    sandbox
}

/// How many bars are stored.
pub(super) fn stored(sandbox: &Sandbox) -> i64 {
    if !sandbox.path("mdctl.db").exists() {
        return 0;
    }
    let database = sandbox.database();
    let is_there = database.number("SELECT count(*) FROM sqlite_schema WHERE name = 'bars'") == 1;
    if is_there { database.number("SELECT coalesce(sum(bar_count), 0) FROM series") } else { 0 }
}

#[test]
fn stopped_or_killed_it_keeps_whole_pages_and_the_next_goes_on() {
    const MINUTES: i64 = 320_000;
    for signal in [Some(Signal::INT), None] {
        let sandbox = minutes(MINUTES);
        let mut running = sandbox.start(&["import", "BTCUSDT_1m.csv", "--no-features"]);
        wait_until(|| stored(&sandbox) > 0);
        match signal {
            Some(signal) => {
                running.signal(signal);
                assert_eq!(running.wait(), Some(130));
            }
            None => {
                assert_eq!(running.ended(), None, "it was still at work");
                running.kill();
            }
        }
        let kept = stored(&sandbox);
        assert!(kept > 0 && kept < MINUTES && kept % 50_000 == 0, "{kept}");
        let run = sandbox.database().texts("SELECT status FROM runs");
        assert_eq!(run, [if signal.is_some() { "interrupted" } else { "running" }]);
        sandbox.mdctl(&["import", "BTCUSDT_1m.csv", "--no-features"]).expect_code(0);
        let database = sandbox.database();
        assert_eq!(stored(&sandbox), MINUTES);
        assert_eq!(database.number("SELECT count(*) FROM bars"), MINUTES);
        assert_eq!(database.number("SELECT count(*) FROM coverage"), 1);
        let new = "SELECT records_inserted FROM runs ORDER BY run_id DESC LIMIT 1";
        assert_eq!(database.numbers(new), [MINUTES - kept]);
    }
}
