//! How long a watch that fails waits before it is begun anew.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use kube::runtime::utils::Backoff;

/// Waits between two attempts at a watch that fails, the first and the longest. kube's own would be deaf for up to a minute to an apiserver that is
/// back again.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// The waits after failures, with jitter. backon adds it on top, up to the wait itself, so both bounds are halved.
pub(super) struct Pauses {
    shape: ExponentialBuilder,
    running: ExponentialBackoff,
}

impl Pauses {
    pub(super) fn new() -> Self {
        let shape = ExponentialBuilder::default()
            .with_min_delay(FIRST / 2)
            .with_max_delay(LONGEST / 2)
            .with_jitter()
            .without_max_times();
        Self { shape, running: shape.build() }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.running.next()
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.running = self.shape.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_watch_is_begun_anew_after_ten_seconds_at_most() {
        let mut pauses = Pauses::new();
        assert!(pauses.next().is_some_and(|pause| pause <= FIRST && pause >= FIRST / 2));
        let later: Vec<_> = pauses.by_ref().take(50).collect();
        assert!(later.iter().all(|pause| *pause <= LONGEST) && later[49] >= LONGEST / 2, "{later:?}");
        pauses.reset();
        assert!(pauses.next().is_some_and(|pause| pause <= FIRST));
    }
}
