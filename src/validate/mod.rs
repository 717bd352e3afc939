//! Sorts the rows of an answer into bars that can be stored, rows that cannot be true, and rows that
//! are left out. Pure, and never fails: accepted + rejected + dropped + repeated = rows.
//!
//! It judges single rows and repeated times. What is merely suspicious is stored, and judged elsewhere.

use crate::calendar::{Calendar, Layout};
use crate::domain::bar::{Bar, BarFields, RejectReason, Rejection};
use crate::domain::range::TimeRange;
use crate::domain::timeframe::{DAY, Timeframe};

/// How far open and close may lie outside [low, high], relatively: the noise of floating point.
const TOLERANCE: f64 = 1e-9;

/// By so many seconds a window ends, at most, after its label and its length: a label is a date in UTC, and
/// the session of that date may end on the next one.
const MOST_BEYOND: i64 = DAY;

/// What an answer is held against.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// How long its bars are.
    pub timeframe: Timeframe,
    /// When its market trades.
    pub calendar: &'a Calendar,
    /// How its provider cuts bars.
    pub layout: Layout,
    /// Which `ts` were asked for.
    pub asked: TimeRange,
    /// The instant as of which bars are finished.
    pub now: i64,
    /// Where the rows come from.
    pub origin: Origin,
}

/// Where rows come from: who is to blame for a running or foreign one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A provider, which always sends the running bar and rounds ranges: such rows are dropped.
    Provider,
    /// A file, in which such a row is a mistake: it is rejected.
    File,
}

/// An answer, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// What can be stored: ascending, unique by `ts`.
    pub accepted: Vec<Bar>,
    /// What cannot be true.
    pub rejected: Vec<Rejection>,
    /// Running bars, and rows outside the asked range.
    pub dropped: u64,
    /// Rows that said what one before them had said: the `ts` of each, and its line where it has one.
    pub repeated: Vec<(i64, Option<u64>)>,
}

impl Checked {
    /// How many rows were judged.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.accepted.len() + self.rejected.len() + self.dropped as usize + self.repeated.len()
    }
}

/// What becomes of one row.
enum Verdict {
    Accept,
    Reject(RejectReason),
    Drop,
}

/// Sorts `bars`. `line` gives the place of the row with that index, where rows have places.
#[must_use]
pub fn check(
    mut bars: Vec<Bar>,
    context: &Context<'_>,
    line: impl Fn(usize) -> Option<u64>,
) -> Checked {
    let mut checked = Checked::default();
    let mut kept: Vec<usize> = Vec::new();
    let mut index = 0;
    bars.retain_mut(|bar| {
        let place = index;
        index += 1;
        match judge(bar, context) {
            Verdict::Accept => {
                clean(bar);
                // Places are needed only to name repeated rows, and then only those that were left.
                if checked.rejected.len() as u64 + checked.dropped > 0 || !kept.is_empty() {
                    kept.push(place);
                }
                true
            }
            Verdict::Drop => {
                checked.dropped += 1;
                false
            }
            Verdict::Reject(reason) => {
                checked.rejected.push(rejection(bar, reason, line(place)));
                false
            }
        }
    });
    if !bars.is_sorted_by(|a, b| a.ts < b.ts) {
        // Rows before the first one that was left out are where they were.
        let moved = bars.len() - kept.len();
        let places: Vec<usize> = (0..moved).chain(kept).collect();
        bars = without_repeated(bars, &places, &mut checked, line);
    }
    checked.accepted = bars;
    checked
}

/// The first rule that a row breaks. A row with an unreadable number or a price that is none is
/// judged for nothing further.
fn judge(bar: &Bar, context: &Context<'_>) -> Verdict {
    let prices = [bar.open, bar.high, bar.low, bar.close];
    if prices.iter().chain(bar.volume.as_ref()).any(|value| !value.is_finite()) {
        return Verdict::Reject(RejectReason::InvalidNumber);
    }
    if prices.iter().any(|price| *price <= 0.0) {
        return Verdict::Reject(RejectReason::NonpositivePrice);
    }
    if let Some(verdict) = judge_time(bar.ts, context) {
        return verdict;
    }
    if bar.high < bar.low {
        return Verdict::Reject(RejectReason::HighLtLow);
    }
    if is_outside(bar, bar.open) || is_outside(bar, bar.close) {
        return Verdict::Reject(RejectReason::OhlcOutOfRange);
    }
    if bar.volume.is_some_and(|volume| volume < 0.0) {
        return Verdict::Reject(RejectReason::NegativeVolume);
    }
    Verdict::Accept
}

