//! Those who are told: each `[notify.NAME]`, by its kind.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::config::{Address, AddressSource, Notifier, NotifierKind, file, nearest};
use crate::domain::alert::Severity;

use super::{Context, Result, own_address, secret_source};

const KINDS: [&str; 5] = ["webhook", "slack", "pagerduty", "command", "healthchecks"];

/// Where PagerDuty takes its events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

pub(super) fn notifiers(
    context: &Context<'_>,
    tables: &BTreeMap<String, Spanned<file::Notifier>>,
) -> Result<BTreeMap<String, Notifier>> {
    let one = |(name, table): (&String, &Spanned<file::Notifier>)| {
        let kind = kind(context, name, table)?;
        let table = table.get_ref();
        let notifier = Notifier {
            kind,
            min_severity: table.min_severity.as_ref().map_or(Severity::Warning, |least| least.0),
            send_resolved: table.send_resolved.unwrap_or(true),
            repeat: table.repeat.as_ref().map(|repeat| repeat.0.0),
        };
        Ok((name.clone(), notifier))
    };
    tables.iter().map(one).collect()
}

fn kind(
    context: &Context<'_>,
    name: &str,
    spanned: &Spanned<file::Notifier>,
) -> Result<NotifierKind> {
    let table = spanned.get_ref();
    let word = table.kind.get_ref().as_str();
    let takes: &[&str] = match word {
        "webhook" | "pagerduty" => &["url", "token"],
        "slack" | "healthchecks" => &["url"],
        "command" => &["command"],
        _ => return Err(unknown(context, &table.kind)),
    };
    let given = [
        ("url", table.url.is_some()),
        ("token", table.token.is_some()),
        ("command", table.command.is_some()),
    ];
    if let Some((key, _)) = given.iter().find(|(key, there)| *there && !takes.contains(key)) {
        return Err(context.at(spanned, format!("kind \"{word}\" takes no `{key}`")));
    }
    let url = || match &table.url {
        Some(url) => address(context, url),
        None => Err(context.at(spanned, format!("[notify.{name}] needs `url`"))),
    };
    let token = table.token.as_ref().map(|token| secret_source(context, token));
    Ok(match word {
        "webhook" => NotifierKind::Webhook { url: url()?, token },
        "slack" => NotifierKind::Slack { url: url()? },
        "healthchecks" => NotifierKind::Healthchecks { url: url()? },
        "pagerduty" => {
            let Some(token) = token else {
                let message = format!("[notify.{name}] needs `token`, the routing key");
                return Err(context.at(spanned, message));
            };
            let usual = || Address(AddressSource::Written(PAGERDUTY.into()));
            let url = table.url.as_ref().map_or(Ok(usual()), |url| address(context, url))?;
            NotifierKind::PagerDuty { url, token }
        }
        _ => NotifierKind::Command { command: command(context, name, spanned)? },
    })
}

fn unknown(context: &Context<'_>, kind: &Spanned<String>) -> super::ConfigError {
    let word = kind.get_ref();
    let message = format!("unknown kind `{word}`; expected one of {}", KINDS.join(", "));
    let error = context.at(kind, message);
    match nearest(word, KINDS) {
        Some(near) => error.hinted(format!("did you mean `{near}`?")),
        None => error,
    }
}

fn command(
    context: &Context<'_>,
    name: &str,
    spanned: &Spanned<file::Notifier>,
) -> Result<Vec<String>> {
    match &spanned.get_ref().command {
        Some(command) if command.get_ref().first().is_some_and(|program| !program.is_empty()) => {
            Ok(command.get_ref().clone())
        }
        Some(command) => Err(context.at(command, "expected a program and its arguments")),
        None => Err(context
            .at(spanned, format!("[notify.{name}] needs `command`"))
            .hinted("command = [\"/usr/local/bin/page-me\"]")),
    }
}

fn address(context: &Context<'_>, url: &Spanned<file::Address>) -> Result<Address> {
    match url.get_ref() {
        file::Address::Written(text) => {
            own_address(text).map_err(|what| context.at(url, format!("`url` {what}")))?;
            Ok(Address(AddressSource::Written(text.clone().into())))
        }
        file::Address::Kept(secret) => {
            Ok(Address(AddressSource::Kept(secret_source(context, secret))))
        }
    }
}
