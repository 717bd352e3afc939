//! `Bar`: one OHLCV candle, and why a row that claims to be one is refused.

use std::fmt;
use std::str::FromStr;

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

impl RejectReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::InvalidNumber,
        Self::NonpositivePrice,
        Self::NegativeVolume,
        Self::HighLtLow,
        Self::OhlcOutOfRange,
        Self::OffGridTs,
        Self::ForeignTs,
        Self::FutureTs,
        Self::UnfinishedBar,
        Self::DuplicateTs,
    ];

    /// Its code in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidNumber => "invalid_number",
            Self::NonpositivePrice => "nonpositive_price",
            Self::NegativeVolume => "negative_volume",
            Self::HighLtLow => "high_lt_low",
            Self::OhlcOutOfRange => "ohlc_out_of_range",
            Self::OffGridTs => "off_grid_ts",
            Self::ForeignTs => "foreign_ts",
            Self::FutureTs => "future_ts",
            Self::UnfinishedBar => "unfinished_bar",
            Self::DuplicateTs => "duplicate_ts",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A row that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The time it claims, epoch seconds UTC; `None` when that could not be read.
    pub ts: Option<i64>,
    /// The first rule that it breaks.
    pub reason: RejectReason,
    /// The row as it was read, at most 500 characters, with its line where it has one.
    pub text: String,
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

impl Adjustment {
    /// Its word in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Splits => "splits",
            Self::All => "all",
        }
    }
}

impl FromStr for Adjustment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Raw, Self::Splits, Self::All]
            .into_iter()
            .find(|adjustment| adjustment.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no adjustment; expected raw, splits or all"))
    }
}
