//! The page of the config is made of what the parser says that it takes, and of the template that `init`
//! writes, in which each key stands with its default and a sentence.

use std::fmt::Write as _;

use mdctl::provider::{self, Defaults, KeyUse};

use crate::support::market::DAY;

use super::page::{Page, same, words};
use super::parser::{Node, Parser, Step, TIMEFRAME, TIMEFRAMES, with};

const TEMPLATE: &str = include_str!("../../../src/cli/init/template.toml");

/// What the template says of a key.
#[derive(Clone, Debug)]
struct Told {
    /// The section as the page has it: any provider is `providers.NAME`.
    section: String,
    key: String,
    sentence: String,
    /// The value beside it.
    value: String,
    /// Whether that value is what holds without the key.
    is_default: bool,
}

fn section_of(line: &str) -> Option<String> {
    let header = line.trim_start_matches("# ");
    let name = header.strip_prefix('[')?.trim_start_matches('[').trim_end_matches(']');
    header.ends_with(']').then(|| match name.split_once('.') {
        Some((first, _)) => format!("{first}.NAME"),
        None => name.to_owned(),
    })
}

/// The template with every key in it, but for the lines from `from` up to `to`.
fn all_but(from: usize, to: usize) -> String {
    let lines = TEMPLATE.lines().enumerate().filter(|(at, _)| !(from..to).contains(at));
    lines.map(|(_, line)| format!("{}\n", line.strip_prefix("# ").unwrap_or(line))).collect()
}

/// What the template says of every key, in its order.
fn told(parser: &Parser) -> Vec<Told> {
    let whole = format!("{:?}", parser.load(&all_but(0, 0)).expect("the template loads"));
    let same_without = |from, to| {
        parser.load(&all_but(from, to)).is_ok_and(|settings| format!("{settings:?}") == whole)
    };
    let lines: Vec<&str> = TEMPLATE.lines().collect();
    let (mut told, mut section, mut sentence) = (Vec::new(), String::new(), Vec::new());
    let mut at = 0;
    while at < lines.len() {
        let (line, from) = (lines[at], at);
        at += 1;
        // Two signs stand before words, and before a key that is another way to say the same.
        let word = line.trim_start_matches("## ");
        let key = word.trim_start_matches("# ").split_once(" = ");
        if let Some(name) = section_of(line) {
            section = name;
        } else if let Some((key, value)) =
            key.filter(|(key, value)| !key.contains(' ') && !value.ends_with('.'))
        {
            let mut value = value.to_owned();
            while value.matches(['[', '{']).count() > value.matches([']', '}']).count() {
                value += &format!(" {}", lines[at].trim_start_matches('#').trim());
                at += 1;
            }
            told.push(Told {
                section: section.clone(),
                key: key.trim_matches('"').to_owned(),
                sentence: sentence.join(" "),
                value,
                is_default: line.starts_with("# ") && same_without(from, at),
            });
        } else if line.starts_with("## ") && !word.starts_with(['-', ' ']) {
            sentence.push(word);
            continue;
        }
        sentence.clear();
    }
    told
}

/// The sections of the file: the page's names for them, and what the parser takes there.
fn sections(parser: &Parser) -> Vec<(String, Node)> {
    let sections = parser.top().into_iter().map(|key| {
        let place = [Step::Key(key.clone())];
        let node = parser.explore(&place);
        if !node.keys.is_empty() {
            return (key, node);
        }
        // Tables under names of the user's own.
        let name = with(&place, Step::Key("XNYS".to_owned()));
        (format!("{key}.NAME"), parser.explore(&name))
    });
    sections.collect()
}

/// Parts of the page that are no section.
const DEFAULTS_BY_KIND: &str = "defaults by kind";
const WHAT_KINDS_HAVE: &str = "what kinds have";

/// A sentence of the template as Markdown: brackets outside of code are no links.
fn markdown(sentence: &str) -> String {
    let spans = sentence.split('`').enumerate();
    let spans = spans
        .map(|(at, span)| if at % 2 == 0 { span.replace('[', "\\[") } else { span.to_owned() });
    spans.collect::<Vec<_>>().join("`")
}

/// Timeframes are told as one.
fn alike(key: &str) -> &str {
    if TIMEFRAMES.contains(&key) { TIMEFRAME } else { key }
}

/// The settings of a provider that differ by its kind.
const BY_KIND: [&str; 5] = ["base_url", "page_limit", "publication", "history", "rate"];

