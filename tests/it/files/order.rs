//! Files in whatever order, and of whatever length.

use std::fmt::Write as _;
use std::ops::Range;

use super::packed::packed;
use super::{PROVIDER, one_file, put, refused};
use crate::support::server::{Answer, Server};
use crate::support::{DAILY, Sandbox, group, polygon, wait_until};

/// 2023-01-01T00:00:00Z.
const START: i64 = 1_672_531_200;

const HEADER: &str = "ts,open,high,low,close,volume\n";

/// The most that a run may take, in bytes.
const MOST: u64 = 100_000_000;

/// The row of a minute.
fn minute(index: i64) -> String {
    let open = 100.0 + (index % 977) as f64 * 0.25;
    let (ts, high, low) = (START + index * 60, open + 2.0, open - 1.5);
    format!("{ts},{open},{high},{low},{},{}\n", open + 0.5, index % 5_000)
}

/// A file of those minutes.
pub(super) fn minutes(indices: impl IntoIterator<Item = i64>) -> String {
    indices.into_iter().fold(HEADER.to_owned(), |text, index| text + &minute(index))
}

/// Every index of a range, in no order: neighbours come far apart.
fn shuffled(range: Range<i64>) -> impl Iterator<Item = i64> {
    let length = range.end - range.start;
    // No multiple of any length in use.
    (0..length).map(move |index| range.start + index * 104_729 % length)
}

fn backfilled(text: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = one_file("crypto", "BTCUSDT", "1m", "BTCUSDT_1m.csv", text);
    sandbox.backfill(&[]).expect_code(0);
    sandbox
}

/// What a run came to that must not depend on the order of a file.
fn came_to(sandbox: &Sandbox) -> Vec<String> {
    let database = sandbox.database();
    [
        "SELECT concat_ws(' ', count(*), min(ts), max(ts), sum(close), sum(volume)) FROM bars",
        "SELECT concat_ws(' ', reason, from_ts, to_ts, missing) FROM gaps ORDER BY from_ts",
        "SELECT concat_ws(' ', from_ts, to_ts) FROM coverage",
        "SELECT concat_ws(' ', reason, ts) FROM rejected_bars ORDER BY ts",
        "SELECT concat_ws(' ', status, records_inserted, records_updated) FROM runs",
        "SELECT concat_ws(' ', bar_count, first_ts, watermark_ts) FROM series",
        "SELECT count(*) || ' revisions' FROM revisions",
    ]
    .iter()
    .flat_map(|sql| database.texts(sql))
    .collect()
}

#[test]
fn a_file_is_read_alike_in_whatever_order_its_rows_are() {
    // A hole, and a row that cannot be true in it.
    let is_there = |index: &i64| !(70_000..70_010).contains(index);
    let bad = format!("{},1,2,0.5,abc,1\n", START + 70_004 * 60);
    let rows = |indices: &mut dyn Iterator<Item = i64>| minutes(indices.filter(is_there)) + &bad;
    let ascending = backfilled(rows(&mut (0..105_000)));
    let expected = came_to(&ascending);
    assert!(expected.contains(&"succeeded 104990 0".to_owned()), "{expected:#?}");
    assert_eq!(
        ascending.database().gaps("BTCUSDT")[..3],
        ["provider_empty 4", "rejected 1", "provider_empty 5"].map(str::to_owned)
    );
    for (order, text) in [
        ("descending", rows(&mut (0..105_000).rev())),
        ("shuffled", rows(&mut shuffled(0..105_000))),
        ("two halves", rows(&mut (60_000..105_000).chain(0..60_000))),
        ("descending but for one", rows(&mut (0..104_999).rev().chain([104_999]))),
    ] {
        assert_eq!(came_to(&backfilled(text)), expected, "{order}");
    }
}

#[test]
fn rows_of_one_time_are_judged_together_however_far_apart() {
    let first = minutes(0..110_000);
    let other = format!("{},1,2,0.5,1,1\n", START + 7 * 60);
    let sandbox = backfilled(first + &minute(3) + &other);
    let database = sandbox.database();
    assert_eq!(database.number("SELECT count(*) FROM bars"), 109_999);
    assert_eq!(refused(&sandbox), ["duplicate_ts 9", "duplicate_ts 110003"]);
    assert_eq!(database.number("SELECT count(*) FROM revisions"), 0);
}

#[test]
fn bad_rows_bear_their_lines_in_whatever_order() {
    for descends in [false, true] {
        let mut text = HEADER.to_owned();
        let mut expected = Vec::new();
        for index in 0..60_000 {
            let index = if descends { 59_999 - index } else { index };
            if index % 9_000 == 17 {
                let _ = writeln!(text, "{},1,2,0.5,1,x", START + index * 60);
                expected.push(format!("invalid_number {}", text.lines().count()));
            } else {
                text += &minute(index);
            }
        }
        assert_eq!(refused(&backfilled(text)), expected);
    }
}

#[test]
fn a_long_file_takes_no_more_memory_than_a_page() {
    let server = Server::start(|_| Answer::Hang);
    let files = ["ASC", "DESC", "MIXED", "PACKED"];
    let config = polygon(&server.url(), "")
        + PROVIDER
        + &group("local", "crypto", &files, r#"timeframes = ["1m"]"#)
        // Never answered, so that the run is still there to be looked at.
        + &group("p", "stock", &["LAST"], DAILY);
    let sandbox = Sandbox::with(&config);
    let rows = 300_000;
    put(&sandbox, "ASC_1m.csv", minutes(0..rows));
    put(&sandbox, "DESC_1m.csv", minutes((0..rows).rev()));
    put(&sandbox, "MIXED_1m.csv", minutes(shuffled(0..rows)));
    put(&sandbox, "PACKED_1m.csv.gz", packed(minutes(0..rows)));
    let running = sandbox.start(&["backfill", "--as-of", "2024-03-15", "--parallel", "2"]);
    server.wait_for(1);
    let read = || sandbox.database().number("SELECT count(file_bytes) FROM series");
    wait_until(|| read() == files.len() as i64);
    let peak = running.peak_memory();
    running.kill();
    let counts = sandbox.database().numbers("SELECT bar_count FROM series WHERE timeframe = '1m'");
    assert_eq!(counts, [rows; 4]);
    if let Some(peak) = peak {
        assert!(peak < MOST, "{peak} bytes");
    }
}
