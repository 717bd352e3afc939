//! The page of exit codes against the one list of them, and against the kinds of errors in the code.

use std::collections::BTreeSet;

use mdctl::domain::run::StopSignal;
use mdctl::exit::Exit;

use crate::tidy;

use super::page::{Page, same, words};

/// Every code. The match makes a new one fail to compile until it is here.
fn codes() -> Vec<u8> {
    use Exit::{
        CannotCreate, Chosen, Config, Deferred, Failed, InputOutput, Locked, Partial, Stopped,
        Success, Unknown, Usage,
    };
    match Success {
        Success
        | Partial
        | Failed
        | Unknown
        | Deferred
        | Usage
        | CannotCreate
        | InputOutput
        | Locked
        | Config
        | Stopped(StopSignal::Interrupt | StopSignal::Terminate)
        | Chosen(_) => {}
    }
    let all = [
        Success,
        Partial,
        Failed,
        Unknown,
        Deferred,
        Usage,
        CannotCreate,
        InputOutput,
        Locked,
        Config,
        Stopped(StopSignal::Interrupt),
        Stopped(StopSignal::Terminate),
    ];
    all.map(Exit::code).to_vec()
}

#[test]
fn every_exit_code_is_told() {
    let page = Page::of_guide("exit_codes");
    let rows = page.rows("## The codes");
    let told: Vec<&str> = rows.iter().flat_map(|row| words(&row[0])).collect();
    let real: Vec<String> = codes().iter().map(u8::to_string).collect();
    same(&told, &real, "exit codes");
}

/// The commands that do something, below `command`, as they are typed.
fn commands(command: &clap::Command, before: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in command.get_subcommands().filter(|part| part.get_name() != "help") {
        let name = format!("{before}{}", part.get_name());
        if !part.is_subcommand_required_set() {
            names.push(name.clone());
        }
        names.extend(commands(part, &format!("{name} ")));
    }
    names
}

#[test]
fn of_every_command_its_codes_are_told() {
    let page = Page::of_guide("exit_codes");
    let rows = page.rows("## Which command ends with which");
    let told: BTreeSet<&str> = rows.iter().flat_map(|row| words(&row[0])).collect();
    let real = commands(&mdctl::cli::command(), "");
    // A word for all that a command holds is enough.
    let is_told = |name: &str| {
        let whole = |at: &usize| told.contains(&name[..*at]);
        told.contains(name) || name.match_indices(' ').map(|(at, _)| at).any(|at| whole(&at))
    };
    let lacking: Vec<_> = real.iter().filter(|name| !is_told(name)).collect();
    let is_real =
        |name: &str| real.iter().any(|real| real == name || real.starts_with(&format!("{name} ")));
    let left_over: Vec<_> = told.iter().filter(|name| !is_real(name)).collect();
    assert!(
        lacking.is_empty() && left_over.is_empty(),
        "lacking {lacking:?}, left over {left_over:?}"
    );
    let codes: Vec<String> = codes().iter().map(u8::to_string).collect();
    for code in rows.iter().flat_map(|row| words(&row[1])) {
        assert!(codes.iter().any(|real| real == code), "{code} is no exit code");
    }
}

/// The kinds that stand in the code: the second thing that each `Failure::new` is given.
fn kinds() -> BTreeSet<String> {
    let sources = tidy::sources();
    let code: String = sources
        .iter()
        .filter(|source| source.name.starts_with("cli/"))
        .map(|source| source.code.as_str())
        .collect();
    let mut kinds = BTreeSet::new();
    for made in ["Failure::new(", "Self::new("].iter().flat_map(|name| code.split(name).skip(1)) {
        // Of the code, then the kind.
        let Some((exit, rest)) = made.split_once(',') else { continue };
        let kind = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
        if exit.contains("Exit::") {
            kinds.extend(kind.map(str::to_owned));
        }
    }
    for named in code.split("kind: \"").skip(1) {
        kinds.extend(named.split('"').next().map(str::to_owned));
    }
    kinds
}

#[test]
fn every_kind_of_error_is_told() {
    let page = Page::of_guide("exit_codes");
    let rows = page.rows("## Kinds of errors");
    let told: Vec<&str> = rows.iter().flat_map(|row| words(&row[0])).collect();
    let real: Vec<String> = kinds().into_iter().collect();
    assert!(real.len() > 4, "{real:?}");
    same(&told, &real, "kinds of errors");
}
