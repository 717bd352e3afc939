//! The last log lines of this process, for those who are told how a run ended.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that are kept, at most.
const MOST_BYTES: usize = 90_000;

/// The last lines; its clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// The lines, oldest first, each with its end.
    #[must_use]
    pub fn text(&self) -> String {
        self.locked().lines.iter().map(String::as_str).collect()
    }

    fn locked(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Tail {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut kept = self.locked();
        let text = String::from_utf8_lossy(line).into_owned();
        kept.bytes += text.len();
        kept.lines.push_back(text);
        while kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Tail {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut tail = Tail::default();
        for number in 0..30_000 {
            writeln!(tail, "line {number}").unwrap();
        }
        let text = tail.text();
        assert!(text.len() <= MOST_BYTES && text.len() > MOST_BYTES - 20, "{}", text.len());
        assert!(text.ends_with("line 29999\n"));
    }
}
