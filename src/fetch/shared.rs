//! One request for many jobs: made once a run by whoever needs it first, while the others wait for it and take
//! nothing of the quota. Of its answer each gets its part.
//!
//! A whole market is not asked for again where it is refused: then each symbol is asked for alone, and that is
//! remembered for a day. An outage is no refusal: whoever waits for the request fails with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::DateTime;
use tokio::sync::Mutex as AsyncMutex;

use crate::clock;
use crate::domain::provider_state::REFUSAL;
use crate::domain::range::TimeRange;
use crate::domain::run::{Attempt, ErrorKind, Fault};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::task::{About, Job, Shared, Task};
use crate::domain::time::day_start;
use crate::domain::timeframe::{DAY, Timeframe};
use crate::domain::words::instant;
use crate::provider::Answer;

use super::chain::Chain;
use super::client::locked;
use super::exchange::Read;
use super::job::Report;
use super::lane::{Lane, Wanted};
use super::{Fate, Fetched, Lost, Message};

/// A refusal of a day that is no older than this, in seconds, is one of every day; of an older one it may be
/// that the plan reaches back no further.
const TELLING: i64 = 30 * DAY;

/// For how long after its beginning a day that came without any row is not there yet, in seconds.
const TO_COME: i64 = 2 * DAY;

/// A request for a whole market was answered.
#[derive(Debug)]
pub struct Answered {
    /// Its number in this run: the parts of the answer bear it.
    pub number: u64,
    /// The attempt that brought it.
    pub attempt: Attempt,
    /// Rows in it.
    pub rows: u64,
    /// Rows of it that nobody asked for.
    pub dropped: u64,
    /// Rows of it that do not say whose they are.
    pub rejected: u64,
}

/// Which request it is: of a provider by its name in the config, about what, and for which market and range.
type Key = (String, About, Shared);

/// The requests that jobs of a run share.
pub(super) struct Shares {
    by_key: BTreeMap<Key, Share>,
    /// What providers refuse to be asked for in this run.
    refused: Mutex<BTreeSet<(String, String)>>,
}

/// A request that many tasks need.
struct Share {
    number: u64,
    /// Whose rows are wanted, ascending.
    symbols: Vec<Symbol>,
    /// Whoever asks holds it until the answer is there.
    state: AsyncMutex<State>,
}

enum State {
    Unasked,
    /// Kept as long as jobs are at work: one that is tried again may need it once more.
    Found(Arc<Found>),
    /// It came to nothing in this round.
    Lost(Lost),
    /// Each symbol is to be asked for alone.
    Refused,
}

/// What an answer holds of one task.
pub(super) struct Part {
    number: u64,
    pub(super) answer: Answer,
    found: Arc<Found>,
}

impl Part {
    /// Whether its prices contain what those of a page do.
    fn agrees(&self, page: &Fetched) -> bool {
        let pair = page.answer.adjustment.zip(self.answer.adjustment);
        pair.is_none_or(|(before, next)| before == next)
    }

    /// The attempt that brought it, as that of the task's part of it.
    pub(super) fn attempt(&self, task: &Task, range: TimeRange) -> Attempt {
        Attempt {
            series: task.key.clone(),
            range,
            begun: Instant::now(),
            response_time: Duration::ZERO,
            bytes: 0,
            http_status: None,
            part_of: Some(self.number),
            ..self.found.attempt.clone()
        }
    }

    /// Of a list by date, the days that it tells of.
    pub(super) fn listed(&self) -> TimeRange {
        self.found.listed
    }
}

/// An answer.
struct Found {
    /// By symbol, ascending.
    answers: Vec<Answer>,
    attempt: Attempt,
    finished_by: i64,
    /// Of a list by date, the days that it tells of.
    listed: TimeRange,
}

impl Found {
    /// What it holds of a symbol; nothing when it has no row of it.
    fn of(&self, symbol: &Symbol) -> Answer {
        let at =
            self.answers.binary_search_by(|answer| answer.symbol.as_str().cmp(symbol.as_str()));
        at.map_or_else(|_| Answer::default(), |at| self.answers[at].clone())
    }
}

