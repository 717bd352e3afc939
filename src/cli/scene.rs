//! What every command stands on: the settings, one `now`, how to show things, and the way to the
//! store.

use std::collections::HashSet;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;

use indicatif::MultiProgress;

use crate::calendar::due::Due;
use crate::clock::{self, Timeline};
use crate::config::{self, Notifier, Settings, env};
use crate::domain::action::ActionStatus;
use crate::domain::fact::{RunFact, SeriesFact};
use crate::domain::provider_state::QuotaLeft;
use crate::domain::range::TimeRange;
use crate::domain::run::RunStatus;
use crate::domain::series::SeriesKey;
use crate::domain::shard::Shard;
use crate::domain::time::seconds;
use crate::domain::timeframe::Timeframe;
use crate::domain::words::instant;
use crate::logging::{self, Form, Guard, Lines, Tail};
use crate::render::progress::Progress;
use crate::render::table::{self, Look};
use crate::report::breaker::{self, BreakerRow};
use crate::report::health::{Disk, Evidence};
use crate::report::holes;
use crate::report::quality::{self as quality_report, Counted, SeriesQuality};
use crate::report::staleness::Staleness;
use crate::report::{Facts, actions};
use crate::store::{Store, StoreResult, lock};
use crate::systemd::NextRun;
use crate::{fetch, pipeline};

use super::failure::Failure;
use super::{Colour, Global, LogFormat, ending};

/// Failures shown beside the verdict, at most.
const MOST_FAILURES: u64 = 50;

/// By so much what another process wrote may be ahead of a clock that is right, in seconds.
const AHEAD: i64 = 300;

/// Runs of the last day looked at by the verdict, at most.
const MOST_RUNS: u64 = 1_000;

/// What a command stands on.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) settings: Arc<Settings>,
    /// This instant by the wall clock.
    pub(super) wall_now: i64,
    /// The instant to judge at, where one is given.
    pub(super) as_of: Option<i64>,
    pub(super) json: bool,
    /// How tables are shown.
    pub(super) look: Look,
    /// The terminal that bars and log lines share.
    pub(super) screen: MultiProgress,
    /// Whether a progress bar is wanted.
    pub(super) bar: bool,
    /// Where log lines go.
    pub(super) log: Arc<Guard>,
    /// The last log lines, where somebody is to be sent them.
    pub(super) tail: Option<Tail>,
    /// The run that this process has ended, as the process ends; its row may have been kept from saying so.
    pub(super) ended: Option<Arc<RunFact>>,
    /// Whether the config tracks no symbol; a shard may have none where others have.
    tracks_none: bool,
}

impl Scene {
    /// Loads the config and installs logging.
    pub(super) fn set(global: &Global) -> Result<Self, Failure> {
        Self::set_with(global, false)
    }

    /// Likewise, for a command that has the whole terminal for itself: no line is written there.
    pub(super) fn set_whole_screen(global: &Global) -> Result<Self, Failure> {
        Self::set_with(global, true)
    }

    fn set_with(global: &Global, whole_screen: bool) -> Result<Self, Failure> {
        let path = config::find(global.config.as_deref())?;
        Self::of(config::load(&path, global.db.as_deref())?, global, whole_screen)
    }

    /// Likewise, with a config that is loaded.
    pub(super) fn of(
        settings: Settings,
        global: &Global,
        whole_screen: bool,
    ) -> Result<Self, Failure> {
        let wall_now = clock::now();
        let as_of = global.as_of.map(|as_of| as_of.0);
        if as_of.is_some_and(|as_of| as_of > wall_now) {
            return Err(Failure::usage("--as-of lies in the future")
                .hinted("leave it out to judge at this instant"));
        }
        let bar = io::stderr().is_terminal() && !global.no_progress && !global.quiet;
        let screen = Progress::screen(bar);
        let tail = settings.notifiers.values().any(Notifier::hears_of_runs).then(Tail::default);
        let level = if whole_screen && io::stderr().is_terminal() {
            LevelFilter::OFF
        } else {
            level(global, bar)
        };
        let log = log(global, &settings, level, &screen, tail.as_ref());
        let tracks_none = settings.members().next().is_none();
        let settings = Arc::new(settings);
        ending::leave(Arc::clone(&settings));
        Ok(Self {
            settings,
            tracks_none,
            wall_now,
            as_of,
            json: global.json,
            look: look(global.color),
            screen,
            bar,
            log: Arc::new(log),
            tail,
            ended: None,
        })
    }

