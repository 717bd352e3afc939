//! What looks suspicious in stored bars, and the figures of quality.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use crate::domain::anomaly::{Anomaly, AnomalyCode};
use crate::domain::bar::RejectReason;
use crate::domain::fact::{Found, QualityRow, RejectedFact};
use crate::domain::quick::QuickMap;
use crate::domain::range::TimeRange;

use super::many::write_many;
use super::{Store, StoreResult, Writer, count, sql_count, text, word};

const COLUMNS: &str = "ts, ts_end, code, count, fields, detail";

impl Writer<'_> {
    /// The findings of a series' bars whose `ts` lies in `range`, by `ts` and code.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn anomalies_in(&self, series_id: i64, range: TimeRange) -> StoreResult<Vec<Anomaly>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM anomalies
              WHERE series_id = ? AND ts >= ? AND ts < ? AND code IN ({}) ORDER BY ts",
            listed(&AnomalyCode::OF_BARS)
        ))?;
        let mut rows = statement.query(params![series_id, range.start, range.end])?;
        let mut anomalies = Vec::new();
        while let Some(row) = rows.next()? {
            anomalies.push(anomaly_of(row)?);
        }
        anomalies.sort_by_key(|anomaly| (anomaly.ts, anomaly.code));
        Ok(anomalies)
    }

    /// The run of that code that begins before `ts` and was last seen to reach at least to `reaches`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn anomaly_over(
        &self,
        series_id: i64,
        code: AnomalyCode,
        ts: i64,
        reaches: i64,
    ) -> StoreResult<Option<Anomaly>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM anomalies WHERE series_id = ? AND code = ? AND ts < ?
              ORDER BY ts DESC LIMIT 1"
        ))?;
        let mut rows = statement.query(params![series_id, code.as_str(), ts])?;
        let last = rows.next()?.map(anomaly_of).transpose()?;
        Ok(last.filter(|anomaly| anomaly.ts_end >= reaches))
    }

    /// The `ts` of the first of the bars without volume that stand in a row up to that of `ts`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn silent_since(&self, series_id: i64, ts: i64) -> StoreResult<i64> {
        let mut statement = self.connection.prepare_cached(
            "SELECT min(ts) FROM bars WHERE series_id = ?1 AND ts <= ?2 AND ts > coalesce(
                 (SELECT ts FROM bars WHERE series_id = ?1 AND ts <= ?2 AND volume IS NOT 0.0
                   ORDER BY ts DESC LIMIT 1), -9223372036854775808)",
        )?;
        let since: Option<i64> = statement.query_row([series_id, ts], |row| row.get(0))?;
        Ok(since.unwrap_or(ts))
    }

    /// Makes the findings `before` of a series `after`; both by `ts` and code. Writes only what differs.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn anomalies_set(
        &self,
        series_id: i64,
        before: &[Anomaly],
        after: &[Anomaly],
    ) -> StoreResult<()> {
        let at = |rows: &[Anomaly], row: &Anomaly| {
            rows.binary_search_by_key(&(row.ts, row.code), |held| (held.ts, held.code))
        };
        for gone in before.iter().filter(|row| at(after, row).is_err()) {
            self.connection
                .prepare_cached(
                    "DELETE FROM anomalies WHERE series_id = ? AND ts = ? AND code = ?",
                )?
                .execute(params![series_id, gone.ts, gone.code.as_str()])?;
        }
        let differs = |row: &&Anomaly| !at(before, row).is_ok_and(|held| before[held] == **row);
        after.iter().filter(differs).try_for_each(|row| self.anomaly_put(series_id, row))
    }

    fn anomaly_put(&self, series_id: i64, row: &Anomaly) -> StoreResult<()> {
        let fields = (!row.fields.is_empty()).then(|| row.fields.to_string());
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO anomalies (series_id, ts, ts_end, code, count, fields, detail)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                series_id,
                row.ts,
                row.ts_end,
                row.code.as_str(),
                sql_count(row.count),
                fields,
                row.detail
            ])?;
        Ok(())
    }

    /// Forgets what was found in a series' file when it was read before.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn file_findings_forget(&self, series_id: i64) -> StoreResult<()> {
        self.connection
            .prepare_cached(&format!(
                "DELETE FROM anomalies WHERE series_id = ? AND code IN ({})",
                listed(&AnomalyCode::OF_FILES)
            ))?
            .execute([series_id])?;
        Ok(())
    }

    /// Adds what was found in a series' file: rows that are out of order, or say again what one before
    /// said, each with its `ts` and its line. Several of one `ts` are one finding.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn file_findings_add(
        &self,
        series_id: i64,
        code: AnomalyCode,
        rows: &[(i64, Option<u64>)],
    ) -> StoreResult<()> {
        // The first of those that say the same is no repetition, and counts as one of them.
        let itself = i64::from(code == AnomalyCode::DuplicateTs);
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO anomalies (series_id, ts, ts_end, code, count, detail)
             VALUES (?1, ?2, ?2, ?3, 1 + ?4, ?5)
             ON CONFLICT (series_id, ts, code) DO UPDATE SET count = count + 1",
        )?;
        for (ts, line) in rows {
            let line = line.map(|line| match code {
                AnomalyCode::DuplicateTs => {
                    format!("line {line}: says again what one before it said")
                }
                _ => format!("line {line}: a later one stands before it"),
            });
            statement.execute(params![series_id, ts, code.as_str(), itself, line])?;
        }
        Ok(())
    }

    /// What was found of each series that anything was found of.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn found_all(&self) -> StoreResult<QuickMap<i64, Found>> {
        found_all(self.connection)
    }

    /// How many stored bars of a series whose `ts` lies in `range` lie in sessions.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_in_session(&self, series_id: i64, range: TimeRange) -> StoreResult<u64> {
        bars_in_session(self.connection, series_id, range)
    }

    /// Writes a day's figures of series; only what differs. Fastest by key.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn quality_set(&self, date: &str, rows: &[QualityRow]) -> StoreResult<()> {
        let head = "INSERT INTO quality_metrics (symbol, timeframe, metric_date, total_records,
                        validated_records, validation_rate, gaps_detected, anomalies_detected,
                        quality_score, completeness) VALUES";
        let tail = "ON CONFLICT (symbol, timeframe, metric_date) DO UPDATE
                SET (total_records, validated_records, validation_rate, gaps_detected,
                     anomalies_detected, quality_score, completeness)
                  = (excluded.total_records, excluded.validated_records, excluded.validation_rate,
                     excluded.gaps_detected, excluded.anomalies_detected, excluded.quality_score,
                     excluded.completeness)
              WHERE (total_records, validated_records, validation_rate, gaps_detected,
                     anomalies_detected, quality_score, completeness)
             IS NOT (excluded.total_records, excluded.validated_records, excluded.validation_rate,
                     excluded.gaps_detected, excluded.anomalies_detected, excluded.quality_score,
                     excluded.completeness)";
        write_many(self.connection, (head, 10, tail), rows, |statement, before, row| {
            let QualityRow { key, fact } = row;
            statement.raw_bind_parameter(before + 1, key.symbol.as_str())?;
            statement.raw_bind_parameter(before + 2, key.timeframe.as_str())?;
            statement.raw_bind_parameter(before + 3, date)?;
            statement.raw_bind_parameter(before + 4, sql_count(fact.total_records))?;
            statement.raw_bind_parameter(before + 5, sql_count(fact.validated_records))?;
            statement.raw_bind_parameter(before + 6, fact.validation_rate)?;
            statement.raw_bind_parameter(before + 7, sql_count(fact.gaps_detected))?;
            statement.raw_bind_parameter(before + 8, sql_count(fact.anomalies_detected))?;
            statement.raw_bind_parameter(before + 9, fact.quality_score)?;
            statement.raw_bind_parameter(before + 10, fact.completeness)
        })
    }
}

