//! The payload: an envelope, and aggregates in it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::bar::{Bar, Rejection};
use crate::domain::run::Fault;
use crate::domain::series::AssetClass;
use crate::domain::zone::Zone;

use super::super::bounded::{Rows, Words};
use super::super::reading::{
    check_symbol, day_label, malformed, not_json, quoted_nonnumbers, rows_one_by_one,
};
use super::super::{Ask, Reply};
use super::accept;

/// Rows straight into numbers; should one of them not read, the slower way tells which.
pub(super) fn rows(
    ask: &Ask<'_>,
    reply: &Reply,
) -> Result<(Head, Vec<Bar>, Vec<Rejection>), Fault> {
    if let Ok(mut envelope) = serde_json::from_str::<Envelope<Rows<Row>>>(&reply.body) {
        let results = envelope.results.take().unwrap_or_default();
        let head = envelope.without_rows(results.len());
        // By value: the bars take the rows' place in memory.
        return Ok((head, results.0.into_iter().map(|row| row.bar(ask)).collect(), Vec::new()));
    }
    let body = quoted_nonnumbers(&reply.body);
    let mut envelope: Envelope<Rows<&RawValue>> =
        serde_json::from_str(&body).map_err(|error| not_json(reply, &error))?;
    let results = envelope.results.take().unwrap_or_default();
    let (bars, broken) = rows_one_by_one(
        reply,
        &results,
        |raw| serde_json::from_str::<Row>(raw).ok().map(|row| row.bar(ask)),
        |raw| serde_json::from_str::<Stamp>(raw).ok().map(|stamp| label(ask, stamp.t)),
    )?;
    Ok((envelope.without_rows(results.len()), bars, broken))
}

/// What stands around the rows. Only `status` is sure to be there.
#[derive(Deserialize)]
pub(super) struct Envelope<R> {
    status: Words,
    ticker: Option<Words>,
    adjusted: Option<bool>,
    #[serde(rename = "resultsCount")]
    results_count: Option<u64>,
    next_url: Option<Words>,
    error: Option<Words>,
    message: Option<Words>,
    pub(super) results: Option<R>,
}

/// The envelope once its rows are read.
pub(super) struct Head {
    status: Words,
    pub(super) ticker: Option<Words>,
    pub(super) adjusted: Option<bool>,
    results_count: Option<u64>,
    pub(super) next_url: Option<Words>,
    words: Words,
    rows: usize,
}

impl<R> Envelope<R> {
    pub(super) fn without_rows(self, rows: usize) -> Head {
        Head {
            status: self.status,
            ticker: self.ticker,
            adjusted: self.adjusted,
            results_count: self.results_count,
            next_url: self.next_url,
            words: self.error.or(self.message).unwrap_or_default(),
            rows,
        }
    }
}

impl Head {
    /// Refuses what is an error in spite of its code, or contradicts itself.
    pub(super) fn check(&self, ask: &Ask<'_>, reply: &Reply) -> Result<(), Fault> {
        accept(reply, &self.status, &self.words)?;
        if let Some(ticker) = &self.ticker {
            check_symbol(ask, reply, ticker)?;
        }
        match self.results_count {
            Some(count) if count != self.rows as u64 => Err(malformed(
                reply,
                format!("the answer says resultsCount {count} and holds {} rows", self.rows),
            )),
            _ => Ok(()),
        }
    }
}

/// One aggregate. `t` is the start of its window in milliseconds; `v` may be fractional.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) t: i64,
    pub(super) o: f64,
    pub(super) h: f64,
    pub(super) l: f64,
    pub(super) c: f64,
    pub(super) v: Option<f64>,
    pub(super) vw: Option<f64>,
    pub(super) n: Option<f64>,
}

/// The part of a row that says when.
#[derive(Deserialize)]
pub(super) struct Stamp {
    pub(super) t: i64,
}

impl Row {
    pub(super) fn bar(&self, ask: &Ask<'_>) -> Bar {
        Bar {
            ts: label(ask, self.t),
            open: self.o,
            high: self.h,
            low: self.l,
            close: self.c,
            volume: self.v,
            vwap: self.vw,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates; a count of trades is small"
            )]
            trades: self.n.filter(|n| n.is_finite()).map(|n| n as i64),
        }
    }
}

/// The `ts` of a row stamped `millis`: for days the date in the zone in which the provider cuts them.
pub(super) fn label(ask: &Ask<'_>, millis: i64) -> i64 {
    let seconds = millis.div_euclid(1000);
    if ask.timeframe.is_intraday() {
        return seconds;
    }
    let zone = match ask.asset_class {
        AssetClass::Crypto | AssetClass::Forex => Zone::UTC,
        AssetClass::Stock | AssetClass::Etf | AssetClass::Index => Zone::NEW_YORK,
    };
    day_label(seconds, zone)
}
