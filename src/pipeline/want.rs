//! From config and store to what the plan compares: one want a series.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::time::Duration;

use crate::config::{Group, Member, ProviderSettings, Settings, Source};
use crate::domain::fact::{FileMark, SeriesFact};
use crate::domain::gap::{Gap, GapReason};
use crate::domain::quick::QuickMap;
use crate::domain::range::RangeSet;
use crate::domain::reference::{CheckedFact, ToldFact};
use crate::domain::series::{AssetClass, SeriesKey, Symbol};
use crate::domain::series_facts::SeriesFacts;
use crate::domain::shard::Shard;
use crate::domain::task::{About, Shared};
use crate::domain::time::seconds;
use crate::domain::timeframe::Timeframe;
use crate::domain::words::span;
use crate::fetch::file_path;
use crate::plan::rest::{self, Heard, Rest};
use crate::plan::{BEGINNING, FileState, Inquiry, Want};
use crate::provider::{DatedList, Reach, actions_file};

/// Which series a call is about; an empty list leaves its axis open.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Symbols.
    pub symbols: BTreeSet<Symbol>,
    /// Timeframes.
    pub timeframes: BTreeSet<Timeframe>,
    /// A group.
    pub group: Option<String>,
    /// An asset class.
    pub asset_class: Option<AssetClass>,
    /// A provider.
    pub provider: Option<String>,
    /// One of several machines.
    pub shard: Option<Shard>,
}

impl Selection {
    /// Whether a member of a group is meant.
    #[must_use]
    pub fn holds_member(&self, group: &Group, member: &Member) -> bool {
        (self.symbols.is_empty() || self.symbols.contains(&member.symbol))
            && self.group.as_ref().is_none_or(|name| *name == group.name)
            && self.asset_class.is_none_or(|class| class == group.asset_class)
            && self.provider.as_ref().is_none_or(|name| *name == group.provider)
            && self.shard.is_none_or(|shard| shard.holds(&member.symbol))
    }

    /// Whether a timeframe of `group` is meant: itself, or as what a meant one is made of.
    #[must_use]
    pub fn holds_timeframe(&self, group: &Group, timeframe: Timeframe) -> bool {
        self.timeframes.is_empty()
            || self.timeframes.contains(&timeframe)
            || group.timeframes.iter().any(|(derived, stored)| {
                stored.derived_from == Some(timeframe) && self.timeframes.contains(derived)
            })
    }
}

/// What the store holds, as the wants are made of it.
#[derive(Debug, Default)]
pub struct Holdings {
    /// Series by key.
    pub series: SeriesFacts,
    /// Coverage by series.
    pub coverage: QuickMap<i64, RangeSet>,
    /// Gaps by series, ascending.
    pub gaps: QuickMap<i64, Vec<Gap>>,
    /// When each symbol was asked about.
    pub checked: BTreeMap<Symbol, CheckedFact>,
    /// What each provider, by its name in the config, refuses now to be asked for at once.
    pub refused: BTreeSet<(String, String)>,
}

impl Holdings {
    /// The market of which `provider` may be asked for a day of every symbol of that class at once.
    fn whole_market(
        &self,
        provider: &ProviderSettings,
        class: AssetClass,
        timeframe: Timeframe,
    ) -> Option<&'static str> {
        let days = provider.whole_market(About::Bars, class).filter(|_| timeframe == Timeframe::D1);
        days.filter(|market| {
            let refusal = (provider.name.clone(), Shared::refusal(About::Bars, market));
            !self.refused.contains(&refusal)
        })
    }

    /// What `provider` may be asked for by date, of all symbols at once.
    fn dated_lists(&self, provider: &ProviderSettings) -> Vec<(About, DatedList)> {
        let lists = provider.dated_lists().iter().filter(|(about, list)| {
            let refusal = Shared::refusal(*about, list.market);
            !self.refused.contains(&(provider.name.clone(), refusal))
        });
        lists.copied().collect()
    }

    /// The gaps of a series, ascending.
    pub(super) fn gaps_of(&self, series_id: i64) -> &[Gap] {
        self.gaps.get(&series_id).map_or(&[], Vec::as_slice)
    }
}

