//! The embedded provider's file of actions at work: read whole, as it is small.

use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};

use crate::domain::action::Action;
use crate::domain::fact::FileMark;
use crate::domain::run::{Attempt, ErrorKind, Fault};
use crate::domain::task::Task;
use crate::provider::Declared;
use crate::provider::actions_file::Columns;

use super::crew::Crew;
use super::inquiry::{ReadFile, Told, Unread, Whole};
use super::open::{cannot, open};
use super::{Lost, Message, attempt};

/// The longest file that is read, in bytes: more lines than there are actions of any share.
const LONGEST: u64 = 4 << 20;

/// What stood in a file.
#[derive(Default)]
struct Contents {
    actions: Vec<Action>,
    unread: Unread,
    bytes: u64,
    mark: Option<FileMark>,
}

impl Crew {
    /// Reads a file of actions from a thread that may block.
    pub(super) async fn actions_file(
        self: &Arc<Self>,
        task: &Arc<Task>,
        path: PathBuf,
    ) -> Result<(), Lost> {
        let attempt = attempt(task, task.range, 1);
        let contents = self.off_thread(move || read(&path)).await?;
        let contents = contents.map_err(|fault| Lost::failed(fault, 1))?;
        let attempt =
            Attempt { response_time: attempt.begun.elapsed(), bytes: contents.bytes, ..attempt };
        let told = Told {
            task: Arc::clone(task),
            attempt,
            rows: contents.actions.len() as u64 + contents.unread.rows,
            rejected: contents.unread.rows,
            dropped: 0,
            whole: Some(Whole {
                declared: Declared { actions: contents.actions, listing: None },
                unread: contents.unread,
                listed: None,
            }),
            file: Some(ReadFile { mark: contents.mark }),
        };
        self.say(Message::Told(Box::new(told))).await;
        Ok(())
    }
}

/// What stands in a file; nothing when there is none.
fn read(path: &Path) -> Result<Contents, Fault> {
    let (file, mark) = match open(path) {
        Err(fault) if fault.kind == ErrorKind::NotFound => return Ok(Contents::default()),
        opened => opened?,
    };
    let mut text = Vec::new();
    let bytes = BufReader::new(file).take(LONGEST + 1).read_to_end(&mut text);
    let bytes = bytes.map_err(|error| cannot("read", path, &error))? as u64;
    if bytes > LONGEST {
        let message = format!("{} is longer than {LONGEST} bytes", path.display());
        return Err(Fault::new(ErrorKind::TooLarge, message));
    }
    let contents = records(&text).map_err(|fault| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Fault { message: format!("{name}: {}", fault.message), ..fault }
    })?;
    Ok(Contents { bytes, mark, ..contents })
}

fn records(text: &[u8]) -> Result<Contents, Fault> {
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(text);
    let columns = Columns::of_header(reader.headers().map_err(|error| unreadable(&error))?)?;
    let mut contents = Contents::default();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| unreadable(&error))? {
        match columns.action(&record) {
            Ok(action) => contents.actions.push(action),
            Err(text) => {
                let line = record.position().map_or(0, csv::Position::line);
                contents.unread.add(format!("line {line}: {text}"));
            }
        }
    }
    Ok(contents)
}

fn unreadable(error: &csv::Error) -> Fault {
    Fault::new(ErrorKind::Malformed, format!("the file cannot be read as CSV: {error}"))
}
