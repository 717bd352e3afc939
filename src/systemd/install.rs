//! Putting units where systemd looks for them, and telling it.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::env;
use crate::domain::place::folder_of;
use crate::file::{self, Mode};

use super::ask::ask;
use super::timers::is_at_work;
use super::units::{self, Layout, UnitFile};
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
    /// A package brought it as it is; a copy in its place is gone.
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
    /// The commands that were run, and did not: each is left to the user, too.
    pub failed: Vec<String>,
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
    installed.left.extend(formerly(layout, files, root));
    for unit in files {
        let top = root.unwrap_or(Path::new("/"));
        let path = place(layout.manager, top, unit.name);
        let packaged = match layout.manager {
            Manager::System => Some(in_folder(&top.join("usr/lib"), unit.name)),
            Manager::User => None,
        };
        let state = within(root, &path)
            .and_then(|()| put(&path, packaged.as_deref(), &unit.text))
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

/// Says so, where the units that stand there are for another config: there is one schedule a manager.
fn formerly(layout: &Layout, files: &[UnitFile], root: Option<&Path>) -> Option<String> {
    let unit = files.first()?;
    let path = place(layout.manager, root.unwrap_or(Path::new("/")), unit.name);
    let held = fs::read_to_string(path).ok()?;
    let (before, now) = (config_of(&held)?, config_of(&unit.text)?);
    let words = || {
        format!(
            "the timers were those of {before}, and are now those of {now}: nothing runs the former"
        )
    };
    (before != now).then(words)
}

/// What a service's text names as the config, and as the database where it names one, as they stand there.
fn config_of(service: &str) -> Option<&str> {
    let arguments = arguments_of(service)?;
    Some(arguments.split_once(" --db ").map_or(arguments, |(config, _)| config))
}

/// The paths of a service of the one word `backfill`.
fn arguments_of(service: &str) -> Option<&str> {
    let start = service.lines().find(|line| line.starts_with("ExecStart="))?;
    let (_, rest) = start.split_once(" --config ")?;
    rest.rsplit_once(' ').map(|(arguments, _)| arguments)
}

/// What the units that stand there have otherwise than the usual ones.
#[derive(Debug, Default)]
pub struct Kept {
    /// Their schedules.
    pub schedules: Vec<(Chore, String)>,
    /// Their database, where it is not the config's.
    pub database: Option<PathBuf>,
}

/// Looks at the units that were installed before; their database counts for the same config only.
#[must_use]
pub fn kept(manager: Manager, root: Option<&Path>, config: &Path) -> Kept {
    let top = root.unwrap_or(Path::new("/"));
    let read = |name: String| fs::read_to_string(place(manager, top, &name)).ok();
    let schedule = |chore: Chore| {
        let timer = read(chore.timer())?;
        let own = units::specified(timer.lines().find_map(|it| it.strip_prefix("OnCalendar="))?);
        (own != units::usual_schedule(chore)).then_some((chore, own))
    };
    let database = || {
        let service = read(Chore::Backfill.service())?;
        let (held, database) = arguments_of(&service)?.split_once(" --db ")?;
        (units::unquoted(held) == config.to_str()?).then(|| units::unquoted(database).into())
    };
    Kept { schedules: Chore::ALL.into_iter().filter_map(schedule).collect(), database: database() }
}

fn is_there(path: &str) -> bool {
    Path::new(path).exists()
}

/// Whether the user's timers go on when they are logged out.
fn lingers() -> bool {
    Path::new("/var/lib/systemd/linger").join(env::who()).exists()
}

/// Refuses a file that a link of an image leads out of `root` with.
fn within(root: Option<&Path>, path: &Path) -> io::Result<()> {
    let Some(root) = root else { return Ok(()) };
    // What is not there yet holds no link.
    let Ok(top) = root.canonicalize() else { return Ok(()) };
    let folder = folder_of(path);
    let stands = folder.ancestors().find_map(|above| above.canonicalize().ok());
    if stands.is_some_and(|stands| stands.starts_with(&top)) {
        return Ok(());
    }
    let message = format!("a link leads out of {}", root.display());
    Err(io::Error::other(message))
}

/// Puts `text` at `path`, unless it stands there, or a package has brought it.
fn put(path: &Path, packaged: Option<&Path>, text: &str) -> io::Result<State> {
    let stands = |path: &Path| fs::read(path).is_ok_and(|held| held == text.as_bytes());
    let held = path.symlink_metadata().ok();
    // A link may be an administrator's, who masks it.
    if packaged.is_some_and(stands) && held.as_ref().is_none_or(Metadata::is_file) {
        // A copy would go before the package's for good, and before its later ones.
        return held.map_or(Ok(()), |_| fs::remove_file(path)).map(|()| State::Packaged);
    }
    if stands(path) {
        return Ok(State::Unchanged);
    }
    fs::create_dir_all(folder_of(path))?;
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
                self.failed.push(words);
            }
            None => self.left.push(words),
        }
    }
}
