//! What happens by itself: the chores, the units that start them, and what systemd knows of those.

/// What the schedule does, each by a service and a timer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Everything that is due and not stored.
    Backfill,
    /// The daily pass.
    Enrich,
    /// The rules, and who is told.
    Alerts,
    /// What the database needs: backup, check, prune.
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

/// A timer and its service, as systemd knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// What it starts.
    pub chore: Chore,
    /// Who starts it.
    pub manager: Manager,
    /// Whether its units are there and are those of this config.
    pub installed: bool,
    /// Whether it is started with the system.
    pub enabled: bool,
    /// Whether it counts down now.
    pub active: bool,
    /// When it elapses next, epoch seconds UTC; `None` where systemd does not say.
    pub next_at: Option<i64>,
    /// How the service's last call failed; `None` when it did not, or none was since the start of the machine.
    pub failure: Option<UnitFailure>,
}

/// How a service failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFailure {
    /// systemd's word for it, as `exit-code` or `timeout`.
    pub result: String,
    /// What its last process exited with, or the number of the signal that ended it; `None` where systemd
    /// does not say.
    pub status: Option<i64>,
}
