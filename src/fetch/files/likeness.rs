//! A file to be imported held against what is stored of its series, before anything of it is stored: prices
//! that are adjusted where the stored ones are not, in another currency, or another symbol's, are like bars
//! in every way but this.

use std::collections::BTreeMap;

use crate::domain::run::{ErrorKind, Fault};
use crate::domain::words::instant;

/// How far two closes of one bar may lie apart, relatively: a late correction is smaller.
const FAR: f64 = 0.01;

/// The fewest bars that speak against a file, and the smallest share of those that were compared.
const FEWEST: usize = 2;
const LEAST_SHARE: f64 = 0.1;

/// How like its series a file is.
#[derive(Debug)]
pub(super) struct Likeness<'a> {
    /// Some of the stored closes by `ts`.
    closes: &'a BTreeMap<i64, f64>,
    compared: usize,
    /// Of those that are far apart: the `ts`, and the file's close by the stored one.
    far: Vec<(i64, f64)>,
}

impl<'a> Likeness<'a> {
    pub(super) const fn to(closes: &'a BTreeMap<i64, f64>) -> Self {
        Self { closes, compared: 0, far: Vec::new() }
    }

    /// Looks at the row of `ts`, whose close `read` gives if it has one.
    pub(super) fn look(&mut self, ts: i64, read: impl FnOnce() -> Option<f64>) {
        let Some(held) = self.closes.get(&ts) else { return };
        let Some(close) = read().filter(|close| close.is_finite() && *close > 0.0) else { return };
        self.compared += 1;
        let ratio = close / held;
        if (ratio - 1.0).abs() > FAR && self.far.len() < self.closes.len() {
            self.far.push((ts, ratio));
        }
    }

    /// What speaks against the file as a whole.
    pub(super) fn fault(&self) -> Option<Fault> {
        let (far, compared) = (self.far.len(), self.compared);
        let (ts, ratio) = *self.far.first()?;
        if far < FEWEST || (far as f64) < LEAST_SHARE * compared as f64 {
            return None;
        }
        let message = format!(
            "its prices are not those of the stored series: {far} of {compared} closes that were compared \
             are more than {:.0} % off, that of {} is {} times the stored one. They may be adjusted, in \
             another currency, or another symbol's; nothing of it is stored. If the file is right: --replace",
            FAR * 100.0,
            instant(ts),
            rounded(ratio)
        );
        Some(Fault::new(ErrorKind::Validation, message))
    }
}

/// A ratio as people read it.
fn rounded(ratio: f64) -> String {
    if (0.01..1_000.0).contains(&ratio) { format!("{ratio:.2}") } else { format!("{ratio:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a file whose closes are so many times the stored ones.
    fn said(ratios: &[f64]) -> Option<String> {
        let held: BTreeMap<i64, f64> = (0..).zip(ratios.iter().map(|_| 200.0)).collect();
        let mut likeness = Likeness::to(&held);
        for (ts, ratio) in (0..).zip(ratios) {
            likeness.look(ts, || Some(200.0 * ratio));
        }
        likeness.look(-1, || unreachable!("nothing is stored there"));
        likeness.fault().map(|fault| fault.message)
    }

    #[test]
    fn a_file_of_other_prices_is_refused() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[1.0; 9]), None);
        assert_eq!(said(&[1.0, 1.009, 0.991]), None, "what is rounded, or corrected");
        assert_eq!(said(&[1.0, 4.0, 1.0]), None, "one bad row");
        let adjusted = said(&[[0.25; 2].as_slice(), &[1.0; 18]].concat());
        let words = adjusted.expect("the part before a split is other prices");
        assert!(words.contains("2 of 20 closes"), "{words}");
        assert!(words.contains("that of 1970-01-01T00:00:00Z is 0.25 times"), "{words}");
        assert_eq!(said(&[[0.25; 2].as_slice(), &[1.0; 19]].concat()), None, "a few bad rows");
        assert!(said(&[100.0; 2]).is_some(), "pence");
        let drifting: Vec<f64> = (0..64).map(|n| 0.8 + f64::from(n) * 0.003).collect();
        assert!(said(&drifting).is_some(), "adjusted for dividends");
    }
}
