//! Files with planted defects, and what is to be found in each.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{PROVIDER, put, refused};
use crate::support::market::instant;
use crate::support::{Sandbox, group};

/// What a row is refused for; other findings are of bars that are stored.
const REFUSALS: [&str; 8] = [
    "invalid_number",
    "nonpositive_price",
    "negative_volume",
    "high_lt_low",
    "ohlc_out_of_range",
    "off_grid_ts",
    "future_ts",
    "unfinished_bar",
];

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/oracle/quality/injected");
    let Ok(entries) = fs::read_dir(&folder) else {
        let _ = writeln!(std::io::stderr(), "NOT TESTED: {} is not there", folder.display());
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "csv")).collect()
}

#[test]
fn every_planted_defect_of_a_row_is_found_at_its_line_and_no_other() {
    for path in cases() {
        let text = fs::read_to_string(path.with_extension("json")).expect("what is expected");
        let case: Value = serde_json::from_str(&text).expect("JSON");
        let word = |value: &Value| value.as_str().expect("a word").to_owned();
        let (timeframe, calendar) = (word(&case["timeframe"]), word(&case["calendar"]));
        let class = match calendar.as_str() {
            "24x7" => "crypto",
            "FX" => "forex",
            _ => "stock",
        };
        let more = format!("timeframes = [{timeframe:?}]\ncalendar = {calendar:?}");
        let sandbox = Sandbox::with(&(PROVIDER.to_owned() + &group("local", class, &["X"], &more)));
        put(&sandbox, &format!("X_{timeframe}.csv"), fs::read(&path).expect("the rows"));
        sandbox.backfill_at(&word(&case["as_of"]), &[]).expect_code(0);

        let name = path.display();
        let findings = case["expected"].as_array().expect("findings");
        let planted: BTreeSet<String> = findings
            .iter()
            .filter(|finding| REFUSALS.contains(&finding["code"].as_str().expect("a code")))
            .map(|finding| format!("{} {}", word(&finding["code"]), finding["line"]))
            .collect();
        let is_repeated = |row: &String| row.starts_with("duplicate_ts");
        let found: BTreeSet<String> =
            refused(&sandbox).into_iter().filter(|row| !is_repeated(row)).collect();
        assert_eq!(found, planted, "{name}");

        let differing: Vec<i64> = findings
            .iter()
            .filter(|finding| finding["code"] == "duplicate_ts" && finding["identical"] == false)
            .map(|finding| instant(finding["ts"].as_str().expect("a time")))
            .collect();
        let sql = "SELECT DISTINCT ts FROM rejected_bars WHERE reason = 'duplicate_ts' ORDER BY ts";
        assert_eq!(sandbox.database().numbers(sql), differing, "{name}");
    }
}
