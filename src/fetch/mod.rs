//! The network at work: the only async room. Jobs run side by side, each asking for its tasks in turn,
//! page by page; what comes back is handed to synchronous code one message at a time.
//!
//! The channel is bounded: slow storage slows fetching by itself, and memory does not grow with the
//! range. Tokio's types never leave this room. State machines (`retry`, `quota`) are pure and driven
//! from here; breaker and budgets have their place in `line`, beside the quota.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::clock;
use crate::config::{ProviderSettings, Source};
use crate::domain::fact::FileMark;
use crate::domain::range::TimeRange;
use crate::domain::run::{Attempt, ErrorKind, Failure, Fault, Stage};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::task::{Job, Task};
use crate::provider::{Answer, files::file_name};

mod exchange;
mod files;
mod http;
mod lane;
mod line;
mod quota;
mod retry;
mod seen;

use lane::Lane;
use line::Line;
use seen::Seen;

/// Messages that may wait for the writer: many small ones, so that it can write them together.
const WAITING_MESSAGES: usize = 1_024;

/// Rows that may be on their way to the writer: a full page. The lanes hold the next ones ready.
const WAITING_ROWS: u32 = 60_000;

/// A server's clock that is off by more than this is not believed.
const BELIEVABLE_SKEW: i64 = 3_600;

/// What fetching says, in order for each job.
#[derive(Debug)]
pub enum Message {
    /// A job's first request is about to be made.
    JobStarted(Symbol),
    /// A page came.
    Page(Box<Fetched>),
    /// An attempt failed; it is tried again after the wait, if there is one.
    AttemptFailed(Attempt, Option<Duration>),
    /// A request is going to wait so long for its provider's quota.
    QuotaWait(String, Duration),
    /// A refused range is asked for again without the refused part.
    Narrowed(SeriesKey, String),
    /// A task failed for good.
    TaskFailed(Failure),
    /// A task is left for the next run, for this reason.
    TaskDeferred(SeriesKey, String),
    /// A provider refuses this stretch of a series, and always will: its plan does not hold it.
    OutOfPlan(SeriesKey, TimeRange),
    /// Every task of a job has ended; how many requests of it were tried again.
    JobDone(Symbol, u32),
}

/// A page with what it answers.
#[derive(Debug)]
pub struct Fetched {
    /// The task.
    pub task: Arc<Task>,
    /// The attempt that brought it.
    pub attempt: Attempt,
    /// Its rows.
    pub answer: Answer,
    /// The line of each row, where they come from a file.
    pub lines: Vec<u64>,
    /// Which `ts` it answers for; empty when only a later page tells.
    pub answered: TimeRange,
    /// Whether it came from a file.
    pub from_file: bool,
    /// The file, once it was read to its end.
    pub file_mark: Option<FileMark>,
    /// The instant as of which its bars are finished.
    pub finished_by: i64,
    place: Option<Place>,
}

impl Fetched {
    /// How many rows it holds.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.answer.bars.len() + self.answer.broken.len()
    }
}

