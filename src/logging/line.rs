//! How a line is written: as text for people, with how grave it is for systemd's journal, or as one JSON
//! object for machines. The run's id stands in each of them, at the top.

use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock};

use serde::Serializer as _;
use serde::ser::SerializeMap as _;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;
use crate::domain::run::RunId;
use crate::domain::words::instant;

/// Who reads the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// People.
    Text {
        /// Whether there may be colours.
        colour: bool,
    },
    /// Machines: one object a line.
    Json,
}

/// Writes lines.
pub(super) struct Line {
    pub(super) form: Form,
    /// Whether each begins with systemd's mark of how grave it is.
    pub(super) journal: bool,
    /// The run, once it has begun.
    pub(super) run: Arc<OnceLock<RunId>>,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let mut said = Said::default();
        event.record(&mut said);
        if let Some(run) = self.run.get() {
            said.fields.push(("run_id", run.0.clone().into()));
        }
        if self.journal {
            write!(writer, "<{}>", priority(level))?;
        }
        let line = match self.form {
            Form::Json => said.json(level)?,
            Form::Text { .. } if self.journal => said.text(false),
            Form::Text { colour } => said.stamped(level, colour),
        };
        writeln!(writer, "{line}")
    }
}

/// What a line says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Said {
    fn json(&self, level: Level) -> Result<String, fmt::Error> {
        let mut line = Vec::new();
        self.object(level, &mut line).map_err(|_| fmt::Error)?;
        String::from_utf8(line).map_err(|_| fmt::Error)
    }

    fn object(&self, level: Level, line: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut writer = serde_json::Serializer::new(line);
        let mut object = writer.serialize_map(None)?;
        object.serialize_entry("timestamp", &instant(clock::now()))?;
        object.serialize_entry("level", level.as_str())?;
        object.serialize_entry("message", &self.message)?;
        for (name, value) in &self.fields {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }

    /// The text with the time and how grave it is before it.
    fn stamped(&self, level: Level, colour: bool) -> String {
        let (time, text) = (instant(clock::now()), self.text(colour));
        if !colour {
            return format!("{time} {level:>5} {text}");
        }
        format!("{DIM}{time}{PLAIN} {}{level:>5}{PLAIN} {text}", colour_of(level))
    }

    /// The message and what it is about, on one line, whatever stands in it.
    fn text(&self, colour: bool) -> String {
        let (dim, plain) = if colour { (DIM, PLAIN) } else { ("", "") };
        let mut text = on_one_line(&self.message);
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let gap = if index == 0 { "  " } else { " " };
            // Nothing fails that is written to a string.
            let _ = write!(text, "{gap}{dim}{name}={plain}{}", shown(value));
        }
        text
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.fields.push((field.name(), value.into()));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), value.into()));
    }
}

const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

const fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        _ => "\u{1b}[34m",
    }
}

/// How grave it is by the scale of syslog, which systemd's journal shares.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// A value in text: in quotes where it would not read as one.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let is_one = |letter: char| !letter.is_whitespace() && !"\"=".contains(letter);
            if !text.is_empty() && text.chars().all(is_one) {
                return on_one_line(text);
            }
            format!("\"{}\"", on_one_line(&text.replace('"', "\\\"")))
        }
        other => other.to_string(),
    }
}

/// The text with everything escaped that could end the line, move the cursor or turn the reading.
fn on_one_line(text: &str) -> String {
    let is_harmful = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut line, letter| {
        if is_harmful(letter) {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line_whatever_stands_in_it() {
        let said = Said {
            message: "all well\nERROR \u{1b}[2Jnot\u{9b}2J so\u{202e}\r\u{2028}".to_owned(),
            fields: vec![
                ("symbol", "AAA".into()),
                ("kind", "a b=\"c\"\n".into()),
                ("attempt", 2.into()),
                ("empty", "".into()),
            ],
        };
        let text = said.text(false);
        assert_eq!(
            text,
            "all well\\nERROR \\u{1b}[2Jnot\\u{9b}2J so\\u{202e}\\r\\u{2028}  symbol=AAA \
             kind=\"a b=\\\"c\\\"\\n\" attempt=2 empty=\"\""
        );
        let coloured = said.stamped(Level::WARN, true);
        let marks = [DIM, PLAIN, "\u{1b}[33m"];
        let bare = marks.iter().fold(coloured, |text, mark| text.replace(mark, ""));
        assert!(bare.ends_with(&text) && !bare.contains(char::is_control), "{bare:?}");
    }

    #[test]
    fn an_object_bears_its_fields_at_the_top() {
        let said = Said {
            message: "a \"b\"\n".to_owned(),
            fields: vec![("attempt", 2.into()), ("run_id", "01J".into())],
        };
        let line = said.json(Level::INFO).unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["message"], "a \"b\"\n");
        assert_eq!((&object["attempt"], &object["run_id"]), (&2.into(), &"01J".into()));
        assert_eq!(object["level"], "INFO");
        assert!(!line.contains('\n'), "{line}");
    }
}
