//! The live screen, on a real terminal: what it shows, that keys are obeyed, and that the terminal is given
//! back however it ends.

use std::fs;

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::market::{Market, PolygonAsk};
use crate::support::server::{Answer, Server};
use crate::support::terminal::AtTerminal;
use crate::support::{AS_OF, Sandbox, daily_sessions, daily_stocks, faulty_stocks};

/// Read often enough not to be waited for.
const WATCH: [&str; 5] = ["watch", "--as-of", AS_OF, "--every", "100ms"];

/// A terminal that has room for everything.
const LARGE: (u16, u16) = (110, 70);

/// Three symbols, of which one is not there.
fn troubled() -> (Server, Sandbox) {
    let market = Market::daily(&["AAA", "CCC"], &daily_sessions());
    faulty_stocks(&["AAA", "BAD", "CCC"], move |request| {
        match PolygonAsk::of(request).is_some_and(|ask| ask.symbol == "BAD") {
            true => Answer::status(404, r#"{"message":"Ticker not found."}"#),
            false => market.polygon(request),
        }
    })
}

/// Asserts that it ends so, and leaves the terminal as it was.
#[track_caller]
fn expect_end(mut terminal: AtTerminal, code: i32) -> String {
    let (ended, said) = terminal.end();
    assert_eq!(ended, Some(code), "{said}");
    terminal.expect_restored();
    said
}

// What it shows.

#[test]
fn it_shows_what_health_says() {
    let (_server, sandbox) = troubled();
    sandbox.backfill(&[]).expect_code(1);
    let health = sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json();
    let issues = health["issues"].as_array().expect("issues");
    assert!(issues.len() > 1, "{health}");
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, LARGE);
    terminal.until_it_says("Past runs");
    let screen = &terminal.screen;
    let shown = screen.lines().join("\n");
    assert!(screen.tells(health["summary"].as_str().expect("text")), "{shown}");
    for issue in issues {
        for field in ["severity", "code", "message", "hint"] {
            let words = issue[field].as_str().expect("text");
            assert!(screen.tells(words), "{words} in\n{shown}");
        }
    }
    // What there is none of is not said.
    let counts = health["freshness"].as_object().expect("counts");
    assert_eq!((&counts["fresh"], &counts["missing"]), (&2.into(), &1.into()), "{health}");
    assert!(counts["aging"] == 0 && counts["stale"] == 0, "{health}");
    assert!(screen.says("Freshness  2 fresh, 1 missing ─"), "{shown}");
    let run = &health["last_execution"];
    assert!(screen.says(run["run_id"].as_str().expect("an id")), "{shown}");
    assert!(screen.says("2 completed, 1 failed of 3 jobs"), "{shown}");
    assert!(screen.says("failed  BAD 1d  not_found  HTTP 404"), "{shown}");
    assert!(screen.says("p         closed"), "{shown}");
    assert!(screen.is_cursor_hidden && !screen.has_style, "NO_COLOR is set");
    terminal.press("q");
    expect_end(terminal, 0);
}

