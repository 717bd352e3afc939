//! The straight line of one run: plan, fetch, validate, store, account.
//!
//! Plain synchronous code and the single writer. Fetching hands over one message at a time, its rows judged; what is
//! ready is written in one transaction, a page's bars, watermark, coverage, gaps and log row together,
//! and what the providers' quotas and breakers must remember; only then do the events go out. So after
//! a kill at any moment the store tells the truth, and whatever it tells is not fetched again.

use std::collections::BTreeSet;
use std::mem;
use std::time::{Duration, Instant};

use crate::both::both;
use crate::clock::Timeline;
use crate::config::{Group, JobRetries, Settings};
use crate::domain::control::{Deed, Pause};
use crate::domain::event::Event;
use crate::domain::provider_state::micros;
use crate::domain::quick::QuickMap;
use crate::domain::range::RangeSet;
use crate::domain::run::{JobStatus, RunId, RunStatus, Totals, WriterTimes};
use crate::domain::series::Symbol;
use crate::domain::series_facts::SeriesFacts;
use crate::domain::task::Job;
use crate::domain::words::instant;
use crate::fetch::{Engine, Fetching, Note};
use crate::plan::{self, Plan, Want};
use crate::store::{NewRun, Store, StoreResult, Tracked, Writer};
use crate::{clock, exit};

mod account;
mod actions;
mod ask;
mod compute;
mod conclude;
mod derived;
mod desk;
mod import;
mod inquiry;
mod inspect;
mod line;
mod lines;
mod message;
mod page;
mod preview;
mod record;
mod restate;
mod retain;
mod sample;
mod want;

pub use actions::{Decision, decide};
pub use ask::{providers, requests};
pub use import::{Import, ImportFile, Terms};
pub use preview::preview;
pub use retain::prune_bars;
pub use sample::{Sample, sample};
pub use want::{Holdings, Selection};

use ask::Asking;
use record::Record;

/// Messages written in one transaction, at most: enough that small pages do not pay for a commit each.
const BATCH_MESSAGES: usize = 1_024;

/// Rows after which a transaction ends.
const BATCH_ROWS: usize = 20_000;

/// Symbols for which nothing was asked that one transaction brings to their end.
const IDLE_SYMBOLS: usize = 256;

/// What a call asks of a run.
#[derive(Clone, Debug)]
pub struct Request {
    /// The run's id.
    pub run_id: RunId,
    /// `backfill`, `enrich` or `import`.
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
    /// How failed jobs are tried again at the end.
    pub job_retries: JobRetries,
    /// How many requests may be sent; `None` when that is not limited.
    pub max_requests: Option<u64>,
    /// How long it may take.
    pub time: Duration,
    /// Who goes past a pause or an open breaker, and why; `None` when nobody does.
    pub force: Option<Force>,
    /// The instant that everything is judged at, if it is not now.
    pub as_of: Option<i64>,
    /// Whether features are left for another run.
    pub no_features: bool,
    /// The files to read in place of asking providers; `None` when these are asked.
    pub import: Option<Import>,
}

/// An operator's order to ask despite a pause or an open breaker.
#[derive(Clone, Debug)]
pub struct Force {
    /// Who gave it.
    pub who: String,
    /// Why.
    pub reason: String,
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
    /// Where its writer's time went.
    pub times: WriterTimes,
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
    planned(settings, store, request, &holdings, request.as_of.unwrap_or(now))
}

/// The plan of a request, and what it had to leave out, a sentence each.
fn planned(
    settings: &Settings,
    store: Option<&Store>,
    request: &Request,
    holdings: &Holdings,
    now: i64,
) -> StoreResult<(Plan, Vec<String>)> {
    if let Some(import) = &request.import {
        return Ok((import.plan(settings, store, holdings, now)?, Vec::new()));
    }
    let (inquiries, (wants, notes)) = both(
        || want::inquiries(settings, &request.selection, holdings),
        || wanted(settings, request, holdings, now),
    );
    Ok((plan::make(&wants, &inquiries, &request.options, now), notes))
}

/// The wants of a request, and what had to be left out, a sentence each.
fn wanted(
    settings: &Settings,
    request: &Request,
    holdings: &Holdings,
    now: i64,
) -> (Vec<Want>, Vec<String>) {
    let (wants, mut notes) = want::wants(settings, &request.selection, holdings, now);
    if settings.members().next().is_none() {
        notes.push("the config tracks no symbol".to_owned());
    }
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
            if settings.retention.bars_from(timeframe, now) == Some(want.limit) {
                return format!(
                    "--from is cut to {limit} for {timeframe}: [database] retention keeps no older bars"
                );
            }
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
        checked: store.checked_all()?,
        refused: refused(store)?,
    })
}

