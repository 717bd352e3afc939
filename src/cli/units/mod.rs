//! `mdctl units`: the schedule, for systemd or for cron.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand};
use schemars::Schema;

use crate::config::{access, env, nearest};
use crate::domain::place::{self, folder_of};
use crate::exit::Exit;
use crate::store::Store;
use crate::systemd::units::{self, UnitFile};
use crate::systemd::{Chore, calendar, cron, install};
use crate::{clock, render};

use super::failure::Failure;
use super::{Done, Global, print};

mod plan;

use plan::{Goal, Plan};

/// Show or install systemd units for this config: backfill every hour, enrich daily, alerts every 15
/// minutes, maintenance every week.
///
/// The system's units are for /etc/mdctl/mdctl.toml, unless --config names another, and work as the user
/// `mdctl`. With --user they are yours, for the config that every command finds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl units                                    what would be installed
  sudo mdctl units install                       for /etc/mdctl/mdctl.toml
  mdctl units install --user                     without root
  sudo mdctl units install --schedule 'enrich=*-*-* 22:30 America/New_York'
  mdctl units print --cron                       lines for crontab -e
  systemd-analyze calendar 'Mon..Fri 22:30'      when a schedule elapses")]
pub(super) struct Units {
    #[command(subcommand)]
    what: Option<What>,
    /// For your own systemd instead of the system's: no root, no user of their own.
    #[arg(long, global = true)]
    user: bool,
    /// Other times than the usual ones, as NAME=CALENDAR,..: backfill, enrich, alerts, maintenance; the
    /// calendar as systemd writes it (`man systemd.time`).
    #[arg(long, global = true, value_name = "NAME=CALENDAR")]
    schedule: Vec<Schedules>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the units, each under the path of its file.
    #[command(after_help = "Examples:
  mdctl units print --user
  mdctl units print --cron         lines for crontab -e")]
    Print {
        /// Lines for a crontab instead; their times are cron's to change.
        #[arg(long, conflicts_with = "schedule")]
        cron: bool,
    },
    /// Write the units, make user and folders, start the timers. Drop-ins stay, and so do schedules and --db
    /// of an installation before, unless given anew; to do it again does no harm. Exits 74 when systemd refuses
    /// something.
    #[command(after_help = "Examples:
  sudo mdctl units install
  mdctl units install --user --schedule enrich=02:00")]
    Install {
        /// Into this folder, which becomes a system's /, as of an image: nothing is made or started.
        #[arg(long, value_name = "DIR", conflicts_with = "user")]
        root: Option<PathBuf>,
    },
}

impl Units {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.what {
            Some(What::Install { .. }) => render::units::installed_schema(),
            _ => render::units::schema(),
        }
    }
}

/// Times of chores: a calendar may have commas of its own.
#[derive(Clone, Debug)]
struct Schedules(Vec<(Chore, String)>);

impl FromStr for Schedules {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut schedules: Vec<(Chore, String)> = Vec::new();
        for part in text.split(',') {
            match (part.split_once('='), schedules.last_mut()) {
                (Some((name, calendar)), _) => {
                    schedules.push((chore(name.trim())?, calendar.trim().to_owned()));
                }
                (None, Some((_, calendar))) => *calendar = format!("{calendar},{part}"),
                (None, None) => {
                    return Err("it is written NAME=CALENDAR, as in enrich=02:00".into());
                }
            }
        }
        Ok(Self(schedules))
    }
}

fn chore(name: &str) -> Result<Chore, String> {
    let names = Chore::ALL.map(Chore::as_str);
    Chore::ALL.into_iter().find(|chore| chore.as_str() == name).ok_or_else(|| {
        let near = nearest(name, names);
        let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
        format!("there is no `{name}` on the schedule{near} (it has {})", names.join(", "))
    })
}

