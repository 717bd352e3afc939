//! `mdctl enrich`: the daily pass.

use clap::Args;

use crate::plan::Pass;

use super::Done;
use super::run::{self, RunArgs};
use super::scene::Scene;

/// The daily pass: tails, what is not settled, splits and dividends, quality, and a second try.
///
/// It asks for every series' tail and what is not settled of it, for empty answers that are due for another
/// look, for splits, dividends and reference data, and at the end tries jobs that failed again.
///
/// Providers that have them are asked for actions once a day and for reference data once a week, unless
/// --from, --to, --full or --repair is given.
/// What is not settled is read again once a day, also when nothing new is due. Old holes are left to
/// `backfill`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl enrich                         the daily pass, as a timer calls it
  mdctl enrich --wait 2h               after a run that is at work
  mdctl enrich --dry-run               what would be asked, without asking")]
pub(super) struct Enrich {
    #[command(flatten)]
    pub(super) run: RunArgs,
}

pub(super) fn exec(command: &Enrich, scene: &Scene) -> Done {
    run::exec(Pass::Enrich, &command.run, scene)
}
