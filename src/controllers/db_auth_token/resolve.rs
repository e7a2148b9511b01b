//! What a DbAuthToken needs to know of the cluster: its user, that user's server and CA, the rules, and the signing role.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::{desired, endpoint};
use crate::api::{ConditionType, DbAuthToken, EndpointType, IamDbUser, IdentityType, Manager, Reason};
use crate::controllers::conditions;
use crate::controllers::context::Context;
use crate::controllers::iam_db_user::role_of_service_account;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::arn::Principal;
use crate::domain::assume::Assume;
use crate::domain::binding::Alias;
use crate::domain::ca::Bundle;
use crate::domain::endpoint::Endpoint;
use crate::rotation::Identity;

/// What there is to decide with.
pub(super) struct Inputs {
    pub(super) username: String,
    /// Hosts of the account; none where somebody else makes it.
    pub(super) hosts: Vec<String>,
    pub(super) server: Server,
    pub(super) endpoint: Endpoint,
    pub(super) alias: Option<Alias>,
    pub(super) ca: Bundle,
    pub(super) identity: Identity,
}

pub(super) async fn inputs(object: &DbAuthToken, context: &Context) -> Result<Inputs, Problem> {
    let namespace = object.namespace().unwrap_or_default();
    let user = user(object, &namespace, context)?;
    let definition = server::find(context, &user.spec.server_ref.name)?;
    // Rules first: nothing else that is wrong with an object may keep alive what no rule admits.
    let rules = server::rules(context, &definition, &namespace);
    desired::admitted(object, &user.spec.username, &rules)?;
    let server = server::resolved(&definition)?;
    let endpoint = endpoint::signed(&object.spec.endpoint, &server)?;
    let alias = endpoint::alias(&object.spec.endpoint, &definition)?;
    let is_proxy = object.spec.endpoint.kind == EndpointType::Proxy;
    let ca = if is_proxy { server::proxy_ca(context, &definition) } else { server::ca(context, &definition) }?;
    let identity = identity(object, &namespace, &server, context).await?;
    Ok(Inputs { username: user.spec.username.clone(), hosts: hosts(&user), server, endpoint, alias, ca, identity })
}

fn user(object: &DbAuthToken, namespace: &str, context: &Context) -> Result<Arc<IamDbUser>, Problem> {
    let reference = &object.spec.user_ref;
    let (name, home) = (&reference.name, reference.namespace.as_deref().unwrap_or(namespace));
    if !context.settings.reach.holds(home) {
        return Err(Problem::out_of_scope("spec.userRef", home));
    }
    let user = context.feeds.users.store().get(&ObjectRef::new(name).within(home));
    if user.is_none() && context.feeds.users.is_unseen(home) {
        let message = format!("the operator may not look into namespace {home}, where IamDbUser {name} is to be");
        return Err(Problem::of_spec(Reason::Resolving, message));
    }
    let user = if home == namespace {
        user.ok_or_else(|| {
            let message = format!("there is no IamDbUser {name} in namespace {namespace}");
            Problem::of_spec(Reason::UserRefNotFound, message)
        })?
    } else {
        user.filter(|user| consents(user, namespace, context)).ok_or_else(|| no_consent(name, home, namespace))?
    };
    if user.metadata.deletion_timestamp.is_some() {
        return Err(Problem::of_spec(Reason::UserGone, format!("IamDbUser {name} is being deleted")));
    }
    // What no rule admits of the user, grants and principals included, no rule admits of its tokens; and the account may be somebody else's.
    if let Some(reason) = barred(&user) {
        let message = format!("IamDbUser {name} is not to have tokens ({reason}); see its conditions");
        return Err(Problem::of_spec(Reason::NotAllowed, message));
    }
    if user.status.is_none() {
        return Err(Problem::of_spec(Reason::Resolving, format!("IamDbUser {name} has not been looked at yet")));
    }
    Ok(user)
}

/// Why nobody is to have tokens for a user: no rule admits it, or the account of that name is not its own. Both are told of the account. `Ready` may
/// tell of a policy instead, and one that a former principal cannot be rid of is nothing against the tokens of the others.
pub(in crate::controllers) fn barred(user: &IamDbUser) -> Option<Reason> {
    let conditions = user.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let told = conditions::reason(conditions, ConditionType::AccountReady.as_str());
    let bars = [
        Reason::NotAllowed,
        Reason::Conflict,
        Reason::ForeignAccount,
        Reason::ShadowedAccount,
        Reason::Protected,
        Reason::InvalidUsername,
    ];
    bars.into_iter().find(|reason| told == Some(reason.as_str()))
}

