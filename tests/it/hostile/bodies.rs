//! Bodies that came whole and cannot be what was asked for.

use serde_json::{Value, json};

use super::{Cases, NOTHING, run};
use crate::support::market::{PolygonAsk, polygon_body, row};
use crate::support::server::{Answer, Request};
use crate::support::{KEY, daily_sessions};

/// The answer as it should come, but for what `change` makes of it.
fn changed(request: &Request, change: impl FnOnce(&mut Value)) -> Answer {
    let ask = PolygonAsk::of(request).expect("aggregates");
    let results = daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
    let mut body = polygon_body(&ask.symbol, results, None);
    change(&mut body);
    Answer::ok(body.to_string())
}

/// An answer whose rows are all `text`, in which `@` stands for the row's time.
fn rows_of(request: &Request, text: &str) -> Answer {
    let ask = PolygonAsk::of(request).expect("aggregates");
    let row = |ts: &i64| text.replace('@', &ask.stamp(*ts).to_string());
    let rows: Vec<String> = daily_sessions().iter().map(row).collect();
    Answer::ok(format!(
        r#"{{"ticker":"{}","status":"OK","adjusted":false,"results":[{}]}}"#,
        ask.symbol,
        rows.join(",")
    ))
}

#[test]
fn bodies_that_are_no_json_are_malformed() {
    let mut cases = Cases::default();
    let texts: &[&str] = &[
        "",
        " \r\n\t ",
        "\0\0\0\0",
        "OK",
        "\u{feff}{\"status\":\"OK\"}",
        "<html><title>Just a moment...</title></html>",
        "<?xml version=\"1.0\"?><error/>",
        "{\"status\":\"OK\"",
        "{\"status\":\"OK\",}",
        "{\"status\":\"OK\"}{\"status\":\"OK\"}",
        "{'status':'OK'}",
        "{\"status\":\"\\ud800\"}",
        "{\"status\":\"O\nK\"}",
        "{\"status\":\"OK\",\"resultsCount\":NaN}",
        "{\"status\":\"OK\",\"status\":\"OK\"}",
        "{\"status\":\"OK\",\"results\":[],\"results\":[]}",
        "{\"status\":\"OK\",\"ticker\":\"X\",\"\\u0074icker\":\"X\"}",
        "while(1);{\"status\":\"OK\"}",
        "callback({\"status\":\"OK\"})",
    ];
    for text in texts {
        cases.always(format!("{text:?}"), "malformed", Answer::ok(*text));
    }
    let bytes: &[&[u8]] = &[
        b"\xff\xfe{\x00}\x00",
        b"{\"status\":\"\xc3\x28\"}",
        b"{\"status\":\"OK\",\"x\":\"\xed\xa0\x80\"}",
        b"{\"status\":\"OK\",\"x\":\"\xf8\x88\x80\x80\x80\"}",
        b"\x1f\x8b\x08\x00\x00",
    ];
    for bytes in bytes {
        cases.always(format!("{bytes:?}"), "malformed", Answer::ok(*bytes));
    }
    for (name, open) in [("lists", "["), ("objects", "{\"results\":"), ("rows", "[{\"t\":")] {
        let deep = open.repeat(300_000);
        cases.always(format!("{name} without end"), "malformed", Answer::ok(deep.clone()));
        for place in ["results", "status", "next_url", "other"] {
            let body = format!("{{\"status\":\"OK\",\"{place}\":{deep}");
            cases.always(format!("{name} without end in {place}"), "malformed", Answer::ok(body));
        }
    }
    let closed = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for place in ["results", "ticker", "adjusted"] {
        let body = format!("{{\"status\":\"OK\",\"{place}\":{closed}}}");
        cases.always(format!("deep {place}"), "malformed", Answer::ok(body));
    }
    cases.add("deep rows", "malformed", move |request| rows_of(request, &closed));
    run(cases);
}

