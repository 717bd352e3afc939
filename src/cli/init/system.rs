//! `init --system`: the config of the whole machine, which the units and every shell work by.
//!
//! It is root's, and the group `mdctl` reads it. The user and the group are made by `mdctl units install`,
//! which settles the same owners again, so that the order of the two is free.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use crate::config::access::{group_id, user_id};
use crate::config::{self, env};
use crate::domain::place;
use crate::exit::Exit;
use crate::file::{self, Mode};
use crate::{clock, render};

use super::super::failure::Failure;
use super::super::{Done, Global, print};
use super::{TEMPLATE, refuse};

pub(super) fn exec(global: &Global) -> Done {
    let folder = Path::new(place::CONFIG);
    let path = Path::new(place::CONFIG_FILE).to_owned();
    refuse(&path)?;
    if !env::is_root() {
        let message = format!("only root can write {}", path.display());
        return Err(Failure::new(Exit::CannotCreate, "create", message).hinted(
            "sudo mdctl init --system; for yourself alone, `mdctl init` writes ./mdctl.toml",
        ));
    }
    let failed = |error: io::Error| Failure::create(&path, &error);
    let credentials = place::credentials(folder);
    let group = group_id(place::GROUP);
    let (root, mdctl) = (Some(0), user_id(place::USER));
    file::make_folder_of(folder, 0o750, root, group).map_err(failed)?;
    file::make_folder_of(&credentials, 0o700, root, None).map_err(failed)?;
    file::make_folder_of(Path::new(place::STATE), 0o750, mdctl, group).map_err(failed)?;
    file::replace(&path, text().as_bytes(), Mode::Private).map_err(failed)?;
    chown(&path, root, group).map_err(failed)?;
    fs::set_permissions(&path, Permissions::from_mode(0o640)).map_err(failed)?;
    let settings = config::load(&path, None)?;
    print(|out| {
        if global.json {
            render::init::json(out, &path, &settings.database, clock::now())
        } else {
            render::init::system_sentences(out, &path, &credentials, &settings.database)
        }
    })?;
    Ok(Exit::Success)
}

/// The template with the paths of a system install.
fn text() -> String {
    let database = format!("path = \"{}/mdctl.db\"", place::STATE);
    TEMPLATE
        .replace("# path = \"mdctl.db\"", &database)
        .replace("{ env = \"POLYGON_API_KEY\" }", "{ credential = \"polygon_api_key\" }")
        .replace("{ env = \"ALPACA_API_KEY\" }", "{ credential = \"alpaca_api_key\" }")
        .replace("{ env = \"ALPACA_API_SECRET\" }", "{ credential = \"alpaca_api_secret\" }")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FILE_NAME;

    #[test]
    fn the_systems_config_names_what_shell_and_units_share() {
        let uncommented = text().replace("\n# ", "\n");
        for text in [text(), uncommented] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(FILE_NAME);
            fs::write(&path, &text).unwrap();
            let settings = config::load(&path, None).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(settings.database, Path::new("/var/lib/mdctl/mdctl.db"));
            assert!(!text.contains("api_key = { env"), "a unit has no key in its environment");
        }
    }
}
