//! The files that it all stands on: can they be followed, and who may read and write them?

use crate::config::access::Access;
use crate::domain::place::folder_of;
use crate::domain::words::{counted, quoted};

use super::{Finding, Seen, State, Worker};

pub(super) fn config(seen: &Seen<'_>) -> Finding {
    let settings = seen.settings;
    let path = settings.config_path.display().to_string();
    let symbols = settings.members().count() as u64;
    if symbols == 0 {
        return Finding::warning("config", &path, "it loads, but tracks no symbol")
            .mended_by("mdctl symbols add SYMBOL --group NAME, or a [[group]] in the config");
    }
    let message = format!(
        "it loads: {} in {}, {}",
        counted(symbols, "symbol"),
        counted(settings.groups.len() as u64, "group"),
        counted(settings.providers.len() as u64, "provider")
    );
    Finding::ok("config", &path, message)
}

pub(super) fn config_access(seen: &Seen<'_>) -> Finding {
    let path = &seen.settings.config_path;
    match &seen.config {
        Some(access) => access_of_config(access),
        None => {
            Finding::skipped("config_access", &path.display().to_string(), "it cannot be looked at")
        }
    }
}

/// Who may change it may have any command run, and any key sent anywhere.
pub(super) fn access_of_config(access: &Access) -> Finding {
    let path = access.path.display().to_string();
    match access.writers() {
        Some(who) => {
            let message = format!("{who}, and with it decide where keys are sent and what is run");
            let state = if access.is_everybodys() { State::Critical } else { State::Warning };
            Finding::new("config_access", &path, state, message)
                .mended_by(format!("chmod go-w {}", quoted(&access.path)))
        }
        None => Finding::ok(
            "config_access",
            &path,
            format!("nobody else can write it ({})", access.words()),
        ),
    }
}

pub(super) fn secrets(seen: &Seen<'_>) -> Vec<Finding> {
    let exposed = seen.exposed.iter().map(|exposed| {
        Finding::warning("secrets", &exposed.path.display().to_string(), &exposed.message)
            .mended_by(&exposed.remedy)
    });
    let mut findings: Vec<Finding> = exposed.collect();
    if findings.is_empty() {
        let message = match seen.guarded {
            0 => "no file holds one".to_owned(),
            files => format!("{} with secrets, for nobody else to read", counted(files, "file")),
        };
        findings.push(Finding::ok("secrets", "secrets", message));
    }
    findings
}

pub(super) fn folder(seen: &Seen<'_>) -> Finding {
    let database = &seen.settings.database;
    let folder = folder_of(database);
    let subject = folder.display().to_string();
    let access = match &seen.folder {
        Ok(access) => access,
        Err(why) => {
            return Finding::critical("folder", &subject, format!("the database's folder: {why}"))
                .mended_by(format!("mkdir -p {}", quoted(folder)));
        }
    };
    if !access.writable {
        let message = format!(
            "{} cannot write the database's folder ({}): no run can begin",
            seen.who(),
            access.words()
        );
        let remedy = match seen.worker {
            Worker::Caller => format!("sudo -u {} mdctl doctor, or see ", access.owner),
            Worker::Owner(_) => format!("chmod u+rwx {}, or see ", quoted(folder)),
            Worker::Units => return not_ours("folder", &subject, access),
        };
        let folder = quoted(folder);
        return Finding::critical("folder", &subject, message)
            .mended_by(format!("{remedy}ls -ld {folder} and findmnt -T {folder}"));
    }
    match access.writers() {
        Some(who) => Finding::warning("folder", &subject, format!("the database's folder: {who}"))
            .mended_by(format!("chmod go-w {}", quoted(folder))),
        None => {
            let message = format!("the database's folder can be written ({})", access.words());
            Finding::ok("folder", &subject, message)
        }
    }
}

/// The database's file and those beside it; nothing while there is none.
pub(super) fn database_access(seen: &Seen<'_>) -> Option<Finding> {
    let database = seen.database_files.first()?;
    let subject = database.path.display().to_string();
    let code = "database_access";
    let locked_out = seen.database_files.iter().find(|file| !file.writable);
    if let Some(file) = locked_out {
        let message = format!(
            "{} cannot write {} ({}): no run can begin",
            seen.who(),
            file.path.display(),
            file.words()
        );
        let path = quoted(&database.path);
        let remedy = match seen.worker {
            Worker::Caller => {
                format!("sudo -u {} mdctl doctor, or see ls -l {path}*", database.owner)
            }
            Worker::Owner(_) => {
                format!("chown --reference={} {path}*", quoted(folder_of(&database.path)))
            }
            Worker::Units => return Some(not_ours(code, &subject, file)),
        };
        return Some(Finding::critical(code, &subject, message).mended_by(remedy));
    }
    let foreign = seen.database_files.iter().find(|file| file.owner != database.owner);
    if let Some(file) = foreign {
        let message = format!(
            "{} belongs to {}, the database to {}: runs of the one or the other are locked out",
            file.path.display(),
            file.owner,
            database.owner
        );
        let remedy = format!("chown --reference={} {}", quoted(&database.path), quoted(&file.path));
        return Some(Finding::warning(code, &subject, message).mended_by(remedy));
    }
    Some(match database.writers() {
        Some(who) => Finding::warning(code, &subject, who)
            .mended_by(format!("chmod go-w {}", quoted(&database.path))),
        None => Finding::ok(code, &subject, format!("it can be written ({})", database.words())),
    })
}

/// What the units' user is to write, and this one is not.
fn not_ours(code: &'static str, subject: &str, access: &Access) -> Finding {
    let message = format!("this user cannot write it ({}); the units do", access.words());
    Finding::skipped(code, subject, message).mended_by("sudo mdctl doctor")
}

/// What runs leave besides the database.
pub(super) fn outputs(seen: &Seen<'_>) -> Vec<Finding> {
    let finding = |(what, folder): &(&'static str, Result<Access, String>)| match folder {
        Ok(folder) if folder.writable => {
            Finding::ok("output", what, format!("its folder can be written ({})", folder.words()))
        }
        Ok(folder) if seen.worker == Worker::Units => not_ours("output", what, folder),
        Ok(folder) => {
            let message = format!(
                "{} cannot write its folder {} ({}): runs leave none",
                seen.who(),
                folder.path.display(),
                folder.words()
            );
            let remedy = format!("see ls -ld {}", quoted(&folder.path));
            Finding::warning("output", what, message).mended_by(remedy)
        }
        Err(_) if seen.worker == Worker::Units => {
            let message = "its folder is closed to this user; the units write there";
            Finding::skipped("output", what, message).mended_by("sudo mdctl doctor")
        }
        Err(why) => Finding::warning("output", what, format!("its folder: {why}"))
            .mended_by("make the folder, or name another in the config"),
    };
    seen.outputs.iter().map(finding).collect()
}
