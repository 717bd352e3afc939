//! The database of a system install is its group's to read, at any time, and whatever root does there stays
//! its owner's. Only root can be several users; without it this does not look, and says so.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::market::Market;
use crate::support::server::{Answer, Server};
use crate::support::{AS_OF, DAILY, Sandbox, daily_sessions, group, polygon, wait_until};

/// The owner of the database, its group, a member of it, and somebody else.
const OWNER: u32 = 4711;
const GROUP: u32 = 4712;
const MEMBER: u32 = 4713;
const STRANGER: u32 = 4714;

fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "\n*** SKIPPED: {test}: only root can be several users ***");
    }
    is_root
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the file is there").permissions().mode() & 0o777
}

fn owner(path: &Path) -> (u32, u32) {
    let held = fs::metadata(path).expect("the file is there");
    (held.uid(), held.gid())
}

/// A database in a folder of `OWNER` that its group may enter, of two pages of bars of `AAA`; the provider
/// hangs on the request number `after` and all later ones.
fn install(after: usize) -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(3);
    let answered = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let index = answered.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if index < after { market.polygon(request) } else { Answer::Hang }
    });
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY)));
    let folder = sandbox.path("");
    chown(&folder, Some(OWNER), Some(GROUP)).expect("its owner");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).expect("its mode");
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    assert_eq!(mode(&sandbox.path("mdctl.db")), 0o600, "it is no system install");
    let readable = fs::Permissions::from_mode(0o640);
    fs::set_permissions(sandbox.path("mdctl.db"), readable).expect("its mode");
    (server, sandbox)
}

