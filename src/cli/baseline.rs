//! `mdctl baseline`: where a backfill's time goes, and which parallelism pays.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use clap::Args;

use crate::clock::{Chance, new_run_id};
use crate::config::{JobRetries, ProviderSettings, Settings, TreatAs};
use crate::domain::event::Event;
use crate::exit::Exit;
use crate::fetch::Engine;
use crate::pipeline::{self, Request, Sample, Selection};
use crate::plan::Options;
use crate::render;
use crate::render::progress::Progress;
use crate::report::baseline::{self as report, Cut, Rehearsal, Setup, Step, Tally};
use crate::store::{Scratch, Store};

use super::deed::{self, Hand};
use super::failure::Failure;
use super::run::{Teller, lock, trigger};
use super::scene::Scene;
use super::select::known;
use super::{Done, Global, print};

/// What is rehearsed, unless it is said; the config's own parallelism joins them.
const PARALLEL: [u32; 4] = [1, 3, 5, 10];

/// Symbols of a step, at most, unless it is said.
const SYMBOLS: usize = 20;

/// What a step may take besides waiting for the quota; what it has not done by then is left.
const PATIENCE: Duration = Duration::from_secs(600);

/// Show where a backfill's time goes, and which parallelism pays.
///
/// Rehearses a first backfill of some symbols, one page of each timeframe, once at each parallelism, into a
/// database beside the configured one that is deleted in the end. No bar reaches the configured database;
/// but the requests count against the quota that is remembered there. How many there will be is said first,
/// and where the quota is what holds all up, further parallelisms are not tried.
///
/// The lanes ask and the one writer stores at the same time, so each has a table of its own, in shares of the
/// time of all lanes together, and of the time by the clock. `stagger` in [run] is left out of it, and
/// reckoned with where it is told how long a backfill of everything takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl baseline                     a few symbols, at 1, 3, 5 and 10 in parallel
  mdctl baseline --symbols 50        the first fifty symbols
  mdctl baseline --parallel 1,20     compare these two
  mdctl baseline --json | jq .parallel_that_pays")]
pub(super) struct Baseline {
    /// How many symbols to ask for; else up to 20, as far as the quota lets their requests through at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    symbols: Option<u32>,
    /// Which parallelisms to try, in this order; else 1,3,5,10 and the config's.
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1000))]
    parallel: Vec<u32>,
    /// Which provider to ask, where there are several; else that of the first group.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

/// What every step has in common.
struct Stand<'a> {
    scene: &'a Scene,
    engine: &'a Engine,
    sample: &'a Sample,
    setup: &'a Setup,
    provider: &'a ProviderSettings,
}

pub(super) fn exec(command: &Baseline, global: &Global) -> Done {
    let scene = &Scene::set(global)?;
    let provider = provider(command, &scene.settings)?;
    let sample = sample(command, scene, provider);
    let setup = setup(&scene.settings, provider, &sample);
    let parallel = parallel(command, &setup);
    // From here on a signal ends it in order.
    let engine = Engine::start()
        .map_err(|error| Failure::io("cannot start the threads that fetch", &error))?;
    let database = &scene.settings.database;
    let _lock = lock(database, &engine, Duration::ZERO)?;
    let mut memory = Store::open_write(database)?;
    let stand = Stand { scene, engine: &engine, sample: &sample, setup: &setup, provider };
    let (steps, cut, exit) = match stand.obstacle(&memory)? {
        Some(cut) => (Vec::new(), Some(cut), Exit::Success),
        None => {
            scene.warn_of_exposed();
            stand.announce(&mut memory, &parallel, global.quiet)?;
            stand.steps(&mut memory, &parallel)?
        }
    };
    let baseline = report::judge(setup.clone(), steps, cut);
    print(|out| {
        if scene.json {
            render::baseline::json(out, &baseline, scene.now())
        } else {
            render::baseline::table(out, &baseline, scene.look)
        }
    })?;
    Ok(exit)
}

