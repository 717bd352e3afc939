//! Corporate actions held against the bars, and the factors that follow from them.
//!
//! All of it follows from what is stored: whoever comes next, after a crash too, ends with the same, and
//! where nothing changed nothing is written.

use std::collections::{BTreeMap, BTreeSet};

use crate::action::{self, Around, Verdict};
use crate::calendar::due::Due;
use crate::config::Settings;
use crate::domain::action::{Action, ActionFact, ActionKind, ActionStatus, Factors};
use crate::domain::bar::Adjustment;
use crate::domain::control::Deed;
use crate::domain::range::TimeRange;
use crate::domain::run::RunId;
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::timeframe::Timeframe;
use crate::feature::state::State;
use crate::store::{Store, StoreResult, Writer};

use super::desk::Desk;
use super::{holdings, line::Line};

/// What a person decided about an action.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// Whose.
    pub symbol: &'a Symbol,
    /// Which.
    pub action: &'a Action,
    /// Applied or rejected.
    pub status: ActionStatus,
    /// Who, where and why; its run's id is what remade bars bear in `revisions`.
    pub deed: Deed<'a>,
    /// That id.
    pub run_id: &'a RunId,
    /// The instant that everything is judged at.
    pub now: i64,
}

/// Writes down what a person decided, and settles the symbol's actions as a run does; features follow
/// with the next run. Tells how the symbol's actions stand then.
///
/// The caller holds the database's lock.
///
/// # Errors
///
/// When the database cannot be read or written; then nothing of it is.
pub fn decide(
    settings: &Settings,
    store: &mut Store,
    decision: &Decision<'_>,
) -> StoreResult<Vec<ActionFact>> {
    let Decision { symbol, action, status, deed, run_id, now } = *decision;
    store.write(|tx| tx.coverage_reopen())?;
    let holdings = holdings(store)?;
    let mut desk = Desk::new(settings, holdings, run_id.clone(), now, BTreeMap::new(), false);
    store.write(|tx| {
        tx.action_judge(symbol, action, status, Some(deed.reason), true)?;
        tx.audit_add(&deed)?;
        desk.settle_actions(tx, symbol)?;
        desk.derive_all(tx, symbol)?;
        desk.save(tx)?;
        tx.actions_of(symbol)
    })
}

impl Desk<'_> {
    /// Judges the actions of `symbol` by the bars that are stored now, and makes the factors of its
    /// series; where they changed, marks what was made of the bars.
    pub(super) fn settle_actions(&mut self, tx: &Writer<'_>, symbol: &Symbol) -> StoreResult<()> {
        if !tx.actions_matter(symbol)? {
            return Ok(());
        }
        let (group, member) = self.place(symbol);
        let due = self.settings.due(group, member);
        let actions = tx.actions_of(symbol)?;
        let witness = self.witness(symbol);
        let adjustment = witness.map_or(Adjustment::Raw, |(_, adjustment)| adjustment);
        let around = actions.iter().map(|fact| match witness {
            Some((line, _)) => bars_around(tx, line, &due, &fact.action),
            None => Ok(Around::default()),
        });
        let around = around.collect::<StoreResult<Vec<_>>>()?;
        let verdicts = action::judge(&actions, &around, adjustment);
        let doubts_changed = write_verdicts(tx, symbol, &actions, &verdicts)?;
        let effects = action::effects(&actions, &verdicts, &around, adjustment);
        let keys: Vec<SeriesKey> = self.series.of(symbol).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let adjustment = self.contained(&key);
            let factors = action::factors(&effects, &due, key.timeframe, adjustment);
            self.settle_factors(tx, &key, &factors, doubts_changed)?;
        }
        Ok(())
    }

    /// Whether bars came that its actions were not held against, or a series that had none.
    pub(super) fn is_unsettled(&self, symbol: &Symbol) -> bool {
        let mut lines = self.series.of(symbol);
        lines.any(|(_, line)| {
            let is_marked = line.features.from.is_some() || line.quality_from.is_some();
            is_marked || line.first_ts.is_none()
        })
    }

    /// The series whose bars tell what happened to a symbol: raw ones, and days, if there are such, else
    /// the finest. With it comes what its prices contain.
    fn witness(&self, symbol: &Symbol) -> Option<(&Line, Adjustment)> {
        let lines = self.series.of(symbol).filter(|(_, line)| line.first_ts.is_some());
        let witness = lines.min_by_key(|(key, line)| {
            let is_adjusted = self.contained(key) != Adjustment::Raw;
            (is_adjusted, line.timeframe != Timeframe::D1, line.timeframe)
        });
        witness.map(|(key, line)| (line, self.contained(key)))
    }

    /// What the prices of a series contain; those of a derived one are made of its source's.
    fn contained(&self, key: &SeriesKey) -> Adjustment {
        let (group, _) = self.place(&key.symbol);
        let mut key = key.clone();
        while let Some(source) = group.timeframes.get(&key.timeframe).and_then(|s| s.derived_from) {
            key.timeframe = source;
        }
        self.series.get(&key).map_or(Adjustment::Raw, |line| line.adjustment)
    }

    /// Makes `factors` those of a series. Where its splits changed, or doubts about them, what was made
    /// of its bars is to be made anew.
    fn settle_factors(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        factors: &Factors,
        doubts_changed: bool,
    ) -> StoreResult<()> {
        let Some(line) = self.series.get_mut(key) else { return Ok(()) };
        let held = tx.factors_of(line.series_id)?;
        if held != *factors {
            tx.factors_set(line.series_id, factors)?;
        }
        let Some((first, last)) = line.first_ts.zip(line.watermark_ts) else { return Ok(()) };
        let changed = splits_changed(&held, factors);
        // What lies before the first bar scales none.
        let differs = |ts: i64| held.at(ts).0 != factors.at(ts).0;
        let is_scaled_anew =
            differs(first) || changed.iter().any(|ts| first < *ts && *ts <= last && differs(*ts));
        if is_scaled_anew {
            scale_base(tx, line.series_id, (&held, factors), &changed)?;
        }
        if is_scaled_anew || doubts_changed {
            line.changed(first);
        }
        // A window that a split falls into is made of bars on both sides.
        for ts in changed {
            self.unmake(tx, key, TimeRange::new(ts, ts + 1))?;
        }
        Ok(())
    }
}

