//! Who is told, and how, as the config says.

use std::time::Duration;

use crate::domain::alert::Severity;

use super::secret::{Address, SecretSource};

/// Who is told of alerts, or of runs.
#[derive(Clone, Debug)]
pub struct Notifier {
    /// How, and where.
    pub kind: NotifierKind,
    /// What is milder than this is not told.
    pub min_severity: Severity,
    /// Whether it is told as well that an alert is over.
    pub send_resolved: bool,
    /// After so long an alert that still fires is told again; `None` for never.
    pub repeat: Option<Duration>,
}

impl Notifier {
    /// Whether it is a dead man's switch, which hears of runs and of no alert.
    #[must_use]
    pub const fn hears_of_runs(&self) -> bool {
        matches!(self.kind, NotifierKind::Healthchecks { .. })
    }
}

impl Notifier {
    /// Where its secrets are kept.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        let (url, token) = match &self.kind {
            NotifierKind::Webhook { url, token } => (Some(url), token.as_ref()),
            NotifierKind::PagerDuty { url, token } => (Some(url), Some(token)),
            NotifierKind::Slack { url } | NotifierKind::Healthchecks { url } => (Some(url), None),
            NotifierKind::Command { .. } => (None, None),
        };
        url.and_then(Address::source).into_iter().chain(token)
    }
}

/// How somebody is told, and where.
#[derive(Clone, Debug)]
pub enum NotifierKind {
    /// An HTTP address that takes our own JSON, with a bearer token where there is one.
    Webhook {
        /// Where.
        url: Address,
        /// What it lets us in with.
        token: Option<SecretSource>,
    },
    /// A Slack incoming webhook.
    Slack {
        /// Where: a secret.
        url: Address,
    },
    /// PagerDuty's events, version 2.
    PagerDuty {
        /// Where.
        url: Address,
        /// The routing key.
        token: SecretSource,
    },
    /// A program, which gets our own JSON on stdin.
    Command {
        /// The program and its arguments; never empty.
        command: Vec<String>,
    },
    /// A dead man's switch that is told of every run, and of no alert.
    Healthchecks {
        /// Where: a secret.
        url: Address,
    },
}

impl NotifierKind {
    /// Its word in the config.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Command { .. } => "command",
            Self::Healthchecks { .. } => "healthchecks",
        }
    }
}
