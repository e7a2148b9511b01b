//! What an IamDbUser needs to know of the cluster: its server, the rules for its namespace, its principals.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;

use super::desired::{self, Managed};
use crate::api::{DbServer, IamDbUser, ROLE_ARN_ANNOTATION, Reason, Scope, ServiceAccountRef};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::account::Question;
use crate::domain::arn::Principal;
use crate::domain::names::{RoleName, Username};
use crate::domain::tenancy::{self, Rule};
use crate::k8s::call::call;

/// What there is to decide with.
pub(super) struct Inputs {
    pub(super) object: Arc<DbServer>,
    pub(super) server: Server,
    pub(super) rules: Vec<Rule>,
    /// The principals that are known.
    pub(super) principals: Vec<Principal>,
    /// Why another one is not.
    pub(super) unresolved: Option<Problem>,
    /// An older object that asks for the same account.
    pub(super) elder: Option<String>,
    /// What the operator logs in as with tokens of its own, on any server: two DbServers may name one database.
    pub(super) own_logins: Vec<String>,
}

pub(super) async fn inputs(user: &IamDbUser, context: &Context) -> Result<Inputs, Problem> {
    let object = server::find(context, &user.spec.server_ref.name)?;
    let server = server::resolved(&object)?;
    let namespace = user.namespace().unwrap_or_default();
    let rules = server::rules(context, &object, &namespace);
    let (principals, unresolved) = principals(user, &namespace, context).await;
    let elder = elder(user, &server, context);
    let servers = context.feeds.servers.store().state();
    let own_login = |server: &Arc<DbServer>| Some(server.spec.admin.as_ref()?.iam.as_ref()?.username.clone());
    let own_logins = servers.iter().filter_map(own_login).collect();
    Ok(Inputs { object, server, rules, principals, unresolved, elder, own_logins })
}

/// All that IamDbUsers ask of the catalogue of one DbServer.
pub(super) fn question(server: &str, context: &Context) -> Question {
    let mut question = Question::default();
    for user in context.feeds.users.store().state_filter(|user| user.spec.server_ref.name == server) {
        if let (Ok(username), Ok(Managed { account: true, .. })) =
            (Username::parse(&user.spec.username), desired::management(&user))
        {
            question.usernames.insert(username);
            question.roles.extend(user.spec.roles.iter().filter_map(|role| RoleName::parse(role).ok()));
        }
    }
    question
}

/// Of two objects for one account the older one gets it. One that no rule admits asks for nothing: else it could keep a name from everybody.
fn elder(user: &IamDbUser, server: &Server, context: &Context) -> Option<String> {
    let age = |user: &IamDbUser| (user.metadata.creation_timestamp.clone(), user.metadata.uid.clone());
    let is_elder = |other: &Arc<IamDbUser>| {
        other.metadata.uid != user.metadata.uid
            && age(other) < age(user)
            && other.metadata.deletion_timestamp.is_none()
            && other.spec.hosts.iter().any(|host| user.spec.hosts.contains(host))
            && desired::management(other).is_ok_and(|managed| managed.account)
            && is_admitted_to(other, server, context)
    };
    let found = context.feeds.users_called(&user.spec.username).find(is_elder)?;
    Some(format!("{}/{}", found.namespace().unwrap_or_default(), found.name_any()))
}

/// The server of a user, and what is known of it.
pub(super) fn known_server(user: &IamDbUser, context: &Context) -> Option<(Arc<DbServer>, Server)> {
    let definition = server::find(context, &user.spec.server_ref.name).ok()?;
    let server = Server::of(&definition)?;
    Some((definition, server))
}

/// Whether one object's account, or what its policy opens, may be that of another: of one name on one server, be it through two DbServers.
pub(super) fn is_of_same_account(one: &IamDbUser, other: &IamDbUser, context: &Context) -> bool {
    let id = |user: &IamDbUser| known_server(user, context).map(|(_, server)| server.resource_id);
    one.spec.username == other.spec.username
        && one.metadata.uid != other.metadata.uid
        && (one.spec.server_ref.name == other.spec.server_ref.name
            || one.spec.scope == Scope::AccountRegion
            || id(one).is_some_and(|it| Some(it) == id(other)))
}

