//! How somebody looks at the screen: at which panel, how far down, and whether at the help instead.

/// A part of the screen, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// What is wrong, and what mends it.
    Issues,
    /// The run at work, or the last one.
    Run,
    /// Series by freshness.
    Freshness,
    /// The providers.
    Providers,
    /// Past runs.
    Runs,
    /// Rules that fire.
    Alerts,
}

impl Panel {
    /// All of them, the most important first.
    pub const ALL: [Self; 6] =
        [Self::Issues, Self::Run, Self::Freshness, Self::Providers, Self::Runs, Self::Alerts];
}

/// How somebody looks at the screen.
#[derive(Clone, Debug)]
pub struct Stance {
    pub(super) focus: Panel,
    /// How many rows of each panel's list are above what is shown.
    above: [usize; Panel::ALL.len()],
    /// Which panels there were last.
    pub(super) there: [bool; Panel::ALL.len()],
    /// How many rows of the focused panel's list were shown last.
    pub(super) page: usize,
    pub(super) helps: bool,
}

impl Default for Stance {
    fn default() -> Self {
        Self {
            focus: Panel::Issues,
            above: [0; Panel::ALL.len()],
            there: [true; Panel::ALL.len()],
            page: 1,
            helps: false,
        }
    }
}

/// What somebody does to look at something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// To the next panel.
    Next,
    /// To the one before.
    Previous,
    /// A row up.
    Up,
    /// A row down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// To the help, or back.
    Help,
}

impl Stance {
    /// Looks elsewhere.
    pub fn go(&mut self, to: Move) {
        let page = self.page.max(1);
        let above = &mut self.above[self.focus as usize];
        match to {
            Move::Next => self.turn(1),
            Move::Previous => self.turn(Panel::ALL.len() - 1),
            Move::Up => *above = above.saturating_sub(1),
            Move::Down => *above = above.saturating_add(1),
            Move::PageUp => *above = above.saturating_sub(page),
            Move::PageDown => *above = above.saturating_add(page),
            Move::First => *above = 0,
            Move::Last => *above = usize::MAX,
            Move::Help => self.helps = !self.helps,
        }
    }

    /// Goes so many panels on, and on to one that is there.
    fn turn(&mut self, by: usize) {
        let all = Panel::ALL.len();
        let places = (1..=all).map(|times| (self.focus as usize + by * times) % all);
        let there = places.into_iter().find(|place| self.there[*place]);
        self.focus = there.map_or(self.focus, |place| Panel::ALL[place]);
    }

    /// Whether the help is shown.
    #[must_use]
    pub const fn helps(&self) -> bool {
        self.helps
    }

    /// How many rows of a list of `total` are above what is shown, where `page` of them are: never so many
    /// that less is shown than could be.
    pub(super) fn above(&mut self, panel: Panel, total: usize, page: usize) -> usize {
        let above = &mut self.above[panel as usize];
        *above = (*above).min(total.saturating_sub(page));
        *above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_looks_past_an_end() {
        let mut stance = Stance { page: 4, ..Stance::default() };
        stance.go(Move::Up);
        assert_eq!(stance.above(Panel::Issues, 10, 4), 0);
        stance.go(Move::PageDown);
        stance.go(Move::Down);
        assert_eq!(stance.above(Panel::Issues, 10, 4), 5);
        stance.go(Move::Last);
        stance.go(Move::Down);
        assert_eq!(stance.above(Panel::Issues, 10, 4), 6);
        // The list has become shorter meanwhile.
        assert_eq!(stance.above(Panel::Issues, 3, 4), 0);
    }

    #[test]
    fn panels_come_round() {
        let mut stance = Stance::default();
        stance.go(Move::Previous);
        assert_eq!(stance.focus, Panel::Alerts);
        stance.go(Move::Next);
        stance.go(Move::Next);
        assert_eq!(stance.focus, Panel::Run);
        stance.there[Panel::Freshness as usize] = false;
        stance.go(Move::Next);
        assert_eq!(stance.focus, Panel::Providers);
        stance.go(Move::Previous);
        assert_eq!(stance.focus, Panel::Run);
        stance.there = [false; Panel::ALL.len()];
        stance.go(Move::Next);
        assert_eq!(stance.focus, Panel::Run);
    }
}
