//! Configs that cannot be followed: what is wrong, where, what was expected, and what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{DAILY, Output, Sandbox, group, polygon};

const BASE: &str = "https://api.polygon.io";

fn sound() -> String {
    polygon(BASE, "") + &group("p", "stock", &["AAA"], DAILY)
}

/// What a command says to a config; every command that needs one says the same.
fn told(config: &str) -> Output {
    let sandbox = Sandbox::with(config);
    let output = sandbox.mdctl(&["backfill"]);
    output.expect_code(78);
    assert!(!sandbox.path("mdctl.db").exists(), "a database was made{output}");
    assert_eq!(output.stdout, "", "errors belong on stderr{output}");
    output
}

/// Asserts that a config in which `from` became `to` is refused at the line and column of `at`, with
/// all of `words`.
#[track_caller]
fn check(from: &str, to: &str, at: &str, words: &[&str]) {
    let config = sound();
    assert!(config.contains(from), "{from:?} is not in the config");
    let config = config.replacen(from, to, 1);
    let offset = config.find(at).expect("the place is in the config");
    let line = config[..offset].matches('\n').count() + 1;
    let column = offset - config[..offset].rfind('\n').map_or(0, |newline| newline + 1) + 1;
    let output = told(&config);
    output.expect_stderr(&format!("mdctl.toml: line {line}, column {column}"));
    for word in words {
        output.expect_stderr(word);
    }
}

#[test]
fn a_sound_config_is_none_of_these() {
    let sandbox = Sandbox::with(&sound());
    sandbox.mdctl(&["backfill", "--dry-run"]).expect_code(0);
}

#[test]
fn an_unknown_key_is_shown_with_the_nearest_one() {
    check("base_url", "base_ulr", "base_ulr", &["base_ulr", "did you mean `base_url`?", "^^^^"]);
    check("symbols", "symbol", "symbol =", &["did you mean `symbols`?"]);
    check("stagger", "stager", "stager", &["did you mean `stagger`?"]);
    check("[run]", "[runs]", "runs", &["did you mean `run`?"]);
    check("max_retries", "max_retry", "max_retry", &["did you mean `max_retries`?"]);
    check("lookback", "loopback", "loopback", &["did you mean `lookback`?"]);
}

#[test]
fn a_value_of_a_wrong_type_is_shown() {
    check("stagger = \"0s\"", "stagger = 5", "5", &["expected"]);
    check("history = \"20y\"", "history = true", "true", &["expected"]);
    check("requests = 1000", "requests = \"many\"", "\"many\"", &["expected"]);
    check("symbols = [\"AAA\"]", "symbols = \"AAA\"", "\"AAA\"", &["expected a list, as in"]);
    check("requests = 1000", "requests = -1", "-1", &[]);
    let retention = "\n[database]\nretention = { bars = \"90d\" }\n";
    check_more(retention, &["expected a table, as in", "found string \"90d\""]);
}

#[test]
fn a_credential_leads_out_of_no_folder() {
    for name in ["../../etc/shadow", "/etc/shadow", "..", ".hidden"] {
        let config = sound().replacen("env = ", "credential = ", 1);
        let start = config.find("credential = \"").expect("the key's place") + 14;
        let end = start + config[start..].find('"').expect("its end");
        let config = format!("{}{name}{}", &config[..start], &config[end..]);
        told(&config).expect_stderr("named like a file");
    }
}

#[test]
fn a_duration_needs_a_number_and_a_unit() {
    for wrong in ["90", "5M", "soon", "", "-3s", "1h30"] {
        let quoted = format!("history = \"{wrong}\"");
        let place = format!("\"{wrong}\"\nrate");
        check("history = \"20y\"", &quoted, &place, &["duration", "90d"]);
    }
}

#[test]
fn an_unknown_kind_is_shown_with_the_nearest_one() {
    check("\"polygon\"", "\"polygone\"", "\"polygone\"", &["did you mean `polygon`?", "binance"]);
}

