//! `Gap`: due bars that are not stored, and why.

use super::enum_words::enum_words;
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

enum_words!(GapReason, "reason of a gap", {
    Unfetched => "unfetched", Failed => "failed", Rejected => "rejected",
    ProviderEmpty => "provider_empty", NoTrade => "no_trade", PreListing => "pre_listing",
    Delisted => "delisted",
});

impl GapReason {
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
