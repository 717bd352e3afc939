//! `Market`: what a file of rules says about one market, in local time.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::{Overrides, Session};
use crate::domain::range::TimeRange;
use crate::domain::zone::Zone;

/// The rules of one market.
pub(super) struct Market {
    /// The zone of all its hours.
    pub(super) zone: Zone,
    /// Whether it closes for the day.
    pub(super) has_sessions: bool,
    /// The hours of a date; `None` when it does not open.
    pub(super) hours: fn(NaiveDate) -> Option<Hours>,
}

/// When a market trades on one date, in local time. Ends are exclusive.
pub(super) struct Hours {
    pub(super) open: NaiveDateTime,
    pub(super) close: NaiveDateTime,
    /// Start and end of the lunch break; `None` without one.
    pub(super) lunch: Option<(NaiveDateTime, NaiveDateTime)>,
}

impl Market {
    /// The session of `date` after the user's overrides.
    pub(super) fn session(&self, date: NaiveDate, overrides: &Overrides) -> Option<Session> {
        if overrides.closed.contains(&date) {
            return None;
        }
        let hours = (self.hours)(date)?;
        let early = overrides.early.get(&date).map(|time| date.and_time(*time));
        let open = self.instant(hours.open)?;
        let close = self.instant(early.unwrap_or(hours.close))?;
        let lunch = hours.lunch.and_then(|(start, end)| {
            let lunch = TimeRange::new(self.instant(start)?, self.instant(end)?);
            Some(lunch.intersect(TimeRange::new(open, close))).filter(|lunch| !lunch.is_empty())
        });
        (open < close).then_some(Session { date, open, close, lunch })
    }

    /// The first instant with that local time. One that the clocks skip is taken an hour later.
    fn instant(&self, local: NaiveDateTime) -> Option<i64> {
        let at = |local| self.zone.earliest(local);
        at(local).or_else(|| at(local + TimeDelta::hours(1)))
    }
}

impl Hours {
    /// From `open` to `close`, both local (hour, minute), without a break.
    pub(super) fn on(date: NaiveDate, open: (i64, i64), close: (i64, i64)) -> Self {
        Self { open: local(date, open), close: local(date, close), lunch: None }
    }
}

/// That (hour, minute) of `date`; hour 24 is the next midnight, hours below 0 lie on the day
/// before.
pub(super) fn local(date: NaiveDate, (hour, minute): (i64, i64)) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN) + TimeDelta::minutes(hour * 60 + minute)
}
