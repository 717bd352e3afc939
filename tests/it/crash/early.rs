//! Killed, or asked to end, before the first request: while a run is opened, planned, and its jobs' rows are
//! written, beside which fetching begins already.

use rustix::process::Signal;

use crate::support::market::{Market, sessions};
use crate::support::server::Server;
use crate::support::shim::{Shim, Spoil};
use crate::support::{AS_OF, DAILY, Sandbox, group, polygon, wait_until};

use super::{assert_alike, contents};

/// A database that some bars are to be added to, and what an undisturbed run makes of it.
struct Early {
    server: Server,
    config: String,
    before: Vec<u8>,
    expected: Vec<Vec<String>>,
}

/// A run of `backfill` as the database tells of it.
const RUN: &str = "SELECT concat_ws(' ', status, requests,
                          (SELECT count(*) FROM jobs WHERE jobs.run_id = runs.run_id))
                     FROM runs ORDER BY run_id DESC LIMIT 1";

impl Early {
    fn new() -> Self {
        let market = Market::daily(&["AAA", "BBB"], &sessions("2020-01-02", AS_OF));
        let server = Server::start(move |request| market.polygon(request));
        let config = polygon(&server.url(), "") + &group("p", "stock", &["AAA", "BBB"], DAILY);
        let sandbox = Sandbox::with(&config);
        sandbox.backfill_at("2024-03-13", &[]).expect_code(0);
        let before = std::fs::read(sandbox.path("mdctl.db")).expect("the database");
        sandbox.backfill(&[]).expect_code(0);
        let expected = contents(&sandbox);
        server.take_requests();
        Self { server, config, before, expected }
    }

    fn sandbox(&self) -> Sandbox {
        let sandbox = Sandbox::with(&self.config);
        sandbox.write("mdctl.db", &self.before);
        sandbox
    }

    /// Asserts that the next run asks for what is lacking, and ends as if nothing had been.
    #[track_caller]
    fn assert_goes_on(&self, sandbox: &Sandbox, what: &str) {
        sandbox.backfill(&[]).expect_code(0);
        assert_alike(&contents(sandbox), &self.expected, what);
        self.server.take_requests();
    }
}

#[test]
fn killed_before_its_first_request_a_run_is_told_as_crashed_and_has_sent_nothing() {
    let early = Early::new();
    let mut without_jobs = 0;
    for at in 1.. {
        let sandbox = early.sandbox();
        let mut command = sandbox.command(&["backfill", "--as-of", AS_OF]);
        let killed = sandbox.finish(Shim::of(&sandbox).spoil(&mut command, at, Spoil::KillBefore));
        assert_eq!(killed.code, None, "step {at}{killed}");
        let sent = early.server.take_requests().len();
        let run = sandbox.database().texts(RUN).remove(0);
        if sent > 0 {
            assert_eq!(
                run, "running 0 2",
                "step {at}: it was not written down that it was to be sent"
            );
            break;
        }
        if run.starts_with("running") {
            without_jobs += u32::from(run == "running 0 0");
            sandbox.mdctl(&["health"]).expect_code(2).expect_stdout("the last run crashed");
            sandbox.mdctl(&["status"]).expect_code(0).expect_stdout(", crashed");
            sandbox.mdctl(&["history"]).expect_code(0).expect_stdout(" crashed ");
            sandbox.mdctl(&["history", "last"]).expect_code(0).expect_stdout("crashed");
            sandbox.mdctl(&["db", "check"]).expect_code(0);
        }
        early.assert_goes_on(&sandbox, &format!("killed at step {at}"));
        let runs = sandbox.database().texts("SELECT status FROM runs ORDER BY run_id");
        let crashed = if run.starts_with("running") { &["crashed"][..] } else { &[] };
        assert_eq!(runs, [&["succeeded"], crashed, &["succeeded"]].concat(), "step {at}");
    }
    assert!(without_jobs > 0, "no moment lay between a run's row and those of its jobs");
}

#[test]
fn asked_to_end_before_its_first_request_a_run_ends_in_order_and_keeps_others_out() {
    let early = Early::new();
    for at in 1.. {
        let sandbox = early.sandbox();
        let mut command = sandbox.command(&["backfill", "--as-of", AS_OF]);
        Shim::of(&sandbox).spoil(&mut command, at, Spoil::Halt);
        let mut running = sandbox.start_command(&mut command);
        wait_until(|| running.is_stopped() || running.ended().is_some());
        if !early.server.take_requests().is_empty() {
            break;
        }
        running.signal(Signal::TERM);
        sandbox.backfill(&[]).expect_code(75);
        running.signal(Signal::CONT);
        assert_eq!(running.wait(), Some(143), "step {at}");
        let run = sandbox.database().texts(RUN).remove(0);
        // The thread that hears signals may have been at work on a request.
        let is_in_order = run.starts_with("interrupted ") && run.ends_with(" 2");
        assert!(is_in_order, "step {at}: {run}");
        early.assert_goes_on(&sandbox, &format!("asked to end at step {at}"));
    }
}
