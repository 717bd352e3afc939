//! The page: everything that is known, cut into what one screen can show. All buckets, shares and cuts
//! are made here; `render` only draws them.

use crate::config::Settings;
use crate::domain::fact::{FetchDay, RunFact};
use crate::domain::provider_state::QuotaLeft;
use crate::domain::time::day_start;

use super::health::Health;
use super::quality::SeriesQuality;

pub mod chart;
pub mod coverage;
pub mod freshness;
pub mod providers;
pub mod quality;
pub mod runs;
pub mod traffic;

use chart::Chart;
use coverage::Coverage;
use freshness::Map;
use providers::Standing;
use quality::Scores;
use runs::Runs;
use traffic::Traffic;

/// Days of runs and requests that the page looks back on.
pub const DAYS: i64 = 30;

/// The page as of an instant.
#[derive(Debug)]
pub struct Page {
    /// The instant at which the data is judged, epoch seconds UTC.
    pub now: i64,
    /// This instant by the wall clock, at which runs, requests, quotas and breakers are judged.
    pub wall_now: i64,
    /// The verdict.
    pub health: Health,
    /// The rest; `None` when nothing could be read.
    pub known: Option<Known>,
}

/// What a database that can be read tells.
#[derive(Debug)]
pub struct Known {
    /// How fresh every series is.
    pub freshness: Map,
    /// What is stored of what is due, a part for each timeframe, short to long.
    pub coverage: Vec<Coverage>,
    /// What the last runs did.
    pub runs: Runs,
    /// What their requests came to.
    pub traffic: Traffic,
    /// How the providers stand, by name.
    pub providers: Vec<Standing>,
    /// How good the series are.
    pub quality: Scores,
    /// The bars of one series; `None` without any series.
    pub chart: Option<Chart>,
}

/// What the page is made from, besides the verdict.
#[derive(Debug)]
pub struct Material<'a> {
    /// The config.
    pub settings: &'a Settings,
    /// How good every series is, the worst first.
    pub quality: &'a [SeriesQuality],
    /// What is stored of what is due.
    pub coverage: Vec<Coverage>,
    /// The newest runs of the days looked back on, newest first, with one more than are shown where
    /// there are more.
    pub runs: Vec<RunFact>,
    /// Requests by day, ascending.
    pub days: Vec<FetchDay>,
    /// What is left of the providers' quotas.
    pub quotas: Vec<QuotaLeft>,
    /// The bars of the series shown.
    pub chart: Option<Chart>,
}

/// From when on runs and requests are looked at: the beginning of a UTC day.
#[must_use]
pub fn since(wall_now: i64) -> i64 {
    day_start(wall_now).saturating_sub((DAYS - 1) * crate::domain::timeframe::DAY)
}

/// Makes the page; without material it says why there is none.
#[must_use]
pub fn make(health: Health, material: Option<Material<'_>>, now: i64, wall_now: i64) -> Page {
    let known = material.zip(health.evidence.as_ref()).map(|(material, evidence)| Known {
        freshness: Map::of(material.settings, &evidence.staleness),
        coverage: material.coverage,
        runs: Runs::of(material.runs, since(wall_now)),
        traffic: Traffic::of(material.days, wall_now),
        providers: providers::standings(material.settings, &material.quotas, &evidence.breakers),
        quality: Scores::of(material.quality),
        chart: material.chart,
    });
    Page { now, wall_now, health, known }
}
