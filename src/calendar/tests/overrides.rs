//! What the user's overrides do to sessions and bars.

use super::*;

#[test]
fn overrides_close_a_day_and_move_a_close() {
    let (closed, early) = (date("2026-03-03"), date("2026-03-04"));
    let overrides = Overrides {
        closed: [closed].into(),
        early: [(early, NaiveTime::from_hms_opt(11, 15, 0).unwrap())].into(),
    };
    let new_york = Calendar::named("XNAS", overrides.clone()).unwrap();
    assert_eq!(new_york.session(closed), None);
    assert!(!new_york.is_open(instant("2026-03-03T17:00")));
    assert_eq!(new_york.session(early).unwrap().close, instant("2026-03-04T16:15"));
    let last = new_york.last_closed(Timeframe::H1, CLOCK, instant("2026-03-04T16:15"));
    assert_eq!(last, Some(window("2026-03-04T16:00", "2026-03-04T16:15")));
    // The rules stand on the day before.
    assert_eq!(new_york.session(date("2026-03-02")), calendar("XNYS").session(date("2026-03-02")));
    // In Tokyo that time is before lunch, so that no break is left.
    let session = Calendar::named("XTKS", overrides).unwrap().session(early).unwrap();
    assert_eq!((session.close, session.lunch), (instant("2026-03-04T02:15"), None));
}

#[test]
fn a_close_at_or_before_the_open_leaves_no_session() {
    let day = date("2026-03-04");
    let early = [(day, NaiveTime::from_hms_opt(9, 30, 0).unwrap())].into();
    let new_york = Calendar::named("XNYS", Overrides { early, ..Overrides::default() }).unwrap();
    assert_eq!(new_york.session(day), None);
}

#[test]
fn a_close_after_midnight_utc_is_waited_for() {
    let early = [(date("2024-07-05"), NaiveTime::from_hms_opt(23, 0, 0).unwrap())].into();
    let overrides = Overrides { early, ..Overrides::default() };
    let new_york = Calendar::named("XNYS", overrides).unwrap();
    let last = |at| new_york.last_closed(Timeframe::D1, CLOCK, instant(at)).unwrap();
    assert_eq!(last("2024-07-06T02:59"), window("2024-07-03T00:00", "2024-07-03T17:00"));
    assert_eq!(last("2024-07-06T03:00"), window("2024-07-05T00:00", "2024-07-06T03:00"));
}

#[test]
fn a_forex_day_that_closes_early_splits_the_week() {
    // Closed from 15:30 to 17:00 in New York: the window that holds both ends with the later part.
    let early = [(date("2024-12-24"), NaiveTime::from_hms_opt(15, 30, 0).unwrap())].into();
    let overrides = Overrides { early, ..Overrides::default() };
    let forex = Calendar::named("FX", overrides).unwrap();
    assert!(
        forex.is_open(instant("2024-12-24T20:29")) && forex.is_open(instant("2024-12-24T22:00"))
    );
    assert!(!forex.is_open(instant("2024-12-24T20:30")));
    let evening = windows(&forex, Timeframe::H4, CLOCK, ["2024-12-24", "2024-12-25"]);
    let wanted = [
        window("2024-12-24T16:00", "2024-12-24T20:00"),
        window("2024-12-24T20:00", "2024-12-25T00:00"),
    ];
    assert_eq!(evening[4..], wanted);
    let hours = windows(&forex, Timeframe::H1, CLOCK, ["2024-12-24", "2024-12-25"]);
    let wanted = [
        window("2024-12-24T20:00", "2024-12-24T20:30"),
        window("2024-12-24T22:00", "2024-12-24T23:00"),
    ];
    assert_eq!(hours[20..22], wanted);
}

#[test]
fn a_forex_day_that_closes_late_leaves_the_week_unbroken() {
    let early = [(date("2024-12-24"), NaiveTime::from_hms_opt(19, 30, 0).unwrap())].into();
    let overrides = Overrides { early, ..Overrides::default() };
    let late = Calendar::named("FX", overrides).unwrap();
    let days = ["2024-12-22", "2024-12-29"];
    let minutes = windows(&calendar("FX"), Timeframe::M1, CLOCK, days);
    assert_eq!(windows(&late, Timeframe::M1, CLOCK, days), minutes);
}
