//! The read-only questions that reports ask.

use rusqlite::{Connection, Row, ToSql, params};
use ulid::Ulid;

use crate::domain::fact::{FailureFact, FetchFacts, JobFact, RequestCount, RunFact};
use crate::domain::import::ImportFact;
use crate::domain::run::{RunId, RunStatus, Totals};
use crate::domain::series::{SeriesKey, Symbol};

use super::run::{JOBS_STORED, LOG_STORED};
use super::traffic::is_request;
use super::{Store, StoreResult, count, sql_count, sum, text, word};

/// The columns of a run; in a database of an older schema it waited for no quota, and nobody noted the lag.
fn run_columns(connection: &Connection) -> StoreResult<String> {
    let known = connection.column_exists(None, "runs", "quota_wait_seconds")?;
    let (quota_wait, lag) =
        if known { ("quota_wait_seconds", "worst_lag_seconds") } else { ("0", "NULL") };
    Ok(format!(
        "run_id, command, trigger, status, started_at, completed_at, symbols_total, successful, failed,
         deferred, retried, skipped, records_inserted, records_updated, requests, rate_limited,
         exit_code, error, {quota_wait}, {lag}"
    ))
}

impl Store {
    /// The newest runs, newest first: at most `limit`, since `since`, of that command and status.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn runs_last(
        &self,
        limit: u64,
        since: Option<i64>,
        command: Option<&str>,
        status: Option<RunStatus>,
    ) -> StoreResult<Vec<RunFact>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {} FROM runs
                 WHERE run_id >= ?5 AND (?1 IS NULL OR started_at >= ?1)
                   AND (?2 IS NULL OR command = ?2) AND (?3 IS NULL OR status = ?3)
                 ORDER BY run_id DESC LIMIT ?4",
                run_columns(connection)?
            ))?;
            let status = status.map(RunStatus::as_str);
            let first = since.map_or_else(String::new, first_id_since);
            let row = params![since, command, status, sql_count(limit), first];
            let mut rows = statement.query(row)?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                runs.push(run_of(connection, row)?);
            }
            Ok(runs)
        })
    }

    /// The newest run before `before` that stored what it could: not failed, crashed, stopped or skipped, and
    /// no import.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn run_good_before(&self, before: i64) -> StoreResult<Option<RunFact>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {} FROM runs WHERE started_at < ? AND status IN ('succeeded', 'deferred', 'partial')
                   AND command <> 'import'
                 ORDER BY run_id DESC LIMIT 1",
                run_columns(connection)?
            ))?;
            let mut rows = statement.query([before])?;
            rows.next()?.map(|row| run_of(connection, row)).transpose()
        })
    }

    /// The newest run that succeeded and began at `until` or before, imports left out.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn run_last_succeeded(&self, until: i64) -> StoreResult<Option<RunFact>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {} FROM runs WHERE status = 'succeeded' AND command <> 'import'
                   AND started_at <= ?1
                 ORDER BY run_id DESC LIMIT 1",
                run_columns(connection)?
            ))?;
            let mut rows = statement.query([until])?;
            rows.next()?.map(|row| run_of(connection, row)).transpose()
        })
    }

    /// The run that wrote down the last request, whenever it says that it began.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn run_last_to_ask(&self) -> StoreResult<Option<RunFact>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {} FROM runs
                 WHERE run_id = (SELECT run_id FROM fetch_log ORDER BY rowid DESC LIMIT 1)",
                run_columns(connection)?
            ))?;
            let mut rows = statement.query([])?;
            rows.next()?.map(|row| run_of(connection, row)).transpose()
        })
    }

    /// The runs whose id begins with `prefix`; two at most, enough to tell whether it is unique.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn runs_by_prefix(&self, prefix: &str) -> StoreResult<Vec<RunFact>> {
        self.read(|connection| {
            let prefix = prefix.to_ascii_uppercase();
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {} FROM runs WHERE run_id >= ?1 AND substr(run_id, 1, length(?1)) = ?1
                 ORDER BY run_id LIMIT 2",
                run_columns(connection)?
            ))?;
            let mut rows = statement.query([prefix])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                runs.push(run_of(connection, row)?);
            }
            Ok(runs)
        })
    }

    /// The jobs of a run, unfinished ones first, then the failed, then by symbol.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn jobs_of(&self, run_id: &RunId) -> StoreResult<Vec<JobFact>> {
        self.read(|connection| {
            let sql = format!("SELECT {JOB_COLUMNS} FROM jobs WHERE run_id = ? {JOB_ORDER}");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([&run_id.0])?;
            let mut jobs = Vec::new();
            while let Some(row) = rows.next()? {
                jobs.push(job_of(row)?);
            }
            Ok(jobs)
        })
    }

    /// The first `most` of a run's jobs, in the same order, that did or lacked something, and how many there
    /// are.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn busy_jobs_of(&self, run_id: &RunId, most: usize) -> StoreResult<(Vec<JobFact>, u64)> {
        const BUSY: &str = "FROM jobs WHERE run_id = ?
              AND (status <> 'completed' OR records_inserted > 0 OR records_updated > 0)";
        self.read(|connection| {
            let sql = format!("SELECT {JOB_COLUMNS} {BUSY} {JOB_ORDER} LIMIT ?");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![run_id.0, sql_count(most as u64)])?;
            let mut jobs = Vec::new();
            while let Some(row) = rows.next()? {
                jobs.push(job_of(row)?);
            }
            let sql = format!("SELECT count(*) {BUSY}");
            let all = connection.query_row(&sql, [&run_id.0], |row| row.get(0))?;
            Ok((jobs, count(all)))
        })
    }

    /// The newest job of `symbol`, and the newest one of it that was completed; imports have no say.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn jobs_last(&self, symbol: &Symbol) -> StoreResult<(Option<JobFact>, Option<JobFact>)> {
        self.read(|connection| {
            let one = |only: Option<&str>| -> StoreResult<Option<JobFact>> {
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT {JOB_COLUMNS} FROM jobs WHERE symbol = ?1 AND (?2 IS NULL OR status = ?2)
                        AND run_id NOT IN (SELECT run_id FROM runs WHERE command = 'import')
                      ORDER BY run_id DESC LIMIT 1"
                ))?;
                let mut rows = statement.query(params![symbol.as_str(), only])?;
                rows.next()?.map(job_of).transpose()
            };
            Ok((one(None)?, one(Some("completed"))?))
        })
    }

    /// The failures of a run, the newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn failures_of(&self, run_id: &RunId, limit: u64) -> StoreResult<Vec<FailureFact>> {
        self.failures("run_id = ?1", params![run_id.0, sql_count(limit)])
    }

    /// The failures since `since` of all runs but imports, the newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn failures_since(&self, since: i64, limit: u64) -> StoreResult<Vec<FailureFact>> {
        const BY_RUNS: &str =
            "at >= ?1 AND run_id NOT IN (SELECT run_id FROM runs WHERE command = 'import')";
        self.failures(BY_RUNS, params![since, sql_count(limit)])
    }

    /// The failures that `which` holds for, the newest first; its parameter, and how many they are at most.
    fn failures(&self, which: &str, parameters: &[&dyn ToSql]) -> StoreResult<Vec<FailureFact>> {
        self.read(|connection| {
            let sql = format!(
                "SELECT run_id, symbol, timeframe, stage, error_kind, message, attempts, at FROM failures
                 WHERE {which} ORDER BY at DESC, symbol, timeframe LIMIT ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(parameters)?;
            let mut failures = Vec::new();
            while let Some(row) = rows.next()? {
                failures.push(failure_of(row)?);
            }
            Ok(failures)
        })
    }

    /// What a run brought from each file that it imported, in the order in which they came; nothing in a
    /// database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn imports_of(&self, run_id: &RunId) -> StoreResult<Vec<ImportFact>> {
        self.read(|connection| {
            if !connection.column_exists(None, "fetch_log", "file")? {
                return Ok(Vec::new());
            }
            let mut statement = connection.prepare_cached(
                "SELECT file, symbol, timeframe, min(range_from) FILTER (WHERE range_to > range_from),
                        max(range_to) FILTER (WHERE range_to > range_from) - 1,
                        sum(records_fetched), sum(records_inserted), sum(coalesce(records_updated, 0)),
                        sum(records_kept), sum(records_rejected), sum(records_dropped),
                        group_concat(rejected_for, ', ')
                   FROM fetch_log WHERE run_id = ? AND file IS NOT NULL
                  GROUP BY 1, 2, 3 ORDER BY min(rowid)",
            )?;
            let mut rows = statement.query([&run_id.0])?;
            let mut imports = Vec::new();
            while let Some(row) = rows.next()? {
                let (symbol, timeframe): (String, String) = (row.get(1)?, row.get(2)?);
                imports.push(ImportFact {
                    file: row.get(0)?,
                    key: SeriesKey { symbol: word(&symbol)?, timeframe: word(&timeframe)? },
                    first_ts: row.get(3)?,
                    last_ts: row.get(4)?,
                    rows: count(row.get(5)?),
                    inserted: count(row.get(6)?),
                    updated: count(row.get(7)?),
                    kept: count(row.get(8)?),
                    rejected: count(row.get(9)?),
                    dropped: count(row.get(10)?),
                    refused: word(&row.get::<_, Option<String>>(11)?.unwrap_or_default())?,
                });
            }
            Ok(imports)
        })
    }

    /// Requests of a run by provider and outcome; files read are none.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn requests_of(&self, run_id: &RunId) -> StoreResult<Vec<RequestCount>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT provider, coalesce(error_kind, 'ok'), count(*) FROM fetch_log
                  WHERE run_id = ? AND {} GROUP BY 1, 2 ORDER BY 1, 3 DESC",
                is_request(connection)?
            ))?;
            let rows = statement.query_map([&run_id.0], |row| {
                Ok(RequestCount {
                    provider: row.get(0)?,
                    outcome: row.get(1)?,
                    count: count(row.get(2)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// What the requests since `since` came to; files read are none.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn fetch_facts(&self, since: i64) -> StoreResult<FetchFacts> {
        self.read(|connection| {
            if sum::are_kept(connection)? {
                return sum::fetch_facts(connection, since);
            }
            // Told apart by nothing but how long they took, a million of them are a few thousand rows here.
            let mut statement = connection.prepare_cached(&format!(
                "SELECT response_time_ms, success, error_kind = 'rate_limited', attempt > 1, bytes
                   FROM fetch_log WHERE started_at >= ? AND {}",
                is_request(connection)?
            ))?;
            let mut rows = statement.query([since])?;
            let mut facts = FetchFacts::default();
            while let Some(row) = rows.next()? {
                facts.total += 1;
                *facts.times_ms.entry(count(row.get(0)?)).or_default() += 1;
                facts.successful += count(row.get(1)?);
                facts.rate_limited += u64::from(row.get::<_, Option<bool>>(2)?.unwrap_or(false));
                facts.retries += count(row.get(3)?);
                facts.bytes += count(row.get(4)?);
            }
            Ok(facts)
        })
    }
}

/// An id that no run that began at `since` or later is before. A run's id is made a moment before it
/// begins.
fn first_id_since(since: i64) -> String {
    let millis = u64::try_from(since.saturating_sub(60).saturating_mul(1_000)).unwrap_or(0);
    Ulid::from_parts(millis, 0).to_string()
}

fn run_of(connection: &Connection, row: &Row<'_>) -> StoreResult<RunFact> {
    let run_id = RunId(row.get(0)?);
    let status = word(text(row, 3)?)?;
    // It says so itself once it has ended.
    let totals = match status {
        RunStatus::Running => totals_so_far(connection, &run_id)?,
        _ => totals_of(row)?,
    };
    Ok(RunFact {
        run_id,
        command: row.get(1)?,
        trigger: row.get(2)?,
        status,
        started_at: row.get(4)?,
        completed_at: row.get(5)?,
        totals,
        exit_code: row.get(16)?,
        error: row.get(17)?,
        worst_lag_seconds: row.get(19)?,
    })
}

fn totals_of(row: &Row<'_>) -> rusqlite::Result<Totals> {
    let total = |column| row.get(column).map(count);
    Ok(Totals {
        symbols_total: total(6)?,
        successful: total(7)?,
        failed: total(8)?,
        deferred: total(9)?,
        retried: total(10)?,
        skipped: total(11)?,
        records_inserted: total(12)?,
        records_updated: total(13)?,
        requests: total(14)?,
        rate_limited: total(15)?,
        quota_wait_seconds: total(18)?,
    })
}

/// What a run that has not ended has done so far; nothing is known of it in a database of an older schema.
fn totals_so_far(connection: &Connection, run_id: &RunId) -> StoreResult<Totals> {
    if !connection.column_exists(None, "fetch_log", "records_updated")? {
        return Ok(Totals::default());
    }
    let sql = format!(
        "SELECT * FROM ({JOBS_STORED} WHERE run_id = ?1), ({LOG_STORED} WHERE run_id = ?1)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([&run_id.0], |row| {
        let total = |column| row.get(column).map(count);
        Ok(Totals {
            symbols_total: total(0)?,
            successful: total(1)?,
            failed: total(2)?,
            deferred: total(3)?,
            skipped: total(4)?,
            requests: total(5)?,
            rate_limited: total(6)?,
            retried: total(7)?,
            records_inserted: total(8)?,
            records_updated: total(9)?,
            quota_wait_seconds: 0,
        })
    })?)
}

/// What [`job_of`] reads.
const JOB_COLUMNS: &str = "run_id, symbol, status, retry_count, started_at, completed_at,
    records_inserted, records_updated, last_error";

/// Unfinished ones first, then the failed, then by symbol.
const JOB_ORDER: &str =
    "ORDER BY CASE status WHEN 'in_progress' THEN 0 WHEN 'retry' THEN 1 WHEN 'pending' THEN 2
              WHEN 'failed' THEN 3 WHEN 'deferred' THEN 4 WHEN 'skipped' THEN 5 ELSE 6 END, symbol";

fn job_of(row: &Row<'_>) -> StoreResult<JobFact> {
    Ok(JobFact {
        run_id: RunId(row.get(0)?),
        symbol: word(text(row, 1)?)?,
        status: word(text(row, 2)?)?,
        retry_count: row.get(3)?,
        started_at: row.get(4)?,
        completed_at: row.get(5)?,
        records_inserted: count(row.get(6)?),
        records_updated: count(row.get(7)?),
        last_error: row.get(8)?,
    })
}

fn failure_of(row: &Row<'_>) -> StoreResult<FailureFact> {
    Ok(FailureFact {
        run_id: RunId(row.get(0)?),
        symbol: word(text(row, 1)?)?,
        timeframe: row.get(2)?,
        stage: word(text(row, 3)?)?,
        kind: word(text(row, 4)?)?,
        message: row.get(5)?,
        attempts: row.get(6)?,
        at: row.get(7)?,
    })
}
