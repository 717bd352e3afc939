//! Links lead somewhere, on a code host and in the crate's documentation.

use std::collections::BTreeSet;
use std::path::Path;

use super::page::{Page, root};

/// Where rustdoc is told what the pages' links mean there.
const LINKS: &str = include_str!("../../../src/guide/mod.rs");

/// A link to something of this project.
struct Link<'a> {
    /// The label that it is defined for; `None` when it stands where it is used.
    label: Option<&'a str>,
    file: &'a str,
    anchor: Option<&'a str>,
}

impl<'a> Link<'a> {
    fn of(label: Option<&'a str>, target: &'a str) -> Option<Self> {
        let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let anchor = (!anchor.is_empty()).then_some(anchor);
        (!is_elsewhere).then_some(Self { label, file, anchor })
    }

    fn all(page: &'a Page) -> Vec<Self> {
        let lines = page.prose();
        let defined = lines.iter().filter_map(|line| {
            let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
            Self::of(Some(label), target.trim())
        });
        let used = lines.iter().flat_map(|line| {
            let ends = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            ends.filter_map(|target| Self::of(None, target))
        });
        defined.chain(used).collect()
    }
}

/// The anchor of a heading, as code hosts and rustdoc make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(page: &Page) -> BTreeSet<String> {
    (1..=4).flat_map(|level| page.headings(level)).map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        let folder = Path::new(&page.name).parent().expect("a folder").to_owned();
        for Link { file, anchor, .. } in Link::all(&page) {
            let target = folder.join(file);
            if !file.is_empty() && !root().join(&target).exists() {
                wrong.push(format!("{} links to {file}, which is not there", page.name));
                continue;
            }
            let other = (!file.is_empty()).then(|| Page::open(&target.display().to_string()));
            let there = anchors(other.as_ref().unwrap_or(&page));
            if let Some(anchor) = anchor.filter(|anchor| !there.contains(*anchor)) {
                wrong.push(format!("{} links to {file}#{anchor}; there are {there:?}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A link to a file is none there; `src/guide/mod.rs` gives each label a meaning, which must be the same.
#[test]
fn rustdoc_knows_what_the_labels_mean() {
    let mut wrong = Vec::new();
    for page in Page::all().iter().filter(|page| page.name.starts_with("src/guide/")) {
        for Link { label, file, anchor } in
            Link::all(page).iter().filter(|link| !link.file.is_empty())
        {
            let Some(label) = label else {
                wrong.push(format!("{}: define a label for the link to {file}", page.name));
                continue;
            };
            let module = match file.strip_suffix(".md") {
                Some(module) => format!("crate::guide::{module}"),
                None => "crate".to_owned(),
            };
            let anchor = anchor.map_or_else(String::new, |anchor| format!("#{anchor}"));
            let line = format!("[{label}]: {module}{anchor}\n");
            if !LINKS.contains(&line) {
                wrong.push(format!("{}: src/guide/mod.rs lacks {line}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands in brackets is a link with a definition.
#[test]
fn labels_are_defined() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        let text = page.prose().join("\n");
        let is_defined = |label: &str| text.contains(&format!("\n[{label}]: "));
        for (at, _) in LINKS.match_indices("\n[") {
            let label = &LINKS[at + 2..].split(']').next().unwrap_or_default();
            let is_used = text
                .match_indices(&format!("[{label}]"))
                .any(|(at, found)| !text[at + found.len()..].starts_with(['(', ':']));
            if is_used && !is_defined(label) {
                wrong.push(format!("{}: [{label}] is not defined", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
