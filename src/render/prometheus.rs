//! What monitoring is told, in Prometheus' text format: base units, `_total` for what only grows, a HELP
//! and a TYPE line before each family.

use std::fmt::Display;
use std::io::{self, Write};

use crate::domain::provider_state::{BreakerStatus, QuotaLeft};
use crate::domain::run::RunStatus;
use crate::domain::shard::Shard;
use crate::domain::total::{GrandTotals, TimeBucket, Traffic};
use crate::report::breaker::BreakerRow;
use crate::report::staleness::Counts;
use crate::report::telemetry::{Known, LastRun, Telemetry};

/// Writes all of it; with a shard, every sample says whose it is.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn write(out: &mut dyn Write, told: &Telemetry, shard: Option<Shard>) -> io::Result<()> {
    let shard = shard.map(|shard| shard.to_string());
    let mut text = Text { out, shard: shard.as_deref(), name: "" };
    text.gauge("mdctl_build_info", "1, with the version of the mdctl that wrote this.")?;
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1)?;
    let help = "When these figures were written. A file that is written after every run and grows old \
                means that nothing runs.";
    text.single("mdctl_metrics_timestamp_seconds", help, told.at)?;
    let help = "The instant that data is judged at: the same, but for a run with --as-of.";
    text.single("mdctl_judged_timestamp_seconds", help, told.judged_at)?;
    let help =
        "Whether the database could be read when this was written. If not, little else is told.";
    text.single("mdctl_database_readable", help, u8::from(told.known.is_some()))?;
    let help = "The age of the last run from which on it is overdue, as the config has it.";
    text.single("mdctl_run_max_age_seconds", help, told.max_run_age_seconds)?;
    if let Some(run) = &told.last_run {
        last_run(&mut text, run)?;
    }
    match &told.known {
        Some(known) => everything(&mut text, known),
        None => Ok(()),
    }
}

fn last_run(text: &mut Text<'_>, run: &LastRun) -> io::Result<()> {
    let help = "When the last run ended, in whatever way, or, if it crashed, began; runs that a pause made \
                skip do not count.";
    text.single("mdctl_last_run_timestamp_seconds", help, run.ended_at)?;
    text.gauge("mdctl_last_run_info", "1, with the command of the last run and who called it.")?;
    text.sample(&[("command", &run.command), ("trigger", &run.trigger)], 1)?;
    text.gauge("mdctl_last_run_status", "1 for the status of the last run, 0 for all others.")?;
    for status in RunStatus::ALL {
        // It has ended, and those that were skipped do not count.
        if !matches!(status, RunStatus::Running | RunStatus::Skipped) {
            let is_it = status == run.status;
            text.sample(&[("status", status.as_str())], u8::from(is_it))?;
        }
    }
    if let Some(code) = run.exit_code {
        let help = "The exit code of the last run: 0 when all went well. A crashed run has none.";
        text.single("mdctl_last_run_exit_code", help, code)?;
    }
    if let Some(seconds) = run.duration_seconds {
        let help = "How long the last run took, waits for quotas included.";
        text.single("mdctl_run_duration_seconds", help, seconds)?;
    }
    let Some(totals) = &run.totals else { return Ok(()) };
    let help = "How long the last run waited for quotas; the rest of its duration it worked.";
    text.single("mdctl_run_quota_wait_seconds", help, totals.quota_wait_seconds)?;
    text.gauge("mdctl_run_jobs", "Jobs of the last run, one a symbol, by how they ended.")?;
    text.sample(&[("status", "completed")], totals.successful)?;
    text.sample(&[("status", "failed")], totals.failed)?;
    text.sample(&[("status", "deferred")], totals.deferred)?;
    text.sample(&[("status", "skipped")], totals.skipped)
}

fn everything(text: &mut Text<'_>, known: &Known) -> io::Result<()> {
    if let Some(at) = known.last_success_at {
        let help = "When the last run ended of which every job succeeded, or nothing was due.";
        text.single("mdctl_last_success_timestamp_seconds", help, at)?;
    }
    let help = "Whether a run was at work when this was written.";
    text.single("mdctl_run_in_progress", help, u8::from(known.is_running))?;
    let help = "Whether runs are paused.";
    text.single("mdctl_paused", help, u8::from(known.pause.is_some()))?;
    if let Some(pause) = &known.pause {
        let help = "Until when runs are paused.";
        text.single("mdctl_paused_until_timestamp_seconds", help, pause.until)?;
    }
    let help = "The verdict: 0 healthy, 1 degraded, 2 critical; what `mdctl health` exits with.";
    text.single("mdctl_health_status", help, known.status.exit().code())?;
    let help = "The issues of `mdctl health`: how many series, providers or runs each is about.";
    text.gauge("mdctl_health_issues", help)?;
    for ((code, severity), count) in &known.issues {
        text.sample(&[("code", code), ("severity", severity)], count)?;
    }
    series(text, known)?;
    quality(text, known)?;
    providers(text, &known.breakers, &known.quotas)?;
    let help = "Bytes of the database's file, free ones in it included.";
    text.single("mdctl_database_size_bytes", help, known.database_bytes)?;
    match &known.totals {
        Some(totals) => counters(text, totals),
        None => Ok(()),
    }
}

