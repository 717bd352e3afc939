//! What alerts remember: which rules hold since when, snoozes, and what each notifier has been told.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::domain::alert::{Memory, Severity, Snooze, Told, Unsent};

use super::{Store, StoreResult, Writer, count, sql_count, text, word};

/// A rule whose test holds.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    /// Its name.
    pub rule: &'a str,
    /// Since when, epoch seconds UTC.
    pub since: i64,
    /// Whether it has held long enough to fire.
    pub firing: bool,
    /// How bad it is.
    pub severity: Severity,
    /// How many it is about.
    pub count: u64,
}

impl Writer<'_> {
    /// All that is remembered.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn alert_memory(&self) -> StoreResult<Memory> {
        memory(self.connection)
    }

    /// Writes down that a rule's test holds at `now`.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_hold(&self, holding: &Holding<'_>, now: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO alert_state (name, since, firing, severity, count, seen_at)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                holding.rule,
                holding.since,
                holding.firing,
                holding.severity.as_str(),
                sql_count(holding.count),
                now,
            ])?;
        Ok(())
    }

    /// Forgets a rule whose test does not hold any more.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_let_go(&self, rule: &str) -> StoreResult<()> {
        self.connection
            .prepare_cached("DELETE FROM alert_state WHERE name = ?")?
            .execute([rule])?;
        Ok(())
    }

    /// Orders a snooze, over an earlier one of the same rule.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_snooze(&self, snooze: &Snooze) -> StoreResult<()> {
        self.connection.execute(
            "INSERT OR REPLACE INTO alert_snoozes (name, since, until, reason, who)
             VALUES (?, ?, ?, ?, ?)",
            params![snooze.rule, snooze.since, snooze.until, snooze.reason, snooze.who],
        )?;
        Ok(())
    }

    /// Ends the snooze of a rule at `now`.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_unsnooze(&self, rule: &str, now: i64) -> StoreResult<()> {
        self.connection.execute(
            "UPDATE alert_snoozes SET until = ?2 WHERE name = ?1 AND until > ?2",
            params![rule, now],
        )?;
        Ok(())
    }

    /// Writes down what a notifier knows of an alert.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_told(&self, notifier: &str, rule: &str, told: &Told) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO alert_told (notifier, name, severity, count, since, told_at)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                notifier,
                rule,
                told.severity.as_str(),
                sql_count(told.count),
                told.since,
                told.at,
            ])?;
        Ok(())
    }

    /// Forgets what a notifier was told of an alert: it knows that it is over, or is not to be told.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_over(&self, notifier: &str, rule: &str) -> StoreResult<()> {
        self.connection
            .prepare_cached("DELETE FROM alert_told WHERE notifier = ? AND name = ?")?
            .execute([notifier, rule])?;
        Ok(())
    }

    /// Writes down that so much waits for a notifier; since when, if it is not on record yet.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_unsent(&self, unsent: &Unsent) -> StoreResult<()> {
        self.connection.execute(
            "INSERT INTO alert_unsent (notifier, since, changes, error) VALUES (?, ?, ?, ?)
             ON CONFLICT (notifier) DO UPDATE SET changes = excluded.changes, error = excluded.error",
            params![unsent.notifier, unsent.since, sql_count(unsent.changes), unsent.error],
        )?;
        Ok(())
    }

    /// Nothing waits for a notifier any more.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_all_sent(&self, notifier: &str) -> StoreResult<()> {
        self.connection.execute("DELETE FROM alert_unsent WHERE notifier = ?", [notifier])?;
        Ok(())
    }

    /// Forgets a notifier that is no more.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn alert_notifier_forget(&self, notifier: &str) -> StoreResult<()> {
        self.connection.execute("DELETE FROM alert_told WHERE notifier = ?", [notifier])?;
        self.alert_all_sent(notifier)
    }
}

impl Store {
    /// All that alerts remember; nothing in a database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn alert_memory(&self) -> StoreResult<Memory> {
        self.read(|connection| {
            let there = connection.table_exists(None, "alert_state")?;
            if there { memory(connection) } else { Ok(Memory::default()) }
        })
    }

    /// The notifiers that could not be told something; none in a database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn alerts_unsent(&self) -> StoreResult<BTreeMap<String, Unsent>> {
        self.read(|connection| {
            let there = connection.table_exists(None, "alert_unsent")?;
            if there { unsent(connection) } else { Ok(BTreeMap::new()) }
        })
    }
}

fn memory(connection: &Connection) -> StoreResult<Memory> {
    let mut statement = connection.prepare_cached("SELECT name, since FROM alert_state")?;
    let held = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Memory {
        held: held.collect::<Result<_, _>>()?,
        snoozes: snoozes(connection)?,
        told: told(connection)?,
        unsent: unsent(connection)?,
    })
}

fn snoozes(connection: &Connection) -> StoreResult<BTreeMap<String, Snooze>> {
    let mut statement =
        connection.prepare_cached("SELECT name, since, until, reason, who FROM alert_snoozes")?;
    let rows = statement.query_map([], |row| {
        Ok(Snooze {
            rule: row.get(0)?,
            since: row.get(1)?,
            until: row.get(2)?,
            reason: row.get(3)?,
            who: row.get(4)?,
        })
    })?;
    rows.map(|row| row.map(|snooze| (snooze.rule.clone(), snooze)).map_err(Into::into)).collect()
}

fn told(connection: &Connection) -> StoreResult<BTreeMap<String, BTreeMap<String, Told>>> {
    let mut statement = connection
        .prepare_cached("SELECT notifier, name, severity, count, since, told_at FROM alert_told")?;
    let mut rows = statement.query([])?;
    let mut told: BTreeMap<String, BTreeMap<String, Told>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let known = Told {
            severity: word(text(row, 2)?)?,
            count: count(row.get(3)?),
            since: row.get(4)?,
            at: row.get(5)?,
        };
        told.entry(row.get(0)?).or_default().insert(row.get(1)?, known);
    }
    Ok(told)
}

fn unsent(connection: &Connection) -> StoreResult<BTreeMap<String, Unsent>> {
    let mut statement =
        connection.prepare_cached("SELECT notifier, since, changes, error FROM alert_unsent")?;
    let rows = statement.query_map([], |row| {
        Ok(Unsent {
            notifier: row.get(0)?,
            since: row.get(1)?,
            changes: count(row.get(2)?),
            error: row.get(3)?,
        })
    })?;
    rows.map(|row| row.map(|one| (one.notifier.clone(), one)).map_err(Into::into)).collect()
}
