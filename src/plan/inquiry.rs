//! What is to be asked of symbols besides their bars: splits, dividends, and what they are. At most once
//! a day, by the daily pass; a file of actions whenever it is another than the one that was read.

use chrono::{NaiveDate, NaiveTime};

use crate::domain::range::TimeRange;
use crate::domain::series::{AssetClass, SeriesKey, Symbol};
use crate::domain::task::{About, Purpose, Task};
use crate::domain::timeframe::{DAY, Timeframe};

use super::{BEGINNING, Options, Pass};

/// The end of all dates: 10000-01-01.
const END: i64 = 253_402_300_800;

/// Days from one look at what a symbol is to the next.
const LISTING_DAYS: i64 = 7;

/// A symbol as it may be asked about, and as the store knows it.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// Which symbol.
    pub symbol: Symbol,
    /// Its provider's name in the config.
    pub provider: String,
    /// What it is.
    pub asset_class: AssetClass,
    /// Names that it had before, oldest first, each with its last day.
    pub aliases: Vec<(Symbol, NaiveDate)>,
    /// Its last session; `None` while it is listed.
    pub delisted: Option<NaiveDate>,
    /// Higher goes first.
    pub priority: i64,
    /// What its provider can be asked for.
    pub topics: &'static [About],
    /// When it was last asked for actions; `None` before the first time.
    pub actions_checked_at: Option<i64>,
    /// When this provider was last asked what it is; `None` before the first time.
    pub listing_checked_at: Option<i64>,
    /// Whether there is a file of actions that was not read, or one that was read is gone.
    pub file_changed: bool,
}

/// What is to be asked about a symbol.
pub(super) fn tasks(inquiry: &Inquiry, options: &Options, now: i64) -> Vec<Task> {
    if inquiry.file_changed {
        return vec![task(
            inquiry,
            About::ActionsFile,
            &inquiry.symbol,
            TimeRange::new(BEGINNING, END),
        )];
    }
    let is_daily_pass = options.pass == Pass::Enrich
        && options.from.is_none()
        && options.to.is_none()
        && !options.full
        && !options.repair;
    if !is_daily_pass {
        return Vec::new();
    }
    let topics = inquiry.topics.iter().filter(|about| match about {
        About::Listing => is_due(inquiry, inquiry.listing_checked_at, LISTING_DAYS, now),
        _ => is_due(inquiry, inquiry.actions_checked_at, 1, now),
    });
    topics.flat_map(|about| named(inquiry, *about)).collect()
}

/// Whether it is time for another look: so many days after the last one, and after its end only once. A
/// look on a later day cannot have been: the clock was wrong then.
fn is_due(inquiry: &Inquiry, checked_at: Option<i64>, days: i64, now: i64) -> bool {
    let day = |at: i64| at.div_euclid(DAY);
    let Some(checked) = checked_at.map(day).filter(|checked| *checked <= day(now)) else {
        return true;
    };
    let over = inquiry.delisted.is_some_and(|end| checked > day(midnight(end)));
    !over && day(now) - checked >= days
}

/// One task for each name that the symbol had, with the days on which it had it; what it is, is asked of
/// the present one alone.
fn named(inquiry: &Inquiry, about: About) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut start = BEGINNING;
    if about != About::Listing {
        for (alias, until) in &inquiry.aliases {
            let end = midnight(*until).saturating_add(DAY);
            tasks.push(task(inquiry, about, alias, TimeRange::new(start, end)));
            start = end;
        }
    }
    tasks.push(task(inquiry, about, &inquiry.symbol, TimeRange::new(start, END)));
    tasks
}

fn task(inquiry: &Inquiry, about: About, name: &Symbol, range: TimeRange) -> Task {
    Task {
        key: SeriesKey { symbol: inquiry.symbol.clone(), timeframe: Timeframe::D1 },
        about,
        provider: inquiry.provider.clone(),
        asset_class: inquiry.asset_class,
        ask_symbol: name.clone(),
        range,
        purpose: Purpose::Reference,
        bars: 0,
        further_pages: 0,
    }
}

fn midnight(date: NaiveDate) -> i64 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp()
}
