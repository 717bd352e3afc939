//! Reads the database again and again, in a thread of its own.
//!
//! Each reading opens the file anew and lets go of it: what is shown is what stands there now, whatever
//! was moved, restored or damaged meanwhile. No transaction outlives a question.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock::Timeline;
use crate::config::env;
use crate::fetch;
use crate::render::watch::{Doings, View};
use crate::report::alerts::Report;
use crate::report::breaker;
use crate::report::health::{self, Health};
use crate::report::work::Work;
use crate::store::{Store, StoreResult};

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::super::{alerts, health as verdict};
use super::{Done, Heard, start};

/// Reading takes a tenth of the time at most.
const REST: u32 = 10;

/// Rules hold for minutes, and are dear to judge.
const ALERTS_EVERY: Duration = Duration::from_secs(5);

/// Past runs that are shown, at most.
const MOST_RUNS: u64 = 50;

/// Failures of a run that are shown, at most.
const MOST_FAILURES: u64 = 200;

/// The thread that reads.
pub(super) struct Reader {
    ask: Sender<()>,
    thread: JoinHandle<()>,
}

impl Reader {
    /// Starts reading, every so often.
    pub(super) fn start(
        scene: &Scene,
        every: Duration,
        tell: Sender<Heard>,
    ) -> Result<Self, Failure> {
        let (ask, asked) = mpsc::channel();
        let watched = Watched { scene: scene.clone(), health: None, doings: None, alerts: None };
        let thread = start("reader", move || watched.read_on(every, &asked, Teller(tell)))?;
        Ok(Self { ask, thread })
    }

    /// Reads at once, also what would have had its rest yet.
    pub(super) fn read_now(&self) {
        // One that has panicked says so itself.
        let _ = self.ask.send(());
    }

    /// Goes on with the panic that ended it, so that the process ends as for one of its own.
    pub(super) fn panic_on(self) -> Done {
        match self.thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Ok(crate::exit::Exit::Success),
        }
    }
}

/// Tells what was read, and of a panic.
struct Teller(Sender<Heard>);

impl Drop for Teller {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(Heard::Broken);
        }
    }
}

/// Something that was read, and when it may be read again.
struct Kept<T> {
    value: T,
    rests_until: Instant,
}

/// What `kept` holds, or, when it has rested, what `read` gives: reading again is left for at least
/// `least`, and for ten times what it took.
fn again<T: Clone>(
    kept: &mut Option<Kept<T>>,
    least: Duration,
    read: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(kept) = kept.as_ref().filter(|kept| Instant::now() < kept.rests_until) {
        return Ok(kept.value.clone());
    }
    *kept = None;
    let begun = Instant::now();
    let value = read()?;
    let rests_until = Instant::now() + least.max(begun.elapsed().saturating_mul(REST));
    *kept = Some(Kept { value: value.clone(), rests_until });
    Ok(value)
}

/// What is known of the database.
struct Watched {
    scene: Scene,
    health: Option<Kept<(i64, Arc<Health>)>>,
    doings: Option<Kept<(i64, Doings)>>,
    alerts: Option<Kept<Result<Arc<Report>, String>>>,
}

impl Watched {
    /// Reads until nobody listens.
    fn read_on(mut self, every: Duration, asked: &Receiver<()>, tell: Teller) {
        loop {
            env::panic_if_rehearsed("reading");
            let view = self.read();
            if tell.0.send(Heard::View(Box::new(view))).is_err() {
                return;
            }
            match asked.recv_timeout(every) {
                Ok(()) => {
                    asked.try_iter().for_each(drop);
                    self.forget();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn forget(&mut self) {
        (self.health, self.doings, self.alerts) = (None, None, None);
    }

    /// What stands in the database now; that it cannot be told, and why, when it cannot be read.
    fn read(&mut self) -> View {
        self.scene = self.scene.anew(None);
        self.try_read().unwrap_or_else(|why| {
            self.forget();
            View {
                at: self.scene.wall_now,
                health: Arc::new(health::unknown(&self.scene.settings, &why.line())),
                doings: None,
                alerts: None,
            }
        })
    }

    fn try_read(&mut self) -> Result<View, Failure> {
        let scene = &self.scene;
        let now = Duration::ZERO;
        let (at, doings) = again(&mut self.doings, now, || {
            let store = scene.reader()?;
            let doings = doings(scene, &store).map_err(|error| Failure::of_reader(&error))?;
            Ok((scene.wall_now, doings))
        })?;
        let (judged_at, health) = again(&mut self.health, now, || {
            Ok((scene.wall_now, Arc::new(verdict::judge(scene)?)))
        })?;
        let alerts = again(&mut self.alerts, ALERTS_EVERY, || {
            Ok(alerts::judge(scene).map(Arc::new).map_err(|why| why.line()))
        })?;
        // What is shown is as old as the oldest of it; rules are judged for minutes.
        Ok(View { at: at.min(judged_at), health, doings: Some(doings), alerts: Some(alerts) })
    }
}

/// What runs do and did.
fn doings(scene: &Scene, store: &Store) -> StoreResult<Doings> {
    let (running, last) = scene.at_work_and_last(store)?;
    let failures = match running.as_ref().or(last.as_ref()) {
        Some(run) => store.failures_of(&run.run_id, MOST_FAILURES)?,
        None => Vec::new(),
    };
    let work = match running {
        Some(run) => {
            let (jobs, traffic) = (store.jobs_of(&run.run_id)?, store.traffic_of(&run.run_id)?);
            Some(Work::of(run, &jobs, traffic, scene.wall_now))
        }
        None => None,
    };
    let mut runs = store.runs_last(MOST_RUNS, None, None, None)?;
    runs.iter_mut().for_each(|run| scene.as_it_is(run));
    let mut providers = scene.breakers(store)?;
    breaker::worst_first(&mut providers);
    Ok(Doings {
        work,
        last,
        failures,
        runs,
        providers,
        quotas: fetch::quotas_left(
            &scene.settings.providers,
            store.provider_states()?,
            &Timeline::begin().stamp(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_rests_until_somebody_forgets_it_or_it_fails() {
        let mut kept = None;
        let long = Duration::from_secs(3_600);
        let mut count = 0;
        let mut read = |kept: &mut Option<Kept<i32>>| {
            again(kept, long, || {
                count += 1;
                if count == 2 { Err(Failure::usage("no")) } else { Ok(count) }
            })
            .ok()
        };
        assert_eq!((read(&mut kept), read(&mut kept)), (Some(1), Some(1)));
        kept = None;
        assert_eq!((read(&mut kept), read(&mut kept)), (None, Some(3)));
        assert_eq!(read(&mut kept), Some(3));
        // Its time has come.
        if let Some(kept) = &mut kept {
            kept.rests_until = Instant::now();
        }
        assert_eq!(read(&mut kept), Some(4));
    }

    #[test]
    fn what_takes_long_rests_ten_times_as_long() {
        let mut kept = None;
        let begun = Instant::now();
        let spin = || {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(20) {}
            Ok(())
        };
        again(&mut kept, Duration::ZERO, spin).unwrap();
        assert!(kept.unwrap().rests_until >= begun + Duration::from_millis(200));
    }
}
