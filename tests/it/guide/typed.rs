//! Every command line that is written down, in documents, in help and in hints, is one that the program
//! takes.

use crate::tidy;

use super::page::Page;

/// What stands in place of something, and something that may stand there.
const PLACES: [(&str, &str); 12] = [
    ("COMMAND", "health"),
    ("DATE", "2024-01-02"),
    ("TIME", "2024-01-02T00:00:00Z"),
    ("DURATION", "1h"),
    ("NAME", "name"),
    ("SYMBOL", "AAA"),
    ("TEXT", "text"),
    ("RUN", "last"),
    ("FILE", "file.csv"),
    ("PATH", "path"),
    ("NEW", "BBB"),
    ("OLD", "AAA"),
];

/// What ends a command in a shell, in words, or in a line of Rust.
const ENDS: [&str; 12] = ["|", ">", ";", "&&", "||", "#", "`", ",", ")", ":", "2>&1", "&"];

/// The names of the commands.
fn commands() -> Vec<String> {
    mdctl::cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The words of the command lines in `text`, each from after `mdctl` on. In help two spaces part a command
/// from what it does.
fn command_lines(text: &str, is_help: bool) -> Vec<Vec<String>> {
    let commands = commands();
    let mut found = Vec::new();
    for (at, name) in text.match_indices("mdctl ") {
        let before = text[..at].chars().next_back();
        let words = shell_words(&text[at + name.len()..], is_help);
        let flag_first = words.first().is_some_and(|word| word.starts_with("--"));
        let is_command = words.first().is_some_and(|word| commands.contains(word)) || flag_first;
        // A word of its own, or a program's path.
        if is_command && before.is_none_or(|c| !c.is_alphanumeric() && !"_-.[".contains(c)) {
            found.push(words);
        }
    }
    found
}

/// The words up to what ends the command; quoted ones are one.
fn shell_words(text: &str, is_help: bool) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(' ');
        let Some(first) = rest.chars().next() else { return words };
        if is_help && first == '"' {
            // The literal ends; quotes within it are single ones here.
            return words;
        }
        let quoted = matches!(first, '"' | '\'').then(|| rest[1..].find(first)).flatten();
        if let Some(end) = quoted {
            words.push(rest[1..=end].to_owned());
            rest = &rest[end + 2..];
            continue;
        }
        let end = rest.find([' ', '\n']).unwrap_or(rest.len());
        let word = &rest[..end];
        let is_over = first == '\n' || ENDS.iter().any(|sign| word.starts_with(sign));
        if is_over {
            return words;
        }
        let stop = word.find(['`', ';', ',', ')', '"', '\\']);
        let kept = word[..stop.unwrap_or(end)].trim_end_matches(['.', ':']);
        if !kept.is_empty() {
            words.push(kept.to_owned());
        }
        if stop.is_some() || kept.len() < word.len() {
            return words;
        }
        rest = &rest[end..];
        if is_help && rest.starts_with("  ") {
            return words;
        }
    }
}

/// What a format string may put in.
const PUT_IN: [&str; 3] = ["X", "2024-01-02", "1d"];

/// One line for each way to read `a|b` in it, with something in every place, `put_in` in those of a format
/// string, and without what may be left away.
fn spelled_out(words: &[String], put_in: &str) -> Vec<Vec<String>> {
    let mut lines = vec![Vec::new()];
    for word in words.iter().filter(|word| !word.starts_with('[')) {
        let is_choice =
            word.contains('|') && word.chars().all(|c| c.is_alphanumeric() || "|-".contains(c));
        let ways: Vec<&str> = if is_choice { word.split('|').collect() } else { vec![word] };
        let fill = |way: &str| {
            let place = PLACES.iter().find(|(place, _)| *place == way);
            place.map_or_else(|| without_braces(way, put_in), |(_, sample)| (*sample).to_owned())
        };
        lines = lines
            .into_iter()
            .flat_map(|line: Vec<String>| {
                ways.iter().map(move |way| [&line[..], &[fill(way)]].concat())
            })
            .collect();
    }
    lines
}

