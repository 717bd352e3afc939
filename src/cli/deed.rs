//! What somebody does by hand: who, on which machine, and why. The audit log keeps it.

use std::fmt;
use std::str::FromStr;

use crate::config::env;
use crate::domain::control::Deed;

/// The longest reason, in characters: it stands in tables and one-line verdicts.
const LONGEST: usize = 500;

/// Why somebody does something: some words on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason(String);

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A line's end, or what a terminal takes for a command, has no place in a table.
        let is_blank = |letter: char| letter.is_whitespace() || letter.is_control();
        let words: Vec<&str> = text.split(is_blank).filter(|word| !word.is_empty()).collect();
        let reason = words.join(" ");
        match reason.chars().count() {
            0 => Err("a reason is wanted, in words".to_owned()),
            letters if letters > LONGEST => {
                Err(format!("it has {letters} characters; at most {LONGEST} are kept"))
            }
            _ => Ok(Self(reason)),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Reason {
    /// The reason that was given; empty when none was.
    pub(super) fn or_none(given: Option<&Self>) -> &str {
        given.map_or("", |reason| reason.0.as_str())
    }
}

/// Who does it, and where.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    pub(super) who: String,
    pub(super) host: String,
}

impl Hand {
    /// The one who called this command.
    pub(super) fn callers() -> Self {
        Self { who: env::who(), host: host() }
    }

    /// A row for the audit log, outside of any run.
    pub(super) fn deed<'a>(
        &'a self,
        at: i64,
        action: &'a str,
        subject: &'a str,
        reason: &'a str,
    ) -> Deed<'a> {
        Deed { at, who: &self.who, host: &self.host, action, subject, reason, run_id: None }
    }
}

/// The machine's name.
pub(super) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_some_words_on_one_line() {
        let reason = |text: &str| text.parse::<Reason>().map(|reason| reason.to_string());
        assert_eq!(reason(" new\n disk\u{1b}[31m "), Ok("new disk [31m".to_owned()));
        assert!(reason(" \t\n").is_err());
        assert!(reason("").is_err());
        assert!(reason(&"é".repeat(LONGEST)).is_ok());
        assert!(reason(&"é".repeat(LONGEST + 1)).is_err());
    }
}
