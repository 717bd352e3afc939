//! Features: the rows, what recursive ones remember, and the log of their computing.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::domain::bar::Bar;
use crate::domain::fact::ComputeFacts;
use crate::domain::feature::{COUNT, FeatureSet, NAMES, Row};
use crate::domain::range::TimeRange;
use crate::domain::run::{ComputeFact, RunId};

use super::bar::bar_of;
use super::{Store, StoreResult, Writer, count, sql_count};

/// Rows a statement when many come at once.
const ROWS: usize = 100;
const COLUMNS: usize = COUNT + 2;

/// Columns of a bar, where one is read together with its features.
const BAR_COLUMNS: usize = 8;

/// Rows read at once.
const SLICE: u64 = 10_000;

/// States that are kept of a series' end: a bar that changes within so many runs is computed from there.
const STATES: i64 = 4;

/// What computing starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// The bar that it is the state after.
    pub ts: i64,
    /// Its bytes.
    pub state: Vec<u8>,
}

impl Writer<'_> {
    /// Stores the features of `set` in those rows, which ascend, and of which none is stored.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn features_put(&self, series_id: i64, rows: &[Row], set: FeatureSet) -> StoreResult<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut many = rows.chunks_exact(ROWS);
        if rows.len() >= ROWS {
            let mut statement = self.connection.prepare_cached(&insert(ROWS))?;
            for chunk in many.by_ref() {
                for (index, row) in chunk.iter().enumerate() {
                    bind(&mut statement, index * COLUMNS, series_id, row, set)?;
                }
                statement.raw_execute()?;
            }
        }
        let mut statement = self.connection.prepare_cached(&insert(1))?;
        for row in many.remainder() {
            bind(&mut statement, 0, series_id, row, set)?;
            statement.raw_execute()?;
        }
        Ok(())
    }

    /// Forgets the features of the bars from `ts` on.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn features_drop(&self, series_id: i64, ts: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached("DELETE FROM features WHERE series_id = ? AND ts >= ?")?
            .execute(params![series_id, ts])?;
        Ok(())
    }

    /// Forgets every feature of a series, and what they remember.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn features_clear(&self, series_id: i64) -> StoreResult<()> {
        self.features_drop(series_id, i64::MIN)?;
        self.feature_states_drop(series_id, i64::MIN)
    }

    /// The last state before the bar of `ts`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn feature_state_before(&self, series_id: i64, ts: i64) -> StoreResult<Option<StateRow>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT ts, state FROM feature_state WHERE series_id = ? AND ts < ?
              ORDER BY ts DESC LIMIT 1",
        )?;
        let mut rows = statement.query(params![series_id, ts])?;
        let row = rows.next()?;
        Ok(row
            .map(|row| Ok::<_, rusqlite::Error>(StateRow { ts: row.get(0)?, state: row.get(1)? }))
            .transpose()?)
    }

    /// Forgets the states from the bar of `ts` on.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn feature_states_drop(&self, series_id: i64, ts: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached("DELETE FROM feature_state WHERE series_id = ? AND ts >= ?")?
            .execute(params![series_id, ts])?;
        Ok(())
    }

    /// Keeps the state after the bar of `ts`, which is that of so many bars. Of the others the last ones
    /// are kept, those of every `step` bars, and the first one, which may stand for bars that were deleted.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn feature_state_put(
        &self,
        series_id: i64,
        ts: i64,
        (bars, step): (u64, u64),
        state: &[u8],
    ) -> StoreResult<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO feature_state VALUES (?, ?, ?, ?)")?
            .execute(params![series_id, ts, sql_count(bars), state])?;
        self.connection
            .prepare_cached(
                "DELETE FROM feature_state WHERE series_id = ?1 AND bars % ?2 <> 0 AND ts <
                 (SELECT ts FROM feature_state WHERE series_id = ?1 ORDER BY ts DESC LIMIT 1 OFFSET ?3)
                 AND ts > (SELECT min(ts) FROM feature_state WHERE series_id = ?1)",
            )?
            .execute(params![series_id, sql_count(step), STATES - 1])?;
        Ok(())
    }

    /// The state that stands for bars that were deleted, if there is one, and it is that after the bar of
    /// `ts` or a later one.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn feature_base(&self, series_id: i64, ts: i64) -> StoreResult<Option<StateRow>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT ts, state FROM
                 (SELECT ts, bars, state FROM feature_state WHERE series_id = ?1 ORDER BY ts LIMIT 1) AS f
              WHERE f.ts >= ?2
                AND f.bars > (SELECT count(*) FROM bars WHERE series_id = ?1 AND bars.ts <= f.ts)",
        )?;
        let row = statement.query_row(params![series_id, ts], |row| {
            Ok(StateRow { ts: row.get(0)?, state: row.get(1)? })
        });
        Ok(row.optional()?)
    }

    /// Makes the state after the bar of `ts` the first one that is kept: it stands for all bars up to there.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn feature_base_put(
        &self,
        series_id: i64,
        ts: i64,
        bars: u64,
        state: &[u8],
    ) -> StoreResult<()> {
        self.connection
            .prepare_cached("DELETE FROM feature_state WHERE series_id = ? AND ts <= ?")?
            .execute(params![series_id, ts])?;
        self.connection
            .prepare_cached("INSERT INTO feature_state VALUES (?, ?, ?, ?)")?
            .execute(params![series_id, ts, sql_count(bars), state])?;
        Ok(())
    }

    /// Logs the computing of a series' features.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn compute_log_add(&self, run: &RunId, fact: &ComputeFact) -> StoreResult<()> {
        self.connection
            .prepare_cached("INSERT INTO compute_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?
            .execute(params![
                run.0,
                fact.series.symbol.as_str(),
                fact.series.timeframe.as_str(),
                sql_count(fact.features),
                sql_count(fact.rows),
                fact.took.as_secs_f64() * 1e3,
                fact.error.is_none(),
                fact.error,
                fact.at
            ])?;
        Ok(())
    }
}

