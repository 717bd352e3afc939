//! Splits and dividends, as a table and as JSON, and what a decision came to.

use std::io::{self, Write};

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::action::{ActionKind, ActionStatus};
use crate::domain::words::{counted, instant};
use crate::report::actions::ActionState;

use super::schema;
use super::table::{Column, Look, Rows, Tone};

/// Writes the table.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, actions: &[ActionState], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::left("SYMBOL"),
        Column::left("EX DATE"),
        Column::left("ACTION"),
        Column::left("STATUS"),
        Column::left("REASON"),
        Column::left("PROVIDER").if_room(),
        Column::left("FIRST SEEN").if_room(),
    ];
    if actions.is_empty() {
        return writeln!(out, "no actions");
    }
    let mut rows = Rows::new(COLUMNS, look);
    for ActionState { symbol, fact } in actions {
        let plain = |text: String| (text, Tone::Plain);
        let reason = match (&fact.reason, fact.decided) {
            (Some(reason), true) => format!("decided: {reason}"),
            (Some(reason), false) => reason.clone(),
            (None, _) => "-".to_owned(),
        };
        rows.add_toned([
            plain(symbol.to_string()),
            plain(fact.action.ex_date.to_string()),
            plain(fact.action.kind.to_string()),
            (fact.status.to_string(), tone(fact.status)),
            plain(reason),
            plain(fact.provider.clone()),
            plain(instant(fact.first_seen_at)),
        ]);
    }
    rows.write(out)?;
    let disputed = actions.iter().filter(|row| row.fact.status == ActionStatus::Disputed).count();
    writeln!(out, "\n{}, {disputed} disputed", counted(actions.len() as u64, "action"))
}

const fn tone(status: ActionStatus) -> Tone {
    match status {
        ActionStatus::Applied => Tone::Good,
        ActionStatus::Pending | ActionStatus::Rejected => Tone::Plain,
        ActionStatus::Disputed => Tone::Bad,
    }
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// How many actions are listed.
    count: usize,
    /// A row a split or dividend.
    actions: Vec<Row<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Row<'a> {
    /// The symbol.
    symbol: &'a str,
    /// From this session on prices are the new ones.
    ex_date: String,
    /// `split` or `dividend`.
    kind: &'a str,
    /// So many old shares …
    ratio_from: Option<f64>,
    /// … became so many new ones; null for dividends.
    ratio_to: Option<f64>,
    /// A share; null for splits.
    cash_amount: Option<f64>,
    /// Of the cash; null when it is not known.
    currency: Option<&'a str>,
    /// The provider's name in the config.
    provider: &'a str,
    /// Whether it is applied on reading; `pending` ones are, `disputed` and `rejected` ones are not.
    #[schemars(extend("enum" = schema::words(&ActionStatus::ALL, ActionStatus::as_str)))]
    status: &'a str,
    /// Why.
    reason: Option<&'a str>,
    /// Whether a person has decided.
    decided: bool,
    /// When it was first seen.
    first_seen_at: String,
}

impl<'a> Row<'a> {
    fn of(state: &'a ActionState) -> Self {
        let ActionState { symbol, fact } = state;
        let (ratio_from, ratio_to, cash_amount, currency) = match &fact.action.kind {
            ActionKind::Split { from, to } => (Some(*from), Some(*to), None, None),
            ActionKind::Dividend { cash, currency } => {
                (None, None, Some(*cash), currency.as_deref())
            }
        };
        Self {
            symbol: symbol.as_str(),
            ex_date: fact.action.ex_date.to_string(),
            kind: fact.action.kind.as_str(),
            ratio_from,
            ratio_to,
            cash_amount,
            currency,
            provider: &fact.provider,
            status: fact.status.as_str(),
            reason: fact.reason.as_deref(),
            decided: fact.decided,
            first_seen_at: instant(fact.first_seen_at),
        }
    }
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl actions --json")
}

/// Writes the JSON document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, actions: &[ActionState], now: i64) -> io::Result<()> {
    let actions: Vec<Row<'_>> = actions.iter().map(Row::of).collect();
    let document =
        Document { schema: super::SCHEMA, timestamp: instant(now), count: actions.len(), actions };
    super::json(out, &document)
}

/// Says how what was decided about stands now, the first row, and others that changed with it.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn decided(out: &mut dyn Write, changed: &[ActionState]) -> io::Result<()> {
    for ActionState { symbol, fact } in changed {
        let (action, status) = (&fact.action, fact.status);
        writeln!(out, "{symbol}: {} of {} is {status}", action.kind, action.ex_date)?;
    }
    writeln!(out, "`bars --adjusted` shows it at once; the next run computes features anew")
}
