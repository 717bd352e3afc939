//! A run as a trace: run > job > series > fetch, validate, store and compute, sent by OTLP/HTTP.
//!
//! A consumer of events, like log lines and the progress bar. It never fails a run: what does not reach
//! the collector is counted and told once, and waiting for it costs a run less than two seconds in all.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use crate::domain::event::{Event, Took};
use crate::domain::run::{
    Attempt, ComputeFact, Failure, JobOutcome, JobStatus, RunId, RunStatus, Totals,
};
use crate::domain::series::{SeriesKey, Symbol};
use crate::domain::task::About;

mod export;
mod span;

use export::Exporter;
pub use export::Lost;
use span::{Drawn, Node, Pen};

/// The run whose trace it is.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its id.
    pub run_id: &'a RunId,
    /// `backfill` or `enrich`.
    pub command: &'static str,
    /// Who called it.
    pub trigger: &'a str,
    /// The machine's name.
    pub host: &'a str,
}

/// The trace of a run at work.
pub struct Trace {
    exporter: Exporter,
    pen: Pen,
    run: Node,
    /// Jobs at work, and those from whose bars something may follow yet.
    jobs: HashMap<Symbol, Job>,
}

/// A job's span, and those in it: of its series, and of what else is asked of its symbol.
struct Job {
    node: Node,
    parts: BTreeMap<&'static str, Node>,
}

impl Trace {
    /// Begins the trace of a run that is about to begin, for the collector at `endpoint`.
    ///
    /// # Errors
    ///
    /// When nothing can be sent at all, in words.
    pub fn begin(endpoint: &str, run: Run<'_>) -> Result<Self, String> {
        let exporter = Exporter::to(endpoint, run.host)?;
        let pen = Pen::new(exporter.tracer());
        let mut node = pen.root("run");
        node.set("run_id", run.run_id.to_string());
        node.set("command", run.command);
        node.set("trigger", run.trigger.to_owned());
        Ok(Self { exporter, pen, run: node, jobs: HashMap::new() })
    }

