//! One writer a home at a time. Who waits for its turn while another writes is served by the one write that follows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::entitlements::Wished;
use super::outcome::Outcome;
use crate::api::Reason;
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::domain::access::Access;
use crate::domain::policy::{
    Budget, MANAGED_POLICY_LIMIT, ObservedPolicies, Place, Plan, PolicyHome, PolicyStep, inline_quota, plan,
    plan_withdrawal,
};
use crate::domain::schedule;
use crate::ports::{Fault, FaultKind};

/// How long IAM may contradict itself before it is believed: it answers from copies that agree after a while only.
const LOOK_AGAIN: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(750), Duration::from_secs(2), Duration::from_secs(4)];

/// For how long a failure is an answer to the next who asks: many wait for the same home, and each would try.
const FAILURE_IS_NEWS: Duration = Duration::from_secs(5);

/// Homes of one account that are worked on at the same time: IAM takes few calls a second, and one account's outage is no other's.
const OF_ACCOUNT: usize = 8;

/// The turns of all homes.
#[derive(Default)]
pub(super) struct Rounds {
    turns: Mutex<HashMap<PolicyHome, Arc<Turn>>>,
    accounts: Mutex<HashMap<Access, Arc<Semaphore>>>,
}

#[derive(Default)]
struct Turn {
    /// How often something of the home changed.
    changes: AtomicU64,
    /// The last round; held by whoever is in one.
    last: tokio::sync::Mutex<Option<Round>>,
}

struct Round {
    /// The changes that it has seen.
    seen: u64,
    at: Timestamp,
    access: Access,
    may_write: bool,
    outcome: Arc<Outcome>,
}

/// What a round is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// Whether anything changed since the asker was here last.
    pub(super) is_news: bool,
    /// Whether policies are written, or only looked at.
    pub(super) may_write: bool,
    /// How old an answer may be where nothing changed.
    pub(super) freshness: Duration,
}

impl Rounds {
    /// Brings a home to what everybody wants of it, or finds that done since the asker's change.
    pub(super) async fn bring(
        &self,
        home: &PolicyHome,
        access: &Access,
        ask: Ask,
        wished: &Wished<'_>,
        context: &Context,
    ) -> Arc<Outcome> {
        let turn = self.turn(home);
        let change = ask.is_news.then(|| turn.changes.fetch_add(1, Ordering::SeqCst) + 1);
        let mut last = turn.last.lock().await;
        let now = context.clock.now();
        if let Some(round) = last.as_ref().filter(|round| round.answers(access, ask, change, now)) {
            return round.outcome.clone();
        }
        let _place = self.account(access).acquire_owned().await.ok(); // it is never closed
        // Whoever enters a claim from here on is not sure to be seen.
        let seen = turn.changes.load(Ordering::SeqCst);
        let outcome = Arc::new(round(home, access, ask.may_write, wished, context).await);
        // Whoever asks is told only what concerns it; what concerns nobody stands here alone.
        let before = last.as_ref().and_then(|round| round.outcome.fault.as_ref());
        if let Some(problem) = outcome.fault.as_ref().filter(|problem| before != Some(*problem)) {
            tracing::warn!(principal = %home.principal, %problem, "policies are not as they shall be");
        }
        let round = Round { seen, at: context.clock.now(), access: access.clone(), may_write: ask.may_write, outcome };
        last.insert(round).outcome.clone()
    }

    fn account(&self, access: &Access) -> Arc<Semaphore> {
        let mut accounts = self.accounts.lock();
        accounts.entry(access.clone()).or_insert_with(|| Arc::new(Semaphore::new(OF_ACCOUNT))).clone()
    }

    fn turn(&self, home: &PolicyHome) -> Arc<Turn> {
        let mut turns = self.turns.lock();
        turns.entry(home.clone()).or_default().clone()
    }

    /// Drops a home that nobody wants anything of any more.
    pub(super) fn forget(&self, home: &PolicyHome) {
        let mut turns = self.turns.lock();
        if turns.get(home).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(home);
        }
    }
}

impl Round {
    fn answers(&self, access: &Access, ask: Ask, change: Option<u64>, now: Timestamp) -> bool {
        let failed = self.outcome.fault.is_some();
        let has_seen = change.is_none_or(|change| self.seen >= change);
        let may_be_old = if failed { FAILURE_IS_NEWS } else { ask.freshness };
        let is_young = change.is_some() || now < schedule::plus(self.at, may_be_old);
        has_seen && is_young && (self.may_write || !ask.may_write) && &self.access == access
    }
}

/// Observes, plans and applies, and begins anew where IAM contradicts what it said before.
async fn round(home: &PolicyHome, access: &Access, may_write: bool, wished: &Wished<'_>, context: &Context) -> Outcome {
    let mut waits = LOOK_AGAIN.into_iter();
    loop {
        let mut outcome = Outcome::of(home);
        match attempt(access, may_write, wished, context, &mut outcome).await {
            Ok(()) => return outcome,
            Err(Setback::Contradiction(step, fault)) => match waits.next() {
                Some(wait) => tokio::time::sleep(wait).await,
                // What it said is not to be concluded from.
                None => return Outcome { fault: Some(problem_of(&step, fault, home)), is_seen: false, ..outcome },
            },
            Err(Setback::Problem(problem)) => return Outcome { fault: Some(problem), ..outcome },
        }
    }
}

enum Setback {
    /// What IAM said when it was asked is not what it says now.
    Contradiction(PolicyStep, Fault),
    Problem(Problem),
}

