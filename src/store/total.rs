//! Totals that only ever grow: each run's share is added once, with the word that it has ended.

use rusqlite::{Connection, params};

use crate::domain::fact::RequestCount;
use crate::domain::run::RunId;
use crate::domain::total::{GrandTotals, RunCount, TimeBucket, Traffic};

use super::{Store, StoreResult, Writer, count, text, word};

/// What a run adds. Requests are counted as everywhere: files that are read are none.
const SHARES: [&str; 4] = [
    "INSERT INTO request_totals
     SELECT provider, coalesce(error_kind, 'ok'), count(*), sum(attempt > 1), sum(bytes)
       FROM fetch_log
      WHERE run_id = ?1 AND (http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL
      GROUP BY 1, 2
         ON CONFLICT (provider, outcome) DO UPDATE SET requests = requests + excluded.requests,
            retries = retries + excluded.retries, bytes = bytes + excluded.bytes",
    "INSERT INTO response_totals
     SELECT provider,
            (SELECT min(up_to_ms) FROM response_bounds WHERE up_to_ms >= response_time_ms),
            count(*), sum(response_time_ms)
       FROM fetch_log
      WHERE run_id = ?1 AND (http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL
      GROUP BY 1, 2
         ON CONFLICT (provider, up_to_ms) DO UPDATE SET requests = requests + excluded.requests,
            response_time_ms = response_time_ms + excluded.response_time_ms",
    "INSERT INTO run_totals
     SELECT command, status, 1, records_inserted, records_updated FROM runs WHERE run_id = ?1
         ON CONFLICT (command, status) DO UPDATE SET runs = runs + 1,
            bars_inserted = bars_inserted + excluded.bars_inserted,
            bars_updated = bars_updated + excluded.bars_updated",
    "INSERT INTO compute_totals
     SELECT success, count(*), sum(computation_time_ms) FROM compute_log WHERE run_id = ?1 GROUP BY 1
         ON CONFLICT (success) DO UPDATE SET computations = computations + excluded.computations,
            computation_time_ms = computation_time_ms + excluded.computation_time_ms",
];

impl Writer<'_> {
    /// Adds what a run did to the totals, and sums it up. Whoever takes it from `running` to what it ended as does so, in
    /// the same transaction: then it happens once.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub(super) fn totals_add(&self, run_id: &RunId) -> StoreResult<()> {
        for share in SHARES {
            self.connection.execute(share, [&run_id.0])?;
        }
        self.sums_add(run_id)
    }
}

impl Store {
    /// The totals; `None` in a database of an older schema, which keeps none.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn totals(&self) -> StoreResult<Option<GrandTotals>> {
        self.read(|connection| {
            let there = connection.table_exists(None, "run_totals")?;
            there.then(|| totals(connection)).transpose()
        })
    }
}

fn totals(connection: &Connection) -> StoreResult<GrandTotals> {
    let mut totals = GrandTotals { requests: requests(connection)?, ..GrandTotals::default() };
    totals.traffic = traffic(connection)?;
    let mut statement = connection.prepare(
        "SELECT command, status, runs, bars_inserted, bars_updated FROM run_totals ORDER BY 1, 2",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let status = word(text(row, 1)?)?;
        totals.runs.push(RunCount { command: row.get(0)?, status, count: count(row.get(2)?) });
        totals.bars_inserted += count(row.get(3)?);
        totals.bars_updated += count(row.get(4)?);
    }
    let mut statement = connection
        .prepare("SELECT success, computations, computation_time_ms FROM compute_totals")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let went_well: bool = row.get(0)?;
        let kind = if went_well { &mut totals.computed } else { &mut totals.not_computed };
        *kind = count(row.get(1)?);
        totals.computation_time_ms += row.get::<_, f64>(2)?;
    }
    Ok(totals)
}

fn requests(connection: &Connection) -> StoreResult<Vec<RequestCount>> {
    let mut statement = connection
        .prepare("SELECT provider, outcome, requests FROM request_totals ORDER BY 1, 2")?;
    let rows = statement.query_map([], |row| {
        Ok(RequestCount { provider: row.get(0)?, outcome: row.get(1)?, count: count(row.get(2)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn traffic(connection: &Connection) -> StoreResult<Vec<Traffic>> {
    let mut statement = connection.prepare(
        "SELECT provider, sum(retries), sum(bytes) FROM request_totals GROUP BY 1 ORDER BY 1",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Traffic {
            provider: row.get(0)?,
            retries: count(row.get(1)?),
            bytes: count(row.get(2)?),
            ..Traffic::default()
        })
    })?;
    let mut all: Vec<Traffic> = rows.collect::<Result<_, _>>()?;
    let mut statement = connection.prepare(
        "SELECT up_to_ms, coalesce(requests, 0), coalesce(response_time_ms, 0)
           FROM response_bounds LEFT JOIN
                (SELECT * FROM response_totals WHERE provider = ?) USING (up_to_ms)
          ORDER BY up_to_ms",
    )?;
    for traffic in &mut all {
        let mut rows = statement.query(params![traffic.provider])?;
        while let Some(row) = rows.next()? {
            let bound: i64 = row.get(0)?;
            let up_to_ms = (bound < i64::MAX).then(|| count(bound));
            traffic.times.push(TimeBucket { up_to_ms, requests: count(row.get(1)?) });
            traffic.response_time_ms += count(row.get(2)?);
        }
    }
    Ok(all)
}
