//! Bars: written when they are new or differ, read in ranges.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use crate::domain::bar::Bar;
use crate::domain::range::TimeRange;
use crate::domain::run::RunId;

use super::{Store, StoreResult, Writer, sql_count};

/// Rows a statement when many new bars come at once: about twice as fast as one at a time.
const ROWS: usize = 50;
/// Parameters a row: the series, and [`COLUMNS`].
const PARAMETERS: usize = 9;

/// What [`bar_of`] reads and [`bind`] writes.
const COLUMNS: &str = "ts, open, high, low, close, volume, vwap, trades";

/// Bars read at once: a few hundred kilobytes.
const SLICE: u64 = 10_000;

/// What writing a page of bars came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Put {
    /// Bars that were new.
    pub inserted: u64,
    /// Bars that differed from the stored ones.
    pub updated: u64,
    /// The `ts` of the new bars, from the first to the last.
    pub grown: Option<TimeRange>,
    /// The first `ts` of a bar that is new or changed.
    pub changed_from: Option<i64>,
    /// The first of the bars that were stored already, ascending.
    pub again: Vec<Again>,
    /// Bars that differed from the stored ones, which stay.
    pub kept: u64,
}

impl Put {
    /// Adds what later bars of the same series came to.
    pub fn add(&mut self, later: Self) {
        self.inserted += later.inserted;
        self.updated += later.updated;
        self.kept += later.kept;
        self.grown = match (self.grown, later.grown) {
            (Some(one), Some(other)) => Some(TimeRange::new(one.start, other.end)),
            (one, other) => one.or(other),
        };
        self.changed_from = self.changed_from.or(later.changed_from);
        self.again.extend(later.again);
    }
}

/// With what right bars are written where others are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// They are what the series' provider says now: a differing one takes the stored one's place.
    Provider,
    /// They are imported, and fill what is lacking: what is stored stays.
    Fills,
    /// They are imported, and take the place of what is stored.
    Replaces,
}

impl Claim {
    /// Whether `new` says the same as the stored `old`. A file that has no column for something does not
    /// contradict those who have.
    #[must_use]
    pub fn is_same(self, old: &Bar, new: &Bar) -> bool {
        old == new || self != Self::Provider && *old == new.with_blanks_of(old)
    }
}

/// A bar that was stored and came again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Again {
    /// Its `ts`.
    pub ts: i64,
    /// Its new close by the old one.
    pub ratio: f64,
}

