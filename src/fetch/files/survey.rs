//! A first look through a file: in which order its rows are, and which of them are out of it.

use crate::fetch::Lost;

use super::likeness::Likeness;
use super::table::Table;

/// Rows out of order that are told of a file.
const MOST_TOLD: usize = 10_000;

/// Rows between two looks at whether the run is to end.
pub(super) const WATCH_EVERY: u64 = 50_000;

/// In which order the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The oldest first.
    Ascending,
    /// The newest first.
    Descending,
    /// Neither.
    Mixed,
}

/// What a first look through a file tells.
#[derive(Debug)]
pub(super) struct Survey {
    /// The order of its rows.
    pub(super) order: Order,
    /// How many rows it has.
    pub(super) rows: u64,
    /// The `ts` and the line of each row that is older than one before it; in a file that has its newest
    /// rows first, newer than one before it. The first 10,000.
    pub(super) out_of_order: Vec<(i64, u64)>,
}

/// Looks through a file, and has `likeness` look at what it is about. Rows later than `now` are mistakes and
/// set no order.
///
/// # Errors
///
/// `malformed` when the file is damaged, and then nothing of it is stored: only the end of a packed file
/// tells whether all before it is as it was. What `stopped` says, when the run ends meanwhile.
pub(super) fn survey(
    table: &mut Table,
    now: i64,
    likeness: &mut Likeness<'_>,
    stopped: impl Fn() -> Option<Lost>,
) -> Result<Survey, Lost> {
    let (mut up, mut down) = (Side::default(), Side::default());
    let mut rows = 0_u64;
    while table.advance().map_err(|fault| Lost::failed(fault, 1))? {
        rows += 1;
        if rows.is_multiple_of(WATCH_EVERY)
            && let Some(lost) = stopped()
        {
            return Err(lost);
        }
        let Some(ts) = table.ts().filter(|ts| *ts <= now) else { continue };
        likeness.look(ts, || table.row().read.ok().map(|bar| bar.close));
        up.see(ts, ts, table);
        // The other way round, what is newer comes too late. No time of a file is near the end of i64.
        down.see(ts.saturating_neg(), ts, table);
    }
    let order = match (up.late, down.late) {
        (0, _) => Order::Ascending,
        (_, 0) => Order::Descending,
        _ => Order::Mixed,
    };
    let mostly_descends = up.steps_back > down.steps_back;
    let out_of_order = if mostly_descends { down.told } else { up.told };
    Ok(Survey { order, rows, out_of_order })
}

/// A file held against one of the two orders.
#[derive(Debug, Default)]
struct Side {
    furthest: Option<i64>,
    last: Option<i64>,
    /// Rows that come after one that they should come before.
    late: u64,
    /// Rows that should come before the one right before them.
    steps_back: u64,
    told: Vec<(i64, u64)>,
}

impl Side {
    /// Sees the row that `table` has reached; `place` grows in this order.
    fn see(&mut self, place: i64, ts: i64, table: &mut Table) {
        self.steps_back += u64::from(self.last.is_some_and(|last| place < last));
        self.last = Some(place);
        if self.furthest.is_none_or(|furthest| place >= furthest) {
            self.furthest = Some(place);
            return;
        }
        self.late += 1;
        // A row that is no bar is judged for nothing else.
        if self.told.len() < MOST_TOLD && is_bar(table) {
            self.told.push((ts, table.line()));
        }
    }
}

fn is_bar(table: &mut Table) -> bool {
    table.row().read.is_ok_and(|bar| {
        [bar.open, bar.high, bar.low, bar.close]
            .iter()
            .all(|price| price.is_finite() && *price > 0.0)
    })
}
