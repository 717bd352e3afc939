//! The network at work: the only async room. Jobs run side by side, each asking for its tasks in turn,
//! page by page, or several at once where lanes would idle; what comes back is decoded and judged row by
//! row right here, beside the writer, and handed to synchronous code one message at a time.
//!
//! The channel is bounded: slow storage slows fetching by itself, and memory does not grow with the
//! range. Tokio's types never leave this room. The state machines (`retry`, `quota`, `breaker`,
//! `throttle`, `turns`, `lanes`, and `gate`, which joins them) are pure and driven from here. What they must
//! remember beyond the run leaves as [`Note`]s, which the one writer keeps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use crate::calendar::due::Due;
use crate::clock::{self, Timeline};
use crate::config::{JobRetries, ProviderSettings};
use crate::domain::event::Took;
use crate::domain::fact::FileMark;
use crate::domain::provider_state::{ProviderState, Stamp, micros};
use crate::domain::range::TimeRange;
use crate::domain::run::{Attempt, ErrorKind, Failure, Fault, Pace};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::task::{Job, Task};
use crate::provider::Answer;
use crate::validate::Checked;

mod actions_file;
mod breaker;
mod chain;
mod client;
mod crew;
mod ending;
mod engine;
mod exchange;
mod files;
mod gate;
mod http;
mod inquiry;
mod job;
mod judge;
mod lane;
mod lanes;
mod open;
mod probe;
mod quota;
mod retry;
mod seen;
mod shared;
mod stuck;
mod throttle;
mod turns;

pub use engine::Engine;
pub use files::file_path;
pub use gate::{Note, quotas_left};
pub use inquiry::{ReadFile, Told, Unread, Whole};
pub use probe::{Question, probe};
pub use shared::Answered;

use client::{ProviderClient, locked};
use crew::Crew;
use ending::Ending;
use gate::Gates;
use shared::Shares;

/// Messages that may wait for the writer: many small ones, so that it can write them together.
const WAITING_MESSAGES: usize = 1_024;

/// Rows that may be on their way to the writer: a full page. The lanes hold the next ones ready.
const WAITING_ROWS: u32 = 60_000;

/// For so long the writer lets small messages gather: a transaction of many of them costs little more than
/// one of a few.
const GATHER: Duration = Duration::from_millis(20);

/// So many are enough, or one that brings so many rows.
const GATHERED_MESSAGES: usize = WAITING_MESSAGES / 4;
const GATHERED_ROWS: usize = 1_000;

/// What fetching says, in order for each job.
#[derive(Debug)]
pub enum Message {
    /// A job's first request is about to be made, and when.
    JobStarted(Symbol, Instant),
    /// A page came.
    Page(Box<Judged>),
    /// A page came of what is declared of a symbol besides bars.
    Told(Box<Told>),
    /// What was asked of a symbol besides bars is not to be had: this provider, or this key, does not have it.
    NotOffered(Arc<Task>),
    /// A request for a whole market was answered; the parts of the answer follow, as pages.
    Answered(Box<Answered>),
    /// An attempt failed; it is tried again after the wait, if there is one.
    AttemptFailed(Attempt, Option<Duration>),
    /// A request was answered by the word that the page is to be had elsewhere.
    Redirected(Attempt),
    /// A request is going to wait for its provider's quota, from the first instant to the second on the
    /// timeline, microseconds.
    QuotaWait(String, i64, i64),
    /// A refused range is asked for again without the refused part, or a whole market's symbol by symbol.
    Narrowed(SeriesKey, String),
    /// Nothing more can be sent before the notes are written down.
    Remind,
    /// The run is to end, for this reason; what is in flight has so long to finish.
    Ending(String, Duration),
    /// Nobody can go on.
    Exhausted(Exhausted),
    /// A task failed for good.
    TaskFailed(Failure),
    /// A task is left for the next run, for this reason.
    TaskDeferred(Arc<Task>, String),
    /// A provider refuses this stretch of a series, and always will: its plan does not hold it.
    OutOfPlan(SeriesKey, TimeRange),
    /// A job failed so far, for this reason, and is tried again at the end of the run.
    JobToRetry(Symbol, String),
    /// Every task of a job has ended; how many requests of it were tried again, and how often itself.
    JobDone(Symbol, u32),
}

/// This machine opens no file or connection more.
#[derive(Clone, Debug, thiserror::Error)]
#[error("too many files are open to go on: {0}")]
pub struct Exhausted(String);