#[test]
fn an_unknown_provider_is_shown_with_the_nearest_one() {
    let config = sound()
        .replace("[providers.p]", "[providers.polygon]")
        .replace("provider = \"p\"", "provider = \"poligon\"");
    told(&config).expect_stderr("did you mean `polygon`?").expect_stderr("poligon");
}

#[test]
fn an_unknown_calendar_is_shown_with_the_nearest_one() {
    let more = format!("{DAILY}\ncalendar = \"XNYSE\"");
    let config = polygon(BASE, "") + &group("p", "stock", &["AAA"], &more);
    told(&config).expect_stderr("did you mean `XNYS`?").expect_stderr("line ");
    let config = sound() + "\n[calendars.XNYZ]\nclosed = [\"2025-01-09\"]\n";
    told(&config).expect_stderr("did you mean `XNYS`?");
}

#[test]
fn an_unknown_timeframe_or_asset_class_is_shown() {
    check("[\"1d\"]", "[\"1D\"]", "\"1D\"", &["1m, 5m, 15m, 30m, 1h, 4h, 1d or 1w"]);
    check("\"stock\"", "\"shares\"", "\"shares\"", &["stock, etf, crypto, forex"]);
}

#[test]
fn a_symbol_stands_once() {
    let twice = polygon(BASE, "") + &group("p", "stock", &["AAA", "BBB", "AAA"], DAILY);
    told(&twice).expect_stderr("`AAA` stands twice").expect_stderr("line ");
    let both = sound() + &group("p", "etf", &["BBB", "AAA"], DAILY);
    told(&both).expect_stderr("`AAA`").expect_stderr("`stocks`");
}

#[test]
fn a_key_or_a_bar_does_not_cross_a_network_in_clear() {
    for url in [
        "http://api.polygon.io",
        "http://192.168.1.7:8080",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "polygon.io",
    ] {
        let config = polygon(url, "") + &group("p", "stock", &["AAA"], DAILY);
        told(&config).expect_stderr("base_url").expect_stderr("line ");
    }
    for url in
        ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "https://example.com/x"]
    {
        let config = polygon(url, "") + &group("p", "stock", &["AAA"], DAILY);
        Sandbox::with(&config).mdctl(&["backfill", "--dry-run"]).expect_code(0);
    }
}

#[test]
fn a_base_url_holds_no_user_and_no_query() {
    for url in ["https://me:secret@example.com", "https://example.com/?apiKey=secret"] {
        let config = polygon(url, "") + &group("p", "stock", &["AAA"], DAILY);
        let output = told(&config);
        output.expect_stderr("base_url");
    }
}

#[test]
fn what_is_required_is_named() {
    check("kind = \"polygon\"\n", "", "[providers.p]", &["kind"]);
    check("asset_class = \"stock\"\n", "", "[[group]]", &["asset_class"]);
    check("timeframes = [\"1d\"]\n", "", "[[group]]", &["timeframes"]);
}

#[test]
fn an_empty_list_of_timeframes_is_refused() {
    check("[\"1d\"]", "[]", "[]\nlookback", &["timeframes"]);
}

#[test]
fn numbers_that_would_stop_everything_are_refused() {
    check("requests = 1000", "requests = 0", "{ requests = 0", &["above 0"]);
    check("[run]", "[run]\nparallel = { backfill = 0 }", "0 }", &["above 0"]);
}

#[test]
fn a_key_in_the_config_itself_is_refused_and_not_repeated() {
    let config = sound().replace("api_key = { env = \"KEY\" }", "api_key = \"PK-1234567890\"");
    let output = told(&config);
    output.expect_stderr("line ");
}

#[test]
fn broken_toml_is_shown_at_its_place() {
    let config = sound().replace("[[group]]", "[[group]");
    let line = config.lines().position(|line| line == "[[group]").expect("the line") + 1;
    told(&config).expect_stderr(&format!("mdctl.toml: line {line}, column"));
}

#[test]
fn json_errors_are_one_document_on_stdout() {
    let sandbox = Sandbox::with(&sound().replace("stagger", "stager"));
    let output = sandbox.mdctl(&["backfill", "--json"]);
    let json = output.expect_code(78).json();
    let error = &json["error"];
    assert_eq!(crate::support::fields(&json), ["error"]);
    assert_eq!(crate::support::fields(error), ["exit_code", "hint", "kind", "message"]);
    assert_eq!(error["exit_code"], 78);
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("line 3, column 1") && message.contains("stager"), "{error}");
    assert_eq!(error["hint"], "did you mean `stagger`?");
}

