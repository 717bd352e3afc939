//! Quota-bound: 600 requests a minute with bursts of 20; how much of what it allows is used, and that
//! nothing goes beyond it.
//!
//! The judge is a server 50 ms away, by its own clock, which begins with a full bucket: between any two
//! arrivals there may be no more requests than the burst and what grew meanwhile. The tolerance is a
//! hundredth of a request, 1 ms: the program counts a request from its end, so that no jitter on the way
//! brings one too early. What was allowed is the burst and what grew between the first and the last
//! arrival. It is spent by one process, and then by ten in a row that share the database; their starts and
//! ends are in the figure.
//!
//! Beside it stands a window without a burst: never more than so many in any so long. Its places come
//! again so long after a request has ended, and not after it arrived: how long after is its share.
//!
//! ```text
//! cargo bench --bench quota             about two minutes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::fs;
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::distant::Distant;
use support::figures::{Promise, against};
use support::market::Market;
use support::process::run;
use support::{Config, scratch};

/// 2025-06-01T00:00:00Z: every bar has closed by then.
const END: i64 = 1_748_736_000;
const AS_OF: &str = "2025-06-01T00:00:00Z";
const LOOKBACK: i64 = 5 * 86_400;

const LATENCY: Duration = Duration::from_millis(50);

const BURST: f64 = 20.0;
const A_SECOND: f64 = 10.0;
const BUCKET: &str = r#"{ requests = 600, per = "60s", burst = 20 }"#;

/// So many in any so many seconds.
const IN_WINDOW: usize = 50;
const WINDOW: f64 = 5.0;

/// In requests.
const TOLERANCE: f64 = 0.01;

fn main() {
    let market = Market::new("1/day", (END - LOOKBACK..END).step_by(86_400), 0);
    let server = Distant::start(LATENCY, move |path| market.answer(path));
    println!("quota: 600 a minute, bursts of 20, {LATENCY:?} a request");
    bucket("one process of 260 requests", &spend(&server, BUCKET, 260, 1), 260);
    bucket("ten processes of 40 in a row", &spend(&server, BUCKET, 40, 10), 400);
    let rate = format!(r#"{{ requests = {IN_WINDOW}, per = "{WINDOW}s" }}"#);
    println!("{IN_WINDOW} in any {WINDOW} s");
    window("one process of 250 requests", &spend(&server, &rate, 250, 1), 250);
    window("five processes of 50 in a row", &spend(&server, &rate, 50, 5), 250);
}

/// When requests arrived of so many processes in a row, each of which asks for so many symbols.
fn spend(server: &Distant, rate: &str, symbols: usize, processes: usize) -> Vec<Instant> {
    let folder = configured(server, rate, symbols);
    server.take();
    for _ in 0..processes {
        run(folder.path(), &["backfill", "--full", "--as-of", AS_OF]).expect(0, folder.path());
    }
    server.take().0
}

fn configured(server: &Distant, rate: &str, symbols: usize) -> TempDir {
    let folder = scratch();
    let symbols: Vec<String> = (0..symbols).map(|at| format!("X:C{at:03}USD")).collect();
    let config = Config {
        url: &server.url(),
        asset_class: "crypto",
        timeframes: &["1d"],
        lookback: LOOKBACK,
        symbols: &symbols,
    };
    config.write(folder.path());
    let file = folder.path().join("mdctl.toml");
    let text = fs::read_to_string(&file).expect("the config");
    fs::write(&file, text.replace(r#"{ requests = 1000000, per = "1s" }"#, rate))
        .expect("the config");
    folder
}

/// Says how much of a bucket was used, and how much more than it holds.
fn bucket(name: &str, arrivals: &[Instant], wanted: usize) {
    let seconds = told(name, arrivals, wanted);
    let share = arrivals.len() as f64 / (BURST + A_SECOND * seconds);
    println!("{}", against("share of what it allowed", 100.0 * share, "%", Promise::AtLeast(98.0)));
    let beyond = |from: usize, to: usize| {
        let grown = A_SECOND * (arrivals[to] - arrivals[from]).as_secs_f64();
        (to - from + 1) as f64 - BURST - grown
    };
    let all = (0..arrivals.len()).flat_map(|from| (from..arrivals.len()).map(move |to| (from, to)));
    let most = all.map(|(from, to)| beyond(from, to)).fold(f64::NEG_INFINITY, f64::max);
    println!("{}", against("most beyond it", most, "", Promise::AtMost(TOLERANCE)));
}

/// Says how soon a window's places came again, compared with its length, and that none came too soon.
fn window(name: &str, arrivals: &[Instant], wanted: usize) {
    told(name, arrivals, wanted);
    let spans = arrivals.windows(IN_WINDOW + 1);
    let spans: Vec<f64> = spans.map(|span| (span[IN_WINDOW] - span[0]).as_secs_f64()).collect();
    let mean = spans.iter().sum::<f64>() / spans.len() as f64;
    let share = 100.0 * WINDOW / mean;
    println!("{}", against("share of what it allowed", share, "%", Promise::AtLeast(98.0)));
    let shortest = spans.into_iter().fold(f64::INFINITY, f64::min);
    let name = format!("the shortest stretch with {}", IN_WINDOW + 1);
    println!("{}", against(&name, shortest, "s", Promise::AtLeast(WINDOW)));
}

/// Says what arrived; tells the seconds between the first and the last.
fn told(name: &str, arrivals: &[Instant], wanted: usize) -> f64 {
    if arrivals.len() != wanted {
        println!("  NO FIGURE: {} requests of {wanted}", arrivals.len());
    }
    let ends = arrivals.first().zip(arrivals.last());
    let seconds = ends.map_or(f64::NAN, |(first, last)| (*last - *first).as_secs_f64());
    println!(" {name}, in {seconds:.3} s");
    seconds
}
