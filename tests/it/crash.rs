//! Killed at any moment, and bereft of power as far as the WAL promises: the database opens and is
//! sound, no stored page is asked for again, and the next run ends where an undisturbed one ends.
//!
//! Moments are chosen by a seeded generator, or are every step to the disk; nothing sleeps.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use fastrand::Rng;
use rusqlite::{Connection, OpenFlags};

use crate::support::market::{
    DAY, HOUR, Market, PolygonAsk, Row, day, hours, instant, rows, sessions,
};
use crate::support::server::{Answer, Request, Server};
use crate::support::shim::{Durable, Shim, Spoil, Step, read_log};
use crate::support::{AS_OF, Database, Sandbox, group, polygon, wait_until};

mod aside;
mod early;

/// Kills of the first test, at least.
const KILLS: usize = 200;

/// What two databases are compared by: all that a run makes but who made it, and when.
const LIKE: &[&str] = &[
    "SELECT concat_ws(' ', symbol, timeframe, ts, open, high, low, close, volume, vwap, trades)
       FROM bars JOIN series USING (series_id) ORDER BY symbol, timeframe, ts",
    "SELECT concat_ws(' ', symbol, timeframe, ts, sma_20, ema_12, rsi_14, obv, log_return, vwap_session)
       FROM features JOIN series USING (series_id) ORDER BY symbol, timeframe, ts",
    "SELECT concat_ws(' ', symbol, timeframe, from_ts, to_ts)
       FROM coverage JOIN series USING (series_id) ORDER BY symbol, timeframe, from_ts",
    "SELECT concat_ws(' ', symbol, timeframe, from_ts, to_ts, missing, reason)
       FROM gaps JOIN series USING (series_id) ORDER BY symbol, timeframe, from_ts",
    "SELECT concat_ws(' ', symbol, timeframe, first_ts, watermark_ts, settled_ts, bar_count,
            adjustment, consecutive_failures, coalesce(last_error, '-'))
       FROM series ORDER BY symbol, timeframe",
    "SELECT concat_ws(' ', symbol, timeframe, ts, reason, text)
       FROM rejected_bars JOIN series USING (series_id) ORDER BY symbol, timeframe, ts",
    "SELECT concat_ws(' ', symbol, timeframe, ts, old_open, old_high, old_low, old_close, old_volume,
            old_vwap, old_trades, new_open, new_high, new_low, new_close, new_volume, new_vwap,
            new_trades)
       FROM revisions JOIN series USING (series_id) ORDER BY symbol, timeframe, ts",
    "SELECT concat_ws(' ', symbol, timeframe, last_bar_ts, lag_seconds, status)
       FROM freshness ORDER BY symbol, timeframe",
    "SELECT concat_ws(' ', symbol, asset_class, provider, calendar, group_name, active,
            coalesce(actions_checked_at, '-'))
       FROM tracked_symbols ORDER BY symbol",
    "SELECT concat_ws(' ', symbol, ex_date, kind, ratio_from, ratio_to, cash_amount, currency, provider,
            status)
       FROM corporate_actions ORDER BY symbol, ex_date, kind",
    "SELECT concat_ws(' ', symbol, provider, name, active, listed_on, checked_at)
       FROM reference_data ORDER BY symbol",
];

/// What a database holds, for comparison.
#[track_caller]
pub(crate) fn contents(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let database = sandbox.database();
    LIKE.iter().map(|sql| database.texts(sql)).collect()
}

/// Asserts that two databases hold the same; tells the first difference.
#[track_caller]
pub(crate) fn assert_alike(found: &[Vec<String>], expected: &[Vec<String>], what: &str) {
    for ((found, expected), sql) in found.iter().zip(expected).zip(LIKE) {
        let differs = |(a, b): &(&String, &String)| a != b;
        let first = found.iter().zip(expected).find(differs);
        assert!(found == expected, "{what}: {first:?} or more of one in\n{sql}");
    }
}

