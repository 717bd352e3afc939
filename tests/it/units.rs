//! The schedule: what is printed is the folder `systemd/`, systemd finds nothing to say against it, and an
//! installation writes it once.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Output, Sandbox};

mod elapse;
mod sound;

const SERVICES: [&str; 4] = ["backfill", "enrich", "alerts", "maintenance"];

/// The folder with the units of the usual system install.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

/// The binary as it stands in the units that it writes.
const BINARY: &str = env!("CARGO_BIN_EXE_mdctl");

fn texts(document: &Value) -> Vec<(String, String)> {
    let text = |unit: &Value, field: &str| unit[field].as_str().expect("a text").to_owned();
    let units = document["units"].as_array().expect("units");
    units.iter().map(|unit| (text(unit, "name"), text(unit, "text"))).collect()
}

#[test]
fn what_is_printed_for_a_system_is_the_folder_of_units() {
    // There is no config yet, as where a package is made.
    let sandbox = Sandbox::new();
    let printed = sandbox.mdctl(&["units", "print"]);
    let document = sandbox.mdctl(&["units", "print", "--json"]).expect_code(0).json();
    let texts = texts(&document);
    for (name, text) in &texts {
        let file = fs::read_to_string(folder().join(name)).expect("it stands in the folder");
        assert_eq!(text.replace(BINARY, "/usr/bin/mdctl"), file, "{name}");
        printed.expect_code(0).expect_stdout(text);
    }
    assert_eq!(texts.len(), fs::read_dir(folder()).expect("the folder").count());
    printed.expect_stdout("# /etc/systemd/system/mdctl-enrich.timer\n");
}

#[test]
fn a_bad_schedule_is_a_usage_error() {
    let sandbox = Sandbox::new();
    let print = |schedule| sandbox.mdctl(&["units", "print", "--schedule", schedule]);
    print("enrihc=02:00").expect_code(64).expect_stderr("did you mean `enrich`?");
    print("02:00").expect_code(64).expect_stderr("NAME=CALENDAR");
    print("enrich=").expect_code(64).expect_stderr("empty");
    print("enrich=02:00\nExecStart=/bin/x").expect_code(64).expect_stderr("not one line");
    let output = print("backfill=*:0/30,enrich=Mon,Tue 02:00");
    output.expect_code(0).expect_stdout("\nOnCalendar=*:0/30\n").expect_stdout("=Mon,Tue 02:00\n");
    output.expect_stdout("OnCalendar=Sun *-*-* 03:30:00 UTC");
}

#[test]
fn a_calendar_that_systemd_refuses_is_refused_where_systemd_is_there() {
    let sandbox = Sandbox::new();
    let print = |path: &Path| {
        let mut command = sandbox.command(&["units", "print", "--schedule", "alerts=whenever"]);
        sandbox.finish(command.env("PATH", path))
    };
    print(Path::new("/nowhere")).expect_code(0).expect_stdout("\nOnCalendar=whenever\n");
    program(&sandbox, "systemd-analyze", "echo \"Failed to parse $*\" >&2; exit 1");
    let output = print(&sandbox.path("bin"));
    output.expect_code(64).expect_stderr("Failed to parse calendar -- whenever");
    assert_eq!(output.stdout, "");
}

