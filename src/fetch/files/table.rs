//! A file on disk as a header and rows: opened, unpacked, and read line by line in bounded memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::domain::bar::{Bar, Rejection};
use crate::domain::fact::FileMark;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::Symbol;
use crate::domain::timeframe::Timeframe;
use crate::fetch::open::{cannot, open};
use crate::provider::files::{Columns, Fields, Whose, file_name, is_preamble, is_remark, no_text};

/// The longest line, in bytes: an endless one would fill the memory.
const LONGEST_LINE: u64 = 64 << 10;

/// What is read of a file at once, in bytes.
const BUFFER: usize = 64 << 10;

/// Lines before a header that may be none yet.
const MOST_PREAMBLE: u64 = 100;

/// The file of a series in `folder`: the plain one, or a packed one where there is no plain one.
#[must_use]
pub fn file_path(folder: &Path, symbol: &Symbol, timeframe: Timeframe) -> PathBuf {
    let name = file_name(symbol, timeframe);
    let (plain, packed) = (folder.join(&name), folder.join(name + ".gz"));
    if !plain.exists() && packed.exists() { packed } else { plain }
}

/// A file that can be read from its beginning as often as need be.
pub(super) struct Opened {
    file: File,
    path: PathBuf,
    whose: Whose,
    /// The state of the file when it was opened.
    pub(super) mark: Option<FileMark>,
}

impl Opened {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of [`open`].
    pub(super) fn open(path: &Path, whose: Whose) -> Result<Self, Fault> {
        let (file, mark) = open(path)?;
        Ok(Self { file, path: path.to_owned(), whose, mark })
    }

    /// Its rows, from the first on.
    ///
    /// # Errors
    ///
    /// `malformed` when its header is none of ours.
    pub(super) fn rows(&self) -> Result<Table, Fault> {
        let again = self.file.try_clone().and_then(|mut file| file.rewind().map(|()| file));
        let file = again.map_err(|error| cannot("read", &self.path, &error))?;
        let plain = BufReader::with_capacity(BUFFER, file);
        let reader: Box<dyn BufRead> = if self.path.extension().is_some_and(|end| end == "gz") {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Table::of(Lines::new(reader, self.path.clone()), &self.whose)
    }
}

/// The lines of a file, one at a time.
struct Lines {
    reader: Box<dyn BufRead>,
    path: PathBuf,
    line: Vec<u8>,
    /// The number of the line, from 1.
    number: u64,
    /// Unpacked bytes up to here.
    bytes: u64,
}

impl Lines {
    fn new(reader: Box<dyn BufRead>, path: PathBuf) -> Self {
        Self { reader, path, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// Reads the next line, without its end; `false` behind the last one.
    fn next(&mut self) -> Result<bool, Fault> {
        self.line.clear();
        let mut bounded = (&mut self.reader).take(LONGEST_LINE + 1);
        let read = bounded.read_until(b'\n', &mut self.line);
        let read =
            read.map_err(|error| damaged(&self.path, self.number + 1, &error.to_string()))?;
        self.number += 1;
        self.bytes += read as u64;
        if self.line.len() as u64 > LONGEST_LINE {
            let what = format!("it is longer than {LONGEST_LINE} bytes");
            return Err(damaged(&self.path, self.number, &what));
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(read > 0)
    }
}

/// A row of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Its line, from 1, counted in the unpacked text.
    pub(super) line: u64,
    /// Its bar, if it reads as one.
    pub(super) read: Result<Bar, Rejection>,
}

impl Row {
    /// Its time, if it has one.
    pub(super) fn ts(&self) -> Option<i64> {
        match &self.read {
            Ok(bar) => Some(bar.ts),
            Err(rejection) => rejection.ts,
        }
    }
}

/// The rows of a file, one at a time.
pub(super) struct Table {
    lines: Lines,
    columns: Columns,
    fields: Fields,
    /// Rows since [`Table::begin_page`] that could not be read.
    unread: usize,
}

impl Table {
    fn of(mut lines: Lines, whose: &Whose) -> Result<Self, Fault> {
        loop {
            let more = lines.next()?;
            let header = String::from_utf8_lossy(&lines.line);
            if more && is_preamble(&header) && lines.number <= MOST_PREAMBLE {
                continue;
            }
            let columns = Columns::of_header(&header, whose).map_err(|fault| {
                let message = format!("{}: {}", lines.path.display(), fault.message);
                Fault { message, ..fault }
            })?;
            return Ok(Self { lines, columns, fields: Fields::default(), unread: 0 });
        }
    }

    /// Unpacked bytes up to here.
    pub(super) const fn bytes(&self) -> u64 {
        self.lines.bytes
    }

    /// The number of the row that was reached.
    pub(super) const fn line(&self) -> u64 {
        self.lines.number
    }

    /// Begins a page: the texts of its unreadable rows are kept anew.
    pub(super) const fn begin_page(&mut self) {
        self.unread = 0;
    }

    /// Goes on to the next row; `false` behind the last one.
    ///
    /// # Errors
    ///
    /// `malformed`, with the place, when the file is damaged or a line is too long.
    pub(super) fn advance(&mut self) -> Result<bool, Fault> {
        while self.lines.next()? {
            if !std::str::from_utf8(&self.lines.line).is_ok_and(is_remark) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The time of the row that was reached.
    pub(super) fn ts(&mut self) -> Option<i64> {
        self.columns.ts(std::str::from_utf8(&self.lines.line).ok()?, &mut self.fields)
    }

    /// The row that was reached.
    pub(super) fn row(&mut self) -> Row {
        let Lines { line, number, .. } = &self.lines;
        let read = match std::str::from_utf8(line) {
            Ok(text) => self.columns.bar(text, &mut self.fields, *number, self.unread),
            Err(_) => Err(no_text(line, *number, self.unread)),
        };
        self.unread += usize::from(read.is_err());
        Row { line: *number, read }
    }
}

fn damaged(path: &Path, line: u64, what: &str) -> Fault {
    let path = path.display();
    Fault::new(ErrorKind::Malformed, format!("{path} cannot be read on at line {line}: {what}"))
}
