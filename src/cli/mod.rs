//! The command line: parse, load the config, do the command, end with its code.
//!
//! Commands take what the user typed and build what the program needs; nothing is decided while
//! parsing. Data goes to stdout, everything else to stderr; with `--json`, errors too are one document
//! on stdout.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use schemars::Schema;

use crate::config::env;
use crate::exit::Exit;
use crate::render;

mod actions;
mod alerts;
mod backfill;
mod bars;
mod baseline;
mod breaker;
mod completions;
mod db;
mod deed;
mod doctor;
mod ending;
mod enrich;
mod evidence;
mod failure;
mod features;
mod gaps;
mod health;
mod history;
mod import;
mod init;
mod man;
mod metrics;
mod pause;
mod quality;
mod report;
mod run;
mod scene;
mod select;
mod slo;
mod staleness;
mod status;
mod stored;
mod symbols;
mod times;
mod units;
mod watch;

use failure::Failure;
use scene::Scene;
use times::AsOf;

/// What a command ends with.
type Done = Result<Exit, Failure>;

/// Keeps market data on one machine complete, checked and fresh, and says when it is not.
///
/// Each call makes one pass, records what it did in one local SQLite file, and exits with a code that
/// tells the truth; systemd timers or cron call it.
#[derive(Debug, Parser)]
#[command(
    name = "mdctl",
    version,
    after_help = "Examples:
  mdctl init        a config that works as it is, and an empty database
  mdctl doctor      whether everything is there that it needs
  mdctl backfill    everything that is due and not stored
  mdctl health      the verdict, and what mends it

Exit codes:
  0          all well
  1, 2       some, all jobs failed; of a verdict: degraded, critical
  3          unknown: the database cannot be read
  4          some jobs were left for the next run
  64, 78     the command line, the config cannot be followed
  73, 74     a file cannot be made, the disk or the database fails
  75         another run holds the lock
  130, 143   stopped by SIGINT, SIGTERM"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The config file; else ./mdctl.toml, then the user's and the system's config folder.
    #[arg(long, global = true, env = env::CONFIG, value_name = "PATH", help_heading = "Everywhere")]
    config: Option<PathBuf>,
    /// The database, over the config's.
    #[arg(long, global = true, env = env::DATABASE, value_name = "PATH", help_heading = "Everywhere")]
    db: Option<PathBuf>,
    /// Print exactly one JSON document.
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// Colours: on a terminal, always, or never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Everywhere"
    )]
    color: Colour,
    /// More log lines on stderr; twice for still more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    verbose: u8,
    /// Fewer log lines on stderr: errors only.
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    quiet: bool,
    /// How log lines on stderr are written.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Everywhere"
    )]
    log_format: LogFormat,
    /// No progress bar.
    #[arg(long, global = true, help_heading = "Everywhere")]
    no_progress: bool,
    /// Print the JSON Schema of what --json prints, and do nothing else.
    #[arg(long, global = true, help_heading = "Everywhere")]
    schema: bool,
    /// Judge as if it were that time: an RFC 3339 instant, or a date, which is its end in UTC.
    #[arg(long, global = true, value_name = "TIME", help_heading = "Everywhere")]
    as_of: Option<AsOf>,
}

/// When colours are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also into pipes and files.
    Always,
    /// Nowhere.
    Never,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// The commands, each with its arguments; what each one is for stands on its own struct: a word here would take
/// the place of all of it.
macro_rules! commands {
    ($($name:ident($arguments:ty),)*) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($name($arguments),)*
        }

        impl Command {
            /// What the command of that name takes, without all others.
            fn only(name: &str) -> Option<clap::Command> {
                $(if name == stringify!($name).to_ascii_lowercase() {
                    return Some(<$arguments>::augment_args(clap::Command::new(name.to_owned())));
                })*
                None
            }
        }
    };
}

commands! {
    Init(init::Init),
    Symbols(symbols::Symbols),
    Backfill(backfill::Backfill),
    Enrich(enrich::Enrich),
    Import(import::ImportArgs),
    Health(health::Health),
    Staleness(staleness::Staleness),
    History(history::History),
    Status(status::Status),
    Metrics(metrics::MetricsArgs),
    Gaps(gaps::Gaps),
    Actions(actions::Actions),
    Quality(quality::Quality),
    Slo(slo::Slo),
    Alerts(alerts::Alerts),
    Report(report::Report),
    Watch(watch::Watch),
    Bars(bars::Bars),
    Features(features::Features),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Breaker(breaker::Breaker),
    Baseline(baseline::Baseline),
    Db(db::Db),
    Doctor(doctor::Doctor),
    Units(units::Units),
    Completions(completions::Completions),
    Man(man::Manual),
}

/// The command line: what it takes, and what it says of itself.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program on the process's own arguments.
#[must_use]
pub fn main() -> Exit {
    // Before anything is read that is to be kept.
    env::keep_to_itself();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let [_, only] = arguments.as_slice()
        && (only == "--version" || only == "-V")
    {
        return version();
    }
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return parse_trouble(&error, wants_json),
    };
    let json = cli.global.json;
    run(cli).unwrap_or_else(|failure| {
        // Where not even the error can be told, the code still tells it.
        let _ = failure.tell(json).or_else(|_| failure.tell(false));
        failure.exit
    })
}

