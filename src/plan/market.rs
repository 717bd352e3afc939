//! Days of a whole market: one request for all the symbols that need the day, where that is cheaper than one
//! for each of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::range::TimeRange;
use crate::domain::task::{Shared, Task};
use crate::domain::timeframe::{DAY, Timeframe};

use super::{Options, Pass, Want};

/// The most days of a task that are asked for one by one.
const MOST_DAYS: u64 = 100;

/// The most rows that the days of a market may bring in all: they are held until every symbol has its own.
const MOST_ROWS: usize = 100_000;

/// A provider by its name in the config, and one of its markets.
type Market<'a> = (&'a str, &'static str);

/// How many series each market has.
pub(super) struct Markets<'a>(BTreeMap<Market<'a>, u64>);

impl<'a> Markets<'a> {
    pub(super) fn of(wants: &'a [Want]) -> Self {
        let mut markets = BTreeMap::new();
        for want in wants {
            if let Some(market) = want.market {
                *markets.entry((want.provider.as_str(), market)).or_default() += 1;
            }
        }
        Self(markets)
    }

    /// Whether there is another series for which the same request may do.
    pub(super) fn have(&self, want: &Want) -> bool {
        let market = want.market.map(|market| (want.provider.as_str(), market));
        market.and_then(|market| self.0.get(&market)).is_some_and(|series| *series > 1)
    }
}

/// Whether what is not settled may wait for another day when days are asked for one by one: it was read on
/// this day or, by a backfill, the one before. Prices that are restated are seen by nothing else.
pub(super) fn may_wait(want: &Want, options: &Options, now: i64) -> bool {
    let day = |at: i64| at.div_euclid(DAY);
    let longest = if options.pass == Pass::Enrich { 0 } else { 1 };
    let read = want.settle_read_at.map(|at| day(now) - day(at));
    !want.adjusted && read.is_some_and(|days| (0..=longest).contains(&days))
}

/// The days of `ranges` that are to be asked for, ascending; none when they are too many.
///
/// Of an exchange those with a session; of other markets every day, as one may have a bar that is not due.
pub(super) fn days(want: &Want, ranges: &[TimeRange], now: i64) -> Vec<i64> {
    let all: u64 = ranges.iter().map(|range| want.due.count(Timeframe::D1, *range, now)).sum();
    if all > MOST_DAYS {
        return Vec::new();
    }
    let sessions = want.due.calendar.has_sessions();
    let mut days = BTreeSet::new();
    for range in ranges {
        if sessions {
            days.extend(want.due.timestamps(Timeframe::D1, *range, now));
        } else {
            let first = range.start.saturating_add(DAY - 1).div_euclid(DAY) * DAY;
            days.extend((0..).map(|n| first + n * DAY).take_while(|day| *day < range.end));
        }
    }
    days.into_iter().collect()
}

/// The task, with what of `days` may be asked for of the whole market in its place.
pub(super) fn shared(want: &Want, task: Task, days: &[i64]) -> Task {
    let Some(market) = want.market else { return task };
    let own = days.iter().filter(|day| task.range.contains(**day));
    let shared = own
        .map(|day| Shared { market, range: TimeRange::new(*day, *day + DAY), further_pages: 0 })
        .collect();
    Task { shared, ..task }
}

/// Decides which of the tasks that may be answered by days of their market are: those that need the fewest
/// days, as long as that makes for fewer requests.
pub(super) fn choose<'a>(tasks: impl Iterator<Item = &'a mut Task>) {
    let mut markets: BTreeMap<(String, &'static str), Vec<&mut Task>> = BTreeMap::new();
    for task in tasks {
        if let Some(first) = task.shared.first() {
            markets.entry((task.provider.clone(), first.market)).or_default().push(task);
        }
    }
    for (_, mut tasks) in markets {
        tasks.sort_by_key(|task| task.shared.len());
        let most = most_days(&tasks);
        for task in tasks {
            if task.shared.len() > most {
                task.shared.clear();
            } else {
                by_days(task);
            }
        }
    }
}

/// Up to how many days a task may need so that asking for days of the market is cheapest; 0 when it never is.
/// `tasks` ascend by their days.
fn most_days(tasks: &[&mut Task]) -> usize {
    let alone = |task: &Task| 1 + task.further_pages;
    let mut requests: u64 = tasks.iter().map(|task| alone(task)).sum();
    let (mut fewest, mut most) = (requests, 0);
    let (mut days, mut rows) = (BTreeSet::new(), 0);
    for alike in tasks.chunk_by(|one, other| one.shared.len() == other.shared.len()) {
        for task in alike {
            requests -= alone(task);
            rows += task.shared.len();
            days.extend(task.shared.iter().map(|shared| shared.range));
        }
        let with_days = requests + days.len() as u64;
        if rows <= MOST_ROWS && with_days < fewest {
            fewest = with_days;
            most = alike[0].shared.len();
        }
    }
    most
}

/// Makes a task one that is answered by days of its market.
fn by_days(task: &mut Task) {
    if let Some((first, last)) = task.shared.first().zip(task.shared.last()) {
        task.range = TimeRange::new(first.range.start, last.range.end);
    }
    task.bars = task.bars.min(task.shared.len() as u64);
    task.further_pages = 0;
}
