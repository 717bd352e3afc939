//! The embedded provider at work: one CSV file read as a chain of pages, in flat memory.
//!
//! A file is looked through once for damage and for its order before it is read. One that has its newest rows first is
//! read as it is, a page answering for what lies before the last one; one that is in no order is sorted
//! first, in a temporary file. So rows of one time always come together, whatever lies between them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;

use crate::domain::range::TimeRange;
use crate::domain::run::{Attempt, ErrorKind, Fault, Pace};
use crate::domain::task::{Stored, Task};
use crate::provider::Answer;
use crate::provider::files::Whose;

use super::crew::Crew;
use super::seen::Seen;
use super::{Fetched, Lost, attempt};

mod likeness;
mod sorted;
mod survey;
mod table;

pub use table::file_path;

use likeness::Likeness;
use sorted::Sorted;
use survey::{Order, survey};
use table::{Opened, Row, Table};

/// Rows a page that could be read: what is in memory at once.
const ROWS: usize = 50_000;

/// The most unreadable rows of a page. A page of nothing else speaks against its file, so that there may
/// be many more of them than others.
const MOST_BROKEN: usize = 200_000;

/// The most rows of one time that are kept in one page.
const MOST_ALIKE: usize = 10_000;

/// Where the rows of a file come from, one at a time.
enum Rows {
    /// From the file.
    File(Box<Table>),
    /// From what was sorted, which is so long unpacked.
    Sorted(Box<Sorted>, u64),
}

impl Rows {
    fn begin_page(&mut self) {
        if let Self::File(table) = self {
            table.begin_page();
        }
    }

    fn next(&mut self) -> Result<Option<Row>, Fault> {
        match self {
            Self::File(table) => Ok(table.advance()?.then(|| table.row())),
            Self::Sorted(sorted, _) => sorted.next(),
        }
    }

    /// Unpacked bytes of the file up to here.
    const fn bytes(&self) -> u64 {
        match self {
            Self::File(table) => table.bytes(),
            Self::Sorted(_, bytes) => *bytes,
        }
    }
}

/// A file being read, page by page.
struct Pages {
    rows: Rows,
    /// The first row of the next page, read already to see whether its time is the last one's again.
    ahead: Option<Row>,
    bytes: u64,
}

/// One page of a file.
#[derive(Default)]
struct FilePage {
    answer: Answer,
    /// The line of each bar of the answer.
    lines: Vec<u64>,
    /// Bytes of the file behind it.
    bytes: u64,
    /// Whether the file ends here.
    last: bool,
}

impl FilePage {
    /// Whether `row` belongs to the next page: this one is full, and none of its time is in it.
    fn is_full_for(&self, row: &Row) -> bool {
        let alike = || self.answer.bars.last().is_some_and(|bar| Some(bar.ts) == row.ts());
        let bars = self.answer.bars.len();
        self.answer.broken.len() >= MOST_BROKEN
            || bars >= ROWS + MOST_ALIKE
            || (bars >= ROWS && !alike())
    }

    fn take(&mut self, row: Row) {
        match row.read {
            Err(rejection) => self.answer.broken.push(rejection),
            Ok(bar) => {
                self.answer.bars.push(bar);
                self.lines.push(row.line);
            }
        }
    }
}

impl Pages {
    const fn of(rows: Rows) -> Self {
        Self { rows, ahead: None, bytes: 0 }
    }

    /// Reads the next page.
    ///
    /// Rows of one time stay in one page, so that repeated ones are judged together.
    ///
    /// # Errors
    ///
    /// `malformed` when the file is damaged, or no text.
    fn next(&mut self) -> Result<FilePage, Fault> {
        let mut page = FilePage::default();
        self.rows.begin_page();
        self.ahead.take().into_iter().for_each(|row| page.take(row));
        loop {
            let Some(row) = self.rows.next()? else {
                page.last = true;
                break;
            };
            if page.is_full_for(&row) {
                self.ahead = Some(row);
                break;
            }
            page.take(row);
        }
        let read = self.rows.bytes();
        page.bytes = read - std::mem::replace(&mut self.bytes, read);
        Ok(page)
    }
}

/// What the pages of a file have answered for.
enum Answered {
    /// Up to here, and then on.
    Up(Seen),
    /// From here on; the next page goes back.
    Down(TimeRange, i64),
}

