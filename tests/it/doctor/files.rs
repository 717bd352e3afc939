//! Who can read and write what, and the warnings of commands that read keys.

use super::*;

fn chmod(sandbox: &Sandbox, name: &str, mode: u32) {
    fs::set_permissions(sandbox.path(name), Permissions::from_mode(mode)).expect("its mode is set");
}

/// A sandbox whose key is a file of that mode.
fn with_key_file(mode: u32) -> (Server, Sandbox) {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", config.replace("{ env = \"KEY\" }", "{ file = \"p.key\" }"));
    sandbox.write("p.key", format!("{KEY}\n"));
    chmod(&sandbox, "p.key", mode);
    (server, sandbox.without_key())
}

#[test]
fn a_key_that_others_can_read_is_warned_of_where_it_is_read() {
    let (_server, sandbox) = with_key_file(0o644);
    let path = sandbox.path("p.key").display().to_string();
    let run = sandbox.backfill(&[]);
    run.expect_code(0).expect_stderr("p.key holds the key of provider p");
    run.expect_stderr("everybody on this machine can read it").expect_stderr("chmod 600 ");
    assert_eq!(run.stderr.matches("chmod").count(), 1, "once a run{run}");
    sandbox.mdctl(&["enrich", "--as-of", AS_OF]).expect_stderr("chmod 600");
    let found = examine(&sandbox);
    found.output.expect_code(1);
    let secrets = found.check("secrets");
    secrets.says("warning", "everybody on this machine can read it");
    assert!(path.ends_with(secrets.subject.trim_start_matches("./")), "{secrets:?}");
    // Who reads no key says nothing of it.
    for quiet in [&["health"][..], &["status"], &["backfill", "--dry-run"], &["alerts"]] {
        let output = sandbox.mdctl(quiet);
        assert!(!output.stderr.contains("chmod"), "{output}");
    }
    // The remedy is a command that mends it.
    let status = std::process::Command::new("sh")
        .args(["-c", &secrets.remedy])
        .current_dir(sandbox.path(""))
        .status();
    assert!(status.expect("a shell").success());
    let found = examine(&sandbox);
    found.output.expect_code(0);
    found.check("secrets").says("ok", "1 file with secrets");
    let run = sandbox.backfill(&[]);
    assert!(!run.stderr.contains("chmod"), "{run}");
}

#[test]
fn a_group_that_reads_a_key_is_one_too_many() {
    let (_server, sandbox) = with_key_file(0o640);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let found = examine(&sandbox);
    found.output.expect_code(1);
    found.check("secrets").says("warning", "the group ").says("warning", "can read it (rw-r-----");
}

#[test]
fn a_config_is_secret_only_when_it_holds_something_secret() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    chmod(&sandbox, "mdctl.toml", 0o644);
    examine(&sandbox).check("secrets").says("ok", "no file holds one");
    let config = sandbox.read("mdctl.toml");
    let slack =
        "\n[notify.team]\nkind = \"slack\"\nurl = \"https://hooks.invalid/T0/sekrit-hook\"\n";
    sandbox.write("mdctl.toml", config.clone() + slack);
    let found = examine(&sandbox);
    found
        .check("secrets")
        .says("warning", "the config, which holds the address of notifier team")
        .mended_by("chmod 600");
    assert!(!found.output.stdout.contains("sekrit-hook"), "{}", found.output);
    sandbox.mdctl(&["alerts", "--notify"]).expect_stderr("chmod 600");
    chmod(&sandbox, "mdctl.toml", 0o600);
    examine(&sandbox).check("secrets").says("ok", "1 file with secrets");
    // One that is only this machine's is none.
    chmod(&sandbox, "mdctl.toml", 0o644);
    sandbox.write(
        "mdctl.toml",
        config + &slack.replace("https://hooks.invalid", "http://127.0.0.1:9"),
    );
    examine(&sandbox).check("secrets").says("ok", "no file holds one");
}

#[test]
fn what_others_can_write_is_told() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    chmod(&sandbox, "mdctl.toml", 0o666);
    chmod(&sandbox, "mdctl.db", 0o666);
    chmod(&sandbox, "", 0o777);
    let found = examine(&sandbox);
    found.output.expect_code(2);
    found
        .check("config_access")
        .says("critical", "everybody on this machine can write it")
        .mended_by("chmod go-w");
    found.check("database_access").says("warning", "everybody on this machine can write it");
    found.check("folder").says("warning", "everybody on this machine can write it");
    chmod(&sandbox, "", 0o1777);
    examine(&sandbox).check("folder").says("ok", "can be written");
}

#[test]
fn who_cannot_write_the_database_is_told_so() {
    use std::os::unix::process::CommandExt as _;
    if !rustix::process::geteuid().is_root() {
        // Only root becomes somebody else, and only others are kept out by permissions.
        return;
    }
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.take_requests();
    chmod(&sandbox, "", 0o755);
    chmod(&sandbox, "mdctl.toml", 0o644);
    chmod(&sandbox, "mdctl.db", 0o644);
    let mut command = sandbox.command(&["doctor", "--json"]);
    let output = sandbox.finish(command.uid(65_534).gid(65_534));
    output.expect_code(2);
    let found = Found { document: output.json(), output };
    found
        .check("folder")
        .says("critical", "this user cannot write the database's folder")
        .mended_by("sudo -u root mdctl doctor");
    found.check("database_access").says("critical", "no run can begin");
    assert_eq!(server.requests().len(), 0, "what cannot be written down is not asked");
    // A database that may not even be read.
    chmod(&sandbox, "mdctl.db", 0o600);
    let mut command = sandbox.command(&["doctor", "--json"]);
    let output = sandbox.finish(command.uid(65_534).gid(65_534));
    output.expect_code(2);
    let found = Found { document: output.json(), output };
    found.check("database").says("critical", "cannot be opened");
    // A key that is kept from this user is not to be made anew.
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", config.replace("{ env = \"KEY\" }", "{ file = \"p.key\" }"));
    sandbox.write("p.key", KEY);
    chmod(&sandbox, "p.key", 0o600);
    let mut command = sandbox.command(&["doctor", "--json"]);
    let output = sandbox.finish(command.uid(65_534).gid(65_534));
    let found = Found { document: output.json(), output };
    found.check("key").says("critical", "Permission denied").mended_by("sudo mdctl doctor");
    // A lock of somebody else's.
    let lock = sandbox.path("mdctl.db.lock");
    std::os::unix::fs::chown(&lock, Some(65_534), Some(65_534)).expect("another's");
    let found = examine(&sandbox);
    found.check("database_access").says("warning", "belongs to").mended_by("chown --reference=");
}

#[test]
fn what_runs_leave_besides_is_looked_after() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let config = sandbox.read("mdctl.toml");
    sandbox.write(
        "mdctl.toml",
        config
            + "\n[log]\nfile = \"logs/mdctl.log\"\n[metrics]\ntextfile = \"nowhere/mdctl.prom\"\n",
    );
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let found = examine(&sandbox);
    found.output.expect_code(1);
    found.about("output", "log file").says("ok", "can be written");
    found.about("output", "metrics file").says("warning", "No such file");
}
