//! Putting units where systemd looks for them, and telling it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::env;
use crate::file::{self, Mode};

use super::ask::ask;
use super::timers::is_at_work;
use super::units::{Layout, UnitFile};
use super::{Chore, Manager};

/// How long one of systemd's programs may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was written.
    Written,
    /// It stood there as it is.
    Unchanged,
    /// A package brought it as it is.
    Packaged,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Written, Self::Unchanged, Self::Packaged];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unchanged => "unchanged",
            Self::Packaged => "packaged",
        }
    }
}

/// What an installation did.
#[derive(Debug, Default)]
pub struct Installed {
    /// The files.
    pub files: Vec<(PathBuf, State)>,
    /// The commands that were run, and ended well.
    pub done: Vec<String>,
    /// What is left to the user: commands, or sentences.
    pub left: Vec<String>,
}

/// A file that cannot be written.
#[derive(Debug)]
pub struct Unwritten {
    /// Which.
    pub path: PathBuf,
    /// Why not.
    pub error: io::Error,
}

/// Where a file of an install belongs; `root` is the folder that is, or becomes, `/`.
#[must_use]
pub fn place(manager: Manager, root: &Path, name: &str) -> PathBuf {
    match manager {
        Manager::System => in_folder(&root.join("etc"), name),
        Manager::User => user_folder().join(name),
    }
}

fn in_folder(folder: &Path, name: &str) -> PathBuf {
    match name {
        "mdctl.sysusers" => folder.join("sysusers.d/mdctl.conf"),
        "mdctl.tmpfiles" => folder.join("tmpfiles.d/mdctl.conf"),
        unit => folder.join("systemd/system").join(unit),
    }
}

fn user_folder() -> PathBuf {
    env::user_config_folder().unwrap_or_default().join("systemd/user")
}

/// Writes the files, and with `root` given no more than that; else makes the user and the folders, and
/// has systemd start the timers, as far as its programs are there.
///
/// # Errors
///
/// When a file cannot be written.
pub fn install(
    layout: &Layout,
    files: &[UnitFile],
    root: Option<&Path>,
) -> Result<Installed, Unwritten> {
    let mut installed = Installed::default();
    for unit in files {
        let top = root.unwrap_or(Path::new("/"));
        let path = place(layout.manager, top, unit.name);
        let packaged = match layout.manager {
            Manager::System => Some(in_folder(&top.join("usr/lib"), unit.name)),
            Manager::User => None,
        };
        let state = put(&path, packaged.as_deref(), &unit.text)
            .map_err(|error| Unwritten { path: path.clone(), error })?;
        installed.files.push((path, state));
    }
    let is_live = root.is_none();
    let find = |name| place(layout.manager, Path::new("/"), name).display().to_string();
    if layout.manager == Manager::System {
        let (users, folders) = (find("mdctl.sysusers"), find("mdctl.tmpfiles"));
        // A package's are found by name.
        let named = |path: String| if is_there(&path) { path } else { "mdctl.conf".to_owned() };
        installed.step(is_live, &["systemd-sysusers", &named(users)]);
        installed.step(is_live, &["systemd-tmpfiles", "--create", &named(folders)]);
    }
    let is_live = is_live && is_at_work(layout.manager);
    let timers = Chore::ALL.map(Chore::timer);
    let mut systemctl = vec!["systemctl"];
    if layout.manager == Manager::User {
        systemctl.push("--user");
    }
    installed.step(is_live, &[&systemctl[..], &["daemon-reload"]].concat());
    systemctl.extend(["enable", "--now"]);
    systemctl.extend(timers.iter().map(String::as_str));
    installed.step(is_live, &systemctl);
    if layout.manager == Manager::User && !lingers() {
        installed.left.push("loginctl enable-linger".to_owned());
    }
    Ok(installed)
}

fn is_there(path: &str) -> bool {
    Path::new(path).exists()
}

/// Whether the user's timers go on when they are logged out.
fn lingers() -> bool {
    Path::new("/var/lib/systemd/linger").join(env::who()).exists()
}

/// Puts `text` at `path`, unless it stands there, or a package has brought it.
fn put(path: &Path, packaged: Option<&Path>, text: &str) -> io::Result<State> {
    let stands = |path: &Path| fs::read(path).is_ok_and(|held| held == text.as_bytes());
    if stands(path) {
        return Ok(State::Unchanged);
    }
    if !path.exists() && packaged.is_some_and(stands) {
        return Ok(State::Packaged);
    }
    fs::create_dir_all(file::folder_of(path))?;
    file::replace(path, text.as_bytes(), Mode::Public)?;
    Ok(State::Written)
}

impl Installed {
    /// Runs a command of systemd's, if anybody is to; what is not run, or goes wrong, is left to the user.
    fn step(&mut self, is_live: bool, command: &[&str]) {
        let words = command.join(" ");
        let answer = match command {
            [program, arguments @ ..] if is_live => ask(program, arguments, PATIENCE),
            _ => None,
        };
        match answer {
            Some(answer) if answer.success => self.done.push(words),
            Some(answer) => {
                let said = answer.stderr.lines().map(str::trim).find(|line| !line.is_empty());
                self.left.push(said.map_or(words.clone(), |said| format!("{words}   # {said}")));
            }
            None => self.left.push(words),
        }
    }
}
