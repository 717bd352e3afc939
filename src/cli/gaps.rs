//! `mdctl gaps`: missing bars with their reasons.

use clap::Args;

use crate::domain::gap::GapReason;
use crate::domain::timeframe::Timeframe;
use crate::exit::Exit;
use crate::pipeline;
use crate::render;
use crate::report::gaps;

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
    let facts = scene.facts(&store, true)?;
    let wants = pipeline::wants_of(&scene.settings, &facts.series, &facts.coverage, scene.now());
    let mut report = gaps::judge(&scene.settings, &facts, &wants, scene.now());
    let in_group = |symbol: &str| {
        meant.group.as_ref().is_none_or(|name| {
            let members = scene.settings.members();
            members
                .into_iter()
                .any(|(group, member)| group.name == *name && member.symbol.as_str() == symbol)
        })
    };
    report.retain(|row| {
        (meant.symbols.is_empty() || meant.symbols.contains(&row.key.symbol))
            && (meant.timeframes.is_empty() || meant.timeframes.contains(&row.key.timeframe))
            && command.reason.is_none_or(|reason| reason == row.gap.reason)
            && in_group(row.key.symbol.as_str())
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
