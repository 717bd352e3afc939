//! `mdctl doctor`: is everything there that keeps the data fresh?

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::config::access::Access;
use crate::config::{self, ConfigError, Settings, Source};
use crate::domain::beside::Beside;
use crate::file;
use crate::render;
use crate::report::doctor::{
    self, Database, Examination, Holder, Key, Seen, TimerSeen, Timers, Tried,
};
use crate::report::health::Health;
use crate::store::{Store, StoreError, StoreResult, lock};
use crate::systemd::{self, Manager};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, Global, print};

mod ears;
mod plan;
mod probes;

/// How long SQLite may look at the whole file.
const TO_LOOK: Duration = Duration::from_secs(4);

/// What is wrong with the setup, and how to mend it.
///
/// Looks at the config, who can read and write it and the keys, the database, the disk, the lock, the
/// providers (one small request each, within their quotas), the clock, the timers, the last run and the
/// notifiers. Keys are never shown. Exits 0 when nothing is wrong, 1 with a warning, 2 when something is
/// critical, and 78 when the config cannot be followed.
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
    let loaded = found.and_then(|path| config::load(&path, global.db.as_deref()));
    match loaded {
        // It is what was to be found out, and not the end of it.
        Err(error) => broken(&error, global),
        Ok(_) => {
            let scene = Scene::set(global)?;
            let examination = examine(command, &scene);
            tell(
                &examination,
                Some(&scene.settings.config_path),
                scene.json,
                scene.look,
                scene.wall_now,
            )
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

fn examine(command: &Doctor, scene: &Scene) -> Examination {
    let settings: &Settings = &scene.settings;
    let (database, store) = database(&settings.database);
    let health = store.as_ref().and_then(|_| super::health::judge(scene).ok());
    let holder = lock::is_held(&settings.database)
        .then(|| Holder { process: lock::holder(&settings.database) });
    let plan = plan::next(scene, store.as_ref());
    drop(store);
    // Before the threads that fetch: they take signals for themselves.
    let ears = ears::listen(scene, command.send_test);
    let providers = providers(scene, &database, health.as_ref(), holder.is_some());
    let seen = Seen {
        settings,
        now: scene.wall_now,
        config: Access::of(&settings.config_path).ok(),
        exposed: settings.exposed_secrets(),
        guarded: settings.files_with_secrets().filter(|(path, _)| path.exists()).count() as u64,
        folder: folder_of(&settings.database),
        database_files: database_files(&settings.database),
        outputs: outputs(settings),
        database,
        health,
        plan,
        holder,
        providers,
        timers: timers(&settings.config_path),
        ears,
    };
    doctor::judge(&seen)
}

fn folder_of(path: &Path) -> Result<Access, String> {
    Access::of(file::folder_of(path)).map_err(|error| error.to_string())
}

/// What systemd knows of the config's timers.
fn timers(config: &Path) -> Timers {
    if ![Manager::System, Manager::User].into_iter().any(systemd::is_at_work) {
        return Timers::NoSystemd;
    }
    let seen = |timer: systemd::Timer| TimerSeen {
        unit: timer.chore.timer(),
        installed: timer.installed,
        enabled: timer.enabled,
        active: timer.active,
        next_at: timer.next_at,
    };
    systemd::timers(config)
        .map_or(Timers::Silent, |timers| Timers::Known(timers.into_iter().map(seen).collect()))
}

/// The database's file and those beside it, as far as they are there.
fn database_files(database: &Path) -> Vec<Access> {
    let beside = Beside::ALL.map(|beside| beside.of(database));
    let files = std::iter::once(database).chain(beside.iter().map(PathBuf::as_path));
    files.filter_map(|path| Access::of(path).ok()).collect()
}

fn outputs(settings: &Settings) -> Vec<(&'static str, Result<Access, String>)> {
    let log = settings.log.as_ref().map(|log| &log.path);
    let outputs = [
        ("log file", log),
        ("metrics file", settings.textfile.as_ref()),
        ("report page", settings.page.as_ref()),
    ];
    outputs.into_iter().filter_map(|(what, path)| Some((what, folder_of(path?)))).collect()
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

/// Every provider, and what came of trying it.
fn providers<'a>(
    scene: &'a Scene,
    database: &Database,
    health: Option<&Health>,
    is_locked: bool,
) -> Vec<Tried<'a>> {
    let keyed = scene.settings.providers.values().map(|settings| {
        let key = settings.key.as_ref().map(|source| match source.resolve() {
            Ok(_) => Key::There,
            Err(why) => Key::Lacking(why, source.remedy()),
        });
        (settings, key)
    });
    let keyed: Vec<_> = keyed.collect();
    let is_lacking = |key: &Option<Key>| matches!(key, Some(Key::Lacking(..)));
    let lacking: Vec<&str> = keyed
        .iter()
        .filter(|(_, key)| is_lacking(key))
        .map(|(settings, _)| settings.name.as_str())
        .collect();
    let mut probes = match probes::hindrance(database, health, is_locked) {
        Some(why) => Err(why),
        None => probes::ask(scene, &lacking),
    };
    let each = keyed.into_iter().map(|(settings, key)| {
        let unasked = || match is_lacking(&key) {
            true => "not without its key".to_owned(),
            false => "no group asks it for anything".to_owned(),
        };
        let probe = match &mut probes {
            Ok(probes) => probes.remove(&settings.name).ok_or_else(unasked),
            Err(why) => Err(why.clone()),
        };
        let folder = match &settings.source {
            Source::Files { folder } => {
                std::fs::read_dir(folder).map(drop).map_err(|error| error.to_string())
            }
            Source::Http { .. } => Ok(()),
        };
        Tried { settings, key, probe, folder }
    });
    each.collect()
}
