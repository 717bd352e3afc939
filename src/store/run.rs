//! The execution log: runs, their jobs, attempts and failures.

use std::path::Path;

use rusqlite::params;

use crate::domain::fact::FreshnessFact;
use crate::domain::run::{
    Attempt, ErrorKind, Failure, JobOutcome, JobStatus, PageCounts, RunId, RunStatus, Totals,
};
use crate::domain::series::Symbol;

use super::many::write_many;
use super::{StoreResult, Writer, sql_count};

/// A run at its start.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// Its id.
    pub run_id: &'a RunId,
    /// `backfill`, `enrich` or `import`.
    pub command: &'a str,
    /// Who called it.
    pub trigger: &'a str,
    /// Epoch seconds UTC.
    pub started_at: i64,
    /// The machine's name.
    pub host: &'a str,
}

/// What a run's jobs came to, by their rows: all, successful, failed, deferred, skipped.
pub(super) const JOBS_STORED: &str = "
    SELECT count(*), coalesce(sum(status = 'completed'), 0), coalesce(sum(status = 'failed'), 0),
           coalesce(sum(status = 'deferred'), 0), coalesce(sum(status = 'skipped'), 0) FROM jobs";

/// What a run asked for and what it brought, by its log's rows: requests, rate-limited and repeated ones, new and
/// changed bars.
pub(super) const LOG_STORED: &str = "
    SELECT coalesce(sum((http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL), 0),
           coalesce(sum(error_kind = 'rate_limited'), 0), coalesce(sum(attempt > 1), 0),
           coalesce(sum(records_inserted), 0), coalesce(sum(records_updated), 0) FROM fetch_log";

/// Sets what a run did that cannot say so itself.
fn as_stored() -> String {
    format!(
        "(symbols_total, successful, failed, deferred, skipped) =
             ({JOBS_STORED} WHERE run_id = runs.run_id),
         (requests, rate_limited, retried, records_inserted, records_updated) =
             ({LOG_STORED} WHERE run_id = runs.run_id)"
    )
}

impl Writer<'_> {
    /// Marks as crashed what is still `running` although nobody holds the lock; tells how many.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn runs_reconcile(&self) -> StoreResult<usize> {
        let left: Vec<String> = self
            .connection
            .prepare("SELECT run_id FROM runs WHERE status = 'running'")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        self.connection.execute(
            "UPDATE jobs SET status = 'skipped' WHERE status IN ('pending', 'in_progress', 'retry')
             AND run_id IN (SELECT run_id FROM runs WHERE status = 'running')",
            [],
        )?;
        let crashed = format!(
            "UPDATE runs SET status = 'crashed',
                    error = 'it ended without saying so: killed, or the machine went down', {}
             WHERE status = 'running'",
            as_stored()
        );
        self.connection.execute(&crashed, [])?;
        left.iter().try_for_each(|run_id| self.totals_add(&RunId(run_id.clone())))?;
        Ok(left.len())
    }

    /// Closes the row of a run that could not go on: it did what its other rows say, whatever it was about to
    /// write when it failed. How long it waited for quotas no other row says.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn run_abort(
        &self,
        run_id: &RunId,
        at: i64,
        exit_code: u8,
        error: &str,
        quota_wait_seconds: u64,
    ) -> StoreResult<()> {
        self.jobs_skip(run_id)?;
        let aborted = format!(
            "UPDATE runs SET completed_at = ?2, status = 'failed', exit_code = ?3, error = ?4,
                 quota_wait_seconds = min(?5, max(?2 - started_at, 0)), {}
             WHERE run_id = ?1 AND status = 'running'",
            as_stored()
        );
        let waited = sql_count(quota_wait_seconds);
        let row = params![run_id.0, at, exit_code, error, waited];
        let closed = self.connection.execute(&aborted, row)?;
        if closed == 1 { self.totals_add(run_id) } else { Ok(()) }
    }

    /// Skips the jobs of a run that are still open.
    fn jobs_skip(&self, run_id: &RunId) -> StoreResult<()> {
        self.connection.execute(
            "UPDATE jobs SET status = 'skipped'
             WHERE run_id = ? AND status IN ('pending', 'in_progress', 'retry')",
            [&run_id.0],
        )?;
        Ok(())
    }

    /// Opens a run's row.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn run_open(&self, run: &NewRun<'_>) -> StoreResult<()> {
        self.connection.execute(
            "INSERT INTO runs (run_id, command, trigger, started_at, status, host, pid, version)
             VALUES (?, ?, ?, ?, 'running', ?, ?, ?)",
            params![
                run.run_id.0,
                run.command,
                run.trigger,
                run.started_at,
                run.host,
                std::process::id(),
                env!("CARGO_PKG_VERSION"),
            ],
        )?;
        Ok(())
    }

    /// Closes a run's row with its outcome, and adds what it did to the totals; jobs that are still open are
    /// skipped, and a wait that the run's end cut off ends with it.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn run_close(
        &self,
        run_id: &RunId,
        at: i64,
        status: RunStatus,
        totals: &Totals,
        exit_code: u8,
        error: Option<&str>,
    ) -> StoreResult<()> {
        self.jobs_skip(run_id)?;
        let closed = self.connection.execute(
            "UPDATE runs SET completed_at = ?2, status = ?3, exit_code = ?4, error = ?5,
                 symbols_total = ?6, successful = ?7, failed = ?8, deferred = ?9, retried = ?10,
                 skipped = ?11, records_inserted = ?12, records_updated = ?13, requests = ?14,
                 rate_limited = ?15, quota_wait_seconds = min(?16, max(?2 - started_at, 0))
             WHERE run_id = ?1 AND status = 'running'",
            params![
                run_id.0,
                at,
                status.as_str(),
                exit_code,
                error,
                sql_count(totals.symbols_total),
                sql_count(totals.successful),
                sql_count(totals.failed),
                sql_count(totals.deferred),
                sql_count(totals.retried),
                sql_count(totals.skipped),
                sql_count(totals.records_inserted),
                sql_count(totals.records_updated),
                sql_count(totals.requests),
                sql_count(totals.rate_limited),
                sql_count(totals.quota_wait_seconds),
            ],
        )?;
        // Once: a row that is closed stays as it is.
        if closed == 1 { self.totals_add(run_id) } else { Ok(()) }
    }

    /// Opens the jobs of a run, as `pending`, or as `completed` where nothing is due.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn jobs_open<'a>(
        &self,
        run_id: &RunId,
        at: i64,
        jobs: impl Iterator<Item = (&'a Symbol, JobStatus, Option<&'a str>)>,
    ) -> StoreResult<()> {
        let jobs: Vec<_> = jobs.collect();
        let head = "INSERT INTO jobs (run_id, symbol, status, completed_at, last_error) VALUES";
        write_many(self.connection, (head, 5, ""), &jobs, |statement, before, job| {
            let (symbol, status, why) = job;
            let completed_at = (*status != JobStatus::Pending).then_some(at);
            statement.raw_bind_parameter(before + 1, &run_id.0)?;
            statement.raw_bind_parameter(before + 2, symbol.as_str())?;
            statement.raw_bind_parameter(before + 3, status.as_str())?;
            statement.raw_bind_parameter(before + 4, completed_at)?;
            statement.raw_bind_parameter(before + 5, why)
        })
    }

    /// Marks a job as at work since `started_at`.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn job_start(
        &self,
        run_id: &RunId,
        symbol: &Symbol,
        started_at: Option<i64>,
    ) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE jobs SET status = 'in_progress', started_at = ?3
                 WHERE run_id = ?1 AND symbol = ?2",
            )?
            .execute(params![run_id.0, symbol.as_str(), started_at])?;
        Ok(())
    }

    /// Marks a job as one that failed and is tried again in this run.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn job_retry(
        &self,
        run_id: &RunId,
        symbol: &Symbol,
        started_at: Option<i64>,
        error: &str,
    ) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE jobs SET status = 'retry', started_at = ?3, last_error = ?4
                 WHERE run_id = ?1 AND symbol = ?2",
            )?
            .execute(params![run_id.0, symbol.as_str(), started_at, error])?;
        Ok(())
    }

    /// Closes a job with its outcome; `started_at` is `None` where it never was at work.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn job_close(
        &self,
        run_id: &RunId,
        job: &JobOutcome,
        started_at: Option<i64>,
        at: i64,
    ) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE jobs SET status = ?3, completed_at = ?4, retry_count = ?5,
                 records_inserted = ?6, records_updated = ?7, last_error = ?8, started_at = ?9
                 WHERE run_id = ?1 AND symbol = ?2",
            )?
            .execute(params![
                run_id.0,
                job.symbol.as_str(),
                job.status.as_str(),
                at,
                job.retry_count,
                sql_count(job.records_inserted),
                sql_count(job.records_updated),
                job.last_error,
                started_at,
            ])?;
        Ok(())
    }

    /// Logs an attempt and what became of its rows.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn fetch_log_add(
        &self,
        run_id: &RunId,
        attempt: &Attempt,
        counts: &PageCounts,
    ) -> StoreResult<i64> {
        let response_ms = u64::try_from(attempt.response_time.as_millis()).unwrap_or(u64::MAX);
        self.connection
            .prepare_cached(
                "INSERT INTO fetch_log (run_id, symbol, timeframe, provider, started_at, range_from,
                     range_to, attempt, http_status, error_kind, response_time_ms, bytes,
                     records_fetched, records_inserted, records_rejected, records_dropped, success,
                     file, records_updated, records_kept, rejected_for)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                run_id.0,
                attempt.series.symbol.as_str(),
                attempt.word(),
                attempt.provider,
                attempt.started_at,
                attempt.range.start,
                attempt.range.end,
                attempt.number,
                attempt.http_status,
                attempt.fault.as_ref().map(|fault| fault.kind.as_str()),
                sql_count(response_ms),
                sql_count(attempt.bytes),
                sql_count(counts.fetched),
                sql_count(counts.inserted),
                sql_count(counts.rejected),
                sql_count(counts.dropped),
                attempt.fault.is_none(),
                attempt.file.as_deref().map(Path::to_string_lossy),
                sql_count(counts.updated),
                sql_count(counts.kept),
                counts.refused.reasons().next().map(|_| counts.refused.to_string()),
            ])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Adds what became of a part of its rows to what is recorded of a try at a request.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn fetch_log_extend(&self, row: i64, counts: &PageCounts) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE fetch_log SET records_inserted = records_inserted + ?2,
                        records_rejected = records_rejected + ?3,
                        records_dropped = records_dropped + ?4,
                        records_updated = coalesce(records_updated, 0) + ?5
                  WHERE rowid = ?1",
            )?
            .execute(params![
                row,
                sql_count(counts.inserted),
                sql_count(counts.rejected),
                sql_count(counts.dropped),
                sql_count(counts.updated),
            ])?;
        Ok(())
    }

    /// Records anew whether what a request brought was usable: `fault` is why nobody could use it, `None` when
    /// somebody could.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn fetch_log_judge(&self, row: i64, fault: Option<ErrorKind>) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE fetch_log SET error_kind = ?2, success = ?2 IS NULL WHERE rowid = ?1",
            )?
            .execute(params![row, fault.map(ErrorKind::as_str)])?;
        Ok(())
    }

    /// Records what failed for good.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn failure_add(&self, run_id: &RunId, failure: &Failure) -> StoreResult<()> {
        self.connection
            .prepare_cached("INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?
            .execute(params![
                run_id.0,
                failure.series.symbol.as_str(),
                failure.word(),
                failure.stage.as_str(),
                failure.kind.as_str(),
                failure.message,
                failure.attempts,
                failure.at,
            ])?;
        Ok(())
    }

    /// Writes each series' freshness as it stands at `at`, and forgets series no longer tracked. Fastest by
    /// key.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn freshness_set(&self, facts: &[FreshnessFact], at: i64) -> StoreResult<()> {
        // Every row says anew when it was judged: to begin anew is cheaper than to look each up.
        self.connection.execute("DELETE FROM freshness", [])?;
        let head = "INSERT INTO freshness (symbol, timeframe, last_bar_ts, last_computed_at,
                        lag_seconds, status, checked_at) VALUES";
        write_many(self.connection, (head, 7, ""), facts, |statement, before, fact| {
            statement.raw_bind_parameter(before + 1, fact.key.symbol.as_str())?;
            statement.raw_bind_parameter(before + 2, fact.key.timeframe.as_str())?;
            statement.raw_bind_parameter(before + 3, fact.last_bar_ts)?;
            statement.raw_bind_parameter(before + 4, fact.last_computed_at)?;
            statement.raw_bind_parameter(before + 5, fact.lag_seconds)?;
            statement.raw_bind_parameter(before + 6, fact.status.as_str())?;
            statement.raw_bind_parameter(before + 7, at)
        })
    }

    /// Notes the largest lag of a series at a run's end.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn run_lag_set(&self, run_id: &RunId, worst_seconds: Option<i64>) -> StoreResult<()> {
        self.connection.execute(
            "UPDATE runs SET worst_lag_seconds = ?2 WHERE run_id = ?1",
            params![run_id.0, worst_seconds],
        )?;
        Ok(())
    }
}
