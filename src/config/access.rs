//! Who may read and write a file that the program keeps or trusts, and whether that is too many.
//!
//! A secret is its owner's alone. In a system install the group `mdctl` may read it as well: there the
//! config and the key files are root's, 0640, and the service is in that group.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::domain::place;
use crate::domain::words::quoted;

use super::env;
use super::secret::{Address, SecretSource};
use super::{Notifier, NotifierKind, Settings};

/// What lets somebody in where a folder on the way to `path` keeps them out.
#[must_use]
pub fn closed_remedy(path: &Path) -> String {
    // The last one that can be looked at is the one that keeps out.
    let Some(folder) = path.ancestors().skip(1).find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Access::of(folder).ok()
    }) else {
        return "see who may look at it: sudo ls -l".to_owned();
    };
    let (shown, words) = (folder.path.display(), folder.words());
    let owner = match folder.group.as_str() {
        place::GROUP => place::GROUP,
        _ => folder.owner.as_str(),
    };
    let as_owner = format!("call it as `sudo -u {owner} mdctl ...`");
    if folder.mode & 0o010 == 0 {
        return format!("{shown} is {words}: {as_owner}");
    }
    let group = &folder.group;
    format!("{shown} is {words}: become a member of the group {group}, or {as_owner}")
}

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// Who may do what with a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which one.
    pub path: PathBuf,
    /// Permission bits, as `chmod` takes them.
    pub mode: u32,
    /// The owner's name, else the number.
    pub owner: String,
    /// The group's name, else the number.
    pub group: String,
    /// The owner's number.
    pub owner_id: u32,
    /// The group's number.
    pub group_id: u32,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// When its content was last changed, epoch seconds UTC.
    pub changed_at: i64,
    /// Whether this process may write it.
    pub writable: bool,
}

/// A file that holds a secret and that others than its owner may read or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The file.
    pub path: PathBuf,
    /// What it is and who can do what with it, in a sentence.
    pub message: String,
    /// The command that mends it.
    pub remedy: String,
}

impl Access {
    /// Looks at `path`, through links.
    ///
    /// # Errors
    ///
    /// When there is nothing, or it may not be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        let held = fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            mode: held.mode() & 0o7777,
            owner: name_in(USERS, held.uid()),
            group: name_in(GROUPS, held.gid()),
            owner_id: held.uid(),
            group_id: held.gid(),
            is_folder: held.is_dir(),
            changed_at: held.mtime(),
            writable: rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok(),
        })
    }

    /// As it is to another user, as far as its bits tell: root, to whom everything is open, asks for them.
    #[must_use]
    pub fn to(self, user: u32, group: u32) -> Self {
        let bits = match (user, group) {
            (0, _) => 0o7,
            (user, _) if user == self.owner_id => self.mode >> 6,
            (_, group) if group == self.group_id => self.mode >> 3,
            _ => self.mode,
        };
        let needed = if self.is_folder { 0o3 } else { 0o2 };
        Self { writable: self.writable && bits & needed == needed, ..self }
    }

    /// `rw-r----- root:mdctl`.
    #[must_use]
    pub fn words(&self) -> String {
        let bit = |shift: u32, letter: char| if self.mode >> shift & 1 == 1 { letter } else { '-' };
        let bits: String =
            (0..9).rev().map(|shift| bit(shift, ['x', 'w', 'r'][shift as usize % 3])).collect();
        format!("{bits} {}:{}", self.owner, self.group)
    }

    /// Who else than its owner can do what with a secret that should be the owner's alone; `None` when
    /// nobody can.
    #[must_use]
    pub fn exposure(&self) -> Option<String> {
        let may_read = self.group == place::GROUP;
        let verb = |bits: u32, reading_is_right: bool| match bits & 0o7 {
            bits if bits & 0o2 != 0 => Some("write"),
            0 => None,
            _ if reading_is_right => None,
            _ => Some("read"),
        };
        let others =
            verb(self.mode, false).map(|verb| format!("everybody on this machine can {verb} it"));
        let group = || {
            verb(self.mode >> 3, may_read)
                .map(|verb| format!("the group {} can {verb} it", self.group))
        };
        let who = others.or_else(group)?;
        Some(format!("{who} ({})", self.words()))
    }

    /// Who else than its owner can write it; `None` when nobody can. In a folder with the sticky bit nobody
    /// takes away what is another's; and the group that is called like the owner is the owner's own, but for
    /// that of a system install, which has members.
    #[must_use]
    pub fn writers(&self) -> Option<String> {
        let sticky = self.is_sticky();
        let is_own = self.group == self.owner && self.group != place::GROUP;
        let who = match self.mode {
            mode if mode & 0o002 != 0 && !sticky => "everybody on this machine".to_owned(),
            mode if mode & 0o020 != 0 && !sticky && !is_own => {
                format!("the group {}", self.group)
            }
            _ => return None,
        };
        Some(format!("{who} can write it ({})", self.words()))
    }

    /// Whether everybody on this machine can write it.
    #[must_use]
    pub const fn is_everybodys(&self) -> bool {
        self.mode & 0o002 != 0 && !self.is_sticky()
    }

    /// Whether others may add to it and not take away; of a file the bit says nothing.
    const fn is_sticky(&self) -> bool {
        self.is_folder && self.mode & 0o1000 != 0
    }

    /// The command that leaves it to those whom it concerns. What stands in the system's folder itself is read
    /// by the units' user, who is in the group.
    #[must_use]
    pub fn remedy(&self) -> String {
        let is_of_system = self.path.parent() == Some(Path::new(place::CONFIG));
        if is_of_system && self.group != place::GROUP {
            let path = quoted(&self.path);
            return format!("chgrp {} {path} && chmod 640 {path}", place::GROUP);
        }
        let mode = if self.group == place::GROUP { 640 } else { 600 };
        format!("chmod {mode} {}", quoted(&self.path))
    }
}

