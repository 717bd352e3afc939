//! What is news: it is told once, again when it is worse, and its end.

use super::*;

#[test]
fn what_fires_is_told_once_and_its_end_once() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    notify(&sandbox).expect_code(0);
    assert!(told(&receiver).is_empty());
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1).expect_stdout("told a: EnrichmentJobFailed started");
    assert_eq!(told(&receiver), [["EnrichmentJobFailed started 6"]]);
    for _ in 0..3 {
        notify(&sandbox).expect_code(1);
    }
    assert!(told(&receiver).is_empty());
    fail(&sandbox, 0);
    notify(&sandbox).expect_code(0);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed resolved 6"]]);
    notify(&sandbox).expect_code(0);
    assert!(told(&receiver).is_empty());
    let state = "SELECT (SELECT count(*) FROM alert_state) + (SELECT count(*) FROM alert_told)";
    assert_eq!(sandbox.database().number(state), 0);
}

#[test]
fn it_is_told_again_when_it_is_about_twice_as_many() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    for (jobs, expected) in [
        (6, vec![["EnrichmentJobFailed started 6"]]),
        (11, vec![]),
        (12, vec![["EnrichmentJobFailed worsened 12"]]),
        (23, vec![]),
        (7, vec![]),
        (23, vec![]),
        (100, vec![["EnrichmentJobFailed worsened 100"]]),
    ] {
        fail(&sandbox, jobs);
        notify(&sandbox).expect_code(1);
        assert_eq!(told(&receiver), expected, "{jobs}");
    }
}

/// A rule whose severity is the issue's own.
const STALE: &str = "[[alerts]]\nname = \"StaleSeries\"\nenabled = true\n";

#[test]
fn who_hears_of_what_is_critical_hears_once_it_is() {
    let (all, pagers) = (receiver(), receiver());
    let switched_on = ONLY_FAILED.replace(
        "name = \"StaleSeries\"\nenabled = false",
        STALE.trim_start_matches("[[alerts]]\n"),
    );
    let sandbox = watched(
        &(switched_on
            + &webhook("all", &all.url(), "")
            + &webhook("pager", &pagers.url(), "min_severity = \"critical\"")),
    );
    let config = sandbox.read("mdctl.toml");
    // What the same lag is called is the config's to say.
    let at = |stale: &str, thresholds: &str, code| {
        let freshness = format!("[freshness]\n\"1d\" = {{ {thresholds}, stale = \"{stale}\" }}\n");
        sandbox.write("mdctl.toml", config.clone() + &freshness);
        notify(&sandbox).expect_code(code);
    };
    let well = "fresh = \"80y\", aging = \"90y\"";
    let late = "fresh = \"1h\", aging = \"2h\"";
    at("99y", well, 0);
    // Late for years, and then so that the data cannot be trusted.
    at("99y", late, 1);
    at("1d", late, 2);
    assert_eq!(told(&all), [["StaleSeries started 1"], ["StaleSeries worsened 1"]]);
    assert_eq!(told(&pagers), [["StaleSeries started 1"]]);
    // It falls and rises again: that is worse again; who only hears of the worst hears that it is over.
    at("99y", late, 1);
    assert!(told(&all).is_empty());
    assert_eq!(told(&pagers), [["StaleSeries resolved 1"]]);
    at("1d", late, 2);
    assert_eq!(told(&all), [["StaleSeries worsened 1"]]);
    assert_eq!(told(&pagers), [["StaleSeries started 1"]]);
    at("99y", well, 0);
    assert_eq!(told(&all), [["StaleSeries resolved 1"]]);
    assert_eq!(told(&pagers), [["StaleSeries resolved 1"]]);
}

#[test]
fn the_end_is_not_told_to_who_does_not_want_it() {
    let receiver = receiver();
    let hook = webhook("a", &receiver.url(), "send_resolved = false");
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &hook));
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1);
    fail(&sandbox, 0);
    notify(&sandbox).expect_code(0);
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1);
    let started = ["EnrichmentJobFailed started 6"];
    assert_eq!(told(&receiver), [started, started]);
}

#[test]
fn it_is_repeated_while_it_lasts() {
    let (once, again) = (receiver(), receiver());
    let sandbox = watched(
        &(ONLY_FAILED.to_owned()
            + &webhook("once", &once.url(), "")
            + &webhook("again", &again.url(), "repeat = \"4h\"")),
    );
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1);
    notify(&sandbox).expect_code(1);
    let started = [["EnrichmentJobFailed started 6"]];
    assert_eq!(
        (told(&once), told(&again)),
        (started.map(owned).to_vec(), started.map(owned).to_vec())
    );
    sandbox.tamper("UPDATE alert_told SET told_at = told_at - 4 * 3600");
    notify(&sandbox).expect_code(1);
    assert!(told(&once).is_empty());
    assert_eq!(told(&again), [["EnrichmentJobFailed repeated 6"]]);
    notify(&sandbox).expect_code(1);
    assert!(told(&again).is_empty());
}

fn owned(message: [&str; 1]) -> Vec<String> {
    message.map(str::to_owned).to_vec()
}

