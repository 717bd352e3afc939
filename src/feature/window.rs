//! Features of a window: sums, deviations and extremes of the last few values.
//!
//! A function of windows of w values writes one value for each window, so that n of them need an input
//! of n + w - 1 values. No value depends on one that was computed before it, which keeps it free of old
//! rounding errors, makes it the same wherever a pass begins, and lets the compiler compute several at
//! a time.

/// The last `count` of `values`.
pub(super) fn last(values: &[f64], count: usize) -> &[f64] {
    &values[values.len() - count..]
}

/// Intermediate values of [`Sums::of`] and [`Sums::deviations`], kept to be used again.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    fives: Vec<f64>,
    squares: Vec<f64>,
    twenties: Vec<f64>,
    fifties: Vec<f64>,
    hundreds: Vec<f64>,
}

impl Sums {
    /// Room for an input of `length` values.
    pub(super) fn with_room(length: usize) -> Self {
        let room = || vec![0.0; length];
        Self { fives: room(), squares: room(), twenties: room(), fifties: room(), hundreds: room() }
    }

    /// Means of the last 20 values.
    pub(super) fn means_of_20(&mut self, values: &[f64], means: &mut [f64]) {
        let fives = &mut self.fives[..means.len() + 15];
        sums_of_5(last(values, means.len() + 19), fives);
        for (mean, window) in means.iter_mut().zip(fives.array_windows()) {
            *mean = twenty(window) * (1.0 / 20.0);
        }
    }

    /// Means of the last 20, 50 and 200 values.
    pub(super) fn means(&mut self, values: &[f64], means: [&mut [f64]; 3]) {
        let [of_20, of_50, of_200] = means;
        let count = of_20.len();
        let fives = &mut self.fives[..count + 195];
        let twenties = &mut self.twenties[..count + 170];
        let fifties = &mut self.fifties[..count + 150];
        let hundreds = &mut self.hundreds[..count + 100];
        sums_of_5(last(values, count + 199), fives);
        for (sum, window) in twenties.iter_mut().zip(last(fives, count + 185).array_windows()) {
            *sum = twenty(window);
        }
        sums_of_50(fives, twenties, fifties);
        doubled::<51>(fifties, hundreds, 1.0);
        doubled::<101>(hundreds, of_200, 1.0 / 200.0);
        scaled(last(twenties, count), of_20, 1.0 / 20.0);
        scaled(last(fifties, count), of_50, 1.0 / 50.0);
    }

    /// Standard deviations of the last 20 values, whose squares are divided by `divisor`.
    ///
    /// The squares within each five of the window, and those of the fives' means about the mean of all:
    /// both sums of squares, so nothing cancels and nothing is negative, and 0 on a flat run.
    pub(super) fn deviations(&mut self, values: &[f64], divisor: f64, deviations: &mut [f64]) {
        let values = last(values, deviations.len() + 19);
        let fives = &mut self.fives[..deviations.len() + 15];
        let squares = &mut self.squares[..deviations.len() + 15];
        sums_of_5(values, fives);
        squares_of_5(values, squares);
        let windows = fives.array_windows().zip(squares.array_windows());
        for (deviation, (sums, squares)) in deviations.iter_mut().zip(windows) {
            let within = twenty(squares);
            *deviation = ((within + between(sums)) * (1.0 / divisor)).sqrt();
        }
    }
}

fn sums_of_5(values: &[f64], sums: &mut [f64]) {
    for (sum, [a, b, c, d, e]) in sums.iter_mut().zip(values.array_windows()) {
        *sum = (a + b) + (c + d) + e;
    }
}

/// The sum of 20 values, of whose sums of 5 this is the window.
fn twenty(fives: &[f64; 16]) -> f64 {
    (fives[0] + fives[5]) + (fives[10] + fives[15])
}

/// 50 is 5 and 5 and 20 and 20.
fn sums_of_50(fives: &[f64], twenties: &[f64], sums: &mut [f64]) {
    let fives = last(fives, sums.len() + 45).array_windows::<6>();
    let twenties = last(twenties, sums.len() + 20).array_windows::<21>();
    for ((sum, fives), twenties) in sums.iter_mut().zip(fives).zip(twenties) {
        *sum = (fives[0] + fives[5]) + (twenties[0] + twenties[20]);
    }
}

/// The sum of two neighbouring windows, times `scale`; `SPAN` is a window's length, and one.
fn doubled<const SPAN: usize>(sums: &[f64], doubles: &mut [f64], scale: f64) {
    let windows = last(sums, doubles.len() + SPAN - 1).array_windows::<SPAN>();
    for (double, window) in doubles.iter_mut().zip(windows) {
        *double = (window[0] + window[SPAN - 1]) * scale;
    }
}

