//! The page of JSON documents is made of the schemas that `--schema` prints: each field of each document.

use std::collections::BTreeMap;

use clap::Command;
use serde_json::Value;

use crate::support::Sandbox;

use super::page::{Page, same};

/// From so many fields on, what stands in several documents has a section of its own.
const OWN_SECTION: usize = 5;

/// Fields of every document, which are told of once.
const EVERYWHERE: [&str; 2] = ["schema", "timestamp"];

/// Every document by its title.
type Documents = BTreeMap<String, Value>;

/// Prints the schema of each command that has one, with the forms of those that print several.
fn documents() -> Documents {
    let sandbox = Sandbox::new();
    let mut documents = Documents::new();
    for arguments in forms(&mdctl::cli::command()) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = sandbox.mdctl(&[&arguments[..], &["--schema"]].concat());
        if output.code == Some(0) {
            let schema = output.json();
            let title = schema["title"].as_str().expect("a title").to_owned();
            documents.insert(title, schema);
        } else {
            // It says itself that it has none.
            output.expect_code(64).expect_stderr("document");
        }
    }
    documents
}

/// Each command with what it must be given, and each again with what it may be given besides, since it may
/// print something else then.
fn forms(command: &Command) -> Vec<Vec<String>> {
    let mut forms = Vec::new();
    for Leaf { path, required, optional } in leaves(command, &[]) {
        let alone = [path, required].concat();
        let more = optional.into_iter().map(|more| [&alone[..], &[more]].concat());
        // Some flags want another one beside them.
        forms.extend(more.filter(|form| parses(command, form)));
        forms.push(alone);
    }
    forms
}

fn parses(command: &Command, form: &[String]) -> bool {
    let name = [command.get_name().to_owned()];
    command.clone().try_get_matches_from(name.iter().chain(form)).is_ok()
}

/// A command that does something.
struct Leaf {
    path: Vec<String>,
    /// What it must be given.
    required: Vec<String>,
    /// Arguments and flags without a value that it may be given.
    optional: Vec<String>,
}

fn leaves(command: &Command, path: &[String]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let runs_alone = !path.is_empty() && !command.is_subcommand_required_set();
    if runs_alone {
        leaves.push(leaf(command, path));
    }
    for inner in command.get_subcommands() {
        let path = [path, &[inner.get_name().to_owned()]].concat();
        leaves.extend(self::leaves(inner, &path));
    }
    leaves
}

fn leaf(command: &Command, path: &[String]) -> Leaf {
    let mut leaf = Leaf { path: path.to_vec(), required: Vec::new(), optional: Vec::new() };
    let groups = command.get_groups().filter(|group| group.is_required_set());
    let one_of_each: Vec<_> = groups.filter_map(|group| group.get_args().next()).collect();
    for argument in command.get_arguments() {
        let takes = argument.get_action().takes_values();
        let flag = argument.get_long().map(|name| format!("--{name}"));
        let wanted = argument.is_required_set() || one_of_each.contains(&argument.get_id());
        if wanted {
            leaf.required.extend(flag);
            leaf.required.push(sample(argument));
        } else if flag.is_none() || !takes {
            leaf.optional.push(flag.unwrap_or_else(|| sample(argument)));
        }
    }
    leaf
}

/// A value that an argument takes.
fn sample(argument: &clap::Arg) -> String {
    let one_of = argument.get_possible_values();
    if let Some(first) = one_of.first() {
        return first.get_name().to_owned();
    }
    let name = argument.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
    match name {
        "DURATION" => "1h".to_owned(),
        "DATE" => "2024-01-02".to_owned(),
        _ => "X".to_owned(),
    }
}

/// What has a section of its own: shapes that stand in several documents, by name.
fn shared(documents: &Documents) -> BTreeMap<String, Value> {
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (name, shape) in documents.values().flat_map(shapes) {
        *seen.entry((name.clone(), shape.to_string())).or_default() += 1;
    }
    let mut shared = BTreeMap::new();
    for ((name, text), _) in seen.into_iter().filter(|(_, count)| *count > 1) {
        let shape: Value = serde_json::from_str(&text).expect("what was written");
        if names(&shape).len() >= OWN_SECTION {
            let other = shared.insert(name.clone(), shape);
            assert!(other.is_none(), "two shapes are named {name}");
        }
    }
    shared
}

fn shapes(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document["$defs"].as_object().into_iter().flatten()
}

/// The fields of an object in the order in which they are written.
fn names(shape: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let all = shape["properties"].as_object().into_iter().flat_map(|all| all.keys());
    for name in all.map(String::as_str) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The table of a document's, or a shape's, fields.
struct Table<'a> {
    document: &'a Value,
    shared: &'a BTreeMap<String, Value>,
    text: String,
}

impl<'a> Table<'a> {
    fn of(document: &'a Value, shape: &'a Value, shared: &'a BTreeMap<String, Value>) -> String {
        let text = "| field | type | meaning |\n|---|---|---|\n".to_owned();
        let mut table = Self { document, shared, text };
        table.add_fields("", shape);
        table.text
    }

