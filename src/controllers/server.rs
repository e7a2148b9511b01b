//! A DbServer as the namespaced kinds see it: what it resolved to, its CA, and its rules for a namespace.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt;
use kube::core::{Selector, SelectorExt};
use kube::runtime::reflector::ObjectRef;

use super::context::Context;
use super::problem::Problem;
use super::trust;
use crate::api::{self, CaType, ConfigMapKey, DbServer, Endpoints, NamespaceSet, Reason};
use crate::domain::access::{Access, AccountRole};
use crate::domain::arn::Principal;
use crate::domain::ca::{Bundle, TrustStore};
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::Engine;
use crate::domain::privilege::Privilege;
use crate::domain::tenancy::Rule;

/// What a DbServer resolved to, from its status: the record that outlives a restart and a describe call that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) region: String,
    /// The way into its account.
    pub(super) access: Access,
    pub(super) partition: String,
    pub(super) account_id: String,
    pub(super) resource_id: String,
    /// What policies name beside the resource id: ids that it had until lately, ids that it may get at any moment.
    pub(super) further_resource_ids: Vec<String>,
    pub(super) engine: Engine,
    pub(super) writer: Endpoint,
    /// All endpoints, the writer included.
    pub(super) endpoints: Endpoints,
    /// Unknown for a server that is described by hand.
    pub(super) master_username: Option<String>,
    pub(super) admin_secret_arn: Option<String>,
}

impl Server {
    /// The server of a DbServer; none while that has not been resolved.
    pub(super) fn of(object: &DbServer) -> Option<Self> {
        let status = object.status.as_ref()?;
        let endpoints = status.endpoints.clone()?;
        let writer = endpoints.writer.as_ref()?;
        let previous = status.previous_resource_ids.iter().map(|it| &it.resource_id);
        let current = status.resource_id.as_ref();
        let further: BTreeSet<&String> =
            previous.chain(&status.upcoming_resource_ids).filter(|id| Some(*id) != current).collect();
        Some(Self {
            region: object.spec.region.clone(),
            access: access(object).ok()?,
            partition: status.partition.clone()?,
            account_id: status.account_id.clone()?,
            resource_id: status.resource_id.clone()?,
            further_resource_ids: further.into_iter().cloned().collect(),
            engine: Engine::of_rds(status.engine.as_deref()?)?,
            writer: Endpoint::new(&writer.host, writer.port).ok()?,
            endpoints,
            master_username: status.master_username.clone(),
            admin_secret_arn: status.admin_secret_arn.clone(),
        })
    }
}

/// The way into the account of a DbServer's database.
pub(super) fn access(object: &DbServer) -> Result<Access, Problem> {
    let said = object.spec.aws.clone().unwrap_or_default();
    let role = said.role_arn.map(|arn| {
        let role: Principal = arn
            .parse()
            .map_err(|error| Problem::of_spec(Reason::IdentityDenied, format!("spec.aws.roleArn: {arn} is {error}")))?;
        Ok::<_, Problem>(AccountRole { role, external_id: said.external_id })
    });
    Ok(Access { region: object.spec.region.clone(), role: role.transpose()? })
}

/// The DbServer of this name.
pub(super) fn find(context: &Context, name: &str) -> Result<std::sync::Arc<DbServer>, Problem> {
    context
        .feeds
        .servers
        .store()
        .get(&ObjectRef::new(name))
        .ok_or_else(|| Problem::of_spec(Reason::ServerRefNotFound, format!("there is no DbServer {name}")))
}

/// What the DbServer resolved to.
pub(super) fn resolved(object: &DbServer) -> Result<Server, Problem> {
    let name = object.name_any();
    let waiting = || Problem::of_spec(Reason::Resolving, format!("DbServer {name} has not been resolved yet"));
    Server::of(object).ok_or_else(waiting)
}

