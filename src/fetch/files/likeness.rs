//! A file to be imported held against what is stored of its series, before anything of it is stored: prices
//! that are adjusted where the stored ones are not, in another currency, or another symbol's, are like bars
//! in every way but this.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::domain::bar::Adjustment;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::Symbol;
use crate::domain::task::Stored;
use crate::domain::time::midnight;
use crate::domain::words::instant;

/// How far two closes of one bar may lie apart, relatively: a late correction is smaller.
const FAR: f64 = 0.01;

/// The fewest bars that speak against a file, and the smallest share of those that were compared.
const FEWEST: usize = 2;
const LEAST_SHARE: f64 = 0.1;

/// How far the factors of two neighbours may lie apart, relatively, to be one: cents are rounded.
const ALIKE: f64 = 0.005;

/// The smallest share of the closes that are off which splits are to explain.
const MOST_SHARE: f64 = 0.9;

/// How like its series a file is.
#[derive(Debug)]
pub(super) struct Likeness<'a> {
    stored: &'a Stored,
    /// Rows between the first and the last stored bar.
    rows: u64,
    /// The file's closes by the stored ones, of the bars that were compared.
    ratios: BTreeMap<i64, f64>,
}

/// A bar whose close is far from the stored one: its `ts`, and the file's close by the stored one.
type Far = (i64, f64);

/// How the closes of a file that are far from the stored ones lie to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One here and one there, each by its own factor: corrections.
    Scattered,
    /// All that is stored, by one factor, and the file has all of it: its unit is another one.
    Whole,
    /// Stretches by one factor each: part of the file is other prices.
    Stretches,
}

impl<'a> Likeness<'a> {
    pub(super) const fn to(stored: &'a Stored) -> Self {
        Self { stored, rows: 0, ratios: BTreeMap::new() }
    }

    /// Looks at the row of `ts`, whose close `read` gives if it has one.
    pub(super) fn look(&mut self, ts: i64, read: impl FnOnce() -> Option<f64>) {
        let closes = &self.stored.closes;
        let (Some((first, _)), Some((last, _))) =
            (closes.first_key_value(), closes.last_key_value())
        else {
            return;
        };
        if ts < *first || ts > *last {
            return;
        }
        self.rows += 1;
        let Some(held) = closes.get(&ts) else { return };
        let Some(close) = read().filter(|close| close.is_finite() && *close > 0.0) else { return };
        self.ratios.entry(ts).or_insert(close / held);
    }

    /// What speaks against the file as a whole.
    pub(super) fn fault(&self, symbol: &Symbol) -> Option<Fault> {
        let all = self.ratios.iter().map(|(ts, ratio)| (*ts, *ratio));
        let far: Vec<Far> = all.filter(|(_, ratio)| !is_near(*ratio)).collect();
        let (ts, ratio) = *far.first()?;
        let compared = self.ratios.len();
        if far.len() < FEWEST || (far.len() as f64) < LEAST_SHARE * compared as f64 {
            return None;
        }
        let off = format!(
            "{} of {compared} closes that were compared are more than {:.0} % off, that of {} is {} times \
             the stored one",
            far.len(),
            FAR * 100.0,
            instant(ts),
            rounded(ratio)
        );
        let message = match self.splits(&far) {
            Some(splits) => self.split_words(&off, splits, ts),
            None => self.other_words(&off, self.shape(&far), symbol)?,
        };
        Some(Fault::new(ErrorKind::Validation, message))
    }