impl Store {
    /// Whether the database knows of findings at all: one of an older schema does not.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn knows_findings(&self) -> StoreResult<bool> {
        self.read(|connection| Ok(connection.table_exists(None, "anomalies")?))
    }

    /// What was found of each series that anything was found of.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn found_all(&self) -> StoreResult<QuickMap<i64, Found>> {
        self.read(found_all)
    }

    /// How many stored bars of a series whose `ts` lies in `range` lie in sessions.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_in_session(&self, series_id: i64, range: TimeRange) -> StoreResult<u64> {
        self.read(|connection| {
            if connection.table_exists(None, "anomalies")? {
                bars_in_session(connection, series_id, range)
            } else {
                Ok(0)
            }
        })
    }

    /// What was found of a series before `end`; rows that were refused for coming too early are told
    /// whatever their time is. Those of files that somebody imported are not counted.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn found_before(&self, series_id: i64, end: i64) -> StoreResult<Found> {
        self.read(|connection| {
            let rejected = connection
                .prepare_cached(&format!(
                    "SELECT count(*) FROM rejected_bars WHERE series_id = ?1 AND {BEFORE_END} AND {}",
                    is_providers(connection)?
                ))?
                .query_row(params![series_id, end], |row| row.get(0).map(count))?;
            let mut found = Found { rejected, ..Found::default() };
            if connection.table_exists(None, "anomalies")? {
                let mut statement = connection.prepare_cached(ANOMALIES_BY_CODE)?;
                let mut rows = statement.query(params![series_id, end])?;
                while let Some(row) = rows.next()? {
                    add(&mut found, row, 0)?;
                }
            }
            Ok(found)
        })
    }

    /// The last findings of a series before `end`, at most so many, newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn anomalies_last(
        &self,
        series_id: i64,
        end: i64,
        code: Option<AnomalyCode>,
        limit: u64,
    ) -> StoreResult<Vec<Anomaly>> {
        self.read(|connection| {
            let mut anomalies = Vec::new();
            if !connection.table_exists(None, "anomalies")? {
                return Ok(anomalies);
            }
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM anomalies
                  WHERE series_id = ?1 AND ts < ?2 AND (?3 IS NULL OR code = ?3)
                  ORDER BY ts DESC LIMIT ?4"
            ))?;
            let code = code.map(AnomalyCode::as_str);
            let mut rows = statement.query(params![series_id, end, code, sql_count(limit)])?;
            while let Some(row) = rows.next()? {
                anomalies.push(anomaly_of(row)?);
            }
            Ok(anomalies)
        })
    }

    /// The `ts` of a series' last stored bars of `range`, at most so many, newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn bars_ts_last(
        &self,
        series_id: i64,
        range: TimeRange,
        limit: u64,
    ) -> StoreResult<Vec<i64>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT ts FROM bars WHERE series_id = ? AND ts >= ? AND ts < ?
                  ORDER BY ts DESC LIMIT ?",
            )?;
            let (start, end) = (range.start, range.end);
            let rows = statement
                .query_map(params![series_id, start, end, sql_count(limit)], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The last refused rows of a series, at most so many, newest first, as [`Store::found_before`]
    /// counts them. Differing rows of one `ts` are one.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn rejected_last(
        &self,
        series_id: i64,
        end: i64,
        reason: Option<RejectReason>,
        limit: u64,
    ) -> StoreResult<Vec<RejectedFact>> {
        self.read(|connection| {
            let known = connection.column_exists(None, "rejected_bars", "fields")?;
            let fields = if known { "fields" } else { "NULL" };
            let known = connection.column_exists(None, "rejected_bars", "file")?;
            let file = if known { "file" } else { "NULL" };
            // Of a group's columns those of its first row are told.
            let mut statement = connection.prepare_cached(&format!(
                "SELECT ts, reason, {fields}, text, count(*), min(rowid), {file} FROM rejected_bars
                  WHERE series_id = ?1 AND {BEFORE_END} AND (?3 IS NULL OR reason = ?3)
                  GROUP BY coalesce(ts, -9223372036854775808),
                           CASE reason WHEN 'duplicate_ts' THEN 0 ELSE rowid END
                  ORDER BY coalesce(ts, -9223372036854775808) DESC, 6 DESC LIMIT ?4"
            ))?;
            let reason = reason.map(RejectReason::as_str);
            let mut rows = statement.query(params![series_id, end, reason, sql_count(limit)])?;
            let mut rejected = Vec::new();
            while let Some(row) = rows.next()? {
                let fields: Option<String> = row.get(2)?;
                rejected.push(RejectedFact {
                    ts: row.get(0)?,
                    reason: word(text(row, 1)?)?,
                    fields: word(fields.as_deref().unwrap_or_default())?,
                    text: row.get(3)?,
                    count: count(row.get(4)?),
                    file: row.get(6)?,
                });
            }
            Ok(rejected)
        })
    }

    /// How many findings of a series there are before `end`, by code: rows of one that is one together,
    /// bars of one whose bars are each one.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn findings_count(&self, series_id: i64, end: i64) -> StoreResult<HashMap<String, u64>> {
        self.read(|connection| {
            let mut counts: HashMap<String, u64> = HashMap::new();
            let mut statement = connection.prepare_cached(&format!(
                "SELECT reason, CASE reason WHEN 'duplicate_ts' THEN count(DISTINCT ts) ELSE count(*) END
                   FROM rejected_bars WHERE series_id = ?1 AND {BEFORE_END} GROUP BY reason"
            ))?;
            let mut rows = statement.query(params![series_id, end])?;
            while let Some(row) = rows.next()? {
                *counts.entry(row.get(0)?).or_default() += count(row.get(1)?);
            }
            if connection.table_exists(None, "anomalies")? {
                let mut statement = connection.prepare_cached(ANOMALIES_BY_CODE)?;
                let mut rows = statement.query(params![series_id, end])?;
                while let Some(row) = rows.next()? {
                    let code: AnomalyCode =
                        word(text(row, 0)?)?;
                    let column = if code.is_each() { 2 } else { 1 };
                    *counts.entry(code.to_string()).or_default() += count(row.get(column)?);
                }
            }
            Ok(counts)
        })
    }
}

