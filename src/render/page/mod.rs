//! The page: one HTML file that asks nothing of any network.
//!
//! The templates lie in `html/`, one a section. Scripts and styles stand in the page itself, and a policy
//! in its head lets nothing else run or load. Charts are drawn from the one JSON document in the page,
//! and everything that matters of them stands in a table beside them.

use std::io::{self, Write};
use std::path::Path;

use askama::Template;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::words::{self, instant};
use crate::report::page::Page;
use crate::report::page::chart::Slot;

use super::schema;

mod facts;
mod view;

use view::{
    after_status, ago, at, at_or_dash, breaker_class, breaker_mark, bytes, class_words, count,
    counted, date, ended, exact, hundred, hundred_of, letter, mark, millis, number, of_kind,
    only_features, percent, price, reason_letter, reason_words, reasons, run_class, run_mark,
    score, severity_mark, share, spaced, span, steps, took, took_seconds, total, volume,
    whole_words,
};

/// Runs in the table, at most.
const RUNS: usize = 25;

/// Bars in the table, at most.
const BARS: usize = 30;

/// The charts' own style, then ours.
const STYLE: &str = concat!(include_str!("vendor/uPlot.min.css"), "\n", include_str!("page.css"));

/// uPlot 1.6.32 with its licence, as that asks for.
const UPLOT: &str = concat!(
    "/* uPlot\n\n",
    include_str!("vendor/LICENSE"),
    "*/\n",
    include_str!("vendor/uPlot.iife.min.js")
);

/// One script: what comes first is used by what comes later.
const SCRIPT: &str = concat!(
    include_str!("script/words.js"),
    include_str!("script/theme.js"),
    include_str!("script/cells.js"),
    include_str!("script/freshness.js"),
    include_str!("script/coverage.js"),
    include_str!("script/plot.js"),
    include_str!("script/runs.js"),
    include_str!("script/requests.js"),
    include_str!("script/bars.js"),
    include_str!("script/start.js"),
);

#[derive(Template)]
#[template(path = "page.html", config = "src/render/page/askama.toml")]
struct Html<'a> {
    page: &'a Page,
    /// What the scripts and styles of this very page are known by.
    nonce: &'a str,
    version: &'static str,
    style: &'static str,
    uplot: &'static str,
    script: &'static str,
    /// What the charts are drawn from.
    facts: String,
}

/// The page as text. `nonce` is a word that nobody can guess: only scripts and styles that bear it count.
#[must_use]
pub fn html(page: &Page, nonce: &str) -> String {
    let html = Html {
        page,
        nonce,
        version: env!("CARGO_PKG_VERSION"),
        style: STYLE,
        uplot: UPLOT,
        script: SCRIPT,
        facts: page.known.as_ref().map(facts::json).unwrap_or_default(),
    };
    let text =
        html.render().expect("the template fails at nothing, and memory takes what it writes");
    text + "\n"
}

/// A page that was written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// Where.
    pub path: &'a Path,
    /// How long it is.
    pub bytes: u64,
    /// What stands in it.
    pub page: &'a Page,
}

/// The document of `report --json`.
#[derive(Serialize, JsonSchema)]
struct Document {
    schema: u32,
    /// The instant at which the data on the page is judged, RFC 3339 UTC.
    timestamp: String,
    /// Where the page is.
    path: String,
    /// How long it is.
    bytes: u64,
    /// The verdict on it: healthy, degraded, critical or unknown.
    status: String,
    /// The verdict in one line.
    summary: String,
}

/// The JSON Schema of what is said of a page that was written.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document>("mdctl report --json")
}

/// Writes where the page is, as JSON.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, written: &Written<'_>) -> io::Result<()> {
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(written.page.now),
        path: written.path.display().to_string(),
        bytes: written.bytes,
        status: written.page.health.status.to_string(),
        summary: written.page.health.summary.clone(),
    };
    super::json(out, &document)
}

/// Writes where the page is, in a line.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn line(out: &mut dyn Write, written: &Written<'_>) -> io::Result<()> {
    let Written { path, bytes: length, page } = written;
    writeln!(out, "{} ({}): {}", path.display(), words::bytes(*length), page.health.summary)
}
