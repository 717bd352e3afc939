//! The embedded provider at work: one CSV file read as a chain of pages, in flat memory.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use csv::{Reader, ReaderBuilder, StringRecord};
use tokio::runtime::Handle;

use crate::domain::bar::Bar;
use crate::domain::fact::FileMark;
use crate::domain::run::{Attempt, ErrorKind, Fault};
use crate::domain::task::Task;
use crate::provider::Answer;
use crate::provider::files::Columns;

use super::crew::Crew;
use super::http::too_many_files;
use super::seen::Seen;
use super::{Fetched, Lost, attempt};

/// Rows a page: what is in memory at once.
const ROWS: usize = 50_000;

/// Rows that are told to be out of order, at most.
const MOST_OUT_OF_ORDER: usize = 10_000;

/// A file being read, page by page.
pub(super) struct Pages {
    reader: Reader<BufReader<File>>,
    columns: Columns,
    record: StringRecord,
    /// The first row of the next page, read already to see whether its time is the last one's again.
    ahead: Option<(Bar, u64)>,
    bytes: u64,
    /// The newest time so far.
    newest: i64,
    /// Rows older than one before them.
    out_of_order: Vec<(i64, u64)>,
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
        Ok(Self {
            reader,
            columns,
            record: StringRecord::new(),
            ahead: None,
            bytes: 0,
            newest: i64::MIN,
            out_of_order: Vec::new(),
            mark,
        })
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
                    if bar.ts < self.newest && self.out_of_order.len() < MOST_OUT_OF_ORDER {
                        self.out_of_order.push((bar.ts, line));
                    }
                    self.newest = self.newest.max(bar.ts);
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

impl Crew {
    /// Reads a file from a thread that may block.
    pub(super) async fn file(
        self: &Arc<Self>,
        task: &Arc<Task>,
        path: PathBuf,
    ) -> Result<(), Lost> {
        if let Some(lost) = self.ending.lost(0) {
            return Err(lost);
        }
        let (crew, reading) = (Arc::clone(self), Arc::clone(task));
        let reading = tokio::task::spawn_blocking(move || crew.file_pages(&reading, &path));
        match reading.await {
            Ok(ended) => ended,
            Err(error) => {
                let message = format!("reading the file failed: {error}");
                Err(Lost::failed(Fault::new(ErrorKind::Malformed, message), 1))
            }
        }
    }

    fn file_pages(&self, task: &Arc<Task>, path: &Path) -> Result<(), Lost> {
        let failed = |fault| Lost::failed(fault, 1);
        let finished_by = self.finished_by(None);
        let mut pages = Pages::open(path).map_err(failed)?;
        let mut seen = Seen::new(task, task.range);
        loop {
            let started = Instant::now();
            let page = pages.next().map_err(failed)?;
            let fetched = Fetched {
                attempt: Attempt {
                    response_time: started.elapsed(),
                    bytes: page.bytes,
                    ..attempt(task, task.range, 1)
                },
                task: Arc::clone(task),
                answered: seen.answered(task, &page.answer, page.last),
                answer: page.answer,
                lines: page.lines,
                from_file: true,
                out_of_order: if page.last {
                    std::mem::take(&mut pages.out_of_order)
                } else {
                    Vec::new()
                },
                file_mark: pages.mark.filter(|_| page.last),
                finished_by,
                place: None,
            };
            Handle::current().block_on(self.hand_over(fetched));
            if page.last || self.sender.is_closed() {
                return Ok(());
            }
            // What is left of the file is read by the next run, from its beginning.
            if let Some(lost) = self.ending.lost(1) {
                return Err(lost);
            }
        }
    }
}

fn unreadable(error: &csv::Error) -> Fault {
    Fault::new(ErrorKind::Malformed, format!("the file cannot be read as CSV: {error}"))
}
