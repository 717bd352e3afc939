//! What stands in each panel.

use std::sync::Arc;

use ratatui::text::{Line, Span};

use crate::domain::alert::Severity;
use crate::domain::words::{count, counted, instant, instant_or_dash, span};
use crate::report::alerts::{Alert, Report, Verdict};
use crate::report::breaker::BreakerRow;
use crate::report::health::{Health, Issue};
use crate::report::staleness::SeriesState;

use super::super::alerts::state;
use super::super::breaker;
use super::super::staleness;
use super::super::table::Tone;
use super::room::Wish;
use super::text::{Cell, Column, Ink, fit, plain, table, wrap};
use super::{Doings, Panel, View, runs};

/// A panel before it is known how much of it is shown.
pub(super) struct Body<'a> {
    /// Its name, and what is said beside it.
    pub(super) title: Vec<Cell>,
    /// What always stands at its top.
    pub(super) fixed: Vec<Line<'static>>,
    /// What scrolls.
    pub(super) list: List<'a>,
    /// How many rows of the list are the least that is of use, and how many are good to have.
    pub(super) rows: (usize, usize),
}

/// What scrolls.
pub(super) enum List<'a> {
    /// Lines that are there.
    Lines(Vec<Line<'static>>),
    /// Series, of which there may be very many.
    Series(&'a [SeriesState]),
}

impl List<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.len(),
            Self::Series(series) => series.len(),
        }
    }

    /// So many lines after those that are above.
    pub(super) fn lines(
        &self,
        above: usize,
        page: usize,
        room: usize,
        ink: Ink,
    ) -> Vec<Line<'static>> {
        match self {
            Self::Lines(lines) => lines.iter().skip(above).take(page).cloned().collect(),
            Self::Series(series) => {
                let end = series.len().min(above.saturating_add(page));
                series_table(series.get(above..end).unwrap_or_default(), room, ink).1
            }
        }
    }
}

impl Body<'_> {
    pub(super) fn wish(&self) -> Wish {
        Wish::of(1 + self.fixed.len(), self.list.len(), self.rows.0, self.rows.1)
    }

    const fn of(title: Vec<Cell>, list: Vec<Line<'static>>, rows: (usize, usize)) -> Self {
        Self { title, fixed: Vec::new(), list: List::Lines(list), rows }
    }
}

/// What stands in a panel; `None` when there is nothing to it.
pub(super) fn body<'a>(
    panel: Panel,
    view: &'a View,
    room: usize,
    now: i64,
    ink: Ink,
) -> Option<Body<'a>> {
    let doings = view.doings.as_ref()?;
    match panel {
        Panel::Issues => Some(issues(&view.health.issues, room, ink)),
        Panel::Run => Some(runs::run(doings, room, now, ink)),
        Panel::Freshness => freshness(&view.health, room, ink),
        Panel::Providers => providers(doings, room, ink),
        Panel::Runs => runs::runs(&doings.runs, room, now, ink),
        Panel::Alerts => Some(alerts(view.alerts.as_ref()?, room, ink)),
    }
}

const fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Warning => Tone::Doubtful,
        Severity::Critical => Tone::Bad,
    }
}

/// Each issue with the command that mends it below.
fn issues(issues: &[Issue], room: usize, ink: Ink) -> Body<'static> {
    let of = |severity| issues.iter().filter(|issue| issue.severity == severity).count() as u64;
    let (critical, warning) = (of(Severity::Critical), of(Severity::Warning));
    let mut title = vec![plain("Issues")];
    if issues.is_empty() {
        title.push(("none".to_owned(), Tone::Good));
    }
    if critical > 0 {
        title.push((format!("{} critical", count(critical)), Tone::Bad));
    }
    if warning > 0 {
        title.push((counted(warning, "warning"), Tone::Doubtful));
    }
    let mut issues = issues.iter().map(|issue| issue_lines(issue, room, ink)).peekable();
    // What is worst is told whole, with what mends it.
    let least = issues.peek().map_or(0, Vec::len).min(8);
    Body::of(title, issues.flatten().collect(), (least, least.max(10)))
}

fn issue_lines(issue: &Issue, room: usize, ink: Ink) -> Vec<Line<'static>> {
    const SEVERITY: usize = 8;
    const INDENT: usize = SEVERITY + 1;
    let inner = room.saturating_sub(INDENT);
    let word = issue.severity.as_str();
    let mut lines = Vec::new();
    let said = wrap(&format!("{}: {}", issue.code, issue.message), inner);
    for (index, text) in said.into_iter().enumerate() {
        let mark = if index == 0 { word } else { "" };
        lines.push(Line::from(vec![
            Span::styled(format!("{mark:<SEVERITY$} "), ink.tone(severity_tone(issue.severity))),
            Span::raw(text),
        ]));
    }
    for (index, text) in wrap(&issue.hint, inner.saturating_sub(2)).into_iter().enumerate() {
        let mark = if index == 0 { "> " } else { "  " };
        let indent = " ".repeat(INDENT);
        lines.push(Line::from(vec![
            Span::styled(indent + mark, ink.frame()),
            Span::styled(text, ink.head()),
        ]));
    }
    lines
}