/// A page's place in the queue to the writer; given back when the page is dropped.
#[derive(Debug)]
struct Place(#[expect(dead_code, reason = "held, and let go when dropped")] OwnedSemaphorePermit);

/// How a run fetches.
#[derive(Clone, Debug)]
pub struct Options {
    /// Jobs at once.
    pub parallel: u32,
    /// Between the starts of two jobs.
    pub stagger: Duration,
    /// The instant that everything is judged at, if it is not now.
    pub as_of: Option<i64>,
    /// The zone of each symbol's calendar.
    pub zones: BTreeMap<Symbol, Tz>,
}

/// A run's fetching, at work in the background until it is dropped.
#[derive(Debug)]
pub struct Fetching {
    messages: mpsc::Receiver<Message>,
    runtime: Option<Runtime>,
}

impl Message {
    /// How many rows it brings.
    #[must_use]
    pub const fn rows(&self) -> usize {
        match self {
            Self::Page(fetched) => fetched.rows(),
            _ => 0,
        }
    }
}

impl Fetching {
    /// The next message; `None` when every job has ended.
    pub fn wait(&mut self) -> Option<Message> {
        self.messages.blocking_recv()
    }

    /// The next message, if one is there already.
    pub fn ready(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        // Requests still in flight are given up: what they would bring is asked for next time.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts to fetch `jobs`, in their order, from `providers`.
///
/// # Errors
///
/// When the threads for it cannot be had.
pub fn start(
    jobs: Vec<Job>,
    providers: &BTreeMap<String, ProviderSettings>,
    options: Options,
) -> std::io::Result<Fetching> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (sender, messages) = mpsc::channel(WAITING_MESSAGES);
    let lines = providers
        .iter()
        .map(|(name, settings)| (name.clone(), Arc::new(Line::new(settings.clone()))))
        .collect();
    let room = Arc::new(Semaphore::new(WAITING_ROWS as usize));
    let crew = Arc::new(Crew { lines, sender, room, options });
    runtime.spawn(dispatch(crew, jobs));
    Ok(Fetching { messages, runtime: Some(runtime) })
}

/// Starts the jobs, as many at once as there are lanes.
async fn dispatch(crew: Arc<Crew>, jobs: Vec<Job>) {
    let lanes = Arc::new(Semaphore::new(crew.options.parallel as usize));
    for job in jobs {
        // The semaphore is never closed.
        let Ok(lane) = Arc::clone(&lanes).acquire_owned().await else { return };
        let remote = job.tasks.iter().any(|task| !crew.is_file(task));
        let crew_of_job = Arc::clone(&crew);
        tokio::spawn(async move {
            crew_of_job.job(job).await;
            drop(lane);
        });
        if remote && !crew.options.stagger.is_zero() {
            tokio::time::sleep(crew.options.stagger).await;
        }
    }
}

/// What all jobs of a run share.
struct Crew {
    lines: BTreeMap<String, Arc<Line>>,
    sender: mpsc::Sender<Message>,
    /// A permit a row that may wait for the writer.
    room: Arc<Semaphore>,
    options: Options,
}

/// A task that ended without its bars, after so many tries.
struct Lost {
    fault: Fault,
    attempts: u32,
    /// Whether it was not even tried, since its provider wants to be left alone.
    deferred: bool,
}

impl Lost {
    const fn new(fault: Fault, attempts: u32) -> Self {
        Self { fault, attempts, deferred: false }
    }
}

impl Crew {
    async fn say(&self, message: Message) {
        // Nobody listens any more when the run is being given up.
        let _ = self.sender.send(message).await;
    }

    /// Hands a page over as soon as there is room for it.
    async fn hand_over(&self, mut fetched: Fetched) {
        let rows = u32::try_from(fetched.rows()).unwrap_or(u32::MAX).clamp(1, WAITING_ROWS);
        // The semaphore is never closed.
        fetched.place = Arc::clone(&self.room).acquire_many_owned(rows).await.ok().map(Place);
        self.say(Message::Page(Box::new(fetched))).await;
    }

    fn line(&self, task: &Task) -> &Arc<Line> {
        // The plan is made of the same config.
        &self.lines[&task.provider]
    }

    fn is_file(&self, task: &Task) -> bool {
        self.line(task).settings.is_files()
    }

    /// The instant as of which bars are finished: now, or the one asked about; and the server's own
    /// now, when ours is a little ahead of it.
    fn finished_by(&self, server_now: Option<i64>) -> i64 {
        let now = clock::now();
        let believed = server_now
            .filter(|server| (now - BELIEVABLE_SKEW..now).contains(server))
            .unwrap_or(now);
        self.options.as_of.map_or(believed, |as_of| as_of.min(believed))
    }

    async fn job(self: &Arc<Self>, job: Job) {
        self.say(Message::JobStarted(job.symbol.clone())).await;
        let mut retries = 0;
        for task in job.tasks {
            let task = Arc::new(task);
            let Err(lost) = self.task(&task, &mut retries).await else { continue };
            if lost.deferred {
                let message = lost.fault.message;
                self.say(Message::TaskDeferred(task.key.clone(), message)).await;
            } else {
                self.say(Message::TaskFailed(Failure {
                    series: task.key.clone(),
                    stage: Stage::Fetch,
                    kind: lost.fault.kind,
                    message: lost.fault.message,
                    attempts: lost.attempts,
                    at: clock::now(),
                }))
                .await;
            }
        }
        self.say(Message::JobDone(job.symbol, retries)).await;
    }

    async fn task(self: &Arc<Self>, task: &Arc<Task>, retries: &mut u32) -> Result<(), Lost> {
        let line = self.line(task);
        match line.settings.source.clone() {
            Source::Files { folder } => {
                let path = folder.join(file_name(&task.ask_symbol, task.key.timeframe));
                self.file(task, path).await
            }
            Source::Http { provider, base_url } => {
                let lane = Lane { crew: self, line, provider, base_url: &base_url };
                match lane.pages(task, task.range, retries).await {
                    Err(lost) if lost.fault.kind == ErrorKind::NotEntitled => {
                        lane.narrowed(task, lost, retries).await
                    }
                    ended => ended,
                }
            }
        }
    }

    /// Reads a file from a thread that may block.
    async fn file(self: &Arc<Self>, task: &Arc<Task>, path: PathBuf) -> Result<(), Lost> {
        let (crew, task) = (Arc::clone(self), Arc::clone(task));
        let reading = tokio::task::spawn_blocking(move || crew.file_pages(&task, &path));
        let ended = reading.await.unwrap_or_else(|error| {
            Err(Fault::new(ErrorKind::Malformed, format!("reading the file failed: {error}")))
        });
        ended.map_err(|fault| Lost::new(fault, 1))
    }

    fn file_pages(&self, task: &Arc<Task>, path: &Path) -> Result<(), Fault> {
        let finished_by = self.finished_by(None);
        let mut pages = files::Pages::open(path)?;
        let mut seen = Seen::new(task, task.range);
        loop {
            let started = Instant::now();
            let page = pages.next()?;
            let fetched = Fetched {
                attempt: Attempt {
                    response_time: started.elapsed(),
                    bytes: page.bytes,
                    ..attempt(task, task.range, 1)
                },
                task: Arc::clone(task),
                answered: seen.answered(task, &page.answer, page.last),
                answer: page.answer,
                lines: page.lines,
                from_file: true,
                file_mark: pages.mark.filter(|_| page.last),
                finished_by,
                place: None,
            };
            Handle::current().block_on(self.hand_over(fetched));
            if page.last || self.sender.is_closed() {
                return Ok(());
            }
        }
    }
}

/// A row of `fetch_log` in the making.
fn attempt(task: &Task, range: TimeRange, number: u32) -> Attempt {
    Attempt {
        series: task.key.clone(),
        provider: task.provider.clone(),
        started_at: clock::now(),
        range,
        number,
        response_time: Duration::ZERO,
        bytes: 0,
        http_status: None,
        fault: None,
    }
}
