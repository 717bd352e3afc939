//! Pages whose next ones lead astray, round in circles, or on for ever.

use serde_json::Value;

use super::{Cases, run};
use crate::support::market::{DAY, HOUR, PolygonAsk, day, polygon_body, row};
use crate::support::server::{Answer, Request, Server};
use crate::support::{DAILY, KEY, Sandbox, daily_sessions, group, polygon};

/// A first page, and where the next one is said to be; `@` stands for the symbol.
fn page_with_next(request: &Request, next: &str) -> Answer {
    let ask = PolygonAsk::of(request).expect("aggregates");
    let results = daily_sessions().iter().take(3).map(|ts| ask.result(&row(*ts))).collect();
    let next = next.replace('@', &ask.symbol);
    Answer::ok(polygon_body(&ask.symbol, results, Some(next)).to_string())
}

#[test]
fn a_next_page_elsewhere_is_malformed_and_not_asked_for() {
    let stranger = Server::start(|_| Answer::status(404, "{}"));
    let host = stranger.url();
    let mut cases = Cases::default();
    let right = "/v2/aggs/ticker/@/range/1/day/1708405200000/2024-03-15";
    for next in [
        format!("{host}/v2/aggs/ticker/AAA/range/1/day/1708405200000/2024-03-15?cursor=x"),
        format!("{host}/v2/aggs/ticker/@/range/5/day/1708405200000/2024-03-15?cursor=x"),
        format!("{host}/v2/aggs/ticker/@/range/1/minute/1708405200000/2024-03-15?cursor=x"),
        format!("{host}/v2/aggs/ticker/@%2f..%2fAAA/range/1/day/1708405200000/2024-03-15"),
        format!("{host}/v2/aggs/ticker/@/range/1/day/../2024-03-15?cursor=x"),
        format!("{host}/v2/aggs/ticker/@/range/1/day/%2e%2e/2024-03-15?cursor=x"),
        format!("{host}/v2/aggs/ticker/@/range/1/day/1708405200000/2024-03-15/more?cursor=x"),
        format!("{host}//v2/aggs/ticker/@/range/1/day/1708405200000/2024-03-15?cursor=x"),
        format!("{host}/v2\\aggs/ticker/@/range/1/day/1708405200000/2024-03-15?cursor=x"),
        format!("{host}{right}?cursor=a b"),
        format!("{host}{right}?cursor=a\tb"),
        format!("{host}{right}?cursor=a\r\nx-more: b"),
        format!("{host}{right}?cursor=\u{202e}"),
        format!("{host}{right}?cursor={KEY}"),
        format!("{host}{right}?cursor=%73ekrit-4711-Zyxw"),
        format!("{host}{right}?{KEY}"),
        format!("{host}{right}?cursor={}", "x".repeat(5_000)),
        format!("{host}{right}?cursor={}", "x".repeat(1 << 20)),
        format!("{host}/{KEY}"),
        host.clone(),
        "javascript:alert(1)".to_owned(),
        "file:///etc/passwd".to_owned(),
        "x".to_owned(),
        "://".to_owned(),
        "/".repeat(100_000),
    ] {
        let name: String = next.chars().take(120).collect();
        cases.add(name, "malformed", move |request| page_with_next(request, &next));
    }
    let cases_in_all = cases.0.len();
    let run = run(cases);
    assert_eq!(stranger.requests().len(), 0, "the stranger was asked");
    assert_eq!(run.server.requests().len(), cases_in_all + 2, "nothing but first pages");
}

