//! Providers that fail, in every way that they know: each fault costs its own symbol, says why, and
//! costs no other symbol anything.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::market::{
    DAY, Market, PolygonAsk, day, hours, instant, polygon_body, row, rows, sessions,
};
use crate::support::server::{Answer, Reply, Request, Server};
use crate::support::{
    AS_OF, DAILY, Database, Output, Sandbox, asked, daily_sessions, faulty_stocks, group, polygon,
};

/// Three symbols, of which the middle one has trouble.
const SYMBOLS: [&str; 3] = ["AAA", "BAD", "CCC"];

/// What a run with trouble left behind.
struct Trouble {
    server: Server,
    sandbox: Sandbox,
    output: Output,
}

impl Trouble {
    /// A run in which every request for `BAD` is answered so.
    fn with(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::configured("", answer)
    }

    /// Likewise, with further lines about the provider.
    fn configured(more: &str, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let market = Market::daily(&SYMBOLS, &daily_sessions());
        let server =
            Server::start(
                move |request| {
                    if is_bad(request) { answer(request) } else { market.polygon(request) }
                },
            );
        let config = polygon(&server.url(), more) + &group("p", "stock", &SYMBOLS, DAILY);
        let sandbox = Sandbox::with(&config);
        let output = sandbox.backfill(&[]);
        Self { server, sandbox, output }
    }

    /// How often `BAD` was asked for.
    fn tries(&self) -> usize {
        self.server.requests().iter().filter(|request| is_bad(request)).count()
    }

    /// Asserts that `BAD` failed so after so many tries, everywhere that a user looks, and that the
    /// others are complete.
    #[track_caller]
    fn expect(&self, kind: &str, tries: usize) -> Database {
        self.output.expect_code(1);
        assert_eq!(self.tries(), tries, "tries{}", self.output);
        let database = self.sandbox.database();
        for symbol in ["AAA", "CCC"] {
            assert_eq!(database.bars(symbol, "1d"), rows(&daily_sessions()), "{symbol}");
        }
        let failures = database.texts(
            "SELECT concat_ws(' ', symbol, timeframe, stage, error_kind, attempts) FROM failures",
        );
        assert_eq!(failures, [format!("BAD 1d fetch {kind} {tries}")]);
        let jobs = database.texts("SELECT symbol || ' ' || status FROM jobs ORDER BY symbol");
        assert_eq!(jobs, ["AAA completed", "BAD failed", "CCC completed"]);
        let run = database.texts(
            "SELECT concat_ws(' ', status, symbols_total, successful, failed, exit_code) FROM runs",
        );
        assert_eq!(run, ["partial 3 2 1 1"]);
        let logged = database.number(&format!(
            "SELECT count(*) FROM fetch_log
             WHERE symbol = 'BAD' AND error_kind = '{kind}' AND success = 0"
        ));
        assert_eq!(logged, tries as i64, "attempts in the fetch log");
        self.expect_explained(kind);
        database
    }

    /// Asserts that stderr and `history last` name symbol, stage and kind.
    #[track_caller]
    fn expect_explained(&self, kind: &str) {
        self.output.expect_stderr("BAD");
        let history = self.sandbox.mdctl(&["history", "last", "--json"]);
        let failure = &history.expect_code(0).json()["failures"][0];
        let told = [&failure["symbol"], &failure["stage"], &failure["error_kind"]];
        assert_eq!(told, [&json!("BAD"), &json!("fetch"), &json!(kind)]);
        assert!(failure["message"].as_str().is_some_and(|words| !words.is_empty()), "{failure}");
    }
}

fn is_bad(request: &Request) -> bool {
    request.path.contains("/BAD/")
}

/// The rows that a request asks for, as they should come.
fn good_rows(request: &Request) -> (PolygonAsk, Vec<Value>) {
    let ask = PolygonAsk::of(request).expect("aggregates");
    let results = daily_sessions().iter().map(|ts| ask.result(&row(*ts))).collect();
    (ask, results)
}

