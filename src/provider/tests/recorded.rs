//! Answers that somebody recorded, read byte for byte.
//!
//! They belong to others and may not stand in this repository: the tests look for them beside it, and
//! say so when they are not there. What is tested everywhere is in `synthetic`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::domain::bar::Adjustment;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/wire/fixtures"))
}

/// A recorded body; `None`, said aloud, where there are none.
fn recorded(name: &str) -> Option<String> {
    let folder = folder();
    if !folder.is_dir() {
        // Past the test harness, which shows nothing of a test that passes.
        let skipped = format!("SKIPPED: recorded answers are not here ({})\n", folder.display());
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return None;
    }
    Some(std::fs::read_to_string(folder.join(name)).unwrap())
}

/// Reads a recorded answer of one symbol.
fn check(case: &Case, name: &str, judge: impl Fn(&Answer, Option<&Cursor>)) {
    let Some(body) = recorded(name) else { return };
    let page = case.read(200, &body).unwrap();
    assert_eq!(page.answers.len(), 1, "{name}");
    assert_eq!(page.answers[0].broken, [], "{name}");
    judge(&page.answers[0], page.next.as_ref());
}

/// Reads a recorded refusal.
fn check_refusal(kind: &str, status: u16, name: &str, wanted: ErrorKind, words: &str) {
    let Some(body) = recorded(&format!("{kind}/{name}")) else {
        return;
    };
    let class = of_kind(kind).unwrap().asset_classes()[0];
    let fault = case(kind, "X", class, Timeframe::D1).read(status, &body).unwrap_err();
    assert_eq!(fault.kind, wanted, "{name}");
    assert_eq!(fault.http_status, Some(status));
    assert!(fault.message.contains(words), "{name}: {}", fault.message);
}

/// Open, high, low, close.
fn prices(bar: &Bar) -> [f64; 4] {
    [bar.open, bar.high, bar.low, bar.close]
}

/// The recordings of these six that answer no request of ours.
const OTHER_REQUESTS: [&str; 6] = [
    "marketstatus_now_2022.json",
    "marketstatus_upcoming_2022.json",
    "open_close_AAPL.json",
    "prev_AAPL_2022.json",
    "tickers_page1.json",
    "tickers_page2.json",
];

#[test]
fn no_recording_is_left_unread() {
    if recorded("INDEX.md").is_none() {
        return;
    }
    let mut unread = BTreeSet::new();
    for provider in ALL {
        for entry in std::fs::read_dir(folder().join(provider.kind())).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !include_str!("recorded.rs").contains(&name) {
                unread.insert(name);
            }
        }
    }
    assert_eq!(unread, BTreeSet::new());
    assert!(OTHER_REQUESTS.is_sorted());
}

#[test]
fn refusals() {
    use ErrorKind::{BadRequest, NotEntitled, NotFound, RateLimited};
    let check = check_refusal;
    check("polygon", 403, "error_403_timeframe.json", NotEntitled, "HTTP 403: Your plan doesn't");
    check("polygon", 400, "error_400_to_before_from.json", BadRequest, "occurs before 'from'");
    check("polygon", 200, "error_403_timeframe.json", NotEntitled, "Your plan doesn't");
    check("binance", 400, "error_400_invalid_symbol.json", NotFound, "HTTP 400: Invalid symbol.");
    check("binance", 451, "error_451_location.json", NotEntitled, "data-api.binance.vision");
    check("coinbase", 400, "error_400_too_many_candles.json", BadRequest, "exceeds 300");
    check("coinbase", 404, "error_404.json", NotFound, "HTTP 404: NotFound");
    check("kraken", 200, "error_200_too_many.json", RateLimited, "EGeneral:Too many requests");
    check("yahoo", 404, "error_404.json", NotFound, "No data found, symbol may be delisted");
}

