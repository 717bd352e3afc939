//! Binance spot: klines of crypto pairs, without a key.
//!
//! Wire format: `GET /api/v3/klines`; an array of arrays of 12, times in milliseconds, prices as
//! strings, oldest first, at most 1000 rows from `startTime` on, the running bar last. Source: the
//! exchange's public API documentation.

use std::borrow::Cow;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::calendar::Layout;
use crate::domain::bar::{Bar, Rejection};
use crate::domain::policy::{Publication, RateLimit};
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::AssetClass;
use crate::domain::timeframe::Timeframe;

use super::bounded::{Rows, Words};
use super::reading::{
    fault_of, first_column, malformed, not_json, only_symbol, pair, plain_words, rows_one_by_one,
    usual_kind,
};
use super::{Answer, Ask, Cursor, Defaults, KeyUse, Page, Provider, Reach, Reply, Request};

/// `kind = "binance"`.
pub(super) struct Binance;

/// The most rows that one answer holds.
const MOST_ROWS: u32 = 1_000;

impl Provider for Binance {
    fn kind(&self) -> &'static str {
        "binance"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            base_url: "https://api.binance.com",
            // 6000 of weight a minute at 2 a request are 3000; a fifth is left to the machine's others.
            rate: RateLimit { requests: 2_400, per: Duration::from_secs(60), burst: None },
            history: None,
            publication: Publication::default(),
            page_limit: MOST_ROWS,
            key: KeyUse::None,
        }
    }

    fn asset_classes(&self) -> &'static [AssetClass] {
        &[AssetClass::Crypto]
    }

    fn timeframes(&self) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
        &[M1, M5, M15, M30, H1, H4, D1]
    }

    fn layout(&self, _class: AssetClass) -> Layout {
        Layout::default()
    }

    fn reach(&self, timeframe: Timeframe, page_limit: u32) -> Reach {
        let rows = page_limit.min(MOST_ROWS);
        Reach::Pages { seconds: i64::from(rows) * timeframe.seconds() }
    }

    fn depth(&self, _timeframe: Timeframe) -> Option<i64> {
        None
    }

    fn request(&self, ask: &Ask<'_>) -> Request {
        let start = match ask.cursor {
            Some(Cursor::From(ts)) => *ts,
            _ => ask.range.start,
        };
        Request {
            path: ["api", "v3", "klines"].map(str::to_owned).to_vec(),
            query: vec![
                pair("symbol", only_symbol(ask)),
                pair("interval", ask.timeframe),
                pair("startTime", start.saturating_mul(1000)),
                pair("endTime", ask.range.end.saturating_mul(1000).saturating_sub(1)),
                pair("limit", ask.page_limit.min(MOST_ROWS)),
            ],
            ..Request::default()
        }
    }

    fn read(&self, ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault> {
        if reply.status != 200 || reply.body.trim_start().starts_with('{') {
            return Err(refusal(reply));
        }
        let fast = serde_json::from_str::<Rows<KlineBar>>(&reply.body)
            .ok()
            .and_then(|rows| rows.0.into_iter().map(|row| row.0).collect::<Option<Vec<_>>>());
        let (bars, broken) = match fast {
            Some(bars) => (bars, Vec::new()),
            None => {
                let rows: Rows<&RawValue> =
                    serde_json::from_str(&reply.body).map_err(|error| not_json(reply, &error))?;
                rows_one_by_one(
                    reply,
                    &rows,
                    |raw| serde_json::from_str::<Kline<'_>>(raw).ok().and_then(|row| row.bar()),
                    |raw| first_column(raw).map(|millis| millis.div_euclid(1000)),
                )?
            }
        };
        let next = next_page(ask, &bars, &broken);
        Ok(Page { answers: vec![Answer { bars, broken, ..Answer::default() }], next })
    }
}

/// A full page is followed by the one that begins after its last row, whether that reads or not.
fn next_page(ask: &Ask<'_>, bars: &[Bar], broken: &[Rejection]) -> Option<Cursor> {
    let full = bars.len() + broken.len() >= ask.page_limit.min(MOST_ROWS) as usize;
    let stamps = bars.iter().map(|bar| bar.ts).chain(broken.iter().filter_map(|row| row.ts));
    let next = stamps.max()?.saturating_add(ask.timeframe.seconds());
    (full && next < ask.range.end).then_some(Cursor::From(next))
}

/// Open time, open, high, low, close, base volume, close time, quote volume, trades, and the rest.
#[derive(Deserialize)]
struct Kline<'a>(
    i64,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    IgnoredAny,
    #[serde(borrow)] Cow<'a, str>,
    i64,
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
);

impl Kline<'_> {
    /// The bar; `None` when a price is no number. Its vwap is quote volume through base volume.
    fn bar(&self) -> Option<Bar> {
        let volume: f64 = self.5.parse().ok()?;
        let quote: Option<f64> = self.7.parse().ok();
        Some(Bar {
            ts: self.0.div_euclid(1000),
            open: self.1.parse().ok()?,
            high: self.2.parse().ok()?,
            low: self.3.parse().ok()?,
            close: self.4.parse().ok()?,
            volume: Some(volume),
            vwap: quote.filter(|_| volume > 0.0).map(|quote| quote / volume),
            trades: Some(self.8),
        })
    }
}

/// A row read straight into its bar, so that its texts are not kept; `None` when a price is no number.
struct KlineBar(Option<Bar>);

impl<'de> Deserialize<'de> for KlineBar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Kline::deserialize(deserializer).map(|row| Self(row.bar()))
    }
}

/// `{"code": n, "msg": "..."}`; the code is negative but for a refused country.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    msg: Words,
}

/// What helps where the exchange refuses a whole country.
const ELSEWHERE: &str = "refused from here: set base_url to https://data-api.binance.vision, \
                         or to https://api.binance.us in the US";

/// The fault behind an answer that is no list of rows.
fn refusal(reply: &Reply) -> Fault {
    let body: ErrorBody = match serde_json::from_str(&reply.body) {
        Ok(body) => body,
        Err(error) if reply.status == 200 => return not_json(reply, &error),
        Err(_) => ErrorBody { code: 0, msg: Words(plain_words(reply).to_owned()) },
    };
    let kind = match (reply.status, body.code) {
        (_, -1121) => ErrorKind::NotFound,
        (_, -1003) => ErrorKind::RateLimited,
        // The web firewall, not a wrong key: there is no key.
        (403, _) => ErrorKind::RateLimited,
        (200, 0) => return malformed(reply, "the answer is an object, not a list of rows"),
        (200, _) => ErrorKind::BadRequest,
        (status, _) => usual_kind(status),
    };
    if reply.status == 451 {
        return fault_of(reply, kind, &format!("{ELSEWHERE}; {}", &*body.msg));
    }
    fault_of(reply, kind, &body.msg)
}
