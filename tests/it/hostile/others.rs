//! The other providers: what each of them may be sent in its own shape.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Cases, NOTHING, Run, SECOND, case_of, provider, symbol};
use crate::support::market::{HOUR, Row, instant, rfc3339, row, rows};
use crate::support::server::{Answer, Request, Server};
use crate::support::{KEY, Sandbox, group};

const AS_OF: &str = "2024-03-14T12:00:00Z";

const KINDS: [&str; 5] = ["alpaca", "binance", "coinbase", "kraken", "yahoo"];

/// The hours that are asked for.
fn hours() -> Vec<i64> {
    let end = instant(AS_OF);
    (1..=6).rev().map(|back| end - back * HOUR).collect()
}

/// The answer of a provider of that kind about `symbol`, as it should come.
fn good(kind: &str, symbol: &str) -> Value {
    let rows = rows(&hours());
    let text = |price: f64| Value::from(price.to_string());
    let column = |of: fn(&Row) -> f64| -> Vec<f64> { rows.iter().map(of).collect() };
    match kind {
        "alpaca" => {
            let bar = |row: &Row| {
                json!({"t": rfc3339(row.ts), "o": row.open, "h": row.high, "l": row.low,
                       "c": row.close, "v": row.volume, "n": row.trades, "vw": row.vwap})
            };
            json!({"bars": {symbol: rows.iter().map(bar).collect::<Vec<_>>()}, "next_page_token": null})
        }
        "binance" => rows.iter().map(|row| crate::support::market::kline(row, HOUR)).collect(),
        "coinbase" => {
            let bar =
                |row: &Row| json!([row.ts, row.low, row.high, row.open, row.close, row.volume]);
            rows.iter().rev().map(bar).collect()
        }
        "kraken" => {
            let bar = |row: &Row| {
                let prices =
                    [row.open, row.high, row.low, row.close, row.vwap, row.volume].map(text);
                let [open, high, low, close, vwap, volume] = prices;
                json!([row.ts, open, high, low, close, vwap, volume, row.trades])
            };
            let bars: Vec<Value> = rows.iter().map(bar).collect();
            json!({"error": [], "result": {symbol: bars, "last": instant(AS_OF)}})
        }
        _ => {
            let quote = json!([{ "open": column(|row| row.open), "high": column(|row| row.high),
                "low": column(|row| row.low), "close": column(|row| row.close),
                "volume": column(|row| row.volume) }]);
            let meta =
                json!({"symbol": symbol, "exchangeTimezoneName": "UTC", "dataGranularity": "1h"});
            json!({"chart": {"error": null, "result": [
                { "meta": meta, "timestamp": hours(), "indicators": { "quote": quote } }]}})
        }
    }
}

/// The provider that a request is worded for, and the symbol in it.
fn asked(request: &Request) -> (&'static str, String) {
    let parameter = |name| request.parameter(name).unwrap_or_default().to_owned();
    let segment = |nth| request.path.split('/').nth(nth).unwrap_or_default().to_owned();
    match request.path.split('/').nth(1) {
        Some("v1beta3") => ("alpaca", parameter("symbols")),
        Some("api") => ("binance", parameter("symbol")),
        Some("products") => ("coinbase", segment(2)),
        Some("0") => ("kraken", parameter("pair")),
        _ => ("yahoo", segment(4)),
    }
}

