//! What is free in the file goes back to the disk. A file that this program made does so in steps, while
//! others read and write; an older one has to be written anew once.

use rusqlite::Connection;

use crate::domain::database::{Room, Vacuum};
use crate::domain::place::folder_of;

use super::{Store, StoreResult, count};

/// Pages given back in one transaction: 8 MiB of the usual size.
const STEP: u32 = 2_000;

/// Makes a file with nothing in it one that can give back what is free. Of another it changes nothing.
pub(super) fn prepare(connection: &Connection) -> StoreResult<()> {
    // Only before the first page is written.
    Ok(connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?)
}

/// How much of the file is used, and how much free; of one instant.
pub(super) fn room(connection: &Connection) -> StoreResult<Room> {
    let sql = "SELECT page_size, page_count, freelist_count, auto_vacuum
                 FROM pragma_page_size, pragma_page_count, pragma_freelist_count, pragma_auto_vacuum";
    Ok(connection.query_row(sql, [], |row| {
        let page = row.get(0).map(count)?;
        Ok(Room {
            bytes: page * row.get(1).map(count)?,
            free_bytes: page * row.get(2).map(count)?,
            vacuum: match row.get::<_, i64>(3)? {
                0 => Vacuum::None,
                1 => Vacuum::Full,
                _ => Vacuum::Incremental,
            },
        })
    })?)
}

impl Store {
    /// How much of the file is used, and how much free.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn room(&self) -> StoreResult<Room> {
        self.read(room)
    }

    /// Gives back some of what is free; tells whether something is left.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn vacuum_step(&mut self) -> StoreResult<bool> {
        let left = self.read(|connection| {
            let mut statement =
                connection.prepare(&format!("PRAGMA incremental_vacuum({STEP})"))?;
            // A page a row.
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))?)
        })?;
        self.log_tame().map_err(|error| error.at(&self.path))?;
        Ok(left > 0)
    }

    /// Writes the whole file anew, as one that can give back what is free. Takes as much room as what is in
    /// it twice, on the disk of the database.
    ///
    /// # Errors
    ///
    /// When the database cannot be written; then it is what it was.
    pub fn vacuum_whole(&mut self) -> StoreResult<()> {
        self.read(|connection| {
            // By now the copy would be made in memory.
            connection
                .execute_batch("PRAGMA temp_store = FILE; PRAGMA auto_vacuum = INCREMENTAL;")?;
            let folder = folder_of(&self.path).display().to_string();
            // Deprecated by a word, and the one way to say where: the usual place may be a small disk.
            let _ = connection.pragma_update(None, "temp_store_directory", &folder);
            let vacuumed = connection.execute_batch("VACUUM");
            let _ = connection.pragma_update(None, "temp_store_directory", "");
            connection.execute_batch("PRAGMA temp_store = MEMORY")?;
            Ok(vacuumed?)
        })?;
        self.checkpoint()
    }
}
