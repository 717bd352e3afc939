//! The whole screen in several sizes, and in the states that are hard to bring about.

use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::domain::alert::Severity;
use crate::domain::fact::{JobFact, Marks, Traffic};
use crate::domain::policy::Freshness;
use crate::domain::provider_state::BreakerStatus;
use crate::domain::run::{ErrorKind, JobStatus, RunId, RunStatus, Stage, Totals};
use crate::domain::series::SeriesKey;
use crate::domain::timeframe::Timeframe;
use crate::report::health::{Code, Evidence, Issue};
use crate::report::staleness::{Counts, SeriesState, Staleness};

/// 2024-03-15T20:00:00Z.
const NOW: i64 = 1_710_532_800;

fn run(status: RunStatus) -> RunFact {
    let ended = status != RunStatus::Running;
    RunFact {
        run_id: RunId("01HS1RUN0000000000000000AA".to_owned()),
        command: "backfill".to_owned(),
        trigger: "systemd".to_owned(),
        status,
        started_at: NOW - 75,
        completed_at: ended.then_some(NOW - 5),
        totals: Totals {
            symbols_total: 4,
            successful: 3,
            failed: 1,
            records_inserted: 12_345,
            requests: 40,
            ..Totals::default()
        },
        exit_code: ended.then_some(1),
        error: None,
        worst_lag_seconds: None,
    }
}

fn series(symbol: &str, status: Freshness, lag_seconds: i64) -> SeriesState {
    SeriesState {
        key: SeriesKey { symbol: symbol.parse().unwrap(), timeframe: Timeframe::D1 },
        group: "us".into(),
        provider: "polygon".into(),
        status,
        bars_status: status,
        features_status: None,
        last_computed_at: None,
        last_bar_ts: (status != Freshness::Missing).then_some(NOW - 72_000),
        due_at: None,
        lag_seconds,
        data_age_seconds: None,
        beyond_stale: false,
        marks: (lag_seconds > 0).then(|| {
            Box::new(Marks { last_error: Some("server: HTTP 500".to_owned()), ..Marks::default() })
        }),
        silent_since: None,
    }
}

fn job(symbol: &str, status: JobStatus) -> JobFact {
    JobFact {
        run_id: run(RunStatus::Running).run_id,
        symbol: symbol.parse().unwrap(),
        status,
        retry_count: 0,
        started_at: (status != JobStatus::Pending).then_some(NOW - 20),
        completed_at: (status == JobStatus::Completed).then_some(NOW - 5),
        records_inserted: 0,
        records_updated: 0,
        last_error: None,
    }
}

