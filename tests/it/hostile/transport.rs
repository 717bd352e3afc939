//! What goes wrong before there is a body to read: connections, heads, lengths, packings, redirects.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::{Cases, run, with_head};
use crate::support::market::{Market, PolygonAsk, polygon_body, row};
use crate::support::server::{Answer, Reply, Request, Server};
use crate::support::{AS_OF, DAILY, KEY, Sandbox, daily_sessions, group, polygon};

/// The answer as it should come.
fn good(request: &Request) -> String {
    let ask = PolygonAsk::of(request).expect("aggregates");
    let results = daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
    polygon_body(&ask.symbol, results, None).to_string()
}

/// `bytes`, packed.
fn packed(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn gzip(body: impl Into<Vec<u8>>) -> Answer {
    Answer::Whole(Reply::new(200, body).with("content-encoding", "gzip"))
}

#[test]
fn connections_that_break_are_network_and_silence_is_timeout() {
    let mut cases = Cases::default();
    cases.always("reset at once", "network", Answer::Reset);
    for bytes in [0, 1, 100] {
        let name = format!("reset after {bytes} bytes of the body");
        cases.add(name, "network", move |request| {
            Answer::ResetWithin(Reply::new(200, good(request)), bytes)
        });
        let name = format!("closed after {bytes} bytes of the body");
        cases.add(name, "network", move |request| {
            Answer::Cut(Reply::new(200, good(request)), bytes)
        });
    }
    cases.always("closed without a word", "network", Answer::raw(""));
    cases.always("closed within the head", "network", Answer::raw("HTTP/1.1 200 OK\r\nx-a"));
    cases.slow("silence", Answer::Hang);
    cases.slow("a body that stops", Answer::Stall(Reply::new(200, "{\"status\":\"OK\"}"), 5));
    cases.slow(
        "a body that drips",
        Answer::drip("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", " "),
    );
    cases.slow(
        "chunks that drip",
        Answer::drip("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\n \r\n"),
    );
    cases.slow("headers that drip", Answer::drip("HTTP/1.1 200 OK\r\nx: ", "a"));
    cases.slow("a status line that drips", Answer::drip("HTTP/1.1 200 O", "K"));
    cases.slow("to be continued, slowly", Answer::drip("", "HTTP/1.1 100 Continue\r\n\r\n"));
    cases.slow("an error that drips", Answer::drip("HTTP/1.1 500 No\r\n\r\n", "x"));
    run(cases);
}

#[test]
fn heads_that_are_no_http_are_network() {
    let mut cases = Cases::default();
    let heads: &[(&str, &str)] = &[
        ("no status line", "ABRACADABRA\r\n\r\n"),
        ("no version", "HTTP/ 200 OK\r\n\r\n"),
        ("a version to come", "HTTP/9.9 200 OK\r\n\r\n"),
        ("a status of letters", "HTTP/1.1 abc OK\r\n\r\n"),
        ("a status of two digits", "HTTP/1.1 99 OK\r\n\r\n"),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
        ("a status below 100", "HTTP/1.1 000 OK\r\n\r\n"),
        ("a header without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
        ("a header without a name", "HTTP/1.1 200 OK\r\n: x\r\n\r\n"),
        ("a NUL in a header", "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n"),
        ("an escape in a header", "HTTP/1.1 200 OK\r\nx: \u{1b}[2J\r\n\r\n"),
        ("a space in a name", "HTTP/1.1 200 OK\r\nx y: a\r\n\r\n"),
        ("a folded header", "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}}"),
        ("a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"),
        ("a length in words", "HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\n{}"),
        (
            "a length beyond numbers",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n{}",
        ),
        (
            "a chunk of no size",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        ),
        (
            "a chunk beyond numbers",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}",
        ),
        (
            "a chunk without an end",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}XX",
        ),
        (
            "chunks without a last one",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        ),
    ];
    for (name, head) in heads {
        cases.always(*name, "network", Answer::raw(head));
    }
    cases.always(
        "a long header",
        "network",
        Answer::raw(with_head(&format!("200 OK\r\nx: {}", "x".repeat(1 << 20)), "{}")),
    );
    let many: String = (0..500).map(|number| format!("\r\nx-{number}: y")).collect();
    cases.always("many headers", "network", Answer::raw(with_head(&format!("200 OK{many}"), "{}")));
    cases.always(
        "headers without end",
        "network",
        Answer::endless("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
    );
    cases.always(
        "a header without end",
        "network",
        Answer::endless("HTTP/1.1 200 OK\r\nx: ", "y".repeat(999)),
    );
    cases.always(
        "a chunk's remark without end",
        "network",
        Answer::endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;", "y".repeat(999)),
    );
    run(cases);
}

#[test]
fn lengths_that_are_not_the_bodys() {
    let mut cases = Cases::default();
    cases.add("longer than the body", "network", |request| {
        let body = good(request);
        let head = format!("200 OK\r\ncontent-length: {}", body.len() + 1);
        Answer::raw(with_head(&head, body))
    });
    cases.add("shorter than the body", "malformed", |request| {
        let body = good(request);
        let head = format!("200 OK\r\ncontent-length: {}", body.len() / 2);
        Answer::raw(with_head(&head, body))
    });
    cases.add("cut with a length to match", "malformed", |request| {
        let body = good(request);
        Answer::ok(&body.as_bytes()[..body.len() - 1])
    });
    cases.always(
        "none at all",
        "malformed",
        Answer::raw(with_head("200 OK\r\ncontent-length: 0", "")),
    );
    for length in ["16777217", "1000000000000000", "9223372036854775807"] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        cases.always(
            format!("{length} bytes"),
            "too_large",
            Answer::endless(head, "x".repeat(4_096)),
        );
    }
    let body = "x".repeat(1 << 16);
    let chunk = format!("10000\r\n{body}\r\n");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    cases.always("chunks without end", "too_large", Answer::endless(chunked, chunk));
    cases.always(
        "a body without end",
        "too_large",
        Answer::endless("HTTP/1.1 200 OK\r\n\r\n", &body),
    );
    cases.always(
        "an error without end",
        "too_large",
        Answer::endless("HTTP/1.1 404 No\r\n\r\n", &body),
    );
    run(cases);
}

