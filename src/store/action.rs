//! Corporate actions: as providers declare them, and how they stand.

use rusqlite::{Connection, Row, params};

use crate::domain::action::{Action, ActionFact, ActionKind, ActionStatus};
use crate::domain::series::Symbol;

use super::{Store, StoreError, StoreResult, Writer, text, word};

const COLUMNS: &str =
    "ex_date, kind, ratio_from, ratio_to, cash_amount, currency, provider, status,
                       reason, decided, first_seen_at";

impl Writer<'_> {
    /// Makes the actions of one `kind` ("split" or "dividend") of a symbol those that its provider
    /// declares now: new ones are pending until they are judged; those that it takes back go, unless a
    /// person has decided about them.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn actions_declare(
        &self,
        symbol: &Symbol,
        provider: &str,
        kind: &str,
        declared: &[Action],
        now: i64,
    ) -> StoreResult<()> {
        for held in self.actions_of(symbol)? {
            let same = declared.iter().any(|action| is_same(action, &held.action));
            if !same && !held.decided && held.action.kind.as_str() == kind {
                self.action_delete(symbol, &held.action)?;
            }
        }
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO corporate_actions (symbol, ex_date, kind, ratio_from, ratio_to, cash_amount,
                 currency, provider, status, first_seen_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?) ON CONFLICT DO NOTHING",
        )?;
        for action in declared.iter().filter(|action| action.kind.as_str() == kind) {
            let (from, to, cash) = numbers(&action.kind);
            let currency = match &action.kind {
                ActionKind::Split { .. } => None,
                ActionKind::Dividend { currency, .. } => currency.as_deref(),
            };
            insert.execute(params![
                symbol.as_str(),
                action.ex_date.to_string(),
                kind,
                from,
                to,
                cash,
                currency,
                provider,
                now
            ])?;
        }
        Ok(())
    }

    fn action_delete(&self, symbol: &Symbol, action: &Action) -> StoreResult<()> {
        let (from, to, cash) = numbers(&action.kind);
        self.connection
            .prepare_cached(
                "DELETE FROM corporate_actions WHERE symbol = ?1 AND ex_date = ?2 AND kind = ?3
                 AND ratio_from IS ?4 AND ratio_to IS ?5 AND cash_amount IS ?6",
            )?
            .execute(params![
                symbol.as_str(),
                action.ex_date.to_string(),
                action.kind.as_str(),
                from,
                to,
                cash
            ])?;
        Ok(())
    }

    /// Notes how an action stands.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn action_judge(
        &self,
        symbol: &Symbol,
        action: &Action,
        status: ActionStatus,
        reason: Option<&str>,
        decided: bool,
    ) -> StoreResult<()> {
        let (from, to, cash) = numbers(&action.kind);
        self.connection
            .prepare_cached(
                "UPDATE corporate_actions SET status = ?7, reason = ?8, decided = ?9
                 WHERE symbol = ?1 AND ex_date = ?2 AND kind = ?3
                 AND ratio_from IS ?4 AND ratio_to IS ?5 AND cash_amount IS ?6",
            )?
            .execute(params![
                symbol.as_str(),
                action.ex_date.to_string(),
                action.kind.as_str(),
                from,
                to,
                cash,
                status.as_str(),
                reason,
                decided
            ])?;
        Ok(())
    }

    /// The actions of a symbol, oldest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn actions_of(&self, symbol: &Symbol) -> StoreResult<Vec<ActionFact>> {
        read(self.connection, symbol)
    }

    /// Whether a symbol has actions, or factors of some that it had.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn actions_matter(&self, symbol: &Symbol) -> StoreResult<bool> {
        let mut statement = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM corporate_actions WHERE symbol = ?1)
                 OR EXISTS (SELECT 1 FROM series JOIN adjustment_factors USING (series_id)
                             WHERE symbol = ?1)",
        )?;
        Ok(statement.query_row([symbol.as_str()], |row| row.get(0))?)
    }
}

impl Store {
    /// The actions of a symbol, oldest first; none in a database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn actions_of(&self, symbol: &Symbol) -> StoreResult<Vec<ActionFact>> {
        self.read(|connection| {
            if connection.table_exists(None, "corporate_actions")? {
                read(connection, symbol)
            } else {
                Ok(Vec::new())
            }
        })
    }

    /// The actions of all symbols, or those of one status, each symbol's oldest first; none in a
    /// database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn actions_all(
        &self,
        status: Option<ActionStatus>,
    ) -> StoreResult<Vec<(Symbol, ActionFact)>> {
        self.read(|connection| {
            if !connection.table_exists(None, "corporate_actions")? {
                return Ok(Vec::new());
            }
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, symbol FROM corporate_actions WHERE ?1 IS NULL OR status = ?1
                 ORDER BY symbol, ex_date, kind, rowid"
            ))?;
            let mut rows = statement.query([status.map(ActionStatus::as_str)])?;
            let mut actions = Vec::new();
            while let Some(row) = rows.next()? {
                let symbol = word(text(row, 11)?)?;
                actions.push((symbol, fact_of(row)?));
            }
            Ok(actions)
        })
    }
}

/// Whether two are one action, told twice.
fn is_same(a: &Action, b: &Action) -> bool {
    a.ex_date == b.ex_date
        && a.kind.as_str() == b.kind.as_str()
        && numbers(&a.kind) == numbers(&b.kind)
}

/// Old shares, new shares, cash.
const fn numbers(kind: &ActionKind) -> (Option<f64>, Option<f64>, Option<f64>) {
    match kind {
        ActionKind::Split { from, to } => (Some(*from), Some(*to), None),
        ActionKind::Dividend { cash, .. } => (None, None, Some(*cash)),
    }
}

fn read(connection: &Connection, symbol: &Symbol) -> StoreResult<Vec<ActionFact>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM corporate_actions WHERE symbol = ? ORDER BY ex_date, kind, rowid"
    ))?;
    let mut rows = statement.query([symbol.as_str()])?;
    let mut actions = Vec::new();
    while let Some(row) = rows.next()? {
        actions.push(fact_of(row)?);
    }
    Ok(actions)
}

fn fact_of(row: &Row<'_>) -> StoreResult<ActionFact> {
    let kind = match (row.get(2)?, row.get(3)?, row.get(4)?) {
        (Some(from), Some(to), None) => ActionKind::Split { from, to },
        (None, None, Some(cash)) => ActionKind::Dividend { cash, currency: row.get(5)? },
        _ => return Err(StoreError::Value(format!("an action of the kind `{}`", text(row, 1)?))),
    };
    Ok(ActionFact {
        action: Action { ex_date: word(text(row, 0)?)?, kind },
        provider: row.get(6)?,
        status: word(text(row, 7)?)?,
        reason: row.get(8)?,
        decided: row.get(9)?,
        first_seen_at: row.get(10)?,
    })
}
