//! Where a database is to be something else is, or less than it was: that is told, and nobody waits for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::support::{AS_OF, Sandbox, daily_stocks};

/// A filled database.
fn filled() -> (crate::support::server::Server, Sandbox) {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    (server, sandbox)
}

/// Cuts so many bytes off the end of a file.
fn cut_off(path: &Path, bytes: u64) {
    let file = fs::File::options().write(true).open(path).expect("the file");
    let length = file.metadata().expect("its length").len();
    file.set_len(length - bytes).expect("it is shorter");
}

fn pipe(sandbox: &Sandbox, name: &str) {
    let made = Command::new("mkfifo").arg(sandbox.path(name)).status();
    assert!(made.expect("mkfifo starts").success());
}

#[test]
fn a_database_that_was_cut_off_is_damaged_for_everybody() {
    let (_server, sandbox) = filled();
    fs::copy(sandbox.path("mdctl.db"), sandbox.path("whole.db")).expect("a copy");
    for bytes in [1, 776, 4096, 3 * 4096] {
        fs::copy(sandbox.path("whole.db"), sandbox.path("mdctl.db")).expect("a copy");
        cut_off(&sandbox.path("mdctl.db"), bytes);
        for (command, code) in [
            (&["health"][..], 3),
            (&["db", "info"], 3),
            (&["db", "check"], 74),
            (&["db", "prune"], 74),
            (&["db", "backup", "copy.db"], 74),
            (&["db", "restore", "mdctl.db", "copy.db"], 74),
            (&["backfill", "--as-of", AS_OF], 74),
        ] {
            let output = sandbox.mdctl(command);
            output.expect_code(code);
            let said = output.stdout.clone() + &output.stderr;
            assert!(said.contains("mdctl.db is damaged"), "{bytes}: {output}");
            assert!(!said.contains(".mdctl-draft"), "{output}");
            assert!(command[1..] != ["check"] || !said.contains("`mdctl db check`"), "{output}");
        }
        assert!(!sandbox.path("copy.db").exists());
    }
}

#[test]
fn a_page_that_is_damaged_is_the_databases_and_not_the_copys() {
    let (_server, sandbox) = filled();
    let path = sandbox.path("mdctl.db");
    let mut bytes = fs::read(&path).expect("the database");
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 2048].fill(0x5A);
    fs::write(&path, bytes).expect("the damage is done");
    let output = sandbox.mdctl(&["db", "backup", "copy.db"]);
    output.expect_code(74).expect_stderr("mdctl.db is damaged");
    assert!(!output.stderr.contains("draft"), "{output}");
}

#[test]
fn only_what_could_be_restored_counts_as_a_backup() {
    let (_server, sandbox) = filled();
    sandbox.mdctl(&["db", "backup", "first.db"]).expect_code(0);
    fs::create_dir(sandbox.path("backups")).expect("a folder");
    let name = |year: i32| sandbox.path(&format!("backups/mdctl-{year}0315T013000Z.db"));
    for year in [2019, 2020, 2021, 2022] {
        fs::copy(sandbox.path("first.db"), name(year)).expect("a copy");
    }
    cut_off(&name(2021), 776);
    cut_off(&name(2022), 2 * 4096);
    let output = sandbox.mdctl(&["db", "backup", "--keep", "2"]);
    output.expect_code(0).expect_stderr("mdctl-20210315T013000Z.db").expect_stderr("not counted");
    output.expect_stderr("mdctl-20220315T013000Z.db");
    assert!(!name(2019).exists(), "of those that are whole, the oldest");
    assert!(name(2020).exists() && name(2021).exists() && name(2022).exists());
}

