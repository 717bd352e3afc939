//! The calendars against facts, and the seeking functions against a plain walk over the sessions.

mod oracle;
mod overrides;
mod properties;

use chrono::NaiveDate;

use super::*;

const CLOCK: Layout = Layout { intraday: Intraday::Clock, day: DayEnd::Session };
const OPEN: Layout = Layout { intraday: Intraday::Session, day: DayEnd::Session };
const UTC_DAYS: Layout = Layout { intraday: Intraday::Clock, day: DayEnd::Utc };

fn calendar(name: &str) -> Calendar {
    Calendar::named(name, Overrides::default()).unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Epoch seconds of an instant written as `2024-01-31T09:30` or `2024-01-31T09:30:00Z`.
fn instant(text: &str) -> i64 {
    let text = text.trim_end_matches('Z');
    let format = if text.len() > 16 { "%FT%T" } else { "%FT%R" };
    chrono::NaiveDateTime::parse_from_str(text, format).unwrap().and_utc().timestamp()
}

fn window(ts: &str, close_at: &str) -> Window {
    Window { ts: instant(ts), close_at: instant(close_at) }
}

/// The windows of the given half-open days.
fn windows(
    calendar: &Calendar,
    timeframe: Timeframe,
    layout: Layout,
    days: [&str; 2],
) -> Vec<Window> {
    let [start, end] = days.map(|day| midnight(date(day)));
    calendar.windows(timeframe, layout, TimeRange::new(start, end)).collect()
}

#[test]
fn every_name_has_a_calendar_and_no_other_does() {
    for name in Calendar::NAMES {
        assert_eq!(calendar(name).name(), *name);
    }
    assert_eq!(Calendar::NAMES, ["24x7", "FX", "XNYS", "XNAS", "XLON", "XETR", "XTKS"]);
    assert!(Calendar::named("xnys", Overrides::default()).is_none());
    assert!(calendar("XLON").has_sessions() && !calendar("FX").has_sessions());
    assert_eq!(calendar("FX").zone(), crate::domain::zone::Zone::NEW_YORK);
}

#[test]
fn hours_on_the_clock_hold_the_open_and_end_with_the_session() {
    let early = windows(&calendar("XNYS"), Timeframe::H1, CLOCK, ["2024-11-29", "2024-11-30"]);
    let wanted = [
        window("2024-11-29T14:00", "2024-11-29T15:00"),
        window("2024-11-29T15:00", "2024-11-29T16:00"),
        window("2024-11-29T16:00", "2024-11-29T17:00"),
        window("2024-11-29T17:00", "2024-11-29T18:00"),
    ];
    assert_eq!(early, wanted);
}

#[test]
fn hours_from_the_open_end_short_with_the_session() {
    let hours = windows(&calendar("XNYS"), Timeframe::H1, OPEN, ["2024-07-05", "2024-07-06"]);
    assert_eq!(hours.len(), 7);
    assert_eq!(hours[0], window("2024-07-05T13:30", "2024-07-05T14:30"));
    assert_eq!(hours[6], window("2024-07-05T19:30", "2024-07-05T20:00"));
}

#[test]
fn hours_from_the_open_start_anew_after_lunch() {
    let hours = windows(&calendar("XTKS"), Timeframe::H1, OPEN, ["2024-11-05", "2024-11-06"]);
    let wanted = [
        window("2024-11-05T00:00", "2024-11-05T01:00"),
        window("2024-11-05T01:00", "2024-11-05T02:00"),
        window("2024-11-05T02:00", "2024-11-05T02:30"),
        window("2024-11-05T03:30", "2024-11-05T04:30"),
        window("2024-11-05T04:30", "2024-11-05T05:30"),
        window("2024-11-05T05:30", "2024-11-05T06:30"),
    ];
    assert_eq!(hours, wanted);
}

#[test]
fn a_clock_window_across_lunch_is_one_window_that_the_afternoon_closes() {
    let tokyo = calendar("XTKS");
    let four_hours = windows(&tokyo, Timeframe::H4, CLOCK, ["2024-11-05", "2024-11-06"]);
    let wanted = [
        window("2024-11-05T00:00", "2024-11-05T04:00"),
        window("2024-11-05T04:00", "2024-11-05T06:30"),
    ];
    assert_eq!(four_hours, wanted);
    // The morning's end does not complete it.
    let at_lunch = tokyo.last_closed(Timeframe::H4, CLOCK, instant("2024-11-05T03:59"));
    assert_eq!(at_lunch, Some(window("2024-11-01T04:00", "2024-11-01T06:00")));
    // A window wholly inside the break is none.
    let halves = windows(&tokyo, Timeframe::M30, CLOCK, ["2024-11-05", "2024-11-06"]);
    assert!(!halves.iter().any(|half| half.ts == instant("2024-11-05T03:00")));
}

#[test]
fn the_forex_week_is_cut_without_regard_to_trade_dates() {
    let forex = calendar("FX");
    // Daylight saving begins in New York on 2024-03-10: Friday closes at 22:00, Sunday opens at
    // 21:00.
    let friday = forex.last_closed(Timeframe::H4, CLOCK, instant("2024-03-09T12:00"));
    assert_eq!(friday, Some(window("2024-03-08T20:00", "2024-03-08T22:00")));
    let sunday = forex.first_from(Timeframe::H4, CLOCK, instant("2024-03-09T12:00"));
    assert_eq!(sunday, Some(window("2024-03-10T20:00", "2024-03-11T00:00")));
    // 21:00 on Monday begins Tuesday's trade date amid this window.
    let monday = forex.last_closed(Timeframe::H4, CLOCK, instant("2024-03-12T00:00"));
    assert_eq!(monday, Some(window("2024-03-11T20:00", "2024-03-12T00:00")));
}

#[test]
fn days_and_weeks_close_with_the_session_or_at_midnight_utc() {
    let forex = calendar("FX");
    let (friday, week) = (midnight(date("2024-03-08")), midnight(date("2024-03-04")));
    let close = instant("2024-03-08T22:00");
    let midnight = instant("2024-03-09T00:00");
    assert_eq!(forex.close_at(Timeframe::D1, CLOCK, friday), close);
    assert_eq!(forex.close_at(Timeframe::W1, CLOCK, week), close);
    assert_eq!(forex.close_at(Timeframe::D1, UTC_DAYS, friday), midnight);
    assert_eq!(forex.close_at(Timeframe::W1, UTC_DAYS, week), midnight);
    // A label that the calendar does not have closes after the full length.
    assert_eq!(forex.close_at(Timeframe::D1, CLOCK, midnight), midnight + DAY);
    assert_eq!(forex.close_at(Timeframe::M1, CLOCK, i64::MAX), i64::MAX);
}

#[test]
fn a_week_without_a_session_has_no_window() {
    let weeks = |closed: &[&str]| {
        let closed = closed.iter().map(|day| date(day)).collect();
        let overrides = Overrides { closed, ..Overrides::default() };
        let new_york = Calendar::named("XNYS", overrides).unwrap();
        windows(&new_york, Timeframe::W1, CLOCK, ["2019-12-23", "2020-01-13"])
    };
    // New Year's Day is closed anyway.
    let rest = ["2019-12-30", "2020-01-02", "2020-01-03", "2019-12-31"];
    let wanted = [
        window("2019-12-23T00:00", "2019-12-27T21:00"),
        window("2019-12-30T00:00", "2019-12-31T21:00"),
        window("2020-01-06T00:00", "2020-01-10T21:00"),
    ];
    assert_eq!(weeks(&rest[..3]), wanted);
    assert_eq!(weeks(&rest), [wanted[0], wanted[2]]);
}

#[test]
fn a_label_off_the_grid_is_known() {
    let grid = |name, timeframe, layout, ts| calendar(name).on_grid(timeframe, layout, instant(ts));
    assert!(grid("XNYS", Timeframe::H1, CLOCK, "2024-07-05T14:00"));
    assert!(!grid("XNYS", Timeframe::H1, CLOCK, "2024-07-05T13:30"));
    assert!(grid("XNYS", Timeframe::H1, OPEN, "2024-07-05T13:30"));
    assert!(!grid("XNYS", Timeframe::H1, OPEN, "2024-07-05T14:00"));
    assert!(grid("XNYS", Timeframe::H1, OPEN, "2024-07-05T09:13"), "before the open");
    assert!(!grid("XNYS", Timeframe::H1, OPEN, "2024-07-05T09:13:20"), "off the minute");
    assert!(grid("XTKS", Timeframe::H1, OPEN, "2024-07-05T03:30"), "counted after lunch");
    assert!(!grid("FX", Timeframe::H1, OPEN, "2024-07-05T13:30"), "no open to count from");
    assert!(grid("XNYS", Timeframe::D1, OPEN, "2024-07-06T00:00"), "a Saturday");
    assert!(!grid("XNYS", Timeframe::D1, OPEN, "2024-07-05T04:00"));
    assert!(grid("24x7", Timeframe::W1, CLOCK, "2024-07-01T00:00"));
    assert!(!grid("24x7", Timeframe::W1, CLOCK, "2024-07-02T00:00"));
    assert!(!grid("24x7", Timeframe::W1, CLOCK, "2024-07-01T01:00"));
}

#[test]
fn dates_outside_the_known_years_have_no_session() {
    let always = calendar("24x7");
    for day in [NaiveDate::MIN, NaiveDate::MAX, date("1959-12-31"), date("2101-01-01")] {
        assert_eq!(always.session(day), None, "{day}");
    }
    for day in ["1960-01-01", "2100-12-31"] {
        assert!(always.session(date(day)).is_some(), "{day}");
    }
    let everything = TimeRange::new(i64::MIN, i64::MAX);
    assert_eq!(always.count(Timeframe::D1, CLOCK, everything), 51_500);
    assert_eq!(always.count(Timeframe::M1, CLOCK, everything), 51_500 * 1_440);
    let last = always.last_closed(Timeframe::M1, CLOCK, i64::MAX);
    assert_eq!(last, Some(window("2100-12-31T23:59", "2101-01-01T00:00")));
    let first = always.first_from(Timeframe::M1, CLOCK, i64::MIN);
    assert_eq!(first, Some(window("1960-01-01T00:00", "1960-01-01T00:01")));
    assert_eq!(always.last_closed(Timeframe::M1, CLOCK, i64::MIN), None);
    assert_eq!(always.first_from(Timeframe::M1, CLOCK, i64::MAX), None);
}
