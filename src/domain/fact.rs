//! What the store remembers, as the reports and the plan read it.

use std::collections::BTreeMap;

use super::bar::{Adjustment, BarFields, RejectReason};
use super::feature::FeatureSet;
use super::policy::Freshness;
use super::run::{ErrorKind, IMPORT, JobStatus, RunId, RunStatus, Stage, Totals};
use super::series::{SeriesKey, Symbol};

/// A series as it is stored. Small, since reports look at tens of thousands at once: what few of them have
/// and what only a plan rests on stands aside.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesFact {
    /// Its row's id.
    pub series_id: i64,
    /// Which series.
    pub key: SeriesKey,
    /// The `ts` of its first stored bar; `None` without bars.
    pub first_ts: Option<i64>,
    /// The `ts` of its last stored bar; `None` without bars.
    pub watermark_ts: Option<i64>,
    /// How many bars are stored.
    pub bar_count: u64,
    /// When its symbol came into the config, epoch seconds UTC; `None` where that was not asked for: of a series
    /// with bars only a plan asks.
    pub added_at: Option<i64>,
    /// Its features; `None` in a database of a schema that has none.
    pub features: Option<FeaturesFact>,
    /// What is noted of few series; `None` where nothing of it is.
    pub marks: Option<Box<Marks>>,
    /// What only a plan rests on; `None` where that was not asked for.
    pub planned: Option<Box<Planned>>,
}

/// What is noted of a series when something is out of the ordinary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Failed runs since the last good one.
    pub consecutive_failures: u32,
    /// What went wrong last; `None` once it went well again.
    pub last_error: Option<String>,
    /// Bars before this `ts` are in the prices of before their provider restated them; `None` when none
    /// is.
    pub restated_to: Option<i64>,
    /// From which `ts` on its bars are due although it holds earlier ones, which were imported and are older
    /// than its lookback; `None` where there are none.
    pub due_from: Option<i64>,
    /// From which `ts` on its bars are still to be looked at; `None` when all were.
    pub quality_from: Option<i64>,
}

impl Marks {
    /// As a series holds them: `None` when nothing is noted.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// What is noted of a series for the next plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What its prices contain.
    pub adjustment: Adjustment,
    /// Up to which `ts` its bars are settled; `None` before any is.
    pub settled_ts: Option<i64>,
    /// When its provider last answered for it, epoch seconds UTC.
    pub last_fetched_at: Option<i64>,
    /// When what is not settled of it was last read, by the instant that run was judged at; `None`
    /// before the first time.
    pub settle_read_at: Option<i64>,
    /// Until when it is left alone after its failures, epoch seconds UTC; `None` when it is not.
    pub rests_until: Option<i64>,
    /// The file that was read for it; `None` where there is none, or it was never read to its end.
    pub file_mark: Option<FileMark>,
}

/// That of a series for which nothing was ever asked.
impl Default for Planned {
    fn default() -> Self {
        Self {
            adjustment: Adjustment::Raw,
            settled_ts: None,
            last_fetched_at: None,
            settle_read_at: None,
            rests_until: None,
            file_mark: None,
        }
    }
}

impl SeriesFact {
    /// The `ts` from which on it is to be whole: that of its first stored bar, imported ones that are older
    /// than its lookback left out; `None` without bars.
    #[must_use]
    pub fn first_due_ts(&self) -> Option<i64> {
        self.first_ts.map(|first| self.due_from().map_or(first, |from| from.max(first)))
    }

    /// [`Marks::consecutive_failures`].
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.marks.as_ref().map_or(0, |marks| marks.consecutive_failures)
    }

    /// [`Marks::last_error`].
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.marks.as_ref()?.last_error.as_deref()
    }

    /// [`Marks::restated_to`].
    #[must_use]
    pub fn restated_to(&self) -> Option<i64> {
        self.marks.as_ref()?.restated_to
    }

    /// [`Marks::due_from`].
    #[must_use]
    pub fn due_from(&self) -> Option<i64> {
        self.marks.as_ref()?.due_from
    }

    /// [`Marks::quality_from`].
    #[must_use]
    pub fn quality_from(&self) -> Option<i64> {
        self.marks.as_ref()?.quality_from
    }
}

