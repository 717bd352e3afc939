//! Who is not told what they are to be told.

use crate::config::Settings;
use crate::domain::alert::{Severity, Unsent};
use crate::domain::words::{counted, instant};

use super::{Code, Evidence, Issue};

/// The notifiers of the config that could not be told something, each with its issue.
pub(super) fn alerts_unsent<'a>(
    settings: &'a Settings,
    evidence: &'a Evidence,
) -> impl Iterator<Item = Issue> + 'a {
    let configured = |unsent: &&Unsent| settings.notifiers.contains_key(&unsent.notifier);
    evidence.unsent.values().filter(configured).map(issue)
}

fn issue(unsent: &Unsent) -> Issue {
    let Unsent { notifier, since, changes, error } = unsent;
    Issue {
        code: Code::AlertsUnsent,
        severity: Severity::Warning,
        subject: notifier.clone(),
        count: *changes,
        since: Some(*since),
        message: format!(
            "notifier {notifier} could not be told {} since {}: {error}",
            counted(*changes, "change"),
            instant(*since)
        ),
        hint: format!("see [notify.{notifier}] in the config; `mdctl alerts --notify` tries again"),
    }
}
