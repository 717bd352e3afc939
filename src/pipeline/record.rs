//! A run's row and how it is closed: the one place that says how a run ended.

use crate::clock;
use crate::config::Settings;
use crate::domain::event::Event;
use crate::domain::run::{RunId, RunStatus, Totals, WriterTimes};
use crate::exit;
use crate::store::{Store, StoreResult, Writer};

use super::Outcome;
use super::desk::Desk;

/// A run on record.
pub(super) struct Record<'a> {
    pub(super) settings: &'a Settings,
    pub(super) run_id: &'a RunId,
    pub(super) totals: Totals,
    pub(super) times: WriterTimes,
    /// Where providers are remembered; `None` where that is the run's own database.
    pub(super) memory: Option<&'a mut Store>,
}

impl Record<'_> {
    /// Notes what the desk has done so far.
    pub(super) fn note(&mut self, desk: &Desk<'_>) {
        (self.totals, self.times) = (desk.totals(), desk.times);
    }

    /// Closes the run's row with its outcome.
    pub(super) fn close(
        self,
        store: &mut Store,
        status: RunStatus,
        exit: exit::Exit,
        error: Option<&str>,
        sink: &mut dyn FnMut(Event),
    ) -> anyhow::Result<Outcome> {
        store.write(|tx| self.write(tx, status, exit, error))?;
        // The run is on record; a log that cannot be emptied now is emptied by the next one.
        let _ = store.checkpoint();
        sink(Event::Finished { status, totals: self.totals, exit_code: exit.code() });
        let Self { run_id, totals, times, .. } = self;
        Ok(Outcome { run_id: run_id.clone(), status, totals, times, exit })
    }

    pub(super) fn write(
        &self,
        tx: &Writer<'_>,
        status: RunStatus,
        exit: exit::Exit,
        error: Option<&str>,
    ) -> StoreResult<()> {
        tx.run_close(self.run_id, clock::now(), status, &self.totals, exit.code(), error)
    }
}
