//! What an object wants of IAM. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{DbServer, IamDbUser, Mode, PolicyAttach, PolicyMode, ProxyScheme, ProxyStatus, Reason, Scope};
use crate::controllers::problem::Problem;
use crate::controllers::server::Server;
use crate::domain::access::Access;
use crate::domain::arn::Principal;
use crate::domain::names::Username;
use crate::domain::policy::{ConnectArn, MANAGED_POLICY_LIMIT, Place, PolicyHome, Resources, Tags, default_path};

/// What an object wants of IAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controllers) struct Wants {
    /// What the policies of each home shall allow on the object's behalf.
    pub(super) homes: BTreeMap<PolicyHome, Resources>,
    /// What the object's own principals shall be allowed, whoever they are.
    pub(super) own: Resources,
    pub(super) manner: Manner,
}

/// How a DbServer has policies written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) form: Form,
    /// The way into the account.
    pub(super) access: Access,
    pub(super) tags: Tags,
    /// Characters of one document.
    pub(super) limit: usize,
    place: Place,
    account: String,
    cluster: String,
}

/// What is done with policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// They are written and attached.
    Manage,
    /// They are written down for somebody else to attach.
    Render,
    /// They are looked at, and what differs is told.
    Observe,
}

impl Wants {
    /// What the principal of a home shall be allowed, wherever its policies are now; none if it is not listed.
    pub(super) fn of_principal(&self, home: &PolicyHome) -> Option<&Resources> {
        self.homes.iter().find(|(listed, _)| listed.principal == home.principal).map(|(_, resources)| resources)
    }

    /// What stays in homes whose principals are still listed.
    pub(super) fn kept(&self, homes: &BTreeSet<PolicyHome>) -> BTreeMap<PolicyHome, Resources> {
        homes.iter().filter_map(|home| Some((home.clone(), self.of_principal(home)?.clone()))).collect()
    }

    /// The homes whose policies are written here.
    pub(in crate::controllers) fn written(&self) -> impl Iterator<Item = &PolicyHome> {
        self.homes.keys().filter(|_| self.manner.form == Form::Manage)
    }
}

impl Manner {
    pub(super) fn of(object: &DbServer, server: &Server, cluster: &str) -> Result<Self, Problem> {
        let policy = object.spec.policy.clone().unwrap_or_default();
        let unknown =
            |field| Problem::of_spec(Reason::NotSupportedYet, format!("DbServer {field} is not known to this version"));
        let form = match (object.spec.mode, policy.mode) {
            (Mode::Enforce, PolicyMode::Manage) => Form::Manage,
            (Mode::Enforce, PolicyMode::Render) => Form::Render,
            (Mode::Observe | Mode::Unknown, PolicyMode::Manage | PolicyMode::Render) => Form::Observe,
            (_, PolicyMode::Unknown) => return Err(unknown("spec.policy.mode")),
        };
        let place = match policy.attach {
            PolicyAttach::ManagedPolicy => Place::Path(policy.path.unwrap_or_else(|| default_path(cluster))),
            PolicyAttach::Inline => Place::Inline,
            PolicyAttach::Unknown => return Err(unknown("spec.policy.attach")),
        };
        let quotas = object.status.as_ref().and_then(|status| status.quotas);
        let quota = quotas.and_then(|quotas| usize::try_from(quotas.policy_size_quota).ok());
        Ok(Self {
            form,
            access: server.access.clone(),
            tags: policy.tags,
            limit: quota.filter(|&quota| quota > 0).unwrap_or(MANAGED_POLICY_LIMIT),
            place,
            account: server.account_id.clone(),
            cluster: cluster.to_owned(),
        })
    }

    /// Where the policies of a principal live, if it is one that they can be attached to. `field` is where it is named.
    fn home(&self, principal: &Principal, field: &str) -> Result<PolicyHome, Problem> {
        let account = &self.account;
        if principal.arn().account() != account {
            let message = format!(
                "{field}: {principal} is not of account {account}, which owns the database; \
                 let the workload assume a role there"
            );
            return Err(Problem::of_spec(Reason::PrincipalAccountMismatch, message));
        }
        if principal.is_reserved() {
            let message = format!("{field}: AWS lets nobody attach policies to {principal}");
            return Err(Problem::of_spec(Reason::PrincipalUnmodifiable, message));
        }
        Ok(PolicyHome { principal: principal.clone(), place: self.place.clone(), cluster: self.cluster.clone() })
    }
}

