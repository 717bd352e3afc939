//! What a rule that fires is about, in words.

use serde_json::Value;

use crate::domain::alert::{Rule, Test};

use super::document::{Document, Documents};
use super::field::{Hit, subject};

/// Subjects named, at most.
const MOST_SUBJECTS: usize = 10;

/// How many it is about, and some of them: the elements of the list, each counting as many as it says
/// itself; what the last run tells of failures is about the symbols that failed.
pub(super) fn about(rule: &Rule, documents: &Documents, held: &[Hit<'_>]) -> (u64, Vec<String>) {
    if is_of_failures(&rule.field) {
        return failed_symbols(&documents.health);
    }
    if let Some(count) = counted(rule, held) {
        return (count, Vec::new());
    }
    let elements = || held.iter().filter_map(|hit| hit.element);
    let each = |element: &Value| element.get("count").and_then(Value::as_u64).unwrap_or(1).max(1);
    let count: u64 = elements().map(each).sum();
    (count.max(1), first_ones(elements().filter_map(subject)))
}

/// How many a figure that counts something says that there are; `None` of one that measures, as its name
/// tells, and of elements of lists.
fn counted(rule: &Rule, held: &[Hit<'_>]) -> Option<u64> {
    const MEASURES: [&str; 7] = ["_ms", "_seconds", "_rate", "_share", "_score", "bytes", "left"];
    let [Hit { value, element: None }] = held else { return None };
    let measures = MEASURES.iter().any(|ending| rule.field.ends_with(ending));
    value.as_u64().filter(|_| matches!(rule.test, Test::Above(_)) && !measures)
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

pub(super) fn message(rule: &Rule, held: &[Hit<'_>], count: u64, subjects: &[String]) -> String {
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
            _ => format!("{field} {test}: {first}{}{}", figures(worst.element), more(1)),
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

/// What was achieved of a target, where an element tells both.
fn figures(element: Option<&Value>) -> String {
    let figure = |name: &str| element?.get(name).filter(|value| value.is_number());
    match (figure("achieved"), figure("target")) {
        (Some(achieved), Some(target)) => {
            format!(" with {}, promised {}", shown(achieved), shown(target))
        }
        _ => String::new(),
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

pub(super) fn hint(
    rule: &Rule,
    document: Document,
    documents: &Documents,
    worst: &Hit<'_>,
) -> String {
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
