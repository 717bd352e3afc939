//! `Event`: what a run says while it works. Progress bars, log lines and traces are its consumers; it
//! knows nothing of widths or colours.

use std::time::{Duration, Instant};

use super::run::{Attempt, ComputeFact, Failure, JobOutcome, PageCounts, RunId, RunStatus, Totals};
use super::series::{SeriesKey, Symbol};

/// From when to when something was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// Its beginning.
    pub from: Instant,
    /// Its end.
    pub to: Instant,
}

/// A past-tense fact about a run at work.
#[derive(Clone, Debug)]
pub enum Event {
    /// The plan stands.
    Planned {
        /// The run.
        run: RunId,
        /// Symbols that have something to ask for.
        jobs: u64,
        /// Requests that are certain: first pages.
        requests: u64,
        /// What the plan had to leave out, a sentence each.
        notes: Vec<String>,
    },
    /// A job's first request is about to be made.
    JobStarted {
        /// Whose job.
        symbol: Symbol,
        /// When it was about to be.
        at: Instant,
    },
    /// A page is stored.
    PageStored {
        /// Whose bars.
        series: SeriesKey,
        /// What became of its rows.
        counts: PageCounts,
        /// The request that brought it.
        attempt: Attempt,
        /// The judging of its rows; `None` of what is not about bars.
        validated: Option<Took>,
        /// The writing, up to the commit, which many pages share.
        stored: Took,
    },
    /// A request for a whole market was answered; what it holds is stored symbol by symbol.
    Answered {
        /// The request.
        attempt: Attempt,
        /// Rows in the answer.
        rows: u64,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The attempt, with its fault.
        attempt: Attempt,
        /// The wait before the next try; `None` when there is none.
        retry_in: Option<Duration>,
        /// The judging of its rows, where that is what it failed at.
        validated: Option<Took>,
    },
    /// An answer said that the page is to be had elsewhere on the same server; it is asked for there.
    Redirected {
        /// The attempt so far.
        attempt: Attempt,
    },
    /// A request began to wait for the provider's quota.
    QuotaWait {
        /// The provider's name in the config.
        provider: String,
        /// How long.
        wait: Duration,
    },
    /// The database's log cannot be emptied, for a reader is in the way, and grows.
    LogGrown {
        /// Its length.
        bytes: u64,
    },
    /// The run began to come to its end before its work is done.
    Ending {
        /// Why.
        reason: String,
        /// How long what is in flight has to finish.
        grace: Duration,
    },
    /// Something failed for good.
    Failed(Failure),
    /// A refused range was asked for again without the part that was refused, or a whole market's symbol by
    /// symbol.
    Narrowed {
        /// Whose range; `*` of a whole market's.
        series: SeriesKey,
        /// What was left out, in words.
        message: String,
    },
    /// A provider of adjusted prices has restated history; the whole series is asked for again.
    Restated {
        /// Whose history.
        series: SeriesKey,
    },
    /// A job failed so far, and is tried again at the end of the run.
    JobToRetry {
        /// Whose job.
        symbol: Symbol,
        /// What went wrong.
        error: String,
    },
    /// A job ended.
    JobFinished(JobOutcome),
    /// Features of a series were computed, or could not be.
    Computed {
        /// What came of it, and how long it worked.
        fact: ComputeFact,
        /// From its first slice to its last; others may have had their turn between.
        took: Took,
    },
    /// Nothing more follows from the bars of a symbol in this run.
    Concluded {
        /// Whose bars.
        symbol: Symbol,
    },
    /// The run ended.
    Finished {
        /// How it ended.
        status: RunStatus,
        /// The outcome record.
        totals: Totals,
        /// What the process ends with.
        exit_code: u8,
    },
}
