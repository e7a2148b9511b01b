//! Back-off per object: kube's `error_policy` is told no count of attempts.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use parking_lot::Mutex;

/// How long each key waits before its next attempt: longer after each failure, up to a cap, with jitter.
pub struct Backoffs<K> {
    shape: ExponentialBuilder,
    cap: Duration,
    running: Mutex<HashMap<K, ExponentialBackoff>>,
}

/// Waits of at least half of `first`, doubling up to `cap`. backon adds its jitter on top of the delay, up to the delay itself, so both are halved
/// here to hold for what is really waited.
pub(super) fn shape(first: Duration, cap: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(first / 2).with_max_delay(cap / 2).with_jitter().without_max_times()
}

impl<K: Eq + Hash> Backoffs<K> {
    /// Waits for each key, doubled from the first up to the longest.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { shape: shape(first, cap), cap, running: Mutex::default() }
    }

    /// The wait after one more failure of `key`.
    pub fn after_failure(&self, key: K) -> Duration {
        let mut running = self.running.lock();
        running.entry(key).or_insert_with(|| self.shape.build()).next().unwrap_or(self.cap)
    }

    /// Forgets the failures of `key`: it succeeded, or is gone.
    pub fn reset(&self, key: &K) {
        self.running.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again_after_a_reset() {
        let backoffs = Backoffs::new(Duration::from_secs(2), Duration::from_secs(30));
        let waits: Vec<_> = (0..12).map(|_| backoffs.after_failure("key")).collect();
        assert!(waits[0] < Duration::from_secs(3), "{waits:?}");
        assert!(waits[11] >= Duration::from_secs(15), "{waits:?}");
        assert!(waits.iter().all(|&wait| wait <= Duration::from_secs(30)), "{waits:?}");
        assert!(backoffs.after_failure("other") < Duration::from_secs(3), "keys do not share their failures");
        backoffs.reset(&"key");
        assert!(backoffs.after_failure("key") < Duration::from_secs(3));
    }
}
