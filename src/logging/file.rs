//! The rolling file: a file a day beside the path that the config names, `NAME.DATE`, so many of them.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use chrono::NaiveDate;
use tracing_appender::rolling::{RollingFileAppender, Rotation};

use crate::domain::place::folder_of;
use crate::file;

/// Why there is no file.
pub(super) struct Trouble {
    pub(super) error: String,
    /// Whether it is another user's to write.
    pub(super) denied: bool,
}

impl Trouble {
    fn new(path: &Path, error: &dyn Error, kind: Option<ErrorKind>) -> Self {
        let denied = kind == Some(ErrorKind::PermissionDenied);
        Self { error: format!("{}: {error}", path.display()), denied }
    }
}

/// Opens today's file, its folder made first, and removes those of days that are not to be kept.
pub(super) fn rolling(path: &Path, keep: usize) -> Result<RollingFileAppender, Trouble> {
    let folder = folder_of(path);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("mdctl.log");
    fs::create_dir_all(folder).map_err(|error| Trouble::new(folder, &error, Some(error.kind())))?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name)
        .build(folder)
        .map_err(|error| {
            let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
            Trouble::new(path, &error, cause.map(io::Error::kind))
        })?;
    hand_over(folder, name);
    prune(folder, name, keep.max(1));
    Ok(appender)
}

/// What root begins in somebody's folder is theirs, who could not go on with it otherwise.
fn hand_over(folder: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|file| day_of(file, name).is_some()) {
            // Of another's file nobody but root says whose it is.
            let _ = file::hand_over_at(&entry.path());
        }
    }
}

/// Removes the oldest files beyond `keep`.
///
/// The appender has such a limit too, but takes whatever begins with the name for its own: the database,
/// of a log that is called like it.
fn prune(folder: &Path, name: &str, keep: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut days: Vec<NaiveDate> =
        entries.filter_map(|entry| day_of(entry.ok()?.file_name().to_str()?, name)).collect();
    days.sort_unstable();
    let old = days.len().saturating_sub(keep);
    for day in &days[..old] {
        // One that stays is in nobody's way; the next call tries again.
        let _ = fs::remove_file(folder.join(format!("{name}.{day}")));
    }
}

/// The day of a file, if it is one of `name`.
fn day_of(file: &str, name: &str) -> Option<NaiveDate> {
    let date = file.strip_prefix(name)?.strip_prefix('.')?;
    let day: NaiveDate = date.parse().ok()?;
    (day.to_string() == date).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_days_are_its_own() {
        let day = NaiveDate::from_ymd_opt(2024, 3, 5);
        assert_eq!(day_of("mdctl.log.2024-03-05", "mdctl.log"), day);
        for other in ["mdctl.log", "mdctl.log.1", "mdctl.log.2024-3-5", "mdctl.db", "x.2024-03-05"]
        {
            assert_eq!(day_of(other, "mdctl.log"), None, "{other}");
        }
        assert_eq!(day_of("mdctl.db", "mdctl"), None);
        assert_eq!(day_of("mdctl.log.2024-03-05", "mdctl"), None);
    }
}
