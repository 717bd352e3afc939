//! The plan covers exactly what is due and not held, and nothing twice.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::calendar::{Calendar, Layout, Overrides};
use crate::domain::policy::Publication;

const HOUR: i64 = 3_600;
/// 2024-07-01T00:00:00Z, a Monday; Thursday the 4th is a holiday, the 3rd closes at 17:00Z.
const MONDAY: i64 = 1_719_792_000;

fn due(calendar: &str, lag_minutes: u64) -> Due {
    Due {
        calendar: Calendar::named(calendar, Overrides::default()).unwrap(),
        layout: Layout::default(),
        publication: Publication { lag: Duration::from_secs(lag_minutes * 60), end_of_day: None },
        delisted: None,
    }
}

fn want(calendar: &str, timeframe: Timeframe, reach: Reach) -> Want {
    Want {
        key: SeriesKey { symbol: "X".parse().unwrap(), timeframe },
        series_id: 1,
        provider: "p".into(),
        asset_class: AssetClass::Stock,
        due: due(calendar, 20),
        start: MONDAY,
        limit: i64::MIN,
        reach,
        market: None,
        adjusted: false,
        aliases: Vec::new(),
        priority: 0,
        settle: 0,
        coverage: RangeSet::new(),
        empty: RangeSet::new(),
        look_again: RangeSet::new(),
        settle_read_at: None,
        first_ts: None,
        watermark_ts: None,
        added_at: MONDAY,
        restated_to: None,
        rest: None,
        file: None,
    }
}

const ONE_REQUEST: Reach = Reach::Pages { seconds: i64::MAX / 4 };

fn ranges(want: &Want, options: &Options, now: i64) -> Vec<TimeRange> {
    let plan = make(std::slice::from_ref(want), &[], options, now);
    plan.jobs.iter().flat_map(|job| &job.tasks).map(|task| task.range).collect()
}

fn days(from: i64, to: i64) -> TimeRange {
    TimeRange::new(MONDAY + from * DAY, MONDAY + to * DAY)
}

#[test]
fn a_new_series_is_asked_for_whole_and_a_whole_one_not_at_all() {
    let mut want = want("XNYS", Timeframe::D1, ONE_REQUEST);
    let friday_evening = MONDAY + 4 * DAY + 20 * HOUR + 1200;
    assert_eq!(ranges(&want, &Options::default(), friday_evening), [days(0, 5)]);
    want.coverage.insert(days(0, 5));
    (want.first_ts, want.watermark_ts) = (Some(MONDAY), Some(MONDAY + 4 * DAY));
    for weekend in 0..60 {
        let now = friday_evening + weekend * HOUR;
        assert_eq!(ranges(&want, &Options::default(), now), [], "{weekend} hours later");
    }
}

#[test]
fn a_bar_is_asked_for_once_it_is_due_and_not_a_second_before() {
    let mut want = want("XNYS", Timeframe::D1, ONE_REQUEST);
    want.coverage.insert(days(0, 2));
    // The session of the 3rd closes at 17:00Z, and the provider takes 20 minutes more.
    let due = MONDAY + 2 * DAY + 17 * HOUR + 1200;
    assert_eq!(ranges(&want, &Options::default(), due - 1), []);
    assert_eq!(ranges(&want, &Options::default(), due), [days(2, 3)]);
}

#[test]
fn a_hole_on_a_holiday_is_no_hole() {
    let mut want = want("XNYS", Timeframe::D1, ONE_REQUEST);
    want.coverage.insert(days(0, 3));
    want.coverage.insert(days(4, 5));
    assert_eq!(ranges(&want, &Options::default(), MONDAY + 6 * DAY), []);
}

#[test]
fn a_tail_reads_the_last_three_bars_again_in_the_same_request() {
    let mut want = want("XNYS", Timeframe::D1, ONE_REQUEST);
    want.coverage.insert(days(0, 3));
    (want.first_ts, want.watermark_ts) = (Some(MONDAY), Some(MONDAY + 2 * DAY));
    let friday_evening = MONDAY + 4 * DAY + 21 * HOUR;
    assert_eq!(ranges(&want, &Options::default(), friday_evening), [days(0, 5)]);
    want.first_ts = Some(MONDAY + DAY);
    assert_eq!(
        ranges(&want, &Options::default(), friday_evening),
        [days(1, 5)],
        "not before the first"
    );
    let date = NaiveDate::from_ymd_opt(2024, 7, 3).unwrap();
    let options = Options { from: Some(Bound::Date(date)), ..Options::default() };
    assert_eq!(ranges(&want, &options, friday_evening), [days(2, 5)], "nor before what was asked");
}

