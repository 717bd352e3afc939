//! What a provider changes afterwards: late corrections, and histories that it restates.

use crate::support::market::{Market, PolygonAsk, Row, day, row, rows, sessions};
use crate::support::server::{Answer, Server};
use crate::support::{DAILY, Sandbox, asked, group, polygon};

fn scaled(row: Row, factor: f64) -> Row {
    Row {
        open: row.open * factor,
        high: row.high * factor,
        low: row.low * factor,
        close: row.close * factor,
        vwap: row.vwap * factor,
        volume: row.volume / factor,
        ..row
    }
}

/// A server of adjusted prices up to 2024-03-15, and a sandbox that asks for them.
fn adjusting() -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], &sessions("2024-01-02", "2024-03-15")).adjusted();
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "adjusted = true") + &group("p", "stock", &["AAA"], DAILY);
    (server, Sandbox::with(&config))
}

/// The bars up to `last` in the prices after a split on `ex_date`.
fn after_a_split(last: &str, ex_date: &str, factor: f64) -> Vec<Row> {
    let bars = rows(&sessions("2024-01-02", last)).into_iter();
    bars.map(|bar| if bar.ts < day(ex_date) { scaled(bar, factor) } else { bar }).collect()
}

#[test]
fn a_restated_history_is_fetched_whole_in_the_same_run() {
    let (server, sandbox) = adjusting();
    sandbox.backfill(&[]).expect_code(0);
    let restated = after_a_split("2024-03-18", "2024-03-18", 0.25);
    let market = Market::new().with("AAA", "1d", restated.clone()).adjusted();
    server.answer_with(move |request| market.polygon(request));
    server.take_requests();
    for command in ["backfill", "enrich"] {
        sandbox.mdctl(&[command, "--as-of", "2024-03-18"]).expect_code(0);
    }
    let requests = asked(&server.take_requests());
    let bars: Vec<_> = requests.iter().filter(|request| request.starts_with("AAA ")).collect();
    assert_eq!(bars, ["AAA 1d 2024-03-13 2024-03-18", "AAA 1d 2024-02-15 2024-03-12"]);
    let database = sandbox.database();
    let lookback: Vec<Row> =
        restated.into_iter().filter(|row| row.ts >= day("2024-02-15")).collect();
    assert_eq!(database.bars("AAA", "1d"), lookback);
    assert_eq!(database.number("SELECT count(*) FROM revisions"), 21, "each with its old values");
    let jobs = database.texts("SELECT DISTINCT status FROM jobs");
    assert_eq!(jobs, ["completed"]);
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
    let totals = database.texts(
        "SELECT concat_ws(' ', symbols_total, successful, records_inserted, records_updated, requests)
           FROM runs ORDER BY run_id LIMIT 1 OFFSET 1",
    );
    assert_eq!(totals, ["1 1 1 21 2"]);
}

#[test]
fn a_restated_history_that_does_not_come_whole_is_asked_for_again() {
    let (server, sandbox) = adjusting();
    sandbox.backfill(&[]).expect_code(0);
    let restated = after_a_split("2024-03-18", "2024-03-18", 10.0);
    let market = Market::new().with("AAA", "1d", restated.clone()).adjusted();
    let whole = market.clone();
    server.answer_with(move |request| match request.path.contains("2024-02-15") {
        true => Answer::status(404, "{}"),
        false => market.polygon(request),
    });
    sandbox.backfill_at("2024-03-18", &[]).expect_code(2);
    assert_eq!(
        sandbox.database().texts("SELECT status FROM jobs").pop(),
        Some("failed".to_owned())
    );
    server.answer_with(move |request| whole.polygon(request));
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    let lookback: Vec<Row> =
        restated.into_iter().filter(|row| row.ts >= day("2024-02-15")).collect();
    assert_eq!(sandbox.database().bars("AAA", "1d"), lookback);
}

#[test]
fn a_refetch_that_was_cut_off_is_finished_by_enrich_too() {
    let (server, sandbox) = adjusting();
    sandbox.backfill(&[]).expect_code(0);
    let restated = after_a_split("2024-03-18", "2024-03-18", 0.25);
    let market = Market::new().with("AAA", "1d", restated.clone()).adjusted();
    server.answer_with(move |request| market.polygon(request));
    sandbox.mdctl(&["enrich", "--as-of", "2024-03-18", "--max-requests", "1"]).expect_code(4);
    let gaps = sandbox.database().gaps("AAA");
    assert_eq!(gaps, Vec::<String>::new(), "what is stored is no gap");
    let health = sandbox.mdctl(&["health", "--as-of", "2024-03-18"]);
    health.expect_code(1).expect_stdout("low_quality").expect_stdout("2024-03-13T00:00:00Z");
    sandbox.mdctl(&["enrich", "--as-of", "2024-03-18"]).expect_code(0);
    let lookback: Vec<Row> =
        restated.into_iter().filter(|row| row.ts >= day("2024-02-15")).collect();
    assert_eq!(sandbox.database().bars("AAA", "1d"), lookback);
    sandbox.mdctl(&["health", "--as-of", "2024-03-18"]).expect_code(0);
}