/// Something wrong of every kind, and a run at work.
fn view() -> View {
    let states = vec![
        series("BAD", Freshness::Missing, 90_000),
        series("OLD", Freshness::Stale, 400_000),
        series("AAPL", Freshness::Fresh, 0),
        series("MSFT", Freshness::Fresh, 0),
    ];
    let evidence = Evidence {
        staleness: Staleness { series: states, ..Staleness::default() },
        tracks_none: false,
        holes: Vec::new(),
        ahead: None,
        low_quality: Vec::new(),
        running: None,
        last: None,
        last_jobs: Vec::new(),
        last_failures: Vec::new(),
        last_success: None,
        recent_runs: Vec::new(),
        recent_failures: Vec::new(),
        breakers: Vec::new(),
        disputed: Vec::new(),
        pause: None,
        disk: None,
        unsent: BTreeMap::new(),
        wall_now: NOW,
    };
    let issue = |severity, code, message: &str, hint: &str| Issue {
        code,
        severity,
        subject: String::new(),
        count: 1,
        since: None,
        message: message.to_owned(),
        hint: hint.to_owned(),
    };
    let down = "provider spare is down: its breaker is open since 2024-03-15T19:59:00Z";
    let health = Health {
        status: Status::Critical,
        summary: format!("CRITICAL - {down}; 1 more (2 fresh, 0 aging, 1 stale, 1 missing)"),
        issues: vec![
            issue(Severity::Critical, Code::ProviderDown, down, "mdctl breaker list"),
            issue(
                Severity::Warning,
                Code::SeriesMissing,
                "BAD 1d has no bar",
                "mdctl backfill BAD",
            ),
        ],
        counts: Counts { fresh: 2, aging: 0, stale: 1, missing: 1 },
        stale_features: 0,
        monitored_symbols: 4,
        evidence: Some(evidence),
    };
    let jobs = [
        job("AAPL", JobStatus::Completed),
        job("MSFT", JobStatus::Completed),
        job("OLD", JobStatus::InProgress),
        job("BAD", JobStatus::Pending),
    ];
    let traffic = Traffic { requests: 31, rate_limited: 2, bars: 9_000 };
    let failure = FailureFact {
        run_id: run(RunStatus::Running).run_id,
        symbol: "BAD".parse().unwrap(),
        timeframe: "1d".to_owned(),
        stage: Stage::Fetch,
        kind: ErrorKind::NotFound,
        message: "HTTP 404: Ticker not found".to_owned(),
        attempts: 1,
        at: NOW - 10,
    };
    let provider = |name: &str, status, retry_at| BreakerRow {
        name: name.to_owned(),
        status,
        failure_rate: None,
        failures: 3,
        successes: 2,
        last_failure: None,
        opened_at: None,
        retry_at,
        held: None,
        concurrency: None,
    };
    let doings = Doings {
        work: Some(Work::of(run(RunStatus::Running), &jobs, traffic, NOW)),
        last: Some(run(RunStatus::Partial)),
        failures: vec![failure],
        runs: vec![run(RunStatus::Running), run(RunStatus::Partial)],
        providers: vec![
            provider("spare", BreakerStatus::Open, Some(NOW + 60)),
            provider("polygon", BreakerStatus::Closed, None),
        ],
        quotas: vec![QuotaLeft { provider: "polygon".to_owned(), requests: 4, at_once: 5 }],
    };
    View { at: NOW, health: Arc::new(health), doings: Some(doings), alerts: None }
}

fn caption() -> Caption {
    Caption { database: "mdctl.db".to_owned(), as_of: None, colour: false, patience_seconds: 3 }
}

/// What stands on a screen of that size, the blanks at the ends of lines left out.
fn shown(size: (u16, u16), view: Option<&View>, stance: &mut Stance, now: i64) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame, &caption(), view, stance, now)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..size.1).map(|y| line(y).trim_end().to_owned()).collect()
}

#[track_caller]
fn expect(size: (u16, u16), picture: &str) {
    let lines = shown(size, Some(&view()), &mut Stance::default(), NOW);
    assert_eq!(lines.join("\n").trim_end(), picture.trim(), "{size:?}");
}

#[test]
fn a_small_terminal_shows_what_is_worst_and_the_run() {
    expect(
        (60, 18),
        "
mdctl watch  mdctl.db                   2024-03-15T20:00:00Z
CRITICAL - provider spare is down: its breaker is open sinc…
▶ Issues  1 critical, 1 warning ──────────────── 1-3 of 5 ──
critical provider_down: provider spare is down: its breaker
         is open since 2024-03-15T19:59:00Z
         > mdctl breaker list
─ Run at work  backfill (systemd) for 1m 15s, 01HS1RUN00000…
[███████████████████····················]  50 %  2 of 4 jobs
2 completed, 1 at work, 1 waiting
9,000 new bars, 120 a second, 31 requests, 2 rate-limited, …
at work: OLD 20s
failed  BAD 1d  not_found  HTTP 404: Ticker not found
─ Freshness  2 fresh, 1 stale, 1 missing ─────── 1-2 of 4 ──
SERIES          STATUS   LAG       LAST ERROR
BAD 1d          missing  1d 1h     server: HTTP 500
OLD 1d          stale    4d 15h    server: HTTP 500
─ Providers  1 of 2 held back ──────────────────────────────
q quit  Tab next panel  ↑↓ scroll  r read now  ? help
",
    );
}

