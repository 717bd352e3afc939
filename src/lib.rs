//! Keeps market data on one machine complete, checked and fresh, and says when it is not.
//!
//! One stateless binary: each call makes one pass, records what it did in one local SQLite file, and
//! exits with a code that tells the truth. This page is the map; the way in for users is the README.
//!
//! # The line
//!
//! Facts travel one way, and no station calls back:
//!
//! ```text
//! main ─► cli ─► config
//!          │
//!          ├─► pipeline ─► plan ─► fetch (─► provider) ─► validate ─► store
//!          │        │         ─► action ─► derive ─► feature, quality ─► store ─► account
//!          │        └─ Event ─► sink given by cli ─► render::progress, log lines, trace
//!          └─► store (facts) ─► report ─► render ─► stdout
//!                                   └─► notify ─► those who are told
//! ```
//!
//! # The rooms, in reading order
//!
//! | room | what it does | what it never does |
//! |---|---|---|
//! | [`domain`] | the vocabulary: bars, series, ranges, gaps, runs, policies | import another room |
//! | [`calendar`] | which sessions exist, which bars are due at an instant | read a clock |
//! | [`config`] | finds, reads and checks the config; the only reader of the environment | read a key before it is needed |
//! | [`plan`] | what is wanted, less what is held, as the cheapest requests; the reasons of gaps | touch anything |
//! | [`provider`] | words requests, reads replies | send, wait, store |
//! | [`fetch`] | sends; retries; keeps to quota, breaker and budgets; hears signals: the only async room | decide what to ask for |
//! | [`validate`] | sorts rows into bars, rejected ones and dropped ones | fail |
//! | [`action`] | holds splits and dividends against the bars; what they do to older ones | change a stored bar |
//! | [`mod@derive`] | makes bars of the timeframes that a provider lacks | fill a hole |
//! | [`feature`] | computes the features of bars, in one pass or resumed at any bar | touch anything |
//! | [`quality`] | says what looks suspicious in stored bars, and what a series' quality comes to | refuse a bar |
//! | [`store`] | all SQL, one writer, the lock | judge |
//! | [`pipeline`] | the straight line of one run | anything by itself |
//! | [`freshness`], [`report`] | judge facts at an instant | read a clock or a file |
//! | [`mod@trace`] | a run as spans, sent to a collector | fail a run, or hold it up for long |
//! | [`notify`] | tells the outside of alerts and runs | fail a run, decide what is news |
//! | [`systemd`] | writes units, asks systemd about them | wait for long, fail a report |
//! | [`render`] | tables, JSON, the page and the live screen | arithmetic beyond units |
//! | [`cli`] | flags, wiring, errors in words, exit codes | decide what a number means |
//!
//! [`clock`] is the only place that asks for the time or for chance, [`logging`] the only one that
//! installs log lines, [`exit`] the one list of process codes, [`mod@file`] what replaces a file as a whole,
//! [`mod@both`] how two things are done at once;
//! [`guide`] holds the pages for those who run it, [`guide::architecture`] how to change it.
//!
//! # What holds everywhere
//!
//! - `now` is an argument of every judgement; one `now` decides for a whole command (`--as-of`).
//! - Ranges are half-open, instants are epoch seconds UTC, `1d` and `1w` bars are labelled by date.
//! - A page's bars, watermark, coverage, gaps and log row commit in one transaction.
//! - No request is sent before it is written down that it may have been: no crash makes a quota forget.
//! - What happened is data: a failed attempt, a rejected row, a stale series are rows that get shown.
//!   An error is only what stops the program from knowing.
//! - Nothing from outside is trusted, and no key reaches a URL, a log, a row or a report.
//! - A new provider, calendar, command or report is a new file and a line in a table.
//!
//! The arrows between rooms are kept by `tests/it/tidy.rs` and by the lints of `.clippy.toml`.

pub mod action;
pub mod both;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod config;
pub mod derive;
pub mod domain;
pub mod exit;
pub mod feature;
pub mod fetch;
pub mod file;
pub mod freshness;
pub mod guide;
pub mod logging;
pub mod notify;
pub mod pipeline;
pub mod plan;
pub mod provider;
pub mod quality;
pub mod render;
pub mod report;
pub mod store;
pub mod systemd;
pub mod trace;
pub mod validate;
