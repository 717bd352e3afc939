//! What is asked of a symbol besides its bars, on the desk: gathered from every name that the symbol had,
//! then written down as a whole.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::clock;
use crate::domain::action::{Action, ActionFact, ActionStatus};
use crate::domain::event::{Event, Took};
use crate::domain::fact::FileMark;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::reference::ToldFact;
use crate::domain::run::{ErrorKind, Failure, PageCounts, Stage};
use crate::domain::task::{About, Task};
use crate::domain::time::midnight;
use crate::fetch::{ReadFile, Told, Unread, Whole};
use crate::provider::actions_file;
use crate::store::{StoreResult, Writer};

use super::desk::Desk;
use super::want::told_as;

/// The kinds of actions, as the store spells them.
const KINDS: [&str; 2] = ["split", "dividend"];

/// No days.
const NO_DAYS: TimeRange = TimeRange::new(0, 0);

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
    /// Days of which all was told: what is held of them besides is taken back.
    told: RangeSet,
    /// Whether what is yet to come, and was not told again, is called off: so says the present name alone, in an
    /// answer of its own. A list by date may have been cut off before it.
    calls_off: bool,
    /// Up to which day the names that answered reach.
    reach: Option<i64>,
    /// Names whose answer does not count for all that there is.
    in_doubt: usize,
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

    /// Takes the answer to a task, `None` when there is none to be had; all of what was asked, once this was
    /// the last.
    fn take(&mut self, task: &Task, whole: Option<Whole>) -> Option<Answered> {
        let answered = self.0.entry(task.about).or_default();
        answered.open = answered.open.saturating_sub(1);
        let told = whole.as_ref().and_then(|whole| told(task, whole));
        answered.told.insert(told.unwrap_or(NO_DAYS));
        if answered.reach <= Some(task.range.end) {
            answered.reach = Some(task.range.end);
            let is_listed = whole.as_ref().is_some_and(|whole| whole.listed.is_some());
            answered.calls_off = told.is_some() && !is_listed;
        }
        answered.in_doubt += usize::from(told.is_none());
        let whole = whole.unwrap_or_default();
        let within = |action: &Action| task.range.contains(midnight(action.ex_date));
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

/// Of which days an answer tells all there was; none of them when it may be that it does not, and `None`
/// when it does not even call off what is yet to come.
///
/// Providers have answered empty what they had told before. And a list by date, which others are in too,
/// tells of the days between its first row and its last: it may have been cut off.
fn told(task: &Task, whole: &Whole) -> Option<TimeRange> {
    // An unreadable row may be any of those that are held.
    if whole.unread.rows > 0 {
        return None;
    }
    match whole.listed {
        Some(days) => (!days.is_empty()).then(|| days.intersect(task.range)),
        None if whole.declared.actions.is_empty() && task.about != About::ActionsFile => {
            Some(NO_DAYS)
        }
        None => Some(task.range),
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
        let Some(job) = self.jobs.get_mut(symbol) else { return Ok(Vec::new()) };
        let Some(answered) = job.answers.take(task, whole) else { return Ok(Vec::new()) };
        let is_told = job.answers.actions_are_told();
        let kind = if task.about == About::Splits { KINDS[0] } else { KINDS[1] };
        let is_whole = declare(tx, task, kind, &answered, self.now)?;
        // With the declaration, so that no crash leaves one that nobody has judged.
        self.settle_actions(tx, symbol)?;
        if is_whole {
            let (group, member) = self.place(symbol);
            let told = ToldFact { at: self.now, told_as: told_as(group, member) };
            tx.actions_told(symbol, kind, &told)?;
        }
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

/// Makes what came the actions of a symbol, beside those that are held and were not taken back; tells
/// whether it is all there is. An answer without any is not, where some were told before.
fn declare(
    tx: &Writer<'_>,
    task: &Task,
    kind: &str,
    answered: &Answered,
    now: i64,
) -> StoreResult<bool> {
    let symbol = &task.key.symbol;
    let mut declared = answered.actions.clone();
    let mut held = tx.actions_of(symbol)?;
    held.retain(|held| held.action.kind.as_str() == kind);
    let is_emptied = !held.is_empty() && answered.told.ranges().is_empty();
    let stays = |held: &ActionFact| {
        let at = midnight(held.action.ex_date);
        let is_called_off = answered.calls_off && held.status == ActionStatus::Pending && at > now;
        !answered.told.contains(at) && !is_called_off
    };
    declared.extend(held.into_iter().filter(stays).map(|held| held.action));
    tx.actions_declare(symbol, &task.provider, kind, &declared, clock::now())?;
    Ok(answered.in_doubt == 0 && !is_emptied)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::ActionKind;
    use crate::domain::series::{AssetClass, SeriesKey, Symbol};
    use crate::domain::task::Purpose;
    use crate::domain::timeframe::Timeframe;
    use crate::provider::Declared;

    fn days(start: i64, end: i64) -> TimeRange {
        TimeRange::new(start, end)
    }

    fn task(about: About, range: TimeRange) -> Task {
        Task {
            key: SeriesKey { symbol: Symbol::every(), timeframe: Timeframe::D1 },
            about,
            provider: "p".into(),
            asset_class: AssetClass::Stock,
            ask_symbol: Symbol::every(),
            range,
            purpose: Purpose::Reference,
            bars: 0,
            further_pages: 0,
            file: None,
            shared: Vec::new(),
            unsettled_from: None,
        }
    }

    fn whole(actions: usize, unread: u64, listed: Option<TimeRange>) -> Whole {
        let ex_date = chrono::NaiveDate::from_yo_opt(2024, 1).unwrap();
        let action = Action { ex_date, kind: ActionKind::Split { from: 1.0, to: 2.0 } };
        Whole {
            declared: Declared { actions: vec![action; actions], listing: None },
            unread: Unread { rows: unread, texts: Vec::new() },
            listed,
        }
    }

    #[test]
    fn one_who_was_asked_about_alone_was_told_of_all_days_or_of_none() {
        let of =
            |about, actions, unread| told(&task(about, days(0, 9)), &whole(actions, unread, None));
        assert_eq!(of(About::Splits, 1, 0), Some(days(0, 9)));
        assert_eq!(
            of(About::Splits, 0, 0),
            Some(NO_DAYS),
            "only what is yet to come is called off"
        );
        assert_eq!(of(About::Splits, 1, 1), None);
        assert_eq!(of(About::ActionsFile, 0, 0), Some(days(0, 9)), "a file is what it is");
        assert_eq!(of(About::ActionsFile, 0, 1), None);
    }

    #[test]
    fn a_list_tells_of_the_days_that_it_reaches_whoever_is_in_it() {
        let of = |actions, unread, listed| {
            told(&task(About::Splits, days(5, 9)), &whole(actions, unread, Some(listed)))
        };
        assert_eq!(of(0, 0, days(2, 7)), Some(days(5, 7)));
        assert_eq!(of(1, 0, days(2, 20)), Some(days(5, 9)));
        assert_eq!(of(0, 0, NO_DAYS), None, "an empty list takes nothing back");
        assert_eq!(of(0, 1, days(2, 7)), None);
    }
}
