//! What stands in a DbAuthToken's Secret: parsed, admitted, and nothing left to check. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use super::resolve::Inputs;
use crate::api::{DbAuthToken, Format, MANAGED_BY, MANAGED_BY_LABEL, ROTATE_ANNOTATION, Reason};
use crate::controllers::problem::Problem;
use crate::domain::binding::{self, Binding};
use crate::domain::schedule;
use crate::domain::tenancy::{Request, admit};
use crate::domain::token::Connect;
use crate::rotation::{Identity, Order, SecretRef};

/// Where pods are expected to mount the Secret, unless the object says otherwise.
const MOUNT_ROOT: &str = "/var/run/secrets/iamdb.dev";

pub(super) fn order(object: &DbAuthToken, inputs: &Inputs) -> Result<Order, Problem> {
    let assume_role = match &inputs.identity {
        Identity::Role { role, .. } => Some(role),
        // The ServiceAccount proves by its own token that it may assume the role.
        Identity::ServiceAccount { .. } => None,
    };
    admit(&inputs.rules, &Request { username: &inputs.username, assume_role, ..Request::default() })?;
    let binding = binding(object, inputs)?;
    let template = &object.spec.secret;
    let mut labels = template.labels.clone();
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned());
    let owner = owner_reference(object);
    let inputs_digest = binding.inputs(&everything_else(object, &inputs.identity, &labels));
    Ok(Order {
        secret: SecretRef { namespace: object.namespace().unwrap_or_default(), name: template.name.clone() },
        owner,
        identity: inputs.identity.clone(),
        binding,
        renew_before: renew_before(object),
        labels,
        annotations: template.annotations.clone(),
        inputs: inputs_digest,
    })
}

fn binding(object: &DbAuthToken, inputs: &Inputs) -> Result<Binding, Problem> {
    let template = &object.spec.secret;
    let mut formats = BTreeSet::new();
    for format in &template.formats {
        match format {
            Format::Binding => {}
            Format::MyCnf => {
                formats.insert(binding::Format::MyCnf);
            }
            Format::Unknown => {
                let message = "spec.secret.formats: one is not known to this version";
                return Err(Problem::of_spec(Reason::NotSupportedYet, message));
            }
        }
    }
    let mount_path = template.mount_path.clone().unwrap_or_else(|| format!("{MOUNT_ROOT}/{}", template.name));
    Ok(Binding {
        connect: Connect {
            region: inputs.server.region.clone(),
            endpoint: inputs.server.writer.clone(),
            username: inputs.username.clone(),
        },
        engine: inputs.server.engine,
        database: object.spec.database.clone(),
        ca: inputs.ca.pem(),
        formats,
        mount_path,
    })
}

fn renew_before(object: &DbAuthToken) -> std::time::Duration {
    let asked = object.spec.rotation.as_ref().and_then(|rotation| rotation.renew_before.as_ref());
    asked.map_or(schedule::RENEW_BEFORE, crate::api::Duration::value)
}

/// The Secret goes with the object. `blockOwnerDeletion` is left off: it would need a right on the owner's finalizers.
fn owner_reference(object: &DbAuthToken) -> OwnerReference {
    OwnerReference {
        api_version: DbAuthToken::api_version(&()).into_owned(),
        kind: DbAuthToken::kind(&()).into_owned(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// What goes into the Secret besides the binding, or asks for a new signing: who signs, labels, annotations, and the request to rotate.
fn everything_else<'a>(
    object: &'a DbAuthToken,
    identity: &'a Identity,
    labels: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    let requested = object.annotations().get(ROTATE_ANNOTATION).map_or("", String::as_str);
    let mut parts = vec![identity.role().arn().as_str(), requested];
    match identity {
        Identity::ServiceAccount { name, .. } => parts.extend(["ServiceAccount", name]),
        Identity::Role { external_id, .. } => parts.extend(["AssumeRole", external_id]),
    }
    parts.extend(labels.iter().chain(&object.spec.secret.annotations).flat_map(|(key, value)| [key.as_str(), value]));
    parts
}