/// Shares whose weeks are made of days, and pairs whose four hours are made of hours, at two providers
/// that say truly how long their pages are: so nothing stored is read again because it costs nothing.
fn config(url: &str) -> String {
    let days = "settle = \"1s\"\ntimeframes = [\"1d\", \"1w\"]\nlookback = { \"1d\" = \"60d\", \"1w\" = \"60d\" }";
    let hours = "settle = \"1s\"\ntimeframes = [\"1h\", \"4h\"]\nlookback = { \"1h\" = \"52d\", \"4h\" = \"52d\" }";
    let pairs = polygon(url, &format!("page_limit = {}", PAIR_PAGE * 60));
    let (_, pairs) = pairs.split_once("[providers.p]").expect("a provider");
    polygon(url, &format!("page_limit = {SHARE_PAGE}"))
        + "[providers.q]"
        + pairs
        + &group("p", "stock", &["AAA", "BBB"], days)
        + &group("q", "crypto", &["X:BTCUSD", "X:ETHUSD"], hours)
}

/// Days in a page of a share, and hours in one of a pair.
const SHARE_PAGE: usize = 6;
const PAIR_PAGE: usize = 80;

/// What the provider has: a day and some hours are lacking, some rows cannot be true, and the bars of
/// `restated` are other ones.
pub(crate) fn provider(restated: &[Row]) -> impl Fn(&Request) -> Answer + Send + Sync + use<> {
    let lacking = [instant("2024-02-27T00:00:00Z"), instant("2024-03-01T05:00:00Z")];
    let untrue = [instant("2024-03-05T00:00:00Z"), instant("2024-03-05T07:00:00Z")];
    let series = |times: Vec<i64>| -> Vec<Row> {
        let rows = rows(&times).into_iter().filter(|row| !lacking.contains(&row.ts));
        rows.map(|row| match restated.iter().find(|other| other.ts == row.ts) {
            Some(other) => *other,
            None if untrue.contains(&row.ts) => Row { high: row.low - 1.0, ..row },
            None => row,
        })
        .collect()
    };
    let days = series(sessions("2023-12-01", AS_OF));
    let hours = series(hours("2024-01-01T00:00:00Z", "2024-03-16T00:00:00Z"));
    let pairs = Market::new().with("X:BTCUSD", "1h", hours.clone()).with("X:ETHUSD", "1h", hours);
    let shares = Market::new().with("AAA", "1d", days.clone()).with("BBB", "1d", days);
    let (pairs, shares) = (pairs.paged(PAIR_PAGE), shares.paged(SHARE_PAGE));
    move |request| {
        let hourly = request.path.contains("/hour/");
        if hourly { pairs.polygon(request) } else { shares.polygon(request) }
    }
}

/// A provider of hours and days of a share, which was listed after the lookback's start, and was not traded in
/// one hour of a session.
fn late_hours() -> impl Fn(&Request) -> Answer + Send + Sync + use<> {
    let mut held = hours("2024-03-13T00:00:00Z", "2024-03-16T00:00:00Z");
    held.retain(|ts| *ts != instant("2024-03-14T16:00:00Z"));
    let days = rows(&sessions("2024-03-13", AS_OF));
    let market = Market::new().with("AAA", "1h", rows(&held)).with("AAA", "1d", days).paged(20);
    move |request| market.polygon(request)
}

/// The process at work, which the server may kill when it has seen enough.
#[derive(Default)]
struct Victim {
    child: Option<Child>,
    /// Requests still to come before it is killed; `None` when the server is not to kill it.
    requests: Option<usize>,
}

/// A world whose runs are killed.
struct World {
    server: Server,
    victim: Arc<Mutex<Victim>>,
    /// A database with some bars in the middle, of which the last were restated since.
    before: Vec<u8>,
    /// What a run that nobody kills makes of it.
    expected: Vec<Vec<String>>,
    /// The steps to the disk of such a run.
    steps: u64,
    /// The requests of such a run.
    requests: usize,
}

