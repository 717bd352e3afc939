//! Yahoo Finance: charts of stocks, funds, indices, currencies and crypto, without a key.
//!
//! Wire format: `GET /v8/finance/chart/{symbol}`, which nobody documents or promises; an object of
//! parallel arrays, times in seconds, one answer however long. Prices are adjusted for splits, always.
//! Source: recordings and the issues of public clients. How the payload reads is in [`chart`].

use std::time::Duration;

use serde::Deserialize;

use crate::calendar::{DayEnd, Intraday, Layout};
use crate::domain::bar::Adjustment;
use crate::domain::policy::{Publication, RateLimit};
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::AssetClass;
use crate::domain::timeframe::{DAY, Timeframe};

use super::bounded::{Few, Words};
use super::reading::{fault_of, malformed, not_json, only_symbol, pair, plain_words, usual_kind};
use super::{Answer, Ask, Defaults, KeyUse, Page, Provider, Reach, Reply, Request};

mod chart;
mod sessions;

/// `kind = "yahoo"`.
pub(super) struct Yahoo;

/// A library's own name is answered with 429 or 403.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                          Chrome/128.0.0.0 Safari/537.36";

impl Provider for Yahoo {
    fn kind(&self) -> &'static str {
        "yahoo"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            base_url: "https://query1.finance.yahoo.com",
            // Nothing is published; who goes faster is shut out for hours.
            rate: RateLimit { requests: 1, per: Duration::from_secs(1), burst: None },
            history: None,
            publication: Publication { lag: Duration::from_secs(20 * 60), end_of_day: None },
            // There are no pages; the longest answer, 730 days of hours, has 17 520 rows.
            page_limit: 20_000,
            key: KeyUse::None,
        }
    }

    fn asset_classes(&self) -> &'static [AssetClass] {
        &AssetClass::ALL
    }

    fn timeframes(&self) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, M1, M5, M15, M30};
        &[M1, M5, M15, M30, H1, D1]
    }

    fn adjustment(&self, _adjusted: bool) -> Adjustment {
        Adjustment::Splits
    }

    /// A currency's day ends at midnight in London, at 24:00 UTC at the latest.
    fn layout(&self, class: AssetClass) -> Layout {
        match class {
            AssetClass::Crypto => Layout::default(),
            AssetClass::Forex => Layout { intraday: Intraday::Clock, day: DayEnd::Utc },
            AssetClass::Stock | AssetClass::Etf | AssetClass::Index => {
                Layout { intraday: Intraday::Session, day: DayEnd::Session }
            }
        }
    }

    fn reach(&self, timeframe: Timeframe, _page_limit: u32) -> Reach {
        match limits(timeframe) {
            // One interval is asked besides at either end.
            Some((span, _)) => Reach::Seconds(span - 2 * timeframe.seconds()),
            None => Reach::Pages { seconds: 36_525 * DAY },
        }
    }

    fn depth(&self, timeframe: Timeframe) -> Option<i64> {
        // A day less, for the interval asked besides and for the time from plan to request: what
        // reaches a minute too far back is refused whole.
        limits(timeframe).map(|(_, history)| history - DAY)
    }

    fn request(&self, ask: &Ask<'_>) -> Request {
        let length = ask.timeframe.seconds();
        let path = ["v8", "finance", "chart", only_symbol(ask)];
        Request {
            path: path.map(str::to_owned).to_vec(),
            query: vec![
                // A day is stamped with its open, which in Sydney is the evening before in UTC, and
                // whether the end is inclusive has changed.
                pair("period1", ask.range.start.saturating_sub(length)),
                pair("period2", ask.range.end.saturating_add(length)),
                pair("interval", ask.timeframe),
                pair("includePrePost", "false"),
                pair("events", "div|split|capitalGains"),
                pair("includeAdjustedClose", "true"),
            ],
            headers: vec![("User-Agent", USER_AGENT)],
            handed_out: None,
        }
    }

    fn read(&self, ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault> {
        let body: Body<'_> = match serde_json::from_str(&reply.body) {
            Ok(body) => body,
            Err(error) => return Err(no_chart(reply, &error)),
        };
        if let Some(error) = &body.chart.error {
            return refused(reply, error);
        }
        if reply.status != 200 {
            return Err(fault_of(reply, kind_of_status(reply.status), ""));
        }
        let results = body.chart.result.unwrap_or_default();
        let [series] = &*results else {
            return Err(malformed(reply, "the answer does not hold one result"));
        };
        Ok(Page::last_of(chart::answer(ask, reply, series)?))
    }
}

/// The longest span of a request and how far back there is anything, in seconds.
const fn limits(timeframe: Timeframe) -> Option<(i64, i64)> {
    match timeframe {
        Timeframe::M1 => Some((7 * DAY, 30 * DAY)),
        Timeframe::M5 | Timeframe::M15 | Timeframe::M30 => Some((60 * DAY, 60 * DAY)),
        Timeframe::H1 | Timeframe::H4 => Some((730 * DAY, 730 * DAY)),
        Timeframe::D1 | Timeframe::W1 => None,
    }
}

/// The outermost object; refusals of the front door stand under another key.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, alias = "finance")]
    chart: Outcome<'a>,
}

/// A result or an error.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow)]
    result: Option<Few<chart::Series<'a>>>,
    error: Option<ErrorBody>,
}

/// What went wrong, in a word and in a sentence.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: Option<Words>,
    #[serde(default)]
    description: Option<Words>,
}

/// What an error means, which is not always a failure.
fn refused(reply: &Reply, error: &ErrorBody) -> Result<Page, Fault> {
    let code = error.code.as_deref().unwrap_or_default();
    let words = error.description.as_deref().unwrap_or_default();
    if words.contains("Data doesn't exist for startDate")
        || words.contains("Timestamp data missing")
    {
        return Ok(Page::last_of(Answer::default()));
    }
    let kind = kind_of_words(words).unwrap_or(match reply.status {
        _ if code == "Not Found" => ErrorKind::NotFound,
        200 => ErrorKind::BadRequest,
        status => kind_of_status(status),
    });
    Err(fault_of(reply, kind, &format!("{code}: {words}")))
}

/// The fault behind a body that is no chart: plain text, a web page, or a chart of an unknown shape.
fn no_chart(reply: &Reply, error: &serde_json::Error) -> Fault {
    let is_json = reply.body.trim_start().starts_with('{');
    match kind_of_words(&reply.body).filter(|_| !is_json) {
        Some(kind) => fault_of(reply, kind, plain_words(reply)),
        None if reply.status == 200 => not_json(reply, error),
        None => fault_of(reply, kind_of_status(reply.status), plain_words(reply)),
    }
}

/// Words that say more than the status that they come with.
fn kind_of_words(words: &str) -> Option<ErrorKind> {
    const KINDS: &[(&str, ErrorKind)] = &[
        ("Too Many Requests", ErrorKind::RateLimited),
        ("Will be right back", ErrorKind::Server),
        // None is sent and none is needed: a mood of the server.
        ("Invalid Crumb", ErrorKind::Server),
        ("Invalid Cookie", ErrorKind::Server),
    ];
    KINDS.iter().find(|(text, _)| words.contains(text)).map(|(_, kind)| *kind)
}

/// What a status means here.
const fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        // The front door, not a wrong key: there is no key.
        403 => ErrorKind::RateLimited,
        status => usual_kind(status),
    }
}
