//! Why bars are missing, and what becomes of it as time passes.

use crate::support::market::{
    HOUR, Market, PolygonAsk, Row, day, hours, instant, polygon_body, row, rows, sessions,
};
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, Database, Sandbox, asked, daily_sessions, faulty_stocks, group, polygon,
};

/// A server with these daily bars of `AAA`, and a sandbox that tracks them.
fn stock(held: &[i64]) -> (Server, Sandbox) {
    let market = Market::daily(&["AAA"], held);
    faulty_stocks(&["AAA"], move |request| market.polygon(request))
}

fn status(database: &Database) -> String {
    database.texts("SELECT status FROM freshness").remove(0)
}

#[test]
fn the_time_before_the_first_bar_is_no_hole() {
    let (server, sandbox) = stock(&sessions("2024-03-01", "2024-06-28"));
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.gaps("AAA"), ["pre_listing 10"]);
    assert_eq!(status(&database), "fresh");
    server.take_requests();
    sandbox.backfill(&["--repair"]).expect_code(0);
    assert_eq!(asked(&server.requests()), Vec::<String>::new(), "it is known not to be there");
    // A wider lookback lies before the listing as well.
    sandbox.write("mdctl.toml", sandbox.read("mdctl.toml").replace("30d", "90d"));
    sandbox.backfill(&[]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    assert!(server.requests().len() <= 1, "{:?}", asked(&server.requests()));
    let health = sandbox.mdctl(&["health", "--as-of", AS_OF]);
    health.expect_code(0);
}

#[test]
fn an_emptiness_within_is_asked_again_after_1_3_and_9_days() {
    let lacking: Vec<i64> = sessions("2024-01-02", "2024-06-28")
        .into_iter()
        .filter(|ts| *ts != day("2024-03-06"))
        .collect();
    let (_server, sandbox) = stock(&lacking);
    let gap = || {
        sandbox.database().texts(
            "SELECT concat_ws(' ', reason, checked_count, date(next_check_at - 1, 'unixepoch')) FROM gaps",
        )
    };
    sandbox.backfill_at("2024-03-15", &[]).expect_code(0);
    assert_eq!(gap(), ["provider_empty 1 2024-03-16"]);
    sandbox.backfill_at("2024-03-16", &["--repair"]).expect_code(0);
    assert_eq!(gap(), ["provider_empty 2 2024-03-19"]);
    sandbox.backfill_at("2024-03-19", &["--repair"]).expect_code(0);
    assert_eq!(gap(), ["provider_empty 3 2024-03-28"]);
    sandbox.backfill_at("2024-03-28", &["--repair"]).expect_code(0);
    assert_eq!(gap(), ["no_trade 4"]);
}

#[test]
fn repair_asks_for_all_that_gaps_lists() {
    let lacking: Vec<i64> = sessions("2024-01-02", "2024-06-28")
        .into_iter()
        .filter(|ts| *ts != day("2024-02-27"))
        .collect();
    let (server, sandbox) = stock(&lacking);
    sandbox.backfill(&[]).expect_code(0);
    // By then the lookback begins behind the gap, and the first stored bar lies before it.
    let later = "2024-04-05";
    sandbox.backfill_at(later, &[]).expect_code(0);
    let gaps = sandbox.mdctl(&["gaps", "AAA", "--json", "--as-of", later]).expect_code(0).json();
    assert_eq!(gaps["gaps"][0]["from"], "2024-02-27T00:00:00Z", "{gaps}");
    server.take_requests();
    sandbox.backfill_at(later, &["--repair"]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-27 2024-02-27"]);
}

#[test]
fn looking_again_too_soon_counts_for_nothing() {
    let lacking: Vec<i64> =
        daily_sessions().into_iter().filter(|ts| *ts != day("2024-02-27")).collect();
    let (server, sandbox) = stock(&lacking);
    for _ in 0..6 {
        sandbox.backfill(&["--repair"]).expect_code(0);
    }
    assert_eq!(server.requests().len(), 6, "a repair asks all the same");
    assert_eq!(sandbox.database().gaps("AAA"), ["provider_empty 1"]);
    assert_eq!(sandbox.database().number("SELECT checked_count FROM gaps"), 1);
}

#[test]
fn a_dead_feed_never_turns_fresh() {
    let (_server, sandbox) = stock(&sessions("2024-01-02", "2024-03-08"));
    let mut lag = 0;
    for as_of in ["2024-03-15", "2024-03-18", "2024-03-22", "2024-04-02", "2024-04-20"] {
        sandbox.backfill_at(as_of, &[]).expect_code(0);
        sandbox.backfill_at(as_of, &["--repair"]).expect_code(0);
        let database = sandbox.database();
        assert_eq!(status(&database), "stale", "{as_of}");
        let now = database.number("SELECT lag_seconds FROM freshness");
        assert!(now > lag, "{as_of}: {now} after {lag}");
        lag = now;
        let reasons = database.texts("SELECT DISTINCT reason FROM gaps");
        assert_eq!(reasons, ["provider_empty"], "{as_of}");
    }
}

/// A sandbox with a day of hours of `AAA` at a provider that lacks some.
fn hourly(lacking: &[&str]) -> Sandbox {
    let lacking: Vec<i64> = lacking.iter().map(|text| instant(text)).collect();
    let mut held = hours("2024-03-11T00:00:00Z", "2024-03-16T00:00:00Z");
    held.retain(|ts| !lacking.contains(ts));
    let market = Market::new().with("AAA", "1h", rows(&held));
    let server = Server::start(move |request| market.polygon(request));
    let hourly = r#"timeframes = ["1h"]
lookback = { "1h" = "2d" }"#;
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), "") + &group("p", "stock", &["AAA"], hourly)));
    sandbox.backfill(&[]).expect_code(0);
    sandbox
}

