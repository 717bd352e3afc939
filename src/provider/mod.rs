//! Providers: text in, bars out. A provider words requests and reads replies; it sends nothing, waits
//! for nothing and stores nothing.
//!
//! Growth is one file here plus one line in [`ALL`]. What differs from provider to provider is said in
//! the terms of [`Provider`]: which timeframes it offers and how it cuts them, how far one request
//! reaches, how pages follow each other, and how its payload reads. Wire units end here: what leaves
//! this room is epoch seconds UTC, prices as numbers, and `1d` bars labelled by their session's date.
//!
//! Some say more of a symbol than its bars: [`Provider::topics`] lists what may be asked for.
//!
//! `files` is not among them: it has no requests. Its rows are read by [`files`] and [`actions_file`]. What several of them
//! do alike, such as telling an error by its status, stands in `reading`; how much of a payload is read at all, in
//! `bounded`.

use std::time::Duration;

use crate::calendar::Layout;
use crate::domain::bar::{Adjustment, Bar, Rejection};
use crate::domain::policy::{Publication, RateLimit};
use crate::domain::range::TimeRange;
use crate::domain::run::Fault;
use crate::domain::series::{AssetClass, Symbol};
use crate::domain::task::About;
use crate::domain::timeframe::Timeframe;
use crate::domain::zone::Zone;

pub mod actions_file;
mod alpaca;
mod binance;
mod bounded;
mod coinbase;
mod declared;
pub mod files;
mod kraken;
mod polygon;
mod reading;
#[cfg(test)]
mod tests;
pub mod text;
mod yahoo;

pub use declared::Declared;

/// Every provider that is spoken to over HTTP.
pub const ALL: &[&dyn Provider] = &[
    &alpaca::Alpaca,
    &binance::Binance,
    &coinbase::Coinbase,
    &kraken::Kraken,
    &polygon::Polygon,
    &yahoo::Yahoo,
];

/// The provider of that kind; `massive` is polygon's new name.
#[must_use]
pub fn of_kind(kind: &str) -> Option<&'static dyn Provider> {
    let kind = if kind == "massive" { "polygon" } else { kind };
    ALL.iter().copied().find(|provider| provider.kind() == kind)
}

/// One market-data source. Pure: it words requests and reads replies, and sends nothing.
pub trait Provider: Sync {
    /// Its name in `kind = "..."`.
    fn kind(&self) -> &'static str;

    /// What holds unless the config says otherwise.
    fn defaults(&self) -> Defaults;

    /// The asset classes that it has.
    fn asset_classes(&self) -> &'static [AssetClass];

    /// The timeframes that it offers itself; others are derived from them.
    fn timeframes(&self) -> &'static [Timeframe];

    /// How it cuts the bars of `class`.
    fn layout(&self, class: AssetClass) -> Layout;

    /// How far one request of `timeframe` reaches.
    fn reach(&self, timeframe: Timeframe, page_limit: u32) -> Reach;

    /// How far back it has bars of `timeframe`, in seconds before now; `None` when without limit.
    fn depth(&self, timeframe: Timeframe) -> Option<i64>;

    /// What the prices of its shares contain, `adjusted` or not as it is asked for them.
    fn adjustment(&self, adjusted: bool) -> Adjustment {
        if adjusted { Adjustment::Splits } else { Adjustment::Raw }
    }

