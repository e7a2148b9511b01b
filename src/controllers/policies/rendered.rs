//! The documents in a ConfigMap beside the object, where somebody else attaches them: the very text that the operator would write into IAM.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt};

use super::wants::{Form, Wants};
use crate::api::{MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_LABEL, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::domain::arn::PrincipalKind;
use crate::domain::policy::{PolicyHome, Resources, documents};
use crate::k8s::call::{CallError, call};

const SUFFIX: &str = "-iam-policy";

/// Longest name of a ConfigMap.
const NAME_LIMIT: usize = 253;

/// Renders where that is wanted; takes a ConfigMap away that was rendered before.
pub(super) async fn bring<K>(
    object: &K,
    namespace: &str,
    was_rendered: bool,
    wants: &Wants,
    context: &Context,
) -> Option<Result<String, Problem>>
where
    K: Resource<DynamicType = ()>,
{
    let name = name_of(&object.name_any());
    let api = Api::<ConfigMap>::namespaced(context.client.clone(), namespace);
    let is_wanted = wants.manner.form == Form::Render && !wants.own.is_empty();
    if is_wanted {
        let wanted = config_map(object, &name, wants);
        Some(write(&api, &name, &wanted).await.map(|()| name))
    } else if was_rendered && wants.manner.form != Form::Observe {
        take_away(&api, &name, object).await.err().map(Err)
    } else {
        None
    }
}

/// Name of the ConfigMap for an object.
pub(super) fn name_of(object: &str) -> String {
    format!("{}{SUFFIX}", object.chars().take(NAME_LIMIT - SUFFIX.len()).collect::<String>())
}

fn config_map<K: Resource<DynamicType = ()>>(object: &K, name: &str, wants: &Wants) -> ConfigMap {
    let mut config_map = ConfigMap { data: Some(data(wants)), ..ConfigMap::default() };
    config_map.metadata.name = Some(name.to_owned());
    config_map.metadata.owner_references = object.controller_owner_ref(&()).map(|owner| vec![owner]);
    let labels = [(MANAGED_BY_LABEL, MANAGED_BY.to_owned()), (OWNER_UID_LABEL, object.uid().unwrap_or_default())];
    config_map.metadata.labels = Some(labels.map(|(key, value)| (key.to_owned(), value)).into());
    config_map
}

/// `policy.json`, and whom to attach it to; a principal that is to have another document, as a proxy's role, has one of its own name. What does not
/// fit into one document goes into `policy-2.json` and so on.
fn data(wants: &Wants) -> BTreeMap<String, String> {
    let mut data = BTreeMap::new();
    let mut enter = |stem: &str, resources: &Resources| {
        for (index, document) in documents(resources, wants.manner.limit).into_iter().enumerate() {
            let name = if index == 0 { format!("{stem}.json") } else { format!("{stem}-{}.json", index + 1) };
            data.insert(name, document);
        }
    };
    enter("policy", &wants.own);
    for (home, resources) in wants.homes.iter().filter(|(_, resources)| **resources != wants.own) {
        enter(&stem_of(home), resources);
    }
    let to = wants.homes.iter().filter(|(_, resources)| **resources == wants.own);
    let to: Vec<String> = to.map(|(home, _)| home.principal.to_string()).collect();
    if !to.is_empty() {
        data.insert("principals".into(), to.join("\n"));
    }
    data
}

fn stem_of(home: &PolicyHome) -> String {
    let kind = match home.principal.kind() {
        PrincipalKind::Role => "role",
        PrincipalKind::User => "user",
        PrincipalKind::Group => "group",
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let name: String = home.principal.name().chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    format!("{kind}-{name}")
}

/// One read, and one write where something differs.
async fn write(api: &Api<ConfigMap>, name: &str, wanted: &ConfigMap) -> Result<(), Problem> {
    let parameters = PostParams::default();
    match call("read ConfigMap", api.get_opt(name)).await? {
        None => drop(call("create ConfigMap", api.create(&parameters, wanted)).await?),
        Some(found) if !is_same_owner(&found, wanted) => return Err(foreign(&found)),
        Some(found) if is_as(&found, wanted) => {}
        Some(found) => {
            let mut next = wanted.clone();
            next.metadata.resource_version = found.resource_version();
            next.metadata.annotations = found.metadata.annotations;
            call("replace ConfigMap", api.replace(name, &parameters, &next)).await?;
        }
    }
    Ok(())
}

async fn take_away<K: Resource>(api: &Api<ConfigMap>, name: &str, object: &K) -> Result<(), Problem> {
    let Some(found) = call("read ConfigMap", api.get_opt(name)).await? else {
        return Ok(());
    };
    if found.labels().get(OWNER_UID_LABEL) != object.uid().as_ref() {
        return Ok(());
    }
    let preconditions = Preconditions { uid: found.uid(), resource_version: found.resource_version() };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match call("delete ConfigMap", api.delete(name, &parameters)).await {
        Ok(_) => Ok(()),
        Err(error) if CallError::code(&error) == Some(404) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_same_owner(found: &ConfigMap, wanted: &ConfigMap) -> bool {
    let owner =
        |it: &ConfigMap| (it.labels().get(MANAGED_BY_LABEL).cloned(), it.labels().get(OWNER_UID_LABEL).cloned());
    owner(found) == owner(wanted)
}

fn is_as(found: &ConfigMap, wanted: &ConfigMap) -> bool {
    found.data == wanted.data
        && found.labels() == wanted.labels()
        && found.metadata.owner_references == wanted.metadata.owner_references
}

fn foreign(found: &ConfigMap) -> Problem {
    let (namespace, name) = (found.namespace().unwrap_or_default(), found.name_any());
    let message = format!("the ConfigMap {namespace}/{name} exists and was not made for this object");
    Problem::standing(Reason::ForeignConfigMap, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_what_kubernetes_takes() {
        assert_eq!(name_of("orders"), "orders-iam-policy");
        assert_eq!(name_of(&"x".repeat(253)).len(), 253);
    }

    #[test]
    fn only_what_was_made_for_this_object_is_its_own() {
        let with = |by: &str, uid: &str| {
            let labels = [(MANAGED_BY_LABEL, by), (OWNER_UID_LABEL, uid)];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            let mut config_map = ConfigMap::default();
            config_map.metadata.labels = Some(labels);
            config_map
        };
        let wanted = with(MANAGED_BY, "u");
        assert!(is_same_owner(&with(MANAGED_BY, "u"), &wanted));
        for other in [with(MANAGED_BY, "v"), with("somebody", "u"), ConfigMap::default()] {
            assert!(!is_same_owner(&other, &wanted));
        }
    }
}
