//! Every session and every probe of `tests/fixtures/calendar/`; its README says what they are.

use std::collections::BTreeMap;

use chrono::Datelike;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/calendar/", $name))
    };
}

/// The sessions that a fixture states, by date.
fn sessions(fixture: &str) -> BTreeMap<NaiveDate, Session> {
    let mut sessions = BTreeMap::new();
    for row in fixture.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let (first, last) = (date(cells[0]), date(cells[1]));
        for date in first.iter_days().take_while(|day| *day <= last) {
            if date.weekday().num_days_from_monday() < 5 {
                let at = |cell: &str| instant(&format!("{date}T{cell}"));
                let lunch = cells.get(4).map(|start| TimeRange::new(at(start), at(cells[5])));
                let session = Session { date, open: at(cells[2]), close: at(cells[3]), lunch };
                sessions.insert(date, session);
            }
        }
    }
    sessions
}

/// Compares every day of every year that the fixture has, so that both a missing session and one
/// too many are found.
fn check(fixture: &str, name: &str, count: usize) {
    let wanted = sessions(fixture);
    assert_eq!(wanted.len(), count, "sessions in the fixture");
    let calendar = calendar(name);
    let years: BTreeSet<i32> = wanted.keys().map(Datelike::year).collect();
    for year in years {
        let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        for day in first.iter_days().take_while(|day| day.year() == year) {
            assert_eq!(calendar.session(day), wanted.get(&day).copied(), "{name} {day}");
        }
    }
}

#[test]
fn new_york_opens_and_closes_as_it_did() {
    check(fixture!("XNYS.csv"), "XNYS", 6287);
    check(fixture!("XNYS.csv"), "XNAS", 6287);
}

#[test]
fn london_opens_and_closes_as_it_did() {
    check(fixture!("XLON.csv"), "XLON", 6062);
}

#[test]
fn frankfurt_opens_and_closes_as_it_did() {
    check(fixture!("XETR.csv"), "XETR", 6098);
}

#[test]
fn tokyo_opens_and_closes_as_it_did() {
    check(fixture!("XTKS.csv"), "XTKS", 5883);
}

/// The weekdays of `year` without a session, as `0101 0419 …`.
fn closed(name: &str, year: i32) -> String {
    let calendar = calendar(name);
    let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    let days = first.iter_days().take_while(|day| day.year() == year);
    let closed = days.filter(|day| day.weekday().num_days_from_monday() < 5);
    let closed = closed.filter(|day| calendar.session(*day).is_none());
    closed.map(|day| day.format("%m%d").to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_coming_years_follow_the_rules() {
    let known = [
        ("XNYS", 2026, "0101 0119 0216 0403 0525 0619 0703 0907 1126 1225"),
        ("XNYS", 2028, "0117 0221 0414 0529 0619 0704 0904 1123 1225"),
        ("XLON", 2026, "0101 0403 0406 0504 0525 0831 1225 1228"),
        ("XLON", 2028, "0103 0414 0417 0501 0529 0828 1225 1226"),
        ("XETR", 2026, "0101 0403 0406 0501 1224 1225 1231"),
        (
            "XTKS",
            2026,
            "0101 0102 0112 0211 0223 0320 0429 0504 0505 0506 0720 0811 0921 0922 0923 1012 1103 \
             1123 1231",
        ),
    ];
    for (name, year, days) in known {
        assert_eq!(closed(name, year), days, "{name} {year}");
    }
}

#[test]
fn tokyo_closes_half_an_hour_later_since_november_2024() {
    let tokyo = calendar("XTKS");
    let close = |day| tokyo.session(date(day)).unwrap().close;
    assert_eq!(close("2024-11-01"), instant("2024-11-01T06:00"));
    assert_eq!(close("2024-11-05"), instant("2024-11-05T06:30"));
}

#[test]
fn every_probe_finds_the_last_completed_bar() {
    let probes = fixture!("probes.csv");
    assert_eq!(probes.lines().skip(1).map(check_probe).count(), 200);
}

fn check_probe(row: &str) {
    let cells: Vec<&str> = row.split(',').collect();
    let (calendar, at) = (calendar(cells[2]), instant(cells[3]));
    let last = |timeframe, layout| calendar.last_closed(timeframe, layout, at).unwrap();
    assert_eq!(calendar.is_open(at).to_string(), cells[4], "{row}");
    let day = last(Timeframe::D1, CLOCK);
    assert_eq!(day, Window { ts: midnight(date(cells[5])), close_at: instant(cells[7]) }, "{row}");
    assert_eq!(calendar.session(date(cells[5])).unwrap().open, instant(cells[6]), "{row}");
    assert_eq!(last(Timeframe::H1, OPEN).ts, instant(cells[8]), "{row}");
    assert_eq!(last(Timeframe::H1, CLOCK).ts, instant(cells[9]), "{row}");
    assert_eq!(last(Timeframe::M1, CLOCK).ts, instant(cells[10]), "{row}");
    assert_eq!(last(Timeframe::M1, OPEN), last(Timeframe::M1, CLOCK), "{row}");
}
