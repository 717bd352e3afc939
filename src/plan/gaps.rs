//! The gap ledger's judgements: what is missing in a stretch that was answered, and what each gap
//! is called as time passes and more becomes known. Pure.

use crate::calendar::due::Due;
use crate::domain::bar::Bar;
use crate::domain::fact::SeriesFact;
use crate::domain::gap::{Gap, GapReason};
use crate::domain::range::{RangeSet, TimeRange};
use crate::domain::timeframe::{DAY, Timeframe};

/// After how many days a provider's empty answer is asked for again: the first, second, third time.
const LOOK_AGAIN_DAYS: [i64; 3] = [1, 3, 9];

/// After how many days the fourth time, and every further one, where nothing later is stored that would
/// explain it.
const LOOK_SELDOM_DAYS: [i64; 2] = [9, 27];

/// A series as far as its gaps need to know it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// When its bars are due.
    pub due: &'a Due,
    /// How long they are.
    pub timeframe: Timeframe,
    /// Its first stored bar.
    pub first_ts: Option<i64>,
    /// Its last stored bar.
    pub watermark_ts: Option<i64>,
    /// Bars before this `ts` are in the prices of before their provider restated them.
    pub restated_to: Option<i64>,
    /// The instant that everything is judged at.
    pub now: i64,
}

/// A run of due bars that are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missing {
    range: TimeRange,
    count: u64,
}

/// The runs of `due` that are not among `stored`; both ascend.
fn runs(due: impl Iterator<Item = i64>, stored: &[i64], length: i64) -> Vec<Missing> {
    let mut runs: Vec<Missing> = Vec::new();
    let mut stored = stored.iter().copied().peekable();
    let mut unbroken = false;
    for ts in due {
        while stored.next_if(|held| *held < ts).is_some() {}
        if stored.peek() == Some(&ts) {
            unbroken = false;
            continue;
        }
        match runs.last_mut().filter(|_| unbroken) {
            Some(run) => {
                *run = Missing {
                    range: TimeRange::new(run.range.start, ts + length),
                    count: run.count + 1,
                }
            }
            None => runs.push(Missing { range: TimeRange::new(ts, ts + length), count: 1 }),
        }
        unbroken = true;
    }
    runs
}

/// The gaps of a series once `answered` was asked for and answered: what lay there before is judged
/// anew, everything else stays.
///
/// `held` ascend; `stored` are the `ts` stored in `answered`, `rejected` those of rows that were
/// refused; both ascend.
#[must_use]
pub fn answered(
    known: &Known<'_>,
    held: &[Gap],
    answered: TimeRange,
    stored: &[i64],
    rejected: &[i64],
) -> Vec<Gap> {
    let due = known.due.timestamps(known.timeframe, answered, known.now);
    let length = known.timeframe.seconds();
    let mut gaps = Vec::new();
    for gap in held {
        gaps.extend(outside(known, gap, answered));
    }
    for missing in runs(due, stored, length) {
        for part in split_at_rejected(known, missing, rejected) {
            gaps.push(judged_anew(known, held, part));
        }
    }
    gaps.sort_by_key(|gap| gap.range.start);
    gaps
}

/// Whether all bars that are due in `range` are among `bars`, which ascend.
#[must_use]
pub fn is_whole(known: &Known<'_>, range: TimeRange, bars: &[Bar]) -> bool {
    let mut bars = bars.iter();
    let mut due = known.due.timestamps(known.timeframe, range, known.now);
    due.all(|ts| bars.find(|bar| bar.ts >= ts).is_some_and(|bar| bar.ts == ts))
}

/// The stretches of `range` in which due bars are not among `stored`, which ascend.
#[must_use]
pub fn lacking(known: &Known<'_>, range: TimeRange, stored: &[i64]) -> Vec<TimeRange> {
    let due = known.due.timestamps(known.timeframe, range, known.now);
    let runs = runs(due, stored, known.timeframe.seconds());
    runs.into_iter().map(|missing| missing.range).collect()
}

/// The gaps of a series once bars of `range` came without anybody having asked for them: `held`, which
/// ascend, less those among `stored`. Nobody has looked at what is left of them.
#[must_use]
pub fn filled(known: &Known<'_>, held: &[Gap], range: TimeRange, stored: &[i64]) -> Vec<Gap> {
    let length = known.timeframe.seconds();
    let mut gaps = Vec::new();
    for gap in held {
        gaps.extend(outside(known, gap, range));
        let inside = gap.range.intersect(range);
        let due = known.due.timestamps(known.timeframe, inside, known.now);
        let left = runs(due, stored, length).into_iter();
        gaps.extend(left.map(|Missing { range, count }| Gap { range, missing: count, ..*gap }));
    }
    gaps.sort_by_key(|gap| gap.range.start);
    gaps
}

