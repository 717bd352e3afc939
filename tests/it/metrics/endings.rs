//! However a run ends, its metrics file tells it; the file is whole, for everybody, and never in the way.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use super::exposition::Exposition;
use super::tools::promtool;
use super::{FILE, counters_agree, document, epoch, left, status, steady, watched, watched_at};
use crate::support::market::Market;
use crate::support::server::Answer;
use crate::support::shim::{Shim, Spoil};
use crate::support::{AS_OF, KEY, Output, daily_sessions};

#[test]
fn each_way_to_end_is_told() {
    let (server, sandbox) = watched(&["AAA", "BBB"], "");
    let expect = |output: &Output, code: i32, word: &str| {
        output.expect_code(code);
        let told = left(&sandbox);
        assert_eq!(status(&told), word);
        assert_eq!(told.value("mdctl_last_run_exit_code", &[]), f64::from(code));
        assert_eq!(steady(&told), steady(&super::told(&sandbox)), "{word}");
        promtool(&["check", "metrics"], &sandbox.read(FILE));
    };
    expect(&sandbox.backfill(&["--max-requests", "1"]), 4, "deferred");
    expect(&sandbox.backfill(&[]), 0, "succeeded");
    server.answer_with(|_| Answer::status(404, "{}"));
    expect(&sandbox.backfill(&["--full"]), 2, "failed");
    let told = left(&sandbox);
    assert_eq!(told.value("mdctl_health_issues", &[("code", "last_run_failed")]), 2.0);
    let success = told.value("mdctl_last_success_timestamp_seconds", &[]);
    assert_eq!(success, epoch(&document(&sandbox, &["health"])["last_success_at"]));
}

#[test]
fn a_pause_is_told_and_the_run_before_it_stays_the_last() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    let before = left(&sandbox);
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "a test"]).expect_code(0);
    fs::remove_file(sandbox.path(FILE)).expect("the file goes");
    sandbox.backfill(&[]).expect_code(0);
    let told = left(&sandbox);
    assert_eq!(told.value("mdctl_paused", &[]), 1.0);
    let until = told.value("mdctl_paused_until_timestamp_seconds", &[]);
    assert_eq!(until, epoch(&document(&sandbox, &["health"])["paused"]["until"]));
    assert_eq!(
        told.value("mdctl_runs_total", &[("status", "skipped"), ("command", "backfill")]),
        1.0
    );
    let last = |told: &Exposition| told.value("mdctl_last_run_timestamp_seconds", &[]);
    assert_eq!(last(&told), last(&before));
    assert_eq!(status(&told), "succeeded");
}

#[test]
fn a_signal_is_told() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (server, sandbox) = watched_at(&["AAA", "BBB"], "", move |request| {
        if request.path.contains("/BBB/") { Answer::Hang } else { market.polygon(request) }
    });
    let config = sandbox.read("mdctl.toml").replace("[run]", "[run]\ngrace = \"50ms\"");
    sandbox.write("mdctl.toml", config);
    let run = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(2);
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(143));
    let told = left(&sandbox);
    assert_eq!(status(&told), "interrupted");
    assert_eq!(told.value("mdctl_last_run_exit_code", &[]), 143.0);
    assert_eq!(told.value("mdctl_run_in_progress", &[]), 0.0);
}

#[test]
fn who_finds_another_at_work_is_no_run() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    let before = sandbox.read(FILE);
    let lock = File::create(sandbox.path("mdctl.db.lock")).expect("a file");
    lock.lock().expect("the lock");
    sandbox.backfill(&[]).expect_code(75);
    assert_eq!(sandbox.read(FILE), before);
    sandbox.backfill(&["--dry-run"]).expect_code(0);
    assert_eq!(sandbox.read(FILE), before, "nor is a plan");
}

