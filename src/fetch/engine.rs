//! What a run works with from its first to its last moment: the threads that fetch, and an ear for
//! signals.
//!
//! The first SIGTERM or SIGINT asks the run to come to its end; a second one ends the process at once.

use std::fs::File;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::domain::run::StopSignal;

/// The files that threads and signals take: queues of events, their wakers, both ends of a pipe.
const FILES: usize = 8;

/// Threads that fetch, and an ear for signals.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    /// Cancelled when its threads are to end.
    end: CancellationToken,
    stop: Arc<Stop>,
}

/// Whether a signal asked the run to end.
#[derive(Debug, Default)]
pub(super) struct Stop {
    pub(super) asked: CancellationToken,
    signal: OnceLock<StopSignal>,
}

impl Engine {
    /// Starts the threads and listens: from here on the first signal ends nothing by itself.
    ///
    /// # Errors
    ///
    /// When the threads cannot be had.
    pub fn start() -> io::Result<Self> {
        // Tokio breaks down when it cannot have the files, or the first thread that may block, that it needs.
        let spare: io::Result<Vec<File>> = (0..FILES).map(|_| File::open("/dev/null")).collect();
        drop(spare?);
        let _ = thread::Builder::new().spawn(|| ())?.join();
        // One thread decodes and judges faster than the writer writes; a second one would only pass
        // requests to and fro. Of those that may block the first one stays: where no further one can be
        // had, it does one thing after the other.
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().thread_keep_alive(Duration::MAX).build()?;
        runtime.spawn_blocking(|| ());
        let stop = Arc::new(Stop::default());
        let inside = runtime.enter();
        for (kind, meaning) in [
            (SignalKind::terminate(), StopSignal::Terminate),
            (SignalKind::interrupt(), StopSignal::Interrupt),
        ] {
            runtime.spawn(listen(signal(kind)?, meaning, Arc::clone(&stop)));
        }
        // A file that may not grow further is an error like any other, and no death.
        let _ = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
        drop(inside);
        let handle = runtime.handle().clone();
        let end = CancellationToken::new();
        let ended = end.clone();
        thread::Builder::new().name("fetch".to_owned()).spawn(move || {
            runtime.block_on(ended.cancelled());
            // Whatever still waits for something is given up.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, end, stop })
    }

    /// The signal that asked the run to end.
    #[must_use]
    pub fn stopped(&self) -> Option<StopSignal> {
        self.stop.signal.get().copied()
    }

    /// Does what may block, and waits for it: no longer than `patience`, and not beyond a signal.
    pub fn within<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.handle.block_on(async {
            let working = tokio::task::spawn_blocking(work);
            let waiting = tokio::time::timeout(patience, working);
            self.stop.asked.run_until_cancelled(waiting).await?.ok()?.ok()
        })
    }

    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.stop)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn listen(mut signals: unix::Signal, meaning: StopSignal, stop: Arc<Stop>) {
    while signals.recv().await.is_some() {
        if stop.signal.set(meaning).is_err() {
            // The run's row says `running` and its lock is free: the next run calls it crashed.
            #[expect(
                clippy::exit,
                reason = "the second signal ends at once, whatever is under way"
            )]
            std::process::exit(meaning.code().into());
        }
        stop.asked.cancel();
    }
}
