//! Which key is next: what is due at once by turns of those who sign, so that a crowd of one does not hold up the others, and keys whose tokens cannot
//! be had hold up nobody once that is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;

use crate::rotation::order::{Identity, TokenKey};

/// So many turns of keys whose last one got no token may be under way: who signs for them may hang for long each time.
pub(in crate::rotation) const MOST_FAILING: usize = 32;

/// Due before anything else: no token is there, or nobody knows which.
pub(super) const AT_ONCE: Timestamp = Timestamp::MIN;

/// Due next: a Secret is there, but not with what was ordered.
pub(super) const SOON: Timestamp = Timestamp::UNIX_EPOCH;

/// The keys that wait, by when they are due.
#[derive(Debug, Default)]
pub(super) struct Queue {
    at_once: Rounds,
    soon: Rounds,
    timed: BTreeSet<(Timestamp, TokenKey)>,
    failing: BTreeSet<(Timestamp, TokenKey)>,
    /// Failing keys whose turn is under way.
    trying: BTreeSet<TokenKey>,
}

/// Keys of which none is more urgent than another: each identity has one turn a round.
#[derive(Debug, Default)]
struct Rounds {
    keys: BTreeMap<Arc<Identity>, BTreeSet<TokenKey>>,
    /// Whose turn was last.
    last: Option<Arc<Identity>>,
}

impl Queue {
    pub(super) fn insert(&mut self, due: Timestamp, key: &TokenKey, is_failing: bool) {
        match self.rounds(due) {
            Some(rounds) if !is_failing => rounds.insert(key),
            _ => {
                let line = if is_failing { &mut self.failing } else { &mut self.timed };
                line.insert((due, key.clone()));
            }
        }
    }

    pub(super) fn remove(&mut self, due: Timestamp, key: &TokenKey) {
        let place = (due, key.clone());
        let is_gone = self.rounds(due).is_some_and(|rounds| rounds.remove(key));
        if !is_gone && !self.timed.remove(&place) {
            self.failing.remove(&place);
        }
    }

    /// When the first is due that may have a turn.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.first().map(|(due, _)| due)
    }

    /// Takes the first that may have a turn, if it is due.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<TokenKey> {
        let (due, key) = self.first().filter(|(due, _)| *due <= now)?;
        let key = key.clone();
        if let Some(rounds) = self.rounds(due)
            && rounds.remove(&key)
        {
            rounds.last = Some(key.identity.clone());
        } else {
            self.remove(due, &key);
        }
        Some(key)
    }

    fn first(&self) -> Option<(Timestamp, &TokenKey)> {
        let rounds = [(AT_ONCE, &self.at_once), (SOON, &self.soon)];
        let by_rounds = rounds.into_iter().filter_map(|(due, rounds)| Some((due, rounds.first()?)));
        let failing = self.failing.first().filter(|_| self.trying.len() < MOST_FAILING);
        let by_time = self.timed.first().into_iter().chain(failing).map(|(due, key)| (*due, key));
        by_rounds.chain(by_time).min_by_key(|(due, _)| *due)
    }

    fn rounds(&mut self, due: Timestamp) -> Option<&mut Rounds> {
        if due == AT_ONCE {
            Some(&mut self.at_once)
        } else if due == SOON {
            Some(&mut self.soon)
        } else {
            None
        }
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

impl Rounds {
    fn insert(&mut self, key: &TokenKey) {
        self.keys.entry(key.identity.clone()).or_default().insert(key.clone());
    }

    fn remove(&mut self, key: &TokenKey) -> bool {
        let Some(keys) = self.keys.get_mut(&key.identity) else { return false };
        let was_there = keys.remove(key);
        if keys.is_empty() {
            self.keys.remove(&key.identity);
        }
        was_there
    }

    /// Of the identity after the last, or of the first one when the round is over.
    fn first(&self) -> Option<&TokenKey> {
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.keys.range::<Arc<Identity>, _>((after, Bound::Unbounded)).next();
        next.or_else(|| self.keys.first_key_value())?.1.first()
    }
}