/// Whom to ask.
fn provider<'a>(
    command: &Baseline,
    settings: &'a Settings,
) -> Result<&'a ProviderSettings, Failure> {
    let name = command.provider.as_deref();
    known("provider", name, settings.providers.keys().map(String::as_str))?;
    let first = || {
        let group = settings.groups.iter().find(|group| !group.members.is_empty());
        group.map(|group| group.provider.as_str())
    };
    name.or_else(first).and_then(|name| settings.providers.get(name)).ok_or_else(|| {
        Failure::usage("no symbol is tracked").hinted("`mdctl symbols add` adds one")
    })
}

/// The parallelisms to try. More lanes than there is to ask are tried for none but who says so.
fn parallel(command: &Baseline, setup: &Setup) -> Vec<u32> {
    if !command.parallel.is_empty() {
        return command.parallel.clone();
    }
    let have_work = |lanes: &u32| u64::from(*lanes) <= setup.planned.max(1);
    let mut parallel: Vec<u32> = PARALLEL.into_iter().filter(have_work).collect();
    parallel.push(setup.configured);
    parallel.sort_unstable();
    parallel.dedup();
    parallel
}

fn sample(command: &Baseline, scene: &Scene, provider: &ProviderSettings) -> Sample {
    let said = command.symbols.map(|symbols| symbols as usize);
    // The config's own parallelism may be one more.
    let usual = PARALLEL.len() + 1;
    let steps = if command.parallel.is_empty() { usual } else { command.parallel.len() };
    let enough = |requests: &[u64]| {
        said.unwrap_or_else(|| report::symbols_by_default(&provider.rates, steps, requests))
    };
    let most = said.unwrap_or(SYMBOLS);
    pipeline::sample(&scene.settings, &provider.name, most, enough, scene.now())
}

fn setup(settings: &Settings, provider: &ProviderSettings, sample: &Sample) -> Setup {
    let is_files = provider.is_files();
    Setup {
        provider: provider.name.clone(),
        is_files,
        rates: if is_files { Vec::new() } else { provider.rates.clone() },
        configured: settings.run.parallel_backfill,
        stagger: settings.run.stagger,
        symbols: sample.symbols,
        tracked: sample.tracked,
        planned: sample.requests,
        // Some are tried again, and some pages turn out to be two.
        most: if is_files { 0 } else { sample.requests * 2 },
        whole: sample.whole,
    }
}

