//! Bars from files that somebody names: the same line as a provider's, and what is stored stays.

use std::fmt::Write as _;

use crate::support::market::{Market, Row, date, day, rfc3339, row, rows, sessions};
use crate::support::server::{Answer, Server};
use crate::support::{
    AS_OF, DAILY, Output, Sandbox, asked, daily_sessions, daily_stocks, faulty_stocks, group,
    polygon,
};

mod files;
mod others;

/// Rows as a file.
fn csv(rows: &[Row]) -> String {
    rows.iter().fold("ts,open,high,low,close,volume\n".to_owned(), |mut text, row| {
        let Row { open, high, low, close, volume, .. } = row;
        let _ = writeln!(text, "{},{open},{high},{low},{close},{volume}", rfc3339(row.ts));
        text
    })
}

/// An `import` that is judged at [`AS_OF`].
fn import(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.mdctl(&[&["import", "--as-of", AS_OF], arguments].concat())
}

/// A server that nobody should ask, and a sandbox that tracks daily bars there.
fn unasked(symbols: &[&str]) -> (Server, Sandbox) {
    faulty_stocks(symbols, |_| Answer::status(500, ""))
}

/// Everything in the database that a run may write, besides its own log.
fn contents(sandbox: &Sandbox) -> Vec<String> {
    let database = sandbox.database();
    let tables = [
        "SELECT concat_ws('|', 'bar', series_id, ts, open, high, low, close, volume, vwap, trades) FROM bars",
        "SELECT concat_ws('|', 'coverage', series_id, from_ts, to_ts) FROM coverage",
        "SELECT concat_ws('|', 'gap', series_id, from_ts, to_ts, missing, reason, checked_count) FROM gaps",
        "SELECT concat_ws('|', 'rejected', series_id, ts, reason, text) FROM rejected_bars",
        "SELECT concat_ws('|', 'revision', series_id, ts, old_close, new_close) FROM revisions",
        "SELECT concat_ws('|', 'anomaly', series_id, ts, code, count) FROM anomalies",
        "SELECT concat_ws('|', 'feature', series_id, ts, sma_20, rsi_14) FROM features",
        "SELECT concat_ws('|', 'series', symbol, timeframe, first_ts, watermark_ts, bar_count,
                          consecutive_failures, last_error, last_fetched_at) FROM series",
    ];
    tables.iter().flat_map(|sql| database.texts(&format!("{sql} ORDER BY 1"))).collect()
}

#[test]
fn what_follows_from_a_providers_bars_follows_from_a_files() {
    let config = polygon("http://127.0.0.1:9", "")
        + &group(
            "p",
            "stock",
            &["AAA"],
            "timeframes = [\"1d\", \"1w\"]\nlookback = { \"1d\" = \"60d\" }",
        );
    let sandbox = Sandbox::with(&config).without_key();
    let days = sessions("2024-01-02", AS_OF);
    let bad = "2024-03-10,1,1,2,1,1\n";
    sandbox.write("AAA_1d.csv", csv(&rows(&days)) + bad);
    let output = import(&sandbox, &["AAA_1d.csv"]);
    output.expect_code(0).expect_stdout("import succeeded");
    output.expect_stdout(&sandbox.path("AAA_1d.csv").display().to_string());
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), days);
    assert_eq!(database.times("AAA", "1w").len(), 11, "weeks are made of its days");
    assert_eq!(database.number("SELECT count(*) FROM features WHERE sma_20 IS NOT NULL"), 33);
    assert_eq!(database.texts("SELECT reason FROM rejected_bars"), ["high_lt_low"]);
    assert_eq!(database.texts("SELECT DISTINCT status FROM freshness"), ["fresh"]);
    assert_eq!(database.number("SELECT count(*) FROM quality_metrics"), 2);
    let run =
        "SELECT concat_ws(' ', command, status, symbols_total, requests, exit_code) FROM runs";
    assert_eq!(database.texts(run), ["import succeeded 1 0 0"]);
    let log = "SELECT concat_ws(' ', provider, records_fetched, records_inserted, records_rejected,
                      date(range_from, 'unixepoch'), success) FROM fetch_log WHERE file LIKE '/%AAA_1d.csv'";
    assert_eq!(database.texts(log), ["import 53 52 1 2024-01-02 1"]);
    assert_eq!(
        database.number("SELECT count(*) FROM series WHERE last_fetched_at > 0"),
        1,
        "the weeks"
    );
}

