//! The features that are computed from a series' bars: their names, a row of them, a set of them.

use std::fmt;
use std::str::FromStr;

/// How many features there are.
pub const COUNT: usize = 22;

/// The names of the features, in the order of their columns. What each means, and by which formula,
/// stands in [`crate::feature`].
pub const NAMES: [&str; COUNT] = [
    "sma_20",
    "sma_50",
    "sma_200",
    "ema_12",
    "ema_26",
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_hist",
    "bb_upper",
    "bb_middle",
    "bb_lower",
    "atr_14",
    "adx_14",
    "stoch_k",
    "stoch_d",
    "obv",
    "roc_10",
    "log_return",
    "volatility_20",
    "volume_ratio_20",
    "vwap_session",
];

/// The word for all of them.
pub const DEFAULT: &str = "default";

/// The words that name features: `default`, then each one's name.
pub fn words() -> impl Iterator<Item = &'static str> + Clone {
    std::iter::once(DEFAULT).chain(NAMES)
}

/// The features of one bar.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The bar's start, epoch seconds UTC.
    pub ts: i64,
    /// The features in the order of [`NAMES`]; NaN where one is not defined, never infinite. Plain
    /// numbers rather than options: half the memory, and SQLite stores a NaN as NULL.
    pub values: [f64; COUNT],
}

impl Row {
    /// The feature at `index` of [`NAMES`]; `None` where it is not defined, or there is none.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<f64> {
        self.values.get(index).copied().filter(|value| value.is_finite())
    }
}

/// Some of the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FeatureSet(u32);

impl FeatureSet {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Each of them.
    pub const ALL: Self = Self((1 << COUNT) - 1);

    /// The set of these names; `default` stands for all.
    ///
    /// # Errors
    ///
    /// The first word that names no feature.
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut set = Self::NONE;
        for name in names {
            set.0 |= match NAMES.iter().position(|known| *known == name) {
                Some(index) => 1 << index,
                None if name == DEFAULT => Self::ALL.0,
                None => return Err(name),
            };
        }
        Ok(set)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the feature at `index` of [`NAMES`] is in it.
    #[must_use]
    pub const fn contains(self, index: usize) -> bool {
        index < COUNT && self.0 & (1 << index) != 0
    }

    /// The indices into [`NAMES`] of what is in it, ascending.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        (0..COUNT).filter(move |index| self.contains(*index))
    }
}

/// Its stable text: `default` for all, else the names in the order of their columns, with commas.
impl fmt::Display for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.pad(DEFAULT);
        }
        let names: Vec<&str> = self.indices().map(|index| NAMES[index]).collect();
        f.pad(&names.join(","))
    }
}

impl FromStr for FeatureSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::NONE);
        }
        Self::of_names(text.split(',')).map_err(|name| format!("unknown feature `{name}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_round_trips_through_its_text() {
        let some = FeatureSet::of_names(["obv", "sma_20"]).unwrap();
        assert_eq!(some.to_string(), "sma_20,obv");
        for set in [FeatureSet::NONE, some, FeatureSet::ALL] {
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        assert_eq!(FeatureSet::ALL.to_string(), "default");
        assert_eq!("sma_20,sma_21".parse::<FeatureSet>(), Err("unknown feature `sma_21`".into()));
    }

    #[test]
    fn default_is_all() {
        assert_eq!(FeatureSet::of_names(["default"]), Ok(FeatureSet::ALL));
        assert_eq!(FeatureSet::of_names(NAMES), Ok(FeatureSet::ALL));
        assert_eq!(FeatureSet::of_names(words()), Ok(FeatureSet::ALL));
        assert_eq!(FeatureSet::ALL.indices().count(), COUNT);
        assert!(FeatureSet::of_names([]).unwrap().is_empty());
        assert!(!FeatureSet::ALL.contains(COUNT));
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let mut row = Row { ts: 0, values: [f64::NAN; COUNT] };
        row.values[1] = 2.0;
        assert_eq!((row.value(0), row.value(1), row.value(COUNT)), (None, Some(2.0), None));
    }
}
