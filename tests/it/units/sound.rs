//! What systemd itself says of the units: nothing against them, and that they are shut tight. Where its
//! programs are not there this does not look; in CI, where they are to be, it fails.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::{SERVICES, folder};
use crate::support::Sandbox;

/// The most exposed that a service may be, in tenths.
const MOST_EXPOSED: u32 = 20;

/// What a call of systemd-analyze says; `None` where it is not there.
fn analyze(arguments: &[&str], sandbox: &Sandbox) -> Option<Output> {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).stdin(Stdio::null()).env("XDG_RUNTIME_DIR", sandbox.path("runtime"));
    match command.env("SYSTEMD_COLORS", "0").output() {
        Ok(output) => Some(output),
        Err(error) => {
            #[expect(clippy::disallowed_methods, reason = "a test, which settings do not concern")]
            let ci = std::env::var_os("CI");
            let message = format!("systemd-analyze does not start: {error}");
            assert!(ci.is_none_or(|ci| ci != "true"), "{message}");
            let _ = writeln!(std::io::stderr(), "not looked at, as {message}");
            None
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Asserts that systemd has nothing to say against the units in a folder of the sandbox.
fn verify(sandbox: &Sandbox, mode: &str, folder: &str) {
    let mut arguments = vec![mode.to_owned(), "verify".to_owned(), "--man=no".to_owned()];
    for name in SERVICES {
        for kind in ["service", "timer"] {
            let path = sandbox.path(&format!("{folder}/mdctl-{name}.{kind}"));
            assert!(path.exists(), "{}", path.display());
            arguments.push(path.display().to_string());
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(output) = analyze(&arguments, sandbox) else { return };
    let said = said(&output);
    // What other units of the machine are blamed for is not ours.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("mdctl")).collect();
    assert!(ours.is_empty() && output.status.success(), "{said}");
}

#[test]
fn systemd_has_nothing_against_the_systems_units() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("image");
    let root = root.to_str().expect("a path");
    sandbox.mdctl(&["units", "install", "--root", root]).expect_code(0);
    verify(&sandbox, "--system", "image/etc/systemd/system");
}

#[test]
fn nor_against_a_users_with_an_odd_path() {
    let sandbox = Sandbox::new();
    sandbox.write("50% $of it/mdctl.toml", "");
    let config = sandbox.path("50% $of it/mdctl.toml");
    let config = config.to_str().expect("a path");
    sandbox.write("runtime/systemd/there", "");
    sandbox.mdctl(&["units", "install", "--user", "--config", config]).expect_code(0);
    verify(&sandbox, "--user", "home/.config/systemd/user");
}

#[test]
fn every_service_is_shut_tight() {
    for name in SERVICES {
        let path = folder().join(format!("mdctl-{name}.service"));
        let path = path.to_str().expect("a path");
        let most = MOST_EXPOSED.to_string();
        let threshold = format!("--threshold={most}");
        let arguments = ["security", "--offline=true", "--no-pager", &threshold, path];
        let Some(output) = analyze(&arguments, &Sandbox::new()) else { return };
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("Overall exposure level"), "{}", said(&output));
    }
}

#[test]
fn every_schedule_is_one() {
    for name in SERVICES {
        let timer = folder().join(format!("mdctl-{name}.timer"));
        let timer = std::fs::read_to_string(timer).expect("the timer");
        let calendar = timer.lines().find_map(|line| line.strip_prefix("OnCalendar="));
        let calendar = calendar.expect("when it elapses");
        let Some(output) = analyze(&["calendar", calendar], &Sandbox::new()) else { return };
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("Next elapse: "), "{}", said(&output));
        assert!(!said(&output).contains("Next elapse: never"), "{}", said(&output));
    }
}
