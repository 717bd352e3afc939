//! Jobs at work side by side: who works on what, in which order, and which are tried again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::clock::{self, Timeline};
use crate::config::JobRetries;
use crate::domain::provider_state::micros;
use crate::domain::run::{Attempt, Failure, Fault};
use crate::domain::series::Symbol;
use crate::domain::task::Job;
use crate::domain::zone::Zone;

use super::client::{ProviderClient, locked};
use super::ending::Ending;
use super::gate::Gates;
use super::shared::Shares;
use super::turns::Rank;
use super::{Fetched, GATHERED_MESSAGES, Lost, Message, Options, Place, WAITING_ROWS};

/// A server's clock that is off by more than this is not believed.
const BELIEVABLE_SKEW: i64 = 3_600;

/// By so much a timer may be late.
const LATE: Duration = Duration::from_millis(5);

/// What all jobs of a run share.
pub(super) struct Crew {
    pub(super) clients: BTreeMap<String, ProviderClient>,
    /// What one request asks for many jobs.
    pub(super) shares: Shares,
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
pub(super) struct Assignment {
    /// Its place in the plan's order; smaller goes first.
    pub(super) rank: usize,
    pub(super) job: Job,
    /// Requests and jobs tried again so far.
    pub(super) retries: u32,
    /// Whether it failed before in this run.
    pub(super) again: bool,
}

/// A job that failed and may be tried again.
pub(super) struct Again {
    pub(super) assignment: Assignment,
    /// What is said of it if it is not.
    pub(super) failures: Vec<Failure>,
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
    fn first(&self) -> Option<&Assignment> {
        let at_work = |name: &String| self.at_work.get(name).copied().unwrap_or(0);
        let may_begin = self.waiting.iter().filter(|(name, _)| at_work(name) < self.most);
        may_begin.filter_map(|(_, queue)| queue.front()).min_by_key(|first| first.rank)
    }

    /// Takes it, with its provider's name.
    fn next(&mut self) -> Option<(String, Assignment)> {
        let provider = self.first()?.job.tasks.first()?.provider.clone();
        let assignment = self.waiting.get_mut(&provider)?.pop_front()?;
        *self.at_work.entry(provider.clone()).or_default() += 1;
        Some((provider, assignment))
    }

    /// Notes that a job of a provider has ended.
    fn ended(&mut self, provider: &str) {
        if let Some(at_work) = self.at_work.get_mut(provider) {
            *at_work = at_work.saturating_sub(1);
        }
    }
}

/// A round's jobs at work, by the id of what works on them: provider and rank.
#[derive(Default)]
struct Round {
    at_work: JoinSet<Option<Again>>,
    jobs: HashMap<Id, (String, usize)>,
    /// No further job begins before; `None` when one may at once.
    begins_at: Option<Instant>,
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
        self.shares.begin_round().await;
        let mut queues = Queues::new(assignments, self.options.parallel);
        for (provider, waiting) in &queues.waiting {
            locked(&self.gates).queue(provider, waiting.len());
        }
        let (mut round, mut failed) = (Round::default(), Vec::new());
        let mut over: Option<(String, usize)> = None;
        loop {
            let beginning = self.beginning(&mut queues, &mut round);
            // Only now, so that nobody takes the lane of a job that follows on another.
            if let Some((provider, rank)) = over.take() {
                locked(&self.gates).end(&provider, rank);
            }
            self.changed.notify_waiters();
            for (provider, assignment) in beginning {
                let (crew, rank) = (Arc::clone(self), assignment.rank);
                // Boxed, as it is large and handed on from hand to hand.
                let job = Box::pin(async move { crew.job(assignment, more_rounds).await });
                let working = round.at_work.spawn(job);
                round.jobs.insert(working.id(), (provider, rank));
            }
            let more = queues.first().is_some();
            if round.jobs.is_empty() && !more {
                break;
            }
            let Some(ended) = self.next_ended(&mut round, more).await else { continue };
            let (id, again) = match ended {
                Ok((id, again)) => (id, again),
                // It broke down; its job never ends, and the desk will say so.
                Err(error) => (error.id(), None),
            };
            failed.extend(again);
            over = round.jobs.remove(&id);
            if let Some((provider, _)) = &over {
                queues.ended(provider);
            }
        }
        failed.sort_by_key(|again| again.assignment.rank);
        failed
    }

