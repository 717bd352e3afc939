//! What is due is either stored or missing for a reason, in the stretch in which it is due.

use std::time::Duration;

use super::*;
use crate::calendar::due::Due;
use crate::calendar::{Calendar, Layout, Overrides};
use crate::domain::policy::Publication;
use crate::domain::range::RangeSet;
use crate::domain::series::AssetClass;
use crate::provider::Reach;

/// 2024-07-01T00:00:00Z, a Monday; Thursday the 4th is a holiday.
const MONDAY: i64 = 1_719_792_000;

fn want(symbol: &str, timeframe: Timeframe, start: i64) -> Want {
    Want {
        key: SeriesKey { symbol: symbol.parse().unwrap(), timeframe },
        series_id: 1,
        provider: "p".into(),
        asset_class: AssetClass::Stock,
        due: Due {
            calendar: Calendar::named("XNYS", Overrides::default()).unwrap(),
            layout: Layout::default(),
            publication: Publication { lag: Duration::ZERO, end_of_day: None },
            delisted: None,
        },
        start,
        limit: i64::MIN,
        reach: Reach::Pages { seconds: i64::MAX / 4 },
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
        added_at: start,
        restated_to: None,
        rest: None,
        file: None,
    }
}

/// A gap of `symbol` from one day after the Monday to another.
fn gap(symbol: &str, (from, to): (i64, i64), missing: u64, reason: GapReason) -> GapState {
    let range = TimeRange::new(MONDAY + from * DAY, MONDAY + to * DAY);
    let gap =
        Gap { range, missing, reason, first_seen_at: 0, checked_count: 0, next_check_at: None };
    GapState { key: SeriesKey { symbol: symbol.parse().unwrap(), timeframe: Timeframe::D1 }, gap }
}

#[test]
fn a_short_time_is_cut_into_days_with_their_reasons() {
    let wants = [want("A", Timeframe::D1, MONDAY), want("B", Timeframe::D1, MONDAY)];
    let gaps = [
        gap("B", (0, 2), 2, GapReason::Failed),
        gap("B", (2, 3), 1, GapReason::NoTrade),
        gap("A", (4, 5), 1, GapReason::ProviderEmpty),
    ];
    let parts = judge(&wants, &gaps, MONDAY + 7 * DAY);
    let [part] = &parts[..] else { panic!("one timeframe, {parts:?}") };
    assert_eq!((part.series, part.with_holes, part.without_due), (2, 2, 0));
    assert_eq!(
        part.reasons,
        [(GapReason::Failed, 1, 2), (GapReason::ProviderEmpty, 1, 1), (GapReason::NoTrade, 1, 1)]
    );
    let [map] = &part.maps[..] else { panic!("one map, {:?}", part.maps) };
    assert_eq!((map.unit, map.starts[0], map.end), (Unit::Day, MONDAY, MONDAY + 5 * DAY));
    assert_eq!(map.due, [2, 2, 2, 0, 2], "on the holiday nothing is due");
    let by = |reason: GapReason| -> Vec<u64> {
        map.missing.iter().map(|stretch| stretch[reason as usize]).collect()
    };
    assert_eq!(by(GapReason::Failed), [1, 1, 0, 0, 0]);
    assert_eq!(by(GapReason::NoTrade), [0, 0, 1, 0, 0]);
    assert_eq!(by(GapReason::ProviderEmpty), [0, 0, 0, 0, 1]);
    // The one that lacks most comes first.
    let symbols: Vec<&str> = map.rows.iter().map(|row| row.symbol.as_str()).collect();
    assert_eq!(symbols, ["B", "A"]);
    assert_eq!((map.rows[0].holes, map.rows[0].explained), (2, 1));
    assert_eq!(map.rows[0].cells[0], Cell { due: 1, missing: 1, reason: Some(GapReason::Failed) });
    assert_eq!(map.rows[1].cells[0], Cell { due: 1, missing: 0, reason: None });
    assert_eq!(map.rows[1].cells[3], Cell::default());
}

