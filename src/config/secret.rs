//! Where secrets are to be found when they are needed: keys, tokens, and addresses that are secrets.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::place::folder_of;
use crate::domain::secret::ApiKey;
use crate::domain::words::quoted;

use super::{env, resolve};

/// Where a key, and its second half, are to be found when they are needed.
#[derive(Clone, Debug)]
pub struct KeySource {
    pub(super) key: SecretSource,
    pub(super) second: Option<SecretSource>,
}

/// Where a secret is to be found when it is needed.
#[derive(Clone, Debug)]
pub struct SecretSource(pub(super) SecretPlace);

#[derive(Clone, Debug)]
pub(super) enum SecretPlace {
    Env(String),
    File(PathBuf),
    Credential { name: String, beside: PathBuf },
}

impl KeySource {
    /// Reads the key from where it is kept.
    ///
    /// # Errors
    ///
    /// A sentence that says what is not there, and never what is.
    pub fn resolve(&self) -> Result<ApiKey, String> {
        let key = self.key.read()?;
        let second = self.second.as_ref().map(SecretSource::read).transpose()?;
        Ok(ApiKey::new(key, second))
    }

    /// The command that puts what is lacking of it where it is looked for; when nothing is, all of it.
    #[must_use]
    pub fn remedy(&self) -> String {
        let lacking =
            self.second.as_ref().filter(|second| self.key.read().is_ok() && second.read().is_err());
        lacking.unwrap_or(&self.key).remedy()
    }

    /// Whether what is lacking of it is there for root, and for the units that systemd hands it to, alone.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        are_kept(self.halves())
    }

    /// The environment variables that it is kept in.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        self.halves().filter_map(SecretSource::variable).collect()
    }

    /// Where its one or two halves are.
    pub(super) fn halves(&self) -> impl Iterator<Item = &SecretSource> {
        std::iter::once(&self.key).chain(&self.second)
    }
}

impl SecretSource {
    /// The environment variable that holds it, if one does.
    pub(super) fn variable(&self) -> Option<&str> {
        match &self.0 {
            SecretPlace::Env(name) => Some(name),
            SecretPlace::File(_) | SecretPlace::Credential { .. } => None,
        }
    }

    /// Reads the secret from where it is kept.
    ///
    /// # Errors
    ///
    /// A sentence that says what is not there, and never what is.
    pub fn resolve(&self) -> Result<SecretString, String> {
        self.read().map(Into::into)
    }

    /// The file that it is kept in, as far as that is the user's to guard; `None` when it is in no file, or
    /// in one that systemd hands over.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        match &self.0 {
            SecretPlace::Env(_) => None,
            SecretPlace::File(path) => Some(path.clone()),
            SecretPlace::Credential { name, beside } => {
                given(name).is_none().then(|| beside.clone())
            }
        }
    }

    /// The command that puts it where it is looked for.
    #[must_use]
    pub fn remedy(&self) -> String {
        match &self.0 {
            SecretPlace::Env(name) => format!("export {name}=...   # where mdctl is called from"),
            SecretPlace::File(path) | SecretPlace::Credential { beside: path, .. } => {
                keep_remedy(path)
            }
        }
    }

    /// Whether it is a credential in a folder that this user may not look into.
    fn is_kept(&self) -> bool {
        match &self.0 {
            SecretPlace::Credential { name, beside } => given(name).is_none() && is_closed(beside),
            SecretPlace::Env(_) | SecretPlace::File(_) => false,
        }
    }

    fn read(&self) -> Result<String, String> {
        let secret = match &self.0 {
            SecretPlace::Env(name) => env::value(name)
                .ok_or_else(|| format!("the environment variable {name} is not set"))?,
            SecretPlace::File(path) => read_secret(path)?,
            SecretPlace::Credential { name, beside } => {
                read_secret(given(name).as_deref().unwrap_or(beside))?
            }
        };
        let secret = secret.trim();
        // What cannot stand in a header would fail later, and less clearly.
        if secret.is_empty() || secret.chars().any(|c| !c.is_ascii_graphic()) {
            return Err("the key is empty, or holds characters that no key has".to_owned());
        }
        Ok(secret.to_owned())
    }
}

/// Whether of some secrets those that cannot be read are kept from this user, who is handed none, as every
/// other than root is.
pub(super) fn are_kept<'a>(secrets: impl Iterator<Item = &'a SecretSource>) -> bool {
    let mut lacking = secrets.filter(|secret| secret.read().is_err()).peekable();
    lacking.peek().is_some() && lacking.all(SecretSource::is_kept)
}

/// The command that puts a secret into the file at `path`, or shows who may read the one that is there.
fn keep_remedy(path: &Path) -> String {
    if is_closed(path) {
        return format!("ls -l {}   # who may read it; root may: sudo mdctl doctor", quoted(path));
    }
    let folder = folder_of(path);
    let make = if folder.exists() {
        String::new()
    } else {
        format!("install -d -m 700 {}; ", quoted(folder))
    };
    format!(
        "{make}install -m 600 /dev/stdin {}   # then the secret, Enter and Ctrl-D",
        quoted(path)
    )
}

/// Whether this user may not look at the file that stands there. What is no file may be waited at for ever.
fn is_closed(path: &Path) -> bool {
    !is_no_file(path)
        && File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// Whether something else than a file stands there.
fn is_no_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|held| !held.is_file())
}

/// Where systemd put a credential: under its own name, or under that of the folder that it came with
/// (`LoadCredential=mdctl:FOLDER`).
fn given(name: &str) -> Option<PathBuf> {
    let folder = env::credentials_folder()?;
    let names = [name.to_owned(), format!("mdctl_{name}")];
    names.into_iter().map(|name| folder.join(name)).find(|path| path.exists())
}

fn read_secret(path: &Path) -> Result<String, String> {
    if is_no_file(path) {
        // Whoever opens a pipe waits for somebody to write.
        return Err(format!("the key file {} is no regular file", path.display()));
    }
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the key file {}: {error}", path.display()))
}

/// The address of a notifier: https, or http on this machine. It may be a secret, and never prints itself.
#[derive(Clone)]
pub struct Address(pub(super) AddressSource);

#[derive(Clone)]
pub(super) enum AddressSource {
    Written(SecretString),
    Kept(SecretSource),
}

impl Address {
    /// Where it is kept; `None` where it stands in the config.
    pub(super) const fn source(&self) -> Option<&SecretSource> {
        match &self.0 {
            AddressSource::Written(_) => None,
            AddressSource::Kept(source) => Some(source),
        }
    }

    /// The address; of a secret one it is read from where it is kept.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong, and never what is there.
    pub fn resolve(&self) -> Result<SecretString, String> {
        let url = match &self.0 {
            AddressSource::Written(url) => return Ok(url.clone()),
            AddressSource::Kept(source) => source.resolve()?,
        };
        resolve::own_address(url.expose_secret())
            .map_err(|error| format!("the address {error}"))?;
        Ok(url)
    }

    /// Whether it stands in the config and leads off this machine: whoever knows it is let in.
    pub(super) fn is_written_secret(&self) -> bool {
        match &self.0 {
            AddressSource::Written(url) => url.expose_secret().starts_with("https:"),
            AddressSource::Kept(_) => false,
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}
