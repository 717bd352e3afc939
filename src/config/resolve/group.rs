//! One `[[group]]`: its provider and calendar looked up, its symbols read, its timeframes traced to what
//! the provider offers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use crate::calendar::{Calendar, Overrides};
use crate::config::values::{Span, Text};
use crate::config::{
    ConfigError, Group, Member, ProviderSettings, Source, Stored, file, listed, nearest,
};
use crate::domain::feature::{FeatureSet, words};
use crate::domain::policy::FreshnessPolicy;
use crate::domain::series::{AssetClass, Symbol};
use crate::domain::timeframe::{DAY, Timeframe};

use super::{Context, Result, freshness, hours, span_or};

/// A group; `list` are its members where the list of them was read ahead of the parser.
pub(super) fn group(
    context: &Context<'_>,
    table: &file::Group,
    list: Option<Vec<Member>>,
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
    Ok(Group {
        features: features(context, table)?,
        name: table.name.get_ref().clone(),
        provider: provider.name.clone(),
        asset_class,
        calendar: calendar(context, table.calendar.as_ref(), asset_class, overrides)?,
        members: members(context, table, list)?,
        symbols_file: table.symbols_file.as_ref().map(|path| context.file(path.get_ref())),
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
pub(super) fn overrides(
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

/// The timeframes whose features are computed unless the config says otherwise.
const COMPUTED: [Timeframe; 4] = [Timeframe::H1, Timeframe::H4, Timeframe::D1, Timeframe::W1];

/// The features of each timeframe that has any.
fn features(context: &Context<'_>, table: &file::Group) -> Result<BTreeMap<Timeframe, FeatureSet>> {
    let mut sets: BTreeMap<Timeframe, FeatureSet> =
        COMPUTED.into_iter().map(|timeframe| (timeframe, FeatureSet::ALL)).collect();
    let Some(asked) = &table.features else { return Ok(sets) };
    for (Text(timeframe), names) in asked.get_ref() {
        let set = FeatureSet::of_names(names.iter().map(String::as_str)).map_err(|name| {
            let error = context.at(asked, format!("unknown feature `{name}`"));
            match nearest(name, words()) {
                Some(near) => error.hinted(format!("did you mean `{near}`?")),
                None => {
                    error.hinted(format!("features are {}", words().collect::<Vec<_>>().join(", ")))
                }
            }
        })?;
        sets.insert(*timeframe, set);
    }
    sets.retain(|_, set| !set.is_empty());
    Ok(sets)
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

fn members(
    context: &Context<'_>,
    table: &file::Group,
    list: Option<Vec<Member>>,
) -> Result<Vec<Member>> {
    match (&table.symbols, &table.symbols_file) {
        (Some(_), Some(path)) => {
            Err(context.at(path, "`symbols` and `symbols_file` exclude each other"))
        }
        (None, None) => Err(context.at(
            &table.name,
            format!("group `{}` has neither `symbols` nor `symbols_file`", table.name.get_ref()),
        )),
        (Some(symbols), None) => match list {
            Some(members) => Ok(members),
            None => symbols.get_ref().iter().map(|symbol| member(context, symbol)).collect(),
        },
        (None, Some(path)) => members_of_file(context, path),
    }
}

/// Where a group's symbol of that index stands in the config; `None` when it stands in a file of its own.
pub(super) fn place(
    context: &Context<'_>,
    table: &file::Group,
    index: usize,
) -> Option<Range<usize>> {
    let symbols = table.symbols.as_ref()?;
    match symbols.get_ref().get(index) {
        Some(symbol) => Some(symbol.span()),
        None => listed::place(context.text, symbols.span().start, index),
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
    Ok(symbols.into_iter().map(Member::plain).collect())
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
