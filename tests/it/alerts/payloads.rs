//! What each kind of notifier is sent, to the last byte.

use super::*;

/// A secret in every address; nowhere to be found afterwards.
const SECRET: &str = "T00-B00-sekritpath";

/// What every payload has of its own, made the same.
fn pinned(mut message: Value) -> Value {
    pin(&mut message);
    message
}

fn pin(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match name.as_str() {
                    "since" | "timestamp" => {
                        let text = value.as_str().expect("text");
                        assert!(chrono::DateTime::parse_from_rfc3339(text).is_ok(), "{text}");
                        *value = json!("T");
                    }
                    _ => pin(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(pin),
        _ => {}
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

fn database(sandbox: &Sandbox) -> String {
    sandbox.path("mdctl.db").canonicalize().expect("it is there").display().to_string()
}

fn key(sandbox: &Sandbox, rule: &str) -> String {
    format!("mdctl/{}{}/{rule}", host(), database(sandbox))
}

/// Runs `alerts --notify` with the address and the token in the environment.
fn notify_at(sandbox: &Sandbox, url: &str) -> Output {
    let mut command = sandbox.command(&["alerts", "--notify"]);
    let output = sandbox.finish(command.env("HOOK", url).env("TOKEN", "sekrit-token"));
    assert!(!sandbox.holds(SECRET) && !sandbox.holds("sekrit-token"), "a secret is in a file");
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!said.contains(SECRET) && !said.contains("sekrit-token"), "{output}");
    output
}

/// A notifier of that kind, whose address is in the environment.
fn notifier(kind: &str, more: &str) -> String {
    format!("\n[notify.n]\nkind = \"{kind}\"\nurl = {{ env = \"HOOK\" }}\n{more}\n")
}

/// What our own message says of six failed jobs.
fn started(sandbox: &Sandbox) -> Value {
    let run = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    json!({
        "kind": "started",
        "name": "EnrichmentJobFailed",
        "severity": "warning",
        "since": "T",
        "count": 6,
        "subjects": [],
        "value": 6,
        "message": "last_run.failed is 6, above 5",
        "hint": format!("mdctl history {run}"),
        "dedup_key": key(sandbox, "EnrichmentJobFailed"),
    })
}

#[test]
fn a_webhook_gets_our_own_document_and_the_token() {
    let receiver = receiver();
    let more = notifier("webhook", "token = { env = \"TOKEN\" }");
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &more));
    fail(&sandbox, 6);
    notify_at(&sandbox, &format!("{}/{SECRET}?x=1", receiver.url())).expect_code(1);
    let requests = receiver.take_requests();
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.target()), ("POST", format!("/{SECRET}?x=1")));
    assert_eq!(request.header("authorization"), Some("Bearer sekrit-token"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let expected = json!({
        "schema": 1,
        "timestamp": "T",
        "host": host(),
        "database": database(&sandbox),
        "summary": format!("mdctl on {}: WARNING EnrichmentJobFailed started", host()),
        "changes": [started(&sandbox)],
    });
    assert_eq!(pinned(body(request)), expected);
    fail(&sandbox, 0);
    notify_at(&sandbox, &receiver.url()).expect_code(0);
    let over = pinned(body(&receiver.requests()[0]));
    let message = over["changes"][0]["message"].as_str().expect("text");
    assert!(message.starts_with("it is over, after "), "{message}");
    let expected = json!({
        "kind": "resolved",
        "name": "EnrichmentJobFailed",
        "severity": "warning",
        "since": "T",
        "count": 6,
        "subjects": [],
        "value": null,
        "message": message,
        "hint": "",
        "dedup_key": key(&sandbox, "EnrichmentJobFailed"),
    });
    assert_eq!(over["changes"], json!([expected]));
}

#[test]
fn the_documents_follow_their_schemas() {
    #[track_caller]
    fn check(schema: &schemars::Schema, document: &Value) {
        let schema = serde_json::to_value(schema).expect("a schema");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        if let Err(error) = validator.validate(document) {
            panic!("{error} in {document:#}");
        }
        let mut other = document.clone();
        other["schema"] = json!("one");
        assert!(!validator.is_valid(&other), "it takes everything");
    }
    let receiver = receiver();
    let typo = "[[alerts]]\nname = \"Typo\"\nfield = \"last_run.faild\"\nabove = 5\n";
    let hook = webhook("a", &receiver.url(), "");
    let bad = webhook("b", "http://127.0.0.1:9", "");
    let sandbox = watched(&(typo.to_owned() + &hook + &bad));
    let alerts = schemars::schema_for!(mdctl::render::alerts::Document<'static>);
    for jobs in [0, 6] {
        fail(&sandbox, jobs);
        for arguments in [&["alerts"][..], &["alerts", "--notify"]] {
            check(&alerts, &sandbox.mdctl(&[arguments, &["--json"]].concat()).json());
        }
    }
    let snoozes = schemars::schema_for!(mdctl::render::snooze::Document<'static>);
    let order = ["alerts", "snooze", "StaleSeries", "--for", "1h", "--reason", "x", "--json"];
    check(&snoozes, &sandbox.mdctl(&order).json());
    check(&snoozes, &sandbox.mdctl(&["alerts", "unsnooze", "StaleSeries", "--json"]).json());
    let message = schemars::schema_for!(mdctl::notify::Message);
    check(&message, &body(&receiver.requests()[0]));
}

/// A run whose error is what a hostile provider said.
const HOSTILE: &str = "UPDATE runs SET status = 'failed',
    error = '<!channel> & <http://evil|click> ' || char(10) || 'second `line`'";

const ABORTED: &str = "[[alerts]]\nname = \"A<b>&\"\nfield = \"issues.code\"\n\
    equals = \"last_run_failed\"\nseverity = \"critical\"\n";

#[test]
fn slack_gets_blocks_in_which_nothing_is_a_command() {
    let receiver = receiver();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + ABORTED + &notifier("slack", "")));
    sandbox.tamper(HOSTILE);
    notify_at(&sandbox, &format!("{}/services/{SECRET}", receiver.url())).expect_code(2);
    let requests = receiver.take_requests();
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!(request.path, format!("/services/{SECRET}"));
    assert_eq!(request.header("authorization"), None);
    let mut message = body(request);
    let text = message["blocks"][1]["text"]["text"].take();
    let lines: Vec<&str> = text.as_str().expect("text").lines().collect();
    let run = sandbox.database().texts("SELECT run_id FROM runs").remove(0);
    assert_eq!(
        lines[..3],
        [
            ":red_circle: *CRITICAL A&lt;b&gt;&amp; started*",
            "the last run was aborted: &lt;!channel&gt; &amp; &lt;http://evil|click&gt;  second `line`",
            &run,
        ]
    );
    assert_eq!(lines[3], format!("`mdctl history {run}`"));
    assert!(lines[4].starts_with("since 20") && lines.len() == 5, "{lines:?}");
    let expected = json!({
        "text": format!("mdctl on {}: CRITICAL A&lt;b&gt;&amp; started", host()),
        "blocks": [
            {"type": "header", "text": {
                "type": "plain_text",
                "text": format!("mdctl on {}: CRITICAL A<b>& started", host()),
                "emoji": false,
            }},
            {"type": "section", "text": {"type": "mrkdwn", "text": null}},
        ],
    });
    assert_eq!(message, expected);
}

#[test]
fn slack_takes_what_is_long_and_what_is_much() {
    let receiver = receiver();
    let rules: String = (0..60)
        .map(|number| ABORTED.replace("A<b>&", &format!("{number}{}", "&".repeat(400))))
        .collect();
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &rules + &notifier("slack", "")));
    sandbox.tamper(&HOSTILE.replace("second", &"&".repeat(5_000)));
    notify_at(&sandbox, &receiver.url()).expect_code(2);
    let message = body(&receiver.requests()[0]);
    let blocks = message["blocks"].as_array().expect("blocks");
    assert!(blocks.len() <= 50, "{}", blocks.len());
    let header = blocks[0]["text"]["text"].as_str().expect("text");
    assert!(header.chars().count() <= 150, "{header}");
    for block in &blocks[1..blocks.len() - 1] {
        let text = block["text"]["text"].as_str().expect("text");
        assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
    }
    let last = blocks[blocks.len() - 1]["elements"][0]["text"].as_str().expect("text");
    assert!(last.starts_with("and 20 more"), "{last}");
}