/// What providers refuse at this moment to be asked for at once.
fn refused(store: &Store) -> StoreResult<BTreeSet<(String, String)>> {
    let now = clock::now();
    let states = store.provider_states()?;
    let refused = states.iter().flat_map(|(provider, (state, _))| {
        let lasting = state.refused.keys().filter(move |what| state.refuses(what, now));
        lasting.map(|what| (provider.clone(), what.clone()))
    });
    Ok(refused.collect())
}

/// What the config wants of every series that is asked for, beside what the store holds. That is lent: there are
/// tens of thousands of them, and to copy them takes longer than to look at them.
#[must_use]
pub fn wants_of(
    settings: &Settings,
    series: &mut SeriesFacts,
    coverage: &mut QuickMap<i64, RangeSet>,
    now: i64,
) -> Vec<Want> {
    let (lent, covered) = (mem::take(series), mem::take(coverage));
    let holdings = Holdings { series: lent, coverage: covered, ..Holdings::default() };
    let (wants, _) = want::wants(settings, &Selection::default(), &holdings, now);
    (*series, *coverage) = (holdings.series, holdings.coverage);
    wants
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
    engine: &Engine,
    store: &mut Store,
    request: &Request,
    sink: &mut dyn FnMut(Event),
) -> anyhow::Result<Outcome> {
    run_remembering(settings, engine, store, None, request, sink)
}

/// Makes one run in a database that is thrown away; what is to be remembered of providers is read from
/// `memory`, and written there before anything is sent.
///
/// The caller holds the lock of `memory`.
///
/// # Errors
///
/// When the run cannot go on: a database fails, or threads cannot be had.
pub fn rehearse(
    settings: &Settings,
    engine: &Engine,
    store: &mut Store,
    memory: &mut Store,
    request: &Request,
    sink: &mut dyn FnMut(Event),
) -> anyhow::Result<Outcome> {
    run_remembering(settings, engine, store, Some(memory), request, sink)
}

/// Makes one run; `memory` is where providers are remembered, if not in `store` itself.
fn run_remembering(
    settings: &Settings,
    engine: &Engine,
    store: &mut Store,
    memory: Option<&mut Store>,
    request: &Request,
    sink: &mut dyn FnMut(Event),
) -> anyhow::Result<Outcome> {
    let timeline = Timeline::begin();
    let started_at = clock::now();
    let mut record = Record {
        settings,
        run_id: &request.run_id,
        totals: Totals::default(),
        times: WriterTimes::default(),
        memory,
    };
    if let Some(pause) = open(settings, store, request, started_at)? {
        let words = format!("paused {pause}");
        return record.close(store, RunStatus::Skipped, exit::Exit::Success, Some(&words), sink);
    }
    if let Err(error) = work(engine, store, request, timeline, &mut record, sink) {
        let words = format!("{error:#}");
        let stopped = engine.stopped().map(exit::Exit::Stopped);
        let exit = stopped.unwrap_or_else(|| exit::Exit::of_error(&error));
        // The database may be what failed; then the next run finds this one crashed.
        let waited = record.totals.quota_wait_seconds;
        let _ = store
            .write(|tx| tx.run_abort(record.run_id, clock::now(), exit.code(), &words, waited));
        return Err(error);
    }
    if let Some(signal) = engine.stopped() {
        let words = format!("stopped by {}", signal.as_str());
        let exit = exit::Exit::Stopped(signal);
        return record.close(store, RunStatus::Interrupted, exit, Some(&words), sink);
    }
    let status = record.totals.status();
    let exit = exit::Exit::of_run(status, settings.run.treat_as);
    record.close(store, status, exit, None, sink)
}

/// Settles what an earlier run left behind, brings the tracked symbols up to date, opens the run's row;
/// tells which pause keeps it from working. Who goes past one is written down.
fn open(
    settings: &Settings,
    store: &mut Store,
    request: &Request,
    started_at: i64,
) -> StoreResult<Option<Pause>> {
    let market = |group: &Group| {
        let layout = settings.provider_of(group).layout(group.asset_class);
        group.calendar.fingerprint(layout)
    };
    let markets: Vec<String> = settings.groups.iter().map(market).collect();
    let members = settings.groups.iter().zip(&markets).flat_map(|(group, market)| {
        group.members.iter().map(move |member| (group, market, member))
    });
    let tracked: Vec<Tracked<'_>> = members
        .map(|(group, market, member)| Tracked {
            symbol: &member.symbol,
            asset_class: group.asset_class.as_str(),
            provider: &group.provider,
            calendar: group.calendar.name(),
            group: &group.name,
            market,
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
        })?;
        let Some(force) = &request.force else { return tx.pause_at(started_at) };
        tx.audit_add(&Deed {
            at: started_at,
            who: &force.who,
            host: &request.host,
            action: "force",
            subject: request.command,
            reason: &force.reason,
            run_id: Some(&request.run_id),
        })?;
        Ok(None)
    })
}

