//! One truth: however a run ends, its exit code, its row, its JSON, the metrics file, the log and the ping
//! say the same.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::market::Market;
use crate::support::server::{Answer, Reply, Request, Server};
use crate::support::shim::{Shim, Spoil};
use crate::support::{AS_OF, DAILY, Output, Sandbox, daily_sessions, group, polygon, wait_until};

/// Everything that tells of a run, beside a provider that answers as it is told.
struct World {
    sandbox: Sandbox,
    provider: Server,
    switch: Server,
}

impl World {
    /// Symbols `AAA` and `BBB` at that provider; `more` are further lines of it.
    fn new(more: &str, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::with("", more, answer)
    }

    /// Likewise; `run` are further lines of `[run]`.
    fn with(
        run: &str,
        more: &str,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let provider = Server::start(answer);
        let switch = Server::start(|_| Answer::ok("OK"));
        let config = polygon(&provider.url(), more).replace("[run]", &format!("[run]\n{run}"))
            + &group("p", "stock", &["AAA", "BBB"], DAILY)
            + &format!(
                "[log]\nfile = \"logs/mdctl.log\"\n[metrics]\ntextfile = \"mdctl.prom\"\n\
                 [notify.cron]\nkind = \"healthchecks\"\nurl = \"{}/check\"\n",
                switch.url()
            );
        Self { sandbox: Sandbox::with(&config), provider, switch }
    }

    /// Runs `backfill`, and asserts that it ends with `code` as `status` and that all say so.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, status: &str) -> Truth {
        let all = [&["backfill", "--json", "--as-of", AS_OF], arguments].concat();
        self.agree(&self.sandbox.mdctl(&all), code, status)
    }

    /// Asserts that everybody says of the newest run that it ended with `code` as `status`.
    #[track_caller]
    fn agree(&self, output: &Output, code: i32, status: &str) -> Truth {
        output.expect_code(code);
        let truth = Truth::of(&self.sandbox);
        assert_eq!((truth.exit_code, truth.status.as_str()), (i64::from(code), status), "{output}");
        self.json_agrees(output, &truth);
        self.history_agrees(&truth);
        self.metrics_agree(&truth);
        self.log_agrees(&truth);
        self.ping_agrees(&truth);
        truth
    }

    /// What the run itself printed.
    #[track_caller]
    fn json_agrees(&self, output: &Output, truth: &Truth) {
        if output.stdout.is_empty() {
            return;
        }
        let json = output.json();
        if let Some(error) = json.get("error") {
            assert_eq!(error["exit_code"], truth.exit_code, "{output}");
            let said = truth.error.as_deref().expect("the row says why");
            assert_eq!(error["message"], said, "{output}");
            return;
        }
        truth.is_told_by(&json["run"]);
        let jobs = json["jobs"].as_array().expect("jobs");
        for (word, expected) in truth.jobs() {
            let told = jobs.iter().filter(|job| job["status"] == word).count();
            assert_eq!(told as i64, expected, "{word} jobs{output}");
        }
    }

    /// What reports say of it.
    #[track_caller]
    fn history_agrees(&self, truth: &Truth) {
        let read = |arguments: &[&str]| {
            self.sandbox.mdctl(&[arguments, &["--json", "--as-of", AS_OF]].concat()).json()
        };
        truth.is_told_by(&read(&["history", "last"])["run"]);
        truth.is_told_by(&read(&["history", "--limit", "1"])["runs"][0]);
        if truth.status != "skipped" {
            let health = read(&["health"]);
            truth.is_told_by(&health["last_execution"]);
            let alarmed = matches!(truth.status.as_str(), "failed" | "partial");
            let codes = ["last_run_failed", "last_run_partial"];
            let issues = health["issues"].as_array().expect("issues");
            let told = issues.iter().any(|issue| codes.iter().any(|code| issue["code"] == *code));
            assert_eq!(told, alarmed, "{health}");
        }
    }

    #[track_caller]
    fn metrics_agree(&self, truth: &Truth) {
        // What a pause made skip is not the last run.
        if truth.status == "skipped" {
            return;
        }
        let text = self.sandbox.read("mdctl.prom");
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in\n{text}")).to_owned()
        };
        assert_eq!(value("mdctl_last_run_exit_code"), truth.exit_code.to_string());
        let status = format!("mdctl_last_run_status{{status=\"{}\"}}", truth.status);
        assert_eq!(value(&status), "1");
        for (word, expected) in truth.jobs() {
            assert_eq!(
                value(&format!("mdctl_run_jobs{{status=\"{word}\"}}")),
                expected.to_string()
            );
        }
    }

    /// The last line of the log file that names an exit code.
    #[track_caller]
    fn log_agrees(&self, truth: &Truth) {
        let folder = fs::read_dir(self.sandbox.path("logs")).expect("a folder of logs");
        let text: String = folder
            .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a log"))
            .collect();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let last = lines.rev().find(|line| line.get("exit_code").is_some()).expect("an end");
        assert_eq!(last["exit_code"], truth.exit_code, "{text}");
        assert_eq!(last["run_id"], truth.run_id.as_str(), "{text}");
        if last.get("status").is_some() {
            assert_eq!(last["status"], truth.status.as_str(), "{text}");
            for (name, expected) in [
                ("successful", truth.successful),
                ("failed", truth.failed),
                ("deferred", truth.deferred),
                ("inserted", truth.inserted),
                ("requests", truth.requests),
            ] {
                assert_eq!(last[name], expected, "{name} in {text}");
            }
        }
    }

    #[track_caller]
    fn ping_agrees(&self, truth: &Truth) {
        let pings = self.switch.take_requests();
        let paths: Vec<&str> = pings.iter().map(|ping| ping.path.as_str()).collect();
        let end = match truth.exit_code {
            0 => "/check".to_owned(),
            code => format!("/check/{code}"),
        };
        assert_eq!(paths, ["/check/start", end.as_str()]);
        let text = String::from_utf8_lossy(&pings[1].body);
        for words in [format!("run {}", truth.run_id), format!("exit code {}", truth.exit_code)] {
            assert!(text.contains(&words), "{words} is not in {text}");
        }
    }
}

