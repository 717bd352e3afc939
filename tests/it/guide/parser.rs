//! What the parser of the config takes, by what it says itself to keys and values that it does not take.

use std::fs;
use std::path::PathBuf;

use mdctl::config::{self, ConfigError, Settings};
use tempfile::TempDir;

use super::page::words;

/// A key that no table has, and that comes after all others: the parser answers with those that it has.
const UNKNOWN: &str = "zzzz";

/// Values by which the parser shows what a key takes; the first words that fit are told.
const SAMPLES: [(&str, &str); 19] = [
    ("true or false", "true"),
    ("number", "0.5"),
    ("whole number", "7"),
    ("text", "\"\u{a7}\""),
    ("duration", "\"7m\""),
    ("size", "\"7MiB\""),
    ("date", "\"2024-01-02\""),
    ("time of day", "\"13:00\""),
    ("time of day with its zone", "\"21:30 America/New_York\""),
    ("`warning` or `critical`", "\"critical\""),
    ("`stock`, `etf`, `crypto`, `forex` or `index`", "\"etf\""),
    ("`full` or `none`", "\"full\""),
    ("list of texts", "[\"\u{a7}\"]"),
    ("list of timeframes", "[\"1d\"]"),
    ("list of dates", "[\"2024-01-02\"]"),
    ("durations by timeframe", "{ \"1d\" = \"7m\" }"),
    ("lists of texts by timeframe", "{ \"1d\" = [\"\u{a7}\"] }"),
    ("times of day by date", "{ \"2024-01-02\" = \"13:00\" }"),
    ("[place of a secret](#secrets)", "{ env = \"X\" }"),
];

/// Samples that what takes the first one takes as well, but that say less.
const IMPLIED: [(&str, &[&str]); 3] = [
    ("number", &["whole number"]),
    (
        "text",
        &[
            "duration",
            "size",
            "date",
            "time of day",
            "time of day with its zone",
            "`warning` or `critical`",
            "`stock`, `etf`, `crypto`, `forex` or `index`",
            "`full` or `none`",
        ],
    ),
    ("list of texts", &["list of timeframes", "list of dates"]),
];

/// Keys that are all alike, and what they are told as.
pub(super) const TIMEFRAMES: [&str; 8] = ["1d", "1m", "5m", "15m", "30m", "1h", "4h", "1w"];
pub(super) const TIMEFRAME: &str = "TIMEFRAME";

/// A place in the config: the keys that lead there.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Key(String),
    /// Of a list of tables.
    Item,
}

/// What stands at a place.
#[derive(Debug)]
pub(super) struct Node {
    /// In words, without its keys.
    pub(super) plain: Vec<&'static str>,
    /// Whether it is a list of tables, rather than a table.
    pub(super) list: bool,
    /// The keys of its table, and which of them must be there.
    pub(super) keys: Vec<(String, bool, Node)>,
}

/// The parser, and a folder for what it is to read.
pub(super) struct Parser(TempDir);

