//! One task's way to one provider: page after page, each asked for until it comes or it is no use.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;

use crate::domain::provider_state::{SECOND, micros};
use crate::domain::range::TimeRange;
use crate::domain::run::{Attempt, ErrorKind, Fault};
use crate::domain::series::Symbol;
use crate::domain::task::{About, Purpose, Task};
use crate::domain::time::{day_start, seconds};
use crate::domain::timeframe::DAY;
use crate::provider::{Ask, Cursor, Provider};

use super::client::{ProviderClient, locked};
use super::crew::Crew;
use super::exchange::{Came, Read, exchange};
use super::gate::{Entry, Permit, Wait};
use super::http::Http;
use super::job::Report;
use super::retry::{self, Verdict};
use super::seen::Seen;
use super::turns::Rank;
use super::{Fetched, Lost, Message, attempt};

/// Redirects that are followed for one page, within the origin.
const MOST_REDIRECTS: u32 = 4;

/// One task's way to one provider.
pub(super) struct Lane<'a> {
    pub(super) crew: &'a Crew,
    pub(super) client: &'a ProviderClient,
    pub(super) provider: &'static dyn Provider,
    pub(super) base_url: &'a str,
    pub(super) rank: Rank,
}

/// The page that is wanted: of a task, in a range, behind a cursor.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) task: &'a Task,
    pub(super) range: TimeRange,
    pub(super) cursor: Option<&'a Cursor>,
    /// Whose rows are wanted of the whole market, ascending; `None` where the task's symbol is asked for alone.
    pub(super) market: Option<(&'static str, &'a [Symbol])>,
}

/// A request on its way. One that breaks down gives its place back too.
struct Flight<'a> {
    lane: &'a Lane<'a>,
    permit: Option<Permit>,
    /// How long it waited for the quota.
    waited: Duration,
}

impl Flight<'_> {
    /// Says how it ended: `fault` is what went wrong; `None` when nothing did.
    fn land(mut self, fault: Option<&Fault>) {
        self.end(fault);
    }

    fn end(&mut self, fault: Option<&Fault>) {
        let Some(permit) = self.permit.take() else { return };
        let Lane { crew, client, .. } = self.lane;
        locked(&crew.gates).leave(&client.settings.name, permit, fault, crew.timeline.now());
        crew.changed.notify_waiters();
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.end(Some(&Fault::new(ErrorKind::Cancelled, "it broke down")));
    }
}

/// Somebody who waits at a gate; no more once dropped.
struct Turn<'a> {
    lane: &'a Lane<'a>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Lane { crew, client, rank, .. } = self.lane;
        locked(&crew.gates).withdraw(&client.settings.name, *rank);
        crew.changed.notify_waiters();
    }
}