pub(super) fn exec(command: &Units, global: &Global) -> Done {
    for (chore, expression) in command.schedule.iter().flat_map(|schedules| &schedules.0) {
        let wrong = |why| Failure::usage(format!("--schedule {}: {why}", chore.as_str()));
        calendar::check(expression).map_err(|why| {
            wrong(why).hinted("`man systemd.time` has the form, as in Mon..Fri 22:30")
        })?;
    }
    match &command.what {
        Some(What::Install { root }) => install(command, root.as_deref(), global),
        Some(What::Print { cron: true }) => {
            let plan = Plan::make(command, Goal::Cron, None, global)?;
            let lines = cron::crontab(&plan.layout).map_err(Failure::usage)?;
            show(&plan, &[], Some(&lines), global)
        }
        Some(What::Print { cron: false }) | None => {
            let plan = Plan::make(command, Goal::Print, None, global)?;
            let files = units::files(&plan.layout).map_err(Failure::usage)?;
            show(&plan, &files, None, global)
        }
    }
}

fn show(plan: &Plan, files: &[UnitFile], crontab: Option<&str>, global: &Global) -> Done {
    if !global.quiet {
        // What is printed goes into files: what is to be known besides does not.
        let mut err = io::stderr().lock();
        plan.notes.iter().try_for_each(|note| writeln!(err, "note: {note}"))?;
    }
    print(|out| {
        if global.json {
            render::units::json(out, &plan.layout, files, crontab, clock::now())
        } else {
            render::units::text(out, &plan.layout, files, crontab)
        }
    })?;
    Ok(Exit::Success)
}

fn install(command: &Units, root: Option<&Path>, global: &Global) -> Done {
    if !command.user && root.is_none() && !env::is_root() {
        return Err(not_root());
    }
    let goal = if root.is_some() { Goal::Image } else { Goal::Install };
    let plan = Plan::make(command, goal, root, global)?;
    let files = units::files(&plan.layout).map_err(Failure::usage)?;
    let mut installed = install::install(&plan.layout, &files, root)
        .map_err(|install::Unwritten { path, error }| Failure::create(&path, &error))?;
    if let Some(database) =
        plan.database.filter(|path| goal == Goal::Install && is_home(path, command))
    {
        Store::open_write(&database)?;
        installed.done.push("mdctl db migrate".to_owned());
    }
    installed.left.extend(plan.notes);
    print(|out| {
        if global.json {
            render::units::installed_json(out, &plan.layout, &installed, clock::now())
        } else {
            render::units::installed(out, &installed)
        }
    })?;
    // What nobody is at work for is left to do; what was tried and refused has gone wrong.
    Ok(if installed.failed.is_empty() { Exit::Success } else { Exit::InputOutput })
}

/// Whether a database is to be made there, so that `doctor` can try all of it before the first run: there is
/// none, and its folder is that of the user whom the units work as.
fn is_home(database: &Path, command: &Units) -> bool {
    let Ok(folder) = folder_of(database).metadata() else { return false };
    !command.user
        && access::user_id(place::USER) == Some(folder.uid())
        && database.symlink_metadata().is_err()
}

fn not_root() -> Failure {
    let program =
        std::env::current_exe().map_or_else(|_| "mdctl".into(), |path| path.display().to_string());
    Failure::new(Exit::CannotCreate, "create", "the system's units are root's to install").hinted(format!(
        "sudo {program} units install; or without root, for yourself: {program} units install --user"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_may_have_commas() {
        let schedules: Schedules =
            "backfill=hourly,enrich=Mon,Tue *-*-* 02:00,alerts=*:0/5".parse().unwrap();
        let expected = [
            (Chore::Backfill, "hourly".to_owned()),
            (Chore::Enrich, "Mon,Tue *-*-* 02:00".to_owned()),
            (Chore::Alerts, "*:0/5".to_owned()),
        ];
        assert_eq!(schedules.0, expected);
    }

    #[test]
    fn what_is_not_on_the_schedule_is_named_with_its_nearest() {
        let error = "enrihc=02:00".parse::<Schedules>().unwrap_err();
        assert!(error.contains("did you mean `enrich`?"), "{error}");
        assert!("02:00".parse::<Schedules>().is_err());
    }
}
