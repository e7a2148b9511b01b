//! Since when an object is refused that was admitted before, or its accounts cannot be removed. A condition cannot tell: its time does not move when
//! only its reason changes.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;

/// The first instant of each refusal, by uid and what it is of. It begins anew with the process: what was admitted once loses nothing earlier because
/// of that.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<String, Timestamp>>);

impl Refusals {
    /// Since when the object is refused; from now on, if it was not before.
    pub(super) fn since(&self, uid: &str, now: Timestamp) -> Timestamp {
        let mut held = self.0.lock();
        *held.entry(uid.to_owned()).or_insert(now)
    }

    /// The object is admitted, or gone.
    pub(super) fn over(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_begins_anew_after_an_admission() {
        let refusals = Refusals::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(refusals.since("u", at(10)), at(10));
        assert_eq!(refusals.since("u", at(20)), at(10));
        refusals.over("u");
        assert_eq!(refusals.since("u", at(30)), at(30));
    }
}