#[test]
fn polygon_splits_and_tickers() {
    // Splits of many tickers: whoever asks for one of them does not take it for an answer.
    if let Some(body) = recorded("polygon/splits.json") {
        let days = case("polygon", "GOOGL", AssetClass::Stock, Timeframe::D1);
        let googl = Case { about: About::Splits, ..days };
        let fault = googl.read(200, &body).unwrap_err();
        assert_eq!(fault.kind, ErrorKind::Malformed);
        assert_eq!(fault.message, "the answer is for `GOOG`, asked was `GOOGL`");
        // Whoever asks for all of them has them all.
        let symbols = ["AMZN", "GOOG", "SHOP"].map(|symbol| symbol.parse().unwrap()).to_vec();
        let range = TimeRange::new(day("2022-05-01"), i64::MAX);
        let days = case("polygon", "AMZN", AssetClass::Stock, Timeframe::D1);
        let of_all = Case { about: About::Splits, market: Some("stocks"), symbols, range, ..days };
        let page = of_all.read(200, &body).unwrap();
        let of = |answer: &Answer| (answer.symbol.clone(), answer.declared.actions.len());
        let told: Vec<_> = page.answers.iter().map(of).collect();
        let wanted = [("", 6), ("AMZN", 1), ("GOOG", 1), ("SHOP", 2)];
        assert_eq!(told, wanted.map(|(symbol, rows)| (symbol.to_owned(), rows)));
        let mut all: serde_json::Value = serde_json::from_str(&body).unwrap();
        let rows = all["results"].as_array_mut().unwrap();
        rows.iter_mut().for_each(|row| row["ticker"] = "GOOGL".into());
        let answer = googl.answer(&all.to_string());
        assert_eq!((answer.declared.actions.len(), answer.broken.len()), (10, 0));
        let kind = &answer.declared.actions[7].kind;
        assert_eq!(*kind, crate::domain::action::ActionKind::Split { from: 2.0, to: 1.0 });
    }
    let days = case("polygon", "AAPL", AssetClass::Stock, Timeframe::D1);
    let aapl = Case { about: About::Listing, ..days };
    check(&aapl, "polygon/ticker_details_AAPL.json", |answer, next| {
        let listing = answer.declared.listing.as_ref().unwrap();
        assert_eq!(listing.name.as_deref(), Some("Apple Inc."));
        assert_eq!((listing.exchange.as_deref(), listing.active), (Some("XNAS"), Some(true)));
        assert_eq!(listing.listed_on.map(|date| date.to_string()).as_deref(), Some("1980-12-12"));
        assert_eq!((listing.delisted_on, next), (None, None));
    });
}

#[test]
fn polygon_days_of_a_market() {
    let of = |symbols: &str, date: &str| {
        let start = day(date);
        let range = TimeRange::new(start, start + 86_400);
        let days = case("polygon", symbols, AssetClass::Stock, Timeframe::D1);
        Case { market: Some("stocks"), range, ..days }
    };
    if let Some(body) = recorded("polygon/grouped_day_one.json") {
        let page = of("GIK", "2020-10-14").read(200, &body).unwrap();
        let [gik, nobody] = &page.answers[..] else { panic!("{page:?}") };
        assert_eq!((gik.symbol.as_str(), gik.adjustment), ("GIK", Some(Adjustment::Splits)));
        assert_eq!(
            (stamps(gik), prices(&gik.bars[0])),
            (vec![day("2020-10-14")], [9.99, 10.02, 9.9, 10.02])
        );
        assert_eq!((nobody.symbol.as_str(), nobody.dropped), ("", 0));
        let fault = of("GIK", "2020-10-15").read(200, &body).unwrap_err();
        assert_eq!(fault.message, "none of its 1 rows is of 2020-10-15");
    }
    if let Some(body) = recorded("polygon/grouped_day_2019-02-01_first40.json") {
        let some = of("ORG,ORRF,PANW,PEB", "2019-02-01");
        let fault = some.read(200, &body).unwrap_err();
        assert_eq!(
            fault.message, "the answer says resultsCount 8374 and holds 40 rows",
            "it was cut"
        );
        let page = some.read(200, &body.replace("8374", "40")).unwrap();
        let symbols: Vec<&str> = page.answers.iter().map(|one| one.symbol.as_str()).collect();
        assert_eq!(symbols, ["ORG", "ORRF", "PANW", "PEB", ""]);
        assert_eq!(page.answers[4].dropped, 36);
        assert_eq!(page.answers[2].bars[0].volume, Some(1_552_077.0));
    }
}

