//! The backups: where somebody makes them, is there one that is young enough?

use crate::domain::schedule::Chore;
use crate::domain::timeframe::DAY;
use crate::domain::words::{bytes, instant, span};

use super::{Finding, Seen, Timers};

/// So old the newest may become, in seconds: the maintenance makes one a week, and may be missed once.
const MOST: i64 = 15 * DAY;

pub(super) fn backup(seen: &Seen<'_>) -> Finding {
    let timer = match &seen.timers {
        Timers::Known(timers) => timers
            .iter()
            .find(|timer| timer.chore == Chore::Maintenance && timer.installed && timer.active),
        Timers::NoSystemd | Timers::Silent => None,
    };
    let remedy = "mdctl db backup; journalctl -u mdctl-maintenance says why none came";
    match (&seen.newest_backup, timer) {
        (Some(newest), _) => {
            let age = seen.now.saturating_sub(newest.at);
            let subject = newest.path.display().to_string();
            let message = format!("the newest is {} old, of {}", span(age), bytes(newest.bytes));
            if age > MOST {
                let message = format!("{message}: more than {} is too old", span(MOST));
                return Finding::warning("backup", &subject, message).mended_by(remedy);
            }
            Finding::ok("backup", &subject, message)
        }
        (None, Some(timer)) if !seen.is_older_than(MOST) => {
            let next = timer.next_at.map(|at| format!(", at {}", instant(at)));
            let message = format!(
                "there is none yet; the maintenance makes the first{}",
                next.unwrap_or_default()
            );
            Finding::skipped("backup", "backup", message)
        }
        (None, Some(_)) => {
            let none = "there is none, though the maintenance is to make one a week";
            Finding::warning("backup", "backup", none).mended_by(remedy)
        }
        (None, None) => {
            let nobody = "nobody makes any here; those in other folders are not looked at";
            Finding::skipped("backup", "backup", nobody)
                .mended_by("mdctl db backup; the units' maintenance makes one a week")
        }
    }
}
