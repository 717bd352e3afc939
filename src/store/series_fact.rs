//! Every series as it is stored: the question that most reports and every run begin with, of tens of
//! thousands of rows.

use std::ops::Range;
use std::path::Path;

use rusqlite::{CachedStatement, Connection, Row};

use crate::both::both;
use crate::domain::fact::{FeaturesFact, FileMark, Marks, Planned, SeriesFact};
use crate::domain::feature::FeatureSet;
use crate::domain::gap::Gap;
use crate::domain::quick::QuickMap;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::series_facts::SeriesFacts;

use super::left::Left;
use super::{Store, StoreError, StoreResult, Writer, count, text, text_or_null, word};

/// From so many series on, two threads read them: the second one's connection costs as much as a thousand.
const MANY: i64 = 5_000;

/// For so many series room is made beforehand, whatever the largest id says.
const ROOM: usize = 100_000;

impl Writer<'_> {
    /// Every series, also of symbols that left the config.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn series_all(&self) -> StoreResult<SeriesFacts> {
        let mut all = Vec::new();
        Reading::of(self.connection, Depth::Whole)?.read(0..i64::MAX, &mut all)?;
        Ok(all.into_iter().collect())
    }
}

impl Store {
    /// Every series, also of symbols that left the config.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn series_all(&self) -> StoreResult<SeriesFacts> {
        Ok(self.series_while(Depth::Whole, || Ok(()))?.0)
    }

    /// Every series as far as its bars and features are judged, and every gap, by series, ascending: what only
    /// a plan rests on is left out.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn series_judged(&self) -> StoreResult<(SeriesFacts, QuickMap<i64, Vec<Gap>>)> {
        self.series_while(Depth::Judged, || self.gaps_all())
    }

    /// Every series, and what is asked for before them.
    ///
    /// Many are read by two threads that begin at the two ends and meet. Each of them sees one moment, and a
    /// commit may lie between the two, as it may between any two questions: a series is one row, and one of
    /// them reads it.
    fn series_while<T>(
        &self,
        depth: Depth,
        ask: impl FnOnce() -> StoreResult<T>,
    ) -> StoreResult<(SeriesFacts, T)> {
        let last: Option<i64> = self.read(|connection| {
            Ok(connection.query_row("SELECT max(series_id) FROM series", [], |row| row.get(0))?)
        })?;
        let end = last.map_or(0, |last| last.saturating_add(1));
        let mut all = room(&(0..end));
        if end <= MANY {
            let answer = ask()?;
            self.series_of(depth, 0..end, &mut all)?;
            return Ok((all.into_iter().collect(), answer));
        }
        let (path, left) = (&self.path, Left::of(end));
        let here =
            || ask().and_then(|answer| Ok((answer, self.series_ahead(depth, &left, &mut all)?)));
        let (there, here) = both(|| Self::series_back(path, depth, &left, end), here);
        let (answer, met) = here?;
        let (begun, parts) = there.unwrap_or((end, Vec::new()));
        // Where there may be no second connection, one has to do.
        self.series_of(depth, met..begun, &mut all)?;
        all.extend(parts.into_iter().rev().flatten());
        Ok((all.into_iter().collect(), answer))
    }

    /// Adds what is left from its beginning on; gives where that ended.
    fn series_ahead(
        &self,
        depth: Depth,
        left: &Left,
        all: &mut Vec<SeriesFact>,
    ) -> StoreResult<i64> {
        self.reading(|connection| {
            let mut reading = Reading::of(connection, depth)?;
            let mut met = 0;
            while let Some(ids) = left.first() {
                met = ids.end;
                reading.read(ids, all)?;
            }
            Ok(met)
        })
    }

    /// What is left from its end, `end`, back to where another thread is met, with a connection of its own; the
    /// last part first, and where they begin.
    fn series_back(
        path: &Path,
        depth: Depth,
        left: &Left,
        end: i64,
    ) -> StoreResult<(i64, Vec<Vec<SeriesFact>>)> {
        let store = Self::open_read(path)?;
        store.reading(|connection| {
            // What it has read it does not look at again.
            connection.execute_batch("PRAGMA cache_size = -400")?;
            let mut reading = Reading::of(connection, depth)?;
            let (mut begun, mut parts) = (end, Vec::new());
            while let Some(ids) = left.last() {
                begun = ids.start;
                let mut part = room(&ids);
                reading.read(ids, &mut part)?;
                parts.push(part);
            }
            Ok((begun, parts))
        })
    }

    fn series_of(
        &self,
        depth: Depth,
        ids: Range<i64>,
        all: &mut Vec<SeriesFact>,
    ) -> StoreResult<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.reading(|connection| Reading::of(connection, depth)?.read(ids, all))
    }

    /// Asks several questions that are all about one moment.
    fn reading<T>(&self, ask: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        self.read(|connection| ask(&*connection.unchecked_transaction()?))
    }
}

/// Room for the series with these ids.
fn room(ids: &Range<i64>) -> Vec<SeriesFact> {
    let count = ids.end.saturating_sub(ids.start);
    Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(ROOM))
}

