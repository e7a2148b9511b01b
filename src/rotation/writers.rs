//! How many Secrets are written at the same time, and that one which is not there yet need not wait behind hundreds that are.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The raw limit of an apiserver is reached at about this many; more only adds latency.
pub(super) const WRITERS: usize = 32;

/// So many more for Secrets that are not there: a pod waits for each.
const FIRST: usize = 8;

/// Lets a few write at a time, each in the order in which they came.
#[derive(Debug)]
pub(super) struct Writers {
    all: Semaphore,
    first: Semaphore,
}

impl Writers {
    pub(super) const fn new() -> Self {
        Self { all: Semaphore::const_new(WRITERS), first: Semaphore::const_new(FIRST) }
    }

    /// Waits until one more may write. Neither is ever closed; were it, writing without a permit would still be right.
    pub(super) async fn enter(&self, is_there: bool) -> Option<SemaphorePermit<'_>> {
        if is_there {
            return self.all.acquire().await.ok();
        }
        tokio::select! {
            biased; // nobody else may use these
            permit = self.first.acquire() => permit.ok(),
            permit = self.all.acquire() => permit.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn who_has_no_secret_yet_does_not_wait_for_those_who_have_one() {
        let writers = Writers::new();
        let busy: Vec<_> = std::iter::from_fn(|| writers.enter(true).now_or_never()).collect();
        assert_eq!(busy.len(), WRITERS);
        let first: Vec<_> = std::iter::from_fn(|| writers.enter(false).now_or_never()).collect();
        assert_eq!(first.len(), FIRST);
        drop(busy);
        let all: Vec<_> = std::iter::from_fn(|| writers.enter(false).now_or_never()).collect();
        assert_eq!(all.len(), WRITERS);
    }
}
