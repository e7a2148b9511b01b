//! The engine's book: who is due, what a turn writes, what came of it. Pure: the time is an argument.

mod queue;
mod slot;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::known::{Known, Published};
use super::order::{Identity, ObjectName, Order, Problem, Progress, TokenKey};
use crate::domain::schedule;
use crate::domain::token::Token;

pub(super) use queue::MOST_FAILING;
use queue::{Queue, SOON};
use slot::{LONGEST_PATIENCE, Slot};

/// The orders of one token.
#[derive(Debug)]
struct Group {
    members: BTreeSet<Arc<str>>,
    /// The part of a token's spread that belongs to the key.
    jitter: Duration,
    /// The token of the last turn, for newcomers.
    token: Option<Token>,
    /// Whether the last turn got no token.
    is_failing: bool,
    /// Whose Secrets the turn that is under way writes; none while there is none.
    in_turn: Option<BTreeSet<Arc<str>>>,
    due: Option<Timestamp>,
}

impl Group {
    fn new(key: &TokenKey) -> Self {
        Self { members: BTreeSet::new(), jitter: jitter(key), token: None, is_failing: false, in_turn: None, due: None }
    }

    /// Whether the turn that is under way writes this one's Secret.
    fn is_writing(&self, uid: &str) -> bool {
        self.in_turn.as_ref().is_some_and(|members| members.contains(uid))
    }
}

/// All orders, by the uid of the object that placed them.
#[derive(Debug, Default)]
pub(super) struct Book {
    slots: HashMap<Arc<str>, Box<Slot>>,
    groups: BTreeMap<TokenKey, Group>,
    queue: Queue,
    /// The latest time that it was told, unless the clock was put back.
    told: Option<Timestamp>,
    held_back: HeldBack,
}

/// News that wait until no Secret waits any more: a status costs the apiserver as much as a Secret, and pods can do without it.
#[derive(Debug, Default)]
struct HeldBack {
    news: Vec<ObjectName>,
    /// When news were told last, or could have been.
    since: Option<Timestamp>,
}

/// For how long news may be held back.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// What a worker is to do: get a token for the key and write it to these Secrets.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) key: TokenKey,
    /// The current token, where it can be used once more.
    pub(super) token: Option<Token>,
    pub(super) members: Vec<Member>,
}

/// One Secret of a turn.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) uid: Arc<str>,
    pub(super) order: Arc<Order>,
    pub(super) known: Option<Known>,
    /// Somebody else wrote the Secret: read it, and write only if it differs.
    pub(super) is_suspect: bool,
}

/// What came of a Secret's write.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It holds the token of the turn; this is its state now.
    Written(Known),
    /// It does not; the apiserver may have said for how long not to ask again.
    Failed(Problem, Option<Duration>),
}

impl Book {
    /// Takes an order, new or changed. `observed` is the Secret, if it is there and ours.
    /// The identity that it asked for before is returned when no order needs that one any more.
    pub(super) fn place(&mut self, mut order: Order, observed: Option<(Known, Published)>) -> Option<Arc<Identity>> {
        let key = order.key();
        if let Some((key, _)) = self.groups.get_key_value(&key) {
            (order.identity, order.binding.connect) = (key.identity.clone(), key.connect.clone());
        }
        if let Some((uid, _)) = self.slots.get_key_value(&order.owner.uid) {
            order.owner.uid = uid.clone();
        }
        let uid = order.owner.uid.clone();
        let mut left = None;
        match self.slots.get_mut(&uid) {
            Some(slot) if *slot.order == order => return None,
            Some(slot) => {
                let before = std::mem::replace(&mut slot.order, Arc::new(order)).key();
                slot.retry_at = None;
                if before != key {
                    self.leave(&uid, &before);
                    left = Some(before);
                }
            }
            None => drop(self.slots.insert(uid.clone(), Box::new(Slot::new(order, observed)))),
        }
        self.groups.entry(key.clone()).or_insert_with(|| Group::new(&key)).members.insert(uid);
        self.schedule(&key);
        left.and_then(|key| self.unneeded(key))
    }

    /// Whether there is an order of this object.
    pub(super) fn holds(&self, uid: &str) -> bool {
        self.slots.contains_key(uid)
    }

    /// Whether there is one, and it asks for a token of this key.
    pub(super) fn wants(&self, uid: &str, key: &TokenKey) -> bool {
        self.groups.get(key).is_some_and(|group| group.members.contains(uid))
    }

    /// Forgets an order. Its identity is returned when no other order needs it.
    pub(super) fn withdraw(&mut self, uid: &str) -> Option<Arc<Identity>> {
        let key = self.slots.remove(uid)?.order.key();
        self.leave(uid, &key);
        self.unneeded(key)
    }

