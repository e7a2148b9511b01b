//! When a DbServer is looked at besides its schedule, and what the process remembers of its looks. Nothing of it outlives the process: what
//! must is in the status.

use std::collections::HashMap;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::domain::schedule;
use crate::k8s::feed;

/// However many users fail, their server is looked at no more often because of them.
const ASK_INTERVAL: Duration = Duration::from_secs(10);

/// What the process remembers of DbServers, and the way to have one looked at.
#[derive(Debug)]
pub struct Looks {
    wanted: UnboundedSender<String>,
    /// The other end, until the controller takes it.
    names: Mutex<Option<UnboundedReceiver<String>>>,
    /// By name.
    asked: Mutex<HashMap<String, Timestamp>>,
    /// By uid.
    memory: Mutex<HashMap<String, Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    failing_since: Option<Timestamp>,
    asked_rds: Option<Timestamp>,
    quotas: Option<Timestamp>,
    /// Of which state of the object, and when.
    abilities: Option<Timestamp>,
    /// The state of the object that they were read for.
    abilities_of: u64,
}

impl Default for Looks {
    fn default() -> Self {
        let (wanted, names) = unbounded_channel();
        Self { wanted, names: Mutex::new(Some(names)), asked: Mutex::default(), memory: Mutex::default() }
    }
}

impl Looks {
    /// Names of the DbServers that are to be looked at. They are told to the first who asks.
    pub(super) fn wanted(&self) -> impl Stream<Item = String> + Send + use<> {
        let names = self.names.lock().take();
        stream::iter(names).flat_map(feed::stream)
    }

    /// A user could not get at the server, so that it may have moved: it is to be looked at, unless it just was because of another one.
    pub(super) fn ask(&self, name: &str, now: Timestamp) {
        let mut asked = self.asked.lock();
        if asked.get(name).is_none_or(|&last| schedule::plus(last, ASK_INTERVAL) <= now) {
            asked.insert(name.to_owned(), now);
            // Nobody listens any more only when everything stops.
            let _ = self.wanted.send(name.to_owned());
        }
    }

    /// RDS did not answer. Whether that has been so for less than `patience`.
    pub(super) fn is_patient(&self, uid: &str, patience: Duration, now: Timestamp) -> bool {
        self.with(uid, |memory| {
            let since = *memory.failing_since.get_or_insert(now);
            schedule::plus(since, patience) > now
        })
    }

    /// RDS answered.
    pub(super) fn answered(&self, uid: &str) {
        self.with(uid, |memory| memory.failing_since = None);
    }

    /// Whether RDS may be asked for a change, which counts as having been asked.
    pub(super) fn may_ask_rds(&self, uid: &str, pause: Duration, now: Timestamp) -> bool {
        self.with(uid, |memory| is_due(&mut memory.asked_rds, pause, now))
    }

    /// Whether quotas are to be read anew, which counts as having been read.
    pub(super) fn are_quotas_due(&self, uid: &str, pause: Duration, now: Timestamp) -> bool {
        self.with(uid, |memory| is_due(&mut memory.quotas, pause, now))
    }

    /// Whether what the administrator may do is to be read anew, which counts as having been read: after a change of the object, or a `pause`.
    pub(super) fn are_abilities_due(&self, uid: &str, state: u64, pause: Duration, now: Timestamp) -> bool {
        self.with(uid, |memory| {
            if std::mem::replace(&mut memory.abilities_of, state) != state {
                memory.abilities = None;
            }
            is_due(&mut memory.abilities, pause, now)
        })
    }

    /// The DbServer is gone.
    pub(super) fn forget(&self, uid: &str, name: &str) {
        self.memory.lock().remove(uid);
        self.asked.lock().remove(name);
    }

    fn with<T>(&self, uid: &str, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(self.memory.lock().entry(uid.to_owned()).or_default())
    }
}

fn is_due(last: &mut Option<Timestamp>, pause: Duration, now: Timestamp) -> bool {
    let is_due = last.is_none_or(|last| schedule::plus(last, pause) <= now);
    if is_due {
        *last = Some(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn many_users_that_fail_have_their_server_looked_at_once() {
        let looks = Looks::default();
        let mut names = std::pin::pin!(looks.wanted());
        for second in 0..20 {
            looks.ask("orders", at(second));
        }
        looks.ask("billing", at(1));
        let mut asked = Vec::new();
        while let Some(Some(name)) = names.next().now_or_never() {
            asked.push(name);
        }
        assert_eq!(asked, ["orders", "orders", "billing"]);
    }

    #[test]
    fn patience_ends_and_begins_anew_after_an_answer() {
        let looks = Looks::default();
        let patience = Duration::from_secs(60);
        assert!(looks.is_patient("u", patience, at(10)));
        assert!(looks.is_patient("u", patience, at(69)));
        assert!(!looks.is_patient("u", patience, at(70)));
        looks.answered("u");
        assert!(looks.is_patient("u", patience, at(71)));
    }

    #[test]
    fn rds_is_not_asked_again_soon() {
        let looks = Looks::default();
        let pause = Duration::from_secs(300);
        assert!(looks.may_ask_rds("u", pause, at(0)));
        assert!(!looks.may_ask_rds("u", pause, at(299)));
        assert!(looks.may_ask_rds("u", pause, at(300)));
        assert!(looks.may_ask_rds("another", pause, at(1)));
        looks.forget("u", "orders");
        assert!(looks.may_ask_rds("u", pause, at(301)));
    }
}
