//! The fence around everything that has effects outside: work is polled only while the lease is held.
//!
//! A task cannot know that its process was stopped for half a minute, or that its thread got no time: it would go on with its next statement
//! although another replica leads by now. So the question is asked at each poll, and a future whose lease has run out is never polled again. It
//! sees no error that it could tell as somebody's status; the process ends instead.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use parking_lot::Mutex;

/// Until when work may go on.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Mutex<Until>>);

#[derive(Clone, Copy, Debug)]
enum Until {
    /// Nobody else ever works: there is no election.
    Always,
    /// The end of the lease, by the monotonic clock; none while it is not held.
    Lease(Option<Instant>),
}

impl Fence {
    /// A fence that is open for ever.
    #[must_use]
    pub fn open() -> Self {
        Self::of(Until::Always)
    }

    /// A fence that is closed until it is opened for a while.
    #[must_use]
    pub fn closed() -> Self {
        Self::of(Until::Lease(None))
    }

    fn of(until: Until) -> Self {
        Self(Arc::new(Mutex::new(until)))
    }

    /// Lets work go on until then. No effect on one that is open for ever.
    pub fn open_until(&self, end: Instant) {
        self.set(Some(end));
    }

    /// Lets work go on until then, if it may go on now; else it never may again, and the answer is no. Some of it may have been refused already, and
    /// nothing would poll that once more.
    #[must_use]
    pub fn prolong_until(&self, end: Instant) -> bool {
        match &mut *self.0.lock() {
            Until::Always => true,
            Until::Lease(until) => {
                // Looked at under the lock: whoever was refused before has seen an earlier time.
                let now = Instant::now();
                *until = until.filter(|until| now < *until).map(|_| end);
                until.is_some()
            }
        }
    }

    /// Lets nothing go on. No effect on one that is open for ever.
    pub fn close(&self) {
        self.set(None);
    }

    fn set(&self, end: Option<Instant>) {
        if let Until::Lease(until) = &mut *self.0.lock() {
            *until = end;
        }
    }

    fn is_open(&self, now: Instant) -> bool {
        match *self.0.lock() {
            Until::Always => true,
            Until::Lease(end) => end.is_some_and(|end| now < end),
        }
    }

    /// The same future, which stands still for ever once the fence is closed.
    pub async fn hold<T>(self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| if self.is_open(Instant::now()) { future.as_mut().poll(cx) } else { Poll::Pending }).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    /// Two effects with a pause between them, in which something happens.
    async fn work(effects: &Mutex<u32>, pause: impl Future<Output = ()>) {
        *effects.lock() += 1;
        pause.await;
        *effects.lock() += 1;
    }

    #[test]
    fn no_effect_starts_once_the_lease_has_run_out() {
        let fence = Fence::closed();
        let effects = Mutex::new(0);
        assert!(fence.clone().hold(work(&effects, async {})).now_or_never().is_none());
        assert_eq!(*effects.lock(), 0, "it never held the lease");

        fence.open_until(Instant::now() + Duration::from_secs(60));
        let (resume, resumed) = futures::channel::oneshot::channel();
        let mut held = pin!(fence.clone().hold(work(&effects, resumed.map(drop))));
        assert!(held.as_mut().now_or_never().is_none());
        assert_eq!(*effects.lock(), 1);
        // The process was stopped beyond the end of its lease; what it waited for is there meanwhile.
        fence.open_until(Instant::now());
        resume.send(()).unwrap();
        assert!(held.as_mut().now_or_never().is_none());
        assert_eq!(*effects.lock(), 1, "the second effect must not start");
    }

    #[test]
    fn what_was_refused_once_is_not_let_on_by_a_renewal_that_comes_too_late() {
        let (fence, later) = (Fence::closed(), || Instant::now() + Duration::from_secs(60));
        let effects = Mutex::new(0);
        fence.open_until(later());
        assert!(fence.prolong_until(later()));
        let (resume, resumed) = futures::channel::oneshot::channel();
        let mut held = pin!(fence.clone().hold(work(&effects, resumed.map(drop))));
        assert!(held.as_mut().now_or_never().is_none());
        // The process was stopped across the end of its lease. Its work was looked at first, then the answer to the renewal.
        fence.open_until(Instant::now());
        resume.send(()).unwrap();
        assert!(held.as_mut().now_or_never().is_none());
        assert!(!fence.prolong_until(later()), "the lead is over");
        assert!(held.as_mut().now_or_never().is_none());
        assert_eq!(*effects.lock(), 1);
    }

    #[test]
    fn without_an_election_nothing_stops() {
        let fence = Fence::open();
        assert!(fence.prolong_until(Instant::now()));
        fence.close();
        let effects = Mutex::new(0);
        fence.hold(work(&effects, async {})).now_or_never().unwrap();
        assert_eq!(*effects.lock(), 2);
    }
}
