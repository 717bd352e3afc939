//! Long work of SQLite that is broken off when somebody says so: a check of the whole file hears nothing by
//! itself, and takes minutes where the file is large.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::{StoreError, StoreResult};

/// How often is asked whether it is over.
const EVERY: Duration = Duration::from_millis(50);

/// Does `work` on `connection`, unless `is_over` says meanwhile that it is to end; then `None`. Where the system
/// has no thread for who asks, it is done to its end.
pub(super) fn unless<T>(
    connection: &Connection,
    is_over: &(dyn Fn() -> bool + Sync),
    work: impl FnOnce() -> StoreResult<T>,
) -> StoreResult<Option<T>> {
    let handle = connection.get_interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let _ = thread::Builder::new().spawn_scoped(scope, move || {
            while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                // Again and again: one that comes between two statements is heard by neither.
                if is_over() {
                    handle.interrupt();
                }
            }
        });
        let worked = work();
        drop(done);
        match worked {
            Err(error) if is_interrupted(&error) => Ok(None),
            worked => worked.map(Some),
        }
    })
}

fn is_interrupted(error: &StoreError) -> bool {
    matches!(error, StoreError::Sqlite { error, .. }
        if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than anybody has time for.
    const ENDLESS: &str =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

    fn number(connection: &Connection, sql: &str) -> StoreResult<i64> {
        Ok(connection.query_row(sql, [], |row| row.get(0))?)
    }

    #[test]
    fn what_would_never_end_ends_when_it_is_over() {
        let connection = Connection::open_in_memory().expect("a database");
        let ended = unless(&connection, &|| true, || number(&connection, ENDLESS));
        assert_eq!(ended.expect("it is no error"), None);
    }

    #[test]
    fn what_is_done_is_told_and_other_errors_stay_what_they_are() {
        let connection = Connection::open_in_memory().expect("a database");
        let done = unless(&connection, &|| false, || number(&connection, "SELECT 1"));
        assert_eq!(done.expect("a number"), Some(1));
        assert!(unless(&connection, &|| true, || number(&connection, "SELECT x")).is_err());
    }
}
