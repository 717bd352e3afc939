//! Slack's incoming webhooks: one message of blocks, with a text for where blocks are not shown.

use serde_json::{Value, json};

use crate::domain::alert::Severity;
use crate::domain::words::instant;
use crate::report::alerts::{Change, Kind};

use super::message::{headline, subjects, summary};
use super::{Origin, clipped};

/// Blocks that Slack takes are 50; one is the header, one may tell that there are more.
const MOST: usize = 40;

/// A header's characters.
const HEADER: usize = 150;

/// Characters of a text before it is escaped, so that with all of it escaped a section of 3,000 holds them.
const MESSAGE: usize = 280;
const HINT: usize = 120;
const NAMES: usize = 120;

pub(super) fn payload(changes: &[Change], origin: &Origin) -> Value {
    let summary = summary(changes, origin);
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": clipped(&summary, HEADER), "emoji": false},
    })];
    blocks.extend(changes.iter().take(MOST).map(section));
    if changes.len() > MOST {
        let more = format!("and {} more; `mdctl alerts` shows all", changes.len() - MOST);
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": more}]}));
    }
    json!({"text": escaped(&summary, MESSAGE), "blocks": blocks})
}

fn section(change: &Change) -> Value {
    let sign = match (change.kind, change.severity) {
        (Kind::Resolved, _) => ":white_check_mark:",
        (_, Severity::Critical) => ":red_circle:",
        (_, Severity::Warning) => ":large_orange_circle:",
    };
    let mut lines = vec![
        format!("{sign} *{}*", escaped(&headline(change), NAMES)),
        escaped(&change.message, MESSAGE),
    ];
    let names = subjects(change);
    if !names.is_empty() {
        lines.push(escaped(&names, NAMES));
    }
    if !change.hint.is_empty() {
        lines.push(format!("`{}`", escaped(&change.hint, HINT).replace('`', "'")));
    }
    lines.push(format!("since {}", instant(change.since)));
    json!({"type": "section", "text": {"type": "mrkdwn", "text": lines.join("\n")}})
}

/// Text in which nothing is a link, a mention or a command to Slack.
fn escaped(text: &str, longest: usize) -> String {
    clipped(text, longest).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