/// By code, how many findings of a series begin before an instant, and how many bars they are about then.
const ANOMALIES_BY_CODE: &str = "SELECT code, count(*), sum(CASE WHEN ts_end < ?2 THEN count ELSE
         (SELECT count(*) FROM bars AS b WHERE b.series_id = ?1
              AND b.ts >= anomalies.ts AND b.ts < ?2) END)
       FROM anomalies WHERE series_id = ?1 AND ts < ?2 GROUP BY code";

/// Which refused rows are told as of an instant: those that bear an earlier time or none, and those
/// whose very fault it is to come too early.
const BEFORE_END: &str =
    "(coalesce(ts, -9223372036854775808) < ?2 OR reason IN ('future_ts', 'unfinished_bar'))";

/// What makes a refused row one that the series' provider gave: no file that it was imported from, which none
/// has where there is no column for it.
fn is_providers(connection: &Connection) -> StoreResult<&'static str> {
    let known = connection.column_exists(None, "rejected_bars", "file")?;
    Ok(if known { "file IS NULL" } else { "true" })
}

fn bars_in_session(connection: &Connection, series_id: i64, range: TimeRange) -> StoreResult<u64> {
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT count(*) FROM bars WHERE series_id = ?1 AND ts >= ?2 AND ts < ?3)
              - (SELECT coalesce(sum(count), 0) FROM anomalies
                  WHERE series_id = ?1 AND ts >= ?2 AND ts < ?3 AND code = 'non_session_bar')",
    )?;
    Ok(statement.query_row([series_id, range.start, range.end], |row| row.get(0).map(count))?)
}