#[test]
fn what_a_file_lacks_is_still_asked_of_the_provider_and_nothing_else() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    let days = daily_sessions();
    let held: Vec<i64> = days[2..16].iter().copied().filter(|ts| *ts != days[7]).collect();
    sandbox.write("AAA_1d.csv", csv(&rows(&held)));
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    assert_eq!(server.take_requests().len(), 0, "an import asks nobody");
    let gaps = ["unfetched 2", "unfetched 1", "unfetched 5"];
    assert_eq!(sandbox.database().gaps("AAA"), gaps);
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    assert_eq!(database.times("AAA", "1d"), days);
    assert_eq!(database.gaps("AAA"), Vec::<String>::new());
    let run = "SELECT records_inserted FROM runs WHERE command = 'backfill'";
    assert_eq!(database.numbers(run), [8]);
    assert!(!asked(&server.take_requests()).is_empty());
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.take_requests().len(), 0, "all of it is known");
}

#[test]
fn a_whole_file_leaves_nothing_to_ask_for() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions())));
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn what_is_stored_stays_unless_the_file_is_said_to_be_right() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let whole = "SELECT concat_ws(' ', ts, open, high, low, close, volume, vwap, trades) FROM bars ORDER BY ts";
    let before = sandbox.database().texts(whole);
    let days = sessions("2024-02-01", AS_OF);
    let mut given = rows(&days);
    let changed = given.len() - 3;
    given[changed].close += 0.25;
    sandbox.write("AAA_1d.csv", csv(&given));

    let output = import(&sandbox, &["AAA_1d.csv", "--json"]);
    let file = output.expect_code(0).json()["imports"][0].clone();
    let figures = |file: &serde_json::Value| {
        ["rows", "inserted", "updated", "kept", "same", "rejected"].map(|name| file[name].as_u64())
    };
    assert_eq!(figures(&file), [31, 10, 0, 1, 20, 0].map(Some), "no vwap is no other vwap");
    let database = sandbox.database();
    let now = database.texts(whole);
    assert_eq!(now[10..], before, "not a field of them");
    assert_eq!(database.number("SELECT count(*) FROM revisions"), 0);
    import(&sandbox, &["AAA_1d.csv"]).expect_stdout("1 bar differs from the stored ones");

    let output = import(&sandbox, &["AAA_1d.csv", "--replace", "--json"]);
    let file = output.expect_code(0).json()["imports"][0].clone();
    assert_eq!(figures(&file), [31, 0, 1, 0, 30, 0].map(Some));
    let database = sandbox.database();
    let revised = "SELECT concat_ws(' ', ts, new_close - old_close, command)
                     FROM revisions JOIN runs USING (run_id)";
    assert_eq!(database.texts(revised), [format!("{} 0.25 import", given[changed].ts)]);
}

#[test]
fn what_the_provider_says_later_counts() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let days = daily_sessions();
    let mut given = rows(&days[..20]);
    given[19].close += 0.25;
    sandbox.write("AAA_1d.csv", csv(&given));
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    // The last bars are read again with the one that is new.
    sandbox.backfill(&[]).expect_code(0);
    let database = sandbox.database();
    let closes: Vec<f64> = database.rows("SELECT close FROM bars ORDER BY ts", |row| row.get(0));
    assert_eq!(closes, rows(&days).iter().map(|row| row.close).collect::<Vec<_>>());
    assert_eq!(
        database.texts(
            "SELECT command FROM revisions JOIN runs USING (run_id) WHERE new_close <> old_close"
        ),
        ["backfill"]
    );
}

