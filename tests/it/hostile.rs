//! Answers that nobody should send, through the real binary: each is one kind of fault and costs its own
//! symbol, nothing of it is stored, the key stays where it is, and memory stays small.

use std::collections::BTreeMap;

use crate::support::market::Market;
use crate::support::server::{Answer, Request, Server};
use crate::support::{DAILY, KEY, Output, Sandbox, daily_sessions, group, polygon};

mod bodies;
mod chains;
mod memory;
mod others;
mod transport;
mod waits;

/// One answer, and what becomes of the symbol that gets it.
struct Case {
    name: String,
    /// Its `error_kind`; [`NOTHING`] when it is no failure, but brings nothing either.
    kind: &'static str,
    /// Whether only time tells.
    slow: bool,
    answer: Box<dyn Fn(&Request) -> Answer + Send + Sync>,
}

/// No failure, and no bars.
const NOTHING: &str = "";

/// Cases, each of which gets a symbol of its own: `H000` and so on.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    /// Adds an answer that fails as `kind`.
    fn add(
        &mut self,
        name: impl Into<String>,
        kind: &'static str,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) {
        let answer = Box::new(answer);
        self.0.push(Case { name: name.into(), kind, slow: false, answer });
    }

    /// Adds an answer that is always the same.
    fn always(&mut self, name: impl Into<String>, kind: &'static str, answer: Answer) {
        self.add(name, kind, move |_| answer.clone());
    }

    /// Adds an answer for which only so much patience is had.
    fn slow(&mut self, name: impl Into<String>, answer: Answer) {
        self.always(name, "timeout", answer);
        self.0.last_mut().expect("it was added").slow = true;
    }

    /// The symbols of the cases for which there is, or is not, much patience.
    fn symbols(&self, slow: bool) -> Vec<String> {
        let cases = self.0.iter().enumerate().filter(|(_, case)| case.slow == slow);
        cases.map(|(index, _)| symbol(index)).collect()
    }

    /// Asserts that each symbol failed as it should, and says which did not.
    #[track_caller]
    fn expect(&self, run: &Run) {
        let failures = run.failures();
        let mut wrong = Vec::new();
        for (index, case) in self.0.iter().enumerate() {
            let found = failures
                .get(&symbol(index))
                .map_or((NOTHING, ""), |(kind, message)| (kind.as_str(), message.as_str()));
            if found.0 != case.kind {
                wrong.push(format!("{}: {found:?}, expected {:?}", case.name, case.kind));
            }
        }
        assert!(wrong.is_empty(), "{}{}", wrong.join("\n"), run.output);
    }
}

/// The symbol of a case.
fn symbol(index: usize) -> String {
    format!("H{index:03}")
}

/// The case that a request is for; `None` when it is for a symbol without trouble.
fn case_of(request: &Request) -> Option<usize> {
    let target = request.target();
    let mut starts = target.match_indices('H').map(|(at, _)| &target[at + 1..]);
    starts.find_map(|rest| rest.get(..3)?.parse().ok())
}

/// What a run left behind.
struct Run {
    server: Server,
    sandbox: Sandbox,
    output: Output,
}

