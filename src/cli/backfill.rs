//! `mdctl backfill`: everything that is due and not stored.

use std::time::Duration;

use clap::Args;

use crate::config::{Settings, Source, env};
use crate::domain::event::Event;
use crate::domain::run::RunId;
use crate::domain::series::AssetClass;
use crate::domain::timeframe::Timeframe;
use crate::exit::Exit;
use crate::pipeline::{self, Request};
use crate::plan::{Options, Plan};
use crate::render;
use crate::render::history::RunDetail;
use crate::render::plan::Costed;
use crate::render::progress::Progress;
use crate::store::{Store, lock};

use super::deed::host;
use super::failure::Failure;
use super::scene::Scene;
use super::select::{Typed, selection};
use super::times::Edge;
use super::{Done, print};

/// Fetch everything that is due and not stored: head, holes and tail.
///
/// What is stored is not asked for again, a closed day costs no request, and a second call right after
/// the first asks for nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl backfill                       everything of every symbol
  mdctl backfill AAPL --timeframe 1d   one symbol's days
  mdctl backfill --dry-run             what would be asked, without asking
  mdctl backfill --repair              ask again for what is missing")]
pub(super) struct Backfill {
    /// Only these symbols.
    symbols: Vec<String>,
    /// Only these timeframes, as in 1d,1h.
    #[arg(long, value_name = "TF", value_delimiter = ',')]
    timeframe: Vec<Timeframe>,
    /// Only this group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only this asset class: stock, etf, crypto, forex or index.
    #[arg(long, value_name = "CLASS")]
    asset_class: Option<AssetClass>,
    /// Only this provider.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Symbols in flight; the config's default is 3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    parallel: Option<u32>,
    /// Who called, for the history; else `systemd` under a unit, else `manual`.
    #[arg(long, value_name = "NAME")]
    trigger: Option<String>,
    /// From this session date, inclusive, or instant on.
    #[arg(long, value_name = "DATE")]
    from: Option<Edge>,
    /// Up to this session date, inclusive, or instant.
    #[arg(long, value_name = "DATE")]
    to: Option<Edge>,
    /// Fetch again what is stored.
    #[arg(long, conflicts_with = "repair")]
    full: bool,
    /// Only what `gaps` lists, also what is not due for another look.
    #[arg(long)]
    repair: bool,
    /// Show the plan and make no request.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn exec(command: &Backfill, scene: &Scene) -> Done {
    let request = request(command, scene)?;
    if command.dry_run {
        return dry_run(&request, scene);
    }
    let database = &scene.settings.database;
    let held = lock::try_lock(database)
        .map_err(|error| Failure::create(&lock::path_of(database), &error))?;
    let Some(_lock) = held else {
        return Err(Failure::new(
            Exit::Locked,
            "locked",
            format!("another run holds the lock of {}", database.display()),
        )
        .hinted("see it with `mdctl status`; this call has done nothing"));
    };
    let mut store = Store::open_write(database)?;
    // At the level of errors, so that the quietest line still bears the run's id.
    let run = tracing::error_span!("run", run_id = %request.run_id, command = request.command);
    let _inside = run.entered();
    let mut progress = Progress::new(&scene.screen, scene.bar);
    let outcome = pipeline::run(&scene.settings, &mut store, &request, &mut |event| {
        tell(&event);
        progress.take(&event);
    })?;
    show(scene, &store, &outcome.run_id)?;
    Ok(outcome.exit)
}

/// From flags to what the pipeline does.
fn request(command: &Backfill, scene: &Scene) -> Result<Request, Failure> {
    let typed = Typed {
        symbols: &command.symbols,
        timeframes: &command.timeframe,
        group: command.group.as_deref(),
        asset_class: command.asset_class,
        provider: command.provider.as_deref(),
    };
    if let (Some(from), Some(to)) = (command.from, command.to)
        && from.is_after(to)
    {
        return Err(Failure::usage("--from lies after --to"));
    }
    let usual = if env::under_systemd() { "systemd" } else { "manual" };
    Ok(Request {
        run_id: crate::clock::new_run_id(&mut crate::clock::Chance::new()),
        command: "backfill",
        trigger: command.trigger.clone().unwrap_or_else(|| usual.to_owned()),
        host: host(),
        selection: selection(&scene.settings, &typed)?,
        options: Options {
            from: command.from.map(|edge| edge.0),
            to: command.to.map(|edge| edge.0),
            full: command.full,
            repair: command.repair,
        },
        parallel: command.parallel.unwrap_or(scene.settings.run.parallel_backfill),
        as_of: scene.as_of,
    })
}

