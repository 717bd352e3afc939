//! What the events of a rehearsal tell.

use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::run::{Attempt, ErrorKind};

/// What the events of a rehearsal tell of its requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub(super) requests: u64,
    pub(super) rate_limited: u64,
    pub(super) bars: u64,
    pub(super) quota: Duration,
    pub(super) response: Duration,
    pub(super) decode: Duration,
    pub(super) for_writer: Duration,
    pub(super) validate: Duration,
}

impl Tally {
    /// Takes note of what happened.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::PageStored { attempt, validated, counts, .. } => {
                self.add(attempt);
                self.bars += counts.inserted;
                self.validate += validated.map_or(Duration::ZERO, |took| took.to - took.from);
            }
            Event::AttemptFailed { attempt, retry_in, validated } => {
                self.add(attempt);
                self.validate += validated.map_or(Duration::ZERO, |took| took.to - took.from);
                let is_limited = |kind| kind == ErrorKind::RateLimited;
                if attempt.fault.as_ref().is_some_and(|fault| is_limited(fault.kind)) {
                    self.rate_limited += 1;
                    self.quota += retry_in.unwrap_or_default();
                }
            }
            Event::Redirected { attempt } => self.add(attempt),
            _ => {}
        }
    }

    fn add(&mut self, attempt: &Attempt) {
        self.requests += 1;
        self.quota += attempt.pace.quota;
        self.response += attempt.response_time;
        self.decode += attempt.pace.decode;
        self.for_writer += attempt.pace.writer;
    }
}
