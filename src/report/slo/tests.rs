use std::time::Duration;

use super::*;
use crate::domain::alert::Detection;
use crate::domain::run::{RunId, Totals};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// The instant that everything is judged at.
const NOW: i64 = 1_700_000_000;

fn promised() -> Objectives {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    Objectives {
        run_success_rate: 99.5,
        fetch_p99: Duration::from_secs(30),
        detection: Detection { share: 95.0, within: Duration::from_secs(60) },
        rpo: hours(24),
        rto: hours(26),
        window: hours(30 * 24),
    }
}

/// A run that began so many hours before now and took ten minutes.
fn run(hours_ago: i64, status: RunStatus) -> RunFact {
    let started_at = NOW - hours_ago * HOUR;
    RunFact {
        run_id: RunId(format!("{started_at}")),
        command: "backfill".to_owned(),
        trigger: "manual".to_owned(),
        status,
        started_at,
        completed_at: (status != RunStatus::Crashed).then_some(started_at + 600),
        totals: Totals::default(),
        exit_code: None,
        error: None,
        worst_lag_seconds: None,
    }
}

fn provider(run: &RunFact, name: &str, answered: u64, troubled: u64) -> ProviderRun {
    ProviderRun { run_id: run.run_id.clone(), provider: name.to_owned(), answered, troubled }
}

fn service(runs: &[RunFact]) -> Service {
    Service { runs: runs.to_vec(), max_run_age_seconds: 26 * HOUR, ..Service::default() }
}

fn judged(service: &Service) -> Slo {
    judge(&promised(), service, NOW)
}

fn objective<'a>(slo: &'a Slo, name: &str) -> &'a Objective {
    slo.objectives.iter().find(|objective| objective.name == name).expect("it is judged")
}

/// `cause subject hours` of each incident, with `…` behind one that lasts.
fn told(slo: &Slo) -> Vec<String> {
    let tell = |incident: &Incident| {
        let hours = incident.recovery_seconds(NOW) as f64 / HOUR as f64;
        let lasts = if incident.ended_at.is_none() { "…" } else { "" };
        format!("{} {} {hours:.1}{lasts}", incident.cause.as_str(), incident.subject)
    };
    slo.incidents.iter().map(tell).collect()
}

#[test]
fn nothing_to_judge_is_neither_met_nor_missed() {
    let slo = judged(&Service { max_run_age_seconds: 26 * HOUR, ..Service::default() });
    assert!(slo.objectives.iter().all(|objective| objective.met.is_none()), "{slo:?}");
    assert_eq!((slo.exit(), slo.incidents.len()), (Exit::Success, 0));
}

#[test]
fn a_promise_that_is_just_kept_is_kept() {
    for all in 1..=500_u64 {
        for good in 0..=all {
            // As somebody would write it who promises just that.
            let target = format!("{:.3}", good as f64 * 100.0 / all as f64);
            let target: f64 = target.parse().unwrap();
            if (target * all as f64 - 100.0 * good as f64).abs() > 1e-6 {
                continue;
            }
            let kept = of_share("rate", target, good, all);
            assert_eq!(kept.met, Some(true), "{good} of {all} are {target} %");
            assert!(kept.budget_left.is_none_or(|left| left >= 0.0), "{good} of {all}");
        }
    }
}

#[test]
fn a_budget_is_what_the_promise_leaves_for_trouble() {
    let mut runs: Vec<RunFact> =
        (1..=400).rev().map(|ago| run(ago, RunStatus::Succeeded)).collect();
    runs[7].status = RunStatus::Partial;
    let slo = judged(&service(&runs));
    let rate = objective(&slo, "run_success_rate");
    assert_eq!((rate.achieved, rate.met, rate.measured), (Some(99.75), Some(true), 400));
    assert_eq!(rate.budget_left, Some(0.5));
    runs[10..15].iter_mut().for_each(|run| run.status = RunStatus::Failed);
    let slo = judged(&service(&runs));
    let rate = objective(&slo, "run_success_rate");
    assert_eq!((rate.achieved, rate.met, rate.budget_left), (Some(98.5), Some(false), Some(-2.0)));
    assert_eq!(slo.exit(), Exit::Partial);
}

#[test]
fn runs_that_a_pause_made_skip_or_somebody_stopped_count_for_neither_side() {
    let runs = [
        run(5, RunStatus::Succeeded),
        run(4, RunStatus::Skipped),
        run(3, RunStatus::Interrupted),
        run(2, RunStatus::Deferred),
    ];
    let slo = judged(&service(&runs));
    let rate = objective(&slo, "run_success_rate");
    assert_eq!((rate.achieved, rate.measured), (Some(100.0), 2));
}

#[test]
fn a_crash_ends_with_the_next_run_that_brings_something() {
    let runs = [
        run(50, RunStatus::Succeeded),
        run(40, RunStatus::Crashed),
        run(30, RunStatus::Failed),
        run(10, RunStatus::Partial),
    ];
    let slo = judged(&service(&runs));
    assert_eq!(told(&slo), ["run_failed runs 20.2", "crash runs 30.2"]);
    let crash = &slo.incidents[1];
    assert_eq!(crash.exposure_seconds(NOW), Some(40 * HOUR), "from 49:50 to 9:50 hours ago");
    let rto = objective(&slo, "rto");
    assert_eq!((rto.achieved, rto.met), (Some((30 * HOUR + 600) as f64), Some(false)));
    assert_eq!(slo.exit(), Exit::Failed);
}