#[test]
fn envelopes_that_contradict_what_was_asked_are_malformed() {
    let mut cases = Cases::default();
    let mut set = |field: &'static str, values: Vec<Value>| {
        for value in values {
            let name =
                format!("{field} = {}", value.to_string().chars().take(60).collect::<String>());
            let value = std::sync::Mutex::new(value);
            cases.add(name, "malformed", move |request| {
                let value = value.lock().expect("no panic before").clone();
                changed(request, |body| body[field] = value)
            });
        }
    };
    let long = || json!("x".repeat(1 << 20));
    set("ticker", vec![json!("AAA"), json!(""), json!(7), json!("\u{1b}[2J"), json!(KEY), long()]);
    set(
        "status",
        vec![json!("FINE"), json!(200), json!(null), json!("\u{202e}KO"), json!(KEY), long()],
    );
    set(
        "resultsCount",
        vec![json!(0), json!(22), json!(-1), json!(1.5), json!("21"), json!(u64::MAX)],
    );
    set(
        "results",
        vec![json!(null), json!("none"), json!({}), json!(21), json!([[1, 2]]), json!([{}])],
    );
    set("adjusted", vec![json!("no"), json!(0)]);
    set("next_url", vec![json!(1), json!([]), json!(""), json!("/"), long()]);
    cases.always("an error without words", "bad_request", Answer::ok(r#"{"status":"ERROR"}"#));
    cases.always("no status", "malformed", Answer::ok(r#"{"results":[]}"#));
    for body in ["[]", "null", "17", "\"OK\"", "true"] {
        cases.always(body, "malformed", Answer::ok(body));
    }
    run(cases);
}

#[test]
fn rows_that_cannot_be_true_are_never_stored() {
    let mut cases = Cases::default();
    let rows = [
        ("a price beyond numbers", r#"{"t":@,"o":1e999,"h":1,"l":1,"c":1,"v":1}"#, "validation"),
        ("a price below numbers", r#"{"t":@,"o":-1e999,"h":1,"l":1,"c":1,"v":1}"#, "validation"),
        (
            "a price that is not a number",
            r#"{"t":@,"o":NaN,"h":1,"l":1,"c":1,"v":1}"#,
            "validation",
        ),
        ("an endless price", r#"{"t":@,"o":1,"h":Infinity,"l":1,"c":1,"v":1}"#, "validation"),
        ("a negative price", r#"{"t":@,"o":-1,"h":1,"l":-1,"c":1,"v":1}"#, "validation"),
        ("no price", r#"{"t":@,"o":0,"h":0,"l":0,"c":0,"v":0}"#, "validation"),
        ("a price twice", r#"{"t":@,"o":1,"o":1,"h":1,"l":1,"c":1,"v":1}"#, "validation"),
        ("a price in words", r#"{"t":@,"o":"one","h":1,"l":1,"c":1,"v":1}"#, "validation"),
        ("a price in a list", r#"{"t":@,"o":[1],"h":1,"l":1,"c":1,"v":1}"#, "validation"),
        ("high below low", r#"{"t":@,"o":1,"h":1,"l":2,"c":1,"v":1}"#, "validation"),
        ("a negative volume", r#"{"t":@,"o":1,"h":1,"l":1,"c":1,"v":-1}"#, "validation"),
        ("a volume beyond numbers", r#"{"t":@,"o":1,"h":1,"l":1,"c":1,"v":1e999}"#, "validation"),
        (
            "a price's escapes",
            r#"{"t":@,"o":"\u001b[2J\u202e","h":1,"l":1,"c":1,"v":1}"#,
            "validation",
        ),
        ("no time", r#"{"o":1,"h":1,"l":1,"c":1,"v":1}"#, "malformed"),
        ("a time twice", r#"{"t":@,"t":@,"o":1,"h":1,"l":1,"c":1,"v":1}"#, "malformed"),
        ("a time beyond numbers", r#"{"t":1e999,"o":1,"h":1,"l":1,"c":1,"v":1}"#, "malformed"),
        (
            "a time beyond integers",
            r#"{"t":99999999999999999999,"o":1,"h":1,"l":1,"c":1}"#,
            "malformed",
        ),
        ("a time in words", r#"{"t":"@","o":1,"h":1,"l":1,"c":1,"v":1}"#, "malformed"),
        ("a time in parts", r#"{"t":1.5,"o":1,"h":1,"l":1,"c":1,"v":1}"#, "malformed"),
        ("null for a row", "null", "malformed"),
        ("a list for a row", "[@,1,1,1,1,1]", "malformed"),
        ("no time that is", r#"{"t":-9223372036854775808,"o":1,"h":1,"l":1,"c":1}"#, NOTHING),
        ("the end of time", r#"{"t":9223372036854775807,"o":1,"h":1,"l":1,"c":1}"#, NOTHING),
        ("a time long ago", r#"{"t":-2208970800000,"o":1,"h":1,"l":1,"c":1}"#, NOTHING),
        ("a time to come", r#"{"t":4102444800000,"o":1,"h":1,"l":1,"c":1}"#, NOTHING),
    ];
    for (name, row, kind) in rows {
        cases.add(name, kind, move |request| rows_of(request, row));
    }
    for (name, price) in [
        ("the key for a price", format!("\"{KEY}\"")),
        ("the key for a price, escaped", "\"\\u0073ekrit-4711-Zyx\\u0077\"".to_owned()),
        ("the key for a price, far behind", format!("\"{}{KEY}\"", "x".repeat(460))),
    ] {
        let row = format!(r#"{{"t":@,"o":{price},"h":1,"l":1,"c":1,"v":1}}"#);
        cases.add(name, "validation", move |request| rows_of(request, &row));
    }
    run(cases);
}

#[test]
fn what_a_server_says_is_shown_without_the_key_and_short() {
    let mut cases = Cases::default();
    let texts = [
        KEY.to_owned(),
        format!("no such key {KEY}, {KEY}; try again"),
        KEY.to_uppercase(),
        "%73ekrit-4711-Zyxw and sekrit%2D4711%2DZyxw".to_owned(),
        format!("https://api.polygon.io/v2?apiKey={KEY}"),
        format!("{}{KEY}", "x".repeat(478)),
        format!("{}{KEY}", "x".repeat(484)),
        format!("{}{KEY}", "\u{1b}".repeat(80)),
        KEY.repeat(1_000),
        "\u{1b}[2J\u{7}\r\n\u{202e}\u{2066}txt\u{0}\u{9b}31m".to_owned(),
        "é\u{301}🦀".repeat(100_000),
        "\u{85}".repeat(9_000),
    ];
    for text in texts {
        let beginning: String = text.chars().take(40).collect();
        for field in ["error", "message"] {
            let body = json!({"status": "ERROR", field: text}).to_string();
            let name = format!("{beginning:?} as {field}");
            cases.always(format!("{name}, 404"), "not_found", Answer::status(404, body.clone()));
            cases.always(format!("{name}, 200"), "bad_request", Answer::ok(body));
        }
        let name = format!("{beginning:?} as text");
        cases.always(name, "server", Answer::status(500, text));
    }
    let escaped = r#"{"status":"ERROR","error":"\u0073\u0065\u006brit-4711-Zyxw is no key"}"#;
    cases.always("the key in escapes", "bad_request", Answer::status(400, escaped));
    run(cases);
}
