//! Programs of others that judge what this one makes. Where one is not installed, a test says loudly that it
//! did not look; in CI, where all are to be, it fails.

use std::io::Write as _;
use std::thread;

/// Whether `program`, of Debian's `package`, is installed.
#[expect(clippy::disallowed_methods, reason = "a test's own environment says what it can look at")]
pub(crate) fn is_there(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return true;
    }
    let message = format!("there is no {program}; apt-get install {package}");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{message}");
    // Past the capture of the test harness.
    let mut err = std::io::stderr().lock();
    let _ =
        writeln!(err, "\n*** SKIPPED: {:?} checks less: {message} ***", thread::current().name());
    false
}