#[test]
fn a_run_is_seen_at_work_and_at_its_end() {
    let symbols = ["AAA", "BBB", "CCC"];
    let market = Market::daily(&symbols, &daily_sessions());
    let (server, sandbox) =
        faulty_stocks(&symbols, move |request| match request.path.contains("/BBB/") {
            true => Answer::Hang,
            false => market.polygon(request),
        });
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, LARGE);
    terminal.until_it_says("UNKNOWN - there is no database");
    assert!(terminal.screen.tells("`mdctl backfill` makes it"));
    assert!(!sandbox.path("mdctl.db").exists(), "it makes none");

    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(3);
    terminal.until_it_says("66 %  2 of 3 jobs");
    let id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    let bars = sandbox.database().number("SELECT count(*) FROM bars");
    let screen = &terminal.screen;
    let shown = screen.lines().join("\n");
    assert!(screen.says("Run at work  backfill (manual) for ") && screen.says(&id), "{shown}");
    assert!(screen.says("2 completed, 1 at work"), "{shown}");
    assert!(screen.says(&format!("{bars} new bars")), "{shown}");
    assert!(screen.says("at work: BBB "), "{shown}");
    assert!(screen.says("backfill  running"), "{shown}");

    running.signal(Signal::TERM);
    terminal.until_it_says("Last run  interrupted, backfill (manual)");
    assert_eq!(running.wait(), Some(143));
    assert!(terminal.screen.says("2 completed, 1 skipped of 3 jobs"));
    terminal.until_it_says("Freshness  2 fresh, 1 missing");

    let market = Market::daily(&["BBB"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    terminal.until_it_says("Last run  succeeded");
    terminal.until_it_says("OK - 3 fresh, 0 aging, 0 stale, 0 missing");
    terminal.until_it_says("Issues  none");
    terminal.press("q");
    expect_end(terminal, 0);
}

#[test]
fn what_happens_to_the_database_is_seen() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, LARGE);
    terminal.until_it_says("OK - 1 fresh");

    fs::rename(sandbox.path("mdctl.db"), sandbox.path("away.db")).expect("it is moved");
    terminal.until_it_says("UNKNOWN - there is no database");
    assert!(!terminal.screen.says("Freshness"), "nothing is shown that may not be so");
    sandbox.write("mdctl.db", "this is no database, and long enough to be looked at: ".repeat(40));
    terminal.until_it_says("UNKNOWN");
    terminal.until_it_says("is not an SQLite database");
    fs::rename(sandbox.path("away.db"), sandbox.path("mdctl.db")).expect("it is moved back");
    terminal.until_it_says("OK - 1 fresh");

    sandbox.mdctl(&["pause", "--for", "2h", "--reason", "a new disk"]).expect_code(0);
    terminal.until_it_says("warning  paused: runs are paused until");
    sandbox.mdctl(&["resume"]).expect_code(0);
    terminal.until_it_says("Issues  none");
    terminal.press("q");
    expect_end(terminal, 0);
}

#[test]
fn a_database_of_an_older_schema_is_shown_and_stays_one() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    sandbox.go_back_to_schema_1();
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, LARGE);
    terminal.until_it_says("Freshness  1 fresh");
    terminal.until_it_says("Last run  succeeded");
    terminal.press("q");
    expect_end(terminal, 0);
    assert_eq!(sandbox.database().number("PRAGMA user_version"), 1);
}

#[test]
fn the_data_is_judged_as_of_the_instant_that_is_asked_for() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let arguments = ["watch", "--as-of", "2024-05-15", "--every", "100ms"];
    let mut terminal = AtTerminal::start(&sandbox, &arguments, LARGE);
    terminal.until_it_says("as of 2024-05-16T00:00:00Z");
    terminal.until_it_says("Freshness  0 fresh, 1 stale");
    terminal.press("q");
    expect_end(terminal, 0);
}

#[test]
fn what_a_provider_says_moves_no_cursor() {
    let said = "bad\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}txt\u{9b}1A";
    let body = serde_json::json!({ "status": "ERROR", "error": said }).to_string();
    let (_server, sandbox) =
        faulty_stocks(&["AAA"], move |_| Answer::status(400, body.clone().into_bytes()));
    sandbox.backfill(&[]).expect_code(2);
    // Whoever wrote it there.
    sandbox.tamper("UPDATE failures SET message = 'x' || char(27, 91, 50, 74, 8238, 10) || 'end'");
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, LARGE);
    terminal.until_it_says("failed  AAA 1d  bad_request  x [2J  end");
    terminal.press("q");
    let said = expect_end(terminal, 0);
    assert!(!said.contains('\u{202e}') && !said.contains("\u{1b}]"), "{said:?}");
}

