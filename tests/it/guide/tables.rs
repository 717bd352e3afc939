//! The page of tables against a fresh database, and the words in columns against the code's.

use std::collections::{BTreeMap, BTreeSet};

use mdctl::domain::anomaly::AnomalyCode;
use mdctl::domain::bar::RejectReason;
use mdctl::domain::gap::GapReason;
use mdctl::domain::run::ErrorKind;

use crate::support::Sandbox;

use super::page::{Page, same, words};

/// The sections whose third-level headings are tables and views.
const SECTIONS: [&str; 5] = [
    "## Views to read bars by",
    "## What is kept",
    "## What runs did",
    "## How good it is",
    "## What outlives a run",
];

/// Each table and view, with its columns, and whether they may be NULL.
type Columns = BTreeMap<String, BTreeMap<String, bool>>;

/// What a fresh database holds; of views nothing is known about NULL.
fn real() -> (Columns, BTreeSet<String>) {
    let sandbox = Sandbox::with(&crate::support::binance("https://api.binance.com", ""));
    sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    let database = sandbox.database();
    let sql = "SELECT object.name, object.type, col.name, col.\"notnull\" = 0 AND col.pk = 0
                 FROM sqlite_schema AS object, pragma_table_info(object.name) AS col
                WHERE object.type IN ('table', 'view') AND object.name NOT LIKE 'sqlite%'";
    let mut columns = Columns::new();
    let mut views = BTreeSet::new();
    let rows = database.rows(sql, |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get(3)?,
        ))
    });
    for (table, kind, column, nullable) in rows {
        if kind == "view" {
            views.insert(table.clone());
        }
        columns.entry(table).or_default().insert(column, nullable);
    }
    (columns, views)
}

/// What the page tells of the tables that are public.
fn told(page: &Page) -> Columns {
    let mut told = Columns::new();
    for section in SECTIONS {
        let text = page.section(section);
        for table in text.lines().filter_map(|line| line.strip_prefix("### ")) {
            let columns = told.entry(table.to_owned()).or_default();
            for row in page.rows(&format!("### {table}")) {
                let nullable = row.get(2).is_some_and(|null| null != "\u{2014}");
                for column in words(&row[0]) {
                    let other = columns.insert(column.to_owned(), nullable);
                    assert_eq!(other, None, "{table}.{column} is told twice");
                }
            }
        }
    }
    told
}

#[test]
fn every_column_of_every_table_is_told() {
    let page = Page::of_guide("tables");
    let (mut real, views) = real();
    for row in page.rows("## Internal") {
        let table = words(&row[0])[0];
        let columns = real.get_mut(table).unwrap_or_else(|| panic!("there is no {table}"));
        if row[1].starts_with("all") {
            real.remove(table);
            continue;
        }
        for column in words(&row[1]) {
            assert!(columns.remove(column).is_some(), "there is no internal {table}.{column}");
        }
    }
    let told = told(&page);
    let names = |columns: &Columns| columns.keys().cloned().collect::<Vec<_>>();
    same(&names(&told), &names(&real), "tables");
    for (table, columns) in &real {
        let names = |columns: &BTreeMap<String, bool>| columns.keys().cloned().collect::<Vec<_>>();
        same(&names(&told[table]), &names(columns), table);
        if !views.contains(table) {
            assert_eq!(&told[table], columns, "what NULL means in {table}");
        }
    }
}

#[test]
fn every_word_in_columns_is_told() {
    let page = Page::of_guide("tables");
    let check = |heading: &str, real: &[&str]| {
        let rows = page.rows(heading);
        let told: Vec<&str> = rows.iter().flat_map(|row| words(&row[0])).collect();
        same(&told, real, heading);
    };
    check(
        "### Kinds of trouble",
        &ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
    );
    check("### Reasons of gaps", &GapReason::ALL.map(GapReason::as_str));
    let of_rows = RejectReason::ALL.map(RejectReason::as_str);
    let of_bars = AnomalyCode::ALL.map(AnomalyCode::as_str);
    check("### Codes of findings", &[&of_rows[..], &of_bars, &["missing_bar"]].concat());
}