#[test]
fn a_gap_closes_by_what_came_and_its_rest_was_not_looked_at() {
    let days = daily_sessions();
    let without = [&days[..4], &days[7..]].concat();
    let market = Market::daily(&["AAA"], &without);
    let (_server, sandbox) = faulty_stocks(&["AAA"], move |request| market.polygon(request));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().gaps("AAA"), ["provider_empty 3"]);
    let looked = "SELECT checked_count || ' ' || (next_check_at > 0) FROM gaps ORDER BY from_ts";
    assert_eq!(sandbox.database().texts(looked), ["1 1"]);
    sandbox.write("AAA_1d.csv", csv(&rows(&days[5..6])));
    // Long after the provider was to be asked again.
    sandbox.mdctl(&["import", "--as-of", "2024-06-28", "AAA_1d.csv"]).expect_code(0);
    let database = sandbox.database();
    let gaps = database.texts(
        "SELECT reason || ' ' || missing || ' ' || checked_count FROM gaps
          WHERE reason = 'provider_empty' ORDER BY from_ts",
    );
    assert_eq!(gaps, ["provider_empty 1 1", "provider_empty 1 1"]);
    assert_eq!(database.times("AAA", "1d").len(), 19);
}

#[test]
fn the_same_file_again_changes_nothing() {
    let (_server, sandbox) = unasked(&["AAA"]);
    let mut given = rows(&daily_sessions());
    given.swap(3, 9);
    let repeated = given[5];
    given.push(repeated);
    let text = csv(&given) + "2024-02-16,1,2,3,2,1\nnever,1,1,1,1,1\n2150-01-03,1,1,1,1,1\n";
    sandbox.write("AAA_1d.csv", text);
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    let before = contents(&sandbox);
    assert!(before.iter().any(|row| row.starts_with("anomaly") && row.contains("out_of_order")));
    for flags in [&[][..], &["--replace"]] {
        import(&sandbox, &[&["AAA_1d.csv"], flags].concat()).expect_code(0);
        assert_eq!(contents(&sandbox), before, "{flags:?}");
    }
}

#[test]
fn prices_that_are_not_the_series_own_are_refused_as_a_whole() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let before = contents(&sandbox);
    let quarter = |ts: &i64| {
        let Row { open, high, low, close, .. } = row(*ts);
        Row { open: open / 4.0, high: high / 4.0, low: low / 4.0, close: close / 4.0, ..row(*ts) }
    };
    // Adjusted for a split that came after the first two weeks that are stored.
    let days = sessions("2023-06-01", AS_OF);
    let (old, new) = days.split_at(days.len() - 10);
    let given = [old.iter().map(quarter).collect(), rows(new)].concat();
    sandbox.write("AAA_1d.csv", csv(&given));
    for flags in [&["--dry-run"][..], &[]] {
        let output = import(&sandbox, &[&["AAA_1d.csv"], flags].concat());
        let said = output.stdout.clone() + &output.stderr;
        assert!(said.contains("11 of 21 closes"), "{output}");
        assert!(said.contains("2024-02-15T00:00:00Z is 0.25 times"), "{output}");
    }
    assert_eq!(contents(&sandbox), before);
    let database = sandbox.database();
    let failed =
        database.texts("SELECT concat_ws(' ', symbol, timeframe, stage, error_kind) FROM failures");
    assert_eq!(failed, ["AAA 1d fetch validation"]);
    assert_eq!(database.numbers("SELECT exit_code FROM runs WHERE command = 'import'"), [2]);
    // That the file is right where it differs is not that its prices are of another kind.
    import(&sandbox, &["AAA_1d.csv", "--replace"])
        .expect_code(2)
        .expect_stderr("--replace takes corrections here and there")
        .expect_stderr("`mdctl backfill AAA --full` asks their provider");
    assert_eq!(contents(&sandbox), before);
}

