//! Logs in with what was published, beside the rotation and never in its way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::order::{LoginFinding, ObjectName, Order, Verify};
use crate::domain::digest::Digest;
use crate::domain::schedule;
use crate::domain::token::Token;
use crate::k8s::fence::Fence;
use crate::ports::{Clock, DatabaseCredentials, FaultKind, LoginProbe, LoginTarget};

/// Logins that are tried at the same time.
const PROBES: usize = 8;

/// First wait after a login that failed; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a policy may take to reach the database after it was attached.
const PROPAGATION: Duration = Duration::from_secs(120);

/// Who logs in, and what came of it.
pub struct Logins {
    probe: Arc<dyn LoginProbe>,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    entries: Mutex<HashMap<String, Entry>>,
}

/// The logins of one order.
struct Entry {
    inputs: Digest,
    /// When the first token for these inputs was tried.
    began: Instant,
    finding: Option<LoginFinding>,
    task: AbortHandle,
}

impl Logins {
    /// Nothing tried yet.
    #[must_use]
    pub fn new(probe: Arc<dyn LoginProbe>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { probe, clock, permits: Semaphore::new(PROBES), entries: Mutex::default() })
    }

    /// What came of the last login of an order, as far as this process has tried one.
    pub(super) fn finding(&self, uid: &str) -> Option<LoginFinding> {
        self.with(|entries| entries.get(uid).and_then(|entry| entry.finding))
    }

    /// Tries what was just published, until it succeeds or dies, while the fence is open. `news` gets the object whenever it has something
    /// else to tell.
    pub(super) fn published(
        self: &Arc<Self>,
        uid: &str,
        order: &Order,
        token: &Token,
        fence: &Fence,
        news: &UnboundedSender<ObjectName>,
    ) {
        if !self.wants(uid, order) {
            return;
        }
        // From the first token for this account and endpoint on, not from each: what was refused for long is no news that has yet to get about.
        let known = self.with(|entries| entries.get(uid).filter(|it| it.inputs == order.inputs).map(|it| it.began));
        let began = known.unwrap_or_else(Instant::now);
        let (order_of_trial, token) = (order.clone(), token.clone());
        let trial = self.clone().try_until_it_succeeds(uid.to_owned(), order_of_trial, token, began, news.clone());
        let trial = fence.clone().hold(trial);
        self.with(|entries| {
            let before = entries.remove(uid);
            if let Some(before) = &before {
                before.task.abort();
            }
            let same = before.filter(|before| before.inputs == order.inputs);
            let finding = same.and_then(|before| before.finding);
            // The lock is held until the entry is there, so the trial finds it.
            let task = tokio::spawn(trial).abort_handle();
            entries.insert(uid.to_owned(), Entry { inputs: order.inputs, began, finding, task });
        });
    }

    /// Forgets an order.
    pub(super) fn withdraw(&self, uid: &str) {
        if let Some(entry) = self.with(|entries| entries.remove(uid)) {
            entry.task.abort();
        }
    }

    /// Ends what is under way.
    pub(super) fn stop(&self) {
        self.with(|entries| entries.drain().for_each(|(_, entry)| entry.task.abort()));
    }

    fn wants(&self, uid: &str, order: &Order) -> bool {
        match order.verify {
            Verify::Never => {
                self.withdraw(uid);
                false
            }
            Verify::Always => true,
            Verify::OnCreate => self.with(|entries| {
                let is_done = |entry: &Entry| {
                    entry.inputs == order.inputs && matches!(entry.finding, Some(LoginFinding::Verified { .. }))
                };
                !entries.get(uid).is_some_and(is_done)
            }),
        }
    }

    async fn try_until_it_succeeds(
        self: Arc<Self>,
        uid: String,
        order: Order,
        token: Token,
        began: Instant,
        news: UnboundedSender<ObjectName>,
    ) {
        let mut wait = FIRST_WAIT;
        while !schedule::until(token.usable_until, self.clock.now()).is_zero() {
            let finding = self.log_in(&order, &token, began.elapsed() < PROPAGATION).await;
            let is_news = self.with(|entries| {
                entries.get_mut(&uid).is_some_and(|entry| entry.finding.replace(finding) != Some(finding))
            });
            if is_news {
                let _ = news.send(order.object()); // nobody listens any more only when the process ends
            }
            if matches!(finding, LoginFinding::Verified { .. }) {
                return;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn log_in(&self, order: &Order, token: &Token, is_young: bool) -> LoginFinding {
        let _permit = self.permits.acquire().await.ok();
        let connect = &order.binding.connect;
        // Where the token is signed for, never an alias: no tenant tells the operator whom to dial.
        let target = LoginTarget {
            endpoint: connect.endpoint.clone(),
            login: DatabaseCredentials { username: connect.username.clone(), password: token.text.clone() },
            ca: order.ca.clone(),
            by_token: true,
        };
        match self.probe.log_in(&target, order.binding.engine).await {
            Ok(login) if is_account(&login.current_user, &connect.username, &order.hosts) => {
                LoginFinding::Verified { cipher: login.cipher }
            }
            Ok(_) => LoginFinding::OtherAccount,
            Err(fault) if fault.kind == FaultKind::Denied && is_young => LoginFinding::Propagating,
            Err(fault) => LoginFinding::Failed(fault.kind),
        }
    }

    fn with<T>(&self, use_entries: impl FnOnce(&mut HashMap<String, Entry>) -> T) -> T {
        use_entries(&mut self.entries.lock())
    }
}

/// Whether the account that the server took the login for is the one that it was meant for. Without hosts any will do.
fn is_account(current_user: &str, username: &str, hosts: &[String]) -> bool {
    let Some((user, host)) = current_user.rsplit_once('@') else { return false };
    user == username && (hosts.is_empty() || hosts.iter().any(|it| it.eq_ignore_ascii_case(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_account_of_the_name_is_not_the_account() {
        let hosts = ["%".to_owned(), "10.%".to_owned()];
        assert!(is_account("app@%", "app", &hosts));
        assert!(is_account("app@10.%", "app", &hosts));
        assert!(!is_account("app@192.168.%", "app", &hosts));
        assert!(!is_account("@10.%", "app", &hosts), "the anonymous account wins by its host");
        assert!(!is_account("App@%", "app", &hosts));
        assert!(!is_account("", "app", &hosts));
        assert!(is_account("app@anywhere", "app", &[]));
    }
}
