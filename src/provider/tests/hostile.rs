//! Bodies that nobody would send: reading them may fail, and never ends the program.

use proptest::prelude::*;

use super::synthetic::ALL_BODIES;
use super::*;
use crate::domain::range::TimeRange;

/// What may stand where a number or a word stood.
const NASTY: &[&str] = &[
    "",
    "null",
    "-1",
    "0",
    "1e308",
    "-1e999",
    "9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775",
    "8210266876799",
    "-8334601228800000",
    "18446744073709551616",
    "NaN",
    "[]",
    "{}",
    "\"\"",
    "\"-292277022657-01-27T08:29:52Z\"",
    "\u{1b}[2J\u{202e}",
];

/// Reads a body in every way that a provider is asked, and judges what it says of it.
fn read_every_way(provider: &'static dyn Provider, symbol: &str, status: u16, body: &str) {
    for &asset_class in provider.asset_classes() {
        for timeframe in Timeframe::ALL {
            read_shown(&case(provider.kind(), symbol, asset_class, timeframe), status, body);
        }
        for &about in provider.topics(asset_class) {
            let days = case(provider.kind(), symbol, asset_class, Timeframe::D1);
            read_shown(&Case { about, ..days }, status, body);
        }
    }
}

fn read_shown(asked: &Case, status: u16, body: &str) {
    match asked.read(status, body) {
        Ok(page) => {
            for answer in &page.answers {
                answer.broken.iter().for_each(|row| assert_shown(&row.text));
                let Some(listing) = &answer.declared.listing else { continue };
                let texts = [&listing.name, &listing.exchange, &listing.currency, &listing.kind];
                texts.into_iter().flatten().for_each(|text| assert_shown(text));
            }
        }
        Err(fault) => assert_shown(&fault.message),
    }
}

/// At most 500 characters, and the mark that there were more; none that moves the cursor or turns the
/// line round.
fn assert_shown(text: &str) {
    assert!(text.chars().count() <= 501, "{} characters", text.chars().count());
    assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
}

/// The pieces of a body between which something may be put: words and numbers, and what is between.
fn pieces(body: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    let mut pieces = Vec::new();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        let in_word = is_word(first);
        let end = rest.find(|c| is_word(c) != in_word).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The symbol that a synthetic answer is for.
fn symbol_in(body: &str) -> &'static str {
    let known = ["AAA/USD", "AAA", "XBTUSD", "TEST"];
    known.into_iter().find(|symbol| body.contains(symbol)).unwrap_or("XBTUSD")
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(status in 100..1_000u16, body in "\\PC{0,200}") {
        for provider in ALL {
            read_every_way(*provider, "TEST", status, &body);
            read_every_way(*provider, "TEST", 200, &body);
        }
    }

    #[test]
    fn spoiled_answers_are_read_or_refused(
        which in prop::sample::select(ALL_BODIES),
        spots in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(NASTY)), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (kind, status, body) = which;
        let mut spoiled = pieces(body);
        for (spot, nasty) in spots {
            let spot = spot.index(spoiled.len());
            spoiled[spot] = nasty;
        }
        if let Some(cut) = cut {
            spoiled.truncate(cut.index(spoiled.len()));
        }
        let provider = of_kind(kind).unwrap();
        read_every_way(provider, symbol_in(body), status, &spoiled.concat());
        read_every_way(provider, symbol_in(body), 200, &spoiled.concat());
    }

    #[test]
    fn any_range_is_put_into_words(start in any::<i64>(), end in any::<i64>(), limit in any::<u32>()) {
        for provider in ALL {
            for timeframe in Timeframe::ALL {
                let mut asked = case(provider.kind(), "A/B?c=%2e..", provider.asset_classes()[0], timeframe);
                asked.range = TimeRange::new(start, end);
                asked.page_limit = limit;
                prop_assert!(asked.wording().starts_with('/'));
                provider.reach(timeframe, limit);
            }
        }
    }

    #[test]
    fn any_next_url_stays_with_its_series(url in "(https://a\\.b)?(/v2/aggs/ticker/TEST/range/1/day/)?[/.%2eE?&=a-z0-9\\\\\t-]{0,30}") {
        let days = case("polygon", "TEST", AssetClass::Stock, Timeframe::D1);
        let body = serde_json::json!({ "status": "OK", "next_url": url }).to_string();
        if let Ok(Page { next: Some(Cursor::Path(path)), .. }) = days.read(200, &body) {
            let place = path.split('?').next().unwrap();
            let ends = place.strip_prefix("/v2/aggs/ticker/TEST/range/1/day/").unwrap();
            prop_assert!(ends.chars().all(|c| c.is_ascii_digit() || "-/".contains(c)), "{}", path);
        }
    }
}