/// What an IamDbUser wants: its account, on each server that it is on, for each of its principals; and for the roles of proxies that log in as it.
pub(in crate::controllers) fn of_user(
    user: &IamDbUser,
    username: &Username,
    account_is_managed: bool,
    principals: &[Principal],
    (object, server): (&DbServer, &Server),
    cluster: &str,
) -> Result<Wants, Problem> {
    let manner = Manner::of(object, server, cluster)?;
    let proxies = proxies(user, account_is_managed, server)?;
    let own = own_ids(server);
    let arns = |ids: &BTreeSet<&str>| -> Resources { ids.iter().map(|id| arn(server, id, username)).collect() };
    let resources = match user.spec.scope {
        Scope::Server => {
            let mut ids = own.clone();
            if object.spec.include_read_replicas {
                ids.extend(server.endpoints.replicas.iter().map(|replica| replica.resource_id.as_str()));
            }
            ids.extend(proxies.iter().map(|proxy| proxy.resource_id.as_str()));
            arns(&ids)
        }
        Scope::AccountRegion => [everywhere(server, Some(username))].into(),
        Scope::Unknown => {
            return Err(Problem::of_spec(Reason::NotSupportedYet, "spec.scope is not known to this version"));
        }
    };
    let mut homes: BTreeMap<PolicyHome, Resources> = BTreeMap::new();
    for principal in principals {
        homes.entry(manner.home(principal, "spec.principals")?).or_default().extend(resources.iter().cloned());
    }
    if object.spec.policy.as_ref().is_some_and(|policy| policy.grant_proxy_roles) {
        for proxy in proxies.iter().filter(|proxy| proxy.scheme == ProxyScheme::EndToEndIam) {
            homes.entry(manner.home(&role_of(proxy)?, "the role of a proxy")?).or_default().extend(arns(&own));
        }
    }
    Ok(Wants { homes, own: resources, manner })
}

/// What a DbServer itself wants: every account, for the principals that its administrator names; and the first of those that no policy can be
/// attached to.
pub(super) fn of_server(
    object: &DbServer,
    server: &Server,
    cluster: &str,
) -> Result<(Wants, Option<Problem>), Problem> {
    const FIELD: &str = "spec.policy.fullAccess";
    let manner = Manner::of(object, server, cluster)?;
    let Some(full) = object.spec.policy.as_ref().and_then(|policy| policy.full_access.as_ref()) else {
        return Ok((Wants { homes: BTreeMap::new(), own: Resources::new(), manner }, None));
    };
    let resources: Resources = match full.scope {
        Scope::Server => {
            let mut ids = own_ids(server);
            if object.spec.include_read_replicas {
                ids.extend(server.endpoints.replicas.iter().map(|replica| replica.resource_id.as_str()));
            }
            ids.extend(server.endpoints.proxies.iter().map(|proxy| proxy.resource_id.as_str()));
            ids.into_iter().map(|id| every_account(server, id)).collect()
        }
        Scope::AccountRegion => [everywhere(server, None)].into(),
        Scope::Unknown => {
            let message = format!("{FIELD}.scope is not known to this version");
            return Err(Problem::of_spec(Reason::NotSupportedYet, message));
        }
    };
    let home = |text: &String| {
        let principal: Principal = text.parse().map_err(|error| {
            Problem::of_spec(Reason::PrincipalNotFound, format!("{FIELD}.principals: {text} is {error}"))
        })?;
        manner.home(&principal, &format!("{FIELD}.principals"))
    };
    let (mut homes, mut refused) = (BTreeMap::new(), None);
    for text in &full.principals {
        match home(text) {
            Ok(home) => _ = homes.insert(home, resources.clone()),
            Err(problem) => _ = refused.get_or_insert(problem),
        }
    }
    Ok((Wants { homes, own: resources, manner }, refused))
}

/// The proxies that clients may go through as this user. Behind a standard one the account in the database has a password, so it is none that the
/// operator makes.
fn proxies<'s>(
    user: &IamDbUser,
    account_is_managed: bool,
    server: &'s Server,
) -> Result<Vec<&'s ProxyStatus>, Problem> {
    let all = &server.endpoints.proxies;
    let can_serve = |proxy: &&ProxyStatus| proxy.scheme == ProxyScheme::EndToEndIam || !account_is_managed;
    match user.spec.include_proxies {
        Some(false) => Ok(Vec::new()),
        Some(true) if let Some(other) = all.iter().find(|proxy| !can_serve(proxy)) => {
            let message = format!(
                "spec.includeProxies: the proxy {} logs in to the database with a password, so somebody else has to make the account \
                 (spec.management.account: External)",
                other.name
            );
            Err(Problem::of_spec(Reason::ProxyNeedsPasswordUser, message))
        }
        Some(true) | None => Ok(all.iter().filter(can_serve).collect()),
    }
}

