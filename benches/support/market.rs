//! Bars by chance, always the same ones, and polygon's pages of them: the text of every row is
//! rendered beforehand, an answer is a stretch of it in an envelope.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::NaiveDate;

use super::server::{Answer, Reply, Request, Server};

/// Rows a page, as polygon has it.
pub(crate) const PAGE: usize = 50_000;

const DAY: i64 = 86_400;

/// One bar, as the table takes it.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) ts: i64,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: f64,
    pub(crate) vwap: f64,
    pub(crate) trades: i64,
}

/// The bars that every symbol has.
pub(crate) struct Market {
    pub(crate) rows: Vec<Row>,
    /// What the provider calls the timeframe, as in `1/minute`.
    span: &'static str,
    /// The rows' stamps, in milliseconds.
    stamps: Vec<i64>,
    /// The rows as JSON, with a comma behind each.
    text: String,
    /// Where each row begins in `text`, and where the last one ends.
    begins: Vec<usize>,
}

impl Market {
    /// Bars at `times`, which the provider stamps `offset` seconds later.
    pub(crate) fn new(span: &'static str, times: impl Iterator<Item = i64>, offset: i64) -> Self {
        let rows = walk(times);
        let stamps: Vec<i64> = rows.iter().map(|row| (row.ts + offset) * 1000).collect();
        let mut text = String::with_capacity(rows.len() * 130);
        let mut begins = vec![0];
        for (row, stamp) in rows.iter().zip(&stamps) {
            render(&mut text, row, *stamp);
            begins.push(text.len());
        }
        Self { rows, span, stamps, text, begins }
    }

    /// The path that asks for the bars from one instant to another, both in milliseconds.
    pub(crate) fn path(&self, symbol: &str, from: i64, to: i64) -> String {
        format!("/v2/aggs/ticker/{symbol}/range/{}/{from}/{to}", self.span)
    }

    /// The answer to `path`; `None` when it asks for something else.
    pub(crate) fn answer(&self, path: &str) -> Option<Vec<u8>> {
        let (symbol, range) = path.strip_prefix("/v2/aggs/ticker/")?.split_once("/range/")?;
        let range = range.strip_prefix(self.span)?.strip_prefix('/')?;
        let (from, to) = range.split_once('/')?;
        Some(self.page(symbol, instant(from, 0)?, instant(to, DAY * 1000 - 1)?).into_bytes())
    }

    fn page(&self, symbol: &str, from: i64, to: i64) -> String {
        let first = self.stamps.partition_point(|stamp| *stamp < from);
        let all = self.stamps.partition_point(|stamp| *stamp <= to).max(first);
        let end = all.min(first + PAGE);
        let rows = &self.text[self.begins[first]..self.begins[end]];
        let count = end - first;
        let next = (end < all).then(|| self.path(symbol, self.stamps[end], to)).map(|path| {
            format!(r#","next_url":"https://localhost{path}?cursor=bGltaXQ9NTAwMDAmc29ydD1hc2M""#)
        });
        format!(
            r#"{{"ticker":"{symbol}","queryCount":{count},"resultsCount":{count},"adjusted":false,"results":[{}],"status":"OK","request_id":"0123456789abcdef","count":{count}{}}}"#,
            rows.trim_end_matches(','),
            next.unwrap_or_default()
        )
    }

    /// The pages that `symbols` have from the first bar on to `to`, each under its path.
    pub(crate) fn pages(&self, symbols: &[String], to: i64) -> HashMap<String, Arc<[u8]>> {
        let mut pages = HashMap::new();
        for symbol in symbols {
            for first in self.stamps.iter().step_by(PAGE) {
                let page = self.page(symbol, *first, to);
                pages.insert(self.path(symbol, *first, to), page.into_bytes().into());
            }
        }
        pages
    }

    /// Serves `pages`, and what else is asked for out of the rendered rows.
    pub(crate) fn serve(self: Arc<Self>, pages: HashMap<String, Arc<[u8]>>) -> Server {
        Server::start(move |request: &Request| {
            let page = pages.get(&request.path).cloned();
            match page.or_else(|| self.answer(&request.path).map(Into::into)) {
                Some(body) => Answer::Whole(Reply { status: 200, headers: Vec::new(), body }),
                None => Answer::status(404, r#"{"status":"NOT_FOUND"}"#),
            }
        })
    }
}

/// Milliseconds, or a date, to whose first millisecond `within_day` is added.
fn instant(text: &str, within_day: i64) -> Option<i64> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis() + within_day);
    }
    text.parse().ok()
}

/// A walk in cents. The digits count: prices have two, mean prices four, volumes eight.
fn walk(times: impl Iterator<Item = i64>) -> Vec<Row> {
    let mut chance = fastrand::Rng::with_seed(1);
    let mut close = 4_350_000_i32;
    let mut row = |ts| {
        let open = close;
        close = (open + chance.i32(-900..=900)).max(100_000);
        let high = open.max(close) + chance.i32(0..600);
        let low = open.min(close) - chance.i32(0..600);
        Row {
            ts,
            open: f64::from(open) / 100.0,
            high: f64::from(high) / 100.0,
            low: f64::from(low) / 100.0,
            close: f64::from(close) / 100.0,
            volume: f64::from(chance.u32(..)) / 1e8,
            vwap: f64::from((open / 4 + high / 4 + low / 4 + close / 4) * 100 + 37) / 10_000.0,
            trades: i64::from(chance.u16(1..900)),
        }
    };
    times.map(&mut row).collect()
}

fn render(text: &mut String, row: &Row, stamp: i64) {
    let Row { open, high, low, close, volume, vwap, trades, .. } = row;
    let written = write!(
        text,
        r#"{{"v":{volume},"vw":{vwap},"o":{open},"c":{close},"h":{high},"l":{low},"t":{stamp},"n":{trades}}},"#
    );
    written.expect("memory takes any text");
}
