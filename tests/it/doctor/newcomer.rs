//! A new user's way: from an empty folder to bars, by the commands that `init` names, as it names them.

use std::sync::OnceLock;

use super::*;
use crate::support::market::{DAY, HOUR, Market, rows};

/// Two pairs with bars of all times up to now, as binance has them.
fn exchange() -> Server {
    #[expect(clippy::disallowed_methods, reason = "an exchange trades till now")]
    let now = chrono::Utc::now().timestamp();
    let market = OnceLock::new();
    Server::start(move |request| {
        let market = market.get_or_init(|| {
            let since = |years: i64, step: i64| -> Vec<i64> {
                let first = (now - years * 366 * DAY).div_euclid(step) * step;
                (first..now + 2 * HOUR).step_by(usize::try_from(step).expect("a step")).collect()
            };
            let (days, hours) = (rows(&since(6, DAY)), rows(&since(2, HOUR)));
            ["BTCUSDT", "ETHUSDT", "SOLUSDT"].iter().fold(Market::new(), |market, symbol| {
                market.with(symbol, "1d", days.clone()).with(symbol, "1h", hours.clone())
            })
        });
        market.binance(request)
    })
}

#[test]
fn from_an_empty_folder_to_bars_in_four_commands() {
    let server = exchange();
    let sandbox = Sandbox::new().without_key();
    let init = sandbox.mdctl(&["init"]);
    let next = "next: mdctl doctor, then mdctl backfill, then mdctl health";
    init.expect_code(0).expect_stdout(next);
    // The exchange itself is not asked by a test.
    let config = sandbox.read("mdctl.toml");
    let line = "# base_url = \"https://api.binance.com\"";
    assert!(config.contains(line));
    sandbox.write("mdctl.toml", config.replace(line, &format!("base_url = \"{}\"", server.url())));
    let found = examine(&sandbox);
    found.output.expect_code(0);
    found.check("provider").says("ok", "7 bars of BTCUSDT 1d");
    found.check("last_run").says("skipped", "nothing has run yet").mended_by("mdctl backfill");
    sandbox.mdctl(&["backfill"]).expect_code(0);
    sandbox.mdctl(&["health"]).expect_code(0).expect_stdout("OK - 4 fresh");
    examine(&sandbox).check("last_run").says("ok", "succeeded");
    // And on from there.
    sandbox.mdctl(&["symbols", "add", "SOLUSDT"]).expect_code(0);
    sandbox.mdctl(&["backfill", "SOLUSDT"]).expect_code(0);
    sandbox.mdctl(&["health"]).expect_code(0).expect_stdout("OK - 6 fresh");
    sandbox.mdctl(&["doctor"]).expect_code(0);
}

#[test]
fn the_sample_is_sound_offline() {
    let sandbox = Sandbox::new().without_key();
    sandbox.mdctl(&["init", "--sample", "demo"]).expect_code(0);
    let found = examine_with(&sandbox, &["--config", "demo/mdctl.toml"]);
    found.output.expect_code(0);
    found.check("provider").says("ok", "can be read");
    fs::remove_dir_all(sandbox.path("demo/sample-data")).expect("it goes");
    let found = examine_with(&sandbox, &["--config", "demo/mdctl.toml"]);
    found.output.expect_code(2);
    found.check("provider").says("critical", "No such file").mended_by("[providers.sample] path");
}

#[test]
fn the_sample_writes_over_no_bars_of_the_users() {
    let sandbox = Sandbox::new();
    sandbox.write("demo/sample-data/EURUSD_1h.csv", "mine\n");
    let output = sandbox.mdctl(&["init", "--sample", "demo"]);
    output.expect_code(73).expect_stderr("EURUSD_1h.csv is there already");
    assert_eq!(sandbox.read("demo/sample-data/EURUSD_1h.csv"), "mine\n");
    assert!(!sandbox.path("demo/mdctl.toml").exists());
}
