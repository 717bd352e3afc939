//! `mdctl gaps`: missing bars with their reasons.

use std::collections::HashSet;

use clap::Args;

use crate::domain::gap::GapReason;
use crate::domain::series::Symbol;
use crate::domain::timeframe::Timeframe;
use crate::exit::Exit;
use crate::render;

use super::quality::gaps_now;
use super::scene::Scene;
use super::select::{Typed, selection};
use super::{Done, print};

/// Missing bars by calendar, each with its reason.
///
/// Unfetched and failed ones are asked for by the next `backfill`; provider_empty and rejected ones by
/// `backfill --repair`; no_trade, pre_listing and delisted ones are no holes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl gaps
  mdctl gaps AAPL --reason provider_empty")]
pub(super) struct Gaps {
    /// Only this symbol.
    symbol: Option<String>,
    /// Only these timeframes.
    #[arg(long, value_name = "TF", value_delimiter = ',')]
    timeframe: Vec<Timeframe>,
    /// Only this group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only gaps with this reason.
    #[arg(long, value_name = "REASON")]
    reason: Option<GapReason>,
}

pub(super) fn exec(command: &Gaps, scene: &Scene) -> Done {
    let symbols: Vec<String> = command.symbol.iter().cloned().collect();
    let typed = Typed {
        symbols: &symbols,
        timeframes: &command.timeframe,
        group: command.group.as_deref(),
        ..Typed::default()
    };
    let meant = selection(&scene.settings, &typed)?;
    let store = scene.reader()?;
    let mut facts = scene.facts(&store, true)?;
    let mut report = gaps_now(scene, &mut facts);
    let members = scene.settings.members();
    let symbols: HashSet<&Symbol> = members
        .filter(|(group, member)| meant.holds_member(group, member))
        .map(|(_, member)| &member.symbol)
        .collect();
    report.retain(|row| {
        symbols.contains(&row.key.symbol)
            && (meant.timeframes.is_empty() || meant.timeframes.contains(&row.key.timeframe))
            && command.reason.is_none_or(|reason| reason == row.gap.reason)
    });
    print(|out| {
        if scene.json {
            render::gaps::json(out, &report, scene.now())
        } else {
            render::gaps::table(out, &report, scene.look)
        }
    })?;
    Ok(Exit::Success)
}
