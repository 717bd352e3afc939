//! Where a system install keeps what it has.

/// The config.
pub const CONFIG: &str = "/etc/mdctl";

/// The database and its backups.
pub const STATE: &str = "/var/lib/mdctl";

/// The log files.
pub const LOGS: &str = "/var/log/mdctl";
