//! A reader of Prometheus' text format that takes nothing for granted.

use std::collections::BTreeMap;

/// A metrics file, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Exposition {
    /// The kind of each family.
    pub(super) kinds: BTreeMap<String, String>,
    /// The samples in the order of the text.
    pub(super) samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Exposition {
    /// Reads a text, and complains about whatever is not as it should be.
    #[track_caller]
    pub(super) fn read(text: &str) -> Self {
        let mut read = Self::default();
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut helped = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help");
                assert!(help.ends_with('.'), "{name}: no sentence: {help}");
                helped = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a kind");
                assert_eq!(name, helped, "a TYPE without its HELP");
                let before = read.kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} stands there twice");
            } else {
                let sample = sample(line);
                assert!(sample.name.starts_with(&helped), "{line} stands under {helped}");
                read.samples.push(sample);
            }
        }
        let mut keys: Vec<_> =
            read.samples.iter().map(|sample| (&sample.name, &sample.labels)).collect();
        keys.sort();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all, "a sample stands there twice");
        read
    }

    /// The samples of that name that have these labels, and perhaps others.
    pub(super) fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let is_it = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.label(label) == Some(value))
        };
        self.samples.iter().filter(is_it).collect()
    }

    /// The value of the one sample of that name and these labels.
    #[track_caller]
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        match self.all(name, labels).as_slice() {
            [one] => one.value,
            others => panic!("{} samples of {name} {labels:?}", others.len()),
        }
    }

    /// The sum of the samples of that name and these labels.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).iter().map(|sample| sample.value).sum()
    }

    /// Whether there is such a sample.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.all(name, &[]).is_empty()
    }
}

impl Sample {
    /// The value of a label.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }
}

/// `name{label="value",...} 1.5`.
#[track_caller]
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no sample: {line}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, tail) = rest.split_once("=\"").expect("a label");
            let (value, tail) = quoted(tail);
            let before = labels.insert(label.to_owned(), value);
            assert_eq!(before, None, "{line}: a label stands there twice");
            match tail.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    rest = tail.strip_prefix('}').unwrap_or_else(|| panic!("no end: {line}"));
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    Sample { name: name.to_owned(), labels, value }
}

/// What stands up to the closing quote, and what comes after it.
#[track_caller]
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    panic!("no closing quote: {text}")
}