#[test]
fn pagerduty_gets_an_event_an_alert_and_its_end() {
    let receiver = Server::start(|_| Answer::status(202, r#"{"status":"success"}"#));
    let more = notifier("pagerduty", "token = { env = \"TOKEN\" }");
    let sandbox = watched(&(ONLY_FAILED.to_owned() + ABORTED + &more));
    sandbox.tamper(HOSTILE);
    fail(&sandbox, 6);
    let url = format!("{}/v2/enqueue", receiver.url());
    notify_at(&sandbox, &url).expect_code(2);
    let requests = receiver.take_requests();
    let [aborted, failed] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((failed.method.as_str(), failed.path.as_str()), ("POST", "/v2/enqueue"));
    assert_eq!(failed.header("authorization"), None);
    assert_eq!(body(aborted)["payload"]["severity"], "critical");
    assert_eq!(body(aborted)["dedup_key"], key(&sandbox, "A<b>&"));
    let expected = json!({
        "routing_key": "sekrit-token",
        "event_action": "trigger",
        "dedup_key": key(&sandbox, "EnrichmentJobFailed"),
        "client": "mdctl",
        "payload": {
            "summary": "EnrichmentJobFailed: last_run.failed is 6, above 5",
            "source": host(),
            "severity": "warning",
            "timestamp": "T",
            "component": "mdctl",
            "group": database(&sandbox),
            "class": "EnrichmentJobFailed",
            "custom_details": started(&sandbox),
        },
    });
    assert_eq!(pinned(body(failed)), expected);
    fail(&sandbox, 12);
    notify_at(&sandbox, &url).expect_code(2);
    // The run that was aborted is about twice as many as well.
    let worse = body(&receiver.take_requests()[1]);
    assert_eq!(worse["dedup_key"], expected["dedup_key"]);
    assert_eq!(worse["payload"]["custom_details"]["kind"], "worsened");
    fail(&sandbox, 0);
    notify_at(&sandbox, &url).expect_code(2);
    let requests = receiver.take_requests();
    let expected = json!({
        "routing_key": "sekrit-token",
        "event_action": "resolve",
        "dedup_key": key(&sandbox, "EnrichmentJobFailed"),
    });
    assert_eq!(requests.iter().map(body).collect::<Vec<_>>(), [expected]);
}

#[test]
fn pagerduty_goes_on_where_it_was_left() {
    let receiver = Server::start(|request| match body(request)["dedup_key"].as_str() {
        Some(key) if key.ends_with("/EnrichmentJobFailed") => Answer::status(500, ""),
        _ => Answer::status(202, ""),
    });
    let more = notifier("pagerduty", "token = { env = \"TOKEN\" }");
    let sandbox = watched(&(ONLY_FAILED.to_owned() + ABORTED + &more));
    sandbox.tamper(HOSTILE);
    fail(&sandbox, 6);
    let output = notify_at(&sandbox, &receiver.url());
    output.expect_stdout("told n: A<b>& started").expect_stderr("it answered 500");
    assert_eq!(receiver.take_requests().len(), 2);
    receiver.answer_with(|_| Answer::status(202, ""));
    notify_at(&sandbox, &receiver.url());
    let rest = receiver.take_requests();
    assert_eq!(rest.len(), 1);
    assert_eq!(body(&rest[0])["dedup_key"], key(&sandbox, "EnrichmentJobFailed"));
}

/// A notifier that is the program of a file `tell` beside the config.
fn program(script: &str) -> Sandbox {
    use std::os::unix::fs::PermissionsExt as _;
    let command = "\n[notify.n]\nkind = \"command\"\n\
                   command = [\"./tell\", \"two words\", \"$HOME\", \"; rm -rf x\"]\n";
    let sandbox = watched(&(ONLY_FAILED.to_owned() + command));
    sandbox.write("tell", script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sandbox.path("tell"), mode).expect("it may be run");
    fail(&sandbox, 6);
    sandbox
}

#[test]
fn a_command_gets_its_arguments_as_they_are_and_the_document_on_stdin() {
    let sandbox = program("#!/bin/sh\nprintf '%s\\n' \"$@\" > arguments\ncat > message\n");
    // From another folder: the program is beside the config.
    let mut command = sandbox.command(&["alerts", "--notify", "--config"]);
    command.arg(sandbox.path("mdctl.toml")).current_dir(sandbox.path("home"));
    sandbox.finish(&mut command).expect_code(1).expect_stdout("told n: EnrichmentJobFailed");
    assert_eq!(sandbox.read("arguments"), "two words\n$HOME\n; rm -rf x\n");
    let message: Value = serde_json::from_str(&sandbox.read("message")).expect("a document");
    assert_eq!(message["schema"], 1);
    assert_eq!(changes(&message), ["EnrichmentJobFailed started 6"]);
    notify(&sandbox).expect_code(1);
    assert_eq!(serde_json::from_str::<Value>(&sandbox.read("message")).expect("it"), message);
}

#[test]
fn a_command_that_fails_is_tried_again() {
    let fails = "#!/bin/sh\ncat > /dev/null\necho 'the pager is out' >&2\nexit 3\n";
    let sandbox = program(fails);
    let output = notify(&sandbox);
    output.expect_code(1).expect_stderr("./tell ended with exit code 3: the pager is out");
    sandbox.write("tell", "#!/bin/sh\ncat >> message\n");
    for _ in 0..2 {
        notify(&sandbox).expect_code(1);
    }
    assert_eq!(sandbox.read("message").lines().count(), 1);
}

#[test]
fn a_command_need_not_read_and_may_say_much() {
    let script = "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x >&2\n\
                  head -c 3000000 /dev/zero\nexit 1\n";
    let sandbox = program(script);
    let output = notify(&sandbox);
    output.expect_code(1).expect_stderr("./tell ended with exit code 1: xxx");
    assert!(output.stderr.len() < 2_000 && output.stdout.len() < 5_000, "{output}");
    let told = sandbox.database().texts("SELECT error FROM alert_unsent").remove(0);
    assert!(told.chars().count() <= 200, "{told}");
}

#[test]
fn a_command_that_is_not_there_is_said() {
    let sandbox = program("");
    std::fs::remove_file(sandbox.path("tell")).expect("it goes");
    notify(&sandbox).expect_code(1).expect_stderr("cannot start ./tell: No such file");
}

#[test]
fn a_command_that_hangs_is_killed_with_what_it_started() {
    let sandbox = program("#!/bin/sh\nsleep 1000 &\necho $! > child\necho $$ > parent\nwait\n");
    notify(&sandbox).expect_code(1).expect_stderr("took longer than 10 s and was killed");
    for name in ["child", "parent"] {
        let stat = format!("/proc/{}/stat", sandbox.read(name).trim());
        // Dead, though whoever inherits it may not have looked yet.
        let is_over = || match std::fs::read_to_string(&stat) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        crate::support::wait_until(is_over);
    }
}

#[test]
fn what_is_secret_is_in_no_error() {
    let answers: [fn() -> Answer; 4] = [
        || Answer::status(500, format!("{SECRET} sekrit-token")),
        || Answer::raw(format!("{SECRET} sekrit-token is no HTTP\r\n\r\n")),
        || Answer::Reset,
        || {
            let elsewhere = crate::support::server::Reply::new(307, "");
            Answer::Whole(elsewhere.with("location", format!("/{SECRET}/elsewhere")))
        },
    ];
    for answer in answers {
        let receiver = Server::start(move |_| answer());
        let more = notifier("webhook", "token = { env = \"TOKEN\" }");
        let sandbox = watched(&(ONLY_FAILED.to_owned() + &more));
        fail(&sandbox, 6);
        let url = format!("{}/{SECRET}", receiver.url());
        notify_at(&sandbox, &url).expect_code(1).expect_stderr("a notifier was not told");
        drop(receiver);
        notify_at(&sandbox, &url).expect_stderr("cannot connect");
        let health = sandbox.mdctl(&["health", "--as-of", AS_OF, "--json", "-v", "-v"]);
        health.expect_stdout("alerts_unsent");
        assert!(!health.stdout.contains(SECRET), "{health}");
    }
    // An address that is none, and one that is not there, are no secret to tell of either.
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &notifier("slack", "")));
    fail(&sandbox, 6);
    notify_at(&sandbox, &format!("http://example.com/{SECRET}")).expect_stderr("is to be https");
    notify_at(&sandbox, &format!("{SECRET}:x")).expect_stderr("a notifier was not told");
    notify(&sandbox).expect_stderr("the environment variable HOOK is not set");
}

#[test]
fn nobody_is_followed_elsewhere() {
    let elsewhere = receiver();
    let there = elsewhere.url();
    let receiver = Server::start(move |_| {
        let reply = crate::support::server::Reply::new(307, "");
        Answer::Whole(reply.with("location", format!("{there}/x")))
    });
    let more = notifier("webhook", "token = { env = \"TOKEN\" }");
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &more));
    fail(&sandbox, 6);
    notify_at(&sandbox, &receiver.url()).expect_stderr("it answered 307, which leads elsewhere");
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn what_goes_to_this_machine_goes_through_no_proxy() {
    let (receiver, proxy) = (receiver(), receiver());
    let sandbox = watched(&(ONLY_FAILED.to_owned() + &notifier("slack", "")));
    fail(&sandbox, 6);
    let mut command = sandbox.command(&["alerts", "--notify"]);
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env(name, proxy.url());
    }
    sandbox.finish(command.env("HOOK", receiver.url())).expect_code(1);
    assert_eq!((receiver.requests().len(), proxy.requests().len()), (1, 0));
}
