//! One `[providers.NAME]`: its kind looked up, its address and key checked, its limits filled in.

use std::time::Duration;

use toml::Spanned;

use crate::config::values::{Span, Text};
use crate::config::{KeySource, ProviderSettings, Source, file, nearest};
use crate::domain::policy::{
    BreakerPolicy, Bulkhead, Jitter, Publication, RateLimit, RequestLimits, RetryPolicy,
};
use crate::provider::{self, Defaults, KeyUse, Provider};

use super::{Context, Result, at_least_one, own_address, secret_source, share, span_or};

pub(super) fn settings(
    context: &Context<'_>,
    name: &str,
    spanned: &Spanned<file::Provider>,
) -> Result<ProviderSettings> {
    let table = spanned.get_ref();
    if table.kind.get_ref() == "files" {
        return files_settings(context, name, spanned);
    }
    let provider = known_kind(context, &table.kind)?;
    let defaults = provider.defaults();
    if table.path.is_some() {
        return Err(context.at(
            spanned,
            format!("`path` belongs to kind \"files\", not to {:?}", provider.kind()),
        ));
    }
    let base_url = match &table.base_url {
        Some(url) => base_url(context, url)?,
        None => defaults.base_url.to_owned(),
    };
    Ok(ProviderSettings {
        name: name.to_owned(),
        source: Source::Http { provider, base_url },
        key: key_source(context, name, spanned, provider, &defaults)?,
        adjusted: table.adjusted.unwrap_or(false),
        grouped: table.grouped.unwrap_or(true),
        page_limit: at_least_one(context, table.page_limit.as_ref(), defaults.page_limit)?
            .min(defaults.page_limit),
        publication: publication(table.publication.as_ref(), defaults.publication),
        history: table
            .history
            .as_ref()
            .map(|Text(Span(span))| *span)
            .or(defaults.history.map(|seconds| Duration::from_secs(seconds.unsigned_abs()))),
        limits: request_limits(table),
        rates: rates(context, table.rate.as_ref(), defaults.rate)?,
        retry: retry_policy(context, table.retry.as_ref())?,
        breaker: breaker_policy(context, table.breaker.as_ref())?,
        bulkhead: bulkhead(context, table.bulkhead.as_ref())?,
    })
}

/// The embedded provider: a folder, and nothing to be limited.
fn files_settings(
    context: &Context<'_>,
    name: &str,
    spanned: &Spanned<file::Provider>,
) -> Result<ProviderSettings> {
    let table = spanned.get_ref();
    let Some(path) = &table.path else {
        return Err(context.at(spanned, "kind \"files\" needs `path`, the folder of its CSV files"));
    };
    let foreign = [
        ("base_url", table.base_url.is_some()),
        ("api_key", table.api_key.is_some()),
        ("rate", table.rate.is_some()),
    ];
    if let Some((key, _)) = foreign.iter().find(|(_, there)| *there) {
        return Err(
            context.at(spanned, format!("kind \"files\" has no `{key}`: it reads a folder"))
        );
    }
    Ok(ProviderSettings {
        name: name.to_owned(),
        source: Source::Files { folder: context.file(path) },
        key: None,
        adjusted: table.adjusted.unwrap_or(false),
        grouped: table.grouped.unwrap_or(true),
        page_limit: 50_000,
        publication: Publication::default(),
        history: None,
        limits: request_limits(table),
        rates: Vec::new(),
        retry: retry_policy(context, None)?,
        breaker: breaker_policy(context, None)?,
        bulkhead: bulkhead(context, None)?,
    })
}

