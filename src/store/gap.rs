//! What is known of completeness: coverage, and the gaps within it.

use rusqlite::{Row, params};

use crate::domain::gap::Gap;
use crate::domain::quick::QuickMap;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::timeframe::Timeframe;

use super::{Store, StoreResult, Writer, count, sql_count, text, word};

const GAP_COLUMNS: &str =
    "series_id, from_ts, to_ts, missing, reason, first_seen_at, checked_count, next_check_at";

impl Writer<'_> {
    /// Makes the coverage of a series `after`, which was `before`; writes only what differs.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn coverage_set(
        &self,
        series_id: i64,
        before: &RangeSet,
        after: &RangeSet,
    ) -> StoreResult<()> {
        let start =
            |ranges: &[TimeRange], at| ranges.binary_search_by_key(&at, |range| range.start);
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM coverage WHERE series_id = ? AND from_ts = ?")?;
        for gone in before.ranges() {
            if start(after.ranges(), gone.start).is_err() {
                delete.execute(params![series_id, gone.start])?;
            }
        }
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO coverage (series_id, from_ts, to_ts) VALUES (?1, ?2, ?3)
             ON CONFLICT (series_id, from_ts) DO UPDATE SET to_ts = ?3",
        )?;
        for range in after.ranges() {
            if before.ranges().binary_search(range).is_err() {
                upsert.execute(params![series_id, range.start, range.end])?;
            }
        }
        Ok(())
    }

    /// What is covered, by series.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn coverage_all(&self) -> StoreResult<QuickMap<i64, RangeSet>> {
        coverage_all(self.connection)
    }

    /// Takes deleted bars out of the coverage for good.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn coverage_reopen(&self) -> StoreResult<()> {
        let mut gone: QuickMap<i64, Vec<TimeRange>> = QuickMap::default();
        for (series_id, range) in bars_gone(self.connection)? {
            gone.entry(series_id).or_default().push(range);
        }
        for (series_id, ranges) in gone {
            let before = self.coverage_of(series_id)?;
            let mut after = before.clone();
            ranges.into_iter().for_each(|range| after.remove(range));
            self.coverage_set(series_id, &before, &after)?;
        }
        self.connection.execute("DELETE FROM bars_gone", [])?;
        Ok(())
    }

    fn coverage_of(&self, series_id: i64) -> StoreResult<RangeSet> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT from_ts, to_ts FROM coverage WHERE series_id = ?")?;
        let rows =
            statement.query_map([series_id], |row| Ok(TimeRange::new(row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Makes the gaps `before` of a series `after`; both ascend. Writes only what differs.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn gaps_set(&self, series_id: i64, before: &[Gap], after: &[Gap]) -> StoreResult<()> {
        let start = |gaps: &[Gap], at| gaps.binary_search_by_key(&at, |gap| gap.range.start);
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM gaps WHERE series_id = ? AND from_ts = ?")?;
        for gone in before {
            if start(after, gone.range.start).is_err() {
                delete.execute(params![series_id, gone.range.start])?;
            }
        }
        let mut upsert = self.connection.prepare_cached(&format!(
            "INSERT OR REPLACE INTO gaps ({GAP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        ))?;
        for gap in after {
            if start(before, gap.range.start).is_ok_and(|at| before[at] == *gap) {
                continue;
            }
            upsert.execute(params![
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

    /// Every gap, by series, ascending.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn gaps_all(&self) -> StoreResult<QuickMap<i64, Vec<Gap>>> {
        gaps_all(self.connection)
    }
}

impl Store {
    /// What is covered, by series.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn coverage_all(&self) -> StoreResult<QuickMap<i64, RangeSet>> {
        self.read(coverage_all)
    }

    /// Every gap, by series, ascending.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn gaps_all(&self) -> StoreResult<QuickMap<i64, Vec<Gap>>> {
        self.read(gaps_all)
    }
}

/// Bars that were deleted are not covered any more.
fn coverage_all(connection: &rusqlite::Connection) -> StoreResult<QuickMap<i64, RangeSet>> {
    let mut statement =
        connection.prepare_cached("SELECT series_id, from_ts, to_ts FROM coverage")?;
    let mut rows = statement.query([])?;
    let mut all: QuickMap<i64, RangeSet> = QuickMap::default();
    while let Some(row) = rows.next()? {
        all.entry(row.get(0)?).or_default().insert(TimeRange::new(row.get(1)?, row.get(2)?));
    }
    for (series_id, range) in bars_gone(connection)? {
        if let Some(covered) = all.get_mut(&series_id) {
            covered.remove(range);
        }
    }
    Ok(all)
}

/// The windows of deleted bars, by series.
fn bars_gone(connection: &rusqlite::Connection) -> StoreResult<Vec<(i64, TimeRange)>> {
    let mut statement = connection.prepare_cached(
        "SELECT g.series_id, g.ts, s.timeframe FROM bars_gone AS g JOIN series AS s USING (series_id)",
    )?;
    let mut rows = statement.query([])?;
    let mut gone = Vec::new();
    while let Some(row) = rows.next()? {
        let timeframe: Timeframe = word(text(row, 2)?)?;
        let ts: i64 = row.get(1)?;
        gone.push((row.get(0)?, TimeRange::new(ts, ts + timeframe.seconds())));
    }
    Ok(gone)
}

fn gaps_all(connection: &rusqlite::Connection) -> StoreResult<QuickMap<i64, Vec<Gap>>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {GAP_COLUMNS} FROM gaps ORDER BY series_id, from_ts"))?;
    let mut rows = statement.query([])?;
    let mut gaps: Vec<(i64, Gap)> = Vec::new();
    while let Some(row) = rows.next()? {
        gaps.push((row.get(0)?, gap_of(row)?));
    }
    let by_series = gaps.chunk_by(|(one, _), (two, _)| one == two);
    Ok(by_series.map(|own| (own[0].0, own.iter().map(|(_, gap)| *gap).collect())).collect())
}

fn gap_of(row: &Row<'_>) -> StoreResult<Gap> {
    Ok(Gap {
        range: TimeRange::new(row.get(1)?, row.get(2)?),
        missing: count(row.get(3)?),
        reason: word(text(row, 4)?)?,
        first_seen_at: row.get(5)?,
        checked_count: row.get(6)?,
        next_check_at: row.get(7)?,
    })
}
