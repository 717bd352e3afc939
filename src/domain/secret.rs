//! `ApiKey`: a key that never prints itself.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A provider's key, with its second half where it has one. Prints as `ApiKey(..)`.
#[derive(Clone)]
pub struct ApiKey {
    key: SecretString,
    second: Option<SecretString>,
}

impl ApiKey {
    /// Wraps a key, and its second half where the provider asks for one.
    #[must_use]
    pub fn new(key: String, second: Option<String>) -> Self {
        Self { key: key.into(), second: second.map(Into::into) }
    }

    /// The key itself, for the one place that puts it into a header.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.key.expose_secret()
    }

    /// The second half, likewise.
    #[must_use]
    pub fn expose_second(&self) -> Option<&str> {
        self.second.as_ref().map(|secret| secret.expose_secret())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}
