//! One exchange with a provider: a request goes out, and a page, or what was wrong with the answer,
//! comes back.

use std::time::{Duration, Instant};

use url::Url;

use crate::clock;
use crate::domain::action::ActionKind;
use crate::domain::run::{Attempt, ErrorKind, Fault};
use crate::provider::text::shown;
use crate::provider::{Answer, Ask, Cursor, Declared, Page, Provider};

use super::http::room::Room;
use super::http::secrets::Secrets;
use super::http::{Http, Received, Sent};

/// The longest path or token of a next page that is asked for, in bytes: servers take no more.
const LONGEST_CURSOR: usize = 4 * 1_024;

/// What a request came to.
pub(super) enum Came {
    /// A page.
    Page(Box<Read>),
    /// The word that the page is to be had there, within the origin.
    Elsewhere(Url),
}

/// A page, read.
pub(super) struct Read {
    /// Of a whole market the rows that nobody asked for.
    pub(super) answer: Answer,
    /// Of a whole market the rows of those who were asked for.
    pub(super) others: Vec<Answer>,
    /// Where the next page begins; `None` when this was the last.
    pub(super) next: Option<Cursor>,
    /// The server's own clock, epoch seconds UTC.
    pub(super) server_now: Option<i64>,
    /// How long until a quota that the answer says is used up is full again.
    pub(super) quota_reset_in: Option<Duration>,
    #[expect(dead_code, reason = "held until the page is handed on, and let go when dropped")]
    room: Room,
}

/// Asks for one page, there where a redirect led if it did; `attempt` is told what came.
pub(super) async fn exchange(
    http: &Http,
    provider: &dyn Provider,
    ask: &Ask<'_>,
    elsewhere: Option<&Url>,
    attempt: &mut Attempt,
) -> Result<Came, Fault> {
    let secrets = http.secrets();
    let hidden = |fault| secrets.hidden_in(fault);
    let request = provider.request(ask);
    match http.send(&request, elsewhere, clock::now()).await.map_err(hidden)? {
        Sent::Answer(received) => {
            attempt.bytes = received.bytes;
            attempt.http_status = Some(received.reply.status);
            let came = Instant::now();
            let read = read(provider, ask, received, secrets);
            attempt.pace.decode = came.elapsed();
            read.map(|read| Came::Page(Box::new(read))).map_err(hidden)
        }
        Sent::Elsewhere(status, url) => {
            attempt.http_status = Some(status);
            Ok(Came::Elsewhere(url))
        }
    }
}

/// Reads what was received; of its body nothing is left. What the fault says may repeat the key.
pub(super) fn read(
    provider: &dyn Provider,
    ask: &Ask<'_>,
    received: Received,
    secrets: &Secrets,
) -> Result<Read, Fault> {
    // The room is given back last, when the body is gone.
    let Received { room, reply, server_now, quota_reset_in, .. } = received;
    let Page { answers, next } = provider.read(ask, &reply)?;
    let (mut answer, mut others) = match ask.market {
        None => (only_answer(ask, answers)?, Vec::new()),
        Some(_) => parted(answers),
    };
    for answer in others.iter_mut().chain([&mut answer]) {
        for row in &mut answer.broken {
            row.text = secrets.hidden(std::mem::take(&mut row.text));
        }
        hide(&mut answer.declared, secrets);
    }
    let next = next.map(|cursor| checked(cursor, secrets)).transpose()?;
    Ok(Read { answer, others, next, server_now, quota_reset_in, room })
}

/// What nobody asked for, and the others.
fn parted(mut answers: Vec<Answer>) -> (Answer, Vec<Answer>) {
    let nobody = answers.iter().position(|answer| answer.symbol.is_empty());
    (nobody.map(|at| answers.swap_remove(at)).unwrap_or_default(), answers)
}

/// Takes the key out of every text that is declared.
fn hide(declared: &mut Declared, secrets: &Secrets) {
    let currencies = declared.actions.iter_mut().filter_map(|action| match &mut action.kind {
        ActionKind::Split { .. } => None,
        ActionKind::Dividend { currency, .. } => Some(currency),
    });
    let listing = declared.listing.iter_mut().flat_map(|listing| {
        [&mut listing.name, &mut listing.exchange, &mut listing.currency, &mut listing.kind]
    });
    for text in currencies.chain(listing).flatten() {
        *text = secrets.hidden(std::mem::take(text));
    }
}

/// Where the next page is said to be, if it can be asked for without giving the key away.
fn checked(cursor: Cursor, secrets: &Secrets) -> Result<Cursor, Fault> {
    let text = match &cursor {
        Cursor::From(_) => return Ok(cursor),
        Cursor::Path(text) | Cursor::Token(text) => text,
    };
    let malformed = |message: &str| Err(Fault::new(ErrorKind::Malformed, message));
    if text.len() > LONGEST_CURSOR {
        return malformed("the address of the next page is longer than a server takes");
    }
    if secrets.occur_in(text) {
        return malformed("the address of the next page holds the key");
    }
    Ok(cursor)
}

/// The answer to the symbol that was asked for; one for another symbol is no answer.
fn only_answer(ask: &Ask<'_>, answers: Vec<Answer>) -> Result<Answer, Fault> {
    let mut found = None;
    for answer in answers {
        let asked = ask.symbols.iter().any(|symbol| symbol.as_str() == answer.symbol);
        if !answer.symbol.is_empty() && !asked {
            let other = shown(&answer.symbol);
            let message = format!("the answer is for `{other}`, which was not asked for");
            return Err(Fault::new(ErrorKind::Malformed, message));
        }
        found = Some(answer);
    }
    Ok(found.unwrap_or_default())
}
