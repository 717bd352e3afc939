//! Who may send now: every rule about sending, of one provider and of the run, in one place. Pure.
//!
//! Whoever wants to send asks [`Gates::enter`] until it says `Go`, in between waiting for what it names.
//! Of several who wait for one provider, the first in the plan's order goes first, and those last whose
//! turn within their job it is not yet: they take what would be left unused, and nobody's place. A request
//! goes only once it is written down that it may have been sent, so that no crash makes the quota forget it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::ProviderSettings;
use crate::domain::provider_state::{Hold, ProviderState, QuotaLeft, SECOND, Stamp, micros};
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::Symbol;
use crate::domain::words::{instant, span};

use super::breaker::{Breaker, Call, Look};
use super::lanes::Lanes;
use super::quota::{Leave, Quota};
use super::throttle::{Strain, Throttle};
use super::turns::{Rank, Turns};
use super::{Fate, Options};

/// The HTTP status by which a provider says that it no longer listens to this caller at all.
const BANNED: u16 = 418;

/// What an earlier run left of a provider, and when.
type Remembered = (ProviderState, Stamp);

/// All gates of a run.
#[derive(Debug)]
pub(super) struct Gates {
    lanes: Lanes,
    /// Requests that the run may still send; `None` when that is not limited.
    requests_left: Option<u64>,
    by_provider: BTreeMap<String, Gate>,
}

/// The gate of one provider.
#[derive(Debug)]
struct Gate {
    quota: Quota,
    breaker: Breaker,
    throttle: Throttle,
    max_concurrent: u32,
    last_left: i64,
    /// Why nothing more is asked of it in this run.
    stopped: Option<Fault>,
    hold: Option<Hold>,
    refused: BTreeMap<String, i64>,
    turns: Turns,
    ledger: Ledger,
}

/// What is written down of requests before they are sent.
#[derive(Clone, Copy, Debug, Default)]
struct Ledger {
    /// Requests that may be sent: it is written down that they may have been.
    announced: u32,
    /// Whether more are to be announced.
    wanted: bool,
    /// Whether anything else is worth being written down at once.
    changed: bool,
    /// Whether anything of this run is worth being written down.
    used: bool,
}

impl Ledger {
    const fn is_worth_a_note(&self) -> bool {
        self.wanted || self.changed
    }

    fn change(&mut self) {
        self.changed = true;
        self.used = true;
    }
}

/// What somebody who wants to send is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    /// Send. Hand the permit back at the end.
    Go(Permit),
    /// Wait, and ask again.
    Wait(Wait),
    /// It is no use in this run: the task fails so.
    Fail(Fault),
    /// It is left for the next run, for this reason.
    Defer(String),
}

/// Why somebody has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// For the quota, until this instant.
    Quota(i64),
    /// For a place among the provider's requests in flight, of which one ended last at this instant.
    Place(i64),
    /// Until it is written down that a request may be sent.
    Ledger,
    /// For others: who go first, who probe, who hold the lanes.
    Others,
}

/// A request that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permit {
    rank: Rank,
    call: Call,
    cuts: u64,
}

/// What is to be written down of a provider before anything more is sent.
#[derive(Clone, Debug)]
pub struct Note {
    /// The provider's name in the config.
    pub provider: String,
    /// Its state.
    pub state: ProviderState,
    announced: u32,
}

impl Gates {
    /// The gates of `providers` as earlier runs left them.
    pub(super) fn new(
        providers: &BTreeMap<String, ProviderSettings>,
        mut remembered: BTreeMap<String, (ProviderState, Stamp)>,
        options: &Options,
        now: &Stamp,
    ) -> Self {
        let by_provider = providers
            .iter()
            .filter(|(_, settings)| !settings.is_files())
            .map(|(name, settings)| {
                let held = remembered.remove(name);
                (name.clone(), Gate::new(settings, held, options, now))
            })
            .collect();
        let lanes = Lanes::new(options.parallel, providers.keys().cloned());
        Self { lanes, requests_left: options.max_requests, by_provider }
    }

