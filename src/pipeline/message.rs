//! What fetching says, one message at a time: each is written down, and becomes what is said of it.

use std::mem;
use std::time::{Duration, Instant};

use crate::clock;
use crate::domain::event::Event;
use crate::domain::run::{Attempt, PageCounts};
use crate::domain::series::Symbol;
use crate::domain::task::{About, Task};
use crate::fetch::{Answered, Message};
use crate::store::{StoreResult, Writer};

use super::desk::{Desk, Logged};

impl Desk<'_> {
    /// Writes one message down; tells what to say once it is committed.
    pub(super) fn take(&mut self, tx: &Writer<'_>, message: Message) -> StoreResult<Vec<Event>> {
        match message {
            Message::JobStarted(symbol, at) => Ok(vec![self.job_started(symbol, at)]),
            Message::Page(fetched) => self.page(tx, *fetched),
            Message::Told(told) => self.told(tx, *told),
            Message::NotOffered(task) => self.not_offered(tx, &task),
            Message::Redirected(attempt) => {
                self.request(tx, &attempt)?;
                Ok(vec![Event::Redirected { attempt }])
            }
            Message::Answered(answered) => self.answered(tx, *answered),
            Message::AttemptFailed(attempt, retry_in) => {
                self.request(tx, &attempt)?;
                Ok(vec![Event::AttemptFailed { attempt, retry_in, validated: None }])
            }
            Message::Ending(reason, grace) => Ok(vec![Event::Ending { reason, grace }]),
            Message::Exhausted(exhausted) => {
                self.exhausted.get_or_insert(exhausted);
                Ok(Vec::new())
            }
            // What it reminds of is written with every batch.
            Message::Remind => Ok(Vec::new()),
            Message::JobToRetry(symbol, error) => self.job_to_retry(tx, symbol, error),
            Message::QuotaWait(provider, from, until) => {
                Ok(vec![self.quota_waited(provider, from, until)])
            }
            Message::Narrowed(series, message) => Ok(vec![Event::Narrowed { series, message }]),
            Message::TaskFailed(failure) => self.fail(tx, failure).map(|event| vec![event]),
            Message::TaskDeferred(task, message) => {
                self.task_deferred(&task, &message);
                Ok(Vec::new())
            }
            Message::OutOfPlan(series, range) => self.out_of_plan(tx, &series, range),
            Message::JobDone(symbol, retries) => self.job_done(tx, symbol, retries),
        }
    }

    fn job_started(&mut self, symbol: Symbol, at: Instant) -> Event {
        if let Some(job) = self.jobs.get_mut(&symbol) {
            self.totals.retried += u64::from(mem::take(&mut job.to_retry));
            job.started_at.get_or_insert_with(clock::now);
            self.started.insert(symbol.clone());
        }
        Event::JobStarted { symbol, at }
    }

    /// A request that brought no rows.
    fn request(&mut self, tx: &Writer<'_>, attempt: &Attempt) -> StoreResult<()> {
        self.count(attempt);
        tx.fetch_log_add(&self.run_id, attempt, &PageCounts::default()).map(drop)
    }

    /// The answer to a request for a whole market, whose rows follow as pages of their series.
    fn answered(&mut self, tx: &Writer<'_>, answered: Answered) -> StoreResult<Vec<Event>> {
        let Answered { number, attempt, rows, dropped, rejected } = answered;
        self.count(&attempt);
        let counts = PageCounts { fetched: rows, rejected, dropped, ..PageCounts::default() };
        let row = tx.fetch_log_add(&self.run_id, &attempt, &counts)?;
        self.answered.insert(number, Logged { row, is_usable: None });
        Ok(vec![Event::Answered { attempt, rows }])
    }

    fn job_to_retry(
        &mut self,
        tx: &Writer<'_>,
        symbol: Symbol,
        error: String,
    ) -> StoreResult<Vec<Event>> {
        if let Some(job) = self.jobs.get_mut(&symbol) {
            job.to_retry = true;
        }
        let started_at = self.started_at(&symbol);
        tx.job_retry(&self.run_id, &symbol, started_at, &error)?;
        Ok(vec![Event::JobToRetry { symbol, error }])
    }

    /// A request waits, from the first instant to the second, microseconds on the run's timeline.
    fn quota_waited(&mut self, provider: String, from: i64, until: i64) -> Event {
        let micros = |from: i64| u64::try_from(until.saturating_sub(from)).unwrap_or(0);
        // Requests that wait at the same time wait once.
        self.quota_wait += Duration::from_micros(micros(from.max(self.quota_waits_until)));
        self.quota_waits_until = until.max(self.quota_waits_until);
        Event::QuotaWait { provider, wait: Duration::from_micros(micros(from)) }
    }

    fn task_deferred(&mut self, task: &Task, message: &str) {
        if let Some(job) = self.jobs.get_mut(&task.key.symbol) {
            job.deferred.get_or_insert(format!("{}: {message}", task.word()));
        }
        if task.about == About::Bars {
            self.deferred.insert(task.key.clone());
        }
    }
}