#[test]
fn an_hour_without_a_trade_in_a_closed_session_is_no_hole() {
    let sandbox = hourly(&["2024-03-14T16:00:00Z"]);
    let database = sandbox.database();
    assert_eq!(database.gaps("AAA"), ["no_trade 1"]);
    assert_eq!(status(&database), "fresh");
}

#[test]
fn a_last_hour_without_a_trade_leaves_its_series_fresh() {
    let sandbox = hourly(&["2024-03-15T18:00:00Z", "2024-03-15T19:00:00Z"]);
    let database = sandbox.database();
    assert_eq!(database.gaps("AAA"), ["no_trade 2"]);
    assert_eq!(status(&database), "fresh");
    assert_eq!(database.number("SELECT lag_seconds FROM freshness"), 0);
}

#[test]
fn a_whole_session_without_a_bar_is_a_hole() {
    let session: Vec<String> = (0..24).map(|hour| format!("2024-03-15T{hour:02}:00:00Z")).collect();
    let session: Vec<&str> = session.iter().map(String::as_str).collect();
    let sandbox = hourly(&session);
    let database = sandbox.database();
    assert_eq!(database.gaps("AAA"), ["provider_empty 7"]);
}

#[test]
fn hours_outside_the_session_are_stored_and_never_due() {
    let sandbox = hourly(&["2024-03-15T10:00:00Z", "2024-03-15T02:00:00Z"]);
    let database = sandbox.database();
    let stored = database.times("AAA", "1h");
    assert!(stored.contains(&instant("2024-03-15T09:00:00Z")), "a pre-market hour");
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
    assert_eq!(database.number("SELECT count(*) FROM rejected_bars"), 0);
    assert_eq!(stored.last().map(|last| last % HOUR), Some(0));
}

#[test]
fn a_failure_is_a_gap_until_it_is_mended() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(404, "{}"));
    sandbox.backfill(&[]).expect_code(2);
    assert_eq!(sandbox.database().gaps("AAA"), ["failed 21"]);
    assert_eq!(sandbox.database().number("SELECT consecutive_failures FROM series"), 1);
    sandbox.backfill(&[]).expect_code(2);
    assert_eq!(sandbox.database().number("SELECT consecutive_failures FROM series"), 2);
    let market = Market::daily(&["AAA"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
    assert_eq!(database.number("SELECT consecutive_failures FROM series"), 0);
    assert_eq!(database.number("SELECT count(*) FROM series WHERE last_error IS NULL"), 1);
}

#[test]
fn an_emptiness_that_is_filled_later_by_a_tail_is_no_gap_any_more() {
    let (server, sandbox) = stock(&sessions("2024-02-01", "2024-03-14"));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("AAA"), ["provider_empty 1"]);
    let market = Market::daily(&["AAA"], &sessions("2024-02-01", "2024-03-18"));
    server.answer_with(move |request| market.polygon(request));
    server.take_requests();
    sandbox.backfill_at("2024-03-18", &[]).expect_code(0);
    // The late bar comes along with the new one: it lies behind the last stored one.
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-03-12 2024-03-18"]);
    let database = sandbox.database();
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
    assert_eq!(database.times("AAA", "1d").last(), Some(&day("2024-03-18")));
}