    /// Notes that so many jobs of a provider are going to begin.
    pub(super) fn queue(&mut self, provider: &str, jobs: usize) {
        self.turns(provider, |turns| turns.queue(jobs));
    }

    /// Whether the run may still send so many requests.
    pub(super) fn affords(&self, requests: u64) -> bool {
        self.requests_left.is_none_or(|left| requests <= left)
    }

    /// Notes that a job begins, and is about to ask: those behind it let it go first.
    pub(super) fn begin(&mut self, provider: &str, job: usize) {
        self.turns(provider, |turns| turns.begin(job));
    }

    /// Notes that it is the turn of that task of its job.
    pub(super) fn pass(&mut self, provider: &str, rank: Rank) {
        self.turns(provider, |turns| turns.pass(rank));
    }

    /// Notes that a job has ended.
    pub(super) fn end(&mut self, provider: &str, job: usize) {
        self.turns(provider, |turns| turns.end(job));
    }

    /// Notes that somebody waits no more.
    pub(super) fn withdraw(&mut self, provider: &str, rank: Rank) {
        self.turns(provider, |turns| turns.withdraw(rank));
    }

    fn turns(&mut self, provider: &str, change: impl FnOnce(&mut Turns)) {
        if let Some(gate) = self.by_provider.get_mut(provider) {
            change(&mut gate.turns);
            self.lanes.set_busy(provider, !gate.turns.are_over());
        }
    }

    /// Asks for leave to send a request for `symbol`, of the task with that rank.
    pub(super) fn enter(&mut self, provider: &str, symbol: &Symbol, rank: Rank, now: i64) -> Entry {
        let is_held_back = self.is_held_back(provider, rank, now);
        let Some(gate) = self.by_provider.get_mut(provider) else {
            return Entry::Fail(Fault::new(ErrorKind::BadRequest, "an unknown provider"));
        };
        gate.turns.wait(rank);
        let spent = self.requests_left == Some(0);
        let entry = match gate.over(provider, symbol, spent, now) {
            Some(over) => over,
            None => match gate.wait(rank, is_held_back, now) {
                Some(wait) => Entry::Wait(wait),
                None => self.go(provider, rank, now),
            },
        };
        if !matches!(entry, Entry::Wait(_)) {
            self.withdraw(provider, rank);
        }
        entry
    }

    /// Lets through whom nothing but a lane keeps back, if there is one.
    fn go(&mut self, provider: &str, rank: Rank, now: i64) -> Entry {
        let gates = &self.by_provider;
        let hungry = |name: &str| gates.get(name).is_some_and(|gate| gate.is_hungry(now));
        if !self.lanes.take(provider, hungry) {
            return Entry::Wait(Wait::Others);
        }
        self.requests_left = self.requests_left.map(|left| left.saturating_sub(1));
        match self.by_provider.get_mut(provider) {
            Some(gate) => Entry::Go(gate.begin(rank, now)),
            None => Entry::Wait(Wait::Others),
        }
    }

    /// Whether asking is no use at `now`, and what comes of it.
    pub(super) fn over(&self, provider: &str, symbol: &Symbol, now: i64) -> Option<Entry> {
        let spent = self.requests_left == Some(0);
        self.by_provider.get(provider).and_then(|gate| gate.over(provider, symbol, spent, now))
    }

    /// Whether a task has to leave lane, place and quota to those whose turn it is: no lane would stay
    /// empty without it.
    fn is_held_back(&self, provider: &str, rank: Rank, now: i64) -> bool {
        let own = self.by_provider.get(provider).filter(|gate| gate.turns.is_further(rank));
        let Some(own) = own else { return false };
        let gates = || self.by_provider.values();
        let can_go = gates().filter(|gate| gate.hindrance(now).is_none());
        let needed: usize = can_go.map(|gate| gate.turns.grounded()).sum();
        let to_come: usize = gates().map(|gate| gate.turns.to_come()).sum();
        self.lanes.free() <= needed
            || self.requests_left.is_some_and(|left| left <= to_come as u64)
            || !own.has_spare(now)
    }

