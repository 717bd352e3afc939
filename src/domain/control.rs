//! What people order by hand: pauses, and what the audit log keeps of them.

use std::fmt;

use super::run::RunId;
use super::words::instant;

/// Until when runs are not to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it was ordered, epoch seconds UTC.
    pub since: i64,
    /// The first instant after it, epoch seconds UTC.
    pub until: i64,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub who: String,
}

/// `until 2024-03-15T20:00:00Z, by alice: the disk is being changed`.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "until {}, by {}: {}", instant(self.until), self.who, self.reason)
    }
}

/// Something that somebody did by hand: a row of `audit_log`.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// Epoch seconds UTC.
    pub at: i64,
    /// Who.
    pub who: &'a str,
    /// On which machine.
    pub host: &'a str,
    /// What: `pause`, `resume`, `force`, `breaker_reset`, `actions_accept`, `actions_reject`,
    /// `alert_snooze`, `alert_unsnooze`, `baseline`.
    pub action: &'a str,
    /// To what.
    pub subject: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The run in which; `None` outside of one.
    pub run_id: Option<&'a RunId>,
}
