//! What people order by hand, and what outlives a run: pauses, breakers, the audit log.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::market::Market;
use crate::support::server::{Answer, Reply, Server};
use crate::support::{
    AS_OF, DAILY, Output, Sandbox, binance, daily_sessions, daily_stocks, faulty_stocks, fields,
    group, polygon,
};

const DOCUMENT: [&str; 5] = ["paused", "previous", "running", "schema", "timestamp"];

const BREAKER: [&str; 8] = [
    "failure_count",
    "failure_rate",
    "last_failure_at",
    "name",
    "opened_at",
    "retry_at",
    "state",
    "success_count",
];

/// A config that nobody is ever asked by.
fn idle() -> Sandbox {
    let nowhere = "http://127.0.0.1:9";
    Sandbox::with(&(polygon(nowhere, "") + &group("p", "stock", &["AAA"], DAILY)))
}

/// Three providers, one of them a folder, after a run in which the others were asked.
fn three_providers() -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| market.polygon(request));
    let second = binance("http://127.0.0.1:9", "").replace("[run]\nstagger = \"0s\"\n", "");
    let files = "[providers.local]\nkind = \"files\"\npath = \"data\"\n";
    let config =
        polygon(&server.url(), "") + &second + files + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    (server, sandbox)
}

/// What SQLite makes of an expression with the time of the day in it.
fn sql(expression: &str) -> String {
    let connection = Connection::open_in_memory().expect("a database");
    let query = format!("SELECT CAST({expression} AS TEXT)");
    connection.query_row(&query, [], |row| row.get(0)).expect("a value")
}

/// Runs `mdctl` as that user.
fn as_user(sandbox: &Sandbox, user: &str, arguments: &[&str]) -> Output {
    sandbox.finish(sandbox.command(arguments).env("USER", user))
}

/// `who host action subject reason` of every row of the audit log.
fn audit(sandbox: &Sandbox) -> Vec<String> {
    sandbox.database().texts(
        "SELECT concat_ws('|', who, host, action, subject, reason) FROM audit_log ORDER BY rowid",
    )
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    name.trim().to_owned()
}

/// A breaker's row and its provider's, as a run writes them: instants are SQL.
fn remember(sandbox: &Sandbox, provider: &str, state: &str, outcomes: &str, more: &More) {
    let More { held_until, concurrency, retry_at } = more;
    let failures = outcomes.matches('x').count();
    let successes = outcomes.len() - failures;
    let opened = if state == "closed" { "NULL" } else { "1710500000" };
    let last = if failures > 0 { "1710499990, 'timeout no answer'" } else { "NULL, NULL" };
    let reason = if *held_until == "NULL" { "NULL" } else { "'429 come back tomorrow'" };
    sandbox.tamper(&format!(
        "INSERT OR REPLACE INTO rate_state VALUES ('{provider}', '{{\"5/1m\":[[1710499999000000,3]]}}', 4,
             1710500055000000, ({held_until}) * 1000000, {reason}, NULL, {concurrency}, 1710500001000000, 'boot', 77, NULL);
         INSERT OR REPLACE INTO breaker_state VALUES ('{provider}', '{state}', '{outcomes}', {successes},
             {failures}, {last}, {opened}, {retry_at}, ({retry_at}) * 1000000);"
    ));
}

/// Columns that are mostly empty, as SQL.
struct More {
    held_until: &'static str,
    concurrency: &'static str,
    retry_at: &'static str,
}

const NOTHING: More = More { held_until: "NULL", concurrency: "NULL", retry_at: "NULL" };
const HELD: More = More { held_until: "unixepoch('now', '+1 day')", ..NOTHING };
const OPEN: More = More { retry_at: "1710500060", ..NOTHING };

fn health(sandbox: &Sandbox) -> Value {
    sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json()
}

fn issues(health: &Value) -> Vec<String> {
    let issues = health["issues"].as_array().expect("issues").iter();
    let text = |issue: &Value, name: &str| issue[name].as_str().unwrap_or_default().to_owned();
    issues.map(|issue| text(issue, "code") + " " + &text(issue, "severity")).collect()
}

