//! Every environment variable that mdctl reads, and the only place that reads them.
//!
//! The names of variables that hold keys come from the config (`api_key = { env = "..." }`). Libraries read
//! a few of their own: proxies, and for traces OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_COMPRESSION.

use std::env;
use std::path::PathBuf;

/// The config file, when no `--config` is given.
pub const CONFIG: &str = "MDCTL_CONFIG";
/// The database, over the config's, when no `--db` is given.
pub const DATABASE: &str = "MDCTL_DB";
/// Set to anything: no colours.
pub const NO_COLOR: &str = "NO_COLOR";
/// Set by systemd for everything it starts: runs are then triggered by `systemd`.
const INVOCATION_ID: &str = "INVOCATION_ID";
/// Set by systemd where output goes to its journal: the device and the inode of that stream.
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";
/// Set by systemd: the folder of a unit's credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// The user's config folder; else `.config` in `HOME`.
const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
const HOME: &str = "HOME";
/// Where programs are.
const PATH: &str = "PATH";
/// The user's runtime folder, while they are logged in or linger.
const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// Where a test wants the program to panic; read in builds for tests only.
#[cfg(debug_assertions)]
const PANIC: &str = "MDCTL_TEST_PANIC";
/// What libraries read that may hold a secret: how the collector of traces is let in.
pub(super) const SECRETS_OF_LIBRARIES: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"];
/// Who called: set by sudo, by the login, and by older systems' login.
const CALLERS: [&str; 3] = ["SUDO_USER", "USER", "LOGNAME"];

/// Where the user's own systemd, and others, are spoken to.
const DBUS_SESSION_BUS_ADDRESS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// The value of a variable, when it is set, not empty, and text.
#[must_use]
pub fn value(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Keeps what this process holds to itself, keys and this environment among it: no core file is made of it,
/// whatever is allowed to be, and other processes of the same user can neither read its memory and
/// environment nor trace it. Those that it starts are as usual again.
pub fn keep_to_itself() {
    // A system that knows no such thing has to do without.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Whether systemd started this process as a unit.
#[must_use]
pub fn under_systemd() -> bool {
    value(INVOCATION_ID).is_some()
}

/// Whether what is written to stderr goes to systemd's journal. A redirected stderr does not, whatever the
/// variable that is handed on says.
#[must_use]
pub fn stderr_is_journal() -> bool {
    let stream = value(JOURNAL_STREAM);
    let Ok(stderr) = rustix::fs::fstat(std::io::stderr()) else { return false };
    stream.is_some_and(|stream| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// Panics at a place where a test wants that; nothing of it is in a release.
#[cfg(debug_assertions)]
pub fn panic_if_rehearsed(place: &str) {
    assert!(value(PANIC).as_deref() != Some(place), "a panic was rehearsed: {place}");
}

/// Nothing is rehearsed in a release.
#[cfg(not(debug_assertions))]
pub const fn panic_if_rehearsed(_place: &str) {}

/// Where systemd puts the credentials of this unit.
#[must_use]
pub fn credentials_folder() -> Option<PathBuf> {
    value(CREDENTIALS_DIRECTORY).map(PathBuf::from)
}

/// The user's config folder.
#[must_use]
pub fn user_config_folder() -> Option<PathBuf> {
    value(XDG_CONFIG_HOME)
        .map(PathBuf::from)
        .or_else(|| value(HOME).map(|home| PathBuf::from(home).join(".config")))
}

/// Where programs are looked for by their names.
#[must_use]
pub fn program_folders() -> Vec<PathBuf> {
    value(PATH).map_or_else(Vec::new, |path| env::split_paths(&path).collect())
}

/// The user's runtime folder.
#[must_use]
pub fn runtime_folder() -> Option<PathBuf> {
    value(XDG_RUNTIME_DIR).map(PathBuf::from)
}

/// What systemd's programs need of this environment to find their manager; keys are none of it.
#[must_use]
pub fn to_reach_systemd() -> Vec<(&'static str, String)> {
    let names = [PATH, HOME, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS];
    names.into_iter().filter_map(|name| Some((name, value(name)?))).collect()
}

/// Whether root calls, who may do everything.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The number of the user who calls, as far as rights go.
#[must_use]
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Who calls, for the audit log: the name of the one who logged in, else the number of the user.
///
/// It tells colleagues whom to ask and proves nothing: these variables are the caller's own.
#[must_use]
pub fn who() -> String {
    CALLERS
        .into_iter()
        .filter_map(value)
        .find(|name| !name.chars().any(char::is_control))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
