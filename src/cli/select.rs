//! From what was typed to the series that are meant; what is not known is named with its nearest.

use crate::config::{Settings, nearest};
use crate::domain::series::{AssetClass, Symbol};
use crate::domain::shard::Shard;
use crate::domain::timeframe::Timeframe;
use crate::pipeline::Selection;

use super::failure::Failure;

/// Which series a command is about, as typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed<'a> {
    pub(super) symbols: &'a [String],
    pub(super) timeframes: &'a [Timeframe],
    pub(super) group: Option<&'a str>,
    pub(super) asset_class: Option<AssetClass>,
    pub(super) provider: Option<&'a str>,
    pub(super) shard: Option<Shard>,
}

/// The series that are meant.
pub(super) fn selection(settings: &Settings, typed: &Typed<'_>) -> Result<Selection, Failure> {
    let groups = settings.groups.iter().map(|group| group.name.as_str());
    let providers = settings.providers.keys().map(String::as_str);
    known("group", typed.group, groups)?;
    known("provider", typed.provider, providers)?;
    for timeframe in typed.timeframes {
        tracked(settings, *timeframe)?;
    }
    let symbols = typed.symbols.iter().map(|name| symbol(settings, name));
    Ok(Selection {
        symbols: symbols.collect::<Result<_, _>>()?,
        timeframes: typed.timeframes.iter().copied().collect(),
        group: typed.group.map(str::to_owned),
        asset_class: typed.asset_class,
        provider: typed.provider.map(str::to_owned),
        shard: typed.shard,
    })
}

/// The tracked symbol of that name.
pub(super) fn symbol(settings: &Settings, name: &str) -> Result<Symbol, Failure> {
    let found = settings.members().find(|(_, member)| member.symbol.as_str() == name);
    if let Some((_, member)) = found {
        return Ok(member.symbol.clone());
    }
    let symbols = settings.members().map(|(_, member)| member.symbol.as_str());
    let failure = Failure::usage(format!("unknown symbol `{name}`"));
    Err(match nearest(name, symbols) {
        Some(near) => {
            failure.hinted(format!("did you mean `{near}`? `mdctl symbols list` shows all"))
        }
        None => failure
            .hinted("`mdctl symbols list` shows the known ones; `mdctl symbols add` adds one"),
    })
}

fn tracked(settings: &Settings, timeframe: Timeframe) -> Result<(), Failure> {
    let mut all: Vec<Timeframe> =
        settings.groups.iter().flat_map(|group| group.timeframe_list.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    if all.contains(&timeframe) {
        return Ok(());
    }
    let words: Vec<&str> = all.iter().map(|timeframe| timeframe.as_str()).collect();
    Err(Failure::usage(format!("no group has the timeframe `{timeframe}`"))
        .hinted(format!("tracked timeframes are {}", words.join(", "))))
}

/// Refuses a name that is none of `names`.
pub(super) fn known<'a>(
    what: &str,
    name: Option<&str>,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    let names: Vec<&str> = names.collect();
    if names.contains(&name) {
        return Ok(());
    }
    let failure = Failure::usage(format!("unknown {what} `{name}`"));
    Err(match nearest(name, names.iter().copied()) {
        Some(near) => failure.hinted(format!("did you mean `{near}`?")),
        None => failure.hinted(format!("known are {}", names.join(", "))),
    })
}
