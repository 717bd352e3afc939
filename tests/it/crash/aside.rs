//! Killed, and bereft of the disk, while a thread beside the writer moves the log into the database and
//! another one reads ahead: these are begun only for histories that are long enough.
//!
//! Moments are steps to the disk of the threads beside the writer.

use std::process::Command;

use fastrand::Rng;

use crate::support::market::{Market, hours, rows};
use crate::support::server::Server;
use crate::support::shim::{Durable, Shim, Spoil, Step, read_log};
use crate::support::{AS_OF, Sandbox, group, polygon};

use super::{
    after_a_loss, another, assert_alike, assert_not_asked_again, contents, held, note, opened,
    was_killed,
};

const PAIRS: [&str; 2] = ["X:AAAUSD", "X:BBBUSD"];

/// Hours in a page.
const PAGE: usize = 3_000;

/// Moments of each test.
const MOMENTS: u64 = 6;

/// Two pairs with hours of three years: thousands of pages of the log, and more bars than are computed at once.
struct World {
    server: Server,
    whole: Sandbox,
    expected: Vec<Vec<String>>,
    /// The steps to the disk beside the writer.
    steps: u64,
}

impl World {
    fn new() -> Self {
        let bars = rows(&hours("2021-04-01T00:00:00Z", "2024-03-16T00:00:00Z"));
        let market =
            PAIRS.iter().fold(Market::new(), |market, pair| market.with(pair, "1h", bars.clone()));
        let market = market.paged(PAGE);
        let server = Server::start(move |request| market.polygon(request));
        let provider = polygon(&server.url(), &format!("page_limit = {}", PAGE * 60));
        let timeframes =
            "settle = \"1s\"\ntimeframes = [\"1h\"]\nlookback = { \"1h\" = \"1070d\" }";
        let whole = Sandbox::with(&(provider + &group("p", "crypto", &PAIRS, timeframes)));
        let shim = Shim::of(&whole);
        whole.finish(Shim::aside(shim.before(&mut run(&whole)))).expect_code(0);
        let (steps, expected) = (shim.steps(), contents(&whole));
        assert!(steps > 500, "only {steps} steps beside the writer");
        Self { server, whole, expected, steps }
    }

    /// A run in a sandbox of its own that is spoiled at the step of that number beside the writer; tells
    /// whether it was killed.
    fn spoiled(&self, at: u64, spoil: Spoil) -> (Sandbox, bool) {
        let sandbox = another(&self.whole);
        let mut run = run(&sandbox);
        let shim = Shim::of(&sandbox);
        let command = Shim::aside(shim.spoil(&mut run, at, spoil));
        let killed = was_killed(&sandbox, command, &format!("{spoil:?} at step {at} beside"));
        (sandbox, killed)
    }

    /// Steps of the first third, as how many there are in all differs from run to run.
    fn moments(&self, random: &mut Rng) -> Vec<u64> {
        let part = self.steps / 3 / MOMENTS;
        (0..MOMENTS).map(|number| number * part + random.u64(1..=part)).collect()
    }
}

/// One pair after the other: of the first one features are computed before pages of the other are stored.
fn run(sandbox: &Sandbox) -> Command {
    sandbox.command(&["backfill", "--as-of", AS_OF, "--parallel", "1", "-q"])
}

#[test]
fn killed_while_the_log_is_moved_it_goes_on_where_it_was() {
    let world = World::new();
    let mut random = Rng::with_seed(0x6d6f_7665);
    let (mut compared, mut bars) = (0, Vec::new());
    for at in world.moments(&mut random) {
        let spoil = [Spoil::KillBefore, Spoil::Torn, Spoil::KillAfter][random.usize(0..3)];
        let what = format!("{spoil:?} at step {at} beside");
        let (sandbox, killed) = world.spoiled(at, spoil);
        assert!(killed, "{what}: it ended before");
        sandbox.mdctl(&["db", "check"]).expect_code(0);
        let database = opened(&sandbox).expect("a database");
        let held = held(&database);
        bars.push(database.number("SELECT count(*) FROM bars"));
        drop(database);
        world.server.take_requests();
        sandbox.finish(&mut run(&sandbox)).expect_code(0);
        compared += assert_not_asked_again(&held, &world.server.take_requests(), &what);
        assert_alike(&contents(&sandbox), &world.expected, &what);
        sandbox.mdctl(&["db", "check"]).expect_code(0);
    }
    note(&format!("{} steps beside, killed with {bars:?} bars, {compared} compared", world.steps));
    assert!(compared > 0, "every kill came after the last request");
}

#[test]
fn a_log_that_cannot_be_moved_beside_the_writer_is_moved_by_him() {
    let world = World::new();
    let mut random = Rng::with_seed(0x6661_696c);
    let spoils = [Spoil::Full, Spoil::Broken].into_iter().cycle();
    let moments = [1, 2].into_iter().chain(world.moments(&mut random).into_iter().take(2));
    for (at, spoil) in moments.zip(spoils) {
        let (sandbox, killed) = world.spoiled(at, spoil);
        assert!(!killed);
        assert_alike(&contents(&sandbox), &world.expected, &format!("{spoil:?} at step {at}"));
        sandbox.mdctl(&["db", "check"]).expect_code(0);
    }
}

#[test]
fn after_a_loss_of_power_while_the_log_is_moved_it_ends_like_one_that_had_none() {
    let world = World::new();
    let logged = another(&world.whole);
    let (shim, log) = (Shim::of(&logged), logged.path("steps"));
    logged.finish(shim.before(&mut run(&logged)).env("SHIM_LOG", &log)).expect_code(0);
    let steps = read_log(&log);
    let is_of = |step: &Step, of| matches!(step, Step::Write { file, .. } if *file == of);
    // What is written in its place while more comes to the log is moved beside the writer.
    let last = steps.iter().rposition(|step| is_of(step, Durable::Wal)).expect("a log");
    let moved: Vec<usize> = (0..last).filter(|at| is_of(&steps[*at], Durable::Main)).collect();
    assert!(!moved.is_empty(), "nothing is moved beside the writer");
    let mut random = Rng::with_seed(0x6461_726b);
    for _ in 0..MOMENTS {
        let at = (moved[random.usize(0..moved.len())] + random.usize(0..20)).min(last);
        let what = format!("power lost after step {at} of {}", steps.len());
        let sandbox = after_a_loss(&world.whole, &steps[..at], &mut random);
        assert!(opened(&sandbox).is_some(), "{what}");
        sandbox.finish(&mut run(&sandbox)).expect_code(0);
        assert_alike(&contents(&sandbox), &world.expected, &what);
        sandbox.mdctl(&["db", "check"]).expect_code(0);
    }
}
