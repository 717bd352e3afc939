//! The dead man's switch: every run tells that it starts, and how it ended.
//!
//! The words are healthchecks.io's: `URL/start`, then `URL` after a run that exits 0, else `URL/EXITCODE`,
//! which shows as a failure; a run's two pings bear the same `rid`. A run does not wait for the first
//! ping, and for the last one no longer than two seconds.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Address, Notifier, NotifierKind};
use crate::domain::run::RunId;
use crate::exit::Exit;

use super::no_thread;
use super::wire::Wire;

/// What pings may cost a run at its end.
const PATIENCE: Duration = Duration::from_secs(2);

/// For how much of that a first ping that is still under way holds up the last one.
const FOR_THE_FIRST: Duration = Duration::from_secs(1);

/// How long a first ping may take.
const FOR_A_START: Duration = Duration::from_secs(10);

/// A run that is being told of.
#[derive(Debug)]
pub struct Pulse {
    rid: String,
    switches: Vec<Switch>,
}

#[derive(Debug)]
struct Switch {
    name: String,
    address: Address,
    /// Hands over the way to it when the first ping is over.
    first: Receiver<Wire>,
}

impl Pulse {
    /// Tells every dead man's switch that a run starts, and waits for none.
    pub fn start<'a>(
        notifiers: impl IntoIterator<Item = (&'a String, &'a Notifier)>,
        run_id: &RunId,
    ) -> Self {
        let rid = uuid(run_id);
        let switch = |(name, notifier): (&'a String, &'a Notifier)| {
            let NotifierKind::Healthchecks { url } = &notifier.kind else { return None };
            let (over, first) = mpsc::channel();
            let (address, rid, text) = (url.clone(), rid.clone(), format!("run {run_id}\n"));
            // Without a thread the first ping is left out: the last one tells more.
            let _ = thread::Builder::new().spawn(move || start(&address, &rid, text, &over));
            Some(Switch { name: name.clone(), address: url.clone(), first })
        };
        let switches = notifiers.into_iter().filter_map(switch).collect();
        Self { rid, switches }
    }

    /// Whether there is a switch at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.switches.is_empty()
    }

    /// Tells how the run ended, with a text of which healthchecks.io keeps the first 100,000 bytes; hands back whom it could not tell, and why.
    #[must_use]
    pub fn end(self, exit: Exit, text: &str) -> Vec<(String, String)> {
        let until = Instant::now() + PATIENCE;
        let (sender, receiver) = mpsc::channel();
        let mut waiting: Vec<String> = Vec::new();
        let mut trouble = Vec::new();
        for switch in self.switches {
            let name = switch.name.clone();
            let (sender, rid) = (sender.clone(), self.rid.clone());
            let text = text.to_owned();
            let sending = thread::Builder::new().spawn(move || {
                // Else the receiver would take the run for one that has not ended.
                let wire = switch.first.recv_timeout(FOR_THE_FIRST);
                let wire = wire.map_or_else(|_| Wire::to(&switch.address), Ok);
                let left = until.saturating_duration_since(Instant::now());
                let sent = wire.and_then(|wire| end(&wire, &rid, exit, text, left));
                sender.send((switch.name, sent))
            });
            match sending {
                Ok(_) => waiting.push(name),
                Err(error) => trouble.push((name, no_thread(&error))),
            }
        }
        drop(sender);
        while !waiting.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            let Ok((name, sent)) = receiver.recv_timeout(left) else { break };
            waiting.retain(|other| *other != name);
            trouble.extend(sent.err().map(|error| (name, error)));
        }
        let late = |name| (name, "it did not answer in time".to_owned());
        trouble.extend(waiting.into_iter().map(late));
        trouble
    }
}

/// Leaves a line in a switch's log, which is no ping: it keeps nobody from noticing that no run comes.
///
/// # Errors
///
/// A sentence that says why not.
pub(super) fn log(address: &Address, id: &RunId, text: String) -> Result<(), String> {
    Wire::to(address)?.post_below(Some("log"), ("rid", &uuid(id)), text, FOR_A_START)
}

/// The first ping; that it failed shows at the last one.
fn start(address: &Address, rid: &str, text: String, over: &Sender<Wire>) {
    // The last ping says what is wrong with the address.
    let Ok(wire) = Wire::to(address) else { return };
    if let Err(error) = wire.post_below(Some("start"), ("rid", rid), text, FOR_A_START) {
        tracing::debug!("a dead man's switch was not told of the start: {error}");
    }
    // A run that is over does not listen any more.
    let _ = over.send(wire);
}

fn end(wire: &Wire, rid: &str, exit: Exit, text: String, patience: Duration) -> Result<(), String> {
    let code = exit.code().to_string();
    let path = (exit.code() != 0).then_some(code.as_str());
    wire.post_below(path, ("rid", rid), text, patience)
}

/// A run's id, which is a ULID, as the UUID of the same 128 bits.
fn uuid(run_id: &RunId) -> String {
    let bits = ulid::Ulid::from_string(&run_id.0).map_or(0, |ulid| ulid.0);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_the_uuid_of_the_same_bits() {
        let id = RunId("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned());
        assert_eq!(uuid(&id), "01563e3a-b5d3-d676-4c61-efb99302bd5b");
    }
}
