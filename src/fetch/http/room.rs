//! Room in memory for answers, shared by every provider of the process: whatever servers send, and
//! however many at once, what is held of it stays below a bound.
//!
//! Small bodies are held without asking. One that outgrows that asks for room for a page, and waits
//! until there is some; one that outgrows a page asks besides for the one place for giants. Who waits
//! for that place holds no more than a page, and who has it waits for nobody: nothing can lock up. What
//! is taken is given back when the page that was read from it has been handed on.

use tokio::sync::{Semaphore, SemaphorePermit};

/// What a body may hold without asking, in bytes.
const SMALL: u64 = 512 << 10;

/// What the largest provider's full page takes, in bytes.
const PAGE: u64 = 6 << 20;

/// Room for pages, in bytes: five full ones.
static PAGES: Semaphore = Semaphore::const_new(5 * PAGE as usize);

/// Room for what is larger than a page, of which `max_body` is the bound: one at a time.
static GIANTS: Semaphore = Semaphore::const_new(1);

/// One answer's room; given back when dropped.
#[derive(Debug, Default)]
pub(in crate::fetch) struct Room {
    page: Option<SemaphorePermit<'static>>,
    giant: Option<SemaphorePermit<'static>>,
}

impl Room {
    /// Bytes that may be held with what was taken.
    fn size(&self) -> u64 {
        match (&self.page, &self.giant) {
            (_, Some(_)) => u64::MAX,
            (Some(page), None) => page.num_permits() as u64,
            (None, None) => SMALL,
        }
    }

    /// Whether `bytes` may be held without asking for more.
    pub(super) fn holds(&self, bytes: u64) -> bool {
        bytes <= self.size()
    }

    /// Takes room for `bytes`, of a body that was announced with `length`, once there is some.
    pub(super) async fn take(&mut self, bytes: u64, length: Option<u64>) {
        if self.page.is_none() {
            // A body that does not say how long it is may become a page. Semaphores are never closed.
            let wanted = length.unwrap_or(PAGE).clamp(bytes.min(PAGE), PAGE);
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            self.page = PAGES.acquire_many(wanted).await.ok();
        }
        if self.giant.is_none() && !self.holds(bytes) {
            self.giant = GIANTS.acquire().await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_as_a_body_grows_and_given_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut room = Room::default();
            assert!(room.holds(SMALL) && !room.holds(SMALL + 1));
            room.take(SMALL + 1, None).await;
            assert!(room.holds(PAGE) && !room.holds(PAGE + 1));
            room.take(PAGE + 1, None).await;
            assert!(room.holds(u64::MAX));
            assert_eq!(GIANTS.available_permits(), 0);
            drop(room);
            assert_eq!(GIANTS.available_permits(), 1);
            let mut room = Room::default();
            room.take(SMALL + 1, Some(SMALL + 7)).await;
            assert!(room.holds(SMALL + 7) && !room.holds(SMALL + 8));
        });
    }
}