fn is_admitted_to(user: &IamDbUser, server: &Server, context: &Context) -> bool {
    let theirs = known_server(user, context);
    theirs.is_some_and(|(_, theirs)| theirs.resource_id == server.resource_id) && is_admitted(user, context)
}

/// Whether a rule of its own DbServer admits a user, its principals aside.
pub(super) fn is_admitted(user: &IamDbUser, context: &Context) -> bool {
    server::find(context, &user.spec.server_ref.name).is_ok_and(|object| {
        let rules = server::rules(context, &object, &user.namespace().unwrap_or_default());
        tenancy::admit(&rules, &desired::request(user, &[])).is_ok()
    })
}

async fn principals(user: &IamDbUser, namespace: &str, context: &Context) -> (Vec<Principal>, Option<Problem>) {
    let wanted = user.spec.principals.clone().unwrap_or_default();
    let (mut principals, mut unresolved) = (Vec::new(), None);
    let mut enter = |found: Result<Principal, Problem>| match found {
        Ok(principal) => principals.push(principal),
        Err(problem) => unresolved = unresolved.take().or(Some(problem)),
    };
    for arn in &wanted.arns {
        enter(arn.parse::<Principal>().map_err(|error| {
            Problem::of_spec(Reason::PrincipalNotFound, format!("spec.principals.arns: {arn} is {error}"))
        }));
    }
    for reference in &wanted.service_accounts {
        enter(role_of(reference, namespace, context).await);
    }
    principals.sort();
    principals.dedup();
    (principals, unresolved)
}

async fn role_of(reference: &ServiceAccountRef, namespace: &str, context: &Context) -> Result<Principal, Problem> {
    let namespace = if reference.namespace.is_empty() { namespace } else { &reference.namespace };
    if !context.settings.reach.holds(namespace) {
        return Err(Problem::out_of_scope("spec.principals", namespace));
    }
    role_of_service_account(context, namespace, &reference.name).await
}

/// Whether a user has this ServiceAccount among its principals.
pub(in crate::controllers) fn names_service_account(
    user: &IamDbUser,
    account: &PartialObjectMeta<ServiceAccount>,
) -> bool {
    let wanted = user.spec.principals.iter().flat_map(|principals| &principals.service_accounts);
    let own = user.metadata.namespace.as_deref().unwrap_or_default();
    wanted.into_iter().any(|it| {
        let namespace = if it.namespace.is_empty() { own } else { &it.namespace };
        account.metadata.name.as_ref() == Some(&it.name) && account.metadata.namespace.as_deref() == Some(namespace)
    })
}

/// The role that the IRSA annotation of a ServiceAccount names.
pub(in crate::controllers) async fn role_of_service_account(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Principal, Problem> {
    let missing = |what: String| Problem::passing(Reason::PrincipalNotFound, what);
    let reference = ObjectRef::<PartialObjectMeta<ServiceAccount>>::new(name).within(namespace);
    let watched = context.feeds.service_accounts.store().get(&reference);
    let watched = watched.map(|found| found.annotations().clone()).filter(|found| !found.is_empty());
    let annotations = if watched.is_some() {
        watched
    } else {
        // What is made together comes by several watches, in no order: that there is none is concluded from asking.
        let api = Api::<ServiceAccount>::namespaced(context.client.clone(), namespace);
        let found = call("read ServiceAccount", api.get_metadata_opt(name)).await?;
        found.map(|found| found.annotations().clone())
    };
    let annotations = annotations.ok_or_else(|| missing(format!("there is no ServiceAccount {namespace}/{name}")))?;
    let role = annotations
        .get(ROLE_ARN_ANNOTATION)
        .ok_or_else(|| missing(format!("ServiceAccount {namespace}/{name} has no annotation {ROLE_ARN_ANNOTATION}")))?;
    role.parse().map_err(|_| missing(format!("the annotation of ServiceAccount {namespace}/{name} names no IAM role")))
}
