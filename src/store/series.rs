//! Tracked symbols and their series.

use std::collections::{HashMap, HashSet};

use rusqlite::{Row, params};

use crate::domain::bar::Adjustment;
use crate::domain::fact::{FeaturesFact, FileMark, SeriesFact};
use crate::domain::feature::FeatureSet;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::series_facts::SeriesFacts;
use crate::domain::timeframe::Timeframe;

use super::{Store, StoreError, StoreResult, Writer, count, sql_count, word};

/// A symbol as the config tracks it.
#[derive(Clone, Debug)]
pub struct Tracked<'a> {
    /// The symbol.
    pub symbol: &'a Symbol,
    /// Its asset class, in words.
    pub asset_class: &'a str,
    /// Its provider's name in the config.
    pub provider: &'a str,
    /// Its calendar's name.
    pub calendar: &'a str,
    /// Its group's name.
    pub group: &'a str,
    /// What its calendar's sessions and its bars' windows rest on.
    pub market: &'a str,
    /// The timeframes that are stored for it.
    pub timeframes: &'a [Timeframe],
}

/// What of a series' row changes as runs go; times and `ts` are epoch seconds UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// Its first stored bar; `None` without bars.
    pub first_ts: Option<i64>,
    /// Its last stored bar; `None` without bars.
    pub watermark_ts: Option<i64>,
    /// Up to which `ts` its bars are settled; `None` before any is.
    pub settled_ts: Option<i64>,
    /// How many bars are stored.
    pub bar_count: u64,
    /// What its prices contain.
    pub adjustment: Adjustment,
    /// When its provider last answered for it; `None` before it ever did.
    pub last_fetched_at: Option<i64>,
    /// Failed runs since the last good one.
    pub consecutive_failures: u32,
    /// What went wrong last; `None` once it went well again.
    pub last_error: Option<String>,
    /// Until when it is left alone after its failures; `None` when it is not.
    pub rests_until: Option<i64>,
    /// The file that was read for it to its end; `None` where there is none.
    pub file_mark: Option<FileMark>,
    /// When what is not settled was last read, by the instant that run was judged at.
    pub settle_read_at: Option<i64>,
    /// Bars before it are in prices that its provider has restated since; `None` once none is.
    pub restated_to: Option<i64>,
    /// From which `ts` on its bars are due although it holds earlier ones; `None` where it holds none.
    pub due_from: Option<i64>,
    /// From which `ts` on its bars are still to be looked at; `None` when all were.
    pub quality_from: Option<i64>,
    /// Its features.
    pub features: FeaturesFact,
}

