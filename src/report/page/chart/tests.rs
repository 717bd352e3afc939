//! A bar has a place of its own, and so has every stretch in which due bars are lacking.

use std::time::Duration;

use super::*;
use crate::calendar::{Calendar, Layout, Overrides};
use crate::domain::policy::Publication;
use crate::domain::timeframe::{DAY, Timeframe};

/// 2024-07-01T00:00:00Z, a Monday; Thursday the 4th is a holiday.
const MONDAY: i64 = 1_719_792_000;

fn bar(day: i64) -> Bar {
    Bar {
        ts: MONDAY + day * DAY,
        open: 2.0,
        high: 3.0,
        low: 1.0,
        close: 2.5,
        volume: None,
        vwap: None,
        trades: None,
    }
}

fn row(day: i64) -> Row {
    let mut values = [f64::NAN; COUNT];
    values[5] = 50.0;
    Row { ts: MONDAY + day * DAY, values }
}

fn gap((from, to): (i64, i64), reason: GapReason) -> Gap {
    Gap {
        range: TimeRange::new(MONDAY + from * DAY, MONDAY + to * DAY),
        missing: 1,
        reason,
        first_seen_at: 0,
        checked_count: 0,
        next_check_at: None,
    }
}

/// The chart of bars of these days, with these gaps, on the day `now`: `.` a bar, `f` one with features,
/// else how many are missing and why.
fn drawn(days: &[i64], gaps: &[Gap], now: i64) -> Vec<String> {
    let due = Due {
        calendar: Calendar::named("XNYS", Overrides::default()).unwrap(),
        layout: Layout::default(),
        publication: Publication { lag: Duration::ZERO, end_of_day: None },
        delisted: None,
    };
    let rows = Rows {
        key: SeriesKey { symbol: "A".parse().unwrap(), timeframe: Timeframe::D1 },
        stored: days.len() as u64,
        bars: days.iter().copied().map(bar).collect(),
        features: days.iter().copied().filter(|day| *day > 1).map(row).collect(),
        gaps,
        due: &due,
    };
    let chart = Chart::of(&rows, MONDAY + now * DAY);
    let word = |slot: &Slot| match slot {
        Slot::Bar(_, None) => ".".to_owned(),
        Slot::Bar(..) => "f".to_owned(),
        Slot::Lacking { missing, reason, .. } => {
            format!("{missing} {}", reason.map_or("unknown", GapReason::as_str))
        }
    };
    assert_eq!(chart.bars().count(), days.len());
    assert_eq!(chart.features, if days.iter().any(|day| *day > 1) { vec![5] } else { vec![] });
    chart.slots.iter().map(word).collect()
}

#[test]
fn nights_weekends_and_holidays_take_no_room() {
    assert_eq!(drawn(&[0, 1, 2, 4, 7], &[], 8), [".", ".", "f", "f", "f"]);
}

#[test]
fn what_is_lacking_has_a_place_a_reason() {
    let gaps = [gap((1, 2), GapReason::NoTrade), gap((2, 3), GapReason::ProviderEmpty)];
    assert_eq!(drawn(&[0, 4], &gaps, 6), [".", "1 no_trade", "1 provider_empty", "f"]);
    // Of one of the two nothing is known.
    assert_eq!(drawn(&[0, 4], &gaps[..1], 6), [".", "1 no_trade", "1 unknown", "f"]);
}

#[test]
fn what_is_lacking_at_the_end_is_shown_too() {
    let late = gap((2, 12), GapReason::Unfetched);
    assert_eq!(drawn(&[0, 1], &[late], 12), [".", ".", "7 unfetched"]);
    assert_eq!(drawn(&[0, 1], &[late], 2), [".", "."], "it is not due yet");
}

#[test]
fn without_bars_there_is_nothing_to_draw() {
    assert_eq!(drawn(&[], &[gap((0, 5), GapReason::Unfetched)], 6), Vec::<String>::new());
}