    /// The splits that explain the closes that are far: those that make the file adjusted for splits where
    /// the stored prices are raw, or raw where these are adjusted. A file may know of the first ones only.
    fn splits(&self, far: &[Far]) -> Option<&'a [(NaiveDate, f64)]> {
        let stored = self.stored;
        let explain = |splits: &[(NaiveDate, f64)], (ts, ratio): Far| {
            let later = splits.iter().filter(|(ex_date, _)| is_before(ts, *ex_date));
            let shares: f64 = later.map(|(_, ratio)| ratio).product();
            let expected = match stored.adjustment {
                Adjustment::Raw => 1.0 / shares,
                Adjustment::Splits => shares,
                Adjustment::All => return false,
            };
            !is_near(expected) && is_near(ratio / expected)
        };
        (1..=stored.splits.len()).rev().map(|count| &stored.splits[..count]).find(|splits| {
            let explained = far.iter().filter(|far| explain(splits, **far)).count();
            explained as f64 >= MOST_SHARE * far.len() as f64
        })
    }

    /// How the closes that are far lie to the stored ones.
    fn shape(&self, far: &[Far]) -> Shape {
        let (_, factor) = far[0];
        let has_all =
            self.ratios.len() == self.stored.closes.len() && self.rows >= self.stored.bars;
        let is_one = |(_, ratio): &Far| is_near(ratio / factor);
        if has_all && far.len() == self.ratios.len() && far.iter().all(is_one) {
            return Shape::Whole;
        }
        let ratios: Vec<f64> = self.ratios.values().copied().collect();
        let like = |a: f64, b: f64| !is_near(a) && !is_near(b) && (a / b - 1.0).abs() <= ALIKE;
        let is_like = |at: &usize| {
            let before = at.checked_sub(1).and_then(|before| ratios.get(before));
            before.into_iter().chain(ratios.get(at + 1)).any(|other| like(ratios[*at], *other))
        };
        let steady = (0..ratios.len()).filter(is_like).count();
        if steady * 2 > far.len() { Shape::Stretches } else { Shape::Scattered }
    }

    /// What is said of a file whose prices `splits` explain; `ts` is that of the first one.
    fn split_words(&self, off: &str, splits: &[(NaiveDate, f64)], ts: i64) -> String {
        let is_raw = self.stored.adjustment == Adjustment::Raw;
        let (given, held) =
            if is_raw { ("adjusted for splits", "raw") } else { ("raw", "adjusted for splits") };
        let named: Vec<String> = splits
            .iter()
            .filter(|(ex_date, _)| is_before(ts, *ex_date))
            .map(|(ex_date, ratio)| format!("{} of {ex_date}", shares(*ratio)))
            .collect();
        let applied = if is_raw { ": splits are applied as they are read" } else { "" };
        format!(
            "its prices are {given}, those of the stored series are {held}: {off}, as the splits say ({}). \
             Nothing of it is stored; bring prices that are {held}{applied}",
            named.join(", ")
        )
    }

    /// What is said of another file whose closes lie so to the stored ones; `None` when it is said to be
    /// right and may be.
    fn other_words(&self, off: &str, shape: Shape, symbol: &Symbol) -> Option<String> {
        let remedy = match shape {
            Shape::Scattered | Shape::Whole if self.stored.replaces => return None,
            Shape::Scattered => "If the file is right: --replace".to_owned(),
            Shape::Whole => {
                "It has all bars that are stored: if these are wrong from the first to the last, \
                             and it is right: --replace"
                    .to_owned()
            }
            Shape::Stretches => format!(
                "Bring prices like the stored ones. If it is these that are wrong, `mdctl backfill {symbol} \
                 --full` asks their provider for them again; --replace takes corrections here and there, or a \
                 file that has all bars that are stored, in another unit throughout"
            ),
        };
        Some(format!(
            "its prices are not those of the stored series: {off}. They may be adjusted, in another currency \
             or unit, or another symbol's; nothing of it is stored. {remedy}"
        ))
    }
}

/// Whether two closes of one bar that lie so to each other are alike.
fn is_near(ratio: f64) -> bool {
    (ratio - 1.0).abs() <= FAR
}

/// Whether the bar of `ts` is one of before that day.
fn is_before(ts: i64, ex_date: NaiveDate) -> bool {
    ts < midnight(ex_date)
}

/// New shares for old ones, as in 4:1 and 1:10.
fn shares(ratio: f64) -> String {
    if ratio < 1.0 {
        format!("1:{}", rounded_off(1.0 / ratio))
    } else {
        format!("{}:1", rounded_off(ratio))
    }
}

