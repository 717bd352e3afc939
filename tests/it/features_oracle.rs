//! Every feature against TA-Lib, on real bars.
//!
//! Rows of its output stand in `tests/fixtures/indicators`; whole files of it, also for bars that may
//! not stand in this repository, are looked for beside it, and the test says so when they are not there.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use mdctl::domain::bar::Bar;
use mdctl::domain::feature::{COUNT, NAMES, Row};
use mdctl::domain::zone::Zone;
use mdctl::feature::engine::Engine;

/// The series, and the zone whose date is a session's where there are any.
const SHIPPED: [(&str, Option<Zone>); 4] = [
    ("IBM.B26_1d", None),
    ("AZN.L_1m", Some(Zone::LONDON)),
    ("BTCUSDT_1h", Some(Zone::UTC)),
    ("EURUSD_1h", None),
];

/// The series beside the repository, likewise, with the folders of their bars.
const OTHERS: [(&str, &str, Option<Zone>); 6] = [
    ("IBM.B26_1d", "stock_alt", None),
    ("AZN.L_1m", "stock", Some(Zone::LONDON)),
    ("BTCUSDT_1h", "crypto", Some(Zone::UTC)),
    ("EURUSD_1h", "fx", None),
    ("SPY_1d", "stock", None),
    ("ETHBTC_5m", "crypto", Some(Zone::UTC)),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The cells of a CSV file, by the names of their columns.
struct Table {
    columns: HashMap<String, usize>,
    records: Vec<csv::StringRecord>,
}

impl Table {
    fn read(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let names = reader.headers().expect("a header").iter().map(str::to_owned);
        let columns = names.enumerate().map(|(index, name)| (name, index)).collect();
        let records = reader.records().map(|record| record.expect("a row")).collect();
        Self { columns, records }
    }

    fn number(&self, record: &csv::StringRecord, name: &str) -> Option<f64> {
        let cell = &record[*self.columns.get(name)?];
        (!cell.is_empty()).then(|| cell.parse().expect("a number"))
    }

    fn ts(&self, record: &csv::StringRecord) -> i64 {
        DateTime::parse_from_rfc3339(&record[self.columns["ts"]]).expect("an instant").timestamp()
    }

    fn bars(&self) -> Vec<Bar> {
        let bar = |record: &csv::StringRecord| {
            let price = |name| self.number(record, name).expect("a price");
            Bar {
                ts: self.ts(record),
                open: price("open"),
                high: price("high"),
                low: price("low"),
                close: price("close"),
                volume: self.number(record, "volume"),
                vwap: None,
                trades: None,
            }
        };
        self.records.iter().map(bar).collect()
    }
}

/// What the column is called in TA-Lib's files, which hold two kinds of volatility.
fn column_of(feature: &str) -> &str {
    if feature == "volatility_20" { "volatility_20_sample" } else { feature }
}

/// How far a feature may lie beside its oracle, for one that passes through zero. TA-Lib's stochastic
/// keeps a running sum of its last three values, of which some 1e-14 is left over where it should be 0.
fn absolute_tolerance(feature: &str, close: f64) -> f64 {
    match feature {
        "macd" | "macd_signal" | "macd_hist" => 1e-9 * close,
        "roc_10" | "log_return" => 1e-9,
        "stoch_k" | "stoch_d" => 1e-12,
        _ => 0.0,
    }
}

/// Compares the features of `bars` with the rows of the oracle.
fn compare(name: &str, bars: &[Bar], oracle: &Table, session: Option<Zone>) {
    let mut rows = Vec::new();
    Engine::new(session).push_all(bars, &mut rows);
    assert!(rows.iter().map(|row| row.ts).eq(bars.iter().map(|bar| bar.ts)), "{name}");
    let by_ts: HashMap<i64, usize> = rows.iter().zip(0..).map(|(row, at)| (row.ts, at)).collect();
    let (mut compared, mut defined) = (0, [false; COUNT]);
    for record in &oracle.records {
        let index = by_ts[&oracle.ts(record)];
        for (feature, word) in NAMES.iter().enumerate() {
            let place = || format!("{name}, {word} of bar {index}");
            let value = rows[index].value(feature);
            let Some(wanted) = oracle.number(record, column_of(word)) else {
                let before_first = oracle.columns.contains_key(*word) && !defined[feature];
                assert!(!before_first || value.is_none(), "{} is too early", place());
                continue;
            };
            defined[feature] = true;
            let value = value.unwrap_or_else(|| panic!("{} is not defined", place()));
            let tolerance = (1e-9 * wanted.abs()).max(absolute_tolerance(word, bars[index].close));
            assert!((value - wanted).abs() <= tolerance, "{}: {value}, not {wanted}", place());
            compared += 1;
        }
    }
    let columns = oracle.columns.len() - 1;
    assert!(compared > oracle.records.len() * columns.min(COUNT) * 3 / 4, "{name}: {compared}");
    assert!(undefined_where_not_computed(&rows, session), "{name}");
}

/// A series without sessions has no VWAP of them; every number is one.
fn undefined_where_not_computed(rows: &[Row], session: Option<Zone>) -> bool {
    let finite = |row: &Row| row.values.iter().all(|value| !value.is_infinite());
    rows.iter().all(|row| finite(row) && (session.is_some() || row.value(COUNT - 1).is_none()))
}

#[test]
fn features_of_the_sample_bars_are_those_of_talib() {
    for (name, session) in SHIPPED {
        let bars = Table::read(&root().join(format!("examples/data/{name}.csv"))).bars();
        let oracle = Table::read(&root().join(format!("tests/fixtures/indicators/{name}.csv")));
        compare(name, &bars, &oracle, session);
    }
}

#[test]
fn features_of_further_bars_are_those_of_talib() {
    let shared = root().join("../shared");
    let folder = shared.join("oracle/indicators");
    if !folder.is_dir() {
        // Past the test harness, which shows nothing of a test that passes.
        let skipped = format!("SKIPPED: whole oracles are not here ({})\n", folder.display());
        std::io::stderr().write_all(skipped.as_bytes()).expect("stderr");
        return;
    }
    for (name, kind, session) in OTHERS {
        let bars = Table::read(&shared.join(format!("data/{kind}/{name}.csv"))).bars();
        compare(name, &bars, &Table::read(&folder.join(format!("{name}.csv"))), session);
    }
}
