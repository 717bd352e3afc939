//! What is asked of a symbol besides its bars, on the desk: gathered from every name that the symbol had,
//! then written down as a whole.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::NaiveTime;

use crate::clock;
use crate::domain::action::{Action, ActionFact, ActionStatus};
use crate::domain::event::{Event, Took};
use crate::domain::fact::FileMark;
use crate::domain::range::TimeRange;
use crate::domain::run::{ErrorKind, Failure, PageCounts, Stage};
use crate::domain::task::{About, Task};
use crate::fetch::{ReadFile, Told, Unread, Whole};
use crate::provider::actions_file;
use crate::store::{StoreResult, Writer};

use super::desk::Desk;

/// The kinds of actions, as the store spells them.
const KINDS: [&str; 2] = ["split", "dividend"];

/// The longest list of unreadable rows in a message, in bytes.
const LONGEST_LIST: usize = 400;

/// What came of a job's questions besides bars so far.
#[derive(Default)]
pub(super) struct Answers(BTreeMap<About, Answered>);

/// What came of one of them.
#[derive(Default)]
struct Answered {
    /// How many requests are not answered yet.
    open: usize,
    actions: Vec<Action>,
    /// Days whose actions could not be told, or not all of them: what is held of them stays.
    untold: Vec<TimeRange>,
    /// Whether an answer came that told of none.
    is_empty: bool,
    unread: Unread,
}

impl Answers {
    /// None yet to what `tasks` ask.
    pub(super) fn to(tasks: &[Task]) -> Self {
        let mut answers = Self::default();
        for task in tasks.iter().filter(|task| task.about != About::Bars) {
            answers.0.entry(task.about).or_default().open += 1;
        }
        answers
    }

    /// What is not answered yet.
    pub(super) fn open(&self) -> impl Iterator<Item = About> {
        self.0.iter().filter(|(_, answered)| answered.open > 0).map(|(about, _)| *about)
    }

    /// Takes the answer to a task; all of what was asked, once this was the last.
    fn take(&mut self, task: &Task, whole: Option<Whole>) -> Option<Answered> {
        let answered = self.0.entry(task.about).or_default();
        answered.open = answered.open.saturating_sub(1);
        let whole = whole.unwrap_or_else(|| {
            answered.untold.push(task.range);
            Whole::default()
        });
        // An unreadable row may be any of those that are held.
        if whole.unread.rows > 0 {
            answered.untold.push(task.range);
        }
        let within = |action: &Action| task.range.contains(midnight(action));
        answered.actions.extend(whole.declared.actions.into_iter().filter(within));
        answered.unread.rows += whole.unread.rows;
        answered.unread.texts.extend(whole.unread.texts);
        (answered.open == 0).then(|| std::mem::take(answered))
    }

    /// Whether everything that was asked of actions was answered.
    fn actions_are_told(&self) -> bool {
        !self.open().any(|about| matches!(about, About::Splits | About::Dividends))
    }
}

