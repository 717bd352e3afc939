//! Rows of yahoo that are no bars, and how its days are labelled.

use serde_json::{Value, json};

use super::*;

/// The session of 2024-01-03 in New York.
const OPEN: i64 = 1_704_292_200;
const CLOSE: i64 = 1_704_315_600;

/// A chart of the last days, at `now` the time of the last trade; every row is 1, 3, 0.5, 2 with its
/// volume.
fn chart(now: i64, rows: &[(i64, Value)]) -> Value {
    let column = |value: Value| vec![value; rows.len()];
    json!({ "chart": { "error": null, "result": [{
        "meta": {
            "symbol": "AAPL",
            "exchangeTimezoneName": "America/New_York",
            "gmtoffset": -14_400,
            "regularMarketTime": now,
            "currentTradingPeriod": { "regular": { "start": OPEN, "end": CLOSE } },
        },
        "timestamp": rows.iter().map(|(stamp, _)| *stamp).collect::<Vec<_>>(),
        "indicators": { "quote": [{
            "open": column(json!(1)),
            "high": column(json!(3)),
            "low": column(json!(0.5)),
            "close": column(json!(2)),
            "volume": rows.iter().map(|(_, volume)| volume.clone()).collect::<Vec<_>>(),
        }] },
    }] } })
}

fn of(class: AssetClass, timeframe: Timeframe, chart: &Value) -> (Vec<i64>, u64) {
    let answer = case("yahoo", "AAPL", class, timeframe).answer(&chart.to_string());
    (stamps(&answer), answer.dropped)
}

const DAY_BEFORE: i64 = OPEN - 86_400;

#[test]
fn a_day_that_is_not_over_is_dropped() {
    let stock =
        |now, rows: &[(i64, Value)]| of(AssetClass::Stock, Timeframe::D1, &chart(now, rows));
    let volume = || json!(7);
    let days = [(DAY_BEFORE, volume()), (OPEN + 3_723, volume())];
    assert_eq!(stock(OPEN + 3_723, &days), (vec![day("2024-01-02")], 1));
    let over = [(DAY_BEFORE, volume()), (CLOSE + 2, volume())];
    let both = vec![day("2024-01-02"), day("2024-01-03")];
    assert_eq!(stock(CLOSE + 2, &over), (both.clone(), 0), "its session is over");
    assert_eq!(stock(OPEN + 3_724, &days), (both.clone(), 0), "not stamped with the last trade");
    let proper = [(DAY_BEFORE, volume()), (OPEN, volume())];
    assert_eq!(stock(OPEN, &proper), (both.clone(), 0), "stamped with the open, it is a row");
    let beside = [(DAY_BEFORE, volume()), (OPEN, volume()), (CLOSE + 2, volume())];
    assert_eq!(stock(CLOSE + 2, &beside), (both, 1), "beside a row of its date");
    // On a Monday morning: the last trade was on Friday, the current session is today's.
    let friday = [(OPEN - 3 * 86_400 + 23_402, volume())];
    assert_eq!(stock(OPEN - 3 * 86_400 + 23_402, &friday), (vec![day("2023-12-31")], 0));
}

#[test]
fn a_live_hour_off_the_sessions_grid_is_dropped() {
    let rows = [(OPEN, json!(7)), (OPEN + 3_600, json!(7)), (OPEN + 5_000, json!(7))];
    let live = chart(OPEN + 5_000, &rows);
    assert_eq!(of(AssetClass::Stock, Timeframe::H1, &live), (vec![OPEN, OPEN + 3_600], 1));
    let later = chart(OPEN + 5_001, &rows);
    assert_eq!(
        of(AssetClass::Stock, Timeframe::H1, &later).1,
        0,
        "not stamped with the last trade"
    );
    let inside = [(OPEN + 5_000, json!(7)), (OPEN + 7_200, json!(7))];
    let inside = chart(OPEN + 5_000, &inside);
    assert_eq!(of(AssetClass::Stock, Timeframe::H1, &inside).1, 0, "not the last row");
    let whole = chart(OPEN + 3_600, &rows[..2]);
    assert_eq!(of(AssetClass::Stock, Timeframe::H1, &whole).1, 0, "on the grid from 09:30");
    let crypto = chart(OPEN + 3_600, &rows[..2]);
    assert_eq!(
        of(AssetClass::Crypto, Timeframe::H1, &crypto).1,
        1,
        "on the clock's grid it is not"
    );
}

#[test]
fn the_closing_print_is_dropped() {
    let volume = |last: i64| chart(CLOSE + 9, &[(CLOSE - 300, json!(7)), (CLOSE, json!(last))]);
    let five = |class, chart: &Value| of(class, Timeframe::M5, chart);
    assert_eq!(five(AssetClass::Stock, &volume(0)), (vec![CLOSE - 300], 1));
    assert_eq!(five(AssetClass::Index, &volume(0)), (vec![CLOSE - 300], 1));
    assert_eq!(five(AssetClass::Stock, &volume(5)).1, 0, "something traded");
    assert_eq!(five(AssetClass::Crypto, &volume(0)).1, 0, "the market does not close");
    let dates =
        [(CLOSE - 86_400, json!(0)), (OPEN, json!(0)), (CLOSE, json!(0)), (CLOSE + 300, json!(7))];
    let dates = chart(CLOSE + 900, &dates);
    assert_eq!(five(AssetClass::Stock, &dates).0, [OPEN, CLOSE, CLOSE + 300], "last of its date");
}

