//! `mdctl backfill`: everything that is due and not stored.

use clap::Args;

use crate::plan::Pass;

use super::Done;
use super::run::{self, RunArgs};
use super::scene::Scene;

/// Fetch everything that is due and not stored: head, holes and tail.
///
/// What is stored is not asked for again, a closed day costs no request, and a second call right after
/// the first asks for nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl backfill                       everything of every symbol
  mdctl backfill AAPL --timeframe 1d   one symbol's days
  mdctl backfill --dry-run             what would be asked, without asking
  mdctl backfill --repair              ask again for what is missing
  mdctl backfill --max-duration 20m    leave what takes longer for the next call")]
pub(super) struct Backfill {
    #[command(flatten)]
    pub(super) run: RunArgs,
}

pub(super) fn exec(command: &Backfill, scene: &Scene) -> Done {
    run::exec(Pass::Backfill, &command.run, scene)
}
