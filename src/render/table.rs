//! Tables made for reading: a header, a rule, rows; numbers to the right. On a narrow terminal cells
//! wrap; where there is none, nothing is cut.

use std::io::{self, Write};

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle,
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

/// Blanks around each cell, and one between it and the next.
const PADDING: usize = 3;

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

    /// Writes the table. Where the terminal is too narrow, columns that may go go, last ones first;
    /// then cells wrap.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let shown = self.shown();
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
        for line in table.lines() {
            let line = if self.look.colour { line.as_str() } else { line.trim_end() };
            writeln!(out, "{line}")?;
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
