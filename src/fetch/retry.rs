//! Whether and when a failed request is tried again. Pure: classify first, wait second.

use std::time::Duration;

use crate::clock::Chance;
use crate::domain::policy::{Jitter, RetryPolicy};
use crate::domain::run::{ErrorKind, Fault};

/// Retries that a provider always has in a run, however few its first tries were.
const BUDGET_FLOOR: u64 = 10;

/// What to do about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try again after this wait.
    Retry(Duration),
    /// Leave it.
    GiveUp,
}

/// What to do after `fault`, which befell try number `attempt` (from 1).
pub(super) fn verdict(
    fault: &Fault,
    attempt: u32,
    policy: &RetryPolicy,
    chance: &mut Chance,
) -> Verdict {
    let tries = match fault.kind {
        ErrorKind::Network | ErrorKind::Timeout | ErrorKind::RateLimited | ErrorKind::Server => {
            policy.max_retries
        }
        ErrorKind::Malformed => policy.max_retries.min(1),
        _ => 0,
    };
    if attempt > tries {
        return Verdict::GiveUp;
    }
    match fault.retry_after {
        Some(asked) if asked > policy.max => Verdict::GiveUp,
        // The provider's word counts over the computed wait; a little more never hurts.
        Some(asked) => Verdict::Retry(asked.max(backoff(attempt, policy, chance).min(asked * 2))),
        None => Verdict::Retry(backoff(attempt, policy, chance)),
    }
}

/// The wait after try number `attempt`: exponential, capped, with full jitter.
fn backoff(attempt: u32, policy: &RetryPolicy, chance: &mut Chance) -> Duration {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let longest = policy.initial.as_secs_f64() * policy.multiplier.powi(exponent);
    let longest = longest.min(policy.max.as_secs_f64());
    let share = match policy.jitter {
        Jitter::Full => chance.fraction(),
        Jitter::None => 1.0,
    };
    Duration::try_from_secs_f64(longest * share).unwrap_or(policy.max)
}

/// How many retries a provider still has in this run, so that an outage is not answered by a storm.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    first_tries: u64,
    retries: u64,
}

impl Budget {
    /// Notes a first try.
    pub(super) fn first_try(&mut self) {
        self.first_tries += 1;
    }

    /// Takes one retry; `false` when the budget is used up.
    pub(super) fn take(&mut self, policy: &RetryPolicy) -> bool {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count, not below 0"
        )]
        let share = (self.first_tries as f64 * policy.budget) as u64;
        let left = self.retries < share.max(BUDGET_FLOOR);
        self.retries += u64::from(left);
        left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(max_retries: u32) -> RetryPolicy {
        RetryPolicy {
            max_retries,
            initial: Duration::from_secs(1),
            max: Duration::from_secs(300),
            multiplier: 2.0,
            jitter: Jitter::Full,
            budget: 0.2,
        }
    }

    fn after(kind: ErrorKind, attempt: u32) -> Verdict {
        verdict(&Fault::new(kind, ""), attempt, &policy(5), &mut Chance::seeded(1))
    }

    #[test]
    fn only_trouble_that_may_pass_is_tried_again() {
        for kind in ErrorKind::ALL {
            let passing = matches!(
                kind,
                ErrorKind::Network
                    | ErrorKind::Timeout
                    | ErrorKind::RateLimited
                    | ErrorKind::Server
            );
            let again = |attempt| after(kind, attempt) != Verdict::GiveUp;
            assert_eq!(again(1), passing || kind == ErrorKind::Malformed, "{kind}");
            assert_eq!(again(2), passing, "{kind}");
            assert_eq!(again(5), passing, "{kind}");
            assert!(!again(6), "{kind}");
        }
    }

    #[test]
    fn the_providers_own_wait_counts_up_to_the_longest() {
        let asked = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            let fault = Fault { retry_after, ..Fault::new(ErrorKind::RateLimited, "") };
            verdict(&fault, 1, &policy(5), &mut Chance::seeded(1))
        };
        assert!(matches!(asked(7), Verdict::Retry(wait) if wait >= Duration::from_secs(7)));
        assert_eq!(asked(301), Verdict::GiveUp);
    }

    proptest! {
        #[test]
        fn waits_stay_below_their_bound_and_spread(attempt in 1u32..40, seed: u64) {
            let mut chance = Chance::seeded(seed);
            let bound = 2f64.powi(attempt as i32 - 1).min(300.0);
            let waits: Vec<f64> = (0..200)
                .map(|_| backoff(attempt, &policy(50), &mut chance).as_secs_f64())
                .collect();
            prop_assert!(waits.iter().all(|wait| *wait <= bound));
            let mean = waits.iter().sum::<f64>() / waits.len() as f64;
            prop_assert!((0.3..0.7).contains(&(mean / bound)), "mean {} of {}", mean, bound);
        }

        #[test]
        fn the_budget_is_a_share_with_a_floor(first_tries in 0u64..500) {
            let mut budget = Budget::default();
            for _ in 0..first_tries {
                budget.first_try();
            }
            let taken = (0..1000).filter(|_| budget.take(&policy(5))).count() as u64;
            prop_assert_eq!(taken, (first_tries / 5).max(10));
        }
    }
}
