//! What a process shows of itself to others: its arguments, its environment, its core, its last words. A key is
//! in none of them.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::server::{Answer, Server};
use crate::support::{
    DAILY, KEY, Sandbox, copy_program, faulty_stocks, group, polygon, wait_until,
};

/// Somebody who is not root.
const NOBODY: u32 = 65_534;

/// Secrets that stand in the environment of a run besides its key, by their variables.
const OTHERS: [(&str, &str); 3] = [
    ("HOOK", "https://hooks.example/T0-marker-hook"),
    ("TOKEN", "marker-token"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20marker-otel"),
];

/// Part of every one of those.
const MARKER: &str = "marker-";

/// A run that waits for an answer that does not come, with its key in its environment and in its memory.
fn waiting(prepare: impl FnOnce(&Sandbox, &mut Command)) -> (Server, Sandbox, Child) {
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::Hang);
    let mut command = sandbox.command(&["backfill"]);
    command.envs(OTHERS).stdout(Stdio::null()).stderr(Stdio::null());
    prepare(&sandbox, &mut command);
    let child = command.spawn().expect("mdctl starts");
    server.wait_for(1);
    (server, sandbox, child)
}

/// Whether any of the secrets stands in `text`.
fn tells(text: impl AsRef<[u8]>) -> bool {
    let text = String::from_utf8_lossy(text.as_ref()).into_owned();
    text.contains(KEY) || text.contains(MARKER)
}

fn end(mut child: Child) {
    child.kill().expect("it is killed");
    child.wait().expect("it ended");
}

#[test]
fn its_arguments_tell_none() {
    let (_server, _sandbox, child) = waiting(|_, _| {});
    let arguments = fs::read(format!("/proc/{}/cmdline", child.id()));
    end(child);
    assert!(!tells(arguments.expect("its arguments are there")));
}

#[test]
fn its_environment_and_memory_are_closed_to_others_of_the_same_user() {
    let is_root = rustix::process::getuid().is_root();
    let (_server, sandbox, child) = waiting(|sandbox, command| {
        if is_root {
            let own = |path: &Path| chown(path, Some(NOBODY), Some(NOBODY)).expect("it is given");
            for path in [sandbox.path(""), sandbox.path("home"), sandbox.path("mdctl.toml")] {
                own(&path);
            }
            // What is built may lie where only root looks.
            let copy = std::env::temp_dir().join(format!("mdctl-of-nobody-{}", std::process::id()));
            copy_program(&copy);
            fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("its mode");
            let program = Path::new(&copy);
            let mut other = Command::new(program);
            other.arg("backfill").current_dir(sandbox.path(""));
            other.env_clear().env("HOME", sandbox.path("home")).env("KEY", KEY).envs(OTHERS);
            other.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            other.uid(NOBODY).gid(NOBODY);
            *command = other;
        }
    });
    let id = child.id();
    let cat = |name: &str| {
        let mut cat = Command::new("cat");
        if is_root {
            cat.uid(NOBODY).gid(NOBODY);
        }
        cat.arg(format!("/proc/{id}/{name}")).output().expect("cat starts")
    };
    let (status, environment, memory) = (cat("status"), cat("environ"), cat("maps"));
    let owner = fs::metadata(format!("/proc/{id}/environ")).map(|file| file.uid());
    end(child);
    let _ = fs::remove_file(
        std::env::temp_dir().join(format!("mdctl-of-nobody-{}", std::process::id())),
    );
    assert!(status.status.success(), "what is not secret can be read as ever");
    let uid = if is_root { NOBODY } else { rustix::process::getuid().as_raw() };
    assert!(String::from_utf8_lossy(&status.stdout).contains(&format!("Uid:\t{uid}")));
    assert!(!environment.status.success() && environment.stdout.is_empty(), "{environment:?}");
    assert!(!memory.status.success() && memory.stdout.is_empty(), "{memory:?}");
    assert_eq!(owner.ok(), Some(0));
    drop(sandbox);
}

