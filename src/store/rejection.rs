//! Refused rows: kept with the reason, and forgotten when what stands in their place is right.

use std::path::Path;

use rusqlite::params;

use crate::domain::bar::{Bar, Rejection};
use crate::domain::run::RunId;

use super::{StoreResult, Writer};

impl Writer<'_> {
    /// Forgets rows of imported files that were refused in place of `bars`, which ascend: now these have come.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn rejections_settle(&self, series_id: i64, bars: &[Bar]) -> StoreResult<()> {
        let Some((first, last)) = bars.first().zip(bars.last()) else { return Ok(()) };
        let mut refused = self.connection.prepare_cached(
            "SELECT rowid, ts FROM rejected_bars
              WHERE series_id = ? AND coalesce(ts, -9223372036854775808) BETWEEN ? AND ?
                AND file IS NOT NULL",
        )?;
        let rows = refused.query_map([series_id, first.ts, last.ts], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let came = |ts: i64| bars.binary_search_by_key(&ts, |bar| bar.ts).is_ok();
        for (rowid, _) in rows.into_iter().filter(|(_, ts)| came(*ts)) {
            self.connection
                .prepare_cached("DELETE FROM rejected_bars WHERE rowid = ?")?
                .execute([rowid])?;
        }
        Ok(())
    }

    /// Keeps rows that were refused, each once. `file` is what they were imported from, `None` where the
    /// series' provider gave them: then they are its, whoever imported the same before.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn rejections_add(
        &self,
        series_id: i64,
        run: &RunId,
        rejections: &[Rejection],
        file: Option<&Path>,
    ) -> StoreResult<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO rejected_bars (series_id, ts, run_id, reason, text, fields, file)
             VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET run_id = excluded.run_id, file = NULL
              WHERE file IS NOT NULL AND excluded.file IS NULL",
        )?;
        let file = file.map(Path::to_string_lossy);
        for row in rejections {
            let fields = (!row.fields.is_empty()).then(|| row.fields.to_string());
            statement.execute(params![
                series_id,
                row.ts,
                run.0,
                row.reason.as_str(),
                row.text,
                fields,
                file
            ])?;
        }
        Ok(())
    }

    /// Forgets the refused rows of a series: its file is read anew, and tells what is wrong in it now.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn rejections_forget(&self, series_id: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached("DELETE FROM rejected_bars WHERE series_id = ?")?
            .execute([series_id])?;
        Ok(())
    }
}
