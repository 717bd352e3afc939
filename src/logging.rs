//! Log lines: text or JSON on stderr, and JSON in a rolling file. Installed once a process.
//!
//! A file that cannot be written is a warning, not a failed run. Lines are written above a progress
//! bar, never through it.

use std::io::{self, Write};
use std::path::Path;

use indicatif::MultiProgress;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::clock;
use crate::domain::words::instant;

mod tail;

pub use tail::Tail;

/// How log lines are written.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// What is worth a line on stderr.
    pub level: LevelFilter,
    /// Whether those lines are JSON.
    pub json: bool,
    /// Whether those lines may have colours.
    pub colour: bool,
}

/// Keeps the file's writer alive; dropped at the end, it writes what is left.
#[must_use]
pub struct Guard {
    _file: Option<WorkerGuard>,
}

/// Installs logging; `file` is a path and how many days' files are kept, `tail` keeps the last lines.
pub fn install(
    lines: Lines,
    screen: &MultiProgress,
    file: Option<(&Path, usize)>,
    tail: Option<&Tail>,
) -> Guard {
    let writer = AboveBars { screen: screen.clone() };
    let stderr = if lines.json {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_timer(Seconds)
            .with_writer(writer)
            .with_filter(lines.level)
            .boxed()
    } else {
        tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_timer(Seconds)
            .with_ansi(lines.colour)
            .with_writer(writer)
            .with_filter(lines.level)
            .boxed()
    };
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![stderr];
    layers.extend(tail.map(|tail| {
        tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_timer(Seconds)
            .with_ansi(false)
            .with_writer(tail.clone())
            .with_filter(LevelFilter::INFO)
            .boxed()
    }));
    let mut guard = None;
    let mut trouble = None;
    if let Some((path, keep)) = file {
        match rolling(path, keep) {
            Ok(appender) => {
                let (writer, worker) =
                    tracing_appender::non_blocking::NonBlockingBuilder::default()
                        .lossy(false)
                        .finish(appender);
                guard = Some(worker);
                layers.push(
                    tracing_subscriber::fmt::layer()
                        .json()
                        .flatten_event(true)
                        .with_target(false)
                        .with_timer(Seconds)
                        .with_timer(Seconds)
                        .with_writer(writer)
                        .with_filter(LevelFilter::INFO)
                        .boxed(),
                );
            }
            Err(error) => trouble = Some(error),
        }
    }
    // A second installation in one process changes nothing.
    let _ = Registry::default().with(layers).try_init();
    if let Some(error) = trouble {
        tracing::warn!(error, "the log file cannot be written; going on without it");
    }
    Guard { _file: guard }
}

/// A file a day beside `path`, named `NAME.DATE`.
fn rolling(path: &Path, keep: usize) -> Result<RollingFileAppender, String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("mdctl.log");
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name)
        .max_log_files(keep.max(1))
        .build(folder)
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Times in UTC, RFC 3339, to the second, like everywhere else.
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&instant(clock::now()))
    }
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
