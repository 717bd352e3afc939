//! `24x7`: crypto and the like; a session is the UTC day.

use crate::domain::zone::Zone;
use chrono::NaiveDate;

use super::market::{Hours, Market};

pub(super) const MARKET: Market = Market { zone: Zone::UTC, has_sessions: false, hours };

fn hours(date: NaiveDate) -> Option<Hours> {
    Some(Hours::on(date, (0, 0), (24, 0)))
}
