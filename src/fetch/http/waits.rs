//! How long a server asks to be left alone, by its headers, and how much of that is believed.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest wait that is believed: an exchange's bans last up to three days. A longer one is a
/// mistake or malice, and would silence a provider for as long as the sender likes.
const LONGEST_WAIT: Duration = Duration::from_secs(72 * 3_600);

/// Requests that are left of the quota, and when it is full again, epoch seconds.
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

/// Weight used of the current minute's 6000, on every answer of binance; a request weighs 2.
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";

/// Weight at which the minute counts as used up: what is left is for the requests in flight.
const MOST_WEIGHT: u64 = 5_900;

/// What the head of an answer says of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// How long the server asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// How long until a quota that is used up is full again.
    pub(super) quota_reset_in: Option<Duration>,
    /// The server's own clock, epoch seconds UTC.
    pub(super) server_now: Option<i64>,
}

impl Waits {
    /// Reads the head of an answer with `status` that came at `now`.
    pub(super) fn of(status: u16, headers: &HeaderMap, now: i64) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let server_now = text(DATE.as_str()).and_then(http_date);
        let reset = text(RESET).and_then(|text| text.parse().ok()).and_then(|at| until(at, now));
        let used_up = text(REMAINING).is_some_and(|left| left.parse() == Ok(0));
        let weight = text(USED_WEIGHT).and_then(|text| text.parse::<u64>().ok());
        let rest_of_minute = || 60 - server_now.unwrap_or(now).rem_euclid(60).unsigned_abs();
        let minute = weight
            .filter(|used| *used >= MOST_WEIGHT)
            .map(|_| Duration::from_secs(rest_of_minute()));
        let asked = text(RETRY_AFTER.as_str()).and_then(|text| retry_after(text, now));
        Self {
            retry_after: asked.or_else(|| reset.filter(|_| status == 429)),
            quota_reset_in: reset.filter(|_| used_up).max(minute),
            server_now,
        }
    }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: i64) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    Some(until(http_date(text)?, now).unwrap_or_default())
}

/// From `now` until `at`, both epoch seconds; `None` when that is past.
fn until(at: i64, now: i64) -> Option<Duration> {
    let wait = u64::try_from(at.saturating_sub(now)).ok()?;
    Some(Duration::from_secs(wait).min(LONGEST_WAIT))
}

fn http_date(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: i64 = 1_445_412_470;

    fn waits(status: u16, headers: &[(&str, &str)]) -> Waits {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        Waits::of(status, &headers.collect(), NOW)
    }

    fn seconds(wait: Option<Duration>) -> Option<u64> {
        wait.map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of = |text: &str| seconds(retry_after(text, NOW));
        assert_eq!(of("7"), Some(7));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(10));
        assert_eq!(of("Wed, 21 Oct 2015 07:27:00 GMT"), Some(0), "that is past");
        for text in ["soon", "-5", "", "1e9", "7.5", "Wed, 99 Oct 2015 99:28:00 GMT"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn no_wait_is_longer_than_three_days() {
        let of = |text: &str| seconds(retry_after(text, NOW));
        for text in ["18446744073709551615", "1000000000", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(of(text), Some(259_200), "{text}");
        }
        assert_eq!(of("99999999999999999999"), None, "no number");
        let far = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9223372036854775807")];
        assert_eq!(seconds(waits(200, &far).quota_reset_in), Some(259_200));
    }

    #[test]
    fn a_quota_that_is_used_up_says_when_it_is_full_again() {
        let reset = ("x-ratelimit-reset", "1445412500");
        let used_up = waits(200, &[("x-ratelimit-remaining", "0"), reset]);
        assert_eq!((used_up.retry_after, seconds(used_up.quota_reset_in)), (None, Some(30)));
        let left = waits(200, &[("x-ratelimit-remaining", "12"), reset]);
        assert_eq!(left, Waits::default());
        assert_eq!(seconds(waits(429, &[reset]).retry_after), Some(30));
        let both = waits(429, &[reset, ("retry-after", "5")]);
        assert_eq!(seconds(both.retry_after), Some(5), "the plainer word counts");
        for past in ["1445412469", "-9223372036854775808", "x"] {
            let past = waits(429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", past)]);
            assert_eq!(past, Waits::default());
        }
    }

    #[test]
    fn a_minutes_weight_that_is_used_up_lasts_till_the_minutes_end() {
        let of = |weight: &str, date: &str| {
            seconds(waits(200, &[("x-mbx-used-weight-1m", weight), ("date", date)]).quota_reset_in)
        };
        assert_eq!(of("5899", "Wed, 21 Oct 2015 07:27:50 GMT"), None);
        assert_eq!(of("5900", "Wed, 21 Oct 2015 07:27:55 GMT"), Some(5));
        assert_eq!(of("5900", "yesterday"), Some(10), "by the own clock");
        assert_eq!(of("-1", ""), None);
    }
}
