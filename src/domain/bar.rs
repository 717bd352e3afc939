//! `Bar`: one OHLCV candle, and why a row that claims to be one is refused.

use std::fmt;
use std::str::FromStr;

use super::enum_words::enum_words;

/// One OHLCV candle.
///
/// As it comes from a provider its numbers may be anything; `validate` decides which of them are
/// stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// The start of its window, epoch seconds UTC. For `1d` and `1w`: 00:00:00 UTC of the session's
    /// own date (for `1w`, of its Monday).
    pub ts: i64,
    /// First price of the window, in the symbol's quote currency.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Traded quantity in the provider's unit; `None` where the provider has none (indices).
    pub volume: Option<f64>,
    /// Volume-weighted average price; `None` where the provider has none.
    pub vwap: Option<f64>,
    /// Number of trades; `None` where the provider has none.
    pub trades: Option<i64>,
}

impl Bar {
    /// The same with what it does not tell as `other` tells it: volume, vwap and trades.
    #[must_use]
    pub fn with_blanks_of(self, other: &Self) -> Self {
        Self {
            volume: self.volume.or(other.volume),
            vwap: self.vwap.or(other.vwap),
            trades: self.trades.or(other.trades),
            ..self
        }
    }
}

/// Why a row never reaches `bars`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// A field that is no finite number.
    InvalidNumber,
    /// A price at or below zero.
    NonpositivePrice,
    /// A volume below zero.
    NegativeVolume,
    /// The high lies below the low.
    HighLtLow,
    /// Open or close lies outside [low, high].
    OhlcOutOfRange,
    /// The time is not the start of a window.
    OffGridTs,
    /// The time lies outside the range that was asked for.
    ForeignTs,
    /// The time lies in the future.
    FutureTs,
    /// The window has not closed yet.
    UnfinishedBar,
    /// The time occurs again in the same answer, with other values.
    DuplicateTs,
}

enum_words!(RejectReason, "reason to refuse a row", {
    InvalidNumber => "invalid_number", NonpositivePrice => "nonpositive_price",
    NegativeVolume => "negative_volume", HighLtLow => "high_lt_low",
    OhlcOutOfRange => "ohlc_out_of_range", OffGridTs => "off_grid_ts", ForeignTs => "foreign_ts",
    FutureTs => "future_ts", UnfinishedBar => "unfinished_bar", DuplicateTs => "duplicate_ts",
});

/// Columns of a bar that something is said about; none when it is about the whole bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BarFields(u8);

impl BarFields {
    /// No column.
    pub const NONE: Self = Self(0);
    /// The open.
    pub const OPEN: Self = Self(1);
    /// The high.
    pub const HIGH: Self = Self(1 << 1);
    /// The low.
    pub const LOW: Self = Self(1 << 2);
    /// The close.
    pub const CLOSE: Self = Self(1 << 3);
    /// The volume.
    pub const VOLUME: Self = Self(1 << 4);

    /// Every column with its name, in the order of a bar.
    const NAMES: [(Self, &'static str); 5] = [
        (Self::OPEN, "open"),
        (Self::HIGH, "high"),
        (Self::LOW, "low"),
        (Self::CLOSE, "close"),
        (Self::VOLUME, "volume"),
    ];

    /// A number that stands for them, below 32.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Those that a number stands for.
    #[must_use]
    pub const fn of_bits(bits: u8) -> Self {
        Self(bits & 0x1f)
    }

    /// These and the `other` ones.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of the prices of `bar` that `wrong` holds of.
    #[must_use]
    pub fn prices_where(bar: &Bar, wrong: impl Fn(f64) -> bool) -> Self {
        let prices = [
            (Self::OPEN, bar.open),
            (Self::HIGH, bar.high),
            (Self::LOW, bar.low),
            (Self::CLOSE, bar.close),
        ];
        prices.into_iter().filter(|(_, price)| wrong(*price)).map(|(field, _)| field).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names, in the order of a bar.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let held = Self::NAMES.into_iter().filter(move |(field, _)| self.0 & field.0 != 0);
        held.map(|(_, name)| name)
    }
}

impl FromIterator<Self> for BarFields {
    fn from_iter<I: IntoIterator<Item = Self>>(fields: I) -> Self {
        fields.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for BarFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.names().collect::<Vec<_>>().join(","))
    }
}