    /// Notes how a request ended: `fault` is what went wrong; `None` when nothing did.
    pub(super) fn leave(
        &mut self,
        provider: &str,
        permit: Permit,
        fault: Option<&Fault>,
        now: i64,
    ) {
        self.lanes.give_back(provider);
        if let Some(gate) = self.by_provider.get_mut(provider) {
            gate.end(permit, fault, now);
        }
    }

    /// Sends nothing to a provider before `until`.
    pub(super) fn pause(&mut self, provider: &str, until: i64) {
        if let Some(gate) = self.by_provider.get_mut(provider) {
            gate.quota.pause(until);
            gate.ledger.change();
        }
    }

    /// Leaves a provider alone for as long as it asks in `fault`, which befell `symbol`. What is no longer than
    /// `longest` the run waits for; a longer wish is remembered, and it is told what becomes of the task.
    pub(super) fn heed(
        &mut self,
        provider: &str,
        symbol: &Symbol,
        fault: &Fault,
        longest: Duration,
        now: i64,
    ) -> Option<Fate> {
        let wait = fault.retry_after?;
        let until = now.saturating_add(micros(wait));
        if wait <= longest {
            self.pause(provider, until);
            return None;
        }
        let hold = Hold {
            until,
            reason: fault.message.clone(),
            // A ban is of the caller, whatever was asked for.
            symbol: (fault.http_status != Some(BANNED)).then(|| symbol.to_string()),
        };
        let again = self.hold(provider, hold, now);
        Some(if again { Fate::Deferred } else { Fate::Failed })
    }

    /// Does not ask for a symbol until `hold` is over, in later runs too; nor for any other, when it is
    /// not the first to be told so. Tells whether that is so.
    fn hold(&mut self, provider: &str, hold: Hold, now: i64) -> bool {
        let Some(gate) = self.by_provider.get_mut(provider) else { return false };
        gate.ledger.change();
        let Some(held) = gate.hold.as_mut().filter(|held| held.until > now) else {
            gate.hold = Some(hold);
            return false;
        };
        let another = held.symbol.is_none() || held.symbol != hold.symbol;
        held.until = held.until.max(hold.until);
        if another {
            held.symbol = None;
            held.reason = hold.reason;
        }
        another
    }

    /// Remembers that a provider refuses to be asked for that until then, epoch seconds UTC.
    pub(super) fn refuse(&mut self, provider: &str, what: String, until: i64) {
        if let Some(gate) = self.by_provider.get_mut(provider) {
            gate.refused.insert(what, until);
            gate.ledger.change();
        }
    }

    /// Asks nothing more of a provider in this run.
    pub(super) fn stop(&mut self, provider: &str, fault: &Fault) {
        if let Some(gate) = self.by_provider.get_mut(provider) {
            gate.stopped.get_or_insert_with(|| fault.clone());
        }
    }

    /// What is to be written down now. What it announces may be sent once it is [`Gates::noted`].
    pub(super) fn notes(&mut self, now: i64) -> Vec<Note> {
        let worth = self.by_provider.iter_mut().filter(|(_, gate)| gate.ledger.is_worth_a_note());
        worth
            .map(|(provider, gate)| {
                let announced = if gate.ledger.wanted { gate.quota.allotment() } else { 0 };
                let state = gate.state(gate.ledger.announced + announced, now);
                gate.ledger = Ledger { wanted: false, changed: false, ..gate.ledger };
                Note { provider: provider.clone(), state, announced }
            })
            .collect()
    }

    /// Notes that `notes` are written down.
    pub(super) fn noted(&mut self, notes: &[Note]) {
        for note in notes {
            if let Some(gate) = self.by_provider.get_mut(&note.provider) {
                gate.ledger.announced += note.announced;
            }
        }
    }

