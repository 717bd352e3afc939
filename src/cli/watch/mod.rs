//! `mdctl watch`: the health of the data and a run at work, live in the terminal.
//!
//! Three threads talk to this one: one reads the database (`reader.rs`), one the keyboard, one hears
//! signals. This one draws and never waits for the database, so that keys are obeyed whatever it does.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::clock;
use crate::config::{Span, env};
use crate::domain::run::StopSignal;
use crate::domain::time::seconds;
use crate::exit::Exit;
use crate::render::watch::{self, Caption, Move, Stance, View};

use super::Done;
use super::failure::Failure;
use super::scene::Scene;

mod reader;
mod screen;

use reader::Reader;
use screen::Screen;

/// Nobody sees more in shorter, and the database is to be left in peace.
const SHORTEST: Duration = Duration::from_millis(100);

/// The same, live in the terminal.
///
/// It only reads the database, at any time: while a run works, between runs, before there is a database. q
/// quits, ? tells of the other keys. The config is read once, at the start.
///
/// A terminal of 60 columns and 18 rows shows the verdict, what mends it, and the run; a larger one shows
/// more beside it. Tab goes to what there was no room for. What is dear to judge, such as the quality of
/// many series, is judged less often than it takes ten times over; when the screen is behind, it says so.
///
/// Exits 0 when it is quit, 143 on SIGTERM and when the terminal goes away, 130 on SIGINT.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mdctl watch
  mdctl watch --every 5s           for a slow line
  mdctl watch --as-of 2024-03-15   the data as at the end of that day; runs as they are now")]
pub(super) struct Watch {
    /// How often the database is read, 100ms at least.
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    every: Span,
}

/// How often the clock on the screen goes on at least.
const CLOCK: Duration = Duration::from_secs(1);

/// What this thread hears.
enum Heard {
    /// The database was read.
    View(Box<View>),
    /// The thread that reads it has panicked.
    Broken,
    /// A key was pressed, or the terminal has another size.
    Input(Event),
    /// Somebody wants the process to end, or the terminal is gone.
    Stop(StopSignal),
}

pub(super) fn exec(command: &Watch, scene: &Scene) -> Done {
    refuse(command, scene)?;
    let every = command.every.0;
    let (tell, heard) = mpsc::channel();
    listen(&tell)?;
    let screen = Screen::open().map_err(|error| Failure::io("cannot use the terminal", &error))?;
    let reader = Reader::start(scene, every, tell.clone())?;
    // What cannot be read now never could: there is no keyboard.
    event::poll(Duration::ZERO).map_err(|error| Failure::io("cannot read the keyboard", &error))?;
    start("keys", move || hear_keys(&tell))?;
    let caption = Caption {
        database: scene.settings.database.display().to_string(),
        as_of: scene.as_of,
        colour: scene.look.colour,
        patience_seconds: seconds(every).saturating_add(2),
    };
    show(screen, &caption, &heard, &reader).unwrap_or_else(|| reader.panic_on())
}

/// What tells the same where there is no screen.
const OTHERWISE: &str = "`mdctl status --json` and `mdctl health` tell the same once";

/// That there is no JSON document.
pub(super) fn no_document() -> Failure {
    Failure::usage("watch is a screen and prints no JSON document").hinted(OTHERWISE)
}

/// Refuses what makes no sense for a screen.
fn refuse(command: &Watch, scene: &Scene) -> Result<(), Failure> {
    if scene.json {
        return Err(no_document());
    }
    if !io::stdout().is_terminal() {
        return Err(
            Failure::usage("watch is a screen, and stdout is no terminal").hinted(OTHERWISE)
        );
    }
    if command.every.0 < SHORTEST {
        return Err(Failure::usage("--every is shorter than 100ms").hinted("try --every 1s"));
    }
    Ok(())
}

