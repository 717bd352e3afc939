//! `db backup`, `db restore` and `db info`: a copy is what was there, whole, or it is not.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::market::Market;
use crate::support::{AS_OF, Sandbox, daily_sessions, daily_stocks, hanging, wait_until};

/// The files of a folder, hidden ones too, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is read");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What a database says of its bars, in words that no run changes.
fn contents(path: &Path) -> Vec<Vec<String>> {
    let connection = Connection::open(path).expect("the database opens");
    [
        "SELECT concat_ws(' ', series_id, ts, open, high, low, close, volume) FROM bars ORDER BY series_id, ts",
        "SELECT concat_ws(' ', series_id, from_ts, to_ts) FROM coverage ORDER BY series_id, from_ts",
        "SELECT concat_ws(' ', series_id, from_ts, to_ts, missing, reason) FROM gaps ORDER BY series_id, from_ts",
        "SELECT concat_ws(' ', series_id, ts, sma_20, ema_12, obv) FROM features ORDER BY series_id, ts",
        "SELECT concat_ws(' ', series_id, first_ts, watermark_ts, settled_ts, bar_count, features_ts) FROM series ORDER BY series_id",
    ]
    .map(|sql| {
        let mut statement = connection.prepare(sql).expect("a query");
        let rows = statement.query_map([], |row| row.get(0)).expect("the query runs");
        rows.collect::<Result<_, _>>().expect("the rows read")
    })
    .into()
}

fn made(sandbox: &Sandbox, arguments: &[&str]) -> PathBuf {
    let json = sandbox.mdctl(&[&["db", "backup", "--json"], arguments].concat());
    sandbox.path(json.expect_code(0).json()["path"].as_str().expect("a path"))
}

#[test]
fn a_backup_of_a_run_at_work_becomes_a_database_on_which_the_next_one_goes_on() {
    let (server, sandbox) = hanging(4);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(5);
    wait_until(|| sandbox.database().number("SELECT count(*) FROM bars") == 12);
    let json = sandbox.mdctl(&["db", "backup", "half.db", "--json"]).expect_code(0).json();
    assert_eq!(json["bars"], 12, "{json}");
    assert!(!sandbox.path("half.db-wal").exists(), "a backup is one file");
    sandbox.mdctl(&["db", "check", "--db", "half.db"]).expect_code(0);
    running.kill();
    let whole = sandbox.mdctl(&["db", "restore", "half.db", "restored.db"]);
    whole.expect_code(0).expect_stdout("--db restored.db").expect_stdout("12 bars");
    let status = sandbox.mdctl(&["--db", "restored.db", "status", "--json"]).expect_code(0).json();
    assert_eq!(status["scheduler"]["running"], false, "the run is not at work on this one");

    let market = Market::daily(&["AAA"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&["--db", "restored.db"]).expect_code(0);
    sandbox.mdctl(&["db", "check", "--db", "restored.db"]).expect_code(0);
    let (_server, other) = daily_stocks(&["AAA"]);
    other.backfill(&[]).expect_code(0);
    assert_eq!(contents(&sandbox.path("restored.db")), contents(&other.path("mdctl.db")));
    let runs = Connection::open(sandbox.path("restored.db")).expect("it opens");
    let crashed: i64 = runs
        .query_row("SELECT count(*) FROM runs WHERE status = 'crashed'", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(crashed, 1);
}

#[test]
fn a_backup_lies_beside_the_database_readable_by_the_same_and_nothing_else_is_left() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let group_reads = fs::Permissions::from_mode(0o640);
    fs::set_permissions(sandbox.path("mdctl.db"), group_reads).expect("a mode");
    let text = sandbox.mdctl(&["db", "backup"]);
    text.expect_code(0).expect_stdout("backups/mdctl-").expect_stdout("21 bars, 1 run, proven");
    let second = made(&sandbox, &[]);
    assert_eq!(second.metadata().expect("it is there").mode() & 0o777, 0o640);
    let folder = sandbox.path("backups");
    assert_eq!(folder.metadata().expect("a folder").mode() & 0o777, 0o750);
    assert_eq!(names(&folder).len(), 2, "{:?}", names(&folder));
    assert_eq!(contents(&second), contents(&sandbox.path("mdctl.db")));
}

#[test]
fn only_the_oldest_backups_go_and_nothing_that_is_none() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let first = made(&sandbox, &[]);
    let folder = sandbox.path("backups");
    let name = |year: i32| folder.join(format!("mdctl-{year}0315T013000Z.db"));
    for year in [2019, 2020, 2021, 2022] {
        fs::copy(&first, name(year)).expect("a copy");
    }
    // Named as one, and none: a text, another program's database, a link; and the other way round.
    fs::write(name(2001), "notes").expect("a text");
    let other = Connection::open(name(2002)).expect("a database");
    other.execute_batch("CREATE TABLE recipes (name TEXT)").expect("a table");
    symlink(name(2019), name(2003)).expect("a link");
    fs::copy(&first, folder.join("mdctl-before-upgrade.db")).expect("a copy");
    fs::copy(&first, folder.join("other-20040315T013000Z.db")).expect("a copy");
    let json = sandbox.mdctl(&["db", "backup", "--keep", "2", "--json"]).expect_code(0).json();
    let deleted: Vec<_> = json["deleted"].as_array().expect("a list").iter().collect();
    assert_eq!(deleted.len(), 4, "{json}");
    assert!(first.exists() && sandbox.path(json["path"].as_str().expect("a path")).exists());
    for kept in [name(2001), name(2002), folder.join("mdctl-before-upgrade.db")] {
        assert!(kept.exists(), "{}", kept.display());
    }
    assert!(name(2003).symlink_metadata().is_ok(), "a link is no backup");
    assert!(folder.join("other-20040315T013000Z.db").exists());
    assert!(!name(2022).exists());
    sandbox.mdctl(&["db", "backup", "mine.db", "--keep", "1"]).expect_code(64);
    sandbox.mdctl(&["db", "backup", "--keep", "0"]).expect_code(64);
    assert!(!sandbox.path("mine.db").exists() && first.exists());
}

