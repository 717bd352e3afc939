//! The program as a whole process: how long it takes, and how much memory at most.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How often memory is looked at. The kernel keeps the peak: only growth within the last such stretch
/// can be missed.
const LOOK: Duration = Duration::from_millis(2);

/// A process that has ended.
pub(crate) struct Finished {
    pub(crate) wall: Duration,
    /// Processor time, of all its threads, where it was looked at.
    pub(crate) cpu: Duration,
    /// Resident memory at its highest, where it was looked at.
    pub(crate) peak_mb: f64,
    pub(crate) code: Option<i32>,
}

/// The program, copied as an installation copies it. What the linker has just written lies in memory in small
/// pieces, as no program does that was installed or read from the disk: to start it costs half a millisecond
/// more.
pub(crate) static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let installed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed-mdctl");
    // One that still runs keeps its own.
    let _ = fs::remove_file(&installed);
    fs::copy(env!("CARGO_BIN_EXE_mdctl"), &installed).expect("a copy of the program");
    installed
});

/// Runs the program in `folder`, which holds its config.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Finished {
    run_where(folder, arguments, &[])
}

/// Likewise, where the environment says so.
pub(crate) fn run_where(
    folder: &Path,
    arguments: &[&str],
    variables: &[(&str, PathBuf)],
) -> Finished {
    let mut command = command(folder, arguments);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let started = Instant::now();
    let status = command.status().expect("the program runs");
    let wall = started.elapsed();
    Finished { wall, cpu: Duration::ZERO, peak_mb: f64::NAN, code: status.code() }
}

/// Likewise, with an eye on its memory.
pub(crate) fn run_watched(folder: &Path, arguments: &[&str]) -> Finished {
    let started = Instant::now();
    let mut child = command(folder, arguments).spawn().expect("the program runs");
    let (ended, end) = mpsc::channel::<()>();
    let status_file = format!("/proc/{}/status", child.id());
    let watching = thread::spawn(move || {
        let mut peak = 0.0_f64;
        while end.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
            peak = peak.max(peak_of(&status_file).unwrap_or(0.0));
        }
        peak
    });
    let wall = ended_at(&child).map_or_else(|| started.elapsed(), |at| at - started);
    let cpu = cpu_of(child.id()).unwrap_or_default();
    let status = child.wait().expect("the program ends");
    drop(ended);
    let peak_mb = watching.join().expect("the watch ends");
    Finished { wall, cpu, peak_mb, code: status.code() }
}

/// Waits for the end of a process, which stays to be looked at.
fn ended_at(child: &Child) -> Option<Instant> {
    let id = WaitId::Pid(Pid::from_child(child));
    waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok()?;
    Some(Instant::now())
}

/// The processor time that a process has taken, in steps of 10 ms: Linux counts in hundredths of a second.
fn cpu_of(process: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: its state, ten numbers, its own time, the system's.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

impl Finished {
    /// Complains when it did not end as it should: then its figures mean nothing.
    pub(crate) fn expect(self, code: i32, folder: &Path) -> Self {
        if self.code != Some(code) {
            let said = fs::read_to_string(folder.join("stderr")).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            println!("  NO FIGURE: ended with {:?}, not {code}: {last:?}", self.code);
        }
        self
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let stderr = File::create(folder.join("stderr")).expect("a file");
    let mut command = Command::new(PROGRAM.as_path());
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("MDCTL_CONFIG")
        .env_remove("MDCTL_DB")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    command
}

/// The peak of resident memory, in millions of bytes.
fn peak_of(status_file: &str) -> Option<f64> {
    let text = fs::read_to_string(status_file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
