//! Disks that fill, break or may not be written, databases that are locked or damaged, too few file
//! descriptors: the cause and the remedy are said, the code is 74, and what was committed stays.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::Connection;

use crate::crash::{
    another, assert_alike, assert_completes, contents, note, opened, provider, small,
};
use crate::support::server::Answer;
use crate::support::shim::{Shim, Spoil};
use crate::support::{AS_OF, KEY, Output, Sandbox, daily_stocks, wait_until};

/// Asserts that a call failed for want of its disk or database: the code, one line that says why with
/// those words, one that says what to do, and no key.
#[track_caller]
fn assert_said(output: &Output, cause: &[&str]) {
    output.expect_code(74);
    let lines = |begin: &str| {
        output.stderr.lines().filter(|line| line.starts_with(begin)).collect::<Vec<_>>()
    };
    let (errors, hints) = (lines("error: "), lines("hint: "));
    assert!(errors.len() == 1 && hints.len() == 1, "not one error and one hint{output}");
    assert!(cause.iter().any(|words| errors[0].contains(words)), "expected {cause:?}{output}");
    assert!(errors[0].contains("mdctl.db"), "the path is not said{output}");
    assert!(!output.stderr.contains(KEY) && !output.stdout.contains(KEY), "a key is said{output}");
}

/// The days of a database, if there is one.
fn days(sandbox: &Sandbox) -> u64 {
    let sql = "SELECT count(*) FROM bars JOIN series USING (series_id) WHERE timeframe = '1d'";
    let days = opened(sandbox).map_or(0, |database| database.number(sql));
    u64::try_from(days).expect("a count")
}

/// The new bars of the pages that a run said were stored; it says so of each once it is committed.
fn said_stored(output: &Output) -> u64 {
    let pages = output.stderr.lines().filter(|line| line.contains("page stored"));
    let inserted = pages.filter_map(|line| line.split("inserted=").nth(1));
    inserted
        .map(|rest| rest.split(' ').next().unwrap_or_default())
        .map(|number| number.parse::<u64>().expect("a number"))
        .sum()
}

/// The runs that could not go on and say of themselves what their jobs' and their log's rows do not say.
fn runs_that_claim_more(sandbox: &Sandbox) -> i64 {
    let sql = "SELECT count(*) FROM runs AS r WHERE status = 'failed'
        AND (successful <> (SELECT count(*) FROM jobs AS j WHERE j.run_id = r.run_id AND j.status = 'completed')
             OR records_inserted <> (SELECT coalesce(sum(f.records_inserted), 0) FROM fetch_log AS f
                                     WHERE f.run_id = r.run_id))";
    opened(sandbox).map_or(0, |database| database.number(sql))
}

/// Fails every step to the disk in turn, and all later ones; tells how many failed.
fn every_step_fails(spoil: Spoil, cause: &[&str]) -> u64 {
    let (server, whole) = small(provider(&[]));
    whole.backfill(&["-q"]).expect_code(0);
    let expected = contents(&whole);
    let pages = server.take_requests().len();
    let mut random = fastrand::Rng::with_seed(0x6469_736b);
    let mut most_said = 0;
    for at in 1.. {
        let sandbox = another(&whole);
        let what = format!("{spoil:?} at step {at}");
        let for_good = random.bool();
        let mut run = sandbox.command(&["backfill", "--as-of", AS_OF, "-vv"]);
        let shim = Shim::of(&sandbox);
        let run = shim.spoil(&mut run, at, spoil);
        if for_good {
            run.env("SHIM_ON", "1");
        }
        server.take_requests();
        let output = sandbox.finish(run);
        assert!(server.take_requests().len() <= pages, "{what}: asked again{output}");
        let (said, held) = (said_stored(&output), days(&sandbox));
        assert!(held >= said, "{what}: {said} bars were committed, {held} are there{output}");
        most_said = most_said.max(said);
        assert_eq!(runs_that_claim_more(&sandbox), 0, "{what}: more than is there{output}");
        if output.code == Some(0) {
            // What is done for tidiness only may fail.
            if shim.steps() < at {
                assert!(most_said > 10, "only {most_said} bars were ever committed");
                return at - 1;
            }
            assert_alike(&contents(&sandbox), &expected, &what);
        } else {
            assert_said(&output, cause);
        }
        assert_completes(&sandbox, &expected, &what);
    }
    0
}