/// How many bars the sqlite3 shell finds as that user; `None` when it may not look.
fn bars_as(user: u32, group: u32, sandbox: &Sandbox) -> Option<usize> {
    let output = Command::new("setpriv")
        .args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"])
        .arg("sqlite3")
        .arg(sandbox.path("mdctl.db"))
        .arg("SELECT count(*) FROM candles")
        .current_dir("/")
        .output()
        .expect("setpriv starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("failed to execute"), "apt-get install sqlite3: {said}");
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

#[test]
fn a_member_of_the_group_reads_between_runs_and_a_stranger_never() {
    if !is_root("a member of the group reads between runs") {
        return;
    }
    let (_server, sandbox) = install(usize::MAX);
    for _ in 0..2 {
        sandbox.backfill(&[]).expect_code(0);
        let log = sandbox.path("mdctl.db-wal");
        assert_eq!(fs::metadata(&log).expect("the log stays").len(), 0, "and is empty");
        for ending in ["", "-wal", "-shm", ".lock"] {
            let path = sandbox.path(&format!("mdctl.db{ending}"));
            assert_eq!(owner(&path), (OWNER, GROUP), "{ending}: root gave it away");
        }
        for ending in ["", "-wal", "-shm"] {
            assert_eq!(mode(&sandbox.path(&format!("mdctl.db{ending}"))), 0o640, "{ending}");
        }
        let all = Some(daily_sessions().len());
        assert_eq!(bars_as(MEMBER, GROUP, &sandbox), all);
        assert_eq!(bars_as(STRANGER, STRANGER, &sandbox), None);
        // Who may write does not take the log away either.
        sandbox.mdctl(&["health"]);
        assert_eq!(bars_as(MEMBER, GROUP, &sandbox), all);
    }
}

#[test]
fn a_member_of_the_group_reads_during_a_run() {
    if !is_root("a member of the group reads during a run") {
        return;
    }
    let (server, sandbox) = install(2);
    let run = sandbox.start(&["backfill", "--as-of", AS_OF]);
    wait_until(|| server.requests().len() == 3);
    wait_until(|| bars_as(MEMBER, GROUP, &sandbox) == Some(6));
    assert_eq!(bars_as(STRANGER, STRANGER, &sandbox), None);
    run.kill();
    assert_eq!(bars_as(MEMBER, GROUP, &sandbox), Some(6), "nor does a crash shut it");
}

#[test]
fn reports_of_a_member_see_the_lock() {
    if !is_root("reports of a member see the lock") {
        return;
    }
    let (server, sandbox) = install(2);
    // The one that made the database made the lock beside it while it was not there.
    fs::remove_file(sandbox.path("mdctl.db.lock")).expect("the lock");
    let run = sandbox.start(&["backfill", "--as-of", AS_OF]);
    wait_until(|| server.requests().len() == 3);
    assert_eq!(mode(&sandbox.path("mdctl.db.lock")), 0o640);
    run.kill();
    let flock = Command::new("setpriv")
        .args(["--reuid=4713", "--regid=4712", "--clear-groups", "flock", "--shared", "--nonblock"])
        .arg(sandbox.path("mdctl.db.lock"))
        .args(["true"])
        .status();
    assert!(flock.expect("it starts").success(), "a member can tell that the run has crashed");
}

#[test]
fn what_root_did_by_hand_does_not_stop_the_owner() {
    if !is_root("what root did by hand does not stop the owner") {
        return;
    }
    let (_server, sandbox) = install(usize::MAX);
    fs::remove_file(sandbox.path("mdctl.db")).expect("there is none yet");
    let log = "\n[log]\nfile = \"mdctl.log\"\n";
    sandbox.write("mdctl.toml", sandbox.read("mdctl.toml") + log);
    chown(sandbox.path("mdctl.toml"), Some(0), Some(GROUP)).expect("its owner");
    fs::set_permissions(sandbox.path("mdctl.toml"), fs::Permissions::from_mode(0o640))
        .expect("mode");
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["alerts", "--notify"]);
    sandbox.mdctl(&["db", "backup"]).expect_code(0);
    sandbox.mdctl(&["symbols", "add", "BBB"]).expect_code(0);
    assert_eq!(owner(&sandbox.path("mdctl.toml")), (0, GROUP), "an edit keeps the config's group");
    let entries = |name| fs::read_dir(sandbox.path(name)).expect("the folder");
    let paths = entries("").chain(entries("backups")).map(|entry| entry.expect("an entry").path());
    for path in paths {
        if !path.ends_with("mdctl.toml") && !path.ends_with("home") {
            assert_eq!(owner(&path), (OWNER, GROUP), "{}", path.display());
        }
    }
    // Where the binary can be reached by others, its owner goes on.
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={OWNER}"), &format!("--regid={GROUP}"), "--clear-groups"]);
    command.arg(env!("CARGO_BIN_EXE_mdctl")).args(["backfill", "--as-of", AS_OF, "AAA"]);
    command.current_dir(sandbox.path("")).env_clear().env("KEY", crate::support::KEY);
    let output = sandbox.finish(&mut command);
    if !output.stderr.contains("failed to execute") {
        output.expect_code(0);
    }
}

#[test]
fn who_may_not_write_is_told_whom_to_be() {
    if !is_root("who may not write is told whom to be") {
        return;
    }
    let (_server, sandbox) = install(usize::MAX);
    sandbox.backfill(&[]).expect_code(0);
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={MEMBER}"), &format!("--regid={GROUP}"), "--clear-groups"]);
    command.arg(env!("CARGO_BIN_EXE_mdctl")).args(["backfill", "--as-of", AS_OF]);
    let output = sandbox.finish(command.current_dir(sandbox.path("")).env_clear());
    if !output.stderr.contains("failed to execute") {
        output.expect_code(74).expect_stderr("ls -l ").expect_stderr("as root");
    }
}

#[test]
fn who_only_looks_is_not_told_of_a_log_that_is_not_theirs() {
    if !is_root("who only looks is not told of a log") {
        return;
    }
    let (_server, sandbox) = install(usize::MAX);
    let log = "\n[log]\nfile = \"mdctl.log\"\n";
    sandbox.write("mdctl.toml", sandbox.read("mdctl.toml") + log);
    sandbox.backfill(&[]).expect_code(0);
    let call = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={MEMBER}"), &format!("--regid={GROUP}"), "--clear-groups"]);
        command.arg(env!("CARGO_BIN_EXE_mdctl")).args(arguments);
        sandbox.finish(command.current_dir(sandbox.path("")).env_clear())
    };
    let look = call(&["status"]);
    if look.stderr.contains("failed to execute") {
        return;
    }
    look.expect_code(0).expect_stdout("last run: backfill");
    assert_eq!(look.stderr, "");
    call(&["backfill"]).expect_code(74).expect_stderr("the log file cannot be written");
}

