//! The config: found, read, checked, and turned into [`Settings`] in which nothing is left to decide.
//!
//! Three shapes: the file as it is written (`file`), the flags as they were typed (`cli`), and
//! `Settings`. Precedence is command line over environment over file over defaults. Keys are named
//! here and read only when a request is made ([`KeySource::resolve`]): reports need none.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind::{InvalidData, PermissionDenied};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveDate;

use crate::calendar::due::Due;
use crate::calendar::{Calendar, Layout};
use crate::domain::alert::{Objectives, Rule};
use crate::domain::bar::Adjustment;
use crate::domain::beside::Beside;
use crate::domain::feature::FeatureSet;
use crate::domain::place::{self, folder_of};
use crate::domain::policy::{
    BreakerPolicy, Bulkhead, FreshnessPolicy, HealthPolicy, Publication, RateLimit, RequestLimits,
    RetryPolicy,
};
use crate::domain::series::{AssetClass, SeriesKey, Symbol};
use crate::domain::task::About;
use crate::domain::time::seconds;
use crate::domain::timeframe::Timeframe;
use crate::domain::words::quoted;
use crate::provider::{DatedList, Provider};

pub mod access;
pub mod edit;
pub mod env;
mod error;
mod file;
mod listed;
mod notify;
mod resolve;
mod secret;
mod values;

pub use error::{ConfigError, nearest};
use listed::Listed;
pub use notify::{Notifier, NotifierKind};
pub use resolve::symbols_of_csv;
pub use secret::{Address, KeySource, SecretSource};
use secret::{AddressSource, SecretPlace};
pub use values::Span;

/// The config's usual name.
pub const FILE_NAME: &str = "mdctl.toml";

/// Everything that a command needs to know of the config.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that it came from.
    pub config_path: PathBuf,
    /// The database.
    pub database: PathBuf,
    /// How long what is kept for a while is kept.
    pub retention: Retention,
    /// How runs work.
    pub run: RunSettings,
    /// The providers by name.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// The groups, in the order of the file.
    pub groups: Vec<Group>,
    /// How lag is judged where a group says nothing else.
    pub freshness: FreshnessPolicy,
    /// What `health` holds against the facts.
    pub health: HealthPolicy,
    /// Where log lines go besides stderr.
    pub log: Option<LogFile>,
    /// Where metrics are left for Prometheus' node exporter after every run.
    pub textfile: Option<PathBuf>,
    /// Where traces go: the collector's address for OTLP/HTTP, without the `/v1/traces` at its end.
    pub otlp: Option<String>,
    /// Where the page is left after every run.
    pub page: Option<PathBuf>,
    /// What is watched: the built-in rules as the user changed them, then the user's own.
    pub alerts: Vec<Rule>,
    /// Who is told, by name.
    pub notifiers: BTreeMap<String, Notifier>,
    /// What service is promised.
    pub objectives: Objectives,
}

/// How long `db prune` keeps what is kept for a while.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Requests, computations and failures.
    pub logs: Duration,
    /// Runs and their jobs, revisions and daily quality figures.
    pub runs: Duration,
    /// Bars of these timeframes; of the others all.
    pub bars: BTreeMap<Timeframe, Duration>,
}

impl Retention {
    /// The `ts` before which bars of `timeframe` are neither kept nor due at `now`; `None` when all are.
    #[must_use]
    pub fn bars_from(&self, timeframe: Timeframe, now: i64) -> Option<i64> {
        Some(now.saturating_sub(seconds(*self.bars.get(&timeframe)?)))
    }
}

/// How runs work.
#[derive(Clone, Copy, Debug)]
pub struct RunSettings {
    /// Symbols in flight in `backfill`.
    pub parallel_backfill: u32,
    /// Symbols in flight in `enrich`.
    pub parallel_enrich: u32,
    /// Between the starts of two jobs.
    pub stagger: Duration,
    /// How failed jobs are tried again at the end of `enrich`.
    pub job_retries: JobRetries,
    /// How long a run may take; what is unfinished then is left for the next one.
    pub deadline: Duration,
    /// How long what is in flight may take once a run is to end.
    pub grace: Duration,
    /// Exit codes that stand for `partial`, `failed` and `deferred` instead of 1, 2 and 4.
    pub treat_as: TreatAs,
}

