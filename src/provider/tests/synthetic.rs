//! Answers of the providers' shapes with invented numbers, which are tested wherever the project is.

use super::*;
use crate::domain::bar::{Adjustment, RejectReason};

/// Every synthetic answer: its kind, its status, its body.
pub(super) const ALL_BODIES: &[(&str, u16, &str)] = &[
    ("alpaca", 200, include_str!("../../../tests/fixtures/alpaca/bars_1d.json")),
    ("alpaca", 200, include_str!("../../../tests/fixtures/alpaca/bars_crypto_1d.json")),
    ("alpaca", 403, include_str!("../../../tests/fixtures/alpaca/error_403.json")),
    ("binance", 200, include_str!("../../../tests/fixtures/binance/klines_1h.json")),
    ("binance", 429, include_str!("../../../tests/fixtures/binance/error_429.json")),
    ("coinbase", 200, include_str!("../../../tests/fixtures/coinbase/candles_1h.json")),
    ("coinbase", 400, include_str!("../../../tests/fixtures/coinbase/error_400.json")),
    ("kraken", 200, include_str!("../../../tests/fixtures/kraken/ohlc_1h.json")),
    ("kraken", 200, include_str!("../../../tests/fixtures/kraken/error_200.json")),
    ("polygon", 200, include_str!("../../../tests/fixtures/polygon/aggs_1d.json")),
    ("polygon", 400, include_str!("../../../tests/fixtures/polygon/error_400.json")),
    ("polygon", 200, include_str!("../../../tests/fixtures/polygon/splits.json")),
    ("polygon", 200, include_str!("../../../tests/fixtures/polygon/dividends.json")),
    ("polygon", 200, include_str!("../../../tests/fixtures/polygon/ticker.json")),
    ("yahoo", 200, include_str!("../../../tests/fixtures/yahoo/chart_1d.json")),
    ("yahoo", 200, include_str!("../../../tests/fixtures/yahoo/chart_1h.json")),
    ("yahoo", 401, include_str!("../../../tests/fixtures/yahoo/error_401.json")),
];

/// The `nth` of a kind's bodies.
fn body(kind: &str, nth: usize) -> &'static str {
    let mut of_kind = ALL_BODIES.iter().filter(|(found, ..)| *found == kind);
    of_kind.nth(nth).unwrap().2
}

/// A bar with everything in it.
fn bar(ts: i64, [open, high, low, close]: [f64; 4], volume: f64, vwap: f64, trades: i64) -> Bar {
    let (volume, vwap, trades) = (Some(volume), Some(vwap), Some(trades));
    Bar { ts, open, high, low, close, volume, vwap, trades }
}

/// The one row that does not read: when it is and what it says.
fn check_broken(answer: &Answer, ts: i64, words: &str) {
    let [row] = answer.broken.as_slice() else { panic!("{:?}", answer.broken) };
    assert_eq!((row.ts, row.reason), (Some(ts), RejectReason::InvalidNumber));
    assert!(row.text.contains(words), "{}", row.text);
}

const START: i64 = 1_704_153_600;

#[test]
fn alpaca_tells_symbols_apart() {
    let days = case("alpaca", "AAA,BBB,CCC,DDD", AssetClass::Stock, Timeframe::D1);
    let page = days.read(200, body("alpaca", 0)).unwrap();
    let [aaa, bbb, ccc] = page.answers.as_slice() else { panic!("{page:?}") };
    assert_eq!(aaa.bars, [bar(day("2024-01-02"), [10.0, 12.0, 9.5, 11.0], 1_000.0, 10.75, 10)]);
    check_broken(aaa, day("2024-01-03"), "\"high\"");
    assert_eq!((bbb.symbol.as_str(), bbb.bars.len(), bbb.adjustment), ("BBB", 0, None));
    assert_eq!(stamps(ccc), [day("2024-07-01")]);
    assert_eq!((ccc.bars[0].vwap, ccc.bars[0].trades), (None, None));
    assert_eq!(page.next, Some(Cursor::Token("QUFBfER8".into())));
    let other = case("alpaca", "AAA,CCC", AssetClass::Stock, Timeframe::D1);
    assert_eq!(other.refusal(200, body("alpaca", 0)), ErrorKind::Malformed, "BBB was not asked");
}

