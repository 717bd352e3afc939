//! What is to be asked of symbols besides their bars: splits, dividends, and what they are. At most once
//! a day, by the daily pass; a file of actions whenever it is another than the one that was read.
//!
//! Splits and dividends of many symbols are asked for by date, where that takes fewer requests (`by_date`).

use chrono::NaiveDate;

use crate::domain::range::TimeRange;
use crate::domain::series::{AssetClass, SeriesKey, Symbol};
use crate::domain::task::{About, Purpose, Shared, Task};
use crate::domain::time::midnight;
use crate::domain::timeframe::{DAY, Timeframe};
use crate::provider::DatedList;

use super::by_date::{self, List, Lists, Looks};
use super::{BEGINNING, Options, Pass};

/// The end of all dates: 10000-01-01.
pub const END: i64 = 253_402_300_800;

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
    /// What of that its provider can be asked for by date, of all symbols at once.
    pub dated_lists: Vec<(About, DatedList)>,
    /// When this provider last told all its splits under its present names; `None` when it has not.
    pub splits_told_at: Option<i64>,
    /// Likewise its dividends.
    pub dividends_told_at: Option<i64>,
    /// When this provider was last asked what it is; `None` before the first time.
    pub listing_checked_at: Option<i64>,
    /// Whether there is a file of actions that was not read, or one that was read is gone.
    pub file_changed: bool,
}

impl Inquiry {
    /// From which day on it lacks what its provider has declared since, at `now`.
    fn lacks_from(&self, about: About, now: i64) -> i64 {
        let told_at = match about {
            About::Splits => self.splits_told_at,
            About::Dividends => self.dividends_told_at,
            About::Bars | About::Listing | About::ActionsFile => None,
        };
        by_date::lacks_from(told_at, now)
    }

    /// The names that it had from a day on, each with the days on which it had it.
    fn names_from(&self, from: i64) -> impl Iterator<Item = (&Symbol, TimeRange)> {
        let mut start = BEGINNING;
        let old = self.aliases.iter().map(move |(alias, until)| {
            let range = TimeRange::new(start, midnight(*until).saturating_add(DAY));
            start = range.end;
            (alias, range)
        });
        let since = self.aliases.last().map_or(BEGINNING, |(_, until)| midnight(*until) + DAY);
        old.chain([(&self.symbol, TimeRange::new(since, END))])
            .filter(move |(_, range)| range.end > from)
    }
}

/// The lists by date that answer what is to be asked about symbols, where that takes fewer requests.
pub(super) fn lists(inquiries: &[Inquiry], options: &Options, now: i64) -> Lists {
    let mut looks = Looks::default();
    for inquiry in inquiries {
        for about in due_topics(inquiry, options, now) {
            let list = inquiry.dated_lists.iter().find(|(listed, _)| *listed == about);
            let Some((_, list)) = list else { continue };
            let names = inquiry.names_from(BEGINNING).count() as u64;
            let from = inquiry.lacks_from(about, now);
            looks.add((&inquiry.provider, about), *list, (from, names));
        }
    }
    looks.lists(now)
}

/// What is to be asked about a symbol.
pub(super) fn tasks(inquiry: &Inquiry, lists: &Lists, options: &Options, now: i64) -> Vec<Task> {
    if inquiry.file_changed {
        let ever = TimeRange::new(BEGINNING, END);
        return vec![task(inquiry, About::ActionsFile, &inquiry.symbol, ever)];
    }
    let mut tasks = Vec::new();
    for about in due_topics(inquiry, options, now) {
        let list = lists.get(&inquiry.provider, about);
        tasks.extend(match list.filter(|list| list.from <= inquiry.lacks_from(about, now)) {
            Some(list) => listed(inquiry, about, list),
            None => named(inquiry, about),
        });
    }
    tasks
}

/// What is due to be asked about a symbol.
fn due_topics(inquiry: &Inquiry, options: &Options, now: i64) -> impl Iterator<Item = About> {
    let is_daily_pass = options.pass == Pass::Enrich
        && options.from.is_none()
        && options.to.is_none()
        && !options.full
        && !options.repair
        && !inquiry.file_changed;
    let topics = if is_daily_pass { inquiry.topics } else { &[] };
    topics.iter().copied().filter(move |about| match about {
        About::Listing => is_due(inquiry, inquiry.listing_checked_at, LISTING_DAYS, now),
        _ => is_due(inquiry, inquiry.actions_checked_at, 1, now),
    })
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
    let names = inquiry.names_from(if about == About::Listing { END - 1 } else { BEGINNING });
    names.map(|(name, range)| task(inquiry, about, name, range)).collect()
}

