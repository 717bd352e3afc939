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

/// A column: its heading, and whether its cells are numbers.
#[derive(Clone, Copy, Debug)]
pub struct Column(pub &'static str, pub Align);

/// Where a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table being filled.
pub struct Rows {
    table: Table,
    columns: &'static [Column],
    look: Look,
}

/// A rule under the header, two blanks between columns, and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

impl Rows {
    /// An empty table.
    #[must_use]
    pub fn new(columns: &'static [Column], look: Look) -> Self {
        let mut table = Table::new();
        table.load_style(STYLE);
        match look.width {
            Some(width) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        table.force_no_tty();
        if look.colour {
            table.enforce_styling();
        }
        let header = columns.iter().map(|Column(name, align)| {
            aligned(Cell::new(name).add_attribute(Attribute::Bold), *align)
        });
        table.set_header(header.collect::<Vec<_>>());
        Self { table, columns, look }
    }

    /// Adds a row of plain cells.
    pub fn add<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.add_toned(cells.into_iter().map(|cell| (cell.into(), Tone::Plain)));
    }

    /// Adds a row whose cells have tones.
    pub fn add_toned(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        let row: Vec<Cell> = cells
            .into_iter()
            .zip(self.columns)
            .map(|((text, tone), Column(_, align))| {
                let cell = aligned(Cell::new(text), *align);
                match tone {
                    Tone::Plain => cell,
                    Tone::Good => cell.fg(Color::Green),
                    Tone::Doubtful => cell.fg(Color::Yellow),
                    Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
                }
            })
            .collect();
        self.table.add_row(row);
    }

    /// Writes the table.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for line in self.table.lines() {
            let line = if self.look.colour { line.as_str() } else { line.trim_end() };
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

fn aligned(cell: Cell, align: Align) -> Cell {
    match align {
        Align::Left => cell,
        Align::Right => cell.set_alignment(CellAlignment::Right),
    }
}

/// The columns of the terminal that stdout is; `None` when it is none.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
}
