//! Bars that a writer will want next, read by a thread of its own while it writes.

use crate::domain::bar::Bar;

use super::aide::Aide;
use super::bar::read_slice;
use super::{Store, open_shared};

/// The first bars of a series from a `ts` on, at most so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The series.
    pub series_id: i64,
    /// The first `ts` that is wanted.
    pub from: i64,
    /// At most so many bars.
    pub most: u64,
}

/// Reads bars ahead of a writer, one slice at a time, so that no more than one lies in memory.
///
/// It sees what is committed: who writes bars meanwhile must not ask for these. What it cannot read it leaves
/// to the writer, who reads for himself then, and can say why that fails.
#[derive(Debug)]
pub struct Ahead {
    aide: Aide<Wanted, Vec<Bar>>,
    /// What was asked for last.
    asked: Option<Wanted>,
}

impl Store {
    /// A reader ahead of this writer; `None` when the system has no thread for it, or no further file.
    #[must_use]
    pub fn ahead(&self) -> Option<Ahead> {
        let (connection, _) = open_shared(&self.path).ok()?;
        let aide = Aide::start(move |Wanted { series_id, from, most }| {
            read_slice(&connection, series_id, (from, i64::MAX, most)).ok()
        });
        aide.map(|aide| Ahead { aide, asked: None })
    }
}

impl Ahead {
    /// Lets bars be read that will be wanted.
    pub fn ask(&mut self, wanted: Wanted) {
        self.aide.ask(wanted);
        self.asked = Some(wanted);
    }

    /// The bars that were asked for last, waited for while they are read; `None` when others are wanted now,
    /// or they could not be read.
    pub fn take(&mut self, wanted: Wanted) -> Option<Vec<Bar>> {
        let bars = self.aide.answer();
        bars.filter(|_| self.asked == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::RunId;
    use crate::store::Claim;

    const fn bar(ts: i64) -> Bar {
        let (volume, vwap, trades) = (None, None, None);
        Bar { ts, open: 2.0, high: 3.0, low: 1.0, close: 2.5, volume, vwap, trades }
    }

    #[test]
    fn what_was_asked_for_is_there_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open_write(&folder.path().join("mdctl.db")).expect("a database");
        let bars: Vec<Bar> = (0..10).map(bar).collect();
        let run = RunId("run".to_owned());
        let put = store.write(|tx| tx.bars_put(1, &run, 0, &bars, Claim::Provider));
        put.expect("the bars are stored");
        let mut ahead = store.ahead().expect("a thread");
        let wanted = |from, most| Wanted { series_id: 1, from, most };

        assert_eq!(ahead.take(wanted(0, 4)), None, "nothing was asked for");
        ahead.ask(wanted(4, 4));
        assert_eq!(ahead.take(wanted(4, 4)).as_deref(), Some(&bars[4..8]));
        assert_eq!(ahead.take(wanted(4, 4)), None, "it was taken");
        ahead.ask(wanted(8, 4));
        assert_eq!(ahead.take(wanted(8, 4)).as_deref(), Some(&bars[8..]));
        ahead.ask(wanted(0, 4));
        assert_eq!(ahead.take(wanted(1, 4)), None, "others are wanted");
        ahead.ask(wanted(2, 2));
        ahead.ask(wanted(6, 2));
        assert_eq!(ahead.take(wanted(6, 2)).as_deref(), Some(&bars[6..8]), "the last ones");
        ahead.ask(wanted(2, 2));
        drop(ahead);
        let log = store.log_empty().expect("the log is emptied");
        assert!(log, "whoever read ahead is gone");
    }
}
