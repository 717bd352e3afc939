//! Alerts: which rules fire, judged by what the other reports' JSON documents say, and what of that is
//! news to whom.

use std::fmt;

use serde_json::Value;

use crate::domain::alert::{Memory, Rule, Severity, Test};

use super::health::Status;

mod changes;
mod field;
#[cfg(test)]
mod tests;

pub use changes::{Change, Changes, Delivery, Kind, changes};

use field::{Found, Hit, find, subject};

/// Subjects named, at most.
const MOST_SUBJECTS: usize = 10;

/// A document that rules look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// `health --json`.
    Health,
    /// `metrics --json`.
    Metrics,
    /// `quality --json`.
    Quality,
    /// `slo --json`.
    Slo,
}

impl Document {
    /// All of them, in the order in which a field is looked for.
    pub const ALL: [Self; 4] = [Self::Health, Self::Metrics, Self::Quality, Self::Slo];

    /// Its word before a field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Quality => "quality",
            Self::Slo => "slo",
        }
    }

    /// What it is known by also while it is not there.
    const fn list(self) -> &'static str {
        match self {
            Self::Health => "issues",
            Self::Metrics => "fetch_pipeline",
            Self::Quality => "series",
            Self::Slo => "objectives",
        }
    }

    /// The command that shows it.
    const fn shown_by(self) -> &'static str {
        match self {
            Self::Health => "mdctl health --json",
            Self::Metrics => "mdctl metrics --json",
            Self::Quality => "mdctl quality --json",
            Self::Slo => "mdctl slo --json",
        }
    }

    /// Where to look when a rule on it fires.
    const fn hint(self) -> &'static str {
        match self {
            Self::Health => "mdctl health",
            Self::Metrics => "mdctl metrics",
            Self::Quality => "mdctl quality",
            Self::Slo => "mdctl slo",
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the rules look into.
#[derive(Debug)]
pub struct Documents {
    health: Value,
    metrics: Value,
    quality: Value,
    slo: Option<Value>,
}

impl Documents {
    /// Those documents; rules on one that is not there are not judged.
    #[must_use]
    pub fn new(mut health: Value, metrics: Value, quality: Value, slo: Option<Value>) -> Self {
        derive_last_run(&mut health["last_execution"]);
        Self { health, metrics, quality, slo }
    }

    const fn get(&self, document: Document) -> Option<&Value> {
        match document {
            Document::Health => Some(&self.health),
            Document::Metrics => Some(&self.metrics),
            Document::Quality => Some(&self.quality),
            Document::Slo => self.slo.as_ref(),
        }
    }
}

/// Adds what rules want to know of the last run and its JSON does not say itself.
fn derive_last_run(run: &mut Value) {
    let number = |name: &str| run.get(name).and_then(Value::as_f64);
    let failure_rate = match (number("failed"), number("symbols_total")) {
        (Some(failed), Some(total)) if total > 0.0 => Value::from(failed / total),
        _ => Value::Null,
    };
    let waited = number("quota_wait_seconds").unwrap_or(0.0);
    let working = number("duration_seconds").map(|whole| (whole - waited).max(0.0));
    if let Value::Object(run) = run {
        run.entry("failure_rate").or_insert(failure_rate);
        run.entry("working_seconds").or_insert(working.map_or(Value::Null, Value::from));
    }
}

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
    /// The document that it looks into is not there.
    NotJudged,
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
            Self::NotJudged => "not_judged",
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
            (Verdict::NotJudged, _) => 5,
            (Verdict::Quiet, _) => 6,
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
        Found::Absent(document) => {
            let message = format!("there is no {document} document to judge it by");
            return Alert { verdict: Verdict::NotJudged, message, ..quiet };
        }
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
    let hold = i64::try_from(rule.hold.as_secs()).unwrap_or(i64::MAX);
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

/// How many it is about, and some of them: the elements of the list, each counting as many as it says
/// itself; what the last run tells of failures is about the symbols that failed.
fn about(rule: &Rule, documents: &Documents, held: &[Hit<'_>]) -> (u64, Vec<String>) {
    if is_of_failures(&rule.field) {
        return failed_symbols(&documents.health);
    }
    let elements = || held.iter().filter_map(|hit| hit.element);
    let each = |element: &Value| element.get("count").and_then(Value::as_u64).unwrap_or(1).max(1);
    let count: u64 = elements().map(each).sum();
    (count.max(1), first_ones(elements().filter_map(subject)))
}

fn is_of_failures(field: &str) -> bool {
    let field = field.strip_prefix("health.").unwrap_or(field);
    let run = field.strip_prefix("last_run.").or_else(|| field.strip_prefix("last_execution."));
    matches!(run, Some("failed" | "failure_rate"))
}

fn failed_symbols(health: &Value) -> (u64, Vec<String>) {
    let run = &health["last_execution"];
    let failures = health["recent_failures"].as_array().map_or(&[][..], Vec::as_slice);
    let of_run = failures.iter().filter(|failure| failure["run_id"] == run["run_id"]);
    let symbols = of_run.filter_map(|failure| failure["symbol"].as_str().map(str::to_owned));
    (run["failed"].as_u64().unwrap_or(1), first_ones(symbols))
}

/// The first ones of them, each once.
fn first_ones(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut first: Vec<String> = Vec::new();
    for name in names {
        if first.len() == MOST_SUBJECTS {
            break;
        }
        if !first.contains(&name) {
            first.push(name);
        }
    }
    first
}

fn message(rule: &Rule, held: &[Hit<'_>], count: u64, subjects: &[String]) -> String {
    let Some(worst) = held.first() else { return String::new() };
    let more = |shown: u64| match count.saturating_sub(shown) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let own = worst.element.and_then(|element| element["message"].as_str());
    let (field, test) = (&rule.field, &rule.test);
    match (own, worst.element, subjects) {
        (Some(own), ..) if held.len() == 1 => own.to_owned(),
        (Some(own), ..) => format!("{own}; {} more", held.len() - 1),
        (None, Some(_), [first, ..]) => match test {
            Test::Above(_) | Test::Below(_) => {
                format!("{field} {test}: {first} with {}{}", shown(worst.value), more(1))
            }
            _ => format!("{field} {test}: {first}{}", more(1)),
        },
        (None, _, names) => {
            let figure = match test {
                Test::Above(_) | Test::Below(_) => {
                    format!("{field} is {}, {test}", shown(worst.value))
                }
                _ => format!("{field} {test}"),
            };
            let shown = names.len() as u64;
            if names.is_empty() {
                return figure;
            }
            format!("{figure}: {}{}", names.join(", "), more(shown))
        }
    }
}

/// A value for people: numbers with at most four decimals.
fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if !value.is_i64() && !value.is_u64() => {
            let text = format!("{number:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}

fn hint(rule: &Rule, document: Document, documents: &Documents, worst: &Hit<'_>) -> String {
    let text = |name: &str| worst.element.and_then(|element| element[name].as_str());
    if let Some(own) = text("hint") {
        return own.to_owned();
    }
    let field = rule.field.strip_prefix("health.").unwrap_or(&rule.field);
    match (document, field.split('.').next()) {
        (Document::Health, Some("last_run" | "last_execution")) => {
            let run = documents.health["last_execution"]["run_id"].as_str().unwrap_or("last");
            format!("mdctl history {run}")
        }
        (Document::Health, Some("breakers")) => "mdctl breaker list".to_owned(),
        (Document::Quality, _) => match text("symbol") {
            Some(symbol) => format!("mdctl quality {symbol}"),
            None => document.hint().to_owned(),
        },
        _ => document.hint().to_owned(),
    }
}
