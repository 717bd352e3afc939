//! A symbol's timeframes: in turn while every lane has a symbol of its own, several at once where lanes
//! would idle; and what comes of them is told in their order all the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::market::{Market, PolygonAsk, hours, rows};
use crate::support::server::{Answer, Request, Server};
use crate::support::{AS_OF, Sandbox, asked, group, polygon};

const THREE: &str = r#"timeframes = ["15m", "30m", "1h"]
lookback = { "15m" = "2d", "1h" = "2d", "30m" = "2d" }"#;

/// So many requests meet before any of them is answered.
struct Meeting {
    standing: Mutex<Standing>,
    met: Condvar,
    together: usize,
}

#[derive(Default)]
struct Standing {
    here: Vec<String>,
    /// Who met, time after time.
    met: Vec<Vec<String>>,
}

impl Meeting {
    fn of(together: usize) -> Arc<Self> {
        Arc::new(Self { standing: Mutex::default(), met: Condvar::new(), together })
    }

    /// Whether the others came, within a while.
    fn wait(&self, who: String) -> bool {
        let mut standing = self.standing.lock().expect("a lock");
        let before = standing.met.len();
        standing.here.push(who);
        if standing.here.len() == self.together {
            let met = std::mem::take(&mut standing.here);
            standing.met.push(met);
            self.met.notify_all();
        }
        let waiting = self.met.wait_timeout_while(standing, Duration::from_secs(20), |standing| {
            standing.met.len() == before
        });
        !waiting.expect("a lock").1.timed_out()
    }

    fn met(&self) -> Vec<Vec<String>> {
        self.standing.lock().expect("a lock").met.clone()
    }
}

/// Two days of bars of `symbols` in three timeframes.
fn market(symbols: &[&str]) -> Market {
    let bars = |seconds: usize| -> Vec<i64> {
        let hours = hours("2024-03-12T00:00:00Z", "2024-03-16T00:00:00Z");
        (hours[0]..=hours[hours.len() - 1] + 2_700).step_by(seconds).collect()
    };
    symbols.iter().fold(Market::new(), |market, symbol| {
        let with =
            |market: Market, (name, seconds)| market.with(symbol, name, rows(&bars(seconds)));
        [("15m", 900), ("30m", 1_800), ("1h", 3_600)].into_iter().fold(market, with)
    })
}

fn sandbox(server: &Server, symbols: &[&str]) -> Sandbox {
    Sandbox::with(&(polygon(&server.url(), "") + &group("p", "crypto", symbols, THREE)))
}

/// A server at which so many requests meet before any of them is answered, and a sandbox that asks it.
fn meeting(symbols: &[&str], meeting: &Arc<Meeting>) -> (Server, Sandbox) {
    let (market, meeting) = (market(symbols), Arc::clone(meeting));
    let server = Server::start(move |request| match meeting.wait(symbol(request)) {
        true => market.polygon(request),
        false => Answer::status(404, "{}"),
    });
    let sandbox = sandbox(&server, symbols);
    (server, sandbox)
}

fn symbol(request: &Request) -> String {
    PolygonAsk::of(request).map_or_else(|| request.target(), |ask| ask.symbol)
}