#[test]
fn databases_of_the_same_name_share_a_folder_and_delete_only_their_own() {
    let (_server, one) = daily_stocks(&["AAA"]);
    let (_server, other) = daily_stocks(&["AAA"]);
    let shared = one.path("shared");
    fs::create_dir(&shared).expect("a folder");
    let folder = shared.to_str().expect("text");
    for sandbox in [&one, &other] {
        sandbox.backfill(&[]).expect_code(0);
    }
    let theirs = [made(&other, &[folder]), made(&other, &[folder])];
    let mine = made(&one, &[folder, "--keep", "1"]);
    assert!(theirs.iter().all(|backup| backup.exists()), "{:?}", names(&shared));
    let newest = made(&one, &[folder, "--keep", "1"]);
    assert!(!mine.exists() && newest.exists(), "{:?}", names(&shared));
    assert!(theirs.iter().all(|backup| backup.exists()), "{:?}", names(&shared));
    // Nor does one take another's for its own last one: `mdctl.sqlite` is named likewise.
    one.mdctl(&["db", "backup"]).expect_code(0);
    one.mdctl(&["db", "migrate", "--db", "mdctl.sqlite"]).expect_code(0);
    let info = one.mdctl(&["db", "info", "--json", "--db", "mdctl.sqlite"]).expect_code(0).json();
    assert!(info["last_backup"].is_null(), "{info}");
}

