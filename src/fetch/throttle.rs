//! How many requests a provider gets at once: halved when it has trouble, restored step by step. Pure.

use std::collections::VecDeque;

/// Calls among which trouble counts as a rise.
const RECENT: usize = 8;

/// So much trouble among them is a rise.
const RISE: usize = 2;

/// How a call ended, as far as the provider's strength goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strain {
    /// It was no strain.
    None,
    /// It timed out or met a server in trouble: one alone says little.
    Trouble,
    /// The provider said: too many.
    TooMany,
}

/// The requests at once of one provider.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    /// Without trouble.
    most: u32,
    now: u32,
    /// Calls that went well since the last change.
    good: u32,
    /// Of the last calls, which had trouble.
    recent: VecDeque<bool>,
    /// Counts the cuts: calls that began before one do not cut again.
    cuts: u64,
    /// A cut of an earlier run that this one, with fewer at once, can tell nothing of.
    beyond: Option<u32>,
}

impl Throttle {
    /// At most `most` at once, or fewer where an earlier run was `cut` down.
    pub(super) fn new(most: u32, cut: Option<u32>) -> Self {
        let most = most.max(1);
        let now = cut.unwrap_or(most).clamp(1, most);
        let beyond = cut.filter(|cut| *cut >= most);
        Self { most, now, good: 0, recent: VecDeque::new(), cuts: 0, beyond }
    }

    /// How many requests may be in flight.
    pub(super) const fn limit(&self) -> u32 {
        self.now
    }

    /// What a call that begins now is to bring back at its end.
    pub(super) const fn begin(&self) -> u64 {
        self.cuts
    }

    /// Notes how a call ended that `begun` when so many cuts had been made.
    pub(super) fn end(&mut self, begun: u64, strain: Strain) {
        self.recent.push_back(strain == Strain::Trouble);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let rise = self.recent.iter().filter(|trouble| **trouble).count() >= RISE;
        match strain {
            Strain::None => self.recover(),
            Strain::TooMany if begun == self.cuts => self.cut(),
            Strain::Trouble if begun == self.cuts && rise => self.cut(),
            Strain::TooMany | Strain::Trouble => self.good = 0,
        }
    }

    /// What is to be remembered: the limit while it is cut.
    pub(super) fn state(&self) -> Option<u32> {
        (self.now < self.most).then_some(self.now).or(self.beyond)
    }

    fn cut(&mut self) {
        self.now = (self.now / 2).max(1);
        self.good = 0;
        self.recent.clear();
        self.cuts += 1;
        self.beyond = None;
    }

    /// One more at once after as many good calls as are allowed at once.
    fn recover(&mut self) {
        self.good += 1;
        if self.now < self.most && self.good >= self.now {
            self.now += 1;
            self.good = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_429_halves_and_good_calls_restore_step_by_step() {
        let mut throttle = Throttle::new(10, None);
        throttle.end(throttle.begin(), Strain::TooMany);
        assert_eq!((throttle.limit(), throttle.state()), (5, Some(5)));
        let mut limits = Vec::new();
        while throttle.limit() < 10 {
            throttle.end(throttle.begin(), Strain::None);
            limits.push(throttle.limit());
        }
        limits.dedup();
        assert_eq!(limits, [5, 6, 7, 8, 9, 10]);
        assert_eq!(throttle.state(), None);
    }

    #[test]
    fn calls_that_were_in_flight_at_a_cut_do_not_cut_again() {
        let mut throttle = Throttle::new(8, None);
        let begun = throttle.begin();
        (0..4).for_each(|_| throttle.end(begun, Strain::TooMany));
        assert_eq!(throttle.limit(), 4);
    }

    #[test]
    fn one_timeout_is_no_rise_and_two_are() {
        let mut throttle = Throttle::new(8, None);
        throttle.end(throttle.begin(), Strain::Trouble);
        assert_eq!(throttle.limit(), 8);
        throttle.end(throttle.begin(), Strain::Trouble);
        assert_eq!(throttle.limit(), 4);
    }

    #[test]
    fn a_cut_is_remembered_within_what_the_next_run_may() {
        assert_eq!(Throttle::new(10, Some(3)).limit(), 3);
        let narrow = Throttle::new(2, Some(3));
        assert_eq!((narrow.limit(), narrow.state()), (2, Some(3)));
        assert_eq!(Throttle::new(2, Some(0)).limit(), 1);
    }

    proptest! {
        #[test]
        fn there_is_always_one_and_never_too_many(most in 1u32..40, ends in proptest::collection::vec(0u8..6, 0..300)) {
            let mut throttle = Throttle::new(most, None);
            for end in ends {
                let strain = match end { 0 => Strain::TooMany, 1 => Strain::Trouble, _ => Strain::None };
                throttle.end(throttle.begin(), strain);
                prop_assert!((1..=most).contains(&throttle.limit()));
            }
        }
    }
}
