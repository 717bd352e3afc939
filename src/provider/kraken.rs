//! Kraken spot: candles of crypto and some currency pairs, without a key.
//!
//! Wire format: `GET /0/public/OHLC`; rows of eight, times in seconds, prices as strings, oldest
//! first, under Kraken's own name of the pair. `since` is exclusive, and whatever it says only the
//! newest 720 windows come. A window without trades comes too, as a filler row. Errors are told by the
//! body, not by the status. Source: the exchange's public API documentation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::calendar::{DayEnd, Intraday, Layout};
use crate::domain::bar::Bar;
use crate::domain::policy::{Publication, RateLimit};
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::AssetClass;
use crate::domain::timeframe::Timeframe;

use super::bounded::{ByName, Few, Rows, Words};
use super::reading::{
    fault_of, first_column, malformed, not_json, only_symbol, pair, plain_words, rows_one_by_one,
    usual_kind,
};
use super::{Answer, Ask, Defaults, KeyUse, Page, Provider, Reach, Reply, Request};

/// `kind = "kraken"`.
pub(super) struct Kraken;

/// So many windows, the newest, can be had.
const MOST_ROWS: u32 = 720;

impl Provider for Kraken {
    fn kind(&self) -> &'static str {
        "kraken"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            base_url: "https://api.kraken.com",
            rate: RateLimit { requests: 1, per: Duration::from_secs(1), burst: None },
            history: None,
            publication: Publication::default(),
            page_limit: MOST_ROWS,
            key: KeyUse::None,
        }
    }

    fn asset_classes(&self) -> &'static [AssetClass] {
        &[AssetClass::Crypto, AssetClass::Forex]
    }

    /// On which day its weeks begin is nowhere stated: `1w` is derived.
    fn timeframes(&self) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
        &[M1, M5, M15, M30, H1, H4, D1]
    }

    fn layout(&self, class: AssetClass) -> Layout {
        let day = if class == AssetClass::Forex { DayEnd::Utc } else { DayEnd::Session };
        Layout { intraday: Intraday::Clock, day }
    }

    fn reach(&self, timeframe: Timeframe, _page_limit: u32) -> Reach {
        Reach::Pages { seconds: i64::from(MOST_ROWS) * timeframe.seconds() }
    }

    fn depth(&self, timeframe: Timeframe) -> Option<i64> {
        Some(i64::from(MOST_ROWS) * timeframe.seconds())
    }

    fn request(&self, ask: &Ask<'_>) -> Request {
        let length = ask.timeframe.seconds();
        Request {
            path: ["0", "public", "OHLC"].map(str::to_owned).to_vec(),
            query: vec![
                pair("pair", only_symbol(ask)),
                pair("interval", length / 60),
                pair("since", ask.range.start.saturating_sub(length).max(0)),
            ],
            ..Request::default()
        }
    }

    fn read(&self, ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault> {
        let (mut result, last) = result_of(reply)?;
        let (Some((name, rows)), None) = (result.pop_first(), result.pop_first()) else {
            return Err(malformed(reply, "the answer is not for one pair"));
        };
        let symbol = only_symbol(ask);
        if !same_pair(symbol, &name) {
            let what = format!("the answer is for `{name}`, asked was `{symbol}`");
            return Err(malformed(reply, what));
        }
        let rows: Rows<&RawValue> =
            serde_json::from_str(rows.get()).map_err(|error| not_json(reply, &error))?;
        let (mut bars, mut broken) = rows_one_by_one(reply, &rows, bar, first_column)?;
        bars.retain(|bar| bar.ts <= last);
        // Of a row without a legible time it is told that it came.
        broken.retain(|row| row.ts.is_none_or(|ts| ts <= last));
        let dropped = rows.len().saturating_sub(bars.len() + broken.len()) as u64;
        let symbol = symbol.to_owned();
        Ok(Page::last_of(Answer { symbol, bars, broken, dropped, ..Answer::default() }))
    }
}

