//! `Timeframe`: the length of a bar's window, and how it is written.

use std::fmt;
use std::str::FromStr;

/// The length of a bar's window.
///
/// Ordered from short to long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timeframe {
    /// One minute, `1m`.
    M1,
    /// Five minutes, `5m`.
    M5,
    /// Fifteen minutes, `15m`.
    M15,
    /// Thirty minutes, `30m`.
    M30,
    /// One hour, `1h`.
    H1,
    /// Four hours, `4h`.
    H4,
    /// One trading day, `1d`. Its bars are named by the session's date.
    D1,
    /// One trading week, `1w`. Its bars are named by the week's Monday.
    W1,
}

/// Seconds in a day.
pub const DAY: i64 = 86_400;

impl Timeframe {
    /// Every timeframe, from short to long.
    pub const ALL: [Self; 8] =
        [Self::M1, Self::M5, Self::M15, Self::M30, Self::H1, Self::H4, Self::D1, Self::W1];

    /// The distance between the starts of two neighbouring windows, in seconds.
    ///
    /// For `1d` and `1w` it is the distance between their labels (00:00:00 UTC of a date), not the
    /// time for which the market is open.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::M1 => 60,
            Self::M5 => 300,
            Self::M15 => 900,
            Self::M30 => 1_800,
            Self::H1 => 3_600,
            Self::H4 => 14_400,
            Self::D1 => DAY,
            Self::W1 => 7 * DAY,
        }
    }

    /// Whether the window is shorter than a day.
    #[must_use]
    pub const fn is_intraday(self) -> bool {
        self.seconds() < DAY
    }

    /// How it is written in configs, flags, tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::M30 => "30m",
            Self::H1 => "1h",
            Self::H4 => "4h",
            Self::D1 => "1d",
            Self::W1 => "1w",
        }
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Timeframe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|timeframe| timeframe.as_str() == text).ok_or_else(|| {
            format!("`{text}` is no timeframe; expected one of 1m 5m 15m 30m 1h 4h 1d 1w")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timeframe_reads_back_what_it_writes() {
        for timeframe in Timeframe::ALL {
            assert_eq!(timeframe.to_string().parse(), Ok(timeframe));
        }
        assert!("1M".parse::<Timeframe>().is_err());
    }
}
