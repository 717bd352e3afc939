//! The chart itself: parallel arrays, and the rows in them that are no bars.
//!
//! Rows with a null are dropped, and those that [`sessions`](super::sessions) tells from windows.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::bar::{Adjustment, Bar, RejectReason, Rejection};
use crate::domain::run::Fault;
use crate::domain::series::AssetClass;
use crate::domain::timeframe::Timeframe;

use super::super::reading::{check_symbol, malformed};
use super::super::text::shown;
use super::super::{Answer, Ask, Reply};
use super::sessions::Sessions;

/// One symbol's chart.
#[derive(Deserialize)]
pub(super) struct Series<'a> {
    #[serde(borrow)]
    meta: Meta<'a>,
    /// Seconds; absent when there is nothing in the range.
    timestamp: Option<Vec<i64>>,
    #[serde(borrow)]
    indicators: Indicators<'a>,
}

/// What is said of the symbol. Anything may be absent. Its `gmtoffset` is of today, not of the bars.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta<'a> {
    symbol: Option<String>,
    pub(super) exchange_timezone_name: Option<String>,
    /// The last trade, seconds.
    pub(super) regular_market_time: Option<i64>,
    data_granularity: Option<String>,
    pub(super) current_trading_period: Option<TradingPeriod>,
    /// The sessions in the range, of intraday charts; of another shape when asked with pre-market.
    #[serde(borrow)]
    pub(super) trading_periods: Option<&'a RawValue>,
}

/// The current session, or the next one.
#[derive(Deserialize)]
pub(super) struct TradingPeriod {
    pub(super) regular: Option<Period>,
}

/// A session, seconds.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Period {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// The arrays.
#[derive(Deserialize)]
struct Indicators<'a> {
    #[serde(borrow)]
    quote: Vec<Quote<'a>>,
}

/// The cells, column by column; all absent when there is nothing in the range.
#[derive(Deserialize)]
struct Quote<'a> {
    #[serde(borrow)]
    open: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    high: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    low: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    close: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    volume: Option<Vec<&'a RawValue>>,
}

/// The cells of one row, unread.
pub(super) struct Row<'a> {
    pub(super) stamp: i64,
    prices: [&'a str; 4],
    /// `None` where the class has no volume.
    pub(super) volume: Option<&'a str>,
}

/// Reads a chart.
pub(super) fn answer(ask: &Ask<'_>, reply: &Reply, series: &Series<'_>) -> Result<Answer, Fault> {
    let symbol = series.meta.symbol.clone().unwrap_or_default();
    if !symbol.is_empty() {
        check_symbol(ask, reply, &symbol)?;
    }
    check_granularity(ask, reply, &series.meta)?;
    let rows = rows(ask, reply, series)?;
    let sessions = Sessions::of(ask, &series.meta);
    let mut answer = Answer { symbol, ..Answer::default() };
    for (index, row) in rows.iter().enumerate() {
        let next = rows.get(index + 1).map(|row| row.stamp);
        let before = index.checked_sub(1).and_then(|index| rows.get(index)).map(|row| row.stamp);
        if row.has_null() || sessions.is_no_window(row, before, next) {
            answer.dropped += 1;
            continue;
        }
        let ts = sessions.label(row.stamp);
        match row.bar(ts) {
            Some(bar) => answer.bars.push(bar),
            None => answer.broken.push(row.rejection(ts)),
        }
    }
    answer.adjustment = (!answer.bars.is_empty()).then_some(Adjustment::Splits);
    Ok(answer)
}

/// Hours have come for half hours.
fn check_granularity(ask: &Ask<'_>, reply: &Reply, meta: &Meta<'_>) -> Result<(), Fault> {
    let wanted = ask.timeframe.as_str();
    match meta.data_granularity.as_deref() {
        None => Ok(()),
        Some(found) if found == wanted => Ok(()),
        Some("60m") if ask.timeframe == Timeframe::H1 => Ok(()),
        Some(found) => {
            Err(malformed(reply, format!("the bars are of {found}, asked was {wanted}")))
        }
    }
}

/// The arrays turned into rows.
fn rows<'a>(ask: &Ask<'_>, reply: &Reply, series: &Series<'a>) -> Result<Vec<Row<'a>>, Fault> {
    let stamps = series.timestamp.as_deref().unwrap_or_default();
    let quote = match series.indicators.quote.as_slice() {
        [quote] => quote,
        _ if stamps.is_empty() => return Ok(Vec::new()),
        _ => {
            return Err(malformed(reply, "the answer does not hold one set of prices"));
        }
    };
    let uneven = || malformed(reply, "the arrays of the answer are not of one length");
    let column = |cells: &Option<Vec<&'a RawValue>>| {
        let cells: Vec<&'a str> = cells.iter().flatten().map(|cell| cell.get()).collect();
        if cells.len() == stamps.len() { Ok(cells) } else { Err(uneven()) }
    };
    let [open, high, low, close] =
        [column(&quote.open)?, column(&quote.high)?, column(&quote.low)?, column(&quote.close)?];
    let volume = if has_volume(ask.asset_class) { Some(column(&quote.volume)?) } else { None };
    let prices = open.into_iter().zip(high).zip(low.into_iter().zip(close));
    let rows = stamps.iter().zip(prices).enumerate();
    Ok(rows
        .map(|(index, (&stamp, ((open, high), (low, close))))| {
            let volume = volume.as_ref().and_then(|cells| cells.get(index).copied());
            Row { stamp, prices: [open, high, low, close], volume }
        })
        .collect())
}

/// Whether the 0 in the volume column can be one.
const fn has_volume(class: AssetClass) -> bool {
    !matches!(class, AssetClass::Index | AssetClass::Forex)
}

impl Row<'_> {
    fn has_null(&self) -> bool {
        self.prices.into_iter().chain(self.volume).any(|cell| cell == "null")
    }

    /// The bar; `None` when a number does not read.
    fn bar(&self, ts: i64) -> Option<Bar> {
        let number = |cell: &str| serde_json::from_str::<f64>(cell).ok();
        let [open, high, low, close] = self.prices;
        let volume = match self.volume {
            Some(cell) => Some(number(cell)?),
            None => None,
        };
        Some(Bar {
            ts,
            open: number(open)?,
            high: number(high)?,
            low: number(low)?,
            close: number(close)?,
            volume,
            vwap: None,
            trades: None,
        })
    }

    fn rejection(&self, ts: i64) -> Rejection {
        let cells: Vec<&str> = self.prices.into_iter().chain(self.volume).collect();
        let text = shown(&format!("{},{}", self.stamp, cells.join(",")));
        Rejection { ts: Some(ts), reason: RejectReason::InvalidNumber, text }
    }
}
