//! A message to everybody that says of itself that it is a test, to see whether it comes.

use std::collections::BTreeMap;
use std::thread;

use serde_json::Value;

use crate::config::{Notifier, NotifierKind};
use crate::domain::run::RunId;
use crate::report::alerts::{Change, Kind};

use super::{Mail, Origin, no_thread, pulse, send};

/// The rule that the test is told as; none is called so.
const RULE: &str = "TestMessage";

/// Sends every notifier a test, as an alert of the mildest severity that it hears of, and its end, even to
/// one that hears of no ends: an incident that it opens is closed again. A dead man's switch gets a line for its log, which counts as no ping: one would hide a run
/// that does not come. `id` is told to it. Tells what came of it by name; nothing is remembered.
#[must_use]
pub fn try_out<'a>(
    notifiers: impl IntoIterator<Item = (&'a String, &'a Notifier)>,
    origin: &Origin,
    id: &RunId,
    now: i64,
) -> BTreeMap<String, Result<(), String>> {
    let (switches, told): (Vec<_>, Vec<_>) =
        notifiers.into_iter().partition(|(_, notifier)| notifier.hears_of_runs());
    let mails = told.into_iter().map(|(name, notifier)| mail(name, notifier, now)).collect();
    let mut heard = BTreeMap::new();
    thread::scope(|scope| {
        let logging = switches.into_iter().filter_map(|(name, notifier)| {
            let NotifierKind::Healthchecks { url } = &notifier.kind else { return None };
            let text = format!("{}\n", words(name));
            let logging = thread::Builder::new();
            Some((name, logging.spawn_scoped(scope, move || pulse::log(url, id, text))))
        });
        let logging: Vec<_> = logging.collect();
        send(mails, origin, now, |delivery| {
            heard.insert(delivery.notifier, delivery.error.map_or(Ok(()), Err));
        });
        for (name, logging) in logging {
            let heard_it = match logging {
                Ok(logging) => logging.join().unwrap_or_else(|_| Err("it broke down".to_owned())),
                Err(error) => Err(no_thread(&error)),
            };
            heard.insert(name.clone(), heard_it);
        }
    });
    heard
}

fn words(name: &str) -> String {
    format!("this is a TEST of notifier {name}, sent by mdctl doctor --send-test: nothing is wrong")
}

fn mail<'a>(name: &'a str, notifier: &'a Notifier, now: i64) -> Mail<'a> {
    let change = |kind, message: String| Change {
        kind,
        rule: RULE.to_owned(),
        severity: notifier.min_severity,
        since: now,
        count: 1,
        subjects: Vec::new(),
        value: Value::Null,
        message,
        hint: String::new(),
    };
    let over = || change(Kind::Resolved, "the test is over".to_owned());
    let changes = vec![change(Kind::Started, words(name)), over()];
    Mail { name, notifier, changes }
}
