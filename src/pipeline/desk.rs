//! The writer's desk: turns what fetching says into stored facts and events, and keeps count.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::calendar::due::Due;
use crate::clock;
use crate::config::{Group, Member, Settings};
use crate::domain::event::Event;
use crate::domain::run::{
    Attempt, ErrorKind, Failure, JobOutcome, JobStatus, PageCounts, RunId, Stage, Totals,
    WriterTimes,
};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::task::{About, Job};
use crate::domain::timeframe::Timeframe;
use crate::feature::engine::Engine;
use crate::fetch::{Exhausted, Fetching, Message};
use crate::plan::rest;
use crate::store::{Ahead, Put, Store, StoreResult, Writer};

use super::compute::Computing;
use super::import::Terms;
use super::inquiry::Answers;
use super::line::Line;
use super::lines::Lines;
use super::want::Holdings;

/// What a run knows while it works.
pub(super) struct Desk<'a> {
    pub(super) settings: &'a Settings,
    pub(super) run_id: RunId,
    /// The instant that everything is judged at.
    pub(super) now: i64,
    /// Where each symbol stands in the config.
    members: HashMap<Symbol, (usize, usize)>,
    pub(super) series: Lines,
    pub(super) jobs: BTreeMap<Symbol, JobLine>,
    /// Jobs whose rows do not say yet that they are at work.
    pub(super) started: BTreeSet<Symbol>,
    pub(super) totals: Totals,
    /// Jobs that ask for nothing: those for which nothing is due, and those that are left alone.
    pub(super) idle: u64,
    pub(super) resting: u64,
    /// The rows of the log that tell of requests for whole markets, by their number.
    pub(super) answered: HashMap<u64, Logged>,
    /// How long some request or other has waited for a quota.
    pub(super) quota_wait: Duration,
    /// Until when one does, microseconds on the run's timeline.
    pub(super) quota_waits_until: i64,
    /// Series of which some is left for the next run.
    pub(super) deferred: BTreeSet<SeriesKey>,
    /// What went wrong last with each series that failed.
    pub(super) failed: BTreeMap<SeriesKey, (ErrorKind, String)>,
    /// Series of which all is to be asked for again, for the provider has restated them.
    pub(super) restated: BTreeSet<SeriesKey>,
    /// On what terms bars are imported; `None` where providers are asked.
    pub(super) terms: Option<Terms>,
    /// Whether features wait for another run.
    pub(super) no_features: bool,
    /// What computes features, of one series after the other.
    pub(super) engine: Engine,
    /// Series whose features are being computed.
    pub(super) computed: BTreeMap<SeriesKey, Computing>,
    /// Who reads the bars that they need next; `None` while such may still be written.
    pub(super) ahead: Option<Ahead>,
    /// Series whose features could not be computed in this run.
    pub(super) uncomputed: BTreeSet<SeriesKey>,
    /// What is to be said once it is committed.
    pub(super) said: Vec<Event>,
    /// Symbols whose bars are stored, and from whose bars something follows.
    pub(super) to_conclude: VecDeque<Symbol>,
    /// What this machine lacks to go on; `None` while it lacks nothing.
    pub(super) exhausted: Option<Exhausted>,
    /// Where providers are remembered; `None` where that is the run's own database.
    pub(super) memory: Option<&'a mut Store>,
    /// Where the time at this desk went.
    pub(super) times: WriterTimes,
}

/// The row of the log that tells of a request for a whole market.
#[derive(Clone, Copy)]
pub(super) struct Logged {
    pub(super) row: i64,
    /// Whether anybody's part of the answer was usable; `None` while nobody has looked at his.
    pub(super) is_usable: Option<bool>,
}

/// A job in this run.
#[derive(Default)]
pub(super) struct JobLine {
    ended: bool,
    /// When its first request was about to be made.
    pub(super) started_at: Option<i64>,
    inserted: u64,
    updated: u64,
    asked: BTreeSet<Timeframe>,
    /// What else is asked of its symbol, and what came of it.
    pub(super) answers: Answers,
    error: Option<String>,
    /// Why some of it is left for the next run.
    pub(super) deferred: Option<String>,
    /// Whether it failed so far, and has not begun anew.
    pub(super) to_retry: bool,
    /// Tries after the first, of requests and of itself.
    retries: u32,
}

impl JobLine {
    /// Those of a plan, before anything came of them.
    pub(super) fn of(jobs: &[Job]) -> BTreeMap<Symbol, Self> {
        let lines = jobs.iter().map(|job| {
            let bars = job.tasks.iter().filter(|task| task.about == About::Bars);
            let asked = bars.map(|task| task.key.timeframe).collect();
            let answers = Answers::to(&job.tasks);
            (job.symbol.clone(), Self { asked, answers, ..Self::default() })
        });
        lines.collect()
    }

