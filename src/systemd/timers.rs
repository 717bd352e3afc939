//! The timers of a config: whether they are there, and when they elapse next.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::NaiveDateTime;

use crate::config::env;
use crate::domain::schedule::UnitFailure;

use super::ask::ask;
use super::{Chore, Manager, Timer};

/// How long systemd may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Exists while systemd is the system's manager.
const SYSTEM_AT_WORK: &str = "/run/systemd/system";

/// Where the system's units are: an administrator's, a package's.
const SYSTEM_UNITS: [&str; 3] =
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Whether that manager is at work here.
#[must_use]
pub fn is_at_work(manager: Manager) -> bool {
    match manager {
        Manager::System => Path::new(SYSTEM_AT_WORK).is_dir(),
        Manager::User => {
            env::runtime_folder().is_some_and(|folder| folder.join("systemd").is_dir())
        }
    }
}

/// The timers of the config at `config`, one a chore; `None` where no systemd is at work, or it does not
/// answer. Where no units are installed, nobody is asked.
#[must_use]
pub fn timers(config: &Path) -> Option<Vec<Timer>> {
    timers_of(config, &Chore::ALL)
}

/// When the next run is due, asked while something else is done: an answer takes as long as a report.
#[derive(Debug)]
pub struct NextRun(Option<JoinHandle<Option<i64>>>);

impl NextRun {
    /// Begins to ask for the first run of the config at `config` after `now`. Where nobody is to be asked, no
    /// thread is begun.
    #[must_use]
    pub fn ask(config: &Path, now: i64) -> Self {
        let is_told = |manager: Manager| is_at_work(manager) && has_units(manager);
        if !is_told(Manager::System) && !is_told(Manager::User) {
            return Self(None);
        }
        let config = config.to_owned();
        let runs: Vec<Chore> = Chore::ALL.into_iter().filter(|chore| chore.is_run()).collect();
        let ask = move || next_run(&timers_of(&config, &runs)?, now);
        Self(thread::Builder::new().spawn(ask).ok())
    }

    /// When it is due, epoch seconds UTC; `None` where nobody knows.
    #[must_use]
    pub fn at(self) -> Option<i64> {
        self.0?.join().ok()?
    }
}

/// The timers of some chores.
fn timers_of(config: &Path, chores: &[Chore]) -> Option<Vec<Timer>> {
    let mut managers = vec![Manager::System, Manager::User];
    managers.retain(|manager| is_at_work(*manager));
    let at_work = *managers.last()?;
    managers.retain(|manager| has_units(*manager));
    // One that does not answer says nothing of what the other has.
    let answers: Vec<_> = managers.iter().map(|it| asked(*it, config, chores)).collect();
    let is_silent = answers.iter().any(Option::is_none);
    let has_any = |timers: &Vec<Timer>| timers.iter().any(|timer| timer.installed);
    match answers.into_iter().flatten().find(has_any) {
        None if is_silent => None,
        None => Some(chores.iter().map(|chore| missing(*chore, at_work)).collect()),
        timers => timers,
    }
}

/// When the next run is due after `now`; `None` where no timer says.
fn next_run(timers: &[Timer], now: i64) -> Option<i64> {
    let runs = timers.iter().filter(|timer| timer.chore.is_run() && timer.active);
    runs.filter_map(|timer| timer.next_at).filter(|at| *at > now).min()
}

const fn missing(chore: Chore, manager: Manager) -> Timer {
    Timer {
        chore,
        manager,
        installed: false,
        enabled: false,
        active: false,
        next_at: None,
        failure: None,
    }
}

/// Whether a unit file of ours is there at all.
fn has_units(manager: Manager) -> bool {
    let folders = match manager {
        Manager::System => SYSTEM_UNITS.map(PathBuf::from).to_vec(),
        Manager::User => {
            env::user_config_folder().map(|it| it.join("systemd/user")).into_iter().collect()
        }
    };
    folders.iter().any(|folder| Chore::ALL.iter().any(|it| folder.join(it.timer()).exists()))
}

/// What a manager knows.
fn asked(manager: Manager, config: &Path, chores: &[Chore]) -> Option<Vec<Timer>> {
    let units: Vec<String> =
        chores.iter().flat_map(|chore| [chore.timer(), chore.service()]).collect();
    let mut arguments = match manager {
        Manager::System => vec!["--system"],
        Manager::User => vec!["--user"],
    };
    arguments.extend([
        "show",
        "--property=Id,LoadState,UnitFileState,ActiveState,NextElapseUSecRealtime,ExecStart,Result,\
         ExecMainStatus",
        "--",
    ]);
    arguments.extend(units.iter().map(String::as_str));
    let answer = ask("systemctl", &arguments, PATIENCE).filter(|answer| answer.success)?;
    Some(read(&answer.stdout, manager, config, chores))
}

