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
}

impl KeySource {
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

    fn read(&self) -> Result<String, String> {
        let secret = match &self.0 {
            SecretPlace::Env(name) => env::value(name)
                .ok_or_else(|| format!("the environment variable {name} is not set"))?,
            SecretPlace::File(path) => read_secret(path)?,
            SecretPlace::Credential { name, beside } => {
                let given = env::credentials_folder().map(|folder| folder.join(name));
                read_secret(given.filter(|path| path.exists()).as_deref().unwrap_or(beside))?
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
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}
