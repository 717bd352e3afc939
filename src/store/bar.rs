//! Bars: written when they are new or differ, read in ranges.

use rusqlite::types::ToSql;
use rusqlite::{Connection, Row, params};

use crate::domain::bar::{Adjustment, Bar, Rejection};
use crate::domain::range::TimeRange;
use crate::domain::run::RunId;

use super::{Store, StoreResult, Writer, sql_count};

/// Rows a statement when many new bars come at once: about twice as fast as one at a time.
const ROWS: usize = 50;
const COLUMNS: usize = 9;

/// What writing a page of bars came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// Bars that were new.
    pub inserted: u64,
    /// Bars that differed from the stored ones.
    pub updated: u64,
    /// The `ts` of the new bars, from the first to the last.
    pub grown: Option<TimeRange>,
}

/// Which bars to read.
#[derive(Clone, Copy, Debug)]
pub struct BarQuery {
    /// Whose.
    pub series_id: i64,
    /// Which `ts`.
    pub range: TimeRange,
    /// At most so many: the last ones of the range; `None` for all.
    pub limit: Option<u64>,
}

impl Writer<'_> {
    /// Stores `bars`, which ascend and are unique by `ts`: new ones are inserted, differing ones
    /// replace the stored ones, whose values go to `revisions` with the run that changed them.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn bars_put(
        &self,
        series_id: i64,
        run: &RunId,
        now: i64,
        bars: &[Bar],
    ) -> StoreResult<Put> {
        let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
            return Ok(Put::default());
        };
        let range = TimeRange::new(first.ts, last.ts + 1);
        let held = read_range(self.connection, series_id, range)?;
        if held.is_empty() {
            self.bars_insert(series_id, bars)?;
            return Ok(Put { inserted: bars.len() as u64, updated: 0, grown: Some(range) });
        }
        let mut new = Vec::new();
        let mut updated = 0;
        let mut held = held.into_iter().peekable();
        for bar in bars {
            while held.next_if(|old| old.ts < bar.ts).is_some() {}
            match held.next_if(|old| old.ts == bar.ts) {
                None => new.push(*bar),
                Some(old) if old == *bar => {}
                Some(old) => {
                    self.bar_revise(series_id, run, now, &old, bar)?;
                    updated += 1;
                }
            }
        }
        self.bars_insert(series_id, &new)?;
        let grown = new.first().zip(new.last());
        Ok(Put {
            inserted: new.len() as u64,
            updated,
            grown: grown.map(|(first, last)| TimeRange::new(first.ts, last.ts + 1)),
        })
    }

    fn bars_insert(&self, series_id: i64, bars: &[Bar]) -> StoreResult<()> {
        const HEAD: &str =
            "INSERT INTO bars (series_id, ts, open, high, low, close, volume, vwap, trades)
                            VALUES ";
        const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let many = bars.chunks_exact(ROWS);
        let rest = many.remainder();
        if bars.len() >= ROWS {
            let sql = format!("{HEAD}{}", vec![ROW; ROWS].join(","));
            let mut statement = self.connection.prepare_cached(&sql)?;
            for chunk in many {
                for (row, bar) in chunk.iter().enumerate() {
                    bind(&mut statement, row * COLUMNS, series_id, bar)?;
                }
                statement.raw_execute()?;
            }
        }
        let mut statement = self.connection.prepare_cached(&format!("{HEAD}{ROW}"))?;
        for bar in rest {
            bind(&mut statement, 0, series_id, bar)?;
            statement.raw_execute()?;
        }
        Ok(())
    }

    fn bar_revise(
        &self,
        series_id: i64,
        run: &RunId,
        now: i64,
        old: &Bar,
        new: &Bar,
    ) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO revisions VALUES
                 (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                series_id, new.ts, run.0, now, old.open, old.high, old.low, old.close, old.volume,
                old.vwap, old.trades, new.open, new.high, new.low, new.close, new.volume, new.vwap,
                new.trades,
            ])?;
        self.connection
            .prepare_cached(
                "UPDATE bars SET open = ?3, high = ?4, low = ?5, close = ?6, volume = ?7, vwap = ?8,
                 trades = ?9 WHERE series_id = ?1 AND ts = ?2",
            )?
            .execute(params![
                series_id, new.ts, new.open, new.high, new.low, new.close, new.volume, new.vwap,
                new.trades,
            ])?;
        Ok(())
    }

    /// Keeps rows that were refused, each once.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn rejections_add(
        &self,
        series_id: i64,
        run: &RunId,
        rejections: &[Rejection],
    ) -> StoreResult<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO rejected_bars (series_id, ts, run_id, reason, text) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )?;
        for row in rejections {
            statement.execute(params![series_id, row.ts, run.0, row.reason.as_str(), row.text])?;
        }
        Ok(())
    }

    /// Forgets rows of `range` that were only refused for coming too early, and have come in time now.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn rejections_outlived(&self, series_id: i64, range: TimeRange) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "DELETE FROM rejected_bars WHERE series_id = ?1
                 AND coalesce(ts, -9223372036854775808) >= ?2
                 AND coalesce(ts, -9223372036854775808) < ?3
                 AND reason IN ('future_ts', 'unfinished_bar')",
            )?
            .execute(params![series_id, range.start, range.end])?;
        Ok(())
    }

    /// Notes what the prices of a series contain.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn adjustment_set(&self, series_id: i64, adjustment: Adjustment) -> StoreResult<()> {
        self.connection
            .prepare_cached("UPDATE series SET adjustment = ?2 WHERE series_id = ?1")?
            .execute(params![series_id, adjustment.as_str()])?;
        Ok(())
    }

    /// The stored bars of `range`, ascending.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_in(&self, series_id: i64, range: TimeRange) -> StoreResult<Vec<Bar>> {
        read_range(self.connection, series_id, range)
    }

    /// The `ts` of the stored bars of `range`, ascending.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_ts(&self, series_id: i64, range: TimeRange) -> StoreResult<Vec<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT ts FROM bars WHERE series_id = ? AND ts >= ? AND ts < ? ORDER BY ts",
        )?;
        let rows = statement.query_map(params![series_id, range.start, range.end], |r| r.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Store {
    /// Hands the bars that `query` asks for to `each`, ascending, one at a time; stops when it says
    /// `false`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read, or `each` fails.
    pub fn bars_read<E: From<super::StoreError>>(
        &self,
        query: &BarQuery,
        mut each: impl FnMut(&Bar) -> Result<(), E>,
    ) -> Result<(), E> {
        let from = self.bars_start(query)?;
        let sqlite = |error| E::from(super::StoreError::from(error));
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT ts, open, high, low, close, volume, vwap, trades FROM bars
                 WHERE series_id = ? AND ts >= ? AND ts < ? ORDER BY ts",
            )
            .map_err(sqlite)?;
        let mut rows =
            statement.query(params![query.series_id, from, query.range.end]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            each(&bar_of(row).map_err(sqlite)?)?;
        }
        Ok(())
    }

    /// The first `ts` that the query's limit lets through.
    fn bars_start(&self, query: &BarQuery) -> StoreResult<i64> {
        let Some(limit) = query.limit else { return Ok(query.range.start) };
        let first: Option<i64> = self.connection.query_row(
            "SELECT min(ts) FROM (SELECT ts FROM bars WHERE series_id = ? AND ts >= ? AND ts < ?
             ORDER BY ts DESC LIMIT ?)",
            params![query.series_id, query.range.start, query.range.end, sql_count(limit)],
            |row| row.get(0),
        )?;
        Ok(first.unwrap_or(query.range.end))
    }

    /// The `ts` of the first and the last stored bar of `range`, and how many there are between.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_extent(
        &self,
        series_id: i64,
        range: TimeRange,
    ) -> StoreResult<Option<(i64, i64, u64)>> {
        let (first, last, bars) = self.connection.prepare_cached(
            "SELECT min(ts), max(ts), count(*) FROM bars WHERE series_id = ? AND ts >= ? AND ts < ?",
        )?.query_row(params![series_id, range.start, range.end], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?))
        })?;
        Ok(first.zip(last).map(|(first, last)| (first, last, super::count(bars))))
    }

    /// The `ts` of the last stored bar before `end`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_last_before(&self, series_id: i64, end: i64) -> StoreResult<Option<i64>> {
        Ok(self
            .connection
            .prepare_cached("SELECT max(ts) FROM bars WHERE series_id = ? AND ts < ?")?
            .query_row(params![series_id, end], |row| row.get(0))?)
    }
}

