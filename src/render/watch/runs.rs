//! The panels of runs: the one at work or the last one, and the past ones.

use ratatui::text::{Line, Span};

use crate::domain::fact::{FailureFact, RunFact};
use crate::domain::words::{count, counted, instant, span};
use crate::report::work::Work;

use super::super::history::run_tone;
use super::super::table::Tone;
use super::Doings;
use super::panels::{Body, List};
use super::text::{Cell, Column, Ink, fit, plain, table, width, wrap};

/// The run at work, else the last one, and what failed in it.
pub(super) fn run(doings: &Doings, room: usize, now: i64, ink: Ink) -> Body<'static> {
    let (title, fixed) = match (&doings.work, &doings.last) {
        (Some(work), _) => (at_work_title(work), at_work(work, room, ink)),
        (None, Some(run)) => (last_title(run, now), last(run, room, ink)),
        (None, None) => {
            let words = "none yet; `mdctl backfill` makes the first".to_owned();
            (vec![plain("Runs"), (words, Tone::Doubtful)], Vec::new())
        }
    };
    let list = List::Lines(failures(&doings.failures, room, ink));
    Body { title, fixed, list, rows: (1, 5) }
}

fn at_work_title(work: &Work) -> Vec<Cell> {
    let run = &work.run;
    vec![
        plain("Run at work"),
        plain(format!("{} ({}) for {}", run.command, run.trigger, span(work.elapsed_seconds))),
        plain(run.run_id.to_string()),
    ]
}

fn at_work(work: &Work, room: usize, ink: Ink) -> Vec<Line<'static>> {
    let jobs = &work.jobs;
    let percent = format!("{:3.0} %", (work.jobs.share_ended() * 100.0).floor());
    let said = if jobs.total == 0 {
        "  planning".to_owned()
    } else {
        format!(" {percent}  {} of {}", count(jobs.ended()), counted(jobs.total, "job"))
    };
    let long = room.saturating_sub(width(&said) + 2).min(50);
    let done = (long as f64 * jobs.share_ended()) as usize;
    let bar = format!("[{}{}]", "█".repeat(done), "·".repeat(long - done));
    let mut lines = vec![Line::from(vec![Span::raw(bar), Span::raw(said)])];
    lines.push(counts(
        &[
            (jobs.completed, "completed", Tone::Good),
            (jobs.failed, "failed", Tone::Bad),
            (jobs.deferred, "deferred", Tone::Doubtful),
            (jobs.to_retry, "to be tried again", Tone::Doubtful),
            (jobs.at_work, "at work", Tone::Plain),
            (jobs.pending, "waiting", Tone::Plain),
        ],
        ink,
    ));
    let traffic = &work.traffic;
    let mut parts = vec![counted(traffic.bars, "new bar")];
    parts.extend(work.bars_per_second.map(|rate| format!("{} a second", count(rate as u64))));
    parts.push(counted(traffic.requests, "request"));
    if traffic.rate_limited > 0 {
        parts.push(format!("{} rate-limited", count(traffic.rate_limited)));
    }
    parts.extend(work.left_seconds.map(|left| format!("about {} left", span(left))));
    lines.push(Line::raw(fit(&parts.join(", "), room)));
    let at_work: Vec<String> =
        work.at_work.iter().map(|(symbol, for_)| format!("{symbol} {}", span(*for_))).collect();
    if !at_work.is_empty() {
        lines.push(Line::raw(fit(&format!("at work: {}", at_work.join(", ")), room)));
    }
    lines
}

/// Counts with their words; what there is none of is left out, except the first.
fn counts(counts: &[(u64, &str, Tone)], ink: Ink) -> Line<'static> {
    let mut spans = Vec::new();
    for (index, (value, word, tone)) in counts.iter().enumerate() {
        if *value > 0 || index == 0 {
            let before = if spans.is_empty() { "" } else { ", " };
            spans.push(Span::raw(before));
            let tone = if *value > 0 { *tone } else { Tone::Plain };
            spans.push(Span::styled(format!("{} {word}", count(*value)), ink.tone(tone)));
        }
    }
    Line::from(spans)
}