#[test]
fn polygon_days() {
    let days = case("polygon", "AAPL", AssetClass::Stock, Timeframe::D1);
    check(&days, "polygon/aggs_day_AAPL_2005_dst.json", |answer, next| {
        assert_eq!(stamps(answer), [day("2005-04-01"), day("2005-04-04")]);
        assert_eq!(prices(&answer.bars[0]), [1.5032, 1.5064, 1.4489, 1.4604]);
        assert_eq!(answer.bars[0].volume, Some(642_646_396.0));
        assert_eq!((answer.bars[1].vwap, answer.bars[1].trades), (Some(1.4589), Some(65_543)));
        assert_eq!((answer.symbol.as_str(), next), ("AAPL", None));
        assert_eq!(answer.adjustment, Some(Adjustment::Splits));
    });
    check(&days, "polygon/aggs_day_AAPL_2023_exponent.json", |answer, _| {
        let dates =
            ["2023-01-03", "2023-01-04", "2023-01-05", "2023-01-06", "2023-01-09", "2023-01-10"];
        assert_eq!(stamps(answer), dates.map(day));
        assert_eq!(answer.bars[0].volume, Some(112_117_471.0));
        assert_eq!(prices(&answer.bars[5]), [130.26, 131.2636, 128.12, 130.73]);
    });
    check(&days, "polygon/aggs_day_AAPL_2020_doc_next_url.json", |answer, next| {
        assert_eq!(stamps(answer), [day("2020-01-02"), day("2020-01-03")]);
        assert_eq!(prices(&answer.bars[0]), [74.06, 75.15, 73.7975, 75.0875]);
        let path = "/v2/aggs/ticker/AAPL/range/1/day/1578114000000/2020-01-10\
                    ?cursor=bGltaXQ9MiZzb3J0PWFzYw&adjusted=false";
        assert_eq!(next, Some(&Cursor::Path(path.into())));
    });
    let forex = case("polygon", "C:EURUSD", AssetClass::Forex, Timeframe::D1);
    check(&forex, "polygon/aggs_day_EURUSD_2023.json", |answer, _| {
        let ten: Vec<i64> = (1..=10).map(|date| day(&format!("2023-01-{date:02}"))).collect();
        assert_eq!(stamps(answer), ten);
        assert_eq!(prices(&answer.bars[6]), [1.0644, 1.0662, 1.0644, 1.0662]);
        assert_eq!((answer.bars[6].volume, answer.bars[6].trades), (Some(2.0), Some(2)));
    });
}

#[test]
fn polygon_minutes_and_nothing() {
    let mut minutes = case("polygon", "AAPL", AssetClass::Stock, Timeframe::M1);
    minutes.adjusted = true;
    check(&minutes, "polygon/aggs_minute_AAPL_2023_page1.json", |answer, next| {
        assert_eq!(answer.bars.len(), 10);
        assert_eq!(answer.bars[0].ts, at("2023-07-31T08:00:00Z"));
        assert_eq!(answer.bars[9].ts, at("2023-07-31T08:17:00Z"));
        assert_eq!(prices(&answer.bars[0]), [195.89, 195.9, 195.53, 195.53]);
        let path = "/v2/aggs/ticker/AAPL/range/1/minute/1690791480000/2023-07-31\
                    ?cursor=bGltaXQ9MTAmc29ydD1hc2M&adjusted=true";
        assert_eq!(next, Some(&Cursor::Path(path.into())));
    });
    check(&minutes, "polygon/aggs_minute_extra_fields_quoted.json", |answer, next| {
        assert_eq!((answer.bars.len(), next), (4, None));
        assert_eq!(answer.bars[3].ts, at("2021-11-22T14:30:00Z"));
        assert_eq!(answer.bars[3].volume, Some(2_384_421.0));
        assert_eq!(answer.adjustment, Some(Adjustment::Raw), "asked otherwise, and it says so");
    });
    let option = case("polygon", "O:TSLA211203C01120000", AssetClass::Stock, Timeframe::M1);
    check(&option, "polygon/aggs_empty_no_results_key.json", |answer, next| {
        assert_eq!((answer.bars.len(), answer.adjustment, next), (0, None, None));
    });
}

