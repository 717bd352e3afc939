//! The straight line of one run: plan, fetch, validate, store, account.
//!
//! Plain synchronous code and the single writer. Fetching hands over one message at a time; what is
//! ready is written in one transaction, a page's bars, watermark, coverage, gaps and log row together;
//! only then do the events go out. So after a kill at any moment the store tells the truth, and
//! whatever it tells is not fetched again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context as _;

use crate::config::{ProviderSettings, Settings};
use crate::domain::event::Event;
use crate::domain::fact::SeriesFact;
use crate::domain::range::RangeSet;
use crate::domain::run::{JobStatus, RunId, RunStatus, Totals};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::words::instant;
use crate::fetch::{self, Fetching};
use crate::plan::{self, Plan, Want};
use crate::store::{NewRun, Store, StoreError, StoreResult, Tracked};
use crate::{clock, exit};

mod account;
mod derived;
mod desk;
mod line;
mod page;
mod want;

pub use want::{Holdings, Selection};

/// Messages written in one transaction, at most: enough that small pages do not pay for a commit each.
const BATCH_MESSAGES: usize = 1_024;

/// Rows after which a transaction ends.
const BATCH_ROWS: usize = 20_000;

/// What a call asks of a run.
#[derive(Clone, Debug)]
pub struct Request {
    /// The run's id.
    pub run_id: RunId,
    /// `backfill` or `enrich`.
    pub command: &'static str,
    /// Who called it.
    pub trigger: String,
    /// The machine's name.
    pub host: String,
    /// Which series.
    pub selection: Selection,
    /// What of them.
    pub options: plan::Options,
    /// Symbols in flight.
    pub parallel: u32,
    /// The instant that everything is judged at, if it is not now.
    pub as_of: Option<i64>,
}

/// How a run ended: the record that exit code, history row, JSON and log lines all read.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The run.
    pub run_id: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// What it did.
    pub totals: Totals,
    /// Its exit code.
    pub exit: exit::Exit,
}

/// The plan of a request, made without writing anything; `store` is `None` where there is none yet.
///
/// # Errors
///
/// When the database cannot be read.
pub fn plan(
    settings: &Settings,
    store: Option<&Store>,
    request: &Request,
    now: i64,
) -> StoreResult<(Plan, Vec<String>)> {
    let holdings = store.map(holdings).transpose()?.unwrap_or_default();
    let judged_at = request.as_of.unwrap_or(now);
    let (wants, notes) = wanted(settings, request, &holdings, judged_at);
    Ok((plan::make(&wants, &request.options, judged_at), notes))
}

/// The wants of a request, and what had to be left out, a sentence each.
fn wanted(
    settings: &Settings,
    request: &Request,
    holdings: &Holdings,
    now: i64,
) -> (Vec<Want>, Vec<String>) {
    let (wants, mut notes) = want::wants(settings, &request.selection, holdings, now);
    let cut = |want: &&Want| {
        let from = request.options.from.map(|from| from.start(&want.due, want.key.timeframe));
        from.is_some_and(|from| from < want.limit)
    };
    let cuts: BTreeSet<String> = wants
        .iter()
        .filter(cut)
        .map(|want| {
            let (provider, timeframe) = (&want.provider, want.key.timeframe);
            let limit = instant(want.limit);
            format!("--from is cut to {limit} for {timeframe}, where {provider}'s history begins")
        })
        .collect();
    notes.extend(cuts);
    (wants, notes)
}

fn holdings(store: &Store) -> StoreResult<Holdings> {
    Ok(Holdings {
        series: store.series_all()?,
        coverage: store.coverage_all()?,
        gaps: store.gaps_all()?,
    })
}

/// What the config wants of every series that is asked for, beside what the store holds.
#[must_use]
pub fn wants_of(
    settings: &Settings,
    series: &BTreeMap<SeriesKey, SeriesFact>,
    coverage: &HashMap<i64, RangeSet>,
    now: i64,
) -> Vec<Want> {
    let holdings =
        Holdings { series: series.clone(), coverage: coverage.clone(), gaps: Vec::new() };
    want::wants(settings, &Selection::default(), &holdings, now).0
}

/// Makes one run and records what it did. `sink` hears every event once it is written down.
///
/// The caller holds the database's lock.
///
/// # Errors
///
/// When the run cannot go on: the database fails, or threads cannot be had. What was committed stays.
pub fn run(
    settings: &Settings,
    store: &mut Store,
    request: &Request,
    sink: &mut dyn FnMut(Event),
) -> anyhow::Result<Outcome> {
    let started_at = clock::now();
    let run_id = &request.run_id;
    open(settings, store, request, started_at)?;
    let mut totals = Totals::default();
    match work(settings, store, request, &mut totals, sink) {
        Ok(()) => close(settings, store, run_id, totals, sink),
        Err(error) => {
            let words = format!("{error:#}");
            // The database may be what failed; then the next run finds this one crashed.
            let _ = store.write(|tx| {
                let code = exit::Exit::of_error(&error).code();
                tx.run_close(run_id, clock::now(), RunStatus::Failed, &totals, code, Some(&words))
            });
            Err(error)
        }
    }
}

