//! The one place that sends: a `Request` goes out, a `Reply` or a `Fault` comes back.
//!
//! The key travels in a header, to the configured origin only. A reply that repeats it is cleaned
//! before anyone sees it, and reqwest's errors lose their URL.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::Url;

use crate::domain::policy::RequestLimits;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::secret::ApiKey;
use crate::provider::text::shown;
use crate::provider::{KeyUse, Reply, Request};

/// Redirects that are followed, within the origin.
const MOST_REDIRECTS: usize = 4;

/// What stands in for a key that a server repeats.
const HIDDEN: &str = "[key]";

/// A provider's connections.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    base_url: String,
    limits: RequestLimits,
    key: Option<ApiKey>,
    key_use: KeyUse,
}

/// A reply with what only the transport knows.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) reply: Reply,
    /// Unpacked bytes of the body.
    pub(super) bytes: u64,
    /// The server's own clock, epoch seconds UTC.
    pub(super) server_now: Option<i64>,
}

impl Http {
    pub(super) fn new(
        base_url: &str,
        limits: RequestLimits,
        key: Option<ApiKey>,
        key_use: KeyUse,
    ) -> Result<Self, Fault> {
        let client = Client::builder()
            .user_agent(concat!("mdctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect_timeout)
            .redirect(within_origin())
            // Every try is ours to count: it takes from the quota and is logged.
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| Fault::new(ErrorKind::Network, words(&error)))?;
        Ok(Self { client, base_url: base_url.to_owned(), limits, key, key_use })
    }

    /// Sends `request` and reads the whole answer.
    pub(super) async fn send(&self, request: &Request, now: i64) -> Result<Received, Fault> {
        let url = self.url(request)?;
        let exchange = async {
            let response = self
                .client
                .get(url)
                .headers(self.headers(request)?)
                .send()
                .await
                .map_err(|error| self.fault(&error))?;
            self.receive(response, now).await
        };
        tokio::time::timeout(self.limits.request_timeout, exchange).await.unwrap_or_else(|_| {
            let limit = humantime::format_duration(self.limits.request_timeout);
            Err(Fault::new(ErrorKind::Timeout, format!("no whole answer within {limit}")))
        })
    }

    /// The URL on the configured origin.
    fn url(&self, request: &Request) -> Result<Url, Fault> {
        let wrong = |what: &str| {
            Fault::new(ErrorKind::BadRequest, format!("cannot word the request: {what}"))
        };
        if let Some(handed_out) = &request.handed_out {
            return Url::parse(&format!("{}{handed_out}", self.base_url))
                .map_err(|error| wrong(&error.to_string()));
        }
        let mut url = Url::parse(&self.base_url).map_err(|error| wrong(&error.to_string()))?;
        url.path_segments_mut()
            .map_err(|()| wrong("the base URL has no path"))?
            .pop_if_empty()
            .extend(&request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }

    fn headers(&self, request: &Request) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            headers.insert(named(name)?, HeaderValue::from_static(value));
        }
        let Some(key) = &self.key else { return Ok(headers) };
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| Fault::new(ErrorKind::Auth, "the key cannot stand in a header"))?;
            value.set_sensitive(true);
            Ok(value)
        };
        match self.key_use {
            KeyUse::None => {}
            KeyUse::Bearer => {
                let value = secret(&format!("Bearer {}", key.expose()))?;
                headers.insert(reqwest::header::AUTHORIZATION, value);
            }
            KeyUse::Headers { key: first, second } => {
                headers.insert(named(first)?, secret(key.expose())?);
                if let Some(half) = key.expose_second() {
                    headers.insert(named(second)?, secret(half)?);
                }
            }
        }
        Ok(headers)
    }

    /// Reads the body piece by piece, unpacked, up to its limit.
    async fn receive(&self, mut response: Response, now: i64) -> Result<Received, Fault> {
        let status = response.status().as_u16();
        let retry_after = header(&response, RETRY_AFTER).and_then(|text| retry_after(text, now));
        let server_now = header(&response, DATE).and_then(http_date);
        // A length that lies costs no more than a body may.
        let length = response.content_length().unwrap_or(0).min(self.limits.max_body);
        let mut body = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        while let Some(chunk) = self.chunk(&mut response).await? {
            let chunk = chunk.as_ref();
            if body.len() as u64 + chunk.len() as u64 > self.limits.max_body {
                let message = format!("the body is over {} bytes (max_body)", self.limits.max_body);
                return Err(Fault {
                    http_status: Some(status),
                    ..Fault::new(ErrorKind::TooLarge, message)
                });
            }
            body.extend_from_slice(chunk);
        }
        let bytes = body.len() as u64;
        let body = String::from_utf8(body).map_err(|_| Fault {
            http_status: Some(status),
            ..Fault::new(ErrorKind::Malformed, "the body is no valid UTF-8")
        })?;
        let body = self.without_key(body);
        Ok(Received { reply: Reply { status, retry_after, body }, bytes, server_now })
    }

    /// The next piece of a body, which must not keep still for longer than `read_timeout`.
    async fn chunk(&self, response: &mut Response) -> Result<Option<impl AsRef<[u8]>>, Fault> {
        let patience = self.limits.read_timeout;
        match tokio::time::timeout(patience, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| self.fault(&error)),
            Err(_) => {
                let patience = humantime::format_duration(patience);
                let message = format!("the answer kept still for {patience}");
                Err(Fault::new(ErrorKind::Timeout, message))
            }
        }
    }

    fn without_key(&self, text: String) -> String {
        let Some(key) = &self.key else { return text };
        [Some(key.expose()), key.expose_second()].into_iter().flatten().fold(
            text,
            |text, secret| {
                if text.contains(secret) { text.replace(secret, HIDDEN) } else { text }
            },
        )
    }

    /// What reqwest's error means here.
    fn fault(&self, error: &reqwest::Error) -> Fault {
        let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Network };
        Fault::new(kind, shown(&self.without_key(words(error))))
    }
}

/// A header by the name that a provider gives it, in whatever case.
fn named(name: &str) -> Result<HeaderName, Fault> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Fault::new(ErrorKind::BadRequest, format!("`{name}` is no name of a header")))
}

/// Redirects only to the origin that was asked, so that the key stays there.
fn within_origin() -> Policy {
    Policy::custom(|attempt| {
        let same = attempt
            .previous()
            .first()
            .is_some_and(|asked| asked.origin() == attempt.url().origin());
        if same && attempt.previous().len() <= MOST_REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// An error and its causes in words, without a URL: a URL may hold what is not for every eye.
fn words(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() && error.is_connect() {
        "no connection in time"
    } else if error.is_timeout() {
        "no answer, or no more of it, in time"
    } else if error.is_connect() {
        "cannot connect"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request failed"
    };
    let mut cause = std::error::Error::source(error);
    let mut deepest = None;
    while let Some(inner) = cause {
        deepest = Some(inner.to_string());
        cause = inner.source();
    }
    match deepest {
        Some(deepest) if !error.is_timeout() => format!("{what}: {deepest}"),
        _ => what.to_owned(),
    }
}

fn header(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: i64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = http_date(text)?.saturating_sub(now);
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or(0)))
}

fn http_date(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc2822(text.trim()).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7", 0), Some(Duration::from_secs(7)));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after(date, 1_445_412_470), Some(Duration::from_secs(10)));
        assert_eq!(retry_after(date, 1_445_412_490), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", 0), None);
        assert_eq!(retry_after("-5", 0), None);
    }
}
