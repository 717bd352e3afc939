//! `next_url`: where the next page is said to be, and whether that is believed.
//!
//! Only path and query count, which the caller joins to its own origin, and only if they are the same
//! endpoint's and symbol's. The key never stands in it.

use crate::domain::run::Fault;
use crate::domain::task::About;

use super::super::reading::{malformed, only_symbol};
use super::super::{Ask, Cursor, Reply};
use super::{reference, span};

/// Names under which a key stands in a query, here and elsewhere.
const KEYS: [&str; 6] = ["apikey", "api_key", "api-key", "key", "token", "access_token"];

/// The next page's path and query, if they are this endpoint's and this symbol's, less any key.
pub(super) fn cursor(ask: &Ask<'_>, reply: &Reply, url: &str) -> Result<Cursor, Fault> {
    let foreign = || malformed(reply, "next_url leads to another endpoint or symbol");
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let slash = after_scheme.find('/').ok_or_else(foreign)?;
    let path_and_query = after_scheme[slash..].split('#').next().unwrap_or_default();
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    // Line breaks and tabs vanish when a URL is read: what was checked would not be what is sent.
    if !path_and_query.bytes().all(|byte| byte.is_ascii_graphic()) || !same_place(ask, path, query)
    {
        return Err(foreign());
    }
    let mut pairs: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !KEYS.iter().any(|name| is_named(pair, name)))
        .filter(|pair| ask.about != About::Bars || !is_named(pair, "adjusted"))
        .collect();
    let adjusted = format!("adjusted={}", ask.adjusted);
    if ask.about == About::Bars {
        // The cursor does not carry it along: without it page two might come adjusted otherwise.
        pairs.push(&adjusted);
    }
    Ok(Cursor::Path(format!("{path}?{}", pairs.join("&"))))
}

/// Whether path and query ask for more of the same.
fn same_place(ask: &Ask<'_>, path: &str, query: &str) -> bool {
    match reference::list(ask.about) {
        Some(list) => path == format!("/v3/reference/{list}") && same_ticker(ask, query),
        None => ask.about == About::Bars && same_series(ask, path),
    }
}

/// Whether a query names no other ticker than the one asked for, nor a range of them. It may leave it to
/// its cursor; where all are asked about, it names none.
fn same_ticker(ask: &Ask<'_>, query: &str) -> bool {
    query.split('&').all(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match percent_decoded(name).map(|name| name.to_ascii_lowercase()) {
            None => false,
            Some(name) if name == "ticker" => {
                ask.market.is_none() && percent_decoded(value).as_deref() == Some(only_symbol(ask))
            }
            Some(name) => !name.starts_with("ticker"),
        }
    })
}

/// Whether `path` asks for the same bars of the same symbol, in whatever range.
fn same_series(ask: &Ask<'_>, path: &str) -> bool {
    let (multiplier, timespan) = span(ask.timeframe);
    let wanted = ["", "v2", "aggs", "ticker", only_symbol(ask), "range", multiplier, timespan];
    let segments: Vec<&str> = path.split('/').collect();
    let Some((head, ends)) = segments.split_at_checked(wanted.len()) else {
        return false;
    };
    // A date or milliseconds; nothing that a server might take for a step up.
    let is_time = |end: &&str| {
        !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    let same = |(wanted, found): (&&str, &&str)| {
        wanted == found || percent_decoded(found).as_deref() == Some(*wanted)
    };
    wanted.iter().zip(head).all(same) && ends.len() == 2 && ends.iter().all(is_time)
}

/// Whether a pair of a query has that name, in whatever spelling.
fn is_named(pair: &str, name: &str) -> bool {
    let found = pair.split('=').next().unwrap_or_default();
    percent_decoded(found).is_none_or(|found| found.eq_ignore_ascii_case(name))
}

/// A percent-encoded path segment in clear; `None` when it is no valid text.
fn percent_decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = (rest.next()? as char).to_digit(16)?;
            let low = (rest.next()? as char).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
