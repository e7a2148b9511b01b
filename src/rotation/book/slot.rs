//! One order: what its Secret holds, when it is due, and what came of its writes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::schedule;
use crate::domain::token::Token;
use crate::rotation::known::{Known, Published};
use crate::rotation::order::{Order, Problem, Progress};

use super::queue::{AT_ONCE, SOON};

/// First wait after a failure; doubles up to [`RETRY_CAP`].
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_CAP: Duration = Duration::from_secs(30);

/// The longest wait that the apiserver can ask for: tokens die meanwhile.
pub(super) const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

/// Repairs in a row that are made at once. Those that follow wait like failures: somebody undoes them.
const PROMPT_REPAIRS: u32 = 8;

/// One order and where it stands.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) order: Arc<Order>,
    /// The Secret as last written or seen: what the next write is conditional on.
    pub(super) known: Option<Known>,
    pub(super) published: Option<Published>,
    /// Most have none.
    problem: Option<Box<Problem>>,
    pub(super) failures: u32,
    pub(super) retry_at: Option<Timestamp>,
    /// When this process wrote it last, or found it whole.
    written_at: Timestamp,
    /// How many of the last writes, with no long pause between them, put right what somebody else had done.
    repairs: u32,
    /// Whether the last write had to leave `my.cnf` out.
    omits_my_cnf: Option<bool>,
    /// Somebody else wrote the Secret: look at it before anything else.
    pub(super) is_suspect: bool,
    /// While a turn is under way the Secret was seen to go, or written by a turn of another key, and nobody knows whether that was before or after this
    /// turn's write.
    pub(super) is_unsure: bool,
}

impl Slot {
    /// An order that is new. `observed` is its Secret, if it is there and ours.
    pub(super) fn new(order: Order, observed: Option<(Known, Published)>) -> Self {
        let (known, published) = observed.unzip();
        Self {
            order: Arc::new(order),
            known,
            published,
            problem: None,
            failures: 0,
            retry_at: None,
            written_at: Timestamp::MIN,
            repairs: 0,
            omits_my_cnf: None,
            is_suspect: false,
            is_unsure: false,
        }
    }

    /// The Secret holds a token now, with what `order` asked for, which may be another order by now.
    pub(super) fn written(&mut self, known: Known, order: &Order, token: &Token, now: Timestamp) {
        let was_undone = self.is_suspect || (self.published.is_none() && self.written_at > Timestamp::MIN);
        let in_a_row = if now < schedule::plus(self.written_at, LONGEST_PATIENCE) { self.repairs } else { 0 };
        self.repairs = in_a_row.saturating_add(u32::from(was_undone));
        self.known = Some(known);
        self.published = Some(Published { expires_at: token.usable_until, inputs: order.inputs });
        (self.problem, self.retry_at, self.failures) = (None, None, 0);
        self.written_at = now;
        self.omits_my_cnf = Some(order.binding.omits_my_cnf(token));
        self.is_suspect = std::mem::take(&mut self.is_unsure);
    }

    /// It was not written; the apiserver may have asked for patience.
    pub(super) fn failed(&mut self, uid: &str, problem: Problem, patience: Option<Duration>, now: Timestamp) {
        let asked = patience.unwrap_or_default().min(LONGEST_PATIENCE);
        self.retry_at = Some(schedule::plus(now, retry_delay(uid, self.failures).max(asked)));
        self.failures = self.failures.saturating_add(1);
        if problem == Problem::ForeignSecret {
            // Whatever was published is in somebody else's hands now.
            (self.known, self.published) = (None, None);
        }
        self.problem = Some(Box::new(problem));
    }

    /// Nothing is known of its turn: it is tried again after a while.
    pub(super) fn abandoned(&mut self, uid: &str, now: Timestamp) {
        self.retry_at = Some(schedule::plus(now, retry_delay(uid, self.failures)));
    }

    /// Forgets what it waits for by a clock that was ahead, and tells whether there was any such thing. Nothing waits longer than until `latest`.
    pub(super) fn waits_no_longer_than(&mut self, latest: Timestamp) -> bool {
        let is_late = self.retry_at.is_some_and(|retry_at| retry_at > latest) || self.written_at > latest;
        if is_late {
            (self.retry_at, self.written_at) = (None, Timestamp::MIN);
        }
        is_late
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            expires_at: self.published.as_ref().map(|published| published.expires_at),
            is_current: self.published.as_ref().is_some_and(|published| published.inputs == self.order.inputs),
            problem: self.problem.as_deref().cloned(),
            login: None, // kept elsewhere
            omits_my_cnf: self.omits_my_cnf,
        }
    }

    /// `jitter` is that of its key, here and below.
    pub(super) fn due(&self, jitter: Duration) -> Timestamp {
        match (self.retry_at, &self.published) {
            (Some(retry_at), _) => retry_at,
            (None, Some(published)) if published.inputs != self.order.inputs => SOON,
            (None, Some(published)) if !self.is_suspect => self.scheduled(published, jitter),
            (None, _) => self.repair_from(),
        }
    }

    fn scheduled(&self, published: &Published, jitter: Duration) -> Timestamp {
        let rests_until = schedule::plus(self.written_at, schedule::LEAST_PAUSE);
        schedule::due(published.expires_at, self.order.renew_before, jitter).max(rests_until)
    }

    fn repair_from(&self) -> Timestamp {
        let further = self.repairs.checked_sub(PROMPT_REPAIRS);
        let pause = |further| schedule::plus(self.written_at, retry_delay(&self.order.owner.uid, further));
        further.map_or(AT_ONCE, pause)
    }

    pub(super) fn is_due_by_schedule(&self, jitter: Duration, now: Timestamp) -> bool {
        let is_time = |published| self.scheduled(published, jitter) <= now;
        self.retry_at.is_none_or(|retry_at| retry_at <= now) && self.published.as_ref().is_some_and(is_time)
    }

    /// Changed inputs want a new signing: somebody asked for one. A newcomer or a repair takes what there is.
    pub(super) fn takes_current_token(&self) -> bool {
        self.published.as_ref().is_none_or(|published| published.inputs == self.order.inputs)
    }
}

/// Doubles from [`RETRY_FIRST`] to [`RETRY_CAP`], less up to a quarter that belongs to the object, so that failures do not march in step.
fn retry_delay(uid: &str, failures: u32) -> Duration {
    let full = RETRY_FIRST.saturating_mul(1 << failures.min(8)).min(RETRY_CAP);
    let share = schedule::share(&format!("{uid} {failures}"));
    full.mul_f64(share.mul_add(-0.25, 1.0))
}