impl From<Fault> for Setback {
    fn from(fault: Fault) -> Self {
        Self::Problem(fault.into())
    }
}

async fn attempt(
    access: &Access,
    may_write: bool,
    wished: &Wished<'_>,
    context: &Context,
    outcome: &mut Outcome,
) -> Result<(), Setback> {
    let home = outcome.home.clone();
    outcome.policies = context.policies.observe(access, &home).await?;
    if let Some(number) = outcome.policies.unknown() {
        let fault = Fault::new(FaultKind::Missing, "get a policy that is attached");
        return Err(Setback::Contradiction(PolicyStep::Detach { number }, fault));
    }
    outcome.is_seen = true;
    let (wanted, limit) = wished.of(&home, &outcome.policies);
    outcome.wanted.clone_from(&wanted.resources);
    let budget = budget(&home, limit, &outcome.policies);
    let plan = plan(&home, &wanted, &outcome.policies, budget).map_err(Problem::from);
    if !may_write {
        return plan.map(drop).map_err(Setback::Problem);
    }
    let applied = match plan {
        Ok(Plan { steps, left_over }) => {
            outcome.left_over = left_over;
            apply(access, &steps, context, outcome).await
        }
        Err(problem) => Err(Setback::Problem(problem)),
    };
    // What cannot be given is told; what is to be taken away is taken away all the same.
    if let Err(Setback::Problem(problem)) = &applied
        && is_refusal(problem)
    {
        let steps = plan_withdrawal(&home, &wanted.resources, &outcome.policies, budget);
        apply(access, &steps, context, outcome).await?;
    }
    applied
}

/// Documents of inline policies have the same size as others, so that they are the same documents; it is their sum that IAM limits.
fn budget(home: &PolicyHome, limit: Option<usize>, observed: &ObservedPolicies) -> Budget {
    let document = limit.unwrap_or(MANAGED_POLICY_LIMIT);
    let total = match home.place {
        Place::Path(_) => None,
        Place::Inline => Some(inline_quota(home.principal.kind()).saturating_sub(observed.foreign_inline)),
    };
    Budget { document, total }
}

/// Whether IAM answered, and will answer the same until somebody decides something.
const fn is_refusal(problem: &Problem) -> bool {
    matches!(problem.reason, Reason::ForeignPolicy | Reason::PrincipalNotFound | Reason::QuotaExceeded)
}

/// Takes the steps. One that fails ends it, but for a policy that cannot be deleted because somebody attached it elsewhere: that is told, and never
/// forced.
async fn apply(access: &Access, steps: &[PolicyStep], context: &Context, outcome: &mut Outcome) -> Result<(), Setback> {
    let home = outcome.home.clone();
    let gives = |step: &PolicyStep| matches!(step, PolicyStep::Attach { .. } | PolicyStep::Put { .. });
    if steps.iter().any(gives) && !context.policies.exists(access, &home.principal).await? {
        let message = format!("IAM knows no principal {}", home.principal);
        return Err(Setback::Problem(Problem::standing(Reason::PrincipalNotFound, message)));
    }
    let mut left = None;
    for step in steps {
        match context.policies.apply(access, &home, step).await {
            Ok(()) => outcome.policies.enter(step),
            Err(fault) if is_attached_elsewhere(step, &fault) => {
                left.get_or_insert_with(|| Setback::Problem(problem_of(step, fault, &home)));
            }
            Err(fault) if contradicts(step, &fault) => return Err(Setback::Contradiction(step.clone(), fault)),
            Err(fault) => return Err(Setback::Problem(problem_of(step, fault, &home))),
        }
    }
    if !steps.is_empty() {
        tracing::info!(principal = %home.principal, steps = steps.len(), "policies changed");
    }
    left.map_or(Ok(()), Err)
}

fn is_attached_elsewhere(step: &PolicyStep, fault: &Fault) -> bool {
    matches!(step, PolicyStep::Delete { .. }) && fault.kind == FaultKind::Conflict
}

/// What was observed a moment ago, or done, says otherwise: IAM's copies do not agree yet, or somebody else is at work.
fn contradicts(step: &PolicyStep, fault: &Fault) -> bool {
    fault.kind == FaultKind::Conflict || (fault.kind == FaultKind::Missing && !matches!(step, PolicyStep::Put { .. }))
}

fn problem_of(step: &PolicyStep, fault: Fault, home: &PolicyHome) -> Problem {
    let principal = &home.principal;
    match (step, fault.kind) {
        (PolicyStep::Delete { number }, FaultKind::Conflict) => {
            let message = format!(
                "the policy {} is attached to something that this operator did not attach it to, and stays until somebody detaches it there",
                home.id(*number)
            );
            Problem::standing(Reason::Conflict, message)
        }
        (step, FaultKind::Quota) => {
            let quota = match step {
                PolicyStep::Create { .. } => "managed policies of the account, or characters of a policy".to_owned(),
                PolicyStep::Attach { .. } => format!("managed policies attached to {principal}"),
                PolicyStep::Put { .. } => format!("characters of all inline policies of {principal}"),
                PolicyStep::Replace { .. }
                | PolicyStep::DeleteVersion { .. }
                | PolicyStep::Tag { .. }
                | PolicyStep::Untag { .. }
                | PolicyStep::Detach { .. }
                | PolicyStep::Delete { .. }
                | PolicyStep::Remove { .. } => "characters, versions or tags of a policy".to_owned(),
            };
            Problem::standing(Reason::QuotaExceeded, format!("{fault}: {quota}"))
        }
        _ => Problem::from(fault),
    }
}
