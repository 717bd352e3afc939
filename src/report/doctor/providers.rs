//! The providers: is there a key, are they reached, do they let us have what is tracked, and does their
//! clock agree with ours?

use std::path::Path;
use std::time::Duration;

use crate::config::{ProviderSettings, Source};
use crate::domain::probe::{Came, Probe};
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::words::{counted, quoted, span};

use super::super::health::Code;
use super::{Finding, Seen, State};

/// A clock that is further off than this wants a look, in seconds.
const SKEW: u64 = 5;

/// Beyond this, at the latest, bars are judged due at the wrong time, in seconds.
const MOST_SKEW: u64 = 300;

/// A provider that was tried.
#[derive(Debug)]
pub struct Tried<'a> {
    /// Its settings.
    pub settings: &'a ProviderSettings,
    /// Its key; `None` when it takes none.
    pub key: Option<Key>,
    /// What came of asking it, or of looking into its folder; or why that was not done.
    pub probe: Result<Probe, String>,
    /// Whether a folder of files is there and can be read; `Ok` for others.
    pub folder: Result<(), String>,
}

/// A provider's key.
#[derive(Debug)]
pub enum Key {
    /// It is where it is looked for.
    There,
    /// It is not: why, and the command that puts it there.
    Lacking(String, String),
    /// Likewise, and it is for root and the system's units alone to read.
    Kept(String, String),
}

pub(super) fn key(seen: &Seen<'_>, provider: &Tried<'_>) -> Option<Finding> {
    let name = &provider.settings.name;
    Some(match provider.key.as_ref()? {
        Key::There => Finding::ok("key", name, "its key is where it is looked for"),
        Key::Kept(..) if seen.has_system_units() => Finding::kept("key", name, "its key"),
        Key::Lacking(why, remedy) | Key::Kept(why, remedy) => {
            Finding::critical("key", name, why).mended_by(remedy)
        }
    })
}

pub(super) fn provider(seen: &Seen<'_>, provider: &Tried<'_>) -> Finding {
    let name = &provider.settings.name;
    let base_url = match &provider.settings.source {
        Source::Http { base_url, .. } => base_url,
        Source::Files { folder } => {
            return files(name, &folder.display().to_string(), &provider.folder);
        }
    };
    let issue = || seen.issue_of(&[Code::ProviderDown, Code::RateLimited], name);
    let probe = match &provider.probe {
        Ok(probe) => probe,
        // What is known of one that is not asked is what the verdict knows.
        Err(why) => {
            let known = issue().map(|issue| Finding::of_issue("provider", issue));
            return known.unwrap_or_else(|| {
                Finding::skipped("provider", name, format!("not asked: {why}"))
            });
        }
    };
    let about = &probe.about;
    match &probe.came {
        Came::Bars(bars, took) => {
            let bars = if *bars == 0 { "no bar".to_owned() } else { counted(*bars, "bar") };
            let message = format!("it answers in {}: {bars} of {about}", millis(*took));
            Finding::ok("provider", name, message)
        }
        Came::Elsewhere => {
            let message =
                format!("it sends those who ask for {about} elsewhere, a second request each");
            Finding::warning("provider", name, message)
                .mended_by(format!("name in `base_url` where this leads: curl -sI {base_url}"))
        }
        Came::Wrong(fault) => {
            // An open breaker and what came of it are the verdict's to tell.
            let known = (fault.kind == ErrorKind::CircuitOpen).then(issue).flatten();
            known.map_or_else(
                || wrong(name, about, base_url, fault),
                |issue| Finding::of_issue("provider", issue),
            )
        }
        Came::Held(why) => issue().map_or_else(
            || Finding::warning("provider", name, why),
            |issue| Finding::of_issue("provider", issue),
        ),
        Came::Spent(why) => Finding::skipped("provider", name, format!("not asked: {why}")),
    }
}

fn millis(took: Duration) -> String {
    format!("{} ms", took.as_millis())
}

fn files(name: &str, folder: &str, found: &Result<(), String>) -> Finding {
    match found {
        Ok(()) => Finding::ok("provider", name, format!("its folder {folder} can be read")),
        Err(why) => Finding::critical("provider", name, format!("its folder {folder}: {why}"))
            .mended_by(format!(
                "see [providers.{name}] path in the config; ls -ld {}",
                quoted(Path::new(folder))
            )),
    }
}

