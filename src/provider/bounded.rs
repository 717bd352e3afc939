//! Lists, names and words of a payload, read only as far as they can be meant: what a server sends
//! besides costs no memory.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most rows of one page: twice the largest page that any provider hands out.
pub(super) type Rows<T> = AtMost<T, 100_000>;

/// The most entries of what is asked for one at a time.
pub(super) type Few<T> = AtMost<T, 1_000>;

/// The most names in an object that is keyed by them.
const MOST_NAMES: usize = 1_000;

/// The longest text that is kept, in bytes: more than a request line, or a reader, can take.
pub(super) const LONGEST_WORDS: usize = 8 * 1_024;

/// A list of at most `N`; a longer one is an error.
#[derive(Debug)]
pub(super) struct AtMost<T, const N: usize>(pub(super) Vec<T>);

impl<T, const N: usize> Default for AtMost<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> Deref for AtMost<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor::<T, N>(PhantomData)).map(Self)
    }
}

struct ListVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for ListVisitor<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {N}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            if entries.len() == N {
                return Err(A::Error::custom(format!("more than {N} entries")));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// The first entry of a list, however long the rest of it is.
pub(super) struct First<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstVisitor(PhantomData)).map(Self)
    }
}

struct FirstVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FirstVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list that is not empty")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        let first = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }
}

/// An object keyed by name. A name that is repeated is an error: nobody can tell which is meant.
#[derive(Debug)]
pub(super) struct ByName<T>(pub(super) BTreeMap<String, T>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor(PhantomData)).map(Self)
    }
}

struct NamesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamesVisitor<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MOST_NAMES} names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((Words(name), entry)) = object.next_entry()? {
            if entries.len() == MOST_NAMES {
                return Err(A::Error::custom(format!("more than {MOST_NAMES} names")));
            }
            if entries.insert(name, entry).is_some() {
                return Err(A::Error::custom("a name is repeated"));
            }
        }
        Ok(entries)
    }
}

/// Text, of which what is beyond [`LONGEST_WORDS`] is left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(pub(super) String);

impl Deref for Words {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WordsVisitor)
    }
}

struct WordsVisitor;

impl Visitor<'_> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words(beginning(text).to_owned()))
    }
}

/// The beginning of `text`: all of it, unless it is longer than anybody reads.
pub(super) fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_WORDS)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_it_may() {
        let read = serde_json::from_str::<AtMost<u8, 3>>;
        assert_eq!(read("[1,2,3]").unwrap().0, [1, 2, 3]);
        let error = read("[1,2,3,4]").unwrap_err().to_string();
        assert!(error.starts_with("more than 3 entries"), "{error}");
        assert!(read("{}").is_err());
    }

    #[test]
    fn the_first_of_a_list_is_read_and_the_rest_is_not() {
        assert_eq!(serde_json::from_str::<First<i64>>("[7,{},[[1]]]").unwrap().0, 7);
        for other in ["[]", "7", "[null]", "[7,]", "[7"] {
            assert!(serde_json::from_str::<First<i64>>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_name_stands_once() {
        let read = serde_json::from_str::<ByName<u8>>;
        assert_eq!(read(r#"{"b":2,"a":1}"#).unwrap().0.into_keys().collect::<String>(), "ab");
        let error = read(r#"{"a":1,"\u0061":2}"#).unwrap_err().to_string();
        assert!(error.starts_with("a name is repeated"), "{error}");
        let names: Vec<String> = (0..=MOST_NAMES).map(|name| format!("\"{name}\":1")).collect();
        assert!(read(&format!("{{{}}}", names.join(","))).is_err());
    }

    #[test]
    fn words_are_cut_between_letters() {
        let text = format!("a{}", "é".repeat(LONGEST_WORDS));
        let words: Words = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!(words.len(), LONGEST_WORDS - 1);
    }
}