#[test]
fn a_series_in_another_unit_is_replaced_as_a_whole_and_not_in_part() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let days = daily_sessions();
    let pence = days.iter().map(|ts| {
        let Row { open, high, low, close, .. } = row(*ts);
        let [open, high, low, close] = [open, high, low, close].map(|price| price * 100.0);
        Row { open, high, low, close, ..row(*ts) }
    });
    sandbox.write("AAA_1d.csv", csv(&pence.collect::<Vec<_>>()));
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    sandbox.write("AAA_1d.csv", csv(&rows(&days[1..])));
    import(&sandbox, &["AAA_1d.csv", "--replace"])
        .expect_code(2)
        .expect_stderr("a file that has all bars that are stored");
    sandbox.write("AAA_1d.csv", csv(&rows(&days)));
    import(&sandbox, &["AAA_1d.csv"]).expect_code(2).expect_stderr("it is right: --replace");
    import(&sandbox, &["AAA_1d.csv", "--replace"]).expect_code(0);
    sandbox.backfill(&["--full"]).expect_code(0);
    let by = "SELECT DISTINCT command FROM revisions JOIN runs USING (run_id)
               WHERE new_close <> old_close";
    assert_eq!(sandbox.database().texts(by), ["import"], "the provider says the same");
}

#[test]
fn a_file_that_splits_were_worked_into_is_told_so_and_never_let_in() {
    let provider = "[providers.f]\nkind = \"files\"\npath = \"data\"\n";
    let config = provider.to_owned() + &group("f", "stock", &["AAA"], r#"timeframes = ["1d"]"#);
    let sandbox = Sandbox::with(&config);
    let scaled = |by: &dyn Fn(i64) -> f64| -> String {
        let rows = daily_sessions().into_iter().map(|ts| {
            let price = 100.0 * by(ts);
            Row { open: price, high: price, low: price, close: price, ..row(ts) }
        });
        csv(&rows.collect::<Vec<_>>())
    };
    let split = day("2024-03-01");
    sandbox.write("data/AAA_actions.csv", "ex_date,kind,value\n2024-03-01,split,4\n");
    sandbox.write("data/AAA_1d.csv", scaled(&|ts| if ts < split { 4.0 } else { 1.0 }));
    sandbox.backfill(&[]).expect_code(0);
    let before = contents(&sandbox);
    sandbox.write("AAA_1d.csv", scaled(&|_| 1.0));
    for flags in [&[][..], &["--replace"], &["--replace", "--dry-run"]] {
        let output = import(&sandbox, &[&["AAA_1d.csv"], flags].concat());
        let said = output.stdout.clone() + &output.stderr;
        assert!(
            said.contains("adjusted for splits, those of the stored series are raw"),
            "{output}"
        );
        assert!(
            said.contains("0.25 times the stored one, as the splits say (4:1 of 2024-03-01)"),
            "{output}"
        );
        assert!(!said.contains("--replace"), "{output}");
        assert_eq!(contents(&sandbox), before);
    }
}

#[test]
fn prices_that_are_said_to_be_adjusted_do_not_go_into_a_raw_series() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    sandbox.backfill(&["AAA"]).expect_code(0);
    sandbox.write("AAA_1d.csv", csv(&rows(&sessions("2024-01-02", "2024-01-31"))));
    import(&sandbox, &["AAA_1d.csv", "--adjusted", "splits"])
        .expect_code(2)
        .expect_stderr("said to be `splits` ones, those of the stored series are `raw` ones")
        .expect_stderr("bring `raw` prices: --adjusted says");
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
    import(&sandbox, &["AAA_1d.csv", "--adjusted", "none"]).expect_code(0);
}

