//! Tests: made-up figures, of which it is plain what they mean.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Twenty requests of ten symbols, and a thousand in all; without a quota.
fn setup() -> Setup {
    Setup {
        provider: "p".to_owned(),
        configured: 3,
        symbols: 10,
        planned: 20,
        most: 40,
        whole: 1_000,
        ..Setup::default()
    }
}

fn limited(requests: u32, per: Duration) -> Setup {
    Setup { rates: vec![RateLimit { requests, per, burst: None }], ..setup() }
}

/// Twenty requests that took so long by the clock, of which the answers took `response`, all together.
fn made(parallel: u32, wall: f64, response: f64) -> Rehearsal {
    let tally = Tally { requests: 20, bars: 100, response: secs(response), ..Tally::default() };
    let times = WriterTimes { waiting: secs(wall), ..WriterTimes::default() };
    Rehearsal { parallel, wall: secs(wall), status: RunStatus::Succeeded, tally, times }
}

fn judged(setup: &Setup, made: &[Rehearsal]) -> Baseline {
    judge(setup.clone(), made.iter().map(|made| Step::of(setup, made)).collect(), None)
}

#[track_caller]
fn expect_close(one: f64, other: f64) {
    assert!((one - other).abs() < 1e-9, "{one} is not {other}");
}

#[test]
fn both_accounts_add_up() {
    let mut made = made(3, 10.0, 12.0);
    made.tally.decode = secs(2.0);
    made.tally.quota = secs(5.0);
    made.tally.for_writer = secs(1.0);
    made.tally.validate = secs(1.0);
    made.times = WriterTimes { waiting: secs(4.0), concluding: secs(2.0) };
    let step = Step::of(&setup(), &made);
    let lanes = LaneSeconds {
        quota: 5.0,
        network: 10.0,
        decode: 2.0,
        validate: 1.0,
        for_writer: 1.0,
        idle: 11.0,
    };
    assert_eq!(step.lanes, lanes);
    let writer = WriterSeconds { store: 4.0, compute: 2.0, idle: 4.0 };
    assert_eq!(step.writer, writer);
}

#[test]
fn who_waits_without_a_lane_takes_no_lanes_time() {
    let mut made = made(2, 10.0, 12.0);
    made.tally.quota = secs(70.0);
    made.tally.for_writer = secs(3.0);
    let lanes = Step::of(&setup(), &made).lanes;
    expect_close(lanes.quota, 8.0);
    expect_close(lanes.for_writer + lanes.idle, 0.0);
}

#[test]
fn far_servers_are_asked_by_as_many_as_it_takes() {
    let setup = setup();
    let steps = [(1, 4.0), (3, 1.4), (5, 0.84), (10, 0.8)];
    let made = steps.map(|(parallel, wall)| made(parallel, wall, 4.0));
    let baseline = judged(&setup, &made);
    assert_eq!(baseline.bottleneck, Some(Stage::Network));
    assert_eq!(baseline.pays, Some(5), "ten are less than a tenth faster");
    expect_close(baseline.gain.expect("a gain"), 1.4 / 0.84);
    expect_close(baseline.steps[0].whole.expect("it tells"), 200.0);
    assert!(baseline.verdict[1].contains("--parallel 5 pays: 1.7 times"), "{baseline:?}");
    assert!(baseline.verdict[2].contains("1,000 requests"), "{baseline:?}");
    assert!(baseline.advice.is_empty(), "{baseline:?}");
}

#[test]
fn a_quota_that_is_used_up_in_the_long_run_is_the_bottleneck_though_nothing_waited() {
    let setup = limited(20, MINUTE);
    let baseline = judged(&setup, &[made(1, 4.0, 4.0)]);
    assert_eq!(baseline.bottleneck, Some(Stage::Quota));
    assert!(baseline.steps[0].is_quota_bound());
    expect_close(baseline.steps[0].whole.expect("it tells"), 49.0 * 60.0);
    assert_eq!((baseline.pays, baseline.gain), (Some(1), Some(1.0)), "three are no faster");
    assert!(baseline.verdict[0].contains("20/1m"), "{baseline:?}");
}

#[test]
fn what_a_quota_lets_through_at_once_it_does_not_hold_up() {
    let few = Setup { whole: 20, ..limited(20, MINUTE) };
    assert_eq!(Step::of(&few, &made(1, 4.0, 4.0)).bottleneck, Stage::Network);
    let more = Setup { whole: 21, ..few };
    assert_eq!(Step::of(&more, &made(1, 4.0, 4.0)).whole, Some(60.0), "when the window has passed");
    let rates = vec![RateLimit { requests: 20, per: MINUTE, burst: Some(15) }];
    let tokens = Setup { rates, ..more };
    assert_eq!(Step::of(&tokens, &made(1, 4.0, 4.0)).whole, Some(18.0), "six tokens");
}

#[test]
fn waits_for_the_quota_are_no_work() {
    // Twenty requests, of which five go at once and the others wait: the work is four seconds.
    let setup = limited(400, MINUTE);
    let mut slow = made(1, 184.0, 4.0);
    slow.tally.quota = secs(180.0);
    let step = Step::of(&setup, &slow);
    assert_eq!(step.bottleneck, Stage::Quota, "whatever it allows, it was waited for");
    expect_close(step.whole.expect("it tells"), 200.0);
}