impl Writer<'_> {
    /// Makes `tracked_symbols` and `series` agree with the config: what is new is added at `now`,
    /// what is gone becomes inactive, what came back is active again. Rows are never taken away. Where
    /// the market of a series is another one than before, what was made of its bars is to be made anew.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn symbols_sync(&self, tracked: &[Tracked<'_>], now: i64) -> StoreResult<()> {
        self.symbols_upsert(tracked, now)?;
        self.series_upsert(tracked)
    }

    /// Most runs find every symbol as it is: to read them all is cheaper than to offer each its row.
    fn symbols_upsert(&self, tracked: &[Tracked<'_>], now: i64) -> StoreResult<()> {
        let mut wanted: HashMap<&str, &Tracked<'_>> =
            tracked.iter().map(|row| (row.symbol.as_str(), row)).collect();
        let mut gone: Vec<String> = Vec::new();
        let mut active = self.connection.prepare_cached(
            "SELECT symbol, asset_class, provider, calendar, group_name FROM tracked_symbols
              WHERE active = 1",
        )?;
        let mut rows = active.query([])?;
        while let Some(row) = rows.next()? {
            let symbol = text(row, 0)?;
            let Some(held) = wanted.get(symbol) else {
                gone.push(symbol.to_owned());
                continue;
            };
            let is_same = text(row, 1)? == held.asset_class
                && text(row, 2)? == held.provider
                && text(row, 3)? == held.calendar
                && text(row, 4)? == held.group;
            if is_same {
                wanted.remove(symbol);
            }
        }
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO tracked_symbols
                 (symbol, asset_class, provider, calendar, group_name, active, added_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
             ON CONFLICT (symbol) DO UPDATE SET asset_class = ?2, provider = ?3, calendar = ?4,
                 group_name = ?5, active = 1, removed_at = NULL,
                 added_at = CASE active WHEN 1 THEN added_at ELSE ?6 END",
        )?;
        for row in tracked.iter().filter(|row| wanted.contains_key(row.symbol.as_str())) {
            let Tracked { asset_class, provider, calendar, group, .. } = row;
            let symbol = row.symbol.as_str();
            upsert.execute(params![symbol, asset_class, provider, calendar, group, now])?;
        }
        let mut retire = self.connection.prepare_cached(
            "UPDATE tracked_symbols SET active = 0, removed_at = ?2 WHERE symbol = ?1",
        )?;
        for symbol in gone {
            retire.execute(params![symbol, now])?;
        }
        Ok(())
    }

    fn series_upsert(&self, tracked: &[Tracked<'_>]) -> StoreResult<()> {
        let mut same: HashSet<(&str, Timeframe)> = HashSet::new();
        let wanted: HashMap<&str, &Tracked<'_>> =
            tracked.iter().map(|row| (row.symbol.as_str(), row)).collect();
        let mut held = self
            .connection
            .prepare_cached("SELECT symbol, timeframe, provider, market FROM series")?;
        let mut rows = held.query([])?;
        while let Some(row) = rows.next()? {
            let Some(wanted) = wanted.get(text(row, 0)?) else { continue };
            let market = row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            if text(row, 2)? == wanted.provider && market == Some(wanted.market) {
                same.insert((wanted.symbol.as_str(), word(text(row, 1)?)?));
            }
        }
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO series (symbol, timeframe, provider, market) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (symbol, timeframe) DO UPDATE SET provider = ?3, market = ?4,
                 features_from = iif(market IS NULL OR market = ?4, features_from, first_ts),
                 quality_from = iif(market IS NULL OR market = ?4, quality_from, first_ts)",
        )?;
        for row in tracked {
            let symbol = row.symbol.as_str();
            let new = row.timeframes.iter().filter(|tf| !same.contains(&(symbol, **tf)));
            for timeframe in new {
                upsert.execute(params![symbol, timeframe.as_str(), row.provider, row.market])?;
            }
        }
        Ok(())
    }

    /// Whether anything is stored of a symbol.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn symbol_is_known(&self, symbol: &Symbol) -> StoreResult<bool> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM tracked_symbols WHERE symbol = ?)")?;
        Ok(statement.query_row([symbol.as_str()], |row| row.get(0))?)
    }

    /// Gives what is stored of `symbol` the name `new`, under which nothing is stored. What runs did under
    /// the old name stays; its provider is asked for actions and reference data under the new one.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn symbol_rename(&self, symbol: &Symbol, new: &Symbol) -> StoreResult<()> {
        let names = [symbol.as_str(), new.as_str()];
        self.connection.execute(
            "INSERT INTO tracked_symbols (symbol, asset_class, provider, calendar, group_name, active,
                 added_at, removed_at)
             SELECT ?2, asset_class, provider, calendar, group_name, active, added_at, removed_at
               FROM tracked_symbols WHERE symbol = ?1",
            names,
        )?;
        for table in ["series", "corporate_actions", "freshness", "quality_metrics"] {
            let sql = format!("UPDATE {table} SET symbol = ?2 WHERE symbol = ?1");
            self.connection.execute(&sql, names)?;
        }
        for table in ["actions_told", "reference_data", "tracked_symbols"] {
            let sql = format!("DELETE FROM {table} WHERE symbol = ?");
            self.connection.execute(&sql, [symbol.as_str()])?;
        }
        Ok(())
    }

    /// Writes what a series' row holds now.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn series_set(&self, series_id: i64, row: &SeriesRow) -> StoreResult<()> {
        let SeriesRow { features, file_mark, .. } = row;
        let set = (features.set != FeatureSet::NONE).then(|| features.set.to_string());
        self.connection
            .prepare_cached(
                "UPDATE series SET first_ts = ?, watermark_ts = ?, settled_ts = ?, bar_count = ?,
                     adjustment = ?, last_fetched_at = ?, consecutive_failures = ?, last_error = ?,
                     rests_until = ?, file_modified_ns = ?, file_bytes = ?, settle_read_at = ?,
                     restated_to = ?, due_from = ?, quality_from = ?, feature_set = ?,
                     features_from = ?, features_ts = ?, features_computed_at = ?
                 WHERE series_id = ?",
            )?
            .execute(params![
                row.first_ts,
                row.watermark_ts,
                row.settled_ts,
                sql_count(row.bar_count),
                row.adjustment.as_str(),
                row.last_fetched_at,
                row.consecutive_failures,
                row.last_error,
                row.rests_until,
                file_mark.map(|mark| mark.modified_ns),
                file_mark.map(|mark| mark.bytes),
                row.settle_read_at,
                row.restated_to,
                row.due_from,
                row.quality_from,
                set,
                features.from,
                features.last_ts,
                features.computed_at,
                series_id,
            ])?;
        Ok(())
    }

    /// Every series, also of symbols that left the config.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn series_all(&self) -> StoreResult<SeriesFacts> {
        read_all(self.connection, Depth::Whole)
    }
}

