//! Old rows go: the log of requests, computations and failures, and the runs with their jobs. Totals,
//! bars, and who did what by hand stay.

use rusqlite::params;

use super::{StoreResult, Writer};

/// What is kept only for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// Requests.
    FetchLog,
    /// Computations of features.
    ComputeLog,
    /// Failures.
    Failures,
    /// Jobs of runs.
    Jobs,
    /// Runs.
    Runs,
}

/// Rows that go in one transaction, at most: whoever wants to write waits no longer than that takes.
const SLICE: i64 = 20_000;

impl Pruned {
    /// All of them, in the order in which they go: jobs before their runs.
    pub const ALL: [Self; 5] =
        [Self::FetchLog, Self::ComputeLog, Self::Failures, Self::Jobs, Self::Runs];

    /// The table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::FetchLog => "fetch_log",
            Self::ComputeLog => "compute_log",
            Self::Failures => "failures",
            Self::Jobs => "jobs",
            Self::Runs => "runs",
        }
    }

    /// Whether it is kept as long as runs are, and not as long as logs.
    #[must_use]
    pub const fn is_of_runs(self) -> bool {
        matches!(self, Self::Jobs | Self::Runs)
    }

    /// Deletes rows from before `?1`, `?2` at most. The newest run and the newest good one stay, however
    /// old: by them it is told how things stand.
    const fn sql(self) -> &'static str {
        match self {
            Self::FetchLog => {
                "DELETE FROM fetch_log WHERE rowid IN
                     (SELECT rowid FROM fetch_log WHERE started_at < ?1 LIMIT ?2)"
            }
            Self::ComputeLog => {
                "DELETE FROM compute_log WHERE rowid IN
                     (SELECT rowid FROM compute_log WHERE at < ?1 LIMIT ?2)"
            }
            Self::Failures => {
                "DELETE FROM failures WHERE rowid IN
                     (SELECT rowid FROM failures WHERE at < ?1 LIMIT ?2)"
            }
            Self::Jobs => {
                "DELETE FROM jobs WHERE (run_id, symbol) IN
                     (SELECT run_id, symbol FROM jobs WHERE run_id IN
                         (SELECT run_id FROM runs WHERE started_at < ?1 AND status <> 'running'
                             AND run_id <> (SELECT max(run_id) FROM runs)
                             AND run_id IS NOT (SELECT max(run_id) FROM runs WHERE status = 'succeeded'))
                      LIMIT ?2)"
            }
            Self::Runs => {
                "DELETE FROM runs WHERE run_id IN
                     (SELECT run_id FROM runs WHERE started_at < ?1 AND status <> 'running'
                         AND run_id <> (SELECT max(run_id) FROM runs)
                         AND run_id IS NOT (SELECT max(run_id) FROM runs WHERE status = 'succeeded')
                      LIMIT ?2)"
            }
        }
    }
}

impl Writer<'_> {
    /// Deletes a slice of what is older than `before`; tells how many rows. None is left when it is 0.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn prune(&self, what: Pruned, before: i64) -> StoreResult<u64> {
        let mut statement = self.connection.prepare_cached(what.sql())?;
        Ok(statement.execute(params![before, SLICE])? as u64)
    }
}
