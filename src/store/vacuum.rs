//! What is free in the file goes back to the disk. A file that this program made does so in steps, while
//! others read and write; an older one has to be written anew once.

use rusqlite::Connection;

use crate::domain::database::Vacuum;

use super::{Store, StoreResult, count, info};

/// Pages given back in one transaction: 8 MiB of the usual size.
const STEP: u32 = 2_000;

/// How much of the file is free, and whether it can be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the file.
    pub bytes: u64,
    /// Those of them that are free.
    pub free_bytes: u64,
    /// How they are given back.
    pub vacuum: Vacuum,
}

/// Makes a file with nothing in it one that can give back what is free. Of another it changes nothing.
pub(super) fn prepare(connection: &Connection) -> StoreResult<()> {
    // Only before the first page is written.
    Ok(connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?)
}

impl Store {
    /// How much of the file is free.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn room(&self) -> StoreResult<Room> {
        self.read(|connection| {
            let pragma =
                |name| connection.pragma_query_value(None, name, |row| row.get(0).map(count));
            let page = pragma("page_size")?;
            Ok(Room {
                bytes: page * pragma("page_count")?,
                free_bytes: page * pragma("freelist_count")?,
                vacuum: info::vacuum(connection)?,
            })
        })
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
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.map_or(".".into(), |folder| folder.display().to_string());
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
