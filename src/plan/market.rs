//! Days of a whole market: one request for all the symbols that need the day, where that is cheaper than one
//! for each of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::task::{Shared, Task};
use crate::domain::time::day_start;
use crate::domain::timeframe::{DAY, Timeframe};

use super::{Options, Pass, Want, by_alias};

/// The most days of a series that are asked for one by one.
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
/// this day or, for a backfill, without a session since but of the day before and of this one. Nothing but
/// that reading shows that prices were restated: with adjusted ones it never waits.
pub(super) fn may_wait(want: &Want, options: &Options, now: i64) -> bool {
    let Some(read) = want.settle_read_at.map(day_start).filter(|_| !want.adjusted) else {
        return false;
    };
    // An emptiness behind the last bar is looked at as a whole.
    let last_empty = want.empty.ranges().last().map(|range| range.end);
    if last_empty > want.watermark_ts {
        return false;
    }
    let today = day_start(now);
    let between = TimeRange::new(read.saturating_add(DAY), today);
    let is_recent = options.pass == Pass::Backfill
        && read < today
        && want.due.count(Timeframe::D1, between, now) == 0;
    read == today || is_recent
}

/// What of a series may be asked for, alone and by days of its market: one of the two is.
pub(super) struct Draft<'a> {
    pub(super) want: &'a Want,
    pub(super) tasks: Vec<Task>,
    pub(super) by_days: Vec<Task>,
    /// How late it is, the later the smaller.
    pub(super) lag: i64,
}

/// The tasks that ask for `ranges` by days; none when these are too many.
pub(super) fn by_days(want: &Want, ranges: &[TimeRange], now: i64) -> Vec<Task> {
    let days: u64 = ranges.iter().map(|range| want.due.count(Timeframe::D1, *range, now)).sum();
    let Some(market) = want.market.filter(|_| days <= MOST_DAYS) else { return Vec::new() };
    let ranges: RangeSet = ranges.iter().copied().collect();
    let tasks = ranges.ranges().iter().flat_map(|range| by_alias(want, *range, now));
    let shared = |day: i64| {
        let range = TimeRange::new(day, day.saturating_add(DAY));
        Shared { market, range, further_pages: 0 }
    };
    tasks
        .map(|task| {
            let shared = days_of(want, task.range, now).into_iter().map(shared).collect();
            Task { shared, further_pages: 0, ..task }
        })
        .collect()
}

/// The days of a range that may have a bar: of an exchange those with a session, of other markets all, as
/// one may have a bar that is not due.
fn days_of(want: &Want, range: TimeRange, now: i64) -> Vec<i64> {
    if want.due.calendar.has_sessions() {
        return want.due.timestamps(Timeframe::D1, range, now).collect();
    }
    let first = day_start(range.start.saturating_add(DAY - 1));
    (0..).map(|n| first + n * DAY).take_while(|day| *day < range.end).collect()
}

/// Decides which of the series that may be asked for by days of their market are: those that need the fewest
/// days, as long as that makes for fewer requests.
pub(super) fn choose(drafts: &mut [Draft<'_>]) {
    let mut markets: BTreeMap<Market<'_>, Vec<&mut Draft<'_>>> = BTreeMap::new();
    for draft in drafts {
        let market = draft.by_days.first().and_then(|task| task.shared.first());
        if let Some(shared) = market {
            let market = (draft.want.provider.as_str(), shared.market);
            markets.entry(market).or_default().push(draft);
        }
    }
    for mut drafts in markets.into_values() {
        drafts.sort_by_key(|draft| draft.days().count());
        let most = most_days(&drafts);
        for draft in drafts.into_iter().filter(|draft| draft.days().count() <= most) {
            draft.tasks = std::mem::take(&mut draft.by_days);
        }
    }
}

impl Draft<'_> {
    fn days(&self) -> impl Iterator<Item = TimeRange> {
        self.by_days.iter().flat_map(|task| &task.shared).map(|shared| shared.range)
    }

    /// Requests when it is asked for alone.
    fn alone(&self) -> u64 {
        self.tasks.iter().map(|task| 1 + task.further_pages).sum()
    }
}

/// Up to how many days a series may need so that asking for days of the market is cheapest; 0 when it never
/// is. `drafts` ascend by their days.
fn most_days(drafts: &[&mut Draft<'_>]) -> usize {
    let mut requests: u64 = drafts.iter().map(|draft| draft.alone()).sum();
    let (mut fewest, mut most) = (requests, 0);
    let (mut days, mut rows) = (BTreeSet::new(), 0);
    for alike in drafts.chunk_by(|one, other| one.days().count() == other.days().count()) {
        let needed = alike[0].days().count();
        for draft in alike {
            requests -= draft.alone();
            days.extend(draft.days());
        }
        rows += needed * alike.len();
        let with_days = requests + days.len() as u64;
        if rows <= MOST_ROWS && with_days < fewest {
            (fewest, most) = (with_days, needed);
        }
    }
    most
}