    /// The identity of a key that an order has left, unless another order needs it.
    fn unneeded(&self, key: TokenKey) -> Option<Arc<Identity>> {
        // Keys are in the order of their identities, so another of the same one would stand beside this one.
        let beside = [self.groups.range(..&key).next_back(), self.groups.range(&key..).next()];
        let is_needed = beside.into_iter().flatten().any(|(other, _)| other.identity == key.identity);
        (!is_needed).then_some(key.identity)
    }

    /// Tells what the watch saw of a Secret: its state, or that it is gone. One's own write comes back here too, and is no news.
    pub(super) fn notice(&mut self, uid: &str, seen: Option<&Known>) {
        let Some(slot) = self.slots.get_mut(uid) else { return };
        let key = slot.order.key();
        if self.groups.get(&key).is_some_and(|group| group.is_writing(uid)) {
            slot.is_unsure |= seen.is_none();
            return; // the turn's own answer tells more; what the store holds then is looked at after it
        }
        match seen {
            None if slot.known.is_some() => {
                slot.known = None;
                slot.published = None;
                slot.retry_at = None;
            }
            // The watch lags behind our own writes, so an older state is no news.
            Some(seen) if slot.known.as_ref().is_some_and(|known| seen.is_newer_than(known)) => {
                slot.known = Some(seen.clone());
                slot.is_suspect = true;
            }
            None | Some(_) => return,
        }
        self.schedule(&key);
    }

    /// How an order goes; none when there is no such order.
    pub(super) fn progress(&self, uid: &str) -> Option<Progress> {
        self.slots.get(uid).map(|slot| slot.progress())
    }

