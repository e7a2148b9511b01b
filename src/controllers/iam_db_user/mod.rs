//! `IamDbUser`: an account with its grants in the database, and the policies that let principals use it.

mod account;
mod desired;
mod desk;
mod judgements;
mod removal;
mod resolve;
mod status;
mod turnstile;

use std::sync::Arc;
use std::time::Instant;

use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::reflector::ObjectRef;

use account::Converged;
use desired::Desired;
pub use desk::Desks;
pub(super) use resolve::{names_service_account, role_of_service_account};
use turnstile::Pass;
pub use turnstile::Turnstile;

use super::context::Context;
use super::policies::{Granted, Parted};
use super::problem::{Problem, Retry};
use super::run::Outcome;
use crate::api::{FINALIZER, IamDbUser, Reason};
use crate::domain::schedule::{self, Withdrawal};
use crate::k8s::call::CallError;

pub(super) async fn reconcile(object: Arc<IamDbUser>, context: Arc<Context>) -> Outcome {
    let namespace = object.namespace().unwrap_or_default();
    let pass = context.turnstile.enter(&object.spec.server_ref.name, &namespace).await;
    // The wait may have been long: the object as it is now, if it still is.
    let Some(object) = context.feeds.users.store().get(&ObjectRef::from_obj(object.as_ref())) else {
        return Ok(Action::await_change());
    };
    let api = Api::<IamDbUser>::namespaced(context.client.clone(), &namespace);
    let (api_of, context) = (&api, context.as_ref());
    let step = |event| async move {
        match event {
            Event::Apply(object) => apply(api_of, &object, pass, context).await,
            Event::Cleanup(object) => removal::remove(api_of, &object, context).await,
        }
    };
    // In a box: those who wait before the turnstile, all of them at the start, hold no room for what comes behind it.
    Box::pin(finalizer(&api, FINALIZER, object, step)).await.map_err(Problem::of_finalizer)
}

async fn apply(api: &Api<IamDbUser>, object: &IamDbUser, pass: Pass, context: &Context) -> Outcome {
    let findings = work(api, object, pass, context).await?;
    status::write(api, object, &findings, context).await?;
    let uid = object.uid().unwrap_or_default();
    match findings.problem() {
        Some(problem) if problem.reason == Reason::NotAllowed => refused(api, object, findings, context).await,
        problem => {
            context.refusals.over(&uid);
            match problem {
                Some(problem) if problem.retry != Retry::OnChange => Err(problem),
                _ => {
                    let judgements = &context.desks.judgements;
                    Ok(Action::requeue(judgements.wait(&uid, context.resync_after(&uid), Instant::now())))
                }
            }
        }
    }
}

/// What no rule admits any more keeps its account (a rule may come back), but not the right to connect: that goes when the last token that was
/// signed under the rule has run out.
async fn refused(api: &Api<IamDbUser>, object: &IamDbUser, findings: status::Findings, context: &Context) -> Outcome {
    let now = context.clock.now();
    let since = context.refusals.since(&object.uid().unwrap_or_default(), now);
    match schedule::withdrawal(since, now) {
        Withdrawal::Nothing(wait) | Withdrawal::Signing(wait) => Ok(Action::requeue(wait)),
        Withdrawal::Connecting => {
            if desired::has_policies(object) && context.entitlements.withdraw(object, context).await? {
                // Else the status would say that they are attached, and who reads it would keep what it speaks of.
                status::write(api, object, &findings.without_policies(object), context).await?;
            }
            Ok(Action::await_change())
        }
    }
}

/// Whom a change of another one concerns: those who may have the account that it leaves, and at any change those who let somebody in to an account
/// that it may speak for now. What they were judged by last was read before. One that makes no account concerns nobody.
pub(super) fn namesakes(changed: &IamDbUser, context: &Context) -> Vec<ObjectRef<IamDbUser>> {
    if account::leaves_account_to_others(changed) {
        return Vec::new();
    }
    let leaves = changed.metadata.deletion_timestamp.is_some();
    let is_concerned = |user: &Arc<IamDbUser>| {
        (leaves || account::leaves_account_to_others(user)) && resolve::is_of_same_account(user, changed, context)
    };
    let namesakes = context.feeds.users_called(&changed.spec.username).filter(is_concerned);
    let wake = |user: Arc<IamDbUser>| {
        context.desks.judgements.forget(&user.uid().unwrap_or_default());
        ObjectRef::from_obj(user.as_ref())
    };
    namesakes.map(wake).collect()
}