/// What of `gap` lies outside `answered`.
fn outside(known: &Known<'_>, gap: &Gap, answered: TimeRange) -> Vec<Gap> {
    let rest = [
        TimeRange::new(gap.range.start, gap.range.end.min(answered.start)),
        TimeRange::new(gap.range.start.max(answered.end), gap.range.end),
    ];
    if gap.range.intersect(answered).is_empty() {
        return vec![*gap];
    }
    rest.into_iter().filter_map(|range| recut(known, gap, range)).collect()
}

/// `gap` cut down to `range`; `None` when no due bar is left in it.
fn recut(known: &Known<'_>, gap: &Gap, range: TimeRange) -> Option<Gap> {
    let trimmed = known.due.trim(known.timeframe, range, known.now)?;
    let missing = known.due.count(known.timeframe, trimmed, known.now);
    (missing > 0).then_some(Gap { range: trimmed, missing, ..*gap })
}

/// Cuts a run of missing bars where a row was refused in place of the bar.
fn split_at_rejected(
    known: &Known<'_>,
    missing: Missing,
    rejected: &[i64],
) -> Vec<(Missing, GapReason)> {
    let from = rejected.partition_point(|ts| *ts < missing.range.start);
    let to = rejected.partition_point(|ts| *ts < missing.range.end);
    if from == to {
        return vec![(missing, GapReason::ProviderEmpty)];
    }
    let due = known.due.timestamps(known.timeframe, missing.range, known.now);
    let length = known.timeframe.seconds();
    let mut parts: Vec<(Missing, GapReason)> = Vec::new();
    for ts in due {
        let refused = rejected[from..to].binary_search(&ts).is_ok();
        let reason = if refused { GapReason::Rejected } else { GapReason::ProviderEmpty };
        match parts.last_mut().filter(|part| part.1 == reason) {
            Some((part, _)) => {
                part.range.end = ts + length;
                part.count += 1;
            }
            None => {
                parts.push((Missing { range: TimeRange::new(ts, ts + length), count: 1 }, reason))
            }
        }
    }
    parts
}

/// A gap as it stands after this look: it remembers when it was first seen and how often it was
/// looked at, and each look that was due makes the next one later.
fn judged_anew(known: &Known<'_>, held: &[Gap], (missing, reason): (Missing, GapReason)) -> Gap {
    let Missing { range, count } = missing;
    let first = held.partition_point(|gap| gap.range.end <= range.start);
    let before = held[first..]
        .iter()
        .take_while(|gap| gap.range.start < range.end)
        .filter(|gap| gap.reason.is_explained())
        // Whoever refused a row there has not looked at an emptiness.
        .filter(|gap| (gap.reason == GapReason::Rejected) == (reason == GapReason::Rejected))
        .max_by_key(|gap| gap.checked_count);
    let first_seen_at = before.map_or(known.now, |gap| gap.first_seen_at);
    let due_again = before.is_none_or(|gap| gap.next_check_at.is_some_and(|at| at <= known.now));
    let checked_count = before.map_or(0, |gap| gap.checked_count) + u32::from(due_again);
    let next_check_at = if due_again {
        let index = usize::try_from(checked_count).unwrap_or(usize::MAX).saturating_sub(1);
        let days = LOOK_AGAIN_DAYS.iter().chain(&LOOK_SELDOM_DAYS).nth(index);
        Some(known.now + days.unwrap_or(&LOOK_SELDOM_DAYS[1]) * DAY)
    } else {
        before.and_then(|gap| gap.next_check_at)
    };
    let next_check_at = next_check_at.filter(|_| reason == GapReason::ProviderEmpty);
    Gap { range, missing: count, reason, first_seen_at, checked_count, next_check_at }
}

/// The gaps with the reasons that they deserve now that more is known.
///
/// An empty answer before the first stored bar is the time before the listing; one after the last session
/// of a delisted symbol was to be expected. One that a later bar follows, and that was looked at often enough, is a window without a trade; so is, at once, an
/// intraday one of a closed session that holds a bar.
#[must_use]
pub fn reconsidered(known: &Known<'_>, gaps: &[Gap]) -> Vec<Gap> {
    let mut out: Vec<Gap> = Vec::with_capacity(gaps.len());
    for gap in gaps.iter().flat_map(|gap| split_at_delisting(known, &listed_earlier(known, gap))) {
        match (gap.reason, known.first_ts, known.watermark_ts) {
            (GapReason::ProviderEmpty, Some(first), Some(last)) => {
                out.extend(named_anew(known, gap, first, last));
            }
            _ => out.push(gap),
        }
    }
    out
}

/// The gap as an empty answer, if it was taken for the time before the listing and an earlier bar came.
fn listed_earlier(known: &Known<'_>, gap: &Gap) -> Gap {
    let is_later = known.first_ts.is_some_and(|first| gap.range.start > first);
    if gap.reason == GapReason::PreListing && is_later {
        return Gap { reason: GapReason::ProviderEmpty, next_check_at: Some(known.now), ..*gap };
    }
    *gap
}