/// In a mount namespace of its own, the system's folder is nobody else's.
#[test]
fn the_systems_database_is_made_for_its_group_whatever_the_umask() {
    if !is_root("the system's database is made for its group") {
        return;
    }
    let script = "mount -t tmpfs none /var/lib && mkdir -m 750 /var/lib/mdctl && \
                  chown 4711:4712 /var/lib/mdctl && umask 077 && \
                  \"$0\" --config mdctl.toml --db /var/lib/mdctl/mdctl.db db migrate >/dev/null && \
                  stat -c '%a %u %g %n' /var/lib/mdctl/*";
    let sandbox = Sandbox::with("");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_mdctl")]);
    let output = sandbox.finish(command.current_dir(sandbox.path("")));
    if output.stderr.contains("ermi") {
        let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: no namespace: {} ***", output.stderr);
        return;
    }
    output.expect_code(0);
    let files: Vec<&str> = output.stdout.lines().collect();
    let path = |ending| format!("640 4711 4712 /var/lib/mdctl/mdctl.db{ending}");
    assert_eq!(files, [path(""), path("-shm"), path("-wal"), path(".lock")]);
}

#[test]
fn root_follows_no_link_that_the_folders_owner_put_there() {
    if !is_root("root follows no link of others") {
        return;
    }
    let (_server, sandbox) = install(usize::MAX);
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", format!("{config}\n[metrics]\ntextfile = \"mdctl.prom\"\n"));
    let roots = tempfile::tempdir().expect("a folder of root");
    let precious = roots.path().join("precious");
    fs::write(&precious, "mine").expect("a file");
    symlink(&precious, sandbox.path("mdctl.prom")).expect("a link");
    sandbox.backfill(&[]).expect_code(0);
    let metrics = sandbox.path("mdctl.prom");
    assert!(metrics.symlink_metadata().expect("it is there").is_file(), "the link was replaced");
    assert_eq!((owner(&metrics), mode(&metrics)), ((OWNER, GROUP), 0o644));
    assert_eq!(fs::read_to_string(&precious).expect("it is there"), "mine");
    assert_eq!(owner(&precious), (0, 0));
    // In a folder of root's own a link is root's, and stays.
    fs::write(roots.path().join("mdctl.toml"), sandbox.read("mdctl.toml")).expect("a config");
    let there = |name: &str| roots.path().join(name).display().to_string();
    symlink(&precious, there("mdctl.prom")).expect("a link");
    sandbox
        .backfill(&["--config", &there("mdctl.toml"), "--db", &there("mdctl.db")])
        .expect_code(0);
    assert!(Path::new(&there("mdctl.prom")).is_symlink());
    assert!(fs::read_to_string(&precious).expect("it is there").contains("mdctl_"));
}

#[test]
fn a_backup_that_root_makes_is_the_folders_owners() {
    if !is_root("a backup of root is the owner's") {
        return;
    }
    let (_server, sandbox) = install(usize::MAX);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.mdctl(&["db", "backup", "copy.db"]).expect_code(0);
    assert_eq!(
        (owner(&sandbox.path("copy.db")), mode(&sandbox.path("copy.db"))),
        ((OWNER, GROUP), 0o640)
    );
}
