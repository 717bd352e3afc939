//! systemd: the one place that knows how its units are written and that asks its programs.
//!
//! Four chores are on the schedule ([`Chore`]), each a service and a timer. Where systemd is not there, is
//! not at work or does not answer in time, nothing is known ([`timers`]), and nothing fails for it.

mod ask;
pub mod calendar;
mod timers;

pub use timers::{Timer, is_at_work, next_run, timers};

/// What the schedule does, each by a service and a timer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Everything that is due and not stored.
    Backfill,
    /// The daily pass.
    Enrich,
    /// The rules, and who is told.
    Alerts,
    /// What the database needs: prune, check, backup.
    Maintenance,
}

impl Chore {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Backfill, Self::Enrich, Self::Alerts, Self::Maintenance];

    /// Its name, as in a schedule.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Enrich => "enrich",
            Self::Alerts => "alerts",
            Self::Maintenance => "maintenance",
        }
    }

    /// Its service's name.
    #[must_use]
    pub fn service(self) -> String {
        format!("mdctl-{}.service", self.as_str())
    }

    /// Its timer's name.
    #[must_use]
    pub fn timer(self) -> String {
        format!("mdctl-{}.timer", self.as_str())
    }

    /// Whether it is a run.
    #[must_use]
    pub const fn is_run(self) -> bool {
        matches!(self, Self::Backfill | Self::Enrich)
    }
}

/// Who starts the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// The system's, as the user `mdctl`.
    System,
    /// A user's own.
    User,
}
