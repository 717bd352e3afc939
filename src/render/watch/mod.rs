//! The live screen: the verdict, and below it panels that give way by importance where there is no room
//! for all.
//!
//! Pure: a view and a way of looking at it in, cells of a frame out.

use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::domain::fact::{FailureFact, RunFact};
use crate::domain::provider_state::QuotaLeft;
use crate::domain::words::{instant, span};
use crate::report::alerts::Report;
use crate::report::breaker::BreakerRow;
use crate::report::health::{Health, Status};
use crate::report::work::Work;

use super::table::Tone;

mod help;
mod panels;
mod room;
mod runs;
mod stance;
#[cfg(test)]
mod tests;
mod text;

pub use stance::{Move, Panel, Stance};

use panels::Body;
use text::{Ink, fit, width, wrap};

/// From so many columns on there are two columns of panels.
const TWO_COLUMNS: u16 = 140;

/// The panels on the left and on the right where there are two columns, the most important first.
const LEFT: &[Panel] = &[Panel::Issues, Panel::Run, Panel::Alerts];
const RIGHT: &[Panel] = &[Panel::Freshness, Panel::Providers, Panel::Runs];

/// What was read of the database.
#[derive(Clone, Debug)]
pub struct View {
    /// When, by the wall clock.
    pub at: i64,
    /// The verdict: unknown when nothing could be read.
    pub health: Arc<Health>,
    /// What runs do; `None` likewise.
    pub doings: Option<Doings>,
    /// How the rules stand, or why they cannot be judged.
    pub alerts: Option<Result<Arc<Report>, String>>,
}

/// What runs do and did.
#[derive(Clone, Debug)]
pub struct Doings {
    /// The run at work.
    pub work: Option<Work>,
    /// The last run that ended; those that a pause made skip do not count.
    pub last: Option<RunFact>,
    /// What failed in the run at work, else in the last one, the newest first.
    pub failures: Vec<FailureFact>,
    /// Past runs, the newest first.
    pub runs: Vec<RunFact>,
    /// How the providers stand, the worst first.
    pub providers: Vec<BreakerRow>,
    /// What is left of their quotas.
    pub quotas: Vec<QuotaLeft>,
}

/// What stands above all of it.
#[derive(Clone, Debug)]
pub struct Caption {
    /// The database's file.
    pub database: String,
    /// The instant that the data is judged at, where one is given.
    pub as_of: Option<i64>,
    /// Whether colours are wanted.
    pub colour: bool,
    /// A view that is older than so many seconds is said to be old.
    pub patience_seconds: i64,
}

/// Draws what was read, at `now` by the wall clock; `None` before anything was.
pub fn draw(
    frame: &mut Frame<'_>,
    caption: &Caption,
    view: Option<&View>,
    stance: &mut Stance,
    now: i64,
) {
    let ink = Ink { colour: caption.colour };
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let mut room = Room { frame, left: area };
    let Some(view) = view else {
        room.top(caption_line(caption, None, now, area.width.into(), ink));
        room.top(Line::raw("reading the database for the first time"));
        return;
    };
    // Of one line the verdict is worth most, of three the caption and the keys come too.
    if area.height > 2 {
        room.top(caption_line(caption, Some(view), now, area.width.into(), ink));
    }
    if area.height > 6 && !stance.helps {
        room.bottom(keys(ink));
    }
    // Below it the worst issue says the same, and more.
    let most = if area.height < 36 { 1 } else { 2 };
    for line in verdict(&view.health, area.width.into(), most, ink) {
        room.top(line);
    }
    if stance.helps {
        help::lines(ink).into_iter().for_each(|line| room.top(line));
    } else if view.doings.is_some() {
        columns(&mut room, view, stance, now, ink);
    }
}

/// What is left of a frame.
struct Room<'a, 'b> {
    frame: &'a mut Frame<'b>,
    left: Rect,
}

impl Room<'_, '_> {
    /// Puts a line where there is room yet, at the top of it.
    fn top(&mut self, line: Line<'_>) {
        if self.left.height > 0 {
            let row = Rect { height: 1, ..self.left };
            self.frame.render_widget(line, row);
            self.left = Rect { y: row.y + 1, height: self.left.height - 1, ..self.left };
        }
    }

    /// Likewise, at the bottom.
    fn bottom(&mut self, line: Line<'_>) {
        if self.left.height > 0 {
            self.left.height -= 1;
            let row = Rect { y: self.left.bottom(), height: 1, ..self.left };
            self.frame.render_widget(line, row);
        }
    }
}

/// Which database is watched, as of when, and what time it is.
fn caption_line(
    caption: &Caption,
    view: Option<&View>,
    now: i64,
    room: usize,
    ink: Ink,
) -> Line<'static> {
    let age =
        view.map(|view| now.saturating_sub(view.at)).filter(|age| *age > caption.patience_seconds);
    let mut right = age.map_or_else(String::new, |age| format!("read {} ago  ", span(age)));
    right.push_str(&instant(now));
    let as_of = caption.as_of.map(|at| format!("  as of {}", instant(at))).unwrap_or_default();
    let name = "mdctl watch";
    let left = format!("  {}{as_of}", caption.database);
    let left = fit(&left, room.saturating_sub(name.len() + right.len() + 2));
    let blank = room.saturating_sub(name.len() + width(&left) + right.len());
    Line::from(vec![
        Span::styled(name, ink.head()),
        Span::raw(left),
        Span::raw(" ".repeat(blank)),
        Span::styled(right, if age.is_some() { ink.tone(Tone::Doubtful) } else { ink.frame() }),
    ])
}

