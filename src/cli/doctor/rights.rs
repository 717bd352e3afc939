//! Who can write what, judged by the rights of the user who works here.

use std::path::{Path, PathBuf};

use crate::config::access::{Access, user_id};
use crate::config::{Settings, env};
use crate::domain::beside::Beside;
use crate::domain::place::{self, folder_of};
use crate::domain::schedule::Manager;
use crate::report::doctor::{Timers, Worker};

/// Whose rights count, and their numbers where these are not this process's own.
pub(super) struct Rights {
    pub(super) worker: Worker,
    /// Of the user and of the group.
    ids: Option<(u32, u32)>,
}

impl Rights {
    /// For root, who may do everything, the folder's owner works there; beside the system's units at work
    /// nobody but their user does.
    pub(super) fn of(database: &Path, timers: &Timers) -> Self {
        let folder = Access::of(folder_of(database)).ok();
        match folder.filter(|folder| env::is_root() && folder.owner_id != 0) {
            Some(folder) => Self {
                ids: Some((folder.owner_id, folder.group_id)),
                worker: Worker::Owner(folder.owner),
            },
            None if are_the_systems(timers) && !env::is_root() && !is_their_user() => {
                Self { worker: Worker::Units, ids: None }
            }
            None => Self { worker: Worker::Caller, ids: None },
        }
    }

    fn look(&self, path: &Path) -> std::io::Result<Access> {
        let access = Access::of(path)?;
        Ok(match self.ids {
            Some((user, group)) => access.to(user, group),
            None => access,
        })
    }

    /// The folder of a file, or why it cannot be looked at.
    pub(super) fn folder_of(&self, path: &Path) -> Result<Access, String> {
        self.look(folder_of(path)).map_err(|error| error.to_string())
    }

    /// The database's file and those beside it, as far as they are there.
    pub(super) fn database_files(&self, database: &Path) -> Vec<Access> {
        let beside = Beside::ALL.map(|beside| beside.of(database));
        let files = std::iter::once(database).chain(beside.iter().map(PathBuf::as_path));
        files.filter_map(|path| self.look(path).ok()).collect()
    }

    /// The folders of what runs leave besides, by what that is.
    pub(super) fn outputs(
        &self,
        settings: &Settings,
    ) -> Vec<(&'static str, Result<Access, String>)> {
        let log = settings.log.as_ref().map(|log| &log.path);
        let outputs = [
            ("log file", log),
            ("metrics file", settings.textfile.as_ref()),
            ("report page", settings.page.as_ref()),
        ];
        outputs.into_iter().filter_map(|(what, path)| Some((what, self.folder_of(path?)))).collect()
    }
}

/// Whether the system's units are at work for this config.
fn are_the_systems(timers: &Timers) -> bool {
    let Timers::Known(timers) = timers else { return false };
    timers.iter().any(|timer| timer.active && timer.manager == Manager::System)
}

fn is_their_user() -> bool {
    user_id(place::USER) == Some(env::user())
}
