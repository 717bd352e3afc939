//! The one way out over HTTP: a POST to one address, answered by a status.

use std::error::Error as _;
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use url::Url;

use crate::config::Address;

/// From the beginning to a connection.
const TO_CONNECT: Duration = Duration::from_secs(3);

/// From the beginning to the answer.
const TO_ANSWER: Duration = Duration::from_secs(10);

/// A way to one address.
pub(super) struct Wire {
    client: Client,
    address: Url,
}

impl Wire {
    /// Reads the address from where it is kept, and makes ready.
    pub(super) fn to(address: &Address) -> Result<Self, String> {
        let address = address.resolve()?;
        // What is wrong with it would repeat it.
        let address = Url::parse(address.expose_secret()).map_err(|_| "the address is no URL")?;
        let mut builder = Client::builder();
        if address.scheme() != "https" {
            // In clear it goes to this machine alone, whatever proxy the environment names.
            builder = builder.no_proxy();
        }
        let client = builder
            .user_agent(concat!("mdctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(TO_CONNECT)
            .timeout(TO_ANSWER)
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| format!("cannot make ready: {}", words(error)))?;
        Ok(Self { client, address })
    }

    /// Sends a document.
    pub(super) fn post(
        &self,
        document: &impl Serialize,
        token: Option<&SecretString>,
    ) -> Result<(), String> {
        let body = serde_json::to_vec(document).map_err(|error| error.to_string())?;
        let request = self.client.post(self.address.clone());
        let request = request.header("content-type", "application/json").body(body);
        send(match token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        })
    }

    /// Sends a text to a path below the address, with a query, within `patience`.
    pub(super) fn post_below(
        &self,
        path: Option<&str>,
        query: (&str, &str),
        text: String,
        patience: Duration,
    ) -> Result<(), String> {
        let mut address = self.address.clone();
        address
            .path_segments_mut()
            .map_err(|()| "the address has no path")?
            .pop_if_empty()
            .extend(path);
        address.query_pairs_mut().append_pair(query.0, query.1);
        let request = self.client.post(address).timeout(patience);
        send(request.header("content-type", "text/plain; charset=utf-8").body(text))
    }
}

fn send(request: RequestBuilder) -> Result<(), String> {
    let response = request.send().map_err(words)?;
    let status = response.status();
    let why = match status.as_u16() {
        200..=299 => return Ok(()),
        300..=399 => ", which leads elsewhere: name the address that it leads to",
        401 | 403 => ": it does not let us in; see its token or its address",
        404 | 410 => ": nothing is there; see its address",
        429 => ": it has had enough for now",
        _ => "",
    };
    Err(format!("it answered {}{why}", status.as_u16()))
}

/// An error without its URL, down to its cause.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() && !error.is_connect() {
        return "it did not answer in time".to_owned();
    }
    let mut cause = error.source();
    let mut last = String::new();
    while let Some(inner) = cause {
        last = inner.to_string();
        cause = inner.source();
    }
    let what = if error.is_connect() { "cannot connect" } else { "cannot send" };
    if last.is_empty() { what.to_owned() } else { format!("{what}: {last}") }
}
