//! The providers, each with its key and with what came of trying it.

use crate::config::{KeySource, ProviderSettings, Source};
use crate::domain::probe::Probe;
use crate::report::doctor::{Database, Key, Tried};
use crate::report::health::Health;

use super::super::failure::Failure;
use super::super::scene::Scene;
use super::probes::{self, Asked};

/// Every provider, and what came of trying it.
///
/// # Errors
///
/// When a signal ended it.
pub(super) fn try_all<'a>(
    scene: &'a Scene,
    database: &Database,
    health: Option<&Health>,
    is_locked: bool,
) -> Result<Vec<Tried<'a>>, Failure> {
    let keyed = scene.settings.providers.values();
    let keyed: Vec<_> = keyed.map(|settings| (settings, settings.key.as_ref().map(key))).collect();
    let mut probes = match probes::hindrance(database, health, is_locked) {
        Some(why) => Err(why),
        None => probes::ask(scene, &lacking(&keyed))?,
    };
    let each = keyed.into_iter().map(|(settings, key)| Tried {
        probe: taken(&mut probes, settings, key.as_ref()),
        folder: folder(settings),
        settings,
        key,
    });
    Ok(each.collect())
}

fn key(source: &KeySource) -> Key {
    match source.resolve() {
        Ok(_) => Key::There,
        Err(why) if source.is_kept() => Key::Kept(why, source.remedy()),
        Err(why) => Key::Lacking(why, source.remedy()),
    }
}

/// The names of those that are not to be asked for want of a key.
fn lacking<'a>(keyed: &[(&'a ProviderSettings, Option<Key>)]) -> Vec<&'a str> {
    let lacking = keyed.iter().filter(|(_, key)| !has_what_it_takes(key.as_ref()));
    lacking.map(|(settings, _)| settings.name.as_str()).collect()
}

const fn has_what_it_takes(key: Option<&Key>) -> bool {
    matches!(key, None | Some(Key::There))
}

/// What came of asking one, taken from what came of asking all; or why it was not asked.
fn taken(
    probes: &mut Asked,
    settings: &ProviderSettings,
    key: Option<&Key>,
) -> Result<Probe, String> {
    let unasked = || match has_what_it_takes(key) {
        true => "no group asks it for anything".to_owned(),
        false => "not without its key".to_owned(),
    };
    probes.as_mut().map_err(|why| why.clone())?.remove(&settings.name).ok_or_else(unasked)
}

/// Whether a folder of files is there and can be read.
fn folder(settings: &ProviderSettings) -> Result<(), String> {
    match &settings.source {
        Source::Files { folder } => {
            std::fs::read_dir(folder).map(drop).map_err(|error| error.to_string())
        }
        Source::Http { .. } => Ok(()),
    }
}
