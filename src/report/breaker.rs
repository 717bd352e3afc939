//! How the providers stand: whether their breakers let requests pass, and what they have asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Settings;
use crate::domain::provider_state::{BreakerStatus, Hold, ProviderState, SECOND, Stamp};
use crate::domain::time::seconds;
use crate::domain::words::instant;

/// One provider, as its state was last written down. Times are epoch seconds UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerRow {
    /// Its name in the config.
    pub name: String,
    /// Whether requests pass.
    pub status: BreakerStatus,
    /// The share of the last calls that failed, 0..1; `None` without calls.
    pub failure_rate: Option<f64>,
    /// How many of the last calls failed.
    pub failures: u64,
    /// How many of the last calls went well.
    pub successes: u64,
    /// When a call failed last, and how; `None` when none is remembered.
    pub last_failure: Option<(i64, String)>,
    /// Since when it is open; `None` when it is closed.
    pub opened_at: Option<i64>,
    /// From when on probes pass; `None` when it is closed.
    pub retry_at: Option<i64>,
    /// Until when the provider is not asked at its own word, and what it said; `None` when it may be, or
    /// soon will be.
    pub held: Option<(i64, String)>,
    /// Requests at once while that is cut; `None` when it is not.
    pub concurrency: Option<u32>,
}

impl BreakerRow {
    fn of(name: &str, state: &ProviderState, patience: Duration, now: i64) -> Self {
        let seconds = |micros: i64| micros.div_euclid(SECOND);
        let breaker = &state.breaker;
        let failures = breaker.failures();
        let held = |hold: &Hold| {
            let reason = match &hold.symbol {
                Some(symbol) => format!("{symbol} alone, {}", hold.reason),
                None => hold.reason.clone(),
            };
            (seconds(hold.until), reason)
        };
        let held = state.hold.as_ref().map(held).filter(|(until, _)| *until > now);
        let paused = is_paused_for_long(state, patience, now).then(|| {
            let reason = "it said that its quota is used up till then".to_owned();
            (seconds(state.quota.paused_until), reason)
        });
        Self {
            name: name.to_owned(),
            status: breaker.status,
            failure_rate: breaker.failure_rate(),
            failures: failures as u64,
            successes: (breaker.outcomes.len() - failures) as u64,
            last_failure: breaker.last_failure.clone().map(|(at, words)| (seconds(at), words)),
            opened_at: breaker.opened_at.map(seconds),
            retry_at: breaker.retry_at.map(seconds),
            held: held.or(paused),
            concurrency: state.concurrency,
        }
    }

    /// Whether its requests are let through as if nothing had happened.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.status == BreakerStatus::Closed && self.held.is_none() && self.concurrency.is_none()
    }

    /// Why it is down, in a sentence; `None` while its breaker is closed.
    #[must_use]
    pub fn down(&self) -> Option<String> {
        let state = match self.status {
            BreakerStatus::Closed => return None,
            BreakerStatus::Open => "open",
            BreakerStatus::HalfOpen => "half open",
        };
        let mut words = format!("provider {} is down: its breaker is {state}", self.name);
        if let Some(at) = self.opened_at {
            words.push_str(&format!(" since {}", instant(at)));
        }
        if let Some((at, failure)) = &self.last_failure {
            words.push_str(&format!(", the last failure at {}: {failure}", instant(*at)));
        }
        if let Some(at) = self.retry_at {
            words.push_str(&format!("; tried again from {} on", instant(at)));
        }
        Some(words)
    }

    /// That it is held, in a sentence; `None` when it is not.
    #[must_use]
    pub fn waits(&self) -> Option<String> {
        let (until, reason) = self.held.as_ref()?;
        let until = instant(*until);
        Some(format!("provider {} is not to be asked before {until}: {reason}", self.name))
    }

    /// Open before half open before closed, held before not held, then by failures.
    fn badness(&self) -> (u8, bool, bool, f64) {
        let status = match self.status {
            BreakerStatus::Closed => 0,
            BreakerStatus::HalfOpen => 1,
            BreakerStatus::Open => 2,
        };
        let cut = self.concurrency.is_some();
        (status, self.held.is_some(), cut, self.failure_rate.unwrap_or(0.0))
    }
}

/// Every provider of the config that is spoken to over HTTP, by name; of those without a remembered
/// state nothing has ever failed. A hold that has ended by `now` is none.
#[must_use]
pub fn judge(
    settings: &Settings,
    states: &BTreeMap<String, (ProviderState, Stamp)>,
    now: i64,
) -> Vec<BreakerRow> {
    let http = settings.providers.values().filter(|provider| !provider.is_files());
    let none = ProviderState::default();
    http.map(|provider| {
        let state = states.get(&provider.name).map_or(&none, |(state, _)| state);
        BreakerRow::of(&provider.name, state, provider.retry.max, now)
    })
    .collect()
}

/// Whether its own word on its quota keeps a provider from being asked for longer than `patience`, which
/// is how long a run waits before it tries again.
#[must_use]
pub fn is_paused_for_long(state: &ProviderState, patience: Duration, now: i64) -> bool {
    let patience = seconds(patience);
    state.quota.paused_until.div_euclid(SECOND) > now.saturating_add(patience)
}

/// Sorts the worst first; as bad ones stay as they are.
pub fn worst_first(rows: &mut [BreakerRow]) {
    rows.sort_by(|a, b| b.badness().partial_cmp(&a.badness()).unwrap_or(std::cmp::Ordering::Equal));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::provider_state::BreakerState;

    fn state(status: BreakerStatus, outcomes: &[bool]) -> ProviderState {
        let breaker =
            BreakerState { status, outcomes: outcomes.to_vec(), ..BreakerState::default() };
        ProviderState { breaker, ..ProviderState::default() }
    }

    #[test]
    fn the_worst_come_first() {
        let held = ProviderState {
            hold: Some(Hold { until: 11 * SECOND, reason: "later".to_owned(), symbol: None }),
            ..ProviderState::default()
        };
        let cut = ProviderState { concurrency: Some(1), ..ProviderState::default() };
        let states = [
            ("calm", ProviderState::default()),
            ("cut", cut),
            ("half", state(BreakerStatus::HalfOpen, &[])),
            ("held", held),
            ("open", state(BreakerStatus::Open, &[false])),
            ("shaky", state(BreakerStatus::Closed, &[true, false])),
        ];
        let mut rows: Vec<_> = states
            .iter()
            .map(|(name, state)| BreakerRow::of(name, state, Duration::ZERO, 10))
            .collect();
        worst_first(&mut rows);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["open", "half", "held", "cut", "shaky", "calm"]);
        assert_eq!(rows.iter().filter(|row| row.is_clear()).count(), 2);
    }

    #[test]
    fn a_hold_that_has_ended_is_none() {
        let hold = Some(Hold { until: 10 * SECOND, reason: "later".to_owned(), symbol: None });
        let state = ProviderState { hold, ..ProviderState::default() };
        assert!(BreakerRow::of("p", &state, Duration::ZERO, 9).held.is_some());
        assert!(BreakerRow::of("p", &state, Duration::ZERO, 10).is_clear());
    }
}
