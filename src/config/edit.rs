//! Edits of the config's symbols that leave its comments, order and layout as they are.

use std::path::Path;

use chrono::NaiveDate;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use crate::file::{self, Mode};

use super::ConfigError;

/// A config being edited.
#[derive(Debug)]
pub struct Edit {
    document: DocumentMut,
}

impl Edit {
    /// Reads the text of a config.
    ///
    /// # Errors
    ///
    /// When it is no TOML.
    pub fn of(path: &Path, text: &str) -> Result<Self, ConfigError> {
        match text.parse() {
            Ok(document) => Ok(Self { document }),
            Err(error) => {
                let error: toml_edit::TomlError = error;
                let span = error.span().unwrap_or(0..0);
                Err(ConfigError::at(path, text, span, error.message()))
            }
        }
    }

    /// The text as it stands now.
    #[must_use]
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// Adds `symbol` to the `symbols` of `group`; `false` when the group has no such list.
    pub fn add(&mut self, group: &str, symbol: &str) -> bool {
        let Some(symbols) = self.symbols(group) else { return false };
        push(symbols, symbol);
        true
    }

    /// Takes `symbol` out of whatever group it stands in; `false` when it stands in no list.
    pub fn remove(&mut self, symbol: &str) -> bool {
        for table in self.groups() {
            let Some(symbols) = table.get_mut("symbols").and_then(Item::as_array_mut) else {
                continue;
            };
            let found = symbols.iter().position(|value| name_of(value) == Some(symbol));
            if let Some(index) = found {
                take(symbols, index);
                return true;
            }
        }
        false
    }

    /// Gives `symbol` the name `new`, and keeps its own as an alias whose last day is `until`; `false` when
    /// it stands in no list.
    pub fn rename(&mut self, symbol: &str, new: &str, until: NaiveDate) -> bool {
        let mut lists =
            self.groups().filter_map(|table| table.get_mut("symbols").and_then(Item::as_array_mut));
        let Some(value) = lists
            .find_map(|symbols| symbols.iter_mut().find(|value| name_of(value) == Some(symbol)))
        else {
            return false;
        };
        let mut entry = value.as_inline_table().cloned().unwrap_or_default();
        let mut alias = InlineTable::new();
        alias.insert("symbol", symbol.into());
        alias.insert("until", until.to_string().into());
        entry.insert("symbol", new.into());
        let aliases = entry.entry("aliases").or_insert_with(|| Array::new().into());
        if let Some(aliases) = aliases.as_array_mut() {
            aliases.push(alias);
        }
        let decor = value.decor().clone();
        *value = Value::InlineTable(entry);
        *value.decor_mut() = decor;
        true
    }

    fn groups(&mut self) -> impl Iterator<Item = &mut Table> {
        let groups = self.document.get_mut("group").and_then(Item::as_array_of_tables_mut);
        groups.into_iter().flat_map(|groups| groups.iter_mut())
    }

    fn symbols(&mut self, group: &str) -> Option<&mut Array> {
        let table =
            self.groups().find(|table| table.get("name").and_then(Item::as_str) == Some(group))?;
        table.get_mut("symbols")?.as_array_mut()
    }
}

/// Checks `text` as the config at `path`.
///
/// # Errors
///
/// When it could not be followed.
pub fn check(path: &Path, text: &str) -> Result<(), ConfigError> {
    super::read(path, text, None).map(|_| ())
}

/// Checks `text` as the config at `path` and puts it in its place, whole or not at all.
///
/// # Errors
///
/// When the edited config could not be followed, or cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<(), ConfigError> {
    check(path, text)?;
    file::replace(path, text.as_bytes(), Mode::Private)
        .map_err(|error| ConfigError::whole(path, format!("cannot be written: {error}"), None))
}

fn name_of(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value.as_inline_table().and_then(|table| table.get("symbol")?.as_str()))
}

fn raw(text: Option<&toml_edit::RawString>) -> String {
    text.and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}

/// Adds a string in the list's own layout: on a line of its own where the others are.
fn push(symbols: &mut Array, symbol: &str) {
    let last_prefix = symbols.iter().last().map(|value| raw(value.decor().prefix()));
    let mut value = Value::from(symbol);
    match last_prefix.as_deref().and_then(|prefix| prefix.rfind('\n').map(|at| &prefix[at..])) {
        None => value.decor_mut().set_prefix(if symbols.is_empty() { "" } else { " " }),
        Some(indent) => {
            // What stands behind the last symbol, its comment above all, stays behind it.
            let trailing = raw(Some(symbols.trailing()));
            let (kept, close) = match trailing.rfind('\n') {
                Some(at) => (&trailing[..at], &trailing[at..]),
                None => ("", "\n"),
            };
            value.decor_mut().set_prefix(format!("{kept}{indent}"));
            symbols.set_trailing(close);
            symbols.set_trailing_comma(true);
        }
    }
    symbols.push_formatted(value);
}