#[test]
fn a_restored_database_goes_on_with_its_backups_and_older_ones_are_nobodys() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let first = made(&sandbox, &[]);
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(sandbox.path(&format!("mdctl.db{ending}")));
    }
    let path = first.to_str().expect("text");
    sandbox.mdctl(&["db", "restore", path, "mdctl.db"]).expect_code(0);
    let second = made(&sandbox, &["--keep", "1"]);
    assert!(!first.exists() && second.exists());

    sandbox.go_back_to_schema_1();
    let old = made(&sandbox, &["--keep", "1"]);
    assert!(second.exists(), "an old database does not know its own");
    let info = || sandbox.mdctl(&["db", "info", "--json"]).expect_code(0).json();
    assert!(old.ends_with(info()["last_backup"]["path"].as_str().expect("a path")), "{}", info());
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let third = made(&sandbox, &["--keep", "1"]);
    assert!([old, second, third].iter().all(|backup| backup.exists()));
    let ids = sandbox.database().texts("SELECT id FROM identity");
    assert!(matches!(&ids[..], [id] if id.len() == 32), "{ids:?}");
}

#[test]
fn a_database_that_somebody_works_on_is_not_restored_to_its_place() {
    let (server, sandbox) = hanging(4);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(5);
    wait_until(|| sandbox.database().number("SELECT count(*) FROM bars") == 12);
    made(&sandbox, &["kept.db"]);
    let away = |ending: &str| {
        let path = sandbox.path(&format!("mdctl.db{ending}"));
        let _ = fs::rename(path, sandbox.path(&format!("damaged.db{ending}")));
    };
    // Its log left behind is refused as well, and said to be worth something.
    away("");
    let refused = sandbox.mdctl(&["db", "restore", "kept.db", "mdctl.db"]);
    refused.expect_code(73).expect_stderr("mdctl.db-wal").expect_stderr("nowhere else");
    away("-wal");
    away("-shm");
    let path = sandbox.path("mdctl.db");
    for place in ["mdctl.db", "./mdctl.db", path.to_str().expect("text")] {
        let refused = sandbox.mdctl(&["db", "restore", "kept.db", place]);
        refused.expect_code(75).expect_stderr("a run is at work");
    }
    assert!(!path.exists());
    sandbox.mdctl(&["db", "restore", "kept.db", "elsewhere.db"]).expect_code(0);
    running.kill();
    let alerts = fs::File::create(sandbox.path("mdctl.db.alerts.lock")).expect("a file");
    alerts.lock().expect("a lock");
    let refused = sandbox.mdctl(&["db", "restore", "kept.db", "mdctl.db"]);
    refused.expect_code(75).expect_stderr("alerts");
    drop(alerts);
    sandbox.mdctl(&["db", "restore", "kept.db", "mdctl.db"]).expect_code(0);
}

#[test]
fn a_backup_that_everybody_may_write_becomes_a_database_of_its_owner() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let backup = made(&sandbox, &["kept.db"]);
    // As a disk has it that knows no modes.
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o777)).expect("a mode");
    sandbox.mdctl(&["db", "restore", "kept.db", "new.db"]).expect_code(0);
    let mode = sandbox.path("new.db").metadata().expect("it is there").mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn nothing_is_written_over() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.write("precious", "mine");
    for own in ["mdctl.toml", "mdctl.db", "mdctl.db.lock", "mdctl.db-wal"] {
        let config = sandbox.read("mdctl.toml");
        sandbox.mdctl(&["db", "backup", own]).expect_code(64).expect_stderr(own);
        let restore = sandbox.mdctl(&["db", "restore", "mdctl.db", own]);
        assert!(matches!(restore.code, Some(64 | 73)), "{restore}");
        assert_eq!(sandbox.read("mdctl.toml"), config);
    }
    symlink("nowhere", sandbox.path("dangling")).expect("a link");
    for there in ["precious", "dangling"] {
        sandbox.mdctl(&["db", "backup", there]).expect_code(73).expect_stderr("is there already");
        let restore = sandbox.mdctl(&["db", "restore", "mdctl.db", there]);
        restore.expect_code(73).expect_stderr("is there already");
    }
    assert_eq!(sandbox.read("precious"), "mine");
    assert!(!sandbox.path("nowhere").exists());
    sandbox.mdctl(&["db", "backup", "no/such/folder.db"]).expect_code(73);
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}