/// Shows what is heard until somebody wants it to end; `None` when the reader has panicked.
fn show(
    mut screen: Screen,
    caption: &Caption,
    heard: &Receiver<Heard>,
    reader: &Reader,
) -> Option<Done> {
    let mut view = None;
    let mut stance = Stance::default();
    loop {
        let drawn = screen.draw(|frame| {
            env::panic_if_rehearsed("drawing");
            watch::draw(frame, caption, view.as_deref(), &mut stance, clock::now());
        });
        if drawn.is_err() {
            // The terminal is gone, and with it whoever looked; the system may not have said so yet.
            return Some(Ok(Exit::Stopped(StopSignal::Terminate)));
        }
        // With nothing to be heard the clock goes on, and what is shown becomes old.
        let first = heard.recv_timeout(CLOCK).ok();
        // A key that is held down is many, and wants one picture.
        for heard in first.into_iter().chain(heard.try_iter()) {
            match heard {
                Heard::View(read) => view = Some(read),
                Heard::Broken => return None,
                Heard::Input(Event::Key(key)) => match meaning(&key, &stance) {
                    Some(Meaning::Quit) => return Some(Ok(Exit::Success)),
                    Some(Meaning::Refresh) => reader.read_now(),
                    Some(Meaning::Go(to)) => stance.go(to),
                    None => {}
                },
                Heard::Input(_) => {}
                Heard::Stop(signal) => return Some(Ok(Exit::Stopped(signal))),
            }
        }
    }
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Quit,
    Refresh,
    Go(Move),
}

fn meaning(key: &KeyEvent, stance: &Stance) -> Option<Meaning> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Meaning::Quit);
    }
    Some(match key.code {
        KeyCode::Esc if stance.helps() => Meaning::Go(Move::Help),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Meaning::Quit,
        KeyCode::Char('r' | 'R') => Meaning::Refresh,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Meaning::Go(Move::Help),
        KeyCode::Tab | KeyCode::Right => Meaning::Go(Move::Next),
        KeyCode::BackTab | KeyCode::Left => Meaning::Go(Move::Previous),
        KeyCode::Up | KeyCode::Char('k') => Meaning::Go(Move::Up),
        KeyCode::Down | KeyCode::Char('j') => Meaning::Go(Move::Down),
        KeyCode::PageUp => Meaning::Go(Move::PageUp),
        KeyCode::PageDown | KeyCode::Char(' ') => Meaning::Go(Move::PageDown),
        KeyCode::Home | KeyCode::Char('g') => Meaning::Go(Move::First),
        KeyCode::End | KeyCode::Char('G') => Meaning::Go(Move::Last),
        _ => return None,
    })
}

/// Starts a thread.
fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<std::thread::JoinHandle<T>, Failure> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(work).map_err(|error| Failure::io("cannot start a thread", &error))
}

/// Tells what the terminal says, as long as somebody wants to hear it; that it says nothing any more means
/// that it is gone.
fn hear_keys(tell: &Sender<Heard>) {
    loop {
        let input = event::read();
        let is_end = input.is_err();
        let heard = input.map_or(Heard::Stop(StopSignal::Terminate), Heard::Input);
        if tell.send(heard).is_err() || is_end {
            return;
        }
    }
}

/// Tells of signals. The second one ends the process as if nobody had listened: this thread's own are not
/// obeyed while the terminal takes nothing.
fn listen(tell: &Sender<Heard>) -> Result<(), Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut signals = signals.map_err(|error| Failure::io("cannot listen to signals", &error))?;
    let tell = tell.clone();
    start("signals", move || {
        for (index, signal) in signals.forever().enumerate() {
            let meaning =
                if signal == SIGINT { StopSignal::Interrupt } else { StopSignal::Terminate };
            if index > 0 || tell.send(Heard::Stop(meaning)).is_err() {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let mut stance = Stance::default();
        let press = |code, stance: &Stance| meaning(&KeyEvent::from(code), stance);
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(press(code, &stance), Some(Meaning::Quit));
        }
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(meaning(&ctrl_c, &stance), Some(Meaning::Quit));
        assert_eq!(press(KeyCode::Char('c'), &stance), None);
        let ctrl_q = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::CONTROL);
        assert_eq!(meaning(&ctrl_q, &stance), None);
        stance.go(Move::Help);
        assert_eq!(press(KeyCode::Esc, &stance), Some(Meaning::Go(Move::Help)));
        assert_eq!(press(KeyCode::Char('q'), &stance), Some(Meaning::Quit));
    }
}