impl Parser {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("mdctl.toml")
    }

    /// What comes of a config.
    pub(super) fn load(&self, text: &str) -> Result<Settings, ConfigError> {
        fs::write(self.path(), text).expect("the config is written");
        config::load(&self.path(), None)
    }

    /// What the parser says to `value` at `place`.
    fn said(&self, place: &[Step], value: &str) -> ConfigError {
        let Some((Step::Key(first), inner)) = place.split_first() else {
            panic!("a place begins with a key of the file");
        };
        let value = inner.iter().rev().fold(value.to_owned(), |value, step| match step {
            Step::Key(key) => format!("{{ \"{key}\" = {value} }}"),
            Step::Item => format!("[{value}]"),
        });
        let text = format!("\"{first}\" = {value}\n{UNKNOWN} = 1\n");
        self.load(&text).expect_err("the key is unknown")
    }

    /// The keys of a table at `place`, by the parser's own word.
    fn keys(&self, place: &[Step]) -> Option<Vec<String>> {
        let error = self.said(place, &format!("{{ {UNKNOWN} = 1 }}"));
        let listed = error.hint?.strip_prefix("keys here are ")?.to_owned();
        let keys: Vec<String> = listed.split(", ").map(str::to_owned).collect();
        // Of a place that takes any key, the one at the end of the file is told.
        (keys != self.top()).then_some(keys)
    }

    /// The keys of the file itself.
    pub(super) fn top(&self) -> Vec<String> {
        let error = self.load(&format!("{UNKNOWN} = 1")).expect_err("the key is unknown");
        let hint = error.hint.expect("keys are listed");
        let listed = hint.strip_prefix("keys here are ").expect("keys are listed");
        listed.split(", ").map(str::to_owned).collect()
    }

    /// Whether the parser takes `value` at `place`: then it minds something else.
    fn takes(&self, place: &[Step], value: &str) -> bool {
        let message = self.said(place, value).message;
        message == format!("unknown key `{UNKNOWN}`") || message.starts_with("missing field")
    }

    /// What the parser takes at `place`.
    pub(super) fn explore(&self, place: &[Step]) -> Node {
        let mut plain: Vec<&str> = SAMPLES
            .iter()
            .filter(|(_, value)| self.takes(place, value))
            .map(|(word, _)| *word)
            .collect();
        for (strong, weak) in IMPLIED {
            if plain.contains(&strong) {
                plain.retain(|word| !weak.contains(word));
            }
        }
        let item = with(place, Step::Item);
        let table = self.keys(place).map(|keys| (place, keys));
        let Some((list, (place, keys))) = table
            .map(|table| (false, table))
            .or_else(|| self.keys(&item).map(|keys| (true, (item.as_slice(), keys))))
        else {
            return Node { plain, list: false, keys: Vec::new() };
        };
        if !list {
            // A table may be written as a list of its values, which nobody should do.
            plain.retain(|word| !word.starts_with("list"));
        }
        let required = self.required(place, &keys);
        let is_told = |key: &String| !TIMEFRAMES.contains(&key.as_str()) || key == TIMEFRAMES[0];
        let keys = keys.into_iter().filter(is_told).map(|key| {
            let node = self.explore(&with(place, Step::Key(key.clone())));
            let name = if key == TIMEFRAMES[0] { TIMEFRAME.to_owned() } else { key.clone() };
            (name, required.contains(&key), node)
        });
        Node { plain, list, keys: keys.collect() }
    }

    /// The keys without which the table at `place` is refused.
    fn required(&self, place: &[Step], keys: &[String]) -> Vec<String> {
        let mut required: Vec<String> = Vec::new();
        loop {
            let fill = |key: &String| {
                let place = with(place, Step::Key(key.clone()));
                let sample = SAMPLES.iter().find(|(_, value)| self.takes(&place, value));
                format!("\"{key}\" = {}", sample.expect("it takes something").1)
            };
            let filled: Vec<String> = required.iter().map(fill).collect();
            let message = self.said(place, &format!("{{ {} }}", filled.join(", "))).message;
            // What is missing may be a key of a table around it.
            let missing = words(&message).first().map(|word| (*word).to_owned());
            let missing =
                missing.filter(|key| message.starts_with("missing") && keys.contains(key));
            let Some(key) = missing else { return required };
            required.push(key);
        }
    }
}

pub(super) fn with(place: &[Step], step: Step) -> Vec<Step> {
    place.iter().cloned().chain([step]).collect()
}

impl Node {
    /// Its type in words.
    pub(super) fn words(&self) -> String {
        let mut words: Vec<String> = self.plain.iter().map(|word| (*word).to_owned()).collect();
        if !self.keys.is_empty() {
            let keys = self.keys.iter().map(|(key, _, node)| format!("`{key}` ({})", node.words()));
            let keys = keys.collect::<Vec<_>>().join(", ");
            let kind = if self.list { "list of tables" } else { "table" };
            words.push(format!("{kind} of {keys}"));
        }
        assert!(!words.is_empty(), "it takes nothing that is known here: {self:?}");
        words.join(", or ")
    }
}