fn role_of(proxy: &ProxyStatus) -> Result<Principal, Problem> {
    let role = proxy.role_arn.as_deref().and_then(|text| text.parse().ok());
    role.ok_or_else(|| {
        let message = format!("spec.policy.grantProxyRoles: the role of the proxy {} is not known", proxy.name);
        Problem::of_spec(Reason::PrincipalNotFound, message)
    })
}

/// The server's resource id, those that it had until lately, and those that it may get at any moment.
fn own_ids(server: &Server) -> BTreeSet<&str> {
    std::iter::once(&server.resource_id).chain(&server.further_resource_ids).map(String::as_str).collect()
}

/// All that an ARN can name where something of this server is meant.
pub(super) fn meant_by(server: &Server) -> BTreeSet<String> {
    let replicas = server.endpoints.replicas.iter().map(|replica| replica.resource_id.as_str());
    let proxies = server.endpoints.proxies.iter().map(|proxy| proxy.resource_id.as_str());
    own_ids(server).into_iter().chain(replicas).chain(proxies).chain(["*"]).map(str::to_owned).collect()
}

fn arn(server: &Server, resource_id: &str, username: &Username) -> ConnectArn {
    ConnectArn::new(&server.partition, &server.region, &server.account_id, resource_id, username)
}

fn every_account(server: &Server, resource_id: &str) -> ConnectArn {
    ConnectArn::of_scope(&server.partition, &server.region, &server.account_id, Some(resource_id), None)
}