#[test]
fn a_usual_terminal_shows_all_of_it() {
    expect(
        (100, 30),
        "
mdctl watch  mdctl.db                                                           2024-03-15T20:00:00Z
CRITICAL - provider spare is down: its breaker is open since 2024-03-15T19:59:00Z; 1 more (2 fresh,…
▶ Issues  1 critical, 1 warning ────────────────────────────────────────────────────────────────────
critical provider_down: provider spare is down: its breaker is open since 2024-03-15T19:59:00Z
         > mdctl breaker list
warning  series_missing: BAD 1d has no bar
         > mdctl backfill BAD
─ Run at work  backfill (systemd) for 1m 15s, 01HS1RUN0000000000000000AA ───────────────────────────
[█████████████████████████·························]  50 %  2 of 4 jobs
2 completed, 1 at work, 1 waiting
9,000 new bars, 120 a second, 31 requests, 2 rate-limited, about 1m 15s left
at work: OLD 20s
failed  BAD 1d  not_found  HTTP 404: Ticker not found
─ Freshness  2 fresh, 1 stale, 1 missing ───────────────────────────────────────────────────────────
SERIES          STATUS   LAG       LAST BAR              LAST ERROR
BAD 1d          missing  1d 1h     -                     server: HTTP 500
OLD 1d          stale    4d 15h    2024-03-15T00:00:00Z  server: HTTP 500
AAPL 1d         fresh    -         2024-03-15T00:00:00Z
MSFT 1d         fresh    -         2024-03-15T00:00:00Z
─ Providers  1 of 2 held back ──────────────────────────────────────────────────────────────────────
PROVIDER  BREAKER  FAILED  QUOTA LEFT  NOTE
spare     open     3 of 5  -           tried again from 2024-03-15T20:01:00Z on
polygon   closed   3 of 5  4 of 5
─ Past runs ────────────────────────────────────────────────────────────────────────────────────────
AGO     STARTED               COMMAND   STATUS   JOBS  FAILED  NEW BARS    TOOK  RUN
1m 15s  2024-03-15T19:58:45Z  backfill  running     -       -         -       -  01HS1RUN0000000000…
1m 15s  2024-03-15T19:58:45Z  backfill  partial     4       1    12,345  1m 10s  01HS1RUN0000000000…


q quit  Tab next panel  ↑↓ scroll  r read now  ? help
",
    );
}

#[test]
fn a_wide_terminal_has_two_columns() {
    expect(
        (160, 22),
        "
mdctl watch  mdctl.db                                                                                                                       2024-03-15T20:00:00Z
CRITICAL - provider spare is down: its breaker is open since 2024-03-15T19:59:00Z; 1 more (2 fresh, 0 aging, 1 stale, 1 missing)
▶ Issues  1 critical, 1 warning ───────────────────────────────────────────────  ─ Freshness  2 fresh, 1 stale, 1 missing ──────────────────────────────────────
critical provider_down: provider spare is down: its breaker is open since        SERIES          STATUS   LAG       LAST BAR              LAST ERROR
         2024-03-15T19:59:00Z                                                    BAD 1d          missing  1d 1h     -                     server: HTTP 500
         > mdctl breaker list                                                    OLD 1d          stale    4d 15h    2024-03-15T00:00:00Z  server: HTTP 500
warning  series_missing: BAD 1d has no bar                                       AAPL 1d         fresh    -         2024-03-15T00:00:00Z
         > mdctl backfill BAD                                                    MSFT 1d         fresh    -         2024-03-15T00:00:00Z
─ Run at work  backfill (systemd) for 1m 15s, 01HS1RUN0000000000000000AA ──────  ─ Providers  1 of 2 held back ─────────────────────────────────────────────────
[█████████████████████████·························]  50 %  2 of 4 jobs          PROVIDER  BREAKER  FAILED  QUOTA LEFT  NOTE
2 completed, 1 at work, 1 waiting                                                spare     open     3 of 5  -           tried again from 2024-03-15T20:01:00Z on
9,000 new bars, 120 a second, 31 requests, 2 rate-limited, about 1m 15s left     polygon   closed   3 of 5  4 of 5
at work: OLD 20s                                                                 ─ Past runs ───────────────────────────────────────────────────────────────────
failed  BAD 1d  not_found  HTTP 404: Ticker not found                            AGO     STARTED               COMMAND   STATUS   JOBS  FAILED  NEW BARS    TOOK
                                                                                 1m 15s  2024-03-15T19:58:45Z  backfill  running     -       -         -       -
                                                                                 1m 15s  2024-03-15T19:58:45Z  backfill  partial     4       1    12,345  1m 10s





q quit  Tab next panel  ↑↓ scroll  r read now  ? help
",
    );
}

#[test]
fn no_size_is_too_small() {
    let view = view();
    for columns in (0..12).chain([60, 139, 140, 141, 300]) {
        for rows in (0..12).chain([30, 100]) {
            for to in [Move::Next, Move::Last, Move::PageDown, Move::Help, Move::Help] {
                let mut stance = Stance::default();
                stance.go(to);
                let lines = shown((columns, rows), Some(&view), &mut stance, NOW);
                // The verdict is there as soon as there is anything.
                let is_there = lines.iter().any(|line| line.starts_with("CRITICAL"));
                assert!(is_there || columns < 9 || rows == 0, "{columns}x{rows}: {lines:?}");
                shown((columns, rows), None, &mut stance, NOW);
            }
        }
    }
}

#[test]
fn what_is_old_is_said_to_be() {
    let view = view();
    let first = |age| shown((80, 24), Some(&view), &mut Stance::default(), NOW + age).remove(0);
    assert!(!first(3).contains("ago"), "{}", first(3));
    assert!(first(4).ends_with("read 4s ago  2024-03-15T20:00:04Z"), "{}", first(4));
}

#[test]
fn where_nothing_can_be_read_the_reason_is_told_whole_and_nothing_else() {
    let why = "UNKNOWN - ".to_owned() + &"the disk is gone and so is the database ".repeat(4);
    let Health { issues, counts, .. } = Arc::try_unwrap(view().health).unwrap();
    let health = Health {
        status: Status::Unknown,
        summary: why.clone(),
        issues,
        counts,
        stale_features: 0,
        monitored_symbols: 0,
        evidence: None,
    };
    let view = View { at: NOW, health: Arc::new(health), doings: None, alerts: None };
    let lines = shown((40, 12), Some(&view), &mut Stance::default(), NOW);
    let text = lines.join(" ");
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    assert!(squeezed(&text).contains(&squeezed(&why)), "{text}");
    assert!(!text.contains("Issues"), "{text}");
}

#[test]
fn a_panel_that_is_gone_to_has_its_room_first() {
    let view = view();
    let mut stance = Stance::default();
    let titles = |stance: &mut Stance| {
        let lines = shown((60, 14), Some(&view), stance, NOW);
        lines.join("\n")
    };
    assert!(!titles(&mut stance).contains("NEW BARS"), "there is no room for runs");
    (0..4).for_each(|_| stance.go(Move::Next));
    let shown = titles(&mut stance);
    assert!(shown.contains("▶ Past runs") && shown.contains("AGO"), "{shown}");
    assert!(shown.contains("1m 15s  backfill  running"), "{shown}");
}

#[test]
fn colours_only_repeat_what_words_say() {
    let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
    let caption = Caption { colour: true, ..caption() };
    let view = view();
    let mut stance = Stance::default();
    terminal.draw(|frame| draw(frame, &caption, Some(&view), &mut stance, NOW)).unwrap();
    let coloured = terminal.backend().buffer();
    let text = |y| (0..100).map(|x| coloured[(x, y)].symbol()).collect::<String>();
    let plain = shown((100, 30), Some(&view), &mut Stance::default(), NOW);
    for (y, line) in (0..).zip(&plain) {
        assert_eq!(text(y).trim_end(), line);
    }
    assert!(coloured.content.iter().any(|cell| cell.fg != ratatui::style::Color::Reset));
}
