//! The schedule: is there a timer for what is to happen by itself?

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
    Known(Vec<TimerSeen>),
}

/// A timer.
#[derive(Debug)]
pub struct TimerSeen {
    /// Its unit.
    pub unit: String,
    /// Whether its units are there and are those of this config.
    pub installed: bool,
    /// Whether it is started with the system.
    pub enabled: bool,
    /// Whether it counts down now.
    pub active: bool,
    /// When it elapses next, epoch seconds UTC; `None` where systemd does not say.
    pub next_at: Option<i64>,
}

pub(super) fn timers(seen: &Seen<'_>) -> Vec<Finding> {
    let skipped =
        |why: &str, remedy: &str| vec![Finding::skipped("timers", "timers", why).mended_by(remedy)];
    let timers = match &seen.timers {
        Timers::NoSystemd => {
            return skipped(
                "no systemd is at work here; what cron or others call is not looked at",
                "crontab -l shows whether it calls mdctl; `mdctl units print --cron` has the lines",
            );
        }
        Timers::Silent => {
            return skipped("systemd did not answer", "systemctl list-timers 'mdctl-*'");
        }
        Timers::Known(timers) => timers,
    };
    if !timers.iter().any(|timer| timer.installed) {
        return skipped(
            "no timer of this config is installed: nothing runs by itself, unless cron calls it",
            "sudo mdctl units install; without root, mdctl units install --user",
        );
    }
    timers.iter().map(timer).collect()
}

fn timer(timer: &TimerSeen) -> Finding {
    let TimerSeen { unit, installed, enabled, active, next_at } = timer;
    let wrong = match (installed, enabled, active) {
        (false, ..) => "it is not installed, though others are",
        (true, _, false) => "it does not run: what it starts does not happen by itself",
        (true, false, true) => {
            "it is not enabled: after the next start of the machine it does not run"
        }
        (true, true, true) => {
            let next = next_at.map_or_else(String::new, |at| format!(", next at {}", instant(at)));
            return Finding::ok("timers", unit, format!("enabled and active{next}"));
        }
    };
    let remedy = if *installed {
        format!("systemctl enable --now {unit}   # with --user for a user's own")
    } else {
        "mdctl units install".to_owned()
    };
    Finding::warning("timers", unit, wrong).mended_by(remedy)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_timer_that_does_not_run_wants_a_look() {
        let seen = |installed, enabled, active| TimerSeen {
            unit: "mdctl-backfill.timer".to_owned(),
            installed,
            enabled,
            active,
            next_at: active.then_some(0),
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
