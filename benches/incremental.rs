//! Incremental: 5,000 symbols with two years of daily bars stored, one new bar each, a request each.
//!
//! The floors are bare loops with the same HTTP client: each asks the same server for the same answers,
//! decodes them into plain structs and inserts their rows into the same table of a copy of the database
//! (rows that are there are left alone), 64 answers a transaction. None of them plans, retries, validates,
//! logs or accounts. As the program they are processes of their own, from their start to their end: what it
//! costs to go to and fro between client and server is the same for all.
//!
//! - `one at a time`: fetches, decodes and inserts, one symbol after the other.
//! - `3 at once`: the same with as many requests at once as the program makes, on tokio's ordinary runtime.
//! - `3 and a writer`: the leanest that we could think of, with a thread that does nothing but insert.
//!
//! The promise is about the first two, the bare loop as one writes it, and about any loop once the server is not
//! on this machine. How the program stands beside the leanest on it is shown, and promised nowhere.
//!
//! The same day with features is to cost less than three times as much as without.
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

use reqwest::{Client, IntoUrl};
use rusqlite::{Connection, params};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

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
/// The first word of the command line of whoever is a floor; its number in [`FLOORS`] follows. Its folder
/// holds what it needs.
const FLOOR: &str = "floor";
/// The URLs that a floor asks for, a line each.
const URLS: &str = "urls";

/// Asks for what lies at the URLs, decodes and inserts it.
type Floor = fn(Vec<String>);

/// The floors, each by its name.
const FLOORS: [(&str, Floor); 3] = [
    ("one at a time", |urls| plain_loop(urls, 1)),
    ("3 at once", |urls| plain_loop(urls, PARALLEL)),
    ("3 and a writer", with_a_writer),
];
/// The leanest of them.
const LEANEST: usize = 2;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [word, number] = words.as_slice()
        && word == FLOOR
    {
        return be_a_floor(number);
    }
    let rounds = rounds(5);
    let market = market();
    let server = Arc::clone(&market).serve(HashMap::new());
    let filled = fill(&server);
    println!("incremental: {SYMBOLS} symbols, one new bar and one request each, {rounds} rounds");
    let (mut whole, mut program) = (Times::new(), Times::new());
    let mut floors = FLOORS.map(|_| Times::new());
    let mut asked = Vec::new();
    for _ in 0..rounds {
        whole.add(backfill(filled.path(), None, &[], SYMBOLS));
        server.take_requests();
        program.add(backfill(filled.path(), None, &["--no-features"], 0));
        asked = server.take_requests().iter().map(Request::target).collect();
        if asked.len() != SYMBOLS {
            println!("  NO FIGURE: {} requests for {SYMBOLS} symbols", asked.len());
        }
        for (number, floor) in floors.iter_mut().enumerate() {
            floor.add(run_itself(number, filled.path(), &server.url(), &asked));
        }
    }
    println!("{}", whole.rate("mdctl backfill", SYMBOLS as f64, "symbols"));
    println!("{}", program.rate("without features", SYMBOLS as f64, "symbols"));
    for ((name, _), floor) in FLOORS[..LEANEST].iter().zip(&floors) {
        compare(name, &program, floor);
    }
    let (name, floor) = (FLOORS[LEANEST].0, &floors[LEANEST]);
    println!("{}", floor.rate(&format!("floor: {name}"), SYMBOLS as f64, "symbols"));
    let (medians, best) = (program.median() / floor.median(), program.best() / floor.best());
    println!(
        "    without features, times this floor          {medians:.2} (medians), {best:.2} (best)"
    );
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
        floor.add(run_itself(LEANEST, filled, &server.url(), asked));
    }
    println!("{}", program.rate("without features", SYMBOLS as f64, "symbols"));
    compare(FLOORS[LEANEST].0, &program, &floor);
}

/// Shows a floor, and the program beside it.
fn compare(name: &str, program: &Times, floor: &Times) {
    println!("{}", floor.rate(&format!("floor: {name}"), SYMBOLS as f64, "symbols"));
    let ratio = program.median() / floor.median();
    println!(
        "{}",
        against("without, times this floor (medians)", ratio, "", Promise::AtMost(1.25))
    );
    let ratio = program.best() / floor.best();
    println!("{}", against("without, times this floor (best)", ratio, "", Promise::AtMost(1.25)));
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

/// Likewise by a floor, as a process.
fn run_itself(number: usize, filled: &Path, url: &str, asked: &[String]) -> Duration {
    let folder = scratch();
    let folder = folder.path();
    copy(filled, folder);
    let urls: String = asked.iter().map(|target| format!("{url}{target}\n")).collect();
    fs::write(folder.join(URLS), urls).expect("a file");
    let program = env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg(FLOOR).arg(number.to_string()).current_dir(folder).stdin(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("it runs");
    let wall = started.elapsed();
    if !status.success() {
        println!("  NO FIGURE: the floor ended with {status}");
    }
    count("floor", "bars", &folder.join("bench.db"), SYMBOLS);
    wall
}

/// What a process does that is one of the [`FLOORS`].
fn be_a_floor(number: &str) {
    let urls = fs::read_to_string(URLS).expect("the URLs");
    let (_, floor) = FLOORS[number.parse::<usize>().expect("the number of a floor")];
    floor(urls.lines().map(str::to_owned).collect());
}

/// Requests, so many at once, and whatever comes in is inserted.
fn plain_loop(urls: Vec<String>, at_once: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = Client::new();
    let mut connection = open(Path::new("bench.db"));
    let series = series(&connection).expect("the series");
    let mut urls = urls.into_iter();
    let mut next = || Some(page_of(client.clone(), urls.next()?));
    runtime.block_on(async {
        let mut asked: JoinSet<Page> = JoinSet::new();
        (0..at_once).filter_map(|_| next()).for_each(|page| drop(asked.spawn(page)));
        while !asked.is_empty() {
            let transaction = connection.transaction().expect("a transaction");
            for _ in 0..BATCH {
                let Some(page) = asked.join_next().await else { break };
                next().into_iter().for_each(|page| drop(asked.spawn(page)));
                insert(&transaction, &series, &page.expect("a page")).expect("the rows are stored");
            }
            transaction.commit().expect("the commit");
        }
    });
}

/// Lanes that fetch and decode, and a thread that inserts.
fn with_a_writer(urls: Vec<String>) {
    let urls = Arc::new(urls);
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
        if pages.send(page_of(client.clone(), url).await).await.is_err() {
            return;
        }
    }
}

async fn page_of(client: Client, url: impl IntoUrl) -> Page {
    let answer = client.get(url).send().await.expect("an answer");
    let body = answer.bytes().await.expect("its body");
    serde_json::from_slice(&body).expect("a page")
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
