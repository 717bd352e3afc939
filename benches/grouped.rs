//! Grouped: 5,000 symbols with two years of daily bars stored, one new bar each, a request for all of them.
//!
//! The answer is a market's day of 10,000 rows, of which half are of symbols that are tracked. The floor asks the
//! same server for the same answer with the same HTTP client, decodes it into plain structs and inserts the rows
//! of tracked symbols into the same table of a copy of the database, in one transaction. Beside it stands the same
//! day by a request a symbol.
//!
//! ```text
//! cargo bench --bench grouped            five rounds
//! cargo bench --bench grouped -- 3       three
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use serde::Deserialize;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::day::{DAY, END, SYMBOLS, copy, count, fill, market};
use support::figures::{Promise, Times, against};
use support::market::Market;
use support::process::run_watched;
use support::server::Server;
use support::{open, rounds, scratch};

/// Symbols of the market that nobody tracks.
const OTHERS: usize = 5_000;
const PATH: &str = "/v2/aggs/grouped/locale/us/market/stocks/2025-06-27";

fn main() {
    let rounds = rounds(5);
    let server = serve();
    let filled = fill(&server);
    println!("grouped: {SYMBOLS} symbols, one new bar each, {rounds} rounds");
    let [mut whole, mut plain, mut alone, mut floor] = [(); 4].map(|()| Times::new());
    let mut peak_mb = 0.0_f64;
    for _ in 0..rounds {
        let folder = scratch();
        let database = folder.path().join("bench.db");
        for (times, more, grouped, requests) in [
            (&mut whole, &[][..], true, 1),
            (&mut plain, &["--no-features"][..], true, 1),
            (&mut alone, &["--no-features"][..], false, SYMBOLS),
        ] {
            copy(filled.path(), folder.path());
            configure(folder.path(), grouped);
            server.take_requests();
            let arguments = [&["backfill", "--as-of", DAY][..], more].concat();
            let finished = run_watched(folder.path(), &arguments).expect(0, folder.path());
            times.add(finished.wall);
            if grouped {
                peak_mb = peak_mb.max(finished.peak_mb);
            }
            let asked = server.take_requests().len();
            if asked != requests {
                println!("  NO FIGURE: {asked} requests, not {requests}");
            }
            count("mdctl", "bars", &database, SYMBOLS);
            fs::remove_file(&database).expect("the database goes");
        }
        copy(filled.path(), folder.path());
        floor.add(bare(&database, &server.url()));
        count("floor", "bars", &database, SYMBOLS);
    }
    let symbols = SYMBOLS as f64;
    println!("{}", whole.rate("mdctl backfill", symbols, "symbols"));
    println!("{}", plain.rate("without features", symbols, "symbols"));
    println!("{}", alone.rate("a request a symbol", symbols, "symbols"));
    println!("{}", floor.rate("floor: bare", symbols, "symbols"));
    let most = Promise::AtMost(1.0);
    println!("{}", against("with features (median)", whole.median(), "s", most));
    println!("{}", against("with features (best)", whole.best(), "s", most));
    println!("{}", against("without features (median)", plain.median(), "s", most));
    println!("{}", against("without features (best)", plain.best(), "s", most));
    println!(
        "  {:<40} {:8.1}",
        "times faster than a request a symbol",
        alone.median() / plain.median()
    );
    println!("{}", against("peak memory", peak_mb, "MB", Promise::AtMost(100.0)));
}

/// A server with the days on which New York traded, and the whole market's last one.
fn serve() -> Server {
    let market = market();
    let pages = HashMap::from([(PATH.to_owned(), last_day(&market).into_bytes().into())]);
    market.serve(pages)
}

/// The last day of tracked symbols and others, by turns; stamped with the session's end.
fn last_day(market: &Market) -> String {
    let row = market.rows.last().expect("a day");
    let stamp = (row.ts + 20 * 3_600) * 1_000;
    let mut rows = String::new();
    for index in 0..SYMBOLS + OTHERS {
        let kind = if index % 2 == 0 { 'S' } else { 'Z' };
        let number = index / 2;
        let written = write!(
            rows,
            r#"{{"T":"{kind}{number:04}","v":{},"vw":{},"o":{},"c":{},"h":{},"l":{},"t":{stamp},"n":{}}},"#,
            row.volume, row.vwap, row.open, row.close, row.high, row.low, row.trades
        );
        written.expect("memory takes any text");
    }
    let count = SYMBOLS + OTHERS;
    format!(
        r#"{{"queryCount":{count},"resultsCount":{count},"adjusted":false,"results":[{}],"status":"OK","request_id":"0123456789abcdef","count":{count}}}"#,
        rows.trim_end_matches(',')
    )
}

/// Says in the config of `folder` whether days may be asked for of the whole market.
fn configure(folder: &Path, grouped: bool) {
    let path = folder.join("mdctl.toml");
    let text = fs::read_to_string(&path).expect("the config");
    fs::write(path, text.replace("grouped = false", &format!("grouped = {grouped}")))
        .expect("the config");
}

/// The answer as far as the floor looks at it.
#[derive(Deserialize)]
struct Page {
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "T")]
    ticker: String,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: Option<f64>,
    vw: Option<f64>,
    n: Option<i64>,
}

/// The floor.
fn bare(database: &Path, url: &str) -> Duration {
    let started = Instant::now();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let body = runtime.block_on(async {
        let answer = reqwest::get(format!("{url}{PATH}?adjusted=false")).await.expect("an answer");
        answer.bytes().await.expect("its body")
    });
    let page: Page = serde_json::from_slice(&body).expect("a page");
    let mut connection = open(database);
    store(&mut connection, &page).expect("the rows are stored");
    drop(connection);
    started.elapsed()
}

fn store(connection: &mut Connection, page: &Page) -> rusqlite::Result<()> {
    let series: HashMap<String, i64> = connection
        .prepare("SELECT symbol, series_id FROM series")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let transaction = connection.transaction()?;
    let mut insert = transaction.prepare("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for row in &page.results {
        let Some(id) = series.get(&row.ticker) else { continue };
        insert.execute(params![
            id,
            END - 86_400,
            row.o,
            row.h,
            row.l,
            row.c,
            row.v,
            row.vw,
            row.n
        ])?;
    }
    drop(insert);
    transaction.commit()
}
