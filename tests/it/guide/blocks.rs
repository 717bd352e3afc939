//! Every block of commands in the documents is run, as it stands, by a shell, in a folder of its own.
//!
//! A line is to end with 0, or with the code that a comment behind it names: `# exits 2`. A block that cannot
//! be run here has its reason in a comment right before it, `<!-- not run: ... -->`. Bars come from a
//! provider on this machine: when a line has written a config, the test names that address in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Sandbox;
use crate::support::market::{DAY, HOUR, Market, rows};
use crate::support::server::Server;

use super::page::{Fence, Page, root};

/// What says that a block is not run.
const NOT_RUN: &str = "not run: ";

/// Blocks of the README that `.ci/run` runs as they stand.
const RUN_BY_CI: [&str; 2] = ["quickstart", "test"];

/// Where a page's commands are run: one folder for all of them, in their order.
struct World {
    sandbox: Sandbox,
    server: Server,
}

impl World {
    fn new() -> Self {
        let now = mdctl::clock::now();
        let days: Vec<i64> = ((now - 100 * DAY) / DAY * DAY..now).step_by(86_400).collect();
        let hours: Vec<i64> = ((now - 10 * DAY) / HOUR * HOUR..now).step_by(3_600).collect();
        let market = ["BTCUSDT", "ETHUSDT"].into_iter().fold(Market::new(), |market, symbol| {
            market.with(symbol, "1d", rows(&days)).with(symbol, "1h", rows(&hours))
        });
        let world = Self {
            sandbox: Sandbox::new(),
            server: Server::start(move |request| market.binance(request)),
        };
        fs::create_dir(world.sandbox.path("bin")).expect("a folder");
        symlink(env!("CARGO_BIN_EXE_mdctl"), world.sandbox.path("bin/mdctl")).expect("a link");
        world
    }

    /// The same with a config as `mdctl init` writes it, and its bars.
    fn settled() -> Self {
        let world = Self::new();
        world.run("mdctl init");
        world.run("mdctl backfill");
        world
    }

    /// Runs a line by a shell; tells its code, and what it said.
    fn run(&self, line: &str) -> (Option<i32>, String) {
        let folder = self.sandbox.path("");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.sandbox.path("bin").display());
        let output = Command::new("bash")
            .args(["-uo", "pipefail", "-c", line])
            .current_dir(&folder)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.sandbox.path("home"))
            .env("USER", "guide")
            .stdin(Stdio::null())
            .output()
            .expect("there is a shell");
        self.point_here();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Names this machine's provider in a config that has just been written, and wants less of it.
    fn point_here(&self) {
        let path = self.sandbox.path("mdctl.toml");
        let Ok(config) = fs::read_to_string(&path) else { return };
        let here = format!("kind = \"binance\"\nbase_url = \"{}\"\n", self.server.url());
        let less =
            "timeframes = [\"1d\", \"1h\"]\nlookback = { \"1d\" = \"90d\", \"1h\" = \"5d\" }\n";
        let pointed = config.replacen("kind = \"binance\"\n", &here, 1).replacen(
            "timeframes = [\"1d\", \"1h\"]\n",
            less,
            1,
        );
        if !config.contains("\nbase_url = \"http://127") {
            fs::write(&path, pointed).expect("the config is written");
        }
    }

    /// Runs the blocks of a page that can be run.
    #[track_caller]
    fn run_blocks(&self, page: &Page) {
        let mut run = 0;
        for fence in page.fences("sh") {
            if fence.note.is_some_and(|note| note.starts_with(NOT_RUN) || RUN_BY_CI.contains(&note))
            {
                continue;
            }
            for line in commands(&fence) {
                let (code, said) = self.run(&line);
                let wanted = exit_code(&line);
                assert!(
                    code == Some(wanted),
                    "{}, line {}: {line}\nended with {code:?} instead of {wanted}\n{said}",
                    page.name,
                    fence.line
                );
                run += 1;
            }
        }
        assert!(run > 0, "{} has no block that is run", page.name);
    }
}

/// The commands of a block: its lines, those joined that end with a backslash.
fn commands(fence: &Fence<'_>) -> Vec<String> {
    let text = fence.lines.join("\n").replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The code that a line is to end with: what its comment names, else 0.
fn exit_code(line: &str) -> i32 {
    let comment = line.rsplit_once(" # ").map_or("", |(_, comment)| comment);
    let named = comment.split_once("exits ").map(|(_, rest)| rest);
    let digits =
        named.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    digits.map_or(0, |digits| digits.parse().expect("a code"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder is read") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("it is copied");
        }
    }
}

#[test]
fn the_readme_can_be_followed() {
    let world = World::new();
    // What its first block does with the sources at hand.
    copy(&root().join("examples/data"), &world.sandbox.path("examples/data"));
    fs::copy(
        root().join("examples/quickstart.toml"),
        world.sandbox.path("examples/quickstart.toml"),
    )
    .expect("it is copied");
    let (code, said) = world.run("mdctl backfill --config examples/quickstart.toml");
    assert_eq!(code, Some(0), "{said}");
    world.run_blocks(&Page::open("README.md"));
}

#[test]
fn the_runbook_can_be_followed() {
    World::settled().run_blocks(&Page::of_guide("runbook"));
}

#[test]
fn the_other_pages_can_be_followed() {
    for name in ["exit_codes", "json", "systemd", "tables"] {
        World::settled().run_blocks(&Page::of_guide(name));
    }
    // It begins with `mdctl init`.
    World::new().run_blocks(&Page::of_guide("config"));
}

/// Only what needs another machine, another user or the network may be left out, and says so.
#[test]
fn what_is_not_run_says_why() {
    let mut left_out = Vec::new();
    for page in Page::all() {
        for fence in page.fences("sh") {
            let Some(reason) = fence.note.and_then(|note| note.strip_prefix(NOT_RUN)) else {
                continue;
            };
            assert!(reason.len() > 15, "{}, line {}: why?", page.name, fence.line);
            left_out.push(format!("{}, line {}: {reason}", page.name, fence.line));
        }
    }
    assert!(left_out.len() < 16, "too much is not run:\n{}", left_out.join("\n"));
}
