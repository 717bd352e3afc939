//! The page of systemd against the units that are in the sources, as a package installs them.

use std::collections::BTreeMap;
use std::fs;

use super::page::{Page, root, same, words};

/// What each service calls, and which codes besides 0 are none of a failure.
fn services() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let entries = fs::read_dir(root().join("systemd")).expect("the units");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let services = paths.filter(|path| path.extension().is_some_and(|end| end == "service"));
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("a unit is text");
        let values = |key: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let call = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words[1], "--config", "{line}");
            format!("mdctl {}", words[3..].join(" "))
        };
        let codes = values("SuccessExitStatus").join(" ");
        let codes = codes.split(' ').filter(|code| !code.is_empty()).map(str::to_owned).collect();
        let name = path.file_stem().expect("a name").display().to_string();
        (name, (values("ExecStart").iter().map(call).collect(), codes))
    };
    services.map(read).collect()
}

#[test]
fn each_unit_is_told_with_what_it_calls() {
    let page = Page::of_guide("systemd");
    let rows = page.rows("## What each unit does");
    let services = services();
    let told: Vec<&str> = rows.iter().flat_map(|row| words(&row[0])).collect();
    same(&told, &services.keys().collect::<Vec<_>>(), "units");
    for row in &rows {
        let name = words(&row[0])[0];
        let (calls, codes) = &services[name];
        same(&words(&row[2]), calls, name);
        let told: Vec<&str> = words(&row[3]).into_iter().filter(|code| *code != "0").collect();
        same(&told, codes, name);
    }
}