/// Whether `program` can be started in `folder`: by its path, or by its name alone from where programs are.
pub(super) fn is_program(program: &str, folder: &Path) -> bool {
    let runs = |path: PathBuf| {
        path.is_file() && rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if program.contains('/') {
        return runs(folder.join(program));
    }
    env::program_folders().into_iter().any(|place| runs(folder.join(place).join(program)))
}

/// The number of a user; `None` when there is none of that name.
#[must_use]
pub fn user_id(name: &str) -> Option<u32> {
    id_in(USERS, name)
}

/// The number of a group; `None` when there is none of that name.
#[must_use]
pub fn group_id(name: &str) -> Option<u32> {
    id_in(GROUPS, name)
}

fn id_in(file: &str, name: &str) -> Option<u32> {
    let found = names_in(file).into_iter().find(|(named, _)| named == name);
    found.and_then(|(_, id)| id.parse().ok())
}

/// The name of a user or group; its number where the file does not tell.
fn name_in(file: &str, id: u32) -> String {
    let id = id.to_string();
    let found = names_in(file).into_iter().find(|(_, held)| *held == id);
    found.map_or(id, |(name, _)| name)
}

/// Names and numbers, as this machine's own file has them.
fn names_in(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let named = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.to_owned()))
    };
    text.lines().filter_map(named).collect()
}

impl Settings {
    /// Every file that holds a secret, or is to hold one, each with what it holds.
    pub fn files_with_secrets(&self) -> impl Iterator<Item = (PathBuf, String)> {
        let config = self.secret_in_config().map(|what| (self.config_path.clone(), what));
        config.into_iter().chain(self.secret_files())
    }

    /// The files that hold the secrets of providers and notifiers, each with what it holds. What systemd
    /// hands over is its own business.
    fn secret_files(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        let mut add = |source: &SecretSource, what: String| {
            files.extend(source.file().map(|path| (path, what)));
        };
        for provider in self.providers.values() {
            let Some(key) = &provider.key else { continue };
            add(&key.key, format!("the key of provider {}", provider.name));
            if let Some(second) = &key.second {
                add(second, format!("the second half of the key of provider {}", provider.name));
            }
        }
        for (name, notifier) in &self.notifiers {
            if let Some(source) = notifier.url().and_then(Address::source) {
                add(source, format!("the address of notifier {name}"));
            }
            if let Some(token) = notifier.token() {
                add(token, format!("the token of notifier {name}"));
            }
        }
        files
    }

    /// What secret the config itself holds: addresses of notifiers, which let in whoever knows them. Keys
    /// never stand in it. `None` when it holds none.
    fn secret_in_config(&self) -> Option<String> {
        let holds = |notifier: &Notifier| {
            let tells = !matches!(notifier.kind, NotifierKind::PagerDuty { .. });
            tells && notifier.url().is_some_and(Address::is_written_secret)
        };
        let (name, _) = self.notifiers.iter().find(|(_, notifier)| holds(notifier))?;
        Some(format!("the config, which holds the address of notifier {name}"))
    }