    /// How many orders there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// When the next turn is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.queue.next_due()
    }

    /// The most urgent turn that is due: never issued first, then what holds another order, then soonest due.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<Turn> {
        self.hear(now);
        loop {
            let key = self.queue.take(now)?;
            if let Some(turn) = self.turn(&key, now) {
                return Some(turn);
            }
        }
    }

    /// The turn of a key; none when it has to wait a moment.
    fn turn(&mut self, key: &TokenKey, now: Timestamp) -> Option<Turn> {
        let group = self.groups.get_mut(key)?;
        group.due = None;
        let members: Vec<_> =
            group.members.iter().filter_map(|uid| self.slots.get(uid).map(|slot| (uid, slot))).collect();
        let longest = members.iter().map(|(_, slot)| slot.order.renew_before).max().unwrap_or_default();
        let lives =
            |spread| group.token.as_ref().is_some_and(|token| now < schedule::due(token.usable_until, longest, spread));
        // A rotation by schedule takes the whole key along. Whatever else is due is written alone: a newcomer, a changed input, a repair, or a Secret
        // that could not be written when its key was rotated and takes that token now, for as long as the key itself is content with it.
        let jitter = group.jitter;
        // Secrets that were signed for apart come due apart: whose time has come would be written twice in a moment, with a token that is worn, too.
        let (is_over, is_worn) = (!lives(jitter), !lives(jitter + schedule::LEAST_PAUSE));
        let is_scheduled = members
            .iter()
            .any(|(_, slot)| slot.is_due_by_schedule(jitter, now) && (is_over || (is_worn && slot.failures == 0)));
        let chosen: Vec<_> = members.into_iter().filter(|(_, slot)| is_scheduled || slot.due(jitter) <= now).collect();
        let can_share = chosen.iter().all(|(_, slot)| slot.takes_current_token());
        let is_newcomers = chosen.iter().any(|(_, slot)| slot.published.is_none() && slot.failures == 0);
        // A newcomer's token has its whole renewal time and all of the spread before it.
        let is_good = if is_newcomers { lives(schedule::JITTER) } else { !is_over && !is_scheduled };
        let token = group.token.clone().filter(|_| is_good && can_share);
        // Signatures know whole seconds: one of the same second as the last would be the same token.
        let next = group.token.as_ref().map(|token| schedule::plus(token.signed_at, Duration::from_secs(1)));
        if let Some(next) = next.filter(|next| token.is_none() && *next > now) {
            group.due = Some(next);
            self.queue.insert(next, key, group.is_failing);
            return None;
        }
        let (new, known): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(_, slot)| slot.known.is_none());
        let members: Vec<_> = new
            .into_iter()
            .chain(known)
            .map(|(uid, slot)| Member {
                uid: uid.clone(),
                order: slot.order.clone(),
                known: slot.known.clone(),
                is_suspect: slot.is_suspect,
            })
            .collect();
        group.in_turn = Some(members.iter().map(|member| member.uid.clone()).collect());
        self.queue.began(key, group.is_failing);
        Some(Turn { key: key.clone(), token, members })
    }

    /// Enters what came of a turn, and returns the objects of which it is time to tell onlookers that their orders' progress is another.
    pub(super) fn finish(
        &mut self,
        key: &TokenKey,
        token: Option<&Token>,
        outcomes: Vec<(Member, Outcome)>,
        now: Timestamp,
    ) -> Vec<ObjectName> {
        self.hear(now);
        let (mut news, mut moved) = (Vec::new(), Vec::new());
        for (member, outcome) in outcomes {
            let Some(slot) = self.slots.get_mut(&member.uid) else {
                continue;
            };
            let own_key = slot.order.key();
            if own_key != *key {
                // The order moved to another key meanwhile: what was written now is not what it asks for. Where that key writes it in these moments, who
                // was the last is not known.
                let group = self.groups.get(&own_key);
                slot.is_suspect = true;
                slot.is_unsure |= group.is_some_and(|group| group.is_writing(&member.uid));
                moved.push(own_key);
                continue;
            }
            let before = slot.progress();
            match (outcome, token) {
                (Outcome::Written(known), Some(token)) => slot.written(known, &member.order, token, now),
                (Outcome::Written(_), None) => {}
                (Outcome::Failed(problem, patience), _) => slot.failed(&member.uid, problem, patience, now),
            }
            let after = slot.progress();
            // Where the progress is as it was, so is what the object tells; when the token ends is nobody's news, unless it had ended.
            let lives_again = after.expires_at > before.expires_at && before.expires_at.is_some_and(|end| end <= now);
            if lives_again || before != (Progress { expires_at: before.expires_at, ..after }) {
                news.push(member.order.object());
            }
        }
        self.queue.ended(key);
        if let Some(group) = self.groups.get_mut(key) {
            (group.in_turn, group.is_failing) = (None, token.is_none());
            if let Some(token) = token {
                group.token = Some(token.clone());
            }
        }
        self.schedule(key);
        for key in moved {
            self.schedule(&key);
        }
        self.tell(news, now)
    }

    /// What is to be told now, with `news` that just came.
    fn tell(&mut self, news: Vec<ObjectName>, now: Timestamp) -> Vec<ObjectName> {
        self.held_back.news.extend(news);
        let since = *self.held_back.since.get_or_insert(now);
        let secrets_wait = self.next_due().is_some_and(|due| due <= SOON);
        if secrets_wait && now < schedule::plus(since, LONGEST_SILENCE) {
            return Vec::new();
        }
        std::mem::take(&mut self.held_back).news
    }

    /// Gives up a turn of which nothing is known; its Secrets are tried again after a while.
    pub(super) fn abandon(&mut self, key: &TokenKey, now: Timestamp) {
        self.hear(now);
        self.queue.ended(key);
        let Some(group) = self.groups.get_mut(key) else { return };
        group.in_turn = None;
        for uid in &group.members {
            if let Some(slot) = self.slots.get_mut(uid) {
                slot.abandoned(uid, now);
            }
        }
        self.schedule(key);
    }

    /// What time it is. Where that is much earlier than it was, what waits longer than anything does waits by a clock that was ahead and has been put
    /// right. It would wait until its token is dead.
    fn hear(&mut self, now: Timestamp) {
        let latest = schedule::plus(now, LONGEST_PATIENCE);
        if self.told.replace(now).is_none_or(|told| told <= latest) {
            return;
        }
        let late =
            self.slots.values_mut().filter_map(|slot| slot.waits_no_longer_than(latest).then(|| slot.order.key()));
        let keys: BTreeSet<_> = late.collect();
        for key in keys {
            self.schedule(&key);
        }
    }

    fn leave(&mut self, uid: &str, key: &TokenKey) {
        let Some(group) = self.groups.get_mut(key) else { return };
        group.members.remove(uid);
        if group.members.is_empty() {
            if let Some(due) = group.due {
                self.queue.remove(due, key);
            }
            self.groups.remove(key);
        } else {
            self.schedule(key);
        }
    }

    /// Puts the key where it belongs in the queue.
    fn schedule(&mut self, key: &TokenKey) {
        let Some(group) = self.groups.get_mut(key) else { return };
        if let Some(due) = group.due.take() {
            self.queue.remove(due, key);
        }
        if group.in_turn.is_some() {
            return;
        }
        let due = group.members.iter().filter_map(|uid| self.slots.get(uid)).map(|slot| slot.due(group.jitter)).min();
        group.due = due;
        if let Some(due) = due {
            self.queue.insert(due, key, group.is_failing);
        }
    }
}

/// The part of a token's spread that belongs to its key: to the namespace too, since many may have an account of the same name by the same role.
fn jitter(key: &TokenKey) -> Duration {
    let TokenKey { identity, connect } = key;
    let whose = match identity.as_ref() {
        Identity::ServiceAccount { namespace, name, .. } => format!("{namespace}/{name}"),
        Identity::Role { assume, .. } => assume.external_id.clone(),
        Identity::Operator => String::new(),
    };
    let role = identity.role().map(ToString::to_string).unwrap_or_default();
    schedule::jitter(&format!("{whose} {role} {} {}", connect.username, connect.endpoint))
}

#[cfg(test)]
mod tests;
