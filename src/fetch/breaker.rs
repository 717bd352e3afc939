//! A provider's breaker: leaves it alone for a while when too many of its calls fail. Pure: time is
//! passed in, microseconds since 1970 UTC on the run's own timeline.
//!
//! Closed, every call passes and the last ones are judged. Open, none does. After the recovery it is
//! half open: a few probes pass while the others wait for them; one failed probe opens it again, and
//! once all went well it is closed.

use std::collections::VecDeque;

use crate::domain::policy::BreakerPolicy;
use crate::domain::provider_state::{BreakerState, BreakerStatus, SECOND, micros};

/// The breaker of one provider.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    phase: Phase,
    /// Counts the changes of phase: a call that began in another one says nothing of this one.
    era: u64,
    last_failure: Option<(i64, String)>,
    /// An operator ordered so: every call passes.
    forced: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    /// `outcomes`: whether the last calls went well, oldest first.
    Closed { outcomes: VecDeque<bool> },
    /// `outcomes` are those that opened it.
    Open { outcomes: VecDeque<bool>, opened_at: i64, retry_at: i64 },
    /// `probing` probes are on their way, `good` ones came back.
    HalfOpen { outcomes: VecDeque<bool>, opened_at: i64, probing: u32, good: u32 },
}

/// Whether a call may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It may.
    Pass,
    /// Not before the probes have come back.
    AwaitProbe,
    /// Not before this instant.
    Open(i64),
}

/// A call that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    era: u64,
    probe: bool,
}

impl Breaker {
    /// The breaker as it was left. A half-open one is open again with its recovery over: whoever
    /// probed it never told.
    pub(super) fn new(policy: BreakerPolicy, state: &BreakerState, forced: bool) -> Self {
        let outcomes: VecDeque<bool> = state.outcomes.iter().copied().collect();
        let phase = match (state.status, state.opened_at, state.retry_at) {
            (BreakerStatus::Closed, _, _) | (_, None, _) | (_, _, None) => {
                let surplus = outcomes.len().saturating_sub(policy.window as usize);
                Phase::Closed { outcomes: outcomes.into_iter().skip(surplus).collect() }
            }
            (BreakerStatus::Open | BreakerStatus::HalfOpen, Some(opened_at), Some(retry_at)) => {
                // A recovery that was made shorter since holds at once. Of the opening only the second
                // is known.
                let latest = opened_at.saturating_add(recovery(&policy)).saturating_add(SECOND);
                let retry_at = retry_at.min(latest);
                Phase::Open { outcomes, opened_at, retry_at }
            }
        };
        Self { policy, phase, era: 0, last_failure: state.last_failure.clone(), forced }
    }

    /// Whether a call may pass at `now`.
    pub(super) fn look(&self, now: i64) -> Look {
        match &self.phase {
            _ if self.forced => Look::Pass,
            Phase::Closed { .. } => Look::Pass,
            Phase::Open { retry_at, .. } if now < *retry_at => Look::Open(*retry_at),
            Phase::Open { .. } => Look::Pass,
            Phase::HalfOpen { probing, good, .. }
                if probing + good < self.policy.half_open_calls =>
            {
                Look::Pass
            }
            Phase::HalfOpen { .. } => Look::AwaitProbe,
        }
    }

    /// Lets a call through, for which `look` said that it may pass.
    pub(super) fn begin(&mut self, now: i64) -> Call {
        if let Phase::Open { outcomes, opened_at, retry_at } = &mut self.phase
            && now >= *retry_at
        {
            let (outcomes, opened_at) = (std::mem::take(outcomes), *opened_at);
            self.enter(Phase::HalfOpen { outcomes, opened_at, probing: 0, good: 0 });
        }
        let probe = match &mut self.phase {
            Phase::HalfOpen { probing, good, .. }
                if *probing + *good < self.policy.half_open_calls =>
            {
                *probing += 1;
                true
            }
            _ => false,
        };
        Call { era: self.era, probe }
    }