#[test]
fn without_a_config_the_hint_is_init() {
    let sandbox = Sandbox::new();
    for command in [&["backfill"][..], &["staleness"], &["status"], &["history"], &["gaps"]] {
        sandbox.mdctl(command).expect_code(78).expect_stderr("mdctl init");
    }
    let json = sandbox.mdctl(&["staleness", "--json"]).expect_code(78).json();
    assert!(
        json["error"]["hint"].as_str().is_some_and(|hint| hint.contains("mdctl init")),
        "{json}"
    );
}

#[test]
fn a_config_that_is_named_and_not_there_is_named_in_the_error() {
    let sandbox = Sandbox::new();
    sandbox
        .mdctl(&["staleness", "--config", "nowhere.toml"])
        .expect_code(78)
        .expect_stderr("nowhere.toml");
    let mut command = sandbox.command(&["staleness"]);
    command.env("MDCTL_CONFIG", "elsewhere.toml");
    sandbox.finish(&mut command).expect_code(78).expect_stderr("elsewhere.toml");
}

#[test]
fn a_config_that_cannot_be_read_is_a_config_error() {
    let sandbox = Sandbox::new();
    sandbox.write("folder.toml/inside", "");
    sandbox
        .mdctl(&["staleness", "--config", "folder.toml"])
        .expect_code(78)
        .expect_stderr("folder.toml");
    sandbox.write("bytes.toml", b"[run]\nstagger = \"\xff\xfe\"\n");
    sandbox
        .mdctl(&["staleness", "--config", "bytes.toml"])
        .expect_code(78)
        .expect_stderr("bytes.toml");
}

#[test]
fn a_config_without_permission_is_a_config_error() {
    let sandbox = Sandbox::with(&sound());
    let path = sandbox.path("mdctl.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("permissions");
    if fs::read(&path).is_ok() {
        // The superuser reads everything.
        return;
    }
    sandbox.mdctl(&["staleness"]).expect_code(78).expect_stderr("cannot be read");
}

#[test]
fn the_flag_is_over_the_environment_and_that_over_the_file() {
    let sandbox = Sandbox::with(&sound());
    sandbox.write("other.toml", sound().replace("stagger", "stager"));
    let with = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.env("MDCTL_CONFIG", "other.toml");
        sandbox.finish(&mut command)
    };
    with(&["backfill", "--dry-run"]).expect_code(78).expect_stderr("other.toml");
    with(&["backfill", "--dry-run", "--config", "mdctl.toml"]).expect_code(0);
}

#[test]
fn the_users_folder_is_looked_into() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/mdctl/mdctl.toml", sound());
    sandbox.mdctl(&["backfill", "--dry-run"]).expect_code(0);
}

