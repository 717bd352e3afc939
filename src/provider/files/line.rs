//! A line of a file and the fields in it.

use std::ops::Range;

/// What may stand between fields, the most usual first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// How an address begins, by which a file may tell its source before its header.
const ADDRESSES: [&str; 2] = ["http://", "https://"];

/// Whether a line says nothing: it is blank, or a remark.
#[must_use]
pub fn is_remark(line: &str) -> bool {
    // Nearly every line is a row, and is told by its first letter.
    match line.as_bytes().first() {
        Some(first) if first.is_ascii_graphic() => *first == b'#',
        _ => line.trim_start().chars().next().is_none_or(|first| first == '#'),
    }
}

/// Whether a line before the header is none yet: a remark, the address of whoever made the file, or the
/// `sep=;` by which spreadsheets are told the delimiter.
#[must_use]
pub fn is_preamble(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim_start().trim_start_matches('"');
    let starts = |with: &str| line.get(..with.len()).is_some_and(|l| l.eq_ignore_ascii_case(with));
    is_remark(line) || starts("sep=") || ADDRESSES.into_iter().any(starts)
}

/// What stands between the fields of a header: of those that may, the one that stands there most often.
pub(super) fn delimiter_of(header: &str) -> u8 {
    let count = |delimiter: u8| outside_quotes(header).filter(|byte| *byte == delimiter).count();
    // The first of several equals is the more usual one.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// The bytes of a line that stand outside quotes.
fn outside_quotes(line: &str) -> impl Iterator<Item = u8> {
    let mut quoted = false;
    line.bytes().filter(move |byte| {
        quoted ^= *byte == b'"';
        !quoted
    })
}

/// Where the fields of a line are; used again for the next line.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<Range<usize>>);

impl Fields {
    /// Finds the first `columns` fields of `line`. A quote that is not closed reaches to its end, not
    /// beyond.
    pub(super) fn split(&mut self, line: &str, delimiter: u8, columns: usize) {
        self.0.clear();
        let mut start = 0;
        let mut quoted = false;
        for (at, byte) in line.bytes().enumerate() {
            quoted ^= byte == b'"';
            if byte == delimiter && !quoted {
                self.0.push(start..at);
                start = at + 1;
                if self.0.len() == columns {
                    return;
                }
            }
        }
        self.0.push(start..line.len());
    }

    /// A field of the line that was split, without blanks and quotes around it.
    pub(super) fn get<'l>(&self, line: &'l str, column: usize) -> Option<&'l str> {
        let field = line.get(self.0.get(column)?.clone())?.trim();
        let inner = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
        Some(inner.map_or(field, str::trim))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Vec<String> {
        let mut fields = Fields::default();
        fields.split(line, delimiter_of(line), usize::MAX);
        (0..fields.0.len()).map(|at| fields.get(line, at).unwrap().to_owned()).collect()
    }

    #[test]
    fn fields_are_cut_at_the_delimiter_of_the_line_outside_quotes() {
        for line in ["a,b,c", "a;b;c", "a\tb\tc", " a , b,c ", r#""a","b","c""#, r#"a, "b" ,c"#] {
            assert_eq!(fields(line), ["a", "b", "c"], "{line}");
        }
        assert_eq!(fields(r#"a,"b,c",d"#), ["a", "b,c", "d"]);
        assert_eq!(fields(r#"a,"b,c"#), ["a", "\"b,c"], "a quote that is never closed");
        assert_eq!(fields("a,,"), ["a", "", ""]);
        assert_eq!(fields(""), [""]);
    }

    #[test]
    fn what_stands_before_a_header_is_told_from_it() {
        for line in
            ["", "# made by hand", "https://www.CryptoDataDownload.com", "sep=;", "\u{feff}"]
        {
            assert!(is_preamble(line), "{line}");
        }
        assert!(!is_preamble("ts,open"));
        assert!(!is_remark("https://www.CryptoDataDownload.com"), "only before the header");
    }
}
