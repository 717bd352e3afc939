//! Monitoring: what a run costs more when it is watched, with a log file and traces to a collector on this
//! machine, than without. Promised of a bulk run (20 symbols of 200,000 one-minute bars), told of one that has
//! most to tell for its bars (2,000 symbols of 500 hours, a request each).
//!
//! Both are whole processes into a new database, in turn; the collector is in this process, takes what it
//! is sent and reads none of it. Where others use the machine too, the time of its processors tells more
//! than the clock.
//!
//! ```text
//! cargo bench --bench monitoring            five rounds
//! cargo bench --bench monitoring -- 3       three
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::figures::{Promise, Times, against};
use support::market::Market;
use support::process::{Finished, run_watched};
use support::server::{Answer, Server};
use support::{Config, rounds, scratch};

/// 2025-06-01T00:00:00Z: every bar has closed by then.
const END: i64 = 1_748_736_000;
const AS_OF: &str = "2025-06-01T00:00:00Z";

fn main() {
    let rounds = rounds(5);
    println!("monitoring: log file and traces against none, {rounds} rounds");
    Stage::new("bulk", "1m", 60, 20, 200_000).promising(Promise::AtMost(10.0)).measure(rounds);
    Stage::new("small jobs", "1h", 3_600, 2_000, 500).measure(rounds);
}

/// A provider with its bars, a collector, and what is asked of them.
struct Stage {
    name: &'static str,
    timeframe: &'static str,
    length: i64,
    symbols: Vec<String>,
    bars: i64,
    provider: Server,
    collector: Server,
    /// How much watching may cost; `None` where it is only told.
    promise: Option<Promise>,
}

impl Stage {
    fn new(
        name: &'static str,
        timeframe: &'static str,
        length: i64,
        symbols: usize,
        bars: i64,
    ) -> Self {
        let symbols: Vec<String> = (0..symbols).map(|index| format!("X:C{index:04}USD")).collect();
        let span = if timeframe == "1h" { "1/hour" } else { "1/minute" };
        let times = (0..bars).map(|index| END - (bars - index) * length);
        let market = Arc::new(Market::new(span, times, 0));
        let pages = market.pages(&symbols, END * 1000 - 1);
        let provider = market.serve(pages);
        let collector = Server::start(|_| Answer::ok(""));
        Self { name, timeframe, length, symbols, bars, provider, collector, promise: None }
    }

    fn promising(self, promise: Promise) -> Self {
        Self { promise: Some(promise), ..self }
    }

    /// Measures both, in turn.
    fn measure(&self, rounds: usize) {
        let (mut plain, mut watched) = (Times::new(), Times::new());
        let (mut plain_cpu, mut watched_cpu) = (Times::new(), Times::new());
        let mut peak_mb = 0.0_f64;
        for _ in 0..rounds {
            for (times, cpu, is_watched) in
                [(&mut plain, &mut plain_cpu, false), (&mut watched, &mut watched_cpu, true)]
            {
                let before = processors();
                let finished = self.run(is_watched);
                cpu.add(processors().saturating_sub(before));
                times.add(finished.wall);
                if is_watched {
                    peak_mb = peak_mb.max(finished.peak_mb);
                }
            }
        }
        let bars = self.bars as f64 * self.symbols.len() as f64;
        println!("{}", plain.rate(self.name, bars, "bars"));
        println!("{}", watched.rate("  watched", bars, "bars"));
        for (of, cost) in [
            ("clock", watched.median() / plain.median()),
            ("processors", watched_cpu.median() / plain_cpu.median()),
        ] {
            let (name, cost) = (format!("watching costs, by the {of}"), (cost - 1.0) * 100.0);
            match self.promise {
                Some(promise) => println!("{}", against(&name, cost, "%", promise)),
                None => println!("  {name:<44} {cost:8.2} %   nothing promised"),
            }
        }
        println!("{}", against("peak memory, watched", peak_mb, "MB", Promise::AtMost(100.0)));
    }

    /// Has the program fill a new database.
    fn run(&self, is_watched: bool) -> Finished {
        let folder = scratch();
        let config = Config {
            url: &self.provider.url(),
            asset_class: "crypto",
            timeframes: &[self.timeframe],
            lookback: self.bars * self.length,
            symbols: &self.symbols,
        };
        config.write(folder.path());
        if is_watched {
            let endpoint = self.collector.url();
            let more = format!(
                "\n[log]\nfile = \"logs/mdctl.log\"\n\n[otlp]\nendpoint = \"{endpoint}\"\n"
            );
            let config = OpenOptions::new().append(true).open(folder.path().join("mdctl.toml"));
            config.and_then(|mut config| config.write_all(more.as_bytes())).expect("the config");
        }
        let finished = run_watched(folder.path(), &["backfill", "--as-of", AS_OF]);
        let finished = finished.expect(0, folder.path());
        self.count(folder.path(), is_watched);
        finished
    }

    /// Complains when not all bars are there, or nobody was told.
    fn count(&self, folder: &Path, is_watched: bool) {
        let connection = Connection::open(folder.join("bench.db")).expect("the database");
        let stored: i64 = connection
            .query_row("SELECT sum(bar_count) FROM series", [], |row| row.get(0))
            .expect("the series");
        let wanted = self.bars * self.symbols.len() as i64;
        self.provider.take_requests();
        let told: usize =
            self.collector.take_requests().iter().map(|request| request.body.len()).sum();
        let said = fs::read_to_string(folder.join("stderr")).unwrap_or_default();
        let lost = said.lines().find(|line| line.contains("did not reach the collector"));
        if stored != wanted || (told > 0) != is_watched || lost.is_some() {
            println!("  NO FIGURE: {stored} bars of {wanted}, {told} bytes of traces, {lost:?}");
        }
    }
}

/// The time of processors that the programs which ended so far took, to the hundredth of a second.
fn processors() -> Duration {
    const USER: usize = 13;
    const SYSTEM: usize = 14;
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // What stands before the last bracket is a name, and may hold anything.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| -> u64 {
        let text = fields.split_whitespace().nth(field).unwrap_or_default();
        text.parse().unwrap_or(0)
    };
    Duration::from_millis((ticks(USER) + ticks(SYSTEM)) * 10)
}
