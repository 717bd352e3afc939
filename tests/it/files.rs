//! The embedded provider: a folder of CSV files, no key, no network.

use std::fmt::Write as _;
use std::fs::File;
use std::time::{Duration, SystemTime};

use crate::support::market::{Row, date, day, rfc3339, row, rows, sessions};
use crate::support::{AS_OF, Sandbox, daily_sessions, group};

mod columns;
mod oracle;
mod order;
mod packed;

const PROVIDER: &str = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";

const TIMEFRAMES: &str = r#"timeframes = ["1d"]"#;

/// A sandbox with daily files of `with` and a config that names `symbols`.
fn folder(symbols: &[&str], with: &[&str]) -> Sandbox {
    let sandbox =
        Sandbox::with(&(PROVIDER.to_owned() + &group("local", "stock", symbols, TIMEFRAMES)));
    for symbol in with {
        put(&sandbox, &format!("{symbol}_1d.csv"), csv(&rows(&daily_sessions())));
    }
    sandbox
}

/// A sandbox with one file and a config that names its symbol: of the currency pair that never rests
/// unless `class` says otherwise.
fn one_file(
    class: &str,
    symbol: &str,
    timeframe: &str,
    name: &str,
    text: impl AsRef<[u8]>,
) -> Sandbox {
    let timeframes = format!("timeframes = [{timeframe:?}]");
    let sandbox =
        Sandbox::with(&(PROVIDER.to_owned() + &group("local", class, &[symbol], &timeframes)));
    put(&sandbox, name, text);
    sandbox
}

/// Bars as `ts open high low close volume`, the volume `-` where there is none.
fn stored(sandbox: &Sandbox) -> Vec<String> {
    sandbox.database().texts(
        "SELECT concat_ws(' ', ts, open, high, low, close, coalesce(volume, '-')) FROM bars ORDER BY ts",
    )
}

/// `reason line` of every row that was refused.
fn refused(sandbox: &Sandbox) -> Vec<String> {
    sandbox.database().texts(
        "SELECT reason || ' ' || substr(text, 6, instr(text, ':') - 6) FROM rejected_bars
         ORDER BY CAST(substr(text, 6) AS INTEGER)",
    )
}

/// Writes a file of the folder, as if long ago.
fn put(sandbox: &Sandbox, name: &str, text: impl AsRef<[u8]>) {
    let name = format!("data/{name}");
    sandbox.write(&name, text);
    let file = File::options().write(true).open(sandbox.path(&name)).expect("the file opens");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000))
        .expect("its time is set");
}

/// Rows as a file.
fn csv(rows: &[Row]) -> String {
    rows.iter().fold("ts,open,high,low,close,volume\n".to_owned(), |mut text, row| {
        let Row { open, high, low, close, volume, .. } = row;
        let _ = writeln!(text, "{},{open},{high},{low},{close},{volume}", rfc3339(row.ts));
        text
    })
}

#[test]
fn a_pipe_or_a_folder_in_a_files_place_is_no_file() {
    let sandbox = Sandbox::with(
        "[providers.f]\nkind = \"files\"\npath = \"data\"\n[[group]]\nname = \"g\"\nprovider = \"f\"\nasset_class = \"crypto\"\nsymbols = [\"PIPE\", \"FOLDER\"]\ntimeframes = [\"1d\"]\n",
    );
    sandbox.write("data/FOLDER_1d.csv/inside", "");
    let made = std::process::Command::new("mkfifo").arg(sandbox.path("data/PIPE_1d.csv")).status();
    assert!(made.expect("mkfifo is there").success());
    sandbox.backfill(&[]).expect_code(2).expect_stderr("is no regular file");
    let kinds = sandbox
        .database()
        .texts("SELECT symbol || ' ' || error_kind FROM failures ORDER BY symbol");
    assert_eq!(kinds, ["FOLDER bad_request", "PIPE bad_request"]);
}

