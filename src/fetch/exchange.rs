//! One exchange with a provider: a request goes out, and a page, or what was wrong with the answer,
//! comes back.

use crate::clock;
use crate::domain::run::{Attempt, ErrorKind, Fault};
use crate::provider::text::shown;
use crate::provider::{Answer, Ask, Cursor, Provider};

use super::http::Http;

/// A page, read.
pub(super) struct Read {
    pub(super) answer: Answer,
    /// Where the next page begins; `None` when this was the last.
    pub(super) next: Option<Cursor>,
    /// The server's own clock, epoch seconds UTC.
    pub(super) server_now: Option<i64>,
}

/// Asks for one page; `attempt` is told what came.
pub(super) async fn exchange(
    http: &Http,
    provider: &dyn Provider,
    ask: &Ask<'_>,
    attempt: &mut Attempt,
) -> Result<Read, Fault> {
    let received = http.send(&provider.request(ask), clock::now()).await?;
    attempt.bytes = received.bytes;
    attempt.http_status = Some(received.reply.status);
    let page = provider.read(ask, &received.reply)?;
    let answer = only_answer(ask, page.answers)?;
    Ok(Read { answer, next: page.next, server_now: received.server_now })
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