fn read_range(connection: &Connection, series_id: i64, range: TimeRange) -> StoreResult<Vec<Bar>> {
    let mut statement = connection.prepare_cached(
        "SELECT ts, open, high, low, close, volume, vwap, trades FROM bars
         WHERE series_id = ? AND ts >= ? AND ts < ? ORDER BY ts",
    )?;
    let rows = statement.query_map(params![series_id, range.start, range.end], bar_of)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn bar_of(row: &Row<'_>) -> rusqlite::Result<Bar> {
    Ok(Bar {
        ts: row.get(0)?,
        open: row.get(1)?,
        high: row.get(2)?,
        low: row.get(3)?,
        close: row.get(4)?,
        volume: row.get(5)?,
        vwap: row.get(6)?,
        trades: row.get(7)?,
    })
}

fn bind(
    statement: &mut rusqlite::Statement<'_>,
    before: usize,
    series_id: i64,
    bar: &Bar,
) -> rusqlite::Result<()> {
    let values: [&dyn ToSql; COLUMNS] = [
        &series_id,
        &bar.ts,
        &bar.open,
        &bar.high,
        &bar.low,
        &bar.close,
        &bar.volume,
        &bar.vwap,
        &bar.trades,
    ];
    for (column, value) in values.into_iter().enumerate() {
        statement.raw_bind_parameter(before + column + 1, value)?;
    }
    Ok(())
}