#[test]
fn colours_come_where_they_are_asked_for() {
    let (_server, sandbox) = troubled();
    sandbox.backfill(&[]).expect_code(1);
    for (more, has_style) in [("always", true), ("never", false)] {
        let arguments = [&WATCH[..], &["--color", more]].concat();
        let mut terminal = AtTerminal::start(&sandbox, &arguments, LARGE);
        terminal.until_it_says("Past runs");
        assert_eq!(terminal.screen.has_style, has_style, "{more}");
    }
}

// Its room.

#[test]
fn it_fits_every_terminal_and_follows_its_size() {
    let (_server, sandbox) = troubled();
    sandbox.backfill(&[]).expect_code(1);
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, (60, 18));
    // What is worst, with what mends it, and how the run was.
    terminal.until_it_says("Last run  partial");
    for words in ["warning  ", "> mdctl history ", "q quit", "Freshness  2 fresh"] {
        assert!(terminal.screen.says(words), "{words} in\n{}", terminal.screen.lines().join("\n"));
    }
    terminal.resize(200, 60);
    terminal.until("two columns", |screen| {
        let lines = screen.lines();
        lines.iter().any(|line| line.contains("Issues  ") && line.contains("Freshness  "))
    });
    for (columns, rows) in [(1, 1), (2, 3), (7, 200), (400, 2), (13, 9), (0, 0)] {
        terminal.resize(columns, rows);
    }
    terminal.resize(60, 1);
    terminal.until("the verdict alone", |screen| screen.lines()[0].starts_with("WARNING - "));
    terminal.resize(100, 30);
    terminal.until_it_says("Past runs");
    terminal.press("q");
    expect_end(terminal, 0);
}

#[test]
fn keys_lead_everywhere_and_help_tells_of_them() {
    let symbols: Vec<String> = (0..60).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let (_server, sandbox) = daily_stocks(&symbols);
    sandbox.backfill(&[]).expect_code(0);
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, (60, 18));
    terminal.until_it_says("▶ Issues  none");
    terminal.press("\t\t");
    terminal.until_it_says("▶ Freshness  60 fresh");
    terminal.until_it_says("S00 1d");
    terminal.press("\u{1b}[6~\u{1b}[B");
    terminal.until("further down", |screen| !screen.says("S00 1d") && screen.says("S11 1d"));
    terminal.press("G");
    terminal.until_it_says("S59 1d");
    terminal.press("g");
    terminal.until_it_says("S00 1d");
    terminal.press("?");
    terminal.until_it_says("Ctrl-C");
    assert!(!terminal.screen.says("Freshness"));
    // Escape leaves the help, and then the program.
    terminal.press("\u{1b}");
    terminal.until_it_says("▶ Freshness");
    terminal.press("r");
    terminal.press("\u{1b}[Z");
    terminal.until_it_says("▶ Last run");
    terminal.press("\u{1b}");
    expect_end(terminal, 0);
}

#[test]
fn keys_are_obeyed_while_the_database_does_not_answer() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, LARGE);
    terminal.until_it_says("OK - 1 fresh");
    // Nobody reads it now; who wants to waits for five seconds.
    let other = Connection::open(sandbox.path("mdctl.db")).expect("the database");
    other
        .execute_batch(
            "PRAGMA busy_timeout = 60000; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
        )
        .expect("it is ours");
    terminal.press("?");
    terminal.until_it_says("Ctrl-C");
    assert!(terminal.screen.says("OK - 1 fresh"), "the reader has not come back yet");
    terminal.press("?");
    // In time it says that it cannot tell, and why.
    terminal.until("it is told", |screen| screen.says("UNKNOWN - ") && screen.tells("locked"));
    other.execute_batch("ROLLBACK").expect("it is free");
    drop(other);
    terminal.until_it_says("OK - 1 fresh");
    terminal.press("q");
    expect_end(terminal, 0);
}