/// Takes a value out, and with it the comment on its own line; other lines of comment stay.
fn take(symbols: &mut Array, index: usize) {
    let own = symbols.get(index).map(|value| raw(value.decor().prefix())).unwrap_or_default();
    symbols.remove(index);
    let before = own.rfind('\n').map(|at| own[..at].to_owned());
    let after = |following: &str| match (&before, following.find('\n')) {
        (Some(before), Some(at)) => format!("{before}{}", &following[at..]),
        _ => following.to_owned(),
    };
    match symbols.get_mut(index) {
        Some(next) => {
            let prefix = raw(next.decor().prefix());
            let prefix = if index == 0 && before.is_none() { own } else { after(&prefix) };
            next.decor_mut().set_prefix(prefix);
        }
        None => {
            let trailing = raw(Some(symbols.trailing()));
            symbols.set_trailing(after(&trailing));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"# Mine.
[[group]] # the first
name = "a"
symbols = [
    # Big ones.
    "AAPL", # the fruit
    { symbol = "META", aliases = [] }, # once FB
    # Others.
    "IBM", # blue
] # end
timeframes = ["1d"]
"#;

    fn edited(text: &str, edit: impl Fn(&mut Edit)) -> String {
        let mut document = Edit::of(Path::new("m.toml"), text).unwrap();
        edit(&mut document);
        document.text()
    }

    #[test]
    fn a_new_symbol_comes_last_and_comments_stay_where_they_are() {
        let text = edited(LINES, |edit| assert!(edit.add("a", "KO")));
        assert_eq!(text, LINES.replace("# blue\n", "# blue\n    \"KO\",\n"));
    }

    #[test]
    fn a_symbol_goes_with_its_own_comment_only() {
        let text = edited(LINES, |edit| assert!(edit.remove("META")));
        assert_eq!(text, LINES.replace("    { symbol = \"META\", aliases = [] }, # once FB\n", ""));
        let text = edited(LINES, |edit| assert!(edit.remove("IBM")));
        assert_eq!(text, LINES.replace("    \"IBM\", # blue\n", ""));
        let text = edited(LINES, |edit| assert!(edit.remove("AAPL")));
        assert_eq!(text, LINES.replace("    \"AAPL\", # the fruit\n", ""));
    }

    #[test]
    fn a_renamed_symbol_keeps_its_place_its_comment_and_its_names() {
        let until = NaiveDate::from_ymd_opt(2022, 6, 8).unwrap();
        let text = edited(LINES, |edit| assert!(edit.rename("IBM", "BIG", until)));
        let entry = r#"{ symbol = "BIG", aliases = [{ symbol = "IBM", until = "2022-06-08" }] }"#;
        assert_eq!(text, LINES.replace("\"IBM\", # blue", &format!("{entry}, # blue")));
        let later = NaiveDate::from_ymd_opt(2024, 1, 2).unwrap();
        let text = edited(&text, |edit| assert!(edit.rename("BIG", "BIGGER", later)));
        assert!(text.contains(
            r#"symbol = "BIGGER", aliases = [{ symbol = "IBM", until = "2022-06-08" }, "#
        ));
        assert!(text.contains(r#"{ symbol = "BIG", until = "2024-01-02" }] }, # blue"#), "{text}");
        edited(LINES, |edit| assert!(!edit.rename("TSLA", "X", until)));
    }

    #[test]
    fn a_list_on_one_line_stays_on_it() {
        let text = "[[group]]\nname = \"a\"\nsymbols = [\"X\", \"Y\"] # two\n";
        assert_eq!(
            edited(text, |edit| assert!(edit.add("a", "Z"))),
            text.replace("\"Y\"", "\"Y\", \"Z\"")
        );
        assert_eq!(edited(text, |edit| assert!(edit.remove("X"))), text.replace("\"X\", ", ""));
        assert_eq!(edited(text, |edit| assert!(edit.remove("Y"))), text.replace(", \"Y\"", ""));
        let empty = "[[group]]\nname = \"a\"\nsymbols = []\n";
        assert_eq!(
            edited(empty, |edit| assert!(edit.add("a", "Z"))),
            empty.replace("[]", "[\"Z\"]")
        );
    }

    #[test]
    fn what_is_not_there_is_not_edited() {
        edited(LINES, |edit| assert!(!edit.remove("TSLA")));
        edited(LINES, |edit| assert!(!edit.add("b", "KO")));
    }
}