impl FromStr for BarFields {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |name: &str| {
            let known = Self::NAMES.into_iter().find(|(_, known)| *known == name);
            known.map(|(field, _)| field).ok_or_else(|| format!("`{name}` is no column of a bar"))
        };
        text.split(',').filter(|name| !name.is_empty()).map(named).collect()
    }
}

/// A row that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The time it claims, epoch seconds UTC; `None` when that could not be read.
    pub ts: Option<i64>,
    /// The first rule that it breaks.
    pub reason: RejectReason,
    /// The columns that break it; none where it is not about single columns, or not known.
    pub fields: BarFields,
    /// The row as it was read, at most 500 characters, with its line where it has one.
    pub text: String,
}

/// How many rows were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused([u64; RejectReason::ALL.len()]);

impl Refused {
    /// Adds so many rows.
    pub fn add(&mut self, reason: RejectReason, rows: u64) {
        let place = RejectReason::ALL.iter().position(|one| *one == reason).unwrap_or_default();
        self.0[place] += rows;
    }

    /// The reasons for which any were.
    pub fn reasons(&self) -> impl Iterator<Item = (RejectReason, u64)> {
        RejectReason::ALL.into_iter().zip(self.0).filter(|(_, rows)| *rows > 0)
    }
}

impl<'a> FromIterator<&'a Rejection> for Refused {
    fn from_iter<I: IntoIterator<Item = &'a Rejection>>(rows: I) -> Self {
        let mut refused = Self::default();
        rows.into_iter().for_each(|row| refused.add(row.reason, 1));
        refused
    }
}

/// `high_lt_low 2, off_grid_ts 1`.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> =
            self.reasons().map(|(reason, rows)| format!("{reason} {rows}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// A reason that is named again counts again.
impl FromStr for Refused {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut refused = Self::default();
        for part in text.split(", ").filter(|part| !part.is_empty()) {
            let (reason, rows) = part.split_once(' ').unwrap_or((part, ""));
            let rows = rows.parse().map_err(|_| format!("`{rows}` is no number of rows"))?;
            refused.add(reason.parse()?, rows);
        }
        Ok(refused)
    }
}

/// What the stored prices of a series already contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adjustment {
    /// Prices as traded.
    #[default]
    Raw,
    /// Adjusted for splits.
    Splits,
    /// Adjusted for splits and dividends.
    All,
}

enum_words!(Adjustment, "adjustment", { Raw => "raw", Splits => "splits", All => "all" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_in_the_order_of_a_bar_and_read_back() {
        let fields = BarFields::CLOSE.with(BarFields::OPEN);
        assert_eq!(fields.to_string(), "open,close");
        assert_eq!("open,close".parse(), Ok(fields));
        assert_eq!("".parse(), Ok(BarFields::NONE));
        assert!("ope".parse::<BarFields>().is_err());
    }

    #[test]
    fn refused_rows_are_counted_by_reason_and_read_back() {
        let mut refused = Refused::default();
        refused.add(RejectReason::FutureTs, 1);
        refused.add(RejectReason::HighLtLow, 2);
        assert_eq!(refused.to_string(), "high_lt_low 2, future_ts 1");
        assert_eq!("future_ts 1, high_lt_low 1, high_lt_low 1".parse(), Ok(refused));
        assert_eq!("".parse(), Ok(Refused::default()));
        assert!("high_lt_low".parse::<Refused>().is_err() && "why 1".parse::<Refused>().is_err());
    }
}