#[test]
fn a_bar_that_comes_on_a_later_page_is_no_gap() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let sessions = daily_sessions();
        let late = 3;
        let first: Vec<i64> =
            (0..8).filter(|index| *index != late).map(|index| sessions[index]).collect();
        let second = [&[sessions[late]], &sessions[8..]].concat();
        let results = |times: &[i64]| times.iter().map(|ts| ask.result(&row(*ts))).collect();
        let body = if request.parameter("cursor").is_some() {
            polygon_body("AAA", results(&second), None)
        } else {
            let next = "https://x/v2/aggs/ticker/AAA/range/1/day/1708405200000/2024-03-15?cursor=x";
            polygon_body("AAA", results(&first), Some(next.to_owned()))
        };
        Answer::ok(body.to_string())
    });
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    assert_eq!(database.gaps("AAA"), Vec::<String>::new(), "all of it is stored");
}

#[test]
fn an_emptiness_where_a_bad_row_was_is_looked_at_like_any_other() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let bars = rows(&daily_sessions()).into_iter().map(|bar| match bar.ts {
            ts if ts == day("2024-03-06") => Row { high: bar.low - 1.0, ..bar },
            _ => bar,
        });
        let results = bars.map(|bar| ask.result(&bar)).collect();
        Answer::ok(polygon_body("AAA", results, None).to_string())
    });
    sandbox.backfill_at("2024-03-15", &[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("AAA"), ["rejected 1"]);
    let lacking: Vec<i64> = sessions("2024-01-02", "2024-06-28")
        .into_iter()
        .filter(|ts| *ts != day("2024-03-06"))
        .collect();
    let market = Market::daily(&["AAA"], &lacking);
    server.answer_with(move |request| market.polygon(request));
    let looks = ["2024-03-15", "2024-03-16", "2024-03-19", "2024-03-28"];
    sandbox.backfill_at(looks[0], &["--repair"]).expect_code(0);
    for as_of in &looks[1..] {
        assert!(sandbox.database().gaps("AAA")[0].starts_with("provider_empty"), "{as_of}");
        sandbox.mdctl(&["enrich", "--as-of", as_of]).expect_code(0);
    }
    assert_eq!(sandbox.database().gaps("AAA"), ["no_trade 1"]);
}

#[test]
fn the_time_before_the_listing_ends_where_an_earlier_bar_comes() {
    let (server, sandbox) = stock(&sessions("2024-03-01", "2024-06-28"));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("AAA"), ["pre_listing 10"]);
    let mut held = sessions("2024-01-02", "2024-02-09");
    held.extend(sessions("2024-03-01", "2024-06-28"));
    let market = Market::daily(&["AAA"], &held);
    server.answer_with(move |request| market.polygon(request));
    sandbox.write("mdctl.toml", sandbox.read("mdctl.toml").replace("30d", "60d"));
    sandbox.backfill(&[]).expect_code(0);
    // From the 12th of February on nothing came, between stored bars: that is a hole, and asked for again.
    let gaps = sandbox.database().gaps("AAA");
    assert!(gaps.iter().all(|gap| gap.starts_with("provider_empty")), "{gaps:?}");
    server.take_requests();
    sandbox.backfill(&["--repair"]).expect_code(0);
    assert!(!server.take_requests().is_empty());
}

#[test]
fn seeded_holes_are_filled_or_explained_in_two_passes_and_a_third_asks_for_nothing() {
    let held = sessions("2024-01-02", "2024-06-28");
    let never: [i64; 2] = [day("2024-02-21"), day("2024-03-04")];
    let (server, sandbox) = stock(&held);
    sandbox.backfill(&[]).expect_code(0);
    // Holes at the head, in the middle and at the tail; some of it is not to be had again.
    let market = Market::daily(
        &["AAA"],
        &held.iter().copied().filter(|ts| !never.contains(ts)).collect::<Vec<_>>(),
    );
    server.answer_with(move |request| market.polygon(request));
    sandbox.tamper(
        "DELETE FROM bars WHERE ts < unixepoch('2024-02-20') OR ts >= unixepoch('2024-03-13')
             OR ts BETWEEN unixepoch('2024-02-21') AND unixepoch('2024-03-05')",
    );
    sandbox.backfill(&["--repair"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    let stored: Vec<i64> = daily_sessions().into_iter().filter(|ts| !never.contains(ts)).collect();
    assert_eq!(database.times("AAA", "1d"), stored);
    assert_eq!(database.gaps("AAA"), ["provider_empty 1", "provider_empty 1"]);
    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.take_requests()), Vec::<String>::new());
}