impl Answered {
    fn new(task: &Task, order: Order) -> Self {
        match order {
            Order::Ascending | Order::Mixed => Self::Up(Seen::new(task, task.range)),
            Order::Descending => Self::Down(task.range, task.range.end),
        }
    }

    /// Which `ts` a page answers for.
    fn by(&mut self, task: &Task, page: &FilePage) -> TimeRange {
        match self {
            Self::Up(seen) => seen.answered(task, &page.answer, page.last),
            Self::Down(range, from) => {
                let broken = page.answer.broken.iter().filter_map(|rejection| rejection.ts);
                let ts = page.answer.bars.iter().map(|bar| bar.ts).chain(broken);
                let oldest = ts.filter(|ts| range.contains(*ts)).min().unwrap_or(*from);
                let start = if page.last { range.start } else { oldest.min(*from) };
                TimeRange::new(start, std::mem::replace(from, start))
            }
        }
    }
}

impl Crew {
    /// Reads a file from a thread that may block.
    pub(super) async fn file(
        self: &Arc<Self>,
        task: &Arc<Task>,
        path: PathBuf,
    ) -> Result<(), Lost> {
        let (crew, reading) = (Arc::clone(self), Arc::clone(task));
        self.off_thread(move || crew.file_pages(&reading, &path)).await?
    }

    /// Reads from a disk, on a thread that may block, unless the run comes to its end.
    pub(in crate::fetch) async fn off_thread<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        if let Some(lost) = self.ending.lost(0) {
            return Err(lost);
        }
        tokio::task::spawn_blocking(read).await.map_err(|error| {
            let message = format!("reading the file failed: {error}");
            Lost::failed(Fault::new(ErrorKind::Malformed, message), 1)
        })
    }

    fn file_pages(&self, task: &Arc<Task>, path: &std::path::Path) -> Result<(), Lost> {
        let failed = |fault| Lost::failed(fault, 1);
        let stopped = || self.ending.lost(1);
        let finished_by = self.finished_by(None);
        let mut read_since = Instant::now();
        let opened = Opened::open(path, self.whose(task)).map_err(failed)?;
        let (nothing, named) = (Stored::default(), task.file.as_ref());
        let mut likeness = Likeness::to(named.map_or(&nothing, |file| &file.stored));
        let mut first = opened.rows().map_err(failed)?;
        let mut survey = survey(&mut first, finished_by, &mut likeness, stopped)?;
        if let Some(Fault { kind, message, .. }) = likeness.fault(&task.key.symbol) {
            let message = format!("{}: {message}", path.display());
            return Err(failed(Fault::new(kind, message)));
        }
        let mut table = opened.rows().map_err(failed)?;
        // The rows of one page are put in order when they are judged.
        let rows = if survey.order == Order::Mixed && survey.rows > ROWS as u64 {
            let sorted = Sorted::of(&mut table, stopped)?;
            Rows::Sorted(Box::new(sorted), table.bytes())
        } else {
            Rows::File(Box::new(table))
        };
        let mut pages = Pages::of(rows);
        let mut answered = Answered::new(task, survey.order);
        loop {
            let started = Instant::now();
            let page = pages.next().map_err(failed)?;
            let last = page.last;
            let attempt = Attempt {
                begun: started,
                response_time: started.elapsed(),
                bytes: page.bytes,
                pace: Pace { decode: read_since.elapsed(), ..Pace::default() },
                ..attempt(task, task.range, 1)
            };
            let answered = answered.by(task, &page);
            let fetched = Fetched {
                lines: page.lines,
                from_file: true,
                file_mark: opened.mark.filter(|_| last),
                out_of_order: if last { std::mem::take(&mut survey.out_of_order) } else { vec![] },
                ..Fetched::of(Arc::clone(task), attempt, page.answer, answered, finished_by)
            };
            Handle::current().block_on(self.hand_over(fetched));
            read_since = Instant::now();
            if last || self.sender.is_closed() {
                return Ok(());
            }
            // What is left of the file is read by the next run, from its beginning.
            stopped().map_or(Ok(()), Err)?;
        }
    }

    fn whose(&self, task: &Task) -> Whose {
        Whose {
            symbol: task.ask_symbol.clone(),
            timeframe: task.key.timeframe,
            asset_class: task.asset_class,
            zone: self.zone(&task.key.symbol),
        }
    }
}

#[cfg(test)]
mod tests;
