//! What is asked of symbols besides their bars: wording, answers, and the next page.

use proptest::prelude::*;

use super::*;
use crate::domain::action::{Action, ActionKind};
use crate::domain::reference::Listing;

const SPLITS: &str = include_str!("../../../tests/fixtures/polygon/splits.json");
const DIVIDENDS: &str = include_str!("../../../tests/fixtures/polygon/dividends.json");
const TICKER: &str = include_str!("../../../tests/fixtures/polygon/ticker.json");

fn about(about: About, symbol: &str) -> Case {
    Case { about, ..case("polygon", symbol, AssetClass::Stock, Timeframe::D1) }
}

fn date(text: &str) -> chrono::NaiveDate {
    text.parse().unwrap()
}

#[test]
fn only_polygon_is_asked_and_for_actions_of_shares_alone() {
    for provider in ALL {
        for &class in provider.asset_classes() {
            let topics = provider.topics(class);
            match (provider.kind(), class) {
                ("polygon", AssetClass::Stock | AssetClass::Etf) => {
                    assert_eq!(topics, [About::Splits, About::Dividends, About::Listing]);
                }
                ("polygon", _) => assert_eq!(topics, [About::Listing]),
                _ => assert_eq!(topics, []),
            }
        }
    }
}

#[test]
fn wordings() {
    let of = |what, symbol| about(what, symbol).wording();
    assert_eq!(of(About::Splits, "BRK.B"), "/v3/reference/splits?ticker=BRK.B&limit=1000");
    assert_eq!(of(About::Dividends, "AAA"), "/v3/reference/dividends?ticker=AAA&limit=1000");
    assert_eq!(of(About::Listing, "X:BTCUSD"), "/v3/reference/tickers/X:BTCUSD?");
}

/// Those symbols of the whole market, from 2024-01-02 on.
fn of_all(what: About, symbols: &str) -> Case {
    let symbols = if symbols.is_empty() { "A" } else { symbols };
    Case { market: Some("stocks"), range: FROM_2024, ..about(what, symbols) }
}

const FROM_2024: TimeRange = TimeRange::new(1_704_153_600, 253_402_300_800);

#[test]
fn lists_by_date_are_asked_for_from_a_day_on_and_oldest_first() {
    let of = |what| of_all(what, "AAA,BBB").wording();
    assert_eq!(
        of(About::Splits),
        "/v3/reference/splits?execution_date.gte=2024-01-02&sort=execution_date&order=asc&limit=1000"
    );
    assert_eq!(
        of(About::Dividends),
        "/v3/reference/dividends?ex_dividend_date.gte=2024-01-02&sort=ex_dividend_date&order=asc&limit=1000"
    );
    let begin = Case { range: TimeRange::new(i64::MIN, 0), ..of_all(About::Splits, "A") };
    assert!(begin.wording().contains("execution_date.gte=1970-01-01&"), "no such day");
    for provider in ALL {
        let lists = provider.dated_lists().iter().map(|(about, _)| *about);
        let wanted: &[About] = match provider.kind() {
            "polygon" => &[About::Splits, About::Dividends],
            _ => &[],
        };
        assert_eq!(lists.collect::<Vec<_>>(), wanted);
    }
}