    /// Notes how a call ended: `failure` is what went wrong; `None` when nothing did.
    pub(super) fn end(&mut self, call: Call, failure: Option<&str>, now: i64) {
        if let Some(words) = failure {
            self.last_failure = Some((now, words.to_owned()));
        }
        if call.era != self.era {
            return;
        }
        match (&mut self.phase, failure) {
            (Phase::Closed { outcomes }, _) => {
                outcomes.push_back(failure.is_none());
                if outcomes.len() > self.policy.window as usize {
                    outcomes.pop_front();
                }
                if is_too_bad(&self.policy, outcomes) {
                    let outcomes = std::mem::take(outcomes);
                    self.open(outcomes, now);
                }
            }
            (Phase::HalfOpen { outcomes, .. }, Some(_)) if call.probe => {
                let outcomes = std::mem::take(outcomes);
                self.open(outcomes, now);
            }
            (Phase::HalfOpen { probing, good, .. }, None) if call.probe => {
                *probing -= 1;
                *good += 1;
                if *good >= self.policy.half_open_calls {
                    self.enter(Phase::Closed { outcomes: VecDeque::new() });
                }
            }
            // A call that was forced through and comes back well tells as much as a probe.
            (Phase::Open { .. } | Phase::HalfOpen { .. }, None) => {
                self.enter(Phase::Closed { outcomes: VecDeque::new() });
            }
            (Phase::Open { .. } | Phase::HalfOpen { .. }, Some(_)) => {}
        }
    }

    /// Takes back a call that ended without telling anything of the provider.
    pub(super) fn forgo(&mut self, call: Call) {
        if let Phase::HalfOpen { probing, .. } = &mut self.phase
            && call.probe
            && call.era == self.era
        {
            *probing = probing.saturating_sub(1);
        }
    }

    /// What is to be remembered.
    pub(super) fn state(&self) -> BreakerState {
        let (status, outcomes, opened_at, retry_at) = match &self.phase {
            Phase::Closed { outcomes } => (BreakerStatus::Closed, outcomes, None, None),
            Phase::Open { outcomes, opened_at, retry_at } => {
                (BreakerStatus::Open, outcomes, Some(*opened_at), Some(*retry_at))
            }
            Phase::HalfOpen { outcomes, opened_at, .. } => {
                let retry_at = opened_at.saturating_add(recovery(&self.policy));
                (BreakerStatus::HalfOpen, outcomes, Some(*opened_at), Some(retry_at))
            }
        };
        BreakerState {
            status,
            outcomes: outcomes.iter().copied().collect(),
            last_failure: self.last_failure.clone(),
            opened_at,
            retry_at,
        }
    }

    /// What went wrong last.
    pub(super) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_ref().map(|(_, words)| words.as_str())
    }

    fn open(&mut self, outcomes: VecDeque<bool>, now: i64) {
        let retry_at = now.saturating_add(recovery(&self.policy));
        self.enter(Phase::Open { outcomes, opened_at: now, retry_at });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
    }
}

fn recovery(policy: &BreakerPolicy) -> i64 {
    micros(policy.recovery)
}

