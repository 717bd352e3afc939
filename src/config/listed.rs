//! Long lists of plain symbols, read ahead of the parser.
//!
//! A config of 5,000 symbols is one list, and to parse it takes longer than a short report does. A list of
//! plain texts is read here, and its symbols are left blank for the parser: whatever else it reads or refuses
//! stands where it stands in the file, so that lines and columns are those of the file. A list that holds
//! anything else (a table, a comment, an escape, what is no symbol) is left to the parser as a whole.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Member;

/// What may stand between the symbols of a list.
const BLANK: [char; 3] = [' ', '\t', '\n'];

/// A config without its plain lists, and what stands in them.
#[derive(Debug)]
pub(super) struct Listed {
    /// What is left for the parser, as long as the file's text.
    pub(super) text: String,
    /// What stands in them.
    pub(super) lists: Lists,
}

/// The members of plain lists, by where the bracket before them stands.
pub(super) type Lists = BTreeMap<usize, Vec<Member>>;

impl Listed {
    pub(super) fn of(text: &str) -> Self {
        let mut left = String::with_capacity(text.len());
        let mut lists = BTreeMap::new();
        let mut begin = 0;
        for open in opened(text) {
            let Some((members, close)) = plain(text, open) else { continue };
            left.push_str(&text[begin..=open]);
            blank(&text[open + 1..close], &mut left);
            lists.insert(open, members);
            begin = close;
        }
        left.push_str(&text[begin..]);
        Self { text: left, lists }
    }
}

/// Where the symbol of that index stands in a plain list of the file's text, whose bracket stands at `open`.
pub(super) fn place(text: &str, open: usize, index: usize) -> Option<Range<usize>> {
    let mut quotes = text.get(open..)?.match_indices('"').map(|(at, _)| open + at);
    Some(quotes.nth(2 * index)?..quotes.next()? + 1)
}

/// Where the brackets stand that may begin the list of a group: behind `symbols =` at the beginning of a line.
/// A text of several lines may hold such a line that is no list: then none is looked for.
fn opened(text: &str) -> Vec<usize> {
    if text.contains("\"\"\"") || text.contains("'''") {
        return Vec::new();
    }
    let open = |(at, word): (usize, &str)| {
        let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
        let rest = text[at + word.len()..].trim_start_matches(BLANK);
        let rest = rest.strip_prefix('=')?.trim_start_matches(BLANK);
        let begins = text[line..at].trim().is_empty() && rest.starts_with('[');
        begins.then_some(text.len() - rest.len())
    };
    text.match_indices("symbols").filter_map(open).collect()
}

/// The members of the list whose bracket stands at `open`, and where the one stands that ends it; `None` when
/// they are not all of it. Looked at byte by byte: there may be thousands, and all that is looked for is ASCII.
fn plain(text: &str, open: usize) -> Option<(Vec<Member>, usize)> {
    let bytes = text.as_bytes();
    let behind_blanks = |from: usize| {
        let blanks = bytes[from..].iter().take_while(|byte| BLANK.contains(&char::from(**byte)));
        from + blanks.count()
    };
    let mut members = Vec::new();
    let mut at = behind_blanks(open + 1);
    while bytes.get(at) == Some(&b'"') {
        let length = bytes[at + 1..].iter().position(|byte| *byte == b'"')?;
        let close = at + 1 + length;
        members.push(Member::plain(text[at + 1..close].parse().ok()?));
        at = behind_blanks(close + 1);
        if bytes.get(at) != Some(&b',') {
            break;
        }
        at = behind_blanks(at + 1);
    }
    (bytes.get(at) == Some(&b']')).then_some((members, at))
}

