//! The same schedule as lines of a crontab.

use crate::domain::words::quoted;
use std::path::Path;

use super::Chore;
use super::units::{Layout, tellable};

/// What a chore is to cron: when, and which commands.
const LINES: [(Chore, &str, &[&str]); 4] = [
    (Chore::Backfill, "0 * * * *", &["backfill --trigger cron"]),
    (Chore::Enrich, "30 1 * * *", &["enrich --wait 2h --trigger cron"]),
    (Chore::Alerts, "*/15 * * * *", &["alerts --notify"]),
    (Chore::Maintenance, "30 3 * * 0", &["db backup --keep 4", "db check", "db prune"]),
];

/// The lines of a crontab that do what the units do, for `crontab -e` of whoever owns the database.
///
/// # Errors
///
/// A sentence, when a path holds what cron cannot be told.
pub fn crontab(layout: &Layout) -> Result<String, String> {
    for path in [&layout.program, &layout.config].into_iter().chain(&layout.database) {
        tellable(path)?;
    }
    let mut text = String::from(
        "# Written by `mdctl units print --cron`: for `crontab -e` of the user who owns the database.\n\
         # A cron that knows no CRON_TZ, such as Debian's, takes these times for the machine's own.\n\
         CRON_TZ=UTC\n\
         # What is not as it should be is told by the alerts; cron mails errors only. 4, 75 and 143 are none.\n",
    );
    for (chore, when, commands) in LINES {
        let calls: Vec<String> = commands.iter().map(|it| call(layout, it)).collect();
        let calls = calls.join(" && ");
        let told = match chore {
            Chore::Alerts => String::new(),
            _ => format!(
                "; case $? in 0|4|75|143) ;; *) {} ;; esac",
                call(layout, "alerts --notify")
            ),
        };
        text.push_str(&format!("{when} {calls}{told}\n"));
    }
    Ok(text)
}

/// A call of the program that says nothing but errors.
fn call(layout: &Layout, command: &str) -> String {
    let database = layout.database.as_deref();
    let database = database.map_or_else(String::new, |it| format!(" --db {}", word(it)));
    let (program, config) = (word(&layout.program), word(&layout.config));
    format!("{program} --quiet --config {config}{database} {command} >/dev/null")
}

/// One word for the shell; a percent sign would end cron's line.
fn word(path: &Path) -> String {
    quoted(path).replace('%', "\\%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crontab_has_a_line_a_chore() {
        let text = crontab(&Layout::usual()).expect("lines");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with(['#', 'C'])).collect();
        assert_eq!(lines.len(), Chore::ALL.len());
        assert!(lines[0].starts_with(
            "0 * * * * /usr/bin/mdctl --quiet --config /etc/mdctl/mdctl.toml backfill --trigger cron >/dev/null; "
        ));
    }

    #[test]
    fn odd_paths_are_quoted_for_the_shell_and_for_cron() {
        let config = "/srv/50% $HOME `x`/mdctl.toml";
        let layout = Layout { config: config.into(), ..Layout::usual() };
        let text = crontab(&layout).expect("lines");
        assert!(text.contains("--config '/srv/50\\% $HOME `x`/mdctl.toml' backfill"), "{text}");
        let odd = Layout { config: "/srv/it's\n* * * * * x".into(), ..Layout::usual() };
        assert!(crontab(&odd).is_err());
    }
}
