use super::*;
use crate::config::{self, JobRetries};

/// A second past nothing.
const NOW: i64 = 1_000 * SECOND;

/// The gates of providers `p` and `q`, whose tables are these.
fn gates_with(p: &str, q: &str, options: &Options) -> Gates {
    let text = format!(
        "[providers.p]\nkind = \"coinbase\"\n{p}\n[providers.q]\nkind = \"coinbase\"\n{q}\n"
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("the config is written");
    let settings = config::load(file.path(), None).expect("a config");
    Gates::new(&settings.providers, BTreeMap::new(), options, &Stamp { at: NOW, boot: None })
}

fn options() -> Options {
    Options {
        parallel: 8,
        stagger: Duration::ZERO,
        job_retries: JobRetries::NONE,
        max_requests: None,
        time: Duration::from_secs(1),
        grace: Duration::from_secs(1),
        forced: false,
        as_of: None,
        markets: BTreeMap::new(),
    }
}

const WIDE: &str = "rate = { requests = 1000, per = \"1s\" }";

/// Gates through which, as far as quotas go, everything passes.
fn wide() -> Gates {
    gates_with(WIDE, WIDE, &options())
}

fn symbol() -> Symbol {
    "X".parse().expect("a symbol")
}

/// The first task of a job.
const fn first(job: usize) -> Rank {
    Rank { job, task: 0 }
}

/// Enters with the first task of a job, and writes down what has to be.
fn enter(gates: &mut Gates, job: usize) -> Entry {
    enter_as(gates, first(job))
}

fn enter_as(gates: &mut Gates, rank: Rank) -> Entry {
    loop {
        let entry = gates.enter("p", &symbol(), rank, NOW);
        if entry != Entry::Wait(Wait::Ledger) {
            return entry;
        }
        let notes = gates.notes(NOW);
        assert!(!notes.is_empty(), "it waits for a note that nobody is to write");
        gates.noted(&notes);
    }
}

fn pass(gates: &mut Gates, job: usize) -> Permit {
    pass_as(gates, first(job))
}

fn pass_as(gates: &mut Gates, rank: Rank) -> Permit {
    match enter_as(gates, rank) {
        Entry::Go(pass) => pass,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_goes_before_it_is_written_down_that_it_may_have_gone() {
    let mut gates = wide();
    assert_eq!(gates.enter("p", &symbol(), first(0), NOW), Entry::Wait(Wait::Ledger));
    let notes = gates.notes(NOW);
    assert_eq!(gates.enter("p", &symbol(), first(0), NOW), Entry::Wait(Wait::Ledger), "not yet");
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!((note.provider.as_str(), note.state.quota.unsettled), ("p", 100));
    gates.noted(&notes);
    assert!(matches!(gates.enter("p", &symbol(), first(0), NOW), Entry::Go(_)));
}

#[test]
fn what_is_announced_and_what_is_in_flight_are_never_less_than_what_was_sent() {
    let mut gates = wide();
    let mut written = 0;
    let mut unsent = 0;
    for rank in 0..500 {
        let mut entry = gates.enter("p", &symbol(), first(rank), NOW);
        if entry == Entry::Wait(Wait::Ledger) {
            let notes = gates.notes(NOW);
            written = notes[0].state.quota.unsettled;
            gates.noted(&notes);
            unsent = 0;
            entry = gates.enter("p", &symbol(), first(rank), NOW);
        }
        let Entry::Go(passed) = entry else { panic!("{entry:?}") };
        unsent += 1;
        assert!(unsent <= written, "{unsent} sent since {written} were announced");
        gates.leave("p", passed, None, NOW);
    }
    assert_eq!(gates.last_notes(NOW)[0].state.quota.unsettled, 0);
}

#[test]
fn whoever_stands_first_goes_first() {
    let mut gates = wide();
    let entry = gates.enter("p", &symbol(), first(3), NOW);
    assert_eq!(entry, Entry::Wait(Wait::Ledger));
    assert_eq!(gates.enter("p", &symbol(), first(5), NOW), Entry::Wait(Wait::Others));
    pass(&mut gates, 3);
    assert!(matches!(gates.enter("p", &symbol(), first(5), NOW), Entry::Go(_)));
}

#[test]
fn whoever_is_about_to_ask_goes_first_too() {
    let mut gates = wide();
    gates.begin("p", 3);
    assert_eq!(gates.enter("p", &symbol(), first(5), NOW), Entry::Wait(Wait::Others));
    pass(&mut gates, 3);
    pass(&mut gates, 5);
}

#[test]
fn whoever_gives_up_lets_the_next_one_go() {
    let mut gates = wide();
    gates.enter("p", &symbol(), first(1), NOW);
    gates.withdraw("p", first(1));
    pass(&mut gates, 2);
}

#[test]
fn a_full_bulkhead_is_waited_for_and_so_is_a_cut_one() {
    let narrow = format!("{WIDE}\nbulkhead = {{ max_concurrent = 4 }}");
    let mut gates = gates_with(&narrow, WIDE, &options());
    let flying: Vec<Permit> = (0..4).map(|rank| pass(&mut gates, rank)).collect();
    assert!(matches!(enter(&mut gates, 9), Entry::Wait(Wait::Place(_))));
    let fault = Fault::new(ErrorKind::RateLimited, "429");
    flying.into_iter().for_each(|flying| gates.leave("p", flying, Some(&fault), NOW));
    let _two = (pass(&mut gates, 9), pass(&mut gates, 10));
    assert_eq!(enter(&mut gates, 11), Entry::Wait(Wait::Place(NOW)), "four were halved");
}

#[test]
fn calls_that_reach_nobody_restore_nothing() {
    let mut gates = gates_with(WIDE, WIDE, &options());
    let end = |gates: &mut Gates, kind| {
        let passed = pass(gates, 0);
        gates.leave("p", passed, Some(&Fault::new(kind, "")), NOW);
    };
    (0..3).for_each(|_| end(&mut gates, ErrorKind::RateLimited));
    (0..3).for_each(|_| end(&mut gates, ErrorKind::Network));
    assert_eq!(gates.last_notes(NOW)[0].state.concurrency, Some(1), "8, 4, 2, 1");
}

#[test]
fn the_last_request_is_the_last_one_and_the_rest_is_deferred() {
    let mut gates = gates_with(WIDE, WIDE, &Options { max_requests: Some(2), ..options() });
    pass(&mut gates, 0);
    pass(&mut gates, 1);
    assert!(matches!(enter(&mut gates, 2), Entry::Defer(_)));
}

#[test]
fn a_wrong_key_stops_its_provider_alone() {
    let mut gates = wide();
    gates.stop("p", &Fault::new(ErrorKind::Auth, "no such key"));
    assert!(matches!(enter(&mut gates, 0), Entry::Fail(fault) if fault.kind == ErrorKind::Auth));
    assert_eq!(gates.enter("q", &symbol(), first(0), NOW), Entry::Wait(Wait::Ledger));
}

#[test]
fn a_request_that_was_cut_off_tells_nothing_of_its_provider() {
    let once = format!("{WIDE}\nbreaker = {{ min_calls = 1 }}");
    let mut gates = gates_with(&once, WIDE, &options());
    for kind in [ErrorKind::Cancelled, ErrorKind::Deadline] {
        let passed = pass(&mut gates, 0);
        gates.leave("p", passed, Some(&Fault::new(kind, "")), NOW);
    }
    let passed = pass(&mut gates, 0);
    gates.leave("p", passed, Some(&Fault::new(ErrorKind::Server, "HTTP 500")), NOW);
    let refused = enter(&mut gates, 0);
    assert!(matches!(refused, Entry::Fail(fault) if fault.kind == ErrorKind::CircuitOpen));
}

#[test]
fn a_change_of_the_breaker_is_worth_a_note_at_once() {
    let once = format!("{WIDE}\nbreaker = {{ min_calls = 1 }}");
    let mut gates = gates_with(&once, WIDE, &options());
    let passed = pass(&mut gates, 0);
    assert!(gates.notes(NOW).is_empty());
    gates.leave("p", passed, Some(&Fault::new(ErrorKind::Network, "refused")), NOW);
    let notes = gates.notes(NOW);
    assert_eq!(notes[0].state.breaker.failures(), 1);
    assert!(gates.notes(NOW).is_empty(), "once");
}

#[test]
fn whoever_must_wait_anyway_keeps_no_other_provider_from_the_only_lane() {
    let mut gates = gates_with(WIDE, WIDE, &Options { parallel: 1, ..options() });
    ["p", "q"].iter().for_each(|provider| gates.queue(provider, 1));
    let flying = pass(&mut gates, 0);
    assert_eq!(gates.enter("q", &symbol(), first(1), NOW), Entry::Wait(Wait::Ledger));
    let notes = gates.notes(NOW);
    gates.noted(&notes);
    assert_eq!(gates.enter("q", &symbol(), first(1), NOW), Entry::Wait(Wait::Others), "for a lane");
    gates.leave("p", flying, None, NOW);
    assert_eq!(enter(&mut gates, 2), Entry::Wait(Wait::Others), "it is the other's turn");
    gates.pause("q", NOW + 300 * SECOND);
    pass(&mut gates, 2);
}

/// Gates at whose provider jobs 1 and 2 are at work, in flight with their first task.
fn two_at_work(parallel: u32, p: &str) -> (Gates, Vec<Permit>) {
    let mut gates = gates_with(p, WIDE, &Options { parallel, ..options() });
    [1, 2].into_iter().for_each(|job| gates.begin("p", job));
    let flying = [1, 2].into_iter().map(|job| pass(&mut gates, job)).collect();
    (gates, flying)
}

const FURTHER: Rank = Rank { job: 1, task: 1 };

#[test]
fn a_further_task_goes_where_a_lane_would_idle_and_nowhere_else() {
    let (mut busy, _flying) = two_at_work(2, WIDE);
    assert_eq!(enter_as(&mut busy, FURTHER), Entry::Wait(Wait::Others));
    let (mut idle, flying) = two_at_work(3, WIDE);
    assert!(matches!(enter_as(&mut idle, FURTHER), Entry::Go(_)));
    let next = Rank { task: 2, ..FURTHER };
    assert_eq!(enter_as(&mut idle, next), Entry::Wait(Wait::Others));
    idle.leave("p", flying[1], None, NOW);
    assert_eq!(
        enter_as(&mut idle, next),
        Entry::Wait(Wait::Others),
        "job 2 asks for its next page"
    );
    idle.end("p", 2);
    assert!(matches!(enter_as(&mut idle, next), Entry::Go(_)));
}

#[test]
fn a_further_task_waits_behind_a_later_job_whose_turn_it_is() {
    let (mut gates, _flying) = two_at_work(8, WIDE);
    gates.begin("p", 3);
    assert_eq!(enter_as(&mut gates, FURTHER), Entry::Wait(Wait::Others));
    pass(&mut gates, 3);
    assert!(matches!(enter_as(&mut gates, FURTHER), Entry::Go(_)));
}

#[test]
fn a_further_task_leaves_quota_and_requests_to_jobs_that_have_not_begun() {
    let (mut gates, _flying) = two_at_work(8, "rate = { requests = 4, per = \"1h\" }");
    gates.queue("p", 2);
    assert_eq!(enter_as(&mut gates, FURTHER), Entry::Wait(Wait::Others), "two are left, for two");
    gates.queue("p", 1);
    assert!(matches!(enter_as(&mut gates, FURTHER), Entry::Go(_)));
    let mut gates = gates_with(WIDE, WIDE, &Options { max_requests: Some(2), ..options() });
    gates.begin("p", 1);
    gates.queue("p", 1);
    pass(&mut gates, 1);
    assert_eq!(enter_as(&mut gates, FURTHER), Entry::Wait(Wait::Others), "one is left, for one");
    gates.begin("p", 2);
    pass(&mut gates, 2);
    assert!(matches!(enter_as(&mut gates, FURTHER), Entry::Defer(_)));
}

#[test]
fn a_further_task_takes_no_place_of_a_narrow_bulkhead() {
    let (mut gates, flying) =
        two_at_work(8, &format!("{WIDE}\nbulkhead = {{ max_concurrent = 3 }}"));
    gates.leave("p", flying[1], None, NOW);
    let further = pass_as(&mut gates, FURTHER);
    let next = Rank { task: 2, ..FURTHER };
    assert_eq!(enter_as(&mut gates, next), Entry::Wait(Wait::Others), "the last is job 2's");
    gates.leave("p", further, None, NOW);
    pass(&mut gates, 2);
    pass_as(&mut gates, FURTHER);
    assert_eq!(
        enter_as(&mut gates, next),
        Entry::Wait(Wait::Others),
        "not for a place, in no hurry"
    );
}

#[test]
fn a_further_task_of_one_provider_leaves_a_lane_to_another_ones_job() {
    let mut gates = gates_with(WIDE, WIDE, &Options { parallel: 2, ..options() });
    [("p", 1), ("q", 2)].into_iter().for_each(|(provider, job)| gates.begin(provider, job));
    pass(&mut gates, 1);
    assert_eq!(enter_as(&mut gates, FURTHER), Entry::Wait(Wait::Others));
    gates.pause("q", NOW + 300 * SECOND);
    assert_eq!(enter_as(&mut gates, FURTHER), Entry::Wait(Wait::Others), "each other has a lane");
    gates.end("q", 2);
    assert!(matches!(enter_as(&mut gates, FURTHER), Entry::Go(_)));
}

/// A provider's word to ask again in so many seconds.
fn wish(seconds: u64, status: u16) -> Fault {
    Fault {
        retry_after: Some(Duration::from_secs(seconds)),
        http_status: Some(status),
        ..Fault::new(ErrorKind::RateLimited, "slow down")
    }
}

/// What becomes of a task for `symbol` whose provider says so, where a run waits for a minute.
fn heed(gates: &mut Gates, symbol: &str, fault: &Fault) -> Option<Fate> {
    let symbol = symbol.parse().expect("a symbol");
    gates.heed("p", &symbol, fault, Duration::from_secs(60), NOW)
}

/// Whether it is no use to ask for that symbol.
fn is_over(gates: &Gates, symbol: &str) -> bool {
    gates.over("p", &symbol.parse().expect("a symbol"), NOW).is_some()
}

#[test]
fn a_wish_that_a_run_can_wait_for_is_waited_for() {
    let mut gates = wide();
    assert_eq!(heed(&mut gates, "X", &Fault::new(ErrorKind::Server, "HTTP 500")), None);
    assert!(matches!(enter(&mut gates, 0), Entry::Go(_)), "nothing was wished");
    assert_eq!(heed(&mut gates, "X", &wish(60, 429)), None);
    assert_eq!(enter(&mut gates, 1), Entry::Wait(Wait::Quota(NOW + 60 * SECOND)));
    assert!(!is_over(&gates, "X"));
}

#[test]
fn a_longer_wish_is_one_of_its_symbol_and_the_next_one_of_all() {
    let mut gates = wide();
    assert_eq!(heed(&mut gates, "X", &wish(61, 429)), Some(Fate::Failed));
    assert_eq!((is_over(&gates, "X"), is_over(&gates, "Y")), (true, false));
    assert_eq!(heed(&mut gates, "Y", &wish(61, 429)), Some(Fate::Deferred));
    assert!(is_over(&gates, "Z"));
}

#[test]
fn a_ban_is_of_the_caller_whatever_was_asked_for() {
    let mut gates = wide();
    assert_eq!(heed(&mut gates, "X", &wish(61, 418)), Some(Fate::Failed));
    assert!(is_over(&gates, "Y"));
}
