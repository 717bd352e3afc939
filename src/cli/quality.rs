//! `mdctl quality`: how good the series are, and what was found wrong.

use std::collections::HashSet;

use clap::Args;
use schemars::Schema;

use crate::calendar::due::Due;
use crate::domain::anomaly::{Anomaly, AnomalyCode};
use crate::domain::bar::RejectReason;
use crate::domain::fact::SeriesFact;
use crate::domain::gap::Gap;
use crate::domain::quick::QuickMap;
use crate::domain::range::TimeRange;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::domain::words::instant;
use crate::exit::Exit;
use crate::report::Facts;
use crate::report::gaps::{self, GapState};
use crate::report::quality::{Code, Codes, Finding, Findings, SeriesQuality, missing};
use crate::store::{Store, StoreResult};
use crate::{pipeline, render};

use super::failure::Failure;
use super::scene::{Scene, closed_before};
use super::select::{Typed, selection};
use super::{Done, print};

/// Validation rate, gaps, anomalies and score, worst first; with SYMBOL, the findings.
///
/// The score is half completeness, three tenths validation rate, and two tenths the share of bars that
/// look right. Rows that cannot be true were refused; bars that look suspicious are stored and counted.
/// Refused rows of files that somebody imported are listed, and count in no rate.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl quality
  mdctl quality AAPL --code price_spike
  mdctl quality --check --group us-stocks    a gate before a job that needs good data")]
pub(super) struct Quality {
    /// Only this symbol, with what was found.
    symbol: Option<String>,
    /// Only these timeframes.
    #[arg(long, value_name = "TF", value_delimiter = ',')]
    timeframe: Vec<Timeframe>,
    /// Only this group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only findings of this code, as missing_bar or price_spike.
    #[arg(long, value_name = "CODE", requires = "symbol")]
    code: Option<Codes>,
    /// The last so many findings; on a terminal 50, else 100,000.
    #[arg(long, value_name = "N", requires = "symbol")]
    limit: Option<u64>,
    /// Exit 1 when a score is below 0.85 or a validation rate below 0.95, and 2 when a score is below 0.5.
    #[arg(long)]
    check: bool,
}

impl Quality {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.symbol {
            None => render::quality::schema(),
            Some(_) => render::quality::symbol_schema(),
        }
    }
}

/// Findings shown on a terminal when nothing says how many.
const SCREENFUL: u64 = 50;

/// Findings shown elsewhere: enough for all but a broken feed, and no more than memory bears.
const MOST: u64 = 100_000;

pub(super) fn exec(command: &Quality, scene: &Scene) -> Done {
    let symbols: Vec<String> = command.symbol.iter().cloned().collect();
    let typed = Typed {
        symbols: &symbols,
        timeframes: &command.timeframe,
        group: command.group.as_deref(),
        ..Typed::default()
    };
    let meant = selection(&scene.settings, &typed)?;
    let store = scene.reader()?;
    let mut facts = scene.facts(&store, true)?;
    let gaps = gaps_now(scene, &mut facts);
    facts.gaps = by_series(&facts, gaps);
    let mut report = scene.quality(&store, &facts).map_err(|error| Failure::of_reader(&error))?;
    let members = scene.settings.series();
    let held: HashSet<SeriesKey> = members
        .filter(|(key, group, member)| {
            meant.holds_member(group, member)
                && (meant.timeframes.is_empty() || meant.timeframes.contains(&key.timeframe))
        })
        .map(|(key, _, _)| key)
        .collect();
    report.retain(|row| held.contains(&row.key));
    warn(scene, &store, &report).map_err(|error| Failure::of_reader(&error))?;
    match meant.symbols.first() {
        None => print(|out| {
            if scene.json {
                render::quality::json(out, &report, scene.now())
            } else {
                render::quality::table(out, &report, scene.look)
            }
        })?,
        Some(symbol) => {
            let found = findings(command, scene, &store, &facts, &report)
                .map_err(|error| Failure::of_reader(&error))?;
            show(scene, symbol, &report, &found)?;
        }
    }
    let exits = report.iter().map(SeriesQuality::exit);
    let worst = exits.max_by_key(|exit| exit.code()).filter(|_| command.check);
    Ok(worst.unwrap_or(Exit::Success))
}

fn show(
    scene: &Scene,
    symbol: &Symbol,
    report: &[SeriesQuality],
    found: &Findings,
) -> Result<(), Failure> {
    print(|out| {
        if scene.json {
            render::quality::symbol_json(out, symbol, report, found, scene.now())
        } else {
            render::quality::symbol_table(out, report, found, scene.look)
        }
    })
}

/// The gaps as `mdctl gaps` tells them: some became due since the last run.
pub(super) fn gaps_now(scene: &Scene, facts: &mut Facts) -> Vec<GapState> {
    let now = scene.now();
    let wants = pipeline::wants_of(&scene.settings, &mut facts.series, &mut facts.coverage, now);
    gaps::judge(&scene.settings, facts, &wants, now)
}