#[test]
fn a_disk_that_is_full_from_any_step_on_is_said_and_costs_nothing_that_was_committed() {
    // Of a sync or a truncation that fails, SQLite does not say why.
    let steps = every_step_fails(Spoil::Full, &["disk is full", "disk failed"]);
    note(&format!("{steps} steps failed for want of space"));
    assert!(steps > 60, "only {steps} steps");
}

#[test]
fn a_disk_that_breaks_at_any_step_is_said_and_costs_nothing_that_was_committed() {
    let steps = every_step_fails(Spoil::Broken, &["disk failed"]);
    note(&format!("{steps} steps failed for a broken disk"));
    assert!(steps > 60, "only {steps} steps");
}

// Disks that fill, and that may not be written.

/// Runs a shell script in a namespace of its own, where it may mount what it likes; `$mdctl` is the
/// binary. `false`, said aloud, where the machine allows no such thing.
fn script(sandbox: &Sandbox, script: &str) -> bool {
    let namespace = |arguments: &[&str], script: &str| {
        let mut command = Command::new("unshare");
        command.args(arguments).args(["sh", "-euc", script]).current_dir(sandbox.path(""));
        command.env("mdctl", env!("CARGO_BIN_EXE_mdctl")).env("KEY", KEY).env("NO_COLOR", "1");
        command
    };
    fs::create_dir_all(sandbox.path("disk")).expect("a folder");
    let may = |arguments: &[&str]| {
        let trial = namespace(arguments, "mount -t tmpfs none disk").output();
        trial.is_ok_and(|output| output.status.success())
    };
    let Some(arguments) = [&["-m"][..], &["-Urm"]].into_iter().find(|arguments| may(arguments))
    else {
        note("NOT TESTED: neither mount nor unshare -Urm may mount a tmpfs here");
        return false;
    };
    let output = sandbox.finish(&mut namespace(arguments, script));
    output.expect_code(0);
    true
}

/// What the script has left of a call: its code and stderr in `NAME.code` and `NAME.err`.
fn left(sandbox: &Sandbox, name: &str) -> Output {
    let mut command = Command::new("sh");
    let shown = format!("cat {name}.err >&2; exit $(cat {name}.code)");
    sandbox.finish(command.args(["-c", &shown]).current_dir(sandbox.path("")))
}

/// A line of a script that runs a `backfill` of the database on the mounted disk.
fn call(name: &str, as_of: &str) -> String {
    let run = format!("$mdctl backfill --db disk/mdctl.db --as-of {as_of} -q");
    format!("code=0; {run} >/dev/null 2>{name}.err || code=$?; echo $code >{name}.code\n")
}

#[test]
fn a_disk_that_really_fills_is_said_and_costs_nothing_that_was_committed() {
    let (_server, whole) = small(provider(&[]));
    whole.backfill(&["-q"]).expect_code(0);
    let expected = contents(&whole);
    let mut full = 0;
    for kilobytes in [48, 96, 128, 160, 192, 224, 256, 320] {
        let sandbox = another(&whole);
        let lines = format!("mount -t tmpfs -o size={kilobytes}k none disk\n")
            + &call("full", AS_OF)
            + "mount -o remount,size=64m disk\n"
            + &call("more", AS_OF)
            + "cp disk/mdctl.db .\n";
        if !script(&sandbox, &lines) {
            return;
        }
        let output = left(&sandbox, "full");
        if output.code != Some(0) {
            assert_said(&output, &["disk is full", "No space left", "disk failed"]);
            full += 1;
        }
        left(&sandbox, "more").expect_code(0);
        assert_completes(&sandbox, &expected, &format!("{kilobytes} kB"));
    }
    assert!(full > 3, "only {full} disks were full");
}