/// How far the features of a series are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeaturesFact {
    /// Which ones.
    pub set: FeatureSet,
    /// From which `ts` on they are to be computed anew; `None` when they are as the bars are.
    pub from: Option<i64>,
    /// The last bar that has any; `None` when none has.
    pub last_ts: Option<i64>,
    /// When they were last computed, epoch seconds UTC.
    pub computed_at: Option<i64>,
}

impl FeaturesFact {
    /// A `ts` up to which bars have the features that they should have; `None` when none has.
    #[must_use]
    pub fn up_to(&self) -> Option<i64> {
        let last = self.last_ts?;
        Some(self.from.map_or(last, |from| last.min(from - 1)))
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMark {
    /// When it was last written to, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Its length.
    pub bytes: i64,
}

impl FileMark {
    /// The mark of a file; `None` where the system does not say when it was written.
    #[must_use]
    pub fn of(metadata: &std::fs::Metadata) -> Option<Self> {
        let since = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Self {
            modified_ns: i64::try_from(since.as_nanos()).ok()?,
            bytes: i64::try_from(metadata.len()).ok()?,
        })
    }
}

/// A run's row.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFact {
    /// Its id.
    pub run_id: RunId,
    /// `backfill` or `enrich`.
    pub command: String,
    /// Who called it.
    pub trigger: String,
    /// How it stands.
    pub status: RunStatus,
    /// Epoch seconds UTC.
    pub started_at: i64,
    /// Epoch seconds UTC; `None` while it runs.
    pub completed_at: Option<i64>,
    /// What it did.
    pub totals: Totals,
    /// Its exit code; `None` while it runs, and when it crashed.
    pub exit_code: Option<i64>,
    /// What aborted it.
    pub error: Option<String>,
    /// The largest lag of a series at its end; `None` when it was not judged, or not by the clock.
    pub worst_lag_seconds: Option<i64>,
}

impl RunFact {
    /// Whether somebody imported files by hand: it says nothing of providers, nor of who calls the others.
    #[must_use]
    pub fn is_import(&self) -> bool {
        self.command == IMPORT
    }

    /// How long it took; `None` while it runs, and when it crashed.
    #[must_use]
    pub fn duration_seconds(&self) -> Option<i64> {
        self.completed_at.map(|at| at.saturating_sub(self.started_at).max(0))
    }

    /// How long it took, less the time in which it waited for a quota; `None` likewise.
    #[must_use]
    pub fn working_seconds(&self) -> Option<u64> {
        let took = u64::try_from(self.duration_seconds()?).ok()?;
        Some(took.saturating_sub(self.totals.quota_wait_seconds))
    }

    /// The share of its jobs that failed, 0..1; `None` without jobs.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        let Totals { failed, symbols_total, .. } = self.totals;
        (symbols_total > 0).then(|| failed as f64 / symbols_total as f64)
    }
}

/// A job's row.
#[derive(Clone, Debug, PartialEq)]
pub struct JobFact {
    /// The run that it belongs to.
    pub run_id: RunId,
    /// Whose job.
    pub symbol: Symbol,
    /// How it stands.
    pub status: JobStatus,
    /// How often it was tried again.
    pub retry_count: u32,
    /// Epoch seconds UTC; `None` before it began.
    pub started_at: Option<i64>,
    /// Epoch seconds UTC; `None` before it ended.
    pub completed_at: Option<i64>,
    /// New bars.
    pub records_inserted: u64,
    /// Changed bars.
    pub records_updated: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// A failure's row.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureFact {
    /// The run in which it happened.
    pub run_id: RunId,
    /// Whose job failed.
    pub symbol: Symbol,
    /// The timeframe at which, or the word for what else was asked for.
    pub timeframe: String,
    /// The station at which.
    pub stage: Stage,
    /// What kind of trouble.
    pub kind: ErrorKind,
    /// In words.
    pub message: String,
    /// How many tries were made.
    pub attempts: u32,
    /// Epoch seconds UTC.
    pub at: i64,
}