fn known_kind(context: &Context<'_>, kind: &Spanned<String>) -> Result<&'static dyn Provider> {
    provider::of_kind(kind.get_ref()).ok_or_else(|| {
        let mut kinds: Vec<&str> = provider::ALL.iter().map(|provider| provider.kind()).collect();
        kinds.push("files");
        let near = nearest(kind.get_ref(), kinds.iter().copied());
        let error = context.at(
            kind,
            format!(
                "unknown kind of provider `{}`; expected one of {}",
                kind.get_ref(),
                kinds.join(", ")
            ),
        );
        match near {
            Some(near) => error.hinted(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}

/// https, or http to this machine: a key or a bar must not cross a network in clear.
fn base_url(context: &Context<'_>, url: &Spanned<String>) -> Result<String> {
    let wrong = |what: &str| Err(context.at(url, format!("`base_url` {what}")));
    let parsed = match own_address(url.get_ref()) {
        Ok(parsed) => parsed,
        Err(what) => return wrong(&what),
    };
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return wrong("is to end before any `?` or `#`");
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

fn key_source(
    context: &Context<'_>,
    name: &str,
    spanned: &Spanned<file::Provider>,
    provider: &dyn Provider,
    defaults: &Defaults,
) -> Result<Option<KeySource>> {
    let table = spanned.get_ref();
    let second = table.api_secret.as_ref().map(|secret| secret_source(context, secret));
    match (&table.api_key, defaults.key) {
        (None, KeyUse::None) => Ok(None),
        (Some(_), KeyUse::None) => {
            Err(context.at(spanned, format!("{} takes no `api_key`", provider.kind())))
        }
        (None, _) => {
            Err(context.at(spanned, format!("[providers.{name}] needs `api_key`")).hinted(format!(
                "api_key = {{ env = \"{}_API_KEY\" }}",
                name.to_uppercase().replace('-', "_")
            )))
        }
        (Some(_), KeyUse::Headers { .. }) if second.is_none() => Err(context
            .at(spanned, format!("[providers.{name}] needs `api_secret`, the key's second half"))),
        (Some(key), _) => Ok(Some(KeySource { key: secret_source(context, key), second })),
    }
}

fn publication(table: Option<&file::Publication>, default: Publication) -> Publication {
    table.map_or(default, |table| Publication {
        lag: span_or(table.lag.as_ref(), default.lag),
        end_of_day: table.end_of_day.as_ref().map(|text| text.0.0).or(default.end_of_day),
    })
}

fn request_limits(table: &file::Provider) -> RequestLimits {
    RequestLimits {
        connect_timeout: span_or(table.connect_timeout.as_ref(), Duration::from_secs(10)),
        request_timeout: span_or(table.request_timeout.as_ref(), Duration::from_secs(60)),
        read_timeout: span_or(table.read_timeout.as_ref(), Duration::from_secs(30)),
        max_body: table.max_body.as_ref().map_or(16 << 20, |size| size.0.0),
    }
}

fn rates(
    context: &Context<'_>,
    rates: Option<&Spanned<file::Rates>>,
    default: RateLimit,
) -> Result<Vec<RateLimit>> {
    let Some(rates) = rates else { return Ok(vec![default]) };
    let list = &rates.get_ref().0;
    if list.is_empty() {
        return Err(
            context.at(rates, "an empty list of rates; leave `rate` out for the free plan's")
        );
    }
    list.iter()
        .map(|rate| {
            let Text(Span(per)) = rate.per;
            if rate.requests == 0 || per.is_zero() || rate.burst == Some(0) {
                return Err(context.at(rates, "`requests`, `per` and `burst` are to be above 0"));
            }
            Ok(RateLimit { requests: rate.requests, per, burst: rate.burst })
        })
        .collect()
}

fn retry_policy(
    context: &Context<'_>,
    table: Option<&Spanned<file::Retry>>,
) -> Result<RetryPolicy> {
    let none = file::Retry::default();
    let retry = table.map_or(&none, |table| table.get_ref());
    let policy = RetryPolicy {
        max_retries: retry.max_retries.unwrap_or(5),
        initial: span_or(retry.initial.as_ref(), Duration::from_secs(1)),
        max: span_or(retry.max.as_ref(), Duration::from_secs(300)),
        multiplier: retry.multiplier.unwrap_or(2.0),
        jitter: match retry.jitter {
            None | Some(file::JitterWord::Full) => Jitter::Full,
            Some(file::JitterWord::None) => Jitter::None,
        },
        budget: retry.budget.unwrap_or(0.2),
    };
    let sound = policy.multiplier.is_finite() && policy.multiplier >= 1.0 && policy.budget >= 0.0;
    match table {
        Some(table) if !sound => {
            Err(context.at(table, "`multiplier` is to be at least 1, and `budget` at least 0"))
        }
        Some(table) if policy.initial > policy.max => {
            Err(context.at(table, "`initial` is longer than `max`"))
        }
        _ => Ok(policy),
    }
}

fn breaker_policy(
    context: &Context<'_>,
    table: Option<&Spanned<file::Breaker>>,
) -> Result<BreakerPolicy> {
    let none = file::Breaker::default();
    let given = table.map_or(&none, |table| table.get_ref());
    let policy = BreakerPolicy {
        failure_rate: share(context, given.failure_rate.as_ref(), 0.5)?,
        min_calls: given.min_calls.unwrap_or(10),
        window: given.window.unwrap_or(20),
        recovery: span_or(given.recovery.as_ref(), Duration::from_secs(60)),
        half_open_calls: given.half_open_calls.unwrap_or(1),
    };
    let Some(table) = table else { return Ok(policy) };
    if policy.min_calls == 0 || policy.half_open_calls == 0 {
        return Err(context.at(table, "`min_calls` and `half_open_calls` are to be above 0"));
    }
    if policy.window < policy.min_calls {
        return Err(context.at(table, "`window` is smaller than `min_calls`: it would never open"));
    }
    Ok(policy)
}

fn bulkhead(context: &Context<'_>, table: Option<&file::Bulkhead>) -> Result<Bulkhead> {
    let none = file::Bulkhead::default();
    let table = table.unwrap_or(&none);
    Ok(Bulkhead {
        max_concurrent: at_least_one(context, table.max_concurrent.as_ref(), 10)?,
        timeout: span_or(table.timeout.as_ref(), Duration::from_secs(300)),
    })
}