/// The one issue of that code.
#[track_caller]
fn issue<'a>(health: &'a Value, code: &str) -> &'a Value {
    let all = health["issues"].as_array().expect("issues").iter();
    let found: Vec<_> = all.filter(|issue| issue["code"] == code).collect();
    assert_eq!(found.len(), 1, "{code} in {health:#}");
    found[0]
}

/// Makes the last run one of two days ago.
fn let_two_days_pass(sandbox: &Sandbox) {
    sandbox.tamper(
        "UPDATE runs SET started_at = started_at - 172800, completed_at = completed_at - 172800",
    );
}

/// Writes `count` runs that a pause made skip after the last one.
fn add_skipped_runs(sandbox: &Sandbox, count: usize) {
    sandbox.tamper(&format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
         INSERT INTO runs (run_id, command, \"trigger\", started_at, completed_at, status, host, pid,
                           version, symbols_total, skipped, exit_code)
         SELECT printf('7ZZZZZ%020d', n), 'backfill', 'manual', unixepoch(), unixepoch(), 'skipped',
                'h', 1, '0', 40, 40, 0 FROM numbers"
    ));
}

// Pauses.

#[test]
fn a_pause_may_last_as_long_as_it_is_told() {
    let sandbox = idle();
    let output =
        sandbox.mdctl(&["pause", "--until", "2099-01-01", "--reason", "retired", "--json"]);
    assert_eq!(output.expect_code(0).json()["paused"]["until"], "2099-01-02T00:00:00Z");
}

#[test]
fn what_a_command_line_lacks_is_named_in_json_too() {
    let sandbox = idle();
    let output = sandbox.mdctl(&["pause", "--for", "2h", "--json"]);
    let message = output.expect_code(64).json()["error"]["message"].clone();
    assert!(message.as_str().is_some_and(|words| words.contains("--reason")), "{message}");
}

#[test]
fn a_pause_is_on_record_with_who_where_and_why() {
    let sandbox = idle();
    let output = as_user(&sandbox, "alice", &["pause", "--for", "2h", "--reason", " new\n disk "]);
    output.expect_code(0).expect_stdout("paused until ").expect_stdout("for 2h: new disk");
    output.expect_stdout("`mdctl resume`");
    assert_eq!(output.stdout.lines().count(), 1, "{output}");
    let database = sandbox.database();
    let pause =
        database.texts("SELECT concat_ws('|', name, until - since, reason, who) FROM controls");
    assert_eq!(pause, ["pause|7200|new disk|alice"]);
    let until =
        database.texts("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', until, 'unixepoch') FROM controls");
    assert_eq!(
        audit(&sandbox),
        [format!("alice|{}|pause|runs until {}|new disk", host(), until[0])]
    );
    assert_eq!(database.number("SELECT count(*) FROM audit_log JOIN controls ON at = since"), 1);
    assert_eq!(database.number("SELECT count(*) FROM audit_log WHERE run_id IS NULL"), 1);
    let mode = fs::metadata(sandbox.path("mdctl.db")).expect("a database").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the database was made as a run makes it");
}

#[test]
fn a_pause_comes_as_json() {
    let sandbox = idle();
    let command = ["pause", "--for", "90m", "--reason", "new disk", "--json"];
    let document = as_user(&sandbox, "alice", &command).expect_code(0).json();
    assert_eq!(fields(&document), DOCUMENT);
    assert_eq!(document["schema"], 1);
    assert_eq!((&document["previous"], &document["running"]), (&Value::Null, &json!(false)));
    let paused = &document["paused"];
    assert_eq!(fields(paused), ["reason", "since", "until", "who"]);
    assert_eq!((&paused["reason"], &paused["who"]), (&"new disk".into(), &"alice".into()));
    let stored = sandbox.database().texts(
        "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', since, 'unixepoch') FROM controls
         UNION ALL SELECT strftime('%Y-%m-%dT%H:%M:%SZ', until, 'unixepoch') FROM controls",
    );
    assert_eq!([&paused["since"], &paused["until"]], [&stored[0][..], &stored[1]]);

    let document = as_user(&sandbox, "bob", &["resume", "--json"]).expect_code(0).json();
    assert_eq!(fields(&document), DOCUMENT);
    assert_eq!((&document["paused"], &document["previous"]), (&Value::Null, paused));
}