impl Lane<'_> {
    /// Asks for every page of `range` and hands each on.
    pub(super) async fn pages(
        &self,
        task: &Arc<Task>,
        range: TimeRange,
        report: &mut Report,
    ) -> Result<(), Lost> {
        let mut seen = Seen::new(task, range);
        let mut cursor = None;
        loop {
            let wanted = Wanted { task, range, cursor: cursor.as_ref(), market: None };
            let page = self.page(wanted, report).await;
            let (reply, attempt) = page.map_err(|lost| Lost { rest: Some(seen.rest()), ..lost })?;
            let last = reply.next.is_none();
            if let Err(fault) = seen.progress(&reply.answer, last) {
                return Err(self.crew.stuck(attempt, fault).await);
            }
            cursor = reply.next;
            let answered = seen.answered(task, &reply.answer, last);
            let finished_by = self.crew.finished_by(reply.server_now);
            let task = Arc::clone(task);
            let fetched = Fetched::of(task, attempt, reply.answer, answered, finished_by);
            self.crew.hand_over(fetched).await;
            if last {
                return Ok(());
            }
        }
    }

    /// Asks for one page until it comes, or it is no use.
    pub(super) async fn page(
        &self,
        wanted: Wanted<'_>,
        report: &mut Report,
    ) -> Result<(Read, Attempt), Lost> {
        let policy = &self.client.settings.retry;
        let mut number = 1;
        loop {
            let tried = |lost: Lost| Lost { attempts: number - 1, ..lost };
            let (attempt, read) = self.attempt(wanted, number, report).await.map_err(tried)?;
            let fault = match read {
                Ok(read) => {
                    read.quota_reset_in.iter().for_each(|wait| self.pause(*wait));
                    return Ok((read, attempt));
                }
                Err(fault) => fault,
            };
            let held = self.learn(&fault, wanted.task);
            let verdict = retry::verdict(&fault, number, policy, &mut locked(&self.client.chance));
            let wait = match verdict {
                Verdict::Retry(wait) if locked(&self.client.budget).take(policy) => Some(wait),
                _ => None,
            };
            self.crew.say(Message::AttemptFailed(attempt, wait)).await;
            if let Some(lost) = self.crew.ending.lost(number) {
                return Err(lost);
            }
            let Some(wait) = wait else {
                return Err(held.unwrap_or_else(|| Lost::failed(fault, number)).after(number));
            };
            if fault.kind == ErrorKind::RateLimited {
                self.pause(wait);
            }
            self.crew.rest(wait, number).await?;
            number += 1;
        }
    }

    /// One try at one page, whatever comes of it. Each redirect on the way is a request of its own.
    async fn attempt(
        &self,
        wanted: Wanted<'_>,
        number: u32,
        report: &mut Report,
    ) -> Result<(Attempt, Result<Read, Fault>), Lost> {
        let http = self.client.http(self.provider, self.base_url);
        let http = http.map_err(|fault| Lost::failed(fault, 0))?;
        let mut elsewhere = None;
        let mut redirects = 0;
        loop {
            let flight = self.enter(wanted.task).await?;
            report.went();
            match (redirects, number) {
                (0, 1) => locked(&self.client.budget).first_try(),
                (0, _) => report.retries += 1,
                _ => {}
            }
            let (attempt, came) =
                self.request(flight, &http, wanted, elsewhere.as_ref(), number).await;
            match came {
                Ok(Came::Page(read)) => return Ok((attempt, Ok(*read))),
                Err(fault) => return Ok((attempt, Err(fault))),
                Ok(Came::Elsewhere(_)) if redirects == MOST_REDIRECTS => {
                    let message =
                        format!("more than {MOST_REDIRECTS} redirects, one after the other");
                    let fault = Fault::new(ErrorKind::Malformed, message);
                    return Ok((Attempt { fault: Some(fault.clone()), ..attempt }, Err(fault)));
                }
                Ok(Came::Elsewhere(url)) => {
                    redirects += 1;
                    elsewhere = Some(url);
                    self.crew.say(Message::Redirected(attempt)).await;
                }
            }
        }
    }

    /// What a fault means for the provider as a whole; the end of the task, when it means that it is not
    /// to be asked again in this run.
    fn learn(&self, fault: &Fault, task: &Task) -> Option<Lost> {
        let Self { crew, client, .. } = self;
        let settings = &client.settings;
        let fate = {
            let mut gates = locked(&crew.gates);
            if fault.kind == ErrorKind::Auth {
                gates.stop(&settings.name, fault);
            }
            let (symbol, now) = (&task.key.symbol, crew.timeline.now());
            gates.heed(&settings.name, symbol, fault, settings.retry.max, now)
        };
        crew.changed.notify_waiters();
        let fate = fate?;
        let fault = Fault { kind: ErrorKind::RateLimited, ..fault.clone() };
        Some(Lost { fault, attempts: 0, fate, rest: None })
    }

    /// Leaves the provider alone for so long.
    fn pause(&self, wait: Duration) {
        let until = self.crew.timeline.now().saturating_add(micros(wait));
        locked(&self.crew.gates).pause(&self.client.settings.name, until);
        self.crew.changed.notify_waiters();
    }

    /// The end of what the provider can have published: a last window may end later, by name, than the
    /// session in it, and some plans refuse what reaches into the future.
    fn published(&self, task: &Task) -> i64 {
        if task.about != About::Bars || !task.key.timeframe.is_intraday() {
            return i64::MAX;
        }
        let lag = seconds(self.client.settings.publication.lag);
        self.crew.finished_by(None).saturating_sub(lag)
    }

    /// Waits for leave to send one request.
    async fn enter(&self, task: &Task) -> Result<Flight<'_>, Lost> {
        let Self { crew, client, rank, .. } = self;
        let provider = &client.settings.name;
        let _turn = Turn { lane: self };
        let mut told = None;
        let mut waited = Duration::ZERO;
        // Since when nothing but a place is lacking.
        let mut since = None;
        loop {
            // Listens before it looks: no change in between is missed.
            let mut changed = pin!(crew.changed.notified());
            changed.as_mut().enable();
            if let Some(lost) = crew.ending.lost(0) {
                return Err(lost);
            }
            let now = crew.timeline.now();
            let entry = locked(&crew.gates).enter(provider, &task.key.symbol, *rank, now);
            since = since.filter(|_| matches!(entry, Entry::Wait(Wait::Place(_))));
            let is_quota = matches!(entry, Entry::Wait(Wait::Quota(_)));
            let until = match entry {
                Entry::Go(permit) => {
                    return Ok(Flight { lane: self, permit: Some(permit), waited });
                }
                Entry::Fail(fault) => return Err(Lost::failed(fault, 0)),
                Entry::Defer(reason) => return Err(Lost::deferred(reason)),
                Entry::Wait(Wait::Quota(at)) if at > crew.ends_at => {
                    let reason = "the quota lets nothing more through in the run's time";
                    return Err(Lost::deferred(reason));
                }
                Entry::Wait(Wait::Quota(at)) => {
                    // It shifts a little with every request of those before.
                    if told.is_none_or(|told: i64| at > told.saturating_add(SECOND)) {
                        told = Some(at);
                        crew.say(Message::QuotaWait(task.provider.clone(), now, at)).await;
                    }
                    Some(at)
                }
                Entry::Wait(Wait::Place(last_left)) => {
                    let since = *since.get_or_insert(now);
                    let timeout = micros(client.settings.bulkhead.timeout);
                    let until = since.max(last_left).saturating_add(timeout);
                    if until <= now {
                        let fault = Fault::new(ErrorKind::BulkheadFull, "no free place in time");
                        return Err(Lost::failed(fault, 0));
                    }
                    Some(until)
                }
                Entry::Wait(Wait::Ledger) => {
                    crew.say(Message::Remind).await;
                    None
                }
                Entry::Wait(Wait::Others) => None,
            };
            let began = Instant::now();
            crew.until(until, changed).await;
            if is_quota {
                waited += began.elapsed();
            }
        }
    }

    /// One request, whatever comes of it.
    async fn request(
        &self,
        flight: Flight<'_>,
        http: &Http,
        wanted: Wanted<'_>,
        elsewhere: Option<&Url>,
        number: u32,
    ) -> (Attempt, Result<Came, Fault>) {
        let ending = &self.crew.ending;
        let mut attempt = attempt(wanted.task, wanted.range, number);
        attempt.pace.quota = flight.waited;
        let asking = Box::pin(self.ask(http, wanted, elsewhere, &mut attempt));
        let answered = ending.cut.run_until_cancelled(asking).await;
        let came = answered.unwrap_or_else(|| Err(ending.fault()));
        let fault = came.as_ref().err();
        // A list of splits that is out of order is no reason to ask for no bars.
        let is_beside =
            |fault: &&Fault| wanted.task.about != About::Bars && fault.kind == ErrorKind::Server;
        flight.land(fault.filter(|fault| !is_beside(fault)));
        attempt.response_time = attempt.begun.elapsed();
        if let Some(fault) = fault {
            attempt.http_status = attempt.http_status.or(fault.http_status);
            attempt.fault = Some(fault.clone());
        }
        (attempt, came)
    }

    /// Words what is asked for, and asks it.
    async fn ask(
        &self,
        http: &Http,
        wanted: Wanted<'_>,
        elsewhere: Option<&Url>,
        attempt: &mut Attempt,
    ) -> Result<Came, Fault> {
        let settings = &self.client.settings;
        let Wanted { task, range, cursor, market } = wanted;
        let range = TimeRange::new(range.start, range.end.min(self.published(task)));
        let ask = Ask {
            symbols: market.map_or(std::slice::from_ref(&task.ask_symbol), |(_, symbols)| symbols),
            market: market.map(|(market, _)| market),
            about: task.about,
            asset_class: task.asset_class,
            timeframe: task.key.timeframe,
            range,
            adjusted: settings.adjusted,
            page_limit: settings.page_limit,
            zone: self.crew.zone(&task.key.symbol),
            cursor,
        };
        exchange(http, self.provider, &ask, elsewhere, attempt).await
    }

    /// Asks again without the parts of a refused range that a key's plan may not hold: today, and the
    /// edge of its history.
    pub(super) async fn narrowed(
        &self,
        task: &Arc<Task>,
        mut lost: Lost,
        report: &mut Report,
    ) -> Result<(), Lost> {
        let now = self.crew.finished_by(None);
        let history = self.client.settings.history.map(seconds);
        let usual = self.provider.defaults().history;
        for rest in narrower(task.range, now, &[history, usual]) {
            let without = without(task.range, rest);
            let message = format!("{}; asked again without {without}", lost.fault.message);
            self.crew.say(Message::Narrowed(task.key.clone(), message)).await;
            let ended = if rest.is_empty() {
                // Nothing else is asked; but a series without bars is not entitled at all.
                if task.purpose == Purpose::New { continue } else { Ok(()) }
            } else {
                self.pages(task, rest, report).await
            };
            match ended {
                Err(again) if again.is_refusal() => lost = again,
                Ok(()) => {
                    // The far past is out of the plan for good; today is asked for again.
                    let past = TimeRange::new(task.range.start, rest.start.min(task.range.end));
                    if !past.is_empty() {
                        self.crew.say(Message::OutOfPlan(task.key.clone(), past)).await;
                    }
                    return Ok(());
                }
                // Whoever asks again learns anew what is refused.
                Err(other) => return Err(Lost { rest: None, ..other }),
            }
        }
        Err(lost)
    }
}

