//! `mdctl features`: what is computed from the bars of a symbol.

use clap::Args;

use crate::render::bars::Adjusted;
use crate::render::features::Rows;

use super::Done;
use super::scene::Scene;
use super::stored::{Kind, Meant, Stop, stream};

/// Features of a symbol's bars, oldest first: moving averages, RSI, MACD and the like.
///
/// They are computed on prices and volumes adjusted for splits; a field is empty where a feature is not
/// defined yet, or not asked for by the group's `features`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl features AAPL --timeframe 1d --limit 20
  mdctl features BTCUSDT --timeframe 1h --from 2024-01-01 --format csv > features.csv")]
pub(super) struct Features {
    #[command(flatten)]
    meant: Meant,
    /// For what the close beside them is adjusted: nothing, splits, or splits and dividends.
    #[arg(long, value_name = "WHAT", default_value = "splits")]
    adjusted: Adjusted,
}

pub(super) fn exec(command: &Features, scene: &Scene) -> Done {
    let adjusted = command.adjusted;
    let meant = command.meant.open(scene, Kind::Features, adjusted)?;
    stream(|out| {
        let mut rows = Rows::begin(out, meant.format, (&meant.key, adjusted), scene.now())?;
        let read = meant.store.features_read::<Stop>(
            meant.series_id,
            meant.range,
            meant.limit,
            |row, bar| Ok(rows.add(row, adjusted.of(bar, &meant.factors).close)?),
        );
        read?;
        Ok(rows.end()?)
    })
}
