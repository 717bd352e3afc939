//! When a timer elapses, in systemd's own words (`man systemd.time`, "calendar events").

use std::time::Duration;

use super::ask::ask;

/// How long systemd may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Holds an expression against systemd's own reading of it. Where systemd is not there, nobody can say.
///
/// # Errors
///
/// What systemd says is wrong.
pub fn check(expression: &str) -> Result<(), String> {
    // It stands on a line of its own in a unit.
    if expression.trim().is_empty() || expression.chars().any(char::is_control) {
        return Err("it is empty, or not one line".to_owned());
    }
    match ask("systemd-analyze", &["calendar", "--", expression], PATIENCE) {
        Some(answer) if !answer.success => {
            let line = answer.stderr.lines().map(str::trim).find(|line| !line.is_empty());
            Err(line.unwrap_or("systemd cannot read it").to_owned())
        }
        _ => Ok(()),
    }
}
