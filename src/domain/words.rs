//! Instants, lengths of time, counts and prices in words; paths in commands.

use std::path::Path;

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat};

use super::timeframe::DAY;

/// An instant in UTC, RFC 3339, to the second.
#[must_use]
pub fn instant(at: i64) -> String {
    let mut text = String::with_capacity("2000-01-01T00:00:00Z".len());
    push_instant(&mut text, at);
    text
}

/// Likewise, behind what stands in `text`.
pub fn push_instant(text: &mut String, at: i64) {
    let Some(date) = i32::try_from(at.div_euclid(DAY))
        .ok()
        .and_then(NaiveDate::from_epoch_days)
        .filter(|date| (0..10_000).contains(&date.year()))
    else {
        return text.push_str(&far_instant(at));
    };
    // A report tells tens of thousands of them: digit by digit is many times as fast as by a format.
    let second = at.rem_euclid(DAY).unsigned_abs();
    let year = u64::from(date.year().unsigned_abs());
    let parts = [
        (year / 100, None),
        (year % 100, Some('-')),
        (u64::from(date.month()), Some('-')),
        (u64::from(date.day()), Some('T')),
        (second / 3_600, Some(':')),
        (second / 60 % 60, Some(':')),
        (second % 60, Some('Z')),
    ];
    for (value, behind) in parts {
        let digit = |digit: u64| char::from(b'0' + (digit % 10) as u8);
        text.push(digit(value / 10));
        text.push(digit(value));
        text.extend(behind);
    }
}

/// One whose year has not four digits, or that no calendar has.
fn far_instant(at: i64) -> String {
    DateTime::from_timestamp(at, 0)
        .map_or_else(|| at.to_string(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Likewise, or a dash.
#[must_use]
pub fn instant_or_dash(at: Option<i64>) -> String {
    at.map_or_else(|| "-".to_owned(), instant)
}

/// A length of time in its two largest units, `3d 4h`.
#[must_use]
pub fn span(seconds: i64) -> String {
    const UNITS: [(i64, &str); 5] =
        [(31_557_600, "y"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = seconds.max(0);
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0s".to_owned();
    };
    let (unit, name) = UNITS[first];
    let mut words = format!("{}{name}", seconds / unit);
    if let Some((smaller, name)) = UNITS.get(first + 1) {
        let rest = seconds % unit / smaller;
        if rest > 0 {
            words.push_str(&format!(" {rest}{name}"));
        }
    }
    words
}

/// A count with its thousands apart, `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun, `1 symbol`, `3 symbols`.
#[must_use]
pub fn counted(value: u64, noun: &str) -> String {
    let s = if value == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(value))
}

/// Bytes in the largest fitting unit.
#[must_use]
pub fn bytes(value: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if value >= unit {
            return format!("{:.1} {name}", value as f64 / unit as f64);
        }
    }
    format!("{value} B")
}

/// A path as a shell takes it.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@,:=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('-') {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_two_units_at_most() {
        assert_eq!(span(0), "0s");
        assert_eq!(span(59), "59s");
        assert_eq!(span(3_660), "1h 1m");
        assert_eq!(span(90_000), "1d 1h");
        assert_eq!(span(86_400 + 59), "1d");
    }

    #[test]
    fn instants_are_those_of_rfc_3339_near_and_far() {
        assert_eq!(instant(0), "1970-01-01T00:00:00Z");
        assert_eq!(instant(951_827_696), "2000-02-29T12:34:56Z");
        let first_and_last = [-62_167_219_200, 253_402_300_799];
        let around = first_and_last.iter().flat_map(|at| [at - 1, *at, at + 1]);
        let leaps = (0..4_000).map(|step| -3_000_000_000 + step * 1_728_001);
        for at in around.chain(leaps) {
            assert_eq!(instant(at), far_instant(at), "{at}");
        }
        assert_eq!(instant(i64::MAX), i64::MAX.to_string());
        assert_eq!(instant(i64::MIN), i64::MIN.to_string());
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "bar"), "1 bar");
        assert_eq!(counted(1000, "bar"), "1,000 bars");
    }

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted(Path::new("/a/b-c.key")), "/a/b-c.key");
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
        assert_eq!(quoted(Path::new("-x")), "'-x'");
    }
}
