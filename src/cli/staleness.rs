//! `mdctl staleness`: freshness of every series.

use clap::Args;

use crate::domain::policy::Freshness;
use crate::domain::shard::Shard;
use crate::domain::timeframe::Timeframe;
use crate::exit::Exit;
use crate::render;
use crate::report::staleness;

use super::scene::Scene;
use super::select::{Typed, selection};
use super::{Done, ending, print};

/// Freshness of every series, worst first.
///
/// Fresh means that a bar came, not that a job ran: the lag is how long ago the first bar became due
/// that is not stored.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl staleness
  mdctl staleness --status stale --timeframe 1d
  mdctl staleness --check --group us-stocks    a gate before a job that needs the data")]
pub(super) struct Staleness {
    /// Only series in this state: fresh, aging, stale or missing.
    #[arg(long, value_name = "STATE")]
    status: Option<Freshness>,
    /// Only these symbols.
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    symbol: Vec<String>,
    /// Only these timeframes.
    #[arg(long, value_name = "TF", value_delimiter = ',')]
    timeframe: Vec<Timeframe>,
    /// Only this group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only the symbols of this shard; as in `backfill`.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Exit 1 when something is aging, and 2 when something is stale or missing.
    #[arg(long)]
    check: bool,
}

pub(super) fn exec(command: &Staleness, scene: &Scene) -> Done {
    let scene = &scene.anew(command.shard);
    let typed = Typed {
        symbols: &command.symbol,
        timeframes: &command.timeframe,
        group: command.group.as_deref(),
        ..Typed::default()
    };
    let meant = selection(&scene.settings, &typed)?;
    let store = scene.reader()?;
    let facts = scene.facts(&store, false)?;
    let mut report = staleness::judge(&scene.settings, &facts, scene.now());
    report.series.retain(|series| {
        (meant.symbols.is_empty() || meant.symbols.contains(&series.key.symbol))
            && (meant.timeframes.is_empty() || meant.timeframes.contains(&series.key.timeframe))
            && meant.group.as_ref().is_none_or(|group| **group == *series.group)
            && command.status.is_none_or(|status| status == series.status)
    });
    print(|out| {
        if scene.json {
            render::staleness::json(out, &report, scene.now())
        } else {
            render::staleness::table(out, &report, scene.look)
        }
    })?;
    let worst = report.worst();
    ending::leave((facts, report));
    Ok(match worst {
        _ if !command.check => Exit::Success,
        Freshness::Fresh => Exit::Success,
        Freshness::Aging => Exit::Partial,
        Freshness::Stale | Freshness::Missing => Exit::Failed,
    })
}