/// Of the bars that came again, so many are told of, at most.
const MOST_AGAIN: usize = 64;

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
    /// Stores `bars`, which ascend and are unique by `ts`: new ones are inserted. Differing ones replace
    /// the stored ones, whose values go to `revisions` with the run that changed them, if their `claim`
    /// goes so far.
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
        claim: Claim,
    ) -> StoreResult<Put> {
        let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
            return Ok(Put::default());
        };
        let range = TimeRange::new(first.ts, last.ts + 1);
        let held = read_range(self.connection, series_id, range)?;
        if held.is_empty() {
            self.bars_insert(series_id, bars)?;
            return Ok(Put {
                inserted: bars.len() as u64,
                grown: Some(range),
                changed_from: Some(range.start),
                ..Put::default()
            });
        }
        let Beside { new, differing, again } = beside(held, bars, claim);
        let replaced = if claim == Claim::Fills { &[][..] } else { &differing[..] };
        for (old, bar) in replaced {
            self.bar_revise(series_id, run, now, old, bar)?;
        }
        self.bars_insert(series_id, &new)?;
        let grown = new.first().zip(new.last());
        let first_new = grown.map(|(first, _)| first.ts);
        let first_replaced = replaced.first().map(|(_, bar)| bar.ts);
        Ok(Put {
            inserted: new.len() as u64,
            updated: replaced.len() as u64,
            grown: grown.map(|(first, last)| TimeRange::new(first.ts, last.ts + 1)),
            changed_from: first_replaced.into_iter().chain(first_new).min(),
            again,
            kept: (differing.len() - replaced.len()) as u64,
        })
    }

    /// A bar that cannot be written fails the transaction, or the attempt in it, as a whole: `OR FAIL` spares
    /// SQLite the notes with which it would take back a part of a statement.
    fn bars_insert(&self, series_id: i64, bars: &[Bar]) -> StoreResult<()> {
        const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let head = format!("INSERT OR FAIL INTO bars (series_id, {COLUMNS}) VALUES ");
        let many = bars.chunks_exact(ROWS);
        let rest = many.remainder();
        if bars.len() >= ROWS {
            let sql = format!("{head}{}", vec![ROW; ROWS].join(","));
            let mut statement = self.connection.prepare_cached(&sql)?;
            for chunk in many {
                for (row, bar) in chunk.iter().enumerate() {
                    bind(&mut statement, row * PARAMETERS, series_id, bar)?;
                }
                statement.raw_execute()?;
            }
        }
        let mut statement = self.connection.prepare_cached(&format!("{head}{ROW}"))?;
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

    /// The stored bars of `range`, ascending.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_in(&self, series_id: i64, range: TimeRange) -> StoreResult<Vec<Bar>> {
        read_range(self.connection, series_id, range)
    }

    /// The first stored bars from `ts` on, ascending, at most so many.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_from(&self, series_id: i64, ts: i64, most: u64) -> StoreResult<Vec<Bar>> {
        read_slice(self.connection, series_id, (ts, i64::MAX, most))
    }

    /// The last stored bars before `ts`, ascending, at most so many.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_before(&self, series_id: i64, ts: i64, most: u64) -> StoreResult<Vec<Bar>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM bars WHERE series_id = ? AND ts < ? ORDER BY ts DESC LIMIT ?"
        ))?;
        let rows = statement.query_map(params![series_id, ts, sql_count(most)], bar_of)?;
        let mut bars: Vec<Bar> = rows.collect::<Result<_, _>>()?;
        bars.reverse();
        Ok(bars)
    }

    /// The closes of the last stored bars before `ts`, each with its `ts`, ascending, at most so many: what
    /// else there is to a bar is not unpacked.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn closes_before(
        &self,
        series_id: i64,
        ts: i64,
        most: u64,
    ) -> StoreResult<Vec<(i64, f64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT ts, close FROM bars WHERE series_id = ? AND ts < ? ORDER BY ts DESC LIMIT ?",
        )?;
        let rows = statement.query_map(params![series_id, ts, sql_count(most)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let mut closes: Vec<(i64, f64)> = rows.collect::<Result<_, _>>()?;
        closes.reverse();
        Ok(closes)
    }

    /// The last stored bar before `ts`, and the first one from it on.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_around(&self, series_id: i64, ts: i64) -> StoreResult<(Option<Bar>, Option<Bar>)> {
        let before = self.bars_before(series_id, ts, 1)?.pop();
        Ok((before, self.bars_from(series_id, ts, 1)?.pop()))
    }

    /// How many bars of `range` are stored.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_count(&self, series_id: i64, range: TimeRange) -> StoreResult<u64> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM bars WHERE series_id = ? AND ts >= ? AND ts < ?",
        )?;
        let bars =
            statement.query_row(params![series_id, range.start, range.end], |row| row.get(0))?;
        Ok(super::count(bars))
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
    /// Which of `bars`, which ascend and are unique by `ts`, would be new, and which differ from stored
    /// ones.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_held_against(
        &self,
        series_id: i64,
        bars: &[Bar],
        claim: Claim,
    ) -> StoreResult<(Vec<Bar>, Vec<Bar>)> {
        let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
            return Ok((Vec::new(), Vec::new()));
        };
        let range = TimeRange::new(first.ts, last.ts + 1);
        let held = self.read(|connection| read_range(connection, series_id, range))?;
        let Beside { new, differing, .. } = beside(held, bars, claim);
        Ok((new, differing.into_iter().map(|(_, bar)| bar).collect()))
    }

    /// Hands the bars that `query` asks for to `each`, ascending, one at a time; stops when it fails.
    ///
    /// They are read in slices, and no transaction is open while `each` has them: a reader that takes
    /// its time keeps no run from emptying its log. What a run writes meanwhile may be among them.
    ///
    /// # Errors
    ///
    /// When the database cannot be read, or `each` fails.
    pub fn bars_read<E: From<super::StoreError>>(
        &self,
        query: &BarQuery,
        mut each: impl FnMut(&Bar) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = self.bars_start(query)?;
        let mut left = query.limit.unwrap_or(u64::MAX);
        while left > 0 {
            let slice = (from, query.range.end, left.min(SLICE));
            let bars = self.read(|connection| read_slice(connection, query.series_id, slice))?;
            let Some(last) = bars.last() else { break };
            from = last.ts.saturating_add(1);
            left -= bars.len() as u64;
            bars.iter().try_for_each(&mut each)?;
        }
        Ok(())
    }

    /// The first `ts` that the query's limit lets through.
    fn bars_start(&self, query: &BarQuery) -> StoreResult<i64> {
        let Some(limit) = query.limit else { return Ok(query.range.start) };
        let first: Option<i64> = self.read(|connection| {
            Ok(connection.query_row(
                "SELECT min(ts) FROM (SELECT ts FROM bars WHERE series_id = ? AND ts >= ? AND ts < ?
                 ORDER BY ts DESC LIMIT ?)",
                params![query.series_id, query.range.start, query.range.end, sql_count(limit)],
                |row| row.get(0),
            )?)
        })?;
        Ok(first.unwrap_or(query.range.end))
    }

    /// Some closes of a series by `ts`, about so many, from the first to the last and evenly in between.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn closes_across(
        &self,
        series_id: i64,
        (first, last): (i64, i64),
        about: i64,
    ) -> StoreResult<BTreeMap<i64, f64>> {
        self.read(|connection| {
            let mut next = connection.prepare_cached(
                "SELECT ts, close FROM bars WHERE series_id = ? AND ts >= ? ORDER BY ts LIMIT 1",
            )?;
            let mut closes = BTreeMap::new();
            for place in 0..=about {
                let mut rows =
                    next.query([series_id, first + (last - first) * place / about.max(1)])?;
                if let Some(row) = rows.next()? {
                    closes.insert(row.get(0)?, row.get(1)?);
                }
            }
            Ok(closes)
        })
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
        let sql = "SELECT min(ts), max(ts), count(*) FROM bars
                   WHERE series_id = ? AND ts >= ? AND ts < ?";
        let (first, last, bars) = self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_row(params![series_id, range.start, range.end], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?))
            })?)
        })?;
        Ok(first.zip(last).map(|(first, last)| (first, last, super::count(bars))))
    }
}