fn everywhere(server: &Server, username: Option<&Username>) -> ConnectArn {
    ConnectArn::of_scope(&server.partition, &server.region, &server.account_id, None, username)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(spec: &Value) -> DbServer {
        let mut object: Value = json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbServer", "metadata": {"name": "orders"},
            "spec": {"region": "us-east-1", "source": {"type": "DbInstance", "dbInstance": {"identifier": "orders"}},
                     "ca": {"type": "ConfigMap", "configMap": {"name": "ca"}}},
            "status": {
                "resourceId": "db-ONE", "partition": "aws", "accountId": "123456789012", "engine": "mysql",
                "previousResourceIds": [{"resourceId": "db-OLD", "until": "2026-01-01T00:00:00Z"}],
                "upcomingResourceIds": ["db-GREEN"],
                "endpoints": {
                    "writer": {"host": "orders.x.us-east-1.rds.amazonaws.com", "port": 3306},
                    "replicas": [{"name": "r", "resourceId": "db-REPLICA", "host": "r.x.us-east-1.rds.amazonaws.com", "port": 3306}],
                    "proxies": [
                        {"name": "new", "resourceId": "prx-new", "scheme": "EndToEndIam", "roleArn": "arn:aws:iam::123456789012:role/proxy",
                         "host": "n.proxy-x.us-east-1.rds.amazonaws.com", "port": 3306},
                        {"name": "old", "resourceId": "prx-old", "scheme": "Standard", "host": "o.proxy-x.us-east-1.rds.amazonaws.com", "port": 3306},
                    ],
                },
            },
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn user(spec: &Value) -> IamDbUser {
        let mut user = json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "IamDbUser", "metadata": {"name": "u"},
            "spec": {"serverRef": {"name": "orders"}, "username": "app"},
        });
        for (key, value) in spec.as_object().unwrap() {
            user["spec"][key] = value.clone();
        }
        serde_json::from_value(user).unwrap()
    }

    const APP: &str = "arn:aws:iam::123456789012:role/app";

    fn wants(server: &Value, user_spec: &Value, account_is_managed: bool) -> BTreeMap<String, Vec<String>> {
        told(&try_wants(server, user_spec, account_is_managed).unwrap())
    }

    #[allow(clippy::unwrap_in_result, reason = "what is fixed here holds; what is told is the refusal")]
    fn try_wants(server: &Value, user_spec: &Value, account_is_managed: bool) -> Result<Wants, Problem> {
        let (object, principals) = (object(server), [APP.parse().expect("a principal")]);
        let username = Username::parse("app").expect("a username");
        let found = Server::of(&object).expect("resolved");
        of_user(&user(user_spec), &username, account_is_managed, &principals, (&object, &found), "c1")
    }

    fn refusal(user_spec: &Value, account_is_managed: bool) -> Reason {
        try_wants(&json!({}), user_spec, account_is_managed).unwrap_err().reason
    }

    /// By principal, what follows `dbuser:`.
    fn told(wants: &Wants) -> BTreeMap<String, Vec<String>> {
        let tail = |arn: &ConnectArn| arn.as_str().split("dbuser:").nth(1).unwrap().to_owned();
        let of = |(home, resources): (&PolicyHome, &Resources)| {
            (home.principal.to_string(), resources.iter().map(tail).collect())
        };
        wants.homes.iter().map(of).collect()
    }

    #[test]
    fn a_user_is_allowed_on_the_server_under_all_its_ids_and_on_proxies_that_can_serve_it() {
        let all = wants(&json!({}), &json!({}), true);
        assert_eq!(all[APP], ["db-GREEN/app", "db-OLD/app", "db-ONE/app", "prx-new/app"]);
        let all = wants(&json!({"includeReadReplicas": true}), &json!({"includeProxies": false}), true);
        assert_eq!(all[APP], ["db-GREEN/app", "db-OLD/app", "db-ONE/app", "db-REPLICA/app"]);
        let all = wants(&json!({}), &json!({}), false);
        assert_eq!(all[APP], ["db-GREEN/app", "db-OLD/app", "db-ONE/app", "prx-new/app", "prx-old/app"]);
    }

    #[test]
    fn a_standard_proxy_that_is_asked_for_needs_an_account_with_a_password() {
        let asked = json!({"includeProxies": true});
        assert_eq!(refusal(&asked, true), Reason::ProxyNeedsPasswordUser);
        assert!(wants(&json!({}), &asked, false)[APP].contains(&"prx-old/app".to_owned()));
    }

    #[test]
    fn everywhere_is_one_resource() {
        assert_eq!(wants(&json!({}), &json!({"scope": "AccountRegion"}), true)[APP], ["*/app"]);
        assert_eq!(refusal(&json!({"scope": "Galaxy"}), true), Reason::NotSupportedYet);
    }

    #[test]
    fn the_role_of_an_end_to_end_proxy_may_connect_to_the_server_as_who_goes_through_it() {
        let server = json!({"policy": {"grantProxyRoles": true}});
        let proxy = "arn:aws:iam::123456789012:role/proxy";
        let all = wants(&server, &json!({}), true);
        assert_eq!(all[proxy], ["db-GREEN/app", "db-OLD/app", "db-ONE/app"]);
        let all = wants(&server, &json!({"includeProxies": false}), true);
        assert!(!all.contains_key(proxy), "nobody goes through it");
    }

    #[allow(clippy::unwrap_in_result, reason = "what is fixed here holds; what is told is the refusal")]
    fn of_object(spec: &Value) -> Result<(Wants, Option<Problem>), Problem> {
        let object = object(spec);
        of_server(&object, &Server::of(&object).expect("resolved"), "c1")
    }

    #[test]
    fn full_access_is_every_account_of_the_server_or_of_the_account_and_region() {
        let full = |scope: &str| {
            told(&of_object(&json!({"policy": {"fullAccess": {"scope": scope, "principals": [APP]}}})).unwrap().0)
        };
        assert_eq!(full("Server")[APP], ["db-GREEN/*", "db-OLD/*", "db-ONE/*", "prx-new/*", "prx-old/*"]);
        assert_eq!(full("AccountRegion")[APP], ["*/*"]);
        assert!(of_object(&json!({})).unwrap().0.homes.is_empty());
    }

    #[test]
    fn principals_that_cannot_be_attached_to_are_refused_and_stand_in_nobodys_way() {
        for (arn, reason) in [
            ("arn:aws:iam::999999999999:role/other", Reason::PrincipalAccountMismatch),
            ("arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/x", Reason::PrincipalUnmodifiable),
        ] {
            let spec = json!({"policy": {"fullAccess": {"principals": [arn, APP]}}});
            let (wants, problem) = of_object(&spec).unwrap();
            assert_eq!(told(&wants).keys().collect::<Vec<_>>(), [APP]);
            let problem = problem.unwrap();
            assert_eq!(problem.reason, reason, "{arn}");
            assert!(problem.message.contains(arn), "{}", problem.message);
        }
    }

    #[test]
    fn the_place_and_the_limit_come_from_the_server() {
        let of = |spec| of_object(&spec).map(|(wants, _)| wants.manner);
        let manner = of(json!({})).unwrap();
        assert_eq!((manner.place.to_string(), manner.limit, manner.form), ("/iamdb/c1/".into(), 6_144, Form::Manage));
        assert_eq!(of(json!({"policy": {"path": "/x/"}})).unwrap().place.to_string(), "/x/");
        assert_eq!(of(json!({"policy": {"attach": "Inline"}})).unwrap().place, Place::Inline);
        assert_eq!(of(json!({"policy": {"mode": "Render"}})).unwrap().form, Form::Render);
        assert_eq!(of(json!({"mode": "Observe"})).unwrap().form, Form::Observe);
        assert_eq!(of(json!({"mode": "Strange"})).unwrap().form, Form::Observe, "nothing is changed");
        assert_eq!(of(json!({"policy": {"mode": "Strange"}})).unwrap_err().reason, Reason::NotSupportedYet);
        assert_eq!(of(json!({"policy": {"attach": "Strange"}})).unwrap_err().reason, Reason::NotSupportedYet);
    }
}