    /// Takes note of what happened.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Planned { jobs, requests, .. } => {
                self.run.set("jobs_planned", number(*jobs));
                self.run.set("requests_planned", number(*requests));
            }
            Event::JobStarted { symbol, at } => {
                self.job(symbol, *at);
            }
            Event::PageStored { counts, attempt, validated, stored, .. } => {
                if attempt.part_of.is_none() {
                    self.fetched(attempt, None, &[("rows", counts.fetched)]);
                }
                if let Some(took) = validated {
                    let counts = [("rejected", counts.rejected), ("dropped", counts.dropped)];
                    self.step(attempt, "validate", *took, &counts, None);
                }
                let counts = [("inserted", counts.inserted), ("updated", counts.updated)];
                self.step(attempt, "store", *stored, &counts, None);
            }
            Event::Answered { attempt, rows } => self.fetched(attempt, None, &[("rows", *rows)]),
            Event::AttemptFailed { attempt, retry_in, validated } => {
                self.attempt_failed(attempt, *retry_in, *validated);
            }
            Event::Redirected { attempt } => self.fetched(attempt, None, &[]),
            Event::Failed(failure) => self.failed(failure),
            Event::Narrowed { series, message } if series.symbol.is_every() => {
                self.pen.note(&mut self.run, "asked symbol by symbol", message);
            }
            Event::Narrowed { series, message } => {
                let (pen, part) = self.part(series, About::Bars, None);
                pen.note(part, "narrowed", message);
            }
            Event::Restated { series } => {
                let (pen, part) = self.part(series, About::Bars, None);
                pen.note(part, "restated", "the whole series is fetched again");
            }
            Event::JobToRetry { symbol, error } => {
                let (pen, job) = self.job(symbol, Instant::now());
                pen.note(&mut job.node, "to be tried again", error);
            }
            Event::JobFinished(outcome) => self.job_finished(outcome),
            Event::Computed { fact, took } => self.computed(fact, *took),
            Event::Concluded { symbol } => {
                if let Some(job) = self.jobs.remove(symbol) {
                    self.close(job);
                }
            }
            Event::Ending { reason, .. } => self.pen.note(&mut self.run, "ending", reason),
            Event::Finished { status, totals, .. } => self.finished(*status, totals),
            Event::QuotaWait { .. } | Event::LogGrown { .. } => {}
        }
    }

    /// Ends the trace of a run that ended with that process code, and why when it was aborted; sends what
    /// is not sent yet.
    ///
    /// # Errors
    ///
    /// When spans did not reach the collector.
    pub fn end(mut self, exit: u8, error: Option<&str>) -> Result<(), Lost> {
        for (_, job) in std::mem::take(&mut self.jobs) {
            self.close(job);
        }
        let Self { exporter, pen, mut run, .. } = self;
        run.set("exit_code", i64::from(exit));
        if let Some(error) = error {
            run.fail(error);
        }
        run.reach(Instant::now());
        pen.close(run);
        exporter.finish(pen.drawn())
    }

    /// A job, begun at that instant if it has not.
    fn job(&mut self, symbol: &Symbol, at: Instant) -> (&Pen, &mut Job) {
        let (pen, run) = (&self.pen, &self.run);
        let job = self.jobs.entry(symbol.clone()).or_insert_with(|| {
            let attributes = vec![KeyValue::new("symbol", symbol.to_string())];
            Job { node: pen.open("job", run, at, attributes), parts: BTreeMap::new() }
        });
        (pen, job)
    }

    /// A part of a job, begun at that instant, or where what came before it in the job ended.
    fn part(&mut self, series: &SeriesKey, about: About, at: Option<Instant>) -> (&Pen, &mut Node) {
        let (pen, job) = self.job(&series.symbol, at.unwrap_or_else(Instant::now));
        let at = at.unwrap_or(job.node.until);
        let (name, word) = match about {
            About::Bars => ("series", series.timeframe.as_str()),
            other => (other.as_str(), other.as_str()),
        };
        let node = &job.node;
        let part = job.parts.entry(word).or_insert_with(|| {
            let symbol = KeyValue::new("symbol", series.symbol.to_string());
            pen.open(name, node, at, vec![symbol, KeyValue::new("timeframe", word)])
        });
        (pen, part)
    }

    /// Draws a request.
    fn fetched(&mut self, attempt: &Attempt, error: Option<&str>, counts: &[(&'static str, u64)]) {
        let mut attributes = vec![
            KeyValue::new("provider", attempt.provider.clone()),
            KeyValue::new("attempt", i64::from(attempt.number)),
            KeyValue::new("bytes", number(attempt.bytes)),
        ];
        if let Some(status) = attempt.http_status {
            attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        if let Some(fault) = &attempt.fault {
            attributes.push(KeyValue::new("error.type", fault.kind.as_str()));
        }
        attributes.extend(counts.iter().map(|(name, count)| KeyValue::new(*name, number(*count))));
        let to = attempt.begun + attempt.response_time;
        let took = Took { from: attempt.begun, to };
        let drawn = Drawn { name: "fetch", kind: SpanKind::Client, took, attributes, error };
        if attempt.series.symbol.is_every() {
            // It is no job's own.
            return self.pen.draw(&mut self.run, drawn);
        }
        let (pen, part) = self.part(&attempt.series, attempt.about, Some(took.from));
        pen.draw(part, drawn);
    }

    /// Draws what was done with what came.
    fn step(
        &mut self,
        attempt: &Attempt,
        name: &'static str,
        took: Took,
        counts: &[(&'static str, u64)],
        error: Option<&str>,
    ) {
        let attributes = counts.iter().map(|(name, count)| KeyValue::new(*name, number(*count)));
        let attributes = attributes.collect();
        let (pen, part) = self.part(&attempt.series, attempt.about, Some(took.from));
        pen.draw(part, Drawn { name, kind: SpanKind::Internal, took, attributes, error });
    }

    fn attempt_failed(
        &mut self,
        attempt: &Attempt,
        retry_in: Option<Duration>,
        validated: Option<Took>,
    ) {
        let Some(fault) = &attempt.fault else { return };
        match validated {
            Some(took) => {
                // It came, and could not be true.
                let came = Attempt { fault: None, ..attempt.clone() };
                self.fetched(&came, None, &[]);
                self.step(attempt, "validate", took, &[], Some(&fault.message));
            }
            // What no provider need have is nobody's failure.
            None if attempt.about.is_lacking(fault.kind) => self.fetched(attempt, None, &[]),
            None => {
                let wait = retry_in.map(|wait| ("retry_in_ms", millis(wait)));
                self.fetched(attempt, Some(&fault.message), wait.as_slice());
            }
        }
    }

    fn failed(&mut self, failure: &Failure) {
        let (_, part) = self.part(&failure.series, failure.about, None);
        part.set("stage", failure.stage.as_str());
        part.set("error.type", failure.kind.as_str());
        part.fail(failure.message.clone());
    }

    fn job_finished(&mut self, outcome: &JobOutcome) {
        let now = Instant::now();
        let (_, Job { node, .. }) = self.job(&outcome.symbol, now);
        node.set("status", outcome.status.as_str());
        node.set("retries", i64::from(outcome.retry_count));
        node.set("inserted", number(outcome.records_inserted));
        node.set("updated", number(outcome.records_updated));
        if outcome.status == JobStatus::Failed {
            node.fail(outcome.last_error.clone().unwrap_or_default());
        }
        node.reach(now);
    }

    fn computed(&mut self, fact: &ComputeFact, took: Took) {
        let mut attributes = vec![
            KeyValue::new("features", number(fact.features)),
            KeyValue::new("rows", number(fact.rows)),
            KeyValue::new("worked_ms", number(millis(fact.took))),
        ];
        let error = fact.error.as_deref();
        if error.is_some() {
            attributes.push(KeyValue::new("error.type", "compute"));
        }
        let (pen, part) = self.part(&fact.series, About::Bars, Some(took.from));
        let kind = SpanKind::Internal;
        pen.draw(part, Drawn { name: "compute", kind, took, attributes, error });
    }

    fn finished(&mut self, status: RunStatus, totals: &Totals) {
        let run = &mut self.run;
        run.set("status", status.as_str());
        for (name, count) in [
            ("symbols_total", totals.symbols_total),
            ("successful", totals.successful),
            ("failed", totals.failed),
            ("deferred", totals.deferred),
            ("skipped", totals.skipped),
            ("inserted", totals.records_inserted),
            ("updated", totals.records_updated),
            ("requests", totals.requests),
            ("retried", totals.retried),
            ("rate_limited", totals.rate_limited),
        ] {
            run.set(name, number(count));
        }
        match status {
            RunStatus::Partial | RunStatus::Failed => {
                run.fail(format!("{} of {} jobs failed", totals.failed, totals.symbols_total));
            }
            RunStatus::Interrupted => run.fail("stopped by a signal"),
            _ => {}
        }
    }

    /// Ends a job with its parts.
    fn close(&mut self, mut job: Job) {
        for (_, part) in std::mem::take(&mut job.parts) {
            job.node.reach(part.until);
            self.pen.close(part);
        }
        self.run.reach(job.node.until);
        self.pen.close(job.node);
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
