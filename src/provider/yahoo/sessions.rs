//! Which rows are windows, by what the answer says of the market's sessions.
//!
//! Two kinds are none: the live row at the end, which is stamped with the last trade instead of the
//! start of its window, and the closing print, which is stamped with the end of the session and has no
//! volume.

use crate::domain::series::AssetClass;
use crate::domain::timeframe::{DAY, Timeframe};
use crate::domain::zone::Zone;

use super::super::Ask;
use super::super::bounded::Few;
use super::super::reading::{day_label, wall_clock};
use super::chart::{Meta, Period, Row};

/// When the market trades, as far as the answer says.
pub(super) struct Sessions {
    zone: Zone,
    timeframe: Timeframe,
    /// Whether the market closes for the day.
    closes: bool,
    last_trade: Option<i64>,
    current: Option<Period>,
    all: Vec<Period>,
}

impl Sessions {
    pub(super) fn of(ask: &Ask<'_>, meta: &Meta<'_>) -> Self {
        let name = meta.exchange_timezone_name.as_deref().unwrap_or_default();
        let periods = meta.trading_periods.map_or("[]", |raw| raw.get());
        let periods: Few<Few<Period>> = serde_json::from_str(periods).unwrap_or_default();
        Self {
            zone: name.parse().unwrap_or(ask.zone),
            timeframe: ask.timeframe,
            closes: !matches!(ask.asset_class, AssetClass::Crypto | AssetClass::Forex),
            last_trade: meta.regular_market_time,
            current: meta.current_trading_period.as_ref().and_then(|periods| periods.regular),
            all: periods.0.into_iter().flat_map(|day| day.0).collect(),
        }
    }

    /// The `ts` of a row stamped `stamp`.
    pub(super) fn label(&self, stamp: i64) -> i64 {
        if self.timeframe.is_intraday() { stamp } else { day_label(stamp, self.zone) }
    }

    /// Whether a row is no window of its own; `before` and `next` are its neighbours' stamps.
    pub(super) fn is_no_window(
        &self,
        row: &Row<'_>,
        before: Option<i64>,
        next: Option<i64>,
    ) -> bool {
        let is_live = next.is_none() && self.last_trade == Some(row.stamp);
        if self.timeframe.is_intraday() {
            (is_live && self.is_off_grid(row.stamp)) || self.is_closing_print(row, next)
        } else {
            is_live && self.is_provisional_day(row.stamp, before)
        }
    }

    /// Whether no window starts at `stamp` in the current session.
    fn is_off_grid(&self, stamp: i64) -> bool {
        let start = self.current.filter(|_| self.closes).map_or(0, |session| session.start);
        stamp.saturating_sub(start).rem_euclid(self.timeframe.seconds()) != 0
    }

    /// Whether a day stamped with its last trade repeats the row before it, or is not over.
    fn is_provisional_day(&self, stamp: i64, before: Option<i64>) -> bool {
        let Some(session) = self.current else {
            return true;
        };
        if stamp == session.start {
            return false;
        }
        let repeats = before.is_some_and(|before| self.label(before) == self.label(stamp));
        let is_over = stamp >= session.end || self.label(stamp) < self.label(session.start);
        repeats || !is_over
    }

    /// Whether a row is the print at a session's end: the last of its date, and nothing traded.
    fn is_closing_print(&self, row: &Row<'_>, next: Option<i64>) -> bool {
        let volume = row.volume.map_or(Some(0.0), |cell| serde_json::from_str::<f64>(cell).ok());
        let date = |stamp| day_label(stamp, self.zone);
        let ends_its_date = next.is_none_or(|next| date(next) != date(row.stamp));
        self.closes && volume == Some(0.0) && ends_its_date && self.is_end(row.stamp)
    }

    /// Whether a session ends at `stamp`: one that is named, or else one like the current.
    fn is_end(&self, stamp: i64) -> bool {
        let time = |seconds| wall_clock(seconds, self.zone).rem_euclid(DAY);
        self.all.iter().any(|session| session.end == stamp)
            || self.current.is_some_and(|session| time(session.end) == time(stamp))
    }
}