#[test]
fn a_pause_ends_at_an_instant_or_with_a_day() {
    let sandbox = idle();
    let until = || sandbox.database().number("SELECT until FROM controls");
    let day = sql("date('now', '+10 days')");
    sandbox.mdctl(&["pause", "--until", &day, "--reason", "x"]).expect_code(0);
    assert_eq!(until().to_string(), sql(&format!("unixepoch('{day}', '+1 day')")));
    let instant = format!("{day}T08:30:00+01:00");
    sandbox.mdctl(&["pause", "--until", &instant, "--reason", "x"]).expect_code(0);
    assert_eq!(until().to_string(), sql(&format!("unixepoch('{day}T07:30:00')")));
}

#[test]
fn a_second_pause_takes_the_place_of_the_first() {
    let sandbox = idle();
    as_user(&sandbox, "alice", &["pause", "--for", "3d", "--reason", "new disk"]).expect_code(0);
    let second = as_user(&sandbox, "bob", &["pause", "--for", "30m", "--reason", "half of it"]);
    second
        .expect_code(0)
        .expect_stdout("it replaces the pause until")
        .expect_stdout("by alice: new disk");
    let pause =
        sandbox.database().texts("SELECT concat_ws('|', until - since, reason, who) FROM controls");
    assert_eq!(pause, ["1800|half of it|bob"]);
    assert_eq!(audit(&sandbox).len(), 2);
}

#[test]
fn a_pause_ends_by_itself() {
    let sandbox = idle();
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "new disk"]).expect_code(0);
    assert_eq!(health(&sandbox)["paused"]["reason"], "new disk");
    sandbox.tamper("UPDATE controls SET since = since - 7200, until = unixepoch()");
    assert_eq!(health(&sandbox)["paused"], Value::Null);
    assert!(issues(&health(&sandbox)).contains(&"run_overdue critical".to_owned()));
    sandbox.mdctl(&["resume"]).expect_code(0).expect_stdout("nothing is paused");
    let next = sandbox.mdctl(&["pause", "--for", "1h", "--reason", "again"]);
    assert!(!next.expect_code(0).stdout.contains("replaces"), "{next}");
}

#[test]
fn resume_ends_a_pause_and_is_on_record() {
    let sandbox = idle();
    as_user(&sandbox, "alice", &["pause", "--for", "3d", "--reason", "new disk"]).expect_code(0);
    let output = as_user(&sandbox, "bob", &["resume", "--reason", "it is in"]);
    output.expect_code(0).expect_stdout("resumed").expect_stdout("by alice: new disk");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM controls"), 0);
    assert_eq!(audit(&sandbox)[1], format!("bob|{}|resume|runs|it is in", host()));
    assert_eq!(health(&sandbox)["paused"], Value::Null);
    sandbox.mdctl(&["resume"]).expect_code(0).expect_stdout("nothing is paused");
    assert_eq!(audit(&sandbox).len(), 2, "nothing was done, and nothing is on record");
}

#[test]
fn resume_makes_no_database() {
    let sandbox = idle();
    sandbox.mdctl(&["resume"]).expect_code(0).expect_stdout("nothing is paused");
    let document = sandbox.mdctl(&["resume", "--json"]).expect_code(0).json();
    assert_eq!((&document["paused"], &document["previous"]), (&Value::Null, &Value::Null));
    assert!(!sandbox.path("mdctl.db").exists());
}

#[test]
fn a_pause_is_ordered_while_a_run_is_at_work() {
    let sandbox = idle();
    let lock = File::create(sandbox.path("mdctl.db.lock")).expect("a file");
    lock.lock().expect("the lock");
    let command = ["pause", "--for", "1h", "--reason", "new disk"];
    sandbox.mdctl(&command).expect_code(0).expect_stdout("a run is at work and goes on");
    let document = sandbox.mdctl(&[&command[..], &["--json"]].concat()).expect_code(0).json();
    assert_eq!(document["running"], true);
    sandbox.mdctl(&["resume"]).expect_code(0).expect_stdout("resumed");
}

