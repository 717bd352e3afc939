//! Corporate actions: splits and dividends, and the factors by which they change older bars.

use std::fmt;

use chrono::NaiveDate;

use super::bar::Bar;
use super::enum_words::enum_words;

/// A split or a dividend, as a provider declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The first session whose prices are the new ones.
    pub ex_date: NaiveDate,
    /// What happened.
    pub kind: ActionKind,
}

/// What happened to a share.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionKind {
    /// `from` old shares became `to` new ones; both above 0. 4 for 1: from 1, to 4.
    Split {
        /// Old shares.
        from: f64,
        /// New shares.
        to: f64,
    },
    /// Cash was paid.
    Dividend {
        /// A share, in the shares of the ex date; above 0.
        cash: f64,
        /// The money; `None` when the provider does not say.
        currency: Option<String>,
    },
}

impl ActionKind {
    /// Its word in tables and JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Split { .. } => "split",
            Self::Dividend { .. } => "dividend",
        }
    }
}

/// `split 4:1`, new shares for old ones; `dividend 0.82 USD`.
impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split { from, to } => write!(f, "split {to}:{from}"),
            Self::Dividend { cash, currency: Some(currency) } => {
                write!(f, "dividend {cash} {currency}")
            }
            Self::Dividend { cash, currency: None } => write!(f, "dividend {cash}"),
        }
    }
}

/// How an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionStatus {
    /// The bars show it, or a person accepted it: it is in the factors.
    Applied,
    /// The bars cannot show it yet: it is in the factors, as declared.
    Pending,
    /// The bars contradict it: it is not in the factors until a person accepts it.
    Disputed,
    /// A person rejected it.
    Rejected,
}

enum_words!(ActionStatus, "status of an action", {
    Applied => "applied", Pending => "pending", Disputed => "disputed", Rejected => "rejected",
});

impl ActionStatus {
    /// Whether the action is in the factors.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Applied | Self::Pending)
    }
}

/// A row of `corporate_actions`.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionFact {
    /// What was declared.
    pub action: Action,
    /// The provider's name in the config.
    pub provider: String,
    /// How it stands.
    pub status: ActionStatus,
    /// What speaks against it, or why it was decided so.
    pub reason: Option<String>,
    /// Whether a person has decided: the bars do not count any more.
    pub decided: bool,
    /// When it was first told of, epoch seconds UTC.
    pub first_seen_at: i64,
}

/// The factors of the bars before a `ts`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// They hold for bars before this `ts`, and not before that of the step before.
    pub until_ts: i64,
    /// Splits alone.
    pub split: f64,
    /// Splits and cash dividends.
    pub total: f64,
}

/// What actions do to the bars of a series, in prices and shares of today.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Factors(Vec<Step>);

impl Factors {
    /// The factors of those steps, which ascend by `until_ts`.
    #[must_use]
    pub fn new(steps: Vec<Step>) -> Self {
        debug_assert!(steps.is_sorted_by(|a, b| a.until_ts < b.until_ts));
        Self(steps)
    }

    /// The steps, ascending.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The factors of the bar of `ts`: of splits alone, and of splits and cash dividends.
    #[must_use]
    pub fn at(&self, ts: i64) -> (f64, f64) {
        let next = self.0.partition_point(|step| step.until_ts <= ts);
        self.0.get(next).map_or((1.0, 1.0), |step| (step.split, step.total))
    }

    /// The factors that led to shares of a day whose own are `split` and `total`, for bars up to then: as
    /// of that day nobody had seen what came later.
    #[must_use]
    pub fn up_to(&self, (split, total): (f64, f64)) -> Self {
        let steps = self.0.iter().map(|step| Step {
            split: step.split / split,
            total: step.total / total,
            ..*step
        });
        Self(steps.collect())
    }

    /// The close of the bar of `ts` in shares of today.
    #[must_use]
    pub fn adjusted_close(&self, ts: i64, close: f64) -> f64 {
        close * self.at(ts).0
    }

    /// `bar` in shares of today.
    #[must_use]
    pub fn adjusted(&self, bar: &Bar) -> Bar {
        let (split, _) = self.at(bar.ts);
        if split == 1.0 {
            return *bar;
        }
        scaled(bar, split)
    }
}

/// `bar` with its prices times `factor`, and its volume by it.
#[must_use]
pub fn scaled(bar: &Bar, factor: f64) -> Bar {
    Bar {
        open: bar.open * factor,
        high: bar.high * factor,
        low: bar.low * factor,
        close: bar.close * factor,
        volume: bar.volume.map(|volume| volume / factor),
        vwap: bar.vwap.map(|vwap| vwap * factor),
        ..*bar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_for_the_bars_before_it() {
        let step = |until_ts, split| Step { until_ts, split, total: split / 2.0 };
        let factors = Factors::new(vec![step(10, 0.25), step(20, 0.5)]);
        let of = |ts| factors.at(ts);
        assert_eq!(
            [of(9), of(10), of(19), of(20)],
            [(0.25, 0.125), (0.5, 0.25), (0.5, 0.25), (1.0, 1.0)]
        );
    }

    #[test]
    fn what_came_later_was_not_seen() {
        let step = |until_ts, split| Step { until_ts, split, total: split / 2.0 };
        let factors = Factors::new(vec![step(10, 0.25), step(20, 0.5)]);
        assert_eq!(factors.up_to(factors.at(20)), factors);
        let then = factors.up_to(factors.at(19));
        assert_eq!([then.at(9), then.at(19)], [(0.5, 0.5), (1.0, 1.0)]);
        assert_eq!(factors.up_to(factors.at(9)).at(9), (1.0, 1.0));
    }

    #[test]
    fn an_action_says_what_it_is() {
        let words = |kind: ActionKind| kind.to_string();
        assert_eq!(words(ActionKind::Split { from: 1.0, to: 4.0 }), "split 4:1");
        assert_eq!(words(ActionKind::Split { from: 1.0, to: 1.5 }), "split 1.5:1");
        let dividend = |currency| words(ActionKind::Dividend { cash: 0.82, currency });
        assert_eq!(dividend(Some("USD".to_owned())), "dividend 0.82 USD");
        assert_eq!(dividend(None), "dividend 0.82");
    }
}
