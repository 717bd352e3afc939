//! Alerts: which rules fire, judged by what the other reports' JSON documents say, and what of that is
//! news to whom.

use std::fmt;

use serde_json::Value;

use crate::domain::alert::{Memory, Rule, Severity, Test};
use crate::domain::time::seconds;

use super::health::Status;

mod changes;
mod document;
mod excerpt;
mod field;
#[cfg(test)]
mod tests;
mod words;

pub use changes::{Change, Changes, Delivery, Kind, changes};
pub use document::{Document, Documents};
pub use excerpt::excerpt;

use field::{Found, Hit, find};
use words::{about, hint, message};

/// Every rule and how it stands, the worst first.
#[derive(Debug)]
pub struct Report {
    /// One for each rule.
    pub alerts: Vec<Alert>,
}

/// A rule and how it stands.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The rule.
    pub rule: Rule,
    /// How it stands.
    pub verdict: Verdict,
    /// How bad it is, or would be; `None` when only what fires can say.
    pub severity: Option<Severity>,
    /// Since when its test holds, epoch seconds UTC; `None` when it does not.
    pub since: Option<i64>,
    /// How many series, providers or symbols it is about; 0 when its test does not hold.
    pub count: u64,
    /// Some of them, the worst first.
    pub subjects: Vec<String>,
    /// The worst value; null when its test does not hold on any.
    pub value: Value,
    /// What is wrong; empty when nothing is.
    pub message: String,
    /// Where to look, or what mends it; empty when nothing is wrong.
    pub hint: String,
    /// Until when nobody is told of it, epoch seconds UTC; `None` when it is not snoozed.
    pub snoozed_until: Option<i64>,
}

/// How a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its test does not hold.
    Quiet,
    /// Its test holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
    /// It looks at a field that there is not, or that its test cannot be held against.
    Unknown,
}

impl Verdict {
    /// Its word in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Alert {
    /// Whether it fires and somebody is to hear of it.
    #[must_use]
    pub const fn is_loud(&self) -> bool {
        matches!(self.verdict, Verdict::Firing) && self.snoozed_until.is_none()
    }

    /// Whether it fires and nobody is told.
    #[must_use]
    pub const fn is_snoozed(&self) -> bool {
        matches!(self.verdict, Verdict::Firing) && self.snoozed_until.is_some()
    }

    /// The smaller the worse.
    fn rank(&self) -> u8 {
        match (self.verdict, self.severity) {
            (Verdict::Firing, _) if self.snoozed_until.is_some() => 3,
            (Verdict::Firing, Some(Severity::Critical)) => 0,
            (Verdict::Firing, _) => 1,
            (Verdict::Unknown, _) => 2,
            (Verdict::Pending, _) => 4,
            (Verdict::Quiet, _) => 5,
        }
    }
}

impl Report {
    /// The alerts that fire and are not snoozed, the worst first.
    pub fn loud(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.is_loud())
    }

    /// The worst that fires; where none does and a rule cannot be judged, it cannot be told.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.loud().filter_map(|alert| alert.severity).max() {
            Some(Severity::Critical) => Status::Critical,
            Some(Severity::Warning) => Status::Degraded,
            None if self.alerts.iter().any(|alert| alert.verdict == Verdict::Unknown) => {
                Status::Unknown
            }
            None => Status::Healthy,
        }
    }

    /// All of it in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let status = self.status();
        let word = status.sign();
        let snoozed = self.alerts.iter().filter(|alert| alert.is_snoozed()).count();
        let snoozed = if snoozed == 0 { String::new() } else { format!(" ({snoozed} snoozed)") };
        let mut told: Vec<&Alert> = self.loud().collect();
        if told.is_empty() && status == Status::Unknown {
            told.extend(self.alerts.iter().filter(|alert| alert.verdict == Verdict::Unknown));
        }
        match told[..] {
            [] => format!("{word} - none of {} rules fires{snoozed}", self.alerts.len()),
            [one] => format!("{word} - {}: {}{snoozed}", one.rule.name, one.message),
            [first, ref rest @ ..] => {
                let (name, message) = (&first.rule.name, &first.message);
                format!("{word} - {name}: {message}; {} more{snoozed}", rest.len())
            }
        }
    }
}