impl Run {
    /// What failed: kind and message by symbol.
    fn failures(&self) -> BTreeMap<String, (String, String)> {
        let sql = "SELECT symbol, error_kind, message FROM failures";
        let rows =
            self.sandbox.database().rows(sql, |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))));
        rows.into_iter().collect()
    }

    /// Asserts what holds whatever was answered: the key is nowhere, foreign words are fit to be shown,
    /// and only `good` symbols have bars.
    #[track_caller]
    fn expect_clean(&self, good: &[&str]) {
        let Self { server, sandbox, output } = self;
        let history = sandbox.mdctl(&["history", "last", "--json"]);
        let status = sandbox.mdctl(&["status"]);
        for said in [output, history.expect_code(0), &status] {
            assert!(!holds_key(&said.stdout) && !holds_key(&said.stderr), "the key is said{said}");
            assert!(!said.stdout.contains('\u{1b}'), "what a server says moves the cursor{said}");
        }
        for key in [KEY, SECOND] {
            assert!(!sandbox.holds(key), "the key is in a file{output}");
        }
        for request in server.requests() {
            assert!(!holds_key(&request.target()), "the key is in a URL: {}", request.target());
        }
        let database = sandbox.database();
        let texts = "SELECT message FROM failures UNION ALL SELECT text FROM rejected_bars
                     UNION ALL SELECT substr(last_error, 1, 501) FROM jobs WHERE last_error <> ''";
        for text in database.texts(texts) {
            assert!(text.chars().count() <= 501, "{} characters", text.chars().count());
            assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
            assert!(!holds_key(&text), "{text}");
        }
        let with_bars =
            database.texts("SELECT DISTINCT symbol FROM bars JOIN series USING (series_id)");
        assert!(with_bars.iter().all(|symbol| good.contains(&symbol.as_str())), "{with_bars:?}");
    }
}

/// The second half of the key of those that have two.
const SECOND: &str = "other-half-0815";

/// Whether a key stands in `text`, in whatever case.
fn holds_key(text: &str) -> bool {
    let text = text.to_lowercase();
    [KEY, SECOND].iter().any(|key| text.contains(&key.to_lowercase()))
}

/// Symbols without trouble, of providers of their own.
const GOOD: [&str; 2] = ["AAA", "CCC"];

/// A run over daily shares, in which every case's symbol gets its answer. The other symbols are complete.
#[track_caller]
fn run(cases: Cases) -> Run {
    let symbols = [false, true].map(|slow| cases.symbols(slow));
    let [quick, slow] =
        [0, 1].map(|which| symbols[which].iter().map(String::as_str).collect::<Vec<_>>());
    let cases = std::sync::Arc::new(cases);
    let market = Market::daily(&GOOD, &daily_sessions());
    let answering = std::sync::Arc::clone(&cases);
    let server = Server::start(move |request| match case_of(request) {
        Some(index) => (answering.0[index].answer)(request),
        None => market.polygon(request),
    });
    let mut config = polygon(&server.url(), "") + &group("p", "stock", &GOOD, DAILY);
    for (name, class, timeout, symbols) in
        [("quick", "etf", "30s", &quick), ("slow", "index", "300ms", &slow)]
    {
        if !symbols.is_empty() {
            config += &provider(name, "polygon", &server.url(), timeout);
            config += &group(name, class, symbols, DAILY);
        }
    }
    let sandbox = Sandbox::with(&config);
    let output = sandbox.backfill(&["--parallel", "10"]);
    let run = Run { server, sandbox, output };
    run.output.expect_code(1);
    cases.expect(&run);
    run.expect_clean(&GOOD);
    for symbol in GOOD {
        assert_eq!(run.sandbox.database().times(symbol, "1d"), daily_sessions(), "{symbol}");
    }
    run
}

/// A provider that is asked once for each page, and given so much time for it.
fn provider(name: &str, kind: &str, url: &str, timeout: &str) -> String {
    let keys = match kind {
        "polygon" => "api_key = { env = \"KEY\" }\nhistory = \"20y\"\ngrouped = false",
        "alpaca" => {
            "api_key = { env = \"KEY\" }\napi_secret = { env = \"SECOND\" }\npublication = { lag = \"0s\" }"
        }
        "yahoo" => "publication = { lag = \"0s\" }",
        _ => "",
    };
    format!(
        r#"
[providers.{name}]
kind = "{kind}"
base_url = "{url}"
{keys}
rate = {{ requests = 1000, per = "1s" }}
request_timeout = "{timeout}"
retry = {{ max_retries = 0 }}
breaker = {{ min_calls = 1000, window = 1000 }}
"#
    )
}

/// An answer with that head and body, without a length.
fn with_head(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").as_bytes(), body.as_ref()].concat()
}