    /// Every file with a secret that others can read or write. What cannot be looked at is told by whoever
    /// reads it.
    #[must_use]
    pub fn exposed_secrets(&self) -> Vec<Exposed> {
        let look = |(path, what): (PathBuf, String)| {
            let access = Access::of(&path).ok()?;
            let who = access.exposure()?;
            let message = format!("{} holds {what}, and {who}", path.display());
            Some(Exposed { message, remedy: access.remedy(), path })
        };
        let mut exposed: Vec<Exposed> = self.files_with_secrets().filter_map(look).collect();
        exposed.dedup_by(|a, b| a.path == b.path);
        exposed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(mode: u32, group: &str) -> Access {
        Access {
            path: "/etc/keys/key".into(),
            mode,
            owner: "root".to_owned(),
            group: group.to_owned(),
            owner_id: 0,
            group_id: 50,
            is_folder: false,
            changed_at: 0,
            writable: true,
        }
    }

    fn folder(mode: u32, group: &str) -> Access {
        Access { is_folder: true, ..access(mode, group) }
    }

    #[test]
    fn a_secret_is_its_owners_alone() {
        for right in [0o600, 0o400, 0o700] {
            assert_eq!(access(right, "staff").exposure(), None, "{right:o}");
        }
        let of = |mode, group| access(mode, group).exposure().unwrap_or_default();
        assert_eq!(
            of(0o644, "mdctl"),
            "everybody on this machine can read it (rw-r--r-- root:mdctl)"
        );
        assert_eq!(of(0o640, "staff"), "the group staff can read it (rw-r----- root:staff)");
        assert_eq!(
            of(0o666, "staff"),
            "everybody on this machine can write it (rw-rw-rw- root:staff)"
        );
        assert_eq!(access(0o644, "staff").remedy(), "chmod 600 /etc/keys/key");
    }

    #[test]
    fn the_group_of_a_system_install_reads_and_does_not_write() {
        assert_eq!(access(0o640, "mdctl").exposure(), None);
        assert!(access(0o660, "mdctl").exposure().is_some());
        assert_eq!(access(0o644, "mdctl").remedy(), "chmod 640 /etc/keys/key");
    }

    #[test]
    fn what_the_units_read_stays_readable_to_them() {
        let config = Access { path: place::CONFIG_FILE.into(), ..access(0o644, "root") };
        let path = place::CONFIG_FILE;
        assert_eq!(config.remedy(), format!("chgrp mdctl {path} && chmod 640 {path}"));
        let key = Access { path: "/etc/mdctl/credentials/key".into(), ..access(0o644, "root") };
        assert_eq!(key.remedy(), "chmod 600 /etc/mdctl/credentials/key", "systemd hands it over");
    }

    #[test]
    fn a_group_with_members_is_nobodys_own() {
        let of_system = Access { owner: "mdctl".to_owned(), ..folder(0o770, "mdctl") };
        assert!(of_system.writers().is_some_and(|who| who.starts_with("the group mdctl")));
    }

    #[test]
    fn the_bits_say_what_another_user_may() {
        let writable = |access: Access, user, group| access.to(user, group).writable;
        assert!(!writable(access(0o600, "staff"), 7, 50), "a file of root's");
        assert!(writable(access(0o660, "staff"), 7, 50), "by the group");
        assert!(writable(access(0o600, "staff"), 0, 0), "root");
        assert!(!writable(folder(0o772, "staff"), 7, 8), "nobody makes files without getting in");
        let own = Access { owner_id: 7, ..access(0o600, "staff") };
        assert!(writable(own.clone(), 7, 8));
        assert!(!writable(Access { writable: false, ..own }, 7, 8), "a file system to read only");
    }

    #[test]
    fn a_sticky_folder_is_nobody_elses() {
        assert_eq!(folder(0o1777, "root").writers(), None);
        assert!(access(0o1666, "root").writers().is_some(), "of a file the bit says nothing");
        assert!(access(0o1666, "root").is_everybodys());
        assert_eq!(access(0o755, "root").writers(), None);
        assert_eq!(access(0o775, "root").writers(), None, "a group of the owner's own");
        assert!(access(0o777, "root").writers().is_some_and(|who| who.starts_with("everybody")));
        assert!(
            access(0o775, "staff").writers().is_some_and(|who| who.starts_with("the group staff"))
        );
    }
}
