//! A store of 5,000 symbols by day that lacks one day, and the market that has it.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use mdctl::calendar::{Calendar, Layout, Overrides};
use mdctl::domain::range::TimeRange;
use mdctl::domain::timeframe::Timeframe;
use rusqlite::Connection;

use super::market::Market;
use super::process::run_watched;
use super::server::Server;
use super::{Config, scratch};

/// 2025-06-28T00:00:00Z, the end of a Friday with a session.
pub(crate) const END: i64 = 1_751_068_800;
pub(crate) const DAY_BEFORE: &str = "2025-06-26";
pub(crate) const DAY: &str = "2025-06-27";
pub(crate) const TWO_YEARS: i64 = 2 * 365 * 86_400;

pub(crate) const SYMBOLS: usize = 5_000;
pub(crate) static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..SYMBOLS).map(|index| format!("S{index:04}")).collect());

/// The days on which New York traded; the provider stamps them with about their midnight there.
pub(crate) fn market() -> Arc<Market> {
    let calendar = Calendar::named("XNYS", Overrides::default()).expect("a known calendar");
    let range = TimeRange::new(END - TWO_YEARS - 30 * 86_400, END);
    let days = calendar.windows(Timeframe::D1, Layout::default(), range).map(|window| window.ts);
    Arc::new(Market::new("1/day", days, 5 * 3600))
}

/// A folder with two years of bars in its database, up to the day before.
pub(crate) fn fill(server: &Server) -> tempfile::TempDir {
    let folder = scratch();
    let config = Config {
        url: &server.url(),
        asset_class: "stock",
        timeframes: &["1d"],
        lookback: TWO_YEARS,
        symbols: &NAMES,
    };
    config.write(folder.path());
    let filled = run_watched(folder.path(), &["backfill", "--as-of", DAY_BEFORE]);
    let filled = filled.expect(0, folder.path());
    println!("filled in {:.1} s", filled.wall.as_secs_f64());
    folder
}

/// Copies config and database, down to the disk: nothing of it is to be written later.
pub(crate) fn copy(from: &Path, to: &Path) {
    for name in ["mdctl.toml", "key", "bench.db"] {
        fs::copy(from.join(name), to.join(name)).expect("the copy");
        File::open(to.join(name)).and_then(|file| file.sync_all()).expect("the disk has it");
    }
}

/// Complains when not every symbol got its row of `table`.
pub(crate) fn count(who: &str, table: &str, database: &Path, wanted: usize) {
    let connection = Connection::open(database).expect("the database");
    let sql = format!("SELECT count(*) FROM {table} WHERE ts = ?");
    let stored: i64 =
        connection.query_row(&sql, [END - 86_400], |row| row.get(0)).expect("the rows");
    if stored != wanted as i64 {
        println!("  NO FIGURE: {who} stored {stored} new {table} of {wanted}");
    }
}