#[test]
fn what_may_not_be_written_is_said_and_still_read() {
    let bars = "$mdctl --db disk/mdctl.db bars AAA --timeframe 1d --as-of 2024-03-08 --format csv";
    let check = "$mdctl --db disk/mdctl.db db check >/dev/null\n";
    let cases = [
        ("a disk", "mount -o remount,ro disk\n"),
        ("a disk, without a lock's file", "rm disk/mdctl.db.lock; mount -o remount,ro disk\n"),
        (
            "a file",
            "mount --bind disk/mdctl.db disk/mdctl.db; mount -o remount,bind,ro disk/mdctl.db\n",
        ),
    ];
    for (what, shut) in cases {
        let (server, sandbox) = small(provider(&[]));
        let lines = "mount -t tmpfs none disk\n".to_owned()
            + &call("first", "2024-03-08")
            + &format!("{bars} >before.csv\n")
            + shut
            + &call("shut", AS_OF)
            + &format!("{bars} >after.csv\n")
            + check;
        if !script(&sandbox, &lines) {
            return;
        }
        left(&sandbox, "first").expect_code(0);
        let output = left(&sandbox, "shut");
        assert_said(&output, &["cannot be written", "cannot write"]);
        assert!(output.stderr.contains("mounted") || output.stderr.contains("findmnt"), "{output}");
        let asked = crate::support::asked(&server.requests());
        assert!(asked.iter().all(|asked| !asked.ends_with(AS_OF)), "{what}: {asked:?}");
        assert_eq!(sandbox.read("before.csv"), sandbox.read("after.csv"), "{what}");
        assert!(sandbox.read("after.csv").lines().count() > 15, "{what}");
    }
}

#[test]
fn on_a_disk_that_may_not_be_written_no_database_is_made() {
    let (server, sandbox) = small(provider(&[]));
    let lines = "mount -t tmpfs -o ro none disk\n".to_owned() + &call("none", AS_OF);
    if script(&sandbox, &lines) {
        left(&sandbox, "none").expect_code(73).expect_stderr("Read-only").expect_stderr("hint: ");
        assert_eq!(server.requests().len(), 0);
    }
}

// Locked.

#[test]
fn a_database_locked_by_another_program_is_said() {
    let (server, sandbox) = small(provider(&[]));
    sandbox.backfill_at("2024-03-08", &["-q"]).expect_code(0);
    server.take_requests();
    let other = Connection::open(sandbox.path("mdctl.db")).expect("a connection");
    other.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let output = sandbox.backfill(&["-q"]);
    assert_said(&output, &["another program holds mdctl.db locked"]);
    assert_eq!(server.requests().len(), 0);
    // Reports do not mind.
    sandbox.mdctl(&["bars", "AAA", "--timeframe", "1d"]).expect_code(0);
    other.execute_batch("COMMIT").expect("it lets go");
    sandbox.backfill(&["-q"]).expect_code(0);
}

#[test]
fn a_lock_taken_in_the_middle_of_a_run_costs_nothing_that_was_committed() {
    let (server, whole) = small(provider(&[]));
    whole.backfill(&["-q"]).expect_code(0);
    let expected = contents(&whole);
    let sandbox = another(&whole);
    let path = sandbox.path("mdctl.db");
    let (answering, answered) = (provider(&[]), AtomicUsize::new(0));
    let held = Mutex::new(None);
    server.answer_with(move |request| {
        if answered.fetch_add(1, Ordering::SeqCst) == 2 {
            // Two pages have come; the lock is taken once something of them is written.
            wait_until(|| count(&path, "SELECT count(*) FROM coverage") > 0);
            let other = Connection::open(&path).expect("a connection");
            other.busy_timeout(Duration::from_secs(60)).expect("patience");
            other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
            *held.lock().expect("nobody failed") = Some(other);
        }
        answering(request)
    });
    let output = sandbox.mdctl(&["backfill", "--as-of", AS_OF, "-vv"]);
    assert_said(&output, &["another program holds mdctl.db locked"]);
    let said = said_stored(&output);
    assert!(said > 0 && days(&sandbox) >= said, "{said} bars were committed{output}");
    // The lock goes with who answered.
    server.answer_with(provider(&[]));
    assert_completes(&sandbox, &expected, "after the lock");
}