/// Whether the account is not the object's to let anybody in to. What fails for the moment says nothing of that.
fn is_somebody_elses(problem: &Problem) -> bool {
    let is_refusal = matches!(
        problem.reason,
        Reason::Conflict | Reason::ForeignAccount | Reason::ShadowedAccount | Reason::Protected
    );
    is_refusal && problem.retry == Retry::Resync
}

/// What was found and done, part by part. A part whose precondition failed stays open.
async fn work(
    api: &Api<IamDbUser>,
    object: &IamDbUser,
    pass: Pass,
    context: &Context,
) -> Result<status::Findings, CallError> {
    let inputs = resolve::inputs(object, context).await; // reads watches and ServiceAccounts
    let decided = inputs.and_then(|inputs| {
        // Admission first: nothing else that is wrong with an object may keep alive what no rule admits.
        desired::admitted(object, &inputs)?; // pure
        let desired = if object.spec.suspend {
            Err(Problem::of_spec(Reason::Suspended, "spec.suspend: everything is left as it is"))
        } else {
            desired::user(object, &inputs, &context.settings.cluster_id) // pure
        };
        match desired {
            Ok(desired) => {
                // What was attached before somebody else was named stays, and must be admitted like all that does.
                if !desired.management.policy {
                    desired::attached_are_admitted(object, &inputs)?;
                }
                Ok((inputs, desired))
            }
            // What is left as it is must be admitted too: who is attached may have left the spec together with what the rule admits.
            Err(problem) => Err(desired::attached_are_admitted(object, &inputs).err().unwrap_or(problem)),
        }
    });
    let (inputs, desired) = match decided {
        Ok(decided) => decided,
        Err(problem) => return Ok(status::Findings::unresolved(problem)),
    };
    status::write_intent(api, object, &desired, context).await?;
    let account = if desired.management.account {
        account::converge(object, &inputs, &desired.user, context).await // reads and writes the database
    } else {
        account::external(object, &inputs.server, context)
    };
    // Whoever waits for the database may come; those who wait for IAM are served together.
    drop(pass);
    let policies = policies(object, &desired, &account, context).await; // reads and writes IAM
    Ok(status::Findings::of(&desired, object, &account, &policies))
}

/// What became of the policies.
enum Policies {
    /// Each was brought to what the spec says, or says why it was not.
    Brought(Granted),
    /// Nobody was let in, and who left the spec was shut out.
    Parted(Parted),
    /// They were not looked at, or the object is out of them.
    Open,
}

/// An account that is not ours gets no policy: it would let the principals in as somebody else.
async fn policies(object: &IamDbUser, desired: &Desired, account: &Converged, context: &Context) -> Policies {
    let (entitlements, is_managed) = (&context.entitlements, desired.management.policy);
    match &account.account {
        Ok(_) if is_managed => Policies::Brought(entitlements.converge(object, &desired.policy, context).await),
        Err(problem) if is_somebody_elses(problem) => {
            if desired::has_policies(object)
                && let Err(problem) = entitlements.withdraw(object, context).await
            {
                tracing::warn!(namespace = object.namespace(), name = object.name_any(), %problem, "policies not taken off");
            }
            Policies::Open
        }
        Err(_) if is_managed => Policies::Parted(entitlements.part(object, &desired.policy, context).await),
        Ok(_) | Err(_) => Policies::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a call of an async function takes before it is done.
    const fn room<F>(_: fn(Arc<IamDbUser>, Arc<Context>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn whoever_waits_at_the_turnstile_takes_little_room() {
        assert!(room(reconcile) < 1_024, "{} bytes", room(reconcile));
    }
}