    fn add_fields(&mut self, prefix: &str, shape: &'a Value) {
        for name in names(shape) {
            if prefix.is_empty() && EVERYWHERE.contains(&name) {
                continue;
            }
            self.add(&format!("{prefix}{name}"), &shape["properties"][name]);
        }
    }

    fn add(&mut self, path: &str, field: &'a Value) {
        let (kind, inner) = self.kind(field);
        let said = field["description"]
            .as_str()
            .or_else(|| inner.and_then(|(_, shape)| shape["description"].as_str()));
        let said = said
            .unwrap_or_else(|| panic!("{path} of {} has no description", self.document["title"]));
        let said = said.replace('\n', " ").replace('|', "\\|");
        self.text += &format!("| `{path}` | {kind} | {said} |\n");
        if let Some((name, shape)) = inner {
            let is_told_there = self.shared.get(name).is_some_and(|other| other == shape);
            if !is_told_there {
                let sign = if kind.starts_with("list") { "[]" } else { "" };
                self.add_fields(&format!("{path}{sign}."), shape);
            }
        }
    }

    /// A field's type in words, and the object in it.
    fn kind(&self, field: &'a Value) -> (String, Option<(&'a str, &'a Value)>) {
        if let Some(target) = field["$ref"].as_str() {
            let name = target.trim_start_matches("#/$defs/");
            let shape = &self.document["$defs"][name];
            let is_own = self.shared.get(name) == Some(shape);
            let word = if is_own { link(name) } else { "object".to_owned() };
            return (word, Some((name, shape)));
        }
        if let Some(any) = field["anyOf"].as_array() {
            let (word, inner) = self.kind(&any[0]);
            return (format!("{word} or null"), inner);
        }
        if let Some(words) = field["enum"].as_array() {
            let words: Vec<String> = words
                .iter()
                .map(|word| match word {
                    Value::Null => "null".to_owned(),
                    word => format!("`{}`", word.as_str().unwrap_or_default()),
                })
                .collect();
            return (words.join(", "), None);
        }
        let (types, null) = types(field);
        let (word, inner) = match types.as_slice() {
            ["array"] => {
                let (word, inner) = self.kind(&field["items"]);
                (format!("list of {word}"), inner)
            }
            [] => ("any value".to_owned(), None),
            types => {
                (types.iter().map(|kind| word(kind, field)).collect::<Vec<_>>().join(" or "), None)
            }
        };
        (if null { format!("{word} or null") } else { word }, inner)
    }
}

/// The types of a field but null, and whether it may be null.
fn types(field: &Value) -> (Vec<&str>, bool) {
    let all: Vec<&str> = match &field["type"] {
        Value::String(one) => vec![one],
        several => several.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    let null = all.contains(&"null");
    (all.into_iter().filter(|kind| *kind != "null").collect(), null)
}

fn word(kind: &str, field: &Value) -> &'static str {
    match kind {
        "string" if field["format"] == "date-time" => "time",
        "string" => "text",
        "integer" => "whole number",
        "number" => "number",
        "boolean" => "true or false",
        "object" => "object",
        other => panic!("a type without a word: {other}"),
    }
}

/// A link to the section of a shape.
fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

#[test]
fn every_field_of_every_document_is_told() {
    let documents = documents();
    assert!(documents.len() > 20, "documents are missing: {:?}", documents.keys());
    let shared = shared(&documents);
    let page = Page::of_guide("json");
    let titles = documents.keys().map(|title| short(title).to_owned());
    let all: Vec<String> = titles.chain(shared.keys().cloned()).collect();
    same(&page.made(), &all, "documents");
    page.hold(|name| match shared.get(name) {
        Some(shape) => {
            let of = documents.values().find(|document| document["$defs"][name] == *shape);
            Table::of(of.expect("it is of a document"), shape, &shared)
        }
        None => {
            let document = documents
                .values()
                .find(|document| document["title"].as_str().map(short) == Some(name));
            let document = document.expect("it is one of them");
            Table::of(document, document, &shared)
        }
    });
}

/// `health` of `mdctl health --json`.
fn short(title: &str) -> &str {
    title.trim_start_matches("mdctl ").trim_end_matches(" --json")
}

#[test]
fn every_document_says_which_shape_it_is_and_as_of_when() {
    for (title, document) in documents() {
        let names = names(&document);
        assert!(EVERYWHERE.iter().all(|name| names.contains(name)), "{title}: {names:?}");
    }
}

#[test]
fn examples_are_what_the_schemas_say() {
    let documents = documents();
    let page = Page::of_guide("json");
    let fences = page.fences("json");
    assert!(!fences.is_empty(), "there is no example");
    for fence in fences {
        let title = fence.note.and_then(|note| note.strip_prefix("example of: "));
        let title = title.unwrap_or_else(|| panic!("line {}: an example of what?", fence.line));
        let document: Value = serde_json::from_str(&fence.lines.join("\n")).expect("it is JSON");
        let schema = &documents[&format!("mdctl {title} --json")];
        let validator = jsonschema::validator_for(schema).expect("a schema");
        let wrong: Vec<String> =
            validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "line {}: {wrong:?}", fence.line);
    }
}
