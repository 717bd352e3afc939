//! What requests came to, day by day.

use std::collections::BTreeMap;

use crate::domain::fact::{FetchDay, FetchFacts};
use crate::domain::time::day_start;
use crate::domain::timeframe::DAY;

use super::super::metrics::FetchMetrics;

/// What requests came to.
#[derive(Debug)]
pub struct Traffic {
    /// Every day looked back on, ascending, those without requests too.
    pub days: Vec<Day>,
    /// The error kinds that occur, the most frequent first, each with how often.
    pub kinds: Vec<(String, u64)>,
    /// All of these days together.
    pub all: FetchMetrics,
}

/// The requests of a UTC day.
#[derive(Debug)]
pub struct Day {
    /// Its first instant, epoch seconds UTC.
    pub start: i64,
    /// What they came to; percentiles are `None` on a day without requests.
    pub metrics: FetchMetrics,
    /// How many failed, by error kind.
    pub failed: BTreeMap<String, u64>,
}

impl Traffic {
    /// What the requests of those days came to, up to the day of `wall_now`.
    #[must_use]
    pub fn of(days: Vec<FetchDay>, wall_now: i64) -> Self {
        let mut held: BTreeMap<i64, FetchDay> =
            days.into_iter().map(|day| (day.start, day)).collect();
        let (mut all, mut kinds) = (FetchFacts::default(), BTreeMap::<String, u64>::new());
        let mut days = Vec::new();
        let last = day_start(wall_now);
        for start in (super::since(wall_now)..=last).step_by(DAY.unsigned_abs() as usize) {
            let FetchDay { facts, failed, .. } = held.remove(&start).unwrap_or_default();
            for (kind, count) in &failed {
                *kinds.entry(kind.clone()).or_default() += count;
            }
            days.push(Day { start, metrics: FetchMetrics::of(&facts), failed });
            add(&mut all, facts);
        }
        let mut kinds: Vec<(String, u64)> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self { days, kinds, all: FetchMetrics::of(&all) }
    }
}

fn add(all: &mut FetchFacts, day: FetchFacts) {
    all.total += day.total;
    for (time, requests) in day.times_ms {
        *all.times_ms.entry(time).or_default() += requests;
    }
    all.successful += day.successful;
    all.rate_limited += day.rate_limited;
    all.retries += day.retries;
    all.bytes += day.bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(start: i64, times: &[u64], failed: &[(&str, u64)]) -> FetchDay {
        let failed: BTreeMap<String, u64> =
            failed.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
        let lost: u64 = failed.values().sum();
        let facts = FetchFacts {
            total: times.len() as u64,
            times_ms: times.iter().map(|time| (*time, 1)).collect(),
            successful: times.len() as u64 - lost,
            ..FetchFacts::default()
        };
        FetchDay { start, facts, failed }
    }

    #[test]
    fn a_day_without_requests_stands_there_and_knows_no_times() {
        let now = 100 * DAY + 5;
        let days = vec![
            day(98 * DAY, &[10, 20, 400], &[("timeout", 1)]),
            day(100 * DAY, &[30], &[("server", 1)]),
            // Not one of the days looked back on.
            day(2 * DAY, &[1], &[]),
        ];
        let traffic = Traffic::of(days, now);
        assert_eq!(traffic.days.len(), 30);
        let last: Vec<(i64, u64, Option<u64>)> = traffic.days[27..]
            .iter()
            .map(|day| (day.start / DAY, day.metrics.total, day.metrics.p50_ms))
            .collect();
        assert_eq!(last, [(98, 3, Some(20)), (99, 0, None), (100, 1, Some(30))]);
        assert_eq!((traffic.all.total, traffic.all.successful), (4, 2));
        assert_eq!((traffic.all.p50_ms, traffic.all.p99_ms), (Some(20), Some(400)));
        assert_eq!(traffic.kinds, [("server".to_owned(), 1), ("timeout".to_owned(), 1)]);
    }
}
