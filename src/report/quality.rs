//! How good every series is, and what was found wrong with it.

use std::fmt;
use std::str::FromStr;

use crate::calendar::due::Due;
use crate::config::Settings;
use crate::domain::anomaly::{Anomaly, AnomalyCode};
use crate::domain::bar::{BarFields, RejectReason};
use crate::domain::fact::{Found, QualityFact, RejectedFact, SeriesFact};
use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::TimeRange;
use crate::domain::series::SeriesKey;
use crate::domain::timeframe::Timeframe;
use crate::exit::Exit;
use crate::quality::{DueCounts, LOW_SCORE, LOW_VALIDATION, POOR_SCORE, Tally, measure, tally};

use super::Facts;

/// What the store counted of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// What was found of it.
    pub found: Found,
    /// Its stored bars in sessions that are not due: not yet, or they are older than its lookback.
    pub undue: u64,
}

/// A series' quality.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesQuality {
    /// Which series.
    pub key: SeriesKey,
    /// Its figures.
    pub fact: QualityFact,
    /// Its score without what is lacking after its last bar: that it is late is no fault of its bars.
    pub held_score: Option<f64>,
    /// From which `ts` on its bars are still to be looked at; `None` when all were.
    pub left_from: Option<i64>,
}

impl SeriesQuality {
    /// That of a series of which nothing is known.
    fn unknown(key: SeriesKey) -> Self {
        Self { key, fact: QualityFact::default(), held_score: None, left_from: None }
    }

    /// Whether its score is low for what is held of it.
    #[must_use]
    pub fn is_held_low(&self) -> bool {
        is_low(self.held_score)
    }

    /// Rows that were refused.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.fact.total_records - self.fact.validated_records
    }

    /// Whether its score is low.
    #[must_use]
    pub fn is_low(&self) -> bool {
        is_low(self.fact.quality_score)
    }

    /// The exit code that says how good it is: 1 when its score or its validation rate is low, 2 when
    /// it can hardly be used.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let below = |value: Option<f64>, limit: f64| value.is_some_and(|value| value < limit);
        if below(self.fact.quality_score, POOR_SCORE) {
            Exit::Failed
        } else if self.is_low() || below(self.fact.validation_rate, LOW_VALIDATION) {
            Exit::Partial
        } else {
            Exit::Success
        }
    }
}

/// Whether a score is low; one that is not known is not.
#[must_use]
pub fn is_low(score: Option<f64>) -> bool {
    score.is_some_and(|score| score < LOW_SCORE)
}

/// The quality at `now` of every series that is to be kept for its [`SeriesQuality::held_score`], the worst
/// first; those without bars, of which nothing can be said, last.
///
/// `counted` asks the store for what it counted of a series, whose stored bars in these ranges are not due.
///
/// # Errors
///
/// When `counted` fails.
pub fn judge<E>(
    settings: &Settings,
    facts: &Facts,
    now: i64,
    mut counted: impl FnMut(&SeriesFact, &Due, &[TimeRange]) -> Result<Counted, E>,
    is_kept: impl Fn(Option<f64>) -> bool,
) -> Result<Vec<SeriesQuality>, E> {
    let mut rows = Vec::new();
    let mut walk = facts.series.walk();
    for group in &settings.groups {
        let mut counts = DueCounts::new(now);
        for member in &group.members {
            let due = settings.due(group, member);
            let own = walk.of(&member.symbol);
            for timeframe in &group.timeframe_list {
                let Some(series) = own.iter().find(|fact| fact.key.timeframe == *timeframe) else {
                    let symbol = member.symbol.clone();
                    let key = SeriesKey { symbol, timeframe: *timeframe };
                    rows.extend(is_kept(None).then(|| SeriesQuality::unknown(key)));
                    continue;
                };
                let undue = counts.undue(&due, series);
                let counted = counted(series, &due, &undue)?;
                let gaps = facts.gaps_of(series.series_id);
                let tally = tally(series, (&due, &mut counts), gaps, &counted.found, counted.undue);
                let lacking = lacking_after(series, (&due, &mut counts), gaps);
                let held = Tally { due: tally.due.saturating_sub(lacking), ..tally };
                let held_score = measure(&held).quality_score;
                if is_kept(held_score) {
                    rows.push(SeriesQuality {
                        key: series.key.clone(),
                        fact: measure(&tally),
                        held_score,
                        left_from: series.quality_from(),
                    });
                }
            }
        }
    }
    let score = |row: &SeriesQuality| row.fact.quality_score.unwrap_or(f64::INFINITY);
    rows.sort_by(|a, b| score(a).total_cmp(&score(b)).then_with(|| a.key.cmp(&b.key)));
    Ok(rows)
}

/// How many bars are due after the last one and not excused.
fn lacking_after(series: &SeriesFact, (due, counts): (&Due, &mut DueCounts), gaps: &[Gap]) -> u64 {
    let Some(last) = series.watermark_ts else { return 0 };
    let excused = gaps.iter().filter(|gap| !gap.reason.is_hole() && gap.range.start > last);
    let excused: u64 = excused.map(|gap| gap.missing).sum();
    let after =
        TimeRange::new(series.due_from().map_or(last + 1, |from| from.max(last + 1)), i64::MAX);
    counts.count(due, series.key.timeframe, after).saturating_sub(excused)
}

