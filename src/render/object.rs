//! A row of a JSON document, written straight into a text as serde's pretty printer would write it there.

use std::fmt::Write as _;

use crate::domain::words::push_instant;

/// Before each field of a row.
const INDENT: &str = "\n      ";

/// An object in a list of a document, with its fields in the order in which they are added.
pub(super) struct Object<'a> {
    text: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(text: &'a mut String) -> Self {
        text.push('{');
        Self { text, is_empty: true }
    }

    pub(super) fn end(self) {
        self.text.push_str(if self.is_empty { "}" } else { "\n    }" });
    }

    /// A field whose text may be anything.
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if text.bytes().all(is_plain) {
            return self.word(name, text);
        }
        self.name(name);
        // A text is always to be written.
        self.text.push_str(&serde_json::to_string(text).unwrap_or_default());
    }

    /// A field with a word of this program: nothing in it is to be escaped.
    pub(super) fn word(&mut self, name: &'static str, word: &str) {
        self.name(name);
        self.text.push('"');
        self.text.push_str(word);
        self.text.push('"');
    }

    /// Likewise, or null.
    pub(super) fn word_or_null(&mut self, name: &'static str, word: Option<&'static str>) {
        match word {
            Some(word) => self.word(name, word),
            None => self.null(name),
        }
    }

    /// A field with an instant, or null.
    pub(super) fn instant(&mut self, name: &'static str, at: Option<i64>) {
        let Some(at) = at else { return self.null(name) };
        self.name(name);
        self.text.push('"');
        push_instant(self.text, at);
        self.text.push('"');
    }

    /// A field with a number, or null.
    pub(super) fn number(&mut self, name: &'static str, number: Option<i64>) {
        let Some(number) = number else { return self.null(name) };
        self.name(name);
        // A text takes whatever is written to it.
        let _ = write!(self.text, "{number}");
    }

    fn null(&mut self, name: &'static str) {
        self.name(name);
        self.text.push_str("null");
    }

    fn name(&mut self, name: &'static str) {
        if !self.is_empty {
            self.text.push(',');
        }
        self.is_empty = false;
        self.text.push_str(INDENT);
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\": ");
    }
}
