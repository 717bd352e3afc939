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
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mdctl::calendar::{Calendar, Layout, Overrides};
use mdctl::domain::range::TimeRange;
use mdctl::domain::timeframe::Timeframe;
use rusqlite::{Connection, params};
use serde::Deserialize;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::figures::{Promise, Times, against};
use support::market::Market;
use support::process::run_watched;
use support::server::Server;
use support::{Config, open, rounds, scratch};

/// 2025-06-28T00:00:00Z, the end of a Friday with a session.
const END: i64 = 1_751_068_800;
const DAY_BEFORE: &str = "2025-06-26";
const DAY: &str = "2025-06-27";
const TWO_YEARS: i64 = 2 * 365 * 86_400;

const SYMBOLS: usize = 5_000;
/// Symbols of the market that nobody tracks.
const OTHERS: usize = 5_000;
const PATH: &str = "/v2/aggs/grouped/locale/us/market/stocks/2025-06-27";

static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..SYMBOLS).map(|index| format!("S{index:04}")).collect());

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
            count("mdctl", &database);
            fs::remove_file(&database).expect("the database goes");
        }
        copy(filled.path(), folder.path());
        floor.add(bare(&database, &server.url()));
        count("floor", &database);
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
    let calendar = Calendar::named("XNYS", Overrides::default()).expect("a known calendar");
    let range = TimeRange::new(END - TWO_YEARS - 30 * 86_400, END);
    let days = calendar.windows(Timeframe::D1, Layout::default(), range).map(|window| window.ts);
    let market = Arc::new(Market::new("1/day", days, 5 * 3600));
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

/// A folder with two years of bars in its database, up to the day before.
fn fill(server: &Server) -> tempfile::TempDir {
    let folder = scratch();
    let config = Config {
        url: &server.url(),
        asset_class: "stock",
        timeframes: &["1d"],
        lookback: TWO_YEARS,
        symbols: &NAMES,
    };
    config.write(folder.path());
    let filled = run_watched(folder.path(), &["backfill", "--as-of", DAY_BEFORE]);
    let filled = filled.expect(0, folder.path());
    println!("filled in {:.1} s", filled.wall.as_secs_f64());
    folder
}

/// Copies config and database, down to the disk: nothing of it is to be written later.
fn copy(from: &Path, to: &Path) {
    for name in ["mdctl.toml", "key", "bench.db"] {
        fs::copy(from.join(name), to.join(name)).expect("the copy");
        File::open(to.join(name)).and_then(|file| file.sync_all()).expect("the disk has it");
    }
}

/// Says in the config of `folder` whether days may be asked for of the whole market.
fn configure(folder: &Path, grouped: bool) {
    let path = folder.join("mdctl.toml");
    let text = fs::read_to_string(&path).expect("the config");
    fs::write(path, text.replace("grouped = false", &format!("grouped = {grouped}")))
        .expect("the config");
}

/// Complains when not every symbol got its bar.
fn count(who: &str, database: &Path) {
    let connection = Connection::open(database).expect("the database");
    let sql = "SELECT count(*) FROM bars WHERE ts = ?";
    let stored: i64 =
        connection.query_row(sql, [END - 86_400], |row| row.get(0)).expect("the rows");
    if stored != SYMBOLS as i64 {
        println!("  NO FIGURE: {who} stored {stored} new bars of {SYMBOLS}");
    }
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
