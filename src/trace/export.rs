//! The way to the collector: spans wait in a queue of bounded length and leave in batches, on a thread of
//! their own; what does not arrive is counted.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
};
use reqwest::blocking::Client;
use reqwest::redirect::Policy;

/// Spans that may wait for the collector: some megabytes. What comes beyond is dropped, and counted.
const WAITING: usize = 8_192;

/// Spans of one request.
const BATCH: usize = 512;

/// Spans wait no longer than this for others to leave with.
const DELAY: Duration = Duration::from_secs(2);

/// How long the collector may take for one request.
const REQUEST: Duration = Duration::from_secs(10);

/// How long the end of a run may wait for the collector. With all that is around it, less than two
/// seconds.
const LAST: Duration = Duration::from_millis(1_500);

/// The way to the collector.
pub(super) struct Exporter {
    provider: SdkTracerProvider,
    account: Arc<Account>,
}

/// Spans that did not reach the collector.
#[derive(Debug)]
pub struct Lost {
    /// How many.
    pub spans: u64,
    /// Of how many.
    pub of: u64,
    /// Why, in words.
    pub why: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} spans are lost: {}", self.spans, self.of, self.why)
    }
}

/// What became of the spans that left the queue.
#[derive(Debug, Default)]
struct Account {
    sent: AtomicU64,
    /// The last trouble.
    trouble: Mutex<Option<String>>,
    /// Whether the run is at its end: who fails now is not tried again.
    is_last: AtomicBool,
}

impl Exporter {
    /// Makes the way to the collector at `endpoint`; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the client cannot be made, or the system has no thread for it, in words.
    pub(super) fn to(endpoint: &str, host: &str) -> Result<Self, String> {
        let client = client(endpoint).map_err(|error| error.without_url().to_string())?;
        // Who batches the spans breaks down, and the run with it, where it can have no thread.
        let spare = thread::Builder::new().spawn(|| ()).map_err(|error| error.to_string())?;
        let _ = spare.join();
        let retry = RetryPolicy::recommended().with_max_retries(2);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_timeout(REQUEST)
            .with_retry_policy(retry)
            .build()
            .map_err(|error| error.to_string())?;
        let account = Arc::new(Account::default());
        let counted = Counted { exporter, account: Arc::clone(&account) };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(counted).with_batch_config(batches).build();
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", env!("CARGO_PKG_NAME")),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("host.name", host.to_owned()),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource.build())
            // Every run is told, whatever the environment says of other programs.
            .with_sampler(Sampler::AlwaysOn)
            .build();
        Ok(Self { provider, account })
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"));
        self.provider.tracer_with_scope(scope.build())
    }

    /// Sends what is left of `drawn` spans.
    ///
    /// # Errors
    ///
    /// When some did not arrive.
    pub(super) fn finish(self, drawn: u64) -> Result<(), Lost> {
        let Self { provider, account } = self;
        account.is_last.store(true, Ordering::Release);
        let ended = provider.shutdown_with_timeout(LAST);
        let spans = drawn.saturating_sub(account.sent.load(Ordering::Acquire));
        if spans == 0 {
            return Ok(());
        }
        let why = match (account.trouble(), ended) {
            (Some(trouble), _) => trouble,
            (None, Err(_)) => "it does not answer in time".to_owned(),
            (None, Ok(())) => "they came faster than it took them".to_owned(),
        };
        Err(Lost { spans, of: drawn, why })
    }
}

impl Account {
    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The client: nothing but the request itself goes out, and that to nobody else.
fn client(endpoint: &str) -> reqwest::Result<Client> {
    let mut builder = Client::builder();
    if !endpoint.starts_with("https:") {
        // In clear it goes to this machine alone, whatever proxy the environment names, and nobody's
        // certificate need be read for it.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder
        .user_agent(concat!("mdctl/", env!("CARGO_PKG_VERSION")))
        .timeout(REQUEST)
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .build()
}

/// An exporter that keeps account of what it sends.
#[derive(Debug)]
struct Counted {
    exporter: SpanExporter,
    account: Arc<Account>,
}

impl opentelemetry_sdk::trace::SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let account = &self.account;
        if account.is_last.load(Ordering::Acquire) && account.trouble().is_some() {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let spans = batch.len() as u64;
        let sent = self.exporter.export(batch).await;
        match &sent {
            Ok(()) => {
                account.sent.fetch_add(spans, Ordering::AcqRel);
            }
            Err(error) => {
                let trouble = Some(match error {
                    OTelSdkError::InternalFailure(words) => words.clone(),
                    other => other.to_string(),
                });
                *account.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
            }
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
