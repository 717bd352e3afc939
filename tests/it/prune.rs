//! What is kept for a while goes, and nothing else.

use crate::support::{Sandbox, daily_stocks, faulty_stocks, server::Answer};

/// Makes everything on record so many days older.
fn age(sandbox: &Sandbox, days: i64) {
    let seconds = days * 86_400;
    sandbox.tamper(&format!(
        "UPDATE fetch_log SET started_at = started_at - {seconds};
         UPDATE compute_log SET at = at - {seconds};
         UPDATE failures SET at = at - {seconds};
         UPDATE runs SET started_at = started_at - {seconds}, completed_at = completed_at - {seconds};"
    ));
}

/// Rows of each table that `db prune` looks at.
fn rows(sandbox: &Sandbox) -> [i64; 5] {
    let database = sandbox.database();
    ["fetch_log", "compute_log", "failures", "jobs", "runs"]
        .map(|table| database.number(&format!("SELECT count(*) FROM {table}")))
}

#[test]
fn logs_go_before_runs_and_totals_bars_and_the_newest_runs_stay() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.backfill(&["--full"]).expect_code(0);
    let whole = rows(&sandbox);
    let bars = sandbox.database().number("SELECT count(*) FROM bars");
    let totals = "SELECT sum(requests) FROM request_totals";
    let requests = sandbox.database().number(totals);
    sandbox.mdctl(&["db", "prune"]).expect_code(0);
    assert_eq!(rows(&sandbox), whole, "all of it is young");
    age(&sandbox, 100);
    let json = sandbox.mdctl(&["db", "prune", "--json"]).expect_code(0).json();
    assert_eq!(json["deleted"]["fetch_log"], whole[0], "{json}");
    assert_eq!(rows(&sandbox), [0, 0, 0, whole[3], whole[4]], "runs are kept for longer");
    age(&sandbox, 700);
    sandbox.mdctl(&["db", "prune"]).expect_code(0).expect_stdout("runs: 1 row deleted");
    assert_eq!(rows(&sandbox), [0, 0, 0, 2, 1], "the newest tells how things stand");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), bars);
    assert_eq!(sandbox.database().number(totals), requests);
    sandbox.mdctl(&["db", "check"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
}

#[test]
fn the_config_says_for_how_long_and_the_newest_good_run_stays() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    server.answer_with(|_| Answer::status(404, "{}"));
    sandbox.backfill(&["--full"]).expect_code(2);
    sandbox.backfill(&["--full"]).expect_code(2);
    age(&sandbox, 2);
    let config = sandbox.read("mdctl.toml");
    let short = "[database]\nretention = { logs = \"1d\", runs = \"1d\" }\n";
    sandbox.write("mdctl.toml", format!("{config}\n{short}"));
    sandbox.mdctl(&["db", "prune"]).expect_code(0);
    let left = sandbox.database().texts("SELECT status FROM runs ORDER BY run_id");
    assert_eq!(left, ["succeeded", "failed"]);
}

#[test]
fn an_import_is_no_run_of_the_schedule_and_keeps_none_from_staying() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    // Later ones, which went well.
    sandbox.tamper(
        "CREATE TEMP TABLE later AS SELECT * FROM runs;
         UPDATE later SET run_id = '8' || substr(run_id, 2), command = 'import';
         INSERT INTO runs SELECT * FROM later;",
    );
    age(&sandbox, 1_000);
    sandbox.mdctl(&["db", "prune"]).expect_code(0);
    assert_eq!(sandbox.database().texts("SELECT command FROM runs"), ["backfill"]);
    sandbox.mdctl(&["db", "check"]).expect_code(0);
}

#[test]
fn more_than_a_slice_goes_and_nothing_is_made() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(404, "{}"));
    sandbox.mdctl(&["db", "prune"]).expect_code(74);
    assert!(!sandbox.path("mdctl.db").exists());
    sandbox.backfill(&[]).expect_code(2);
    sandbox.tamper(
        "INSERT INTO failures WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
         SELECT run_id, symbol, timeframe, stage, error_kind, message, attempts, 5 FROM failures, n",
    );
    sandbox.mdctl(&["db", "prune"]).expect_code(0).expect_stdout("failures: 50,000 rows deleted");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM failures"), 1);
}