impl Shares {
    /// What the tasks of `jobs` share.
    pub(super) fn of(jobs: &[Job]) -> Self {
        let mut wanted: BTreeMap<Key, Vec<Symbol>> = BTreeMap::new();
        for task in jobs.iter().flat_map(|job| &job.tasks) {
            for shared in &task.shared {
                wanted.entry(key(task, *shared)).or_default().push(task.ask_symbol.clone());
            }
        }
        let shares = (0..).zip(wanted).map(|(number, (key, mut symbols))| {
            symbols.sort_unstable();
            symbols.dedup();
            (key, Share { number, symbols, state: AsyncMutex::new(State::Unasked) })
        });
        Self { by_key: shares.collect(), refused: Mutex::default() }
    }

    /// Lets those requests be made again that came to nothing in the round before.
    pub(super) async fn begin_round(&self) {
        for share in self.by_key.values() {
            let mut state = share.state.lock().await;
            if matches!(*state, State::Lost(_)) {
                *state = State::Unasked;
            }
        }
    }

    /// Whether all that a job asks for is there, or asked for by another one: it is going to send nothing.
    pub(super) fn have(&self, job: &Job) -> bool {
        job.tasks.iter().all(|task| {
            let mut shares =
                task.shared.iter().filter_map(|shared| self.by_key.get(&key(task, *shared)));
            !task.shared.is_empty() && shares.all(Share::is_there)
        })
    }

    fn is_refused(&self, provider: &str, what: &str) -> bool {
        locked(&self.refused).contains(&(provider.to_owned(), what.to_owned()))
    }
}

impl Share {
    fn is_there(&self) -> bool {
        // Whoever holds it is asking.
        self.state
            .try_lock()
            .map_or(true, |state| matches!(*state, State::Found(_) | State::Lost(_)))
    }
}

fn key(task: &Task, shared: Shared) -> Key {
    (task.provider.clone(), task.about, shared)
}