/// The whole answer, as it should come.
fn good_body(request: &Request) -> Value {
    let (ask, results) = good_rows(request);
    polygon_body(&ask.symbol, results, None)
}

fn failed_gap(database: &Database) {
    assert_eq!(database.gaps("BAD"), ["failed 21"]);
}

// Refusals.

#[test]
fn an_unknown_symbol_fails_alone() {
    let body = r#"{"status":"NOT_FOUND","message":"Ticker not found."}"#;
    let trouble = Trouble::with(move |_| Answer::status(404, body));
    let database = trouble.expect("not_found", 1);
    failed_gap(&database);
    let message = database.texts("SELECT message FROM failures").remove(0);
    assert!(message.contains("Ticker not found."), "{message}");
}

#[test]
fn a_bad_request_is_not_repeated() {
    let body = r#"{"status":"ERROR","error":"The parameter 'from' is odd."}"#;
    Trouble::with(move |_| Answer::status(400, body)).expect("bad_request", 1);
}

#[test]
fn a_plan_that_lacks_the_data_is_not_asked_again() {
    let body = r#"{"status":"NOT_AUTHORIZED","message":"You are not entitled to this data."}"#;
    Trouble::with(move |_| Answer::status(403, body)).expect("not_entitled", 1);
}

#[test]
fn an_error_under_status_200_is_an_error() {
    let body = r#"{"status":"NOT_AUTHORIZED","message":"You are not entitled to this data."}"#;
    Trouble::with(move |_| Answer::ok(body)).expect("not_entitled", 1);
}

#[test]
fn when_every_symbol_fails_the_run_failed() {
    let (_server, sandbox) = faulty_stocks(&SYMBOLS, |_| Answer::status(404, "{}"));
    sandbox.backfill(&[]).expect_code(2);
    let database = sandbox.database();
    let run = database.texts("SELECT concat_ws(' ', status, failed, exit_code) FROM runs");
    assert_eq!(run, ["failed 3 2"]);
    assert_eq!(database.number("SELECT count(*) FROM failures"), 3);
}