/// 2023-07-03 closed at 13:00, which only the list of sessions tells.
#[test]
fn the_closing_print_of_a_short_day_is_dropped() {
    let end = at("2023-07-03T17:00:00Z");
    let mut short = chart(CLOSE, &[(end - 300, json!(7)), (end, json!(0))]);
    assert_eq!(of(AssetClass::Stock, Timeframe::M5, &short).1, 0);
    short["chart"]["result"][0]["meta"]["tradingPeriods"] =
        json!([[{ "start": end - 12_600, "end": end, "timezone": "EDT", "gmtoffset": -14_400 }]]);
    assert_eq!(of(AssetClass::Stock, Timeframe::M5, &short), (vec![end - 300], 1));
}

#[test]
fn the_date_is_the_one_in_the_markets_zone() {
    let mut sydney = chart(0, &[(at("2024-01-01T23:00:00Z"), json!(7))]);
    assert_eq!(of(AssetClass::Stock, Timeframe::D1, &sydney).0, [day("2024-01-01")]);
    sydney["chart"]["result"][0]["meta"]["exchangeTimezoneName"] = json!("Australia/Sydney");
    assert_eq!(of(AssetClass::Stock, Timeframe::D1, &sydney).0, [day("2024-01-02")]);
    sydney["chart"]["result"][0]["meta"]["exchangeTimezoneName"] = json!("Mars/Olympus");
    assert_eq!(
        of(AssetClass::Stock, Timeframe::D1, &sydney).0,
        [day("2024-01-01")],
        "the calendar's"
    );
    let mut london = chart(0, &[(at("2024-07-01T23:00:00Z"), json!(0))]);
    london["chart"]["result"][0]["meta"]["exchangeTimezoneName"] = json!("Europe/London");
    assert_eq!(of(AssetClass::Forex, Timeframe::D1, &london).0, [day("2024-07-02")]);
}

#[test]
fn currencies_and_indices_have_no_volume() {
    let mut hours = chart(0, &[(OPEN, json!(0))]);
    let volume = |class, chart: &Value| {
        case("yahoo", "AAPL", class, Timeframe::H1).answer(&chart.to_string()).bars[0].volume
    };
    assert_eq!(volume(AssetClass::Etf, &hours), Some(0.0));
    hours["chart"]["result"][0]["indicators"]["quote"][0]["volume"] = Value::Null;
    assert_eq!(volume(AssetClass::Index, &hours), None);
    assert_eq!(volume(AssetClass::Forex, &hours), None);
    let stock = case("yahoo", "AAPL", AssetClass::Stock, Timeframe::H1);
    assert_eq!(stock.refusal(200, &hours.to_string()), ErrorKind::Malformed);
}

#[test]
fn what_cannot_be_the_answer_is_malformed() {
    let rows = [(OPEN, json!(7)), (OPEN + 3_600, json!(7))];
    let stock = case("yahoo", "AAPL", AssetClass::Stock, Timeframe::H1);
    let spoiled = |path: &str, value: Value| {
        let mut chart = chart(0, &rows);
        assert!(stock.read(200, &chart.to_string()).is_ok());
        let slot = format!("/chart/result{path}");
        *chart.pointer_mut(&slot).unwrap() = value;
        let fault = stock.read(200, &chart.to_string()).unwrap_err();
        assert_eq!(fault.kind, ErrorKind::Malformed, "{path}");
        fault.message
    };
    let message = spoiled("/0/indicators/quote/0/high", json!([1]));
    assert!(message.contains("one length"), "{message}");
    let message = spoiled("/0/meta/symbol", json!("MSFT"));
    assert!(message.contains("MSFT") && message.contains("AAPL"), "{message}");
    spoiled("/0/timestamp", json!([OPEN, null]));
    spoiled("/0/indicators/quote", json!([]));
    spoiled("", json!([]));
    spoiled("", Value::Null);
}

#[test]
fn bars_of_another_length_are_malformed() {
    let mut hours = chart(0, &[(OPEN, json!(7))]);
    let read = |timeframe, chart: &Value| {
        case("yahoo", "AAPL", AssetClass::Stock, timeframe).read(200, &chart.to_string())
    };
    hours["chart"]["result"][0]["meta"]["dataGranularity"] = json!("60m");
    assert!(read(Timeframe::H1, &hours).is_ok());
    assert_eq!(read(Timeframe::M30, &hours).unwrap_err().kind, ErrorKind::Malformed);
}
