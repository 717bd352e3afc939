//! `mdctl doctor`: is everything there that keeps the data fresh?

use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::config::access::Access;
use crate::config::{self, ConfigError, Settings};
use crate::render;
use crate::report::doctor::{self, Database, Examination, Holder, Seen, Timers};
use crate::store::{Store, StoreError, StoreResult, lock};
use crate::systemd::{self, Manager};

use super::db::backups;
use super::failure::Failure;
use super::scene::Scene;
use super::{Done, Global, print};

mod notifiers;
mod plan;
mod probes;
mod providers;
mod rights;

use rights::Rights;

/// How long SQLite may look at the whole file.
const TO_LOOK: Duration = Duration::from_secs(4);

/// What is wrong with the setup, and how to mend it.
///
/// Looks at the config, who can read and write it and the keys, the database, the disk, the lock, the
/// providers (one small request each, within their quotas), the clock, the timers, the backups, the last
/// run and the notifiers. As root it judges by the rights of the database folder's owner. Keys are never shown. Exits 0 when nothing is wrong, 1 with a warning, 2 when something is
/// critical, and 78 when the config cannot be followed; a signal ends it without a verdict.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl doctor
  mdctl doctor --send-test         and a message to every notifier, marked as a test
  mdctl doctor --json | jq -r '.findings[] | select(.state == \"critical\").remedy'")]
pub(super) struct Doctor {
    /// Send every notifier a message that says that it is a test.
    #[arg(long)]
    send_test: bool,
}

pub(super) fn exec(command: &Doctor, global: &Global) -> Done {
    let found = config::find(global.config.as_deref());
    match found.and_then(|path| config::load(&path, global.db.as_deref())) {
        // It is what was to be found out, and not the end of it.
        Err(error) => broken(&error, global),
        Ok(settings) => {
            let scene = Scene::of(settings, global, false)?;
            let examination = examine(command, &scene)?;
            let config = Some(scene.settings.config_path.as_path());
            tell(&examination, config, scene.json, scene.look, scene.wall_now)
        }
    }
}

fn broken(error: &ConfigError, global: &Global) -> Done {
    let access = Access::of(&error.path).ok();
    let examination = doctor::broken(error, error.hint.as_deref(), access.as_ref());
    let path = access.is_some().then_some(error.path.as_path());
    tell(&examination, path, global.json, super::scene::look(global.color), crate::clock::now())
}

fn tell(
    examination: &Examination,
    config: Option<&Path>,
    json: bool,
    look: render::table::Look,
    now: i64,
) -> Done {
    print(|out| {
        if json {
            render::doctor::json(out, examination, config, now)
        } else {
            render::doctor::lines(out, examination, look)
        }
    })?;
    Ok(examination.exit())
}

fn examine(command: &Doctor, scene: &Scene) -> Result<Examination, Failure> {
    let settings: &Settings = &scene.settings;
    let (database, store) = database(&settings.database);
    let health = store.as_ref().and_then(|_| super::health::judge(scene).ok());
    let holder = lock::is_held(&settings.database)
        .then(|| Holder { process: lock::holder(&settings.database) });
    let plan = plan::next(scene, store.as_ref());
    let identity = store.as_ref().and_then(|store| store.identity().ok()?);
    drop(store);
    // Before the threads that fetch: they take signals for themselves.
    let listeners = notifiers::try_all(scene, command.send_test);
    let providers = providers::try_all(scene, &database, health.as_ref(), holder.is_some())?;
    let timers = timers(&settings.config_path);
    let rights = Rights::of(&settings.database, &timers);
    let seen = Seen {
        settings,
        now: scene.wall_now,
        config: Access::of(&settings.config_path).ok(),
        exposed: settings.exposed_secrets(),
        guarded: settings.files_with_secrets().filter(|(path, _)| path.exists()).count() as u64,
        folder: rights.folder_of(&settings.database),
        database_files: rights.database_files(&settings.database),
        outputs: rights.outputs(settings),
        worker: rights.worker,
        database,
        health,
        plan,
        holder,
        providers,
        timers,
        newest_backup: backups::newest(&settings.database, identity.as_deref()),
        listeners,
    };
    Ok(doctor::judge(&seen))
}

/// What systemd knows of the config's timers.
fn timers(config: &Path) -> Timers {
    if ![Manager::System, Manager::User].into_iter().any(systemd::is_at_work) {
        return Timers::NoSystemd;
    }
    systemd::timers(config).map_or(Timers::Silent, Timers::Known)
}

/// The database as it is, and the way into it where there is one.
fn database(path: &Path) -> (Database, Option<Store>) {
    let read = |store: &Store| -> StoreResult<Database> {
        Ok(Database::Read {
            versions: store.schema_versions()?,
            soundness: store.soundness(TO_LOOK)?,
            bytes: store.room()?.bytes,
        })
    };
    let opened = Store::open_read(path).and_then(|store| Ok((read(&store)?, store)));
    match opened {
        Ok((database, store)) => (database, Some(store)),
        Err(StoreError::Missing(_)) => (Database::Missing, None),
        Err(error) => {
            let failure = Failure::from(error);
            let hint = failure.hint().map(str::to_owned);
            (Database::Unreadable(failure.message().to_owned(), hint), None)
        }
    }
}
