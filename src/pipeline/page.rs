//! A page on the desk: judged, stored, and everything that follows from it, in one transaction.

use std::time::Instant;

use crate::calendar::due::Due;
use crate::clock;
use crate::domain::bar::{Adjustment, Bar, Refused, RejectReason, Rejection};
use crate::domain::event::{Event, Took};
use crate::domain::range::TimeRange;
use crate::domain::run::{Attempt, ErrorKind, Failure, Fault, PageCounts, Stage};
use crate::domain::series::{AssetClass, SeriesKey};
use crate::fetch::{Fetched, Judged};
use crate::store::{Claim, Put, StoreResult, Writer};
use crate::validate::Checked;

use super::desk::Desk;
use super::import::{self, Terms};
use super::line::Line;
use super::want;

impl Desk<'_> {
    /// Stores a page with everything that follows from it.
    pub(super) fn page(&mut self, tx: &Writer<'_>, page: Judged) -> StoreResult<Vec<Event>> {
        let from = Instant::now();
        let rows = page.rows() as u64;
        let Judged { mut fetched, mut checked, validated } = page;
        let key = fetched.task.key.clone();
        let is_import = fetched.is_import();
        if !fetched.from_file {
            self.count(&fetched.attempt);
        }
        let (group, member) = self.place(&key.symbol);
        let due = self.settings.due(group, member);
        self.leave_out(&fetched, &mut checked);
        if is_import {
            fetched.attempt.range = import::range_of(&checked);
        }
        if fetched.from_file && !is_import {
            self.begin_file(tx, &key)?;
        }
        if let Some(fault) = self.contradiction(&fetched, &checked) {
            return self.refuse(tx, &fetched, &checked, fault, validated);
        }
        let Some((put, restated)) = self.keep_page(tx, &fetched, &due, &checked)? else {
            return Ok(Vec::new());
        };
        let counts = counts(&fetched, &checked, &put, rows);
        let logged = match fetched.attempt.part_of {
            // What was written stands with the request that brought it.
            Some(_) => PageCounts { inserted: 0, updated: 0, ..counts },
            None => counts,
        };
        self.log(tx, &fetched.attempt, &logged)?;
        self.judge_requests(tx, &fetched, None)?;
        if let (true, Some(first), Some(last)) =
            (put.inserted + put.updated > 0, checked.accepted.first(), checked.accepted.last())
        {
            self.unmake(tx, &key, TimeRange::new(first.ts, last.ts + 1))?;
        }
        if put.inserted == checked.accepted.len() as u64 {
            self.inspect_page(tx, &key, &checked.accepted)?;
        }
        self.add(&key.symbol, &put);
        let mut events = vec![Event::PageStored {
            series: key.clone(),
            counts,
            attempt: fetched.attempt,
            validated: Some(validated),
            stored: Took { from, to: Instant::now() },
        }];
        if restated && self.restated.insert(key.clone()) {
            events.push(Event::Restated { series: key });
        }
        Ok(events)
    }

    /// What an earlier reading of a series' file found goes with the first page of a new one.
    fn begin_file(&self, tx: &Writer<'_>, key: &SeriesKey) -> StoreResult<()> {
        if let Some(line) = self.series.get(key).filter(|line| !line.asked) {
            tx.file_findings_forget(line.series_id)?;
            tx.rejections_forget(line.series_id)?;
        }
        Ok(())
    }

    /// Leaves out of a page what is kept no longer, and what lies beyond the instant that somebody asked
    /// about.
    pub(super) fn leave_out(&self, fetched: &Fetched, checked: &mut Checked) {
        if fetched.from_file {
            self.leave_old(&fetched.task.key, checked);
        }
        if self.terms.is_some_and(|terms| terms.as_of) {
            let all = checked.rejected.len();
            checked.rejected.retain(|row| !is_early(row));
            checked.dropped += (all - checked.rejected.len()) as u64;
        }
    }

    /// Leaves out what a file holds of bars that are kept no longer.
    fn leave_old(&self, key: &SeriesKey, checked: &mut Checked) {
        let kept_from = self.settings.retention.bars_from(key.timeframe, self.now);
        let first = self.series.get(key).and_then(|line| line.first_ts);
        let Some(kept_from) = kept_from.map(|from| first.map_or(from, |first| from.min(first)))
        else {
            return;
        };
        let before = checked.accepted.len() + checked.rejected.len();
        checked.accepted.retain(|bar| bar.ts >= kept_from);
        checked.rejected.retain(|row| row.ts.is_none_or(|ts| ts >= kept_from));
        let after = checked.accepted.len() + checked.rejected.len();
        checked.dropped += (before - after) as u64;
    }

    /// Stores a page's bars and refused rows, and what they answer for; tells what that came to, and
    /// whether they show that history was restated. `None` when nobody knows the series.
    fn keep_page(
        &mut self,
        tx: &Writer<'_>,
        fetched: &Fetched,
        due: &Due,
        checked: &Checked,
    ) -> StoreResult<Option<(Put, bool)>> {
        let now = clock::now();
        let adjusted = self.adjustment(fetched);
        let key = &fetched.task.key;
        let (group, _) = self.place(&key.symbol);
        let begins = want::begins(self.settings, group, key.timeframe, self.now);
        let Some(series_id) = self.series.get(key).map(|line| line.series_id) else {
            return Ok(None);
        };
        let put = self.put_bars(tx, series_id, fetched, &checked.accepted)?;
        self.keep_odd_rows(tx, series_id, fetched, checked, &put)?;
        let Some(line) = self.series.get_mut(key) else { return Ok(None) };
        line.asked = true;
        line.unsettled_from = fetched.task.unsettled_from;
        if line.adjustment != adjusted && !checked.accepted.is_empty() {
            line.adjustment = adjusted;
        }
        if let Some((first, last)) = checked.accepted.first().zip(checked.accepted.last()) {
            let imported = fetched.is_import().then_some(begins);
            line.reached((first.ts, last.ts), imported);
        }
        if let Some(ts) = put.changed_from {
            tx.feature_states_drop(line.series_id, ts)?;
            line.changed(ts);
        }
        if fetched.is_import() {
            line.fetched(None, put.inserted);
            line.import(tx, due, self.now, &checked.accepted)?;
            return Ok(Some((put, false)));
        }
        answer(tx, line, (due, self.now), fetched, checked)?;
        if !self.failed.contains_key(key) {
            line.settle_read(due, self.now);
        }
        let restated = line.restated(tx, &put.again)?;
        line.fetched(Some(now), put.inserted);
        line.file_mark = fetched.file_mark.or(line.file_mark);
        Ok(Some((put, restated)))
    }

    /// Writes down the rows of a page that were refused, and those of a file that stand out of order or twice.
    fn keep_odd_rows(
        &self,
        tx: &Writer<'_>,
        series_id: i64,
        fetched: &Fetched,
        checked: &Checked,
        put: &Put,
    ) -> StoreResult<()> {
        tx.rejections_settle(series_id, &checked.accepted)?;
        let file = fetched.attempt.file.as_deref();
        tx.rejections_add(series_id, &self.run_id, &checked.rejected, file)?;
        let is_new = put.inserted > 0
            || self.jobs.get(&fetched.task.key.symbol).is_some_and(|job| job.brought());
        // A file that is imported again has nothing new to find.
        if fetched.from_file && (is_new || !fetched.is_import()) {
            Self::note_repeated(tx, series_id, &checked.repeated)?;
            Self::note_out_of_order(tx, series_id, &fetched.out_of_order)?;
        }
        Ok(())
    }

    /// Writes a page's bars; those that a request for a whole market brought are counted with it.
    fn put_bars(
        &self,
        tx: &Writer<'_>,
        series_id: i64,
        fetched: &Fetched,
        bars: &[Bar],
    ) -> StoreResult<Put> {
        let (now, claim) = (clock::now(), self.claim());
        let mut put = Put::default();
        for (request, bars) in by_request(fetched, bars) {
            let own = tx.bars_put(series_id, &self.run_id, now, bars, claim)?;
            if let Some(logged) = request.and_then(|number| self.answered.get(&number)) {
                let Put { inserted, updated, .. } = own;
                let counts = PageCounts { inserted, updated, ..PageCounts::default() };
                tx.fetch_log_extend(logged.row, &counts)?;
            }
            put.add(own);
        }
        Ok(put)
    }

    /// Notes whether a page was usable with the requests for a whole market that it is made from: one of which
    /// nobody can use anything was no success.
    fn judge_requests(
        &mut self,
        tx: &Writer<'_>,
        fetched: &Fetched,
        fault: Option<ErrorKind>,
    ) -> StoreResult<()> {
        for (number, _) in &fetched.parts {
            let Some(logged) = self.answered.get_mut(number) else { continue };
            match (logged.is_usable, fault) {
                (None, Some(_)) | (Some(false), None) => tx.fetch_log_judge(logged.row, fault)?,
                _ => {}
            }
            logged.is_usable = Some(fault.is_none() || logged.is_usable == Some(true));
        }
        Ok(())
    }

    /// Notes a stretch that the provider's plan does not hold: for this key its bars begin later.
    pub(super) fn out_of_plan(
        &mut self,
        tx: &Writer<'_>,
        key: &SeriesKey,
        range: TimeRange,
    ) -> StoreResult<Vec<Event>> {
        let (group, member) = self.place(&key.symbol);
        let due = self.settings.due(group, member);
        if let Some(line) = self.series.get_mut(key) {
            line.note_gaps(tx, &due, self.now, range, (&[], &[]))?;
            line.cover(tx, range)?;
            line.asked = true;
        }
        Ok(Vec::new())
    }

    /// With what right bars are written.
    pub(super) fn claim(&self) -> Claim {
        self.terms.map_or(Claim::Provider, Terms::claim)
    }

    /// What the prices of a page contain: as the answer says, else as they were asked for.
    fn adjustment(&self, fetched: &Fetched) -> Adjustment {
        let (group, _) = self.place(&fetched.task.key.symbol);
        let asked = self.settings.provider_of(group).adjustment();
        // A file does not say it; whoever imports it may, and else means what the series holds.
        let held = || self.series.get(&fetched.task.key).filter(|line| line.first_ts.is_some());
        let said = match self.terms {
            Some(terms) => terms.adjustment.or_else(|| held().map(|line| line.adjustment)),
            None => fetched.answer.adjustment,
        };
        if is_share(fetched.task.asset_class) { said.unwrap_or(asked) } else { Adjustment::Raw }
    }

    /// What is wrong with a page whose prices contain something else than those that are stored, or that are
    /// to come.
    fn other_prices(&self, fetched: &Fetched) -> Option<Fault> {
        let given = self.adjustment(fetched);
        let line = self.series.get(&fetched.task.key).filter(|line| line.first_ts.is_some());
        let Some(held) = line.map(|line| line.adjustment) else {
            let (group, _) = self.place(&fetched.task.key.symbol);
            let provider = self.settings.provider_of(group);
            let is_foreign = fetched.is_import()
                && is_share(fetched.task.asset_class)
                && given != provider.adjustment();
            return is_foreign.then(|| import::foreign_prices(provider, given));
        };
        if held == given {
            return None;
        }
        if fetched.is_import() {
            return Some(import::other_prices(held, given));
        }
        let message = format!(
            "[providers.{}] gives `{}` prices, the stored series holds `{}` ones; set `adjusted` or \
             the provider back, or use another database",
            fetched.task.provider,
            given.as_str(),
            held.as_str()
        );
        Some(Fault::new(ErrorKind::Malformed, message))
    }

    /// What speaks against storing anything of a page.
    pub(super) fn contradiction(&self, fetched: &Fetched, checked: &Checked) -> Option<Fault> {
        let prices = self.other_prices(fetched).filter(|_| !checked.accepted.is_empty());
        if prices.is_some() {
            return prices;
        }
        // Rows dated in the future do not count against a file.
        let first = checked.rejected.iter().find(|row| !is_early(row))?;
        // Nor do those outside the time that is asked about, for or against it.
        let as_of = self.terms.is_some_and(|terms| terms.as_of);
        let nothing_left = checked.accepted.is_empty() && (checked.dropped == 0 || as_of);
        nothing_left.then(|| {
            let rows = checked.rejected.len();
            let message =
                format!("all {rows} rows were refused; first {}: {}", first.reason, first.text);
            Fault::new(ErrorKind::Validation, message)
        })
    }

    /// A page of which nothing is stored but what was wrong with it: row by row of a provider's, in a word of
    /// an imported one.
    fn refuse(
        &mut self,
        tx: &Writer<'_>,
        fetched: &Fetched,
        checked: &Checked,
        fault: Fault,
        validated: Took,
    ) -> StoreResult<Vec<Event>> {
        let attempt = Attempt { fault: Some(fault.clone()), ..fetched.attempt.clone() };
        let rejected = checked.rejected.len() as u64;
        let rows = checked.rows() as u64 + fetched.answer.dropped;
        // Of the file that somebody named it is told what became of each row.
        let dropped = if fetched.is_import() { rows - rejected } else { 0 };
        let refused = refused(fetched, checked);
        let counts =
            PageCounts { fetched: rows, rejected, dropped, refused, ..PageCounts::default() };
        self.log(tx, &attempt, &counts)?;
        self.judge_requests(tx, fetched, Some(fault.kind))?;
        let (group, member) = self.place(&fetched.task.key.symbol);
        let due = self.settings.due(group, member);
        // Of a file that is no file of this series nothing stays but the failure.
        let line = self.series.get_mut(&fetched.task.key).filter(|_| !fetched.is_import());
        if let Some(line) = line {
            tx.rejections_add(line.series_id, &self.run_id, &checked.rejected, None)?;
            // Rows came and could not be true: said once, and not asked for again unless to repair.
            if fault.kind == ErrorKind::Validation {
                line.asked = true;
                answer(tx, line, (&due, self.now), fetched, checked)?;
                line.fetched(Some(clock::now()), 0);
            }
        }
        let failure = Failure {
            series: fetched.task.key.clone(),
            about: fetched.task.about,
            stage: Stage::Validate,
            kind: fault.kind,
            message: fault.message,
            attempts: attempt.number,
            at: clock::now(),
        };
        let failed = self.fail(tx, failure)?;
        let refused = Event::AttemptFailed { attempt, retry_in: None, validated: Some(validated) };
        Ok(vec![refused, failed])
    }
}

