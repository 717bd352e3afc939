//! Where a backfill's time goes, and which parallelism pays: judged by rehearsals that ask for the same at
//! several parallelisms.
//!
//! Lanes ask and one writer keeps, at the same time; so each has an account of its own. That of the lanes
//! adds up to so many times the time by the clock as there are lanes, that of the writer to that time once.

use std::time::Duration;

use crate::domain::policy::RateLimit;
use crate::domain::run::{RunStatus, WriterTimes};

mod size;
mod tally;
mod words;

pub use size::{quota_time, symbols_by_default};
pub use tally::Tally;

/// From this share of the best on a smaller parallelism is as good.
const AS_GOOD: f64 = 1.1;

/// The share of rate-limited answers above which something is to be done.
const MANY_LIMITED: f64 = 0.05;

/// What is rehearsed, and on what terms.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The provider's name in the config.
    pub provider: String,
    /// Whether its bars come from files.
    pub is_files: bool,
    /// How many requests it allows.
    pub rates: Vec<RateLimit>,
    /// The config's parallelism of `backfill`.
    pub configured: u32,
    /// The pause between the starts of two symbols, which rehearsals leave out: of few symbols with a page
    /// each it would be most of the time.
    pub stagger: Duration,
    /// Symbols of a step.
    pub symbols: u64,
    /// Symbols of which something could be asked.
    pub tracked: u64,
    /// Requests that a step is planned to have; of files, files.
    pub planned: u64,
    /// Requests that a step sends at most; none where files are read.
    pub most: u64,
    /// Requests of a first backfill of all that is tracked with this provider, about; of files, files.
    pub whole: u64,
}

impl Setup {
    /// The requests that its quota allows in a second, in the long run; `None` without one.
    #[must_use]
    pub fn allowed(&self) -> Option<f64> {
        let each = |rate: &RateLimit| f64::from(rate.requests) / rate.per.as_secs_f64();
        self.rates.iter().map(each).min_by(f64::total_cmp)
    }

    /// Seconds that a first backfill of everything takes at least, for its quota allows no more.
    fn least_by_quota(&self) -> f64 {
        let least = |rate: &RateLimit| {
            let rest = self.whole.saturating_sub(u64::from(rate.burst.unwrap_or(rate.requests)));
            let times = rest as f64 / f64::from(rate.requests);
            // Tokens grow one by one; a window is to pass as a whole.
            rate.per.as_secs_f64() * if rate.burst.is_some() { times } else { times.ceil() }
        };
        self.rates.iter().map(least).fold(0.0, f64::max)
    }

    /// Likewise, for symbols start one after the other.
    fn least_by_stagger(&self) -> f64 {
        if self.is_files { 0.0 } else { self.stagger.as_secs_f64() * self.tracked as f64 }
    }
}

/// A rehearsal that was made.
#[derive(Clone, Copy, Debug)]
pub struct Rehearsal {
    /// Lanes.
    pub parallel: u32,
    /// How long it took by the clock.
    pub wall: Duration,
    /// How it ended.
    pub status: RunStatus,
    /// What its events told.
    pub tally: Tally,
    /// Where its writer's time went.
    pub times: WriterTimes,
}

/// Where time may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for the provider's quota.
    Quota,
    /// Between the starts of two symbols.
    Stagger,
    /// Waiting for answers.
    Network,
    /// Reading answers, or files.
    Decode,
    /// Judging rows.
    Validate,
    /// Writing them.
    Store,
    /// Making what follows from them.
    Compute,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Quota,
        Self::Stagger,
        Self::Network,
        Self::Decode,
        Self::Validate,
        Self::Store,
        Self::Compute,
    ];

    /// Its word in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Stagger => "stagger",
            Self::Network => "network",
            Self::Decode => "decode",
            Self::Validate => "validate",
            Self::Store => "store",
            Self::Compute => "compute",
        }
    }
}

/// Where the time of all lanes together went, in seconds; it adds up to the time by the clock times the lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LaneSeconds {
    /// Waiting for the quota.
    pub quota: f64,
    /// Waiting for answers.
    pub network: f64,
    /// Reading them.
    pub decode: f64,
    /// Judging their rows.
    pub validate: f64,
    /// Waiting for the writer to have room for what was read.
    pub for_writer: f64,
    /// With nothing to ask: between the starts of symbols, before another try, when all is asked.
    pub idle: f64,
}

