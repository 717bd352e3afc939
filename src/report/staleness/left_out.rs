//! Series without a row of their own: how many there are, and what they lack.

use crate::domain::policy::Freshness;

use super::{Counts, Terms, Verdict};

/// Series that are told of in numbers only: those in order, and those that lack what one that is told of lacks
/// as badly or worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many in which state.
    pub counts: Counts,
    /// How many lack what, in the order of [`Lack`].
    lacks: [u64; 3],
    /// How many of those that lack new bars are late beyond what counts as critical.
    pub beyond_stale: u64,
    /// How many have features that are stale or missing.
    pub old_features: u64,
}

impl LeftOut {
    /// How many lack that.
    #[must_use]
    pub const fn lacking(&self, lack: Lack) -> u64 {
        self.lacks[lack as usize]
    }

    pub(super) fn add(&mut self, verdict: &Verdict, terms: &Terms) {
        self.counts.add(verdict.status());
        let lack = verdict.lack();
        if let Some(lack) = lack {
            self.lacks[lack as usize] += 1;
        }
        let is_beyond = lack == Some(Lack::NewBars) && verdict.is_beyond_stale(terms);
        self.beyond_stale += u64::from(is_beyond);
        self.old_features += u64::from(is_old(verdict.features));
    }

    /// Counts those of another one, too.
    pub fn join(&mut self, other: &Self) {
        self.counts.join(other.counts);
        self.lacks.iter_mut().zip(other.lacks).for_each(|(own, other)| *own += other);
        self.beyond_stale += other.beyond_stale;
        self.old_features += other.old_features;
    }
}

/// What a series lacks most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Bars: it has none.
    Bars,
    /// New bars: they are stale.
    NewBars,
    /// Features of its bars: they are stale or missing.
    Features,
}

impl Lack {
    pub(super) fn of(bars: Freshness, features: Option<Freshness>) -> Option<Self> {
        match bars {
            Freshness::Missing => Some(Self::Bars),
            Freshness::Stale => Some(Self::NewBars),
            _ => is_old(features).then_some(Self::Features),
        }
    }
}

/// Whether features are stale or missing.
pub(super) const fn is_old(features: Option<Freshness>) -> bool {
    matches!(features, Some(Freshness::Stale | Freshness::Missing))
}
