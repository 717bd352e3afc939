//! Where files are: those of a system install and whose they are, and the folder of any.

use std::path::{Path, PathBuf};

/// The folder of the config.
pub const CONFIG: &str = "/etc/mdctl";

/// The config.
pub const CONFIG_FILE: &str = "/etc/mdctl/mdctl.toml";

/// The database and its backups.
pub const STATE: &str = "/var/lib/mdctl";

/// The log files.
pub const LOGS: &str = "/var/log/mdctl";

/// The user that the units work as.
pub const USER: &str = "mdctl";

/// Its group, whose members read config and database.
pub const GROUP: &str = "mdctl";

/// The folder of the keys, beside a config in `folder`: `{ credential = "..." }` names a file in it.
#[must_use]
pub fn credentials(folder: &Path) -> PathBuf {
    folder.join("credentials")
}

/// The folder in which a file stands.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
