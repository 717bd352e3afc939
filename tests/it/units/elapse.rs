//! When the next run is due, as systemd says: a stand-in answers for it.

use serde_json::Value;

use super::program;
use crate::support::{Output, Sandbox};

/// A sandbox whose user has units installed and a manager at work, which says `script`.
fn scheduled(script: &str) -> Sandbox {
    let sandbox = Sandbox::with("");
    sandbox.mdctl(&["units", "install", "--user"]).expect_code(0);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.write("runtime/systemd/private", "");
    program(&sandbox, "systemctl", &format!("echo \"$*\" >>asked\n{script}"));
    sandbox
}

fn ask(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = sandbox.command(arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", sandbox.path("bin").display()));
    sandbox.finish(command.env("XDG_RUNTIME_DIR", sandbox.path("runtime")))
}

/// What systemctl shows of units for the config at `config`, of which `enrich` elapses first.
fn shown(config: &str) -> String {
    let timer = |name: &str, next: &str| {
        format!(
            "NextElapseUSecRealtime={next}\nId=mdctl-{name}.timer\nLoadState=loaded\n\
             ActiveState=active\nUnitFileState=enabled\n\n\
             ExecStart={{ path=/x ; argv[]=/x --config {config} {name} ; ignore_errors=no }}\n\
             Id=mdctl-{name}.service\nLoadState=loaded\n\n"
        )
    };
    let text = timer("backfill", "Fri 2099-05-01 02:00:00 UTC")
        + &timer("enrich", "Fri 2099-05-01 01:30:00 UTC")
        + &timer("alerts", "Fri 2099-05-01 01:15:00 UTC");
    format!("cat <<'END'\n{text}END\n")
}

fn next_run(document: &Value) -> &Value {
    if document["scheduler"].is_object() {
        &document["scheduler"]["next_run_at"]
    } else {
        &document["next_run_at"]
    }
}

#[test]
fn status_and_health_say_when_the_next_run_is_due() {
    let sandbox = scheduled("");
    let config = sandbox.path("mdctl.toml").display().to_string();
    program(&sandbox, "systemctl", &shown(&config));
    for command in ["status", "health"] {
        let document = ask(&sandbox, &[command, "--json"]).json();
        assert_eq!(*next_run(&document), "2099-05-01T01:30:00Z", "{document}");
        ask(&sandbox, &[command]).expect_stdout("2099-05-01T01:30:00Z");
    }
}

#[test]
fn the_units_of_another_config_say_nothing_of_this_one() {
    let sandbox = scheduled(&shown("/srv/other.toml"));
    let document = ask(&sandbox, &["status", "--json"]).json();
    assert_eq!(*next_run(&document), Value::Null);
    assert!(sandbox.read("asked").contains("--user show "));
}

#[test]
fn nobody_is_asked_where_no_units_are_installed() {
    let sandbox = scheduled(&shown("/srv/other.toml"));
    std::fs::remove_dir_all(sandbox.path("home/.config")).expect("no units");
    let document = ask(&sandbox, &["health", "--json"]).json();
    assert_eq!(*next_run(&document), Value::Null);
    assert!(!sandbox.path("asked").exists());
}

#[test]
fn a_systemd_that_fails_or_hangs_keeps_no_report_from_being_told() {
    for script in ["exit 1", "exec cat /dev/zero >/dev/null", "echo nonsense"] {
        let sandbox = scheduled(script);
        let document = ask(&sandbox, &["status", "--json"]).json();
        assert_eq!(*next_run(&document), Value::Null, "{script}");
        assert!(sandbox.path("asked").exists(), "{script}");
    }
}
