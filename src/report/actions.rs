//! Splits and dividends of tracked symbols, and how they stand.

use std::collections::BTreeSet;

use crate::config::Settings;
use crate::domain::action::ActionFact;
use crate::domain::series::Symbol;

/// An action with its symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionState {
    /// Whose.
    pub symbol: Symbol,
    /// How it stands.
    pub fact: ActionFact,
}

/// Those of `facts`, in their order, whose symbols the config tracks.
#[must_use]
pub fn judge(settings: &Settings, facts: Vec<(Symbol, ActionFact)>) -> Vec<ActionState> {
    let tracked: BTreeSet<&Symbol> = settings.members().map(|(_, member)| &member.symbol).collect();
    let rows = facts.into_iter().filter(|(symbol, _)| tracked.contains(symbol));
    rows.map(|(symbol, fact)| ActionState { symbol, fact }).collect()
}
