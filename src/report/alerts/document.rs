//! The documents that rules look into.

use std::fmt;

use serde_json::Value;

/// A document that rules look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// `health --json`.
    Health,
    /// `metrics --json`.
    Metrics,
    /// `quality --json`.
    Quality,
    /// `slo --json`.
    Slo,
}

impl Document {
    /// All of them, in the order in which a field is looked for.
    pub const ALL: [Self; 4] = [Self::Health, Self::Metrics, Self::Quality, Self::Slo];

    /// Its word before a field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Quality => "quality",
            Self::Slo => "slo",
        }
    }

    /// The command that shows it.
    pub(super) const fn shown_by(self) -> &'static str {
        match self {
            Self::Health => "mdctl health --json",
            Self::Metrics => "mdctl metrics --json",
            Self::Quality => "mdctl quality --json",
            Self::Slo => "mdctl slo --json",
        }
    }

    /// Where to look when a rule on it fires.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Health => "mdctl health",
            Self::Metrics => "mdctl metrics",
            Self::Quality => "mdctl quality",
            Self::Slo => "mdctl slo",
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the rules look into.
#[derive(Debug)]
pub struct Documents {
    pub(super) health: Value,
    pub(super) metrics: Value,
    pub(super) quality: Value,
    pub(super) slo: Value,
}

impl Documents {
    /// Those documents.
    #[must_use]
    pub const fn new(health: Value, metrics: Value, quality: Value, slo: Value) -> Self {
        Self { health, metrics, quality, slo }
    }

    pub(super) const fn get(&self, document: Document) -> &Value {
        match document {
            Document::Health => &self.health,
            Document::Metrics => &self.metrics,
            Document::Quality => &self.quality,
            Document::Slo => &self.slo,
        }
    }
}