/// The wants of a call, and what had to be left out of them, a sentence each.
///
/// Derived series are no wants: their bars come from their sources.
#[must_use]
pub(super) fn wants(
    settings: &Settings,
    selection: &Selection,
    holdings: &Holdings,
    now: i64,
) -> (Vec<Want>, Vec<String>) {
    let known = Known::of(settings, selection, holdings, now);
    let mut notes = Vec::new();
    let mut wants = Vec::new();
    for group in &settings.groups {
        let provider = settings.provider_of(group);
        for (timeframe, stored) in &group.timeframes {
            if stored.derived_from.is_some() || !selection.holds_timeframe(group, *timeframe) {
                continue;
            }
            let kept = settings.retention.bars.get(timeframe).copied();
            let (start, note) = start(group, provider, (*timeframe, stored.lookback), kept, now);
            notes.extend(note);
            let members = group.members.iter();
            let members = members.filter(|member| selection.holds_member(group, member));
            wants.extend(members.map(|member| known.want(group, member, *timeframe, &start)));
        }
    }
    (wants, notes)
}

/// What wants are made of besides the config.
struct Known<'a> {
    settings: &'a Settings,
    holdings: &'a Holdings,
    /// What was asked for and did not come, by series.
    empty: QuickMap<i64, RangeSet>,
    /// What of it is due for another look.
    look_again: QuickMap<i64, RangeSet>,
    rests: HashMap<i64, Rest>,
    now: i64,
}

impl<'a> Known<'a> {
    fn of(settings: &'a Settings, selection: &Selection, holdings: &'a Holdings, now: i64) -> Self {
        let empty = gaps_where(&holdings.gaps, |gap| {
            matches!(gap.reason, GapReason::ProviderEmpty | GapReason::Rejected)
        });
        let look_again =
            gaps_where(&holdings.gaps, |gap| gap.next_check_at.is_some_and(|at| at <= now));
        let rests = rests(settings, selection, holdings, now);
        Self { settings, holdings, empty, look_again, rests, now }
    }

    fn want(&self, group: &Group, member: &Member, timeframe: Timeframe, start: &Start) -> Want {
        let Self { settings, holdings, .. } = self;
        let provider = settings.provider_of(group);
        let key = SeriesKey { symbol: member.symbol.clone(), timeframe };
        let held = holdings.series.get(&key);
        let (first_ts, watermark_ts) = held.map_or((None, None), extent);
        Want {
            series_id: held.map_or(0, |fact| fact.series_id),
            provider: group.provider.clone(),
            asset_class: group.asset_class,
            due: settings.due(group, member),
            start: start.of(first_ts),
            limit: start.limit,
            reach: reach(provider, timeframe),
            market: holdings.whole_market(provider, group.asset_class, timeframe),
            adjusted: provider.adjusted,
            aliases: member.aliases.clone(),
            priority: group.priority,
            settle: seconds(group.settle),
            coverage: of(&holdings.coverage, held),
            empty: of(&self.empty, held),
            look_again: of(&self.look_again, held),
            settle_read_at: held.and_then(|fact| fact.planned.as_ref()?.settle_read_at),
            first_ts,
            watermark_ts,
            added_at: held.and_then(|fact| fact.added_at).unwrap_or(self.now),
            restated_to: held.and_then(SeriesFact::restated_to),
            rest: held.and_then(|fact| self.rests.get(&fact.series_id)).copied(),
            file: file_state(provider, &key, held),
            key,
        }
    }
}

/// The series that are left alone for now; who is named is asked all the same.
fn rests(
    settings: &Settings,
    selection: &Selection,
    holdings: &Holdings,
    now: i64,
) -> HashMap<i64, Rest> {
    let named = |fact: &SeriesFact| selection.symbols.contains(&fact.key.symbol);
    let mut rests = HashMap::new();
    for fact in holdings.series.values().filter(|fact| !named(fact)) {
        let failing = fact.planned.as_ref().and_then(|planned| planned.rests_until);
        let rest =
            failing.and_then(|until| Rest::of_failing(fact.consecutive_failures(), until, now));
        rests.extend(rest.map(|rest| (fact.series_id, rest)));
    }
    // To look at a file costs nothing.
    let asked =
        || settings.series().filter(|(_, group, _)| !settings.provider_of(group).is_files());
    let heard = || {
        asked().filter_map(|(key, group, _)| {
            let fact = holdings.series.get(&key)?;
            Some(Heard {
                key: &fact.key,
                feed: (&group.provider, group.calendar.name()),
                watermark_ts: fact.watermark_ts,
                gaps: holdings.gaps_of(fact.series_id),
            })
        })
    };
    for (key, silence) in rest::silent(heard) {
        let Some(fact) = holdings.series.get(key).filter(|fact| !named(fact)) else { continue };
        if let Some(rest) = Rest::of_silence(silence, now) {
            rests.entry(fact.series_id).or_insert(rest);
        }
    }
    rests
}

