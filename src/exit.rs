//! The process codes, and how outcomes and errors become one.

use crate::config::{ConfigError, TreatAs};
use crate::domain::run::{RunStatus, StopSignal};
use crate::store::StoreError;

/// Every code with which the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every job succeeded, nothing was due, a pause was on; or healthy.
    Success,
    /// Some jobs failed; or degraded.
    Partial,
    /// Every job failed, or the run was aborted; or critical.
    Failed,
    /// It cannot be told: no database yet, unreadable, damaged.
    Unknown,
    /// Nothing failed, but some jobs were left for the next run.
    Deferred,
    /// The command line cannot be followed.
    Usage,
    /// A file cannot be made.
    CannotCreate,
    /// A file or the database cannot be read or written.
    InputOutput,
    /// Another run holds the lock.
    Locked,
    /// The config cannot be followed.
    Config,
    /// A signal ended the run; it is on record, and all finished work is kept.
    Stopped(StopSignal),
    /// Another code that the user chose with `treat_as`.
    Chosen(u8),
}

impl Exit {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Partial => 1,
            Self::Failed => 2,
            Self::Unknown => 3,
            Self::Deferred => 4,
            Self::Usage => 64,
            Self::CannotCreate => 73,
            Self::InputOutput => 74,
            Self::Locked => 75,
            Self::Config => 78,
            Self::Stopped(signal) => signal.code(),
            Self::Chosen(code) => code,
        }
    }

    /// The code of a run that came to its end.
    #[must_use]
    pub const fn of_run(status: RunStatus, treat_as: TreatAs) -> Self {
        let (usual, code) = match status {
            RunStatus::Partial => (Self::Partial, treat_as.partial),
            RunStatus::Deferred => (Self::Deferred, treat_as.deferred),
            RunStatus::Failed => (Self::Failed, treat_as.failed),
            RunStatus::Interrupted | RunStatus::Crashed => return Self::Failed,
            RunStatus::Running | RunStatus::Succeeded | RunStatus::Skipped => return Self::Success,
        };
        if code == usual.code() { usual } else { Self::Chosen(code) }
    }

    /// The code of an error, by what lies at its bottom.
    #[must_use]
    pub fn of_error(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if cause.is::<ConfigError>() {
                return Self::Config;
            }
            match cause.downcast_ref::<StoreError>() {
                Some(StoreError::Create { .. }) => return Self::CannotCreate,
                Some(_) => return Self::InputOutput,
                None => {}
            }
        }
        Self::InputOutput
    }
}
