//! The plan: what is wanted, less what is held, as the cheapest requests that cover it.
//!
//! Pure: the same wants, holdings and instant give the same plan. Coverage is a set of intervals, so
//! a hole at the head, in the middle or at the tail is one case; nothing resumes from the last bar
//! alone. A stretch without a due bar costs no request: a closed day is no outage.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveTime};

use crate::both::both;
use crate::calendar::due::Due;
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::series::{AssetClass, SeriesKey, Symbol};
use crate::domain::task::{About, Job, Purpose, Shared, Task};
use crate::domain::time::midnight;
use crate::domain::timeframe::{DAY, Timeframe};
use crate::domain::words::instant;
use crate::provider::Reach;

mod by_date;
pub mod gaps;
mod inquiry;
mod market;
pub mod rest;

pub use inquiry::{END, Inquiry};
use market::{Draft, Markets};
use rest::Rest;

pub use crate::domain::range::BEGINNING;

/// One series as the config wants it and as the store holds it.
#[derive(Clone, Debug)]
pub struct Want {
    /// Which series.
    pub key: SeriesKey,
    /// Its row in the store.
    pub series_id: i64,
    /// Its provider's name in the config.
    pub provider: String,
    /// What its symbol is.
    pub asset_class: AssetClass,
    /// When its bars are due.
    pub due: Due,
    /// The `ts` from which on they are wanted.
    pub start: i64,
    /// The `ts` before which the provider has none, as far as that is known.
    pub limit: i64,
    /// How far one request reaches.
    pub reach: Reach,
    /// The market of which one request brings a day of every symbol; `None` where it is asked for alone.
    pub market: Option<&'static str>,
    /// Whether its provider is asked for prices that it may restate.
    pub adjusted: bool,
    /// Names that the symbol had before, oldest first, each with its last day.
    pub aliases: Vec<(Symbol, NaiveDate)>,
    /// Higher goes first.
    pub priority: i64,
    /// How long a bar is provisional, in seconds.
    pub settle: i64,
    /// What was asked for and answered.
    pub coverage: RangeSet,
    /// Empty answers, for those who ask again.
    pub empty: RangeSet,
    /// Empty answers that are due for another look.
    pub look_again: RangeSet,
    /// When what is not settled was last read; `None` before the first time.
    pub settle_read_at: Option<i64>,
    /// Its first stored bar.
    pub first_ts: Option<i64>,
    /// Its last stored bar.
    pub watermark_ts: Option<i64>,
    /// Since when it is tracked, epoch seconds UTC.
    pub added_at: i64,
    /// Bars before this `ts` are in the prices of before their provider restated them.
    pub restated_to: Option<i64>,
    /// Why it is left alone for now; `None` when it is not.
    pub rest: Option<Rest>,
    /// Whether it is read from a file as a whole, and that file changed since it was read.
    pub file: Option<FileState>,
}

impl Want {
    /// The series as its gaps need to know it.
    #[must_use]
    pub const fn known(&self, now: i64) -> gaps::Known<'_> {
        gaps::Known {
            due: &self.due,
            timeframe: self.key.timeframe,
            first_ts: self.first_ts,
            watermark_ts: self.watermark_ts,
            restated_to: self.restated_to,
            now,
        }
    }

    /// The stretch in which the series is to be whole at `now`; `None` when nothing of it is due. A
    /// file reaches back as far as it reaches.
    #[must_use]
    pub fn whole(&self, now: i64) -> Option<TimeRange> {
        let start = if self.file.is_some() { self.first_ts? } else { self.start };
        let range = TimeRange::new(start, self.due.end(self.key.timeframe, now)?);
        (!range.is_empty()).then_some(range)
    }
}

/// What is known of the file of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Whether it was written to after it was last read.
    pub changed: bool,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pass {
    /// Everything that is due and not stored.
    #[default]
    Backfill,
    /// The daily pass: the tail, once a day also what of it is not settled, the empty answers that are
    /// due for another look, and what is to be known besides bars.
    Enrich,
}

/// What a call asks of its plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What the run is for.
    pub pass: Pass,
    /// Only from here on.
    pub from: Option<Bound>,
    /// Only up to here.
    pub to: Option<Bound>,
    /// Also what is stored.
    pub full: bool,
    /// Only what is missing, empty answers included.
    pub repair: bool,
}