/// Whether the time makes a row none of those asked for; `None` when it is one.
fn judge_time(ts: i64, context: &Context<'_>) -> Option<Verdict> {
    let at_fault = |reason| match context.origin {
        Origin::Provider => Verdict::Drop,
        Origin::File => Verdict::Reject(reason),
    };
    let Context { timeframe, layout, .. } = *context;
    if ts > context.now {
        return Some(at_fault(RejectReason::FutureTs));
    }
    if !context.calendar.on_grid(timeframe, layout, ts) {
        return Some(Verdict::Reject(RejectReason::OffGridTs));
    }
    // Most windows are long over: no calendar is asked for their end.
    let latest_end = ts.saturating_add(timeframe.seconds() + MOST_BEYOND);
    if latest_end > context.now && context.calendar.close_at(timeframe, layout, ts) > context.now {
        return Some(at_fault(RejectReason::UnfinishedBar));
    }
    (!context.asked.contains(ts)).then(|| at_fault(RejectReason::ForeignTs))
}

/// A stored bar's optional numbers are real or absent.
fn clean(bar: &mut Bar) {
    bar.vwap = bar.vwap.filter(|vwap| vwap.is_finite() && *vwap > 0.0);
    bar.trades = bar.trades.filter(|trades| *trades >= 0);
}

/// The bars in the order of their time. Of those with one time, identical ones become one, and of
/// differing ones none remains: nobody can tell which of them is true.
fn without_repeated(
    bars: Vec<Bar>,
    places: &[usize],
    checked: &mut Checked,
    line: impl Fn(usize) -> Option<u64>,
) -> Vec<Bar> {
    let mut placed: Vec<(Bar, usize)> = bars.into_iter().zip(places.iter().copied()).collect();
    placed.sort_by_key(|(bar, _)| bar.ts);
    let mut kept = Vec::with_capacity(placed.len());
    for same in placed.chunk_by(|a, b| a.0.ts == b.0.ts) {
        if same.iter().all(|(bar, _)| *bar == same[0].0) {
            kept.push(same[0].0);
            checked.repeated.extend(same[1..].iter().map(|(bar, at)| (bar.ts, line(*at))));
        } else {
            let repeated = RejectReason::DuplicateTs;
            let refused = same.iter().map(|(bar, at)| rejection(bar, repeated, line(*at)));
            checked.rejected.extend(refused);
        }
    }
    kept
}

fn rejection(bar: &Bar, reason: RejectReason, line: Option<u64>) -> Rejection {
    let Bar { ts, open, high, low, close, .. } = bar;
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    let volume = bar.volume.map_or_else(|| "none".to_owned(), |volume| volume.to_string());
    let text =
        format!("{place}ts={ts} open={open} high={high} low={low} close={close} volume={volume}");
    Rejection { ts: Some(*ts), reason, fields: fields_of(bar, reason), text }
}

/// The columns of a refused bar that break the rule.
fn fields_of(bar: &Bar, reason: RejectReason) -> BarFields {
    let volume_where = |wrong: fn(f64) -> bool| {
        if bar.volume.is_some_and(wrong) { BarFields::VOLUME } else { BarFields::NONE }
    };
    match reason {
        RejectReason::InvalidNumber => {
            let wrong = |value: f64| !value.is_finite();
            BarFields::prices_where(bar, wrong).with(volume_where(wrong))
        }
        RejectReason::NonpositivePrice => BarFields::prices_where(bar, |price| price <= 0.0),
        RejectReason::NegativeVolume => BarFields::VOLUME,
        RejectReason::HighLtLow => BarFields::HIGH.with(BarFields::LOW),
        RejectReason::OhlcOutOfRange => {
            BarFields::prices_where(bar, |price| is_outside(bar, price))
        }
        _ => BarFields::NONE,
    }
}

/// Whether a price lies outside [low, high].
fn is_outside(bar: &Bar, price: f64) -> bool {
    price > bar.high * (1.0 + TOLERANCE) || price < bar.low * (1.0 - TOLERANCE)
}

#[cfg(test)]
mod tests;
