//! What several providers do alike: telling what an error status means, whose answer it is, which day
//! an instant belongs to, and reading rows one by one.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use serde_json::value::RawValue;

use crate::domain::bar::{Bar, BarFields, RejectReason, Rejection};
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::time::day_start;
use crate::domain::zone::Zone;

use super::bounded::{First, beginning};
use super::{Ask, Reply, text};

/// The fault behind an HTTP status, with the provider's own words.
pub(super) fn fault_of(reply: &Reply, kind: ErrorKind, words: &str) -> Fault {
    let words = beginning(words.trim());
    let message = if words.is_empty() {
        format!("HTTP {}", reply.status)
    } else {
        text::shown(&format!("HTTP {}: {words}", reply.status))
    };
    // Other refusals are about one symbol or range: they give no reason to leave the provider alone.
    let may_pass = matches!(kind, ErrorKind::RateLimited | ErrorKind::Server | ErrorKind::Timeout);
    let retry_after = reply.retry_after.filter(|_| may_pass);
    Fault { kind, message, http_status: Some(reply.status), retry_after }
}

/// Rows whose text is kept when they do not read; of the others of a page it is known when they were.
const MOST_TEXTS: usize = 2_000;

/// What is kept of a row that does not read, in characters: a fault that repeats it says more besides.
const LONGEST_ROW: usize = 400;

/// What a status usually means.
pub(super) const fn usual_kind(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Auth,
        403 | 451 => ErrorKind::NotEntitled,
        404 | 410 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        413 | 499 | 500..=599 => ErrorKind::Server,
        418 | 429 => ErrorKind::RateLimited,
        400..=498 => ErrorKind::BadRequest,
        _ => ErrorKind::Malformed,
    }
}

/// An answer that cannot be what was asked for.
pub(super) fn malformed(reply: &Reply, what: impl Into<String>) -> Fault {
    Fault {
        kind: ErrorKind::Malformed,
        message: text::shown(&what.into()),
        http_status: Some(reply.status),
        retry_after: None,
    }
}

/// Why a body is no JSON of the expected shape, without repeating the body.
pub(super) fn not_json(reply: &Reply, error: &serde_json::Error) -> Fault {
    let start = reply.body.trim_start();
    let what = if start.is_empty() {
        "the body is empty".to_owned()
    } else if start.starts_with('<') {
        "the body is HTML or XML, not JSON".to_owned()
    } else {
        format!("the body is not the expected JSON: {error}")
    };
    malformed(reply, what)
}

