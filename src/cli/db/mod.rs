//! `mdctl db`: the database itself.

use std::path::Path;

use clap::{Args, Subcommand};
use schemars::Schema;

use crate::exit::Exit;
use crate::render;
use crate::store::lock::{self, Lock};
use crate::store::{Store, StoreError};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, print};

mod backup;
pub(super) mod backups;
mod copying;
mod prune;
mod restore;

/// Migrate, check, back up, restore, prune and describe the database.
///
/// `backup`, `check` and `info` only read, and work while a run writes. `restore` never writes over a file
/// that is there. `prune` deletes for good what `[database] retention` keeps no longer; `migrate` cannot be
/// undone: an older mdctl refuses the database from then on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl db info                    sizes, versions, rows, the last backup
  mdctl db check && mdctl db backup --keep 7 && mdctl db prune      weekly, from a timer
  mdctl db restore backups/mdctl-20240315T013000Z.db restored.db")]
pub(super) struct Db {
    #[command(subcommand)]
    what: What,
}

// As with the commands, what each one is for stands on its own struct where it has one.
#[derive(Debug, Subcommand)]
enum What {
    /// Make the database, or bring its schema up to this program's.
    ///
    /// Every command that writes does so by itself. It cannot be undone: an older mdctl refuses the database
    /// from then on, so back it up before.
    #[command(after_help = "Examples:
  mdctl db migrate
  mdctl db backup && mdctl db migrate")]
    Migrate,
    /// SQLite's integrity check and the program's own invariants; exits 74 when something is wrong.
    ///
    /// Each finding says what is wrong, in how many rows, and what mends it. Works while a run writes, and
    /// mends nothing by itself.
    #[command(after_help = "Examples:
  mdctl db check
  mdctl db check --json | jq -r '.details[].hint'
  mdctl db check --db restored.db")]
    Check,
    /// Sizes, versions, rows, what is free, and the last backup.
    #[command(after_help = "Examples:
  mdctl db info
  mdctl db info --json | jq '.free_bytes, .last_backup'")]
    Info,
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Delete for good what `[database] retention` keeps no longer, some at a time.
    ///
    /// Requests, computations and failures go after `logs`; runs with their jobs, revisions and daily quality
    /// figures after `runs`; bars of a timeframe with all that hangs on them only where `bars` says so, as in
    /// `bars = { 1m = '90d' }`. As long as that stands in the config they are not asked for again; without it
    /// they are due as any others. Where features are computed, the 200 bars before are kept besides, as the
    /// features of later ones are made of them. Totals stay, and so do the newest run and the newest good one
    /// that were no imports, and the newest bar of each series. Then the file gives back what is free in it;
    /// an older file that cannot is written anew once, where that is worth it and the disk has room.
    ///
    /// Reports go on working meanwhile; a run that starts waits or exits 75. What is interrupted is ended by
    /// the next prune.
    #[command(after_help = "Examples:
  mdctl db prune                   weekly, from a timer
  mdctl db backup && mdctl db prune")]
    Prune,
}

impl Db {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.what {
            What::Check => render::db::check::schema(),
            What::Prune => render::db::prune::schema(),
            What::Migrate | What::Info => render::db::info_schema(),
            What::Backup(_) => render::db::copy::backup_schema(),
            What::Restore(_) => render::db::copy::restore_schema(),
        }
    }
}

pub(super) fn exec(command: &Db, scene: &Scene) -> Done {
    match &command.what {
        What::Migrate => migrate(scene),
        What::Check => check(scene),
        What::Info => describe(scene, &scene.reader()?),
        What::Backup(command) => backup::exec(command, scene),
        What::Restore(command) => restore::exec(command, scene),
        What::Prune => prune::exec(scene),
    }
}

fn migrate(scene: &Scene) -> Done {
    let _lock = lock_alone(&scene.settings.database, "migrate")?;
    let store = Store::open_write(&scene.settings.database)?;
    describe(scene, &store)
}

/// The runs' lock, when no run is at work.
fn lock_alone(database: &Path, deed: &str) -> Result<Lock, Failure> {
    lock::try_lock(database)
        .map_err(|error| Failure::create(&lock::path_of(database), &error))?
        .ok_or_else(|| {
            Failure::new(Exit::Locked, "locked", "a run is at work on the database")
                .hinted(format!("{deed} when it has ended"))
        })
}

fn describe(scene: &Scene, store: &Store) -> Done {
    let info = store.info()?;
    let path = &scene.settings.database;
    let last_backup = backups::newest(path, store.identity()?.as_deref());
    let shown = render::db::Shown { path, info: &info, last_backup };
    print(|out| {
        if scene.json {
            render::db::info_json(out, &shown, scene.wall_now)
        } else {
            render::db::info(out, &shown, scene.wall_now, scene.look)
        }
    })?;
    Ok(Exit::Success)
}

/// What mends a database that is damaged.
const DAMAGED: &str = "restore a backup with `mdctl db restore` (`mdctl db info` names the last one), or move \
                       the file away and `mdctl backfill` anew";

fn check(scene: &Scene) -> Done {
    let path = &scene.settings.database;
    // Unlike a report, it was asked about the file itself: that it is damaged is its finding.
    let found = |error: StoreError| match error {
        error if error.is_damage() => Failure::from(error).hinted(DAMAGED),
        error => Failure::of_reader(&error),
    };
    let store = Store::open_read(path).map_err(found)?;
    let flaws = store.flaws().map_err(found)?;
    print(|out| {
        if scene.json {
            render::db::check::json(out, path, &flaws, scene.wall_now)
        } else {
            render::db::check::text(out, path, &flaws)
        }
    })?;
    Ok(if flaws.is_empty() { Exit::Success } else { Exit::InputOutput })
}
