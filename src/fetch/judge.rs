//! A page's rows, judged on the thread that decoded them: the one writer only writes.

use std::time::Instant;

use crate::domain::event::Took;
use crate::domain::range::{BEGINNING, TimeRange};
use crate::validate::{self, Checked, Origin};

use super::crew::Crew;
use super::{Fetched, Judged};

impl Crew {
    /// Sorts a page's rows into what can be stored and what cannot be true.
    pub(super) fn judge(&self, mut fetched: Fetched) -> Judged {
        let from = Instant::now();
        let checked = self.checked(&mut fetched);
        Judged { fetched, checked, validated: Took { from, to: Instant::now() } }
    }

    fn checked(&self, fetched: &mut Fetched) -> Checked {
        let bars = std::mem::take(&mut fetched.answer.bars);
        let broken = std::mem::take(&mut fetched.answer.broken);
        // The plan is made of the same config.
        let due = &self.options.markets[&fetched.task.key.symbol];
        let (origin, asked) = if fetched.from_file {
            // A file is read as a whole, whatever of it is due.
            (Origin::File, TimeRange::new(BEGINNING, i64::MAX))
        } else if fetched.attempt.part_of.is_some() {
            (Origin::Provider, fetched.answered)
        } else {
            (Origin::Provider, fetched.task.range)
        };
        let context = validate::Context {
            timeframe: fetched.task.key.timeframe,
            calendar: &due.calendar,
            layout: due.layout,
            asked,
            now: fetched.finished_by,
            origin,
        };
        let line = |index: usize| fetched.lines.get(index).copied();
        let mut checked = validate::check(bars, &context, line);
        checked.rejected.extend(broken);
        checked
    }
}
