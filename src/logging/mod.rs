//! Log lines: text or JSON on stderr, and JSON in a rolling file. Installed once a process.
//!
//! A file that cannot be written is a warning, not a failed run. Lines are written above a progress
//! bar, never through it. Once a run has begun, every line bears its id.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use indicatif::MultiProgress;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::domain::run::RunId;

mod file;
mod line;
mod tail;

use file::Trouble;
pub use line::Form;
use line::Line;
pub use tail::Tail;

/// The lines on stderr.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// What is worth a line.
    pub level: LevelFilter,
    /// How it is written.
    pub form: Form,
    /// Whether the reader is systemd's journal, which stamps each line itself and wants to be told how
    /// grave it is.
    pub journal: bool,
}

/// Keeps the file's writer alive; dropped at the end, it writes what is left.
#[must_use]
pub struct Guard {
    run: Arc<OnceLock<RunId>>,
    /// Why there is no file, until that is said.
    trouble: Mutex<Option<Trouble>>,
    _file: Option<WorkerGuard>,
}

impl Guard {
    /// From here on lines are those of a run.
    pub fn begin_run(&self, run: &RunId) {
        // There is one run a process.
        let _ = self.run.set(run.clone());
        if let Some(Trouble { error, .. }) = self.trouble() {
            tracing::warn!("{UNWRITTEN}: {error}; going on without it");
        }
    }

    fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        match self.trouble() {
            // Who only looks at what others run has nothing to write there.
            Some(Trouble { error, denied: true }) => tracing::debug!("{UNWRITTEN}: {error}"),
            Some(Trouble { error, .. }) => {
                tracing::warn!("{UNWRITTEN}: {error}; going on without it");
            }
            None => {}
        }
    }
}

const UNWRITTEN: &str = "the log file cannot be written";

/// Installs logging; `file` is a path and how many days' files are kept, `tail` keeps the last lines.
pub fn install(
    lines: Lines,
    screen: &MultiProgress,
    file: Option<(&Path, usize)>,
    tail: Option<&Tail>,
) -> Guard {
    let run = Arc::new(OnceLock::new());
    let line = Line { form: lines.form, journal: lines.journal, run: Arc::clone(&run) };
    let stderr = layer(line, AboveBars { screen: screen.clone() }, lines.level);
    let mut layers = vec![stderr];
    layers.extend(tail.map(|tail| {
        let form = Form::Text { colour: false };
        let line = Line { form, journal: false, run: Arc::clone(&run) };
        layer(line, tail.clone(), LevelFilter::INFO)
    }));
    let mut guard = Guard { run: Arc::clone(&run), trouble: Mutex::new(None), _file: None };
    match file.map(|(path, keep)| file::rolling(path, keep)) {
        None => {}
        Some(Err(error)) => guard.trouble = Mutex::new(Some(error)),
        Some(Ok(appender)) => {
            let (writer, worker) = NonBlockingBuilder::default().lossy(false).finish(appender);
            let line = Line { form: Form::Json, journal: false, run };
            layers.push(layer(line, writer, LevelFilter::INFO));
            guard._file = Some(worker);
        }
    }
    // A second installation in one process changes nothing.
    let _ = Registry::default().with(layers).try_init();
    guard
}

/// What libraries have to say is for their makers, and may hold addresses: only this program's own lines.
fn layer<W>(line: Line, writer: W, level: LevelFilter) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .event_format(line)
        .with_writer(writer)
        .with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), level))
        .boxed()
}

/// Writes to stderr with the bars out of the way.
#[derive(Clone)]
struct AboveBars {
    screen: MultiProgress,
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.screen.suspend(|| io::stderr().lock().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
