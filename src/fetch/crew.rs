//! Jobs at work side by side: who works on what, in which order, and what becomes of a job that fails.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::clock::{self, Timeline};
use crate::config::{JobRetries, Source};
use crate::domain::provider_state::micros;
use crate::domain::run::{ErrorKind, Failure, Stage};
use crate::domain::series::Symbol;
use crate::domain::task::{About, Job, Task};
use crate::provider::actions_file;

use super::ending::Ending;
use super::files::file_path;
use super::gate::{Gates, Rank};
use super::lane::Lane;
use super::line::{Line, locked};
use super::{
    Exhausted, Fate, Fetched, GATHERED_MESSAGES, Lost, Message, Options, Place, WAITING_ROWS,
};

/// A server's clock that is off by more than this is not believed.
const BELIEVABLE_SKEW: i64 = 3_600;

/// What all jobs of a run share.
pub(super) struct Crew {
    pub(super) lines: BTreeMap<String, Line>,
    pub(super) gates: Arc<Mutex<Gates>>,
    /// Rung whenever something at a gate has changed.
    pub(super) changed: Arc<Notify>,
    pub(super) timeline: Timeline,
    pub(super) ending: Arc<Ending>,
    /// When the run's time is up, on its timeline.
    pub(super) ends_at: i64,
    pub(super) sender: mpsc::Sender<Message>,
    /// Rung when the writer is to gather messages no longer.
    pub(super) pressing: Arc<Notify>,
    /// A permit a row that may wait for the writer.
    pub(super) room: Arc<Semaphore>,
    pub(super) options: Options,
}

impl Drop for Crew {
    fn drop(&mut self) {
        // There is nothing more to come.
        self.pressing.notify_one();
    }
}

/// A job at work.
struct Assignment {
    rank: Rank,
    job: Job,
    /// Requests and jobs tried again so far.
    retries: u32,
    /// Whether it failed before in this run.
    again: bool,
}

/// A job that failed and may be tried again.
struct Again {
    assignment: Assignment,
    /// What is said of it if it is not.
    failures: Vec<Failure>,
}

/// Works on the jobs in their order; those that failed are tried again at the end, as `job_retries`
/// says.
pub(super) async fn work(crew: Arc<Crew>, jobs: Vec<Job>) {
    let JobRetries { max, initial, multiplier } = crew.options.job_retries;
    let mut left: Vec<Assignment> = jobs
        .into_iter()
        .enumerate()
        .map(|(rank, job)| Assignment { rank, job, retries: 0, again: false })
        .collect();
    let mut wait = initial;
    for round in 0..=max {
        let failed = crew.round(left, round < max).await;
        if failed.is_empty() {
            return;
        }
        if crew.rest(wait, 0).await.is_err() {
            for again in failed {
                crew.give_up(again).await;
            }
            return;
        }
        wait = Duration::try_from_secs_f64(wait.as_secs_f64() * multiplier).unwrap_or(wait);
        left = failed.into_iter().map(|again| again.assignment).collect();
    }
}

/// Jobs that wait for their turn, by provider.
struct Queues {
    waiting: BTreeMap<String, VecDeque<Assignment>>,
    at_work: HashMap<String, u32>,
    most: u32,
}

impl Queues {
    fn new(assignments: Vec<Assignment>, most: u32) -> Self {
        let mut waiting: BTreeMap<String, VecDeque<Assignment>> = BTreeMap::new();
        for assignment in assignments {
            // A job without a task has no provider, and nothing to do.
            let Some(task) = assignment.job.tasks.first() else { continue };
            waiting.entry(task.provider.clone()).or_default().push_back(assignment);
        }
        Self { waiting, at_work: HashMap::new(), most }
    }

    /// The first job, by the plan's order, of those whose provider has not enough of them at work.
    fn next(&mut self) -> Option<(String, Assignment)> {
        let at_work = |name: &String| self.at_work.get(name).copied().unwrap_or(0);
        let (provider, _) = self
            .waiting
            .iter()
            .filter(|(name, _)| at_work(name) < self.most)
            .filter_map(|(name, queue)| Some((name, queue.front()?.rank)))
            .min_by_key(|(_, rank)| *rank)?;
        let provider = provider.clone();
        let assignment = self.waiting.get_mut(&provider)?.pop_front()?;
        *self.at_work.entry(provider.clone()).or_default() += 1;
        Some((provider, assignment))
    }

