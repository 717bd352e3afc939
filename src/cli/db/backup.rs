//! `mdctl db backup`: a copy that is opened and counted before it is called one.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use crate::domain::place::folder_of;
use crate::exit::Exit;
use crate::file;
use crate::render;
use crate::render::db::copy::Made;
use crate::store::Store;

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{Done, print};
use super::backups;
use super::copying::{self, Stop};

/// Copy the database while it is used, and prove the copy.
///
/// The copy is the database as it stood when it was begun; a run that writes goes on, and so do reports. It
/// is opened, checked by SQLite, and its rows are counted against those that were copied; only then it gets
/// its name. It is one file, readable by whoever may read the database. Nothing is ever written over.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl db backup                          backups/mdctl-20240315T013000Z.db, beside the database
  mdctl db backup --keep 7                 and only the seven newest stay
  mdctl db backup /mnt/backups --keep 30   in another folder
  mdctl db backup before-the-upgrade.db")]
pub(super) struct Backup {
    /// A file that is not there yet, or a folder in which the file is named by the time; else the folder
    /// `backups` beside the database.
    path: Option<PathBuf>,
    /// Then delete the oldest backups of this database in that folder, so that so many stay.
    ///
    /// Only files that are named as backups are, and bear this database's own id, are counted and deleted:
    /// several may share a folder, whatever their names. An mdctl older than these ids left none in its
    /// databases; backups of such are never deleted. What could not be restored, being cut off or from a newer
    /// mdctl, is not counted and not deleted, but named in a warning; `mdctl --db FILE db check` looks at all
    /// of a backup.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
}

pub(super) fn exec(command: &Backup, scene: &Scene) -> Done {
    let database = &scene.settings.database;
    let store = Store::open_read(database)?;
    let target = target(command, scene)?;
    let begun = Instant::now();
    let bits = copying::bits(database);
    // Two that are begun in the same second have chosen the same name.
    let is_named = command.path.as_ref().is_none_or(|path| path.is_dir());
    let next = |taken: &Path| {
        is_named.then(|| backups::new_path(folder_of(taken), database, scene.wall_now))
    };
    let stop = Stop::listen()?;
    let (copied, target) = copying::copy(scene, &stop, &store, &target, bits, &next)?;
    let took = begun.elapsed();
    let folder = folder_of(&target);
    let deleted = match command.keep {
        Some(most) => keep(&store, folder, &target, most as usize, database)?,
        None => Vec::new(),
    };
    let made = Made { path: &target, bytes: copying::bytes(&target), copied: &copied, took };
    print(|out| {
        if scene.json {
            render::db::copy::backup_json(out, &made, &deleted, scene.wall_now)
        } else {
            render::db::copy::backup(out, &made, &deleted)
        }
    })?;
    Ok(Exit::Success)
}

/// Deletes the oldest backups of the database in `folder`; tells which. One of an older schema cannot know
/// its own.
fn keep(
    store: &Store,
    folder: &Path,
    made: &Path,
    most: usize,
    database: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let Some(identity) = store.identity()? else { return Ok(Vec::new()) };
    backups::keep(folder, database, &identity, made, most).map_err(|error| {
        let what = format!("{} was made; older ones cannot be deleted", made.display());
        Failure::io(what, &error)
    })
}

/// The file to be made.
fn target(command: &Backup, scene: &Scene) -> Result<PathBuf, Failure> {
    let database = &scene.settings.database;
    let in_folder = |folder: &Path| backups::new_path(folder, database, scene.wall_now);
    let target = match &command.path {
        None => {
            let folder = backups::folder_beside(database);
            make_folder(&folder, database)?;
            in_folder(&folder)
        }
        Some(folder) if folder.is_dir() => in_folder(folder),
        Some(folder) if folder.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            return Err(copying::no_folder(folder, folder));
        }
        Some(path) => path.clone(),
    };
    if let Some(what) = scene.settings.own_file(&target) {
        return Err(Failure::usage(format!("{} is {what}", target.display()))
            .hinted("name another file, or a folder"));
    }
    if command.keep.is_some() && !backups::is_named_so(&target, database) {
        return Err(Failure::usage(format!(
            "--keep counts backups by their names, and {} is not named as one",
            target.display()
        ))
        .hinted("name a folder, or leave --keep out"));
    }
    Ok(target)
}

/// Makes the usual folder, for those who may read the database.
fn make_folder(folder: &Path, database: &Path) -> Result<(), Failure> {
    let may_read = copying::bits(database) & 0o444;
    // Who may read a folder is to be let into it, too.
    let bits = 0o700 | may_read | may_read >> 2;
    match file::make_folder(folder, bits) {
        Err(_) if folder.is_dir() => Ok(()),
        made => made.map_err(|error| Failure::create(folder, &error)),
    }
}
