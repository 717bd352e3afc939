//! `mdctl man`: the manual, a page for every command.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::exit::Exit;
use crate::file::{self, Mode};

use super::failure::Failure;
use super::select::known;
use super::{Cli, Done, Global, print};

/// Print a page of the manual, or write all of them.
///
/// The Debian package has installed them already. The pages say what --help says.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl man | man -l -                         read the first page
  mdctl man db prune | man -l -                read that of `mdctl db prune`
  mdctl man --out ~/.local/share/man/man1      where `man mdctl` finds them")]
pub(super) struct Manual {
    /// The command whose page is printed; mdctl itself without one.
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    names: Vec<String>,
    /// Write the pages of all commands to this folder: mdctl.1, mdctl-db-prune.1, ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// That there is no JSON document.
pub(super) fn no_document() -> Failure {
    Failure::usage("the manual is no JSON document").hinted("leave out --json and --schema")
}

pub(super) fn exec(manual: &Manual, global: &Global) -> Done {
    if global.json {
        return Err(no_document());
    }
    // Without pages for `help` and all that it can be asked about.
    let mut mdctl = Cli::command().bin_name("mdctl").disable_help_subcommand(true);
    mdctl.build();
    if let Some(folder) = &manual.out {
        fs::create_dir_all(folder).map_err(|error| Failure::create(folder, &error))?;
        let written = write(&mdctl, folder)?;
        print(|out| writeln!(out, "{written} pages in {}", folder.display()))?;
    } else {
        let command = named(&mdctl, &manual.names)?;
        print(|out| page(command, out))?;
    }
    Ok(Exit::Success)
}

/// The command that is called by these names, one below the other.
fn named<'a>(mdctl: &'a Command, names: &[String]) -> Result<&'a Command, Failure> {
    names.iter().try_fold(mdctl, |above, name| {
        known("command", Some(name), above.get_subcommands().map(Command::get_name))?;
        Ok(above.find_subcommand(name).unwrap_or(above))
    })
}

/// Writes the pages of `command` and of all below it; tells how many.
fn write(command: &Command, folder: &Path) -> Result<usize, Failure> {
    let path = folder.join(format!("{}.1", name(command)));
    let mut text = Vec::new();
    page(command, &mut text)?;
    file::replace(&path, &text, Mode::Public).map_err(|error| Failure::create(&path, &error))?;
    command.get_subcommands().try_fold(1, |written, below| Ok(written + write(below, folder)?))
}

/// `mdctl-db-prune`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// Writes a command's page.
fn page(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    let page = Man::new(command.clone());
    // Without a date: the same program prints the same page on any day.
    writeln!(out, ".TH {} 1 \"\" \"mdctl {VERSION}\" \"mdctl's manual\"", name(command))?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(out)?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut end = Roff::new();
    after.split("\n\n").for_each(|paragraph| section(paragraph, &mut end));
    see_also(command, &mut end);
    end.to_writer(out)
}

/// A section for what stands after a command's flags: its heading up to the colon, its lines as they are.
fn section(paragraph: &str, page: &mut Roff) {
    let Some((heading, lines)) = paragraph.split_once(":\n") else { return };
    page.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
    for line in lines.lines() {
        page.text([roman(line.trim_start_matches("  "))]);
    }
    page.control("fi", []);
}

/// Where to read on: the page above, or all that the package has installed.
fn see_also(command: &Command, page: &mut Roff) {
    let above = name(command).rsplit_once('-').map(|(above, _)| format!("{above}(1)"));
    page.control("SH", ["SEE ALSO"]);
    page.text([roman(above.as_deref().unwrap_or("/usr/share/doc/mdctl"))]);
}
