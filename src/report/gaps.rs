//! Missing bars by calendar, each with its reason: what the store knows, and what became due since.

use crate::config::Settings;
use crate::domain::gap::{Gap, GapReason};
use crate::domain::series::SeriesKey;
use crate::plan::Want;
use crate::plan::gaps::{self, unanswered_reason};

use super::Facts;

/// A gap with its series.
#[derive(Clone, Debug, PartialEq)]
pub struct GapState {
    /// Whose gap.
    pub key: SeriesKey,
    /// The gap.
    pub gap: Gap,
}

/// Every gap at `now`, by series and time.
///
/// `wants` are the series that are asked for; what nobody has answered for is judged from them, since
/// time has passed since the last run wrote it down.
#[must_use]
pub fn judge(settings: &Settings, facts: &Facts, wants: &[Want], now: i64) -> Vec<GapState> {
    let mut rows = Vec::new();
    for (key, _, _) in settings.series() {
        let Some(fact) = facts.series.get(&key) else { continue };
        let held = facts.gaps_of(fact.series_id);
        let known = held.iter().filter(|gap| gap.reason.is_explained() && gap.range.start < now);
        rows.extend(known.map(|gap| GapState { key: key.clone(), gap: *gap }));
    }
    for want in wants {
        let held = facts.gaps_of(want.series_id);
        let reason = facts.series.get(&want.key).map_or(GapReason::Unfetched, unanswered_reason);
        let Some(whole) = want.whole(now) else { continue };
        let open = gaps::unanswered(&want.known(now), whole, &want.coverage, reason, held);
        rows.extend(open.into_iter().map(|gap| GapState { key: want.key.clone(), gap }));
    }
    rows.sort_by(|a, b| (&a.key, a.gap.range).cmp(&(&b.key, b.gap.range)));
    rows
}
