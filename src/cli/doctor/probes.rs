//! The one request to each provider: what is asked, and when nothing is.

use std::collections::BTreeMap;

use crate::config::{Group, ProviderSettings, Settings};
use crate::domain::probe::{Probe, Soundness};
use crate::domain::range::TimeRange;
use crate::domain::time::day_start;
use crate::domain::timeframe::{DAY, Timeframe};
use crate::domain::words::instant;
use crate::exit::Exit;
use crate::fetch::{self, Engine, Question};
use crate::report::doctor::Database;
use crate::report::health::Health;
use crate::store::{Store, lock};

use super::super::failure::Failure;
use super::super::scene::Scene;

const AT_WORK: &str =
    "another process is at work on the database and may be asking it; see mdctl status";

/// Why no provider is asked at all; `None` when they may be.
pub(super) fn hindrance(
    database: &Database,
    health: Option<&Health>,
    is_locked: bool,
) -> Option<String> {
    let pause = health.and_then(|health| health.evidence.as_ref()?.pause.as_ref());
    if let Some(pause) = pause {
        return Some(format!("runs are paused until {}", instant(pause.until)));
    }
    if is_locked {
        return Some(AT_WORK.to_owned());
    }
    // What a request takes from the quota is written down before it is sent.
    let why = match database {
        Database::Missing => {
            "there is no database yet in which its quota is kept; `mdctl db migrate` makes it"
        }
        Database::Unreadable(..) => "its quota is kept in the database, which cannot be read",
        Database::Read { soundness: Soundness::Damaged(_), .. } => {
            "its quota is kept in the database, which is damaged"
        }
        Database::Read { .. } if !database.is_current() => {
            "its quota is kept in the database, which has an older schema; first mdctl db migrate"
        }
        Database::Read { .. } => return None,
    };
    Some(why.to_owned())
}

/// What came of asking, by provider, or why none could be asked.
pub(super) type Asked = Result<BTreeMap<String, Probe>, String>;

/// Asks every provider that has its key and that a group asks for anything.
///
/// # Errors
///
/// When a signal ended it: half an examination is none.
pub(super) fn ask(scene: &Scene, lacking: &[&str]) -> Result<Asked, Failure> {
    let settings: &Settings = &scene.settings;
    let http = settings.providers.values().filter(|provider| !provider.is_files());
    let asked = http.filter(|provider| !lacking.contains(&provider.name.as_str()));
    let questions: Vec<Question> =
        asked.filter_map(|provider| question(settings, provider, scene.wall_now)).collect();
    if questions.is_empty() {
        return Ok(Ok(BTreeMap::new()));
    }
    let engine = match Engine::start() {
        Ok(engine) => engine,
        Err(error) => return Ok(Err(format!("the threads that fetch: {error}"))),
    };
    let asked = put(settings, &engine, questions);
    match engine.stopped() {
        Some(signal) => {
            let words = format!("stopped by {} before all was looked at", signal.as_str());
            Err(Failure::new(Exit::Stopped(signal), "stopped", words))
        }
        None => Ok(asked),
    }
}

/// Puts the questions, and writes down what they take from the quotas.
fn put(settings: &Settings, engine: &Engine, questions: Vec<Question>) -> Asked {
    let mut providers = settings.providers.clone();
    providers.retain(|name, _| questions.iter().any(|question| question.provider == *name));
    let database = &settings.database;
    let _lock = lock::try_lock(database)
        .map_err(|error| Failure::create(&lock::path_of(database), &error).message().to_owned())?
        .ok_or(AT_WORK)?;
    let mut store = Store::open_write(database).map_err(|error| error.to_string())?;
    let remembered = store.provider_states().map_err(|error| error.to_string())?;
    let probed = fetch::probe(engine, &providers, remembered, questions, |notes, stamp| {
        store.write(|tx| {
            notes
                .iter()
                .try_for_each(|note| tx.provider_state_set(&note.provider, &note.state, stamp))
        })
    });
    probed.map_err(|error| error.to_string())
}

/// A few settled bars of the first symbol that is not delisted, the longest that the provider has: the
/// smallest thing that shows whether it lets us have what is tracked.
fn question(settings: &Settings, provider: &ProviderSettings, now: i64) -> Option<Question> {
    let mut groups = settings.groups.iter().filter(|group| group.provider == provider.name);
    groups.find_map(|group| question_of(group, provider, now))
}

fn question_of(group: &Group, provider: &ProviderSettings, now: i64) -> Option<Question> {
    let member = group.members.iter().find(|member| member.delisted.is_none())?;
    let mut native =
        group.timeframes.iter().rev().filter(|(_, stored)| stored.derived_from.is_none());
    let (timeframe, _) = native.next()?;
    // Plans may not hold today, and no exchange is closed for a week.
    let end = day_start(now).saturating_sub(DAY);
    let days = if *timeframe == Timeframe::D1 { 7 } else { 1 };
    Some(Question {
        provider: provider.name.clone(),
        symbol: member.symbol.clone(),
        asset_class: group.asset_class,
        timeframe: *timeframe,
        range: TimeRange::new(end.saturating_sub(days * DAY), end),
        zone: group.calendar.zone(),
    })
}
