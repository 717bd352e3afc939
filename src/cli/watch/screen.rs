//! The terminal while a screen stands on it: taken whole, and given back as it was however the process
//! ends.

use std::io::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use ratatui::{Frame, Terminal};

/// Whether the terminal is ours. A process has one, and a panic hook has nothing but what is static.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The terminal; dropped, it is as it was before.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Paper>>,
}

impl Screen {
    /// Takes the terminal. A panic, in whatever thread, gives it back before it tells of itself.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be set or written to.
    pub(super) fn open() -> io::Result<Self> {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            usual(panic);
        }));
        enable_raw_mode()?;
        IS_OURS.store(true, Ordering::SeqCst);
        let made = execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(Paper::default())));
        match made {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws a picture in the size that the terminal has now.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be written to.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture)?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once.
fn give_back() {
    // Nobody is in the midst of a picture while this holds stdout, and nobody begins one afterwards.
    let mut out = io::stdout().lock();
    if IS_OURS.swap(false, Ordering::SeqCst) {
        // What cannot be given back is gone.
        let _ = execute!(out, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// Gathers a picture and writes it at once, so that none is seen half drawn.
#[derive(Default)]
struct Paper {
    picture: Vec<u8>,
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.picture.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if IS_OURS.load(Ordering::SeqCst) {
            out.write_all(&self.picture)?;
            out.flush()?;
        }
        self.picture.clear();
        Ok(())
    }
}