/// How failed jobs are tried again at the end of `enrich`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobRetries {
    /// At most so often.
    pub max: u32,
    /// The first wait.
    pub initial: Duration,
    /// By how much the wait grows.
    pub multiplier: f64,
}

impl JobRetries {
    /// Not at all.
    pub const NONE: Self = Self { max: 0, initial: Duration::ZERO, multiplier: 1.0 };
}

/// The exit codes of runs in which something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreatAs {
    /// Some jobs failed.
    pub partial: u8,
    /// All of them failed.
    pub failed: u8,
    /// Some were left for the next run.
    pub deferred: u8,
}

/// The usual codes.
impl Default for TreatAs {
    fn default() -> Self {
        Self { partial: 1, failed: 2, deferred: 4 }
    }
}

/// The rolling log file.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// Where.
    pub path: PathBuf,
    /// How many days' files are kept.
    pub keep: usize,
}

/// Where a provider's bars come from.
#[derive(Clone)]
pub enum Source {
    /// A folder of CSV files.
    Files {
        /// The folder.
        folder: PathBuf,
    },
    /// Requests over HTTP.
    Http {
        /// Who words and reads them.
        provider: &'static dyn Provider,
        /// Scheme and host, and a path before the provider's own; no slash at the end.
        base_url: String,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files { folder } => f.debug_tuple("Files").field(folder).finish(),
            Self::Http { base_url, .. } => f.debug_tuple("Http").field(base_url).finish(),
        }
    }
}

/// A provider as it is configured.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Its name in the config.
    pub name: String,
    /// Where its bars come from.
    pub source: Source,
    /// Where its key is.
    pub key: Option<KeySource>,
    /// Whether it is asked for split-adjusted prices.
    pub adjusted: bool,
    /// Whether one request may fetch a whole market's day, or what is declared of all its symbols.
    pub grouped: bool,
    /// Rows a page, at most.
    pub page_limit: u32,
    /// When it publishes a closed bar.
    pub publication: Publication,
    /// How far back the plan of its key reaches.
    pub history: Option<Duration>,
    /// The limits of one request.
    pub limits: RequestLimits,
    /// How many requests it allows; all are obeyed.
    pub rates: Vec<RateLimit>,
    /// How failed requests are tried again.
    pub retry: RetryPolicy,
    /// When it is left alone for a while.
    pub breaker: BreakerPolicy,
    /// How many of its requests are in flight at once.
    pub bulkhead: Bulkhead,
}

impl ProviderSettings {
    /// How it cuts the bars of `class`.
    #[must_use]
    pub fn layout(&self, class: AssetClass) -> Layout {
        match &self.source {
            Source::Files { .. } => Layout::default(),
            Source::Http { provider, .. } => provider.layout(class),
        }
    }

    /// What the prices of its shares contain.
    #[must_use]
    pub fn adjustment(&self) -> Adjustment {
        match &self.source {
            Source::Http { provider, .. } => provider.adjustment(self.adjusted),
            Source::Files { .. } if self.adjusted => Adjustment::Splits,
            Source::Files { .. } => Adjustment::Raw,
        }
    }

    /// The name of the market of which one request may bring what it has of every symbol of that class; `None`
    /// where symbols are asked for one by one.
    #[must_use]
    pub fn whole_market(&self, about: About, class: AssetClass) -> Option<&'static str> {
        match &self.source {
            Source::Http { provider, .. } if self.grouped => provider.whole_market(about, class),
            _ => None,
        }
    }

    /// What else than bars it may be asked for of all symbols at once, by date.
    #[must_use]
    pub fn dated_lists(&self) -> &'static [(About, DatedList)] {
        match &self.source {
            Source::Http { provider, .. } if self.grouped => provider.dated_lists(),
            _ => &[],
        }
    }

    /// Whether it has `timeframe` itself. `1w` is always derived from `1d`.
    #[must_use]
    pub fn offers(&self, timeframe: Timeframe) -> bool {
        match &self.source {
            Source::Files { .. } => timeframe != Timeframe::W1,
            Source::Http { provider, .. } => provider.timeframes().contains(&timeframe),
        }
    }

    /// Whether its bars come from files.
    #[must_use]
    pub const fn is_files(&self) -> bool {
        matches!(self.source, Source::Files { .. })
    }
}

