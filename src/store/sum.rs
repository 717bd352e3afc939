//! What runs that have ended came to, summed up: a month of them is told without reading every request.
//!
//! A run's sums stand beside its rows of `fetch_log` and never instead of them: whoever asks from an instant on
//! takes the sums of the runs that began then or later, and reads the rows of the others.

use rusqlite::{Connection, params};

use crate::domain::fact::{Detected, FetchFacts};
use crate::domain::run::RunId;

use super::service::TAIL;
use super::{StoreResult, Writer, count};

/// The runs whose sums are part of an answer from `?1` on.
const SUMMED: &str = "SELECT run_id FROM runs WHERE summed = 1 AND started_at >= ?1";

/// The runs whose rows are to be read for it, be they on record or not: one after the other, each by a look
/// into the index. Of a summed one that had ended before then no request is meant.
const OTHERS: &str = "WITH RECURSIVE logged (run_id) AS (
         SELECT min(run_id) FROM fetch_log
          UNION ALL
         SELECT (SELECT min(f.run_id) FROM fetch_log AS f WHERE f.run_id > logged.run_id)
           FROM logged WHERE run_id IS NOT NULL),
     others (run_id) AS MATERIALIZED (
         SELECT l.run_id FROM logged AS l LEFT JOIN runs AS r USING (run_id)
          WHERE l.run_id IS NOT NULL
            AND (coalesce(r.summed, 0) = 0
                 OR (r.started_at < ?1 AND coalesce(r.completed_at, ?1) >= ?1)))";

impl Writer<'_> {
    /// Sums up a run that has ended, over what it was summed up to before.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub(super) fn sums_add(&self, run_id: &RunId) -> StoreResult<()> {
        // Of a run whose row was opened again by hand there are some already.
        for table in ["run_requests", "run_tails"] {
            let sql = format!("DELETE FROM {table} WHERE run_id = ?");
            self.connection.execute(&sql, [&run_id.0])?;
        }
        let requests = "INSERT INTO run_requests
             SELECT run_id, response_time_ms, count(*), sum(success),
                    coalesce(sum(error_kind = 'rate_limited'), 0), sum(attempt > 1), sum(bytes)
               FROM fetch_log
              WHERE run_id = ?1 AND (http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL
              GROUP BY 2";
        self.connection.execute(requests, [&run_id.0])?;
        let tails = "INSERT INTO run_tails
             SELECT f.run_id, f.started_at - r.started_at + (f.response_time_ms + 999) / 1000,
                    sum(f.records_inserted)
               FROM runs AS r CROSS JOIN fetch_log AS f ON f.run_id = r.run_id
              WHERE r.run_id = ?1 AND f.records_inserted > 0 AND f.range_from >= r.started_at - ?2
              GROUP BY 2";
        self.connection.execute(tails, params![run_id.0, TAIL])?;
        self.connection.execute("UPDATE runs SET summed = 1 WHERE run_id = ?", [&run_id.0])?;
        Ok(())
    }
}

/// Whether there are sums at all: a database of an older schema has none.
pub(super) fn are_kept(connection: &Connection) -> StoreResult<bool> {
    Ok(connection.column_exists(None, "runs", "summed")?)
}

/// What the requests since `since` came to.
pub(super) fn fetch_facts(connection: &Connection, since: i64) -> StoreResult<FetchFacts> {
    let mut statement = connection.prepare_cached(&format!(
        "{OTHERS}
         SELECT response_time_ms, requests, successful, rate_limited, retries, bytes
           FROM run_requests WHERE run_id IN ({SUMMED})
          UNION ALL
         SELECT response_time_ms, 1, success, error_kind IS 'rate_limited', attempt > 1, bytes
           FROM others AS o CROSS JOIN fetch_log AS f ON f.run_id = o.run_id
          WHERE f.started_at >= ?1 AND (http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL"
    ))?;
    let mut rows = statement.query([since])?;
    let mut facts = FetchFacts::default();
    while let Some(row) = rows.next()? {
        let requests = count(row.get(1)?);
        facts.total += requests;
        *facts.times_ms.entry(count(row.get(0)?)).or_default() += requests;
        facts.successful += count(row.get(2)?);
        facts.rate_limited += count(row.get(3)?);
        facts.retries += count(row.get(4)?);
        facts.bytes += count(row.get(5)?);
    }
    Ok(facts)
}

/// The new bars at the tails of series since `since`, and those of them that came within so many whole seconds.
pub(super) fn detected(connection: &Connection, since: i64, within: i64) -> StoreResult<Detected> {
    let mut statement = connection.prepare_cached(&format!(
        "{OTHERS}
         SELECT coalesce(sum(bars), 0), coalesce(sum(bars) FILTER (WHERE after_seconds <= ?2), 0) FROM (
             SELECT bars, after_seconds FROM run_tails JOIN runs AS r USING (run_id)
              WHERE run_id IN ({SUMMED}) AND r.command <> 'import'
              UNION ALL
             SELECT f.records_inserted, f.started_at - r.started_at + (f.response_time_ms + 999) / 1000
               FROM others AS o JOIN runs AS r USING (run_id)
                    CROSS JOIN fetch_log AS f ON f.run_id = o.run_id
              WHERE f.started_at >= ?1 AND f.records_inserted > 0
                AND f.range_from >= r.started_at - ?3 AND r.command <> 'import')"
    ))?;
    Ok(statement.query_row(params![since, within, TAIL], |row| {
        Ok(Detected { bars: count(row.get(0)?), in_time: count(row.get(1)?) })
    })?)
}
