//! The exact wording of requests.

use super::*;

/// Checks one request per offered timeframe, in their order.
fn check(kind: &str, symbols: &str, class: AssetClass, wanted: &[&str]) {
    let timeframes = of_kind(kind).unwrap().timeframes();
    assert_eq!(timeframes.len(), wanted.len(), "{kind}");
    for (&timeframe, wanted) in timeframes.iter().zip(wanted) {
        assert_eq!(case(kind, symbols, class, timeframe).wording(), *wanted, "{kind} {timeframe}");
    }
}

#[test]
fn polygon() {
    let days = "/v2/aggs/ticker/AAPL/range/1/day/2024-01-02/2024-01-03";
    let pairs = "?adjusted=false&sort=asc&limit=50000";
    let of = |span: &str| {
        let path = format!("/v2/aggs/ticker/AAPL/range/{span}/1704153600000/1704326399999");
        path + pairs
    };
    let spans = ["1/minute", "5/minute", "15/minute", "30/minute", "1/hour"].map(of);
    let mut wanted: Vec<&str> = spans.iter().map(String::as_str).collect();
    let days = format!("{days}{pairs}");
    wanted.push(&days);
    check("polygon", "AAPL", AssetClass::Stock, &wanted);
    let mut adjusted = case("polygon", "AAPL", AssetClass::Stock, Timeframe::D1);
    adjusted.adjusted = true;
    adjusted.page_limit = 60_000;
    assert_eq!(adjusted.wording(), days.replace("=false", "=true"), "and never above its limit");
    for (class, market) in [
        (AssetClass::Stock, Some("us/market/stocks")),
        (AssetClass::Etf, Some("us/market/stocks")),
        (AssetClass::Crypto, Some("global/market/crypto")),
        (AssetClass::Forex, Some("global/market/fx")),
        (AssetClass::Index, None),
    ] {
        let mut days = case("polygon", "AAPL", class, Timeframe::D1);
        days.market = days.provider.whole_market(About::Bars, class);
        let path = "/v2/aggs/grouped/locale/";
        let grouped = market
            .map(|market| format!("{path}{market}/2024-01-02?adjusted=false&include_otc=true"));
        assert_eq!(days.market.map(|_| days.wording()), grouped);
    }
}

#[test]
fn binance() {
    let of = |interval: &str| {
        format!(
            "/api/v3/klines?symbol=BTCUSDT&interval={interval}&startTime=1704153600000\
             &endTime=1704326399999&limit=1000"
        )
    };
    let wanted = ["1m", "5m", "15m", "30m", "1h", "4h", "1d"].map(of);
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    check("binance", "BTCUSDT", AssetClass::Crypto, &wanted);
    let mut second = case("binance", "BTCUSDT", AssetClass::Crypto, Timeframe::H1);
    second.cursor = Some(Cursor::From(at("2024-01-03T00:00:00Z")));
    assert!(second.wording().contains("startTime=1704240000000&endTime=1704326399999"));
}

#[test]
fn coinbase_asks_for_both_ends_in_seconds_and_zulu() {
    let of = |(granularity, last): (u32, &str)| {
        format!(
            "/products/BTC-USD/candles?granularity={granularity}&start=2024-01-02T00:00:00Z\
             &end=2024-01-03T{last}Z"
        )
    };
    let wanted = [
        (60, "23:59:00"),
        (300, "23:55:00"),
        (900, "23:45:00"),
        (3_600, "23:00:00"),
        (86_400, "00:00:00"),
    ];
    let wanted = wanted.map(of);
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    check("coinbase", "BTC-USD", AssetClass::Crypto, &wanted);
}

/// A range that begins or ends within a bucket does not ask for that bucket, a full slice spans 299
/// intervals, and a slice of one bucket still ends after it starts.
#[test]
fn coinbase_never_spans_more_than_its_buckets() {
    let mut hours = case("coinbase", "BTC-USD", AssetClass::Crypto, Timeframe::H1);
    let of = |hours: &Case| {
        let query = hours.provider.request(&hours.ask()).query;
        (at(&query[1].1), at(&query[2].1))
    };
    hours.range = TimeRange::new(1_800, 300 * 3_600);
    assert_eq!(of(&hours), (3_600, 299 * 3_600));
    hours.range = TimeRange::new(0, 300 * 3_600);
    assert_eq!(of(&hours), (0, 299 * 3_600));
    hours.range = TimeRange::new(7_200, 10_800);
    assert_eq!(of(&hours), (7_200, 7_201));
}

