//! The wall clock and chance: the only place that asks either.
//!
//! Judgements take `now` as an argument; one `now` decides for a whole command. Stamps on attempts
//! take the clock as they happen.

use std::time::Instant;

use chrono::Utc;
use ulid::Ulid;

use crate::domain::provider_state::{Boot, Stamp};
use crate::domain::run::RunId;

/// This instant, epoch seconds UTC.
#[must_use]
pub fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    Utc::now().timestamp()
}

/// A run's own time: it begins with the wall clock's and then only goes forward, evenly, whatever is
/// done to the wall clock meanwhile.
#[derive(Clone, Debug)]
pub struct Timeline {
    origin: Instant,
    origin_at: i64,
}

impl Timeline {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
        let origin_at = Utc::now().timestamp_micros();
        Self { origin: Instant::now(), origin_at }
    }

    /// When it began, microseconds since 1970 UTC.
    #[must_use]
    pub const fn began_at(&self) -> i64 {
        self.origin_at
    }

    /// Microseconds since 1970 UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.at(Instant::now())
    }

    /// The instant on this timeline at which it shows `at`; now, when that is past.
    #[must_use]
    pub fn instant(&self, at: i64) -> Instant {
        let ahead = u64::try_from(at.saturating_sub(self.origin_at)).unwrap_or(0);
        // Far enough for every wait, and near enough to be added to an instant.
        const FAR: u64 = 366 * 86_400 * 1_000_000;
        self.origin + std::time::Duration::from_micros(ahead.min(FAR))
    }

    /// What it shows at an instant; its own beginning, for those before it.
    #[must_use]
    pub fn at(&self, instant: Instant) -> i64 {
        let since = instant.saturating_duration_since(self.origin);
        self.origin_at.saturating_add(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// This instant, for what outlives the run.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { at: self.now(), boot: boot() }
    }
}

/// How long the machine is up.
#[cfg(target_os = "linux")]
fn boot() -> Option<Boot> {
    use rustix::time::{ClockId, clock_gettime};
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let uptime = clock_gettime(ClockId::Boottime);
    let uptime = uptime.tv_sec.saturating_mul(1_000_000).saturating_add(uptime.tv_nsec / 1_000);
    Some(Boot { id: id.trim().to_owned(), uptime })
}

/// Not every system tells.
#[cfg(not(target_os = "linux"))]
fn boot() -> Option<Boot> {
    None
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
