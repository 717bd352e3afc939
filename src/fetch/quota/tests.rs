use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Chance;

const SECOND: i64 = 1_000_000;

fn window(requests: u32, per: Duration) -> RateLimit {
    RateLimit { requests, per, burst: None }
}

fn fresh(rates: &[RateLimit]) -> Quota {
    Quota::new(rates, &QuotaState::default(), 0, 0)
}

/// An eager client of many lanes and a server that gets each request at some instant between its
/// sending and its end: the instants at which the server gets them. Every so often the client is a new
/// process that knows only what the last one wrote down; it may have been killed.
fn arrivals(rates: &[RateLimit], wanted: usize, latency: i64, seed: u64) -> Vec<i64> {
    let mut chance = Chance::seeded(seed);
    let mut quota = fresh(rates);
    let mut now = 1_000 * SECOND;
    let mut flying: Vec<i64> = Vec::new();
    let mut arrived = Vec::new();
    let mut announced = 0;
    while arrived.len() < wanted {
        flying.sort_unstable();
        let leave = if flying.len() < 8 { quota.look(now) } else { Leave::AfterAnother };
        match (leave, flying.first().copied()) {
            (Leave::Now, _) => {
                if announced == 0 {
                    announced = quota.allotment();
                }
                announced -= 1;
                quota.begin();
                let takes = (latency as f64 * chance.fraction()) as i64 + 1;
                arrived.push(now + (takes as f64 * chance.fraction()) as i64);
                flying.push(now + takes);
            }
            (Leave::At(at), Some(end)) if at < end => now = at,
            (Leave::At(at), None) => now = at,
            (_, Some(end)) => {
                now = now.max(end);
                quota.end(now);
                flying.remove(0);
            }
            (Leave::AfterAnother, None) => panic!("nothing is in flight"),
        }
        if chance.fraction() < 0.02 {
            // Killed: what is in flight arrives, and nobody hears of it.
            let last = flying.drain(..).max().unwrap_or(now);
            now = now.max(last);
            let state = quota.state(announced);
            quota = Quota::new(rates, &state, now, now);
            announced = 0;
        }
    }
    arrived.sort_unstable();
    arrived
}

proptest! {
    #[test]
    fn what_is_left_is_what_may_be_sent(
        requests in 1u32..9, burst in proptest::option::of(1u32..9), per in 1i64..90, seed: u64,
    ) {
        let limit = RateLimit { requests, per: Duration::from_secs(per.unsigned_abs()), burst };
        let mut quota = fresh(&[limit, window(7, Duration::from_secs(3))]);
        let mut chance = Chance::seeded(seed);
        let mut now = 1_000 * SECOND;
        for _ in 0..40 {
            let mut trial = quota.clone();
            let left = quota.left(now);
            for _ in 0..left {
                prop_assert_eq!(trial.look(now), Leave::Now);
                trial.begin();
            }
            prop_assert_ne!(trial.look(now), Leave::Now);
            if left > 0 {
                quota.begin();
            }
            now += (chance.fraction() * 4.0 * SECOND as f64) as i64;
            if left > 0 && chance.fraction() < 0.9 {
                quota.end(now);
            }
        }
    }

    #[test]
    fn a_server_never_sees_more_than_a_window_allows(
        requests in 1u32..9, millis in 1u64..5000, latency in 1i64..3 * SECOND, seed: u64,
    ) {
        let per = Duration::from_millis(millis);
        let arrived = arrivals(&[window(requests, per)], 80, latency, seed);
        for pair in arrived.windows(requests as usize + 1) {
            prop_assert!(pair[requests as usize] - pair[0] > per.as_micros() as i64);
        }
    }

    #[test]
    fn a_servers_bucket_never_runs_dry(
        requests in 1u32..9, burst in 1u32..20, seconds in 1u64..60, latency in 1i64..3 * SECOND, seed: u64,
    ) {
        let per = Duration::from_secs(seconds);
        let rate = RateLimit { requests, per, burst: Some(burst) };
        let mut tokens = f64::from(burst);
        let mut last = None;
        for at in arrivals(&[rate], 80, latency, seed) {
            let grown = (at - last.unwrap_or(at)) as f64 / 1e6 * f64::from(requests) / seconds as f64;
            tokens = (tokens + grown).min(f64::from(burst)) - 1.0;
            prop_assert!(tokens >= -1e-6, "{} tokens at {}", tokens, at);
            last = Some(at);
        }
    }

    #[test]
    fn every_rule_is_obeyed(first in 1u32..6, second in 1u32..30, seed: u64) {
        let rates = [window(first, Duration::from_secs(1)), window(second, Duration::from_secs(10))];
        let arrived = arrivals(&rates, 90, 100_000, seed);
        for rate in rates {
            for pair in arrived.windows(rate.requests as usize + 1) {
                prop_assert!(pair[rate.requests as usize] - pair[0] > rate.per.as_micros() as i64);
            }
        }
    }

    #[test]
    fn nearly_all_of_a_quota_is_used(requests in 2u32..200, burst in proptest::option::of(8u32..40)) {
        let rate = RateLimit { requests, per: Duration::from_secs(10), burst };
        let mut quota = fresh(&[rate]);
        let (mut now, mut sent) = (0, 0u32);
        while now < 1_000 * SECOND {
            match quota.look(now) {
                Leave::Now => {
                    quota.begin();
                    quota.end(now);
                    sent += 1;
                }
                Leave::At(at) => now = at,
                Leave::AfterAnother => unreachable!("nothing is in flight"),
            }
        }
        prop_assert!(f64::from(sent) >= f64::from(requests) * 100.0 * 0.98, "{} of {}", sent, requests * 100);
    }

    #[test]
    fn what_is_used_stays_used_under_other_rules(old in 1u32..20, new in 1u32..20, bucket: bool) {
        let per = Duration::from_secs(60);
        let mut quota = fresh(&[window(old, per)]);
        for _ in 0..old {
            quota.begin();
            quota.end(SECOND);
        }
        let rate = RateLimit { requests: new, per, burst: bucket.then_some(new) };
        // A little later: windows count in grains.
        let later = SECOND + SECOND / 5;
        let mut next = Quota::new(&[rate], &quota.state(0), SECOND, later);
        let mut more = 0;
        while next.look(later) == Leave::Now {
            next.begin();
            next.end(later);
            more += 1;
        }
        prop_assert_eq!(more, new.saturating_sub(old));
    }
}

