//! Polygon.io, since 2025 Massive: aggregates of stocks, indices, currencies and crypto; splits and
//! dividends of shares; what a ticker is.
//!
//! Wire format: `GET /v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}`; times are
//! epoch milliseconds, `limit` counts base rows (minutes, or days), pages are chained by `next_url`.
//! Source: the provider's OpenAPI file and official Python client.

use std::time::Duration;

use chrono::DateTime;
use serde::Deserialize;

use crate::calendar::{DayEnd, Intraday, Layout};
use crate::domain::bar::Adjustment;
use crate::domain::policy::{Publication, RateLimit};
use crate::domain::range::TimeRange;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::AssetClass;
use crate::domain::task::About;
use crate::domain::timeframe::{DAY, Timeframe};

use super::bounded::Words;
use super::reading::{fault_of, malformed, only_symbol, pair, plain_words, usual_kind};
use super::{
    Answer, Ask, Cursor, DatedList, Defaults, KeyUse, Page, Provider, Reach, Reply, Request,
};

mod grouped;
mod next_url;
mod payload;
mod reference;

/// `kind = "polygon"`, or `"massive"`.
pub(super) struct Polygon;

/// The most base rows, minutes or days, that one answer is made from.
const MOST_ROWS: u32 = 50_000;

impl Provider for Polygon {
    fn kind(&self) -> &'static str {
        "polygon"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            base_url: "https://api.polygon.io",
            rate: RateLimit { requests: 5, per: Duration::from_secs(60), burst: None },
            history: Some(2 * 365 * DAY + DAY / 2),
            publication: Publication { lag: Duration::from_secs(20 * 60), end_of_day: None },
            page_limit: MOST_ROWS,
            key: KeyUse::Bearer,
        }
    }

    fn asset_classes(&self) -> &'static [AssetClass] {
        &AssetClass::ALL
    }

    /// How a multiplier above 1 is anchored at hours is nowhere stated, and its weeks begin on
    /// Sundays: `4h` and `1w` are derived.
    fn timeframes(&self) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, M1, M5, M15, M30};
        &[M1, M5, M15, M30, H1, D1]
    }

    fn layout(&self, class: AssetClass) -> Layout {
        let day = if class == AssetClass::Forex { DayEnd::Utc } else { DayEnd::Session };
        Layout { intraday: Intraday::Clock, day }
    }

    fn reach(&self, timeframe: Timeframe, page_limit: u32) -> Reach {
        let base = if timeframe.is_intraday() { 60 } else { DAY };
        Reach::Pages { seconds: i64::from(page_limit.min(MOST_ROWS)) * base }
    }

    fn depth(&self, _timeframe: Timeframe) -> Option<i64> {
        None
    }

    fn topics(&self, class: AssetClass) -> &'static [About] {
        match class {
            AssetClass::Stock | AssetClass::Etf => {
                &[About::Splits, About::Dividends, About::Listing]
            }
            AssetClass::Crypto | AssetClass::Forex | AssetClass::Index => &[About::Listing],
        }
    }

    fn whole_market(&self, about: About, class: AssetClass) -> Option<&'static str> {
        grouped::market(about, class)
    }

    fn dated_lists(&self) -> &'static [(About, DatedList)] {
        &reference::DATED_LISTS
    }

    fn request(&self, ask: &Ask<'_>) -> Request {
        if let Some(Cursor::Path(path)) = ask.cursor {
            return Request { handed_out: Some(path.clone()), ..Request::default() };
        }
        if ask.about != About::Bars {
            return reference::request(ask);
        }
        if let Some(market) = ask.market {
            return grouped::request(ask, market);
        }
        let (multiplier, timespan) = span(ask.timeframe);
        let (from, to) = bounds(ask.timeframe, ask.range);
        let symbol = only_symbol(ask);
        let path = ["v2", "aggs", "ticker", symbol, "range", multiplier, timespan, &from, &to];
        Request {
            path: path.map(str::to_owned).to_vec(),
            query: vec![
                pair("adjusted", ask.adjusted),
                pair("sort", "asc"),
                pair("limit", ask.page_limit.min(MOST_ROWS)),
            ],
            ..Request::default()
        }
    }

    fn read(&self, ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault> {
        if reply.status != 200 {
            return Err(refusal(reply));
        }
        if ask.about != About::Bars {
            return reference::read(ask, reply);
        }
        if ask.market.is_some() {
            return grouped::read(ask, reply);
        }
        let (head, bars, broken) = payload::rows(ask, reply)?;
        head.check(ask, reply)?;
        let symbol = head.ticker.unwrap_or_default().0;
        let next = head.next_url.map(|url| next_url::cursor(ask, reply, &url)).transpose()?;
        let adjustment = adjustment(head.adjusted).filter(|_| !bars.is_empty());
        Ok(Page {
            answers: vec![Answer { symbol, bars, broken, adjustment, ..Answer::default() }],
            next,
        })
    }
}

