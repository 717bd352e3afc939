//! The real binary against real sockets, real files and a real database: one module a subject.
//!
//! Every test has its own folder, its own server and its own database; none depends on another, on
//! the wall clock, or on the network.

mod access;
mod actions;
mod agreement;
mod alerts;
mod backup;
mod breaker;
mod broken;
mod check;
mod config;
mod control;
mod crash;
mod derived;
mod disk;
mod doctor;
mod edit;
mod endings;
mod enrich;
mod faults;
mod features;
mod features_oracle;
mod files;
mod flow;
mod gaps;
mod guide;
mod happy;
mod hostile;
mod import;
mod logs;
mod manual;
mod metrics;
mod others;
mod page;
mod plan;
mod prune;
mod quality;
mod quota;
mod reference;
mod reports;
mod restated;
mod retention;
mod rows;
mod schema;
mod secrets;
mod shells;
mod silent;
mod simulated;
mod slo;
mod store;
mod support;
mod tidy;
mod trace;
mod units;
mod watch;
