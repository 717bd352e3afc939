//! `Timeframe`: the length of a bar's window, and how it is written.

use super::enum_words::enum_words;

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

enum_words!(Timeframe, "timeframe", {
    M1 => "1m", M5 => "5m", M15 => "15m", M30 => "30m", H1 => "1h", H4 => "4h", D1 => "1d",
    W1 => "1w",
});

impl Timeframe {
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
}
