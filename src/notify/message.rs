//! Our own message, for webhooks and commands.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::domain::alert::Severity;
use crate::domain::words::{count, instant};
use crate::report::alerts::{Change, Kind};

use super::{Origin, clipped};

/// The version of the document; fields are only ever added within it.
const SCHEMA: u32 = 1;

/// The longest text from the reports, in characters.
const LONGEST: usize = 2_000;

/// The longest summary, in characters.
const LONGEST_SUMMARY: usize = 300;

/// The longest key that receivers take, in bytes.
const LONGEST_KEY: usize = 255;

/// What a webhook or a command gets.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Message {
    /// 1.
    pub schema: u32,
    /// When it was sent, RFC 3339.
    pub timestamp: String,
    /// The machine.
    pub host: String,
    /// The database.
    pub database: String,
    /// All of it in one line.
    pub summary: String,
    /// What happened, the worst first.
    pub changes: Vec<ChangeJson>,
}

/// Something that happened to an alert.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangeJson {
    /// `started`, `worsened`, `repeated` or `resolved`.
    pub kind: &'static str,
    /// The rule.
    pub name: String,
    /// `warning` or `critical`; of what is over, what it was.
    pub severity: &'static str,
    /// Since when it fires or fired, RFC 3339.
    pub since: String,
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
    /// The same for everything that is told of this rule on this database of this machine.
    pub dedup_key: String,
}

impl Message {
    /// The message that tells those changes.
    #[must_use]
    pub fn of(changes: &[Change], origin: &Origin, now: i64) -> Self {
        Self {
            schema: SCHEMA,
            timestamp: instant(now),
            host: origin.host.clone(),
            database: origin.database.clone(),
            summary: clipped(&summary(changes, origin), LONGEST_SUMMARY),
            changes: changes.iter().map(|change| ChangeJson::of(change, origin)).collect(),
        }
    }
}

impl ChangeJson {
    pub(super) fn of(change: &Change, origin: &Origin) -> Self {
        Self {
            kind: change.kind.as_str(),
            name: change.rule.clone(),
            severity: change.severity.as_str(),
            since: instant(change.since),
            count: change.count,
            subjects: change.subjects.iter().map(|name| clipped(name, LONGEST)).collect(),
            value: value(&change.value),
            message: clipped(&change.message, LONGEST),
            hint: clipped(&change.hint, LONGEST),
            dedup_key: dedup_key(&change.rule, origin),
        }
    }
}

fn value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clipped(text, LONGEST)),
        other => other.clone(),
    }
}

/// `mdctl on db1: CRITICAL RunOverdue started, WARNING LowValidation resolved`.
pub(super) fn summary(changes: &[Change], origin: &Origin) -> String {
    let told: Vec<String> = changes.iter().map(headline).collect();
    format!("mdctl on {}: {}", origin.host, told.join(", "))
}

/// `CRITICAL RunOverdue started`.
pub(super) fn headline(change: &Change) -> String {
    let word = match change.severity {
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
    };
    let happened = match change.kind {
        Kind::Repeated => "still fires",
        other => other.as_str(),
    };
    format!("{word} {} {happened}", change.rule)
}

/// The subjects and how many more there are; empty when it names none.
pub(super) fn subjects(change: &Change) -> String {
    let named = change.subjects.len() as u64;
    match (named, change.count.saturating_sub(named)) {
        (0, _) => String::new(),
        (_, 0) => change.subjects.join(", "),
        (_, more) => format!("{} and {} more", change.subjects.join(", "), count(more)),
    }
}

/// What makes all that is told of a rule one thing to a receiver.
pub(super) fn dedup_key(rule: &str, origin: &Origin) -> String {
    let key = format!("mdctl/{}{}/{rule}", origin.host, rooted(&origin.database));
    if key.len() <= LONGEST_KEY {
        return key;
    }
    // The same on every machine and in every version: FNV-1a.
    let mixed = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let end = (0..=LONGEST_KEY - 17).rev().find(|at| key.is_char_boundary(*at)).unwrap_or(0);
    format!("{}/{mixed:016x}", &key[..end])
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_is_short_enough_and_still_its_own() {
        let origin = Origin {
            host: "db1".to_owned(),
            database: format!("/{}/mdctl.db", "é".repeat(200)),
            folder: ".".into(),
            secrets: std::collections::BTreeSet::new(),
        };
        let (one, other) = (dedup_key("One", &origin), dedup_key("Other", &origin));
        assert!(one.len() <= LONGEST_KEY && other.len() <= LONGEST_KEY, "{one} {other}");
        assert_ne!(one, other);
        let near = Origin { database: "relative.db".to_owned(), ..origin };
        assert_eq!(dedup_key("One", &near), "mdctl/db1/relative.db/One");
    }
}