    /// Lets those behind a task go that asks for nothing, for now.
    pub(super) fn withdraw(&self, provider: &str, rank: Rank) {
        locked(&self.gates).withdraw(provider, rank);
        self.changed.notify_waiters();
    }

    /// Takes the jobs that begin now, and lets the gates know of them. Where they are going to send
    /// anything, the beginnings of two are kept apart.
    fn beginning(&self, queues: &mut Queues, round: &mut Round) -> Vec<(String, Assignment)> {
        let stagger = self.options.stagger;
        let mut beginning = Vec::new();
        loop {
            let now = Instant::now();
            let is_early = round.begins_at.is_some_and(|begins_at| begins_at > now);
            if is_early && !self.ending.closing.is_cancelled() {
                return beginning;
            }
            let Some((provider, assignment)) = queues.next() else { return beginning };
            locked(&self.gates).begin(&provider, assignment.rank);
            let is_files = self.client(&provider).settings.is_files();
            let sends = !is_files && !self.shares.have(&assignment.job);
            if !stagger.is_zero() && sends && self.is_open(&provider, &assignment.job.symbol) {
                // What a timer is late by does not add up.
                let before = round.begins_at.filter(|at| *at + LATE > now);
                round.begins_at = Some(before.unwrap_or(now) + stagger);
            }
            beginning.push((provider, assignment));
        }
    }

    /// The next job that has ended; `None` when, with `more` to begin, it is time to begin another.
    async fn next_ended(
        &self,
        round: &mut Round,
        more: bool,
    ) -> Option<Result<(Id, Option<Again>), JoinError>> {
        let Some(begins_at) = round.begins_at.filter(|_| more) else {
            return round.at_work.join_next_with_id().await;
        };
        let waiting = async {
            if round.at_work.is_empty() {
                tokio::time::sleep_until(begins_at).await;
                return None;
            }
            tokio::time::timeout_at(begins_at, round.at_work.join_next_with_id()).await.ok()?
        };
        self.ending.closing.run_until_cancelled(waiting).await?
    }

    /// Whether there is any use in asking.
    pub(super) fn is_open(&self, provider: &str, symbol: &Symbol) -> bool {
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

    /// Tells that the page of an attempt came, and that its chain leads nowhere; gives what becomes of the
    /// task.
    pub(super) async fn stuck(&self, attempt: Attempt, fault: Fault) -> Lost {
        let attempts = attempt.number;
        let attempt = Attempt { fault: Some(fault.clone()), ..attempt };
        self.say(Message::AttemptFailed(attempt, None)).await;
        Lost::failed(fault, attempts)
    }

    /// Judges a page and hands it over as soon as there is room for it.
    pub(super) async fn hand_over(&self, fetched: Fetched) {
        let rows = u32::try_from(fetched.rows()).unwrap_or(u32::MAX).clamp(1, WAITING_ROWS);
        let mut page = self.judge(fetched);
        let judged = Instant::now();
        // The semaphore is never closed.
        page.fetched.place = Arc::clone(&self.room).acquire_many_owned(rows).await.ok().map(Place);
        page.fetched.attempt.pace.writer = judged.elapsed();
        self.say(Message::Page(Box::new(page))).await;
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

    /// The zone of a symbol's calendar.
    pub(super) fn zone(&self, symbol: &Symbol) -> Zone {
        self.options.markets.get(symbol).map_or(Zone::UTC, |due| due.calendar.zone())
    }

    pub(super) fn client(&self, provider: &str) -> &ProviderClient {
        // The plan is made of the same config.
        &self.clients[provider]
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
}
