//! A run at work, in log lines.

use crate::domain::event::Event;

/// Says in log lines what a run at work says.
pub(super) fn tell(event: &Event) {
    match event {
        Event::Planned { jobs, requests, notes, .. } => {
            for note in notes {
                tracing::info!("{note}");
            }
            tracing::info!(jobs, requests, "planned");
        }
        Event::JobStarted { symbol } => tracing::debug!(%symbol, "job started"),
        Event::PageStored { series, counts, attempt } => tracing::debug!(
            symbol = %series.symbol,
            timeframe = attempt.word(),
            provider = attempt.provider,
            attempt = attempt.number,
            inserted = counts.inserted,
            updated = counts.updated,
            rejected = counts.rejected,
            dropped = counts.dropped,
            "page stored"
        ),
        Event::AttemptFailed { attempt, retry_in } => {
            let Some(fault) = &attempt.fault else { return };
            if attempt.about.is_lacking(fault.kind) {
                tracing::info!(
                    symbol = %attempt.series.symbol,
                    timeframe = attempt.word(),
                    provider = attempt.provider,
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
                retry_in_ms = retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
                "{}",
                fault.message
            );
        }
        Event::QuotaWait { provider, wait } => {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(provider, wait_ms, "waiting for the quota");
        }
        Event::LogGrown { bytes } => tracing::warn!(
            bytes,
            "the database's log grows, for a program reads the database in a transaction that it does \
             not end"
        ),
        Event::Ending { reason, grace } => {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(grace_ms, "{reason}; what is in flight may finish");
        }
        Event::Failed(failure) => tracing::error!(
            symbol = %failure.series.symbol,
            timeframe = failure.word(),
            stage = %failure.stage,
            kind = %failure.kind,
            attempts = failure.attempts,
            "{}",
            failure.message
        ),
        Event::Narrowed { series, message } => {
            tracing::warn!(symbol = %series.symbol, timeframe = %series.timeframe, "{message}");
        }
        Event::Restated { series } => tracing::warn!(
            symbol = %series.symbol,
            timeframe = %series.timeframe,
            "the provider has restated its adjusted prices; the whole series is fetched again"
        ),
        Event::JobToRetry { symbol, error } => {
            tracing::warn!(%symbol, "job failed so far and is tried again at the end: {error}");
        }
        Event::JobFinished(job) => tracing::info!(
            symbol = %job.symbol,
            status = %job.status,
            inserted = job.records_inserted,
            updated = job.records_updated,
            "job finished"
        ),
        Event::Finished { status, totals } => tracing::info!(
            %status,
            successful = totals.successful,
            failed = totals.failed,
            inserted = totals.records_inserted,
            updated = totals.records_updated,
            requests = totals.requests,
            "run finished"
        ),
    }
}