/// Plans, fetches, stores and accounts.
fn work(
    engine: &Engine,
    store: &mut Store,
    request: &Request,
    timeline: Timeline,
    record: &mut Record<'_>,
    sink: &mut dyn FnMut(Event),
) -> anyhow::Result<()> {
    let (settings, run_id) = (record.settings, record.run_id);
    let now = request.as_of.unwrap_or_else(clock::now);
    let holdings = holdings(store)?;
    let (plan, notes) = planned(settings, Some(store), request, &holdings, now)?;
    let ends_at = timeline.began_at().saturating_add(micros(request.time));
    let is_over = || engine.stopped().is_some() || timeline.now() >= ends_at;
    let asking = Asking::of(engine, settings, request, &timeline);
    let requests = requests(&plan, &asking.providers);
    let Plan { jobs, idle, resting } = plan;
    let lines = desk::JobLine::of(&jobs);
    // What it brings waits until the jobs' rows are there.
    let mut fetching = asking.begin(jobs, record.memory.as_deref().unwrap_or(store), 0)?;
    store.write(|tx| jobs_open(tx, run_id, lines.keys(), &idle, &resting))?;
    sink(Event::Planned { run: run_id.clone(), jobs: lines.len() as u64, requests, notes });
    let no_features = request.no_features;
    let mut desk = desk::Desk::new(settings, holdings, run_id.clone(), now, lines, no_features);
    desk.terms = request.import.as_ref().map(|import| import.terms);
    desk.memory = record.memory.take();
    (desk.idle, desk.resting) = (idle.len() as u64, resting.len() as u64);
    while let Some(mut at_work) = fetching {
        let stored = store_all(engine, &is_over, store, &mut desk, &mut at_work, sink);
        record.note(&desk);
        stored?;
        drop(at_work);
        let jobs = if engine.stopped().is_some() {
            Vec::new()
        } else {
            ask_anew(settings, store, &mut desk, now, sink)?
        };
        let used = desk.totals().requests;
        fetching = asking.begin(jobs, desk.memory.as_deref().unwrap_or(store), used)?;
    }
    let quiet: Vec<Symbol> =
        idle.into_iter().chain(resting.into_iter().map(|(symbol, _)| symbol)).collect();
    for some in quiet.chunks(IDLE_SYMBOLS).take_while(|_| engine.stopped().is_none()) {
        write(store, &mut desk, |desk, tx| desk.derive_idle(tx, some))?;
    }
    conclude(&is_over, store, &mut desk, sink)?;
    record.note(&desk);
    // What was fetched is moved out of the log while the books are kept.
    store.log_hasten()?;
    let held = desk.series.into_holdings();
    store.write(|tx| {
        let worst_lag = account::account(tx, settings, held, request.selection.shard, now)?;
        tx.run_lag_set(run_id, worst_lag.filter(|_| request.as_of.is_none()))
    })?;
    Ok(())
}

/// The jobs that ask for all of the series that turned out to be restated, in the same run.
fn ask_anew(
    settings: &Settings,
    store: &mut Store,
    desk: &mut desk::Desk<'_>,
    now: i64,
    sink: &mut dyn FnMut(Event),
) -> StoreResult<Vec<Job>> {
    let restated = std::mem::take(&mut desk.restated);
    if restated.is_empty() {
        return Ok(Vec::new());
    }
    let mut left: BTreeSet<Symbol> = restated.iter().map(|key| key.symbol.clone()).collect();
    let selection = Selection { symbols: left.clone(), ..Selection::default() };
    let (mut wants, _) = want::wants(settings, &selection, &holdings(store)?, now);
    wants.retain(|want| restated.contains(&want.key));
    let jobs = plan::make(&wants, &[], &plan::Options::default(), now).jobs;
    left.retain(|symbol| !jobs.iter().any(|job| job.symbol == *symbol));
    // Of the others the provider has nothing more than what was read.
    for symbol in left {
        let events = write(store, desk, |desk, tx| desk.job_done(tx, symbol, 0))?;
        events.into_iter().for_each(&mut *sink);
    }
    Ok(jobs)
}

