//! `mdctl db restore`: a backup becomes a database again, where none is.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::exit::Exit;
use crate::render;
use crate::render::db::copy::Made;
use crate::store::{Store, StoreError};

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{Done, print};
use super::copying;

/// Copy a backup to where no database is yet, and prove both.
///
/// The backup is checked before, the copy after, as `backup` does. A backup of an older mdctl is fine: the
/// first command that writes brings it up to date; one of a newer mdctl is refused. A run that was at work
/// when the backup was made is called crashed by the next one, which fetches what it had not stored.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl db restore backups/mdctl-20240315T013000Z.db restored.db
  mdctl --db restored.db db check && mdctl --db restored.db backfill
  mv mdctl.db damaged.db && rm -f mdctl.db-wal mdctl.db-shm \\
    && mdctl db restore backups/mdctl-20240315T013000Z.db mdctl.db")]
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
    let begun = Instant::now();
    let source = Store::open_read(backup).map_err(of_backup)?;
    source.proven().map_err(of_backup)?;
    let copied = copying::copy(scene, &source, backup, new_path)?;
    let (bytes, took) = (copying::bytes(new_path), begun.elapsed());
    let made = Made { path: new_path, bytes, copied: &copied, took };
    let is_in_use = scene.settings.own_file(new_path).is_some();
    print(|out| {
        if scene.json {
            render::db::copy::restore_json(out, &made, backup, is_in_use, scene.wall_now)
        } else {
            render::db::copy::restore(out, &made, is_in_use)
        }
    })?;
    Ok(Exit::Success)
}

/// What is wrong with a backup; that it is not there is no matter of a first run.
fn of_backup(error: StoreError) -> Failure {
    match error {
        StoreError::Missing(path) => {
            Failure::new(Exit::InputOutput, "storage", format!("{} is no backup", path.display()))
                .hinted("`mdctl db info` names the last one")
        }
        error => Failure::from(error),
    }
}

/// Refuses a path where something is, also what a database leaves beside itself: SQLite would take the log
/// of another one for its own.
fn spare(command: &Restore, scene: &Scene) -> Result<(), Failure> {
    let path = &command.new_path;
    let database = &scene.settings.database;
    if let Some(what) = scene.settings.own_file(path).filter(|what| *what != "the database") {
        return Err(Failure::usage(format!("{} is {what}", path.display()))
            .hinted("name a file that is not there yet"));
    }
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut beside = path.clone().into_os_string();
        beside.push(ending);
        let beside = PathBuf::from(beside);
        if beside.symlink_metadata().is_err() {
            continue;
        }
        let what = format!("{} is there already", beside.display());
        let hint = if ending.is_empty() && beside == *database {
            "restore to another path and name that with --db or [database] path; or move this one away, \
             with its -wal, when nothing uses it"
        } else if ending.is_empty() {
            "name a file that is not there yet"
        } else {
            "it is what another database left beside itself: move it away, or name another file"
        };
        return Err(Failure::new(Exit::CannotCreate, "create", what).hinted(hint));
    }
    Ok(())
}
