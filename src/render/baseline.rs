//! Where a backfill's time goes, as two tables with sentences beneath, and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::domain::run::RunStatus;
use crate::domain::time;
use crate::domain::words::{count, counted, instant, span};
use crate::report::baseline::{Baseline, Setup, Stage, Step};

use super::schema;
use super::table::{Column, Look, Rows};

/// Writes what is about to be asked: how much at most, in how many steps, and how long the quota makes it
/// take.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn announcement(
    out: &mut dyn Write,
    setup: &Setup,
    steps: &[u32],
    quota: Duration,
) -> io::Result<()> {
    let names: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let lanes = format!("at --parallel {}", names.join(", "));
    let steps = steps.len() as u64;
    let symbols = counted(setup.symbols, "symbol");
    if setup.is_files {
        let files = counted(setup.planned, "file");
        return writeln!(
            out,
            "{}: {files} of {symbols} are read {lanes}; no request is made",
            setup.provider
        );
    }
    writeln!(
        out,
        "{}: {} for {symbols} {lanes}: {} in all, and never more than {}, which count against the quota",
        setup.provider,
        counted(setup.planned, "request"),
        count(setup.planned * steps),
        count(setup.most * steps),
    )?;
    let seconds = time::seconds(quota);
    match (setup.rates.is_empty(), seconds) {
        (true, _) => writeln!(out, "no quota is set; Ctrl-C ends it"),
        (false, 0) => writeln!(out, "the quota lets them through at once; Ctrl-C ends it"),
        (false, _) => writeln!(
            out,
            "the quota allows them in {} at most; once it is what holds all up no further step is made, and \
             Ctrl-C ends it",
            span(seconds)
        ),
    }
}

/// Writes the tables and the sentences.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn table(out: &mut dyn Write, baseline: &Baseline, look: Look) -> io::Result<()> {
    if !baseline.steps.is_empty() {
        writeln!(out, "the lanes: where the time of all of them together went")?;
        lanes(out, &baseline.steps, look)?;
        writeln!(out, "\nthe one writer, at the same time")?;
        writer(out, &baseline.steps, look)?;
        writeln!(out)?;
    }
    for sentence in baseline.verdict.iter().chain(&baseline.advice) {
        writeln!(out, "{sentence}")?;
    }
    Ok(())
}

fn lanes(out: &mut dyn Write, steps: &[Step], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::right("PARALLEL"),
        Column::right("WALL"),
        Column::right("REQUESTS"),
        Column::right("A SECOND").if_room(),
        Column::right("QUOTA"),
        Column::right("NETWORK"),
        Column::right("DECODE"),
        Column::right("VALIDATE"),
        Column::right("FOR WRITER"),
        Column::right("IDLE"),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for step in steps {
        let all = step.wall * f64::from(step.parallel);
        let lanes = &step.lanes;
        rows.add([
            step.parallel.to_string(),
            seconds(step.wall),
            count(step.requests),
            format!("{:.1}", per_second(step.requests, step.wall)),
            share(lanes.quota, all),
            share(lanes.network, all),
            share(lanes.decode, all),
            share(lanes.validate, all),
            share(lanes.for_writer, all),
            share(lanes.idle, all),
        ]);
    }
    rows.write(out)
}

fn writer(out: &mut dyn Write, steps: &[Step], look: Look) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::right("PARALLEL"),
        Column::right("WALL"),
        Column::right("BARS"),
        Column::right("A SECOND").if_room(),
        Column::right("STORE"),
        Column::right("COMPUTE"),
        Column::right("IDLE"),
    ];
    let mut rows = Rows::new(COLUMNS, look);
    for step in steps {
        let writer = &step.writer;
        rows.add([
            step.parallel.to_string(),
            seconds(step.wall),
            count(step.bars),
            format!("{:.0}", per_second(step.bars, step.wall)),
            share(writer.store, step.wall),
            share(writer.compute, step.wall),
            share(writer.idle, step.wall),
        ]);
    }
    rows.write(out)
}

fn per_second(number: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { number as f64 / seconds } else { 0.0 }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2}s")
}

