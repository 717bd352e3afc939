//! From what the file says to what holds: defaults filled in, names looked up, rules across keys
//! checked, each with its own sentence.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::domain::alert::{Detection, Objectives};
use crate::domain::place;
use crate::domain::policy::{FreshnessPolicy, HealthPolicy, Thresholds};
use crate::domain::series::Symbol;
use crate::domain::time::seconds;
use crate::domain::timeframe::Timeframe;

use super::listed::Lists;
use super::values::{Span, Text};
use super::{
    ConfigError, Group, JobRetries, LogFile, Retention, RunSettings, SecretPlace, SecretSource,
    Settings, TreatAs, file,
};

mod alerts;
mod group;
mod notify;
mod provider;

pub use group::symbols_of_csv;

type Result<T> = std::result::Result<T, ConfigError>;

const HOUR: u64 = 3_600;

/// The file being resolved, for messages and relative paths.
struct Context<'a> {
    path: &'a Path,
    text: &'a str,
    folder: &'a Path,
}

impl Context<'_> {
    fn at<T>(&self, value: &Spanned<T>, message: impl Into<String>) -> ConfigError {
        self.span(value.span(), message)
    }

    fn span(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.path, self.text, span, message)
    }

    /// A path of the config; a relative one is from the config's folder.
    fn file(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

/// Everything of the file, resolved, with those of its lists that were read ahead of the parser.
pub(super) fn resolve(
    path: &Path,
    text: &str,
    mut lists: Lists,
    file: file::File,
    database: Option<&Path>,
) -> Result<Settings> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let context = Context { path, text, folder };
    let providers = file
        .providers
        .iter()
        .map(|(name, table)| Ok((name.clone(), provider::settings(&context, name, table)?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    let overrides = group::overrides(&context, &file.calendars)?;
    let freshness = freshness(&file.freshness, &default_freshness());
    let mut groups = Vec::new();
    for table in &file.group {
        let table = table.get_ref();
        let list = table.symbols.as_ref().and_then(|list| lists.remove(&list.span().start));
        groups.push(group::group(&context, table, list, &providers, &overrides, &freshness)?);
    }
    unique_symbols(&context, &file.group, &groups)?;
    let database = database_path(&context, &file.database, database);
    let output = |file: Option<&Spanned<String>>| {
        file.map(|file| output(&context, file, &database)).transpose()
    };
    let textfile = output(file.metrics.textfile.as_ref())?;
    let page = output(file.report.html.as_ref())?;
    if let (Some(html), true) = (&file.report.html, page.is_some() && page == textfile) {
        return Err(
            context.at(html, "every run replaces this file, and it is the metrics file, too")
        );
    }
    Ok(Settings {
        config_path: path.to_owned(),
        retention: retention(&context, file.database.retention.as_ref())?,
        run: run_settings(&context, &file.run)?,
        providers,
        groups,
        freshness,
        health: health_policy(&context, &file.health)?,
        log: file
            .log
            .file
            .as_deref()
            .map(|log| LogFile { path: context.file(log), keep: file.log.keep.unwrap_or(14) }),
        textfile,
        otlp: file.otlp.endpoint.as_ref().map(|url| endpoint(&context, url)).transpose()?,
        page,
        database,
        alerts: alerts::rules(&context, &file.alerts)?,
        notifiers: notify::notifiers(&context, &file.notify)?,
        objectives: objectives(&context, file.objectives.as_ref())?,
    })
}

fn database_path(context: &Context<'_>, table: &file::Database, given: Option<&Path>) -> PathBuf {
    if let Some(path) = given {
        return path.to_owned();
    }
    match &table.path {
        Some(path) => context.file(path),
        None if context.folder == Path::new(place::CONFIG) => {
            Path::new(place::STATE).join("mdctl.db")
        }
        None => context.file("mdctl.db"),
    }
}

/// Hours of a year, as `1y` has them.
const YEAR_HOURS: u64 = 8_766;

fn retention(context: &Context<'_>, table: Option<&file::Retention>) -> Result<Retention> {
    let span =
        |of: fn(&file::Retention) -> Option<&Text<Span>>, usual| span_or(table.and_then(of), usual);
    Ok(Retention {
        logs: span(|table| table.logs.as_ref(), hours(90 * 24)),
        runs: span(|table| table.runs.as_ref(), hours(2 * YEAR_HOURS)),
        bars: match table.and_then(|table| table.bars.as_ref()) {
            Some(bars) => retained_bars(context, bars)?,
            None => BTreeMap::new(),
        },
    })
}

/// How long bars are kept, by timeframe: at least as long as one lasts.
fn retained_bars(
    context: &Context<'_>,
    table: &Spanned<BTreeMap<Text<Timeframe>, Text<Span>>>,
) -> Result<BTreeMap<Timeframe, Duration>> {
    let kept = table.get_ref().iter().map(|(Text(timeframe), Text(Span(keep)))| {
        if seconds(*keep) < timeframe.seconds() {
            let message =
                format!("`{timeframe}` bars are to be kept longer than one of them lasts");
            return Err(context.at(table, message));
        }
        Ok((*timeframe, *keep))
    });
    kept.collect()
}

/// A file that every run replaces.
fn output(context: &Context<'_>, file: &Spanned<String>, database: &Path) -> Result<PathBuf> {
    let path = context.file(file.get_ref());
    if file.get_ref().is_empty() {
        return Err(context.at(file, "expected the name of a file"));
    }
    match super::own_file(&path, context.path, database) {
        Some(what) => {
            Err(context.at(file, format!("every run replaces this file, and it is {what}")))
        }
        None => Ok(path),
    }
}

fn run_settings(context: &Context<'_>, table: &file::Run) -> Result<RunSettings> {
    let usual = TreatAs::default();
    Ok(RunSettings {
        parallel_backfill: at_least_one(context, table.parallel.backfill.as_ref(), 3)?,
        parallel_enrich: at_least_one(context, table.parallel.enrich.as_ref(), 5)?,
        stagger: span_or(table.stagger.as_ref(), Duration::from_millis(100)),
        job_retries: job_retries(context, table.job_retries.as_ref())?,
        deadline: span_or(table.deadline.as_ref(), hours(2)),
        grace: span_or(table.grace.as_ref(), Duration::from_secs(3)),
        treat_as: TreatAs {
            partial: table.treat_as.partial.unwrap_or(usual.partial),
            failed: table.treat_as.failed.unwrap_or(usual.failed),
            deferred: table.treat_as.deferred.unwrap_or(usual.deferred),
        },
    })
}

fn job_retries(
    context: &Context<'_>,
    table: Option<&Spanned<file::JobRetries>>,
) -> Result<JobRetries> {
    let none = file::JobRetries::default();
    let given = table.map_or(&none, |table| table.get_ref());
    let retries = JobRetries {
        max: given.max.unwrap_or(3),
        initial: span_or(given.initial.as_ref(), Duration::from_secs(2)),
        multiplier: given.multiplier.unwrap_or(2.0),
    };
    match table {
        Some(table) if !(retries.multiplier.is_finite() && retries.multiplier >= 1.0) => {
            Err(context.at(table, "`multiplier` is to be at least 1"))
        }
        _ => Ok(retries),
    }
}

fn health_policy(context: &Context<'_>, table: &file::Health) -> Result<HealthPolicy> {
    Ok(HealthPolicy {
        max_run_age: span_or(table.max_run_age.as_ref(), hours(26)),
        max_failure_rate: share(context, table.max_failure_rate.as_ref(), 0.1)?,
        recent: span_or(table.recent.as_ref(), hours(24)),
        critical_share: share(context, table.critical_share.as_ref(), 0.1)?,
    })
}

fn endpoint(context: &Context<'_>, url: &Spanned<String>) -> Result<String> {
    let parsed =
        own_address(url.get_ref()).map_err(|what| context.at(url, format!("`endpoint` {what}")))?;
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(context.at(url, "`endpoint` is to end before any `?` or `#`"));
    }
    let base = parsed.as_str().trim_end_matches('/');
    Ok(base.trim_end_matches("/v1/traces").to_owned())
}

fn objectives(context: &Context<'_>, table: Option<&file::Objectives>) -> Result<Objectives> {
    let none = file::Objectives::default();
    let table = table.unwrap_or(&none);
    let percent = |value: &Spanned<f64>| match *value.get_ref() {
        percent if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(context.at(value, "expected a percentage from 0 to 100, such as 99.5")),
    };
    let detection = match &table.detection {
        None => Detection { share: 95.0, within: Duration::from_secs(60) },
        Some(given) => Detection { share: percent(&given.share)?, within: given.within.0.0 },
    };
    let window = match &table.window {
        Some(window) if window.get_ref().0.0.is_zero() => {
            return Err(context.at(window, "`window` is to be longer than nothing"));
        }
        window => window.as_ref().map_or(hours(30 * 24), |window| window.get_ref().0.0),
    };
    Ok(Objectives {
        run_success_rate: table.run_success_rate.as_ref().map_or(Ok(99.5), percent)?,
        fetch_p99: span_or(table.fetch_p99.as_ref(), Duration::from_secs(30)),
        detection,
        rpo: span_or(table.rpo.as_ref(), hours(24)),
        rto: span_or(table.rto.as_ref(), hours(26)),
        window,
    })
}

/// An address to which something of ours goes: https, or http to this machine, and nobody's password in
/// it. What is wrong is said in words that repeat nothing of it.
pub(super) fn own_address(text: &str) -> std::result::Result<url::Url, String> {
    let parsed = url::Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    let loopback = match parsed.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err("names no host".to_owned()),
    };
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && loopback) {
        return Err("is to be https, or http on a loopback address".to_owned());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("holds a user or password; a key stands in none".to_owned());
    }
    Ok(parsed)
}

