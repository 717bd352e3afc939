//! What is known of completeness: coverage, and the gaps within it.

use std::collections::HashMap;

use rusqlite::{Row, params};

use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::{RangeSet, TimeRange};

use super::{Store, StoreResult, Writer, count, sql_count, word};

/// A gap with the series that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapRow {
    /// Whose gap.
    pub series_id: i64,
    /// The gap.
    pub gap: Gap,
}

const GAP_COLUMNS: &str =
    "series_id, from_ts, to_ts, missing, reason, first_seen_at, checked_count, next_check_at";

impl Writer<'_> {
    /// Notes that `range` was asked for and answered, joining it with what touches it.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn coverage_add(&self, series_id: i64, range: TimeRange) -> StoreResult<()> {
        if range.is_empty() {
            return Ok(());
        }
        let joined: (Option<i64>, Option<i64>) = self
            .connection
            .prepare_cached(
                "SELECT min(from_ts), max(to_ts) FROM coverage
                 WHERE series_id = ? AND from_ts <= ? AND to_ts >= ?",
            )?
            .query_row(params![series_id, range.end, range.start], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let start = joined.0.map_or(range.start, |from| from.min(range.start));
        let end = joined.1.map_or(range.end, |to| to.max(range.end));
        self.connection
            .prepare_cached(
                "DELETE FROM coverage WHERE series_id = ? AND from_ts >= ? AND from_ts <= ?",
            )?
            .execute(params![series_id, start, end])?;
        self.connection
            .prepare_cached("INSERT INTO coverage (series_id, from_ts, to_ts) VALUES (?, ?, ?)")?
            .execute(params![series_id, start, end])?;
        Ok(())
    }

    /// What is covered of one series.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn coverage_of(&self, series_id: i64) -> StoreResult<RangeSet> {
        let mut statement = self.connection.prepare_cached(
            "SELECT from_ts, to_ts FROM coverage WHERE series_id = ? ORDER BY from_ts",
        )?;
        let rows =
            statement.query_map([series_id], |row| Ok(TimeRange::new(row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is covered, by series.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn coverage_all(&self) -> StoreResult<HashMap<i64, RangeSet>> {
        coverage_all(self.connection)
    }

    /// The gaps of one series, ascending.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn gaps_of(&self, series_id: i64) -> StoreResult<Vec<Gap>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {GAP_COLUMNS} FROM gaps WHERE series_id = ? ORDER BY from_ts"
        ))?;
        let mut rows = statement.query([series_id])?;
        let mut gaps = Vec::new();
        while let Some(row) = rows.next()? {
            gaps.push(gap_of(row)?.gap);
        }
        Ok(gaps)
    }

    /// Replaces the gaps of one series by `gaps`, which do not overlap; writes only what differs.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn gaps_set(&self, series_id: i64, held: &[Gap], gaps: &[Gap]) -> StoreResult<()> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM gaps WHERE series_id = ? AND from_ts = ?")?;
        for gone in held.iter().filter(|gap| !gaps.contains(gap)) {
            delete.execute(params![series_id, gone.range.start])?;
        }
        let mut insert = self.connection.prepare_cached(&format!(
            "INSERT INTO gaps ({GAP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        ))?;
        for gap in gaps.iter().filter(|gap| !held.contains(gap)) {
            insert.execute(params![
                series_id,
                gap.range.start,
                gap.range.end,
                sql_count(gap.missing),
                gap.reason.as_str(),
                gap.first_seen_at,
                gap.checked_count,
                gap.next_check_at,
            ])?;
        }
        Ok(())
    }

    /// Every gap.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn gaps_all(&self) -> StoreResult<Vec<GapRow>> {
        gaps_all(self.connection)
    }
}

impl Store {
    /// What is covered, by series.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn coverage_all(&self) -> StoreResult<HashMap<i64, RangeSet>> {
        coverage_all(&self.connection)
    }

    /// Every gap, by series and time.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn gaps_all(&self) -> StoreResult<Vec<GapRow>> {
        gaps_all(&self.connection)
    }
}

fn coverage_all(connection: &rusqlite::Connection) -> StoreResult<HashMap<i64, RangeSet>> {
    let mut statement =
        connection.prepare_cached("SELECT series_id, from_ts, to_ts FROM coverage")?;
    let mut rows = statement.query([])?;
    let mut all: HashMap<i64, RangeSet> = HashMap::new();
    while let Some(row) = rows.next()? {
        all.entry(row.get(0)?).or_default().insert(TimeRange::new(row.get(1)?, row.get(2)?));
    }
    Ok(all)
}

fn gaps_all(connection: &rusqlite::Connection) -> StoreResult<Vec<GapRow>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {GAP_COLUMNS} FROM gaps ORDER BY series_id, from_ts"))?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(gap_of(row)?);
    }
    Ok(all)
}

fn gap_of(row: &Row<'_>) -> StoreResult<GapRow> {
    let reason: GapReason = word(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?;
    Ok(GapRow {
        series_id: row.get(0)?,
        gap: Gap {
            range: TimeRange::new(row.get(1)?, row.get(2)?),
            missing: count(row.get(3)?),
            reason,
            first_seen_at: row.get(5)?,
            checked_count: row.get(6)?,
            next_check_at: row.get(7)?,
        },
    })
}