fn table(section: &str, node: &Node, told: &[Told]) -> String {
    let mut text = "| key | type | default | meaning |\n|---|---|---|---|\n".to_owned();
    for (key, required, node) in &node.keys {
        let is_it = |told: &&Told| told.section == section && alike(&told.key) == key.as_str();
        let all: Vec<&Told> = told.iter().filter(is_it).collect();
        let sentence = all.iter().map(|told| told.sentence.as_str()).find(|said| !said.is_empty());
        let sentence =
            sentence.unwrap_or_else(|| panic!("nothing is said of {key} in [{section}]"));
        let default = all.iter().find(|told| told.is_default).map(|told| told.value.as_str());
        let example = all.iter().map(|told| format!("; as in `{}`", told.value)).next();
        let (default, example) = match default {
            _ if *required => ("required".to_owned(), example),
            _ if section == "providers.NAME" && BY_KIND.contains(&key.as_str()) => {
                ("[by kind](#defaults-by-kind)".to_owned(), None)
            }
            Some(value) => (format!("`{value}`"), None),
            None => ("none".to_owned(), example),
        };
        let sentence = markdown(sentence);
        let sentence = match example {
            Some(example) => sentence.trim_end_matches(['.', ':']).to_owned() + &example,
            None => sentence,
        };
        let kind = node.words();
        let _ = writeln!(text, "| `{key}` | {kind} | {default} | {sentence} |");
    }
    text
}

/// What holds of each kind of provider unless the config says otherwise.
fn defaults_by_kind() -> String {
    let mut text =
        "| kind | `base_url` | `page_limit` | `publication` | `history` | `rate` | keys |\n\
                    |---|---|---|---|---|---|---|\n"
            .to_owned();
    for provider in provider::ALL {
        let Defaults { base_url, rate, history, publication, page_limit, key } =
            provider.defaults();
        let history = history
            .map_or_else(|| "all there is".to_owned(), |seconds| format!("{} days", seconds / DAY));
        assert_eq!(rate.burst, None, "the page has no words for it");
        let key = match key {
            KeyUse::None => "none",
            KeyUse::Bearer => "`api_key`",
            KeyUse::Headers { .. } => "`api_key` and `api_secret`",
        };
        let _ = writeln!(
            text,
            "| `{}` | `{base_url}` | `{page_limit}` | `{{ lag = \"{}\" }}` | {history} | \
             `{{ requests = {}, per = \"{}s\" }}` | {key} |",
            provider.kind(),
            match publication.lag.as_secs() {
                0 => "0s".to_owned(),
                seconds => format!("{}m", seconds / 60),
            },
            rate.requests,
            rate.per.as_secs(),
        );
    }
    text
}

/// What each kind of provider has itself.
fn what_kinds_have() -> String {
    let mut text = "| kind | asset classes | timeframes of its own |\n|---|---|---|\n".to_owned();
    for provider in provider::ALL {
        let classes: Vec<_> = provider.asset_classes().iter().map(ToString::to_string).collect();
        let timeframes: Vec<_> = provider.timeframes().iter().map(ToString::to_string).collect();
        let (kind, classes, timeframes) =
            (provider.kind(), classes.join(", "), timeframes.join(", "));
        let _ = writeln!(text, "| `{kind}` | {classes} | {timeframes} |");
    }
    text
}

#[test]
fn every_key_is_told_with_its_default() {
    let page = Page::of_guide("config");
    let parser = Parser::new();
    let told = told(&parser);
    let sections = sections(&parser);
    let mut names: Vec<&str> = sections.iter().map(|(name, _)| name.as_str()).collect();
    names.extend([DEFAULTS_BY_KIND, WHAT_KINDS_HAVE]);
    same(&page.made(), &names, "sections");
    page.hold(|name| match name {
        DEFAULTS_BY_KIND => defaults_by_kind(),
        WHAT_KINDS_HAVE => what_kinds_have(),
        name => {
            let section = sections.iter().find(|(section, _)| section == name);
            table(name, &section.expect("a section").1, &told)
        }
    });
    // And the template has no key that the parser does not know.
    for Told { section, key, .. } in &told {
        let node = sections.iter().find(|(name, _)| name == section).map(|(_, node)| node);
        let known =
            node.is_some_and(|node| node.keys.iter().any(|(known, ..)| known == alike(key)));
        assert!(known, "no key {key} in [{section}]");
    }
}

/// The variables of the environment, each a constant in the one file that reads them.
#[test]
fn every_variable_of_the_environment_is_told() {
    let source = include_str!("../../../src/config/env.rs");
    let code: String = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let is_name = |word: &&str| {
        word.len() > 3 && word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
    };
    let real: Vec<&str> = code.split('"').skip(1).step_by(2).filter(is_name).collect();
    let real: Vec<&str> = real.into_iter().filter(|name| !name.starts_with("MDCTL_TEST")).collect();
    let page = Page::of_guide("config");
    let rows = page.rows("## Environment");
    let told: Vec<&str> = rows.iter().flat_map(|row| words(&row[0])).collect();
    same(&told, &real, "variables");
}
