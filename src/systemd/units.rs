//! The units of a config: the files of `systemd/`, which are those of the usual system install, with what
//! another install has otherwise put in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::place::{self, folder_of};

use super::{Chore, Manager};

/// The usual program, as it stands in the files of `systemd/`.
const PROGRAM: &str = "/usr/bin/mdctl";

/// How long a run has that was told to stop, as it stands there.
const STOP: Duration = Duration::from_secs(90);

/// What a run may need to end beyond its own grace.
const BEYOND_GRACE: Duration = Duration::from_secs(30);

/// The files of `systemd/`.
const TEMPLATES: [(&str, &str); 10] = [
    ("mdctl-backfill.service", include_str!("../../systemd/mdctl-backfill.service")),
    ("mdctl-backfill.timer", include_str!("../../systemd/mdctl-backfill.timer")),
    ("mdctl-enrich.service", include_str!("../../systemd/mdctl-enrich.service")),
    ("mdctl-enrich.timer", include_str!("../../systemd/mdctl-enrich.timer")),
    ("mdctl-alerts.service", include_str!("../../systemd/mdctl-alerts.service")),
    ("mdctl-alerts.timer", include_str!("../../systemd/mdctl-alerts.timer")),
    ("mdctl-maintenance.service", include_str!("../../systemd/mdctl-maintenance.service")),
    ("mdctl-maintenance.timer", include_str!("../../systemd/mdctl-maintenance.timer")),
    ("mdctl.sysusers", include_str!("../../systemd/mdctl.sysusers")),
    ("mdctl.tmpfiles", include_str!("../../systemd/mdctl.tmpfiles")),
];

/// What a user's manager can follow; the rest is the system's, or needs its rights.
const OF_USERS: [&str; 27] = [
    "Description",
    "ConditionPathExists",
    "ConditionFileIsExecutable",
    "After",
    "OnFailure",
    "Type",
    "ExecStart",
    "SuccessExitStatus",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "KillMode",
    "UMask",
    "LimitCORE",
    "NoNewPrivileges",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "RestrictAddressFamilies",
    "SystemCallArchitectures",
    "SystemCallFilter",
    "SystemCallErrorNumber",
    "OnCalendar",
    "RandomizedDelaySec",
    "Persistent",
    "WantedBy",
];

/// What units are written for.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Who starts them.
    pub manager: Manager,
    /// The program, an absolute path.
    pub program: PathBuf,
    /// The config, an absolute path.
    pub config: PathBuf,
    /// The database, an absolute path, where it is not the config's.
    pub database: Option<PathBuf>,
    /// Schedules other than the usual ones, as systemd writes them.
    pub schedules: Vec<(Chore, String)>,
    /// Folders to write into besides the state and log folders of a system install.
    pub writable: Vec<PathBuf>,
    /// How long a run may take to stop.
    pub grace: Duration,
}

impl Layout {
    /// The usual system install.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            manager: Manager::System,
            program: PROGRAM.into(),
            config: place::CONFIG_FILE.into(),
            database: None,
            schedules: Vec::new(),
            writable: Vec::new(),
            grace: Duration::ZERO,
        }
    }

    /// Where the keys are that a system's units are handed.
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        place::credentials(folder_of(&self.config))
    }

    /// Whether the config is where a system install has it.
    #[must_use]
    pub fn is_at_the_usual_place(&self) -> bool {
        self.config == Path::new(place::CONFIG_FILE)
    }
}

/// A file of an install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFile {
    /// Its name in `systemd/`.
    pub name: &'static str,
    /// What stands in it.
    pub text: String,
}

/// The files for `layout`.
///
/// # Errors
///
/// A sentence, when a path holds what systemd cannot be told.
pub fn files(layout: &Layout) -> Result<Vec<UnitFile>, String> {
    let paths = [&layout.program, &layout.config];
    for path in paths.into_iter().chain(&layout.database).chain(&layout.writable) {
        tellable(path)?;
    }
    let is_wanted = |name: &str| {
        layout.manager == Manager::System || !name.ends_with("users") && !name.ends_with("files")
    };
    let templates = TEMPLATES.into_iter().filter(|(name, _)| is_wanted(name));
    Ok(templates.map(|(name, text)| UnitFile { name, text: fill(layout, name, text) }).collect())
}

