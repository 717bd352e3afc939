//! The formulas as they are defined, without a thought for speed.

use super::DAY;
use crate::domain::bar::Bar;
use crate::domain::feature::COUNT;

type Column = Vec<Option<f64>>;

/// The features of a series around the clock, in the order of their columns.
pub(super) fn columns(bars: &[Bar]) -> [Column; COUNT] {
    let close: Vec<f64> = bars.iter().map(|bar| bar.close).collect();
    let [macd, macd_signal, macd_hist] = macd(&close);
    let deviation = windows(&close, 20, |window| Some(deviation(window, 20.0)));
    let middle = windows(&close, 20, |window| Some(mean(window)));
    let (upper, lower) = (
        zip(&middle, &deviation, |m, d| m + 2.0 * d),
        zip(&middle, &deviation, |m, d| m - 2.0 * d),
    );
    let returns: Vec<f64> = close.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
    let later = |column: Column| -> Column { [None].into_iter().chain(column).collect() };
    let [stoch_k, stoch_d] = stochastic(bars);
    [
        middle.clone(),
        windows(&close, 50, |window| Some(mean(window))),
        windows(&close, 200, |window| Some(mean(window))),
        average(&close, 0, 12, 2.0 / 13.0),
        average(&close, 0, 26, 2.0 / 27.0),
        strength(&close),
        macd,
        macd_signal,
        macd_hist,
        upper,
        middle,
        lower,
        later(average(&ranges(bars), 0, 14, 1.0 / 14.0))[..bars.len()].to_vec(),
        direction(bars),
        stoch_k,
        stoch_d,
        balance(bars),
        windows(&close, 11, |window| Some((window[10] / window[0] - 1.0) * 100.0)),
        later(returns.iter().copied().map(Some).collect()),
        later(windows(&returns, 20, |window| Some(self::deviation(window, 19.0)))),
        ratios(bars),
        session_means(bars),
    ]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64], divisor: f64) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / divisor).sqrt()
}

fn windows<T>(values: &[T], length: usize, of: impl Fn(&[T]) -> Option<f64>) -> Column {
    let lacking = values.len().min(length - 1);
    let defined = values.windows(length).map(of);
    std::iter::repeat_n(None, lacking).chain(defined).collect()
}

fn zip(one: &Column, other: &Column, of: impl Fn(f64, f64) -> f64) -> Column {
    one.iter().zip(other).map(|(one, other)| Some(of((*one)?, (*other)?))).collect()
}

/// The mean of `count` values from `first` on; from then on the new value's share is `share`.
fn average(values: &[f64], first: usize, count: usize, share: f64) -> Column {
    let seed = first + count - 1;
    let mut held = 0.0;
    (0..values.len())
        .map(|index| {
            if index == seed {
                held = mean(&values[first..=seed]);
            } else if index > seed {
                held += (values[index] - held) * share;
            }
            (index >= seed).then_some(held)
        })
        .collect()
}

fn macd(close: &[f64]) -> [Column; 3] {
    let (fast, slow) = (average(close, 14, 12, 2.0 / 13.0), average(close, 0, 26, 2.0 / 27.0));
    let line = zip(&fast, &slow, |fast, slow| fast - slow);
    let numbers: Vec<f64> = line.iter().map(|line| line.unwrap_or(0.0)).collect();
    let signal = average(&numbers, 25, 9, 0.2);
    let shown = zip(&line, &signal, |line, _| line);
    let hist = zip(&line, &signal, |line, signal| line - signal);
    [shown, signal, hist]
}

fn strength(close: &[f64]) -> Column {
    let changes: Vec<f64> = close.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let of = |sign: f64| -> Column {
        let changes: Vec<f64> = changes.iter().map(|change| (change * sign).max(0.0)).collect();
        average(&changes, 0, 14, 1.0 / 14.0)
    };
    let share = |gain: f64, loss: f64| {
        if gain + loss == 0.0 { 0.0 } else { 100.0 * gain / (gain + loss) }
    };
    [None].into_iter().chain(zip(&of(1.0), &of(-1.0), share)).collect()
}

/// From the second bar on.
fn ranges(bars: &[Bar]) -> Vec<f64> {
    let range = |pair: &[Bar]| {
        let (before, bar) = (pair[0].close, &pair[1]);
        (bar.high - bar.low).max((bar.high - before).abs()).max((bar.low - before).abs())
    };
    bars.windows(2).map(range).collect()
}

fn direction(bars: &[Bar]) -> Column {
    let (mut plus, mut minus) = (0.0, 0.0);
    let (mut seed, mut held) = (0.0, 0.0);
    let mut column: Column = vec![None; bars.len().min(1)];
    for index in 1..bars.len() {
        let up = bars[index].high - bars[index - 1].high;
        let down = bars[index - 1].low - bars[index].low;
        let kept = if index < 14 { 1.0 } else { 13.0 / 14.0 };
        plus = plus * kept + if up > 0.0 && up > down { up } else { 0.0 };
        minus = minus * kept + if down > 0.0 && down > up { down } else { 0.0 };
        let is_some = plus + minus > 0.0;
        let strength = 100.0 * f64::abs(plus - minus) / (plus + minus);
        match index {
            0..14 => {}
            14..28 => {
                seed += if is_some { strength } else { 0.0 };
                held = seed / 14.0;
            }
            _ if is_some => held = (held * 13.0 + strength) / 14.0,
            _ => {}
        }
        column.push((index >= 27).then_some(held));
    }
    column
}

fn stochastic(bars: &[Bar]) -> [Column; 2] {
    let raw = windows(bars, 14, |window| {
        let highest = window.iter().map(|bar| bar.high).fold(f64::MIN, f64::max);
        let lowest = window.iter().map(|bar| bar.low).fold(f64::MAX, f64::min);
        let place = 100.0 * (window[13].close - lowest) / (highest - lowest);
        Some(if highest == lowest { 0.0 } else { place })
    });
    let smooth = |column: &Column| {
        windows(column, 3, |window| Some((window[0]? + window[1]? + window[2]?) / 3.0))
    };
    let k = smooth(&raw);
    let d = smooth(&k);
    [zip(&k, &d, |k, _| k), d]
}

fn balance(bars: &[Bar]) -> Column {
    let mut held: Option<f64> = None;
    (0..bars.len())
        .map(|index| {
            let volume = bars[index].volume?;
            held = Some(match held {
                None => volume,
                Some(held) if bars[index].close > bars[index - 1].close => held + volume,
                Some(held) if bars[index].close < bars[index - 1].close => held - volume,
                Some(held) => held,
            });
            held
        })
        .collect()
}

fn ratios(bars: &[Bar]) -> Column {
    windows(bars, 20, |window| {
        let volumes: Option<Vec<f64>> = window.iter().map(|bar| bar.volume).collect();
        let volumes = volumes?;
        let mean = mean(&volumes);
        (mean > 0.0).then(|| volumes[19] / mean)
    })
}

fn session_means(bars: &[Bar]) -> Column {
    let (mut date, mut turnover, mut traded) = (None, 0.0, 0.0);
    let of = |bar: &Bar| {
        let today = Some(bar.ts.div_euclid(DAY));
        if date != today {
            (date, turnover, traded) = (today, 0.0, 0.0);
        }
        let volume = bar.volume?;
        turnover += (bar.high + bar.low + bar.close) / 3.0 * volume;
        traded += volume;
        (traded > 0.0).then(|| turnover / traded)
    };
    bars.iter().map(of).collect()
}
