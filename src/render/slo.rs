//! Service levels, as tables and as JSON.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::words::{count, instant, span};
use crate::report::slo::{Cause, Incident, Objective, Recovery, Slo, Unit};

use super::schema;
use super::table::{Column, Look, Rows, Tone};

/// Incidents in the table, at most.
const MOST_INCIDENTS: usize = 20;

/// Writes objectives, recovery by cause, and the newest incidents.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, slo: &Slo, look: Look, now: i64) -> io::Result<()> {
    writeln!(out, "over {}, since {}\n", span(slo.window_seconds), instant(slo.since))?;
    objectives(out, &slo.objectives, look)?;
    if slo.incidents.is_empty() {
        return writeln!(out, "\nno incidents");
    }
    writeln!(out, "\nrecovery by cause")?;
    recovery(out, &slo.recovery, look)?;
    writeln!(out, "\nincidents")?;
    incidents(out, &slo.incidents, look, now)
}

fn objectives(out: &mut dyn Write, objectives: &[Objective], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("OBJECTIVE"),
        Column::left("STATUS"),
        Column::right("TARGET"),
        Column::right("ACHIEVED"),
        Column::right("BUDGET LEFT").if_room(),
        Column::right("JUDGED BY").if_room(),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for objective in objectives {
        let plain = |text: String| (text, Tone::Plain);
        let (status, tone) = match objective.met {
            Some(true) => ("met", Tone::Good),
            Some(false) => ("missed", Tone::Bad),
            None => ("nothing to judge", Tone::Plain),
        };
        let budget = objective.budget_left;
        rows.add_toned([
            plain(objective.name.to_owned()),
            (status.to_owned(), tone),
            plain(figure(objective.unit, objective.target)),
            plain(objective.achieved.map_or_else(dash, |value| figure(objective.unit, value))),
            plain(budget.map_or_else(dash, budget_left)),
            plain(count(objective.measured)),
        ]);
    }
    rows.write(out)
}

fn recovery(out: &mut dyn Write, recovery: &[Recovery], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("CAUSE"),
        Column::right("INCIDENTS"),
        Column::right("OPEN"),
        Column::right("WORST RECOVERY"),
        Column::right("WORST EXPOSURE").if_room(),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for row in recovery {
        rows.add([
            row.cause.as_str().to_owned(),
            count(row.incidents),
            count(row.open),
            span(row.worst_recovery_seconds),
            row.worst_exposure_seconds.map_or_else(dash, span),
        ]);
    }
    rows.write(out)
}

fn incidents(out: &mut dyn Write, incidents: &[Incident], look: Look, now: i64) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("CAUSE"),
        Column::left("SUBJECT"),
        Column::left("STARTED"),
        Column::left("ENDED").if_room(),
        Column::right("RECOVERY"),
        Column::left("DETAIL").if_room(),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for incident in incidents.iter().take(MOST_INCIDENTS) {
        let plain = |text: String| (text, Tone::Plain);
        rows.add_toned([
            plain(incident.cause.as_str().to_owned()),
            plain(incident.subject.clone()),
            plain(instant(incident.started_at)),
            match incident.ended_at {
                Some(ended_at) => plain(instant(ended_at)),
                None => ("it lasts".to_owned(), Tone::Bad),
            },
            plain(span(incident.recovery_seconds(now))),
            plain(incident.detail.clone()),
        ]);
    }
    rows.write(out)?;
    match incidents.len().saturating_sub(MOST_INCIDENTS) {
        0 => Ok(()),
        more => writeln!(out, "and {} more; --json tells all", count(more as u64)),
    }
}

/// How far below nothing it is tells little that the other figures don't.
fn budget_left(left: f64) -> String {
    if left > 0.0 { format!("{:.0} %", left * 100.0) } else { "none".to_owned() }
}

fn figure(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Percent => format!("{value:.2} %"),
        Unit::Seconds if value < 60.0 => format!("{value:.1}s"),
        // A whole number of seconds is all that a span of minutes and more shows.
        Unit::Seconds => span(value as i64),
    }
}

