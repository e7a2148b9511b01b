//! `IamDbUser`: an account with its grants in the database, and the policies that let principals use it.

mod account;
mod desired;
mod entitlements;
mod removal;
mod resolve;
mod status;

use std::sync::Arc;

use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};

pub use entitlements::Entitlements;
pub(super) use resolve::{names_service_account, role_of_service_account};

use super::context::Context;
use super::problem::{Problem, Retry};
use super::run::Outcome;
use crate::api::{FINALIZER, IamDbUser, Reason};
use crate::domain::schedule::{self, Withdrawal};
use crate::k8s::status::CallError;

pub(super) async fn reconcile(object: Arc<IamDbUser>, context: Arc<Context>) -> Outcome {
    let api = Api::<IamDbUser>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let step = |event| async {
        match event {
            Event::Apply(object) => apply(&api, &object, &context).await,
            Event::Cleanup(object) => removal::remove(&api, &object, &context).await,
        }
    };
    finalizer(&api, FINALIZER, object, step).await.map_err(Problem::of_finalizer)
}

async fn apply(api: &Api<IamDbUser>, object: &IamDbUser, context: &Context) -> Outcome {
    let findings = work(api, object, context).await?;
    status::write(api, object, &findings, context).await?;
    let uid = object.uid().unwrap_or_default();
    match findings.problem() {
        Some(problem) if problem.reason == Reason::NotAllowed => refused(object, context).await,
        problem => {
            context.refusals.over(&uid);
            match problem {
                Some(problem) if problem.retry != Retry::OnChange => Err(problem.clone()),
                _ => Ok(Action::requeue(context.resync_after(&uid))),
            }
        }
    }
}

/// What no rule admits any more keeps its account (a rule may come back), but not the right to connect: that goes when the last token that was
/// signed under the rule has run out.
async fn refused(object: &IamDbUser, context: &Context) -> Outcome {
    let now = context.clock.now();
    let since = context.refusals.since(&object.uid().unwrap_or_default(), now);
    match schedule::withdrawal(since, now) {
        Withdrawal::Nothing(wait) | Withdrawal::Signing(wait) => Ok(Action::requeue(wait)),
        Withdrawal::Connecting => {
            if desired::management(object).is_ok_and(|managed| managed.policy) {
                context.entitlements.withdraw(object, context).await?;
            }
            Ok(Action::await_change())
        }
    }
}

/// What was found and done, part by part. A part whose precondition failed stays open.
async fn work(api: &Api<IamDbUser>, object: &IamDbUser, context: &Context) -> Result<status::Findings, CallError> {
    let inputs = resolve::inputs(object, context).await; // reads watches and ServiceAccounts
    let decided = inputs.and_then(|inputs| {
        // Admission first: nothing else that is wrong with an object may keep alive what no rule admits.
        desired::admitted(object, &inputs)?; // pure
        if object.spec.suspend {
            return Err(Problem::of_spec(Reason::Suspended, "spec.suspend: everything is left as it is"));
        }
        let desired = desired::user(object, &inputs, &context.settings.cluster_id)?; // pure
        Ok((inputs, desired))
    });
    let (inputs, desired) = match decided {
        Ok(decided) => decided,
        Err(problem) => return Ok(status::Findings::unresolved(problem)),
    };
    status::write_intent(api, object, &desired, context).await?;
    let account = if desired.management.account {
        account::converge(&inputs, &desired.user, context).await // reads and writes the database
    } else {
        account::external(object, &inputs.server, context)
    };
    // An account that is not ours gets no policy: it would let the principals in as somebody else.
    let policy = match account.account {
        Ok(_) if desired.management.policy => Some(context.entitlements.converge(object, &desired, context).await), // reads and writes IAM
        Ok(_) | Err(_) => None,
    };
    Ok(status::Findings::of(&desired, object, &account, policy))
}
