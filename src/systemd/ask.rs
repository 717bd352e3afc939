//! Asking systemd's programs: without a shell, and never for long.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process};

use crate::config::env;

/// What a program said.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether it ended well.
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Starts `program` and waits for its end; `None` when it is not there, or takes longer than `patience`
/// and is killed. It asks nothing back, tells times in UTC, and gets none of the keys in this environment.
pub(super) fn ask(program: &str, arguments: &[&str], patience: Duration) -> Option<Answer> {
    let child = Command::new(found(program).unwrap_or_else(|| program.into()))
        .arg0(program)
        .args(arguments)
        .env_clear()
        .envs(env::to_reach_systemd())
        .envs([("TZ", "UTC"), ("LC_ALL", "C"), ("SYSTEMD_COLORS", "0"), ("SYSTEMD_PAGER", "")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let pid = Pid::from_child(&child);
    let (end, ended) = mpsc::channel();
    let wait = move || drop(end.send(child.wait_with_output()));
    thread::Builder::new().spawn(wait).ok()?;
    let Ok(output) = ended.recv_timeout(patience) else {
        let _ = kill_process(pid, Signal::KILL);
        return None;
    };
    let output = output.ok()?;
    Some(Answer {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Where the program of that name is. It is started at once then; where the standard library looks for it in
/// another environment than this one's, it copies this process first.
fn found(program: &str) -> Option<PathBuf> {
    let mut paths = env::program_folders().into_iter().map(|folder| folder.join(program));
    paths.find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_and_how_it_ends_is_told() {
        let asked = |words: &str| ask("sh", &["-c", words], Duration::from_secs(60));
        let answer = asked("echo out; echo err >&2; exit 3").expect("an answer");
        assert_eq!((answer.success, answer.stdout.as_str()), (false, "out\n"));
        assert_eq!(answer.stderr, "err\n");
        assert_eq!(asked("echo $TZ").expect("an answer").stdout, "UTC\n");
        // Cargo's variables are in this process's environment, and no business of systemd's.
        let kept = asked("env | grep -c ^CARGO_").expect("an answer");
        assert_eq!(kept.stdout, "0\n");
    }

    #[test]
    fn one_that_is_not_there_or_does_not_end_says_nothing() {
        let short = Duration::from_millis(20);
        assert!(ask("no-such-program-4711", &[], short).is_none());
        assert!(ask("sh", &["-c", "exec cat /dev/zero >/dev/null"], short).is_none());
    }
}
