//! The other providers end to end: their headers, their cuts and their pages over a real socket.

use serde_json::{Value, json};

use crate::support::market::{HOUR, instant, rfc3339, row};
use crate::support::server::{Answer, Request, Server};
use crate::support::{Sandbox, group};

/// A provider of that kind with patience for tests.
fn provider(kind: &str, url: &str, more: &str) -> String {
    format!(
        "[database]\npath = \"mdctl.db\"\n[run]\nstagger = \"0s\"\n[providers.p]\nkind = \"{kind}\"\n\
         base_url = \"{url}\"\nrate = {{ requests = 1000, per = \"1s\" }}\n\
         retry = {{ initial = \"1ms\", max = \"2s\" }}\n{more}\n"
    )
}

const AS_OF: &str = "2024-03-14T12:00:00Z";

/// The whole hours of the last day and a half before `AS_OF`.
fn day_and_a_half() -> Vec<i64> {
    let end = instant("2024-03-14T12:00:00Z");
    (1..=36).rev().map(|back| end - back * HOUR).collect()
}

fn check(server: &Server, sandbox: &Sandbox, symbol: &str, timeframe: &str, expected: &[i64]) {
    sandbox.backfill_at(AS_OF, &[]).expect_code(0);
    assert_eq!(sandbox.database().times(symbol, timeframe), expected);
    assert_eq!(sandbox.database().gaps(symbol), Vec::<String>::new());
    server.take_requests();
    sandbox.backfill_at(AS_OF, &[]).expect_code(0);
    assert_eq!(server.requests().len(), 0, "what is stored is not asked for again");
}

const HOURLY: &str = "timeframes = [\"1h\"]\nlookback = { \"1h\" = \"36h\" }";

#[test]
fn alpaca_gets_its_two_keys_and_its_tokens_back() {
    let server = Server::start(|request: &Request| {
        let key = request.header("apca-api-key-id");
        let secret = request.header("apca-api-secret-key");
        if (key, secret) != (Some("sekrit-4711-Zyxw"), Some("second-half")) {
            return Answer::status(403, r#"{"message":"forbidden."}"#);
        }
        let bar = |ts: i64| {
            let row = row(ts);
            json!({"t": rfc3339(ts), "o": row.open, "h": row.high, "l": row.low, "c": row.close,
                   "v": row.volume, "n": row.trades, "vw": row.vwap})
        };
        let hours = day_and_a_half();
        let (page, next) = match request.parameter("page_token") {
            None => (&hours[..20], Value::from("more")),
            Some(_) => (&hours[20..], Value::Null),
        };
        let bars: Vec<Value> = page.iter().copied().map(bar).collect();
        Answer::ok(json!({"bars": {"BTC/USD": bars}, "next_page_token": next}).to_string())
    });
    let keys = "api_key = { env = \"KEY\" }\napi_secret = { file = \"half\" }\n\
                publication = { lag = \"0s\" }";
    let config =
        provider("alpaca", &server.url(), keys) + &group("p", "crypto", &["BTC/USD"], HOURLY);
    let sandbox = Sandbox::with(&config);
    sandbox.write("half", "second-half\n");
    check(&server, &sandbox, "BTC/USD", "1h", &day_and_a_half());
}

#[test]
fn yahoo_is_asked_as_a_browser_asks() {
    let server = Server::start(|request: &Request| {
        if !request.header("user-agent").is_some_and(|agent| agent.contains("Mozilla")) {
            return Answer::status(429, "Too Many Requests");
        }
        let rows: Vec<_> = day_and_a_half().into_iter().map(row).collect();
        let column = |of: fn(&crate::support::market::Row) -> f64| -> Vec<f64> {
            rows.iter().map(of).collect()
        };
        let quote = json!([{ "open": column(|row| row.open), "high": column(|row| row.high),
            "low": column(|row| row.low), "close": column(|row| row.close),
            "volume": column(|row| row.volume) }]);
        let meta = json!({"symbol": "BTC-USD", "currency": "USD", "exchangeTimezoneName": "UTC",
            "dataGranularity": "1h", "regularMarketTime": instant(AS_OF)});
        let stamps: Vec<i64> = rows.iter().map(|row| row.ts).collect();
        let result =
            json!([{ "meta": meta, "timestamp": stamps, "indicators": { "quote": quote } }]);
        Answer::ok(json!({"chart": {"result": result, "error": null}}).to_string())
    });
    let config = provider("yahoo", &server.url(), "publication = { lag = \"0s\" }")
        + &group("p", "crypto", &["BTC-USD"], HOURLY);
    let sandbox = Sandbox::with(&config);
    check(&server, &sandbox, "BTC-USD", "1h", &day_and_a_half());
}

#[test]
fn kraken_answers_under_its_own_name_and_with_a_running_bar() {
    let server = Server::start(|request: &Request| {
        let since: i64 = request.parameter("since").expect("since").parse().expect("seconds");
        let running = instant("2024-03-14T12:00:00Z");
        let hours: Vec<i64> =
            day_and_a_half().into_iter().chain([running]).filter(|ts| *ts > since).collect();
        let price = |price: f64| Value::from(price.to_string());
        let bar = |ts: &i64| {
            let row = row(*ts);
            json!([
                ts,
                price(row.open),
                price(row.high),
                price(row.low),
                price(row.close),
                price(row.vwap),
                price(row.volume),
                row.trades
            ])
        };
        let bars: Vec<Value> = hours.iter().map(bar).collect();
        let result = json!({"XXBTZUSD": bars, "last": running - HOUR});
        Answer::ok(json!({"error": [], "result": result}).to_string())
    });
    let config = provider("kraken", &server.url(), "") + &group("p", "crypto", &["XBTUSD"], HOURLY);
    let sandbox = Sandbox::with(&config);
    check(&server, &sandbox, "XBTUSD", "1h", &day_and_a_half());
}

#[test]
fn a_row_of_kraken_without_a_legible_time_is_on_record() {
    let server = Server::start(|_| {
        let bar = |ts: Value| json!([ts, "10", "12", "9", "11", "10.5", "100", 7]);
        let [first, second] = [day_and_a_half()[0], day_and_a_half()[1]];
        let bars = [bar(first.into()), bar("noon".into()), bar(second.into())];
        Answer::ok(json!({"error": [], "result": {"XXBTZUSD": bars, "last": second}}).to_string())
    });
    let config = provider("kraken", &server.url(), "") + &group("p", "crypto", &["XBTUSD"], HOURLY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at(AS_OF, &[]);
    let rejected = sandbox.database().texts("SELECT reason || ' ' || text FROM rejected_bars");
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert!(rejected[0].contains("noon"), "{rejected:?}");
}

#[test]
fn coinbase_answers_newest_first() {
    let server = Server::start(|request: &Request| {
        assert_eq!(request.parameter("granularity"), Some("3600"));
        let bar = |ts: &i64| {
            let row = row(*ts);
            json!([ts, row.low, row.high, row.open, row.close, row.volume])
        };
        let bars: Vec<Value> = day_and_a_half().iter().rev().map(bar).collect();
        Answer::ok(Value::from(bars).to_string())
    });
    let config =
        provider("coinbase", &server.url(), "") + &group("p", "crypto", &["BTC-USD"], HOURLY);
    let sandbox = Sandbox::with(&config);
    check(&server, &sandbox, "BTC-USD", "1h", &day_and_a_half());
}