#[test]
fn what_is_no_file_is_refused_and_nobody_waits() {
    let (_server, sandbox) = filled();
    pipe(&sandbox, "pipe");
    fs::create_dir(sandbox.path("folder")).expect("a folder");
    for (name, what) in [("pipe", "no regular file"), ("folder", "is a folder")] {
        for (command, code) in [
            (&["db", "info", "--db", name][..], 3),
            (&["db", "check", "--db", name], 3),
            (&["health", "--db", name], 3),
            (&["db", "prune", "--db", name], 74),
            (&["db", "backup", "--db", name, "copy.db"], 74),
            (&["db", "restore", name, "copy.db"], 74),
            (&["backfill", "--db", name], 74),
        ] {
            let output = sandbox.mdctl(command);
            output.expect_code(code);
            let said = output.stdout.clone() + &output.stderr;
            assert!(said.contains(what) && !said.contains("dmesg"), "{output}");
        }
        let doctor = sandbox.mdctl(&["doctor", "--db", name]);
        doctor.expect_stdout(what);
    }
    let config = sandbox.read("mdctl.toml").replace(r#"env = "KEY""#, r#"file = "pipe""#);
    sandbox.write("mdctl.toml", config);
    sandbox.mdctl(&["doctor"]).expect_stdout("is no regular file");
    assert_ne!(sandbox.backfill(&["--full"]).code, Some(0));
}

#[test]
fn who_writes_ends_with_74_where_who_reads_ends_with_3() {
    let (_server, sandbox) = filled();
    let newer = Connection::open(sandbox.path("mdctl.db")).expect("the database");
    newer.execute_batch("PRAGMA user_version = 999").expect("a newer version");
    drop(newer);
    let other = Connection::open(sandbox.path("other.db")).expect("a database");
    other.execute_batch("CREATE TABLE recipes (name TEXT)").expect("a table");
    drop(other);
    for name in ["mdctl.db", "other.db", "nosuch.db"] {
        for (command, code) in [
            (&["db", "info", "--db", name][..], 3),
            (&["db", "check", "--db", name], 3),
            (&["db", "prune", "--db", name], 74),
            (&["db", "backup", "--db", name, "copy.db"], 74),
            (&["db", "restore", name, "copy.db"], 74),
        ] {
            sandbox.mdctl(command).expect_code(code);
        }
    }
}

#[test]
fn a_backup_that_cannot_be_made_or_restored_says_what_is_not_there() {
    let (_server, sandbox) = filled();
    let missing = sandbox.mdctl(&["db", "restore", "nope.db", "x.db"]);
    missing.expect_code(74).expect_stderr("nope.db is not there");
    let other = Connection::open(sandbox.path("other.db")).expect("a database");
    other.execute_batch("CREATE TABLE recipes (name TEXT)").expect("a table");
    let foreign = sandbox.mdctl(&["db", "restore", "other.db", "x.db"]);
    foreign.expect_code(74).expect_stderr("other.db belongs to another program");
    assert!(!foreign.stderr.contains("--db"), "{foreign}");
    for target in ["newdir/", "nodir/sub/x.db"] {
        let output = sandbox.mdctl(&["db", "backup", target]);
        output.expect_code(73).expect_stderr("there is no folder").expect_stderr("mkdir -p");
    }
}

#[test]
fn backups_that_are_begun_at_once_all_get_a_name() {
    let (_server, sandbox) = filled();
    fs::create_dir(sandbox.path("backups")).expect("a folder");
    let running = [(); 6].map(|()| sandbox.start(&["db", "backup"]));
    assert!(running.into_iter().all(|backup| backup.wait() == Some(0)));
    assert_eq!(fs::read_dir(sandbox.path("backups")).expect("the folder").count(), 6);
}

#[test]
fn who_is_not_let_in_is_told_so() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let (_server, sandbox) = filled();
    fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::set_permissions(sandbox.path("mdctl.toml"), fs::Permissions::from_mode(0o644))
        .expect("a mode");
    let closed = sandbox.path("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::copy(sandbox.path("mdctl.db"), closed.join("x.db")).expect("a copy");
    fs::copy(sandbox.path("mdctl.toml"), closed.join("mdctl.toml")).expect("a copy");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("a mode");
    for (arguments, code) in [
        (&["health", "--db", "closed/x.db"][..], 3),
        (&["doctor", "--db", "closed/x.db"], 2),
        (&["health", "--config", "closed/mdctl.toml"], 78),
    ] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=4715", "--regid=4715", "--clear-groups"]);
        command.arg(env!("CARGO_BIN_EXE_mdctl")).args(arguments);
        let output = sandbox.finish(command.current_dir(sandbox.path("")).env_clear());
        // Where the binary can be reached by others.
        if output.stderr.contains("failed to execute") {
            return;
        }
        output.expect_code(code);
        let said = output.stdout.clone() + &output.stderr;
        assert!(said.contains("cannot be looked at: permission denied"), "{output}");
        assert!(said.contains("sudo -u root mdctl"), "{output}");
        assert!(!said.contains("makes it") && !said.contains("migrate"), "{output}");
    }
}
