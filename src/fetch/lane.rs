//! One task's way to one provider: page after page, each asked for until it comes or it is no use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use tokio::sync::SemaphorePermit;

use crate::domain::range::TimeRange;
use crate::domain::run::{Attempt, ErrorKind, Fault};
use crate::domain::task::{Purpose, Task};
use crate::domain::timeframe::DAY;
use crate::provider::{Ask, Cursor, Provider};

use super::exchange::{Read, exchange};
use super::http::Http;
use super::line::{Line, locked};
use super::retry::{self, Verdict};
use super::seen::Seen;
use super::{Crew, Fetched, Lost, Message, attempt};

/// One task's way to one provider.
pub(super) struct Lane<'a> {
    pub(super) crew: &'a Crew,
    pub(super) line: &'a Arc<Line>,
    pub(super) provider: &'static dyn Provider,
    pub(super) base_url: &'a str,
}

impl Lane<'_> {
    /// Asks for every page of `range` and hands each on.
    pub(super) async fn pages(
        &self,
        task: &Arc<Task>,
        range: TimeRange,
        retries: &mut u32,
    ) -> Result<(), Lost> {
        let mut seen = Seen::new(task, range);
        let mut cursor = None;
        loop {
            let (reply, attempt) = self.page(task, range, cursor.as_ref(), retries).await?;
            let last = reply.next.is_none();
            if let Err(fault) = seen.progress(&reply.answer, last) {
                let attempts = attempt.number;
                let attempt = Attempt { fault: Some(fault.clone()), ..attempt };
                self.crew.say(Message::AttemptFailed(attempt, None)).await;
                return Err(Lost::new(fault, attempts));
            }
            cursor = reply.next;
            let fetched = Fetched {
                task: Arc::clone(task),
                answered: seen.answered(task, &reply.answer, last),
                answer: reply.answer,
                attempt,
                lines: Vec::new(),
                from_file: false,
                file_mark: None,
                finished_by: self.crew.finished_by(reply.server_now),
                place: None,
            };
            self.crew.hand_over(fetched).await;
            if last {
                return Ok(());
            }
        }
    }

    /// Asks for one page until it comes, or it is no use.
    async fn page(
        &self,
        task: &Task,
        range: TimeRange,
        cursor: Option<&Cursor>,
        retries: &mut u32,
    ) -> Result<(Read, Attempt), Lost> {
        let policy = &self.line.settings.retry;
        locked(&self.line.budget).first_try();
        let mut number = 1;
        loop {
            let unsent = |fault| Lost::new(fault, number - 1);
            if let Some(fault) = locked(&self.line.held_off).clone() {
                return Err(Lost { deferred: true, ..unsent(fault) });
            }
            if let Some(fault) = locked(&self.line.stopped).clone() {
                return Err(unsent(fault));
            }
            let http = self.line.http(self.provider, self.base_url).map_err(unsent)?;
            let (attempt, read) = self.attempt(&http, task, range, cursor, number).await;
            let fault = match read {
                Ok(read) => return Ok((read, attempt)),
                Err(fault) => fault,
            };
            self.line.learn(&fault);
            let verdict = retry::verdict(&fault, number, policy, &mut locked(&self.line.chance));
            let wait = match verdict {
                Verdict::Retry(wait) if locked(&self.line.budget).take(policy) => Some(wait),
                _ => None,
            };
            self.crew.say(Message::AttemptFailed(attempt, wait)).await;
            let Some(wait) = wait else { return Err(Lost::new(fault, number)) };
            tokio::time::sleep(wait).await;
            *retries += 1;
            number += 1;
        }
    }

    /// The end of what the provider can have published: a last window may end later, by name, than the
    /// session in it, and some plans refuse what reaches into the future.
    fn published(&self, task: &Task) -> i64 {
        if !task.key.timeframe.is_intraday() {
            return i64::MAX;
        }
        let lag = seconds(self.line.settings.publication.lag);
        self.crew.finished_by(None).saturating_sub(lag)
    }

    /// A place among the provider's requests in flight, with the quota's leave. Waiting for the quota
    /// holds no place, and what has the quota's leave goes at once.
    async fn place(&self, task: &Task) -> Result<SemaphorePermit<'_>, Fault> {
        let full = || Fault::new(ErrorKind::BulkheadFull, "no free place in time");
        loop {
            let patience = self.line.settings.bulkhead.timeout;
            let place = tokio::time::timeout(patience, self.line.places.acquire()).await;
            let place = place.map_err(|_| full())?.map_err(|_| full())?;
            let Err(wait) = self.line.quota() else { return Ok(place) };
            drop(place);
            self.crew.say(Message::QuotaWait(task.provider.clone(), wait)).await;
            tokio::time::sleep(wait).await;
        }
    }

    /// One try at one page, whatever comes of it.
    async fn attempt(
        &self,
        http: &Http,
        task: &Task,
        range: TimeRange,
        cursor: Option<&Cursor>,
        number: u32,
    ) -> (Attempt, Result<Read, Fault>) {
        let place = self.place(task).await;
        let mut attempt = attempt(task, range, number);
        let started = Instant::now();
        let read = match place {
            Ok(_place) => self.ask(http, task, range, cursor, &mut attempt).await,
            Err(fault) => Err(fault),
        };
        attempt.response_time = started.elapsed();
        if let Err(fault) = &read {
            attempt.http_status = attempt.http_status.or(fault.http_status);
            attempt.fault = Some(fault.clone());
        }
        (attempt, read)
    }

    /// Words what is asked for, and asks it.
    async fn ask(
        &self,
        http: &Http,
        task: &Task,
        range: TimeRange,
        cursor: Option<&Cursor>,
        attempt: &mut Attempt,
    ) -> Result<Read, Fault> {
        let settings = &self.line.settings;
        let range = TimeRange::new(range.start, range.end.min(self.published(task)));
        let ask = Ask {
            symbols: std::slice::from_ref(&task.ask_symbol),
            asset_class: task.asset_class,
            timeframe: task.key.timeframe,
            range,
            adjusted: settings.adjusted,
            page_limit: settings.page_limit,
            zone: self.crew.options.zones.get(&task.key.symbol).copied().unwrap_or(Tz::UTC),
            cursor,
        };
        exchange(http, self.provider, &ask, attempt).await
    }

    /// Asks again without the parts of a refused range that a key's plan may not hold: today, and the
    /// edge of its history.
    pub(super) async fn narrowed(
        &self,
        task: &Arc<Task>,
        mut lost: Lost,
        retries: &mut u32,
    ) -> Result<(), Lost> {
        let now = self.crew.finished_by(None);
        let history = self.line.settings.history.map(seconds);
        let usual = self.provider.defaults().history;
        for rest in narrower(task.range, now, &[history, usual]) {
            let without = without(task.range, rest);
            let message = format!("{}; asked again without {without}", lost.fault.message);
            self.crew.say(Message::Narrowed(task.key.clone(), message)).await;
            let ended = if rest.is_empty() {
                // Nothing else is asked; but a series without bars is not entitled at all.
                if task.purpose == Purpose::New { continue } else { Ok(()) }
            } else {
                self.pages(task, rest, retries).await
            };
            match ended {
                Err(again) if again.fault.kind == ErrorKind::NotEntitled => lost = again,
                Ok(()) => {
                    // The far past is out of the plan for good; today is asked for again.
                    let past = TimeRange::new(task.range.start, rest.start.min(task.range.end));
                    if !past.is_empty() {
                        self.crew.say(Message::OutOfPlan(task.key.clone(), past)).await;
                    }
                    return Ok(());
                }
                Err(other) => return Err(other),
            }
        }
        Err(lost)
    }
}

/// How near the edge of the history a range counts as touching it: years have leap days, and plans
/// round them.
const EDGE: i64 = 7 * DAY;

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// What is left of a refused range without what a plan may not hold, in the order of trying: without
/// today, without what lies before the edge of a history, without both. May be empty.
fn narrower(range: TimeRange, now: i64, histories: &[Option<i64>]) -> Vec<TimeRange> {
    let today = now.div_euclid(DAY) * DAY;
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
