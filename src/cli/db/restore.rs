//! `mdctl db restore`: a backup becomes a database again, where none is.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use crate::domain::beside::Beside;
use crate::exit::Exit;
use crate::render;
use crate::render::db::copy::Made;
use crate::store::lock::{self, Lock};
use crate::store::{self, Store, StoreError};

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{Done, print};
use super::copying::{self, Stop};
use super::lock_alone;

/// Copy a backup to where no database is yet, and prove both.
///
/// The backup is checked before, the copy after, as `backup` does. A backup of an older mdctl is fine: the
/// first command that writes brings it up to date; one of a newer mdctl is refused. A run that was at work
/// when the backup was made is called crashed by the next one, which fetches what it had not stored. The copy
/// counts as the same database: its backups, and those made before, are those of both.
///
/// To put it into the place of the database that is used, stop timers and services first; move away with it
/// what stands beside it (-wal and -shm), for rows may stand there that are nowhere else. While a run is at work
/// on it, nothing is restored to its place (exit 75).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl db restore backups/mdctl-20240315T013000Z.db restored.db
  mdctl --db restored.db db check && mdctl --db restored.db backfill
  for end in '' -wal -shm; do [ ! -e mdctl.db$end ] || mv mdctl.db$end damaged.db$end; done
  mdctl db restore backups/mdctl-20240315T013000Z.db mdctl.db      in its place")]
pub(super) struct Restore {
    /// The backup; any database of this program will do.
    backup: PathBuf,
    /// A file that is not there yet.
    #[arg(value_name = "NEW_PATH")]
    new_path: PathBuf,
}

pub(super) fn exec(command: &Restore, scene: &Scene) -> Done {
    let Restore { backup, new_path } = command;
    spare(command, scene)?;
    let is_in_use = scene.settings.own_file(new_path).is_some();
    let _locks = if is_in_use { Some(locks(&scene.settings.database)?) } else { None };
    let begun = Instant::now();
    let stop = Stop::listen()?;
    let source = Store::open_read(backup).map_err(of_backup)?;
    stop.or(source.proven(&|| stop.came().is_some()).map_err(of_backup)?)?;
    // Whatever mode the backup has been given on its way.
    let bits = store::mode_of(new_path);
    let (copied, _) = copying::copy(scene, &stop, &source, new_path, bits, &|_| None)?;
    let (bytes, took) = (copying::bytes(new_path), begun.elapsed());
    let made = Made { path: new_path, bytes, copied: &copied, took };
    print(|out| {
        if scene.json {
            render::db::copy::restore_json(out, &made, backup, is_in_use, scene.wall_now)
        } else {
            render::db::copy::restore(out, &made, is_in_use)
        }
    })?;
    Ok(Exit::Success)
}

/// The locks of the database that is restored to its own place. Who was at work on the one that was moved
/// away has it open still, holds them, and would write a log beside this one.
fn locks(database: &Path) -> Result<[Lock; 2], Failure> {
    let runs = lock_alone(database, "restore")?;
    let alerts = lock::try_alerts(database)
        .map_err(|error| Failure::create(&lock::alerts_path_of(database), &error))?
        .ok_or_else(|| {
            Failure::new(
                Exit::Locked,
                "locked",
                "`mdctl alerts --notify` is at work on the database",
            )
            .hinted("restore when it has ended")
        })?;
    Ok([runs, alerts])
}

/// What is wrong with a backup; that it is not there is no matter of a first run.
fn of_backup(error: StoreError) -> Failure {
    match error {
        StoreError::Missing(path) => {
            let words = if path.exists() { "is an empty file" } else { "is not there" };
            Failure::new(Exit::InputOutput, "storage", format!("{} {words}", path.display()))
                .hinted("name another backup; `mdctl db info` names the last one")
        }
        StoreError::Foreign(_) | StoreError::NoFile { .. } => {
            Failure::from(error).hinted("name a backup that `mdctl db backup` made")
        }
        error if error.is_damage() => {
            Failure::from(error).hinted("name another backup; this one cannot be restored")
        }
        error => Failure::from(error),
    }
}

/// Refuses a path where something is, also what a database leaves beside itself: SQLite would take the log
/// of another one for its own.
fn spare(command: &Restore, scene: &Scene) -> Result<(), Failure> {
    let path = &command.new_path;
    let own = scene.settings.own_file(path);
    if let Some(what) = own.filter(|what| *what != "the database") {
        return Err(Failure::usage(format!("{} is {what}", path.display()))
            .hinted("name a file that is not there yet"));
    }
    let parts = Beside::PARTS.map(|part| part.of(path));
    let there = |path: &&PathBuf| path.symlink_metadata().is_ok();
    let Some(found) = std::iter::once(path).chain(&parts).find(there) else { return Ok(()) };
    let what = format!("{} is there already", found.display());
    let hint = if found != path {
        "rows may stand in it that are nowhere else: move it to where its database went, or name another file"
    } else if own.is_some() {
        "restore to another path and name that with --db or [database] path; or move this one away, \
         its -wal and -shm with it, when nothing uses it"
    } else {
        "name a file that is not there yet"
    };
    Err(Failure::new(Exit::CannotCreate, "create", what).hinted(hint))
}