fn series(text: &mut Text<'_>, known: &Known) -> io::Result<()> {
    text.single("mdctl_symbols", "Symbols of the config.", known.symbols)?;
    text.gauge("mdctl_series", "Series by freshness, the worse of its bars' and its features'.")?;
    let Counts { fresh, aging, stale, missing } = known.counts;
    for (status, count) in
        [("fresh", fresh), ("aging", aging), ("stale", stale), ("missing", missing)]
    {
        text.sample(&[("status", status)], count)?;
    }
    let help = "How long ago the first due bar became due that is not stored; 0 when the tail is complete.";
    text.gauge("mdctl_series_lag_seconds", help)?;
    for (key, lag) in &known.lags {
        let labels = [("symbol", key.symbol.as_str()), ("timeframe", key.timeframe.as_str())];
        text.sample(&labels, lag)?;
    }
    let help = "Series whose features are stale or missing.";
    text.single("mdctl_stale_features", help, known.stale_features)?;
    text.gauge("mdctl_bars", "Stored bars of the symbols of the config.")?;
    for (timeframe, bars) in &known.bars {
        text.sample(&[("timeframe", timeframe.as_str())], bars)?;
    }
    let help = "Due bars that are not stored, by reason, as the last run found them; no_trade, \
                pre_listing and delisted are no holes.";
    text.gauge("mdctl_missing_bars", help)?;
    for (reason, bars) in &known.missing {
        text.sample(&[("reason", reason.as_str())], bars)?;
    }
    Ok(())
}

fn quality(text: &mut Text<'_>, known: &Known) -> io::Result<()> {
    let help = "The quality of a symbol's bars, 0 to 1: the score of the worst of its timeframes; a symbol \
                without bars has none.";
    text.gauge("mdctl_quality_score", help)?;
    for (symbol, score) in &known.scores {
        text.sample(&[("symbol", symbol.as_str())], score)?;
    }
    if let Some(share) = known.quality.avg_validation_rate {
        let help = "Stored of all rows that came, 0 to 1, on average over all series.";
        text.single("mdctl_validation_ratio", help, share)?;
    }
    if let Some(share) = known.quality.avg_completeness {
        let help = "Stored of the due bars, 0 to 1, on average over all series.";
        text.single("mdctl_completeness_ratio", help, share)?;
    }
    Ok(())
}

fn providers(text: &mut Text<'_>, breakers: &[BreakerRow], quotas: &[QuotaLeft]) -> io::Result<()> {
    text.gauge(
        "mdctl_breaker_state",
        "1 for the state of a provider's breaker, 0 for the others.",
    )?;
    for row in breakers {
        for state in [BreakerStatus::Closed, BreakerStatus::HalfOpen, BreakerStatus::Open] {
            let labels = [("provider", row.name.as_str()), ("state", state.as_str())];
            text.sample(&labels, u8::from(state == row.status))?;
        }
    }
    let help = "Until when a provider is not asked, at its own word; absent while it may be asked.";
    text.gauge("mdctl_provider_held_until_timestamp_seconds", help)?;
    for row in breakers {
        if let Some((until, _)) = &row.held {
            text.sample(&[("provider", &row.name)], until)?;
        }
    }
    let help = "Requests that a provider's quota allowed at once when this was written.";
    text.gauge("mdctl_quota_tokens", help)?;
    for quota in quotas {
        text.sample(&[("provider", &quota.provider)], quota.requests)?;
    }
    let help = "Requests that a provider's quota allows at once when none of it is used.";
    text.gauge("mdctl_quota_limit", help)?;
    for quota in quotas {
        text.sample(&[("provider", &quota.provider)], quota.at_once)?;
    }
    Ok(())
}

