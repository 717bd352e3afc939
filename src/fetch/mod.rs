//! The network at work: the only async room. Jobs run side by side, each asking for its tasks in turn,
//! page by page; what comes back is handed to synchronous code one message at a time.
//!
//! The channel is bounded: slow storage slows fetching by itself, and memory does not grow with the
//! range. Tokio's types never leave this room. State machines (`retry`, `quota`) are pure and driven
//! from here; breaker and budgets have their place in [`Line`], beside the quota.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};

use crate::clock::{self, Chance};
use crate::config::{ProviderSettings, Source};
use crate::domain::range::TimeRange;
use crate::domain::run::{Attempt, ErrorKind, Failure, Fault, Stage};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::task::{Job, Task};
use crate::domain::timeframe::DAY;
use crate::provider::{Answer, Ask, Cursor, Provider, files::file_name};

mod files;
mod http;
mod quota;
mod retry;

use http::Http;
use quota::Quota;
use retry::{Budget, Verdict};

/// Pages that may wait for the writer: one being written, one ready, and what the lanes hold.
const WAITING_PAGES: usize = 2;

/// Empty pages in a row after which a chain counts as endless.
const MOST_EMPTY_PAGES: u32 = 10;

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
    /// A request waited for its provider's quota.
    QuotaWaited(String, Duration),
    /// A refused range is asked for again without the refused part.
    Narrowed(SeriesKey, String),
    /// A task failed for good.
    TaskFailed(Failure),
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
    /// The instant as of which its bars are finished.
    pub finished_by: i64,
}

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
    let (sender, messages) = mpsc::channel(WAITING_PAGES);
    let lines = providers
        .iter()
        .map(|(name, settings)| (name.clone(), Arc::new(Line::new(settings.clone()))))
        .collect();
    let crew = Arc::new(Crew { lines, sender, options });
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
    options: Options,
}

/// One provider in a run: its quota, its places, and what it has said so far.
struct Line {
    settings: ProviderSettings,
    /// Made at the first request, so that a key is read only when it is needed.
    http: Mutex<Option<Result<Arc<Http>, Fault>>>,
    quota: Mutex<Quota>,
    budget: Mutex<Budget>,
    chance: Mutex<Chance>,
    places: Semaphore,
    /// Why nothing more is asked of it in this run.
    stopped: Mutex<Option<Fault>>,
    origin: Instant,
}

impl Line {
    fn new(settings: ProviderSettings) -> Self {
        Self {
            http: Mutex::new(None),
            quota: Mutex::new(Quota::new(&settings.rates)),
            budget: Mutex::new(Budget::default()),
            chance: Mutex::new(Chance::new()),
            places: Semaphore::new(settings.bulkhead.max_concurrent as usize),
            stopped: Mutex::new(None),
            origin: Instant::now(),
            settings,
        }
    }

    fn http(&self, provider: &dyn Provider, base_url: &str) -> Result<Arc<Http>, Fault> {
        let build = || {
            let key = match &self.settings.key {
                None => None,
                Some(source) => {
                    Some(source.resolve().map_err(|error| Fault::new(ErrorKind::Auth, error))?)
                }
            };
            Http::new(base_url, self.settings.limits, key, provider.defaults().key).map(Arc::new)
        };
        locked(&self.http).get_or_insert_with(build).clone()
    }

    /// How long since the run began.
    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Waits until the quota lets a request through; tells how long that took.
    async fn quota(&self) -> Duration {
        let mut waited = Duration::ZERO;
        loop {
            let taken = locked(&self.quota).take(self.elapsed());
            match taken {
                Ok(()) => return waited,
                Err(wait) => {
                    tokio::time::sleep(wait).await;
                    waited += wait;
                }
            }
        }
    }

    /// What a fault means for the provider as a whole.
    fn learn(&self, fault: &Fault) {
        if let Some(wait) = fault.retry_after.filter(|wait| *wait <= self.settings.retry.max) {
            locked(&self.quota).pause(self.elapsed() + wait);
        }
        if fault.kind == ErrorKind::Auth {
            locked(&self.stopped).get_or_insert_with(|| fault.clone());
        }
    }
}

/// A lock whose holder cannot have left it half done: its sections do not panic.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ended without its bars, after so many tries.
struct Lost {
    fault: Fault,
    attempts: u32,
}

