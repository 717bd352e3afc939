//! Tests: every command has examples in its `--help`, and each is a command line that the program follows.

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
fn a_command_by_itself_takes_what_it_takes_among_all() {
    let takes = |command: &clap::Command| {
        let arguments = command.get_arguments().map(|it| it.get_id().to_string());
        let below = command.get_subcommands().map(|it| it.get_name().to_owned());
        arguments.chain(below).collect::<Vec<_>>()
    };
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let only = Command::only(name).unwrap_or_else(|| panic!("{name} is not found"));
        assert_eq!(takes(&only), takes(command), "{name}");
    }
    assert!(Command::only("History").is_none() && Command::only("help").is_none());
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

#[test]
fn the_kubernetes_job_calls_the_program_as_it_is_called() {
    let job = include_str!("../../examples/kubernetes/indexed-job.yaml");
    let of = |key: &str| job.lines().find_map(|line| line.trim().strip_prefix(key));
    let machines: u32 = of("completions: ").and_then(|n| n.parse().ok()).expect("how many");
    assert_eq!(of("parallelism: "), of("completions: "), "all at once");
    let below = job.lines().skip_while(|line| line.trim() != "args:").skip(1);
    let arguments: Vec<&str> = below.map_while(|line| line.trim().strip_prefix("- ")).collect();
    let shard = format!("--shard=$(JOB_COMPLETION_INDEX)/{machines}");
    assert!(arguments.contains(&shard.as_str()), "{arguments:?} takes no share of {machines}");
    for index in 0..machines {
        let filled =
            arguments.iter().map(|a| a.replace("$(JOB_COMPLETION_INDEX)", &index.to_string()));
        let call: Vec<String> = ["mdctl".to_owned()].into_iter().chain(filled).collect();
        Cli::try_parse_from(&call).unwrap_or_else(|error| panic!("{call:?}: {error}"));
    }
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
        are_followed(lines.filter_map(|line| line.strip_prefix("ExecStart=")), 6);
    }
    let crontab = cron::crontab(&Layout::usual()).unwrap();
    let calls = crontab
        .split(" >/dev/null")
        .filter_map(|text| Some(&text[text.rfind("/usr/bin/mdctl")?..]));
    are_followed(calls, 9);
}

/// What is typed stands in every list of processes, and in the shell's history.
#[test]
fn no_flag_takes_a_secret() {
    fn look(command: &clap::Command) {
        for argument in command.get_arguments() {
            let names = argument.get_long().into_iter().chain([argument.get_id().as_str()]);
            let values = argument.get_value_names().into_iter().flatten().map(|name| name.as_str());
            for name in names.chain(values) {
                let name = name.to_lowercase();
                let words = ["key", "secret", "token", "password", "credential", "header"];
                let told = words.iter().find(|word| name.contains(*word));
                assert!(told.is_none(), "{} --{name}", command.get_name());
            }
        }
        command.get_subcommands().for_each(look);
    }
    look(&Cli::command());
}
