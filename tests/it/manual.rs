//! The manual: a page for every command, which says what `--help` says.

use std::fs;
use std::process::Command;

use crate::support::Sandbox;
use crate::support::tools::is_there;

/// The pages that are written, by their names.
fn pages(sandbox: &Sandbox) -> Vec<(String, String)> {
    let output = sandbox.mdctl(&["man", "--out", "share/man1"]);
    output.expect_code(0).expect_stdout("pages in share/man1");
    let mut pages: Vec<(String, String)> = fs::read_dir(sandbox.path("share/man1"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).expect("a page");
            (entry.file_name().into_string().expect("a name of text"), text)
        })
        .collect();
    pages.sort();
    pages
}

/// The words of a command whose page has that name: a command's own name has no dash.
fn words(page: &str) -> Vec<&str> {
    page.trim_end_matches(".1").split('-').skip(1).collect()
}

/// The long flags that a help text tells of, `--help` among them.
fn flags(help: &str) -> Vec<&str> {
    let flags = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    flags
        .filter_map(|line| line.split([' ', ',', '.']).find(|word| word.starts_with("--")))
        .collect()
}

#[test]
fn every_page_names_every_flag_and_example_of_its_help() {
    let sandbox = Sandbox::new();
    let pages = pages(&sandbox);
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for expected in ["mdctl.1", "mdctl-backfill.1", "mdctl-db-prune.1", "mdctl-alerts-snooze.1"] {
        assert!(names.contains(&expected), "{names:?}");
    }
    for (name, page) in &pages {
        let help = sandbox.mdctl(&[&words(name)[..], &["--help"]].concat());
        let help = &help.expect_code(0).stdout;
        let plain = page.replace("\\-", "-");
        let flags = flags(help);
        assert!(flags.len() > 9, "{name}: only {flags:?} in\n{help}");
        for flag in flags {
            assert!(plain.contains(&format!("\\fB{flag}\\fR")), "{name} lacks {flag}\n{plain}");
        }
        assert!(plain.contains(".SH EXAMPLES\n.nf\n"), "{name} lacks examples\n{plain}");
    }
    let first = &pages.last().expect("a page").1;
    for word in ["MDCTL_CONFIG", ".SH \"EXIT CODES\"", "mdctl\\-db(1)"] {
        assert!(first.contains(word), "mdctl.1 lacks {word}:\n{first}");
    }
}

#[test]
fn the_pages_are_sound() {
    let sandbox = Sandbox::new();
    let pages = pages(&sandbox);
    if is_there("mandoc", "mandoc") {
        let mut mandoc = Command::new("mandoc");
        mandoc.args(["-T", "lint", "-W", "unsupp"]).current_dir(sandbox.path("share/man1"));
        sandbox.finish(mandoc.args(pages.iter().map(|(name, _)| name))).expect_code(0);
    }
    if is_there("groff", "groff") {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-ww", "-z"]).current_dir(sandbox.path("share/man1"));
        let output = sandbox.finish(groff.args(pages.iter().map(|(name, _)| name)));
        assert_eq!(output.expect_code(0).stderr, "", "{output}");
    }
}

#[test]
fn a_page_is_printed_by_its_command() {
    let sandbox = Sandbox::new();
    let pages = pages(&sandbox);
    for (name, page) in
        pages.iter().filter(|(name, _)| ["mdctl.1", "mdctl-db-info.1"].contains(&name.as_str()))
    {
        let printed = sandbox.mdctl(&[&["man"], &words(name)[..]].concat());
        assert_eq!(printed.expect_code(0).stdout, *page);
    }
}

#[test]
fn a_page_that_is_not_there_is_named_with_the_nearest() {
    let sandbox = Sandbox::new();
    sandbox.mdctl(&["man", "db", "prnue"]).expect_code(64).expect_stderr("did you mean `prune`?");
    sandbox.mdctl(&["man", "health", "x"]).expect_code(64);
    sandbox.mdctl(&["man", "db", "--out", "."]).expect_code(64);
    sandbox.mdctl(&["man", "--json"]).expect_code(64).json();
}

#[test]
fn a_folder_that_cannot_be_made_is_said() {
    let sandbox = Sandbox::new();
    sandbox.write("taken", "");
    sandbox.mdctl(&["man", "--out", "taken/man1"]).expect_code(73).expect_stderr("taken/man1");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::new();
    for call in ["man", "completions bash"] {
        let mut shell = Command::new("bash");
        let script = format!("\"$0\" {call} | true; echo \"${{PIPESTATUS[0]}}\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_mdctl")]);
        let output = sandbox.finish(&mut shell);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("0\n", ""), "{output}");
    }
}
