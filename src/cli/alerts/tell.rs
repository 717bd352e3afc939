//! `mdctl alerts --notify`: what changed goes out, and what has gone out is remembered.
//!
//! Under a lock of its own, so that two calls do not tell twice, and a run at work holds up nobody. What a
//! notifier takes is written down at once: a call that dies in the middle forgets no more than what was
//! under way.

use crate::config::Notifier;
use crate::domain::alert::{Memory, Unsent};
use crate::domain::place::folder_of;
use crate::notify::{self, Mail, Origin};
use crate::report::alerts::{Changes, Delivery, Kind, Report, Verdict, changes};
use crate::store::{Holding, Store, StoreError, StoreResult, Writer, lock};

use super::super::deed;
use super::super::failure::Failure;
use super::super::scene::Scene;
use super::unreadable;

/// When something was told of which nobody knows yet whether it came.
const UNCERTAIN: i64 = 0;

/// How often what a notifier has taken is written down when another program holds the database locked.
const TRIES: usize = 6;

/// Judges, tells, and remembers.
pub(super) fn tell(scene: &Scene) -> Result<Told, Failure> {
    let database = &scene.settings.database;
    let lock = lock::wait_for_alerts(database)
        .map_err(|error| Failure::create(&lock::alerts_path_of(database), &error));
    // What is not there, or cannot be read, is not made.
    let opened = scene.reader().map(drop).and_then(|()| Ok((lock?, Store::open_write(database)?)));
    let (_lock, mut store) =
        opened.inspect_err(|why| unreadable::tell(scene, &origin(scene), &why.line()))?;
    unreadable::over(scene, &origin(scene));
    if scene.settings.notifiers.values().all(Notifier::hears_of_runs) {
        tracing::warn!("nobody is told: the config names nobody to be told, in a [notify.NAME]");
    }
    let report = super::judge(scene)?;
    let now = scene.wall_now;
    let mails = store.write(|writer| {
        remember(writer, &report, now)?;
        mails(scene, writer, &report)
    })?;
    let mut deliveries = Vec::new();
    let mut trouble: Option<StoreError> = None;
    notify::send(mails, &origin(scene), now, |delivery| {
        if let Some(error) = &delivery.error {
            let (name, left) = (&delivery.notifier, delivery.changes.len() - delivery.taken);
            tracing::error!(
                notifier = name,
                left,
                "a notifier was not told, and is tried again next time: {error}"
            );
        }
        // What is not written down is told twice: it is tried for half a minute.
        let mut write = || store.write(|writer| record(writer, &delivery, now));
        let mut written = write();
        for _ in 1..TRIES {
            if written.is_ok() {
                break;
            }
            written = write();
        }
        if let Err(error) = written {
            trouble.get_or_insert(error);
        }
        deliveries.push(delivery);
    });
    deliveries.sort_by(|a, b| a.notifier.cmp(&b.notifier));
    Ok(Told { report, deliveries, trouble })
}

/// What came of it.
pub(super) struct Told {
    pub(super) report: Report,
    pub(super) deliveries: Vec<Delivery>,
    /// Why something that was told could not be written down; it is told again.
    pub(super) trouble: Option<StoreError>,
}

pub(in crate::cli) fn origin(scene: &Scene) -> Origin {
    let database = &scene.settings.database;
    Origin {
        host: deed::host(),
        database: database.canonicalize().as_ref().unwrap_or(database).display().to_string(),
        folder: folder_of(&scene.settings.config_path).to_owned(),
        secrets: scene.settings.secret_variables(),
    }
}

/// Writes down which rules hold.
fn remember(writer: &Writer<'_>, report: &Report, now: i64) -> StoreResult<()> {
    for alert in &report.alerts {
        match (alert.verdict, alert.since, alert.severity) {
            (Verdict::Firing | Verdict::Pending, Some(since), Some(severity)) => {
                let holding = Holding {
                    rule: &alert.rule.name,
                    since,
                    firing: alert.verdict == Verdict::Firing,
                    severity,
                    count: alert.count,
                };
                writer.alert_hold(&holding, now)?;
            }
            (Verdict::Quiet, ..) => writer.alert_let_go(&alert.rule.name)?,
            // Of what cannot be judged now, what is known is left as it is.
            _ => {}
        }
    }
    Ok(())
}

/// What each notifier is to be told. What it need not be told is written down, and so is that nothing waits
/// for it.
fn mails<'a>(scene: &'a Scene, writer: &Writer<'_>, report: &Report) -> StoreResult<Vec<Mail<'a>>> {
    let memory = writer.alert_memory()?;
    forget_gone(scene, writer, report, &memory)?;
    let mut mails = Vec::new();
    for (name, notifier) in &scene.settings.notifiers {
        if notifier.hears_of_runs() {
            continue;
        }
        let Changes { tell, milder, forget } =
            changes(name, notifier, report, &memory, scene.wall_now);
        for (rule, told) in milder {
            writer.alert_told(name, &rule, &told)?;
        }
        for rule in forget {
            writer.alert_over(name, &rule)?;
        }
        if tell.is_empty() {
            writer.alert_all_sent(name)?;
        } else {
            // Before it goes: what came, though its answer was lost, is to be told the end of, too.
            for change in tell.iter().filter(|change| change.kind == Kind::Started) {
                if let Some(told) = change.told(UNCERTAIN) {
                    writer.alert_told(name, &change.rule, &told)?;
                }
            }
            mails.push(Mail { name, notifier, changes: tell });
        }
    }
    Ok(mails)
}

/// Forgets the rules and notifiers that the config has no more.
fn forget_gone(
    scene: &Scene,
    writer: &Writer<'_>,
    report: &Report,
    memory: &Memory,
) -> StoreResult<()> {
    let is_watched = |rule: &String| report.alerts.iter().any(|alert| alert.rule.name == *rule);
    for rule in memory.held.keys().filter(|rule| !is_watched(rule)) {
        writer.alert_let_go(rule)?;
    }
    let is_told = |name: &String| scene.settings.notifiers.contains_key(name);
    for name in memory.told.keys().chain(memory.unsent.keys()).filter(|name| !is_told(name)) {
        writer.alert_notifier_forget(name)?;
    }
    Ok(())
}

/// Writes down what a notifier has taken, and what waits for it.
fn record(writer: &Writer<'_>, delivery: &Delivery, now: i64) -> StoreResult<()> {
    let Delivery { notifier, changes, taken, error } = delivery;
    for change in &changes[..*taken] {
        match change.told(now) {
            Some(told) => writer.alert_told(notifier, &change.rule, &told)?,
            None => writer.alert_over(notifier, &change.rule)?,
        }
    }
    match error {
        None => writer.alert_all_sent(notifier),
        Some(error) => writer.alert_unsent(&Unsent {
            notifier: notifier.clone(),
            since: now,
            changes: (changes.len() - taken) as u64,
            error: error.clone(),
        }),
    }
}