/// An end of the asked range: a session date, inclusive, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// That date's session.
    Date(NaiveDate),
    /// That instant, epoch seconds UTC.
    Instant(i64),
}

/// The work list of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Symbols with something to ask for, in the order in which they are asked.
    pub jobs: Vec<Job>,
    /// Symbols for which nothing is due.
    pub idle: Vec<Symbol>,
    /// Symbols that are left alone for now, each with the reason.
    pub resting: Vec<(Symbol, String)>,
}

impl Plan {
    /// The requests that its tasks share, each with how many of them do: of which provider, about what, and
    /// for which market and range.
    #[must_use]
    pub fn shared(&self) -> BTreeMap<(&str, About, Shared), u64> {
        let mut requests = BTreeMap::new();
        for task in self.jobs.iter().flat_map(|job| &job.tasks) {
            for shared in &task.shared {
                *requests.entry((task.provider.as_str(), task.about, *shared)).or_default() += 1;
            }
        }
        requests
    }
}

/// The plan for `wants` and `inquiries` at `now`.
///
/// Jobs come by priority, then the tails of series that have bars, then new series, then old holes;
/// within each, most lag first; last those that are only asked about besides their bars.
#[must_use]
pub fn make(wants: &[Want], inquiries: &[Inquiry], options: &Options, now: i64) -> Plan {
    let mut by_symbol: BTreeMap<&Symbol, (Rank, Vec<Task>)> = BTreeMap::new();
    let mut resting: BTreeMap<&Symbol, String> = BTreeMap::new();
    let mut drafts = drafts(wants, options, now);
    for Draft { want, tasks, by_days, .. } in &mut drafts {
        leave_alone(want, options, by_days);
        if let Some(reason) = leave_alone(want, options, tasks) {
            resting.entry(&want.key.symbol).or_insert(reason);
        }
    }
    market::choose(&mut drafts);
    for Draft { want, tasks, lag, .. } in drafts {
        let rank = tasks.iter().map(|task| Rank::of(want, task, lag)).min();
        let entry = by_symbol.entry(&want.key.symbol).or_insert_with(|| (Rank::last(), Vec::new()));
        entry.0 = rank.unwrap_or(Rank::last()).min(entry.0);
        entry.1.extend(tasks);
    }
    let lists = inquiry::lists(inquiries, options, now);
    for inquiry in inquiries {
        let tasks = inquiry::tasks(inquiry, &lists, options, now);
        let entry = by_symbol.entry(&inquiry.symbol).or_insert_with(|| (Rank::last(), Vec::new()));
        if !tasks.is_empty() {
            entry.0 = entry.0.min(Rank::reference(inquiry.priority));
        }
        entry.1.extend(tasks);
    }
    let mut plan = Plan::default();
    let mut ranked = Vec::new();
    for (symbol, (rank, mut tasks)) in by_symbol {
        if tasks.is_empty() {
            match resting.remove(symbol) {
                Some(reason) => plan.resting.push((symbol.clone(), reason)),
                None => plan.idle.push(symbol.clone()),
            }
        } else {
            tasks.sort_by_key(|task| {
                (task.purpose, task.about, task.key.timeframe, task.range.start)
            });
            ranked.push((rank, Job { symbol: symbol.clone(), tasks }));
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    plan.jobs = ranked.into_iter().map(|(_, job)| job).collect();
    plan
}

/// Takes the tasks away for which a series is left alone for now, and says why; whoever asks for a
/// repair or a range asks all the same.
fn leave_alone(want: &Want, options: &Options, tasks: &mut Vec<Task>) -> Option<String> {
    let rest = want.rest?;
    if options.repair || options.full || options.from.is_some() || options.to.is_some() {
        return None;
    }
    let before = tasks.len();
    match rest {
        Rest::Silent { .. } => tasks.retain(|task| task.purpose == Purpose::Hole),
        Rest::Failing { .. } => tasks.clear(),
    }
    let timeframe = want.key.timeframe;
    (tasks.len() < before).then(|| match rest {
        Rest::Silent { since, until } => format!(
            "{timeframe}: nothing has come since {}; asked again from {} on",
            instant(since),
            instant(until)
        ),
        Rest::Failing { failures, until } => format!(
            "{timeframe}: failed {failures} times running; asked again from {} on",
            instant(until)
        ),
    })
}

/// Where a task stands in the queue; smaller is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    urgency: i64,
    purpose: Purpose,
    lag: i64,
}

impl Rank {
    const fn last() -> Self {
        Self { urgency: i64::MAX, purpose: Purpose::Reference, lag: i64::MAX }
    }

    const fn of(want: &Want, task: &Task, lag: i64) -> Self {
        Self { urgency: want.priority.saturating_neg(), purpose: task.purpose, lag }
    }

    const fn reference(priority: i64) -> Self {
        Self { urgency: priority.saturating_neg(), purpose: Purpose::Reference, lag: i64::MAX }
    }
}

/// How late a series is, the later the smaller; one without a bar since it is tracked.
fn lag(want: &Want, now: i64) -> i64 {
    let late_since = match want.watermark_ts {
        Some(ts) => {
            want.due.overdue_since(want.key.timeframe, ts, &RangeSet::new(), now).unwrap_or(now)
        }
        None => want.added_at,
    };
    late_since.saturating_sub(now)
}

/// From so many wants on they are halved for two threads.
const MANY_WANTS: usize = 1_000;

/// What may be asked for of every series, in their order.
fn drafts<'a>(wants: &'a [Want], options: &Options, now: i64) -> Vec<Draft<'a>> {
    let markets = Markets::of(wants);
    let of = |wants: &'a [Want]| -> Vec<Draft<'a>> {
        wants.iter().map(|want| draft(want, &markets, options, now)).collect()
    };
    if wants.len() < MANY_WANTS {
        return of(wants);
    }
    let (first, second) = wants.split_at(wants.len() / 2);
    let (second, mut drafts) = both(|| of(second), || of(first));
    drafts.extend(second);
    drafts
}

