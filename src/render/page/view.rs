//! Words and marks of the page's templates. Templates hand over fields by reference, and what a method
//! gives as a value.

use std::borrow::Borrow;

use crate::domain::alert::Severity;
use crate::domain::fact::RunFact;
use crate::domain::gap::GapReason;
use crate::domain::policy::Freshness;
use crate::domain::provider_state::BreakerStatus;
use crate::domain::run::RunStatus;
use crate::domain::words::{self, instant, instant_or_dash};
use crate::report::health::Status;
use crate::report::page::coverage::Coverage;
use crate::report::page::quality::Class;
use crate::report::page::traffic::Day;
use crate::report::staleness::SeriesState;

/// A step towards mending something.
pub(super) struct Step<'a> {
    pub(super) text: &'a str,
    /// Whether it is a command to type.
    pub(super) is_command: bool,
}

/// The steps of a hint, which stand in it one after another.
pub(super) fn steps(hint: &str) -> Vec<Step<'_>> {
    hint.split("; ")
        .map(|step| {
            let command = step.strip_prefix("then ").unwrap_or(step);
            let is_command = command.starts_with("mdctl ");
            Step { text: if is_command { command } else { step }, is_command }
        })
        .collect()
}

pub(super) fn at(at: &i64) -> String {
    instant(*at)
}

pub(super) fn at_or_dash(at: &Option<i64>) -> String {
    instant_or_dash(*at)
}

pub(super) fn date(at: &i64) -> String {
    instant(*at).split('T').next().unwrap_or_default().to_owned()
}

pub(super) fn ago(at: &Option<i64>, now: &i64) -> String {
    at.map_or_else(
        || "without saying when".to_owned(),
        |at| format!("{} ago", words::span(now - at)),
    )
}

pub(super) fn ended(run: &RunFact) -> String {
    instant(run.completed_at.unwrap_or(run.started_at))
}

pub(super) fn took(run: &RunFact) -> String {
    run.duration_seconds().map_or_else(|| "-".to_owned(), words::span)
}

pub(super) fn took_seconds(run: &RunFact) -> String {
    run.duration_seconds().map(|seconds| seconds.to_string()).unwrap_or_default()
}

pub(super) fn count(value: impl Borrow<u64>) -> String {
    words::count(*value.borrow())
}

pub(super) fn counted(value: impl Borrow<u64>, noun: &str) -> String {
    words::counted(*value.borrow(), noun)
}

pub(super) fn span(seconds: &i64) -> String {
    words::span(*seconds)
}

pub(super) fn bytes(value: &u64) -> String {
    words::bytes(*value)
}

pub(super) fn total(value: impl Borrow<usize>) -> String {
    words::count(*value.borrow() as u64)
}

/// The summary without its first word, which stands beside it.
pub(super) fn after_status(summary: &str) -> &str {
    summary.split_once(" - ").map_or(summary, |(_, rest)| rest)
}

pub(super) const fn mark(status: &Status) -> &'static str {
    match status {
        Status::Healthy => "\u{2713}",
        Status::Degraded => "!",
        Status::Critical => "\u{2715}",
        Status::Unknown => "?",
    }
}

pub(super) const fn severity_mark(severity: &Severity) -> &'static str {
    match severity {
        Severity::Warning => "!",
        Severity::Critical => "\u{2715}",
    }
}

pub(super) const fn letter(status: &Freshness) -> &'static str {
    match status {
        Freshness::Fresh => "F",
        Freshness::Aging => "A",
        Freshness::Stale => "S",
        Freshness::Missing => "M",
    }
}

/// Whether only its features are behind.
pub(super) fn only_features(row: &SeriesState) -> bool {
    row.status > row.bars_status
}

pub(super) const fn number(reason: &GapReason) -> usize {
    *reason as usize
}

pub(super) const fn reason_letter(reason: &GapReason) -> char {
    match reason {
        GapReason::Unfetched => 'U',
        GapReason::Failed => 'F',
        GapReason::Rejected => 'R',
        GapReason::ProviderEmpty => 'E',
        GapReason::NoTrade => 'n',
        GapReason::PreListing => 'p',
        GapReason::Delisted => 'd',
    }
}

pub(super) fn reasons() -> [(GapReason, char); GapReason::ALL.len()] {
    GapReason::ALL.map(|reason| (reason, reason_letter(&reason)))
}

pub(super) fn reason_words(reason: &Option<GapReason>) -> &'static str {
    reason.map_or("nothing is known of the reason", GapReason::as_str)
}