fn found_all(connection: &Connection) -> StoreResult<QuickMap<i64, Found>> {
    let mut all: QuickMap<i64, Found> = QuickMap::default();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT series_id, count(*) FROM rejected_bars WHERE {} GROUP BY series_id",
        is_providers(connection)?
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        all.entry(row.get(0)?).or_default().rejected = count(row.get(1)?);
    }
    if connection.table_exists(None, "anomalies")? {
        let mut statement = connection.prepare_cached(
            "SELECT series_id, code, count(*), sum(count) FROM anomalies GROUP BY series_id, code",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            add(all.entry(row.get(0)?).or_default(), row, 1)?;
        }
    }
    Ok(all)
}

/// Adds a row `code, rows, bars`, whose first column is `at`.
fn add(found: &mut Found, row: &Row<'_>, at: usize) -> StoreResult<()> {
    let code: AnomalyCode = word(text(row, at)?)?;
    let (rows, bars): (u64, u64) = (count(row.get(at + 1)?), count(row.get(at + 2)?));
    match code {
        // It is known what is true: nothing looks suspicious.
        AnomalyCode::DuplicateTs => {}
        AnomalyCode::NonSessionBar => found.non_session += bars,
        _ => found.scored += rows,
    }
    Ok(())
}

fn anomaly_of(row: &Row<'_>) -> StoreResult<Anomaly> {
    let fields: Option<String> = row.get(4)?;
    Ok(Anomaly {
        ts: row.get(0)?,
        ts_end: row.get(1)?,
        code: word(text(row, 2)?)?,
        count: count(row.get(3)?),
        fields: word(fields.as_deref().unwrap_or_default())?,
        detail: row.get(5)?,
    })
}

/// Codes as a list of SQL; they are the program's own words.
fn listed(codes: &[AnomalyCode]) -> String {
    codes.iter().map(|code| format!("'{code}'")).collect::<Vec<_>>().join(", ")
}
