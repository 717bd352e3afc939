//! `mdctl alerts snooze` and `unsnooze`: nobody is told of an alert for a while.

use clap::Args;

use crate::domain::alert;
use crate::domain::words::instant;
use crate::exit::Exit;
use crate::render;
use crate::render::snooze::Told;
use crate::store::{Store, StoreError};

use super::super::deed::{Hand, Reason};
use super::super::scene::Scene;
use super::super::select::known;
use super::super::times::Ending;
use super::super::{Done, print};

/// Tell nobody of an alert for a while.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl alerts snooze StaleSeries --for 4h --reason \"the vendor is moving\"
  mdctl alerts snooze StaleSeries --until 2024-12-26 --reason holidays")]
pub(super) struct Snooze {
    /// The rule.
    name: String,
    #[command(flatten)]
    ending: Ending,
    /// Why; the audit log keeps it.
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
}

/// End a snooze before its time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl alerts unsnooze StaleSeries
  mdctl alerts unsnooze StaleSeries --reason \"the vendor has moved\"")]
pub(super) struct Unsnooze {
    /// The rule.
    name: String,
    /// Why; the audit log keeps it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<Reason>,
}

pub(super) fn snooze(command: &Snooze, scene: &Scene) -> Done {
    let rules = scene.settings.alerts.iter().map(|rule| rule.name.as_str());
    known("alert", Some(&command.name), rules)?;
    let hand = Hand::callers();
    let ordered = alert::Snooze {
        rule: command.name.clone(),
        since: scene.wall_now,
        until: command.ending.of("snooze", scene.wall_now)?,
        reason: command.reason.to_string(),
        who: hand.who.clone(),
    };
    let subject = format!("{} until {}", ordered.rule, instant(ordered.until));
    let previous = Store::open_write(&scene.settings.database)?.write(|writer| {
        let mut memory = writer.alert_memory()?;
        writer.alert_snooze(&ordered)?;
        writer.audit_add(&hand.deed(scene.wall_now, "alert_snooze", &subject, &ordered.reason))?;
        Ok::<_, StoreError>(memory.snoozes.remove(&ordered.rule))
    })?;
    tell(scene, &command.name, Some(ordered), previous)
}

pub(super) fn unsnooze(command: &Unsnooze, scene: &Scene) -> Done {
    let rules = scene.settings.alerts.iter().map(|rule| rule.name.as_str());
    known("alert", Some(&command.name), rules)?;
    let (database, now) = (&scene.settings.database, scene.wall_now);
    // Where no run has ever been there is nothing to end, and no reason to make a database.
    let previous = if database.exists() {
        let reason = Reason::or_none(command.reason.as_ref());
        let hand = Hand::callers();
        let deed = hand.deed(now, "alert_unsnooze", &command.name, reason);
        Store::open_write(database)?.write(|writer| {
            let previous = writer.alert_memory()?.snooze_at(&command.name, now).cloned();
            if previous.is_some() {
                writer.alert_unsnooze(&command.name, now)?;
                writer.audit_add(&deed)?;
            }
            Ok::<_, StoreError>(previous)
        })?
    } else {
        None
    };
    tell(scene, &command.name, None, previous)
}

/// Says what holds now, and what held before.
fn tell(
    scene: &Scene,
    rule: &str,
    snoozed: Option<alert::Snooze>,
    previous: Option<alert::Snooze>,
) -> Done {
    let previous = previous.filter(|previous| previous.until > scene.wall_now);
    let told = Told { rule, snoozed, previous };
    print(|out| {
        if scene.json {
            render::snooze::json(out, &told, scene.wall_now)
        } else {
            render::snooze::sentences(out, &told)
        }
    })?;
    Ok(Exit::Success)
}
