//! What is wrong with the database: SQLite's own checks, and what holds of every database that only this
//! program has written to. Each finding says what mends it.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::domain::database::{Flaw, Mend};

use super::{Store, StoreResult, count, migrate, sound};

const RESTORE: Mend = Mend::Words(
    "restore a backup with `mdctl db restore`, or move the file away and `mdctl backfill` anew",
);

/// What holds of every database of ours.
struct Invariant {
    code: &'static str,
    /// The schema's version that it holds since.
    since: i64,
    /// The rows that break it, in words after their number.
    what: &'static str,
    /// A query for them: a name in its only column `subject`.
    rows: &'static str,
    mend: Mend,
}

/// The name of a bar's row, where `s` is its series.
macro_rules! bar {
    ($ts:literal) => {
        concat!("s.symbol || ' ' || s.timeframe || ' ' || datetime(", $ts, ", 'unixepoch')")
    };
}

/// Whether the numbers of a bar cannot be.
macro_rules! impossible {
    () => {
        "min(open, close) < low * (1 - 2e-9) OR max(open, close) > high * (1 + 2e-9)
         OR max(high, coalesce(volume, 0), coalesce(abs(vwap), 0)) > 1.7976931348623157e308"
    };
}

/// The numbers of the series that a table has rows of, a step each, however many rows there are.
macro_rules! series_of {
    ($table:literal) => {
        concat!(
            "WITH RECURSIVE n (series_id) AS (SELECT min(series_id) FROM ",
            $table,
            " UNION ALL SELECT (SELECT min(t.series_id) FROM ",
            $table,
            " AS t WHERE t.series_id > n.series_id) FROM n WHERE n.series_id IS NOT NULL)
              SELECT series_id FROM n WHERE series_id IS NOT NULL"
        )
    };
}

/// Series with bars of which nothing is covered.
macro_rules! uncovered {
    () => {
        "bar_count > 0 AND NOT EXISTS (SELECT 1 FROM coverage AS c WHERE c.series_id = series.series_id
             AND c.from_ts <= watermark_ts AND c.to_ts > first_ts)"
    };
}

/// Covers the first bar of such series: of all else the provider is asked again.
macro_rules! cover_first {
    () => {
        concat!(
            "INSERT OR REPLACE INTO coverage SELECT series_id, first_ts, first_ts + 60 FROM series WHERE ",
            uncovered!(),
            ";"
        )
    };
}

/// The series whose gaps are to be found anew.
macro_rules! ask_again {
    ($which:literal) => {
        concat!(
            "CREATE TEMP TABLE again AS ",
            $which,
            "; DELETE FROM gaps WHERE series_id IN again; DELETE FROM coverage WHERE series_id IN again; ",
            cover_first!()
        )
    };
}

