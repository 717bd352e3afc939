//! How the providers stand: breakers, holds, and how much of each quota is used.

use std::collections::BTreeMap;

use crate::config::Settings;
use crate::domain::policy::RateLimit;
use crate::domain::provider_state::{ProviderState, QuotaState, RuleState, Stamp, micros};

use super::super::breaker::BreakerRow;

/// One provider.
#[derive(Debug)]
pub struct Standing {
    /// Its name in the config.
    pub name: String,
    /// Its breaker and holds; `None` for a folder of files, which has none.
    pub breaker: Option<BreakerRow>,
    /// Its quota, a rule a row; empty for a folder of files.
    pub quota: Vec<RuleUse>,
}

/// How much of one rule is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleUse {
    /// The rule, `5/1m` or `100/1m burst 150`.
    pub rule: String,
    /// How many requests it lets through at once, at most.
    pub limit: u64,
    /// How many of them are used up by the last ones; 0 when none is remembered.
    pub used: u64,
}

/// Every provider of the config, by name.
#[must_use]
pub fn standings(
    settings: &Settings,
    states: &BTreeMap<String, (ProviderState, Stamp)>,
    breakers: &[BreakerRow],
    wall_now: i64,
) -> Vec<Standing> {
    let unused = QuotaState::default();
    let standing = |name: &String| {
        let provider = &settings.providers[name];
        let quota = states.get(name).map_or(&unused, |(state, _)| &state.quota);
        let rates = if provider.is_files() { &[][..] } else { &provider.rates };
        Standing {
            name: name.clone(),
            breaker: breakers.iter().find(|row| row.name == *name).cloned(),
            quota: rates.iter().map(|rate| used(rate, quota, wall_now)).collect(),
        }
    };
    settings.providers.keys().map(standing).collect()
}

/// How much of a rule is used at `wall_now`, by what was written down last.
fn used(rate: &RateLimit, quota: &QuotaState, wall_now: i64) -> RuleUse {
    let rule = rate.name();
    let per = micros(rate.per).max(1);
    let now = wall_now.saturating_mul(1_000_000);
    let limit = u64::from(rate.burst.unwrap_or(rate.requests));
    let ended = match quota.rules.get(&rule) {
        Some(RuleState::Window(ended)) => {
            let recent = ended.iter().filter(|(at, _)| at.saturating_add(per) > now);
            recent.map(|(_, requests)| u64::from(*requests)).sum()
        }
        Some(RuleState::Bucket(full_at)) => {
            let interval = (per / i64::from(rate.requests.max(1))).max(1);
            let lacking = full_at.saturating_sub(now).max(0);
            lacking.unsigned_abs().div_ceil(interval.unsigned_abs())
        }
        None => 0,
    };
    RuleUse { rule, limit, used: limit.min(ended + u64::from(quota.unsettled)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn quota(name: &str, state: RuleState) -> QuotaState {
        QuotaState { rules: [(name.to_owned(), state)].into(), ..QuotaState::default() }
    }

    #[test]
    fn of_a_window_the_requests_in_it_are_used() {
        let rate = RateLimit { requests: 5, per: Duration::from_mins(1), burst: None };
        let ended = vec![(10 * SECOND, 4), (50 * SECOND, 2), (60 * SECOND, 1)];
        let state = quota("5/1m", RuleState::Window(ended));
        assert_eq!(used(&rate, &state, 100).used, 3);
        assert_eq!(used(&rate, &state, 61).used, 5, "no more than there are");
        assert_eq!(used(&rate, &state, 500).used, 0);
        assert_eq!(used(&rate, &QuotaState { unsettled: 2, ..state }, 500).used, 2);
    }

    #[test]
    fn of_a_bucket_what_has_not_grown_again_is_used() {
        let rate = RateLimit { requests: 60, per: Duration::from_mins(1), burst: Some(10) };
        let state = quota("60/1m burst 10", RuleState::Bucket(104 * SECOND));
        assert_eq!(
            used(&rate, &state, 100),
            RuleUse { rule: "60/1m burst 10".to_owned(), limit: 10, used: 4 }
        );
        assert_eq!(used(&rate, &state, 104).used, 0);
    }
}