    /// Notes that a job of a provider has ended; tells whether it has none left.
    fn ended(&mut self, provider: &str) -> bool {
        let at_work = self.at_work.get_mut(provider);
        let left = at_work.map_or(0, |n| {
            *n = n.saturating_sub(1);
            *n
        });
        left == 0 && self.waiting.get(provider).is_none_or(VecDeque::is_empty)
    }
}

impl Crew {
    /// Works on every assignment once; gives back those that failed and may be tried again.
    ///
    /// Each provider has as many jobs at work as the run has lanes: those that wait for its quota, or
    /// for a server that hangs, keep no other provider's from working.
    async fn round(
        self: &Arc<Self>,
        assignments: Vec<Assignment>,
        more_rounds: bool,
    ) -> Vec<Again> {
        let mut queues = Queues::new(assignments, self.options.parallel);
        for provider in queues.waiting.keys() {
            locked(&self.gates).set_busy(provider, true);
        }
        let mut at_work = JoinSet::new();
        let mut providers = HashMap::new();
        let mut failed = Vec::new();
        loop {
            while let Some((provider, assignment)) = queues.next() {
                let crew = Arc::clone(self);
                let symbol = assignment.job.symbol.clone();
                let (rank, name) = (assignment.rank, provider.clone());
                locked(&self.gates).expect(&provider, rank);
                let working = at_work.spawn(async move {
                    let again = crew.job(assignment, more_rounds).await;
                    crew.withdraw(&name, rank);
                    again
                });
                providers.insert(working.id(), (provider.clone(), rank));
                self.stagger(&provider, &symbol).await;
            }
            let Some(ended) = at_work.join_next_with_id().await else { break };
            let (id, again) = match ended {
                Ok((id, again)) => (id, again),
                // It broke down; its job never ends, and the desk will say so.
                Err(error) => (error.id(), None),
            };
            failed.extend(again);
            let Some((provider, rank)) = providers.remove(&id) else { continue };
            if queues.ended(&provider) {
                locked(&self.gates).set_busy(&provider, false);
            }
            self.withdraw(&provider, rank);
        }
        failed.sort_by_key(|again| again.assignment.rank);
        failed
    }

    /// Lets those behind a job go that asks for nothing more.
    fn withdraw(&self, provider: &str, rank: Rank) {
        locked(&self.gates).withdraw(provider, rank);
        self.changed.notify_waiters();
    }

    /// Keeps the starts of two jobs apart, where they are going to send anything.
    async fn stagger(&self, provider: &str, symbol: &Symbol) {
        let stagger = self.options.stagger;
        let sends = !self.line(provider).settings.is_files() && self.is_open(provider, symbol);
        if sends && !stagger.is_zero() {
            self.ending.closing.run_until_cancelled(tokio::time::sleep(stagger)).await;
        }
    }

    /// Whether there is any use in asking.
    fn is_open(&self, provider: &str, symbol: &Symbol) -> bool {
        !self.ending.closing.is_cancelled()
            && locked(&self.gates).over(provider, symbol, self.timeline.now()).is_none()
    }

    pub(super) async fn say(&self, message: Message) {
        let is_pressing = message.is_pressing();
        // Nobody listens any more when the run is being given up.
        let _ = self.sender.send(message).await;
        if is_pressing || self.sender.max_capacity() - self.sender.capacity() >= GATHERED_MESSAGES {
            self.pressing.notify_one();
        }
    }

    /// Hands a page over as soon as there is room for it.
    pub(super) async fn hand_over(&self, mut fetched: Fetched) {
        let rows = u32::try_from(fetched.rows()).unwrap_or(u32::MAX).clamp(1, WAITING_ROWS);
        // The semaphore is never closed.
        fetched.place = Arc::clone(&self.room).acquire_many_owned(rows).await.ok().map(Place);
        self.say(Message::Page(Box::new(fetched))).await;
    }

    /// Waits so long before a request or a job is tried again.
    ///
    /// # Errors
    ///
    /// What becomes of it when the run ends first.
    pub(super) async fn rest(&self, wait: Duration, attempts: u32) -> Result<(), Lost> {
        let ending = &self.ending;
        if self.timeline.now().saturating_add(micros(wait)) > self.ends_at {
            return Err(Lost {
                attempts,
                ..Lost::deferred("the run's time is up before another try")
            });
        }
        ending.closing.run_until_cancelled(tokio::time::sleep(wait)).await;
        ending.lost(attempts).map_or(Ok(()), Err)
    }

