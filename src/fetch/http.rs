//! The one place that sends: a `Request` goes out, a `Reply` or a `Fault` comes back.
//!
//! The key travels in a header, to the configured origin only: redirects lead within it, and none that
//! would put the key into a URL; whoever asked follows them, as each is a request. reqwest's errors lose their URL, and what a server says
//! is shown without the key, which [`Secrets`] sees to. Bodies are held as far as there is [`Room`].

use std::fs::File;
use std::io;
use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::domain::policy::RequestLimits;
use crate::domain::run::{ErrorKind, Fault};
use crate::domain::secret::ApiKey;
use crate::provider::text::shown;
use crate::provider::{KeyUse, Reply, Request};

use patience::Patience;
use room::Room;
use secrets::Secrets;
use waits::Waits;

mod patience;
pub(super) mod room;
pub(super) mod secrets;
mod waits;

/// What is set aside for a body that outgrows the small ones, in bytes. What is not used of it costs
/// nothing; and beyond 32 MiB glibc takes memory from the system and gives it back at once, while smaller
/// pieces, once freed, are kept by each thread for the next.
const ROOMY: usize = 33 << 20;

/// A provider's connections.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    base_url: Url,
    limits: RequestLimits,
    /// The key, as every request bears it, or why none can.
    key_headers: Result<HeaderMap, Fault>,
    secrets: Secrets,
}

/// What a request came to.
#[derive(Debug)]
pub(super) enum Sent {
    /// An answer.
    Answer(Received),
    /// The word, under this status, that it is to be had there, within the origin.
    Elsewhere(u16, Url),
}

/// A reply with what only the transport knows.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) reply: Reply,
    /// Unpacked bytes of the body.
    pub(super) bytes: u64,
    /// The server's own clock, epoch seconds UTC.
    pub(super) server_now: Option<i64>,
    /// How long until a quota that this answer says is used up is full again; `None` when it says no
    /// such thing.
    pub(super) quota_reset_in: Option<Duration>,
    /// What the body takes of the room for bodies, and what is read from it after that.
    pub(super) room: Room,
}