impl World {
    fn new() -> Self {
        let restated: Vec<Row> = ["2024-02-16T00:00:00Z", "2024-02-20T22:00:00Z"]
            .map(|at| rows(&[instant(at)])[0])
            .map(|row| Row { high: row.high + 7.0, ..row })
            .to_vec();
        let server = Server::start(provider(&[]));
        let whole = Sandbox::with(&config(&server.url()));
        whole.backfill_at("2024-02-20", &["--from", "2024-01-29"]).expect_code(0);
        let before = fs::read(whole.path("mdctl.db")).expect("the database");
        let victim = Arc::new(Mutex::new(Victim::default()));
        let (killer, provider) = (Arc::clone(&victim), provider(&restated));
        server.answer_with(move |request| {
            kill_in_time(&killer);
            provider(request)
        });
        server.take_requests();
        let shim = Shim::of(&whole);
        whole.finish(shim.before(&mut backfill(&whole))).expect_code(0);
        let (steps, requests) = (shim.steps(), server.requests().len());
        assert!(steps > 20, "the shim sees only {steps} steps");
        whole.mdctl(&["db", "check"]).expect_code(0);
        let expected = contents(&whole);
        assert!(expected[..6].iter().all(|rows| !rows.is_empty()), "a table to compare is empty");
        Self { server, victim, before, expected, steps, requests }
    }

    /// A sandbox as it was before.
    fn sandbox(&self) -> Sandbox {
        let sandbox = Sandbox::with(&config(&self.server.url()));
        sandbox.write("mdctl.db", &self.before);
        sandbox
    }

    /// Runs a `backfill` that is killed at that moment; tells whether it was, or had ended before.
    fn killed(&self, sandbox: &Sandbox, moment: Moment) -> bool {
        let shim = Shim::of(sandbox);
        let mut command = backfill(sandbox);
        shim.before(&mut command);
        if let Moment::Step(at, spoil) = moment {
            shim.spoil(&mut command, at, spoil);
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut stderr = {
            let mut victim = lock(&self.victim);
            let mut child = command.spawn().expect("mdctl starts");
            let stderr = child.stderr.take().expect("a pipe");
            let requests = match moment {
                Moment::Request(number) => Some(number),
                _ => None,
            };
            *victim = Victim { child: Some(child), requests };
            stderr
        };
        if let Moment::Outside(steps, turns) = moment {
            self.kill_from_outside(&shim, steps, turns);
        }
        let mut said = String::new();
        stderr.read_to_string(&mut said).expect("what it said");
        let child = lock(&self.victim).child.take();
        let status = child.expect("the victim").wait().expect("it ended");
        match status.code() {
            None => true,
            Some(0) => false,
            Some(code) => panic!("{moment:?}: exit code {code}\n{said}"),
        }
    }

    /// Kills after so many steps, and so many turns of another thread; an end comes before.
    fn kill_from_outside(&self, shim: &Shim, steps: u64, turns: u32) {
        while shim.steps() < steps {
            if lock(&self.victim).child.as_mut().is_none_or(ended) {
                return;
            }
            thread::yield_now();
        }
        (0..turns).for_each(|_| thread::yield_now());
        if let Some(child) = &mut lock(&self.victim).child {
            let _ = child.kill();
        }
    }

    /// A moment for the next kill; mostly an early one, so that one database is killed many times.
    fn moment(&self, random: &mut Rng) -> Moment {
        let share = if random.u8(0..4) == 0 { 1 } else { 4 };
        let (requests, steps) = (self.requests / share, self.steps / share as u64);
        match random.u8(0..3) {
            0 => Moment::Request(random.usize(1..=requests)),
            1 => Moment::Step(random.u64(1..=steps), any(random)),
            _ => Moment::Outside(random.u64(0..=steps), random.u32(0..2_000)),
        }
    }
}

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// When that request comes, before it is answered.
    Request(usize),
    /// At that step to the disk.
    Step(u64, Spoil),
    /// Some time after that step, by another process.
    Outside(u64, u32),
}

fn any(random: &mut Rng) -> Spoil {
    [Spoil::KillBefore, Spoil::Torn, Spoil::KillAfter][random.usize(0..3)]
}

fn ended(child: &mut Child) -> bool {
    child.try_wait().is_ok_and(|status| status.is_some())
}

fn lock(victim: &Mutex<Victim>) -> std::sync::MutexGuard<'_, Victim> {
    victim.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a request, and kills the process whose last one it was.
fn kill_in_time(victim: &Mutex<Victim>) {
    let mut victim = lock(victim);
    let Victim { child: Some(child), requests: Some(left) } = &mut *victim else { return };
    *left = left.saturating_sub(1);
    if *left == 0 {
        let _ = child.kill();
    }
}

fn backfill(sandbox: &Sandbox) -> Command {
    sandbox.command(&["backfill", "--as-of", AS_OF, "-q"])
}

