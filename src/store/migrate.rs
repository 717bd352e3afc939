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
    include_str!("../../migrations/0007_checks_that_cost_little.sql"),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// For each column that holds one of so many words: a statement that writes one, and the words.
    const WORDS: [(&str, &[&str]); 4] = [
        (
            "INSERT INTO series (symbol, timeframe, provider, adjustment)
             VALUES ('A', hex(randomblob(8)), 'p', ?)",
            &["raw", "splits", "all"],
        ),
        (
            "INSERT INTO gaps (series_id, from_ts, to_ts, missing, reason, first_seen_at)
             VALUES (1, (SELECT count(*) FROM gaps), 99, 1, ?, 0)",
            &[
                "unfetched",
                "failed",
                "rejected",
                "provider_empty",
                "no_trade",
                "pre_listing",
                "delisted",
            ],
        ),
        (
            "INSERT INTO jobs (run_id, symbol, status) VALUES ('r', hex(randomblob(8)), ?)",
            &["pending", "in_progress", "retry", "completed", "deferred", "failed", "skipped"],
        ),
        (
            "INSERT INTO freshness (symbol, timeframe, lag_seconds, status, checked_at)
             VALUES (hex(randomblob(8)), '1d', 0, ?, 0)",
            &["fresh", "aging", "stale", "missing"],
        ),
    ];

    #[test]
    fn cheaper_checks_let_the_same_words_through() {
        for version in [6, 7] {
            let connection = fresh(version).expect("a schema");
            connection
                .execute_batch("PRAGMA foreign_keys = OFF")
                .expect("no parents are asked for");
            for (sql, words) in WORDS {
                for word in words {
                    connection.execute(sql, [word]).expect("a known word");
                }
                let refused = connection.execute(sql, ["unheard-of"]);
                assert!(refused.is_err_and(|error| error.to_string().contains("CHECK")), "{sql}");
            }
        }
    }

    #[test]
    fn what_is_written_for_every_symbol_is_checked_against_no_long_list() {
        let connection = fresh(NEWEST).expect("a schema");
        let sql = "SELECT count(*) FROM sqlite_schema
                    WHERE name IN ('series', 'gaps', 'jobs', 'freshness', 'coverage', 'bars', 'fetch_log',
                                   'features', 'quality_metrics') AND sql LIKE '% IN (%,%,%)%'
                      AND sql NOT LIKE '% IN (0, 1)%'";
        let lists: i64 = connection.query_row(sql, [], |row| row.get(0)).expect("a count");
        assert_eq!(lists, 0);
    }
}
