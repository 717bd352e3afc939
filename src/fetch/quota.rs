//! When a request may be sent: strict sliding windows and token buckets, all of a provider's obeyed.
//! Pure: time is passed in, microseconds since 1970 UTC on the run's own timeline.
//!
//! When a request reached the provider is not known here, only that it was between its sending and its
//! end. So it holds its place in every rule from the one on, and counts from the other: later than the
//! provider can have counted it, so that no delay on the way ever makes one request too many.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::policy::RateLimit;
use crate::domain::provider_state::{QuotaState, RuleState, micros};

/// Entries that a window keeps, at most: requests that end within this part of it count as one moment,
/// the latest.
const GRAINS: i64 = 500;

/// Instants that are apart by exactly the window's length lie in one window to some clocks.
const APART: i64 = 1_000;

/// The quota of one provider.
#[derive(Clone, Debug)]
pub(super) struct Quota {
    rules: Vec<Rule>,
    /// Requests that were begun and have not ended.
    in_flight: u32,
    paused_until: i64,
}

/// Whether one more request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// At once.
    Now,
    /// Not before this instant.
    At(i64),
    /// Once one of those in flight has ended.
    AfterAnother,
}

#[derive(Clone, Debug)]
struct Rule {
    /// What it is remembered by.
    name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Never more than `requests` in any `per`. `ended`: when requests ended, ascending, and how many.
    Window { requests: u64, per: i64, ended: VecDeque<(i64, u32)> },
    /// `burst` tokens at most; one grows every `interval`. `full_at` is when the bucket is full again.
    Bucket { burst: u32, interval: i64, full_at: i64 },
}

impl Quota {
    /// The quota by `rates`, of which `state` tells what is used up; `written` is when that was written
    /// down.
    pub(super) fn new(rates: &[RateLimit], state: &QuotaState, written: i64, now: i64) -> Self {
        let mut rules: Vec<Rule> = rates.iter().map(Rule::new).collect();
        for rule in &mut rules {
            rule.remember(state, written);
            // Sent before that run ended, and so before now.
            rule.ended(state.unsettled, now);
        }
        Self { rules, in_flight: 0, paused_until: state.paused_until }
    }

    /// Whether one more request may be sent at `now`.
    pub(super) fn look(&self, now: i64) -> Leave {
        let paused =
            if self.paused_until > now { Leave::At(self.paused_until) } else { Leave::Now };
        self.rules.iter().map(|rule| rule.look(self.in_flight, now)).fold(paused, Leave::later)
    }

    /// Notes that a request is being sent.
    pub(super) fn begin(&mut self) {
        self.in_flight += 1;
    }

    /// Notes that one has ended, in whatever way.
    pub(super) fn end(&mut self, now: i64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.rules.iter_mut().for_each(|rule| rule.ended(1, now));
    }

    /// Sends nothing before `until`.
    pub(super) fn pause(&mut self, until: i64) {
        self.paused_until = self.paused_until.max(until);
    }

    /// How many requests may be sent at `now`, all of them at once.
    pub(super) fn left(&self, now: i64) -> u64 {
        if self.paused_until > now {
            return 0;
        }
        self.rules.iter().map(|rule| rule.left(self.in_flight, now)).min().unwrap_or(u64::MAX)
    }

    /// How many requests the tightest rule gives at once.
    pub(super) fn at_once(&self) -> u32 {
        let at_once = self.rules.iter().map(|rule| match rule.kind {
            Kind::Window { requests, .. } => u32::try_from(requests).unwrap_or(u32::MAX),
            Kind::Bucket { burst, .. } => burst,
        });
        at_once.min().unwrap_or(u32::MAX)
    }

    /// How many requests may be announced at once: a tenth of what the tightest rule gives at once.
    pub(super) fn allotment(&self) -> u32 {
        (self.at_once() / 10).clamp(1, 1_000)
    }

    /// What is to be remembered, with `announced` requests that may be sent before the next word.
    pub(super) fn state(&self, announced: u32) -> QuotaState {
        let rules: BTreeMap<String, RuleState> =
            self.rules.iter().map(|rule| (rule.name.clone(), rule.state())).collect();
        let unsettled = self.in_flight.saturating_add(announced);
        QuotaState { rules, unsettled, paused_until: self.paused_until }
    }
}

impl Leave {
    /// Of two, the one that keeps a request back for longer.
    fn later(self, other: Self) -> Self {
        match (self, other) {
            (Self::AfterAnother, _) | (_, Self::AfterAnother) => Self::AfterAnother,
            (Self::At(one), Self::At(two)) => Self::At(one.max(two)),
            (Self::Now, other) => other,
            (wait, Self::Now) => wait,
        }
    }
}

impl Rule {
    fn new(rate: &RateLimit) -> Self {
        let per = micros(rate.per);
        let name = rate.name();
        match rate.burst {
            None => {
                let requests = u64::from(rate.requests);
                Self { name, kind: Kind::Window { requests, per, ended: VecDeque::new() } }
            }
            Some(burst) => {
                // Rounded up: never faster than was said.
                let interval =
                    per / i64::from(rate.requests) + i64::from(per % i64::from(rate.requests) > 0);
                Self { name, kind: Kind::Bucket { burst, interval, full_at: 0 } }
            }
        }
    }

