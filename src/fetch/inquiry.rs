//! What is asked of a symbol besides its bars: page after page of splits or dividends, or what it is.
//!
//! Actions count as a whole only, as one that is lacking was taken back: they are gathered, and handed
//! over with the last page.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::fact::FileMark;
use crate::domain::range::TimeRange;
use crate::domain::reference::Listing;
use crate::domain::run::{Attempt, Fault};
use crate::domain::task::Task;
use crate::provider::{Answer, Declared};

use super::job::Report;
use super::lane::{Lane, Wanted};
use super::shared::Part;
use super::stuck::{EmptyPages, stuck};
use super::{Lost, Message};

/// The most pages of one chain, however short they are.
const MOST_PAGES: u32 = 100;

/// More actions than any share has.
const MOST_ACTIONS: usize = 20_000;

/// Rows whose text is kept when they do not read.
const MOST_TEXTS: usize = 20;

/// A page of what is declared of a symbol.
#[derive(Debug)]
pub struct Told {
    /// The task.
    pub task: Arc<Task>,
    /// The attempt that brought it.
    pub attempt: Attempt,
    /// Rows in it, unreadable ones included.
    pub rows: u64,
    /// Rows of it that could not be read.
    pub rejected: u64,
    /// Rows of it that say that nothing happened.
    pub dropped: u64,
    /// All that is declared, of every page; `None` while further ones are to come.
    pub whole: Option<Whole>,
    /// Where it was read; `None` when a provider answered.
    pub file: Option<ReadFile>,
}

/// All that is declared of a symbol, of one kind.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// What could be read.
    pub declared: Declared,
    /// What could not.
    pub unread: Unread,
    /// Where it stood in a list by date, the days from the first row in it to the last, whoever they are of;
    /// empty when nothing follows from what is not in it. `None` where the symbol was asked about alone.
    pub listed: Option<TimeRange>,
}

/// Rows that could not be read.
#[derive(Clone, Debug, Default)]
pub struct Unread {
    /// How many.
    pub rows: u64,
    /// The first ones, fit to be shown.
    pub texts: Vec<String>,
}

impl Unread {
    pub(super) fn add(&mut self, text: String) {
        self.rows += 1;
        if self.texts.len() < MOST_TEXTS {
            self.texts.push(text);
        }
    }
}

/// A file of actions that was read.
#[derive(Clone, Copy, Debug)]
pub struct ReadFile {
    /// Its state when it was opened; `None` when there is none.
    pub mark: Option<FileMark>,
}

/// What the pages of a chain have brought so far.
#[derive(Default)]
struct Gathered {
    actions: Vec<Action>,
    unread: Unread,
    pages: u32,
    empty_pages: EmptyPages,
}

impl Gathered {
    /// Takes what a page brings, if the chain gets anywhere with it.
    fn add(&mut self, mut answer: Answer, last: bool) -> Result<Option<Listing>, Fault> {
        self.pages += 1;
        let page = std::mem::take(&mut answer.declared.actions);
        let is_empty = page.is_empty() && answer.broken.is_empty() && answer.dropped == 0;
        self.empty_pages.add(is_empty, last)?;
        // A row may stand there twice; a whole page that is known already leads nowhere.
        if !page.is_empty() && page.iter().all(|action| self.actions.contains(action)) {
            return Err(stuck("a page without a new action"));
        }
        self.actions.extend(page);
        if (!last && self.pages >= MOST_PAGES) || self.actions.len() > MOST_ACTIONS {
            return Err(stuck("more pages, or rows, than there can be actions"));
        }
        answer.broken.into_iter().for_each(|row| self.unread.add(row.text));
        Ok(answer.declared.listing)
    }
}

impl Lane<'_> {
    /// Finds what a task wants to know in the list that it shares with others, or asks for it alone.
    pub(super) async fn inquire(&self, task: &Arc<Task>, report: &mut Report) -> Result<(), Lost> {
        if let Some(shared) = task.shared.first()
            && let Some(part) = self.part(task, *shared, report).await?
        {
            let told = in_list(task, part);
            self.crew.say(Message::Told(Box::new(told))).await;
            return Ok(());
        }
        self.inquire_alone(task, report).await
    }

    /// Asks for every page of what a task wants to know, and hands each on.
    async fn inquire_alone(&self, task: &Arc<Task>, report: &mut Report) -> Result<(), Lost> {
        let mut gathered = Gathered::default();
        let mut cursor = None;
        loop {
            let (range, cursor_now) = (task.range, cursor.as_ref());
            let wanted = Wanted { task, range, cursor: cursor_now, market: None };
            let (reply, attempt) = self.page(wanted, report).await?;
            let (answer, last) = (reply.answer, reply.next.is_none());
            let (rejected, dropped) = (answer.broken.len() as u64, answer.dropped);
            let rows = match &answer.declared {
                Declared { listing: Some(_), .. } => 1,
                Declared { actions, .. } => actions.len() as u64 + rejected + dropped,
            };
            let listing = match gathered.add(answer, last) {
                Ok(listing) => listing,
                Err(fault) => return Err(self.crew.stuck(attempt, fault).await),
            };
            let whole = last.then(|| Whole {
                declared: Declared { actions: std::mem::take(&mut gathered.actions), listing },
                unread: std::mem::take(&mut gathered.unread),
                listed: None,
            });
            let task = Arc::clone(task);
            let told = Told { task, attempt, rows, rejected, dropped, whole, file: None };
            self.crew.say(Message::Told(Box::new(told))).await;
            cursor = reply.next;
            if last {
                return Ok(());
            }
        }
    }
}

/// What a list by date tells of a task's symbol.
fn in_list(task: &Arc<Task>, part: Part) -> Told {
    let (attempt, listed) = (part.attempt(task, task.range), Some(part.listed()));
    let Answer { broken, dropped, declared, .. } = part.answer;
    let mut unread = Unread::default();
    let rejected = broken.len() as u64;
    broken.into_iter().for_each(|row| unread.add(row.text));
    Told {
        task: Arc::clone(task),
        attempt,
        rows: declared.actions.len() as u64 + rejected + dropped,
        rejected,
        dropped,
        whole: Some(Whole { declared, unread, listed }),
        file: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::ActionKind;

    fn page(days: &[u32]) -> Answer {
        let action = |day: &u32| Action {
            ex_date: chrono::NaiveDate::from_yo_opt(2020, *day).unwrap(),
            kind: ActionKind::Split { from: 1.0, to: 2.0 },
        };
        let actions = days.iter().map(action).collect();
        Answer { declared: Declared { actions, listing: None }, ..Answer::default() }
    }

    #[test]
    fn a_chain_gathers_what_its_pages_bring() {
        let mut gathered = Gathered::default();
        for (days, last) in [(&[1, 2][..], false), (&[], false), (&[2, 3], true)] {
            assert!(gathered.add(page(days), last).is_ok());
        }
        assert_eq!(gathered.actions.len(), 4);
        assert!(Gathered::default().add(page(&[]), true).is_ok());
    }

    #[test]
    fn a_chain_that_gets_nowhere_ends() {
        let mut gathered = Gathered::default();
        assert!(gathered.add(page(&[1, 2]), false).is_ok());
        assert!(gathered.add(page(&[2, 1]), true).is_err(), "nothing new");
        let mut gathered = Gathered::default();
        let empty = (0..20).take_while(|_| gathered.add(page(&[]), false).is_ok()).count();
        assert_eq!(empty, 9);
        let mut gathered = Gathered::default();
        let pages = (1..300).take_while(|day| gathered.add(page(&[*day]), false).is_ok());
        assert_eq!(pages.count(), 99);
    }
}