fn counters(text: &mut Text<'_>, totals: &GrandTotals) -> io::Result<()> {
    text.counter("mdctl_runs_total", "Runs by how they ended.")?;
    for run in &totals.runs {
        let labels = [("command", run.command.as_str()), ("status", run.status.as_str())];
        text.sample(&labels, run.count)?;
    }
    let help = "Bars written: new ones, and ones that differed from what was stored.";
    text.counter("mdctl_bars_written_total", help)?;
    text.sample(&[("change", "inserted")], totals.bars_inserted)?;
    text.sample(&[("change", "updated")], totals.bars_updated)?;
    let help = "Requests of runs that have ended; the outcome is ok or the kind of error.";
    text.counter("mdctl_fetch_requests_total", help)?;
    for row in &totals.requests {
        let labels = [("provider", row.provider.as_str()), ("outcome", row.outcome.as_str())];
        text.sample(&labels, row.count)?;
    }
    text.counter("mdctl_fetch_retries_total", "Requests that were second tries or later.")?;
    for traffic in &totals.traffic {
        text.sample(&[("provider", &traffic.provider)], traffic.retries)?;
    }
    text.counter("mdctl_fetch_bytes_total", "Unpacked bytes of the answers.")?;
    for traffic in &totals.traffic {
        text.sample(&[("provider", &traffic.provider)], traffic.bytes)?;
    }
    durations(text, &totals.traffic)?;
    text.counter("mdctl_computations_total", "How often features of a series were computed.")?;
    text.sample(&[("outcome", "ok")], totals.computed)?;
    text.sample(&[("outcome", "failed")], totals.not_computed)?;
    text.counter("mdctl_computation_seconds_total", "How long computing features took.")?;
    text.sample(&[], totals.computation_time_ms / 1_000.0)
}

/// The histogram of response times.
fn durations(text: &mut Text<'_>, all: &[Traffic]) -> io::Result<()> {
    let help = "How long requests took, from sending to the last byte.";
    text.family("mdctl_fetch_duration_seconds", "histogram", help)?;
    for traffic in all {
        let provider = ("provider", traffic.provider.as_str());
        let mut within = 0;
        for TimeBucket { up_to_ms, requests } in &traffic.times {
            within += requests;
            let bound = up_to_ms.map_or_else(|| "+Inf".to_owned(), |ms| seconds(ms).to_string());
            text.ending("_bucket", &[provider, ("le", &bound)], within)?;
        }
        text.ending("_sum", &[provider], seconds(traffic.response_time_ms))?;
        text.ending("_count", &[provider], within)?;
    }
    Ok(())
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

/// The text being written, one family after the other.
struct Text<'a> {
    out: &'a mut dyn Write,
    shard: Option<&'a str>,
    /// The family whose samples are being written.
    name: &'static str,
}

impl Text<'_> {
    fn gauge(&mut self, name: &'static str, help: &str) -> io::Result<()> {
        self.family(name, "gauge", help)
    }

    fn counter(&mut self, name: &'static str, help: &str) -> io::Result<()> {
        self.family(name, "counter", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> io::Result<()> {
        self.name = name;
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    /// A gauge of one sample.
    fn single(&mut self, name: &'static str, help: &str, value: impl Display) -> io::Result<()> {
        self.gauge(name, help)?;
        self.sample(&[], value)
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> io::Result<()> {
        self.ending("", labels, value)
    }

    /// A sample whose name is the family's and `ending`.
    fn ending(
        &mut self,
        ending: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) -> io::Result<()> {
        write!(self.out, "{}{ending}", self.name)?;
        let shard = self.shard.map(|shard| ("shard", shard));
        let mut before = '{';
        for (label, value) in labels.iter().copied().chain(shard) {
            write!(self.out, "{before}{label}=\"{}\"", escaped(value))?;
            before = ',';
        }
        let close = if before == '{' { "" } else { "}" };
        writeln!(self.out, "{close} {value}")
    }
}

/// A label's value as it stands between its quotes.
fn escaped(value: &str) -> std::borrow::Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return value.into();
    }
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Text<'_>) -> io::Result<()>, shard: Option<&str>) -> String {
        let mut out = Vec::new();
        write(&mut Text { out: &mut out, shard, name: "" }).expect("a vector takes all");
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn what_cannot_stand_between_quotes_is_escaped() {
        let labels = [("symbol", "A\"B\\C\nD")];
        let sample = |text: &mut Text<'_>| {
            text.gauge("mdctl_x", "a\\b\nc")?;
            text.sample(&labels, 1.5)
        };
        assert_eq!(
            text(sample, None),
            "# HELP mdctl_x a\\\\b\\nc\n# TYPE mdctl_x gauge\nmdctl_x{symbol=\"A\\\"B\\\\C\\nD\"} 1.5\n"
        );
    }

    #[test]
    fn every_sample_says_whose_shard_it_is() {
        let samples = |text: &mut Text<'_>| {
            text.single("mdctl_x", "x", 1)?;
            text.ending("_sum", &[("a", "b")], 2)
        };
        let written = text(samples, Some("1/4"));
        assert!(
            written.ends_with("mdctl_x{shard=\"1/4\"} 1\nmdctl_x_sum{a=\"b\",shard=\"1/4\"} 2\n")
        );
    }
}
