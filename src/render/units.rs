//! Units shown, and what became of them.

use std::io::{self, Write};
use std::path::Path;

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::words::instant;
use crate::systemd::Manager;
use crate::systemd::install::{Installed, State, place};
use crate::systemd::units::{Layout, UnitFile};

use super::schema;

/// Writes the units, each under the path of its file; or the lines of a crontab.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn text(
    out: &mut dyn Write,
    layout: &Layout,
    files: &[UnitFile],
    crontab: Option<&str>,
) -> io::Result<()> {
    if let Some(crontab) = crontab {
        return write!(out, "{crontab}");
    }
    for (index, file) in files.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        writeln!(out, "{gap}# {}", path_of(layout, file))?;
        write!(out, "{}", file.text)?;
    }
    Ok(())
}

fn path_of(layout: &Layout, file: &UnitFile) -> String {
    place(layout.manager, Path::new("/"), file.name).display().to_string()
}

const fn manager(layout: &Layout) -> &'static str {
    match layout.manager {
        Manager::System => "system",
        Manager::User => "user",
    }
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// Who starts them.
    #[schemars(extend("enum" = ["system", "user"]))]
    manager: &'a str,
    /// The program that they start.
    program: String,
    /// The config that they are for.
    config: String,
    /// The files; none when a crontab was asked for.
    units: Vec<UnitJson<'a>>,
    /// The lines of a crontab; null when units were asked for.
    crontab: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Unit")]
struct UnitJson<'a> {
    /// Its name.
    name: &'a str,
    /// Where it belongs.
    path: String,
    /// What stands in it.
    text: &'a str,
}

/// The JSON Schema of the units.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl units print --json")
}

/// Writes the units as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(
    out: &mut dyn Write,
    layout: &Layout,
    files: &[UnitFile],
    crontab: Option<&str>,
    now: i64,
) -> io::Result<()> {
    let unit = |file: &'_ UnitFile| path_of(layout, file);
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        manager: manager(layout),
        program: layout.program.display().to_string(),
        config: layout.config.display().to_string(),
        units: files
            .iter()
            .map(|file| UnitJson { name: file.name, path: unit(file), text: &file.text })
            .collect(),
        crontab,
    };
    super::json(out, &document)
}

/// Says what was installed, and what is left to do.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn installed(out: &mut dyn Write, installed: &Installed) -> io::Result<()> {
    for (path, state) in &installed.files {
        writeln!(out, "{:9}  {}", state.as_str(), path.display())?;
    }
    for command in &installed.done {
        writeln!(out, "{:9}  {command}", "done")?;
    }
    for command in &installed.failed {
        writeln!(out, "{:9}  {command}", "failed")?;
    }
    if !installed.left.is_empty() {
        writeln!(out, "\nleft to do:")?;
    }
    for left in &installed.left {
        writeln!(out, "  {left}")?;
    }
    Ok(())
}

#[derive(Serialize, JsonSchema)]
struct InstalledDocument<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// Who starts the units.
    #[schemars(extend("enum" = ["system", "user"]))]
    manager: &'a str,
    /// The program that they start.
    program: String,
    /// The config that they are for.
    config: String,
    /// The files that were written.
    files: Vec<FileJson<'a>>,
    /// The commands that were run, and ended well.
    done: &'a [String],
    /// The commands that were run, and did not: each is left to the user, too.
    failed: &'a [String],
    /// What is left to the user: commands, or sentences.
    left: &'a [String],
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "File")]
struct FileJson<'a> {
    /// Where it is.
    path: String,
    /// What became of it.
    #[schemars(extend("enum" = schema::words(&State::ALL, State::as_str)))]
    state: &'a str,
}

/// The JSON Schema of what was installed.
#[must_use]
pub fn installed_schema() -> Schema {
    schema::of::<InstalledDocument<'static>>("mdctl units install --json")
}

/// Likewise, as JSON, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn installed_json(
    out: &mut dyn Write,
    layout: &Layout,
    installed: &Installed,
    now: i64,
) -> io::Result<()> {
    let file = |(path, state): &(std::path::PathBuf, State)| FileJson {
        path: path.display().to_string(),
        state: state.as_str(),
    };
    let document = InstalledDocument {
        schema: super::SCHEMA,
        timestamp: instant(now),
        manager: manager(layout),
        program: layout.program.display().to_string(),
        config: layout.config.display().to_string(),
        files: installed.files.iter().map(file).collect(),
        done: &installed.done,
        failed: &installed.failed,
        left: &installed.left,
    };
    super::json(out, &document)
}
