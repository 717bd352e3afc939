//! Seeking and counting against a plain model, and hostile instants.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The windows of the sessions from `first` on, found by walking them one by one.
fn model(
    calendar: &Calendar,
    timeframe: Timeframe,
    layout: Layout,
    first: NaiveDate,
    days: usize,
) -> Vec<Window> {
    let mut windows = BTreeMap::new();
    for session in first.iter_days().take(days).filter_map(|day| calendar.session(day)) {
        for (ts, close_at) in cut(calendar, timeframe, layout, session) {
            let close = windows.entry(ts).or_insert(close_at);
            *close = close_at.max(*close);
        }
    }
    windows.into_iter().map(|(ts, close_at)| Window { ts, close_at }).collect()
}

/// What one session alone gives: labels and closes.
fn cut(
    calendar: &Calendar,
    timeframe: Timeframe,
    layout: Layout,
    session: Session,
) -> Vec<(i64, i64)> {
    let day_end = match layout.day {
        DayEnd::Session => session.close,
        DayEnd::Utc => midnight(session.date) + DAY,
    };
    match timeframe {
        Timeframe::D1 => return vec![(midnight(session.date), day_end)],
        Timeframe::W1 => return vec![(week_start(midnight(session.date)), day_end)],
        _ => {}
    }
    let length = timeframe.seconds();
    let lunch = session.lunch.unwrap_or(TimeRange::new(session.close, session.close));
    let mut windows = Vec::new();
    for (open, close) in [(session.open, lunch.start), (lunch.end, session.close)] {
        let counted = layout.intraday == Intraday::Session && calendar.has_sessions();
        let mut ts = if counted { open } else { open.div_euclid(length) * length };
        while open < close && ts < close {
            windows.push((ts, (ts + length).min(close)));
            ts += length;
        }
    }
    windows
}

fn calendars() -> impl Strategy<Value = Calendar> {
    let days = prop::collection::btree_set(0..70u64, 0..6);
    let early = prop::collection::btree_map(0..70u64, 0..1_440u32, 0..6);
    (prop::sample::select(Calendar::NAMES), days, early).prop_map(|(name, closed, early)| {
        let day = |after| date("2019-12-02") + chrono::Days::new(after);
        let time = |minute| NaiveTime::from_num_seconds_from_midnight_opt(minute * 60, 0).unwrap();
        let overrides = Overrides {
            closed: closed.into_iter().map(day).collect(),
            early: early.into_iter().map(|(after, minute)| (day(after), time(minute))).collect(),
        };
        Calendar::named(name, overrides).unwrap()
    })
}

fn layouts() -> impl Strategy<Value = Layout> {
    (
        prop::sample::select(vec![Intraday::Clock, Intraday::Session]),
        prop::sample::select(vec![DayEnd::Session, DayEnd::Utc]),
    )
        .prop_map(|(intraday, day)| Layout { intraday, day })
}

fn timeframes() -> impl Strategy<Value = Timeframe> {
    prop::sample::select(Timeframe::ALL.as_slice())
}

/// Mostly instants near full minutes around New Year 2020, some anywhere.
fn instants() -> impl Strategy<Value = i64> {
    let near = (instant("2019-12-09T00:00") / 60..instant("2020-01-27T00:00") / 60, -1..2i64);
    prop_oneof![
        8 => near.prop_map(|(minute, second)| minute * 60 + second),
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX]),
    ]
}

