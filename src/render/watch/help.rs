//! What the keys do, and where the same is had otherwise.

use ratatui::text::Line;

use super::text::Ink;

/// The help, a line each.
pub(super) fn lines(ink: Ink) -> Vec<Line<'static>> {
    const KEYS: &[(&str, &str)] = &[
        ("q, Esc, Ctrl-C", "quit"),
        ("Tab, Shift-Tab", "the next panel, the one before; it gets its room first"),
        ("↑ ↓, k j", "a row up or down in the panel marked ▶"),
        ("PgUp PgDn, Home End", "a page, the first row, the last"),
        ("r", "read the database now"),
        ("?", "this help, and back"),
    ];
    const COMMANDS: &[(&str, &str)] = &[
        ("mdctl health", "the verdict and its issues"),
        ("mdctl staleness", "every series"),
        ("mdctl history last", "the last run: its jobs, requests and failures"),
        ("mdctl breaker list", "the providers"),
        ("mdctl alerts", "the rules"),
    ];
    let head = |text: &'static str| Line::styled(text, ink.head());
    let line =
        |(what, means): &(&'static str, &'static str)| Line::raw(format!("  {what:<20} {means}"));
    let mut lines = vec![Line::raw(""), head("Keys")];
    lines.extend(KEYS.iter().map(line));
    lines.extend([Line::raw(""), head("The same, to the end and for scripts")]);
    lines.extend(COMMANDS.iter().map(line));
    lines.push(Line::raw(""));
    lines.push(Line::raw("Nothing is written and nothing is asked of a provider."));
    lines
}
