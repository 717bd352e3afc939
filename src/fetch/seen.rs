//! What the pages of a task have brought so far. Pure.

use crate::domain::range::TimeRange;
use crate::domain::run::Fault;
use crate::domain::task::Task;
use crate::provider::Answer;

use super::stuck::{EmptyPages, stuck};

/// Pages that any task may have, however little it asks for.
const ALLOWED_PAGES: u64 = 50;

/// The fewest bars that a page of a long chain brings: the smallest pages that were ever met have so
/// many.
const FEWEST_BARS: u64 = 20;

/// What the pages of a task have brought so far: how far they answer, and whether they get anywhere.
pub(super) struct Seen {
    range: TimeRange,
    answered_to: i64,
    newest: Option<i64>,
    empty_pages: EmptyPages,
    pages: u64,
    /// The most pages that what is due can need.
    most_pages: u64,
}

impl Seen {
    /// Nothing yet, of that part of a task.
    pub(super) fn new(task: &Task, range: TimeRange) -> Self {
        // The plan's estimate knows of pages that were made small by the config.
        let needed = (task.bars / FEWEST_BARS).max(task.further_pages.saturating_mul(2));
        Self {
            range,
            answered_to: range.start,
            newest: None,
            empty_pages: EmptyPages::default(),
            pages: 0,
            most_pages: needed.saturating_add(ALLOWED_PAGES),
        }
    }

    /// Which `ts` a page answers for: up to its last row, or to the end of the range when it is the
    /// last one. A page that goes back in time answers for nothing until the last one came.
    pub(super) fn answered(&mut self, task: &Task, answer: &Answer, last: bool) -> TimeRange {
        let start = self.answered_to;
        let ascends = answer.bars.iter().all(|bar| bar.ts >= start || start == self.range.start);
        let newest = self.newest_of(answer);
        let end = match newest {
            _ if last => self.range.end,
            Some(newest) if ascends => {
                newest.saturating_add(task.key.timeframe.seconds()).clamp(start, self.range.end)
            }
            _ => start,
        };
        self.answered_to = end;
        TimeRange::new(start, end)
    }

    /// What no page has answered for yet.
    pub(super) const fn rest(&self) -> TimeRange {
        TimeRange::new(self.answered_to, self.range.end)
    }

    /// The newest row of those that were asked for: a stray one says nothing of how far a page reaches.
    fn newest_of(&self, answer: &Answer) -> Option<i64> {
        let broken = answer.broken.iter().filter_map(|rejection| rejection.ts);
        let rows = answer.bars.iter().map(|bar| bar.ts).chain(broken);
        rows.filter(|ts| self.range.contains(*ts)).max()
    }

    /// Whether a chain of pages gets anywhere with this one.
    pub(super) fn progress(&mut self, answer: &Answer, last: bool) -> Result<(), Fault> {
        self.pages += 1;
        if !last && self.pages >= self.most_pages {
            return Err(stuck("more pages than what is due can fill"));
        }
        let newest = self.newest_of(answer);
        self.empty_pages.add(newest.is_none(), last)?;
        if newest.is_some() && newest <= self.newest {
            return Err(stuck("a page without a new bar"));
        }
        self.newest = newest.or(self.newest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bar::Bar;
    use crate::domain::series::{AssetClass, SeriesKey};
    use crate::domain::task::{About, Purpose};
    use crate::domain::timeframe::Timeframe;

    const HOUR: i64 = 3_600;

    fn task() -> Task {
        let symbol: crate::domain::series::Symbol = "X".parse().unwrap();
        Task {
            key: SeriesKey { symbol: symbol.clone(), timeframe: Timeframe::H1 },
            about: About::Bars,
            provider: "p".into(),
            asset_class: AssetClass::Crypto,
            ask_symbol: symbol,
            range: TimeRange::new(0, 10 * HOUR),
            purpose: Purpose::New,
            bars: 10,
            further_pages: 0,
            file: None,
            shared: Vec::new(),
            unsettled_from: None,
        }
    }

    fn answer(hours: &[i64]) -> Answer {
        let bar = |hour: &i64| Bar {
            ts: hour * HOUR,
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: None,
            vwap: None,
            trades: None,
        };
        Answer { bars: hours.iter().map(bar).collect(), ..Answer::default() }
    }

    #[test]
    fn a_page_answers_up_to_its_last_row_and_the_last_one_to_the_end() {
        let mut seen = Seen::new(&task(), task().range);
        let mut hours = |rows: &[i64], last| {
            let range = seen.answered(&task(), &answer(rows), last);
            (range.start / HOUR, range.end / HOUR)
        };
        assert_eq!(hours(&[0, 1, 3], false), (0, 4));
        assert_eq!(hours(&[], false), (4, 4), "an empty page answers for nothing yet");
        assert_eq!(hours(&[2, 6], false), (4, 4), "nor does one that goes back");
        assert_eq!(hours(&[7], true), (4, 10));
    }

    #[test]
    fn a_stray_row_of_another_time_does_not_answer_for_what_lies_between() {
        let mut seen = Seen::new(&task(), task().range);
        let range = seen.answered(&task(), &answer(&[0, 1, 99]), false);
        assert_eq!((range.start, range.end), (0, 2 * HOUR));
        assert!(seen.progress(&answer(&[0, 1, 99]), false).is_ok());
        assert!(seen.progress(&answer(&[2, 3]), false).is_ok());
    }

    #[test]
    fn a_chain_that_gets_nowhere_ends() {
        let mut seen = Seen::new(&task(), task().range);
        assert!(seen.progress(&answer(&[0, 1]), false).is_ok());
        assert!(seen.progress(&answer(&[1, 2]), false).is_ok());
        assert!(seen.progress(&answer(&[1, 2]), true).is_err(), "nothing new");
        let mut seen = Seen::new(&task(), task().range);
        let empty = (0..20).take_while(|_| seen.progress(&answer(&[]), false).is_ok()).count();
        assert_eq!(empty, 9);
        let mut seen = Seen::new(&task(), task().range);
        let second = |ts| Answer {
            bars: answer(&[0]).bars.into_iter().map(|bar| Bar { ts, ..bar }).collect(),
            ..Answer::default()
        };
        let crawling = (0..).take_while(|ts| seen.progress(&second(*ts), false).is_ok()).count();
        assert_eq!(crawling, 49);
        let long = Task { bars: 2_000, ..task() };
        let mut seen = Seen::new(&long, long.range);
        assert!((0..100).all(|ts| seen.progress(&second(ts), false).is_ok()), "it may take long");
        let many = Task { further_pages: 500, ..task() };
        let mut seen = Seen::new(&many, many.range);
        assert!((0..1_000).all(|ts| seen.progress(&second(ts), false).is_ok()), "as was planned");
        assert!(Seen::new(&task(), task().range).progress(&answer(&[]), true).is_ok());
    }
}
