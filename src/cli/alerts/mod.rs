//! `mdctl alerts`: what fires, who is told, and what nobody is told of for a while.

use clap::{Args, Subcommand};
use schemars::Schema;

use crate::domain::shard::Shard;
use crate::render;
use crate::report::alerts::{self, Delivery, Report};

use super::failure::Failure;
use super::scene::Scene;
use super::{Done, print};

mod documents;
mod snooze;
mod tell;
mod unreadable;

pub(super) use tell::origin;

/// What fires of the rules that are watched; tell what changed, snooze.
///
/// The built-in rules, and those of [[alerts]] in the config, are held against what health, metrics,
/// quality and slo say with --json. Exits by the worst that fires and is not snoozed: 0 for none, 1 for a
/// warning, 2 for a critical one; 3 when nothing fires and a rule, or every rule, cannot be judged.
///
/// With --notify, what started, worsened or ended since the last such call goes to each [notify.NAME] of
/// the config, as one message. What is not taken is kept and tried again next time. An alert has worsened
/// when its severity rises, or when it is about at least twice as many as was told. The `for` of a rule counts
/// from the first such call that saw its test hold.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  mdctl alerts
  mdctl alerts --notify            every few minutes, from a timer
  mdctl alerts snooze StaleSeries --for 4h --reason \"the vendor is moving\"
  mdctl alerts unsnooze StaleSeries"
)]
pub(super) struct Alerts {
    #[command(subcommand)]
    what: Option<What>,
    /// Tell what changed since the last such call. Without it nothing is sent and nothing written.
    #[arg(long)]
    notify: bool,
    /// Only the symbols of this shard; as in `backfill`.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Tell nobody of an alert for a while.
    ///
    /// It does not count for the exit code either; when the snooze ends and it still fires, it is told again.
    Snooze(snooze::Snooze),
    /// End a snooze before its time.
    Unsnooze(snooze::Unsnooze),
}

impl Alerts {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.what {
            None => render::alerts::schema(),
            Some(_) => render::snooze::schema(),
        }
    }
}

pub(super) fn exec(command: &Alerts, scene: &Scene) -> Done {
    let scene = &scene.anew(command.shard);
    match &command.what {
        Some(What::Snooze(command)) => snooze::snooze(command, scene),
        Some(What::Unsnooze(command)) => snooze::unsnooze(command, scene),
        None if command.notify && scene.as_of.is_some() => {
            Err(Failure::usage("--notify with --as-of would tell people of another time")
                .hinted("leave one of them out"))
        }
        None if command.notify => {
            scene.warn_of_exposed();
            let told = tell::tell(scene)?;
            let exit = show(scene, &told.report, Some(&told.deliveries))?;
            told.trouble.map_or(Ok(exit), |error| Err(error.into()))
        }
        None => show(scene, &judge(scene)?, None),
    }
}

/// How every rule stands.
pub(super) fn judge(scene: &Scene) -> Result<Report, Failure> {
    let memory = scene.reader()?.alert_memory().map_err(|error| Failure::of_reader(&error))?;
    let documents = documents::of(scene)?;
    Ok(alerts::judge(&scene.settings.alerts, &documents, &memory, scene.wall_now))
}

fn show(scene: &Scene, report: &Report, deliveries: Option<&[Delivery]>) -> Done {
    for alert in report.alerts.iter().filter(|alert| alert.verdict == alerts::Verdict::Unknown) {
        let (name, message, hint) = (&alert.rule.name, &alert.message, &alert.hint);
        tracing::error!("alert {name} cannot be judged: {message}; {hint}");
    }
    print(|out| {
        if scene.json {
            render::alerts::json(out, report, deliveries, scene.now())
        } else {
            render::alerts::table(out, report, deliveries, scene.look, scene.wall_now)
        }
    })?;
    Ok(report.status().exit())
}
