//! `FX`: the forex week, unbroken from Sunday 17:00 to Friday 17:00 in New York.
//!
//! A session is a trade date, Monday to Friday: from 17:00 on the day before to 17:00. It has no
//! holidays of its own; thin days around Christmas are for the user's overrides.

use crate::domain::zone::Zone;
use chrono::NaiveDate;

use super::market::{Hours, Market};
use super::rules::is_weekend;

pub(super) const MARKET: Market = Market { zone: Zone::NEW_YORK, has_sessions: false, hours };

fn hours(date: NaiveDate) -> Option<Hours> {
    (!is_weekend(date)).then(|| Hours::on(date, (17 - 24, 0), (17, 0)))
}
