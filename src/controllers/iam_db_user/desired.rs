//! What an IamDbUser shall be: parsed, admitted, and nothing left to check. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;

use super::resolve::Inputs;
use crate::api::{self, DeletionPolicy, ExistingUser, GrantPolicy, IamDbUser, Manager, ObjectType, Reason, Scope};
use crate::controllers::policies::{self, Wants};
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::account::{DesiredUser, Target};
use crate::domain::arn::Principal;
use crate::domain::names::{DatabaseName, HostPattern, NotAUsername, ObjectName, RoleName, Username};
use crate::domain::ownership::{Claimant, Owner};
use crate::domain::privilege::Privilege;
use crate::domain::tenancy::{Request, admit};

/// The account and the policies as they shall be.
pub(super) struct Desired {
    pub(super) user: DesiredUser,
    pub(super) policy: Wants,
    pub(super) management: Managed,
}

/// What the operator makes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Managed {
    pub(super) account: bool,
    pub(super) policy: bool,
}

/// What the operator makes itself; all, where the object says nothing.
pub(super) fn management(object: &IamDbUser) -> Result<Managed, Problem> {
    let said = object.spec.management.clone().unwrap_or_default();
    let is_managed = |manager, field| match manager {
        Manager::Managed => Ok(true),
        Manager::External => Ok(false),
        Manager::Unknown => Err(Problem::of_spec(
            Reason::NotSupportedYet,
            format!("spec.management.{field} is not known to this version"),
        )),
    };
    Ok(Managed { account: is_managed(said.account, "account")?, policy: is_managed(said.policy, "policy")? })
}

/// Whether one tenancy rule admits all that the object asks for, as it is written and as far as its principals are known.
pub(super) fn admitted(object: &IamDbUser, inputs: &Inputs) -> Result<(), Problem> {
    admit(&inputs.rules, &request(object, &inputs.principals))?;
    Ok(())
}

/// Whether the rules admit those whom policies let in for the object by now, the roles of proxies aside, whoever is in the spec.
pub(super) fn attached_are_admitted(object: &IamDbUser, inputs: &Inputs) -> Result<(), Problem> {
    let proxies: Vec<&str> = inputs.server.endpoints.proxies.iter().filter_map(|it| it.role_arn.as_deref()).collect();
    let attached = object.status.iter().flat_map(|status| &status.attachments).map(|it| it.principal.as_str());
    let attached: Vec<Principal> =
        attached.filter(|arn| !proxies.contains(arn)).filter_map(|arn| arn.parse().ok()).collect();
    admit(&inputs.rules, &request(object, &attached))?;
    Ok(())
}

/// Whether there may be policies to take off: the operator writes them, or did before somebody else was named.
pub(super) fn has_policies(object: &IamDbUser) -> bool {
    let is_remembered = object.status.as_ref().is_some_and(|status| !status.attachments.is_empty());
    is_remembered || management(object).is_ok_and(|managed| managed.policy)
}

/// What an object asks the rules for.
pub(super) fn request<'a>(object: &'a IamDbUser, principals: &'a [Principal]) -> Request<'a> {
    let spec = &object.spec;
    let known = |grant: &api::Grant| grant.privileges.iter().copied().filter_map(server::privilege).collect();
    Request {
        username: &spec.username,
        hosts: spec.hosts.iter().map(String::as_str).collect(),
        grants: spec.grants.iter().map(|grant| (grant.database.as_str(), known(grant))).collect(),
        roles: spec.roles.iter().map(String::as_str).collect(),
        adopts: spec.existing_user == ExistingUser::Adopt,
        principals: principals.iter().collect(),
        account_region: spec.scope == Scope::AccountRegion,
        ..Request::default()
    }
}

/// What an admitted object shall be.
pub(super) fn user(object: &IamDbUser, inputs: &Inputs, cluster_id: &str) -> Result<Desired, Problem> {
    let username = username(object, &inputs.server, &inputs.own_logins)?;
    let hosts = hosts(object)?;
    let grants = grants(&object.spec.grants)?;
    let roles = roles(&object.spec.roles)?;
    let adopts = match object.spec.existing_user {
        ExistingUser::Fail => false,
        // Else the account would keep what no rule was asked for.
        ExistingUser::Adopt if object.spec.grant_policy != GrantPolicy::Authoritative => {
            let message = "spec.grantPolicy: an account is adopted with Authoritative only, so that it holds what the rules admit";
            return Err(Problem::of_spec(Reason::NotAllowed, message));
        }
        ExistingUser::Adopt => true,
        ExistingUser::Unknown => {
            return Err(Problem::of_spec(Reason::NotSupportedYet, "spec.existingUser is not known to this version"));
        }
    };
    if let Some(problem) = &inputs.unresolved {
        return Err(problem.clone());
    }
    let management = management(object)?;
    let on = (inputs.object.as_ref(), &inputs.server);
    let policy = policies::of_user(object, &username, management.account, &inputs.principals, on, cluster_id)?;
    let drop_surplus = deletion_policy(object, &inputs.object) == DeletionPolicy::Drop;
    let revoke_surplus = match object.spec.grant_policy {
        GrantPolicy::Authoritative => true,
        GrantPolicy::Additive => false,
        GrantPolicy::Unknown => {
            return Err(Problem::of_spec(Reason::NotSupportedYet, "spec.grantPolicy is not known to this version"));
        }
    };
    let user = DesiredUser {
        username,
        hosts,
        grants,
        roles,
        claimant: claimant(object, &inputs.object, &inputs.server, cluster_id),
        elder: inputs.elder.clone(),
        adopts,
        drop_surplus,
        drops_adopted: drops_adopted(object),
        revoke_surplus,
        max_user_connections: object.spec.limits.as_ref().map_or(0, |limits| limits.max_user_connections),
        is_locked: object.spec.locked,
        ends_sessions: object.spec.end_sessions,
    };
    Ok(Desired { user, policy, management })
}

