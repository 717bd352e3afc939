//! `mdctl report`: everything that is known on one HTML page.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::clock::{self, Chance};
use crate::config::{Group, Member, Settings};
use crate::domain::feature::Row;
use crate::domain::range::TimeRange;
use crate::domain::series::SeriesKey;
use crate::domain::shard::Shard;
use crate::domain::timeframe::Timeframe;
use crate::exit::Exit;
use crate::file::{self, Mode};
use crate::report::page::chart::{self, Chart};
use crate::report::page::{self, Material, Page, coverage, runs};
use crate::report::{Facts, gaps, health, staleness};
use crate::store::{BarQuery, Store, StoreResult};
use crate::{pipeline, render};

use super::failure::Failure;
use super::quality::by_series;
use super::scene::{Scene, closed_before};
use super::{Done, print, select};

/// The page's usual name.
const FILE_NAME: &str = "report.html";

/// All of it on one self-contained HTML page.
///
/// Verdict and issues, freshness, coverage, runs, requests, providers, quality, and the bars of one series.
/// The file asks nothing of any network: it can be mailed, archived, or served as it is. With
/// `[report] html = "..."` every run leaves one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl report                                   the page as report.html, or as [report] html says
  mdctl report --out today.html --symbol AAPL --timeframe 1d
  mdctl report --out - | gzip > report.html.gz")]