fn dash() -> String {
    "-".to_owned()
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The first instant that is looked at.
    since: String,
    /// How long the window is.
    window_seconds: i64,
    /// A row an objective.
    objectives: Vec<ObjectiveJson>,
    /// What incidents came to, by cause.
    recovery: Vec<RecoveryJson>,
    /// The newest first.
    incidents: Vec<IncidentJson<'a>>,
}

/// A promise, and what came of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Objective")]
struct ObjectiveJson {
    /// Its name in the config.
    name: &'static str,
    /// What target and achieved are: percentages (0..100) or seconds.
    #[schemars(extend("enum" = ["percent", "seconds"]))]
    unit: &'static str,
    /// What was promised.
    target: f64,
    /// What was achieved; null when there was nothing to judge.
    achieved: Option<f64>,
    /// Whether the promise was kept; null when there was nothing to judge.
    met: Option<bool>,
    /// What is left of the trouble that the promise allows: 1 all of it, 0 nothing, below 0 when more was
    /// used; null when there was nothing to judge, or nothing is allowed.
    error_budget_left: Option<f64>,
    /// How many runs, requests, bars, lags or incidents it was judged by.
    measured: u64,
}

/// What incidents of one cause came to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Recovery")]
struct RecoveryJson {
    /// The cause.
    #[schemars(extend("enum" = schema::words(&Cause::ALL, Cause::as_str)))]
    cause: &'static str,
    /// How many.
    incidents: u64,
    /// How many of them are not over.
    open: u64,
    /// The longest time from its beginning to its end, or to now.
    worst_recovery_seconds: i64,
    /// The longest time from the last good run before it to its end; null without one.
    worst_exposure_seconds: Option<i64>,
}

/// Something that went wrong.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Incident")]
struct IncidentJson<'a> {
    /// The cause.
    #[schemars(extend("enum" = schema::words(&Cause::ALL, Cause::as_str)))]
    cause: &'static str,
    /// What it was about: a provider, `runs` or `series`.
    subject: &'a str,
    /// When it began.
    started_at: String,
    /// When it ended; null while it lasts.
    ended_at: Option<String>,
    /// From its beginning to its end, or to now.
    recovery_seconds: i64,
    /// From the last good run before it to its end, or to now; null without one.
    exposure_seconds: Option<i64>,
    /// The run that showed it first; null where no run did.
    run_id: Option<&'a str>,
    /// In words.
    detail: &'a str,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl slo --json")
}

/// Writes the JSON document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, slo: &Slo, now: i64) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        since: instant(slo.since),
        window_seconds: slo.window_seconds,
        objectives: slo.objectives.iter().map(objective_json).collect(),
        recovery: slo.recovery.iter().map(recovery_json).collect(),
        incidents: slo.incidents.iter().map(|incident| incident_json(incident, now)).collect(),
    };
    super::json(out, &document)
}

const fn objective_json(objective: &Objective) -> ObjectiveJson {
    ObjectiveJson {
        name: objective.name,
        unit: objective.unit.as_str(),
        target: objective.target,
        achieved: objective.achieved,
        met: objective.met,
        error_budget_left: objective.budget_left,
        measured: objective.measured,
    }
}

const fn recovery_json(recovery: &Recovery) -> RecoveryJson {
    RecoveryJson {
        cause: recovery.cause.as_str(),
        incidents: recovery.incidents,
        open: recovery.open,
        worst_recovery_seconds: recovery.worst_recovery_seconds,
        worst_exposure_seconds: recovery.worst_exposure_seconds,
    }
}

fn incident_json(incident: &Incident, now: i64) -> IncidentJson<'_> {
    IncidentJson {
        cause: incident.cause.as_str(),
        subject: &incident.subject,
        started_at: instant(incident.started_at),
        ended_at: incident.ended_at.map(instant),
        recovery_seconds: incident.recovery_seconds(now),
        exposure_seconds: incident.exposure_seconds(now),
        run_id: incident.run_id.as_ref().map(|id| id.0.as_str()),
        detail: &incident.detail,
    }
}
