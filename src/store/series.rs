//! Tracked symbols and their series.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Row, params};

use crate::domain::bar::Adjustment;
use crate::domain::fact::{FeaturesFact, FileMark, SeriesFact};
use crate::domain::feature::FeatureSet;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::series_facts::SeriesFacts;
use crate::domain::timeframe::Timeframe;

use super::{Put, Store, StoreError, StoreResult, Writer, count, sql_count, word};

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

impl Writer<'_> {
    /// Makes `tracked_symbols` and `series` agree with the config: what is new is added at `now`,
    /// what is gone becomes inactive, what came back is active again. Rows are never taken away. Where
    /// the market of a series is another one than before, what was made of its bars is to be made anew.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn symbols_sync(&self, tracked: &[Tracked<'_>], now: i64) -> StoreResult<()> {
        let wanted: BTreeSet<&str> = tracked.iter().map(|row| row.symbol.as_str()).collect();
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO tracked_symbols
                 (symbol, asset_class, provider, calendar, group_name, active, added_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
             ON CONFLICT (symbol) DO UPDATE SET asset_class = ?2, provider = ?3, calendar = ?4,
                 group_name = ?5, active = 1, removed_at = NULL,
                 added_at = CASE active WHEN 1 THEN added_at ELSE ?6 END
             WHERE (asset_class, provider, calendar, group_name, active) IS NOT (?2, ?3, ?4, ?5, 1)",
        )?;
        let mut series = self.connection.prepare_cached(
            "INSERT INTO series (symbol, timeframe, provider, market) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (symbol, timeframe) DO UPDATE SET provider = ?3, market = ?4,
                 features_from = iif(market IS NULL OR market = ?4, features_from, first_ts),
                 quality_from = iif(market IS NULL OR market = ?4, quality_from, first_ts)
             WHERE (provider, market) IS NOT (?3, ?4)",
        )?;
        for row in tracked {
            let (symbol, provider) = (row.symbol.as_str(), row.provider);
            upsert.execute(params![
                symbol,
                row.asset_class,
                provider,
                row.calendar,
                row.group,
                now
            ])?;
            for timeframe in row.timeframes {
                series.execute(params![symbol, timeframe.as_str(), provider, row.market])?;
            }
        }
        let mut active = self
            .connection
            .prepare_cached("SELECT symbol FROM tracked_symbols WHERE active = 1")?;
        let held: Vec<String> =
            active.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut retire = self.connection.prepare_cached(
            "UPDATE tracked_symbols SET active = 0, removed_at = ?2 WHERE symbol = ?1",
        )?;
        for symbol in held.iter().filter(|symbol| !wanted.contains(symbol.as_str())) {
            retire.execute(params![symbol, now])?;
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
        for table in ["reference_data", "tracked_symbols"] {
            let sql = format!("DELETE FROM {table} WHERE symbol = ?");
            self.connection.execute(&sql, [symbol.as_str()])?;
        }
        Ok(())
    }

    /// Notes that a series' provider answered, and the bars that came of it; `at` is `None` where bars came
    /// without it.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn series_fetched(&self, series_id: i64, at: Option<i64>, put: &Put) -> StoreResult<()> {
        let first = put.grown.map(|grown| grown.start);
        let last = put.grown.map(|grown| grown.end - 1);
        self.connection
            .prepare_cached(
                "UPDATE series SET last_fetched_at = coalesce(?2, last_fetched_at), bar_count = bar_count + ?3,
                 first_ts = coalesce(min(first_ts, ?4), first_ts, ?4),
                 watermark_ts = coalesce(max(watermark_ts, ?5), watermark_ts, ?5)
                 WHERE series_id = ?1",
            )?
            .execute(params![series_id, at, sql_count(put.inserted), first, last])?;
        Ok(())
    }

    /// Notes that bars from `ts` on are new or changed: what was made of them is to be made anew.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn series_changed(&self, series_id: i64, ts: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE series SET features_from = min(coalesce(features_from, ?2), ?2),
                 quality_from = min(coalesce(quality_from, ?2), ?2) WHERE series_id = ?1",
            )?
            .execute(params![series_id, ts])?;
        Ok(())
    }

    /// Notes that the bars of a series before `ts` are in prices that its provider has restated since;
    /// `None` once none is.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn series_restated(&self, series_id: i64, ts: Option<i64>) -> StoreResult<()> {
        self.connection
            .prepare_cached("UPDATE series SET restated_to = ?2 WHERE series_id = ?1")?
            .execute(params![series_id, ts])?;
        Ok(())
    }

    /// Notes from which `ts` on the bars of a series are due although it holds earlier ones.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn series_due_from(&self, series_id: i64, ts: Option<i64>) -> StoreResult<()> {
        self.connection
            .prepare_cached("UPDATE series SET due_from = ?2 WHERE series_id = ?1")?
            .execute(params![series_id, ts])?;
        Ok(())
    }

    /// Notes the file that was read for a series, to its end.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn file_read(&self, series_id: i64, mark: FileMark) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE series SET file_modified_ns = ?2, file_bytes = ?3 WHERE series_id = ?1",
            )?
            .execute(params![series_id, mark.modified_ns, mark.bytes])?;
        Ok(())
    }

    /// Notes that what is not settled of a series was read, by a run that is judged at `now`.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn settle_read(&self, series_id: i64, now: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached("UPDATE series SET settle_read_at = ?2 WHERE series_id = ?1")?
            .execute(params![series_id, now])?;
        Ok(())
    }

    /// Notes how a series' part of a job ended: `error` is `None` when it went well, else what went
    /// wrong and until when the series is left alone for it.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn series_ended(
        &self,
        series_id: i64,
        settled_ts: Option<i64>,
        error: Option<(&str, Option<i64>)>,
    ) -> StoreResult<()> {
        let (error, rests_until) = error.unzip();
        self.connection
            .prepare_cached(
                "UPDATE series SET last_error = ?2, settled_ts = coalesce(?3, settled_ts),
                 rests_until = ?4,
                 consecutive_failures = CASE WHEN ?2 IS NULL THEN 0 ELSE consecutive_failures + 1 END
                 WHERE series_id = ?1",
            )?
            .execute(params![series_id, error, settled_ts, rests_until.flatten()])?;
        Ok(())
    }

    /// Notes up to which `ts` a series is settled, unless it is so further on already.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn series_settled(&self, series_id: i64, settled_ts: Option<i64>) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE series SET settled_ts = ?2
                 WHERE series_id = ?1 AND coalesce(settled_ts < ?2, ?2 IS NOT NULL)",
            )?
            .execute(params![series_id, settled_ts])?;
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
        "{judged}, adjustment, last_fetched_at, file_modified_ns, file_bytes, {}, {newer}",
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
    let set = row.get_ref(20)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    if let (Some(features), Some(set)) = (&mut fact.features, set) {
        features.set = word(set)?;
    }
    Ok(())
}
