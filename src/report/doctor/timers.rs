//! The schedule: is there a timer for what is to happen by itself?

use crate::domain::schedule::{Manager, Timer, UnitFailure};
use crate::domain::time::seconds;
use crate::domain::words::instant;

use super::{Finding, Seen};

/// What is known of the timers.
#[derive(Debug)]
pub enum Timers {
    /// There is no systemd at work here.
    NoSystemd,
    /// It did not answer.
    Silent,
    /// One a chore.
    Known(Vec<Timer>),
}

pub(super) fn timers(seen: &Seen<'_>) -> Vec<Finding> {
    let skipped =
        |why: &str, remedy: &str| vec![Finding::skipped("timers", "timers", why).mended_by(remedy)];
    match &seen.timers {
        Timers::NoSystemd => skipped(
            "no systemd is at work here; what cron or others call is not looked at",
            "crontab -l shows whether it calls mdctl; `mdctl units print --cron` has the lines",
        ),
        Timers::Silent => skipped("systemd did not answer", "systemctl list-timers 'mdctl-*'"),
        Timers::Known(timers) if timers.iter().any(|timer| timer.installed) => {
            let each = timers.iter().map(timer);
            each.chain(timers.iter().filter_map(service)).collect()
        }
        Timers::Known(_) => vec![none_installed(seen)],
    }
}

/// Something else may call it; whether it does, the last run tells.
fn none_installed(seen: &Seen<'_>) -> Finding {
    let most = seconds(seen.settings.health.max_run_age);
    let evidence = seen.health.as_ref().and_then(|health| health.evidence.as_ref());
    let last = evidence.and_then(|evidence| evidence.last.as_ref());
    let ended = last.map(|run| run.completed_at.unwrap_or(run.started_at));
    let none = "no timer of this config is installed";
    let finding = match ended {
        Some(ended) if seen.now.saturating_sub(ended) <= most => Finding::skipped(
            "timers",
            "timers",
            format!("{none}; the last run came all the same, from cron or by hand"),
        ),
        None if !seen.is_older_than(most) => {
            Finding::skipped("timers", "timers", format!("{none}: nothing runs by itself yet"))
        }
        _ => Finding::warning("timers", "timers", format!("{none}, and nothing else calls mdctl")),
    };
    finding.mended_by("sudo mdctl units install; without root, mdctl units install --user")
}

fn timer(timer: &Timer) -> Finding {
    let unit = timer.chore.timer();
    let wrong = match (timer.installed, timer.enabled, timer.active) {
        (false, ..) => "it is not installed, though others are",
        (true, _, false) => "it does not run: what it starts does not happen by itself",
        (true, false, true) => {
            "it is not enabled: after the next start of the machine it does not run"
        }
        (true, true, true) => {
            let next = timer.next_at.map(|at| format!(", next at {}", instant(at)));
            let message = format!("enabled and active{}", next.unwrap_or_default());
            return Finding::ok("timers", &unit, message);
        }
    };
    let remedy = match (timer.installed, timer.manager) {
        (true, manager) => format!("systemctl{} enable --now {unit}", flag(manager)),
        (false, Manager::System) => "sudo mdctl units install".to_owned(),
        (false, Manager::User) => "mdctl units install --user".to_owned(),
    };
    Finding::warning("timers", &unit, wrong).mended_by(remedy)
}

/// A service whose last call failed: nobody else tells of it.
fn service(timer: &Timer) -> Option<Finding> {
    let UnitFailure { result, status } = timer.failure.as_ref()?;
    let unit = timer.chore.service();
    let status = status.map_or_else(String::new, |status| format!(", status {status}"));
    let flag = flag(timer.manager);
    let remedy = format!("journalctl{flag} -u {unit} -n 50; systemctl{flag} status {unit}");
    let message = format!("its last call failed: {result}{status}");
    Some(Finding::warning("services", &unit, message).mended_by(remedy))
}

const fn flag(manager: Manager) -> &'static str {
    match manager {
        Manager::System => "",
        Manager::User => " --user",
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::domain::schedule::Chore;

    #[test]
    fn a_timer_that_does_not_run_wants_a_look() {
        let seen = |installed, enabled, active| Timer {
            chore: Chore::Backfill,
            manager: Manager::User,
            installed,
            enabled,
            active,
            next_at: active.then_some(0),
            failure: None,
        };
        let good = timer(&seen(true, true, true));
        assert_eq!(good.state, State::Ok);
        assert!(good.message.ends_with("next at 1970-01-01T00:00:00Z"), "{good:?}");
        for bad in [(false, false, false), (true, true, false), (true, false, true)] {
            let finding = timer(&seen(bad.0, bad.1, bad.2));
            assert!(finding.state == State::Warning && finding.remedy.is_some(), "{finding:?}");
        }
    }
}