// Its end.

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let at_work = || {
        let mut terminal = AtTerminal::start(&sandbox, &WATCH, (80, 24));
        terminal.until_it_says("OK - 1 fresh");
        assert!(terminal.screen.is_alternate && terminal.screen.is_cursor_hidden);
        terminal
    };
    for keys in ["q", "\u{1b}", "\u{3}"] {
        let mut terminal = at_work();
        terminal.press(keys);
        let said = expect_end(terminal, 0);
        assert!(said.ends_with("\u{1b}[?1049l\u{1b}[?25h"), "{said:?}");
    }
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 143)] {
        let terminal = at_work();
        terminal.signal(signal);
        let said = expect_end(terminal, code);
        assert!(said.ends_with("\u{1b}[?1049l\u{1b}[?25h"), "{said:?}");
    }
}

#[test]
fn it_does_not_outlive_its_terminal() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let mut terminal = AtTerminal::start(&sandbox, &WATCH, (80, 24));
    terminal.until_it_says("UNKNOWN");
    assert_eq!(terminal.hang_up(), Some(143));
}

/// Only what is built for tests can be made to panic.
#[cfg(debug_assertions)]
#[test]
fn a_panic_is_told_on_a_terminal_that_is_as_before() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    for place in ["drawing", "reading"] {
        let rehearsed = [("MDCTL_TEST_PANIC", place)];
        let terminal = AtTerminal::start_with(&sandbox, &WATCH, (80, 24), &rehearsed);
        let said = expect_end(terminal, 101);
        let (screen, after) =
            said.split_once("\u{1b}[?1049l\u{1b}[?25h").expect("it is given back");
        assert!(!screen.contains("rehearsed"), "{said:?}");
        assert!(after.contains(&format!("a panic was rehearsed: {place}")), "{said:?}");
        assert!(!after.contains('\u{1b}'), "nothing is drawn afterwards: {said:?}");
    }
}

#[test]
fn no_log_line_tears_it() {
    let (_server, sandbox) = troubled();
    sandbox.backfill(&[]).expect_code(1);
    sandbox.write("taken", "a file, no folder");
    let config = sandbox.read("mdctl.toml") + "\n[log]\nfile = \"taken/mdctl.log\"\n";
    sandbox.write("mdctl.toml", config);
    let arguments = [&WATCH[..], &["-vv"]].concat();
    let mut terminal = AtTerminal::start(&sandbox, &arguments, LARGE);
    terminal.until_it_says("Past runs");
    terminal.press("q");
    let said = expect_end(terminal, 0);
    for word in ["INFO", "DEBUG", "WARN ", "\n"] {
        assert!(!said.contains(word), "{word:?} in {said:?}");
    }
}

#[test]
fn where_there_is_no_screen_it_says_what_tells_the_same() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let output = sandbox.mdctl(&["watch"]);
    output.expect_code(64).expect_stderr("stdout is no terminal");
    output.expect_stderr("hint: `mdctl status --json` and `mdctl health`");
    for arguments in [["watch", "--json"], ["watch", "--schema"]] {
        let output = sandbox.mdctl(&arguments);
        output.expect_code(64);
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("no JSON document") && said.contains("mdctl health"), "{output}");
    }
    assert_eq!(sandbox.mdctl(&["watch", "--json"]).json()["error"]["kind"], "usage");

    let mut terminal = AtTerminal::start(&sandbox, &["watch", "--every", "1ms"], (80, 24));
    let (code, said) = terminal.end();
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("--every is shorter than 100ms"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn it_stands_in_the_list_of_commands_behind_the_page() {
    let sandbox = Sandbox::new();
    let help = sandbox.mdctl(&["--help"]).stdout;
    let commands: Vec<&str> =
        help.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let at = commands.iter().position(|name| *name == "report").expect("the page");
    assert_eq!(commands[at + 1], "watch", "{help}");
    let help = sandbox.mdctl(&["watch", "--help"]);
    help.expect_code(0).expect_stdout("mdctl watch --every 5s");
}
