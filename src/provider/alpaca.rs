//! Alpaca: bars of US stocks, and of crypto pairs, with a key of two halves.
//!
//! Wire format: `GET /v2/stocks/bars` and `GET /v1beta3/crypto/us/bars`, several symbols a request;
//! rows by symbol, times in RFC 3339, both ends inclusive, `limit` counted over all symbols, pages
//! chained by `next_page_token`. Source: the provider's official Go and Python clients.

use std::time::Duration;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::calendar::Layout;
use crate::domain::bar::{Adjustment, Bar};
use crate::domain::policy::{Publication, RateLimit};
use crate::domain::range::TimeRange;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::AssetClass;
use crate::domain::time::day_start;
use crate::domain::timeframe::Timeframe;
use crate::domain::zone::Zone;

use super::bounded::{ByName, Rows, Words};
use super::reading::{
    check_symbol, day_label, fault_of, joined, not_json, pair, plain_words, rfc3339,
    rows_one_by_one, usual_kind,
};
use super::{Answer, Ask, Cursor, Defaults, KeyUse, Page, Provider, Reach, Reply, Request};

/// `kind = "alpaca"`.
pub(super) struct Alpaca;

/// The most rows, of all symbols together, that one answer holds.
const MOST_ROWS: u32 = 10_000;

impl Provider for Alpaca {
    fn kind(&self) -> &'static str {
        "alpaca"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            base_url: "https://data.alpaca.markets",
            rate: RateLimit { requests: 200, per: Duration::from_secs(60), burst: None },
            history: None,
            // The free plan refuses the last 15 minutes.
            publication: Publication { lag: Duration::from_secs(20 * 60), end_of_day: None },
            page_limit: MOST_ROWS,
            key: KeyUse::Headers { key: "APCA-API-KEY-ID", second: "APCA-API-SECRET-KEY" },
        }
    }

    fn asset_classes(&self) -> &'static [AssetClass] {
        &[AssetClass::Stock, AssetClass::Etf, AssetClass::Crypto]
    }

    fn timeframes(&self) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
        &[M1, M5, M15, M30, H1, H4, D1]
    }

    fn layout(&self, _class: AssetClass) -> Layout {
        Layout::default()
    }

    fn reach(&self, timeframe: Timeframe, page_limit: u32) -> Reach {
        Reach::Pages { seconds: i64::from(page_limit.min(MOST_ROWS)) * timeframe.seconds() }
    }

    fn depth(&self, _timeframe: Timeframe) -> Option<i64> {
        None
    }

    fn request(&self, ask: &Ask<'_>) -> Request {
        let crypto = ask.asset_class == AssetClass::Crypto;
        let path: &[&str] =
            if crypto { &["v1beta3", "crypto", "us", "bars"] } else { &["v2", "stocks", "bars"] };
        let mut query = vec![
            pair("symbols", joined(ask)),
            pair("timeframe", wire_timeframe(ask.timeframe)),
            pair("start", rfc3339(ask.range.start)),
            pair("end", rfc3339(last_stamp(ask.timeframe, ask.range))),
            pair("limit", ask.page_limit.min(MOST_ROWS)),
            pair("sort", "asc"),
        ];
        if !crypto {
            query.push(pair("adjustment", if ask.adjusted { "split" } else { "raw" }));
        }
        if let Some(Cursor::Token(token)) = ask.cursor {
            query.push(pair("page_token", token));
        }
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Request { path, query, ..Request::default() }
    }

    fn read(&self, ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault> {
        if reply.status != 200 {
            return Err(refusal(reply));
        }
        let body: Body<'_> = match serde_json::from_str(&reply.body) {
            Ok(body) => body,
            Err(_) if message_of(reply).is_some() => return Err(refusal(reply)),
            Err(error) => return Err(not_json(reply, &error)),
        };
        let mut answers = Vec::new();
        for (symbol, rows) in body.bars.unwrap_or_default().0 {
            check_symbol(ask, reply, &symbol)?;
            answers.push(answer(ask, reply, symbol, &rows.unwrap_or_default())?);
        }
        let token = body.next_page_token.filter(|token| !token.is_empty());
        let next = token.map(|Words(token)| Cursor::Token(token));
        Ok(Page { answers, next })
    }
}