fn secret_source(context: &Context<'_>, secret: &file::Secret) -> SecretSource {
    SecretSource(match secret {
        file::Secret::Env(name) => SecretPlace::Env(name.clone()),
        file::Secret::File(path) => SecretPlace::File(context.file(path)),
        file::Secret::Credential(name) => SecretPlace::Credential {
            name: name.clone(),
            beside: place::credentials(context.folder).join(name),
        },
    })
}

/// A symbol stands once, in one group; group names are unique.
fn unique_symbols(
    context: &Context<'_>,
    tables: &[Spanned<file::Group>],
    groups: &[Group],
) -> Result<()> {
    let all = || groups.iter().flat_map(|group| &group.members).map(|member| &member.symbol);
    // Long lists mostly are by name, and then to look at neighbours is enough.
    let by_name = all().is_sorted_by(|one, two| one < two);
    let mut names: HashMap<&str, ()> = HashMap::new();
    let mut seen: HashMap<&Symbol, &str> = HashMap::new();
    for (table, group) in tables.iter().zip(groups) {
        let table = table.get_ref();
        if names.insert(&group.name, ()).is_some() {
            let message = format!("there are two groups named `{}`", group.name);
            return Err(context.at(&table.name, message));
        }
        for (index, member) in group.members.iter().enumerate().filter(|_| !by_name) {
            let Some(other) = seen.insert(&member.symbol, &group.name) else { continue };
            let message = if other == group.name {
                format!("`{}` stands twice in group `{other}`", member.symbol)
            } else {
                format!(
                    "`{}` stands in group `{other}` already; a symbol stands in one group",
                    member.symbol
                )
            };
            return Err(match (group::place(context, table, index), &table.symbols_file) {
                (Some(place), _) => context.span(place, message),
                (None, Some(file)) => {
                    context.at(file, format!("{message}; it stands in that file"))
                }
                (None, None) => context.at(&table.name, message),
            });
        }
    }
    Ok(())
}