#[test]
fn a_run_that_could_not_go_on_tells_how_long_it_waited_for_a_quota() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.tamper(
        "CREATE TRIGGER full BEFORE INSERT ON fetch_log WHEN (SELECT count(*) FROM fetch_log) > 0
         BEGIN SELECT RAISE(ABORT, 'no more'); END",
    );
    let config = sandbox.read("mdctl.toml");
    let usual = r#"requests = 1000, per = "1s""#;
    assert!(config.contains(usual));
    sandbox.write("mdctl.toml", config.replace(usual, r#"requests = 1, per = "2s""#));
    sandbox.backfill(&["-q"]).expect_code(74);
    let database = sandbox.database();
    assert_eq!(database.texts("SELECT status FROM runs"), ["failed"]);
    let waited = database.number("SELECT quota_wait_seconds FROM runs");
    assert!(waited >= 1, "{waited} s, and the second request waited for two");
}

/// The one number that a query of the database at `path` gives; 0 while it cannot be asked.
fn count(path: &Path, sql: &str) -> i64 {
    let connection = Connection::open(path).expect("a connection");
    connection.query_row(sql, [], |row| row.get(0)).unwrap_or(0)
}

// Damaged.

#[test]
fn a_damaged_page_is_named_and_nobody_breaks_down_over_it() {
    let (_server, whole) = small(provider(&[]));
    whole.backfill(&["-q"]).expect_code(0);
    let sound = fs::read(whole.path("mdctl.db")).expect("the database");
    let bars = whole.mdctl(&["bars", "AAA", "--timeframe", "1d", "--format", "csv"]).stdout;
    let mut random = fastrand::Rng::with_seed(0x7061_6765);
    let (mut failed_runs, mut failed_reports) = (0, 0);
    for page in 1..sound.len() / 4_096 {
        let mut bytes = sound.clone();
        let page = page * 4_096..(page + 1) * 4_096;
        let what = format!("page {} of {}", page.start / 4_096 + 1, sound.len() / 4_096);
        bytes[page].fill_with(|| random.u8(..));
        let sandbox = another(&whole);
        sandbox.write("mdctl.db", &bytes);
        let check = sandbox.mdctl(&["db", "check"]);
        check.expect_code(74);
        let named = format!("{}{}", check.stdout, check.stderr);
        let words = ["page", "damaged", "Tree", "index", "row", "ptrmap"];
        assert!(words.iter().any(|word| named.contains(word)), "{what}{check}");
        for report in [
            &["bars", "AAA", "--timeframe", "1d", "--format", "csv"][..],
            &["staleness"],
            &["history", "last"],
            &["status"],
            &["gaps"],
            &["health"],
        ] {
            let output = sandbox.mdctl(report);
            let known = report[0] == "health" && matches!(output.code, Some(1 | 2));
            assert!(known || matches!(output.code, Some(0 | 3)), "{what}{output}");
            failed_reports += usize::from(output.code == Some(3));
            if report[0] == "bars" && output.code == Some(0) {
                assert_eq!(output.stdout, bars, "{what}");
            }
        }
        let run = sandbox.backfill_at("2024-03-18", &["-q"]);
        if run.code != Some(0) {
            assert_said(&run, &["damaged"]);
            assert!(run.stderr.contains("restore a backup"), "{run}");
            failed_runs += 1;
        }
    }
    assert!(failed_runs > 3 && failed_reports > 10, "{failed_runs} runs, {failed_reports} reports");
}

// Few files.

#[test]
fn with_few_file_descriptors_a_run_works_or_says_what_it_lacks() {
    let symbols = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"];
    let (_server, whole) = daily_stocks(&symbols);
    whole.backfill(&["-q"]).expect_code(0);
    let expected = contents(&whole);
    for files in (4..=24).rev() {
        let sandbox = another(&whole);
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_mdctl"), "backfill", "-q"]);
        command.args(["--as-of", AS_OF, "--parallel", "6"]).current_dir(sandbox.path(""));
        let output = sandbox.finish(command.env("KEY", KEY));
        note(&format!("{files} files: {:?}\n{}", output.code, output.stderr));
        match output.code {
            Some(0) => assert_alike(&contents(&sandbox), &expected, "with few files"),
            Some(74) => {
                output.expect_stderr("oo many").expect_stderr("hint: raise the limit");
            }
            _ => panic!("{files} files{output}"),
        }
        assert_completes(&sandbox, &expected, "after few files");
    }
}

#[test]
fn a_file_that_may_not_grow_further_is_an_error_and_no_death() {
    let (_server, whole) = daily_stocks(&["AAA"]);
    let sandbox = another(&whole);
    let mut command = Command::new("sh");
    // In blocks of 512 bytes, or of 1,024: less than the schema takes.
    command.args([
        "-c",
        "ulimit -f 40; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_mdctl"),
        "backfill",
    ]);
    command.args(["-q", "--as-of", AS_OF]).current_dir(sandbox.path(""));
    let output = sandbox.finish(command.env("KEY", KEY));
    output.expect_code(74).expect_stderr("hint: ");
}