/// A page with what it answers.
#[derive(Debug)]
pub struct Fetched {
    /// The task.
    pub task: Arc<Task>,
    /// The attempt that brought it.
    pub attempt: Attempt,
    /// Its rows.
    pub answer: Answer,
    /// The requests for a whole market that it is made from, each by its number in this run, ascending with the
    /// `ts` before which its rows end; empty of a request of its own.
    pub parts: Vec<(u64, i64)>,
    /// The line of each row, where they come from a file.
    pub lines: Vec<u64>,
    /// Which `ts` it answers for; empty when only a later page tells.
    pub answered: TimeRange,
    /// Whether it came from a file.
    pub from_file: bool,
    /// The file, once it was read to its end.
    pub file_mark: Option<FileMark>,
    /// With the page that ends a file: the `ts` and the line of each of its rows that is out of order,
    /// in the order of the file, 10,000 at most. In a file that has its oldest rows first that is one
    /// older than one before it, whatever page that was in; in one that has its newest first, a newer one.
    pub out_of_order: Vec<(i64, u64)>,
    /// The instant as of which its bars are finished.
    pub finished_by: i64,
    place: Option<Place>,
}

/// A page whose rows are sorted into what can be stored and what cannot be true: its answer's rows are in
/// `checked`.
#[derive(Debug)]
pub struct Judged {
    /// The page.
    pub fetched: Fetched,
    /// Its rows.
    pub checked: Checked,
    /// When they were judged.
    pub validated: Took,
}

impl Fetched {
    /// A page of a request of its own; what else there is to a page is filled in where there is any.
    const fn of(
        task: Arc<Task>,
        attempt: Attempt,
        answer: Answer,
        answered: TimeRange,
        finished_by: i64,
    ) -> Self {
        Self {
            task,
            attempt,
            answer,
            parts: Vec::new(),
            lines: Vec::new(),
            answered,
            from_file: false,
            file_mark: None,
            out_of_order: Vec::new(),
            finished_by,
            place: None,
        }
    }

    /// Whether it came from a file that was named to be imported, and not from the series' provider.
    #[must_use]
    pub fn is_import(&self) -> bool {
        self.task.file.is_some()
    }

    /// How many rows came.
    const fn rows(&self) -> usize {
        self.answer.bars.len() + self.answer.broken.len()
    }
}

impl Judged {
    /// How many rows came.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.checked.rows()
    }
}

/// A page's place in the queue to the writer; given back when the page is dropped.
#[derive(Debug)]
struct Place(#[expect(dead_code, reason = "held, and let go when dropped")] OwnedSemaphorePermit);

/// How a run fetches.
#[derive(Clone, Debug)]
pub struct Options {
    /// Jobs at once of each provider, and requests at once of all.
    pub parallel: u32,
    /// Between the starts of two jobs.
    pub stagger: Duration,
    /// How failed jobs are tried again at the end.
    pub job_retries: JobRetries,
    /// How many requests may be sent; `None` when that is not limited.
    pub max_requests: Option<u64>,
    /// How long it may take, from its beginning on; the next run takes up what is left.
    pub time: Duration,
    /// How long what is in flight may take when the run is to end.
    pub grace: Duration,
    /// Whether open breakers are passed.
    pub forced: bool,
    /// The instant that everything is judged at, if it is not now.
    pub as_of: Option<i64>,
    /// When the bars of each symbol are due.
    pub markets: BTreeMap<Symbol, Due>,
}

/// A run's fetching, at work in the background until it is dropped.
#[derive(Debug)]
pub struct Fetching {
    handle: Handle,
    messages: mpsc::Receiver<Message>,
    pressing: Arc<Notify>,
    gates: Arc<Mutex<Gates>>,
    changed: Arc<Notify>,
    timeline: Timeline,
    ending: Arc<Ending>,
}

impl Message {
    /// Whether it is to be written at once: it brings much, or somebody waits for it.
    const fn is_pressing(&self) -> bool {
        matches!(self, Self::Remind) || self.rows() >= GATHERED_ROWS
    }

    /// How many rows it brings.
    #[must_use]
    pub const fn rows(&self) -> usize {
        match self {
            Self::Page(page) => page.rows(),
            _ => 0,
        }
    }
}

impl Fetching {
    /// The next message; `None` when every job has ended.
    pub fn wait(&mut self) -> Option<Message> {
        self.messages.blocking_recv()
    }

    /// Waits until messages are worth a transaction: until there are enough of them, somebody waits for
    /// what is to be written, all jobs have ended, or a moment has passed.
    pub fn gather(&self) {
        // Either way there is something to be written.
        let gathering = async { tokio::time::timeout(GATHER, self.pressing.notified()).await };
        let _ = self.handle.block_on(gathering);
    }

    /// The next message, if one is there already.
    pub fn ready(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }

    /// What is to be written down of the providers before anything more is sent.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        locked(&self.gates).notes(self.timeline.now())
    }

    /// Notes that `notes` are written down.
    pub fn noted(&self, notes: &[Note]) {
        if !notes.is_empty() {
            locked(&self.gates).noted(notes);
            self.changed.notify_waiters();
        }
    }

    /// What is to be remembered of the providers once every job has ended.
    #[must_use]
    pub fn last_notes(&self) -> Vec<Note> {
        locked(&self.gates).last_notes(self.timeline.now())
    }

    /// This instant, to be written down with the notes.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.timeline.stamp()
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        // Requests still in flight are given up: what they would bring is asked for next time.
        self.ending.closing.cancel();
        self.ending.cut.cancel();
    }
}

