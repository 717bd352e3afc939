//! Reference data: what is said of symbols, and when that was asked for.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use crate::domain::fact::FileMark;
use crate::domain::reference::{CheckedFact, Listing, ReferenceFact, ToldFact};
use crate::domain::series::Symbol;

use super::{Store, StoreResult, Writer, text, word};

impl Writer<'_> {
    /// Notes what `provider` says of a symbol, asked by a run that is judged at `now`.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn reference_set(
        &self,
        symbol: &Symbol,
        provider: &str,
        listing: &Listing,
        now: i64,
    ) -> StoreResult<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO reference_data
                (symbol, provider, name, exchange, currency, type, active, listed_on, delisted_on, checked_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
            .execute(params![
                symbol.as_str(),
                provider,
                listing.name,
                listing.exchange,
                listing.currency,
                listing.kind,
                listing.active,
                listing.listed_on.map(|date| date.to_string()),
                listing.delisted_on.map(|date| date.to_string()),
                now,
            ])?;
        Ok(())
    }

    /// Notes that `provider` was asked what a symbol is, and has nothing to say: what it said before stays.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn reference_checked(&self, symbol: &Symbol, provider: &str, now: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO reference_data (symbol, provider, checked_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (symbol) DO UPDATE SET provider = ?2, checked_at = ?3",
            )?
            .execute(params![symbol.as_str(), provider, now])?;
        Ok(())
    }

    /// Notes that a symbol's provider was asked for its actions, by a run that is judged at `now`.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn actions_checked(&self, symbol: &Symbol, now: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached("UPDATE tracked_symbols SET actions_checked_at = ?2 WHERE symbol = ?1")?
            .execute(params![symbol.as_str(), now])?;
        Ok(())
    }

    /// Notes that all of a `kind` ("split" or "dividend") that was declared of a symbol was told.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn actions_told(&self, symbol: &Symbol, kind: &str, told: &ToldFact) -> StoreResult<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO actions_told VALUES (?, ?, ?, ?)")?
            .execute(params![symbol.as_str(), kind, told.at, told.told_as])?;
        Ok(())
    }

    /// Notes the file of actions that was read for a symbol; `None` when there is none any more.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn actions_file_read(&self, symbol: &Symbol, mark: Option<FileMark>) -> StoreResult<()> {
        self.connection
            .prepare_cached(
                "UPDATE tracked_symbols SET actions_file_modified_ns = ?2, actions_file_bytes = ?3
                 WHERE symbol = ?1",
            )?
            .execute(params![
                symbol.as_str(),
                mark.map(|mark| mark.modified_ns),
                mark.map(|mark| mark.bytes)
            ])?;
        Ok(())
    }
}

impl Store {
    /// What is said of a symbol; `None` when nothing is, also in a database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn reference_of(&self, symbol: &Symbol) -> StoreResult<Option<ReferenceFact>> {
        self.read(|connection| {
            if !connection.table_exists(None, "reference_data")? {
                return Ok(None);
            }
            let mut statement = connection.prepare_cached(
                "SELECT name, exchange, currency, type, active, listed_on, delisted_on, provider,
                        checked_at FROM reference_data WHERE symbol = ?",
            )?;
            let mut rows = statement.query([symbol.as_str()])?;
            let fact = rows.next()?.map(fact_of).transpose()?;
            Ok(fact.filter(|fact| !fact.listing.is_empty()))
        })
    }

    /// When each symbol's provider was last asked about it.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn checked_all(&self) -> StoreResult<BTreeMap<Symbol, CheckedFact>> {
        self.read(checked_all)
    }
}

fn fact_of(row: &Row<'_>) -> StoreResult<ReferenceFact> {
    let date = |column| -> StoreResult<_> {
        row.get::<_, Option<String>>(column)?.map(|text| word(&text)).transpose()
    };
    Ok(ReferenceFact {
        listing: Listing {
            name: row.get(0)?,
            exchange: row.get(1)?,
            currency: row.get(2)?,
            kind: row.get(3)?,
            active: row.get(4)?,
            listed_on: date(5)?,
            delisted_on: date(6)?,
        },
        provider: row.get(7)?,
        checked_at: row.get(8)?,
    })
}

fn checked_all(connection: &Connection) -> StoreResult<BTreeMap<Symbol, CheckedFact>> {
    // A plan is made on older schemas too.
    let mark = if connection.column_exists(None, "tracked_symbols", "actions_file_bytes")? {
        "actions_file_modified_ns, actions_file_bytes"
    } else {
        "NULL, NULL"
    };
    let listings = if connection.table_exists(None, "reference_data")? {
        "(SELECT symbol, provider, checked_at FROM reference_data)"
    } else {
        "(SELECT NULL AS symbol, NULL AS provider, NULL AS checked_at)"
    };
    let mut statement = connection.prepare(&format!(
        "SELECT t.symbol, t.actions_checked_at, {mark}, r.provider, r.checked_at
           FROM tracked_symbols AS t LEFT JOIN {listings} AS r USING (symbol)"
    ))?;
    let mut rows = statement.query([])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let mark = row.get::<_, Option<i64>>(2)?.zip(row.get(3)?);
        let fact = CheckedFact {
            actions_at: row.get(1)?,
            splits_told: None,
            dividends_told: None,
            actions_file: mark.map(|(modified_ns, bytes)| FileMark { modified_ns, bytes }),
            listing: row.get::<_, Option<String>>(4)?.zip(row.get(5)?),
        };
        facts.push((word(text(row, 0)?)?, fact));
    }
    // At once, since they mostly come in their order: one by one, each would be looked up for its place.
    let mut all = facts.into_iter().collect();
    told_all(connection, &mut all)?;
    Ok(all)
}

/// Adds when all that was declared of symbols was told.
fn told_all(connection: &Connection, all: &mut BTreeMap<Symbol, CheckedFact>) -> StoreResult<()> {
    if !connection.table_exists(None, "actions_told")? {
        return Ok(());
    }
    let mut statement =
        connection.prepare("SELECT symbol, kind = 'split', told_at, told_as FROM actions_told")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let symbol = text(row, 0)?;
        let Some(fact) = all.get_mut(symbol) else { continue };
        let told = Some(ToldFact { at: row.get(2)?, told_as: row.get(3)? });
        if row.get(1)? {
            fact.splits_told = told;
        } else {
            fact.dividends_told = told;
        }
    }
    Ok(())
}