/// One task for each name that the symbol had on the days of a list that is shared with others.
fn listed(inquiry: &Inquiry, about: About, list: &List) -> Vec<Task> {
    let shared = Shared {
        market: list.market,
        range: TimeRange::new(list.from, END),
        further_pages: list.pages.saturating_sub(1),
    };
    let tasks = inquiry
        .names_from(list.from)
        .map(|(name, range)| Task { shared: vec![shared], ..task(inquiry, about, name, range) });
    tasks.collect()
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
            dated_lists: Vec::new(),
            splits_told_at: None,
            dividends_told_at: None,
            listing_checked_at: None,
            file_changed: false,
        }
    }

    fn asked(inquiry: &Inquiry, options: &Options, now: i64) -> Vec<Task> {
        tasks(inquiry, &Lists::default(), options, now)
    }

    fn abouts(inquiry: &Inquiry, options: &Options, now: i64) -> Vec<About> {
        asked(inquiry, options, now).iter().map(|task| task.about).collect()
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

    const LIST: DatedList = DatedList { market: "m", rows_a_year: 1_500, page_rows: 1_000 };

    /// Symbols of which all splits were told a day ago, and that are asked about again.
    fn told(count: usize) -> Vec<Inquiry> {
        let symbol = |n: usize| format!("S{n}").parse().unwrap();
        let told_at = Some(MONDAY - DAY);
        let one = |n| Inquiry {
            symbol: symbol(n),
            topics: &[About::Splits],
            dated_lists: vec![(About::Splits, LIST)],
            actions_checked_at: told_at,
            splits_told_at: told_at,
            ..inquiry()
        };
        (0..count).map(one).collect()
    }

    /// The tasks of the last inquiry, beside those of all.
    fn of_last(inquiries: &[Inquiry], options: &Options) -> Vec<Task> {
        let lists = lists(inquiries, options, MONDAY);
        tasks(inquiries.last().unwrap(), &lists, options, MONDAY)
    }

    #[test]
    fn many_symbols_share_one_list_from_before_they_were_told() {
        let alone = of_last(&told(2), &DAILY_PASS);
        assert!(alone.iter().all(|task| task.shared.is_empty()) && alone.len() == 1);
        let [task] = &of_last(&told(50), &DAILY_PASS)[..] else { panic!("no task") };
        assert_eq!((task.ask_symbol.as_str(), task.range), ("S49", TimeRange::new(BEGINNING, END)));
        let range = TimeRange::new(MONDAY - 61 * DAY, END);
        assert_eq!(task.shared, [Shared { market: "m", range, further_pages: 0 }]);
        assert_eq!(of_last(&told(50), &Options::default()), [], "no daily pass");
    }

    #[test]
    fn whoever_was_not_told_everything_is_asked_alone_beside_the_list() {
        let mut inquiries = told(50);
        inquiries.push(Inquiry { splits_told_at: None, ..told(51).remove(50) });
        assert_eq!(of_last(&inquiries, &DAILY_PASS)[0].shared, []);
        inquiries.swap(0, 50);
        assert_eq!(of_last(&inquiries, &DAILY_PASS)[0].shared.len(), 1);
    }

    #[test]
    fn of_former_names_those_of_the_days_of_a_list_are_in_it() {
        let names = |until: &str| {
            let mut inquiries = told(50);
            let aliases = [("OLDER", "2004-06-01"), ("OLD", until)];
            let aliases =
                aliases.map(|(name, until)| (name.parse().unwrap(), until.parse().unwrap()));
            inquiries.push(Inquiry { aliases: aliases.to_vec(), ..told(51).remove(50) });
            let tasks = of_last(&inquiries, &DAILY_PASS);
            tasks.iter().map(|task| task.ask_symbol.to_string()).collect::<Vec<_>>()
        };
        // The list begins on 2024-05-01.
        assert_eq!(names("2024-04-30"), ["S50"]);
        assert_eq!(names("2024-05-01"), ["OLD", "S50"]);
    }

    #[test]
    fn each_provider_has_a_list_of_its_own() {
        let mut inquiries = told(10);
        inquiries[..5].iter_mut().for_each(|inquiry| inquiry.provider = "q".into());
        inquiries[0].splits_told_at = Some(MONDAY - 9 * DAY);
        let lists = lists(&inquiries, &DAILY_PASS, MONDAY);
        let days = |provider| {
            let list = lists.get(provider, About::Splits).unwrap();
            (MONDAY - list.from) / DAY
        };
        assert_eq!((days("q"), days("p")), (69, 61));
        assert!(lists.get("p", About::Dividends).is_none());
    }

    #[test]
    fn names_share_all_time_among_them_without_overlap() {
        let until: NaiveDate = "2024-06-28".parse().unwrap();
        let aliases = vec![("OLD".parse().unwrap(), until)];
        let tasks = asked(&Inquiry { aliases, ..inquiry() }, &DAILY_PASS, MONDAY);
        let splits: Vec<_> = tasks.iter().filter(|task| task.about == About::Splits).collect();
        let [old, new] = splits[..] else { panic!("{splits:?}") };
        assert_eq!((old.ask_symbol.as_str(), new.ask_symbol.as_str()), ("OLD", "X"));
        assert_eq!((old.range.start, new.range.end), (BEGINNING, END));
        assert!(old.range.end == new.range.start && old.range.contains(midnight(until)));
        let listings = tasks.iter().filter(|task| task.about == About::Listing);
        assert_eq!(listings.map(|task| task.ask_symbol.as_str()).collect::<Vec<_>>(), ["X"]);
    }
}
