//! A provider of adjusted prices that has restated history: what is stored is in the prices of before, and
//! the whole series is asked for again.

use crate::domain::bar::Adjustment;
use crate::domain::range::TimeRange;
use crate::store::{Again, StoreResult, Writer};

use super::line::Line;

/// How far the ratios of the bars may lie from each other, compared with their distance from 1: prices
/// are rounded.
const SPREAD: f64 = 0.2;

/// The smallest change of all prices that is a restatement.
const fn least(adjustment: Adjustment) -> f64 {
    match adjustment {
        Adjustment::Raw => f64::INFINITY,
        // No split is smaller.
        Adjustment::Splits => 0.02,
        // Dividends are.
        Adjustment::All => 1e-3,
    }
}

/// Whether bars of those prices that came again, ascending, are all off by one ratio; or the first of
/// them, at least two, and the others not at all: those came after the split that changed what lies
/// before it.
fn is_restated(adjustment: Adjustment, again: &[Again]) -> bool {
    let Some(first) = again.first() else { return false };
    let off = (first.ratio - 1.0).abs();
    let is_near = |ratio: f64, other: f64| (ratio - other).abs() <= SPREAD * off;
    let run = again.iter().take_while(|bar| is_near(bar.ratio, first.ratio)).count();
    let rest_is_same = again[run..].iter().all(|bar| is_near(bar.ratio, 1.0));
    off >= least(adjustment) && run >= 2 && rest_is_same
}

impl Line {
    /// Takes what lies before a page, and was not read in this run, out of what counts as answered, if the
    /// page shows that the provider has restated history: said with the page's bars, so that whoever
    /// comes next, after a crash too, asks for it. Tells whether it did.
    pub(super) fn restated(&mut self, tx: &Writer<'_>, again: &[Again]) -> StoreResult<bool> {
        let (Some(held), Some(next)) = (self.first_ts, again.first()) else { return Ok(false) };
        let stale = self.read.missing_in(TimeRange::new(held, next.ts));
        let Some(last) = stale.ranges().last().filter(|_| is_restated(self.adjustment, again))
        else {
            return Ok(false);
        };
        if self.restated_to >= Some(last.end) {
            return Ok(false);
        }
        self.restated_to = Some(last.end);
        for range in stale.ranges() {
            self.uncover(tx, *range)?;
        }
        Ok(true)
    }

    /// Notes that all of a restated history was read again, if it was.
    pub(super) fn settle_restated(&mut self) {
        let (Some(first), Some(end)) = (self.first_ts, self.restated_to) else { return };
        if self.coverage.missing_in(TimeRange::new(first, end)).ranges().is_empty() {
            self.restated_to = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ratio_of_all_bars_before_a_split_is_a_restatement() {
        let is = |adjustment, ratios: &[f64]| {
            let again: Vec<Again> =
                ratios.iter().zip(0..).map(|(ratio, ts)| Again { ts, ratio: *ratio }).collect();
            is_restated(adjustment, &again)
        };
        assert!(is(Adjustment::Splits, &[0.25, 0.25, 0.25]));
        assert!(is(Adjustment::Splits, &[9.99, 10.01]), "a reverse split, rounded");
        assert!(is(Adjustment::Splits, &[0.25, 0.25, 1.0]), "told a day late");
        assert!(is(Adjustment::All, &[0.9949, 0.9951]), "a dividend");
        assert!(!is(Adjustment::Splits, &[0.9949, 0.9951]), "no split is so small");
        assert!(!is(Adjustment::Raw, &[0.25, 0.25]), "raw prices are never restated");
        assert!(!is(Adjustment::Splits, &[0.25]), "one bar may be mended alone");
        assert!(!is(Adjustment::Splits, &[0.25, 1.0, 1.0]));
        assert!(!is(Adjustment::Splits, &[1.0, 0.25, 0.25]), "the first is what it was");
        assert!(!is(Adjustment::Splits, &[0.9, 1.1]), "corrections");
        assert!(!is(Adjustment::Splits, &[0.25, 0.25, 0.5]));
        assert!(!is(Adjustment::Splits, &[f64::NAN, f64::NAN]));
        assert!(!is(Adjustment::Splits, &[]));
    }
}