/// The database as the next program finds it: it opens and is whole. `None` when there is none yet.
#[track_caller]
pub(crate) fn opened(sandbox: &Sandbox) -> Option<Database> {
    let path = sandbox.path("mdctl.db");
    if !path.exists() {
        return None;
    }
    // As its owner would: what a crash left in the log is read, and nothing is changed.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let database = Database(Connection::open_with_flags(path, flags).expect("the database opens"));
    assert_eq!(database.texts("PRAGMA integrity_check"), ["ok"]);
    (database.number("PRAGMA user_version") > 0).then_some(database)
}

/// What coverage held when a run was killed, by `SYMBOL TIMEFRAME`: each stretch, and from where on the
/// last bars come along with a newer one to be settled.
type Held = BTreeMap<String, (Vec<(i64, i64)>, i64)>;

fn held(database: &Database) -> Held {
    let covered = database.rows(
        "SELECT symbol || ' ' || timeframe, timeframe, from_ts, to_ts, watermark_ts
           FROM coverage JOIN series USING (series_id) WHERE timeframe IN ('1d', '1h')",
        |row| {
            let timeframe: String = row.get(1)?;
            Ok((row.get::<_, String>(0)?, timeframe, row.get(2)?, row.get(3)?, row.get(4)?))
        },
    );
    let mut held = Held::new();
    for (series, timeframe, from, to, watermark) in covered {
        let watermark: Option<i64> = watermark;
        let settled = watermark.map_or(i64::MAX, |last| third_last(&timeframe, last));
        let entry = held.entry(series).or_insert((Vec::new(), settled));
        entry.0.push((from, to));
    }
    held
}

/// The third last due bar up to `last`.
fn third_last(timeframe: &str, last: i64) -> i64 {
    if timeframe == "1h" {
        return last - 2 * HOUR;
    }
    let days = sessions("2023-12-01", AS_OF);
    let at = days.partition_point(|ts| *ts <= last);
    days[at.saturating_sub(3)]
}

/// Asserts that none of `requests` asks for what was held; tells how many were looked at.
#[track_caller]
fn assert_not_asked_again(held: &Held, requests: &[Request], what: &str) -> usize {
    for request in requests {
        let ask = PolygonAsk::of(request).expect("aggregates");
        let Some((covered, settled)) = held.get(&format!("{} {}", ask.symbol, ask.timeframe))
        else {
            continue;
        };
        let (first, last) = (label(&ask, &ask.from), label(&ask, &ask.to));
        for (from, to) in covered {
            let again = (first.max(*from), (last + 1).min(*to).min(*settled));
            assert!(
                again.0 >= again.1,
                "{what}: {} is asked for again: {again:?}",
                request.target()
            );
        }
    }
    requests.len()
}

/// The bar that an end of an asked range, a date or milliseconds, stands for.
fn label(ask: &PolygonAsk, end: &str) -> i64 {
    match end.parse::<i64>() {
        Ok(millis) if ask.timeframe == "1d" => (millis / 1_000).div_euclid(DAY) * DAY,
        Ok(millis) => millis / 1_000,
        Err(_) => day(end),
    }
}

/// Says how much was looked at, to those who ask for it with `--nocapture`.
#[expect(clippy::print_stderr, reason = "the figures of a test")]
pub(crate) fn note(figures: &str) {
    eprintln!("{figures}");
}

/// Whether a further run has, once it began, marked as crashed what was running `before`.
fn are_settled(before: &[String], now: &[String]) -> bool {
    let settled = before.iter().map(|status| if status == "running" { "crashed" } else { status });
    before == now || now.len() == before.len() + 1 && settled.eq(now.iter().take(before.len()))
}

/// The statuses of all runs, oldest first.
fn statuses(database: &Database) -> Vec<String> {
    database.texts("SELECT status FROM runs ORDER BY run_id")
}

// `kill -9`.