#[test]
fn a_database_that_cannot_be_opened_is_told() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(sandbox.path(&format!("mdctl.db{ending}")));
    }
    sandbox.write("mdctl.db", "this is no database, but a letter to whoever finds it");
    sandbox.backfill(&[]).expect_code(74);
    let told = left(&sandbox);
    assert_eq!(told.value("mdctl_database_readable", &[]), 0.0);
    assert_eq!(told.value("mdctl_last_run_exit_code", &[]), 74.0);
    assert_eq!(status(&told), "failed");
    let written = told.value("mdctl_metrics_timestamp_seconds", &[]);
    assert!(written - told.value("mdctl_last_run_timestamp_seconds", &[]) < 60.0);
    assert!(!told.has("mdctl_series") && !told.has("mdctl_run_jobs"), "nothing is made up");
    promtool(&["check", "metrics"], &sandbox.read(FILE));
}

#[test]
fn a_run_that_cannot_begin_is_told() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.backfill(&[]).expect_code(0);
    let before = left(&sandbox);
    // The lock's file cannot be opened, and the database can.
    fs::remove_file(sandbox.path("mdctl.db.lock")).expect("the lock's file goes");
    fs::create_dir(sandbox.path("mdctl.db.lock")).expect("a folder in its place");
    let code = sandbox.backfill(&[]).code.expect("it ended by itself");
    assert!([73, 74].contains(&code), "{code}");
    let told = left(&sandbox);
    assert_eq!(told.value("mdctl_last_run_exit_code", &[]), f64::from(code));
    assert_eq!(status(&told), "failed");
    assert!(!told.has("mdctl_run_jobs"), "it had none");
    assert_eq!(told.value("mdctl_database_readable", &[]), 1.0);
    assert_eq!(told.value("mdctl_health_issues", &[("code", "last_run_failed")]), 1.0);
    assert_eq!(told.sum("mdctl_series", &[]), before.sum("mdctl_series", &[]));
    assert_eq!(told.sum("mdctl_runs_total", &[]), 1.0, "it has no row to be counted by");
    fs::remove_dir(sandbox.path("mdctl.db.lock")).expect("the folder goes");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(status(&left(&sandbox)), "succeeded");
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_run_is_told() {
    let (_server, sandbox) = watched(&["AAA", "BBB"], "");
    sandbox.backfill(&[]).expect_code(0);
    let whole = Shim::of(&sandbox);
    let mut run = sandbox.command(&["backfill", "--full", "--as-of", AS_OF]);
    sandbox.finish(whole.before(&mut run)).expect_code(0);
    let steps = whole.steps();
    assert!(steps > 4, "{steps} steps");
    let mut told_of_failure = 0;
    for at in 1..=steps {
        let shim = Shim::of(&sandbox);
        let mut run = sandbox.command(&["backfill", "--full", "--as-of", AS_OF]);
        let run = shim.spoil(&mut run, at, Spoil::Full).env("SHIM_ON", "1");
        let output = sandbox.finish(run);
        let told = left(&sandbox);
        let code = output.code.expect("it ended by itself");
        assert_eq!(
            told.value("mdctl_last_run_exit_code", &[]),
            f64::from(code),
            "step {at}{output}"
        );
        if code != 0 {
            assert_eq!(status(&told), "failed", "step {at}{output}");
            told_of_failure += 1;
        }
        assert_eq!(told.sum("mdctl_run_in_progress", &[]), 0.0, "step {at}");
    }
    assert!(told_of_failure > 2, "{told_of_failure} of {steps} failed");
    sandbox.backfill(&[]).expect_code(0);
    counters_agree(&sandbox, &left(&sandbox));
}

// The file itself.

#[test]
fn the_file_is_for_everybody_and_alone() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.write(FILE, "an older one");
    fs::set_permissions(sandbox.path(FILE), fs::Permissions::from_mode(0o600)).expect("a mode");
    sandbox.backfill(&[]).expect_code(0);
    let mode = fs::metadata(sandbox.path(FILE)).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let names: Vec<_> = fs::read_dir(sandbox.path("metrics")).expect("the folder").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    left(&sandbox);
    assert!(!sandbox.read(FILE).contains(KEY));
}