impl Store {
    /// Every series, also of symbols that left the config.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn series_all(&self) -> StoreResult<SeriesFacts> {
        self.read(|connection| read_all(connection, Depth::Whole))
    }

    /// Every series as far as its bars and features are judged: what only a plan rests on is left out, as
    /// if it had never been noted. Of many series that is a third of their columns.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn series_judged(&self) -> StoreResult<SeriesFacts> {
        self.read(|connection| read_all(connection, Depth::Judged))
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

/// Read in the order of the table, which is nearly that of the keys; neighbours share a symbol.
fn read_all(connection: &rusqlite::Connection, depth: Depth) -> StoreResult<SeriesFacts> {
    let added = tracked_since(connection)?;
    let known = connection.column_exists(None, "series", "features_from")?;
    let columns = columns(connection, depth, known)?;
    let sql = format!("SELECT {columns} FROM series ORDER BY series_id");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let many = connection.query_row("SELECT count(*) FROM series", [], |row| row.get(0))?;
    let mut all: Vec<SeriesFact> =
        Vec::with_capacity(usize::try_from(count(many)).unwrap_or_default());
    while let Some(row) = rows.next()? {
        let name = text(row, 1)?;
        let before = all.last().filter(|fact| fact.key.symbol.as_str() == name);
        let (symbol, added_at) = match (before, added.get_key_value(name)) {
            (Some(fact), _) => (fact.key.symbol.clone(), fact.added_at),
            (None, Some((symbol, added_at))) => (symbol.clone(), *added_at),
            (None, None) => return Err(StoreError::Value(format!("the untracked `{name}`"))),
        };
        let mut fact = fact_of(row, symbol, added_at)?;
        fact.features = known.then(|| features_of(row)).transpose()?;
        if depth == Depth::Whole {
            note_plan(row, &mut fact)?;
        }
        all.push(fact);
    }
    Ok(all.into_iter().collect())
}

/// What is read of a series, in the order in which it is read; a database of an older schema has not noted
/// all of it.
fn columns(
    connection: &rusqlite::Connection,
    depth: Depth,
    has_features: bool,
) -> StoreResult<String> {
    let column = |name: &'static str| -> StoreResult<&str> {
        Ok(if connection.column_exists(None, "series", name)? { name } else { "NULL" })
    };
    let features = if has_features {
        "features_from, features_ts, features_computed_at, restated_to, quality_from"
    } else {
        "NULL, NULL, NULL, NULL, NULL"
    };
    let judged = format!(
        "series_id, symbol, timeframe, first_ts, watermark_ts, bar_count, consecutive_failures, last_error,
         {}, {features}",
        column("due_from")?
    );
    if depth == Depth::Judged {
        return Ok(judged);
    }
    let newer = if has_features { "rests_until, feature_set" } else { "NULL, NULL" };
    Ok(format!(
        "{judged}, adjustment, last_fetched_at, file_modified_ns, file_bytes, {}, {newer}, settled_ts",
        column("settle_read_at")?
    ))
}

