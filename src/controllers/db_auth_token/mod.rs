//! `DbAuthToken`: says what stands in a Secret and places the order; the rotation engine keeps it alive.

mod desired;
mod endpoint;
mod resolve;
mod secret;
mod status;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, future};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tokio_util::sync::CancellationToken;

pub(super) use resolve::barred;

use super::context::Context;
use super::problem::{Problem, Retry};
use super::run::Outcome;
use crate::api::{ConditionType, DbAuthToken, Reason};
use crate::controllers::conditions;
use crate::domain::schedule::{self, Withdrawal};
use crate::k8s::feed::Change;
use crate::rotation::Progress;

/// Resyncs between two looks at a token that nothing wakes: whatever it depends on does.
pub(super) const SELDOM: u32 = 12;

pub(super) async fn reconcile(object: Arc<DbAuthToken>, context: Arc<Context>) -> Outcome {
    let api = Api::<DbAuthToken>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let uid = object.uid().unwrap_or_default();
    if object.metadata.deletion_timestamp.is_some() {
        context.engine.withdraw(&uid); // its Secret goes by ownerReference
        return Ok(Action::await_change());
    }
    let order = if object.spec.suspend {
        Err(Problem::of_spec(Reason::Suspended, "spec.suspend: no token is signed"))
    } else {
        resolve::inputs(&object, &context).await.and_then(|inputs| desired::order(&object, &inputs))
    };
    let placed = match order {
        Ok(order) => context.engine.place(order.clone()).await.map(|()| order).map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match placed {
        Ok(order) => {
            context.refusals.over(&uid);
            // The object may have gone while it was looked at. The store knows before the deletion is told.
            if !is_there(&object, &context) {
                context.engine.withdraw(&uid);
                return Ok(Action::await_change());
            }
            let progress = steady(&object, context.engine.progress(&uid).unwrap_or_default());
            // The first thing told of an object is what came of it: the engine tells soon, and thousands may be new at once.
            if object.status.is_none() && !progress.is_current && progress.problem.is_none() {
                return Ok(next_look(&progress, context.engine.now()));
            }
            let findings = status::Findings::of(&object, &order, &progress, context.engine.now());
            status::write(&api, &object, &findings, &context).await?;
            Ok(next_look(&progress, context.engine.now()))
        }
        Err(problem) => withhold(&api, &object, problem, &context).await,
    }
}

/// A rotation that was asked for, or a CA that changed, is a rotation like any other: while the spec is the one that was told of as ready and nothing
/// stands in the way, what is published stays good until it is replaced.
fn steady(object: &DbAuthToken, progress: Progress) -> Progress {
    let told = object.status.as_ref().filter(|status| status.observed_generation == object.metadata.generation);
    let was_good =
        told.is_some_and(|status| conditions::is_true(&status.conditions, ConditionType::SecretReady.as_str()));
    let is_current = progress.is_current || (was_good && progress.problem.is_none());
    Progress { is_current, ..progress }
}

fn is_there(object: &DbAuthToken, context: &Context) -> bool {
    let now = context.feeds.tokens.store().get(&ObjectRef::from_obj(object));
    now.is_some_and(|now| now.metadata.uid == object.metadata.uid && now.metadata.deletion_timestamp.is_none())
}

/// Rotation tells of itself when something changes; only the passing of time must be looked for: failure becomes an alarm, and an alarm an expiry.
/// All else is looked at seldom: a status that a lagging watch hid.
fn next_look(progress: &Progress, now: Timestamp) -> Action {
    let (Some(expires_at), Some(_)) = (progress.expires_at, &progress.problem) else {
        return Action::await_change();
    };
    let alarm = schedule::until(schedule::minus(expires_at, schedule::ALARM), now);
    let wait = if alarm.is_zero() { schedule::until(expires_at, now) } else { alarm };
    if wait.is_zero() { Action::await_change() } else { Action::requeue(wait + Duration::from_secs(1)) }
}

/// No token is to be had. The engine stops where somebody decided so; for what may pass it goes on with the order that it has.
async fn withhold(api: &Api<DbAuthToken>, object: &DbAuthToken, problem: Problem, context: &Context) -> Outcome {
    let uid = object.uid().unwrap_or_default();
    let is_decided = matches!(
        problem.reason,
        Reason::UserGone
            | Reason::NotAllowed
            | Reason::NoConsent
            | Reason::UserRefNotFound
            | Reason::OutOfScope
            | Reason::Suspended
    );
    let outcome = match refused_for(object, &problem, context) {
        Withdrawal::Nothing(wait) => Ok(Action::requeue(wait)),
        Withdrawal::Signing(_) | Withdrawal::Connecting if is_decided => {
            let was_placed = context.engine.withdraw(&uid);
            secret::retire(object, problem.reason, was_placed, context).await
        }
        Withdrawal::Signing(_) | Withdrawal::Connecting => {
            Ok(next_look(&context.engine.progress(&uid).unwrap_or_default(), context.engine.now()))
        }
    };
    let progress = context.engine.progress(&uid);
    let findings = status::Findings::withheld(&problem, progress.as_ref(), context.engine.now());
    status::write(api, object, &findings, context).await?;
    match problem.retry {
        Retry::OnChange => outcome,
        Retry::Backoff | Retry::Resync => Err(problem),
    }
}

/// What a refusal takes away by now. Rules and labels are edited in steps, so theirs must stand for a while; whatever else is decided holds at once.
fn refused_for(object: &DbAuthToken, problem: &Problem, context: &Context) -> Withdrawal {
    if problem.reason != Reason::NotAllowed || context.engine.progress(&object.uid().unwrap_or_default()).is_none() {
        return Withdrawal::Connecting;
    }
    let now = context.clock.now();
    schedule::withdrawal(context.refusals.since(&object.uid().unwrap_or_default(), now), now)
}

/// Whether this ServiceAccount signs a token.
pub(super) fn signs_by(token: &DbAuthToken, account: &PartialObjectMeta<ServiceAccount>) -> bool {
    let signer = token.spec.identity.service_account.as_ref().map(|it| &it.name);
    signer.is_some()
        && signer == account.metadata.name.as_ref()
        && token.metadata.namespace == account.metadata.namespace
}

/// Takes the orders of deleted objects off the engine: there is no finalizer that would wake a reconciliation.
pub(super) async fn withdraw_deleted(context: &Context, stop: &CancellationToken) {
    let changes = context.feeds.tokens.subscribe().take_until(stop.cancelled());
    changes
        .for_each(|change| {
            if let Change::Deleted(object) = change {
                let uid = object.uid().unwrap_or_default();
                context.engine.withdraw(&uid);
                context.refusals.over(&uid);
            }
            future::ready(())
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation;

    #[test]
    fn a_token_that_cannot_be_renewed_is_looked_at_when_that_is_an_alarm_and_when_it_dies() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let failing = Progress {
            expires_at: Some(at(1_000)),
            problem: Some(rotation::Problem::SessionTooShort),
            ..Progress::default()
        };
        let wait = |seconds| Action::requeue(Duration::from_secs(seconds));
        assert_eq!(next_look(&failing, at(700)), wait(61));
        assert_eq!(next_look(&failing, at(800)), wait(201));
        assert_eq!(next_look(&failing, at(1_000)), Action::await_change(), "its renewal is news");
        assert_eq!(next_look(&Progress::default(), at(700)), Action::await_change());
    }
}
