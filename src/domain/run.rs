//! What a run did: its jobs, its attempts and their faults, and the one outcome record that the exit
//! code, the history row, the JSON and the log all read.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::bar::Refused;
use super::enum_words::enum_words;
use super::range::TimeRange;
use super::series::{SeriesKey, Symbol};
use super::task::About;

/// A run's identity: a ULID, so that ids sort by the time of their making.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The command that brings bars from files named on the command line; in the log it stands in the place of
/// their provider. It is a run like others, but none that anybody waits for: what is judged by the runs
/// that a schedule makes passes it over.
pub const IMPORT: &str = "import";

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunStatus {
    /// At work.
    Running,
    /// Every job succeeded, or nothing was due.
    Succeeded,
    /// Some jobs failed.
    Partial,
    /// Nothing failed, but some jobs were left for the next run.
    Deferred,
    /// Every job failed, or the run was aborted.
    Failed,
    /// Stopped by a signal; what it had finished is kept.
    Interrupted,
    /// It ended without saying so: killed, or the machine went down.
    Crashed,
    /// A pause was on.
    Skipped,
}

enum_words!(RunStatus, "run status", {
    Running => "running", Succeeded => "succeeded", Partial => "partial", Deferred => "deferred",
    Failed => "failed", Interrupted => "interrupted", Crashed => "crashed", Skipped => "skipped",
});

/// A signal that asks a run to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: the system wants it to end.
    Terminate,
}

impl StopSignal {
    /// The process code that says so: 128 and the signal's number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// How a job, one symbol within a run, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// Not begun.
    Pending,
    /// At work.
    InProgress,
    /// Failed once, and to be tried again in this run.
    Retry,
    /// Everything it asked for is stored or explained.
    Completed,
    /// Left for the next run by a budget or the quota.
    Deferred,
    /// Something it asked for is lacking.
    Failed,
    /// Not ended when the run was.
    Skipped,
}

enum_words!(JobStatus, "job status", {
    Pending => "pending", InProgress => "in_progress", Retry => "retry", Completed => "completed",
    Deferred => "deferred", Failed => "failed", Skipped => "skipped",
});

/// Why an attempt, or a step after it, failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The connection could not be made, or broke.
    Network,
    /// No answer, or no more of it, in time.
    Timeout,
    /// The provider's quota is used up (429, 418).
    RateLimited,
    /// The key is wrong or lacking.
    Auth,
    /// The key's plan does not hold this.
    NotEntitled,
    /// The provider does not know the symbol.
    NotFound,
    /// The provider refuses the request as it is.
    BadRequest,
    /// The provider is in trouble (5xx).
    Server,
    /// The answer cannot be what was asked for.
    Malformed,
    /// The answer is larger than `max_body`.
    TooLarge,
    /// The breaker is open.
    CircuitOpen,
    /// No slot among the provider's concurrent requests came free in time.
    BulkheadFull,
    /// The run's time is up.
    Deadline,
    /// Every row of an answer was refused.
    Validation,
    /// A feature could not be computed.
    Compute,
    /// The database could not be read or written.
    Storage,
    /// The run was stopped.
    Cancelled,
}

enum_words!(ErrorKind, "error kind", {
    Network => "network", Timeout => "timeout", RateLimited => "rate_limited", Auth => "auth",
    NotEntitled => "not_entitled", NotFound => "not_found", BadRequest => "bad_request",
    Server => "server", Malformed => "malformed", TooLarge => "too_large",
    CircuitOpen => "circuit_open", BulkheadFull => "bulkhead_full", Deadline => "deadline",
    Validation => "validation", Compute => "compute", Storage => "storage", Cancelled => "cancelled",
});

/// The station of the line at which something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Working out what to ask for.
    Plan,
    /// Asking for it.
    Fetch,
    /// Judging the answer.
    Validate,
    /// Writing it down.
    Store,
    /// Computing from it.
    Compute,
}

enum_words!(Stage, "stage", {
    Plan => "plan", Fetch => "fetch", Validate => "validate", Store => "store", Compute => "compute",
});

/// The provider's or the network's trouble with one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What kind of trouble.
    pub kind: ErrorKind,
    /// In words, fit to be shown: no key, no URL, at most 500 characters.
    pub message: String,
    /// The HTTP status of the answer; `None` when there was none.
    pub http_status: Option<u16>,
    /// How long the provider asks to be left alone; `None` when it does not say, and when its trouble is with
    /// one symbol or range, which is no reason to.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault without an HTTP answer behind it.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), http_status: None, retry_after: None }
    }
}

