//! Every series as it is stored: the question that most reports and every run begin with, of tens of
//! thousands of rows.

use std::ops::Range;

use rusqlite::{Connection, Row};

use crate::both::both;
use crate::domain::fact::{FeaturesFact, FileMark, Marks, Planned, SeriesFact};
use crate::domain::feature::FeatureSet;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::series_facts::SeriesFacts;

use super::{Store, StoreError, StoreResult, Writer, count, text, word};

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
        read(self.connection, Depth::Whole, 0..i64::MAX, &mut all)?;
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
        self.series_to(Depth::Whole)
    }

    /// Every series as far as its bars and features are judged: what only a plan rests on is left out.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn series_judged(&self) -> StoreResult<SeriesFacts> {
        self.series_to(Depth::Judged)
    }

    /// Many are read in two parts at once. Each of them is of one moment, and a commit may lie between the
    /// two, as it may between any two questions: a series is one row, and in one of them.
    fn series_to(&self, depth: Depth) -> StoreResult<SeriesFacts> {
        let last: Option<i64> = self.read(|connection| {
            Ok(connection.query_row("SELECT max(series_id) FROM series", [], |row| row.get(0))?)
        })?;
        let end = last.map_or(0, |last| last.saturating_add(1));
        let mut all = Vec::with_capacity(usize::try_from(end).unwrap_or(0).min(ROOM));
        if end <= MANY {
            self.series_of(depth, 0..end, &mut all)?;
            return Ok(all.into_iter().collect());
        }
        // The other thread has to open the database first.
        let (path, part) = (&self.path, end / 8 * 5);
        let there = || {
            let mut all = Vec::with_capacity(usize::try_from(end - part).unwrap_or(0).min(ROOM));
            Self::open_read(path)?.series_of(depth, part..end, &mut all).map(|()| all)
        };
        let (there, here) = both(there, || self.series_of(depth, 0..part, &mut all));
        here?;
        match there {
            Ok(more) => all.extend(more),
            // Where there may be no second connection, one has to do.
            Err(_) => self.series_of(depth, part..end, &mut all)?,
        }
        Ok(all.into_iter().collect())
    }

    fn series_of(
        &self,
        depth: Depth,
        ids: Range<i64>,
        all: &mut Vec<SeriesFact>,
    ) -> StoreResult<()> {
        self.read(|connection| {
            // It takes several questions, and all of them are about one moment.
            let reading = connection.unchecked_transaction()?;
            read(&reading, depth, ids, all)
        })
    }
}

/// How much of each series is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// What is judged of it.
    Judged,
    /// What a plan rests on, too.
    Whole,
}

/// Adds the series with these ids, by id. That is nearly the order of their keys; neighbours share a symbol.
fn read(
    connection: &Connection,
    depth: Depth,
    ids: Range<i64>,
    all: &mut Vec<SeriesFact>,
) -> StoreResult<()> {
    let begin = all.len();
    let tracked = tracked_since(connection)?;
    let has_features = connection.column_exists(None, "series", "features_from")?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {} FROM series WHERE series_id >= ? AND series_id < ? ORDER BY series_id",
        columns(connection, depth, has_features)?
    ))?;
    let mut rows = statement.query([ids.start, ids.end])?;
    while let Some(row) = rows.next()? {
        let name = text(row, 1)?;
        let before = all.last().filter(|fact| fact.key.symbol.as_str() == name);
        let (symbol, added_at) = match before {
            Some(fact) => (fact.key.symbol.clone(), fact.added_at),
            None => since(&tracked, name)?,
        };
        all.push(SeriesFact {
            series_id: row.get(0)?,
            key: SeriesKey { symbol, timeframe: word(text(row, 2)?)? },
            first_ts: row.get(3)?,
            watermark_ts: row.get(4)?,
            bar_count: count(row.get(5)?),
            added_at,
            features: if has_features { Some(features_of(row, depth)?) } else { None },
            marks: None,
            planned: if depth == Depth::Whole { Some(planned_of(row)?) } else { None },
        });
    }
    mark(connection, has_features, ids, &mut all[begin..])
}

/// What is read of a series, in the order in which it is read; a database of an older schema has not noted
/// all of it.
fn columns(connection: &Connection, depth: Depth, has_features: bool) -> StoreResult<String> {
    let features = if has_features { "features_ts, features_computed_at" } else { "NULL, NULL" };
    let judged =
        format!("series_id, symbol, timeframe, first_ts, watermark_ts, bar_count, {features}");
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

fn features_of(row: &Row<'_>, depth: Depth) -> StoreResult<FeaturesFact> {
    let set = match depth {
        Depth::Judged => None,
        Depth::Whole => row.get_ref(15)?.as_str_or_null().map_err(rusqlite::Error::from)?,
    };
    Ok(FeaturesFact {
        set: set.map_or(Ok(FeatureSet::NONE), word)?,
        from: None,
        last_ts: row.get(6)?,
        computed_at: row.get(7)?,
    })
}

fn planned_of(row: &Row<'_>) -> StoreResult<Box<Planned>> {
    let (modified_ns, bytes): (Option<i64>, Option<i64>) = (row.get(11)?, row.get(12)?);
    Ok(Box::new(Planned {
        adjustment: word(text(row, 8)?)?,
        settled_ts: row.get(9)?,
        last_fetched_at: row.get(10)?,
        file_mark: modified_ns
            .zip(bytes)
            .map(|(modified_ns, bytes)| FileMark { modified_ns, bytes }),
        settle_read_at: row.get(13)?,
        rests_until: row.get(14)?,
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
    let newer =
        if has_features { "restated_to, quality_from, features_from" } else { "NULL, NULL, NULL" };
    let marks = format!("last_error, {}, {newer}", known(connection, "due_from")?);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT series_id, consecutive_failures, {marks} FROM series
          WHERE series_id >= ? AND series_id < ?
            AND (consecutive_failures <> 0 OR coalesce({marks}) IS NOT NULL)"
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
fn since(tracked: &[(Symbol, i64)], name: &str) -> StoreResult<(Symbol, i64)> {
    let found = tracked.binary_search_by(|(symbol, _)| symbol.as_str().cmp(name));
    let untracked = |_| StoreError::Value(format!("the untracked `{name}`"));
    found.map(|at| tracked[at].clone()).map_err(untracked)
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
            "UPDATE series SET watermark_ts = series_id * 60",
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
    }
}
