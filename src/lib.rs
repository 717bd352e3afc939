//! x

pub mod calendar;
pub mod clock;
pub mod config;
pub mod derive;
pub mod domain;
pub mod exit;
pub mod fetch;
pub mod freshness;
pub mod pipeline;
pub mod plan;
pub mod provider;
pub mod store;
pub mod validate;
