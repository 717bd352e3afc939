//! The JSON document in the page, which its charts are drawn from. Lists rather than objects: a universe
//! of thousands of symbols is to stay a file of some hundred kilobytes.

use serde::Serialize;

use crate::domain::feature::NAMES;
use crate::domain::run::RunStatus;
use crate::report::page::Known;
use crate::report::page::chart::{Chart, Slot};
use crate::report::page::coverage::{Cell, Coverage, Map};
use crate::report::page::freshness;
use crate::report::page::traffic::Traffic;

use super::view::{letter, reason_letter, reasons};

#[derive(Serialize)]
struct Facts<'a> {
    freshness: Freshness<'a>,
    /// Word and letter of every reason of a gap, in the order of the lists below.
    reasons: Vec<(&'a str, char)>,
    coverage: Vec<Timeframe<'a>>,
    runs: Runs<'a>,
    requests: Requests<'a>,
    chart: Option<Bars<'a>>,
}

#[derive(Serialize)]
struct Freshness<'a> {
    timeframes: Vec<&'a str>,
    symbols: Vec<&'a str>,
    /// A letter a timeframe for each symbol: F, A, S, M, or `.` where there is no such series.
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Timeframe<'a> {
    timeframe: &'a str,
    series: usize,
    maps: Vec<Stretches<'a>>,
}

#[derive(Serialize)]
struct Stretches<'a> {
    unit: &'a str,
    starts: &'a [i64],
    end: i64,
    due: &'a [u64],
    /// By stretch and reason.
    missing: &'a [[u64; 7]],
    symbols: Vec<&'a str>,
    /// A letter a stretch: that of the reason, `=` where nothing is missing, `.` where nothing is due.
    cells: Vec<String>,
    /// Of every cell in which some bars are missing and others are not: its stretch, how many are missing,
    /// how many were due.
    lacking: Vec<Vec<(usize, u64, u64)>>,
    holes: Vec<u64>,
    explained: Vec<u64>,
}

#[derive(Serialize)]
struct Runs<'a> {
    since: i64,
    /// Words of outcomes; below they are numbers in this list.
    outcomes: Vec<&'a str>,
    at: Vec<i64>,
    took: Vec<Option<i64>>,
    outcome: Vec<usize>,
    command: Vec<&'a str>,
    failed: Vec<u64>,
    jobs: Vec<u64>,
}

#[derive(Serialize)]
struct Requests<'a> {
    days: Vec<i64>,
    total: Vec<u64>,
    p50: Vec<Option<u64>>,
    p95: Vec<Option<u64>>,
    p99: Vec<Option<u64>>,
    kinds: Vec<&'a str>,
    /// By kind and day.
    failed: Vec<Vec<u64>>,
}

#[derive(Serialize)]
struct Bars<'a> {
    name: String,
    /// Whether labels need a time of day.
    intraday: bool,
    /// Of every slot; of one that lacks bars, the first of them.
    ts: Vec<i64>,
    open: Vec<Option<f64>>,
    high: Vec<Option<f64>>,
    low: Vec<Option<f64>>,
    close: Vec<Option<f64>>,
    volume: Vec<Option<f64>>,
    /// Slot, missing bars, reason.
    lacking: Vec<(usize, u64, Option<&'a str>)>,
    features: Vec<(&'a str, Vec<Option<f64>>)>,
}

/// The document as text that may stand in a script element: nothing in it ends one.
pub(super) fn json(known: &Known) -> String {
    let facts = Facts {
        freshness: freshness_of(&known.freshness),
        reasons: reasons().map(|(reason, letter)| (reason.as_str(), letter)).to_vec(),
        coverage: known.coverage.iter().map(timeframe_of).collect(),
        runs: runs_of(known),
        requests: requests_of(&known.traffic),
        chart: known.chart.as_ref().filter(|chart| !chart.slots.is_empty()).map(bars_of),
    };
    let text = serde_json::to_string(&facts).expect("plain lists and numbers are JSON");
    text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn freshness_of(map: &freshness::Map) -> Freshness<'_> {
    let cells = |(_, states): &(_, Vec<Option<_>>)| {
        states.iter().map(|state| state.as_ref().map_or(".", letter)).collect()
    };
    Freshness {
        timeframes: map.timeframes.iter().map(|(timeframe, _)| timeframe.as_str()).collect(),
        symbols: map.symbols.iter().map(|(symbol, _)| symbol.as_str()).collect(),
        cells: map.symbols.iter().map(cells).collect(),
    }
}

fn timeframe_of(part: &Coverage) -> Timeframe<'_> {
    Timeframe {
        timeframe: part.timeframe.as_str(),
        series: part.series,
        maps: part.maps.iter().map(stretches_of).collect(),
    }
}