/// A named list of tracked symbols.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its provider's name in the config.
    pub provider: String,
    /// What its symbols are.
    pub asset_class: AssetClass,
    /// When their markets trade.
    pub calendar: Calendar,
    /// Its symbols.
    pub members: Vec<Member>,
    /// The file that they stand in; `None` when they stand in the config.
    pub symbols_file: Option<PathBuf>,
    /// Its series' timeframes, short to long: those asked for, and those that others derive from.
    pub timeframes: BTreeMap<Timeframe, Stored>,
    /// The timeframes of `timeframes`, as a list.
    pub timeframe_list: Vec<Timeframe>,
    /// How long a bar is provisional.
    pub settle: Duration,
    /// Higher goes first.
    pub priority: i64,
    /// How its lag is judged.
    pub freshness: FreshnessPolicy,
    /// Which features are computed of each timeframe; of others none.
    pub features: BTreeMap<Timeframe, FeatureSet>,
}

impl Group {
    /// The features that are computed of `timeframe`.
    #[must_use]
    pub fn features(&self, timeframe: Timeframe) -> FeatureSet {
        self.features.get(&timeframe).copied().unwrap_or_default()
    }
}

/// How a timeframe of a group is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How far back.
    pub lookback: Duration,
    /// The finer timeframe that its bars are made of; `None` when the provider has it.
    pub derived_from: Option<Timeframe>,
}

/// A symbol of a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// The symbol.
    pub symbol: Symbol,
    /// Names that it had before, oldest first, each with its last day.
    pub aliases: Vec<(Symbol, NaiveDate)>,
    /// Its last session.
    pub delisted: Option<NaiveDate>,
}

impl Member {
    /// A symbol of which the config says nothing else.
    const fn plain(symbol: Symbol) -> Self {
        Self { symbol, aliases: Vec::new(), delisted: None }
    }
}

impl Settings {
    /// The settings of a group's provider.
    #[must_use]
    pub fn provider_of(&self, group: &Group) -> &ProviderSettings {
        // `resolve` refuses a group whose provider is not there.
        &self.providers[&group.provider]
    }

    /// From which `ts` on the bars of a group's series are wanted at `now`: the lookback, or as far back as they
    /// are kept; of files all that are kept.
    #[must_use]
    pub fn wanted_from(&self, group: &Group, timeframe: Timeframe, now: i64) -> i64 {
        let asked =
            group.timeframes.get(&timeframe).filter(|_| !self.provider_of(group).is_files());
        let asked = asked.map(|stored| now.saturating_sub(seconds(stored.lookback)));
        asked.max(self.retention.bars_from(timeframe, now)).unwrap_or(i64::MIN)
    }

    /// When the bars of a member are due.
    #[must_use]
    pub fn due(&self, group: &Group, member: &Member) -> Due {
        let provider = self.provider_of(group);
        Due {
            calendar: group.calendar.clone(),
            layout: provider.layout(group.asset_class),
            publication: provider.publication,
            delisted: member.delisted,
        }
    }

    /// What of its own the program keeps at `path`, whatever links lead there: nothing else is written over
    /// it. `None` where it keeps nothing.
    #[must_use]
    pub fn own_file(&self, path: &Path) -> Option<&'static str> {
        own_file(path, &self.config_path, &self.database)
    }

    /// The environment variables that hold secrets, by what the config says of them and what libraries read:
    /// nothing that is started has a use for them.
    #[must_use]
    pub fn secret_variables(&self) -> BTreeSet<String> {
        let keys = self.providers.values().filter_map(|provider| provider.key.as_ref());
        let notifiers = self.notifiers.values().flat_map(Notifier::secrets);
        let sources = keys.flat_map(KeySource::halves).chain(notifiers);
        let named = sources.filter_map(SecretSource::variable);
        named.chain(env::SECRETS_OF_LIBRARIES).map(str::to_owned).collect()
    }

    /// Every tracked symbol with its group.
    pub fn members(&self) -> impl Iterator<Item = (&Group, &Member)> {
        self.groups.iter().flat_map(|group| group.members.iter().map(move |member| (group, member)))
    }

    /// Every series with its group and member.
    pub fn series(&self) -> impl Iterator<Item = (SeriesKey, &Group, &Member)> {
        self.members().flat_map(|(group, member)| {
            group.timeframe_list.iter().map(move |timeframe| {
                let key = SeriesKey { symbol: member.symbol.clone(), timeframe: *timeframe };
                (key, group, member)
            })
        })
    }
}

