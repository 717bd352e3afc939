//! Coinbase Exchange: candles of crypto pairs, without a key.
//!
//! Wire format: `GET /products/{id}/candles`; an array of arrays of six, newest first, in the order
//! time (seconds), low, high, open, close, volume; both ends of the range are inclusive and it holds
//! at most 300 buckets. There are no pages. Source: the exchange's public API documentation.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::calendar::Layout;
use crate::domain::bar::Bar;
use crate::domain::policy::{Publication, RateLimit};
use crate::domain::range::TimeRange;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::AssetClass;
use crate::domain::timeframe::Timeframe;

use super::bounded::{Rows, Words};
use super::reading::{
    fault_of, first_column, malformed, not_json, only_symbol, pair, plain_words, rfc3339,
    rows_one_by_one, usual_kind,
};
use super::{Answer, Ask, Defaults, KeyUse, Page, Provider, Reach, Reply, Request};

/// `kind = "coinbase"`.
pub(super) struct Coinbase;

/// The most buckets that a request may span; a longer one is refused whole.
const MOST_BUCKETS: u32 = 300;

impl Provider for Coinbase {
    fn kind(&self) -> &'static str {
        "coinbase"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            base_url: "https://api.exchange.coinbase.com",
            rate: RateLimit { requests: 10, per: Duration::from_secs(1), burst: None },
            history: None,
            publication: Publication::default(),
            page_limit: MOST_BUCKETS,
            key: KeyUse::None,
        }
    }

    fn asset_classes(&self) -> &'static [AssetClass] {
        &[AssetClass::Crypto]
    }

    fn timeframes(&self) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, M1, M5, M15};
        &[M1, M5, M15, H1, D1]
    }

    fn layout(&self, _class: AssetClass) -> Layout {
        Layout::default()
    }

    fn reach(&self, timeframe: Timeframe, page_limit: u32) -> Reach {
        Reach::Seconds(i64::from(page_limit.min(MOST_BUCKETS)) * timeframe.seconds())
    }

    fn depth(&self, _timeframe: Timeframe) -> Option<i64> {
        None
    }

    fn request(&self, ask: &Ask<'_>) -> Request {
        let (start, end) = ends(ask.range, ask.timeframe.seconds());
        Request {
            path: ["products", only_symbol(ask), "candles"].map(str::to_owned).to_vec(),
            query: vec![
                pair("granularity", ask.timeframe.seconds()),
                pair("start", rfc3339(start)),
                pair("end", rfc3339(end)),
            ],
            ..Request::default()
        }
    }

    fn read(&self, _ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault> {
        if reply.status != 200 || reply.body.trim_start().starts_with('{') {
            return refused(reply);
        }
        let rows: Rows<&RawValue> =
            serde_json::from_str(&reply.body).map_err(|error| not_json(reply, &error))?;
        let (mut bars, mut broken) = rows_one_by_one(reply, &rows, bar, first_column)?;
        // Turned round, so that a row out of its place still shows as one.
        bars.reverse();
        broken.reverse();
        Ok(Page::last_of(Answer { bars, broken, ..Answer::default() }))
    }
}

/// The first and the last bucket of `range`, both of which are answered.
fn ends(range: TimeRange, length: i64) -> (i64, i64) {
    let floor = |ts: i64| ts.saturating_sub(ts.rem_euclid(length));
    let first = floor(range.start.saturating_add(length - 1));
    let last = floor(range.end.saturating_sub(1));
    // An end that is not after the start is refused.
    (first, last.max(first.saturating_add(1)))
}

/// Time in seconds, low, high, open, close, volume.
#[derive(Deserialize)]
struct Candle(i64, f64, f64, f64, f64, f64);

/// The bar of a row; `None` when one of its numbers does not read.
fn bar(raw: &str) -> Option<Bar> {
    let Candle(ts, low, high, open, close, volume) = serde_json::from_str(raw).ok()?;
    Some(Bar { ts, open, high, low, close, volume: Some(volume), vwap: None, trades: None })
}

/// `{"message": "..."}`.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: Words,
}

/// What is behind an answer that is no list of rows: mostly a fault.
fn refused(reply: &Reply) -> Result<Page, Fault> {
    let words = match serde_json::from_str::<ErrorBody>(&reply.body) {
        Ok(body) => body.message.0,
        Err(error) if reply.status == 200 => return Err(not_json(reply, &error)),
        Err(_) => plain_words(reply).to_owned(),
    };
    // A range before the pair's first trade.
    if reply.status == 400 && words.contains("End is too old") {
        return Ok(Page::last_of(Answer::default()));
    }
    let kind = match reply.status {
        200 if words.is_empty() => {
            return Err(malformed(reply, "the answer is an object, not a list of rows"));
        }
        200 if words == "NotFound" => ErrorKind::NotFound,
        200 if words.to_ascii_lowercase().contains("rate limit") => ErrorKind::RateLimited,
        200 => ErrorKind::BadRequest,
        status => usual_kind(status),
    };
    Err(fault_of(reply, kind, &words))
}
