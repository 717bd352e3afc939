//! Corporate actions held against the bars, and the factors that follow from them.

use crate::domain::series::Symbol;
use crate::store::{StoreResult, Writer};

use super::desk::Desk;

impl Desk<'_> {
    /// Judges the actions of `symbol` by the bars that are stored now, and makes the factors of its
    /// series; where they changed, marks what was made of the bars.
    pub(super) fn settle_actions(&mut self, _tx: &Writer<'_>, _symbol: &Symbol) -> StoreResult<()> {
        Ok(())
    }
}