/// What was asked for, as `SYMBOL TIMEFRAME`.
fn series(requests: &[Request]) -> Vec<String> {
    let asked = asked(requests);
    asked.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn timeframes_overlap_where_lanes_would_idle() {
    let meeting_of_3 = Meeting::of(3);
    let (_server, sandbox) = meeting(&["X:AUSD"], &meeting_of_3);
    sandbox.backfill(&["--parallel", "5"]).expect_code(0);
    assert_eq!(meeting_of_3.met(), [["X:AUSD"; 3]]);
    let bars =
        sandbox.database().texts("SELECT timeframe || ' ' || bar_count FROM series ORDER BY 1");
    assert_eq!(bars, ["15m 190", "1h 47", "30m 95"]);
}

#[test]
fn a_few_symbols_share_the_lanes_that_are_over() {
    let meeting_of_3 = Meeting::of(3);
    let (_server, sandbox) = meeting(&["X:AUSD", "X:BUSD"], &meeting_of_3);
    sandbox.backfill(&["--parallel", "3"]).expect_code(0);
    assert_eq!(meeting_of_3.met().len(), 2, "six requests, three at a time");
}

#[test]
fn timeframes_are_asked_for_in_turn_while_every_lane_has_its_symbol() {
    let meeting_of_2 = Meeting::of(2);
    let symbols = ["X:AUSD", "X:BUSD", "X:CUSD", "X:DUSD"];
    let (server, sandbox) = meeting(&symbols, &meeting_of_2);
    sandbox.backfill(&["--parallel", "2"]).expect_code(0);
    for met in meeting_of_2.met() {
        assert_ne!(met[0], met[1], "two of one symbol at once: {:?}", meeting_of_2.met());
    }
    for symbol in symbols {
        let mut asked = series(&server.requests());
        asked.retain(|line| line.starts_with(symbol));
        assert_eq!(asked, ["15m", "30m", "1h"].map(|timeframe| format!("{symbol} {timeframe}")));
    }
}

#[test]
fn with_one_lane_everything_is_in_turn() {
    let symbols = ["X:AUSD", "X:BUSD"];
    let market = market(&symbols);
    let server = Server::start(move |request| market.polygon(request));
    let sandbox = sandbox(&server, &symbols);
    sandbox.backfill(&["--parallel", "1"]).expect_code(0);
    let of = |symbol| ["15m", "30m", "1h"].map(|timeframe| format!("{symbol} {timeframe}"));
    assert_eq!(series(&server.requests()), [of("X:AUSD"), of("X:BUSD")].concat());
}

#[test]
fn no_more_requests_than_lanes_are_in_flight() {
    let market = market(&["X:AUSD", "X:BUSD"]);
    let (flying, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let server = Server::start(move |request| {
        highest.fetch_max(flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        (0..200).for_each(|_| std::thread::yield_now());
        let answer = market.polygon(request);
        flying.fetch_sub(1, Ordering::SeqCst);
        answer
    });
    let sandbox = sandbox(&server, &["X:AUSD", "X:BUSD"]);
    sandbox.backfill(&["--parallel", "2"]).expect_code(0);
    assert!(most.load(Ordering::SeqCst) <= 2, "{} at once", most.load(Ordering::SeqCst));
}

/// A sandbox that tracks a symbol which had another name before, in three timeframes.
fn renamed(server: &Server) -> Sandbox {
    let config = polygon(&server.url(), "") + &group("p", "crypto", &["X:NEWUSD"], THREE);
    let renamed =
        r#"{ symbol = "X:NEWUSD", aliases = [{ symbol = "X:OLDUSD", until = "2024-03-14" }] }"#;
    Sandbox::with(&config.replace(r#""X:NEWUSD""#, renamed))
}

#[test]
fn the_spans_of_one_series_are_asked_for_one_after_the_other() {
    let market = market(&["X:OLDUSD", "X:NEWUSD"]);
    let (flying, twice) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let seen_twice = Arc::clone(&twice);
    let server = Server::start(move |request| {
        let timeframe = PolygonAsk::of(request).expect("bars are asked for").timeframe;
        {
            let mut flying = flying.lock().expect("a lock");
            seen_twice.fetch_add(usize::from(flying.contains(&timeframe)), Ordering::SeqCst);
            flying.push(timeframe.clone());
        }
        (0..2_000).for_each(|_| std::thread::yield_now());
        flying.lock().expect("a lock").retain(|other| *other != timeframe);
        market.polygon(request)
    });
    let sandbox = renamed(&server);
    sandbox.backfill(&["--parallel", "6"]).expect_code(0);
    assert_eq!(server.requests().len(), 6, "three timeframes under two names");
    assert_eq!(twice.load(Ordering::SeqCst), 0);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM bars"), 190 + 95 + 47);
}

#[test]
fn several_spans_of_several_series_come_through_one_lane() {
    let market = market(&["X:OLDUSD", "X:NEWUSD"]);
    let server = Server::start(move |request| market.polygon(request));
    let sandbox = renamed(&server);
    sandbox.backfill(&["--parallel", "1"]).expect_code(0);
    let both = |timeframe| ["OLD", "NEW"].map(|name| format!("X:{name}USD {timeframe}"));
    assert_eq!(series(&server.requests()), ["15m", "30m", "1h"].map(both).concat());
}

#[test]
fn failures_are_told_in_the_order_of_the_tasks_however_they_came() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = Server::start(move |request| {
        // The first one is answered last.
        if request.path.contains("/15/minute/") {
            let _ = held.lock().expect("a lock").recv();
        }
        Answer::status(404, "{}")
    });
    let sandbox = sandbox(&server, &["X:AUSD"]);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF, "--parallel", "5"]);
    server.wait_for(3);
    crate::support::wait_until(|| {
        sandbox.database().number("SELECT count(*) FROM fetch_log WHERE http_status = 404") == 2
    });
    drop(release);
    assert_eq!(running.wait(), Some(2));
    let database = sandbox.database();
    let failures =
        database.texts("SELECT timeframe || ' ' || error_kind FROM failures ORDER BY rowid");
    assert_eq!(failures, ["15m not_found", "30m not_found", "1h not_found"]);
    let last = database.texts("SELECT last_error FROM jobs");
    assert!(last[0].starts_with("1h not_found"), "{last:?}");
    assert_eq!(server.requests().len(), 3, "each once");
}

#[test]
fn a_wrong_key_is_shown_no_more_often_than_there_are_lanes() {
    let server = Server::start(|_| Answer::status(401, "{}"));
    let sandbox = sandbox(&server, &["X:AUSD", "X:BUSD"]);
    sandbox.backfill(&["--parallel", "3"]).expect_code(2);
    assert!(server.requests().len() <= 3, "{:?}", series(&server.requests()));
}

#[test]
fn a_budget_goes_to_every_symbol_before_further_timeframes_of_the_first() {
    let symbols = ["X:AUSD", "X:BUSD", "X:CUSD"];
    let market = market(&symbols);
    let server = Server::start(move |request| market.polygon(request));
    let sandbox = sandbox(&server, &symbols);
    sandbox.backfill(&["--parallel", "8", "--max-requests", "3"]).expect_code(4);
    let mut asked = series(&server.requests());
    asked.sort();
    assert_eq!(asked, symbols.map(|symbol| format!("{symbol} 15m")));
}

#[test]
fn a_quota_goes_to_every_symbol_before_further_timeframes_of_the_first() {
    let symbols = ["X:AUSD", "X:BUSD", "X:CUSD"];
    let meeting_of_4 = Meeting::of(4);
    let (server, sandbox) = meeting(&symbols, &meeting_of_4);
    let narrow = r#"rate = { requests = 4, per = "1h" }"#;
    let usual = r#"rate = { requests = 1000, per = "1s" }"#;
    sandbox.write("mdctl.toml", sandbox.read("mdctl.toml").replace(usual, narrow));
    sandbox.backfill(&["--parallel", "8", "--max-duration", "20s"]).expect_code(4);
    let asked = series(&server.requests());
    assert_eq!(asked.len(), 4);
    for symbol in symbols {
        assert!(asked.contains(&format!("{symbol} 15m")), "{asked:?}");
    }
}

#[test]
fn several_requests_of_a_symbol_have_the_grace_to_come() {
    let market = market(&["X:AUSD"]);
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = Server::start(move |request| {
        let _ = held.lock().expect("a lock").recv();
        market.polygon(request)
    });
    let config = polygon(&server.url(), "").replace("[run]", "[run]\ngrace = \"1h\"")
        + &group("p", "crypto", &["X:AUSD"], THREE);
    let sandbox = Sandbox::with(&config);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF, "--parallel", "2"]);
    server.wait_for(2);
    running.signal(Signal::TERM);
    drop(release);
    assert_eq!(running.wait(), Some(143));
    assert_eq!(server.requests().len(), 2);
    let complete = "SELECT count(*) FROM series WHERE bar_count > 0";
    assert_eq!(sandbox.database().number(complete), 2);
    assert_eq!(sandbox.database().texts("SELECT status FROM jobs"), ["skipped"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 3, "the rest, and nothing twice");
}

#[test]
fn one_timeframe_of_several_that_fails_is_tried_again_alone() {
    let market = market(&["X:AUSD"]);
    let server =
        Server::start(move |request| match (request.path.contains("/1/hour/"), request.seen) {
            // Three tries, and then the job is tried again.
            (true, 0..3) => Answer::status(503, "{}"),
            _ => market.polygon(request),
        });
    let mut config = polygon(&server.url(), "") + &group("p", "crypto", &["X:AUSD"], THREE);
    config = config.replace("[run]", "[run]\njob_retries = { max = 3, initial = \"1ms\" }");
    let sandbox = Sandbox::with(&config);
    sandbox.mdctl(&["enrich", "--as-of", AS_OF, "--parallel", "5"]).expect_code(0);
    let mut bars = series(&server.requests());
    bars.retain(|line| line.starts_with("X:AUSD"));
    bars.sort();
    let hours = ["X:AUSD 1h"; 4];
    assert_eq!(bars, [&["X:AUSD 15m"][..], &hours, &["X:AUSD 30m"]].concat());
    assert_eq!(sandbox.database().number("SELECT retry_count FROM jobs"), 3);
}
