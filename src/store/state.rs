//! What outlives a run: the providers' states, pauses, and the audit log.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::domain::control::{Deed, Pause};
use crate::domain::provider_state::{
    Boot, BreakerState, BreakerStatus, Hold, ProviderState, QuotaState, RuleState, SECOND, Stamp,
};

use super::{Store, StoreResult, Writer, word};

/// A provider's state with the instant at which it was written down.
pub type Remembered = (ProviderState, Stamp);

impl Writer<'_> {
    /// Writes down what is to be remembered of a provider.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn provider_state_set(
        &self,
        provider: &str,
        state: &ProviderState,
        saved: &Stamp,
    ) -> StoreResult<()> {
        let boot = saved.boot.as_ref();
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO rate_state (provider, rules, unsettled, paused_until_us,
                     held_until_us, held_reason, held_symbol, concurrency, saved_at_us, boot_id, uptime_us,
                     refused)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                provider,
                json_of(&state.quota.rules),
                state.quota.unsettled,
                Some(state.quota.paused_until).filter(|until| *until > saved.at),
                state.hold.as_ref().map(|hold| hold.until),
                state.hold.as_ref().map(|hold| &hold.reason),
                state.hold.as_ref().and_then(|hold| hold.symbol.as_ref()),
                state.concurrency,
                saved.at,
                boot.map(|boot| &boot.id),
                boot.map(|boot| boot.uptime),
                refusals_of(state),
            ])?;
        let breaker = &state.breaker;
        let outcomes: String =
            breaker.outcomes.iter().map(|good| if *good { '.' } else { 'x' }).collect();
        let failures = breaker.failures();
        let seconds = |at: i64| at.div_euclid(SECOND);
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO breaker_state (provider, state, outcomes, success_count,
                     failure_count, last_failure_at, last_failure, opened_at, retry_at, retry_at_us)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                provider,
                breaker.status.as_str(),
                outcomes,
                (breaker.outcomes.len() - failures) as i64,
                failures as i64,
                breaker.last_failure.as_ref().map(|(at, _)| seconds(*at)),
                breaker.last_failure.as_ref().map(|(_, words)| words),
                breaker.opened_at.map(seconds),
                breaker.retry_at.map(seconds),
                breaker.retry_at,
            ])?;
        Ok(())
    }

    /// What is remembered of each provider.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn provider_states(&self) -> StoreResult<BTreeMap<String, Remembered>> {
        provider_states(self.connection)
    }

    /// Orders a pause, over one that is on.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn pause_set(&self, pause: &Pause) -> StoreResult<()> {
        self.connection.execute(
            "INSERT OR REPLACE INTO controls (name, since, until, reason, who)
             VALUES ('pause', ?, ?, ?, ?)",
            params![pause.since, pause.until, pause.reason, pause.who],
        )?;
        Ok(())
    }

    /// Ends a pause.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn pause_clear(&self) -> StoreResult<()> {
        self.connection.execute("DELETE FROM controls WHERE name = 'pause'", [])?;
        Ok(())
    }

    /// The pause that is on at `now`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn pause_at(&self, now: i64) -> StoreResult<Option<Pause>> {
        pause_at(self.connection, now)
    }

    /// Writes down what somebody did by hand.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn audit_add(&self, deed: &Deed<'_>) -> StoreResult<()> {
        self.connection.execute(
            "INSERT INTO audit_log (at, who, host, action, subject, reason, run_id)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                deed.at,
                deed.who,
                deed.host,
                deed.action,
                deed.subject,
                deed.reason,
                deed.run_id.map(|id| &id.0),
            ],
        )?;
        Ok(())
    }
}

impl Store {
    /// What is remembered of each provider; nothing in a database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn provider_states(&self) -> StoreResult<BTreeMap<String, Remembered>> {
        self.read(|connection| {
            let there = connection.table_exists(None, "rate_state")?;
            if there { provider_states(connection) } else { Ok(BTreeMap::new()) }
        })
    }

    /// The pause that is on at `now`; none in a database of an older schema.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn pause_at(&self, now: i64) -> StoreResult<Option<Pause>> {
        self.read(|connection| {
            let there = connection.table_exists(None, "controls")?;
            if there { pause_at(connection, now) } else { Ok(None) }
        })
    }
}

