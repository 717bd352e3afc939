//! What looks suspicious in bars that are stored all the same.

use super::bar::BarFields;
use super::enum_words::enum_words;

/// What looks suspicious.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnomalyCode {
    /// A value far off both neighbours, which agree with each other.
    PriceSpike,
    /// Bars in a row without volume, in a series that trades.
    ZeroVolumeRun,
    /// The level changes for good by about a split's ratio, and no split is declared.
    SplitJump,
    /// A bar on the grid, in no session.
    NonSessionBar,
    /// A row of a file whose time lies before that of a row before it.
    OutOfOrder,
    /// A row of a file that says again what one before it said.
    DuplicateTs,
}

enum_words!(AnomalyCode, "anomaly", {
    PriceSpike => "price_spike", ZeroVolumeRun => "zero_volume_run", SplitJump => "split_jump",
    NonSessionBar => "non_session_bar", OutOfOrder => "out_of_order", DuplicateTs => "duplicate_ts",
});

impl AnomalyCode {
    /// Those that follow from stored bars, whenever they are looked at.
    pub const OF_BARS: [Self; 4] =
        [Self::PriceSpike, Self::ZeroVolumeRun, Self::SplitJump, Self::NonSessionBar];

    /// Those that follow from how a file was written, and are seen only while it is read.
    pub const OF_FILES: [Self; 2] = [Self::OutOfOrder, Self::DuplicateTs];

    /// Whether each of its bars is a finding of its own, though neighbours are stored as one row.
    #[must_use]
    pub const fn is_each(self) -> bool {
        matches!(self, Self::NonSessionBar)
    }
}

/// A row of `anomalies`.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// What looks suspicious.
    pub code: AnomalyCode,
    /// The first bar that it is about, epoch seconds UTC.
    pub ts: i64,
    /// The last one; `ts` for a single one.
    pub ts_end: i64,
    /// How many stored bars, or rows of a file.
    pub count: u64,
    /// The columns that it is about; none when it is about whole bars.
    pub fields: BarFields,
    /// In words, with its line where it has one.
    pub detail: Option<String>,
}
