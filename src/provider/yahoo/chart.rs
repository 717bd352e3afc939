//! The chart itself: parallel arrays, and the rows in them that are no bars.
//!
//! Rows with a null are dropped, and those that [`sessions`](super::sessions) tells from windows.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::bar::{Adjustment, Bar, BarFields, RejectReason, Rejection};
use crate::domain::run::Fault;
use crate::domain::series::AssetClass;
use crate::domain::timeframe::Timeframe;

use super::super::bounded::{Few, Rows, Words};
use super::super::reading::{check_symbol, malformed, row_text};
use super::super::{Answer, Ask, Reply};
use super::sessions::Sessions;

/// One symbol's chart.
#[derive(Deserialize)]
pub(super) struct Series<'a> {
    #[serde(borrow)]
    meta: Meta<'a>,
    /// Seconds; absent when there is nothing in the range.
    timestamp: Option<Rows<i64>>,
    #[serde(borrow)]
    indicators: Indicators<'a>,
}

/// What is said of the symbol. Anything may be absent. Its `gmtoffset` is of today, not of the bars.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta<'a> {
    symbol: Option<Words>,
    pub(super) exchange_timezone_name: Option<Words>,
    /// The last trade, seconds.
    pub(super) regular_market_time: Option<i64>,
    data_granularity: Option<Words>,
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
    quote: Few<Quote<'a>>,
}

/// The cells, column by column; all absent when there is nothing in the range.
#[derive(Deserialize)]
struct Quote<'a> {
    #[serde(borrow)]
    open: Option<Rows<&'a RawValue>>,
    #[serde(borrow)]
    high: Option<Rows<&'a RawValue>>,
    #[serde(borrow)]
    low: Option<Rows<&'a RawValue>>,
    #[serde(borrow)]
    close: Option<Rows<&'a RawValue>>,
    #[serde(borrow)]
    volume: Option<Rows<&'a RawValue>>,
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
    let Words(symbol) = series.meta.symbol.clone().unwrap_or_default();
    if !symbol.is_empty() {
        check_symbol(ask, reply, &symbol)?;
    }
    check_granularity(ask, reply, &series.meta)?;
    let stamps = series.timestamp.as_deref().unwrap_or_default();
    let sessions = Sessions::of(ask, &series.meta);
    let mut answer = Answer { symbol, ..Answer::default() };
    for (index, row) in rows(ask, reply, series)?.enumerate() {
        let next = stamps.get(index + 1).copied();
        let before = index.checked_sub(1).and_then(|index| stamps.get(index)).copied();
        if row.has_null() || sessions.is_no_window(&row, before, next) {
            answer.dropped += 1;
            continue;
        }
        let ts = sessions.label(row.stamp);
        match row.bar(ts) {
            Some(bar) => answer.bars.push(bar),
            None => answer.broken.push(row.rejection(ts, answer.broken.len())),
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
fn rows<'s, 'a>(
    ask: &Ask<'_>,
    reply: &Reply,
    series: &'s Series<'a>,
) -> Result<impl Iterator<Item = Row<'a>> + use<'s, 'a>, Fault> {
    static NONE: Quote<'_> = Quote { open: None, high: None, low: None, close: None, volume: None };
    let stamps = series.timestamp.as_deref().unwrap_or_default();
    let quote = match &*series.indicators.quote {
        [quote] => quote,
        _ if stamps.is_empty() => &NONE,
        _ => {
            return Err(malformed(reply, "the answer does not hold one set of prices"));
        }
    };
    let uneven = || malformed(reply, "the arrays of the answer are not of one length");
    let column = |cells: &'s Option<Rows<&'a RawValue>>| {
        let cells = cells.as_deref().unwrap_or_default();
        if cells.len() == stamps.len() { Ok(cells) } else { Err(uneven()) }
    };
    let [open, high, low, close] =
        [column(&quote.open)?, column(&quote.high)?, column(&quote.low)?, column(&quote.close)?];
    let volume = if has_volume(ask.asset_class) { Some(column(&quote.volume)?) } else { None };
    Ok(stamps.iter().enumerate().map(move |(index, &stamp)| {
        // The columns are as long as the stamps.
        let prices = [open, high, low, close].map(|cells| cells[index].get());
        Row { stamp, prices, volume: volume.map(|cells| cells[index].get()) }
    }))
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

    fn rejection(&self, ts: i64, before: usize) -> Rejection {
        let cells: Vec<&str> = self.prices.into_iter().chain(self.volume).collect();
        let text = row_text(before, &format!("{},{}", self.stamp, cells.join(",")));
        Rejection {
            ts: Some(ts),
            reason: RejectReason::InvalidNumber,
            fields: BarFields::NONE,
            text,
        }
    }
}
