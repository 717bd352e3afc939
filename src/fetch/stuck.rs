//! Chains of pages that lead nowhere: what all that follow one have in common. Pure.

use crate::domain::run::{ErrorKind, Fault};

/// Empty pages in a row after which a chain counts as endless.
const MOST_EMPTY: u32 = 10;

/// The fault of a page with which a chain gets nowhere.
pub(super) fn stuck(message: impl Into<String>) -> Fault {
    Fault::new(ErrorKind::Malformed, message)
}

/// How many pages of a chain were empty, one after the other, up to the last one that came.
#[derive(Default)]
pub(super) struct EmptyPages(u32);

impl EmptyPages {
    /// Takes a page. The last one of a chain may be empty whatever came before.
    ///
    /// # Errors
    ///
    /// When there are too many of them running.
    pub(super) fn add(&mut self, is_empty: bool, is_last: bool) -> Result<(), Fault> {
        self.0 = if is_empty { self.0 + 1 } else { 0 };
        if !is_last && self.0 >= MOST_EMPTY {
            return Err(stuck(format!("{MOST_EMPTY} empty pages running")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_empty_begins_the_count_anew() {
        let mut pages = EmptyPages::default();
        assert!((1..MOST_EMPTY).all(|_| pages.add(true, false).is_ok()));
        assert!(pages.add(false, false).is_ok());
        assert!((1..MOST_EMPTY).all(|_| pages.add(true, false).is_ok()));
        let fault = pages.add(true, false).expect_err("it counts as endless");
        assert_eq!(fault.message, "10 empty pages running");
    }

    #[test]
    fn the_last_page_of_a_chain_may_be_empty() {
        let mut pages = EmptyPages::default();
        assert!((1..MOST_EMPTY).all(|_| pages.add(true, false).is_ok()));
        assert!(pages.add(true, true).is_ok());
    }
}