    /// Whether it brought a new bar.
    pub(super) const fn brought(&self) -> bool {
        self.inserted > 0
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        mut holdings: Holdings,
        run_id: RunId,
        now: i64,
        jobs: BTreeMap<Symbol, JobLine>,
        no_features: bool,
    ) -> Self {
        let series = holdings.series.into_iter().map(|fact| {
            let coverage = holdings.coverage.remove(&fact.series_id).unwrap_or_default();
            let gaps = holdings.gaps.remove(&fact.series_id).unwrap_or_default();
            (fact.key.clone(), Line::new(fact, coverage, gaps))
        });
        let mut members = HashMap::new();
        for (group_index, group) in settings.groups.iter().enumerate() {
            for (index, member) in group.members.iter().enumerate() {
                members.insert(member.symbol.clone(), (group_index, index));
            }
        }
        Self {
            settings,
            run_id,
            now,
            members,
            series: Lines::new(series),
            jobs,
            started: BTreeSet::new(),
            totals: Totals::default(),
            idle: 0,
            resting: 0,
            answered: HashMap::new(),
            quota_wait: Duration::ZERO,
            quota_waits_until: i64::MIN,
            deferred: BTreeSet::new(),
            failed: BTreeMap::new(),
            restated: BTreeSet::new(),
            terms: None,
            no_features,
            engine: Engine::new(None),
            computed: BTreeMap::new(),
            ahead: None,
            uncomputed: BTreeSet::new(),
            said: Vec::new(),
            to_conclude: VecDeque::new(),
            exhausted: None,
            memory: None,
            times: WriterTimes::default(),
        }
    }

    /// The next message, waited for as long as it takes.
    pub(super) fn wait_for(&mut self, fetching: &mut Fetching) -> Option<Message> {
        let began = Instant::now();
        let message = fetching.wait();
        if message.is_some() {
            fetching.gather();
        }
        self.times.waiting += began.elapsed();
        message
    }

    /// What all jobs came to so far; those that are open are skipped.
    pub(super) fn totals(&self) -> Totals {
        let open = self.jobs.values().filter(|job| !job.ended).count() as u64;
        Totals {
            symbols_total: self.jobs.len() as u64 + self.idle + self.resting,
            successful: self.totals.successful + self.idle,
            skipped: open + self.resting,
            quota_wait_seconds: self.quota_wait.as_secs(),
            ..self.totals
        }
    }

    /// Writes what series and jobs have come to: at the end of every transaction.
    pub(super) fn save(&mut self, tx: &Writer<'_>) -> StoreResult<()> {
        while let Some(symbol) = self.started.pop_first() {
            let started_at = self.started_at(&symbol);
            tx.job_start(&self.run_id, &symbol, started_at)?;
        }
        self.series.save(tx)
    }

    /// When a job's first request was about to be made: now its row is going to say it.
    pub(super) fn started_at(&mut self, symbol: &Symbol) -> Option<i64> {
        self.started.remove(symbol);
        self.jobs.get(symbol).and_then(|job| job.started_at)
    }

    /// Closes as failed what ended without a word: a worker that broke down is no success.
    pub(super) fn finish(&mut self, tx: &Writer<'_>) -> StoreResult<Vec<Event>> {
        let open = self.jobs.iter().filter(|(symbol, job)| !job.ended && !self.goes_on(symbol));
        let lacking = |job: &JobLine| -> Vec<(Timeframe, About)> {
            let bars = job.asked.iter().map(|timeframe| (*timeframe, About::Bars));
            bars.chain(job.answers.open().map(|about| (Timeframe::D1, about))).collect()
        };
        let open: Vec<_> = open.map(|(symbol, job)| (symbol.clone(), lacking(job))).collect();
        let mut events = Vec::new();
        for (symbol, asked) in open {
            for (timeframe, about) in asked {
                let failure = Failure {
                    series: SeriesKey { symbol: symbol.clone(), timeframe },
                    about,
                    stage: Stage::Fetch,
                    kind: ErrorKind::Cancelled,
                    message: "its worker broke down".to_owned(),
                    attempts: 0,
                    at: clock::now(),
                };
                events.push(self.fail(tx, failure)?);
            }
            events.extend(self.job_done(tx, symbol, 0)?);
        }
        Ok(events)
    }

    /// Writes down what became of a page: with its request, or with that of which it is a part.
    pub(super) fn log(
        &self,
        tx: &Writer<'_>,
        attempt: &Attempt,
        counts: &PageCounts,
    ) -> StoreResult<()> {
        match attempt.part_of.and_then(|number| self.answered.get(&number)) {
            Some(logged) => tx.fetch_log_extend(logged.row, counts),
            None => tx.fetch_log_add(&self.run_id, attempt, counts).map(drop),
        }
    }

    /// Counts a request; a file that somebody imports is none, nor is a part of a whole market's answer.
    pub(super) fn count(&mut self, attempt: &Attempt) {
        if attempt.file.is_some() || attempt.part_of.is_some() {
            return;
        }
        self.totals.requests += 1;
        self.totals.retried += u64::from(attempt.number > 1);
        let limited =
            attempt.fault.as_ref().is_some_and(|fault| fault.kind == ErrorKind::RateLimited);
        self.totals.rate_limited += u64::from(limited);
    }

