//! Five years of days: complete data raise no alarm on a closed day, an early close or a change of clocks,
//! and one bar that does not come raises one as soon as it is overdue.

use std::time::Duration;

use mdctl::calendar::due::Due;
use mdctl::calendar::{Calendar, Layout, Overrides};
use mdctl::domain::policy::{Freshness, Publication, Thresholds};
use mdctl::domain::range::{RangeSet, TimeRange};
use mdctl::domain::timeframe::Timeframe;
use mdctl::freshness::{Held, judge};

use crate::support::market::{DAY, HOUR, day};
use crate::support::{Sandbox, group};

const FROM: &str = "2019-01-01";
const TO: &str = "2024-01-01";

fn due(calendar: &str) -> Due {
    Due {
        calendar: Calendar::named(calendar, Overrides::default()).expect("a calendar"),
        layout: Layout::default(),
        publication: Publication { lag: Duration::from_secs(20 * 60), end_of_day: None },
        delisted: None,
    }
}

/// The thresholds that a config has when it says nothing.
fn thresholds(timeframe: Timeframe) -> Thresholds {
    let of = |[fresh, aging, stale]: [u64; 3]| {
        let hours = |hours| Duration::from_secs(hours * 3_600);
        Thresholds { fresh: hours(fresh), aging: hours(aging), stale: hours(stale) }
    };
    of(if timeframe.is_intraday() { [1, 6, 24] } else { [12, 30, 54] })
}

fn status(due: &Due, timeframe: Timeframe, watermark: i64, now: i64) -> Freshness {
    let held = Held {
        due,
        timeframe,
        watermark_ts: Some(watermark),
        added_at: 0,
        wanted_from: i64::MIN,
        excused: &RangeSet::new(),
    };
    judge(&held, thresholds(timeframe), now).status
}

#[test]
fn complete_data_are_fresh_at_every_hour_of_five_years() {
    for (calendar, timeframe) in [
        ("XNYS", Timeframe::D1),
        ("XNYS", Timeframe::H1),
        ("XNYS", Timeframe::M1),
        ("XLON", Timeframe::D1),
        ("XTKS", Timeframe::M15),
        ("XETR", Timeframe::D1),
        ("FX", Timeframe::H1),
        ("FX", Timeframe::D1),
        ("24x7", Timeframe::H1),
        ("24x7", Timeframe::D1),
    ] {
        let due = due(calendar);
        // A run at every full hour; somebody looks 45 minutes later.
        for run in (day(FROM)..day(TO)).step_by(3_600) {
            let stored = due.last(timeframe, run).expect("a bar").ts;
            let found = status(&due, timeframe, stored, run + 45 * 60);
            assert_eq!(found, Freshness::Fresh, "{calendar} {timeframe} at {run}");
        }
    }
}

#[test]
fn a_run_a_day_keeps_daily_bars_fresh_at_every_hour_of_five_years() {
    for calendar in ["XNYS", "XLON", "XTKS", "XETR"] {
        let due = due(calendar);
        for midnight in (day(FROM)..day(TO)).step_by(86_400) {
            // As the units call it: at 01:30 UTC.
            let run = midnight + HOUR + HOUR / 2;
            let stored = due.last(Timeframe::D1, run).expect("a bar").ts;
            for hour in 0..24 {
                let now = run + hour * HOUR;
                let found = status(&due, Timeframe::D1, stored, now);
                let is_late = matches!(found, Freshness::Stale | Freshness::Missing);
                assert!(!is_late, "{calendar} at {now}: {found:?}");
            }
        }
    }
}