#[test]
fn an_outage_is_of_one_provider_and_ends_when_it_answers() {
    let runs = [
        run(9, RunStatus::Succeeded),
        run(8, RunStatus::Partial),
        run(7, RunStatus::Failed),
        run(6, RunStatus::Partial),
        run(5, RunStatus::Succeeded),
    ];
    let mut service = service(&runs);
    service.providers = vec![
        provider(&runs[1], "a", 0, 3),
        provider(&runs[1], "b", 9, 1),
        provider(&runs[2], "a", 0, 3),
        provider(&runs[2], "b", 0, 7),
        provider(&runs[3], "a", 0, 3),
        provider(&runs[3], "b", 8, 0),
    ];
    assert_eq!(
        told(&judged(&service)),
        ["provider_outage b 1.2", "provider_outage a 8.0…"],
        "a run in which it was not asked shows nothing"
    );
    service.providers.push(provider(&runs[4], "a", 1, 0));
    let slo = judged(&service);
    assert_eq!(told(&slo), ["provider_outage b 1.2", "provider_outage a 3.2"]);
    let recovery = &slo.recovery[0];
    assert_eq!((recovery.cause, recovery.incidents, recovery.open), (Cause::ProviderOutage, 2, 0));
    // Runs in which some jobs failed for what was asked are no outage.
    service.providers.iter_mut().for_each(|provider| provider.troubled = 0);
    assert_eq!(told(&judged(&service)), ["run_failed runs 1.2"]);
}

#[test]
fn an_incident_that_lasts_is_measured_until_now() {
    let slo = judged(&service(&[run(5, RunStatus::Succeeded), run(4, RunStatus::Failed)]));
    assert_eq!(told(&slo), ["run_failed runs 4.0…"]);
    assert_eq!((slo.recovery[0].open, objective(&slo, "rto").met), (1, Some(true)));
}

#[test]
fn a_run_that_did_not_come_is_an_incident_and_a_pause_is_none_of_them() {
    let runs = [run(100, RunStatus::Succeeded), run(50, RunStatus::Succeeded)];
    let slo = judged(&service(&runs));
    assert_eq!(told(&slo), ["no_run runs 23.8…", "no_run runs 24.0"]);
    let stopped = [
        run(60, RunStatus::Succeeded),
        run(10, RunStatus::Interrupted),
        run(9, RunStatus::Succeeded),
    ];
    assert_eq!(told(&judged(&service(&stopped))), ["no_run runs 24.0"], "it came, and was stopped");
    let mut working = service(&runs);
    working.running = true;
    assert_eq!(told(&judged(&working)), ["no_run runs 24.0"]);
    let paused = [
        run(20, RunStatus::Succeeded),
        run(19, RunStatus::Skipped),
        run(18, RunStatus::Skipped),
        run(17, RunStatus::Succeeded),
    ];
    let slo = judged(&service(&paused));
    assert_eq!(told(&slo), ["pause runs 2.2"]);
    assert_eq!(objective(&slo, "rto").met, None, "nothing failed");
}

#[test]
fn stale_data_lasts_from_when_it_was_too_late_to_the_run_that_mended_it() {
    let lag = |hours_ago, lag_hours: i64| RunFact {
        worst_lag_seconds: Some(lag_hours * HOUR),
        ..run(hours_ago, RunStatus::Succeeded)
    };
    let runs = [lag(30, 0), lag(20, 30), lag(10, 40), lag(5, 1)];
    let mut service = service(&runs);
    let slo = judged(&service);
    // Ten minutes after 20 hours ago a bar was 30 hours late, six more than allowed.
    assert_eq!(told(&slo), ["stale_data series 21.0"]);
    let rpo = objective(&slo, "rpo");
    assert_eq!((rpo.achieved, rpo.met), (Some((40 * HOUR) as f64), Some(false)));
    service.worst_lag_seconds = Some(2 * DAY);
    assert_eq!(told(&judged(&service)), ["stale_data series 24.0…", "stale_data series 21.0"]);
}

#[test]
fn one_of_a_hundred_requests_may_be_slow() {
    let mut service = service(&[]);
    service.response_times = BTreeMap::from([(100, 990), (40_000, 10)]);
    let slo = judged(&service);
    let p99 = objective(&slo, "fetch_p99");
    assert_eq!((p99.achieved, p99.met, p99.measured), (Some(0.1), Some(true), 1_000));
    assert_eq!(p99.budget_left, Some(0.0));
    service.response_times = BTreeMap::from([(100, 989), (40_000, 11)]);
    let slo = judged(&service);
    assert_eq!(objective(&slo, "fetch_p99").met, Some(false));
}

#[test]
fn what_began_and_ended_before_the_window_is_not_told() {
    let runs = [run(40 * 24, RunStatus::Failed), run(39 * 24, RunStatus::Succeeded)];
    let mut service = service(&runs);
    service.max_run_age_seconds = i64::MAX;
    let slo = judged(&service);
    assert_eq!(told(&slo), Vec::<String>::new());
    assert_eq!(objective(&slo, "run_success_rate").measured, 0);
}
