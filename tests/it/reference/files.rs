//! The embedded provider's file of actions.

use std::fs;

use super::{actions, enrich};
use crate::support::market::{date, row};
use crate::support::{AS_OF, Sandbox, daily_sessions};

/// A folder with days of `BRK/B`, and with that file of actions.
fn folder(actions: Option<&str>) -> Sandbox {
    let sandbox = Sandbox::with(
        "[providers.f]\nkind = \"files\"\npath = \"data\"\n[[group]]\nname = \"g\"\nprovider = \"f\"\n\
         asset_class = \"stock\"\nsymbols = [\"BRK/B\"]\ntimeframes = [\"1d\"]\n",
    );
    let bars = daily_sessions().into_iter().map(row).map(|bar| {
        format!("{},{},{},{},{},9\n", date(bar.ts), bar.open, bar.high, bar.low, bar.close)
    });
    let bars: String = bars.collect();
    sandbox.write("data/BRK-B_1d.csv", format!("ts,open,high,low,close,volume\n{bars}"));
    if let Some(actions) = actions {
        sandbox.write(FILE, actions);
    }
    sandbox
}

const FILE: &str = "data/BRK-B_actions.csv";

const GOOD: &str =
    "Value,EX_DATE,kind,prev_close_ref\n4, 2024-03-04 ,Split,1\n0.25,2024-02-20,dividend,\n";

const DECLARED: [&str; 2] = ["BRK/B 2024-02-20 dividend 0.25", "BRK/B 2024-03-04 split 1.0 4.0"];

fn attempts(sandbox: &Sandbox) -> i64 {
    sandbox.database().number("SELECT count(*) FROM fetch_log WHERE timeframe = 'actions'")
}

#[test]
fn both_passes_read_it_once() {
    for command in ["backfill", "enrich"] {
        let sandbox = folder(Some(GOOD));
        let run = || sandbox.mdctl(&[command, "--as-of", AS_OF]);
        let plan = sandbox.mdctl(&[command, "--as-of", AS_OF, "--dry-run", "--json"]).json();
        assert_eq!(plan["requests"], 0, "it costs none");
        run().expect_code(0);
        assert_eq!(actions(&sandbox.database()), DECLARED);
        assert_eq!(
            sandbox.database().texts("SELECT DISTINCT provider FROM corporate_actions"),
            ["f"]
        );
        run().expect_code(0);
        assert_eq!(attempts(&sandbox), 1);
        assert_eq!(sandbox.database().numbers("SELECT DISTINCT requests FROM runs"), [0]);
    }
}

#[test]
fn there_need_be_none() {
    let sandbox = folder(None);
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!((actions(&sandbox.database()), attempts(&sandbox)), (Vec::new(), 0));
}

#[test]
fn it_is_read_again_when_it_changed_and_forgotten_when_it_is_gone() {
    let sandbox = folder(Some(GOOD));
    sandbox.backfill(&[]).expect_code(0);
    sandbox.write(FILE, "ex_date,kind,value\n2024-03-05,split,4\n");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(actions(&sandbox.database()), ["BRK/B 2024-03-05 split 1.0 4.0"]);
    fs::remove_file(sandbox.path(FILE)).expect("it is gone");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(actions(&sandbox.database()), [""; 0]);
    let before = attempts(&sandbox);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(attempts(&sandbox), before);
}

#[test]
fn rows_that_do_not_read_fail_the_job_until_they_are_mended() {
    let bad =
        "2024-02-30,split,2\n2024-03-06,split,NaN\n2024-03-07,merger,3\n2024-03-08,split,-2\n";
    let sandbox = folder(Some(&format!("{}{bad}", GOOD.replace("Value,EX_DATE,kind,prev_close_ref\n4, 2024-03-04 ,Split,1\n0.25,2024-02-20,dividend,\n", "ex_date,kind,value\n2024-02-20,dividend,0.25\n2024-03-04,split,4\n"))));
    for run in 1..=2 {
        let words = "BRK-B_actions.csv: 4 rows are no action that can be: line 4: 2024-02-30,split,2; line 5";
        sandbox.backfill(&[]).expect_code(2).expect_stderr(words);
        let database = sandbox.database();
        assert_eq!(actions(&database), DECLARED, "the others count");
        assert_eq!(database.times("BRK/B", "1d"), daily_sessions());
        assert_eq!(attempts(&sandbox), run);
        assert_eq!(database.number("SELECT max(consecutive_failures) FROM series"), 0);
    }
    let kinds = "SELECT DISTINCT concat_ws(' ', timeframe, stage, error_kind) FROM failures";
    assert_eq!(sandbox.database().texts(kinds), ["actions validate validation"]);
    sandbox.write(FILE, GOOD);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(attempts(&sandbox), 3);
}

#[test]
fn a_file_that_is_none_of_ours_fails_and_takes_nothing_back() {
    let sandbox = folder(Some(GOOD));
    sandbox.backfill(&[]).expect_code(0);
    sandbox.write(FILE, "date,kind,value\n2024-03-04,split,4\n");
    sandbox.backfill(&[]).expect_code(2).expect_stderr("the header has no column `ex_date`");
    fs::remove_file(sandbox.path(FILE)).expect("it is gone");
    sandbox.write(&format!("{FILE}/inside"), "");
    sandbox.backfill(&[]).expect_code(2).expect_stderr("is no regular file");
    fs::remove_dir_all(sandbox.path(FILE)).expect("it is gone");
    let endless = fs::File::create(sandbox.path(FILE)).expect("a file");
    endless.set_len(1 << 33).expect("a long one");
    sandbox.backfill(&[]).expect_code(2).expect_stderr("is longer than");
    assert_eq!(actions(&sandbox.database()), DECLARED);
}