impl Lane<'_> {
    /// Hands over what the requests that a task shares with others bring of it, in as few pages as can be. Tells
    /// what of its range is to be asked for alone; `None` when all of it came.
    pub(super) async fn shared(
        &self,
        task: &Arc<Task>,
        report: &mut Report,
    ) -> Result<Option<TimeRange>, Lost> {
        let mut alone: Option<TimeRange> = None;
        let mut gathered: Option<Fetched> = None;
        for shared in &task.shared {
            let (from, to) = (shared.range.start, shared.range.end);
            let start = alone.map_or(from, |alone| alone.start);
            match self.part(task, *shared, report).await {
                Ok(Some(part)) => match &mut gathered {
                    Some(page) if part.agrees(page) => add(page, part, to),
                    _ => {
                        let next = page_of(task, part, shared.range);
                        self.hand_on(gathered.replace(next)).await;
                    }
                },
                Ok(None) => {
                    alone = Some(TimeRange::new(start, to));
                    self.hand_on(gathered.take()).await;
                }
                Err(lost) => {
                    self.hand_on(gathered.take()).await;
                    return Err(Lost { rest: Some(TimeRange::new(start, task.range.end)), ..lost });
                }
            }
        }
        self.hand_on(gathered).await;
        Ok(alone)
    }

    async fn hand_on(&self, page: Option<Fetched>) {
        if let Some(page) = page {
            self.crew.hand_over(page).await;
        }
    }

    /// Whether the provider wants to be left alone for longer than a run waits.
    fn is_long_wish(&self, lost: &Lost) -> bool {
        let longest = self.client.settings.retry.max;
        lost.fate == Fate::Failed && lost.fault.retry_after.is_some_and(|wait| wait > longest)
    }

    /// A task's part of the answer to a request; `None` when each symbol is to be asked for alone.
    pub(super) async fn part(
        &self,
        task: &Task,
        shared: Shared,
        report: &mut Report,
    ) -> Result<Option<Part>, Lost> {
        let Some(share) = self.crew.shares.by_key.get(&key(task, shared)) else { return Ok(None) };
        // Whoever waits for another's request is not to keep that one from the gate.
        self.crew.withdraw(&task.provider, self.rank);
        let mut state = share.state.lock().await;
        if matches!(*state, State::Unasked) {
            if let Some(lost) = self.crew.ending.lost(0) {
                return Err(lost);
            }
            let came = self.ask_for_all(task, shared, share, report).await;
            if let State::Lost(lost) = &came
                && self.is_long_wish(lost)
            {
                // One request met the wish: as it would be alone, one fails, and the others wait for another run.
                let own = lost.clone();
                *state = State::Lost(Lost::deferred(own.fault.message.clone()));
                return Err(own);
            }
            *state = came;
        }
        let found = match &*state {
            State::Found(found) => Arc::clone(found),
            State::Lost(lost) => return Err(lost.clone()),
            State::Refused | State::Unasked => return Ok(None),
        };
        drop(state);
        let answer = found.of(&task.ask_symbol);
        Ok(Some(Part { number: share.number, answer, found }))
    }

    /// Makes a request for a whole market.
    async fn ask_for_all(
        &self,
        task: &Task,
        shared: Shared,
        share: &Share,
        report: &mut Report,
    ) -> State {
        let what = Shared::refusal(task.about, shared.market);
        // Half an answer is none, and a budget that never suffices for one would be spent on nothing.
        let is_beyond =
            shared.further_pages > 0 && !locked(&self.crew.gates).affords(shared.further_pages + 1);
        if is_beyond || self.crew.shares.is_refused(&task.provider, &what) {
            return State::Refused;
        }
        let day = days(shared.range);
        match self.pages_of_all(task, shared, share, report).await {
            Ok(Some(found)) => State::Found(Arc::new(found)),
            Ok(None) if clock::now() < shared.range.start.saturating_add(TO_COME) => State::Lost(
                Lost::deferred(format!("{what} of {day} have no row of any symbol yet")),
            ),
            // An emptiness is believed about nobody.
            Ok(None) => {
                let message = format!("{what} of {day} came without a row of any symbol");
                self.alone_from_now_on(task, message).await;
                State::Refused
            }
            Err(lost) if lost.fate == Fate::Failed && is_refusal(lost.fault.kind) => {
                let message = self.refused(task, shared, what, &lost.fault);
                self.alone_from_now_on(task, message).await;
                State::Refused
            }
            Err(lost) => State::Lost(lost),
        }
    }

    /// Asks for every page of an answer; `None` when no page had a row.
    async fn pages_of_all(
        &self,
        task: &Task,
        shared: Shared,
        share: &Share,
        report: &mut Report,
    ) -> Result<Option<Found>, Lost> {
        let all = Task {
            key: SeriesKey { symbol: Symbol::every(), timeframe: task.key.timeframe },
            ask_symbol: Symbol::every(),
            range: shared.range,
            ..task.clone()
        };
        let market = Some((shared.market, share.symbols.as_slice()));
        let mut by_symbol: BTreeMap<String, Answer> = BTreeMap::new();
        let (mut cursor, mut rows, mut chain) = (None, 0, Chain::default());
        loop {
            let wanted =
                Wanted { task: &all, range: shared.range, cursor: cursor.as_ref(), market };
            let (read, attempt) = self.page(wanted, report).await?;
            if let Err(fault) = chain.add(&read) {
                return Err(self.crew.stuck(attempt, fault).await);
            }
            let told = answered(share.number, &read, attempt.clone());
            rows += told.rows;
            self.crew.say(Message::Answered(Box::new(told))).await;
            read.others.into_iter().for_each(|answer| merge(&mut by_symbol, answer));
            cursor = read.next;
            if cursor.is_none() {
                let finished_by = self.crew.finished_by(read.server_now);
                let answers = by_symbol.into_values().collect();
                let listed = chain.listed();
                let found = Found { answers, attempt, finished_by, listed };
                // Of a list that is empty nothing follows for anybody; a day without a row is none.
                return Ok((rows > 0 || task.about != About::Bars).then_some(found));
            }
        }
    }

    /// Notes that a whole market is refused: that day alone, where it may be the day's fault, else all that
    /// is asked of it so, in later runs too. Tells it in words.
    fn refused(&self, task: &Task, shared: Shared, what: String, fault: &Fault) -> String {
        let now = clock::now();
        let is_telling = task.about != About::Bars || is_telling(shared.range, now);
        if !is_telling || fault.kind == ErrorKind::Malformed {
            return format!("{what} of {}: {}", days(shared.range), fault.message);
        }
        let until = now.saturating_add(REFUSAL);
        let message = format!(
            "{what} as a whole: {}; not asked so again before {}",
            fault.message,
            instant(until)
        );
        locked(&self.crew.shares.refused).insert((task.provider.clone(), what.clone()));
        locked(&self.crew.gates).refuse(&task.provider, what, until);
        message
    }

    async fn alone_from_now_on(&self, task: &Task, message: String) {
        let series = SeriesKey { symbol: Symbol::every(), timeframe: Timeframe::D1 };
        let message = format!("{}: {message}; each symbol is asked for alone", task.provider);
        self.crew.say(Message::Narrowed(series, message)).await;
    }
}

