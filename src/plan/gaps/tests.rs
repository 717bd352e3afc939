//! What is missing is found, and each gap is called by its name as time passes.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::calendar::{Calendar, Layout, Overrides};
use crate::domain::policy::Publication;

const HOUR: i64 = 3_600;
/// 2024-07-01T00:00:00Z, a Monday.
const MONDAY: i64 = 1_719_792_000;

fn due(calendar: &str) -> Due {
    Due {
        calendar: Calendar::named(calendar, Overrides::default()).unwrap(),
        layout: Layout::default(),
        publication: Publication { lag: Duration::ZERO, end_of_day: None },
        delisted: None,
    }
}

fn known(due: &Due, timeframe: Timeframe, bars: Option<(i64, i64)>, now: i64) -> Known<'_> {
    let (first_ts, watermark_ts) = (bars.map(|bars| bars.0), bars.map(|bars| bars.1));
    Known { due, timeframe, first_ts, watermark_ts, restated_to: None, now }
}

fn hour(index: i64) -> i64 {
    MONDAY + index * HOUR
}

fn hours(from: i64, to: i64) -> TimeRange {
    TimeRange::new(hour(from), hour(to))
}

fn shape(gaps: &[Gap]) -> Vec<(TimeRange, u64, GapReason)> {
    gaps.iter().map(|gap| (gap.range, gap.missing, gap.reason)).collect()
}

#[test]
fn neighbouring_bars_are_one_gap_and_refused_ones_another() {
    let due = due("24x7");
    let known = known(&due, Timeframe::H1, Some((hour(0), hour(9))), hour(10));
    let stored = [0, 1, 6, 9].map(hour);
    let gaps = answered(&known, &[], hours(0, 10), &stored, &[hour(4)]);
    assert_eq!(
        shape(&gaps),
        [
            (hours(2, 4), 2, GapReason::ProviderEmpty),
            (hours(4, 5), 1, GapReason::Rejected),
            (hours(5, 6), 1, GapReason::ProviderEmpty),
            (hours(7, 9), 2, GapReason::ProviderEmpty),
        ]
    );
}

#[test]
fn what_came_after_all_closes_its_gap_and_what_lies_outside_stays() {
    let due = due("24x7");
    let known = known(&due, Timeframe::H1, Some((hour(0), hour(9))), hour(10));
    let held = answered(&known, &[], hours(0, 10), &[hour(0), hour(9)], &[]);
    assert_eq!(shape(&held), [(hours(1, 9), 8, GapReason::ProviderEmpty)]);
    let stored = [3, 4].map(hour);
    let gaps = answered(&known, &held, hours(3, 6), &stored, &[]);
    assert_eq!(
        shape(&gaps),
        [
            (hours(1, 3), 2, GapReason::ProviderEmpty),
            (hours(5, 6), 1, GapReason::ProviderEmpty),
            (hours(6, 9), 3, GapReason::ProviderEmpty),
        ]
    );
}

/// Looks at one empty day again and again; tells when each next look is due, in days from the first.
fn looks(due: &Due, later_bar: bool) -> (Vec<Option<i64>>, GapReason) {
    let day = TimeRange::new(MONDAY, MONDAY + DAY);
    let last = if later_bar { MONDAY + DAY } else { MONDAY - DAY };
    let bars = Some((MONDAY - DAY, last));
    let mut now = MONDAY + 2 * DAY;
    let first = now;
    let mut gaps = Vec::new();
    let mut next = Vec::new();
    for _ in 0..4 {
        let known = known(due, Timeframe::D1, bars, now);
        gaps = reconsidered(&known, &answered(&known, &gaps, day, &[], &[]));
        next.push(gaps[0].next_check_at.map(|at| (at - first) / DAY));
        now = gaps[0].next_check_at.unwrap_or(now);
    }
    (next, gaps[0].reason)
}

#[test]
fn an_empty_answer_is_looked_at_again_ever_later_and_then_called_untraded() {
    let due = due("24x7");
    let (next, reason) = looks(&due, true);
    assert_eq!(next, [Some(1), Some(4), Some(13), None]);
    assert_eq!(reason, GapReason::NoTrade);
}

#[test]
fn without_a_later_bar_an_empty_answer_stays_a_hole() {
    let due = due("24x7");
    assert_eq!(looks(&due, false).1, GapReason::ProviderEmpty);
}

#[test]
fn a_look_before_its_time_changes_nothing() {
    let due = due("24x7");
    let day = TimeRange::new(MONDAY, MONDAY + DAY);
    let now = MONDAY + 2 * DAY;
    let at = |now| known(&due, Timeframe::D1, Some((MONDAY - DAY, MONDAY + DAY)), now);
    let first = answered(&at(now), &[], day, &[], &[]);
    assert_eq!(answered(&at(now + HOUR), &first, day, &[], &[]), first);
}

