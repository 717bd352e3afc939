//! Log lines: whose they are, who reads them, and what becomes of them when things go wrong.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::market::{Market, PolygonAsk};
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, Sandbox, daily_sessions, daily_stocks, faulty_stocks, group, polygon, terminal,
    wait_until,
};

/// Three symbols: one is had at once, one at the second try, one not at all. Lines go to a file too.
fn mixed() -> (Server, Sandbox) {
    let symbols = ["AAA", "BAD", "CCC"];
    let market = Market::daily(&symbols, &daily_sessions());
    let (server, sandbox) = faulty_stocks(&symbols, move |request| {
        let path = &request.path;
        if path.contains("/BAD/") {
            Answer::status(404, r#"{"message":"Ticker not found."}"#)
        } else if path.contains("/CCC/") && request.seen == 0 {
            Answer::status(500, "{}")
        } else {
            market.polygon(request)
        }
    });
    let config = sandbox.read("mdctl.toml") + "\n[log]\nfile = \"logs/mdctl.log\"\n";
    sandbox.write("mdctl.toml", config);
    (server, sandbox)
}

/// The lines of the log files in a folder, each of them an object.
#[track_caller]
fn lines_in(folder: &Path) -> Vec<Value> {
    let texts = fs::read_dir(folder).expect("the folder").map(|entry| {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("text");
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole: {text:?}");
        text
    });
    objects(&texts.collect::<String>())
}

#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    let object = |line: &str| match serde_json::from_str(line) {
        Ok(object) => object,
        Err(error) => panic!("no object: {error}: {line}"),
    };
    text.lines().map(object).collect()
}

#[test]
fn every_line_of_a_run_says_at_the_top_whose_it_is_and_what_it_is_about() {
    let (_server, sandbox) = mixed();
    let output = sandbox.backfill(&["--log-format", "json", "-vv"]);
    output.expect_code(1);
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    for lines in [objects(&output.stderr), lines_in(&sandbox.path("logs"))] {
        let said = |message: &str| {
            let mut said = lines.iter().filter(|line| line["message"] == message);
            said.next().unwrap_or_else(|| panic!("nothing says {message:?}: {lines:?}"))
        };
        for line in &lines {
            let object = line.as_object().expect("an object");
            assert_eq!(line["run_id"], *run_id, "{line}");
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
            assert!(object.values().all(|value| !value.is_object() && !value.is_array()), "{line}");
            let is_about_one = line["message"].as_str().is_some_and(|text| text.contains("job "));
            if is_about_one {
                assert!(line["symbol"].is_string() && line["provider"] == "p", "{line}");
            }
        }
        let failed = lines.iter().find(|line| line["level"] == "WARN" && line["symbol"] == "CCC");
        let failed = failed.expect("the failed try");
        let of = ["timeframe", "provider", "attempt", "kind"].map(|name| &failed[name]);
        assert_eq!(of, [&Value::from("1d"), &"p".into(), &1.into(), &"server".into()]);
        let gone = lines.iter().find(|line| line["level"] == "ERROR").expect("the failure");
        let of = ["symbol", "timeframe", "provider", "kind"].map(|name| &gone[name]);
        assert_eq!(of, ["BAD", "1d", "p", "not_found"].map(Value::from).each_ref());
        said("run finished");
    }
    let details = objects(&output.stderr);
    let stored: Vec<&Value> =
        details.iter().filter(|line| line["message"] == "page stored").collect();
    let attempts: Vec<_> = stored.iter().map(|line| (&line["symbol"], &line["attempt"])).collect();
    assert!(attempts.contains(&(&"CCC".into(), &2.into())), "{attempts:?}");
    assert!(attempts.contains(&(&"AAA".into(), &1.into())), "{attempts:?}");
}

