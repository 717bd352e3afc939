//! Runs as traces: what a collector of OTLP/HTTP gets, and what becomes of a run whose collector is down,
//! slow or hostile.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use mdctl::domain::event::{Event, Took};
use mdctl::domain::range::TimeRange;
use mdctl::domain::run::{Attempt, PageCounts, RunId};
use mdctl::domain::series::SeriesKey;
use mdctl::domain::task::About;
use mdctl::domain::timeframe::Timeframe;
use mdctl::trace::{self, Trace};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message as _;
use rustix::process::Signal;

use crate::support::market::{Market, sessions};
use crate::support::server::{Answer, Reply, Request, Server};
use crate::support::{
    AS_OF, DAILY, KEY, Output, Sandbox, daily_sessions, group, polygon, wait_until,
};

/// A receiver of traces that answers as it is told.
fn collector(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(answer)
}

/// One that takes everything.
fn willing() -> Server {
    collector(|_| Answer::ok(""))
}

/// What a collector was sent.
struct Told {
    /// Attributes of the resource, the same with every request.
    resource: BTreeMap<String, String>,
    spans: Vec<Span>,
    requests: Vec<Request>,
}

impl Told {
    fn to(collector: &Server) -> Self {
        let requests = collector.take_requests();
        let mut resource = BTreeMap::new();
        let mut spans = Vec::new();
        for request in &requests {
            assert_eq!((&*request.method, &*request.path), ("POST", "/v1/traces"));
            assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
            let mut body = request.body.to_vec();
            if request.header("content-encoding") == Some("gzip") {
                body.clear();
                GzDecoder::new(&*request.body).read_to_end(&mut body).expect("gzip");
            }
            let sent = ExportTraceServiceRequest::decode(&*body).expect("protobuf");
            for resource_spans in sent.resource_spans {
                resource = texts(&resource_spans.resource.expect("a resource").attributes);
                spans.extend(resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        Self { resource, spans, requests }
    }

    fn root(&self) -> &Span {
        let mut roots = self.spans.iter().filter(|span| span.parent_span_id.is_empty());
        let root = roots.next().expect("a span without one above it");
        assert!(roots.next().is_none(), "one root");
        root
    }

    fn children<'a>(&'a self, parent: &'a Span) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.parent_span_id == parent.span_id)
    }

    /// The spans below `parent` in the order of their beginning, as `name`, those of failures as `name!`.
    fn names(&self, parent: &Span) -> Vec<String> {
        let mut children: Vec<&Span> = self.children(parent).collect();
        children.sort_by_key(|span| (span.start_time_unix_nano, span.end_time_unix_nano));
        let mark = |span: &Span| if failure(span).is_some() { "!" } else { "" };
        children.into_iter().map(|span| format!("{}{}", span.name, mark(span))).collect()
    }

    /// The job of a symbol.
    fn job(&self, symbol: &str) -> &Span {
        let mut jobs = self.children(self.root());
        jobs.find(|job| job.name == "job" && text(job, "symbol") == symbol).expect("its job")
    }

    /// The series of a symbol's days.
    fn days(&self, symbol: &str) -> &Span {
        let mut parts = self.children(self.job(symbol));
        parts.find(|part| part.name == "series").expect("its series")
    }

    /// Asserts that it is one trace, whose spans lie in those that they belong to.
    fn expect_whole(&self) -> &Self {
        let by_id: BTreeMap<&[u8], &Span> =
            self.spans.iter().map(|span| (&*span.span_id, span)).collect();
        assert_eq!(by_id.len(), self.spans.len(), "ids are of one span each");
        let root = self.root();
        let levels: BTreeMap<&str, &[&str]> = BTreeMap::from([
            ("job", &["run"][..]),
            ("series", &["job"][..]),
            ("splits", &["job"][..]),
            ("dividends", &["job"][..]),
            ("listing", &["job"][..]),
            ("fetch", &["run", "series", "splits", "dividends", "listing"][..]),
            ("validate", &["series"][..]),
            ("store", &["series", "splits", "dividends", "listing"][..]),
            ("compute", &["series"][..]),
        ]);
        for span in &self.spans {
            assert_eq!(span.trace_id, root.trace_id);
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
            if span.span_id == root.span_id {
                continue;
            }
            let parent = by_id.get(&*span.parent_span_id).expect("the span above is there");
            assert!(levels[&*span.name].contains(&&*parent.name), "{span:?} in {parent:?}");
            assert!(
                parent.start_time_unix_nano <= span.start_time_unix_nano,
                "{span:?} {parent:?}"
            );
            assert!(span.end_time_unix_nano <= parent.end_time_unix_nano, "{span:?} {parent:?}");
        }
        self
    }

    /// Whether those bytes were sent anywhere.
    fn holds(&self, needle: &str) -> bool {
        let stands_in =
            |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        self.requests.iter().any(|request| {
            stands_in(&request.body)
                || request.headers.iter().any(|(_, value)| value.contains(needle))
        })
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |held: &KeyValue| match held.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    };
    attributes.iter().filter_map(|held| Some((held.key.clone(), text(held)?))).collect()
}

/// An attribute of a span, empty when it has none such.
fn text(span: &Span, name: &str) -> String {
    texts(&span.attributes).remove(name).unwrap_or_default()
}

/// What a span says went wrong.
fn failure(span: &Span) -> Option<&str> {
    let status = span.status.as_ref()?;
    (status.code() == StatusCode::Error).then_some(&*status.message)
}

/// A config whose traces go to `collector`.
fn config(provider: &Server, collector: &str, symbols: &[&str], more: &str) -> String {
    let otlp = format!("\n[otlp]\nendpoint = \"{collector}\"\n");
    polygon(&provider.url(), "")
        + &otlp
        + &group("p", "stock", symbols, &format!("{DAILY}\n{more}"))
}

/// A provider of daily bars of `symbols`, and a sandbox that tracks them and tells `collector`.
fn traced(symbols: &[&str], collector: &Server) -> (Server, Sandbox) {
    let market = Market::daily(symbols, &sessions("2020-01-02", "2024-06-28"));
    let provider = Server::start(move |request| market.polygon(request));
    let sandbox = Sandbox::with(&config(&provider, &collector.url(), symbols, ""));
    (provider, sandbox)
}

#[test]
fn a_run_is_a_tree_of_spans() {
    let collector = willing();
    let market = Market::daily(&["AAA", "BAD"], &daily_sessions());
    let provider = Server::start(move |request| match request.path.contains("/BAD/") {
        true => Answer::status(500, r#"{"error":"a fuse blew"}"#),
        // Once it is busy.
        false if request.seen == 0 => Answer::Whole(Reply::new(429, "{}").with("retry-after", "0")),
        false => market.polygon(request),
    });
    let sandbox = Sandbox::with(&config(&provider, &collector.url(), &["AAA", "BAD"], ""));
    sandbox.backfill(&["--trigger", "cron"]).expect_code(1);
    let told = Told::to(&collector);
    told.expect_whole();
    assert_eq!(told.requests.len(), 1);

    assert_eq!(told.resource["service.name"], "mdctl");
    assert_eq!(told.resource["service.version"], env!("CARGO_PKG_VERSION"));
    let database = sandbox.database();
    let root = told.root();
    assert_eq!(root.name, "run");
    assert_eq!(text(root, "run_id"), database.texts("SELECT run_id FROM runs")[0]);
    assert_eq!(text(root, "command"), "backfill");
    assert_eq!(text(root, "trigger"), "cron");
    assert_eq!(text(root, "status"), database.texts("SELECT status FROM runs")[0]);
    assert_eq!(text(root, "exit_code"), "1");
    assert_eq!(text(root, "inserted"), "21");
    assert_eq!(failure(root), Some("1 of 2 jobs failed"));
    assert_eq!(told.names(root).len(), 2);

    assert_eq!(failure(told.job("AAA")), None);
    assert_eq!(text(told.job("AAA"), "status"), "completed");
    let days = told.days("AAA");
    assert_eq!(text(days, "timeframe"), "1d");
    assert_eq!(told.names(days), ["fetch!", "fetch", "validate", "store", "compute"]);
    let mut fetches: Vec<&Span> = told.children(days).filter(|span| span.name == "fetch").collect();
    fetches.sort_by_key(|span| span.start_time_unix_nano);
    let of = |name: &str| fetches.iter().map(|span| text(span, name)).collect::<Vec<_>>();
    assert!(fetches.iter().all(|span| span.kind() == SpanKind::Client));
    assert_eq!(of("provider"), ["p", "p"]);
    assert_eq!(of("attempt"), ["1", "2"]);
    assert_eq!(of("http.response.status_code"), ["429", "200"]);
    assert_eq!(of("error.type"), ["rate_limited", ""]);
    assert_eq!(of("rows"), ["", "21"]);
    let bytes = database
        .texts("SELECT CAST(bytes AS TEXT) FROM fetch_log WHERE symbol = 'AAA' ORDER BY attempt");
    assert_eq!(of("bytes"), bytes);
    let leaf = |name: &str| told.children(days).find(|span| span.name == name).expect("it");
    assert_eq!(text(leaf("validate"), "rejected"), "0");
    assert_eq!(text(leaf("store"), "inserted"), "21");
    assert_eq!(text(leaf("compute"), "rows"), "21");
    assert!(text(leaf("compute"), "features").parse::<u64>().expect("a number") > 10);

    let (job, days) = (told.job("BAD"), told.days("BAD"));
    assert_eq!(text(job, "status"), "failed");
    assert!(failure(job).is_some_and(|words| words.contains("a fuse blew")), "{job:?}");
    assert!(failure(days).is_some_and(|words| words.contains("a fuse blew")), "{days:?}");
    assert_eq!(text(days, "error.type"), "server");
    assert_eq!(told.names(days), ["fetch!", "fetch!", "fetch!"]);
    for fetch in told.children(days) {
        assert!(failure(fetch).is_some_and(|words| words.contains("a fuse blew")), "{fetch:?}");
        assert_eq!(text(fetch, "http.response.status_code"), "500");
    }
}

#[test]
fn a_page_that_cannot_be_true_was_fetched_and_failed_at_validation() {
    let collector = willing();
    let provider = Server::start(|request| {
        let ask = crate::support::market::PolygonAsk::of(request).expect("bars are asked for");
        let mut row = ask.result(&crate::support::market::row(daily_sessions()[3]));
        row["h"] = 1.into();
        let body = crate::support::market::polygon_body(&ask.symbol, vec![row], None);
        Answer::ok(body.to_string())
    });
    let sandbox = Sandbox::with(&config(&provider, &collector.url(), &["AAA"], ""));
    sandbox.backfill(&[]).expect_code(2);
    let told = Told::to(&collector);
    let days = told.expect_whole().days("AAA");
    assert_eq!(told.names(days), ["fetch", "validate!"]);
    assert_eq!(text(days, "stage"), "validate");
    assert_eq!(text(days, "error.type"), "validation");
}

#[test]
fn what_is_asked_besides_bars_has_its_place() {
    let collector = willing();
    let market = Market::daily(&["AAA"], &daily_sessions()).knowing("AAA", &[], &[]);
    let provider = Server::start(move |request| market.polygon(request));
    let sandbox = Sandbox::with(&config(&provider, &collector.url(), &["AAA"], ""));
    sandbox.mdctl(&["enrich", "--as-of", AS_OF]).expect_code(0);
    let told = Told::to(&collector);
    told.expect_whole();
    assert_eq!(text(told.root(), "command"), "enrich");
    let parts: BTreeSet<String> = told.names(told.job("AAA")).into_iter().collect();
    assert_eq!(parts, ["dividends", "listing", "series", "splits"].map(str::to_owned).into());
    for part in told.children(told.job("AAA")).filter(|part| part.name != "series") {
        assert_eq!(told.names(part), ["fetch", "store"], "{part:?}");
    }
}

#[test]
fn a_job_that_is_tried_again_at_the_end_is_one_job() {
    let collector = willing();
    let market = Market::daily(&["AAA"], &daily_sessions()).knowing("AAA", &[], &[]);
    let provider = Server::start(move |request| {
        let is_bars = request.path.starts_with("/v2/aggs");
        if is_bars && request.seen < 3 {
            return Answer::status(503, "{}");
        }
        market.polygon(request)
    });
    let text_of_config = config(&provider, &collector.url(), &["AAA"], "")
        .replace("[run]", "[run]\njob_retries = { max = 1, initial = \"1ms\", multiplier = 1.0 }");
    let sandbox = Sandbox::with(&text_of_config);
    sandbox.mdctl(&["enrich", "--as-of", AS_OF]).expect_code(0);
    let told = Told::to(&collector);
    told.expect_whole();
    let job = told.job("AAA");
    assert_eq!(told.names(told.root()), ["job"]);
    assert_eq!((failure(job), &*text(job, "status")), (None, "completed"));
    assert!(job.events.iter().any(|event| event.name == "to be tried again"), "{job:?}");
    let names = told.names(told.days("AAA"));
    assert_eq!(names, ["fetch!", "fetch!", "fetch!", "fetch", "validate", "store", "compute"]);
    assert_eq!(failure(told.days("AAA")), None, "in the end it came");
}

#[test]
fn a_big_run_arrives_whole_in_several_requests() {
    let symbols: Vec<String> = (0..300).map(|index| format!("S{index:03}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let collector = willing();
    let (_provider, sandbox) = traced(&symbols, &collector);
    let output = sandbox.backfill(&["--parallel", "8"]);
    output.expect_code(0);
    assert!(!output.stderr.contains("collector"), "{output}");
    let told = Told::to(&collector);
    told.expect_whole();
    assert!(told.requests.len() > 2, "{} requests", told.requests.len());
    // A run, and the requests for the market's days; of each symbol its job, its series and three steps.
    assert_eq!(told.spans.len(), 1 + 21 + 300 * 5);
}

#[test]
fn a_run_without_work_is_told_and_one_that_shows_its_plan_is_not() {
    let collector = willing();
    let (_provider, sandbox) = traced(&["AAA"], &collector);
    sandbox.backfill(&["--dry-run"]).expect_code(0);
    sandbox.mdctl(&["health"]);
    assert!(collector.requests().is_empty());
    sandbox.backfill(&[]).expect_code(0);
    collector.take_requests();
    sandbox.backfill(&["--dry-run"]).expect_code(0);
    assert!(collector.requests().is_empty());
    sandbox.backfill(&[]).expect_code(0);
    let told = Told::to(&collector);
    assert_eq!(text(told.root(), "status"), "succeeded");
    assert_eq!(told.names(told.root()), Vec::<String>::new());
    sandbox.mdctl(&["pause", "--for", "1h", "--reason", "inventory"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    let told = Told::to(&collector);
    assert_eq!((text(told.root(), "status"), told.spans.len()), ("skipped".to_owned(), 1));
}

#[test]
fn no_secret_and_no_address_of_a_provider_is_told() {
    let collector = willing();
    let provider = Server::start(|request| {
        let key = request.header("authorization").unwrap_or("none").to_owned();
        Answer::status(403, format!(r#"{{"status":"ERROR","error":"{key} at {}"}}"#, request.path))
    });
    let sandbox = Sandbox::with(&config(&provider, &collector.url(), &["AAA"], ""));
    sandbox.backfill(&[]).expect_code(2);
    let told = Told::to(&collector);
    assert!(failure(told.expect_whole().days("AAA")).is_some());
    for secret in [KEY, &provider.url()] {
        assert!(!told.holds(secret), "{secret}");
    }
    let authorized = |request: &Request| request.header("authorization").is_some();
    assert!(!told.requests.iter().any(authorized));
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_this_machine() {
    let (collector, proxy) = (willing(), willing());
    let (_provider, sandbox) = traced(&["AAA"], &collector);
    let mut command = sandbox.command(&["backfill", "--as-of", AS_OF]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, proxy.url());
    }
    // Nor does it follow what other programs are told there.
    command.env("OTEL_TRACES_SAMPLER", "always_off").env("OTEL_SERVICE_NAME", "other");
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", proxy.url());
    sandbox.finish(&mut command).expect_code(0);
    assert!(proxy.requests().is_empty());
    let told = Told::to(&collector);
    told.expect_whole();
    assert_eq!(told.resource["service.name"], "mdctl");
}

#[test]
fn what_opens_a_collectors_door_goes_to_it_and_nowhere_else() {
    let collector = willing();
    let (provider, sandbox) = traced(&["AAA"], &collector);
    let mut command = sandbox.command(&["backfill", "--as-of", AS_OF, "-vv"]);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20open-sesame");
    command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    let output = sandbox.finish(&mut command);
    output.expect_code(0);
    let told = Told::to(&collector);
    told.expect_whole();
    assert_eq!(told.requests[0].header("authorization"), Some("Bearer open-sesame"));
    assert_eq!(told.requests[0].header("content-encoding"), Some("gzip"));
    assert!(!output.stderr.contains("open-sesame") && !sandbox.holds("open-sesame"));
    let heard = |request: &Request| request.headers.iter().any(|(_, text)| text.contains("sesame"));
    assert!(!provider.requests().iter().any(heard));
}

#[test]
fn an_address_with_the_path_at_its_end_is_the_same() {
    let collector = willing();
    let market = Market::daily(&["AAA"], &daily_sessions());
    let provider = Server::start(move |request| market.polygon(request));
    let whole = format!("{}/v1/traces", collector.url());
    let sandbox = Sandbox::with(&config(&provider, &whole, &["AAA"], ""));
    sandbox.backfill(&[]).expect_code(0);
    Told::to(&collector).expect_whole();
}

// Runs that do not come to their end.

#[test]
fn the_trace_of_a_run_that_a_signal_stops_is_whole() {
    let collector = willing();
    let market = Market::daily(&["AAA", "BBB"], &daily_sessions());
    let provider = Server::start(move |request| match request.path.contains("/BBB/") {
        true => Answer::Hang,
        false => market.polygon(request),
    });
    let config = config(&provider, &collector.url(), &["AAA", "BBB"], "")
        .replace("[run]", "[run]\ngrace = \"10ms\"");
    let sandbox = Sandbox::with(&config);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    provider.wait_for(2);
    wait_until(|| sandbox.database().times("AAA", "1d").len() == 21);
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(143));
    let told = Told::to(&collector);
    let root = told.expect_whole().root();
    assert_eq!(
        (text(root, "status"), text(root, "exit_code")),
        ("interrupted".into(), "143".into())
    );
    assert_eq!(failure(root), Some("stopped by a signal"));
    assert_eq!(told.names(told.days("BBB")), ["fetch!"]);
}

#[test]
fn the_trace_of_a_run_that_is_aborted_says_why() {
    let collector = willing();
    let (_provider, sandbox) = traced(&["AAA"], &collector);
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    sandbox.tamper(
        "CREATE TRIGGER no BEFORE INSERT ON bars BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    );
    sandbox.backfill(&[]).expect_code(74);
    let told = Told::to(&collector);
    let root = told.expect_whole().root();
    assert_eq!(text(root, "exit_code"), "74");
    assert!(failure(root).is_some_and(|words| words.contains("not this one")), "{root:?}");
}

// Collectors in trouble.

/// Runs with that collector; asserts that the run is none the worse for it, and says so once.
#[track_caller]
fn unharmed(endpoint: &str) -> Output {
    let market = Market::daily(&["AAA", "BAD"], &daily_sessions());
    let provider = Server::start(move |request| match request.path.contains("/BAD/") {
        true => Answer::status(404, "{}"),
        false => market.polygon(request),
    });
    let sandbox = Sandbox::with(&config(&provider, endpoint, &["AAA", "BAD"], ""));
    let output = sandbox.backfill(&["--json"]);
    output.expect_code(1);
    assert_eq!(output.json()["run"]["exit_code"], 1);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
    let run_id = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    let warnings: Vec<&str> =
        output.stderr.lines().filter(|line| line.contains("did not reach the collector")).collect();
    assert_eq!(warnings.len(), 1, "{output}");
    for words in [" WARN ", &run_id, endpoint, "of 10 spans are lost"] {
        assert!(warnings[0].contains(words), "{words}{output}");
    }
    output
}

#[test]
fn a_collector_that_is_down_costs_no_run_anything() {
    let gone = willing().url();
    unharmed(&gone);
}

#[test]
fn a_collector_that_refuses_costs_no_run_anything() {
    for status in [302, 400, 401, 404, 500, 503] {
        let collector = collector(move |_| {
            Answer::Whole(Reply::new(status, "no").with("location", "http://127.0.0.1:1/"))
        });
        unharmed(&collector.url()).expect_stderr(&status.to_string());
    }
    let busy = collector(|_| Answer::Whole(Reply::new(503, "").with("retry-after", "3600")));
    unharmed(&busy.url());
}

#[test]
fn a_collector_that_never_answers_costs_no_run_anything() {
    let silent = collector(|_| Answer::Hang);
    unharmed(&silent.url()).expect_stderr("does not answer in time");
    let stalled = collector(|_| Answer::Stall(Reply::new(200, "xxxx"), 2));
    unharmed(&stalled.url());
}

#[test]
fn a_collector_without_manners_costs_no_run_anything() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\r\n";
    let endless = collector(move |_| Answer::endless(head, [b'x'; 65_536]));
    unharmed(&endless.url());
    let drip = collector(move |_| Answer::drip(head, "x"));
    unharmed(&drip.url());
    let reset = collector(|_| Answer::Reset);
    unharmed(&reset.url());
    let nonsense = collector(|_| Answer::raw("not HTTP at all"));
    unharmed(&nonsense.url());
}

#[test]
fn an_answer_that_is_no_protobuf_is_nobodys_business() {
    let collector = collector(|_| Answer::ok("\u{0}\u{1}garbage"));
    let (_provider, sandbox) = traced(&["AAA"], &collector);
    let output = sandbox.backfill(&[]);
    output.expect_code(0);
    assert!(!output.stderr.contains("collector"), "{output}");
}

#[test]
fn a_stopped_run_does_not_wait_for_a_collector_that_never_answers() {
    let silent = collector(|_| Answer::Hang);
    let provider = Server::start(|_| Answer::Hang);
    let config =
        config(&provider, &silent.url(), &["AAA"], "").replace("[run]", "[run]\ngrace = \"10ms\"");
    let sandbox = Sandbox::with(&config);
    let running = sandbox.start(&["backfill", "--as-of", AS_OF]);
    provider.wait_for(1);
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(130));
    assert!(sandbox.read("said.log").contains("does not answer in time"));
}

#[test]
fn what_cannot_wait_for_a_slow_collector_is_dropped_and_counted() {
    const PAGES: u64 = 4_000;
    const MAY_WAIT: u64 = 8_192 + 512;
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let collector = collector(move |_| {
        let _ = held.lock().expect("a lock").recv();
        Answer::ok("")
    });
    let run_id = RunId("01HS0000000000000000000000".to_owned());
    let run = trace::Run { run_id: &run_id, command: "backfill", trigger: "cron", host: "here" };
    let mut trace = Trace::begin(&collector.url(), run).expect("a way to the collector");
    let (now, symbol) = (Instant::now(), "AAA".parse().expect("a symbol"));
    let series = SeriesKey { symbol, timeframe: Timeframe::D1 };
    let attempt = Attempt {
        series: series.clone(),
        about: About::Bars,
        provider: "p".to_owned(),
        started_at: 0,
        begun: now,
        range: TimeRange::new(0, 1),
        number: 1,
        response_time: Duration::ZERO,
        bytes: 2,
        http_status: Some(200),
        file: None,
        part_of: None,
        fault: None,
    };
    let took = Took { from: now, to: now };
    let page = Event::PageStored {
        series,
        counts: PageCounts::default(),
        attempt,
        validated: Some(took),
        stored: took,
    };
    for _ in 0..PAGES {
        trace.take(&page);
    }
    drop(release);
    let lost = trace.end(0, None).expect_err("some had to go");
    // Three of each page, and run, job and series, which come last, when there may be room again.
    assert_eq!(lost.of, 3 * PAGES + 3);
    assert!(lost.spans >= 3 * PAGES - MAY_WAIT && lost.spans < lost.of, "{lost}");
}
