//! The bars around a bar, and how far they go: the scale that every rule about prices rests on.

use crate::domain::bar::Bar;

/// How many bars on either side of a bar tell how far bars go here.
pub(super) const REACH: usize = 10;

/// Of so many of the bars around, as many may go too far themselves: the next one is the scale.
const OUTLIERS: usize = 3;

/// Bars, looked at from one of them.
pub(super) struct Window<'a> {
    pub(super) bars: &'a [Bar],
}

impl<'a> Window<'a> {
    pub(super) const fn new(bars: &'a [Bar]) -> Self {
        Self { bars }
    }

    /// The bar before and the bar after that of `at`; `None` at either end of the series.
    pub(super) fn neighbours(&self, at: usize) -> Option<(&'a Bar, &'a Bar)> {
        Some((self.bars.get(at.checked_sub(1)?)?, self.bars.get(at + 1)?))
    }

    /// How far the bars around go, as a logarithm, whatever that of `at` does: the fourth farthest of
    /// the ten on either side, so that a few bad ones do not hide each other.
    pub(super) fn usual(&self, at: usize) -> f64 {
        self.farthest(at, REACH, OUTLIERS)
    }

    /// Likewise, of the two on either side the second farthest.
    pub(super) fn nearby(&self, at: usize) -> f64 {
        self.farthest(at, 2, 1)
    }

    /// How far the bars within `reach` of `at` go, less so many that go the farthest.
    fn farthest(&self, at: usize, reach: usize, outliers: usize) -> f64 {
        let range = at.saturating_sub(reach)..(at + reach + 1).min(self.bars.len());
        let around = range.filter(|other| *other != at);
        let mut reaches: Vec<f64> = around.map(|other| self.reach_of(other, at)).collect();
        reaches.sort_by(|a, b| b.total_cmp(a));
        reaches.get(outliers).or(reaches.last()).copied().unwrap_or(0.0)
    }

    /// How far a bar goes, from the close before it on, but for that of `not_from`, which is in doubt.
    fn reach_of(&self, index: usize, not_from: usize) -> f64 {
        let bar = &self.bars[index];
        let before = index.checked_sub(1).filter(|before| *before != not_from);
        let (high, low) = match before.map(|before| self.bars[before].close) {
            Some(close) => (bar.high.max(close), bar.low.min(close)),
            None => (bar.high, bar.low),
        };
        (high / low).ln()
    }
}

/// The middle of `values`; the mean of the two in the middle of an even number, 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(values[middle - 1], *upper),
    }
}
