//! A program that is told: our own message on its stdin, its exit status as the answer.

use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Message, Origin, clipped, no_thread};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long its last words are waited for once it has ended: something that it started may hold on to
/// its stderr.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Bytes of its stderr that are read, and characters that are shown.
const MOST_READ: u64 = 4_096;
const MOST_SHOWN: usize = 200;

/// Starts the program in the config's folder, without a shell and without the variables that hold secrets,
/// and waits for it. It is killed, with all that it started, when it takes too long.
pub(super) fn run(command: &[String], message: &Message, origin: &Origin) -> Result<(), String> {
    let [program, arguments @ ..] = command else { return Err("no program is named".to_owned()) };
    let mut told = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    told.push(b'\n');
    let mut starting = Command::new(program);
    for name in &origin.secrets {
        starting.env_remove(name);
    }
    let mut child = starting
        .args(arguments)
        .current_dir(&origin.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    let group = Pid::from_child(&child);
    if let Some(mut stdin) = child.stdin.take() {
        // A program may end, well, without having read all of it, or never read at all.
        spawn(move || drop(stdin.write_all(&told)))?;
    }
    let (words, last_words) = mpsc::channel();
    if let Some(stderr) = child.stderr.take() {
        spawn(move || {
            let mut stderr = stderr;
            let mut said = Vec::new();
            let _ = stderr.by_ref().take(MOST_READ).read_to_end(&mut said);
            let _ = words.send(said);
            // What is more is let go, so that it does not wait to be read.
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        })?;
    }
    let (end, ended) = mpsc::channel();
    spawn(move || drop(end.send(child.wait())))?;
    let status = match ended.recv_timeout(PATIENCE) {
        Ok(status) => status.map_err(|error| format!("cannot wait for {program}: {error}"))?,
        Err(_) => {
            let _ = kill_process_group(group, Signal::KILL);
            return Err(format!(
                "{program} took longer than {} s and was killed",
                PATIENCE.as_secs()
            ));
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = last_words.recv_timeout(LAST_WORDS).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = if line.is_empty() { String::new() } else { format!(": {line}") };
    Err(clipped(&format!("{program} {}{line}", how(status)), MOST_SHOWN))
}

/// Does `work` on the side.
fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    thread::Builder::new().spawn(work).map(drop).map_err(|error| no_thread(&error))
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}
