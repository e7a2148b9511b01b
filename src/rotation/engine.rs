//! The engine's loop: takes the most urgent turn, gets credentials, signs, writes, and enters what came of it.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, future, stream};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::book::{Book, MOST_FAILING, Member, Outcome, Turn};
use super::credentials::CredentialCache;
use super::known::TokenSecret;
use super::logins::Logins;
use super::marks::Marks;
use super::order::{ObjectName, Order, Problem, Progress, SecretRef, TokenKey};
use super::sight::Sight;
use super::write;
use super::writers::{WRITERS, Writers};
use crate::domain::schedule;
use crate::domain::token::{self, Token};
use crate::k8s::call::{CallError, call};
use crate::k8s::dates::ServerDate;
use crate::k8s::feed::Change;
use crate::k8s::fence::Fence;
use crate::ports::Clock;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::pulse::Pulse;

/// Turns that are under way at the same time, half of them for keys that fail. What is due beyond them stays in the queue, where the most urgent comes
/// first.
const TURNS: usize = 2 * MOST_FAILING;

/// The longest sleep. The wall clock may jump (a suspended machine), so it is looked at again this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// The rotation engine.
pub struct Engine {
    book: Mutex<Book>,
    wake: Notify,
    writers: Writers,
    turns: Arc<Semaphore>,
    client: kube::Client,
    marks: Marks,
    sight: Sight,
    credentials: CredentialCache,
    logins: Arc<Logins>,
    server_date: Arc<ServerDate>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    news: UnboundedSender<ObjectName>,
}

/// What an engine is made of.
pub struct Parts {
    /// The apiserver.
    pub client: kube::Client,
    /// How its Secrets are marked.
    pub marks: Marks,
    /// What is known of the operator's own Secrets.
    pub sight: Sight,
    /// Who signs.
    pub credentials: CredentialCache,
    /// Logins with what was published.
    pub logins: Arc<Logins>,
    /// What time the apiserver thinks it is.
    pub server_date: Arc<ServerDate>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Gets each object whose order's progress changed in a way that it should tell.
    pub news: UnboundedSender<ObjectName>,
}

