//! How long an answer may take: as a whole, and from one piece of it to the next.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::domain::policy::RequestLimits;
use crate::domain::run::{ErrorKind, Fault};

/// What is left of the time for one answer.
pub(super) struct Patience {
    limits: RequestLimits,
    /// When all of it must have come.
    until: Instant,
}

impl Patience {
    /// All of it, from now on.
    pub(super) fn new(limits: &RequestLimits) -> Self {
        // An instant that no clock reaches does as well as one that it does not know.
        let longest = limits.request_timeout.min(A_YEAR);
        Self { limits: *limits, until: Instant::now() + longest }
    }

    /// Waits for what comes first.
    pub(super) async fn for_the_head<T>(&self, head: impl Future<Output = T>) -> Result<T, Fault> {
        timeout_at(self.until, head).await.map_err(|_| self.not_whole())
    }

    /// Waits for the next piece, which must not be longer in coming than `read_timeout`.
    pub(super) async fn for_a_piece<T>(&self, piece: impl Future<Output = T>) -> Result<T, Fault> {
        let idle = Instant::now() + self.limits.read_timeout.min(A_YEAR);
        timeout_at(idle.min(self.until), piece).await.map_err(|_| {
            if self.until <= idle {
                return self.not_whole();
            }
            let idle = humantime::format_duration(self.limits.read_timeout);
            Fault::new(ErrorKind::Timeout, format!("the answer kept still for {idle}"))
        })
    }

    /// Waits for something that is not the server's doing, and takes nothing of its time.
    pub(super) async fn without<T>(&mut self, other: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let come = other.await;
        self.until += begun.elapsed();
        come
    }

    fn not_whole(&self) -> Fault {
        let whole = humantime::format_duration(self.limits.request_timeout);
        Fault::new(ErrorKind::Timeout, format!("no whole answer within {whole}"))
    }
}

/// Longer than any run.
const A_YEAR: Duration = Duration::from_secs(366 * 86_400);