#[test]
fn killed_at_any_moment_it_goes_on_where_it_was_and_ends_like_one_that_was_not() {
    let world = World::new();
    let mut random = Rng::with_seed(0x6d64_6374);
    let (mut kills, mut compared, mut rounds) = (0, 0, 0);
    while kills < KILLS {
        rounds += 1;
        let sandbox = world.sandbox();
        let mut left: Option<(Held, Vec<String>)> = None;
        loop {
            world.server.take_requests();
            let moment = world.moment(&mut random);
            let killed = world.killed(&sandbox, moment);
            let what = format!("round {rounds}, kill {kills}, {moment:?}");
            let database = opened(&sandbox).expect("a database");
            let requests = world.server.take_requests();
            let statuses = statuses(&database);
            if let Some((held, before)) = left.take() {
                compared += assert_not_asked_again(&held, &requests, &what);
                assert!(are_settled(&before, &statuses), "{what}: {before:?} became {statuses:?}");
            }
            if !killed {
                assert!(!statuses.contains(&"running".to_owned()), "{what}: {statuses:?}");
                break;
            }
            kills += 1;
            if kills % 5 == 0 {
                drop(database);
                sandbox.mdctl(&["db", "check"]).expect_code(0);
                if statuses.last().is_some_and(|status| status == "running") {
                    let history = sandbox.mdctl(&["history", "--json"]).expect_code(0).json();
                    assert_eq!(history["runs"][0]["status"], "crashed", "{what}");
                }
                left = opened(&sandbox).map(|database| (held(&database), statuses));
            } else {
                left = Some((held(&database), statuses));
            }
        }
        assert_alike(&contents(&sandbox), &world.expected, &format!("round {rounds}"));
        sandbox.mdctl(&["db", "check"]).expect_code(0);
    }
    assert!(rounds > 10 && compared > 100, "{rounds} rounds, {compared} requests compared");
    note(&format!("{kills} kills in {rounds} rounds, {compared} requests compared"));
}

// Every step to the disk.

/// A share with days and weeks, in four pages, from nothing.
pub(crate) fn small(
    answered: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Server, Sandbox) {
    let server = Server::start(answered);
    let weekly = "timeframes = [\"1d\", \"1w\"]\nlookback = { \"1d\" = \"30d\", \"1w\" = \"30d\" }";
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), "") + &group("p", "stock", &["AAA"], weekly)));
    (server, sandbox)
}