#[test]
fn a_backup_that_does_not_fit_is_said_and_leaves_nothing() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let backup = |name: &str, path: &str| {
        format!(
            "code=0; $mdctl {path} >/dev/null 2>{name}.err || code=$?; echo $code >{name}.code\n\
             ls -A disk >{name}.ls\n"
        )
    };
    let lines = "mount -t tmpfs -o size=100k none disk\n".to_owned()
        + &backup("small", "db backup disk")
        + &backup("restored", "db restore mdctl.db disk/new.db")
        + "mount -o remount,size=64m disk\n"
        + &backup("large", "db backup disk");
    if !script(&sandbox, &lines) {
        return;
    }
    for name in ["small", "restored"] {
        let output = left(&sandbox, name);
        output.expect_code(74).expect_stderr("disk is full").expect_stderr("nothing half was left");
        assert_eq!(sandbox.read(&format!("{name}.ls")), "", "{output}");
    }
    left(&sandbox, "large").expect_code(0);
    assert!(sandbox.read("large.ls").starts_with("mdctl-"), "{}", sandbox.read("large.ls"));
}

// Readers, and the log that they read.

#[test]
fn reports_work_all_along_a_run() {
    let (server, sandbox) = small(provider(&[]));
    sandbox.backfill_at("2024-02-20", &["-q"]).expect_code(0);
    // Every page waits for the reports before it.
    let (give, permits) = mpsc::channel();
    let (permits, answering) = (Mutex::new(permits), provider(&[]));
    server.answer_with(move |request| {
        let _ = permits.lock().expect("nobody failed").recv();
        answering(request)
    });
    server.take_requests();
    let mut run = sandbox.command(&["backfill", "--as-of", AS_OF, "-q"]);
    let mut running = run.stdout(Stdio::null()).spawn().expect("a run");
    let mut rounds = 0;
    while running.try_wait().expect("it runs").is_none() {
        for report in [
            &["bars", "AAA", "--timeframe", "1d"][..],
            &["staleness", "--json"],
            &["history"],
            &["status"],
        ] {
            sandbox.mdctl(report).expect_code(0);
        }
        let health = sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]);
        assert!(matches!(health.code, Some(0..=2)), "{health}");
        health.json();
        rounds += 1;
        let _ = give.send(());
    }
    assert!(rounds > 2, "the run was over after {rounds} rounds of reports");
    assert_eq!(running.wait().expect("it ended").code(), Some(0));
}

fn log_length(sandbox: &Sandbox) -> u64 {
    fs::metadata(sandbox.path("mdctl.db-wal")).map_or(0, |metadata| metadata.len())
}

#[test]
fn the_log_is_empty_at_a_runs_end_unless_somebody_reads_it() {
    let (_server, sandbox) = small(provider(&[]));
    sandbox.backfill_at("2024-02-20", &["-q"]).expect_code(0);
    assert_eq!(log_length(&sandbox), 0);
    // A program that has it open, and no transaction.
    let other = sandbox.database();
    let bars = other.number("SELECT count(*) FROM bars");
    sandbox.backfill_at("2024-03-01", &["-q"]).expect_code(0);
    assert_eq!(log_length(&sandbox), 0);
    assert!(other.number("SELECT count(*) FROM bars") > bars);
    // One that reads all along a run.
    other.0.execute_batch("BEGIN").expect("a transaction");
    let bars = other.number("SELECT count(*) FROM bars");
    sandbox.backfill_at("2024-03-08", &["-q"]).expect_code(0);
    assert!(log_length(&sandbox) > 0);
    assert_eq!(other.number("SELECT count(*) FROM bars"), bars);
    other.0.execute_batch("COMMIT").expect("it ends");
    assert!(other.number("SELECT count(*) FROM bars") > bars);
    sandbox.backfill(&["-q"]).expect_code(0);
    assert_eq!(log_length(&sandbox), 0);
}