impl Crew {
    async fn say(&self, message: Message) {
        // Nobody listens any more when the run is being given up.
        let _ = self.sender.send(message).await;
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

    async fn job(&self, job: Job) {
        self.say(Message::JobStarted(job.symbol.clone())).await;
        let mut retries = 0;
        for task in job.tasks {
            let task = Arc::new(task);
            if let Err(lost) = self.task(&task, &mut retries).await {
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

    async fn task(&self, task: &Arc<Task>, retries: &mut u32) -> Result<(), Lost> {
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
    async fn file(&self, task: &Arc<Task>, path: std::path::PathBuf) -> Result<(), Lost> {
        let (sender, task) = (self.sender.clone(), Arc::clone(task));
        let finished_by = self.finished_by(None);
        let reading = tokio::task::spawn_blocking(move || {
            let mut started = Instant::now();
            let mut pages = files::Pages::open(&path)?;
            let mut seen = Seen::new(task.range);
            loop {
                let page = pages.next()?;
                let answered = seen.answered(&task, &page.answer, page.last);
                let fetched = Fetched {
                    attempt: Attempt {
                        response_time: started.elapsed(),
                        bytes: page.bytes,
                        ..attempt(&task, task.range, 1)
                    },
                    task: Arc::clone(&task),
                    answer: page.answer,
                    lines: page.lines,
                    answered,
                    from_file: true,
                    finished_by,
                };
                let gone = sender.blocking_send(Message::Page(Box::new(fetched))).is_err();
                if page.last || gone {
                    return Ok(());
                }
                started = Instant::now();
            }
        });
        let ended = reading.await.unwrap_or_else(|error| {
            Err(Fault::new(ErrorKind::Malformed, format!("reading the file failed: {error}")))
        });
        ended.map_err(|fault| Lost { fault, attempts: 1 })
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

/// What the pages of a task have brought so far: how far they answer, and whether they get anywhere.
struct Seen {
    range: TimeRange,
    answered_to: i64,
    newest: Option<i64>,
    empty_pages: u32,
}

impl Seen {
    const fn new(range: TimeRange) -> Self {
        Self { range, answered_to: range.start, newest: None, empty_pages: 0 }
    }

    /// Which `ts` a page answers for: up to its last row, or to the end of the range when it is the
    /// last one. A page that goes back in time answers for nothing until the last one came.
    fn answered(&mut self, task: &Task, answer: &Answer, last: bool) -> TimeRange {
        let start = self.answered_to;
        let ascends = answer.bars.iter().all(|bar| bar.ts >= start || start == self.range.start);
        let newest = answer.bars.iter().map(|bar| bar.ts).max();
        let end = match newest {
            _ if last => self.range.end,
            Some(newest) if ascends => {
                newest.saturating_add(task.key.timeframe.seconds()).clamp(start, self.range.end)
            }
            _ => start,
        };
        self.answered_to = end;
        TimeRange::new(start, end)
    }

    /// Whether a chain of pages gets anywhere with this one.
    fn progress(&mut self, answer: &Answer, last: bool) -> Result<(), Fault> {
        let stuck = |message: &str| Err(Fault::new(ErrorKind::Malformed, message));
        let broken = answer.broken.iter().filter_map(|rejection| rejection.ts);
        let newest = answer.bars.iter().map(|bar| bar.ts).chain(broken).max();
        match newest {
            None => {
                self.empty_pages += 1;
                if !last && self.empty_pages >= MOST_EMPTY_PAGES {
                    return stuck("ten empty pages running");
                }
            }
            Some(newest) if self.newest.is_some_and(|before| newest <= before) => {
                return stuck("a page without a new bar");
            }
            Some(newest) => {
                self.newest = Some(newest);
                self.empty_pages = 0;
            }
        }
        Ok(())
    }
}

/// A page, read.
struct Read {
    answer: Answer,
    next: Option<Cursor>,
    server_now: Option<i64>,
}

/// One task's way to one provider.
struct Lane<'a> {
    crew: &'a Crew,
    line: &'a Arc<Line>,
    provider: &'static dyn Provider,
    base_url: &'a str,
}

impl Lane<'_> {
    /// Asks for every page of `range` and hands each on.
    async fn pages(
        &self,
        task: &Arc<Task>,
        range: TimeRange,
        retries: &mut u32,
    ) -> Result<(), Lost> {
        let mut seen = Seen::new(range);
        let mut cursor = None;
        loop {
            let (reply, attempt) = self.page(task, range, cursor.as_ref(), retries).await?;
            let last = reply.next.is_none();
            if let Err(fault) = seen.progress(&reply.answer, last) {
                let attempts = attempt.number;
                let attempt = Attempt { fault: Some(fault.clone()), ..attempt };
                self.crew.say(Message::AttemptFailed(attempt, None)).await;
                return Err(Lost { fault, attempts });
            }
            cursor = reply.next;
            let fetched = Fetched {
                task: Arc::clone(task),
                answered: seen.answered(task, &reply.answer, last),
                answer: reply.answer,
                attempt,
                lines: Vec::new(),
                from_file: false,
                finished_by: self.crew.finished_by(reply.server_now),
            };
            self.crew.say(Message::Page(Box::new(fetched))).await;
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
            if let Some(fault) = locked(&self.line.stopped).clone() {
                return Err(Lost { fault, attempts: number - 1 });
            }
            let (attempt, read) = self.attempt(task, range, cursor, number).await;
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
            let Some(wait) = wait else { return Err(Lost { fault, attempts: number }) };
            tokio::time::sleep(wait).await;
            *retries += 1;
            number += 1;
        }
    }

    /// One try at one page, whatever comes of it.
    async fn attempt(
        &self,
        task: &Task,
        range: TimeRange,
        cursor: Option<&Cursor>,
        number: u32,
    ) -> (Attempt, Result<Read, Fault>) {
        let waited = self.line.quota().await;
        if !waited.is_zero() {
            self.crew.say(Message::QuotaWaited(task.provider.clone(), waited)).await;
        }
        let mut attempt = attempt(task, range, number);
        let started = Instant::now();
        let read = self.exchange(task, range, cursor, &mut attempt).await;
        attempt.response_time = started.elapsed();
        if let Err(fault) = &read {
            attempt.http_status = attempt.http_status.or(fault.http_status);
            attempt.fault = Some(fault.clone());
        }
        (attempt, read)
    }

    async fn exchange(
        &self,
        task: &Task,
        range: TimeRange,
        cursor: Option<&Cursor>,
        attempt: &mut Attempt,
    ) -> Result<Read, Fault> {
        let settings = &self.line.settings;
        let patience = settings.bulkhead.timeout;
        let _place = tokio::time::timeout(patience, self.line.places.acquire())
            .await
            .map_err(|_| Fault::new(ErrorKind::BulkheadFull, "no free place in time"))?;
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
        let http = self.line.http(self.provider, self.base_url)?;
        let received = http.send(&self.provider.request(&ask), clock::now()).await?;
        attempt.bytes = received.bytes;
        attempt.http_status = Some(received.reply.status);
        let page = self.provider.read(&ask, &received.reply)?;
        let answer = only_answer(task, page.answers)?;
        Ok(Read { answer, next: page.next, server_now: received.server_now })
    }

    /// Asks again without the part of a refused range that a plan may not hold: today.
    async fn narrowed(&self, task: &Arc<Task>, lost: Lost, retries: &mut u32) -> Result<(), Lost> {
        let today = self.crew.finished_by(None).div_euclid(DAY) * DAY;
        let rest = TimeRange::new(task.range.start, task.range.end.min(today));
        if rest.is_empty() || rest == task.range {
            return Err(lost);
        }
        let message = format!("{}; asked again without today", lost.fault.message);
        self.crew.say(Message::Narrowed(task.key.clone(), message)).await;
        self.pages(task, rest, retries).await
    }
}

/// The answer to a task's symbol; one for another symbol is no answer.
fn only_answer(task: &Task, answers: Vec<Answer>) -> Result<Answer, Fault> {
    let mut found = None;
    for answer in answers {
        if !answer.symbol.is_empty() && answer.symbol != task.ask_symbol.as_str() {
            let other = crate::provider::text::shown(&answer.symbol);
            let message = format!("the answer is for `{other}`, asked was `{}`", task.ask_symbol);
            return Err(Fault::new(ErrorKind::Malformed, message));
        }
        found = Some(answer);
    }
    Ok(found.unwrap_or_default())
}
