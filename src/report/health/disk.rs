//! Whether the disk under the database has room for what comes.

use crate::domain::alert::Severity;
use crate::domain::words::bytes;

use super::{Code, Evidence, Issue};

/// Room that every run wants for its log and its indices.
const HEADROOM: u64 = 64 << 20;

/// Below so many times of what the next run needs, somebody should look.
const RUNS_AHEAD: u64 = 8;

/// What a bar takes, its features and its part of the indices included, before there are bars to tell.
const USUAL_BAR: u64 = 300;

/// The disk under the database.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// Bytes that may still be written to it.
    pub free_bytes: u64,
    /// What the database takes now, less what is free in it.
    pub used_bytes: u64,
    /// Bars in it.
    pub bars: u64,
}

impl Disk {
    /// What the next run needs: as much as the largest of the recent ones wrote, twice, since what is
    /// written stands in the log, too, until it is moved.
    pub(in crate::report) fn needed(&self, most_new_bars: u64) -> u64 {
        let bar = self.used_bytes.checked_div(self.bars).unwrap_or(USUAL_BAR).max(USUAL_BAR);
        HEADROOM.saturating_add(most_new_bars.saturating_mul(bar).saturating_mul(2))
    }
}

pub(super) fn disk_low(evidence: &Evidence) -> Option<Issue> {
    let disk = evidence.disk?;
    let runs = evidence.recent_runs.iter().chain(&evidence.last);
    let written = runs.map(|run| run.totals.records_inserted + run.totals.records_updated);
    let needed = disk.needed(written.max().unwrap_or(0));
    let free = disk.free_bytes;
    if free >= needed.saturating_mul(RUNS_AHEAD) {
        return None;
    }
    Some(Issue {
        code: Code::DiskLow,
        severity: if free < needed { Severity::Critical } else { Severity::Warning },
        subject: "disk".to_owned(),
        count: 1,
        since: None,
        message: format!(
            "{} are free on the disk of the database, the next run may need {}",
            bytes(free),
            bytes(needed)
        ),
        hint: "free space on it, or move the database to a larger one and name it with [database] path"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_needs_what_the_largest_one_wrote_and_the_log_of_it() {
        let disk = |bars| Disk { free_bytes: 0, used_bytes: 1 << 30, bars };
        assert_eq!(disk(0).needed(0), HEADROOM);
        assert_eq!(disk(0).needed(1_000), HEADROOM + 600_000);
        assert_eq!(disk(1 << 20).needed(1_000), HEADROOM + 2_048_000);
        assert_eq!(disk(1).needed(u64::MAX), u64::MAX);
    }
}
