//! Telling the outside: alerts to those who are to hear of them, and every run to a dead man's switch.
//!
//! Whatever goes wrong here is a sentence, never a failed run. Addresses and tokens are read when they are
//! needed and stand in no error; what the other side answers is not read beyond its status.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use crate::config::{Notifier, NotifierKind};
use crate::report::alerts::{Change, Delivery};

mod command;
mod message;
mod pagerduty;
pub mod pulse;
mod slack;
mod trial;
mod wire;

pub use message::Message;
pub use trial::try_out;

use wire::Wire;

/// Where a message comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The machine's name.
    pub host: String,
    /// The database.
    pub database: String,
    /// The config's folder, in which a command is started.
    pub folder: PathBuf,
    /// The environment variables that a command does not get to see.
    pub secrets: BTreeSet<String>,
}

/// What one notifier is to be told.
#[derive(Debug)]
pub struct Mail<'a> {
    /// The notifier's name.
    pub name: &'a str,
    /// The notifier.
    pub notifier: &'a Notifier,
    /// What happened, never empty.
    pub changes: Vec<Change>,
}

impl Mail<'_> {
    /// Nothing of it was taken.
    fn not_sent(self, why: &str) -> Delivery {
        let Mail { name, changes, .. } = self;
        Delivery { notifier: name.to_owned(), changes, taken: 0, error: Some(why.to_owned()) }
    }
}

/// That the system gives no thread, in a sentence.
fn no_thread(error: &io::Error) -> String {
    format!("cannot start a thread to send it: {error}")
}

/// Tells everybody at the same time; each delivery is handed over as soon as it is done.
pub fn send(mails: Vec<Mail<'_>>, origin: &Origin, now: i64, mut done: impl FnMut(Delivery)) {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let mut at_work = Vec::new();
        for mail in mails {
            let (sender, held) =
                (sender.clone(), Mail { changes: Vec::clone(&mail.changes), ..mail });
            let sending = thread::Builder::new().spawn_scoped(scope, move || {
                // It is listened to until all have sent.
                let _ = sender.send(deliver(mail, origin, now));
            });
            match sending {
                Ok(sending) => at_work.push((held, sending)),
                Err(error) => done(held.not_sent(&no_thread(&error))),
            }
        }
        drop(sender);
        receiver.into_iter().for_each(&mut done);
        for (held, sending) in at_work {
            if sending.join().is_err() {
                done(held.not_sent("it broke down"));
            }
        }
    });
}

fn deliver(mail: Mail<'_>, origin: &Origin, now: i64) -> Delivery {
    let Mail { name, notifier, changes } = mail;
    let whole = |sent: Result<(), String>| match sent {
        Ok(()) => (changes.len(), None),
        Err(error) => (0, Some(error)),
    };
    let message = || Message::of(&changes, origin, now);
    let (taken, error) = match &notifier.kind {
        NotifierKind::Webhook { url, token } => whole(token.as_ref().map_or_else(
            || Wire::to(url)?.post(&message(), None),
            |token| Wire::to(url)?.post(&message(), Some(&token.resolve()?)),
        )),
        NotifierKind::Slack { url } => {
            let payload = || slack::payload(&changes, origin);
            whole(Wire::to(url).and_then(|wire| wire.post(&payload(), None)))
        }
        NotifierKind::PagerDuty { url, token } => {
            pagerduty::send(url, token, &changes, origin, now)
        }
        NotifierKind::Command { command } => whole(command::run(command, &message(), origin)),
        // It hears of runs alone.
        NotifierKind::Healthchecks { .. } => (changes.len(), None),
    };
    Delivery { notifier: name.to_owned(), changes, taken, error }
}

/// `text` on one line and at most so many characters long.
fn clipped(text: &str, longest: usize) -> String {
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    let mut letters = text.chars().map(blank);
    let mut out: String = letters.by_ref().take(longest).collect();
    if letters.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}
