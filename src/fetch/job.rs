//! One job at work: its tasks in turn, and several timeframes at once where lanes would idle; what becomes
//! of it when some fail.

use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};

use crate::clock;
use crate::config::Source;
use crate::domain::run::{ErrorKind, Failure, Stage};
use crate::domain::task::{About, Job, Task};
use crate::provider::actions_file;

use super::client::locked;
use super::crew::{Again, Assignment, Crew};
use super::files::file_path;
use super::lane::Lane;
use super::turns::Rank;
use super::{Exhausted, Fate, Lost, Message};

/// What a task at work tells its job.
#[derive(Debug)]
pub(super) struct Report {
    /// Its requests that were tried again.
    pub(super) retries: u32,
    /// Held until its first request is let through.
    lining_up: Option<oneshot::Sender<()>>,
}

impl Report {
    /// Says that a request was let through: the next task may line up.
    pub(super) fn went(&mut self) {
        self.lining_up = None;
    }
}

/// A task that has ended, and how.
type Ended = (Arc<Task>, Result<(), Lost>);

/// A job's tasks. At most one of them lines up for its first request at a time.
struct Tasks {
    crew: Arc<Crew>,
    job: usize,
    tasks: Vec<Arc<Task>>,
    /// Those that have begun.
    begun: Vec<bool>,
    at_work: JoinSet<(usize, Result<(), Lost>, Report)>,
    /// Over once the task that lines up is let through.
    lining_up: Option<oneshot::Receiver<()>>,
    /// How those ended that are not told yet.
    ended: BTreeMap<usize, Result<(), Lost>>,
    /// So many are told.
    told: usize,
    retries: u32,
}

impl Tasks {
    fn of(crew: &Arc<Crew>, job: usize, tasks: Vec<Task>) -> Self {
        Self {
            crew: Arc::clone(crew),
            job,
            begun: vec![false; tasks.len()],
            tasks: tasks.into_iter().map(Arc::new).collect(),
            at_work: JoinSet::new(),
            lining_up: None,
            ended: BTreeMap::new(),
            told: 0,
            retries: 0,
        }
    }

    /// The next task that has ended, in their order, however they ended; `None` after the last.
    ///
    /// # Errors
    ///
    /// When one broke down.
    async fn next(&mut self) -> Result<Option<Ended>, JoinError> {
        while self.told < self.tasks.len() {
            if let Some(ended) = self.ended.remove(&self.told) {
                let task = Arc::clone(&self.tasks[self.told]);
                self.told += 1;
                return Ok(Some((task, ended)));
            }
            self.line_up();
            let Some(joined) = self.news().await else { continue };
            let (index, ended, report) = joined?;
            self.retries += report.retries;
            self.ended.insert(index, ended);
            self.pass_on();
        }
        Ok(None)
    }