/// The row of the newest run.
#[derive(Debug)]
struct Truth {
    run_id: String,
    status: String,
    exit_code: i64,
    successful: i64,
    failed: i64,
    deferred: i64,
    skipped: i64,
    inserted: i64,
    requests: i64,
    error: Option<String>,
}

impl Truth {
    fn of(sandbox: &Sandbox) -> Self {
        let sql = "SELECT run_id, status, exit_code, successful, failed, deferred, skipped,
                          records_inserted, requests, error
                     FROM runs ORDER BY run_id DESC LIMIT 1";
        let mut rows = sandbox.database().rows(sql, |row| {
            Ok(Self {
                run_id: row.get(0)?,
                status: row.get(1)?,
                exit_code: row.get(2)?,
                successful: row.get(3)?,
                failed: row.get(4)?,
                deferred: row.get(5)?,
                skipped: row.get(6)?,
                inserted: row.get(7)?,
                requests: row.get(8)?,
                error: row.get(9)?,
            })
        });
        rows.pop().expect("a run")
    }

    /// Jobs by how they ended.
    fn jobs(&self) -> [(&'static str, i64); 4] {
        [
            ("completed", self.successful),
            ("failed", self.failed),
            ("deferred", self.deferred),
            ("skipped", self.skipped),
        ]
    }

    /// Asserts that a RUN of a document says the same.
    #[track_caller]
    fn is_told_by(&self, run: &Value) {
        for (name, expected) in [
            ("exit_code", self.exit_code),
            ("successful", self.successful),
            ("failed", self.failed),
            ("deferred", self.deferred),
            ("skipped", self.skipped),
            ("total_records_inserted", self.inserted),
            ("requests", self.requests),
        ] {
            assert_eq!(run[name], expected, "{name} of {run}");
        }
        assert_eq!(run["run_id"], self.run_id.as_str(), "{run}");
        assert_eq!(run["status"], self.status.as_str(), "{run}");
        assert_eq!(run["error"].as_str(), self.error.as_deref(), "{run}");
    }
}

/// What a provider answers for one symbol.
type Ill = Box<dyn Fn() -> Answer + Send + Sync>;

/// Answers as the market does.
fn well() -> impl Fn(&Request) -> Answer + Send + Sync + 'static {
    let market = Market::daily(&["AAA", "BBB"], &daily_sessions());
    move |request| market.polygon(request)
}