#[test]
fn alpaca_says_what_it_was_asked_to_adjust() {
    let mut days = case("alpaca", "AAA,BBB,CCC", AssetClass::Stock, Timeframe::D1);
    let of = |days: &Case| days.read(200, body("alpaca", 0)).unwrap().answers[0].adjustment;
    assert_eq!(of(&days), Some(Adjustment::Raw));
    days.adjusted = true;
    assert_eq!(of(&days), Some(Adjustment::Splits));
    days.asset_class = AssetClass::Crypto;
    assert_eq!(of(&days), Some(Adjustment::Raw));
}

#[test]
fn alpaca_days_of_crypto_have_their_date_wherever_midnight_is() {
    let days = case("alpaca", "AAA/USD", AssetClass::Crypto, Timeframe::D1);
    let answer = days.answer(body("alpaca", 1));
    assert_eq!(stamps(&answer), ["2024-01-02", "2024-07-02", "2024-07-03"].map(day));
    assert_eq!(answer.bars[0].volume, Some(0.125));
}

#[test]
fn alpaca_refusals_are_told_apart_by_their_words() {
    let days = case("alpaca", "AAA", AssetClass::Stock, Timeframe::D1);
    let plan = body("alpaca", 2);
    assert_eq!(days.refusal(403, plan), ErrorKind::NotEntitled);
    assert_eq!(days.refusal(200, plan), ErrorKind::NotEntitled);
    let too_late = r#"{"code":42210000,"message":"end is too late for subscription"}"#;
    assert_eq!(days.refusal(422, too_late), ErrorKind::NotEntitled);
    assert_eq!(days.refusal(403, r#"{"message":"forbidden."}"#), ErrorKind::Auth);
    assert_eq!(days.refusal(403, "forbidden"), ErrorKind::Auth);
    assert_eq!(days.refusal(401, ""), ErrorKind::Auth);
    assert_eq!(days.refusal(422, r#"{"message":"invalid limit"}"#), ErrorKind::BadRequest);
    assert_eq!(days.refusal(200, r#"{"message":"invalid limit"}"#), ErrorKind::BadRequest);
    assert_eq!(days.refusal(429, r#"{"message":"too many requests."}"#), ErrorKind::RateLimited);
    assert_eq!(days.refusal(504, "<html>"), ErrorKind::Server);
    assert_eq!(days.refusal(200, "{}"), ErrorKind::Malformed, "`bars` may be null, not absent");
    let timeless = r#"{"bars":{"AAA":[{"t":"yesterday","o":1,"h":1,"l":1,"c":1,"v":1}]}}"#;
    assert_eq!(days.refusal(200, timeless), ErrorKind::Malformed);
}

#[test]
fn binance_reads_text_and_numbers() {
    let hours = case("binance", "TEST", AssetClass::Crypto, Timeframe::H1);
    let answer = hours.answer(body("binance", 0));
    assert_eq!(answer.bars[0], bar(START, [100.0, 102.0, 99.0, 101.0], 4.0, 100.5, 12));
    assert_eq!((answer.bars[1].volume, answer.bars[1].vwap), (Some(0.0), None), "nothing traded");
    assert_eq!(stamps(&answer), [START, START + 7_200]);
    check_broken(&answer, START + 3_600, "\"x\"");
}

#[test]
fn binance_refusals() {
    let hours = case("binance", "TEST", AssetClass::Crypto, Timeframe::H1);
    assert_eq!(hours.refusal(429, body("binance", 1)), ErrorKind::RateLimited);
    assert_eq!(hours.refusal(200, body("binance", 1)), ErrorKind::RateLimited);
    assert_eq!(hours.refusal(418, "{}"), ErrorKind::RateLimited);
    assert_eq!(hours.refusal(403, "<html>"), ErrorKind::RateLimited, "there is no key");
    assert_eq!(hours.refusal(400, r#"{"code":-1120,"msg":"."}"#), ErrorKind::BadRequest);
    assert_eq!(hours.refusal(200, "{}"), ErrorKind::Malformed);
    assert_eq!(hours.refusal(503, "{}"), ErrorKind::Server);
    assert_eq!(hours.refusal(200, r#"[["soon"]]"#), ErrorKind::Malformed);
}

#[test]
fn coinbase_turns_rows_round() {
    let hours = case("coinbase", "AAA-USD", AssetClass::Crypto, Timeframe::H1);
    let answer = hours.answer(body("coinbase", 0));
    assert_eq!(stamps(&answer), [START, START + 7_200]);
    let first =
        Bar { vwap: None, trades: None, ..bar(START, [100.0, 101.0, 98.0, 100.5], 12.0, 0.0, 0) };
    assert_eq!(answer.bars[0], first);
    assert_eq!(answer.bars[1].volume, Some(4.727_521_520_000_001));
    check_broken(&answer, START + 3_600, "null");
    assert_eq!(hours.answer("[]").bars, []);
    let broken = hours.answer("[[7200,1],[3600,1]]").broken;
    assert_eq!(broken.iter().map(|row| row.ts).collect::<Vec<_>>(), [Some(3_600), Some(7_200)]);
}

#[test]
fn coinbase_refusals() {
    let hours = case("coinbase", "AAA-USD", AssetClass::Crypto, Timeframe::H1);
    let too_old = r#"{"message":"End is too old"}"#;
    assert_eq!(hours.read(400, too_old).unwrap().answers, [Answer::default()], "nothing is there");
    assert_eq!(hours.refusal(500, too_old), ErrorKind::Server);
    assert_eq!(hours.refusal(400, body("coinbase", 1)), ErrorKind::BadRequest);
    assert_eq!(hours.refusal(200, body("coinbase", 1)), ErrorKind::BadRequest);
    assert_eq!(hours.refusal(200, r#"{"message":"NotFound"}"#), ErrorKind::NotFound);
    let fault = hours.read(429, "Public rate limit\u{1b} exceeded").unwrap_err();
    assert_eq!(fault.kind, ErrorKind::RateLimited);
    assert_eq!(fault.message, "HTTP 429: Public rate limit\\u{1b} exceeded");
    assert_eq!(hours.refusal(200, "{}"), ErrorKind::Malformed);
    assert_eq!(hours.refusal(200, "<html>"), ErrorKind::Malformed);
    assert_eq!(hours.refusal(200, "[[null,1,1,1,1,1]]"), ErrorKind::Malformed, "no time");
}

#[test]
fn kraken_keeps_fillers_and_drops_what_is_not_final() {
    let hours = case("kraken", "XBTUSD", AssetClass::Crypto, Timeframe::H1);
    let answer = hours.answer(body("kraken", 0));
    assert_eq!(answer.bars[0], bar(START, [100.0, 101.0, 99.0, 100.5], 7.5, 100.2, 12));
    let filler = &answer.bars[1];
    assert_eq!((filler.close, filler.vwap, filler.trades), (100.5, None, Some(0)));
    assert_eq!(stamps(&answer), [START, START + 3_600, START + 10_800]);
    assert_eq!(answer.dropped, 1, "the row after `last`, here a string");
    check_broken(&answer, START + 7_200, "one hundred");
    let earlier = body("kraken", 0).replace("\"1704164400\"", "1704153600");
    let answer = hours.answer(&earlier);
    assert_eq!((answer.bars.len(), answer.broken.len(), answer.dropped), (1, 0, 4));
}

#[test]
fn kraken_answers_under_its_own_name_of_the_same_pair() {
    let of = |asked: &str| {
        let hours = case("kraken", asked, AssetClass::Crypto, Timeframe::H1);
        hours.read(200, body("kraken", 0)).map(|page| page.answers[0].symbol.clone())
    };
    for asked in ["XBTUSD", "XBT/USD", "XXBTZUSD", "BTCUSD"] {
        assert_eq!(of(asked).unwrap(), asked);
    }
    for asked in ["ETHUSD", "XBTEUR", "USDXBT", "X"] {
        assert_eq!(of(asked).unwrap_err().kind, ErrorKind::Malformed, "{asked}");
    }
}

#[test]
fn kraken_refusals_are_told_by_the_body() {
    let hours = case("kraken", "XBTUSD", AssetClass::Crypto, Timeframe::H1);
    let of = |words: &str| hours.refusal(200, &format!(r#"{{"error":["{words}"]}}"#));
    assert_eq!(hours.refusal(200, body("kraken", 1)), ErrorKind::NotFound);
    assert_eq!(of("EAPI:Rate limit exceeded"), ErrorKind::RateLimited);
    assert_eq!(of("EGeneral:Temporary lockout"), ErrorKind::RateLimited);
    assert_eq!(of("EService:Busy"), ErrorKind::Server);
    assert_eq!(of("EGeneral:Internal error"), ErrorKind::Server);
    assert_eq!(of("EQuery:Invalid asset pair"), ErrorKind::NotFound);
    assert_eq!(of("EGeneral:Invalid arguments:interval"), ErrorKind::BadRequest);
    assert_eq!(of("ENew:Something else"), ErrorKind::BadRequest);
    assert_eq!(hours.refusal(429, body("kraken", 1)), ErrorKind::NotFound, "not by the status");
    for status in [502, 520, 522] {
        assert_eq!(hours.refusal(status, "<html>"), ErrorKind::Server);
    }
    assert_eq!(hours.refusal(503, body("kraken", 0)), ErrorKind::Server);
    for body in ["", "<html>", "{}", r#"{"error":[],"result":{"last":1}}"#] {
        assert_eq!(hours.refusal(200, body), ErrorKind::Malformed, "{body}");
    }
    let two = r#"{"error":[],"result":{"XBTUSD":[],"ETHUSD":[],"last":1}}"#;
    assert_eq!(hours.refusal(200, two), ErrorKind::Malformed);
    assert_eq!(hours.refusal(200, r#"{"error":[],"result":{"XBTUSD":[]}}"#), ErrorKind::Malformed);
}

#[test]
fn polygon_reads_what_it_can() {
    let days = case("polygon", "TEST", AssetClass::Stock, Timeframe::D1);
    let page = days.read(200, body("polygon", 0)).unwrap();
    let answer = &page.answers[0];
    assert_eq!(answer.bars[0], bar(day("2024-01-02"), [10.0, 12.0, 9.0, 11.0], 1_500.0, 10.5, 7));
    assert_eq!(stamps(answer), [day("2024-01-02"), day("2024-07-02")]);
    let without = &answer.bars[1];
    assert_eq!((without.volume, without.vwap, without.trades), (None, None, None));
    check_broken(answer, day("2024-01-03"), "\"?\"");
    assert_eq!(answer.adjustment, Some(Adjustment::Raw));
    let path = "/v2/aggs/ticker/TEST/range/1/day/1719979200000/2024-07-31\
                ?cursor=bGltaXQ9Mw&adjusted=false";
    assert_eq!(page.next, Some(Cursor::Path(path.into())));
    let ours = body("polygon", 0).replace("\"resultsCount\":3", "\"resultsCount\":4");
    assert_eq!(days.refusal(200, &ours), ErrorKind::Malformed, "its own count is wrong");
    assert_eq!(days.refusal(200, r#"{"status":"OK","ticker":"AAPL"}"#), ErrorKind::Malformed);
}

#[test]
fn polygon_refusals() {
    let days = case("polygon", "TEST", AssetClass::Stock, Timeframe::D1);
    assert_eq!(days.refusal(400, body("polygon", 1)), ErrorKind::Auth);
    assert_eq!(days.refusal(200, body("polygon", 1)), ErrorKind::Auth);
    let quota = r#"{"status":"ERROR","message":"You've exceeded the maximum requests per minute"}"#;
    assert_eq!(days.refusal(200, quota), ErrorKind::RateLimited);
    let fault = days.read(429, quota).unwrap_err();
    assert!(fault.message.contains("maximum requests"), "{}", fault.message);
    let both = r#"{"status":"NOT_FOUND","error":"a","message":"b"}"#;
    assert_eq!(days.refusal(200, both), ErrorKind::NotFound);
    assert_eq!(days.refusal(504, "upstream timed out"), ErrorKind::Server);
    assert_eq!(days.refusal(401, "{}"), ErrorKind::Auth);
    assert_eq!(days.refusal(200, r#"{"status":"PERHAPS"}"#), ErrorKind::Malformed);
    let timeless = r#"{"status":"OK","results":[{"o":1,"h":1,"l":1,"c":1}]}"#;
    assert_eq!(days.refusal(200, timeless), ErrorKind::Malformed);
}

#[test]
fn yahoo_reads_what_are_bars() {
    let days = case("yahoo", "TEST", AssetClass::Stock, Timeframe::D1);
    let answer = days.answer(body("yahoo", 0));
    assert_eq!(stamps(&answer), [day("2023-12-29"), day("2024-01-03")]);
    let last = bar(day("2024-01-03"), [102.0, 104.0, 101.25, 103.5], 5e9, 0.0, 0);
    assert_eq!(answer.bars[1], Bar { vwap: None, trades: None, ..last });
    assert_eq!(answer.dropped, 2, "the nulls, and the live row beside the last");
    check_broken(&answer, day("2024-01-02"), "\"n/a\"");
    assert_eq!(answer.adjustment, Some(Adjustment::Splits));
    let hours = case("yahoo", "TEST", AssetClass::Stock, Timeframe::H1);
    let answer = hours.answer(body("yahoo", 1));
    assert_eq!(stamps(&answer), [1_704_292_200, 1_704_295_800, 1_704_313_800]);
    assert_eq!(answer.dropped, 1, "the closing print");
}

#[test]
fn yahoo_refusals_and_what_only_looks_like_one() {
    let days = case("yahoo", "TEST", AssetClass::Stock, Timeframe::D1);
    let of = |status, code: &str, words: &str| {
        let error = format!(r#"{{"code":"{code}","description":"{words}"}}"#);
        days.read(status, &format!(r#"{{"chart":{{"result":null,"error":{error}}}}}"#))
    };
    let nothing = "Data doesn't exist for startDate = 1, endDate = 2";
    assert_eq!(of(400, "Bad Request", nothing).unwrap().answers, [Answer::default()]);
    assert!(of(404, "Not Found", "Timestamp data missing.").is_ok());
    let kind = |status, code, words| of(status, code, words).unwrap_err().kind;
    assert_eq!(kind(200, "Not Found", "No data found"), ErrorKind::NotFound);
    assert_eq!(kind(422, "Unprocessable Entity", "data not available"), ErrorKind::BadRequest);
    assert_eq!(kind(200, "Bad Request", "data not available"), ErrorKind::BadRequest);
    assert_eq!(days.refusal(401, body("yahoo", 2)), ErrorKind::Server, "a mood, no wrong key");
    for status in [200, 429] {
        assert_eq!(days.refusal(status, "Too Many Requests\r\n"), ErrorKind::RateLimited);
    }
    assert_eq!(days.refusal(403, "<html>"), ErrorKind::RateLimited, "there is no key");
    assert_eq!(days.refusal(200, "<h1>Will be right back...</h1>"), ErrorKind::Server);
    assert_eq!(days.refusal(502, ""), ErrorKind::Server);
    assert_eq!(days.refusal(200, ""), ErrorKind::Malformed);
    assert_eq!(
        days.refusal(500, body("yahoo", 0)),
        ErrorKind::Server,
        "a chart with an error code"
    );
}

#[test]
fn a_day_of_a_market_is_stamped_with_its_end_or_within_it() {
    let days = case("polygon", "X:BTCUSD", AssetClass::Crypto, Timeframe::D1);
    let range = TimeRange::new(day("2024-01-02"), day("2024-01-03"));
    let btc = Case { market: Some("crypto"), range, ..days };
    let read = |millis: i64| {
        let body = format!(
            r#"{{"status":"OK","resultsCount":1,"results":[{{"T":"X:BTCUSD","t":{millis},"o":1,"h":1,"l":1,"c":1}}]}}"#
        );
        btc.read(200, &body).map(|page| stamps(&page.answers[0]))
    };
    let (start, end) = (range.start * 1_000, range.end * 1_000);
    for millis in [start, start + 1, end - 1, end] {
        assert_eq!(read(millis).unwrap(), [range.start]);
    }
    for millis in [start - 1, end + 1, i64::MIN, i64::MAX] {
        assert!(read(millis).is_err(), "{millis}");
    }
    let empty = btc.read(200, r#"{"status":"OK","resultsCount":0}"#).unwrap();
    assert_eq!(empty, Page::default(), "of nobody at all");
}
