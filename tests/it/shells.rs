//! Completions: the shells themselves complete command lines with them.

use std::process::Command;

use crate::support::tools::is_there;
use crate::support::{Output, Sandbox};

/// What each shell is to find behind the beginning of a line.
const LINES: [(&str, &[&str]); 4] = [
    ("mdctl ba", &["backfill", "bars", "baseline"]),
    ("mdctl db pr", &["prune"]),
    ("mdctl health --log-format ", &["json", "text"]),
    ("mdctl alerts snooze --f", &["--for"]),
];

/// Reads the script and completes the line that it is called with, a find a line.
const BASH: &str = r#"
set -euo pipefail
source ./mdctl
[[ $(complete -p mdctl) == *'-F _mdctl'* ]]
words=($1); [[ $1 == *' ' ]] && words+=('')
COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1))
_mdctl mdctl "${words[-1]}" "${words[-2]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Presses Tab behind the line in a zsh at a terminal, until all that is to be found stands there.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; fpath=($PWD $fpath); autoload -U compinit; compinit -u -d $PWD/dump; print -r -- rea""dy'
zpty -r shell said '*ready*'
zpty -w -n shell "$1"$'\t'
shift
said=
for found; do
    [[ $said == *$found* ]] || { zpty -r shell more "*$found*" || exit 1; said+=$more }
done
print -r -- "$said"
"#;

/// A sandbox with the script of that shell as `file`; a home is there, too.
fn with_script(shell: &str, file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let printed = sandbox.mdctl(&["completions", shell]);
    assert_eq!(printed.expect_code(0).stderr, "");
    sandbox.write(file, &printed.stdout);
    sandbox
}

/// Runs a shell in the sandbox.
fn run(sandbox: &Sandbox, shell: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("60").args(shell).current_dir(sandbox.path("")).env("HOME", sandbox.path("home"));
    sandbox.finish(command.env("TERM", "xterm"))
}

/// Asserts that a shell said nothing but what is to be found.
#[track_caller]
fn check(output: &Output, expected: &[&str]) {
    let mut found: Vec<&str> = output.expect_code(0).stdout.lines().collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{output}");
    assert_eq!(output.stderr, "", "{output}");
}

#[test]
fn bash_completes() {
    let sandbox = with_script("bash", "mdctl");
    for (line, expected) in LINES {
        check(&run(&sandbox, &["bash", "--norc", "-c", BASH, "bash", line]), expected);
    }
}

#[test]
fn fish_completes() {
    if !is_there("fish", "fish") {
        return;
    }
    let sandbox = with_script("fish", "mdctl.fish");
    for (line, expected) in LINES {
        let ask =
            format!("source mdctl.fish; complete -C'{line}' | string replace -r '\\t.*' '' | sort");
        check(&run(&sandbox, &["fish", "--no-config", "-c", &ask]), expected);
    }
}

#[test]
fn zsh_completes() {
    if !is_there("zsh", "zsh") {
        return;
    }
    let sandbox = with_script("zsh", "_mdctl");
    for (line, expected) in LINES {
        // Of a single find it writes what is lacking.
        let expected = if let [one] = expected { &[&one[1..]][..] } else { expected };
        let typed = line.split(' ').next_back().unwrap_or_default();
        let rest: Vec<&str> =
            expected.iter().map(|word| word.strip_prefix(typed).unwrap_or(word)).collect();
        let call = [&["zsh", "-f", "-c", ZSH, "zsh", line], &rest[..]].concat();
        run(&sandbox, &call).expect_code(0);
    }
}

#[test]
fn a_shell_that_is_not_known_is_named_with_those_that_are() {
    let output = Sandbox::new().mdctl(&["completions", "tcsh"]);
    output.expect_code(64).expect_stderr("bash, zsh, fish");
}

#[test]
fn a_script_is_no_document() {
    for flag in ["--json", "--schema"] {
        let output = Sandbox::new().mdctl(&["completions", "bash", flag]);
        output.expect_code(64);
    }
}
