//! Whose bars they are: symbols, asset classes, and series.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::enum_words::enum_words;
use super::timeframe::Timeframe;

/// The longest symbol that is accepted, in bytes.
const LONGEST: usize = 64;

/// A symbol, spelled as its provider spells it, case included. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// What stands for all symbols of a market, where a request is for all of them.
    #[must_use]
    pub fn every() -> Self {
        Self("*".into())
    }

    /// Whether it stands for all symbols of a market.
    #[must_use]
    pub fn is_every(&self) -> bool {
        &*self.0 == "*"
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Symbol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(format!("a symbol has 1 to {LONGEST} characters, not {}", text.len()));
        }
        // In a path it would stand for another place.
        if text.chars().all(|c| c == '.') {
            return Err("a symbol is more than dots".to_owned());
        }
        // Nearly all are plain letters, and those are looked at byte by byte.
        if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Ok(Self(text.into()));
        }
        match text.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '\\') {
            Some(c) => Err(format!("a symbol cannot hold {c:?}")),
            None => Ok(Self(text.into())),
        }
    }
}

impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By their texts; neighbours in long lists often share one, which then is not looked at.
impl Ord for Symbol {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One symbol at one timeframe: the unit of planning, watermark and freshness.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// Whose bars.
    pub symbol: Symbol,
    /// How long they are.
    pub timeframe: Timeframe,
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.symbol, self.timeframe)
    }
}

/// What kind of thing a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetClass {
    /// A share of a company.
    Stock,
    /// An exchange-traded fund.
    Etf,
    /// A pair of crypto currencies, or of one and a currency.
    Crypto,
    /// A pair of currencies.
    Forex,
    /// An index: no volume.
    Index,
}

enum_words!(AssetClass, "asset class", {
    Stock => "stock", Etf => "etf", Crypto => "crypto", Forex => "forex", Index => "index",
});

impl AssetClass {
    /// The calendar of its bars unless the config names another.
    #[must_use]
    pub const fn default_calendar(self) -> &'static str {
        match self {
            Self::Stock | Self::Etf | Self::Index => "XNYS",
            Self::Crypto => "24x7",
            Self::Forex => "FX",
        }
    }
}