/// Gaps by the keys of their series.
pub(super) fn by_series(facts: &Facts, rows: Vec<GapState>) -> QuickMap<i64, Vec<Gap>> {
    let mut by_series: QuickMap<i64, Vec<_>> = QuickMap::default();
    for row in rows {
        if let Some(series) = facts.series.get(&row.key) {
            by_series.entry(series.series_id).or_default().push(row.gap);
        }
    }
    by_series
}

/// Says what the figures do not know yet.
fn warn(scene: &Scene, store: &Store, report: &[SeriesQuality]) -> StoreResult<()> {
    if !store.knows_findings()? {
        tracing::warn!(
            "the database is of an older mdctl and knows no anomalies; mdctl backfill looks for them"
        );
        return Ok(());
    }
    let left: Vec<&SeriesQuality> = report.iter().filter(|row| row.left_from.is_some()).collect();
    if let (Some(first), None) = (left.first(), scene.as_of) {
        let from = first.left_from.map_or_else(String::new, instant);
        tracing::warn!(
            "bars of {} series are still to be looked at, of {} those from {from} on; mdctl backfill {} does it",
            left.len(),
            first.key,
            first.key.symbol
        );
    }
    Ok(())
}

/// What was found of the series of `report`.
fn findings(
    command: &Quality,
    scene: &Scene,
    store: &Store,
    facts: &Facts,
    report: &[SeriesQuality],
) -> StoreResult<Findings> {
    let usual = if scene.look.width.is_some() && !scene.json { SCREENFUL } else { MOST };
    let limit = command.limit.unwrap_or(usual);
    let mut findings = Findings::default();
    for (key, group, member) in scene.settings.series() {
        let (Some(series), true) =
            (facts.series.get(&key), report.iter().any(|row| row.key == key))
        else {
            continue;
        };
        let due = scene.settings.due(group, member);
        let end = scene.as_of.map_or(i64::MAX, |as_of| closed_before(&due, key.timeframe, as_of));
        let sought = Sought { store, series, due: &due, end, codes: command.code.as_ref(), limit };
        sought.add_to(&mut findings, facts)?;
    }
    findings.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(findings)
}

/// What is sought of one series.
struct Sought<'a> {
    store: &'a Store,
    series: &'a SeriesFact,
    due: &'a Due,
    /// Bars from here on are not shown.
    end: i64,
    codes: Option<&'a Codes>,
    limit: u64,
}

impl Sought<'_> {
    fn holds(&self, code: Code) -> bool {
        self.codes.is_none_or(|codes| codes.holds(code))
    }

    /// Adds the last ones of every kind, and counts all.
    fn add_to(&self, findings: &mut Findings, facts: &Facts) -> StoreResult<()> {
        let (id, timeframe) = (self.series.series_id, self.series.key.timeframe);
        let counts = self.store.findings_count(id, self.end)?;
        let meant = counts
            .iter()
            .filter(|(code, _)| self.codes.is_none_or(|codes| codes.as_str() == code.as_str()));
        findings.total += meant.map(|(_, count)| count).sum::<u64>();
        if self.holds(Code::MissingBar) {
            let missing = missing(self.series, self.due, facts.gaps_of(id));
            findings.total += missing.len() as u64;
            findings.rows.extend(missing);
        }
        if let Some(reason) = self.only(RejectReason::ALL, Code::Rejected) {
            let rejected = self.store.rejected_last(id, self.end, reason, self.limit)?;
            let of = |row| Finding::of_rejected(timeframe, row);
            findings.rows.extend(rejected.into_iter().map(of));
        }
        if let Some(code) = self.only(AnomalyCode::ALL, Code::Anomaly) {
            self.add_anomalies(findings, code)?;
        }
        Ok(())
    }

    /// The one of `all` that is meant, `Some(None)` for all of them; `None` when none is.
    fn only<T: Copy>(
        &self,
        all: impl IntoIterator<Item = T>,
        code: impl Fn(T) -> Code,
    ) -> Option<Option<T>> {
        if self.codes.is_none() {
            return Some(None);
        }
        all.into_iter().find(|one| self.holds(code(*one))).map(Some)
    }

    fn add_anomalies(&self, findings: &mut Findings, code: Option<AnomalyCode>) -> StoreResult<()> {
        let (id, timeframe) = (self.series.series_id, self.series.key.timeframe);
        let mut left = self.limit;
        for mut anomaly in self.store.anomalies_last(id, self.end, code, self.limit)? {
            if left == 0 {
                break;
            }
            let range = TimeRange::new(anomaly.ts, self.end.min(anomaly.ts_end.saturating_add(1)));
            if !anomaly.code.is_each() || anomaly.count == 1 {
                anomaly.ts_end = anomaly.ts_end.min(self.end.saturating_sub(1));
                findings.rows.push(Finding::of_anomaly(timeframe, anomaly));
                left -= 1;
                continue;
            }
            let each = self.store.bars_ts_last(id, range, left)?;
            left -= each.len() as u64;
            findings.rows.extend(each.into_iter().map(|ts| {
                let one = Anomaly { ts, ts_end: ts, count: 1, ..anomaly.clone() };
                Finding::of_anomaly(timeframe, one)
            }));
        }
        Ok(())
    }
}
