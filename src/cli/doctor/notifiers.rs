//! The notifiers: what they lack, and whether they hear.

use crate::clock::{Chance, new_run_id};
use crate::domain::place::folder_of;
use crate::notify;
use crate::report::doctor::Listener;

use super::super::alerts;
use super::super::scene::Scene;

/// Every notifier; with `test`, those that lack nothing are sent a test.
pub(super) fn try_all(scene: &Scene, test: bool) -> Vec<Listener<'_>> {
    let folder = folder_of(&scene.settings.config_path);
    let each = scene.settings.notifiers.iter();
    let mut listeners: Vec<Listener<'_>> = each
        .map(|(name, notifier)| Listener {
            name,
            notifier,
            lacking: notifier.lacking(name, folder),
            is_kept: notifier.is_kept(),
            test: None,
        })
        .collect();
    if test {
        let complete = listeners
            .iter()
            .filter(|listener| listener.lacking.is_none())
            .map(|listener| listener.name);
        let complete: Vec<&str> = complete.collect();
        let named =
            scene.settings.notifiers.iter().filter(|(name, _)| complete.contains(&name.as_str()));
        let id = new_run_id(&mut Chance::new());
        let mut heard = notify::try_out(named, &alerts::origin(scene), &id, scene.wall_now);
        for listener in &mut listeners {
            listener.test = heard.remove(listener.name);
        }
    }
    listeners
}