    /// The same scene at this instant, and with a shard, of its symbols and its part of the quotas alone.
    pub(super) fn anew(&self, shard: Option<Shard>) -> Self {
        let settings = shard.map(|shard| {
            let mut settings = Settings::clone(&self.settings);
            settings.providers = pipeline::providers(&settings, Some(shard));
            for group in &mut settings.groups {
                group.members.retain(|member| shard.holds(&member.symbol));
            }
            Arc::new(settings)
        });
        Self {
            settings: settings.unwrap_or_else(|| Arc::clone(&self.settings)),
            wall_now: clock::now(),
            ..self.clone()
        }
    }

    /// The same scene once this process has ended that run.
    pub(super) fn after(&self, ended: RunFact, shard: Option<Shard>) -> Self {
        Self { ended: Some(Arc::new(ended)), ..self.anew(shard) }
    }

    /// The instant to judge at.
    pub(super) fn now(&self) -> i64 {
        self.as_of.unwrap_or(self.wall_now)
    }

    /// Warns of files with secrets that others can read: for commands that read them themselves.
    pub(super) fn warn_of_exposed(&self) {
        for exposed in self.settings.exposed_secrets() {
            tracing::warn!("{}; this mends it: {}", exposed.message, exposed.remedy);
        }
    }

    /// The store, to read.
    pub(super) fn reader(&self) -> Result<Store, Failure> {
        Store::open_read(&self.settings.database).map_err(|error| Failure::of_reader(&error))
    }

    /// What the store knows of the series, as of the instant to judge at; with `coverage` what a plan rests
    /// on, too.
    pub(super) fn facts(&self, store: &Store, coverage: bool) -> Result<Facts, Failure> {
        self.facts_of(store, coverage).map_err(|error| Failure::of_reader(&error))
    }

    /// Likewise, for callers that report the store's errors themselves.
    pub(super) fn facts_of(&self, store: &Store, coverage: bool) -> StoreResult<Facts> {
        let mut facts = Facts::default();
        // Of a series that had no bar at an earlier instant it counts since when it is tracked.
        if coverage || self.as_of.is_some() {
            facts.series = store.series_all()?;
            facts.gaps = store.gaps_all()?;
        } else {
            (facts.series, facts.gaps) = store.series_judged()?;
        }
        if coverage {
            facts.coverage = store.coverage_all()?;
        }
        if let Some(as_of) = self.as_of {
            for (key, group, member) in self.settings.series() {
                let due = self.settings.due(group, member);
                if let Some(fact) = facts.series.get_mut(&key) {
                    cut_off(store, fact, &due, as_of)?;
                }
            }
        }
        Ok(facts)
    }

    /// How good every series is at the instant to judge at, the worst first.
    pub(super) fn quality(&self, store: &Store, facts: &Facts) -> StoreResult<Vec<SeriesQuality>> {
        self.quality_where(store, facts, |_| true)
    }

    /// Likewise, of those series that are to be kept for what is held of them.
    fn quality_where(
        &self,
        store: &Store,
        facts: &Facts,
        is_kept: impl Fn(Option<f64>) -> bool,
    ) -> StoreResult<Vec<SeriesQuality>> {
        let now = self.now();
        let mut all_found = store.found_all()?;
        let counted = |series: &SeriesFact, due: &Due, undue: &[TimeRange]| {
            let id = series.series_id;
            let end = || closed_before(due, series.key.timeframe, now);
            let found = match self.as_of {
                Some(_) => store.found_before(id, end())?,
                None => all_found.remove(&id).unwrap_or_default(),
            };
            // As of an earlier instant nothing that closed later is counted.
            let shown = TimeRange::new(i64::MIN, self.as_of.map_or(i64::MAX, |_| end()));
            let mut counted = Counted { found, undue: 0 };
            for range in undue {
                counted.undue += store.bars_in_session(id, range.intersect(shown))?;
            }
            Ok(counted)
        };
        quality_report::judge(&self.settings, facts, now, counted, is_kept)
    }

    /// The series whose score is low for what is held of them, the worst first.
    pub(super) fn low_quality(
        &self,
        store: &Store,
        facts: &Facts,
    ) -> StoreResult<Vec<SeriesQuality>> {
        self.quality_where(store, facts, quality_report::is_low)
    }

    /// The facts behind the verdict.
    pub(super) fn evidence(
        &self,
        store: &Store,
        facts: &Facts,
        staleness: Staleness,
    ) -> StoreResult<Evidence> {
        let low_quality = self.low_quality(store, facts)?;
        self.evidence_with(store, facts, staleness, low_quality)
    }