/// The CA bundle that the endpoints of a DbServer are verified against, its proxies aside.
pub(super) fn ca(context: &Context, object: &DbServer) -> Result<Bundle, Problem> {
    let source = &object.spec.ca;
    if let (CaType::ConfigMap, Some(reference)) = (source.kind, &source.config_map) {
        return administrators_ca(context, reference);
    }
    let place = trust_store(object)
        .ok_or_else(|| Problem::of_spec(Reason::NotSupportedYet, "spec.ca.type is not known to this version"))?;
    let kept = kept_bundle(context, &place);
    let bundle = kept.and_then(|kept| context.bundles.read(&kept, trust::KEY, context.clock.now()));
    Ok(bundle.ok_or_else(|| not_fetched(context, &place))??)
}

/// The CA bundle that a DbServer's proxies are verified against: their certificates are Amazon Trust Services', unless the administrator says what to
/// trust.
pub(super) fn proxy_ca(context: &Context, object: &DbServer) -> Result<Bundle, Problem> {
    match object.spec.ca.kind {
        CaType::Region | CaType::Global => Ok(Bundle::amazon_trust(context.clock.now())?),
        CaType::ConfigMap | CaType::Unknown => ca(context, object),
    }
}

/// The trust store that a DbServer takes its CA bundle from, if it takes it from one.
pub(super) fn trust_store(object: &DbServer) -> Option<TrustStore> {
    match object.spec.ca.kind {
        CaType::Region => Some(TrustStore::of_region(&object.spec.region)),
        CaType::Global => Some(TrustStore::of_partition(&object.spec.region)),
        CaType::ConfigMap | CaType::Unknown => None,
    }
}

/// The ConfigMap with the last good copy of a bundle.
pub(super) fn kept_bundle(context: &Context, place: &TrustStore) -> Option<std::sync::Arc<ConfigMap>> {
    config_map(context, &place.keeper())
}

fn config_map(context: &Context, name: &str) -> Option<std::sync::Arc<ConfigMap>> {
    let namespace = &context.settings.namespace;
    context.feeds.config_maps.store().get(&ObjectRef::<ConfigMap>::new(name).within(namespace))
}

fn administrators_ca(context: &Context, reference: &ConfigMapKey) -> Result<Bundle, Problem> {
    let found = config_map(context, &reference.name);
    let bundle = found.and_then(|found| context.bundles.read(&found, &reference.key, context.clock.now()));
    let missing = || {
        let namespace = &context.settings.namespace;
        let message = format!("ConfigMap {namespace}/{} has no key {}", reference.name, reference.key);
        Problem::of_spec(Reason::TlsVerificationFailed, message)
    };
    Ok(bundle.ok_or_else(missing)??)
}

fn not_fetched(context: &Context, place: &TrustStore) -> Problem {
    let (base, path) = (place.base(), place.path());
    match context.bundles.failure(place) {
        None => Problem::passing(Reason::Resolving, format!("the CA bundle {base}{path} is being fetched")),
        Some(fault) => {
            let (namespace, keeper, key) = (&context.settings.namespace, place.keeper(), trust::KEY);
            let message = format!(
                "{base}{path}: {fault}; where it cannot be reached, put the bundle into ConfigMap {namespace}/{keeper}, key {key}"
            );
            Problem::passing(Reason::Unreachable, message)
        }
    }
}

/// The tenancy rules of a DbServer, for a request from `namespace`.
pub(super) fn rules(context: &Context, object: &DbServer, namespace: &str) -> Vec<Rule> {
    let labels = context.feeds.namespaces.store().get(&ObjectRef::<Namespace>::new(namespace));
    object.spec.tenancy.iter().map(|rule| translate(rule, namespace, labels.as_deref())).collect()
}

fn translate(rule: &api::TenancyRule, namespace: &str, object: Option<&Namespace>) -> Rule {
    let fill =
        |patterns: &[String]| patterns.iter().map(|pattern| pattern.replace("${namespace}", namespace)).collect();
    Rule {
        name: rule.name.clone(),
        is_for_namespace: is_for(&rule.namespaces, namespace, object),
        usernames: fill(&rule.usernames),
        databases: fill(&rule.databases),
        privileges: rule.privileges.iter().copied().filter_map(privilege).collect(),
        hosts: rule.hosts.clone(),
        principals: rule.principals.clone(),
        assume_roles: rule.assume_roles.clone(),
        roles: rule.roles.clone(),
        adopt: rule.adopt.clone(),
        operator_usernames: rule.operator_identity.as_ref().map(|it| fill(&it.usernames)).unwrap_or_default(),
        allows_account_region: rule.allow_account_region_scope,
    }
}

