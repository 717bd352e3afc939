//! Latency-bound: 50 symbols x 5 timeframes, a request each, every answer 200 ms away, no quota.
//!
//! The floor is what the network alone takes when no lane is ever empty: requests x latency / requests at
//! once. The program is measured as a whole process: start, plan, fetch, store, features, account. It is
//! measured with its jobs starting all at once, and with the pause between two of them that it makes by
//! default (100 ms). Each lane is to keep its connection.
//!
//! ```text
//! cargo bench --bench latency             50 symbols, about three minutes
//! cargo bench --bench latency -- 10       ten
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::distant::Distant;
use support::figures::{Promise, against};
use support::market::Market;
use support::process::run;
use support::{Config, rounds, scratch};

/// 2025-06-01T00:00:00Z: every bar has closed by then.
const END: i64 = 1_748_736_000;
const AS_OF: &str = "2025-06-01T00:00:00Z";
const LOOKBACK: i64 = 5 * 86_400;

const LATENCY: Duration = Duration::from_millis(200);

/// Each with what the provider calls it, and its seconds.
const TIMEFRAMES: [(&str, &str, i64); 5] = [
    ("5m", "5/minute", 300),
    ("15m", "15/minute", 900),
    ("30m", "30/minute", 1_800),
    ("1h", "1/hour", 3_600),
    ("1d", "1/day", 86_400),
];

fn main() {
    let symbols: Vec<String> = (0..rounds(50)).map(|at| format!("X:C{at:02}USD")).collect();
    let markets = TIMEFRAMES.map(|(_, span, seconds)| {
        Market::new(span, (END - LOOKBACK..END).step_by(seconds.unsigned_abs() as usize), 0)
    });
    let server =
        Distant::start(LATENCY, move |path| markets.iter().find_map(|market| market.answer(path)));
    let (count, width) = (symbols.len(), TIMEFRAMES.len());
    println!("latency: {count} symbols x {width} timeframes, {LATENCY:?} a request");
    for stagger in ["0s", "100ms"] {
        for parallel in [1, 3, 5, 10] {
            measure(&server, &symbols, stagger, parallel);
        }
    }
}

/// Has the program fill a new database with so many requests at once.
fn measure(server: &Distant, symbols: &[String], stagger: &str, parallel: usize) {
    let folder = scratch();
    let config = Config {
        url: &server.url(),
        asset_class: "crypto",
        timeframes: &TIMEFRAMES.map(|(timeframe, ..)| timeframe),
        lookback: LOOKBACK,
        symbols,
    };
    config.write(folder.path());
    let file = folder.path().join("mdctl.toml");
    let text = fs::read_to_string(&file).expect("the config");
    let text = text.replace(r#"stagger = "0s""#, &format!(r#"stagger = "{stagger}""#));
    fs::write(&file, text).expect("the config");
    server.take();
    let lanes = parallel.to_string();
    let arguments = ["backfill", "--as-of", AS_OF, "--parallel", &lanes];
    let wall = run(folder.path(), &arguments).expect(0, folder.path()).wall.as_secs_f64();
    let (arrivals, connections) = server.take();
    let requests = symbols.len() * TIMEFRAMES.len();
    let bars: i64 = TIMEFRAMES.iter().map(|(_, _, seconds)| LOOKBACK / seconds).sum();
    let (stored, wanted) = (stored(folder.path()), bars * symbols.len() as i64);
    if arrivals.len() != requests || stored != wanted {
        let asked = arrivals.len();
        println!("  NO FIGURE: {asked} requests of {requests}, {stored} bars of {wanted}");
    }
    let floor = requests as f64 * LATENCY.as_secs_f64() / parallel as f64;
    println!(
        "  {parallel:>2} at once, stagger {stagger:>5}:  wall {wall:7.3} s   floor {floor:7.3} s   {connections} connections"
    );
    println!("{}", against("  wall, times the floor", wall / floor, "", Promise::AtMost(1.05)));
}

fn stored(folder: &Path) -> i64 {
    let connection = Connection::open(folder.join("bench.db")).expect("the database");
    let sql = "SELECT count(*) FROM bars";
    connection.query_row(sql, [], |row| row.get(0)).expect("the bars")
}
