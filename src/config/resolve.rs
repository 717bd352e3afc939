//! From what the file says to what holds: defaults filled in, names looked up, rules across keys
//! checked, each with its own sentence.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::calendar::{Calendar, Overrides};
use crate::domain::policy::{
    BreakerPolicy, Bulkhead, FreshnessPolicy, HealthPolicy, Jitter, Publication, RateLimit,
    RequestLimits, RetryPolicy, Thresholds,
};
use crate::domain::series::{AssetClass, Symbol};
use crate::domain::timeframe::{DAY, Timeframe};
use crate::provider::{self, Defaults, KeyUse, Provider};

use super::values::{Span, Text};
use super::{
    ConfigError, Group, JobRetries, KeySource, LogFile, Member, ProviderSettings, RunSettings,
    SecretSource, Settings, Source, Stored, TreatAs, file, nearest,
};

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

/// Everything of the file, resolved.
pub(super) fn resolve(
    path: &Path,
    text: &str,
    file: file::File,
    database: Option<&Path>,
) -> Result<Settings> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let context = Context { path, text, folder };
    let idle = file.idle();
    let warnings = if idle.is_empty() {
        Vec::new()
    } else {
        vec![format!("{} stand in {} and are not acted on yet", idle.join(", "), path.display())]
    };
    let providers = file
        .providers
        .iter()
        .map(|(name, table)| Ok((name.clone(), provider_settings(&context, name, table)?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    let overrides = overrides(&context, &file.calendars)?;
    let freshness = freshness(&file.freshness, &default_freshness());
    let mut groups = Vec::new();
    for table in &file.group {
        groups.push(group(&context, table.get_ref(), &providers, &overrides, &freshness)?);
    }
    unique_symbols(&context, &file.group, &groups)?;
    Ok(Settings {
        config_path: path.to_owned(),
        database: database_path(&context, &file.database, database),
        run: run_settings(&context, &file.run)?,
        providers,
        groups,
        freshness,
        health: health_policy(&file.health),
        log: file
            .log
            .file
            .as_deref()
            .map(|log| LogFile { path: context.file(log), keep: file.log.keep.unwrap_or(14) }),
        warnings,
    })
}

fn database_path(context: &Context<'_>, table: &file::Database, given: Option<&Path>) -> PathBuf {
    if let Some(path) = given {
        return path.to_owned();
    }
    match &table.path {
        Some(path) => context.file(path),
        None if context.folder == Path::new(super::SYSTEM_FOLDER) => {
            Path::new(super::SYSTEM_STATE_FOLDER).join("mdctl.db")
        }
        None => context.file("mdctl.db"),
    }
}

fn run_settings(context: &Context<'_>, table: &file::Run) -> Result<RunSettings> {
    Ok(RunSettings {
        parallel_backfill: at_least_one(context, table.parallel.backfill.as_ref(), 3)?,
        parallel_enrich: at_least_one(context, table.parallel.enrich.as_ref(), 5)?,
        stagger: span_or(table.stagger.as_ref(), Duration::from_millis(100)),
        job_retries: JobRetries {
            max: table.job_retries.max.unwrap_or(3),
            initial: span_or(table.job_retries.initial.as_ref(), Duration::from_secs(2)),
            multiplier: table.job_retries.multiplier.unwrap_or(2.0),
        },
        treat_as: TreatAs {
            partial: table.treat_as.partial,
            failed: table.treat_as.failed,
            deferred: table.treat_as.deferred,
        },
    })
}

fn health_policy(table: &file::Health) -> HealthPolicy {
    HealthPolicy {
        max_run_age: span_or(table.max_run_age.as_ref(), hours(26)),
        max_failure_rate: table.max_failure_rate.unwrap_or(0.1),
        recent: span_or(table.recent.as_ref(), hours(24)),
        critical_share: table.critical_share.unwrap_or(0.1),
    }
}

// Providers.

fn provider_settings(
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
        breaker: breaker_policy(table.breaker.as_ref()),
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
        page_limit: 50_000,
        publication: Publication::default(),
        history: None,
        limits: request_limits(table),
        rates: Vec::new(),
        retry: retry_policy(context, None)?,
        breaker: breaker_policy(None),
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
    let wrong = |what: String| Err(context.at(url, what));
    let parsed = match url::Url::parse(url.get_ref()) {
        Ok(parsed) => parsed,
        Err(error) => return wrong(format!("`base_url` is no URL: {error}")),
    };
    let loopback = match parsed.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return wrong("`base_url` names no host".to_owned()),
    };
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && loopback) {
        return wrong("`base_url` is to be https, or http on a loopback address".to_owned());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return wrong("`base_url` holds a user or password; keys belong to `api_key`".to_owned());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return wrong("`base_url` is to end before any `?` or `#`".to_owned());
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

fn secret_source(context: &Context<'_>, secret: &file::Secret) -> SecretSource {
    match secret {
        file::Secret::Env(name) => SecretSource::Env(name.clone()),
        file::Secret::File(path) => SecretSource::File(context.file(path)),
        file::Secret::Credential(name) => SecretSource::Credential {
            name: name.clone(),
            beside: context.folder.join("credentials").join(name),
        },
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

fn breaker_policy(table: Option<&file::Breaker>) -> BreakerPolicy {
    let none = file::Breaker::default();
    let table = table.unwrap_or(&none);
    BreakerPolicy {
        failure_rate: table.failure_rate.unwrap_or(0.5),
        min_calls: table.min_calls.unwrap_or(10),
        window: table.window.unwrap_or(20),
        recovery: span_or(table.recovery.as_ref(), Duration::from_secs(60)),
        half_open_calls: table.half_open_calls.unwrap_or(1),
    }
}

fn bulkhead(context: &Context<'_>, table: Option<&file::Bulkhead>) -> Result<Bulkhead> {
    let none = file::Bulkhead::default();
    let table = table.unwrap_or(&none);
    Ok(Bulkhead {
        max_concurrent: at_least_one(context, table.max_concurrent.as_ref(), 10)?,
        timeout: span_or(table.timeout.as_ref(), Duration::from_secs(300)),
    })
}

// Groups.

fn group(
    context: &Context<'_>,
    table: &file::Group,
    providers: &BTreeMap<String, ProviderSettings>,
    overrides: &BTreeMap<String, Overrides>,
    freshness_policy: &FreshnessPolicy,
) -> Result<Group> {
    let provider = known_provider(context, &table.provider, providers)?;
    let asset_class = table.asset_class.get_ref().0;
    if let Source::Http { provider: http, .. } = &provider.source
        && !http.asset_classes().contains(&asset_class)
    {
        let message = format!("{} has no {asset_class} bars", http.kind());
        return Err(context.at(&table.asset_class, message));
    }
    let timeframes = timeframes(context, table, provider)?;
    check_features(context, table)?;
    Ok(Group {
        name: table.name.get_ref().clone(),
        provider: provider.name.clone(),
        asset_class,
        calendar: calendar(context, table.calendar.as_ref(), asset_class, overrides)?,
        members: members(context, table)?,
        timeframe_list: timeframes.keys().copied().collect(),
        timeframes,
        settle: span_or(table.settle.as_ref(), hours(48)),
        priority: table.priority,
        freshness: freshness(&table.freshness, freshness_policy),
    })
}

fn known_provider<'a>(
    context: &Context<'_>,
    name: &Spanned<String>,
    providers: &'a BTreeMap<String, ProviderSettings>,
) -> Result<&'a ProviderSettings> {
    providers.get(name.get_ref()).ok_or_else(|| {
        let error = context.at(name, format!("there is no [providers.{}]", name.get_ref()));
        match nearest(name.get_ref(), providers.keys().map(String::as_str)) {
            Some(near) => error.hinted(format!("did you mean `{near}`?")),
            None => error.hinted("define the provider, or name one that is"),
        }
    })
}

fn calendar(
    context: &Context<'_>,
    name: Option<&Spanned<String>>,
    class: AssetClass,
    overrides: &BTreeMap<String, Overrides>,
) -> Result<Calendar> {
    let word = name.map_or(class.default_calendar(), |name| name.get_ref().as_str());
    let changes = overrides.get(word).cloned().unwrap_or_default();
    match (Calendar::named(word, changes), name) {
        (Some(calendar), _) => Ok(calendar),
        (None, Some(name)) => Err(unknown_calendar(context, name)),
        (None, None) => {
            Err(ConfigError::whole(context.path, format!("there is no calendar `{word}`"), None))
        }
    }
}

fn unknown_calendar(context: &Context<'_>, name: &Spanned<String>) -> ConfigError {
    let error = context.at(
        name,
        format!(
            "unknown calendar `{}`; expected one of {}",
            name.get_ref(),
            Calendar::NAMES.join(", ")
        ),
    );
    match nearest(name.get_ref(), Calendar::NAMES.iter().copied()) {
        Some(near) => error.hinted(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// What each calendar does not know yet, by its name.
fn overrides(
    context: &Context<'_>,
    tables: &BTreeMap<Spanned<String>, file::Calendar>,
) -> Result<BTreeMap<String, Overrides>> {
    tables
        .iter()
        .map(|(name, table)| {
            if !Calendar::NAMES.contains(&name.get_ref().as_str()) {
                return Err(unknown_calendar(context, name));
            }
            let closed = table.closed.iter().map(|date| date.0.0).collect();
            let early = table.early.iter().map(|(date, time)| (date.0.0, time.0.0)).collect();
            Ok((name.get_ref().clone(), Overrides { closed, early }))
        })
        .collect()
}

/// The timeframes asked for, and those that they are derived from, each with its lookback.
fn timeframes(
    context: &Context<'_>,
    table: &file::Group,
    provider: &ProviderSettings,
) -> Result<BTreeMap<Timeframe, Stored>> {
    if table.timeframes.get_ref().is_empty() {
        return Err(context.at(&table.timeframes, "`timeframes` is empty"));
    }
    let lookback = |timeframe| {
        let own = table.lookback.get(&Text(timeframe)).map(|Text(Span(span))| *span);
        own.unwrap_or_else(|| default_lookback(timeframe))
    };
    let mut stored = BTreeMap::new();
    for Text(timeframe) in table.timeframes.get_ref() {
        let derived_from = if provider.offers(*timeframe) {
            None
        } else {
            let source = source_of(*timeframe, provider).ok_or_else(|| {
                let message = format!(
                    "{} neither has `{timeframe}` nor what it could be made of",
                    provider.name
                );
                context.at(&table.timeframes, message)
            })?;
            // A source that is asked for as well keeps the longer lookback of the two.
            let held: &mut Stored = stored
                .entry(source)
                .or_insert(Stored { lookback: lookback(source), derived_from: None });
            held.lookback = held.lookback.max(lookback(*timeframe));
            Some(source)
        };
        let own = Stored { lookback: lookback(*timeframe), derived_from };
        let held = stored.entry(*timeframe).or_insert(own);
        held.lookback = held.lookback.max(own.lookback);
    }
    Ok(stored)
}

/// The words that `features` may hold. Nothing computes them yet.
const FEATURES: &[&str] = &[
    "default",
    "sma_20",
    "sma_50",
    "sma_200",
    "ema_12",
    "ema_26",
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_hist",
    "bb_upper",
    "bb_middle",
    "bb_lower",
    "atr_14",
    "adx_14",
    "stoch_k",
    "stoch_d",
    "obv",
    "roc_10",
    "log_return",
    "volatility_20",
    "volume_ratio_20",
    "vwap_session",
];

fn check_features(context: &Context<'_>, table: &file::Group) -> Result<()> {
    let Some(features) = &table.features else { return Ok(()) };
    for name in features.get_ref().values().flatten() {
        if !FEATURES.contains(&name.as_str()) {
            let error = context.at(features, format!("unknown feature `{name}`"));
            return Err(match nearest(name, FEATURES.iter().copied()) {
                Some(near) => error.hinted(format!("did you mean `{near}`?")),
                None => error.hinted(format!("features are {}", FEATURES.join(", "))),
            });
        }
    }
    Ok(())
}

/// The longest offered timeframe that `timeframe` can be made of.
fn source_of(timeframe: Timeframe, provider: &ProviderSettings) -> Option<Timeframe> {
    Timeframe::ALL.into_iter().rev().find(|finer| {
        *finer < timeframe
            && (timeframe.is_intraday() || *finer == Timeframe::D1)
            && timeframe.seconds() % finer.seconds() == 0
            && provider.offers(*finer)
    })
}

/// The lookbacks of the reference: 30d, 90d, 180d, 1y, 2y, 5y, 10y. A year has 365.25 days, as in a
/// duration that the config writes.
fn default_lookback(timeframe: Timeframe) -> Duration {
    const QUARTER_DAYS_A_YEAR: u64 = 1_461;
    let quarter_days = match timeframe {
        Timeframe::M1 => 30 * 4,
        Timeframe::M5 => 90 * 4,
        Timeframe::M15 | Timeframe::M30 => 180 * 4,
        Timeframe::H1 => QUARTER_DAYS_A_YEAR,
        Timeframe::H4 => 2 * QUARTER_DAYS_A_YEAR,
        Timeframe::D1 => 5 * QUARTER_DAYS_A_YEAR,
        Timeframe::W1 => 10 * QUARTER_DAYS_A_YEAR,
    };
    Duration::from_secs(quarter_days * DAY.unsigned_abs() / 4)
}

fn members(context: &Context<'_>, table: &file::Group) -> Result<Vec<Member>> {
    match (&table.symbols, &table.symbols_file) {
        (Some(_), Some(path)) => {
            Err(context.at(path, "`symbols` and `symbols_file` exclude each other"))
        }
        (None, None) => Err(context.at(
            &table.name,
            format!("group `{}` has neither `symbols` nor `symbols_file`", table.name.get_ref()),
        )),
        (Some(symbols), None) => symbols.iter().map(|symbol| member(context, symbol)).collect(),
        (None, Some(path)) => members_of_file(context, path),
    }
}

fn member(context: &Context<'_>, spanned: &Spanned<file::Member>) -> Result<Member> {
    let symbol = |text: &str| text.parse::<Symbol>().map_err(|error| context.at(spanned, error));
    let table = spanned.get_ref();
    let mut aliases = table
        .aliases
        .iter()
        .map(|alias| Ok((symbol(&alias.symbol)?, alias.until.0.0)))
        .collect::<Result<Vec<_>>>()?;
    aliases.sort_by_key(|(_, until)| *until);
    Ok(Member {
        symbol: symbol(&table.symbol)?,
        aliases,
        delisted: table.delisted.map(|date| date.0),
    })
}

fn members_of_file(context: &Context<'_>, path: &Spanned<String>) -> Result<Vec<Member>> {
    let file = context.file(path.get_ref());
    let symbols = symbols_of_csv(&file)
        .map_err(|what| context.at(path, format!("{}: {what}", file.display())))?;
    let plain = |symbol| Member { symbol, aliases: Vec::new(), delisted: None };
    Ok(symbols.into_iter().map(plain).collect())
}

/// The column `symbol` of a CSV file; empty cells are passed over.
///
/// # Errors
///
/// What is wrong with the file, in words that do not name it.
pub fn symbols_of_csv(path: &Path) -> std::result::Result<Vec<Symbol>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let column = header
        .iter()
        .position(|name| name.trim_start_matches('\u{feff}').eq_ignore_ascii_case("symbol"))
        .ok_or("has no column `symbol`")?;
    let mut symbols = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let Some(text) = record.get(column).filter(|text| !text.is_empty()) else { continue };
        let line = record.position().map_or(0, csv::Position::line);
        symbols.push(text.parse().map_err(|error| format!("line {line}: {error}"))?);
    }
    Ok(symbols)
}

/// A symbol stands once, in one group; group names are unique.
fn unique_symbols(
    context: &Context<'_>,
    tables: &[Spanned<file::Group>],
    groups: &[Group],
) -> Result<()> {
    let mut names: HashMap<&str, ()> = HashMap::new();
    let mut seen: HashMap<&Symbol, &str> = HashMap::new();
    for (table, group) in tables.iter().zip(groups) {
        let name = &table.get_ref().name;
        if names.insert(&group.name, ()).is_some() {
            return Err(context.at(name, format!("there are two groups named `{}`", group.name)));
        }
        for (index, member) in group.members.iter().enumerate() {
            let Some(other) = seen.insert(&member.symbol, &group.name) else { continue };
            let message = if other == group.name {
                format!("`{}` stands twice in group `{other}`", member.symbol)
            } else {
                format!(
                    "`{}` stands in group `{other}` already; a symbol stands in one group",
                    member.symbol
                )
            };
            let span = table.get_ref().symbols.as_ref().and_then(|symbols| symbols.get(index));
            return Err(match span {
                Some(symbol) => context.at(symbol, message),
                None => context.at(name, message),
            });
        }
    }
    Ok(())
}

// Freshness, and small things.

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

fn span_or(value: Option<&Text<Span>>, default: Duration) -> Duration {
    value.map_or(default, |Text(Span(span))| *span)
}

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * HOUR)
}
