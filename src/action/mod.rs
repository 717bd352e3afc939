//! Corporate actions held against the bars: which of them are true, and what they do to older bars.
//! Pure.
//!
//! A split is true when the bars on both sides of its ex date show it: once the split is taken out of
//! the jump between them, what is left must be small, as a day of trade goes. Three bounds make that
//! precise. What is left must be less than the jump itself, by logarithm, so that the jump is nearer to
//! the split than to none. It must be below `MOST_LEFT` either way: "2:1" is not what happened where
//! prices fell to a quarter, nor is "4:1" where they fell to a half. And the bars must be neighbours:
//! across a hole of more than `MOST_MISSING` sessions they may prove a split, and never disprove it.
//!
//! One jump is one split. Of those that are told of the same one only the best counts, by this order:
//! the one that a person accepted, the one that the bars show best, the one that was told first.

use chrono::{NaiveDate, NaiveTime};

use crate::calendar::due::Due;
use crate::domain::action::{ActionFact, ActionKind, ActionStatus};
use crate::domain::bar::{Adjustment, Bar};
use crate::domain::range::TimeRange;
use crate::domain::time::{midnight, week_start};
use crate::domain::timeframe::{DAY, Timeframe};

mod effect;
#[cfg(test)]
mod tests;

pub use effect::{Effect, effects, factors};

/// How far a price may move over a split's night besides it: to as many times, or to such a part.
const MOST_LEFT: f64 = 1.5;

/// Sessions without a bar between two bars that still say what happened between them.
const MOST_MISSING: u64 = 3;

/// So near to 1 a split is no more than a day's move: no bar can prove it.
const UNPROVABLE: f64 = 0.1;

/// No share was ever split further than that.
const BEYOND_BELIEF: f64 = 100_000.0;

/// Ex dates so far apart, in days, may be one split's, told differently.
const SAME_SPLIT: i64 = 7;

/// The bars around an ex date.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Around {
    /// The last bar before it; `None` when all bars come later, or there is none.
    pub before: Option<Bar>,
    /// The first bar from it on; `None` when there is none yet.
    pub after: Option<Bar>,
    /// Sessions between the two that have no bar.
    pub missing: u64,
}

/// How an action stands by the bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How.
    pub status: ActionStatus,
    /// What speaks against it, or why nothing can be told; `None` when all is well.
    pub reason: Option<String>,
}

impl Verdict {
    const fn plain(status: ActionStatus) -> Self {
        Self { status, reason: None }
    }

    const fn disputed(reason: String) -> Self {
        Self { status: ActionStatus::Disputed, reason: Some(reason) }
    }
}

/// When an action begins to hold in a series: the `ts` of its first bar in new shares.
///
/// `1d`: the ex date. Intraday: its midnight where the market is. `1w`: the Monday of the first session
/// from it on; a week is told in the shares of its end.
#[must_use]
pub fn holds_from(due: &Due, timeframe: Timeframe, ex_date: NaiveDate) -> i64 {
    let date = midnight(ex_date);
    match timeframe {
        Timeframe::D1 => date,
        Timeframe::W1 => {
            let session = due.calendar.first_from(Timeframe::D1, due.layout, date);
            let session = session.map_or(date, |window| window.ts);
            week_start(session)
        }
        _ => due.calendar.zone().earliest(ex_date.and_time(NaiveTime::MIN)).unwrap_or(date),
    }
}

/// Sessions between two bars of a series of which neither is a part.
#[must_use]
pub fn sessions_between(due: &Due, timeframe: Timeframe, before: i64, after: i64) -> u64 {
    let day = |ts: i64| match due.calendar.zone().date(ts) {
        Some(date) if timeframe.is_intraday() => midnight(date),
        _ => ts,
    };
    let between = TimeRange::new(day(before).saturating_add(DAY), day(after));
    due.calendar.count(Timeframe::D1, due.layout, between)
}

/// Judges the actions of a symbol by the bars `around` each of them, which are of a series whose prices
/// contain `adjustment`. What a person decided stays as it is.
#[must_use]
pub fn judge(actions: &[ActionFact], around: &[Around], adjustment: Adjustment) -> Vec<Verdict> {
    let sights: Vec<Option<Sight>> = actions
        .iter()
        .zip(around)
        .map(|(fact, around)| Some(sight(ratio(&fact.action.kind)?, around, adjustment)))
        .collect();
    let mut verdicts: Vec<Verdict> = actions
        .iter()
        .zip(&sights)
        .map(|(fact, sight)| match sight {
            _ if fact.decided => Verdict { status: fact.status, reason: fact.reason.clone() },
            Some(sight) => sight.verdict(),
            // Dividends come last: what they are worth depends on the splits.
            None => Verdict::plain(ActionStatus::Pending),
        })
        .collect();
    for (loser, winner) in rivals(actions, around, &sights) {
        let ActionFact { action, .. } = &actions[winner];
        let best = format!("{} of {}", action.kind, action.ex_date);
        verdicts[loser] =
            Verdict::disputed(format!("told twice: {best} is the one that is applied"));
    }
    let splits = effects(actions, &verdicts, around, adjustment);
    for (index, fact) in actions.iter().enumerate().filter(|(_, fact)| !fact.decided) {
        if let ActionKind::Dividend { cash, .. } = fact.action.kind {
            let price = effect::cash_price(fact, &around[index], &splits, adjustment);
            verdicts[index] = dividend(cash, &around[index], price);
        }
    }
    verdicts
}

