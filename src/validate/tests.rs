//! Each rule on one row that breaks it and on its neighbour that does not.

use super::*;
use crate::calendar::{DayEnd, Intraday, Overrides};

const HOUR: i64 = 3_600;
/// 2018-03-05T00:00:00Z, a Monday.
const MONDAY: i64 = 1_520_208_000;

fn bar(ts: i64) -> Bar {
    Bar {
        ts,
        open: 10.0,
        high: 12.0,
        low: 9.0,
        close: 11.0,
        volume: Some(5.0),
        vwap: None,
        trades: None,
    }
}

fn checked_at(now: i64, origin: Origin, bars: Vec<Bar>) -> Checked {
    let calendar = Calendar::named("24x7", Overrides::default()).unwrap();
    let context = Context {
        timeframe: Timeframe::H1,
        calendar: &calendar,
        layout: Layout::default(),
        asked: TimeRange::new(MONDAY, MONDAY + 24 * HOUR),
        now,
        origin,
    };
    check(bars, &context, |index| (origin == Origin::File).then_some(index as u64 + 2))
}

fn checked(bars: Vec<Bar>) -> Checked {
    checked_at(MONDAY + 48 * HOUR, Origin::Provider, bars)
}

fn reason(change: impl Fn(&mut Bar)) -> Option<RejectReason> {
    let mut row = bar(MONDAY);
    change(&mut row);
    let checked = checked(vec![row]);
    assert_eq!(checked.accepted.len() + checked.rejected.len(), 1);
    checked.rejected.first().map(|rejection| rejection.reason)
}

#[test]
fn each_rule_refuses_what_breaks_it_and_nothing_else() {
    assert_eq!(reason(|_| {}), None);
    assert_eq!(reason(|row| row.close = f64::NAN), Some(RejectReason::InvalidNumber));
    assert_eq!(reason(|row| row.high = f64::INFINITY), Some(RejectReason::InvalidNumber));
    assert_eq!(reason(|row| row.volume = Some(f64::NAN)), Some(RejectReason::InvalidNumber));
    assert_eq!(reason(|row| row.volume = None), None);
    assert_eq!(reason(|row| row.low = 0.0), Some(RejectReason::NonpositivePrice));
    assert_eq!(reason(|row| row.low = -1.0), Some(RejectReason::NonpositivePrice));
    assert_eq!(reason(|row| row.high = 8.0), Some(RejectReason::HighLtLow));
    assert_eq!(reason(|row| row.close = 12.001), Some(RejectReason::OhlcOutOfRange));
    assert_eq!(reason(|row| row.open = 8.999), Some(RejectReason::OhlcOutOfRange));
    assert_eq!(reason(|row| row.close = 12.0 * (1.0 + 0.5e-9)), None);
    assert_eq!(reason(|row| row.volume = Some(-1.0)), Some(RejectReason::NegativeVolume));
    assert_eq!(reason(|row| row.volume = Some(0.0)), None);
    assert_eq!(reason(|row| row.ts += 34), Some(RejectReason::OffGridTs));
}

#[test]
fn a_bad_vwap_or_count_costs_only_itself() {
    let mut row = bar(MONDAY);
    (row.vwap, row.trades) = (Some(0.0), Some(-3));
    let checked = checked(vec![row]);
    assert_eq!((checked.accepted[0].vwap, checked.accepted[0].trades), (None, None));
}

#[test]
fn running_and_foreign_rows_are_dropped_from_providers_and_refused_from_files() {
    let now = MONDAY + 2 * HOUR + 1800;
    let rows = || {
        vec![bar(MONDAY - HOUR), bar(MONDAY + HOUR), bar(MONDAY + 2 * HOUR), bar(MONDAY + 3 * HOUR)]
    };
    let dropped = checked_at(now, Origin::Provider, rows());
    assert_eq!((dropped.accepted.len(), dropped.rejected.len(), dropped.dropped), (1, 0, 3));
    let refused = checked_at(now, Origin::File, rows());
    let reasons: Vec<_> = refused.rejected.iter().map(|rejection| rejection.reason).collect();
    assert_eq!(
        reasons,
        [RejectReason::ForeignTs, RejectReason::UnfinishedBar, RejectReason::FutureTs]
    );
    assert!(refused.rejected[2].text.starts_with("line 5: ts="), "{}", refused.rejected[2].text);
}

#[test]
fn a_bar_is_finished_at_its_very_close() {
    let at = |now| checked_at(now, Origin::File, vec![bar(MONDAY)]).accepted.len();
    assert_eq!(at(MONDAY + HOUR - 1), 0);
    assert_eq!(at(MONDAY + HOUR), 1);
}

#[test]
fn unsorted_rows_are_sorted_identical_ones_fold_and_differing_ones_all_go() {
    let mut other = bar(MONDAY + HOUR);
    other.close = 10.5;
    let rows = vec![bar(MONDAY + 2 * HOUR), bar(MONDAY + HOUR), bar(MONDAY), bar(MONDAY), other];
    let checked = checked(rows);
    let kept: Vec<_> = checked.accepted.iter().map(|bar| bar.ts).collect();
    assert_eq!(kept, [MONDAY, MONDAY + 2 * HOUR]);
    assert_eq!(checked.rejected.len(), 2);
    assert!(checked.rejected.iter().all(|row| row.reason == RejectReason::DuplicateTs));
    assert_eq!(checked.repeated, [(MONDAY, None)], "the one that says it again");
}

#[test]
fn repeated_rows_are_named_by_their_own_lines() {
    let mut bad = bar(MONDAY);
    bad.low = -1.0;
    let mut other = bar(MONDAY + HOUR);
    other.close = 10.5;
    let rows = vec![bar(MONDAY + 2 * HOUR), bad, bar(MONDAY + HOUR), other];
    let checked = checked_at(MONDAY + 48 * HOUR, Origin::File, rows);
    let lines: Vec<_> =
        checked.rejected.iter().map(|row| row.text.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["line 3", "line 4", "line 5"]);
    assert_eq!(checked.accepted.len(), 1);

    let again = bar(MONDAY + HOUR);
    let rows = vec![again, bar(MONDAY), bad, again, again];
    let checked = checked_at(MONDAY + 48 * HOUR, Origin::File, rows);
    assert_eq!(checked.repeated, [(again.ts, Some(5)), (again.ts, Some(6))], "the later ones");
}

#[test]
fn no_window_ends_later_than_is_looked_for() {
    // 2015-01-01 to 2026-01-01, both ways in which providers cut.
    let years = TimeRange::new(1_420_070_400, 1_767_225_600);
    for name in Calendar::NAMES {
        let calendar = Calendar::named(name, Overrides::default()).unwrap();
        for day in [DayEnd::Session, DayEnd::Utc] {
            let layout = Layout { intraday: Intraday::Session, day };
            for timeframe in Timeframe::ALL.into_iter().filter(|one| *one >= Timeframe::H4) {
                let mut windows = calendar.windows(timeframe, layout, years);
                let late =
                    windows.find(|one| one.close_at > one.ts + timeframe.seconds() + MOST_BEYOND);
                assert_eq!(late, None, "{name} {timeframe} {layout:?}");
            }
        }
    }
}