impl Store {
    /// What computing came to since `since`; nothing in a database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn compute_facts(&self, since: i64) -> StoreResult<ComputeFacts> {
        self.read(|connection| {
            if !connection.table_exists(None, "compute_log")? {
                return Ok(ComputeFacts::default());
            }
            let sql = "SELECT count(*), coalesce(sum(success), 0), avg(computation_time_ms)
                         FROM compute_log WHERE at >= ?";
            Ok(connection.query_row(sql, [since], |row| {
                Ok(ComputeFacts {
                    total: count(row.get(0)?),
                    successful: count(row.get(1)?),
                    avg_ms: row.get(2)?,
                })
            })?)
        })
    }

    /// Hands the stored features of `range` to `each`, ascending, at most the last `limit` of them, each
    /// with its bar; stops when it fails. They are read in slices, as bars are; a database of an older schema has none.
    ///
    /// # Errors
    ///
    /// When the database cannot be read, or `each` fails.
    pub fn features_read<E: From<super::StoreError>>(
        &self,
        series_id: i64,
        range: TimeRange,
        limit: Option<u64>,
        mut each: impl FnMut(&Row, &Bar) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.read(|connection| Ok(connection.table_exists(None, "features")?))? {
            return Ok(());
        }
        let mut from = self.features_start(series_id, range, limit)?;
        let mut left = limit.unwrap_or(u64::MAX);
        while left > 0 {
            let slice = (from, range.end, left.min(SLICE));
            let rows = self.read(|connection| read_slice(connection, series_id, slice))?;
            let Some((last, _)) = rows.last() else { break };
            from = last.ts.saturating_add(1);
            left -= rows.len() as u64;
            rows.iter().try_for_each(|(row, bar)| each(row, bar))?;
        }
        Ok(())
    }

    /// The first `ts` that a limit lets through.
    fn features_start(
        &self,
        series_id: i64,
        range: TimeRange,
        limit: Option<u64>,
    ) -> StoreResult<i64> {
        let Some(limit) = limit else { return Ok(range.start) };
        let first: Option<i64> = self.read(|connection| {
            Ok(connection.query_row(
                "SELECT min(ts) FROM (SELECT ts FROM features WHERE series_id = ? AND ts >= ?
                 AND ts < ? ORDER BY ts DESC LIMIT ?)",
                params![series_id, range.start, range.end, sql_count(limit)],
                |row| row.get(0),
            )?)
        })?;
        Ok(first.unwrap_or(range.end))
    }
}

fn read_slice(
    connection: &Connection,
    series_id: i64,
    (from, to, most): (i64, i64, u64),
) -> StoreResult<Vec<(Row, Bar)>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT b.ts, open, high, low, close, volume, vwap, trades, {}
           FROM features AS f JOIN bars AS b ON b.series_id = f.series_id AND b.ts = f.ts
          WHERE f.series_id = ? AND f.ts >= ? AND f.ts < ? ORDER BY f.ts LIMIT ?",
        NAMES.join(", ")
    ))?;
    let rows = statement.query_map(params![series_id, from, to, sql_count(most)], |row| {
        let bar = bar_of(row)?;
        let mut values = [f64::NAN; COUNT];
        for (index, value) in values.iter_mut().enumerate() {
            *value = row.get::<_, Option<f64>>(BAR_COLUMNS + index)?.unwrap_or(f64::NAN);
        }
        Ok((Row { ts: bar.ts, values }, bar))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A row that cannot be written fails the transaction as a whole: `OR FAIL` spares SQLite the notes with which
/// it would take back a part of a statement.
fn insert(rows: usize) -> String {
    let row = format!("({})", vec!["?"; COLUMNS].join(","));
    let names = NAMES.join(", ");
    format!(
        "INSERT OR FAIL INTO features (series_id, ts, {names}) VALUES {}",
        vec![row; rows].join(",")
    )
}

/// A number that is none is stored as NULL.
fn bind(
    statement: &mut rusqlite::Statement<'_>,
    before: usize,
    series_id: i64,
    row: &Row,
    set: FeatureSet,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(before + 1, series_id)?;
    statement.raw_bind_parameter(before + 2, row.ts)?;
    for (index, value) in row.values.iter().enumerate() {
        let value = if set.contains(index) { *value } else { f64::NAN };
        statement.raw_bind_parameter(before + 3 + index, value)?;
    }
    Ok(())
}