/// What of the selected symbols may be asked for besides bars.
#[must_use]
pub(super) fn inquiries(
    settings: &Settings,
    selection: &Selection,
    holdings: &Holdings,
) -> Vec<Inquiry> {
    let nothing = CheckedFact::default();
    let mut inquiries = Vec::new();
    for group in &settings.groups {
        let stored = group.timeframes.iter().filter(|(_, stored)| stored.derived_from.is_none());
        if !stored.into_iter().any(|(timeframe, _)| selection.holds_timeframe(group, *timeframe)) {
            continue;
        }
        let provider = settings.provider_of(group);
        let dated_lists = holdings.dated_lists(provider);
        for member in group.members.iter().filter(|one| selection.holds_member(group, one)) {
            let checked = holdings.checked.get(&member.symbol).unwrap_or(&nothing);
            let told_as = told_as(group, member);
            let told_at = |told: &Option<ToldFact>| {
                told.as_ref().filter(|told| told.told_as == told_as).map(|told| told.at)
            };
            let listing = checked.listing.as_ref().filter(|(name, _)| *name == group.provider);
            inquiries.push(Inquiry {
                symbol: member.symbol.clone(),
                provider: group.provider.clone(),
                asset_class: group.asset_class,
                aliases: member.aliases.clone(),
                delisted: member.delisted,
                priority: group.priority,
                topics: topics(provider, group.asset_class),
                dated_lists: dated_lists.clone(),
                actions_checked_at: checked.actions_at,
                splits_told_at: told_at(&checked.splits_told),
                dividends_told_at: told_at(&checked.dividends_told),
                listing_checked_at: listing.map(|(_, at)| *at),
                file_changed: actions_file_changed(provider, &member.symbol, checked),
            });
        }
    }
    inquiries
}

fn topics(provider: &ProviderSettings, class: AssetClass) -> &'static [About] {
    match &provider.source {
        Source::Files { .. } => &[],
        Source::Http { provider: http, .. } => http.topics(class),
    }
}

/// Who is asked for the actions of a member, and under which names: whoever is asked under another one has
/// not told everything yet.
pub(super) fn told_as(group: &Group, member: &Member) -> String {
    let mut text = format!("{}:", group.provider);
    for (alias, until) in &member.aliases {
        text.push_str(&format!(" {alias} until {until},"));
    }
    text + " " + member.symbol.as_str()
}

/// Whether a symbol's file of actions is another than the one that was read: new, written to, or gone.
fn actions_file_changed(
    provider: &ProviderSettings,
    symbol: &Symbol,
    checked: &CheckedFact,
) -> bool {
    let Source::Files { folder } = &provider.source else { return false };
    let metadata = std::fs::metadata(folder.join(actions_file::file_name(symbol)));
    let gone = metadata.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let mark = metadata.ok().and_then(|metadata| FileMark::of(&metadata));
    // What cannot be looked at is looked into, which says why.
    if gone {
        checked.actions_file.is_some()
    } else {
        mark.is_none() || mark != checked.actions_file
    }
}

fn of(by_series: &QuickMap<i64, RangeSet>, held: Option<&SeriesFact>) -> RangeSet {
    held.and_then(|fact| by_series.get(&fact.series_id)).cloned().unwrap_or_default()
}

/// The stretches of those gaps that `meant` says yes to, by series.
fn gaps_where(
    gaps: &QuickMap<i64, Vec<Gap>>,
    meant: impl Fn(&Gap) -> bool,
) -> QuickMap<i64, RangeSet> {
    let stretches = |gaps: &Vec<Gap>| -> RangeSet {
        gaps.iter().filter(|gap| meant(gap)).map(|gap| gap.range).collect()
    };
    let by_series = gaps.iter().map(|(series_id, gaps)| (*series_id, stretches(gaps)));
    by_series.filter(|(_, stretches)| !stretches.ranges().is_empty()).collect()
}

