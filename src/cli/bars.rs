//! `mdctl bars`: stored bars of a symbol.

use clap::Args;

use crate::render::bars::{Adjusted, Rows};
use crate::store::BarQuery;

use super::Done;
use super::scene::Scene;
use super::stored::{Kind, Meant, Stop, stream};

/// Stored bars of a symbol, oldest first.
///
/// A stale series is warned of on stderr; of a missing one the command that fills it is named.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl bars AAPL --timeframe 1d --limit 20
  mdctl bars AAPL --timeframe 1d --adjusted all --format csv
  mdctl bars BTCUSDT --timeframe 1h --from 2024-01-01 --to 2024-01-31 --format csv > january.csv")]
pub(super) struct Bars {
    #[command(flatten)]
    meant: Meant,
    /// For what prices and volumes are adjusted: nothing, splits, or splits and dividends; then they
    /// are those of today's shares, and of those after a split that is told beforehand. With --as-of
    /// they are those of the shares of then.
    #[arg(long, value_name = "WHAT", default_value = "none")]
    adjusted: Adjusted,
}

pub(super) fn exec(command: &Bars, scene: &Scene) -> Done {
    let adjusted = command.adjusted;
    let meant = command.meant.open(scene, Kind::Bars, adjusted)?;
    let query = BarQuery { series_id: meant.series_id, range: meant.range, limit: meant.limit };
    stream(|out| {
        let mut rows = Rows::begin(out, meant.format, (&meant.key, adjusted), scene.now())?;
        meant
            .store
            .bars_read::<Stop>(&query, |bar| Ok(rows.add(&adjusted.of(bar, &meant.factors))?))?;
        Ok(rows.end()?)
    })
}
