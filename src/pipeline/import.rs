//! Bars from files that somebody names: the same line as a provider's, but the provider has not spoken.
//!
//! What is stored stays, unless whoever imports says otherwise: a provider's own bars are the series, and a
//! file fills what they lack. What a file answers for is where its bars are and nowhere else: its holes are
//! still to be asked for. And how the series stands with its provider, failures, settling and last answer,
//! is none of its business.

use std::path::PathBuf;

use crate::calendar::due::Due;
use crate::config::{ProviderSettings, Settings, Source};
use crate::domain::action::{Action, ActionKind};
use crate::domain::bar::{Adjustment, Bar};
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::run::{ErrorKind, Fault, IMPORT};
use crate::domain::series::SeriesKey;
use crate::domain::task::{About, Job, NamedFile, Purpose, Stored, Task};
use crate::plan::{BEGINNING, Plan, gaps};
use crate::store::{Claim, Store, StoreResult, Writer};
use crate::validate::Checked;

use super::line::Line;
use super::want::Holdings;

/// Closes that a file is held against, about.
const COMPARED: i64 = 64;

/// What is to be imported, and on what terms.
#[derive(Clone, Debug)]
pub struct Import {
    /// The files, in the order in which they were named.
    pub files: Vec<ImportFile>,
    /// On what terms.
    pub terms: Terms,
}

/// A file, and the series whose bars it holds: one of the config's that is not made of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFile {
    /// Whose bars.
    pub key: SeriesKey,
    /// Where it is.
    pub path: PathBuf,
}

/// On what terms bars are imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether they take the place of differing ones that are stored.
    pub replace: bool,
    /// What their prices contain; `None` for what the series' own contain.
    pub adjustment: Option<Adjustment>,
    /// Whether all is judged as of another time than now: that a file holds bars of later is no mistake then.
    pub as_of: bool,
}

impl Terms {
    pub(super) const fn claim(self) -> Claim {
        if self.replace { Claim::Replaces } else { Claim::Fills }
    }
}

impl Import {
    /// The plan: a job a symbol, a task a file; `store` is `None` where there is none yet.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub(super) fn plan(
        &self,
        settings: &Settings,
        store: Option<&Store>,
        holdings: &Holdings,
        now: i64,
    ) -> StoreResult<Plan> {
        let mut jobs: Vec<Job> = Vec::new();
        for file in &self.files {
            let symbol = &file.key.symbol;
            let member = settings.members().find(|(_, member)| member.symbol == *symbol);
            let Some((group, _)) = member else { continue };
            let task = Task {
                key: file.key.clone(),
                about: About::Bars,
                provider: IMPORT.to_owned(),
                asset_class: group.asset_class,
                ask_symbol: symbol.clone(),
                range: TimeRange::new(BEGINNING, now),
                purpose: Purpose::Hole,
                bars: 0,
                further_pages: 0,
                file: Some(NamedFile {
                    path: file.path.clone(),
                    stored: self.stored(store, holdings, &file.key)?,
                }),
                shared: Vec::new(),
                unsettled_from: None,
            };
            match jobs.iter_mut().find(|job| job.symbol == *symbol) {
                Some(job) => job.tasks.push(task),
                None => jobs.push(Job { symbol: symbol.clone(), tasks: vec![task] }),
            }
        }
        Ok(Plan { jobs, ..Plan::default() })
    }

    /// What a file of that series is held against; nothing where none of it is stored.
    fn stored(
        &self,
        store: Option<&Store>,
        holdings: &Holdings,
        key: &SeriesKey,
    ) -> StoreResult<Stored> {
        let Some((store, fact)) = store.zip(holdings.series.get(key)) else {
            return Ok(Stored::default());
        };
        let Some(extent) = fact.first_ts.zip(fact.watermark_ts) else {
            return Ok(Stored::default());
        };
        let actions =
            store.actions_of(&key.symbol)?.into_iter().filter(|fact| fact.status.counts());
        let split = |Action { ex_date, kind }| match kind {
            ActionKind::Split { from, to } => Some((ex_date, to / from)),
            ActionKind::Dividend { .. } => None,
        };
        Ok(Stored {
            closes: store.closes_across(fact.series_id, extent, COMPARED)?,
            bars: fact.bar_count,
            adjustment: fact.planned.as_ref().map_or(Adjustment::Raw, |planned| planned.adjustment),
            splits: actions.filter_map(|fact| split(fact.action)).collect(),
            replaces: self.terms.replace,
        })
    }
}

