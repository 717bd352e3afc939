//! Reference data: splits, dividends, and what a ticker is.
//!
//! Wire format: `GET /v3/reference/splits?ticker=X&limit=1000`, likewise `dividends`, with rows in
//! `results` and pages chained by `next_url`; `GET /v3/reference/tickers/X`, with one object in it. Without
//! a ticker the lists hold those of all, and `execution_date.gte` or `ex_dividend_date.gte` tells from when.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::domain::action::Action;
use crate::domain::bar::{BarFields, RejectReason, Rejection};
use crate::domain::reference::Listing;
use crate::domain::run::Fault;
use crate::domain::series::Symbol;
use crate::domain::task::About;
use crate::domain::time::midnight;

use super::super::bounded::{Few, Words};
use super::super::declared::{Declared, date, dividend, split};
use super::super::reading::{
    check_symbol, malformed, not_json, only_symbol, pair, quoted_nonnumbers, row_text,
};
use super::super::text::shown_within;
use super::super::{Answer, Ask, DatedList, Page, Reply, Request};
use super::{accept, next_url};

/// The most rows that a page of a list may be asked to have; `page_limit` is about bars.
const MOST_ROWS: u32 = 1_000;

/// The longest name that is kept, in characters.
const LONGEST_NAME: usize = 200;

/// The longest other word that is kept, in characters.
const LONGEST_WORD: usize = 32;

/// The path of the list of splits or of dividends; `None` of what is no list.
pub(super) const fn list(about: About) -> Option<&'static str> {
    match about {
        About::Splits => Some("splits"),
        About::Dividends => Some("dividends"),
        About::Bars | About::Listing | About::ActionsFile => None,
    }
}

/// The lists of all tickers. How much they hold of a year is an estimate, on the high side of what the years
/// since 2020 have brought: funds pay monthly, and some weekly.
pub(super) const DATED_LISTS: [(About, DatedList); 2] =
    [(About::Splits, of_stocks(1_500)), (About::Dividends, of_stocks(50_000))];

const fn of_stocks(rows_a_year: u64) -> DatedList {
    DatedList { market: "stocks", rows_a_year, page_rows: MOST_ROWS as u64 }
}

/// The date by which a list is ordered, as its rows and its query name it.
const fn date_of(about: About) -> &'static str {
    match about {
        About::Splits => "execution_date",
        _ => "ex_dividend_date",
    }
}

/// Words what is not about bars.
pub(super) fn request(ask: &Ask<'_>) -> Request {
    let symbol = only_symbol(ask);
    let (path, query) = match list(ask.about) {
        Some(list) if ask.market.is_some() => (vec!["v3", "reference", list], dated(ask)),
        Some(list) => {
            (vec!["v3", "reference", list], vec![pair("ticker", symbol), pair("limit", MOST_ROWS)])
        }
        None => (vec!["v3", "reference", "tickers", symbol], Vec::new()),
    };
    let path = path.into_iter().map(str::to_owned).collect();
    Request { path, query, ..Request::default() }
}

/// The query for the list of all tickers, oldest first, so that whatever is declared between two pages moves
/// no row from the second to the first. It has no end: what is declared for a day to come is wanted too.
fn dated(ask: &Ask<'_>) -> Vec<(String, String)> {
    let date = date_of(ask.about);
    let from = DateTime::from_timestamp(ask.range.start, 0).unwrap_or_default().date_naive();
    vec![
        pair(&format!("{date}.gte"), from),
        pair("sort", date),
        pair("order", "asc"),
        pair("limit", MOST_ROWS),
    ]
}