/// What prices contain of which an envelope says whether they are adjusted.
fn adjustment(adjusted: Option<bool>) -> Option<Adjustment> {
    adjusted.map(|adjusted| if adjusted { Adjustment::Splits } else { Adjustment::Raw })
}

/// Multiplier and timespan. The derived timeframes are never asked for.
const fn span(timeframe: Timeframe) -> (&'static str, &'static str) {
    match timeframe {
        Timeframe::M1 => ("1", "minute"),
        Timeframe::M5 => ("5", "minute"),
        Timeframe::M15 => ("15", "minute"),
        Timeframe::M30 => ("30", "minute"),
        Timeframe::H1 => ("1", "hour"),
        Timeframe::H4 => ("4", "hour"),
        Timeframe::D1 => ("1", "day"),
        Timeframe::W1 => ("1", "week"),
    }
}

/// First and last instant asked for, both inclusive on the wire: dates for days, else milliseconds.
fn bounds(timeframe: Timeframe, range: TimeRange) -> (String, String) {
    if timeframe.is_intraday() {
        let last = range.end.saturating_mul(1000).saturating_sub(1);
        return (range.start.saturating_mul(1000).to_string(), last.to_string());
    }
    (date(range.start), date(range.end.saturating_sub(1)))
}

/// The date of an instant in UTC.
fn date(ts: i64) -> String {
    DateTime::from_timestamp(ts, 0).map_or_else(String::new, |at| at.date_naive().to_string())
}

/// The text of an error stands under `error` in some bodies and under `message` in others.
#[derive(Deserialize, Default)]
struct ErrorBody {
    error: Option<Words>,
    message: Option<Words>,
}

/// The fault behind an answer with an error code.
fn refusal(reply: &Reply) -> Fault {
    let body: ErrorBody = serde_json::from_str(&reply.body).unwrap_or_default();
    let words = body.error.or(body.message);
    let words = words.as_deref().unwrap_or_else(|| plain_words(reply));
    refused(reply, usual_kind(reply.status), words)
}

/// Refuses an answer whose `status` says that it is none, whatever its code.
fn accept(reply: &Reply, status: &str, words: &str) -> Result<(), Fault> {
    match status {
        "OK" | "DELAYED" => Ok(()),
        "NOT_AUTHORIZED" => Err(fault_of(reply, ErrorKind::NotEntitled, words)),
        "NOT_FOUND" => Err(fault_of(reply, ErrorKind::NotFound, words)),
        "ERROR" => Err(refused(reply, ErrorKind::BadRequest, words)),
        other => Err(malformed(reply, format!("unknown status `{other}`: {words}"))),
    }
}

/// The fault behind `words`, which came under a status that usually means `usual`.
fn refused(reply: &Reply, usual: ErrorKind, words: &str) -> Fault {
    fault_of(reply, kind_of_words(words, usual), words)
}

/// Some refusals come under a wrong code.
fn kind_of_words(words: &str, usual: ErrorKind) -> ErrorKind {
    if usual != ErrorKind::BadRequest {
        return usual;
    }
    if words.contains("API Key") {
        ErrorKind::Auth
    } else if words.contains("exceeded the maximum requests") {
        ErrorKind::RateLimited
    } else {
        usual
    }
}
