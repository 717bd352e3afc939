//! What the pages of a task have brought so far. Pure.

use crate::domain::range::TimeRange;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::task::Task;
use crate::provider::Answer;

/// Empty pages in a row after which a chain counts as endless.
const MOST_EMPTY_PAGES: u32 = 10;

/// What the pages of a task have brought so far: how far they answer, and whether they get anywhere.
pub(super) struct Seen {
    range: TimeRange,
    answered_to: i64,
    newest: Option<i64>,
    empty_pages: u32,
}

impl Seen {
    pub(super) const fn new(range: TimeRange) -> Self {
        Self { range, answered_to: range.start, newest: None, empty_pages: 0 }
    }

    /// Which `ts` a page answers for: up to its last row, or to the end of the range when it is the
    /// last one. A page that goes back in time answers for nothing until the last one came.
    pub(super) fn answered(&mut self, task: &Task, answer: &Answer, last: bool) -> TimeRange {
        let start = self.answered_to;
        let ascends = answer.bars.iter().all(|bar| bar.ts >= start || start == self.range.start);
        let newest = answer.bars.iter().map(|bar| bar.ts).max();
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

    /// Whether a chain of pages gets anywhere with this one.
    pub(super) fn progress(&mut self, answer: &Answer, last: bool) -> Result<(), Fault> {
        let stuck = |message: &str| Err(Fault::new(ErrorKind::Malformed, message));
        let broken = answer.broken.iter().filter_map(|rejection| rejection.ts);
        let newest = answer.bars.iter().map(|bar| bar.ts).chain(broken).max();
        match newest {
            None => {
                self.empty_pages += 1;
                if !last && self.empty_pages >= MOST_EMPTY_PAGES {
                    return stuck("ten empty pages running");
                }
            }
            Some(newest) if self.newest.is_some_and(|before| newest <= before) => {
                return stuck("a page without a new bar");
            }
            Some(newest) => {
                self.newest = Some(newest);
                self.empty_pages = 0;
            }
        }
        Ok(())
    }
}