/// One try at one request: a row of `fetch_log`.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The series that it is for; of what is not about bars, that of the symbol's days.
    pub series: SeriesKey,
    /// What of it.
    pub about: About,
    /// The provider's name in the config.
    pub provider: String,
    /// When it was sent, epoch seconds UTC.
    pub started_at: i64,
    /// The same, by the clock that only goes forward.
    pub begun: Instant,
    /// The range of `ts` that it asks for.
    pub range: TimeRange,
    /// Its number among the tries at this request, from 1.
    pub number: u32,
    /// From sending to the last byte.
    pub response_time: Duration,
    /// Unpacked bytes of the body.
    pub bytes: u64,
    /// The HTTP status; `None` when no answer came, and for files.
    pub http_status: Option<u16>,
    /// The file that it was imported from; `None` where a provider was asked.
    pub file: Option<PathBuf>,
    /// What went wrong; `None` when nothing did.
    pub fault: Option<Fault>,
    /// The number, in this run, of the request for a whole market that it is a part of, of several the last one;
    /// `None` of a request of its own.
    pub part_of: Option<u64>,
    /// Where the time went that was not the network's.
    pub pace: Pace,
}

/// Where the time of a request went, besides waiting for its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Waiting for the provider's quota, before it was sent.
    pub quota: Duration,
    /// Reading what came, which is part of the response time; of a file's first page, with looking through
    /// the file.
    pub decode: Duration,
    /// Waiting, once it was read, until the writer had room for it.
    pub writer: Duration,
}

/// Where the time of a run's one writer went. What is in neither it wrote, or got ready to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterTimes {
    /// Waiting for what fetching brings.
    pub waiting: Duration,
    /// Making what follows from stored bars: features, and looking for what is suspicious.
    pub concluding: Duration,
}

impl Attempt {
    /// What it asks for, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        self.about.word(self.series.timeframe)
    }
}

impl Failure {
    /// What was asked for, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        self.about.word(self.series.timeframe)
    }
}

/// What became of the rows of one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// Rows in the answer.
    pub fetched: u64,
    /// Bars that were new.
    pub inserted: u64,
    /// Bars that differed from the stored ones.
    pub updated: u64,
    /// Rows that cannot be true.
    pub rejected: u64,
    /// Rows of running windows, or outside the asked range.
    pub dropped: u64,
    /// Bars of an import that differ from stored ones, which stay.
    pub kept: u64,
    /// Of those of an import that cannot be true, how many for which reason.
    pub refused: Refused,
}

/// A row of `failures`: what failed for good in this run, where, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Whose job it failed; of what is not about bars, the series of the symbol's days.
    pub series: SeriesKey,
    /// What of it was asked for.
    pub about: About,
    /// At which station.
    pub stage: Stage,
    /// What kind of trouble.
    pub kind: ErrorKind,
    /// In words.
    pub message: String,
    /// How many tries were made.
    pub attempts: u32,
    /// When, epoch seconds UTC.
    pub at: i64,
}

/// A row of `compute_log`: the computing of a series' features in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputeFact {
    /// Whose features.
    pub series: SeriesKey,
    /// How many features of each bar.
    pub features: u64,
    /// Rows written.
    pub rows: u64,
    /// How long it took, reading and writing included.
    pub took: Duration,
    /// What went wrong; `None` when nothing did.
    pub error: Option<String>,
    /// When it ended, epoch seconds UTC.
    pub at: i64,
}

/// How one job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct JobOutcome {
    /// The symbol.
    pub symbol: Symbol,
    /// How it ended.
    pub status: JobStatus,
    /// How often it was tried again.
    pub retry_count: u32,
    /// New bars.
    pub records_inserted: u64,
    /// Changed bars.
    pub records_updated: u64,
    /// What went wrong last, in words.
    pub last_error: Option<String>,
}

/// The one outcome record of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Jobs in all.
    pub symbols_total: u64,
    /// Jobs completed.
    pub successful: u64,
    /// Jobs failed.
    pub failed: u64,
    /// Jobs left for the next run.
    pub deferred: u64,
    /// Tries after the first, of requests and of jobs.
    pub retried: u64,
    /// Jobs not begun.
    pub skipped: u64,
    /// New bars.
    pub records_inserted: u64,
    /// Changed bars.
    pub records_updated: u64,
    /// Requests sent; files read are none.
    pub requests: u64,
    /// Answers that said: too many requests.
    pub rate_limited: u64,
    /// Seconds in which one of its requests at least waited for a quota.
    pub quota_wait_seconds: u64,
}

impl Totals {
    /// Jobs that have not ended; of a run that has, those that were not begun.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.symbols_total.saturating_sub(self.successful + self.failed + self.deferred)
    }

    /// How a run with these totals ended, when it came to its end.
    #[must_use]
    pub const fn status(&self) -> RunStatus {
        if self.failed > 0 && self.failed == self.symbols_total {
            RunStatus::Failed
        } else if self.failed > 0 {
            RunStatus::Partial
        } else if self.deferred > 0 {
            RunStatus::Deferred
        } else {
            RunStatus::Succeeded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_as_bad_as_its_jobs() {
        let of = |symbols_total, failed, deferred| {
            Totals { symbols_total, failed, deferred, ..Totals::default() }.status()
        };
        assert_eq!(of(0, 0, 0), RunStatus::Succeeded);
        assert_eq!(of(3, 0, 0), RunStatus::Succeeded);
        assert_eq!(of(3, 1, 1), RunStatus::Partial);
        assert_eq!(of(3, 3, 0), RunStatus::Failed);
        assert_eq!(of(3, 0, 1), RunStatus::Deferred);
    }
}
