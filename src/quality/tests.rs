use proptest::prelude::*;

use super::*;
use crate::calendar::Overrides;
use crate::domain::action::Step;
use crate::domain::anomaly::AnomalyCode;
use crate::domain::bar::BarFields;

const HOUR: i64 = 3_600;

/// A quiet bar around `price`, one percent long.
fn bar(index: i64, price: f64) -> Bar {
    Bar {
        ts: index * HOUR,
        open: price,
        high: price * 1.005,
        low: price * 0.995,
        close: price,
        volume: Some(100.0),
        vwap: None,
        trades: None,
    }
}

fn quiet(bars: i64) -> Vec<Bar> {
    (0..bars).map(|index| bar(index, 100.0)).collect()
}

/// What is found in bars as a whole.
fn found_with(bars: &[Bar], factors: &Factors) -> Vec<Anomaly> {
    let calendar = Calendar::named("24x7", Overrides::default()).unwrap();
    let (timeframe, layout) = (Timeframe::H1, Layout::default());
    let series = Series { timeframe, calendar: &calendar, layout, factors };
    inspect(&series, &Stretch { bars, judged: 0..bars.len(), carried: Carried::default() })
}

fn found(bars: &[Bar]) -> Vec<(AnomalyCode, i64, String)> {
    let found = found_with(bars, &Factors::default());
    let of = |row: Anomaly| (row.code, row.ts / HOUR, row.fields.to_string());
    found.into_iter().map(of).collect()
}

fn spike(at: i64, fields: &str) -> (AnomalyCode, i64, String) {
    (AnomalyCode::PriceSpike, at, fields.to_owned())
}

#[test]
fn a_value_far_off_both_neighbours_is_a_spike_a_single_one_too() {
    let mut bars = quiet(40);
    bars[5] = bar(5, 1_000.0);
    bars[12].high = 1_000.0;
    bars[20].low = 10.0;
    (bars[30].high, bars[30].close) = (190.0, 190.0);
    let all = "open,high,low,close";
    let expected = [spike(5, all), spike(12, "high"), spike(20, "low"), spike(30, "high,close")];
    assert_eq!(found(&bars), expected);
    let details = found_with(&bars, &Factors::default());
    assert_eq!(
        details[2].detail.as_deref(),
        Some("low 10; the bars beside it go from 99.5 to 100.5")
    );
}

#[test]
fn a_move_is_no_spike_and_neither_is_either_end() {
    let mut bars = quiet(30);
    bars[15..].iter_mut().for_each(|later| *later = bar(later.ts / HOUR, 130.0));
    bars[0].high = 1_000.0;
    bars[29].low = 1.0;
    assert_eq!(found(&bars), []);
}

#[test]
fn what_is_far_among_quiet_bars_is_not_among_long_ones() {
    let mut bars = quiet(30);
    bars[15].low = 92.0;
    assert_eq!(found(&bars), [], "8 %, eight times as far as bars go");
    bars[15].low = 86.0;
    assert_eq!(found(&bars), [spike(15, "low")]);
    // The same low in a storm, as on the day of a true crash.
    for stormy in [13, 14, 16] {
        (bars[stormy].high, bars[stormy].low) = (108.0, 98.0);
    }
    assert_eq!(found(&bars), []);
    // And 8 % where nothing moves at all.
    let mut still = quiet(30);
    still.iter_mut().for_each(|bar| (bar.high, bar.low) = (100.01, 99.99));
    still[15].low = 92.0;
    assert_eq!(found(&still), [spike(15, "low")]);
}

#[test]
fn a_price_of_few_ticks_hops_and_spikes_not() {
    let bars: Vec<Bar> = (0..60)
        .map(|index| {
            let price = if index % 7 == 3 || index % 11 == 5 { 7.0 } else { 6.0 };
            Bar { high: price, low: price, ..bar(index, price) }
        })
        .collect();
    assert_eq!(found(&bars), []);
}

/// Bars whose price is divided by `ratio` from the 20th on, and whose volume is `times` as large there.
fn jump(ratio: f64, times: f64) -> Vec<Bar> {
    let mut bars = quiet(40);
    for later in &mut bars[20..] {
        let volume = later.volume.map(|volume| volume * times);
        *later = Bar { volume, ..bar(later.ts / HOUR, 100.0 / ratio) };
    }
    bars
}

