//! A database that cannot be read or written: nothing can be judged, and that is told, too. Whether it has
//! been is remembered in the file of the lock, since the database cannot; where not even that can be
//! written, it is told each time.

use crate::clock;
use crate::config::Notifier;
use crate::domain::alert::Severity;
use crate::notify::{self, Mail, Origin};
use crate::report::alerts::{Change, Kind};
use crate::store::lock;

use super::super::scene::Scene;

/// The rule that watches it, whatever the config says.
const RULE: &str = "DatabaseUnreadable";

/// Tells everybody, once.
pub(super) fn tell(scene: &Scene, origin: &Origin, why: &str) {
    let database = &scene.settings.database;
    if lock::alerts_note(database).is_some() {
        return;
    }
    let now = clock::now();
    let message = format!("nothing can be judged: {why}");
    if send(scene, origin, Kind::Started, now, message) {
        // Where it cannot be written it is told again.
        let _ = lock::alerts_note_set(database, &now.to_string());
    }
}

/// Tells those who heard of it that it is over.
pub(super) fn over(scene: &Scene, origin: &Origin) {
    let database = &scene.settings.database;
    let Some(note) = lock::alerts_note(database) else { return };
    let since = note.trim().parse().unwrap_or(scene.wall_now);
    let message = "the database can be read and written again".to_owned();
    if send(scene, origin, Kind::Resolved, since, message) {
        let _ = lock::alerts_note_set(database, "");
    }
}

/// Whether everybody has taken it.
fn send(scene: &Scene, origin: &Origin, kind: Kind, since: i64, message: String) -> bool {
    let change = Change {
        kind,
        rule: RULE.to_owned(),
        severity: Severity::Critical,
        since,
        count: 1,
        subjects: Vec::new(),
        value: serde_json::Value::Null,
        message,
        hint: "mdctl health; mdctl db check".to_owned(),
    };
    let hears = |(_, notifier): &(&String, &Notifier)| {
        !notifier.hears_of_runs() && (kind == Kind::Started || notifier.send_resolved)
    };
    let heard = scene.settings.notifiers.iter().filter(hears);
    let mails =
        heard.map(|(name, notifier)| Mail { name, notifier, changes: vec![change.clone()] });
    let mails: Vec<Mail<'_>> = mails.collect();
    let mut all = true;
    notify::send(mails, origin, clock::now(), |delivery| {
        if let Some(error) = &delivery.error {
            all = false;
            tracing::error!(notifier = delivery.notifier, "a notifier was not told: {error}");
        }
    });
    all
}