#[test]
fn a_name_may_be_as_odd_as_it_likes() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    for name in ["a b?c#d%20.db", "-x.db", "ü'\".db"] {
        sandbox.mdctl(&["db", "backup", "--", name]).expect_code(0);
        let restored = format!("restored {name}");
        sandbox.mdctl(&["db", "restore", "--", name, &restored]).expect_code(0);
        assert_eq!(contents(&sandbox.path(&restored)), contents(&sandbox.path("mdctl.db")));
    }
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let backup = made(&sandbox, &["whole.db"]);
    let refused = |name: &str, words: &str| {
        let output = sandbox.mdctl(&["db", "restore", name, "new.db"]);
        output.expect_code(74).expect_stderr(words);
        assert!(!sandbox.path("new.db").exists(), "{output}");
    };
    refused("nothing.db", "nothing.db is not there");
    sandbox.write("notes.db", "these are no bars");
    refused("notes.db", "is not an SQLite database");
    sandbox.write("empty.db", "");
    refused("empty.db", "is an empty file");
    let foreign = Connection::open(sandbox.path("foreign.db")).expect("a database");
    foreign.execute_batch("CREATE TABLE recipes (name TEXT)").expect("a table");
    refused("foreign.db", "another program");
    let bytes = fs::read(&backup).expect("the backup");
    let mut damaged = bytes.clone();
    let page = damaged.len() / 4096 / 2 * 4096;
    damaged[page..page + 4096].fill(0xA5);
    fs::write(sandbox.path("damaged.db"), &damaged).expect("the damage is done");
    refused("damaged.db", "damaged");
    fs::write(sandbox.path("cut.db"), &bytes[..bytes.len() / 2]).expect("half of it");
    refused("cut.db", "damaged");
    fs::write(sandbox.path("newer.db"), &bytes).expect("a copy");
    let newer = Connection::open(sandbox.path("newer.db")).expect("it opens");
    newer.execute_batch("PRAGMA user_version = 99").expect("a version");
    drop(newer);
    refused("newer.db", "99");
    // What another database left beside would be taken for its own log.
    sandbox.write("new.db-wal", "left over");
    sandbox.mdctl(&["db", "restore", "whole.db", "new.db"]).expect_code(73).expect_stderr("-wal");
    let hidden = names(&sandbox.path("")).into_iter().filter(|name| name.starts_with(".mdctl"));
    assert_eq!(hidden.count(), 0, "nothing half is left");
}

#[test]
fn an_older_backup_and_one_with_its_log_beside_are_restored() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    // A copy made by hand while somebody had it open: its last rows stand in the log.
    let open = Connection::open(sandbox.path("mdctl.db")).expect("it opens");
    open.execute_batch("INSERT INTO audit_log VALUES (1, 'me', 'here', 'x', 'y', 'z', NULL)")
        .expect("a row");
    for ending in ["", "-wal"] {
        let copy = sandbox.path(&format!("hot.db{ending}"));
        fs::copy(sandbox.path(&format!("mdctl.db{ending}")), copy).expect("a copy");
    }
    drop(open);
    sandbox.mdctl(&["db", "restore", "hot.db", "new.db"]).expect_code(0);
    let restored = Connection::open(sandbox.path("new.db")).expect("it opens");
    let rows: i64 = restored
        .query_row("SELECT count(*) FROM audit_log", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(rows, 1, "what stood in the log came along");
    sandbox.go_back_to_schema_1();
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    sandbox.mdctl(&["db", "info"]).expect_code(0).expect_stdout("schema 1");
    let old = made(&sandbox, &["old.db"]);
    sandbox.mdctl(&["db", "restore", "old.db", "from-old.db"]).expect_code(0);
    assert_eq!(fs::read(old).expect("the backup")[60..64], [0, 0, 0, 1], "it stays what it was");
    server.take_requests();
    sandbox.backfill_at("2024-03-18", &["--db", "from-old.db"]).expect_code(0);
    sandbox.mdctl(&["db", "check", "--db", "from-old.db"]).expect_code(0);
}