#[test]
fn a_pause_that_cannot_be_meant_is_a_usage_error() {
    let sandbox = idle();
    let calls: [(&[&str], &str); 10] = [
        (&["--reason", "x"], "--for"),
        (&["--for", "1h"], "--reason"),
        (&["--for", "1h", "--until", "2099-01-01", "--reason", "x"], "--until"),
        (&["--for", "1h", "--reason", " \t "], "a reason is wanted"),
        (&["--for", "soon", "--reason", "x"], "soon"),
        (&["--for", "0s", "--reason", "x"], "ended already"),
        (&["--for", "9000000000y", "--reason", "x"], "no year"),
        (&["--until", "2020-01-01", "--reason", "x"], "ended already"),
        (&["--until", "2020-01-01T00:00:00Z", "--reason", "x"], "hint: "),
        (&["--until", "noon", "--reason", "x"], "noon"),
    ];
    for (arguments, words) in calls {
        sandbox.mdctl(&[&["pause"], arguments].concat()).expect_code(64).expect_stderr(words);
    }
    let json = sandbox
        .mdctl(&["pause", "--for", "9000000000y", "--reason", "x", "--json"])
        .expect_code(64)
        .json();
    assert_eq!(
        (&json["error"]["kind"], &json["error"]["exit_code"]),
        (&"usage".into(), &64.into())
    );
    assert!(!sandbox.path("mdctl.db").exists(), "a refused pause made a database");
}

#[test]
fn who_is_the_one_before_the_screen() {
    let sandbox = idle();
    let who = |names: &[(&str, &str)]| {
        let mut command = sandbox.command(&["pause", "--for", "1h", "--reason", "x"]);
        command.envs(names.iter().copied());
        sandbox.finish(&mut command).expect_code(0);
        sandbox.database().texts("SELECT who FROM controls").remove(0)
    };
    assert_eq!(who(&[("SUDO_USER", "alice"), ("USER", "root"), ("LOGNAME", "root")]), "alice");
    assert_eq!(who(&[("SUDO_USER", ""), ("USER", "bob"), ("LOGNAME", "carol")]), "bob");
    assert_eq!(who(&[("LOGNAME", "carol")]), "carol");
    let uid = fs::metadata(sandbox.path("mdctl.db")).expect("a database").uid();
    assert_eq!(who(&[]), format!("uid {uid}"));
    assert_eq!(who(&[("USER", "\u{1b}[2J")]), format!("uid {uid}"));
}

#[test]
fn a_database_that_cannot_be_made_is_no_pause() {
    let sandbox = idle();
    let command = ["pause", "--for", "1h", "--reason", "x", "--db", "nowhere/mdctl.db"];
    sandbox.mdctl(&command).expect_code(73).expect_stderr("nowhere/mdctl.db");
}

// Breakers.

#[test]
fn breakers_of_which_nothing_is_remembered_are_closed() {
    let (_server, sandbox) = three_providers();
    let document = sandbox.mdctl(&["breaker", "list", "--json"]).expect_code(0).json();
    assert_eq!(fields(&document), ["breakers", "schema", "timestamp"]);
    let breakers = document["breakers"].as_array().expect("breakers");
    let names: Vec<&Value> = breakers.iter().map(|breaker| &breaker["name"]).collect();
    assert_eq!(names, ["b", "p"], "a folder has no breaker");
    let b = &breakers[0];
    assert_eq!((&b["state"], &b["failure_rate"]), (&"closed".into(), &Value::Null));
    assert_eq!((&b["failure_count"], &b["success_count"]), (&0.into(), &0.into()));
    assert_eq!((&b["opened_at"], &b["held_until"]), (&Value::Null, &Value::Null));
}

