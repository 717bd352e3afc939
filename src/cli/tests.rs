//! What holds for every command: its flags make sense, and its examples are command lines.

use crate::systemd::units::{self, Layout};
use crate::systemd::{Manager, cron};

use super::*;

/// Every command with all that is below it, and what it is called by.
fn commands() -> Vec<clap::Command> {
    fn walk(command: &clap::Command, all: &mut Vec<clap::Command>) {
        all.push(command.clone());
        // `help` is clap's own.
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        below.for_each(|below| walk(below, all));
    }
    let mut mdctl = Cli::command();
    mdctl.build();
    let mut all = Vec::new();
    walk(&mdctl, &mut all);
    all
}

/// The lines below `Examples:` of what `--help` says last.
fn examples(command: &clap::Command) -> Vec<String> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = after.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines.take_while(|line| !line.is_empty()).map(|line| line.trim().to_owned()).collect()
}

/// The words of a command as a shell parts them, up to a pipe, a redirection or the words of
/// explanation beside it.
fn words(line: &str) -> Vec<String> {
    let command = line.split("  ").next().unwrap_or_default();
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in command.chars() {
        match (quote, letter) {
            (None, '|' | '>' | '<' | ';' | '&') => break,
            (None, '"' | '\'') => quote = Some(letter),
            (None, ' ') => words.push(String::new()),
            (Some(open), letter) if open == letter => quote = None,
            (_, letter) => words.last_mut().expect("a word").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Panics when the program would not follow that line.
#[track_caller]
fn check_call(whose: &str, line: &str) {
    if let Err(error) = Cli::try_parse_from(words(line)) {
        panic!("{whose}: `{line}` is no command line: {error}");
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples_that_it_follows() {
    let commands = commands();
    assert!(commands.len() > 30, "only {} commands are found", commands.len());
    for command in &commands {
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let examples = examples(command);
        let lines = examples.iter().map(|line| line.trim_start_matches("sudo "));
        let calls: Vec<&str> = lines.filter(|line| line.starts_with("mdctl ")).collect();
        let is_own = |call: &&str| words(call).starts_with(&words(name));
        assert!(calls.iter().any(is_own), "`{name} --help` has no example of `{name}`");
        calls.iter().for_each(|call| check_call(name, call));
    }
}

#[test]
fn words_are_parted_as_a_shell_parts_them() {
    let line = "mdctl pause --for 2h --reason \"the disk's\" --x='a b' | jq '.x'   what it does";
    assert_eq!(words(line), ["mdctl", "pause", "--for", "2h", "--reason", "the disk's", "--x=a b"]);
}

/// Asserts that the command line follows each of the calls.
fn are_followed<'text>(calls: impl Iterator<Item = &'text str>, least: usize) {
    let calls: Vec<&str> = calls.collect();
    assert!(calls.len() >= least, "{calls:?}");
    for call in calls {
        if let Err(error) = Cli::try_parse_from(call.split(' ')) {
            panic!("{call}: {error}");
        }
    }
}

#[test]
fn units_and_cron_start_what_there_is() {
    for manager in [Manager::System, Manager::User] {
        let files = units::files(&Layout { manager, ..Layout::usual() }).unwrap();
        let lines = files.iter().flat_map(|file| file.text.lines());
        are_followed(lines.filter_map(|line| line.strip_prefix("ExecStart=")), 5);
    }
    let crontab = cron::crontab(&Layout::usual()).unwrap();
    let calls = crontab
        .split(" >/dev/null")
        .filter_map(|text| Some(&text[text.rfind("/usr/bin/mdctl")?..]));
    are_followed(calls, 8);
}