#[test]
fn files_are_read_without_key_or_network() {
    let sandbox = folder(&["AAA", "BBB"], &["AAA", "BBB"]).without_key();
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    for symbol in ["AAA", "BBB"] {
        assert_eq!(database.times(symbol, "1d"), daily_sessions(), "{symbol}");
    }
    let run = database.texts("SELECT concat_ws(' ', status, requests, records_inserted) FROM runs");
    assert_eq!(run, ["succeeded 0 42"], "reading a file is no request");
    assert_eq!(database.number("SELECT count(*) FROM rejected_bars"), 0);
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
    assert_eq!(database.texts("SELECT DISTINCT status FROM freshness"), ["fresh"]);
}

#[test]
fn a_missing_file_fails_its_symbol_alone() {
    let sandbox = folder(&["AAA", "GONE", "CCC"], &["AAA", "CCC"]);
    let output = sandbox.backfill(&[]);
    output.expect_code(1).expect_stderr("GONE_1d.csv");
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    assert_eq!(database.times("CCC", "1d"), daily_sessions());
    let failures =
        database.texts("SELECT concat_ws(' ', symbol, timeframe, stage, error_kind) FROM failures");
    assert_eq!(failures, ["GONE 1d fetch not_found"]);
}

#[test]
fn bad_rows_are_rejected_with_their_lines() {
    let sandbox = folder(&["AAA", "BBB"], &["BBB"]);
    let good = csv(&rows(&daily_sessions()));
    let bad = format!(
        "{good}2024-01-02T00:00:00Z,1,2,0.5,abc,10\nnever,1,1,1,1,1\n2024-01-03,1,2,0.5\n\
         2024-01-04,10,2,0.5,1,10\n2024-01-08,-1,2,0.5,1,10\n"
    );
    put(&sandbox, "AAA_1d.csv", &bad);
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    assert_eq!(database.times("BBB", "1d"), daily_sessions());
    let mut rejected = database
        .texts("SELECT reason || ' ' || substr(text, 1, instr(text, ':') - 1) FROM rejected_bars");
    rejected.sort();
    assert_eq!(
        rejected,
        [
            "invalid_number line 23",
            "invalid_number line 24",
            "invalid_number line 25",
            "nonpositive_price line 27",
            "ohlc_out_of_range line 26",
        ]
    );
}

#[test]
fn a_header_without_a_column_fails_its_symbol() {
    let sandbox = folder(&["AAA", "BBB"], &["BBB"]);
    put(&sandbox, "AAA_1d.csv", "ts,open,high,low,volume\n2024-03-01,1,1,1,1\n");
    let output = sandbox.backfill(&[]);
    output.expect_code(1).expect_stderr("close");
    let database = sandbox.database();
    assert_eq!(database.texts("SELECT error_kind FROM failures"), ["malformed"]);
    assert_eq!(database.times("BBB", "1d"), daily_sessions());
}

#[test]
fn a_file_that_is_no_text_fails_its_symbol() {
    let sandbox = folder(&["AAA", "BBB"], &["BBB"]);
    sandbox.write("data/AAA_1d.csv", b"ts,open,high,low,close,volume\n\xff\xfe\x00,1,1,1,1,1\n");
    sandbox.backfill(&[]).expect_code(1);
    let database = sandbox.database();
    assert_eq!(database.texts("SELECT symbol FROM failures"), ["AAA"]);
    assert_eq!(database.times("BBB", "1d"), daily_sessions());
}

#[test]
fn an_empty_file_fails_its_symbol() {
    let sandbox = folder(&["AAA", "BBB"], &["BBB"]);
    put(&sandbox, "AAA_1d.csv", "");
    sandbox.backfill(&[]).expect_code(1);
    let database = sandbox.database();
    assert_eq!(
        database.texts("SELECT symbol || ' ' || error_kind FROM failures"),
        ["AAA malformed"]
    );
    assert_eq!(database.times("BBB", "1d"), daily_sessions());
}

#[test]
fn a_folder_that_is_not_there_fails_every_symbol() {
    let sandbox = folder(&["AAA", "BBB"], &[]);
    sandbox.backfill(&[]).expect_code(2);
    let database = sandbox.database();
    assert_eq!(database.texts("SELECT DISTINCT error_kind FROM failures"), ["not_found"]);
}

