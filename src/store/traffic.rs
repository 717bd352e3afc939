//! What requests came to over time.

use rusqlite::Connection;

use crate::domain::fact::{FetchDay, Traffic};
use crate::domain::run::RunId;
use crate::domain::time::day_start;

use super::{Store, StoreResult, count, text_or_null};

impl Store {
    /// The requests since `since`, by UTC day, ascending; a day without requests is not there. Files
    /// read are none.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn fetch_days(&self, since: i64) -> StoreResult<Vec<FetchDay>> {
        self.read(|connection| {
            // Counted here, not by SQL: grouping a million rows by three columns would sort them all.
            let mut statement = connection.prepare_cached(&format!(
                "SELECT started_at, response_time_ms, success, error_kind, attempt, bytes
                   FROM fetch_log WHERE started_at >= ? AND {} ORDER BY started_at",
                is_request(connection)?
            ))?;
            let mut rows = statement.query([since])?;
            let mut days: Vec<FetchDay> = Vec::new();
            while let Some(row) = rows.next()? {
                let started_at: i64 = row.get(0)?;
                let start = day_start(started_at);
                if days.last().is_none_or(|day| day.start != start) {
                    days.push(FetchDay { start, ..FetchDay::default() });
                }
                let Some(day) = days.last_mut() else { continue };
                day.facts.total += 1;
                *day.facts.times_ms.entry(count(row.get(1)?)).or_default() += 1;
                day.facts.successful += u64::from(row.get::<_, bool>(2)?);
                day.facts.retries += u64::from(row.get::<_, i64>(4)? > 1);
                day.facts.bytes += count(row.get(5)?);
                if let Some(kind) = text_or_null(row, 3)? {
                    day.facts.rate_limited += u64::from(kind == "rate_limited");
                    match day.failed.get_mut(kind) {
                        Some(failed) => *failed += 1,
                        None => drop(day.failed.insert(kind.to_owned(), 1)),
                    }
                }
            }
            Ok(days)
        })
    }

    /// What the requests of a run have come to so far.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn traffic_of(&self, run_id: &RunId) -> StoreResult<Traffic> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT coalesce(sum({}), 0), coalesce(sum(error_kind = 'rate_limited'), 0),
                        coalesce(sum(records_inserted), 0)
                   FROM fetch_log WHERE run_id = ?",
                is_request(connection)?
            ))?;
            Ok(statement.query_row([&run_id.0], |row| {
                Ok(Traffic {
                    requests: count(row.get(0)?),
                    rate_limited: count(row.get(1)?),
                    bars: count(row.get(2)?),
                })
            })?)
        })
    }
}

/// What makes a row of `fetch_log` a request to a provider. Files that are read are none: those of a provider
/// have no HTTP status, and those that somebody imports have a name, which nobody could before there was the column.
pub(super) fn is_request(connection: &Connection) -> StoreResult<&'static str> {
    Ok(if connection.column_exists(None, "fetch_log", "file")? {
        "(http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL"
    } else {
        "(http_status IS NOT NULL OR error_kind IS NOT NULL)"
    })
}