/// Adds as many spaces as `list` has bytes; its lines stay.
fn blank(list: &str, out: &mut String) {
    for line in list.split_inclusive('\n') {
        let ends = line.ends_with('\n');
        out.extend(std::iter::repeat_n(' ', line.len() - usize::from(ends)));
        out.extend(ends.then_some('\n'));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::config::read_as;

    /// So many configs are read twice.
    const N: usize = 2_000;

    fn read(text: &str) -> (String, Vec<Vec<String>>) {
        let Listed { text, lists } = Listed::of(text);
        let texts = |list: Vec<Member>| list.iter().map(|it| it.symbol.to_string()).collect();
        (text, lists.into_values().map(texts).collect())
    }

    #[test]
    fn plain_lists_are_read_and_left_blank() {
        let (text, lists) = read("a = 1\n symbols\t= [ \"A\",\n\t\"É.B\" , ]\nb = [\"C\"]\n");
        assert_eq!(text, "a = 1\n symbols\t= [     \n          ]\nb = [\"C\"]\n");
        assert_eq!(lists, [["A", "É.B"]]);
        assert_eq!(read("symbols = []").0, "symbols = []");
    }

    #[test]
    fn what_is_not_plain_is_the_parsers() {
        for text in [
            "symbols = [\"A\", { symbol = \"B\" }]",
            "symbols = [\"A\", # B\n]",
            "symbols = [\"A\\u0042\"]",
            "symbols = [\"A B\"]",
            "symbols = [\"\"]",
            "symbols = [\"A\" \"B\"]",
            "symbols = [, \"A\"]",
            "symbols = [\"A\",, \"B\"]",
            "symbols = ['A']",
            "symbols = [\"A\"",
            "symbols = [\"A",
            "symbols = \"A\"",
            "symbols_file = [\"A\"]",
            "my_symbols = [\"A\"]",
            "# symbols = [\"A\"]",
            "text = \"\"\"\nsymbols = [\"A\"]\n\"\"\"",
            "text = '''\nsymbols = [\"A\"]\n'''",
        ] {
            assert_eq!(read(text), (text.to_owned(), Vec::new()), "{text}");
        }
    }

    /// What is strewn into a config, apart by bars: in lists, beside them, and in their place.
    const STREWN: &str = "symbols = [|symbols=[|\nsymbols = [\n|\"symbols\" = [|symbols.x = [|symbols|\"symbols=[\"|\
        \"A\"|'A'|\"\"\"A\"\"\"|'''A'''|\"\"|\"A\\u0042\"|\"A\\\"|\"A\\\"\"|\"É\"|\"A B\"|\\|\"|'|\"\"\"|'''|,| |\t|\n|\
        \r\n|\r|\u{feff}|\u{a0}|\u{2028}|# A|# \"A\",\n|# symbols = [\"A\"]\n|[|]|]\n|{|}|=|.|[\"A\"]|x = [\n|\
        { symbol = \"A\" }|{ symbol = \"A\",\n symbols = [\"B\"]\n}|settle = \"1d\"\n|name = \"a\"\n|\
        [group.freshness]\n|[calendars.XNYS]\nclosed = []\n";

    /// A config of groups whose lists hold by chance what they should, and what they should not.
    fn by_chance(chance: &mut fastrand::Rng) -> String {
        let strewn: Vec<&str> = STREWN.split('|').collect();
        let mut any = |of: &[&str]| of[chance.usize(0..of.len())].to_owned();
        let mut text = any(&["", "", "", "\u{feff}"]) + "[providers.p]\nkind = \"yahoo\"\n";
        for (name, number) in [("a", "1"), ("b", "2")] {
            text += "[[group]]\nprovider = \"p\"\nasset_class = \"stock\"\ntimeframes = [\"1d\"]\n";
            text += &format!("name = \"{name}\"\n");
            text += &any(&["symbols = [", "symbols = [", "symbols = [\n", ""]);
            for letter in ["a", "b", "c", "d"] {
                let symbol = format!("\"{letter}{number}\"");
                let other = any(&strewn);
                let other = any(&[&other, "\"b1\"", &symbol]);
                text += &any(&[&symbol, &symbol, &symbol, &symbol, &symbol, &other]);
                let other = any(&strewn);
                text += &any(&[",", ", ", " ,\n", "\t,", ",", ",", ", # c\n", &other]);
            }
            text += "]\n";
        }
        if any(&["\n", "\n", "\r\n"]).len() > 1 { text.replace('\n', "\r\n") } else { text }
    }

    #[test]
    fn a_config_is_the_same_whoever_reads_its_lists() {
        let mut chance = fastrand::Rng::with_seed(7);
        let (mut followed, mut refused) = (0, 0);
        for _ in 0..N {
            let text = by_chance(&mut chance);
            let read = |listed: Listed| {
                let read = read_as(Path::new("mdctl.toml"), &text, listed, None);
                read.map(|settings| format!("{settings:?}"))
            };
            let listed = Listed::of(&text);
            let has_lists = !listed.lists.is_empty();
            let by_parser = Listed { text: text.clone(), lists: Lists::new() };
            let found = read(listed);
            assert_eq!(found, read(by_parser), "{text:?}");
            if has_lists {
                *(if found.is_ok() { &mut followed } else { &mut refused }) += 1;
            }
        }
        assert!(followed > N / 20 && refused > N / 20, "{followed} followed, {refused} refused");
    }

    proptest! {
        #[test]
        fn each_symbol_stands_where_its_place_says(
            names in prop::collection::vec("[A-Z]{1,5}", 1..20),
            between in prop::collection::vec("[ \n\t]{0,3}", 40),
        ) {
            let mut text = "name = \"x\"\nsymbols = [".to_owned();
            let open = text.len() - 1;
            for (index, name) in names.iter().enumerate() {
                let [before, after] = [&between[2 * index], &between[2 * index + 1]];
                text += &format!("{before}\"{name}\"{after},");
            }
            text += "]\n";
            let mut listed = Listed::of(&text);
            prop_assert_eq!(listed.text.len(), text.len());
            let lines = |text: &str| text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
            prop_assert_eq!(lines(&listed.text), lines(&text));
            let members = listed.lists.remove(&open).unwrap_or_default();
            let symbols = members.iter().map(|member| member.symbol.as_str());
            prop_assert_eq!(symbols.collect::<Vec<_>>(), names.clone());
            for (index, name) in names.iter().enumerate() {
                let place = place(&text, open, index).unwrap_or_default();
                prop_assert_eq!(&text[place], format!("\"{name}\""));
            }
        }
    }
}