/// What became of a page's rows; `rows` is how many came, less those that the provider itself left out.
fn counts(fetched: &Fetched, checked: &Checked, put: &Put, rows: u64) -> PageCounts {
    PageCounts {
        fetched: rows + fetched.answer.dropped,
        inserted: put.inserted,
        updated: put.updated,
        rejected: checked.rejected.len() as u64,
        dropped: checked.dropped + fetched.answer.dropped,
        kept: put.kept,
        refused: refused(fetched, checked),
    }
}

/// Whether all that is wrong with a row is its time, which is to come.
const fn is_early(row: &Rejection) -> bool {
    matches!(row.reason, RejectReason::FutureTs | RejectReason::UnfinishedBar)
}

/// For which reasons rows of an imported page were refused.
fn refused(fetched: &Fetched, checked: &Checked) -> Refused {
    checked.rejected.iter().filter(|_| fetched.is_import()).collect()
}

/// The bars of a page, ascending, by the request for a whole market that brought them; all at once where the page
/// has one of its own.
fn by_request<'a>(fetched: &'a Fetched, mut bars: &'a [Bar]) -> Vec<(Option<u64>, &'a [Bar])> {
    if fetched.parts.len() < 2 {
        return vec![(fetched.attempt.part_of, bars)];
    }
    let mut parts = Vec::with_capacity(fetched.parts.len());
    for (number, end) in &fetched.parts {
        let (own, later) = bars.split_at(bars.partition_point(|bar| bar.ts < *end));
        parts.push((Some(*number), own));
        bars = later;
    }
    parts
}