/// Shows the plan. Reads the database, if there is one, and writes nothing.
fn dry_run(request: &Request, scene: &Scene) -> Done {
    let database = &scene.settings.database;
    let store = if database.exists() { Some(scene.reader()?) } else { None };
    let (plan, notes) = pipeline::plan(&scene.settings, store.as_ref(), request, scene.wall_now)?;
    let further = plan.jobs.iter().flat_map(|job| &job.tasks).map(|task| task.further_pages).sum();
    let costed = Costed {
        requests: pipeline::requests(&plan, &scene.settings.providers),
        further,
        quota_time: quota_time(&scene.settings, &plan),
        plan: &plan,
        notes: &notes,
    };
    print(|out| {
        if scene.json {
            render::plan::json(out, &costed, scene.now())
        } else {
            render::plan::table(out, &costed, scene.look)
        }
    })?;
    Ok(Exit::Success)
}

/// The time in which the slowest provider's quota allows its share of the plan.
fn quota_time(settings: &Settings, plan: &Plan) -> Duration {
    let of = |name: &str| {
        let tasks = plan.jobs.iter().flat_map(|job| &job.tasks);
        let own = tasks.filter(|task| task.provider == name);
        own.map(|task| 1 + task.further_pages).sum::<u64>()
    };
    let http = settings
        .providers
        .values()
        .filter(|provider| matches!(provider.source, Source::Http { .. }));
    http.flat_map(|provider| provider.rates.iter().map(|rate| (rate, of(&provider.name))))
        .map(|(rate, requests)| {
            let at_once = u64::from(rate.burst.unwrap_or(rate.requests));
            let waits = requests.saturating_sub(at_once).div_ceil(u64::from(rate.requests));
            rate.per.saturating_mul(u32::try_from(waits).unwrap_or(u32::MAX))
        })
        .max()
        .unwrap_or_default()
}

/// Shows what the run did, as the store has it.
fn show(scene: &Scene, store: &Store, run_id: &RunId) -> Result<(), Failure> {
    let Some(run) = store.runs_by_prefix(&run_id.0)?.pop() else { return Ok(()) };
    let detail = RunDetail {
        jobs: store.jobs_of(run_id)?,
        failures: store.failures_last(Some(run_id), 0, u64::MAX)?,
        requests: store.requests_of(run_id)?,
        run,
    };
    print(|out| {
        if scene.json {
            render::history::detail_json(out, &detail, scene.now())
        } else {
            render::history::summary(out, &detail, scene.look)
        }
    })
}

/// Says in log lines what a run at work says.
fn tell(event: &Event) {
    match event {
        Event::Planned { jobs, requests, notes, .. } => {
            for note in notes {
                tracing::info!("{note}");
            }
            tracing::info!(jobs, requests, "planned");
        }
        Event::JobStarted { symbol } => tracing::debug!(%symbol, "job started"),
        Event::PageStored { series, counts, attempt } => tracing::debug!(
            symbol = %series.symbol,
            timeframe = %series.timeframe,
            provider = attempt.provider,
            attempt = attempt.number,
            inserted = counts.inserted,
            updated = counts.updated,
            rejected = counts.rejected,
            dropped = counts.dropped,
            "page stored"
        ),
        Event::AttemptFailed { attempt, retry_in } => {
            let Some(fault) = &attempt.fault else { return };
            tracing::warn!(
                symbol = %attempt.series.symbol,
                timeframe = %attempt.series.timeframe,
                provider = attempt.provider,
                attempt = attempt.number,
                kind = %fault.kind,
                retry_in_ms = retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
                "{}",
                fault.message
            );
        }
        Event::QuotaWait { provider, wait } => {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(provider, wait_ms, "waiting for the quota");
        }
        Event::Failed(failure) => tracing::error!(
            symbol = %failure.series.symbol,
            timeframe = %failure.series.timeframe,
            stage = %failure.stage,
            kind = %failure.kind,
            attempts = failure.attempts,
            "{}",
            failure.message
        ),
        Event::Narrowed { series, message } => {
            tracing::warn!(symbol = %series.symbol, timeframe = %series.timeframe, "{message}");
        }
        Event::JobFinished(job) => tracing::info!(
            symbol = %job.symbol,
            status = %job.status,
            inserted = job.records_inserted,
            updated = job.records_updated,
            "job finished"
        ),
        Event::Finished { totals } => tracing::info!(
            successful = totals.successful,
            failed = totals.failed,
            inserted = totals.records_inserted,
            updated = totals.records_updated,
            requests = totals.requests,
            "run finished"
        ),
    }
}