fn without_braces(word: &str, put_in: &str) -> String {
    match (word.find('{'), word.rfind('}')) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{put_in}{}", &word[..from], &word[to + 1..])
        }
        _ => word.to_owned(),
    }
}

/// What the program says to a command line that it does not take.
fn complaint(words: &[String], is_named: bool) -> Option<String> {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
        MissingRequiredArgument, MissingSubcommand,
    };
    let name = ["mdctl".to_owned()];
    let error = mdctl::cli::command().try_get_matches_from(name.iter().chain(words)).err()?;
    let shows = [DisplayHelp, DisplayVersion].contains(&error.kind());
    let lacks =
        [MissingRequiredArgument, MissingSubcommand, DisplayHelpOnMissingArgumentOrSubcommand];
    let is_beginning = is_named && lacks.contains(&error.kind());
    (!shows && !is_beginning).then(|| error.to_string())
}

/// Holds each against the command line. Where a command is only named, as in a sentence, what must follow
/// may be missing.
#[track_caller]
fn check(found: &[(String, Vec<String>)], is_named: bool) {
    let mut wrong = Vec::new();
    for (place, words) in found {
        let is_taken = |put_in: &&str| {
            spelled_out(words, put_in).iter().all(|line| complaint(line, is_named).is_none())
        };
        if !PUT_IN.iter().any(is_taken) {
            let lines = spelled_out(words, PUT_IN[0]);
            let said = lines.iter().find_map(|line| complaint(line, is_named)).unwrap_or_default();
            let said = said.lines().next().unwrap_or_default();
            wrong.push(format!("{place}: mdctl {}\n    {said}", words.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In blocks everything must be there that a command needs.
#[test]
fn command_lines_in_blocks_are_taken() {
    let mut found = Vec::new();
    for page in Page::all() {
        for language in ["sh", "cron", "text", "ini", "yaml"] {
            for fence in page.fences(language) {
                let text = fence.lines.join("\n").replace("\\\n", " ");
                let place = format!("{}, line {}", page.name, fence.line);
                found.extend(
                    command_lines(&text, false).into_iter().map(|words| (place.clone(), words)),
                );
            }
        }
    }
    assert!(found.len() > 20, "where are they? {found:?}");
    check(&found, false);
}

/// In sentences a command may be named by its beginning.
#[test]
fn commands_in_sentences_are_taken() {
    let mut found = Vec::new();
    for page in Page::all() {
        let text = page.prose().join("\n");
        // A code span may go over two lines.
        let spans = text.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "));
        for span in spans.filter(|span| span.starts_with("mdctl ")) {
            let place = format!("{}, `{span}`", page.name);
            found.extend(
                command_lines(&span, false).into_iter().map(|words| (place.clone(), words)),
            );
        }
    }
    assert!(found.len() > 20, "where are they? {found:?}");
    check(&found, true);
}

/// What the program tells to type: hints, help and the comments of the config that it writes.
#[test]
fn command_lines_that_the_program_tells_are_taken() {
    let mut found = Vec::new();
    for source in tidy::sources() {
        // Literals go over several lines.
        let code = source.code.replace("\\\"", "'").replace("\\\n", "\n");
        let joined = code.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        let lines = command_lines(&joined, true);
        found.extend(lines.into_iter().map(|words| (source.name.clone(), words)));
    }
    let template = include_str!("../../../src/cli/init/template.toml");
    let spans = template.split('`').skip(1).step_by(2).filter(|span| span.starts_with("mdctl "));
    found.extend(
        spans
            .flat_map(|span| command_lines(span, false))
            .map(|words| ("template.toml".to_owned(), words)),
    );
    assert!(found.len() > 60, "where are they? {found:?}");
    check(&found, true);
}