#[test]
fn prices_that_the_provider_could_not_add_to_do_not_go_into_an_empty_series() {
    let (server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions()[..9])));
    let of = |name: &str, flags: &[&str]| import(&sandbox, &[&[name], flags].concat());
    let refused = |what: &str| {
        let dry = of("AAA_1d.csv", &["--adjusted", what, "--dry-run"]);
        let real = of("AAA_1d.csv", &["--adjusted", what]).expect_code(2).stderr.clone();
        assert!(dry.stdout.contains("[providers.p] gives"), "{dry}");
        real
    };
    let splits = refused("splits");
    assert!(
        splits.contains("said to be `splits` ones, and [providers.p] gives `raw` ones"),
        "{splits}"
    );
    assert!(
        splits.contains("bring `raw` prices, or set `adjusted = true` in [providers.p] first"),
        "{splits}"
    );
    let all = refused("all");
    assert!(all.contains("bring `raw` prices") && !all.contains("set `adjusted"), "{all}");
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
    // One of the other kind takes them.
    let config =
        polygon(&server.url(), "adjusted = true\n") + &group("p", "stock", &["BBB"], DAILY);
    sandbox.write("mdctl.toml", config);
    sandbox.write("BBB_1d.csv", csv(&rows(&daily_sessions())));
    of("BBB_1d.csv", &["--adjusted", "none"])
        .expect_code(2)
        .expect_stderr("set `adjusted = false`");
    of("BBB_1d.csv", &[]).expect_code(0);
    let stands = "SELECT adjustment FROM series WHERE symbol = 'BBB'";
    assert_eq!(sandbox.database().texts(stands), ["splits"]);
}

#[test]
fn what_a_provider_always_gives_is_what_a_file_is_taken_for() {
    let provider = "[providers.y]\nkind = \"yahoo\"\nbase_url = \"http://127.0.0.1:9\"\n";
    let sandbox = Sandbox::with(&(provider.to_owned() + &group("y", "stock", &["AAA"], DAILY)));
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions())));
    import(&sandbox, &["AAA_1d.csv", "--adjusted", "none"])
        .expect_code(2)
        .expect_stderr("bring `splits` prices  symbol");
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    assert_eq!(sandbox.database().texts("SELECT adjustment FROM series"), ["splits"]);
}