fn default_freshness() -> FreshnessPolicy {
    let daily = Thresholds { fresh: hours(12), aging: hours(30), stale: hours(54) };
    FreshnessPolicy {
        default: Thresholds { fresh: hours(1), aging: hours(6), stale: hours(24) },
        // A week's bar is made of its days' and can be no younger than they are.
        by_timeframe: BTreeMap::from([(Timeframe::D1, daily), (Timeframe::W1, daily)]),
    }
}

/// `table` over `base`. A group's general thresholds do not reach the timeframes that have their own.
fn freshness(table: &file::Freshness, base: &FreshnessPolicy) -> FreshnessPolicy {
    let over = |table: &file::ThresholdsTable, base: Thresholds| Thresholds {
        fresh: span_or(table.fresh.as_ref(), base.fresh),
        aging: span_or(table.aging.as_ref(), base.aging),
        stale: span_or(table.stale.as_ref(), base.stale),
    };
    let mut policy = base.clone();
    policy.default = over(&table.default, base.default);
    for (timeframe, own) in &table.by_timeframe {
        let under = base.by_timeframe.get(timeframe).copied().unwrap_or(policy.default);
        policy.by_timeframe.insert(*timeframe, over(own, under));
    }
    policy
}

fn at_least_one(context: &Context<'_>, value: Option<&Spanned<u32>>, default: u32) -> Result<u32> {
    match value {
        None => Ok(default),
        Some(value) if *value.get_ref() == 0 => Err(context.at(value, "expected a number above 0")),
        Some(value) => Ok(*value.get_ref()),
    }
}

/// A share of the whole, 0 to 1.
fn share(context: &Context<'_>, value: Option<&Spanned<f64>>, default: f64) -> Result<f64> {
    match value {
        None => Ok(default),
        Some(value) if (0.0..=1.0).contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => Err(context.at(value, "expected a share from 0 to 1, such as 0.1")),
    }
}

fn span_or(value: Option<&Text<Span>>, default: Duration) -> Duration {
    value.map_or(default, |Text(Span(span))| *span)
}

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * HOUR)
}
