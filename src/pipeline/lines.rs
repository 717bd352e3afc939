//! The series of a run. Whoever changes one gets it from here, and what it differs in then from its row is
//! written once a transaction, however often it was changed.

use std::collections::HashMap;

use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::store::{SeriesRow, StoreResult, Writer};

use super::line::Line;
use super::want::Holdings;

/// Every series, in the order of its key.
#[derive(Debug)]
pub(super) struct Lines {
    all: Vec<Line>,
    /// Where each stands.
    places: HashMap<SeriesKey, usize>,
    /// Those that may differ from their rows, each with what stands there.
    touched: Vec<(SeriesKey, SeriesRow)>,
}

impl Lines {
    pub(super) fn new(lines: impl Iterator<Item = (SeriesKey, Line)>) -> Self {
        let mut all = Vec::with_capacity(lines.size_hint().0);
        let mut places = HashMap::with_capacity(lines.size_hint().0);
        for (key, line) in lines {
            places.insert(key, all.len());
            all.push(line);
        }
        Self { all, places, touched: Vec::new() }
    }

    pub(super) fn get(&self, key: &SeriesKey) -> Option<&Line> {
        Some(&self.all[*self.places.get(key)?])
    }

    pub(super) fn get_mut(&mut self, key: &SeriesKey) -> Option<&mut Line> {
        let line = &mut self.all[*self.places.get(key)?];
        if !line.is_touched {
            line.is_touched = true;
            self.touched.push((key.clone(), line.row()));
        }
        Some(line)
    }

    /// The series of a symbol, by timeframe.
    pub(super) fn of(&self, symbol: &Symbol) -> impl Iterator<Item = (&SeriesKey, &Line)> {
        let key = |timeframe| SeriesKey { symbol: symbol.clone(), timeframe };
        let places =
            Timeframe::ALL.into_iter().filter_map(move |tf| self.places.get_key_value(&key(tf)));
        places.map(|(key, place)| (key, &self.all[*place]))
    }

    /// What the store holds of them, once it is saved.
    pub(super) fn into_holdings(self) -> Holdings {
        let mut holdings = Holdings::default();
        let series = self.all.into_iter().map(|line| {
            let (fact, coverage, gaps) = line.into_held();
            holdings.coverage.insert(fact.series_id, coverage);
            holdings.gaps.insert(fact.series_id, gaps);
            fact
        });
        let series = series.collect();
        Holdings { series, ..holdings }
    }

    /// Writes the rows that are not any more what they were: at the end of every transaction.
    pub(super) fn save(&mut self, tx: &Writer<'_>) -> StoreResult<()> {
        for (key, before) in self.touched.drain(..) {
            let Some(place) = self.places.get(&key) else { continue };
            let line = &mut self.all[*place];
            line.is_touched = false;
            let row = line.row();
            if row != before {
                tx.series_set(line.series_id, &row)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::range::RangeSet;
    use crate::store::{Store, Tracked};

    fn lines(store: &Store) -> Lines {
        let all = store.series_all().expect("the series").into_iter();
        Lines::new(all.map(|fact| (fact.key.clone(), Line::new(fact, RangeSet::new(), Vec::new()))))
    }

    #[test]
    fn what_changed_is_written_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        let symbol: Symbol = "A".parse().expect("a symbol");
        let tracked = Tracked {
            symbol: &symbol,
            asset_class: "stock",
            provider: "p",
            calendar: "XNYS",
            group: "us",
            market: "m",
            timeframes: &[Timeframe::H1, Timeframe::D1],
        };
        store.write(|tx| tx.symbols_sync(&[tracked], 0)).expect("the symbol is tracked");
        let key = |timeframe| SeriesKey { symbol: symbol.clone(), timeframe };
        let (hours, days) = (key(Timeframe::H1), key(Timeframe::D1));

        let mut held = lines(&store);
        for bars in [3, 4] {
            let line = held.get_mut(&days).expect("days");
            line.fetched(Some(100), bars);
            line.wrote(10, 20);
            line.changed(10);
        }
        held.get_mut(&hours).expect("hours").wrote(1, 2);
        store.write(|tx| held.save(tx)).expect("they are saved");
        let row = |store: &Store, key: &SeriesKey| lines(store).get(key).map(Line::row);
        let saved = row(&store, &days).expect("days");
        assert_eq!((saved.bar_count, saved.planned.last_fetched_at), (7, Some(100)));
        assert_eq!((saved.first_ts, saved.watermark_ts), (Some(10), Some(20)));
        assert_eq!((saved.features.from, saved.marks.quality_from), (Some(10), Some(10)));
        assert_eq!(row(&store, &hours).and_then(|row| row.watermark_ts), Some(2));

        // Somebody else's word stays where nothing is to be said.
        let other = SeriesRow { bar_count: 99, ..saved };
        let series_id = held.get(&days).expect("days").series_id;
        store.write(|tx| tx.series_set(series_id, &other)).expect("a word");
        assert!(held.get_mut(&days).is_some());
        store.write(|tx| held.save(tx)).expect("they are saved");
        assert_eq!(row(&store, &days).map(|row| row.bar_count), Some(99));
    }
}