    /// Waits for a change, an instant on the timeline, or the end of the run.
    pub(super) async fn until(&self, at: Option<i64>, changed: Pin<&mut Notified<'_>>) {
        let waiting = async {
            match at {
                Some(at) => {
                    let at = tokio::time::Instant::from_std(self.timeline.instant(at));
                    // Either way it is worth another look.
                    let _ = tokio::time::timeout_at(at, changed).await;
                }
                None => changed.await,
            }
        };
        self.ending.closing.run_until_cancelled(waiting).await;
    }

    fn line(&self, provider: &str) -> &Line {
        // The plan is made of the same config.
        &self.lines[provider]
    }

    /// The instant as of which bars are finished: now, or the one asked about; and the server's own
    /// now, when ours is a little ahead of it.
    pub(super) fn finished_by(&self, server_now: Option<i64>) -> i64 {
        let now = clock::now();
        let believed = server_now
            .filter(|server| (now - BELIEVABLE_SKEW..now).contains(server))
            .unwrap_or(now);
        self.options.as_of.map_or(believed, |as_of| as_of.min(believed))
    }

    /// Asks for every task of a job. Gives it back when it failed and there will be another round.
    async fn job(self: &Arc<Self>, assignment: Assignment, more_rounds: bool) -> Option<Again> {
        let Assignment { rank, job, mut retries, again } = assignment;
        let symbol = job.symbol.clone();
        let provider = job.tasks.first().map(|task| task.provider.as_str()).unwrap_or_default();
        if self.is_open(provider, &symbol) {
            retries += u32::from(again);
            self.say(Message::JobStarted(symbol.clone(), Instant::now())).await;
        }
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for task in job.tasks {
            let task = Arc::new(task);
            let Err(lost) = self.task(&task, rank, &mut retries).await else { continue };
            match lost.fate {
                // Not ended: the run is being stopped.
                Fate::Dropped => return None,
                // Nor is it the provider's trouble: nobody can go on.
                Fate::Failed if lost.fault.kind == ErrorKind::Storage => {
                    self.say(Message::Exhausted(Exhausted(lost.fault.message))).await;
                    return None;
                }
                Fate::Deferred => {
                    self.say(Message::TaskDeferred(Arc::clone(&task), lost.fault.message)).await;
                }
                Fate::Failed if task.about.is_lacking(lost.fault.kind) => {
                    self.say(Message::NotOffered(task)).await;
                }
                Fate::Failed => {
                    let longest = self.line(&task.provider).settings.retry.max;
                    let held = lost.fault.retry_after.is_some_and(|wait| wait > longest);
                    // What a symbol is called can wait for the next pass.
                    let can_wait = task.about == About::Listing;
                    let may_pass = may_pass(lost.fault.kind) && !held && !can_wait;
                    let range = lost.rest.unwrap_or(task.range);
                    let failure = failure(&task, lost);
                    if more_rounds && may_pass {
                        tasks.push(Task { range, ..Task::clone(&task) });
                        failures.push(failure);
                    } else {
                        self.say(Message::TaskFailed(failure)).await;
                    }
                }
            }
        }
        let Some(first) = failures.first() else {
            self.say(Message::JobDone(symbol, retries)).await;
            return None;
        };
        let error = format!("{} {}: {}", first.word(), first.kind, first.message);
        self.say(Message::JobToRetry(symbol.clone(), error)).await;
        let job = Job { symbol, tasks };
        let assignment = Assignment { rank, job, retries, again: true };
        Some(Again { assignment, failures })
    }

    /// Ends a job for which there is no further round after all.
    async fn give_up(&self, again: Again) {
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
        retries: &mut u32,
    ) -> Result<(), Lost> {
        let line = self.line(&task.provider);
        match line.settings.source.clone() {
            Source::Files { folder } if task.about == About::ActionsFile => {
                let path = folder.join(actions_file::file_name(&task.key.symbol));
                self.actions_file(task, path).await
            }
            Source::Files { folder } => {
                let own = || file_path(&folder, &task.ask_symbol, task.key.timeframe);
                let named = task.file.as_ref().map(|file| file.path.clone());
                self.file(task, named.unwrap_or_else(own)).await
            }
            Source::Http { provider, base_url } => {
                let lane = Lane { crew: self, line, provider, base_url: &base_url, rank };
                if task.about != About::Bars {
                    return lane.inquire(task, retries).await;
                }
                match lane.pages(task, task.range, retries).await {
                    Err(lost) if lost.is_refusal() => lane.narrowed(task, lost, retries).await,
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
