//! `init --system`, in a root folder of its own.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::Command;

use super::*;
use crate::support::copy_program;

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
    copy_program(&sandbox.path("mdctl"));
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

/// The same with the usual system install at work in it: its folders, a key, a database, and a systemd that
/// says that the timers run.
fn installed(server: &Server) -> Sandbox {
    let sandbox = machine();
    let shell = Command::new("ldd").arg("/bin/sh").output().expect("ldd").stdout;
    let linked = String::from_utf8_lossy(&shell).into_owned();
    for file in linked.split_whitespace().filter(|word| word.starts_with('/')).chain(["/bin/sh"]) {
        let to = sandbox.path(file.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("a folder above")).expect("folders");
        fs::copy(file, to).expect("it is copied");
    }
    let shown = |chore: &str| {
        format!(
            "Id=mdctl-{chore}.timer\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\n\
             ExecStart={{ argv[]=/x --config /etc/mdctl/mdctl.toml {chore} ; }}\n\
             Id=mdctl-{chore}.service\nLoadState=loaded\n"
        )
    };
    let shown = ["backfill", "enrich", "alerts", "maintenance"].map(shown).join("\n");
    let script =
        format!("#!/bin/sh\nwhile read -r line; do echo \"$line\"; done <<'END'\n{shown}\nEND\n");
    sandbox.write("bin/systemctl", script);
    fs::set_permissions(sandbox.path("bin/systemctl"), Permissions::from_mode(0o755))
        .expect("mode");
    // What a program that is asked gets as its input.
    sandbox.write("dev/null", "");
    sandbox.write("run/systemd/system/x", "");
    sandbox.write("etc/systemd/system/mdctl-backfill.timer", "");
    run(&sandbox, "0:0", &["init", "--system"]).expect_code(0);
    let key = "{ credential = \"p_key\" }";
    let config = (polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY))
        .replace("{ env = \"KEY\" }", key)
        + "\n[log]\nfile = \"/var/log/mdctl/mdctl.log\"\n[notify.hook]\nkind = \"webhook\"\n\
           url = { credential = \"hook\" }\n";
    sandbox.write("etc/mdctl/mdctl.toml", config);
    sandbox.write("etc/mdctl/credentials/p_key", KEY);
    sandbox.write("etc/mdctl/credentials/hook", "https://hooks.invalid/x");
    for name in ["p_key", "hook"] {
        let path = sandbox.path(&format!("etc/mdctl/credentials/{name}"));
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("its mode");
    }
    fs::create_dir_all(sandbox.path("var/log/mdctl")).expect("a folder");
    fs::set_permissions(sandbox.path("var/log/mdctl"), Permissions::from_mode(0o750))
        .expect("mode");
    chown(sandbox.path("var/log/mdctl"), Some(4_711), Some(4_712)).expect("its owner");
    run(&sandbox, "4711:4712", &["db", "migrate"]).expect_code(0);
    sandbox
}

fn doctor(sandbox: &Sandbox, user: &str) -> Found {
    let output = run(sandbox, user, &["doctor", "--json"]);
    Found { document: output.json(), output }
}

#[test]
fn no_call_on_a_healthy_install_cries_wolf() {
    if !is_root() {
        return;
    }
    let (server, _sandbox) = daily_stocks(&["AAA"]);
    let sandbox = installed(&server);
    let by_root = doctor(&sandbox, "0:0");
    // The request itself wants certificates, of which there are none here.
    for code in ["folder", "database_access", "output", "notifier", "backup", "last_run"] {
        let state = by_root.check(code).state;
        assert!(matches!(&*state, "ok" | "skipped"), "{code}: {}", by_root.output);
    }
    by_root.check("key").says("ok", "where it is looked for");
    // The units' user has no key but the one that systemd hands over, and a member of its group writes nothing.
    for user in ["4711:4712", "4713:4712"] {
        let found = doctor(&sandbox, user);
        found.output.expect_code(0);
        found.check("key").says("skipped", "root and the units read it").mended_by("sudo mdctl");
        found.check("notifier").says("skipped", "root and the units read it");
        found.check("provider").says("skipped", "not asked");
    }
    let member = doctor(&sandbox, "4713:4712");
    for code in ["folder", "database_access", "output"] {
        member.check(code).says("skipped", "this user cannot write it");
    }
}

#[test]
fn what_root_has_put_in_place_of_the_database_is_told_to_root_and_to_the_owner() {
    if !is_root() {
        return;
    }
    let (server, _sandbox) = daily_stocks(&["AAA"]);
    let sandbox = installed(&server);
    let database = sandbox.path("var/lib/mdctl/mdctl.db");
    chown(&database, Some(0), Some(0)).expect("as cp leaves it");
    fs::set_permissions(&database, Permissions::from_mode(0o600)).expect("its mode");
    let found = doctor(&sandbox, "0:0");
    found.output.expect_code(2);
    found
        .check("database_access")
        .says(
            "critical",
            "mdctl, who owns the database's folder, cannot write /var/lib/mdctl/mdctl.db",
        )
        .mended_by("chown --reference=/var/lib/mdctl /var/lib/mdctl/mdctl.db*");
    doctor(&sandbox, "4711:4712")
        .check("database_access")
        .says("critical", "this user cannot write");
    // A folder that its owner cannot write, which root can.
    fs::set_permissions(sandbox.path("var/lib/mdctl"), Permissions::from_mode(0o550))
        .expect("mode");
    fs::set_permissions(sandbox.path("var/log/mdctl"), Permissions::from_mode(0o550))
        .expect("mode");
    let found = doctor(&sandbox, "0:0");
    found
        .check("folder")
        .says("critical", "mdctl, who owns")
        .mended_by("chmod u+rwx /var/lib/mdctl");
    found.check("output").says("warning", "cannot write its folder /var/log/mdctl");
}

#[test]
fn a_secret_in_the_systems_config_stays_readable_to_the_units() {
    if !is_root() {
        return;
    }
    let (server, _sandbox) = daily_stocks(&["AAA"]);
    let sandbox = installed(&server);
    let config = sandbox.read("etc/mdctl/mdctl.toml");
    let config = config.replace("{ credential = \"hook\" }", "\"https://hooks.invalid/x\"");
    sandbox.write("etc/mdctl/mdctl.toml", config);
    let path = sandbox.path("etc/mdctl/mdctl.toml");
    chown(&path, Some(0), Some(0)).expect("root's");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("its mode");
    let remedy = "chgrp mdctl /etc/mdctl/mdctl.toml && chmod 640 /etc/mdctl/mdctl.toml";
    doctor(&sandbox, "0:0").check("secrets").says("warning", "everybody").mended_by(remedy);
}