fn pause_at(connection: &Connection, now: i64) -> StoreResult<Option<Pause>> {
    let read = |row: &Row<'_>| {
        Ok(Pause { since: row.get(0)?, until: row.get(1)?, reason: row.get(2)?, who: row.get(3)? })
    };
    Ok(connection
        .prepare_cached(
            "SELECT since, until, reason, who FROM controls WHERE name = 'pause' AND until > ?",
        )?
        .query_row([now], read)
        .optional()?)
}

fn provider_states(connection: &Connection) -> StoreResult<BTreeMap<String, Remembered>> {
    // A database of an older schema remembers no refusal.
    let refused =
        if connection.column_exists(None, "rate_state", "refused")? { "refused" } else { "NULL" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT provider, rules, unsettled, paused_until_us, held_until_us, held_reason, concurrency,
                saved_at_us, boot_id, uptime_us, state, outcomes, last_failure_at, last_failure,
                opened_at, retry_at_us, held_symbol, {refused}
           FROM rate_state LEFT JOIN breaker_state USING (provider)"
    ))?;
    let mut rows = statement.query([])?;
    let mut states = BTreeMap::new();
    while let Some(row) = rows.next()? {
        states.insert(row.get(0)?, remembered(row)?);
    }
    Ok(states)
}

fn remembered(row: &Row<'_>) -> StoreResult<Remembered> {
    let hold = row.get::<_, Option<i64>>(4)?.zip(row.get::<_, Option<String>>(5)?);
    let boot = row.get::<_, Option<String>>(8)?.zip(row.get(9)?);
    let failure = row.get::<_, Option<i64>>(12)?.zip(row.get::<_, Option<String>>(13)?);
    let micros = |at: i64| at.saturating_mul(SECOND);
    let state = ProviderState {
        quota: QuotaState {
            rules: rules_of(&row.get::<_, String>(1)?),
            unsettled: row.get(2)?,
            paused_until: row.get::<_, Option<i64>>(3)?.unwrap_or(0),
        },
        hold: match hold {
            Some((until, reason)) => Some(Hold { until, reason, symbol: row.get(16)? }),
            None => None,
        },
        concurrency: row.get(6)?,
        breaker: BreakerState {
            status: row
                .get::<_, Option<String>>(10)?
                .map_or(Ok(BreakerStatus::Closed), |text| word(&text))?,
            outcomes: row
                .get::<_, Option<String>>(11)?
                .map(|outcomes| outcomes.chars().map(|c| c == '.').collect())
                .unwrap_or_default(),
            last_failure: failure.map(|(at, words)| (micros(at), words)),
            opened_at: row.get::<_, Option<i64>>(14)?.map(micros),
            retry_at: row.get(15)?,
        },
        // What cannot be read is asked for again, and learnt anew.
        refused: row
            .get::<_, Option<String>>(17)?
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default(),
    };
    let boot = boot.map(|(id, uptime)| Boot { id, uptime });
    Ok((state, Stamp { at: row.get(7)?, boot }))
}

/// The refusals as one JSON object; `None` when there is none.
fn refusals_of(state: &ProviderState) -> Option<String> {
    let pairs = state.refused.iter().map(|(what, until)| (what.clone(), (*until).into()));
    let object: serde_json::Map<_, serde_json::Value> = pairs.collect();
    (!object.is_empty()).then(|| serde_json::Value::Object(object).to_string())
}

/// The rules as one JSON object: of a window a list of pairs, of a bucket a number.
fn json_of(rules: &BTreeMap<String, RuleState>) -> String {
    let value = |rule: &RuleState| match rule {
        RuleState::Window(ended) => serde_json::json!(ended),
        RuleState::Bucket(full_at) => serde_json::json!(full_at),
    };
    let object: serde_json::Map<_, _> =
        rules.iter().map(|(name, rule)| (name.clone(), value(rule))).collect();
    serde_json::Value::Object(object).to_string()
}

/// The rules of such an object. Of one that cannot be read all that is known is that something was used:
/// then every rule begins used up, as of when it was written.
fn rules_of(json: &str) -> BTreeMap<String, RuleState> {
    let read = || {
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).ok()?;
        let rule = |value: serde_json::Value| match value.as_i64() {
            Some(full_at) => Some(RuleState::Bucket(full_at)),
            None => serde_json::from_value(value).map(RuleState::Window).ok(),
        };
        let rules = object.into_iter().map(|(name, value)| Some((name, rule(value)?)));
        rules.collect::<Option<BTreeMap<_, _>>>()
    };
    read().unwrap_or_else(|| BTreeMap::from([("unreadable".to_owned(), RuleState::Bucket(0))]))
}