/// A run over hours of crypto pairs, in which the cases of each provider get their answers, and one
/// symbol of each has no trouble.
#[track_caller]
fn run(of_kind: Vec<(&'static str, Cases)>) -> Run {
    let mut all = Cases::default();
    let mut symbols = Vec::new();
    for (kind, cases) in of_kind {
        let first = all.0.len();
        all.0.extend(cases.0);
        symbols.push((kind, (first..all.0.len()).map(symbol).collect::<Vec<_>>()));
    }
    let all = Arc::new(all);
    let answering = Arc::clone(&all);
    let server = Server::start(move |request| match case_of(request) {
        Some(index) => (answering.0[index].answer)(request),
        None => {
            let (kind, symbol) = asked(request);
            Answer::ok(good(kind, &symbol).to_string())
        }
    });
    let mut config = "[run]\nstagger = \"0s\"\n".to_owned();
    let mut untroubled = Vec::new();
    for (kind, mut symbols) in symbols {
        untroubled.push(format!("GOOD{}", kind.to_uppercase().replace('H', "")));
        symbols.extend(untroubled.last().cloned());
        let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
        config += &provider(kind, kind, &server.url(), "30s");
        let hourly = "timeframes = [\"1h\"]\nlookback = { \"1h\" = \"6h\" }";
        config += &group(kind, "crypto", &symbols, hourly).replace("cryptos", kind);
    }
    let sandbox = Sandbox::with(&config);
    let mut command = sandbox.command(&["backfill", "--as-of", AS_OF, "--parallel", "10"]);
    let output = sandbox.finish(command.env("SECOND", SECOND));
    let run = Run { server, sandbox, output };
    run.output.expect_code(1);
    all.expect(&run);
    let untroubled: Vec<&str> = untroubled.iter().map(String::as_str).collect();
    run.expect_clean(&untroubled);
    for symbol in untroubled {
        assert_eq!(run.sandbox.database().times(symbol, "1h"), hours(), "{symbol}");
    }
    run
}

#[test]
fn no_provider_takes_what_is_no_answer() {
    let mut of_kind = Vec::new();
    for kind in KINDS {
        // The others have no key that they could repeat.
        let (key, second) = if kind == "alpaca" { (KEY, SECOND) } else { ("key", "half") };
        let mut cases = Cases::default();
        for text in
            ["", "<html>", "17", "null", "\"OK\"", "[", "[1,2", "{\"", "[[]]", "[null]", "[{}]"]
        {
            cases.always(format!("{kind}: {text}"), "malformed", Answer::ok(text));
        }
        for open in ["[", "{\"result\":", "{\"chart\":{\"result\":[", "{\"bars\":{\"X\":["] {
            let body = open.repeat(100_000);
            cases.always(format!("{kind}: {open} without end"), "malformed", Answer::ok(body));
        }
        cases.always(format!("{kind}: no text"), "malformed", Answer::ok(b"\xff[1]".to_vec()));
        cases.add(format!("{kind}: cut"), "malformed", move |request| {
            let body = good(kind, &asked(request).1).to_string();
            Answer::ok(&body.as_bytes()[..body.len() - 2])
        });
        cases.add(format!("{kind}: twice"), "malformed", move |request| {
            Answer::ok(good(kind, &asked(request).1).to_string().repeat(2))
        });
        for (status, expected) in
            [(204, "malformed"), (302, "malformed"), (404, "not_found"), (500, "server")]
        {
            for text in
                [format!("no {key}"), format!("{{\"message\":\"{second}\"}}"), "[]".to_owned()]
            {
                let answer =
                    Answer::status(status, if status == 204 { String::new() } else { text });
                cases.always(format!("{kind}: {status}"), expected, answer);
            }
        }
        of_kind.push((kind, cases));
    }
    run(of_kind);
}

#[test]
fn no_provider_stores_rows_that_cannot_be_true() {
    let mut of_kind = Vec::new();
    for kind in KINDS {
        let mut cases = Cases::default();
        for nasty in
            ["1e999", "-1", "null", "\"x\"", "\"\"", "[]", "{}", "[[[[]]]]", "true", "\"1e999\""]
        {
            // Yahoo's nulls are rows without trades.
            let expected = if (kind, nasty) == ("yahoo", "null") { NOTHING } else { "validation" };
            cases.add(format!("{kind}: {nasty} for a high"), expected, move |request| {
                let body = good(kind, &asked(request).1).to_string();
                let spoiled = hours().iter().fold(body, |body, ts| {
                    let high = row(*ts).high;
                    [format!("\"{high:.8}\""), format!("\"{high}\""), format!("{high:?}")]
                        .iter()
                        .fold(body, |body, high| body.replace(high, nasty))
                });
                Answer::ok(spoiled)
            });
        }
        of_kind.push((kind, cases));
    }
    run(of_kind);
}

#[test]
fn answers_for_another_and_names_that_are_repeated() {
    let mut alpaca = Cases::default();
    alpaca.add("another symbol", "malformed", |_| Answer::ok(good("alpaca", "OTHER").to_string()));
    alpaca.add("another symbol besides", "malformed", |request| {
        let mut body = good("alpaca", &asked(request).1);
        body["bars"]["OTHER"] = json!([]);
        Answer::ok(body.to_string())
    });
    alpaca.add("its rows twice", "malformed", |request| {
        let name = asked(request).1;
        let rows = good("alpaca", &name)["bars"][&name].to_string();
        Answer::ok(format!(r#"{{"bars":{{"{name}":{rows},"{name}":{rows}}}}}"#))
    });
    for token in [
        KEY.to_owned(),
        SECOND.to_uppercase(),
        "other%2Dhalf%2D0815".to_owned(),
        "x".repeat(9_000),
        "x".repeat(1 << 20),
    ] {
        let name: String = token.chars().take(20).collect();
        alpaca.add(format!("the token {name}"), "malformed", move |request| {
            let mut body = good("alpaca", &asked(request).1);
            body["next_page_token"] = json!(token);
            Answer::ok(body.to_string())
        });
    }
    alpaca.add("the key in a row", "validation", |request| {
        let name = asked(request).1;
        let rows: Vec<Value> = hours()
            .iter()
            .map(|ts| json!({"t": rfc3339(*ts), "o": SECOND, "h": KEY, "l": 1, "c": 1, "v": 1}))
            .collect();
        Answer::ok(json!({"bars": {name: rows}}).to_string())
    });
    let many: String = (0..2_000).map(|number| format!("\"X{number}\":[],")).collect();
    let names = format!("{{\"bars\":{{{many}\"Y\":[]}}}}");
    alpaca.always("many names", "malformed", Answer::ok(names));

    let mut kraken = Cases::default();
    kraken.add("another pair", "malformed", |_| Answer::ok(good("kraken", "XXBTZUSD").to_string()));
    for last in [json!(null), json!("soon"), json!([]), json!(1e300), json!(-1.5)] {
        kraken.add(format!("the last is {last}"), "malformed", move |request| {
            let mut body = good("kraken", &asked(request).1);
            body["result"]["last"] = last.clone();
            Answer::ok(body.to_string())
        });
    }
    kraken.add("its rows twice", "malformed", |request| {
        let name = asked(request).1;
        Answer::ok(format!(r#"{{"error":[],"result":{{"{name}":[],"{name}":[],"last":1}}}}"#))
    });
    let errors = json!({"error": vec!["EGeneral:\u{1b}[2J"; 900]});
    kraken.always("many errors", "bad_request", Answer::ok(errors.to_string()));
    let errors = json!({"error": vec![""; 9_000]});
    kraken.always("more errors", "malformed", Answer::ok(errors.to_string()));
    kraken.always("an error of another kind", "malformed", Answer::ok(r#"{"error":{"a":1}}"#));

    let mut yahoo = Cases::default();
    let mut spoil = |name: &str, pointer: &'static str, value: Value| {
        yahoo.add(name, "malformed", move |request| {
            let mut body = good("yahoo", &asked(request).1);
            *body.pointer_mut(pointer).expect("it is there") = value.clone();
            Answer::ok(body.to_string())
        });
    };
    spoil("another symbol", "/chart/result/0/meta/symbol", json!("OTHER"));
    spoil("another timeframe", "/chart/result/0/meta/dataGranularity", json!("1d"));
    spoil("no result", "/chart/result", json!([]));
    spoil(
        "many results",
        "/chart/result",
        json!(vec![json!({"meta": {}, "indicators": {"quote": []}}); 900]),
    );
    spoil("no stamps", "/chart/result/0/timestamp", json!([]));
    spoil("stamps beyond numbers", "/chart/result/0/timestamp/0", json!(1e300));
    spoil("a stamp for many", "/chart/result/0/timestamp", json!([1]));
    spoil("columns of another length", "/chart/result/0/indicators/quote/0/open", json!([1]));
    spoil("no prices", "/chart/result/0/indicators/quote", json!([]));
    spoil("many prices", "/chart/result/0/indicators/quote", json!(vec![json!({}); 9_000]));
    spoil("an error of another kind", "/chart/error", json!(17));

    let mut binance = Cases::default();
    for code in ["-1121", "0", "9223372036854775807", "1e999", "\"x\"", "null"] {
        let kind = match code {
            "-1121" => "not_found",
            "9223372036854775807" => "bad_request",
            _ => "malformed",
        };
        let body = format!("{{\"code\":{code},\"msg\":\"\\u001b[2J{}\"}}", "y".repeat(9_000));
        binance.always(format!("code {code}"), kind, Answer::ok(body));
    }
    let mut coinbase = Cases::default();
    for (words, kind) in
        [("NotFound", "not_found"), ("\u{1b}[2J", "bad_request"), ("", "malformed")]
    {
        coinbase.always(words, kind, Answer::ok(json!({ "message": words }).to_string()));
    }
    let of_kind = vec![
        ("alpaca", alpaca),
        ("kraken", kraken),
        ("yahoo", yahoo),
        ("binance", binance),
        ("coinbase", coinbase),
    ];
    run(of_kind);
}

#[test]
fn a_page_of_binance_that_never_ends_is_given_up() {
    // Full pages, each of which goes on a second behind the last one.
    let server = Server::start(|request| {
        let start: i64 =
            request.parameter("startTime").expect("a start").parse().expect("a number");
        let row = |second: i64| {
            let mut line = crate::support::market::kline(&row(0), HOUR);
            line[0] = json!(start + second * 1_000);
            line
        };
        Answer::ok(Value::from((0..2).map(row).collect::<Vec<_>>()).to_string())
    });
    let config = provider("b", "binance", &server.url(), "30s")
        + "page_limit = 2\n"
        + &group(
            "b",
            "crypto",
            &["BTCUSDT"],
            "timeframes = [\"1h\"]\nlookback = { \"1h\" = \"30d\" }",
        );
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at(AS_OF, &[]).expect_code(2);
    assert!(server.requests().len() < 1_000, "{} requests", server.requests().len());
}