/// Whether prices of that class may be adjusted: only shares are split.
const fn is_share(class: AssetClass) -> bool {
    matches!(class, AssetClass::Stock | AssetClass::Etf)
}

/// Notes what a page answered for: what was read, its coverage, and what is missing in it.
fn answer(
    tx: &Writer<'_>,
    line: &mut Line,
    (due, now): (&Due, i64),
    fetched: &Fetched,
    checked: &Checked,
) -> StoreResult<()> {
    let answered = fetched.answered;
    line.read.insert(answered);
    if let Some((first, last)) = checked.accepted.first().zip(checked.accepted.last()) {
        line.read.insert(TimeRange::new(first.ts, last.ts + 1));
    }
    // Rows need not come in order: a later page may close the gaps of an earlier one.
    if let Some(first) = checked.accepted.first().filter(|bar| bar.ts < answered.start) {
        let before = TimeRange::new(first.ts, answered.start);
        for held in line.coverage.clone().ranges() {
            line.note_gaps(tx, due, now, held.intersect(before), (&checked.accepted, &[]))?;
        }
    }
    if answered.is_empty() {
        return Ok(());
    }
    let mut rejected: Vec<i64> = checked.rejected.iter().filter_map(|row| row.ts).collect();
    rejected.sort_unstable();
    // What a file does not reach back to, nobody wanted of it.
    let start = match line.first_ts {
        Some(first) if fetched.from_file => answered.start.max(first),
        None if fetched.from_file => answered.end,
        _ => answered.start,
    };
    let range = TimeRange::new(start, answered.end);
    line.note_gaps(tx, due, now, range, (&checked.accepted, &rejected))?;
    let covered = match fetched.attempt.part_of {
        Some(_) => line.joined(due, now, answered),
        None => answered,
    };
    line.cover(tx, covered)
}
