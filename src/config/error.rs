//! `ConfigError`: what is wrong in the config, where, and what was expected.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The least likeness of a suggestion, from 0 to 1.
const ALIKE: f64 = 0.7;

/// The longest line that is shown, in characters.
const LONGEST_LINE: usize = 160;

/// Something in the config that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1; `None` when it is not about one place.
    pub place: Option<(usize, usize)>,
    /// The line itself, and how many characters of it are meant.
    pub excerpt: Option<(String, usize)>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ConfigError {
    /// An error about the file as a whole.
    #[must_use]
    pub fn whole(path: &Path, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { path: path.to_owned(), place: None, excerpt: None, message: message.into(), hint }
    }

    /// An error about the bytes `span` of `text`.
    #[must_use]
    pub fn at(path: &Path, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let end = text.floor_char_boundary(span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..start].chars().count() + 1;
        let shown = column + 1 < LONGEST_LINE;
        let length = text[start..end].lines().next().unwrap_or_default().chars().count();
        let number = text[..start].matches('\n').count() + 1;
        Self {
            path: path.to_owned(),
            place: Some((number, column)),
            excerpt: shown.then(|| {
                let line: String = line.trim_end().chars().take(LONGEST_LINE).collect();
                (without_secrets(&line), length.clamp(1, LONGEST_LINE - column))
            }),
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The parser's complaint, with the nearest key where one is unknown.
    #[must_use]
    pub(super) fn of_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = in_tomls_words(&error.message().trim().replace('\n', ", "));
        let mut this = match error.span() {
            Some(span) => Self::at(path, text, span, &message),
            None => Self::whole(path, &message, None),
        };
        let Some(unknown) = between(&message, "unknown field `", "`") else { return this };
        let known: Vec<&str> =
            message.split('`').skip(3).step_by(2).filter(|word| !word.is_empty()).collect();
        this.message = format!("unknown key `{unknown}`");
        this.hint = Some(match nearest(unknown, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("keys here are {}", known.join(", ")),
        });
        this
    }
}

/// What the parser says of a wrong type, in the words of who writes the file.
fn in_tomls_words(message: &str) -> String {
    let Some((found, expected)) = message
        .strip_prefix("invalid type: ")
        .and_then(|message| message.split_once(", expected "))
    else {
        return message.to_owned();
    };
    let found = match found {
        "map" => "a table",
        "sequence" => "a list",
        found => found,
    };
    let expected = match expected {
        "a map" => "a table, as in { key = \"value\" }",
        "a sequence" => "a list, as in [\"a\", \"b\"]",
        expected => expected,
    };
    format!("expected {expected}, found {found}")
}

/// `line` with what may be a key, or the address of a notifier, which may be one itself, hidden.
fn without_secrets(line: &str) -> String {
    let names_secret = |(at, _): &(usize, &str)| is_secret(&line[..*at]);
    let Some((at, _)) = line.match_indices('=').find(names_secret) else { return line.to_owned() };
    let (name, value) = line.split_at(at + 1);
    let hidden: String = value.chars().map(|c| if c.is_whitespace() { c } else { '*' }).collect();
    format!("{name}{hidden}")
}

/// Whether the key that `before` ends with is one of a secret: `api_key`, `"url"`, `notify.team.url`.
fn is_secret(before: &str) -> bool {
    const SECRET: [&str; 4] = ["key", "secret", "token", "pass"];
    let is_within = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let quotes = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let key = before.trim_end_matches(quotes);
    let start = key.rfind(|c: char| !is_within(c)).map_or(0, |at| at + 1);
    let key = key.get(start..).unwrap_or(key).to_lowercase();
    key == "url" || SECRET.iter().any(|word| key.contains(word))
}

/// The candidate most like `word`, if it is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    rest.find(after).map(|at| &rest[..at])
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ": line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message)?;
        if let (Some((line, column)), Some((text, length))) = (self.place, &self.excerpt) {
            let margin = line.to_string().len();
            let blank = " ".repeat(column - 1);
            write!(f, "\n  {line} | {text}\n  {:margin$} | {blank}{}", "", "^".repeat(*length))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_line_with_a_caret() {
        let text = "a = 1\nfrésh = \"x\"\n";
        let error = ConfigError::at(Path::new("m.toml"), text, 6..12, "unknown key");
        assert_eq!(error.place, Some((2, 1)));
        assert_eq!(
            error.to_string(),
            "m.toml: line 2, column 1: unknown key\n  2 | frésh = \"x\"\n    | ^^^^^"
        );
    }

    #[test]
    fn a_key_in_the_config_is_not_repeated() {
        for text in ["api_key = \"sk-4711\"\n", "apikey = 'sk-4711'\n", "Token = sk-4711\n"] {
            let error = ConfigError::at(Path::new("m.toml"), text, 10..15, "no");
            assert!(!error.to_string().contains("4711"), "{error}");
        }
    }

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("APPL", ["MSFT", "AAPL"]), Some("AAPL"));
        assert_eq!(nearest("zzz", ["MSFT", "AAPL"]), None);
    }
}