#[test]
fn as_of_refuses_what_closed_later_until_it_has_closed() {
    let sandbox = folder(&["AAA"], &["AAA"]);
    sandbox.backfill_at("2024-03-01", &[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), sessions("2024-02-15", "2024-03-01"));
    // Judged as of then, they are bars of the future.
    let rejected = database.texts("SELECT DISTINCT reason FROM rejected_bars");
    assert_eq!(rejected, ["future_ts"]);
    assert_eq!(database.texts("SELECT status FROM freshness"), ["fresh"]);

    // Later on, what was hidden is read.
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
    assert_eq!(database.number("SELECT count(*) FROM rejected_bars"), 0, "their time has come");
}

#[test]
fn a_file_of_which_all_closed_later_is_no_failure() {
    let sandbox = folder(&["AAA", "BBB"], &["AAA"]);
    put(&sandbox, "BBB_1d.csv", csv(&rows(&sessions("2024-03-04", "2024-03-08"))));
    sandbox.backfill_at("2024-03-01", &[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("BBB", "1d"), Vec::<i64>::new());
    assert_eq!(database.texts("SELECT status FROM jobs WHERE symbol = 'BBB'"), ["completed"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("BBB", "1d"), sessions("2024-03-04", "2024-03-08"));
}

#[test]
fn line_ends_of_windows_and_blank_lines_are_no_rows() {
    let sandbox = folder(&["AAA"], &[]);
    let text = csv(&rows(&daily_sessions())).replace('\n', "\r\n") + "\r\n\r\n";
    put(&sandbox, "AAA_1d.csv", &text);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
    assert_eq!(sandbox.database().number("SELECT count(*) FROM rejected_bars"), 0);
}

#[test]
fn bars_of_the_future_are_rejected() {
    let sandbox = folder(&["AAA"], &[]);
    let mut days = daily_sessions();
    days.push(day("2150-03-02"));
    put(&sandbox, "AAA_1d.csv", csv(&rows(&days)));
    sandbox.mdctl(&["backfill"]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    assert_eq!(database.texts("SELECT reason FROM rejected_bars"), ["future_ts"]);
}

#[test]
fn a_bad_row_whose_line_moves_is_the_same_bad_row_and_a_mended_one_is_none() {
    let sandbox = folder(&["AAA"], &[]);
    let newest_first = |days: usize, bad: &str| {
        let bars = rows(&daily_sessions());
        let text = csv(&bars[..days]);
        let (header, rest) = text.split_once('\n').expect("a header");
        let rows: Vec<&str> = rest.lines().rev().collect();
        format!("{header}\n{}\n{bad}\n", rows.join("\n"))
    };
    let bad = "2024-02-14T00:00:00Z,5,4,6,5,1";
    for days in [18, 19, 20] {
        sandbox.write("data/AAA_1d.csv", newest_first(days, bad));
        sandbox.backfill(&[]).expect_code(0);
        assert_eq!(refused(&sandbox), [format!("high_lt_low {}", days + 2)]);
    }
    sandbox.write("data/AAA_1d.csv", newest_first(21, "2024-02-14T00:00:00Z,5,6,4,5,1"));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(refused(&sandbox), Vec::<String>::new());
}

#[test]
fn a_second_run_reads_nothing() {
    let sandbox = folder(&["AAA"], &["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.number("SELECT count(*) FROM fetch_log"), 1);
    assert_eq!(database.texts("SELECT status FROM runs"), ["succeeded", "succeeded"]);
}

#[test]
fn a_changed_file_is_read_again() {
    let sandbox = folder(&["AAA"], &["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let mut changed = rows(&daily_sessions());
    changed[4].close += 0.25;
    sandbox.write("data/AAA_1d.csv", csv(&changed));
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.numbers("SELECT ts FROM revisions"), [changed[4].ts]);
    let run = database.texts(
        "SELECT concat_ws(' ', records_inserted, records_updated) FROM runs ORDER BY run_id DESC LIMIT 1",
    );
    assert_eq!(run, ["0 1"]);
}

#[test]
fn all_there_is_is_read_whatever_the_lookback() {
    let sandbox = folder(&["AAA"], &[]);
    let days = [sessions("2024-01-02", "2024-01-31"), vec![day("1999-12-31")]].concat();
    put(&sandbox, "AAA_1d.csv", csv(&rows(&days)));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().number("SELECT first_ts FROM series"), day("1999-12-31"));
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 22);
}

#[test]
fn a_file_that_ends_early_is_stale_and_says_so() {
    let sandbox = folder(&["AAA"], &[]);
    put(&sandbox, "AAA_1d.csv", csv(&rows(&sessions("2024-01-02", "2024-02-29"))));
    sandbox.backfill(&[]).expect_code(0);
    let staleness = sandbox.mdctl(&["staleness", "--json", "--as-of", AS_OF]).expect_code(0).json();
    assert_eq!(staleness["series"][0]["status"], "stale");
    assert_eq!(staleness["series"][0]["last_bar_at"], "2024-02-29T00:00:00Z");
    let earlier = sandbox.mdctl(&["staleness", "--json", "--as-of", "2024-02-29"]).json();
    assert_eq!(earlier["series"][0]["status"], "fresh");
}

#[test]
fn identical_rows_fold_and_differing_ones_cancel_each_other() {
    let sandbox = folder(&["AAA"], &[]);
    let mut days = rows(&daily_sessions());
    days.push(days[3]);
    days.push(Row { volume: 1.0, ..days[5] });
    put(&sandbox, "AAA_1d.csv", csv(&days));
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.number("SELECT count(*) FROM bars"), 20);
    let mut rejected = database
        .texts("SELECT reason || ' ' || substr(text, 1, instr(text, ':') - 1) FROM rejected_bars");
    rejected.sort();
    assert_eq!(rejected, ["duplicate_ts line 24", "duplicate_ts line 7"]);
}

#[test]
fn a_slash_in_a_symbol_is_a_dash_in_its_file() {
    let sandbox =
        Sandbox::with(&(PROVIDER.to_owned() + &group("local", "forex", &["EUR/USD"], TIMEFRAMES)));
    // A forex day is the trade date's, which ends at 17:00 New York.
    let week: Vec<i64> = ["2024-03-11", "2024-03-12", "2024-03-13"].map(day).to_vec();
    put(&sandbox, "EUR-USD_1d.csv", csv(&rows(&week)));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("EUR/USD", "1d"), week);
}

#[test]
fn a_symbol_cannot_lead_out_of_its_folder() {
    let sandbox = Sandbox::with(
        &(PROVIDER.to_owned() + &group("local", "stock", &["../outside"], TIMEFRAMES)),
    );
    put(&sandbox, "AAA_1d.csv", csv(&[row(day("2024-03-01"))]));
    sandbox.write("outside_1d.csv", csv(&rows(&daily_sessions())));
    sandbox.backfill(&[]);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 0);
}

#[test]
fn a_bars_time_may_be_a_date_or_epoch_seconds() {
    let sandbox = folder(&["AAA", "BBB"], &[]);
    let days = daily_sessions();
    let line = |time: String, ts: i64| {
        let Row { open, high, low, close, .. } = row(ts);
        format!("{time},{open},{high},{low},{close}\n")
    };
    let dates: String = days.iter().map(|ts| line(date(*ts), *ts)).collect();
    let epochs: String = days.iter().map(|ts| line(ts.to_string(), *ts)).collect();
    put(&sandbox, "AAA_1d.csv", format!("ts,open,high,low,close\n{dates}"));
    put(&sandbox, "BBB_1d.csv", format!("\u{feff}TS,Open,High,Low,Close\n{epochs}"));
    sandbox.backfill(&[]).expect_code(0);
    for symbol in ["AAA", "BBB"] {
        assert_eq!(sandbox.database().times(symbol, "1d"), days, "{symbol}");
    }
}