#[test]
fn splits_are_held_against_imported_bars() {
    for (before, status) in [(4.0, "applied"), (1.0, "disputed")] {
        let provider = "[providers.f]\nkind = \"files\"\npath = \"data\"\n";
        let config = provider.to_owned() + &group("f", "stock", &["AAA"], r#"timeframes = ["1d"]"#);
        let sandbox = Sandbox::with(&config);
        sandbox.write("data/AAA_actions.csv", "ex_date,kind,value\n2024-03-01,split,4\n");
        sandbox.backfill(&[]).expect_code(2);
        let scaled = daily_sessions().into_iter().map(|ts| {
            let times = if ts < day("2024-03-01") { before } else { 1.0 };
            let price = 100.0 * times;
            Row { open: price, high: price, low: price, close: price, ..row(ts) }
        });
        sandbox.write("AAA_1d.csv", csv(&scaled.collect::<Vec<_>>()));
        import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
        let stands = sandbox.database().texts("SELECT status FROM corporate_actions");
        assert_eq!(stands, [status]);
    }
}

#[test]
fn a_dry_run_tells_what_would_come_and_makes_nothing() {
    let (_server, sandbox) = daily_stocks(&["AAA", "BBB"]);
    let days = daily_sessions();
    let mut given = rows(&days[..18]);
    given[16].close += 0.25;
    let text = csv(&given) + "2024-03-18,1,1,1,1,1\n2024-02-17,1,1,2,1,1\n";
    sandbox.write("AAA_1d.csv", text);
    let dry = ["AAA_1d.csv", "BBB_1d.csv", "--dry-run"];
    let output = import(&sandbox, &dry);
    output.expect_code(1).expect_stdout("18 bars would be new, 0 changed; nothing was written");
    output.expect_stdout("1 row refused: high_lt_low").expect_stdout("1 row is left out");
    output.expect_stdout("BBB 1d: not_found: cannot open");
    assert!(!sandbox.path("mdctl.db").exists() && !sandbox.path("mdctl.db.lock").exists());

    sandbox.backfill(&[]).expect_code(0);
    let before = (contents(&sandbox), sandbox.database().number("SELECT count(*) FROM runs"));
    let json = import(&sandbox, &["AAA_1d.csv", "--dry-run", "--json"]).expect_code(0).json();
    let file = &json["imports"][0];
    let figures = ["rows", "inserted", "updated", "kept", "same", "rejected"];
    assert_eq!(figures.map(|name| file[name].as_u64()), [20, 0, 0, 1, 17, 1].map(Some));
    let first = date(given[16].ts) + "T00:00:00Z";
    assert_eq!(file["first_differing_at"], first);
    assert_eq!(file["reasons"], serde_json::json!({"high_lt_low": 1}));
    let json = import(&sandbox, &["AAA_1d.csv", "--dry-run", "--replace", "--json"]).json();
    assert_eq!([&json["imports"][0]["updated"], &json["imports"][0]["kept"]], [1, 0]);
    let after = (contents(&sandbox), sandbox.database().number("SELECT count(*) FROM runs"));
    assert_eq!(after, before);
}

/// What is told of each file, besides its name.
fn figures(document: &serde_json::Value) -> Vec<serde_json::Value> {
    let names = ["rows", "inserted", "updated", "kept", "same", "rejected", "dropped"];
    let files = document["imports"].as_array().expect("a list").iter();
    files.map(|file| names.map(|name| file[name].clone()).into_iter().collect()).collect()
}

#[test]
fn a_dry_run_promises_what_the_run_then_brings() {
    let (_server, sandbox) = unasked(&["AAA"]);
    let days = daily_sessions();
    let config = sandbox.read("mdctl.toml");
    let kept = "\n[database]\nretention = { bars = { \"1d\" = \"20d\" } }\n";
    sandbox.write("mdctl.toml", config + kept);
    let mut second = rows(&days[4..]);
    second[8].close += 0.25;
    sandbox.write("a/AAA_1d.csv", csv(&rows(&days[..16])));
    sandbox.write("b/AAA_1d.csv", csv(&second));
    for flags in [&[][..], &["--replace"], &[]] {
        let files = [&["a/AAA_1d.csv", "b/AAA_1d.csv", "--json"], flags].concat();
        let promised =
            import(&sandbox, &[&files[..], &["--dry-run"]].concat()).expect_code(0).json();
        let brought = import(&sandbox, &files).expect_code(0).json();
        assert_eq!(figures(&promised), figures(&brought), "{flags:?}");
        let rows = figures(&brought);
        assert_eq!([&rows[0][6], &rows[1][6]], [6, 2], "too old: {rows:?}");
    }
    let text = import(&sandbox, &["a/AAA_1d.csv"]);
    text.expect_stdout("6 rows are left out: older than [database] retention keeps bars");
    let json = import(&sandbox, &["a/AAA_1d.csv", "--json"]).json();
    assert_eq!(json["imports"][0]["same"], 9, "of 16, with one that differs");
}

#[test]
fn a_dry_run_ends_as_the_run_would() {
    let (_server, sandbox) = unasked(&["AAA", "BBB"]);
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions())));
    sandbox.write("BBB_1d.csv", csv(&[]) + "2024-02-16,1,1,2,1,1\n");
    let both = |files: &[&str]| {
        let codes =
            [&["--dry-run"][..], &[]].map(|flags| import(&sandbox, &[files, flags].concat()).code);
        assert_eq!(codes[0], codes[1], "{files:?}");
        codes[0]
    };
    assert_eq!(both(&["AAA_1d.csv"]), Some(0));
    assert_eq!(both(&["AAA_1d.csv", "gone/AAA_1d.csv"]), Some(2), "one symbol, and not all of it");
    assert_eq!(both(&["AAA_1d.csv", "BBB_1d.csv"]), Some(1));
    assert_eq!(both(&["BBB_1d.csv", "gone/AAA_1d.csv"]), Some(2));
    let chosen = "[run]\ntreat_as = { partial = 9 }\n";
    let config = sandbox.read("mdctl.toml");
    sandbox.write("mdctl.toml", config.replacen("[run]\n", chosen, 1));
    assert_eq!(both(&["AAA_1d.csv", "BBB_1d.csv"]), Some(9));
}