#[test]
fn no_core_is_made_of_it() {
    let unlimited = |program: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -c unlimited; {program}")]);
        shell
    };
    let folder = tempfile::tempdir().expect("a folder");
    let sleeper = unlimited("exec sleep 600").current_dir(folder.path()).spawn();
    let mut sleeper = sleeper.expect("sh starts");
    let is_sleep = |id: u32| {
        fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep"))
    };
    wait_until(|| is_sleep(sleeper.id()));
    kill_process(Pid::from_child(&sleeper), Signal::ABORT).expect("the signal is sent");
    if !sleeper.wait().expect("it ended").core_dumped() {
        let _ = writeln!(std::io::stderr(), "NOT TESTED: this machine makes no cores at all");
        return;
    }
    for signal in [Signal::ABORT, Signal::QUIT] {
        let (_server, sandbox, mut child) = waiting(|sandbox, command| {
            let program = format!("exec {} backfill", env!("CARGO_BIN_EXE_mdctl"));
            let mut shell = unlimited(&program);
            shell.current_dir(sandbox.path("")).env_clear().env("HOME", sandbox.path("home"));
            shell.env("PATH", "/usr/bin:/bin").env("KEY", KEY).envs(OTHERS);
            shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            *command = shell;
        });
        kill_process(Pid::from_child(&child), signal).expect("the signal is sent");
        let status = child.wait().expect("it ended");
        assert_eq!(status.signal(), Some(signal.as_raw()));
        assert!(!status.core_dumped(), "{signal:?}");
        assert!(!sandbox.holds(KEY), "{signal:?}");
    }
}

#[test]
fn a_panic_tells_none_with_all_its_frames() {
    let market = crate::support::market::Market::daily(&["AAA"], &crate::support::daily_sessions());
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    let mut command = sandbox.command(&["backfill", "-vv", "--log-format", "json"]);
    command.envs(OTHERS).env("RUST_BACKTRACE", "full").env("RUST_LIB_BACKTRACE", "full");
    command.env("MDCTL_TEST_PANIC", "telling");
    let output = sandbox.finish(&mut command);
    output.expect_stderr("a panic was rehearsed").expect_stderr("stack backtrace");
    assert!(!tells(&output.stderr) && !tells(&output.stdout), "{output}");
    assert!(!sandbox.holds(KEY) && !sandbox.holds(MARKER));
}

#[test]
fn a_command_that_is_told_gets_no_secret_but_everything_else() {
    let script = "#!/bin/sh\ntr '\\0' '\\n' < /proc/self/environ > told.environ\n\
                  tr '\\0' '\\n' < /proc/$$/cmdline > told.cmdline\ncat > told.stdin\n";
    let more = r#"
[notify.pager]
kind = "command"
command = ["./page-me", "now"]
[notify.hook]
kind = "slack"
url = { env = "HOOK" }
min_severity = "critical"
[notify.duty]
kind = "webhook"
url = "http://127.0.0.1:9/"
token = { env = "TOKEN" }
"#;
    let sandbox = Sandbox::with(
        &(polygon("http://127.0.0.1:9", "") + &group("p", "stock", &["AAA"], DAILY) + more),
    );
    sandbox.write("page-me", script);
    fs::set_permissions(sandbox.path("page-me"), Permissions::from_mode(0o755)).expect("its mode");
    sandbox.backfill(&[]).expect_code(2);
    let mut command = sandbox.command(&["alerts", "--notify"]);
    // Nobody is to be told over the network here: the hook's address leads nowhere.
    command.envs(OTHERS).env("HOOK", "http://127.0.0.1:9/marker-hook");
    command.env("PATH", "/usr/bin:/bin").env("MINE", "is as it was");
    sandbox.finish(&mut command).expect_code(2).expect_stdout("told pager");
    let environment = sandbox.read("told.environ");
    assert!(environment.contains("MINE=is as it was"), "{environment}");
    for name in ["KEY=", "HOOK=", "TOKEN=", "OTEL_EXPORTER_OTLP_HEADERS="] {
        assert!(!environment.lines().any(|line| line.starts_with(name)), "{environment}");
    }
    assert!(!tells(&environment) && !tells(sandbox.read("told.stdin")));
    assert_eq!(sandbox.read("told.cmdline"), "/bin/sh\n./page-me\nnow\n");
}

#[test]
fn settings_and_keys_print_none() {
    let more = "[notify.hook]\nkind = \"slack\"\nurl = \"https://hooks.example/marker-written\"\n\
                [notify.duty]\nkind = \"pagerduty\"\ntoken = { credential = \"duty\" }\n";
    let config = polygon("http://127.0.0.1:9", "")
        .replace("{ env = \"KEY\" }", "{ file = \"key\" }")
        + &group("p", "stock", &["AAA"], DAILY)
        + more;
    let sandbox = Sandbox::with(&config);
    sandbox.write("key", KEY);
    sandbox.write("credentials/duty", "marker-duty");
    let settings = mdctl::config::load(&sandbox.path("mdctl.toml"), None).expect("a config");
    let key = settings.providers["p"].key.as_ref().expect("a key").resolve().expect("the key");
    assert_eq!(key.expose(), KEY, "it is there");
    for text in [format!("{settings:?}"), format!("{settings:#?}"), format!("{key:?}")] {
        assert!(!tells(&text), "{text}");
    }
}
