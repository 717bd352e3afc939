//! Foreign text, made fit to be shown.

use std::fmt::Write as _;

/// The longest text from outside that is kept, in characters.
const LONGEST: usize = 500;

/// `text` on one line, control characters escaped, at most 500 characters and the mark that there were
/// more.
#[must_use]
pub fn shown(text: &str) -> String {
    shown_within(text, LONGEST)
}

/// Likewise, at most so many characters.
pub(super) fn shown_within(text: &str, longest: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for c in text.trim().chars() {
        if length >= longest {
            out.push('…');
            break;
        }
        // Marks that turn the writing direction can make a line read as another one.
        if c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            let before = out.len();
            let _ = write!(out, "{}", c.escape_default());
            length += out.len() - before;
            if length > longest {
                out.truncate(before);
                out.push('…');
                break;
            }
        } else {
            out.push(c);
            length += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_move_the_cursor_or_fill_the_screen() {
        assert_eq!(shown(" a\u{1b}[2Jb\n\u{202e}c "), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(shown(&"x".repeat(10_000)).chars().count(), LONGEST + 1);
        let escaped = shown(&format!("{}\u{1b}\u{1b}", "x".repeat(493)));
        assert_eq!(escaped, format!("{}\\u{{1b}}…", "x".repeat(493)), "no half an escape");
    }
}