#[test]
fn a_key_among_the_parameters_of_a_next_page_is_left_out() {
    let stranger = Server::start(|_| Answer::status(404, "{}"));
    let host = stranger.url().replace("//", "//user:pass@");
    let names = ["apiKey", "APIKEY", "api%4Bey", "%61pikey"];
    for name in names {
        let next = format!(
            "{host}/v2/aggs/ticker/AAA/range/1/day/1708405200000/2024-03-15?{name}={KEY}&cursor=x#{KEY}"
        );
        let market = crate::support::market::Market::daily(&["AAA"], &daily_sessions());
        let server = Server::start(move |request| match request.parameter("cursor") {
            Some(_) => market.polygon(request),
            None => page_with_next(request, &next),
        });
        let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY);
        let sandbox = Sandbox::with(&config);
        sandbox.backfill(&[]).expect_code(0);
        assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
        assert!(!sandbox.holds(KEY));
        let targets: Vec<String> = server.requests().iter().map(Request::target).collect();
        assert_eq!(targets.len(), 2, "{targets:?}");
        assert!(
            !targets[1].contains(KEY) && !targets[1].to_lowercase().contains("key"),
            "{targets:?}"
        );
    }
    assert_eq!(stranger.requests().len(), 0, "the stranger was asked");
}

/// How often `AAA` was asked for when each page has another next one, whose number `page` is given with
/// the request. The run fails as malformed.
fn asked(page: impl Fn(usize, &PolygonAsk) -> Vec<Value> + Send + Sync + 'static) -> usize {
    let server = Server::start(move |request| {
        let number = request.parameter("cursor").map_or(0, |text| text.parse().expect("a number"));
        let ask = PolygonAsk::of(request).expect("aggregates");
        let next = format!(
            "http://x/v2/aggs/ticker/AAA/range/1/day/1708405200000/2024-03-15?cursor={}",
            number + 1
        );
        Answer::ok(polygon_body("AAA", page(number, &ask), Some(next)).to_string())
    });
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(2);
    let database = sandbox.database();
    assert_eq!(database.texts("SELECT error_kind FROM failures"), ["malformed"]);
    let times = database.times("AAA", "1d");
    assert!(times.iter().all(|ts| daily_sessions().contains(ts)), "{times:?}");
    server.requests().len()
}

#[test]
fn chains_that_get_nowhere_end_soon() {
    let first = daily_sessions()[0];
    assert_eq!(asked(|_, _| Vec::new()), 10, "empty pages");
    assert_eq!(asked(move |_, ask| vec![ask.result(&row(first))]), 2, "the same bar again");
    assert_eq!(asked(|_, ask| vec![ask.result(&row(day("2020-01-02")))]), 10, "other times");
    let backwards = |number: usize, ask: &PolygonAsk| {
        let sessions = daily_sessions();
        vec![ask.result(&row(sessions[sessions.len() - 1 - number]))]
    };
    assert_eq!(asked(backwards), 2, "back in time");
}

#[test]
fn a_chain_that_brings_a_little_more_each_time_ends_too() {
    // Hours, of which each page brings one more; there is no end to them while the range lasts.
    let server = Server::start(move |request| {
        let number: i64 =
            request.parameter("cursor").map_or(0, |text| text.parse().expect("a number"));
        let ask = PolygonAsk::of(request).expect("aggregates");
        let next = format!(
            "http://x/v2/aggs/ticker/X:AAA/range/1/hour/{}/{}?cursor={}",
            ask.from,
            ask.to,
            number + 1
        );
        let bar = ask.result(&row(day("2024-02-20") + number * HOUR));
        Answer::ok(polygon_body("X:AAA", vec![bar], Some(next)).to_string())
    });
    let hourly = "timeframes = [\"1h\"]\nlookback = { \"1h\" = \"30d\" }";
    let config = polygon(&server.url(), "") + &group("p", "crypto", &["X:AAA"], hourly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(2);
    let database = sandbox.database();
    assert_eq!(database.texts("SELECT error_kind FROM failures"), ["malformed"]);
    // Fifty, and one for every twenty of the hours that are due.
    let due = 30 * DAY / HOUR;
    let asked = server.requests().len() as i64;
    assert!((50..=50 + due / 20 + 1).contains(&asked), "{asked} requests for {due} hours");
}
