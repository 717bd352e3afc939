//! `Event`: what a run says while it works. Progress bars and log lines are its consumers; it knows
//! nothing of widths or colours.

use std::time::Duration;

use super::run::{Attempt, Failure, JobOutcome, PageCounts, RunId, RunStatus, Totals};
use super::series::{SeriesKey, Symbol};

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
    },
    /// A page is stored.
    PageStored {
        /// Whose bars.
        series: SeriesKey,
        /// What became of its rows.
        counts: PageCounts,
        /// The request that brought it.
        attempt: Attempt,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The attempt, with its fault.
        attempt: Attempt,
        /// The wait before the next try; `None` when there is none.
        retry_in: Option<Duration>,
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
    /// A refused range was asked for again without the part that was refused.
    Narrowed {
        /// Whose range.
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
    /// The run ended.
    Finished {
        /// How it ended.
        status: RunStatus,
        /// The outcome record.
        totals: Totals,
    },
}