/// What went wrong with the one request, and what to do about it.
fn wrong(name: &str, about: &str, base_url: &str, fault: &Fault) -> Finding {
    let said = &fault.message;
    let see = || {
        format!("curl -svo /dev/null {base_url}   # the name, the network, a firewall or a proxy")
    };
    let (state, message, remedy) = match fault.kind {
        ErrorKind::Auth => (
            State::Critical,
            format!("it is reached, and does not take the key: {said}"),
            format!(
                "get a key that holds at the provider, and put it where [providers.{name}] looks for it"
            ),
        ),
        ErrorKind::NotEntitled => (
            State::Critical,
            format!(
                "it is reached and takes the key, but its plan does not include {about}: {said}"
            ),
            format!("a plan that does, or other symbols for [providers.{name}]"),
        ),
        ErrorKind::Network => (State::Critical, format!("it is not reached: {said}"), see()),
        ErrorKind::Timeout => (State::Critical, format!("it does not answer: {said}"), see()),
        ErrorKind::RateLimited => (
            State::Warning,
            format!("it is reached, and has had enough for now: {said}"),
            format!("wait; if it goes on, lower `rate` of [providers.{name}]"),
        ),
        ErrorKind::Server => (
            State::Warning,
            format!("it is reached, and is in trouble itself: {said}"),
            "wait, and see its status page; runs try again by themselves".to_owned(),
        ),
        ErrorKind::NotFound => (
            State::Warning,
            format!("it is reached, and does not know {about}: {said}"),
            "mdctl symbols list; `mdctl symbols rename` or `remove` corrects it".to_owned(),
        ),
        ErrorKind::Malformed | ErrorKind::TooLarge => (
            State::Critical,
            format!("something answers, but not as this provider does: {said}"),
            format!(
                "see `base_url` of [providers.{name}], and whether a proxy or login page is in between"
            ),
        ),
        ErrorKind::Cancelled => (State::Skipped, format!("not asked to the end: {said}"), see()),
        _ => (
            State::Critical,
            format!("it refuses {about}: {said}"),
            format!("see [providers.{name}] in the config"),
        ),
    };
    Finding::new("provider", name, state, message).mended_by(remedy)
}

/// Our clock against theirs. If one of them agrees with ours, it is another one's that is wrong.
pub(super) fn clock(seen: &Seen<'_>) -> Finding {
    let told = |provider: &Tried<'_>| {
        let ahead = provider.probe.as_ref().ok()?.ahead_seconds?;
        Some((ahead, provider.settings.name.clone()))
    };
    let Some((ahead, name)) =
        seen.providers.iter().filter_map(told).min_by_key(|(ahead, _)| ahead.unsigned_abs())
    else {
        return Finding::skipped("clock", "clock", "no provider's answer tells the time");
    };
    judged(ahead, &name, shortest(seen))
}

fn judged(ahead: i64, name: &str, shortest: u64) -> Finding {
    let off = ahead.unsigned_abs();
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let message = format!(
        "this machine's clock is {} {way} {name}'s",
        span(i64::try_from(off).unwrap_or(i64::MAX))
    );
    let state = match off {
        off if off <= SKEW => {
            return Finding::ok("clock", "clock", format!("it agrees with {name}'s"));
        }
        off if off >= shortest.min(MOST_SKEW) => State::Critical,
        _ => State::Warning,
    };
    let message = match state {
        State::Critical => format!("{message}: bars are judged due at the wrong time"),
        _ => message,
    };
    Finding::new("clock", "clock", state, message)
        .mended_by("timedatectl; timedatectl set-ntp true keeps it right")
}

/// The length of the shortest tracked bar, in seconds.
fn shortest(seen: &Seen<'_>) -> u64 {
    let timeframes = seen.settings.groups.iter().flat_map(|group| &group.timeframe_list);
    timeframes.map(|timeframe| timeframe.seconds().unsigned_abs()).min().unwrap_or(MOST_SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_from_some_seconds_on_and_spoils_judgement_from_a_bar_on() {
        let state = |ahead, shortest| judged(ahead, "p", shortest).state;
        for (ahead, shortest, expected) in [
            (0, 86_400, State::Ok),
            (-5, 86_400, State::Ok),
            (6, 86_400, State::Warning),
            (-299, 86_400, State::Warning),
            (300, 86_400, State::Critical),
            (59, 60, State::Warning),
            (-60, 60, State::Critical),
            (i64::MIN, 60, State::Critical),
        ] {
            assert_eq!(state(ahead, shortest), expected, "{ahead} at {shortest}");
        }
        assert!(judged(-60, "p", 60).message.contains("1m behind p's"));
        assert!(judged(61, "p", 3_600).message.contains("1m 1s ahead of p's"));
    }

    #[test]
    fn a_wrong_key_is_told_from_a_plan_that_lacks_it() {
        let finding = |kind| wrong("p", "AAPL 1d", "https://x", &Fault::new(kind, "HTTP 4xx"));
        let (key, plan) = (finding(ErrorKind::Auth), finding(ErrorKind::NotEntitled));
        assert!(
            key.message.contains("does not take the key")
                && plan.message.contains("its plan does not include AAPL 1d")
        );
        for kind in ErrorKind::ALL {
            let finding = finding(kind);
            assert!(finding.state > State::Ok && finding.remedy.is_some(), "{kind}");
        }
    }
}
