//! `mdctl actions`: splits and dividends, and disputes about them settled by hand.

use std::collections::HashSet;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};

use crate::clock;
use crate::domain::action::{ActionFact, ActionKind, ActionStatus};
use crate::domain::series::Symbol;
use crate::exit::Exit;
use crate::pipeline::{self, Decision};
use crate::render;
use crate::report::actions::{self, ActionState};
use crate::store::{Store, lock};

use super::deed::{Hand, Reason};
use super::failure::Failure;
use super::scene::Scene;
use super::select::{self, Typed, selection};
use super::{Done, print};

/// Splits and dividends, and how they stand; settle a dispute.
///
/// Bars stay as they were traded; splits are applied when bars are read and features computed. A split
/// that the bars contradict is disputed, and not applied until somebody accepts it.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  mdctl actions AAPL
  mdctl actions --status disputed
  mdctl actions accept AAPL 2020-08-31 --reason \"the company says so\"
  mdctl actions reject AAPL 2020-08-31 --ratio 2:1 --reason \"it was 4:1\""
)]
pub(super) struct Actions {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Args)]
struct List {
    /// Only this symbol.
    symbol: Option<String>,
    /// Only those that stand so: applied, pending, disputed or rejected.
    #[arg(long, value_name = "STATUS")]
    status: Option<ActionStatus>,
    /// Only splits, or only dividends.
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only this group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// So many shares became so many others.
    Split,
    /// Cash was paid.
    Dividend,
}

impl Kind {
    const fn of(kind: &ActionKind) -> Self {
        match kind {
            ActionKind::Split { .. } => Self::Split,
            ActionKind::Dividend { .. } => Self::Dividend,
        }
    }
}

#[derive(Debug, Subcommand)]
enum What {
    /// Apply an action, whatever the bars say.
    ///
    /// Others that are told of the same jump are then not applied.
    #[command(after_help = "Examples:
  mdctl actions accept AAPL 2020-08-31 --reason \"the company says so\"
  mdctl actions accept AAPL 2020-08-31 --ratio 4:1 --reason \"of the two that are told\"")]
    Accept(Choice),
    /// Never apply an action.
    #[command(after_help = "Examples:
  mdctl actions reject AAPL 2020-08-31 --ratio 2:1 --reason \"it was 4:1\"
  mdctl actions reject KO 2024-03-14 --cash 0.97 --reason \"paid once, told twice\"")]
    Reject(Choice),
}

#[derive(Debug, Args)]
struct Choice {
    /// The symbol.
    symbol: String,
    /// The ex date of the action.
    date: NaiveDate,
    /// Why; the audit log keeps it.
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Which split, new shares for old ones, where the date has several actions.
    #[arg(long, value_name = "NEW:OLD")]
    ratio: Option<Ratio>,
    /// Which dividend, a share, where the date has several actions.
    #[arg(long, value_name = "AMOUNT", conflicts_with = "ratio")]
    cash: Option<f64>,
}

/// New shares for one old.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ratio(f64);

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (new, old) = text.split_once(':').unwrap_or((text, "1"));
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| *number > 0.0);
        number(new).zip(number(old)).map(|(new, old)| Self(new / old)).ok_or_else(|| {
            format!("`{text}` is no ratio; expected new shares for old ones, like 4:1")
        })
    }
}

pub(super) fn exec(command: &Actions, scene: &Scene) -> Done {
    match &command.what {
        None => list(&command.list, scene),
        Some(What::Accept(choice)) => decide(choice, ActionStatus::Applied, scene),
        Some(What::Reject(choice)) => decide(choice, ActionStatus::Rejected, scene),
    }
}

fn list(command: &List, scene: &Scene) -> Done {
    let symbols: Vec<String> = command.symbol.iter().cloned().collect();
    let typed = Typed { symbols: &symbols, group: command.group.as_deref(), ..Typed::default() };
    let meant = selection(&scene.settings, &typed)?;
    let store = scene.reader()?;
    let facts = match meant.symbols.first() {
        Some(symbol) => store
            .actions_of(symbol)
            .map(|facts| facts.into_iter().map(|fact| (symbol.clone(), fact)).collect()),
        None => store.actions_all(command.status),
    };
    let facts = facts.map_err(|error| Failure::of_reader(&error))?;
    let mut rows = actions::judge(&scene.settings, facts);
    let members = scene.settings.members();
    let symbols: HashSet<&Symbol> = members
        .filter(|(group, member)| meant.holds_member(group, member))
        .map(|(_, member)| &member.symbol)
        .collect();
    rows.retain(|row| {
        symbols.contains(&row.symbol)
            && command.status.is_none_or(|status| status == row.fact.status)
            && command.kind.is_none_or(|kind| kind == Kind::of(&row.fact.action.kind))
    });
    print(|out| {
        if scene.json {
            render::actions::json(out, &rows, scene.now())
        } else {
            render::actions::table(out, &rows, scene.look)
        }
    })?;
    Ok(Exit::Success)
}