#[test]
fn relative_paths_are_from_the_configs_folder() {
    let sandbox = Sandbox::new();
    let config =
        "[database]\npath = \"sub/bars.db\"\n[providers.local]\nkind = \"files\"\npath = \"csv\"\n"
            .to_owned()
            + &group("local", "stock", &["AAA"], r#"timeframes = ["1d"]"#)
                .replace("symbols = [\"AAA\"]", "symbols_file = \"list.csv\"");
    sandbox.write("etc/config.toml", config);
    sandbox.write("etc/list.csv", "name,symbol\nTriple A,AAA\n,\n");
    sandbox.write("etc/csv/AAA_1d.csv", "ts,open,high,low,close,volume\n2024-03-01,1,2,0.5,1,9\n");
    sandbox.write("etc/sub/.keep", "");
    sandbox
        .mdctl(&["backfill", "--config", "etc/config.toml", "--as-of", "2024-03-01"])
        .expect_code(0);
    assert!(sandbox.path("etc/sub/bars.db").exists());
}

#[test]
fn the_databases_flag_and_variable_are_over_the_config() {
    let config = "[providers.local]\nkind = \"files\"\npath = \"csv\"\n".to_owned()
        + &group("local", "stock", &["AAA"], r#"timeframes = ["1d"]"#);
    let sandbox = Sandbox::with(&config);
    sandbox.write("csv/AAA_1d.csv", "ts,open,high,low,close,volume\n2024-03-01,1,2,0.5,1,9\n");
    let as_of = ["backfill", "--as-of", "2024-03-01"];
    let mut command = sandbox.command(&as_of);
    command.env("MDCTL_DB", "environment.db");
    sandbox.finish(&mut command).expect_code(0);
    assert!(sandbox.path("environment.db").exists());
    let mut command = sandbox.command(&[&as_of[..], &["--db", "flag.db"]].concat());
    command.env("MDCTL_DB", "unused.db");
    sandbox.finish(&mut command).expect_code(0);
    assert!(sandbox.path("flag.db").exists() && !sandbox.path("unused.db").exists());
    assert!(!sandbox.path("mdctl.db").exists());
}

#[test]
fn a_symbols_file_that_is_wrong_is_said() {
    let with = |text: Option<&str>| {
        let sandbox =
            Sandbox::with(&sound().replace("symbols = [\"AAA\"]", "symbols_file = \"list.csv\""));
        if let Some(text) = text {
            sandbox.write("list.csv", text);
        }
        let output = sandbox.mdctl(&["backfill"]);
        output.expect_code(78);
        output
    };
    with(None).expect_stderr("list.csv");
    with(Some("ticker\nAAA\n")).expect_stderr("list.csv").expect_stderr("symbol");
    with(Some("symbol\nAAA\nB B\n")).expect_stderr("list.csv").expect_stderr("line 3");
    with(Some("symbol\nAAA\nBBB\nAAA\n")).expect_stderr("AAA");
}

/// Asserts that the sound config with `more` is refused with all of `words`.
#[track_caller]
fn check_more(more: &str, words: &[&str]) {
    let output = told(&(sound() + more));
    output.expect_stderr("line ");
    for word in words {
        output.expect_stderr(word);
    }
}

#[test]
fn an_alert_needs_what_it_watches() {
    let alert = |lines: &str| format!("\n[[alerts]]\n{lines}\n");
    check_more(&alert("name = \"X\"\nabove = 5"), &["`X` needs `field`", "last_run.failed"]);
    check_more(&alert("name = \"X\"\nfield = \"a.b\""), &["`above`, `below` or `equals`"]);
    check_more(&alert("name = \"X\"\nfield = \"a..b\"\nabove = 5"), &["expected a path"]);
    check_more(
        &alert("name = \"X\"\nfield = \"a\"\nabove = 5\nbelow = 7"),
        &["expected one of", "not several"],
    );
    check_more(&alert("name = \"X\"\nseverity = \"bad\""), &["warning or critical"]);
    check_more(&alert("name = \" \"\nabove = 5"), &["needs a name"]);
    let twice = "name = \"LongDuration\"\nabove = 5";
    check_more(&(alert(twice) + &alert(twice)), &["two alerts named `LongDuration`"]);
}

#[test]
fn a_built_in_alert_is_changed_by_its_name() {
    let more = "\n[[alerts]]\nname = \"LongDuration\"\nabove = 60\n[[alerts]]\nname = \"RunOverdue\"\nenabled = false\n";
    let sandbox = Sandbox::with(&(sound() + more));
    sandbox.mdctl(&["backfill", "--dry-run"]).expect_code(0);
}

#[test]
fn a_notifier_has_what_its_kind_takes_and_no_more() {
    let notifier = |lines: &str| format!("\n[notify.n]\n{lines}\n");
    check_more(&notifier("kind = \"slak\""), &["did you mean `slack`?", "healthchecks"]);
    check_more(&notifier("kind = \"webhook\""), &["needs `url`"]);
    check_more(&notifier("kind = \"pagerduty\""), &["needs `token`"]);
    check_more(&notifier("kind = \"command\""), &["needs `command`"]);
    check_more(&notifier("kind = \"command\"\ncommand = []"), &["a program"]);
    check_more(
        &notifier("kind = \"slack\"\nurl = \"https://a.b/c\"\ntoken = { env = \"T\" }"),
        &["takes no `token`"],
    );
}

#[test]
fn the_address_of_a_notifier_is_checked_and_not_repeated() {
    for url in ["http://hooks.example.com/T0/sekrit-x", "ftp://127.0.0.1/sekrit-x", "sekrit-x"] {
        let output =
            told(&(sound() + &format!("\n[notify.n]\nkind = \"slack\"\nurl = \"{url}\"\n")));
        output.expect_stderr("`url`").expect_stderr("line ");
        assert!(!output.stderr.contains("sekrit-x"), "{output}");
    }
    // However it is written.
    for line in [
        "[notify]\nops = { kind = \"slak\", url = \"https://hooks.example.com/sekrit-x\" }",
        "notify.ops.url = \"htps://hooks.example.com/sekrit-x\"",
        "[notify.n]\nkind = \"slack\"\n\"url\" = \"sekrit-x\"",
    ] {
        let output = told(&format!("{line}\n{}", sound()));
        assert!(!output.stderr.contains("sekrit-x"), "{output}");
    }
    check_more("\n[otlp]\nendpoint = \"http://example.com\"\n", &["`endpoint`", "loopback"]);
}

#[test]
fn objectives_are_percentages_and_times() {
    let objectives = |lines: &str| format!("\n[objectives]\n{lines}\n");
    check_more(&objectives("run_success_rate = 101"), &["percentage from 0 to 100"]);
    check_more(&objectives("detection = { share = -1, within = \"60s\" }"), &["percentage"]);
    check_more(&objectives("window = \"0s\""), &["longer than nothing"]);
    check_more(&objectives("rpo = \"soon\""), &["duration"]);
}

#[test]
fn the_errors_of_a_long_line_point_into_it() {
    let config = sound()
        .replace("multiplier", "x")
        .replace("retry = { max_retries = 2, ", "retry = { max_retries = 2, jitter = \"some\", ");
    let output = told(&config);
    output.expect_stderr("jitter = \"some\"");
}

#[test]
fn a_key_written_into_the_config_is_not_repeated() {
    let config = polygon("http://127.0.0.1:9", "")
        .replace(r#"{ env = "KEY" }"#, r#""pk-live-4711""#)
        + &group("p", "stock", &["AAA"], DAILY);
    let sandbox = Sandbox::with(&config);
    for flags in [&["health"][..], &["health", "--json"]] {
        let output = sandbox.mdctl(flags);
        output.expect_code(78);
        let said = output.stdout.clone() + &output.stderr;
        assert!(!said.contains("pk-live-4711"), "{said}");
        assert!(said.contains("env ="), "{said}");
    }
}

#[test]
fn a_share_lies_between_nothing_and_all() {
    let sandbox = Sandbox::with(&(sound() + "[health]\ncritical_share = 10\n"));
    sandbox.mdctl(&["health"]).expect_code(78).expect_stderr("expected a share from 0 to 1");
}

#[test]
fn what_is_no_config_at_all_is_said() {
    let sandbox = Sandbox::with("");
    let told = |path: &str| sandbox.mdctl(&["health", "--config", path]);
    told("home").expect_code(78).expect_stderr("it is no regular file");
    std::fs::write(sandbox.path("latin.toml"), b"# caf\xe9\n").expect("a file");
    told("latin.toml").expect_code(78).expect_stderr("it is no text in UTF-8");
}

#[test]
fn a_symbol_that_stands_twice_in_a_file_of_symbols_is_told_with_that_file() {
    let config = sound();
    let sandbox = Sandbox::with("");
    sandbox.write("list.csv", "symbol\nBBB\nAAA\nBBB\n");
    sandbox
        .write("mdctl.toml", config.replace("symbols = [\"AAA\"]", "symbols_file = \"list.csv\""));
    let output = sandbox.mdctl(&["health"]);
    output
        .expect_code(78)
        .expect_stderr("`BBB` stands twice")
        .expect_stderr("symbols_file = \"list.csv\"");
}
