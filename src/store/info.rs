//! The file described: sizes, versions, and what is in it.

use rusqlite::Connection;

use crate::domain::database::{Info, TableInfo};

use super::{Store, StoreResult, count, migrate, vacuum};

impl Store {
    /// The schema version of the file, and the newest that this program knows.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn schema_versions(&self) -> StoreResult<(i64, i64)> {
        self.read(|connection| Ok((migrate::version(connection)?, migrate::NEWEST)))
    }

    /// Sizes and versions. Reads every page of the file.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn info(&self) -> StoreResult<Info> {
        self.read(|connection| {
            let one = |sql| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
            Ok(Info {
                schema_version: migrate::version(connection)?,
                sqlite_version: rusqlite::version().to_owned(),
                room: vacuum::room(connection)?,
                log_bytes: self.log_bytes(),
                tables: tables(connection)?,
                bars: one("SELECT sum(bar_count) FROM series")?.map_or(0, count),
                first_bar_ts: one("SELECT min(first_ts) FROM series")?,
                last_bar_ts: one("SELECT max(watermark_ts) FROM series")?,
                first_run_at: one("SELECT min(started_at) FROM runs")?,
                last_run_at: one("SELECT max(started_at) FROM runs")?,
            })
        })
    }

    /// How many bars are stored in all.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_in_all(&self) -> StoreResult<u64> {
        self.read(|connection| {
            let sql = "SELECT coalesce(sum(bar_count), 0) FROM series";
            Ok(connection.query_row(sql, [], |row| row.get(0).map(count))?)
        })
    }
}

/// Rows by table, in the order of their names.
pub(super) fn rows(connection: &Connection) -> StoreResult<Vec<(String, u64)>> {
    let mut names =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let counted = names.into_iter().map(|name| {
        // Whoever named a table, the quotes hold its name together.
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let rows = connection.query_row(&sql, [], |row| row.get(0).map(count))?;
        Ok((name, rows))
    });
    counted.collect()
}

/// Tables with their rows and sizes, an index with its table, in the order of their names.
fn tables(connection: &Connection) -> StoreResult<Vec<TableInfo>> {
    let mut sizes = connection.prepare(
        "SELECT s.tbl_name, sum(d.pgsize) FROM dbstat AS d JOIN sqlite_schema AS s USING (name)
          WHERE d.aggregate = TRUE GROUP BY 1",
    )?;
    let sizes: std::collections::HashMap<String, u64> = sizes
        .query_map([], |row| Ok((row.get(0)?, row.get(1).map(count)?)))?
        .collect::<Result<_, _>>()?;
    let rows = rows(connection)?.into_iter();
    Ok(rows
        .map(|(name, rows)| TableInfo {
            bytes: sizes.get(&name).copied().unwrap_or_default(),
            name,
            rows,
        })
        .collect())
}