/// Puts a program of that name into the sandbox's `bin`.
fn program(sandbox: &Sandbox, name: &str, script: &str) {
    let path = format!("bin/{name}");
    sandbox.write(&path, format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(sandbox.path(&path), fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// What an installation says of each file, by name.
fn states(output: &Output) -> Vec<String> {
    let document = output.json();
    let files = document["files"].as_array().expect("files");
    files.iter().map(|file| file["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn an_installation_into_a_folder_is_written_once_and_keeps_drop_ins() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("image");
    let root = root.to_str().expect("a path");
    let install = |more: &[&str]| {
        sandbox.mdctl(&[&["units", "install", "--root", root, "--json"], more].concat())
    };
    let first = install(&[]);
    assert_eq!(states(first.expect_code(0)), ["written"; 10]);
    let drop_in = "image/etc/systemd/system/mdctl-backfill.service.d/override.conf";
    sandbox.write(drop_in, "[Service]\nNice=5\n");
    assert_eq!(states(install(&[]).expect_code(0)), ["unchanged"; 10]);
    let changed = install(&["--schedule", "alerts=*:0/5"]);
    let changed: Vec<_> = states(&changed).into_iter().filter(|state| state == "written").collect();
    assert_eq!(changed.len(), 1);
    let timer = sandbox.read("image/etc/systemd/system/mdctl-alerts.timer");
    assert!(timer.contains("\nOnCalendar=*:0/5\n"), "{timer}");
    assert_eq!(sandbox.read(drop_in), "[Service]\nNice=5\n");
    assert!(sandbox.read("image/etc/sysusers.d/mdctl.conf").contains("u mdctl "));
    assert!(
        sandbox.read("image/etc/tmpfiles.d/mdctl.conf").contains("d /var/lib/mdctl 0750 mdctl")
    );
    let left = first.json()["left"].to_string();
    assert!(left.contains("systemctl enable --now mdctl-backfill.timer"), "{left}");
}

#[test]
fn a_link_of_an_image_leads_nowhere_else() {
    let sandbox = Sandbox::new();
    let (image, outside) = (sandbox.path("image"), sandbox.path("outside"));
    fs::create_dir_all(&image).expect("a folder");
    fs::create_dir_all(&outside).expect("a folder");
    std::os::unix::fs::symlink(&outside, image.join("etc")).expect("a link");
    let output = sandbox.mdctl(&["units", "install", "--root", "image"]);
    output.expect_code(73).expect_stderr("a link leads out of");
    assert_eq!(
        fs::read_dir(&outside).expect("it is read").count(),
        0,
        "something went out{output}"
    );
}

#[test]
fn what_a_package_has_brought_is_not_written_again() {
    let sandbox = Sandbox::new();
    let install = |more: &[&str]| {
        let root = sandbox.path("image");
        let root = root.to_str().expect("a path");
        sandbox.mdctl(&[&["units", "install", "--json", "--root", root], more].concat())
    };
    let units = texts(&sandbox.mdctl(&["units", "--json"]).json());
    for (name, text) in units.iter().filter(|(name, _)| name.starts_with("mdctl-")) {
        sandbox.write(&format!("image/usr/lib/systemd/system/{name}"), text);
    }
    let states = states(install(&[]).expect_code(0));
    assert_eq!(states.iter().filter(|state| *state == "packaged").count(), 8, "{states:?}");
    assert!(!sandbox.path("image/etc/systemd").exists());
    // Another schedule is an administrator's, and goes before the package's.
    install(&["--schedule", "enrich=02:00"]).expect_code(0);
    assert!(sandbox.path("image/etc/systemd/system/mdctl-enrich.timer").exists());
}

#[test]
fn a_copy_that_has_become_the_packages_own_makes_way_for_it() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("image").display().to_string();
    let install = |more: &[&str]| {
        sandbox.mdctl(&[&["units", "install", "--json", "--root", &root], more].concat())
    };
    install(&["--schedule", "enrich=02:00"]).expect_code(0);
    for (name, text) in texts(&sandbox.mdctl(&["units", "--json"]).json()) {
        sandbox.write(&format!("image/usr/lib/systemd/system/{name}"), text);
    }
    let places = || fs::read_dir(sandbox.path("image/etc/systemd/system")).expect("units").count();
    assert_eq!(places(), 8);
    install(&[]).expect_code(0).expect_stdout("enrich stays at 02:00");
    assert_eq!(places(), 1, "what differs from the package's");
    let usual = "enrich=*-*-* 01:30:00 UTC";
    assert!(states(install(&["--schedule", usual]).expect_code(0)).contains(&"packaged".into()));
    assert_eq!(places(), 0);
    // One that is masked stays so.
    let masked = sandbox.path("image/etc/systemd/system/mdctl-alerts.timer");
    std::os::unix::fs::symlink("/dev/null", &masked).expect("it is masked");
    install(&[]).expect_code(0);
    assert!(masked.symlink_metadata().expect("it is there").is_symlink());
}

#[test]
fn what_an_installation_was_given_once_stays_until_it_is_given_anew() {
    let sandbox = Sandbox::new();
    sandbox.write("50% of $it/mdctl.toml", "");
    let config = sandbox.path("50% of $it/mdctl.toml").display().to_string();
    let install = |more: &[&str]| {
        sandbox.mdctl(&[&["units", "install", "--user", "--config", &config], more].concat())
    };
    let database = sandbox.path("my $ 50%.db").display().to_string();
    let first = install(&["--db", &database, "--schedule", "enrich=Mon *-*-* 02:00,alerts=*:0/5"]);
    assert!(!first.expect_code(0).stdout.contains(" stays "), "{first}");
    let units = || {
        ["backfill.service", "enrich.timer", "alerts.timer"]
            .map(|unit| sandbox.read(&format!("home/.config/systemd/user/mdctl-{unit}")))
    };
    let before = units();
    let again = install(&[]);
    again.expect_code(0).expect_stdout("enrich stays at Mon *-*-* 02:00, as it was");
    again.expect_stdout(&format!("the database stays {database}, as it was"));
    assert_eq!(units(), before);
    let anew = install(&["--schedule", "alerts=*:0/15"]);
    anew.expect_code(0).expect_stdout("enrich stays at");
    assert!(!anew.stdout.contains("alerts stays"), "{anew}");
    assert!(units()[2].contains("\nOnCalendar=*:0/15\n"), "{:?}", units());
}

#[test]
fn the_systems_units_take_root_and_a_config() {
    let sandbox = Sandbox::with("");
    let mut command = sandbox.command(&["units", "install"]);
    if rustix::process::geteuid().is_root() {
        command = Command::new("setpriv");
        command.args(["--reuid=4711", "--regid=4711", "--clear-groups"]);
        command.args([BINARY, "units", "install"]).env_clear();
    }
    let output = sandbox.finish(&mut command);
    if !output.stderr.contains("Permission denied") {
        output.expect_code(73).expect_stderr("sudo ").expect_stderr("units install --user");
    }
}

#[test]
fn what_the_systems_units_would_not_see_is_said() {
    let sandbox = Sandbox::with("[metrics]\ntextfile = \"/srv/metrics/mdctl.prom\"\n");
    let output = sandbox.mdctl(&["units", "--config", "mdctl.toml"]);
    let place = sandbox.path("mdctl.toml");
    output.expect_code(0).expect_stdout(&format!("--config {} backfill\n", place.display()));
    output.expect_stdout("\nReadWritePaths=-/srv/metrics\n");
    output.expect_stderr("does not see").expect_stderr("--user");
}

#[test]
fn whatever_runs_read_or_start_in_a_home_is_said_to_be_unseen() {
    for (more, unseen) in [
        (
            "[providers.p]\nkind = \"polygon\"\napi_key = { file = \"/home/me/p.key\" }\n",
            "/home/me/p.key",
        ),
        (
            "[notify.n]\nkind = \"command\"\ncommand = [\"/root/bin/page-me\"]\n",
            "/root/bin/page-me",
        ),
        ("[notify.n]\nkind = \"webhook\"\nurl = { file = \"/tmp/hook.url\" }\n", "/tmp/hook.url"),
    ] {
        let output = listed(more);
        output.expect_code(0).expect_stderr("a unit of the system does not see /");
        output.expect_stderr(unseen);
    }
    let symbols = "[providers.b]\nkind = \"binance\"\n[[group]]\nname = \"g\"\nprovider = \"b\"\n\
                   asset_class = \"crypto\"\ntimeframes = [\"1d\"]\nsymbols_file = \"SYMBOLS\"\n";
    let sandbox = Sandbox::new();
    sandbox.write("symbols.csv", "symbol\nBTCUSDT\n");
    let file = sandbox.path("symbols.csv").display().to_string();
    let output = listed(&symbols.replace("SYMBOLS", &file));
    output.expect_code(0);
    let hidden = file.starts_with("/tmp/").then_some(file.as_str());
    output.expect_stderr(hidden.unwrap_or_default());
}

/// What is said of the system's units for a config with that, which stands where they see it.
fn listed(config: &str) -> Output {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let path = folder.path().join("mdctl.toml");
    fs::write(&path, config).expect("it is written");
    Sandbox::new().mdctl(&["units", "print", "--config", path.to_str().expect("a path")])
}

#[test]
fn which_config_is_meant_is_said_where_another_would_be_found() {
    let sandbox = Sandbox::with("");
    let note = "these are for /etc/mdctl/mdctl.toml; --config mdctl.toml is for";
    sandbox.mdctl(&["units", "print"]).expect_code(0).expect_stderr(note);
    for other in [&["--user"][..], &["--config", "mdctl.toml"]] {
        let output = sandbox.mdctl(&[&["units", "print"], other].concat());
        assert!(!output.expect_code(0).stderr.contains("these are for"), "{output}");
    }
    let nowhere = Sandbox::new().mdctl(&["units", "print"]);
    assert!(!nowhere.stderr.contains("these are for"), "{nowhere}");
}

#[test]
fn a_database_that_contradicts_itself_is_backed_up_and_not_pruned() {
    let (_server, sandbox) = crate::support::daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.tamper(
        "UPDATE series SET bar_count = 7; UPDATE runs SET started_at = 1, completed_at = 2",
    );
    let commands = |text: &str, marker: &str| -> Vec<String> {
        let calls = text.lines().filter_map(|line| line.split_once(marker));
        calls
            .map(|(_, rest)| rest.split_once(" db ").expect("of the database").1.to_owned())
            .collect()
    };
    let units = texts(&sandbox.mdctl(&["units", "--json"]).json());
    let unit = units.iter().find(|(name, _)| name == "mdctl-maintenance.service").expect("a unit");
    assert_eq!(commands(&unit.1, "ExecStart="), ["backup --keep 4", "check", "prune"]);
    let lines = sandbox.mdctl(&["units", "print", "--cron"]).expect_code(0).stdout.clone();
    let line = lines.lines().find(|line| line.contains(" db backup")).expect("a line");
    let maintenance = line.splitn(6, ' ').nth(5).expect("a command");
    sandbox.finish(Command::new("sh").args(["-c", maintenance]).current_dir(sandbox.path("")));
    assert_eq!(fs::read_dir(sandbox.path("backups")).expect("the folder").count(), 1);
    assert_eq!(
        sandbox.database().number("SELECT count(*) FROM runs"),
        1,
        "it is there to be looked at"
    );
}

#[test]
fn a_users_units_name_the_users_config_and_are_written_once() {
    let sandbox = Sandbox::with("[run]\ngrace = \"5m\"\n");
    let install = || sandbox.mdctl(&["units", "install", "--user", "--json"]);
    let first = install();
    assert_eq!(states(first.expect_code(0)), ["written"; 8]);
    assert_eq!(states(install().expect_code(0)), ["unchanged"; 8]);
    let service = sandbox.read("home/.config/systemd/user/mdctl-enrich.service");
    let start = format!(
        "\nExecStart={BINARY} --config {} enrich --wait 2h\n",
        sandbox.path("mdctl.toml").display()
    );
    assert!(service.contains(&start), "{service}");
    assert!(service.contains("\nTimeoutStopSec=330s\n"), "{service}");
    assert!(!service.contains("User="), "{service}");
    let left = first.json()["left"].to_string();
    assert!(left.contains("loginctl enable-linger"), "{left}");
    assert!(left.contains("systemctl --user enable --now mdctl-backfill.timer"), "{left}");
}

#[test]
fn units_that_were_for_another_config_are_said_to_be() {
    let sandbox = Sandbox::new();
    sandbox.write("a/mdctl.toml", "");
    sandbox.write("b/mdctl.toml", "");
    let install = |config| sandbox.mdctl(&["units", "install", "--user", "--config", config]);
    assert!(!install("a/mdctl.toml").expect_code(0).stdout.contains("the former"));
    let output = install("b/mdctl.toml");
    let (before, now) = (sandbox.path("a/mdctl.toml"), sandbox.path("b/mdctl.toml"));
    let words =
        format!("were those of {}, and are now those of {}", before.display(), now.display());
    output.expect_code(0).expect_stdout(&words);
}

/// In a mount namespace of its own nothing of the system is touched: its folders are empty ones there, and
/// no systemd is at work.
#[test]
fn a_system_install_makes_the_user_and_the_folders_and_says_what_is_left() {
    let script = "for folder in /etc /run /var/lib /var/log; do mount -t tmpfs none $folder; done && \
                  echo root:x:0:0::/:/bin/sh >/etc/passwd && echo root:x:0: >/etc/group && \
                  mkdir /etc/mdctl /var/lib/bin && cp \"$0\" /var/lib/bin/mdctl && \
                  echo 'run.grace = \"5s\"' >/etc/mdctl/mdctl.toml && umask 077 && \
                  mkdir /var/lib/mdctl && echo old >/var/lib/mdctl/mdctl.db && \
                  cd / && /var/lib/bin/mdctl units install && \
                  rm /var/lib/mdctl/mdctl.db && /var/lib/bin/mdctl units install | grep migrate && \
                  /var/lib/bin/mdctl db check && \
                  stat -c '%a %U %G %n' /etc/mdctl /etc/mdctl/* /var/lib/mdctl /var/lib/mdctl/* /var/log/mdctl";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, BINARY]);
    let sandbox = Sandbox::new();
    let output = sandbox.finish(&mut command);
    let lacks =
        ["unshare failed", "systemd-sysusers mdctl.conf", "systemd-tmpfiles --create mdctl.conf"];
    let said = format!("{}{}", output.stdout, output.stderr);
    if !rustix::process::geteuid().is_root() || lacks.iter().any(|lack| said.contains(lack)) {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "\n*** SKIPPED: no system to install into: {} ***", output.stderr);
        return;
    }
    output.expect_code(0);
    for line in [
        "done       systemd-sysusers /etc/sysusers.d/mdctl.conf",
        "done       systemd-tmpfiles --create /etc/tmpfiles.d/mdctl.conf",
        "left to do:\n  systemctl daemon-reload\n  systemctl enable --now mdctl-backfill.timer",
        "750 root mdctl /etc/mdctl\n",
        "700 root root /etc/mdctl/credentials\n",
        "640 root mdctl /etc/mdctl/mdctl.toml\n",
        "750 mdctl mdctl /var/lib/mdctl\n",
        "done       mdctl db migrate\n",
        "/var/lib/mdctl/mdctl.db: sound\n",
        "640 mdctl mdctl /var/lib/mdctl/mdctl.db\n",
        "750 mdctl mdctl /var/log/mdctl\n",
    ] {
        output.expect_stdout(line);
    }
}

#[test]
fn a_key_that_units_would_not_hear_of_is_said() {
    let config = "[providers.p]\nkind = \"polygon\"\napi_key = { env = \"KEY\" }\n";
    let output = Sandbox::with(config).mdctl(&["units", "install", "--user"]);
    output.expect_code(0).expect_stdout("no environment variable KEY");
    output.expect_stdout("credentials/key").expect_stdout("{ credential = \"key\" }");
}

#[test]
fn a_running_manager_is_told_and_what_it_refuses_is_left() {
    let sandbox = Sandbox::with("");
    fs::create_dir_all(sandbox.path("runtime/systemd")).expect("a manager at work");
    let install = |script: &str| {
        program(&sandbox, "systemctl", script);
        let mut command = sandbox.command(&["units", "install", "--user", "--json"]);
        command.env("PATH", format!("{}:/usr/bin:/bin", sandbox.path("bin").display()));
        sandbox.finish(command.env("XDG_RUNTIME_DIR", sandbox.path("runtime")))
    };
    let document = install("echo \"$*\" >>told").expect_code(0).json();
    assert_eq!(
        document["done"],
        serde_json::json!([
            "systemctl --user daemon-reload",
            "systemctl --user enable --now mdctl-backfill.timer mdctl-enrich.timer \
             mdctl-alerts.timer mdctl-maintenance.timer"
        ])
    );
    assert!(sandbox.read("told").starts_with("--user daemon-reload\n--user enable --now "));
    let document = install("echo 'no bus' >&2; exit 1").expect_code(74).json();
    assert_eq!(document["failed"][0], "systemctl --user daemon-reload");
    assert_eq!(document["done"], serde_json::json!([]));
    assert_eq!(document["left"][0], "systemctl --user daemon-reload   # no bus");
}

#[test]
fn cron_lines_do_the_same() {
    let sandbox = Sandbox::new();
    sandbox.mdctl(&["init", "--sample", "50% of it"]).expect_code(0);
    let config = sandbox.path("50% of it/mdctl.toml");
    let config = config.to_str().expect("a path");
    let output = sandbox.mdctl(&["units", "print", "--cron", "--config", config]);
    output.expect_code(0);
    assert_eq!(output.stderr, "");
    let lines: Vec<&str> = output.stdout.lines().filter(|it| !it.starts_with(['#', 'C'])).collect();
    assert_eq!(lines.len(), SERVICES.len());
    for line in lines {
        // As cron does: five fields, then a command that ends at a percent sign, unless it is escaped.
        let command = line.splitn(6, ' ').nth(5).expect("a command");
        assert_eq!(command.matches('%').count(), command.matches("\\%").count(), "{command}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &command.replace("\\%", "%")]).env_clear().current_dir("/");
        let output = sandbox.finish(&mut shell);
        // Of the sample's bars, which end years ago, the alerts tell.
        assert!(output.code < Some(3), "{output:#}");
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""), "{command}");
    }
    let history = sandbox.mdctl(&["history", "--config", config, "--json"]).json();
    let runs = history["runs"].as_array().expect("runs");
    let told: Vec<_> = runs.iter().map(|run| (&run["command"], &run["trigger"])).collect();
    assert_eq!(told, [(&"enrich".into(), &"cron".into()), (&"backfill".into(), &"cron".into())]);
    sandbox
        .mdctl(&["units", "print", "--cron", "--schedule", "enrich=02:00"])
        .expect_code(64)
        .expect_stderr("--cron");
}