#[test]
fn a_rule_may_ask_that_its_test_has_held_for_a_while() {
    let receiver = receiver();
    let rule = "[[alerts]]\nname = \"EnrichmentJobFailed\"\nfor = \"30m\"\n";
    let sandbox = watched(&(ONLY_FAILED.to_owned() + rule + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(0).expect_stdout("pending").expect_stdout("fires after 30m");
    assert_eq!(alert(&sandbox, AS_OF, "EnrichmentJobFailed")["state"], "pending");
    assert!(told(&receiver).is_empty());
    sandbox.tamper("UPDATE alert_state SET since = since - 1800");
    sandbox.mdctl(&["alerts", "--as-of", AS_OF]).expect_code(1);
    notify(&sandbox).expect_code(1);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed started 6"]]);
    // Once it does not hold, the time begins anew.
    fail(&sandbox, 0);
    notify(&sandbox).expect_code(0);
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(0);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed resolved 6"]]);
}

#[test]
fn a_rule_that_is_watched_no_more_is_over() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 6);
    notify(&sandbox).expect_code(1);
    configure(&sandbox, "[[alerts]]\nname = \"EnrichmentJobFailed\"\nenabled = false\n");
    notify(&sandbox).expect_code(0);
    notify(&sandbox).expect_code(0);
    let expected = [["EnrichmentJobFailed started 6"], ["EnrichmentJobFailed resolved 6"]];
    assert_eq!(told(&receiver), expected);
    assert_eq!(sandbox.database().number("SELECT count(*) FROM alert_state"), 0);
}

#[test]
fn a_database_of_the_first_schema_is_brought_up_to_date_and_told_of() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 6);
    sandbox.go_back_to_schema_1();
    notify(&sandbox).expect_code(1);
    notify(&sandbox).expect_code(1);
    assert_eq!(told(&receiver), [["EnrichmentJobFailed started 6"]]);
}

#[test]
fn a_hundred_failing_symbols_are_one_message() {
    let receiver = receiver();
    let names: Vec<String> = (0..100).map(|number| format!("S{number:03}")).collect();
    let symbols: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = Server::start(|_| Answer::status(404, r#"{"message":"Ticker not found."}"#));
    let config = polygon(&server.url(), "") + &group("p", "stock", &symbols, DAILY);
    let sandbox = Sandbox::with(&(config + &webhook("a", &receiver.url(), "")));
    sandbox.backfill(&[]).expect_code(2);
    notify(&sandbox);
    let requests = receiver.take_requests();
    let [request] = &requests[..] else { panic!("{} messages", requests.len()) };
    let message = body(request);
    let failed = message["changes"].as_array().expect("a list").iter();
    let failed: Vec<&Value> =
        failed.filter(|change| change["name"] == "EnrichmentJobFailed").collect();
    let [failed] = failed[..] else { panic!("{message:#}") };
    assert_eq!(failed["count"], 100);
    let named = failed["subjects"].as_array().expect("a list");
    assert_eq!(named.len(), 10);
    assert!(named.iter().all(|name| symbols.contains(&name.as_str().expect("a name"))));
    assert!(failed["message"].as_str().expect("text").ends_with("and 90 more"), "{failed}");
    notify(&sandbox);
    assert!(receiver.requests().is_empty());
}

#[test]
fn nobody_is_told_of_another_time() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    fail(&sandbox, 6);
    let output = sandbox.mdctl(&["alerts", "--notify", "--as-of", AS_OF]);
    output.expect_code(64).expect_stderr("--as-of");
    assert!(receiver.requests().is_empty());
}

#[test]
fn twice_as_many_of_what_is_counted_is_worse() {
    let receiver = receiver();
    let more = "[[alerts]]\nname = \"Missing\"\nfield = \"freshness.missing\"\nabove = 0\n";
    let sandbox = watched(&(ONLY_FAILED.to_owned() + more + &webhook("a", &receiver.url(), "")));
    let config = sandbox.read("mdctl.toml");
    for (symbols, expected) in [
        ("\"AAA\", \"BBB\"", vec!["Missing started 1"]),
        ("\"AAA\", \"BBB\", \"CCC\", \"DDD\"", vec!["Missing worsened 3"]),
        ("\"AAA\"", vec!["Missing resolved 3"]),
    ] {
        sandbox.write("mdctl.toml", config.replace("[\"AAA\"]", &format!("[{symbols}]")));
        notify(&sandbox);
        assert_eq!(told(&receiver), [expected], "{symbols}");
    }
}

#[test]
fn a_database_that_cannot_be_read_is_told_once_and_so_is_its_end() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &webhook("a", &receiver.url(), "")));
    let whole = std::fs::read(sandbox.path("mdctl.db")).expect("a database");
    sandbox.write("mdctl.db", vec![b'?'; 100_000]);
    for expected in [Some("DatabaseUnreadable started 1"), None] {
        notify(&sandbox).expect_code(3);
        let told: Vec<String> = told(&receiver).into_iter().flatten().collect();
        assert_eq!(told.first().map(String::as_str), expected);
    }
    sandbox.write("mdctl.db", whole);
    for expected in [Some("DatabaseUnreadable resolved 1"), None] {
        notify(&sandbox).expect_code(0);
        let told: Vec<String> = told(&receiver).into_iter().flatten().collect();
        assert_eq!(told.first().map(String::as_str), expected);
    }
}
