//! What units are written for: from the flags and the config to a layout, and what is to be known of it.

use std::path::{Path, PathBuf};

use crate::config::{self, NotifierKind, Settings, Source};
use crate::domain::place::{self, folder_of};
use crate::domain::words::quoted;
use crate::systemd::install::{self, Kept};
use crate::systemd::units::{self, Layout};
use crate::systemd::{Chore, Manager};

use super::super::Global;
use super::super::failure::Failure;
use super::Units;

/// What a sandboxed unit does not see: homes, and temporary folders other than its own.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// What the units are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To be looked at, or put somewhere by hand.
    Print,
    /// To be lines of a crontab.
    Cron,
    /// To work here, now.
    Install,
    /// To work in an image that is being made.
    Image,
}

/// A layout, and what is to be known of it.
pub(super) struct Plan {
    pub(super) layout: Layout,
    pub(super) notes: Vec<String>,
    /// The database that the config names; `None` where no config was read.
    pub(super) database: Option<PathBuf>,
}

impl Plan {
    /// The layout of what was asked for.
    pub(super) fn make(
        command: &Units,
        goal: Goal,
        root: Option<&Path>,
        global: &Global,
    ) -> Result<Self, Failure> {
        let manager = if command.user { Manager::User } else { Manager::System };
        let config = config_path(manager, goal, global)?;
        let given = command.schedule.iter().flat_map(|it| it.0.clone()).collect();
        let (kept, mut notes) = kept(manager, goal, root, &config, given, global)?;
        let database = kept.database;
        // That of an image may come later.
        let is_read = goal != Goal::Image && config.is_file();
        let settings = if is_read || goal == Goal::Install {
            Some(settings(&config, database.as_deref())?)
        } else {
            None
        };
        let program = std::env::current_exe()
            .map_err(|error| Failure::io("cannot find out where this program is", &error))?;
        let sandboxed = manager == Manager::System && goal != Goal::Cron;
        let layout = Layout {
            manager,
            program,
            config,
            database,
            schedules: kept.schedules,
            writable: settings.as_ref().filter(|_| sandboxed).map_or_else(Vec::new, writable),
            grace: settings.as_ref().map_or_else(Default::default, |it| it.run.grace),
        };
        notes.extend(settings.iter().flat_map(unheard_keys));
        notes.extend(unmeant(goal, &layout, global));
        let hidden = hidden(&layout, settings.as_ref());
        if sandboxed && !hidden.is_empty() {
            let unseen = unseen(&hidden);
            if goal == Goal::Install {
                return Err(unseen);
            }
            notes.push(unseen.line());
        }
        if sandboxed && !layout.is_at_the_usual_place() {
            let config = quoted(&layout.config);
            notes.push(format!(
                "the user mdctl must be able to read the config: chgrp mdctl {config} && chmod 640 {config}"
            ));
        }
        notes.extend(foreign_folders(&layout));
        if goal == Goal::Image {
            notes.push(format!(
                "the config is not read for an image: a unit writes into {} and {} alone, until a drop-in or \
                 `mdctl units install` there opens what the config names besides",
                place::STATE,
                place::LOGS
            ));
        }
        Ok(Self { layout, notes, database: settings.map(|settings| settings.database) })
    }
}

/// Schedules and database: those that are given, else what an installation finds in the units that stand there,
/// and what is to be known of that.
fn kept(
    manager: Manager,
    goal: Goal,
    root: Option<&Path>,
    config: &Path,
    given: Vec<(Chore, String)>,
    global: &Global,
) -> Result<(Kept, Vec<String>), Failure> {
    let database = global.db.as_deref().map(absolute).transpose()?;
    let mut kept = Kept { schedules: given, database };
    let mut notes = Vec::new();
    if !matches!(goal, Goal::Install | Goal::Image) {
        return Ok((kept, notes));
    }
    let former = install::kept(manager, root, config);
    for (chore, own) in former.schedules {
        if kept.schedules.iter().any(|(given, _)| *given == chore) {
            continue;
        }
        let name = chore.as_str();
        notes.push(format!(
            "{name} stays at {own}, as it was; --schedule '{name}={}' is the usual",
            units::usual_schedule(chore)
        ));
        kept.schedules.push((chore, own));
    }
    if let (None, Some(path)) = (&kept.database, former.database) {
        notes.push(format!("the database stays {}, as it was; --db names another", path.display()));
        kept.database = Some(path);
    }
    Ok((kept, notes))
}

