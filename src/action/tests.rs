//! Worked examples and properties.

use proptest::prelude::*;

use super::*;
use crate::calendar::{Calendar, Layout, Overrides};
use crate::domain::action::{Action, Factors};
use crate::domain::policy::Publication;

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn ts(text: &str) -> i64 {
    date(text).and_time(NaiveTime::MIN).and_utc().timestamp()
}

fn due() -> Due {
    Due {
        calendar: Calendar::named("XNYS", Overrides::default()).expect("a calendar"),
        layout: Layout::default(),
        publication: Publication::default(),
        delisted: None,
    }
}

fn fact(ex_date: &str, kind: ActionKind) -> ActionFact {
    ActionFact {
        action: Action { ex_date: date(ex_date), kind },
        provider: "p".to_owned(),
        status: ActionStatus::Pending,
        reason: None,
        decided: false,
        first_seen_at: 0,
    }
}

fn split(ex_date: &str, to: f64) -> ActionFact {
    fact(ex_date, ActionKind::Split { from: 1.0, to })
}

fn dividend(ex_date: &str, cash: f64) -> ActionFact {
    fact(ex_date, ActionKind::Dividend { cash, currency: None })
}

fn bar(day: &str, price: f64) -> Bar {
    Bar {
        ts: ts(day),
        open: price,
        high: price,
        low: price,
        close: price,
        volume: None,
        vwap: None,
        trades: None,
    }
}

/// What daily bars show of each action.
fn around(actions: &[ActionFact], bars: &[(&str, f64)]) -> Vec<Around> {
    let bars: Vec<Bar> = bars.iter().map(|(day, price)| bar(day, *price)).collect();
    let of = |fact: &ActionFact| {
        let at = bars
            .partition_point(|bar| bar.ts < holds_from(&due(), Timeframe::D1, fact.action.ex_date));
        let (before, after) = (at.checked_sub(1).map(|at| bars[at]), bars.get(at).copied());
        let missing = before.zip(after).map_or(0, |(before, after)| {
            sessions_between(&due(), Timeframe::D1, before.ts, after.ts)
        });
        Around { before, after, missing }
    };
    actions.iter().map(of).collect()
}

/// The words of the statuses.
fn stand(actions: &[ActionFact], bars: &[(&str, f64)]) -> Vec<&'static str> {
    stand_in(actions, bars, Adjustment::Raw)
}

fn stand_in(
    actions: &[ActionFact],
    bars: &[(&str, f64)],
    adjustment: Adjustment,
) -> Vec<&'static str> {
    let verdicts = judge(actions, &around(actions, bars), adjustment);
    verdicts.iter().map(|verdict| verdict.status.as_str()).collect()
}

fn factors_in(
    actions: &[ActionFact],
    bars: &[(&str, f64)],
    timeframe: Timeframe,
    adjustment: Adjustment,
) -> Factors {
    let around = around(actions, bars);
    let verdicts = judge(actions, &around, adjustment);
    factors(&effects(actions, &verdicts, &around, adjustment), &due(), timeframe, adjustment)
}

