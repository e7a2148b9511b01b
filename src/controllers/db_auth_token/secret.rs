//! Takes a Secret away whose token nobody is to use any more.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Preconditions};
use kube::runtime::controller::Action;

use crate::api::{DbAuthToken, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::run::Outcome;
use crate::domain::schedule;
use crate::k8s::call::{CALL_DEADLINE, call};
use crate::rotation::SecretRef;

/// How soon a Secret that is not there is looked for again: longer than a write takes that began before its order was withdrawn, which is four calls at
/// most ([`CALL_DEADLINE`]), and within a minute.
const LOOK_AGAIN: Duration = CALL_DEADLINE.saturating_mul(4).saturating_add(Duration::from_secs(5));

/// Deletes the Secret: at once when its user is gone or does not consent any more, else when its last token has run out, since what was allowed when it was signed was allowed.
pub(super) async fn retire(object: &DbAuthToken, reason: Reason, was_placed: bool, context: &Context) -> Outcome {
    let namespace = object.namespace().unwrap_or_default();
    let name = &object.spec.secret.name;
    let reference = SecretRef { namespace: namespace.clone(), name: name.clone() };
    let Some(secret) = context.engine.look(&reference).await? else {
        // It may be on its way: a write that was under way when its order was withdrawn, or a watch that lags.
        let may_come = was_placed || context.engine.watches();
        return Ok(if may_come { Action::requeue(LOOK_AGAIN) } else { Action::await_change() });
    };
    if !object.metadata.uid.as_deref().is_some_and(|uid| secret.is_of(uid)) {
        return Ok(Action::await_change()); // not ours
    }
    let left = secret.expires_at().map_or(Duration::ZERO, |end| schedule::until(end, context.clock.now()));
    let is_at_once = matches!(reason, Reason::UserGone | Reason::UserRefNotFound | Reason::NoConsent);
    if !is_at_once && !left.is_zero() {
        return Ok(Action::requeue(left));
    }
    let api = Api::<Secret>::namespaced(context.client.clone(), &namespace);
    let (uid, resource_version) = secret.precondition();
    let preconditions = Preconditions { uid, resource_version };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match call("delete Secret", api.delete(name, &parameters)).await {
        Ok(_) => {
            tracing::info!(namespace, secret = name, %reason, "token Secret deleted");
            Ok(Action::requeue(LOOK_AGAIN))
        }
        Err(error) if error.code() == Some(404) => Ok(Action::await_change()),
        Err(error) => Err(Problem::from(error)),
    }
}