fn stretches_of(map: &Map) -> Stretches<'_> {
    let symbol = |cell: &Cell| match cell.reason {
        _ if cell.due == 0 && cell.missing == 0 => '.',
        None => '=',
        Some(reason) => reason_letter(&reason),
    };
    let lacking = |cells: &[Cell]| {
        let partly = |cell: &Cell| cell.missing > 0 && cell.missing < cell.due;
        let cells = cells.iter().enumerate().filter(|(_, cell)| partly(cell));
        cells.map(|(stretch, cell)| (stretch, cell.missing, cell.due)).collect()
    };
    Stretches {
        unit: map.unit.as_str(),
        starts: &map.starts,
        end: map.end,
        due: &map.due,
        missing: &map.missing,
        symbols: map.rows.iter().map(|row| row.symbol.as_str()).collect(),
        cells: map.rows.iter().map(|row| row.cells.iter().map(symbol).collect()).collect(),
        lacking: map.rows.iter().map(|row| lacking(&row.cells)).collect(),
        holes: map.rows.iter().map(|row| row.holes).collect(),
        explained: map.rows.iter().map(|row| row.explained).collect(),
    }
}

/// Oldest first, as a chart wants them.
fn runs_of(known: &Known) -> Runs<'_> {
    let list = || known.runs.list.iter().rev();
    Runs {
        since: known.runs.since,
        outcomes: RunStatus::ALL.iter().map(|status| status.as_str()).collect(),
        at: list().map(|run| run.started_at).collect(),
        took: list().map(|run| run.duration_seconds()).collect(),
        outcome: list().map(|run| run.status as usize).collect(),
        command: list().map(|run| run.command.as_str()).collect(),
        failed: list().map(|run| run.totals.failed).collect(),
        jobs: list().map(|run| run.totals.symbols_total).collect(),
    }
}

fn requests_of(traffic: &Traffic) -> Requests<'_> {
    let days = || traffic.days.iter();
    let failed = |(kind, _): &(String, u64)| {
        days().map(|day| day.failed.get(kind).copied().unwrap_or_default()).collect()
    };
    Requests {
        days: days().map(|day| day.start).collect(),
        total: days().map(|day| day.metrics.total).collect(),
        p50: days().map(|day| day.metrics.p50_ms).collect(),
        p95: days().map(|day| day.metrics.p95_ms).collect(),
        p99: days().map(|day| day.metrics.p99_ms).collect(),
        kinds: traffic.kinds.iter().map(|(kind, _)| kind.as_str()).collect(),
        failed: traffic.kinds.iter().map(failed).collect(),
    }
}

fn bars_of(chart: &Chart) -> Bars<'_> {
    let bars = || {
        chart.slots.iter().map(|slot| match slot {
            Slot::Bar(bar, _) => Some(bar),
            Slot::Lacking { .. } => None,
        })
    };
    let ts = |slot: &Slot| match slot {
        Slot::Bar(bar, _) => bar.ts,
        Slot::Lacking { range, .. } => range.start,
    };
    let lacking = |(index, slot): (usize, &Slot)| match slot {
        Slot::Bar(..) => None,
        Slot::Lacking { missing, reason, .. } => {
            Some((index, *missing, reason.map(|reason| reason.as_str())))
        }
    };
    let feature = |index: &usize| {
        let values = chart.slots.iter().map(|slot| match slot {
            Slot::Bar(_, Some(row)) => row.value(*index).map(short),
            _ => None,
        });
        (NAMES[*index], values.collect())
    };
    Bars {
        name: chart.key.to_string(),
        intraday: chart.key.timeframe.is_intraday(),
        ts: chart.slots.iter().map(ts).collect(),
        open: bars().map(|bar| bar.map(|bar| short(bar.open))).collect(),
        high: bars().map(|bar| bar.map(|bar| short(bar.high))).collect(),
        low: bars().map(|bar| bar.map(|bar| short(bar.low))).collect(),
        close: bars().map(|bar| bar.map(|bar| short(bar.close))).collect(),
        volume: bars().map(|bar| bar.and_then(|bar| bar.volume).map(short)).collect(),
        lacking: chart.slots.iter().enumerate().filter_map(lacking).collect(),
        features: chart.features.iter().map(feature).collect(),
    }
}

/// Seven digits: more than a screen can show, at a third of the length.
fn short(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}
