//! Who is asked less often: a symbol that answers empty, or fails, again and again. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::domain::gap::{Gap, GapReason};
use crate::domain::run::ErrorKind;
use crate::domain::series::{SeriesKey, Symbol};

/// From so many looks at an emptiness on, it is suspected that nothing will come there any more.
const LOOKS: u32 = 3;

/// From so many looks on, nothing is asked until the next one. A trade that was halted for a week is not
/// slept through.
const LOOKS_TO_REST: u32 = 4;

/// From so many failures in a row on, a series keeps failing, and may be asked less often.
pub const FAILURES: u32 = 3;

const HOUR: i64 = 3_600;

/// The longest rest after a failure.
const LONGEST: i64 = 7 * 24 * HOUR;

/// Why a series is not asked for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing has come after its last bar since `since`, however often it was asked.
    Silent {
        /// When the silence was first noticed, epoch seconds UTC.
        since: i64,
        /// When it is asked again.
        until: i64,
    },
    /// It failed so many times in a row for what was asked of it.
    Failing {
        /// How many times.
        failures: u32,
        /// When it is asked again, epoch seconds UTC.
        until: i64,
    },
}

/// The emptiness at the end of a series that was looked at so often that its symbol may be delisted;
/// `None` when there is none. `gaps` ascend.
#[must_use]
fn silence(gaps: &[Gap], watermark_ts: Option<i64>) -> Option<&Gap> {
    let last = gaps.iter().rev().find(|gap| gap.reason.is_explained())?;
    let is_tail = watermark_ts.is_none_or(|watermark| last.range.start > watermark);
    (is_tail && is_suspect(last)).then_some(last)
}

/// Whether a gap was looked at so often that, at the end of its series, it is a silence.
#[must_use]
pub fn is_suspect(gap: &Gap) -> bool {
    gap.reason == GapReason::ProviderEmpty && gap.checked_count >= LOOKS
}

/// A series as far as its silence is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Which series.
    pub key: &'a SeriesKey,
    /// Where it comes from: its provider, and its calendar.
    pub feed: (&'a str, &'a str),
    /// Its last stored bar.
    pub watermark_ts: Option<i64>,
    /// Its gaps, ascending.
    pub gaps: &'a [Gap],
}

/// What comes from one place.
#[derive(Default)]
struct Feed<'a> {
    symbols: BTreeSet<&'a Symbol>,
    newest_ts: Option<i64>,
}

/// The series whose symbols are silent, each with the emptiness at its end. Where a feed stands still as
/// a whole, none of its symbols is; of one that is alone nobody can tell, and it counts. `series` gives
/// all of them, again and again.
#[must_use]
pub fn silent<'a, I>(series: impl Fn() -> I) -> Vec<(&'a SeriesKey, &'a Gap)>
where
    I: Iterator<Item = Heard<'a>>,
{
    let suspects: Vec<_> = series()
        .filter_map(|heard| Some((heard, silence(heard.gaps, heard.watermark_ts)?)))
        .collect();
    if suspects.is_empty() {
        return Vec::new();
    }
    let mut feeds: HashMap<_, Feed<'_>> = HashMap::new();
    for heard in series() {
        let feed = feeds.entry(heard.feed).or_default();
        feed.symbols.insert(&heard.key.symbol);
        feed.newest_ts = feed.newest_ts.max(heard.watermark_ts);
    }
    let goes_on = |(heard, silence): &(Heard<'a>, &'a Gap)| {
        feeds.get(&heard.feed).is_none_or(|feed| {
            let goes_on = feed.newest_ts.is_some_and(|newest| newest >= silence.range.start);
            feed.symbols.len() < 2 || goes_on
        })
    };
    suspects.into_iter().filter(goes_on).map(|(heard, silence)| (heard.key, silence)).collect()
}

