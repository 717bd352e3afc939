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
        file: None,
        shared: Vec::new(),
        unsettled_from: None,
    }
}

fn midnight(date: NaiveDate) -> i64 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-07-01T00:00:00Z.
    const MONDAY: i64 = 1_719_792_000;

    const DAILY_PASS: Options =
        Options { pass: Pass::Enrich, from: None, to: None, full: false, repair: false };

    fn inquiry() -> Inquiry {
        Inquiry {
            symbol: "X".parse().unwrap(),
            provider: "p".into(),
            asset_class: AssetClass::Stock,
            aliases: Vec::new(),
            delisted: None,
            priority: 0,
            topics: &[About::Splits, About::Dividends, About::Listing],
            actions_checked_at: None,
            listing_checked_at: None,
            file_changed: false,
        }
    }

    fn abouts(inquiry: &Inquiry, options: &Options, now: i64) -> Vec<About> {
        tasks(inquiry, options, now).iter().map(|task| task.about).collect()
    }

    #[test]
    fn a_day_is_one_of_utc_and_a_week_has_seven() {
        let asked = |checked_at| {
            let asked_at = Some(checked_at);
            let inquiry =
                Inquiry { actions_checked_at: asked_at, listing_checked_at: asked_at, ..inquiry() };
            abouts(&inquiry, &DAILY_PASS, MONDAY + 60)
        };
        let all = inquiry().topics;
        assert_eq!(asked(MONDAY), []);
        assert_eq!(asked(MONDAY + DAY - 1), []);
        assert_eq!(asked(MONDAY - 1), all[..2]);
        assert_eq!(asked(MONDAY - 6 * DAY), all[..2]);
        assert_eq!(asked(MONDAY - 6 * DAY - 1), *all);
        assert_eq!(asked(MONDAY + DAY), *all, "the clock was ahead");
    }

    #[test]
    fn a_file_is_read_by_whatever_pass_and_instead_of_asking() {
        let changed = Inquiry { file_changed: true, ..inquiry() };
        for options in [DAILY_PASS, Options::default(), Options { full: true, ..DAILY_PASS }] {
            assert_eq!(abouts(&changed, &options, MONDAY), [About::ActionsFile]);
        }
        assert_eq!(abouts(&inquiry(), &Options::default(), MONDAY), []);
    }

    #[test]
    fn names_share_all_time_among_them_without_overlap() {
        let until: NaiveDate = "2024-06-28".parse().unwrap();
        let aliases = vec![("OLD".parse().unwrap(), until)];
        let tasks = tasks(&Inquiry { aliases, ..inquiry() }, &DAILY_PASS, MONDAY);
        let splits: Vec<_> = tasks.iter().filter(|task| task.about == About::Splits).collect();
        let [old, new] = splits[..] else { panic!("{splits:?}") };
        assert_eq!((old.ask_symbol.as_str(), new.ask_symbol.as_str()), ("OLD", "X"));
        assert_eq!((old.range.start, new.range.end), (BEGINNING, END));
        assert!(old.range.end == new.range.start && old.range.contains(midnight(until)));
        let listings = tasks.iter().filter(|task| task.about == About::Listing);
        assert_eq!(listings.map(|task| task.ask_symbol.as_str()).collect::<Vec<_>>(), ["X"]);
    }
}
