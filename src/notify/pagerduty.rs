//! PagerDuty's Events API v2: one event an alert, an incident for as long as it fires.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::config::{Address, SecretSource};
use crate::domain::words::instant;
use crate::report::alerts::{Change, Kind};

use super::message::{ChangeJson, dedup_key};
use super::wire::Wire;
use super::{Origin, clipped};

/// After so long no further event is sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest summary that it takes, in characters.
const SUMMARY: usize = 1_024;

/// Sends the changes one after the other; tells how many were taken, and why not all.
pub(super) fn send(
    url: &Address,
    token: &SecretSource,
    changes: &[Change],
    origin: &Origin,
    now: i64,
) -> (usize, Option<String>) {
    let ready = || Ok::<_, String>((Wire::to(url)?, token.resolve()?));
    let (wire, key) = match ready() {
        Ok(ready) => ready,
        Err(error) => return (0, Some(error)),
    };
    let begun = Instant::now();
    for (taken, change) in changes.iter().enumerate() {
        if begun.elapsed() > PATIENCE {
            return (taken, Some("it is slow; the rest is for next time".to_owned()));
        }
        let mut event = event(change, origin, now);
        event["routing_key"] = Value::from(key.expose_secret());
        if let Err(error) = wire.post(&event, None) {
            return (taken, Some(error));
        }
    }
    (changes.len(), None)
}

/// The event, but for its key.
fn event(change: &Change, origin: &Origin, now: i64) -> Value {
    let dedup_key = dedup_key(&change.rule, origin);
    if change.kind == Kind::Resolved {
        return json!({"event_action": "resolve", "dedup_key": dedup_key});
    }
    let summary = format!("{}: {}", change.rule, change.message);
    json!({
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "mdctl",
        "payload": {
            "summary": clipped(&summary, SUMMARY),
            "source": origin.host,
            // The two words are PagerDuty's as well.
            "severity": change.severity.as_str(),
            "timestamp": instant(now),
            "component": "mdctl",
            "group": origin.database,
            "class": change.rule,
            "custom_details": ChangeJson::of(change, origin),
        },
    })
}