/// How much of each series is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// What is judged of it.
    Judged,
    /// What a plan rests on, too.
    Whole,
}

/// Reads series of one connection, at one moment.
struct Reading<'a> {
    connection: &'a Connection,
    depth: Depth,
    has_features: bool,
    statement: CachedStatement<'a>,
    /// Since when each symbol is tracked; `None` until somebody wants to know.
    tracked: Option<Vec<(Symbol, i64)>>,
}

impl<'a> Reading<'a> {
    fn of(connection: &'a Connection, depth: Depth) -> StoreResult<Self> {
        let has_features = connection.column_exists(None, "series", "features_from")?;
        let statement = connection.prepare_cached(&format!(
            "SELECT {} FROM series WHERE series_id >= ? AND series_id < ? ORDER BY series_id",
            columns(connection, depth, has_features)?
        ))?;
        Ok(Self { connection, depth, has_features, statement, tracked: None })
    }

    /// Adds the series with these ids, by id. That is nearly the order of their keys; neighbours share a symbol.
    fn read(&mut self, ids: Range<i64>, all: &mut Vec<SeriesFact>) -> StoreResult<()> {
        let Self { connection, depth, has_features, statement, tracked } = self;
        let (begin, mut has_marks) = (all.len(), false);
        let mut rows = statement.query([ids.start, ids.end])?;
        while let Some(row) = rows.next()? {
            let name = text(row, 1)?;
            let watermark_ts = number(row, 4)?;
            // Of a series with bars nothing but a plan asks since when it is tracked.
            let is_asked = *depth == Depth::Whole || watermark_ts.is_none();
            let before = all.last().filter(|fact: &&SeriesFact| fact.key.symbol.as_str() == name);
            let (symbol, added_at) = match before {
                Some(fact) if !is_asked => (fact.key.symbol.clone(), None),
                Some(fact) if fact.added_at.is_some() => (fact.key.symbol.clone(), fact.added_at),
                _ if is_asked => since(tracked, connection, name)?,
                _ => (word(name)?, None),
            };
            has_marks |= number(row, 8)?.is_some();
            all.push(SeriesFact {
                series_id: row.get(0)?,
                key: SeriesKey { symbol, timeframe: word(text(row, 2)?)? },
                first_ts: number(row, 3)?,
                watermark_ts,
                bar_count: count(row.get(5)?),
                added_at,
                features: if *has_features { Some(features_of(row, *depth)?) } else { None },
                marks: None,
                planned: if *depth == Depth::Whole { Some(planned_of(row)?) } else { None },
            });
        }
        if has_marks {
            mark(connection, *has_features, ids, &mut all[begin..])?;
        }
        Ok(())
    }
}

/// What is read of a series, in the order in which it is read; a database of an older schema has not noted
/// all of it.
fn columns(connection: &Connection, depth: Depth, has_features: bool) -> StoreResult<String> {
    let features = if has_features { "features_ts, features_computed_at" } else { "NULL, NULL" };
    let marked = is_marked(&marks(connection, has_features)?);
    let judged = format!(
        "series_id, symbol, timeframe, first_ts, watermark_ts, bar_count, {features},
         CASE WHEN {marked} THEN 1 END"
    );
    if depth == Depth::Judged {
        return Ok(judged);
    }
    let newer = if has_features { "rests_until, feature_set" } else { "NULL, NULL" };
    Ok(format!(
        "{judged}, adjustment, settled_ts, last_fetched_at, file_modified_ns, file_bytes, {}, {newer}",
        known(connection, "settle_read_at")?
    ))
}

/// The name of a column of `series`, where the database has it.
fn known<'a>(connection: &Connection, name: &'a str) -> StoreResult<&'a str> {
    Ok(if connection.column_exists(None, "series", name)? { name } else { "NULL" })
}

/// What is noted of few series.
fn marks(connection: &Connection, has_features: bool) -> StoreResult<String> {
    let newer =
        if has_features { "restated_to, quality_from, features_from" } else { "NULL, NULL, NULL" };
    Ok(format!("last_error, {}, {newer}", known(connection, "due_from")?))
}

/// Whether anything of it is noted.
fn is_marked(marks: &str) -> String {
    format!("consecutive_failures <> 0 OR coalesce({marks}) IS NOT NULL")
}

fn features_of(row: &Row<'_>, depth: Depth) -> StoreResult<FeaturesFact> {
    let set = match depth {
        Depth::Judged => None,
        Depth::Whole => text_or_null(row, 16)?,
    };
    Ok(FeaturesFact {
        set: set.map_or(Ok(FeatureSet::NONE), word)?,
        from: None,
        last_ts: number(row, 6)?,
        computed_at: number(row, 7)?,
    })
}

