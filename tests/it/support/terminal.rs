//! A terminal that nobody sits at: a pair of pseudo devices, and what stands on its screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use super::{PATIENCE, Sandbox};

/// A terminal of that size: our side, and the one that a program is given.
pub(crate) fn pair(columns: u16, rows: u16) -> (File, File) {
    // A program that was started meanwhile would keep our side open.
    let ours =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("its other side may be opened");
    let name = ptsname(&ours, Vec::new()).expect("its name").into_string().expect("text");
    let theirs = File::options().read(true).write(true).open(name).expect("its other side");
    let ours = File::from(ours);
    set_size(&ours, columns, rows);
    (ours, theirs)
}

fn set_size(ours: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(ours, size).expect("its size");
}

/// What stands on a screen that a program has for itself; it knows what such a program says, and nothing
/// more.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Whether the program has it for itself.
    pub(crate) is_alternate: bool,
    /// Whether the cursor is hidden.
    pub(crate) is_cursor_hidden: bool,
    /// Whether anything was ever coloured or bold.
    pub(crate) has_style: bool,
    /// Whether the last picture has come to its end: a program hides the cursor behind each.
    is_whole: bool,
    /// A sequence that has not come to its end.
    pending: String,
}

impl Screen {
    fn resize(&mut self, columns: u16, rows: u16) {
        self.cells = vec![vec![' '; columns.into()]; rows.into()];
    }

    fn show(&mut self, text: &str) {
        for letter in text.chars() {
            if !self.pending.is_empty() {
                self.pending.push(letter);
                let is_end = self.pending.len() > 2 && letter.is_ascii_alphabetic();
                if is_end {
                    let sequence = std::mem::take(&mut self.pending);
                    self.obey(sequence.trim_start_matches("\u{1b}["));
                }
            } else if letter == '\u{1b}' {
                self.pending.push(letter);
            } else if self.is_alternate {
                self.put(letter);
            }
        }
    }

    fn put(&mut self, letter: char) {
        assert!(!letter.is_control(), "no picture holds {letter:?}");
        let cell = self.cells.get_mut(self.row).and_then(|row| row.get_mut(self.column));
        // What is drawn for a size that was is drawn anew for the one that is.
        if let Some(cell) = cell {
            *cell = letter;
        }
        self.column += 1;
        self.is_whole = false;
    }

    fn obey(&mut self, sequence: &str) {
        let (numbers, command) = sequence.split_at(sequence.len() - 1);
        match (numbers, command) {
            ("?1049", "h" | "l") => self.is_alternate = command == "h",
            ("?25", "h" | "l") => {
                self.is_cursor_hidden = command == "l";
                self.is_whole = self.is_cursor_hidden;
            }
            ("2", "J") => self.cells.iter_mut().for_each(|row| row.fill(' ')),
            (_, "H") => {
                let place: Vec<usize> = numbers.split(';').filter_map(|n| n.parse().ok()).collect();
                assert_eq!(place.len(), 2, "a place: {sequence:?}");
                (self.row, self.column) = (place[0] - 1, place[1] - 1);
            }
            (style, "m") => {
                self.has_style |=
                    style.split(';').any(|part| !["", "0", "39", "49", "59"].contains(&part));
            }
            _ => panic!("an unknown sequence: {sequence:?}"),
        }
    }

    /// Its lines, without the blanks at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |row: &Vec<char>| row.iter().collect::<String>().trim_end().to_owned();
        self.cells.iter().map(line).collect()
    }

    /// Whether it says so, on one line.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.lines().iter().any(|line| line.contains(words))
    }

    /// Whether it says so, however the words are broken into lines.
    pub(crate) fn tells(&self, words: &str) -> bool {
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        squeezed(&self.lines().join(" ")).contains(&squeezed(words))
    }
}

/// A program at work on a terminal.
pub(crate) struct AtTerminal {
    ours: File,
    child: Child,
    /// Everything that it wrote.
    pub(crate) said: Vec<u8>,
    /// What stands there now.
    pub(crate) screen: Screen,
    /// How the terminal was set before.
    settings: Termios,
}

impl AtTerminal {
    /// Starts the binary on a terminal of its own.
    pub(crate) fn start(sandbox: &Sandbox, arguments: &[&str], size: (u16, u16)) -> Self {
        Self::start_with(sandbox, arguments, size, &[])
    }

    /// Likewise, with further variables.
    pub(crate) fn start_with(
        sandbox: &Sandbox,
        arguments: &[&str],
        (columns, rows): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let (ours, theirs) = pair(columns, rows);
        let settings = tcgetattr(&ours).expect("its settings");
        let plain = sandbox.command(arguments);
        // In a session of its own, or what it asks of its terminal goes to the one of whoever tests.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(plain.get_program()).args(plain.get_args());
        command.current_dir(plain.get_current_dir().expect("a folder")).env_clear();
        let held = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(held).envs(variables.iter().copied()).env("TERM", "xterm-256color");
        let side = || Stdio::from(theirs.try_clone().expect("its other side"));
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn();
        let child = child.expect("mdctl starts");
        let mut screen = Screen::default();
        screen.resize(columns, rows);
        Self { ours, child, said: Vec::new(), screen, settings }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).expect("the keys are taken");
    }

    /// Makes the terminal another size; the system tells the program.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.screen.resize(columns, rows);
        set_size(&self.ours, columns, rows);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the signal is sent");
    }

    /// Takes the terminal away, as when a line breaks; tells the exit code.
    pub(crate) fn hang_up(mut self) -> Option<i32> {
        self.ours = File::open("/dev/null").expect("nothing");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it outlives its terminal");
            std::thread::yield_now();
        }
    }

    /// Reads on until a whole picture is so.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Screen) -> bool) {
        let begun = Instant::now();
        while !(self.screen.is_whole && is_so(&self.screen)) {
            let goes_on = self.read();
            let in_time = begun.elapsed() < PATIENCE;
            assert!(goes_on && in_time, "never came: {what}\n{}", self.screen.lines().join("\n"));
        }
    }

    /// Reads on until the screen says so.
    #[track_caller]
    pub(crate) fn until_it_says(&mut self, words: &str) {
        self.until(words, |screen| screen.says(words));
    }

    /// Reads what is there, at least something; `false` when the program has let go of the terminal.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 65_536];
        let Ok(count @ 1..) = self.ours.read(&mut chunk) else { return false };
        let whole = self.shown_to();
        self.said.extend_from_slice(&chunk[..count]);
        let rest = &self.said[whole..];
        // A letter may have come in part.
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).expect("valid so far"),
        };
        self.screen.show(valid);
        true
    }

    /// How many bytes of what was said were whole letters and are shown.
    fn shown_to(&self) -> usize {
        match std::str::from_utf8(&self.said) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        }
    }

    /// Reads to the end; tells the exit code and all that was said.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        while self.read() {}
        let code = self.child.wait().expect("it ended").code();
        (code, String::from_utf8_lossy(&self.said).into_owned())
    }

    /// Asserts that the terminal is as it was before.
    #[track_caller]
    pub(crate) fn expect_restored(&self) {
        let now = tcgetattr(&self.ours).expect("its settings");
        let of = |termios: &Termios| format!("{termios:?}");
        assert_eq!(of(&now), of(&self.settings), "the terminal's settings");
        assert!(!self.screen.is_alternate && !self.screen.is_cursor_hidden, "{:?}", self.screen);
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
