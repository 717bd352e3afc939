//! The notifiers: what they lack, and whether they hear.

use crate::clock::{Chance, new_run_id};
use crate::domain::place::folder_of;
use crate::notify;
use crate::report::doctor::Ear;

use super::super::alerts;
use super::super::scene::Scene;

/// Every notifier; with `test`, those that lack nothing are sent a test.
pub(super) fn listen(scene: &Scene, test: bool) -> Vec<Ear<'_>> {
    let folder = folder_of(&scene.settings.config_path);
    let each = scene.settings.notifiers.iter();
    let mut ears: Vec<Ear<'_>> = each
        .map(|(name, notifier)| Ear {
            name,
            notifier,
            lacking: notifier.lacking(name, folder),
            is_kept: notifier.is_kept(),
            test: None,
        })
        .collect();
    if test {
        let complete = ears.iter().filter(|ear| ear.lacking.is_none()).map(|ear| ear.name);
        let complete: Vec<&str> = complete.collect();
        let named =
            scene.settings.notifiers.iter().filter(|(name, _)| complete.contains(&name.as_str()));
        let id = new_run_id(&mut Chance::new());
        let mut heard = notify::try_out(named, &alerts::origin(scene), &id, scene.wall_now);
        for ear in &mut ears {
            ear.test = heard.remove(ear.name);
        }
    }
    ears
}