    pub(super) fn fail(&mut self, tx: &Writer<'_>, failure: Failure) -> StoreResult<Event> {
        tx.failure_add(&self.run_id, &failure)?;
        let words = format!("{}: {}", failure.kind, failure.message);
        // What a symbol is called makes its bars and actions no worse.
        let job = self.jobs.get_mut(&failure.series.symbol);
        if let Some(job) = job.filter(|_| failure.about != About::Listing) {
            job.error = Some(format!("{} {words}", failure.word()));
        }
        // What is asked besides bars speaks neither for nor against a series.
        if failure.about == About::Bars {
            self.failed.insert(failure.series.clone(), (failure.kind, words));
        }
        Ok(Event::Failed(failure))
    }

    pub(super) fn add(&mut self, symbol: &Symbol, put: &Put) {
        self.totals.records_inserted += put.inserted;
        self.totals.records_updated += put.updated;
        if let Some(job) = self.jobs.get_mut(symbol) {
            job.inserted += put.inserted;
            job.updated += put.updated;
        }
    }

    pub(super) fn place(&self, symbol: &Symbol) -> (&'a Group, &'a Member) {
        // Every task's symbol comes from these groups.
        let (group, member) = self.members[symbol];
        let group = &self.settings.groups[group];
        (group, &group.members[member])
    }

    /// Whether a job is not at its end yet: more is to be asked for than was planned.
    fn goes_on(&self, symbol: &Symbol) -> bool {
        self.restated.iter().any(|key| key.symbol == *symbol)
    }

    /// Closes a job: gaps named, derived bars made, statuses written.
    pub(super) fn job_done(
        &mut self,
        tx: &Writer<'_>,
        symbol: Symbol,
        retries: u32,
    ) -> StoreResult<Vec<Event>> {
        if let Some(job) = self.jobs.get_mut(&symbol) {
            job.retries += retries;
        }
        if self.goes_on(&symbol) {
            return Ok(Vec::new());
        }
        let (group, member) = self.place(&symbol);
        let due = self.settings.due(group, member);
        let now = self.now;
        // Where nobody was asked, no series has come to its end with its provider.
        let job = self.jobs.get(&symbol).filter(|_| self.terms.is_none());
        let asked = job.map(|job| job.asked.clone()).unwrap_or_default();
        for timeframe in &asked {
            let key = SeriesKey { symbol: symbol.clone(), timeframe: *timeframe };
            self.series_done(tx, &key, &due, now)?;
        }
        self.end_idle(tx, &symbol, &asked)?;
        self.settle_actions(tx, &symbol)?;
        self.derive_all(tx, &symbol)?;
        self.to_conclude.push_back(symbol.clone());
        let started_at = self.started_at(&symbol);
        let Some(job) = self.jobs.get_mut(&symbol) else { return Ok(Vec::new()) };
        job.ended = true;
        let status = match (&job.error, &job.deferred) {
            (Some(_), _) => JobStatus::Failed,
            (None, Some(_)) => JobStatus::Deferred,
            (None, None) => JobStatus::Completed,
        };
        let outcome = JobOutcome {
            symbol,
            status,
            retry_count: job.retries,
            records_inserted: job.inserted,
            records_updated: job.updated,
            last_error: job.error.clone().or_else(|| job.deferred.clone()),
        };
        match status {
            JobStatus::Failed => self.totals.failed += 1,
            JobStatus::Deferred => self.totals.deferred += 1,
            _ => self.totals.successful += 1,
        }
        tx.job_close(&self.run_id, &outcome, started_at, clock::now())?;
        Ok(vec![Event::JobFinished(outcome)])
    }

    /// Names the gaps of a series now that all of it was asked, and notes how it went.
    fn series_done(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        due: &Due,
        now: i64,
    ) -> StoreResult<()> {
        let settle = self.place(&key.symbol).0.settle;
        let error = self.failed.get(key);
        let Some(line) = self.series.get_mut(key) else { return Ok(()) };
        line.settle_restated();
        // What was not even tried is no better and no worse for it.
        if !line.asked && error.is_none() {
            return Ok(());
        }
        let rest = |kind| rest::after_failure(line.failures.saturating_add(1), kind);
        let ended = error.map(|(kind, words)| (words.clone(), rest(*kind).map(|rest| now + rest)));
        // Of what was not all asked for nobody knows yet how it ends.
        if error.is_some() || !self.deferred.contains(key) {
            line.settle(settle, due, now);
            line.ended(ended);
        }
        let untraded = if line.asked { line.reconsider(tx, due, now)? } else { Vec::new() };
        for range in untraded {
            self.unmake(tx, key, range)?;
        }
        Ok(())
    }
}
