//! Which session an instant belongs to: the local date of a zone, looked up once a day.

use crate::domain::time::day_start;
use crate::domain::timeframe::DAY;
use crate::domain::zone::Zone;
use chrono::Datelike as _;

/// A zone, and the stretch of time whose local date was looked up last.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    zone: Zone,
    held: Session,
}

/// A stretch of time within one local date, all of it but around a change of the clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    /// The local date, days since 0000-12-31.
    pub(super) date: i64,
    /// Its first instant, epoch seconds UTC.
    start: i64,
    /// The instant at which it is over.
    pub(super) end: i64,
}

impl Sessions {
    pub(super) const fn new(zone: Zone) -> Self {
        Self { zone, held: Session { date: 0, start: 0, end: 0 } }
    }

    /// The session at `ts`, which ends after it.
    pub(super) fn at(&mut self, ts: i64) -> Session {
        if ts < self.held.start || ts >= self.held.end {
            self.held = self.look_up(ts);
        }
        self.held
    }

    fn look_up(&self, ts: i64) -> Session {
        let (offset, date) = self.local(ts);
        let start = day_start(ts + offset) - offset;
        let end = start + DAY;
        let steady = self.local(start).0 == offset && self.local(end - 1).0 == offset;
        // On the two days a year on which clocks change, each instant is looked up for itself.
        if steady { Session { date, start, end } } else { Session { date, start: ts, end: ts + 1 } }
    }

    /// How far the zone is ahead of UTC at `ts`, in seconds, and its date.
    fn local(&self, ts: i64) -> (i64, i64) {
        let date = self.zone.date(ts).unwrap_or_default();
        (self.zone.offset(ts), i64::from(date.num_days_from_ce()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_zone_also_when_clocks_change() {
        for zone in [Zone::UTC, Zone::NEW_YORK, Zone::TOKYO, "America/Sao_Paulo".parse().unwrap()] {
            let mut sessions = Sessions::new(zone);
            // Half hours through 2018, with both changes of the clocks, Brazil's at midnight.
            for ts in (1_514_764_800..1_546_300_800).step_by(1_800) {
                let at = zone.date(ts).unwrap();
                let session = sessions.at(ts);
                assert_eq!(session.date, i64::from(at.num_days_from_ce()), "{at}");
                assert!(session.start <= ts && ts < session.end, "{at}");
            }
        }
    }

    #[test]
    fn going_back_in_time_is_looked_up_again() {
        let mut sessions = Sessions::new(Zone::UTC);
        let later = sessions.at(10 * DAY).date;
        assert_eq!(sessions.at(9 * DAY).date, later - 1);
    }
}
