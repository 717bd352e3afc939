//! Bars in a row: `zero_volume_run` and `non_session_bar`.
//!
//! **zero_volume_run**: five or more stored bars in a row with volume 0, beside a bar that traded. A run
//! of a series that trades has such a bar at one end at least; a series whose volume is 0 throughout has
//! none, and no finding: its provider supplies no volumes. A bar without any volume ends a run, and shows
//! no trade.
//!
//! **non_session_bar**: on the grid, in no session. Each is a finding; neighbours are one row, at most of
//! one UTC day, since a feed with hours before and after the session has more of them than of others.

use crate::domain::anomaly::{Anomaly, AnomalyCode};
use crate::domain::bar::{Bar, BarFields};
use crate::domain::timeframe::DAY;

use super::{Series, Stretch};

/// The shortest run without volume.
const SHORTEST: u64 = 5;

/// Where so many bars in a row are without volume, one cannot see from them where that began.
pub const LONGEST_LOOK_BACK: usize = super::BEFORE;

/// The runs that reach up to a stretch from before it; each `None` where none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bars without volume.
    pub zero_volume: Option<Carry>,
    /// Bars in no session, of the UTC day of the last of them.
    pub non_session: Option<Carry>,
}

/// A run that reaches up to a stretch from before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carry {
    /// The `ts` of its first bar.
    pub since: i64,
    /// How many bars it has so far.
    pub count: u64,
    /// Whether the bar before its first one traded.
    pub after_trade: bool,
}

/// Bars in a row.
#[derive(Clone, Copy)]
struct Run {
    begun: Carry,
    last: i64,
}

impl Run {
    fn anomaly(&self, code: AnomalyCode, fields: BarFields) -> Anomaly {
        let Carry { since, count, .. } = self.begun;
        Anomaly { code, ts: since, ts_end: self.last, count, fields, detail: None }
    }

    /// The run with one bar more, or the one that begins with it.
    const fn grown(run: Option<Self>, ts: i64, after_trade: bool) -> Self {
        match run {
            Some(Self { begun, .. }) => {
                Self { begun: Carry { count: begun.count + 1, ..begun }, last: ts }
            }
            None => Self { begun: Carry { since: ts, count: 1, after_trade }, last: ts },
        }
    }
}

/// Whether a bar has a volume, and it is 0.
#[must_use]
pub fn is_silent(bar: &Bar) -> bool {
    bar.volume == Some(0.0)
}

/// Whether a bar shows a trade.
#[must_use]
pub fn has_traded(bar: &Bar) -> bool {
    bar.volume.is_some_and(|volume| volume > 0.0)
}

/// The last bar before those to be judged.
fn last_before<'a>(stretch: &Stretch<'a>) -> Option<&'a Bar> {
    stretch.judged.start.checked_sub(1).map(|last| &stretch.bars[last])
}

/// The runs without volume.
pub(super) fn zero_volume(stretch: &Stretch<'_>) -> Vec<Anomaly> {
    let mut before = last_before(stretch);
    let carried = stretch.carried.zero_volume.zip(before);
    let mut run = carried.map(|(begun, last)| Run { begun, last: last.ts });
    let mut found = Vec::new();
    let end = |run: Option<Run>, traded_after: bool| {
        let run = run.filter(|run| run.begun.count >= SHORTEST)?;
        let beside_trade = run.begun.after_trade || traded_after;
        let volume = BarFields::VOLUME;
        beside_trade.then(|| run.anomaly(AnomalyCode::ZeroVolumeRun, volume))
    };
    for bar in &stretch.bars[stretch.judged.clone()] {
        if is_silent(bar) {
            run = Some(Run::grown(run, bar.ts, before.is_some_and(has_traded)));
        } else {
            found.extend(end(run.take(), has_traded(bar)));
        }
        before = Some(bar);
    }
    found.extend(end(run, false));
    found
}

/// The bars in no session, neighbours together.
pub(super) fn non_session(series: &Series<'_>, stretch: &Stretch<'_>) -> Vec<Anomaly> {
    let carried = stretch.carried.non_session.zip(last_before(stretch));
    let mut run = carried.map(|(begun, last)| Run { begun, last: last.ts });
    let mut found = Vec::new();
    let row = |run: Run| run.anomaly(AnomalyCode::NonSessionBar, BarFields::NONE);
    let day = |ts: i64| ts.div_euclid(DAY);
    for bar in &stretch.bars[stretch.judged.clone()] {
        let outside = !series.calendar.in_session(series.timeframe, series.layout, bar.ts);
        let goes_on = |run: &Run| outside && day(run.last) == day(bar.ts);
        found.extend(run.take_if(|run| !goes_on(run)).map(row));
        if outside {
            run = Some(Run::grown(run, bar.ts, false));
        }
    }
    found.extend(run.map(row));
    found
}
