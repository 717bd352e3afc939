//! When a request may be sent: strict sliding windows and token buckets, all of a provider's obeyed.
//! Pure: time is passed in.
//!
//! The state lives as long as the run; the next step is to keep it in the database.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::policy::RateLimit;

/// Requests leave evenly and may arrive less so; this much later they are surely apart on arrival.
const SLACK: Duration = Duration::from_millis(50);

/// The quota of one provider. Times are measured from any fixed instant.
#[derive(Clone, Debug)]
pub(super) struct Quota {
    rules: Vec<Rule>,
    paused_until: Duration,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Never more than `requests` in any `per`.
    Window { requests: usize, per: Duration, sent: VecDeque<Duration> },
    /// `burst` tokens at most; one grows every `interval`. `full_at` is when the bucket is full again.
    Bucket { burst: u32, interval: Duration, full_at: Duration },
}

impl Quota {
    pub(super) fn new(rates: &[RateLimit]) -> Self {
        Self { rules: rates.iter().map(Rule::new).collect(), paused_until: Duration::ZERO }
    }

    /// Takes one request from the quota at `now`; else tells how long to wait before asking again.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let wait = self
            .rules
            .iter()
            .map(|rule| rule.wait(now))
            .fold(self.paused_until.saturating_sub(now), Duration::max);
        if !wait.is_zero() {
            return Err(wait);
        }
        for rule in &mut self.rules {
            rule.take(now);
        }
        Ok(())
    }

    /// Sends nothing before `until`.
    pub(super) fn pause(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(until);
    }
}

impl Rule {
    fn new(rate: &RateLimit) -> Self {
        match rate.burst {
            None => Self::Window {
                requests: rate.requests as usize,
                per: rate.per + SLACK.min(rate.per / 20),
                sent: VecDeque::new(),
            },
            Some(burst) => {
                Self::Bucket { burst, interval: rate.per / rate.requests, full_at: Duration::ZERO }
            }
        }
    }

    fn wait(&self, now: Duration) -> Duration {
        match self {
            Self::Window { requests, per, sent } => match sent.len().checked_sub(*requests) {
                Some(oldest) => (sent[oldest] + *per).saturating_sub(now),
                None => Duration::ZERO,
            },
            Self::Bucket { burst, interval, full_at } => {
                let room = *interval * burst.saturating_sub(1);
                full_at.saturating_sub(now).saturating_sub(room)
            }
        }
    }

    fn take(&mut self, now: Duration) {
        match self {
            Self::Window { requests, sent, .. } => {
                sent.push_back(now);
                if sent.len() > *requests {
                    sent.pop_front();
                }
            }
            Self::Bucket { interval, full_at, .. } => *full_at = (*full_at).max(now) + *interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The instants at which an eager caller is let through.
    fn grants(rates: &[RateLimit], wanted: usize) -> Vec<Duration> {
        let mut quota = Quota::new(rates);
        let mut now = Duration::from_secs(1000);
        let mut granted = Vec::new();
        while granted.len() < wanted {
            match quota.take(now) {
                Ok(()) => granted.push(now),
                Err(wait) => now += wait,
            }
        }
        granted
    }

    proptest! {
        #[test]
        fn a_window_never_holds_more_than_its_requests(requests in 1u32..9, millis in 1u64..5000) {
            let per = Duration::from_millis(millis);
            let granted = grants(&[RateLimit { requests, per, burst: None }], 60);
            for pair in granted.windows(requests as usize + 1) {
                prop_assert!(pair[requests as usize] - pair[0] >= per);
            }
        }

        #[test]
        fn a_bucket_gives_its_burst_and_then_its_rate(requests in 1u32..9, burst in 1u32..20, seconds in 1u64..60) {
            let per = Duration::from_secs(seconds);
            let granted = grants(&[RateLimit { requests, per, burst: Some(burst) }], 80);
            prop_assert_eq!(granted[burst as usize - 1], granted[0], "the burst comes at once");
            for (index, at) in granted.iter().enumerate() {
                let elapsed = (*at - granted[0]).as_secs_f64();
                let allowed = f64::from(burst) + elapsed * f64::from(requests) / per.as_secs_f64();
                prop_assert!(index as f64 + 1.0 <= allowed + 1e-6);
            }
        }

        #[test]
        fn every_rule_is_obeyed(first in 1u32..6, second in 1u32..30) {
            let rates = [
                RateLimit { requests: first, per: Duration::from_secs(1), burst: None },
                RateLimit { requests: second, per: Duration::from_secs(10), burst: None },
            ];
            let granted = grants(&rates, 90);
            for rate in rates {
                for pair in granted.windows(rate.requests as usize + 1) {
                    prop_assert!(pair[rate.requests as usize] - pair[0] >= rate.per);
                }
            }
        }
    }

    #[test]
    fn a_paused_provider_is_left_alone() {
        let mut quota = Quota::new(&[]);
        quota.pause(Duration::from_secs(9));
        assert_eq!(quota.take(Duration::from_secs(4)), Err(Duration::from_secs(5)));
        assert_eq!(quota.take(Duration::from_secs(9)), Ok(()));
    }
}