#[test]
fn two_databases_do_not_wait_for_each_other() {
    let (server, sandbox) = small(provider(&[]));
    let (answering, answered) = (provider(&[]), AtomicUsize::new(0));
    server.answer_with(move |request| match answered.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::Hang,
        _ => answering(request),
    });
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(1);
    sandbox.backfill(&["--db", "other.db", "-q"]).expect_code(0);
    assert_eq!(sandbox.database().texts("SELECT status FROM runs"), ["running"]);
    running.kill();
}

// Elsewhere.

#[test]
fn rows_and_reports_are_the_same_in_every_zone_and_language() {
    let (_server, whole) = small(provider(&[]));
    whole.backfill(&["-q"]).expect_code(0);
    let expected = contents(&whole);
    let reports = [
        &["bars", "AAA", "--timeframe", "1d"][..],
        &["bars", "AAA", "--timeframe", "1w", "--format", "csv"],
        &["bars", "AAA", "--timeframe", "1d", "--json", "--from", "2024-02-20"],
        &["gaps"],
        &["staleness"],
        &["backfill", "--dry-run"],
    ];
    let shown = |zone: &str, language: &str, sandbox: &Sandbox| {
        let with = |arguments: &[&str]| {
            let mut command = sandbox.command(&[arguments, &["--as-of", AS_OF]].concat());
            sandbox.finish(command.env("TZ", zone).env("LC_ALL", language).env("LANG", language))
        };
        with(&["backfill", "-q"]).expect_code(0);
        reports.map(|report| with(report).expect_code(0).stdout.clone())
    };
    let usual = shown("UTC", "C", &whole);
    for (zone, language) in [
        ("America/New_York", "C"),
        ("Asia/Kolkata", "tr_TR.UTF-8"),
        ("UTC", "de_DE.UTF-8"),
        ("America/New_York", "tr_TR.UTF-8"),
        ("Asia/Kolkata", "de_DE.UTF-8"),
    ] {
        let sandbox = another(&whole);
        assert_eq!(shown(zone, language, &sandbox), usual, "{zone} {language}");
        assert_alike(&contents(&sandbox), &expected, &format!("{zone} {language}"));
    }
}

/// What `health` says of a database on a disk of that size; `None` where this machine lets nobody make one.
fn on_a_disk_of(size: &str, sandbox: &Sandbox) -> Option<Output> {
    let disk = sandbox.path("disk");
    let _ = fs::create_dir(&disk);
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs disk || exit 99; cp mdctl.db disk/; exec {} health --json \
         --db disk/mdctl.db --as-of {AS_OF}",
        env!("CARGO_BIN_EXE_mdctl")
    );
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(sandbox.path("."));
    let output = sandbox.finish(&mut command);
    if output.code == Some(99) || output.stderr.contains("unshare failed") {
        note(&format!("SKIPPED, no disk can be made here: {}", output.stderr.trim()));
        return None;
    }
    Some(output)
}

/// The severity of the issue `disk_low`.
fn disk_low(health: &Output) -> Option<String> {
    let json = health.json();
    let issues = json["issues"].as_array().expect("issues");
    let issue = issues.iter().find(|issue| issue["code"] == "disk_low")?;
    issue["severity"].as_str().map(str::to_owned)
}

#[test]
fn a_disk_is_called_low_before_it_is_full() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let Some(full) = on_a_disk_of("60m", &sandbox) else { return };
    assert_eq!(disk_low(full.expect_code(2)), Some("critical".to_owned()), "{full}");
    let narrow = on_a_disk_of("400m", &sandbox).expect("a disk");
    assert_eq!(disk_low(narrow.expect_code(1)), Some("warning".to_owned()), "{narrow}");
    let wide = on_a_disk_of("4g", &sandbox).expect("a disk");
    assert_eq!(disk_low(wide.expect_code(0)), None, "{wide}");
}
