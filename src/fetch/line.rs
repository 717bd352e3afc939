//! One provider in a run: its quota, its places, its client, and what it has said so far.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::clock::Chance;
use crate::config::ProviderSettings;
use crate::domain::run::{ErrorKind, Fault};
use crate::provider::Provider;

use super::http::Http;
use super::quota::Quota;
use super::retry::Budget;

/// One provider in a run: its quota, its places, and what it has said so far.
pub(super) struct Line {
    pub(super) settings: ProviderSettings,
    /// Made at the first request, so that a key is read only when it is needed.
    http: Mutex<Option<Result<Arc<Http>, Fault>>>,
    quota: Mutex<Quota>,
    pub(super) budget: Mutex<Budget>,
    pub(super) chance: Mutex<Chance>,
    pub(super) places: Semaphore,
    /// Why nothing more is asked of it in this run.
    pub(super) stopped: Mutex<Option<Fault>>,
    /// Why what is left of this run is for the next: it asked for more patience than a run has.
    pub(super) held_off: Mutex<Option<Fault>>,
    origin: Instant,
}

impl Line {
    pub(super) fn new(settings: ProviderSettings) -> Self {
        Self {
            http: Mutex::new(None),
            quota: Mutex::new(Quota::new(&settings.rates)),
            budget: Mutex::new(Budget::default()),
            chance: Mutex::new(Chance::new()),
            places: Semaphore::new(settings.bulkhead.max_concurrent as usize),
            stopped: Mutex::new(None),
            held_off: Mutex::new(None),
            origin: Instant::now(),
            settings,
        }
    }

    pub(super) fn http(&self, provider: &dyn Provider, base_url: &str) -> Result<Arc<Http>, Fault> {
        let build = || {
            let key = match &self.settings.key {
                None => None,
                Some(source) => {
                    Some(source.resolve().map_err(|error| Fault::new(ErrorKind::Auth, error))?)
                }
            };
            Http::new(base_url, self.settings.limits, key, provider.defaults().key).map(Arc::new)
        };
        locked(&self.http).get_or_insert_with(build).clone()
    }

    /// How long since the run began.
    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Takes a request from the quota; else tells how long to wait before asking again.
    pub(super) fn quota(&self) -> Result<(), Duration> {
        locked(&self.quota).take(self.elapsed())
    }

    /// What a fault means for the provider as a whole.
    pub(super) fn learn(&self, fault: &Fault) {
        match fault.retry_after {
            Some(wait) if wait <= self.settings.retry.max => {
                locked(&self.quota).pause(self.elapsed() + wait);
            }
            Some(_) => {
                locked(&self.held_off).get_or_insert_with(|| fault.clone());
            }
            None => {}
        }
        if fault.kind == ErrorKind::Auth {
            locked(&self.stopped).get_or_insert_with(|| fault.clone());
        }
    }
}

/// A lock whose holder cannot have left it half done: its sections do not panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
