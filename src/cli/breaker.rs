//! `mdctl breaker`: which providers are left alone, and asking them again before their time.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use schemars::Schema;

use crate::config::Settings;
use crate::domain::provider_state::BreakerState;
use crate::exit::Exit;
use crate::render;
use crate::report::breaker;
use crate::store::{Remembered, Store, StoreError, lock};

use super::deed::{Hand, Reason};
use super::failure::Failure;
use super::scene::Scene;
use super::select::known;
use super::{Done, print};

/// Circuit breakers of the providers: see them, close them.
///
/// A provider that fails again and again is left alone for a while, in later runs too; then a few
/// requests see whether it has recovered.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl breaker list
  mdctl breaker reset polygon --reason \"they say it works again\"")]
pub(super) struct Breaker {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every provider's breaker, the worst first.
    #[command(after_help = "Examples:
  mdctl breaker list
  mdctl breaker list --json | jq -r '.breakers[].state'")]
    List,
    /// Close breakers and forget what the providers asked for; their quotas stay as they are.
    #[command(after_help = "Examples:
  mdctl breaker reset
  mdctl breaker reset polygon --reason \"they say it works again\"")]
    Reset {
        /// The providers; without any, all that are not asked as usual.
        providers: Vec<String>,
        /// Why; the audit log keeps it.
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
    },
}

impl Breaker {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.what {
            What::List => render::breaker::schema(),
            What::Reset { .. } => render::breaker::reset_schema(),
        }
    }
}

pub(super) fn exec(command: &Breaker, scene: &Scene) -> Done {
    match &command.what {
        What::List => list(scene),
        What::Reset { providers, reason } => {
            reset(scene, providers, Reason::or_none(reason.as_ref()))
        }
    }
}

fn list(scene: &Scene) -> Done {
    let store = scene.reader()?;
    let mut rows = scene.breakers(&store).map_err(|error| Failure::of_reader(&error))?;
    breaker::worst_first(&mut rows);
    print(|out| {
        if scene.json {
            render::breaker::json(out, &rows, scene.wall_now)
        } else {
            render::breaker::table(out, &rows, scene.look)
        }
    })?;
    Ok(Exit::Success)
}

fn reset(scene: &Scene, names: &[String], reason: &str) -> Done {
    for name in names {
        speaks_http(&scene.settings, name)?;
    }
    let database = &scene.settings.database;
    // Where no run has ever been nothing is remembered, and there is no reason to make a database.
    let done = if database.exists() { reset_stored(scene, names, reason)? } else { Vec::new() };
    print(|out| {
        if scene.json {
            render::breaker::reset_json(out, &done, scene.wall_now)
        } else {
            render::breaker::reset(out, &done)
        }
    })?;
    Ok(Exit::Success)
}

/// Refuses what is no provider of the config with a breaker.
fn speaks_http(settings: &Settings, name: &str) -> Result<(), Failure> {
    known("provider", Some(name), settings.providers.keys().map(String::as_str))?;
    if settings.providers.get(name).is_some_and(|provider| provider.is_files()) {
        return Err(Failure::usage(format!("provider `{name}` has no breaker: it reads files"))
            .hinted("`mdctl breaker list` shows those that have one"));
    }
    Ok(())
}

/// Resets those providers and tells which they were.
fn reset_stored(scene: &Scene, names: &[String], reason: &str) -> Result<Vec<String>, Failure> {
    let database = &scene.settings.database;
    // A run at work would write its own state over this.
    let _lock = lock::try_lock(database)
        .map_err(|error| Failure::create(&lock::path_of(database), &error))?
        .ok_or_else(|| {
            Failure::new(Exit::Locked, "locked", "a run is at work on the database")
                .hinted("reset when it has ended; `mdctl status` shows it")
        })?;
    let hand = Hand::callers();
    let done = Store::open_write(database)?.write(|writer| {
        let states = writer.provider_states()?;
        let done = meant(scene, names, &states);
        for (name, (state, stamp)) in states.iter().filter(|(name, _)| done.contains(name)) {
            let mut state = state.clone();
            state.hold = None;
            let patience = scene.settings.providers.get(name).map(|provider| provider.retry.max);
            if patience
                .is_some_and(|most| breaker::is_paused_for_long(&state, most, scene.wall_now))
            {
                state.quota.paused_until = 0;
            }
            state.concurrency = None;
            // That a call failed stays true.
            let last_failure = state.breaker.last_failure.take();
            state.breaker = BreakerState { last_failure, ..BreakerState::default() };
            // With its own stamp: what is used of the quota is as old as it was.
            writer.provider_state_set(name, &state, stamp)?;
            writer.audit_add(&hand.deed(scene.wall_now, "breaker_reset", name, reason))?;
        }
        Ok::<_, StoreError>(done)
    })?;
    Ok(done)
}

/// The providers to reset: of those named the ones that something is remembered of, else all that are
/// not asked as usual.
fn meant(scene: &Scene, names: &[String], states: &BTreeMap<String, Remembered>) -> Vec<String> {
    let rows = breaker::judge(&scene.settings, states, scene.wall_now);
    let is_meant = |row: &breaker::BreakerRow| {
        if names.is_empty() { !row.is_clear() } else { names.contains(&row.name) }
    };
    let meant = rows.into_iter().filter(|row| states.contains_key(&row.name) && is_meant(row));
    meant.map(|row| row.name).collect()
}
