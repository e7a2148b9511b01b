//! What a DbAuthToken needs to know of the cluster: its user, that user's server and CA, the rules, and the signing role.

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::{ConditionType, DbAuthToken, EndpointType, IamDbUser, IdentityType, Reason};
use crate::controllers::context::Context;
use crate::controllers::iam_db_user::role_of_service_account;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::arn::Principal;
use crate::domain::ca::Bundle;
use crate::domain::tenancy::Rule;
use crate::k8s::conditions;
use crate::rotation::Identity;

/// What there is to decide with.
pub(super) struct Inputs {
    pub(super) username: String,
    pub(super) server: Server,
    pub(super) rules: Vec<Rule>,
    pub(super) ca: Bundle,
    pub(super) identity: Identity,
}

pub(super) async fn inputs(object: &DbAuthToken, context: &Context) -> Result<Inputs, Problem> {
    let namespace = object.namespace().unwrap_or_default();
    let user = user(object, &namespace, context)?;
    let definition = server::find(context, &user.spec.server_ref.name)?;
    let server = server::resolved(&definition)?;
    if object.spec.endpoint.kind != EndpointType::Writer {
        return Err(Problem::of_spec(Reason::NotSupportedYet, "spec.endpoint.type: this version knows Writer only"));
    }
    let rules = server::rules(context, &definition, &namespace);
    let ca = server::ca(context, &definition)?;
    let identity = identity(object, &namespace, &server, context).await?;
    Ok(Inputs { username: user.spec.username.clone(), server, rules, ca, identity })
}

fn user(object: &DbAuthToken, namespace: &str, context: &Context) -> Result<std::sync::Arc<IamDbUser>, Problem> {
    let name = &object.spec.user_ref.name;
    let user = context.feeds.users.store().get(&ObjectRef::new(name).within(namespace));
    let user = user.ok_or_else(|| {
        Problem::of_spec(Reason::UserRefNotFound, format!("there is no IamDbUser {name} in namespace {namespace}"))
    })?;
    if user.metadata.deletion_timestamp.is_some() {
        return Err(Problem::of_spec(Reason::UserGone, format!("IamDbUser {name} is being deleted")));
    }
    // What no rule admits of the user, grants and principals included, no rule admits of its tokens.
    let status = user.status.as_ref().filter(|status| status.observed_generation == user.metadata.generation);
    let refusal = status.filter(|status| {
        conditions::reason(&status.conditions, ConditionType::Ready.as_str()) == Some(Reason::NotAllowed.as_str())
    });
    if refusal.is_some() {
        return Err(Problem::of_spec(
            Reason::NotAllowed,
            format!("IamDbUser {name} is not admitted; see its conditions"),
        ));
    }
    Ok(user)
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
            let role = found.map_err(|problem| {
                let names_no_role = problem.reason == Reason::PrincipalNotFound;
                if names_no_role { problem.because(Reason::IdentityDenied) } else { problem }
            })?;
            let (namespace, name) = (namespace.to_owned(), account.name.clone());
            Ok(Identity::ServiceAccount { region, namespace, name, role })
        }
        (IdentityType::AssumeRole, _, Some(role)) => {
            let role = role.role_arn.parse::<Principal>().map_err(|error| {
                Problem::of_spec(Reason::IdentityDenied, format!("spec.identity.assumeRole.roleArn is {error}"))
            })?;
            let external_id = format!("{}/{namespace}", context.settings.cluster_id);
            Ok(Identity::Role { region, role, external_id })
        }
        _ => Err(Problem::of_spec(
            Reason::NotSupportedYet,
            "spec.identity.type: this version knows ServiceAccount and AssumeRole only",
        )),
    }
}