/// Bars beside those that are stored.
struct Beside {
    /// Those of which none is stored.
    new: Vec<Bar>,
    /// Those that differ from the stored one, each behind it.
    differing: Vec<(Bar, Bar)>,
    /// The first of those that are stored.
    again: Vec<Again>,
}

/// Lays `bars` beside the stored ones of their range; both ascend.
fn beside(held: Vec<Bar>, bars: &[Bar], claim: Claim) -> Beside {
    let mut sorted = Beside { new: Vec::new(), differing: Vec::new(), again: Vec::new() };
    let mut held = held.into_iter().peekable();
    for bar in bars {
        while held.next_if(|old| old.ts < bar.ts).is_some() {}
        match held.next_if(|old| old.ts == bar.ts) {
            None => sorted.new.push(*bar),
            Some(old) => {
                note_again(&mut sorted.again, &old, bar);
                if !claim.is_same(&old, bar) {
                    sorted.differing.push((old, *bar));
                }
            }
        }
    }
    sorted
}

fn note_again(again: &mut Vec<Again>, old: &Bar, new: &Bar) {
    if again.len() < MOST_AGAIN {
        again.push(Again { ts: new.ts, ratio: new.close / old.close });
    }
}

fn read_range(connection: &Connection, series_id: i64, range: TimeRange) -> StoreResult<Vec<Bar>> {
    read_slice(connection, series_id, (range.start, range.end, u64::MAX))
}

