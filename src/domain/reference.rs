//! Reference data: what a provider says of a symbol besides its bars, and when it was asked.

use chrono::NaiveDate;

use super::fact::FileMark;

/// What a provider says of a symbol itself. Texts are fit to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What it is called; `None` when the provider does not say.
    pub name: Option<String>,
    /// Where it is traded first of all, a MIC as a rule; `None` where there is no such place.
    pub exchange: Option<String>,
    /// The money of its prices; `None` when the provider does not say.
    pub currency: Option<String>,
    /// What kind of thing it is, in the provider's words; `None` when it does not say.
    pub kind: Option<String>,
    /// Whether it is traded now; `None` when the provider does not say.
    pub active: Option<bool>,
    /// Its first day; `None` when the provider does not say.
    pub listed_on: Option<NaiveDate>,
    /// Its last day; `None` while it is listed.
    pub delisted_on: Option<NaiveDate>,
}

impl Listing {
    /// Whether nothing at all is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is not traded any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.active == Some(false) || self.delisted_on.is_some()
    }
}

/// A row of `reference_data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceFact {
    /// What is said.
    pub listing: Listing,
    /// Who says it: the provider's name in the config.
    pub provider: String,
    /// When it was last asked, by the instant that run was judged at, epoch seconds UTC.
    pub checked_at: i64,
}

/// When all of a kind that was declared of a symbol was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldFact {
    /// The instant that run was judged at, epoch seconds UTC.
    pub at: i64,
    /// By whom, and under which names it was asked for.
    pub told_as: String,
}

/// When a symbol's provider was last asked about it, each by the instant that run was judged at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedFact {
    /// About splits and dividends, epoch seconds UTC; `None` before the first time.
    pub actions_at: Option<i64>,
    /// When all its splits were last told; `None` when they were not.
    pub splits_told: Option<ToldFact>,
    /// Likewise its dividends.
    pub dividends_told: Option<ToldFact>,
    /// The file of actions that was read; `None` where there was none.
    pub actions_file: Option<FileMark>,
    /// About the symbol itself: whom, and when; `None` before the first time.
    pub listing: Option<(String, i64)>,
}
