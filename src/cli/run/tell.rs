//! A run at work, in log lines.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::Settings;
use crate::domain::event::Event;
use crate::domain::run::{Attempt, Failure, PageCounts, RunStatus, Totals};
use crate::domain::series::{SeriesKey, Symbol};

/// Says in log lines what a run at work says.
pub(in crate::cli) struct Teller<'a> {
    /// Whom each symbol is asked of.
    providers: HashMap<&'a Symbol, &'a str>,
}

impl<'a> Teller<'a> {
    pub(in crate::cli) fn new(settings: &'a Settings) -> Self {
        let members = settings.members();
        Self {
            providers: members
                .map(|(group, member)| (&member.symbol, group.provider.as_str()))
                .collect(),
        }
    }

    fn provider(&self, symbol: &Symbol) -> Option<&'a str> {
        self.providers.get(symbol).copied()
    }

    pub(in crate::cli) fn tell(&self, event: &Event) {
        match event {
            Event::Planned { jobs, requests, notes, .. } => {
                for note in notes {
                    tracing::info!("{note}");
                }
                tracing::info!(jobs, requests, "planned");
            }
            Event::JobStarted { symbol, .. } => {
                tracing::debug!(%symbol, provider = self.provider(symbol), "job started");
            }
            Event::PageStored { counts, attempt, .. } => page_stored(attempt, counts),
            Event::Answered { attempt, rows } => tracing::debug!(
                provider = attempt.provider,
                what = attempt.word(),
                attempt = attempt.number,
                rows,
                "a whole market answered"
            ),
            Event::AttemptFailed { attempt, retry_in, .. } => attempt_failed(attempt, *retry_in),
            Event::Redirected { attempt } => tracing::debug!(
                symbol = %attempt.series.symbol,
                timeframe = attempt.word(),
                provider = attempt.provider,
                attempt = attempt.number,
                "redirected"
            ),
            Event::QuotaWait { provider, wait } => {
                tracing::debug!(provider, wait_ms = millis(*wait), "waiting for the quota");
            }
            Event::LogGrown { bytes } => tracing::warn!(
                bytes,
                "the database's log grows, for a program reads the database in a transaction that it \
                 does not end"
            ),
            Event::Ending { reason, grace } => {
                let grace_ms = millis(*grace);
                tracing::warn!(grace_ms, "{reason}; what is in flight may finish");
            }
            Event::Failed(failure) => self.failed(failure),
            Event::Narrowed { series, message } => self.warn(series, message),
            Event::Restated { series } => self.warn(
                series,
                "the provider has restated its adjusted prices; the whole series is fetched again",
            ),
            Event::JobToRetry { symbol, error } => tracing::warn!(
                %symbol,
                provider = self.provider(symbol),
                "job failed so far and is tried again at the end: {error}"
            ),
            Event::JobFinished(job) => tracing::info!(
                symbol = %job.symbol,
                provider = self.provider(&job.symbol),
                status = %job.status,
                inserted = job.records_inserted,
                updated = job.records_updated,
                "job finished"
            ),
            // That they could not be is told by `Failed`.
            Event::Computed { fact, .. } if fact.error.is_none() => tracing::debug!(
                symbol = %fact.series.symbol,
                timeframe = %fact.series.timeframe,
                rows = fact.rows,
                took_ms = millis(fact.took),
                "features computed"
            ),
            Event::Computed { .. } | Event::Concluded { .. } => {}
            Event::Finished { status, totals, exit_code } => {
                finished(*status, totals, *exit_code);
            }
        }
    }

    fn failed(&self, failure: &Failure) {
        tracing::error!(
            symbol = %failure.series.symbol,
            timeframe = failure.word(),
            provider = self.provider(&failure.series.symbol),
            stage = %failure.stage,
            kind = %failure.kind,
            attempts = failure.attempts,
            "{}",
            failure.message
        );
    }

    fn warn(&self, series: &SeriesKey, message: &str) {
        tracing::warn!(
            symbol = %series.symbol,
            timeframe = %series.timeframe,
            provider = self.provider(&series.symbol),
            "{message}"
        );
    }
}

fn page_stored(attempt: &Attempt, counts: &PageCounts) {
    tracing::debug!(
        symbol = %attempt.series.symbol,
        timeframe = attempt.word(),
        provider = attempt.provider,
        attempt = attempt.number,
        inserted = counts.inserted,
        updated = counts.updated,
        rejected = counts.rejected,
        dropped = counts.dropped,
        "page stored"
    );
    if counts.rejected > 0 {
        tracing::warn!(
            symbol = %attempt.series.symbol,
            timeframe = attempt.word(),
            provider = attempt.provider,
            rejected = counts.rejected,
            "rows that cannot be true were refused; see mdctl quality {}",
            attempt.series.symbol
        );
    }
}

fn finished(status: RunStatus, totals: &Totals, exit_code: u8) {
    tracing::info!(
        %status,
        successful = totals.successful,
        failed = totals.failed,
        inserted = totals.records_inserted,
        updated = totals.records_updated,
        deferred = totals.deferred,
        requests = totals.requests,
        exit_code,
        "run finished"
    );
}

fn attempt_failed(attempt: &Attempt, retry_in: Option<Duration>) {
    let Some(fault) = &attempt.fault else { return };
    if attempt.about.is_lacking(fault.kind) {
        tracing::info!(
            symbol = %attempt.series.symbol,
            timeframe = attempt.word(),
            provider = attempt.provider,
            attempt = attempt.number,
            kind = %fault.kind,
            "not to be had: {}",
            fault.message
        );
        return;
    }
    tracing::warn!(
        symbol = %attempt.series.symbol,
        timeframe = attempt.word(),
        provider = attempt.provider,
        attempt = attempt.number,
        kind = %fault.kind,
        retry_in_ms = retry_in.map(millis),
        "{}",
        fault.message
    );
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
