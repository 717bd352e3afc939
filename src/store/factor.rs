//! What corporate actions do to the bars of a series: the factors that the views and the features use.

use rusqlite::{Connection, params};

use crate::domain::action::{Factors, Step};

use super::{Store, StoreResult, Writer};

impl Writer<'_> {
    /// The factors of a series' bars.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn factors_of(&self, series_id: i64) -> StoreResult<Factors> {
        read(self.connection, series_id)
    }

    /// Replaces the factors of a series' bars.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn factors_set(&self, series_id: i64, factors: &Factors) -> StoreResult<()> {
        self.connection
            .prepare_cached("DELETE FROM adjustment_factors WHERE series_id = ?")?
            .execute([series_id])?;
        let mut insert =
            self.connection.prepare_cached("INSERT INTO adjustment_factors VALUES (?, ?, ?, ?)")?;
        for step in factors.steps() {
            insert.execute(params![series_id, step.until_ts, step.split, step.total])?;
        }
        Ok(())
    }
}

impl Store {
    /// The factors of a series' bars; none in a database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn factors_of(&self, series_id: i64) -> StoreResult<Factors> {
        self.read(|connection| {
            if connection.table_exists(None, "adjustment_factors")? {
                read(connection, series_id)
            } else {
                Ok(Factors::default())
            }
        })
    }
}

fn read(connection: &Connection, series_id: i64) -> StoreResult<Factors> {
    let mut statement = connection.prepare_cached(
        "SELECT until_ts, split_factor, total_factor FROM adjustment_factors
          WHERE series_id = ? ORDER BY until_ts",
    )?;
    let steps = statement.query_map([series_id], |row| {
        Ok(Step { until_ts: row.get(0)?, split: row.get(1)?, total: row.get(2)? })
    })?;
    Ok(Factors::new(steps.collect::<Result<_, _>>()?))
}
