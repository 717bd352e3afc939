//! The order of a file and its pages, on real files.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::domain::series::{AssetClass, SeriesKey};
use crate::domain::task::Purpose;
use crate::domain::timeframe::Timeframe;

const MINUTE: i64 = 60;

/// Later than every row.
const NOW: i64 = 2_000_000_000;

fn whose() -> Whose {
    Whose {
        symbol: "X".parse().unwrap(),
        timeframe: Timeframe::M1,
        asset_class: AssetClass::Crypto,
        zone: crate::domain::zone::Zone::UTC,
    }
}

/// A file of those minutes, from line 2 on.
fn opened(minutes: impl IntoIterator<Item = i64>) -> (TempDir, Opened) {
    let rows = minutes.into_iter().map(|minute| format!("{},1,1,1,1\n", minute * MINUTE));
    of_text(&("ts,open,high,low,close\n".to_owned() + &rows.collect::<String>()))
}

fn of_text(text: &str) -> (TempDir, Opened) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("X_1m.csv");
    fs::write(&path, text).unwrap();
    let opened = Opened::open(&path, whose()).unwrap();
    (folder, opened)
}

fn surveyed(opened: &Opened) -> survey::Survey {
    let nothing = Stored::default();
    survey(&mut opened.rows().unwrap(), NOW, &mut Likeness::to(&nothing), || None).unwrap()
}

/// The order of those minutes, and the minute and line of each that is out of it.
fn order(minutes: impl IntoIterator<Item = i64>) -> (Order, Vec<(i64, u64)>) {
    let survey = surveyed(&opened(minutes).1);
    let told = survey.out_of_order.iter().map(|(ts, line)| (ts / MINUTE, *line));
    (survey.order, told.collect())
}

#[test]
fn a_row_is_out_of_order_when_it_is_older_than_one_before_it() {
    assert_eq!(order([]), (Order::Ascending, vec![]));
    assert_eq!(order([1, 2, 2, 3]), (Order::Ascending, vec![]), "the same again is not older");
    assert_eq!(order([1, 3, 2, 4]), (Order::Mixed, vec![(2, 4)]), "two neighbours swapped");
    assert_eq!(order([1, 4, 2, 3, 5]), (Order::Mixed, vec![(2, 4), (3, 5)]), "one too early");
    assert_eq!(order([2, 3, 4, 1, 5]), (Order::Mixed, vec![(1, 5)]), "one too late");
}

#[test]
fn a_file_that_has_its_newest_rows_first_is_held_against_that() {
    assert_eq!(order((0..9).rev()), (Order::Descending, vec![]));
    assert_eq!(order([5, 4, 4, 3]), (Order::Descending, vec![]));
    assert_eq!(order([5, 4, 2, 3, 1]), (Order::Mixed, vec![(3, 5)]));
}

#[test]
fn rows_out_of_order_are_told_across_pages_and_so_many_only() {
    let page = ROWS as i64;
    let late = [(0..2 * page).collect(), vec![7], vec![2 * page]].concat();
    assert_eq!(order(late), (Order::Mixed, vec![(7, 2 * ROWS as u64 + 2)]));
    let halves = (page..3 * page).chain(0..page);
    assert_eq!(order(halves).1.len(), 10_000);
}

#[test]
fn rows_of_the_future_and_rows_that_are_no_bars_set_no_order_and_are_in_none() {
    let text = format!(
        "ts,open,high,low,close\n60,1,1,1,1\n{},1,1,1,1\nnever,1,1,1,1\n120,1,1,1,1\n60,1,1,1,x\n60,1,1,-1,1\n",
        NOW + 1
    );
    let survey = surveyed(&of_text(&text).1);
    assert_eq!((survey.rows, survey.out_of_order), (6, vec![]));
}

#[test]
fn planted_rows_out_of_order_are_found_at_their_lines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/oracle/quality/injected/v05_unsorted.csv");
    let Ok(text) = fs::read_to_string(&path) else {
        let _ = writeln!(std::io::stderr(), "NOT TESTED: {} is not there", path.display());
        return;
    };
    // 2018-03-02T01:00:00Z and 2018-03-03T22:00:00Z.
    let survey = surveyed(&of_text(&text).1);
    assert_eq!(survey.out_of_order, [(1_519_952_400, 28), (1_520_114_400, 92)]);
}

fn task() -> Task {
    let symbol: crate::domain::series::Symbol = "X".parse().unwrap();
    Task {
        about: crate::domain::task::About::Bars,
        key: SeriesKey { symbol: symbol.clone(), timeframe: Timeframe::M1 },
        provider: "p".into(),
        asset_class: AssetClass::Crypto,
        ask_symbol: symbol,
        range: TimeRange::new(0, NOW),
        purpose: Purpose::New,
        bars: 10,
        further_pages: 0,
        file: None,
        shared: Vec::new(),
        unsettled_from: None,
    }
}

/// What each page of a file of those minutes answers for, in minutes, and its bars.
fn answers(minutes: impl IntoIterator<Item = i64>, order: Order) -> Vec<(i64, i64, usize)> {
    let (_folder, opened) = opened(minutes);
    let mut pages = Pages::of(Rows::File(Box::new(opened.rows().unwrap())));
    let mut answered = Answered::new(&task(), order);
    let mut out = Vec::new();
    loop {
        let page = pages.next().unwrap();
        let range = answered.by(&task(), &page);
        let end = if range.end == NOW { i64::MAX } else { range.end / MINUTE };
        out.push((range.start / MINUTE, end, page.answer.bars.len()));
        if page.last {
            return out;
        }
    }
}

#[test]
fn pages_answer_for_what_lies_between_them_in_both_orders() {
    let page = ROWS as i64;
    let upward = answers(1..=2 * page + 5, Order::Ascending);
    let expected =
        [(0, page + 1, ROWS), (page + 1, 2 * page + 1, ROWS), (2 * page + 1, i64::MAX, 5)];
    assert_eq!(upward, expected);
    let downward = answers((1..=2 * page + 5).rev(), Order::Descending);
    let expected = [(page + 6, i64::MAX, ROWS), (6, page + 6, ROWS), (0, 6, 5)];
    assert_eq!(downward, expected);
}

#[test]
fn rows_of_one_time_stay_in_one_page_within_bounds() {
    let page = ROWS as i64;
    let repeated = (1..=page).chain([page, page, page + 1]);
    let sizes: Vec<usize> =
        answers(repeated, Order::Ascending).iter().map(|(.., bars)| *bars).collect();
    assert_eq!(sizes, [ROWS + 2, 1]);
    let bad: String = (0..ROWS + 9).map(|_| "never,1,1,1,1\n").collect();
    let (_folder, opened) = of_text(&format!("ts,open,high,low,close\n{bad}60,1,1,1,1\n"));
    let page = Pages::of(Rows::File(Box::new(opened.rows().unwrap()))).next().unwrap();
    assert_eq!(
        (page.answer.bars.len(), page.answer.broken.len()),
        (1, ROWS + 9),
        "with a good one"
    );
    let alike = std::iter::repeat_n(1, ROWS + MOST_ALIKE + 5);
    let sizes: Vec<usize> =
        answers(alike, Order::Ascending).iter().map(|(.., bars)| *bars).collect();
    assert_eq!(sizes, [ROWS + MOST_ALIKE, 5], "not all of a file that says one thing");
}
