//! `mdctl completions`: what a shell needs to complete a command line.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Generator as _;

use crate::exit::Exit;

use super::failure::Failure;
use super::{Cli, Done, Global, print};

/// Print the script by which a shell completes command lines.
///
/// The Debian package has installed it already. Elsewhere it belongs where the shell looks for such
/// scripts; shells opened after that know it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl completions bash > ~/.local/share/bash-completion/completions/mdctl
  mdctl completions zsh > ~/.zfunc/_mdctl    after `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  mdctl completions fish > ~/.config/fish/completions/mdctl.fish")]
pub(super) struct Completions {
    /// Which shell.
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// That there is no JSON document.
pub(super) fn no_document() -> Failure {
    Failure::usage("completions are a script of the shell's, and no JSON document")
        .hinted("leave out --json and --schema")
}

pub(super) fn exec(command: &Completions, global: &Global) -> Done {
    if global.json {
        return Err(no_document());
    }
    let shell = match command.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut mdctl = Cli::command().bin_name("mdctl");
    mdctl.build();
    print(|out| shell.try_generate(&mdctl, out))?;
    Ok(Exit::Success)
}