fn planned_of(row: &Row<'_>) -> StoreResult<Box<Planned>> {
    let (modified_ns, bytes): (Option<i64>, Option<i64>) = (row.get(12)?, row.get(13)?);
    Ok(Box::new(Planned {
        adjustment: word(text(row, 9)?)?,
        settled_ts: row.get(10)?,
        last_fetched_at: row.get(11)?,
        file_mark: modified_ns
            .zip(bytes)
            .map(|(modified_ns, bytes)| FileMark { modified_ns, bytes }),
        settle_read_at: row.get(14)?,
        rests_until: row.get(15)?,
    }))
}

/// Adds what is out of the ordinary, which is read of those series alone of which anything is: that is cheaper
/// than to hear of each that nothing is. `all` are those with these ids, by id.
fn mark(
    connection: &Connection,
    has_features: bool,
    ids: Range<i64>,
    all: &mut [SeriesFact],
) -> StoreResult<()> {
    let marks = marks(connection, has_features)?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT series_id, consecutive_failures, {marks} FROM series
          WHERE series_id >= ? AND series_id < ? AND ({})",
        is_marked(&marks)
    ))?;
    let mut rows = statement.query([ids.start, ids.end])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let Ok(at) = all.binary_search_by_key(&id, |fact| fact.series_id) else { continue };
        let fact = &mut all[at];
        let marks = Marks {
            consecutive_failures: row.get(1)?,
            last_error: row.get(2)?,
            due_from: row.get(3)?,
            restated_to: row.get(4)?,
            quality_from: row.get(5)?,
        };
        fact.marks = marks.boxed();
        if let Some(features) = &mut fact.features {
            features.from = row.get(6)?;
        }
    }
    Ok(())
}

/// Since when each symbol is tracked, or was; by symbol.
fn tracked_since(connection: &Connection) -> StoreResult<Vec<(Symbol, i64)>> {
    let mut statement =
        connection.prepare_cached("SELECT symbol, added_at FROM tracked_symbols")?;
    let mut rows = statement.query([])?;
    let mut tracked = Vec::new();
    while let Some(row) = rows.next()? {
        tracked.push((word(text(row, 0)?)?, row.get(1)?));
    }
    tracked.sort_unstable();
    Ok(tracked)
}

/// The symbol of that name, and since when it is tracked.
fn since(
    tracked: &mut Option<Vec<(Symbol, i64)>>,
    connection: &Connection,
    name: &str,
) -> StoreResult<(Symbol, Option<i64>)> {
    let tracked = match tracked {
        Some(tracked) => tracked,
        None => tracked.insert(tracked_since(connection)?),
    };
    let found = tracked.binary_search_by(|(symbol, _)| symbol.as_str().cmp(name));
    let (symbol, added_at) = match found {
        Ok(at) => tracked[at].clone(),
        Err(_) => return Err(StoreError::Value(format!("the untracked `{name}`"))),
    };
    Ok((symbol, Some(added_at)))
}

/// A number of a row; `None` where there is none.
fn number(row: &Row<'_>, column: usize) -> StoreResult<Option<i64>> {
    Ok(row.get_ref(column)?.as_i64_or_null().map_err(rusqlite::Error::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timeframe::Timeframe;
    use crate::store::Tracked;

    #[test]
    fn many_are_read_in_two_threads_as_they_are_in_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        let name = |index: usize| format!("S{index}").parse::<Symbol>().expect("a symbol");
        let symbols: Vec<Symbol> = (0..900).map(name).collect();
        let track = |symbol| Tracked {
            symbol,
            asset_class: "stock",
            provider: "one",
            calendar: "XNYS",
            group: "us",
            market: "m",
            timeframes: &Timeframe::ALL,
        };
        let tracked: Vec<Tracked<'_>> = symbols.iter().map(track).collect();
        store.write(|tx| tx.symbols_sync(&tracked, 10)).expect("the symbols are tracked");
        for sql in [
            "UPDATE series SET watermark_ts = series_id * 60 WHERE series_id % 11 <> 0",
            "UPDATE series SET consecutive_failures = 2, last_error = 'it broke' WHERE series_id % 7 = 0",
            "UPDATE series SET quality_from = 5, features_from = 6 WHERE series_id % 1000 = 1",
            "DELETE FROM series WHERE series_id BETWEEN 3000 AND 3100",
        ] {
            store.connection.execute(sql, []).expect("the rows are written");
        }
        let in_one = store.write(|tx| tx.series_all()).expect("the series");
        let in_two = store.series_all().expect("the series");
        assert_eq!(in_two.len(), 900 * 8 - 101);
        assert!(in_two.values().eq(in_one.values()));
        let is_marked = |id: i64| id % 7 == 0 || id % 1000 == 1;
        assert!(in_two.values().all(|fact| fact.marks.is_some() == is_marked(fact.series_id)));
        let (judged, gaps) = store.series_judged().expect("the series");
        assert_eq!((judged.len(), gaps.len()), (in_one.len(), 0));
        for (judged, whole) in judged.values().zip(in_one.values()) {
            assert_eq!((&judged.key, &judged.marks), (&whole.key, &whole.marks));
            let is_asked = whole.watermark_ts.is_none();
            assert_eq!(judged.added_at, Some(10).filter(|_| is_asked), "{}", judged.key);
        }
    }
}
