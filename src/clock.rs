//! The wall clock and chance: the only place that asks either.
//!
//! Judgements take `now` as an argument; one `now` decides for a whole command. Stamps on attempts
//! take the clock as they happen.

use chrono::Utc;
use ulid::Ulid;

use crate::domain::run::RunId;

/// This instant, epoch seconds UTC.
#[must_use]
pub fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    Utc::now().timestamp()
}

/// A new run's id: this instant in milliseconds, and 80 bits of chance.
#[must_use]
pub fn new_run_id(chance: &mut Chance) -> RunId {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    let millis = u64::try_from(Utc::now().timestamp_millis()).unwrap_or(0);
    RunId(Ulid::from_parts(millis, chance.0.u128(..)).to_string())
}

/// Where chance comes from: jitter and ids, nothing secret.
#[derive(Clone, Debug)]
pub struct Chance(fastrand::Rng);

impl Chance {
    /// Chance that nobody chose.
    #[must_use]
    pub fn new() -> Self {
        Self(fastrand::Rng::new())
    }

    /// Chance that repeats itself.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A number from 0 up to, not including, 1.
    pub fn fraction(&mut self) -> f64 {
        self.0.f64()
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
