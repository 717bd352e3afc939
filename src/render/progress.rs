//! What a run at work shows: a bar on a terminal, nothing elsewhere, where log lines speak.
//!
//! Log lines and bar share the terminal: whoever prints suspends the bar ([`Progress::screen`]).

use std::collections::BTreeSet;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::event::Event;
use crate::domain::run::JobStatus;
use crate::domain::series::Symbol;
use crate::domain::time::seconds;

use crate::domain::words::{count, span};

/// The bar, if there is one.
pub struct Progress {
    bar: Option<ProgressBar>,
    at_work: BTreeSet<Symbol>,
    bars: u64,
    requests: u64,
    failed: u64,
    waited: Duration,
}

/// A bar on `screen` for the pages of a database that is copied.
#[must_use]
pub fn copying(screen: &MultiProgress) -> ProgressBar {
    let bar = screen.add(ProgressBar::new(0));
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} [{bar:24}] {percent}% copied{msg}, {elapsed} gone")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    // While the copy is checked nothing else moves.
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Shows on such a bar that `done` pages `of` so many are copied.
pub fn copied(bar: &ProgressBar, done: u64, of: u64) {
    bar.set_length(of);
    bar.set_position(done);
    if done == of {
        bar.set_message(" and being checked");
    }
}

impl Progress {
    /// A bar on `screen` when `shown`; else nothing.
    #[must_use]
    pub fn new(screen: &MultiProgress, shown: bool) -> Self {
        let bar = shown.then(|| {
            let bar = screen.add(ProgressBar::new(0));
            // The template is a constant: it cannot fail, and without it the bar is only plainer.
            if let Ok(style) = ProgressStyle::with_template(
                "{spinner} [{bar:24}] {pos}/{len} symbols, {elapsed} gone, {eta} left  {wide_msg}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            at_work: BTreeSet::new(),
            bars: 0,
            requests: 0,
            failed: 0,
            waited: Duration::ZERO,
        }
    }

    /// The screen that bars and log lines share; hidden when there is to be no bar.
    #[must_use]
    pub fn screen(shown: bool) -> MultiProgress {
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        MultiProgress::with_draw_target(target)
    }

    /// Shows what happened.
    pub fn take(&mut self, event: &Event) {
        let Some(bar) = &self.bar else { return };
        match event {
            Event::Planned { jobs, .. } => bar.set_length(*jobs),
            Event::JobStarted { symbol, .. } => {
                self.at_work.insert(symbol.clone());
            }
            Event::PageStored { counts, attempt, .. } => {
                self.bars += counts.inserted + counts.updated;
                self.requests += u64::from(attempt.http_status.is_some());
            }
            Event::Answered { .. } | Event::AttemptFailed { .. } | Event::Redirected { .. } => {
                self.requests += 1;
            }
            Event::QuotaWait { wait, .. } => self.waited += *wait,
            Event::JobFinished(job) => {
                self.at_work.remove(&job.symbol);
                self.failed += u64::from(job.status == JobStatus::Failed);
                bar.inc(1);
            }
            Event::Finished { .. } => return bar.finish_and_clear(),
            Event::Failed(_)
            | Event::LogGrown { .. }
            | Event::Narrowed { .. }
            | Event::Restated { .. }
            | Event::JobToRetry { .. }
            | Event::Computed { .. }
            | Event::Concluded { .. }
            | Event::Ending { .. } => {}
        }
        bar.set_message(self.message(bar.elapsed()));
    }

    fn message(&self, elapsed: Duration) -> String {
        let rate = self.bars as f64 / elapsed.as_secs_f64().max(0.1);
        let mut parts = vec![format!("{} bars, {rate:.0}/s", count(self.bars))];
        if self.requests > 0 {
            parts.push(format!("{} requests", count(self.requests)));
        }
        if !self.waited.is_zero() {
            let waited = seconds(self.waited);
            parts.push(format!("quota wait {}", span(waited)));
        }
        if self.failed > 0 {
            parts.push(format!("{} failed", count(self.failed)));
        }
        let at_work: Vec<&str> = self.at_work.iter().map(|symbol| symbol.as_str()).collect();
        parts.push(at_work.join(" "));
        parts.join("  ")
    }
}
