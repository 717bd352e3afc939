//! The ordered list of `migrations/*.sql`; a file's position is the `user_version` that it leads to.
//!
//! A shipped migration is never edited or moved: what it did stands in databases out there.

use rusqlite::Connection;

use super::{StoreError, StoreResult};

/// What an mdctl database bears as `application_id`: "mdct" in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x6d64_6374;

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_bars_and_runs.sql"),
    include_str!("../../migrations/0002_what_outlives_a_run.sql"),
    include_str!("../../migrations/0003_what_makes_bars_trustworthy.sql"),
    include_str!("../../migrations/0004_what_monitoring_remembers.sql"),
    include_str!("../../migrations/0005_what_operation_remembers.sql"),
    include_str!("../../migrations/0006_what_speed_needs.sql"),
];

/// The schema version that this program writes.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Brings the schema up to this program's, one transaction a migration.
pub(super) fn migrate(connection: &mut Connection) -> StoreResult<()> {
    while version(connection)? < NEWEST {
        let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Another command may have been at it meanwhile.
        let known = usize::try_from(version(&tx)?).unwrap_or(usize::MAX);
        if let Some(sql) = MIGRATIONS.get(known) {
            tx.execute_batch(sql)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", (known + 1) as i64)?;
        }
        tx.commit()?;
    }
    Ok(())
}

/// A database in memory with the schema of that version, and nothing in it.
pub(super) fn fresh(version: i64) -> StoreResult<Connection> {
    let connection = Connection::open_in_memory()?;
    let known = usize::try_from(version).unwrap_or(0).min(MIGRATIONS.len());
    MIGRATIONS[..known].iter().try_for_each(|sql| connection.execute_batch(sql))?;
    Ok(connection)
}

/// The schema version of a database, once it is known to be ours.
///
/// # Errors
///
/// When it belongs to another program, or to a newer mdctl.
pub(super) fn version(connection: &Connection) -> StoreResult<i64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = pragma("user_version")?;
    let application = pragma("application_id")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || application != 0) {
        return Err(StoreError::Foreign(connection.path().unwrap_or_default().into()));
    }
    if found > NEWEST {
        return Err(StoreError::Newer { found, known: NEWEST });
    }
    Ok(found)
}