/// Brings the state that stands for deleted bars into the shares of today, where its series has one: what
/// lies before it became worth `made` instead of `held`. Where a split falls between deleted bars that
/// cannot be said any more, and features begin anew with the first bar that was kept.
fn scale_base(
    tx: &Writer<'_>,
    series_id: i64,
    (held, made): (&Factors, &Factors),
    changed: &BTreeSet<i64>,
) -> StoreResult<()> {
    let Some(base) = tx.feature_base(series_id, i64::MIN)? else { return Ok(()) };
    let factor = made.at(base.ts).0 / held.at(base.ts).0;
    match State::from_bytes(&base.state).filter(|_| changed.iter().all(|ts| *ts > base.ts)) {
        Some(state) => {
            let state = state.scaled(factor);
            tx.feature_base_put(series_id, base.ts, state.seen(), &state.to_bytes())
        }
        None => tx.feature_states_drop(series_id, i64::MIN),
    }
}

/// Notes how actions stand where that changed; tells whether doubts about a split came or went.
fn write_verdicts(
    tx: &Writer<'_>,
    symbol: &Symbol,
    actions: &[ActionFact],
    verdicts: &[Verdict],
) -> StoreResult<bool> {
    let is_doubted = |status| status == ActionStatus::Disputed;
    let mut doubts_changed = false;
    for (fact, verdict) in actions.iter().zip(verdicts) {
        if (fact.status, &fact.reason) == (verdict.status, &verdict.reason) {
            continue;
        }
        let reason = verdict.reason.as_deref();
        tx.action_judge(symbol, &fact.action, verdict.status, reason, fact.decided)?;
        let is_split = matches!(fact.action.kind, ActionKind::Split { .. });
        doubts_changed |= is_split && is_doubted(fact.status) != is_doubted(verdict.status);
    }
    Ok(doubts_changed)
}

/// The stored bars of a series around an action's ex date.
fn bars_around(tx: &Writer<'_>, line: &Line, due: &Due, action: &Action) -> StoreResult<Around> {
    let ts = action::holds_from(due, line.timeframe, action.ex_date);
    let (before, after) = tx.bars_around(line.series_id, ts)?;
    let missing = before.zip(after).map_or(0, |(before, after)| {
        action::sessions_between(due, line.timeframe, before.ts, after.ts)
    });
    Ok(Around { before, after, missing })
}

/// Where the splits of two factors are not the same.
fn splits_changed(held: &Factors, made: &Factors) -> BTreeSet<i64> {
    let times = held.steps().iter().chain(made.steps()).map(|step| step.until_ts);
    let times: BTreeSet<i64> = times.collect();
    let ratio = |factors: &Factors, ts: i64| factors.at(ts - 1).0 / factors.at(ts).0;
    let is_other = |ts: &i64| (ratio(held, *ts) / ratio(made, *ts) - 1.0).abs() > 1e-9;
    times.into_iter().filter(is_other).collect()
}
