//! What of a report is news to somebody, given what they have been told.
//!
//! An alert worsens when its severity rises, or when it is about at least twice as many as was told.
//! While it is snoozed nothing of it is told but its end; when the snooze ends and it still fires, it is
//! told again. Somebody who only hears of what is critical hears that it is over when it is milder.

use serde_json::Value;

use crate::config::Notifier;
use crate::domain::alert::{Memory, Severity, Told};
use crate::domain::time::seconds;
use crate::domain::words::span;

use super::{Alert, Report, Verdict};

/// What is to be told to one notifier, and what is to be remembered of it without a word.
#[derive(Debug, Default)]
pub struct Changes {
    /// What is to be told, the worst first, ends last.
    pub tell: Vec<Change>,
    /// What has become milder than it was told.
    pub milder: Vec<(String, Told)>,
    /// What is over and not to be told.
    pub forget: Vec<String>,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It fires, and that is news.
    Started,
    /// It is worse than was told.
    Worsened,
    /// It still fires.
    Repeated,
    /// It is over.
    Resolved,
}

impl Kind {
    /// Its word in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Worsened => "worsened",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
        }
    }
}

/// Something that somebody is to be told.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// The rule's name.
    pub rule: String,
    /// How bad it is, or was.
    pub severity: Severity,
    /// Since when it fires or fired, epoch seconds UTC.
    pub since: i64,
    /// How many it is or was about.
    pub count: u64,
    /// Some of them; empty when it is over.
    pub subjects: Vec<String>,
    /// The worst value; null when it is over.
    pub value: Value,
    /// What is wrong, or how it ended.
    pub message: String,
    /// Where to look; empty when it is over.
    pub hint: String,
}

impl Change {
    /// What is known once it has been told at `now`; `None` when there is nothing left to remember.
    #[must_use]
    pub fn told(&self, now: i64) -> Option<Told> {
        let Self { severity, count, since, .. } = *self;
        (self.kind != Kind::Resolved).then_some(Told { severity, count, since, at: now })
    }

    fn of(kind: Kind, alert: &Alert, severity: Severity, now: i64) -> Self {
        Self {
            kind,
            rule: alert.rule.name.clone(),
            severity,
            since: alert.since.unwrap_or(now),
            count: alert.count,
            subjects: alert.subjects.clone(),
            value: alert.value.clone(),
            message: alert.message.clone(),
            hint: alert.hint.clone(),
        }
    }

    fn over(rule: &str, told: &Told, why: &str, now: i64) -> Self {
        Self {
            kind: Kind::Resolved,
            rule: rule.to_owned(),
            severity: told.severity,
            since: told.since,
            count: told.count,
            subjects: Vec::new(),
            value: Value::Null,
            message: format!("{why}, after {}", span(now.saturating_sub(told.since))),
            hint: String::new(),
        }
    }
}

/// What came of telling one notifier.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its name.
    pub notifier: String,
    /// What it was to be told.
    pub changes: Vec<Change>,
    /// So many of the changes, from the first on, have been taken.
    pub taken: usize,
    /// Why not all; `None` when they have.
    pub error: Option<String>,
}

/// What of the report is news to the notifier of that name.
#[must_use]
pub fn changes(
    name: &str,
    notifier: &Notifier,
    report: &Report,
    memory: &Memory,
    now: i64,
) -> Changes {
    let mut changes = Changes::default();
    let told_of = |rule: &str| memory.told.get(name)?.get(rule);
    for alert in &report.alerts {
        let told = told_of(&alert.rule.name);
        match (alert.verdict, alert.severity, told) {
            (Verdict::Firing, Some(severity), _) if alert.snoozed_until.is_none() => {
                let told = told.filter(|told| told.is_certain());
                changes.fires(notifier, alert, severity, told, memory, now);
            }
            (Verdict::Quiet, _, Some(told)) => {
                changes.ends(notifier, &alert.rule.name, told, "it is over", now);
            }
            // What cannot be judged is neither over nor news.
            _ => {}
        }
    }
    for (rule, told) in memory.told.get(name).into_iter().flatten() {
        if !report.alerts.iter().any(|alert| alert.rule.name == *rule) {
            changes.ends(notifier, rule, told, "it is watched no more", now);
        }
    }
    changes.tell.sort_by_key(|change| change.kind == Kind::Resolved);
    changes
}

impl Changes {
    fn fires(
        &mut self,
        notifier: &Notifier,
        alert: &Alert,
        severity: Severity,
        told: Option<&Told>,
        memory: &Memory,
        now: i64,
    ) {
        let rule = &alert.rule.name;
        let is_heard = severity >= notifier.min_severity;
        let kind = match told {
            None if is_heard => Kind::Started,
            None => return,
            Some(told) if !is_heard => {
                self.ends(notifier, rule, told, "it is milder now", now);
                return;
            }
            Some(told) if is_worse(told, alert.count, severity) => Kind::Worsened,
            Some(told) if is_due_again(notifier, rule, told, memory, now) => Kind::Repeated,
            Some(told) => {
                if severity < told.severity {
                    self.milder.push((rule.clone(), Told { severity, ..told.clone() }));
                }
                return;
            }
        };
        self.tell.push(Change::of(kind, alert, severity, now));
    }

    fn ends(&mut self, notifier: &Notifier, rule: &str, told: &Told, why: &str, now: i64) {
        if notifier.send_resolved {
            self.tell.push(Change::over(rule, told, why, now));
        } else {
            self.forget.push(rule.to_owned());
        }
    }
}

fn is_worse(told: &Told, count: u64, severity: Severity) -> bool {
    severity > told.severity || count >= told.count.max(1).saturating_mul(2)
}

/// Whether it is told again: `repeat` has passed, or a snooze that came over it has ended.
fn is_due_again(notifier: &Notifier, rule: &str, told: &Told, memory: &Memory, now: i64) -> bool {
    let repeats =
        notifier.repeat.is_some_and(|repeat| now.saturating_sub(told.at) >= seconds(repeat));
    let was_snoozed = memory.snoozes.get(rule).is_some_and(|snooze| told.at < snooze.until);
    repeats || was_snoozed
}
