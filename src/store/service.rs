//! What service levels are made of: response times, how soon bars came, and who answered nothing.

use rusqlite::{OptionalExtension as _, params};

use crate::domain::fact::{Detected, ProviderRun};
use crate::domain::run::RunId;
use crate::domain::timeframe::DAY;

use super::{Store, StoreResult, count, sum};

/// Pages that begin so long before their run are of the history, not of the tail.
pub(super) const TAIL: i64 = 7 * DAY;

impl Store {
    /// How many new bars at the tails of series have come since `since`, and how many of them within
    /// so many seconds of the beginning of their run.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn detected(&self, since: i64, within_seconds: f64) -> StoreResult<Detected> {
        self.read(|connection| {
            // Sums know whole seconds.
            let whole = within_seconds.fract() == 0.0;
            if whole && sum::are_kept(connection)? {
                return sum::detected(connection, since, within_seconds as i64);
            }
            Ok(connection.query_row(
                "SELECT coalesce(sum(f.records_inserted), 0),
                        coalesce(sum(f.records_inserted) FILTER (
                            WHERE f.started_at - r.started_at + f.response_time_ms / 1000.0 <= ?2), 0)
                   FROM fetch_log AS f JOIN runs AS r USING (run_id)
                  WHERE f.started_at >= ?1 AND f.records_inserted > 0
                    AND f.range_from >= r.started_at - ?3 AND r.command <> 'import'",
                params![since, within_seconds, TAIL],
                |row| Ok(Detected { bars: count(row.get(0)?), in_time: count(row.get(1)?) }),
            )?)
        })
    }

    /// What each provider answered in every run since `since` in which jobs failed; and for each that
    /// answered nothing in one of them, that it answered in the next run in which it did.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn provider_runs(&self, since: i64) -> StoreResult<Vec<ProviderRun>> {
        let mut runs = self.provider_runs_failed(since)?;
        let mut answers: Vec<ProviderRun> = Vec::new();
        for down in runs.iter().filter(|run| run.answered == 0 && run.troubled > 0) {
            let is_known =
                |one: &ProviderRun| one.provider == down.provider && one.run_id > down.run_id;
            if !answers.iter().any(is_known) {
                answers.extend(self.next_answer(down)?);
            }
        }
        runs.append(&mut answers);
        Ok(runs)
    }

    /// The next run in which a provider answered.
    fn next_answer(&self, down: &ProviderRun) -> StoreResult<Option<ProviderRun>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT run_id FROM fetch_log WHERE run_id > ? AND provider = ? AND success = 1
                    AND run_id NOT IN (SELECT run_id FROM runs WHERE command = 'import')
                  ORDER BY run_id LIMIT 1",
            )?;
            let found = statement.query_row(params![down.run_id.0, down.provider], |row| {
                let (run_id, provider) = (RunId(row.get(0)?), down.provider.clone());
                Ok(ProviderRun { run_id, provider, answered: 1, troubled: 0 })
            });
            Ok(found.optional()?)
        })
    }

    fn provider_runs_failed(&self, since: i64) -> StoreResult<Vec<ProviderRun>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "WITH bad AS (SELECT run_id FROM runs
                               WHERE status IN ('failed', 'partial') AND started_at >= ?
                                 AND command <> 'import')
                 SELECT run_id, provider, sum(answered), sum(troubled) FROM (
                     SELECT run_id, provider, sum(success) AS answered, 0 AS troubled
                       FROM fetch_log WHERE run_id IN bad AND http_status IS NOT NULL GROUP BY 1, 2
                     UNION ALL
                     SELECT f.run_id, t.provider, 0, count(*)
                       FROM failures AS f JOIN tracked_symbols AS t USING (symbol)
                      WHERE f.run_id IN bad AND f.stage = 'fetch'
                        AND f.error_kind IN ('network', 'timeout', 'server', 'auth', 'rate_limited',
                                             'malformed', 'circuit_open')
                      GROUP BY 1, 2)
                  GROUP BY 1, 2 ORDER BY 1, 2",
            )?;
            let rows = statement.query_map([since], |row| {
                Ok(ProviderRun {
                    run_id: RunId(row.get(0)?),
                    provider: row.get(1)?,
                    answered: count(row.get(2)?),
                    troubled: count(row.get(3)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