    /// The last words of a run, in which nothing more is sent.
    pub(super) fn last_notes(&self, now: i64) -> Vec<Note> {
        let used = self.by_provider.iter().filter(|(_, gate)| gate.ledger.used);
        used.map(|(provider, gate)| Note {
            provider: provider.clone(),
            state: gate.state(0, now),
            announced: 0,
        })
        .collect()
    }
}

impl Gate {
    fn new(
        settings: &ProviderSettings,
        held: Option<(ProviderState, Stamp)>,
        options: &Options,
        now: &Stamp,
    ) -> Self {
        let (state, written) = carried(held, now);
        // What the last run may have sent and never told counts, whether this one sends anything or not.
        let used = state.quota.unsettled > 0;
        let most = settings.bulkhead.max_concurrent.min(options.parallel);
        Self {
            quota: Quota::new(&settings.rates, &state.quota, written, now.at),
            breaker: Breaker::new(settings.breaker, &state.breaker, options.forced),
            throttle: Throttle::new(most, state.concurrency),
            max_concurrent: settings.bulkhead.max_concurrent,
            last_left: i64::MIN,
            stopped: None,
            hold: state.hold,
            refused: state.refused,
            turns: Turns::default(),
            ledger: Ledger { used, ..Ledger::default() },
        }
    }

    /// Whether asking is no use, and what comes of it.
    fn over(&self, provider: &str, symbol: &Symbol, spent: bool, now: i64) -> Option<Entry> {
        if let Some(fault) = &self.stopped {
            return Some(Entry::Fail(fault.clone()));
        }
        if let Some(hold) = self.hold.as_ref().filter(|hold| hold.concerns(symbol.as_str(), now)) {
            let until = instant(hold.until.div_euclid(SECOND));
            let reason = &hold.reason;
            return Some(Entry::Defer(format!(
                "{provider} is not asked before {until}, as it wished: {reason}"
            )));
        }
        if spent {
            return Some(Entry::Defer("the run has sent as many requests as it may".to_owned()));
        }
        match self.breaker.look(now) {
            Look::Open(until) => Some(Entry::Fail(self.open(provider, until, now))),
            Look::Pass | Look::AwaitProbe => None,
        }
    }

    fn open(&self, provider: &str, until: i64, now: i64) -> Fault {
        let wait = span(until.saturating_sub(now).saturating_add(SECOND - 1).div_euclid(SECOND));
        let last = self.breaker.last_failure().unwrap_or("too many calls failed");
        let message = format!("the breaker of {provider} is open for another {wait}: {last}");
        Fault::new(ErrorKind::CircuitOpen, message)
    }

    /// What the request of that rank has to wait for; `None` when for nothing but a lane.
    fn wait(&mut self, rank: Rank, is_held_back: bool, now: i64) -> Option<Wait> {
        match self.hindrance(now) {
            // Its patience begins when it is its turn.
            Some(Wait::Place(_)) if self.turns.is_further(rank) => return Some(Wait::Others),
            Some(wait) => return Some(wait),
            None => {}
        }
        if is_held_back || !self.turns.is_first(rank) {
            return Some(Wait::Others);
        }
        if self.ledger.announced == 0 {
            self.ledger.wanted = true;
            return Some(Wait::Ledger);
        }
        None
    }

    /// What every request has to wait for, whoever sends it; `None` when for nothing.
    fn hindrance(&self, now: i64) -> Option<Wait> {
        if self.breaker.look(now) != Look::Pass {
            return Some(Wait::Others);
        }
        match self.quota.look(now) {
            Leave::Now => {}
            Leave::At(at) => return Some(Wait::Quota(at)),
            Leave::AfterAnother => return Some(Wait::Others),
        }
        (self.places() == 0).then_some(Wait::Place(self.last_left))
    }

    /// Places that are free among the provider's requests in flight.
    fn places(&self) -> u32 {
        self.max_concurrent.min(self.throttle.limit()).saturating_sub(self.turns.in_flight())
    }