#[test]
fn a_wrong_key_stops_its_provider() {
    let symbols: Vec<String> = (0..20).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let (server, sandbox) = faulty_stocks(&symbols, |_| {
        Answer::status(401, r#"{"status":"ERROR","error":"Unknown API Key"}"#)
    });
    let output = sandbox.backfill(&["--parallel", "2"]);
    output.expect_code(2);
    assert!(server.requests().len() <= 2, "{} requests", server.requests().len());
    let kinds = sandbox.database().texts("SELECT DISTINCT error_kind FROM failures");
    assert_eq!(kinds, ["auth"]);
    assert_eq!(sandbox.database().number("SELECT failed FROM runs"), 20);
}

#[test]
fn one_providers_wrong_key_is_no_others_trouble() {
    let refusing = Server::start(|_| Answer::status(401, "{}"));
    let market = Market::daily(&["GOOD"], &daily_sessions());
    let serving = Server::start(move |request| market.polygon(request));
    let second = format!(
        r#"
[providers.q]
kind = "massive"
base_url = "{}"
api_key = {{ env = "KEY" }}
history = "20y"
rate = {{ requests = 1000, per = "1s" }}
"#,
        serving.url()
    );
    let config = polygon(&refusing.url(), "")
        + &second
        + &group("p", "stock", &["BAD"], DAILY)
        + &group("q", "etf", &["GOOD"], DAILY);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(1);
    assert_eq!(sandbox.database().times("GOOD", "1d"), daily_sessions());
}

#[test]
fn a_refused_today_is_left_out() {
    let midnight = day(AS_OF) * 1_000;
    let market = Market::new().with(
        "X:BTCUSD",
        "1h",
        rows(&hours("2024-03-12T00:00:00Z", "2024-03-16T00:00:00Z")),
    );
    let server = Server::start(move |request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        if ask.to.parse::<i64>().expect("milliseconds") >= midnight {
            let body =
                r#"{"status":"NOT_AUTHORIZED","message":"Your plan does not include today."}"#;
            return Answer::status(403, body);
        }
        market.polygon(request)
    });
    let hourly = r#"timeframes = ["1h"]
lookback = { "1h" = "2d" }"#;
    let config = polygon(&server.url(), "") + &group("p", "crypto", &["X:BTCUSD"], hourly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-15T15:30:00Z", &[]).expect_code(0);
    assert_eq!(server.requests().len(), 2);
    let stored = sandbox.database().times("X:BTCUSD", "1h");
    assert_eq!(stored, hours("2024-03-13T16:00:00Z", "2024-03-15T00:00:00Z"));
}

#[test]
fn a_refused_past_is_asked_for_once_and_never_again() {
    let first = day("2024-02-22");
    let market = Market::daily(&["AAA"], &daily_sessions());
    let server = Server::start(move |request| {
        let ask = PolygonAsk::of(request).expect("aggregates");
        if day(&ask.from) < first {
            return Answer::status(403, r#"{"status":"NOT_AUTHORIZED","message":"too old"}"#);
        }
        market.polygon(request)
    });
    // The plan is said to reach back a few days further than it does.
    let config = polygon(&server.url(), "").replace(r#"history = "20y""#, r#"history = "28d""#)
        + &group("p", "stock", &["AAA"], r#"timeframes = ["1d"]"#);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.take_requests().len(), 2);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), sessions("2024-02-24", "2024-03-15"));
    assert_eq!(database.texts("SELECT DISTINCT reason FROM gaps"), ["pre_listing"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 0, "what is out of the plan stays out of it");
}

// Quota.

#[test]
fn a_ban_fails_one_job_and_leaves_the_others_for_later() {
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB", "CCC"], |_| {
        Answer::Whole(Reply::new(429, "{}").with("Retry-After", 3600))
    });
    sandbox.backfill(&["--parallel", "1"]).expect_code(1);
    assert_eq!(server.requests().len(), 2, "the second is the provider's word");
    let database = sandbox.database();
    let jobs = database.texts("SELECT status FROM jobs ORDER BY symbol");
    assert_eq!(jobs, ["failed", "deferred", "deferred"]);
    assert_eq!(database.texts("SELECT error_kind FROM failures"), ["rate_limited"]);
    assert_eq!(database.number("SELECT deferred FROM runs"), 2);
}

#[test]
fn a_full_quota_is_waited_for() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| match request.seen {
        0 => Answer::Whole(Reply::new(429, "{}").with("Retry-After", 1)),
        _ => market.polygon(request),
    });
    sandbox.backfill(&[]).expect_code(0);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1), "it came too early");
    let database = sandbox.database();
    let run = database
        .texts("SELECT concat_ws(' ', status, requests, rate_limited, retried, failed) FROM runs");
    assert_eq!(run, ["succeeded 2 1 1 0"]);
    let attempts = database.texts(
        "SELECT concat_ws(' ', attempt, http_status, coalesce(error_kind, 'ok')) FROM fetch_log
         ORDER BY attempt",
    );
    assert_eq!(attempts, ["1 429 rate_limited", "2 200 ok"]);
    assert_eq!(database.number("SELECT count(*) FROM failures"), 0);
    assert_eq!(database.number("SELECT retry_count FROM jobs"), 1);
}

#[test]
fn a_full_quota_pauses_the_providers_other_symbols_too() {
    let market = Market::daily(&["BBB"], &daily_sessions());
    let server = Server::start(move |request| match request.path.contains("/AAA/") {
        true => Answer::Whole(Reply::new(429, "{}").with("Retry-After", 1)),
        false => market.polygon(request),
    });
    let never = polygon(&server.url(), "").replace("max_retries = 2", "max_retries = 0");
    let sandbox = Sandbox::with(&(never + &group("p", "stock", &["AAA", "BBB"], DAILY)));
    sandbox.backfill(&["--parallel", "1"]).expect_code(1);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1), "it came too early");
}

#[test]
fn a_wait_beyond_the_longest_fails_the_job_at_once() {
    let trouble =
        Trouble::with(|_| Answer::Whole(Reply::new(429, "{}").with("Retry-After", 86_400)));
    trouble.expect("rate_limited", 1);
}

