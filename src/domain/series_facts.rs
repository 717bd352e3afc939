//! Every series that the store knows, found by its key.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use super::fact::SeriesFact;
use super::series::{SeriesKey, Symbol};

/// Series in the order of their keys. Built once and asked again and again: a symbol is looked up, and its
/// few series stand side by side.
#[derive(Clone, Debug, Default)]
pub struct SeriesFacts {
    /// By key.
    all: Vec<SeriesFact>,
    /// Where those of each symbol stand; empty until one is looked up out of order.
    places: OnceLock<HashMap<Symbol, Range<usize>>>,
}

impl SeriesFacts {
    /// The series of that key; `None` when the store has none.
    #[must_use]
    pub fn get(&self, key: &SeriesKey) -> Option<&SeriesFact> {
        self.of(&key.symbol).iter().find(|fact| fact.key.timeframe == key.timeframe)
    }

    /// The series of a symbol, short to long; none when the store has none.
    #[must_use]
    pub fn of(&self, symbol: &Symbol) -> &[SeriesFact] {
        self.place(symbol).map_or(&[], |place| &self.all[place])
    }

    /// Looks up symbols that mostly follow each other as they do here: the next one is looked for first where it
    /// stands then.
    #[must_use]
    pub const fn walk(&self) -> Walk<'_> {
        Walk { facts: self, next: 0 }
    }

    /// The series of that key, to change what is known of it. Its key stays.
    pub fn get_mut(&mut self, key: &SeriesKey) -> Option<&mut SeriesFact> {
        let place = self.place(&key.symbol)?;
        self.all[place].iter_mut().find(|fact| fact.key.timeframe == key.timeframe)
    }

    fn place(&self, symbol: &Symbol) -> Option<Range<usize>> {
        self.places.get_or_init(|| places(&self.all)).get(symbol).cloned()
    }

    /// Each of them, by key.
    pub fn values(&self) -> impl Iterator<Item = &SeriesFact> {
        self.all.iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl FromIterator<SeriesFact> for SeriesFacts {
    fn from_iter<I: IntoIterator<Item = SeriesFact>>(series: I) -> Self {
        let mut all: Vec<SeriesFact> = series.into_iter().collect();
        // As a table has them they mostly are, and to move them is dearer than to look.
        if !all.is_sorted_by(|one, two| one.key <= two.key) {
            all.sort_by(|one, two| one.key.cmp(&two.key));
        }
        Self { all, places: OnceLock::new() }
    }
}

fn places(all: &[SeriesFact]) -> HashMap<Symbol, Range<usize>> {
    let by_symbol = || all.chunk_by(|one, two| one.key.symbol == two.key.symbol);
    let mut places = HashMap::with_capacity(by_symbol().count());
    let mut begin = 0;
    for own in by_symbol() {
        let end = begin + own.len();
        places.insert(own[0].key.symbol.clone(), begin..end);
        begin = end;
    }
    places
}

/// Finds the series of one symbol after another.
#[derive(Debug)]
pub struct Walk<'a> {
    facts: &'a SeriesFacts,
    /// Where those of the next symbol begin, if it is the one that follows.
    next: usize,
}

impl<'a> Walk<'a> {
    /// The series of a symbol, short to long; none when the store has none.
    pub fn of(&mut self, symbol: &Symbol) -> &'a [SeriesFact] {
        let rest = &self.facts.all[self.next..];
        let count = rest.iter().take_while(|fact| fact.key.symbol == *symbol).count();
        let place = match count {
            0 => self.facts.place(symbol),
            _ => Some(self.next..self.next + count),
        };
        let Some(place) = place else { return &[] };
        self.next = place.end;
        &self.facts.all[place]
    }
}

impl IntoIterator for SeriesFacts {
    type Item = SeriesFact;
    type IntoIter = std::vec::IntoIter<SeriesFact>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timeframe::Timeframe;

    fn series(symbol: &str, timeframe: Timeframe, series_id: i64) -> SeriesFact {
        SeriesFact {
            series_id,
            key: SeriesKey { symbol: symbol.parse().unwrap(), timeframe },
            first_ts: None,
            watermark_ts: None,
            bar_count: 0,
            added_at: None,
            features: None,
            marks: None,
            planned: None,
        }
    }

    #[test]
    fn each_is_found_by_its_own_key_and_no_other() {
        let rows = [
            series("B", Timeframe::D1, 1),
            series("B", Timeframe::M5, 2),
            series("A", Timeframe::H1, 3),
            series("C", Timeframe::M1, 4),
        ];
        let facts: SeriesFacts = rows.clone().into_iter().collect();
        for row in &rows {
            assert_eq!(facts.get(&row.key), Some(row));
            assert_eq!(facts.clone().get_mut(&row.key).as_deref(), Some(row));
        }
        // The next symbol's is not taken for one's own, nor anything for that of an unknown one.
        for (symbol, timeframe) in
            [("A", Timeframe::M5), ("B", Timeframe::M1), ("D", Timeframe::M1), ("", Timeframe::D1)]
        {
            let Ok(symbol) = symbol.parse() else { continue };
            assert_eq!(facts.get(&SeriesKey { symbol, timeframe }), None);
        }
        let walked = |symbols: &[&str]| {
            let mut walk = facts.walk();
            let of = |symbol: &&str| walk.of(&symbol.parse().unwrap()).len();
            symbols.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(walked(&["A", "B", "C", "D"]), [1, 2, 1, 0]);
        assert_eq!(walked(&["0", "B", "B", "A", "X", "C"]), [0, 2, 2, 1, 0, 1]);
        let order: Vec<i64> = facts.values().map(|fact| fact.series_id).collect();
        assert_eq!(order, [3, 2, 1, 4]);
    }
}