/// New shares for one old; `None` for what is no split.
fn ratio(kind: &ActionKind) -> Option<f64> {
    match kind {
        ActionKind::Split { from, to } => Some(to / from),
        ActionKind::Dividend { .. } => None,
    }
}

/// What the bars say of a split.
enum Sight {
    /// They show it; what is left of the jump without it, by logarithm, either way.
    Shown(f64),
    /// They can neither show nor contradict it, and never will.
    Unproved,
    /// They cannot show it yet; why, where that is not plain.
    Pending(Option<String>),
    /// They contradict it; how.
    Contradicted(String),
}

impl Sight {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Shown(_) | Self::Unproved => Verdict::plain(ActionStatus::Applied),
            Self::Pending(reason) => {
                Verdict { status: ActionStatus::Pending, reason: reason.clone() }
            }
            Self::Contradicted(reason) => Verdict::disputed(reason.clone()),
        }
    }
}

/// What the bars `around` it say of a split of that ratio.
fn sight(ratio: f64, around: &Around, adjustment: Adjustment) -> Sight {
    if !(1.0 / BEYOND_BELIEF..=BEYOND_BELIEF).contains(&ratio) {
        return Sight::Contradicted("no share was ever split so far".to_owned());
    }
    let (before, after) = match (&around.before, &around.after) {
        (_, None) => return Sight::Pending(None),
        (None, Some(_)) => return Sight::Unproved,
        (Some(before), Some(after)) => (before, after),
    };
    if adjustment != Adjustment::Raw || (ratio - 1.0).abs() <= UNPROVABLE + 1e-9 {
        return Sight::Unproved;
    }
    let left = |price: &f64| (before.close / price / ratio).ln().abs();
    // A first print may be a bad one, and be put right by the close.
    let price = if left(&after.close) < left(&after.open) { after.close } else { after.open };
    let (left, jump) = (left(&price), (before.close / price).ln().abs());
    let nearer = left < jump;
    if nearer && (left < MOST_LEFT.ln() || around.missing > MOST_MISSING) {
        return Sight::Shown(left);
    }
    if around.missing > MOST_MISSING {
        let missing = around.missing;
        return Sight::Pending(Some(format!("{missing} sessions around it have no bar")));
    }
    Sight::Contradicted(format!(
        "the price went from {} to {}; after this split it would be about {}",
        short(before.close),
        short(price),
        short(before.close / ratio)
    ))
}

/// A price to be read: five digits tell enough.
fn short(price: f64) -> f64 {
    format!("{price:.4e}").parse().unwrap_or(price)
}

/// Splits that are told of a jump which is another one's: each with that one.
fn rivals(
    actions: &[ActionFact],
    around: &[Around],
    sights: &[Option<Sight>],
) -> Vec<(usize, usize)> {
    let is_accepted = |index: usize| actions[index].decided && actions[index].status.counts();
    let rank = |index: usize| match &sights[index] {
        _ if is_accepted(index) => Some((0, 0.0)),
        _ if actions[index].decided => None,
        Some(Sight::Shown(left)) => Some((1, *left)),
        Some(Sight::Unproved | Sight::Pending(_)) => Some((2, 0.0)),
        // These are out anyway, and say why.
        Some(Sight::Contradicted(_)) | None => None,
    };
    let mut ranked: Vec<_> = (0..actions.len())
        .filter(|index| sights[*index].is_some())
        .filter_map(|index| Some((rank(index)?, index)))
        .collect();
    ranked.sort_by(|((a, left_a), at), ((b, left_b), bt)| {
        let told = |index: &usize| (actions[*index].first_seen_at, *index);
        a.cmp(b).then(left_a.total_cmp(left_b)).then(told(at).cmp(&told(bt)))
    });
    let mut counted: Vec<usize> = Vec::new();
    let mut lost = Vec::new();
    for (_, index) in ranked {
        let is_one = |other: &&usize| is_one_jump((actions, around, sights), index, **other);
        match counted.iter().find(is_one).filter(|_| !is_accepted(index)) {
            Some(winner) => lost.push((index, *winner)),
            None => counted.push(index),
        }
    }
    lost
}

/// Whether two splits are told of one jump.
fn is_one_jump(
    (actions, around, sights): (&[ActionFact], &[Around], &[Option<Sight>]),
    one: usize,
    other: usize,
) -> bool {
    let (a, b) = (&actions[one].action, &actions[other].action);
    if (a.ex_date - b.ex_date).num_days().abs() > SAME_SPLIT {
        return false;
    }
    let place = |index: usize| {
        let Around { before, after, .. } = &around[index];
        before.zip(*after).map(|(before, after)| (before.ts, after.ts))
    };
    let same_place = place(one).is_some_and(|place_of_one| place(other) == Some(place_of_one));
    let shown = |index: usize| matches!(sights[index], Some(Sight::Shown(_)));
    let same_ratio = ratio(&a.kind)
        .zip(ratio(&b.kind))
        .is_some_and(|(one, other)| (one / other - 1.0).abs() < 1e-9);
    a.ex_date == b.ex_date || same_place || (same_ratio && !(shown(one) && shown(other)))
}

/// How a dividend of `cash` stands, where a share was worth `price` before it.
fn dividend(cash: f64, around: &Around, price: Option<f64>) -> Verdict {
    match price {
        _ if around.after.is_none() => Verdict::plain(ActionStatus::Pending),
        Some(price) if cash >= price => Verdict::disputed(format!(
            "it is more than a share was worth, {} before the ex date",
            short(price)
        )),
        _ => Verdict::plain(ActionStatus::Applied),
    }
}