#[test]
fn a_link_stays_one() {
    let (_server, sandbox) = watched(&["AAA"], "");
    sandbox.write("elsewhere/mdctl.prom", "an older one");
    std::os::unix::fs::symlink("../elsewhere/mdctl.prom", sandbox.path(FILE)).expect("a link");
    sandbox.backfill(&[]).expect_code(0);
    assert!(fs::symlink_metadata(sandbox.path(FILE)).expect("it").is_symlink());
    Exposition::read(&sandbox.read("elsewhere/mdctl.prom"));
}

#[test]
fn a_folder_that_cannot_be_written_is_said_and_fails_nothing() {
    let (_server, sandbox) = watched(&["AAA"], "");
    fs::remove_dir(sandbox.path("metrics")).expect("the folder goes");
    let run = || sandbox.backfill(&["--json"]);
    let warned = |output: &Output| {
        let words =
            ["cannot write the metrics file", FILE, "the run is not affected", "mkdir -p", "ERROR"];
        for words in words {
            output.expect_code(0).expect_stderr(words);
        }
        assert_eq!(output.json()["run"]["exit_code"], 0);
        let run_id = output.json()["run"]["run_id"].as_str().expect("an id").to_owned();
        assert!(output.stderr.lines().all(|line| line.contains(&run_id)), "{output}");
    };
    warned(&run());
    // A file where the folder should be.
    sandbox.write("metrics", "no folder");
    warned(&run());
    // A folder where the file should be.
    fs::remove_file(sandbox.path("metrics")).expect("the file goes");
    fs::create_dir_all(sandbox.path(FILE)).expect("folders");
    warned(&run());
    let left: Vec<_> = fs::read_dir(sandbox.path("metrics")).expect("the folder").collect();
    assert_eq!(left.len(), 1, "nothing half done is left: {left:?}");
}

#[test]
fn the_file_takes_nothing_elses_place() {
    let (_server, sandbox) = watched(&["AAA"], "");
    let config = sandbox.read("mdctl.toml");
    for other in ["mdctl.db", "mdctl.toml"] {
        sandbox.write("mdctl.toml", config.replace(FILE, other));
        let output = sandbox.backfill(&[]);
        output.expect_code(78).expect_stderr("every run replaces this file").expect_stderr(other);
        assert!(sandbox.read("mdctl.toml").contains("[providers.p]"));
    }
}

#[test]
fn without_the_setting_there_is_no_file() {
    let (_server, sandbox) = watched(&["AAA"], "");
    let config = sandbox.read("mdctl.toml").replace("textfile", "# textfile");
    sandbox.write("mdctl.toml", config);
    sandbox.backfill(&[]).expect_code(0);
    assert!(!sandbox.path(FILE).exists());
}

// Shards.

#[test]
fn each_shard_tells_of_its_own_symbols_under_its_label() {
    let symbols: Vec<String> = (0..12).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut told_of = Vec::new();
    for shard in ["0/2", "1/2"] {
        let (_server, sandbox) = watched(&symbols, "");
        sandbox.backfill(&["--shard", shard]).expect_code(0);
        let told = left(&sandbox);
        assert!(told.samples.iter().all(|sample| sample.label("shard") == Some(shard)));
        assert_eq!(told.value("mdctl_series", &[("status", "missing")]), 0.0, "those are others'");
        assert_eq!(told.value("mdctl_health_status", &[]), 0.0);
        let lags = told.all("mdctl_series_lag_seconds", &[]);
        let names = lags.iter().filter_map(|sample| sample.label("symbol").map(str::to_owned));
        told_of.extend(names);
        let arguments = ["metrics", "--format", "prometheus", "--as-of", AS_OF, "--shard", shard];
        let again = sandbox.mdctl(&arguments);
        assert_eq!(steady(&Exposition::read(&again.expect_code(0).stdout)), steady(&told));
        promtool(&["check", "metrics"], &sandbox.read(FILE));
    }
    told_of.sort_unstable();
    assert_eq!(told_of, symbols, "each is exactly one's");
}