#[test]
fn what_runs_one_after_the_other_send_is_one_sum() {
    let rates = [window(5, Duration::from_secs(60))];
    let mut state = QuotaState::default();
    let mut sent = Vec::new();
    for process in 0..50 {
        let mut now = process * SECOND;
        let mut quota = Quota::new(&rates, &state, now, now);
        while sent.len() < 2 * (process as usize + 1) {
            match quota.look(now) {
                Leave::Now => {
                    quota.begin();
                    quota.end(now);
                    sent.push(now);
                }
                Leave::At(at) => now = at,
                Leave::AfterAnother => unreachable!("nothing is in flight"),
            }
        }
        state = quota.state(0);
    }
    for six in sent.windows(6) {
        assert!(six[5] - six[0] > 60 * SECOND);
    }
}

#[test]
fn a_request_in_flight_keeps_its_place_however_long_it_takes() {
    let mut quota = fresh(&[window(1, Duration::from_secs(1))]);
    quota.begin();
    assert_eq!(quota.look(3_600 * SECOND), Leave::AfterAnother);
    quota.end(3_600 * SECOND);
    assert!(matches!(quota.look(3_600 * SECOND), Leave::At(at) if at > 3_601 * SECOND));
}

#[test]
fn a_paused_provider_is_left_alone() {
    let mut quota = fresh(&[]);
    quota.pause(9 * SECOND);
    assert_eq!(quota.look(4 * SECOND), Leave::At(9 * SECOND));
    assert_eq!(quota.look(9 * SECOND), Leave::Now);
}

#[test]
fn a_strict_quota_is_announced_one_by_one_and_a_wide_one_in_tens() {
    assert_eq!(fresh(&[window(5, Duration::from_secs(60))]).allotment(), 1);
    assert_eq!(fresh(&[window(1_200, Duration::from_secs(60))]).allotment(), 120);
    let burst = RateLimit { requests: 600, per: Duration::from_secs(60), burst: Some(20) };
    assert_eq!(fresh(&[burst]).allotment(), 2);
}

#[test]
fn what_nobody_would_write_is_neither_counted_one_by_one_nor_too_much_for_a_clock() {
    let all = |burst| RateLimit { requests: u32::MAX, per: Duration::from_millis(1), burst };
    let used = |rule| QuotaState {
        rules: [("other".to_owned(), rule)].into(),
        unsettled: u32::MAX,
        paused_until: 0,
    };
    let rules = [RuleState::Bucket(i64::MAX), RuleState::Window(vec![(i64::MIN, u32::MAX)])];
    for state in rules.map(used) {
        for rate in [all(None), all(Some(u32::MAX)), window(1, Duration::MAX)] {
            let mut quota = Quota::new(&[rate], &state, 0, 0);
            quota.begin();
            quota.end(0);
            assert!(matches!(quota.look(1), Leave::At(_)), "all of it is used");
        }
    }
}
