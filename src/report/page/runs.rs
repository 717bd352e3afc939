//! The runs of the last days.

use crate::domain::fact::RunFact;
use crate::domain::run::RunStatus;

/// Runs on the page, at most.
pub const MOST: usize = 1_000;

/// What the last runs did.
#[derive(Debug)]
pub struct Runs {
    /// From when on they are looked at, epoch seconds UTC.
    pub since: i64,
    /// Newest first.
    pub list: Vec<RunFact>,
    /// Whether there are older ones since then that are not shown.
    pub is_cut: bool,
    /// How many of the list ended how; only what occurs.
    pub by_status: Vec<(RunStatus, u64)>,
}

impl Runs {
    /// The newest of `list`, which are runs since `since`, newest first.
    #[must_use]
    pub fn of(mut list: Vec<RunFact>, since: i64) -> Self {
        let is_cut = list.len() > MOST;
        list.truncate(MOST);
        let count = |status: &RunStatus| list.iter().filter(|run| run.status == *status).count();
        let by_status = RunStatus::ALL.iter().map(|status| (*status, count(status) as u64));
        let by_status = by_status.filter(|(_, runs)| *runs > 0).collect();
        Self { since, list, is_cut, by_status }
    }
}
