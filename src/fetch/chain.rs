//! The pages of an answer about a whole market: whether they get anywhere, and which days they tell of.

use crate::domain::action::Action;
use crate::domain::range::TimeRange;
use crate::domain::run::Fault;
use crate::domain::time::midnight;
use crate::domain::timeframe::DAY;
use crate::provider::Answer;

use super::exchange::Read;
use super::stuck::{EmptyPages, stuck};

/// Pages of one answer, at most: four times as many as are planned for.
const MOST_PAGES: u32 = 400;

/// What is known of the pages so far.
#[derive(Default)]
pub(super) struct Chain {
    pages: u32,
    empty_pages: EmptyPages,
    /// The last page that was not empty.
    before: Option<(Answer, Vec<Answer>)>,
    /// From the first day to the last one; `None` while there is none.
    days: Option<TimeRange>,
    /// Whether a row does not say whose it is: anybody may lack it.
    has_nobodys: bool,
}

impl Chain {
    /// Takes a page.
    ///
    /// # Errors
    ///
    /// When the pages lead nowhere.
    pub(super) fn add(&mut self, read: &Read) -> Result<(), Fault> {
        self.pages += 1;
        let page = (read.answer.clone(), read.others.clone());
        let is_last = read.next.is_none();
        let is_empty = page == <(Answer, Vec<Answer>)>::default();
        self.empty_pages.add(is_empty, is_last)?;
        if is_empty {
            return Ok(());
        }
        if self.before.as_ref() == Some(&page) {
            return Err(stuck("a page without a new row"));
        }
        if !is_last && self.pages >= MOST_PAGES {
            return Err(stuck("more pages than a market fills"));
        }
        self.has_nobodys |= !page.0.broken.is_empty();
        let answers = page.1.iter().chain([&page.0]);
        answers.flat_map(|answer| &answer.declared.actions).for_each(|action| self.reach(action));
        self.before = Some(page);
        Ok(())
    }

    fn reach(&mut self, action: &Action) {
        let start = midnight(action.ex_date);
        let day = TimeRange::new(start, start.saturating_add(DAY));
        self.days = Some(self.days.map_or(day, |days| days.hull(day)));
    }

    /// The days that a list by date tells of: from its first row's to its last's. None, when a row does not
    /// say whose it is.
    pub(super) fn listed(&self) -> TimeRange {
        let none = TimeRange::new(0, 0);
        if self.has_nobodys { none } else { self.days.unwrap_or(none) }
    }
}