/// Reads the command line. All commands and their arguments take longer to put together than most reports
/// to make: where the first word names a command, that one is enough, unless something is wrong or asked of it.
fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let named = arguments.get(1).and_then(|word| Command::only(word.to_str()?));
    if let Some(command) = named {
        let program = Global::augment_args(clap::Command::new("mdctl")).subcommand(command);
        let read = program.try_get_matches_from(&arguments);
        if let Ok(cli) = read.and_then(|matches| Cli::from_arg_matches(&matches)) {
            return Ok(cli);
        }
    }
    Cli::try_parse_from(arguments)
}

/// Says the version: that takes no command line of all commands, as long as nothing else is asked.
fn version() -> Exit {
    let said =
        print(|out| writeln!(out, "{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")));
    said.map_or_else(|failure| failure.exit, |()| Exit::Success)
}

fn run(cli: Cli) -> Done {
    if cli.global.schema {
        let schema = schema(&cli.command)?;
        print(|out| render::json(out, &schema))?;
        return Ok(Exit::Success);
    }
    let scene = || Scene::set(&cli.global);
    match &cli.command {
        // It makes the config that the others stand on.
        Command::Init(command) => init::exec(command, &cli.global),
        // These work without one.
        Command::Completions(command) => completions::exec(command, &cli.global),
        Command::Man(command) => man::exec(command, &cli.global),
        Command::Symbols(command) => symbols::exec(command, &scene()?),
        Command::Backfill(command) => backfill::exec(command, &scene()?),
        Command::Enrich(command) => enrich::exec(command, &scene()?),
        Command::Import(command) => import::exec(command, &scene()?),
        Command::Health(command) => health::exec(command, &scene()?),
        Command::Staleness(command) => staleness::exec(command, &scene()?),
        Command::History(command) => history::exec(command, &scene()?),
        Command::Status(command) => status::exec(command, &scene()?),
        Command::Metrics(command) => metrics::exec(command, &scene()?),
        Command::Gaps(command) => gaps::exec(command, &scene()?),
        Command::Actions(command) => actions::exec(command, &scene()?),
        Command::Quality(command) => quality::exec(command, &scene()?),
        Command::Slo(command) => slo::exec(command, &scene()?),
        Command::Alerts(command) => alerts::exec(command, &scene()?),
        Command::Report(command) => report::exec(command, &scene()?),
        Command::Watch(command) => watch::exec(command, &Scene::set_whole_screen(&cli.global)?),
        Command::Bars(command) => bars::exec(command, &scene()?),
        Command::Features(command) => features::exec(command, &scene()?),
        Command::Pause(command) => pause::pause(command, &scene()?),
        Command::Resume(command) => pause::resume(command, &scene()?),
        Command::Breaker(command) => breaker::exec(command, &scene()?),
        Command::Baseline(command) => baseline::exec(command, &cli.global),
        Command::Db(command) => db::exec(command, &scene()?),
        // That the config cannot be followed is for it to tell.
        Command::Doctor(command) => doctor::exec(command, &cli.global),
        // It may write units before there is a config.
        Command::Units(command) => units::exec(command, &cli.global),
    }
}

/// The JSON Schema of what a command prints with `--json` when it does what it is asked.
fn schema(command: &Command) -> Result<Schema, Failure> {
    Ok(match command {
        Command::Init(_) => render::init::schema(),
        Command::Symbols(command) => command.schema(),
        Command::Backfill(command) => command.run.schema(),
        Command::Enrich(command) => command.run.schema(),
        Command::Import(command) => command.schema(),
        Command::Health(_) => render::health::schema(),
        Command::Staleness(_) => render::staleness::schema(),
        Command::History(command) => command.schema(),
        Command::Status(command) => command.schema(),
        Command::Gaps(_) => render::gaps::schema(),
        Command::Actions(_) => render::actions::schema(),
        Command::Quality(command) => command.schema(),
        Command::Slo(_) => render::slo::schema(),
        Command::Report(_) => render::page::schema(),
        Command::Watch(_) => return Err(watch::no_document()),
        Command::Completions(_) => return Err(completions::no_document()),
        Command::Man(_) => return Err(man::no_document()),
        Command::Alerts(command) => command.schema(),
        Command::Metrics(_) => render::metrics::schema(),
        Command::Bars(_) => render::bars::schema(),
        Command::Features(_) => render::features::schema(),
        Command::Pause(_) | Command::Resume(_) => render::pause::schema(),
        Command::Breaker(command) => command.schema(),
        Command::Baseline(_) => render::baseline::schema(),
        Command::Db(command) => command.schema(),
        Command::Doctor(_) => render::doctor::schema(),
        Command::Units(command) => command.schema(),
    })
}

/// Help and version are no errors; everything else that clap says is one of usage.
fn parse_trouble(error: &clap::Error, json: bool) -> Exit {
    use clap::error::ErrorKind;
    let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if shown || !json {
        let _ = error.print();
        return if shown { Exit::Success } else { Exit::Usage };
    }
    let text = error.render().to_string();
    let said = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let said: Vec<&str> = said.take_while(|line| !line.is_empty()).collect();
    let message = said.join(" ");
    let message = message.trim_start_matches("error: ");
    let hint = format!("see {} --help", Cli::command().get_name());
    let failure = Failure::usage(message).hinted(hint);
    let _ = failure.tell(true);
    Exit::Usage
}

/// Writes to stdout. A reader that went away is no error.
fn print(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io("cannot write to stdout", &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
