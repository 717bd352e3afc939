//! What the daily pass asks of symbols besides their bars: splits, dividends, and what they are.

use crate::crash::{assert_alike, contents};
use crate::support::market::{Market, PolygonAsk, rows, sessions};
use crate::support::server::{Answer, Reply, Request, Server};
use crate::support::{
    AS_OF, DAILY, Database, Output, Sandbox, asked, daily_sessions, fields, group, polygon,
};

mod files;
mod untrusted;

/// A market with days of `AAA`, of which a split, two dividends and a name are known.
fn market() -> Market {
    Market::daily(&["AAA"], &sessions("2020-01-02", "2024-06-28")).knowing(
        "AAA",
        &[("2024-03-04", 1.0, 4.0)],
        &[("2024-02-20", 0.25), ("2023-11-20", 0.24)],
    )
}

/// A sandbox that tracks `AAA`, whose provider answers as `responder` says; failed jobs are tried again at
/// once.
fn tracking(responder: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Server, Sandbox) {
    with_group(responder, &group("p", "stock", &["AAA"], DAILY))
}

fn with_group(
    responder: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    group: &str,
) -> (Server, Sandbox) {
    let server = Server::start(responder);
    let config = polygon(&server.url(), "")
        .replace("[run]", "[run]\njob_retries = { initial = \"1ms\", max = 1 }");
    let sandbox = Sandbox::with(&(config + group));
    (server, sandbox)
}

/// The usual market, but for what `special` answers.
fn unless(
    special: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> (Server, Sandbox) {
    let market = market();
    tracking(move |request| special(request).unwrap_or_else(|| market.polygon(request)))
}

fn enrich(sandbox: &Sandbox, as_of: &str) -> Output {
    sandbox.mdctl(&["enrich", "--as-of", as_of])
}

/// What was asked besides bars since this was last looked at.
fn inquiries(server: &Server) -> Vec<String> {
    let requests = server.take_requests();
    let others = requests.iter().filter(|request| PolygonAsk::of(request).is_none());
    others.map(|request| request.target().trim_end_matches('?').to_owned()).collect()
}

fn actions(database: &Database) -> Vec<String> {
    database.texts(
        "SELECT concat_ws(' ', symbol, ex_date, kind, ratio_from, ratio_to, cash_amount, currency)
           FROM corporate_actions ORDER BY symbol, ex_date",
    )
}

/// `WORD STATUS ERROR FETCHED REJECTED` of every attempt that was not for bars.
fn logged(database: &Database) -> Vec<String> {
    database.texts(
        "SELECT concat_ws(' ', timeframe, http_status, coalesce(error_kind, 'ok'), records_fetched,
                records_rejected)
           FROM fetch_log WHERE timeframe NOT IN ('1d', '1h') ORDER BY rowid",
    )
}

const SPLITS: &str = "/v3/reference/splits?ticker=AAA&limit=1000";
const DIVIDENDS: &str = "/v3/reference/dividends?ticker=AAA&limit=1000";
const TICKER: &str = "/v3/reference/tickers/AAA";

const DECLARED: [&str; 3] = [
    "AAA 2023-11-20 dividend 0.24 USD",
    "AAA 2024-02-20 dividend 0.25 USD",
    "AAA 2024-03-04 split 1.0 4.0",
];

#[test]
fn the_daily_pass_asks_after_the_bars_and_keeps_what_it_is_told() {
    let (server, sandbox) = unless(|_| None);
    enrich(&sandbox, AS_OF).expect_code(0);
    let wanted = ["AAA 1d 2024-02-15 2024-03-15", SPLITS, DIVIDENDS, "/v3/reference/tickers/AAA?"];
    assert_eq!(asked(&server.requests()), wanted);
    let database = sandbox.database();
    assert_eq!(actions(&database), DECLARED);
    assert_eq!(
        logged(&database),
        ["splits 200 ok 1 0", "dividends 200 ok 2 0", "listing 200 ok 1 0"]
    );
    let known = database.texts(
        "SELECT concat_ws('|', symbol, provider, name, exchange, currency, type, active, listed_on)
           FROM reference_data",
    );
    assert_eq!(known, ["AAA|p|AAA Inc.|XNAS|usd|CS|1|1980-12-12"]);
    let run = database.texts("SELECT concat_ws(' ', status, requests, records_inserted) FROM runs");
    assert_eq!(run, ["succeeded 4 21"]);
}

