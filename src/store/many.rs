//! Many rows in few statements: about half the work of one at a time.

use rusqlite::{Connection, Statement};

use super::StoreResult;

/// Rows a statement.
const ROWS: usize = 50;

/// Runs `head`, of which `VALUES` is the end, with `rows` of so many columns behind it and `tail` after
/// them. `bind` is told behind which parameter those of its row begin.
pub(super) fn write_many<T>(
    connection: &Connection,
    (head, columns, tail): (&str, usize, &str),
    rows: &[T],
    bind: impl Fn(&mut Statement<'_>, usize, &T) -> rusqlite::Result<()>,
) -> StoreResult<()> {
    let many = rows.chunks_exact(ROWS);
    write(connection, (head, columns, tail), many.clone(), ROWS, &bind)?;
    write(connection, (head, columns, tail), many.remainder().chunks(1), 1, &bind)
}

fn write<'rows, T: 'rows>(
    connection: &Connection,
    (head, columns, tail): (&str, usize, &str),
    chunks: impl ExactSizeIterator<Item = &'rows [T]>,
    length: usize,
    bind: &impl Fn(&mut Statement<'_>, usize, &T) -> rusqlite::Result<()>,
) -> StoreResult<()> {
    if chunks.len() == 0 {
        return Ok(());
    }
    let row = format!("({})", vec!["?"; columns].join(","));
    let sql = format!("{head} {} {tail}", vec![row; length].join(","));
    let mut statement = connection.prepare_cached(&sql)?;
    for chunk in chunks {
        for (index, row) in chunk.iter().enumerate() {
            bind(&mut statement, index * columns, row)?;
        }
        statement.raw_execute()?;
    }
    Ok(())
}
