//! Room on the disk for what is planned, and a database that is too large to be looked at closely.

use std::io::Write as _;
use std::process::Command;

use super::*;
use crate::support::binance;

/// What is found of a database on a disk of that size; `None` where this machine lets nobody make one.
fn on_a_disk_of(size: &str, sandbox: &Sandbox) -> Option<Found> {
    let _ = fs::create_dir(sandbox.path("disk"));
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs disk || exit 99; cp mdctl.db disk/; exec {} doctor --json \
         --db disk/mdctl.db",
        env!("CARGO_BIN_EXE_mdctl")
    );
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(sandbox.path("."));
    let output = sandbox.finish(&mut command);
    if output.code == Some(99) || output.stderr.contains("unshare failed") {
        let note = format!("SKIPPED, no disk can be made here: {}\n", output.stderr.trim());
        let _ = std::io::stderr().write_all(note.as_bytes());
        return None;
    }
    Some(Found { document: output.json(), output })
}

#[test]
fn a_plan_that_the_disk_does_not_hold_is_told_before_it_is_fetched() {
    let server = Server::start(|_| Answer::ok("[]"));
    let minutes = "timeframes = [\"1m\"]\nlookback = { \"1m\" = \"2y\" }";
    let sandbox =
        Sandbox::with(&(binance(&server.url(), "") + &group("b", "crypto", &["BTCUSDT"], minutes)));
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    // A million bars of 300 bytes, twice, and some room.
    let Some(small) = on_a_disk_of("600m", &sandbox) else { return };
    small.output.expect_code(2);
    small
        .check("disk")
        .says("critical", "the next backfill plans 1,05")
        .mended_by("[database] path");
    let narrow = on_a_disk_of("1100m", &sandbox).expect("a disk");
    narrow.output.expect_code(1);
    narrow.check("disk").says("warning", "may need 66");
    on_a_disk_of("4g", &sandbox).expect("a disk").check("disk").says("ok", "may need 66");
    // Too small for any run: then it is what health says.
    let tiny = on_a_disk_of("40m", &sandbox).expect("a disk");
    tiny.check("disk").says("critical", "are free");
}

#[test]
fn a_large_database_is_looked_at_less_closely_and_says_so() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.tamper(
        "INSERT INTO rejected_bars (series_id, run_id, reason, text)
         VALUES (0, 'run', 'reason', hex(zeroblob(36000000)))",
    );
    let found = examine(&sandbox);
    found.output.expect_code(0);
    found
        .check("database")
        .says("ok", "quick_check finds nothing wrong")
        .says("ok", "`mdctl db check` does");
}
