//! Tables made for reading: a header, a rule, rows; numbers to the right. On a narrow terminal cells
//! wrap; where there is none, nothing is cut.

use std::io::{self, Write};

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table,
    TableStyle, Width,
};

/// How a table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; `None` when it is none, and nothing wraps.
    pub width: Option<u16>,
    /// Whether colours and bold are wanted.
    pub colour: bool,
}

/// What a cell's colour says besides its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// All is well.
    Good,
    /// It wants a look.
    Doubtful,
    /// It is wrong.
    Bad,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    name: &'static str,
    align: CellAlignment,
    /// Whether it goes where the terminal is too narrow for all.
    if_room: bool,
}

impl Column {
    /// A column of words.
    #[must_use]
    pub const fn left(name: &'static str) -> Self {
        Self { name, align: CellAlignment::Left, if_room: false }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn right(name: &'static str) -> Self {
        Self { name, align: CellAlignment::Right, if_room: false }
    }

    /// The same column, left out where there is no room for it.
    #[must_use]
    pub const fn if_room(self) -> Self {
        Self { if_room: true, ..self }
    }
}

/// A table being filled.
pub struct Rows {
    columns: &'static [Column],
    rows: Vec<Vec<(String, Tone)>>,
    look: Look,
}

/// A rule under the header, two blanks between columns, and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// Characters that a column of sentences has at least.
const LEAST_TEXT: usize = 20;

/// Blanks around each cell.
const AROUND: usize = 2;

/// Those, and one between it and the next.
const PADDING: usize = AROUND + 1;

impl Rows {
    /// An empty table.
    #[must_use]
    pub const fn new(columns: &'static [Column], look: Look) -> Self {
        Self { columns, rows: Vec::new(), look }
    }

    /// Adds a row of plain cells.
    pub fn add<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.add_toned(cells.into_iter().map(|cell| (cell.into(), Tone::Plain)));
    }

    /// Adds a row whose cells have tones.
    pub fn add_toned(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes the table. Where the terminal is too narrow, columns that may go go, last ones first; then
    /// cells wrap; and where words would have to be broken, each row becomes some lines.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let shown = self.shown();
        if self.is_too_wide(&shown) {
            return self.write_records(out);
        }
        let mut table = empty(self.look);
        let header = shown.iter().map(|index| {
            let column = self.columns[*index];
            Cell::new(column.name).add_attribute(Attribute::Bold).set_alignment(column.align)
        });
        table.set_header(header.collect::<Vec<_>>());
        for row in &self.rows {
            let cells = shown.iter().filter_map(|index| {
                let (text, tone) = row.get(*index)?;
                Some(toned(Cell::new(text).set_alignment(self.columns[*index].align), *tone))
            });
            table.add_row(cells.collect::<Vec<_>>());
        }
        if self.look.width.is_some() {
            for (column, index) in table.column_iter_mut().zip(&shown) {
                let least = u16::try_from(self.widest_word(*index) + AROUND).unwrap_or(u16::MAX);
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
            }
        }
        for line in table.lines() {
            let line = if self.look.colour { line.as_str() } else { line.trim_end() };
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Whether cells would have to be broken within a word, so that no command could be copied, or into
    /// more lines than the eye follows.
    fn is_too_wide(&self, shown: &[usize]) -> bool {
        let Some(room) = self.look.width else { return false };
        let least = |index: &usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(*index));
            let widest = cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0);
            widest.min(LEAST_TEXT).max(self.widest_word(*index)) + PADDING
        };
        shown.iter().map(least).sum::<usize>() >= usize::from(room)
    }

    /// The characters of the widest word of a column.
    fn widest_word(&self, index: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        let words = cells.flat_map(|(text, _)| text.split_whitespace());
        let widest = words.map(|word| word.chars().count()).max().unwrap_or(0);
        widest.max(self.columns[index].name.len())
    }

    /// Writes every row as lines of its own, each with its column's name, all columns, and nothing broken.
    fn write_records(&self, out: &mut dyn Write) -> io::Result<()> {
        let names = self.columns.iter().map(|column| column.name.len());
        let width = names.max().unwrap_or(0);
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            for (column, (text, tone)) in self.columns.iter().zip(row) {
                let text = if self.look.colour { painted(text, *tone) } else { text.clone() };
                writeln!(out, "{:<width$}  {text}", column.name)?;
            }
        }
        Ok(())
    }

    /// The columns that there is room for.
    fn shown(&self) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(room) = self.look.width else { return shown };
        let width = |index: &usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(*index));
            let widest = cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0);
            widest.max(self.columns[*index].name.len()) + PADDING
        };
        while shown.iter().map(width).sum::<usize>() >= usize::from(room) {
            let Some(last) = shown.iter().rposition(|index| self.columns[*index].if_room) else {
                break;
            };
            shown.remove(last);
        }
        shown
    }
}

fn empty(look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).force_no_tty();
    match look.width {
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    if look.colour {
        table.enforce_styling();
    }
    table
}

/// `text` in the colour of its tone.
pub(super) fn painted(text: &str, tone: Tone) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => "32",
        Tone::Doubtful => "33",
        Tone::Bad => "1;31",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

fn toned(cell: Cell, tone: Tone) -> Cell {
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Doubtful => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

/// The columns of the terminal that stdout is; `None` when it is none, or does not say.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    Table::new().width().filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] =
        &[Column::left("ISSUE"), Column::right("COUNT").if_room(), Column::left("DO")];

    fn written(width: Option<u16>) -> String {
        let mut rows = Rows::new(COLUMNS, Look { width, colour: false });
        rows.add(["series_stale", "8", "mdctl backfill --repair AAPL"]);
        rows.add(["paused", "1", "mdctl resume"]);
        let mut out = Vec::new();
        rows.write(&mut out).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_table_becomes_lines_before_a_word_is_broken() {
        assert!(written(None).contains("mdctl backfill --repair AAPL"));
        for width in 1..120 {
            let text = written(Some(width));
            for word in "series_stale mdctl backfill --repair AAPL resume".split(' ') {
                assert!(text.contains(word), "{word} is broken at {width}:\n{text}");
            }
        }
        for width in 46..120 {
            let text = written(Some(width));
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(widest <= usize::from(width), "{widest} columns on {width}:\n{text}");
        }
        let narrow = written(Some(20));
        assert!(
            narrow.starts_with("ISSUE  series_stale\nCOUNT  8\nDO     mdctl backfill"),
            "{narrow}"
        );
        assert!(!written(Some(46)).contains("COUNT"), "what may go goes first");
    }
}
