//! `mdctl symbols`: the universe, seen and edited.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use schemars::Schema;

use crate::config::edit::{self, Edit};
use crate::config::{self, Group, Settings};
use crate::domain::series::Symbol;
use crate::exit::Exit;
use crate::render;
use crate::render::symbols::Listed;
use crate::store::{Store, lock};

use super::failure::Failure;
use super::scene::Scene;
use super::select::{self, Typed, selection};
use super::{Done, print};

/// See and edit the universe; edits keep the config's comments and order.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl symbols list --group us-stocks
  mdctl symbols add KO PEP --group us-stocks
  mdctl symbols remove TWTR
  mdctl symbols rename FB META --until 2022-06-08
  mdctl symbols import universe.csv --group us-stocks")]
pub(super) struct Symbols {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The tracked symbols with their groups.
    #[command(after_help = "Examples:
  mdctl symbols list
  mdctl symbols list --group us-stocks --json | jq -r '.symbols[].symbol'")]
    List {
        /// Only this group.
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
    },
    /// Add symbols to a group.
    #[command(after_help = "Examples:
  mdctl symbols add KO PEP --group us-stocks")]
    Add {
        /// The symbols, spelled as the group's provider spells them.
        #[arg(required = true)]
        symbols: Vec<String>,
        /// The group; may be left out where there is one.
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
    },
    /// Stop tracking symbols; what is stored of them stays.
    #[command(after_help = "Examples:
  mdctl symbols remove TWTR")]
    Remove {
        /// The symbols.
        #[arg(required = true)]
        symbols: Vec<String>,
    },
    /// Follow a symbol to its new name.
    ///
    /// Its bars stay its own, and what lies before is asked for under the old one.
    #[command(after_help = "Examples:
  mdctl symbols rename FB META --until 2022-06-08")]
    Rename {
        /// The symbol as it is tracked.
        symbol: String,
        /// Its new name.
        new: String,
        /// The last day of the old name, YYYY-MM-DD.
        #[arg(long, value_name = "DATE")]
        until: NaiveDate,
    },
    /// Add the symbols of a CSV file (column `symbol`) that are not tracked yet.
    #[command(after_help = "Examples:
  mdctl symbols import universe.csv --group us-stocks")]
    Import {
        /// The file.
        file: PathBuf,
        /// The group; may be left out where there is one.
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
    },
}

impl Symbols {
    /// The JSON Schema of what it prints.
    pub(super) fn schema(&self) -> Schema {
        match self.what {
            What::List { .. } => render::symbols::schema(),
            _ => render::symbols::edited_schema(),
        }
    }
}

pub(super) fn exec(command: &Symbols, scene: &Scene) -> Done {
    match &command.what {
        What::List { group } => list(scene, group.as_deref()),
        What::Add { symbols, group } => add(scene, symbols, group.as_deref()),
        What::Remove { symbols } => remove(scene, symbols),
        What::Rename { symbol, new, until } => rename(scene, symbol, new, *until),
        What::Import { file, group } => import(scene, file, group.as_deref()),
    }
}

fn list(scene: &Scene, group: Option<&str>) -> Done {
    let meant = selection(&scene.settings, &Typed { group, ..Typed::default() })?;
    let listed: Vec<Listed<'_>> = scene
        .settings
        .members()
        .filter(|(group, member)| meant.holds_member(group, member))
        .map(|(group, member)| Listed {
            symbol: member.symbol.as_str(),
            group: &group.name,
            asset_class: group.asset_class.as_str(),
            provider: &group.provider,
            calendar: group.calendar.name(),
            timeframes: group.timeframe_list.iter().map(|tf| tf.as_str()).collect(),
        })
        .collect();
    print(|out| {
        if scene.json {
            render::symbols::json(out, &listed, scene.wall_now)
        } else {
            render::symbols::table(out, &listed, scene.look)
        }
    })?;
    Ok(Exit::Success)
}

fn add(scene: &Scene, names: &[String], group: Option<&str>) -> Done {
    let group = the_group(&scene.settings, group)?;
    let mut symbols = Vec::new();
    for name in names {
        let symbol: Symbol = name.parse().map_err(Failure::usage)?;
        if let Some(other) = group_of(&scene.settings, name) {
            return Err(Failure::usage(format!(
                "`{name}` stands in group `{}` already",
                other.name
            ))
            .hinted("a symbol stands in one group"));
        }
        symbols.push(symbol);
    }
    put(&scene.settings, group, &symbols)?;
    done(scene, "added", &symbols, Some(&group.name))
}

fn import(scene: &Scene, file: &Path, group: Option<&str>) -> Done {
    let group = the_group(&scene.settings, group)?;
    let mut seen = BTreeSet::new();
    let mut symbols = read_csv(file)?;
    symbols.retain(|symbol| {
        group_of(&scene.settings, symbol.as_str()).is_none() && seen.insert(symbol.clone())
    });
    put(&scene.settings, group, &symbols)?;
    done(scene, "added", &symbols, Some(&group.name))
}

