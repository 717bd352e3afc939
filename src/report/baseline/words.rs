//! What came of a baseline, in sentences.

use crate::domain::run::RunStatus;
use crate::domain::words::{counted, span};

use super::{Baseline, Cut, MANY_LIMITED, Setup, Stage, Step};

/// Share of the lanes' time with nothing to ask from which on more symbols would have told more.
const MUCH_IDLE: f64 = 0.25;

/// What sets the pace, which parallelism pays, and what it comes to.
pub(super) fn verdict(baseline: &Baseline) -> Vec<String> {
    let Baseline { setup, .. } = baseline;
    let mut verdict: Vec<String> = baseline.cut.iter().map(|cut| why_cut(cut, setup)).collect();
    verdict.extend(baseline.bottleneck.map(|stage| bottleneck(stage, setup)));
    verdict.extend(paying(baseline));
    verdict.extend(whole(baseline));
    let share = baseline.rate_limited_share;
    verdict.extend(share.map(|share| format!("Rate-limited answers: {}.", percent(share))));
    verdict
}

fn why_cut(cut: &Cut, setup: &Setup) -> String {
    match cut {
        Cut::Paused(words) => format!("Nothing was asked: runs are paused {words}."),
        Cut::NothingDue => {
            format!("Nothing was asked: no bar of {} is due.", setup.provider)
        }
        Cut::QuotaBound => {
            "Further parallelisms were not tried: more lanes would only wait for the quota."
                .to_owned()
        }
        Cut::Ended(status) => format!(
            "No further parallelism was tried, for the last one ended as `{}`.",
            status.as_str()
        ),
    }
}

fn bottleneck(stage: Stage, setup: &Setup) -> String {
    let provider = &setup.provider;
    let names: Vec<String> = setup.rates.iter().map(|rate| rate.name()).collect();
    match stage {
        Stage::Quota if names.is_empty() => {
            format!("The bottleneck is the quota: {provider} asked to be waited for.")
        }
        Stage::Quota => format!(
            "The bottleneck is the quota: {provider} allows {}, and its answers come faster than that.",
            names.join(" and ")
        ),
        Stage::Stagger => {
            "The bottleneck is the pause between the starts of two symbols.".to_owned()
        }
        Stage::Network => {
            format!("The bottleneck is the network: lanes wait for the answers of {provider}.")
        }
        Stage::Decode if setup.is_files => {
            "The bottleneck is reading the files, which takes the processor and the disk."
                .to_owned()
        }
        Stage::Decode => {
            "The bottleneck is reading the answers, which takes the processor.".to_owned()
        }
        Stage::Validate => "The bottleneck is judging rows, which takes the processor.".to_owned(),
        Stage::Store => {
            "The bottleneck is the one writer, who stores bars: the disk and the processor."
                .to_owned()
        }
        Stage::Compute => {
            "The bottleneck is computing and writing features, which the one writer does."
                .to_owned()
        }
    }
}

/// Which parallelism pays, and what it gains.
fn paying(baseline: &Baseline) -> Option<String> {
    let pays = baseline.pays?;
    let configured = baseline.setup.configured;
    let bound = baseline.steps.iter().find(|step| step.parallel == pays)?.is_quota_bound();
    let more = if bound {
        "more lanes bring nothing while the quota is what it is"
    } else {
        "more lanes bring less than a tenth"
    };
    Some(match baseline.gain {
        Some(_) if pays == configured => {
            format!("The config's --parallel {configured} is the one that pays.")
        }
        Some(gain) if gain > super::AS_GOOD => format!(
            "--parallel {pays} pays: {gain:.1} times as fast as the config's {configured}; \
             `parallel.backfill = {pays}` in [run] makes it the usual."
        ),
        Some(_) if pays < configured => {
            format!("--parallel {pays} is about as fast as the config's {configured}: {more}.")
        }
        Some(_) => format!("--parallel {pays} is about as fast as the config's {configured}."),
        None => format!("--parallel {pays} pays, of those that were tried."),
    })
}

/// How long a first backfill of everything takes.
fn whole(baseline: &Baseline) -> Option<String> {
    let Baseline { setup, steps, .. } = baseline;
    let mut times: Vec<(u32, f64)> =
        steps.iter().filter_map(|step| Some((step.parallel, step.whole?))).collect();
    times.sort_by_key(|(parallel, _)| *parallel);
    times.dedup_by_key(|(parallel, _)| *parallel);
    let noun = if setup.is_files { "file" } else { "request" };
    let is_bound =
        |parallel| steps.iter().any(|step| step.parallel == parallel && step.is_quota_bound());
    let times: Vec<String> = times
        .into_iter()
        .map(|(parallel, seconds)| {
            let more = if is_bound(parallel) { " and more" } else { "" };
            format!("{} at --parallel {parallel}{more}", length(seconds))
        })
        .collect();
    (!times.is_empty()).then(|| {
        format!(
            "A first backfill of everything, about {}, takes about {}.",
            counted(setup.whole, noun),
            times.join(", ")
        )
    })
}

/// What is to be done.
pub(super) fn advice(baseline: &Baseline) -> Vec<String> {
    let Baseline { setup, steps, .. } = baseline;
    let mut advice = Vec::new();
    let is_lacking =
        |step: &Step| !matches!(step.status, RunStatus::Succeeded | RunStatus::Interrupted);
    if steps.iter().any(is_lacking) {
        advice.push(
            "Not every symbol came to its end, so that these figures mean little: see the lines above, \
             and `mdctl doctor`."
                .to_owned(),
        );
    }
    if let Some(share) = baseline.rate_limited_share.filter(|share| *share > MANY_LIMITED) {
        advice.push(limited(setup, share));
    }
    let staggered = steps.iter().filter(|step| step.bottleneck == Stage::Stagger);
    if let Some(least) = staggered.map(|step| step.parallel).min() {
        advice.push(format!(
            "From --parallel {least} on the pause between the starts of two symbols is what takes longest, \
             `stagger` in [run]: {} ms; a shorter one lets symbols start sooner.",
            setup.stagger.as_millis()
        ));
    }
    let idle = |step: &&Step| {
        step.lanes.idle > MUCH_IDLE * step.wall * f64::from(step.parallel)
            && u64::from(step.parallel) > setup.symbols
            && setup.tracked > setup.symbols
    };
    if let Some(step) = steps.iter().find(idle) {
        advice.push(format!(
            "With {} there was not enough to ask for {} lanes; --symbols {} tells more.",
            counted(setup.symbols, "symbol"),
            step.parallel,
            setup.tracked.min(u64::from(step.parallel) * 2)
        ));
    }
    advice
}

fn limited(setup: &Setup, share: f64) -> String {
    let provider = &setup.provider;
    let names: Vec<String> = setup.rates.iter().map(|rate| rate.name()).collect();
    let said = match names.as_slice() {
        [] => format!("set `rate` in [providers.{provider}] to what it allows"),
        names => format!(
            "it allows less than `rate` in [providers.{provider}] says ({}), or somebody else uses the \
             same key; lower it",
            names.join(" and ")
        ),
    };
    format!(
        "{} of the answers of {provider} were refusals for too many requests: {said}.",
        percent(share)
    )
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Seconds in words; below a minute with a tenth.
fn length(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1}s") } else { span(seconds as i64) }
}