/// Whether too many of the last calls failed.
fn is_too_bad(policy: &BreakerPolicy, outcomes: &VecDeque<bool>) -> bool {
    let calls = outcomes.len();
    let failed = outcomes.iter().filter(|good| !**good).count();
    calls >= policy.min_calls as usize
        && failed > 0
        && failed as f64 >= policy.failure_rate * calls as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn policy(half_open_calls: u32) -> BreakerPolicy {
        BreakerPolicy {
            failure_rate: 0.5,
            min_calls: 4,
            window: 8,
            recovery: Duration::from_secs(60),
            half_open_calls,
        }
    }

    fn closed(half_open_calls: u32) -> Breaker {
        Breaker::new(policy(half_open_calls), &BreakerState::default(), false)
    }

    fn call(breaker: &mut Breaker, good: bool, now: i64) {
        let call = breaker.begin(now);
        breaker.end(call, (!good).then_some("HTTP 500"), now);
    }

    fn opened(half_open_calls: u32) -> Breaker {
        let mut breaker = closed(half_open_calls);
        (0..4).for_each(|_| call(&mut breaker, false, 0));
        breaker
    }

    #[test]
    fn it_opens_at_the_rate_and_not_before_enough_calls_are_in() {
        let mut breaker = closed(1);
        (0..3).for_each(|_| call(&mut breaker, false, 0));
        assert_eq!(breaker.look(0), Look::Pass, "three calls are too few");
        call(&mut breaker, true, 0);
        assert_eq!(breaker.look(0), Look::Open(60 * SECOND), "three of four");
        let mut breaker = closed(1);
        for index in 0..100 {
            call(&mut breaker, index % 8 >= 3, 0);
        }
        assert_eq!(breaker.look(0), Look::Pass, "three of eight");
    }

    #[test]
    fn one_probe_goes_and_the_others_wait_for_it() {
        let mut breaker = opened(1);
        assert_eq!(breaker.look(60 * SECOND - 1), Look::Open(60 * SECOND));
        let probe = breaker.begin(60 * SECOND);
        assert_eq!(breaker.look(61 * SECOND), Look::AwaitProbe);
        breaker.end(probe, Some("HTTP 500"), 62 * SECOND);
        assert_eq!(breaker.look(62 * SECOND), Look::Open(122 * SECOND));
        let probe = breaker.begin(122 * SECOND);
        breaker.end(probe, None, 123 * SECOND);
        assert_eq!(breaker.look(123 * SECOND), Look::Pass);
        assert!(breaker.state().outcomes.is_empty(), "a closed breaker begins anew");
    }

    #[test]
    fn a_probe_that_says_nothing_makes_room_for_another() {
        let mut breaker = opened(1);
        let probe = breaker.begin(60 * SECOND);
        breaker.forgo(probe);
        assert_eq!(breaker.look(60 * SECOND), Look::Pass);
    }

    #[test]
    fn a_call_of_another_time_decides_nothing() {
        let mut breaker = closed(1);
        let early = breaker.begin(0);
        (0..4).for_each(|_| call(&mut breaker, false, 0));
        breaker.end(early, None, SECOND);
        assert_eq!(breaker.look(SECOND), Look::Open(60 * SECOND));
        let probe = breaker.begin(60 * SECOND);
        breaker.end(early, Some("late"), 61 * SECOND);
        assert_eq!(breaker.look(61 * SECOND), Look::AwaitProbe);
        breaker.end(probe, None, 62 * SECOND);
        assert_eq!(breaker.look(62 * SECOND), Look::Pass);
    }

    #[test]
    fn it_is_remembered_and_an_unfinished_probe_is_made_again() {
        let mut breaker = opened(1);
        let again = Breaker::new(policy(1), &breaker.state(), false);
        assert_eq!(again.look(59 * SECOND), Look::Open(60 * SECOND));
        let _lost = breaker.begin(60 * SECOND);
        let again = Breaker::new(policy(1), &breaker.state(), false);
        assert_eq!(again.look(60 * SECOND), Look::Pass);
    }

    #[test]
    fn it_is_open_no_shorter_for_being_remembered() {
        let mut breaker = closed(1);
        let opened_at = 9 * SECOND / 10;
        (0..4).for_each(|_| call(&mut breaker, false, opened_at));
        let state = breaker.state();
        let second = |at: i64| at.div_euclid(SECOND) * SECOND;
        let kept = BreakerState { opened_at: state.opened_at.map(second), ..state };
        let of = |recovery| {
            let policy = BreakerPolicy { recovery: Duration::from_secs(recovery), ..policy(1) };
            Breaker::new(policy, &kept, false).look(opened_at)
        };
        assert_eq!(of(60), Look::Open(opened_at + 60 * SECOND));
        assert_eq!(of(9), Look::Open(10 * SECOND), "it was made shorter");
    }

    #[test]
    fn through_a_broken_glass_everything_passes_and_a_good_call_closes_it() {
        let mut breaker = Breaker::new(policy(1), &opened(1).state(), true);
        assert_eq!(breaker.look(SECOND), Look::Pass);
        call(&mut breaker, false, SECOND);
        assert_eq!(breaker.state().status, BreakerStatus::Open);
        call(&mut breaker, true, SECOND);
        assert_eq!(breaker.state().status, BreakerStatus::Closed);
    }

    proptest! {
        #[test]
        fn its_phases_follow_each_other_in_the_one_order_and_probes_are_counted(
            half_open_calls in 1u32..4, seed: u64,
        ) {
            let mut chance = crate::clock::Chance::seeded(seed);
            let mut breaker = closed(half_open_calls);
            let mut flying: Vec<Call> = Vec::new();
            let mut now = 0;
            let mut before = BreakerStatus::Closed;
            for _ in 0..600 {
                now += (chance.fraction() * 9.0) as i64 * SECOND;
                match (chance.fraction(), flying.pop()) {
                    (share, Some(call)) if share < 0.25 => breaker.end(call, Some("x"), now),
                    (share, Some(call)) if share < 0.45 => breaker.end(call, None, now),
                    (share, Some(call)) if share < 0.5 => breaker.forgo(call),
                    (_, back) => {
                        flying.extend(back);
                        if breaker.look(now) == Look::Pass {
                            flying.insert(0, breaker.begin(now));
                        }
                    }
                }
                let after = breaker.state().status;
                use BreakerStatus::{Closed, HalfOpen, Open};
                prop_assert!(
                    before == after
                        || matches!((before, after), (Closed, Open) | (Open, HalfOpen) | (HalfOpen, Closed | Open)),
                    "{} to {}", before, after
                );
                before = after;
                if let Phase::HalfOpen { probing, good, .. } = breaker.phase {
                    prop_assert!(probing + good <= half_open_calls);
                    let probes = flying.iter().filter(|call| call.probe && call.era == breaker.era);
                    prop_assert_eq!(probes.count() as u32, probing);
                }
            }
        }
    }
}