#[test]
fn a_session_whose_bar_does_not_come_is_late_as_soon_as_it_is_due() {
    for calendar in ["XNYS", "XLON", "XTKS", "FX", "24x7"] {
        let due = due(calendar);
        let range = TimeRange::new(day(FROM), day(TO));
        let sessions: Vec<_> = due.windows(Timeframe::D1, range, day(TO) + 30 * DAY).collect();
        assert!(sessions.len() > 1_200, "{calendar}");
        for pair in sessions.windows(2) {
            let due_at = pair[1].close_at + 20 * 60;
            let at = |later: i64| {
                let held = Held {
                    due: &due,
                    timeframe: Timeframe::D1,
                    watermark_ts: Some(pair[0].ts),
                    added_at: 0,
                    wanted_from: i64::MIN,
                    excused: &RangeSet::new(),
                };
                judge(&held, thresholds(Timeframe::D1), due_at + later)
            };
            assert_eq!(at(-1).lag_seconds, 0, "{calendar} {}", pair[1].ts);
            assert_eq!(at(1).lag_seconds, 1, "{calendar} {}", pair[1].ts);
            let statuses = [12 * HOUR - 1, 12 * HOUR, 30 * HOUR].map(|later| at(later).status);
            let expected = [Freshness::Fresh, Freshness::Aging, Freshness::Stale];
            assert_eq!(statuses, expected, "{calendar} {}", pair[1].ts);
        }
    }
}

/// Real daily bars, without those of `lacking`.
fn apple(lacking: &[&str]) -> Sandbox {
    let bars = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/AAPL.B26_1d.csv"),
    )
    .expect("the sample");
    let kept = bars.lines().filter(|line| !lacking.iter().any(|date| line.starts_with(date)));
    let config =
        "[database]\npath = \"mdctl.db\"\n\n[providers.f]\nkind = \"files\"\npath = \"data\"\n\n"
            .to_owned()
            + &group("f", "stock", &["AAPL"], "timeframes = [\"1d\"]");
    let sandbox = Sandbox::with(&config);
    sandbox.write("data/AAPL_1d.csv", kept.map(|line| format!("{line}\n")).collect::<String>());
    sandbox.mdctl(&["backfill", "--as-of", "2013-03-01"]).expect_code(0);
    sandbox
}

/// The status of the one series at an instant, and the exit code of the check.
fn checked(sandbox: &Sandbox, as_of: &str) -> String {
    let output = sandbox.mdctl(&["staleness", "--json", "--as-of", as_of]);
    let json = output.expect_code(0).json();
    json["series"][0]["status"].as_str().expect("a status").to_owned()
}

#[test]
fn as_of_any_day_of_the_real_history_nothing_is_late() {
    let sandbox = apple(&[]);
    let days = [
        // Closed: a weekend, holidays, the attacks, a state funeral, the storm.
        "2009-01-19",
        "2009-05-25",
        "2010-04-02",
        "2012-01-02",
        "2001-09-11",
        "2001-09-14",
        "2004-06-11",
        "2007-01-02",
        "2012-10-29",
        "2012-10-30",
        "2012-12-25",
        "2011-01-01",
        // Early closes.
        "2009-11-27",
        "2012-07-03",
        "2012-12-24",
        "2003-12-26",
        // Clocks change, here and in London.
        "2010-03-14",
        "2010-03-28",
        "2010-10-31",
        "2010-11-07",
        "2012-02-29",
    ];
    for date in days {
        for hour in ["00:00:00", "13:00:00", "18:30:00", "23:59:59"] {
            let as_of = format!("{date}T{hour}Z");
            assert_eq!(checked(&sandbox, &as_of), "fresh", "{as_of}");
        }
    }
}

#[test]
fn a_lacking_session_is_noticed_on_its_own_day_and_not_before() {
    let sandbox = apple(&["2012-11-23"]);
    // The Friday after Thanksgiving closes at 18:00 UTC.
    let expected = [
        ("2012-11-23T17:59:59Z", "fresh"),
        ("2012-11-24T05:59:59Z", "fresh"),
        ("2012-11-24T06:00:00Z", "aging"),
        ("2012-11-25T00:00:00Z", "stale"),
        ("2012-11-26T20:59:59Z", "stale"),
        ("2012-11-26T21:00:00Z", "fresh"),
    ];
    for (as_of, status) in expected {
        assert_eq!(checked(&sandbox, as_of), status, "{as_of}");
    }
    let gaps = sandbox.mdctl(&["gaps", "--json", "--as-of", "2013-03-01"]).expect_code(0).json();
    assert_eq!(gaps["gaps"][0]["from"], "2012-11-23T00:00:00Z", "{gaps}");
}
