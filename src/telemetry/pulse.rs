//! Whether the rotation still moves. A process that answers but renews no token is not alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Longer than any turn takes with all its deadlines, and short enough that a restart comes before a token dies: the earliest is renewed seven
/// minutes before.
const STALLED: Duration = Duration::from_secs(180);

/// The beat of the rotation.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// The rotation can take another turn: nothing was due, or one has ended.
    pub fn beat(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// When it last beat.
    pub(crate) fn last(&self) -> Option<Instant> {
        *self.0.lock()
    }

    /// Whether it beats. What has not begun is not stalled: a replica that does not lead rotates nothing.
    pub(super) fn is_alive(&self, now: Instant) -> bool {
        self.last().is_none_or(|last| now.saturating_duration_since(last) < STALLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_that_stands_still_is_not_alive() {
        let pulse = Pulse::default();
        let start = Instant::now();
        assert!(pulse.is_alive(start + 2 * STALLED), "it has not begun");
        pulse.beat();
        assert!(pulse.is_alive(start + STALLED / 2));
        assert!(!pulse.is_alive(Instant::now() + STALLED));
        pulse.beat();
        assert!(pulse.is_alive(Instant::now()));
    }
}
