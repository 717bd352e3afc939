//! What is remembered of a provider from run to run: its used-up quota, its breaker, what it asked for.
//!
//! Times are microseconds since 1970 UTC on the axis of the run that wrote them; [`Stamp`] tells how
//! long ago that was even when somebody has set the clock meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use super::enum_words::enum_words;

/// Microseconds a second.
pub const SECOND: i64 = 1_000_000;

/// A length of time in microseconds; as long as can be, when it is longer.
#[must_use]
pub fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// An instant by the wall clock and, where the system tells, by the time since the machine started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Microseconds since 1970 UTC.
    pub at: i64,
    /// The start of the machine, and how long ago it was; `None` where the system does not say.
    pub boot: Option<Boot>,
}

/// How long a machine has been up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Another one after each start.
    pub id: String,
    /// Microseconds since the start, sleep included.
    pub uptime: i64,
}

impl Stamp {
    /// Microseconds from `earlier` to this stamp that have surely passed, never below 0.
    ///
    /// Within one start of the machine the clock has no say. After another one, or on another machine,
    /// it has; a clock that went back tells nothing.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> i64 {
        match (&self.boot, &earlier.boot) {
            (Some(now), Some(then)) if now.id == then.id => now.uptime.saturating_sub(then.uptime),
            _ => self.at.saturating_sub(earlier.at),
        }
        .max(0)
    }

    /// Likewise, for what is waited for: when the clock went back over a start of the machine, at least
    /// as long as it is up, so that nothing is waited for until the clock comes to where it was.
    fn waited_since(&self, earlier: &Self) -> i64 {
        let known = self.since(earlier);
        match (&self.boot, &earlier.boot) {
            (Some(now), Some(then)) if now.id == then.id => known,
            (Some(now), _) if self.at < earlier.at => now.uptime.max(known),
            _ => known,
        }
    }
}

/// What is remembered of one provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProviderState {
    /// How much of its quota is used.
    pub quota: QuotaState,
    /// A wait that is too long for a run.
    pub hold: Option<Hold>,
    /// Requests at once while that is cut; `None` when it is not.
    pub concurrency: Option<u32>,
    /// Its breaker.
    pub breaker: BreakerState,
    /// What it refuses to be asked for, each until when it is not asked again, epoch seconds UTC.
    pub refused: BTreeMap<String, i64>,
}

/// How long a provider is not asked again for what it refused, in seconds: so that it costs one request a
/// day, and a key of another plan is noticed the day after.
pub const REFUSAL: i64 = 86_400;

impl ProviderState {
    /// Whether it is not to be asked for that at `now`, epoch seconds UTC. A refusal that lasts longer than
    /// any is from a clock that was wrong.
    #[must_use]
    pub fn refuses(&self, what: &str, now: i64) -> bool {
        self.refused
            .get(what)
            .is_some_and(|until| (1..=REFUSAL).contains(&until.saturating_sub(now)))
    }
}

/// How much of a provider's quota is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaState {
    /// By the name of the rule.
    pub rules: BTreeMap<String, RuleState>,
    /// Requests that may have been sent since this was written down, and count as sent just now.
    pub unsettled: u32,
    /// Until when the provider wants to be left alone; in the past when it does not.
    pub paused_until: i64,
}

/// How much of one rule of a quota is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// Of a window: when requests ended, ascending, and how many.
    Window(Vec<(i64, u32)>),
    /// Of a bucket: when it is full again.
    Bucket(i64),
}

/// A provider's word that it is not to be asked for longer than a run waits.
///
/// Said once it concerns the symbol that was asked for; said of another one too, the whole provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Until when.
    pub until: i64,
    /// What it said.
    pub reason: String,
    /// For whom alone it holds; `None` when for everyone.
    pub symbol: Option<String>,
}

impl Hold {
    /// Whether a symbol is not to be asked for at `now`.
    #[must_use]
    pub fn concerns(&self, symbol: &str, now: i64) -> bool {
        self.until > now && self.symbol.as_ref().is_none_or(|held| held == symbol)
    }
}

/// What is left of a provider's quota at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaLeft {
    /// The provider's name in the config.
    pub provider: String,
    /// Requests that a run that begins then may send at once.
    pub requests: u64,
    /// Those that it might, had nothing been sent before.
    pub at_once: u64,
}

/// A breaker as it is remembered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BreakerState {
    /// Whether requests pass.
    pub status: BreakerStatus,
    /// The last calls, oldest first: whether they went well.
    pub outcomes: Vec<bool>,
    /// When a call failed last, and how.
    pub last_failure: Option<(i64, String)>,
    /// Since when it is open; `None` when it is closed.
    pub opened_at: Option<i64>,
    /// From when on it lets probes through; `None` when it is closed.
    pub retry_at: Option<i64>,
}

