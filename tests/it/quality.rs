//! What is found wrong in bars, and the figures made of it: planted defects and real series through the
//! real binary.


use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;


use crate::support::Sandbox;

/// Cases whose bars may be shipped.
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/quality");

/// A folder of the workshop with all cases and more real series; absent elsewhere.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared");

/// A sandbox whose one symbol is `S`, with that file of bars.
fn series(calendar: &str, timeframe: &str, csv: &str) -> Sandbox {
    let class = match calendar {
        "24x7" => "crypto",
        "FX" => "forex",
        _ => "stock",
    };
    let sandbox = Sandbox::with(&format!(
        "[providers.local]\nkind = \"files\"\npath = \"data\"\n[[group]]\nname = \"g\"\nprovider = \"local\"\n\
         asset_class = \"{class}\"\ncalendar = \"{calendar}\"\nsymbols = [\"S\"]\ntimeframes = [\"{timeframe}\"]\n"
    ));
    sandbox.write(&format!("data/S_{timeframe}.csv"), csv);
    sandbox
}

/// Declares splits, each an ex date and new shares for an old one; the next run knows of them.
fn declare(sandbox: &Sandbox, splits: &[(String, f64)]) {
    sandbox.tamper("DELETE FROM corporate_actions; DELETE FROM adjustment_factors;");
    let mut factor = 1.0;
    for (date, value) in splits.iter().rev() {
        factor /= value;
        sandbox.tamper(&format!(
            "INSERT INTO corporate_actions (symbol, ex_date, kind, ratio_from, ratio_to, provider, status,
                 first_seen_at) VALUES ('S', '{date}', 'split', 1, {value}, 'local', 'applied', 0);
             INSERT INTO adjustment_factors
                 SELECT series_id, unixepoch('{date}'), {factor}, {factor} FROM series"
        ));
    }
    sandbox.tamper("UPDATE series SET quality_from = first_ts");
}

/// What `mdctl quality S --json` tells at `as_of`.
fn told(sandbox: &Sandbox, as_of: &str) -> Value {
    let output = sandbox.mdctl(&["quality", "S", "--json", "--as-of", as_of]);
    output.expect_code(0);
    output.json()
}

/// The JSON files of a folder, by name.
fn cases(folder: &Path) -> Vec<(String, Value)> {
    let entries = fs::read_dir(folder).expect("a folder of cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let cases = paths.iter().filter(|path| {
        path.extension().is_some_and(|extension| extension == "json")
            && path.with_extension("csv").exists()
    });
    cases
        .map(|path| {
            let text = fs::read_to_string(path).expect("a case");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).expect("a case is JSON"))
        })
        .collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Runs a case; tells what differs.
fn differences(folder: &Path, name: &str, case: &Value) -> Vec<String> {
    let csv = fs::read_to_string(folder.join(format!("{name}.csv"))).expect("its bars");
    let sandbox = series(text(case, "calendar"), text(case, "timeframe"), &csv);
    let as_of = text(case, "as_of");
    sandbox.backfill_at(as_of, &[]).expect_code(0);
    let splits: Vec<(String, f64)> = case["corporate_actions"]
        .as_array()
        .expect("actions")
        .iter()
        .map(|action| (text(action, "ex_date").to_owned(), action["value"].as_f64().expect("a ratio")))
        .collect();
    if !splits.is_empty() {
        declare(&sandbox, &splits);
        sandbox.backfill_at(as_of, &[]).expect_code(0);
    }
    let told = told(&sandbox, as_of);
    let mut found: Vec<&Value> = told["findings"].as_array().expect("findings").iter().collect();
    let mut wrong = Vec::new();
    for expected in case["expected"].as_array().expect("what is expected") {
        match found.iter().position(|finding| is_told(expected, finding)) {
            Some(at) => drop(found.remove(at)),
            None => wrong.push(format!("{name}: not found: {expected}")),
        }
    }
    let may = case["may"].as_array().expect("what may be");
    let false_alarms = found.iter().filter(|finding| !may.contains(&finding["code"]));
    wrong.extend(false_alarms.map(|finding| format!("{name}: false alarm: {finding}")));
    wrong
}

/// Whether a finding says what is expected, as far as it can know it.
fn is_told(expected: &Value, finding: &Value) -> bool {
    let same = |field: &str| expected.get(field).is_none_or(|value| *value == finding[field]);
    let is_count = |times: &Value| finding["count"] == times.as_array().expect("times").len();
    // Lines of stored bars are not kept.
    let line = finding["line"].is_null() || same("line");
    ["code", "ts", "ts_end", "count", "fields"].into_iter().all(same)
        && line
        && expected.get("all_ts").is_none_or(is_count)
}

#[track_caller]
fn meets_all(folder: &Path, at_least: usize) {
    let cases = cases(folder);
    assert!(cases.len() >= at_least, "{} cases in {}", cases.len(), folder.display());
    let wrong: Vec<String> =
        cases.iter().flat_map(|(name, case)| differences(folder, name, case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn planted_defects_are_found_and_nothing_else() {
    meets_all(Path::new(SHIPPED), 20);
}

#[test]
fn all_planted_defects_of_the_workshop_are_found_and_nothing_else() {
    let folder = Path::new(SHARED).join("oracle/quality/injected");
    if !folder.exists() {
        eprintln!("SKIPPED: no ../shared/oracle/quality/injected; only the shipped cases are checked");
        return;
    }
    meets_all(&folder, 32);
}