// Trouble that may pass.

#[test]
fn a_servers_passing_trouble_is_no_failure() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| match request.seen {
        0 => Answer::status(500, "oops"),
        1 => Answer::status(503, "<html>busy</html>"),
        _ => market.polygon(request),
    });
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 3);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions());
    let run = database.texts("SELECT concat_ws(' ', requests, retried, successful) FROM runs");
    assert_eq!(run, ["3 2 1"]);
}

#[test]
fn a_broken_server_is_given_up_after_its_retries() {
    let database = Trouble::with(|_| Answer::status(500, "oops")).expect("server", 3);
    failed_gap(&database);
}

#[test]
fn an_outage_is_not_answered_by_a_storm() {
    let symbols: Vec<String> = (0..30).map(|index| format!("S{index:02}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let (server, sandbox) = faulty_stocks(&symbols, |_| Answer::status(502, "bad gateway"));
    sandbox.backfill(&[]).expect_code(2);
    // Thirty first tries, and ten retries for all of them: the retry budget's floor.
    assert!(server.requests().len() <= 40, "{} requests", server.requests().len());
}

#[test]
fn a_body_that_is_cut_short_is_no_answer() {
    let cut = |request: &Request| {
        let reply = Reply::new(200, good_body(request).to_string());
        let half = reply.body.len() / 2;
        Answer::Cut(reply, half)
    };
    let database = Trouble::with(cut).expect("network", 3);
    assert_eq!(database.times("BAD", "1d"), Vec::<i64>::new());
}

#[test]
fn a_reset_before_the_answer_is_network() {
    Trouble::with(|_| Answer::Reset).expect("network", 3);
}

#[test]
fn a_reset_within_the_answer_is_network() {
    let reset = |request: &Request| {
        Answer::ResetWithin(Reply::new(200, good_body(request).to_string()), 100)
    };
    Trouble::with(reset).expect("network", 3);
}

#[test]
fn a_cut_answer_that_comes_whole_the_second_time_is_stored_once() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| match request.seen {
        0 => Answer::Cut(Reply::new(200, good_body(request).to_string()), 700),
        _ => market.polygon(request),
    });
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().bars("AAA", "1d"), rows(&daily_sessions()));
}

#[test]
fn silence_is_a_timeout() {
    let impatient = r#"request_timeout = "300ms""#;
    Trouble::configured(impatient, |_| Answer::Hang).expect("timeout", 3);
}

