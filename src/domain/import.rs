//! What files that are imported bring, or would.

use super::bar::Refused;
use super::run::{Failure, Totals};
use super::series::SeriesKey;

/// What came, or would come, from a file that is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFact {
    /// The file.
    pub file: String,
    /// The series.
    pub key: SeriesKey,
    /// The time of its first row, epoch seconds UTC; `None` where no row has one.
    pub first_ts: Option<i64>,
    /// The time of its last row, likewise.
    pub last_ts: Option<i64>,
    /// How many rows it has.
    pub rows: u64,
    /// New bars.
    pub inserted: u64,
    /// Bars that differed from stored ones and took their place.
    pub updated: u64,
    /// Bars that differ from stored ones, which stay.
    pub kept: u64,
    /// Rows that cannot be true.
    pub rejected: u64,
    /// Rows that are older than the bars that `[database] retention` keeps, or of after the time as of which all
    /// is judged; all that could be true of a file that is refused as a whole.
    pub dropped: u64,
    /// How many rows are refused, by the rule that they break.
    pub refused: Refused,
}

impl ImportFact {
    /// Nothing yet, of that file.
    #[must_use]
    pub fn of(file: &str, key: &SeriesKey) -> Self {
        Self {
            file: file.to_owned(),
            key: key.clone(),
            first_ts: None,
            last_ts: None,
            rows: 0,
            inserted: 0,
            updated: 0,
            kept: 0,
            rejected: 0,
            dropped: 0,
            refused: Refused::default(),
        }
    }

    /// Rows that say what is stored already, or what one before them said.
    #[must_use]
    pub const fn same(&self) -> u64 {
        let told = self.inserted + self.updated + self.kept + self.rejected + self.dropped;
        self.rows.saturating_sub(told)
    }
}

/// What would come of an import.
#[derive(Debug, Default)]
pub struct Preview {
    /// A row a file that can be read.
    pub files: Vec<Trial>,
    /// What could not be, and why.
    pub failures: Vec<Failure>,
    /// How the run would end: a symbol of which a file fails is a failed job.
    pub totals: Totals,
}

/// What would come from one file.
#[derive(Debug)]
pub struct Trial {
    /// How many rows become what.
    pub fact: ImportFact,
    /// The time of the first bar that differs from a stored one, epoch seconds UTC; `None` where none does.
    pub first_differing: Option<i64>,
}

impl Trial {
    /// Nothing yet, of the file of `fact`.
    #[must_use]
    pub const fn of(fact: ImportFact) -> Self {
        Self { fact, first_differing: None }
    }
}