/// Series by freshness, the worst first.
fn freshness<'a>(health: &'a Health, room: usize, ink: Ink) -> Option<Body<'a>> {
    let series = health.evidence.as_ref()?.staleness.series.as_slice();
    let counts = health.counts;
    let mut title =
        vec![plain("Freshness"), (format!("{} fresh", count(counts.fresh)), Tone::Good)];
    let others = [
        (counts.aging, "aging", Tone::Doubtful),
        (counts.stale, "stale", Tone::Bad),
        (counts.missing, "missing", Tone::Bad),
    ];
    let there = others.into_iter().filter(|(value, ..)| *value > 0);
    title.extend(there.map(|(value, word, tone)| (format!("{} {word}", count(value)), tone)));
    let bad = series.len() as u64 - counts.fresh;
    let (head, _) = series_table(&series[..series.len().min(1)], room, ink);
    // That all is fresh needs no proof.
    let least = usize::try_from(bad.min(3)).unwrap_or(3);
    let fixed = if series.is_empty() { Vec::new() } else { vec![head] };
    Some(Body { title, fixed, list: List::Series(series), rows: (least, 10) })
}

/// The head's columns are as wide as the rows', whichever rows are shown.
fn series_table(
    series: &[SeriesState],
    room: usize,
    ink: Ink,
) -> (Line<'static>, Vec<Line<'static>>) {
    const SERIES: usize = 14;
    const COLUMNS: &[Column] = &[
        Column::left("SERIES        "),
        Column::left("STATUS "),
        Column::left("LAG     "),
        Column::left("LAST BAR            ").if_room(),
        Column::left("LAST ERROR"),
    ];
    let row = |row: &SeriesState| {
        let lag = if row.lag_seconds > 0 { span(row.lag_seconds) } else { "-".to_owned() };
        vec![
            plain(fit(&row.key.to_string(), SERIES)),
            (row.status.to_string(), staleness::tone(row.status)),
            plain(fit(&lag, 8)),
            plain(instant_or_dash(row.last_bar_ts)),
            plain(
                row.marks.as_ref().and_then(|marks| marks.last_error.clone()).unwrap_or_default(),
            ),
        ]
    };
    table(COLUMNS, &series.iter().map(row).collect::<Vec<_>>(), room, ink)
}

/// The providers that are spoken to over HTTP.
fn providers(doings: &Doings, room: usize, ink: Ink) -> Option<Body<'static>> {
    const COLUMNS: &[Column] = &[
        Column::left("PROVIDER"),
        Column::left("BREAKER"),
        Column::left("FAILED").if_room(),
        Column::left("QUOTA LEFT"),
        Column::left("NOTE"),
    ];
    if doings.providers.is_empty() {
        return None;
    }
    let row = |row: &BreakerRow| {
        let quota = doings.quotas.iter().find(|quota| quota.provider == row.name);
        vec![
            plain(row.name.clone()),
            (row.status.to_string(), breaker::tone(row.status)),
            plain(format!("{} of {}", count(row.failures), count(row.failures + row.successes))),
            plain(quota.map_or_else(
                || "-".to_owned(),
                |quota| format!("{} of {}", count(quota.requests), count(quota.at_once)),
            )),
            note(row),
        ]
    };
    let rows: Vec<_> = doings.providers.iter().map(row).collect();
    let (head, lines) = table(COLUMNS, &rows, room, ink);
    let down = doings.providers.iter().filter(|row| !row.is_clear()).count() as u64;
    let word = match down {
        0 => ("asked as usual".to_owned(), Tone::Good),
        _ => (format!("{} of {} held back", count(down), count(rows.len() as u64)), Tone::Bad),
    };
    let title = vec![plain("Providers"), word];
    Some(Body { title, fixed: vec![head], list: List::Lines(lines), rows: (1, 4) })
}

/// Why a provider is not asked as usual, else how it failed last.
fn note(row: &BreakerRow) -> Cell {
    if let Some((until, reason)) = &row.held {
        return (format!("not before {}: {reason}", instant(*until)), Tone::Bad);
    }
    if let Some(at) = row.retry_at {
        return (format!("tried again from {} on", instant(at)), Tone::Bad);
    }
    if let Some(cut) = row.concurrency {
        return (format!("at most {} at once", counted(cut.into(), "request")), Tone::Doubtful);
    }
    let failed = |(at, words): &(i64, String)| format!("failed {}: {words}", instant(*at));
    plain(row.last_failure.as_ref().map_or_else(String::new, failed))
}

/// The rules that fire, and those that cannot be judged.
fn alerts(judged: &Result<Arc<Report>, String>, room: usize, ink: Ink) -> Body<'static> {
    const COLUMNS: &[Column] =
        &[Column::left("SEVERITY"), Column::left("ALERT"), Column::left("WHAT")];
    let report = match judged {
        Ok(report) => report,
        Err(why) => {
            let title = vec![plain("Alerts"), ("not judged".to_owned(), Tone::Bad)];
            return Body::of(title, wrap(why, room).into_iter().map(Line::raw).collect(), (1, 2));
        }
    };
    let tells = |alert: &&Alert| matches!(alert.verdict, Verdict::Firing | Verdict::Unknown);
    let told: Vec<&Alert> = report.alerts.iter().filter(tells).collect();
    let row = |alert: &&Alert| {
        vec![state(alert), plain(alert.rule.name.clone()), plain(alert.message.clone())]
    };
    let (head, lines) = table(COLUMNS, &told.iter().map(row).collect::<Vec<_>>(), room, ink);
    let firing = told.iter().filter(|alert| alert.is_loud()).count() as u64;
    let rules = counted(report.alerts.len() as u64, "rule");
    let word = match firing {
        0 => (format!("none of {rules} fires"), Tone::Good),
        _ => (format!("{} of {rules} fire", count(firing)), Tone::Bad),
    };
    let fixed = if told.is_empty() { Vec::new() } else { vec![head] };
    let list = List::Lines(lines);
    Body { title: vec![plain("Alerts"), word], fixed, list, rows: (1, 5) }
}
