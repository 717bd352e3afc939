//! The `sqlite3` shell as a whole process: what it takes to ask the same database without a program of
//! one's own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The shell, which is there.
pub(crate) struct Shell(());

impl Shell {
    /// Looks for it, and says so loudly where it is missing: then there is no floor, and no promise is
    /// held against anything.
    pub(crate) fn find() -> Option<Self> {
        let asked = Command::new("sqlite3").arg("--version").output();
        match asked.ok().filter(|answer| answer.status.success()) {
            Some(answer) => {
                let version = String::from_utf8_lossy(&answer.stdout);
                let version = version.split_whitespace().next().unwrap_or("of no version");
                println!("the floor is the sqlite3 shell, {version}");
                Some(Self(()))
            }
            None => {
                println!("NO FLOOR: there is no `sqlite3` shell here; apt-get install sqlite3");
                None
            }
        }
    }

    /// How long it takes to say its version.
    pub(crate) fn version(&self) -> Duration {
        timed(Command::new("sqlite3").arg("--version"))
    }

    /// How long it takes to open a database and to answer `sql`; with `json` in that form.
    pub(crate) fn ask(&self, database: &Path, sql: &str, json: bool) -> Duration {
        let mut command = Command::new("sqlite3");
        command.args(["-batch", "-bail", "-readonly"]).args(json.then_some("-json"));
        timed(command.arg(database).arg(sql))
    }
}

fn timed(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("the shell runs");
    let wall = started.elapsed();
    assert!(status.success(), "the shell could not do {command:?}");
    wall
}
