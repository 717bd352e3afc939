//! The runbook against the codes of `health`'s issues, and against the names of `doctor`'s checks.

use std::collections::BTreeSet;

use mdctl::report::health::Code;

use crate::tidy;

use super::page::{Page, same, words};

#[test]
fn every_issue_has_its_section() {
    let page = Page::of_guide("runbook");
    let section = page.section("## What `health` names");
    let told: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    same(&told, &Code::ALL.map(Code::as_str), "issues");
}

#[test]
fn each_section_says_what_it_means_and_what_to_do() {
    let page = Page::of_guide("runbook");
    for code in Code::ALL {
        let section = page.section(&format!("### {code}"));
        for word in ["**Means**", "**Do**"] {
            assert!(section.contains(word), "{code} lacks {word}");
        }
    }
}

/// The names of the checks: what each finding in the code is given first.
fn checks() -> BTreeSet<String> {
    let sources = tidy::sources();
    let of_doctor = sources.iter().filter(|source| source.name.starts_with("report/doctor/"));
    let mut checks = BTreeSet::new();
    for source in of_doctor {
        for made in source.code.split("Finding::").skip(1) {
            let Some((_, arguments)) = made.split_once('(') else { continue };
            let name =
                arguments.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            checks.extend(name.map(str::to_owned));
        }
        // Or it is named first, where several findings of one check are made.
        let named = source.code.split("let code = \"").skip(1);
        checks.extend(named.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    checks
}

#[test]
fn every_check_of_the_doctor_is_told() {
    let page = Page::of_guide("runbook");
    let rows = page.rows("## What `doctor` names");
    let told: Vec<&str> = rows.iter().flat_map(|row| words(&row[0])).collect();
    let real: Vec<String> = checks().into_iter().collect();
    assert!(real.len() > 10, "{real:?}");
    same(&told, &real, "checks");
}