#[test]
fn what_is_not_settled_is_read_again_with_the_tail() {
    let mut want = want("24x7", Timeframe::H1, ONE_REQUEST);
    want.due.publication = Publication::default();
    want.settle = 48 * HOUR;
    want.coverage.insert(days(0, 5));
    (want.first_ts, want.watermark_ts) = (Some(MONDAY), Some(MONDAY + 5 * DAY - HOUR));
    let now = MONDAY + 5 * DAY + HOUR;
    let range = ranges(&want, &Options::default(), now)[0];
    assert_eq!(range, TimeRange::new(now - 48 * HOUR, now));
}

#[test]
fn repair_asks_for_empty_answers_and_others_do_not() {
    let mut want = want("24x7", Timeframe::H1, ONE_REQUEST);
    want.coverage.insert(days(0, 3));
    want.empty.insert(days(1, 2));
    (want.first_ts, want.watermark_ts) = (Some(MONDAY), Some(MONDAY + 3 * DAY - HOUR));
    let now = MONDAY + 3 * DAY;
    assert_eq!(ranges(&want, &Options::default(), now), []);
    let repair = Options { repair: true, ..Options::default() };
    assert_eq!(ranges(&want, &repair, now), [days(1, 2)]);
}

#[test]
fn a_renamed_symbol_is_asked_for_under_the_name_that_it_had() {
    let mut want = want("24x7", Timeframe::D1, ONE_REQUEST);
    want.aliases = vec![("OLD".parse().unwrap(), NaiveDate::from_ymd_opt(2024, 7, 2).unwrap())];
    let plan = make(&[want], &[], &Options::default(), MONDAY + 4 * DAY + HOUR);
    let asked: Vec<_> =
        plan.jobs[0].tasks.iter().map(|task| (task.ask_symbol.as_str(), task.range)).collect();
    assert_eq!(asked, [("OLD", days(0, 2)), ("X", days(2, 4))]);
}

#[test]
fn dates_are_session_dates_and_inclusive() {
    let date = |day| Some(Bound::Date(NaiveDate::from_ymd_opt(2024, 7, day).unwrap()));
    let options = Options { from: date(2), to: date(3), ..Options::default() };
    let now = MONDAY + 6 * DAY;
    assert_eq!(ranges(&want("XNYS", Timeframe::D1, ONE_REQUEST), &options, now), [days(1, 3)]);
    let hours = ranges(&want("XNYS", Timeframe::H1, ONE_REQUEST), &options, now);
    // From midnight in New York, with what is traded before the opening, to the early close of the 3rd.
    let days = TimeRange::new(MONDAY + DAY + 4 * HOUR, MONDAY + 2 * DAY + 17 * HOUR);
    assert_eq!(hours, [days]);
}

#[test]
fn the_tail_of_what_has_bars_goes_first_and_priority_before_all() {
    let named = |name: &str, priority, watermark: Option<i64>| {
        let mut want = want("24x7", Timeframe::D1, ONE_REQUEST);
        want.key.symbol = name.parse().unwrap();
        (want.priority, want.watermark_ts, want.first_ts) = (priority, watermark, watermark);
        if let Some(last) = watermark {
            want.coverage.insert(TimeRange::new(MONDAY, last + DAY));
        }
        want
    };
    let wants = [
        named("NEW", 0, None),
        named("LATE", 0, Some(MONDAY)),
        named("TAIL", 0, Some(MONDAY + DAY)),
        named("FIRST", 1, None),
    ];
    let plan = make(&wants, &[], &Options::default(), MONDAY + 4 * DAY);
    let order: Vec<_> = plan.jobs.iter().map(|job| job.symbol.as_str()).collect();
    assert_eq!(order, ["FIRST", "LATE", "TAIL", "NEW"]);
}

#[test]
fn nothing_is_asked_for_from_before_the_providers_history() {
    let mut want = want("24x7", Timeframe::D1, ONE_REQUEST);
    want.limit = MONDAY + DAY;
    let options = Options { from: Some(Bound::Instant(MONDAY - 90 * DAY)), ..Options::default() };
    assert_eq!(ranges(&want, &options, MONDAY + 4 * DAY + HOUR), [days(1, 4)]);
}

#[test]
fn a_tail_reaches_back_over_no_more_than_the_provider_has() {
    let mut want = want("24x7", Timeframe::D1, ONE_REQUEST);
    want.coverage.insert(days(0, 2));
    (want.first_ts, want.watermark_ts) = (Some(MONDAY), Some(MONDAY + DAY));
    (want.start, want.limit) = (MONDAY + 5 * DAY, MONDAY + 5 * DAY);
    assert_eq!(ranges(&want, &Options::default(), MONDAY + 9 * DAY + HOUR), [days(5, 9)]);
}

