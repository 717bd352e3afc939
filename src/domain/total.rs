//! Totals since the database was made. They only ever grow, whatever becomes of the rows that they were
//! counted from.

use super::fact::RequestCount;
use super::run::RunStatus;

/// Everything that is counted for good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrandTotals {
    /// Requests by provider and outcome; files read are none.
    pub requests: Vec<RequestCount>,
    /// What else is counted of each provider, by name.
    pub traffic: Vec<Traffic>,
    /// Runs that ended, by command and status.
    pub runs: Vec<RunCount>,
    /// Bars written that were new.
    pub bars_inserted: u64,
    /// Bars written over ones that differed.
    pub bars_updated: u64,
    /// How often features of a series were computed, and that went well.
    pub computed: u64,
    /// How often that failed.
    pub not_computed: u64,
    /// How long computing took, in milliseconds.
    pub computation_time_ms: f64,
}

/// What is counted of a provider besides the outcomes of its requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// The provider's name in the config.
    pub provider: String,
    /// Requests that were second tries or later.
    pub retries: u64,
    /// Unpacked bytes.
    pub bytes: u64,
    /// By how long they took, ascending; every bound is there.
    pub times: Vec<TimeBucket>,
    /// How long all requests took together, in milliseconds.
    pub response_time_ms: u64,
}

/// Requests that took about so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBucket {
    /// They took at most so many milliseconds, and longer than the bucket before; `None` for the last one,
    /// which has no end.
    pub up_to_ms: Option<u64>,
    /// How many.
    pub requests: u64,
}

/// Runs of a command that ended in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCount {
    /// `backfill` or `enrich`.
    pub command: String,
    /// How they ended.
    pub status: RunStatus,
    /// How many.
    pub count: u64,
}