impl Http {
    pub(super) fn new(
        base_url: &str,
        limits: RequestLimits,
        key: Option<ApiKey>,
        key_use: KeyUse,
    ) -> Result<Self, Fault> {
        let key_headers =
            key.as_ref().map_or_else(|| Ok(HeaderMap::new()), |key| headers_of(key, key_use));
        let parsed = Url::parse(base_url).map_err(|error| unworded(&error.to_string()))?;
        let secrets = Secrets::new(key);
        let mut builder = Client::builder();
        if !base_url.starts_with("https:") {
            // In clear it goes to this machine alone, whatever proxy the environment names. Through https
            // a proxy sees no key.
            builder = builder.no_proxy();
        }
        let client = builder
            .user_agent(concat!("mdctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect_timeout)
            .redirect(Policy::none())
            .referer(false)
            // Every try is ours to count: it takes from the quota and is logged.
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| match File::open("/dev/null") {
                // Without a file more, the system's certificates cannot be read; that is all it says.
                Err(why) if too_many_files(&why) => Fault::new(ErrorKind::Storage, why.to_string()),
                _ => Fault::new(ErrorKind::Network, words(&error)),
            })?;
        Ok(Self { client, base_url: parsed, limits, key_headers, secrets })
    }

    /// The key, to be kept out of what a server's answer leaves behind.
    pub(super) const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Sends `request`, there where a redirect led if it did, and reads the whole answer. What faults say
    /// may repeat the key.
    pub(super) async fn send(
        &self,
        request: &Request,
        elsewhere: Option<&Url>,
        now: i64,
    ) -> Result<Sent, Fault> {
        let url = elsewhere.map_or_else(|| self.url(request), |url| Ok(url.clone()))?;
        let patience = Patience::new(&self.limits);
        let sending = self.client.get(url).headers(self.headers(request)?).send();
        let response = patience.for_the_head(sending).await?.map_err(|error| fault(&error))?;
        let status = response.status();
        match self.elsewhere(&response).map_err(|fault| said_with(status, fault))? {
            Some(url) => Ok(Sent::Elsewhere(status.as_u16(), url)),
            None => self.receive(response, now, patience).await.map(Sent::Answer),
        }
    }

    /// The URL on the configured origin.
    fn url(&self, request: &Request) -> Result<Url, Fault> {
        if let Some(handed_out) = &request.handed_out {
            let base = self.base_url.as_str().trim_end_matches('/');
            return Url::parse(&format!("{base}{handed_out}"))
                .map_err(|error| unworded(&error.to_string()));
        }
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| unworded("the base URL has no path"))?
            .pop_if_empty()
            .extend(&request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }

    fn headers(&self, request: &Request) -> Result<HeaderMap, Fault> {
        let mut headers = self.key_headers.clone()?;
        for (name, value) in &request.headers {
            headers.insert(named(name)?, HeaderValue::from_static(value));
        }
        Ok(headers)
    }

    /// Reads an answer whose head came at `now`, epoch seconds.
    async fn receive(
        &self,
        mut response: Response,
        now: i64,
        patience: Patience,
    ) -> Result<Received, Fault> {
        let status = response.status();
        let waits = Waits::of(status.as_u16(), response.headers(), now);
        self.check_head(&response).map_err(|fault| said_with(status, fault))?;
        let (body, room) = self.body(&mut response, patience).await?;
        let bytes = body.len() as u64;
        let body = match String::from_utf8(body) {
            Ok(body) => body,
            // A refusal is told by its status, in whatever letters it is worded.
            Err(error) if status != StatusCode::OK => {
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }
            Err(_) => {
                let fault = Fault::new(ErrorKind::Malformed, "the body is no valid UTF-8");
                return Err(said_with(status, fault));
            }
        };
        let Waits { retry_after, quota_reset_in, server_now } = waits;
        let reply = Reply { status: status.as_u16(), retry_after, body };
        Ok(Received { reply, bytes, server_now, quota_reset_in, room })
    }

    /// Refuses an answer for what its head says.
    fn check_head(&self, response: &Response) -> Result<(), Fault> {
        let malformed = |what: String| Err(Fault::new(ErrorKind::Malformed, shown(&what)));
        // What is unpacked on the way has lost this header.
        if let Some(packing) = response.headers().get(CONTENT_ENCODING) {
            let packing = String::from_utf8_lossy(packing.as_bytes());
            if !packing.is_empty() && !packing.eq_ignore_ascii_case("identity") {
                return malformed(format!("the body is packed as `{packing}`, not as gzip"));
            }
        }
        match response.content_length() {
            Some(length) if length > self.limits.max_body => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    /// Where a redirect leads, if it may be followed: within the origin, and never with the key in the
    /// URL. `None` when the answer is none.
    fn elsewhere(&self, response: &Response) -> Result<Option<Url>, Fault> {
        use StatusCode as Status;
        let redirects = matches!(
            response.status(),
            Status::MOVED_PERMANENTLY
                | Status::FOUND
                | Status::SEE_OTHER
                | Status::TEMPORARY_REDIRECT
                | Status::PERMANENT_REDIRECT
        );
        if !redirects {
            return Ok(None);
        }
        let refused = |why: &str| {
            let message = format!("HTTP {}: {why}", response.status().as_u16());
            Err(Fault::new(ErrorKind::Malformed, shown(&message)))
        };
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let Some(to) = to.and_then(|to| response.url().join(to).ok()) else {
            return refused("a redirect that says not where to");
        };
        if self.secrets.occur_in(to.as_str()) {
            return refused("a redirect whose URL holds the key is not followed");
        }
        if to.origin() != response.url().origin() {
            let origin = to.origin().ascii_serialization();
            return refused(&format!("a redirect to another origin, {origin}, is not followed"));
        }
        Ok(Some(to))
    }

    /// Reads the body piece by piece, unpacked, up to its limit and as far as there is room for it.
    /// Waiting for room is no fault of the server's.
    async fn body(
        &self,
        response: &mut Response,
        mut patience: Patience,
    ) -> Result<(Vec<u8>, Room), Fault> {
        let length = response.content_length();
        let mut body = Vec::new();
        let mut room = Room::default();
        while let Some(piece) =
            patience.for_a_piece(response.chunk()).await?.map_err(|error| fault(&error))?
        {
            let size = body.len() as u64 + piece.len() as u64;
            if size > self.limits.max_body {
                return Err(said_with(response.status(), self.too_large()));
            }
            if !room.holds(size) {
                patience.without(room.take(size, length)).await;
                body.reserve_exact(ROOMY.saturating_sub(body.len()));
            }
            body.extend_from_slice(&piece);
        }
        Ok((body, room))
    }

    fn too_large(&self) -> Fault {
        let message = format!("the body is over {} bytes (max_body)", self.limits.max_body);
        Fault::new(ErrorKind::TooLarge, message)
    }
}

/// The headers by which a provider wants to be shown the key.
fn headers_of(key: &ApiKey, key_use: KeyUse) -> Result<HeaderMap, Fault> {
    let secret = |text: &str| {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| Fault::new(ErrorKind::Auth, "the key cannot stand in a header"))?;
        value.set_sensitive(true);
        Ok(value)
    };
    let mut headers = HeaderMap::new();
    match key_use {
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

/// What is wrong with a request that cannot be put into words.
fn unworded(what: &str) -> Fault {
    Fault::new(ErrorKind::BadRequest, format!("cannot word the request: {what}"))
}

/// A fault of an answer that had a status.
fn said_with(status: StatusCode, fault: Fault) -> Fault {
    Fault { http_status: Some(status.as_u16()), ..fault }
}

/// What reqwest's error means here.
fn fault(error: &reqwest::Error) -> Fault {
    let kind = if lacks_files(error) {
        ErrorKind::Storage
    } else if error.is_timeout() {
        ErrorKind::Timeout
    } else if does_not_unpack(error) {
        ErrorKind::Malformed
    } else {
        ErrorKind::Network
    };
    Fault::new(kind, shown(&words(error)))
}

/// Whether it is this machine's trouble: no connection more can be opened.
fn lacks_files(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(too_many_files))
}

/// Whether the process (`EMFILE`) or the machine (`ENFILE`) has as many files open as it may.
pub(super) fn too_many_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// Whether the body came, and is not packed as its head says. The connection's own errors stand behind
/// one of hyper's, so that only the unpacking shows an error of input as the next cause.
fn does_not_unpack(error: &reqwest::Error) -> bool {
    let cause = std::error::Error::source(error);
    error.is_decode() && cause.is_some_and(|cause| cause.is::<io::Error>())
}

/// A header by the name that a provider gives it, in whatever case.
fn named(name: &str) -> Result<HeaderName, Fault> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Fault::new(ErrorKind::BadRequest, format!("`{name}` is no name of a header")))
}

/// An error and its causes in words, without a URL: a URL may hold what is not for every eye.
fn words(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() && error.is_connect() {
        "no connection in time"
    } else if error.is_timeout() {
        "no answer, or no more of it, in time"
    } else if error.is_connect() {
        "cannot connect"
    } else if does_not_unpack(error) {
        "the body does not unpack"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request failed"
    };
    let deepest = causes(error).last().map(ToString::to_string);
    match deepest {
        Some(deepest) if !error.is_timeout() => format!("{what}{}: {deepest}", hurdle(error)),
        _ => what.to_owned(),
    }
}

/// What stands behind an error, down to its bottom.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

/// Where a connection fell down: its name has no address, nobody takes it there, or they do not agree on a
/// secret.
fn hurdle(error: &reqwest::Error) -> &'static str {
    if !error.is_connect() {
        return "";
    }
    // An error of input within another is not among its causes.
    let is_secrecy = |cause: &(dyn std::error::Error + 'static)| {
        let outer = cause.downcast_ref::<io::Error>();
        let inner = outer.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref());
        let kinds = [outer, inner].into_iter().flatten().map(io::Error::kind);
        kinds
            .into_iter()
            .any(|kind| matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof))
    };
    if causes(error).any(|cause| cause.to_string() == "dns error") {
        " (DNS)"
    } else if causes(error).any(is_secrecy) {
        " (TLS)"
    } else {
        " (TCP)"
    }
}