fn decide(choice: &Choice, status: ActionStatus, scene: &Scene) -> Done {
    let symbol = select::symbol(&scene.settings, &choice.symbol)?;
    let database = &scene.settings.database;
    // What is not there holds no action either, and there is no reason to make a database.
    drop(scene.reader()?);
    // A run at work would judge by what it read before.
    let _lock = lock::try_lock(database)
        .map_err(|error| Failure::create(&lock::path_of(database), &error))?
        .ok_or_else(|| {
            Failure::new(Exit::Locked, "locked", "a run is at work on the database")
                .hinted("decide when it has ended; `mdctl status` shows it")
        })?;
    let mut store = Store::open_write(database)?;
    let held = store.actions_of(&symbol)?;
    let fact = meant(choice, &symbol, &held)?;
    let word = if status == ActionStatus::Applied { "actions_accept" } else { "actions_reject" };
    let action = &fact.action;
    let subject = format!("{symbol} {} of {}", action.kind, action.ex_date);
    let reason = choice.reason.to_string();
    let hand = Hand::callers();
    let run_id = clock::new_run_id(&mut clock::Chance::new());
    let mut deed = hand.deed(scene.wall_now, word, &subject, &reason);
    deed.run_id = Some(&run_id);
    let decision =
        Decision { symbol: &symbol, action, status, deed, run_id: &run_id, now: scene.now() };
    let stand = pipeline::decide(&scene.settings, &mut store, &decision)?;
    let changed = changed(&symbol, fact, &held, stand);
    print(|out| {
        if scene.json {
            render::actions::json(out, &changed, scene.wall_now)
        } else {
            render::actions::decided(out, &changed)
        }
    })?;
    Ok(Exit::Success)
}

/// The action that was decided about, then those that stand otherwise than before because of it.
fn changed(
    symbol: &Symbol,
    decided: &ActionFact,
    held: &[ActionFact],
    stand: Vec<ActionFact>,
) -> Vec<ActionState> {
    let is_decided = |fact: &ActionFact| fact.action == decided.action;
    let is_other = |fact: &ActionFact| {
        let same = |before: &&ActionFact| before.action == fact.action;
        held.iter().find(same).is_some_and(|before| before.status != fact.status)
    };
    let mut rows: Vec<ActionFact> =
        stand.into_iter().filter(|fact| is_decided(fact) || is_other(fact)).collect();
    rows.sort_by_key(|fact| !is_decided(fact));
    rows.into_iter().map(|fact| ActionState { symbol: symbol.clone(), fact }).collect()
}

/// The action that is meant: the one that is named, else the only one of its date, else the only
/// disputed one.
fn meant<'a>(
    choice: &Choice,
    symbol: &Symbol,
    held: &'a [ActionFact],
) -> Result<&'a ActionFact, Failure> {
    let date = choice.date;
    let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
    let is_named = |fact: &&ActionFact| match (&fact.action.kind, choice.ratio, choice.cash) {
        (ActionKind::Split { from, to }, Some(ratio), _) => near(to / from, ratio.0),
        (ActionKind::Dividend { cash, .. }, _, Some(named)) => near(*cash, named),
        (_, ratio, cash) => ratio.is_none() && cash.is_none(),
    };
    let of_date: Vec<&ActionFact> =
        held.iter().filter(|fact| fact.action.ex_date == date).collect();
    if of_date.is_empty() {
        return Err(unknown_date(symbol, date, held));
    }
    let named: Vec<&ActionFact> = of_date.iter().copied().filter(|fact| is_named(fact)).collect();
    let disputed: Vec<&ActionFact> =
        named.iter().copied().filter(|fact| fact.status == ActionStatus::Disputed).collect();
    match (named.as_slice(), disputed.as_slice()) {
        ([only], _) | (_, [only]) => Ok(only),
        _ => {
            let several = if named.is_empty() { "no such action" } else { "several actions" };
            let flags: Vec<String> = of_date.iter().map(|fact| flag(&fact.action.kind)).collect();
            Err(Failure::usage(format!("{symbol} has {several} on {date}"))
                .hinted(format!("name one: {}", flags.join(" or "))))
        }
    }
}

/// How an action is named on the command line.
fn flag(kind: &ActionKind) -> String {
    match kind {
        ActionKind::Split { from, to } => format!("--ratio {to}:{from}"),
        ActionKind::Dividend { cash, .. } => format!("--cash {cash}"),
    }
}

/// Dates named in a hint, at most.
const MOST_DATES: usize = 5;

fn unknown_date(symbol: &Symbol, date: NaiveDate, held: &[ActionFact]) -> Failure {
    let failure = Failure::usage(format!("{symbol} has no action on {date}"));
    let mut dates: Vec<NaiveDate> = held.iter().map(|fact| fact.action.ex_date).collect();
    dates.dedup();
    dates.sort_by_key(|held| (*held - date).num_days().abs());
    dates.truncate(MOST_DATES);
    match dates.as_slice() {
        [] => {
            failure.hinted(format!("{symbol} has none at all; `mdctl actions` lists those known"))
        }
        _ => {
            let words: Vec<String> = dates.iter().map(NaiveDate::to_string).collect();
            failure.hinted(format!("the nearest are {}", words.join(", ")))
        }
    }
}
