//! The work list of a run, as the plan hands it to `fetch`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::NaiveDate;

use super::bar::Adjustment;
use super::range::TimeRange;
use super::run::ErrorKind;
use super::series::{AssetClass, SeriesKey, Symbol};
use super::timeframe::Timeframe;

/// What is asked for one symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Whose bars.
    pub symbol: Symbol,
    /// Its requests, in order.
    pub tasks: Vec<Task>,
}

/// What of a symbol is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// Its bars.
    #[default]
    Bars,
    /// Its splits: all of them, or those of some days.
    Splits,
    /// Its cash dividends, likewise.
    Dividends,
    /// Itself: name, exchange, currency, its first and last day.
    Listing,
    /// Its splits and dividends, from one file.
    ActionsFile,
}

impl About {
    /// Its word in tables, logs and JSON. There bars are told by their timeframe.
    #[must_use]
    pub const fn word(self, timeframe: Timeframe) -> &'static str {
        match self {
            Self::Bars => timeframe.as_str(),
            other => other.as_str(),
        }
    }

    /// Its own word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Splits => "splits",
            Self::Dividends => "dividends",
            Self::Listing => "listing",
            Self::ActionsFile => "actions",
        }
    }

    /// Whether trouble of that kind only means that a provider, or a key, does not have what was asked for:
    /// with bars a failure, with what no provider need have none.
    #[must_use]
    pub const fn is_lacking(self, kind: ErrorKind) -> bool {
        matches!(self, Self::Splits | Self::Dividends | Self::Listing)
            && matches!(kind, ErrorKind::NotFound | ErrorKind::NotEntitled | ErrorKind::BadRequest)
    }
}

/// One range of one series, or a question about its symbol: one request, and its further pages.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Which series; of what is not about bars, that of the symbol's days.
    pub key: SeriesKey,
    /// What of it.
    pub about: About,
    /// Its provider's name in the config.
    pub provider: String,
    /// What its symbol is.
    pub asset_class: AssetClass,
    /// The name to ask for: the symbol's, or the one that it had then.
    pub ask_symbol: Symbol,
    /// Which `ts`; of actions, when the symbol had the name that is asked for.
    pub range: TimeRange,
    /// What it is for.
    pub purpose: Purpose,
    /// Due bars in it.
    pub bars: u64,
    /// Pages after the first, estimated.
    pub further_pages: u64,
    /// The file that it is imported from; `None` where its provider is asked.
    pub file: Option<NamedFile>,
    /// The requests for a whole market that answer it, made once for all who need them, in the order of time;
    /// empty where it is asked for alone.
    pub shared: Vec<Shared>,
    /// From which `ts` on its series holds bars that are not settled; `None` where there are none.
    pub unsettled_from: Option<i64>,
}

/// A request for a whole market: its answer has rows of every symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shared {
    /// The market, by the name that the provider has for it.
    pub market: &'static str,
    /// Which `ts`.
    pub range: TimeRange,
    /// Pages after the first, estimated.
    pub further_pages: u64,
}

/// A file that somebody named to be imported.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it is held against.
    pub stored: Stored,
}

/// What is stored of a series, as far as a file's prices are held against it before anything of the file is
/// stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// Some of its closes by `ts`, the first and the last one among them; empty without bars.
    pub closes: BTreeMap<i64, f64>,
    /// How many bars it has.
    pub bars: u64,
    /// What its prices contain.
    pub adjustment: Adjustment,
    /// The splits of its symbol that count, oldest first: the ex date, and new shares for one old.
    pub splits: Vec<(NaiveDate, f64)>,
    /// Whether the file is said to be right where it differs.
    pub replaces: bool,
}

impl Task {
    /// What it asks for, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        self.about.word(self.key.timeframe)
    }

    /// How many requests for its first pages it takes alone: none, when it shares them with others.
    #[must_use]
    pub const fn own_requests(&self) -> u64 {
        self.shared.is_empty() as u64
    }
}

impl Shared {
    /// What is refused when requests for the whole market are.
    #[must_use]
    pub fn refusal(about: About, market: &str) -> String {
        format!("{} {market}", about.as_str())
    }
}

/// What a task is for; in this order they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The last stored bar, and what came after it.
    Tail,
    /// A series that has no bars yet.
    New,
    /// What is missing before the last stored bar, or read again on request.
    Hole,
    /// What is to be known besides bars.
    Reference,
}

impl Purpose {
    /// Its word in the plan's table and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tail => "tail",
            Self::New => "new",
            Self::Hole => "hole",
            Self::Reference => "reference",
        }
    }
}