/// Requests of one provider with one outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestCount {
    /// The provider's name in the config.
    pub provider: String,
    /// `ok`, or the error kind.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

/// What the requests of a window of time came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchFacts {
    /// How many there were.
    pub total: u64,
    /// By how many milliseconds they took, how many.
    pub times_ms: BTreeMap<u64, u64>,
    /// How many succeeded.
    pub successful: u64,
    /// How many met a full quota.
    pub rate_limited: u64,
    /// How many were second tries or later.
    pub retries: u64,
    /// Unpacked bytes.
    pub bytes: u64,
}

/// What the requests of one run have come to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent; files read are none.
    pub requests: u64,
    /// Answers that said: too many requests.
    pub rate_limited: u64,
    /// New bars, of files too.
    pub bars: u64,
}

/// What a provider answered in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderRun {
    /// The run.
    pub run_id: RunId,
    /// The provider's name in the config.
    pub provider: String,
    /// Requests that it answered.
    pub answered: u64,
    /// Failures for its trouble, or the network's, and not for what was asked.
    pub troubled: u64,
}

/// How soon new bars were stored, measured within runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detected {
    /// New bars at the tails of series.
    pub bars: u64,
    /// Those whose answer came soon enough after the run had begun.
    pub in_time: u64,
}

/// The requests of one UTC day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchDay {
    /// The day's first instant, epoch seconds UTC.
    pub start: i64,
    /// What they came to.
    pub facts: FetchFacts,
    /// How many failed, by error kind.
    pub failed: BTreeMap<String, u64>,
}

/// What was found of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows that were refused.
    pub rejected: u64,
    /// Stored bars in no session.
    pub non_session: u64,
    /// Other findings among the stored bars.
    pub scored: u64,
}

/// A refused row as it is kept; rows of one time that differ are one.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedFact {
    /// The time it claims, epoch seconds UTC; `None` when that could not be read.
    pub ts: Option<i64>,
    /// The rule that it breaks.
    pub reason: RejectReason,
    /// The columns that break it; none where it is not about single columns, or not known.
    pub fields: BarFields,
    /// The row as it was read, with its line where it has one.
    pub text: String,
    /// How many rows.
    pub count: u64,
    /// The file that it was imported from; `None` where the series' provider gave it.
    pub file: Option<String>,
}

/// A row of `quality_metrics` without its day; shares are 0..1.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityRow {
    /// Which series.
    pub key: SeriesKey,
    /// Its figures.
    pub fact: QualityFact,
}

/// A series' figures of quality; shares are 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QualityFact {
    /// Rows that came: stored and refused.
    pub total_records: u64,
    /// Bars in the store.
    pub validated_records: u64,
    /// Stored of all rows; `None` without rows.
    pub validation_rate: Option<f64>,
    /// Gaps that are holes.
    pub gaps_detected: u64,
    /// Findings among the stored bars.
    pub anomalies_detected: u64,
    /// All of it in one number; `None` without bars.
    pub quality_score: Option<f64>,
    /// Stored of the due bars, from the first stored one on; 1 where none is due, `None` without bars.
    pub completeness: Option<f64>,
}

/// What computing came to in a window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ComputeFacts {
    /// How often features of a series were computed.
    pub total: u64,
    /// How often that went well.
    pub successful: u64,
    /// How long it took on average, in milliseconds; `None` when nothing was computed.
    pub avg_ms: Option<f64>,
}

/// A row of `freshness`: a series' state at the end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct FreshnessFact {
    /// Which series.
    pub key: SeriesKey,
    /// Its last stored bar.
    pub last_bar_ts: Option<i64>,
    /// When its features were last computed, epoch seconds UTC.
    pub last_computed_at: Option<i64>,
    /// The lag of its bars in seconds.
    pub lag_seconds: i64,
    /// The worse of its bars' and its features' freshness.
    pub status: Freshness,
}