/// What an empty answer is called once bars from `first` to `last` are stored.
fn named_anew(known: &Known<'_>, gap: Gap, first: i64, last: i64) -> Vec<Gap> {
    let reason = |reason| vec![Gap { reason, next_check_at: None, ..gap }];
    let looked_enough = gap.checked_count as usize > LOOK_AGAIN_DAYS.len();
    if gap.range.end <= first {
        reason(GapReason::PreListing)
    } else if gap.range.start < last && looked_enough {
        reason(GapReason::NoTrade)
    } else {
        split_at_sessions(known, &gap)
    }
}

/// Calls an empty answer that lies after a symbol's last session so, and no longer so once the config
/// takes that session back.
fn split_at_delisting(known: &Known<'_>, gap: &Gap) -> Vec<Gap> {
    let end = known.due.listed_until(known.timeframe).unwrap_or(i64::MAX);
    match gap.reason {
        GapReason::Delisted if gap.range.start < end => {
            let next_check_at = Some(known.now);
            vec![Gap { reason: GapReason::ProviderEmpty, next_check_at, ..*gap }]
        }
        GapReason::ProviderEmpty if gap.range.end > end => {
            let listed = TimeRange::new(gap.range.start, end.max(gap.range.start));
            let before = recut(known, gap, listed);
            let missing = gap.missing.saturating_sub(before.map_or(0, |before| before.missing));
            let range = TimeRange::new(listed.end, gap.range.end);
            let after = Gap { range, missing, reason: GapReason::Delisted, ..*gap };
            let after = Gap { next_check_at: None, ..after };
            before.into_iter().chain((missing > 0).then_some(after)).collect()
        }
        _ => vec![*gap],
    }
}

/// Cuts an intraday gap at its first and its last session: where one of them is closed and holds a
/// bar, its empty windows were not traded. Sessions between them are wholly empty: a bar around them
/// explains nothing.
fn split_at_sessions(known: &Known<'_>, gap: &Gap) -> Vec<Gap> {
    if !known.timeframe.is_intraday() || !known.due.calendar.has_sessions() {
        return vec![*gap];
    }
    let last_label = gap.range.end - known.timeframe.seconds();
    let session = |label| known.due.session_labels(known.timeframe, label);
    let (first, last) = (session(gap.range.start), session(last_label));
    let (Some(first), Some(last)) = (first, last) else { return vec![*gap] };
    let between = TimeRange::new(first.end, last.start);
    let stretches = if first == last { vec![first] } else { vec![first, between, last] };
    let mut parts: Vec<Gap> = Vec::new();
    for stretch in stretches {
        let Some(mut part) = recut(known, gap, gap.range.intersect(stretch)) else { continue };
        if (stretch == first || stretch == last) && was_not_traded(known, stretch, &part) {
            (part.reason, part.next_check_at) = (GapReason::NoTrade, None);
        }
        match parts.last_mut().filter(|before| before.reason == part.reason) {
            Some(before) => {
                before.range.end = part.range.end;
                before.missing += part.missing;
            }
            None => parts.push(part),
        }
    }
    parts
}

/// Whether `part` is some, but not all, of the bars of a closed session.
fn was_not_traded(known: &Known<'_>, session: TimeRange, part: &Gap) -> bool {
    session.end <= known.now && part.missing < known.due.count(known.timeframe, session, known.now)
}

/// What the bars of a series are called that nobody has answered for: whether its last try failed.
#[must_use]
pub fn unanswered_reason(series: &SeriesFact) -> GapReason {
    if series.consecutive_failures() > 0 { GapReason::Failed } else { GapReason::Unfetched }
}

/// The due bars of `wanted` that nobody has answered for, as gaps of that reason.
#[must_use]
pub fn unanswered(
    known: &Known<'_>,
    wanted: TimeRange,
    coverage: &RangeSet,
    reason: GapReason,
    held: &[Gap],
) -> Vec<Gap> {
    let mut missing = coverage.missing_in(wanted);
    if let (Some(first), Some(end)) = (known.first_ts, known.restated_to) {
        // These are stored, in the prices of before.
        missing.remove(TimeRange::new(first, end));
    }
    missing
        .ranges()
        .iter()
        .filter_map(|range| known.due.trim(known.timeframe, *range, known.now))
        .map(|range| {
            let before = held
                .iter()
                .find(|gap| !gap.reason.is_explained() && !gap.range.intersect(range).is_empty());
            Gap {
                range,
                missing: known.due.count(known.timeframe, range, known.now),
                reason,
                first_seen_at: before.map_or(known.now, |gap| gap.first_seen_at),
                checked_count: 0,
                next_check_at: None,
            }
        })
        .filter(|gap| gap.missing > 0)
        .collect()
}

#[cfg(test)]
mod tests;