#[test]
fn packings_that_lie() {
    let mut cases = Cases::default();
    cases.add("plain for gzip", "malformed", |request| gzip(good(request)));
    cases.always("nothing for gzip", "malformed", gzip(""));
    cases.add("gzip that is cut", "malformed", |request| {
        let whole = packed(good(request));
        gzip(&whole[..whole.len() / 2])
    });
    cases.add("gzip without its end", "malformed", |request| {
        let whole = packed(good(request));
        gzip(&whole[..whole.len() - 8])
    });
    cases.add("gzip with a bit flipped", "malformed", |request| {
        let mut whole = packed(good(request));
        let middle = whole.len() / 2;
        whole[middle] ^= 0x55;
        gzip(whole)
    });
    cases.add("gzip with another sum", "malformed", |request| {
        let mut whole = packed(good(request));
        let sum = whole.len() - 8;
        whole[sum] ^= 1;
        gzip(whole)
    });
    cases.add("gzip in gzip", "malformed", |request| gzip(packed(packed(good(request)))));
    cases.add("gzip that breaks off", "network", |request| {
        let reply = Reply::new(200, packed(good(request))).with("content-encoding", "gzip");
        Answer::Cut(reply, 60)
    });
    for packing in ["br", "deflate", "zstd", "gzip, gzip", "GZIP", "nonsense"] {
        cases.add(format!("packed as {packing}"), "malformed", move |request| {
            Answer::Whole(Reply::new(200, good(request)).with("content-encoding", packing))
        });
    }
    let nothing = packed("").repeat(100);
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    cases.always("gzip of nothing, for ever", "network", Answer::endless(head, nothing));
    run(cases);
}