#[test]
fn a_long_time_is_cut_coarser_and_its_last_days_are_shown_singly() {
    let start = MONDAY - 400 * DAY;
    let wants = [want("A", Timeframe::D1, start)];
    // Across two stretches, and out at the end of what is wanted.
    let gaps = [
        gap("A", (-500, -399), 9, GapReason::PreListing),
        gap("A", (-8, 1), 6, GapReason::Unfetched),
    ];
    let parts = judge(&wants, &gaps, MONDAY + DAY);
    let [recent, whole] = &parts[0].maps[..] else { panic!("two maps, {:?}", parts[0].maps) };
    assert_eq!((recent.unit, whole.unit), (Unit::Day, Unit::Week));
    let sum = |map: &Map, reason: GapReason| -> u64 {
        map.missing.iter().map(|stretch| stretch[reason as usize]).sum()
    };
    let count = |from, to| {
        let range = TimeRange::new(from, to);
        wants[0].due.calendar.count(Timeframe::D1, wants[0].due.layout, range)
    };
    let late = count(MONDAY - 8 * DAY, MONDAY + DAY);
    assert_eq!((sum(recent, GapReason::Unfetched), sum(whole, GapReason::Unfetched)), (late, late));
    assert_eq!(sum(recent, GapReason::PreListing), 0);
    // What lies before the time that is wanted is not due, and not missing in it.
    assert_eq!(sum(whole, GapReason::PreListing), count(start, MONDAY - 399 * DAY));
    assert_eq!(whole.due.iter().sum::<u64>(), count(start, MONDAY + DAY));
    assert!(whole.starts[0] <= start && whole.end >= MONDAY + DAY);
    assert!(whole.starts.iter().all(|start| (start - MONDAY) % (7 * DAY) == 0), "no Monday");
    // The table says what the gaps themselves say.
    assert_eq!(parts[0].reasons[1], (GapReason::PreListing, 1, 9));
}

#[test]
fn holes_come_before_what_is_none() {
    let missing = [0, 0, 1, 0, 50, 0, 0];
    assert_eq!(main_reason(&missing), Some(GapReason::Rejected));
    assert_eq!(main_reason(&[0, 0, 0, 0, 2, 7, 0]), Some(GapReason::PreListing));
    assert_eq!(main_reason(&ByReason::default()), None);
}

#[test]
fn no_more_rows_than_fit_are_kept_and_all_are_counted() {
    let names: Vec<String> = (0..MOST + 5).map(|index| format!("S{index}")).collect();
    let wants: Vec<Want> = names.iter().map(|name| want(name, Timeframe::D1, MONDAY)).collect();
    let last = names.last().unwrap();
    let gaps = [gap(last, (0, 1), 1, GapReason::Failed)];
    let parts = judge(&wants, &gaps, MONDAY + DAY);
    let map = &parts[0].maps[0];
    assert_eq!((map.rows.len(), parts[0].series), (MOST, MOST + 5));
    assert_eq!(map.rows[0].symbol.as_str(), last, "the worst is among them");
    assert_eq!(map.due, [MOST as u64 + 5]);
}

#[test]
fn every_unit_holds_what_it_is_chosen_for() {
    for days in [1, 62, 63, 434, 435, 1_860, 1_861, 5_642, 5_643, 30_000] {
        let range = TimeRange::new(MONDAY - days * DAY, MONDAY);
        let unit = Unit::of(range);
        let edges = unit.cut(range);
        assert!(edges.is_sorted() && edges[0] <= range.start, "{days} days by {}", unit.as_str());
        assert!(edges.last() >= Some(&range.end), "{days} days by {}", unit.as_str());
        assert!(unit == Unit::Year || edges.len() as i64 <= STRETCHES + 3, "{days} days");
    }
}

#[test]
fn what_was_never_read_is_not_called_whole() {
    let file = crate::plan::FileState { changed: true };
    let wants = [Want { file: Some(file), ..want("A", Timeframe::D1, MONDAY) }];
    let parts = judge(&wants, &[], MONDAY + 7 * DAY);
    assert_eq!((parts[0].without_due, parts[0].maps.len()), (1, 0));
}