/// The first and the last of the stored bars that are to make a whole. Imported ones that are older than the
/// lookback do not, unless the provider has restated its prices: then these are asked for, too.
fn extent(fact: &SeriesFact) -> (Option<i64>, Option<i64>) {
    match fact.due_from().filter(|_| fact.restated_to().is_none()) {
        Some(from) if fact.watermark_ts < Some(from) => (None, None),
        Some(_) => (fact.first_due_ts(), fact.watermark_ts),
        None => (fact.first_ts, fact.watermark_ts),
    }
}

/// Where a series that holds nothing yet is wanted from.
pub(super) fn begins(settings: &Settings, group: &Group, timeframe: Timeframe, now: i64) -> i64 {
    let Some(stored) = group.timeframes.get(&timeframe) else { return BEGINNING };
    let kept = settings.retention.bars.get(&timeframe).copied();
    let provider = settings.provider_of(group);
    start(group, provider, (timeframe, stored.lookback), kept, now).0.lookback
}

/// How far back the bars of a timeframe are wanted and can be had.
struct Start {
    /// The lookback's start, or where the provider's bars begin, or the kept ones.
    lookback: i64,
    /// Where the provider's bars begin, as far as that is known, or the kept ones: nothing before is asked
    /// for, whoever asks.
    limit: i64,
}

impl Start {
    /// Where a series is wanted from: what is stored before the lookback's start is to be whole too, but for
    /// what is not kept. That is never due again, whether it has been deleted yet or not.
    fn of(&self, first_ts: Option<i64>) -> i64 {
        first_ts.map_or(self.lookback, |first| first.min(self.lookback).max(self.limit))
    }
}

/// Where the bars of a timeframe are wanted from, and what that leaves out of the lookback. `kept` is how
/// long its bars are; `None` when all are.
fn start(
    group: &Group,
    provider: &ProviderSettings,
    (timeframe, lookback): (Timeframe, Duration),
    kept: Option<Duration>,
    now: i64,
) -> (Start, Option<String>) {
    let before = |seconds: i64| now.saturating_sub(seconds).max(BEGINNING);
    let kept = kept.map(seconds);
    let kept_from = kept.map_or(BEGINNING, before);
    let Source::Http { provider: http, .. } = &provider.source else {
        return (Start { lookback: kept_from, limit: kept_from }, None);
    };
    let asked = seconds(lookback);
    let history = provider.history.map(|history| (seconds(history), "history"));
    let depth = http.depth(timeframe).map(|depth| (depth, "depth"));
    let offered = history.into_iter().chain(depth).min();
    let offered_from = offered.map_or(BEGINNING, |(limit, _)| before(limit));
    let start = Start {
        lookback: before(asked).max(offered_from).max(kept_from),
        limit: offered_from.max(kept_from),
    };
    let by = offered.map(|(limit, what)| (limit, format!("{}'s {what}", provider.name)));
    let by = by.into_iter().chain(kept.map(|kept| (kept, RETENTION.to_owned()))).min();
    let note = by.filter(|(limit, _)| *limit < asked).map(|(limit, what)| {
        format!(
            "{} {timeframe}: the lookback of {} is cut to the {} of {what}",
            group.name,
            span(asked),
            span(limit),
        )
    });
    (start, note)
}

/// What keeps bars only for a while.
const RETENTION: &str = "`bars` in [database] retention";

fn reach(provider: &ProviderSettings, timeframe: Timeframe) -> Reach {
    match &provider.source {
        Source::Files { .. } => Reach::Pages { seconds: i64::MAX },
        Source::Http { provider: http, .. } => http.reach(timeframe, provider.page_limit),
    }
}

/// Whether the file of a series is another than the one that was read.
fn file_state(
    provider: &ProviderSettings,
    key: &SeriesKey,
    held: Option<&SeriesFact>,
) -> Option<FileState> {
    let Source::Files { folder } = &provider.source else { return None };
    let path = file_path(folder, &key.symbol, key.timeframe);
    let mark = std::fs::metadata(path).ok().and_then(|metadata| FileMark::of(&metadata));
    let read = held.and_then(|fact| fact.planned.as_ref()?.file_mark);
    Some(FileState { changed: read.is_some() && read != mark })
}
