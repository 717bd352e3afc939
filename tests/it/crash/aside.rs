//! Killed, and bereft of the disk, while a thread beside the writer moves the log into the database and
//! another one reads ahead: these are begun only for histories that are long enough.
//!
//! Moments are steps to the disk of the threads beside the writer.

use std::process::Command;

use fastrand::Rng;

use crate::support::market::{Market, hours, rows};
use crate::support::server::Server;
use crate::support::shim::{Shim, Spoil};
use crate::support::{AS_OF, Sandbox, group, polygon};

use super::{
    another, assert_alike, assert_not_asked_again, contents, held, note, opened, was_killed,
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
        assert!(steps > 2_000, "only {steps} steps beside the writer");
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

    /// Steps early and late; how many there are in all differs from run to run.
    fn moments(&self, random: &mut Rng) -> Vec<u64> {
        let part = self.steps / 2 / MOMENTS;
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
