//! Figures of several rounds, and whether they keep a promise.

use std::time::Duration;

/// Durations of the same thing, measured again and again.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    /// The shortest, in seconds: what the machine can do when it is left alone.
    pub(crate) fn best(&self) -> f64 {
        self.0.first().map_or(f64::NAN, Duration::as_secs_f64)
    }

    /// The middle one, in seconds.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
    }

    /// One line: best and median, and how many of `things` that is a second.
    pub(crate) fn rate(&self, name: &str, count: f64, things: &str) -> String {
        format!(
            "  {name:<24} best {:8.3} s   median {:8.3} s   {:>10.0} {things}/s",
            self.best(),
            self.median(),
            count / self.median()
        )
    }
}

/// A bound that a figure is to keep.
#[derive(Clone, Copy)]
pub(crate) enum Promise {
    AtLeast(f64),
    AtMost(f64),
}

impl Promise {
    fn is_kept(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }
}

/// One line: a figure beside its promise.
pub(crate) fn against(name: &str, figure: f64, unit: &str, promise: Promise) -> String {
    let bound = match promise {
        Promise::AtLeast(bound) => format!("at least {bound}"),
        Promise::AtMost(bound) => format!("at most {bound}"),
    };
    let verdict = if promise.is_kept(figure) { "kept" } else { "below the promise" };
    format!("  {name:<44} {figure:8.2} {unit:<3} promise: {bound}{unit}: {verdict}")
}
