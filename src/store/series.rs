//! Tracked symbols and their series.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use crate::domain::fact::{FeaturesFact, Marks, Planned};
use crate::domain::feature::FeatureSet;
use crate::domain::series::Symbol;
use crate::domain::timeframe::Timeframe;

use super::{StoreResult, Writer, sql_count, text, text_or_null, word};

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

/// What of a series' row changes as runs go, as [`SeriesFact`](crate::domain::fact::SeriesFact) tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// Its first stored bar; `None` without bars.
    pub first_ts: Option<i64>,
    /// Its last stored bar; `None` without bars.
    pub watermark_ts: Option<i64>,
    /// How many bars are stored.
    pub bar_count: u64,
    /// Its features.
    pub features: FeaturesFact,
    /// What is out of the ordinary.
    pub marks: Marks,
    /// What the next plan rests on.
    pub planned: Planned,
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
            let market = text_or_null(row, 3)?;
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
        let SeriesRow { features, marks, planned, .. } = row;
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
                planned.settled_ts,
                sql_count(row.bar_count),
                planned.adjustment.as_str(),
                planned.last_fetched_at,
                marks.consecutive_failures,
                marks.last_error,
                planned.rests_until,
                planned.file_mark.map(|mark| mark.modified_ns),
                planned.file_mark.map(|mark| mark.bytes),
                planned.settle_read_at,
                marks.restated_to,
                marks.due_from,
                marks.quality_from,
                set,
                features.from,
                features.last_ts,
                features.computed_at,
                series_id,
            ])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bar::Adjustment;
    use crate::domain::fact::{FileMark, SeriesFact};
    use crate::domain::series::SeriesKey;
    use crate::domain::series_facts::SeriesFacts;
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
        let marks = Marks {
            consecutive_failures: 6,
            last_error: Some("it broke".to_owned()),
            restated_to: Some(11),
            due_from: Some(12),
            quality_from: Some(13),
        };
        let planned = Planned {
            adjustment: Adjustment::Splits,
            settled_ts: Some(3),
            last_fetched_at: Some(5),
            settle_read_at: Some(10),
            rests_until: Some(7),
            file_mark: Some(FileMark { modified_ns: 8, bytes: 9 }),
        };
        let row = SeriesRow {
            first_ts: Some(1),
            watermark_ts: Some(2),
            bar_count: 4,
            features,
            marks: marks.clone(),
            planned: planned.clone(),
        };
        store.write(|tx| tx.series_set(1, &row)).expect("the row is set");
        let fact = |all: SeriesFacts| all.into_iter().find(|fact| fact.series_id == 1);
        let whole = fact(store.series_all().expect("the series")).expect("the series");
        let wanted = SeriesFact {
            series_id: 1,
            key: SeriesKey { symbol: symbols[0].clone(), timeframe: Timeframe::D1 },
            first_ts: Some(1),
            watermark_ts: Some(2),
            bar_count: 4,
            added_at: Some(10),
            features: Some(features),
            marks: marks.boxed(),
            planned: Some(Box::new(planned)),
        };
        assert_eq!(whole, wanted);
        let (judged, _) = store.series_judged().expect("the series");
        let features = Some(FeaturesFact { set: FeatureSet::NONE, ..features });
        let wanted = SeriesFact { features, added_at: None, planned: None, ..wanted };
        assert_eq!(fact(judged), Some(wanted));
    }
}