/// How near the edge of the history a range counts as touching it: years have leap days, and plans
/// round them.
const EDGE: i64 = 7 * DAY;

/// What is left of a refused range without what a plan may not hold, in the order of trying: without
/// today, without what lies before the edge of a history, without both. May be empty.
fn narrower(range: TimeRange, now: i64, histories: &[Option<i64>]) -> Vec<TimeRange> {
    let today = day_start(now);
    let edges = histories.iter().flatten().map(|history| now.saturating_sub(*history) + EDGE);
    let starts = edges.filter(|edge| *edge > range.start);
    let ends = [range.end, range.end.min(today)];
    let mut narrower: Vec<TimeRange> = std::iter::once(range.start)
        .chain(starts)
        .flat_map(|start| ends.map(|end| TimeRange::new(start, end)))
        .filter(|rest| *rest != range)
        .collect();
    narrower.dedup();
    narrower
}

/// What `rest` lacks of `range`, in words.
fn without(range: TimeRange, rest: TimeRange) -> &'static str {
    match (rest.start > range.start, rest.end < range.end) {
        (true, true) => "the far past and today",
        (true, false) => "the far past",
        (false, _) => "today",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(from: i64, to: i64) -> TimeRange {
        TimeRange::new(from * DAY, to * DAY)
    }

    #[test]
    fn a_refused_range_loses_what_a_plan_may_not_hold_and_no_more() {
        let of = |range| -> Vec<_> {
            let histories = [Some(365 * DAY), None];
            let narrower = narrower(range, 1000 * DAY, &histories).into_iter();
            narrower.map(|rest| (rest.start / DAY, rest.end / DAY)).collect()
        };
        assert_eq!(of(days(700, 1000)), [], "it touches neither");
        assert_eq!(of(days(700, 1001)), [(700, 1000)]);
        assert_eq!(of(days(636, 900)), [(642, 900)]);
        assert_eq!(of(days(636, 1001)), [(636, 1000), (642, 1001), (642, 1000)]);
        assert_eq!(of(days(1000, 1001)), [(1000, 1000)], "nothing but today");
        assert_eq!(of(days(636, 640)), [(642, 640)], "nothing but the far past");
    }
}