/// What may be asked for of one series.
fn draft<'a>(want: &'a Want, markets: &Markets<'_>, options: &Options, now: i64) -> Draft<'a> {
    let mut draft = Draft { want, tasks: Vec::new(), by_days: Vec::new(), lag: 0 };
    let Some(wanted) = wanted(want, options, now) else { return draft };
    let missing = if options.full {
        [wanted].into_iter().collect()
    } else {
        missing(want, options, wanted, now)
    };
    let due: Vec<TimeRange> =
        missing.ranges().iter().filter_map(|range| askable(want, *range, now)).collect();
    draft.lag = lag(want, now);
    if let Some(file) = want.file {
        let anything = file.changed || !due.is_empty();
        draft.tasks.extend(anything.then(|| file_task(want, now)));
        return draft;
    }
    let unsettled_from = unsettled_from(want, now);
    let with_unsettled = |range: &TimeRange| with_unsettled(want, options, *range, unsettled_from);
    let settled: Vec<TimeRange> = due.iter().map(with_unsettled).collect();
    if markets.have(want) {
        let days = if market::may_wait(want, options, now) { &due } else { &settled };
        draft.by_days = market::by_days(want, days, now);
    }
    draft.tasks = merged(want, settled)
        .into_iter()
        .flat_map(|range| sliced(want, range, now))
        .flat_map(|range| by_alias(want, range, now))
        .collect();
    for task in draft.tasks.iter_mut().chain(&mut draft.by_days) {
        task.unsettled_from = unsettled_from;
    }
    draft
}

/// What a call lacks of the stretch that it wants.
fn missing(want: &Want, options: &Options, wanted: TimeRange, now: i64) -> RangeSet {
    let mut missing = want.coverage.missing_in(wanted);
    let add = |missing: &mut RangeSet, more: &RangeSet, within: TimeRange| {
        more.ranges().iter().for_each(|range| missing.insert(range.intersect(within)));
    };
    if options.repair {
        add(&mut missing, &want.empty, wanted);
    } else if options.pass == Pass::Enrich && want.file.is_none() {
        let whole = TimeRange::new(want.start, wanted.end);
        add(&mut missing, &want.look_again, if options.from.is_none() { whole } else { wanted });
        missing.insert(daily_settle(want, wanted, now));
    }
    if let Some(end) = want.restated_to.filter(|_| options.from.is_none()) {
        let restated = want.coverage.missing_in(TimeRange::new(want.start, end));
        add(&mut missing, &restated, TimeRange::new(want.start, end));
    }
    missing
}

