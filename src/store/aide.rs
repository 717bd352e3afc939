//! A thread beside the one that writes, which does one thing at a time for it.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{Builder, JoinHandle};

/// Takes a `Q`, works on it, and gives an `A`.
#[derive(Debug)]
pub(super) struct Aide<Q, A> {
    /// `None` only while it ends.
    asks: Option<Sender<Q>>,
    answers: Receiver<A>,
    /// Whether something was asked whose answer nobody has taken yet.
    is_asked: bool,
    thread: Option<JoinHandle<()>>,
}

impl<Q: Send + 'static, A: Send + 'static> Aide<Q, A> {
    /// An aide that does `work`, and ends when that gives `None`; `None` when the system has no thread for it.
    pub(super) fn start(mut work: impl FnMut(Q) -> Option<A> + Send + 'static) -> Option<Self> {
        let (asks, asked) = channel();
        let (answer, answers) = channel();
        let work = move || {
            while let Some(done) = asked.recv().ok().and_then(&mut work) {
                if answer.send(done).is_err() {
                    break;
                }
            }
        };
        let thread = Builder::new().spawn(work).ok()?;
        Some(Self { asks: Some(asks), answers, is_asked: false, thread: Some(thread) })
    }

    /// Gives it something to do, once it has done what it was given before.
    pub(super) fn ask(&mut self, ask: Q) {
        self.answer();
        self.is_asked = self.asks.as_ref().is_some_and(|asks| asks.send(ask).is_ok());
    }

    /// What came of what it was given, waited for; `None` when that was nothing, or it has ended.
    pub(super) fn answer(&mut self) -> Option<A> {
        std::mem::take(&mut self.is_asked).then(|| self.answers.recv().ok()).flatten()
    }

    /// Whether it is still at work; if not, what came of it is forgotten.
    pub(super) fn is_at_work(&mut self) -> bool {
        self.is_asked &= self.answers.try_recv().err() == Some(TryRecvError::Empty);
        self.is_asked
    }
}

impl<Q, A> Drop for Aide<Q, A> {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