#[test]
fn it_asks_once_a_day_and_what_a_symbol_is_once_a_week() {
    let (server, sandbox) = unless(|_| None);
    let asked_on = |as_of: &str| {
        enrich(&sandbox, as_of).expect_code(0);
        inquiries(&server)
    };
    assert_eq!(asked_on("2024-03-15T22:00:00Z"), [SPLITS, DIVIDENDS, TICKER]);
    assert_eq!(asked_on("2024-03-15T23:59:00Z"), [""; 0]);
    // A Saturday, when no bar is due.
    assert_eq!(asked_on("2024-03-16T00:01:00Z"), [SPLITS, DIVIDENDS]);
    assert_eq!(asked_on("2024-03-16T12:00:00Z"), [""; 0]);
    assert_eq!(asked_on("2024-03-21T22:00:00Z"), [SPLITS, DIVIDENDS]);
    assert_eq!(asked_on("2024-03-22T01:00:00Z"), [SPLITS, DIVIDENDS, TICKER]);
    // A clock that was ahead keeps nothing from being asked.
    sandbox.tamper(
        "UPDATE tracked_symbols SET actions_checked_at = actions_checked_at + 400 * 86400;
         UPDATE reference_data SET checked_at = checked_at + 400 * 86400",
    );
    assert_eq!(asked_on("2024-03-22T02:00:00Z"), [SPLITS, DIVIDENDS, TICKER]);
    assert_eq!(asked_on("2024-03-22T03:00:00Z"), [""; 0]);
}

#[test]
fn only_the_plain_daily_pass_asks() {
    let (server, sandbox) = unless(|_| None);
    sandbox.backfill(&[]).expect_code(0);
    for flags in
        [&["--from", "2024-03-01"][..], &["--to", "2024-03-14"], &["--full"], &["--repair"]]
    {
        sandbox.mdctl(&[&["enrich", "--as-of", AS_OF], flags].concat()).expect_code(0);
    }
    assert_eq!(inquiries(&server), [""; 0]);
    sandbox.mdctl(&["enrich", "--as-of", AS_OF, "--timeframe", "1d"]).expect_code(0);
    assert_eq!(inquiries(&server).len(), 3);
}

#[test]
fn only_selected_symbols_are_asked_about() {
    let market = market().knowing("BBB", &[], &[]);
    let config = group("p", "stock", &["AAA", "BBB"], DAILY);
    let (server, sandbox) = with_group(move |request| market.polygon(request), &config);
    sandbox.mdctl(&["enrich", "AAA", "--as-of", AS_OF]).expect_code(0);
    assert_eq!(inquiries(&server), [SPLITS, DIVIDENDS, TICKER]);
}

#[test]
fn the_dry_run_counts_what_is_then_asked() {
    let (server, sandbox) = unless(|_| None);
    let dry = ["enrich", "--as-of", AS_OF, "--dry-run"];
    let plan = sandbox.mdctl(&[&dry[..], &["--json"]].concat()).expect_code(0).json();
    assert_eq!(plan["requests"], 4);
    let tasks = plan["tasks"].as_array().expect("tasks");
    let about: Vec<_> = tasks.iter().map(|task| task["timeframe"].as_str()).collect();
    assert_eq!(about, ["1d", "splits", "dividends", "listing"].map(Some));
    assert_eq!((&tasks[1]["purpose"], &tasks[1]["about"]), (&"reference".into(), &"splits".into()));
    assert!(tasks[1]["from"].is_null() && tasks[1]["to"].is_null());
    sandbox.mdctl(&dry).expect_code(0).expect_stdout("dividends").expect_stdout("4 requests");
    assert_eq!(server.requests().len(), 0);
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!(server.requests().len(), 4);
    let plan = sandbox.mdctl(&[&dry[..], &["--json"]].concat()).expect_code(0).json();
    assert_eq!(plan["requests"], 0);
}

