//! What every command stands on: the settings, one `now`, how to show things, and the way to the
//! store.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;

use indicatif::MultiProgress;

use crate::calendar::due::Due;
use crate::clock::{self, Timeline};
use crate::config::{self, Notifier, Settings, env};
use crate::domain::fact::{RunFact, SeriesFact};
use crate::domain::provider_state::QuotaLeft;
use crate::domain::range::TimeRange;
use crate::domain::shard::Shard;
use crate::domain::timeframe::Timeframe;
use crate::logging::{self, Form, Guard, Lines, Tail};
use crate::render::progress::Progress;
use crate::render::table::{self, Look};
use crate::report::Facts;
use crate::report::breaker::{self, BreakerRow};
use crate::report::quality::{self as quality_report, Counted, SeriesQuality};
use crate::store::{Store, StoreResult};
use crate::systemd::NextRun;
use crate::{fetch, pipeline};

use super::failure::Failure;
use super::{Colour, Global, LogFormat, ending};

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
    pub(super) tracks_none: bool,
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
