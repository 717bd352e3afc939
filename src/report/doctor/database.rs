//! The database and the runs on it.

use crate::domain::probe::Soundness;
use crate::domain::time::seconds;
use crate::domain::words::{bytes, count, counted, instant, span};

use super::super::health::{Code, Disk};
use super::{Finding, Seen, State};

/// A run may take a little longer than its deadline to come to its end.
const BEYOND_DEADLINE: i64 = 600;

/// The database, as it was found.
#[derive(Debug)]
pub enum Database {
    /// There is none yet.
    Missing,
    /// It cannot be read: what happened, and what to do.
    Unreadable(String, Option<String>),
    /// It can.
    Read {
        /// The schema version of the file, and the newest that this program knows.
        versions: (i64, i64),
        /// What SQLite says of it.
        soundness: Soundness,
        /// Bytes of its file.
        bytes: u64,
    },
}

impl Database {
    /// Whether there is one that this program may write as it is.
    #[must_use]
    pub fn is_current(&self) -> bool {
        matches!(self, Self::Read { versions: (found, newest), .. } if found == newest)
    }
}

/// What the next backfill would bring, and the disk that it would be brought to.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The disk under the database.
    pub disk: Disk,
    /// Bars that are due and not stored.
    pub bars: u64,
}

/// Who holds the lock.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    /// The process; `None` where the system does not say.
    pub process: Option<u32>,
}

/// The file itself, and its schema.
pub(super) fn database(seen: &Seen<'_>) -> Vec<Finding> {
    let subject = seen.settings.database.display().to_string();
    let (versions, soundness, size) = match &seen.database {
        Database::Missing => {
            let missing = Finding::warning("database", &subject, "there is none yet");
            return vec![missing.mended_by("mdctl db migrate, or the first run, makes it")];
        }
        Database::Unreadable(why, hint) => {
            let unreadable = Finding::critical("database", &subject, why);
            return vec![match hint {
                Some(hint) => unreadable.mended_by(hint),
                None => unreadable,
            }];
        }
        Database::Read { versions, soundness, bytes } => (*versions, soundness, *bytes),
    };
    vec![sound(&subject, soundness, size), schema(&subject, versions)]
}

fn sound(subject: &str, soundness: &Soundness, size: u64) -> Finding {
    let size = bytes(size);
    match soundness {
        Soundness::Sound(true) => Finding::ok(
            "database",
            subject,
            format!("SQLite's integrity_check finds nothing wrong ({size})"),
        ),
        Soundness::Sound(false) => {
            let message = format!(
                "SQLite's quick_check finds nothing wrong ({size}: too much to hold its indices against \
                 their tables now; `mdctl db check` does)"
            );
            Finding::ok("database", subject, message)
        }
        Soundness::TooLong => Finding::skipped(
            "database",
            subject,
            format!("{size} are more than can be looked at in a few seconds"),
        )
        .mended_by("mdctl db check"),
        Soundness::Damaged(lines) => {
            let first = lines.first().map_or("", String::as_str);
            Finding::critical("database", subject, format!("it is damaged: {first}"))
                .mended_by("`mdctl db check` tells all of it; then `mdctl db restore`, or move the file away and `mdctl backfill` anew")
        }
    }
}

fn schema(subject: &str, (found, newest): (i64, i64)) -> Finding {
    if found == newest {
        return Finding::ok("schema", subject, format!("schema version {found} is this mdctl's"));
    }
    let message = format!(
        "schema version {found}, this mdctl's is {newest}: the next run brings it up to date, and older \
         ones refuse it then"
    );
    Finding::warning("schema", subject, message).mended_by("mdctl db migrate")
}