/// The verdict in so many lines at most.
fn verdict(health: &Health, room: usize, most: usize, ink: Ink) -> Vec<Line<'static>> {
    let tone = match health.status {
        Status::Healthy => Tone::Good,
        Status::Degraded => Tone::Doubtful,
        Status::Critical | Status::Unknown => Tone::Bad,
    };
    // Nothing else is to be seen where nothing could be read.
    let most = if health.status == Status::Unknown { usize::MAX } else { most };
    let mut lines = wrap(&health.summary, room);
    if lines.len() > most {
        let rest = lines.split_off(most.saturating_sub(1)).join(" ");
        lines.push(fit(&rest, room));
    }
    lines.into_iter().map(|line| Line::styled(line, ink.tone(tone))).collect()
}

fn keys(ink: Ink) -> Line<'static> {
    Line::styled("q quit  Tab next panel  ↑↓ scroll  r read now  ? help", ink.frame())
}

/// The panels in one column or two.
fn columns(room: &mut Room<'_, '_>, view: &View, stance: &mut Stance, now: i64, ink: Ink) {
    let area = room.left;
    if area.width < TWO_COLUMNS {
        return column(room.frame, area, &Panel::ALL, view, stance, now, ink);
    }
    let half = (area.width - 2) / 2;
    let left = Rect { width: half, ..area };
    let right = Rect { x: area.x + half + 2, width: area.width - half - 2, ..area };
    column(room.frame, left, LEFT, view, stance, now, ink);
    column(room.frame, right, RIGHT, view, stance, now, ink);
}

/// Panels one below the other. The one that is looked at has its room first.
fn column(
    frame: &mut Frame<'_>,
    area: Rect,
    panels: &[Panel],
    view: &View,
    stance: &mut Stance,
    now: i64,
    ink: Ink,
) {
    let wide = usize::from(area.width);
    let mut bodies: Vec<(Panel, Body<'_>)> = Vec::new();
    for panel in panels {
        let body = panels::body(*panel, view, wide, now, ink);
        stance.there[*panel as usize] = body.is_some();
        bodies.extend(body.map(|body| (*panel, body)));
    }
    let mut order: Vec<usize> = (0..bodies.len()).collect();
    order.sort_by_key(|index| bodies[*index].0 != stance.focus);
    let wish = |(panel, body): &(Panel, Body<'_>)| {
        let wish = body.wish();
        // Whoever goes to a panel wants to see more of it than that it is there.
        let is_sought = *panel == stance.focus && *panel != Panel::Issues;
        if is_sought { room::Wish { least: wish.good, ..wish } } else { wish }
    };
    let wishes: Vec<room::Wish> = order.iter().map(|index| wish(&bodies[*index])).collect();
    let mut rows = vec![0; bodies.len()];
    for (index, share) in order.into_iter().zip(room::share(area.height.into(), &wishes)) {
        rows[index] = share;
    }
    let mut room = Room { frame, left: area };
    for ((panel, body), rows) in bodies.iter().zip(rows).filter(|(_, rows)| *rows > 0) {
        let page = rows.saturating_sub(1 + body.fixed.len());
        let above = stance.above(*panel, body.list.len(), page);
        let is_focus = *panel == stance.focus;
        if is_focus {
            stance.page = page;
        }
        let shown = (above, page.min(body.list.len()), body.list.len());
        room.top(title(&body.title, is_focus, shown, wide, ink));
        body.fixed.iter().take(rows - 1).for_each(|line| room.top(line.clone()));
        body.list.lines(above, page, wide, ink).into_iter().for_each(|line| room.top(line));
    }
}

/// Of a word that has less room than this nothing is left to be read.
const LEAST_WORD: usize = 4;

/// A panel's title, and which rows of its list are shown where not all are.
fn title(
    words: &[(String, Tone)],
    is_focus: bool,
    (above, shown, total): (usize, usize, usize),
    room: usize,
    ink: Ink,
) -> Line<'static> {
    let is_part = shown > 0 && shown < total;
    let place = is_part.then(|| format!(" {}-{} of {total} ──", above + 1, above + shown));
    let place = place.unwrap_or_default();
    let mut spans = vec![Span::styled(if is_focus { "▶ " } else { "─ " }, ink.frame())];
    let mut left = room.saturating_sub(2 + width(&place));
    for (index, (text, tone)) in words.iter().enumerate() {
        let between = ["", "  ", ", "][index.min(2)];
        if index > 0 && left < between.len() + LEAST_WORD {
            break;
        }
        let text = fit(text, left.saturating_sub(between.len()));
        let style = if index == 0 { ink.head() } else { ink.tone(*tone) };
        left = left.saturating_sub(width(&text) + between.len());
        spans.extend([Span::styled(between, ink.frame()), Span::styled(text, style)]);
    }
    let rule = if left > 1 { format!(" {}", "─".repeat(left - 1)) } else { String::new() };
    spans.push(Span::styled(rule + &place, ink.frame()));
    Line::from(spans)
}
