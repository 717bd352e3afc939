//! systemd: the one place that knows how its units are written and that asks its programs.
//!
//! Four chores are on the schedule ([`Chore`]), each a service and a timer. Where systemd is not there, is
//! not at work or does not answer in time, nothing is known ([`timers`]), and nothing fails for it.

mod ask;
pub mod calendar;
pub mod cron;
pub mod install;
mod timers;
pub mod units;

pub use crate::domain::schedule::{Chore, Manager, Timer};
pub use timers::{NextRun, is_at_work, timers};