/// Reads `systemctl show` of timers and services.
fn read(shown: &str, manager: Manager, config: &Path, chores: &[Chore]) -> Vec<Timer> {
    let blocks: Vec<&str> = shown.split("\n\n").collect();
    let block = |id: &str| blocks.iter().find(|block| value(block, "Id") == Some(id)).copied();
    let timer = |chore: &Chore| {
        let chore = *chore;
        let service = block(&chore.service()).filter(|service| is_for(service, config));
        let timer = block(&chore.timer()).filter(|it| value(it, "LoadState") == Some("loaded"));
        let (Some(timer), Some(service)) = (timer, service) else { return missing(chore, manager) };
        Timer {
            chore,
            manager,
            installed: true,
            // What is `enabled-runtime` is so until the next start of the machine only.
            enabled: value(timer, "UnitFileState") == Some("enabled"),
            active: value(timer, "ActiveState") == Some("active"),
            next_at: value(timer, "NextElapseUSecRealtime").and_then(time),
            failure: failure(service),
        }
    };
    chores.iter().map(timer).collect()
}

/// How a service's last call failed; while one is at work nobody knows yet.
fn failure(service: &str) -> Option<UnitFailure> {
    let result = value(service, "Result").filter(|it| !it.is_empty() && *it != "success")?;
    let status = value(service, "ExecMainStatus").and_then(|status| status.parse().ok());
    Some(UnitFailure { result: result.to_owned(), status })
}

/// A property of a unit.
fn value<'text>(block: &'text str, name: &str) -> Option<&'text str> {
    block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// Whether a service works by the config at `config`.
fn is_for(service: &str, config: &Path) -> bool {
    let names = [std::path::absolute(config), config.canonicalize()];
    let starts = service.lines().filter(|line| line.starts_with("ExecStart="));
    starts.filter_map(|line| line.split_once(" --config ")).any(|(_, rest)| {
        let is = |name: &PathBuf| {
            rest.strip_prefix(&*name.to_string_lossy()).is_some_and(|rest| rest.starts_with(' '))
        };
        names.iter().flatten().any(is)
    })
}

/// Reads `Thu 2026-11-26 01:30:00 UTC`; `None` of anything else, as of a timer that does not elapse.
fn time(text: &str) -> Option<i64> {
    let (_weekday, rest) = text.split_once(' ')?;
    let time = NaiveDateTime::parse_from_str(rest.strip_suffix(" UTC")?, "%Y-%m-%d %H:%M:%S");
    Some(time.ok()?.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "\
NextElapseUSecRealtime=Thu 2026-11-26 01:02:11 UTC
Id=mdctl-backfill.timer
LoadState=loaded
ActiveState=active
UnitFileState=enabled

ExecStart={ path=/usr/bin/mdctl ; argv[]=/usr/bin/mdctl --config /etc/mdctl/mdctl.toml backfill ; ignore_errors=no ; start_time=[n/a] ; pid=0 }
Id=mdctl-backfill.service
LoadState=loaded
ActiveState=inactive
UnitFileState=static
Result=success
ExecMainStatus=4

NextElapseUSecRealtime=
Id=mdctl-enrich.timer
LoadState=loaded
ActiveState=active
UnitFileState=enabled-runtime
Result=success

ExecStart={ path=/usr/bin/mdctl ; argv[]=/usr/bin/mdctl --config /etc/mdctl/mdctl.toml enrich --wait 2h ; ignore_errors=no }
Id=mdctl-enrich.service
LoadState=loaded
Result=exit-code
ExecMainStatus=74

Id=mdctl-alerts.timer
LoadState=not-found
ActiveState=inactive

Id=mdctl-alerts.service
LoadState=not-found
";

    #[test]
    fn what_systemctl_shows_is_read() {
        let timers = read(SHOWN, Manager::System, Path::new("/etc/mdctl/mdctl.toml"), &Chore::ALL);
        let missing = |chore| missing(chore, Manager::System);
        let backfill = Timer {
            installed: true,
            enabled: true,
            active: true,
            next_at: Some(1_795_654_931),
            ..missing(Chore::Backfill)
        };
        let failure = UnitFailure { result: "exit-code".to_owned(), status: Some(74) };
        let enrich = Timer {
            installed: true,
            active: true,
            failure: Some(failure),
            ..missing(Chore::Enrich)
        };
        assert_eq!(timers, [backfill, enrich, missing(Chore::Alerts), missing(Chore::Maintenance)]);
        assert_eq!(next_run(&timers, 1_795_654_930), Some(1_795_654_931));
        assert_eq!(next_run(&timers, 1_795_654_931), None, "it has elapsed");
    }

    #[test]
    fn the_units_of_another_config_are_not_its_own() {
        for other in ["/etc/mdctl/mdctl", "/srv/etc/mdctl/mdctl.toml", "mdctl.toml"] {
            let timers = read(SHOWN, Manager::User, Path::new(other), &Chore::ALL);
            assert!(timers.iter().all(|timer| !timer.installed), "{other}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "n/a", "infinity", "Thu 2026-11-26 01:02:11 CET", "Thu 2026-99-26 01:02:11 UTC"]
        {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