#[test]
fn a_list_by_date_is_sorted_by_whose_its_rows_are() {
    let row = |ticker: &str, date: &str, to: f64| serde_json::json!({ "ticker": ticker, "execution_date": date, "split_from": 1, "split_to": to });
    let rows = [
        row("AAA", "2024-01-05", 4.0),
        row("AAB", "2024-01-05", 2.0),
        row("CCC", "2024-01-08", 3.0),
        row("aaa", "2024-01-08", 3.0),
        row("AAA", "2024-01-01", 9.0),
        row("CCC", "2024-02-31", 9.0),
        row("AAB", "2024-02-31", 9.0),
        serde_json::json!({ "execution_date": "2024-01-05", "split_from": 1, "split_to": 7 }),
        serde_json::json!([1]),
    ];
    let body = serde_json::json!({ "status": "OK", "results": rows }).to_string();
    let page = of_all(About::Splits, "AAA,BBB,CCC").read(200, &body).unwrap();
    let told: Vec<_> = page
        .answers
        .iter()
        .map(|answer| {
            let Declared { actions, .. } = &answer.declared;
            (answer.symbol.as_str(), actions.len(), answer.broken.len(), answer.dropped)
        })
        .collect();
    // Two rows do not say whose they are; of others one does not read; one is of a day before.
    assert_eq!(told, [("", 2, 2, 1), ("AAA", 1, 0, 1), ("CCC", 1, 1, 0)]);
    assert_eq!(page.answers[1].declared.actions[0].ex_date, date("2024-01-05"));
    let nothing = of_all(About::Splits, "AAA").read(200, r#"{"status":"OK","results":[]}"#);
    assert_eq!(nothing.unwrap(), Page::default());
}

#[test]
fn a_next_page_of_all_symbols_is_of_no_single_one() {
    let next_of = |query: &str| {
        let url = format!("https://api.massive.com/v3/reference/splits?{query}");
        let body = serde_json::json!({ "status": "OK", "next_url": url }).to_string();
        of_all(About::Splits, "A").read(200, &body).ok().map(|page| page.next)
    };
    let path = |query: &str| Some(Some(Cursor::Path(format!("/v3/reference/splits?{query}"))));
    for query in ["cursor=c", "cursor=c&execution_date.gte=2024-01-02&order=asc"] {
        assert_eq!(next_of(query), path(query));
    }
    assert_eq!(next_of("cursor=c&apiKey=SECRET"), path("cursor=c"));
    for query in ["ticker=A&cursor=c", "ticker=&cursor=c", "ticker", "ticker.gte=A&cursor=c"] {
        assert_eq!(next_of(query), None, "{query}");
    }
}

#[test]
fn splits_and_their_next_page() {
    let page = about(About::Splits, "TEST").read(200, SPLITS).unwrap();
    let split = |day, from, to| Action { ex_date: date(day), kind: ActionKind::Split { from, to } };
    let wanted = [split("2024-01-05", 1.0, 20.0), split("2019-06-03", 2.0, 1.5)];
    assert_eq!(page.answers[0].declared.actions, wanted);
    assert_eq!(page.answers[0].broken.len(), 1);
    assert!(page.answers[0].broken[0].text.contains("2020-02-30"));
    assert_eq!(page.next, Some(Cursor::Path("/v3/reference/splits?cursor=bGltaXQ".into())));
}

#[test]
fn dividends_in_their_money() {
    let answer = about(About::Dividends, "TEST").answer(DIVIDENDS);
    let paid = |day, cash, currency: Option<&str>| Action {
        ex_date: date(day),
        kind: ActionKind::Dividend { cash, currency: currency.map(str::to_owned) },
    };
    let wanted = [paid("2024-01-08", 0.25, Some("USD")), paid("2023-07-08", 1.5, None)];
    assert_eq!(answer.declared.actions, wanted);
    assert_eq!((answer.broken.len(), answer.dropped), (0, 1), "nothing was paid");
}

#[test]
fn what_a_ticker_is() {
    let answer = about(About::Listing, "TEST").answer(TICKER);
    let text = |text: &str| Some(text.to_owned());
    let wanted = Listing {
        name: text("Test Widgets Inc."),
        exchange: text("XNAS"),
        currency: text("usd"),
        kind: text("CS"),
        active: Some(false),
        listed_on: Some(date("1999-04-01")),
        delisted_on: Some(date("2023-03-09")),
    };
    assert_eq!((answer.declared.listing, answer.broken.len()), (Some(wanted), 0));
}

#[test]
fn refusals_are_told_by_code_and_status() {
    let no = r#"{"status":"NOT_AUTHORIZED","message":"no"}"#;
    for what in [About::Splits, About::Dividends, About::Listing] {
        let refusal = |status, body| about(what, "TEST").refusal(status, body);
        assert_eq!(
            (refusal(403, no), refusal(200, no)),
            (ErrorKind::NotEntitled, ErrorKind::NotEntitled)
        );
        assert_eq!(refusal(404, r#"{"status":"NOT_FOUND"}"#), ErrorKind::NotFound);
        assert_eq!(refusal(200, r#"{"status":"NOT_FOUND"}"#), ErrorKind::NotFound);
        assert_eq!(refusal(429, "{}"), ErrorKind::RateLimited);
        assert_eq!(refusal(200, "{}"), ErrorKind::Malformed);
    }
}

/// What follows from `next_url`, asked for the splits of `A/B`.
fn next_of(url: &str) -> Option<String> {
    let body = serde_json::json!({ "status": "OK", "next_url": url }).to_string();
    match about(About::Splits, "A/B").read(200, &body) {
        Ok(Page { next: Some(Cursor::Path(path)), .. }) => Some(path),
        Ok(page) => panic!("{page:?}"),
        Err(fault) => {
            assert_eq!(fault.kind, ErrorKind::Malformed);
            None
        }
    }
}

#[test]
fn a_next_page_is_of_the_same_list_and_symbol() {
    let path = "/v3/reference/splits";
    let of = |query: &str| next_of(&format!("https://h{path}?{query}"));
    for query in ["cursor=c", "ticker=A%2FB&cursor=c", "ticker=A/B&limit=1000&cursor=c"] {
        assert_eq!(of(query).unwrap(), format!("{path}?{query}"));
    }
    assert_eq!(of("cursor=c&apiKey=SECRET&API%4bEY=S").unwrap(), format!("{path}?cursor=c"));
    for query in [
        "ticker=B&cursor=c",
        "ticker=A/B&TICKER=B",
        "ticker.gte=A",
        "t%69cker=B",
        "%zz=1",
        "a\tb=c",
    ] {
        assert_eq!(of(query), None, "{query}");
    }
    for url in [
        "/v3/reference/dividends?cursor=c",
        "/v3/reference/tickers/A%2FB",
        "/v3/reference/splits/?cursor=c",
        "/v3/reference/../reference/splits",
        "/v3/reference/%73plits",
        "//v3/reference/splits",
        "https://h",
    ] {
        assert_eq!(next_of(url), None, "{url}");
    }
}

proptest! {
    #[test]
    fn any_next_url_stays_with_its_list(url in "(https://a\\.b)?(/v3/reference/splits\\?)?[/.%2eE?&=a-z0-9\\\\\t-]{0,30}") {
        if let Some(path) = next_of(&url) {
            prop_assert!(path.starts_with("/v3/reference/splits?"), "{}", path);
        }
    }
}