/// Rows read one by one, so that an unreadable number or time costs one row and not the page.
///
/// # Errors
///
/// `malformed` when no row at all names its time: then the answer is something else.
pub(super) fn rows_one_by_one<'r>(
    reply: &Reply,
    rows: &[&'r RawValue],
    bar: impl Fn(&'r str) -> Option<Bar>,
    ts: impl Fn(&'r str) -> Option<i64>,
) -> Result<(Vec<Bar>, Vec<Rejection>), Fault> {
    let mut bars = Vec::with_capacity(rows.len());
    let mut broken = Vec::new();
    for raw in rows {
        if let Some(read) = bar(raw.get()) {
            bars.push(read);
            continue;
        }
        let (ts, text) = (ts(raw.get()), row_text(broken.len(), raw.get()));
        broken.push(Rejection {
            ts,
            reason: RejectReason::InvalidNumber,
            fields: BarFields::NONE,
            text,
        });
    }
    match broken.first() {
        Some(first) if bars.is_empty() && broken.iter().all(|row| row.ts.is_none()) => {
            Err(malformed(reply, format!("no row is a bar; the first: {}", first.text)))
        }
        _ => Ok((bars, broken)),
    }
}

/// What is kept of a row that does not read, when so many of the page did not before it.
pub(super) fn row_text(before: usize, row: &str) -> String {
    text::shown_within(row, if before < MOST_TEXTS { LONGEST_ROW } else { 0 })
}

/// The time in the first column of a row that reads no further, in the wire's unit.
pub(super) fn first_column(raw: &str) -> Option<i64> {
    serde_json::from_str::<First<i64>>(raw).ok().map(|first| first.0)
}

/// The words of an error body that is plain text; none when it is HTML, XML or JSON.
pub(super) fn plain_words(reply: &Reply) -> &str {
    let body = reply.body.trim();
    if body.starts_with(['<', '{', '[']) { "" } else { beginning(body) }
}

/// More than the largest page of any provider takes, in bytes.
const LARGEST_PAGE: usize = 8 << 20;

/// The body with `NaN` and `Infinity`, which some programs write for numbers and JSON does not know, in
/// quotes, so that they cost their row and not the page.
pub(super) fn quoted_nonnumbers(body: &str) -> Cow<'_, str> {
    const NONNUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    // What is larger than any page is not copied for it.
    if body.len() > LARGEST_PAGE {
        return Cow::Borrowed(body);
    }
    if !body.contains("NaN") && !body.contains("Infinity") {
        return Cow::Borrowed(body);
    }
    let mut out = String::with_capacity(body.len() + 16);
    let mut rest = body;
    while let Some(at) = rest.find(['"', 'N', 'I', '-']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match NONNUMBERS.iter().find(|word| rest.starts_with(**word)) {
            Some(word) => {
                out.extend(["\"", word, "\""]);
                word.len()
            }
            None => {
                let length = if rest.starts_with('"') { text_length(rest) } else { 1 };
                out.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The length of the JSON text at the beginning of `json`, quotes included.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

/// Refuses an answer for a symbol that was not asked for.
///
/// # Errors
///
/// `malformed`, naming both.
pub(super) fn check_symbol(ask: &Ask<'_>, reply: &Reply, symbol: &str) -> Result<(), Fault> {
    if ask.symbols.iter().any(|asked| asked.as_str() == symbol) {
        return Ok(());
    }
    let what = format!("the answer is for `{symbol}`, asked was `{}`", joined(ask));
    Err(malformed(reply, what))
}

/// The symbols asked for, with commas.
pub(super) fn joined(ask: &Ask<'_>) -> String {
    ask.symbols.iter().map(|symbol| symbol.as_str()).collect::<Vec<_>>().join(",")
}

/// The symbol asked for, of those that are asked for one at a time.
pub(super) fn only_symbol<'a>(ask: &Ask<'a>) -> &'a str {
    ask.symbols.first().map_or("", |symbol| symbol.as_str())
}

/// `seconds` as a clock on the wall in `zone` shows them, counted as if it were UTC.
pub(super) fn wall_clock(seconds: i64, zone: Zone) -> i64 {
    seconds.saturating_add(zone.offset(seconds))
}

/// The label of a day: 00:00:00 UTC of the date that `seconds` has in `zone`.
pub(super) fn day_label(seconds: i64, zone: Zone) -> i64 {
    day_start(wall_clock(seconds, zone))
}

/// `seconds` as `2024-01-02T03:04:05Z`, within the years that this form and these markets have.
pub(super) fn rfc3339(seconds: i64) -> String {
    const END_OF_9999: i64 = 253_402_300_799;
    DateTime::from_timestamp(seconds.clamp(0, END_OF_9999), 0)
        .map_or_else(String::new, |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// A pair of a query.
pub(super) fn pair(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sydney() -> Zone {
        "Australia/Sydney".parse().unwrap()
    }

    #[test]
    fn a_day_is_labelled_by_its_date_in_the_zone_of_then() {
        // 2005-04-01 05:00Z and 2005-04-04 04:00Z: midnight either side of the change of clocks.
        assert_eq!(day_label(1_112_331_600, Zone::NEW_YORK), 1_112_313_600);
        assert_eq!(day_label(1_112_587_200, Zone::NEW_YORK), 1_112_572_800);
        // 2024-01-01 23:00Z is 2024-01-02 10:00 in Sydney.
        assert_eq!(day_label(1_704_150_000, sydney()), 1_704_153_600);
    }

    #[test]
    fn instants_beyond_every_calendar_stay_numbers() {
        for seconds in [i64::MIN, -8_334_601_228_800, 8_210_266_876_799, i64::MAX] {
            let _ = (day_label(seconds, Zone::NEW_YORK), wall_clock(seconds, sydney()));
        }
        assert_eq!(rfc3339(i64::MIN), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_number_is_put_in_quotes_and_nothing_else() {
        let quoted = quoted_nonnumbers(r#"{"NaN":[NaN,-Infinity,-1,"a\"NaN",Infinity]}"#);
        assert_eq!(quoted, r#"{"NaN":["NaN","-Infinity",-1,"a\"NaN","Infinity"]}"#);
        assert!(matches!(quoted_nonnumbers("[1,-2]"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_web_page_is_no_sentence() {
        let words = |body: &str| {
            let reply = Reply { status: 502, retry_after: None, body: body.to_owned() };
            plain_words(&reply).to_owned()
        };
        assert_eq!(words(" Too Many Requests\r\n"), "Too Many Requests");
        assert_eq!((words("\n<html>"), words("{\"a\":1}")), (String::new(), String::new()));
    }

    #[test]
    fn only_trouble_that_may_pass_gives_reason_to_leave_a_provider_alone() {
        let wait = Some(std::time::Duration::from_secs(60));
        let reply = Reply { status: 400, retry_after: wait, body: String::new() };
        for kind in ErrorKind::ALL {
            let may_pass =
                matches!(kind, ErrorKind::RateLimited | ErrorKind::Server | ErrorKind::Timeout);
            let fault = fault_of(&reply, kind, "");
            assert_eq!(fault.retry_after, wait.filter(|_| may_pass), "{kind}");
        }
        assert_eq!(malformed(&reply, "").retry_after, None);
    }

    #[test]
    fn a_fault_repeats_no_more_than_fits() {
        let reply = Reply { status: 500, retry_after: None, body: String::new() };
        let fault = fault_of(&reply, ErrorKind::Server, &"x".repeat(9_000));
        assert!(fault.message.chars().count() <= 501, "{}", fault.message.len());
        assert_eq!(fault_of(&reply, ErrorKind::Server, " ").message, "HTTP 500");
    }
}