    /// Waits until a task has ended, or the one that lines up was let through: then `None`.
    async fn news(&mut self) -> Option<Result<(usize, Result<(), Lost>, Report), JoinError>> {
        let Self { at_work, lining_up, .. } = self;
        poll_fn(|context| {
            if let Poll::Ready(Some(joined)) = at_work.poll_join_next(context) {
                return Poll::Ready(Some(joined));
            }
            let went =
                lining_up.as_mut().is_some_and(|went| Pin::new(went).poll(context).is_ready());
            if went {
                *lining_up = None;
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Begins the next task: the one whose turn it is, or another one, unless one still lines up.
    fn line_up(&mut self) {
        let turn = self.turn().filter(|turn| !self.begun[*turn]);
        let mut left = (0..self.tasks.len()).filter(|index| !self.begun[*index]);
        let further = || left.find(|index| self.lining_up.is_none() && !self.must_wait(*index));
        let Some(index) = turn.or_else(further) else { return };
        self.begun[index] = true;
        let (lining_up, went) = oneshot::channel();
        self.lining_up = Some(went);
        let (crew, task) = (Arc::clone(&self.crew), Arc::clone(&self.tasks[index]));
        let rank = Rank { job: self.job, task: index };
        // Boxed, as it is large and handed on from hand to hand.
        self.at_work.spawn(Box::pin(async move {
            let mut report = Report { retries: 0, lining_up: Some(lining_up) };
            let ended = crew.task(&task, rank, &mut report).await;
            (index, ended, report)
        }));
    }

    /// Whether a task waits for its turn in any case: the ranges of one series are asked for one after the
    /// other, what is asked besides bars comes after them, and what others wait for too is to be held back by
    /// nobody once it is begun.
    fn must_wait(&self, index: usize) -> bool {
        let task = &self.tasks[index];
        let mut open = (self.told..index).filter(|earlier| !self.ended.contains_key(earlier));
        task.about != About::Bars
            || !task.shared.is_empty()
            || open.any(|earlier| self.tasks[earlier].key == task.key)
    }

    /// The first task that has not ended.
    fn turn(&self) -> Option<usize> {
        (self.told..self.tasks.len()).find(|index| !self.ended.contains_key(index))
    }

    /// Says at the gate whose turn it is now.
    fn pass_on(&self) {
        if let Some(task) = self.turn() {
            let rank = Rank { job: self.job, task };
            locked(&self.crew.gates).pass(&self.tasks[task].provider, rank);
            self.crew.changed.notify_waiters();
        }
    }
}

impl Crew {
    /// Asks for every task of a job. Gives it back when it failed and there will be another round.
    pub(super) async fn job(
        self: &Arc<Self>,
        assignment: Assignment,
        more_rounds: bool,
    ) -> Option<Again> {
        let Assignment { rank, job: Job { symbol, tasks }, mut retries, again } = assignment;
        let provider = tasks.first().map(|task| task.provider.as_str()).unwrap_or_default();
        if self.is_open(provider, &symbol) {
            retries += u32::from(again);
            self.say(Message::JobStarted(symbol.clone(), Instant::now())).await;
        }
        let (mut left, mut failures, mut is_dropped) = (Vec::new(), Vec::new(), false);
        let mut tasks = Tasks::of(self, rank, tasks);
        // Should one break down, the job never ends, and the desk will say so.
        while let Some((task, ended)) = tasks.next().await.ok()? {
            let Err(lost) = ended else { continue };
            match lost.fate {
                Fate::Dropped => is_dropped = true,
                // Nor is it the provider's trouble: nobody can go on.
                Fate::Failed if lost.fault.kind == ErrorKind::Storage => {
                    self.say(Message::Exhausted(Exhausted(lost.fault.message))).await;
                    return None;
                }
                Fate::Deferred => {
                    self.say(Message::TaskDeferred(task, lost.fault.message)).await;
                }
                Fate::Failed if task.about.is_lacking(lost.fault.kind) => {
                    self.say(Message::NotOffered(task)).await;
                }
                Fate::Failed => {
                    let again = self.again(&task, &lost).filter(|_| more_rounds);
                    let failure = failure(&task, lost);
                    match again {
                        Some(again) => {
                            left.push(again);
                            failures.push(failure);
                        }
                        None => self.say(Message::TaskFailed(failure)).await,
                    }
                }
            }
        }
        // Not ended: the run is being stopped.
        if is_dropped {
            return None;
        }
        retries += tasks.retries;
        let Some(first) = failures.first() else {
            self.say(Message::JobDone(symbol, retries)).await;
            return None;
        };
        let error = format!("{} {}: {}", first.word(), first.kind, first.message);
        self.say(Message::JobToRetry(symbol.clone(), error)).await;
        let job = Job { symbol, tasks: left };
        let assignment = Assignment { rank, job, retries, again: true };
        Some(Again { assignment, failures })
    }

    /// What of a task that failed may be tried again at the end of the run; `None` when it is no use.
    fn again(&self, task: &Task, lost: &Lost) -> Option<Task> {
        let longest = self.client(&task.provider).settings.retry.max;
        let held = lost.fault.retry_after.is_some_and(|wait| wait > longest);
        // What a symbol is called can wait for the next pass.
        let can_wait = task.about == About::Listing;
        let range = lost.rest.unwrap_or(task.range);
        let may_pass = may_pass(lost.fault.kind) && !held && !can_wait;
        may_pass.then(|| {
            let mut again = Task { range, ..task.clone() };
            again.shared.retain(|shared| !shared.range.intersect(range).is_empty());
            again
        })
    }

    /// Ends a job for which there is no further round after all.
    pub(super) async fn give_up(&self, again: Again) {
        for failure in again.failures {
            self.say(Message::TaskFailed(failure)).await;
        }
        let Assignment { job, retries, .. } = again.assignment;
        self.say(Message::JobDone(job.symbol, retries)).await;
    }

    async fn task(
        self: &Arc<Self>,
        task: &Arc<Task>,
        rank: Rank,
        report: &mut Report,
    ) -> Result<(), Lost> {
        let client = self.client(&task.provider);
        match client.settings.source.clone() {
            // What is rare is boxed: else every task is as large as the largest way that one can go.
            Source::Files { folder } if task.about == About::ActionsFile => {
                let path = folder.join(actions_file::file_name(&task.key.symbol));
                Box::pin(self.actions_file(task, path)).await
            }
            Source::Files { folder } => {
                let own = || file_path(&folder, &task.ask_symbol, task.key.timeframe);
                let named = task.file.as_ref().map(|file| file.path.clone());
                Box::pin(self.file(task, named.unwrap_or_else(own))).await
            }
            Source::Http { provider, base_url } => {
                let lane = Lane { crew: self, client, provider, base_url: &base_url, rank };
                if task.about != About::Bars {
                    return Box::pin(lane.inquire(task, report)).await;
                }
                let alone = match task.shared.is_empty() {
                    true => Some(task.range),
                    false => Box::pin(lane.shared(task, report)).await?,
                };
                let Some(range) = alone else { return Ok(()) };
                match lane.pages(task, range, report).await {
                    Err(lost) if lost.is_refusal() => {
                        Box::pin(lane.narrowed(task, lost, report)).await
                    }
                    ended => ended,
                }
            }
        }
    }
}

fn failure(task: &Task, lost: Lost) -> Failure {
    Failure {
        series: task.key.clone(),
        about: task.about,
        stage: Stage::Fetch,
        kind: lost.fault.kind,
        message: lost.fault.message,
        attempts: lost.attempts,
        at: clock::now(),
    }
}

/// Whether trouble of that kind may have passed when a job is tried again at the end of a run.
const fn may_pass(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Network
        | ErrorKind::Timeout
        | ErrorKind::RateLimited
        | ErrorKind::Server
        | ErrorKind::Malformed
        | ErrorKind::CircuitOpen
        | ErrorKind::BulkheadFull => true,
        ErrorKind::Auth
        | ErrorKind::NotEntitled
        | ErrorKind::NotFound
        | ErrorKind::BadRequest
        | ErrorKind::TooLarge
        | ErrorKind::Deadline
        | ErrorKind::Validation
        | ErrorKind::Compute
        | ErrorKind::Storage
        | ErrorKind::Cancelled => false,
    }
}