#[test]
fn a_lost_database_is_restored_to_its_place() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let before = contents(&sandbox.path("mdctl.db"));
    made(&sandbox, &["kept.db"]);
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(sandbox.path(&format!("mdctl.db{ending}")));
    }
    let json = sandbox.mdctl(&["db", "restore", "kept.db", "mdctl.db", "--json"]);
    let json = json.expect_code(0).json();
    assert!(json["hint"].as_str().expect("a hint").contains("mdctl backfill"), "{json}");
    assert_eq!(contents(&sandbox.path("mdctl.db")), before);
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(contents(&sandbox.path("mdctl.db")), before);
}

#[test]
fn without_a_database_there_is_nothing_to_back_up() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "backup"]).expect_code(74).expect_stderr("there is no database");
    assert!(!sandbox.path("backups").exists() && !sandbox.path("mdctl.db").exists());
}

#[test]
fn a_database_in_a_folder_that_is_only_read_is_backed_up_elsewhere() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let json = sandbox.mdctl(&["db", "backup", "/sys/x.db", "--json"]).expect_code(73).json();
    assert_eq!(json["error"]["exit_code"], 73);
    fs::create_dir(sandbox.path("elsewhere")).expect("a folder");
    let made = made(&sandbox, &["elsewhere"]);
    assert_eq!(made.parent(), Some(sandbox.path("elsewhere").as_path()));
}

/// Makes the database so large that copying it takes many steps.
fn grow(sandbox: &Sandbox) {
    sandbox.tamper(
        "INSERT INTO audit_log WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         SELECT i, 'w', 'h', 'a', 's', hex(zeroblob(600)), NULL FROM n",
    );
}

#[test]
fn an_interrupted_backup_leaves_nothing_and_a_killed_one_nothing_that_looks_like_one() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    grow(&sandbox);
    fs::create_dir(sandbox.path("out")).expect("a folder");
    let out = sandbox.path("out");
    let begun = || names(&out).iter().any(|name| name.starts_with(".mdctl-draft-"));
    let mut running = sandbox.start(&["db", "backup", "out/copy.db"]);
    wait_until(begun);
    running.signal(Signal::INT);
    wait_until_ended(&mut running);
    let code = running.wait();
    // It may have been done before the signal came.
    assert!(code == Some(130) || out.join("copy.db").exists(), "{code:?}");
    assert!(!begun(), "{:?}", names(&out));
    let running = sandbox.start(&["db", "backup", "out/killed.db"]);
    wait_until(|| begun() || out.join("killed.db").exists());
    running.kill();
    if out.join("killed.db").exists() {
        sandbox.mdctl(&["db", "check", "--db", "out/killed.db"]).expect_code(0);
    }
    made(&sandbox, &["out/next.db"]);
    assert!(!begun(), "the next one clears away what a killed one left: {:?}", names(&out));
}

fn wait_until_ended(running: &mut crate::support::Running) {
    let running = std::cell::RefCell::new(running);
    wait_until(|| running.borrow_mut().ended().is_some());
}

#[test]
fn info_tells_what_is_there_and_when_it_was_last_backed_up() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let text = sandbox.mdctl(&["db", "info"]);
    text.expect_code(0).expect_stdout("21, 2024-02-15").expect_stdout("none in the usual folder");
    let json = sandbox.mdctl(&["db", "info", "--json"]).expect_code(0).json();
    assert_eq!(json["bars"], 21, "{json}");
    assert_eq!(json["auto_vacuum"], "incremental");
    assert_eq!(json["last_bar_at"], "2024-03-15T00:00:00Z");
    assert!(json["last_backup"].is_null() && json["bytes_per_bar"].as_u64() > Some(100), "{json}");
    let path = made(&sandbox, &[]);
    let json = sandbox.mdctl(&["db", "info", "--json"]).expect_code(0).json();
    assert!(path.ends_with(json["last_backup"]["path"].as_str().expect("a path")), "{json}");
    let bars = json["tables"].as_array().expect("tables").iter().find(|t| t["name"] == "bars");
    let bars = bars.expect("a table");
    assert!(bars["rows"] == 21 && bars["bytes"].as_u64() >= Some(4096), "{bars}");
}
