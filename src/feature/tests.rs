//! What holds of features of any bars. Against TA-Lib they are held in `tests/it/features_oracle.rs`.

mod plain;
mod properties;

use super::engine::Engine;
use super::state::State;
use super::{FIRST, LOOKBACK, NEAR};
use crate::domain::bar::Bar;
use crate::domain::feature::{NAMES, Row};
use crate::domain::zone::Zone;

const DAY: i64 = 86_400;

fn index_of(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap()
}

fn bar(index: usize, close: f64, volume: Option<f64>) -> Bar {
    let (high, low) = (close * 1.01, close * 0.99);
    let ts = index as i64 * 3_600;
    Bar { ts, open: close, high, low, close, volume, vwap: None, trades: None }
}

/// Hours with closes that go up and down.
fn hours(count: usize) -> Vec<Bar> {
    let close = |index: usize| 100.0 + 10.0 * (index as f64).sin();
    (0..count).map(|index| bar(index, close(index), Some(index as f64))).collect()
}

fn rows(bars: &[Bar]) -> Vec<Row> {
    let mut rows = Vec::new();
    Engine::new(Some(Zone::UTC)).push_all(bars, &mut rows);
    rows
}

fn values(rows: &[Row], name: &str) -> Vec<Option<f64>> {
    rows.iter().map(|row| row.value(index_of(name))).collect()
}

#[test]
fn each_is_defined_from_its_first_bar_on() {
    let mut bars = hours(250);
    bars[0].volume = Some(5.0);
    let rows = rows(&bars);
    for (column, first) in FIRST.into_iter().enumerate() {
        let defined = rows.iter().position(|row| row.value(column).is_some());
        assert_eq!(defined, Some(first), "{}", NAMES[column]);
        assert!(rows[first..].iter().all(|row| row.value(column).is_some()), "{}", NAMES[column]);
    }
}

#[test]
fn a_flat_run_deviates_by_nothing() {
    for price in [60_000.1, 0.000_000_012_3, 1.0] {
        let mut bars = hours(300);
        for bar in &mut bars[30..] {
            (bar.open, bar.high, bar.low, bar.close) = (price, price, price, price);
        }
        for row in &rows(&bars)[60..] {
            let value = |name| row.value(index_of(name)).unwrap();
            for name in ["bb_upper", "bb_middle", "bb_lower", "sma_20"] {
                assert!((value(name) - price).abs() <= 1e-15 * price, "{name} of {price}");
            }
            assert_eq!((value("volatility_20"), value("stoch_k")), (0.0, 0.0));
        }
    }
}

#[test]
fn a_bar_without_volume_has_none_of_its_features() {
    let mut bars: Vec<Bar> = [10.0, 11.0, 12.0, 11.5, 11.5, 12.0]
        .into_iter()
        .enumerate()
        .map(|(index, close)| bar(index, close, Some(10.0)))
        .collect();
    bars[0].volume = None;
    bars[2].volume = None;
    let rows = rows(&bars);
    let wanted = [None, Some(10.0), None, Some(0.0), Some(0.0), Some(10.0)];
    assert_eq!(values(&rows, "obv"), wanted);
    let defined: Vec<bool> = values(&rows, "vwap_session").iter().map(Option::is_some).collect();
    assert_eq!(defined, [false, true, false, true, true, true]);
    let mut bars = hours(60);
    bars[25].volume = None;
    let ratios = values(&self::rows(&bars), "volume_ratio_20");
    assert!(ratios[24].is_some() && ratios[25..45].iter().all(Option::is_none));
    assert!(ratios[45..].iter().all(Option::is_some));
}

#[test]
fn volumes_of_zero_are_volumes() {
    let bars: Vec<Bar> = (0..60).map(|index| bar(index, 10.0 + index as f64, Some(0.0))).collect();
    let rows = rows(&bars);
    assert!(values(&rows, "obv").iter().all(|obv| *obv == Some(0.0)));
    for name in ["volume_ratio_20", "vwap_session"] {
        assert!(values(&rows, name).iter().all(Option::is_none), "{name}");
    }
}