#[test]
fn a_restatement_that_comes_a_day_late_is_seen() {
    let (server, sandbox) = adjusting();
    let with = |rows: Vec<Row>| {
        let market = Market::new().with("AAA", "1d", rows).adjusted();
        server.answer_with(move |request| market.polygon(request));
    };
    // The bar of the ex date comes in new prices, and those before it stay in the old ones for a day.
    let unit = after_a_split("2024-03-19", "2024-03-18", 1.0);
    let split = after_a_split("2024-03-19", "2024-03-18", 0.25);
    sandbox.backfill(&[]).expect_code(0);
    with(unit.clone());
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    with(split.clone());
    sandbox.backfill_at("2024-03-19", &[]).expect_code(0);
    let lookback: Vec<Row> = split.into_iter().filter(|row| row.ts >= day("2024-02-15")).collect();
    assert_eq!(sandbox.database().bars("AAA", "1d"), lookback);
}

#[test]
fn what_a_provider_has_no_more_stays_as_it_was_and_is_said() {
    let (server, sandbox) = adjusting();
    sandbox.backfill(&[]).expect_code(0);
    let config = sandbox.read("mdctl.toml").replace("history = \"20y\"", "history = \"20d\"");
    assert!(config.contains("20d"), "{config}");
    sandbox.write("mdctl.toml", config);
    let market =
        Market::new().with("AAA", "1d", after_a_split("2024-03-18", "2024-03-18", 0.25)).adjusted();
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    let health = sandbox.mdctl(&["health", "--as-of", "2024-03-18"]);
    health.expect_code(1).expect_stdout("the prices of before its provider restated them");
    server.take_requests();
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), Vec::<String>::new(), "nor is it asked for");
}

#[test]
fn a_budget_defers_what_a_restatement_asks_for() {
    let (server, sandbox) = adjusting();
    sandbox.backfill(&[]).expect_code(0);
    let market =
        Market::new().with("AAA", "1d", after_a_split("2024-03-18", "2024-03-18", 0.5)).adjusted();
    server.answer_with(move |request| market.polygon(request));
    server.take_requests();
    sandbox.backfill_at("2024-03-18", &["--max-requests", "1"]).expect_code(4);
    assert_eq!(server.take_requests().len(), 1);
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), ["AAA 1d 2024-02-15 2024-03-12"]);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM revisions"), 21);
}

#[test]
fn pages_of_a_restated_history_do_not_ask_for_each_other_again() {
    let (server, sandbox) = adjusting();
    sandbox.backfill(&[]).expect_code(0);
    let restated = after_a_split("2024-03-18", "2024-03-18", 0.25);
    let market = Market::new().with("AAA", "1d", restated).paged(4).adjusted();
    server.answer_with(move |request| market.polygon(request));
    server.take_requests();
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    // One page of the tail, and five of the 18 bars before it.
    assert_eq!(server.take_requests().len(), 1 + 5);
    sandbox.backfill_at("2024-03-18", &["--full"]).expect_code(0);
    assert_eq!(server.take_requests().len(), 6, "nothing has changed");
    assert_eq!(sandbox.database().number("SELECT count(*) FROM revisions"), 21);
}

#[test]
fn raw_prices_are_revised_bar_by_bar() {
    let market = Market::daily(&["AAA"], &sessions("2024-01-02", "2024-03-15"));
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    let market = Market::new().with("AAA", "1d", after_a_split("2024-03-18", "2024-03-18", 0.25));
    server.answer_with(move |request| market.polygon(request));
    server.take_requests();
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    assert_eq!(server.take_requests().len(), 1);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM revisions"), 3);
}

#[test]
fn a_bar_that_is_revised_for_three_days_ends_with_the_last_truth() {
    let version = std::sync::Arc::new(std::sync::Mutex::new(0.0));
    let told = std::sync::Arc::clone(&version);
    let server = Server::start(move |request| {
        let Some(ask) = PolygonAsk::of(request) else { return Answer::status(404, "{}") };
        let late = *told.lock().expect("the version");
        let bars = rows(&sessions("2024-01-02", &ask.to)).into_iter();
        let from = if ask.from.len() == 10 { day(&ask.from) } else { 0 };
        let bars = bars.filter(|bar| bar.ts >= from).map(|bar| {
            let more = if bar.ts == day("2024-03-13") { late } else { 0.0 };
            ask.result(&Row { close: bar.close + more, ..bar })
        });
        Answer::ok(
            crate::support::market::polygon_body(&ask.symbol, bars.collect(), None).to_string(),
        )
    });
    let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    for (date, late) in
        [("2024-03-13", 0.0), ("2024-03-14", 0.25), ("2024-03-15", 0.5), ("2024-03-16", 1.0)]
    {
        *version.lock().expect("the version") = late;
        sandbox.mdctl(&["enrich", "--as-of", date]).expect_code(0);
    }
    let database = sandbox.database();
    let stored = database.bars("AAA", "1d");
    let last = stored.iter().find(|bar| bar.ts == day("2024-03-13")).expect("the bar");
    assert_eq!(last.close, row(day("2024-03-13")).close + 1.0);
    let changes = database.texts(
        "SELECT concat_ws(' ', date(ts, 'unixepoch'), new_close - old_close) FROM revisions ORDER BY rowid",
    );
    assert_eq!(changes, ["2024-03-13 0.25", "2024-03-13 0.25", "2024-03-13 0.5"]);
}
