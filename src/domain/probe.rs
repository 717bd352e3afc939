//! What comes of trying whether things work: a provider asked once, a database looked at as a whole.

use std::time::Duration;

use super::run::Fault;

/// One request, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What was asked for, `AAPL 1d`.
    pub about: String,
    /// What came.
    pub came: Came,
    /// By how many seconds this machine's clock is surely ahead of the provider's, behind it when negative;
    /// `None` when the answer does not tell the time.
    pub ahead_seconds: Option<i64>,
}

/// What a single request came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// An answer with so many bars.
    Bars(u64, Duration),
    /// The word that it is to be had elsewhere, within the origin; runs follow it.
    Elsewhere,
    /// It went wrong, or its breaker is open.
    Wrong(Fault),
    /// It was not sent: the provider has asked not to be asked, and why.
    Held(String),
    /// It was not sent: the quota lets nothing more through before then.
    Spent(String),
}

/// What a look at the whole database found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// Nothing is wrong; `true` when the indices were held against their tables as well.
    Sound(bool),
    /// This is wrong.
    Damaged(Vec<String>),
    /// It was not done in time, and had found nothing till then.
    TooLong,
}
