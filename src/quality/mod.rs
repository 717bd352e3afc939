//! What looks suspicious in stored bars, and what a series' quality comes to. Pure: bars in, findings out.
//!
//! Each bar is judged by itself and by a few on either side of it ([`BEFORE`], [`AFTER`]), never by the
//! whole series: looked at in slices, a series has the findings that it has when it is looked at as a
//! whole, in flat memory. Prices are held against each other by logarithm, and against how far the bars
//! around go: a rule that knows no scale fits a share of 500, a coin of 0.0001 and a currency alike.
//!
//! Bars are judged in shares of today ([`Factors`]): where a split is declared, there is no jump.
//!
//! Never does: judge single rows (`validate` does), decide what is missing (`plan` does), store.

mod jump;
mod runs;
mod score;
mod spike;
mod window;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::calendar::due::Due;
use crate::calendar::{Calendar, Layout};
use crate::domain::action::Factors;
use crate::domain::anomaly::Anomaly;
use crate::domain::bar::Bar;
use crate::domain::timeframe::Timeframe;

pub use runs::{Carried, Carry, LONGEST_LOOK_BACK, has_traded, is_silent};
pub use score::{DueCounts, LOW_SCORE, LOW_VALIDATION, POOR_SCORE, Tally, measure, tally};
use window::Window;

/// How many bars before a bar its judgement rests on: the ten around it, and the close before them.
pub const BEFORE: usize = window::REACH + 1;

/// How many bars after a bar its judgement rests on.
pub const AFTER: usize = window::REACH;

/// Whose bars are judged.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// How long they are.
    pub timeframe: Timeframe,
    /// When their market trades.
    pub calendar: &'a Calendar,
    /// How their provider cuts them.
    pub layout: Layout,
    /// What declared splits do to them; none where the provider has done it.
    pub factors: &'a Factors,
}

impl<'a> Series<'a> {
    /// The series of `timeframe` whose bars are due so.
    #[must_use]
    pub const fn of(timeframe: Timeframe, due: &'a Due, factors: &'a Factors) -> Self {
        Self { timeframe, calendar: &due.calendar, layout: due.layout, factors }
    }
}

/// Bars to be judged, among their neighbours.
#[derive(Clone, Debug)]
pub struct Stretch<'a> {
    /// Ascending by `ts`: at least [`BEFORE`] before those to be judged and [`AFTER`] after them, where
    /// the series has so many.
    pub bars: &'a [Bar],
    /// Which of them are to be judged.
    pub judged: Range<usize>,
    /// The runs that reach up to them from before.
    pub carried: Carried,
}

/// What looks suspicious in a stretch, by `ts` and code. A run that was carried bears the `ts` where it
/// began, before the stretch.
#[must_use]
pub fn inspect(series: &Series<'_>, stretch: &Stretch<'_>) -> Vec<Anomaly> {
    let adjusted: Vec<Bar>;
    let bars = if series.factors.steps().is_empty() {
        stretch.bars
    } else {
        adjusted = stretch.bars.iter().map(|bar| series.factors.adjusted(bar)).collect();
        &adjusted
    };
    let window = Window::new(bars);
    let judged = stretch.judged.clone();
    let mut found = Vec::new();
    found.extend(judged.clone().filter_map(|at| spike::find(&window, at, series.factors)));
    found.extend(judged.filter_map(|at| jump::find(&window, at, series)));
    found.extend(runs::zero_volume(stretch));
    found.extend(runs::non_session(series, stretch));
    found.sort_by_key(|anomaly| (anomaly.ts, anomaly.code));
    found
}