/// A number without the noise of a division.
fn rounded_off(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// A ratio as people read it.
fn rounded(ratio: f64) -> String {
    if (0.01..1_000.0).contains(&ratio) { format!("{ratio:.2}") } else { format!("{ratio:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol() -> Symbol {
        "AAA".parse().unwrap()
    }

    /// What is said of a file whose closes are so many times the stored ones.
    fn said(ratios: &[f64]) -> Option<String> {
        said_of(ratios, &Stored::default())
    }

    fn said_of(ratios: &[f64], stored: &Stored) -> Option<String> {
        let closes: BTreeMap<i64, f64> = (0..).zip(ratios.iter().map(|_| 200.0)).collect();
        let stored = Stored { bars: closes.len() as u64, closes, ..stored.clone() };
        let mut likeness = Likeness::to(&stored);
        for (ts, ratio) in (0..).zip(ratios) {
            likeness.look(ts, || Some(200.0 * ratio));
        }
        likeness.look(-1, || unreachable!("nothing is stored there"));
        likeness.fault(&symbol()).map(|fault| fault.message)
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

    #[test]
    fn what_is_said_to_be_right_may_differ_here_and_there_or_throughout_and_by_no_stretch() {
        let right = Stored { replaces: true, ..Stored::default() };
        let takes = |ratios: &[f64]| said_of(ratios, &right).is_none();
        assert!(takes(&[1.0, 1.3, 1.0, 0.7, 1.0, 1.1]), "corrections");
        assert!(takes(&[1.3, 0.7, 1.1, 0.9]), "all of them, each by its own");
        assert!(takes(&[0.01; 30]), "pence throughout");
        let adjusted = [[0.25; 8].as_slice(), &[1.0; 12]].concat();
        for words in [said_of(&adjusted, &right), said(&adjusted)] {
            assert!(words.is_some_and(|words| words.contains("backfill AAA --full")));
        }
        let drifting: Vec<f64> = (0..64).map(|n| 0.8 + f64::from(n / 4) * 0.012).collect();
        assert!(!takes(&drifting), "adjusted for dividends");
        let more = Stored { replaces: true, bars: 31, ..Stored::default() };
        let mut likeness = Likeness::to(&more);
        assert!(likeness.fault(&symbol()).is_none(), "nothing is stored");
        let closes: BTreeMap<i64, f64> = (0..30).map(|ts| (ts, 200.0)).collect();
        let more = Stored { closes, ..more };
        likeness = Likeness::to(&more);
        (0..30).for_each(|ts| likeness.look(ts, || Some(2.0)));
        assert!(likeness.fault(&symbol()).is_some(), "one bar of pounds would be left");
    }

    #[test]
    fn what_splits_explain_is_said_and_never_right() {
        let day = |n: i64| chrono::DateTime::from_timestamp(n, 0).unwrap_or_default().date_naive();
        // All of these bars are of before both.
        let splits = vec![(day(9 * 86_400), 2.0), (day(30 * 86_400), 2.0)];
        let raw = Stored { splits, replaces: true, ..Stored::default() };
        for (ratio, named) in
            [(0.25, "2:1 of 1970-01-10, 2:1 of 1970-01-31"), (0.5, "(2:1 of 1970-01-10)")]
        {
            let words = said_of(&[ratio; 9], &raw).expect("it is adjusted");
            assert!(
                words.contains("its prices are adjusted for splits") && words.contains(named),
                "{words}"
            );
            assert!(
                words.contains("bring prices that are raw") && !words.contains("--replace"),
                "{words}"
            );
        }
        let adjusted = Stored { adjustment: Adjustment::Splits, ..raw.clone() };
        let words = said_of(&[4.0; 9], &adjusted).expect("it is raw");
        assert!(
            words.contains("its prices are raw, those of the stored series are adjusted"),
            "{words}"
        );
        assert_eq!(said_of(&[0.01; 9], &raw), None, "that is no split");
        assert_eq!(
            (shares(0.1), shares(1.5), shares(4.0)),
            ("1:10".into(), "1.5:1".into(), "4:1".into())
        );
    }
}