/// Settles what an earlier run left behind, brings the tracked symbols up to date, opens the run's row.
fn open(
    settings: &Settings,
    store: &mut Store,
    request: &Request,
    started_at: i64,
) -> StoreResult<()> {
    let tracked: Vec<Tracked<'_>> = settings
        .members()
        .map(|(group, member)| Tracked {
            symbol: &member.symbol,
            asset_class: group.asset_class.as_str(),
            provider: &group.provider,
            calendar: group.calendar.name(),
            group: &group.name,
            timeframes: &group.timeframe_list,
        })
        .collect();
    store.write(|tx| {
        tx.runs_reconcile()?;
        tx.coverage_reopen()?;
        tx.symbols_sync(&tracked, started_at)?;
        tx.run_open(&NewRun {
            run_id: &request.run_id,
            command: request.command,
            trigger: &request.trigger,
            started_at,
            host: &request.host,
        })
    })
}

/// Plans, fetches, stores and accounts.
fn work(
    settings: &Settings,
    store: &mut Store,
    request: &Request,
    totals: &mut Totals,
    sink: &mut dyn FnMut(Event),
) -> anyhow::Result<()> {
    let run_id = &request.run_id;
    let now = request.as_of.unwrap_or_else(clock::now);
    let holdings = holdings(store)?;
    let (wants, notes) = wanted(settings, request, &holdings, now);
    let plan = plan::make(&wants, &request.options, now);
    drop(wants);
    store.write(|tx| jobs_open(tx, run_id, &plan))?;
    sink(Event::Planned {
        run: run_id.clone(),
        jobs: plan.jobs.len() as u64,
        requests: requests(&plan, &settings.providers),
        notes,
    });
    let mut desk = desk::Desk::new(settings, holdings, run_id.clone(), now, &plan);
    let idle_symbols = plan.idle;
    if !plan.jobs.is_empty() {
        let options = fetch::Options {
            parallel: request.parallel,
            stagger: settings.run.stagger,
            as_of: request.as_of,
            zones: zones(settings),
        };
        let mut fetching = fetch::start(plan.jobs, &settings.providers, options)
            .context("cannot start the threads that fetch")?;
        let stored = store_all(store, &mut desk, &mut fetching, sink);
        *totals = desk.totals(idle_symbols.len() as u64);
        stored?;
    }
    store.write(|tx| desk.derive_idle(tx, &idle_symbols))?;
    *totals = desk.totals(idle_symbols.len() as u64);
    store.write(|tx| account::account(tx, settings, now))?;
    Ok(())
}

/// Writes what fetching brings, as long as it brings something.
fn store_all(
    store: &mut Store,
    desk: &mut desk::Desk<'_>,
    fetching: &mut Fetching,
    sink: &mut dyn FnMut(Event),
) -> StoreResult<()> {
    while let Some(first) = fetching.wait() {
        let events = store.write(|tx| {
            let mut rows = first.rows();
            let mut events = desk.take(tx, first)?;
            for _ in 1..BATCH_MESSAGES {
                let Some(message) = (rows < BATCH_ROWS).then(|| fetching.ready()).flatten() else {
                    break;
                };
                rows += message.rows();
                events.extend(desk.take(tx, message)?);
            }
            Ok::<_, StoreError>(events)
        })?;
        events.into_iter().for_each(&mut *sink);
    }
    store.write(|tx| desk.finish(tx))?.into_iter().for_each(sink);
    Ok(())
}

fn jobs_open(tx: &crate::store::Writer<'_>, run_id: &RunId, plan: &Plan) -> StoreResult<()> {
    let pending = plan.jobs.iter().map(|job| (&job.symbol, JobStatus::Pending));
    let idle = plan.idle.iter().map(|symbol| (symbol, JobStatus::Completed));
    tx.jobs_open(run_id, clock::now(), pending.chain(idle))
}

/// First pages that are requests; files are none.
#[must_use]
pub fn requests(plan: &Plan, providers: &BTreeMap<String, ProviderSettings>) -> u64 {
    let tasks = plan.jobs.iter().flat_map(|job| &job.tasks);
    tasks.filter(|task| !providers[&task.provider].is_files()).count() as u64
}

fn zones(settings: &Settings) -> BTreeMap<Symbol, chrono_tz::Tz> {
    settings
        .members()
        .map(|(group, member)| (member.symbol.clone(), group.calendar.zone()))
        .collect()
}

/// Closes the run's row with its outcome.
fn close(
    settings: &Settings,
    store: &mut Store,
    run_id: &RunId,
    totals: Totals,
    sink: &mut dyn FnMut(Event),
) -> anyhow::Result<Outcome> {
    let status = totals.status();
    let exit = exit::Exit::of_run(status, settings.run.treat_as);
    store.write(|tx| tx.run_close(run_id, clock::now(), status, &totals, exit.code(), None))?;
    // The run is on record; a log that cannot be emptied now is emptied by the next one.
    let _ = store.checkpoint();
    sink(Event::Finished { totals });
    Ok(Outcome { run_id: run_id.clone(), status, totals, exit })
}