/// Who reads the files, as one of the providers: a folder's like, with nothing to be limited.
pub(super) fn reader(settings: &Settings) -> Option<ProviderSettings> {
    let any = settings.providers.values().next()?;
    Some(ProviderSettings {
        name: IMPORT.to_owned(),
        source: Source::Files { folder: PathBuf::new() },
        key: None,
        rates: Vec::new(),
        ..any.clone()
    })
}

/// From the first to the last row of a page that has a time; empty where none has.
pub(super) fn range_of(checked: &Checked) -> TimeRange {
    let bars = checked.accepted.first().into_iter().chain(checked.accepted.last());
    let refused = checked.rejected.iter().filter_map(|row| row.ts);
    let times = bars.map(|bar| bar.ts).chain(refused);
    let (first, last) =
        times.fold((i64::MAX, i64::MIN), |(first, last), ts| (first.min(ts), last.max(ts)));
    if first > last { TimeRange::new(0, 0) } else { TimeRange::new(first, last.saturating_add(1)) }
}

/// What is wrong with a file whose prices are said to contain something else than those of the series that
/// it is of.
pub(super) fn other_prices(held: Adjustment, given: Adjustment) -> Fault {
    let (held, given) = (held.as_str(), given.as_str());
    let message = format!(
        "its prices are said to be `{given}` ones, those of the stored series are `{held}` ones, and nothing \
         would tell the one from the other; bring `{held}` prices: --adjusted says what a file's prices \
         contain, and converts nothing"
    );
    Fault::new(ErrorKind::Malformed, message)
}

/// What is wrong with one whose prices are said to contain something else than those that the provider of
/// its series, which is empty yet, gives: none of these could be added to it later.
pub(super) fn foreign_prices(provider: &ProviderSettings, given: Adjustment) -> Fault {
    let (gives, name) = (provider.adjustment(), &provider.name);
    // Whoever is asked otherwise gives others, if it can.
    let other = ProviderSettings { adjusted: !provider.adjusted, ..provider.clone() };
    let setting = if other.adjustment() == given {
        format!(
            ", or set `adjusted = {}` in [providers.{name}] first, which is for all its series",
            other.adjusted
        )
    } else {
        String::new()
    };
    let message = format!(
        "its prices are said to be `{}` ones, and [providers.{name}] gives `{gives}` ones, of which none could \
         come to them later; bring `{gives}` prices{setting}",
        given.as_str(),
        gives = gives.as_str()
    );
    Fault::new(ErrorKind::Malformed, message)
}

impl Line {
    /// From which `ts` on its bars are due once imported ones from `first` on are stored. Older ones than
    /// those of its lookback, which `begins` there, and than those that it has are no reason to ask its
    /// provider for what lies between, or to miss it.
    pub(super) fn due_beside(&self, first: i64, begins: i64) -> Option<i64> {
        let held = self.due_from.or(self.first_ts);
        // What is read from a file has no lookback, and begins with its first bar.
        let begins = match held {
            Some(held) if begins <= BEGINNING => held,
            Some(held) => held.min(begins),
            None => begins,
        };
        if first < begins { Some(begins) } else { self.due_from }
    }

    /// Notes what imported bars, which ascend, answer for: themselves. Gaps are less what came, and what
    /// is due between the bars and did not come is still to be asked for.
    pub(super) fn import(
        &mut self,
        tx: &Writer<'_>,
        due: &Due,
        now: i64,
        bars: &[Bar],
    ) -> StoreResult<()> {
        let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return Ok(()) };
        let range = TimeRange::new(first.ts, last.ts + self.timeframe.seconds());
        let stored = tx.bars_ts(self.series_id, range)?;
        let known = self.known(due, now);
        let mut came: RangeSet = [range].into_iter().collect();
        gaps::lacking(&known, range, &stored).into_iter().for_each(|gap| came.remove(gap));
        let from = self.gaps.partition_point(|gap| gap.range.end <= range.start);
        let to = self.gaps.partition_point(|gap| gap.range.start < range.end).max(from);
        let left = gaps::filled(&known, &self.gaps[from..to], range, &stored);
        tx.gaps_set(self.series_id, &self.gaps[from..to], &left)?;
        self.gaps.splice(from..to, left);
        let before = self.coverage.clone();
        came.ranges().iter().for_each(|range| self.coverage.insert(*range));
        tx.coverage_set(self.series_id, &before, &self.coverage)
    }
}