#[test]
fn binance() {
    let hours = case("binance", "BTCUSDT", AssetClass::Crypto, Timeframe::H1);
    check(&hours, "binance/klines_1h_BTCUSDT_2023.json", |answer, next| {
        let first = at("2023-01-06T05:00:00Z");
        assert_eq!(stamps(answer), [0, 1, 2, 3].map(|hour| first + hour * 3_600));
        let bar = &answer.bars[0];
        assert_eq!(prices(bar), [16_823.24, 16_823.63, 16_792.12, 16_810.18]);
        assert_eq!((bar.volume, bar.trades), (Some(6_230.440_34), Some(162_086)));
        assert!((bar.vwap.unwrap() - 16_810.65).abs() < 0.01, "{:?}", bar.vwap);
        assert_eq!(next, None);
    });
    check(&hours, "binance/klines_1h_BTCUSDT_us_open.json", |answer, _| {
        assert_eq!(stamps(answer), [at("2024-03-13T11:00:00Z")]);
        assert_eq!(answer.bars[0].close, 73_347.62);
    });
    let weeks = case("binance", "ETHBTC", AssetClass::Crypto, Timeframe::W1);
    check(&weeks, "binance/klines_1w_ETHBTC_doc_sample.json", |answer, _| {
        assert_eq!(stamps(answer), [day("2017-07-03")]);
        assert_eq!(prices(&answer.bars[0]), [0.016_347_9, 0.8, 0.015_758, 0.015_771]);
    });
}

#[test]
fn coinbase() {
    let days = case("coinbase", "BTC-EUR", AssetClass::Crypto, Timeframe::D1);
    check(&days, "coinbase/candles_1d_BTC-EUR_2021.json", |answer, next| {
        let seven: Vec<i64> = (1..=7).map(|date| day(&format!("2021-01-{date:02}"))).collect();
        assert_eq!(stamps(answer), seven, "oldest first");
        assert_eq!(prices(&answer.bars[0]), [23_706.73, 24_250.0, 23_512.7, 24_070.97]);
        assert_eq!(prices(&answer.bars[6]), [29_818.73, 32_900.0, 29_516.98, 32_120.19]);
        assert_eq!(answer.bars[6].volume, Some(5_957.469_803_24));
        assert_eq!((answer.bars[6].vwap, answer.bars[6].trades, next), (None, None, None));
    });
    let hours = case("coinbase", "BTC-USDT", AssetClass::Crypto, Timeframe::H1);
    check(&hours, "coinbase/candles_1h_BTC-USDT_open.json", |answer, _| {
        assert_eq!(stamps(answer), [at("2024-03-13T11:00:00Z")]);
        assert_eq!(prices(&answer.bars[0]), [73_243.33, 73_402.47, 73_241.5, 73_370.65]);
    });
}

#[test]
fn kraken() {
    let minutes = case("kraken", "XBTUSD", AssetClass::Crypto, Timeframe::M1);
    check(&minutes, "kraken/ohlc_1m_XXBTZUSD_doc_sample.json", |answer, next| {
        assert_eq!((answer.bars.len(), answer.dropped, next), (4, 0, None));
        assert_eq!(answer.symbol, "XBTUSD", "as it was asked for");
        let bar = &answer.bars[0];
        assert_eq!(bar.ts, at("2023-07-06T19:20:00Z"));
        assert_eq!(prices(bar), [30_306.1, 30_306.2, 30_305.7, 30_305.7]);
        let rest = (Some(3.392_438_96), Some(30_306.1), Some(23));
        assert_eq!((bar.volume, bar.vwap, bar.trades), rest);
    });
    check(&minutes, "kraken/ohlc_1m_XXBTZUSD_2017.json", |answer, _| {
        assert_eq!((answer.bars.len(), answer.dropped), (719, 1), "the running minute");
        assert_eq!(answer.bars[718].ts, 1_502_445_600);
        assert!(answer.bars.windows(2).all(|pair| pair[1].ts - pair[0].ts == 60));
        let fillers: Vec<&Bar> = answer.bars.iter().filter(|bar| bar.vwap.is_none()).collect();
        assert_eq!(fillers.len(), 17);
        assert!(fillers.iter().all(|bar| (bar.volume, bar.trades) == (Some(0.0), Some(0))));
        assert_eq!(prices(fillers[0]), [3_435.594; 4]);
    });
}

