//! What stands in a DbAuthToken's Secret: parsed, admitted, and nothing left to check. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;

use kube::ResourceExt;

use super::resolve::Inputs;
use crate::api::{DbAuthToken, Format, IdentityType, ROTATE_ANNOTATION, Reason, TokenCaType, VerifyLogin};
use crate::controllers::problem::Problem;
use crate::domain::arn::Principal;
use crate::domain::binding::{self, Binding, Ca};
use crate::domain::schedule;
use crate::domain::tenancy::{Request, Rule, admit};
use crate::domain::token::Connect;
use crate::rotation::{Identity, Order, Owner, SecretRef, Verify};

/// Key of the CA bundle, unless the object says otherwise.
const CA_KEY: &str = "ca.crt";

/// Where pods are expected to mount the Secret, unless the object says otherwise.
const MOUNT_ROOT: &str = "/var/run/secrets/iamdb.dev";

/// Whether one tenancy rule admits the account and who is to sign for it. A ServiceAccount needs no rule for the role in its annotation: it proves
/// by its own token that it may assume it.
pub(super) fn admitted(object: &DbAuthToken, username: &str, rules: &[Rule]) -> Result<(), Problem> {
    let identity = &object.spec.identity;
    let chained = identity.service_account.as_ref().and_then(|account| account.then_assume.as_deref());
    let assumed = identity.assume_role.as_ref().map(|role| role.role_arn.as_str()).or(chained);
    let assumed: Option<Principal> = assumed.and_then(|arn| arn.parse().ok());
    let operator_identity = identity.kind == IdentityType::Operator;
    admit(rules, &Request { username, assume_role: assumed.as_ref(), operator_identity, ..Request::default() })?;
    Ok(())
}

pub(super) fn order(object: &DbAuthToken, inputs: &Inputs) -> Result<Order, Problem> {
    let binding = binding(object, inputs)?;
    let template = &object.spec.secret;
    let inputs_digest = binding.inputs(&everything_else(object, &inputs.identity));
    Ok(Order {
        secret: SecretRef { namespace: object.namespace().unwrap_or_default(), name: template.name.clone() },
        owner: Owner { name: object.name_any(), uid: object.uid().unwrap_or_default().into() },
        identity: inputs.identity.clone().into(),
        binding,
        renew_before: renew_before(object),
        labels: template.labels.clone(),
        annotations: template.annotations.clone(),
        verify: verify(object)?,
        ca: inputs.ca.pem(),
        hosts: inputs.hosts.clone(),
        inputs: inputs_digest,
    })
}

fn binding(object: &DbAuthToken, inputs: &Inputs) -> Result<Binding, Problem> {
    let template = &object.spec.secret;
    let mount_path = template.mount_path.clone().unwrap_or_else(|| format!("{MOUNT_ROOT}/{}", template.name));
    Ok(Binding {
        connect: Connect {
            region: inputs.server.region.clone(),
            endpoint: inputs.endpoint.clone(),
            username: inputs.username.clone(),
        }
        .into(),
        alias: inputs.alias.clone(),
        engine: inputs.server.engine,
        database: object.spec.database.clone(),
        ca: ca(object, inputs)?,
        formats: formats(object)?,
        mount_path,
    })
}

fn ca(object: &DbAuthToken, inputs: &Inputs) -> Result<Option<Ca>, Problem> {
    let asked = &object.spec.ca;
    match asked.kind {
        TokenCaType::Server => {
            let key = asked.key.clone().map_or(Cow::Borrowed(CA_KEY), Cow::Owned);
            Ok(Some(Ca { bundle: inputs.ca.clone(), key }))
        }
        TokenCaType::None => Ok(None),
        TokenCaType::Unknown => {
            Err(Problem::of_spec(Reason::NotSupportedYet, "spec.ca.type is not known to this version"))
        }
    }
}

fn formats(object: &DbAuthToken) -> Result<BTreeSet<binding::Format>, Problem> {
    let mut formats = BTreeSet::new();
    for format in &object.spec.secret.formats {
        formats.insert(match format {
            Format::Binding => continue,
            Format::MyCnf => binding::Format::MyCnf,
            Format::Uri => binding::Format::Uri,
            Format::Jdbc => binding::Format::Jdbc,
            Format::GoDsn => binding::Format::GoDsn,
            Format::Pkcs12 => binding::Format::Pkcs12,
            Format::P7b => binding::Format::P7b,
            Format::Unknown => {
                let message = "spec.secret.formats: one is not known to this version";
                return Err(Problem::of_spec(Reason::NotSupportedYet, message));
            }
        });
    }
    Ok(formats)
}

fn verify(object: &DbAuthToken) -> Result<Verify, Problem> {
    match object.spec.verify_login {
        VerifyLogin::Never => Ok(Verify::Never),
        VerifyLogin::OnCreate => Ok(Verify::OnCreate),
        VerifyLogin::Always => Ok(Verify::Always),
        VerifyLogin::Unknown => {
            Err(Problem::of_spec(Reason::NotSupportedYet, "spec.verifyLogin is not known to this version"))
        }
    }
}

fn renew_before(object: &DbAuthToken) -> std::time::Duration {
    let asked = object.spec.rotation.as_ref().and_then(|rotation| rotation.renew_before.as_ref());
    asked.map_or(schedule::RENEW_BEFORE, crate::api::Duration::value)
}

/// What goes into the Secret besides the binding, or asks for a new signing: who signs, labels, annotations, and the request to rotate.
fn everything_else<'a>(object: &'a DbAuthToken, identity: &'a Identity) -> Vec<&'a str> {
    let requested = object.annotations().get(ROTATE_ANNOTATION).map_or("", String::as_str);
    let template = &object.spec.secret;
    let mut parts = vec![identity.role().map_or("", |role| role.arn().as_str()), requested];
    match identity {
        Identity::ServiceAccount { name, .. } => parts.extend(["ServiceAccount", name]),
        Identity::Role { assume, .. } => parts.extend(["AssumeRole", &assume.external_id]),
        Identity::Operator => parts.push("Operator"),
    }
    parts.push("labels");
    parts.extend(template.labels.iter().flat_map(|(key, value)| [key.as_str(), value]));
    parts.push("annotations");
    parts.extend(template.annotations.iter().flat_map(|(key, value)| [key.as_str(), value]));
    parts
}
