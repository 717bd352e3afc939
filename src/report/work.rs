//! How far a run at work is.

use crate::domain::fact::{JobFact, RunFact, Traffic};
use crate::domain::run::JobStatus;
use crate::domain::series::Symbol;

/// A run at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Its row; the totals in it are those of its end, and not yet known.
    pub run: RunFact,
    /// Its jobs by how they stand.
    pub jobs: JobCounts,
    /// What its requests have come to so far.
    pub traffic: Traffic,
    /// How long it has been at work, seconds.
    pub elapsed_seconds: i64,
    /// New bars a second so far; `None` in its first second.
    pub bars_per_second: Option<f64>,
    /// How long it takes yet, seconds, when the jobs that are left take as long as those that were had;
    /// `None` before there is one to go by, and when none is left.
    pub left_seconds: Option<i64>,
    /// The symbols at work and for how many seconds each, the longest first.
    pub at_work: Vec<(Symbol, i64)>,
}

/// Jobs by how they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// All of them.
    pub total: u64,
    /// Everything they asked for is stored or explained, or nothing was due.
    pub completed: u64,
    /// Something is lacking.
    pub failed: u64,
    /// Left for the next run.
    pub deferred: u64,
    /// Given up with the run.
    pub skipped: u64,
    /// At work.
    pub at_work: u64,
    /// Failed once, and waiting for another try.
    pub to_retry: u64,
    /// Not begun.
    pub pending: u64,
}

impl JobCounts {
    /// Counts them.
    #[must_use]
    pub fn of(jobs: &[JobFact]) -> Self {
        let mut counts = Self::default();
        for job in jobs {
            counts.total += 1;
            *match job.status {
                JobStatus::Completed => &mut counts.completed,
                JobStatus::Failed => &mut counts.failed,
                JobStatus::Deferred => &mut counts.deferred,
                JobStatus::Skipped => &mut counts.skipped,
                JobStatus::InProgress => &mut counts.at_work,
                JobStatus::Retry => &mut counts.to_retry,
                JobStatus::Pending => &mut counts.pending,
            } += 1;
        }
        counts
    }

    /// Those that have ended, in whatever manner.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.completed + self.failed + self.deferred + self.skipped
    }

    /// The share of them that has ended, 0..1; 0 without jobs.
    #[must_use]
    pub fn share_ended(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.ended() as f64 / self.total as f64 }
    }
}

impl Work {
    /// How far `run` is at `now`.
    #[must_use]
    pub fn of(run: RunFact, jobs: &[JobFact], traffic: Traffic, now: i64) -> Self {
        let elapsed = now.saturating_sub(run.started_at).max(0);
        let counts = JobCounts::of(jobs);
        let since = |job: &JobFact| now.saturating_sub(job.started_at.unwrap_or(now)).max(0);
        let working = jobs.iter().filter(|job| job.status == JobStatus::InProgress);
        let mut at_work: Vec<_> = working.map(|job| (job.symbol.clone(), since(job))).collect();
        at_work.sort_by_key(|(_, seconds)| std::cmp::Reverse(*seconds));
        // Jobs of which nothing was due tell nothing of how long one takes.
        let had = jobs.iter().filter(|job| job.started_at.is_some() && job.completed_at.is_some());
        Self {
            jobs: counts,
            traffic,
            elapsed_seconds: elapsed,
            bars_per_second: (elapsed > 0).then(|| traffic.bars as f64 / elapsed as f64),
            left_seconds: left(elapsed, had.count() as u64, counts.total - counts.ended()),
            at_work,
            run,
        }
    }
}

/// How long `left` jobs take when so many others took `elapsed` seconds.
fn left(elapsed: i64, had: u64, left: u64) -> Option<i64> {
    let known = had > 0 && left > 0 && elapsed > 0;
    known.then(|| (elapsed as f64 * left as f64 / had as f64).ceil() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::{RunId, RunStatus, Totals};

    fn run() -> RunFact {
        RunFact {
            run_id: RunId("R".to_owned()),
            command: "backfill".to_owned(),
            trigger: "manual".to_owned(),
            status: RunStatus::Running,
            started_at: 100,
            completed_at: None,
            totals: Totals::default(),
            exit_code: None,
            error: None,
            worst_lag_seconds: None,
        }
    }

    fn job(symbol: &str, status: JobStatus, started_at: Option<i64>, ended: bool) -> JobFact {
        JobFact {
            run_id: RunId("R".to_owned()),
            symbol: symbol.parse().unwrap(),
            status,
            retry_count: 0,
            started_at,
            completed_at: ended.then_some(105),
            records_inserted: 0,
            records_updated: 0,
            last_error: None,
        }
    }

    #[test]
    fn a_run_is_as_far_as_its_jobs() {
        use JobStatus::*;
        let jobs = [
            job("A", InProgress, Some(108), false),
            job("B", InProgress, Some(103), false),
            job("C", Retry, Some(101), false),
            job("D", Pending, None, false),
            job("E", Failed, Some(101), true),
            job("F", Completed, Some(101), true),
            // Nothing was due.
            job("G", Completed, None, true),
            job("H", Deferred, None, true),
        ];
        let traffic = Traffic { requests: 5, rate_limited: 1, bars: 40 };
        let work = Work::of(run(), &jobs, traffic, 110);
        let expected = JobCounts {
            total: 8,
            completed: 2,
            failed: 1,
            deferred: 1,
            skipped: 0,
            at_work: 2,
            to_retry: 1,
            pending: 1,
        };
        assert_eq!(work.jobs, expected);
        assert_eq!((work.jobs.ended(), work.jobs.share_ended()), (4, 0.5));
        assert_eq!((work.elapsed_seconds, work.bars_per_second), (10, Some(4.0)));
        // Two of its jobs took ten seconds; four are left.
        assert_eq!(work.left_seconds, Some(20));
        let names: Vec<_> = work.at_work.iter().map(|(name, s)| (name.as_str(), *s)).collect();
        assert_eq!(names, [("B", 7), ("A", 2)]);
    }

    #[test]
    fn of_a_run_that_has_just_begun_nothing_is_foretold() {
        // The clock of the one who looks may be a little behind.
        let work = Work::of(run(), &[], Traffic::default(), 99);
        assert_eq!((work.elapsed_seconds, work.bars_per_second), (0, None));
        assert_eq!((work.left_seconds, work.jobs.share_ended()), (None, 0.0));
        let jobs = [job("A", JobStatus::Completed, Some(101), true)];
        assert_eq!(Work::of(run(), &jobs, Traffic::default(), 110).left_seconds, None);
    }
}
