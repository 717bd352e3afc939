//! A provider of adjusted prices that has restated history: what is stored is in the prices of before, and
//! the whole series is asked for again.

use crate::domain::bar::Adjustment;
use crate::domain::range::TimeRange;
use crate::store::{Again, StoreResult, Writer};

use super::line::Line;

/// The smallest change of all prices that is a restatement: dividends are smaller than any split.
const LEAST: f64 = 1e-3;

/// How far the ratios of the bars may lie from each other, compared with their distance from 1: prices
/// are rounded.
const SPREAD: f64 = 0.2;

/// Whether bars of those prices that came again are all off by one ratio.
fn is_restated(adjustment: Adjustment, again: &Again) -> bool {
    let off = (again.least - 1.0).abs().min((again.most - 1.0).abs());
    let one_sided = (again.least > 1.0) == (again.most > 1.0);
    adjustment != Adjustment::Raw
        && again.bars >= 2
        && one_sided
        && off >= LEAST
        && again.most - again.least <= SPREAD * off
}

impl Line {
    /// Takes what lies before a page, and was not read in this run, out of what counts as answered, if the page shows that the provider
    /// has restated history: said with the page's bars, so that whoever comes next, after a crash too,
    /// asks for it. Tells whether it did.
    pub(super) fn restated(&mut self, tx: &Writer<'_>, again: &Again) -> StoreResult<bool> {
        let before = TimeRange::new(self.first_ts.unwrap_or(i64::MAX), again.first_ts);
        let stale = self.read.missing_in(before);
        if stale.ranges().is_empty() || !is_restated(self.adjustment, again) {
            return Ok(false);
        }
        for range in stale.ranges() {
            self.uncover(tx, *range)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ratio_of_all_bars_is_a_restatement() {
        let is = |adjustment, bars, least, most| {
            is_restated(adjustment, &Again { bars, first_ts: 0, least, most })
        };
        assert!(is(Adjustment::Splits, 3, 0.25, 0.25));
        assert!(is(Adjustment::Splits, 2, 9.99, 10.01), "a reverse split, rounded");
        assert!(is(Adjustment::All, 3, 0.9949, 0.9951), "a dividend");
        assert!(!is(Adjustment::Raw, 3, 0.25, 0.25), "raw prices are never restated");
        assert!(!is(Adjustment::Splits, 1, 0.25, 0.25), "one bar may be mended alone");
        assert!(!is(Adjustment::Splits, 3, 0.25, 1.0), "one of them is what it was");
        assert!(!is(Adjustment::Splits, 3, 0.98, 1.02), "corrections");
        assert!(!is(Adjustment::Splits, 3, 1.0, 1.0));
        assert!(!is(Adjustment::Splits, 3, f64::NAN, f64::NAN));
    }
}