#[test]
fn statuses_that_are_no_answer() {
    let mut cases = Cases::default();
    for status in [201, 202, 203, 205, 206, 226, 299, 300, 305, 399, 600, 777, 999] {
        cases.add(status.to_string(), "malformed", move |request| {
            Answer::status(status, good(request))
        });
    }
    cases.always("204", "malformed", Answer::raw(with_head("204 None", "")));
    cases.always("304", "malformed", Answer::raw(with_head("304 Same\r\netag: \"a\"", "")));
    cases.always(
        "101",
        "malformed",
        Answer::raw("HTTP/1.1 101 Other\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    );
    let refusals = [
        (400, "bad_request"),
        (402, "bad_request"),
        (405, "bad_request"),
        (422, "bad_request"),
        (403, "not_entitled"),
        (451, "not_entitled"),
        (404, "not_found"),
        (410, "not_found"),
        (408, "timeout"),
        (413, "server"),
        (499, "server"),
        (500, "server"),
        (502, "server"),
        (504, "server"),
        (520, "server"),
        (599, "server"),
    ];
    for (status, kind) in refusals {
        let page = "<html>\u{e9} \u{1b}[2J</html>".as_bytes().to_vec();
        cases.always(format!("{status} as a page"), kind, Answer::status(status, page));
        let garbage = Answer::status(status, b"\xff\xfe\x00garbage".to_vec());
        cases.always(format!("{status} in no letters"), kind, garbage);
    }
    run(cases);
}

#[test]
fn redirects_stay_within_the_origin_and_end() {
    let stranger = Server::start(|_| Answer::ok(r#"{"status":"OK","resultsCount":0}"#));
    let elsewhere = stranger.url();
    let to = |status, place: String| {
        move |_: &Request| Answer::Whole(Reply::new(status, "").with("location", &place))
    };
    let mut cases = Cases::default();
    for status in [301, 302, 303, 307, 308] {
        cases.add(
            format!("{status} elsewhere"),
            "malformed",
            to(status, format!("{elsewhere}/v2/x")),
        );
    }
    let port = elsewhere.trim_start_matches("http://127.0.0.1:").to_owned();
    for place in [
        format!("//127.0.0.1:{port}/x"),
        format!("http://localhost:{port}/x"),
        format!("http://user:pass@127.0.0.1:{port}/x"),
        format!("http://127.0.0.1:{port}\\@example.invalid/x"),
        format!("{elsewhere}/{KEY}"),
        format!("http://{KEY}.invalid/"),
        "https://127.0.0.1:9/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "data:application/json,{}".to_owned(),
        "javascript:alert(1)".to_owned(),
        "http://[::1".to_owned(),
        "http://".to_owned(),
        format!("/v2/x?apiKey={KEY}"),
        "/v2/x?apiKey=%73ekrit-4711-Zyxw".to_owned(),
        format!("/{}", KEY.to_uppercase()),
    ] {
        cases.add(format!("to {place}"), "malformed", to(302, place));
    }
    cases.always("to nowhere", "malformed", Answer::status(302, ""));
    cases.add("to itself", "malformed", |request| {
        Answer::Whole(Reply::new(302, "").with("location", request.target()))
    });
    cases.add("ever further", "malformed", |request| {
        Answer::Whole(Reply::new(302, "").with("location", format!("{}x", request.target())))
    });
    let run = run(cases);
    assert_eq!(stranger.requests().len(), 0, "the stranger was asked");
    let asked = run.server.requests().len();
    assert!(asked <= 2 + 22 + 2 * 5, "{asked} requests");
    for (symbol, (_, message)) in run.failures() {
        assert!(!message.contains("/v2/") && !message.contains("passwd"), "{symbol}: {message}");
    }
}

#[test]
fn a_redirect_within_the_origin_is_followed_with_the_key() {
    let mut cases = Cases::default();
    cases.add("moved within", super::NOTHING, |request| {
        if request.query.contains("moved") {
            assert!(request.header("authorization").is_some(), "the key was left behind");
            assert_eq!(request.header("referer"), None);
            return Answer::ok(json!({"status": "OK", "resultsCount": 0}).to_string());
        }
        let place = format!("{}&moved", request.target());
        Answer::Whole(Reply::new(307, "").with("location", place))
    });
    cases.always("another", "not_found", Answer::status(404, ""));
    run(cases);
}

#[test]
fn what_goes_to_this_machine_in_clear_goes_through_no_proxy() {
    let proxy = Server::start(|_| Answer::status(200, "{}"));
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY)));
    let mut command = sandbox.command(&["backfill", "--as-of", AS_OF]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env(name, proxy.url());
    }
    sandbox.finish(&mut command).expect_code(0);
    assert_eq!(proxy.requests().len(), 0);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
}
