//! The schedule, as systemd tells of it: a stand-in answers for it.

use super::*;

/// A sandbox with a database whose user has units installed, and a manager that knows timers in these states.
fn scheduled(timers: &[(&str, &str, &str)]) -> Sandbox {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.mdctl(&["units", "install", "--user"]).expect_code(0);
    sandbox.write("runtime/systemd/private", "");
    let config = sandbox.path("mdctl.toml").display().to_string();
    let shown: Vec<String> = timers
        .iter()
        .map(|(name, active, enabled)| {
            format!(
                "NextElapseUSecRealtime=Fri 2099-05-01 02:00:00 UTC\nId=mdctl-{name}.timer\n\
                 LoadState=loaded\nActiveState={active}\nUnitFileState={enabled}\n\n\
                 ExecStart={{ path=/x ; argv[]=/x --config {config} {name} ; ignore_errors=no }}\n\
                 Id=mdctl-{name}.service\nLoadState=loaded\n"
            )
        })
        .collect();
    sandbox.write("bin/systemctl", format!("#!/bin/sh\ncat <<'END'\n{}\nEND\n", shown.join("\n")));
    fs::set_permissions(sandbox.path("bin/systemctl"), Permissions::from_mode(0o755))
        .expect("its mode");
    sandbox
}

/// What is found there.
#[track_caller]
fn look(sandbox: &Sandbox) -> Found {
    let mut command = sandbox.command(&["doctor", "--json"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", sandbox.path("bin").display()));
    let output = sandbox.finish(command.env("XDG_RUNTIME_DIR", sandbox.path("runtime")));
    Found { document: output.json(), output }
}

#[test]
fn each_timer_is_told_by_its_state() {
    let sandbox = scheduled(&[
        ("backfill", "active", "enabled"),
        ("enrich", "inactive", "enabled"),
        ("alerts", "active", "disabled"),
    ]);
    let found = look(&sandbox);
    found.about("timers", "mdctl-backfill.timer").says("ok", "next at 2099-05-01T02:00:00Z");
    found
        .about("timers", "mdctl-enrich.timer")
        .says("warning", "does not run")
        .mended_by("systemctl --user enable --now mdctl-enrich.timer");
    found.about("timers", "mdctl-alerts.timer").says("warning", "not enabled");
    found
        .about("timers", "mdctl-maintenance.timer")
        .says("warning", "not installed, though others are");
}

#[test]
fn a_systemd_that_does_not_answer_is_told_and_is_no_trouble() {
    let sandbox = scheduled(&[]);
    sandbox.write("bin/systemctl", "#!/bin/sh\nexit 1\n");
    look(&sandbox).check("timers").says("skipped", "did not answer");
}

#[test]
fn where_nothing_is_scheduled_that_is_said() {
    let sandbox = scheduled(&[]);
    fs::remove_dir_all(sandbox.path("home/.config")).expect("no units");
    look(&sandbox)
        .check("timers")
        .says("skipped", "nothing runs by itself yet")
        .mended_by("mdctl units install");
    // Two days later nothing is new any more.
    touch(&sandbox, "mdctl.toml", "2 days ago");
    let found = look(&sandbox);
    found.check("timers").says("warning", "nothing else calls mdctl").mended_by("units install");
    // What cron or somebody calls runs all the same.
    sandbox.backfill(&[]);
    look(&sandbox).check("timers").says("skipped", "the last run came all the same");
    sandbox.tamper(
        "UPDATE runs SET started_at = started_at - 864000, completed_at = completed_at - 864000",
    );
    look(&sandbox).check("timers").says("warning", "nothing else calls mdctl");
    let without = examine(&sandbox);
    if !std::path::Path::new("/run/systemd/system").exists() {
        without.check("timers").says("skipped", "no systemd is at work here").mended_by("--cron");
    }
}

/// Sets when a file was last changed.
fn touch(sandbox: &Sandbox, name: &str, when: &str) {
    let status =
        std::process::Command::new("touch").args(["-d", when]).arg(sandbox.path(name)).status();
    assert!(status.expect("touch").success());
}

#[test]
fn a_service_that_failed_is_told_with_where_to_look() {
    let sandbox =
        scheduled(&[("maintenance", "active", "enabled"), ("alerts", "active", "enabled-runtime")]);
    assert!(look(&sandbox).all("services").is_empty());
    let script = sandbox.read("bin/systemctl");
    let failed = "Id=mdctl-maintenance.service\nResult=exit-code\nExecMainStatus=74\n";
    sandbox.write("bin/systemctl", script.replace("Id=mdctl-maintenance.service\n", failed));
    let found = look(&sandbox);
    found
        .about("services", "mdctl-maintenance.service")
        .says("warning", "its last call failed: exit-code, status 74")
        .mended_by("journalctl --user -u mdctl-maintenance.service -n 50");
    found.about("timers", "mdctl-alerts.timer").says("warning", "not enabled");
}

#[test]
fn a_backup_that_is_too_old_is_told_where_some_are_made() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    examine(&sandbox).check("backup").says("skipped", "nobody makes any here");
    sandbox.mdctl(&["db", "backup"]).expect_code(0);
    let found = examine(&sandbox);
    found.output.expect_code(0);
    found.check("backup").says("ok", "the newest is ");
    let made = fs::read_dir(sandbox.path("backups")).expect("the folder").next();
    let made = made.expect("a backup").expect("a backup").path();
    fs::rename(made, sandbox.path("backups/mdctl-20240315T013000Z.db")).expect("it is of long ago");
    let found = examine(&sandbox);
    found.output.expect_code(1);
    found.check("backup").says("warning", "is too old").mended_by("mdctl db backup");
    // The maintenance of a new install has had no time to make one.
    fs::remove_dir_all(sandbox.path("backups")).expect("they go");
    let scheduled = scheduled(&[("maintenance", "active", "enabled")]);
    look(&scheduled).check("backup").says("skipped", "makes the first, at 2099-05-01T02:00:00Z");
    touch(&scheduled, "mdctl.toml", "20 days ago");
    look(&scheduled).check("backup").says("warning", "is to make one a week");
}