proptest! {
    #[test]
    fn windows_count_and_seeking_agree_with_a_plain_walk(
        calendar in calendars(),
        timeframe in timeframes(),
        layout in layouts(),
        minutes in prop::array::uniform2(0..10_080i64),
        offset in -1..2i64,
    ) {
        // The sessions modelled reach a fortnight further on both sides than what is asked.
        let all = model(&calendar, timeframe, layout, date("2019-12-02"), 63);
        let start = instant("2019-12-30T00:00") + minutes[0] * 60 + offset;
        let range = TimeRange::new(start, start + minutes[1] * 60);
        let wanted: Vec<Window> = all.iter().copied().filter(|w| range.contains(w.ts)).collect();
        let got: Vec<Window> = calendar.windows(timeframe, layout, range).collect();
        prop_assert_eq!(calendar.count(timeframe, layout, range), got.len() as u64);
        prop_assert_eq!(got, wanted);
        let first = all.iter().copied().find(|w| w.ts >= start);
        prop_assert_eq!(calendar.first_from(timeframe, layout, start), first);
        let last = all.iter().copied().rev().find(|w| w.close_at <= start);
        prop_assert_eq!(calendar.last_closed(timeframe, layout, start), last);
        let before = all.iter().copied().rev().find(|w| w.ts < start);
        prop_assert_eq!(calendar.last_before(timeframe, layout, start), before);
        let here = all.iter().find(|w| w.ts == start);
        prop_assert_eq!(calendar.in_session(timeframe, layout, start), here.is_some());
        let close_at = here.map_or(start + timeframe.seconds(), |w| w.close_at);
        prop_assert_eq!(calendar.close_at(timeframe, layout, start), close_at);
    }

    #[test]
    fn every_window_is_on_the_grid_and_open_where_it_should_be(
        calendar in calendars(),
        timeframe in timeframes(),
        layout in layouts(),
        day in 0..50i64,
    ) {
        let start = instant("2019-12-04T00:00") + day * DAY;
        for window in calendar.windows(timeframe, layout, TimeRange::new(start, start + 2 * DAY)) {
            prop_assert!(calendar.on_grid(timeframe, layout, window.ts));
            prop_assert!(window.ts < window.close_at);
            if timeframe.is_intraday() {
                prop_assert!(calendar.is_open(window.close_at - 1), "{window:?}");
            }
        }
    }

    #[test]
    fn whole_years_count_what_they_list_in_every_layout(
        name in prop::sample::select(Calendar::NAMES),
        timeframe in prop::sample::select(&Timeframe::ALL[3..]),
        year in 1960..2101i32,
    ) {
        let range = TimeRange::new(
            midnight(NaiveDate::from_ymd_opt(year, 1, 1).unwrap()) - 12 * DAY,
            midnight(NaiveDate::from_ymd_opt(year, 12, 31).unwrap()) + 12 * DAY,
        );
        let calendar = calendar(name);
        for layout in [CLOCK, OPEN, UTC_DAYS] {
            let windows: Vec<Window> = calendar.windows(timeframe, layout, range).collect();
            prop_assert_eq!(calendar.count(timeframe, layout, range), windows.len() as u64);
            for pair in windows.windows(2) {
                prop_assert!(pair[0].ts < pair[1].ts && pair[0].close_at < pair[1].close_at);
            }
        }
    }

    #[test]
    fn hostile_instants_are_answered(
        calendar in calendars(),
        timeframe in timeframes(),
        layout in layouts(),
        instants in prop::array::uniform2(instants()),
    ) {
        let [at, end] = instants;
        let range = TimeRange::new(at, end);
        let first = calendar.first_from(timeframe, layout, at);
        prop_assert!(first.is_none_or(|window| window.ts >= at));
        let last = calendar.last_closed(timeframe, layout, at);
        prop_assert!(last.is_none_or(|window| window.close_at <= at));
        let listed = calendar.windows(timeframe, layout, range).next();
        prop_assert_eq!(listed, first.filter(|window| window.ts < end));
        prop_assert_eq!(calendar.count(timeframe, layout, range) > 0, listed.is_some());
        let held = first.is_some_and(|window| window.ts == at);
        prop_assert_eq!(calendar.in_session(timeframe, layout, at), held);
        prop_assert!(calendar.close_at(timeframe, layout, at) >= at);
        let _ = (calendar.is_open(at), calendar.on_grid(timeframe, layout, at));
    }
}