impl Engine {
    /// An engine without orders.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let (book, wake, writers) = (Mutex::default(), Notify::new(), Writers::new());
        let turns = Arc::new(Semaphore::new(TURNS));
        let Parts { client, marks, sight, credentials, logins, server_date, clock, metrics, news } = parts;
        Arc::new(Self {
            book,
            wake,
            writers,
            turns,
            client,
            marks,
            sight,
            credentials,
            logins,
            server_date,
            clock,
            metrics,
            news,
        })
    }

    /// Takes an order, new or changed. A Secret that is there already and alive is not written.
    ///
    /// # Errors
    /// When it has to be asked whether there is one, and nobody answers: the order is not placed then.
    pub async fn place(&self, order: Order) -> Result<(), CallError> {
        // An order that stands knows its Secret already.
        let seen = if self.with(|book| book.holds(&order.owner.uid)) { None } else { self.look(&order.secret).await? };
        // No token lives longer, so who wrote that was not the operator: it would be believed until then, and the token be dead.
        let latest = schedule::plus(self.now(), schedule::TOKEN_LIFE + schedule::LARGEST_SKEW);
        let observed = seen.and_then(|secret| {
            let published = secret.published(&order.owner.uid).filter(|published| published.expires_at <= latest)?;
            Some((secret.known().clone(), published))
        });
        let unused = self.with(|book| {
            let unused = book.place(order, observed);
            self.metrics.tokens(book.len());
            unused
        });
        if let Some(identity) = unused {
            self.credentials.forget(&identity);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Forgets an order, and tells whether there was one. Its Secret stays as it is.
    pub fn withdraw(&self, uid: &str) -> bool {
        let (was_held, unused) = self.with(|book| {
            let (was_held, unused) = (book.holds(uid), book.withdraw(uid));
            self.metrics.tokens(book.len());
            (was_held, unused)
        });
        self.logins.withdraw(uid);
        if let Some(identity) = unused {
            self.credentials.forget(&identity);
        }
        was_held
    }

    /// What a Secret is like now, without its data; none when there is none. Without a watch it may be anybody's: whose it is must be asked.
    ///
    /// # Errors
    /// When it has to be asked for, and nobody answers.
    pub async fn look(&self, secret: &SecretRef) -> Result<Option<Arc<TokenSecret>>, CallError> {
        self.sight.look(&self.marks, secret).await
    }

    /// Whether looking costs nothing.
    pub const fn watches(&self) -> bool {
        matches!(self.sight, Sight::Watched(_))
    }

    /// How an order goes; none when there is no such order.
    pub fn progress(&self, uid: &str) -> Option<Progress> {
        let progress = self.with(|book| book.progress(uid))?;
        Some(Progress { login: self.logins.finding(uid), ..progress })
    }

    /// What time it is for what comes due and dies. By a clock that is far behind tokens would die unnoticed: the apiserver's counts then. Nothing is
    /// signed by it.
    pub fn now(&self) -> Timestamp {
        let ours = self.clock.now();
        let behind =
            self.server_date.offset(ours).filter(SignedDuration::is_negative).map(SignedDuration::unsigned_abs);
        behind.filter(|behind| *behind > schedule::LARGEST_SKEW).map_or(ours, |behind| schedule::plus(ours, behind))
    }

    /// Runs until `stop`, then finishes the turns that are under way. They go on only while the fence is open.
    pub async fn run(
        self: Arc<Self>,
        changes: impl Stream<Item = Change<TokenSecret>> + Send,
        fence: Fence,
        pulse: Pulse,
        stop: CancellationToken,
    ) {
        let turns = TaskTracker::new();
        let mut changes = std::pin::pin!(changes.fuse());
        loop {
            while let Ok(permit) = self.turns.clone().try_acquire_owned() {
                pulse.beat(); // a turn has ended, or more may begin: not all of them hang
                let now = self.now();
                let Some(turn) = self.with(|book| book.begin(now)) else { break };
                turns.spawn(fence.clone().hold(self.clone().take(turn, now, permit, fence.clone())));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.until_next()) => {}
                () = self.wake.notified() => {}
                Some(change) = changes.next() => self.notice(&change),
            }
        }
        turns.close();
        turns.wait().await;
        self.logins.stop();
    }

    fn until_next(&self) -> Duration {
        let now = self.now();
        if self.turns.available_permits() == 0 {
            return LONGEST_SLEEP; // the end of a turn wakes
        }
        let next = self.with(|book| book.next_due());
        next.map_or(LONGEST_SLEEP, |due| schedule::until(due, now).min(LONGEST_SLEEP))
    }

    fn notice(&self, change: &Change<TokenSecret>) {
        let Some(uid) = change.object().concerns() else {
            return;
        };
        let seen = match change {
            Change::Applied(secret) => Some(secret.known()),
            Change::Deleted(_) => None,
        };
        self.with(|book| book.notice(uid, seen));
    }

    async fn take(self: Arc<Self>, turn: Turn, begun: Timestamp, permit: OwnedSemaphorePermit, fence: Fence) {
        let Turn { key, token, members } = turn;
        let under_way = UnderWay { engine: &self, key: Some(&key) };
        let token = match token {
            Some(token) => Ok(token),
            None => self.sign(&key, begun).await,
        };
        let outcomes: Vec<(Member, Outcome)> = match &token {
            Ok(token) => {
                let writes = stream::iter(members).map(|member| self.write(member, &key, token));
                writes.buffer_unordered(WRITERS).filter_map(future::ready).collect().await
            }
            Err(problem) => {
                members.into_iter().map(|member| (member, Outcome::Failed(problem.clone(), None))).collect()
            }
        };
        self.tell(&outcomes);
        if let Ok(token) = &token {
            self.verify(&outcomes, &key, token, &fence);
        }
        let seen: Vec<_> = outcomes.iter().map(|(member, _)| (member.uid.clone(), member.order.clone())).collect();
        let now = self.now();
        under_way.ended();
        let news = self.with(|book| {
            let news = book.finish(&key, token.as_ref().ok(), outcomes, now);
            // What the watch told during the turn was not listened to; the store still knows it.
            for (uid, order) in seen {
                if let Some(secret) = self.sight.glance(&order.secret) {
                    book.notice(&uid, Some(secret.known()));
                }
            }
            news
        });
        for object in news {
            let _ = self.news.send(object); // nobody listens any more only when the process ends
        }
        drop(permit);
        self.wake.notify_one();
    }

    async fn sign(&self, key: &TokenKey, begun: Timestamp) -> Result<Token, Problem> {
        // What is due by the apiserver's clock alone is not signed by ours, even if they agree again: of several apiservers one may be ahead, and would
        // have everything signed anew by each answer.
        if begun > schedule::plus(self.clock.now(), schedule::LARGEST_SKEW) {
            return Err(Problem::ClockSkew);
        }
        self.check_clock().await?;
        let credentials = self.credentials.get(&key.identity).await?;
        Ok(token::sign(&credentials, &key.connect, self.clock.now()))
    }

    /// Before it is said that the clock is off, the apiserver is asked once more: the machine may have slept.
    async fn check_clock(&self) -> Result<(), Problem> {
        let is_off = || {
            let offset = self.server_date.offset(self.clock.now());
            offset.is_some_and(|offset| offset.unsigned_abs() > schedule::LARGEST_SKEW)
        };
        if !is_off() {
            return Ok(());
        }
        // What comes of it is of no interest, only when.
        let _ = call("ask the apiserver for the time", self.client.apiserver_version()).await;
        if is_off() { Err(Problem::ClockSkew) } else { Ok(()) }
    }

    fn verify(&self, outcomes: &[(Member, Outcome)], key: &TokenKey, token: &Token, fence: &Fence) {
        for (member, outcome) in outcomes {
            // With the book in hand, so that an order that is withdrawn now takes its login along.
            self.with(|book| {
                if matches!(outcome, Outcome::Written(_)) && book.wants(&member.uid, key) {
                    self.logins.published(&member.uid, &member.order, token, fence, &self.news);
                }
            });
        }
    }

    /// Writes a Secret. None when its order was withdrawn meanwhile, or asks for another token: the wait for one's turn may have been long.
    async fn write(&self, member: Member, key: &TokenKey, token: &Token) -> Option<(Member, Outcome)> {
        let _permit = self.writers.enter(member.known.is_some()).await;
        if !self.with(|book| book.wants(&member.uid, key)) {
            return None;
        }
        let outcome = match write::publish(&self.client, &self.marks, &member, token).await {
            Ok(known) => Outcome::Written(known),
            Err(refusal) => Outcome::Failed(refusal.problem, refusal.patience),
        };
        Some((member, outcome))
    }

    fn tell(&self, outcomes: &[(Member, Outcome)]) {
        for (member, outcome) in outcomes {
            let SecretRef { namespace, name } = &member.order.secret;
            match outcome {
                Outcome::Written(_) => {
                    self.metrics.rotated();
                    tracing::debug!(namespace, secret = name, "token written");
                }
                Outcome::Failed(problem, _) => {
                    self.metrics.rotation_failed(problem.word());
                    tracing::warn!(namespace, secret = name, %problem, "token not written");
                }
            }
        }
    }

    fn with<T>(&self, use_book: impl FnOnce(&mut Book) -> T) -> T {
        use_book(&mut self.book.lock())
    }
}

/// A turn that is under way. Should its task end in any other way than by entering what came of it, the key must not stay taken: it would never be
/// renewed again.
struct UnderWay<'t> {
    engine: &'t Engine,
    key: Option<&'t TokenKey>,
}

impl UnderWay<'_> {
    fn ended(mut self) {
        self.key = None;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let now = self.engine.now();
            self.engine.with(|book| book.abandon(key, now));
            self.engine.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
