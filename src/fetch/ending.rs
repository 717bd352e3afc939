//! How a run ends before its work is done: a signal asks it to, or its time is up. From then on nothing
//! new is sent; what is in flight has the grace to finish.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::run::{ErrorKind, Fault};

use super::engine::Stop;
use super::{Fate, Lost, Message};

/// The end of a run.
#[derive(Debug)]
pub(super) struct Ending {
    /// Nothing new is sent.
    pub(super) closing: CancellationToken,
    /// What is in flight is given up.
    pub(super) cut: CancellationToken,
    cause: OnceLock<Cause>,
}

#[derive(Clone, Copy, Debug)]
enum Cause {
    Signal,
    Time,
}

impl Ending {
    pub(super) fn new() -> Self {
        Self {
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
            cause: OnceLock::new(),
        }
    }

    /// Ends the run when a signal asks for it, or after `time`; `grace` later it ends for good. The
    /// sender is weak, so that nobody waits for a run's end only to hear of it.
    pub(super) async fn watch(
        self: Arc<Self>,
        stop: Arc<Stop>,
        time: Duration,
        grace: Duration,
        sender: mpsc::WeakSender<Message>,
    ) {
        let asked = tokio::time::timeout(time, stop.asked.cancelled()).await;
        let cause = if asked.is_ok() { Cause::Signal } else { Cause::Time };
        let _ = self.cause.set(cause);
        self.closing.cancel();
        if let Some(sender) = sender.upgrade() {
            let _ = sender.send(Message::Ending(self.fault().message, grace)).await;
        }
        tokio::time::sleep(grace).await;
        self.cut.cancel();
    }

    /// What becomes of a task that the end keeps from going on; `None` while there is no end.
    pub(super) fn lost(&self, attempts: u32) -> Option<Lost> {
        let fate = match self.cause.get() {
            Some(Cause::Time) => Fate::Deferred,
            Some(Cause::Signal) => Fate::Dropped,
            // Given up: nobody listens any more.
            None if self.closing.is_cancelled() => Fate::Dropped,
            None => return None,
        };
        Some(Lost { fault: self.fault(), attempts, fate, rest: None })
    }

    /// The fault of an attempt that the end cut off.
    pub(super) fn fault(&self) -> Fault {
        match self.cause.get() {
            Some(Cause::Time) => Fault::new(ErrorKind::Deadline, "the run's time is up"),
            Some(Cause::Signal) | None => {
                Fault::new(ErrorKind::Cancelled, "the run is being stopped")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_given_up_is_at_its_end_without_a_cause() {
        let ending = Ending::new();
        assert!(ending.lost(0).is_none());
        ending.closing.cancel();
        assert_eq!(ending.lost(0).map(|lost| lost.fate), Some(Fate::Dropped));
    }
}
