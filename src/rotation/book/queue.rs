//! Which key is next, and that keys whose tokens cannot be had do not hold up the others.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::rotation::order::TokenKey;

/// So many turns of keys whose last one got no token may be under way: who signs for them may hang for long each time.
pub(in crate::rotation) const MOST_FAILING: usize = 32;

/// The keys that wait, by when they are due.
#[derive(Debug, Default)]
pub(super) struct Queue {
    well: BTreeSet<(Timestamp, TokenKey)>,
    failing: BTreeSet<(Timestamp, TokenKey)>,
    /// Failing keys whose turn is under way.
    trying: BTreeSet<TokenKey>,
}

impl Queue {
    pub(super) fn insert(&mut self, due: Timestamp, key: &TokenKey, is_failing: bool) {
        let line = if is_failing { &mut self.failing } else { &mut self.well };
        line.insert((due, key.clone()));
    }

    pub(super) fn remove(&mut self, due: Timestamp, key: &TokenKey) {
        let place = (due, key.clone());
        if !self.well.remove(&place) {
            self.failing.remove(&place);
        }
    }

    /// The first that may have a turn.
    pub(super) fn first(&self) -> Option<&(Timestamp, TokenKey)> {
        let failing = self.failing.first().filter(|_| self.trying.len() < MOST_FAILING);
        self.well.first().into_iter().chain(failing).min()
    }

    /// A turn of the key began.
    pub(super) fn began(&mut self, key: &TokenKey, is_failing: bool) {
        if is_failing {
            self.trying.insert(key.clone());
        }
    }

    /// It ended.
    pub(super) fn ended(&mut self, key: &TokenKey) {
        self.trying.remove(key);
    }
}
