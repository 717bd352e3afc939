//! The work list of a run, as the plan hands it to `fetch`.

use super::range::TimeRange;
use super::series::{AssetClass, SeriesKey, Symbol};

/// What is asked for one symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Whose bars.
    pub symbol: Symbol,
    /// Its requests, in order.
    pub tasks: Vec<Task>,
}

/// One range of one series: one request, and its further pages.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Which series.
    pub key: SeriesKey,
    /// Its provider's name in the config.
    pub provider: String,
    /// What its symbol is.
    pub asset_class: AssetClass,
    /// The name to ask for: the symbol's, or the one that it had then.
    pub ask_symbol: Symbol,
    /// Which `ts`.
    pub range: TimeRange,
    /// What it is for.
    pub purpose: Purpose,
    /// Due bars in it.
    pub bars: u64,
    /// Pages after the first, estimated.
    pub further_pages: u64,
}

/// What a task is for; in this order they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The last stored bar, and what came after it.
    Tail,
    /// A series that has no bars yet.
    New,
    /// What is missing before the last stored bar, or read again on request.
    Hole,
}

impl Purpose {
    /// Its word in the plan's table and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tail => "tail",
            Self::New => "new",
            Self::Hole => "hole",
        }
    }
}
