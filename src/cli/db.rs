//! `mdctl db`: the database itself.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use schemars::Schema;

use crate::exit::Exit;
use crate::render;
use crate::store::lock::{self, Lock};
use crate::store::{Pruned, Store, StoreError};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, print};

/// Migrate, check, prune and describe the database.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl db info
  mdctl db check
  mdctl db prune                   weekly, from a timer")]
pub(super) struct Db {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// Make the database, or bring its schema up to this program's.
    #[command(after_help = "Examples:
  mdctl db migrate")]
    Migrate,
    /// SQLite's integrity check and the program's own invariants.
    ///
    /// Exits 74 when something is wrong.
    #[command(after_help = "Examples:
  mdctl db check
  mdctl db check --db copy.db      another database")]
    Check,
    /// Sizes, versions and rows.
    #[command(after_help = "Examples:
  mdctl db info
  mdctl db info --json")]
    Info,
    /// Delete log rows and runs that are older than `[database] retention` keeps them.
    ///
    /// It does so some rows at a time. Totals and bars stay; the room is used again.
    #[command(after_help = "Examples:
  mdctl db prune
  mdctl db prune --quiet           from a timer")]
    Prune,
}

impl Db {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.what {
            What::Check => render::db::findings_schema(),
            What::Prune => render::db::pruned_schema(),
            What::Migrate | What::Info => render::db::info_schema(),
        }
    }
}

pub(super) fn exec(command: &Db, scene: &Scene) -> Done {
    match command.what {
        What::Migrate => migrate(scene),
        What::Check => check(scene),
        What::Info => info(scene),
        What::Prune => prune(scene),
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

fn prune(scene: &Scene) -> Done {
    let retention = scene.settings.retention;
    // What is not there is not made.
    drop(scene.reader()?);
    let _lock = lock_alone(&scene.settings.database, "prune")?;
    let mut store = Store::open_write(&scene.settings.database)?;
    if retention.bars {
        tracing::warn!("`bars` in [database] retention is not acted on yet: no bar is deleted");
    }
    let before = |keep: Duration| {
        scene.wall_now.saturating_sub(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX))
    };
    let mut gone = Vec::new();
    for what in Pruned::ALL {
        let before = before(if what.is_of_runs() { retention.runs } else { retention.logs });
        let mut rows = 0;
        loop {
            let slice = store.write(|tx| tx.prune(what, before))?;
            if slice == 0 {
                break;
            }
            rows += slice;
        }
        gone.push((what.table(), rows));
    }
    store.checkpoint()?;
    print(|out| {
        if scene.json {
            render::db::pruned_json(out, &gone, scene.wall_now)
        } else {
            render::db::pruned(out, &gone)
        }
    })?;
    Ok(Exit::Success)
}

fn info(scene: &Scene) -> Done {
    describe(scene, &scene.reader()?)
}

fn describe(scene: &Scene, store: &Store) -> Done {
    let info = store.info()?;
    let path = &scene.settings.database;
    print(|out| {
        if scene.json {
            render::db::info_json(out, path, &info, scene.wall_now)
        } else {
            render::db::info(out, path, &info, scene.look)
        }
    })?;
    Ok(Exit::Success)
}

fn check(scene: &Scene) -> Done {
    let path = &scene.settings.database;
    // Unlike a report, it was asked about the file itself: one that cannot be read is its finding.
    let store = Store::open_read(path).map_err(|error| match error {
        StoreError::Missing(_) => Failure::of_reader(&error),
        _ => Failure::from(error),
    })?;
    let findings = store.findings()?;
    print(|out| {
        if scene.json {
            render::db::findings_json(out, path, &findings, scene.wall_now)
        } else {
            render::db::findings(out, path, &findings)
        }
    })?;
    Ok(if findings.is_empty() { Exit::Success } else { Exit::InputOutput })
}
