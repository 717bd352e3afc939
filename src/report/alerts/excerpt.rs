//! A document as far as rules look into it. One of 25,000 series is 25,000 elements of a list, and to keep
//! all of each would cost more than to judge them.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::domain::alert::Rule;

/// What is looked at in the elements of lists, whichever field a rule names.
const ALWAYS: [&str; 13] = [
    "subject",
    "symbol",
    "timeframe",
    "name",
    "provider",
    "code",
    "count",
    "severity",
    "message",
    "hint",
    "achieved",
    "target",
    "run_id",
];

/// Reads a document. Of the elements of lists, the first one is whole, so that it can be told which fields
/// there are; the others have what one of `rules` or what tells of them looks at.
///
/// # Errors
///
/// When it is no JSON.
pub fn excerpt(text: &[u8], rules: &[Rule]) -> serde_json::Result<Value> {
    let named = rules.iter().flat_map(|rule| rule.field.split('.'));
    let words: HashSet<&str> = named.chain(ALWAYS).collect();
    let mut document = serde_json::Deserializer::from_slice(text);
    let value = Excerpt { words: &words, whole: true }.deserialize(&mut document)?;
    document.end().map(|()| value)
}

#[derive(Clone, Copy)]
struct Excerpt<'a> {
    words: &'a HashSet<&'a str>,
    /// Whether all fields are kept.
    whole: bool,
}

impl<'de> DeserializeSeed<'de> for Excerpt<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Excerpt<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::from(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let mut element = self;
        while let Some(value) = seq.next_element_seed(element)? {
            list.push(value);
            element.whole = false;
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key_seed(Name(self))? {
            match name {
                Some(name) => object.insert(name, map.next_value_seed(self)?),
                None => map.next_value::<IgnoredAny>().map(|_| None)?,
            };
        }
        Ok(Value::Object(object))
    }
}

/// A field's name; `None` where it is not kept.
struct Name<'a>(Excerpt<'a>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let Self(Excerpt { words, whole }) = self;
        Ok((whole || words.contains(name)).then(|| name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::domain::alert::Test;

    #[test]
    fn what_no_rule_looks_at_is_left_out_of_all_but_the_first() {
        let row = |symbol: &str, score: f64| json!({"symbol": symbol, "score": score, "gaps": 1, "more": [{"x": -1, "y": null}, {"x": 2, "y": true}]});
        let document = json!({"rows": [row("A", 0.5), row("B", 1e300), row("C", 0.1)], "y": "ü\""});
        let rule = |field: &str| Rule {
            name: "R".to_owned(),
            field: field.to_owned(),
            test: Test::Above(0.0),
            hold: Duration::ZERO,
            severity: None,
        };
        let read = |fields: &[&str]| {
            let rules: Vec<Rule> = fields.iter().map(|field| rule(field)).collect();
            excerpt(document.to_string().as_bytes(), &rules).unwrap()
        };
        let first = row("A", 0.5);
        let mut first = first;
        first["more"][1] = json!({});
        let rest = |symbol: &str, score: f64| json!({"symbol": symbol, "score": score});
        let wanted = json!({"rows": [first, rest("B", 1e300), rest("C", 0.1)], "y": "ü\""});
        assert_eq!(read(&["quality.rows.score"]), wanted);
        assert_eq!(read(&["rows.score", "gaps.more.x", "y"]), document);
        assert!(excerpt(b"{} x", &[]).is_err());
    }
}