#[test]
fn the_worst_breaker_is_listed_first_with_all_that_is_known() {
    let (_server, sandbox) = three_providers();
    remember(&sandbox, "b", "closed", "...x", &NOTHING);
    remember(
        &sandbox,
        "p",
        "open",
        ".xxxxx",
        &More { concurrency: "2", retry_at: "1710500060", ..HELD },
    );
    let document = sandbox.mdctl(&["breaker", "list", "--json"]).expect_code(0).json();
    let (p, b) = (&document["breakers"][0], &document["breakers"][1]);
    let mut further = BREAKER.to_vec();
    further.extend(["concurrency", "held_reason", "held_until", "last_failure"]);
    further.sort_unstable();
    assert_eq!(fields(p), further);
    assert_eq!((&p["name"], &p["state"]), (&"p".into(), &"open".into()));
    assert_eq!((&p["failure_count"], &p["success_count"]), (&5.into(), &1.into()));
    let rate = p["failure_rate"].as_f64().expect("a rate");
    assert!((rate - 5.0 / 6.0).abs() < 1e-12, "{rate}");
    assert_eq!(p["last_failure_at"], "2024-03-15T10:53:10Z");
    assert_eq!(p["last_failure"], "timeout no answer");
    assert_eq!(p["opened_at"], "2024-03-15T10:53:20Z");
    assert_eq!(p["retry_at"], "2024-03-15T10:54:20Z");
    assert_eq!(
        (&p["held_reason"], &p["concurrency"]),
        (&"429 come back tomorrow".into(), &2.into())
    );
    assert!(p["held_until"].is_string(), "{p}");
    assert_eq!(
        (&b["name"], &b["state"], &b["failure_rate"]),
        (&"b".into(), &"closed".into(), &0.25.into())
    );
    let table = sandbox.mdctl(&["breaker", "list"]);
    for words in ["open", "83 %", "2024-03-15T10:54:20Z", "timeout no answer", "come back tomorrow"]
    {
        table.expect_code(0).expect_stdout(words);
    }
}

#[test]
fn a_reset_closes_the_breaker_and_leaves_the_quota_alone() {
    let (_server, sandbox) = three_providers();
    let all = More { concurrency: "2", retry_at: "1710500060", ..HELD };
    remember(&sandbox, "b", "open", "xxx", &all);
    remember(&sandbox, "p", "open", ".xxxxx", &all);
    let quota = || {
        sandbox.database().texts(
            "SELECT concat_ws('|', provider, rules, unsettled, paused_until_us, saved_at_us, boot_id, uptime_us)
             FROM rate_state ORDER BY provider",
        )
    };
    let before = quota();
    let command = ["breaker", "reset", "p", "--reason", "they say so"];
    as_user(&sandbox, "alice", &command).expect_code(0).expect_stdout("reset p");
    assert_eq!(quota(), before);
    assert_eq!(before.len(), 2);
    let states = sandbox.database().texts(
        "SELECT concat_ws('|', provider, state, outcomes, success_count, failure_count, last_failure,
                          opened_at, retry_at, retry_at_us, held_until_us IS NULL, held_reason, concurrency)
         FROM breaker_state JOIN rate_state USING (provider) ORDER BY provider",
    );
    assert!(states[0].starts_with("b|open|xxx|0|3|"), "{states:?}");
    assert_eq!(states[1], "p|closed||0|0|timeout no answer|1");
    assert_eq!(audit(&sandbox), [format!("alice|{}|breaker_reset|p|they say so", host())]);
}

#[test]
fn a_reset_without_names_is_of_those_that_are_not_asked_as_usual() {
    let (_server, sandbox) = three_providers();
    let reset = || {
        let document = sandbox.mdctl(&["breaker", "reset", "--json"]).expect_code(0).json();
        assert_eq!(fields(&document), ["reset", "schema", "timestamp"]);
        document["reset"].clone()
    };
    let ended = More { held_until: "1710500000", ..NOTHING };
    remember(&sandbox, "b", "closed", ".x.x", &ended);
    for (state, more) in [
        ("open", &OPEN),
        ("half_open", &OPEN),
        ("closed", &HELD),
        ("closed", &More { concurrency: "1", ..NOTHING }),
    ] {
        remember(&sandbox, "p", state, "xx", more);
        assert_eq!(reset(), json!(["p"]), "{state}");
    }
    assert_eq!(reset(), json!([]));
    sandbox.mdctl(&["breaker", "reset"]).expect_code(0).expect_stdout("nothing to reset");
    let outcomes =
        sandbox.database().texts("SELECT outcomes FROM breaker_state WHERE provider = 'b'");
    assert_eq!(outcomes, [".x.x"], "what is asked as usual is left alone");
    let rows = audit(&sandbox);
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows.iter().all(|row| row.ends_with("|breaker_reset|p|")), "{rows:?}");
}

#[test]
fn a_reset_of_one_by_name_forgets_its_calls() {
    let (_server, sandbox) = three_providers();
    remember(&sandbox, "b", "closed", ".x.x", &NOTHING);
    sandbox.mdctl(&["breaker", "reset", "b"]).expect_code(0).expect_stdout("reset b");
    let outcomes =
        sandbox.database().texts("SELECT outcomes FROM breaker_state WHERE provider = 'b'");
    assert_eq!(outcomes, [""]);
}

