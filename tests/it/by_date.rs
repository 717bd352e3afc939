//! Splits and dividends of many symbols: asked for by date, of all of them at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::crash::{assert_alike, contents};
use crate::support::market::{Market, reference_body, sessions};
use crate::support::server::{Answer, Request, Server};
use crate::support::{DAILY, Database, Output, Sandbox, group, polygon};

/// Trading days at whose end, the beginning of the next one in UTC, a pass is made.
const FIRST: &str = "2024-03-14";
const SECOND: &str = "2024-03-15";

/// The lists of the second day: from sixty days before the first on.
const SPLITS: &str =
    "splits?execution_date.gte=2024-01-15&sort=execution_date&order=asc&limit=1000";
const DIVIDENDS: &str =
    "dividends?ex_dividend_date.gte=2024-01-15&sort=ex_dividend_date&order=asc&limit=1000";

/// More symbols than the pages that are expected of either list.
fn symbols() -> Vec<String> {
    (0..50).map(|n| format!("S{n:02}")).collect()
}

/// Splits and dividends of a symbol: dates and ratios, dates and cash.
type Known<'a> = (&'a str, &'a [(&'a str, f64, f64)], &'a [(&'a str, f64)]);

/// A market in which every symbol, and a few that nobody tracks, has an old split, an old dividend and a
/// recent one; `known` is known in place of that.
fn market(known: &[Known<'_>]) -> Market {
    let names = symbols();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let market = Market::daily(&names, &sessions("2024-01-02", "2024-06-28"));
    let others = ["A", "S", "S000", "T00", "ZZZ"];
    let market = names.iter().chain(&others).fold(market, |market, symbol| {
        market.knowing(
            symbol,
            &[("2010-05-03", 1.0, 2.0)],
            &[("2015-02-10", 0.5), ("2024-03-01", 0.25)],
        )
    });
    known.iter().fold(market, |market, (symbol, splits, dividends)| {
        market.knowing(symbol, splits, dividends)
    })
}

/// What becomes known of some symbols between the two days: a split told late, one yet to come, one that
/// was corrected, and a dividend.
const NEWS: [Known<'_>; 4] = [
    (
        "S01",
        &[("2010-05-03", 1.0, 2.0), ("2024-02-20", 1.0, 4.0)],
        &[("2015-02-10", 0.5), ("2024-03-01", 0.25)],
    ),
    (
        "S02",
        &[("2010-05-03", 1.0, 2.0), ("2024-04-10", 10.0, 1.0)],
        &[("2015-02-10", 0.5), ("2024-03-01", 0.26)],
    ),
    (
        "S03",
        &[("2010-05-03", 1.0, 2.0)],
        &[("2015-02-10", 0.5), ("2024-03-01", 0.25), ("2024-06-03", 0.3)],
    ),
    (
        "ZZZ",
        &[("2024-03-11", 1.0, 9.0), ("2024-05-20", 1.0, 3.0)],
        &[("2024-02-02", 9.0), ("2024-06-10", 9.0)],
    ),
];

fn config(server: &Server) -> String {
    let symbols = symbols();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    polygon(&server.url(), "")
        .replace("[run]", "[run]\njob_retries = { initial = \"1ms\", max = 1 }")
        + &group("p", "stock", &symbols, DAILY)
}

/// A sandbox that was enriched on the first day.
fn enriched() -> (Server, Sandbox) {
    let before = market(&[]);
    let server = Server::start(move |request| before.polygon(request));
    let sandbox = Sandbox::with(&config(&server));
    enrich(&sandbox, FIRST).expect_code(0);
    server.take_requests();
    (server, sandbox)
}

/// The second day of such a sandbox, whose provider answers as `responder` says.
fn second_day(
    responder: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Server, Sandbox, Output) {
    let (server, sandbox) = enriched();
    server.answer_with(responder);
    let output = enrich(&sandbox, SECOND);
    (server, sandbox, output)
}

fn enrich(sandbox: &Sandbox, as_of: &str) -> Output {
    sandbox.mdctl(&["enrich", "--as-of", as_of])
}

/// What was asked about splits and dividends since this was last looked at.
fn asked(server: &Server) -> Vec<String> {
    let requests = server.take_requests();
    let targets = requests.iter().map(Request::target);
    let others =
        targets.filter_map(|target| target.strip_prefix("/v3/reference/").map(str::to_owned));
    others.filter(|target| !target.starts_with("tickers/")).collect()
}

/// Whether a request is for the list of all symbols by date.
fn is_by_date(request: &Request, list: &str) -> bool {
    request.path.ends_with(list) && request.parameter("ticker").is_none()
}

fn actions(database: &Database) -> Vec<String> {
    database.texts(
        "SELECT concat_ws(' ', symbol, ex_date, kind, ratio_from, ratio_to, cash_amount, currency, status)
           FROM corporate_actions ORDER BY 1",
    )
}

/// The actions of a sandbox that is asked about symbol by symbol on both days.
fn actions_one_by_one(news: &[Known<'_>]) -> Vec<String> {
    let (server, sandbox) = enriched();
    let after = market(news);
    server.answer_with(move |request| after.polygon(request));
    for symbol in symbols() {
        sandbox.mdctl(&["enrich", &symbol, "--as-of", SECOND]).expect_code(0);
    }
    assert_eq!(asked(&server).iter().filter(|asked| asked.contains("gte")).count(), 0);
    actions(&sandbox.database())
}

/// Which symbols were asked about by the second day, if any.
fn checked(sandbox: &Sandbox) -> i64 {
    let at =
        "SELECT count(*) FROM tracked_symbols WHERE actions_checked_at >= unixepoch('2024-03-16')";
    sandbox.database().number(at)
}

#[test]
fn from_the_second_day_on_two_requests_tell_what_a_hundred_told() {
    let after = market(&NEWS);
    let (server, sandbox, output) = second_day(move |request| after.polygon(request));
    output.expect_code(0);
    let mut lists = asked(&server);
    lists.sort_unstable();
    assert_eq!(lists, [DIVIDENDS, SPLITS]);
    assert_eq!(actions(&sandbox.database()), actions_one_by_one(&NEWS));
    assert_eq!(checked(&sandbox), 50);
    let database = sandbox.database();
    let logged = database.texts(
        "SELECT concat_ws(' ', symbol, timeframe, http_status, records_fetched) FROM fetch_log
          WHERE run_id = (SELECT max(run_id) FROM runs) AND timeframe NOT IN ('1d', 'listing')
          ORDER BY timeframe",
    );
    assert_eq!(logged, ["* dividends 200 57", "* splits 200 4"]);
    let made = database.number("SELECT requests FROM runs ORDER BY run_id DESC LIMIT 1");
    let rows = "SELECT count(*) FROM fetch_log WHERE run_id = (SELECT max(run_id) FROM runs)";
    assert_eq!(made, database.number(rows));
    enrich(&sandbox, SECOND).expect_code(0);
    assert_eq!(asked(&server), [""; 0]);
}

#[test]
fn the_dry_run_counts_a_list_once() {
    let (server, sandbox) = enriched();
    let dry = ["enrich", "--as-of", SECOND, "--dry-run"];
    let plan = sandbox.mdctl(&[&dry[..], &["--json"]].concat()).expect_code(0).json();
    let lists: Vec<String> = plan["shared"]
        .as_array()
        .expect("requests")
        .iter()
        .filter(|shared| shared["about"] != "bars")
        .map(|shared| {
            assert!(shared["to"].is_null(), "it has no end");
            let word = |name: &str| shared[name].to_string();
            format!("{} {} {}", word("about"), word("tasks"), word("further_pages"))
        })
        .collect();
    assert_eq!(lists, [r#""splits" 50 0"#, r#""dividends" 50 16"#]);
    assert!(plan["further_pages"].as_u64() >= Some(16));
    sandbox.mdctl(&dry).expect_code(0).expect_stdout("~17").expect_stdout("shared");
    assert_eq!(server.requests().len(), 0);
    enrich(&sandbox, SECOND).expect_code(0);
    assert_eq!(asked(&server).len(), 2);
}

#[test]
fn a_few_that_are_selected_are_asked_one_by_one() {
    let (server, sandbox) = enriched();
    sandbox.mdctl(&["enrich", "S07", "--as-of", SECOND]).expect_code(0);
    assert_eq!(asked(&server), ["splits?ticker=S07&limit=1000", "dividends?ticker=S07&limit=1000"]);
    // The others still share, and the one is not asked about again.
    enrich(&sandbox, SECOND).expect_code(0);
    assert_eq!(asked(&server).len(), 2);
    assert_eq!(checked(&sandbox), 50);
}

#[test]
fn who_wants_none_of_it_is_asked_one_by_one() {
    let (server, sandbox) = enriched();
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", config.replace("history =", "grouped = false\nhistory ="));
    enrich(&sandbox, SECOND).expect_code(0);
    assert_eq!(asked(&server).iter().filter(|asked| asked.contains("ticker")).count(), 100);
}

#[test]
fn so_many_that_are_new_share_all_the_years() {
    let names: Vec<String> = (0..180).map(|n| format!("N{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let old = [("1999-03-08", 1.0, 2.0), ("2024-02-20", 1.0, 4.0)];
    let market = names
        .iter()
        .fold(Market::new(), |market, symbol| market.knowing(symbol, &old, &[("2001-02-05", 0.5)]));
    let server = Server::start(move |request| market.polygon(request));
    let config = polygon(&server.url(), "") + &group("p", "stock", &names, DAILY);
    let sandbox = Sandbox::with(&config);
    enrich(&sandbox, FIRST).expect_code(0);
    let lists = asked(&server);
    assert_eq!(lists.iter().filter(|asked| asked.starts_with("dividends?ticker")).count(), 180);
    let splits: Vec<&String> = lists.iter().filter(|asked| asked.starts_with("splits")).collect();
    assert_eq!(splits, [&SPLITS.replace("2024-01-15", "1900-01-01")]);
    let database = sandbox.database();
    assert_eq!(database.number("SELECT count(*) FROM corporate_actions"), 180 * 3);
    assert_eq!(database.number("SELECT count(*) FROM actions_told"), 180 * 2);
}

#[test]
fn one_that_is_new_is_asked_for_all_there_ever_was() {
    let (server, sandbox) = enriched();
    let both = market(&[]).knowing("NEW", &[("2001-02-05", 1.0, 3.0)], &[]);
    server.answer_with(move |request| both.polygon(request));
    let old = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", old.replace(r#""S49""#, r#""S49", "NEW""#));
    enrich(&sandbox, SECOND);
    let mut lists = asked(&server);
    lists.sort_unstable();
    let new = |list: &str| format!("{list}?ticker=NEW&limit=1000");
    assert_eq!(lists, [DIVIDENDS.to_owned(), new("dividends"), SPLITS.to_owned(), new("splits")]);
    let told =
        sandbox.database().texts("SELECT ex_date FROM corporate_actions WHERE symbol = 'NEW'");
    assert_eq!(told, ["2001-02-05"]);
}

#[test]
fn one_under_another_name_is_asked_under_every_name_it_had() {
    let (server, sandbox) = enriched();
    let both = market(&[]).knowing("OLD", &[("2001-02-05", 1.0, 3.0)], &[]);
    server.answer_with(move |request| both.polygon(request));
    let renamed = r#"{ symbol = "S49", aliases = [{ symbol = "OLD", until = "2024-02-29" }] }"#;
    let old = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", old.replace(r#""S49""#, renamed));
    enrich(&sandbox, SECOND).expect_code(0);
    let alone: Vec<String> =
        asked(&server).into_iter().filter(|asked| asked.contains("ticker")).collect();
    assert_eq!(alone.len(), 4, "{alone:?}");
    let told = "SELECT ex_date FROM corporate_actions WHERE symbol = 'S49' ORDER BY ex_date";
    // What it was told of before it had another name may be that one's: nobody has taken it back.
    assert_eq!(sandbox.database().texts(told), ["2001-02-05", "2015-02-10", "2024-03-01"]);
    // From then on it stands in the list under either name, each on its days.
    let days: [(&str, f64, f64); 3] =
        [("2024-02-01", 1.0, 5.0), ("2024-02-29", 1.0, 6.0), ("2024-03-11", 1.0, 7.0)];
    let both = market(&[("S49", &days, &[])]).knowing("OLD", &days, &[]);
    server.answer_with(move |request| both.polygon(request));
    enrich(&sandbox, "2024-03-18").expect_code(0);
    assert_eq!(asked(&server).len(), 2);
    let told = sandbox.database().texts(
        "SELECT concat_ws(' ', ex_date, ratio_to) FROM corporate_actions
          WHERE symbol = 'S49' AND kind = 'split' ORDER BY ex_date",
    );
    assert_eq!(told, ["2001-02-05 3.0", "2024-02-01 5.0", "2024-02-29 6.0", "2024-03-11 7.0"]);
}

#[test]
fn pages_are_followed_and_count() {
    let after = market(&NEWS).paged(20);
    let (server, sandbox, output) = second_day(move |request| after.polygon(request));
    output.expect_code(0);
    let lists = asked(&server);
    assert_eq!(lists.iter().filter(|asked| asked.starts_with("dividends")).count(), 3);
    assert_eq!(actions(&sandbox.database()), actions_one_by_one(&NEWS));
    let logged = "SELECT count(*) FROM fetch_log WHERE symbol = '*' AND timeframe = 'dividends'";
    assert_eq!(sandbox.database().number(logged), 3);
}

#[test]
fn a_list_that_is_refused_is_asked_for_symbol_by_symbol_in_the_same_run() {
    for status in [403, 404, 400] {
        let after = market(&NEWS);
        let (server, sandbox, output) = second_day(move |request| {
            if is_by_date(request, "/splits") || is_by_date(request, "/dividends") {
                return Answer::status(status, r#"{"status":"ERROR","message":"no"}"#);
            }
            after.polygon(request)
        });
        output.expect_code(0);
        let lists = asked(&server);
        let by_date = lists.iter().filter(|asked| asked.contains("gte")).count();
        assert_eq!((by_date, lists.len()), (2, 102), "each list once, and each symbol");
        assert_eq!(actions(&sandbox.database()), actions_one_by_one(&NEWS));
        assert_eq!(checked(&sandbox), 50);
    }
}

#[test]
fn half_a_list_is_declared_of_nobody() {
    let works = Arc::new(AtomicBool::new(false));
    let after = market(&NEWS).paged(20);
    let let_through = Arc::clone(&works);
    let (server, sandbox, output) = second_day(move |request| {
        let is_second = request.path.ends_with("/dividends") && request.query.contains("cursor");
        if is_second && !let_through.load(Ordering::SeqCst) {
            return Answer::status(500, "oops");
        }
        after.polygon(request)
    });
    output.expect_code(2);
    let held = "SELECT count(*) FROM corporate_actions WHERE kind = 'dividend'
                   AND symbol = 'S03' AND ex_date > '2024-03-14'";
    assert_eq!((sandbox.database().number(held), checked(&sandbox)), (0, 0));
    let lists = asked(&server);
    // Three tries of the second page, and three more at the end of the run; nothing symbol by symbol.
    assert_eq!(lists.iter().filter(|asked| asked.contains("ticker")).count(), 0);
    assert_eq!(lists.iter().filter(|asked| asked.starts_with("dividends")).count(), 2 * (1 + 3));
    assert_eq!(lists.iter().filter(|asked| asked.starts_with("splits")).count(), 1);
    sandbox.tamper("DELETE FROM breaker_state");
    works.store(true, Ordering::SeqCst);
    enrich(&sandbox, SECOND).expect_code(0);
    assert_eq!(actions(&sandbox.database()), actions_one_by_one(&NEWS));
    assert_eq!(checked(&sandbox), 50);
}

#[test]
fn killed_within_a_list_the_next_run_ends_where_an_undisturbed_one_ends() {
    let after = market(&NEWS);
    let (_whole, undisturbed, output) = second_day(move |request| after.polygon(request));
    output.expect_code(0);
    for hung in ["/splits", "/dividends"] {
        let (server, sandbox) = enriched();
        let after = market(&NEWS);
        server.answer_with(move |request| {
            if is_by_date(request, hung) { Answer::Hang } else { after.polygon(request) }
        });
        let running = sandbox.start(&["enrich", "--as-of", SECOND]);
        crate::support::wait_until(|| {
            server.requests().iter().any(|request| is_by_date(request, hung))
        });
        running.kill();
        let after = market(&NEWS);
        server.answer_with(move |request| after.polygon(request));
        enrich(&sandbox, SECOND).expect_code(0);
        assert_alike(&contents(&sandbox), &contents(&undisturbed), hung);
    }
}

#[test]
fn what_goes_from_a_full_list_is_taken_back_and_from_an_empty_one_nothing() {
    let recent: &[Known<'_>] =
        &[("S05", &[("2024-02-20", 1.0, 4.0), ("2024-04-10", 1.0, 3.0)], &[]), NEWS[3]];
    let told = |sandbox: &Sandbox| {
        sandbox.database().texts(
            "SELECT ex_date FROM corporate_actions WHERE symbol = 'S05' AND kind = 'split' ORDER BY 1",
        )
    };
    let with = market(recent);
    let (server, sandbox, output) = second_day(move |request| with.polygon(request));
    output.expect_code(0);
    let all = ["2010-05-03", "2024-02-20", "2024-04-10"];
    assert_eq!(told(&sandbox), all, "what lies before the list stays");
    server.answer_with(move |request| match is_by_date(request, "/splits") {
        true => Answer::ok(reference_body(json!([]), None).to_string()),
        false => market(&[]).polygon(request),
    });
    enrich(&sandbox, "2024-03-18").expect_code(0);
    assert_eq!(told(&sandbox), all, "a list of nothing is no word about anybody");
    // A list that ends before the two is one that may have been cut off.
    let rows = |dates: &[&str]| {
        let row = |date: &&str| json!({ "ticker": "ZZZ", "execution_date": date, "split_from": 1, "split_to": 2 });
        let rows: Vec<_> = dates.iter().map(row).collect();
        reference_body(rows.into(), None).to_string()
    };
    let list = |body: String| {
        move |request: &Request| match is_by_date(request, "/splits") {
            true => Answer::ok(body.clone()),
            false => market(&[]).polygon(request),
        }
    };
    server.answer_with(list(rows(&["2024-01-30", "2024-02-19"])));
    enrich(&sandbox, "2024-03-19").expect_code(0);
    assert_eq!(told(&sandbox), all, "and calls nothing off that it does not reach");
    server.answer_with(list(rows(&["2024-01-30", "2024-02-21"])));
    enrich(&sandbox, "2024-03-20").expect_code(0);
    assert_eq!(told(&sandbox), [all[0], all[2]]);
    server.answer_with(list(rows(&["2024-01-30", "2024-04-11"])));
    enrich(&sandbox, "2024-03-21").expect_code(0);
    assert_eq!(told(&sandbox), all[..1], "one that reaches beyond it does");
}

#[test]
fn a_row_that_does_not_read_fails_whose_it_is_and_nobody_else() {
    let row = |ticker: &str, to: i64| json!({ "ticker": ticker, "execution_date": "2024-03-11", "split_from": 1, "split_to": to });
    let mut nameless = row("S06", 2);
    nameless["ticker"].take();
    for (broken, rejected, failed, told) in
        [(row("S05", -1), 1, 1, 49), (row("ZZZ", -1), 0, 0, 50), (nameless, 1, 0, 0)]
    {
        let rows = json!([row("AAAA", 2), broken, row("S06", 2)]);
        let body = reference_body(rows, None).to_string();
        let (_server, sandbox, output) =
            second_day(move |request| match is_by_date(request, "/splits") {
                true => Answer::ok(body.clone()),
                false => market(&[]).polygon(request),
            });
        output.expect_code(i32::from(failed > 0));
        let database = sandbox.database();
        let failures =
            database.texts("SELECT symbol || ' ' || timeframe || ' ' || error_kind FROM failures");
        assert_eq!(failures, vec!["S05 splits validation"; failed]);
        let new =
            database.texts("SELECT symbol FROM corporate_actions WHERE ex_date = '2024-03-11'");
        assert_eq!(new, ["S06"]);
        let logged = "SELECT sum(records_rejected) FROM fetch_log WHERE symbol = '*'";
        assert_eq!(database.number(logged), rejected);
        let told_at = "SELECT count(*) FROM actions_told
                        WHERE kind = 'split' AND told_at >= unixepoch('2024-03-16')";
        assert_eq!(database.number(told_at), told, "what may be lacking is asked for again");
    }
}

#[test]
fn budgets_and_shards_keep_their_word() {
    let (server, sandbox) = enriched();
    let shard = ["enrich", "--as-of", SECOND, "--shard"];
    sandbox.mdctl(&["enrich", "--as-of", SECOND, "--max-requests", "0"]).expect_code(4);
    assert_eq!((asked(&server).len(), checked(&sandbox)), (0, 0));
    // So few do not suffice for the dividends of all: some symbols are asked about.
    sandbox.mdctl(&["enrich", "--as-of", SECOND, "--max-requests", "12"]).expect_code(4);
    let some = asked(&server);
    assert!(some.len() > 3 && !some.contains(&DIVIDENDS.to_owned()), "{some:?}");
    assert!((1..12).contains(&checked(&sandbox)), "{}", checked(&sandbox));
    sandbox.mdctl(&[&shard[..], &["1/2"]].concat()).expect_code(0);
    let mine = checked(&sandbox);
    assert!((3..50).contains(&mine), "{mine}");
    assert!(asked(&server).iter().any(|asked| asked == SPLITS));
    sandbox.mdctl(&[&shard[..], &["2/2"]].concat()).expect_code(0);
    assert_eq!(checked(&sandbox), 50);
}