/// Since when each symbol is tracked, or was.
fn tracked_since(connection: &rusqlite::Connection) -> StoreResult<HashMap<Symbol, i64>> {
    let mut statement =
        connection.prepare_cached("SELECT symbol, added_at FROM tracked_symbols")?;
    let mut rows = statement.query([])?;
    let mut added = HashMap::new();
    while let Some(row) = rows.next()? {
        added.insert(word(text(row, 0)?)?, row.get(1)?);
    }
    Ok(added)
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> StoreResult<&'row str> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}

fn features_of(row: &Row<'_>) -> StoreResult<FeaturesFact> {
    Ok(FeaturesFact {
        set: FeatureSet::default(),
        from: row.get(9)?,
        last_ts: row.get(10)?,
        computed_at: row.get(11)?,
    })
}

fn fact_of(row: &Row<'_>, symbol: Symbol, added_at: i64) -> StoreResult<SeriesFact> {
    Ok(SeriesFact {
        series_id: row.get(0)?,
        key: SeriesKey { symbol, timeframe: word(text(row, 2)?)? },
        first_ts: row.get(3)?,
        watermark_ts: row.get(4)?,
        settled_ts: None,
        bar_count: count(row.get(5)?),
        consecutive_failures: row.get(6)?,
        last_error: row.get(7)?,
        added_at,
        due_from: row.get(8)?,
        restated_to: row.get(12)?,
        quality_from: row.get(13)?,
        features: None,
        adjustment: Adjustment::Raw,
        last_fetched_at: None,
        settle_read_at: None,
        rests_until: None,
        file_mark: None,
    })
}

/// Adds what a plan rests on.
fn note_plan(row: &Row<'_>, fact: &mut SeriesFact) -> StoreResult<()> {
    fact.adjustment = word(text(row, 14)?)?;
    fact.last_fetched_at = row.get(15)?;
    fact.file_mark = row
        .get::<_, Option<i64>>(16)?
        .zip(row.get(17)?)
        .map(|(modified_ns, bytes)| FileMark { modified_ns, bytes });
    fact.settle_read_at = row.get(18)?;
    fact.rests_until = row.get(19)?;
    fact.settled_ts = row.get(21)?;
    let set = row.get_ref(20)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    if let (Some(features), Some(set)) = (&mut fact.features, set) {
        features.set = word(set)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    const DAYS: &[Timeframe] = &[Timeframe::D1, Timeframe::W1];

    fn tracked<'a>(symbols: &'a [Symbol], provider: &'a str, market: &'a str) -> Vec<Tracked<'a>> {
        let track = |symbol| Tracked {
            symbol,
            asset_class: "stock",
            provider,
            calendar: "XNYS",
            group: "us",
            market,
            timeframes: DAYS,
        };
        symbols.iter().map(track).collect()
    }

    /// Tracks those symbols; tells how many rows were written for it.
    fn sync(store: &mut Store, rows: &[Tracked<'_>], now: i64) -> u64 {
        let before = store.connection.total_changes();
        store.write(|tx| tx.symbols_sync(rows, now)).expect("the symbols are tracked");
        store.connection.total_changes() - before
    }

    fn texts(store: &Store, sql: &str) -> Vec<String> {
        let mut statement = store.connection.prepare(sql).expect("a statement");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    }

    #[test]
    fn only_what_the_config_has_changed_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        let symbols = ["B", "A", "C"].map(|text| text.parse::<Symbol>().expect("a symbol"));
        let all = tracked(&symbols, "one", "m1");
        assert_eq!(sync(&mut store, &all, 10), 3 + 6);
        assert_eq!(sync(&mut store, &all, 20), 0, "all is as it was");

        assert_eq!(sync(&mut store, &all[..2], 30), 1, "one symbol is gone");
        assert_eq!(sync(&mut store, &all[..2], 40), 0);
        let symbols_now = "SELECT concat_ws(' ', symbol, provider, active, added_at, \
                           coalesce(removed_at, '-')) FROM tracked_symbols ORDER BY symbol";
        assert_eq!(texts(&store, symbols_now), ["A one 1 10 -", "B one 1 10 -", "C one 0 10 30"]);
        assert_eq!(sync(&mut store, &all, 50), 1, "it came back");
        assert_eq!(texts(&store, symbols_now), ["A one 1 10 -", "B one 1 10 -", "C one 1 50 -"]);

        let mut some = all.clone();
        some[1].provider = "two";
        assert_eq!(sync(&mut store, &some, 60), 1 + 2, "one symbol has another provider");
        some[1].timeframes = &[Timeframe::D1, Timeframe::W1, Timeframe::H1];
        assert_eq!(sync(&mut store, &some, 70), 1, "and a series more");
    }

    #[test]
    fn in_another_market_what_was_made_of_bars_is_to_be_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        let symbols = ["A", "B"].map(|text| text.parse::<Symbol>().expect("a symbol"));
        sync(&mut store, &tracked(&symbols, "one", "m1"), 10);
        store.connection.execute("UPDATE series SET first_ts = 7", []).expect("first bars");
        let marks = "SELECT concat_ws(' ', symbol, timeframe, coalesce(features_from, '-'), \
                     coalesce(quality_from, '-')) FROM series ORDER BY symbol, timeframe";
        let mut rows = tracked(&symbols, "one", "m1");
        rows[1].market = "m2";
        assert_eq!(sync(&mut store, &rows, 20), 2);
        assert_eq!(texts(&store, marks), ["A 1d - -", "A 1w - -", "B 1d 7 7", "B 1w 7 7"]);
    }

    #[test]
    fn a_row_is_read_back_as_it_was_set() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        let symbols = ["A"].map(|text| text.parse::<Symbol>().expect("a symbol"));
        sync(&mut store, &tracked(&symbols, "one", "m1"), 10);
        let features = FeaturesFact {
            set: FeatureSet::ALL,
            from: Some(14),
            last_ts: Some(15),
            computed_at: Some(16),
        };
        let row = SeriesRow {
            first_ts: Some(1),
            watermark_ts: Some(2),
            settled_ts: Some(3),
            bar_count: 4,
            adjustment: Adjustment::Splits,
            last_fetched_at: Some(5),
            consecutive_failures: 6,
            last_error: Some("it broke".to_owned()),
            rests_until: Some(7),
            file_mark: Some(FileMark { modified_ns: 8, bytes: 9 }),
            settle_read_at: Some(10),
            restated_to: Some(11),
            due_from: Some(12),
            quality_from: Some(13),
            features,
        };
        store.write(|tx| tx.series_set(1, &row)).expect("the row is set");
        let all = store.series_all().expect("the series");
        let fact = all.values().find(|fact| fact.series_id == 1).expect("the series");
        let read = SeriesRow {
            first_ts: fact.first_ts,
            watermark_ts: fact.watermark_ts,
            settled_ts: fact.settled_ts,
            bar_count: fact.bar_count,
            adjustment: fact.adjustment,
            last_fetched_at: fact.last_fetched_at,
            consecutive_failures: fact.consecutive_failures,
            last_error: fact.last_error.clone(),
            rests_until: fact.rests_until,
            file_mark: fact.file_mark,
            settle_read_at: fact.settle_read_at,
            restated_to: fact.restated_to,
            due_from: fact.due_from,
            quality_from: fact.quality_from,
            features: fact.features.expect("its features"),
        };
        assert_eq!(read, row);
    }
}
