//! A document, and what stands in it.

use std::fs;
use std::path::{Path, PathBuf};

/// How a made part begins and ends.
const MADE: &str = "<!-- made: ";
const MADE_END: &str = "<!-- made. -->";

/// Set: what is made is written into the pages, instead of being held against them.
const WRITE: &str = "MDCTL_WRITE_GUIDE";

/// A page that is held against the program.
pub(crate) struct Page {
    /// From the top of the project.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Page {
    /// The page of that name, from the top of the project.
    pub(crate) fn open(name: &str) -> Self {
        let path = root().join(name);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: name.to_owned(), text }
    }

    /// A page of the guide.
    pub(crate) fn of_guide(name: &str) -> Self {
        Self::open(&format!("src/guide/{name}.md"))
    }

    /// Every document that is held against the program: the README, the guide, and those of the examples.
    pub(crate) fn all() -> Vec<Self> {
        let mut names = vec!["README.md".to_owned()];
        names.extend(markdown("src/guide"));
        names.extend(markdown("examples"));
        names.iter().map(|name| Self::open(name)).collect()
    }

    /// The names of the parts that are made.
    pub(crate) fn made(&self) -> Vec<&str> {
        let names = self.text.lines().filter_map(|line| line.strip_prefix(MADE));
        names.map(|rest| rest.trim_end_matches(" -->")).collect()
    }

    /// Holds each made part against what `make` makes of its name.
    #[track_caller]
    pub(crate) fn hold(&self, mut make: impl FnMut(&str) -> String) {
        let mut anew = String::new();
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find(MADE) {
            let line_end = at + rest[at..].find('\n').expect("a line ends");
            let name = rest[at + MADE.len()..line_end].trim_end_matches(" -->");
            let after = &rest[line_end..];
            let end = after.find(MADE_END).unwrap_or_else(|| panic!("{name} has no end"));
            anew += &rest[..line_end];
            anew += &format!("\n\n{}\n\n{MADE_END}", make(name).trim());
            rest = &after[end + MADE_END.len()..];
        }
        anew += rest;
        if anew == self.text {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "a switch of this test")]
        let write = std::env::var_os(WRITE).is_some();
        assert!(
            write,
            "{} is not up to date ({WRITE}=1 writes it):\n{}",
            self.name,
            self.changes(&anew)
        );
        fs::write(root().join(&self.name), anew).expect("the page is written");
    }

    /// The lines in which `anew` differs.
    fn changes(&self, anew: &str) -> String {
        let lacking = |one: &str, other: &str, sign: &str| {
            let lines = one.lines().filter(|line| !other.lines().any(|there| there == *line));
            lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
        };
        lacking(&self.text, anew, "-") + &lacking(anew, &self.text, "+")
    }

    /// The rows of every table under the heading `heading`, up to the next one of its level or above, each
    /// as its cells; without the tables' heads.
    #[track_caller]
    pub(crate) fn rows(&self, heading: &str) -> Vec<Vec<String>> {
        rows(self.section(heading))
    }

    /// What stands under a heading, up to the next one of its level or above.
    #[track_caller]
    pub(crate) fn section(&self, heading: &str) -> &str {
        let line = format!("{heading}\n");
        let at = self
            .text
            .match_indices(&line)
            .find(|(at, _)| *at == 0 || self.text.as_bytes()[at - 1] == b'\n');
        let (at, _) = at.unwrap_or_else(|| panic!("{} has no heading {heading:?}", self.name));
        let level = heading.bytes().take_while(|byte| *byte == b'#').count();
        let rest = &self.text[at + line.len()..];
        let ends = (1..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
        &rest[..ends.min().unwrap_or(rest.len())]
    }

    /// The headings of that level, without their signs.
    pub(crate) fn headings(&self, level: usize) -> Vec<&str> {
        let sign = format!("{} ", "#".repeat(level));
        let lines = self.prose().into_iter();
        lines.filter_map(|line| line.strip_prefix(sign.as_str())).collect()
    }

    /// The lines outside of fenced blocks.
    pub(crate) fn prose(&self) -> Vec<&str> {
        let mut fenced = false;
        let lines = self.text.lines().filter(|line| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        });
        lines.collect()
    }

    /// The fenced blocks in the language `language`, each with the line it begins at and the HTML comment
    /// right before it.
    pub(crate) fn fences(&self, language: &str) -> Vec<Fence<'_>> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut fences = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            if let Some(of) = lines[at].strip_prefix("```") {
                let length = lines[at + 1..].iter().position(|line| line.starts_with("```"));
                let end =
                    at + 1 + length.unwrap_or_else(|| panic!("{}: no end of block", self.name));
                if of == language {
                    let before = lines[..at].iter().rev().find(|line| !line.trim().is_empty());
                    let note = before.and_then(|line| line.strip_prefix("<!-- "));
                    fences.push(Fence {
                        line: at + 1,
                        note: note.and_then(|note| note.strip_suffix(" -->")),
                        lines: lines[at + 1..end].to_vec(),
                    });
                }
                at = end;
            }
            at += 1;
        }
        fences
    }
}

/// A fenced block.
pub(crate) struct Fence<'a> {
    /// The line of the page at which it begins, from 1.
    pub(crate) line: usize,
    /// The HTML comment right before it.
    pub(crate) note: Option<&'a str>,
    pub(crate) lines: Vec<&'a str>,
}

/// The top of the project.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Markdown files below a folder, from the top of the project.
fn markdown(folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    let entries = fs::read_dir(root().join(folder)).expect("the folder is read");
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = format!("{folder}/{}", path.file_name().expect("a name").display());
        if path.is_dir() {
            names.extend(markdown(&name));
        } else if path.extension() == Some(Path::new("md").as_os_str()) {
            names.push(name);
        }
    }
    names.sort();
    names
}

/// The rows of the tables in `text`, each as its cells; without their heads.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |line: &str| line.starts_with('|');
    let is_rule = |line: &str| is_row(line) && line.chars().all(|letter| "|-: ".contains(letter));
    let is_body = |at: usize| {
        is_row(lines[at])
            && !is_rule(lines[at])
            && !lines.get(at + 1).is_some_and(|next| is_rule(next))
    };
    (0..lines.len()).filter(|at| is_body(*at)).map(|at| cells(lines[at])).collect()
}

/// The cells of a row; `\|` is a bar within one.
fn cells(line: &str) -> Vec<String> {
    let line = line.replace("\\|", "\u{0}");
    let inner = line.trim().trim_matches('|');
    inner.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// What stands between backticks in `text`.
pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Asserts that two lists of names are the same, whatever their order.
#[track_caller]
pub(crate) fn same<A: AsRef<str>, B: AsRef<str>>(told: &[A], real: &[B], what: &str) {
    let told: Vec<&str> = told.iter().map(AsRef::as_ref).collect();
    let real: Vec<&str> = real.iter().map(AsRef::as_ref).collect();
    let lacking: Vec<_> = real.iter().filter(|name| !told.contains(name)).collect();
    let left_over: Vec<_> = told.iter().filter(|name| !real.contains(name)).collect();
    assert!(
        lacking.is_empty() && left_over.is_empty(),
        "{what}: missing on the page {lacking:?}, left over on it {left_over:?}"
    );
}
