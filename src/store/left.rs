//! What two threads read at once: ids that each of them takes from one end, until they meet.

use std::mem;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Ids are read by so many at a time, and by more where they are many or far between, in so many parts at most.
const PART: i64 = 512;
const PARTS: i64 = 64;

/// The ids that nobody reads yet.
pub(super) struct Left {
    ids: Mutex<Range<i64>>,
    /// So many are taken at a time.
    part: i64,
}

impl Left {
    /// Those before `end`.
    pub(super) fn of(end: i64) -> Self {
        Self { ids: Mutex::new(0..end), part: PART.max(end / PARTS) }
    }

    /// Takes the first ones; `None` when there are none.
    pub(super) fn first(&self) -> Option<Range<i64>> {
        let mut left = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let end = left.end.min(left.start.saturating_add(self.part));
        let part = mem::replace(&mut left.start, end)..end;
        (!part.is_empty()).then_some(part)
    }

    /// Takes the last ones; `None` when there are none.
    pub(super) fn last(&self) -> Option<Range<i64>> {
        let mut left = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let start = left.start.max(left.end.saturating_sub(self.part));
        let part = start..mem::replace(&mut left.end, start);
        (!part.is_empty()).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_taken_once_from_one_of_the_ends() {
        let left = Left::of(3 * PART + 7);
        let taken =
            [left.first(), left.last(), left.last(), left.first(), left.last(), left.first()];
        let parts = [
            Some(0..PART),
            Some(2 * PART + 7..3 * PART + 7),
            Some(PART + 7..2 * PART + 7),
            Some(PART..PART + 7),
            None,
            None,
        ];
        assert_eq!(taken, parts);
        let far = Left::of(i64::MAX);
        let count = std::iter::from_fn(|| far.first().and(far.last())).count();
        assert!(count <= 33, "{count}");
    }
}
