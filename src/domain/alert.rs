//! What is watched, how bad it is when it fires, and who is told.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::enum_words::enum_words;
use super::words::instant;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It wants a look.
    Warning,
    /// It wants it now.
    Critical,
}

enum_words!(Severity, "severity", { Warning => "warning", Critical => "critical" });

/// A condition that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, by which it is switched off and snoozed.
    pub name: String,
    /// What is looked at: a path into the health, metrics, quality or slo document, as in
    /// `last_run.failed`. A step through a list looks at each of its elements.
    pub field: String,
    /// When it fires.
    pub test: Test,
    /// How long the test must have held before it fires.
    pub hold: Duration,
    /// How bad that is; `None` where each element of the document says it itself.
    pub severity: Option<Severity>,
}

/// What a value is held against.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Fires on a larger number.
    Above(f64),
    /// Fires on a smaller number.
    Below(f64),
    /// Fires on this text.
    EqualsText(String),
    /// Fires on this number.
    EqualsNumber(f64),
    /// Fires on this truth.
    EqualsTruth(bool),
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above(bound) => write!(f, "above {bound}"),
            Self::Below(bound) => write!(f, "below {bound}"),
            Self::EqualsText(text) => write!(f, "equals {text}"),
            Self::EqualsNumber(number) => write!(f, "equals {number}"),
            Self::EqualsTruth(truth) => write!(f, "equals {truth}"),
        }
    }
}

/// What is remembered from one `alerts --notify` to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Of each rule whose test held: since when.
    pub held: BTreeMap<String, i64>,
    /// Of each rule that somebody snoozed: the last snooze, also one that has ended.
    pub snoozes: BTreeMap<String, Snooze>,
    /// Of each notifier, by rule: what it has been told and is to be told the end of.
    pub told: BTreeMap<String, BTreeMap<String, Told>>,
    /// The notifiers that could not be told something, by name.
    pub unsent: BTreeMap<String, Unsent>,
}

impl Memory {
    /// The snooze of a rule that is on at `now`.
    #[must_use]
    pub fn snooze_at(&self, rule: &str, now: i64) -> Option<&Snooze> {
        self.snoozes.get(rule).filter(|snooze| snooze.until > now)
    }
}

/// An alert that nobody is told of for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snooze {
    /// The rule's name.
    pub rule: String,
    /// When it was ordered, epoch seconds UTC.
    pub since: i64,
    /// The first instant after it, epoch seconds UTC.
    pub until: i64,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub who: String,
}

/// `until 2024-03-15T20:00:00Z, by alice: the plan is being raised`.
impl fmt::Display for Snooze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "until {}, by {}: {}", instant(self.until), self.who, self.reason)
    }
}

/// What a notifier has been told of an alert, once it has taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How bad it was, or has become better since.
    pub severity: Severity,
    /// How many it was about.
    pub count: u64,
    /// Since when it fired, epoch seconds UTC.
    pub since: i64,
    /// When it was told, epoch seconds UTC; 0 while nobody knows whether it came, so that its end is told in
    /// any case.
    pub at: i64,
}

impl Told {
    /// Whether the notifier has taken it.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        self.at > 0
    }
}

/// A notifier that could not be told something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Its name.
    pub notifier: String,
    /// Since when, epoch seconds UTC.
    pub since: i64,
    /// How many changes wait for it.
    pub changes: u64,
    /// Why, at the last try.
    pub error: String,
}

/// What service is promised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objectives {
    /// The share of runs that succeed, 0..100.
    pub run_success_rate: f64,
    /// 99 of a hundred requests take no longer.
    pub fetch_p99: Duration,
    /// How soon due bars are stored.
    pub detection: Detection,
    /// Recovery point: the largest lag of a series.
    pub rpo: Duration,
    /// Recovery time: from the first failed run to the next success.
    pub rto: Duration,
    /// The time over which all of it is judged.
    pub window: Duration,
}

/// How soon due bars are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// So many of a hundred …
    pub share: f64,
    /// … within this time of the run that could first fetch them.
    pub within: Duration,
}