#[test]
fn a_sunday_between_two_asked_weeks_comes_with_the_monday() {
    let mut want = want("FX", Timeframe::D1, ONE_REQUEST);
    want.start = MONDAY - DAY;
    let tuesday = MONDAY + DAY + 22 * HOUR;
    assert_eq!(ranges(&want, &Options::default(), tuesday), [days(-1, 2)]);
}

fn covered() -> impl Strategy<Value = RangeSet> {
    prop::collection::vec((0..200i64, 1..40i64), 0..8).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(start, length)| {
                TimeRange::new(MONDAY + start * HOUR, MONDAY + (start + length) * HOUR)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn every_due_bar_that_is_not_covered_is_asked_for_and_slices_keep_their_reach(
        coverage in covered(),
        calendar in prop::sample::select(vec!["XNYS", "24x7", "FX", "XTKS"]),
        hours in 1..220i64,
        reach_hours in 1..50i64,
        sliced: bool,
    ) {
        let seconds = reach_hours * HOUR;
        let reach = if sliced { Reach::Seconds(seconds) } else { Reach::Pages { seconds } };
        let mut want = want(calendar, Timeframe::H1, reach);
        want.coverage = coverage.clone();
        let now = MONDAY + hours * HOUR;
        let asked = ranges(&want, &Options::default(), now);
        let wanted = TimeRange::new(MONDAY, now);
        for ts in want.due.timestamps(Timeframe::H1, wanted, now) {
            let times = asked.iter().filter(|range| range.contains(ts)).count();
            prop_assert!(times <= 1, "{} is asked for {} times", ts, times);
            prop_assert!(times == 1 || coverage.contains(ts), "{} is not asked for", ts);
        }
        for range in &asked {
            prop_assert!(want.due.count(Timeframe::H1, *range, now) > 0, "nothing is due in {:?}", range);
            prop_assert!(range.end <= now);
            if sliced {
                prop_assert!(range.seconds() <= seconds.max(HOUR));
            }
        }
        want.coverage = asked.iter().copied().chain(coverage.ranges().iter().copied()).collect();
        prop_assert_eq!(ranges(&want, &Options::default(), now), []);
    }
}

/// So many series of a market that hold all bars up to `last`, read on the day before the last of `last`.
fn tracked(count: usize, calendar: &str, last: i64) -> Vec<Want> {
    let one = want(calendar, Timeframe::D1, ONE_REQUEST);
    let coverage = [days(0, last + 1)].into_iter().collect();
    let held = Want {
        market: Some("stocks"),
        coverage,
        first_ts: Some(MONDAY),
        watermark_ts: Some(MONDAY + last * DAY),
        settle_read_at: Some(MONDAY + last * DAY + 22 * HOUR),
        ..one
    };
    let symbol = |index: usize| format!("S{index}").parse().unwrap();
    let key = |index| SeriesKey { symbol: symbol(index), timeframe: Timeframe::D1 };
    (0..count).map(|index| Want { key: key(index), ..held.clone() }).collect()
}

#[test]
fn a_day_that_many_need_is_asked_for_once_and_a_day_of_one_alone() {
    let friday_evening = MONDAY + 4 * DAY + 21 * HOUR;
    for (count, requests) in [(1, 0), (2, 1), (50, 1)] {
        let plan = make(&tracked(count, "XNYS", 2), &[], &Options::default(), friday_evening);
        let shared: Vec<_> = plan.shared().into_iter().collect();
        assert_eq!(shared.len(), requests, "{count}");
        assert!(
            shared.iter().all(|((.., shared), tasks)| {
                shared.range == days(4, 5) && *tasks == count as u64
            })
        );
        let ranges = plan.jobs.iter().flat_map(|job| &job.tasks).map(|task| task.range);
        let expected = if count == 1 { days(0, 5) } else { days(4, 5) };
        assert!(ranges.into_iter().all(|range| range == expected));
    }
}

#[test]
fn every_day_of_a_market_that_has_no_sessions_is_asked_for() {
    // The forex week ends on Friday; a bar of Saturday or Sunday comes along, as it does with a range.
    let monday = MONDAY + 7 * DAY + 22 * HOUR;
    let plan = make(&tracked(5, "FX", 4), &[], &Options::default(), monday);
    let days: Vec<i64> =
        plan.shared().keys().map(|(.., shared)| (shared.range.start - MONDAY) / DAY).collect();
    assert_eq!(days, [5, 6, 7]);
}

#[test]
fn no_more_days_are_asked_for_than_fit_in_memory() {
    let now = MONDAY + 40 * DAY;
    let shared = |count| {
        let wants = tracked(count, "XNYS", 0);
        make(&wants, &[], &Options::default(), now).shared().len()
    };
    assert_eq!((shared(25), shared(40)), (0, 29), "days that lack, and those who lack them");
    assert_eq!(shared(4_000), 0);
}
