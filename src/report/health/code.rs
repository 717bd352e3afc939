//! The codes of issues: stable names, each with a section of its own in the runbook.

/// What kind of issue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// No run has finished for longer than `[health] max_run_age`.
    RunOverdue,
    /// The last run failed as a whole, was aborted, or crashed.
    LastRunFailed,
    /// Some jobs of the last run failed.
    LastRunPartial,
    /// A provider's breaker is open, or every job of it failed.
    ProviderDown,
    /// The config tracks no symbol.
    NoSymbols,
    /// Series without a bar.
    SeriesMissing,
    /// Series that lag, or whose features lag behind their bars.
    SeriesStale,
    /// Series that lack bars between those that they have.
    SeriesHoles,
    /// Series that failed in run after run.
    KeepsFailing,
    /// Symbols for which nothing comes any more, while others go on.
    SuspectedDelisted,
    /// Series whose quality is low for what is held, or that are half restated.
    LowQuality,
    /// Splits and dividends that the bars contradict.
    SplitDisputed,
    /// More jobs failed lately than `[health] max_failure_rate` allows.
    HighFailureRate,
    /// Too many answers said: too many requests; or a provider wants to be left alone.
    RateLimited,
    /// Runs or bars lie ahead of this machine's clock.
    ClockWrong,
    /// The disk under the database is nearly full.
    DiskLow,
    /// Runs do nothing, by order.
    Paused,
    /// Somebody could not be told of an alert.
    AlertsUnsent,
}

impl Code {
    /// Each of them.
    pub const ALL: [Self; 18] = [
        Self::RunOverdue,
        Self::LastRunFailed,
        Self::LastRunPartial,
        Self::ProviderDown,
        Self::NoSymbols,
        Self::SeriesMissing,
        Self::SeriesStale,
        Self::SeriesHoles,
        Self::KeepsFailing,
        Self::SuspectedDelisted,
        Self::LowQuality,
        Self::SplitDisputed,
        Self::HighFailureRate,
        Self::RateLimited,
        Self::ClockWrong,
        Self::DiskLow,
        Self::Paused,
        Self::AlertsUnsent,
    ];

    /// Its word in tables, JSON and rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RunOverdue => "run_overdue",
            Self::LastRunFailed => "last_run_failed",
            Self::LastRunPartial => "last_run_partial",
            Self::ProviderDown => "provider_down",
            Self::NoSymbols => "no_symbols",
            Self::SeriesMissing => "series_missing",
            Self::SeriesStale => "series_stale",
            Self::SeriesHoles => "series_holes",
            Self::KeepsFailing => "keeps_failing",
            Self::SuspectedDelisted => "suspected_delisted",
            Self::LowQuality => "low_quality",
            Self::SplitDisputed => "split_disputed",
            Self::HighFailureRate => "high_failure_rate",
            Self::RateLimited => "rate_limited",
            Self::ClockWrong => "clock_wrong",
            Self::DiskLow => "disk_low",
            Self::Paused => "paused",
            Self::AlertsUnsent => "alerts_unsent",
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