#[test]
fn a_session_begins_at_midnight_of_its_zone() {
    let bars: Vec<Bar> = (0..48).map(|hour| bar(hour, 1.0 + hour as f64, Some(1.0))).collect();
    for (zone, first) in [(Zone::UTC, 24), (Zone::TOKYO, 15), (Zone::NEW_YORK, 5)] {
        let mut rows = Vec::new();
        Engine::new(Some(zone)).push_all(&bars, &mut rows);
        let begins: Vec<usize> = (1..48)
            .filter(|index| {
                let bar = &bars[*index];
                let typical = (bar.high + bar.low + bar.close) / 3.0;
                let vwap = rows[*index].value(index_of("vwap_session")).unwrap();
                (vwap - typical).abs() < 1e-12
            })
            .collect();
        assert_eq!(begins.first(), Some(&first), "{zone:?}");
        assert!(begins.iter().all(|begin| (begin - first) * 3_600 % DAY as usize == 0), "{zone:?}");
    }
    let mut rows = Vec::new();
    Engine::new(None).push_all(&bars, &mut rows);
    assert!(values(&rows, "vwap_session").iter().all(Option::is_none));
}

#[test]
fn a_state_is_refused_when_it_is_another_kind_of_bytes() {
    let bytes = State::new().to_bytes();
    assert!(State::from_bytes(&bytes).is_some());
    assert!(State::from_bytes(&[]).is_none());
    assert!(State::from_bytes(&bytes[..State::BYTES - 1]).is_none());
    assert!(State::from_bytes(&[bytes.as_slice(), &[0; 8]].concat()).is_none());
    let mut other = bytes;
    other[0] += 1;
    assert!(State::from_bytes(&other).is_none());
    let mut endless = bytes;
    endless[1..9].fill(u8::MAX);
    assert!(State::from_bytes(&endless).is_none());
}

#[test]
fn nothing_is_resumed_without_its_earlier_bars() {
    let bars = hours(300);
    let mut engine = Engine::new(None);
    engine.push_all(&bars[..50], &mut Vec::new());
    let state = engine.state();
    assert_eq!(state.seen(), 50);
    assert!(Engine::resume(state, &bars[1..50], None).is_none());
    assert!(Engine::resume(state, &bars[..50], None).is_some());
    engine.push_all(&bars[50..], &mut Vec::new());
    assert!(Engine::resume(engine.state(), &bars[300 - LOOKBACK..], None).is_some());
    assert!(Engine::resume(engine.state(), &bars[301 - LOOKBACK..], None).is_none());
    assert!(Engine::resume(State::new(), &[], None).is_some());
}

#[test]
fn an_engine_takes_nothing_of_one_series_into_the_next() {
    let (own, other) = (hours(450), hours(1_300));
    let huge: Vec<Bar> = other.iter().map(|bar| Bar { high: 1e200, ..*bar }).collect();
    // A number that is none is the same as another.
    let bytes = |rows: &[Row]| -> Vec<Option<u64>> {
        let bits = |value: f64| (!value.is_nan()).then(|| value.to_bits());
        rows.iter().flat_map(|row| row.values.map(bits)).collect()
    };
    for zone in [None, Some(Zone::UTC)] {
        let mut expected = Vec::new();
        let mut fresh = Engine::new(zone);
        fresh.push_all(&own, &mut expected);
        let mut state = Engine::new(zone);
        state.push_all(&own[..300], &mut Vec::new());

        let mut used = Engine::new(Some(Zone::UTC));
        used.push_all(&huge, &mut Vec::new());
        let mut found = Vec::new();
        used.begin(zone);
        used.push_all(&own, &mut found);
        assert_eq!(bytes(&found), bytes(&expected), "{zone:?}");

        used.begin(Some(Zone::UTC));
        used.push_all(&huge, &mut Vec::new());
        let mut found = Vec::new();
        let closes = |from: usize| -> Vec<f64> {
            own[from..300 - NEAR].iter().map(|bar| bar.close).collect()
        };
        let near = &own[300 - NEAR..300];
        assert!(used.go_on(state.state(), &closes(300 - LOOKBACK), near, zone));
        used.push_all(&own[300..], &mut found);
        assert_eq!(bytes(&found), bytes(&expected[300..]), "{zone:?}");

        let mut found = Vec::new();
        assert!(!used.go_on(state.state(), &closes(300 - LOOKBACK), &near[1..], zone));
        assert!(!used.go_on(state.state(), &closes(301 - LOOKBACK), near, zone));
        used.push_all(&own, &mut found);
        assert_eq!(bytes(&found), bytes(&expected), "it has begun: {zone:?}");
    }
}
