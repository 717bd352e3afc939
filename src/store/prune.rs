//! Old rows go: the log of requests, computations and failures, and the runs with their jobs and what they
//! noted of revised bars and of quality. Totals, and who did what by hand, stay. Old bars go where the config
//! says so, with all that hangs on them.

use rusqlite::config::DbConfig;
use rusqlite::{OptionalExtension as _, params};

use super::{StoreResult, Writer, sql_count};

/// What is kept only for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// Requests.
    FetchLog,
    /// Computations of features.
    ComputeLog,
    /// Failures.
    Failures,
    /// What bars were before a run changed them.
    Revisions,
    /// Daily figures of quality.
    QualityMetrics,
    /// Jobs of runs.
    Jobs,
    /// Runs.
    Runs,
}

/// Rows that go in one transaction, at most: whoever wants to write waits no longer than that takes.
const SLICE: i64 = 20_000;

/// The runs that are too old. The newest run and the newest good one stay, however old: by them it is told
/// how things stand. An import is neither: it says nothing of whether the schedule is kept.
const OLD_RUNS: &str = "SELECT run_id FROM runs WHERE started_at < ?1 AND status <> 'running'
        AND run_id IS NOT (SELECT max(run_id) FROM runs WHERE command <> 'import')
        AND run_id IS NOT (SELECT max(run_id) FROM runs WHERE command <> 'import' AND status = 'succeeded')";

impl Pruned {
    /// All of them, in the order in which they go: what names runs before the runs.
    pub const ALL: [Self; 7] = [
        Self::FetchLog,
        Self::ComputeLog,
        Self::Failures,
        Self::Revisions,
        Self::QualityMetrics,
        Self::Jobs,
        Self::Runs,
    ];

    /// The table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::FetchLog => "fetch_log",
            Self::ComputeLog => "compute_log",
            Self::Failures => "failures",
            Self::Revisions => "revisions",
            Self::QualityMetrics => "quality_metrics",
            Self::Jobs => "jobs",
            Self::Runs => "runs",
        }
    }

    /// Whether it is kept as long as runs are, and not as long as logs.
    #[must_use]
    pub const fn is_of_runs(self) -> bool {
        matches!(self, Self::Revisions | Self::QualityMetrics | Self::Jobs | Self::Runs)
    }

    /// Deletes rows from before `?1`, `?2` at most.
    fn sql(self) -> String {
        let table = self.table();
        let (key, old) = match self {
            Self::FetchLog => ("rowid", "SELECT rowid FROM fetch_log WHERE started_at < ?1".into()),
            Self::ComputeLog | Self::Failures | Self::Revisions => {
                ("rowid", format!("SELECT rowid FROM {table} WHERE at < ?1"))
            }
            Self::QualityMetrics => (
                "(symbol, timeframe, metric_date)",
                "SELECT symbol, timeframe, metric_date FROM quality_metrics
                  WHERE metric_date < date(?1, 'unixepoch')"
                    .into(),
            ),
            Self::Jobs => (
                "(run_id, symbol)",
                format!("SELECT run_id, symbol FROM jobs WHERE run_id IN ({OLD_RUNS})"),
            ),
            Self::Runs => ("run_id", OLD_RUNS.into()),
        };
        format!("DELETE FROM {table} WHERE {key} IN ({old} LIMIT ?2)")
    }
}

impl Writer<'_> {
    /// Deletes a slice of what is older than `before`; tells how many rows. None is left when it is 0.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn prune(&self, what: Pruned, before: i64) -> StoreResult<u64> {
        let mut statement = self.connection.prepare_cached(&what.sql())?;
        Ok(statement.execute(params![before, SLICE])? as u64)
    }

    /// Forgets what was asked for and answered before `ts`, and what was missing there: whoever deletes the
    /// bars before it says first that nobody misses them.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn coverage_begin(&self, series_id: i64, ts: i64) -> StoreResult<()> {
        for sql in [
            "DELETE FROM coverage WHERE series_id = ?1 AND to_ts <= ?2",
            "UPDATE coverage SET from_ts = ?2 WHERE series_id = ?1 AND from_ts < ?2",
            "DELETE FROM gaps WHERE series_id = ?1 AND to_ts <= ?2",
        ] {
            self.connection.prepare_cached(sql)?.execute([series_id, ts])?;
        }
        Ok(())
    }

    /// The first `ts` after a slice of the bars of a series, the oldest first; `None` when there are no more
    /// of them before `ts`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_slice_end(&self, series_id: i64, ts: i64) -> StoreResult<Option<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT ts FROM bars WHERE series_id = ? AND ts < ? ORDER BY ts LIMIT 1 OFFSET ?",
        )?;
        Ok(statement.query_row([series_id, ts, SLICE], |row| row.get(0)).optional()?)
    }

    /// Deletes the bars of a series before `end`, with their anomalies, refused rows and revisions, and the
    /// features before `features`, some of whose bars stay; tells how many bars. Not as if somebody had
    /// deleted them by hand: they are not missed.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn bars_prune(&self, series_id: i64, end: i64, features: i64) -> StoreResult<u64> {
        // By the trigger they would be missed, and what was made of later ones would go.
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        let bars = self.delete_before("bars", series_id, end);
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
        let bars = bars?;
        self.delete_before("features", series_id, features)?;
        for table in ["anomalies", "revisions", "rejected_bars"] {
            self.delete_before(table, series_id, end)?;
        }
        self.connection
            .prepare_cached(
                "UPDATE series SET bar_count = bar_count - ?3,
                     first_ts = (SELECT min(ts) FROM bars WHERE bars.series_id = ?1),
                     quality_from = max(quality_from, ?2), restated_to = iif(restated_to <= ?2, NULL, restated_to)
                  WHERE series_id = ?1",
            )?
            .execute(params![series_id, end, sql_count(bars)])?;
        Ok(bars)
    }

    fn delete_before(&self, table: &str, series_id: i64, ts: i64) -> StoreResult<u64> {
        let sql = format!("DELETE FROM {table} WHERE series_id = ? AND ts < ?");
        Ok(self.connection.prepare_cached(&sql)?.execute([series_id, ts])? as u64)
    }
}
