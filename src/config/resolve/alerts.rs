//! The rules that are watched: the built-in ones, as `[[alerts]]` changes them, and the user's own.

use std::time::Duration;

use toml::Spanned;

use crate::config::file;
use crate::domain::alert::{Rule, Severity, Test};

use super::{Context, Result, span_or};

/// The built-in rules.
fn built_in() -> Vec<Rule> {
    let rule = |name: &str, field: &str, test, severity| Rule {
        name: name.to_owned(),
        field: field.to_owned(),
        test,
        hold: Duration::ZERO,
        severity,
    };
    let issue = |code: &str| Test::EqualsText(code.to_owned());
    let (warning, critical) = (Some(Severity::Warning), Some(Severity::Critical));
    vec![
        rule("RunOverdue", "issues.code", issue("run_overdue"), critical),
        rule("EnrichmentJobFailed", "last_run.failed", Test::Above(5.0), warning),
        rule("HighFailureRate", "last_run.failure_rate", Test::Above(0.1), warning),
        rule("LongDuration", "last_run.working_seconds", Test::Above(1800.0), warning),
        rule("LowDataQuality", "series.quality_score", Test::Below(0.85), warning),
        rule("LowValidation", "series.validation_rate", Test::Below(0.95), warning),
        // These are as bad as `health` says that they are.
        rule("StaleSeries", "issues.code", issue("series_stale"), None),
        rule("MissingSeries", "issues.code", issue("series_missing"), None),
        rule("SeriesHoles", "issues.code", issue("series_holes"), None),
        rule("NoSymbols", "issues.code", issue("no_symbols"), None),
        rule("LastRunFailed", "issues.code", issue("last_run_failed"), None),
        rule("DiskLow", "issues.code", issue("disk_low"), None),
        rule("BreakerOpen", "breakers.state", Test::EqualsText("open".to_owned()), critical),
        rule("RateLimited", "fetch_pipeline.rate_limited_share", Test::Above(5.0), warning),
        rule("ObjectiveMissed", "objectives.met", Test::EqualsTruth(false), warning),
    ]
}

/// Every rule that is watched.
pub(super) fn rules(context: &Context<'_>, tables: &[Spanned<file::Alert>]) -> Result<Vec<Rule>> {
    let mut rules = built_in();
    for (index, table) in tables.iter().enumerate() {
        let alert = table.get_ref();
        let name = alert.name.get_ref();
        if name.trim().is_empty() {
            return Err(context.at(&alert.name, "an alert needs a name"));
        }
        if tables[..index].iter().any(|other| other.get_ref().name.get_ref() == name) {
            return Err(context.at(&alert.name, format!("there are two alerts named `{name}`")));
        }
        let known = rules.iter().position(|rule| rule.name == *name);
        if alert.enabled == Some(false) {
            rules.retain(|rule| rule.name != *name);
            continue;
        }
        let rule = rule(context, table, known.map(|known| &rules[known]))?;
        match known {
            Some(known) => rules[known] = rule,
            None => rules.push(rule),
        }
    }
    Ok(rules)
}

/// A rule of the config, over the built-in one of its name.
fn rule(context: &Context<'_>, table: &Spanned<file::Alert>, base: Option<&Rule>) -> Result<Rule> {
    let alert = table.get_ref();
    let name = alert.name.get_ref();
    let field = match (&alert.field, base) {
        (Some(field), _) if is_path(field.get_ref()) => field.get_ref().clone(),
        (Some(field), _) => {
            let message = "expected a path of words and points, such as last_run.failed";
            return Err(context.at(field, message));
        }
        (None, Some(base)) => base.field.clone(),
        (None, None) => {
            return Err(context
                .at(table, format!("alert `{name}` needs `field`"))
                .hinted("field = \"last_run.failed\", above = 5"));
        }
    };
    let test = match (test(context, table)?, base) {
        (Some(test), _) => test,
        (None, Some(base)) => base.test.clone(),
        (None, None) => {
            return Err(
                context.at(table, format!("alert `{name}` needs `above`, `below` or `equals`"))
            );
        }
    };
    let severity = alert.severity.as_ref().map(|severity| severity.0);
    Ok(Rule {
        name: name.clone(),
        field,
        test,
        hold: span_or(alert.r#for.as_ref(), base.map_or(Duration::ZERO, |base| base.hold)),
        severity: severity.or(base.map_or(Some(Severity::Warning), |base| base.severity)),
    })
}

/// What the value is held against; `None` when the table does not say.
fn test(context: &Context<'_>, table: &Spanned<file::Alert>) -> Result<Option<Test>> {
    let alert = table.get_ref();
    let equals = |value: &Spanned<file::Plain>| match value.get_ref() {
        file::Plain::Text(text) => Test::EqualsText(text.clone()),
        file::Plain::Number(number) => Test::EqualsNumber(*number),
        file::Plain::Truth(truth) => Test::EqualsTruth(*truth),
    };
    match (&alert.above, &alert.below, &alert.equals) {
        (None, None, None) => Ok(None),
        (Some(bound), None, None) => Ok(Some(Test::Above(*bound.get_ref()))),
        (None, Some(bound), None) => Ok(Some(Test::Below(*bound.get_ref()))),
        (None, None, Some(value)) => Ok(Some(equals(value))),
        _ => Err(context.at(table, "expected one of `above`, `below` and `equals`, not several")),
    }
}

fn is_path(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.split('.').all(is_word)
}