fn scaled(values: &[f64], products: &mut [f64], scale: f64) {
    for (product, value) in products.iter_mut().zip(values) {
        *product = value * scale;
    }
}

/// The sums of squares of 5 values about their mean: by their differences from the last of them, which
/// is near enough that the subtraction takes at most four fifths away.
fn squares_of_5(values: &[f64], squares: &mut [f64]) {
    for (square, [a, b, c, d, e]) in squares.iter_mut().zip(values.array_windows()) {
        let (a, b, c, d) = (a - e, b - e, c - e, d - e);
        let sum = (a + b) + (c + d);
        *square = (a * a + b * b) + (c * c + d * d) - sum * sum * (1.0 / 5.0);
    }
}

/// The sum of squares, about the mean of 20 values, of 20 values that are each the mean of its five.
fn between(fives: &[f64; 16]) -> f64 {
    let mean = twenty(fives) * (1.0 / 4.0);
    let [a, b, c, d] = [0, 5, 10, 15].map(|at: usize| fives[at] - mean);
    ((a * a + b * b) + (c * c + d * d)) * (1.0 / 5.0)
}

/// Intermediate values of [`Stochastic::of`], kept to be used again.
#[derive(Clone, Debug)]
pub(super) struct Stochastic {
    fours: Vec<f64>,
    highest: Vec<f64>,
    lowest: Vec<f64>,
    raw: Vec<f64>,
}

impl Stochastic {
    /// Room for an input of `length` values.
    pub(super) fn with_room(length: usize) -> Self {
        let room = || vec![0.0; length];
        Self { fours: room(), highest: room(), lowest: room(), raw: room() }
    }

    /// `stoch_k` and `stoch_d` of as many bars.
    pub(super) fn of(&mut self, [high, low, close]: [&[f64]; 3], k: &mut [f64], d: &mut [f64]) {
        let count = k.len() + 4;
        let fours = &mut self.fours[..count + 10];
        let (highest, lowest) = (&mut self.highest[..count], &mut self.lowest[..count]);
        extremes_of_14(last(high, count + 13), fours, highest, greater);
        extremes_of_14(last(low, count + 13), fours, lowest, less);
        let raw = &mut self.raw[..count];
        for (((raw, close), highest), lowest) in
            raw.iter_mut().zip(last(close, count)).zip(&*highest).zip(&*lowest)
        {
            let range = highest - lowest;
            let place = 100.0 * (close - lowest) / range;
            *raw = if range == 0.0 { 0.0 } else { place };
        }
        // Its own room is free again by now.
        let slow = &mut fours[..k.len() + 2];
        means_of_3(raw, slow);
        k.copy_from_slice(&slow[2..]);
        means_of_3(slow, d);
    }
}

/// Unlike `f64::max` these do not care about NaN, and are one instruction.
const fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

const fn less(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// Extremes of 14 values, out of those of 4.
fn extremes_of_14(
    values: &[f64],
    fours: &mut [f64],
    extremes: &mut [f64],
    of: impl Fn(f64, f64) -> f64,
) {
    for (four, [a, b, c, d]) in fours.iter_mut().zip(values.array_windows()) {
        *four = of(of(*a, *b), of(*c, *d));
    }
    for (extreme, four) in extremes.iter_mut().zip(fours.array_windows::<11>()) {
        *extreme = of(of(four[0], four[4]), of(four[8], four[10]));
    }
}

fn means_of_3(values: &[f64], means: &mut [f64]) {
    for (mean, [a, b, c]) in means.iter_mut().zip(values.array_windows()) {
        *mean = (a + b + c) * (1.0 / 3.0);
    }
}

/// `roc_10`.
pub(super) fn change_of_10(close: &[f64], changes: &mut [f64]) {
    let windows = last(close, changes.len() + 10).array_windows::<11>();
    for (change, window) in changes.iter_mut().zip(windows) {
        *change = (window[10] / window[0] - 1.0) * 100.0;
    }
}

/// `log_return`.
pub(super) fn log_returns(close: &[f64], returns: &mut [f64]) {
    let windows = last(close, returns.len() + 1).array_windows();
    for (log_return, [before, close]) in returns.iter_mut().zip(windows) {
        *log_return = (close / before).ln();
    }
}

/// The bands about their middle, two deviations apart.
pub(super) fn bands(middle: &[f64], deviation: &[f64], upper: &mut [f64], lower: &mut [f64]) {
    let inputs = middle.iter().zip(deviation);
    for ((upper, lower), (middle, deviation)) in upper.iter_mut().zip(lower).zip(inputs) {
        *upper = middle + 2.0 * deviation;
        *lower = middle - 2.0 * deviation;
    }
}