/// Where the time of the one writer went, in seconds; it adds up to the time by the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WriterSeconds {
    /// Writing rows, and what the run does besides.
    pub store: f64,
    /// Making what follows from them: features, and looking for what is suspicious.
    pub compute: f64,
    /// Waiting for the lanes.
    pub idle: f64,
}

/// A rehearsal, judged.
#[derive(Clone, Debug)]
pub struct Step {
    /// Lanes.
    pub parallel: u32,
    /// How it ended.
    pub status: RunStatus,
    /// Seconds by the clock.
    pub wall: f64,
    /// Requests sent; of files, pages read.
    pub requests: u64,
    /// Those of them that were answered by the word that there were too many.
    pub rate_limited: u64,
    /// Bars stored.
    pub bars: u64,
    /// The lanes' account.
    pub lanes: LaneSeconds,
    /// The writer's account.
    pub writer: WriterSeconds,
    /// What sets the pace.
    pub bottleneck: Stage,
    /// Seconds that a first backfill of everything takes, about; `None` where not every symbol came to its
    /// end.
    pub whole: Option<f64>,
}

impl Step {
    /// Judges a rehearsal.
    #[must_use]
    pub fn of(setup: &Setup, made: &Rehearsal) -> Self {
        let (wall, tally) = (made.wall.as_secs_f64(), &made.tally);
        let (lanes, writer) = (lanes(made), writer(made));
        // More lanes than there is to ask have nothing to do.
        let busy_lanes = u64::from(made.parallel).min(setup.planned).max(1) as f64;
        let at_work = (wall - lanes.quota / busy_lanes).max(0.0);
        let free = at_work * setup.whole as f64 / setup.planned.max(1) as f64;
        let (by_quota, by_stagger) = (setup.least_by_quota(), setup.least_by_stagger());
        let bottleneck = if lanes.quota > wall * busy_lanes / 2.0 || by_quota > free.max(by_stagger)
        {
            Stage::Quota
        } else if by_stagger > free {
            Stage::Stagger
        } else {
            busiest(&lanes, &writer, wall, busy_lanes)
        };
        let is_whole = made.status == RunStatus::Succeeded && setup.planned > 0;
        Self {
            parallel: made.parallel,
            status: made.status,
            wall,
            requests: tally.requests,
            rate_limited: tally.rate_limited,
            bars: tally.bars,
            lanes,
            writer,
            bottleneck,
            whole: is_whole.then_some(free.max(by_quota).max(by_stagger)),
        }
    }

    /// Whether every symbol was asked for, whatever came of it.
    #[must_use]
    pub const fn came_to_its_end(&self) -> bool {
        matches!(self.status, RunStatus::Succeeded | RunStatus::Partial)
    }

    /// Whether more lanes would only wait for the quota.
    #[must_use]
    pub fn is_quota_bound(&self) -> bool {
        self.bottleneck == Stage::Quota
    }
}

/// The account of the lanes. Requests that wait may be more than there are lanes: what they wait is a lane's
/// time as far as one is free.
fn lanes(made: &Rehearsal) -> LaneSeconds {
    let tally = &made.tally;
    let network = tally.response.saturating_sub(tally.decode).as_secs_f64();
    let decode = tally.decode.as_secs_f64();
    let validate = tally.validate.as_secs_f64();
    let all = made.wall.as_secs_f64() * f64::from(made.parallel);
    let mut free = (all - network - decode - validate).max(0.0);
    let mut take = |wanted: Duration| {
        let taken = wanted.as_secs_f64().min(free);
        free -= taken;
        taken
    };
    let (quota, for_writer) = (take(tally.quota), take(tally.for_writer));
    LaneSeconds { quota, network, decode, validate, for_writer, idle: free }
}

/// The account of the writer.
fn writer(made: &Rehearsal) -> WriterSeconds {
    let compute = made.times.concluding.as_secs_f64();
    let rest = (made.wall.as_secs_f64() - compute).max(0.0);
    let idle = made.times.waiting.as_secs_f64().min(rest);
    WriterSeconds { store: rest - idle, compute, idle }
}

