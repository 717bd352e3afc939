//! Files packed by gzip.

use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::order::minutes;
use super::{csv, folder, one_file, put, refused};
use crate::support::market::{rows, sessions};
use crate::support::{Sandbox, daily_sessions};

/// A text as a packed file.
pub(super) fn packed(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_ref()).expect("it packs");
    encoder.finish().expect("it packs")
}

/// Whether a file is on record as read to its end.
fn is_read(sandbox: &Sandbox) -> bool {
    sandbox.database().number("SELECT count(file_bytes) FROM series") == 1
}

#[test]
fn a_packed_file_is_read_where_there_is_no_plain_one() {
    let sandbox = folder(&["AAA"], &[]);
    let text = csv(&rows(&daily_sessions())) + "2024-01-02,nothing\n";
    put(&sandbox, "AAA_1d.csv.gz", packed(text));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
    assert_eq!(refused(&sandbox), ["invalid_number 23"], "counted in the unpacked text");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM fetch_log"), 1, "it is as it was");

    let more = csv(&rows(&sessions("2024-01-02", "2024-03-15")));
    sandbox.write("data/AAA_1d.csv.gz", packed(more));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d"), sessions("2024-01-02", "2024-03-15"));
}

#[test]
fn packed_files_one_behind_the_other_are_one_file() {
    let sandbox = folder(&["AAA"], &[]);
    let text = csv(&rows(&daily_sessions()));
    let (first, second) = text.split_at(text.len() / 2);
    put(&sandbox, "AAA_1d.csv.gz", [packed(first), packed(second)].concat());
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
}

#[test]
fn of_a_plain_and_a_packed_file_the_plain_one_is_read() {
    let sandbox = folder(&["AAA"], &[]);
    put(&sandbox, "AAA_1d.csv.gz", packed(csv(&rows(&sessions("2024-01-02", "2024-01-31")))));
    put(&sandbox, "AAA_1d.csv", csv(&rows(&daily_sessions())));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
    // The plain one gone, the packed one is another file.
    fs::remove_file(sandbox.path("data/AAA_1d.csv")).expect("it goes");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d")[0], sessions("2024-01-02", "2024-01-31")[0]);
}

#[test]
fn a_damaged_packed_file_fails_and_is_read_again_when_it_is_mended() {
    let text = minutes(0..20_000);
    let whole = packed(&text);
    let mut flipped = whole.clone();
    let middle = flipped.len() * 9 / 10;
    flipped[middle..middle + 64].fill(0xAA);
    let cut = whole[..whole.len() * 9 / 10].to_vec();
    let no_gzip = text.clone().into_bytes();
    let behind = [whole.clone(), b"rubbish".to_vec()].concat();
    let damaged = [
        ("cut off", cut),
        ("flipped", flipped),
        ("plain", no_gzip),
        ("empty", Vec::new()),
        ("rubbish behind", behind),
    ];
    for (what, damaged) in damaged {
        let sandbox = one_file("crypto", "BTCUSDT", "1m", "BTCUSDT_1m.csv.gz", damaged);
        sandbox.backfill(&[]).expect_code(2).expect_stderr("BTCUSDT_1m.csv.gz");
        let database = sandbox.database();
        assert_eq!(database.texts("SELECT error_kind FROM failures"), ["malformed"], "{what}");
        assert_eq!(
            database.number("SELECT count(*) FROM bars"),
            0,
            "{what}: who knows what is true"
        );
        assert!(!is_read(&sandbox), "{what}");

        put(&sandbox, "BTCUSDT_1m.csv.gz", &whole);
        sandbox.backfill(&[]).expect_code(0);
        assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 20_000, "{what}");
        assert!(is_read(&sandbox), "{what}");
        assert_eq!(sandbox.database().number("SELECT count(*) FROM rejected_bars"), 0, "{what}");
    }
}

#[test]
fn a_line_without_end_fails_its_file() {
    let header = "ts,open,high,low,close\n";
    for (what, text) in [
        ("a row", header.to_owned() + &"9".repeat(32 << 20)),
        ("a quote", header.to_owned() + "\"" + &"1,".repeat(1 << 20)),
        ("a header", "ts,".repeat(1 << 20)),
    ] {
        for (name, file) in
            [("BTCUSDT_1h.csv", text.clone().into_bytes()), ("BTCUSDT_1h.csv.gz", packed(&text))]
        {
            let sandbox = one_file("crypto", "BTCUSDT", "1h", name, file);
            sandbox.backfill(&[]).expect_code(2).expect_stderr("longer than 65536 bytes");
            let kinds = sandbox.database().texts("SELECT error_kind FROM failures");
            assert_eq!(kinds, ["malformed"], "{what} {name}");
        }
    }
}