/// Answers for `BBB` otherwise.
fn ill(answer: impl Fn() -> Answer + Send + Sync + 'static) -> impl Fn(&Request) -> Answer {
    let well = well();
    move |request| if request.path.contains("/BBB/") { answer() } else { well(request) }
}

#[test]
fn all_went_well_and_then_nothing_was_due() {
    let world = World::new("", well());
    let truth = world.check(&[], 0, "succeeded");
    assert_eq!((truth.successful, truth.requests), (2, 2));
    let truth = world.check(&[], 0, "succeeded");
    assert_eq!((truth.successful, truth.requests), (2, 0));
}

#[test]
fn whatever_fails_one_symbol() {
    let status = |code: u16| move || Answer::status(code, "{}");
    let cases: Vec<(&str, Ill)> = vec![
        ("auth", Box::new(status(401))),
        ("not_entitled", Box::new(status(403))),
        ("not_found", Box::new(status(404))),
        ("bad_request", Box::new(status(400))),
        ("server", Box::new(status(500))),
        ("malformed", Box::new(|| Answer::ok("{\"results\": 7}"))),
        ("network", Box::new(|| Answer::Reset)),
        ("timeout", Box::new(|| Answer::Hang)),
        ("too_large", Box::new(|| Answer::ok(vec![b' '; 100_000]))),
        (
            "rate_limited",
            Box::new(|| Answer::Whole(Reply::new(429, "").with("Retry-After", "3600"))),
        ),
    ];
    for (kind, answer) in cases {
        // BBB is asked for second, and alone.
        let world = World::new("max_body = \"64KiB\"\nrequest_timeout = \"300ms\"", ill(answer));
        let truth = world.check(&["--parallel", "1"], 1, "partial");
        assert_eq!((truth.successful, truth.failed), (1, 1), "{kind}");
        let database = world.sandbox.database();
        assert_eq!(database.texts("SELECT error_kind FROM failures"), [kind]);
        assert_eq!(database.texts("SELECT symbol FROM failures"), ["BBB"]);
    }
}

#[test]
fn everything_fails_and_then_the_breaker_is_open() {
    let world =
        World::new("breaker = { min_calls = 2, window = 4, recovery = \"1h\" }", |_: &Request| {
            Answer::status(500, "")
        });
    let truth = world.check(&[], 2, "failed");
    assert_eq!(truth.failed, 2);
    let truth = world.check(&[], 2, "failed");
    assert_eq!((truth.failed, truth.requests), (2, 0));
    let kinds =
        "SELECT DISTINCT error_kind FROM failures WHERE run_id = (SELECT max(run_id) FROM runs)";
    assert_eq!(world.sandbox.database().texts(kinds), ["circuit_open"]);
}

#[test]
fn rows_that_cannot_be_true() {
    let world = World::new(
        "",
        ill(|| {
            Answer::ok(
                r#"{"ticker":"BBB","status":"OK","resultsCount":1,"queryCount":1,
            "results":[{"t":1710475200000,"o":1,"h":0.5,"l":2,"c":1,"v":1}]}"#,
            )
        }),
    );
    // An answer of which nothing can be true is a failure of its job, and its rows are kept.
    world.check(&[], 1, "partial");
    let kinds = world.sandbox.database().texts("SELECT error_kind FROM failures");
    assert_eq!(kinds, ["validation"]);
    let reasons = world.sandbox.database().texts("SELECT reason FROM rejected_bars");
    assert_eq!(reasons, ["high_lt_low"]);
}

#[test]
fn a_budget_and_the_quota_leave_the_rest_for_the_next_run() {
    let world = World::new("", well());
    let truth = world.check(&["--max-requests", "1"], 4, "deferred");
    assert_eq!((truth.successful, truth.deferred), (1, 1));
    let world = World::new("", well());
    let config = world.sandbox.read("mdctl.toml");
    let slow = config.replace("requests = 1000, per = \"1s\"", "requests = 1, per = \"1h\"");
    world.sandbox.write("mdctl.toml", slow);
    world.check(&["--max-duration", "5s"], 4, "deferred");
}

