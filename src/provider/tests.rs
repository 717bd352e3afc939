//! What every provider is held to: recorded answers, synthetic answers of the same shapes, the exact
//! wording of requests, and bodies that nobody would send.

use chrono::DateTime;

use super::*;
use crate::domain::run::ErrorKind;
use crate::domain::zone::Zone;

mod charts;
mod hostile;
mod pages;
mod recorded;
mod reference;
mod synthetic;
mod wording;

/// A provider and what it is asked.
struct Case {
    provider: &'static dyn Provider,
    symbols: Vec<Symbol>,
    market: Option<&'static str>,
    about: About,
    asset_class: AssetClass,
    timeframe: Timeframe,
    range: TimeRange,
    adjusted: bool,
    page_limit: u32,
    cursor: Option<Cursor>,
}

/// Two days of `symbols`, which are parted by commas.
fn case(kind: &str, symbols: &str, asset_class: AssetClass, timeframe: Timeframe) -> Case {
    let provider = of_kind(kind).unwrap();
    Case {
        provider,
        symbols: symbols.split(',').map(|symbol| symbol.parse().unwrap()).collect(),
        market: None,
        about: About::Bars,
        asset_class,
        timeframe,
        range: TimeRange::new(at("2024-01-02T00:00:00Z"), at("2024-01-04T00:00:00Z")),
        adjusted: false,
        page_limit: provider.defaults().page_limit,
        cursor: None,
    }
}

impl Case {
    fn ask(&self) -> Ask<'_> {
        Ask {
            symbols: &self.symbols,
            market: self.market,
            about: self.about,
            asset_class: self.asset_class,
            timeframe: self.timeframe,
            range: self.range,
            adjusted: self.adjusted,
            page_limit: self.page_limit,
            zone: Zone::NEW_YORK,
            cursor: self.cursor.as_ref(),
        }
    }

    /// The request as one line, not percent-encoded.
    fn wording(&self) -> String {
        let request = self.provider.request(&self.ask());
        if let Some(handed_out) = request.handed_out {
            return handed_out;
        }
        let pairs: Vec<String> =
            request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("/{}?{}", request.path.join("/"), pairs.join("&"))
    }

    fn read(&self, status: u16, body: &str) -> Result<Page, Fault> {
        let reply = Reply { status, retry_after: None, body: body.to_owned() };
        self.provider.read(&self.ask(), &reply)
    }

    /// The one answer in a page.
    fn answer(&self, body: &str) -> Answer {
        let mut page = self.read(200, body).unwrap();
        assert_eq!(page.answers.len(), 1, "{page:?}");
        page.answers.remove(0)
    }

    fn refusal(&self, status: u16, body: &str) -> ErrorKind {
        self.read(status, body).unwrap_err().kind
    }
}

/// An instant.
fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp()
}

/// The label of a day.
fn day(date: &str) -> i64 {
    at(&format!("{date}T00:00:00Z"))
}

fn stamps(answer: &Answer) -> Vec<i64> {
    answer.bars.iter().map(|bar| bar.ts).collect()
}

#[test]
fn each_kind_is_found_by_its_name() {
    let kinds: Vec<&str> = ALL.iter().map(|provider| provider.kind()).collect();
    assert_eq!(kinds, ["alpaca", "binance", "coinbase", "kraken", "polygon", "yahoo"]);
    assert_eq!(of_kind("massive").unwrap().kind(), "polygon");
    assert!(of_kind("files").is_none());
}

/// Host, quota, lag in minutes, and offered timeframes of each.
#[test]
fn defaults_are_those_of_the_free_plans() {
    let table = [
        ("alpaca", "https://data.alpaca.markets", (200, 60), 20, "1m 5m 15m 30m 1h 4h 1d"),
        ("binance", "https://api.binance.com", (2_400, 60), 0, "1m 5m 15m 30m 1h 4h 1d"),
        ("coinbase", "https://api.exchange.coinbase.com", (10, 1), 0, "1m 5m 15m 1h 1d"),
        ("kraken", "https://api.kraken.com", (1, 1), 0, "1m 5m 15m 30m 1h 4h 1d"),
        ("polygon", "https://api.polygon.io", (5, 60), 20, "1m 5m 15m 30m 1h 1d"),
        ("yahoo", "https://query1.finance.yahoo.com", (1, 1), 20, "1m 5m 15m 30m 1h 1d"),
    ];
    for (kind, base_url, (requests, seconds), lag, timeframes) in table {
        let provider = of_kind(kind).unwrap();
        let defaults = provider.defaults();
        assert_eq!(defaults.base_url, base_url);
        assert_eq!((defaults.rate.requests, defaults.rate.per.as_secs()), (requests, seconds));
        assert_eq!(defaults.publication.lag.as_secs(), lag * 60, "{kind}");
        let offered: Vec<&str> = provider.timeframes().iter().map(|one| one.as_str()).collect();
        assert_eq!(offered.join(" "), timeframes, "{kind}");
        assert_eq!(defaults.history.is_some(), kind == "polygon");
    }
}

#[test]
fn reach_and_depth_are_those_of_the_wire() {
    let day = crate::domain::timeframe::DAY;
    let of = |kind, timeframe| {
        let provider = of_kind(kind).unwrap();
        (provider.reach(timeframe, u32::MAX), provider.depth(timeframe))
    };
    let pages = |seconds| Reach::Pages { seconds };
    assert_eq!(of("coinbase", Timeframe::H1), (Reach::Seconds(300 * 3_600), None));
    assert_eq!(of("kraken", Timeframe::M1), (pages(720 * 60), Some(12 * 3_600)));
    assert_eq!(of("yahoo", Timeframe::M1), (Reach::Seconds(7 * day - 120), Some(29 * day)));
    assert_eq!(of("yahoo", Timeframe::M30), (Reach::Seconds(60 * day - 3_600), Some(59 * day)));
    assert_eq!(of("yahoo", Timeframe::H1), (Reach::Seconds(730 * day - 7_200), Some(729 * day)));
    assert_eq!(of("yahoo", Timeframe::D1).1, None);
    assert_eq!(of("alpaca", Timeframe::D1), (pages(10_000 * day), None));
    assert_eq!(of("binance", Timeframe::M5), (pages(1_000 * 300), None));
    assert_eq!(of("polygon", Timeframe::H1), (pages(50_000 * 60), None), "counted in minutes");
    assert_eq!(of("polygon", Timeframe::D1), (pages(50_000 * day), None));
}

#[test]
fn layouts_say_where_bars_are_cut() {
    use crate::calendar::{DayEnd, Intraday};
    let of = |kind: &str, class| {
        let layout = of_kind(kind).unwrap().layout(class);
        (layout.intraday, layout.day)
    };
    assert_eq!(of("yahoo", AssetClass::Stock), (Intraday::Session, DayEnd::Session));
    assert_eq!(of("yahoo", AssetClass::Forex), (Intraday::Clock, DayEnd::Utc));
    assert_eq!(of("yahoo", AssetClass::Crypto), (Intraday::Clock, DayEnd::Session));
    assert_eq!(of("polygon", AssetClass::Forex), (Intraday::Clock, DayEnd::Utc));
    assert_eq!(of("polygon", AssetClass::Stock), (Intraday::Clock, DayEnd::Session));
    assert_eq!(of("kraken", AssetClass::Forex), (Intraday::Clock, DayEnd::Utc));
    assert_eq!(of("alpaca", AssetClass::Stock), (Intraday::Clock, DayEnd::Session));
}
