//! One cheap request to each provider, all at the same time, to see whether they can be asked at all.
//!
//! They pass the same gates as those of a run: the quota counts them, written down before they go; an open
//! breaker and a provider's wish to be left alone are told and not passed. Nothing is tried again, and
//! nobody is waited for: what the quota does not let through at once is not asked.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::{self, Timeline};
use crate::config::{JobRetries, ProviderSettings, Source};
use crate::domain::probe::{Came, Probe};
use crate::domain::provider_state::{ProviderState, SECOND, Stamp, micros};
use crate::domain::range::TimeRange;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::series::{AssetClass, Symbol};
use crate::domain::task::About;
use crate::domain::timeframe::Timeframe;
use crate::domain::words::instant;
use crate::domain::zone::Zone;
use crate::provider::{Ask, Provider};

use super::client::ProviderClient;
use super::exchange;
use super::gate::{Entry, Gates, Note, Permit, Wait};
use super::http::{Received, Sent};
use super::turns::Rank;
use super::{Engine, Options};

/// A question is the first task of the first job of its provider.
const FIRST: Rank = Rank { job: 0, task: 0 };

/// How long a connection, and an answer, is waited for, unless the config has less patience.
const TO_CONNECT: Duration = Duration::from_secs(3);
const TO_ANSWER: Duration = Duration::from_secs(5);

/// What a provider is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its name in the config.
    pub provider: String,
    /// Whose bars.
    pub symbol: Symbol,
    /// What that is.
    pub asset_class: AssetClass,
    /// Which bars.
    pub timeframe: Timeframe,
    /// Which `ts`.
    pub range: TimeRange,
    /// The zone of its calendar.
    pub zone: Zone,
}

/// Asks every question, at most one a provider; tells what came of it by provider. `remembered` is what is
/// known of the providers, and `keep` writes down what is to be remembered.
///
/// # Errors
///
/// When that cannot be written down; then nothing is sent, or nothing more.
pub fn probe<E>(
    engine: &Engine,
    providers: &BTreeMap<String, ProviderSettings>,
    remembered: BTreeMap<String, (ProviderState, Stamp)>,
    questions: Vec<Question>,
    mut keep: impl FnMut(&[Note], &Stamp) -> Result<(), E>,
) -> Result<BTreeMap<String, Probe>, E> {
    let timeline = Timeline::begin();
    let options = options(questions.len());
    let mut gates = Gates::new(providers, remembered, &options, &timeline.stamp());
    for question in &questions {
        // Who asks for the first time is told to have it written down first.
        let _ = gates.enter(&question.provider, &question.symbol, FIRST, timeline.now());
    }
    let notes = gates.notes(timeline.now());
    keep(&notes, &timeline.stamp())?;
    gates.noted(&notes);
    let mut probes = BTreeMap::new();
    let mut sent = Vec::new();
    for question in questions {
        match gates.enter(&question.provider, &question.symbol, FIRST, timeline.now()) {
            Entry::Go(permit) => sent.push((question, permit)),
            other => {
                let probe =
                    Probe { about: about(&question), came: kept_back(other), ahead_seconds: None };
                probes.insert(question.provider, probe);
            }
        }
    }
    for (question, permit, heard) in ask_all(engine, providers, sent) {
        let now = timeline.now();
        gates.leave(&question.provider, permit, heard.fault(), now);
        learn(&mut gates, &providers[&question.provider], &question, &heard, now);
        let probe =
            Probe { about: about(&question), came: heard.came, ahead_seconds: heard.ahead_seconds };
        probes.insert(question.provider, probe);
    }
    keep(&gates.last_notes(timeline.now()), &timeline.stamp())?;
    Ok(probes)
}

fn options(lanes: usize) -> Options {
    Options {
        parallel: u32::try_from(lanes).unwrap_or(u32::MAX).max(1),
        stagger: Duration::ZERO,
        job_retries: JobRetries::NONE,
        max_requests: None,
        time: TO_ANSWER,
        grace: Duration::ZERO,
        forced: false,
        as_of: None,
        markets: BTreeMap::new(),
    }
}

fn about(question: &Question) -> String {
    format!("{} {}", question.symbol, question.timeframe)
}

/// Why a request was not sent.
fn kept_back(entry: Entry) -> Came {
    match entry {
        Entry::Fail(fault) => Came::Wrong(fault),
        Entry::Defer(reason) => Came::Held(reason),
        Entry::Wait(Wait::Quota(at)) => {
            let until = instant(at.div_euclid(SECOND).saturating_add(1));
            Came::Spent(format!("its quota lets nothing more through before {until}"))
        }
        Entry::Wait(_) | Entry::Go(_) => Came::Spent("others are being asked first".to_owned()),
    }
}

/// What was heard of a provider.
struct Heard {
    came: Came,
    ahead_seconds: Option<i64>,
    /// How long until a quota that the answer says is used up is full again.
    quota_reset_in: Option<Duration>,
}