/// The first bars of `[from, to)`, ascending, at most so many.
pub(super) fn read_slice(
    connection: &Connection,
    series_id: i64,
    (from, to, most): (i64, i64, u64),
) -> StoreResult<Vec<Bar>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM bars WHERE series_id = ? AND ts >= ? AND ts < ? ORDER BY ts LIMIT ?"
    ))?;
    let rows = statement.query_map(params![series_id, from, to, sql_count(most)], bar_of)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn bar_of(row: &Row<'_>) -> rusqlite::Result<Bar> {
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
    // Each by its own type: what is chosen while it runs costs as much as the binding itself.
    statement.raw_bind_parameter(before + 1, series_id)?;
    statement.raw_bind_parameter(before + 2, bar.ts)?;
    statement.raw_bind_parameter(before + 3, bar.open)?;
    statement.raw_bind_parameter(before + 4, bar.high)?;
    statement.raw_bind_parameter(before + 5, bar.low)?;
    statement.raw_bind_parameter(before + 6, bar.close)?;
    statement.raw_bind_parameter(before + 7, bar.volume)?;
    statement.raw_bind_parameter(before + 8, bar.vwap)?;
    statement.raw_bind_parameter(before + 9, bar.trades)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bar, made up.
    const fn bar(ts: i64) -> Bar {
        Bar {
            ts,
            open: 2.0,
            high: 3.0,
            low: 1.0,
            close: 2.5,
            volume: None,
            vwap: None,
            trades: None,
        }
    }

    fn filled(bars: i64) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        let bars: Vec<Bar> = (0..bars).map(bar).collect();
        let run = RunId("run".to_owned());
        store
            .write(|tx| tx.bars_put(1, &run, 0, &bars, Claim::Provider))
            .expect("the bars are stored");
        (folder, store)
    }

    fn read(store: &Store, range: TimeRange, limit: Option<u64>) -> Vec<i64> {
        let mut read = Vec::new();
        let query = BarQuery { series_id: 1, range, limit };
        let all = store.bars_read(&query, |bar| {
            read.push(bar.ts);
            StoreResult::Ok(())
        });
        all.expect("the bars are read");
        read
    }

    #[test]
    fn slices_join_without_a_seam() {
        let slice = i64::try_from(SLICE).expect("a slice");
        let (_folder, store) = filled(2 * slice + 7);
        let all = TimeRange::new(i64::MIN, i64::MAX);
        assert_eq!(read(&store, all, None), (0..2 * slice + 7).collect::<Vec<_>>());
        let some = TimeRange::new(3, 3 + slice);
        assert_eq!(read(&store, some, None), (3..3 + slice).collect::<Vec<_>>());
        assert_eq!(read(&store, some, Some(2)), [1 + slice, 2 + slice]);
        assert_eq!(read(&store, all, Some(SLICE)).len(), 10_000);
        assert_eq!(read(&store, all, Some(0)), Vec::<i64>::new());
    }

    #[test]
    fn who_takes_time_over_the_bars_keeps_no_log_from_being_emptied() {
        let (folder, mut store) = filled(20_001);
        let reader = Store::open_read(&folder.path().join("mdctl.db")).expect("a reader");
        let query = BarQuery { series_id: 1, range: TimeRange::new(0, i64::MAX), limit: None };
        let mut seen = 0;
        let all = reader.bars_read(&query, |_| {
            seen += 1;
            if seen % 10_000 == 5_000 {
                store.write(|tx| {
                    tx.bars_put(2, &RunId("run".to_owned()), 0, &[bar(seen)], Claim::Provider)
                })?;
                assert!(store.log_empty()?, "the reader is in the way");
            }
            StoreResult::Ok(())
        });
        all.expect("the bars are read");
        assert_eq!(seen, 20_001);
    }
}
