//! Whether symbols are asked one by one for what is declared of them, or all of them at once by date.
//!
//! A symbol whose whole list was fetched before needs only what was declared since, and a list by date brings
//! that of all symbols in few pages. A new symbol needs its whole list: they are asked one by one, unless so
//! many are new that even a list of all years has fewer pages.

use std::collections::BTreeMap;

use crate::domain::task::About;
use crate::domain::time::day_start;
use crate::domain::timeframe::DAY;
use crate::provider::DatedList;

use super::BEGINNING;

/// How far before the last look the next one begins: declarations come late, and are corrected.
const OVERLAP: i64 = 60 * DAY;

/// How far ahead of a day most of what is declared for the days after it is declared.
const AHEAD: i64 = 60 * DAY;

/// No list goes back further.
const FIRST_LISTED: i64 = 0;

/// How many pages a list may have for one that is estimated, and still pay.
const DOUBT: u64 = 2;

/// A list of more pages, about, is not asked for: it counts as a whole only, and one run has to get it.
const MOST_PAGES: u64 = 100;

/// From which day on a symbol lacks what was declared, when all of it was told at `told_at`. A look on a
/// later day than `now` cannot have been: the clock was wrong then.
pub(super) fn lacks_from(told_at: Option<i64>, now: i64) -> i64 {
    let told = told_at.map(day_start).filter(|told| *told <= day_start(now));
    told.map_or(BEGINNING, |told| told.saturating_sub(OVERLAP).max(BEGINNING))
}

/// A list by date that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    /// The market whose symbols are in it.
    pub(super) market: &'static str,
    /// Its first day; it has no last one.
    pub(super) from: i64,
    /// Its pages, about.
    pub(super) pages: u64,
}

/// The lists that are asked for, by provider and what they are about: each for those who lack nothing of
/// before its first day. The others are asked one by one.
#[derive(Debug, Default)]
pub(super) struct Lists(BTreeMap<(String, About), List>);

impl Lists {
    pub(super) fn get(&self, provider: &str, about: About) -> Option<&List> {
        // Most plans have none.
        if self.0.is_empty() { None } else { self.0.get(&(provider.to_owned(), about)) }
    }
}

/// A look that is due: from which day on a symbol lacks what was declared, and how many requests it takes
/// alone.
type Look = (i64, u64);

/// The looks that are due, by provider and what they are about.
#[derive(Debug, Default)]
pub(super) struct Looks<'a>(BTreeMap<(&'a str, About), (DatedList, Vec<Look>)>);

impl<'a> Looks<'a> {
    /// Adds that of a symbol.
    pub(super) fn add(&mut self, of: (&'a str, About), list: DatedList, look: Look) {
        self.0.entry(of).or_insert_with(|| (list, Vec::new())).1.push(look);
    }

    /// The lists that pay at `now`.
    pub(super) fn lists(self, now: i64) -> Lists {
        let lists = self.0.into_iter().filter_map(|((provider, about), (list, looks))| {
            Some(((provider.to_owned(), about), cheapest(list, looks, now)?))
        });
        Lists(lists.collect())
    }
}

/// The list with which those `looks` take the fewest requests: who lacks more than it has is asked alone.
/// `None` when all are better asked alone.
fn cheapest(list: DatedList, mut looks: Vec<Look>, now: i64) -> Option<List> {
    looks.sort_unstable();
    let all_alone: u64 = looks.iter().map(|(_, requests)| requests).sum();
    let (mut best, mut fewest) = (None, all_alone);
    let mut alone = 0;
    for (from, requests) in looks {
        let pages = pages(list, from, now);
        let taken = alone + pages.saturating_mul(DOUBT);
        if taken < fewest && pages <= MOST_PAGES {
            (best, fewest) = (Some(List { market: list.market, from, pages }), taken);
        }
        alone += requests;
    }
    best
}

/// The pages of a list from a day on, about.
fn pages(list: DatedList, from: i64, now: i64) -> u64 {
    let days = now.saturating_add(AHEAD).saturating_sub(from.max(FIRST_LISTED)) / DAY;
    let rows = list.rows_a_year.saturating_mul(days.unsigned_abs()) / 365;
    rows.div_ceil(list.page_rows.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-07-01T00:00:00Z.
    const MONDAY: i64 = 1_719_792_000;

    const SPLITS: DatedList = DatedList { market: "m", rows_a_year: 1_500, page_rows: 1_000 };
    const DIVIDENDS: DatedList = DatedList { rows_a_year: 50_000, ..SPLITS };

    /// The first day of the cheapest list, in days before now, and its pages, when so many symbols were told
    /// all so many days ago; `None` for those that never were.
    fn listed(list: DatedList, symbols: &[(usize, Option<i64>)]) -> Option<(i64, u64)> {
        let looks = symbols.iter().flat_map(|(count, days_ago)| {
            let told_at = days_ago.map(|days| MONDAY - days * DAY);
            std::iter::repeat_n((lacks_from(told_at, MONDAY), 1), *count)
        });
        let list = cheapest(list, looks.collect(), MONDAY)?;
        Some(((MONDAY - list.from) / DAY, list.pages))
    }

    #[test]
    fn many_that_were_told_yesterday_share_the_pages_since() {
        assert_eq!(listed(SPLITS, &[(5_000, Some(1))]), Some((61, 1)));
        assert_eq!(listed(DIVIDENDS, &[(5_000, Some(1))]), Some((61, 17)));
    }

    #[test]
    fn a_handful_is_asked_one_by_one() {
        for few in 0..=2 {
            assert_eq!(listed(SPLITS, &[(few, Some(1))]), None, "{few}");
        }
        assert!(listed(SPLITS, &[(3, Some(1))]).is_some());
        assert_eq!(listed(DIVIDENDS, &[(34, Some(1))]), None);
        assert!(listed(DIVIDENDS, &[(35, Some(1))]).is_some());
    }

    #[test]
    fn new_ones_are_asked_one_by_one_beside_the_list_of_the_others() {
        assert_eq!(listed(SPLITS, &[(20, None), (500, Some(1))]), Some((61, 1)));
        assert_eq!(listed(DIVIDENDS, &[(900, None), (500, Some(1))]), Some((61, 17)));
    }

    #[test]
    fn so_many_new_ones_that_all_years_have_fewer_pages_share_them() {
        let (days, pages) = listed(SPLITS, &[(5_000, None)]).unwrap();
        assert!(days > 40_000 && (60..=MOST_PAGES).contains(&pages), "{days} {pages}");
        assert_eq!(listed(SPLITS, &[(2 * 60, None)]), None);
        assert_eq!(listed(DIVIDENDS, &[(50_000, None)]), None, "no run gets so many pages");
    }

    #[test]
    fn after_an_outage_the_window_reaches_back_to_the_oldest_look_that_pays() {
        let outage = [(10, Some(300)), (2_000, Some(40))];
        assert_eq!(listed(SPLITS, &outage), Some((360, 2)));
        assert_eq!(listed(DIVIDENDS, &outage), Some((100, 22)), "ten requests are fewer");
    }

    #[test]
    fn what_was_told_tomorrow_was_not_told() {
        assert_eq!(lacks_from(Some(MONDAY + 2 * DAY), MONDAY), BEGINNING);
        assert_eq!(lacks_from(Some(MONDAY + DAY - 1), MONDAY), MONDAY - OVERLAP);
        assert_eq!(lacks_from(None, MONDAY), BEGINNING);
        assert_eq!(lacks_from(Some(i64::MIN), MONDAY), BEGINNING);
    }
}