/// Whether a set of namespaces holds this one.
pub(super) fn holds(context: &Context, set: &NamespaceSet, namespace: &str) -> bool {
    let object = context.feeds.namespaces.store().get(&ObjectRef::<Namespace>::new(namespace));
    is_for(set, namespace, object.as_deref())
}

fn is_for(set: &NamespaceSet, namespace: &str, object: Option<&Namespace>) -> bool {
    // A namespace that is not known matches no selector, not even the empty one.
    let selected = |selector: Selector| object.is_some_and(|object| selector.matches(object.labels()));
    let by_label = set.selector.clone().and_then(|selector| Selector::try_from(selector).ok()).is_some_and(selected);
    by_label || set.names.iter().any(|name| name == namespace)
}

/// The privilege of the API as the domain has it; none for one that this version does not know.
pub(super) fn privilege(privilege: api::Privilege) -> Option<Privilege> {
    Some(match privilege {
        api::Privilege::Select => Privilege::Select,
        api::Privilege::Insert => Privilege::Insert,
        api::Privilege::Update => Privilege::Update,
        api::Privilege::Delete => Privilege::Delete,
        api::Privilege::Create => Privilege::Create,
        api::Privilege::Drop => Privilege::Drop,
        api::Privilege::References => Privilege::References,
        api::Privilege::Index => Privilege::Index,
        api::Privilege::Alter => Privilege::Alter,
        api::Privilege::CreateTemporaryTables => Privilege::CreateTemporaryTables,
        api::Privilege::LockTables => Privilege::LockTables,
        api::Privilege::Execute => Privilege::Execute,
        api::Privilege::CreateView => Privilege::CreateView,
        api::Privilege::ShowView => Privilege::ShowView,
        api::Privilege::CreateRoutine => Privilege::CreateRoutine,
        api::Privilege::AlterRoutine => Privilege::AlterRoutine,
        api::Privilege::Event => Privilege::Event,
        api::Privilege::Trigger => Privilege::Trigger,
        api::Privilege::Unknown => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: serde_json::Value) -> NamespaceSet {
        serde_json::from_value(value).unwrap()
    }

    fn namespace(labels: &[(&str, &str)]) -> Namespace {
        let mut namespace = Namespace::default();
        namespace.labels_mut().extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        namespace
    }

    #[test]
    fn namespaces_are_chosen_by_name_or_by_label() {
        let by_name = set(serde_json::json!({"names": ["shop"]}));
        assert!(is_for(&by_name, "shop", None));
        assert!(!is_for(&by_name, "shop2", None));
        let by_label = set(serde_json::json!({"selector": {"matchLabels": {"team": "shop"}}}));
        assert!(is_for(&by_label, "x", Some(&namespace(&[("team", "shop")]))));
        assert!(!is_for(&by_label, "x", Some(&namespace(&[("team", "other")]))));
    }

    #[test]
    fn an_unknown_namespace_is_chosen_by_no_selector_and_an_absent_one_chooses_nobody() {
        let everybody = set(serde_json::json!({"selector": {}}));
        assert!(is_for(&everybody, "x", Some(&namespace(&[]))));
        assert!(!is_for(&everybody, "x", None));
        assert!(!is_for(&NamespaceSet::default(), "x", Some(&namespace(&[]))));
    }

    #[test]
    fn every_privilege_of_the_api_is_known_to_the_domain_by_the_same_words() {
        for &known in Privilege::ALL {
            let written: api::Privilege = serde_json::from_value(serde_json::json!(known.sql())).unwrap();
            assert_eq!(privilege(written), Some(known));
        }
        let strange: api::Privilege = serde_json::from_value(serde_json::json!("SUPER")).unwrap();
        assert_eq!(privilege(strange), None);
    }
}