/// A share with hours, four hours and days, in five pages, from nothing.
fn hourly() -> (Server, Sandbox) {
    let server = Server::start(late_hours());
    let hours = "timeframes = [\"1h\", \"4h\", \"1d\"]
lookback = { \"1h\" = \"4d\", \"4h\" = \"4d\", \"1d\" = \"4d\" }";
    let sandbox =
        Sandbox::with(&(polygon(&server.url(), "") + &group("p", "stock", &["AAA"], hours)));
    (server, sandbox)
}

/// Another sandbox with the same config, with nothing in it yet.
pub(crate) fn another(sandbox: &Sandbox) -> Sandbox {
    Sandbox::with(&sandbox.read("mdctl.toml"))
}

/// Completes what is in `sandbox`, and compares.
#[track_caller]
pub(crate) fn assert_completes(sandbox: &Sandbox, expected: &[Vec<String>], what: &str) {
    sandbox.backfill(&["-q"]).expect_code(0);
    let database = opened(sandbox).expect("a database");
    assert!(!statuses(&database).contains(&"running".to_owned()), "{what}");
    assert_alike(&contents(sandbox), expected, what);
}

/// Whether `command` was killed; else it has to have ended well.
#[track_caller]
fn was_killed(sandbox: &Sandbox, command: &mut Command, what: &str) -> bool {
    let output = sandbox.finish(command);
    assert!(matches!(output.code, None | Some(0)), "{what}: {output}");
    output.code.is_none()
}

#[test]
fn killed_at_every_step_to_the_disk_it_ends_like_one_that_was_not() {
    let (_server, whole) = hourly();
    whole.backfill(&["-q"]).expect_code(0);
    let reasons = whole.database().texts("SELECT DISTINCT reason FROM gaps ORDER BY reason");
    assert_eq!(reasons, ["no_trade", "pre_listing"]);
    let expected = contents(&whole);
    let mut random = Rng::with_seed(0x7374_6570);
    let (mut kills, mut at) = (0, 0);
    // Before a step is after the one before it: those kinds are all there by taking one of every step.
    let mut going_on = true;
    while going_on {
        at += 1;
        let torn = (random.u8(0..3) == 0).then_some(Spoil::Torn);
        let after = (random.u8(0..16) == 0).then_some(Spoil::KillAfter);
        for spoil in [Some(Spoil::KillBefore), torn, after].into_iter().flatten() {
            let sandbox = another(&whole);
            let what = format!("{spoil:?} at step {at}");
            let mut run = backfill(&sandbox);
            if !was_killed(&sandbox, Shim::of(&sandbox).spoil(&mut run, at, spoil), &what) {
                going_on = false;
                break;
            }
            kills += 1;
            if opened(&sandbox).is_some() && random.u8(0..8) == 0 {
                sandbox.mdctl(&["db", "check"]).expect_code(0);
            }
            assert_completes(&sandbox, &expected, &what);
        }
    }
    note(&format!("{kills} kills at steps to the disk"));
    assert!(at > 60, "only {at} steps");
}

// Power loss.

/// A file as it may be on a disk that lost its power: what was synced, and any part of what was not.
#[derive(Clone, Default)]
struct OnDisk {
    synced: Option<Vec<u8>>,
    since: Vec<Step>,
}

impl OnDisk {
    fn sync(&mut self) {
        for step in std::mem::take(&mut self.since) {
            apply(&mut self.synced, &step, usize::MAX);
        }
    }

    /// The file after a loss: of each step since the last sync all, nothing, or a part.
    fn lost(&self, random: &mut Rng) -> Option<Vec<u8>> {
        let mut file = self.synced.clone();
        for step in &self.since {
            match random.u8(0..3) {
                0 => {}
                1 => apply(&mut file, step, usize::MAX),
                _ => apply(&mut file, step, random.usize(0..5_000)),
            }
        }
        file
    }
}

/// Does a step to a file, at most so many bytes of it.
fn apply(file: &mut Option<Vec<u8>>, step: &Step, most: usize) {
    match step {
        Step::Write { offset, bytes, .. } => {
            let bytes = &bytes[..bytes.len().min(most)];
            let file = file.get_or_insert_default();
            let end = offset + bytes.len();
            file.resize(file.len().max(end), 0);
            file[*offset..end].copy_from_slice(bytes);
        }
        Step::Truncate { length, .. } => file.get_or_insert_default().resize(*length, 0),
        Step::Remove(_) => *file = None,
        Step::Sync(_) => {}
    }
}

/// The disk after `steps`: each file, what is safe of it and what is not.
fn disk_after(steps: &[Step]) -> BTreeMap<Durable, OnDisk> {
    let mut disk: BTreeMap<Durable, OnDisk> = BTreeMap::new();
    for step in steps {
        match step {
            // What was removed stays so once the folder is synced; the files are no concern of that.
            Step::Sync(Durable::Folder) => {
                let removed = |file: &&mut OnDisk| {
                    file.since.iter().any(|step| matches!(step, Step::Remove(_)))
                };
                disk.values_mut().filter(removed).for_each(OnDisk::sync);
            }
            Step::Sync(file) => disk.entry(*file).or_default().sync(),
            Step::Write { file, .. } | Step::Truncate { file, .. } | Step::Remove(file) => {
                disk.entry(*file).or_default().since.push(step.clone());
            }
        }
    }
    disk
}

/// A sandbox with the files that a loss of power after `steps` may leave.
fn after_a_loss(like: &Sandbox, steps: &[Step], random: &mut Rng) -> Sandbox {
    let sandbox = another(like);
    for (file, on_disk) in disk_after(steps) {
        let name = match file {
            Durable::Main => "mdctl.db",
            Durable::Wal => "mdctl.db-wal",
            Durable::Journal => "mdctl.db-journal",
            Durable::Folder => continue,
        };
        if let Some(bytes) = on_disk.lost(random) {
            sandbox.write(name, bytes);
        }
    }
    sandbox
}

#[test]
fn after_a_loss_of_power_at_any_step_it_ends_like_one_that_had_none() {
    let (_server, whole) = small(provider(&[]));
    let shim = Shim::of(&whole);
    let log = whole.path("steps");
    whole.finish(shim.before(&mut backfill(&whole)).env("SHIM_LOG", &log)).expect_code(0);
    let first_run = read_log(&log).len();
    // A second run, that finds all of it.
    let mut again = whole.command(&["backfill", "--as-of", "2024-03-18", "-q"]);
    whole.finish(shim.before(&mut again).env("SHIM_LOG", &log)).expect_code(0);
    let steps = read_log(&log);
    let all = |wanted: fn(&Step) -> bool| steps.iter().filter(|step| wanted(step)).count();
    assert!(all(|step| matches!(step, Step::Sync(_))) > 3, "the log lacks syncs");
    assert!(all(|step| matches!(step, Step::Write { file: Durable::Wal, .. })) > 40);
    let expected = contents(&whole);
    let mut random = Rng::with_seed(0x7077_6572);
    let mut losses = 0;
    let mut chosen = Rng::with_seed(0x6c6f_7373);
    for at in (1..=steps.len()).filter(|_| chosen.bool()) {
        losses += 1;
        let what = format!("power lost after step {at} of {}", steps.len());
        let sandbox = after_a_loss(&whole, &steps[..at], &mut random);
        if opened(&sandbox).is_some() && random.u8(0..4) == 0 {
            sandbox.mdctl(&["db", "check"]).expect_code(0);
        }
        if at <= first_run {
            sandbox.backfill(&["-q"]).expect_code(0);
        }
        sandbox.backfill_at("2024-03-18", &["-q"]).expect_code(0);
        assert_alike(&contents(&sandbox), &expected, &what);
    }
    note(&format!("{losses} losses of power in {} steps", steps.len()));
    assert!(losses > 50, "only {losses} losses");
}

/// The header of a WAL, and that of a frame, which a page follows.
const LOG_HEAD: usize = 32;
const FRAME: usize = 24 + 4_096;

#[test]
fn a_log_cut_or_spoiled_at_its_end_costs_what_stood_there_and_no_more() {
    let (server, whole) = small(provider(&[]));
    whole.backfill(&["-q"]).expect_code(0);
    let expected = contents(&whole);
    let pages = server.take_requests().len();
    // Killed when all but the last page stand in the log.
    let (answering, answered) = (provider(&[]), AtomicUsize::new(0));
    server.answer_with(move |request| match answered.fetch_add(1, Ordering::SeqCst) + 1 == pages {
        true => Answer::Hang,
        false => answering(request),
    });
    let killed = another(&whole);
    let running = killed.start(&["backfill", "--as-of", AS_OF]);
    server.wait_for(pages);
    // Three pages of six, of which one row cannot be true.
    wait_until(|| killed.database().number("SELECT count(*) FROM bars") == 17);
    running.kill();
    server.answer_with(provider(&[]));
    let (main, log) = (killed.path("mdctl.db"), killed.path("mdctl.db-wal"));
    let (main, log) = (fs::read(main).expect("a database"), fs::read(log).expect("a log"));
    let frames = (log.len() - LOG_HEAD) / FRAME;
    assert!(frames > 30, "only {frames} frames");
    let mut random = Rng::with_seed(0x7761_6c00);
    let mut bars = Vec::new();
    for round in 0..40 {
        let mut log = log.clone();
        // The first round leaves the log whole.
        let last = if round == 0 { frames } else { random.usize(0..=frames) };
        let frame = LOG_HEAD + last * FRAME;
        let within = (frame + random.usize(0..FRAME)).min(log.len());
        match round % 4 {
            0 => log.truncate(frame),
            1 => log.truncate(within),
            2 => log[within..].fill(0),
            _ => log[within..].fill_with(|| random.u8(..)),
        }
        let sandbox = another(&whole);
        sandbox.write("mdctl.db", &main);
        sandbox.write("mdctl.db-wal", &log);
        let kept = opened(&sandbox).map(|database| database.number("SELECT count(*) FROM bars"));
        bars.push(kept);
        assert_completes(&sandbox, &expected, &format!("round {round}"));
        sandbox.mdctl(&["db", "check"]).expect_code(0);
    }
    // How many bars came in one commit is the writer's affair; a log kept whole keeps them all.
    assert_eq!(bars[0], Some(17), "{bars:?}");
    assert!(bars.iter().all(|kept| *kept <= Some(17)), "{bars:?}");
    assert!(bars.iter().any(|kept| *kept < Some(17)), "{bars:?}");
}