pub(super) struct Report {
    /// Where; `-` is stdout. Else where `[report] html` says, else report.html in this folder.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Whose bars are drawn; else the first symbol of the config that has bars.
    #[arg(long, value_name = "SYMBOL")]
    symbol: Option<String>,
    /// Which bars; else 1d where there are such, else the longest.
    #[arg(long, value_name = "TF")]
    timeframe: Option<Timeframe>,
    /// Only the symbols of this shard; as in `backfill`.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

pub(super) fn exec(command: &Report, scene: &Scene) -> Done {
    let scene = &scene.anew(command.shard);
    let asked = asked(command, scene)?;
    let usual = || scene.settings.page.clone().unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let out = command.out.clone().unwrap_or_else(usual);
    spare(&out, &scene.settings)?;
    let is_stdout = out.as_os_str() == "-";
    if is_stdout && scene.json {
        return Err(Failure::usage("--json and --out - would both write to stdout")
            .hinted("name a file, as in --out report.html"));
    }
    let page = made(scene, asked.as_ref());
    let text = text(&page);
    if is_stdout {
        print(|out| out.write_all(text.as_bytes()))?;
        return Ok(exit(&page));
    }
    file::replace(&out, text.as_bytes(), Mode::Usual)
        .map_err(|error| Failure::create(&out, &error))?;
    let written = render::page::Written { path: &out, bytes: text.len() as u64, page: &page };
    let show = if scene.json { render::page::json } else { render::page::line };
    print(|out| show(out, &written))?;
    Ok(exit(&page))
}

/// Refuses to write over what is no page.
fn spare(out: &Path, settings: &Settings) -> Result<(), Failure> {
    match settings.own_file(out) {
        None => Ok(()),
        Some(what) => Err(Failure::usage(format!("{} is {what}", out.display()))
            .hinted("name another file with --out; the page would take its place")),
    }
}

/// A page that can tell nothing is written all the same, and is no success.
fn exit(page: &Page) -> Exit {
    if page.known.is_some() { Exit::Success } else { Exit::Unknown }
}

/// Leaves the page where the config wants it after every run; where that fails it is said, and no more.
pub(super) fn leave(scene: &Scene) {
    let Some(path) = &scene.settings.page else { return };
    if let Err(error) = file::replace(path, text(&made(scene, None)).as_bytes(), Mode::Usual) {
        let failure = Failure::create(path, &error);
        tracing::error!("the run left no page: {}; or change [report] html", failure.line());
    }
}

/// The page as text.
fn text(page: &Page) -> String {
    // Nobody can guess it beforehand: what slipped into the page from outside would not be run.
    let nonce = clock::new_run_id(&mut Chance::new());
    render::page::html(page, &nonce.0)
}

/// The series that is asked for: known ones only.
fn asked(command: &Report, scene: &Scene) -> Result<Option<SeriesKey>, Failure> {
    let symbol = command.symbol.as_deref();
    let symbol = symbol.map(|name| select::symbol(&scene.settings, name)).transpose()?;
    if symbol.is_none() && command.timeframe.is_none() {
        return Ok(None);
    }
    let mut candidates = scene
        .settings
        .series()
        .map(|(key, ..)| key)
        .filter(|key| symbol.as_ref().is_none_or(|symbol| key.symbol == *symbol));
    let Some(timeframe) = command.timeframe else {
        return Ok(candidates.max_by_key(|key| preference(key.timeframe)));
    };
    match candidates.find(|key| key.timeframe == timeframe) {
        Some(key) => Ok(Some(key)),
        None => {
            let whose =
                symbol.map_or_else(|| "no symbol has".to_owned(), |s| format!("{s} has no"));
            Err(Failure::usage(format!("{whose} timeframe `{timeframe}`"))
                .hinted("`mdctl staleness` lists the series"))
        }
    }
}

/// Days are preferred, then what is longer.
const fn preference(timeframe: Timeframe) -> (bool, Timeframe) {
    (matches!(timeframe, Timeframe::D1), timeframe)
}

/// The page; where nothing can be read it says so, and why.
fn made(scene: &Scene, asked: Option<&SeriesKey>) -> Page {
    let (now, wall_now) = (scene.now(), scene.wall_now);
    let read = scene
        .reader()
        .and_then(|store| read(scene, &store, asked).map_err(|error| Failure::of_reader(&error)));
    match read {
        Ok(page) => page,
        Err(why) => page::make(health::unknown(&scene.settings, &why.line()), None, now, wall_now),
    }
}

fn read(scene: &Scene, store: &Store, asked: Option<&SeriesKey>) -> StoreResult<Page> {
    let (settings, now) = (&*scene.settings, scene.now());
    let mut facts = scene.facts_of(store, true)?;
    let staleness = staleness::judge(settings, &facts, now);
    let health = health::judge(settings, scene.evidence(store, &facts, staleness)?);
    let wants = pipeline::wants_of(settings, &mut facts.series, &mut facts.coverage, now);
    let gaps = gaps::judge(settings, &facts, &wants, now);
    let coverage = coverage::judge(&wants, &gaps, now);
    facts.gaps = by_series(&facts, gaps);
    let since = page::since(scene.wall_now);
    let mut list = store.runs_last(runs::MOST as u64 + 1, Some(since), None, None)?;
    list.iter_mut().for_each(|run| scene.as_it_is(run));
    let material = Material {
        settings,
        quality: &scene.quality(store, &facts)?,
        coverage,
        runs: list,
        days: store.fetch_days(since)?,
        quotas: scene.quotas(store)?,
        chart: charted(scene, store, &facts, asked)?,
    };
    Ok(page::make(health, Some(material), now, scene.wall_now))
}

/// The bars of the series asked for, else of the first one that has any.
fn charted(
    scene: &Scene,
    store: &Store,
    facts: &Facts,
    asked: Option<&SeriesKey>,
) -> StoreResult<Option<Chart>> {
    let has_bars = |key: &SeriesKey| facts.series.get(key).is_some_and(|fact| fact.bar_count > 0);
    let all = || scene.settings.series();
    let usual = || {
        let first = all().find(|(key, ..)| has_bars(key)).or_else(|| all().next())?.0.symbol;
        let own = all().filter(|(key, ..)| key.symbol == first);
        own.max_by_key(|(key, ..)| (has_bars(key), preference(key.timeframe)))
    };
    let meant = match asked {
        Some(asked) => all().find(|(key, ..)| key == asked),
        None => usual(),
    };
    let Some((key, group, member)) = meant else { return Ok(None) };
    chart_of(scene, store, facts, key, (group, member)).map(Some)
}

fn chart_of(
    scene: &Scene,
    store: &Store,
    facts: &Facts,
    key: SeriesKey,
    (group, member): (&Group, &Member),
) -> StoreResult<Chart> {
    let due = scene.settings.due(group, member);
    let now = scene.now();
    let end = scene.as_of.map_or(i64::MAX, |as_of| closed_before(&due, key.timeframe, as_of));
    let (mut bars, mut features): (Vec<_>, Vec<Row>) = (Vec::new(), Vec::new());
    let fact = facts.series.get(&key);
    if let Some(fact) = fact {
        // In shares of today, as the features are, whatever is asked about.
        let factors = store.factors_of(fact.series_id)?;
        let range = TimeRange::new(i64::MIN, end);
        let limit = Some(chart::MOST as u64);
        let query = BarQuery { series_id: fact.series_id, range, limit };
        store.bars_read(&query, |bar| {
            bars.push(factors.adjusted(bar));
            StoreResult::Ok(())
        })?;
        let range = TimeRange::new(bars.first().map_or(end, |bar| bar.ts), end);
        store.features_read(fact.series_id, range, limit, |row, _| {
            features.push(*row);
            StoreResult::Ok(())
        })?;
    }
    let gaps = fact.map_or(&[][..], |fact| facts.gaps_of(fact.series_id));
    let stored = fact.map_or(0, |fact| fact.bar_count);
    Ok(Chart::of(&chart::Rows { key, stored, bars, features, gaps, due: &due }, now))
}
