//! Two things done at once: half of the wait where there is a second core.
//!
//! Never does: leave a thread behind, or need one. Where none can be begun, one thing is done after the other.

use std::thread;

/// Does `there` in a thread of its own while `here` is done in this one, and gives what both give.
pub fn both<A: Send, B>(there: impl Fn() -> A + Sync, here: impl FnOnce() -> B) -> (A, B) {
    let (done, here) = thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, &there);
        let here = here();
        (other.ok().and_then(|other| other.join().ok()), here)
    });
    (done.unwrap_or_else(there), here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done_and_told_apart() {
        let numbers = [1, 2, 3];
        let (sum, count) = both(|| numbers.iter().sum::<i32>(), || numbers.len());
        assert_eq!((sum, count), (6, 3));
    }

    #[test]
    fn what_fails_there_fails_here() {
        let caught = std::panic::catch_unwind(|| both(|| assert_eq!(1, 2), || ()));
        assert!(caught.is_err());
    }
}