#[test]
fn what_became_of_every_row_adds_up_and_why_rows_were_refused_is_said() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let days = sessions("2024-02-12", AS_OF);
    let mut given = rows(&days);
    given[20].close += 0.25;
    let text = csv(&given)
        + "2024-02-17,1,1,2,1,1\n2024-02-10,1,1,2,1,1\nnever,1,1,1,1,1\n2024-03-18,1,1,1,1,1\n";
    sandbox.write("AAA_1d.csv", text);
    for flags in [&["--dry-run"][..], &[]] {
        let output = import(&sandbox, &[&["AAA_1d.csv", "--json"], flags].concat());
        let file = output.expect_code(0).json()["imports"][0].clone();
        let names = ["rows", "inserted", "updated", "same", "kept", "rejected", "dropped"];
        assert_eq!(
            names.map(|name| file[name].as_u64()),
            [28, 3, 0, 20, 1, 3, 1].map(Some),
            "{flags:?}"
        );
        let reasons = serde_json::json!({"high_lt_low": 2, "invalid_number": 1});
        assert_eq!(file["reasons"], reasons, "{flags:?}");
    }
    let again = import(&sandbox, &["AAA_1d.csv"]);
    again.expect_stdout("AAA_1d.csv: 2 rows refused: high_lt_low");
    again.expect_stdout("AAA_1d.csv: 1 row refused: invalid_number");
    again.expect_stdout("1 row is left out").expect_stdout("SAME").expect_stdout("LEFT OUT");
    // None of a file that is refused says what is stored.
    sandbox.write("AAA_1d.csv", csv(&rows(&days)));
    let refused = import(&sandbox, &["AAA_1d.csv", "--adjusted", "all", "--json"]).json();
    assert_eq!([&refused["imports"][0]["same"], &refused["imports"][0]["dropped"]], [0, 24]);
}

#[test]
fn a_refused_row_goes_once_its_bar_comes() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    let days = daily_sessions();
    let told = "SELECT reason || ' ' || date(ts, 'unixepoch') FROM rejected_bars ORDER BY ts";
    let refused = || sandbox.database().texts(told);
    let early = csv(&rows(&days[..3])) + "2024-02-21,1,2,3,2,1\n2024-02-22,1,2,3,2,1\n";
    sandbox.write("AAA_1d.csv", early);
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    assert_eq!(refused(), ["high_lt_low 2024-02-21", "high_lt_low 2024-02-22"]);
    assert_eq!(sandbox.database().gaps("AAA"), ["unfetched 18"], "its provider was not asked");
    sandbox.write("AAA_1d.csv", csv(&rows(&[day("2024-02-21")])));
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    assert_eq!(refused(), ["high_lt_low 2024-02-22"]);
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(refused(), Vec::<String>::new(), "the provider's takes its place as well");
    // As of an earlier day what comes later speaks not against the file.
    sandbox.write("AAA_1d.csv", csv(&rows(&days)));
    sandbox.mdctl(&["import", "AAA_1d.csv", "--as-of", "2024-03-01"]).expect_code(0);
    assert_eq!(refused(), Vec::<String>::new());
}