    /// What it can be asked for of a symbol of that class besides bars, in this order.
    fn topics(&self, _class: AssetClass) -> &'static [About] {
        &[]
    }

    /// The name of the market of which one request brings what it has of every symbol of that class: of bars
    /// a day. `None` where symbols are asked for one by one.
    fn whole_market(&self, _about: About, _class: AssetClass) -> Option<&'static str> {
        None
    }

    /// What else than bars it can be asked for of all symbols at once, by date.
    fn dated_lists(&self) -> &'static [(About, DatedList)] {
        &[]
    }

    /// Words the request for a page.
    fn request(&self, ask: &Ask<'_>) -> Request;

    /// Reads the answer to that request.
    ///
    /// # Errors
    ///
    /// A fault when the answer is a refusal, whatever its status code says, or cannot be what was
    /// asked for. An empty answer is no fault.
    fn read(&self, ask: &Ask<'_>, reply: &Reply) -> Result<Page, Fault>;
}

/// What holds for a provider unless the config says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Scheme and host, without a slash at the end.
    pub base_url: &'static str,
    /// What its free plan allows.
    pub rate: RateLimit,
    /// How far back its free plan reaches, in seconds; `None` when all there is.
    pub history: Option<i64>,
    /// When it publishes a closed bar.
    pub publication: Publication,
    /// Rows a page, at most.
    pub page_limit: u32,
    /// How it takes its key.
    pub key: KeyUse,
}

/// How far one request reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At most so many seconds of `ts` from the first to the end of the last window asked for; more
    /// is refused, so the plan slices.
    Seconds(i64),
    /// Any range; the answer comes in pages of about so many seconds of round-the-clock trading.
    Pages {
        /// Seconds of `ts` that one full page holds.
        seconds: i64,
    },
}

/// A list by date of what is declared of all symbols, in the order of its days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatedList {
    /// The market whose symbols are in it, by the name that the provider has for it.
    pub market: &'static str,
    /// Its rows that fall into a year, about.
    pub rows_a_year: u64,
    /// Rows a page, at most.
    pub page_rows: u64,
}

/// How a provider takes its key. Never in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// It wants none.
    None,
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key in one header and its second half in another.
    Headers {
        /// The key's header.
        key: &'static str,
        /// The second half's header.
        second: &'static str,
    },
}

/// What a page is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Whose bars: one symbol, spelled as the provider spells it; of a whole market those whose rows are wanted,
    /// ascending.
    pub symbols: &'a [Symbol],
    /// The market that is asked for as a whole; `None` for one symbol.
    pub market: Option<&'static str>,
    /// What of them; else than bars only of those that [`Provider::topics`] lists.
    pub about: About,
    /// What kind of thing they are.
    pub asset_class: AssetClass,
    /// Which bars.
    pub timeframe: Timeframe,
    /// Which `ts`.
    pub range: TimeRange,
    /// Whether the provider is to adjust prices for splits.
    pub adjusted: bool,
    /// Rows a page, at most.
    pub page_limit: u32,
    /// The zone of the market's calendar.
    pub zone: Zone,
    /// Where the last page ended; `None` for the first.
    pub cursor: Option<&'a Cursor>,
}

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// At this `ts`.
    From(i64),
    /// Behind this path and query, which the provider handed out; the origin is not its to choose.
    Path(String),
    /// Behind this token.
    Token(String),
}

/// A request, still without key and origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Path segments, not yet percent-encoded.
    pub path: Vec<String>,
    /// Query pairs, not yet percent-encoded.
    pub query: Vec<(String, String)>,
    /// Headers that the provider wants besides those of every request and its key.
    pub headers: Vec<(&'static str, &'static str)>,
    /// A path and query that the provider handed out, sent as they are instead of the above.
    pub handed_out: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The unpacked body.
    pub body: String,
}

/// One reply's worth of bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The rows of each symbol in the answer, oldest first where the provider keeps to an order.
    pub answers: Vec<Answer>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<Cursor>,
}

impl Page {
    /// The last page, of one symbol.
    fn last_of(answer: Answer) -> Self {
        Self { answers: vec![answer], next: None }
    }
}

/// One symbol's rows in a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// As the provider spells it; empty when the payload does not name it, and of the rows of a whole market
    /// that nobody asked for.
    pub symbol: String,
    /// Rows whose numbers could be read, not yet judged.
    pub bars: Vec<Bar>,
    /// Rows whose numbers could not be read.
    pub broken: Vec<Rejection>,
    /// Rows that the payload itself marks as not yet final or as no bars, left out above.
    pub dropped: u64,
    /// What the prices contain, where the answer says so.
    pub adjustment: Option<Adjustment>,
    /// What is said besides bars.
    pub declared: Declared,
}
