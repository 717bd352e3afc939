//! The JSON Schema of each document, made from the structs that it is written from.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::json;

/// The schema of a document; `title` is the command that prints it.
#[must_use]
pub fn of<T: JsonSchema>(title: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(Instants);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema
}

/// Says of every text that is an instant that it is one: their names tell.
#[derive(Clone, Debug)]
struct Instants;

impl Transform for Instants {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(properties) =
            schema.get_mut("properties").and_then(serde_json::Value::as_object_mut)
        {
            for (name, property) in properties {
                let is_text = property["type"] == "string" || property["type"][0] == "string";
                if let (true, Some(property)) =
                    (is_text && is_instant(name), property.as_object_mut())
                {
                    property.insert("format".to_owned(), json!("date-time"));
                }
            }
        }
        transform_subschemas(self, schema);
    }
}

fn is_instant(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "timestamp",
        "since",
        "until",
        "at",
        "time",
        "from",
        "to",
        "ts",
        "ts_end",
        "held_until",
        "snoozed_until",
    ];
    NAMES.contains(&name) || name.ends_with("_at")
}

/// Words of which a text is one, for `#[schemars(extend("enum" = ...))]`.
pub(super) fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> serde_json::Value {
    all.iter().map(|one| word(*one)).collect()
}

/// Likewise, of a text that may be null.
pub(super) fn words_or_null<T: Copy>(
    all: &[T],
    word: impl Fn(T) -> &'static str,
) -> serde_json::Value {
    all.iter().map(|one| Some(word(*one))).chain([None]).collect()
}