#[test]
fn a_symbol_that_is_delisted_is_asked_about_once_after_its_end() {
    let market = market();
    let config = group("p", "stock", &["X"], DAILY)
        .replace(r#"["X"]"#, r#"[{ symbol = "AAA", delisted = "2024-03-13" }]"#);
    let (server, sandbox) = with_group(move |request| market.polygon(request), &config);
    let asked_on = |as_of: &str| {
        enrich(&sandbox, as_of).expect_code(0);
        inquiries(&server)
    };
    assert_eq!(asked_on("2024-03-13T22:00:00Z"), [SPLITS, DIVIDENDS, TICKER]);
    assert_eq!(asked_on("2024-03-14T22:00:00Z"), [SPLITS, DIVIDENDS]);
    assert_eq!(asked_on("2024-03-15T22:00:00Z"), [""; 0]);
    assert_eq!(asked_on("2024-03-22T22:00:00Z"), [TICKER]);
    assert_eq!(asked_on("2024-05-22T22:00:00Z"), [""; 0]);
}

#[test]
fn every_name_that_a_symbol_had_is_asked_for_its_own_time() {
    let market = Market::daily(&["META", "FB"], &sessions("2024-01-02", "2024-06-28"))
        .knowing("META", &[("2024-03-04", 1.0, 2.0), ("2024-02-20", 1.0, 9.0)], &[])
        .knowing("FB", &[("2024-02-22", 1.0, 3.0), ("2024-03-01", 1.0, 9.0)], &[]);
    let config = group("p", "stock", &["X"], DAILY).replace(
        r#"["X"]"#,
        r#"[{ symbol = "META", aliases = [{ symbol = "FB", until = "2024-02-29" }] }]"#,
    );
    let (server, sandbox) = with_group(move |request| market.polygon(request), &config);
    enrich(&sandbox, AS_OF).expect_code(0);
    let names: Vec<String> = inquiries(&server)
        .iter()
        .map(|target| target.replace("/v3/reference/", "").replace("&limit=1000", ""))
        .collect();
    let wanted = [
        "splits?ticker=FB",
        "splits?ticker=META",
        "dividends?ticker=FB",
        "dividends?ticker=META",
        "tickers/META",
    ];
    assert_eq!(names, wanted);
    let wanted = ["META 2024-02-22 split 1.0 3.0", "META 2024-03-04 split 1.0 2.0"];
    assert_eq!(actions(&sandbox.database()), wanted);
}

#[test]
fn what_is_no_share_has_no_actions() {
    let market = Market::new().with("X:BTCUSD", "1d", rows(&[])).knowing("X:BTCUSD", &[], &[]);
    let config = group("p", "crypto", &["X:BTCUSD"], DAILY);
    let (server, sandbox) = with_group(move |request| market.polygon(request), &config);
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!(inquiries(&server), ["/v3/reference/tickers/X:BTCUSD"]);
}

#[test]
fn an_empty_answer_takes_back_what_is_yet_to_come_and_nothing_else() {
    let days = sessions("2020-01-02", "2024-06-28");
    let told =
        |splits: &[(&str, f64, f64)]| Market::daily(&["AAA"], &days).knowing("AAA", splits, &[]);
    let market = told(&[("2024-03-04", 1.0, 4.0), ("2024-06-10", 1.0, 10.0)]);
    let (server, sandbox) = tracking(move |request| market.polygon(request));
    enrich(&sandbox, "2024-03-14").expect_code(0);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM corporate_actions"), 2);
    let market = told(&[]);
    server.answer_with(move |request| market.polygon(request));
    enrich(&sandbox, "2024-03-15").expect_code(0);
    let held = sandbox.database().texts("SELECT ex_date FROM corporate_actions");
    assert_eq!(held, ["2024-03-04"]);
}

#[test]
fn what_is_not_to_be_had_fails_nothing_and_takes_nothing_back() {
    let (server, sandbox) = unless(|_| None);
    enrich(&sandbox, "2024-03-14").expect_code(0);
    for (day, (status, kind)) in
        [(403, "not_entitled"), (404, "not_found"), (400, "bad_request")].into_iter().enumerate()
    {
        let market = market();
        server.answer_with(move |request| match PolygonAsk::of(request) {
            Some(_) => market.polygon(request),
            None => Answer::status(status, r#"{"status":"ERROR","error":"no"}"#),
        });
        server.take_requests();
        let as_of = format!("2024-04-{:02}", 1 + 8 * day);
        enrich(&sandbox, &as_of).expect_code(0);
        assert_eq!(inquiries(&server), [SPLITS, DIVIDENDS, TICKER], "each once");
        enrich(&sandbox, &as_of).expect_code(0);
        assert_eq!(inquiries(&server), [""; 0], "not again on that day");
        let database = sandbox.database();
        assert_eq!(actions(&database), DECLARED);
        assert_eq!(database.texts("SELECT name FROM reference_data"), ["AAA Inc."]);
        let last = logged(&database).split_off(3 + 3 * day);
        let refused = |word| format!("{word} {status} {kind} 0 0");
        assert_eq!(last, ["splits", "dividends", "listing"].map(refused));
        assert_eq!(database.number("SELECT count(*) FROM failures"), 0);
    }
}

#[test]
fn trouble_with_it_is_no_trouble_of_the_bars() {
    let (server, sandbox) =
        unless(|request| request.path.contains("dividends").then(|| Answer::status(500, "oops")));
    enrich(&sandbox, AS_OF).expect_code(2);
    // Three tries, and three more at the end of the run; what came is not asked for again.
    assert_eq!(inquiries(&server).iter().filter(|asked| *asked == DIVIDENDS).count(), 6);
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    let failures = database.texts(
        "SELECT concat_ws(' ', symbol, timeframe, stage, error_kind, attempts) FROM failures",
    );
    assert_eq!(failures, ["AAA dividends fetch server 3"]);
    let series = database
        .texts("SELECT consecutive_failures || ' ' || coalesce(last_error, '-') FROM series");
    assert_eq!(series, ["0 -"]);
    assert_eq!(database.number("SELECT count(*) FROM gaps"), 0);
    let job = database.texts("SELECT status || ' ' || last_error FROM jobs");
    assert_eq!(job, ["failed dividends server: HTTP 500: oops"]);
    assert_eq!(actions(&database), DECLARED[2..], "what came counts");
    sandbox.mdctl(&["history", "last"]).expect_code(0).expect_stdout("dividends");
    let health = sandbox.mdctl(&["health", "--json"]).json();
    assert_eq!(health["recent_failures"][0]["timeframe"], "dividends");
    // The next run asks again, once the breaker lets it.
    sandbox.tamper("DELETE FROM breaker_state");
    let market = market();
    server.answer_with(move |request| market.polygon(request));
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!(asked(&server.take_requests()), [SPLITS, DIVIDENDS]);
    assert_eq!(actions(&sandbox.database()), DECLARED);
}

#[test]
fn a_quota_that_is_met_is_waited_for() {
    let (server, sandbox) = unless(|request| {
        let first = request.path.contains("splits") && request.seen == 0;
        first.then(|| Answer::Whole(Reply::new(429, "{}").with("retry-after", "1")))
    });
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!(inquiries(&server), [SPLITS, SPLITS, DIVIDENDS, TICKER]);
    assert_eq!(actions(&sandbox.database()), DECLARED);
    assert_eq!(sandbox.database().numbers("SELECT rate_limited FROM runs"), [1]);
}

#[test]
fn a_wrong_key_is_said() {
    let (server, sandbox) = unless(|request| {
        let body = r#"{"status":"ERROR","error":"Unknown API Key"}"#;
        request.path.contains("reference").then(|| Answer::status(401, body))
    });
    enrich(&sandbox, AS_OF).expect_code(2);
    assert_eq!(inquiries(&server), [SPLITS], "the provider is not asked any more");
    let database = sandbox.database();
    assert_eq!(database.bars("AAA", "1d"), rows(&daily_sessions()));
    let kinds = database.texts("SELECT DISTINCT error_kind FROM failures");
    assert_eq!(kinds, ["auth"]);
    assert_eq!(database.number("SELECT consecutive_failures FROM series"), 0);
}

#[test]
fn what_a_budget_cuts_off_is_asked_for_by_the_next_run() {
    let (server, sandbox) = unless(|_| None);
    let budget = ["enrich", "--as-of", AS_OF, "--max-requests", "2"];
    sandbox.mdctl(&budget).expect_code(4);
    assert_eq!(inquiries(&server), [SPLITS]);
    let job = sandbox.database().texts("SELECT status || ' ' || last_error FROM jobs");
    assert!(job[0].starts_with("deferred dividends: "), "{job:?}");
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!(inquiries(&server), [SPLITS, DIVIDENDS, TICKER]);
}

#[test]
fn what_is_taken_back_goes_and_what_is_restated_changes() {
    let (server, sandbox) = unless(|_| None);
    enrich(&sandbox, "2024-03-15").expect_code(0);
    let other = market().knowing("AAA", &[("2024-03-05", 1.0, 4.0)], &[("2024-02-20", 0.26)]);
    server.answer_with(move |request| other.polygon(request));
    enrich(&sandbox, "2024-03-16").expect_code(0);
    let wanted = ["AAA 2024-02-20 dividend 0.26 USD", "AAA 2024-03-05 split 1.0 4.0"];
    assert_eq!(actions(&sandbox.database()), wanted);
}

#[test]
fn pages_are_followed_to_their_end() {
    let (server, sandbox) = unless(|request| {
        let split = |date: &str| serde_json::json!([{ "execution_date": date, "split_from": 1, "split_to": 2, "ticker": "AAA" }]);
        let answer = |date, next: Option<&str>| {
            let body = crate::support::market::reference_body(split(date), next);
            Some(Answer::ok(body.to_string()))
        };
        match (request.path.as_str(), request.parameter("cursor")) {
            ("/v3/reference/splits", None) => answer(
                "2024-03-04",
                Some("https://api.massive.com/v3/reference/splits?cursor=two&apiKey=stolen"),
            ),
            ("/v3/reference/splits", Some("two")) => answer("2020-03-04", None),
            _ => None,
        }
    });
    enrich(&sandbox, AS_OF).expect_code(0);
    assert_eq!(inquiries(&server), [SPLITS, "/v3/reference/splits?cursor=two", DIVIDENDS, TICKER]);
    let splits = "SELECT ex_date FROM corporate_actions WHERE kind = 'split' ORDER BY ex_date";
    assert_eq!(sandbox.database().texts(splits), ["2020-03-04", "2024-03-04"]);
    assert_eq!(logged(&sandbox.database())[..2], ["splits 200 ok 1 0", "splits 200 ok 1 0"]);
}

#[test]
fn killed_between_two_answers_the_next_run_ends_where_an_undisturbed_one_ends() {
    let (_whole, undisturbed) = unless(|_| None);
    enrich(&undisturbed, AS_OF).expect_code(0);
    for (hung, requests) in [("splits", 2), ("dividends", 3), ("tickers", 4)] {
        let (server, sandbox) =
            unless(move |request| request.path.contains(hung).then_some(Answer::Hang));
        let running = sandbox.start(&["enrich", "--as-of", AS_OF]);
        server.wait_for(requests);
        running.kill();
        let market = market();
        server.answer_with(move |request| market.polygon(request));
        enrich(&sandbox, AS_OF).expect_code(0);
        assert_alike(&contents(&sandbox), &contents(&undisturbed), hung);
        server.take_requests();
        enrich(&sandbox, AS_OF).expect_code(0);
        assert_eq!(server.requests().len(), 0);
    }
}

#[test]
fn status_says_what_is_known_of_a_symbol() {
    let (server, sandbox) = unless(|_| None);
    sandbox.backfill(&[]).expect_code(0);
    assert!(sandbox.mdctl(&["status", "AAA", "--json"]).json()["reference"].is_null());
    enrich(&sandbox, AS_OF).expect_code(0);
    let status = sandbox.mdctl(&["status", "AAA", "--json"]).expect_code(0).json();
    let reference = &status["reference"];
    let wanted = [
        "active",
        "checked_at",
        "currency",
        "delisted_on",
        "exchange",
        "listed_on",
        "name",
        "note",
        "provider",
        "type",
    ];
    assert_eq!(fields(reference), wanted);
    assert_eq!((&reference["name"], &reference["active"]), (&"AAA Inc.".into(), &true.into()));
    assert!(reference["note"].is_null() && reference["delisted_on"].is_null());
    sandbox
        .mdctl(&["status", "AAA"])
        .expect_code(0)
        .expect_stdout("AAA Inc., XNAS, usd, CS, active, listed 1980-12-12 (by p, ");
    server.answer_with(|_| {
        let body = r#"{"status":"OK","results":{"ticker":"AAA","name":"AAA Inc.","active":false,
            "delisted_utc":"2024-03-20T00:00:00Z"}}"#;
        Answer::ok(body)
    });
    enrich(&sandbox, "2024-03-25");
    sandbox
        .mdctl(&["status", "AAA"])
        .expect_stdout("not active, delisted 2024-03-20")
        .expect_stdout(r#"AAA is delisted since 2024-03-20, says p, and not in the config"#);
    let status = sandbox.mdctl(&["status", "AAA", "--json"]).json();
    assert!(status["reference"]["note"].as_str().is_some_and(|note| note.contains("2024-03-20")));
    sandbox.go_back_to_schema_1();
    sandbox.mdctl(&["enrich", "--as-of", "2024-03-25", "--dry-run"]).expect_code(0);
    let status = sandbox.mdctl(&["status", "AAA", "--json"]).expect_code(0).json();
    assert!(status["reference"].is_null());
}

#[test]
fn a_symbol_without_days_is_asked_about_too() {
    let hours: Vec<i64> =
        crate::support::market::hours("2024-03-15T14:00:00Z", "2024-03-15T20:00:00Z");
    let market = market().with("AAA", "1h", rows(&hours));
    let config =
        group("p", "stock", &["AAA"], "timeframes = [\"1h\"]\nlookback = { \"1h\" = \"1d\" }");
    let (server, sandbox) = with_group(
        move |request| match request.path.contains("dividends") && request.seen < 3 {
            true => Answer::status(500, "oops"),
            false => market.polygon(request),
        },
        &config,
    );
    sandbox.mdctl(&["enrich", "--as-of", AS_OF, "--timeframe", "1h"]).expect_code(0);
    assert_eq!(inquiries(&server).len(), 2 + 4, "the second try brought it");
    let database = sandbox.database();
    assert_eq!(actions(&database), DECLARED);
    assert_eq!(database.texts("SELECT timeframe FROM series"), ["1h"]);
}

#[test]
fn a_failing_list_of_names_costs_no_bar_no_job_and_no_breaker() {
    let symbols = ["BBB", "CCC", "DDD"];
    let days = sessions("2024-01-02", "2024-06-28");
    let market = symbols.iter().fold(Market::new(), |market, symbol| {
        market.with(symbol, "1d", rows(&days)).knowing(symbol, &[], &[])
    });
    let (server, sandbox) = with_group(
        move |request| match request.path.contains("/reference/tickers/") {
            true => Answer::status(500, "oops"),
            false => market.polygon(request),
        },
        &group("p", "stock", &symbols, DAILY),
    );
    for as_of in ["2024-03-14", "2024-03-15", "2024-03-18"] {
        enrich(&sandbox, as_of).expect_code(0);
    }
    sandbox.backfill_at("2024-03-19", &[]).expect_code(0);
    let health =
        sandbox.mdctl(&["health", "--as-of", "2024-03-19", "--json"]).expect_code(0).json();
    assert_eq!(health["status"], "healthy", "{health}");
    assert!(health["recent_failures"].as_array().is_some_and(|failures| failures.len() == 9));
    assert!(server.requests().len() > 20);
}