#[test]
fn codes_that_the_user_chose() {
    let run = "treat_as = { deferred = 0, partial = 9, failed = 8 }";
    let world = World::with(run, "", well());
    world.check(&["--max-requests", "1"], 0, "deferred");
    let world = World::with(run, "", ill(|| Answer::status(404, "{}")));
    world.check(&[], 9, "partial");
    let world = World::with(run, "", |_: &Request| Answer::status(404, "{}"));
    world.check(&[], 8, "failed");
}

#[test]
fn a_pause_makes_it_skip() {
    let world = World::new("", well());
    world.sandbox.mdctl(&["pause", "--for", "1h", "--reason", "the disk"]).expect_code(0);
    let truth = world.check(&[], 0, "skipped");
    assert!(truth.error.is_some_and(|why| why.contains("the disk")));
}

#[test]
fn a_signal_ends_it() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let world = World::new("", ill(|| Answer::Hang));
        let running = world.sandbox.start(&["backfill", "--as-of", AS_OF]);
        world.provider.wait_for(2);
        running.signal(signal);
        assert_eq!(running.wait(), Some(code));
        let truth = Truth::of(&world.sandbox);
        assert_eq!((truth.exit_code, truth.status.as_str()), (i64::from(code), "interrupted"));
        world.history_agrees(&truth);
        world.metrics_agree(&truth);
        world.log_agrees(&truth);
        world.ping_agrees(&truth);
    }
}

#[test]
fn a_crash_is_told_by_whoever_comes_next() {
    let world = World::new("", ill(|| Answer::Hang));
    let running = world.sandbox.start(&["backfill", "--as-of", AS_OF]);
    world.provider.wait_for(2);
    // It is told beside the requests, and may come after them.
    world.switch.wait_for(1);
    wait_until(|| world.sandbox.database().number("SELECT count(*) FROM bars") > 0);
    running.kill();
    let told = |nth: usize| {
        let run = world.sandbox.mdctl(&["history", "--json"]).json()["runs"][nth].clone();
        ["symbols_total", "successful", "skipped", "requests", "total_records_inserted", "status"]
            .map(|name| run[name].clone())
    };
    let at_once = told(0);
    assert!(at_once[0].as_u64() > Some(1) && at_once[4].as_u64() > Some(0), "{at_once:?}");
    let health = world.sandbox.mdctl(&["health", "--json", "--as-of", AS_OF]).json();
    assert_eq!(health["last_execution"]["status"], "crashed", "{health}");
    let paths =
        |requests: Vec<Request>| requests.into_iter().map(|one| one.path).collect::<Vec<_>>();
    // It could not say that it ended: that it is missing is what the switch is for.
    assert_eq!(paths(world.switch.take_requests()), ["/check/start"]);
    world.provider.answer_with(well());
    world.check(&[], 0, "succeeded");
    let history = world.sandbox.mdctl(&["history", "--json"]).json();
    assert_eq!(history["runs"][1]["status"], "crashed", "{history}");
    assert_eq!(told(1), at_once, "the same before and after it is written down");
}

#[test]
fn a_disk_that_fails_aborts_it() {
    let mut aborted = 0;
    // One step fails, and the end can be written down again.
    for step in (6..40).step_by(4) {
        let world = World::new("", well());
        world.sandbox.backfill(&["--max-requests", "1"]).expect_code(4);
        world.switch.take_requests();
        let shim = Shim::of(&world.sandbox);
        let mut command =
            world.sandbox.command(&["backfill", "--json", "--as-of", AS_OF, "--parallel", "1"]);
        let spoiled = world.sandbox.finish(shim.spoil(&mut command, step, Spoil::Full));
        if world.sandbox.database().number("SELECT count(*) FROM runs") == 2
            && spoiled.code == Some(74)
        {
            let truth = world.agree(&spoiled, 74, "failed");
            assert!(truth.error.is_some_and(|error| error.contains("mdctl.db")), "{spoiled}");
            aborted += 1;
        }
    }
    assert!(aborted >= 2, "no step hits a run at work any more");
}