#[test]
fn a_reset_waits_for_no_run_and_changes_nothing_under_one() {
    let (_server, sandbox) = three_providers();
    remember(&sandbox, "p", "open", "xx", &OPEN);
    let lock = File::create(sandbox.path("mdctl.db.lock")).expect("a file");
    lock.lock().expect("the lock");
    sandbox.mdctl(&["breaker", "reset", "p"]).expect_code(75).expect_stderr("a run is at work");
    let json = sandbox.mdctl(&["breaker", "reset", "--json"]).expect_code(75).json();
    assert_eq!(json["error"]["kind"], "locked");
    let states = sandbox.database().texts("SELECT state FROM breaker_state WHERE provider = 'p'");
    assert_eq!(states, ["open"]);
    assert_eq!(audit(&sandbox), Vec::<String>::new());
    drop(lock);
    sandbox.mdctl(&["breaker", "reset", "p"]).expect_code(0);
}

#[test]
fn a_reset_of_what_has_no_breaker_is_a_usage_error() {
    let (_server, sandbox) = three_providers();
    remember(&sandbox, "p", "open", "xx", &OPEN);
    let reset = |name: &str| sandbox.mdctl(&["breaker", "reset", "p", name]);
    reset("lcal").expect_code(64).expect_stderr("did you mean `local`?");
    reset("local").expect_code(64).expect_stderr("reads files");
    let states = sandbox.database().texts("SELECT state FROM breaker_state WHERE provider = 'p'");
    assert_eq!(states, ["open"], "all of them or none");
    sandbox.mdctl(&["breaker"]).expect_code(64);
}

#[test]
fn without_a_database_breakers_cannot_be_told_and_need_no_reset() {
    let sandbox = idle();
    sandbox.mdctl(&["breaker", "list"]).expect_code(3).expect_stderr("mdctl backfill");
    sandbox.mdctl(&["breaker", "reset"]).expect_code(0).expect_stdout("nothing to reset");
    assert!(!sandbox.path("mdctl.db").exists());
    assert!(!sandbox.path("mdctl.db.lock").exists());
}

// Verdicts.

#[test]
fn a_pause_is_a_warning_and_no_run_is_overdue_meanwhile() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let_two_days_pass(&sandbox);
    assert_eq!(issues(&health(&sandbox)), ["run_overdue critical"]);
    as_user(&sandbox, "alice", &["pause", "--for", "2h", "--reason", "new disk"]).expect_code(0);
    let json = health(&sandbox);
    assert_eq!(
        (&json["status"], issues(&json)),
        (&"degraded".into(), vec!["paused warning".into()])
    );
    assert_eq!(fields(&json["paused"]), ["reason", "since", "until"]);
    let paused = issue(&json, "paused");
    let until = json["paused"]["until"].as_str().expect("an instant");
    assert_eq!(paused["message"], format!("runs are paused until {until}, by alice: new disk"));
    assert_eq!(
        (&paused["since"], &paused["hint"]),
        (&json["paused"]["since"], &"mdctl resume".into())
    );
    let table = sandbox.mdctl(&["health", "--as-of", AS_OF]);
    table.expect_code(1).expect_stdout("new disk").expect_stdout("mdctl resume");
    sandbox.mdctl(&["resume"]).expect_code(0);
    assert_eq!(issues(&health(&sandbox)), ["run_overdue critical"]);
}

#[test]
fn status_tells_of_a_pause_and_of_providers_that_are_left_alone() {
    let (_server, sandbox) = three_providers();
    let paused = || {
        let json = sandbox.mdctl(&["status", "--json"]).expect_code(0).json();
        json["scheduler"]["paused"].clone()
    };
    let quiet = sandbox.mdctl(&["status"]);
    assert_eq!(paused(), false);
    assert!(!quiet.stdout.contains("paused") && !quiet.stdout.contains("provider"), "{quiet}");
    sandbox.mdctl(&["pause", "--for", "2h", "--reason", "new disk"]).expect_code(0);
    remember(&sandbox, "b", "closed", "", &HELD);
    remember(&sandbox, "p", "half_open", "xx", &OPEN);
    assert_eq!(paused(), true);
    let status = sandbox.mdctl(&["status"]);
    for words in [
        "paused until",
        "new disk",
        "provider p is down: its breaker is half open since 2024-03-15T10:53:20Z",
        "provider b is not to be asked before",
        "come back tomorrow",
        "last run: backfill",
    ] {
        status.expect_code(0).expect_stdout(words);
    }
}

