//! How pages follow each other.

use super::*;

/// An answer of polygon whose next page is at `url`.
fn with_next(url: &str) -> String {
    serde_json::json!({ "status": "OK", "ticker": "X:BTC/D", "next_url": url }).to_string()
}

/// What follows from `next_url`, asked for `X:BTC/D` by the minute.
fn next_of(adjusted: bool, url: &str) -> Option<String> {
    let mut minutes = case("polygon", "X:BTC/D", AssetClass::Crypto, Timeframe::M1);
    minutes.adjusted = adjusted;
    match minutes.read(200, &with_next(url)) {
        Ok(Page { next: Some(Cursor::Path(path)), .. }) => {
            minutes.cursor = Some(Cursor::Path(path.clone()));
            assert_eq!(minutes.wording(), path, "sent as it is");
            Some(path)
        }
        Ok(page) => panic!("{page:?}"),
        Err(fault) => {
            assert_eq!(fault.kind, ErrorKind::Malformed);
            None
        }
    }
}

const PATH: &str = "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/1690791480000/2023-07-31";

#[test]
fn polygon_keeps_path_and_query_and_not_the_host() {
    for host in ["https://api.polygon.io", "https://api.massive.com", "http://evil.example:81", ""]
    {
        let next = next_of(false, &format!("{host}{PATH}?cursor=bGlt"));
        assert_eq!(next.unwrap(), format!("{PATH}?cursor=bGlt&adjusted=false"), "{host}");
    }
    let encoded = PATH.replace("X:", "X%3A");
    assert_eq!(next_of(true, &encoded).unwrap(), format!("{encoded}?adjusted=true"));
}

#[test]
fn polygon_strips_a_key_and_says_again_how_to_adjust() {
    for key in ["apiKey=SECRET", "APIKEY=SECRET", "api%4Bey=SECRET", "apiKey"] {
        let next = next_of(true, &format!("https://h{PATH}?{key}&cursor=c&{key}#{key}")).unwrap();
        assert_eq!(next, format!("{PATH}?cursor=c&adjusted=true"));
    }
    let next = next_of(true, &format!("https://h{PATH}?adjusted=false&cursor=c")).unwrap();
    assert_eq!(next, format!("{PATH}?cursor=c&adjusted=true"), "as asked, not as handed out");
}

#[test]
fn polygon_follows_to_no_other_place() {
    let foreign = [
        "https://api.polygon.io",
        "https://api.polygon.io/",
        "/v2/aggs/ticker/X:ETHUSD/range/1/minute/1/2",
        "/v2/aggs/ticker/X:BTC/D/range/1/minute/1/2",
        "/v2/aggs/ticker/X:BTC%2FD/range/5/minute/1/2",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/day/1/2",
        "/v3/reference/tickers?cursor=x",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/1",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/1/2/3",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/../2",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/1/..",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/%2e%2e/%2E%2e",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/1/2%2F..%2F..",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/1/",
        "/v2/../v2/aggs/ticker/X:BTC%2FD/range/1/minute/1/2",
        "//v2/aggs/ticker/X:BTC%2FD/range/1/minute/1/2",
        "\\v2\\aggs\\ticker\\X:BTC%2FD\\range\\1\\minute\\1\\2",
        "/v2/aggs/ticker/X:BTC%2FD/range/1/minute/1/2?api\tKey=SECRET",
        "/v2/aggs/ticker/X:BTC%2FD%zz/range/1/minute/1/2",
    ];
    for url in foreign {
        assert_eq!(next_of(false, url), None, "{url}");
    }
}

#[test]
fn polygon_ends_without_a_next_url() {
    let days = case("polygon", "AAPL", AssetClass::Stock, Timeframe::D1);
    assert_eq!(days.read(200, r#"{"status":"DELAYED"}"#).unwrap().next, None);
}

/// `rows` hourly klines from `first` on.
fn klines(first: i64, rows: i64) -> String {
    let row = |index: i64| {
        let open = (first + index * 3_600) * 1_000;
        format!(r#"[{open},"1","2","0.5","1.5","10",0,"15",3,"0","0","0"]"#)
    };
    format!("[{}]", (0..rows).map(row).collect::<Vec<_>>().join(","))
}

#[test]
fn binance_goes_on_after_the_last_row_of_a_full_page() {
    let mut hours = case("binance", "BTCUSDT", AssetClass::Crypto, Timeframe::H1);
    hours.page_limit = 4;
    let start = hours.range.start;
    let next = |body: &str| hours.read(200, body).unwrap().next;
    assert_eq!(next(&klines(start, 4)), Some(Cursor::From(start + 4 * 3_600)));
    assert_eq!(next(&klines(start, 3)), None, "a short page is the last");
    assert_eq!(next(&klines(hours.range.end - 4 * 3_600, 4)), None, "nothing is left to ask for");
    assert_eq!(next("[]"), None);
    let broken = klines(start, 4).replace("\"1.5\"", "\"x\"");
    assert_eq!(next(&broken), Some(Cursor::From(start + 4 * 3_600)), "a page of broken rows too");
}

#[test]
fn alpaca_goes_on_behind_a_token() {
    let days = case("alpaca", "AAPL", AssetClass::Stock, Timeframe::D1);
    let next = |token: &str| {
        let body = format!(r#"{{"bars":null,"next_page_token":{token}}}"#);
        let page = days.read(200, &body).unwrap();
        assert_eq!(page.answers, []);
        page.next
    };
    assert_eq!(next("\"QUFQTA==\""), Some(Cursor::Token("QUFQTA==".into())), "an empty page too");
    assert_eq!((next("null"), next("\"\"")), (None, None));
}