impl Stand<'_> {
    /// What keeps it from asking at all.
    fn obstacle(&self, memory: &Store) -> Result<Option<Cut>, Failure> {
        if let Some(pause) = memory.pause_at(self.scene.wall_now)? {
            return Ok(Some(Cut::Paused(pause.to_string())));
        }
        Ok((self.setup.planned == 0).then_some(Cut::NothingDue))
    }

    /// Says what is about to be asked, and writes it down.
    fn announce(&self, memory: &mut Store, parallel: &[u32], quiet: bool) -> Result<(), Failure> {
        let setup = self.setup;
        let most = setup.most * parallel.len() as u64;
        if !setup.is_files {
            let reason = format!("at most {most} requests");
            let hand = Hand::callers();
            let deed = hand.deed(self.scene.wall_now, "baseline", &setup.provider, &reason);
            memory.write(|tx| tx.audit_add(&deed))?;
        }
        if quiet {
            return Ok(());
        }
        let left = self.scene.quotas(memory)?;
        let left = left.iter().find(|left| left.provider == setup.provider);
        let left = left.map_or(u64::MAX, |left| left.requests);
        let quota = report::quota_time(&setup.rates, left, most);
        render::baseline::announcement(&mut io::stderr().lock(), setup, parallel, quota)?;
        Ok(io::stderr().flush()?)
    }

    /// Makes one step after the other, as long as that tells anything; with what it all ends.
    fn steps(
        &self,
        memory: &mut Store,
        parallel: &[u32],
    ) -> Result<(Vec<Step>, Option<Cut>, Exit), Failure> {
        let (mut steps, mut cut, mut exit) = (Vec::<Step>::new(), None, Exit::Success);
        for lanes in parallel {
            let more = |step: &Step| step.is_quota_bound() && step.parallel <= *lanes;
            if steps.iter().any(more) {
                cut = Some(Cut::QuotaBound);
                continue;
            }
            let (step, ended) = self.step(memory, *lanes)?;
            exit = worse(exit, ended);
            cut = (!step.came_to_its_end()).then_some(Cut::Ended(step.status));
            steps.push(step);
            if cut.is_some() {
                break;
            }
        }
        Ok((steps, cut, exit))
    }

    /// Rehearses with so many lanes, in a database of its own.
    fn step(&self, memory: &mut Store, parallel: u32) -> Result<(Step, Exit), Failure> {
        tracing::info!(parallel, "measuring");
        let scratch = Scratch::beside(&self.scene.settings.database)?;
        let mut store = Store::open_write(&scratch.database())?;
        let teller = Teller::new(&self.sample.settings);
        let mut progress = Progress::new(&self.scene.screen, self.scene.bar);
        let mut tally = Tally::default();
        let (settings, request) = (self.settings(), self.request(parallel));
        let mut at_work = AtWork::default();
        let outcome = pipeline::rehearse(
            &settings,
            self.engine,
            &mut store,
            memory,
            &request,
            &mut |event| {
                tally.take(&event);
                at_work.take(&event);
                progress.take(&event);
                if is_trouble(&event) {
                    teller.tell(&event);
                }
            },
        );
        let outcome = outcome.map_err(|error| {
            let mut failure = Failure::from(error);
            failure.exit = self.engine.stopped().map_or(failure.exit, Exit::Stopped);
            failure
        })?;
        let (status, times) = (outcome.status, outcome.times);
        let wall = at_work.time();
        let made = Rehearsal { parallel, wall, status, tally, times };
        Ok((Step::of(self.setup, &made), outcome.exit))
    }

    /// The sample's settings. What an exit code stands for elsewhere is no matter here, and the pause between
    /// starts is reckoned with later.
    fn settings(&self) -> Settings {
        let mut settings = self.sample.settings.clone();
        settings.run.treat_as = TreatAs::default();
        settings.run.stagger = Duration::ZERO;
        settings
    }

    fn request(&self, parallel: u32) -> Request {
        let setup = self.setup;
        let patience = report::quota_time(&self.provider.rates, 0, setup.most) + PATIENCE;
        Request {
            run_id: new_run_id(&mut Chance::new()),
            command: "backfill",
            trigger: trigger(None),
            host: deed::host(),
            selection: Selection::default(),
            options: Options::default(),
            parallel,
            job_retries: JobRetries::NONE,
            max_requests: (!setup.is_files).then_some(setup.most),
            time: patience.min(self.scene.settings.run.deadline),
            force: None,
            as_of: self.scene.as_of,
            no_features: false,
            import: None,
        }
    }
}

/// From the plan to the last symbol's end: what a run does once, however much it asks for, is no part of it.
#[derive(Default)]
struct AtWork {
    planned: Option<Instant>,
    last: Option<Instant>,
}

impl AtWork {
    fn take(&mut self, event: &Event) {
        let now = Instant::now();
        match event {
            Event::Planned { .. } => self.planned = Some(now),
            Event::Finished { .. } => return,
            _ => {}
        }
        self.last = Some(now);
    }

    fn time(&self) -> Duration {
        self.planned.zip(self.last).map_or(Duration::ZERO, |(from, to)| to - from)
    }
}

/// What is worth a line.
const fn is_trouble(event: &Event) -> bool {
    matches!(
        event,
        Event::AttemptFailed { .. }
            | Event::Failed(_)
            | Event::Narrowed { .. }
            | Event::Ending { .. }
            | Event::LogGrown { .. }
    )
}

/// Of two ends the one that counts.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Success => 0,
        Exit::Deferred => 1,
        Exit::Partial => 2,
        Exit::Failed => 3,
        _ => 4,
    };
    if rank(other) > rank(one) { other } else { one }
}