/// A page that begins with a part of a task.
fn page_of(task: &Arc<Task>, part: Part, range: TimeRange) -> Fetched {
    let attempt = part.attempt(task, range);
    let finished_by = part.found.finished_by;
    let page = Fetched::of(Arc::clone(task), attempt, part.answer, range, finished_by);
    Fetched { parts: vec![(part.number, range.end)], ..page }
}

/// Adds what comes next of a task, up to `to`, to a page.
fn add(page: &mut Fetched, part: Part, to: i64) {
    page.parts.push((part.number, to));
    page.answered.end = to;
    page.attempt.range.end = to;
    page.attempt.part_of = Some(part.number);
    page.finished_by = page.finished_by.min(part.found.finished_by);
    page.answer.bars.extend(part.answer.bars);
    page.answer.broken.extend(part.answer.broken);
    page.answer.dropped += part.answer.dropped;
    page.answer.adjustment = page.answer.adjustment.or(part.answer.adjustment);
}

/// Whether the refusal of a range is one of every range: not when it reaches into today, which a plan may not
/// hold yet, nor when it is so old that a plan may not reach back to it.
fn is_telling(range: TimeRange, now: i64) -> bool {
    let today = day_start(now);
    range.end <= today && range.start >= today - TELLING
}

/// Whether trouble of that kind is with the request for a whole market, and each symbol may be had alone.
const fn is_refusal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotEntitled
            | ErrorKind::NotFound
            | ErrorKind::BadRequest
            | ErrorKind::TooLarge
            | ErrorKind::Malformed
    )
}

/// A page, as it is written down.
fn answered(number: u64, read: &Read, attempt: Attempt) -> Answered {
    let nobodys = &read.answer;
    let dropped = nobodys.dropped + nobodys.declared.actions.len() as u64;
    let rejected = nobodys.broken.len() as u64;
    let rows = dropped + rejected + read.others.iter().map(rows_of).sum::<u64>();
    Answered { number, attempt, rows, dropped, rejected }
}

/// Adds what a further page brings of a symbol.
fn merge(by_symbol: &mut BTreeMap<String, Answer>, answer: Answer) {
    let Some(held) = by_symbol.get_mut(&answer.symbol) else {
        by_symbol.insert(answer.symbol.clone(), answer);
        return;
    };
    held.bars.extend(answer.bars);
    held.broken.extend(answer.broken);
    held.dropped += answer.dropped;
    held.declared.actions.extend(answer.declared.actions);
}

fn rows_of(answer: &Answer) -> u64 {
    (answer.bars.len() + answer.broken.len() + answer.declared.actions.len()) as u64
        + answer.dropped
}

/// The days of a range, in words.
fn days(range: TimeRange) -> String {
    let date = |at: i64| DateTime::from_timestamp(at, 0).unwrap_or_default().date_naive();
    let (first, last) = (date(range.start), date(range.end.saturating_sub(1)));
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_today_or_of_the_far_past_is_none_of_every_day() {
        let noon = 20_000 * DAY + DAY / 2;
        let telling = |day: i64| is_telling(TimeRange::new(day * DAY, (day + 1) * DAY), noon);
        let days: Vec<i64> = (19_900..20_010).filter(|day| telling(*day)).collect();
        assert_eq!(days, (19_970..20_000).collect::<Vec<_>>());
    }

    #[test]
    fn an_outage_is_no_refusal() {
        use ErrorKind::{NotEntitled, RateLimited, Server, Timeout};
        let kinds = [NotEntitled, RateLimited, Server, Timeout];
        assert_eq!(kinds.map(is_refusal), [true, false, false, false]);
    }
}
