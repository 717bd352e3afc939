//! Incremental: 5,000 symbols with two years of daily bars stored, one new bar each, a request each.
//!
//! The floor is a bare loop with the same HTTP client and as many requests at once (3): it asks the
//! same server for the same answers, decodes them into plain structs and inserts their rows into the
//! same table of a copy of the database (rows that are there are left alone), one writer, 64 answers
//! a transaction. It neither plans nor retries, validates, logs or accounts. As the program it is a process
//! of its own, from its start to its end: what it costs to go to and fro between client and server is the
//! same for both. Beside it stands the same day without features; with them it is to cost less than three
//! times as much as without.
//!
//! Both are measured twice: against a server on this machine that answers at once, where the processors that
//! it takes part of are the limit; and against one that is two milliseconds away, as near as a provider gets.
//!
//! ```text
//! cargo bench --bench incremental            five rounds
//! cargo bench --bench incremental -- 3       three
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use rusqlite::{Connection, params};
use serde::Deserialize;
use tokio::sync::mpsc;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::day::{DAY, SYMBOLS, copy, count, fill, market};
use support::distant::Distant;
use support::figures::{Promise, Times, against};
use support::market::Market;
use support::process::{run, run_watched};
use support::server::Request;
use support::{open, rounds, scratch};

/// Requests at once: what the program does by default.
const PARALLEL: usize = 3;
/// Answers a transaction of the floor.
const BATCH: usize = 64;
/// How far away a server is that is no part of this machine.
const NEAR: Duration = Duration::from_millis(2);
const NEAR_ROUNDS: usize = 3;
/// The first word of the command line of whoever is the floor. Its folder holds what it needs.
const FLOOR: &str = "floor";
/// The URLs that the floor asks for, a line each.
const URLS: &str = "urls";

fn main() {
    if env::args().nth(1).is_some_and(|word| word == FLOOR) {
        return bare_loop();
    }
    let rounds = rounds(5);
    let market = market();
    let server = Arc::clone(&market).serve(HashMap::new());
    let filled = fill(&server);
    println!("incremental: {SYMBOLS} symbols, one new bar and one request each, {rounds} rounds");
    let (mut whole, mut program, mut floor) = (Times::new(), Times::new(), Times::new());
    let mut asked = Vec::new();
    for _ in 0..rounds {
        whole.add(backfill(filled.path(), None, &[], SYMBOLS));
        server.take_requests();
        program.add(backfill(filled.path(), None, &["--no-features"], 0));
        asked = server.take_requests().iter().map(Request::target).collect();
        if asked.len() != SYMBOLS {
            println!("  NO FIGURE: {} requests for {SYMBOLS} symbols", asked.len());
        }
        floor.add(run_itself(filled.path(), &server.url(), &asked));
    }
    println!("{}", whole.rate("mdctl backfill", SYMBOLS as f64, "symbols"));
    compare("without features", &program, &floor);
    let ratio = whole.median() / program.median();
    println!(
        "{}",
        against("with features, times without (medians)", ratio, "", Promise::AtMost(3.0))
    );
    let ratio = whole.best() / program.best();
    println!("{}", against("with features, times without (best)", ratio, "", Promise::AtMost(3.0)));
    near(filled.path(), (server.url(), market), &asked);
    let watched =
        run_watched(filled.path(), &["backfill", "--as-of", DAY]).expect(0, filled.path());
    println!("{}", against("peak memory", watched.peak_mb, "MB", Promise::AtMost(100.0)));
}

/// Measures, without features, against a server that is [`NEAR`].
fn near(filled: &Path, (url, market): (String, Arc<Market>), asked: &[String]) {
    let server = Distant::start(NEAR, move |path| market.answer(path));
    println!("the same, every answer {NEAR:?} away");
    let (mut program, mut floor) = (Times::new(), Times::new());
    for _ in 0..NEAR_ROUNDS {
        program.add(backfill(filled, Some((&url, &server.url())), &["--no-features"], 0));
        floor.add(run_itself(filled, &server.url(), asked));
    }
    compare("without features", &program, &floor);
}

