//! Spans drawn after the fact: each with the times that it had, under the one that it belongs to.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use crate::clock::Timeline;
use crate::domain::event::Took;

/// Draws spans, and counts them.
pub(super) struct Pen {
    tracer: SdkTracer,
    timeline: Timeline,
    drawn: Cell<u64>,
}

/// A span that others lie in. Whatever they last, it lasts as long.
pub(super) struct Node {
    span: Span,
    /// What those in it hang on.
    within: Context,
    /// The latest end so far of what lies in it.
    pub(super) until: Instant,
}

/// What is known of a span when it is drawn.
pub(super) struct Drawn<'a> {
    pub(super) name: &'static str,
    pub(super) kind: SpanKind,
    pub(super) took: Took,
    pub(super) attributes: Vec<KeyValue>,
    /// What went wrong; `None` when nothing did.
    pub(super) error: Option<&'a str>,
}

impl Pen {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Self { tracer, timeline: Timeline::begin(), drawn: Cell::new(0) }
    }

    /// How many spans are drawn to their end.
    pub(super) fn drawn(&self) -> u64 {
        self.drawn.get()
    }

    /// Opens the span that has none above it.
    pub(super) fn root(&self, name: &'static str) -> Node {
        self.open_within(name, &Context::new(), Instant::now(), Vec::new())
    }

    /// Opens a span under another.
    pub(super) fn open(
        &self,
        name: &'static str,
        above: &Node,
        at: Instant,
        attributes: Vec<KeyValue>,
    ) -> Node {
        self.open_within(name, &above.within, at, attributes)
    }

    fn open_within(
        &self,
        name: &'static str,
        above: &Context,
        at: Instant,
        attributes: Vec<KeyValue>,
    ) -> Node {
        let builder =
            SpanBuilder::from_name(name).with_start_time(self.time(at)).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, above);
        let within = Context::new().with_remote_span_context(span.span_context().clone());
        Node { span, within, until: at }
    }

    /// Ends a span where what lies in it ended.
    pub(super) fn close(&self, mut node: Node) {
        node.span.end_with_timestamp(self.time(node.until));
        self.drawn.set(self.drawn.get() + 1);
    }

    /// Draws a span in which nothing else lies.
    pub(super) fn draw(&self, above: &mut Node, drawn: Drawn<'_>) {
        let Drawn { name, kind, took, attributes, error } = drawn;
        let builder = SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_start_time(self.time(took.from))
            .with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, &above.within);
        if let Some(error) = error {
            span.set_status(Status::error(error.to_owned()));
        }
        span.end_with_timestamp(self.time(took.to));
        self.drawn.set(self.drawn.get() + 1);
        above.reach(took.to);
    }

    /// Notes in a span what happened just now.
    pub(super) fn note(&self, node: &mut Node, what: &'static str, message: &str) {
        let now = Instant::now();
        node.reach(now);
        let attributes = vec![KeyValue::new("message", message.to_owned())];
        node.span.add_event_with_timestamp(what, self.time(now), attributes);
    }

    fn time(&self, instant: Instant) -> SystemTime {
        let micros = u64::try_from(self.timeline.at(instant)).unwrap_or(0);
        UNIX_EPOCH + Duration::from_micros(micros)
    }
}

impl Node {
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.span.set_attribute(KeyValue::new(name, value));
    }

    pub(super) fn fail(&mut self, message: impl Into<String>) {
        self.span.set_status(Status::error(message.into()));
    }

    /// Lets it last at least until then.
    pub(super) fn reach(&mut self, at: Instant) {
        self.until = self.until.max(at);
    }
}