pub(super) const fn run_class(status: &RunStatus) -> &'static str {
    match status {
        RunStatus::Succeeded | RunStatus::Running => "good",
        RunStatus::Partial | RunStatus::Deferred | RunStatus::Skipped => "warning",
        RunStatus::Failed | RunStatus::Interrupted | RunStatus::Crashed => "critical",
    }
}

pub(super) const fn run_mark(status: &RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "\u{25B6}",
        RunStatus::Succeeded => "\u{25CF}",
        RunStatus::Partial => "\u{25B2}",
        RunStatus::Deferred => "\u{25C6}",
        RunStatus::Failed => "\u{2715}",
        RunStatus::Interrupted => "\u{25A0}",
        RunStatus::Crashed => "\u{2716}",
        RunStatus::Skipped => "\u{25CB}",
    }
}

pub(super) const fn breaker_class(status: &BreakerStatus) -> &'static str {
    match status {
        BreakerStatus::Closed => "good",
        BreakerStatus::HalfOpen => "warning",
        BreakerStatus::Open => "critical",
    }
}

pub(super) const fn breaker_mark(status: &BreakerStatus) -> &'static str {
    match status {
        BreakerStatus::Closed => "\u{2713}",
        BreakerStatus::HalfOpen => "!",
        BreakerStatus::Open => "\u{2715}",
    }
}

pub(super) fn spaced(status: &BreakerStatus) -> String {
    status.as_str().replace('_', " ")
}

pub(super) fn millis(value: &Option<u64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(ms) if *ms < 10_000 => format!("{} ms", words::count(*ms)),
        Some(ms) => format!("{:.1} s", *ms as f64 / 1e3),
    }
}

pub(super) fn percent(part: &u64, whole: &u64) -> String {
    crate::report::metrics::share(*part, *whole)
        .map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// A share of a bar that is a hundred long.
pub(super) fn hundred(part: &u64, whole: &u64) -> String {
    let share = crate::report::metrics::share(*part, *whole).unwrap_or_default();
    format!("{:.1}", share * 100.0)
}

pub(super) fn hundred_of(part: &usize, whole: &usize) -> String {
    hundred(&(*part as u64), &(*whole as u64))
}

pub(super) fn share(share: &Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

pub(super) fn score(score: &Option<f64>) -> String {
    score.map_or_else(|| "-".to_owned(), |score| format!("{score:.4}"))
}

/// A number as JSON has it; empty when there is none.
pub(super) fn exact(value: &Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

pub(super) fn class_words(class: &Class) -> String {
    if class.to.is_finite() {
        format!("{:.2} to {:.2}", class.from, class.to)
    } else {
        format!("{:.2}", class.from)
    }
}

/// How many series of a timeframe are whole.
pub(super) fn whole_words(part: &Coverage) -> String {
    let whole = part.series.saturating_sub(part.with_holes + part.without_due);
    let mut words = format!("{} of {} whole", total(whole), total(part.series));
    if part.with_holes > 0 {
        words.push_str(&format!(", {} with holes", total(part.with_holes)));
    }
    if part.without_due > 0 {
        words.push_str(&format!(", {} with nothing known to be due", total(part.without_due)));
    }
    words
}

pub(super) fn of_kind(day: &Day, kind: &str) -> String {
    words::count(day.failed.get(kind).copied().unwrap_or_default())
}

/// A price with as many digits as it has, and no more than a float can tell.
pub(super) fn price(value: &f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0');
    let decimals = text.split('.').nth(1).map_or(0, str::len);
    if decimals < 2 { format!("{value:.2}") } else { text.to_owned() }
}

pub(super) fn volume(volume: &Option<f64>) -> String {
    match volume {
        None => "-".to_owned(),
        Some(volume) if volume.fract() == 0.0 && *volume < 1e15 => words::count(*volume as u64),
        Some(volume) => price(volume),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_a_hint_stand_apart() {
        let told = |hint| -> Vec<(String, bool)> {
            steps(hint).into_iter().map(|step| (step.text.to_owned(), step.is_command)).collect()
        };
        assert_eq!(
            told("mdctl gaps A; then mdctl backfill --repair A"),
            [("mdctl gaps A".to_owned(), true), ("mdctl backfill --repair A".to_owned(), true)]
        );
        assert_eq!(
            told("mdctl backfill; then see why"),
            [("mdctl backfill".to_owned(), true), ("then see why".to_owned(), false)]
        );
    }

    #[test]
    fn prices_keep_their_digits() {
        assert_eq!(price(&12.5), "12.50");
        assert_eq!(price(&0.000_012), "0.000012");
        assert_eq!(price(&1.234_5), "1.2345");
        assert_eq!(volume(&Some(1_234_567.0)), "1,234,567");
        assert_eq!(volume(&Some(0.25)), "0.25");
        assert_eq!(volume(&None), "-");
    }
}