#[test]
fn a_quota_that_is_wider_than_the_lanes_holds_nothing_up() {
    let setup = Setup { whole: 100_000, ..limited(1_000, MINUTE) };
    let baseline = judged(&setup, &[made(1, 4.0, 4.0), made(3, 1.3, 3.6), made(5, 1.1, 4.0)]);
    let bound: Vec<bool> = baseline.steps.iter().map(Step::is_quota_bound).collect();
    assert_eq!(bound, [false, false, true], "5, 15.4 and 18.2 of 16.7 a second");
    assert_eq!(baseline.pays, Some(3), "the quota takes away what five would gain");
}

#[test]
fn a_busy_writer_is_the_bottleneck_by_what_it_does_most() {
    let with = |validate, concluding, waiting| {
        let mut made = made(3, 10.0, 6.0);
        made.tally.validate = secs(validate);
        made.times = WriterTimes { waiting: secs(waiting), concluding: secs(concluding) };
        Step::of(&setup(), &made).bottleneck
    };
    assert_eq!(with(1.0, 1.0, 0.5), Stage::Store);
    assert_eq!(with(29.0, 1.0, 0.5), Stage::Validate);
    assert_eq!(with(1.0, 6.0, 0.5), Stage::Compute);
    assert_eq!(with(0.5, 0.5, 8.5), Stage::Network);
}

#[test]
fn reading_answers_may_take_longer_than_waiting_for_them() {
    let mut made = made(3, 10.0, 28.0);
    made.tally.decode = secs(20.0);
    assert_eq!(Step::of(&setup(), &made).bottleneck, Stage::Decode);
}

#[test]
fn the_pause_between_starts_may_set_the_pace() {
    // A thousand requests of 500 symbols, which start within fifty seconds.
    let setup = Setup { stagger: secs(0.1), tracked: 500, ..setup() };
    let baseline = judged(&setup, &[made(3, 1.4, 4.0), made(5, 0.9, 4.0), made(10, 0.4, 4.0)]);
    let bottlenecks: Vec<_> = baseline.steps.iter().map(|step| step.bottleneck).collect();
    assert_eq!(bottlenecks, [Stage::Network, Stage::Stagger, Stage::Stagger]);
    assert_eq!(baseline.steps[2].whole, Some(50.0));
    assert_eq!(baseline.pays, Some(5), "ten are no faster");
    assert!(baseline.advice[0].contains("From --parallel 5 on"), "{baseline:?}");
    assert!(baseline.advice[0].contains("100 ms"), "{baseline:?}");
    let files = Setup { is_files: true, ..setup };
    assert_eq!(judged(&files, &[made(10, 0.4, 4.0)]).bottleneck, Some(Stage::Network));
}

#[test]
fn more_than_one_refusal_in_twenty_is_too_many() {
    let with = |rate_limited| {
        let mut made = made(1, 4.0, 4.0);
        made.tally.rate_limited = rate_limited;
        judged(&limited(1_000, MINUTE), &[made])
    };
    assert!(with(1).advice.is_empty(), "{:?}", with(1));
    let baseline = with(2);
    expect_close(baseline.rate_limited_share.expect("a share"), 0.1);
    assert!(baseline.advice[0].starts_with("10.0 % of the answers"), "{baseline:?}");
    assert!(baseline.advice[0].contains("1000/1m"), "{baseline:?}");
}

#[test]
fn what_failed_tells_nothing_of_what_pays() {
    let partial = Rehearsal { status: RunStatus::Partial, ..made(10, 0.1, 0.9) };
    let baseline = judged(&setup(), &[made(3, 1.4, 4.0), partial]);
    assert_eq!((baseline.pays, baseline.gain), (Some(3), Some(1.0)));
    assert!(baseline.advice[0].contains("mean little"), "{baseline:?}");
    let failed = Rehearsal { status: RunStatus::Failed, ..made(3, 0.1, 0.9) };
    let cut = Some(Cut::Ended(RunStatus::Failed));
    let baseline = judge(setup(), vec![Step::of(&setup(), &failed)], cut);
    assert_eq!((baseline.pays, baseline.gain), (None, None));
    assert!(baseline.verdict[0].contains("`failed`"), "{baseline:?}");
}

#[test]
fn too_few_symbols_for_the_lanes_are_told() {
    let steps = [made(3, 1.4, 4.0), made(30, 0.4, 4.0)];
    let baseline = judged(&Setup { tracked: 50, ..setup() }, &steps);
    assert!(baseline.advice[0].contains("--symbols 50"), "{baseline:?}");
    let baseline = judged(&Setup { tracked: 10, ..setup() }, &steps);
    assert!(baseline.advice.is_empty(), "there are no more: {baseline:?}");
}

#[test]
fn nothing_asked_is_nothing_found() {
    let baseline = judge(Setup::default(), Vec::new(), Some(Cut::NothingDue));
    assert_eq!((baseline.bottleneck, baseline.rate_limited_share), (None, None));
    assert_eq!(baseline.verdict.len(), 1, "{baseline:?}");
    // No time at all divides nothing.
    let nothing = Rehearsal {
        parallel: 1,
        wall: Duration::ZERO,
        status: RunStatus::Succeeded,
        tally: Tally::default(),
        times: WriterTimes::default(),
    };
    let step = Step::of(&Setup::default(), &nothing);
    assert_eq!((step.wall, step.lanes, step.whole), (0.0, LaneSeconds::default(), None));
}