fn share(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.0} %", part / whole * 100.0) } else { "-".to_owned() }
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this shape; fields are only ever added within it.
    schema: u32,
    /// As of when it was told.
    timestamp: String,
    /// The provider's name in the config.
    provider: &'a str,
    /// `[run] parallel.backfill` of the config.
    configured_parallel: u32,
    /// How many symbols each step asked for.
    symbols: u64,
    /// How many requests a step was planned to have; of a provider of kind files, files.
    planned: u64,
    /// How many requests a step may send at most; 0 where files are read.
    most_requests: u64,
    /// How many requests a first backfill of everything has with this provider, about; likewise files.
    whole_requests: u64,
    /// How many requests a second its quota allows in the long run; null without one.
    allowed_per_second: Option<f64>,
    /// A row a step, in the order in which they were made.
    steps: Vec<StepJson>,
    /// What sets the pace at the config's parallelism, else in the last step; null without a step.
    #[schemars(extend("enum" = schema::words_or_null(&Stage::ALL, Stage::as_str)))]
    bottleneck: Option<&'static str>,
    /// The smallest parallelism that takes at most a tenth longer than the fastest; null when no step tells.
    parallel_that_pays: Option<u32>,
    /// How many times as fast that is as the config's; null when that is not known.
    gain: Option<f64>,
    /// Rate-limited answers in all answers, 0..1; null when nothing was asked.
    rate_limited_share: Option<f64>,
    /// All that in sentences, and why steps are missing.
    verdict: &'a [String],
    /// What to do about it, in sentences.
    advice: &'a [String],
}

/// The same requests, so many at once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Step")]
struct StepJson {
    /// How many lanes.
    parallel: u32,
    /// How it ended, as runs do.
    #[schemars(extend("enum" = schema::words(&RunStatus::ALL, RunStatus::as_str)))]
    status: &'static str,
    /// How long it took by the clock.
    wall_seconds: f64,
    /// How many requests were sent; of files, how many pages were read.
    requests: u64,
    /// How many of them were refused for being too many.
    rate_limited: u64,
    /// How many bars were stored.
    bars: u64,
    /// Where the time of all lanes together went: it adds up to `wall_seconds` times `parallel`.
    lanes: LanesJson,
    /// Where the time of the one writer went, at the same time: it adds up to `wall_seconds`.
    writer: WriterJson,
    /// What sets the pace.
    #[schemars(extend("enum" = schema::words(&Stage::ALL, Stage::as_str)))]
    bottleneck: &'static str,
    /// How long a first backfill of everything takes so, about, with its quota; null where not every symbol
    /// came to its end.
    whole_seconds: Option<f64>,
}

/// Where the time of the lanes went.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lanes")]
struct LanesJson {
    /// Waiting for the provider's quota, or as long as it asked to be waited for.
    quota_seconds: f64,
    /// Waiting for answers.
    network_seconds: f64,
    /// Reading answers, or files.
    decode_seconds: f64,
    /// Judging their rows.
    validate_seconds: f64,
    /// Waiting until the writer had room for what was read.
    for_writer_seconds: f64,
    /// With nothing to ask.
    idle_seconds: f64,
}

/// Where the time of the writer went.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Writer")]
struct WriterJson {
    /// Writing rows, with planning and the books at the end.
    store_seconds: f64,
    /// Making features, and looking for what is suspicious.
    compute_seconds: f64,
    /// Waiting for the lanes.
    idle_seconds: f64,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schema::of::<Document<'static>>("mdctl baseline --json")
}

/// Writes the JSON document, as of `now`.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn json(out: &mut dyn Write, baseline: &Baseline, now: i64) -> io::Result<()> {
    let setup = &baseline.setup;
    let document = Document {
        schema: super::SCHEMA,
        timestamp: instant(now),
        provider: &setup.provider,
        configured_parallel: setup.configured,
        symbols: setup.symbols,
        planned: setup.planned,
        most_requests: setup.most,
        whole_requests: setup.whole,
        allowed_per_second: setup.allowed(),
        steps: baseline.steps.iter().map(step_json).collect(),
        bottleneck: baseline.bottleneck.map(Stage::as_str),
        parallel_that_pays: baseline.pays,
        gain: baseline.gain,
        rate_limited_share: baseline.rate_limited_share,
        verdict: &baseline.verdict,
        advice: &baseline.advice,
    };
    super::json(out, &document)
}

const fn step_json(step: &Step) -> StepJson {
    let (lanes, writer) = (&step.lanes, &step.writer);
    StepJson {
        parallel: step.parallel,
        status: step.status.as_str(),
        wall_seconds: step.wall,
        requests: step.requests,
        rate_limited: step.rate_limited,
        bars: step.bars,
        lanes: LanesJson {
            quota_seconds: lanes.quota,
            network_seconds: lanes.network,
            decode_seconds: lanes.decode,
            validate_seconds: lanes.validate,
            for_writer_seconds: lanes.for_writer,
            idle_seconds: lanes.idle,
        },
        writer: WriterJson {
            store_seconds: writer.store,
            compute_seconds: writer.compute,
            idle_seconds: writer.idle,
        },
        bottleneck: step.bottleneck.as_str(),
        whole_seconds: step.whole,
    }
}