/// How long a series is left alone after so many failures in a row, the last of that kind, in seconds:
/// an hour, and each time twice as long, if it failed for what was asked of it. An outage, a quota or a
/// key is nothing that a series could be left alone for.
#[must_use]
pub const fn after_failure(failures: u32, kind: ErrorKind) -> Option<i64> {
    let own_fault = matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::BadRequest
            | ErrorKind::NotEntitled
            | ErrorKind::TooLarge
            | ErrorKind::Malformed
            | ErrorKind::Validation
    );
    if !own_fault || failures < FAILURES {
        return None;
    }
    let doublings = failures - FAILURES;
    let wait = if doublings < 8 { HOUR << doublings } else { LONGEST };
    Some(if wait < LONGEST { wait } else { LONGEST })
}

impl Rest {
    /// The rest of a silent series; `None` when it is over, or has not begun.
    #[must_use]
    pub fn of_silence(silence: &Gap, now: i64) -> Option<Self> {
        let until = silence.next_check_at.filter(|until| *until > now)?;
        let rests = silence.checked_count >= LOOKS_TO_REST;
        rests.then_some(Self::Silent { since: silence.first_seen_at, until })
    }

    /// The rest of a series that failed, as it was written down; `None` when it is over, or reaches so
    /// far that the clock must have been wrong then.
    #[must_use]
    pub const fn of_failing(failures: u32, until: i64, now: i64) -> Option<Self> {
        if until <= now || until > now.saturating_add(LONGEST) {
            return None;
        }
        Some(Self::Failing { failures, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::range::TimeRange;

    fn gap(start: i64, reason: GapReason, checked_count: u32) -> Gap {
        Gap {
            range: TimeRange::new(start, start + 10),
            missing: 1,
            reason,
            first_seen_at: 0,
            checked_count,
            next_check_at: None,
        }
    }

    #[test]
    fn silence_is_an_emptiness_behind_the_last_bar_that_was_looked_at_often() {
        let empty = |looks| gap(100, GapReason::ProviderEmpty, looks);
        let after = gap(110, GapReason::Unfetched, 0);
        assert_eq!(silence(&[empty(3), after], Some(90)), Some(&empty(3)));
        assert_eq!(silence(&[empty(2), after], Some(90)), None, "too few looks");
        assert_eq!(silence(&[empty(3)], Some(110)), None, "a bar came later");
        assert_eq!(silence(&[empty(3)], None), Some(&empty(3)), "none ever came");
        assert_eq!(silence(&[gap(100, GapReason::NoTrade, 4)], Some(90)), None);
    }

    #[test]
    fn a_feed_that_stands_still_as_a_whole_is_no_silence_of_a_symbol() {
        let gaps = [gap(100, GapReason::ProviderEmpty, 3)];
        let key = |symbol: &str| SeriesKey {
            symbol: symbol.parse().unwrap(),
            timeframe: crate::domain::timeframe::Timeframe::D1,
        };
        let (quiet, other) = (key("QUIET"), key("OTHER"));
        let feed = ("p", "XNYS");
        let heard = |key, ts, gaps| Heard { key, feed, watermark_ts: Some(ts), gaps };
        let silent = |others: &[i64]| {
            let mut series = vec![heard(&quiet, 90, &gaps[..])];
            series.extend(others.iter().map(|ts| heard(&other, *ts, &[][..])));
            silent(|| series.iter().copied()).len()
        };
        assert_eq!(silent(&[100]), 1);
        assert_eq!(silent(&[95]), 0);
        assert_eq!(silent(&[]), 1, "alone");
    }

    #[test]
    fn rests_grow_and_end() {
        let of = |failures| after_failure(failures, ErrorKind::NotFound).map(|rest| rest / HOUR);
        let rests: Vec<_> = [2, 3, 4, 5, 10, 11, 4_000].into_iter().map(of).collect();
        let hours = [None, Some(1), Some(2), Some(4), Some(128), Some(168), Some(168)];
        assert_eq!(rests, hours);
        assert_eq!(after_failure(9, ErrorKind::Server), None, "an outage");
        assert_eq!(Rest::of_failing(3, 100, 100), None);
        assert!(Rest::of_failing(3, 101, 100).is_some());
        assert_eq!(Rest::of_failing(3, i64::MAX, 100), None, "a clock that was wrong");
    }
}