#[test]
fn before_the_first_bar_is_before_the_listing() {
    let due = due("24x7");
    let at = |bars| known(&due, Timeframe::H1, bars, hour(10));
    let empty = answered(&at(None), &[], hours(0, 5), &[], &[]);
    assert_eq!(reconsidered(&at(None), &empty)[0].reason, GapReason::ProviderEmpty);
    let listed = at(Some((hour(5), hour(9))));
    assert_eq!(reconsidered(&listed, &empty)[0].reason, GapReason::PreListing);
}

#[test]
fn minutes_without_a_trade_explain_themselves_once_their_session_is_over() {
    let due = due("XNYS");
    // 13:30Z to 20:00Z; the last trade is at 19:50.
    let (open, close) = (MONDAY + 13 * HOUR + 1800, MONDAY + 20 * HOUR);
    let last = close - 600;
    let stored: Vec<i64> =
        (0..).map(|minute| open + 60 * minute).take_while(|ts| *ts <= last).collect();
    let reasons = |now: i64, until: i64| {
        let known = known(&due, Timeframe::M1, Some((open, last)), now);
        let gaps = answered(&known, &[], TimeRange::new(open, until), &stored, &[]);
        shape(&reconsidered(&known, &gaps))
    };
    let tail = TimeRange::new(last + 60, close);
    assert_eq!(reasons(close - 60, close - 60)[0].2, GapReason::ProviderEmpty, "still open");
    assert_eq!(reasons(close, close), [(tail, 9, GapReason::NoTrade)]);
    // The next session without any bar is a hole: nothing in it explains its silence.
    let tuesday = TimeRange::new(open + DAY, close + DAY);
    assert_eq!(
        reasons(close + DAY, close + DAY),
        [(tail, 9, GapReason::NoTrade), (tuesday, 390, GapReason::ProviderEmpty)]
    );
}

#[test]
fn around_the_clock_nothing_explains_a_silent_tail() {
    let due = due("24x7");
    let known = known(&due, Timeframe::H1, Some((hour(0), hour(5))), hour(40));
    let stored: Vec<i64> = (0..6).map(hour).collect();
    let gaps = answered(&known, &[], hours(0, 40), &stored, &[]);
    assert_eq!(shape(&reconsidered(&known, &gaps)), [(hours(6, 40), 34, GapReason::ProviderEmpty)]);
}

proptest! {
    #[test]
    fn stored_and_missing_bars_are_the_due_ones(
        stored in prop::collection::btree_set(0..80i64, 0..60),
        held in prop::collection::btree_set(0..80i64, 0..60),
        from in 0..60i64,
        length in 1..40i64,
    ) {
        let due = due("FX");
        let now = hour(80);
        let bars = Some((hour(0), hour(79)));
        let known = known(&due, Timeframe::H1, bars, now);
        let stamps = |set: &std::collections::BTreeSet<i64>, range: TimeRange| -> Vec<i64> {
            set.iter().map(|index| hour(*index)).filter(|ts| range.contains(*ts)).collect()
        };
        let all = hours(0, 80);
        let before = answered(&known, &[], all, &stamps(&held, all), &[]);
        let range = hours(from, from + length);
        let after = answered(&known, &before, range, &stamps(&stored, range), &[]);
        for ts in due.timestamps(Timeframe::H1, all, now) {
            let index = (ts - MONDAY) / HOUR;
            let there = if range.contains(ts) { stored.contains(&index) } else { held.contains(&index) };
            let gaps = after.iter().filter(|gap| gap.range.contains(ts)).count();
            prop_assert_eq!(gaps, usize::from(!there), "hour {}", index);
        }
        for gap in &after {
            prop_assert_eq!(gap.missing, due.count(Timeframe::H1, gap.range, now));
        }
    }
}

#[test]
fn a_range_is_whole_when_every_due_bar_came() {
    let due = due("24x7");
    let known = known(&due, Timeframe::H1, Some((hour(0), hour(9))), hour(10));
    let bars = |stamps: &[i64]| -> Vec<Bar> {
        let bar = |index: &i64| Bar {
            ts: hour(*index),
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: None,
            vwap: None,
            trades: None,
        };
        stamps.iter().map(bar).collect()
    };
    assert!(is_whole(&known, hours(2, 5), &bars(&[2, 3, 4])));
    assert!(is_whole(&known, hours(2, 5), &bars(&[0, 1, 2, 3, 4, 7])), "and others");
    assert!(is_whole(&known, hours(8, 20), &bars(&[8, 9])), "what is not due yet lacks nowhere");
    assert!(is_whole(&known, hours(2, 2), &[]), "nothing is due in nothing");
    assert!(!is_whole(&known, hours(2, 5), &bars(&[2, 4])));
    assert!(!is_whole(&known, hours(2, 5), &bars(&[3, 4])));
    assert!(!is_whole(&known, hours(2, 5), &bars(&[2, 3])));
    assert!(!is_whole(&known, hours(2, 5), &[]));
}
