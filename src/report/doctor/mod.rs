//! The examination: is everything there that keeps the data fresh, and what mends what is not?
//!
//! `health` judges the data and the runs behind it; this judges what they stand on. Where both speak of the
//! same thing, this repeats the other's word.

use crate::config::access::{Access, Exposed};
use crate::config::{ConfigError, Settings};
use crate::domain::alert::Severity;
use crate::domain::database::LastBackup;
use crate::domain::schedule::Manager;
use crate::exit::Exit;

use super::health::{Code, Health, Issue};

mod backup;
mod database;
mod files;
mod notifiers;
mod providers;
mod timers;

pub use database::{Database, Holder, Plan};
pub use notifiers::Listener;
pub use providers::{Key, Tried};
pub use timers::Timers;

/// What was seen, each by its own look.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What holds.
    pub settings: &'a Settings,
    /// This instant by the wall clock.
    pub now: i64,
    /// The config's file.
    pub config: Option<Access>,
    /// Files with secrets that others can read.
    pub exposed: Vec<Exposed>,
    /// How many files with secrets there are.
    pub guarded: u64,
    /// Whose rights count: what is writable is so to them.
    pub worker: Worker,
    /// The database's folder, and why it cannot be looked at.
    pub folder: Result<Access, String>,
    /// The database and what stands beside it, as far as that is there; the database first.
    pub database_files: Vec<Access>,
    /// The folders of what runs leave besides, by what that is.
    pub outputs: Vec<(&'static str, Result<Access, String>)>,
    /// The database.
    pub database: Database,
    /// The verdict; `None` when the database cannot be read.
    pub health: Option<Health>,
    /// What the next backfill would bring, on what disk.
    pub plan: Option<Plan>,
    /// Who holds the lock; `None` when nobody does.
    pub holder: Option<Holder>,
    /// The providers, by name.
    pub providers: Vec<Tried<'a>>,
    /// The timers.
    pub timers: Timers,
    /// The newest backup in the folder beside the database; `None` without one.
    pub newest_backup: Option<LastBackup>,
    /// Those who are told, by name.
    pub listeners: Vec<Listener<'a>>,
}

/// Whose rights count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worker {
    /// Those of whoever calls.
    Caller,
    /// Those of the owner of the database's folder: root calls, who may do everything.
    Owner(String),
    /// Those of the system's units, which are at work: what this user may not do is none of its business.
    Units,
}

/// What was found.
#[derive(Debug)]
pub struct Examination {
    /// Every check, in the order in which they build on each other.
    pub findings: Vec<Finding>,
    /// Whether the config itself cannot be followed: nothing else can be looked at then.
    pub config_is_broken: bool,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check's stable name.
    pub code: &'static str,
    /// What was looked at: a file, a provider, a notifier.
    pub subject: String,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub message: String,
    /// The command that mends it, or the next place to look; `None` when nothing is to be done.
    pub remedy: Option<String>,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is wrong.
    Ok,
    /// It was not looked at, for the reason that is given.
    Skipped,
    /// It wants a look.
    Warning,
    /// Data is not kept fresh, or trouble is not told, until it is mended.
    Critical,
}

impl State {
    /// All of them, the mildest first.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Skipped, Self::Warning, Self::Critical];

    /// Its word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Examination {
    /// The worst that was found; what was not looked at is no trouble.
    #[must_use]
    pub fn status(&self) -> State {
        let worst = self.findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
        if worst == State::Skipped { State::Ok } else { worst }
    }

    /// How many findings stand so.
    #[must_use]
    pub fn count(&self, state: State) -> u64 {
        self.findings.iter().filter(|finding| finding.state == state).count() as u64
    }

    /// The code that says so.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.status() {
            State::Critical if self.config_is_broken => Exit::Config,
            State::Critical => Exit::Failed,
            State::Warning => Exit::Partial,
            State::Ok | State::Skipped => Exit::Success,
        }
    }
}

impl Finding {
    fn new(code: &'static str, subject: &str, state: State, message: impl Into<String>) -> Self {
        Self { code, subject: subject.to_owned(), state, message: message.into(), remedy: None }
    }

    fn ok(code: &'static str, subject: &str, message: impl Into<String>) -> Self {
        Self::new(code, subject, State::Ok, message)
    }

    fn skipped(code: &'static str, subject: &str, message: impl Into<String>) -> Self {
        Self::new(code, subject, State::Skipped, message)
    }

    fn warning(code: &'static str, subject: &str, message: impl Into<String>) -> Self {
        Self::new(code, subject, State::Warning, message)
    }

    fn critical(code: &'static str, subject: &str, message: impl Into<String>) -> Self {
        Self::new(code, subject, State::Critical, message)
    }