fn compare(what: &str, program: &Times, floor: &Times) {
    println!("{}", program.rate(what, SYMBOLS as f64, "symbols"));
    println!("{}", floor.rate("floor: bare loop", SYMBOLS as f64, "symbols"));
    let ratio = program.median() / floor.median();
    println!("{}", against("without, times the floor (medians)", ratio, "", Promise::AtMost(1.25)));
    let ratio = program.best() / floor.best();
    println!("{}", against("without, times the floor (best)", ratio, "", Promise::AtMost(1.25)));
}

/// The day fetched by the program into a copy of what is filled: how long it takes. `elsewhere` is the server
/// that is meant in place of the config's.
fn backfill(
    filled: &Path,
    elsewhere: Option<(&str, &str)>,
    more: &[&str],
    features: usize,
) -> Duration {
    let folder = scratch();
    copy(filled, folder.path());
    if let Some((url, other)) = elsewhere {
        let config = folder.path().join("mdctl.toml");
        let text = fs::read_to_string(&config).expect("the config");
        fs::write(&config, text.replace(url, other)).expect("the config");
    }
    let arguments = [&["backfill", "--as-of", DAY][..], more].concat();
    let wall = run(folder.path(), &arguments).expect(0, folder.path()).wall;
    let database = folder.path().join("bench.db");
    count("mdctl", "bars", &database, SYMBOLS);
    count("mdctl", "features", &database, features);
    wall
}

/// The answer as far as the floor looks at it.
#[derive(Deserialize)]
struct Page {
    ticker: String,
    #[serde(default)]
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    t: i64,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: Option<f64>,
    vw: Option<f64>,
    n: Option<i64>,
}

/// Likewise by the floor, as a process.
fn run_itself(filled: &Path, url: &str, asked: &[String]) -> Duration {
    let folder = scratch();
    let folder = folder.path();
    copy(filled, folder);
    let urls: String = asked.iter().map(|target| format!("{url}{target}\n")).collect();
    fs::write(folder.join(URLS), urls).expect("a file");
    let program = env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg(FLOOR).current_dir(folder).stdin(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("it runs");
    let wall = started.elapsed();
    if !status.success() {
        println!("  NO FIGURE: the floor ended with {status}");
    }
    count("floor", "bars", &folder.join("bench.db"), SYMBOLS);
    wall
}

/// The floor.
fn bare_loop() {
    let urls = fs::read_to_string(URLS).expect("the URLs");
    let urls: Arc<Vec<String>> = Arc::new(urls.lines().map(str::to_owned).collect());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (sender, mut pages) = mpsc::channel(BATCH);
    let client = Client::new();
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..PARALLEL {
        runtime.spawn(ask(client.clone(), Arc::clone(&urls), Arc::clone(&next), sender.clone()));
    }
    drop(sender);
    let mut connection = open(Path::new("bench.db"));
    let series = series(&connection).expect("the series");
    while let Some(first) = pages.blocking_recv() {
        let transaction = connection.transaction().expect("a transaction");
        insert(&transaction, &series, &first).expect("the rows are stored");
        for _ in 1..BATCH {
            let Some(page) = pages.blocking_recv() else { break };
            insert(&transaction, &series, &page).expect("the rows are stored");
        }
        transaction.commit().expect("the commit");
    }
}

/// One lane: asks for whatever is next until nothing is left.
async fn ask(
    client: Client,
    urls: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
    pages: mpsc::Sender<Page>,
) {
    while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
        let answer = client.get(url).send().await.expect("an answer");
        let body = answer.bytes().await.expect("its body");
        let page = serde_json::from_slice(&body).expect("a page");
        if pages.send(page).await.is_err() {
            return;
        }
    }
}

fn series(connection: &Connection) -> rusqlite::Result<HashMap<String, i64>> {
    let mut statement = connection.prepare("SELECT symbol, series_id FROM series")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn insert(
    connection: &Connection,
    series: &HashMap<String, i64>,
    page: &Page,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    for row in &page.results {
        let ts = row.t.div_euclid(86_400_000) * 86_400;
        let series = series[&page.ticker];
        insert.execute(params![series, ts, row.o, row.h, row.l, row.c, row.v, row.vw, row.n])?;
    }
    Ok(())
}