#[test]
fn kraken_asks_from_one_interval_earlier() {
    let of = |(interval, since): (u32, i64)| {
        format!("/0/public/OHLC?pair=XBTUSD&interval={interval}&since={since}")
    };
    let start = at("2024-01-02T00:00:00Z");
    let wanted = [1, 5, 15, 30, 60, 240, 1_440]
        .map(|minutes| of((minutes, start - i64::from(minutes) * 60)));
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    check("kraken", "XBTUSD", AssetClass::Crypto, &wanted);
    let mut first = case("kraken", "XBTUSD", AssetClass::Crypto, Timeframe::D1);
    first.range.start = 0;
    assert!(first.wording().ends_with("since=0"));
}

#[test]
fn yahoo_asks_one_interval_more_at_both_ends() {
    let of = |(interval, length): (&str, i64)| {
        format!(
            "/v8/finance/chart/^GSPC?period1={}&period2={}&interval={interval}&includePrePost=false\
             &events=div|split|capitalGains&includeAdjustedClose=true",
            1_704_153_600 - length,
            1_704_326_400 + length
        )
    };
    let wanted =
        [("1m", 60), ("5m", 300), ("15m", 900), ("30m", 1_800), ("1h", 3_600), ("1d", 86_400)]
            .map(of);
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    check("yahoo", "^GSPC", AssetClass::Index, &wanted);
}

#[test]
fn yahoo_alone_is_told_a_browser() {
    for provider in ALL {
        let case = case(provider.kind(), "X", provider.asset_classes()[0], Timeframe::D1);
        let headers = provider.request(&case.ask()).headers;
        let browser = headers
            .iter()
            .any(|(name, value)| *name == "User-Agent" && value.starts_with("Mozilla/5.0 "));
        assert_eq!(browser, provider.kind() == "yahoo", "{headers:?}");
    }
}

#[test]
fn alpaca_stocks() {
    let of = |(timeframe, end): (&str, &str)| {
        format!(
            "/v2/stocks/bars?symbols=AAPL,BRK.B&timeframe={timeframe}&start=2024-01-02T00:00:00Z\
             &end=2024-01-03T{end}Z&limit=10000&sort=asc&adjustment=raw"
        )
    };
    let hours = ["1Min", "5Min", "15Min", "30Min", "1Hour", "4Hour"].map(|name| (name, "23:59:59"));
    let mut wanted: Vec<String> = hours.into_iter().map(of).collect();
    // No further than a day's stamp can lie: an end ahead of now is refused by the free plan.
    wanted.push(of(("1Day", "06:00:00")));
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    check("alpaca", "AAPL,BRK.B", AssetClass::Stock, &wanted);
}

#[test]
fn alpaca_crypto_and_further_pages() {
    let mut crypto = case("alpaca", "BTC/USD", AssetClass::Crypto, Timeframe::H1);
    crypto.adjusted = true;
    let wanted = "/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=1Hour\
                  &start=2024-01-02T00:00:00Z&end=2024-01-03T23:59:59Z&limit=10000&sort=asc";
    assert_eq!(crypto.wording(), wanted);
    let mut stock = case("alpaca", "AAPL", AssetClass::Etf, Timeframe::H1);
    stock.adjusted = true;
    stock.page_limit = 20_000;
    let first = stock.wording();
    assert!(first.ends_with("&limit=10000&sort=asc&adjustment=split"), "{first}");
    stock.cursor = Some(Cursor::Token("QUFQTA==".into()));
    assert_eq!(stock.wording(), format!("{first}&page_token=QUFQTA=="));
}

#[test]
fn the_key_goes_where_the_provider_looks_for_it() {
    let of = |kind: &str| of_kind(kind).unwrap().defaults().key;
    assert_eq!(of("polygon"), KeyUse::Bearer);
    let alpaca = KeyUse::Headers { key: "APCA-API-KEY-ID", second: "APCA-API-SECRET-KEY" };
    assert_eq!(of("alpaca"), alpaca);
    for kind in ["binance", "coinbase", "kraken", "yahoo"] {
        assert_eq!(of(kind), KeyUse::None);
    }
}