#[test]
fn a_body_that_stops_coming_is_a_timeout() {
    // Announced in full, sent in part, the connection left open: only the clock can tell.
    let stall =
        |request: &Request| Answer::Stall(Reply::new(200, good_body(request).to_string()), 90);
    Trouble::configured(r#"request_timeout = "300ms""#, stall).expect("timeout", 3);
}

#[test]
fn an_idle_body_fails_before_the_whole_time_is_up() {
    let stall =
        |request: &Request| Answer::Stall(Reply::new(200, good_body(request).to_string()), 90);
    Trouble::configured(r#"read_timeout = "200ms""#, stall).expect("timeout", 3);
}

#[test]
fn a_refused_connection_is_network() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let sandbox = Sandbox::with(&(polygon(&url, "") + &group("p", "stock", &["AAA"], DAILY)));
    sandbox.backfill(&[]).expect_code(2);
    let failures =
        sandbox.database().texts("SELECT concat_ws(' ', error_kind, attempts) FROM failures");
    assert_eq!(failures, ["network 3"]);
}

// Answers that cannot be what was asked for: tried once more, then refused.

#[test]
fn html_with_status_200_is_malformed() {
    Trouble::with(|_| Answer::ok("<html><body>Just a moment...</body></html>"))
        .expect("malformed", 2);
}

#[test]
fn an_empty_body_is_malformed() {
    Trouble::with(|_| Answer::ok("")).expect("malformed", 2);
}

#[test]
fn bytes_that_are_no_text_are_malformed() {
    Trouble::with(|_| Answer::ok(b"{\"status\":\"OK\xff\xfe\"}".to_vec())).expect("malformed", 2);
}

#[test]
fn json_of_another_shape_is_malformed() {
    let shapes = [
        "[]",
        "{}",
        "null",
        "17",
        r#""OK""#,
        r#"{"status":"OK","results":"none"}"#,
        r#"{"status":"OK","results":{"t":1}}"#,
        r#"{"status":"OK","results":[[1710478800000,1,1,1,1,1]]}"#,
        r#"{"status":"OK","results":[{"o":1,"h":1,"l":1,"c":1,"v":1}]}"#,
        r#"{"status":"OK","results":[{"t":"yesterday","o":1,"h":1,"l":1,"c":1}]}"#,
        r#"{"status":"OK","results":[null]}"#,
        r#"{"status":"FINE","results":[]}"#,
        r#"{"status":"OK","results":[]"#,
    ];
    for shape in shapes {
        let trouble = Trouble::with(move |_| Answer::ok(shape));
        let database = trouble.expect("malformed", 2);
        assert_eq!(database.times("BAD", "1d"), Vec::<i64>::new(), "{shape}");
        failed_gap(&database);
    }
}

#[test]
fn json_nested_without_end_is_malformed() {
    Trouble::with(|_| Answer::ok("[".repeat(200_000))).expect("malformed", 2);
}

#[test]
fn a_wrong_count_of_rows_is_malformed() {
    let short = |request: &Request| {
        let mut body = good_body(request);
        body["resultsCount"] = json!(22);
        Answer::ok(body.to_string())
    };
    let database = Trouble::with(short).expect("malformed", 2);
    assert_eq!(database.times("BAD", "1d"), Vec::<i64>::new());
}

#[test]
fn an_answer_for_another_symbol_is_malformed() {
    let other = |request: &Request| {
        let mut body = good_body(request);
        body["ticker"] = json!("AAA");
        Answer::ok(body.to_string())
    };
    let database = Trouble::with(other).expect("malformed", 2);
    assert_eq!(database.times("BAD", "1d"), Vec::<i64>::new());
}

#[test]
fn a_binance_object_in_place_of_a_list_is_no_bars() {
    let server =
        Server::start(|_| Answer::status(400, r#"{"code":-1121,"msg":"Invalid symbol."}"#));
    let hourly = r#"timeframes = ["1h"]
lookback = { "1h" = "3d" }"#;
    let config =
        crate::support::binance(&server.url(), "") + &group("b", "crypto", &["NOSUCH"], hourly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill(&[]).expect_code(2);
    assert_eq!(sandbox.database().texts("SELECT error_kind FROM failures"), ["not_found"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_repeats_its_full_page_for_ever_is_given_up() {
    let repeated = rows(&hours("2024-03-12T12:00:00Z", "2024-03-12T22:00:00Z"));
    let market = Market::new().with("BTCUSDT", "1h", repeated);
    let server = Server::start(move |request| {
        let from_the_start =
            Request { query: "symbol=BTCUSDT&interval=1h".to_owned(), ..request.clone() };
        market.binance(&from_the_start)
    });
    let hourly = r#"timeframes = ["1h"]
lookback = { "1h" = "3d" }"#;
    let config = crate::support::binance(&server.url(), "page_limit = 10")
        + &group("b", "crypto", &["BTCUSDT"], hourly);
    let sandbox = Sandbox::with(&config);
    sandbox.backfill_at("2024-03-15T10:30:00Z", &[]).expect_code(2);
    assert!(server.requests().len() <= 4, "{} requests", server.requests().len());
    assert_eq!(sandbox.database().texts("SELECT error_kind FROM failures"), ["malformed"]);
}

// Pages that lead astray.

/// The first page: three rows and where the next ones are said to be.
fn page_with_next(request: &Request, next: &str) -> Answer {
    let (ask, results) = good_rows(request);
    let results = results.into_iter().take(3).collect();
    Answer::ok(polygon_body(&ask.symbol, results, Some(next.to_owned())).to_string())
}

#[test]
fn a_next_url_to_another_host_never_leaves_the_configured_one() {
    let stranger = Server::start(|_| Answer::status(404, "{}"));
    let url = format!(
        "{}/v2/aggs/ticker/BAD/range/1/day/1708405200000/2024-03-15?cursor=x",
        stranger.url()
    );
    let market = Market::daily(&SYMBOLS, &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["BAD"], move |request| {
        if request.parameter("cursor").is_some() {
            return market.polygon(request);
        }
        page_with_next(request, &url)
    });
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(stranger.requests().len(), 0, "the stranger was asked");
    assert_eq!(server.requests().len(), 2);
    assert_eq!(sandbox.database().times("BAD", "1d"), daily_sessions());
}

#[test]
fn a_next_url_to_another_endpoint_or_symbol_is_malformed() {
    let paths = [
        "https://api.polygon.io/v2/aggs/ticker/AAA/range/1/day/1708405200000/2024-03-15?cursor=x",
        "https://api.polygon.io/v2/aggs/ticker/BAD/range/1/minute/1708405200000/2024-03-15?cursor=x",
        "https://api.polygon.io/v3/reference/tickers?cursor=x",
        "https://api.polygon.io/v2/aggs/ticker/BAD/range/1/day/../../../../admin?cursor=x",
        "https://api.polygon.io",
    ];
    for path in paths {
        let trouble = Trouble::with(move |request| page_with_next(request, path));
        let database = trouble.expect("malformed", 2);
        assert_eq!(database.times("BAD", "1d"), Vec::<i64>::new(), "{path}");
    }
}

#[test]
fn a_key_in_a_next_url_is_not_sent_on() {
    let market = Market::daily(&["AAA"], &daily_sessions());
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| {
        if request.parameter("cursor").is_some() {
            return market.polygon(request);
        }
        let path = "/v2/aggs/ticker/AAA/range/1/day/1708405200000/2024-03-15";
        page_with_next(request, &format!("https://api.polygon.io{path}?apiKey=theirs&cursor=x"))
    });
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.requests()[1].parameter("apiKey"), None);
}

#[test]
fn pages_that_go_round_in_circles_end() {
    let path =
        "https://api.polygon.io/v2/aggs/ticker/BAD/range/1/day/1708405200000/2024-03-15?cursor=x";
    let trouble = Trouble::with(move |request| page_with_next(request, path));
    trouble.output.expect_code(1);
    assert!(trouble.tries() <= 4, "{} requests", trouble.tries());
    let database = trouble.sandbox.database();
    assert_eq!(database.texts("SELECT error_kind FROM failures"), ["malformed"]);
    // What the first page brought is kept, and what lies behind it is not taken for answered.
    assert_eq!(database.times("BAD", "1d"), daily_sessions()[..3]);
    assert_eq!(database.gaps("BAD"), ["failed 18"]);
}

#[test]
fn empty_pages_without_end_end() {
    let trouble = Trouble::with(move |request| {
        let path = "https://api.polygon.io/v2/aggs/ticker/BAD/range/1/day/1708405200000/2024-03-15";
        let next = format!("{path}?cursor=x{}", request.target().len());
        Answer::ok(polygon_body("BAD", Vec::new(), Some(next)).to_string())
    });
    trouble.output.expect_code(1);
    assert_eq!(trouble.tries(), 10);
    assert_eq!(trouble.sandbox.database().texts("SELECT error_kind FROM failures"), ["malformed"]);
}

#[test]
fn a_fault_on_a_later_page_keeps_the_earlier_ones() {
    let market = Market::daily(&["AAA"], &daily_sessions()).paged(5);
    let (server, sandbox) = faulty_stocks(&["AAA"], move |request| {
        let third = format!("/{}/", (day("2024-03-01") + 5 * 3_600) * 1_000);
        if request.path.contains(&third) {
            Answer::status(404, "{}")
        } else {
            market.polygon(request)
        }
    });
    sandbox.backfill(&[]).expect_code(2);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), daily_sessions()[..10]);
    assert_eq!(database.gaps("AAA"), ["failed 11"]);

    // The next run asks for what is lacking, and for the unsettled before it, but not for all again.
    server.take_requests();
    let market = Market::daily(&["AAA"], &daily_sessions());
    server.answer_with(move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(asked(&server.requests()), ["AAA 1d 2024-02-27 2024-03-15"]);
    assert_eq!(sandbox.database().bars("AAA", "1d"), rows(&daily_sessions()));
    assert_eq!(sandbox.database().gaps("AAA"), Vec::<String>::new());
}

#[test]
fn a_redirect_to_another_origin_is_not_followed() {
    let stranger = Server::start(|_| Answer::ok(r#"{"status":"OK","resultsCount":0}"#));
    let elsewhere = format!("{}/v2/elsewhere", stranger.url());
    let trouble =
        Trouble::with(move |_| Answer::Whole(Reply::new(302, "").with("Location", &elsewhere)));
    trouble.output.expect_code(1);
    assert_eq!(stranger.requests().len(), 0, "the key went to a stranger");
    assert_eq!(trouble.sandbox.database().texts("SELECT symbol FROM failures"), ["BAD"]);
}

#[test]
fn a_body_beyond_the_limit_is_cut_off() {
    let big = |request: &Request| {
        let mut body = good_body(request);
        body["padding"] = json!("x".repeat(100_000));
        Answer::ok(body.to_string())
    };
    let trouble = Trouble::configured(r#"max_body = "64KiB""#, big);
    let database = trouble.expect("too_large", 1);
    assert_eq!(database.times("BAD", "1d"), Vec::<i64>::new());
}

// Nothing to be had.

#[test]
fn an_empty_answer_is_no_failure_but_a_gap() {
    let (server, sandbox) = faulty_stocks(&["AAA"], |_| {
        Answer::ok(r#"{"ticker":"AAA","queryCount":0,"resultsCount":0,"status":"OK"}"#)
    });
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.gaps("AAA"), ["provider_empty 21"]);
    assert_eq!(database.texts("SELECT status FROM freshness"), ["missing"]);
    let next = database.number("SELECT next_check_at FROM gaps");
    assert_eq!(next, instant("2024-03-16T00:00:00Z") + DAY, "asked again after a day");

    server.take_requests();
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 0, "an emptiness is not asked for twice a day");
}

#[test]
fn a_tail_that_is_not_there_yet_stays_a_hole() {
    let days = daily_sessions();
    let market = Market::daily(&["AAA"], &days[..20]);
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill_at("2024-03-19", &[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.gaps("AAA"), ["provider_empty 3"]);
    assert_eq!(database.texts("SELECT status FROM freshness"), ["stale"]);
}

#[test]
fn an_unset_key_is_said_and_costs_no_request() {
    let (server, sandbox) = faulty_stocks(&["AAA", "BBB"], |_| Answer::status(401, "{}"));
    let sandbox = sandbox.without_key();
    let output = sandbox.backfill(&[]);
    output.expect_code(2).expect_stderr("KEY");
    assert_eq!(server.requests().len(), 0);
    let failures = sandbox.database().texts("SELECT error_kind || ' ' || message FROM failures");
    assert!(failures.iter().all(|line| line.starts_with("auth ")), "{failures:?}");
    assert!(failures.iter().all(|line| line.contains("KEY is not set")), "{failures:?}");
    assert_eq!(sandbox.database().number("SELECT requests FROM runs"), 0, "no request was sent");
}

#[test]
fn reports_need_no_key() {
    let (_server, sandbox) = faulty_stocks(&["AAA"], |_| Answer::status(404, "{}"));
    sandbox.backfill(&[]).expect_code(2);
    let sandbox = sandbox.without_key();
    sandbox.mdctl(&["history"]).expect_code(0);
    sandbox.mdctl(&["staleness"]).expect_code(0);
    sandbox.mdctl(&["status", "AAA"]).expect_code(0);
}