/// What of its own the program keeps at `path`.
fn own_file(path: &Path, config: &Path, database: &Path) -> Option<&'static str> {
    let name = |path: &Path| path.file_name().map(std::ffi::OsStr::to_owned);
    // Of a file that is not there yet, its folder tells where it would be.
    let place = |path: &Path| {
        path.canonicalize()
            .ok()
            .or_else(|| Some(folder_of(path).canonicalize().ok()?.join(name(path)?)))
    };
    let is = |other: &Path| path == other || (place(path).is_some() && place(path) == place(other));
    if is(config) {
        Some("the config")
    } else if is(database) {
        Some("the database")
    } else if Beside::ALL.iter().any(|beside| is(&beside.of(database))) {
        Some("a file of the database")
    } else {
        None
    }
}

/// Finds the config: the one given, else `./mdctl.toml`, the user's, the system's.
///
/// # Errors
///
/// When the one given, or every usual one, is not there.
pub fn find(given: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let hint = "`mdctl init` writes one; `--config PATH` or MDCTL_CONFIG names another";
    let is_closed =
        |path: &Path| path.metadata().is_err_and(|error| error.kind() == PermissionDenied);
    let closed = |path: &Path| {
        let message = "it cannot be looked at: permission denied";
        ConfigError::whole(path, message, Some(access::closed_remedy(path)))
    };
    if let Some(path) = given {
        return match path {
            path if path.is_file() => Ok(path.to_owned()),
            path if is_closed(path) => Err(closed(path)),
            path if path.exists() => {
                Err(ConfigError::whole(path, "it is no regular file", Some(hint.to_owned())))
            }
            _ => {
                Err(ConfigError::whole(path, "there is no such config file", Some(hint.to_owned())))
            }
        };
    }
    let places = places();
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        if let Some(path) = places.iter().find(|path| is_closed(path)) {
            return closed(path);
        }
        let looked = places.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let message = format!("there is no config file; looked for {}", looked.join(", "));
        ConfigError::whole(Path::new(FILE_NAME), message, Some(hint.to_owned()))
    })
}

/// Where a config is looked for, in this order.
fn places() -> Vec<PathBuf> {
    let user = env::user_config_folder().map(|folder| folder.join("mdctl").join(FILE_NAME));
    let system = PathBuf::from(place::CONFIG_FILE);
    [Some(PathBuf::from(FILE_NAME)), user, Some(system)].into_iter().flatten().collect()
}

/// Reads and checks the config at `path`; `database` is the one of the command line or environment.
///
/// # Errors
///
/// When it cannot be read, or cannot be followed: the first thing that is wrong, and where.
pub fn load(path: &Path, database: Option<&Path>) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        InvalidData => ConfigError::whole(path, "it is no text in UTF-8", None),
        _ => {
            let hint = format!("see who may read it: ls -l {}", quoted(path));
            ConfigError::whole(path, format!("cannot be read: {error}"), Some(hint))
        }
    })?;
    read(path, &text, database)
}

/// Checks `text` as the config at `path`, and follows it.
fn read(path: &Path, text: &str, database: Option<&Path>) -> Result<Settings, ConfigError> {
    read_as(path, text, Listed::of(text), database)
}

/// Likewise, with those of its lists that were read already.
fn read_as(
    path: &Path,
    text: &str,
    listed: Listed,
    database: Option<&Path>,
) -> Result<Settings, ConfigError> {
    let file =
        toml::from_str(&listed.text).map_err(|error| ConfigError::of_toml(path, text, &error))?;
    resolve::resolve(path, text, listed.lists, file, database)
}
