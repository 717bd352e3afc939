//! Whose turn it is with one provider. A job's tasks are asked for in turn; a further one lines up
//! behind every task whose turn it is, for a lane that would stay empty. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// A task's place in the plan's order: its job's, and its own within that; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) job: usize,
    pub(super) task: usize,
}

/// The jobs of one provider, and their tasks that wait or are in flight.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Jobs that have not begun.
    queued: usize,
    /// Jobs at work, each with the task whose turn it is.
    at_work: BTreeMap<usize, usize>,
    /// Tasks that wait, or are about to: those whose turn it is, and then the further ones.
    waiting: BTreeSet<(bool, Rank)>,
    flying: BTreeSet<Rank>,
}

impl Turns {
    /// So many jobs are going to begin.
    pub(super) fn queue(&mut self, jobs: usize) {
        self.queued = jobs;
    }

    /// A job begins, and is about to ask: those behind it let it go first.
    pub(super) fn begin(&mut self, job: usize) {
        self.queued = self.queued.saturating_sub(1);
        self.at_work.insert(job, 0);
        self.waiting.insert((false, Rank { job, task: 0 }));
    }

    /// It is the turn of that task of its job, and no earlier one's.
    pub(super) fn pass(&mut self, rank: Rank) {
        let Some(turn) = self.at_work.get_mut(&rank.job).filter(|turn| **turn != rank.task) else {
            return;
        };
        let over = Rank { task: std::mem::replace(turn, rank.task), ..rank };
        self.withdraw(over);
        if self.waiting.remove(&(true, rank)) {
            self.waiting.insert((false, rank));
        }
    }

    /// A job has ended.
    pub(super) fn end(&mut self, job: usize) {
        self.at_work.remove(&job);
        self.waiting.retain(|(_, rank)| rank.job != job);
    }

    /// Whether every job has ended.
    pub(super) fn are_over(&self) -> bool {
        self.queued == 0 && self.at_work.is_empty()
    }

    /// A task waits.
    pub(super) fn wait(&mut self, rank: Rank) {
        self.waiting.insert((self.is_further(rank), rank));
    }

    /// A task waits no more.
    pub(super) fn withdraw(&mut self, rank: Rank) {
        self.waiting.remove(&(false, rank));
        self.waiting.remove(&(true, rank));
    }

    /// Whether nobody waits who goes first.
    pub(super) fn is_first(&self, rank: Rank) -> bool {
        self.waiting.first().is_none_or(|(_, first)| *first == rank)
    }

    /// Whether it is an earlier task's turn.
    pub(super) fn is_further(&self, rank: Rank) -> bool {
        self.at_work.get(&rank.job).is_some_and(|turn| *turn != rank.task)
    }

    /// Whether somebody waits whose turn it is.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.first().is_some_and(|(further, _)| !further)
    }

    /// How many jobs at work need a lane now, or in a moment: their turn's task is not in flight.
    pub(super) fn grounded(&self) -> usize {
        let turns = self.at_work.iter().map(|(job, task)| Rank { job: *job, task: *task });
        turns.filter(|rank| !self.flying.contains(rank)).count()
    }

    /// How many jobs need a lane now or later.
    pub(super) fn to_come(&self) -> usize {
        self.queued + self.grounded()
    }

    /// A task's request is on its way.
    pub(super) fn fly(&mut self, rank: Rank) {
        self.flying.insert(rank);
    }

    /// It has ended.
    pub(super) fn land(&mut self, rank: Rank) {
        self.flying.remove(&rank);
    }

    /// Requests in flight.
    pub(super) fn in_flight(&self) -> u32 {
        u32::try_from(self.flying.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rank(job: usize, task: usize) -> Rank {
        Rank { job, task }
    }

    #[test]
    fn a_further_task_is_behind_everyone_whose_turn_it_is() {
        let mut turns = Turns::default();
        [1, 2].into_iter().for_each(|job| turns.begin(job));
        turns.fly(rank(1, 0));
        turns.withdraw(rank(1, 0));
        turns.wait(rank(1, 1));
        assert!(turns.is_first(rank(2, 0)) && !turns.is_first(rank(1, 1)));
        turns.pass(rank(1, 1));
        assert!(turns.is_first(rank(1, 1)), "now it is its turn");
    }

    #[test]
    fn a_job_is_grounded_until_its_turns_task_flies() {
        let mut turns = Turns::default();
        turns.queue(3);
        [1, 2].into_iter().for_each(|job| turns.begin(job));
        assert_eq!((turns.grounded(), turns.to_come()), (2, 3));
        turns.fly(rank(1, 0));
        turns.fly(rank(1, 1));
        assert_eq!((turns.grounded(), turns.in_flight()), (1, 2));
        turns.land(rank(1, 0));
        assert_eq!(turns.grounded(), 2, "it asks for its next page");
        turns.pass(rank(1, 1));
        assert_eq!(turns.grounded(), 1);
    }

    #[test]
    fn who_keeps_the_turn_keeps_the_place() {
        let mut turns = Turns::default();
        turns.begin(1);
        turns.pass(rank(1, 0));
        assert!(!turns.is_first(rank(2, 0)), "a further task of the job has ended, and no more");
    }

    #[test]
    fn a_job_that_ends_or_moves_on_leaves_nobody_waiting() {
        let mut turns = Turns::default();
        turns.begin(1);
        turns.pass(rank(1, 1));
        assert!(!turns.is_awaited(), "its first task never asked");
        turns.wait(rank(1, 1));
        turns.wait(rank(1, 2));
        turns.end(1);
        assert!(turns.is_first(rank(9, 0)) && turns.are_over());
    }
}
