//! What `backfill` and `enrich` have in common: from flags to a run, under the lock. `import` joins them
//! where the run begins.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use schemars::Schema;

use crate::clock::{Chance, new_run_id};
use crate::config::{JobRetries, Span, env};
use crate::domain::run::RunId;
use crate::domain::series::AssetClass;
use crate::domain::shard::Shard;
use crate::domain::timeframe::Timeframe;
use crate::exit::Exit;
use crate::fetch::Engine;
use crate::notify::pulse::Pulse;
use crate::pipeline::{self, Force, Request};
use crate::plan::{Options, Pass};
use crate::render;
use crate::render::history::{MOST_JOBS, RunDetail, RunSummary};
use crate::render::progress::Progress;
use crate::store::Store;
use crate::store::lock::{self, Lock};
use crate::trace::{self, Trace};

use super::deed::{Hand, Reason};
use super::failure::Failure;
use super::scene::Scene;
use super::select::{Typed, selection};
use super::times::Edge;
use super::{Done, print};

mod aftermath;
mod dry_run;
mod preview;
mod tell;
mod textfile;

pub(super) use preview::preview;
pub(super) use tell::Teller;

/// Flags of `backfill` and `enrich`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
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
    /// Symbols in flight; the config's default is 3 for backfill, 5 for enrich.
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
    /// Compute no features; the next run without this flag does.
    #[arg(long)]
    no_features: bool,
    /// Show the plan and make no request.
    #[arg(long)]
    dry_run: bool,
    /// Send at most so many requests; what they do not reach is left for the next run.
    #[arg(long, value_name = "N")]
    max_requests: Option<u64>,
    /// Take at most so long, as in 20m; what is unfinished is left for the next run.
    #[arg(long, value_name = "DURATION")]
    max_duration: Option<Span>,
    /// Only the symbols of this shard: K of N machines, each with its own database and its share of the
    /// quota. K counts from 0 or from 1.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Wait so long for another run to end, as in 30m; else this one ends at once.
    #[arg(long, value_name = "DURATION")]
    wait: Option<Span>,
    /// Break the glass: work in spite of a pause or an open breaker. Goes to the audit log.
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why the glass is broken.
    #[arg(long, value_name = "TEXT", requires = "force")]
    reason: Option<Reason>,
}

impl RunArgs {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        if self.dry_run { render::plan::schema() } else { render::history::detail_schema() }
    }
}

pub(super) fn exec(pass: Pass, args: &RunArgs, scene: &Scene) -> Done {
    let request = request(pass, args, scene)?;
    if args.dry_run {
        return dry_run::show(&request, scene);
    }
    make(request, args.wait.map_or(Duration::ZERO, |Span(wait)| wait), scene)
}

/// Makes a run, once no other holds the lock, for which it waits no longer than `patience`; shows what it did.
pub(super) fn make(mut request: Request, patience: Duration, scene: &Scene) -> Done {
    // From here on a signal lets the run come to its end.
    let engine = Engine::start()
        .map_err(|error| Failure::io("cannot start the threads that fetch", &error))?;
    let (_lock, mut store, pulse) = begin(scene, &engine, &mut request, patience)?;
    scene.warn_of_exposed();
    let teller = tell::Teller::new(&scene.settings);
    let mut progress = Progress::new(&scene.screen, scene.bar);
    let mut trace = trace(scene, &request);
    let outcome = pipeline::run(&scene.settings, &engine, &mut store, &request, &mut |event| {
        env::panic_if_rehearsed("telling");
        teller.tell(&event);
        progress.take(&event);
        trace.iter_mut().for_each(|trace| trace.take(&event));
    });
    let outcome = outcome.map_err(|error| {
        let mut failure = Failure::from(error);
        // Whatever else went wrong, it was to end.
        failure.exit = engine.stopped().map_or(failure.exit, Exit::Stopped);
        failure
    });
    let exit = outcome.as_ref().map_or_else(|failure| failure.exit, |outcome| outcome.exit);
    // An aborted run's bar goes with it, before anything else is said.
    drop(progress);
    let error = outcome.as_ref().err().inspect(|failure| aborted(failure)).map(Failure::message);
    if let Some(Err(lost)) = trace.map(|trace| trace.end(exit.code(), error)) {
        untraced(scene, &lost.to_string());
    }
    aftermath::leave(scene, Some(&store), &request, pulse, exit);
    show(scene, &store, &outcome?.run_id)?;
    Ok(exit)
}

/// The run's trace, where the config names a collector.
fn trace(scene: &Scene, request: &Request) -> Option<Trace> {
    let run = trace::Run {
        run_id: &request.run_id,
        command: request.command,
        trigger: &request.trigger,
        host: &request.host,
    };
    let begun = Trace::begin(scene.settings.otlp.as_deref()?, run);
    begun.inspect_err(|error| untraced(scene, error)).ok()
}

/// Says that the trace, or some of it, did not reach the collector: nothing of the run is lacking for it.
fn untraced(scene: &Scene, why: &str) {
    let endpoint = scene.settings.otlp.as_deref().unwrap_or_default();
    tracing::warn!(
        endpoint,
        "the trace did not reach the collector ({why}); see whether it runs there, the run itself is \
         complete without"
    );
}

