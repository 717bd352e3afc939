//! The vocabulary: plain data with its invariants, spoken by every other room.
//!
//! Nothing here touches the world, and nothing here imports another room. In reading order:
//! what a bar is ([`bar`], [`timeframe`], [`range`]), where days and weeks begin ([`time`]), what splits and dividends do to it ([`action`]),
//! what is computed from it ([`feature`]) and what looks suspicious in it ([`anomaly`]), whose it is
//! ([`series`], [`shard`]), what is said of it ([`mod@reference`]), what is missing ([`gap`]), what files
//! bring ([`mod@import`]), what is to be done ([`task`]), what a run did ([`run`], [`event`]), what the
//! store remembers ([`fact`], [`provider_state`], [`total`]) and in which files ([`database`], [`beside`]),
//! what people order ([`control`]), by which rules all of that is judged ([`policy`]), what is watched and
//! promised ([`alert`]), what is tried ([`probe`]) and what happens by itself ([`schedule`]); last, where a
//! system install has its files ([`place`]), how times and counts are said ([`words`]),
//! how an enum gets its words (`enum_words`), and what clocks show where ([`zone`]).

pub mod action;
pub mod alert;
pub mod anomaly;
pub mod bar;
pub mod beside;
pub mod control;
pub mod database;
mod enum_words;
pub mod event;
pub mod fact;
pub mod feature;
pub mod gap;
pub mod import;
pub mod place;
pub mod policy;
pub mod probe;
pub mod provider_state;
pub mod quick;
pub mod range;
pub mod reference;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod series;
pub mod series_facts;
pub mod shard;
pub mod task;
pub mod time;
pub mod timeframe;
pub mod total;
pub mod words;
pub mod zone;