    /// Likewise, for those who have judged the quality of all series already.
    pub(super) fn evidence_with(
        &self,
        store: &Store,
        facts: &Facts,
        staleness: Staleness,
        low_quality: Vec<SeriesQuality>,
    ) -> StoreResult<Evidence> {
        let recent = seconds(self.settings.health.recent);
        let since = self.wall_now.saturating_sub(recent);
        let (running, last) = self.at_work_and_last(store)?;
        let mut recent_runs = store.runs_last(MOST_RUNS, Some(since), None, None)?;
        recent_runs.retain(|run| !run.is_import() && !self.is_ahead(run));
        // Of a run in which nothing failed nobody asks which jobs did.
        let (last_jobs, last_failures) = match &last {
            Some(run) if run.status != RunStatus::Succeeded => {
                (store.jobs_of(&run.run_id)?, store.failures_of(&run.run_id, u64::MAX)?)
            }
            _ => Default::default(),
        };
        Ok(Evidence {
            staleness,
            tracks_none: self.tracks_none,
            holes: holes::judge(&self.settings, facts, self.now()),
            ahead: self.ahead(store, facts)?,
            low_quality,
            running,
            last,
            last_jobs,
            last_failures,
            last_success: store.run_last_succeeded(self.wall_now.saturating_add(AHEAD))?,
            recent_runs,
            recent_failures: store.failures_since(since, MOST_FAILURES)?,
            breakers: self.breakers(store)?,
            disputed: actions::judge(
                &self.settings,
                store.actions_all(Some(ActionStatus::Disputed))?,
            ),
            pause: store.pause_at(self.wall_now)?,
            disk: disk(store, facts, self.as_of)?,
            unsent: store.alerts_unsent()?,
            wall_now: self.wall_now,
        })
    }

    /// Begins to ask systemd when it starts the next run of this config.
    pub(super) fn next_run(&self) -> NextRun {
        NextRun::ask(&self.settings.config_path, self.wall_now)
    }

    /// What is left of the providers' quotas at this instant, by name.
    pub(super) fn quotas(&self, store: &Store) -> StoreResult<Vec<QuotaLeft>> {
        let now = Timeline::begin().stamp();
        Ok(fetch::quotas_left(&self.settings.providers, store.provider_states()?, &now))
    }

    /// How the providers stand by the wall clock, by name.
    pub(super) fn breakers(&self, store: &Store) -> StoreResult<Vec<BreakerRow>> {
        Ok(breaker::judge(&self.settings, &store.provider_states()?, self.wall_now))
    }

    /// The run at work, an import too, and the last one that ended. A run that a pause made skip tells
    /// nothing, nor does an import that has ended or what is dated ahead of the clock, and there may be many of
    /// them: so many runs are looked at as it takes.
    pub(super) fn at_work_and_last(
        &self,
        store: &Store,
    ) -> StoreResult<(Option<RunFact>, Option<RunFact>)> {
        let mut limit = 2;
        loop {
            let mut newest = store.runs_last(limit, None, None, None)?;
            let is_all = (newest.len() as u64) < limit;
            newest.splice(..0, self.unwritten(&newest));
            let (running, last) = self.sorted(newest);
            if is_all || last.is_some() {
                return Ok((running, last));
            }
            limit *= 8;
        }
    }

    /// What is dated after now, a run or a bar, in words; `None` when nothing is. A run that did not ask last tells
    /// of a clock that was mended since.
    fn ahead(&self, store: &Store, facts: &Facts) -> StoreResult<Option<String>> {
        let newest = store.runs_last(1, None, None, None)?;
        if let Some(run) = newest.into_iter().find(|run| self.is_ahead(run)) {
            let last = store.run_last_to_ask()?;
            if last.is_none_or(|last| self.is_ahead(&last)) {
                let (id, at) = (&run.run_id, instant(run.started_at));
                return Ok(Some(format!("run {id} began at {at}")));
            }
        }
        let now = self.wall_now.saturating_add(AHEAD);
        let bars = facts.series.values().filter_map(|fact| Some((fact.watermark_ts?, &fact.key)));
        let mut ahead: Vec<(i64, &SeriesKey)> = bars.filter(|(ts, _)| *ts > now).collect();
        if ahead.is_empty() {
            return Ok(None);
        }
        let tracked: HashSet<SeriesKey> = self.settings.series().map(|(key, ..)| key).collect();
        ahead.retain(|(_, key)| tracked.contains(key));
        let last = ahead.into_iter().max();
        Ok(last.map(|(ts, key)| format!("the last bar of {key} is that of {}", instant(ts))))
    }

    /// Whether a run began after now. Nothing is judged by it: it may stay the newest for weeks.
    pub(super) fn is_ahead(&self, run: &RunFact) -> bool {
        run.started_at > self.wall_now.saturating_add(AHEAD)
    }