/// Starts to fetch `jobs`, in their order, from `providers`, of which `remembered` tells what earlier
/// runs left.
#[must_use]
pub fn start(
    engine: &Engine,
    jobs: Vec<Job>,
    providers: &BTreeMap<String, ProviderSettings>,
    remembered: BTreeMap<String, (ProviderState, Stamp)>,
    timeline: Timeline,
    options: Options,
) -> Fetching {
    let handle = engine.handle().clone();
    let now = timeline.stamp();
    let gates = Gates::new(providers, remembered, &options, &now);
    let gates = Arc::new(Mutex::new(gates));
    let changed = Arc::new(Notify::new());
    let pressing = Arc::new(Notify::new());
    let ending = Arc::new(Ending::new());
    let (sender, messages) = mpsc::channel(WAITING_MESSAGES);
    let clients = providers
        .iter()
        .map(|(name, settings)| (name.clone(), ProviderClient::new(settings.clone())));
    let ends_at = timeline.began_at().saturating_add(micros(options.time));
    let left = Duration::from_micros(u64::try_from(ends_at.saturating_sub(now.at)).unwrap_or(0));
    let crew = Arc::new(Crew {
        clients: clients.collect(),
        shares: Shares::of(&jobs),
        gates: Arc::clone(&gates),
        changed: Arc::clone(&changed),
        timeline: timeline.clone(),
        ending: Arc::clone(&ending),
        ends_at,
        sender,
        pressing: Arc::clone(&pressing),
        room: Arc::new(Semaphore::new(WAITING_ROWS as usize)),
        options,
    });
    let (grace, weak) = (crew.options.grace, crew.sender.downgrade());
    handle.spawn(Arc::clone(&ending).watch(engine.stop(), left, grace, weak));
    handle.spawn(crew::work(crew, jobs));
    Fetching { handle, messages, pressing, gates, changed, timeline, ending }
}

/// A task that ended without its bars, after so many tries.
#[derive(Clone, Debug)]
struct Lost {
    fault: Fault,
    attempts: u32,
    fate: Fate,
    /// What of its range was not answered; `None` when that is all of it.
    rest: Option<TimeRange>,
}

/// What becomes of a task that ended without its bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It failed.
    Failed,
    /// It is left for the next run, without anybody's fault.
    Deferred,
    /// The run is being stopped.
    Dropped,
}

impl Lost {
    const fn failed(fault: Fault, attempts: u32) -> Self {
        Self { fault, attempts, fate: Fate::Failed, rest: None }
    }

    fn deferred(reason: impl Into<String>) -> Self {
        let fault = Fault::new(ErrorKind::RateLimited, reason);
        Self { fault, attempts: 0, fate: Fate::Deferred, rest: None }
    }

    /// The same after so many tries.
    fn after(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// Whether the provider refused what was asked: a part of it may be had.
    fn is_refusal(&self) -> bool {
        self.fate == Fate::Failed && self.fault.kind == ErrorKind::NotEntitled
    }
}

/// A row of `fetch_log` in the making.
fn attempt(task: &Task, range: TimeRange, number: u32) -> Attempt {
    Attempt {
        series: task.key.clone(),
        about: task.about,
        provider: task.provider.clone(),
        started_at: clock::now(),
        begun: Instant::now(),
        range,
        number,
        response_time: Duration::ZERO,
        bytes: 0,
        http_status: None,
        file: task.file.as_ref().map(|file| file.path.clone()),
        fault: None,
        part_of: None,
        pace: Pace::default(),
    }
}