/// Judges every rule at `now`.
#[must_use]
pub fn judge(rules: &[Rule], documents: &Documents, memory: &Memory, now: i64) -> Report {
    let mut alerts: Vec<Alert> =
        rules.iter().map(|rule| one(rule, documents, memory, now)).collect();
    alerts.sort_by_key(Alert::rank);
    Report { alerts }
}

fn one(rule: &Rule, documents: &Documents, memory: &Memory, now: i64) -> Alert {
    let snoozed = memory.snooze_at(&rule.name, now).map(|snooze| snooze.until);
    let quiet = Alert {
        rule: rule.clone(),
        verdict: Verdict::Quiet,
        severity: rule.severity,
        since: None,
        count: 0,
        subjects: Vec::new(),
        value: Value::Null,
        message: String::new(),
        hint: String::new(),
        snoozed_until: snoozed,
    };
    let unknown =
        |message, hint| Alert { verdict: Verdict::Unknown, message, hint, ..quiet.clone() };
    let (document, hits) = match find(documents, &rule.field) {
        Found::Unknown { message, hint } => return unknown(message, hint),
        Found::Values(document, hits) => (document, hits),
    };
    let mut held = Vec::new();
    let mut unfit = None;
    for hit in &hits {
        match holds(&rule.test, hit.value) {
            Some(true) => held.push(*hit),
            Some(false) => {}
            None => unfit = Some(hit.value),
        }
    }
    if let (Some(value), true) = (unfit, held.is_empty()) {
        let message = format!("`{}` is {value}, which is never {}", rule.field, rule.test);
        return unknown(message, format!("{} shows the fields", document.shown_by()));
    }
    worst_first(&rule.test, &mut held);
    let Some(worst) = held.first() else { return quiet };
    let since = memory.held.get(&rule.name).copied().unwrap_or(now);
    let hold = seconds(rule.hold);
    let is_long_enough = now.saturating_sub(since) >= hold;
    let (count, subjects) = about(rule, documents, &held);
    Alert {
        verdict: if is_long_enough { Verdict::Firing } else { Verdict::Pending },
        severity: Some(rule.severity.unwrap_or_else(|| own_severity(&held))),
        since: Some(since),
        count,
        message: message(rule, &held, count, &subjects),
        hint: hint(rule, document, documents, worst),
        subjects,
        value: worst.value.clone(),
        ..quiet
    }
}

/// Whether the test holds on the value; `None` when the two are of different kinds.
fn holds(test: &Test, value: &Value) -> Option<bool> {
    match test {
        Test::Above(bound) => value.as_f64().map(|value| value > *bound),
        Test::Below(bound) => value.as_f64().map(|value| value < *bound),
        Test::EqualsText(text) => value.as_str().map(|value| value == text),
        #[expect(clippy::float_cmp, reason = "the user asks for this very number")]
        Test::EqualsNumber(number) => value.as_f64().map(|value| value == *number),
        Test::EqualsTruth(truth) => value.as_bool().map(|value| value == *truth),
    }
}

fn worst_first(test: &Test, held: &mut [Hit<'_>]) {
    let number = |hit: &Hit<'_>| hit.value.as_f64().unwrap_or_default();
    match test {
        Test::Above(_) => held.sort_by(|a, b| number(b).total_cmp(&number(a))),
        Test::Below(_) => held.sort_by(|a, b| number(a).total_cmp(&number(b))),
        _ => held.sort_by_key(|hit| std::cmp::Reverse(severity_of(hit))),
    }
}

/// The severity that an element names itself.
fn severity_of(hit: &Hit<'_>) -> Option<Severity> {
    hit.element?.get("severity")?.as_str()?.parse().ok()
}

fn own_severity(held: &[Hit<'_>]) -> Severity {
    held.iter().filter_map(severity_of).max().unwrap_or(Severity::Warning)
}