fn remove(scene: &Scene, names: &[String]) -> Done {
    let path = &scene.settings.config_path;
    let text = read(path)?;
    let mut edit = Edit::of(path, &text)?;
    let mut symbols = Vec::new();
    for name in names {
        let symbol = select::symbol(&scene.settings, name)?;
        if !edit.remove(name) {
            return Err(Failure::usage(format!("`{name}` comes from the group's symbols_file"))
                .hinted("take its line out of that file"));
        }
        symbols.push(symbol);
    }
    edit::replace(path, &edit.text())?;
    done(scene, "removed", &symbols, None)
}

fn rename(scene: &Scene, name: &str, new: &str, until: NaiveDate) -> Done {
    let symbol = select::symbol(&scene.settings, name)?;
    let new: Symbol = new.parse().map_err(Failure::usage)?;
    if let Some(group) = group_of(&scene.settings, new.as_str()) {
        return Err(Failure::usage(format!("`{new}` stands in group `{}` already", group.name))
            .hinted(format!("mdctl symbols remove {new}, if it is the same")));
    }
    let path = &scene.settings.config_path;
    let mut edit = Edit::of(path, &read(path)?)?;
    if !edit.rename(name, new.as_str(), until) {
        return Err(Failure::usage(format!("`{name}` comes from the group's symbols_file"))
            .hinted(
                "take its line out of that file, and put it into `symbols` with its `aliases`",
            ));
    }
    let text = edit.text();
    edit::check(path, &text)?;
    let database = &scene.settings.database;
    if database.exists() {
        // A run at work would go on under the old name.
        let _lock = lock::try_lock(database)
            .map_err(|error| Failure::create(&lock::path_of(database), &error))?
            .ok_or_else(|| {
                Failure::new(Exit::Locked, "locked", "a run is at work on the database")
                    .hinted("rename when it has ended; `mdctl status` shows it")
            })?;
        let mut store = Store::open_write(database)?;
        if store.write(|tx| tx.symbol_is_known(&new))? {
            return Err(Failure::usage(format!("there are bars of `{new}` already")).hinted(
                "they cannot be joined: put the alias into the config, and remove the old symbol",
            ));
        }
        store.write(|tx| tx.symbol_rename(&symbol, &new))?;
        if let Err(error) = edit::replace(path, &text) {
            store.write(|tx| tx.symbol_rename(&new, &symbol))?;
            return Err(error.into());
        }
    } else {
        edit::replace(path, &text)?;
    }
    done(scene, "renamed", &[new], None)
}

/// Writes symbols into a group's list in the config.
fn put(settings: &Settings, group: &Group, symbols: &[Symbol]) -> Result<(), Failure> {
    let path = &settings.config_path;
    let text = read(path)?;
    let mut edit = Edit::of(path, &text)?;
    for symbol in symbols {
        if !edit.add(&group.name, symbol.as_str()) {
            return Err(Failure::usage(format!("group `{}` reads its symbols_file", group.name))
                .hinted("add the symbols to that file"));
        }
    }
    edit::replace(path, &edit.text()).map_err(Failure::from)
}

fn done(scene: &Scene, what: &'static str, symbols: &[Symbol], group: Option<&str>) -> Done {
    print(|out| {
        if scene.json {
            render::symbols::edited_json(out, what, symbols, group, scene.wall_now)
        } else {
            render::symbols::edited(out, what, symbols, group)
        }
    })?;
    Ok(Exit::Success)
}

fn the_group<'a>(settings: &'a Settings, name: Option<&str>) -> Result<&'a Group, Failure> {
    let names = || settings.groups.iter().map(|group| group.name.as_str());
    match (name, settings.groups.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::usage("there are several groups")
            .hinted(format!("--group with one of {}", names().collect::<Vec<_>>().join(", ")))),
        (Some(name), groups) => groups.iter().find(|group| group.name == name).ok_or_else(|| {
            let failure = Failure::usage(format!("unknown group `{name}`"));
            match config::nearest(name, names()) {
                Some(near) => failure.hinted(format!("did you mean `{near}`?")),
                None => failure,
            }
        }),
    }
}

fn group_of<'a>(settings: &'a Settings, name: &str) -> Option<&'a Group> {
    settings.members().find(|(_, member)| member.symbol.as_str() == name).map(|(group, _)| group)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::io(format!("cannot read {}", path.display()), &error))
}

/// The column `symbol` of a CSV file.
fn read_csv(path: &Path) -> Result<Vec<Symbol>, Failure> {
    config::symbols_of_csv(path).map_err(|what| {
        Failure::usage(format!("{}: {what}", path.display()))
            .hinted("the file is CSV with a column `symbol`")
    })
}