impl Desk<'_> {
    /// Writes down a page of what is declared of a symbol, and what follows when it was the last.
    pub(super) fn told(&mut self, tx: &Writer<'_>, told: Told) -> StoreResult<Vec<Event>> {
        let from = Instant::now();
        let Told { task, attempt, rows, rejected, dropped, whole, file } = told;
        if file.is_none() {
            self.count(&attempt);
        }
        let counts = PageCounts { fetched: rows, rejected, dropped, ..PageCounts::default() };
        self.log(tx, &attempt, &counts)?;
        let attempts = attempt.number;
        let further = match (whole, task.about, file) {
            (None, ..) => Vec::new(),
            (Some(whole), About::Listing, _) => {
                self.listing(tx, &task, whole)?;
                Vec::new()
            }
            (Some(whole), _, Some(file)) => self.actions_file(tx, &task, file, whole)?,
            (Some(whole), _, None) => self.actions(tx, &task, Some(whole), attempts)?,
        };
        let stored = Took { from, to: Instant::now() };
        let series = task.key.clone();
        let mut events =
            vec![Event::PageStored { series, counts, attempt, validated: None, stored }];
        events.extend(further);
        Ok(events)
    }

    /// Notes that what a task asks for is not to be had: what is held stays, and it was asked for.
    pub(super) fn not_offered(&mut self, tx: &Writer<'_>, task: &Task) -> StoreResult<Vec<Event>> {
        if task.about == About::Listing {
            self.listing(tx, task, Whole::default())?;
            return Ok(Vec::new());
        }
        self.actions(tx, task, None, 1)
    }

    /// Writes down what a symbol is; whoever has nothing to say of it takes nothing back.
    fn listing(&mut self, tx: &Writer<'_>, task: &Task, whole: Whole) -> StoreResult<()> {
        let (symbol, provider, now) = (&task.key.symbol, &task.provider, self.now);
        if let Some(job) = self.jobs.get_mut(symbol) {
            job.answers.take(task, Some(Whole::default()));
        }
        match &whole.declared.listing {
            Some(listing) => tx.reference_set(symbol, provider, listing, now),
            None => tx.reference_checked(symbol, provider, now),
        }
    }

    /// Takes one name's splits or dividends; declares all of them once every name was asked.
    fn actions(
        &mut self,
        tx: &Writer<'_>,
        task: &Task,
        whole: Option<Whole>,
        attempts: u32,
    ) -> StoreResult<Vec<Event>> {
        let symbol = &task.key.symbol;
        let tells = |whole: &Whole| !whole.declared.actions.is_empty() || whole.unread.rows > 0;
        let is_empty = whole.as_ref().is_some_and(|whole| !tells(whole));
        let Some(job) = self.jobs.get_mut(symbol) else { return Ok(Vec::new()) };
        let Some(answered) = job.answers.take(task, whole.filter(tells)) else {
            return Ok(Vec::new());
        };
        let answered = Answered { is_empty, ..answered };
        let is_told = job.answers.actions_are_told();
        let kind = if task.about == About::Splits { KINDS[0] } else { KINDS[1] };
        declare(tx, task, kind, &answered, self.now)?;
        // With the declaration, so that no crash leaves one that nobody has judged.
        self.settle_actions(tx, symbol)?;
        if is_told {
            tx.actions_checked(symbol, self.now)?;
        }
        self.unread(tx, task, &answered.unread, attempts)
    }

    /// Declares what a file says. One with rows that do not read is read again by the next run.
    fn actions_file(
        &mut self,
        tx: &Writer<'_>,
        task: &Task,
        file: ReadFile,
        whole: Whole,
    ) -> StoreResult<Vec<Event>> {
        let symbol = &task.key.symbol;
        let Some(job) = self.jobs.get_mut(symbol) else { return Ok(Vec::new()) };
        let Some(answered) = job.answers.take(task, Some(whole)) else { return Ok(Vec::new()) };
        for kind in KINDS {
            declare(tx, task, kind, &answered, self.now)?;
        }
        self.settle_actions(tx, symbol)?;
        // No file has a length below 0: whatever is there then is another one.
        let unread = |mark: FileMark| FileMark { bytes: -1, ..mark };
        let mark = if answered.unread.rows == 0 { file.mark } else { file.mark.map(unread) };
        tx.actions_file_read(symbol, mark)?;
        self.unread(tx, task, &answered.unread, 1)
    }

    /// Fails the job for rows that could not be read: a split among them makes bars wrong.
    fn unread(
        &mut self,
        tx: &Writer<'_>,
        task: &Task,
        unread: &Unread,
        attempts: u32,
    ) -> StoreResult<Vec<Event>> {
        if unread.rows == 0 {
            return Ok(Vec::new());
        }
        let source = match task.about {
            About::ActionsFile => format!("{}: ", actions_file::file_name(&task.key.symbol)),
            _ => String::new(),
        };
        let failure = Failure {
            series: task.key.clone(),
            about: task.about,
            stage: Stage::Validate,
            kind: ErrorKind::Validation,
            message: format!("{source}{}", words(unread)),
            attempts,
            at: clock::now(),
        };
        Ok(vec![self.fail(tx, failure)?])
    }
}

/// Makes what came the actions of a symbol, beside those that are held of days that nobody could tell of.
///
/// Providers have answered empty what they had told before: that alone takes nothing back but what is yet
/// to come, and was called off.
fn declare(
    tx: &Writer<'_>,
    task: &Task,
    kind: &str,
    answered: &Answered,
    now: i64,
) -> StoreResult<()> {
    let symbol = &task.key.symbol;
    let mut declared = answered.actions.clone();
    let stays = |held: &ActionFact| {
        let at = midnight(&held.action);
        let is_untold = answered.untold.iter().any(|range| range.contains(at));
        let is_called_off = answered.is_empty && held.status == ActionStatus::Pending && at > now;
        held.action.kind.as_str() == kind && is_untold && !is_called_off
    };
    let held = tx.actions_of(symbol)?.into_iter();
    declared.extend(held.filter(stays).map(|held| held.action));
    tx.actions_declare(symbol, &task.provider, kind, &declared, clock::now())
}

/// The label of an action's first session.
fn midnight(action: &Action) -> i64 {
    action.ex_date.and_time(NaiveTime::MIN).and_utc().timestamp()
}

/// Which rows could not be read, as far as a message goes.
fn words(unread: &Unread) -> String {
    let rows = if unread.rows == 1 { "row is" } else { "rows are" };
    let mut words = format!("{} {rows} no action that can be: ", unread.rows);
    let mut named = 0;
    for text in &unread.texts {
        if named > 0 && words.len() + text.len() > LONGEST_LIST {
            break;
        }
        words.push_str(if named > 0 { "; " } else { "" });
        words.push_str(text);
        named += 1;
    }
    let more = unread.rows.saturating_sub(named);
    if more > 0 {
        words.push_str(&format!("; and {more} more"));
    }
    words
}