/// Whether systemd and a shell can be told a path in the plain way.
pub(super) fn tellable(path: &Path) -> Result<(), String> {
    let text = path.to_str().filter(|text| text.starts_with('/'));
    let is_odd = |letter: char| letter.is_control() || "\"'\\".contains(letter);
    match text {
        Some(text) if !text.contains(is_odd) => Ok(()),
        _ => Err(format!(
            "a unit cannot name {}: quotes, backslashes, control characters and what is not UTF-8 \
             cannot stand there",
            path.display()
        )),
    }
}

/// A file of `systemd/` with everything of `layout` in it.
fn fill(layout: &Layout, name: &'static str, template: &str) -> String {
    let mut text = String::new();
    // Comments go with the line below them.
    let mut comments = String::new();
    for line in template.lines() {
        if line.starts_with('#') {
            comments.push_str(&told_to(layout.manager, line));
            comments.push('\n');
            continue;
        }
        let Some(filled) = fill_line(layout, name, line) else {
            comments.clear();
            continue;
        };
        // What was left out leaves no hole.
        if !(filled.is_empty() && (text.is_empty() || text.ends_with("\n\n"))) {
            text.push_str(&std::mem::take(&mut comments));
            text.push_str(&filled);
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn told_to(manager: Manager, comment: &str) -> String {
    match manager {
        Manager::System => comment.to_owned(),
        Manager::User => comment
            .replace("`mdctl units install`", "`mdctl units install --user`")
            .replace("`systemctl edit", "`systemctl --user edit"),
    }
}

/// A line as `layout` has it; `None` when it has none such.
fn fill_line(layout: &Layout, name: &str, line: &str) -> Option<String> {
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    if layout.manager == Manager::User && !is_of_users(key, value) {
        return None;
    }
    let config = layout.config.display().to_string();
    Some(match key {
        "ExecStart" => exec_start(layout, value),
        "ConditionPathExists" => format!("{key}={}", unspecified(&config)),
        "ConditionFileIsExecutable" => {
            format!("{key}={}", unspecified(&layout.program.display().to_string()))
        }
        "LoadCredential" => {
            let folder = layout.credentials().display().to_string();
            format!("{key}=mdctl:{}", unspecified(&folder))
        }
        "OnCalendar" => {
            let own = layout.schedules.iter().find(|(chore, _)| chore.timer() == name);
            own.map_or_else(|| line.to_owned(), |(_, own)| format!("{key}={}", unspecified(own)))
        }
        "TimeoutStopSec" => {
            let needed = layout.grace + BEYOND_GRACE;
            let stop = if needed > STOP { needed } else { STOP };
            format!("{key}={}s", stop.as_secs())
        }
        "UMask" if layout.manager == Manager::User => format!("{key}=0077"),
        "LogsDirectoryMode" => layout.writable.iter().fold(line.to_owned(), |lines, folder| {
            let folder = format!("-{}", folder.display());
            format!("{lines}\nReadWritePaths={}", word(&folder))
        }),
        _ if name == "mdctl.tmpfiles" => return tmpfiles_line(layout, line),
        _ => line.to_owned(),
    })
}

/// Whether a user's manager can follow a line. The network is the system's.
fn is_of_users(key: &str, value: &str) -> bool {
    let is_plain = key.is_empty() || key.starts_with('[');
    is_plain || OF_USERS.contains(&key) && !value.contains("network")
}

fn exec_start(layout: &Layout, usual: &str) -> String {
    let rest = usual.split_once(place::CONFIG_FILE).map_or("", |(_, rest)| rest);
    let program = layout.program.display().to_string();
    let argument = |path: &Path| word(&path.display().to_string()).replace('$', "$$");
    let database = layout.database.as_deref();
    let database = database.map_or_else(String::new, |path| format!(" --db {}", argument(path)));
    format!("ExecStart={} --config {}{database}{rest}", word(&program), argument(&layout.config))
}

/// The folders of a config elsewhere are not ours to give away; what its units need is made.
fn tmpfiles_line(layout: &Layout, line: &str) -> Option<String> {
    if layout.is_at_the_usual_place() {
        return Some(line.to_owned());
    }
    let usual = place::credentials(Path::new(place::CONFIG)).display().to_string();
    if let Some((before, after)) = line.split_once(&usual) {
        let folder = layout.credentials().display().to_string();
        return Some(format!("{before}{}{after}", word(&folder)));
    }
    (!line.contains(place::CONFIG)).then(|| line.to_owned())
}

/// One word of a unit's line.
fn word(text: &str) -> String {
    let text = unspecified(text);
    if text.contains(' ') { format!("\"{text}\"") } else { text }
}

/// What systemd would take for a specifier stands for itself.
fn unspecified(text: &str) -> String {
    text.replace('%', "%%")
}

/// What was meant by it.
pub(super) fn specified(text: &str) -> String {
    text.replace("%%", "%")
}

/// What was meant by an argument of a command.
pub(super) fn unquoted(argument: &str) -> String {
    specified(argument.trim_matches('"')).replace("$$", "$")
}

/// When a chore is done as the files of `systemd/` have it.
#[must_use]
pub fn usual_schedule(chore: Chore) -> &'static str {
    let name = chore.timer();
    let text = TEMPLATES.into_iter().find(|(named, _)| *named == name).map_or("", |(_, text)| text);
    text.lines().find_map(|line| line.strip_prefix("OnCalendar=")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(layout: &Layout, name: &str) -> String {
        let files = files(layout).expect("units");
        files.into_iter().find(|file| file.name == name).expect("it is there").text
    }

    #[test]
    fn the_usual_layout_is_the_folder_as_it_stands() {
        let files = files(&Layout::usual()).expect("units");
        assert_eq!(files.len(), TEMPLATES.len());
        for (file, (name, text)) in files.iter().zip(TEMPLATES) {
            assert_eq!((file.name, file.text.as_str()), (name, text));
        }
    }

    #[test]
    fn odd_paths_reach_systemd_as_they_are() {
        let layout = Layout {
            program: "/opt/50% off/mdctl".into(),
            config: "/srv/a $b/mdctl.toml".into(),
            database: Some("/srv/x.db".into()),
            writable: vec!["/srv/a b".into(), "/srv/c".into()],
            schedules: vec![(Chore::Enrich, "Mon,Tue 02:00".to_owned())],
            grace: Duration::from_secs(100),
            ..Layout::usual()
        };
        let service = text(&layout, "mdctl-enrich.service");
        let start = "ExecStart=\"/opt/50%% off/mdctl\" --config \"/srv/a $$b/mdctl.toml\" --db /srv/x.db \
                     enrich --wait 2h\n";
        assert!(service.contains(start), "{service}");
        assert!(service.contains("\nConditionPathExists=/srv/a $b/mdctl.toml\n"), "{service}");
        assert!(service.contains("\nConditionFileIsExecutable=/opt/50%% off/mdctl\n"), "{service}");
        assert!(service.contains("\nLoadCredential=mdctl:/srv/a $b/credentials\n"), "{service}");
        assert!(service.contains("\nReadWritePaths=\"-/srv/a b\"\nReadWritePaths=-/srv/c\n"));
        assert!(service.contains("\nTimeoutStopSec=130s\n"), "{service}");
        assert!(text(&layout, "mdctl-enrich.timer").contains("\nOnCalendar=Mon,Tue 02:00\n"));
        assert!(text(&layout, "mdctl-backfill.timer").contains("\nOnCalendar=hourly\n"));
        let folders = text(&layout, "mdctl.tmpfiles");
        assert!(folders.contains("d \"/srv/a $b/credentials\" 0700 root root -\n"), "{folders}");
        assert!(!folders.contains("/etc/mdctl"), "{folders}");
    }

    #[test]
    fn what_cannot_stand_in_a_unit_is_refused() {
        for odd in
            ["/srv/a\nExecStart=/bin/x", "/srv/a\"b", "/srv/it's", "/srv/a\\x20b", "relative"]
        {
            let layout = Layout { config: odd.into(), ..Layout::usual() };
            assert!(files(&layout).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_users_units_have_nothing_of_the_systems() {
        let layout = Layout { manager: Manager::User, ..Layout::usual() };
        let units = files(&layout).expect("units");
        assert_eq!(units.len(), 8, "no system user, no folders of the system");
        for unit in units {
            for systems in ["\nUser=", "Protect", "Private", "Directory", "network", "Credential"] {
                assert!(!unit.text.contains(systems), "{systems} in {}", unit.text);
            }
            assert!(!unit.text.contains("\n\n\n"), "{}", unit.text);
        }
    }
}
