//! `mdctl import`: from the names of files to the series that they are of, and then a run like any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use schemars::Schema;

use crate::clock::{Chance, new_run_id};
use crate::config::{JobRetries, Settings, Span, nearest};
use crate::domain::bar::Adjustment;
use crate::domain::run::IMPORT;
use crate::domain::series::SeriesKey;
use crate::domain::timeframe::Timeframe;
use crate::pipeline::{Force, Import, ImportFile, Request, Selection, Terms};
use crate::plan::Options;
use crate::provider::files::file_name;
use crate::render;
use crate::render::bars::Adjusted;

use super::Done;
use super::deed::{Hand, Reason};
use super::failure::Failure;
use super::run;
use super::scene::Scene;
use super::select;

/// How long an import may take: as long as it takes, for nothing takes up what it leaves.
const NO_END: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Bring bars from CSV files into the database, validated like a provider's.
///
/// A file is of the series that its name tells, SYMBOL_TIMEFRAME.csv or .csv.gz, with a `/` in the symbol
/// written `-`; else say it with --symbol and --timeframe. It is read as those of a provider of kind `files`
/// are: columns by their header, in any order, times as dates or epochs.
///
/// What is stored stays. An import fills what is lacking, and bars that differ from stored ones are counted
/// and left out, unless --replace says that the file is right. Where a file has no bars the provider is still
/// asked for them, as far as its lookback goes, and what it says later is what counts. The run is on record as `import`; it pings nobody,
/// and what `health` says of runs and providers is not about it. While it is at work no other run is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl import AAPL_1d.csv                         one file, of the series in its name
  mdctl import history/*.csv.gz                    many
  mdctl import dump.csv --symbol BTC/USD --timeframe 1m
  mdctl import AAPL_1d.csv --dry-run               what would come of it; writes nothing
  mdctl import AAPL_1d.csv --replace               the file is right where it differs
  mdctl history last                               what came from which file")]
pub(super) struct ImportArgs {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The symbol that the file is of, whatever its name.
    #[arg(long, value_name = "SYMBOL", requires = "timeframe")]
    symbol: Option<String>,
    /// The timeframe of its bars.
    #[arg(long, value_name = "TF", requires = "symbol")]
    timeframe: Option<Timeframe>,
    /// Let the file's bars take the place of stored ones that differ; these go to `revisions`. It does not let in
    /// prices of another kind.
    #[arg(long)]
    replace: bool,
    /// What the file's prices contain, which is only said and converts nothing: nothing, splits, or splits and
    /// dividends. Else they are taken to be as those of the series are, or as its provider gives them. Others
    /// are refused.
    #[arg(long, value_name = "WHAT")]
    adjusted: Option<Adjusted>,
    /// Symbols in flight; the config's default for backfill is 3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    parallel: Option<u32>,
    /// Who called, for the history; else `systemd` under a unit, else `manual`.
    #[arg(long, value_name = "NAME")]
    trigger: Option<String>,
    /// Compute no features; the next run does.
    #[arg(long)]
    no_features: bool,
    /// Read the files, show what would come of them, write nothing, and exit as the import would.
    #[arg(long)]
    dry_run: bool,
    /// Wait so long for another run to end, as in 30m; else this one ends at once.
    #[arg(long, value_name = "DURATION")]
    wait: Option<Span>,
    /// Break the glass: work in spite of a pause. Goes to the audit log.
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why the glass is broken.
    #[arg(long, value_name = "TEXT", requires = "force")]
    reason: Option<Reason>,
}

impl ImportArgs {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        if self.dry_run { render::import::schema() } else { render::history::detail_schema() }
    }
}

pub(super) fn exec(command: &ImportArgs, scene: &Scene) -> Done {
    let request = request(command, scene)?;
    if command.dry_run {
        return run::preview(&request, scene);
    }
    run::make(request, command.wait.map_or(Duration::ZERO, |Span(wait)| wait), scene)
}

fn request(command: &ImportArgs, scene: &Scene) -> Result<Request, Failure> {
    let hand = Hand::callers();
    let adjustment = command.adjusted.map(|adjusted| match adjusted {
        Adjusted::None => Adjustment::Raw,
        Adjusted::Splits => Adjustment::Splits,
        Adjusted::All => Adjustment::All,
    });
    let force = command.reason.as_ref();
    Ok(Request {
        run_id: new_run_id(&mut Chance::new()),
        command: IMPORT,
        trigger: run::trigger(command.trigger.as_deref()),
        host: hand.host,
        selection: Selection::default(),
        options: Options::default(),
        parallel: command.parallel.unwrap_or(scene.settings.run.parallel_backfill),
        job_retries: JobRetries::NONE,
        max_requests: None,
        time: NO_END,
        force: force.map(|reason| Force { who: hand.who, reason: reason.to_string() }),
        as_of: scene.as_of,
        no_features: command.no_features,
        import: Some(Import {
            files: files(command, &scene.settings)?,
            terms: Terms { replace: command.replace, adjustment, as_of: scene.as_of.is_some() },
        }),
    })
}

/// The files, each with its series.
fn files(command: &ImportArgs, settings: &Settings) -> Result<Vec<ImportFile>, Failure> {
    let said = match (&command.symbol, command.timeframe) {
        (Some(symbol), Some(timeframe)) => {
            let symbol = select::symbol(settings, symbol)?;
            Some(fit(settings, SeriesKey { symbol, timeframe })?)
        }
        _ => None,
    };
    let names = Names::of(settings);
    let mut files: Vec<ImportFile> = Vec::new();
    for path in &command.files {
        if path.as_os_str() == "-" {
            return Err(Failure::usage("an import reads files, and not what is piped into it")
                .hinted("write it to a file and name that; one that is called `-` is ./-"));
        }
        let key = match &said {
            Some(key) => key.clone(),
            None => fit(settings, names.key(settings, path)?)?,
        };
        // The log tells later where it was, wherever it was called from.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let file = ImportFile { key, path };
        if !files.contains(&file) {
            files.push(file);
        }
    }
    Ok(files)
}

/// The series, if bars of it can come from outside.
fn fit(settings: &Settings, key: SeriesKey) -> Result<SeriesKey, Failure> {
    let SeriesKey { symbol, timeframe } = &key;
    let Some((group, _)) = settings.members().find(|(_, member)| member.symbol == *symbol) else {
        return Err(Failure::usage(format!("unknown symbol `{symbol}`")));
    };
    match group.timeframes.get(timeframe).map(|stored| stored.derived_from) {
        Some(None) => Ok(key),
        Some(Some(source)) => Err(Failure::usage(format!(
            "the {timeframe} bars of {symbol} are made of its {source} bars"
        ))
        .hinted(format!("import its {source} bars; the others follow from them"))),
        None => {
            let tracked: Vec<&str> =
                group.timeframe_list.iter().map(|timeframe| timeframe.as_str()).collect();
            Err(Failure::usage(format!(
                "{symbol} has no {timeframe} bars; those of group {} are {}",
                group.name,
                tracked.join(", ")
            ))
            .hinted(format!(
                "add {timeframe:?} to the group's `timeframes` in the config",
                timeframe = timeframe.as_str()
            )))
        }
    }
}

/// The series of the config by the names that their files have.
struct Names(BTreeMap<String, Vec<SeriesKey>>);

impl Names {
    fn of(settings: &Settings) -> Self {
        let mut names: BTreeMap<String, Vec<SeriesKey>> = BTreeMap::new();
        for (key, ..) in settings.series() {
            names.entry(file_name(&key.symbol, key.timeframe)).or_default().push(key);
        }
        Self(names)
    }

    /// The series that a file is of by its name.
    fn key(&self, settings: &Settings, path: &Path) -> Result<SeriesKey, Failure> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        match self.0.get(plain).map(Vec::as_slice) {
            Some([key]) => Ok(key.clone()),
            Some(keys) => {
                let symbols: Vec<&str> = keys.iter().map(|key| key.symbol.as_str()).collect();
                let (or, first) = (symbols.join(" or "), &keys[0]);
                Err(Failure::usage(format!("{} may be of {or}", path.display())).hinted(format!(
                    "say it: --symbol {} --timeframe {}",
                    first.symbol, first.timeframe
                )))
            }
            None => unknown(settings, path, plain),
        }
    }
}

/// What is wrong with a name that no series' file has; of a tracked symbol, its timeframe may be.
fn unknown(settings: &Settings, path: &Path, name: &str) -> Result<SeriesKey, Failure> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Failure::usage(format!("{shown} is a folder"))
            .hinted(format!("name its files: mdctl import {shown}/*.csv")));
    }
    let stem = name.strip_suffix(".csv").and_then(|stem| stem.rsplit_once('_'));
    let Some((written, rest)) = stem else {
        return Err(Failure::usage(format!("the name of {shown} is not SYMBOL_TIMEFRAME.csv"))
            .hinted("rename it, or say of which series it is: --symbol SYMBOL --timeframe TF"));
    };
    if rest == "actions" {
        return Err(Failure::usage(format!("{shown} holds splits and dividends, and no bars"))
            .hinted("leave it out; they come from the symbol's provider"));
    }
    let Ok(timeframe) = rest.parse::<Timeframe>() else {
        return Err(Failure::usage(format!("`{rest}` in the name of {shown} is no timeframe"))
            .hinted("rename it, or say of which series it is: --symbol SYMBOL --timeframe TF"));
    };
    let as_written = |symbol: &str| symbol.replace('/', "-");
    let symbols = || settings.members().map(|(_, member)| &member.symbol);
    if let Some(symbol) = symbols().find(|symbol| as_written(symbol.as_str()) == written) {
        return Ok(SeriesKey { symbol: symbol.clone(), timeframe });
    }
    let failure = Failure::usage(format!("{shown} is of the unknown symbol `{written}`"));
    let add = format!(
        "`mdctl symbols add {written}` adds it; else say of which series it is: --symbol SYMBOL --timeframe {timeframe}"
    );
    Err(match nearest(written, symbols().map(|symbol| symbol.as_str())) {
        Some(near) => failure.hinted(format!("did you mean `{near}`? {add}")),
        None => failure.hinted(add),
    })
}