/// The mark of an IamDbUser on a server, and which others it may take for its own.
pub(super) fn claimant(object: &IamDbUser, definition: &api::DbServer, server: &Server, cluster_id: &str) -> Claimant {
    let owner = Owner {
        cluster: cluster_id.to_owned(),
        server: server.resource_id.clone(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        adopted: false,
    };
    Claimant {
        owner,
        further_servers: server.further_resource_ids.clone(),
        accepts_restored: definition.spec.accept_restored,
    }
}

/// Whether even an adopted account is dropped: only where the object itself says so.
pub(super) fn drops_adopted(object: &IamDbUser) -> bool {
    object.spec.deletion_policy == Some(DeletionPolicy::Drop)
}

/// What becomes of the account when its object goes: the object's word, else the server's, else it is dropped.
pub(super) fn deletion_policy(object: &IamDbUser, server: &api::DbServer) -> DeletionPolicy {
    let default = server.spec.defaults.as_ref().and_then(|defaults| defaults.deletion_policy);
    object.spec.deletion_policy.or(default).unwrap_or(DeletionPolicy::Drop)
}

fn username(object: &IamDbUser, server: &Server, own_logins: &[String]) -> Result<Username, Problem> {
    let text = &object.spec.username;
    let username = Username::parse(text).map_err(|error| {
        let reason = match error {
            NotAUsername::Malformed => Reason::InvalidUsername,
            NotAUsername::Protected => Reason::Protected,
        };
        Problem::of_spec(reason, format!("spec.username: {text} {error}"))
    })?;
    if server.master_username.as_ref().is_some_and(|master| text.eq_ignore_ascii_case(master)) {
        return Err(Problem::of_spec(Reason::Protected, "spec.username: is the master user of the DB instance"));
    }
    if own_logins.iter().any(|own| text.eq_ignore_ascii_case(own)) {
        return Err(Problem::of_spec(Reason::Protected, "spec.username: is a login of the operator's own"));
    }
    Ok(username)
}

fn hosts(object: &IamDbUser) -> Result<BTreeSet<HostPattern>, Problem> {
    let parse = |text: &String| {
        HostPattern::parse(text)
            .map_err(|error| Problem::of_spec(Reason::NotAllowed, format!("spec.hosts: {text} {error}")))
    };
    object.spec.hosts.iter().map(parse).collect()
}

fn roles(names: &[String]) -> Result<BTreeSet<RoleName>, Problem> {
    let parse = |name: &String| {
        RoleName::parse(name).map_err(|error| {
            let reason = match error {
                NotAUsername::Malformed => Reason::InvalidRole,
                NotAUsername::Protected => Reason::Protected,
            };
            Problem::of_spec(reason, format!("spec.roles: {name} {error}"))
        })
    };
    names.iter().map(parse).collect()
}

fn grants(grants: &[api::Grant]) -> Result<BTreeMap<Target, BTreeSet<Privilege>>, Problem> {
    let mut parsed: BTreeMap<Target, BTreeSet<Privilege>> = BTreeMap::new();
    for grant in grants {
        let target = target(grant)?;
        for &privilege in &grant.privileges {
            let privilege = server::privilege(privilege).ok_or_else(|| {
                let message = "spec.grants[].privileges: one is outside the list of privileges";
                Problem::of_spec(Reason::InvalidPrivilege, message)
            })?;
            if !target.takes(privilege) {
                let message = format!(
                    "spec.grants[].privileges: {} cannot be granted on a {:?}",
                    privilege.sql(),
                    grant.object_type
                );
                return Err(Problem::of_spec(Reason::InvalidPrivilege, message));
            }
            parsed.entry(target.clone()).or_default().insert(privilege);
        }
    }
    Ok(parsed)
}

fn target(grant: &api::Grant) -> Result<Target, Problem> {
    let database = DatabaseName::parse(&grant.database).map_err(|error| {
        Problem::of_spec(Reason::NotAllowed, format!("spec.grants[].database: {} {error}", grant.database))
    })?;
    let object = || {
        ObjectName::parse(&grant.object).map_err(|error| {
            Problem::of_spec(Reason::NotAllowed, format!("spec.grants[].object: {} {error}", grant.object))
        })
    };
    Ok(match grant.object_type {
        ObjectType::Schema => Target::Schema(database),
        ObjectType::Table => Target::Table(database, object()?),
        ObjectType::Procedure => Target::Procedure(database, object()?),
        ObjectType::Function => Target::Function(database, object()?),
        ObjectType::Unknown => {
            let message = "spec.grants[].objectType is not known to this version";
            return Err(Problem::of_spec(Reason::NotSupportedYet, message));
        }
    })
}