#[test]
fn yahoo() {
    let days = |symbol| case("yahoo", symbol, AssetClass::Stock, Timeframe::D1);
    check(&days("TSLA"), "yahoo/chart_1d_TSLA_2021.json", |answer, _| {
        let dates = ["2021-01-04", "2021-01-05", "2021-01-06", "2021-01-07", "2021-01-08"];
        assert_eq!(stamps(answer), dates.map(day));
        assert_eq!(answer.bars[0].open, 239.820_007_324_218_75);
        assert_eq!(answer.bars[4].volume, Some(225_166_500.0));
        assert_eq!(answer.adjustment, Some(Adjustment::Splits));
        assert_eq!((answer.symbol.as_str(), answer.dropped), ("TSLA", 0));
    });
    check(&days("IBM"), "yahoo/chart_1d_IBM_events.json", |answer, _| {
        assert_eq!((answer.bars.len(), answer.bars[0].ts), (10, day("1962-01-02")));
        assert_eq!(answer.bars[9].ts, day("2021-01-08"));
        assert_eq!(answer.bars[0].volume, Some(407_940.0));
    });
    check(&days("MUV2.DE"), "yahoo/chart_1d_MUV2.DE_2018.json", |answer, _| {
        assert_eq!((answer.bars.len(), answer.bars[0].ts), (124, day("2017-11-27")));
        assert_eq!(answer.bars[123].ts, day("2018-05-25"), "22:00 UTC in summer is still its date");
        assert!(answer.bars.windows(2).all(|pair| pair[0].ts < pair[1].ts));
        assert_eq!(answer.bars[123].close, 188.300_003_051_757_8);
    });
    check(&days("WSU.DE"), "yahoo/chart_1d_WSU.DE_2023.json", |answer, _| {
        assert_eq!(stamps(answer), ["2023-08-04", "2023-08-07", "2023-08-08"].map(day));
        assert_eq!(answer.bars[1].low, 34.0);
    });
    check(&days("0P0000XTS7"), "yahoo/chart_1d_fund_no_volume.json", |answer, _| {
        assert_eq!(stamps(answer), ["2024-09-12", "2024-09-13"].map(day));
        assert_eq!(answer.bars[0].volume, Some(0.0));
    });
    check(&days("LUCYW"), "yahoo/chart_1d_LUCYW_empty.json", |answer, next| {
        assert_eq!((answer.bars.len(), answer.dropped, next), (0, 0, None));
    });
}

#[test]
fn alpaca() {
    let token = |text: &str| Some(Cursor::Token(text.into()));
    let quarters = case("alpaca", "AMZN", AssetClass::Stock, Timeframe::M15);
    check(&quarters, "alpaca/bars_15Min_AMZN_2021.json", |answer, next| {
        let first = at("2021-10-15T16:00:00Z");
        assert_eq!(stamps(answer), [0, 1, 2, 3, 4].map(|quarter| first + quarter * 900));
        let bar = &answer.bars[0];
        assert_eq!(prices(bar), [3_378.14, 3_380.815, 3_376.300_1, 3_379.72]);
        let rest = (Some(211_689.0), Some(3_379.041_755), Some(5_435));
        assert_eq!((bar.volume, bar.vwap, bar.trades), rest);
        assert_eq!((answer.symbol.as_str(), next), ("AMZN", None));
    });
    let mut days = case("alpaca", "META,AAPL", AssetClass::Stock, Timeframe::D1);
    check(&days, "alpaca/bars_1Day_META_page1.json", |answer, next| {
        assert_eq!(stamps(answer), [day("2022-06-08"), day("2022-06-09")]);
        assert_eq!(answer.bars[1].close, 184.0);
        let wanted = token("TUVUQXxEfDIwMjItMDYtMDlUMDQ6MDA6MDAuMDAwMDAwMDAwWg==");
        assert_eq!(next, wanted.as_ref());
    });
    days.cursor = token("TUVUQXxEfDIwMjItMDYtMDlUMDQ6MDA6MDAuMDAwMDAwMDAwWg==");
    check(&days, "alpaca/bars_1Day_META_page2.json", |answer, next| {
        assert_eq!(stamps(answer), [day("2022-06-10"), day("2022-06-13")]);
        let wanted = token("TUVUQXxEfDIwMjItMDYtMTNUMDQ6MDA6MDAuMDAwMDAwMDAwWg==");
        assert_eq!(next, wanted.as_ref());
    });
    check(&days, "alpaca/bars_1Day_AAPL_page1.json", |answer, _| {
        assert_eq!(stamps(answer), [day("2022-02-01"), day("2022-02-02")]);
        assert_eq!(prices(&answer.bars[0]), [174.0, 174.84, 172.31, 174.61]);
        assert_eq!(answer.adjustment, Some(Adjustment::Raw));
    });
    let Some(empty) = recorded("alpaca/bars_empty.json") else {
        return;
    };
    assert_eq!(days.read(200, &empty).unwrap(), Page::default());
}