/// Whether a user of another namespace lets this one have tokens.
fn consents(user: &IamDbUser, namespace: &str, context: &Context) -> bool {
    user.spec.token_consumers.as_ref().is_some_and(|it| server::holds(context, &it.namespaces, namespace))
}

/// The same words for a user that does not consent and for one that does not exist: nobody learns what another namespace holds.
fn no_consent(name: &str, home: &str, namespace: &str) -> Problem {
    let message = format!(
        "there is no IamDbUser {name} in namespace {home} that lists namespace {namespace} in its spec.tokenConsumers"
    );
    Problem::of_spec(Reason::NoConsent, message)
}

fn hosts(user: &IamDbUser) -> Vec<String> {
    let is_ours = user.spec.management.as_ref().is_none_or(|it| it.account == Manager::Managed);
    if is_ours { user.spec.hosts.clone() } else { Vec::new() }
}

async fn identity(
    object: &DbAuthToken,
    namespace: &str,
    server: &Server,
    context: &Context,
) -> Result<Identity, Problem> {
    let identity = &object.spec.identity;
    let region = server.region.clone();
    match (identity.kind, &identity.service_account, &identity.assume_role) {
        (IdentityType::ServiceAccount, Some(account), _) => {
            let found = role_of_service_account(context, namespace, &account.name).await;
            let role = found.map_err(|problem| explained(problem, namespace, &account.name))?;
            let then = account.then_assume.as_deref();
            let then = then.map(|arn| assume(arn, "serviceAccount.thenAssume", namespace, context)).transpose()?;
            let (namespace, name) = (namespace.to_owned(), account.name.clone());
            Ok(Identity::ServiceAccount { region, namespace, name, role, then })
        }
        (IdentityType::AssumeRole, _, Some(role)) => {
            let assume = assume(&role.role_arn, "assumeRole.roleArn", namespace, context)?;
            Ok(Identity::Role { region, assume })
        }
        (IdentityType::Operator, ..) => Ok(Identity::Operator),
        _ => Err(Problem::of_spec(Reason::NotSupportedYet, "spec.identity.type is not known to this version")),
    }
}

/// A ServiceAccount without a role in its annotation may still have one by EKS Pod Identity; but that is given to pods alone.
fn explained(problem: Problem, namespace: &str, name: &str) -> Problem {
    if problem.reason != Reason::PrincipalNotFound {
        return problem;
    }
    let message = format!(
        "{}; a role that it has by an EKS Pod Identity association only its own pods can use: \
         annotate ServiceAccount {namespace}/{name} with a role that trusts it, or sign by identity.type AssumeRole",
        problem.message
    );
    Problem { reason: Reason::IdentityDenied, message, ..problem }
}

fn assume(arn: &str, field: &str, namespace: &str, context: &Context) -> Result<Assume, Problem> {
    let role = arn
        .parse::<Principal>()
        .map_err(|error| Problem::of_spec(Reason::IdentityDenied, format!("spec.identity.{field} is {error}")))?;
    Ok(Assume::new(role, &context.settings.cluster_id, namespace, context.settings.session_tags))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A user of which this is told.
    fn user(ready: (&str, &str), account: (&str, &str)) -> IamDbUser {
        let condition = |kind: &str, (status, reason): (&str, &str)| {
            let since = "2026-01-02T03:04:05Z";
            json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": since})
        };
        serde_json::from_value(json!({
            "apiVersion": "iamdb.dev/v1alpha1",
            "kind": "IamDbUser",
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {"serverRef": {"name": "orders"}, "username": "app"},
            "status": {"conditions": [condition("Ready", ready), condition("AccountReady", account)]},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_wrong_with_a_policy_bars_no_tokens_and_what_is_wrong_with_the_account_does() {
        assert_eq!(barred(&user(("True", "Ready"), ("True", "Ready"))), None);
        assert_eq!(barred(&user(("False", "Conflict"), ("True", "Ready"))), None, "a policy that cannot be deleted");
        assert_eq!(barred(&user(("False", "Unreachable"), ("False", "Unreachable"))), None, "it may pass");
        for reason in [Reason::NotAllowed, Reason::Conflict, Reason::ForeignAccount, Reason::Protected] {
            let told = ("False", reason.as_str());
            assert_eq!(barred(&user(told, told)), Some(reason));
        }
    }
}
