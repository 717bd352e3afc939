//! Markets with synthetic bars, and providers that answer for them as the real ones do.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, Offset as _, TimeZone as _, Weekday};
use chrono_tz::America::New_York;
use serde_json::{Value, json};

use super::server::{Answer, Request};

pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The holidays of New York in 2024, as far as tests get.
const HOLIDAYS: [&str; 5] = ["2024-01-01", "2024-01-15", "2024-02-19", "2024-03-29", "2024-05-27"];

/// One bar, made up from its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// As it is to be stored: for days 00:00 UTC of the session's date.
    pub(crate) ts: i64,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: f64,
    pub(crate) vwap: f64,
    pub(crate) trades: i64,
}

/// The bar of that time: the same for whoever asks.
pub(crate) fn row(ts: i64) -> Row {
    let open = 100.0 + (ts / HOUR).rem_euclid(211) as f64 * 0.25;
    Row {
        ts,
        open,
        high: open + 2.0,
        low: open - 1.5,
        close: open + 0.5,
        volume: 1_000.0 + (ts / 60).rem_euclid(997) as f64,
        vwap: open + 0.25,
        trades: 10 + (ts / HOUR).rem_euclid(89),
    }
}

/// The bars of those times.
pub(crate) fn rows(times: &[i64]) -> Vec<Row> {
    times.iter().copied().map(row).collect()
}

/// A date as a bar's time.
pub(crate) fn day(date: &str) -> i64 {
    naive(date).and_time(NaiveTime::MIN).and_utc().timestamp()
}

/// An RFC 3339 instant in epoch seconds.
pub(crate) fn instant(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).expect("an instant").timestamp()
}

/// A bar's time as a date.
pub(crate) fn date(ts: i64) -> String {
    utc(ts).date_naive().to_string()
}

/// A bar's time as RFC 3339.
pub(crate) fn rfc3339(ts: i64) -> String {
    utc(ts).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The sessions of New York from one date to another, both included.
pub(crate) fn sessions(from: &str, to: &str) -> Vec<i64> {
    let days = naive(from).iter_days().take_while(|date| *date <= naive(to));
    days.filter(|date| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun))
        .map(|date| date.to_string())
        .filter(|date| !HOLIDAYS.contains(&date.as_str()))
        .map(|date| day(&date))
        .collect()
}

/// Every full hour from one instant up to, not including, another.
pub(crate) fn hours(from: &str, to: &str) -> Vec<i64> {
    (instant(from)..instant(to)).step_by(3_600).collect()
}

fn naive(date: &str) -> NaiveDate {
    date.parse().expect("a date")
}

fn utc(ts: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp(ts, 0).expect("a time")
}

/// What a provider has, by symbol and timeframe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Market {
    series: BTreeMap<(String, String), Vec<Row>>,
    page: Option<usize>,
    adjusted: bool,
    /// Rows of splits, rows of dividends, and what it is, by symbol.
    known: BTreeMap<String, [Value; 3]>,
}

impl Market {
    /// A market without bars.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One whose symbols all have the same daily bars.
    pub(crate) fn daily(symbols: &[&str], days: &[i64]) -> Self {
        symbols.iter().fold(Self::new(), |market, symbol| market.with(symbol, "1d", rows(days)))
    }

    /// The same with a series.
    pub(crate) fn with(mut self, symbol: &str, timeframe: &str, rows: Vec<Row>) -> Self {
        self.series.insert((symbol.to_owned(), timeframe.to_owned()), rows);
        self
    }

    /// The same in pages of so many rows, however many are asked for.
    pub(crate) fn paged(mut self, rows: usize) -> Self {
        self.page = Some(rows);
        self
    }

    /// The same, said to be adjusted for splits.
    pub(crate) fn adjusted(mut self) -> Self {
        self.adjusted = true;
        self
    }

    /// The same, where a symbol's splits (date, old shares, new ones), its dividends (date, cash) and what
    /// it is are known.
    pub(crate) fn knowing(
        mut self,
        symbol: &str,
        splits: &[(&str, f64, f64)],
        dividends: &[(&str, f64)],
    ) -> Self {
        let splits = splits.iter().map(|(date, from, to)| {
            json!({ "execution_date": date, "split_from": from, "split_to": to, "ticker": symbol })
        });
        let dividends = dividends.iter().map(|(date, cash)| {
            json!({
                "ex_dividend_date": date, "cash_amount": cash, "currency": "USD",
                "dividend_type": "CD", "frequency": 4, "ticker": symbol,
            })
        });
        let listing = json!({
            "ticker": symbol, "name": format!("{symbol} Inc."), "market": "stocks",
            "primary_exchange": "XNAS", "type": "CS", "active": true, "currency_name": "usd",
            "list_date": "1980-12-12",
        });
        let known = [splits.collect(), dividends.collect(), listing];
        self.known.insert(symbol.to_owned(), known);
        self
    }

