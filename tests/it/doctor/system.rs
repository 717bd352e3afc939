//! `init --system`, in a root folder of its own.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::Command;

use super::*;

/// A root folder with the program, what it is linked with, and a user and group `mdctl`.
fn machine() -> Sandbox {
    let sandbox = Sandbox::new();
    let program = env!("CARGO_BIN_EXE_mdctl");
    let linked = Command::new("ldd").arg(program).output().expect("ldd").stdout;
    let linked = String::from_utf8_lossy(&linked).into_owned();
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
    for library in libraries {
        let to = sandbox.path(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("a folder above")).expect("folders");
        fs::copy(library, to).expect("the library is copied");
    }
    fs::copy(program, sandbox.path("mdctl")).expect("the program is copied");
    fs::set_permissions(sandbox.path(""), Permissions::from_mode(0o755)).expect("its mode");
    sandbox.write("etc/passwd", "root:x:0:0::/:/bin/sh\nmdctl:x:4711:4712::/:/bin/false\n");
    sandbox.write("etc/group", "root:x:0:\nmdctl:x:4712:\n");
    sandbox
}

/// Runs the program there, as that user.
fn run(sandbox: &Sandbox, user: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("chroot");
    command.arg(format!("--userspec={user}")).arg(sandbox.path("")).arg("/mdctl").args(arguments);
    command.env_clear().env("HOME", "/").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    sandbox.finish(&mut command)
}

/// Permissions, owner and group.
fn rights(sandbox: &Sandbox, path: &str) -> (u32, u32, u32) {
    let held = fs::metadata(sandbox.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    (held.mode() & 0o7777, held.uid(), held.gid())
}

/// Whether this process may make a root folder of its own: only root may.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn the_systems_config_is_roots_and_the_group_reads_it() {
    if !is_root() {
        return;
    }
    let sandbox = machine();
    let output = run(&sandbox, "0:0", &["init", "--system"]);
    output.expect_code(0).expect_stdout("wrote /etc/mdctl/mdctl.toml");
    output
        .expect_stdout("keys go into /etc/mdctl/credentials")
        .expect_stdout("/var/lib/mdctl/mdctl.db");
    output.expect_stdout("next: `sudo mdctl units install`");
    assert_eq!(rights(&sandbox, "etc/mdctl"), (0o750, 0, 4_712));
    assert_eq!(rights(&sandbox, "etc/mdctl/mdctl.toml"), (0o640, 0, 4_712));
    assert_eq!(rights(&sandbox, "etc/mdctl/credentials"), (0o700, 0, 0));
    assert_eq!(rights(&sandbox, "var/lib/mdctl"), (0o750, 4_711, 4_712));
    let config = sandbox.read("etc/mdctl/mdctl.toml");
    assert!(config.contains("\npath = \"/var/lib/mdctl/mdctl.db\"\n"), "{config}");
    assert!(!sandbox.path("var/lib/mdctl/mdctl.db").exists(), "whoever runs makes it, and owns it");
    // From any folder, and as the user of the units, without a flag.
    let output = run(&sandbox, "4711:4712", &["db", "migrate"]);
    output.expect_code(0).expect_stdout("/var/lib/mdctl/mdctl.db");
    let plan = run(&sandbox, "4711:4712", &["backfill", "--dry-run"]);
    plan.expect_code(0).expect_stdout("BTCUSDT");
    // What a config of 0640 holds is no secret to its group.
    sandbox.write(
        "etc/mdctl/mdctl.toml",
        config + "\n[notify.team]\nkind = \"slack\"\nurl = \"https://hooks.invalid/x\"\n",
    );
    chown(sandbox.path("etc/mdctl/mdctl.toml"), Some(0), Some(4_712)).expect("root's");
    let output = run(&sandbox, "4711:4712", &["doctor", "--json"]);
    let found = Found { document: output.json(), output };
    found.check("secrets").says("ok", "1 file with secrets");
    found.check("config_access").says("ok", "rw-r----- root:mdctl");
    found.check("database_access").says("ok", "mdctl:mdctl");
    // Nothing is written over.
    let before = sandbox.read("etc/mdctl/mdctl.toml");
    run(&sandbox, "0:0", &["init", "--system"]).expect_code(73).expect_stderr("is there already");
    assert_eq!(sandbox.read("etc/mdctl/mdctl.toml"), before);
}

#[test]
fn without_the_group_it_is_roots_alone() {
    if !is_root() {
        return;
    }
    let sandbox = machine();
    sandbox.write("etc/group", "root:x:0:\n");
    sandbox.write("etc/passwd", "root:x:0:0::/:/bin/sh\n");
    run(&sandbox, "0:0", &["init", "--system", "--json"]).expect_code(0);
    assert_eq!(rights(&sandbox, "etc/mdctl"), (0o750, 0, 0));
    assert_eq!(rights(&sandbox, "etc/mdctl/mdctl.toml"), (0o640, 0, 0));
    assert_eq!(rights(&sandbox, "var/lib/mdctl"), (0o750, 0, 0));
}

#[test]
fn a_folder_that_is_there_stays_as_it_is() {
    if !is_root() {
        return;
    }
    let sandbox = machine();
    fs::create_dir_all(sandbox.path("etc/mdctl")).expect("a package's folder");
    fs::set_permissions(sandbox.path("etc/mdctl"), Permissions::from_mode(0o755))
        .expect("its mode");
    run(&sandbox, "0:0", &["init", "--system"]).expect_code(0);
    assert_eq!(rights(&sandbox, "etc/mdctl").0, 0o755);
}

#[test]
fn who_is_not_root_is_told_to_be() {
    use std::os::unix::process::CommandExt as _;
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["init", "--system"]);
    if is_root() {
        fs::set_permissions(sandbox.path(""), Permissions::from_mode(0o755)).expect("its mode");
        command.uid(65_534).gid(65_534);
    }
    let there = Path::new("/etc/mdctl").exists();
    let output = sandbox.finish(&mut command);
    output.expect_code(73).expect_stderr("only root can write /etc/mdctl/mdctl.toml");
    output.expect_stderr("sudo mdctl init --system");
    assert_eq!(Path::new("/etc/mdctl").exists(), there);
    sandbox.mdctl(&["init", "--system", "--sample"]).expect_code(64);
    sandbox.mdctl(&["init", "--system", "elsewhere"]).expect_code(64);
}
