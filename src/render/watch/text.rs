//! Text on a screen: what fits, what wraps, what stands in columns.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::table::Tone;

/// Blanks between two columns.
const BETWEEN: usize = 2;

/// The least that the last column must have, so that those that may go stay.
const LEAST_LAST: usize = 16;

/// How things are written: with colours and bold, or without either.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink {
    pub(super) colour: bool,
}

impl Ink {
    /// The style of a tone.
    pub(super) fn tone(self, tone: Tone) -> Style {
        let plain = Style::new();
        match tone {
            _ if !self.colour => plain,
            Tone::Plain => plain,
            Tone::Good => plain.fg(Color::Green),
            Tone::Doubtful => plain.fg(Color::Yellow),
            Tone::Bad => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    /// The style of heads.
    pub(super) const fn head(self) -> Style {
        if self.colour { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() }
    }

    /// The style of what only frames.
    pub(super) const fn frame(self) -> Style {
        if self.colour { Style::new().add_modifier(Modifier::DIM) } else { Style::new() }
    }
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { Span::raw(text).width() }
}

/// The text without what would move the cursor or turn the direction of writing.
pub(super) fn clean(text: &str) -> String {
    let harmful = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if harmful(letter) { ' ' } else { letter }).collect()
}

/// As much of a text as fits; where something is cut off it ends in an ellipsis.
pub(super) fn fit(text: &str, room: usize) -> String {
    let text = clean(text);
    if width(&text) <= room {
        return text;
    }
    let mut kept = String::new();
    for letter in text.chars() {
        kept.push(letter);
        if width(&kept) >= room {
            kept.pop();
            break;
        }
    }
    if room > 0 {
        kept.push('…');
    }
    kept
}

/// A text in lines of at most `room` columns, cut between words where that is possible.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in clean(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit(word, room)),
        }
    }
    lines
}

/// A text and what its colour says besides it.
pub(super) type Cell = (String, Tone);

/// A cell that says nothing by its colour.
pub(super) fn plain(text: impl Into<String>) -> Cell {
    (text.into(), Tone::Plain)
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    name: &'static str,
    is_number: bool,
    /// Whether it goes where there is no room for all.
    if_room: bool,
}

impl Column {
    /// A column of words.
    pub(super) const fn left(name: &'static str) -> Self {
        Self { name, is_number: false, if_room: false }
    }

    /// A column of numbers.
    pub(super) const fn right(name: &'static str) -> Self {
        Self { name, is_number: true, if_room: false }
    }

    /// The same column, left out where there is no room for it.
    pub(super) const fn if_room(self) -> Self {
        Self { if_room: true, ..self }
    }
}

/// Rows in columns: the head, and a line a row. The last column has what the others leave.
pub(super) fn table(
    columns: &[Column],
    rows: &[Vec<Cell>],
    room: usize,
    ink: Ink,
) -> (Line<'static>, Vec<Line<'static>>) {
    let widest = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|(text, _)| width(text));
        cells.max().unwrap_or(0).max(columns[index].name.len())
    };
    let mut shown: Vec<(usize, usize)> =
        (0..columns.len()).map(|index| (index, widest(index))).collect();
    while needed(&shown) > room {
        let Some(last) = shown.iter().rposition(|(index, _)| columns[*index].if_room) else {
            break;
        };
        shown.remove(last);
    }
    let line = |cell: &dyn Fn(usize) -> (String, Style)| {
        let mut spans = Vec::new();
        let mut left = room;
        for (place, (index, wide)) in shown.iter().enumerate() {
            let is_last = place + 1 == shown.len();
            let (text, style) = cell(*index);
            let text = fit(&text, left.min(if is_last { left } else { *wide }));
            let blank = " ".repeat(wide.saturating_sub(width(&text)));
            let text = match (columns[*index].is_number, is_last) {
                (true, _) => blank + &text,
                (false, true) => text,
                (false, false) => text + &blank,
            };
            left = left.saturating_sub(width(&text) + BETWEEN);
            spans.push(Span::styled(text, style));
            if !is_last {
                spans.push(Span::raw(" ".repeat(BETWEEN)));
            }
        }
        Line::from(spans)
    };
    let head = line(&|index| (columns[index].name.to_owned(), ink.frame()));
    let of_row = |row: &Vec<Cell>| {
        line(&|index| {
            let (text, tone) = row.get(index).cloned().unwrap_or_else(|| plain(""));
            (text, ink.tone(tone))
        })
    };
    (head, rows.iter().map(of_row).collect())
}

/// The room that those columns want; the last one makes do with little.
fn needed(shown: &[(usize, usize)]) -> usize {
    let Some(((_, last), others)) = shown.split_last() else { return 0 };
    let others: usize = others.iter().map(|(_, wide)| wide + BETWEEN).sum();
    others + (*last).min(LEAST_LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 5), "abcd…");
        assert_eq!(fit("abcdef", 1), "…");
        assert_eq!(fit("abcdef", 0), "");
        // Letters that take two columns each.
        assert_eq!(fit("日本株式", 8), "日本株式");
        assert!(width(&fit("日本株式", 6)) <= 6);
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(fit("a\u{1b}[2Jb\n\u{202e}c", 20), "a [2Jb  c");
    }

    #[test]
    fn lines_are_cut_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensibilities", 7), ["incomp…"]);
        assert_eq!(wrap("", 7), Vec::<String>::new());
        assert_eq!(wrap("a b", 0), ["", ""]);
    }

    #[test]
    fn columns_that_may_go_do_before_the_last_one_is_cut() {
        const COLUMNS: &[Column] =
            &[Column::left("NAME"), Column::right("N").if_room(), Column::left("WHAT")];
        let rows = [vec![plain("AAA"), plain("12"), plain("a very long explanation")]];
        let shown = |room| {
            let (head, lines) = table(COLUMNS, &rows, room, Ink { colour: false });
            format!("{head}|{}", lines[0])
        };
        assert_eq!(shown(40), "NAME   N  WHAT|AAA   12  a very long explanation");
        assert_eq!(shown(26), "NAME   N  WHAT|AAA   12  a very long exp…");
        assert_eq!(shown(24), "NAME  WHAT|AAA   a very long expla…");
        assert_eq!(shown(0), "    |    ".replace("    ", &shown(0)[..shown(0).find('|').unwrap()]));
    }
}