/// What is wrong with some rows or bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Due bars between the first and the last stored one are not stored.
    MissingBar,
    /// A row was refused.
    Rejected(RejectReason),
    /// Stored bars look suspicious.
    Anomaly(AnomalyCode),
}

impl Code {
    /// Every code; one that rows are both refused for and stored with stands here twice.
    pub fn all() -> impl Iterator<Item = Self> {
        let rejected = RejectReason::ALL.into_iter().map(Self::Rejected);
        let anomalies = AnomalyCode::ALL.into_iter().map(Self::Anomaly);
        std::iter::once(Self::MissingBar).chain(rejected).chain(anomalies)
    }

    /// Its word in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingBar => "missing_bar",
            Self::Rejected(reason) => reason.as_str(),
            Self::Anomaly(code) => code.as_str(),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A code as it is typed: all that bear this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes(Vec<Code>);

impl Codes {
    /// Whether `code` is meant.
    #[must_use]
    pub fn holds(&self, code: Code) -> bool {
        self.0.contains(&code)
    }

    /// Their name.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.0.first().map_or("", |code| code.as_str())
    }
}

impl FromStr for Codes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let codes: Vec<Code> = Code::all().filter(|code| code.as_str() == text).collect();
        if !codes.is_empty() {
            return Ok(Self(codes));
        }
        let mut names: Vec<&str> = Code::all().map(Code::as_str).collect();
        names.sort_unstable();
        names.dedup();
        Err(format!("`{text}` is no code of a finding; expected one of {}", names.join(", ")))
    }
}

/// Something that is wrong with some rows or bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Of which series.
    pub timeframe: Timeframe,
    /// What is wrong.
    pub code: Code,
    /// The first bar that it is about, epoch seconds UTC; `None` when a row's time could not be read.
    pub ts: Option<i64>,
    /// The last one; `ts` for a single one.
    pub ts_end: Option<i64>,
    /// How many bars or rows.
    pub count: u64,
    /// The columns that it is about; none when it is about whole bars.
    pub fields: BarFields,
    /// In words.
    pub detail: Option<String>,
    /// The file that a refused row was imported from, which speaks neither for nor against the series;
    /// `None` of what its provider gave.
    pub file: Option<String>,
}

impl Finding {
    /// The line of the file that it is about; `None` where it is about none, or that is not known.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        let (line, _) = self.detail.as_deref()?.strip_prefix("line ")?.split_once(':')?;
        line.parse().ok()
    }

    /// A refused row.
    #[must_use]
    pub fn of_rejected(timeframe: Timeframe, row: RejectedFact) -> Self {
        Self {
            timeframe,
            code: Code::Rejected(row.reason),
            ts: row.ts,
            ts_end: row.ts,
            count: row.count,
            fields: row.fields,
            detail: Some(row.text),
            file: row.file,
        }
    }

    /// Suspicious bars.
    #[must_use]
    pub fn of_anomaly(timeframe: Timeframe, row: Anomaly) -> Self {
        Self {
            timeframe,
            code: Code::Anomaly(row.code),
            ts: Some(row.ts),
            ts_end: Some(row.ts_end),
            count: row.count,
            fields: row.fields,
            detail: row.detail,
            file: None,
        }
    }
}

/// What is missing between the first and the last stored bar of a series, a run of due bars a finding,
/// whatever the reasons are. Where a row came and was refused, that is the finding, and the bar is not
/// missing from what the provider sent.
#[must_use]
pub fn missing(series: &SeriesFact, due: &Due, gaps: &[Gap]) -> Vec<Finding> {
    let timeframe = series.key.timeframe;
    let (Some(first), Some(last)) = (series.first_due_ts(), series.watermark_ts) else {
        return Vec::new();
    };
    let absent = gaps.iter().filter(|gap| {
        gap.reason != GapReason::Rejected && gap.range.start > first && gap.range.end <= last
    });
    let mut runs: Vec<(TimeRange, u64)> = Vec::new();
    for gap in absent {
        let unbroken = |(range, _): &&mut (TimeRange, u64)| {
            let between = TimeRange::new(range.end, gap.range.start);
            due.calendar.count(timeframe, due.layout, between) == 0
        };
        match runs.last_mut().filter(unbroken) {
            Some((range, count)) => {
                range.end = gap.range.end;
                *count += gap.missing;
            }
            None => runs.push((gap.range, gap.missing)),
        }
    }
    let finding = |(range, count): (TimeRange, u64)| Finding {
        timeframe,
        code: Code::MissingBar,
        ts: Some(range.start),
        ts_end: Some(range.end - timeframe.seconds()),
        count,
        fields: BarFields::NONE,
        detail: None,
        file: None,
    };
    runs.into_iter().map(finding).collect()
}

/// What was found of one symbol.
#[derive(Debug, Default)]
pub struct Findings {
    /// By timeframe and time; the last ones where there are more.
    pub rows: Vec<Finding>,
    /// How many there are.
    pub total: u64,
}

impl Findings {
    /// Keeps the `limit` last ones of all timeframes.
    pub fn truncate(&mut self, limit: usize) {
        self.rows.sort_by_key(|row| std::cmp::Reverse(row.ts));
        self.rows.truncate(limit);
        self.rows.sort_by_key(|row| (row.timeframe, row.ts, row.code));
    }
}
