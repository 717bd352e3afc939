//! `mdctl pause` and `mdctl resume`: runs do nothing for a while, or work again.
//!
//! Neither takes the run lock: a pause is ordered while a run is at work, too, and stops those after
//! it.

use clap::Args;

use crate::domain::control;
use crate::domain::words::instant;
use crate::exit::Exit;
use crate::render;
use crate::render::pause::Told;
use crate::store::{Store, StoreError, lock};

use super::deed::{Hand, Reason};
use super::scene::Scene;
use super::times::Ending;
use super::{Done, print};

/// Make runs do nothing for a while, or until an instant.
///
/// Every run is recorded as `skipped` meanwhile and exits 0. A pause ends by itself; a second one takes
/// the place of the first. Reports go on, and `health` says that runs are paused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl pause --for 2h --reason \"the disk is being changed\"
  mdctl pause --until 2024-12-26 --reason holidays
  mdctl resume")]
pub(super) struct Pause {
    #[command(flatten)]
    ending: Ending,
    /// Why; the audit log keeps it, and `health` shows it.
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
}

/// End a pause before its time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl resume
  mdctl resume --reason \"the disk is changed\"")]
pub(super) struct Resume {
    /// Why; the audit log keeps it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<Reason>,
}

pub(super) fn pause(command: &Pause, scene: &Scene) -> Done {
    let hand = Hand::callers();
    let ordered = control::Pause {
        since: scene.wall_now,
        until: command.ending.of("pause", scene.wall_now)?,
        reason: command.reason.to_string(),
        who: hand.who.clone(),
    };
    let subject = format!("runs until {}", instant(ordered.until));
    let mut store = Store::open_write(&scene.settings.database)?;
    let previous = store.write(|writer| {
        let previous = writer.pause_at(scene.wall_now)?;
        writer.pause_set(&ordered)?;
        writer.audit_add(&hand.deed(scene.wall_now, "pause", &subject, &ordered.reason))?;
        Ok::<_, StoreError>(previous)
    })?;
    tell(scene, Some(ordered), previous)
}

pub(super) fn resume(command: &Resume, scene: &Scene) -> Done {
    let database = &scene.settings.database;
    // Where no run has ever been there is nothing to end, and no reason to make a database.
    let previous = if database.exists() {
        let reason = Reason::or_none(command.reason.as_ref());
        let hand = Hand::callers();
        let deed = hand.deed(scene.wall_now, "resume", "runs", reason);
        Store::open_write(database)?.write(|writer| {
            let previous = writer.pause_at(scene.wall_now)?;
            if previous.is_some() {
                writer.pause_clear()?;
                writer.audit_add(&deed)?;
            }
            Ok::<_, StoreError>(previous)
        })?
    } else {
        None
    };
    tell(scene, None, previous)
}

/// Says what holds now, and what held before.
fn tell(scene: &Scene, paused: Option<control::Pause>, previous: Option<control::Pause>) -> Done {
    let told = Told { paused, previous, running: lock::is_held(&scene.settings.database) };
    print(|out| {
        if scene.json {
            render::pause::json(out, &told, scene.wall_now)
        } else {
            render::pause::sentences(out, &told)
        }
    })?;
    Ok(Exit::Success)
}