/// How a timeframe is asked for. `1w` never is: it is derived.
const fn wire_timeframe(timeframe: Timeframe) -> &'static str {
    match timeframe {
        Timeframe::M1 => "1Min",
        Timeframe::M5 => "5Min",
        Timeframe::M15 => "15Min",
        Timeframe::M30 => "30Min",
        Timeframe::H1 => "1Hour",
        Timeframe::H4 => "4Hour",
        Timeframe::D1 => "1Day",
        Timeframe::W1 => "1Week",
    }
}

/// The last stamp that can be a bar's of `range`, for an end that is inclusive.
///
/// A day is stamped with midnight in New York or Chicago, at 06:00 UTC at the latest. Asking no
/// further matters on the day itself: an end in the last 15 minutes, or ahead, is refused.
fn last_stamp(timeframe: Timeframe, range: TimeRange) -> i64 {
    let last = range.end.saturating_sub(1);
    if timeframe.is_intraday() {
        return last;
    }
    day_start(last).saturating_add(6 * 3_600)
}

/// Rows by symbol; one without rows is absent. `bars` must be there, but may be null.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    bars: Option<ByName<Option<Rows<&'a RawValue>>>>,
    next_page_token: Option<Words>,
}

/// One symbol's part of the page.
fn answer(
    ask: &Ask<'_>,
    reply: &Reply,
    symbol: String,
    rows: &[&RawValue],
) -> Result<Answer, Fault> {
    let (bars, broken) = rows_one_by_one(
        reply,
        rows,
        |raw| serde_json::from_str::<Row>(raw).ok()?.bar(ask),
        |raw| label(ask, &serde_json::from_str::<Stamp>(raw).ok()?.t),
    )?;
    // The answer does not repeat what was asked for.
    let adjusted = ask.adjusted && ask.asset_class != AssetClass::Crypto;
    let adjustment = if adjusted { Adjustment::Splits } else { Adjustment::Raw };
    let adjustment = (!bars.is_empty()).then_some(adjustment);
    Ok(Answer { symbol, bars, broken, adjustment, ..Answer::default() })
}

/// One bar. `t` is the start of its window; a whole price comes as an integer.
#[derive(Deserialize)]
struct Row {
    t: String,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: f64,
    vw: Option<f64>,
    n: Option<i64>,
}

/// The part of a row that says when.
#[derive(Deserialize)]
struct Stamp {
    t: String,
}

impl Row {
    /// The bar; `None` when its time does not read.
    fn bar(&self, ask: &Ask<'_>) -> Option<Bar> {
        Some(Bar {
            ts: label(ask, &self.t)?,
            open: self.o,
            high: self.h,
            low: self.l,
            close: self.c,
            volume: Some(self.v),
            vwap: self.vw,
            trades: self.n,
        })
    }
}

/// The `ts` of a row: for days the date in New York, and for crypto in UTC, since its days have been
/// stamped with midnight in several places, all of them on the same date there.
fn label(ask: &Ask<'_>, stamp: &str) -> Option<i64> {
    let seconds = DateTime::parse_from_rfc3339(stamp).ok()?.timestamp();
    let zone = if ask.asset_class == AssetClass::Crypto { Zone::UTC } else { Zone::NEW_YORK };
    Some(if ask.timeframe.is_intraday() { seconds } else { day_label(seconds, zone) })
}

/// `{"message": "..."}`, with or without a code of its own.
#[derive(Deserialize)]
struct ErrorBody {
    message: Words,
}

/// The provider's own words, if that is what the answer is.
fn message_of(reply: &Reply) -> Option<String> {
    serde_json::from_str::<ErrorBody>(&reply.body).ok().map(|body| body.message.0)
}

/// The fault behind an error. A wrong key and a plan without the data are both 403; only the words
/// tell them apart.
fn refusal(reply: &Reply) -> Fault {
    let words = message_of(reply).unwrap_or_else(|| plain_words(reply).to_owned());
    let of_plan = words.contains("subscription");
    let kind = match reply.status {
        403 | 422 if of_plan => ErrorKind::NotEntitled,
        403 => ErrorKind::Auth,
        200 if of_plan => ErrorKind::NotEntitled,
        200 => ErrorKind::BadRequest,
        status => usual_kind(status),
    };
    fault_of(reply, kind, &words)
}
