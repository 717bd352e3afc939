//! Whole days of a market: one answer has the day of every ticker that traded.
//!
//! Wire format: `GET /v2/aggs/grouped/locale/us/market/stocks/2024-01-02`, likewise `crypto` and `fx` of the
//! locale `global`; rows as of a single ticker, with the ticker in `T` and in `t` the END of its session. No
//! paging.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::bar::{Bar, BarFields, RejectReason, Rejection};
use crate::domain::run::Fault;
use crate::domain::series::AssetClass;
use crate::domain::task::About;

use super::super::bounded::Rows;
use super::super::reading::{malformed, not_json, pair, quoted_nonnumbers, row_text};
use super::super::{Answer, Ask, Page, Reply, Request};
use super::payload::{Envelope, Head, Row, Stamp, label};
use super::{adjustment, date};

/// The market that has the symbols of `class`. Indices have none.
pub(super) fn market(about: About, class: AssetClass) -> Option<&'static str> {
    match (about, class) {
        (About::Bars, AssetClass::Stock | AssetClass::Etf) => Some("stocks"),
        (About::Bars, AssetClass::Crypto) => Some("crypto"),
        (About::Bars, AssetClass::Forex) => Some("fx"),
        _ => None,
    }
}

/// Words the request for the day that the range begins with.
pub(super) fn request(ask: &Ask<'_>, market: &str) -> Request {
    let locale = if market == "stocks" { "us" } else { "global" };
    let day = date(ask.range.start);
    let path = ["v2", "aggs", "grouped", "locale", locale, "market", market, &day];
    Request {
        path: path.map(str::to_owned).to_vec(),
        // Whoever tracks an OTC ticker gets its bars, as he does when he asks for it alone.
        query: vec![pair("adjusted", ask.adjusted), pair("include_otc", true)],
        ..Request::default()
    }
}

/// Reads the answer: of each symbol that is asked for and has a row its answer, and one without a name for
/// the rows of all others. Nothing at all where no row is of that day.
pub(super) fn read(ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault> {
    let mut sorted = Sorted { ask, by_symbol: BTreeMap::new(), others: 0, of_the_day: 0 };
    let head = match serde_json::from_str::<Envelope<Rows<Named<'_>>>>(&reply.body) {
        Ok(mut envelope) => {
            let rows = envelope.results.take().unwrap_or_default();
            rows.iter().for_each(|row| sorted.add(row));
            envelope.without_rows(rows.len())
        }
        Err(_) => one_by_one(reply, &mut sorted)?,
    };
    head.check(ask, reply)?;
    sorted.page(reply, &head)
}

/// The slower way, should a row not read: it costs itself and not the day.
fn one_by_one(reply: &Reply, sorted: &mut Sorted<'_>) -> Result<Head, Fault> {
    let body = quoted_nonnumbers(&reply.body);
    let mut envelope: Envelope<Rows<&RawValue>> =
        serde_json::from_str(&body).map_err(|error| not_json(reply, &error))?;
    let rows = envelope.results.take().unwrap_or_default();
    for raw in rows.iter().map(|raw| raw.get()) {
        match serde_json::from_str::<Named<'_>>(raw) {
            Ok(row) => sorted.add(&row),
            Err(_) => sorted.add_broken(raw),
        }
    }
    Ok(envelope.without_rows(rows.len()))
}

/// A row that says whose it is.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "T", borrow)]
    ticker: Cow<'a, str>,
    t: i64,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: Option<f64>,
    vw: Option<f64>,
    n: Option<f64>,
}

/// The part of a row that says whose it is.
#[derive(Deserialize)]
struct Whose<'a> {
    #[serde(rename = "T", borrow)]
    ticker: Cow<'a, str>,
}

impl Named<'_> {
    fn bar(&self, ask: &Ask<'_>) -> Bar {
        let Self { t, o, h, l, c, v, vw, n, .. } = *self;
        Bar { ts: ask.range.start, ..Row { t, o, h, l, c, v, vw, n }.bar(ask) }
    }
}

/// The rows of an answer, sorted by whose they are.
struct Sorted<'a> {
    ask: &'a Ask<'a>,
    /// By the place among those who are asked for.
    by_symbol: BTreeMap<usize, Answer>,
    /// Rows that nobody asked for, or of another day.
    others: u64,
    /// Rows of the day, whoever they are of.
    of_the_day: u64,
}

impl Sorted<'_> {
    fn add(&mut self, row: &Named<'_>) {
        let bar = row.bar(self.ask);
        match self.of(&row.ticker, row.t) {
            Some(answer) => answer.bars.push(bar),
            None => self.others += 1,
        }
    }

    /// Adds a row that does not read.
    fn add_broken(&mut self, raw: &str) {
        let whose = serde_json::from_str::<Whose<'_>>(raw).ok();
        let stamp = serde_json::from_str::<Stamp>(raw).ok();
        let ts = Some(self.ask.range.start);
        let answer = whose.zip(stamp).and_then(|(whose, stamp)| self.of(&whose.ticker, stamp.t));
        let Some(answer) = answer else {
            self.others += 1;
            return;
        };
        let text = row_text(answer.broken.len(), raw);
        let (reason, fields) = (RejectReason::InvalidNumber, BarFields::NONE);
        answer.broken.push(Rejection { ts, reason, fields, text });
    }

    /// The answer that a row belongs to; `None` when nobody asked for it.
    fn of(&mut self, ticker: &str, millis: i64) -> Option<&mut Answer> {
        if !is_of_the_day(self.ask, millis) {
            return None;
        }
        self.of_the_day += 1;
        let at = self.ask.symbols.binary_search_by(|symbol| symbol.as_str().cmp(ticker)).ok()?;
        let symbol = || Answer { symbol: ticker.to_owned(), ..Answer::default() };
        Some(self.by_symbol.entry(at).or_insert_with(symbol))
    }

    fn page(self, reply: &Reply, head: &Head) -> Result<Page, Fault> {
        if self.of_the_day == 0 && self.others > 0 {
            let (rows, day) = (self.others, date(self.ask.range.start));
            return Err(malformed(reply, format!("none of its {rows} rows is of {day}")));
        }
        let mut answers: Vec<Answer> = self.by_symbol.into_values().collect();
        for answer in answers.iter_mut().filter(|answer| !answer.bars.is_empty()) {
            answer.adjustment = adjustment(head.adjusted);
        }
        if self.of_the_day > 0 {
            answers.push(Answer { dropped: self.others, ..Answer::default() });
        }
        Ok(Page { answers, next: None })
    }
}

/// Whether a row is of the day that is asked for: its stamp is the end of the session, which may be the
/// end of the day.
fn is_of_the_day(ask: &Ask<'_>, millis: i64) -> bool {
    [millis, millis.saturating_sub(1)].iter().any(|at| label(ask, *at) == ask.range.start)
}