#[test]
fn a_provider_whose_breaker_is_not_closed_is_down() {
    let (_server, sandbox) = three_providers();
    assert_eq!(health(&sandbox)["status"], "healthy");
    sandbox.tamper("UPDATE series SET consecutive_failures = 9");
    assert_eq!(issues(&health(&sandbox)), ["keeps_failing warning"]);
    for state in ["open", "half_open"] {
        remember(&sandbox, "p", state, ".xxxxx", &OPEN);
        let json = health(&sandbox);
        // Its series raise no issues of their own.
        assert_eq!(
            (&json["status"], issues(&json)),
            (&"critical".into(), vec!["provider_down critical".into()])
        );
        let down = issue(&json, "provider_down");
        assert_eq!(
            (&down["subject"], &down["since"]),
            (&"p".into(), &"2024-03-15T10:53:20Z".into())
        );
        let message = down["message"].as_str().expect("a message");
        for words in
            ["2024-03-15T10:53:10Z: timeout no answer", "tried again from 2024-03-15T10:54:20Z"]
        {
            assert!(message.contains(words), "{message}");
        }
        let hint = down["hint"].as_str().expect("a hint");
        assert!(hint.contains("mdctl breaker list") && hint.contains("--force --reason"), "{hint}");
        let breakers = json["breakers"].as_array().expect("breakers");
        assert_eq!(fields(&breakers[1]), BREAKER);
        assert_eq!((&breakers[0]["name"], &breakers[0]["state"]), (&"b".into(), &"closed".into()));
        assert_eq!((&breakers[1]["name"], &breakers[1]["state"]), (&"p".into(), &state.into()));
        sandbox
            .mdctl(&["health", "--as-of", AS_OF])
            .expect_code(2)
            .expect_stdout("provider p is down");
    }
    sandbox.mdctl(&["breaker", "reset", "p"]).expect_code(0);
    assert_eq!(issues(&health(&sandbox)), ["keeps_failing warning"]);
}

#[test]
fn a_provider_is_down_once_even_if_every_job_of_it_failed_too() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(500, "oops"));
    sandbox.backfill(&[]).expect_code(2);
    sandbox.tamper("DELETE FROM breaker_state; DELETE FROM rate_state;");
    let every = health(&sandbox);
    let message = issue(&every, "provider_down")["message"].as_str().expect("a message");
    assert!(message.starts_with("every job of provider p failed"), "{message}");
    remember(&sandbox, "p", "open", "xxxxxx", &OPEN);
    let both = health(&sandbox);
    let message = issue(&both, "provider_down")["message"].as_str().expect("a message");
    assert!(message.contains("its breaker is open since"), "{message}");
}