    /// Takes over what an earlier run knew. A rule that was not among its rules begins with what its
    /// windows know, or, when it had none, used up as of then: a new limit gives no second helping.
    fn remember(&mut self, state: &QuotaState, written: i64) {
        match (&mut self.kind, state.rules.get(&self.name)) {
            (Kind::Window { ended, .. }, Some(RuleState::Window(held))) => {
                *ended = held.iter().copied().collect();
            }
            (Kind::Bucket { burst, interval, full_at }, Some(RuleState::Bucket(held))) => {
                // No bucket is ever emptier than empty.
                let empty = interval.saturating_mul(i64::from(*burst));
                *full_at = (*held).min(written.saturating_add(empty));
            }
            _ if state.rules.is_empty() => {}
            _ => self.remember_others(state, written),
        }
    }

    fn remember_others(&mut self, state: &QuotaState, written: i64) {
        let longest = state.rules.values().filter_map(|rule| match rule {
            RuleState::Window(ended) => Some(ended),
            RuleState::Bucket(_) => None,
        });
        match longest.max_by_key(|ended| ended.len()) {
            Some(ended) => {
                ended.iter().for_each(|(at, requests)| self.ended(*requests, *at));
            }
            None => {
                let all = match self.kind {
                    Kind::Window { requests, .. } => u32::try_from(requests).unwrap_or(u32::MAX),
                    Kind::Bucket { burst, .. } => burst,
                };
                self.ended(all, written);
            }
        }
    }

    fn look(&self, in_flight: u32, now: i64) -> Leave {
        match &self.kind {
            Kind::Window { requests, per, ended } => {
                let Some(room) = requests.checked_sub(u64::from(in_flight) + 1) else {
                    return Leave::AfterAnother;
                };
                let again = |at: i64| at.saturating_add(*per).saturating_add(APART);
                match nth_last(ended, room).map(again) {
                    Some(at) if at > now => Leave::At(at),
                    _ => Leave::Now,
                }
            }
            Kind::Bucket { burst, interval, full_at } => {
                let room = i64::from(*burst) - i64::from(in_flight) - 1;
                if room < 0 {
                    return Leave::AfterAnother;
                }
                let at = full_at.saturating_sub(interval.saturating_mul(room));
                if at > now { Leave::At(at) } else { Leave::Now }
            }
        }
    }

    /// How many requests it lets through at `now`, beside those in flight.
    fn left(&self, in_flight: u32, now: i64) -> u64 {
        let (most, used) = match &self.kind {
            Kind::Window { requests, per, ended } => {
                let counts = |at: i64| at.saturating_add(*per).saturating_add(APART) > now;
                let held = ended.iter().filter(|(at, _)| counts(*at));
                (*requests, held.map(|(_, requests)| u64::from(*requests)).sum())
            }
            Kind::Bucket { burst, interval, full_at } => {
                let lacking = u64::try_from(full_at.saturating_sub(now)).unwrap_or(0);
                (u64::from(*burst), lacking.div_ceil(interval.unsigned_abs().max(1)))
            }
        };
        most.saturating_sub(used).saturating_sub(u64::from(in_flight))
    }

    /// Notes that so many requests have ended.
    fn ended(&mut self, requests: u32, now: i64) {
        if requests == 0 {
            return;
        }
        match &mut self.kind {
            Kind::Window { per, ended, .. } => {
                let grain = (*per / GRAINS).max(1);
                let gone = now.saturating_sub(per.saturating_mul(2));
                while ended.front().is_some_and(|(at, _)| *at < gone) {
                    ended.pop_front();
                }
                let at = now.saturating_add(grain - 1).div_euclid(grain).saturating_mul(grain);
                match ended.back_mut() {
                    Some((last, held)) if *last >= at => *held = held.saturating_add(requests),
                    _ => ended.push_back((at, requests)),
                }
            }
            Kind::Bucket { interval, full_at, .. } => {
                let taken = interval.saturating_mul(i64::from(requests));
                *full_at = (*full_at).max(now).saturating_add(taken);
            }
        }
    }

    fn state(&self) -> RuleState {
        match &self.kind {
            Kind::Window { ended, .. } => RuleState::Window(ended.iter().copied().collect()),
            Kind::Bucket { full_at, .. } => RuleState::Bucket(*full_at),
        }
    }
}

/// When the request ended that has `later` ones after it; `None` when there are no more than `later`.
fn nth_last(ended: &VecDeque<(i64, u32)>, later: u64) -> Option<i64> {
    let mut counted = 0;
    for (at, requests) in ended.iter().rev() {
        counted += u64::from(*requests);
        if counted > later {
            return Some(*at);
        }
    }
    None
}

#[cfg(test)]
mod tests;