/// Reads what became of an answer, and judges what it says; it brings no more bars than rows were sent.
fn check_spoiled(kind: &str, status: u16, whole: &str, spoiled: &str, most_rows: usize) {
    let class = of_kind(kind).unwrap().asset_classes()[0];
    for timeframe in [Timeframe::D1, Timeframe::H1] {
        let asked = case(kind, symbol_in(whole), class, timeframe);
        match asked.read(status, spoiled) {
            Err(fault) => assert_shown(&fault.message),
            Ok(page) => {
                let bars: usize = page.answers.iter().map(|answer| answer.bars.len()).sum();
                assert!(bars <= most_rows, "{bars} bars of {most_rows} rows: {spoiled}");
                let broken = page.answers.iter().flat_map(|answer| &answer.broken);
                broken.for_each(|row| assert_shown(&row.text));
            }
        }
    }
}

/// More rows than any of the synthetic answers has.
const ROWS: usize = 5;

#[test]
fn an_answer_that_is_cut_anywhere_is_read_or_refused() {
    for (kind, status, body) in ALL_BODIES {
        for cut in (0..body.len()).filter(|cut| body.is_char_boundary(*cut)) {
            check_spoiled(kind, *status, body, &body[..cut], ROWS);
            check_spoiled(kind, *status, body, &body[cut..], ROWS);
        }
    }
}

#[test]
fn an_answer_with_a_bit_flipped_anywhere_is_read_or_refused() {
    for (kind, status, body) in ALL_BODIES {
        for spot in (0..body.len()).filter(|spot| body.as_bytes()[*spot].is_ascii()) {
            let mut bytes = body.as_bytes().to_vec();
            bytes[spot] ^= 1 << (spot % 7);
            check_spoiled(kind, *status, body, str::from_utf8(&bytes).unwrap(), ROWS);
        }
    }
}

#[test]
fn an_answer_whose_parts_are_said_twice_is_read_or_refused() {
    for (kind, status, body) in ALL_BODIES {
        let pieces = pieces(body);
        for first in 0..pieces.len() {
            // A word, a name with its value, a row of a few columns.
            for length in [1, 4, 9] {
                let last = (first + length).min(pieces.len());
                let twice = [&pieces[..last], &pieces[first..]].concat().concat();
                check_spoiled(kind, *status, body, &twice, 2 * ROWS);
            }
        }
    }
}

#[test]
fn a_page_of_more_rows_than_any_provider_sends_is_malformed() {
    let of = |kind: &str, body: String| {
        let asked = case(kind, "TEST", of_kind(kind).unwrap().asset_classes()[0], Timeframe::H1);
        asked.refusal(200, &body)
    };
    let many = |row: &str| vec![row; 100_001].join(",");
    let row = "[1,\"1\",\"1\",\"1\",\"1\",\"1\",1,\"1\",1,1,1,1]";
    assert_eq!(of("binance", format!("[{}]", many(row))), ErrorKind::Malformed);
    assert_eq!(of("coinbase", format!("[{}]", many("[1,1,1,1,1,1]"))), ErrorKind::Malformed);
    let rows = many("[1,\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",1]");
    let body = format!(r#"{{"error":[],"result":{{"TEST":[{rows}],"last":9}}}}"#);
    assert_eq!(of("kraken", body), ErrorKind::Malformed);
    let rows = many(r#"{"t":1,"o":1,"h":1,"l":1,"c":1}"#);
    let body = format!(r#"{{"status":"OK","results":[{rows}]}}"#);
    assert_eq!(of("polygon", body), ErrorKind::Malformed);
    let rows = many(r#"{"t":"2024-01-02T00:00:00Z","o":1,"h":1,"l":1,"c":1,"v":1}"#);
    let body = format!(r#"{{"bars":{{"TEST":[{rows}]}}}}"#);
    assert_eq!(of("alpaca", body), ErrorKind::Malformed);
    let ones = many("1");
    let body = format!(
        r#"{{"chart":{{"result":[{{"meta":{{}},"timestamp":[{ones}],"indicators":{{"quote":[{{}}]}}}}]}}}}"#
    );
    assert_eq!(of("yahoo", body), ErrorKind::Malformed);
}

#[test]
fn the_largest_numbers_are_no_trouble() {
    for nasty in NASTY {
        for (kind, status, body) in ALL_BODIES {
            let pieces = pieces(body);
            for spot in 0..pieces.len() {
                let mut spoiled = pieces.clone();
                spoiled[spot] = nasty;
                let provider = of_kind(kind).unwrap();
                let asked = case(kind, symbol_in(body), provider.asset_classes()[0], Timeframe::D1);
                let _ = asked.read(*status, &spoiled.concat());
            }
        }
    }
}