impl Heard {
    const fn wrong(fault: Fault) -> Self {
        Self { came: Came::Wrong(fault), ahead_seconds: None, quota_reset_in: None }
    }

    const fn elsewhere() -> Self {
        Self { came: Came::Elsewhere, ahead_seconds: None, quota_reset_in: None }
    }

    const fn fault(&self) -> Option<&Fault> {
        match &self.came {
            Came::Wrong(fault) => Some(fault),
            _ => None,
        }
    }
}

/// What an answer means for those who ask next, as in a run.
fn learn(
    gates: &mut Gates,
    settings: &ProviderSettings,
    question: &Question,
    heard: &Heard,
    now: i64,
) {
    if let Some(wait) = heard.quota_reset_in {
        gates.pause(&question.provider, now.saturating_add(micros(wait)));
    }
    if let Some(fault) = heard.fault() {
        gates.heed(&question.provider, &question.symbol, fault, settings.retry.max, now);
    }
}

/// Asks all of them at the same time. A signal, or a time that is up, ends the waiting.
fn ask_all(
    engine: &Engine,
    providers: &BTreeMap<String, ProviderSettings>,
    questions: Vec<(Question, Permit)>,
) -> Vec<(Question, Permit, Heard)> {
    let handle = engine.handle();
    let stop = engine.stop();
    handle.block_on(async {
        let mut asking = JoinSet::new();
        for (index, (question, _)) in questions.iter().enumerate() {
            let (question, settings) = (question.clone(), providers[&question.provider].clone());
            asking.spawn_on(async move { (index, ask(&question, settings).await) }, handle);
        }
        let mut heard: BTreeMap<usize, Heard> = BTreeMap::new();
        while let Some(Some(ended)) = stop.asked.run_until_cancelled(asking.join_next()).await {
            heard.extend(ended.ok());
        }
        let unheard = || Heard::wrong(Fault::new(ErrorKind::Cancelled, "it was not waited for"));
        let each = questions.into_iter().enumerate();
        each.map(|(index, (question, permit))| {
            (question, permit, heard.remove(&index).unwrap_or_else(unheard))
        })
        .collect()
    })
}

async fn ask(question: &Question, mut settings: ProviderSettings) -> Heard {
    let Source::Http { provider, base_url } = settings.source.clone() else {
        return Heard::wrong(Fault::new(ErrorKind::BadRequest, "files are not asked"));
    };
    let limits = &mut settings.limits;
    limits.connect_timeout = limits.connect_timeout.min(TO_CONNECT);
    limits.request_timeout = limits.request_timeout.min(TO_ANSWER);
    limits.read_timeout = limits.read_timeout.min(TO_ANSWER);
    let wording = Ask {
        symbols: std::slice::from_ref(&question.symbol),
        market: None,
        about: About::Bars,
        asset_class: question.asset_class,
        timeframe: question.timeframe,
        range: question.range,
        adjusted: settings.adjusted,
        page_limit: settings.page_limit,
        zone: question.zone,
        cursor: None,
    };
    send(&ProviderClient::new(settings), provider, &base_url, &wording).await
}

async fn send(
    client: &ProviderClient,
    provider: &'static dyn Provider,
    base_url: &str,
    ask: &Ask<'_>,
) -> Heard {
    let http = match client.http(provider, base_url) {
        Ok(http) => http,
        Err(fault) => return Heard::wrong(fault),
    };
    let (begun, sent_at) = (Timeline::begin(), clock::now());
    let sent = http.send(&provider.request(ask), None, sent_at).await;
    let took = Duration::from_micros(begun.now().abs_diff(begun.began_at()));
    let received = match sent {
        Ok(Sent::Answer(received)) => received,
        Ok(Sent::Elsewhere(..)) => return Heard::elsewhere(),
        Err(fault) => return Heard::wrong(http.secrets().hidden_in(fault)),
    };
    let Received { server_now, quota_reset_in, .. } = received;
    let came = match exchange::read(provider, ask, received, http.secrets()) {
        Ok(read) => Came::Bars(read.answer.bars.len() as u64, took),
        Err(fault) => Came::Wrong(http.secrets().hidden_in(fault)),
    };
    let ahead_seconds = server_now.map(|server| ahead(sent_at, clock::now(), server));
    Heard { came, ahead_seconds, quota_reset_in }
}

/// By how much a clock is surely ahead of a server's that showed the second `server` at some moment from
/// `sent` to `came`; behind it when negative, and 0 when both may show the same.
const fn ahead(sent: i64, came: i64, server: i64) -> i64 {
    if sent > server {
        sent.saturating_sub(server)
    } else if came < server {
        came.saturating_sub(server)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        assert_eq!(ahead(100, 108, 100), 0);
        assert_eq!(ahead(100, 108, 104), 0);
        assert_eq!(ahead(100, 108, 108), 0);
        assert_eq!(ahead(100, 108, 90), 10);
        assert_eq!(ahead(100, 108, 118), -10);
        assert_eq!(ahead(100, 100, i64::MIN), i64::MAX);
    }
}
