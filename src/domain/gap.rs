//! `Gap`: due bars that are not stored, and why.

use std::fmt;
use std::str::FromStr;

use super::range::TimeRange;

/// Why due bars are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapReason {
    /// Not asked for yet.
    Unfetched,
    /// Asked for, without a usable answer.
    Failed,
    /// A row came and could not be true.
    Rejected,
    /// Asked, answered, not there.
    ProviderEmpty,
    /// Nothing was traded in that window.
    NoTrade,
    /// Before the first bar that the provider has.
    PreListing,
    /// After the last session of the symbol.
    Delisted,
}

impl GapReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Unfetched,
        Self::Failed,
        Self::Rejected,
        Self::ProviderEmpty,
        Self::NoTrade,
        Self::PreListing,
        Self::Delisted,
    ];

    /// Its word in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unfetched => "unfetched",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::ProviderEmpty => "provider_empty",
            Self::NoTrade => "no_trade",
            Self::PreListing => "pre_listing",
            Self::Delisted => "delisted",
        }
    }

    /// Whether bars are really lacking: whether the gap makes its series late.
    #[must_use]
    pub const fn is_hole(self) -> bool {
        match self {
            Self::Unfetched | Self::Failed | Self::Rejected | Self::ProviderEmpty => true,
            Self::NoTrade | Self::PreListing | Self::Delisted => false,
        }
    }

    /// Whether the gap is explained: whether somebody answered for it.
    #[must_use]
    pub const fn is_explained(self) -> bool {
        !matches!(self, Self::Unfetched | Self::Failed)
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for GapReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no reason of a gap"))
    }
}

/// A run of neighbouring due bars that are not stored for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From the `ts` of the first missing bar to the end of the last one's window.
    pub range: TimeRange,
    /// How many due bars lie inside.
    pub missing: u64,
    /// Why they are not stored.
    pub reason: GapReason,
    /// When it was first noticed, epoch seconds UTC.
    pub first_seen_at: i64,
    /// How often the provider answered that it has nothing there.
    pub checked_count: u32,
    /// When it is worth another look, epoch seconds UTC; `None` when never, or at every run.
    pub next_check_at: Option<i64>,
}