/// The end of a series that has bars, once a day: from there on what is not settled is read again. Empty
/// when that was done today, and once all of a delisted symbol is settled. A reading that is dated after today
/// is ignored: the clock was wrong.
fn daily_settle(want: &Want, wanted: TimeRange, now: i64) -> TimeRange {
    let day = |at: i64| at.div_euclid(DAY);
    let done = want.settle_read_at.is_some_and(|at| day(at) == day(now));
    let is_settled = |last| want.due.delisted.is_some() && last < now.saturating_sub(want.settle);
    match want.watermark_ts {
        Some(last) if !done && wanted.contains(last) && !is_settled(last) => {
            TimeRange::new(last, wanted.end)
        }
        _ => TimeRange::new(wanted.end, wanted.end),
    }
}

/// The stretch of `ts` that a call wants of a series; `None` when nothing of it is due.
fn wanted(want: &Want, options: &Options, now: i64) -> Option<TimeRange> {
    let timeframe = want.key.timeframe;
    let end = want.due.end(timeframe, now)?;
    let tail_only = options.pass == Pass::Enrich && !options.full && !options.repair;
    let usual = want.watermark_ts.filter(|_| tail_only).unwrap_or(want.start);
    let start =
        options.from.map_or(usual, |bound| bound.start(&want.due, timeframe).max(want.limit));
    let end = options.to.map_or(end, |bound| bound.end(&want.due, timeframe).min(end));
    let range = TimeRange::new(start, end);
    (!range.is_empty()).then_some(range)
}

/// What to ask for where `range` is lacking; `None` when nothing of it is due.
///
/// Up to its last due bar, and from its beginning: bars outside the sessions, before the opening or on
/// a Sunday, come with those that are due. Days of an exchange exist in its sessions only.
fn askable(want: &Want, range: TimeRange, now: i64) -> Option<TimeRange> {
    let timeframe = want.key.timeframe;
    let due = want.due.trim(timeframe, range, now)?;
    if !timeframe.is_intraday() && want.due.calendar.has_sessions() {
        return Some(due);
    }
    let length = if timeframe.is_intraday() { timeframe.seconds() } else { DAY };
    let first_label = range.start.saturating_add(length - 1).div_euclid(length) * length;
    Some(TimeRange::new(first_label.min(due.start), due.end))
}

impl Bound {
    /// The first `ts` that it lets through as a beginning.
    #[must_use]
    pub fn start(self, due: &Due, timeframe: Timeframe) -> i64 {
        match self {
            Self::Instant(at) => at,
            Self::Date(date) => session_labels(due, timeframe, date).start,
        }
    }

    /// The first `ts` that it keeps out as an end.
    #[must_use]
    pub fn end(self, due: &Due, timeframe: Timeframe) -> i64 {
        match self {
            Self::Instant(at) => at,
            Self::Date(date) => session_labels(due, timeframe, date).end,
        }
    }
}

/// The `ts` of the bars that belong to a session date: of days, its own label; of shorter bars, the
/// local day, and the evening before where the session opens then.
fn session_labels(due: &Due, timeframe: Timeframe, date: NaiveDate) -> TimeRange {
    let utc = midnight(date);
    if !timeframe.is_intraday() {
        return TimeRange::new(utc, utc + 1);
    }
    let zone = due.calendar.zone();
    let begins = |date: NaiveDate| zone.earliest(date.and_time(NaiveTime::MIN)).unwrap_or(utc);
    let next = date.succ_opt().map_or(utc + DAY, begins);
    match due.calendar.session(date) {
        Some(session) if session.open < begins(date) => TimeRange::new(session.open, session.close),
        _ => TimeRange::new(begins(date), next),
    }
}

/// A file is read as a whole: its lookback is all there is.
fn file_task(want: &Want, now: i64) -> Task {
    let timeframe = want.key.timeframe;
    let end = want.due.end(timeframe, now).unwrap_or(now);
    let start = want.first_ts.unwrap_or(BEGINNING).min(want.start);
    task(want, TimeRange::new(start, end), want.key.symbol.clone(), now)
}

