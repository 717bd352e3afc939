//! The key, wherever a server repeats it: hidden in what is kept, and refused where it would travel in
//! a URL.

use crate::domain::run::Fault;
use crate::domain::secret::ApiKey;
use crate::provider::text::shown;

/// What stands in for a key that a server repeats.
const HIDDEN: &str = "[key]";

/// The shortest half of a key that is looked for, in letters: shorter ones occur by chance.
const SHORTEST: usize = 4;

/// The halves of a provider's key.
#[derive(Clone, Debug)]
pub(in crate::fetch) struct Secrets(Option<ApiKey>);

impl Secrets {
    pub(super) const fn new(key: Option<ApiKey>) -> Self {
        Self(key)
    }

    /// The halves that are long enough to be told from chance.
    fn halves(&self) -> impl Iterator<Item = &str> {
        let halves = self.0.iter().flat_map(|key| [Some(key.expose()), key.expose_second()]);
        halves.flatten().filter(|half| half.chars().count() >= SHORTEST)
    }

    /// Whether `text` repeats the key, in whatever spelling.
    pub(in crate::fetch) fn occur_in(&self, text: &str) -> bool {
        self.halves().any(|half| {
            text.char_indices().any(|(at, _)| spelled(&text[at..], half) == Some(Spelled::Whole))
        })
    }

    /// `text` without the key, nor the beginning of one where a long text was cut.
    pub(in crate::fetch) fn hidden(&self, text: String) -> String {
        let was_cut = text.ends_with(CUT);
        let counts = |found| found == Spelled::Whole || was_cut;
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let found = self.halves().find_map(|half| length_of(rest, half, counts));
            let taken = found.unwrap_or(first.len_utf8());
            out.push_str(if found.is_some() { HIDDEN } else { &rest[..taken] });
            rest = &rest[taken..];
        }
        // What stands in may be longer than what it stands for.
        if out == text { text } else { shown(&out) }
    }

    /// The same fault, without the key in its words.
    pub(in crate::fetch) fn hidden_in(&self, fault: Fault) -> Fault {
        Fault { message: self.hidden(fault.message), ..fault }
    }
}

/// The mark that there was more.
const CUT: char = '…';

/// How much of a secret stands at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelled {
    /// All of it.
    Whole,
    /// Its beginning, and then the text ends.
    Cut,
}

/// Whether `text` begins with `secret`: in either case, as it is, percent-encoded, or escaped as in JSON.
fn spelled(text: &str, secret: &str) -> Option<Spelled> {
    follow(text, secret).map(|(how, _)| how)
}

/// The bytes that `secret` takes at the beginning of `text`, if what is found `counts`.
fn length_of(text: &str, secret: &str, counts: impl Fn(Spelled) -> bool) -> Option<usize> {
    follow(text, secret).filter(|(how, _)| counts(*how)).map(|(_, length)| length)
}

fn follow(text: &str, secret: &str) -> Option<(Spelled, usize)> {
    let mut rest = text;
    for (index, wanted) in secret.chars().enumerate() {
        let is_it = |found: char| found.eq_ignore_ascii_case(&wanted);
        let as_it_is = rest.chars().next().filter(|found| is_it(*found)).map(char::len_utf8);
        let encoded = || decoded(rest).filter(|(found, _)| is_it(*found)).map(|(_, length)| length);
        let Some(length) = as_it_is.or_else(encoded) else {
            let ended = index >= SHORTEST && rest.trim_end_matches(CUT).is_empty();
            return ended.then(|| (Spelled::Cut, text.len() - rest.len()));
        };
        rest = &rest[length..];
    }
    Some((Spelled::Whole, text.len() - rest.len()))
}

/// The letter behind `%41`, `\u0041` or `\/` at the beginning of `text`, and how long that is.
fn decoded(text: &str) -> Option<(char, usize)> {
    let hexadecimal = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
    };
    if text.starts_with('%') {
        return hexadecimal(1..3).map(|letter| (letter, 3));
    }
    if text.starts_with("\\u") {
        return hexadecimal(2..6).map(|letter| (letter, 6));
    }
    text.strip_prefix('\\')?.chars().next().map(|letter| (letter, 1 + letter.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::new(Some(ApiKey::new("sekrit-4711".to_owned(), Some("half/two".to_owned()))))
    }

    #[test]
    fn a_key_is_hidden_in_every_spelling() {
        for spelled in [
            "sekrit-4711",
            "SEKRIT-4711",
            "%73ekrit%2D4711",
            "%73%65%6b%72%69%74%2d%34%37%31%31",
            "\\u0073ekrit-4711",
            "half/two",
            "half\\/two",
            "half%2Ftwo",
        ] {
            let said = format!("no `{spelled}` here, {spelled}");
            assert_eq!(secrets().hidden(said.clone()), "no `[key]` here, [key]", "{spelled}");
            assert!(secrets().occur_in(&said), "{spelled}");
        }
    }

    #[test]
    fn what_is_no_key_stays() {
        for text in ["", "sekrit", "sekrit-471", "half two", "%", "\\", "\\u12", "%zz%é", "…"] {
            assert_eq!(secrets().hidden(text.to_owned()), text);
            assert!(!secrets().occur_in(text));
        }
        let short = Secrets::new(Some(ApiKey::new("key".to_owned(), None)));
        assert_eq!(short.hidden("a key".to_owned()), "a key", "too short to be told from chance");
        assert!(!Secrets::new(None).occur_in("a"));
    }

    #[test]
    fn a_key_that_is_cut_off_is_hidden_too() {
        let said = shown(&format!("{}sekrit-4711", "x".repeat(493)));
        assert!(said.ends_with("sekrit-…"));
        let hidden = secrets().hidden(said);
        assert!(hidden.ends_with("x[key]…"), "{hidden}");
        assert_eq!(hidden.chars().count(), 499);
    }

    #[test]
    fn a_text_full_of_keys_stays_short() {
        let four = Secrets::new(Some(ApiKey::new("abcd".to_owned(), None)));
        assert!(four.hidden("abcd".repeat(125)).chars().count() <= 501);
    }
}
