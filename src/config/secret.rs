//! Where secrets are to be found when they are needed: keys, tokens, and addresses that are secrets.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::secret::ApiKey;

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

    /// The environment variables that it is kept in.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        [Some(&self.key), self.second.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|source| match &source.0 {
                SecretPlace::Env(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }
}

impl SecretSource {
    /// Reads the secret from where it is kept.
    ///
    /// # Errors
    ///
    /// A sentence that says what is not there, and never what is.
    pub fn resolve(&self) -> Result<SecretString, String> {
        self.read().map(Into::into)
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

/// Where systemd put a credential: under its own name, or under that of the folder that it came with
/// (`LoadCredential=mdctl:FOLDER`).
fn given(name: &str) -> Option<PathBuf> {
    let folder = env::credentials_folder()?;
    let names = [name.to_owned(), format!("mdctl_{name}")];
    names.into_iter().map(|name| folder.join(name)).find(|path| path.exists())
}

fn read_secret(path: &Path) -> Result<String, String> {
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
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}