/// Works at the desk in one transaction.
fn write<'a, T>(
    store: &mut Store,
    desk: &mut desk::Desk<'a>,
    work: impl FnOnce(&mut desk::Desk<'a>, &Writer<'_>) -> StoreResult<T>,
) -> StoreResult<T> {
    store.write(|tx| {
        let done = work(desk, tx)?;
        desk.save(tx)?;
        Ok(done)
    })
}

/// Writes what fetching brings, as long as it brings something.
fn store_all(
    engine: &Engine,
    is_over: &dyn Fn() -> bool,
    store: &mut Store,
    desk: &mut desk::Desk<'_>,
    fetching: &mut Fetching,
    sink: &mut dyn FnMut(Event),
) -> anyhow::Result<()> {
    while let Some(first) = desk.wait_for(fetching) {
        let (events, notes) = write(store, desk, |desk, tx| {
            let mut rows = first.rows();
            let mut events = desk.take(tx, first)?;
            for _ in 1..BATCH_MESSAGES {
                let Some(message) = (rows < BATCH_ROWS).then(|| fetching.ready()).flatten() else {
                    break;
                };
                rows += message.rows();
                events.extend(desk.take(tx, message)?);
            }
            if !is_over() {
                desk.conclude(tx, BATCH_ROWS.saturating_sub(rows))?;
            }
            events.append(&mut desk.said);
            let notes = fetching.notes();
            keep(tx, desk, fetching, &notes)?;
            Ok((events, notes))
        })?;
        fetching.noted(&notes);
        if let Some(bytes) = store.log_grown() {
            sink(Event::LogGrown { bytes });
        }
        events.into_iter().for_each(&mut *sink);
        conclude(is_over, store, desk, sink)?;
        if let Some(exhausted) = desk.exhausted.take() {
            return Err(exhausted.into());
        }
    }
    let stopped = engine.stopped().is_some();
    let events = write(store, desk, |desk, tx| {
        keep(tx, desk, fetching, &fetching.last_notes())?;
        // Whom a signal kept from ending did not break down.
        if stopped { Ok(Vec::new()) } else { desk.finish(tx) }
    })?;
    events.into_iter().for_each(sink);
    Ok(())
}

/// Makes what follows from the bars of symbols that came to their end, unless the run is over: then the
/// next one does.
fn conclude(
    is_over: &dyn Fn() -> bool,
    store: &mut Store,
    desk: &mut desk::Desk<'_>,
    sink: &mut dyn FnMut(Event),
) -> StoreResult<()> {
    while desk.has_to_conclude() && !is_over() {
        let began = Instant::now();
        write(store, desk, |desk, tx| desk.conclude(tx, BATCH_ROWS))?;
        // All bars are committed by now, and none is written before this ends: those of a long series can
        // be read while its features are written.
        if desk.ahead.is_none() && !desk.computed.is_empty() {
            desk.ahead = store.ahead();
        }
        desk.times.concluding += began.elapsed();
        std::mem::take(&mut desk.said).into_iter().for_each(&mut *sink);
    }
    desk.ahead = None;
    Ok(())
}

/// Writes down what is to be remembered of providers: with all else, or where the desk says.
fn keep(
    tx: &Writer<'_>,
    desk: &mut desk::Desk<'_>,
    fetching: &Fetching,
    notes: &[Note],
) -> StoreResult<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let stamp = fetching.stamp();
    let set = |tx: &Writer<'_>| {
        notes.iter().try_for_each(|note| tx.provider_state_set(&note.provider, &note.state, &stamp))
    };
    match &mut desk.memory {
        Some(memory) => memory.write(set),
        None => set(tx),
    }
}

/// Opens the rows of the jobs of `symbols`, and of those for whom nothing is due or who are left alone.
fn jobs_open<'a>(
    tx: &Writer<'_>,
    run_id: &RunId,
    symbols: impl Iterator<Item = &'a Symbol>,
    idle: &'a [Symbol],
    resting: &'a [(Symbol, String)],
) -> StoreResult<()> {
    let pending = symbols.map(|symbol| (symbol, JobStatus::Pending, None));
    let idle = idle.iter().map(|symbol| (symbol, JobStatus::Completed, None));
    let resting = resting.iter();
    let resting = resting.map(|(symbol, why)| (symbol, JobStatus::Skipped, Some(why.as_str())));
    tx.jobs_open(run_id, clock::now(), pending.chain(idle).chain(resting))
}