#[test]
fn history_tells_what_came_from_which_file() {
    let (_server, sandbox) = unasked(&["AAA", "BBB"]);
    sandbox.write("here/AAA_1d.csv", csv(&rows(&daily_sessions()[..5])));
    sandbox.write("there/AAA_1d.csv", csv(&rows(&daily_sessions()[3..])));
    sandbox.write("BBB_1d.csv", csv(&rows(&daily_sessions())));
    let files = ["here/AAA_1d.csv", "BBB_1d.csv", "there/AAA_1d.csv", "BBB_1d.csv"];
    import(&sandbox, &files).expect_code(0);
    let json = sandbox.mdctl(&["history", "last", "--json"]).expect_code(0).json();
    let mut told: Vec<String> = json["imports"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| {
            let path = file["file"].as_str().expect("a path");
            let name = path.strip_prefix(&sandbox.path("").display().to_string()).unwrap_or(path);
            format!(
                "{} {} {} {}",
                name.trim_start_matches('/'),
                file["symbol"],
                file["inserted"],
                file["same"]
            )
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        ["BBB_1d.csv \"BBB\" 21 0", "here/AAA_1d.csv \"AAA\" 5 0", "there/AAA_1d.csv \"AAA\" 16 2"]
    );
    sandbox.mdctl(&["history", "last"]).expect_stdout("there/AAA_1d.csv");
    // Where nobody wrote the files down yet, nobody makes them up.
    sandbox.go_back_to_schema_1();
    let json = sandbox.mdctl(&["history", "last", "--json"]).expect_code(0).json();
    assert_eq!(json["imports"], serde_json::json!([]));
    import(&sandbox, &["BBB_1d.csv"]).expect_code(0);
}

#[test]
fn the_database_may_not_be_there_yet_nor_a_key() {
    let (server, sandbox) = unasked(&["AAA"]);
    let sandbox = sandbox.without_key();
    sandbox.write("AAA_1d.csv", csv(&rows(&daily_sessions())));
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    assert_eq!(sandbox.database().times("AAA", "1d"), daily_sessions());
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn refused_rows_of_a_file_are_listed_and_make_no_rate_worse() {
    let (_server, sandbox) = daily_stocks(&["AAA"]);
    sandbox.backfill(&[]).expect_code(0);
    let quality = || {
        let only = ["--as-of", AS_OF, "--code", "high_lt_low", "--json"];
        sandbox.mdctl(&[&["quality", "AAA"], &only[..]].concat()).json()
    };
    let before = quality()["series"].clone();
    // One that is wrong as a whole, and one with a good row in it.
    let bad = |good: &[Row]| {
        rows(&daily_sessions()).iter().fold(csv(good), |text, row| {
            let (date, close) = (date(row.ts), row.close);
            text + &format!("{date},{close},{close},{},{close},1\n", close + 1.0)
        })
    };
    sandbox.write("whole/AAA_1d.csv", bad(&[]));
    sandbox.write("partly/AAA_1d.csv", bad(&rows(&sessions("2024-02-01", "2024-02-02"))));
    import(&sandbox, &["whole/AAA_1d.csv"])
        .expect_code(2)
        .expect_stderr("all 21 rows were refused");
    assert_eq!(quality()["findings_total"], 0);
    for _ in 0..2 {
        import(&sandbox, &["partly/AAA_1d.csv"]).expect_code(0);
        let now = quality();
        for name in ["validation_rate", "rejected_records"] {
            assert_eq!(now["series"][0][name], before[0][name], "{name}");
        }
        assert_eq!(now["findings_total"], 21, "once, however often");
        let file = now["findings"][0]["file"].as_str().expect("a file");
        assert!(file.ends_with("partly/AAA_1d.csv"), "{now}");
        assert_eq!(now["findings"][0]["line"], 4);
    }
    let database = sandbox.database();
    let rates = database.texts("SELECT DISTINCT validation_rate || '' FROM quality_metrics");
    assert_eq!(rates, ["1.0"]);
    sandbox.mdctl(&["quality", "AAA", "--as-of", AS_OF]).expect_stdout("imported, line 4: ");
}

#[test]
fn a_row_that_the_provider_gives_as_well_is_the_providers() {
    let provider = "[providers.f]\nkind = \"files\"\npath = \"data\"\n";
    let config = provider.to_owned() + &group("f", "stock", &["AAA"], r#"timeframes = ["1d"]"#);
    let sandbox = Sandbox::with(&config);
    let text = csv(&rows(&daily_sessions())) + "2024-02-16,1,1,2,1,1\n";
    sandbox.write("AAA_1d.csv", &text);
    sandbox.write("data/AAA_1d.csv", &text);
    let whose = || sandbox.database().texts("SELECT coalesce(file, 'its own') FROM rejected_bars");
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    assert!(whose()[0].ends_with("/AAA_1d.csv"));
    sandbox.backfill(&[]).expect_code(0);
    assert_eq!(whose(), ["its own"]);
    import(&sandbox, &["AAA_1d.csv"]).expect_code(0);
    assert_eq!(whose(), ["its own"]);
}