    /// The run at work and the last one that ended, of the newest runs.
    fn sorted(&self, newest: Vec<RunFact>) -> (Option<RunFact>, Option<RunFact>) {
        let mut running = None;
        let mut last = None;
        for mut run in newest {
            self.as_it_is(&mut run);
            match run.status {
                RunStatus::Running => running.get_or_insert(run),
                RunStatus::Skipped => continue,
                _ if run.is_import() || self.is_ahead(&run) => continue,
                _ => last.get_or_insert(run),
            };
        }
        (running, last)
    }

    /// The run that this process has ended, where it has no row at all.
    fn unwritten(&self, newest: &[RunFact]) -> Option<RunFact> {
        let ended = self.ended.as_ref()?;
        let has_row = newest.iter().any(|run| run.run_id == ended.run_id);
        (!has_row).then(|| RunFact::clone(ended))
    }

    /// Tells a run as it is where its row does not. One that is marked as running while nobody holds the
    /// lock has crashed, and the next run writes that down; this process's own has ended as the process
    /// does.
    pub(super) fn as_it_is(&self, run: &mut RunFact) {
        let own = self.ended.as_ref().filter(|ended| ended.run_id == run.run_id);
        if let Some(ended) = own.filter(|ended| ended.exit_code != run.exit_code) {
            *run = RunFact::clone(ended);
        }
        // The lock of a run that has just ended is still its own.
        let is_held = || self.ended.is_none() && lock::is_held(&self.settings.database);
        if run.status == RunStatus::Running && !is_held() {
            run.status = RunStatus::Crashed;
            run.totals.skipped = run.totals.open();
        }
    }
}

/// The disk under the database.
fn disk(store: &Store, facts: &Facts, as_of: Option<i64>) -> StoreResult<Option<Disk>> {
    let Some(free_bytes) = store.disk_free_bytes() else { return Ok(None) };
    let bars = match as_of {
        None => facts.series.values().map(|series| series.bar_count).sum(),
        // The facts end then; the database does not.
        Some(_) => store.bars_in_all()?,
    };
    Ok(Some(Disk { free_bytes, used_bytes: store.room()?.used_bytes(), bars }))
}

/// Ends a series where it would have ended at `as_of`: bars that closed later are not shown.
fn cut_off(store: &Store, fact: &mut SeriesFact, due: &Due, as_of: i64) -> StoreResult<()> {
    let end = closed_before(due, fact.key.timeframe, as_of);
    if fact.watermark_ts.is_none_or(|last| last < end) {
        return Ok(());
    }
    let extent = store.bars_extent(fact.series_id, TimeRange::new(i64::MIN, end))?;
    fact.first_ts = extent.map(|(first, _, _)| first);
    fact.watermark_ts = extent.map(|(_, last, _)| last);
    fact.bar_count = extent.map_or(0, |(_, _, bars)| bars);
    if let Some(features) = &mut fact.features {
        features.last_ts = features.last_ts.min(fact.watermark_ts);
        features.from = features.from.filter(|from| *from < end);
    }
    Ok(())
}

/// The first `ts` whose bar had not closed at `as_of`.
pub(super) fn closed_before(due: &Due, timeframe: Timeframe, as_of: i64) -> i64 {
    let in_session = due
        .calendar
        .last_closed(timeframe, due.layout, as_of)
        .map_or(i64::MIN, |window| window.ts + 1);
    // Outside the sessions a bar lasts as long as its timeframe says.
    in_session.max(as_of.saturating_sub(timeframe.seconds()).saturating_add(1))
}

pub(super) fn look(colour: Colour) -> Look {
    let terminal = io::stdout().is_terminal();
    let colour = match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal && env::value(env::NO_COLOR).is_none(),
    };
    Look { width: if terminal { table::terminal_width() } else { None }, colour }
}

/// Where a bar shows what happens, lines only warn; elsewhere they tell.
const fn level(global: &Global, bar: bool) -> LevelFilter {
    match (global.quiet, global.verbose, bar) {
        (true, ..) => LevelFilter::ERROR,
        (false, 0, true) => LevelFilter::WARN,
        (false, 0, false) | (false, 1, true) => LevelFilter::INFO,
        (false, ..) => LevelFilter::DEBUG,
    }
}

fn log(
    global: &Global,
    settings: &Settings,
    level: LevelFilter,
    screen: &MultiProgress,
    tail: Option<&Tail>,
) -> Guard {
    let colour = match global.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => io::stderr().is_terminal() && env::value(env::NO_COLOR).is_none(),
    };
    let form = match global.log_format {
        LogFormat::Json => Form::Json,
        LogFormat::Text => Form::Text { colour },
    };
    let lines = Lines { level, form, journal: env::stderr_is_journal() };
    let file = settings.log.as_ref().map(|file| (file.path.as_path(), file.keep));
    logging::install(lines, screen, file, tail)
}