/// Friday, and the Monday of a split: 2024-03-08 and 2024-03-11.
const fn over_a_weekend(before: f64, after: f64) -> [(&'static str, f64); 2] {
    [("2024-03-08", before), ("2024-03-11", after)]
}

#[test]
fn bars_on_both_sides_show_a_split_or_contradict_it() {
    let of = |ratio, before, after| {
        stand(&[split("2024-03-11", ratio)], &over_a_weekend(before, after))[0]
    };
    assert_eq!(of(4.0, 400.0, 101.0), "applied");
    assert_eq!(of(0.1, 1.5, 14.0), "applied", "ten old ones for a new one");
    assert_eq!(of(0.05, 1.13, 19.7), "applied", "AIG, on a bad day");
    assert_eq!(of(1.25, 116.38, 92.94), "applied");
    assert_eq!(of(4.0, 400.0, 398.0), "disputed", "no jump at all");
    assert_eq!(of(4.0, 400.0, 201.0), "disputed", "a half, and a bit");
    assert_eq!(of(4.0, 400.0, 199.0), "disputed", "a half, and a bit less");
    assert_eq!(of(2.0, 400.0, 100.0), "disputed", "too little");
    assert_eq!(of(20.0, 700.0, 100.0), "disputed");
    assert_eq!(of(0.25, 400.0, 100.0), "disputed", "the wrong way round");
    assert_eq!(of(1.05, 400.0, 399.0), "applied", "too little to be proved");
    assert_eq!(of(0.9, 400.0, 400.0), "applied");
    assert_eq!(of(1e6, 400.0, 400.0), "disputed");
}

#[test]
fn a_bad_first_print_is_put_right_by_the_close() {
    let actions = [split("2024-03-11", 4.0)];
    let mut around = around(&actions, &over_a_weekend(400.0, 100.0));
    around[0].after = around[0].after.map(|bar| Bar { open: 400.0, ..bar });
    assert_eq!(judge(&actions, &around, Adjustment::Raw)[0].status, ActionStatus::Applied);
}

#[test]
fn what_bars_cannot_show_is_applied_as_it_was_told() {
    let bars = over_a_weekend(400.0, 100.0);
    assert_eq!(stand(&[split("2024-03-12", 3.0)], &bars), ["pending"]);
    assert_eq!(stand(&[split("2024-03-12", 3.0)], &[]), ["pending"]);
    assert_eq!(stand(&[split("2024-03-08", 3.0)], &bars), ["applied"], "before the first bar");
    assert_eq!(stand_in(&[split("2024-03-11", 3.0)], &bars, Adjustment::Splits), ["applied"]);
}

#[test]
fn a_hole_can_prove_a_split_and_not_disprove_it() {
    let of =
        |price| stand(&[split("2024-03-11", 4.0)], &[("2024-02-01", 400.0), ("2024-03-11", price)]);
    assert_eq!(of(100.0), ["applied"]);
    assert_eq!(of(190.0), ["applied"], "much may happen in a month");
    assert_eq!(of(390.0), ["pending"]);
    let near = stand(&[split("2024-03-11", 4.0)], &[("2024-03-06", 400.0), ("2024-03-11", 390.0)]);
    assert_eq!(near, ["disputed"], "two sessions are no hole");
}

#[test]
fn one_jump_is_one_split() {
    let bars = over_a_weekend(400.0, 101.0);
    let same_date = [split("2024-03-11", 5.0), split("2024-03-11", 4.0)];
    assert_eq!(stand(&same_date, &bars), ["disputed", "applied"]);
    let same_ratio =
        [split("2024-03-11", 4.0), fact("2024-03-11", ActionKind::Split { from: 2.0, to: 8.0 })];
    assert_eq!(stand(&same_ratio, &bars), ["applied", "disputed"]);
    // On the Saturday, and a session early.
    let weekend = [split("2024-03-09", 4.0), split("2024-03-11", 4.0)];
    assert_eq!(stand(&weekend, &bars), ["applied", "disputed"]);
    let days = [("2024-03-07", 399.0), ("2024-03-08", 400.0), ("2024-03-11", 101.0)];
    let early = [split("2024-03-08", 4.0), split("2024-03-11", 4.0)];
    assert_eq!(stand(&early, &days), ["disputed", "applied"]);
    let late = [split("2024-03-11", 4.0), split("2024-03-12", 4.0)];
    assert_eq!(stand(&late, &bars), ["applied", "disputed"], "though it has no bar yet");
    let to_come = [split("2024-04-01", 4.0), split("2024-04-02", 4.0)];
    assert_eq!(stand(&to_come, &bars), ["pending", "disputed"]);
    let two = [split("2024-04-01", 4.0), split("2024-09-02", 4.0)];
    assert_eq!(stand(&two, &bars), ["pending", "pending"], "months apart they are two");
}

#[test]
fn two_jumps_are_two_splits() {
    let bars = [("2024-03-07", 800.0), ("2024-03-08", 400.0), ("2024-03-11", 200.0)];
    let both = [split("2024-03-08", 2.0), split("2024-03-11", 2.0)];
    assert_eq!(stand(&both, &bars), ["applied", "applied"]);
}

#[test]
fn what_a_person_decided_stays_and_the_others_make_way() {
    let decided = |status, fact: ActionFact| ActionFact { status, decided: true, ..fact };
    let bars = over_a_weekend(400.0, 101.0);
    let accepted = decided(ActionStatus::Applied, split("2024-03-11", 5.0));
    let both = [split("2024-03-11", 4.0), accepted];
    assert_eq!(stand(&both, &bars), ["disputed", "applied"]);
    let rejected = decided(ActionStatus::Rejected, split("2024-03-11", 4.0));
    let both = [rejected, split("2024-03-11", 5.0)];
    assert_eq!(stand(&both, &bars), ["rejected", "applied"]);
}

#[test]
fn a_dividend_is_applied_with_the_first_bar_without_it() {
    let bars = over_a_weekend(100.0, 99.0);
    assert_eq!(stand(&[dividend("2024-03-11", 1.0)], &bars), ["applied"]);
    assert_eq!(stand(&[dividend("2024-03-12", 1.0)], &bars), ["pending"]);
    assert_eq!(stand(&[dividend("2024-03-01", 1.0)], &bars), ["applied"]);
    assert_eq!(stand(&[dividend("2024-03-11", 100.0)], &bars), ["disputed"]);
    let of = |actions: &[ActionFact]| {
        factors_in(actions, &bars, Timeframe::D1, Adjustment::Raw).at(ts("2024-03-08"))
    };
    assert_eq!(of(&[dividend("2024-03-11", 1.0)]), (1.0, 0.99));
    assert_eq!(of(&[dividend("2024-03-12", 1.0)]), (1.0, 1.0), "its price is not known yet");
    assert_eq!(of(&[dividend("2024-03-01", 1.0)]), (1.0, 1.0), "nor what it was then");
    assert_eq!(of(&[dividend("2024-03-11", 100.0)]), (1.0, 1.0));
}

#[test]
fn cash_and_price_are_of_the_same_shares() {
    let bars = over_a_weekend(400.0, 99.0);
    // 1 of a share that cost 100 by then.
    let both = [split("2024-03-11", 4.0), dividend("2024-03-11", 1.0)];
    let raw = factors_in(&both, &bars, Timeframe::D1, Adjustment::Raw);
    assert_eq!(raw.at(ts("2024-03-08")), (0.25, 0.25 * 0.99));
    // A provider that had applied the later split says 100 where 400 were paid: 4 were 1 of today.
    let later = [dividend("2024-03-08", 4.0), split("2024-03-11", 4.0)];
    let days = [("2024-03-07", 100.0), ("2024-03-08", 99.0), ("2024-03-11", 99.0)];
    let adjusted = factors_in(&later, &days, Timeframe::D1, Adjustment::Splits);
    assert_eq!(adjusted.at(ts("2024-03-07")), (1.0, 0.99), "the split is in the prices already");
    let all = factors_in(&later, &days, Timeframe::D1, Adjustment::All);
    assert_eq!(all, Factors::default());
}

#[test]
fn a_factor_ends_where_the_ex_date_begins() {
    let bars = over_a_weekend(400.0, 100.0);
    let ends = |ex_date: &str, timeframe| {
        let factors = factors_in(&[split(ex_date, 4.0)], &bars, timeframe, Adjustment::Raw);
        factors.steps()[0].until_ts
    };
    assert_eq!(ends("2024-03-11", Timeframe::D1), ts("2024-03-11"));
    // New York set its clocks forward on the Sunday.
    assert_eq!(ends("2024-03-11", Timeframe::H1), ts("2024-03-11") + 4 * 3_600);
    assert_eq!(ends("2024-03-08", Timeframe::M5), ts("2024-03-08") + 5 * 3_600);
    assert_eq!(ends("2024-03-11", Timeframe::W1), ts("2024-03-11"));
    assert_eq!(ends("2024-03-13", Timeframe::W1), ts("2024-03-11"), "told in shares of its end");
    assert_eq!(ends("2024-03-16", Timeframe::W1), ts("2024-03-18"), "a Saturday");
    assert_eq!(ends("2024-03-29", Timeframe::W1), ts("2024-04-01"), "Good Friday");
}

/// A day of 2024.
fn day_of_2024(day: u32) -> NaiveDate {
    NaiveDate::from_yo_opt(2024, day).expect("a day")
}

proptest! {
    /// A bar's factor is the product of all that came after it, in whatever order they were told.
    #[test]
    fn factors_are_products(
        told in prop::collection::vec((1_u32..365, 0.2_f64..5.0, 0.5_f64..1.0), 0..12),
        order in any::<u64>(),
        day in 1_u32..366,
    ) {
        let effect = |(day, split, dividend): &(u32, f64, f64)| Effect {
            ex_date: day_of_2024(*day),
            split: *split,
            dividend: *dividend,
            seen: true,
            before_ts: None,
        };
        let effects: Vec<Effect> = told.iter().map(effect).collect();
        let made = factors(&effects, &due(), Timeframe::D1, Adjustment::Raw);
        let later = || told.iter().filter(|(ex, _, _)| *ex > day);
        let at = day_of_2024(day).and_time(NaiveTime::MIN).and_utc().timestamp();
        let (split, total) = made.at(at);
        let expected: f64 = later().map(|(_, split, _)| split).product();
        prop_assert!((split / expected - 1.0).abs() < 1e-12);
        let expected: f64 = later().map(|(_, split, dividend)| split * dividend).product();
        prop_assert!((total / expected - 1.0).abs() < 1e-12);

        let mut shuffled = effects;
        let len = shuffled.len().max(1);
        shuffled.rotate_left(usize::try_from(order % len as u64).expect("an index"));
        if order % 2 == 0 {
            shuffled.reverse();
        }
        prop_assert_eq!(factors(&shuffled, &due(), Timeframe::D1, Adjustment::Raw), made);
    }
}
