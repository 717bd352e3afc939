//! `mdctl history`: past runs.

use clap::Args;
use schemars::Schema;

use crate::config::Span;
use crate::domain::fact::RunFact;
use crate::domain::run::RunStatus;
use crate::domain::time::{midnight, seconds};
use crate::exit::Exit;
use crate::plan::Bound;
use crate::render;
use crate::render::history::RunDetail;
use crate::store::Store;

use super::failure::Failure;
use super::scene::Scene;
use super::times::Edge;
use super::{Done, print};

/// Past runs, newest first; with RUN, its jobs, requests and failures.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl history --since 7d --status partial
  mdctl history last                   the newest run: which symbol failed, where, and why
  mdctl history 01KAM3                 a run by the beginning of its id")]
pub(super) struct History {
    /// A run's id, the beginning of it, or `last`.
    run: Option<String>,
    /// At most so many runs.
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: u64,
    /// Runs that started since then: a date, an instant, or so long ago (7d).
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only runs of this command.
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// Only runs with this status.
    #[arg(long, value_name = "STATUS")]
    status: Option<RunStatus>,
}

impl History {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.run {
            None => render::history::schema(),
            Some(_) => render::history::detail_schema(),
        }
    }
}

pub(super) fn exec(command: &History, scene: &Scene) -> Done {
    let since = command.since.as_deref().map(|text| since(text, scene.wall_now)).transpose()?;
    let store = scene.reader()?;
    match &command.run {
        Some(name) => one(name, scene, &store)?,
        None => {
            let mut runs = store
                .runs_last(command.limit, since, command.command.as_deref(), command.status)
                .map_err(|error| Failure::of_reader(&error))?;
            runs.iter_mut().for_each(|run| scene.as_it_is(run));
            print(|out| {
                if scene.json {
                    render::history::json(out, &runs, scene.wall_now)
                } else {
                    render::history::table(out, &runs, scene.look)
                }
            })?;
        }
    }
    Ok(Exit::Success)
}

fn since(text: &str, now: i64) -> Result<i64, Failure> {
    if let Ok(Span(ago)) = text.parse() {
        return Ok(now.saturating_sub(seconds(ago)));
    }
    match text.parse().map_err(Failure::usage)? {
        Edge(Bound::Instant(at)) => Ok(at),
        Edge(Bound::Date(date)) => Ok(midnight(date)),
    }
}

fn one(name: &str, scene: &Scene, store: &Store) -> Result<(), Failure> {
    let mut run = find(name, store)?;
    scene.as_it_is(&mut run);
    let read = || {
        Ok(RunDetail {
            jobs: store.jobs_of(&run.run_id)?,
            failures: store.failures_of(&run.run_id, u64::MAX)?,
            requests: store.requests_of(&run.run_id)?,
            imports: store.imports_of(&run.run_id)?,
            run: run.clone(),
        })
    };
    let detail = read().map_err(|error| Failure::of_reader(&error))?;
    print(|out| {
        if scene.json {
            render::history::detail_json(out, &detail, scene.wall_now)
        } else {
            render::history::detail_table(out, &detail, scene.look)
        }
    })
}

fn find(name: &str, store: &Store) -> Result<RunFact, Failure> {
    let found = if name == "last" {
        store.runs_last(1, None, None, None)
    } else {
        store.runs_by_prefix(name)
    };
    let mut found = found.map_err(|error| Failure::of_reader(&error))?;
    match (found.pop(), found.is_empty()) {
        (Some(run), true) => Ok(run),
        (Some(_), false) => Err(Failure::usage(format!("several runs begin with `{name}`"))
            .hinted("give more of the id; `mdctl history` lists them")),
        (None, _) if name == "last" => {
            Err(Failure::usage("nothing has run yet").hinted("`mdctl backfill` is the first run"))
        }
        (None, _) => Err(Failure::usage(format!("there is no run `{name}`"))
            .hinted("`mdctl history` lists them; `last` is the newest")),
    }
}
