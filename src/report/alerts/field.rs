//! A rule's field: the path into the documents, and what stands at its end.

use serde_json::Value;

use crate::config::nearest;

use super::document::{Document, Documents};

/// A value at the end of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit<'a> {
    pub(super) value: &'a Value,
    /// The innermost element of a list that it stands in; `None` when the path leads through no list.
    pub(super) element: Option<&'a Value>,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// These values of that document; none where there is nothing to tell, as before the first run.
    Values(Document, Vec<Hit<'a>>),
    /// No document has such a field: what is wrong with it, and how to see those that there are.
    Unknown { message: String, hint: String },
}

/// The name by which rules call `last_execution` of the health document.
const LAST_RUN: (&str, &str) = ("last_run", "last_execution");

/// Follows a rule's field into the documents.
pub(super) fn find<'a>(documents: &'a Documents, field: &str) -> Found<'a> {
    let words: Vec<&str> = field.split('.').collect();
    let (document, words) = match addressed(documents, &words) {
        Ok(found) => found,
        Err(unknown) => return unknown,
    };
    let root = documents.get(document);
    let mut walk = Walk::default();
    walk.step(root, &words, 0, None);
    match walk.lost {
        Some(lost) if !walk.known => unknown(document, field, &words, &lost),
        _ => Found::Values(document, walk.hits),
    }
}

/// The document that a path leads into, and the path within.
fn addressed<'w, 'a>(
    documents: &'a Documents,
    words: &[&'w str],
) -> Result<(Document, Vec<&'w str>), Found<'a>> {
    let first = words.first().copied().unwrap_or_default();
    let named = Document::ALL.into_iter().find(|document| document.as_str() == first);
    let holds = |document: &Document| documents.get(*document).get(renamed(first)).is_some();
    let holder = Document::ALL.into_iter().find(holds);
    match (named, holder) {
        (Some(document), _) if words.len() > 1 => {
            let mut rest = words[1..].to_vec();
            rest[0] = renamed(rest[0]);
            Ok((document, rest))
        }
        (_, Some(document)) => {
            let mut words = words.to_vec();
            words[0] = renamed(first);
            Ok((document, words))
        }
        _ => Err(no_document(documents, first)),
    }
}

fn renamed(word: &str) -> &str {
    if word == LAST_RUN.0 { LAST_RUN.1 } else { word }
}

fn no_document<'a>(documents: &Documents, first: &str) -> Found<'a> {
    let of = |document| documents.get(document).as_object();
    let objects = Document::ALL.into_iter().filter_map(of);
    let names = objects.flat_map(|object| object.keys().map(String::as_str)).chain([LAST_RUN.0]);
    let near = nearest(first, names).map(|near| format!("; did you mean `{near}`?"));
    Found::Unknown {
        message: format!("no document has a field `{first}`{}", near.unwrap_or_default()),
        hint: "mdctl health --json, metrics --json, quality --json and slo --json show the fields"
            .to_owned(),
    }
}

fn unknown<'a>(document: Document, field: &str, words: &[&str], lost: &Lost) -> Found<'a> {
    let message = match lost {
        Lost::At { depth, near } => {
            let near = near.as_ref().map(|near| format!("; did you mean `{near}`?"));
            let (word, near) = (words[*depth], near.unwrap_or_default());
            format!("the {document} document has no `{word}` at `{field}`{near}")
        }
        Lost::Group => format!("`{field}` is a group of fields, not a value"),
        Lost::Early { depth } => {
            let (word, rest) = (words[*depth - 1], words[*depth]);
            format!("`{word}` is a value, and has no field `{rest}`")
        }
    };
    Found::Unknown { message, hint: format!("{} shows the fields", document.shown_by()) }
}

/// Where a path ended before its end, or with no value at it.
#[derive(Debug)]
enum Lost {
    At { depth: usize, near: Option<String> },
    Early { depth: usize },
    Group,
}

/// On the way to a path's end.
#[derive(Default)]
struct Walk<'a> {
    hits: Vec<Hit<'a>>,
    /// Whether the path led to its end somewhere, be it to nothing.
    known: bool,
    lost: Option<Lost>,
}

impl<'a> Walk<'a> {
    fn step(&mut self, value: &'a Value, words: &[&str], depth: usize, element: Option<&'a Value>) {
        match (value, words.get(depth)) {
            (Value::Null, _) => self.known = true,
            (Value::Array(list), _) => {
                self.known |= list.is_empty();
                for one in list {
                    self.step(one, words, depth, Some(one));
                }
            }
            (Value::Object(object), Some(word)) => match object.get(*word) {
                Some(inner) => self.step(inner, words, depth + 1, element),
                None => {
                    let near = nearest(word, object.keys().map(String::as_str)).map(str::to_owned);
                    self.lost.get_or_insert(Lost::At { depth, near });
                }
            },
            (Value::Object(_), None) => {
                self.lost.get_or_insert(Lost::Group);
            }
            (_, Some(_)) => {
                self.lost.get_or_insert(Lost::Early { depth });
            }
            (_, None) => {
                self.known = true;
                self.hits.push(Hit { value, element });
            }
        }
    }
}

/// What an element of a list is about: its own `subject`, else its series, else its name.
pub(super) fn subject(element: &Value) -> Option<String> {
    let text = |name: &str| element.get(name).and_then(Value::as_str);
    if let Some(subject) = text("subject") {
        return Some(subject.to_owned());
    }
    if let Some(symbol) = text("symbol") {
        return Some(match text("timeframe") {
            Some(timeframe) => format!("{symbol} {timeframe}"),
            None => symbol.to_owned(),
        });
    }
    ["name", "provider", "code"].into_iter().find_map(text).map(str::to_owned)
}