    /// Answers what polygon is asked besides bars; a symbol that is not known is not found. Without a symbol
    /// a list is of all of them, by date.
    fn reference(&self, request: &Request, about: &str) -> Answer {
        let (list, symbol) = match about.strip_prefix("tickers/") {
            Some(symbol) => (2, symbol),
            None => match request.parameter("ticker") {
                Some(symbol) => (usize::from(about == "dividends"), symbol),
                None => return self.by_date(request, about),
            },
        };
        match self.known.get(symbol) {
            Some(known) => Answer::ok(reference_body(known[list].clone(), None).to_string()),
            None => Answer::status(404, r#"{"status":"NOT_FOUND","message":"Ticker not found."}"#),
        }
    }

    /// Answers with the splits or dividends of all symbols, oldest first, a page at a time.
    fn by_date(&self, request: &Request, about: &str) -> Answer {
        let (list, date) = match about {
            "splits" => (0, "execution_date"),
            _ => (1, "ex_dividend_date"),
        };
        let cursor = request.parameter("cursor").and_then(|cursor| cursor.split_once('~'));
        let asked_from = request.parameter(&format!("{date}.gte")).unwrap_or_default();
        let (from, begin) = cursor.map_or((asked_from, 0), |(from, begin)| {
            (from, begin.parse().expect("one of these cursors"))
        });
        let of_list = |known: &[Value; 3]| known[list].as_array().cloned().unwrap_or_default();
        let mut rows: Vec<Value> = self.known.values().flat_map(of_list).collect();
        rows.retain(|row| row[date].as_str() >= Some(from));
        rows.sort_by_key(|row| row[date].as_str().map(str::to_owned));
        let end = begin + self.page.unwrap_or(1_000);
        let next = format!("https://api.massive.com/v3/reference/{about}?cursor={from}~{end}");
        let next = (end < rows.len()).then_some(next);
        let page = rows.into_iter().skip(begin).take(end - begin).collect();
        Answer::ok(reference_body(page, next.as_deref()).to_string())
    }

    fn rows(&self, symbol: &str, timeframe: &str) -> &[Row] {
        let key = (symbol.to_owned(), timeframe.to_owned());
        self.series.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Answers as polygon does: `from` and `to` inclusive, as dates or milliseconds, pages chained by
    /// a `next_url` on its own host, an unknown symbol empty.
    pub(crate) fn polygon(&self, request: &Request) -> Answer {
        if let Some(about) = request.path.strip_prefix("/v3/reference/") {
            return self.reference(request, about);
        }
        if let Some(day) = grouped_day(request) {
            return Answer::ok(self.grouped(request, &day).to_string());
        }
        let Some(asked) = PolygonAsk::of(request) else {
            return Answer::status(404, r#"{"status":"NOT_FOUND","message":"no such path"}"#);
        };
        let held = self.rows(&asked.symbol, &asked.timeframe);
        let (from, to) = (asked.first_millis(), asked.last_millis());
        let found: Vec<&Row> =
            held.iter().filter(|row| (from..=to).contains(&asked.stamp(row.ts))).collect();
        let limit = request.parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(5_000);
        let page = self.page.unwrap_or(limit).min(limit);
        let results = found.iter().take(page).map(|row| asked.result(row)).collect();
        let next = found.get(page).map(|row| asked.next_url(asked.stamp(row.ts), limit));
        let mut body = polygon_body(&asked.symbol, results, next);
        body["adjusted"] = self.adjusted.into();
        Answer::ok(body.to_string())
    }

    /// The day of every symbol that has it, as polygon gives it: stamped with the session's end.
    fn grouped(&self, request: &Request, date: &str) -> Value {
        let (prefix, end) = match request.path.split('/').nth(7) {
            Some("crypto") => ("X:", DAY * 1_000 - 1),
            Some("fx") => ("C:", DAY * 1_000 - 1),
            _ => ("", 21 * HOUR * 1_000),
        };
        let ts = day(date);
        let daily = self.series.iter().filter(|((symbol, timeframe), _)| {
            timeframe == "1d"
                && symbol.starts_with(prefix)
                && (prefix == "X:" || !symbol.starts_with("X:"))
        });
        let rows = daily.filter_map(|((symbol, _), rows)| {
            Some((symbol, rows.iter().find(|row| row.ts == ts)?))
        });
        let results = rows.map(|(symbol, row)| {
            json!({
                "T": symbol, "t": ts * 1_000 + end, "o": row.open, "h": row.high, "l": row.low,
                "c": row.close, "v": row.volume, "vw": row.vwap, "n": row.trades,
            })
        });
        let mut body = polygon_body("", results.collect(), None);
        body.as_object_mut().expect("an object").remove("ticker");
        body["adjusted"] = self.adjusted.into();
        body
    }

    /// Answers as binance does: both ends inclusive, compared with the open time, ascending, at most
    /// `limit` rows.
    pub(crate) fn binance(&self, request: &Request) -> Answer {
        let number = |name| request.parameter(name).and_then(|text| text.parse::<i64>().ok());
        let (Some(symbol), Some(interval)) =
            (request.parameter("symbol"), request.parameter("interval"))
        else {
            return Answer::status(400, r#"{"code":-1102,"msg":"a parameter is missing"}"#);
        };
        let range = number("startTime").unwrap_or(0)..=number("endTime").unwrap_or(i64::MAX);
        let limit = usize::try_from(number("limit").unwrap_or(500)).expect("a limit").min(1_000);
        let length = if interval == "1d" { DAY } else { HOUR };
        let found = self.rows(symbol, interval).iter();
        let rows: Vec<Value> = found
            .filter(|row| range.contains(&(row.ts * 1_000)))
            .take(limit)
            .map(|row| kline(row, length))
            .collect();
        Answer::ok(Value::from(rows).to_string())
    }
}

/// The date of which a request to polygon asks for a whole market.
pub(crate) fn grouped_day(request: &Request) -> Option<String> {
    let date = request.path.strip_prefix("/v2/aggs/grouped/locale/")?.rsplit('/').next()?;
    Some(date.to_owned())
}

/// What a request to polygon asks for.
pub(crate) struct PolygonAsk {
    pub(crate) symbol: String,
    pub(crate) timeframe: String,
    pub(crate) from: String,
    pub(crate) to: String,
    span: String,
}

impl PolygonAsk {
    /// Reads a request; `None` when it asks for something else.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let rest = request.path.strip_prefix("/v2/aggs/ticker/")?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [symbol, "range", multiplier, timespan, from, to] = parts[..] else { return None };
        let letter = match timespan {
            "minute" => 'm',
            "hour" => 'h',
            "day" => 'd',
            _ => return None,
        };
        Some(Self {
            symbol: symbol.to_owned(),
            timeframe: format!("{multiplier}{letter}"),
            from: from.to_owned(),
            to: to.to_owned(),
            span: format!("{multiplier}/{timespan}"),
        })
    }

    fn daily(&self) -> bool {
        self.timeframe == "1d"
    }

    /// How this bar is stamped: days of shares at midnight in New York, others as they are.
    pub(crate) fn stamp(&self, ts: i64) -> i64 {
        if self.daily() && !self.symbol.starts_with("X:") {
            let midnight = utc(ts).naive_utc();
            let zone = New_York.offset_from_local_datetime(&midnight).earliest();
            let offset = zone.expect("midnight exists").fix().local_minus_utc();
            return (ts - i64::from(offset)) * 1_000;
        }
        ts * 1_000
    }

    fn first_millis(&self) -> i64 {
        self.from.parse().unwrap_or_else(|_| self.stamp(day(&self.from)))
    }

    fn last_millis(&self) -> i64 {
        self.to.parse().unwrap_or_else(|_| self.stamp(day(&self.to) + DAY) - 1)
    }

    /// One aggregate.
    pub(crate) fn result(&self, row: &Row) -> Value {
        json!({
            "t": self.stamp(row.ts), "o": row.open, "h": row.high, "l": row.low, "c": row.close,
            "v": row.volume, "vw": row.vwap, "n": row.trades,
        })
    }

    fn next_url(&self, from_millis: i64, limit: usize) -> String {
        format!(
            "https://api.polygon.io/v2/aggs/ticker/{}/range/{}/{from_millis}/{}?cursor=bGltaXQ&limit={limit}",
            self.symbol, self.span, self.to
        )
    }
}

/// Polygon's envelope around rows.
pub(crate) fn polygon_body(symbol: &str, results: Vec<Value>, next: Option<String>) -> Value {
    let mut body = json!({
        "ticker": symbol, "queryCount": results.len(), "resultsCount": results.len(),
        "adjusted": false, "status": "OK", "request_id": "6a7e466379af0a71039d60cc78e72282",
    });
    if !results.is_empty() {
        body["count"] = json!(results.len());
        body["results"] = results.into();
    }
    if let Some(next) = next {
        body["next_url"] = next.into();
    }
    body
}

/// Polygon's envelope around reference data.
pub(crate) fn reference_body(results: Value, next: Option<&str>) -> Value {
    let mut body = json!({
        "results": results, "status": "OK", "request_id": "b52de486daf5491e6b9ebdf5e0bf65bc",
    });
    if let Some(next) = next {
        body["next_url"] = next.into();
    }
    body
}

/// One row of binance.
pub(crate) fn kline(row: &Row, length: i64) -> Value {
    let text = |value: f64| format!("{value:.8}");
    json!([
        row.ts * 1_000,
        text(row.open),
        text(row.high),
        text(row.low),
        text(row.close),
        text(row.volume),
        (row.ts + length) * 1_000 - 1,
        text(row.volume * row.vwap),
        row.trades,
        text(row.volume / 2.0),
        text(row.volume / 2.0 * row.vwap),
        "0",
    ])
}
