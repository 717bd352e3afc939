//! What follows from a symbol's bars once they are stored: features, and what looks suspicious. A slice
//! of a series a transaction, so that no transaction grows with the history; what is left to do is marked
//! with the bars, so that whoever comes next, after a crash too, goes on there.

use crate::domain::event::Event;
use crate::domain::series::{SeriesKey, Symbol};
use crate::store::{StoreResult, Writer};

use super::desk::Desk;

impl Desk<'_> {
    /// Whether something waits.
    pub(super) fn has_to_conclude(&self) -> bool {
        !self.to_conclude.is_empty()
    }

    /// Works through what waits, as far as there is `room` for rows in the transaction.
    pub(super) fn conclude(&mut self, tx: &Writer<'_>, mut room: usize) -> StoreResult<()> {
        while let Some(symbol) = self.to_conclude.front().cloned() {
            if room == 0 || !self.conclude_symbol(tx, &symbol, &mut room)? {
                return Ok(());
            }
            self.to_conclude.pop_front();
            self.said.push(Event::Concluded { symbol });
        }
        Ok(())
    }

    /// Concludes a symbol's series as far as there is `room`; tells whether that is all.
    fn conclude_symbol(
        &mut self,
        tx: &Writer<'_>,
        symbol: &Symbol,
        room: &mut usize,
    ) -> StoreResult<bool> {
        for timeframe in &self.place(symbol).0.timeframe_list {
            let key = SeriesKey { symbol: symbol.clone(), timeframe: *timeframe };
            if !self.compute(tx, &key, room)? || !self.inspect(tx, &key, room)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
