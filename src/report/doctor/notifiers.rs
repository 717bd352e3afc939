//! Those who are told of trouble: are they complete, and do they hear?

use crate::config::Notifier;

use super::super::health::Code;
use super::{Finding, Seen};

/// One who is told.
#[derive(Debug)]
pub struct Listener<'a> {
    /// The name in the config.
    pub name: &'a str,
    /// How, and where.
    pub notifier: &'a Notifier,
    /// What is lacking before it can be told anything, and the command that mends it.
    pub lacking: Option<(String, String)>,
    /// Whether that is there for root and the system's units alone.
    pub is_kept: bool,
    /// What came of a test message; `None` when none was sent.
    pub test: Option<Result<(), String>>,
}

pub(super) fn notifiers(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.listeners.is_empty() {
        let nobody = Finding::skipped("notifier", "notifiers", "nobody is told of trouble");
        return vec![
            nobody.mended_by(
                "a [notify.NAME] in the config; `mdctl alerts` shows what would be told",
            ),
        ];
    }
    seen.listeners.iter().map(|listener| notifier(seen, listener)).collect()
}

fn notifier(seen: &Seen<'_>, listener: &Listener<'_>) -> Finding {
    let Listener { name, notifier, .. } = listener;
    let kind = notifier.kind.as_str();
    if let Some((why, remedy)) = &listener.lacking {
        if listener.is_kept && seen.has_system_units() {
            return Finding::kept("notifier", name, kind);
        }
        return Finding::critical("notifier", name, format!("{kind}: {why}")).mended_by(remedy);
    }
    match &listener.test {
        Some(Ok(())) if notifier.hears_of_runs() => Finding::ok(
            "notifier",
            name,
            format!("{kind}: it took a line for its log, which is no ping"),
        ),
        Some(Ok(())) => Finding::ok("notifier", name, format!("{kind}: it took the test message")),
        Some(Err(why)) => {
            Finding::critical("notifier", name, format!("{kind}: the test message: {why}"))
                .mended_by(format!(
                    "see [notify.{name}] in the config; `mdctl doctor --send-test` tries again"
                ))
        }
        None => match seen.issue_of(&[Code::AlertsUnsent], name) {
            Some(issue) => Finding::of_issue("notifier", issue),
            None => {
                Finding::ok("notifier", name, format!("{kind}: complete; --send-test tries it"))
            }
        },
    }
}
