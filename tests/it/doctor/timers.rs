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
        .mended_by("systemctl enable --now mdctl-enrich.timer");
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
        .says("skipped", "no timer of this config")
        .mended_by("mdctl units install");
    let without = examine(&sandbox);
    if !std::path::Path::new("/run/systemd/system").exists() {
        without.check("timers").says("skipped", "no systemd is at work here").mended_by("--cron");
    }
}