/// Free space against what the verdict expects of a run, and against the plan.
pub(super) fn disk(seen: &Seen<'_>) -> Finding {
    let Some(Plan { disk, bars }) = seen.plan else {
        return Finding::skipped("disk", "disk", "the system does not say how much is free");
    };
    let needed = disk.needed(bars);
    let estimate =
        if disk.bars == 0 { "an estimate, for want of bars" } else { "as the stored ones take" };
    let message = format!(
        "{} are free; the next backfill plans {} and may need {}, {estimate}",
        bytes(disk.free_bytes),
        counted(bars, "bar"),
        bytes(needed)
    );
    let state = match disk.free_bytes {
        free if free < needed => State::Critical,
        free if free < needed.saturating_mul(2) => State::Warning,
        _ => State::Ok,
    };
    let finding = Finding::new("disk", "disk", state, message);
    match seen.issue(&[Code::DiskLow]).map(|issue| Finding::of_issue("disk", issue)) {
        Some(low) if low.state > state => low,
        _ if state == State::Ok => finding,
        _ => finding.mended_by(
            "free space on it, or move the database to a larger one and name it with [database] path; a \
             shorter `lookback` plans fewer bars",
        ),
    }
}

pub(super) fn lock(seen: &Seen<'_>) -> Finding {
    let Some(holder) = &seen.holder else {
        return Finding::ok("lock", "lock", "nobody holds it");
    };
    let process =
        holder.process.map_or_else(|| "a process".to_owned(), |id| format!("process {id}"));
    let running =
        seen.health.as_ref().and_then(|health| health.evidence.as_ref()?.running.as_ref());
    let Some(run) = running else {
        return Finding::ok("lock", "lock", format!("{process} holds it, which is no run"));
    };
    let since = seen.now.saturating_sub(run.started_at);
    let message = format!(
        "{process} holds it: run {} {} since {}, {}",
        run.run_id,
        run.command,
        instant(run.started_at),
        span(since)
    );
    let deadline = seconds(seen.settings.run.deadline);
    if since > deadline.saturating_add(BEYOND_DEADLINE) {
        let message = if run.is_import() {
            format!("{message}, and others wait for it")
        } else {
            format!("{message}, and its deadline was {}", span(deadline))
        };
        let kill = holder.process.map_or_else(String::new, |id| {
            format!("; kill {id} stops it, and what it stored is kept")
        });
        return Finding::warning("lock", "lock", message).mended_by(format!("mdctl status{kill}"));
    }
    Finding::ok("lock", "lock", message)
}

pub(super) fn pause(seen: &Seen<'_>) -> Finding {
    match seen.issue(&[Code::Paused]) {
        Some(issue) => Finding::of_issue("pause", issue),
        None if seen.health.is_none() => unread("pause", "pause"),
        None => Finding::ok("pause", "pause", "none is on"),
    }
}

/// How the last run ended, and how long ago, as the verdict has it. Before the first one there is nothing
/// to be late with.
pub(super) fn last_run(seen: &Seen<'_>) -> Finding {
    let Some(evidence) = seen.health.as_ref().and_then(|health| health.evidence.as_ref()) else {
        return unread("last_run", "runs");
    };
    let Some(run) = &evidence.last else {
        let message = match evidence.running.as_ref().filter(|run| !run.is_import()) {
            Some(run) => format!("run {} is the first, and at work", run.run_id),
            None => "nothing has run yet".to_owned(),
        };
        return Finding::skipped("last_run", "runs", message).mended_by("mdctl backfill");
    };
    if let Some(issue) = seen.issue(&[Code::RunOverdue, Code::LastRunFailed, Code::LastRunPartial])
    {
        return Finding::of_issue("last_run", issue);
    }
    let ended = run.completed_at.unwrap_or(run.started_at);
    let most = seconds(seen.settings.health.max_run_age);
    let message = format!(
        "{} {} {} ago: {}, {} new; at most {} may pass",
        run.run_id,
        run.command,
        span(seen.now.saturating_sub(ended)),
        run.status,
        count(run.totals.records_inserted),
        span(most)
    );
    Finding::ok("last_run", "runs", message)
}

/// What stands in a database that cannot be read.
fn unread(code: &'static str, subject: &str) -> Finding {
    Finding::skipped(code, subject, "the database would tell, and cannot be read")
}