fn last_title(run: &RunFact, now: i64) -> Vec<Cell> {
    let ago = span(now.saturating_sub(run.completed_at.unwrap_or(run.started_at)));
    vec![
        plain("Last run"),
        (run.status.to_string(), run_tone(run.status)),
        plain(format!("{} ({}) {ago} ago", run.command, run.trigger)),
        plain(run.run_id.to_string()),
    ]
}

fn last(run: &RunFact, room: usize, ink: Ink) -> Vec<Line<'static>> {
    let totals = &run.totals;
    let mut jobs = counts(
        &[
            (totals.successful, "completed", Tone::Good),
            (totals.failed, "failed", Tone::Bad),
            (totals.deferred, "deferred", Tone::Doubtful),
            (totals.skipped, "skipped", Tone::Doubtful),
        ],
        ink,
    );
    jobs.push_span(format!(" of {}", counted(totals.symbols_total, "job")));
    let mut parts = vec![counted(totals.records_inserted, "new bar")];
    if totals.records_updated > 0 {
        parts.push(format!("{} changed", count(totals.records_updated)));
    }
    parts.push(counted(totals.requests, "request"));
    if totals.rate_limited > 0 {
        parts.push(format!("{} rate-limited", count(totals.rate_limited)));
    }
    parts.extend(run.duration_seconds().map(|took| format!("took {}", span(took))));
    parts.extend(run.exit_code.map(|code| format!("exit code {code}")));
    let mut lines = vec![jobs, Line::raw(fit(&parts.join(", "), room))];
    let error = run.error.iter().flat_map(|error| wrap(error, room)).take(2);
    lines.extend(error.map(|line| Line::styled(line, ink.tone(Tone::Bad))));
    lines
}

fn failures(failures: &[FailureFact], room: usize, ink: Ink) -> Vec<Line<'static>> {
    const COLUMNS: &[Column] =
        &[Column::left(""), Column::left(""), Column::left(""), Column::left("")];
    let row = |failure: &FailureFact| {
        vec![
            ("failed".to_owned(), Tone::Bad),
            plain(format!("{} {}", failure.symbol, failure.timeframe)),
            plain(failure.kind.to_string()),
            plain(failure.message.clone()),
        ]
    };
    table(COLUMNS, &failures.iter().map(row).collect::<Vec<_>>(), room, ink).1
}

/// Past runs.
pub(super) fn runs(runs: &[RunFact], room: usize, now: i64, ink: Ink) -> Option<Body<'static>> {
    const COLUMNS: &[Column] = &[
        Column::left("AGO"),
        Column::left("STARTED").if_room(),
        Column::left("COMMAND"),
        Column::left("STATUS"),
        Column::right("JOBS"),
        Column::right("FAILED"),
        Column::right("NEW BARS").if_room(),
        Column::right("TOOK"),
        Column::left("RUN").if_room(),
    ];
    if runs.is_empty() {
        return None;
    }
    let row = |run: &RunFact| {
        let totals = &run.totals;
        let failed = if totals.failed > 0 { Tone::Bad } else { Tone::Plain };
        // What a run at work did is summed up at its end.
        let summed =
            |value: u64| if run.completed_at.is_some() { count(value) } else { "-".to_owned() };
        vec![
            plain(span(now.saturating_sub(run.started_at))),
            plain(instant(run.started_at)),
            plain(run.command.clone()),
            (run.status.to_string(), run_tone(run.status)),
            plain(summed(totals.symbols_total)),
            (summed(totals.failed), failed),
            plain(summed(totals.records_inserted)),
            plain(run.duration_seconds().map_or_else(|| "-".to_owned(), span)),
            plain(run.run_id.to_string()),
        ]
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    let (head, lines) = table(COLUMNS, &rows, room, ink);
    let title = vec![plain("Past runs")];
    Some(Body { title, fixed: vec![head], list: List::Lines(lines), rows: (2, 8) })
}
