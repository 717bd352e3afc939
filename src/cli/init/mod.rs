//! `mdctl init`: a commented config and an empty database.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{self, FILE_NAME};
use crate::domain::place::folder_of;
use crate::domain::words::quoted;
use crate::exit::Exit;
use crate::file::{self, Mode};
use crate::render::init::Made;
use crate::store::Store;
use crate::{clock, render};

use super::failure::Failure;
use super::{Done, Global, print};

mod system;

/// Every key with its default, in comments.
const TEMPLATE: &str = include_str!("template.toml");

/// A config for the bars below.
const SAMPLE: &str = include_str!("sample.toml");

/// The folder of the sample's bars, beside its config.
const SAMPLE_FOLDER: &str = "sample-data";

/// Bars that travel with the program; `examples/data/README.md` names their sources.
const SAMPLE_BARS: [(&str, &str); 3] = [
    ("AAPL.B26_1d.csv", include_str!("../../../examples/data/AAPL.B26_1d.csv")),
    ("AAPL.B26_actions.csv", include_str!("../../../examples/data/AAPL.B26_actions.csv")),
    ("EURUSD_1h.csv", include_str!("../../../examples/data/EURUSD_1h.csv")),
];

/// Write a commented config and create the database.
///
/// The config works as it is: daily and hourly bars of two crypto pairs, without a key. Every key
/// stands in it with its default. Nothing that is there already is written over; a database that is there
/// is taken as it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl init                 ./mdctl.toml
  mdctl init --sample demo   demo/mdctl.toml with real bars, offline
  sudo mdctl init --system   /etc/mdctl/mdctl.toml, for systemd's units and every shell")]
pub(super) struct Init {
    /// A config with real bars that came with the program: no key, no network.
    #[arg(long)]
    sample: bool,
    /// The config of the whole machine, /etc/mdctl/mdctl.toml, with absolute paths; needs root. It makes no
    /// database: `mdctl units install` does, or the first run, so that the user `mdctl` owns it.
    #[arg(long, conflicts_with_all = ["sample", "path"])]
    system: bool,
    /// Where: a file, or a folder for mdctl.toml; else what --config names, else ./mdctl.toml.
    path: Option<PathBuf>,
}

pub(super) fn exec(command: &Init, global: &Global) -> Done {
    if command.system {
        return system::exec(global);
    }
    let path = file_of(place(command, global)?);
    refuse(&path)?;
    let folder = folder_of(&path);
    fs::create_dir_all(folder).map_err(|error| Failure::create(&path, &error))?;
    if command.sample {
        write_bars(folder)?;
    }
    let text = if command.sample { SAMPLE } else { TEMPLATE };
    file::replace(&path, text.as_bytes(), Mode::Private)
        .map_err(|error| Failure::create(&path, &error))?;
    let made = make_database(&path, global).inspect_err(|_| {
        // Half a beginning would stand in the way of the next try.
        let _ = fs::remove_file(&path);
    })?;
    tell(&path, &made, global)?;
    Ok(Exit::Success)
}

/// Where the config goes.
fn place<'a>(command: &'a Init, global: &'a Global) -> Result<&'a Path, Failure> {
    match (&command.path, &global.config) {
        (Some(path), Some(config)) if path != config => {
            let message = format!(
                "the config is to go to {}, and every command is to find it at {}",
                path.display(),
                config.display()
            );
            Err(Failure::usage(message).hinted("give one of them; MDCTL_CONFIG counts as --config"))
        }
        (Some(path), _) | (None, Some(path)) => Ok(path),
        (None, None) => Ok(Path::new(FILE_NAME)),
    }
}

/// Makes the database of a config that was written just now, unless there is one.
fn make_database(config: &Path, global: &Global) -> Result<Made, Failure> {
    let path = config::load(config, global.db.as_deref())?.database;
    let was_there = path.exists();
    Store::open_write(&path)?;
    Ok(Made { path, was_there })
}

/// Nothing that is there is written over, be it a link that leads nowhere.
fn refuse(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("{} is there already", path.display());
    Err(Failure::new(Exit::CannotCreate, "create", message)
        .hinted("nothing was written; give another path, or move that one away"))
}

/// A folder, or something that looks like one, gets a file of the usual name.
fn file_of(path: &Path) -> PathBuf {
    let is_file = path.extension().is_some_and(|extension| extension == "toml");
    if is_file && !path.is_dir() { path.to_owned() } else { path.join(FILE_NAME) }
}

/// The sample's bars, unless something else stands in their place.
fn write_bars(folder: &Path) -> Result<(), Failure> {
    let folder = folder.join(SAMPLE_FOLDER);
    for (name, text) in SAMPLE_BARS {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|held| held != text.as_bytes()) {
            refuse(&path)?;
        }
    }
    fs::create_dir_all(&folder).map_err(|error| Failure::create(&folder, &error))?;
    for (name, text) in SAMPLE_BARS {
        let path = folder.join(name);
        file::replace(&path, text.as_bytes(), Mode::Private)
            .map_err(|error| Failure::create(&path, &error))?;
    }
    Ok(())
}

fn tell(path: &Path, made: &Made, global: &Global) -> Result<(), Failure> {
    let mut flags = String::new();
    if path != Path::new(FILE_NAME) {
        flags = format!(" --config {}", quoted(path));
    }
    if let Some(database) = &global.db {
        flags = format!("{flags} --db {}", quoted(database));
    }
    print(|out| {
        if global.json {
            render::init::json(out, path, &made.path, clock::now())
        } else {
            render::init::sentences(out, path, made, &flags)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(text: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, text).unwrap();
        config::load(&path, None).unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn both_configs_work_as_they_are() {
        loads(TEMPLATE);
        loads(SAMPLE);
    }

    #[test]
    fn every_commented_key_of_the_template_is_a_key() {
        let uncommented: Vec<_> =
            TEMPLATE.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
        loads(&uncommented.join("\n"));
    }
}
