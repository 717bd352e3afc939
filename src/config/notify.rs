//! Who is told, and how, as the config says.

use std::path::Path;
use std::time::Duration;

use crate::domain::alert::Severity;

use super::access;
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

    /// Where it is reached; `None` of a program.
    #[must_use]
    pub const fn url(&self) -> Option<&Address> {
        match &self.kind {
            NotifierKind::Webhook { url, .. }
            | NotifierKind::Slack { url }
            | NotifierKind::PagerDuty { url, .. }
            | NotifierKind::Healthchecks { url } => Some(url),
            NotifierKind::Command { .. } => None,
        }
    }

    /// What it lacks before it can be told anything, and what mends that; `None` when nothing is lacking.
    /// `folder` is the config's, in which a program is started.
    #[must_use]
    pub fn lacking(&self, name: &str, folder: &Path) -> Option<(String, String)> {
        if let Some(url) = self.url()
            && let Err(why) = url.resolve()
        {
            let see = || format!("see [notify.{name}] url in the config");
            return Some((why, url.source().map_or_else(see, SecretSource::remedy)));
        }
        if let Some(token) = self.token()
            && let Err(why) = token.resolve()
        {
            return Some((why, token.remedy()));
        }
        let NotifierKind::Command { command } = &self.kind else { return None };
        let program = command.first().map(String::as_str).unwrap_or_default();
        let why = || {
            let see = format!("see [notify.{name}] command in the config; ls -l {program}");
            (format!("there is no program {program} that can be started"), see)
        };
        (!access::is_program(program, folder)).then(why)
    }

    /// What it lets us in with; `None` where it wants nothing.
    #[must_use]
    pub const fn token(&self) -> Option<&SecretSource> {
        match &self.kind {
            NotifierKind::Webhook { token, .. } => token.as_ref(),
            NotifierKind::PagerDuty { token, .. } => Some(token),
            _ => None,
        }
    }

    /// Where its secrets are kept.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.url().and_then(Address::source).into_iter().chain(self.token())
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