/// What every answer is, an error among them.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    error: Few<Words>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// Rows by pair, and the time of the newest row that is final.
fn result_of(reply: &Reply) -> Result<(BTreeMap<String, &RawValue>, i64), Fault> {
    let body: Body<'_> = match serde_json::from_str(&reply.body) {
        Ok(body) => body,
        Err(error) if reply.status == 200 => return Err(not_json(reply, &error)),
        Err(_) => {
            return Err(fault_of(reply, usual_kind(reply.status), plain_words(reply)));
        }
    };
    if !body.error.is_empty() {
        let words = body.error.iter().map(|words| &**words).collect::<Vec<_>>().join("; ");
        return Err(fault_of(reply, kind_of_words(&words, reply.status), &words));
    }
    if reply.status != 200 {
        return Err(fault_of(reply, usual_kind(reply.status), ""));
    }
    let result =
        body.result.ok_or_else(|| malformed(reply, "the answer has neither result nor error"))?;
    let ByName(mut result): ByName<&RawValue> =
        serde_json::from_str(result.get()).map_err(|error| not_json(reply, &error))?;
    // Some have met it as a string.
    let last = result.remove("last").and_then(|raw| raw.get().trim_matches('"').parse().ok());
    let last =
        last.ok_or_else(|| malformed(reply, "the answer does not say which row is the last"))?;
    Ok((result, last))
}

/// What an error says of itself, in Kraken's `ECategory:Text` form.
fn kind_of_words(words: &str, status: u16) -> ErrorKind {
    const KINDS: &[(ErrorKind, &[&str])] = &[
        (
            ErrorKind::RateLimited,
            &["Too many requests", "Rate limit exceeded", "Temporary lockout"],
        ),
        (ErrorKind::Server, &["EService:", "Internal error"]),
        (ErrorKind::NotFound, &["Unknown asset", "Invalid asset pair"]),
        (ErrorKind::BadRequest, &["Invalid arguments"]),
    ];
    let known = KINDS.iter().find(|(_, texts)| texts.iter().any(|text| words.contains(text)));
    match known {
        Some((kind, _)) => *kind,
        None if status == 200 => ErrorKind::BadRequest,
        None => usual_kind(status),
    }
}

/// Whether Kraken's own name of a pair can be meant by the one asked for: asked `XBTUSD`, it answers
/// under `XXBTZUSD`; both name the same currencies in the same order.
fn same_pair(asked: &str, answered: &str) -> bool {
    let asked = asked.replace('/', "").replace("BTC", "XBT").replace("DOGE", "XDG");
    let answered = answered.replace('/', "").replace("BTC", "XBT").replace("DOGE", "XDG");
    let mut wanted = asked.chars().peekable();
    // Two letters, X and Z, are all that the longer name has besides.
    let besides = |c| matches!(c, 'X' | 'Z');
    answered.len() <= asked.len() + 2
        && answered.chars().all(|c| wanted.next_if_eq(&c).is_some() || besides(c))
        && wanted.peek().is_none()
}

/// Time in seconds, open, high, low, close, vwap, volume, count of trades.
#[derive(Deserialize)]
struct Row<'a>(
    i64,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    i64,
);

/// The bar of a row; `None` when one of its numbers does not read.
fn bar(raw: &str) -> Option<Bar> {
    let Row(ts, open, high, low, close, vwap, volume, trades) = serde_json::from_str(raw).ok()?;
    let vwap: f64 = vwap.parse().ok()?;
    Some(Bar {
        ts,
        open: open.parse().ok()?,
        high: high.parse().ok()?,
        low: low.parse().ok()?,
        close: close.parse().ok()?,
        volume: Some(volume.parse().ok()?),
        // A filler row's 0 is no price.
        vwap: (vwap != 0.0).then_some(vwap),
        trades: Some(trades),
    })
}
