//! Memory stays small, whatever is sent, to however many at once.

use flate2::{Compress, Compression, FlushCompress};

use super::{case_of, provider, symbol};
use crate::support::server::{Answer, Reply, Server};
use crate::support::{DAILY, Sandbox, group, wait_until};

/// The most that a run may take, in bytes.
const MOST: u64 = 150_000_000;

/// The longest body that is taken, in bytes.
const MAX_BODY: usize = 16 << 20;

/// A body of the longest length that begins so, and then goes on so. What comes behind its end would meet
/// whoever is asked for next on the same connection: here only memory counts.
fn long(first: &str, then: &str) -> Answer {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    let head = format!("{head}content-length: {MAX_BODY}\r\n\r\n{first}");
    Answer::endless(head, then.repeat(4_096))
}

/// A body of nearly the longest length: a beginning, a middle as often as it fits, an end.
fn filled(first: &str, middle: &str, end: &str) -> Answer {
    let times = (MAX_BODY - first.len() - end.len()) / middle.len();
    Answer::Whole(Reply::new(200, format!("{first}{}{end}", middle.repeat(times))))
}

/// A body that unpacks to as much as anybody cares to read.
fn bomb() -> Answer {
    let mut packed = Vec::with_capacity(1 << 16);
    // A flush begins anew, so that the same bytes may follow again and again.
    Compress::new(Compression::best(), false)
        .compress_vec(&vec![b' '; 1 << 20], &mut packed, FlushCompress::Full)
        .expect("it packs");
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    Answer::endless([&head[..], &gzip].concat(), packed)
}

/// What each symbol is answered, and how it fails.
fn answers() -> Vec<(Answer, &'static str)> {
    let rows = r#"{"status":"OK","results":["#;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let quick = [
        (Answer::endless(head, chunk), "too_large"),
        (bomb(), "too_large"),
        (long(rows, "1,"), "malformed"),
        (long(rows, "NaN,"), "malformed"),
        (long("", "["), "malformed"),
        (filled(r#"{"status":"OK","next_url":"/"#, "é", r#""}"#), "malformed"),
    ];
    let slower = [
        (long(rows, r#"{"t":1,"o":1,"h":1,"l":1,"c":1},"#), "malformed"),
        (filled(rows, "{\"t\":1,\"o\":\"\u{85}\u{85}\"},", "{}]}"), "malformed"),
        (filled(r#"{"status":"ERROR","error":""#, r"\u001b", r#""}"#), "bad_request"),
        (filled(r#"{"status":"OK","results":[{"t":1,"o":"#, "1", "}]}"), "validation"),
        (refused_rows(), "validation"),
        (refused_rows(), "validation"),
    ];
    [quick.clone(), quick.clone(), slower, quick].concat()
}

/// As many rows as a page may have, none of which can be true.
fn refused_rows() -> Answer {
    let row = r#"{"t":1708405200000,"o":0,"h":0,"l":0,"c":0}"#;
    let rows = vec![row; 100_000].join(",");
    Answer::ok(format!(r#"{{"status":"OK","results":[{rows}]}}"#))
}

#[test]
fn a_run_stays_small_whatever_is_sent() {
    let answers = answers();
    let kinds: Vec<&str> = answers.iter().map(|(_, kind)| *kind).collect();
    let server = Server::start(move |request| match case_of(request) {
        Some(index) => answers[index].0.clone(),
        None => Answer::Hang,
    });
    let hostile = kinds.len();
    let mut symbols: Vec<String> = (0..hostile).map(symbol).collect();
    // Asked for last, and never answered, so that the run is still there to be looked at.
    symbols.push("LAST".to_owned());
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let config = "[run]\nstagger = \"0s\"\n".to_owned()
        + &provider("p", "polygon", &server.url(), "10m")
        + &group("p", "stock", &symbols, DAILY);
    let sandbox = Sandbox::with(&config);
    let running = sandbox.start(&["backfill", "--as-of", "2024-03-15", "--parallel", "10"]);
    server.wait_for(hostile + 1);
    let failed = || sandbox.database().number("SELECT count(*) FROM failures");
    wait_until(|| failed() == hostile as i64);
    let peak = running.peak_memory();
    running.kill();
    let sql = "SELECT error_kind FROM failures ORDER BY symbol";
    assert_eq!(sandbox.database().texts(sql), kinds);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 0);
    if let Some(peak) = peak {
        assert!(peak < MOST, "{peak} bytes");
    }
}