const INVARIANTS: &[Invariant] = &[
    Invariant {
        code: "bars_without_series",
        since: 1,
        what: "series numbers with bars, but without a series",
        rows: concat!(
            "SELECT 'series ' || series_id AS subject FROM (",
            series_of!("bars"),
            ") WHERE series_id NOT IN (SELECT series_id FROM series)"
        ),
        mend: Mend::Sql(
            "DELETE FROM bars WHERE series_id NOT IN (SELECT series_id FROM series); DELETE FROM bars_gone \
             WHERE series_id NOT IN (SELECT series_id FROM series);",
        ),
    },
    Invariant {
        code: "series_extent",
        since: 1,
        what: "series whose count, first or last bar disagree with their bars",
        rows: "SELECT s.symbol || ' ' || s.timeframe AS subject FROM series AS s LEFT JOIN
                   (SELECT series_id, count(*) AS n, min(ts) AS lo, max(ts) AS hi FROM bars
                     GROUP BY series_id) AS b USING (series_id)
                WHERE s.bar_count <> coalesce(b.n, 0) OR s.first_ts IS NOT b.lo
                   OR s.watermark_ts IS NOT b.hi",
        mend: Mend::Sql(
            "UPDATE series SET (bar_count, first_ts, watermark_ts) = (SELECT count(*), min(ts), max(ts) FROM \
             bars WHERE bars.series_id = series.series_id);",
        ),
    },
    Invariant {
        code: "impossible_bars",
        since: 1,
        what: "bars whose open or close lies outside their low and high, or that hold no number",
        rows: concat!(
            "SELECT ", bar!("b.ts"), " AS subject FROM bars AS b JOIN series AS s USING (series_id) WHERE ",
            impossible!()
        ),
        mend: Mend::Sql(concat!("DELETE FROM bars WHERE ", impossible!(), ";")),
    },
    Invariant {
        code: "off_grid_bars",
        since: 1,
        what: "bars at a time at which none of their timeframe begins",
        rows: concat!(
            "SELECT ", bar!("b.ts"), " AS subject FROM bars AS b JOIN series AS s USING (series_id)
              WHERE CASE s.timeframe WHEN '1w' THEN (b.ts - 345600) % 604800 WHEN '1d' THEN b.ts % 86400
                    ELSE b.ts % 60 END <> 0"
        ),
        mend: Mend::Sql(
            "DELETE FROM bars WHERE CASE (SELECT timeframe FROM series AS s WHERE s.series_id = \
             bars.series_id) WHEN '1w' THEN (ts - 345600) % 604800 WHEN '1d' THEN ts % 86400 ELSE ts % 60 \
             END <> 0;",
        ),
    },
    Invariant {
        code: "unknown_timeframe",
        since: 1,
        what: "series of a timeframe that there is none",
        rows: "SELECT symbol || ' ' || timeframe AS subject FROM series
                WHERE timeframe NOT IN ('1m', '5m', '15m', '30m', '1h', '4h', '1d', '1w')",
        mend: Mend::Sql(
            "DELETE FROM series WHERE timeframe NOT IN ('1m', '5m', '15m', '30m', '1h', '4h', '1d', '1w');",
        ),
    },
    Invariant {
        code: "coverage_overlap",
        since: 1,
        what: "stretches of coverage that overlap or touch the one before",
        rows: "SELECT coalesce(s.symbol || ' ' || s.timeframe, 'series ' || series_id) AS subject
                 FROM (SELECT series_id, from_ts, max(to_ts) OVER (PARTITION BY series_id ORDER BY from_ts
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM coverage)
                 LEFT JOIN series AS s USING (series_id) WHERE before >= from_ts",
        mend: Mend::Sql(
            "DELETE FROM coverage WHERE series_id IN (SELECT a.series_id FROM coverage AS a JOIN coverage AS \
             b ON a.series_id = b.series_id AND a.from_ts < b.from_ts AND a.to_ts >= b.from_ts);",
        ),
    },
    Invariant {
        code: "coverage_lost",
        since: 1,
        what: "series with bars of which none is covered: all would be asked for again",
        rows: concat!("SELECT symbol || ' ' || timeframe AS subject FROM series WHERE ", uncovered!()),
        mend: Mend::Sql(cover_first!()),
    },
    Invariant {
        code: "gaps_overlap",
        since: 1,
        what: "gaps that overlap the one before",
        rows: "SELECT coalesce(s.symbol || ' ' || s.timeframe, 'series ' || series_id) AS subject
                 FROM (SELECT series_id, from_ts, max(to_ts) OVER (PARTITION BY series_id ORDER BY from_ts
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM gaps)
                 LEFT JOIN series AS s USING (series_id) WHERE before > from_ts",
        mend: Mend::Sql(ask_again!(
            "SELECT a.series_id FROM gaps AS a JOIN gaps AS b ON a.series_id = b.series_id AND a.from_ts < \
             b.from_ts AND a.to_ts > b.from_ts"
        )),
    },
    Invariant {
        code: "gaps_over_bars",
        since: 1,
        what: "gaps that begin at a bar that is stored",
        rows: concat!(
            "SELECT ", bar!("g.from_ts"), " AS subject FROM gaps AS g JOIN series AS s USING (series_id)
              WHERE EXISTS (SELECT 1 FROM bars AS b
                             WHERE b.series_id = g.series_id AND b.ts = g.from_ts)"
        ),
        mend: Mend::Sql(ask_again!(
            "SELECT g.series_id FROM gaps AS g JOIN bars AS b ON b.series_id = g.series_id AND b.ts = \
             g.from_ts"
        )),
    },
    Invariant {
        code: "rows_without_series",
        since: 3,
        what: "rows of coverage, gaps, features, states, factors or anomalies without a series",
        rows: concat!(
            "SELECT 'series ' || series_id AS subject FROM (
                   SELECT series_id FROM coverage UNION ALL SELECT series_id FROM gaps
                   UNION ALL SELECT * FROM (",
            series_of!("features"),
            ") UNION ALL SELECT series_id FROM feature_state
                   UNION ALL SELECT series_id FROM adjustment_factors
                   UNION ALL SELECT series_id FROM anomalies)
                WHERE series_id NOT IN (SELECT series_id FROM series)"
        ),
        mend: Mend::Sql(
            "CREATE TEMP TABLE known AS SELECT series_id FROM series; DELETE FROM coverage WHERE series_id \
             NOT IN known; DELETE FROM gaps WHERE series_id NOT IN known; DELETE FROM features WHERE \
             series_id NOT IN known; DELETE FROM feature_state WHERE series_id NOT IN known; DELETE FROM \
             adjustment_factors WHERE series_id NOT IN known; DELETE FROM anomalies WHERE series_id NOT IN \
             known;",
        ),
    },
    Invariant {
        code: "features_without_bars",
        since: 3,
        what: "rows of features without their bar",
        rows: concat!(
            "SELECT ", bar!("f.ts"), " AS subject FROM features AS f JOIN series AS s USING (series_id)
              WHERE NOT EXISTS (SELECT 1 FROM bars AS b WHERE b.series_id = f.series_id AND b.ts = f.ts)"
        ),
        mend: Mend::Sql(
            "DELETE FROM features WHERE NOT EXISTS (SELECT 1 FROM bars AS b WHERE b.series_id = \
             features.series_id AND b.ts = features.ts);",
        ),
    },
    Invariant {
        code: "states_without_bars",
        since: 3,
        what: "states of features without their bar",
        rows: concat!(
            "SELECT ", bar!("f.ts"), " AS subject FROM feature_state AS f JOIN series AS s USING (series_id)
              WHERE NOT EXISTS (SELECT 1 FROM bars AS b WHERE b.series_id = f.series_id AND b.ts = f.ts)"
        ),
        mend: Mend::Sql(
            "DELETE FROM feature_state WHERE NOT EXISTS (SELECT 1 FROM bars AS b WHERE b.series_id = \
             feature_state.series_id AND b.ts = feature_state.ts);",
        ),
    },
    Invariant {
        code: "features_missing",
        since: 3,
        what: "series that say that all their features are computed, and lack some",
        rows: "SELECT symbol || ' ' || timeframe AS subject FROM series AS s
                WHERE features_from IS NULL AND feature_set IS NOT NULL AND watermark_ts IS NOT NULL
                  AND (NOT EXISTS (SELECT 1 FROM features AS f WHERE f.series_id = s.series_id
                                      AND f.ts = s.watermark_ts)
                       OR (SELECT count(*) FROM features AS f WHERE f.series_id = s.series_id)
                       < (SELECT count(*) FROM bars AS b WHERE b.series_id = s.series_id AND b.ts >=
                           (SELECT min(ts) FROM features AS f WHERE f.series_id = s.series_id)))",
        mend: Mend::Sql(
            "UPDATE series SET features_from = first_ts WHERE features_from IS NULL AND feature_set IS NOT \
             NULL;",
        ),
    },
    Invariant {
        code: "runs_contradict",
        since: 1,
        what: "runs whose status does not go with their jobs or their end",
        rows: "SELECT 'run ' || run_id AS subject FROM runs WHERE CASE status
                   WHEN 'running' THEN completed_at IS NOT NULL
                   WHEN 'crashed' THEN 0
                   WHEN 'succeeded' THEN failed > 0 OR deferred > 0 OR completed_at IS NULL
                   WHEN 'partial' THEN failed = 0 OR completed_at IS NULL
                   WHEN 'deferred' THEN failed > 0 OR deferred = 0 OR completed_at IS NULL
                   ELSE completed_at IS NULL END",
        mend: Mend::Sql(
            "UPDATE runs SET completed_at = NULL WHERE status = 'running'; UPDATE runs SET completed_at = \
             coalesce(completed_at, started_at), status = CASE WHEN failed > 0 AND failed = symbols_total \
             THEN 'failed' WHEN failed > 0 THEN 'partial' WHEN deferred > 0 THEN 'deferred' ELSE 'succeeded' \
             END WHERE status IN ('succeeded', 'partial', 'deferred'); UPDATE runs SET completed_at = \
             started_at WHERE status NOT IN ('running', 'crashed') AND completed_at IS NULL;",
        ),
    },
    Invariant {
        code: "jobs_left_open",
        since: 1,
        what: "jobs that wait or work in a run that has ended",
        rows: "SELECT j.symbol || ' in run ' || j.run_id AS subject FROM jobs AS j JOIN runs USING (run_id)
                WHERE j.status IN ('pending', 'in_progress', 'retry') AND runs.status <> 'running'",
        mend: Mend::Sql(
            "UPDATE jobs SET status = 'skipped' WHERE status IN ('pending', 'in_progress', 'retry') AND \
             run_id IN (SELECT run_id FROM runs WHERE status <> 'running');",
        ),
    },
    Invariant {
        code: "totals_too_small",
        since: 5,
        what: "totals that are less than what is still on record",
        rows: "SELECT command || ' ' || status AS subject FROM runs WHERE status <> 'running'
                GROUP BY command, status
               HAVING count(*) > coalesce((SELECT runs FROM run_totals AS t
                          WHERE t.command = runs.command AND t.status = runs.status), 0)
               UNION ALL
               SELECT provider || ' ' || coalesce(error_kind, 'ok') FROM fetch_log AS f
                WHERE (http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL
                  AND run_id NOT IN (SELECT run_id FROM runs WHERE status = 'running')
                GROUP BY provider, coalesce(error_kind, 'ok')
               HAVING count(*) > coalesce((SELECT requests FROM request_totals AS t
                          WHERE t.provider = f.provider AND t.outcome = coalesce(f.error_kind, 'ok')), 0)",
        mend: Mend::Sql(
            "INSERT INTO run_totals SELECT command, status, count(*), sum(records_inserted), \
             sum(records_updated) FROM runs WHERE status <> 'running' GROUP BY 1, 2 ON CONFLICT DO UPDATE SET \
             runs = max(runs, excluded.runs); INSERT INTO request_totals SELECT provider, \
             coalesce(error_kind, 'ok'), count(*), sum(attempt > 1), sum(bytes) FROM fetch_log WHERE \
             (http_status IS NOT NULL OR error_kind IS NOT NULL) AND file IS NULL AND run_id NOT IN (SELECT run_id \
             FROM runs WHERE status = 'running') GROUP BY 1, 2 ON CONFLICT DO UPDATE SET requests = max(requests, \
             excluded.requests);",
        ),
    },
];

/// References that lead nowhere, by the table that they stand in.
const UNREFERENCED: &[(&str, &str, Mend)] = &[
    (
        "jobs",
        "jobs of runs that are not on record",
        Mend::Sql("DELETE FROM jobs WHERE run_id NOT IN (SELECT run_id FROM runs);"),
    ),
    (
        "series",
        "series of symbols that were never tracked",
        Mend::Sql(
            "INSERT INTO tracked_symbols SELECT DISTINCT symbol, 'stock', provider, 'XNYS', '', 0, 0, 0, \
             NULL, NULL, NULL FROM series WHERE symbol NOT IN (SELECT symbol FROM tracked_symbols);",
        ),
    ),
];

impl Store {
    /// What is wrong; empty when nothing is. The invariants of a damaged database are not asked for.
    ///
    /// # Errors
    ///
    /// When the database cannot be read at all.
    pub fn flaws(&self) -> StoreResult<Vec<Flaw>> {
        self.read(|connection| {
            let damage = sound::damage(connection, true)?;
            if !damage.is_empty() {
                let flaw = |line| flaw("damage", 1, line, None, RESTORE);
                return Ok(damage.into_iter().map(flaw).collect());
            }
            let version = migrate::version(connection)?;
            let mut flaws = drift(connection, version)?;
            flaws.extend(unreferenced(connection)?);
            // What is not there cannot be asked for.
            if flaws.iter().any(|flaw| flaw.code == "schema") {
                return Ok(flaws);
            }
            for invariant in INVARIANTS.iter().filter(|invariant| invariant.since <= version) {
                flaws.extend(broken(connection, invariant)?);
            }
            Ok(flaws)
        })
    }
}

fn flaw(
    code: &'static str,
    count: u64,
    message: String,
    subject: Option<String>,
    mend: Mend,
) -> Flaw {
    Flaw { code, count, message, subject, mend }
}

fn broken(connection: &Connection, invariant: &Invariant) -> StoreResult<Option<Flaw>> {
    let sql = format!("SELECT count(*), min(subject) FROM ({})", invariant.rows);
    let (rows, subject): (i64, Option<String>) =
        connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let message = format!("{rows} {}", invariant.what);
    Ok((rows > 0).then(|| flaw(invariant.code, count(rows), message, subject, invariant.mend)))
}

/// Where the schema is not what the migrations make: what stands in it besides is the user's own.
fn drift(connection: &Connection, version: i64) -> StoreResult<Vec<Flaw>> {
    let fresh = migrate::fresh(version)?;
    let (wanted, held) = (definitions(&fresh)?, definitions(connection)?);
    let wrong = wanted.iter().filter(|(name, sql)| held.get(*name) != Some(*sql));
    let message = |(name, _): (&String, _)| match held.get(name) {
        None => format!("{name} is not there"),
        Some(_) => format!("{name} is not what this program made"),
    };
    Ok(wrong.map(|wrong| flaw("schema", 1, message(wrong), None, RESTORE)).collect())
}

/// What a schema is made of: each definition by kind and name. Columns that a migration added are compared
/// as SQLite wrote them down.
fn definitions(connection: &Connection) -> StoreResult<BTreeMap<String, String>> {
    let mut statement = connection
        .prepare("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// References that lead nowhere.
fn unreferenced(connection: &Connection) -> StoreResult<Vec<Flaw>> {
    let mut statement = connection.prepare(
        "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2",
    )?;
    let found = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2).map(count)?))
    })?;
    let found: Vec<_> = found.collect::<Result<_, _>>()?;
    let told = found.into_iter().map(|(table, parent, rows)| {
        let known = UNREFERENCED.iter().find(|(name, ..)| *name == table);
        let (what, mend) = match known {
            Some((_, what, mend)) => ((*what).to_owned(), *mend),
            None => (format!("rows of {table} without their row of {parent}"), RESTORE),
        };
        flaw("reference", rows, format!("{rows} {what}"), None, mend)
    });
    Ok(told.collect())
}