#[test]
fn a_provider_is_down_however_many_failures_of_another_one_are_newer() {
    let symbols: Vec<String> = (0..60).map(|number| format!("S{number:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let server = Server::start(|_| Answer::status(404, "{}"));
    let away = binance("http://127.0.0.1:9", "");
    let config = polygon(&server.url(), "")
        + &away.replace("[run]\nstagger = \"0s\"\n", "")
        + &group("p", "stock", &symbols, DAILY)
        + &group("b", "crypto", &["BTCUSDT"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(2);
    sandbox.tamper(
        "UPDATE failures SET at = at - 60 WHERE symbol = 'BTCUSDT';
         DELETE FROM breaker_state; DELETE FROM rate_state;",
    );
    let json = health(&sandbox);
    assert_eq!(issue(&json, "provider_down")["subject"], "b");
}

#[test]
fn a_provider_that_wants_to_be_left_alone_is_a_warning() {
    let (_server, sandbox) = three_providers();
    remember(&sandbox, "p", "closed", "..", &HELD);
    let json = health(&sandbox);
    assert_eq!(
        (&json["status"], issues(&json)),
        (&"degraded".into(), vec!["rate_limited warning".into()])
    );
    let held = issue(&json, "rate_limited");
    let until = sandbox.database().texts(
        "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', held_until_us / 1000000, 'unixepoch') FROM rate_state
         WHERE provider = 'p'",
    );
    assert_eq!(held["subject"], "p");
    let expected =
        format!("provider p is not to be asked before {}: 429 come back tomorrow", until[0]);
    assert_eq!(held["message"], expected);
    remember(&sandbox, "p", "closed", "..", &More { held_until: "unixepoch()", ..NOTHING });
    assert_eq!(health(&sandbox)["status"], "healthy", "it has ended");
}

#[test]
fn a_provider_that_put_jobs_off_is_not_down() {
    let (_server, sandbox) = faulty_stocks(&["AAA", "BBB", "CCC", "DDD"], |_| {
        Answer::Whole(Reply::new(429, "slow down").with("Retry-After", 7200))
    });
    sandbox.backfill(&["--parallel", "1"]);
    let database = sandbox.database();
    let count = |status: &str| {
        database.number(&format!("SELECT count(*) FROM jobs WHERE status = '{status}'"))
    };
    assert!(count("failed") > 0 && count("deferred") > 0);
    let issues = issues(&health(&sandbox));
    assert!(!issues.contains(&"provider_down critical".to_owned()), "{issues:?}");
}

#[test]
fn skipped_runs_neither_hide_a_verdict_nor_make_one() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(404, "{}"));
    sandbox.backfill(&[]).expect_code(2);
    let before = health(&sandbox);
    let run_id = before["last_execution"]["run_id"].as_str().expect("a run").to_owned();
    assert!(issues(&before).contains(&"last_run_failed critical".to_owned()));
    assert!(issues(&before).contains(&"high_failure_rate warning".to_owned()));
    // More than are looked at in the first and in the second go.
    add_skipped_runs(&sandbox, 40);
    let after = health(&sandbox);
    assert_eq!(issues(&after), issues(&before));
    assert_eq!(after["last_execution"]["run_id"], run_id.as_str());
    let failed = issue(&after, "last_run_failed");
    assert_eq!(failed["hint"], format!("mdctl history {run_id}"), "`last` is a skipped one");
    let status = sandbox.mdctl(&["status", "--json"]).expect_code(0).json();
    assert_eq!(status["last_job"]["failed"], 1);
    assert_eq!(status["job_queue"][0]["symbol"], "AAA");
    let_two_days_pass(&sandbox);
    assert!(issues(&health(&sandbox)).contains(&"run_overdue critical".to_owned()));
}

#[test]
fn only_skipped_runs_are_no_run() {
    let sandbox = idle();
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    add_skipped_runs(&sandbox, 3);
    let json = health(&sandbox);
    assert_eq!(json["last_execution"], Value::Null);
    let message = &issue(&json, "run_overdue")["message"];
    assert_eq!(message, "no run has finished yet");
    sandbox.mdctl(&["status"]).expect_code(0).expect_stdout("no runs yet");
}

// Older databases.

#[test]
fn reports_work_on_a_database_of_the_first_schema() {
    let (_server, sandbox) = three_providers();
    sandbox.go_back_to_schema_1();
    let json = health(&sandbox);
    assert_eq!((&json["status"], &json["paused"]), (&"healthy".into(), &Value::Null));
    assert_eq!(json["breakers"][1]["state"], "closed");
    let status = sandbox.mdctl(&["status", "--json"]).expect_code(0).json();
    assert_eq!(status["scheduler"]["paused"], false);
    sandbox.mdctl(&["breaker", "list"]).expect_code(0).expect_stdout("closed");
    assert_eq!(sandbox.database().number("PRAGMA user_version"), 1, "a report changed it");
}

#[test]
fn orders_bring_a_database_of_the_first_schema_up_to_date() {
    let (_server, sandbox) = three_providers();
    let newest = sandbox.database().number("PRAGMA user_version");
    let commands: [(&[&str], &str); 3] = [
        (&["pause", "--for", "1h", "--reason", "x"], "paused until"),
        (&["resume"], "nothing is paused"),
        (&["breaker", "reset"], "nothing to reset"),
    ];
    for (command, words) in commands {
        sandbox.go_back_to_schema_1();
        sandbox.mdctl(command).expect_code(0).expect_stdout(words);
        assert_eq!(sandbox.database().number("PRAGMA user_version"), newest, "{command:?}");
    }
}
