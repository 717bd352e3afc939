//! `TimeRange` and `RangeSet`: half-open intervals of instants, and sets of them.
//!
//! Coverage, gaps and requests are all spoken of in these, so that a hole at the head, in the middle
//! or at the tail is one case.

/// Where the history of a provider without a limit begins: 1900-01-01.
pub const BEGINNING: i64 = -2_208_988_800;

/// A half-open interval `[start, end)` of epoch seconds UTC. Empty when `end <= start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeRange {
    /// The first instant inside.
    pub start: i64,
    /// The first instant after it.
    pub end: i64,
}

impl TimeRange {
    /// The interval `[start, end)`.
    #[must_use]
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// Whether no instant lies inside.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// Its length in seconds; 0 when empty.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.end.saturating_sub(self.start).max(0)
    }

    /// Whether `at` lies inside.
    #[must_use]
    pub const fn contains(self, at: i64) -> bool {
        self.start <= at && at < self.end
    }

    /// What the two have in common; may be empty.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The shortest one that holds both, and what lies between them.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self::new(self.start.min(other.start), self.end.max(other.end))
    }
}

/// A set of instants, kept as sorted, disjoint, non-touching intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<TimeRange>,
}

impl RangeSet {
    /// The set without any instant.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Its intervals, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[TimeRange] {
        &self.ranges
    }

    /// Whether no instant lies inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The interval in which `at` lies; `None` when it lies in none.
    #[must_use]
    pub fn around(&self, at: i64) -> Option<TimeRange> {
        let after = self.ranges.partition_point(|range| range.end <= at);
        self.ranges.get(after).copied().filter(|range| range.contains(at))
    }

    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(&self, at: i64) -> bool {
        self.around(at).is_some()
    }

    /// Adds `range`, joining what it touches.
    pub fn insert(&mut self, range: TimeRange) {
        if range.is_empty() {
            return;
        }
        let first = self.ranges.partition_point(|held| held.end < range.start);
        let last = self.ranges.partition_point(|held| held.start <= range.end);
        let joined = self.ranges[first..last].iter().fold(range, |sum, held| sum.hull(*held));
        self.ranges.splice(first..last, [joined]);
    }

    /// Takes `range` out.
    pub fn remove(&mut self, range: TimeRange) {
        if range.is_empty() {
            return;
        }
        let first = self.ranges.partition_point(|held| held.end <= range.start);
        let last = self.ranges.partition_point(|held| held.start < range.end);
        let rest: Vec<_> = self.ranges[first..last]
            .iter()
            .flat_map(|held| {
                [TimeRange::new(held.start, range.start), TimeRange::new(range.end, held.end)]
            })
            .filter(|held| !held.is_empty())
            .collect();
        self.ranges.splice(first..last, rest);
    }

    /// What of `range` is not in the set, ascending.
    #[must_use]
    pub fn missing_in(&self, range: TimeRange) -> Self {
        let mut rest: Self = [range].into_iter().collect();
        let first = self.ranges.partition_point(|held| held.end <= range.start);
        for held in self.ranges[first..].iter().take_while(|held| held.start < range.end) {
            rest.remove(*held);
        }
        rest
    }
}

impl FromIterator<TimeRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> Self {
        let mut set = Self::new();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges() -> impl Strategy<Value = Vec<TimeRange>> {
        prop::collection::vec((0..60i64, 0..12i64), 0..12).prop_map(|pairs| {
            pairs.into_iter().map(|(start, length)| TimeRange::new(start, start + length)).collect()
        })
    }

    #[test]
    fn the_hull_holds_both_and_what_lies_between() {
        let (early, late) = (TimeRange::new(-7, -3), TimeRange::new(2, 5));
        assert_eq!(early.hull(late), TimeRange::new(-7, 5));
        assert_eq!(late.hull(early), TimeRange::new(-7, 5));
        assert_eq!(late.hull(TimeRange::new(3, 4)), late);
    }

    proptest! {
        #[test]
        fn a_set_holds_exactly_what_was_put_in_and_not_taken_out(put in ranges(), taken in ranges()) {
            let mut set: RangeSet = put.iter().copied().collect();
            for range in &taken {
                set.remove(*range);
            }
            for at in 0..80 {
                let wanted = put.iter().any(|range| range.contains(at))
                    && !taken.iter().any(|range| range.contains(at));
                prop_assert_eq!(set.contains(at), wanted, "at {}", at);
            }
            for pair in set.ranges().windows(2) {
                prop_assert!(pair[0].end < pair[1].start, "{:?} touch", pair);
            }
        }

        #[test]
        fn what_is_missing_and_what_is_held_make_up_the_range(held in ranges(), start in 0..60i64, length in 0..30i64) {
            let set: RangeSet = held.into_iter().collect();
            let range = TimeRange::new(start, start + length);
            let missing = set.missing_in(range);
            for at in 0..100 {
                prop_assert_eq!(missing.contains(at), range.contains(at) && !set.contains(at));
            }
        }
    }
}
