//! The run's lanes: so many requests at once over all providers, fairly shared, so that one provider
//! that hangs leaves room for the others. Pure.

use std::collections::BTreeMap;

/// The lanes of a run.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    total: u32,
    free: u32,
    /// By provider.
    shares: BTreeMap<String, Share>,
    /// Counts the lanes given, to tell whose turn is longest ago.
    given: u64,
}

#[derive(Clone, Debug, Default)]
struct Share {
    held: u32,
    /// Whether it has jobs that have not ended.
    busy: bool,
    last_given: u64,
}

impl Lanes {
    pub(super) fn new(total: u32, providers: impl Iterator<Item = String>) -> Self {
        let shares = providers.map(|name| (name, Share::default())).collect();
        Self { total, free: total, shares, given: 0 }
    }

    /// Notes whether a provider has jobs that have not ended.
    pub(super) fn set_busy(&mut self, provider: &str, busy: bool) {
        if let Some(share) = self.shares.get_mut(provider) {
            share.busy = busy;
        }
    }

    /// Takes a lane for `provider`, if it is its turn: it leaves one to each other provider at work, as
    /// far as they go, and the last free one to whoever of the `hungry`, which wait for nothing but a
    /// lane, has waited longest.
    pub(super) fn take(&mut self, provider: &str, hungry: impl Fn(&str) -> bool) -> bool {
        let others = self.shares.iter().filter(|(name, share)| share.busy && *name != provider);
        let reserved = u32::try_from(others.clone().count()).unwrap_or(u32::MAX);
        let most = self.total.saturating_sub(reserved).max(1);
        let Some(own) = self.shares.get(provider) else { return false };
        let before = others
            .filter(|(name, share)| {
                share.held == 0 && share.last_given < own.last_given && hungry(name)
            })
            .count();
        let turn = own.held < most && self.free as usize > before;
        let given = self.given + 1;
        let Some(own) = self.shares.get_mut(provider) else { return false };
        if turn {
            own.held += 1;
            own.last_given = given;
            self.given = given;
            self.free -= 1;
        }
        turn
    }

    /// How many are free.
    pub(super) const fn free(&self) -> usize {
        self.free as usize
    }

    /// Gives a lane back.
    pub(super) fn give_back(&mut self, provider: &str) {
        if let Some(share) = self.shares.get_mut(provider) {
            share.held = share.held.saturating_sub(1);
            self.free = (self.free + 1).min(self.total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(total: u32, busy: &[&str]) -> Lanes {
        let mut lanes = Lanes::new(total, busy.iter().map(|name| (*name).to_owned()));
        busy.iter().for_each(|name| lanes.set_busy(name, true));
        lanes
    }

    #[test]
    fn one_provider_alone_has_all_lanes() {
        let mut lanes = lanes(3, &["a"]);
        assert_eq!((0..5).filter(|_| lanes.take("a", |_| true)).count(), 3);
        lanes.give_back("a");
        assert!(lanes.take("a", |_| true));
    }

    #[test]
    fn a_provider_that_hangs_leaves_a_lane_to_each_other() {
        let mut lanes = lanes(3, &["a", "b"]);
        assert_eq!((0..5).filter(|_| lanes.take("a", |_| true)).count(), 2);
        assert!(lanes.take("b", |_| true));
        lanes.give_back("b");
        lanes.set_busy("b", false);
        assert!(lanes.take("a", |_| true), "nobody else is at work any more");
    }

    #[test]
    fn with_fewer_lanes_than_providers_they_take_turns() {
        let mut lanes = lanes(1, &["a", "b", "c"]);
        let mut turns = Vec::new();
        for _ in 0..9 {
            let next = ["a", "b", "c"]
                .into_iter()
                .filter(|name| lanes.take(name, |_| true))
                .collect::<Vec<_>>();
            assert_eq!(next.len(), 1, "one lane");
            lanes.give_back(next[0]);
            turns.push(next[0]);
        }
        assert_eq!(turns.iter().filter(|name| **name == "c").count(), 3, "{turns:?}");
    }

    #[test]
    fn nobody_waits_for_one_who_cannot_go() {
        let mut lanes = lanes(1, &["a", "b"]);
        assert!(lanes.take("a", |_| true));
        lanes.give_back("a");
        assert!(!lanes.take("a", |name| name == "b"));
        assert!(lanes.take("a", |_| false));
    }
}
