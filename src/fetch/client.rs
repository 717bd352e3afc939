//! One provider in a run: its client, and what it may still try again. Who may send when is for `gate`.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Chance;
use crate::config::ProviderSettings;
use crate::domain::run::{ErrorKind, Fault};
use crate::provider::Provider;

use super::http::Http;
use super::retry::Budget;

/// What one provider is asked with in a run.
pub(super) struct ProviderClient {
    pub(super) settings: ProviderSettings,
    /// Made at the first request, so that a key is read only when it is needed.
    http: Mutex<Option<Result<Arc<Http>, Fault>>>,
    pub(super) budget: Mutex<Budget>,
    pub(super) chance: Mutex<Chance>,
}

impl ProviderClient {
    pub(super) fn new(settings: ProviderSettings) -> Self {
        Self {
            http: Mutex::new(None),
            budget: Mutex::new(Budget::default()),
            chance: Mutex::new(Chance::new()),
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
}

/// A lock whose holder cannot have left it half done: its sections do not panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
