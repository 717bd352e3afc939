//! The embedded provider at work: one CSV file read as a chain of pages, in flat memory.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use csv::{Reader, ReaderBuilder, StringRecord};

use crate::domain::bar::Bar;
use crate::domain::fact::FileMark;
use crate::domain::run::{ErrorKind, Fault};
use crate::provider::Answer;
use crate::provider::files::Columns;

use super::http::too_many_files;

/// Rows a page: what is in memory at once.
const ROWS: usize = 50_000;

/// A file being read, page by page.
pub(super) struct Pages {
    reader: Reader<BufReader<File>>,
    columns: Columns,
    record: StringRecord,
    /// The first row of the next page, read already to see whether its time is the last one's again.
    ahead: Option<(Bar, u64)>,
    bytes: u64,
    /// The state of the file when it was opened.
    pub(super) mark: Option<FileMark>,
}

/// One page of a file.
pub(super) struct FilePage {
    pub(super) answer: Answer,
    /// The line of each bar of the answer.
    pub(super) lines: Vec<u64>,
    /// Bytes of the file behind it.
    pub(super) bytes: u64,
    /// Whether the file ends here.
    pub(super) last: bool,
}

impl Pages {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    ///
    /// `not_found` when there is none, `bad_request` when it is no file but a folder or a pipe, `auth`
    /// when it may not be read, `malformed` when its header is
    /// none of ours, `storage` when no file more can be opened.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        // A pipe under that name would be waited for.
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let message = format!("{} is no regular file", path.display());
            return Err(Fault::new(ErrorKind::BadRequest, message));
        }
        let file = File::open(path).map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ErrorKind::Auth,
                _ if too_many_files(&error) => ErrorKind::Storage,
                _ => ErrorKind::Network,
            };
            Fault::new(kind, format!("cannot open {}: {error}", path.display()))
        })?;
        let mark = file.metadata().ok().and_then(|metadata| FileMark::of(&metadata));
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(BufReader::new(file));
        let header = reader.headers().map_err(|error| unreadable(&error))?.clone();
        let columns = Columns::of_header(&header)?;
        Ok(Self { reader, columns, record: StringRecord::new(), ahead: None, bytes: 0, mark })
    }

    /// Reads the next page.
    ///
    /// Rows of one time stay in one page, so that repeated ones are judged together.
    ///
    /// # Errors
    ///
    /// `malformed` when the file is no text.
    pub(super) fn next(&mut self) -> Result<FilePage, Fault> {
        let mut answer = Answer::default();
        let mut lines = Vec::new();
        if let Some((bar, line)) = self.ahead.take() {
            answer.bars.push(bar);
            lines.push(line);
        }
        let last = loop {
            if !self.read()? {
                break true;
            }
            let line = self.record.position().map_or(0, csv::Position::line);
            match self.columns.bar(&self.record, line) {
                Err(rejection) => answer.broken.push(rejection),
                Ok(bar) => {
                    let full = answer.bars.len() >= ROWS;
                    if full && answer.bars.last().is_some_and(|before| before.ts != bar.ts) {
                        self.ahead = Some((bar, line));
                        break false;
                    }
                    answer.bars.push(bar);
                    lines.push(line);
                }
            }
        };
        let read = self.reader.position().byte();
        let bytes = read - std::mem::replace(&mut self.bytes, read);
        Ok(FilePage { answer, lines, bytes, last })
    }

    fn read(&mut self) -> Result<bool, Fault> {
        self.reader.read_record(&mut self.record).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &csv::Error) -> Fault {
    Fault::new(ErrorKind::Malformed, format!("the file cannot be read as CSV: {error}"))
}