/// Says so, where units are printed for the system's config beside another that every other command finds.
fn unmeant(goal: Goal, layout: &Layout, global: &Global) -> Option<String> {
    let asks = goal == Goal::Print && layout.manager == Manager::System && global.config.is_none();
    let found = config::find(None).ok().filter(|_| asks)?;
    (absolute(&found).ok()? != layout.config).then(|| {
        format!(
            "these are for {}; --config {} is for the one that other commands find here, --user for your \
             own systemd",
            layout.config.display(),
            found.display()
        )
    })
}

/// The system's units are for the system's config, wherever they are asked for.
fn config_path(manager: Manager, goal: Goal, global: &Global) -> Result<PathBuf, Failure> {
    if manager == Manager::User || goal == Goal::Cron {
        return absolute(&config::find(global.config.as_deref())?);
    }
    match &global.config {
        Some(path) => absolute(path),
        None => Ok(place::CONFIG_FILE.into()),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::io(format!("cannot tell where {} is", path.display()), &error))
}

fn settings(config: &Path, database: Option<&Path>) -> Result<Settings, Failure> {
    if config == Path::new(place::CONFIG_FILE) && !config.exists() {
        let failure = config::find(Some(config)).map(drop).map_err(Failure::from);
        return Err(failure
            .err()
            .unwrap_or_else(|| Failure::usage("there is no config"))
            .hinted("`sudo mdctl init --system` writes one; --config PATH names another"));
    }
    Ok(config::load(&config::find(Some(config))?, database)?)
}

/// The folders that are written into besides those of a system install.
fn writable(settings: &Settings) -> Vec<PathBuf> {
    let files = [
        Some(&settings.database),
        settings.log.as_ref().map(|log| &log.path),
        settings.textfile.as_ref(),
        settings.page.as_ref(),
    ];
    let mut folders: Vec<PathBuf> =
        files.into_iter().flatten().map(|file| folder_of(file).to_owned()).collect();
    folders.retain(|folder| ![place::STATE, place::LOGS].iter().any(|own| folder.starts_with(own)));
    folders.sort();
    folders.dedup();
    folders
}

/// Folders that are not the units' own by themselves.
fn foreign_folders(layout: &Layout) -> Vec<String> {
    let note = |folder: &PathBuf| {
        let folder = quoted(folder);
        format!("the user mdctl must be able to write into {folder}: see ls -ld {folder}")
    };
    layout.writable.iter().map(note).collect()
}

/// Keys in variables of a shell, which no unit hears of.
fn unheard_keys(settings: &Settings) -> Vec<String> {
    let credentials = place::credentials(folder_of(&settings.config_path));
    let mut notes = Vec::new();
    for provider in settings.providers.values() {
        for variable in provider.key.iter().flat_map(|key| key.variables()) {
            let name = variable.to_lowercase();
            notes.push(format!(
                "units have no environment variable {variable}: put the key of {} into {}, and write \
                 {{ credential = \"{name}\" }} in the config",
                provider.name,
                credentials.join(&name).display()
            ));
        }
    }
    notes
}

/// What of it a sandboxed unit would not see.
fn hidden(layout: &Layout, settings: Option<&Settings>) -> Vec<PathBuf> {
    let paths = [&layout.program, &layout.config].into_iter().chain(&layout.writable).cloned();
    let is_hidden = |path: &PathBuf| HIDDEN.iter().any(|hidden| path.starts_with(hidden));
    paths.chain(settings.into_iter().flat_map(read_by_runs)).filter(is_hidden).collect()
}

/// What runs read or start besides the config and the database: bars, symbols, secrets, programs of notifiers.
fn read_by_runs(settings: &Settings) -> Vec<PathBuf> {
    let bars = settings.providers.values().filter_map(|provider| match &provider.source {
        Source::Files { folder } => Some(folder.clone()),
        Source::Http { .. } => None,
    });
    let symbols = settings.groups.iter().filter_map(|group| group.symbols_file.clone());
    let secrets = settings.files_with_secrets().map(|(path, _)| path);
    let folder = folder_of(&settings.config_path);
    let programs = settings.notifiers.values().filter_map(|notifier| match &notifier.kind {
        NotifierKind::Command { command } => command.first().filter(|it| it.contains('/')),
        _ => None,
    });
    bars.chain(symbols).chain(secrets).chain(programs.map(|it| folder.join(it))).collect()
}

fn unseen(hidden: &[PathBuf]) -> Failure {
    let paths: Vec<String> = hidden.iter().map(|path| path.display().to_string()).collect();
    Failure::usage(format!("a unit of the system does not see {}", paths.join(", "))).hinted(
        "homes and temporary folders are closed to it: move that to /usr/local/bin, /etc/mdctl or \
         /var/lib/mdctl, or install for yourself with --user",
    )
}