/// What those do most who have least time to spare: the lanes, or the writer.
fn busiest(lanes: &LaneSeconds, writer: &WriterSeconds, wall: f64, busy_lanes: f64) -> Stage {
    let wall = wall.max(f64::MIN_POSITIVE);
    let asking = (lanes.network + lanes.decode + lanes.validate) / (wall * busy_lanes);
    let writing = (writer.store + writer.compute) / wall;
    let stages: &[(Stage, f64)] = if writing > asking {
        &[(Stage::Store, writer.store), (Stage::Compute, writer.compute)]
    } else {
        &[
            (Stage::Network, lanes.network),
            (Stage::Decode, lanes.decode),
            (Stage::Validate, lanes.validate),
        ]
    };
    let most = stages.iter().max_by(|one, other| one.1.total_cmp(&other.1));
    most.map_or(Stage::Network, |(stage, _)| *stage)
}

/// Why not every parallelism was rehearsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Runs are paused, in these words.
    Paused(String),
    /// There is nothing to ask for.
    NothingDue,
    /// More lanes would only wait for the quota.
    QuotaBound,
    /// A step ended so.
    Ended(RunStatus),
}

/// Where the time goes, and which parallelism pays.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// What was rehearsed.
    pub setup: Setup,
    /// The steps, in the order in which they were made.
    pub steps: Vec<Step>,
    /// Why there are no more of them; `None` when all that were asked for were made.
    pub cut: Option<Cut>,
    /// What sets the pace at the config's parallelism, else in the last step; `None` without one.
    pub bottleneck: Option<Stage>,
    /// The smallest parallelism that is about as fast as the fastest; `None` when no step tells.
    pub pays: Option<u32>,
    /// How many times as fast that is as the config's; `None` when nobody knows how fast the config's is.
    pub gain: Option<f64>,
    /// The share of rate-limited answers; `None` when nothing was asked.
    pub rate_limited_share: Option<f64>,
    /// All that in sentences.
    pub verdict: Vec<String>,
    /// What to do about it, in sentences.
    pub advice: Vec<String>,
}

/// Judges the steps that were made.
#[must_use]
pub fn judge(setup: Setup, steps: Vec<Step>, cut: Option<Cut>) -> Baseline {
    let made = || steps.iter().filter(|step| step.came_to_its_end());
    let at_configured = made().find(|step| step.parallel == setup.configured);
    let bottleneck = at_configured.or(made().next_back()).map(|step| step.bottleneck);
    let told = || steps.iter().filter_map(|step| Some((step.parallel, step.whole?)));
    let best = told().map(|(_, whole)| whole).min_by(f64::total_cmp);
    let paying = best.and_then(|best| {
        told().filter(|(_, whole)| *whole <= best * AS_GOOD).min_by_key(|(parallel, _)| *parallel)
    });
    let configured = whole_at(&steps, setup.configured);
    let gain = paying.zip(configured).map(|((_, whole), configured)| configured / whole);
    let requests: u64 = steps.iter().map(|step| step.requests).sum();
    let limited: u64 = steps.iter().map(|step| step.rate_limited).sum();
    let share = (requests > 0 && !setup.is_files).then(|| limited as f64 / requests as f64);
    let mut baseline = Baseline {
        setup,
        cut,
        bottleneck,
        pays: paying.map(|(parallel, _)| parallel),
        gain,
        rate_limited_share: share,
        steps,
        verdict: Vec::new(),
        advice: Vec::new(),
    };
    baseline.verdict = words::verdict(&baseline);
    baseline.advice = words::advice(&baseline);
    baseline
}

/// Seconds that a first backfill of everything takes at `parallel`. Where fewer lanes use up the quota, so
/// many are no faster.
fn whole_at(steps: &[Step], parallel: u32) -> Option<f64> {
    let measured = steps.iter().find(|step| step.parallel == parallel);
    let bound = || steps.iter().find(|step| step.parallel < parallel && step.is_quota_bound());
    measured.or_else(bound)?.whole
}

#[cfg(test)]
mod tests;
