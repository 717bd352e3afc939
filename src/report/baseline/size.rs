//! How much may be asked for to find out: within the quota, and without eating it up.

use std::time::Duration;

use crate::domain::policy::RateLimit;

/// Symbols, unless it is said: enough for ten lanes to have two each.
const SYMBOLS: usize = 20;

/// From this length on a quota is one to be kept for other things.
const LONG: Duration = Duration::from_secs(3_600);

/// Of such a quota a whole baseline takes at most this part.
const PART: u64 = 10;

/// How many symbols are asked for when nobody says it, where each takes so many requests: as many as a quota
/// of minutes lets through at once, and of a quota of hours or days no more than a part in all steps. At
/// least one.
#[must_use]
pub fn symbols_by_default(rates: &[RateLimit], steps: usize, requests: &[u64]) -> usize {
    let steps = (steps as u64).max(1);
    let each = rates.iter().map(|rate| {
        if rate.per < LONG {
            u64::from(rate.burst.unwrap_or(rate.requests))
        } else {
            u64::from(rate.requests) / PART / steps
        }
    });
    let allowed = each.min().unwrap_or(u64::MAX);
    let sums = requests.iter().scan(0_u64, |sum, requests| {
        *sum = sum.saturating_add(*requests);
        Some(*sum)
    });
    sums.take(SYMBOLS).take_while(|sum| *sum <= allowed).count().max(1)
}

/// The time in which the quotas allow so many requests, when `left` may be sent at once.
#[must_use]
pub fn quota_time(rates: &[RateLimit], left: u64, requests: u64) -> Duration {
    let rest = requests.saturating_sub(left);
    let waits = |rate: &RateLimit| {
        let times = rest.div_ceil(u64::from(rate.requests.max(1)));
        rate.per.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
    };
    rates.iter().map(waits).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    const fn rate(requests: u32, per: Duration, burst: Option<u32>) -> RateLimit {
        RateLimit { requests, per, burst }
    }

    #[test]
    fn as_many_symbols_as_the_quota_lets_through_at_once_and_twenty_at_most() {
        let symbols = |rates: &[RateLimit], each| symbols_by_default(rates, 4, &[each; 50]);
        assert_eq!(symbols(&[], 3), 20);
        assert_eq!(symbols(&[rate(5, MINUTE, None)], 1), 5);
        assert_eq!(symbols(&[rate(5, MINUTE, None)], 2), 2);
        assert_eq!(symbols(&[rate(5, MINUTE, None)], 9), 1, "one at least");
        assert_eq!(symbols(&[rate(600, MINUTE, Some(8))], 2), 4);
        assert_eq!(symbols_by_default(&[], 4, &[1; 3]), 3, "there are no more");
    }

    #[test]
    fn of_a_days_quota_a_tenth_is_taken_in_all_steps() {
        let daily = [rate(300, MINUTE, None), rate(500, DAY, None)];
        assert_eq!(symbols_by_default(&daily, 4, &[1; 50]), 12, "48 of 500");
        assert_eq!(symbols_by_default(&[rate(25, DAY, None)], 4, &[1; 50]), 1);
    }

    #[test]
    fn what_is_over_waits_for_the_slowest_quota() {
        let rates = [rate(5, MINUTE, None), rate(100, DAY, None)];
        assert_eq!(quota_time(&rates, 5, 5), Duration::ZERO);
        assert_eq!(quota_time(&rates[..1], 5, 20), 3 * MINUTE);
        assert_eq!(quota_time(&rates[..1], 0, 5), MINUTE);
        assert_eq!(quota_time(&rates, 0, 5), DAY, "as the quota may have been used up");
        assert_eq!(quota_time(&[], 0, 99), Duration::ZERO);
    }
}