    /// Whether it takes more than those send whose turn it is.
    fn has_spare(&self, now: i64) -> bool {
        self.places() as usize > self.turns.grounded()
            && self.quota.left(now) > self.turns.to_come() as u64
    }

    /// Whether somebody waits who would go if there were a lane, and whose turn it is.
    fn is_hungry(&self, now: i64) -> bool {
        self.turns.is_awaited() && self.stopped.is_none() && self.hindrance(now).is_none()
    }

    fn begin(&mut self, rank: Rank, now: i64) -> Permit {
        self.quota.begin();
        self.turns.fly(rank);
        self.ledger.announced -= 1;
        self.ledger.used = true;
        // Asked for early enough, nobody waits for it.
        self.ledger.wanted |= self.ledger.announced < self.quota.allotment() / 2;
        Permit { rank, call: self.breaker.begin(now), cuts: self.throttle.begin() }
    }

    fn end(&mut self, permit: Permit, fault: Option<&Fault>, now: i64) {
        self.turns.land(permit.rank);
        self.last_left = now;
        self.quota.end(now);
        let (status, cut) = (self.breaker.state().status, self.throttle.state());
        let kind = fault.map(|fault| fault.kind);
        match kind {
            // Ours, and no word of the provider's.
            Some(ErrorKind::Cancelled | ErrorKind::Deadline | ErrorKind::Storage) => {
                self.breaker.forgo(permit.call);
            }
            _ => {
                let failure = fault
                    .filter(|fault| is_failure(fault.kind))
                    .map(|fault| fault.message.as_str());
                self.breaker.end(permit.call, failure, now);
                // A call that never reached the provider is no success either.
                if kind != Some(ErrorKind::Network) {
                    self.throttle.end(permit.cuts, strain(kind));
                }
            }
        }
        if status != self.breaker.state().status || cut != self.throttle.state() {
            self.ledger.change();
        }
    }

    fn state(&self, announced: u32, now: i64) -> ProviderState {
        ProviderState {
            quota: self.quota.state(announced),
            hold: self.hold.clone().filter(|hold| hold.until > now),
            concurrency: self.throttle.state(),
            breaker: self.breaker.state(),
            refused: self.refused.clone(),
        }
    }
}

/// What is known of a provider at `now`, and when that was written down.
fn carried(held: Option<Remembered>, now: &Stamp) -> (ProviderState, i64) {
    match held {
        Some((state, saved)) => {
            let ago = now.since(&saved);
            (state.carried_over(&saved, now), now.at.saturating_sub(ago))
        }
        None => (ProviderState::default(), now.at),
    }
}

/// What is left at `now` of the quota of each provider that has one, by name: what a run that begins then
/// may send at once. Nothing is left of one that has asked not to be asked.
#[must_use]
pub fn quotas_left(
    providers: &BTreeMap<String, ProviderSettings>,
    mut remembered: BTreeMap<String, Remembered>,
    now: &Stamp,
) -> Vec<QuotaLeft> {
    let limited =
        providers.values().filter(|settings| !settings.is_files() && !settings.rates.is_empty());
    limited
        .map(|settings| {
            let (state, written) = carried(remembered.remove(&settings.name), now);
            let quota = Quota::new(&settings.rates, &state.quota, written, now.at);
            let held = |hold: &Hold| hold.symbol.is_none() && hold.until > now.at;
            let is_held = state.hold.as_ref().is_some_and(held);
            QuotaLeft {
                provider: settings.name.clone(),
                requests: if is_held { 0 } else { quota.left(now.at) },
                at_once: u64::from(quota.at_once()),
            }
        })
        .collect()
}

/// Whether the breaker counts it: trouble of the provider, not of what was asked.
const fn is_failure(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Server)
}

const fn strain(kind: Option<ErrorKind>) -> Strain {
    match kind {
        Some(ErrorKind::RateLimited) => Strain::TooMany,
        Some(ErrorKind::Timeout | ErrorKind::Server) => Strain::Trouble,
        _ => Strain::None,
    }
}

#[cfg(test)]
mod tests;