impl BreakerState {
    /// How many of the last calls failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.outcomes.iter().filter(|good| !**good).count()
    }

    /// The share of the last calls that failed; `None` without calls.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        let calls = self.outcomes.len();
        (calls > 0).then(|| self.failures() as f64 / calls as f64)
    }
}

/// Whether a breaker lets requests pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerStatus {
    /// All of them.
    #[default]
    Closed,
    /// None.
    Open,
    /// A few, to see whether it may close.
    HalfOpen,
}

enum_words!(BreakerStatus, "state of a breaker", {
    Closed => "closed", Open => "open", HalfOpen => "half_open",
});

impl ProviderState {
    /// The same on the axis of `now`, for what was written down at `saved`: what the clock did between
    /// the two makes no difference, and what is past lies in the past.
    #[must_use]
    pub fn carried_over(mut self, saved: &Stamp, now: &Stamp) -> Self {
        let shift = |passed: i64| now.at.saturating_sub(passed).saturating_sub(saved.at);
        let (used, waited) = (shift(now.since(saved)), shift(now.waited_since(saved)));
        let past = |at: i64| at.min(saved.at).saturating_add(used);
        let coming = |at: i64| at.saturating_add(waited);
        for rule in self.quota.rules.values_mut() {
            match rule {
                RuleState::Window(ended) => ended.iter_mut().for_each(|(at, _)| *at = past(*at)),
                RuleState::Bucket(full_at) => *full_at = full_at.saturating_add(used),
            }
        }
        self.quota.paused_until = coming(self.quota.paused_until);
        if let Some(hold) = &mut self.hold {
            hold.until = coming(hold.until);
        }
        let breaker = &mut self.breaker;
        breaker.opened_at = breaker.opened_at.map(past);
        breaker.retry_at = breaker.retry_at.map(coming);
        if let Some((at, _)) = &mut breaker.last_failure {
            *at = past(*at);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn stamp(at: i64, boot: &str, uptime: i64) -> Stamp {
        Stamp { at, boot: Some(Boot { id: boot.to_owned(), uptime }) }
    }

    fn used(ended: i64) -> ProviderState {
        let mut state = ProviderState::default();
        state.quota.rules.insert("5/1m".to_owned(), RuleState::Window(vec![(ended, 5)]));
        state.quota.paused_until = ended + 2 * MINUTE;
        state
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_makes_no_difference() {
        let saved = stamp(1_000 * MINUTE, "a", 10 * MINUTE);
        for jump in [-500, -1, 0, 1, 500_000] {
            let now = stamp((1_003 + jump) * MINUTE, "a", 13 * MINUTE);
            let state = used(999 * MINUTE).carried_over(&saved, &now);
            let ago = now.at - 4 * MINUTE;
            assert_eq!(state, used(ago), "the clock jumped by {jump} minutes");
        }
    }

    #[test]
    fn after_another_start_the_clock_counts_but_never_backwards() {
        let saved = stamp(1_000 * MINUTE, "a", 900 * MINUTE);
        let now = |at, uptime| stamp(at * MINUTE, "b", uptime * MINUTE);
        assert_eq!(now(1_030, 2).since(&saved), 30 * MINUTE);
        assert_eq!(now(1_030, 9_000).since(&saved), 30 * MINUTE, "another machine, long up");
        assert_eq!(now(900, 2).since(&saved), 0);
        let unknown = Stamp { at: 900 * MINUTE, boot: None };
        assert_eq!(unknown.since(&saved), 0);
    }

    #[test]
    fn a_wait_ends_though_the_clock_went_back_over_a_start() {
        let saved = stamp(1_000_000 * MINUTE, "a", 900 * MINUTE);
        let mut state = used(saved.at);
        state.hold =
            Some(Hold { until: saved.at + 60 * MINUTE, reason: String::new(), symbol: None });
        let left = |uptime| {
            let now = stamp(1_000 * MINUTE, "b", uptime * MINUTE);
            let state = state.clone().carried_over(&saved, &now);
            let RuleState::Window(ended) = &state.quota.rules["5/1m"] else { panic!("a window") };
            assert_eq!(ended, &[(now.at, 5)], "what is used up is used up just now");
            state.hold.map(|hold| (hold.until - now.at) / MINUTE)
        };
        assert_eq!(left(10), Some(50));
        assert_eq!(left(60), Some(0));
    }

    #[test]
    fn what_was_written_as_yet_to_come_and_has_ended_counts_as_just_now() {
        let saved = stamp(1_000 * MINUTE, "a", 10 * MINUTE);
        let state = used(1_700 * MINUTE).carried_over(&saved, &saved);
        let RuleState::Window(ended) = &state.quota.rules["5/1m"] else { panic!("a window") };
        assert_eq!(ended, &[(saved.at, 5)]);
    }
}