#[test]
fn text_has_one_line_an_event_and_the_id_in_each() {
    let (_server, sandbox) = mixed();
    let output = sandbox.backfill(&[]);
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    let end = format!(" run_id={run_id}");
    assert!(output.stderr.lines().count() > 5, "{output}");
    for line in output.stderr.lines() {
        assert!(line.starts_with("20") && line.ends_with(&end), "{line}");
        assert_eq!(line.matches(&run_id).count(), 1, "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains("run{"), "{line}");
    }
    output.expect_stderr("WARN HTTP 500  symbol=CCC timeframe=1d provider=p attempt=1 kind=server");
}

#[test]
fn colours_come_where_they_are_asked_for() {
    let (_server, sandbox) = mixed();
    let output = sandbox.backfill(&["--color", "always"]);
    output.expect_stderr("\u{1b}[33m WARN\u{1b}[0m HTTP 500");
    assert!(sandbox.backfill(&["--full"]).stderr.contains(" WARN "), "and nowhere else");
}

#[test]
fn what_a_provider_says_breaks_no_line() {
    let said = "bad\n2024-03-15T00:00:00Z ERROR all is lost \u{1b}[2J\u{1b}]0;x\u{7} \u{202e}txt";
    let body = serde_json::json!({ "status": "ERROR", "error": said }).to_string();
    let (_server, sandbox) =
        faulty_stocks(&["AAA"], move |_| Answer::status(400, body.clone().into_bytes()));
    for form in ["text", "json"] {
        let output = sandbox.backfill(&["--log-format", form]);
        output.expect_code(2).expect_stderr("all is lost");
        let run_id = sandbox.database().texts("SELECT max(run_id) FROM runs").remove(0);
        for line in output.stderr.lines() {
            assert!(line.contains(&run_id), "{line:?}");
            let is_harmful = |letter: char| letter.is_control() || letter == '\u{202e}';
            assert!(!line.contains(is_harmful), "{line:?}");
        }
    }
}

#[test]
fn lines_of_other_commands_are_no_runs() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let output = sandbox.mdctl(&["bars", "AAA", "--log-format", "json"]);
    let lines = objects(&output.stderr);
    assert!(!lines.is_empty(), "its bars are old{output}");
    assert!(lines.iter().all(|line| line.get("run_id").is_none()), "{output}");
}

// systemd's journal.

/// Runs a command whose stderr is a file that `JOURNAL_STREAM` names, or another one; tells what it says.
fn said_to_journal(sandbox: &Sandbox, arguments: &[&str], is_journal: bool) -> String {
    let path = sandbox.path("journal");
    let journal = File::create(&path).expect("a file");
    let held = journal.metadata().expect("its metadata");
    let inode = held.ino() + u64::from(!is_journal);
    let mut command = sandbox.command(arguments);
    command.env("JOURNAL_STREAM", format!("{}:{inode}", held.dev()));
    command.stderr(journal).stdout(std::process::Stdio::null());
    command.status().expect("mdctl starts");
    fs::read_to_string(path).expect("text")
}

#[test]
fn the_journal_is_told_how_grave_a_line_is_and_stamps_it_itself() {
    let (_server, sandbox) = mixed();
    let arguments = ["backfill", "--as-of", AS_OF, "-vv", "--color", "always"];
    let said = said_to_journal(&sandbox, &arguments, true);
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    for line in said.lines() {
        let mark = line.get(..3).expect("a mark");
        assert!(["<3>", "<4>", "<6>", "<7>"].contains(&mark), "{line}");
        assert!(line.ends_with(&run_id) && !line.contains('\u{1b}'), "{line}");
        assert!(!line[3..].starts_with("20"), "{line}");
    }
    for start in ["<6>planned", "<7>page stored", "<4>HTTP 500", "<6>job finished"] {
        assert!(said.lines().any(|line| line.starts_with(start)), "{start} in\n{said}");
    }
    let grave = said.lines().find(|line| line.starts_with("<3>")).expect("an error");
    assert!(grave.contains("symbol=BAD"), "{grave}");
    // As objects they keep their time: readers of objects expect it.
    let arguments = ["backfill", "--as-of", AS_OF, "--full", "--log-format", "json"];
    for line in said_to_journal(&sandbox, &arguments, true).lines() {
        assert!(line.starts_with('<'), "{line}");
        assert!(objects(&line[3..])[0]["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn an_error_told_to_the_journal_is_one() {
    let sandbox = Sandbox::with("[run]\nparalel = 3\n");
    let said = said_to_journal(&sandbox, &["backfill"], true);
    assert!(said.lines().count() > 2, "{said}");
    assert!(said.lines().all(|line| line.starts_with("<3>")), "{said}");
    assert!(said.starts_with("<3>error: "), "{said}");
}

#[test]
fn a_redirected_stderr_is_not_the_journal_whatever_the_variable_says() {
    let (_server, sandbox) = mixed();
    let said = said_to_journal(&sandbox, &["backfill", "--as-of", AS_OF], false);
    assert!(said.lines().all(|line| line.starts_with("20")), "{said}");
}

// The file.

#[test]
fn so_many_files_are_kept_as_the_config_says_and_nothing_else_is_touched() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    // Called like the database and the config beside it.
    let config = sandbox.read("mdctl.toml") + "\n[log]\nfile = \"mdctl\"\nkeep = 3\n";
    sandbox.write("mdctl.toml", config);
    // The newest of them is the one that was written first.
    for day in (1..=9).rev() {
        sandbox.write(&format!("mdctl.2024-01-0{day}"), "old\n");
    }
    for other in ["mdctl.log", "mdctl.2024-01-01.gz", "mdctl.notes", "other.2024-01-01"] {
        sandbox.write(other, "mine\n");
    }
    sandbox.backfill(&[]).expect_code(0);
    let mut names: Vec<String> = fs::read_dir(sandbox.path(""))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    let kept = |name: &&String| name.starts_with("mdctl.20") && !name.ends_with("gz");
    let kept: Vec<&String> = names.iter().filter(kept).collect();
    assert_eq!(kept.len(), 3, "{names:?}");
    assert_eq!(kept[..2], ["mdctl.2024-01-08", "mdctl.2024-01-09"]);
    for other in ["mdctl.log", "mdctl.2024-01-01.gz", "mdctl.notes", "other.2024-01-01", "mdctl.db"]
    {
        assert!(names.iter().any(|name| name == other), "{other} of {names:?}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning_of_the_run() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.write("taken", "a file, no folder");
    let config = sandbox.read("mdctl.toml") + "\n[log]\nfile = \"taken/mdctl.log\"\n";
    sandbox.write("mdctl.toml", config);
    let output = sandbox.backfill(&[]);
    output.expect_code(0);
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    let warnings: Vec<&str> =
        output.stderr.lines().filter(|line| line.contains("log file cannot be written")).collect();
    assert_eq!(warnings.len(), 1, "{output}");
    assert!(warnings[0].contains("taken") && warnings[0].contains(&run_id), "{output}");
    let output = sandbox.mdctl(&["gaps"]);
    output.expect_code(0).expect_stderr("log file cannot be written");
}

#[test]
fn the_file_is_whole_however_a_run_ends() {
    let (_server, sandbox) = mixed();
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.tamper(
        "CREATE TRIGGER no BEFORE INSERT ON bars BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    );
    sandbox.backfill(&[]).expect_code(74);
    let lines = lines_in(&sandbox.path("logs"));
    let last = lines.last().expect("a line");
    assert!(last["message"].as_str().is_some_and(|text| text.contains("not this one")), "{last}");
    assert_eq!((&last["level"], &last["exit_code"]), (&"ERROR".into(), &74.into()));
    assert_eq!(last["run_id"], *sandbox.database().texts("SELECT run_id FROM runs")[0]);

    let symbols = ["AAA", "BBB"];
    let market = Market::daily(&symbols, &daily_sessions());
    let server = Server::start(move |request| match request.path.contains("/BBB/") {
        true => Answer::Hang,
        false => market.polygon(request),
    });
    let config = polygon(&server.url(), "").replace("[run]", "[run]\ngrace = \"10ms\"")
        + "\n[log]\nfile = \"logs/mdctl.log\"\n"
        + &group("p", "stock", &symbols, DAILY);
    let sandbox = Sandbox::with(&config);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(2);
    wait_until(|| sandbox.database().times("AAA", "1d").len() == 21);
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(143));
    let lines = lines_in(&sandbox.path("logs"));
    let last = lines.last().expect("a line");
    let of = ["message", "status", "exit_code"].map(|name| &last[name]);
    assert_eq!(of, [&Value::from("run finished"), &"interrupted".into(), &143.into()]);
}

// The terminal, which a bar and lines share.

/// What a terminal shows, as far as a bar and log lines go.
#[derive(Default)]
struct Screen {
    rows: Vec<String>,
    row: usize,
    column: usize,
}

impl Screen {
    /// Shows `text`; after each line's end `look` sees the screen.
    fn show(&mut self, text: &str, mut look: impl FnMut(&Self)) {
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\r' => self.column = 0,
                '\n' => {
                    look(self);
                    self.row += 1;
                }
                '\u{1b}' => {
                    assert_eq!(letters.next(), Some('['), "a sequence that is known");
                    let mut sequence = String::new();
                    for letter in letters.by_ref() {
                        sequence.push(letter);
                        if letter.is_ascii_alphabetic() {
                            break;
                        }
                    }
                    self.obey(&sequence);
                }
                letter => self.put(letter),
            }
        }
        look(self);
    }

    fn line(&mut self) -> &mut String {
        if self.rows.len() <= self.row {
            self.rows.resize(self.row + 1, String::new());
        }
        &mut self.rows[self.row]
    }

    fn put(&mut self, letter: char) {
        let column = self.column;
        let mut letters: Vec<char> = self.line().chars().collect();
        letters.resize(letters.len().max(column + 1), ' ');
        letters[column] = letter;
        *self.line() = letters.into_iter().collect();
        self.column += 1;
    }

    fn obey(&mut self, sequence: &str) {
        let (count, command) = sequence.split_at(sequence.len() - 1);
        let rows = count.parse().unwrap_or(1);
        let column = self.column;
        match (count, command) {
            (_, "m" | "h" | "l") => {}
            (_, "A") => self.row = self.row.saturating_sub(rows),
            (_, "B") => self.row += rows,
            ("2", "K") => self.line().clear(),
            ("" | "0", "K") => *self.line() = self.line().chars().take(column).collect(),
            ("" | "0", "J") => {
                *self.line() = self.line().chars().take(column).collect();
                self.rows.truncate(self.row + 1);
            }
            other => panic!("an unknown sequence: {other:?}"),
        }
    }
}

/// Runs a command whose stderr is a terminal; tells all that was written there, and the exit code.
fn on_a_terminal(sandbox: &Sandbox, arguments: &[&str]) -> (String, Option<i32>) {
    let (mut ours, theirs) = terminal::pair(250, 50);
    let mut command = sandbox.command(arguments);
    command.env("TERM", "xterm-256color").stderr(theirs).stdout(std::process::Stdio::null());
    let mut child = command.spawn().expect("mdctl starts");
    // Our own hold on the other side would keep it open.
    drop(command);
    let (mut said, mut chunk) = (Vec::new(), [0; 4_096]);
    // It ends with an error once nobody holds the other side.
    while let Ok(count @ 1..) = ours.read(&mut chunk) {
        said.extend_from_slice(&chunk[..count]);
    }
    let code = child.wait().expect("it ended").code();
    (String::from_utf8(said).expect("text"), code)
}

const BAR: &str = " symbols, ";

#[test]
fn no_line_is_torn_by_the_bar_nor_the_bar_by_a_line() {
    let symbols: Vec<String> = (0..60).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let market = Market::daily(&symbols, &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&symbols, move |request| {
        let is_odd =
            PolygonAsk::of(request).is_some_and(|ask| ask.symbol.ends_with(['1', '3', '5']));
        if is_odd { Answer::status(404, "{}") } else { market.polygon(request) }
    });
    let alone = sandbox.read("mdctl.toml").replace("history =", "grouped = false\nhistory =");
    sandbox.write("mdctl.toml", alone);
    for more in [&[][..], &["-v"]] {
        let arguments = [&["backfill", "--as-of", AS_OF, "--full", "--parallel", "8"], more];
        let (said, code) = on_a_terminal(&sandbox, &arguments.concat());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(BAR), "a bar was shown: {said:?}");
        let mut screen = Screen::default();
        screen.show(&said, |screen| {
            for row in &screen.rows {
                let parts = row.matches(BAR).count() + row.matches(" run_id=").count();
                assert!(parts <= 1, "{row:?} in {said:?}");
            }
        });
        let left: Vec<&String> = screen.rows.iter().filter(|row| !row.is_empty()).collect();
        assert!(
            left.iter().all(|row| row.starts_with("20") && row.contains(" run_id=")),
            "{left:#?}"
        );
        let warnings = left.iter().filter(|row| row.contains(" WARN HTTP 404  symbol=")).count();
        assert_eq!(warnings, 18, "{left:#?}");
    }
}

#[test]
fn an_aborted_run_leaves_no_bar_behind() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.tamper(
        "CREATE TRIGGER no BEFORE INSERT ON bars BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    );
    let (said, code) = on_a_terminal(&sandbox, &["backfill", "--as-of", AS_OF]);
    assert_eq!(code, Some(74), "{said}");
    let mut screen = Screen::default();
    screen.show(&said, |_| {});
    let left: Vec<&String> = screen.rows.iter().filter(|row| !row.is_empty()).collect();
    assert!(left[0].contains("ERROR run aborted: not this one  exit_code=74"), "{left:#?}");
    assert!(left[1].starts_with("error: "), "{left:#?}");
    assert!(!left.iter().any(|row| row.contains(BAR)), "{left:#?}");
}
