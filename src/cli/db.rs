//! `mdctl db`: the database itself.

use clap::{Args, Subcommand};
use schemars::Schema;

use crate::exit::Exit;
use crate::render;
use crate::store::{Store, StoreError, lock};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, print};

/// Migrate, check and describe the database.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl db info
  mdctl db check")]
pub(super) struct Db {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// Make the database, or bring its schema up to this program's.
    Migrate,
    /// SQLite's integrity check and the program's own invariants; exits 74 when something is wrong.
    Check,
    /// Sizes, versions and rows.
    Info,
}

impl Db {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.what {
            What::Check => render::db::findings_schema(),
            What::Migrate | What::Info => render::db::info_schema(),
        }
    }
}

pub(super) fn exec(command: &Db, scene: &Scene) -> Done {
    match command.what {
        What::Migrate => migrate(scene),
        What::Check => check(scene),
        What::Info => info(scene),
    }
}

fn migrate(scene: &Scene) -> Done {
    let database = &scene.settings.database;
    let _lock = lock::try_lock(database)
        .map_err(|error| Failure::create(&lock::path_of(database), &error))?
        .ok_or_else(|| {
            Failure::new(Exit::Locked, "locked", "a run is at work on the database")
                .hinted("migrate when it has ended")
        })?;
    let store = Store::open_write(database)?;
    describe(scene, &store)
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