/// A tail of a series that has bars reaches back over what is not settled, for the same request.
fn with_unsettled(
    want: &Want,
    options: &Options,
    range: TimeRange,
    unsettled_from: Option<i64>,
) -> TimeRange {
    let Some(from) = unsettled_from.filter(|_| !options.repair) else { return range };
    if range.end <= want.watermark_ts.unwrap_or(i64::MAX) {
        return range;
    }
    let asked_from =
        options.from.map_or(i64::MIN, |bound| bound.start(&want.due, want.key.timeframe));
    TimeRange::new(from.max(asked_from).min(range.start), range.end)
}

/// From which `ts` on the stored bars of a series are not settled: the last three, and what is younger than
/// that; `None` when it has none.
fn unsettled_from(want: &Want, now: i64) -> Option<i64> {
    let (first, last) = want.first_ts.zip(want.watermark_ts)?;
    let third_last = want.due.back(want.key.timeframe, last, 2);
    let provisional = want
        .due
        .trim(want.key.timeframe, TimeRange::new(now.saturating_sub(want.settle), i64::MAX), now)
        .map_or(third_last, |open| open.start);
    Some(third_last.min(provisional).max(first).max(want.limit))
}

/// Neighbouring ranges become one where that costs no further page.
fn merged(want: &Want, ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    let mut out: Vec<TimeRange> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(before) if pays(want, *before, range) => {
                *before = before.hull(range);
            }
            _ => out.push(range),
        }
    }
    out
}

/// Whether one request for both, and what lies between, has no more pages than two.
fn pays(want: &Want, before: TimeRange, after: TimeRange) -> bool {
    pages(want, before.hull(after)) <= pages(want, before) + pages(want, after)
}

/// Pages of a range, about.
fn pages(want: &Want, range: TimeRange) -> u64 {
    let seconds = match want.reach {
        Reach::Seconds(seconds) | Reach::Pages { seconds } => seconds.max(1),
    };
    let open = range.seconds() as f64 * trading_share(want);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate above 0"
    )]
    let pages = (open / seconds as f64).ceil().max(1.0) as u64;
    pages
}

/// The share of the time in which base rows exist; only pages counted by rows profit from the rest.
fn trading_share(want: &Want) -> f64 {
    let paged = matches!(want.reach, Reach::Pages { .. });
    match (paged, want.due.calendar.has_sessions(), want.key.timeframe.is_intraday()) {
        (true, true, true) => 5.0 * 16.0 / (7.0 * 24.0),
        (true, true, false) => 5.0 / 7.0,
        _ => 1.0,
    }
}

/// The range in slices that one request each may ask for.
fn sliced(want: &Want, range: TimeRange, now: i64) -> Vec<TimeRange> {
    let Reach::Seconds(seconds) = want.reach else { return vec![range] };
    let step = (seconds / want.key.timeframe.seconds()).max(1) * want.key.timeframe.seconds();
    let mut slices = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = start.saturating_add(step).min(range.end);
        slices.extend(askable(want, TimeRange::new(start, end), now));
        start = end;
    }
    slices
}

/// The range in spans of the names that the symbol had.
fn by_alias(want: &Want, range: TimeRange, now: i64) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut start = range.start;
    for (alias, until) in &want.aliases {
        let end = session_labels(&want.due, want.key.timeframe, *until).end.min(range.end);
        if start < end {
            tasks.push((TimeRange::new(start, end), alias.clone()));
            start = end;
        }
    }
    if start < range.end {
        tasks.push((TimeRange::new(start, range.end), want.key.symbol.clone()));
    }
    tasks
        .into_iter()
        .filter_map(|(range, symbol)| {
            let range = askable(want, range, now)?;
            Some(task(want, range, symbol, now))
        })
        .collect()
}

fn task(want: &Want, range: TimeRange, ask_symbol: Symbol, now: i64) -> Task {
    let purpose = match want.watermark_ts {
        None => Purpose::New,
        Some(last) if range.end > last => Purpose::Tail,
        Some(_) => Purpose::Hole,
    };
    let further_pages = if want.file.is_some() { 0 } else { pages(want, range) - 1 };
    Task {
        key: want.key.clone(),
        about: About::Bars,
        provider: want.provider.clone(),
        asset_class: want.asset_class,
        ask_symbol,
        range,
        purpose,
        bars: want.due.count(want.key.timeframe, range, now),
        further_pages,
        file: None,
        shared: Vec::new(),
        unsettled_from: None,
    }
}

#[cfg(test)]
mod tests;