#[test]
fn a_level_that_changes_for_good_by_a_splits_ratio_is_a_jump() {
    let is_jump = |ratio: f64, times: f64| {
        let found = found(&jump(ratio, times));
        let jump = (AnomalyCode::SplitJump, 20, String::new());
        assert!(found.is_empty() || found == [jump], "{ratio}: {found:?}");
        !found.is_empty()
    };
    for ratio in [1.5, 2.0, 3.0, 7.0, 10.0, 20.0, 100.0] {
        for ratio in [ratio, 1.0 / ratio] {
            // Whether the provider counts the shares of then or of today.
            assert!(is_jump(ratio, ratio), "{ratio}, new shares counted");
            assert!(is_jump(ratio, 1.0), "{ratio}, volumes adjusted");
        }
    }
    assert!(is_jump(1.25, 1.0) && is_jump(4.0 / 3.0, 4.0 / 3.0), "on a quiet day");
    assert!(!is_jump(1.25, 3.5), "moves are as large as 5:4");
    assert!(!is_jump(0.8, 1.0), "nobody makes four shares of five");
    assert!(!is_jump(1.75, 1.0), "about no ratio");
    assert!(!is_jump(2.0, 20.0), "everybody sells");
}

#[test]
fn a_jump_says_its_ratio_and_comes_back_as_two() {
    let mut bars = jump(4.0, 1.0);
    bars.truncate(35);
    bars.extend((35..60).map(|index| bar(index, 100.0)));
    let found = found_with(&bars, &Factors::default());
    let told: Vec<&str> = found.iter().filter_map(|row| row.detail.as_deref()).collect();
    assert_eq!(
        told,
        [
            "ratio 4: from a close of 100 to an open of 25, for good, and no such split is declared",
            "ratio 0.25: from a close of 25 to an open of 100, for good, and no such split is declared",
        ]
    );
    bars.truncate(22);
    assert_eq!(found_with(&bars, &Factors::default()), [], "two bars show nothing yet");
}

#[test]
fn a_declared_split_is_no_jump() {
    let factors = Factors::new(vec![Step { until_ts: 20 * HOUR, split: 0.25, total: 0.25 }]);
    assert_eq!(found_with(&jump(4.0, 4.0), &factors), []);
    let other = found_with(&jump(8.0, 8.0), &factors);
    assert!(
        other[0].detail.as_ref().is_some_and(|words| words.starts_with("ratio 2:")),
        "{other:?}"
    );
}

#[test]
fn bars_without_volume_are_a_run_where_the_series_trades() {
    let mut bars = quiet(40);
    bars[3].volume = Some(0.0);
    bars[10..15].iter_mut().for_each(|bar| bar.volume = Some(0.0));
    bars[20..24].iter_mut().for_each(|bar| bar.volume = Some(0.0));
    bars[34..].iter_mut().for_each(|bar| bar.volume = Some(0.0));
    let runs: Vec<_> = found_with(&bars, &Factors::default())
        .into_iter()
        .map(|row| (row.code, row.ts / HOUR, row.ts_end / HOUR, row.count, row.fields))
        .collect();
    let run = |from, to, count| (AnomalyCode::ZeroVolumeRun, from, to, count, BarFields::VOLUME);
    assert_eq!(runs, [run(10, 14, 5), run(34, 39, 6)]);

    bars.iter_mut().for_each(|bar| bar.volume = Some(0.0));
    assert_eq!(found(&bars), [], "none supplied");
    bars[39].volume = Some(1.0);
    let late = found_with(&bars, &Factors::default());
    assert_eq!((late[0].ts, late[0].count), (0, 39), "it trades after all");
    bars.iter_mut().for_each(|bar| bar.volume = None);
    assert_eq!(found(&bars), [], "no volume is not 0");
}

#[test]
fn bars_in_no_session_are_told_by_the_day() {
    let calendar = Calendar::named("XNYS", Overrides::default()).unwrap();
    // Friday 2024-03-15 18:00Z to Sunday 02:00Z; the session ends at 20:00Z.
    let start = 1_710_525_600;
    let bars: Vec<Bar> =
        (0..32).map(|hour| Bar { ts: start + hour * HOUR, ..bar(0, 100.0) }).collect();
    let factors = Factors::default();
    let series = Series {
        timeframe: Timeframe::H1,
        calendar: &calendar,
        layout: Layout::default(),
        factors: &factors,
    };
    let stretch = Stretch { bars: &bars, judged: 0..bars.len(), carried: Carried::default() };
    let found = inspect(&series, &stretch);
    let rows: Vec<_> = found.iter().map(|row| ((row.ts - start) / HOUR, row.count)).collect();
    assert_eq!(rows, [(2, 4), (6, 24), (30, 2)]);
    assert!(found.iter().all(|row| row.code == AnomalyCode::NonSessionBar));
}

proptest! {
    #[test]
    fn scale_changes_nothing(
        prices in prop::collection::vec(1.0f64..1.6, 30..60),
        odd in 5usize..25,
        scale in prop::sample::select(vec![1e-6, 0.01, 3.0, 1e5]),
    ) {
        let mut bars: Vec<Bar> =
            prices.iter().enumerate().map(|(index, price)| bar(index as i64, *price)).collect();
        bars[odd].high *= 5.0;
        let scaled: Vec<Bar> =
            bars.iter().map(|bar| crate::domain::action::scaled(bar, scale)).collect();
        prop_assert_eq!(found(&bars), found(&scaled));
    }
}
