//! What actions do to older bars: each one's effect, and the factors of a series that follow.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::calendar::due::Due;
use crate::domain::action::{ActionFact, ActionKind, Factors, Step};
use crate::domain::bar::{Adjustment, Bar};
use crate::domain::timeframe::Timeframe;

use super::{Around, Verdict, holds_from};

/// What one action does to a price before its ex date: it is to be multiplied by this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// From this session on, prices are as they are.
    pub ex_date: NaiveDate,
    /// By a split; 1 for a dividend.
    pub split: f64,
    /// By a dividend; 1 for a split.
    pub dividend: f64,
    /// Whether bars from the ex date on are there.
    pub(super) seen: bool,
    /// The `ts` of the last bar before it.
    pub(super) before_ts: Option<i64>,
}

/// The effects of those actions that count by their `verdicts`. A dividend has one once a bar before
/// it and one from the ex date on are there: else the price that it is a part of is not known. Where sessions
/// before it are lacking, that price is the last one stored.
#[must_use]
pub fn effects(
    actions: &[ActionFact],
    verdicts: &[Verdict],
    around: &[Around],
    adjustment: Adjustment,
) -> Vec<Effect> {
    let counted = || {
        let all = actions.iter().zip(verdicts).zip(around);
        all.filter(|((_, verdict), _)| verdict.status.counts())
            .map(|((fact, _), around)| (fact, around))
    };
    let splits = counted().filter_map(|(fact, around)| match fact.action.kind {
        ActionKind::Split { from, to } => effect(fact, around, from / to, 1.0),
        ActionKind::Dividend { .. } => None,
    });
    let mut effects: Vec<Effect> = splits.collect();
    let dividends = counted().filter_map(|(fact, around)| {
        let ActionKind::Dividend { cash, .. } = fact.action.kind else { return None };
        around.after?;
        let price = cash_price(fact, around, &effects, adjustment)?;
        effect(fact, around, 1.0, 1.0 - cash / price)
    });
    let dividends: Vec<Effect> = dividends.collect();
    effects.extend(dividends);
    effects
}

/// An effect that multiplies by numbers above zero.
fn effect(fact: &ActionFact, around: &Around, split: f64, dividend: f64) -> Option<Effect> {
    let is_sound = |factor: f64| factor.is_normal() && factor > 0.0;
    (is_sound(split) && is_sound(dividend)).then(|| Effect {
        ex_date: fact.action.ex_date,
        split,
        dividend,
        seen: around.after.is_some(),
        before_ts: around.before.map(|bar| bar.ts),
    })
}

/// What a share cost before it went without its dividend, in the shares that the cash is told in;
/// `None` when that is not known.
pub(super) fn cash_price(
    dividend: &ActionFact,
    around: &Around,
    splits: &[Effect],
    adjustment: Adjustment,
) -> Option<f64> {
    let Bar { ts, close, .. } = around.before?;
    let ex_date = dividend.action.ex_date;
    let product = |of: &dyn Fn(&Effect) -> bool| -> f64 {
        splits.iter().filter(|effect| of(effect)).map(|effect| effect.split).product()
    };
    match adjustment {
        // A share that was split on the way is worth less by then.
        Adjustment::Raw => {
            let on_the_way =
                |split: &Effect| split.ex_date <= ex_date && split.before_ts == Some(ts);
            Some(close * product(&on_the_way))
        }
        // The close is in shares of today, the cash in those of its day.
        Adjustment::Splits => {
            let later = |split: &Effect| split.ex_date > ex_date && split.seen;
            Some(close / product(&later))
        }
        Adjustment::All => None,
    }
}

/// The factors of a series whose prices contain `adjustment`, of the effects of all actions.
#[must_use]
pub fn factors(
    effects: &[Effect],
    due: &Due,
    timeframe: Timeframe,
    adjustment: Adjustment,
) -> Factors {
    if adjustment == Adjustment::All {
        return Factors::default();
    }
    let mut by_ts: BTreeMap<i64, Vec<(f64, f64)>> = BTreeMap::new();
    for effect in effects {
        let split = if adjustment == Adjustment::Raw { effect.split } else { 1.0 };
        let until_ts = holds_from(due, timeframe, effect.ex_date);
        by_ts.entry(until_ts).or_default().push((split, effect.dividend));
    }
    let mut steps: Vec<Step> = Vec::new();
    let (mut split, mut total) = (1.0, 1.0);
    for (until_ts, mut together) in by_ts.into_iter().rev() {
        // In whatever order they were told, the last digit is the same.
        together.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let before = (split, total);
        for (by_split, by_dividend) in together {
            split *= by_split;
            total *= by_split * by_dividend;
        }
        if (split, total) != before && split.is_normal() && total.is_normal() {
            steps.push(Step { until_ts, split, total });
        }
    }
    steps.reverse();
    Factors::new(steps)
}