    /// What the verdict says of the same thing.
    fn of_issue(code: &'static str, issue: &Issue) -> Self {
        let state = match issue.severity {
            Severity::Warning => State::Warning,
            Severity::Critical => State::Critical,
        };
        Self::new(code, &issue.subject, state, &issue.message).mended_by(&issue.hint)
    }

    /// What is for root and the system's units to read is none of this user's business.
    fn kept(code: &'static str, subject: &str, what: &str) -> Self {
        let message = format!("{what}: root and the units read it, and not this user");
        Self::skipped(code, subject, message).mended_by("sudo mdctl doctor")
    }

    fn mended_by(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl Seen<'_> {
    /// Whose rights count, in words.
    fn who(&self) -> String {
        match &self.worker {
            Worker::Owner(name) => format!("{name}, who owns the database's folder,"),
            Worker::Caller | Worker::Units => "this user".to_owned(),
        }
    }

    /// Whether the system's units are those of this config; so it is taken to be where systemd does not answer.
    fn has_system_units(&self) -> bool {
        match &self.timers {
            Timers::NoSystemd => false,
            Timers::Silent => true,
            Timers::Known(timers) => {
                timers.iter().any(|timer| timer.installed && timer.manager == Manager::System)
            }
        }
    }

    /// Whether the config has stood as it is for longer than that: before, what is to happen by itself has had
    /// no time to.
    fn is_older_than(&self, seconds: i64) -> bool {
        let since = self.config.as_ref().map_or(i64::MIN, |config| config.changed_at);
        self.now.saturating_sub(since) > seconds
    }

    /// The verdict's issue of one of those codes, the worst one.
    fn issue(&self, codes: &[Code]) -> Option<&Issue> {
        let issues = &self.health.as_ref()?.issues;
        issues.iter().find(|issue| codes.contains(&issue.code))
    }

    /// The verdict's issue of one of those codes about one thing.
    fn issue_of(&self, codes: &[Code], subject: &str) -> Option<&Issue> {
        let issues = &self.health.as_ref()?.issues;
        issues.iter().find(|issue| codes.contains(&issue.code) && issue.subject == subject)
    }
}

/// Judges what was seen.
#[must_use]
pub fn judge(seen: &Seen<'_>) -> Examination {
    let mut findings = vec![files::config(seen), files::config_access(seen)];
    findings.extend(files::secrets(seen));
    findings.push(files::folder(seen));
    findings.extend(files::database_access(seen));
    findings.extend(files::outputs(seen));
    findings.extend(database::database(seen));
    findings.push(database::disk(seen));
    findings.push(database::lock(seen));
    findings.push(database::pause(seen));
    for provider in &seen.providers {
        findings.extend(providers::key(seen, provider));
        findings.push(providers::provider(seen, provider));
    }
    findings.push(providers::clock(seen));
    findings.extend(timers::timers(seen));
    findings.push(backup::backup(seen));
    findings.push(database::last_run(seen));
    findings.extend(notifiers::notifiers(seen));
    Examination { findings, config_is_broken: false }
}

/// Of a config that cannot be followed nothing but that, and who may change it, can be told.
#[must_use]
pub fn broken(error: &ConfigError, hint: Option<&str>, access: Option<&Access>) -> Examination {
    let path = error.path.display().to_string();
    let broken = Finding::critical("config", &path, error.to_string());
    let broken = match hint {
        Some(hint) => broken.mended_by(hint),
        None => broken,
    };
    let mut findings = vec![broken];
    findings.extend(access.map(files::access_of_config));
    let rest = "the config comes first: it says what to look at";
    let codes = ["secrets", "database", "disk", "provider", "timers", "last_run", "notifier"];
    findings.extend(codes.map(|code| Finding::skipped(code, "", rest)));
    Examination { findings, config_is_broken: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examination(states: &[State]) -> Examination {
        let finding = |state: &State| Finding::new("disk", "disk", *state, "");
        Examination { findings: states.iter().map(finding).collect(), config_is_broken: false }
    }

    #[test]
    fn the_worst_finding_is_the_exit_code() {
        use State::{Critical, Ok, Skipped, Warning};
        for (states, code) in [
            (&[][..], 0),
            (&[Ok, Skipped], 0),
            (&[Ok, Warning, Skipped], 1),
            (&[Critical, Warning, Ok], 2),
        ] {
            assert_eq!(examination(states).exit().code(), code, "{states:?}");
        }
        let broken = Examination { config_is_broken: true, ..examination(&[Critical, Skipped]) };
        assert_eq!(broken.exit().code(), 78);
    }
}