/// Reads the answer to it.
pub(super) fn read(ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault> {
    let body = quoted_nonnumbers(&reply.body);
    match ask.about {
        About::Splits => rows::<Split>(ask, reply, &body),
        About::Dividends => rows::<Dividend>(ask, reply, &body),
        About::Bars | About::Listing | About::ActionsFile => listing(ask, reply, &body),
    }
}

/// What stands around the results.
#[derive(Deserialize)]
struct Envelope<R> {
    status: Words,
    next_url: Option<Words>,
    error: Option<Words>,
    message: Option<Words>,
    results: Option<R>,
}

impl<R> Envelope<R> {
    /// Refuses what is an error in spite of its code.
    fn check(&self, reply: &Reply) -> Result<(), Fault> {
        let words = self.error.as_deref().or(self.message.as_deref()).unwrap_or_default();
        accept(reply, &self.status, words)
    }
}

/// The part of a row that says whose it is.
#[derive(Deserialize)]
struct Whose {
    ticker: Option<Words>,
}

/// A row that declares an action.
trait Declares: DeserializeOwned {
    /// The action; `None` when it cannot be.
    fn action(self) -> Option<Action>;

    /// Whether it says that nothing happened.
    fn is_idle(&self) -> bool {
        false
    }
}

#[derive(Deserialize)]
struct Split {
    execution_date: Words,
    split_from: f64,
    split_to: f64,
}

impl Declares for Split {
    fn action(self) -> Option<Action> {
        split(date(&self.execution_date)?, self.split_from, self.split_to)
    }
}

#[derive(Deserialize)]
struct Dividend {
    ex_dividend_date: Words,
    cash_amount: f64,
    currency: Option<Words>,
}

impl Declares for Dividend {
    fn is_idle(&self) -> bool {
        self.cash_amount == 0.0
    }

    fn action(self) -> Option<Action> {
        let currency = self.currency.and_then(|currency| kept(&currency, LONGEST_WORD));
        dividend(date(&self.ex_dividend_date)?, self.cash_amount, currency)
    }
}

/// Actions, row by row: one that cannot be read costs itself and not the page, and is kept as text.
fn rows<R: Declares>(ask: &Ask<'_>, reply: &Reply, body: &str) -> Result<Page, Fault> {
    let envelope: Envelope<Few<&RawValue>> =
        serde_json::from_str(body).map_err(|error| not_json(reply, &error))?;
    envelope.check(reply)?;
    let mut answers: BTreeMap<&str, Answer> = BTreeMap::new();
    if ask.market.is_none() {
        answers.insert(only_symbol(ask), Answer::default());
    }
    for raw in envelope.results.iter().flat_map(|rows| rows.iter()) {
        let raw = raw.get();
        let whose = serde_json::from_str::<Whose>(raw).ok().and_then(|row| row.ticker);
        let name = match (&whose, ask.market) {
            (Some(ticker), Some(_)) => wanted(ask, ticker),
            (None, Some(_)) => "",
            (Some(ticker), None) => {
                check_symbol(ask, reply, ticker)?;
                only_symbol(ask)
            }
            (None, None) => only_symbol(ask),
        };
        let row = whose.as_ref().and_then(|_| serde_json::from_str::<R>(raw).ok());
        let is_anybodys = whose.is_some() && name.is_empty();
        add(answers.entry(name).or_default(), ask, (raw, row), is_anybodys);
    }
    let next = envelope.next_url.map(|url| next_url::cursor(ask, reply, &url)).transpose()?;
    let named = |(symbol, answer): (&str, Answer)| Answer { symbol: symbol.to_owned(), ..answer };
    Ok(Page { answers: answers.into_iter().map(named).collect(), next })
}

/// The symbol of that name, if its rows are wanted of those of a whole market; else none.
fn wanted<'a>(ask: &Ask<'a>, ticker: &str) -> &'a str {
    let found = ask.symbols.binary_search_by(|symbol| symbol.as_str().cmp(ticker));
    found.ok().and_then(|at| ask.symbols.get(at)).map_or("", Symbol::as_str)
}

/// Adds a row, as text and as read, to the answer about its ticker. One of somebody else's that does not
/// read is none that anybody misses; and what is asked by date has none of other days.
fn add<R: Declares>(
    answer: &mut Answer,
    ask: &Ask<'_>,
    (raw, row): (&str, Option<R>),
    is_anybodys: bool,
) {
    let is_idle = row.as_ref().is_some_and(Declares::is_idle);
    let is_asked = |action: &Action| {
        let at = midnight(action.ex_date);
        ask.market.is_none() || ask.range.contains(at)
    };
    match row.filter(|row| !row.is_idle()).and_then(Declares::action) {
        Some(action) if is_asked(&action) => answer.declared.actions.push(action),
        None if !is_idle && !is_anybodys => {
            let text = row_text(answer.broken.len(), raw);
            answer.broken.push(Rejection {
                ts: None,
                reason: RejectReason::InvalidNumber,
                fields: BarFields::NONE,
                text,
            });
        }
        _ => answer.dropped += 1,
    }
}

/// What a ticker is. `results` is one object.
#[derive(Deserialize)]
struct Ticker {
    ticker: Option<Words>,
    name: Option<Words>,
    primary_exchange: Option<Words>,
    currency_name: Option<Words>,
    r#type: Option<Words>,
    active: Option<bool>,
    list_date: Option<Words>,
    delisted_utc: Option<Words>,
}

fn listing(ask: &Ask<'_>, reply: &Reply, body: &str) -> Result<Page, Fault> {
    let envelope: Envelope<Ticker> =
        serde_json::from_str(body).map_err(|error| not_json(reply, &error))?;
    envelope.check(reply)?;
    let mut answer = Answer { symbol: only_symbol(ask).to_owned(), ..Answer::default() };
    let Some(found) = envelope.results else { return Ok(Page::last_of(answer)) };
    match &found.ticker {
        Some(ticker) => check_symbol(ask, reply, ticker)?,
        None => return Err(malformed(reply, "the answer does not say whose it is")),
    }
    let word = |text: &Option<Words>| text.as_ref().and_then(|text| kept(text, LONGEST_WORD));
    let mut day = |text: &Option<Words>| {
        let text = text.as_deref().filter(|text| !text.is_empty())?;
        let day = text.get(..10).and_then(date);
        if day.is_none() {
            let text = row_text(0, text);
            answer.broken.push(Rejection {
                ts: None,
                reason: RejectReason::InvalidNumber,
                fields: BarFields::NONE,
                text,
            });
        }
        day
    };
    let (listed_on, delisted_on) = (day(&found.list_date), day(&found.delisted_utc));
    answer.declared = Declared {
        actions: Vec::new(),
        listing: Some(Listing {
            name: found.name.as_ref().and_then(|name| kept(name, LONGEST_NAME)),
            exchange: word(&found.primary_exchange),
            currency: word(&found.currency_name),
            kind: word(&found.r#type),
            active: found.active,
            listed_on,
            delisted_on,
        }),
    };
    Ok(Page::last_of(answer))
}

/// A text as it is kept; `None` when nothing stands in it.
fn kept(text: &str, longest: usize) -> Option<String> {
    Some(shown_within(text, longest)).filter(|text| !text.is_empty())
}
