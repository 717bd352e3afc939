//! How the providers stand: breakers, holds, and what is left of each quota.

use crate::config::Settings;
use crate::domain::policy::RateLimit;
use crate::domain::provider_state::QuotaLeft;

use super::super::breaker::BreakerRow;

/// One provider.
#[derive(Debug)]
pub struct Standing {
    /// Its name in the config.
    pub name: String,
    /// Its breaker and holds; `None` for a folder of files, which has none.
    pub breaker: Option<BreakerRow>,
    /// What is left of its quota; `None` where it has none.
    pub quota: Option<QuotaLeft>,
    /// Its rules, `5/1m` or `100/1m burst 150`.
    pub rules: Vec<String>,
}

/// Every provider of the config, by name.
#[must_use]
pub fn standings(
    settings: &Settings,
    quotas: &[QuotaLeft],
    breakers: &[BreakerRow],
) -> Vec<Standing> {
    let standing = |name: &String| {
        let provider = &settings.providers[name];
        let rates = if provider.is_files() { &[][..] } else { &provider.rates };
        Standing {
            name: name.clone(),
            breaker: breakers.iter().find(|row| row.name == *name).cloned(),
            quota: quotas.iter().find(|quota| quota.provider == *name).cloned(),
            rules: rates.iter().map(RateLimit::name).collect(),
        }
    };
    settings.providers.keys().map(standing).collect()
}