/// The run's lock and its database, and those who are told of it. Who finds another at work, or is stopped
/// while it waits for it, is no run.
fn begin(
    scene: &Scene,
    engine: &Engine,
    request: &mut Request,
    patience: Duration,
) -> Result<(Lock, Store, Pulse), Failure> {
    let database = &scene.settings.database;
    let locked = match lock(database, engine, patience) {
        Err(failure) if matches!(failure.exit, Exit::Locked | Exit::Stopped(_)) => {
            return Err(failure);
        }
        locked => locked,
    };
    // Now it begins, and ids sort by when runs began.
    request.run_id = new_run_id(&mut Chance::new());
    scene.log.begin_run(&request.run_id);
    let pulse = aftermath::begin(scene, request);
    match locked.and_then(|lock| Ok((lock, Store::open_write(database)?))) {
        Ok((lock, store)) => Ok((lock, store, pulse)),
        Err(failure) => {
            aborted(&failure);
            aftermath::leave(scene, None, request, pulse, failure.exit);
            Err(failure)
        }
    }
}

fn aborted(failure: &Failure) {
    tracing::error!(exit_code = failure.exit.code(), "run aborted: {}", failure.message());
}

/// The run's lock, after waiting for it no longer than `patience`.
pub(super) fn lock(database: &Path, engine: &Engine, patience: Duration) -> Result<Lock, Failure> {
    let failed = |error| Failure::create(&lock::path_of(database), &error);
    if let Some(lock) = lock::try_lock(database).map_err(failed)? {
        return Ok(lock);
    }
    let path = database.to_owned();
    let waited = match patience {
        Duration::ZERO => None,
        patience => engine.within(patience, move || lock::wait_for_lock(&path)),
    };
    if let Some(lock) = waited {
        return lock.map_err(failed);
    }
    if let Some(signal) = engine.stopped() {
        let message = format!("stopped by {} while waiting for the lock", signal.as_str());
        return Err(Failure::new(Exit::Stopped(signal), "stopped", message));
    }
    let message = format!("another run holds the lock of {}", database.display());
    Err(Failure::new(Exit::Locked, "locked", message)
        .hinted("this call has done nothing; see the other with `mdctl status`, or wait for it with --wait 30m"))
}

/// From flags to what the pipeline does.
fn request(pass: Pass, args: &RunArgs, scene: &Scene) -> Result<Request, Failure> {
    let typed = Typed {
        symbols: &args.symbols,
        timeframes: &args.timeframe,
        group: args.group.as_deref(),
        asset_class: args.asset_class,
        provider: args.provider.as_deref(),
        shard: args.shard,
    };
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from.is_after(to)
    {
        return Err(Failure::usage("--from lies after --to"));
    }
    let hand = Hand::callers();
    let run = &scene.settings.run;
    let (command, parallel, job_retries) = match pass {
        Pass::Backfill => ("backfill", run.parallel_backfill, JobRetries::NONE),
        Pass::Enrich => ("enrich", run.parallel_enrich, run.job_retries),
    };
    Ok(Request {
        run_id: new_run_id(&mut Chance::new()),
        command,
        trigger: trigger(args.trigger.as_deref()),
        host: hand.host,
        selection: selection(&scene.settings, &typed)?,
        options: Options {
            pass,
            from: args.from.map(|edge| edge.0),
            to: args.to.map(|edge| edge.0),
            full: args.full,
            repair: args.repair,
        },
        parallel: args.parallel.unwrap_or(parallel),
        job_retries,
        max_requests: args.max_requests,
        time: args.max_duration.map_or(run.deadline, |Span(most)| most.min(run.deadline)),
        force: args
            .reason
            .as_ref()
            .map(|reason| Force { who: hand.who, reason: reason.to_string() }),
        as_of: scene.as_of,
        no_features: args.no_features,
        import: None,
    })
}

/// Who called: as said, else as it looks.
pub(super) fn trigger(said: Option<&str>) -> String {
    let usual = if env::under_systemd() { "systemd" } else { "manual" };
    said.unwrap_or(usual).to_owned()
}

/// Shows what the run did, as the store has it.
fn show(scene: &Scene, store: &Store, run_id: &RunId) -> Result<(), Failure> {
    let Some(run) = store.runs_by_prefix(&run_id.0)?.pop() else { return Ok(()) };
    let imports = store.imports_of(run_id)?;
    if !scene.json {
        let (jobs, busy) = store.busy_jobs_of(run_id, MOST_JOBS)?;
        let summary = RunSummary { run, jobs, busy, imports };
        return print(|out| render::history::summary(out, &summary, scene.look));
    }
    let detail = RunDetail {
        jobs: store.jobs_of(run_id)?,
        failures: store.failures_of(run_id, u64::MAX)?,
        requests: store.requests_of(run_id)?,
        imports,
        run,
    };
    print(|out| render::history::detail_json(out, &detail, scene.now()))
}
